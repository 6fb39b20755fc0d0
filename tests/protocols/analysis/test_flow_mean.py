"""The mean of a flow-accuracy run of which a named person excluded a part."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Verdict
from data.run import Event, Run
from protocols.analysis.flow_blanks import known_record
from protocols.analysis.flow_mean import means
from protocols.analysis.flow_verdict import evaluate

SEALED = Path(__file__).parents[2] / "runs" / "flow-accuracy-4.h5"
MORE_MG = 12.0  # more than a stroke and a half
READINGS = ("readability", "repeatability", "meniscus")


@pytest.fixture
def checks_of():
    """Evaluation of a sealed run in which somebody leant on the vessel, and a part of the analysis is excluded."""

    def judge(touched_share, *excluded):
        with Run.open(SEALED) as run:
            begin, end = run.phase("analysis")
            mass = run.series("reference_mass")
            touched = begin + touched_share * (end - begin)
            run._series["reference_mass"] = replace(mass, values=mass.values + MORE_MG * (mass.t > touched))
            out = [(begin + share * (end - begin) for share in stretch) for stretch in excluded]
            events = [
                Event(to_s, "exclusion", {"from_s": from_s, "to_s": to_s, "reason": "leant on it", "person": "Ada"})
                for from_s, to_s in out
            ]
            run.__dict__["events"] = (*run.events, *events)
            return evaluate(run)

    return judge


def named(evaluation):
    return {check.name: check for check in evaluation.checks}


def test_what_is_excluded_is_in_no_mean_and_what_is_left_has_readings_of_its_own(checks_of):
    whole, part = named(checks_of(2.0)), named(checks_of(0.5, (0.48, 0.52)))
    mean, before = part["mean-flow-error"], whole["mean-flow-error"]
    assert mean.value == pytest.approx(before.value, abs=before.expanded_uncertainty)
    assert part["mean-flow-error-37"].value - mean.value == pytest.approx(
        whole["mean-flow-error-37"].value - before.value, abs=0.01
    )
    assert (part["mean-rate-error"].value, part["mean-rate-error"].verdict) == (None, Verdict.NOT_MEASURED)
    of_part, of_whole = dict(mean.budget), dict(before.budget)
    for reading in READINGS:
        assert of_part[reading] == pytest.approx(of_whole[reading] * math.sqrt(2.0) / 0.96, rel=1e-6)


def test_a_touch_that_nobody_excluded_is_in_the_mean(checks_of):
    left_in, taken_out = named(checks_of(0.5)), named(checks_of(0.5, (0.48, 0.52)))
    assert left_in["mean-flow-error"].value > taken_out["mean-flow-error"].value + 1.0
    assert left_in["unexpected-delivery"].value == pytest.approx(MORE_MG, abs=0.5)
    assert taken_out["unexpected-delivery"].verdict is Verdict.PASS


def test_an_analysis_that_is_excluded_whole_says_nothing_and_keeps_who_excluded_it(checks_of):
    evaluation = checks_of(2.0, (-0.01, 0.6), (0.5, 1.01))
    mean = named(evaluation)["mean-flow-error"]
    assert (mean.value, mean.verdict) == (None, Verdict.NOT_MEASURED)
    assert mean.note.startswith("exclusions leave nothing of the analysis")
    assert [one.person for one in evaluation.excluded] == ["Ada", "Ada"]
    assert evaluation.verdict is Verdict.INVALID


def test_part_of_a_stroke_proves_nothing_of_a_pump_whose_run_ended_early():
    """Over three minutes, less than half of its stroke, a healthy roller is up to 12 % off, with U of 7 %."""
    with Run.open(SEALED) as run:
        record = known_record(run)
        begin, _ = record.analysis
        run.dut["limits"]["mean"] |= {"low_percent": -2.0, "high_percent": 2.0}
        seen = []
        for at_s in begin + 60.0 * np.arange(30.0):
            short = replace(record, analysis=(at_s, at_s + 180.0), complete=False)
            seen.append(next(iter(means(short, (), 0.0))))
    beyond = [one for one in seen if one.value - one.expanded_uncertainty > one.limit_high]
    assert len(beyond) >= 3
    assert {one.verdict for one in seen} == {Verdict.NOT_MEASURED}


def test_a_clear_fail_of_many_strokes_is_proven_though_the_run_ended_early():
    with Run.open(SEALED) as run:
        record = known_record(run)
        run.dut["limits"]["mean"] |= {"low_percent": -60.0, "high_percent": -40.0}
        short = replace(record, complete=False)
        assert next(iter(means(short, (), 0.0))).verdict is Verdict.FAIL


def test_the_balances_certificate_is_in_the_budget_of_the_mean():
    with Run.open(SEALED) as run:
        balance = run.roles["reference_mass"].partition(".")[0]
        run.station["instruments"][balance]["calibration"]["mass"]["u_percent"] = 0.1
        mean = named(evaluate(run))["mean-flow-error"]
    assert dict(mean.budget)["calibration of the balance"] == pytest.approx(0.1 * (1.0 + mean.value / 100.0), rel=1e-6)
    assert mean.standard_uncertainty > 0.1
