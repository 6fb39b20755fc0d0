"""What a run recorded: its channels in linked plots, and what happened, beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QSplitter,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from data.overview import BIN
from gui.plots.canvas import Span
from gui.plots.time_plot import TimePlot
from gui.plots.time_tools import TimeTools
from gui.presenters.context import Context
from gui.presenters.numbers import rough_duration, unit_text
from gui.presenters.review_open import OpenRun, PlotGroup, grouped
from gui.presenters.review_timeline import EVENT, KINDS, PHASE, QUALITY, Happening, narrowed
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.theme.tokens import DESK
from gui.views.parts import Panel, ToneLabel, clear, scrolled
from gui.views.table import Column, Table

AROUND = 0.5
"""So many times its length is shown on either side of a stretch that is chosen."""

AROUND_MOMENT_S = 30.0
NEAR_PIXELS = 8.0
MOST_SPANS = 1000
PLOT_HEIGHT = 152

COLUMNS = (
    Column[Happening]("After", lambda row: row.clock, number=True, tip=lambda row: row.moment or f"{row.t0:.3f} s"),
    Column[Happening]("Took", lambda row: row.took, number=True),
    Column[Happening]("What", lambda row: row.text, lambda row: row.tone, stretch=True, tip=lambda row: tip_of(row)),
)


class ChannelTree(QTreeWidget):
    """Every channel that was recorded, by unit; those with a mark are plotted."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Channels")
        self.setHeaderHidden(True)
        self.setIndentation(14)

    def show_channels(self, groups: Sequence[PlotGroup], shown: set[str]) -> None:
        """Offer the channels."""
        self.clear()
        for group in groups:
            unit = unit_text(group.unit)
            title = f"{group.quantity} ({unit})" if unit else group.quantity
            top = QTreeWidgetItem([title])
            top.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            self.addTopLevelItem(top)
            for channel in group.channels:
                item = QTreeWidgetItem([channel.label])
                item.setToolTip(0, f"{channel.name}: {channel.extent.rows} samples\n{', '.join(channel.roles)}".strip())
                item.setData(0, Qt.ItemDataRole.UserRole, channel.name)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                state = Qt.CheckState.Checked if channel.name in shown else Qt.CheckState.Unchecked
                item.setCheckState(0, state)
                top.addChild(item)
            top.setExpanded(any(channel.roles for channel in group.channels))

    def marked(self) -> list[str]:
        """The channels that are to be plotted."""
        found = []
        for at in range(self.topLevelItemCount()):
            top = self.topLevelItem(at)
            assert top is not None
            for number in range(top.childCount()):
                item = top.child(number)
                assert item is not None
                if item.checkState(0) is Qt.CheckState.Checked:
                    found.append(str(item.data(0, Qt.ItemDataRole.UserRole)))
        return found


class RecordView(QSplitter):
    """Channels, plots, happenings."""

    def __init__(self, context: Context) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._context = context
        self._run: OpenRun | None = None
        self._shown: list[Happening] = []
        self._is_filling = False
        self.plots: dict[str, TimePlot] = {}
        self._plot_of: dict[str, TimePlot] = {}
        self.setChildrenCollapsible(False)
        self.channels = ChannelTree()
        self.channels.itemChanged.connect(lambda *_: self._mark())
        self.table: Table[Happening] = Table("What happened", COLUMNS)
        self.table.chosen.connect(lambda _: self._choose())
        self._lay_out()

    def _lay_out(self) -> None:
        left = Panel("Channels")
        left.body.addWidget(self.channels)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(look().density.gap - 2)
        holder = QWidget()
        self._stack = QVBoxLayout(holder)
        self._stack.setContentsMargins(0, 0, 0, 0)
        self._stack.setSpacing(look().density.gap - 2)
        column.addWidget(scrolled(holder), 1)
        self._below = QHBoxLayout()
        self.reading = ToneLabel("", Tone.BUSY)
        self._below.addWidget(self.reading, 1)
        column.addLayout(self._below)
        right = Panel("What happened")
        row = QHBoxLayout()
        self.kind = QComboBox()
        self.kind.setAccessibleName("Show what happened of one kind")
        for key, word in KINDS.items():
            self.kind.addItem(word, key)
        self.kind.activated.connect(lambda _: self._show_rows())
        self.text = QLineEdit()
        self.text.setPlaceholderText("Find…")
        self.text.setAccessibleName("Find in what happened")
        self.text.textChanged.connect(lambda _: self._show_rows())
        row.addWidget(self.kind)
        row.addWidget(self.text, 1)
        right.body.addLayout(row)
        right.body.addWidget(self.table)
        for widget, share in ((left, 1), (middle, 4), (right, 2)):
            self.addWidget(widget)
            self.setStretchFactor(self.count() - 1, share)
        self.setSizes([230, 640, 410])

    # -- what the presenter says

    def show_run(self, run: OpenRun) -> None:
        """Show the channels of a run that has been read, and those plots that are looked at first."""
        assert run.review is not None
        self._run = run
        first = run.first_groups()
        self._is_filling = True
        self.channels.show_channels(
            grouped(run.review.channels), {channel.name for group in first for channel in group.channels}
        )
        self._is_filling = False
        self._plot(first)
        self.show_happenings()

    def show_points(self, channel: str) -> None:
        """Draw a channel again."""
        plot = self._plot_of.get(channel)
        if plot is not None:
            plot.changed(channel)
        self._show_reading()

    def show_happenings(self) -> None:
        """Show what happened, in the table and on the axes."""
        self._show_rows()
        self._mark_axes()

    # -- plots

    def _mark(self) -> None:
        if self._is_filling or self._run is None or self._run.review is None:
            return
        marked = set(self.channels.marked())
        self._plot(grouped([one for one in self._run.review.channels if one.name in marked]))
        self._mark_axes()

    def _plot(self, groups: Sequence[PlotGroup]) -> None:
        """One plot a unit, all of the same stretch of time, which is kept."""
        run = self._run
        assert run is not None
        assert run.review is not None
        time = next(iter(self.plots.values())).time if self.plots else None
        kept = None if time is None or time.is_following else (time.t0, time.t1)
        self._forget()
        review = run.review
        first: TimePlot | None = None
        for group in groups:
            plot = TimePlot(group.title, group.unit, self._context, tools=False)
            plot.setMinimumHeight(round(PLOT_HEIGHT * look().density.font / DESK.font))
            plot.canvas.left.say("")  # its head says what it is, and in which unit
            plot.watermark("" if review.row.origin == "measured" else review.row.origin)
            for pen, channel in enumerate(group.channels):
                points = run.points(channel.name)
                plot.curve(channel.name, channel.label, pen, points.view)
                self._plot_of[channel.name] = plot
            if first is not None:
                plot.link(first)
            first = first or plot
            plot.canvas.hands.pressed.connect(lambda at, plot=plot: self._pressed(plot, at))
            self.plots[group.title] = plot
            self._stack.addWidget(plot, 1)
        if first is not None:
            first.time.has_come(0.0, max(review.end_s, 1e-3))
            if kept is not None:
                first.time.show(*kept)
            self._tools = TimeTools(*self.plots.values(), live=False)
            self._below.addWidget(self._tools, 0, Qt.AlignmentFlag.AlignRight)
        self._show_reading()

    def _forget(self) -> None:
        self.plots, self._plot_of = {}, {}
        clear(self._stack)
        while self._below.count() > 1:
            item = self._below.takeAt(1)
            if item is not None and (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()

    def _mark_axes(self) -> None:
        chosen = self.table.current()
        marked = [] if self._run is None else [one for one in self._run.happenings if is_marked(one)][:MOST_SPANS]
        for plot in self.plots.values():
            own = [one for one in marked if not one.channel or self._plot_of.get(one.channel) is plot]
            spans = [] if chosen is None or chosen.kind == PHASE else [Span(chosen.t0, chosen.t1, "", Tone.BUSY)]
            plot.spans([*spans, *map(span_of, own)])

    def _show_reading(self) -> None:
        said = "" if self._run is None else self._run.reading_says()
        self.reading.setVisible(bool(said))
        self.reading.say(said, Tone.BUSY)

    # -- the table

    def _show_rows(self) -> None:
        if self._run is None:
            return
        chosen = self.table.current()
        self._shown = narrowed(self._run.happenings, str(self.kind.currentData()), self.text.text())
        self._is_filling = True
        self.table.show_rows(self._shown)
        at = self._shown.index(chosen) if chosen in self._shown else -1
        self.table.setCurrentIndex(self.table.rows.index(at, 0))
        self._is_filling = False

    def _choose(self) -> None:
        """Show what is chosen in the plots, with something around it."""
        row = self.table.current()
        if row is None or self._is_filling:
            return
        self._mark_axes()
        margin = max(AROUND * (row.t1 - row.t0), AROUND_MOMENT_S)
        for plot in list(self.plots.values())[:1]:
            plot.time.show(row.t0 - margin, row.t1 + margin)

    def _pressed(self, plot: TimePlot, at: QPointF) -> None:
        """Choose in the table what lies under the mouse: a moment that is near, or the shortest stretch."""
        near = NEAR_PIXELS * plot.time.span_s / max(plot.canvas.hands.width(), 1.0)
        t = at.x()
        found = [one for one in self._shown if one.t0 - near <= t <= one.t1 + near]
        if found:
            best = min(found, key=lambda one: (one.t1 - one.t0, abs(one.t0 - t)))
            self._is_filling = True
            self.table.selectRow(self._shown.index(best))
            self._is_filling = False
            self._mark_axes()


def is_marked(one: Happening) -> bool:
    """Whether it is marked on the axis of time; small print of the record is in the table alone."""
    if one.kind == QUALITY:
        return one.is_warning
    return one.kind != EVENT or one.is_warning or one.t1 > one.t0


def span_of(one: Happening) -> Span:
    """What happened, as a stretch of a plot."""
    if one.kind == PHASE:
        return Span(one.t0, one.t1, one.text.removeprefix("Phase "), Tone.PLAIN)
    if one.tone is Tone.PLAIN:
        return Span(one.t0, one.t1, one.text, Tone.MUTED)
    return Span(one.t0, one.t1, one.text, one.tone)


def tip_of(row: Happening) -> str:
    """All that a row says."""
    took = f", {rough_duration(row.t1 - row.t0)}" if row.t1 - row.t0 >= 1.0 else ""
    channel = f"\n{row.channel}; of a long channel to the next {BIN} samples" if row.channel else ""
    return f"{row.text}\n{row.moment or row.clock}{took}{channel}"
