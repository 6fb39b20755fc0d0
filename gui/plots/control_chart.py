"""A result of the rig checks over time: its values, the mean and three standard deviations, and what breaks a rule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pyqtgraph
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from gui.plots.axes import Axis, Ticks
from gui.plots.canvas import Canvas, qt_pen
from gui.presenters.context import Context
from gui.presenters.numbers import unit_text
from gui.presenters.station_rig import Course
from gui.presenters.time_axis import DAY_S, HOUR_S, multiples, settled, time_step
from gui.presenters.tone import Tone
from gui.theme.look import look

LEAST_SPAN_S = 3600.0
MARGIN = 0.06
POINT, SIGNAL = 7, 11


class DateAxis(Axis):
    """Moments in s of the epoch, as dates of the place."""

    def at(self, low: float, high: float, size: float) -> Ticks:
        """Ticks at whole days or hours of the place."""
        step = time_step(high - low, max(int(size / (1.3 * self.most)), 2))
        offset = _offset_s(low)
        places = multiples(low + offset - HOUR_S, high + offset + HOUR_S, step)
        ticks = (t - _offset_s(t - offset) for t in places)  # the clocks may be put forward or back in between
        return [(step, [t for t in ticks if low <= t <= high])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        """As pyqtgraph asks."""
        said = "%d %b %Y" if spacing >= DAY_S else "%d %b %H:%M"
        return [datetime.fromtimestamp(value, UTC).astimezone().strftime(said) for value in values]


def _offset_s(t: float) -> float:
    """By how much the clock of the place is ahead of UTC at a moment."""
    shift = datetime.fromtimestamp(t, UTC).astimezone().utcoffset()
    return 0.0 if shift is None else shift.total_seconds()


class ControlChartPlot(QWidget):
    """One control chart."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._course: Course | None = None
        self._left = Axis("left", context.numbers)
        self._bottom = DateAxis("bottom", context.numbers)
        self._bottom.say("Date of the rig check")
        self.canvas = Canvas("Control chart", self._bottom, self._left)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.canvas)
        look().changed.connect(self._draw)

    def show_course(self, course: Course | None) -> None:
        """Draw a result; None for an empty plot."""
        if course == self._course:
            return
        self._course = course
        self._draw()

    def _draw(self) -> None:
        course, canvas = self._course, self.canvas
        canvas.clear()
        canvas.limits = () if course is None else course.limits
        if course is None or not course.values:
            canvas.refresh()
            return
        unit = unit_text(course.unit)
        self._left.say(f"{course.name} ({unit})" if unit else course.name)
        canvas.setAccessibleName(f"Control chart of {course.name}, {len(course.values)} rig checks")
        pen = look().scheme.curves[0]
        item = pyqtgraph.PlotDataItem(course.t, course.values, pen=qt_pen(pen), symbol="o", symbolSize=POINT)
        item.setSymbolBrush(pen.colour)
        item.setSymbolPen(None)
        canvas.add(item)
        if course.centre is not None:
            middle = qt_pen(look().scheme.schedule)
            canvas.add(pyqtgraph.PlotDataItem([course.t[0], course.t[-1]], [course.centre] * 2, pen=middle))
        if course.signals:
            out = [(course.t[at], course.values[at]) for at in course.signals]
            marks = pyqtgraph.ScatterPlotItem(size=SIGNAL, symbol="d")
            marks.setPen(None)
            marks.setBrush(look().scheme.tone(Tone.FAIL).text)
            marks.setData([t for t, _ in out], [value for _, value in out])
            canvas.add(marks)
        self._fit(course)

    def _fit(self, course: Course) -> None:
        first, last = course.t[0], course.t[-1]
        margin = max(MARGIN * (last - first), LEAST_SPAN_S / 2.0)
        seen = [*course.values, *(value for _, value in course.limits)]
        room = 0.1 * abs(seen[0]) or 1.0
        low, high = settled(None, min(seen), max(seen)) if max(seen) > min(seen) else (seen[0] - room, seen[0] + room)
        self.canvas.show_range((first - margin, last + margin), (low, high))
        self.canvas.refresh()
