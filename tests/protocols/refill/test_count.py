"""The pump's count of its reservoir: what it was told, what went in, and when the low-reservoir alarm comes."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from data.checks import Limits, Verdict
from data.schedule import Schedule
from protocols.analysis.refill import after

LIMIT = Limits(-500.0, 500.0, "maker")
START = datetime(2026, 1, 1, tzinfo=UTC)


def refilled(counted_ul, told_ul=18_000.0, schedule="1 mL/day", alarm_ul=2000.0):
    """As much of a run as these functions read; without a count where that is None."""
    status = {"key": "filled", "answered_s": 600.0, "reservoir_ul": counted_ul, "alarms": ()}
    return SimpleNamespace(
        dut={"low_reservoir_ul": alarm_ul},
        params={"fill_ul": told_ul},
        schedule=Schedule.parse(schedule),
        start=START,
        records=lambda kind: [] if counted_ul is None else [SimpleNamespace(fields=status)],
    )


def alarm(run, filled=(18_000.0, 7.0), limit=LIMIT, started_s=7200.0):
    return after.alarm_date(run, filled, limit, started_s)


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        ("1 mL/day", 16.0),
        ("1 mL/day; bridge 0.42 mL over 50.4 h", 17.68),
        ("0.1 mL/day; priming 0.22 mL over 20 min", 157.8),
        ("0.4 mL/day; bolus 50 uL over 10 min every 2 h", 16.0),
    ],
)
def test_the_alarm_comes_when_the_schedule_has_delivered_what_is_above_it(schedule, days):
    check, values = alarm(refilled(18_000.0, schedule=schedule))

    assert values["alarm_after_days"] == pytest.approx(days, abs=0.1)
    assert values["alarm_after_days"] == values["alarm_after_days_by_the_pump"]
    assert f"{values['alarm_after_days']:.2f} days after the start" in check.note


def test_the_alarms_date_counts_from_the_confirmed_start_of_delivery():
    check, _ = alarm(refilled(18_500.0, schedule="24 mL/day"), filled=(14_000.0, 7.0), started_s=86_400.0)
    dates = [f"{START + timedelta(hours=24.0 + hours):%Y-%m-%d %H:%M} UTC" for hours in (12.0, 16.5)]

    assert check.note.split("; by the pump ")[0].endswith(dates[0])
    assert check.note.endswith(dates[1])
    assert "UTC" not in alarm(refilled(18_000.0), started_s=None)[0].note


def test_an_alarm_that_never_comes_has_no_date():
    check, values = alarm(refilled(18_000.0, schedule="1 uL/day"))
    assert (check.verdict, dict(values)) == (Verdict.PASS, {})
    assert "not within ten years" in check.note


def test_what_a_patient_will_ask_for_is_not_in_the_date():
    run = refilled(18_000.0, schedule="1 mL/day; patient 50 uL over 5 min lockout 1 h max 4 per day")
    assert "boluses that a patient will ask for are not counted" in alarm(run)[0].note


@pytest.mark.parametrize(
    ("counted_ul", "filled_ul", "count", "told"),
    [
        (18_000.0, 18_020.0, "pass", "pass"),
        (18_000.0, 16_480.0, "pass", "fail"),  # the pressure ended the filling: the pump counts rightly all the same
        (21_000.0, 18_020.0, "fail", "pass"),
        (16_480.0, 16_480.0, "fail", "fail"),  # by chance the count says what went in
    ],
)
def test_a_count_is_held_against_what_the_pump_was_told_and_the_filling_against_the_record(
    counted_ul, filled_ul, count, told
):
    run = refilled(counted_ul)
    checks = (alarm(run, (filled_ul, 7.0))[0], after.told_filled(run, (filled_ul, 7.0), LIMIT, 60.0, ()))

    assert [(check.owner, check.verdict.value) for check in checks] == [("dut", count), ("record", told)]
    assert not checks[1].optional


@pytest.mark.parametrize(("filled_ul", "verdict"), [(17_950.0, Verdict.PASS), (17_900.0, Verdict.FAIL)])
def test_without_a_limit_of_the_count_a_filling_that_clearly_differs_fails_the_record(filled_ul, verdict):
    assert after.told_filled(refilled(18_000.0), (filled_ul, 7.0), None, 60.0, ()).verdict is verdict


@pytest.mark.parametrize(("limit", "certain_ul"), [(LIMIT, 60.0), (None, 60.0)])
@pytest.mark.parametrize(
    ("filled_ul", "closed_early", "verdict"),
    [
        (16_480.0, True, Verdict.NOT_MEASURED),
        (16_480.0, False, Verdict.FAIL),
        (19_500.0, True, Verdict.FAIL),  # no reservoir that closes explains that more went in
        (18_020.0, True, Verdict.PASS),
    ],
)
def test_a_reservoir_that_closes_early_is_no_slip_of_the_record(limit, certain_ul, filled_ul, closed_early, verdict):
    filled = (filled_ul, 7.0)
    told = after.told_filled(refilled(18_000.0), filled, limit, certain_ul, (), closed_early=closed_early)

    assert told.verdict is verdict
    assert ("see capacity" in told.note) is (verdict is Verdict.NOT_MEASURED)
    assert ("tell the pump" in told.note) is not (verdict is Verdict.PASS)


@pytest.mark.parametrize("counted_ul", [None, math.nan, math.inf])
@pytest.mark.parametrize(("limit", "optional"), [(LIMIT, False), (None, True)])
def test_a_count_that_is_no_number_was_not_read_and_counts_where_it_is_limited(counted_ul, limit, optional):
    check, values = alarm(refilled(counted_ul), limit=limit)
    assert (check.verdict, check.optional, dict(values)) == (Verdict.NOT_MEASURED, optional, {})


def test_a_pump_that_was_told_nothing_or_a_filling_that_was_not_weighed_leaves_the_record_open():
    for found in (
        after.told_filled(refilled(None), (18_000.0, 7.0), LIMIT, 60.0, ()),
        after.told_filled(refilled(18_000.0), None, LIMIT, 60.0, ()),
    ):
        assert (found.verdict, found.owner, found.optional) == (Verdict.NOT_MEASURED, "record", False)
