"""A small window with STOP alone, in a process of its own, for when the main window hangs.

``python -P -m gui.views.stop_bar`` shows a button for each run that goes on and stays above other windows.  It goes
when nothing runs any more, or when a person closes it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton, QVBoxLayout, QWidget

from bench.run_queue import Entry
from gui.presenters.known_runs import KnownRuns
from gui.presenters.shell import going_on, kept_look
from gui.presenters.stopping import Stopping, StopState
from gui.theme.look import look
from gui.views.parts import Panel, ToneLabel

LOOK_S = 0.25
LINGER_S = 30.0
"""Once nothing goes on any more, what became of the stops is shown for so long."""
REASON = "pressed STOP beside a window that hung"


class StopBar(QWidget):
    """STOP for each run that goes on.

    Parameters
    ----------
    folder : the state folder of the queue.
    """

    def __init__(self, folder: Path, person: str) -> None:
        super().__init__(None, Qt.WindowType.WindowStaysOnTopHint)
        self._folder, self._person = folder, person
        self._known = KnownRuns(folder)
        self._rows: dict[int, tuple[Stopping, ToneLabel]] = {}
        self._idle_looks = 0
        # it comes while somebody types elsewhere: a space that was meant for the other window would stop a run
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFocus()
        self.setWindowTitle("STOP")
        column = QVBoxLayout(self)
        panel = Panel("The main window does not answer; the runs go on")
        self._column = panel.body
        column.addWidget(panel)
        self._nothing = QLabel("No run goes on.")
        self._column.addWidget(self._nothing)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._timer.start(round(LOOK_S * 1000.0))
        self.look()

    @property
    def runs(self) -> list[int]:
        """Numbers of the runs that are shown."""
        return list(self._rows)

    def look(self) -> None:
        """Show the runs that go on, and what became of each stop."""
        try:
            going = going_on(self._folder, self._known)
        except (OSError, ValueError):  # a file is being written, or out of reach: the buttons stay
            pass
        else:
            for entry in going:
                if entry.number not in self._rows:
                    self._add(entry)
            self._idle_looks = 0 if going else self._idle_looks + 1
        if self._idle_looks * LOOK_S > LINGER_S:
            self.close()
            return
        for stopping, label in self._rows.values():
            text, tone = stopping.says
            label.say(text, tone)
            label.setVisible(bool(text))
        self._nothing.setVisible(not self._rows)
        over = all(stopping.state is StopState.STOPPED for stopping, _ in self._rows.values())
        if self._rows and over:
            self.setWindowTitle("Stopped")

    def _add(self, entry: Entry) -> None:
        stopping = Stopping(entry, self._person, REASON, lambda: None)
        label = ToneLabel()
        press = QPushButton(f"STOP RUN {entry.number:04d}: {entry.procedure} on {entry.station}")
        press.setObjectName("stop")
        press.setAccessibleName(f"Stop run {entry.number}")
        press.pressed.connect(stopping.press)
        self._column.addWidget(press)
        self._column.addWidget(label)
        self._rows[entry.number] = (stopping, label)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802  # Qt's name
        """Look no more."""
        self._timer.stop()
        super().closeEvent(event)


def main(arguments: Sequence[str] | None = None) -> int:
    """Show it until it is closed."""
    parser = argparse.ArgumentParser("pumpbench stop")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--person", required=True)
    asked = parser.parse_args(arguments)
    app = QApplication(["pumpbench"])
    look().apply(*kept_look(asked.state))
    bar = StopBar(asked.state, asked.person)
    bar.show()
    bar.raise_()
    return int(app.exec())


if __name__ == "__main__":
    sys.exit(main())
