"""Was the bench fit to occlude a pump?  What fails here makes invalid what stands on it; it never fails a pump."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from data.checks import Check, Limits, Verdict
from data.samples import FloatArray
from protocols.analysis import suitability
from protocols.analysis.bath import in_the_stations_band
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.line import ClosedLine
from protocols.analysis.occlusion.metered import metered_step
from protocols.analysis.occlusion.record import EDGE_S, HOUR_S, Occluded, OcclusionRecord
from protocols.analysis.occlusion.warming import thermometer, warming
from protocols.analysis.rig.line import air_ul
from protocols.analysis.rig.reference import known_rig, rig_was_checked

LEAK_SHARE = 0.1
"""A leak may take this share of the slowest rate at the threshold; the rise is then a tenth late."""

UNTOLD_SHARE = 0.5
"""A line that may lose more than this share of the slowest rate, or nothing, is not known to be tight."""

SHORT_HOLD_S, LONGEST_HOLD_S = 1800.0, 4.0 * HOUR_S
"""Within these a longer hold is advised: less helps little, and the parameter takes no more."""

LARGEST_SWEPT_UL = 0.5
LEFT_PERCENT = 10.0
"""An opened line keeps at most this much of its pressure."""

LEAST_UL = 1.0
"""What the balance gains in ten minutes of an open line is held against this at least."""

MOMENTS = 500
"""At so many moments of the hold a thermometer is asked for."""

OPENED_S = 60.0
JUST_BEFORE_S = 10.0


def fitness(record: OcclusionRecord, line: ClosedLine | None, why: str) -> Iterator[Check]:
    """Every suitability check for which the run holds something.

    Parameters
    ----------
    line : by the metered step; None where there was none, and ``why``.
    """
    yield from rig_was_checked(record.run)
    yield from _air(record)
    for occluded in record.occlusions:
        yield from _open_before(record, occluded)
        yield from _opens(record, occluded)
    if bool(record.run.params["metered"]):
        yield from _closed(record, line, why)
    if record.occlusions:
        yield from in_the_stations_band(record.run, (record.occlusions[0].started_s, record.run.end_s))


def _air(record: OcclusionRecord) -> Iterator[Check]:
    """Whether what the balance gained was corrected by the air of a laboratory, where it was weighed at all."""
    try:
        weighed = record.balance_record
    except RecordError:
        return
    yield from suitability.air_density(weighed.collected.weighing.air_mg_per_ul, weighed.lost)


def metered_line(record: OcclusionRecord) -> ClosedLine:
    """The closed line by the step of the syringe pump; raises RecordError where the record does not show it."""
    begun, done = (_syringe(record, key) for key in ("metered-begin", "metered-end"))
    hold = record.phases.get("metered-hold")
    if begun is None or done is None or hold is None:
        raise RecordError("the run ended before the metered step was made")
    gain = record.syringe_gain
    flow = gain * float(record.run.params["step_rate_ul_per_h"]) / HOUR_S
    from_s = float(begun["answered_s"])
    base = record.mean_kpa(from_s - EDGE_S, from_s)
    # A long hold must not thin out the rise before it.
    parts = [record.pressure(from_s, hold[0]), record.pressure(hold[0], hold[1] - record.guard_s)]
    t_s, pressure = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return metered_step(
        t_s - from_s,
        pressure - base,
        hold[0] - from_s,
        flow,
        record.u_syringe,
        record.u_gain,
        warming(record.run, t_s, record.ul_per_k),
        _left_ul(begun, _syringe(record, "metered-back"), gain),
    )


def _left_ul(begun: Mapping[str, Any], back: Mapping[str, Any] | None, gain: float) -> float | None:
    """What the syringe pump has pushed less what it drew back, by its own count; None where it was not read then."""
    if back is None:
        return None
    pushed, drawn = (float(back[key]) - float(begun[key]) for key in ("infused_ul", "withdrawn_ul"))
    return gain * (pushed - drawn)


def _syringe(record: OcclusionRecord, key: str) -> Mapping[str, Any] | None:
    found = [event.fields for event in record.run.records("syringe") if event.fields["key"] == key]
    return found[-1] if found else None


def _open_before(record: OcclusionRecord, occluded: Occluded) -> Iterator[Check]:
    """Before it is closed the line must be open."""
    until_s = occluded.closed_s if occluded.closed_s is not None else record.run.end_s
    t_s, pressure = record.pressure(occluded.started_s, until_s)
    check = suitability.line_open(t_s, pressure, partial(_over, record, occluded))
    note = check.note and "the catheter is blocked, or the outlet valve does not open; valve-test tells which"
    yield replace(check, name=_numbered("outlet-pressure", occluded), note=note)


def _over(record: OcclusionRecord, occluded: Occluded, from_s: FloatArray, to_s: FloatArray) -> FloatArray:
    """How many times the programmed flow the balance gained from (m,) to (m,) times, at least 1."""
    try:
        collected = record.collected
    except RecordError:
        return np.ones(from_s.size)
    ends = np.minimum(to_s, collected.t_s[-1] if occluded.closed_s is None else occluded.closed_s)
    gained = (collected.shown_mg(ends) - collected.shown_mg(from_s)) * collected.ul_per_mg
    programmed = np.maximum(occluded.flow_ul_per_s * (ends - from_s), LEAST_UL)
    return np.asarray(np.maximum(gained / programmed, 1.0), dtype=np.float64)


def _opens(record: OcclusionRecord, occluded: Occluded) -> Iterator[Check]:
    """Once it is opened the pressure must be gone, down to what it was when the run began."""
    if occluded.opened_s is None or occluded.until_s < occluded.opened_s + 2.0 * OPENED_S:
        return
    at_first_s = record.phases.get("metered-before", (occluded.started_s, 0.0))[0]
    base = record.mean_kpa(at_first_s, at_first_s + EDGE_S)
    seen_s = occluded.opened_s - record.guard_s
    top = record.mean_kpa(seen_s - JUST_BEFORE_S - record.guard_s, seen_s) - base
    if top < suitability.LARGEST_RISE_KPA:
        return
    left = record.mean_kpa(occluded.opened_s + OPENED_S, occluded.opened_s + 2.0 * OPENED_S) - base
    share = 100.0 * left / top
    note = "" if share <= LEFT_PERCENT else "the pressure stays: the outlet valve does not open, or the line is blocked"
    yield suitability.judged(
        _numbered("valve-opens", occluded),
        "Pressure left after opening",
        "%",
        share,
        0.0,
        Limits(None, LEFT_PERCENT, "protocol"),
        note,
    )


def _closed(record: OcclusionRecord, line: ClosedLine | None, why: str) -> Iterator[Check]:
    """Whether the outlet valve closes, what it sweeps, and whether what is behind it is tight and without air."""
    limits = Limits(None, 0.0, "protocol")
    if line is None:
        if "metered-hold" in record.phases:
            yield suitability.judged("valve-closes", "Line does not close", "1", 1.0, 0.0, limits, f"{why}, or leaks")
        else:
            yield suitability.not_measured("valve-closes", "Line does not close", "1", why)
        return
    yield suitability.judged("valve-closes", "Line does not close", "1", 0.0, 0.0, limits)
    yield from _swept(record, line)
    yield _tight(record, line)
    yield from _without_air(record, line)


def _swept(record: OcclusionRecord, line: ClosedLine) -> Iterator[Check]:
    """What the valve pushed into the line as it closed, from the step of pressure."""
    before, closed = record.phases.get("metered-before"), record.phases.get("metered-closed")
    if before is None or closed is None:
        return
    step_kpa = record.mean_kpa(closed[1] - EDGE_S, closed[1]) - record.mean_kpa(*before)
    swelled, u_swelled = record.warming_ul(before[0], closed[1])
    swept = line.ul_per_kpa * step_kpa - swelled
    # A transducer with play does not show a small step.
    u = math.hypot(u_swelled, line.ul_per_kpa * record.u_kpa(0.0))
    note = "" if swept <= LARGEST_SWEPT_UL else "the outlet valve pushes too much into the line as it closes"
    yield suitability.judged(
        "closing-step",
        "Swept by the closing valve",
        "uL",
        swept,
        u,
        Limits(None, LARGEST_SWEPT_UL, "protocol"),
        note,
    )


def tightness_untold(record: OcclusionRecord, line: ClosedLine) -> bool:
    """Whether nobody knows if the line is tight: it may lose half of the slowest rate, or nothing."""
    at_threshold, _, most = _leak_at_threshold(record, line)
    return at_threshold <= most and most > UNTOLD_SHARE * min(record.rates_ul_per_h)


def _leak_at_threshold(record: OcclusionRecord, line: ClosedLine) -> tuple[float, float, float]:
    """Leak of the closed line at the threshold, its standard uncertainty, and how much it may be, in uL/h."""
    per_kpa = float(record.run.params["threshold_kpa"]) * HOUR_S
    u = line.u_leak * per_kpa
    most = LEAK_SHARE * min(record.rates_ul_per_h)
    stated = record.run.station.get("rig_check")
    if stated:
        most = min(most, float(stated["leak_ul_per_h"]))
    return line.leak_ul_per_s_kpa * per_kpa, u, max(most, suitability.CERTAIN * u)


def _tight(record: OcclusionRecord, line: ClosedLine) -> Check:
    """Leak of the closed line at the threshold."""
    threshold = float(record.run.params["threshold_kpa"])
    at_threshold, u, most = _leak_at_threshold(record, line)
    name, title = "line-tight", f"Leak of the closed line at {threshold:g} kPa"
    note = ""
    if at_threshold > most:
        known = known_rig(record.run)
        checked = (
            f"the rig check {known.run_id} found none" if known is not None and known.holds else "no rig check holds"
        )
        note = (
            f"a fitting, a valve or the catheter leaks ({checked}); run rig-check with a plug in the catheter's place"
        )
    elif tightness_untold(record, line):
        note = _untold(record, at_threshold, u, most)
        return suitability.not_measured(name, title, "uL/h", "; ".join((*_silent(record), note)))
    note = "; ".join(filter(None, (*_silent(record), note)))
    return suitability.judged(name, title, "uL/h", at_threshold, u, Limits(None, most, "protocol"), note)


def _silent(record: OcclusionRecord) -> Iterator[str]:
    """What to say of a thermometer that was recorded and tells nothing of the line while it was held."""
    begun, hold = _syringe(record, "metered-begin"), record.phases.get("metered-hold")
    if begun is None or hold is None:
        return
    t_s = np.linspace(float(begun["answered_s"]), hold[1], MOMENTS)
    for role in ("line_temperature", "room_temperature"):
        if record.run.has(role):
            if thermometer(record.run, role, t_s) is not None:
                return
            yield f"{role} fell silent while the line was held"


def _untold(record: OcclusionRecord, leak: float, u: float, most: float) -> str:
    """What to do where a leak that takes half of the slowest rate would not be told."""
    slowest, hold_s = min(record.rates_ul_per_h), float(record.run.params["hold_s"])
    longer_s = max(math.ceil(hold_s * most / (UNTOLD_SHARE * slowest) / 600.0) * 600.0, SHORT_HOLD_S)
    doing = []
    if hold_s < longer_s <= LONGEST_HOLD_S:
        doing.append(f"set hold to {longer_s / 60.0:.0f} min")
    if not record.run.has("line_temperature"):
        doing.append("measure the air around the line (role line_temperature)")
    return (
        f"{leak:.2g} +- {2.0 * u:.2g} uL/h, and the slowest rate is {slowest:.3g} uL/h: the record after the step does "
        f"not tell a leak from creep and a room that turns; {', or '.join(doing) or 'test at a higher rate'}"
    )


def _without_air(record: OcclusionRecord, line: ClosedLine) -> Iterator[Check]:
    """The compliance against that of the rig check, or against what the station usually has: excess is air."""
    stated = record.run.station.get("rig_check")
    if not stated:
        return
    known = known_rig(record.run)
    usual, source = float(stated["compliance_ul_per_kpa"]), "station file, rig_check"
    if known is not None and known.holds and "compliance_ul_per_kpa" in known.values:
        usual, source = known.values["compliance_ul_per_kpa"], f"rig check {known.run_id}"
    band = float(stated["compliance_band_ul_per_kpa"])
    excess = line.ul_per_kpa - usual
    note = ""
    if excess > band:
        note = f"softer than it was: about {air_ul(excess):.0f} uL of air in the line, or another catheter"
    elif excess < -band:
        note = "stiffer than it was: a part of the line is shut off, or another catheter"
    yield suitability.judged(
        "compliance-as-checked",
        "Compliance of the line",
        "uL/kPa",
        line.ul_per_kpa,
        line.u_ul_per_kpa,
        Limits(usual - band, usual + band, source),
        note,
    )


def _numbered(name: str, occluded: Occluded) -> str:
    """The first occlusion's checks have plain names."""
    return name if occluded.number == 1 else f"{name}-{occluded.number}"


def unfit(checks: Sequence[Check]) -> set[str]:
    """Names of the suitability checks that failed."""
    return {check.name for check in checks if check.suitability and check.verdict is Verdict.INVALID}
