"""Panel: pause and resume, who controls the run, another run."""

from __future__ import annotations

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout

from gui.presenters.controls import Controls
from gui.presenters.live import Change, Live
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.pacing import NowAndThen
from gui.views.parts import Panel, ToneLabel, button

EVERY_MS = 300


class ControlsPanel(Panel):
    """What a person may do with the run; ``new_run`` comes when another one is to be prepared."""

    new_run = pyqtSignal()
    note_wanted = pyqtSignal()

    def __init__(self, presenter: Controls, live: Live) -> None:
        super().__init__("Control")
        self._presenter, self._live = presenter, live
        self.start = button("Begin the &run", "play", presenter.start, primary=True)
        self.pause = button("&Pause", "pause", self._pause)
        self.note = button("&Note", "note", self.note_wanted.emit)
        self.other = button("Ne&w run", "add", self.new_run.emit)
        self.who = ToneLabel()
        self.says = ToneLabel()
        self.take_over = button("&Take over the control", "person", presenter.take_over)
        self.body.addWidget(self.start)
        row = QHBoxLayout()
        for one in (self.pause, self.note, self.other):
            row.addWidget(one)
        self.body.addLayout(row)
        for made in (self.who, self.says, self.take_over):
            self.body.addWidget(made)
        self._pace = NowAndThen(self, EVERY_MS, self.refresh)
        live.listen(self._heard)
        self._pace.ask()

    def _heard(self, changes: frozenset[Change]) -> None:
        self._pace.ask()

    def _pause(self) -> None:
        (self._presenter.resume if self._presenter.is_paused else self._presenter.pause)()

    def refresh(self) -> None:
        """Show what can be done now."""
        presenter = self._presenter
        self.setVisible(self._live.ending is None)  # then its summary has the buttons, and each letter only one
        self.start.setVisible(presenter.is_held)
        self.start.setEnabled(presenter.can_command)
        paused = presenter.is_paused
        self.pause.setText("Resu&me" if paused else "&Pause")
        self.pause.setAccessibleName("Resume" if paused else "Pause")
        self.pause.setIcon(look().icon("play" if paused else "pause"))
        self.pause.setEnabled(presenter.can_command and not presenter.is_held)
        self.note.setEnabled(presenter.can_command)
        self.who.setVisible(bool(presenter.who[0]))
        self.who.say(*presenter.who)
        text, tone = presenter.says
        self.says.setVisible(bool(text))
        self.says.say(text, tone if text else Tone.PLAIN)
        self.take_over.setVisible(presenter.can_take_over)
        self.take_over.setText(presenter.taking_over)
        self.take_over.setAccessibleName(presenter.taking_over.replace("&", ""))
