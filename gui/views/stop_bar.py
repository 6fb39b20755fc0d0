"""A small window with STOP alone, in a process of its own: for when the main window hangs, or has been closed too soon.

``python -P -m gui.views.stop_bar`` shows a button for each run that goes on and stays above other windows.  It goes
by itself when nothing runs any more, or it is of no use beside a main window that answers; a person may close it.
While a stop in it has no answer it does not go by itself, and a person has to close it twice.  Nothing is read on disk
in Qt's thread: it comes, and its buttons act, while the state folder hangs.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from io import FileIO
from pathlib import Path

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QShowEvent
from PyQt6.QtWidgets import QApplication, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from bench.rpc.messages import Ending
from bench.run_queue import Entry, RunState
from gui.presenters.known_runs import Lookout
from gui.presenters.stopping import SAYS, Stopping, StopState
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.theme.tokens import DENSITIES, SCHEMES
from gui.views.parts import Panel, ToneLabel

LOOK_S = 0.25
LINGER_S = 30.0
"""Once nothing goes on any more, or the window is of no use, what became of the stops is shown for so long."""

FIRST_S = 0.5
"""So long it waits for the first look before it comes: one that takes longer holds it up no more."""

WORDS = 44
"""Letters that have room in a line beside a button; three lines are as high as the button."""

CORNER, FRAME = 12, 40
"""Pixels between the window and the corner of the screen, and for what the desktop puts around it."""

REASON = "pressed STOP beside the window"


class Why(StrEnum):
    """Why it is there: what the main window does, or has done."""

    HANGS = "hangs"
    BACK = "back"
    ASKED = "asked"
    CLOSED = "closed"
    GONE = "gone"


TITLES = {
    Why.HANGS: "The main window does not answer",
    Why.BACK: "The main window answers again",
    Why.ASKED: "Which run is to be stopped?",
    Why.CLOSED: "The main window is closed",
    Why.GONE: "The main window is gone",
}


@dataclass
class Row:
    """A run, its button, and what became of its stop."""

    entry: Entry
    stopping: Stopping
    press: QPushButton
    label: ToneLabel
    ending: Ending | None = None

    def show(self) -> None:
        """Show it as it is now; a run that has ended leaves the place of its button empty.

        Were another button to come there, a finger on its way would stop another run: what is said stands beside the
        button, in a place whose size does not change.
        """
        over = self.ending is not None
        self.press.setVisible(not over)
        letter = self.label.fontMetrics().averageCharWidth()
        self.label.setFixedSize(WORDS * letter, self.press.sizeHint().height())
        text, tone = self.stopping.says
        if not text and self.ending is not None:
            has_died = self.ending.state == "died"
            word = self.ending.status or self.ending.state
            text, tone = SAYS[StopState.DEAD] if has_died else (f"Ended: {word}", Tone.MUTED)
        self.label.say(f"Run {self.entry.number:04d}: {text}" if over else text, tone)
        self.label.setVisible(bool(text))

    @property
    def is_to_be_read(self) -> bool:
        """Whether its stop is under way, or a person has to see that the bench is safe."""
        if self.ending is not None:
            return self.ending.state == "died"
        return self.stopping.state not in (StopState.IDLE, StopState.STOPPED)


class StopBar(QWidget):
    """STOP for each run that goes on.

    Parameters
    ----------
    folder : the state folder of the queue.
    press : numbers of runs that are stopped at once.
    """

    def __init__(self, folder: Path, person: str, why: Why = Why.HANGS, press: Sequence[int] = ()) -> None:
        super().__init__(None, Qt.WindowType.WindowStaysOnTopHint)
        self._person = person
        self._rows: dict[int, Row] = {}
        self._to_press = set(press)
        self._given_up: list[int] = []
        self._idle_looks = self._looks = 0
        self._why = why
        self._lookout = Lookout(folder, LOOK_S, press)
        self.destroyed.connect(self._lookout.close)
        self.listener: Listener | None = None
        # it comes while somebody types elsewhere: a space that was meant for the other window would stop a run
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFocus()
        self.setWindowTitle("STOP")
        column = QVBoxLayout(self)
        self.panel = Panel(TITLES[why])
        self._column = self.panel.body
        column.addWidget(self.panel)
        self.sentence = ToneLabel()
        self._column.addWidget(self.sentence)  # below the rows, which it must not move
        self._column.addStretch(1)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._timer.start(round(LOOK_S * 1000.0))
        self._lookout.looked.wait(FIRST_S)
        self.look()

    @property
    def runs(self) -> list[int]:
        """Numbers of the runs that can be stopped."""
        return [number for number, row in self._rows.items() if row.ending is None]

    @property
    def pending(self) -> list[int]:
        """Numbers of the runs whose stop was asked for here, and that nobody is known to have taken."""
        asked = {number for number, row in self._rows.items() if row.stopping.is_pending}
        return sorted(asked | self._to_press)

    def tell(self, why: Why) -> None:
        """Hear what the main window does."""
        self._why, self._looks = why, 0
        self._show_title()
        if why in (Why.HANGS, Why.ASKED):  # it is needed now, and may lie behind another window
            self.showNormal()
            self.raise_()
        if why is Why.CLOSED and not self.pending:
            self.close()

    def look(self) -> None:
        """Show the runs that go on, and what became of each stop; go when it is of no use any more."""
        self._looks += 1
        self._see(self._lookout.runs)
        widest = max((row.press.sizeHint().width() for row in self._rows.values()), default=0)
        for row in self._rows.values():
            row.press.setMinimumWidth(widest)  # the least width of the style sheet would cut what it says
            row.show()
        pending = self.pending
        self._show_title()
        self._show_sentence()
        stops = [row.stopping for row in self._rows.values() if row.stopping.state is not StopState.IDLE]
        self.setWindowTitle("Stopped" if stops and not self.runs and not pending else "STOP")
        self._idle_looks = self._idle_looks + 1 if self._lookout.is_known and not self.runs else 0
        if pending or any(row.is_to_be_read for row in self._rows.values()):
            self._looks = self._idle_looks = 0
        is_idle = self._idle_looks * LOOK_S > LINGER_S
        is_useless = self._why in (Why.BACK, Why.ASKED, Why.CLOSED) and self._looks * LOOK_S > LINGER_S
        if is_idle or is_useless:
            self.close()

    def _see(self, runs: Sequence[tuple[Entry, RunState | None]]) -> None:
        going = [(entry, state) for entry, state in runs if state is not None and state.ending is None]
        begun = [entry for entry, state in going if state.state != "waiting"] or [entry for entry, _ in going]
        shown = {entry.number for entry in begun} | self._to_press
        for entry, state in runs:
            if entry.number in shown and entry.number not in self._rows:
                self._add(entry, state)
            if entry.number in self._rows and state is not None:
                row = self._rows[entry.number]
                row.ending = row.ending or state.ending

    def _show_title(self) -> None:
        title, pending = TITLES[self._why], self.pending
        if self._why is Why.CLOSED and pending:
            title += f". STOP of {_named(pending)} is still being sent"
        self.panel.title.setText(title)
        self.panel.setAccessibleName(title)

    def _show_sentence(self) -> None:
        """Say what is to be known beside the buttons, and nothing that nobody knows."""
        text, tone = "", Tone.WARN
        pending, lost = self.pending, sorted(self._to_press)
        if pending and pending == self._given_up:
            text = f"STOP of {_named(pending)} has no answer yet. Close again to give it up"
        elif self._lookout.is_new:
            text, tone = "Looking which runs go on…", Tone.MUTED
        elif lost:
            why = "cannot be sent: nothing can be read of it"
            text, tone = f"STOP of {_named(lost)} {why}. Use the emergency stop of the bench", Tone.FAIL
        elif not self._lookout.is_known:
            other = "other " if self.runs else ""
            text = f"Which {other}runs go on cannot be read. Use the emergency stop of the bench"
        elif not self.runs:
            text, tone = "No run goes on", Tone.PLAIN
        self.sentence.say(text, tone)
        self.sentence.setVisible(bool(text))

    def _add(self, entry: Entry, state: RunState | None) -> None:
        stopping = Stopping(entry, self._person, REASON, lambda: None, None if state is None else state.doors)
        label = ToneLabel()
        press = QPushButton(f"STOP RUN {entry.number:04d}: {entry.procedure} on {entry.station}")
        press.setObjectName("stop")
        press.setAccessibleName(f"Stop run {entry.number}")
        press.pressed.connect(stopping.press)
        beside = QHBoxLayout()
        for part in (press, label):
            policy = part.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            part.setSizePolicy(policy)
            beside.addWidget(part)
        self._column.insertLayout(len(self._rows), beside)
        self._rows[entry.number] = Row(entry, stopping, press, label)
        if entry.number in self._to_press:  # also where it has ended: of a runner that has died a person has to hear
            self._to_press.discard(entry.number)
            stopping.press()
        QTimer.singleShot(0, self._into_sight)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Come in a lower corner, where it covers neither the state of the run nor what the run asks."""
        super().showEvent(event)
        screen = self.screen()
        if screen is not None:
            self.adjustSize()
            room = screen.availableGeometry()
            self.move(room.right() - self.width() - CORNER, room.bottom() - self.height() - CORNER - FRAME)

    def _into_sight(self) -> None:
        """Go up, or to the left, where it has grown beyond the screen."""
        screen = self.screen()
        if screen is None or not self.isVisible():
            return
        self.adjustSize()
        room, frame = screen.availableGeometry(), self.frameGeometry()
        across, down = frame.right() + CORNER - room.right(), frame.bottom() + CORNER - room.bottom()
        if across > 0 or down > 0:
            self.move(max(room.left(), self.x() - max(0, across)), max(room.top(), self.y() - max(0, down)))

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802  # Qt's name
        """Look no more; a stop that nobody has taken yet is not let go of before it is closed again."""
        pending = self.pending
        if event is not None and pending and pending != self._given_up:
            self._given_up = pending
            self._show_sentence()
            event.ignore()
            return
        self._timer.stop()
        self._lookout.close()
        super().closeEvent(event)


def _named(numbers: Sequence[int]) -> str:
    """Runs as they are called in a sentence."""
    return f"run{'s' if len(numbers) > 1 else ''} {', '.join(f'{number:04d}' for number in numbers)}"


class Listener(QObject):
    """Hears what the main window writes, a word on a line; its end is that of the main window."""

    heard = pyqtSignal(object)

    def __init__(self, pipe: FileIO, heard: Callable[[Why], None]) -> None:
        super().__init__()
        self._pipe = pipe
        self.heard.connect(heard)
        threading.Thread(target=self._listen, name="main window", daemon=True).start()

    def _listen(self) -> None:
        why = Why.HANGS
        with suppress(OSError, ValueError):
            for line in self._pipe:
                why = Why(line.decode().strip())
                self.heard.emit(why)
        if why is not Why.CLOSED:
            self.heard.emit(Why.GONE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Show it until it is closed."""
    parser = argparse.ArgumentParser("pumpbench stop")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--person", required=True)
    parser.add_argument("--why", type=Why, choices=list(Why), default=Why.HANGS)
    parser.add_argument("--press", type=int, action="append", default=[], help="number of a run to stop at once")
    parser.add_argument("--scheme", choices=list(SCHEMES), default="light", help="of the main window's look")
    parser.add_argument("--density", choices=list(DENSITIES), default="desk")
    parser.add_argument("--listen", action="store_true", help="the main window tells on the input what it does")
    asked = parser.parse_args(arguments)
    app = QApplication(["pumpbench"])
    look().apply(asked.scheme, asked.density)
    bar = StopBar(asked.state, asked.person, asked.why, asked.press)
    if asked.listen:
        bar.listener = Listener(open(0, "rb", buffering=0, closefd=False), bar.tell)  # noqa: SIM115  # read to its end
    bar.show()
    bar.raise_()
    return int(app.exec())


if __name__ == "__main__":
    sys.exit(main())
