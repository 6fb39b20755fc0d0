"""What leaks through the septum, where the needle ends, and what the vent of the refill line does."""

import math

import numpy as np
import pytest

from instruments.clock import VirtualClock
from instruments.simulation.operator import OperatorError, SimulatedOperator
from instruments.simulation.properties import water_density
from instruments.simulation.signal import DeliveryProgram, ProgramError

DAY_S = 86_400.0
ON_STAGE = {"pusher": {"at": "reservoir", "needle": "stage", "gain_error": 0.0}, "reservoir": {"fill_ul": 10_000.0}}
AT_35_KPA = {"reservoir": {"fill_ul": 10_000.0}}  # half full
SWELLING = float(water_density(np.array([22.0]))[0] / water_density(np.array([37.0]))[0])


def needle(plant, to_mm, t):
    plant.actuators["needle_mm"].ramp(to_mm, 10.0, t)


def push(plant, ul, from_s, for_s=10.0):
    plant.actuators["pusher_ul_per_h"].write(ul / SWELLING / for_s * 3600.0, from_s - 0.1)
    plant.actuators["pusher_ul_per_h"].write(0.0, from_s + for_s - 0.1)


@pytest.mark.parametrize(("punctures", "nl_per_day"), [(0, 3.02), (500, 84.8), (1000, 2376.0)])
def test_the_leak_of_the_septum_grows_with_its_punctures(make_plant, punctures, nl_per_day):
    plant = make_plant(AT_35_KPA, {"septum": {"punctures_before": punctures}}, rate=None)
    leaked = plant.truth["septum_leak_volume_ul"].at(DAY_S / 4.0) * 4.0 * 1e3

    assert leaked == pytest.approx(1e-9 * math.exp(punctures / 150.0) * 35.0 * DAY_S * 1e3, rel=2e-3)
    assert leaked == pytest.approx(nl_per_day, rel=5e-3)


def test_coring_multiplies_the_leak_and_the_pump_loses_that_mass(make_plant):
    plant = make_plant(AT_35_KPA, rate=None, faults=(("septum-coring", 1000.0, 3600.0),))
    truth, t1 = plant.truth, 3600.0 + DAY_S / 4.0
    lost_mg = truth["pump_mass_gain_mg"].at(3600.0) - truth["pump_mass_gain_mg"].at(t1)
    leaked_ul = truth["septum_leak_volume_ul"].at(t1) - truth["septum_leak_volume_ul"].at(3600.0)

    assert 4.0 * leaked_ul == pytest.approx(3.02, rel=5e-3)
    assert lost_mg == pytest.approx(leaked_ul * plant.density_kg_per_m3(37.0) * 1e-3, rel=1e-4)
    assert truth["reservoir_pressure_kpa"].at(3600.0) - truth["reservoir_pressure_kpa"].at(t1) < 0.0005


def test_85_nl_a_day_move_the_meniscus_of_a_coupon_by_10_8_mm(make_plant):
    plant = make_plant({"septum": {"punctures_before": 500}}, rate=None)
    moved = plant.truth["capillary_mm"].at(DAY_S / 4.0) - plant.truth["capillary_mm"].at(0.0)

    assert 4.0 * moved == pytest.approx(10.8, rel=5e-3)


def test_a_needle_that_is_not_through_the_septum_fills_the_pocket_and_draws_nothing(make_plant):
    plant = make_plant(ON_STAGE, {"septum": {"leak_ul_per_s_kpa": 0.0}}, rate=None)
    push(plant, 100.0, 50.0)
    needle(plant, 20.0, 100.0)
    push(plant, 200.0, 150.0)
    needle(plant, 8.0, 200.0)  # drawn back into the septum
    push(plant, -50.0, 250.0)

    assert plant.truth["pocket_volume_ul"].at(140.0) == pytest.approx(100.0, abs=1e-6)
    assert plant.truth["reservoir_volume_ul"].at(300.0) == pytest.approx(10_200.0, abs=1e-6)
    assert plant.signals["pusher_pressure_kpa"].at(300.0) == pytest.approx(-50.0, rel=1e-3)


def test_a_needle_beside_the_port_meets_gel_and_no_stop(make_plant):
    true_force = {"stage": {"gain_error": 0.0, "zero_error_n": 0.0, "noise_n": 0.0}}
    plant = make_plant(ON_STAGE, true_force, rate=None, faults=(("needle-beside-port", 1.0, 0.0),))
    needle(plant, 20.3, 10.0)
    push(plant, 300.0, 100.0)

    assert plant.signals["stage_force_n"].at(60.0) == pytest.approx(0.02 * 15.3)
    assert plant.truth["punctures"].at(60.0) == 0.0
    assert plant.truth["pocket_volume_ul"].at(150.0) == pytest.approx(300.0, abs=1e-6)


def test_a_short_needle_pierces_later_and_does_not_feel_the_stop(make_plant):
    true_force = {"stage": {"gain_error": 0.0, "zero_error_n": 0.0, "noise_n": 0.0}}
    plants = [make_plant(true_force, rate=None, faults=f) for f in ((), (("short-needle", 5.0, 0.0),))]
    peaks = []
    for plant in plants:
        plant.actuators["needle_mm"].ramp(20.2, 1.0, 9.9)
        seen = plant.signals["stage_force_n"].samples(10.0, 0.01, 0, 1900)
        peaks.append(0.01 * int(seen[:1500].argmax()))

    assert peaks[1] - peaks[0] == pytest.approx(5.0, abs=0.02)
    assert [plant.signals["stage_force_n"].at(60.0) for plant in plants] == pytest.approx([0.45 + 4.0, 0.45], rel=1e-6)
    assert plants[1].signals["stage_position_mm"].at(60.0) == pytest.approx(20.2)


def test_an_open_vent_takes_what_is_pushed_and_lets_the_reservoir_out(make_plant):
    plant = make_plant(ON_STAGE, {"valves": {"port_vent_is_normally_open": 1}}, rate=None)
    plant.actuators["port_vent_valve"].write(1.0, 1.0)
    needle(plant, 20.0, 2.0)
    plant.actuators["port_vent_valve"].write(0.0, 100.0)
    plant.actuators["port_vent_valve"].write(1.0, 110.0)
    lost = plant.truth["reservoir_volume_ul"].at(100.0) - plant.truth["reservoir_volume_ul"].at(120.0)

    assert plant.truth["reservoir_volume_ul"].at(100.0) == pytest.approx(10_000.0, abs=1e-3)
    assert lost == pytest.approx(35.0 / 0.052 * 10.0, rel=0.02)  # 0.67 mL a second
    assert plant.truth["vented_volume_ul"].at(120.0) == pytest.approx(lost, rel=1e-6)
    assert plant.truth["syringe_mass_mg"].at(120.0) == pytest.approx(60_000.0)


def test_what_no_needle_draws_scatters_from_one_puncture_to_the_next(make_plant):
    plant = make_plant(ON_STAGE, {"reservoir": {"fill_ul": 300.0, "dead_spread_ul": 20.0}}, rate=None)
    left = []
    for k in range(6):
        needle(plant, 20.0, 100.0 * k + 1.0)
        push(plant, -400.0, 100.0 * k + 20.0)
        push(plant, 400.0, 100.0 * k + 40.0)
        needle(plant, 0.0, 100.0 * k + 80.0)
        left.append(plant.truth["reservoir_volume_ul"].at(100.0 * k + 35.0))

    assert len({round(volume, 6) for volume in left}) == 6
    assert np.mean(left) == pytest.approx(200.0, abs=25.0)


def test_a_scale_shows_a_syringe_without_the_buoyancy_of_what_has_left_it(make_plant):
    plant = make_plant(ON_STAGE, {"pusher": {"needle": "fixed", "at": "reservoir"}}, rate=None)
    push(plant, 5000.0, 100.0)
    truth = plant.truth
    shown, true = (60_000.0 - truth[name].at(200.0) for name in ("syringe_shown_mg", "syringe_mass_mg"))

    assert true / shown == pytest.approx(1.00105, abs=2e-5)  # at 22 degC, 1013 hPa and 50 %


def test_a_refill_sets_the_count_and_clears_the_alarm(make_plant):
    plant = make_plant({"reservoir": {"fill_ul": 2100.0}}, rate=None)
    plant.pump.load(DeliveryProgram("continuous", 1000.0), 0.0)
    plant.pump.start(0.0)
    assert "low-reservoir" in plant.pump.state(1000.0).alarms
    plant.pump.fill(18_000.0, 1000.0)
    later = plant.pump.state(4600.0)

    assert later.reservoir_ul == pytest.approx(17_000.0, abs=0.01)
    assert later.alarms == ()
    with pytest.raises(ProgramError, match="does not hold 21000 uL"):
        plant.pump.fill(21_000.0, 5000.0)


def test_the_log_keeps_the_alarm_before_a_refill_and_tells_the_one_after_it(make_plant):
    clock = VirtualClock()
    plant = make_plant({"reservoir": {"fill_ul": 2100.0}}, rate=None, clock=clock)
    plant.pump.load(DeliveryProgram("continuous", 1000.0), 0.0)
    plant.pump.start(0.0)
    plant.pump.fill(3000.0, 1000.0)
    clock.run(lambda: clock.sleep_until(6000.0))
    low = [t for t, text in plant.pump.log() if "low-reservoir" in text]

    assert low == pytest.approx([360.0, 4600.0], abs=0.5)


def test_whoever_starts_a_pump_after_the_onset_starts_another_program(make_plant):
    plant = make_plant(rate=None, faults=(("programming-error", 2.0, 0.0),))
    plant.pump.load(DeliveryProgram("flex", steps=((0.0, 20.0), (43_200.0, 40.0))), 10.0)
    held = plant.pump.program(11.0)
    plant.pump.start(12.0)
    plant.pump.stop(100.0)
    plant.pump.start(200.0)

    assert held is not None
    assert held.steps == ((0.0, 20.0), (43_200.0, 40.0))
    changed = plant.pump.program(300.0)
    assert changed is not None
    assert changed.steps == ((0.0, 40.0), (43_200.0, 80.0))
    assert plant.truth["programmed_volume_ul"].at(100.0) == pytest.approx(40.0 * 88.0 / 3600.0, rel=2e-3)


def test_the_operator_reads_label_graduation_and_moves_the_needle_as_told(make_plant):
    vial = {"vial": {"drug": "baclofen", "concentration_ug_per_ml": 500.0}}
    plant = make_plant(ON_STAGE, vial, rate=None, faults=(("wrong-concentration", 4.0, 0.0),))
    operator = SimulatedOperator(plant, VirtualClock(), seed=3)
    details = {"count": 3.0, "depth_mm": 18.0, "speed_mm_per_s": 10.0}
    done_s, _ = operator.respond("puncture-series", "confirm", "", details, 10.0)

    assert operator.respond("scan-vial", "text", "", {}, 0.0)[1] == "baclofen 2000 ug/mL"
    assert operator.respond("read-syringe", "number", "uL", {}, 0.0)[1] == pytest.approx(40_000.0, abs=250.0)
    assert plant.truth["punctures"].at(done_s + 30.0) == 3.0
    with pytest.raises(OperatorError, match="depth_mm"):
        operator.respond("insert-needle", "confirm", "", {}, 0.0)
