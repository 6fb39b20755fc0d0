"""Which curves of a run belong in which plot, by what the procedure measures; and the curves that are worked out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from data.checks import Curve
from data.samples import FloatArray
from gui.plots.pyramid import Pyramid
from gui.presenters.derived import Delivered, Handled, Programmed, SlopeFlow, Source, ul_per_mg
from gui.presenters.instrument_rows import out_of_date
from gui.presenters.limits import Interlocks
from gui.presenters.live import Change, Live, Trace
from gui.presenters.numbers import Numbers
from gui.presenters.tone import Tone

FLOW, VOLUME, PRESSURE, FORCE, SYRINGE = "flow", "volume", "pressure", "force", "syringe"
TEMPERATURE, MASS, DEPTH, RESULT = "temperature", "mass", "depth", "result"
CHANNEL = "channel"
"""A plot that a person gave to a channel of a unit that no other plot has."""

TITLES = {
    FLOW: "Flow",
    VOLUME: "Delivered volume",
    PRESSURE: "Pressure",
    FORCE: "Force",
    SYRINGE: "Syringe",
    TEMPERATURE: "Temperature",
    MASS: "Mass",
    DEPTH: "Depth",
    RESULT: "Trumpet curve",
}
UNITS = {
    FLOW: "uL/h",
    VOLUME: "uL",
    PRESSURE: "kPa",
    FORCE: "N",
    SYRINGE: "uL",
    TEMPERATURE: "degC",
    MASS: "mg",
    DEPTH: "mm",
    RESULT: "%",
}
ORDERS: dict[str, tuple[str, ...]] = {
    "flow-accuracy": (FLOW, PRESSURE, VOLUME, RESULT),
    "bolus-accuracy": (FLOW, VOLUME, PRESSURE, TEMPERATURE),
    "rate-step": (FLOW, VOLUME, PRESSURE, TEMPERATURE),
    "occlusion": (PRESSURE, FLOW, VOLUME, SYRINGE),
    "refill-port": (FORCE, PRESSURE, SYRINGE, VOLUME),
    "catheter": (PRESSURE, SYRINGE, FLOW, TEMPERATURE),
    "environment": (FLOW, TEMPERATURE, PRESSURE, VOLUME),
    "rig-check": (MASS, PRESSURE, FLOW, TEMPERATURE),
    "calibration": (PRESSURE, MASS, TEMPERATURE, FLOW),
}
"""What is looked at first; of any other protocol the usual order."""

USUAL = (FLOW, PRESSURE, VOLUME, TEMPERATURE, FORCE, SYRINGE, MASS, DEPTH)
LARGE = {"occlusion", "catheter"}
"""Whose first plot is the one that matters, and has a row to itself."""

SHOWN, SHOWN_BELOW_LARGE = 4, 2

WINDOWS_S = (20.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0)
"""Over which the slope of the mass can be taken."""

BRIDGED = ", bridged"
"""Beside a volume that goes on, where the balance was handled, with what was programmed meanwhile."""

ENOUGH_UL = 3.0
"""A window in which so much is delivered shows the flow well above the noise of a balance."""


@dataclass(frozen=True)
class CurveSpec:
    """A curve of a plot.

    Attributes
    ----------
    key : of the plots' own, or the name of a channel.
    points : where its samples are; None for a curve that is given whole by `LivePlots.line`.
    expected : drawn as what is programmed.
    provisional : worked out while the run goes on.
    """

    key: str
    label: str
    unit: str
    points: Pyramid | None = None
    expected: bool = False
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class LimitLine:
    """A limit of a plot: of an interlock, or where a phase ends."""

    value: float
    label: str


@dataclass
class PlotSpec:
    """A plot: what it is about and which of its curves a person wants to see."""

    kind: str
    title: str
    unit: str
    curves: list[CurveSpec] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    limits: list[LimitLine] = field(default_factory=list)

    @property
    def main(self) -> str:
        """Whose last value is shown large: what is worked out from the balance, else the first."""
        keys = [curve.key for curve in self.visible() if not curve.expected]
        return "slope" if "slope" in keys else keys[0] if keys else ""

    def visible(self) -> list[CurveSpec]:
        """The curves that are drawn."""
        return [curve for curve in self.curves if curve.key not in self.hidden]


class LivePlots:
    """The plots of the run that is watched.

    Attributes
    ----------
    plots : at most four.
    generation : goes up whenever plots, their curves or their limits are others than before.
    window_s : over which the slope of the mass is taken.
    shows_difference : the plot of the volume shows what is beyond the programmed volume instead.
    trumpet : the curve of the provisional evaluation, or of the run file; None before there is one.
    is_judged : whether that is all there will be: the run file has been judged.
    """

    def __init__(self, live: Live, interlocks: Interlocks, numbers: Numbers) -> None:
        self._live = live
        self._interlocks = interlocks
        self._numbers = numbers
        self.window_s = WINDOWS_S[2]
        self.shows_difference = False
        self.generation = 0
        self._forget()
        if live.traces:
            self._choose()
        live.listen(self._heard)

    def _forget(self) -> None:
        self.plots: list[PlotSpec] = []
        self.trumpet: Curve | None = None
        self.is_judged = False
        self.programmed = Programmed()
        self.flow: SlopeFlow | None = None
        self.delivered: Delivered | None = None
        self._handled: Handled | None = None
        self._added: list[tuple[int, str]] = []
        self.generation += 1

    @property
    def is_large(self) -> bool:
        """Whether the first plot has a row to itself."""
        return self._live.plan is not None and self._live.plan.procedure in LARGE

    def _heard(self, changes: frozenset[Change]) -> None:
        if "run" in changes:
            self._forget()
        if "streams" in changes and self._live.plan is not None:
            self._choose()

    def why_no_trumpet(self) -> str:
        """What is to be read in the place of the trumpet curve."""
        if self.is_judged:
            return "The run ended before the analysis was long enough for a window."
        return "It forms as soon as the analysis is long enough for a window, and is provisional until the end."

    # -- what is there

    def _choose(self) -> None:
        """Choose plots and curves anew: there are channels that were not there before."""
        plan = self._live.plan
        assert plan is not None
        if self._mass() is not None and self.flow is None:
            self.window_s = self._usual_window_s()
            self._derive()
        wanted = ORDERS.get(plan.procedure, USUAL)
        kinds = [kind for kind in dict.fromkeys((*wanted, *USUAL)) if kind == RESULT or self._curves(kind)]
        kept = {plot.kind: plot.hidden for plot in self.plots}
        self.plots = [
            PlotSpec(kind, self._title(kind), UNITS[kind], self._curves(kind), kept.get(kind, set()))
            for kind in kinds
            if kind != RESULT or RESULT in wanted
        ][: 1 + SHOWN_BELOW_LARGE if self.is_large else SHOWN]
        for plot in self.plots:
            plot.limits = list(self._limits(plot))
        for at, name in self._added:
            self._put(at, name)
        self.generation += 1

    def _title(self, kind: str) -> str:
        return "Beyond the programmed volume" if kind == VOLUME and self.shows_difference else TITLES[kind]

    def _mass(self) -> Trace | None:
        trace = self._live.of_role("reference_mass")
        return trace if trace is not None and trace.unit == "mg" else None

    def _curves(self, kind: str) -> list[CurveSpec]:
        """The curves of a kind of plot, those of roles first."""
        traces = sorted(self._live.traces.values(), key=lambda trace: not trace.roles)
        fit = [trace for trace in traces if trace.unit == UNITS[kind] and _belongs(kind, trace)]
        own = [_spec(trace, kind) for trace in fit if trace.roles or not fit[0].roles]
        if kind == FLOW:
            if self.flow is not None:
                # the first curve is drawn above the others: a sensor's pulsation would hide the mean
                own.insert(0, CurveSpec("slope", "balance", "uL/h", self.flow.points, provisional=True))
            return [*own, CurveSpec("programmed", "programmed", "uL/h", expected=True)] if own else []
        if kind == VOLUME:
            return self._volumes()
        return [] if kind == RESULT else own

    def _volumes(self) -> list[CurveSpec]:
        if self.delivered is None or not self._delivers():
            return []
        bridged = BRIDGED if self.delivered.is_bridged else ""
        if self.shows_difference:
            points = self.delivered.difference
            return [CurveSpec("beyond", f"balance less programmed{bridged}", "uL", points, provisional=True)]
        return [
            CurveSpec("delivered", f"balance{bridged}", "uL", self.delivered.volume, provisional=True),
            CurveSpec("expected", "programmed", "uL", expected=True),
        ]

    def is_known(self, spec: PlotSpec) -> bool:
        """Whether the value that a plot shows large is of now, or of where the record is read."""
        trace = self._live.traces.get(spec.main) or self._live.of_role("reference_mass")
        old = None if trace is None else out_of_date(self._live, trace)
        return old is None or old[1] is Tone.MUTED

    def _delivers(self) -> bool:
        plan = self._live.plan
        return plan is not None and any(step.get("step") == "StartDelivery" for step in plan.steps)

    def _limits(self, plot: PlotSpec) -> Iterator[LimitLine]:
        shown = [self._live.traces[curve.key] for curve in plot.curves if curve.key in self._live.traces]
        for trace in shown:
            for one in self._interlocks.on(trace):
                for value in (one.low, one.high):
                    if value is not None:
                        yield LimitLine(value, one.name)
        plan = self._live.plan
        assert plan is not None
        seen: set[float] = set()
        for step in plan.steps:
            until = step.get("until")
            if until and not until.get("relative_to") and self._live.of_role(until["role"]) in shown:
                value = float(until["value"])
                if value not in seen:
                    seen.add(value)
                    yield LimitLine(value, f"ends {step['name']}")

    # -- what is worked out

    def _usual_window_s(self) -> float:
        """The shortest window in which enough is delivered."""
        plan = self._live.plan
        assert plan is not None
        rate = 0.0 if plan.schedule is None else plan.schedule.rate_ul_per_h(1.0)
        return next((window for window in WINDOWS_S[1:] if rate * window / 3600.0 >= ENOUGH_UL), WINDOWS_S[2])

    def _derive(self) -> None:
        """Work everything out from the first sample."""
        mass, plan = self._mass(), self._live.plan
        assert mass is not None
        assert plan is not None
        factor = ul_per_mg(plan.fluid)
        if self._handled is None:
            self._handled = Handled(mass.name)
        self.flow = SlopeFlow(Source(mass, self._handled), self.window_s, factor)
        self.delivered = Delivered(Source(mass, self._handled), self.programmed, factor)

    def update(self) -> None:
        """Work out what is new; to be called before the plots are drawn."""
        if self.flow is None or self.delivered is None:
            return
        assert self._handled is not None
        was_bridged = self.delivered.is_bridged
        is_other = self.programmed.update(self._live) and self.programmed.begins_s is not None
        if is_handled := self._handled.update(self._live):
            self._derive()
        elif is_other:
            self.delivered = Delivered(self.delivered.source.anew(), self.programmed, self.delivered.ul_per_mg)
        self.flow.update()
        self.delivered.update()
        if is_handled or is_other or self.delivered.is_bridged != was_bridged:
            self._renew()

    def _renew(self) -> None:
        """The same plots with the curves that are there now."""
        for plot in self.plots:
            if plot.kind == CHANNEL:  # nothing in it is worked out
                continue
            added = [curve for curve in plot.curves if curve.key in self._live.traces]
            plot.title = self._title(plot.kind)
            plot.curves = self._curves(plot.kind)
            known = {curve.key for curve in plot.curves}
            plot.curves += [curve for curve in added if curve.key not in known]
        self.generation += 1

    def line(self, curve: CurveSpec, until_s: float) -> tuple[FloatArray, FloatArray]:
        """Points of a curve of what is programmed, up to a moment."""
        if curve.key == "programmed":
            return self.programmed.rate(until_s)
        if curve.key == "expected":
            return self.programmed.volume(until_s)
        return np.empty(0), np.empty(0)

    # -- what a person wants

    def take_window(self, window_s: float) -> None:
        """Take the slope over another window."""
        self.window_s = window_s
        if self.flow is not None:
            self.flow = SlopeFlow(self.flow.source.anew(), window_s, self.flow.ul_per_mg)
            self._renew()

    def show_difference(self, shown: bool) -> None:
        """Show what is beyond the programmed volume, or the volume itself."""
        self.shows_difference = shown
        self._renew()

    def show_curve(self, at: int, key: str, shown: bool) -> None:
        """Show or hide a curve of a plot; a channel that it does not have yet is added."""
        plot = self.plots[at]
        if shown:
            plot.hidden.discard(key)
            if key not in {curve.key for curve in plot.curves}:
                self._added.append((at, key))
                self._put(at, key)
        else:
            plot.hidden.add(key)
        self.generation += 1

    def add(self, name: str) -> int:
        """Show a channel, in the plot of its unit, else in the last one; returns which."""
        trace = self._live.traces.get(name)
        if trace is None or not self.plots:
            return -1
        last = len(self.plots) - 1
        at = next((at for at, plot in enumerate(self.plots) if plot.unit == trace.unit and plot.kind != RESULT), last)
        self.show_curve(at, name, True)
        return at

    def choices(self, at: int) -> list[tuple[str, str, bool]]:
        """Key, label and whether it is shown: the plot's own curves, then every other channel of its unit."""
        plot = self.plots[at]
        shown = {curve.key for curve in plot.visible()}
        found = [(curve.key, curve.label, curve.key in shown) for curve in plot.curves]
        known = {curve.key for curve in plot.curves}
        others = [trace for trace in self._live.traces.values() if trace.unit == plot.unit and trace.name not in known]
        return found + [(trace.name, _label(trace, plot.kind), False) for trace in others]

    def others(self, at: int) -> list[tuple[str, str]]:
        """Kinds that a plot could be about instead, and their titles."""
        kinds = [kind for kind in dict.fromkeys((*USUAL, RESULT)) if kind == RESULT or self._curves(kind)]
        taken = {plot.kind for plot in self.plots}
        return [(kind, TITLES[kind]) for kind in kinds if kind not in taken]

    def replace(self, at: int, kind: str) -> None:
        """Let a plot be about something else."""
        plot = PlotSpec(kind, self._title(kind), UNITS[kind], self._curves(kind))
        plot.limits = list(self._limits(plot))
        self.plots[at] = plot
        self._added = [one for one in self._added if one[0] != at]
        self.generation += 1

    def _put(self, at: int, name: str) -> None:
        """Add a channel to a plot; one of another unit takes the plot over."""
        trace = self._live.traces.get(name)
        if trace is None or at >= len(self.plots):
            return
        plot = self.plots[at]
        if plot.unit != trace.unit:
            plot = self.plots[at] = PlotSpec(CHANNEL, trace.label.capitalize(), trace.unit)
        plot.curves.append(_spec(trace, plot.kind))
        plot.limits = list(self._limits(plot))


def window_text(window_s: float) -> str:
    """A window as it is called in the legend."""
    if window_s < 60.0:
        return f"{window_s:g} s"
    return f"{window_s / 60.0:g} min" if window_s < 3600.0 else f"{window_s / 3600.0:g} h"


def _spec(trace: Trace, kind: str = "") -> CurveSpec:
    """The curve of a channel; what the plot is called need not be said again."""
    return CurveSpec(trace.name, "sensor" if trace.label == kind else _label(trace, kind), trace.unit, trace.points)


def _label(trace: Trace, kind: str) -> str:
    """What a channel is called; one without a role by its own name, and its instrument's where that says little."""
    if trace.roles:
        return trace.label.removesuffix(f" {kind}")
    channel = trace.name.partition(".")[2].replace("_", " ")
    return f"{trace.instrument} {channel}" if channel in UNITS else channel.removesuffix(f" {kind}")


def _belongs(kind: str, trace: Trace) -> bool:
    """Whether a plot of this kind shows a channel without being asked."""
    if kind == PRESSURE:
        return trace.reference != "absolute"
    if kind == SYRINGE:
        return trace.name.partition(".")[2] in ("infused", "withdrawn")
    if kind in (TEMPERATURE, MASS, FLOW):
        return bool(trace.roles)
    return True


def trumpet_of(curves: Sequence[Curve]) -> Curve | None:
    """The trumpet curve of an evaluation, if it has one with points."""
    return next((curve for curve in curves if curve.name == "trumpet" and len(curve.x.values)), None)
