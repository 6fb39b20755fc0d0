"""Rates and volumes that a syringe pump is told, and what it counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.drivers.newera_ne1000 import TOLERANCE
from instruments.instrument import InstrumentRefusal
from instruments.newera_messages import digits
from instruments.simulation.devices.newera.wording import packet

PLASTIC_50_ML = {"diameter": "26.59 mm", "volume": "50 mL", "max_rate": "1000 mL/h"}


@given(rate=st.floats(1e-4, 6e4), volume=st.none() | st.floats(1e-4, 1000.0))
def test_what_is_set_is_what_was_asked_for_within_a_thousandth_or_nothing_is_sent(
    wired, rate, volume, witness, glass_1_ml
):
    device = witness(step_um=1e-4, tick_us=1e-6)
    pump = wired("newera-ne1000", device, **glass_1_ml)
    pump.open()
    device.sent.clear()
    try:
        done = pump.infuse(rate, volume)
    except InstrumentRefusal as error:
        refusal = str(error)
        assert "?OOR" in refusal or ("cannot be set within" in refusal and device.sent == [])
        return
    phase = device._memory.phases[0]
    assert phase.rate * {"UH": 1, "UM": 60, "MH": 1000, "MM": 60_000}[phase.rate_unit] == pytest.approx(
        rate, rel=TOLERANCE
    )
    assert phase.volume == pytest.approx(volume or 0.0, rel=TOLERANCE)
    assert f"RAT {digits(phase.rate)}{phase.rate_unit}" in done.reply


def test_a_confirmation_states_the_rate_that_is_set(pump_at, witness):
    done = pump_at(witness()).infuse(1000.0 / 24.0, 12.3456)
    assert done.command == "infuse 41.6666667 uL/h, 12.3456 uL"
    assert done.reply == "infuses at 41.67 uL/h (RAT 41.67UH, +0.008 %), 12.35 uL (VOL 12.35UL)"
    assert done.issued_s < done.confirmed_s


@pytest.mark.parametrize("verb", ["infuse", "withdraw"])
def test_a_volume_is_moved_once_and_counted(pump_at, verb, witness, watched):
    device = witness()
    pump = pump_at(device)
    getattr(pump, verb)(3600.0, 20.0)
    states = watched(pump, 30.0)
    sign = 1.0 if verb == "infuse" else -1.0
    assert device.plunger.moved_ul(pump.clock.now()) == pytest.approx(sign * 20.0, abs=0.005)
    assert states[-1].values == ((20.0, 0.0) if sign > 0 else (0.0, 20.0)) + (83.0, 0.0)
    assert states[5].values[2] == (73.0 if sign > 0 else 87.0)
    assert device.executed.count("RUN") == 1


def test_counts_go_on_until_they_are_cleared(pump_at, witness, watched):
    pump = pump_at(witness())
    for _ in range(2):
        pump.infuse(3600.0, 5.0)
        watched(pump, 10.0)
    assert pump.syringe_state().infused_ul == 10.0
    pump.clear_counts()
    assert pump.syringe_state().infused_ul == 0.0


def test_a_large_syringe_is_counted_in_millilitres(pump_at, witness, watched):
    pump = pump_at(witness(), **PLASTIC_50_ML)
    done = pump.infuse(600_000.0, 20_000.0)
    assert done.reply.endswith("20000 uL (VOL 20.00ML)")
    watched(pump, 130.0)
    assert pump.syringe_state().infused_ul == 20_000.0
    with pytest.raises(InstrumentRefusal, match="by four digits of mL"):
        pump.infuse(1000.0, 12.3)


@pytest.mark.parametrize(
    ("verb", "rate", "volume", "why"),
    [
        ("infuse", 60_001.0, None, "above 0 and at most 60000 uL/h"),
        ("infuse", 0.0, None, "above 0"),
        ("infuse", float("nan"), None, "above 0"),
        ("infuse", 0.0125, None, "multiple of 0.001 uL/h"),
        ("infuse", 10.0, 1000.1, "at most that of the syringe, 1000 uL"),
        ("infuse", 10.0, 0.0, "above 0"),
        ("infuse", 10.0, 0.0123, "four digits of uL"),
        ("withdraw", 10.0, 1.0, "may only infuse"),
    ],
)
def test_what_the_station_or_four_digits_do_not_allow_is_refused_before_anything_is_sent(
    pump_at, verb, rate, volume, why, witness
):
    device = witness()
    pump = pump_at(device, direction="infuse")
    device.sent.clear()
    with pytest.raises(InstrumentRefusal, match=why):
        getattr(pump, verb)(rate, volume)
    assert device.sent == []


def test_a_count_is_not_let_run_over(pump_at, witness, watched):
    pump = pump_at(witness(), volume="10 mL", diameter="14.6 mm")
    pump.infuse(60_000.0, 5000.0)
    watched(pump, 310.0)
    with pytest.raises(InstrumentRefusal, match="clear the counts first"):
        pump.infuse(60_000.0, 5000.0)
    with pytest.raises(InstrumentRefusal, match="clear the counts first"):
        pump.infuse(60_000.0)
    pump.withdraw(60_000.0, 5000.0)


def test_a_running_pump_is_not_started_again_and_not_cleared(pump_at, witness):
    device = witness()
    pump = pump_at(device)
    pump.infuse(100.0)
    for command in (lambda: pump.infuse(50.0), lambda: pump.withdraw(50.0, 1.0), pump.clear_counts):
        with pytest.raises(InstrumentRefusal, match="is running; halt it first"):
            command()
    assert device.executed.count("RUN") == 1


def test_a_pause_at_the_pump_is_ended_so_that_a_start_begins_anew(pump_at, witness, watched):
    device = witness()
    pump = pump_at(device)
    pump.infuse(3600.0, 20.0)
    pump.clock.sleep(5.0)
    device.on_bytes(packet(b"0STP"), pump.clock.now())
    pump.infuse(3600.0, 10.0)
    watched(pump, 15.0)
    assert pump.syringe_state().infused_ul == pytest.approx(15.1, abs=0.2)


def test_a_rate_beyond_the_motor_is_refused_by_the_pump_in_its_words(pump_at, witness):
    with pytest.raises(InstrumentRefusal, match=r"refuses 'RAT1000UM': it is out of range \(\?OOR\)"):
        pump_at(witness()).infuse(60_000.0)


def test_another_pump_on_the_line_is_not_disturbed_and_does_not_disturb(pump_at, witness):
    device = witness(address=7)
    pump = pump_at(device, address=7)
    pump.infuse(100.0, 1.0)
    device.write(packet(b"3STP"), pump.clock.now())
    device.emit(packet(b"03A?S") + packet(b"03S"), pump.clock.now())
    assert pump.syringe_state().running == "infusing"
    assert pump.syringe_state().alarm == ""
