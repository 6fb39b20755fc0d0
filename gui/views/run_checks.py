"""Panel: what the evaluation says so far, greyed and without a verdict; at the end what it said."""

from __future__ import annotations

from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QHeaderView

from gui.presenters.provisional import CheckRow, Provisional
from gui.presenters.tone import Tone
from gui.views.parts import Panel, muted
from gui.views.room import Elided
from gui.views.table import Column, Table

LIMIT_WIDTH, VALUE_WIDTH = 88, 118
"""A long one is cut, and told by the tool tip: the room belongs to the check's name."""

LEAST_CAPTION, LEAST_ROWS = 100, 2
VALUE, LIMIT, VERDICT = 1, 2, 3
ROOMY, WIDE = 390, 480
"""From these widths on there is room for a third column, and for a fourth; the tool tip has them all."""


class ChecksPanel(Panel):
    """The checks of the run."""

    def __init__(self, presenter: Provisional) -> None:
        super().__init__("Checks")
        self._presenter = presenter
        self.caption = Elided("", LEAST_CAPTION)
        self.tools.addWidget(self.caption)
        self.outlook = muted("", wrap=True)
        self.table: Table[CheckRow] = Table(
            "Checks",
            (
                Column("Check", lambda row: row.title, stretch=True, tip=_tip),
                Column("Value", lambda row: row.value, number=True, tip=_tip),
                Column("Limit", lambda row: row.limits, tip=_tip),
                Column("Verdict", self._word, tone=lambda row: row.tone, tip=_tip),
            ),
            row_tone=lambda row: Tone.PLAIN if row.verdict else Tone.MUTED,
        )
        across = self.table.horizontalHeader()
        assert across is not None
        across.setSectionResizeMode(LIMIT, QHeaderView.ResizeMode.Fixed)
        across.resizeSection(LIMIT, LIMIT_WIDTH)
        self.table.least(LEAST_ROWS)
        self.body.addWidget(self.table, 1)
        self.body.addWidget(self.outlook)
        self.refresh()

    def refresh(self) -> None:
        """Show what there is."""
        final = self._presenter.final is not None
        self.title.setText("Checks" if final else "Checks so far")
        self.caption.setText(self._presenter.caption())
        self._share()
        self.table.show_rows(self._presenter.rows())
        text = self._presenter.remark()
        self.outlook.setText(text)
        self.outlook.setVisible(bool(text))

    def _word(self, row: CheckRow) -> str:
        """The verdict, in short where there is little room."""
        return row.verdict if self.width() >= WIDE else row.verdict.replace("conditional", "cond.")

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """Show what there is room for."""
        super().resizeEvent(event)
        self._share()

    def _share(self) -> None:
        final = self._presenter.final is not None
        self.table.setColumnHidden(VERDICT, not final)
        self.table.setColumnHidden(VALUE, final and self.width() < ROOMY)
        across = self.table.horizontalHeader()
        assert across is not None
        fixed = final and self.width() < WIDE
        across.setSectionResizeMode(
            VALUE, QHeaderView.ResizeMode.Fixed if fixed else QHeaderView.ResizeMode.ResizeToContents
        )
        if fixed:
            across.resizeSection(VALUE, VALUE_WIDTH)
        self.table.setColumnHidden(LIMIT, self.width() < (WIDE if final else ROOMY))


def _tip(row: CheckRow) -> str:
    said = f"{row.title}: {row.value}"
    said += f", limit {row.limits}" if row.limits else ", no limit"
    said += f": {row.verdict}" if row.verdict else ""
    return f"{said}\n{row.note}" if row.note else said
