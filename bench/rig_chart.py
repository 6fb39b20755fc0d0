"""The control charts of a station: one for each result of its rig checks, in the order in which they were made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rig_reference import PROCEDURE
from data.run import Run, RunError
from protocols.analysis.rig.chart import ControlChart, control_chart

BLOCKS = "▁▂▃▄▅▆▇█"

SHOWN = 10
"""So many of the latest values are drawn."""


@dataclass(frozen=True)
class RigChart:
    """One result over all rig checks.

    Attributes
    ----------
    begun : when each rig check began, as its file says; ``files`` their names.
    values : (n,) what it measured.
    chart : None for too few values.
    """

    check: str
    unit: str
    begun: tuple[str, ...]
    files: tuple[str, ...]
    values: tuple[float, ...]
    chart: ControlChart | None

    @property
    def latest_is_out(self) -> bool:
        """Whether the latest value breaks a rule."""
        return self.chart is not None and self.chart.latest_is_out

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        chart = self.chart
        return {
            "check": self.check,
            "unit": self.unit,
            "points": [
                {"begun": begun, "file": file, "value": value}
                for begun, file, value in zip(self.begun, self.files, self.values, strict=True)
            ],
            "centre": None if chart is None else chart.centre,
            "low": None if chart is None else chart.limits[0],
            "high": None if chart is None else chart.limits[1],
            "signals": []
            if chart is None
            else [{"file": self.files[signal.at], "at": signal.at, "rule": signal.rule} for signal in chart.signals],
        }

    def row(self) -> dict[str, str]:
        """One line of a table that fits on 80 columns: what is out of control is `remark`."""
        chart = self.chart
        digits = _decimals(chart.limits) if chart is not None else None
        shown = f"{self.values[-1]:.4g}" if digits is None else f"{self.values[-1]:.{digits}f}"
        between = "too few values"
        if chart is not None:
            low, high = chart.limits
            between = f"{low:.{digits}f} to {high:.{digits}f}" if digits is not None else f"{low:.4g} exactly"
        return {
            "result": self.check,
            "n": str(len(self.values)),
            "latest": shown if self.unit == "1" else f"{shown} {self.unit}",
            "control limits": between,
            "course": sparkline(self.values[-SHOWN:]),
        }

    @property
    def remark(self) -> str:
        """The latest rule that was broken, since which rig check, and how many before; "" for none."""
        signals = () if self.chart is None else self.chart.signals
        if not signals:
            return ""
        before = f" ({len(signals) - 1} signals before that)" if len(signals) > 1 else ""
        return f"{self.check}: {signals[-1].rule} since {self.files[signals[-1].at]}{before}"


def _decimals(limits: tuple[float, float]) -> int | None:
    """Decimals that show three digits of the distance of two limits; None when there is no distance."""
    width = limits[1] - limits[0]
    return min(9, max(0, 2 - math.floor(math.log10(width)))) if width > 0.0 else None


def sparkline(values: tuple[float, ...]) -> str:
    """Values as a row of blocks between the least and the greatest."""
    low, high = min(values), max(values)
    if high == low:
        return BLOCKS[0] * len(values)
    return "".join(BLOCKS[min(7, int(8 * (value - low) / (high - low)))] for value in values)


def rig_charts(folder: Path, station: str) -> list[RigChart]:
    """Charts of every result of a station's rig checks; files that cannot be read are left out."""
    made: dict[str, list[tuple[str, str, float]]] = {}
    units: dict[str, str] = {}
    for path in sorted(folder.glob(f"{PROCEDURE}_*.h5")):
        try:
            with Run.open(path) as run:
                if run.procedure != PROCEDURE or run.station.get("name") != station or run.evaluation is None:
                    continue
                begun = str(run.session.get("wall_start") or run.start.isoformat())
                for check in run.evaluation.checks:
                    if check.value is not None and math.isfinite(check.value):
                        made.setdefault(check.name, []).append((begun, path.name, check.value))
                        units[check.name] = check.unit
        except RunError:
            continue
    charts = []
    for name, points in made.items():
        begun_at, files, values = zip(*sorted(points), strict=True)
        charts.append(RigChart(name, units[name], begun_at, files, values, control_chart(values)))
    return charts
