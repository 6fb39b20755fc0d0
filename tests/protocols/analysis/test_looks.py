"""When a run is looked at, and what it takes to end it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from data.checks import Limits
from data.run import Run
from data.schedule import Schedule
from protocols.analysis.collection import Collection
from protocols.analysis.evaporation import Blank, Evaporation
from protocols.analysis.flow_budget import Weighing
from protocols.analysis.flow_look import beyond_limits
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.looks import RISK, factor, instants_s
from protocols.flow_accuracy import FlowAccuracy
from protocols.steps import JudgedPhase, Phase

HOUR_S = 3600.0
LIMITS = Limits(-14.5, 14.5, "the test")


def record(error: float, hours: float = 6.0, late_h: float = 0.0, stroke_ul: float = 5.0) -> GravimetricRecord:
    """A pump at 1 mL/day with an error, which starts late, seen without noise over so many hours."""
    t = np.arange(0.0, hours * HOUR_S + 1.0, 60.0)
    volume = (1.0 + error) * 1000.0 / 24.0 * np.clip(t / HOUR_S - late_h, 0.0, None)
    evaporation = Evaporation((Blank(-HOUR_S, 0.0, 0.02, 0.01, 8.0),))
    weighing = Weighing()
    flat = np.zeros(t.size)
    collected = Collection(t, flat, flat + 0.0012, flat + 22.0, evaporation, weighing, 0.01, 0.035)
    mass = volume / collected.ul_per_mg - evaporation.lost_mg(0.0, t)
    collected = Collection(t, mass, flat + 0.0012, flat + 22.0, evaporation, weighing, 0.01, 0.035)
    run = cast(Run, SimpleNamespace(dut={"stroke_ul": stroke_ul}))
    whole = (0.0, hours * HOUR_S)
    schedule = Schedule.parse("1 mL/day")
    return GravimetricRecord(run, {}, schedule, 0.0, whole, False, collected, t, mass, True, 0.004, (), None, None)


def stops(of: GravimetricRecord, doubt: float = 0.0, looks: int = 5) -> bool:
    """Whether a look ends it."""
    beyond, needed = beyond_limits(of, (), LIMITS, doubt, looks, RISK)
    return beyond > needed


def test_a_run_is_looked_at_when_its_plan_says_and_never_before_an_hour():
    assert instants_s(25.0 * HOUR_S) == tuple(25.0 * HOUR_S * share for share in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4))
    assert instants_s(2.0 * HOUR_S) == (HOUR_S, 1.5 * HOUR_S)
    assert instants_s(HOUR_S) == ()


def test_the_looks_share_one_risk_between_them():
    assert factor(math.inf, 1, 0.025) == pytest.approx(1.95996, abs=1e-4)
    assert factor(math.inf, 5, RISK) == pytest.approx(2.87816, abs=1e-4)  # normal quantile of 1 - 0.002
    assert factor(6.0, 5, RISK) > factor(60.0, 5, RISK) > factor(60.0, 4, RISK)


def test_without_the_parameter_the_plan_and_what_is_kept_of_it_are_what_they_were():
    plan = FlowAccuracy()
    assert "stop_on_clear_fail" not in plan.values()
    assert all(type(step) is not JudgedPhase for step in plan.steps())


def test_with_it_the_looks_stand_in_the_plan():
    plan = FlowAccuracy(stop_on_clear_fail="yes")
    assert plan.values()["stop_on_clear_fail"] is True
    judged = next(step for step in plan.steps() if isinstance(step, Phase) and step.name == "analysis")
    assert judged.to_json()["looks_s"] == instants_s(plan.analysis_s)
    assert judged.to_json()["risk"] == RISK
    assert FlowAccuracy(stop_on_clear_fail="yes", analysis="1 h").remarks({"stroke_ul": 5.0, "limits": None})


@pytest.mark.parametrize("error", [0.5, -0.5])
def test_a_pump_far_outside_is_stopped(error: float):
    assert stops(record(error))


@pytest.mark.parametrize("error", [0.0, 0.14, -0.14, 0.15])
def test_a_pump_that_is_not_clearly_outside_is_not(error: float):
    assert not stops(record(error))


def test_a_pump_that_only_starts_late_is_not_stopped():
    late = record(0.0, hours=3.0, late_h=1.4)
    assert beyond_limits(late, (), LIMITS, 0.0, 5, RISK)[0] < 0.0, "its later half is sound"
    assert not stops(late)
    assert stops(record(-0.47, hours=3.0)), "another that delivered as little all the time is"


def test_what_nobody_vouches_for_and_a_stroke_count_before_anything_is_clear():
    assert stops(record(0.30, hours=3.0))
    assert not stops(record(0.30, hours=3.0), doubt=10.0)
    assert not stops(record(0.30, hours=3.0, stroke_ul=12.0))


def test_looks_outside_their_phase_are_refused():
    with pytest.raises(ValueError, match='phase "analysis" needs a duration, and its looks must lie within it'):
        JudgedPhase("analysis", for_s=60.0, looks_s=(60.0,))
