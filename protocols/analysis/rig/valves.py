"""Judges valves by what they do: closed they hold the pressure, opened they let it go, a diverter turns the flow.

Units: kPa, s, uL/h.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from data.checks import Check, Evaluation, Limits, Status, Verdict
from data.run import Run, Series
from data.samples import FloatArray
from protocols.analysis.assumed import PLAY_KPA
from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.decision import DecisionRule, judge, result
from protocols.analysis.flow_budget import LINE_EXPANSION_PER_K
from protocols.analysis.rig import RecordError
from protocols.analysis.rig.held import fall
from protocols.analysis.rig.line import Compliance, compliance, living
from protocols.analysis.rig.operational import RAMP_FROM, U_WARMING_K
from protocols.analysis.rig.record import RigRecord
from protocols.analysis.rig.weighed_flow import gained_ul_per_h, syringe_gain, syringe_u_percent
from protocols.analysis.standing import of_a_run_cut_off

RISEN = 0.5
"""A pressure that reached a smaller share of what was asked met a valve that is open, or nothing pushed."""

HELD_PERCENT = 90.0
"""Closed valves keep at least this much of the pressure; it tells a valve that stays open from one that closes."""

LEFT_PERCENT = 10.0
"""An opened valve leaves at most this much."""

PAST_PERCENT = 5.0
INTO_PERCENT = 80.0

LEAK_UL_PER_H = 2.0
"""Largest leak where neither the run nor the station file states one."""

LAST_S = 0.95

CLEAR_BY_U = DecisionRule(r_max=None)
"""Clear of the limit by U, whatever U is: how much a line creeps is not the bench's doing."""

CREEP_SHARE = 0.1
"""A line that has crept gives that back as its pressure falls: so much larger its compliance may be then, assumed."""

HOUR_S = 3600.0


def evaluate(run: Run) -> Evaluation:
    """Judge a valve test."""
    record = RigRecord(run, dict(run.station.get("rig_check") or {}))
    checks = [*_read_back(run), *_pressures(record), _leak(record)]
    if run.params["diverter"]:
        checks += _diverter(record)
    if run.status is not Status.COMPLETED:
        checks = [of_a_run_cut_off(check) for check in checks]
    return Evaluation(tuple(checks))


def _read_back(run: Run) -> Iterator[Check]:
    """Whether each line read back as it was driven."""
    moves = run.records("valve")
    wrong = sorted(
        {str(event.fields["valve"]) for event in moves if event.fields["asked"] != event.fields["read_back"]}
    )
    note = f"{', '.join(wrong)} did not read back as driven" if wrong else f"{len(moves)} moves"
    yield _judged("read-back", "Lines read back", "1", float(len(wrong)), 0.0, Limits(None, 0.0, "procedure"), note)


def _pressures(record: RigRecord) -> Iterator[Check]:
    # What is left of a pressure is a share of it; the transducer's zero is in both, and its play in one.
    u_zero = record.u("outlet_pressure")
    for name, other in (("vent", "outlet"), ("outlet", "vent")):
        try:
            top = _last(_good(record, "outlet_pressure", f"rise-{name}"))
            held = _last(_good(record, "outlet_pressure", f"closed-{name}"))
            opened = _good(record, "outlet_pressure", f"open-{name}")
            record.insist_on_whole(f"open-{name}")
        except RecordError as error:
            yield _unmeasured(f"{name}-opens", f"{name.capitalize()} valve", "%", str(error))
            continue
        if top < RISEN * float(record.run.params["pressure_kpa"]):
            note = (
                f"the pressure rose to {top:.1f} kPa only: outlet or vent does not close, or the syringe pump is idle"
            )
            yield _judged(f"{name}-closed", "Valves hold", "%", 0.0, 0.0, Limits(HELD_PERCENT, None, "procedure"), note)
            continue
        share = held / top
        note = "" if 100.0 * share >= HELD_PERCENT else f"{name} or {other} valve passes, or the line leaks"
        yield _judged(
            f"{name}-closed",
            f"Valves hold before {name} opens",
            "%",
            100.0 * share,
            100.0 * math.hypot((1.0 - share) * u_zero, PLAY_KPA / math.sqrt(12.0)) / top,
            Limits(HELD_PERCENT, None, "procedure"),
            note,
        )
        left = _last(opened) / held
        note = _response(opened, held) if 100.0 * left <= LEFT_PERCENT else f"the {name} valve does not open"
        yield _judged(
            f"{name}-opens",
            f"{name.capitalize()} valve opens",
            "%",
            100.0 * left,
            100.0 * math.hypot((1.0 - left) * u_zero, PLAY_KPA / math.sqrt(12.0)) / held,
            Limits(None, LEFT_PERCENT, "procedure"),
            note,
        )


def _response(opened: Series, held: float) -> str:
    """How soon half of the pressure was gone."""
    below = np.flatnonzero(opened.values < 0.5 * held)
    return f"half of the pressure was gone after {opened.t[below[0]] - opened.t[0]:.1f} s" if below.size else ""


# ------------------------------------------------------------------------------------------------------------ leak


def _leak(record: RigRecord) -> Check:
    """What the line loses behind both closed valves, at the pressure of the test."""
    name, title, unit = "rig-leak", "Leak behind the closed valves", "uL/h"
    try:
        leak, budget = _lost(record, name)
    except RecordError as error:
        return _unmeasured(name, title, unit, str(error))
    check = result(name, title, leak, budget, _largest_leak(record), owner="rig", rule=CLEAR_BY_U)
    if check.verdict is Verdict.PASS:
        return check
    note = "outlet or vent passes, or a fitting or the septum leaks"
    if leak < 0.0:
        note = "the closed line gains fluid, which hides a leak: the pump under test runs, or the syringe pump creeps"
    if check.verdict is not Verdict.FAIL:
        note = f"within U of the limit: hold it for longer, or {note}"
    return replace(check, note=note)


def _largest_leak(record: RigRecord) -> Limits:
    """On both sides: a line that gains fluid hides what it loses."""
    if asked := float(record.run.params.get("leak_ul_per_h") or 0.0):
        return Limits(-asked, asked, "parameter leak")
    if stated := float(record.limits.get("leak_ul_per_h") or 0.0):
        return Limits(-stated, stated, "station file, rig_check")
    return Limits(-LEAK_UL_PER_H, LEAK_UL_PER_H, "procedure")


def _lost(record: RigRecord, name: str) -> tuple[float, Budget]:
    """The leak in uL/h, -C dP/dt, and its budget.

    It is taken from the second closing, since the line has been stretched before and creeps less; the compliance C from
    the first rise, into a line at rest.
    """
    before = _last(_good(record, "outlet_pressure", "open-vent"))
    record.insist_on_whole("closed-outlet")
    rise, held = (_good(record, "outlet_pressure", f"{part}-outlet") for part in ("rise", "closed"))
    if _last(rise) < RISEN * float(record.run.params["pressure_kpa"]):
        raise RecordError("the pressure did not rise behind the closed valves")
    living(held.values)
    soft = _soft(record)
    begun, closed = record.run.phase("rise-outlet")[0], record.run.phase("closed-outlet")[0]
    t_s = np.concatenate([rise.t, held.t]) - begun
    falls = fall(t_s, np.concatenate([rise.values, held.values]) - before, closed - begun)
    per_slope = soft.ul_per_kpa * HOUR_S
    leak = per_slope * (falls.least + falls.most) / 2.0
    volume_ul = float((record.run.station.get("collection") or {}).get("dead_volume_ul") or 0.0)
    components = (
        Component("scatter of the pressure", per_slope * falls.u),
        Component("compliance", abs(leak) * soft.u_ul_per_kpa / soft.ul_per_kpa),
        Component("warming of the fluid", volume_ul * LINE_EXPANSION_PER_K * U_WARMING_K / (falls.half_s / HOUR_S)),
        bounded("compliance that creeps", abs(leak) * CREEP_SHARE),
        bounded("creep, and play of the transducer", per_slope * (falls.most - falls.least) / 2.0),
    )
    return leak, Budget(name, "uL/h", components)


def _soft(record: RigRecord) -> Compliance:
    """Compliance of the line by its first rise, certificates of syringe pump and transducer included."""
    rise = _good(record, "outlet_pressure", "rise-vent")
    begin, end = float(rise.t[0]), float(rise.t[-1])
    used = rise.within(begin + RAMP_FROM * (end - begin), math.inf)
    gain_percent = float(record.run.calibration("outlet_pressure").get("u_percent") or 0.0)
    u_percent = math.hypot(syringe_u_percent(record), gain_percent)
    rate = syringe_gain(record) * float(record.run.params["rate_ul_per_h"])
    return compliance(used.t, used.values, rate, u_percent)


# -------------------------------------------------------------------------------------------------------- diverter


def _diverter(record: RigRecord) -> Iterator[Check]:
    pushed = syringe_gain(record) * float(record.run.params["rate_ul_per_h"])
    try:
        rates = {name: _share_percent(record, name, pushed) for name in ("into-1", "past-2", "into-3")}
    except RecordError as error:
        yield _unmeasured("diverter", "Diverter", "%", str(error))
        return
    past, u_past = rates["past-2"]
    into, u_into = min(rates["into-1"], rates["into-3"])
    note = "" if abs(past) <= PAST_PERCENT else "diverted flow still reaches the vessel: the diverter does not turn"
    yield _judged(
        "diverter-past",
        "Reaches the vessel while diverted",
        "%",
        past,
        u_past,
        Limits(-PAST_PERCENT, PAST_PERCENT, "procedure"),
        note,
    )
    note = "" if into >= INTO_PERCENT else "flow does not reach the vessel: the diverter does not turn back, or a leak"
    yield _judged(
        "diverter-into",
        "Reaches the vessel otherwise",
        "%",
        into,
        u_into,
        Limits(INTO_PERCENT, None, "procedure"),
        note,
    )


def _share_percent(record: RigRecord, phase: str, pushed_ul_per_h: float) -> tuple[float, float]:
    """What the vessel gained of what was pushed, and its standard uncertainty: balance, evaporation, syringe pump."""
    rate, u = gained_ul_per_h(record, phase)
    share = 100.0 * rate / pushed_ul_per_h
    return share, math.hypot(100.0 * u / pushed_ul_per_h, share * syringe_u_percent(record) / 100.0)


# ------------------------------------------------------------------------------------------------------ small parts


def _good(record: RigRecord, role: str, phase: str) -> Series:
    series = record.good(role, phase)
    if len(series) < 5:
        raise RecordError(f'"{role}" gave {len(series)} good samples in phase "{phase}"')
    return series


def _last(series: Series) -> float:
    """Mean over the last second: ten samples of a channel that is read ten times a second, one of a slow channel."""
    values: FloatArray = series.values[series.t > series.t[-1] - LAST_S]
    return math.fsum(values.tolist()) / values.size


def _judged(name: str, title: str, unit: str, value: float, u: float, limits: Limits, note: str) -> Check:
    fields = judge(value, u, math.inf, limits)
    return Check(name=name, title=title, unit=unit, owner="rig", note=note, **fields)


def _unmeasured(name: str, title: str, unit: str, note: str) -> Check:
    return Check(name, title, None, unit, Verdict.NOT_MEASURED, "rig", note=note)
