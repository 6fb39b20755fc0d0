"""The row above a plot: its title, a stroke of each pen with its name, and the value of now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QFontMetrics, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from gui.plots.canvas import qt_pen
from gui.presenters.numbers import unit_text
from gui.theme.look import look
from gui.theme.tokens import Pen
from gui.views.parts import muted
from gui.views.room import Elided

STROKE = 22
GAP = 6
BETWEEN = 14
LEAST_TITLE = 56
"""A title is cut down to so many pixels: a plot is made as narrow as its value of now and its button allow."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A curve in the legend."""

    key: str
    label: str
    pen: Pen
    is_shown: bool = True


class Legend(QWidget):
    """Strokes and names; a name that has no room is cut, and told by a tool tip.  A click hides or shows a curve."""

    clicked = pyqtSignal(str)
    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.entries: Sequence[Entry] = ()
        self.is_right = True
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        look().changed.connect(self.update)

    def show_entries(self, entries: Sequence[Entry]) -> None:
        """Show these."""
        if list(entries) != list(self.entries):
            self.entries = list(entries)
            self.setAccessibleName("Legend: " + ", ".join(entry.label for entry in entries))
            self.updateGeometry()
            self.update()
            self.changed.emit()

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """As Qt asks."""
        metrics = self._metrics()
        width = sum(STROKE + GAP + metrics.horizontalAdvance(entry.label) + BETWEEN for entry in self.entries)
        return QSize(width, metrics.height() + 4)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """As Qt asks."""
        return QSize(len(self.entries) * (STROKE + 4), self.sizeHint().height())

    def _metrics(self) -> QFontMetrics:
        font = self.font()
        font.setPixelSize(look().density.small)
        return QFontMetrics(font)

    def places(self) -> list[tuple[Entry, QRectF]]:
        """Where each entry stands."""
        metrics = self._metrics()
        wanted = [float(STROKE + GAP + metrics.horizontalAdvance(entry.label) + BETWEEN) for entry in self.entries]
        room, least = float(self.width()), float(STROKE + 4)
        over = sum(wanted) - room
        while over > 0.5 and (wide := [index for index, width in enumerate(wanted) if width > least]):
            widest = max(wanted[index] for index in wide)
            most = [index for index in wide if wanted[index] > widest - 1.0]
            by = min(over / len(most), max(widest - least, 0.0), 4.0)
            for index in most:
                wanted[index] -= by
            over -= by * len(most)
        left, made = (room - min(sum(wanted), room) if self.is_right else 0.0), []
        for entry, width in zip(self.entries, wanted, strict=True):
            made.append((entry, QRectF(left, 0.0, width, float(self.height()))))
            left += width
        return made

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802  # Qt's name
        """Draw strokes and names."""
        painter = QPainter(self)
        metrics = self._metrics()
        font = self.font()
        font.setPixelSize(look().density.small)
        for entry, place in self.places():
            font.setStrikeOut(not entry.is_shown)
            painter.setFont(font)
            pen = qt_pen(entry.pen)
            pen.setWidth(2)
            painter.setPen(pen)
            middle = round(place.center().y())
            painter.drawLine(QPointF(place.left(), middle), QPointF(place.left() + STROKE, middle))
            room = place.adjusted(STROKE + GAP, 0, -4, 0)
            if room.width() > 8:
                painter.setPen(qt_pen(Pen(look().scheme.text if entry.is_shown else look().scheme.muted)))
                text = metrics.elidedText(entry.label, Qt.TextElideMode.ElideRight, int(room.width()) + 1)
                painter.drawText(room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        painter.end()

    def _under(self, at: QPointF) -> Entry | None:
        return next((entry for entry, place in self.places() if place.contains(at)), None)

    def event(self, event: QEvent | None) -> bool:
        """Tell the whole name where the mouse rests."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            entry = self._under(QPointF(event.pos()))
            text = "" if entry is None else f"{entry.label} (click to {'hide' if entry.is_shown else 'show'})"
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802  # Qt's name
        """Hide or show a curve."""
        assert event is not None
        entry = self._under(event.position())
        if entry is not None and event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit(entry.key)


class Head(QWidget):
    """Title, legend, and the value of now; the legend has a line of its own where there is no room beside the title."""

    def __init__(self, title: str, unit: str) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        row = QHBoxLayout()
        row.setSpacing(look().density.gap)
        column.addLayout(row)
        self._column, self._row = column, row
        self.title = Elided(title, LEAST_TITLE)
        self.title.setProperty("muted", "false")
        self.title.setObjectName("panelTitle")
        self.legend = Legend()
        self.value = QLabel("")
        self.value.setProperty("big", "true")
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.unit = muted(unit_text(unit))
        self.unit.setContentsMargins(0, 0, 0, 4)
        row.addWidget(self.title)
        row.addWidget(self.legend, 1)
        row.addWidget(self.value)
        row.addWidget(self.unit, 0, Qt.AlignmentFlag.AlignBottom)
        self._beside = True
        self._extra: list[QWidget] = []
        self.legend.changed.connect(self._arrange)
        look().changed.connect(self._measure_anew)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """Move the legend where there is room."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        others = sum(
            max(part.sizeHint().width(), part.minimumWidth())
            for part in (self.title, self.value, self.unit, *self._extra)
        )
        beside = self.legend.sizeHint().width() + others + 4 * look().density.gap <= self.width()
        if beside is self._beside:
            return
        self._beside = beside
        if beside:
            self._column.removeWidget(self.legend)
            self._row.insertWidget(1, self.legend, 1)
        else:
            self._row.removeWidget(self.legend)
            self._row.insertStretch(1, 1)
            self._column.addWidget(self.legend)
        if beside:
            self._row.takeAt(2)  # the stretch that kept its place
        self.legend.is_right = beside

    def add(self, part: QWidget) -> None:
        """Put a part at the right end."""
        self._row.addWidget(part)
        self._extra.append(part)

    def say(self, text: str, *, has_unit: bool = True) -> None:
        """Show the value of now; its place never gets narrower, so that nothing beside it moves."""
        if text != self.value.text():
            self.value.setText(text)
            wanted = self.value.sizeHint().width()
            if wanted > self.value.minimumWidth():
                self.value.setMinimumWidth(wanted)
                self._arrange()
        self.unit.setVisible(bool(text) and has_unit)

    def _measure_anew(self) -> None:
        """Letters have another size now."""
        self.value.setMinimumWidth(0)
        self._arrange()
