"""Who a syringe pump is, in which mode it is found, and what is set when it is opened."""

import pytest
from pydantic import ValidationError

from instruments.capabilities import SyringePump
from instruments.drivers.newera_ne1000 import NewEraPump, NewEraSettings
from instruments.instrument import load_driver


def test_a_pump_tells_its_model_and_is_a_syringe_pump(pump_at, witness):
    pump = pump_at(witness())
    identity = pump.identify()
    assert (identity.maker, identity.model, identity.serial, identity.firmware) == ("New Era", "NE-1000", "", "3.928")
    assert isinstance(pump, SyringePump)
    assert load_driver("newera-ne1000") is NewEraPump


@pytest.mark.parametrize("stored", [0, 10, 25])
@pytest.mark.parametrize("wanted", ["10 s", "0 s"])
@pytest.mark.parametrize("in_basic", [True, False])
def test_a_pump_is_found_in_whichever_mode_it_wakes_and_brought_into_ours(pump_at, stored, wanted, in_basic, witness):
    device = witness(safe_timeout_s=stored, packets_in_basic_mode=in_basic)
    pump = pump_at(device, safe_timeout=wanted)
    assert device._memory.safe_timeout_s == float(wanted.split()[0])
    assert pump.syringe_state().running == "stopped"


@pytest.mark.parametrize("in_basic", [True, False])
def test_a_pump_that_was_put_into_basic_mode_is_brought_back(pump_at, in_basic, witness, attempt):
    device = witness(packets_in_basic_mode=in_basic)
    pump = pump_at(device)
    device._memory.safe_timeout_s = 0
    assert [attempt(pump) for _ in range(3)][-1] is None
    assert device._memory.safe_timeout_s == 10
    # A packet taken for the beginning of a line must not become a command when the line ends: "1RUN" might be "RUN 2".
    assert in_basic or b"?\r0VER\r" in device.sent


def test_opening_sets_the_syringe_its_unit_and_a_program_of_one_phase(pump_at, witness):
    device = witness(restarts_after_power_failure=True)
    device._memory.phases[1].function = "RAT"
    pump_at(device)
    memory = device._memory
    assert (memory.diameter_mm, memory.volume_unit, memory.restarts) == (4.61, "UL", False)
    assert [phase.function for phase in memory.phases[:2]] == ["RAT", "STP"]


def test_a_pump_that_stands_is_left_in_basic_mode(pump_at, witness):
    device = witness()
    pump = pump_at(device)
    pump.close()
    assert device._memory.safe_timeout_s == 0


def test_a_pump_that_runs_when_it_is_let_go_stops_by_itself(pump_at, witness):
    device = witness()
    pump = pump_at(device)
    pump.infuse(100.0)
    pump.close()
    device.advance(pump.clock.now() + 9.0)
    assert not device.stands
    device.advance(pump.clock.now() + 10.0)
    assert device.stands
    assert device.plunger.changes[max(device.plunger.changes)] == 0.0


def test_a_pump_that_was_found_running_is_not_set_and_said_to_be_so(pump_at, wired, witness, glass_1_ml):
    device = witness()
    first = pump_at(device)
    first.infuse(100.0)
    first.close()
    again = wired("newera-ne1000", device, first.clock, **{**glass_1_ml, "diameter": "10 mm"})
    again.open()
    assert device._memory.diameter_mm == 4.61
    assert again.probe() == ["it is infusing; halt it"]
    again.make_safe()
    again.infuse(100.0, 5.0)
    assert device._memory.diameter_mm == 10.0


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"serial": "1"}, "does not tell its serial number"),
        ({"safe_timeout": "2.5 s"}, "whole number of seconds"),
        ({"safe_timeout": "300 s"}, "whole number of seconds"),
        ({"period": "4 s"}, "shorter than a third"),
        ({"diameter": "123 mm"}, "less than or equal to 80"),
        ({"diameter": "0.1 um"}, "greater than or equal to 0.1"),
        ({"direction": "up"}, "'both', 'infuse' or 'withdraw'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_a_sentence(settings, problem, glass_1_ml):
    with pytest.raises(ValidationError, match=problem):
        NewEraSettings.model_validate({"resource": "ASRL1::INSTR", **glass_1_ml, **settings})
