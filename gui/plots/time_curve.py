"""One curve of a time plot: where its points come from, what is drawn of it, and its value at a moment."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import pyqtgraph

from gui.plots.pyramid import Drawn, Pyramid

Asked = Callable[[float, float, int], Drawn]
"""What is to be drawn from t0 to t1, so many pixels wide."""


class Points(Protocol):
    """Points that are kept elsewhere; `TimePlot.changed` tells that there are others."""

    @property
    def span(self) -> tuple[float, float] | None:
        """Time of the first and of the last sample."""

    def view(self, t0: float, t1: float, columns: int) -> Drawn:
        """What is to be drawn of a stretch that is so many pixels wide."""

    def at(self, t: float) -> tuple[float, float] | None:
        """Time and value of the sample next to a moment; None where it is not known."""


PenName = int | Literal["schedule", "limit"]


@dataclass(eq=False)
class TimeCurve:
    """A curve and what is drawn of it."""

    key: str
    label: str
    pen: PenName
    points: Pyramid | Points | Asked
    is_step: bool
    item: pyqtgraph.PlotCurveItem
    is_shown: bool = True
    drawn: Drawn | None = None
    version: int = 0
    stamp: tuple[float, ...] = ()
    last_drawn: float = -math.inf
    extremes: tuple[float, float] | None = field(default=None)

    def read(self, t: float) -> tuple[float, ...]:
        """The value at a moment; the smallest and the largest there where one point is drawn of many samples."""
        drawn = self.drawn
        if not callable(self.points) or self.is_step or drawn is None or drawn.exact:
            value = self.value_at(t)
            return () if value is None else (value,)
        index = int(np.searchsorted(drawn.x, t, side="right")) - 1
        if index < 0 or t > drawn.x[-1]:
            return ()
        together = drawn.y[drawn.x == drawn.x[index]]
        low, high = float(np.fmin.reduce(together)), float(np.fmax.reduce(together))
        return () if math.isnan(low) else (low,) if low == high else (low, high)

    def value_at(self, t: float) -> float | None:
        """The value at a moment: the sample before it of a step, else the next one; None where there is none."""
        if not callable(self.points):
            points, span = self.points, self.points.span
            found = points.at(t, before=self.is_step) if isinstance(points, Pyramid) else points.at(t)
            is_inside = span is not None and span[0] <= t and (self.is_step or t <= span[1])
            return found[1] if found is not None and is_inside else None
        drawn = self.drawn
        if drawn is None or not len(drawn.x) or not drawn.x[0] <= t:
            return None
        index = int(np.searchsorted(drawn.x, t, side="right")) - 1
        if not self.is_step:
            if t > drawn.x[-1]:
                return None
            after = min(index + 1, len(drawn.x) - 1)
            index = after if abs(drawn.x[after] - t) < abs(drawn.x[index] - t) else index
        return float(drawn.y[index])
