"""The runs that go on or wait: to watch one, or to take one out."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtWidgets import QHBoxLayout, QWidget

from gui.presenters.setup import SetUp
from gui.presenters.setup_queue import LEFT_ALONE, QueueRow
from gui.theme.look import look
from gui.views.parts import Panel, SureButton, button, muted
from gui.views.table import Column, Table

MOST_ROWS = 8


class QueuePanel(Panel):
    """Runs that go on, and those that wait, in the order in which they begin."""

    def __init__(self, presenter: SetUp) -> None:
        super().__init__("Runs that go on or wait")
        self._presenter = presenter
        self.table: Table[QueueRow] = Table(
            "Runs that go on or wait",
            (
                Column("Run", lambda row: f"{row.entry.number}", number=True),
                Column("Protocol", lambda row: row.entry.procedure, stretch=True),
                Column("State", lambda row: row.state, tone=lambda row: row.tone),
                Column("Station", lambda row: row.entry.station),
            ),
            key=lambda row: row.entry.number,
        )
        self.table.chosen.connect(lambda _: self._show_buttons())
        self.table.doubleClicked.connect(lambda _: self._with_row(presenter.watch))
        self.watch = button("&Watch", "run", lambda: self._with_row(presenter.watch))
        self.withdraw = SureButton("With&draw", "Press again", lambda: self._with_row(presenter.withdraw))
        self._shown: int | None = None  # number of the run that the buttons act on
        self.get_going = button("&Begin", "play", lambda: self._with_row(presenter.get_going))
        self.body.addWidget(self.table)
        row = QHBoxLayout()
        for made in (self.watch, self.withdraw, self.get_going):
            row.addWidget(made)
        row.addStretch(1)
        self.body.addLayout(row)
        self.left_alone = muted(LEFT_ALONE, wrap=True)
        self.body.addWidget(self.left_alone)
        self.hide()

    @property
    def inputs(self) -> list[QWidget]:
        """What can have the focus, in the order in which it is read."""
        return [self.table, self.watch, self.withdraw, self.get_going]

    def show_all(self) -> None:
        """Show the runs as they are now."""
        rows, was_empty = self._presenter.queue, not self.table.rows.rows
        self.setVisible(bool(rows))
        self.table.show_rows(rows)
        header = self.table.horizontalHeader()
        height = (look().density.row if header is None else header.sizeHint().height()) + 4
        self.table.setFixedHeight(height + look().density.row * min(len(rows), MOST_ROWS))
        if rows and was_empty:
            self.table.selectRow(0)
        self._show_buttons()

    def _show_buttons(self) -> None:
        row = self.table.current()
        self.watch.setEnabled(row is not None)
        self.withdraw.setEnabled(row is not None and row.waits)
        number = None if row is None else row.entry.number
        if number != self._shown:
            self._shown, self.withdraw.sure = number, f"Withdraw run {number}: press again"
            self.withdraw.calm()
        for part in (self.get_going, self.left_alone):
            part.setVisible(row is not None and row.is_left_alone)

    def _with_row(self, call: Callable[[QueueRow], None]) -> None:
        row = self.table.current()
        if row is not None:
            call(row)
