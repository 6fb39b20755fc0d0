"""Panel: the event log of the run, and a line to write a note into it."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QKeyEvent, QKeySequence
from PyQt6.QtWidgets import QAbstractItemView, QApplication, QButtonGroup, QHBoxLayout, QLineEdit, QPushButton

from bench.rpc.messages import Note
from gui.presenters.controls import Controls
from gui.presenters.events import EventRow
from gui.presenters.live import Change, Live
from gui.presenters.tone import Tone
from gui.views.pacing import NowAndThen
from gui.views.parts import Panel, button, tool
from gui.views.table import Column, Table

EVERY_MS = 300
LEAST_ROWS = 2
FILTERS: tuple[tuple[str, Callable[[EventRow], bool]], ...] = (
    ("All", lambda row: True),
    ("Warnings", lambda row: row.is_warning),
    ("Notes", lambda row: row.is_note),
)


class EventTable(Table[EventRow]):
    """Several lines can be chosen, and copied."""

    def __init__(self) -> None:
        super().__init__(
            "Event log",
            (
                Column("Time", lambda row: row.clock),
                Column("Event", lambda row: row.text, tone=_tone, stretch=True),
            ),
        )
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        across = self.horizontalHeader()
        assert across is not None
        across.setResizeContentsPrecision(0)  # of the lines in view: there may be thousands

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802  # Qt's name
        """Copy the lines that are chosen."""
        assert event is not None
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        else:
            super().keyPressEvent(event)

    def copy(self) -> None:
        """Put the chosen lines, or all of them, onto the clipboard."""
        selection = self.selectionModel()
        chosen = [] if selection is None else sorted(index.row() for index in selection.selectedRows())
        rows = [self.rows.rows[at] for at in chosen] or list(self.rows.rows)
        board = QApplication.clipboard()
        assert board is not None
        board.setText("\n".join(f"{row.clock}\t{row.text}" for row in rows))


class EventsPanel(Panel):
    """What has happened, the newest last; it stays at the end unless a person scrolls away."""

    def __init__(self, live: Live, controls: Controls) -> None:
        super().__init__("Event log")
        self._live = live
        self._controls = controls
        self._keeps = FILTERS[0][1]
        self.table = EventTable()
        self.filters = QButtonGroup(self)
        self.filters.setExclusive(True)
        for number, (name, _) in enumerate(FILTERS):
            made = QPushButton(name)
            made.setCheckable(True)
            made.setProperty("compact", "true")
            made.setChecked(number == 0)
            made.setAccessibleName(f"Show {name.lower()}")
            self.filters.addButton(made, number)
            self.tools.addWidget(made)
        self.filters.idClicked.connect(self._filter)
        self.order = tool("up", "Newest on top", self.refresh, checkable=True)
        self.copy = tool("file", "Copy the chosen lines, or all", self.table.copy)
        self.tools.addWidget(self.order)
        self.tools.addWidget(self.copy)
        self.entry = QLineEdit()
        self.entry.setPlaceholderText("Note for the record; Enter keeps it")
        self.entry.setAccessibleName("Note for the record")
        self.entry.returnPressed.connect(self._note)
        self.entry.textEdited.connect(lambda _: controls.reconsider(Note))
        self.keep = button("&Keep", None, self._note)
        row = QHBoxLayout()
        row.addWidget(self.entry, 1)
        row.addWidget(self.keep)
        self.table.least(LEAST_ROWS)
        self.body.addWidget(self.table, 1)
        self.body.addLayout(row)
        bar = self.table.verticalScrollBar()
        assert bar is not None
        self._bar = bar
        self._follows = True
        bar.rangeChanged.connect(lambda *_: self._to_end())
        bar.actionTriggered.connect(lambda _: QTimer.singleShot(0, self._scrolled))
        self._pace = NowAndThen(self, EVERY_MS, self.refresh)
        live.listen(self._heard)
        self._pace.ask()

    def _scrolled(self) -> None:
        """A person has moved: the end is followed again once they are back there."""
        self._follows = self._bar.value() >= self._bar.maximum()

    def _to_end(self) -> None:
        if self._follows and not self.order.isChecked():
            self._bar.setValue(self._bar.maximum())

    def _heard(self, changes: frozenset[Change]) -> None:
        if changes & {"run", "events", "status", "ending"}:
            self._pace.ask()

    def refresh(self) -> None:
        """Show what has come."""
        rows = [row for row in self._live.events if self._keeps(row)]
        self.table.show_rows(rows[::-1] if self.order.isChecked() else rows)
        self._to_end()
        can = self._controls.can_command and not self._controls.is_held
        self.entry.setEnabled(can or bool(self.entry.text()))
        self.keep.setEnabled(can)

    def _filter(self, number: int) -> None:
        self._keeps, self._follows = FILTERS[number][1], True
        self.refresh()

    def _note(self) -> None:
        sent = self.entry.text()
        self._controls.note(sent, lambda: self._kept(sent))

    def _kept(self, sent: str) -> None:
        """Make room for the next note, unless that is being written already."""
        if self.entry.text() == sent:
            self.entry.clear()

    def write(self) -> None:
        """Put the cursor where a note is written."""
        self.entry.setFocus(Qt.FocusReason.ShortcutFocusReason)


def _tone(row: EventRow) -> Tone:
    return row.tone
