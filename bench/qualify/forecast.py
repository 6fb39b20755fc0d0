"""How long the rest of a qualification takes, from the trials that were measured."""

from __future__ import annotations

import os
from collections.abc import Mapping
from statistics import mean
from typing import Any

from bench.qualify.plan import Plan


def usual_jobs() -> int:
    """Runs at a time: one more than there are cores, since a trial waits for its disk now and then."""
    return (os.cpu_count() or 1) + 1


def left_s(plan: Plan, done: Mapping[tuple[str, int], Mapping[str, Any]], jobs: int) -> float | None:
    """Real time left, in s; None before the first trial is done.

    A trial takes what the trials of its protocol and form took, or what all took where there is none of them.
    """
    rows = {row.key: row for row in plan.rows}
    took: dict[tuple[str, str, bool], list[float]] = {}
    for (key, _), said in done.items():
        took.setdefault(_kind(rows[key]), []).append(float(said["wall_s"]))
    if not took:
        return None
    overall = mean(time for times in took.values() for time in times)
    means = {kind: mean(times) for kind, times in took.items()}
    left = [row for row, seed in plan.trials() if (row.key, seed) not in done]
    return sum(means.get(_kind(row), overall) for row in left) / jobs


def _kind(row: Any) -> tuple[str, str, bool]:
    return row.protocol, row.form, row.expected == "right"
