"""The simulated operator: answers after a while, does to the plant what the action says, and says what it cannot do."""

import math

import pytest

from instruments.clock import VirtualClock
from instruments.simulation.operator import MEASUREMENTS, SETTINGS, OperatorError, SimulatedOperator
from instruments.simulation.plant import PlantActuator, PlantMover
from instruments.simulation.programmer import parse, shown
from instruments.simulation.signal import (
    DeliveryProgram,
    PatientRule,
    PeriodicBolus,
    ProgramError,
    ProgrammedBolus,
)

CONTINUOUS = {"mode": "continuous", "rate_ul_per_h": 50.0}


@pytest.fixture
def operator(make_plant):
    """An operator at a plant whose pump holds no program."""
    plant = make_plant(rate=None)
    return SimulatedOperator(plant, VirtualClock(), seed=3)


def confirm(operator, action, at_s=0.0, **details):
    return operator.respond(action, "confirm", "", details, at_s)


def test_what_it_does_not_know_it_confirms_and_does_not_answer(operator):
    assert confirm(operator, "level-balance")[1] == "done"
    for kind, unit in (("number", "mm"), ("text", "")):
        with pytest.raises(OperatorError, match="does not know how to count-sheep"):
            operator.respond("count-sheep", kind, unit, {}, 0.0)


def test_reaction_times_have_their_median_and_depend_on_the_seed_alone(make_plant):
    plant = make_plant()

    def times(seed):
        operator = SimulatedOperator(plant, VirtualClock(), seed, reaction_s=20.0, spread=0.5)
        return [confirm(operator, "", 100.0)[0] - 100.0 for _ in range(400)]

    assert times(1) == times(1) != times(2)
    assert math.log(sorted(times(1))[200] / 20.0) == pytest.approx(0.0, abs=0.1)
    assert min(times(1)) > 0.0


@pytest.mark.parametrize("action", SETTINGS)
def test_the_plant_feels_an_action_before_it_is_confirmed(operator, monkeypatch, action):
    name, value = SETTINGS[action]
    written = []
    for how in (PlantActuator, PlantMover):
        monkeypatch.setattr(how, "write", lambda _, value, t: written.append((value, t)))
    monkeypatch.setattr(PlantMover, "ramp", lambda _, value, per_s, t: written.append((value, t)))
    details = {value: 12.5} if isinstance(value, str) else {}
    answered_s, said = confirm(operator, action, 1000.0, **details)
    assert said == "done"
    ((felt, t),) = written
    assert 1000.0 < t < answered_s
    assert felt == (12.5 if isinstance(value, str) else value)
    assert name in operator._plant.actuators


def test_a_weight_is_on_the_pan_until_it_is_taken_off(operator):
    load = operator._plant.signals["reference_load_mg"]
    on_s, _ = confirm(operator, "place-weight", 100.0, mass_mg=20_000.0)
    off_s, _ = confirm(operator, "remove-weight", 500.0)
    before, loaded, after = (load.at(t) for t in (99.0, on_s + 100.0, off_s + 100.0))
    assert loaded - before == pytest.approx(20_000.0, abs=5.0)
    assert after == pytest.approx(before, abs=5.0)


def test_an_action_without_what_it_needs_is_refused(operator):
    with pytest.raises(OperatorError, match='"mass_mg", a number, and is told None'):
        confirm(operator, "place-weight")


@pytest.mark.parametrize(("action", "truth"), [("measure-height", "mm"), ("weigh-syringe", "mg")])
def test_it_measures_the_truth_with_an_error_and_to_the_resolution_in_its_hand(operator, action, truth):
    name, unit, sd, resolution = MEASUREMENTS[action]
    read = [operator.respond(action, "number", unit, {}, 0.0)[1] for _ in range(100)]
    true = operator._plant.truth[name].at(60.0)
    assert unit == truth
    assert sum(read) / 100.0 == pytest.approx(true, abs=0.5 * sd)
    assert all(abs(value / resolution - round(value / resolution)) < 1e-9 for value in read)
    assert len(set(read)) > 1
    with pytest.raises(OperatorError, match='not in "in"'):
        operator.respond(action, "number", "in", {}, 0.0)


def test_a_changed_vessel_is_empty_again(make_plant):
    plant = make_plant({"balance": {"noise_mg": 0.0, "vibration_mg": 0.0}})
    load = plant.signals["reference_load_mg"]
    before = load.at(3600.0 * 24)
    answered_s, _ = SimulatedOperator(plant, VirtualClock(), 3).respond("change-vessel", "confirm", "", {}, 86400.0)
    lifted = min(load.at(86400.0 + k) for k in range(int(answered_s - 86400.0)))
    assert lifted < 0.01 * before
    assert before - load.at(answered_s + 60.0) == pytest.approx(1000.0, abs=200.0)


def test_a_vessel_that_was_changed_overflows_only_when_it_is_full_itself(make_plant):
    plant = make_plant(rate=500.0, faults=(("vessel-overflow", 5200.0, 0.0),))
    SimulatedOperator(plant, VirtualClock(), 3).respond("change-vessel", "confirm", "", {}, 1200.0)
    spilled = plant.truth["spilled_mg"]
    assert spilled.at(2400.0) == 0.0  # 333 uL in all, of which the second vessel has half
    assert spilled.at(2880.0) > 0.0


def test_a_reference_is_brought_where_it_is_wanted_and_read(operator):
    plant = operator._plant
    at_s, shown = operator.respond("set-reference", "number", "kPa", {"value": 20.0, "channel": "daq.outlet"}, 100.0)
    assert shown == pytest.approx(20.0, abs=0.025)
    assert plant.signals["controller_pressure_kpa"].at(at_s + 20.0) == pytest.approx(20.0, abs=0.1)
    with pytest.raises(OperatorError, match="has a reference in kPa and mg"):
        operator.respond("set-reference", "number", "degC", {"value": 20.0}, 200.0)


# ------------------------------------------------------------------------------------------------- the programmer


def read(operator, field, unit="", at_s=1000.0, **details):
    return operator.respond("read-programmer", "text", unit, {"field": field, **details}, at_s)[1]


def test_a_pump_is_programmed_started_and_stopped_by_hand(operator):
    pump = operator._plant.pump
    at_s, _ = confirm(operator, "program-pump", 0.0, **CONTINUOUS)
    assert pump.program(at_s) == DeliveryProgram("continuous", 50.0)
    assert not pump.state(at_s).running
    started_s, _ = confirm(operator, "start-pump", at_s)
    assert pump.state(started_s).running
    stopped_s, _ = confirm(operator, "stop-pump", 5000.0)
    assert not pump.state(stopped_s).running


def test_the_screen_shows_what_the_pump_holds(operator):
    confirm(operator, "program-pump", 0.0, **CONTINUOUS)
    assert read(operator, "mode") == "continuous"
    assert read(operator, "rate_ul_per_h", "uL/h") == 50.0
    assert read(operator, "running") == "stopped"
    assert read(operator, "reservoir_ul", "uL") == pytest.approx(operator._plant.draws["reservoir.fill_ul"])
    assert read(operator, "alarms") == "none"
    assert read(operator, "serial") == operator._plant.pump.serial
    assert read(operator, "others", asked="mode rate_ul_per_h") == "nothing else"
    assert read(operator, "others", asked="mode") == "something else"


@pytest.mark.parametrize(("field", "unit"), [("dose", ""), ("reservoir_ul", "mL")])
def test_what_the_screen_does_not_show_is_not_made_up(operator, field, unit):
    with pytest.raises(OperatorError, match="read-programmer"):
        read(operator, field, unit)


def test_a_bolus_is_granted_or_refused_by_the_pump(operator):
    bolus = {"kind": "single", "volume_ul": 10.0, "duration_s": 600.0}
    confirm(operator, "program-pump", 0.0, **CONTINUOUS)
    assert operator.respond("request-bolus", "text", "", bolus, 500.0)[1] == "refused"
    confirm(operator, "start-pump", 1000.0)
    assert operator.respond("request-bolus", "text", "", bolus, 2000.0)[1] == "granted"


def test_what_the_programmer_refuses_is_said(operator):
    with pytest.raises(OperatorError, match=r"refuses program-pump: rate .* is outside"):
        confirm(operator, "program-pump", **CONTINUOUS | {"rate_ul_per_h": 1e6})
    with pytest.raises(OperatorError, match="no program to start"):
        confirm(operator, "start-pump")


PROGRAMS = (
    DeliveryProgram(),
    DeliveryProgram("continuous", 41.6, drug="baclofen", concentration_ug_per_ml=2000.0),
    DeliveryProgram("flex", steps=((0.0, 24.0), (28800.0, 48.0))),
    DeliveryProgram(
        "continuous",
        20.0,
        boluses=(ProgrammedBolus(60.0, 5.0, 300.0), ProgrammedBolus(600.0, 6.0, 300.0, "bridge")),
        periodic=PeriodicBolus(2.0, 60.0, 3600.0, 600.0),
        patient=PatientRule(3.0, 60.0, 7200.0, 4, "rolling"),
    ),
)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.mode)
def test_a_program_entered_value_by_value_is_the_program_that_is_shown(program):
    assert parse(shown(program)) == program


@pytest.mark.parametrize(
    "wrong", [{"mode": "fast"}, {"mode": "continuous"}, {"mode": "continuous", "rate_ul_per_h": "x"}]
)
def test_a_program_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ProgramError):
        parse(wrong)


def test_a_reservoir_is_filled_by_weight_whatever_was_in_it_and_swells_in_the_pump(make_plant):
    plant = make_plant(rate=500.0)
    operator = SimulatedOperator(plant, VirtualClock(), 3)
    holds = plant.truth["reservoir_volume_ul"]

    for asked_s, volume_ul in ((600.0, 4000.0), (3600.0, 15000.0)):
        answered_s, said = operator.respond("fill-reservoir", "number", "uL", {"volume_ul": volume_ul}, asked_s)
        since_ul = 500.0 / 3600.0 * 0.4 * (answered_s - asked_s)
        assert said == volume_ul
        assert holds.at(answered_s) == pytest.approx(volume_ul * 998.21 / 993.33 - since_ul, abs=60.0)
