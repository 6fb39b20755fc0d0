"""Segments and boluses of a schedule that varies: their uncertainty is that of a gain over hours, and it is true."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Exclusion, Verdict
from data.run import Run
from protocols.analysis import flow_parts
from protocols.analysis.flow_blanks import known_record
from protocols.analysis.flow_verdict import evaluate
from protocols.analysis.short_volume import short_volume

RUNS = Path(__file__).parents[2] / "runs"
DRAWS = 150


@pytest.fixture
def varying():
    """The record of a sealed run of 1 mL/day with a bolus of 25 uL in each hour, of three hours."""
    with Run.open(RUNS / "flow-accuracy-5.h5") as run:
        yield known_record(run)


def drawn(record, seed):
    """The record of a pump without error on a balance of which every scatter is drawn from its law."""
    rng = np.random.default_rng(seed)
    collected = record.collected
    weighing, hours = collected.weighing, collected.t_s / 3600.0
    volume = record.programmed_ul(collected.t_s)
    slips = np.cumsum(rng.exponential(7.0, 200))
    meniscus = rng.uniform(-1.0, 1.0, 201)[np.searchsorted(slips, volume)] * weighing.meniscus_half_width_mg
    walk = np.cumsum(rng.normal(0.0, 1.0, hours.size) * np.sqrt(np.diff(hours, prepend=hours[0])))
    blanks = collected.evaporation.component(*record.analysis).u * rng.normal() * hours
    shown = volume / collected.ul_per_mg - collected.evaporation.lost_mg(0.0, collected.t_s)
    shown = shown + meniscus / math.sqrt(2.0) + collected.zero_walk_mg * walk + blanks
    noise = rng.normal(0.0, weighing.repeatability_mg, hours.size)
    return replace(record, collected=replace(collected, mass_mg=shown + noise))


@pytest.mark.parametrize("parts", [flow_parts.segments, flow_parts.boluses])
def test_errors_are_as_large_as_their_uncertainty(varying, parts):
    found = [part for seed in range(DRAWS) for part in parts(drawn(varying, seed), ())]
    errors = np.array([part.delivered_ul - part.expected_ul for part, _ in found])
    u = np.array([budget.u for _, budget in found])
    assert 0.8 <= math.sqrt(float((errors**2).mean()) / float((u**2).mean())) <= 1.1
    assert float((np.abs(errors) <= 2.0 * u).mean()) > 0.92


def test_a_segment_knows_its_gain_as_well_as_any_other_gain_over_its_time(varying):
    (first, budget), *_ = flow_parts.segments(varying, ())
    _, whole = short_volume(varying, first.from_s, first.to_s)
    assert budget.u == whole.u
    assert {"evaporation", "meniscus", "zero walk"} <= {one.source for one in budget.components if one.u > 0.0}


def test_a_segment_in_two_stretches_has_twice_as_many_readings(varying):
    (first, whole), *_ = flow_parts.segments(varying, ())
    middle_s = (first.from_s + first.to_s) / 2.0
    (_, parted), *_ = flow_parts.segments(varying, (Exclusion(middle_s, middle_s + 60.0, "door"),))
    for name, more in (("meniscus", math.sqrt(2.0)), ("zero walk", 1.0)):
        before, after = (next(one.u for one in budget.components if one.source == name) for budget in (whole, parted))
        assert after == pytest.approx(more * before)


def test_a_run_judges_its_segments_and_boluses_with_their_budgets():
    with Run.open(RUNS / "flow-accuracy-5.h5") as run:
        run.dut["limits"] |= dict.fromkeys(("segment", "bolus"), run.dut["limits"]["mean"])
        checks = {check.name: check for check in evaluate(run).checks}
    for name in ("segment-2", "bolus-1"):
        check = checks[name]
        assert (check.verdict, check.optional) == (Verdict.PASS, False)
        assert check.standard_uncertainty == pytest.approx(math.hypot(*(u for _, u in check.budget)))
