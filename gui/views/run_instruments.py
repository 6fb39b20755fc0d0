"""Panel: each instrument with its state and what it shows; unfolds to all its channels."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent
from PyQt6.QtWidgets import QSizePolicy

from gui.presenters.instrument_rows import InstrumentRow, Instruments
from gui.presenters.live import Change, Live
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.theme.tokens import DESK
from gui.views.pacing import NowAndThen
from gui.views.parts import Panel, tool
from gui.views.table import Column, Table

EVERY_MS = 400
LEAST_ROWS, REST = 3, 405
"""So many rows are always in view; more where the page is higher than this many pixels; the others scroll."""

SHORT, ROOMY = 4, 300
"""Letters of an age that there is room for, in a table of this width or more."""

ARROW = 24
"""Width of what unfolds a row, in pixels."""


def _name(row: InstrumentRow) -> str:
    mark = ("▾ " if row.unfolded else "▸ ") if row.can_unfold else "   "
    return f"      {row.label}" if row.depth else f"{mark}{row.label}"


def _state(row: InstrumentRow) -> str:
    if row.tone in (Tone.WARN, Tone.FAIL):
        return row.state_beside
    if row.due_tone is not Tone.MUTED:
        return "overdue" if row.due_tone is Tone.FAIL else "due soon"
    if row.quality:
        return row.quality
    return row.state


class InstrumentTable(Table[InstrumentRow]):
    """Unfolds by the arrow keys or a click on the mark; Enter or a double click asks for a plot of the channel."""

    turned = pyqtSignal(str)
    wanted = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__(
            "Instruments",
            (
                Column("Instrument", _name, tip=lambda row: row.tip),
                Column("Reading", lambda row: row.value, number=True, tip=lambda row: row.tip),
                Column("State", self._state, tone=lambda row: row.worst, stretch=True, tip=lambda row: row.tip),
            ),
        )
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.doubleClicked.connect(lambda index: self._want(index.row()))

    def _state(self, row: InstrumentRow) -> str:
        """The state, with the age of the sample where there is room."""
        told = _state(row)
        has_room = self.width() * DESK.font >= ROOMY * look().density.font
        return f"{told}, {row.age}" if told == "ok" and len(row.age) <= SHORT and has_room else told

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802  # Qt's name
        """Act on the row that is chosen."""
        assert event is not None
        row = self.current()
        if row is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._want(self.currentIndex().row())
        elif row is not None and event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Space):
            if row.can_unfold and (event.key() == Qt.Key.Key_Space or row.unfolded == (event.key() == Qt.Key.Key_Left)):
                self.turned.emit(row.name)
        else:
            super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802  # Qt's name
        """A click on the mark unfolds."""
        assert event is not None
        at = self.indexAt(event.position().toPoint())
        if at.isValid() and event.position().x() < ARROW and self.rows.rows[at.row()].can_unfold:
            self.turned.emit(self.rows.rows[at.row()].name)
        super().mouseReleaseEvent(event)

    def _want(self, at: int) -> None:
        if 0 <= at < len(self.rows.rows) and self.rows.rows[at].trace:
            self.wanted.emit(self.rows.rows[at].trace)


class InstrumentsPanel(Panel):
    """The instruments of the run; ``wanted`` comes with the name of a channel that is to be plotted."""

    wanted = pyqtSignal(str)

    def __init__(self, presenter: Instruments, live: Live) -> None:
        super().__init__("Instruments")
        self._presenter = presenter
        self.table = InstrumentTable()
        self.table.turned.connect(self._turn)
        self.table.wanted.connect(self.wanted)
        self.unfold = tool("down", "Show all channels, or the main ones alone", self._unfold, checkable=True)
        self.tools.addWidget(self.unfold)
        self.body.addWidget(self.table)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._wrong: list[int] = []
        self._pace = NowAndThen(self, EVERY_MS, self.refresh)
        live.listen(self._heard)
        self._pace.ask()
        look().changed.connect(self.refresh)

    def _heard(self, changes: frozenset[Change]) -> None:
        if changes & {"run", "plan", "streams", "values", "status", "ending", "events", "time"}:
            self._pace.ask()

    def refresh(self) -> None:
        """Show how they are now."""
        rows = self._presenter.rows()
        self.table.show_rows(rows)
        row = look().density.row
        page = self.parentWidget()
        rest = REST * row // DESK.row
        most = max(LEAST_ROWS, ((0 if page is None else page.height()) - rest) // row)
        shown = min(max(len(rows), 1), most)
        wrong = [at for at, one in enumerate(rows) if one.worst in (Tone.WARN, Tone.FAIL)]
        if wrong and wrong != self._wrong:
            self.table.scrollTo(self.table.rows.index(wrong[0], 0))
        self._wrong = wrong
        header = self.table.horizontalHeader()
        self.table.setFixedHeight(row * shown + (0 if header is None else header.sizeHint().height()) + 4)

    def _turn(self, name: str) -> None:
        self._presenter.turn(name)
        self.refresh()

    def _unfold(self) -> None:
        names = {row.name for row in self._presenter.rows() if row.can_unfold}
        self._presenter.unfolded = names if self.unfold.isChecked() else set()
        self.refresh()
