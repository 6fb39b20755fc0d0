"""A table of rows that a presenter gives: each column says how it shows a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from PyQt6.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt, pyqtSignal
from PyQt6.QtGui import QBrush, QColor, QFont, QResizeEvent
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from gui.presenters.tone import Tone
from gui.theme.look import lettering, look

Row = TypeVar("Row")
NO_INDEX = QModelIndex()


BETWEEN = 8
"""Pixels between the text of a row of several lines and that of the next one."""

MEASURED = 200
"""Behind so many rows a new one makes no column wider: to measure a long list at each costs too much."""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """How a column shows a row.

    Attributes
    ----------
    tone : with an icon before the text; None for a plain text.
    stretch : takes the room that is left.
    least : so many letters of what stretches are always in view; where there is no room for them the table scrolls.
    number : aligned to the right, with digits of one width.
    tip : shown where the mouse rests; the text without it.
    """

    heading: str
    text: Callable[[Row], str]
    tone: Callable[[Row], Tone] | None = None
    stretch: bool = False
    least: int = 0
    number: bool = False
    tip: Callable[[Row], str] | None = None


class RowsModel(QAbstractTableModel, Generic[Row]):
    """Rows of a presenter for Qt."""

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        row_tone: Callable[[Row], Tone] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.columns = columns
        self.rows: Sequence[Row] = ()
        self._row_tone = row_tone

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; what is added at the end keeps selection and place."""
        old = len(self.rows)
        if len(rows) > old and list(rows[:old]) == list(self.rows):
            self.beginInsertRows(NO_INDEX, old, len(rows) - 1)
            self.rows = list(rows)
            self.endInsertRows()
            if old < MEASURED:  # Qt measures columns anew when rows change, not when they come
                self._changed(old, len(rows))
        elif len(rows) == old:
            self.rows = list(rows)
            if old:
                self._changed(0, old)
        else:
            self.beginResetModel()
            self.rows = list(rows)
            self.endResetModel()

    def _changed(self, begin: int, end: int) -> None:
        self.dataChanged.emit(self.index(begin, 0), self.index(end - 1, len(self.columns) - 1))

    def rowCount(self, parent: QModelIndex = NO_INDEX) -> int:  # noqa: N802  # Qt's name
        """As Qt asks."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = NO_INDEX) -> int:  # noqa: N802  # Qt's name
        """As Qt asks."""
        return 0 if parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802  # Qt's name
        """As Qt asks."""
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self.columns[section].heading
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            return self._alignment(section)
        return None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """As Qt asks."""
        row, column = self.rows[index.row()], self.columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return (column.tip or column.text)(row)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self._alignment(index.column())
        if role == Qt.ItemDataRole.DecorationRole and column.tone is not None:
            return look().tone_icon(column.tone(row))
        return self._coloured(row, column, role)

    def _coloured(self, row: Row, column: Column[Row], role: int) -> Any:
        tone = Tone.PLAIN if self._row_tone is None else self._row_tone(row)
        if column.tone is not None and tone is Tone.PLAIN:
            tone = column.tone(row)
        fill = look().scheme.tone(tone)
        if role == Qt.ItemDataRole.ForegroundRole:
            return QBrush(QColor(fill.text))
        if role == Qt.ItemDataRole.BackgroundRole and fill.under != "transparent":
            return QBrush(QColor(fill.under))
        if role == Qt.ItemDataRole.FontRole and column.tone is not None and fill.under != "transparent":
            return lettering(look().density.font, QFont.Weight.DemiBold)
        return None

    def _alignment(self, section: int) -> Qt.AlignmentFlag:
        side = Qt.AlignmentFlag.AlignRight if self.columns[section].number else Qt.AlignmentFlag.AlignLeft
        return side | Qt.AlignmentFlag.AlignVCenter


class Table(QTableView, Generic[Row]):
    """A table of whole rows; ``chosen`` gives the number of the row that a person has chosen.

    Parameters
    ----------
    key : tells rows apart, where others may come in before the chosen one: then it stays chosen, or nothing is.
    """

    chosen = pyqtSignal(int)

    def __init__(
        self,
        name: str,
        columns: Sequence[Column[Row]],
        row_tone: Callable[[Row], Tone] | None = None,
        key: Callable[[Row], object] | None = None,
    ) -> None:
        super().__init__()
        self._key, self._least_rows = key, 0
        self.rows = RowsModel(columns, row_tone, self)
        self.setModel(self.rows)
        self.setAccessibleName(name)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        vertical, across = self.verticalHeader(), self.horizontalHeader()
        assert vertical is not None
        assert across is not None
        self._vertical = vertical
        vertical.hide()
        across.setHighlightSections(False)
        across.setResizeContentsPrecision(MEASURED)
        for number, column in enumerate(columns):
            mode = QHeaderView.ResizeMode.Stretch if column.stretch else QHeaderView.ResizeMode.ResizeToContents
            across.setSectionResizeMode(number, mode)
        across.sectionResized.connect(lambda *_: self._share_width())
        selection = self.selectionModel()
        assert selection is not None
        selection.currentRowChanged.connect(lambda now, _: self.chosen.emit(now.row()))
        self._fit()
        look().changed.connect(self._fit)

    def least(self, rows: int) -> None:
        """Never get so low that fewer rows are in view; what is around it has to scroll instead."""
        self._least_rows = rows
        self._fit()

    def give_lines(self, lines: Sequence[int]) -> None:
        """Make each row, of those that are shown now, as high as so many lines need."""
        for at, count in enumerate(lines):
            height = look().density.row if count < 2 else count * self.fontMetrics().lineSpacing() + BETWEEN
            self._vertical.resizeSection(at, height)

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows."""
        before = None if self._key is None else self.current()
        self.rows.show(rows)
        if self._key is not None and before is not None:
            self._choose_again(self._key(before), self._key)

    def _choose_again(self, before: object, key: Callable[[Row], object]) -> None:
        row = self.current()
        if row is None or key(row) != before:
            at = next((at for at, one in enumerate(self.rows.rows) if key(one) == before), -1)
            self.clearSelection()
            self.setCurrentIndex(self.rows.index(at, 0))

    def current(self) -> Row | None:
        """The row that is chosen."""
        at = self.currentIndex().row()
        return self.rows.rows[at] if 0 <= at < len(self.rows.rows) else None

    def chosen_rows(self) -> list[Row]:
        """The rows that are chosen, in their order, where several can be."""
        selection = self.selectionModel()
        assert selection is not None
        numbers = sorted(index.row() for index in selection.selectedRows())
        return [self.rows.rows[number] for number in numbers if number < len(self.rows.rows)]

    def choose(self, numbers: Sequence[int]) -> None:
        """Choose these rows, unless they are."""
        selection = self.selectionModel()
        assert selection is not None
        if sorted(index.row() for index in selection.selectedRows()) == list(numbers):
            return
        selection.clearSelection()
        for number in numbers:
            selection.select(self.rows.index(number, 0), selection.SelectionFlag.Select | selection.SelectionFlag.Rows)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """Share the new width."""
        super().resizeEvent(event)
        self._share_width()

    def _share_width(self) -> None:
        across, viewport = self.horizontalHeader(), self.viewport()
        assert across is not None
        assert viewport is not None
        for number, column in enumerate(self.rows.columns):
            if column.stretch and column.least:
                others = across.length() - across.sectionSize(number)
                least = self.fontMetrics().averageCharWidth() * column.least
                mode = across.ResizeMode
                wanted = mode.Stretch if viewport.width() - others >= least else mode.Fixed
                if across.sectionResizeMode(number) != wanted:
                    across.setSectionResizeMode(number, wanted)
                if wanted is mode.Fixed and across.sectionSize(number) != least:
                    across.resizeSection(number, least)

    def _fit(self) -> None:
        self._vertical.setDefaultSectionSize(look().density.row)
        self.setIconSize(look().icon_size)
        if self._least_rows:
            self.setMinimumHeight(look().density.row * (self._least_rows + 1) + 4)  # a header is as high as a row
        viewport = self.viewport()
        assert viewport is not None
        viewport.update()
