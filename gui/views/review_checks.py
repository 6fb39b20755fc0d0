"""The checks of a run, and everything that is known of the one that is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QHeaderView, QLabel, QProgressBar, QSplitter, QVBoxLayout, QWidget

from data.checks import Check
from gui.presenters.context import Context
from gui.presenters.review_checks import CheckRow, Fact, Share, check_rows, facts, shares
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.theme.tokens import DESK
from gui.views.parts import Panel, ToneLabel, clear, muted, scrolled
from gui.views.table import Column, Table

COLUMNS = (
    Column[CheckRow]("Check", lambda row: row.title, stretch=True, tip=lambda row: f"{row.title} ({row.check.name})"),
    Column[CheckRow]("Value", lambda row: row.value, number=True, tip=lambda row: row.about),
    Column[CheckRow]("U", lambda row: row.uncertainty, number=True, tip=lambda row: row.about),
    Column[CheckRow]("Limits", lambda row: row.limits, tip=lambda row: limits_tip(row)),
    Column[CheckRow]("Limits from", lambda row: row.source, tip=lambda row: limits_tip(row)),
    Column[CheckRow]("Conforms", lambda row: row.probability, number=True, tip=lambda row: conforms_tip(row)),
    Column[CheckRow]("Verdict", lambda row: row.verdict, lambda row: row.tone, tip=lambda row: row.check.note),
    Column[CheckRow]("Owner", lambda row: row.owner, tip=lambda row: f"a failure is the {row.owner}'s"),
)


SOURCE, SOURCE_WIDTH = 4, 150
HIDDEN_BELOW = {SOURCE: 900, 7: 820, 5: 740}
"""Columns, and how wide the table must be for them, in pixels at the desk."""


class ChecksView(QSplitter):
    """Table above, the chosen check below."""

    def __init__(self, context: Context) -> None:
        super().__init__(Qt.Orientation.Vertical)
        self._context = context
        self._checks: dict[str, Check] = {}
        self.setChildrenCollapsible(False)
        panel = Panel("Checks")
        self.table: Table[CheckRow] = Table("Checks", COLUMNS)
        self.table.chosen.connect(lambda _: self._show_detail())
        across = self.table.horizontalHeader()
        assert across is not None
        across.setSectionResizeMode(SOURCE, QHeaderView.ResizeMode.Interactive)
        across.resizeSection(SOURCE, SOURCE_WIDTH)
        panel.body.addWidget(self.table)
        self.addWidget(panel)
        self.detail = CheckDetail()
        self.addWidget(self.detail)
        self.setSizes([390, 230])
        self.setStretchFactor(0, 3)
        self.setStretchFactor(1, 1)

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """Where there is little room, the tool tip and the detail alone say where limits come from."""
        super().resizeEvent(event)
        room = self.width() * DESK.font / look().density.font
        for column, least in HIDDEN_BELOW.items():
            self.table.setColumnHidden(column, room < least)

    def show_checks(self, checks: Sequence[Check]) -> None:
        """Show the checks of a run; the first one that is not passed is chosen."""
        self._checks = {check.name: check for check in checks}
        rows = check_rows(checks, self._context.numbers)
        self.table.show_rows(rows)
        bad = [at for at, row in enumerate(rows) if row.tone in (Tone.FAIL, Tone.WARN)]
        if rows:
            self.table.selectRow(bad[0] if bad else 0)
        self._show_detail()

    def _show_detail(self) -> None:
        row = self.table.current()
        if row is None:
            self.detail.show_nothing()
            return
        numbers = self._context.numbers
        self.detail.show_check(row, facts(row.check, numbers, self._checks), shares(row.check, numbers))


class CheckDetail(Panel):
    """One check: what it says, on the left; what its uncertainty is made of, on the right."""

    def __init__(self) -> None:
        super().__init__("Check")
        self.verdict = ToneLabel()
        self.tools.addWidget(self.verdict)
        row = QHBoxLayout()
        row.setSpacing(16)
        self._facts, left = QGridLayout(), QWidget()
        self._budget, right = QGridLayout(), QWidget()
        for grid, holder, share in ((self._facts, left, 3), (self._budget, right, 3)):
            column = QVBoxLayout(holder)
            column.setContentsMargins(0, 0, 14, 0)
            grid.setHorizontalSpacing(10)
            grid.setVerticalSpacing(2)
            column.addLayout(grid)
            column.addStretch(1)
            row.addWidget(scrolled(holder), share)
        self.body.addLayout(row)

    def show_nothing(self) -> None:
        """No check is chosen."""
        self.title.setText("Check")
        self.verdict.say("", Tone.PLAIN)
        clear(self._facts)
        clear(self._budget)

    def show_check(self, row: CheckRow, said: Sequence[Fact], budget: Sequence[Share]) -> None:
        """Show a check."""
        self.title.setText(f"{row.title}: {row.value} {row.uncertainty}".strip())
        self.verdict.say(row.verdict, row.tone)
        clear(self._facts)
        show_facts(self._facts, said)
        clear(self._budget)
        heading = "Sources of u; the bar is their share of u²" if budget else "No uncertainty budget"
        self._budget.addWidget(muted(heading), 0, 0, 1, 3)
        for at, share in enumerate(budget, 1):
            bar = QProgressBar()
            bar.setRange(0, 1000)
            bar.setValue(round(share.part * 1000.0))
            bar.setTextVisible(False)
            bar.setAccessibleName(f"{share.source}: {share.part:.0%} of the variance")
            bar.setMinimumWidth(40)
            value = QLabel(share.uncertainty)
            value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for column, widget in enumerate((QLabel(share.source), bar, value)):
                widget.setToolTip(f"{share.source}: u = {share.uncertainty}, {share.part:.1%} of the variance")
                self._budget.addWidget(widget, at, column)
        self._budget.setColumnStretch(1, 1)


def show_facts(grid: QGridLayout, said: Sequence[Fact]) -> None:
    """Captions on the left, texts on the right, which a person can mark and copy."""
    first = grid.rowCount()
    for at, (what, text) in enumerate(said, first):
        value = QLabel(text)
        value.setTextFormat(Qt.TextFormat.PlainText)
        value.setWordWrap(True)
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        value.setAccessibleName(f"{what}: {text}")
        grid.addWidget(muted(what), at, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(value, at, 1)
    grid.setColumnStretch(1, 1)


def limits_tip(row: CheckRow) -> str:
    """Where the limits come from, and by which rule they are applied."""
    return "\n".join(filter(None, (row.source, row.check.rule))) or "no limit"


def conforms_tip(row: CheckRow) -> str:
    """What the probability is of."""
    return f"probability that the true value is within the limits ({row.check.rule})" if row.probability else ""
