"""Axes of a plot: values, elapsed time, decades; few ticks, and numbers as the screen writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyqtgraph
from PyQt6.QtGui import QFont

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
from gui.theme.look import look

LEFT_WIDTH = 62
PIXELS_A_TICK = {"left": 44.0, "bottom": 74.0}

Ticks = list[tuple[float, list[float]]]


class Axis(pyqtgraph.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Ticks at 1, 2, 5 times a power of ten."""

    def __init__(self, side: str, numbers: Numbers) -> None:
        super().__init__(side, maxTickLength=-4)
        self._side = side
        self._said = ""
        self.numbers = numbers
        self.enableAutoSIPrefix(False)
        self.setStyle(maxTickLevel=0, hideOverlappingLabels=True, tickTextOffset=4)
        if side == "left":
            self.setWidth(LEFT_WIDTH)

    def restyle(self) -> None:
        """Take over the look of the window."""
        scheme, density = look().scheme, look().density
        font = QFont("Inter")
        font.setPixelSize(density.small)
        self.setTickFont(font)
        self.setPen(pyqtgraph.mkPen(scheme.line, width=1))
        self.setTextPen(pyqtgraph.mkPen(scheme.muted))
        self.setLabel(self._said, color=scheme.muted, **{"font-size": f"{density.small}px"})

    def say(self, text: str) -> None:
        """Name the axis, with its unit."""
        if text != self._said:
            self._said = text
            self.restyle()

    @property
    def most(self) -> float:
        """Pixels that a tick needs."""
        return PIXELS_A_TICK[self._side] * look().density.small / 11.0

    def at(self, low: float, high: float, size: float) -> Ticks:
        """Distance of ticks, and the ticks, of a range that is so many pixels long."""
        step = step_of(high - low, max(int(size / self.most), 3))
        return [(step, multiples(low, high, step))]

    def tickValues(self, minVal: float, maxVal: float, size: float) -> Ticks:  # noqa: N802, N803  # pyqtgraph's names
        """As pyqtgraph asks."""
        low, high = sorted((minVal, maxVal))
        return self.at(low, high, size) if high > low else []

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """As pyqtgraph asks."""
        return tick_texts(values, spacing, self.numbers)


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
        step = time_step(high - low, max(int(size / self.most), 3))
        return [(step, [t + self.origin_s for t in multiples(low - self.origin_s, high - self.origin_s, step)])]

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
