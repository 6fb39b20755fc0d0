"""What a flow-accuracy evaluation shows beside its verdict: curves, and what is not compared before the analysis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from data.checks import Check, Exclusion, Verdict
from data.run import Run
from protocols.analysis.flow_blanks import known_record
from protocols.analysis.flow_verdict import compared, evaluate
from protocols.analysis.gravimetric_record import read_record
from protocols.flow_accuracy import FlowAccuracy

RUNS = Path(__file__).parents[2] / "runs"
RATIO = Check("sensor-balance-ratio", "Flow sensor less balance", 80.0, "%", Verdict.INVALID, "rig", suitability=True)


def test_delivered_and_programmed_volume_begin_together_with_the_analysis_after_a_diverted_blank():
    with Run.open(RUNS / "flow-accuracy-3.h5") as run:
        curve = next(one for one in evaluate(run).curves if one.name == "volume")
        from_s, to_s = run.phase("analysis")
    delivered, programmed = (axis.values for axis in curve.y)
    assert (delivered[0], programmed[0]) == (0.0, 0.0)
    assert delivered[-1] == pytest.approx(programmed[-1], rel=0.03)
    assert np.ptp(curve.x.values) == pytest.approx((to_s - from_s) / 3600.0, abs=0.25)


def so_far(collecting, away=(), phases=()):
    return SimpleNamespace(phases=dict(phases), away=away, started_s=0.0, analysis=(0.0, 3000.0), collecting=collecting)


def test_sensor_and_balance_are_not_compared_while_the_flow_is_led_away():
    away = (Exclusion(0.0, 3000.0, "blank"),)
    found = compared(so_far([], away), RATIO)
    assert (found.value, found.verdict, found.limit_high) == (None, Verdict.NOT_MEASURED, None)
    assert "led away from the balance" in found.note
    assert compared(so_far([], away, {"analysis": (0.0, 1.0)}), RATIO) is RATIO


def test_sensor_and_balance_are_compared_in_a_delivery_that_all_went_into_the_vessel():
    before = (Exclusion(-3000.0, 0.0, "blank"),)
    assert compared(so_far([(0.0, 3000.0)], before), RATIO) is RATIO


def test_blanks_are_estimated_with_what_is_declared_over_the_same_stretches():
    with Run.open(RUNS / "flow-accuracy-3.h5") as run:
        alone, known = (of(run).collected.evaporation.blanks for of in (read_record, known_record))
    assert [(one.from_s, one.to_s) for one in alone] == [(one.from_s, one.to_s) for one in known]
    for one, other in zip(alone, known, strict=True):
        assert one.rate_mg_per_h != other.rate_mg_per_h
        assert one.rate_mg_per_h == pytest.approx(other.rate_mg_per_h, abs=3.0 * other.u_mg_per_h)


def trumpet(percent, *hours):
    """Limits of a pump's file for windows of some hours."""
    return [
        {"window_s": 3600.0 * one, "low_percent": -percent, "high_percent": percent, "source": "file", "revision": "1"}
        for one in hours
    ]


@pytest.fixture
def limited():
    """Verdict and checks of three sealed hours of a sound pump at 1 mL/day whose file limits windows of the trumpet."""

    def judge(percent, *hours):
        with Run.open(RUNS / "flow-accuracy-4.h5") as run:
            run.dut["limits"]["trumpet"] = trumpet(percent, *hours)
            evaluation = evaluate(run)
        return evaluation.verdict, {check.name: check for check in evaluation.checks}

    return judge


def test_a_window_that_the_pumps_file_limits_is_judged_also_where_the_standard_has_none(limited):
    verdict, checks = limited(0.001, 2.0)
    check = checks["trumpet-115.2min-max"]  # 8 intervals of 2 strokes
    assert (verdict, check.verdict, check.optional) == (Verdict.FAIL, Verdict.FAIL, False)
    assert limited(10.0, 2.0)[0] is Verdict.PASS


@pytest.mark.parametrize(
    ("hours", "name", "note"),
    [
        (24.0, "trumpet-1440min-max", "the analysis of 3 h holds no such window"),
        (0.1, "trumpet-6min-min", "a window is a whole number of intervals of 14.4 min, which are whole strokes"),
    ],
)
def test_a_limited_window_that_cannot_be_seen_was_not_measured(limited, hours, name, note):
    verdict, checks = limited(10.0, 1.0, hours)
    check = checks[name]
    assert (verdict, check.verdict, check.optional) == (Verdict.NOT_MEASURED, Verdict.NOT_MEASURED, False)
    assert (check.note, check.limit_high) == (note, 10.0)
    assert checks["trumpet-57.6min-max"].verdict is Verdict.PASS


def test_a_limited_window_longer_than_the_analysis_is_told_before_the_start():
    dut = {"stroke_ul": 5.0, "limits": {"trumpet": trumpet(10.0, 1.0, 24.0)}}
    told = [one for one in FlowAccuracy(analysis="3 h").remarks(dut) if "over 24 h, but the analysis has 3 h" in one]
    assert len(told) == 1
    assert not any("limits the flow over" in one for one in FlowAccuracy(analysis="25 h").remarks(dut))


@pytest.fixture
def started():
    """The start-up of a sealed run limited to 10 min, from a balance that saw less; a drop may have been wiped off."""

    def judge(share=1.0, wiped_mg=0.0, high_s=600.0):
        with Run.open(RUNS / "flow-accuracy-5.h5") as run:
            run.dut["limits"]["start_up"] = {"at_most_s": high_s, "source": "file", "revision": "1"}
            mass, begin_s = run.series("reference_mass"), run.phase("stabilisation")[0]
            values = share * mass.values - wiped_mg * (mass.t > begin_s + 1200.0)
            run._series["reference_mass"] = replace(mass, values=values)
            return next(check for check in evaluate(run).checks if check.name == "start-up")

    return judge


def test_a_flow_that_never_came_within_its_limit_fails_the_start_up(started):
    check = started(share=0.9)
    said = "never within 0.833 h; it has to stay for 21.6 min"
    assert (check.verdict, check.value, check.note) == (Verdict.FAIL, None, said)
    assert started(share=0.9, high_s=3000.0).verdict is Verdict.NOT_MEASURED  # it was not watched for as long
    assert started().value == 120.0


def test_a_flow_that_may_have_come_in_what_is_excluded_fails_no_start_up(started):
    check = started(share=0.9, wiped_mg=8.0)
    assert (check.verdict, "part of the time before is excluded" in check.note) == (Verdict.NOT_MEASURED, True)


def test_a_pump_that_declares_ten_minutes_can_pass_by_its_start_up(started):
    check = started()
    assert (check.verdict, check.expanded_uncertainty < check.limit_high / 3.0) == (Verdict.PASS, True)
