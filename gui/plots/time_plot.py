"""A plot of channels against time: curves of any length, limits, marked stretches, a cursor; it follows what comes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyqtgraph
from PyQt6.QtCore import QPointF, QRect, QRectF, Qt, QTimer
from PyQt6.QtGui import QKeyEvent, QShowEvent
from PyQt6.QtWidgets import QFrame, QLabel, QVBoxLayout

from gui.plots.axes import Axis, TimeAxis
from gui.plots.canvas import Canvas, Span, qt_pen
from gui.plots.legend import Entry, Head
from gui.plots.picture import free_path, save_picture
from gui.plots.pyramid import Pyramid
from gui.plots.strokes import broken_at_pauses, lone_as_dots, stepped
from gui.plots.time_curve import Asked, PenName, Points, TimeCurve
from gui.plots.time_tools import TimeTools
from gui.presenters.context import Context
from gui.presenters.numbers import NOTHING, significant, unit_text, with_unit
from gui.presenters.time_axis import moment, settled
from gui.presenters.time_view import TimeView
from gui.theme.look import look
from gui.theme.tokens import Pen
from gui.views.parts import muted

NEAR_LIMIT = 3.0
"""A limit is in view if the axis need not be so many times as long for it."""

LEAST_DIGITS = 100.0
"""The axis of values is at least so many of the last digit long: noise alone does not fill a plot."""

KEY_PAN, KEY_ZOOM = 0.15, 1.4


class TimePlot(QFrame):
    """Curves against time, in one unit.

    Parameters
    ----------
    title : what is plotted, also the name of its pictures.
    unit : one of ours, see `gui.presenters.numbers.unit_text`.
    context : writes numbers; gives the folder of pictures and tells where they are.
    tools : whether the plot has buttons of its own; linked plots may share one `TimeTools` instead.
    digits : after the point, of the value of now and of the read-out; four significant ones without it.  The axis of
        values is never so short that noise in the last of them fills the plot, unless a person zooms there.

    Attributes
    ----------
    time : the stretch that is shown, and the cursor; linked plots have the same.
    picture_path : gives the file of a picture.
    """

    def __init__(
        self, title: str, unit: str, context: Context, *, tools: bool = True, digits: int | None = None
    ) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAccessibleName(title)
        self.title, self.unit, self.context, self.digits = title, unit, context, digits
        self.time = TimeView()
        self.picture_path: Callable[[], Path] = lambda: free_path(self.context.folder, self.title)
        self._curves: dict[str, TimeCurve] = {}
        self._limits: Sequence[tuple[str, float]] = ()
        self._y: tuple[float, float] | None = None
        self._y_is_free = False
        self._main = ""
        self._value: str | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.redraw)
        self._bottom = TimeAxis(context.numbers)
        left = Axis("left", context.numbers)
        shown = unit_text(unit)
        left.say(f"{title} ({shown})" if shown else title, shown)
        self.canvas = Canvas(f"Plot of {title}", self._bottom, left)
        self.canvas.key = self._key
        self.head = Head(title, unit)
        self.head.legend.clicked.connect(self.toggle)
        self.read_out: QLabel = muted("", wrap=True)
        self.read_out.hide()
        self.time.listen(self._time_changed)
        self.tools = TimeTools(self) if tools else None
        self._lay_out()
        self._listen_to_hands()
        look().changed.connect(self._restyle)

    def _lay_out(self) -> None:
        gap = look().density.gap
        column = QVBoxLayout(self)
        column.setContentsMargins(gap + 2, gap - 2, gap + 2, gap - 2)
        column.setSpacing(2)
        column.addWidget(self.head)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.read_out)
        if self.tools is not None:
            column.addWidget(self.tools)

    def _listen_to_hands(self) -> None:
        hands = self.canvas.hands
        hands.zoomed.connect(lambda factor, at: self.time.zoom(factor, at.x()))
        hands.panned.connect(self._panned)
        hands.boxed.connect(self._boxed)
        hands.doubled.connect(self.show_all)
        hands.pressed.connect(self._pointed)
        self.canvas.pointed.connect(self._pointed)

    # -- what is shown

    def curve(
        self, key: str, label: str, pen: PenName, points: Pyramid | Points | Asked, *, step: bool = False
    ) -> None:
        """Add a curve, or show other points under its key.

        ``pen`` is the number of a curve's pen in the theme, "schedule" or "limit".  With ``step`` a value holds until
        the next.  The first curve that is no schedule gives the value of now, see `main`.
        """
        self.remove(key)
        item = pyqtgraph.PlotCurveItem(pen=qt_pen(self._pen(pen)), antialias=False, connect="finite")
        item.setSegmentedLineMode("off")
        item.setZValue(1.0 if not isinstance(pen, int) else -len(self._curves))
        self.canvas.add(item)
        self._curves[key] = TimeCurve(key, label, pen, points, step, item)
        self._show_legend()
        self._later()

    def changed(self, key: str) -> None:
        """Points that are kept elsewhere have changed; a `Pyramid` tells it itself."""
        if key in self._curves:
            self._curves[key].version += 1
        self._later()

    def remove(self, key: str) -> None:
        """Take a curve away; one that is not there is none."""
        curve = self._curves.pop(key, None)
        if curve is not None:
            self.canvas.remove(curve.item)
            self._show_legend()

    def clear(self) -> None:
        """Take everything away, and begin at time zero again."""
        for key in list(self._curves):
            self.remove(key)
        self._y, self._y_is_free = None, False
        self.limits(())
        self.spans(())
        self.head.say("")
        self.time.forget()

    def main(self, key: str) -> None:
        """Show the last value of this curve on top."""
        self._main = key

    def value(self, text: str | None) -> None:
        """Show this text, as it is, as the value of now; None for the last value of the main curve."""
        self._value = text
        self._show_value()

    def limits(self, limits: Sequence[tuple[str, float]]) -> None:
        """Draw dashed lines at values, each with its label."""
        self._limits = tuple(limits)
        self.canvas.limits = self._limits
        self.canvas.refresh()
        self._later()

    def spans(self, spans: Sequence[Span]) -> None:
        """Mark stretches of time: phases, exclusions, gaps, overrides."""
        if tuple(spans) != tuple(self.canvas.spans):
            self.canvas.spans = tuple(spans)
            self.canvas.refresh()

    def watermark(self, text: str) -> None:
        """Write across the plot what kind of data these are, where they are not measured; empty for none."""
        if text != self.canvas.watermark:
            self.canvas.watermark = text.upper()
            self.canvas.refresh()

    def origin(self, t: float) -> None:
        """Count time from this moment."""
        self.time.origin_s = t
        self._time_changed()

    def link(self, other: TimePlot) -> None:
        """Show the same stretch of time as another plot, and its cursor."""
        if self.time is not other.time:
            self._share(other.time)

    def unlink(self) -> None:
        """Show a stretch of its own again; a plot that goes while others stay is unlinked first."""
        self._share(TimeView())

    def _share(self, time: TimeView) -> None:
        self.time.leave(self._time_changed)
        if self.tools is not None:
            self.time.leave(self.tools.show_state)
        self.time = time
        self.time.listen(self._time_changed)
        if self.tools is not None:
            self.tools.listen()
        self._tell_reach()
        self._time_changed()

    # -- what a person does

    def show_all(self) -> None:
        """Show everything, and follow it."""
        self.fit_y()
        self.time.show_all()

    def fit_y(self) -> None:
        """Fit the values that are in view, now and from now on."""
        self._y, self._y_is_free = None, False
        self._later()

    def show_cursor(self, shown: bool) -> None:
        """Put the cursor into the middle, or take it away."""
        self.time.point_at((self.time.t0 + self.time.t1) / 2.0 if shown else None)

    def toggle(self, key: str) -> None:
        """Hide a curve, or show it again."""
        curve = self._curves[key]
        curve.is_shown = not curve.is_shown
        curve.item.setVisible(curve.is_shown)
        self._show_legend()
        if not self._y_is_free:
            self.fit_y()

    def save(self) -> Path | None:
        """Save what is shown, without the buttons."""
        bottom = self.tools.y() if self.tools is not None else self.height()
        return save_picture(self, self.picture_path(), self.context, QRect(0, 0, self.width(), bottom))

    # -- drawing

    def redraw(self) -> None:
        """Draw what has changed, where it can be seen; cheap where nothing has."""
        if not self.isVisible():
            return
        self._tell_reach()
        self._soon.stop()
        self._show_value()
        view = self.time
        has_changed = False
        for curve in self._curves.values():
            has_changed |= curve.is_shown and self._draw(curve)
        if has_changed or self._y is None:
            self._fit_values()
        assert self._y is not None
        self._bottom.showing(view)
        self.canvas.show_range((view.t0, view.t1), self._y)
        if self.canvas.cursor != view.cursor:
            self.canvas.cursor = view.cursor
            self.canvas.refresh()
        self._show_read_out()

    def _draw(self, curve: TimeCurve) -> bool:
        """Ask for the points of a curve anew if they, or what is shown, have changed."""
        view, columns = self.time, self.canvas.columns
        taken = float(curve.version)
        if isinstance(curve.points, Pyramid) and not view.is_held and curve.last_drawn <= view.t1:
            taken = float(curve.points.taken)
        stamp = (view.t0, view.t1, float(columns), taken)
        if stamp == curve.stamp or (view.is_held and stamp[:3] == curve.stamp[:3]):
            return False
        curve.stamp = stamp
        points = curve.points
        curve.drawn = drawn = (points if callable(points) else points.view)(view.t0, view.t1, columns)
        if isinstance(points, Pyramid) and points.span is not None:
            curve.last_drawn = points.span[1]
        x, y = stepped(drawn, view.t1) if curve.is_step and drawn.exact else (drawn.x, drawn.y)
        inside = y[(x >= view.t0) & (x <= view.t1)] if len(x) else y
        low, high = float(np.fmin.reduce(inside, initial=np.nan)), float(np.fmax.reduce(inside, initial=np.nan))
        curve.extremes = None if math.isnan(low) else (low, high)
        if not curve.is_step and not callable(points):
            x, y = broken_at_pauses(x, y, drawn.exact, view.span_s / columns)
        is_finite = bool(np.isfinite(y).all())
        if not is_finite:
            x, y = lone_as_dots(x, y, view.span_s / columns)
        curve.item.setData(x, y, connect="all" if is_finite else "finite", skipFiniteCheck=is_finite)
        return True

    def _fit_values(self) -> None:
        if self._y_is_free and self._y is not None:
            return
        seen = [curve.extremes for curve in self._curves.values() if curve.is_shown and curve.extremes is not None]
        if not seen:
            values = [value for _, value in self._limits]
            self._y = settled(None, min(values), max(values)) if values else self._y or (0.0, 1.0)
            return
        low, high = min(pair[0] for pair in seen), max(pair[1] for pair in seen)
        span = max(high - low, abs(high) * 1e-3, abs(low) * 1e-3)
        for _, value in self._limits:
            if max(high, value) - min(low, value) <= NEAR_LIMIT * span:
                low, high = min(low, value), max(high, value)
        if self.digits is not None and (short := LEAST_DIGITS * 10.0**-self.digits - (high - low)) > 0.0:
            low, high = low - short / 2.0, high + short / 2.0
        self._y = settled(self._y, low, high)

    def _tell_reach(self) -> None:
        for curve in self._curves.values():
            if not callable(curve.points) and (span := curve.points.span) is not None:
                self.time.has_come(*span)

    def _time_changed(self) -> None:
        self.canvas.hands.draws_box = self.time.draws_box
        self._later()

    def _later(self) -> None:
        """Draw once all that changes now has changed."""
        if not self._soon.isActive():
            self._soon.start(0)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Draw what came meanwhile."""
        super().showEvent(event)
        self._later()

    # -- words

    def _show_legend(self) -> None:
        self.head.legend.show_entries(
            [Entry(one.key, one.label, self._pen(one.pen), one.is_shown) for one in self._curves.values()]
        )

    def _number(self, value: float | None) -> str:
        digits = significant(value) if self.digits is None else self.digits
        return self.context.numbers.number(value, digits)

    def _main_curve(self) -> TimeCurve | None:
        key = self._main or next((one.key for one in self._curves.values() if isinstance(one.pen, int)), "")
        return self._curves.get(key)

    def _show_value(self) -> None:
        if self._value is not None:
            self.head.say(self._value, has_unit=False)
        else:
            curve = self._main_curve()
            last = curve.points.last if curve is not None and isinstance(curve.points, Pyramid) else None
            self.head.say("" if last is None else self._number(last[1]))
        if (words := self.describe()) != self.accessibleDescription():
            self.setAccessibleDescription(words)

    def describe(self) -> str:
        """The value of now of each curve, in words: what is shown large, else the last."""
        said, main = [], self._main_curve()
        for curve in self._curves.values():
            if isinstance(curve.points, Pyramid) and curve.points.last is not None:
                last = with_unit(self._number(curve.points.last[1]), self.unit)
                said.append(f"{curve.label}: {self._value if self._value is not None and curve is main else last}")
        return "; ".join(said) or "no samples yet"

    def read(self, t: float) -> list[tuple[str, str]]:
        """Label and value of each curve that is shown, at a moment; from which to which where it has many there."""
        said = []
        for curve in self._curves.values():
            if curve.is_shown:
                text = " to ".join(self._number(value) for value in curve.read(t))
                said.append((curve.label, with_unit(text or NOTHING, self.unit)))
        return said

    def _show_read_out(self) -> None:
        t = self.time.cursor
        self.read_out.setVisible(t is not None)
        if t is not None:
            values = "   ".join(f"{label} {value}" for label, value in self.read(t))
            marks = [span.label for span in self.canvas.spans if span.label and span.t0 <= t <= span.t1]
            when = moment(t - self.time.origin_s, self.time.span_s)
            text = "   ".join((when, values or NOTHING, *marks))
            if text != self.read_out.text():
                self.read_out.setText(text)
                most = max(self.read_out.minimumHeight(), self.read_out.heightForWidth(self.read_out.width()))
                self.read_out.setMinimumHeight(most)  # lest the plot jump with the cursor
        elif self.read_out.minimumHeight():
            self.read_out.setMinimumHeight(0)

    def _pen(self, name: PenName) -> Pen:
        scheme = look().scheme
        if isinstance(name, int):
            return scheme.curves[name % len(scheme.curves)]
        return scheme.schedule if name == "schedule" else scheme.limit

    def _restyle(self) -> None:
        for curve in self._curves.values():
            curve.item.setPen(qt_pen(self._pen(curve.pen)))
        self._show_legend()
        self._later()

    # -- mouse and keyboard

    def _panned(self, by: QPointF) -> None:
        if self._y_is_free and self._y is not None:
            self._y = (self._y[0] + by.y(), self._y[1] + by.y())
        self.time.show(self.time.t0 + by.x(), self.time.t1 + by.x())

    def _boxed(self, box: QRectF) -> None:
        if box.width() > 0.0 and box.height() > 0.0:
            self._y, self._y_is_free = (box.top(), box.bottom()), True
            self.time.show(box.left(), box.right())

    def _pointed(self, at: QPointF) -> None:
        if self.time.cursor is not None:
            self.time.point_at(at.x())

    def _key(self, event: QKeyEvent) -> bool:
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.modifiers() & (Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ControlModifier):
            return False
        key = event.key()
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._sideways(-1.0 if key == Qt.Key.Key_Left else 1.0, shift)
            return True
        act = {
            Qt.Key.Key_Up: lambda: self._upwards(KEY_PAN),
            Qt.Key.Key_Down: lambda: self._upwards(-KEY_PAN),
            Qt.Key.Key_Plus: lambda: self.time.zoom(1.0 / KEY_ZOOM, self.time.cursor),
            Qt.Key.Key_Equal: lambda: self.time.zoom(1.0 / KEY_ZOOM, self.time.cursor),
            Qt.Key.Key_Minus: lambda: self.time.zoom(KEY_ZOOM, self.time.cursor),
            Qt.Key.Key_Home: self.show_all,
            Qt.Key.Key_End: self.time.back_to_live,
            Qt.Key.Key_Space: lambda: self.time.hold(not self.time.is_held),
            Qt.Key.Key_B: lambda: self.time.draw_boxes(not self.time.draws_box),
            Qt.Key.Key_C: lambda: self.show_cursor(self.time.cursor is None),
            Qt.Key.Key_Y: self.fit_y,
            Qt.Key.Key_P: self.save,
        }.get(Qt.Key(key))
        if act is None:
            return False
        act()
        return True

    def _sideways(self, sign: float, far: bool) -> None:
        """Move the cursor by a pixel, by twenty with Shift; without a cursor move what is shown."""
        if self.time.cursor is None:
            self.time.pan(sign * (0.5 if far else KEY_PAN))
            return
        at = self.time.cursor + sign * (20.0 if far else 1.0) * self.time.span_s / max(self.canvas.hands.width(), 1.0)
        self.time.point_at(at)
        if not self.time.t0 <= at <= self.time.t1:
            self.time.pan(sign * 0.5)

    def _upwards(self, share: float) -> None:
        if self._y is not None:
            by = share * (self._y[1] - self._y[0])
            self._y, self._y_is_free = (self._y[0] + by, self._y[1] + by), True
            self._later()
