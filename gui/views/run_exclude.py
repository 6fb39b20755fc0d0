"""Panel: take a stretch of the run out of what is judged, with a reason."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from bench.rpc.messages import Exclude
from gui.presenters.excluding import Excluding
from gui.presenters.tone import Tone
from gui.views.parts import Panel, ToneLabel, button, muted


class ExcludePanel(Panel):
    """From when to when, why; shown while somebody is about to exclude something."""

    def __init__(self, presenter: Excluding) -> None:
        super().__init__("Exclude a stretch")
        self._presenter = presenter
        self.begin = _line("From", "such as 90 min", self._written)
        self.end = _line("To", "such as 92 min", self._written)
        self.reason = _line("Reason", "What was done to the bench", self._written)
        self.reason.returnPressed.connect(presenter.keep)
        self.says = ToneLabel()
        self.keep = button("E&xclude", None, presenter.keep, primary=True)
        self.cancel = button("Cancel", None, presenter.leave)
        times = QHBoxLayout()
        for name, line in (("From", self.begin), ("to", self.end)):
            times.addWidget(muted(name))
            times.addWidget(line, 1)
        self.body.addLayout(times)
        self.body.addWidget(self.reason)
        self.body.addWidget(self.says)
        row = QHBoxLayout()
        row.addWidget(self.keep, 1)
        row.addWidget(self.cancel)
        self.body.addLayout(row)
        self.hide()

    def refresh(self) -> None:
        """Show what can be done now."""
        presenter = self._presenter
        comes = presenter.is_open and self.isHidden()
        self.setVisible(presenter.is_open)
        written = ((self.begin, presenter.from_text), (self.end, presenter.to_text), (self.reason, presenter.reason))
        for line, text in written:
            if line.text() != text:
                line.setText(text)
        if comes:
            first: QWidget = self.reason if presenter.from_text else self.begin
            first.setFocus(Qt.FocusReason.ShortcutFocusReason)
        refused, tone = presenter.controls.said_of(Exclude)
        self.says.say(*((refused, tone) if tone is Tone.WARN and refused else presenter.says))
        self.keep.setEnabled(presenter.can_keep)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802  # Qt's name
        """Escape leaves."""
        assert event is not None
        if event.key() == Qt.Key.Key_Escape:
            self._presenter.leave()
        else:
            super().keyPressEvent(event)

    def _written(self) -> None:
        presenter = self._presenter
        presenter.write(self.begin.text(), self.end.text(), self.reason.text())
        self.refresh()


def _line(name: str, example: str, written: Callable[[], None]) -> QLineEdit:
    made = QLineEdit()
    made.setAccessibleName(name)
    made.setPlaceholderText(example)
    made.textEdited.connect(lambda _: written())
    return made
