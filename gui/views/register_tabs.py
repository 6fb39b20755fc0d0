"""The numbers that stations have given to runs, and the runs that rest on an instrument."""

from __future__ import annotations

from PyQt6.QtWidgets import QHBoxLayout, QLineEdit

from bench.trends import Touched
from gui.presenters.register import Register
from gui.presenters.register_rows import NumberRow
from gui.presenters.run_search import began, device, name_of, review_said, verdict_said
from gui.views.parts import Panel, ToneLabel, button, muted, tool
from gui.views.table import Column, Table

NUMBERS = (
    Column[NumberRow]("Station", lambda row: row.station),
    Column[NumberRow]("Run", lambda row: str(row.number), number=True),
    Column[NumberRow]("Given", lambda row: row.when),
    Column[NumberRow]("Protocol", lambda row: row.procedure),
    Column[NumberRow]("Pump", lambda row: row.dut),
    Column[NumberRow]("Origin", lambda row: row.origin),
    Column[NumberRow]("Verdict", lambda row: row.verdict),
    Column[NumberRow]("Review", lambda row: row.state, lambda row: row.tone, stretch=True, tip=lambda row: row.path),
)
TOUCHED = (
    Column[Touched]("File", lambda row: name_of(row.run), stretch=True, tip=lambda row: row.run.path),
    Column[Touched]("Began", lambda row: began(row.run)),
    Column[Touched]("Pump", lambda row: device(row.run)),
    Column[Touched]("Verdict", lambda row: verdict_said(row.run)[0], lambda row: verdict_said(row.run)[1]),
    Column[Touched]("Review", lambda row: review_said(row.run)[0], lambda row: review_said(row.run)[1]),
    Column[Touched]("Certificates", lambda row: ", ".join(row.certificates)),
    Column[Touched]("Relied on for", lambda row: row.relied_on),
)


class NumbersView(Panel):
    """Every number that was given, without a gap."""

    def __init__(self, presenter: Register) -> None:
        super().__init__("Run numbers")
        self._presenter = presenter
        self.says = ToneLabel()
        self.tools.addWidget(tool("again", "Read everything again", presenter.look))
        self.body.addWidget(self.says)
        self.table: Table[NumberRow] = Table("Run numbers", NUMBERS)
        self.table.activated.connect(lambda _: self._open())
        self.body.addWidget(
            muted(
                "A station gives its numbers one after the other, before anything moves. A number that is missing, or "
                "whose run was never closed, is a run that somebody should be able to explain.",
                wrap=True,
            )
        )
        self.body.addWidget(self.table, 1)
        row = QHBoxLayout()
        self.open = button("&Open", "file", self._open, primary=True)
        row.addWidget(self.open)
        row.addStretch(1)
        self.body.addLayout(row)
        self.table.chosen.connect(lambda _: self.open.setEnabled(self.table.current() is not None))

    def show_numbers(self) -> None:
        """Show the numbers, and whether one is missing."""
        found = self._presenter.numbers
        self.says.say(*self._presenter.numbers_say)
        self.table.show_rows(() if found is None else found.rows)
        self.open.setEnabled(self.table.current() is not None)

    def _open(self) -> None:
        row = self.table.current()
        if row is not None:
            self._presenter.open_number(row)


class ImpactView(Panel):
    """The runs that relied on an instrument, for when a calibration finds it out of tolerance."""

    def __init__(self, presenter: Register) -> None:
        super().__init__("Impact of an instrument")
        self._presenter = presenter
        row = QHBoxLayout()
        self.serial, self.since = QLineEdit(), QLineEdit()
        self.serial.setAccessibleName("Serial number of the instrument")
        self.serial.setPlaceholderText("serial number")
        self.since.setAccessibleName("Since a certificate or a day")
        self.since.setPlaceholderText("first certificate that is in doubt, or a day such as 2026-03-02; all without")
        for line in (self.serial, self.since):
            line.returnPressed.connect(self._look)
        self.look = button("&Look", "review", self._look, primary=True)
        row.addWidget(muted("Instrument"))
        row.addWidget(self.serial, 1)
        row.addWidget(muted("Since"))
        row.addWidget(self.since, 2)
        row.addWidget(self.look)
        self.says = ToneLabel()
        self.table: Table[Touched] = Table("Runs that relied on the instrument", TOUCHED)
        self.table.activated.connect(lambda _: self._open())
        self.body.addLayout(row)
        self.body.addWidget(self.says)
        self.body.addWidget(self.table, 1)
        below = QHBoxLayout()
        self.open = button("&Open", "file", self._open)
        below.addWidget(self.open)
        below.addStretch(1)
        self.body.addLayout(below)
        self.table.chosen.connect(lambda _: self.open.setEnabled(self.table.current() is not None))

    def ask(self, serial: str, since: str) -> None:
        """Fill in an instrument, and look."""
        self.serial.setText(serial)
        self.since.setText(since)
        self._look()

    def show_impact(self) -> None:
        """Show the runs, or that they are looked for, or why there are none."""
        found = self._presenter.impact
        said, tone = self._presenter.impact_says
        self.says.setVisible(bool(said))
        self.says.say(said, tone)
        self.table.show_rows(() if found is None else found.touched)
        self.open.setEnabled(self.table.current() is not None)

    def _look(self) -> None:
        self._presenter.look_at_impact(self.serial.text(), self.since.text())

    def _open(self) -> None:
        row = self.table.current()
        if row is not None:
            self._presenter.open_run(row.run)
