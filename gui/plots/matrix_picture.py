"""The detection matrix as a picture: one look tells which fault is found by which protocol, and what is amiss."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QEvent, QPoint, QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PyQt6.QtWidgets import QAbstractScrollArea, QToolTip, QWidget

from gui.plots.picture import free_path, written
from gui.presenters.context import Context
from gui.presenters.matrix_cells import MatrixCell, MatrixTable
from gui.presenters.tone import Tone
from gui.theme.look import lettering, look
from gui.theme.tokens import Scheme, contrast

PAD = 8


class MatrixPicture(QAbstractScrollArea):
    """Faults down, protocols across.

    A cell tells how many of its trials ended as claimed, and is the darker the more they prove; where one did not, it
    is marked with ✕ in the tone of a failure; hatched is what cannot be seen; empty is what is not claimed.

    Attributes
    ----------
    chosen : signal with the keys of fault and protocol of the cell that a person moves to; not of empty ones.
    opened : signal with the same when Enter is pressed, or a cell is clicked twice.
    """

    chosen = pyqtSignal(str, str)
    opened = pyqtSignal(str, str)

    def __init__(self, name: str = "Detection matrix") -> None:
        super().__init__()
        self.table = MatrixTable()
        self._cells: dict[tuple[int, int], MatrixCell] = {}
        self._at = (0, 0)
        self._name = name
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        look().changed.connect(self._fit)

    # -- what is shown

    def show_table(self, table: MatrixTable) -> None:
        """Show this one; the chosen cell stays where its fault and protocol are still there."""
        before = self.current()
        self.table = table
        rows = {row.key: index for index, row in enumerate(table.rows)}
        columns = {column: index for index, column in enumerate(table.columns)}
        self._cells = {(rows[cell.row], columns[cell.column]): cell for cell in table.cells}
        kept = None if before is None else (rows.get(before.row, -1), columns.get(before.column, -1))
        self._at = kept if kept is not None and kept in self._cells else min(self._cells, default=(0, 0))
        self._fit()
        self._tell()

    def current(self) -> MatrixCell | None:
        """The cell that is chosen."""
        return self._cells.get(self._at)

    def choose(self, row: str, column: str) -> None:
        """Choose a cell."""
        for at, cell in self._cells.items():
            if (cell.row, cell.column) == (row, column):
                self._move(*at)

    def save(self, context: Context) -> Path | None:
        """Save the whole matrix as a picture, also what has to be scrolled for."""
        whole = QPixmap(self._whole() * 2)
        whole.setDevicePixelRatio(2.0)
        whole.fill(QColor(look().scheme.sunken))
        painter = QPainter(whole)
        self._draw(painter, self._whole(), QPoint(0, 0))
        painter.end()
        return written(whole, free_path(context.folder, self._name), context)

    # -- sizes

    def _font(self, strong: bool = False) -> QFont:
        return lettering(look().density.small + 1, QFont.Weight.DemiBold if strong else QFont.Weight.Normal)

    @property
    def _row(self) -> int:
        return look().density.row

    @property
    def _head(self) -> QSize:
        """Of the names at the left and at the top."""
        metrics = QFontMetrics(self._font())
        names = max((metrics.horizontalAdvance(row.label) for row in self.table.rows), default=0)
        owners = max((metrics.horizontalAdvance(row.owner) for row in self.table.rows), default=0)
        return QSize(names + owners + 3 * PAD, 2 * metrics.height() + PAD)

    @property
    def _column(self) -> int:
        """Width of a column: of its name in two lines; wider where there is room."""
        metrics = QFontMetrics(self._font())
        parts = [part for column in self.table.columns for part in _two_lines(column)]
        least = max((metrics.horizontalAdvance(part) for part in [*parts, "✕ 88/88"]), default=40) + 2 * PAD
        viewport = self.viewport()
        assert viewport is not None
        room = (viewport.width() - self._head.width()) // max(len(self.table.columns), 1)
        return max(least, min(room, 2 * least))

    def _whole(self) -> QSize:
        return QSize(
            self._head.width() + self._column * len(self.table.columns),
            self._head.height() + self._row * len(self.table.rows),
        )

    def sizeHint(self) -> QSize:  # noqa: N802  # Qt's name
        """As Qt asks."""
        return self._whole().boundedTo(QSize(1200, 700))

    def _fit(self) -> None:
        viewport, whole = self.viewport(), self._whole()
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        assert viewport is not None
        assert across is not None
        assert down is not None
        across.setRange(0, max(whole.width() - viewport.width(), 0))
        across.setPageStep(viewport.width())
        across.setSingleStep(self._column)
        down.setRange(0, max(whole.height() - viewport.height(), 0))
        down.setPageStep(viewport.height())
        down.setSingleStep(self._row)
        viewport.update()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """Take the room there is."""
        self._fit()

    def _scrolled(self) -> QPoint:
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        return QPoint(across.value() if across is not None else 0, down.value() if down is not None else 0)

    def _place(self, row: int, column: int) -> QRect:
        """Where a cell is in the whole picture."""
        head = self._head
        return QRect(head.width() + column * self._column, head.height() + row * self._row, self._column, self._row)

    # -- drawing

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802  # Qt's name
        """Draw what is in view."""
        viewport = self.viewport()
        assert viewport is not None
        painter = QPainter(viewport)
        painter.fillRect(viewport.rect(), QColor(look().scheme.sunken))
        self._draw(painter, viewport.size(), self._scrolled())
        painter.end()

    def _draw(self, painter: QPainter, size: QSize, scrolled: QPoint) -> None:
        scheme, head = look().scheme, self._head
        painter.setFont(self._font())
        for (row, column), cell in self._cells.items():
            place = self._place(row, column).translated(-scrolled)
            if place.intersects(QRect(QPoint(0, 0), size)):
                self._draw_cell(painter, cell, place.adjusted(0, 0, -1, -1))
        if self._at in self._cells:
            place = self._place(*self._at).translated(-scrolled)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(scheme.accent_line if self.hasFocus() else scheme.text), 2))
            painter.drawRect(place.adjusted(1, 1, -2, -2))
            painter.setPen(QPen(QColor(scheme.sunken), 1))  # seen on a dark cell, where the first is not
            painter.drawRect(place.adjusted(3, 3, -4, -4))
        painter.fillRect(0, 0, head.width(), size.height(), QColor(scheme.sunken))
        self._draw_rows(painter, size, scrolled)
        painter.fillRect(0, 0, size.width(), head.height(), QColor(scheme.panel))
        self._draw_columns(painter, size, scrolled)

    def _draw_rows(self, painter: QPainter, size: QSize, scrolled: QPoint) -> None:
        scheme, head = look().scheme, self._head
        for index, row in enumerate(self.table.rows):
            top = head.height() + index * self._row - scrolled.y()
            if head.height() - self._row < top < size.height():
                is_current = index == self._at[0] and bool(self._cells)
                painter.setFont(self._font(is_current))
                painter.setPen(QColor(scheme.text))
                place = QRect(PAD, top, head.width() - 2 * PAD, self._row)
                painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, row.label)
                painter.setFont(self._font())
                painter.setPen(QColor(scheme.muted))
                painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, row.owner)
                painter.setPen(QColor(scheme.grid))
                painter.drawLine(0, top + self._row - 1, size.width(), top + self._row - 1)

    def _draw_columns(self, painter: QPainter, size: QSize, scrolled: QPoint) -> None:
        scheme, head = look().scheme, self._head
        painter.setClipRect(head.width(), 0, size.width(), head.height())
        for index, column in enumerate(self.table.columns):
            left = head.width() + index * self._column - scrolled.x()
            painter.setFont(self._font(index == self._at[1] and bool(self._cells)))
            painter.setPen(QColor(scheme.text))
            place = QRect(left, 0, self._column, head.height() - 2)
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, "\n".join(_two_lines(column)))
        painter.setClipping(False)
        painter.setPen(QColor(scheme.line))
        painter.drawLine(0, head.height() - 1, size.width(), head.height() - 1)

    def _draw_cell(self, painter: QPainter, cell: MatrixCell, place: QRect) -> None:
        scheme = look().scheme
        if cell.state == "unseen":
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(scheme.line))
            painter.fillRect(place, QColor(scheme.striped))
            painter.setBrush(Qt.BrushStyle.BDiagPattern)
            painter.fillRect(place, painter.brush())
            return
        ground, text = scheme.sunken, scheme.text
        if cell.state == "amiss":
            fill = scheme.tone(Tone.FAIL)
            ground, text = fill.under, fill.text
        elif cell.state == "claimed":
            ground = mixed(scheme.sunken, scheme.muted, cell.proved)
            text = legible(scheme, ground)
        painter.fillRect(place, QColor(ground))
        painter.setFont(self._font(cell.state == "amiss"))
        painter.setPen(QColor(text if cell.state != "open" else scheme.muted))
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, cell.text)

    # -- mouse and keyboard

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802  # Qt's name
        """Move from cell to cell, past empty ones; Home and End within the row."""
        assert event is not None
        key = Qt.Key(event.key())
        steps = {Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0)}
        if key in steps:
            self._step(*steps[key])
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            filled = [column for row, column in self._cells if row == self._at[0]]
            if filled:
                self._move(self._at[0], min(filled) if key == Qt.Key.Key_Home else max(filled))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and (cell := self.current()) is not None:
            self.opened.emit(cell.row, cell.column)
        else:
            super().keyPressEvent(event)

    def _step(self, down: int, right: int) -> None:
        row, column = self._at
        if right:
            filled = [at for at in self._cells if at[0] == row and (at[1] - column) * right > 0]
            nearest = min(filled, key=lambda at: abs(at[1] - column), default=None)
        else:
            further = [at for at in self._cells if (at[0] - row) * down > 0]
            nearest = min(further, key=lambda at: (abs(at[0] - row), abs(at[1] - column)), default=None)
        if nearest is not None:
            self._move(*nearest)

    def _move(self, row: int, column: int) -> None:
        self._at = (row, column)
        viewport, across, down = self.viewport(), self.horizontalScrollBar(), self.verticalScrollBar()
        assert viewport is not None
        assert across is not None
        assert down is not None
        place, head = self._place(row, column), self._head
        across.setValue(min(max(across.value(), place.right() - viewport.width()), place.left() - head.width()))
        down.setValue(min(max(down.value(), place.bottom() - viewport.height()), place.top() - head.height()))
        viewport.update()
        self._tell()
        cell = self.current()
        if cell is not None:
            self.chosen.emit(cell.row, cell.column)

    def _tell(self) -> None:
        cell = self.current()
        said = "" if cell is None else f"{cell.row or 'no fault'}, {cell.column}: {cell.text} {cell.tip}"
        self.setAccessibleDescription(said)

    def _under(self, at: QPoint) -> tuple[int, int] | None:
        head = self._head
        if at.x() < head.width() or at.y() < head.height():
            return None
        spot = at + self._scrolled()
        found = ((spot.y() - head.height()) // self._row, (spot.x() - head.width()) // self._column)
        return found if found in self._cells else None

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802  # Qt's name
        """Choose a cell."""
        assert event is not None
        found = self._under(event.pos())
        if found is not None:
            self._move(*found)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802  # Qt's name
        """Open a cell."""
        assert event is not None
        found = self._under(event.pos())
        if found is not None:
            self.opened.emit(self._cells[found].row, self._cells[found].column)

    def viewportEvent(self, event: QEvent | None) -> bool:  # noqa: N802  # Qt's name
        """Tell a cell's trials where the mouse rests."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            found = self._under(event.pos())
            viewport: QWidget | None = self.viewport()
            QToolTip.showText(event.globalPos(), "" if found is None else self._cells[found].tip, viewport)
            return True
        return super().viewportEvent(event)


def legible(scheme: Scheme, ground: str) -> str:
    """The colour of the theme for letters on a shade."""
    return max((scheme.text, scheme.sunken, scheme.header.under), key=lambda colour: contrast(colour, ground))


def mixed(first: str, second: str, share: float) -> str:
    """A colour between two."""
    one, other = QColor(first), QColor(second)
    parts = zip((one.red(), one.green(), one.blue()), (other.red(), other.green(), other.blue()), strict=True)
    return QColor(*(round(a + (b - a) * share) for a, b in parts)).name()


def _two_lines(name: str) -> list[str]:
    """A name cut at its first hyphen, which stays at the end of the first line."""
    first, hyphen, rest = name.partition("-")
    return [first + hyphen, rest] if rest else [name]
