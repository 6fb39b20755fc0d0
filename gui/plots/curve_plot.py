"""A plot of a result: a curve of an evaluation, with its limits and a cursor that goes from point to point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyqtgraph
from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from data.checks import Axis as Values
from data.checks import Curve
from data.samples import FloatArray
from gui.plots.axes import Axis, DecadeAxis
from gui.plots.canvas import Canvas, qt_pen
from gui.plots.legend import Entry, Head
from gui.plots.picture import free_path, save_picture
from gui.presenters.context import Context
from gui.presenters.numbers import NOTHING, significant, unit_text, with_unit
from gui.presenters.time_axis import settled
from gui.theme.look import look
from gui.theme.tokens import Pen
from gui.views.parts import muted, tool

LOG_X = ("window", "averaging_time")
"""Axes whose values are chosen over decades."""

EXPECTED = ("programmed", "schedule", "needed", "reference")
"""Columns that are drawn as what is expected."""

HALF_WIDTH = "expanded_uncertainty"
"""A column that is the half-width of a bar around the first one."""

MOST_POINTS = 80
"""More are drawn without symbols."""

SYMBOLS = ("o", "t", "s", "d")
ZOOM_BY_KEY, PAN_BY_KEY = 1.4, 0.15


class CurvePlot(QFrame):
    """A curve of an evaluation.

    The first column and all in its unit are drawn; a column "expanded_uncertainty" stands as bars around the first
    one.  Keys as in a plot against time: arrows, + and -, Home, C, P.
    """

    def __init__(self, context: Context, *, tools: bool = True) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.context = context
        self.picture_path: Callable[[], Path] = lambda: free_path(context.folder, self.title)
        self.title = ""
        self.curve: Curve | None = None
        self._is_log = False
        self._at: int | None = None
        self._whole = (QRectF(0, 0, 1, 1), (0.0, 1.0))
        self._columns: list[Values] = []
        self._canvas: Canvas | None = None
        self._column = QVBoxLayout(self)
        gap = look().density.gap
        self._column.setContentsMargins(gap + 2, gap - 2, gap + 2, gap - 2)
        self._column.setSpacing(2)
        self.head = Head("", "")
        self.read_out = muted("", wrap=True)
        self.tools = QWidget()
        row = QHBoxLayout(self.tools)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addStretch(1)
        self._reading = tool("cursor", "Read values at a point (C; arrow keys move it)", checkable=True)
        self._reading.clicked.connect(lambda checked: self.show_cursor(checked))
        row.addWidget(tool("zoom-out", "Show all (Home, double click)", self.show_all))
        row.addWidget(self._reading)
        self._picture = tool("picture", "Save a picture (P)")
        self._picture.clicked.connect(lambda: self.save())
        row.addWidget(self._picture)
        self._column.addWidget(self.head)
        self._column.addWidget(self.read_out)
        self._column.addWidget(self.tools)
        self.tools.setVisible(tools)
        self.read_out.hide()
        look().changed.connect(self._draw)

    @property
    def canvas(self) -> Canvas:
        """Where it is drawn; there is one once a curve is shown."""
        assert self._canvas is not None, "no curve is shown yet"
        return self._canvas

    # -- what is shown

    def show_curve(
        self,
        curve: Curve,
        limits: Sequence[tuple[str, float]] = (),
        *,
        watermark: str = "",
        title: str = "",
        log_x: bool | None = None,
    ) -> None:
        """Show a curve, with limits of its first column, each with its label.

        ``log_x`` follows from the name of the x axis without it.
        """
        self.curve, self.title, self._at = curve, title or curve.title, None
        positive = bool(np.all(curve.x.values > 0.0)) and len(curve.x.values) > 1
        self._is_log = positive and (curve.x.name in LOG_X if log_x is None else log_x)
        unit = curve.y[0].unit if curve.y else ""
        self._columns = [one for one in curve.y if one.unit == unit and one.name != HALF_WIDTH]
        self._make_canvas(unit)
        self.head.title.setText(self.title)
        self.head.unit.setText("")
        self.setAccessibleName(self.title)
        self.setAccessibleDescription(self.describe())
        self.canvas.limits = tuple(limits)
        self.canvas.watermark = watermark.upper()
        self._whole = self._extent()
        self._draw()
        self.show_all()
        self._show_read_out()

    def _make_canvas(self, unit: str) -> None:
        assert self.curve is not None
        numbers, x = self.context.numbers, self.curve.x
        bottom = DecadeAxis("bottom", numbers) if self._is_log else Axis("bottom", numbers)
        left = Axis("left", numbers)
        bottom.say(_named(x.name, x.unit))
        left.say(_named(self._columns[0].name if len(self._columns) == 1 else self.title, unit), unit_text(unit))
        old, self._canvas = self._canvas, Canvas(f"Plot of {self.title}", bottom, left)
        if old is not None:
            look().changed.disconnect(old.restyle)
            self._column.removeWidget(old)
            old.close()
            old.deleteLater()
        self._column.insertWidget(1, self._canvas, 1)
        self._canvas.key = self._key
        hands = self._canvas.hands
        hands.zoomed.connect(self._zoomed)
        hands.panned.connect(self._panned)
        hands.boxed.connect(self._show)
        hands.doubled.connect(self.show_all)
        hands.pressed.connect(self._pointed)
        self._canvas.pointed.connect(self._pointed)

    def _x(self) -> FloatArray:
        assert self.curve is not None
        return np.log10(self.curve.x.values) if self._is_log else self.curve.x.values

    def _half_width(self) -> FloatArray | None:
        assert self.curve is not None
        found = next((one for one in self.curve.y if one.name == HALF_WIDTH), None)
        return None if found is None else found.values

    def _extent(self) -> tuple[QRectF, tuple[float, float]]:
        """Everything, with the limits."""
        x, half = self._x(), self._half_width()
        low: list[float] = [value for _, value in self.canvas.limits]
        for index, one in enumerate(self._columns):
            spread = half if half is not None and index == 0 else np.zeros(len(one.values))
            for value in (*(one.values - spread), *(one.values + spread)):
                if math.isfinite(value):
                    low.append(float(value))
        y0, y1 = settled(None, min(low), max(low)) if low else (0.0, 1.0)
        finite = x[np.isfinite(x)]
        x0, x1 = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        margin = 0.04 * (x1 - x0) or 0.5
        return QRectF(x0 - margin, y0, x1 - x0 + 2 * margin, y1 - y0), (x0, x1)

    def _draw(self) -> None:
        if self.curve is None:
            return
        self.canvas.clear()
        x, entries, half = self._x(), [], self._half_width()
        for index, one in enumerate(self._columns):
            pen = self._pen(index)
            entries.append(Entry(one.name, spoken(one.name), pen))
            item = pyqtgraph.PlotDataItem(x, one.values, pen=qt_pen(pen), connect="finite")
            if len(x) <= MOST_POINTS and pen != look().scheme.schedule:
                item.setSymbol(SYMBOLS[index % len(SYMBOLS)])
                item.setSymbolSize(7)
                item.setSymbolBrush(pen.colour)
                item.setSymbolPen(None)
            self.canvas.add(item)
            if index == 0 and half is not None:
                bars = pyqtgraph.ErrorBarItem(x=x, y=one.values, height=2.0 * half, beam=0.0, pen=qt_pen(pen))
                self.canvas.add(bars)
        self.head.legend.show_entries(entries)
        self.canvas.refresh()

    def _pen(self, index: int) -> Pen:
        scheme = look().scheme
        if self._columns[index].name in EXPECTED:
            return scheme.schedule
        measured = [one for one in self._columns[:index] if one.name not in EXPECTED]
        return scheme.curves[len(measured) % len(scheme.curves)]

    def describe(self) -> str:
        """The curve in words: what is plotted, and from where to where."""
        if self.curve is None or not len(self.curve.x.values):
            return "no points"
        x, said = self.curve.x, []
        for one in self._columns:
            finite = one.values[np.isfinite(one.values)]
            if len(finite):
                low, high = (self._text(float(value), one.unit) for value in (finite.min(), finite.max()))
                said.append(f"{spoken(one.name)} {low} to {high}")
        ends = " to ".join(self._text(float(value), x.unit) for value in (x.values[0], x.values[-1]))
        return f"{'; '.join(said)}; {spoken(x.name)} {ends}"

    # -- what a person does

    def show_all(self) -> None:
        """Show everything."""
        self._show(self._whole[0])

    def show_cursor(self, shown: bool) -> None:
        """Put the cursor on the first point, or take it away."""
        self._set_cursor(0 if shown and self.curve is not None and len(self.curve.x.values) else None)

    def save(self) -> Path | None:
        """Save what is shown, without the buttons."""
        bottom = self.tools.y() if self.tools.isVisible() else self.height()
        return save_picture(self, self.picture_path(), self.context, QRect(0, 0, self.width(), bottom))

    def read(self) -> str:
        """What the cursor stands on."""
        if self.curve is None or self._at is None:
            return ""
        x = self.curve.x
        values = [
            f"{spoken(one.name)} {self._text(float(one.values[self._at]), one.unit)}"
            for one in (*self._columns, *(one for one in self.curve.y if one not in self._columns))
        ]
        return "   ".join((f"{spoken(x.name)} {self._text(float(x.values[self._at]), x.unit)}", *values))

    def _text(self, value: float, unit: str) -> str:
        return with_unit(self.context.numbers.number(value, significant(value)), unit)

    def _set_cursor(self, at: int | None) -> None:
        self._at = at
        self._reading.setChecked(at is not None)
        self._show_read_out()

    def _show_read_out(self) -> None:
        self.read_out.setVisible(self._at is not None)
        self.read_out.setText(self.read() or NOTHING)
        self.canvas.cursor = None if self._at is None else float(self._x()[self._at])
        self.canvas.refresh()

    # -- mouse and keyboard

    def _now(self) -> QRectF:
        (x0, x1), (y0, y1) = self.canvas.hands.viewRange()
        return QRectF(x0, y0, x1 - x0, y1 - y0)

    def _show(self, part: QRectF) -> None:
        if part.width() > 0.0 and part.height() > 0.0:
            self.canvas.show_range((part.left(), part.right()), (part.top(), part.bottom()))

    def _zoomed(self, factor: float, at: QPointF) -> None:
        now = self._now()
        left, top = at.x() - (at.x() - now.left()) * factor, at.y() - (at.y() - now.top()) * factor
        self._show(QRectF(left, top, now.width() * factor, now.height() * factor))

    def _panned(self, by: QPointF) -> None:
        self._show(self._now().translated(by))

    def _pointed(self, at: QPointF) -> None:
        if self._at is not None:
            self._set_cursor(int(np.nanargmin(np.abs(self._x() - at.x()))))

    def _key(self, event: QKeyEvent) -> bool:
        if event.modifiers() & (Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ControlModifier):
            return False
        now, key = self._now(), event.key()
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._sideways(-1 if key == Qt.Key.Key_Left else 1)
            return True
        act: dict[int, Callable[[], object]] = {
            Qt.Key.Key_Up: lambda: self._panned(QPointF(0.0, PAN_BY_KEY * now.height())),
            Qt.Key.Key_Down: lambda: self._panned(QPointF(0.0, -PAN_BY_KEY * now.height())),
            Qt.Key.Key_Plus: lambda: self._zoomed(1.0 / ZOOM_BY_KEY, now.center()),
            Qt.Key.Key_Equal: lambda: self._zoomed(1.0 / ZOOM_BY_KEY, now.center()),
            Qt.Key.Key_Minus: lambda: self._zoomed(ZOOM_BY_KEY, now.center()),
            Qt.Key.Key_Home: self.show_all,
            Qt.Key.Key_C: lambda: self.show_cursor(self._at is None),
            Qt.Key.Key_P: self.save,
        }
        if key not in act:
            return False
        act[key]()
        return True

    def _sideways(self, by: int) -> None:
        if self._at is None or self.curve is None:
            self._panned(QPointF(by * PAN_BY_KEY * self._now().width(), 0.0))
        else:
            self._set_cursor(min(max(self._at + by, 0), len(self.curve.x.values) - 1))


def spoken(name: str) -> str:
    """A name of a column as a person reads it."""
    special = {"ep_max": "largest error", "ep_min": "smallest error"}
    return special.get(name, name.replace("_", " "))


def _named(name: str, unit: str) -> str:
    shown = unit_text(unit)
    text = spoken(name)
    text = text[:1].upper() + text[1:]
    return f"{text} ({shown})" if shown else text
