"""The runs of a folder, to be searched, sorted, opened, recovered and compared."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QAbstractItemView, QComboBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from gui.presenters.review import ReviewPages
from gui.presenters.review_list import (
    ALL,
    date_of,
    origin_text,
    origin_tone,
    size_text,
    status_tone,
    verdict_text,
    verdict_tone,
)
from gui.presenters.review_read import CUT_OFF, RunRow
from gui.views.folder_tree import FolderTree
from gui.views.parts import Panel, ToneLabel, button, tool
from gui.views.room import CalmCombo
from gui.views.table import Column, Table

FILE_LETTERS = 22
"""Of a file's name: with fewer nobody knows it."""

COLUMNS = (
    (
        "file",
        Column[RunRow](
            "File", lambda row: row.path.name, stretch=True, least=FILE_LETTERS, tip=lambda row: said_of(row)
        ),
    ),
    ("date", Column[RunRow]("Began", date_of)),
    ("protocol", Column[RunRow]("Protocol", lambda row: row.procedure, tip=lambda row: row.title)),
    ("dut", Column[RunRow]("Device under test", lambda row: row.dut)),
    ("station", Column[RunRow]("Station", lambda row: row.station)),
    ("status", Column[RunRow]("Status", lambda row: row.status.replace("-", " "), status_tone)),
    ("verdict", Column[RunRow]("Verdict", verdict_text, verdict_tone, tip=lambda row: said_of(row))),
    ("origin", Column[RunRow]("Origin", origin_text, origin_tone)),
    ("digest", Column[RunRow]("Digest", lambda row: row.digest[:10], tip=lambda row: digest_tip(row))),
    ("size", Column[RunRow]("Size", lambda row: size_text(row.size), number=True)),
)
CHOICES = {"protocol": "Protocol", "verdict": "Verdict", "status": "Status"}
CHOICE_LETTERS = 8


class RunListPanel(Panel):
    """The list; what is chosen in it is opened by Enter, a double click or the button."""

    def __init__(self, pages: ReviewPages) -> None:
        super().__init__("Runs of a folder")
        self._pages = pages
        self._list = pages.list
        self.says = ToneLabel()
        self.tools.addWidget(self.says)
        self.body.addLayout(self._folder_row())
        self.folders = FolderTree(self._choose_folder)
        self.folders.hide()
        self.body.addWidget(self.folders)
        self.body.addLayout(self._filter_row())
        self.table: Table[RunRow] = Table("Runs", [column for _, column in COLUMNS])
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.setTextElideMode(
            Qt.TextElideMode.ElideMiddle
        )  # the number of a run is at the end of its file's name
        self.table.activated.connect(lambda _: self._open())
        self._set_up_sorting()
        self.body.addWidget(self.table, 1)
        self.body.addLayout(self._button_row())
        selection = self.table.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(lambda *_: self._show_buttons())
        QShortcut(QKeySequence.StandardKey.Find, self, self.text.setFocus).setContext(
            Qt.ShortcutContext.WidgetWithChildrenShortcut
        )
        self._list.attach(self)

    # -- parts

    def _folder_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.path = QLineEdit(str(self._list.folder))
        self.path.setAccessibleName("Folder of run files")
        self.path.setToolTip("Type a folder and press Enter, or drop a folder or a run file on the page")
        self.path.returnPressed.connect(lambda: self._list.open_folder(self.path.text()))
        self.browse = tool("folder", "Choose a folder", checkable=True)
        self.browse.toggled.connect(self._browse)
        row.addWidget(self.path, 1)
        row.addWidget(self.browse)
        return row

    def _filter_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.text = QLineEdit()
        self.text.setPlaceholderText("Find by name, serial number, station, run id, digest…")
        self.text.setAccessibleName("Find runs")
        self.text.setClearButtonEnabled(True)
        self.text.textChanged.connect(lambda text: self._list.narrow(text=text))
        row.addWidget(self.text, 3)
        self.choices: dict[str, QComboBox] = {}
        for what, word in CHOICES.items():
            choice = CalmCombo(f"Show runs of one {word.lower()}")
            choice.setMinimumContentsLength(CHOICE_LETTERS)
            choice.activated.connect(lambda _, what=what: self._narrow(what))
            self.choices[what] = choice
            row.addWidget(choice, 1)
        return row

    def _button_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.open = button("&Open", "file", self._open, primary=True)
        self.compare = button("&Compare", "compare", lambda: self._pages.compare(self.chosen()))
        self.compare.setToolTip("Choose two or more runs with Ctrl or Shift; the first is what the others are held to")
        self.recover = button("Reco&ver", "wrench", self._recover)
        self.recover.setToolTip("Make the run file of a run that was cut off, from its journal, which is only read")
        for one in (self.open, self.compare, self.recover):
            row.addWidget(one)
        row.addStretch(1)
        self.order = QComboBox()
        self.order.setAccessibleName("Sort the runs; the same again turns the order round")
        self.order.setToolTip("Sort by this; chosen again, or by its heading, it turns the order round")
        for key, column in COLUMNS:
            self.order.addItem(f"Sorted by {column.heading.lower()}", key)
        self.order.activated.connect(lambda at: self._list.sort(COLUMNS[at][0]))
        row.addWidget(self.order)
        return row

    def _set_up_sorting(self) -> None:
        across = self.table.horizontalHeader()
        assert across is not None
        across.setSectionsClickable(True)
        across.setSortIndicatorShown(True)
        across.sectionClicked.connect(lambda section: self._list.sort(COLUMNS[section][0]))

    # -- what the presenter says

    def show_runs(self) -> None:
        """Show the runs that are asked for, and keep what is chosen."""
        chosen = {row.path for row in self.chosen()}
        rows = self._list.rows
        self.table.show_rows(rows)
        self.table.choose([at for at, row in enumerate(rows) if row.path in chosen])
        self.says.say(*self._list.says)
        if not self.path.hasFocus():
            self.path.setText(str(self._list.folder))
        for what, choice in self.choices.items():
            self._offer(choice, what)
        across = self.table.horizontalHeader()
        assert across is not None
        keys = [key for key, _ in COLUMNS]
        order = Qt.SortOrder.DescendingOrder if self._list.descending else Qt.SortOrder.AscendingOrder
        across.setSortIndicator(keys.index(self._list.sort_key), order)
        self.order.setCurrentIndex(keys.index(self._list.sort_key))
        self._show_buttons()

    def chosen(self) -> list[RunRow]:
        """The runs that are chosen, in the order of the list."""
        return self.table.chosen_rows()

    def _offer(self, choice: QComboBox, what: str) -> None:
        values = self._list.choices(what)
        asked = getattr(self._list, what)
        if [choice.itemData(at) for at in range(choice.count())] != values:
            choice.clear()
            for value in values:
                choice.addItem(f"{CHOICES[what]}: {value.replace('-', ' ')}", value)
        choice.setCurrentIndex(values.index(asked) if asked in values else values.index(ALL))

    def _show_buttons(self) -> None:
        rows = self.chosen()
        self.open.setEnabled(len(rows) == 1 and rows[0].path.suffix == ".h5")
        self.compare.setEnabled(len(rows) > 1)
        self.recover.setEnabled(len(rows) == 1 and rows[0].kind == CUT_OFF)

    # -- what a person does

    def _open(self) -> None:
        rows = self.chosen()
        if len(rows) == 1:
            self._pages.open_row(rows[0])

    def _recover(self) -> None:
        for row in self.chosen():
            self._list.recover(row)

    def _narrow(self, what: str) -> None:
        self._list.narrow(**{what: str(self.choices[what].currentData())})

    def _browse(self, shown: bool) -> None:
        self.folders.setVisible(shown)
        if shown:
            self.folders.show_folder(self._list.folder)
            self.folders.setFocus()

    def _choose_folder(self, folder: Path) -> None:
        self.browse.setChecked(False)
        self._list.open_folder(str(folder))
        self.table.setFocus()


def said_of(row: RunRow) -> str:
    """What is to be said of a file, or its whole path."""
    return f"{row.path}\n{row.sentence}" if row.sentence else str(row.path)


def digest_tip(row: RunRow) -> str:
    """Whose digest it is."""
    return f"{row.digest}\nas the seal says it; it is verified when the run is opened" if row.digest else "no seal"


def page_of(panel: QWidget) -> QWidget:
    """A panel with the margins of a page."""
    made = QWidget()
    column = QVBoxLayout(made)
    column.setContentsMargins(8, 2, 8, 8)
    column.addWidget(panel)
    return made
