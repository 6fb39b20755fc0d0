"""What every channel of a station showed, and whether it answered."""

from __future__ import annotations

import math
from collections.abc import Iterator

from data.checks import Check, Evaluation, Limits, Verdict
from data.run import Run, Series
from protocols.analysis.decision import judge

ANSWERED_PERCENT = 90.0


def evaluate(run: Run) -> Evaluation:
    """Report every channel; the run passes when each gave nearly all of its samples, and good ones."""
    checks: list[Check] = []
    silent: list[str] = []
    for name, channel in run.channels.items():
        if _answered(run, name) < ANSWERED_PERCENT:
            silent.append(name)
        checks += _shown(name, channel.unit, run.series(name).within("read-out").good())
    share = 100.0 * (len(run.channels) - len(silent)) / max(1, len(run.channels))
    note = f"lost or not good: {', '.join(silent)}" if silent else f"{len(run.channels)} channels"
    fields = judge(share, 0.0, math.inf, Limits(100.0, None, "procedure"))
    answer = Check(name="channels-answer", title="Channels that answer", unit="%", owner="rig", note=note, **fields)
    return Evaluation((answer, *checks))


def _answered(run: Run, name: str) -> float:
    """Share of good samples among those that were due, in percent, the wait before the read-out included.

    A channel that is read once a minute may have answered only then.
    """
    end = run.phase("read-out")[1]
    begin = min(phase.t0 for phase in run.phases if phase.name in ("settling", "read-out"))
    series = run.series(name).within((begin, end))
    if len(series) == 0:
        return 0.0
    lost = sum(missing for before, after, missing in run.gaps(name) if begin <= before and after <= end)
    return 100.0 * len(series.good()) / (len(series) + lost)


def _shown(name: str, unit: str, series: Series) -> Iterator[Check]:
    """Mean of a channel; its scatter stands as the standard uncertainty of one sample."""
    if len(series) < 2:
        return
    mean = math.fsum(series.values.tolist()) / len(series)
    square = math.fsum(((series.values - mean) ** 2).tolist()) / (len(series) - 1)
    low, high = float(series.values.min()), float(series.values.max())
    yield Check(
        name=name,
        title=name,
        value=mean,
        unit=unit,
        verdict=Verdict.NOT_MEASURED,
        owner="rig",
        standard_uncertainty=math.sqrt(square),
        degrees_of_freedom=float(len(series) - 1),
        optional=True,
        note=f"from {low:.6g} to {high:.6g}",
    )
