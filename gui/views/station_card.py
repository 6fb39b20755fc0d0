"""One station of the bench as a card: its state, its run, who must act next, and what can be done."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from PyQt6.QtCore import QElapsedTimer, Qt
from PyQt6.QtGui import QMoveEvent
from PyQt6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QProgressBar,
    QToolButton,
    QVBoxLayout,
)

from bench.run_queue import Entry
from gui.presenters.bench_rows import QueueLine, StationRow
from gui.presenters.tone import Tone
from gui.views.parts import Pill, SureButton, ToneLabel, clear, muted, set_property, tool
from gui.views.room import Elided

STEADY_MS = 400
"""A STOP that has not been where it is for so long was not aimed at."""

MISSED_MS = 8000
"""So long it is said that a press was not taken for that reason."""

STATE_WIDTH, NAME_WIDTH, RUN_WIDTH, BUTTONS_WIDTH = 104, 150, 240, 200


class StationActions(Protocol):
    """What can be done with a station."""

    def watch(self, row: StationRow) -> None:
        """Watch its run."""

    def prepare(self, row: StationRow) -> None:
        """Prepare a run."""

    def edit(self, row: StationRow) -> None:
        """Look at its file."""

    def stop(self, row: StationRow) -> None:
        """Stop its run."""

    def open(self, file: Path) -> None:
        """Review a run file."""

    def recover(self, row: StationRow) -> None:
        """Make the run file of its run that has died."""

    def withdraw(self, entry: Entry) -> None:
        """Take a waiting run out of the queue."""

    def get_going(self, entry: Entry) -> None:
        """Start a waiting run's runner."""


class StationCard(QFrame):
    """One station."""

    def __init__(self, row: StationRow, actions: StationActions) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.row = row
        self._actions = actions
        self.state = Pill()
        self.state.setFixedWidth(STATE_WIDTH)
        self._name, self._title, self._run, self._about = Elided(), Elided(), Elided(), Elided()
        self._name.setObjectName("panelTitle")
        for plain in (self._name, self._run):
            set_property(plain, "muted", "false")
        self.done = QProgressBar()
        self.done.setTextVisible(False)
        self.done.setRange(0, 1000)
        self._left = muted("")
        self._turns = QVBoxLayout()
        self._turns.setSpacing(2)
        self._rig = ToneLabel()
        self.stop_says = ToneLabel()
        self._queue = QVBoxLayout()
        self._queue.setSpacing(2)
        self._shown: tuple[object, ...] = ()
        self._steady, self._missed = QElapsedTimer(), QElapsedTimer()
        self._steady.start()
        self._make_buttons()
        self._lay_out()
        self.show_row(row)

    def show_row(self, row: StationRow) -> None:
        """Show the station as it is now."""
        self.row = row
        turns = [f"STOP: {row.stop[0]}"] if row.stop[0] else []
        turns += [turn.text for turn in row.turns]
        self.setAccessibleName(f"Station {row.name}: {row.state}. {'; '.join(turns)}")
        self.state.say(row.state.upper(), row.tone)
        self._name.setText(row.name)
        phase = ", ".join(part for part in (row.phase, row.next_action) if part)
        goes_on = " – ".join(part for part in (row.run_text, phase) if part)
        self._run.setText(goes_on or row.title)  # the room of a run that is not there is the title's
        set_property(self._run, "muted", "false" if goes_on else "true")
        self._title.setText(row.title)
        self._title.setVisible(bool(row.title and goes_on))
        self._about.setText(row.article)
        self._about.setVisible(bool(row.article))
        self.done.setVisible(row.share is not None)
        self.done.setValue(round(1000 * (row.share or 0.0)))
        self.done.setAccessibleName(f"{row.share or 0.0:.0%} of the run is done")
        share = "" if row.share is None else f"{row.share:.0%}, "
        self._left.setText(f"{share}{row.left}" if row.left else "")
        says, tone = row.rig
        self._rig.setVisible(bool(says))
        self._rig.say(says, tone)
        self._show_turns(row)
        self._show_queue(row)
        self._show_buttons(row)
        self._show_stop(row)

    def _make_buttons(self) -> None:
        actions = self._actions
        self.stop = QToolButton()
        self.stop.setObjectName("cardStop")
        self.stop.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # as the large one: no space that was meant for another
        self.stop.pressed.connect(self._stop)
        self.watch = tool("right", "Watch", lambda: actions.watch(self.row))
        self.start = tool("play", "Get it going", self._get_going)
        self.open = tool("review", "Review", self._open)
        self.recover = tool("save", "Recover the record", lambda: actions.recover(self.row))
        self.prepare = tool("add", "Prepare a run", lambda: actions.prepare(self.row))
        self.edit = tool("station", "Station", lambda: actions.edit(self.row))
        self._buttons = (self.watch, self.start, self.recover, self.open, self.prepare, self.edit)
        for made in self._buttons:
            made.setText(made.toolTip())
            made.setAccessibleName(f"{made.toolTip()}: {self.row.name}")

    def _show_buttons(self, row: StationRow) -> None:
        """What is most likely wanted has its word beside the icon; STOP always names its run."""
        if row.run is None or self.stop.text() != f"STOP {row.run.number:04d}":
            self._steady.start()
            self._missed.invalidate()
        self.stop.setVisible(row.run is not None)
        if row.run is not None:
            self.stop.setText(f"STOP {row.run.number:04d}")
            self.stop.setToolTip(f"Stops run {row.run.number:04d} in order. This is no emergency stop.")
            self.stop.setAccessibleName(f"Stop run {row.run.number} on {row.name}")
        shown = (row.run, row.stuck, row.lost, row.unopened, row.file or None, row.name)
        there = [one is not None for one in shown]
        first = there.index(True)
        for number, (made, is_there) in enumerate(zip(self._buttons, there, strict=True)):
            made.setVisible(is_there)
            style = Qt.ToolButtonStyle
            wanted = style.ToolButtonTextBesideIcon if number == first else style.ToolButtonIconOnly
            if made.toolButtonStyle() != wanted:
                made.setToolButtonStyle(wanted)

    def _show_stop(self, row: StationRow) -> None:
        """Say what became of the stop; what is said has its room before, or a press would move the cards below."""
        text, tone = row.stop
        if text:
            text = f"STOP: {text}"
        elif row.run is not None and self._missed.isValid() and not self._missed.hasExpired(MISSED_MS):
            text, tone = f"Not stopped, the button had just moved here: press {self.stop.text()} again", Tone.WARN
        policy = self.stop_says.sizePolicy()
        policy.setRetainSizeWhenHidden(row.run is not None)
        self.stop_says.setSizePolicy(policy)
        self.stop_says.say(text or " ", tone)
        self.stop_says.setVisible(bool(text))

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(12, 8, 12, 8)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(4)
        names, run, turns = QVBoxLayout(), QVBoxLayout(), QVBoxLayout()
        for column, parts in ((names, (self._name, self._title)), (run, (self._run, self._about))):
            column.setSpacing(1)
            for part in parts:
                column.addWidget(part)
            column.addStretch(1)
        progress = QHBoxLayout()
        progress.setSpacing(8)
        progress.addWidget(self.done, 1)
        progress.addWidget(self._left)
        run.insertLayout(2, progress)
        turns.setSpacing(2)
        turns.addLayout(self._turns)
        turns.addWidget(self._rig)
        turns.addStretch(1)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addStretch(1)
        for made in self._buttons:
            buttons.addWidget(made)
        buttons.addSpacing(8)
        buttons.addWidget(self.stop)
        top = Qt.AlignmentFlag.AlignTop
        grid.addWidget(self.state, 0, 0, top)
        grid.addLayout(names, 0, 1)
        grid.addLayout(run, 0, 2)
        grid.addLayout(turns, 0, 3)
        grid.addLayout(buttons, 0, 4, top)
        grid.addWidget(self.stop_says, 1, 1, 1, 4)
        grid.addLayout(self._queue, 2, 1, 1, 4)
        for number, (least, stretch) in enumerate(
            ((0, 0), (NAME_WIDTH, 2), (RUN_WIDTH, 3), (0, 5), (BUTTONS_WIDTH, 0))
        ):
            grid.setColumnMinimumWidth(number, least)
            grid.setColumnStretch(number, stretch)

    def _show_turns(self, row: StationRow) -> None:
        if self._turns.count() != len(row.turns):
            clear(self._turns)
            for _ in row.turns:
                self._turns.addWidget(ToneLabel())
        for number, turn in enumerate(row.turns):
            item = self._turns.itemAt(number)
            label = None if item is None else item.widget()
            if isinstance(label, ToneLabel):
                label.say(turn.text, turn.tone)

    def _show_queue(self, row: StationRow) -> None:
        told = tuple((line.entry.number, line.text) for line in row.queue)
        if told == self._shown:
            return
        self._shown = told
        clear(self._queue)
        for line in row.queue:
            self._queue.addLayout(self._queued(line))

    def _queued(self, line: QueueLine) -> QHBoxLayout:
        made = QHBoxLayout()
        made.setSpacing(8)
        made.addWidget(ToneLabel("Waits", Tone.MUTED))
        said = Elided(line.text)
        set_property(said, "muted", "false")
        said.setToolTip(line.text)
        made.addWidget(said, 1)
        number = line.entry.number
        take = SureButton("Withdraw", f"Withdraw run {number}: press again", lambda: self._actions.withdraw(line.entry))
        take.setAccessibleName(f"Withdraw run {number}")
        made.addWidget(take)
        return made

    def moveEvent(self, event: QMoveEvent | None) -> None:  # noqa: N802  # Qt's name
        """Another card may come under a finger that is on its way."""
        super().moveEvent(event)
        self._steady.start()

    def _stop(self) -> None:
        """Stop the run on the press, unless the button has only just come to where it is."""
        if self._steady.hasExpired(STEADY_MS):
            self._missed.invalidate()
            self._actions.stop(self.row)
        else:
            self._missed.start()
            self._show_stop(self.row)

    def _open(self) -> None:
        if self.row.unopened is not None:
            self._actions.open(self.row.unopened)

    def _get_going(self) -> None:
        if self.row.stuck is not None:
            self._actions.get_going(self.row.stuck)
