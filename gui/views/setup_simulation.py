"""What only a simulated station has: its pace, its seed and its faults."""

from __future__ import annotations

from functools import partial

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from gui.presenters.setup import SetUp
from gui.presenters.setup_faults import FaultChoice, fault_choices
from gui.presenters.setup_form import PACES
from gui.presenters.tone import Tone
from gui.views.parts import Panel, ToneLabel, button, clear, muted, tool
from gui.views.room import CalmCombo
from gui.views.setup_fields import Captioned, Entry


def pace_text(pace: float | None) -> str:
    """A pace as a person reads it."""
    if pace is None:
        return "As fast as possible"
    return "Real time" if pace == 1.0 else f"{pace:g} × real time"


class SimulationPanel(Panel):
    """Pace, seed and faults; closed until it is opened."""

    def __init__(self, presenter: SetUp) -> None:
        super().__init__("Simulation")
        self._presenter = presenter
        self.opener = tool("down", "Show or hide the seed and the faults", self._open)
        self.tools.addWidget(self.opener)
        self.pace = CalmCombo("Pace")
        self.pace.activated.connect(lambda at: presenter.form.choose_pace(self.pace.itemData(at)))
        self.body.addWidget(Captioned("Pace", "how fast simulated time goes", self.pace, wide=True))
        self.answers = QCheckBox("&I answer what the run asks")
        self.answers.setAccessibleName("I answer what the run asks")
        self.answers.setToolTip(
            "Else the simulated operator answers. While you are asked, time goes no faster than in reality."
        )
        self.answers.toggled.connect(presenter.form.choose_answers)
        self.body.addWidget(self.answers)
        self._inner = QWidget()
        self._inner.hide()
        self.body.addWidget(self._inner)
        self._summary = ToneLabel("", Tone.WARN)
        self.body.addWidget(self._summary)
        self._choices: tuple[FaultChoice, ...] = ()
        self._removers: list[QWidget] = []
        self._lay_out()
        self.hide()

    def _lay_out(self) -> None:
        form = self._presenter.form
        column = QVBoxLayout(self._inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self.seed = Entry("Seed", form.seed)
        self.seed.textEdited.connect(form.type_seed)
        column.addWidget(Captioned("Seed", "equal seeds give equal runs", self.seed))
        self.fault = CalmCombo("Fault")
        self.fault.currentIndexChanged.connect(lambda _: self._show_fault())
        self.severity, self.at = Entry("Severity of the fault"), Entry("Begins at")
        self.lasts, self.instrument = Entry("Lasts"), Entry("Instrument")
        self._severity_row = Captioned("Severity", "how bad it is", self.severity)
        self._lasts_row = Captioned("Lasts", "until the end when empty", self.lasts)
        self._instrument_row = Captioned("Instrument", "which it strikes; all when empty", self.instrument)
        self._fault_says = muted("", wrap=True)
        self._error = ToneLabel("", Tone.FAIL)
        self._error.hide()
        for entry in (self.severity, self.at, self.lasts, self.instrument):
            entry.textEdited.connect(lambda _: self._refused(""))
        self.at.setPlaceholderText("0 s")
        column.addWidget(QLabel("Add a fault"))
        column.addWidget(self.fault)
        column.addWidget(self._fault_says)
        column.addWidget(self._severity_row)
        column.addWidget(Captioned("Begins at", "in the run, such as 2 h", self.at))
        column.addWidget(self._lasts_row)
        column.addWidget(self._instrument_row)
        column.addWidget(self._error)
        self.add_button = button("Add the fault", "add", self.add)
        column.addWidget(self.add_button)
        self._faults = QVBoxLayout()
        column.addLayout(self._faults)

    @property
    def inputs(self) -> list[QWidget]:
        """What can have the focus, in the order in which it is read."""
        fault = (self.fault, self.severity, self.at, self.lasts, self.instrument, self.add_button)
        return [self.opener, self.pace, self.answers, self.seed, *fault, *self._removers]

    def show_all(self) -> None:
        """Show pace, seed and faults as they are; nothing where instruments have their own time."""
        form = self._presenter.form
        self.setVisible(form.station is not None and not form.has_own_time)
        paces = PACES if form.pace in PACES else (*PACES, form.pace)
        self.pace.clear()
        for pace in paces:
            self.pace.addItem(pace_text(pace), pace)
        self.pace.setCurrentIndex(paces.index(form.pace))
        self.answers.setChecked(form.person_answers)
        self.answers.setEnabled(form.pace is not None)
        if self.seed.text() != form.seed:
            self.seed.setText(form.seed)
        clear(self._faults)
        self._removers = []
        for number, text in enumerate(form.faults):
            row = QHBoxLayout()
            row.addWidget(ToneLabel(text, Tone.WARN), 1, Qt.AlignmentFlag.AlignVCenter)
            self._removers.append(tool("remove", f"Take {text} back", partial(form.remove_fault, number)))
            row.addWidget(self._removers[-1])
            self._faults.addLayout(row)
        count = len(form.faults)
        self._summary.setVisible(bool(count) and self._inner.isHidden())
        self._summary.say(f"{count} {'faults are' if count > 1 else 'fault is'} given to the station", Tone.WARN)

    def add(self) -> None:
        """Give the station the fault that is filled in."""
        error = self._presenter.form.add_fault(
            self.fault.currentData(),
            self.severity.text(),
            self.at.text(),
            self.lasts.text() if not self._lasts_row.isHidden() else "",
            self.instrument.text() if not self._instrument_row.isHidden() else "",
        )
        self._refused(error)

    @property
    def error(self) -> str:
        """Why the fault was not added."""
        return self._error.text()

    def _refused(self, error: str) -> None:
        self._error.say(error, Tone.FAIL)
        self._error.setVisible(bool(error))

    def _open(self) -> None:
        if not self._choices:
            self._choices = fault_choices()
            for one in self._choices:
                self.fault.addItem(f"{one.name} ({one.owner})", one.name)
        self._inner.setVisible(self._inner.isHidden())
        self.show_all()

    def _show_fault(self) -> None:
        at = self.fault.currentIndex()
        if not 0 <= at < len(self._choices):
            return
        one = self._choices[at]
        self._fault_says.setText(one.says)
        self.severity.setText(one.severity)
        self._severity_row.say(one.limits)
        self._severity_row.setVisible(bool(one.limits))
        self._lasts_row.setVisible(one.ends)
        self._instrument_row.setVisible(one.ends)
