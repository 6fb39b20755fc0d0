"""Runs side by side: their checks with differences, their curves over each other, what else is not the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QTabWidget, QVBoxLayout, QWidget

from data.checks import Axis, Curve
from gui.plots.curve_plot import EXPECTED, HALF_WIDTH, CurvePlot
from gui.plots.time_plot import TimePlot
from gui.plots.time_tools import TimeTools
from gui.presenters.context import Context
from gui.presenters.review_compare import CompareRow, FactRow, Overlay, compared, differences, overlaid, shifted
from gui.presenters.review_open import OpenRun, State
from gui.presenters.review_read import Review
from gui.presenters.tone import Tone
from gui.views.parts import Panel, ToneLabel, clear, muted, scrolled
from gui.views.table import Column, Table

CURVE_HEIGHT = 240
LETTERS = "ABCDEF"
CHECK_LETTERS = 24
"""Of a check's name that are always in view; with many runs the table scrolls to the side."""


class ComparisonPanel(QWidget):
    """Two or more runs; A is what the others are held against."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._runs: list[OpenRun] = []
        self._told: list[tuple[State, tuple[str, str, Tone]]] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 2, 8, 8)
        column.setSpacing(8)
        head = Panel("Comparison")
        self.state = ToneLabel()
        head.tools.addWidget(self.state)
        self._names = QVBoxLayout()
        head.body.addLayout(self._names)
        column.addWidget(head)
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("What is compared")
        self._pages = {}
        for key, title in (
            ("checks", "C&hecks"),
            ("curves", "Res&ult curves"),
            ("record", "Recordin&g"),
            ("facts", "Other &differences"),
        ):
            holder = QWidget()
            inner = QVBoxLayout(holder)
            inner.setContentsMargins(8, 8, 8, 8)
            self._pages[key] = inner
            self.tabs.addTab(scrolled(holder) if key == "curves" else holder, title)
        column.addWidget(self.tabs, 1)

    def show_runs(self, runs: Sequence[OpenRun]) -> None:
        """Show runs, as far as they have been read."""
        done = sum(run.state is not State.BUSY for run in runs)
        told = [(run.state, run.seal_says) for run in runs]
        if list(runs) == self._runs and told == self._told:
            return
        read = [state for state, _ in self._told]
        is_new = list(runs) != self._runs or read != [state for state, _ in told]
        self._runs, self._told = list(runs), told
        clear(self._names)
        for letter, run in zip(LETTERS, runs, strict=False):
            said = run.sentence if run.state is State.FAILED else named(letter, run)
            amiss = run.state is State.FAILED or run.seal_says[2] is Tone.FAIL
            self._names.addWidget(ToneLabel(said, Tone.FAIL if amiss else Tone.PLAIN))
        self.state.say("" if done == len(runs) else f"Reading {len(runs) - done} of {len(runs)} runs…", Tone.BUSY)
        self.state.setVisible(done < len(runs))
        there = [run for run in runs if run.review is not None]
        self.tabs.setVisible(done == len(runs) and len(there) > 1)
        if is_new and done == len(runs) and len(there) > 1:
            self._show([(letter, run) for letter, run in zip(LETTERS, runs, strict=False) if run.review is not None])

    def _show(self, runs: Sequence[tuple[str, OpenRun]]) -> None:
        letters = [letter for letter, _ in runs]
        reviews = [run.review for _, run in runs if run.review is not None]
        for page in self._pages.values():
            clear(page)
        self._show_checks(letters, reviews)
        self._show_curves(letters, reviews)
        self._pages["record"].addWidget(RecordOverlay(self._context, runs))
        self._show_facts(letters, reviews)

    def _show_checks(self, letters: Sequence[str], reviews: Sequence[Review]) -> None:
        columns = [Column[CompareRow]("Check", lambda row: row.title, stretch=True, least=CHECK_LETTERS)]
        for at, letter in enumerate(letters):
            columns.append(Column(f"{letter}: value ± U", _cell_text(at), number=True))
            columns.append(Column(f"{letter}: verdict", _cell_verdict(at), _cell_tone(at)))
        for at, letter in enumerate(letters[1:]):
            columns.append(Column(f"{letter} − {letters[0]}", _difference(at), number=True))
            columns.append(Column("Agreement", _agreement(at), _agreement_tone(at)))
        self.checks: Table[CompareRow] = Table("Checks of the runs side by side", columns)
        self.checks.show_rows(compared(reviews, self._context.numbers))
        self._pages["checks"].addWidget(self.checks)
        self._pages["checks"].addWidget(
            muted("En = |difference| / √(U₁² + U₂²); above 1 the results differ. What the runs share makes it smaller.")
        )

    def _show_curves(self, letters: Sequence[str], reviews: Sequence[Review]) -> None:
        overlays = [
            one for one in overlaid(reviews, letters) if one.curves[0][1].y[0].name not in (*EXPECTED, HALF_WIDTH)
        ]
        self.overlays: list[CurvePlot] = []
        for overlay in overlays:
            plot = CurvePlot(self._context)
            plot.show_curve(together(overlay), watermark=watermark(reviews))
            plot.setMinimumHeight(CURVE_HEIGHT)
            plot.head.title.setMinimumWidth(1)
            self._pages["curves"].addWidget(plot, 1)
            self.overlays.append(plot)
        if not overlays:
            self._pages["curves"].addWidget(muted("The runs have no result curve in common."))

    def _show_facts(self, letters: Sequence[str], reviews: Sequence[Review]) -> None:
        columns = [Column[FactRow]("What", lambda row: row.what)]
        columns += [Column(letter, _fact(at), stretch=True) for at, letter in enumerate(letters)]
        columns.append(
            Column(
                "",
                lambda row: "differs" if row.differs else "same",
                lambda row: Tone.WARN if row.differs else Tone.MUTED,
            )
        )
        self.facts: Table[FactRow] = Table("What is not the same", columns)
        self.facts.show_rows(differences(reviews, self._context.numbers))
        self._pages["facts"].addWidget(self.facts)


class RecordOverlay(QWidget):
    """One channel of every run, with the start of the delivery as time zero."""

    def __init__(self, context: Context, runs: Sequence[tuple[str, OpenRun]]) -> None:
        super().__init__()
        self._runs = runs
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        self.choice = QComboBox()
        self.choice.setAccessibleName("Channel that is compared")
        for label in common_channels(runs):
            self.choice.addItem(label[:1].upper() + label[1:], label)
        self.choice.activated.connect(lambda _: self.show_channel())
        row.addWidget(self.choice)
        row.addWidget(muted("Zero is the start of the delivery, or of the run where nothing was delivered."), 1)
        column.addLayout(row)
        self._place = QVBoxLayout()
        column.addLayout(self._place, 1)
        self._context = context
        self.plot: TimePlot | None = None
        self.show_channel()

    def show_channel(self) -> None:
        """Show the channel that is chosen."""
        clear(self._place)
        label = self.choice.currentData()
        if label is None:
            self._place.addWidget(muted("The runs have no channel in common."))
            return
        self.plot = plot = TimePlot(self.choice.currentText(), unit_of(self._runs, label), self._context, tools=False)
        plot.watermark(watermark([run.review for _, run in self._runs if run.review is not None]))
        for pen, (letter, run) in enumerate(self._runs):
            assert run.review is not None
            channel = next(one for one in run.review.channels if one.label == label)
            points, zero_s = run.points(channel.name), run.review.delivery_s
            plot.curve(letter, letter, pen, shifted(points, zero_s))
            run.attach(Redraw(plot, letter))
            plot.time.has_come(points.span[0] - zero_s, points.span[1] - zero_s)
        self._place.addWidget(plot, 1)
        self._place.addWidget(TimeTools(plot, live=False))


class Redraw:
    """The view of a run of which one channel is shown in a plot of several runs."""

    def __init__(self, plot: TimePlot, key: str) -> None:
        self._plot = plot
        self._key = key

    def show_run(self) -> None:
        """Nothing: it has been read."""

    def show_proofs(self) -> None:
        """Nothing: they are not compared."""

    def show_happenings(self) -> None:
        """Nothing: they are not compared."""

    def show_points(self, channel: str) -> None:
        """Draw the run's curve again."""
        self._plot.changed(self._key)


def together(overlay: Overlay) -> Curve:
    """One curve with a column a run.

    Where the runs have other x values, each column is interpolated between its own points, for drawing alone.
    """
    x = np.unique(np.concatenate([curve.x.values for _, curve in overlay.curves]))
    columns = []
    for name, curve in overlay.curves:
        order = np.argsort(curve.x.values, kind="stable")
        own, values = curve.x.values[order], curve.y[0].values[order]
        columns.append(Axis(name, curve.y[0].unit, np.interp(x, own, values, left=np.nan, right=np.nan)))
    first = overlay.curves[0][1]
    return Curve(first.name, overlay.title, Axis(first.x.name, first.x.unit, x), tuple(columns))


def watermark(reviews: Sequence[Review]) -> str:
    """What kind of data is among them that was not measured; empty where all was."""
    return ", ".join(sorted({review.row.origin for review in reviews} - {"measured"}))


def common_channels(runs: Sequence[tuple[str, OpenRun]]) -> list[str]:
    """Labels of the channels that every run has, those with a role first."""
    first, *others = [run.review.channels for _, run in runs if run.review is not None]
    elsewhere = [{(one.label, one.unit) for one in channels} for channels in others]
    found = [one for one in first if all((one.label, one.unit) in there for there in elsewhere)]
    return [one.label for one in sorted(found, key=lambda one: not one.roles)]


def unit_of(runs: Sequence[tuple[str, OpenRun]], label: str) -> str:
    """The unit of a channel that every run has."""
    review = runs[0][1].review
    assert review is not None
    return next(one.unit for one in review.channels if one.label == label)


def named(letter: str, run: OpenRun) -> str:
    """A run in one line."""
    review = run.review
    if review is None:
        return f"{letter}  {run.path.name}"
    row = review.row
    origin = "" if row.origin == "measured" else row.origin
    seal = run.seal_says[0] if run.seal_says[2] is not Tone.GOOD else ""
    said = (run.path.name, row.procedure, row.dut, row.station, origin, row.verdict.replace("-", " "), seal)
    return f"{letter}  " + "  ·  ".join(filter(None, said))


def _cell_text(at: int) -> Callable[[CompareRow], str]:
    return lambda row: row.cells[at].text


def _cell_verdict(at: int) -> Callable[[CompareRow], str]:
    return lambda row: row.cells[at].verdict


def _cell_tone(at: int) -> Callable[[CompareRow], Tone]:
    return lambda row: row.cells[at].tone


def _difference(at: int) -> Callable[[CompareRow], str]:
    return lambda row: row.difference[at]


def _agreement(at: int) -> Callable[[CompareRow], str]:
    return lambda row: row.agreement[at]


def _agreement_tone(at: int) -> Callable[[CompareRow], Tone]:
    return lambda row: Tone.WARN if row.agreement[at].endswith("differ") else Tone.PLAIN


def _fact(at: int) -> Callable[[FactRow], str]:
    return lambda row: row.values[at]
