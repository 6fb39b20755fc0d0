"""Where curves are drawn: ground, grid and shaded stretches below them, limits, cursor and watermark above."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyqtgraph
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFocusEvent, QFont, QFontMetricsF, QKeyEvent, QPainter, QPainterPath, QPen
from PyQt6.QtWidgets import QGraphicsGridLayout

from gui.plots.axes import Axis
from gui.presenters.tone import Tone
from gui.theme.look import lettering, look
from gui.theme.tokens import Pen

DASHES = {
    "solid": Qt.PenStyle.SolidLine,
    "dash": Qt.PenStyle.DashLine,
    "dot": Qt.PenStyle.DotLine,
    "dash-dot": Qt.PenStyle.DashDotLine,
}
WHEEL = 1.0015
"""Zoom of one unit of a wheel; a notch is 120 of them."""

SHORTEST_LABEL = 22.0
GROUND_ALPHA = 205
WATERMARK_ALPHA = 75


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time that is marked.

    A plain one is told by a line where it begins, a muted one is shaded, others are in the colour of their tone.
    """

    t0: float
    t1: float
    label: str = ""
    tone: Tone = Tone.MUTED


def qt_pen(pen: Pen) -> QPen:
    """A pen of the theme, one pixel wide: Qt draws wider ones several times slower."""
    made = QPen(QColor(pen.colour))
    made.setCosmetic(True)
    made.setWidth(1)
    made.setStyle(DASHES[pen.dash])
    return made


class Hands(pyqtgraph.ViewBox):  # type: ignore[misc]  # pyqtgraph has no types
    """What the mouse does: it asks, and whoever has the plot decides."""

    zoomed = pyqtSignal(float, QPointF)
    panned = pyqtSignal(QPointF)
    boxed = pyqtSignal(QRectF)
    doubled = pyqtSignal()
    pressed = pyqtSignal(QPointF)

    def __init__(self) -> None:
        super().__init__(enableMenu=False)
        self.draws_box = False
        self.setMouseEnabled(False, False)
        self.disableAutoRange()
        self.setDefaultPadding(0.0)

    def wheelEvent(self, ev: Any, axis: Any = None) -> None:  # noqa: N802  # Qt's name
        """Zoom around the mouse."""
        ev.accept()
        self.zoomed.emit(WHEEL ** -ev.delta(), self.mapSceneToView(ev.scenePos()))

    def mouseDragEvent(self, ev: Any, axis: Any = None) -> None:  # noqa: N802  # pyqtgraph's name
        """Pan, or draw a box."""
        ev.accept()
        if ev.button() != Qt.MouseButton.RightButton and not self.draws_box:
            self.panned.emit(self.mapToView(ev.lastPos()) - self.mapToView(ev.pos()))
        elif ev.isFinish():
            self.rbScaleBox.hide()
            begin, end = self.mapToView(ev.buttonDownPos()), self.mapToView(ev.pos())
            self.boxed.emit(QRectF(begin, end).normalized())
        else:
            self.updateScaleBox(ev.buttonDownPos(), ev.pos())

    def mouseClickEvent(self, ev: Any) -> None:  # noqa: N802  # pyqtgraph's name
        """Show all on a double click."""
        if ev.button() == Qt.MouseButton.LeftButton:
            ev.accept()
            if ev.double():
                self.doubled.emit()
            else:
                self.pressed.emit(self.mapSceneToView(ev.scenePos()))


class Canvas(pyqtgraph.GraphicsView):  # type: ignore[misc]  # pyqtgraph has no types
    """One plot without its frame.

    Attributes
    ----------
    spans, watermark : see `Span`; a text across the plot, empty for none.
    limits : label and value of dashed lines across the plot.
    cursor : of the upright line; None for none.
    key : is asked with each key, and says whether it took it.
    """

    pointed = pyqtSignal(QPointF)

    def __init__(self, name: str, bottom: Axis, left: Axis) -> None:
        self.hands = Hands()
        self.bottom, self.left = bottom, left
        super().__init__(background=None)
        self.enableMouse(False)
        middle = (
            pyqtgraph.GraphicsWidget()
        )  # a PlotItem has menus and forms that nobody here opens, and is slow to make
        places = QGraphicsGridLayout(middle)
        places.setContentsMargins(0, 4, 6, 0)
        places.setSpacing(0)
        for item, row, column in ((left, 0, 0), (self.hands, 0, 1), (bottom, 1, 1)):
            places.addItem(item, row, column)
        self.setCentralItem(middle)
        left.linkToView(self.hands)
        bottom.linkToView(self.hands)
        self.spans: Sequence[Span] = ()
        self.watermark = ""
        self.limits: Sequence[tuple[str, float]] = ()
        self.cursor: float | None = None
        self._items: list[Any] = []
        self._mark: tuple[tuple[str, int, int], QPainterPath] | None = None
        self.key: Callable[[QKeyEvent], bool] = lambda event: False
        self.setCacheMode(self.CacheModeFlag.CacheNone)  # what lies below the curves moves with what is shown
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(name)
        self.setFrameStyle(0)
        self.scene().sigMouseMoved.connect(self._mouse)
        self.hands.sigResized.connect(self.refresh)
        self.setMinimumSize(160, 110)
        self.restyle()
        look().changed.connect(self.restyle)

    def restyle(self) -> None:
        """Take over the look of the window."""
        self.setBackground(look().scheme.panel)
        self.bottom.restyle()
        self.left.restyle()

    def refresh(self) -> None:
        """Draw anew what lies below and above the curves."""
        self.viewport().update()

    def show_range(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Show these stretches of both axes."""
        if [list(x), list(y)] != self.hands.viewRange():
            self.hands.setRange(xRange=x, yRange=y, padding=0.0)
            self.refresh()

    def add(self, item: Any) -> None:
        """Draw a curve."""
        self._items.append(item)
        self.hands.addItem(item, ignoreBounds=True)

    def remove(self, item: Any) -> None:
        """Draw it no more."""
        self._items.remove(item)
        self.hands.removeItem(item)

    def clear(self) -> None:
        """Draw no curve."""
        for item in list(self._items):
            self.remove(item)

    @property
    def columns(self) -> int:
        """Pixels from left to right."""
        return max(int(self.hands.width() * self.devicePixelRatioF()), 16)

    # -- events

    def keyPressEvent(self, ev: QKeyEvent) -> None:  # noqa: N802  # Qt's name
        """Ask whoever has the plot."""
        if self.key(ev):
            ev.accept()
        else:
            ev.ignore()

    def focusInEvent(self, ev: QFocusEvent) -> None:  # noqa: N802  # Qt's name
        """Show the focus."""
        super().focusInEvent(ev)
        self.refresh()

    def focusOutEvent(self, ev: QFocusEvent) -> None:  # noqa: N802  # Qt's name
        """Show it no more."""
        super().focusOutEvent(ev)
        self.refresh()

    def _mouse(self, at: QPointF) -> None:
        if self.hands.sceneBoundingRect().contains(at):
            self.pointed.emit(self.hands.mapSceneToView(at))

    # -- what is below and above the curves; a scene's coordinates are pixels here

    def drawBackground(self, painter: QPainter, rect: QRectF) -> None:  # noqa: N802  # Qt's name
        """Ground, grid, stretches."""
        super().drawBackground(painter, rect)
        area = self.hands.sceneBoundingRect()
        painter.save()
        painter.setClipRect(area)
        painter.fillRect(area, QColor(look().scheme.sunken))
        (x0, x1), (y0, y1) = self.hands.viewRange()
        painter.setPen(_line(look().scheme.grid))
        for _, ticks in self.bottom.tickValues(x0, x1, area.width()):
            for value in ticks:
                x = self._x(value, area, x0, x1)
                painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        for _, ticks in self.left.tickValues(y0, y1, area.height()):
            for value in ticks:
                y = self._y(value, area, y0, y1)
                painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        for span in self.spans:
            self._draw_span(painter, span, area, x0, x1)
        painter.restore()

    def drawForeground(self, painter: QPainter, rect: QRectF) -> None:  # noqa: N802  # Qt's name
        """Watermark, names of stretches, limits, cursor, focus."""
        area = self.hands.sceneBoundingRect()
        (x0, x1), (y0, y1) = self.hands.viewRange()
        painter.save()
        painter.setClipRect(area.adjusted(-1, -1, 1, 1))
        if self.watermark:
            self._draw_watermark(painter, area)
        painter.setFont(_font())
        names = [self._draw_span_label(painter, span, area, x0, x1) for span in self.spans]
        self._draw_limits(painter, area, y0, y1, [one for one in names if one is not None])
        if self.cursor is not None and x0 <= self.cursor <= x1:
            x = self._x(self.cursor, area, x0, x1)
            painter.setPen(_line(look().scheme.text))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        if self.hasFocus():
            pen = _line(look().scheme.accent_line)
            pen.setWidth(2)
            painter.setPen(pen)
            painter.drawRect(area.adjusted(1, 1, -1, -1))
        painter.restore()

    def _draw_span(self, painter: QPainter, span: Span, area: QRectF, x0: float, x1: float) -> None:
        left, right = self._x(max(span.t0, x0), area, x0, x1), self._x(min(span.t1, x1), area, x0, x1)
        if right < area.left() or left > area.right() or span.t1 < x0 or span.t0 > x1:
            return
        fill = look().scheme.tone(span.tone)
        stretch = QRectF(left, area.top(), max(right - left, 1.0), area.height())
        if span.tone is Tone.PLAIN:
            painter.setPen(_line(look().scheme.line))
            painter.drawLine(stretch.topLeft(), stretch.bottomLeft())
        elif fill.under == "transparent":
            painter.fillRect(stretch, pyqtgraph.mkColor(look().scheme.band))
        else:
            painter.fillRect(stretch, QColor(fill.under))

    def _draw_span_label(self, painter: QPainter, span: Span, area: QRectF, x0: float, x1: float) -> QRectF | None:
        """Write the name of a stretch; returns where, None where there is no room for it."""
        left, right = self._x(max(span.t0, x0), area, x0, x1) + 4.0, self._x(min(span.t1, x1), area, x0, x1) - 2.0
        if not span.label or right - left <= SHORTEST_LABEL or span.t1 < x0 or span.t0 > x1:
            return None
        metrics = QFontMetricsF(painter.font())
        text = metrics.elidedText(span.label, Qt.TextElideMode.ElideRight, right - left)
        row = 0 if span.tone is Tone.PLAIN else 1
        top = area.top() + 2.0 + row * metrics.height()
        fill = look().scheme.tone(span.tone)
        colour = look().scheme.muted if fill.under == "transparent" else fill.text
        room = QRectF(left, top, metrics.horizontalAdvance(text), metrics.height())
        _draw_word(painter, room, text, QColor(colour))
        return room

    def _draw_watermark(self, painter: QPainter, area: QRectF) -> None:
        """Outlined, so that it is read on the ground and on a dense curve alike."""
        key = (self.watermark, int(area.width()), int(area.height()))
        if self._mark is None or self._mark[0] != key:
            high = max(int(min(area.width() * 1.1 / len(self.watermark), area.height() * 0.35)), 8)
            font = lettering(high, QFont.Weight.Bold)
            path = QPainterPath()
            path.addText(0.0, 0.0, font, self.watermark)
            self._mark = (key, path.translated(-path.boundingRect().center()).simplified())
        outline, inside = QColor(look().scheme.text), QColor(look().scheme.sunken)
        outline.setAlpha(WATERMARK_ALPHA)
        inside.setAlpha(WATERMARK_ALPHA)
        painter.save()
        painter.translate(area.center())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(outline, 1.0))
        painter.setBrush(inside)
        painter.drawPath(self._mark[1])
        painter.restore()

    def _draw_limits(self, painter: QPainter, area: QRectF, y0: float, y1: float, taken: list[QRectF]) -> None:
        """Draw lines and their names, each below what is written there already."""
        metrics = QFontMetricsF(painter.font())
        pen = qt_pen(look().scheme.limit)
        for label, value in self.limits:
            y = self._y(value, area, y0, y1)
            is_seen = area.top() <= y <= area.bottom()
            text = label if is_seen else f"{label} {'↑' if y < area.top() else '↓'}"
            width = metrics.horizontalAdvance(text) + 8.0
            room = QRectF(area.right() - width, y - metrics.height() - 1, width, metrics.height())
            if is_seen:
                painter.setPen(pen)
                painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            if room.top() < area.top():
                room.moveTop(y + 1 if is_seen else area.top() + 1)
            if room.bottom() > area.bottom():
                room.moveBottom(area.bottom() - 1)
            while (other := next((one for one in taken if room.intersects(one)), None)) is not None:
                room.moveTop(other.bottom() + 2)
            taken.append(room)
            _draw_word(painter, room, text, pen.color())

    @staticmethod
    def _x(value: float, area: QRectF, x0: float, x1: float) -> float:
        return area.left() + (value - x0) / (x1 - x0) * area.width()

    @staticmethod
    def _y(value: float, area: QRectF, y0: float, y1: float) -> float:
        return area.bottom() - (value - y0) / (y1 - y0) * area.height()


def _draw_word(painter: QPainter, room: QRectF, text: str, colour: QColor) -> None:
    """Write on a ground of its own, so that it is read on a dense curve too."""
    ground = QColor(look().scheme.sunken)
    ground.setAlpha(GROUND_ALPHA)
    painter.fillRect(room, ground)
    painter.setPen(colour)
    painter.drawText(room, Qt.AlignmentFlag.AlignCenter, text)


def _line(colour: str) -> QPen:
    pen = QPen(QColor(colour))
    pen.setCosmetic(True)
    pen.setWidth(1)
    return pen


def _font() -> QFont:
    return lettering(look().density.small)
