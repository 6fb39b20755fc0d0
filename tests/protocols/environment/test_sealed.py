"""What is said of a sealed run of an environment whose record is changed: what a pump did, or what it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Evaluation, Status, Verdict
from data.run import Run, Series
from protocols.analysis.environment.verdict import evaluate

SEALED = Path(__file__).parents[2] / "runs" / "environment-1.h5"


@contextmanager
def sealed() -> Iterator[Run]:
    with Run.open(SEALED) as run:
        yield run


def flowing(run: Run, flow_ul_per_h: float, from_s: float, to_s: float) -> Series:
    """The flow sensor's record with another flow in a stretch."""
    series = run.series("flow")
    inside = (series.t >= from_s) & (series.t < to_s)
    noise = np.random.default_rng(0).normal(0.0, 0.03, series.t.size)
    return replace(series, values=np.where(inside, flow_ul_per_h + noise, series.values))


def verdicts(found: Evaluation) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in found.checks}


@pytest.mark.parametrize("shown_ul_per_h", [0.02, -0.02])
def test_a_pump_that_a_back_pressure_stalls_fails(shown_ul_per_h: float) -> None:
    with sealed() as run:
        stalled = run.phase("pressure-1-settle")[0], run.phase("pressure-1")[1]
        run._series["flow"] = flowing(run, shown_ul_per_h, *stalled)
        found = evaluate(run)
    assert verdicts(found)["pressure-1"] is Verdict.FAIL
    assert found.verdict is Verdict.FAIL


def test_a_pump_that_never_delivers_is_not_measured_and_the_record_says_why() -> None:
    with sealed() as run:
        run._series["flow"] = flowing(run, -0.02, 0.0, run.end_s)
        found = evaluate(run)
    assert found.verdict is Verdict.NOT_MEASURED
    assert "saw no delivery at the reference condition" in found.checks[0].note


@pytest.mark.parametrize("status", [Status.ABORTED, Status.ERROR, Status.INCOMPLETE])
def test_a_run_that_ended_in_its_last_hold_passes_nothing_though_the_hold_has_an_end(status: Status) -> None:
    with sealed() as run:
        run.__dict__["status"] = status
        found = evaluate(run)
    assert verdicts(found)["pressure-1"] is Verdict.NOT_MEASURED
    assert found.verdict is Verdict.NOT_MEASURED
