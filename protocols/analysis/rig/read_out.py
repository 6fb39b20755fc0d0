"""What every channel of a station showed, and whether it answered."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from data.checks import Check, Evaluation, Limits, Status, Verdict
from data.quantities import parse
from data.run import Run, RunError, Series
from protocols.analysis.decision import judge
from protocols.analysis.standing import of_a_run_cut_off

NAME, TITLE = "channels-answer", "Channels that answer"

ANSWERED_PERCENT = 90.0

LONGEST_PERIOD_S = 60.0
"""No driver asks more seldom where the station file states no period."""


def evaluate(run: Run) -> Evaluation:
    """Report every channel; the run passes when each gave nearly all of its samples, and good ones."""
    try:
        span = min(phase.t0 for phase in run.phases), run.phase("read-out")[1]
    except (RunError, ValueError):
        note = "the run ended before the read-out began"
        return Evaluation((Check(NAME, TITLE, None, "%", Verdict.NOT_MEASURED, "rig", note=note),))
    checks: list[Check] = []
    silent: list[str] = []
    for name, channel in run.channels.items():
        if _answered(run, name, *span) < ANSWERED_PERCENT:
            silent.append(name)
        checks += _shown(name, channel.unit, run.series(name).within("read-out").good())
    share = 100.0 * (len(run.channels) - len(silent)) / max(1, len(run.channels))
    note = f"lost or not good: {', '.join(silent)}" if silent else f"{len(run.channels)} channels"
    fields = judge(share, 0.0, math.inf, Limits(100.0, None, "procedure"))
    answer = Check(name=NAME, title=TITLE, unit="%", owner="rig", note=note, **fields)
    if run.status is not Status.COMPLETED:
        answer = of_a_run_cut_off(answer)
    return Evaluation((answer, *checks))


def _answered(run: Run, name: str, begin: float, end: float) -> float:
    """Share of good samples among those that were due, in percent, the wait before the read-out included.

    A channel that is read once a minute may have answered only then.  What is missing before its first sample and after
    its last one was due too.
    """
    series = run.series(name).within((begin, end))
    if len(series) == 0:
        return 0.0
    lost = sum(missing for before, after, missing in run.gaps(name) if begin <= before and after <= end)
    spacing_s = _spacing_s(run, name)
    for silent_s in (float(series.t[0]) - begin, end - float(series.t[-1])):
        lost += max(0, int(silent_s / spacing_s - 0.5))  # the next one was due a spacing later, more or less
    return 100.0 * len(series.good()) / (len(series) + lost)


def _spacing_s(run: Run, name: str) -> float:
    """How far apart the samples of a channel are: as they came, or as the station file states where only one came."""
    t_s = run.series(name).t
    if len(t_s) > 1:
        return float(np.median(np.diff(t_s)))
    settings = run.station["instruments"].get(name.partition(".")[0]) or {}
    return parse(str(settings["period"]), "time") if "period" in settings else LONGEST_PERIOD_S


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
