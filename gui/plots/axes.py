"""Axes of a plot: values, elapsed time, decades; few ticks, and numbers as the screen writes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pyqtgraph
from PyQt6.QtGui import QFont, QFontMetrics

from gui.presenters.numbers import Numbers
from gui.presenters.time_axis import (
    SECONDS,
    decade_ticks,
    multiples,
    step_of,
    tick_texts,
    time_step,
    unit_of,
)
from gui.presenters.time_view import TimeView
from gui.theme.look import lettering, look

LEFT_WIDTH = 62
PIXELS_A_TICK = {"left": 44.0, "bottom": 74.0}

Ticks = list[tuple[float, list[float]]]


class Axis(pyqtgraph.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Ticks at 1, 2, 5 times a power of ten."""

    def __init__(self, side: str, numbers: Numbers) -> None:
        self._side = side
        self._said = self._short = self._shown = ""
        self.numbers = numbers
        super().__init__(side, maxTickLength=-4)
        self.enableAutoSIPrefix(False)
        self.setStyle(maxTickLevel=0, hideOverlappingLabels=10, tickTextOffset=4)
        if side == "left":
            self.setWidth(LEFT_WIDTH)

    def restyle(self) -> None:
        """Take over the look of the window."""
        scheme, density = look().scheme, look().density
        self.setTickFont(_font())
        self.setPen(pyqtgraph.mkPen(scheme.line, width=1))
        self.setTextPen(pyqtgraph.mkPen(scheme.muted))
        self._shown = self._fitting()
        self.setLabel(self._shown, color=scheme.muted, **{"font-size": f"{density.small}px"})

    def say(self, text: str, short: str = "") -> None:
        """Name the axis, with its unit; ``short`` is said where there is no room for it."""
        if (text, short or text) != (self._said, self._short):
            self._said, self._short = text, short or text
            self.restyle()

    def resizeEvent(self, ev: Any = None) -> None:  # noqa: N802  # Qt's name
        """Say what there is room for."""
        super().resizeEvent(ev)
        if self._fitting() != self._shown:
            self.restyle()

    def _fitting(self) -> str:
        length = self.size().height() if self._side == "left" else self.size().width()
        return self._said if QFontMetrics(_font()).horizontalAdvance(self._said) <= length else self._short

    @property
    def most(self) -> float:
        """Pixels that a tick needs."""
        return PIXELS_A_TICK[self._side] * look().density.small / 11.0

    def at(self, low: float, high: float, size: float) -> Ticks:
        """Distance of ticks, and the ticks, of a range that is so many pixels long."""
        return [_ticks(step_of, low, high, max(int(size / self.most), 3))]

    def tickValues(self, minVal: float, maxVal: float, size: float) -> Ticks:  # noqa: N802, N803  # pyqtgraph's names
        """As pyqtgraph asks."""
        low, high = sorted((minVal, maxVal))
        return self.at(low, high, size) if high > low else []

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """As pyqtgraph asks."""
        return tick_texts(values, spacing, self.numbers)


def _ticks(step_of: Callable[[float, int], float], low: float, high: float, most: int) -> tuple[float, list[float]]:
    step = step_of(high - low, most)
    ticks = multiples(low, high, step)
    if len(ticks) < 2:  # one alone tells no scale
        step = step_of(high - low, 2 * most)
        ticks = multiples(low, high, step)
    return step, ticks


def _font() -> QFont:
    return lettering(look().density.small)


class TimeAxis(Axis):
    """Elapsed time, in the unit that its stretch asks for."""

    def __init__(self, numbers: Numbers, origin_s: float = 0.0, name: str = "Elapsed time") -> None:
        super().__init__("bottom", numbers)
        self.origin_s = origin_s
        self._name = name
        self._unit = "s"

    def showing(self, view: TimeView) -> None:
        """Take the unit of what is shown."""
        self._unit = unit_of(view.span_s)
        self.say(f"{self._name} ({self._unit})")
        if view.origin_s != self.origin_s:
            self.origin_s = view.origin_s
            self.picture = None
            self.update()

    def at(self, low: float, high: float, size: float) -> Ticks:
        """As `Axis.at`."""
        most = max(int(size / self.most), 3)
        step, ticks = _ticks(time_step, low - self.origin_s, high - self.origin_s, most)
        return [(step, [t + self.origin_s for t in ticks])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """As pyqtgraph asks."""
        one = SECONDS[self._unit]
        return tick_texts([(t - self.origin_s) / one for t in values], spacing / one, self.numbers)


class DecadeAxis(Axis):
    """A logarithmic axis; the plot gives it the decimal logarithm."""

    def at(self, low: float, high: float, size: float) -> Ticks:
        """As `Axis.at`."""
        return [(1.0, [math.log10(value) for value in decade_ticks(10.0**low, 10.0**high)])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """As pyqtgraph asks."""
        return [tick_texts([10.0**value], 10.0**value, self.numbers)[0] for value in values]
