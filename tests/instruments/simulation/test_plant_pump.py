"""What the pump commands, counts, refuses and reports, and how its three drives deliver."""

from dataclasses import asdict, replace
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import schedule as schedule_of
from data.schedule import Bolus
from instruments.clock import VirtualClock
from instruments.instrument import Connection, load_driver
from instruments.simulation import delivery
from instruments.simulation.devices.pump_link import PumpLinkDevice
from instruments.simulation.drive import stroke_curve
from instruments.simulation.signal import (
    DeliveryProgram,
    PatientRule,
    PeriodicBolus,
    ProgramError,
    ProgrammedBolus,
)
from instruments.simulation.visalib import SimulatedVisa

STILL = {"pump": {"clock_error_ppm": 0.0}}
FLEX = DeliveryProgram("flex", steps=((0.0, 24.0), (28800.0, 48.0), (64800.0, 12.0)))


def volume(program, tau_s, clock_s=0.0):
    return float(delivery.volume_ul(program, np.array([tau_s]), clock_s)[0])


# ---------------------------------------------------------------------------------------------- commanded volume


def test_a_day_of_flex_steps_has_the_sum_of_its_steps():
    assert volume(FLEX, 86400.0) == pytest.approx(8 * 24.0 + 10 * 48.0 + 6 * 12.0)
    assert volume(FLEX, 86400.0, 30000.0) == pytest.approx(8 * 24.0 + 10 * 48.0 + 6 * 12.0)
    assert volume(FLEX, 3600.0, 28800.0 - 1800.0) == pytest.approx(12.0 + 24.0)


def test_a_bolus_adds_to_the_basal_rate():
    program = DeliveryProgram("continuous", 36.0, boluses=(ProgrammedBolus(100.0, 5.0, 50.0),))

    assert volume(program, 100.0) == pytest.approx(1.0)
    assert volume(program, 125.0) == pytest.approx(1.25 + 2.5)
    assert volume(program, 1000.0) == pytest.approx(10.0 + 5.0)


def test_a_bridge_replaces_the_basal_rate_while_it_runs():
    program = DeliveryProgram("continuous", 100.0, boluses=(ProgrammedBolus(3600.0, 60.0, 7200.0, "bridge"),))

    assert [volume(program, 3600.0 * h) for h in (1.0, 2.0, 3.0, 4.0)] == pytest.approx([100.0, 130.0, 160.0, 260.0])
    assert [delivery.rate_ul_per_h(program, t, 0.0) for t in (3599.0, 3600.0, 10_800.0)] == [100.0, 30.0, 100.0]


def test_a_second_bridge_waits_for_the_end_of_the_first(make_plant):
    first, second = ProgrammedBolus(0.0, 60.0, 7200.0, "bridge"), ProgrammedBolus(7199.0, 60.0, 7200.0, "bridge")
    plant = make_plant(rate=None)
    with pytest.raises(ProgramError, match="two bridge boluses overlap"):
        plant.pump.load(DeliveryProgram("continuous", 100.0, boluses=(first, second)), 0.0)
    plant.pump.load(DeliveryProgram("continuous", 100.0, boluses=(first,)), 0.0)
    plant.pump.start(0.0)
    assert plant.pump.bolus(60.0, 7200.0, "bridge", 3600.0) == "refused:bridge"
    assert plant.pump.bolus(60.0, 7200.0, "single", 3600.0) == "ok"
    assert plant.pump.bolus(60.0, 7200.0, "bridge", 7300.0) == "ok"


def test_a_daily_pattern_goes_on_behind_a_bridge_and_changes_no_rate_there():
    program = replace(FLEX, boluses=(ProgrammedBolus(28_000.0, 60.0, 7200.0, "bridge"),))

    assert delivery.next_edge_s(program, 28_000.0, 0.0) == 35_200.0
    assert [delivery.rate_ul_per_h(program, t, 0.0) for t in (28_800.0, 35_200.0)] == [30.0, 48.0]


def test_periodic_boluses_come_at_their_interval():
    program = DeliveryProgram("stopped", periodic=PeriodicBolus(2.0, 60.0, 3600.0, 600.0))

    assert [volume(program, t) for t in (0.0, 600.0, 630.0, 660.0, 4199.0, 4260.0)] == pytest.approx(
        [0.0, 0.0, 1.0, 2.0, 2.0, 4.0]
    )


planned = st.builds(
    ProgrammedBolus,
    st.floats(0.0, 2e5),
    st.floats(0.1, 50.0),
    st.floats(1.0, 3600.0),
    st.sampled_from(["single", "bridge"]),
)
programs = st.builds(
    DeliveryProgram,
    mode=st.sampled_from(["stopped", "continuous", "flex"]),
    rate_ul_per_h=st.floats(2.0, 500.0),
    steps=st.just(FLEX.steps),
    boluses=st.lists(planned, max_size=3).map(tuple),
    periodic=st.none()
    | st.builds(PeriodicBolus, st.floats(0.1, 9.0), st.floats(1.0, 600.0), st.floats(600.0, 9e4), st.floats(0.0, 9e4)),
)


@given(program=programs, tau=st.floats(0.0, 3e5), clock=st.floats(0.0, 86400.0))
@settings(max_examples=200, deadline=None)
def test_between_edges_volume_grows_by_rate_times_time(program, tau, clock):
    edge = min(delivery.next_edge_s(program, tau, clock), tau + 1e5)
    rate = delivery.rate_ul_per_h(program, 0.5 * (tau + edge), clock)

    assert volume(program, edge, clock) - volume(program, tau, clock) == pytest.approx(
        rate * (edge - tau) / 3600.0, abs=1e-6
    )


def without_overlap(bridges):
    """A few bridges one after the other, from pauses, volumes and durations."""
    ends = accumulate(pause + duration for pause, _, duration in bridges)
    return [Bolus(end - d, v, d, "bridge") for end, (_, v, d) in zip(ends, bridges, strict=True)]


seconds, doses = st.integers(1, 40_000).map(float), st.floats(0.1, 90.0)
turns = st.builds(
    lambda volume, duration, pause, first: schedule_of.PeriodicBolus(volume, duration, duration + pause, first),
    doses,
    seconds,
    seconds,
    seconds,
)
schedules = st.builds(
    schedule_of.Schedule,
    st.sampled_from([schedule_of.Stopped(), schedule_of.Flex(FLEX.steps)])
    | st.builds(schedule_of.Continuous, st.floats(2.0, 500.0)),
    st.tuples(
        st.lists(st.tuples(seconds, doses, seconds), max_size=3).map(without_overlap),
        st.lists(st.builds(Bolus, seconds, doses, seconds, st.sampled_from(["single", "priming"])), max_size=3),
    ).map(lambda kinds: (*kinds[0], *kinds[1])),
    st.none() | turns,
    pump_day_offset_s=st.integers(0, 86_399).map(float),
)


@given(schedule=schedules, times=st.lists(st.floats(0.0, 3e5), min_size=1, max_size=5).map(sorted))
@settings(max_examples=200, deadline=None)
def test_the_pump_counts_what_its_schedule_says(schedule, times):
    program = DeliveryProgram(
        type(schedule.basal).__name__.lower(),
        getattr(schedule.basal, "rate_ul_per_h", 0.0),
        getattr(schedule.basal, "steps", ()),
        tuple(ProgrammedBolus(b.at_s, b.volume_ul, b.duration_s, b.kind) for b in schedule.boluses),
        schedule.periodic and PeriodicBolus(**asdict(schedule.periodic)),
    )
    counted = delivery.volume_ul(program, np.array(times), schedule.pump_day_offset_s)

    assert counted == pytest.approx(schedule.expected_volume_ul(0.0, np.array(times)), rel=1e-11, abs=1e-6)


@pytest.mark.parametrize("kind", ["single", "priming", "bridge"])
def test_a_schedule_that_came_over_the_pump_link_is_counted_as_it_was_meant(make_plant, kind):
    clock = VirtualClock()
    library = SimulatedVisa(clock, {"ASRL1::INSTR": PumpLinkDevice(make_plant(STILL, rate=None, clock=clock).pump)})
    driver = load_driver("pump-link")
    settings_ = driver.settings_type.model_validate({"resource": "ASRL1::INSTR"})
    link = driver("pump", settings_, clock, Connection.through(library))
    schedule = schedule_of.Schedule(schedule_of.Continuous(100.0), (Bolus(3600.0, 60.0, 7200.0, kind),))
    link.open()
    link.program(schedule)
    link.start()
    start = clock.now()
    for hours in (0.5, 1.0, 2.0, 3.0, 4.0):
        clock.sleep_until(start + hours * 3600.0)
        assert link.status().delivered_ul == pytest.approx(schedule.expected_volume_ul(0.0, hours * 3600.0), rel=1e-3)


def test_a_bridge_needs_no_room_above_the_basal_rate(make_plant):
    pump = make_plant(rate=None).pump
    program = DeliveryProgram("continuous", 900.0, boluses=(ProgrammedBolus(0.0, 10.0, 60.0, "bridge"),))
    pump.load(program, 0.0)

    assert pump.program(0.0) == program


@pytest.mark.parametrize(
    ("program", "code"),
    [
        (DeliveryProgram("continuous", 1.0), 4),
        (DeliveryProgram("continuous", 1001.0), 4),
        (DeliveryProgram("continuous", float("nan")), 4),
        (DeliveryProgram("flex", steps=((0.0, 24.0), (3600.0, 0.5))), 4),
        (DeliveryProgram("flex", steps=((60.0, 24.0),)), 3),
        (DeliveryProgram("flex"), 3),
        (DeliveryProgram("continuous", 900.0, boluses=(ProgrammedBolus(0.0, 10.0, 60.0),)), 4),
        (DeliveryProgram("continuous", 90.0, boluses=(ProgrammedBolus(0.0, 20.0, 60.0, "bridge"),)), 4),
        (DeliveryProgram("continuous", 90.0, boluses=(ProgrammedBolus(-1.0, 1.0, 60.0),)), 3),
        (DeliveryProgram("continuous", 90.0, periodic=PeriodicBolus(1.0, 60.0, 30.0)), 3),
        (DeliveryProgram("continuous", 90.0, patient=PatientRule(1.0, 60.0, -1.0, 3)), 3),
    ],
)
def test_a_program_that_the_pump_cannot_hold_is_refused(make_plant, program, code):
    pump = make_plant(rate=None).pump
    with pytest.raises(ProgramError) as error:
        pump.load(program, 0.0)

    assert error.value.code == code
    assert pump.program(0.0) is None


# --------------------------------------------------------------------------------------------- commands and counts


def test_the_pump_counts_what_it_was_told_and_not_what_it_delivers(make_plant):
    plant = make_plant(STILL, faults=(("over-delivery", 1.5, 0.0),))
    state = plant.pump.state(86400.0)

    assert state.delivered_ul == pytest.approx(1000.0, abs=0.01)
    assert state.reservoir_ul == pytest.approx(17000.0, abs=0.01)
    assert plant.truth["pump_volume_ul"].at(21_600.0) == pytest.approx(375.0, rel=5e-3)


def test_a_stopped_pump_delivers_nothing_and_starts_its_program_anew(make_plant):
    plant = make_plant(STILL, rate=None)
    plant.pump.load(DeliveryProgram("continuous", 36.0, boluses=(ProgrammedBolus(60.0, 1.0, 10.0),)), 0.0)
    with pytest.raises(ProgramError):
        make_plant(rate=None).pump.start(0.0)
    assert not plant.pump.state(50.0).running
    plant.pump.start(50.0)
    plant.pump.stop(1050.0)
    plant.pump.start(2050.0)
    programmed = plant.truth["programmed_volume_ul"]

    assert programmed.at(50.0) == 0.0
    assert programmed.at(1060.0) == programmed.at(2050.0) == pytest.approx(11.0, abs=1e-9)
    assert programmed.at(3050.1) == pytest.approx(22.0, abs=1e-9)
    assert plant.pump.state(50.0).running  # at once, though the motor moves from the next grid point


def test_a_program_loaded_into_a_running_pump_goes_on_from_there(make_plant):
    plant = make_plant(STILL, rate=36.0)
    plant.pump.load(DeliveryProgram("continuous", 72.0), 999.95)

    assert plant.truth["programmed_volume_ul"].at(2000.0) == pytest.approx(9.999 + 20.0)
    assert plant.pump.state(1000.0).mode == "continuous"


def test_flex_steps_follow_the_pumps_own_clock(make_plant):
    fast = {"pump": {"clock_error_ppm": 100.0, "clock_offset_s": 28000.0}}
    plant = make_plant(fast, rate=None)
    plant.pump.load(FLEX, 0.0)
    plant.pump.start(0.0)
    programmed = plant.truth["programmed_volume_ul"]
    first = (programmed.at(700.0) - programmed.at(600.0)) * 36.0
    second = (programmed.at(900.0) - programmed.at(820.0)) * 45.0

    assert [first, second] == pytest.approx([24.0024, 48.0048], rel=1e-6)
    assert plant.pump.state(1000.0).clock_s == pytest.approx(28000.0 + 1000.1)
    assert plant._model.pump.next_change_s(100.0) == pytest.approx(800.0 / 1.0001, abs=1e-3)


PATIENT = DeliveryProgram("continuous", 10.0, patient=PatientRule(5.0, 120.0, 3600.0, 3))


def requests(make_plant, rule_day, times, offset=0.0):
    plant = make_plant({"pump": {"clock_error_ppm": 0.0, "clock_offset_s": offset}}, rate=None)
    rule = PatientRule(5.0, 120.0, 3600.0, 3, rule_day)
    plant.pump.load(DeliveryProgram("continuous", 10.0, patient=rule), 0.0)
    plant.pump.start(0.0)
    return [plant.pump.bolus(99.0, 1.0, "patient", t).removeprefix("refused:") for t in times], plant


def test_patient_boluses_keep_lockout_and_daily_maximum(make_plant):
    answers, plant = requests(make_plant, "calendar", [100.0, 3699.0, 3700.0, 7300.0, 10900.0, 86400.0])

    assert answers == ["ok", "lockout", "ok", "ok", "daily-maximum", "ok"]
    assert plant.truth["programmed_volume_ul"].at(20000.0) == pytest.approx(20000.0 / 360.0 + 15.0, abs=1e-3)
    assert plant.pump.program(20000.0).boluses == ()


def test_a_rolling_day_counts_back_from_the_request(make_plant):
    times = [72000.0, 76000.0, 80000.0, 87000.0, 158399.0, 158401.0]

    assert requests(make_plant, "rolling", times)[0] == ["ok", "ok", "ok", "daily-maximum", "daily-maximum", "ok"]
    assert requests(make_plant, "calendar", times)[0][3] == "ok"


def test_boluses_are_refused_with_their_reason(make_plant):
    pump = make_plant(rate=None).pump
    assert pump.bolus(1.0, 60.0, "single", 0.0) == "refused:no-program"
    pump.load(DeliveryProgram("continuous", 10.0), 0.0)
    assert pump.bolus(1.0, 60.0, "single", 1.0) == "refused:stopped"
    pump.start(2.0)
    assert pump.bolus(1.0, 60.0, "patient", 3.0) == "refused:no-program"
    assert pump.bolus(100.0, 60.0, "single", 3.0) == "refused:range"
    assert pump.bolus(1.0, 60.0, "priming", 3.0) == "ok"
    stalled = make_plant(faults=(("motor-stall", 1.0, 10.0),)).pump
    assert stalled.bolus(1.0, 60.0, "single", 1000.0) == "ok"
    assert stalled.bolus(1.0, 60.0, "single", 3000.0) == "refused:stalled"


def test_alarms_are_raised_and_logged(make_plant):
    clock = VirtualClock()
    plant = make_plant(STILL, {"reservoir": {"fill_ul": 2100.0}}, clock=clock, faults=(("motor-stall", 1.0, 5e4),))
    clock.sleep_until(86400.0 * 3)

    assert plant.pump.state(8000.0).alarms == ()
    assert plant.pump.state(9000.0).alarms == ("low-reservoir",)
    assert plant.pump.state(60000.0).alarms == ("low-reservoir", "stall")
    assert plant.pump.state(86400.0 * 3).alarms == ("empty-reservoir", "low-reservoir", "stall")
    log = plant.pump.log()
    assert [text for _, text in log][:2] == ["program: continuous", "delivery started"]
    assert [round(t) for t, text in log if "low-reservoir" in text] == [8640]
    assert [round(t) for t, text in log if "stall" in text] == [51800]


def test_a_pump_stopped_for_two_days_complains_until_it_starts(make_plant):
    plant = make_plant()
    plant.pump.stop(100.0)
    assert plant.pump.state(172801.0).alarms == ()
    assert plant.pump.state(172900.0).alarms == ("stopped-too-long",)
    plant.pump.start(173000.0)
    assert plant.pump.state(173000.0).alarms == ()


# -------------------------------------------------------------------------------------------------------- drives


def test_a_stroke_displaces_its_volume_whatever_its_shape():
    curve = stroke_curve(np.array([0.0, 1.0]), 0.105, 0.058, 0.12)

    assert curve == pytest.approx([0.0, 1.0], abs=1e-15)


def test_the_motor_moves_in_whole_steps(make_plant, ideal_pump):
    plant = make_plant(ideal_pump, rate=20.0)
    moved = np.diff(plant.truth["pump_volume_ul"].samples(0.0, 0.1, 0, 6000)) / (10.0 / 2880.0)

    assert set(np.round(moved).astype(int)) == {0, 1}
    assert np.allclose(moved, np.round(moved), atol=1e-6)


TRUMPET = {15: (1.78, -1.28), 60: (1.60, 0.41), 150: (1.03, 0.86), 930: (1.04, 0.96)}


def test_the_trumpet_of_a_healthy_pump_narrows_to_its_mean_error(make_plant, ideal_pump, wide_sensor):
    rollers = {"pump": {"mean_error": 0.01, "stroke_ripple": 0.105, "dip_volume": 0.058}}
    plant = make_plant(ideal_pump, rollers, wide_sensor)  # the prototype's line
    v = plant.truth["tip_volume_ul"].samples(7200.0, 60.0, 0, 1501)

    def extremes(minutes, grid):
        mean = (v[minutes::grid] - v[: len(v) - minutes : grid]) / minutes / (1000.0 / 1440.0)
        return 100.0 * (mean.max() - 1.0), 100.0 * (mean.min() - 1.0)

    highs, lows = zip(*(extremes(minutes, 15) for minutes in (15, 60, 150, 330, 570, 930)), strict=True)
    assert 100.0 * ((v[-1] - v[0]) / (1500.0 * 1000.0 / 1440.0) - 1.0) == pytest.approx(1.0, abs=0.02)
    assert list(highs[:3]) == sorted(highs[:3], reverse=True)
    assert list(lows[:3]) == sorted(lows[:3])
    assert [highs[-1], lows[-1]] == pytest.approx([1.0, 1.0], abs=0.06)
    for minutes, (high, low) in TRUMPET.items():
        assert extremes(minutes, 15) == pytest.approx((high, low), abs=0.35)
    assert extremes(1, 1) == pytest.approx((16.6, -31.3), abs=1.5)


def test_error_terms_add_up(make_plant, ideal_pump):
    terms = {
        "pump": {"mean_error": 0.02, "temperature_coefficient_per_k": 0.001, "wear_per_day": 0.012},
        "bath": {"setpoint_degc": 33.0},
    }
    plant = make_plant(ideal_pump, terms)

    pumped = plant.truth["pump_volume_ul"].at(14400.0) - plant.truth["pump_volume_ul"].at(0.0)
    assert pumped * 6.0 / 1000.0 == pytest.approx(1.02 - 0.004 + 0.001, abs=5e-5)


def test_an_almost_empty_reservoir_starves_the_pump_and_never_goes_below_zero(make_plant):
    plant = make_plant(STILL, {"reservoir": {"fill_ul": 1500.0}}, rate=1000.0)
    left = plant.truth["reservoir_volume_ul"].samples(0.0, 600.0, 0, 40)

    assert left.min() >= -1e-9  # of rounding
    assert left[-1] < 1.0
    assert plant.truth["reservoir_pressure_kpa"].at(39 * 600.0) < 0.1


GAS = {
    "pump": {"kind": "gas-driven", "gas_flow_ul_per_h": 1000.0 / 24.0},
    "reservoir": {"pressure_kpa": 60.0, "fill_ul": 10000.0, "bellows_kpa_per_ml": 0.0},
    "outlet": {"static_head_kpa": 1.3},
}


def gas_flow(make_plant, degc=37.0, hpa=1013.25):
    plant = make_plant(GAS, {"bath": {"setpoint_degc": degc}, "laboratory": {"pressure_hpa": hpa}}, rate=None)
    pumped = plant.truth["pump_volume_ul"]
    return pumped.at(1200.0) - pumped.at(600.0)


@pytest.mark.parametrize(("degc", "ratio"), [(35, 0.794), (36, 0.894), (38, 1.112), (39, 1.231)])
def test_a_gas_driven_pump_follows_its_temperature(make_plant, degc, ratio):
    assert gas_flow(make_plant, degc=float(degc)) / gas_flow(make_plant) == pytest.approx(ratio, abs=1e-3)


@pytest.mark.parametrize(("hpa", "ratio"), [(954.6, 1.10), (898.7, 1.195), (845.6, 1.286), (756.3, 1.438)])
def test_a_gas_driven_pump_runs_faster_at_altitude(make_plant, hpa, ratio):
    assert gas_flow(make_plant, hpa=hpa) / gas_flow(make_plant) == pytest.approx(ratio, abs=2e-3)


@pytest.mark.parametrize(("degc", "gauge_kpa"), [(20, -11), (25, 6), (30, 27), (35, 50), (37, 60), (40, 76)])
def test_the_reservoir_has_the_pressure_of_its_vapour(make_plant, degc, gauge_kpa):
    plant = make_plant(GAS, {"bath": {"setpoint_degc": float(degc)}}, rate=None)

    assert plant.truth["reservoir_pressure_kpa"].at(10.0) == pytest.approx(gauge_kpa, abs=1.0)


def test_a_gas_driven_pump_takes_no_program_and_cannot_be_stopped(make_plant):
    plant = make_plant(GAS, rate=None)
    with pytest.raises(ProgramError):
        plant.pump.load(DeliveryProgram("continuous", 10.0), 0.0)
    plant.pump.stop(10.0)

    assert plant.pump.state(20.0).running
    assert plant.truth["pump_volume_ul"].at(3600.0) == pytest.approx(41.67 * (1.0 - 1.3 / 60.0), rel=1e-3)


def test_a_valve_gated_pump_delivers_in_shots(make_plant):
    shots = {"pump": {"kind": "valve-gated", "mean_error": 0.0, "clock_error_ppm": 0.0}}
    plant = make_plant(shots, {"reservoir": {"fill_ul": 10000.0}})
    pumped = plant.truth["pump_volume_ul"].samples(0.0, 0.1, 0, 36001)
    starts = np.flatnonzero(np.diff(pumped) > 0.1) / 10.0

    assert np.diff(starts[np.diff(starts, prepend=-100.0) > 10.0]) == pytest.approx(172.8, abs=0.11)
    assert pumped[-1] == pytest.approx(2.0 * 20, rel=1e-2)
    first = round(starts[0] * 10.0)
    assert pumped[first + 5] / 2.0 == pytest.approx(1.0 - np.exp(-1.0), abs=0.05)


# ------------------------------------------------------------------------------------------ faults that it knows of


def test_a_jump_of_the_pumps_clock_shifts_its_daily_pattern_and_loses_no_volume(make_plant):
    plant = make_plant(STILL, rate=None, faults=(("pump-clock-offset", 3600.0, 20_000.0),))
    plant.pump.load(FLEX, 0.0)
    plant.pump.start(0.0)
    programmed = plant.truth["programmed_volume_ul"]
    steps = np.diff(programmed.samples(0.0, 0.1, 0, 400_000)) * 36_000.0

    assert steps[[200_000, 251_990, 252_010, 399_000]] == pytest.approx([24.0, 24.0, 48.0, 48.0], rel=1e-6)
    assert steps[1:].min() == pytest.approx(24.0, rel=1e-6)
    assert plant.pump.clock_s(20_001.0) - plant.pump.clock_s(19_999.0) == pytest.approx(3602.0)
    assert plant.pump.state(30_000.0).clock_s == pytest.approx(33_600.0)
    assert plant._model.pump.next_change_s(20_001.0) == pytest.approx(25_200.0, abs=0.1)


def test_a_jump_of_the_clock_leaves_boluses_where_they_count_from_the_start(make_plant):
    program = DeliveryProgram("flex", steps=FLEX.steps, boluses=(ProgrammedBolus(2000.0, 5.0, 50.0),))
    plants = [make_plant(STILL, rate=None, faults=f) for f in ((), (("pump-clock-offset", -600.0, 1000.0),))]
    for plant in plants:
        plant.pump.load(program, 0.0)
        plant.pump.start(0.0)
        plant.pump.stop(4000.0)
        plant.pump.start(5000.0)
    volumes = [p.truth["programmed_volume_ul"].samples(0.0, 10.0, 0, 800) for p in plants]

    assert volumes[0] == pytest.approx(volumes[1], abs=1e-9)


def test_a_stopped_pump_whose_clock_jumps_still_counts_two_days(make_plant):
    plant = make_plant(faults=(("pump-clock-offset", 600.0, 100_000.0),))
    plant.pump.stop(100.0)

    assert plant.pump.state(172_901.0).alarms == ("stopped-too-long",)


def test_a_low_battery_is_told_and_changes_no_delivery(make_plant):
    clock = VirtualClock()
    plant = make_plant(clock=clock, faults=(("battery-low", 1.0, 600.0),))
    clock.sleep_until(1000.0)

    assert [plant.pump.state(t).alarms for t in (599.0, 600.0)] == [(), ("low-battery",)]
    assert [(t, text.split(":")[0]) for t, text in plant.pump.log()][-1] == (600.0, "alarm low-battery")
    assert plant.truth["pump_volume_ul"].at(3600.0) == make_plant().truth["pump_volume_ul"].at(3600.0)
