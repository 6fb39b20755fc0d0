"""Panel: what the evaluation says so far, greyed and without a verdict; at the end what it said."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtGui import QFont, QFontMetrics, QResizeEvent

from gui.presenters.provisional import CheckRow, Provisional
from gui.presenters.tone import Tone
from gui.theme.look import lettering, look
from gui.views.parts import Panel, muted
from gui.views.room import Elided
from gui.views.table import Column, Table

LEAST_CAPTION, LEAST_ROWS = 100, 2
VALUE, LIMIT, VERDICT = 1, 2, 3
ROOMY = 390
"""Below this width nothing stands beside the name of a check but its verdict."""

MARGINS, GAP = 24, 10
"""Pixels left and right of what stands in a cell, and between its icon and its word."""

BESIDE = "   "
"""Between a value and its limit that stand in one line."""


class ChecksPanel(Panel):
    """The checks of the run.

    A check is a row of name, value, limit and verdict where all of them have room; else value and limit stand below the
    name, whole: a number whose unit is cut off is none.
    """

    def __init__(self, presenter: Provisional) -> None:
        super().__init__("Checks")
        self._presenter = presenter
        self._below: int | None = None  # room below a name, in pixels, where nothing stands beside it
        self.caption = Elided("", LEAST_CAPTION)
        self.tools.addWidget(self.caption)
        self.outlook = muted("", wrap=True)
        self.table: Table[CheckRow] = Table(
            "Checks",
            (
                Column("Check", self._named, stretch=True, tip=_tip),
                Column("Value", lambda row: row.value, number=True, tip=_tip),
                Column("Limit", lambda row: row.limits, tip=_tip),
                Column("Verdict", self._word, tone=lambda row: row.tone, tip=_tip),
            ),
            row_tone=lambda row: Tone.PLAIN if row.verdict else Tone.MUTED,
        )
        self.table.least(LEAST_ROWS)
        self.body.addWidget(self.table, 1)
        self.body.addWidget(self.outlook)
        self.refresh()

    def refresh(self) -> None:
        """Show what there is."""
        self.title.setText("Checks" if self._is_final else "Checks so far")
        self.caption.setText(self._presenter.caption())
        self._share()
        text = self._presenter.remark()
        self.outlook.setText(text)
        self.outlook.setVisible(bool(text))

    @property
    def _is_final(self) -> bool:
        return self._presenter.final is not None

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802  # Qt's name
        """Show what there is room for."""
        super().resizeEvent(event)
        self._share()

    def _share(self) -> None:
        """Show a check in one line where all of them have room in one."""
        rows, letters = self._presenter.rows(), self.table.fontMetrics()
        room = self.table.width() - look().density.scroll
        if self._is_final:
            bold = QFontMetrics(lettering(look().density.font, QFont.Weight.DemiBold))
            room -= _widest(bold, [_short(row) for row in rows]) + look().density.icon + GAP
        columns = ([row.title for row in rows], [row.value for row in rows], [row.limits for row in rows])
        needed = sum(_widest(letters, texts) for texts in columns)
        self._below = None if needed <= room and self.width() >= ROOMY else room
        for column, is_shown in ((VALUE, self._below is None), (LIMIT, self._below is None), (VERDICT, self._is_final)):
            self.table.setColumnHidden(column, not is_shown)
        self.table.show_rows(rows)
        self.table.give_lines([self._named(row).count("\n") + 1 for row in rows])

    def _word(self, row: CheckRow) -> str:
        """The verdict, in short where there is little room."""
        return row.verdict if self._below is None else _short(row)

    def _named(self, row: CheckRow) -> str:
        """A check's name, and below it what has no column of its own."""
        if self._below is None:
            return row.title
        limits = f"limit {row.limits}" if row.limits else ""
        line = BESIDE.join(filter(None, (row.value, limits)))
        is_short = _widest(self.table.fontMetrics(), [line]) <= self._below
        return "\n".join(filter(None, (row.title, line) if is_short else (row.title, row.value, limits)))


def _short(row: CheckRow) -> str:
    return row.verdict.replace("conditional", "cond.")


def _widest(letters: QFontMetrics, texts: Sequence[str]) -> int:
    """Pixels of a column that shows these texts whole."""
    return max((letters.horizontalAdvance(text) for text in texts), default=0) + MARGINS


def _tip(row: CheckRow) -> str:
    said = f"{row.title}: {row.value}"
    said += f", limit {row.limits}" if row.limits else ", no limit"
    said += f": {row.verdict}" if row.verdict else ""
    return f"{said}\n{row.note}" if row.note else said
