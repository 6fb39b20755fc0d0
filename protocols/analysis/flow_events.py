"""What may not happen at all while a pump delivers: no flow, and deliveries that nobody programmed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from data.checks import Check, Exclusion, Verdict
from data.run import Run
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.mass_steps import Delivery, unexpected_deliveries
from protocols.analysis.no_flow import NoFlow, no_flow
from protocols.analysis.suitability import CERTAIN, NO_FLOW_SHARE
from protocols.analysis.witness import passed_ul

AROUND_S = 60.0
"""Sensor and balance are compared from so long before a sudden delivery to so long after it."""

STUCK = ("balance-alive",)
"""So much at once is beyond evaporation, drift, leak or temperature; only a balance that was stuck can fake it."""


def interruptions(
    record: GravimetricRecord, excluded: Sequence[Exclusion], doubt: float, depends_on: tuple[str, ...]
) -> Iterator[Check]:
    """Stretches without delivery, and deliveries that nobody programmed, over the whole time of delivery."""
    from_s, to_s = record.started_s, record.analysis[1]
    if to_s <= from_s:
        return
    t_s, volumes = record.volumes(from_s, to_s)
    density = record.collected.weighing.fluid_mg_per_ul
    stopped = no_flow(t_s, volumes, record.programmed_ul, record.stroke_ul, density, (*excluded, *record.away))
    lost_s = math.fsum(one.to_s - one.from_s for one in stopped)
    note = f"under 20 % of what was programmed, from {stopped[0].from_s:.0f} s" if stopped else ""
    check = _event_check("no-flow", "Time without flow", "s", lost_s, bool(stopped), note, depends_on)
    if stopped and _after_strangers(record, from_s, (*excluded, *record.away), stopped):
        note = f"{note}; before it the balance showed more than passed the flow sensor, which went again"
        check = replace(check, verdict=Verdict.INVALID, note=note)
    elif stopped and doubt >= 100.0 * (1.0 - NO_FLOW_SHARE):
        note = f"{note}; without the blank after it, a vessel that loses as much looks the same"
        check = replace(check, verdict=Verdict.NOT_MEASURED, note=note)
    yield check
    # Also into the vessel of a blank for which the pump was stopped.
    begin, away = record.started_s, tuple(one for one in record.away if one.reason == "blank")
    if _stopped_blanks(record.run):
        begin, away = min([begin, *(one.from_s for one in away)]), ()
    yield unexpected(record, begin, (*excluded, *away))


def unexpected(
    record: GravimetricRecord,
    from_s: float,
    without: Sequence[Exclusion],
    depends_on: tuple[str, ...] = STUCK,
) -> Check:
    """Deliveries that nobody programmed, from a moment to the end of the analysis, but in the stretches ``without``."""
    sudden = _sudden(record, from_s, without)
    surplus = math.fsum(one.excess_ul for one in sudden)
    note = f"{surplus:.3g} uL more than programmed from {sudden[0].from_s:.0f} s" if sudden else ""
    check = _event_check("unexpected-delivery", "Unexpected delivery", "uL", surplus, bool(sudden), note, depends_on)
    if sudden and all(_came_from_elsewhere(record, one) for one in sudden):
        asked = "was the vessel touched? (while the run goes on, a named person may exclude it)"
        note = f"{note}; it did not pass the flow sensor: {asked}"
        return replace(check, verdict=Verdict.INVALID, note=note)
    return check


def _sudden(record: GravimetricRecord, from_s: float, without: Sequence[Exclusion]) -> Sequence[Delivery]:
    """Stretches in which more came than was programmed, from a moment to the end of the analysis."""
    t_s, volumes = record.volumes(from_s, record.analysis[1])
    density = record.collected.weighing.fluid_mg_per_ul
    return unexpected_deliveries(t_s, volumes, record.programmed_ul, record.stroke_ul, density, exclusions=without)


def _after_strangers(
    record: GravimetricRecord, from_s: float, without: Sequence[Exclusion], stopped: Sequence[NoFlow]
) -> bool:
    """Whether each stretch without flow begins with something that did not pass the flow sensor, which saw flow go on.

    What somebody put on the pan, or a reading that was damaged on the wire, goes again; until the pump has made up for
    it the balance shows no flow.
    """
    strange = [one for one in _sudden(record, from_s, without) if _came_from_elsewhere(record, one)]
    return all(
        any(one.from_s - AROUND_S <= stretch.from_s <= one.to_s + AROUND_S for one in strange)
        and not _stood_still(record, stretch)
        for stretch in stopped
    )


def _stood_still(record: GravimetricRecord, stretch: NoFlow) -> bool:
    """Whether the flow sensor saw clearly less than half of what was programmed in a stretch, too."""
    passed, unsure = _passed(record, stretch.from_s, stretch.to_s)
    return passed is not None and passed + unsure < stretch.expected_ul / 2.0


def _passed(record: GravimetricRecord, from_s: float, to_s: float) -> tuple[float | None, float]:
    """Volume that passed the flow sensor, None where it did not watch all of it; and what its zero leaves open."""
    if record.flow is None:
        return None, 0.0
    u_zero = float(record.calibration("flow").get("u", 0.0))
    return passed_ul(record.flow, from_s, to_s, u_zero), CERTAIN * u_zero * (to_s - from_s + AROUND_S) / 3600.0


def _came_from_elsewhere(record: GravimetricRecord, sudden: Delivery) -> bool:
    """Whether a flow sensor that saw the whole of a sudden delivery saw less than half of its excess pass."""
    from_s, to_s = sudden.from_s - AROUND_S, sudden.to_s + AROUND_S
    passed, unsure = _passed(record, from_s, to_s)
    if passed is None:
        return False
    programmed = float(np.diff(record.programmed_ul(np.array([from_s, to_s])))[0])
    return passed - programmed + unsure < sudden.excess_ul / 2.0


def undriven(run: Run) -> Iterator[Check]:
    """What a pump delivered that was never told to run."""
    begun = [phase.t0 for phase in run.phases if phase.name == "blank-before"]
    if not _stopped_blanks(run) or not begun or not run.has("reference_mass"):
        return
    mass = run.series("reference_mass").good()
    if mass.t.size < 2:
        return
    inside = mass.within(begun[0], math.inf)
    volumes = inside.values - inside.values[:1]  # 1 mg is 1 uL, near enough for what is looked for here
    sudden = unexpected_deliveries(inside.t, volumes, np.zeros_like, float(run.dut.get("stroke_ul") or 0.0), 1.0)
    if sudden:
        surplus = math.fsum(one.excess_ul for one in sudden)
        note = f"about {surplus:.3g} uL from {sudden[0].from_s:.0f} s, before the pump was told to run"
        yield _event_check("unexpected-delivery", "Unexpected delivery", "uL", surplus, True, note, ())


def _stopped_blanks(run: Run) -> bool:
    """Whether the vessel stays in the way of the flow during the blanks."""
    return bool(run.params["blank"] == "stopped")


def _event_check(
    name: str, title: str, unit: str, value: float, happened: bool, note: str, depends_on: tuple[str, ...]
) -> Check:
    """Something that may not happen at all."""
    return Check(
        name=name,
        title=title,
        value=value,
        unit=unit,
        verdict=Verdict.FAIL if happened else Verdict.PASS,
        owner="dut",
        limit_high=0.0,
        limit_source="protocol",
        depends_on=depends_on,
        note=note,
    )
