"""What a pump is programmed to deliver: exact, additive, on the pump's own clock."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.schedule import (
    Bolus,
    Continuous,
    Flex,
    PatientBolus,
    PeriodicBolus,
    Schedule,
    ScheduleError,
    Segment,
    Stopped,
    bridge_bolus,
    rate_of_dose,
)

DAY = 86_400.0
HOUR = 3600.0

RATES = st.floats(0.0, 1000.0).map(lambda rate: round(rate, 3))
VOLUMES = st.floats(0.1, 500.0).map(lambda volume: round(volume, 2))
TIMES = st.floats(0.0, 4 * DAY).map(lambda t: round(t, 3))


@st.composite
def flexes(draw):
    times = sorted(draw(st.sets(st.integers(1, 1439), max_size=5)))
    return Flex(((0.0, draw(RATES)), *((60.0 * minute, draw(RATES)) for minute in times)))


@st.composite
def periodics(draw):
    interval = draw(st.integers(900, 40_000))
    duration = draw(st.integers(1, interval))
    return PeriodicBolus(draw(VOLUMES), duration, interval, draw(st.integers(0, 100_000)))


BOLUSES = st.builds(Bolus, TIMES, VOLUMES, st.floats(1.0, 20_000.0), st.sampled_from(["single", "priming", "patient"]))
BRIDGES = st.builds(Bolus, TIMES, VOLUMES, st.floats(1.0, 20_000.0), st.just("bridge"))
PATIENTS = st.builds(
    PatientBolus,
    VOLUMES,
    st.floats(1.0, 600.0),
    st.floats(600.0, 20_000.0),
    st.integers(0, 8),
    st.sampled_from(["calendar", "rolling"]),
)


NOBODY = st.none()


@st.composite
def schedules(draw, patients=NOBODY):
    boluses = draw(st.lists(BOLUSES, max_size=4)) + draw(st.lists(BRIDGES, max_size=1))
    concentration = draw(st.none() | st.floats(1.0, 4000.0))
    return Schedule(
        draw(st.builds(Continuous, RATES) | st.just(Stopped()) | flexes()),
        tuple(boluses),
        draw(st.none() | periodics()),
        draw(patients),
        draw(st.sampled_from(["", "baclofen", "morphine sulfate"])),
        concentration,
        draw(st.floats(0.0, DAY - 1.0)),
        draw(st.sampled_from([0.0, 20.0, -100.0, 37.5])),
    )


# -- rates and volumes ---------------------------------------------------------------------------------------------


def test_a_continuous_rate_delivers_its_volume():
    schedule = Schedule.parse("1 mL/day")
    assert schedule.expected_volume_ul(0.0, DAY) == pytest.approx(1000.0, rel=1e-15)
    assert schedule.rate_ul_per_h(5.0) == 1000.0 / 24.0


def test_nothing_is_delivered_before_the_start():
    schedule = Schedule.parse("1 mL/day; bolus 50 uL over 10 min")
    assert schedule.rate_ul_per_h(-1.0) == 0.0
    assert schedule.expected_volume_ul(-DAY, 0.0) == 0.0


def test_a_stopped_pump_still_gives_its_bolus():
    schedule = Schedule.parse("stopped; bolus 50 uL over 10 min after 1 h")
    assert schedule.expected_volume_ul(0.0, DAY) == pytest.approx(50.0, rel=1e-14)
    assert schedule.rate_ul_per_h(HOUR) == pytest.approx(300.0)
    assert schedule.rate_ul_per_h(HOUR + 600.0) == 0.0


def test_a_rate_is_the_new_one_at_its_edge():
    schedule = Schedule.parse("flex 00:00 1 mL/h, 08:00 2 mL/h")
    assert schedule.rate_ul_per_h(np.array([8 * HOUR - 1e-6, 8 * HOUR, DAY])).tolist() == [1000.0, 2000.0, 1000.0]


def test_a_bolus_adds_to_the_basal_rate_and_a_bridge_replaces_it():
    added = Schedule(Continuous(100.0), (Bolus(0.0, 50.0, HOUR),))
    bridged = Schedule(Continuous(100.0), (Bolus(0.0, 50.0, HOUR, "bridge"),))
    assert added.rate_ul_per_h(1.0) == pytest.approx(150.0)
    assert bridged.rate_ul_per_h(1.0) == pytest.approx(50.0)
    assert bridged.expected_volume_ul(0.0, 2 * HOUR) == pytest.approx(150.0)


def test_a_bridge_carries_the_old_drug_out_at_the_old_dose():
    old_rate = rate_of_dose(300.0, 500.0)
    bridge = bridge_bolus(200.0, old_rate)
    schedule = Schedule(Continuous(rate_of_dose(300.0, 2000.0)), (bridge,), concentration_ug_per_ml=2000.0)
    assert bridge.duration_s == pytest.approx(8 * HOUR)
    assert schedule.rate_ul_per_h(0.0) == pytest.approx(25.0)  # 300 ug/day of 500 ug/mL
    assert schedule.rate_ul_per_h(bridge.end_s) == pytest.approx(6.25)  # 300 ug/day of 2000 ug/mL
    written = Schedule.parse("300 ug/day at 2000 ug/mL; bridge 200 uL at 300 ug/day from 500 ug/mL")
    assert written == schedule


@settings(max_examples=40)
@given(schedules(), TIMES, TIMES, TIMES)
def test_volumes_add_up(schedule, a, b, c):
    whole = schedule.expected_volume_ul(a, c)
    parts = schedule.expected_volume_ul(a, b) + schedule.expected_volume_ul(b, c)
    assert whole == pytest.approx(parts, rel=1e-9, abs=1e-8)


@settings(max_examples=40)
@given(schedules(), TIMES, TIMES)
def test_a_volume_is_the_sum_over_its_segments(schedule, a, b):
    t0, t1 = sorted((a, b))
    segments = schedule.segments(t0, t1)
    volume = math.fsum(segment.volume_ul for segment in segments)
    assert volume == pytest.approx(schedule.expected_volume_ul(t0, t1), rel=1e-9, abs=1e-8)
    ends = [t0, *(segment.t1 for segment in segments)]
    assert [segment.t0 for segment in segments] == ends[:-1]
    assert ends[-1] == t1


@settings(max_examples=40)
@given(schedules(), TIMES, st.floats(60.0, DAY))
def test_a_volume_is_the_integral_of_the_rate(schedule, t0, length):
    inside = [edge for edge in schedule.edges_s(t0, t0 + length) if t0 < edge < t0 + length]
    grid = np.unique(np.concatenate([np.linspace(t0, t0 + length, 50), inside]))
    middles = 0.5 * (grid[1:] + grid[:-1])
    integral = float(np.sum(schedule.rate_ul_per_h(middles) * np.diff(grid))) / HOUR
    assert integral == pytest.approx(schedule.expected_volume_ul(t0, t0 + length), rel=1e-9, abs=1e-8)


@settings(max_examples=40)
@given(schedules(), st.lists(TIMES, min_size=2, max_size=50))
def test_delivered_volume_never_falls(schedule, times):
    times = np.array(sorted(times))
    volumes = schedule.expected_volume_ul(np.zeros_like(times), times)
    assert np.all(np.diff(volumes) >= 0.0)


@settings(max_examples=40)
@given(schedules(), TIMES)
def test_an_array_of_times_gives_what_each_time_gives(schedule, t):
    times = np.array([[t, 2 * t], [0.0, DAY]])
    expected = [[schedule.rate_ul_per_h(x) for x in row] for row in times.tolist()]
    assert schedule.rate_ul_per_h(times).tolist() == expected
    expected = [[schedule.expected_volume_ul(0.0, x) for x in row] for row in times.tolist()]
    assert schedule.expected_volume_ul(0.0, times).tolist() == expected


@settings(max_examples=40)
@given(schedules())
def test_what_was_asked_before_does_not_change_an_answer(schedule):
    near = schedule.expected_volume_ul(0.0, 3 * DAY)
    schedule.expected_volume_ul(0.0, 400 * DAY)
    assert schedule.expected_volume_ul(0.0, 3 * DAY) == near


@settings(max_examples=40)
@given(st.lists(BOLUSES, max_size=5), periodics())
def test_every_bolus_delivers_its_own_volume_whatever_overlaps(boluses, periodic):
    schedule = Schedule(Continuous(10.0), tuple(boluses), periodic, pump_clock_ppm=50.0)
    end = 6 * DAY
    whole = [bolus for _, bolus in schedule.boluses_between(0.0, end) if bolus.end_s <= end]
    parts = [bolus for _, bolus in schedule.boluses_between(0.0, end) if bolus.end_s > end]
    volume = 10.0 * end / HOUR + sum(bolus.volume_ul for bolus in whole)
    volume += sum(bolus.volume_ul * (end - bolus.at_s) / bolus.duration_s for bolus in parts)
    assert schedule.expected_volume_ul(0.0, end) == pytest.approx(volume, rel=1e-9)


# -- segments ------------------------------------------------------------------------------------------------------


def test_segments_know_their_bolus():
    schedule = Schedule.parse("1 mL/h; bolus 10 uL over 1 min after 30 min; bolus 50 uL over 10 min every 1 h")
    named = [(segment.t0, segment.t1, segment.kind, segment.number) for segment in schedule.segments(0.0, 7500.0)]
    assert named == [
        (0.0, 1800.0, "basal", None),
        (1800.0, 1860.0, "single", 1),
        (1860.0, 3600.0, "basal", None),
        (3600.0, 4200.0, "periodic", 2),
        (4200.0, 7200.0, "basal", None),
        (7200.0, 7500.0, "periodic", 3),
    ]


def test_of_overlapping_boluses_the_later_names_the_segment():
    schedule = Schedule(Stopped(), (Bolus(0.0, 60.0, 600.0, "priming"), Bolus(120.0, 10.0, 60.0)))
    kinds = [(segment.kind, round(segment.rate_ul_per_h)) for segment in schedule.segments(0.0, 900.0)]
    assert kinds == [("priming", 360), ("single", 960), ("priming", 360), ("basal", 0)]


def test_a_flex_of_one_rate_is_one_segment():
    assert len(Schedule(Flex(((0.0, 5.0), (HOUR, 5.0)))).segments(0.0, 10 * DAY)) == 1


def test_segments_begin_with_delivery():
    assert Schedule.parse("1 mL/h").segments(-60.0, 60.0) == (Segment(0.0, 60.0, 1000.0, "basal"),)
    assert Schedule.parse("1 mL/h").segments(5.0, 5.0) == ()


def test_edges_are_where_the_rate_changes():
    schedule = Schedule.parse("flex 00:00 1 mL/h, 12:00 2 mL/h; starting 11:00")
    assert schedule.edges_s(0.0, DAY) == (0.0, HOUR, 13 * HOUR)
    assert schedule.edges_s(HOUR, HOUR) == (HOUR,)


# -- the pump's clock ----------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(schedules(), TIMES, TIMES)
def test_a_pump_clock_shifted_by_a_day_changes_nothing(schedule, a, b):
    shifted = Schedule(
        schedule.basal,
        schedule.boluses,
        schedule.periodic,
        pump_day_offset_s=schedule.pump_day_offset_s + DAY,
        pump_clock_ppm=schedule.pump_clock_ppm,
    )
    assert shifted.expected_volume_ul(a, b) == pytest.approx(schedule.expected_volume_ul(a, b), rel=1e-9, abs=1e-8)


def test_a_flex_schedule_follows_the_pumps_clock_and_not_the_computers():
    fast = Schedule.parse("flex 00:00 1 mL/h, 08:00 2 mL/h; clock 100 ppm")
    edge = fast.edges_s(30 * DAY + 1.0, 31 * DAY)[0]
    true = 30 * DAY + 8 * HOUR
    assert true - edge == pytest.approx(true * 100e-6, rel=1e-3)  # 262 s early after 30 days
    assert fast.pump_clock_s(edge) % DAY == pytest.approx(8 * HOUR, abs=1e-5)


def test_a_bolus_keeps_its_volume_on_a_fast_clock():
    fast = Schedule.parse("stopped; bolus 50 uL over 10 min; clock 1000 ppm")
    assert fast.expected_volume_ul(0.0, 600.0 / 1.001) == pytest.approx(50.0, rel=1e-12)


# -- doses, the reservoir and dates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ml_per_day"),
    [
        ("300 ug/day at 2000 ug/mL", 0.15),
        ("800 ug/day at 500 ug/mL", 1.6),
        ("90 mcg/day at 2 mg/mL", 0.045),
        ("flex 00:00 100 ug/day, 12:00 200 ug/day at 2000 ug/mL", 0.075),
    ],
)
def test_a_dose_over_its_concentration_is_a_volume(text, ml_per_day):
    schedule = Schedule.parse(text)
    assert schedule.daily_volume_ul() == pytest.approx(1000.0 * ml_per_day, rel=1e-12)
    assert schedule.daily_dose_ug() == pytest.approx(ml_per_day * schedule.concentration_ug_per_ml, rel=1e-12)


def test_a_dose_needs_a_concentration():
    with pytest.raises(ScheduleError, match="at 2000 ug/mL"):
        Schedule.parse("1 mL/day").daily_dose_ug()


def test_a_day_counts_periodic_and_patient_boluses():
    schedule = Schedule.parse(
        "1 mL/day; bolus 50 uL over 10 min every 4 h; patient 10 uL over 5 min lockout 4 h max 6 per day"
    )
    assert schedule.daily_volume_ul() == pytest.approx(1300.0)
    assert schedule.daily_volume_ul(patient_boluses=6) == pytest.approx(1360.0)


@pytest.mark.parametrize(("rate", "days"), [("0.1", 180.0), ("0.25", 72.0), ("0.5", 36.0), ("1", 18.0)])
def test_the_alarm_date_of_a_20_ml_reservoir(rate, days):
    forecast = Schedule.parse(f"{rate} mL/day").refill_forecast(20_000.0, 2_000.0)
    assert forecast.alarm_s / DAY == pytest.approx(days, rel=1e-12)
    assert forecast.refill_by_s / DAY == pytest.approx(days - 7.0, rel=1e-12)


def test_a_pump_that_infuses_14_5_percent_too_much_is_at_its_alarm_volume_in_31_days():
    days = Schedule.parse("0.5725 mL/day").refill_forecast(20_000.0, 2_000.0).alarm_s / DAY
    assert days == pytest.approx(31.44, abs=0.005)
    assert 36.0 - days == pytest.approx(4.56, abs=0.005)  # so late would the calculated alarm be


@settings(max_examples=40)
@given(schedules(), st.floats(10.0, 20_000.0))
def test_the_moment_of_a_volume_is_when_that_volume_has_been_delivered(schedule, volume):
    moment = schedule.moment_of_volume_s(volume)
    if math.isfinite(moment):
        step_ul = schedule.expected_volume_ul(math.nextafter(moment, 0.0), math.nextafter(moment, math.inf))
        assert schedule.expected_volume_ul(0.0, moment) == pytest.approx(volume, rel=1e-9, abs=step_ul)


def test_a_moment_beyond_ten_years_is_never():
    schedule = Schedule.parse("1 mL/day")
    years_days = 3660.0

    assert schedule.moment_of_volume_s(1000.0 * years_days) == pytest.approx(years_days * DAY)
    assert schedule.moment_of_volume_s(1000.0 * (years_days + 1.0)) == math.inf
    assert Schedule.parse("1 mL/day").moment_of_volume_s(4_000_000.0) == math.inf
    assert schedule.refill_forecast(4_002_000.0, 2_000.0).alarm_s == math.inf


def test_a_stopped_pump_never_reaches_its_alarm_volume():
    assert Schedule(Stopped()).refill_forecast(20_000.0, 2_000.0).alarm_s == math.inf
    assert Schedule.parse("stopped; bolus 50 uL over 1 min").moment_of_volume_s(51.0) == math.inf


def test_the_boluses_that_a_patient_may_ask_for_bring_the_alarm_forward():
    schedule = Schedule.parse("0.5 mL/day; patient 50 uL over 5 min lockout 1 h max 10 per day")
    assert schedule.refill_forecast(20_000.0, 2_000.0, 10.0).alarm_s / DAY == pytest.approx(18.0)


def test_a_reservoir_empties_to_nothing_and_not_below():
    schedule = Schedule.parse("1 mL/day")
    assert schedule.reservoir_ul(2 * DAY, 20_000.0) == pytest.approx(18_000.0)
    assert schedule.reservoir_ul(50 * DAY, 20_000.0) == 0.0


# -- patient boluses -----------------------------------------------------------------------------------------------


def test_a_request_within_the_lockout_is_refused_and_does_not_prolong_it():
    schedule = Schedule.parse("1 mL/day; patient 10 uL over 5 min lockout 1 h max 9 per day")
    decisions = schedule.decide([-1.0, 0.0, 3599.0, 3600.0, 3600.0])
    assert [decision.outcome for decision in decisions] == ["stopped", "ok", "lockout", "ok", "lockout"]


def test_a_calendar_day_begins_at_the_midnight_of_the_pump():
    schedule = Schedule.parse("1 mL/day; patient 10 uL over 5 min lockout 1 h max 2 per day; starting 22:00")
    outcomes = [decision.outcome for decision in schedule.decide([0.0, HOUR, 1.9 * HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR])]
    assert outcomes == ["ok", "ok", "lockout", "ok", "ok", "daily-maximum"]


def test_a_rolling_day_is_the_24_hours_before_the_request():
    schedule = Schedule.parse("1 mL/day; patient 10 uL over 5 min lockout 1 h max 2 per 24 h; starting 22:00")
    outcomes = [decision.outcome for decision in schedule.decide([0.0, HOUR, 2 * HOUR, DAY - 1.0, DAY, DAY + HOUR])]
    assert outcomes == ["ok", "ok", "daily-maximum", "daily-maximum", "ok", "ok"]


def test_a_granted_bolus_counts_in_the_expected_volume():
    schedule = Schedule.parse("stopped; patient 10 uL over 5 min lockout 1 h max 2 per day; clock 40 ppm")
    granted = schedule.with_granted([60.0, 120.0, 7200.0])
    assert schedule.expected_volume_ul(0.0, DAY) == 0.0
    assert granted.expected_volume_ul(0.0, DAY) == pytest.approx(20.0)
    assert granted.edges_s(1.0, DAY)[0] == pytest.approx(60.0, abs=1e-6)
    assert granted.decide([7300.0])[0].outcome == "lockout"


@settings(max_examples=40)
@given(schedules(patients=PATIENTS), st.lists(TIMES, max_size=60))
def test_grants_never_violate_lockout_or_maximum(schedule, requests):
    requests = sorted(requests)
    patient = schedule.patient
    planned = [bolus.at_s for bolus in schedule.boluses if bolus.kind == "patient"]
    granted = [schedule.pump_clock_s(decision.at_s) for decision in schedule.decide(requests) if decision.granted]
    assert all(later - earlier >= patient.lockout_s - 1e-5 for earlier, later in itertools.pairwise(granted))
    for at in granted if not planned else ():
        if patient.day == "calendar":
            same = sum(other // DAY == at // DAY for other in granted)
        else:
            same = sum(0.0 <= at - other < DAY - 1e-5 for other in granted)
        assert same <= patient.max_per_day


@settings(max_examples=40)
@given(st.builds(PatientBolus, VOLUMES, st.just(60.0), st.just(600.0), st.integers(1, 4)), st.lists(TIMES, max_size=40))
def test_every_refusal_has_its_reason(patient, requests):
    schedule = Schedule(Continuous(1.0), patient=patient)
    decisions = schedule.decide(sorted(requests))
    for index, decision in enumerate(decisions):
        before = [earlier.at_s for earlier in decisions[:index] if earlier.granted]
        locked = bool(before) and decision.at_s - before[-1] < patient.lockout_s
        full = sum(at // DAY == decision.at_s // DAY for at in before) >= patient.max_per_day
        assert decision.outcome == ("lockout" if locked else "daily-maximum" if full else "ok")


def test_requests_out_of_order_are_refused_as_input():
    schedule = Schedule.parse("1 mL/day; patient 10 uL over 5 min lockout 1 h max 9 per day")
    with pytest.raises(ScheduleError, match="order of time"):
        schedule.decide([5.0, 4.0])
    with pytest.raises(ScheduleError, match="allows no patient bolus"):
        Schedule.parse("1 mL/day").decide([1.0])


# -- its record -----------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(schedules(patients=st.none() | PATIENTS))
def test_a_schedule_survives_its_text_and_its_record(schedule):
    assert Schedule.parse(str(schedule)) == schedule
    assert Schedule.from_json(json.loads(json.dumps(schedule.to_json()))) == schedule


@pytest.mark.parametrize("t", [math.nan, math.inf, 4e8, 3661 * DAY])
@pytest.mark.parametrize("asked_before", [None, 1.0, 3600 * DAY])
def test_a_time_beyond_ten_years_is_refused_whatever_was_asked_before(t, asked_before):
    schedule = Schedule.parse("1 mL/day")
    if asked_before is not None:
        schedule.rate_ul_per_h(asked_before)

    with pytest.raises(ScheduleError, match="ten years"):
        schedule.rate_ul_per_h(t)
    with pytest.raises(ScheduleError, match="ten years"):
        schedule.expected_volume_ul(0.0, t)
