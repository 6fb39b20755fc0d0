"""Bends round mandrels: what they say of a declared radius, and what they leave open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from data.checks import Check, Status, Verdict
from data.run import Run
from protocols.analysis.catheter.findings import Bend, Case, kink_radius
from protocols.analysis.catheter.verdict import evaluate

SEALED = Path(__file__).parents[2] / "runs" / "catheter-5.h5"

DECLARED = {"radius_mm": 8.0, "source": "maker", "revision": "A"}


def judged(
    ratios: dict[float, float], *, u: float = 0.02, declared: object = DECLARED, at_least: bool = False
) -> Check:
    """The check of bends by radius in mm, each with a resistance over that of the straight catheter."""
    bent = tuple(Bend(radius, ratio, u, at_least) for radius, ratio in ratios.items())
    record = SimpleNamespace(params={"radii": "as given", "kinked": 1.3}, limits={"kink": declared})
    (check,) = kink_radius(Case(record, None, (), (1.0, 0.0), None, None), bent)
    return check


@pytest.mark.parametrize(
    ("ratios", "verdict", "value"),
    [
        ({10.0: 1.0, 8.0: 1.02, 6.0: 5.0}, Verdict.PASS, 8.0),  # the mandrel of the declared radius itself
        ({10.0: 1.0, 6.0: 1.05}, Verdict.PASS, 6.0),
        ({6.0: 1.05}, Verdict.PASS, 6.0),
        ({8.0: 5.0}, Verdict.FAIL, None),
        ({10.0: 1.0, 8.0: 5.0}, Verdict.FAIL, 10.0),
        ({12.0: 5.0, 10.0: 1.0, 8.0: 1.0}, Verdict.FAIL, None),
        ({10.0: 1.0, 6.0: 5.0}, Verdict.NOT_MEASURED, 10.0),  # it kinks somewhere in between
        ({20.0: 1.0, 12.0: 1.0, 10.0: 1.01}, Verdict.NOT_MEASURED, 10.0),
        ({6.0: 5.0}, Verdict.NOT_MEASURED, None),
    ],
)
def test_a_declared_radius_is_judged_by_the_mandrels_on_either_side_of_it(ratios, verdict, value):
    check = judged(ratios)
    assert (check.verdict, check.value, check.optional) == (verdict, value, False)


@pytest.mark.parametrize(
    ("ratio", "u", "verdict"),
    [
        (1.29, 0.05, Verdict.CONDITIONAL_PASS),
        (1.31, 0.05, Verdict.CONDITIONAL_FAIL),
        (1.29, 0.30, Verdict.NOT_CAPABLE),
        (1.25, 0.02, Verdict.PASS),
    ],
)
def test_the_uncertainty_of_a_bend_s_resistance_counts(ratio, u, verdict):
    assert judged({10.0: 1.0, 8.0: ratio}, u=u).verdict is verdict


def test_a_flow_that_was_given_up_below_the_ratio_says_neither_kinked_nor_open():
    assert judged({8.0: 1.2}, at_least=True).verdict is Verdict.NOT_MEASURED
    assert judged({8.0: 9.0}, at_least=True).verdict is Verdict.FAIL


def test_without_a_declared_radius_the_smallest_open_mandrel_is_told():
    check = judged({10.0: 1.0, 8.0: 1.02, 6.0: 5.0}, declared=None)
    assert (check.verdict, check.value, check.optional) == (Verdict.NOT_MEASURED, 8.0, True)
    assert check.note == "kinked at 6 mm, 5 times the resistance"


def test_a_run_that_ends_in_a_bend_keeps_what_was_found_before():
    with Run.open(SEALED) as run:
        end_s = run.phase("bent-2")[0] + 4.0
        phases = tuple(replace(one, t1=min(one.t1, end_s)) for one in run.phases if one.t0 < end_s)
        catheter = {**run.catheter, "limits": {**run.catheter["limits"]}}
        catheter["limits"]["patency"] = {**catheter["limits"]["patency"], "at_most_kpa": 2.0}
        run.__dict__.update(phases=phases, status=Status.ABORTED, end_s=end_s, catheter=catheter)
        found = {check.name: check for check in evaluate(run).checks}
    assert found["patency"].verdict is Verdict.FAIL
    assert found["kink-radius"].value == 10.0
    assert found["leak"].verdict is Verdict.NOT_MEASURED
