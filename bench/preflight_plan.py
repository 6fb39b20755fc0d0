"""What a plan asks for that the pump's or the station's own file rules out: it would break off in the middle."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from bench.findings import Finding
from bench.needed import capability
from bench.station import OpenStation
from data import schedule_ranges
from protocols.interlock import Interlock
from protocols.steps import (
    Condition,
    Phase,
    Program,
    RequestBolus,
    SetPressure,
    SetReservoir,
    StartDelivery,
    Step,
    VentPressure,
)

SEEN_OF_A_CONTROLLER = ("outlet_pressure", "controller_pressure")
"""Roles that see what a pressure controller holds: it presses on the vessel in which the line ends."""

Side = Literal["above", "below"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a run, and what they are to be done with; ``dut`` as `data.dut.Dut` dumps it."""

    opened: OpenStation
    roles: Mapping[str, str]
    dut: Mapping[str, Any]
    steps: Sequence[Step]

    @property
    def most_s(self) -> float:
        """Longest time that it takes."""
        return sum(step.most_s for step in self.steps)

    @property
    def may_end_earlier(self) -> bool:
        """Whether a step of it may take less than its longest time."""
        return any(step.least_s < step.most_s for step in self.steps)


def duration(plan: Plan, finish: datetime | None) -> Finding:
    """How long the run takes, or takes at most, and by when it ends where that is a moment of the wall clock."""
    at_most, latest = (" at most", " at the latest") if plan.may_end_earlier else ("", "")
    ends = "" if finish is None else f", until {finish:%Y-%m-%d %H:%M} UTC{latest}"
    return Finding("duration", "tells", f"the run takes{at_most} {plan.most_s / 3600.0:.4g} h, blanks included{ends}")


def boluses(plan: Plan) -> Iterator[Finding]:
    """Boluses, programmed or asked for, that are faster than the pump."""
    high, basal, said = plan.dut["rate_range_ul_per_h"][1], 0.0, set()
    for step in plan.steps:
        found: Sequence[schedule_ranges.RangeFinding | None] = ()
        if isinstance(step, Program):
            basal = max(schedule_ranges.basal_rates(step.schedule), default=0.0)
            found = schedule_ranges.boluses_out_of_range(step.schedule, high)
        elif isinstance(step, RequestBolus):
            found = (schedule_ranges.bolus_out_of_range(step.volume_ul, step.duration_s, basal, high),)
        for one in found:
            if one is not None and one.text not in said:
                said.add(one.text)
                yield Finding("rate", "blocks", f"{plan.dut['model']}: {one.text}")


def incapable(plan: Plan, told: Collection[tuple[str, type]]) -> Iterator[Finding]:
    """Instruments that took a role, but cannot do what a step asks of it.

    Parameters
    ----------
    told : roles with the capability that the protocol declares for them, of which another finding tells.
    """
    said: set[tuple[str, type]] = set(told)
    for step in plan.steps:
        needed, role = capability(step), str(getattr(step, "role", ""))
        if needed is None or (role, needed) in said:
            continue
        said.add((role, needed))
        name = plan.roles.get(role, role).partition(".")[0]
        instrument = plan.opened.instruments.get(name)
        if instrument is None or isinstance(instrument, needed):
            continue
        driver = plan.opened.station.instruments[name].driver
        text = f'role "{role}": instrument "{name}" ({driver}) is no {needed.__name__}'
        undone = f"so the step {type(step).__name__} cannot be done"
        advice = "name another instrument, or leave out what needs it"
        yield Finding("role", "blocks", f"{plan.opened.path}: {text}, {undone}; {advice}")


def fillings(plan: Plan) -> Iterator[Finding]:
    """A filling that the reservoir does not hold."""
    most_ul = max((step.volume_ul for step in plan.steps if isinstance(step, SetReservoir)), default=0.0)
    holds_ul = float(plan.dut["reservoir_ul"])
    if most_ul > holds_ul * (1.0 + 1e-9):
        text = f"the plan fills in {most_ul / 1000:g} mL, but its reservoir holds {holds_ul / 1000:g} mL; fill in less"
        yield Finding("filling", "blocks", f"{plan.dut['model']}: {text}")


def beyond_interlocks(plan: Plan) -> Iterator[Finding]:
    """Values to which the plan goes, although an interlock that is armed then ends or holds the run before."""
    watching = [interlock for interlock in plan.opened.interlocks if interlock.latches]
    said: set[str] = set()
    for phase, delivering, role, value, side in _goals(plan.steps):
        for interlock in watching:
            armed = interlock.armed == "always" or (delivering and interlock.armed == "delivery")
            if plan.roles.get(role) != interlock.channel or not (armed or phase in interlock.phases):
                continue
            limit = interlock.high if side == "above" else interlock.low
            if limit is None or (value < limit if side == "above" else value > limit) or interlock.name in said:
                continue
            said.add(interlock.name)
            yield _ruled_out(plan, interlock, (phase, value, limit))


def _ruled_out(plan: Plan, interlock: Interlock, at: tuple[str, float, float]) -> Finding:
    phase, value, limit = at
    unit = plan.opened.channel(interlock.channel)[1].unit
    text = f'phase "{phase}" goes to {value:.4g} {unit}, but interlock "{interlock.name}" acts at {limit:.4g} {unit}'
    return Finding("interlock", "blocks", f"{plan.opened.path}: {text}; choose a value within it")


def _goals(steps: Sequence[Step]) -> Iterator[tuple[str, bool, str, float, Side]]:
    """Phase, whether delivery has started, role, the value that it is to reach there, and from which side."""
    delivering, pressed_kpa = False, 0.0
    for step in steps:
        if isinstance(step, StartDelivery):
            delivering = True
        elif isinstance(step, SetPressure | VentPressure):
            pressed_kpa = step.pressure_kpa if isinstance(step, SetPressure) else 0.0
        elif isinstance(step, Phase | Condition):
            for role in SEEN_OF_A_CONTROLLER if pressed_kpa else ():
                yield step.name, delivering, role, pressed_kpa, "above" if pressed_kpa > 0.0 else "below"
            if isinstance(step, Phase):
                if step.until is not None and step.until.relative_to is None:
                    yield step.name, delivering, step.until.role, step.until.value, step.until.side
            elif step.low is not None and step.high is not None:
                middle = 0.5 * (step.low + step.high)
                yield step.name, delivering, step.role, middle, "above"
                yield step.name, delivering, step.role, middle, "below"
