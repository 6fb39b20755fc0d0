"""What a verdict is worth after an interlock, or after a person let a run start."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.closing import _in_this_run
from data.checks import Check, Evaluation, Status, Verdict

LET_PASS = SimpleNamespace(fields={"finding": "calibration", "person": "Ada", "reason": "due tomorrow"})


def seen(verdict: Verdict, status: Status, *, overridden: bool = False, suitability: bool = False) -> Verdict:
    run: Any = SimpleNamespace(
        status=status, records=lambda kind: [LET_PASS] if overridden and kind == "override" else []
    )
    check = Check("mean", "Mean", 1.0, "%", verdict, "rig" if suitability else "dut", suitability=suitability)
    (found,) = _in_this_run(Evaluation((check,)), run).checks
    return found.verdict


@pytest.mark.parametrize(
    ("verdict", "then"),
    [
        (Verdict.PASS, Verdict.NOT_MEASURED),
        (Verdict.CONDITIONAL_PASS, Verdict.NOT_MEASURED),
        (Verdict.CONDITIONAL_FAIL, Verdict.NOT_MEASURED),
        (Verdict.INVALID, Verdict.INVALID),
        (Verdict.FAIL, Verdict.FAIL),
    ],
)
def test_after_an_interlock_only_a_clear_failure_is_proven(verdict: Verdict, then: Verdict) -> None:
    assert seen(verdict, Status.STOPPED_BY_INTERLOCK) is then


def test_a_bench_that_was_fit_until_an_interlock_stays_fit() -> None:
    assert seen(Verdict.PASS, Status.STOPPED_BY_INTERLOCK, suitability=True) is Verdict.PASS


@pytest.mark.parametrize("verdict", [Verdict.CONDITIONAL_FAIL, Verdict.NOT_CAPABLE, Verdict.NOT_MEASURED])
def test_an_override_takes_nothing_from_what_is_no_pass(verdict: Verdict) -> None:
    assert seen(Verdict.PASS, Status.COMPLETED, overridden=True) is Verdict.CONDITIONAL_PASS
    assert seen(verdict, Status.COMPLETED, overridden=True) is verdict
