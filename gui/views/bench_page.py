"""The first page: every station of the bench, who must act next, and the runs that have ended."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QHideEvent, QKeyEvent, QShowEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from gui.presenters.bench_overview import BenchOverview
from gui.presenters.bench_rows import EndedRow
from gui.presenters.context import Context
from gui.presenters.tone import Tone
from gui.views.parts import Page, Panel, ToneLabel, button, muted, scrolled, set_property
from gui.views.station_card import StationCard
from gui.views.table import Column, Table

FIRST_WIDTH = 520


class EndedTable(Table[EndedRow]):
    """The runs that have ended; Enter opens the one that is chosen."""

    def __init__(self, overview: BenchOverview) -> None:
        super().__init__(
            "Runs that have ended",
            (
                Column("Run", lambda row: row.number, number=True),
                Column("Ended", lambda row: row.at),
                Column("Station", lambda row: row.entry.station),
                Column("Protocol", lambda row: row.entry.procedure),
                Column("Device", lambda row: row.article),
                Column(
                    "Outcome",
                    lambda row: row.outcome,
                    tone=lambda row: row.tone,
                    tip=lambda row: row.reason or row.status,
                ),
                Column("Review", lambda row: row.review),
                Column("Remark", lambda row: row.reason, stretch=True),
            ),
            key=lambda row: row.entry.number,
        )
        self._overview = overview
        self.doubleClicked.connect(lambda _: self.open())

    def open(self) -> None:
        """Review the run that is chosen."""
        row = self.current()
        if row is not None and row.file is not None:
            self._overview.open(row.file)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802  # Qt's name
        """Enter opens."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.open()
            return
        super().keyPressEvent(event)


class BenchPage(Page):
    """All stations at a glance."""

    def __init__(self, context: Context) -> None:
        super().__init__("Bench")
        self.overview = BenchOverview(context)
        self.cards: dict[str, StationCard] = {}
        self._order: tuple[str, ...] = ()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 2, 8, 8)
        self.stack = QStackedWidget()
        self.stack.addWidget(self._all())
        self.stack.addWidget(self._first())
        column.addWidget(self.stack)
        self.overview.attach(self)
        self.show_bench()

    def shown(self) -> None:
        """Come to the front."""
        self.overview.look()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Look more often while somebody sees it."""
        super().showEvent(event)
        self.overview.shown(True)

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802  # Qt's name
        """Look less often."""
        super().hideEvent(event)
        self.overview.shown(False)

    # -- what the presenter says

    def show_bench(self) -> None:
        """Show every station as it is now; cards move only when their order has changed."""
        overview = self.overview
        self.stack.setCurrentIndex(1 if overview.is_first_start else 0)
        self.summary.say(*overview.summary)
        rows = {row.name: row for row in overview.stations}
        for name in [name for name in self.cards if name not in rows]:
            card = self.cards.pop(name)
            card.setParent(None)
            card.deleteLater()
        for name, row in rows.items():
            if name in self.cards:
                self.cards[name].show_row(row)
            else:
                self.cards[name] = StationCard(row, overview)
        if tuple(rows) != self._order:
            self._order = tuple(rows)
            for place, name in enumerate(rows):
                self._cards.insertWidget(place, self.cards[name])
        self._no_station.setVisible(not rows)
        self.ended.show_rows(overview.ended)
        self._choose(self.ended.currentIndex().row())

    # -- parts

    def _all(self) -> QWidget:
        split = QSplitter(Qt.Orientation.Vertical)
        split.setChildrenCollapsible(False)
        stations = QWidget()
        column = QVBoxLayout(stations)
        column.setContentsMargins(0, 0, 0, 0)
        head = QHBoxLayout()
        title = QLabel("Stations")
        set_property(title, "heading", "true")
        head.addWidget(title)
        self.summary = ToneLabel("", Tone.MUTED)
        head.addSpacing(12)
        head.addWidget(self.summary, 1)
        column.addLayout(head)
        inside = QWidget()
        self._cards = QVBoxLayout(inside)
        self._cards.setContentsMargins(0, 0, 4, 0)
        self._cards.setSpacing(8)
        self._no_station = muted("No station file is here, and no run was made. Prepare a run on the page Run.", True)
        self._cards.addWidget(self._no_station)
        self._cards.addStretch(1)
        column.addWidget(scrolled(inside), 1)
        split.addWidget(stations)
        split.addWidget(self._ended())
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 1)
        split.setSizes([600, 230])
        return split

    def _ended(self) -> Panel:
        panel = Panel("Runs that have ended")
        self.ended = EndedTable(self.overview)
        self.ended.chosen.connect(self._choose)
        self.open = button("&Open", "folder", self.ended.open)
        panel.tools.addWidget(self.open)
        panel.body.addWidget(self.ended)
        return panel

    def _choose(self, at: int) -> None:
        row = self.ended.current() if at >= 0 else None
        self.open.setEnabled(row is not None and row.file is not None)

    def _first(self) -> QWidget:
        outer = QWidget()
        across = QHBoxLayout(outer)
        across.addStretch(1)
        panel = Panel("")
        panel.title.hide()
        panel.setFixedWidth(FIRST_WIDTH)
        title = QLabel("Nothing has been run from the window yet")
        set_property(title, "heading", "true")
        panel.body.setContentsMargins(20, 12, 20, 16)
        panel.body.setSpacing(12)
        panel.body.addWidget(title)
        for sentence in (
            "A simulated run shows the whole way in a minute: a pump that is programmed, weighed and judged, with "
            "instruments that answer like real ones. Nothing can break.",
            "Or describe your bench: copy the template, give it your instruments, and the page says what is still "
            "wrong with it. Nothing touches an instrument before you start a run.",
            "Runs that were made on the command line are found in Review (Ctrl+3).",
        ):
            label = QLabel(sentence)
            label.setWordWrap(True)
            panel.body.addWidget(label)
        buttons = QHBoxLayout()
        self.try_it = button("&Try a simulated run", "play", self.overview.try_it, primary=True)
        self.describe = button("&Describe my bench", "station", self.overview.describe_bench)
        buttons.addWidget(self.try_it)
        buttons.addWidget(self.describe)
        buttons.addStretch(1)
        panel.body.addLayout(buttons)
        middle = QVBoxLayout()
        middle.addStretch(2)
        middle.addWidget(panel)
        middle.addStretch(3)
        across.addLayout(middle)
        across.addStretch(1)
        return outer
