"""Runs that are found through the catalogue: words, filters, a table, and what brings the catalogue up to date."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QStringListModel, Qt, QTimer
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QAbstractItemView, QComboBox, QCompleter, QHBoxLayout, QLineEdit, QWidget

from data.catalogue.store import Line
from gui.presenters.review import ReviewPages
from gui.presenters.review_list import origin_tone_of, status_tone_of
from gui.presenters.run_search import (
    CHOICES,
    TYPED,
    began,
    device,
    name_of,
    review_said,
    tip_of,
    verdict_said,
)
from gui.presenters.tone import Tone
from gui.views.folder_tree import FolderTree
from gui.views.parts import Notice, Panel, ToneLabel, button, muted, tool
from gui.views.review_list import CHOICE_LETTERS, FILE_LETTERS
from gui.views.room import CalmCombo
from gui.views.table import Column, Table


def status_word(row: Line) -> str:
    """How the run ended."""
    return row.status.replace("-", " ")


def verdict_tone(row: Line) -> Tone:
    """How much to mind its verdict."""
    return verdict_said(row)[1]


COLUMNS = (
    ("path", Column[Line]("File", name_of, stretch=True, least=FILE_LETTERS, tip=tip_of)),
    ("made", Column[Line]("Began", began)),
    ("procedure", Column[Line]("Protocol", lambda row: row.procedure, tip=lambda row: row.title)),
    ("dut_serial", Column[Line]("Device under test", device, tip=tip_of)),
    ("station", Column[Line]("Station", lambda row: row.station)),
    (
        "status",
        Column[Line]("Status", status_word, lambda row: status_tone_of(row.status)),
    ),
    (
        "verdict",
        Column[Line]("Verdict", lambda row: verdict_said(row)[0], verdict_tone, tip=tip_of),
    ),
    ("origin", Column[Line]("Origin", lambda row: row.origin, lambda row: origin_tone_of(row.origin))),
    ("review", Column[Line]("Review", lambda row: review_said(row)[0], lambda row: review_said(row)[1])),
)

PAUSE_MS = 120
"""After so long without a key the catalogue is asked."""

NEAR_END = 0.8
"""Scrolled so far, more is read."""

TYPED_WIDTH = 120


class RunSearchPanel(Panel):
    """The runs of the catalogue; what is chosen is opened by Enter, a double click or the button."""

    def __init__(self, pages: ReviewPages) -> None:
        super().__init__("Find runs")
        self._pages = pages
        self._search = pages.search
        self.says = ToneLabel()
        self.tools.addWidget(self.says)
        self.body.addLayout(self._word_row())
        self.body.addLayout(self._typed_row())
        self.body.addWidget(self._made_offer())
        self.table: Table[Line] = Table("Runs of the catalogue", [column for _, column in COLUMNS])
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.setTextElideMode(
            Qt.TextElideMode.ElideMiddle
        )  # the number of a run is at the end of its file's name
        self.table.activated.connect(lambda _: self._open())
        self._set_up_table()
        self.body.addWidget(self.table, 1)
        self.body.addWidget(self._made_folder_row())
        self.body.addLayout(self._button_row())
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.timeout.connect(lambda: self._search.narrow(text=self.text.text()))
        QShortcut(QKeySequence.StandardKey.Find, self, self.text.setFocus).setContext(
            Qt.ShortcutContext.WidgetWithChildrenShortcut
        )
        self._search.attach(self)

    # -- parts

    def _word_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.text = QLineEdit()
        self.text.setPlaceholderText("Find by words: serial number, lot, protocol, station, person, run id, digest…")
        self.text.setAccessibleName("Find runs in the catalogue")
        self.text.setClearButtonEnabled(True)
        self.text.textChanged.connect(lambda _: self._pause.start(PAUSE_MS))
        self.text.returnPressed.connect(self._to_the_table)
        row.addWidget(self.text, 3)
        self.choices: dict[str, QComboBox] = {}
        for what, word in CHOICES.items():
            choice = CalmCombo(f"Find runs of one {word.lower()}")
            choice.setMinimumContentsLength(CHOICE_LETTERS)
            choice.activated.connect(lambda _, what=what: self._chosen(what))
            self.choices[what] = choice
            row.addWidget(choice, 1)
        return row

    def _typed_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.typed: dict[str, QLineEdit] = {}
        for what, (word, hint) in TYPED.items():
            line = QLineEdit()
            line.setPlaceholderText(hint)
            line.setAccessibleName(f"Find runs: {word.lower()}, {hint}")
            line.setMinimumWidth(TYPED_WIDTH)
            line.editingFinished.connect(lambda what=what: self._search.narrow(**{what: self.typed[what].text()}))
            if what not in ("since", "until"):
                line.setCompleter(self._completer(what))
            self.typed[what] = line
            row.addWidget(muted(word))
            row.addWidget(line, 1)
        self.all = tool("remove", "Ask for all runs again", self._search.clear)
        row.addWidget(self.all)
        return row

    def _completer(self, what: str) -> QCompleter:
        made = QCompleter(QStringListModel(self), self)
        made.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        made.setFilterMode(Qt.MatchFlag.MatchContains)
        made.activated[str].connect(lambda text: self._search.narrow(**{what: text}))
        return made

    def _made_offer(self) -> Notice:
        self.offer = Notice(
            "There is no catalogue of this computer's runs yet, which finds them wherever their files lie. Add the "
            "folders that hold run files; from then on each run is taken in when it ends.",
            Tone.BUSY,
        )
        self.make = button("Add this &folder", "add", lambda: self._search.index(str(self._pages.list.folder)))
        self.offer.row.addWidget(self.make)
        self.offer.hide()
        return self.offer

    def _made_folder_row(self) -> QWidget:
        self.adding = QWidget()
        row = QHBoxLayout(self.adding)
        row.setContentsMargins(0, 0, 0, 0)
        self.folder = QLineEdit()
        self.folder.setAccessibleName("Folder to add to the catalogue")
        self.folder.setToolTip("Its run files, and those of the folders below it, are read in the background")
        self.folder.returnPressed.connect(self._add)
        self.browse = tool("folder", "Choose a folder", checkable=True)
        self.browse.toggled.connect(self._browse)
        self.folders = FolderTree(self._take_folder)
        self.folders.hide()
        row.addWidget(self.folders, 2)
        row.addWidget(muted("Folder"))
        row.addWidget(self.folder, 1)
        row.addWidget(self.browse)
        row.addWidget(button("A&dd it", "add", self._add))
        self.adding.hide()
        return self.adding

    def _button_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.open = button("&Open", "file", self._open, primary=True)
        self.compare = button("&Compare", "compare", self._compare)
        self.compare.setToolTip("Choose two or more runs with Ctrl or Shift; the first is what the others are held to")
        self.renew = button("&Bring up to date", "again", lambda: self._search.index())
        self.renew.setToolTip("Look through the folders that the catalogue knows; only what has changed is read")
        self.add = button("&Add a folder…", "folder", self._show_adding)
        self.stop = button("S&top reading", None, self._search.stop_indexing)
        for one in (self.open, self.compare):
            row.addWidget(one)
        row.addStretch(1)
        for one in (self.renew, self.add, self.stop):
            row.addWidget(one)
        self.order = QComboBox()
        self.order.setAccessibleName("Sort the runs; the same again turns the order round")
        for key, column in COLUMNS:
            self.order.addItem(f"Sorted by {column.heading.lower()}", key)
        self.order.activated.connect(lambda at: self._search.sort(COLUMNS[at][0]))
        row.addWidget(self.order)
        return row

    def _set_up_table(self) -> None:
        across, down, selection = (
            self.table.horizontalHeader(),
            self.table.verticalScrollBar(),
            self.table.selectionModel(),
        )
        assert across is not None
        assert down is not None
        assert selection is not None
        across.setSectionsClickable(True)
        across.setSortIndicatorShown(True)
        across.sectionClicked.connect(lambda section: self._search.sort(COLUMNS[section][0]))
        down.valueChanged.connect(lambda at: self._search.more() if at >= NEAR_END * down.maximum() else None)
        selection.selectionChanged.connect(lambda *_: self._show_buttons())

    # -- what the presenter says

    def show_found(self) -> None:
        """Show what was found, and keep what is chosen."""
        search = self._search
        chosen = {row.id for row in self.chosen()}
        if list(search.lines) != list(self.table.rows.rows):
            self.table.show_rows(search.lines)
            self.table.choose([at for at, row in enumerate(search.lines) if row.id in chosen])
        self.says.say(*search.says)
        self.offer.setVisible(search.there is False and not search.is_indexing)
        self.make.setText(f"Add the &folder {_short(self._pages.list.folder)}")
        self.make.setToolTip(str(self._pages.list.folder))
        for what, choice in self.choices.items():
            self._offer_choice(choice, what)
        for what, line in self.typed.items():
            completer = line.completer()
            model = None if completer is None else completer.model()
            if isinstance(model, QStringListModel) and model.stringList() != list(search.choices.get(what, ())):
                model.setStringList(list(search.choices.get(what, ())))
        across = self.table.horizontalHeader()
        assert across is not None
        at = [key for key, _ in COLUMNS].index(search.order)
        across.setSortIndicator(at, Qt.SortOrder.AscendingOrder if search.up else Qt.SortOrder.DescendingOrder)
        self.order.setCurrentIndex(at)
        self._show_buttons()

    def chosen(self) -> list[Line]:
        """The runs that are chosen, in the order of the list."""
        return self.table.chosen_rows()

    def _offer_choice(self, choice: QComboBox, what: str) -> None:
        asked, values = getattr(self._search.wanted, what), ["", *self._search.choices.get(what, ())]
        if asked not in values:
            values.append(asked)
        if [choice.itemData(at) for at in range(choice.count())] != values:
            choice.clear()
            for value in values:
                choice.addItem(f"{CHOICES[what]}: {value.replace('-', ' ') or 'all'}", value)
        choice.setCurrentIndex(values.index(asked))

    def _show_buttons(self) -> None:
        rows, busy = self.chosen(), self._search.is_indexing
        self.open.setEnabled(len(rows) == 1)
        self.compare.setEnabled(len(rows) > 1)
        self.all.setEnabled(self._search.is_narrowed)
        self.renew.setEnabled(bool(self._search.there) and not busy)
        self.add.setEnabled(not busy)
        self.stop.setVisible(busy)

    # -- what a person does

    def _open(self) -> None:
        rows = self.chosen()
        if len(rows) == 1:
            self._search.open(rows[0])

    def _compare(self) -> None:
        self._pages.compare_files([Path(row.path) for row in self.chosen()])

    def _to_the_table(self) -> None:
        """Enter leads on: the first run is chosen, and arrows and Enter do the rest."""
        self.table.setFocus()
        if self.table.rows.rows and not self.chosen():
            self.table.selectRow(0)

    def _chosen(self, what: str) -> None:
        self._search.narrow(**{what: str(self.choices[what].currentData())})

    def show_wanted(self) -> None:
        """Show what another page has asked for."""
        wanted = self._search.wanted
        for what, line in (("text", self.text), *self.typed.items()):
            line.setText(getattr(wanted, what))
        self._pause.stop()
        for what, choice in self.choices.items():
            self._offer_choice(choice, what)

    def _show_adding(self) -> None:
        self.adding.setVisible(self.adding.isHidden())
        if self.adding.isVisible():
            self.folder.setText(self.folder.text() or str(self._pages.list.folder))
            self.folder.setFocus()
            self.folder.selectAll()

    def _add(self) -> None:
        if self.folder.text().strip():
            self.adding.hide()
            self._search.index(self.folder.text())
            self.table.setFocus()

    def _browse(self, shown: bool) -> None:
        self.folders.setVisible(shown)
        if shown:
            self.folders.show_folder(Path(self.folder.text() or self._pages.list.folder))
            self.folders.setFocus()

    def _take_folder(self, folder: Path) -> None:
        self.browse.setChecked(False)
        self.folder.setText(str(folder))
        self.folder.setFocus()


def _short(folder: Path) -> str:
    return folder.name or str(folder)
