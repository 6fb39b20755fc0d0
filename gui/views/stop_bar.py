"""A small window with STOP alone, in a process of its own: for when the main window hangs, or has been closed too soon.

``python -P -m gui.views.stop_bar`` shows a button for each run that goes on and stays above other windows.  It goes
by itself when nothing runs any more, or it is of no use beside a main window that answers; a person may close it.
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
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton, QVBoxLayout, QWidget

from bench.rpc.messages import Ending
from bench.run_queue import Entry, RunState
from gui.presenters.known_runs import KnownRuns
from gui.presenters.shell import kept_look
from gui.presenters.stopping import SAYS, Stopping, StopState
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import Panel, ToneLabel

LOOK_S = 0.25
LINGER_S = 30.0
"""Once nothing goes on any more, or the window is of no use, what became of the stops is shown for so long."""

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
    Why.CLOSED: "The main window is closed; what it stopped is still asked for",
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

        Were another button to come there, a finger on its way would stop another run.
        """
        over = self.ending is not None
        self.press.setVisible(not over)
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
        self._known = KnownRuns(folder)
        self._rows: dict[int, Row] = {}
        self._to_press = set(press)
        self._idle_looks = self._looks = 0
        self._why = why
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
        self._nothing = QLabel("No run goes on.")
        self._column.addWidget(self._nothing)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._timer.start(round(LOOK_S * 1000.0))
        self.look()

    @property
    def runs(self) -> list[int]:
        """Numbers of the runs that can be stopped."""
        return [number for number, row in self._rows.items() if row.ending is None]

    def tell(self, why: Why) -> None:
        """Hear what the main window does."""
        self._why, self._looks = why, 0
        self.panel.title.setText(TITLES[why])
        self.panel.setAccessibleName(TITLES[why])
        if why is Why.CLOSED and not self._has_work:
            self.close()

    def look(self) -> None:
        """Show the runs that go on, and what became of each stop."""
        self._looks += 1
        with suppress(OSError, ValueError):  # a file is being written, or out of reach: the buttons stay
            self._see(self._known.going())
        for row in self._rows.values():
            row.show()
        self._nothing.setVisible(not self.runs)
        stops = [row.stopping for row in self._rows.values() if row.stopping.state is not StopState.IDLE]
        self.setWindowTitle("Stopped" if stops and not self.runs and not self._has_work else "STOP")
        if any(row.is_to_be_read for row in self._rows.values()):
            self._looks = self._idle_looks = 0
        is_idle = self._idle_looks * LOOK_S > LINGER_S
        is_useless = self._why in (Why.BACK, Why.ASKED, Why.CLOSED) and self._looks * LOOK_S > LINGER_S
        if is_idle or is_useless:
            self.close()

    @property
    def _has_work(self) -> bool:
        """Whether a stop was pressed here that nobody has taken."""
        return bool(self._to_press) or any(row.stopping.is_pending for row in self._rows.values())

    def _see(self, going: list[tuple[Entry, RunState]]) -> None:
        begun = [one for one in going if one[1].state != "waiting" or one[0].number in self._to_press] or going
        for entry, state in begun:
            if entry.number not in self._rows:
                self._add(entry, state)
        self._to_press.clear()  # those that are not there have ended
        for row in self._rows.values():
            row.ending = row.ending or self._known.state(row.entry).ending
        self._idle_looks = 0 if going else self._idle_looks + 1

    def _add(self, entry: Entry, state: RunState) -> None:
        stopping = Stopping(entry, self._person, REASON, lambda: None, state.doors)
        label = ToneLabel()
        press = QPushButton(f"STOP RUN {entry.number:04d}: {entry.procedure} on {entry.station}")
        press.setObjectName("stop")
        press.setAccessibleName(f"Stop run {entry.number}")
        press.pressed.connect(stopping.press)
        policy = press.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        press.setSizePolicy(policy)
        self._column.addWidget(press)
        self._column.addWidget(label)
        self._rows[entry.number] = Row(entry, stopping, press, label)
        if entry.number in self._to_press:
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
        """Go up where it has grown beyond the screen."""
        screen = self.screen()
        if screen is None or not self.isVisible():
            return
        self.adjustSize()
        beyond = self.frameGeometry().bottom() + CORNER - screen.availableGeometry().bottom()
        if beyond > 0:
            self.move(self.x(), max(screen.availableGeometry().top(), self.y() - beyond))

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802  # Qt's name
        """Look no more."""
        self._timer.stop()
        super().closeEvent(event)


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
    parser.add_argument("--listen", action="store_true", help="the main window tells on the input what it does")
    asked = parser.parse_args(arguments)
    app = QApplication(["pumpbench"])
    look().apply(*kept_look(asked.state))
    bar = StopBar(asked.state, asked.person, asked.why, asked.press)
    if asked.listen:
        bar.listener = Listener(open(0, "rb", buffering=0, closefd=False), bar.tell)  # noqa: SIM115  # read to its end
    bar.show()
    bar.raise_()
    return int(app.exec())


if __name__ == "__main__":
    sys.exit(main())
