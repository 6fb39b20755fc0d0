"""What leaves a pump that was told to stand: by the balance, and by a second witness, since one draft looks like flow.

The second is the flow sensor, or the pressure behind the valve once it has closed: it rises where a pump runs on.

Units: uL/h.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from data.checks import Check, Limits, Verdict
from protocols.analysis import suitability
from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.decision import DecisionRule, result
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.case import AIR_DENSITY, STOPPED_AGREES, unmeasured
from protocols.analysis.occlusion.fitness import LARGEST_SWEPT_UL
from protocols.analysis.occlusion.line import ClosedLine
from protocols.analysis.occlusion.record import HOUR_S, LEAST_READINGS, OcclusionRecord
from protocols.analysis.witness import ZERO_WANDERS

STANDING_SHARE = 0.5
"""A pump that was stopped may leave this share of its slowest rate: its last stroke relaxes."""

NAME, TITLE = "stopped-flow", "Flow of the stopped pump"

CLEAR_BY_U = DecisionRule(r_max=None)
"""Clear of the limit by U on either side, whatever U is; what is not is too short a record."""

MEDIAN = math.sqrt(math.pi / 2.0)
"""Standard deviation of a median over that of a mean; a draft in less than half of the readings hardly moves it."""

EDGE_S = 30.0
"""Pressures at the ends of the record after the step are means over this."""

GAIN_SHARE = 0.05
"""Relative standard uncertainty of a flow sensor's gain, as makers state it for other fluids."""

ASSUMED_SHARE = 0.2
"""The same of the compliance that a line is expected to have, where no metered step tells it."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to tell the flow."""

    name: str
    flow: float
    components: tuple[Component, ...]

    @property
    def budget(self) -> Budget:
        """Of the flow."""
        return Budget(NAME, "uL/h", self.components)

    def says(self, most: float) -> Literal["runs", "stands", "unsure"]:
        """Whether the flow is beyond a limit, or within it, by U."""
        if self.flow - self.budget.expanded > most:
            return "runs"
        return "stands" if self.flow + self.budget.expanded <= most else "unsure"

    def __str__(self) -> str:
        return f"{self.name} {self.flow:.3g} +- {self.budget.expanded:.2g} uL/h"


def stopped_flow(record: OcclusionRecord, line: ClosedLine | None) -> Iterator[Check]:
    """The check "stopped-flow", and the suitability checks that it stands on; none without a metered step.

    Parameters
    ----------
    line : by the metered step; None where there is none that the record shows.
    """
    if "metered-before" not in record.phases:
        return
    try:
        balance = _by_balance(record, line)
    except RecordError as error:
        yield unmeasured(NAME, TITLE, "uL/h", str(error))
        return
    others = [way for way in (_by_sensor(record), _by_pressure(record, line)) if way is not None]
    most = STANDING_SHARE * min(record.rates_ul_per_h)
    if others:
        yield _agree(balance, others, most)
    if balance.says(most) == "runs":
        yield _quiet(record, balance)
    yield _judged(balance, others, most)


def _judged(balance: Way, others: Sequence[Way], most: float) -> Check:
    """A pump runs on where the balance and another way say so, and stands where one says so and none gainsays it."""
    ways = (balance, *others)
    said = [way.says(most) for way in ways]
    shown = balance
    if said[0] == "runs":
        verdict = Verdict.FAIL if "runs" in said[1:] else Verdict.NOT_MEASURED
        text = "the pump delivers although it was stopped" if verdict is Verdict.FAIL else "nothing else tells of it"
    elif "stands" in said and "runs" not in said:
        shown, verdict, text = ways[said.index("stands")], Verdict.PASS, ""
    else:
        verdict, text = Verdict.NOT_MEASURED, "the record is too short to tell"
    if "runs" in said and "stands" in said:
        verdict, text = Verdict.NOT_MEASURED, f"see {STOPPED_AGREES}"
    note = "; ".join(filter(None, (text, ", ".join(str(way) for way in ways if way is not shown or text))))
    stands_on, limits = ("rig-check", STOPPED_AGREES, AIR_DENSITY, "balance-quiet"), Limits(None, most, "protocol")
    check = result(NAME, TITLE, shown.flow, shown.budget, limits, depends_on=stands_on, note=note, rule=CLEAR_BY_U)
    return replace(check, verdict=verdict)


def _agree(balance: Way, others: Sequence[Way], most: float) -> Check:
    """Whether one way sees a pump that runs on where another sees one that stands: then the rig is at fault."""
    ways = (balance, *others)
    said = {way.name: way.says(most) for way in ways}
    parted = "runs" in said.values() and "stands" in said.values()
    note = ", ".join(str(way) for way in ways)
    if parted:
        running = ", ".join(name for name, word in said.items() if word == "runs")
        note = f"by {running} alone the stopped pump delivers: a draft, a drop, the meniscus, or the valve; {note}"
    title = "Ways that disagree whether the stopped pump delivers"
    return suitability.judged(STOPPED_AGREES, title, "1", float(parted), 0.0, Limits(None, 0.0, "protocol"), note)


def _quiet(record: OcclusionRecord, balance: Way) -> Check:
    """Drafts and knocks in the balance's record, by which it may show a flow."""
    from_s, to_s = _weighed(record)
    rows = slice(*np.searchsorted(record.collected.t_s, [from_s, to_s]))
    part = (record.collected.t_s[rows], record.collected.mass_mg[rows])
    flow_mg_per_s = balance.flow / record.collected.ul_per_mg / HOUR_S
    return suitability.balance_quiet([part], flow_mg_per_s, record.noise.reading_mg)


def _weighed(record: OcclusionRecord) -> tuple[float, float]:
    """When the stopped pump was weighed: after the metered step where the rates are slow, else before it."""
    return record.phases.get("standing", record.phases["metered-before"])


def _by_balance(record: OcclusionRecord, line: ClosedLine | None) -> Way:
    """Median of the last third less that of the first, with the line open; raises RecordError."""
    from_s, to_s = _weighed(record)
    third_s = (to_s - from_s) / 3.0
    hours = 2.0 * third_s / HOUR_S
    levels = [_median_mg(record, begin_s, begin_s + third_s) for begin_s in (from_s, to_s - third_s)]
    per_mg, noise = record.collected.ul_per_mg, record.noise
    loss, u_loss = record.loss_mg_per_h
    swelled, u_swelled = record.warming_ul(from_s, to_s)
    middles_s = np.array([0.0, 2.0 * third_s])
    parts = dict(noise.parts_mg(middles_s, np.zeros(2), np.array([-1.0, 1.0]), np.full(2, third_s)))
    components = (
        Component("readings", MEDIAN * parts["readings"] / hours * per_mg),
        # From one end of its force to the other: what lets go does not begin in the middle.
        Component("meniscus", 2.0 * noise.meniscus_mg / hours * per_mg),
        Component("zero walk", parts["zero walk"] / hours * per_mg),
        Component("evaporation and drift", u_loss * per_mg),
        Component("warming of the line", u_swelled / hours),
        bounded("creep of the line", _given_back_ul(record, line) / hours),
    )
    flow = ((levels[1] - levels[0]) / hours + loss) * per_mg - swelled / hours
    return Way("balance", flow, components)


def _given_back_ul(record: OcclusionRecord, line: ClosedLine | None) -> float:
    """What the tubing still gives back of the metered step when the stopped pump is weighed after it, at most."""
    hold, standing = record.phases.get("metered-hold"), record.phases.get("standing")
    if line is None or not line.creep_ul_per_kpa or hold is None or standing is None:
        return 0.0
    left = math.exp(-(standing[0] - hold[1]) / line.creep_s)
    return line.creep_ul_per_kpa * record.mean_kpa(*hold) * left


def _median_mg(record: OcclusionRecord, from_s: float, to_s: float) -> float:
    """Median of the corrected indication over a stretch."""
    rows = slice(*np.searchsorted(record.collected.t_s, [from_s, to_s]))
    values = record.collected.mass_mg[rows]
    if values.size < LEAST_READINGS:
        raise RecordError(f"the balance gave {values.size} good readings from {from_s:.0f} s to {to_s:.0f} s")
    return float(np.median(values))


def _by_sensor(record: OcclusionRecord) -> Way | None:
    """The flow sensor while the pump was weighed less what it shows behind the closed valve."""
    closed = [record.phases[name] for name in ("metered-closed", "metered-hold") if name in record.phases]
    if not record.run.has("flow") or not closed:
        return None
    flow = record.run.corrected("flow").good()
    weighed, still = (
        flow.within(*_weighed(record)).values,
        np.concatenate([flow.within(*span).values for span in closed]),
    )
    if min(weighed.size, still.size) < LEAST_READINGS:
        return None
    seen = math.fsum(weighed.tolist()) / weighed.size - math.fsum(still.tolist()) / still.size
    u_zero = ZERO_WANDERS * float(record.run.calibration("flow").get("u", 0.0))
    parts = (Component("wander of the zero", u_zero), Component("gain of the sensor", GAIN_SHARE * abs(seen)))
    return Way("flow sensor", seen, parts)


def _by_pressure(record: OcclusionRecord, line: ClosedLine | None) -> Way | None:
    """Compliance times the rise behind the closed valve; of several parts of the record the one that says most.

    Without a metered step nobody knows whether the valve closes: a pressure that does not rise says nothing then.
    """
    closed, hold = record.phases.get("metered-closed"), record.phases.get("metered-hold")
    if closed is None:
        return None
    compliance, share = float(record.run.params["line_ul_per_kpa"]), ASSUMED_SHARE
    if line is not None:
        compliance, share = line.ul_per_kpa, line.u_ul_per_kpa / line.ul_per_kpa
    third_s = (closed[1] - closed[0]) / 3.0
    ends = [((closed[0] + record.guard_s, closed[0] + third_s), (closed[1] - third_s, closed[1]))]
    if hold is not None:
        # The first half is the creep's.  Creep and leak take away from a rise, so this one is at least the flow.
        middle_s = (hold[0] + hold[1]) / 2.0
        ends.append(((middle_s, middle_s + EDGE_S), (hold[1] - record.guard_s - EDGE_S, hold[1] - record.guard_s)))
    try:
        found = [_rising(record, compliance, share, *pair) for pair in ends]
        found += _at_once(record, compliance, closed)
    except RecordError:
        return None
    most = STANDING_SHARE * min(record.rates_ul_per_h)
    surest = max(found, key=lambda way: way.flow - way.budget.expanded)
    if surest.says(most) == "runs":
        return surest
    return max(found, key=lambda way: way.flow + way.budget.expanded) if line is not None else None


def _rising(
    record: OcclusionRecord, compliance: float, share: float, first: tuple[float, float], last: tuple[float, float]
) -> Way:
    """Compliance times the rise from one stretch to another; raises RecordError."""
    middles = [(begin_s + end_s) / 2.0 for begin_s, end_s in (first, last)]
    hours = (middles[1] - middles[0]) / HOUR_S
    rise = record.mean_kpa(*last) - record.mean_kpa(*first)
    swelled, u_swelled = record.warming_ul(middles[0], middles[1])
    flow = (compliance * rise - swelled) / hours
    return Way("pressure", flow, _pressure_parts(record, compliance, share, flow, hours, u_swelled))


def _at_once(record: OcclusionRecord, compliance: float, closed: tuple[float, float]) -> list[Way]:
    """What came soonest after the closing, beyond what a valve may sweep: a free flow is over with the pressure up."""
    before = record.phases["metered-before"]
    base = record.mean_kpa(max(before[0], before[1] - EDGE_S), before[1])
    t_s, pressure = record.pressure(closed[0] + record.guard_s, closed[1])
    if not t_s.size:
        return []
    since_h = (t_s - closed[0]) / HOUR_S
    pushed = (compliance * (pressure - base) - LARGEST_SWEPT_UL) / since_h
    k = int(np.argmax(pushed))
    if pushed[k] <= 0.0:
        return []
    flow, hours = float(pushed[k]), float(since_h[k])
    return [Way("pressure", flow, _pressure_parts(record, compliance, ASSUMED_SHARE, flow, hours, 0.0))]


def _pressure_parts(
    record: OcclusionRecord, compliance: float, share: float, flow: float, hours: float, u_swelled: float
) -> tuple[Component, ...]:
    return (
        # A transducer with play does not show a small step.
        Component("play and zero of the transducer", compliance * record.u_kpa(0.0) / hours),
        Component("compliance", share * abs(flow)),
        Component("warming of the line", u_swelled / hours),
    )
