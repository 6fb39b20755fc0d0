"""Faults that show only after a start, after a change of the program, or when a patient asks."""

import pytest

from instruments.simulation.signal import DeliveryProgram, PatientRule

RATE = 1000.0 / 24.0
START = 600.0
HOUR = 3600.0


def delivered(plant, t0, t1, what="vessel_volume_ul"):
    return plant.truth[what].at(t1) - plant.truth[what].at(t0)


def started(make_plant, ideal_pump, *faults):
    plant = make_plant(ideal_pump, rate=None, faults=faults)
    plant.pump.load(DeliveryProgram("continuous", RATE), 0.0)
    plant.pump.start(START)
    return plant


def test_a_rotor_that_sticks_delivers_nothing_for_its_time_and_never_makes_up_for_it(make_plant, ideal_pump):
    plant = started(make_plant, ideal_pump, ("late-start", 1200.0, 0.0))

    assert delivered(plant, START, START + 1199.0) == pytest.approx(0.0, abs=0.01)
    assert delivered(plant, START, START + HOUR) == pytest.approx(RATE * 2.0 / 3.0, abs=0.05)
    assert delivered(plant, START, START + HOUR, "programmed_volume_ul") == pytest.approx(RATE, abs=0.01)
    plant.pump.stop(START + 2.0 * HOUR)
    plant.pump.start(START + 3.0 * HOUR)
    assert delivered(plant, START + 3.0 * HOUR, START + 4.0 * HOUR) == pytest.approx(RATE * 2.0 / 3.0, abs=0.05)


def test_a_fault_that_begins_after_the_start_leaves_it_alone(make_plant, ideal_pump):
    plant = started(make_plant, ideal_pump, ("late-start", 1200.0, START + 100.0))

    assert delivered(plant, START, START + HOUR) == pytest.approx(RATE, abs=0.05)


def test_an_overshoot_lasts_half_an_hour_after_each_change_of_a_running_program(make_plant, ideal_pump):
    plant = started(make_plant, ideal_pump, ("set-point-overshoot", 1.5, 0.0))
    changed = START + 2.0 * HOUR
    plant.pump.load(DeliveryProgram("continuous", 2.0 * RATE), changed)

    assert delivered(plant, START, changed) == pytest.approx(2.0 * RATE, abs=0.05)  # the start is no change
    assert delivered(plant, changed, changed + 1800.0) == pytest.approx(1.5 * RATE, abs=0.1)  # the line fills at first
    assert delivered(plant, changed + 1800.0, changed + HOUR) == pytest.approx(RATE, abs=0.05)


def answers(make_plant, ideal_pump, *faults):
    """What a pump with a lockout of 1 h and two boluses a day answers at 0, 30, 65 and 130 min."""
    plant = make_plant(ideal_pump, rate=None, faults=faults)
    rule = PatientRule(10.0, 60.0, HOUR, 2, "rolling")
    plant.pump.load(DeliveryProgram("continuous", RATE, patient=rule), 0.0)
    plant.pump.start(0.0)
    return [plant.pump.bolus(10.0, 60.0, "patient", START + m * 60.0) for m in (0.0, 30.0, 65.0, 130.0)]


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ((), ["ok", "refused:lockout", "ok", "refused:daily-maximum"]),
        ((("lockout-ignored", 1.0, 0.0),), ["ok", "ok", "refused:daily-maximum", "refused:daily-maximum"]),
        ((("daily-maximum-ignored", 1.0, 0.0),), ["ok", "refused:lockout", "ok", "ok"]),
    ],
)
def test_a_patients_request_is_answered_by_the_rule_unless_the_pump_ignores_it(make_plant, ideal_pump, faults, said):
    assert answers(make_plant, ideal_pump, *faults) == said
