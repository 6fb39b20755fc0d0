"""The rig checks of one station: whether the latest holds, all of them, and how each result wanders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bench.rig_chart import RigChart
from gui.presenters.background import Cancel, nothing
from gui.presenters.context import Context
from gui.presenters.numbers import digits_of, significant, with_unit
from gui.presenters.rig_checks import CheckRow, RigState, read_rig_checks, rig_files
from gui.presenters.tone import Tone
from protocols.analysis.rig.chart import LEAST


@dataclass(frozen=True, slots=True)
class ChartRow:
    """One result over all rig checks, as a row."""

    chart: RigChart
    name: str
    count: str
    latest: str
    limits: str
    remark: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Course:
    """What is drawn of a result.

    Attributes
    ----------
    t : s of the epoch of each rig check.
    values : what it measured.
    signals : places of the values that break a rule.
    centre : mean of the first values; None for too few.
    limits : label and value of the control limits.
    digits : after the point.
    """

    name: str
    unit: str
    t: tuple[float, ...]
    values: tuple[float, ...]
    signals: tuple[int, ...]
    centre: float | None
    limits: tuple[tuple[str, float], ...]
    digits: int


RULES = (
    "Out of control is: one value beyond three standard deviations; two of three beyond two; four of five beyond one; "
    "eight in a row on one side of the mean. Mean and standard deviation are those of the first twenty rig checks."
)
"""The rules of the chart, see `protocols.analysis.rig.chart`."""


class RigView(Protocol):
    """What the presenter asks of the page."""

    def show_rig(self) -> None:
        """Show what the presenter says."""


class StationRig:
    """The rig checks of the station that is looked at.

    Attributes
    ----------
    state : None before it is known.
    rows : the charts, what is out of control first.
    chosen : the result that is drawn.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state: RigState | None = None
        self.rows: tuple[ChartRow, ...] = ()
        self.chosen = ""
        self._name = ""
        self._seen: object = None
        self._wanted: tuple[str, object] = ("", None)
        self._is_looking = False
        self._cancel: Cancel = nothing
        self._view: RigView | None = None

    def attach(self, view: RigView) -> None:
        """Have a panel."""
        self._view = view

    def look(self, name: str, changed: object = None) -> None:
        """Read the rig checks of a station, named as a request does, unless nothing has changed."""
        if name != self._name:
            self._cancel()
            self._name, self.state, self.rows, self.chosen, self._seen = name, None, (), "", None
            self._show()
        self._wanted = (name, changed)
        if self._is_looking:
            return
        self._is_looking, asked, folder = True, self._wanted, self.context.folder
        self.context.background.aside(
            lambda: rig_files(folder),
            lambda files: self._listed(asked, files),
            lambda said: self._not_listed(asked, said),
        )

    def _not_listed(self, asked: tuple[str, object], sentence: str) -> None:
        self._is_looking = False
        if asked != self._wanted:
            self.look(*self._wanted)  # of the other station nothing is wanted any more
            return
        self._failed(asked[0], sentence)

    def _listed(self, asked: tuple[str, object], files: object) -> None:
        self._is_looking = False
        if asked != self._wanted:
            self.look(*self._wanted)
            return
        name, seen = asked[0], (*asked, files)
        if seen == self._seen:
            return
        self._seen = seen
        arguments = (str(self.context.folder), (name,), True)
        self._cancel()
        self._cancel = self.context.background.apart(
            read_rig_checks, arguments, lambda found: self._heard(name, found), lambda said: self._failed(name, said)
        )

    def choose(self, name: str) -> None:
        """Draw another result."""
        if name != self.chosen:
            self.chosen = name
            self._show()

    def open(self, row: CheckRow) -> None:
        """Review a rig check."""
        self.context.open(Path(row.path))

    @property
    def says(self) -> tuple[str, Tone]:
        """Whether a run may rely on the latest rig check, as a sentence."""
        if self.state is None:
            return "", Tone.MUTED
        word, tone = self.state.says(datetime.now(UTC))
        demanded = "" if self.state.demanded or self.state.reference is None else " (this station does not demand one)"
        return f"Rig check: {word}{demanded}", tone

    def validity(self, row: CheckRow) -> tuple[str, Tone]:
        """Of one rig check."""
        if self.state is None:
            return "", Tone.MUTED
        return row.validity(row == self.state.latest, self.state, datetime.now(UTC))

    @property
    def checks(self) -> tuple[CheckRow, ...]:
        """All rig checks, the latest first."""
        return () if self.state is None else self.state.rows

    @property
    def course(self) -> Course | None:
        """The result that is drawn."""
        found = next((row.chart for row in self.rows if row.chart.check == self.chosen), None)
        return None if found is None else course_of(found)

    @property
    def rules(self) -> str:
        """What is told of the chosen result."""
        found = next((row for row in self.rows if row.chart.check == self.chosen), None)
        if found is None:
            return "" if self.state is None else "No rig check of this station is in the folder of the runs."
        if found.chart.chart is None:
            return f"Limits are drawn from {LEAST} rig checks on; so far there are {found.count}."
        return found.remark or "Nothing is out of control."

    def _heard(self, name: str, found: dict[str, RigState]) -> None:
        if name != self._name:
            return
        self.state = found.get(name, RigState(name))
        made = [self._row(chart) for chart in self.state.charts]
        order = (Tone.FAIL, Tone.WARN)
        self.rows = tuple(sorted(made, key=lambda row: order.index(row.tone) if row.tone in order else len(order)))
        if self.chosen not in {row.chart.check for row in self.rows}:
            self.chosen = self.rows[0].chart.check if self.rows else ""
        self._show()

    def _failed(self, name: str, sentence: str) -> None:
        self._seen = None
        self.context.notify(f"The rig checks of {name} cannot be read: {sentence}", Tone.WARN)

    def _row(self, one: RigChart) -> ChartRow:
        numbers, drawn = self.context.numbers, course_of(one)
        latest = with_unit(numbers.number(one.values[-1], drawn.digits), one.unit)
        limits = "too few"
        if one.chart is not None:
            limits = " to ".join(numbers.number(value, drawn.digits) for value in one.chart.limits)
        tone = Tone.WARN if one.latest_is_out else Tone.PLAIN
        return ChartRow(one, spoken(one.check), str(len(one.values)), latest, limits, one.remark, tone)

    def _show(self) -> None:
        if self._view is not None:
            self._view.show_rig()


def course_of(one: RigChart) -> Course:
    """A chart as it is drawn."""
    t = tuple(datetime.fromisoformat(begun).timestamp() for begun in one.begun)
    chart = one.chart
    if chart is None:
        return Course(spoken(one.check), one.unit, t, one.values, (), None, (), significant(one.values[-1]))
    low, high = chart.limits
    limits = (("+3 s", high), ("−3 s", low))
    digits = digits_of(chart.sigma) if chart.sigma > 0.0 else significant(one.values[-1])
    signals = tuple(signal.at for signal in chart.signals)
    return Course(spoken(one.check), one.unit, t, one.values, signals, chart.centre, limits, digits)


def spoken(check: str) -> str:
    """The name of a result as a person reads it."""
    return check.replace("-", " ").replace("_", " ").capitalize()
