"""What was found before the start: findings with their overrides, the forecast, and the plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from gui.presenters.setup import RIG_CHECK, SetUp
from gui.presenters.setup_check import WORD_OF_LEVEL, DecisionRow, FindingRow, LengthRow, StepRow
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.parts import Panel, ToneLabel, button, clear, muted, tool
from gui.views.setup_fields import Entry
from gui.views.table import Column, Table

ELSEWHERE = ("forecast", "duration")
"""Findings that only tell what the panels below, and the bar of the start, show better."""

REASON = "Reason to start in spite of it; it is recorded with your name"
ANEW = "Your reason was about something else; give one for this, too"

MOST_ROWS = 14
TONES = {"blocks": Tone.FAIL, "warns": Tone.WARN, "tells": Tone.PLAIN}

Row = TypeVar("Row")


class FindingsPanel(Panel):
    """Findings: what blocks first, with the reason of whoever takes it upon themselves."""

    def __init__(self, presenter: SetUp) -> None:
        super().__init__("Before the start")
        self._presenter = presenter
        self.reasons: dict[str, Entry] = {}
        self._remedies: list[QWidget] = []
        self._typed: dict[tuple[str, frozenset[str]], str] = {}
        self._about: dict[str, frozenset[str]] = {}  # what was found when a reason was asked for, by its code
        self._typed_of: object = None  # what they are about
        self._drawn: object = None
        self._is_drawing = False

    @property
    def inputs(self) -> list[QWidget]:
        """What can have the focus, in the order in which it is read."""
        return [*self._remedies, *self.reasons.values()]

    def show_all(self) -> None:
        """Show what was found, anew only where it is something else: somebody may be giving a reason."""
        presenter = self._presenter
        to_draw = (presenter.examined, presenter.form.wrong, dict(presenter.overrides))
        if to_draw == self._drawn or self._is_drawing:
            return
        self._drawn, self._is_drawing = to_draw, True
        self._keep_typed()
        focused = next((code for code, entry in self.reasons.items() if entry.hasFocus()), "")
        clear(self.body)
        self.reasons, self._remedies = {}, []
        self._draw()
        if focused in self.reasons:
            self.reasons[focused].setFocus()
        self._is_drawing = False

    def _keep_typed(self) -> None:
        """A reason that is half written stays, as long as it is about the same."""
        if self._typed_of != self._presenter.overrides_of:
            self._typed, self._typed_of = {}, self._presenter.overrides_of
            return
        for code, entry in self.reasons.items():
            self._typed[code, self._about[code]] = entry.text()

    def _draw(self) -> None:
        presenter = self._presenter
        if presenter.examined is None:
            wrong = presenter.form.wrong
            self.body.addWidget(ToneLabel(wrong or "Checking…", Tone.MUTED if wrong else Tone.BUSY))
            return
        rows = [one for one in presenter.examined.findings if one.level != "tells" or one.code not in ELSEWHERE]
        for one in sorted(rows, key=lambda one: list(TONES).index(one.level)):
            self.body.addWidget(self._row(one))
        if not rows:
            self.body.addWidget(ToneLabel("Nothing stands against the run.", Tone.GOOD))

    def _row(self, one: FindingRow) -> QWidget:
        said = self._presenter.overrides.get(one.code, "") if one.overridable else ""
        row = QWidget()
        column = QVBoxLayout(row)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        word = WORD_OF_LEVEL[one.level]
        text = f"{word}: {one.text}" if not said else f"Overridden: {one.text}"
        column.addWidget(ToneLabel(text, Tone.WARN if said else TONES[one.level]))
        if one.code == RIG_CHECK and not self._remedies:
            self._remedies.append(button("Prepare the rig check", "wrench", self._presenter.prepare_rig_check))
            line = QHBoxLayout()
            line.addWidget(self._remedies[-1])
            line.addStretch(1)
            column.addLayout(line)
        if one.overridable and one.code not in self.reasons:
            column.addLayout(self._reason(one, said))
        return row

    def _reason(self, one: FindingRow, said: str) -> QHBoxLayout:
        """Where a reason is given, or taken back."""
        line = QHBoxLayout()
        about = self._about[one.code] = self._presenter.texts(one.code)
        typed = self._typed.pop((one.code, about), "")
        entry = Entry(f"Reason to start in spite of {one.code}", said or typed)
        entry.setPlaceholderText(ANEW if one.code in self._presenter.lapsed else REASON)
        entry.left.connect(lambda: self._given(one.code, entry.text()))
        self.reasons[one.code] = entry
        line.addWidget(entry, 1)
        if said:
            line.addWidget(tool("remove", "Do not override it", lambda: self._take_back(one.code)))
        return line

    def _take_back(self, code: str) -> None:
        self.reasons[code].clear()
        self._presenter.override(code, "")

    def _given(self, code: str, reason: str) -> None:
        if not self._is_drawing and reason.strip() != self._presenter.overrides.get(code, ""):
            self._presenter.override(code, reason)


class ForecastPanel(Panel):
    """What the run will be able to tell, and what other lengths would."""

    def __init__(self, presenter: SetUp) -> None:
        super().__init__("What it will tell")
        self._presenter = presenter
        self._says = QVBoxLayout()
        self._says.setSpacing(2)
        self.table: Table[LengthRow] = Table(
            "Forecast by length of the analysis",
            (
                Column("Analysis", lambda row: f"{row.analysis} ◂" if row.is_planned else row.analysis, number=True),
                Column("Run", lambda row: row.run, number=True),
                Column("U", lambda row: row.expanded, number=True),
                Column("Can pass", lambda row: row.passes, stretch=True),
            ),
        )
        self.decided: Table[DecisionRow] = Table(
            "What can be decided",
            (
                Column("A pump at", lambda row: row.pump, number=True),
                Column("is decided, in 19 runs of 20", lambda row: row.analysis, stretch=True),
            ),
        )
        self.body.addLayout(self._says)
        self.body.addWidget(self.decided)
        self.body.addWidget(self.table)
        look().changed.connect(self.show_all)
        self.hide()

    def show_all(self) -> None:
        """Show the forecast, once there is one."""
        found = self._presenter.foreseen
        self.setVisible(found is not None)
        if found is None:
            return
        clear(self._says)
        for text in found.says:
            self._says.addWidget(muted(text, wrap=True))
        if found.why_not:
            self._says.addWidget(muted(f"{found.why_not[0].upper()}{found.why_not[1:]}.", wrap=True))
        _fill(self.table, found.rows)
        self.table.setVisible(bool(found.rows))
        _fill(self.decided, found.decided)
        self.decided.setVisible(bool(found.decided))


class PlanPanel(Panel):
    """The steps of the run with their planned times."""

    def __init__(self, presenter: SetUp) -> None:
        super().__init__("Plan")
        self._presenter = presenter
        self._prompts = muted("", wrap=True)
        self._named: list[str] = []
        self.table: Table[StepRow] = Table(
            "Steps of the run",
            (
                Column("Begins", lambda row: row.begins, number=True),
                Column("Takes", lambda row: row.takes, number=True),
                Column("Step", lambda row: row.text, stretch=True),
            ),
        )
        self.body.addWidget(self._prompts)
        self.body.addWidget(self.table)
        look().changed.connect(self.show_all)
        self.hide()

    def show_all(self) -> None:
        """Show the plan, once there is one."""
        found = self._presenter.examined
        self.setVisible(found is not None and bool(found.steps))
        if found is None:
            return
        asks = f"A person is asked {found.prompts} times." if found.prompts > 1 else "A person is asked once."
        self._prompts.setText(asks if found.prompts else "")
        self._prompts.setVisible(found.prompts > 0)
        names = [step.text for step in found.steps]
        _fill(self.table, found.steps)
        if names != self._named:  # of another protocol: where somebody had scrolled in the one before says nothing
            self._named = names
            self.table.scrollToTop()


def _fill(table: Table[Row], rows: Sequence[Row]) -> None:
    """Show rows in a table that is as high as they are, up to a limit."""
    table.show_rows(rows)
    header = table.horizontalHeader()
    height = (look().density.row if header is None else header.sizeHint().height()) + 4
    table.setFixedHeight(height + look().density.row * min(len(rows), MOST_ROWS))
    table.setVerticalScrollBarPolicy(
        Qt.ScrollBarPolicy.ScrollBarAsNeeded if len(rows) > MOST_ROWS else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
    )
