"""Whether every channel answered: what was due before the first sample and after the last one counts too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Check, Status, Verdict
from data.run import Run
from data.samples import FloatArray
from protocols.analysis.rig.read_out import evaluate

SEALED = Path(__file__).parents[3] / "runs" / "read-out-1.h5"


def answered(
    kept: Callable[[FloatArray], FloatArray], channel: str = "balance.mass", status: Status = Status.COMPLETED
) -> Check:
    """What is said of a sealed read-out of which a channel has these samples only."""
    with Run.open(SEALED) as run:
        run.__dict__["status"] = status
        series = run.series(channel)
        rows = np.flatnonzero(kept(series.t))
        run._series[channel] = replace(
            series, t=series.t[rows], values=series.values[rows], quality=series.quality[rows]
        )
        return evaluate(run).checks[0]


@pytest.mark.parametrize(
    "kept",
    [
        lambda t: t < 20.0,  # silent from 5 s after the wait on
        lambda t: t < 6.0,  # one sample
        lambda t: t > 280.0,  # came late
        lambda t: t < 280.0,  # a ninth is missing at the end
        lambda t: t > 1e9,
    ],
)
def test_a_channel_that_fell_silent_does_not_answer(kept: Callable[[FloatArray], FloatArray]) -> None:
    found = answered(kept)
    assert (found.verdict, found.note) == (Verdict.FAIL, "lost or not good: balance.mass")


@pytest.mark.parametrize(("channel", "until_s"), [("balance.mass", 300.0), ("pump.delivered", 250.0)])
def test_a_channel_of_which_a_sample_or_two_are_missing_at_the_end_answers(channel: str, until_s: float) -> None:
    assert answered(lambda t: t < until_s, channel).verdict is Verdict.PASS


def test_a_read_out_that_was_stopped_before_its_end_passes_no_channel() -> None:
    assert answered(lambda t: t > 0.0, status=Status.ABORTED).verdict is Verdict.NOT_MEASURED
