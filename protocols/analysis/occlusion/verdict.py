"""The verdict of an occlusion: fitness of the bench, then what the pump did behind a closed line, and after it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from data.checks import Axis, Check, Curve, Evaluation, Status, Verdict
from data.run import Run
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.case import Behind, Case, behind, numbered, told, unmeasured
from protocols.analysis.occlusion.fitness import fitness, metered_line, unfit
from protocols.analysis.occlusion.line import ClosedLine
from protocols.analysis.occlusion.record import Occluded, OcclusionRecord
from protocols.analysis.occlusion.released import bolus_checks, consistent, flow_checks, partial_checks
from protocols.analysis.occlusion.rising import rising_checks
from protocols.analysis.occlusion.stopped import stopped_flow
from protocols.analysis.occlusion.volumes import volumes
from protocols.analysis.rig.reference import rig_was_checked
from protocols.analysis.standing import of_a_run_cut_off, on_suitability

CURVE_POINTS = 600


def evaluate(run: Run) -> Evaluation:
    """Judge an occlusion run."""
    try:
        return _judged(OcclusionRecord(run))
    except RecordError as error:
        return Evaluation((_nothing(str(error)),))


def _judged(record: OcclusionRecord) -> Evaluation:
    run, values, curves = record.run, dict[str, float](), list[Curve]()
    line, why = _metered(record)
    standing = list(stopped_flow(record, line))
    runs_on = any(check.verdict is Verdict.FAIL for check in standing)
    if runs_on:  # what it pushed into the line was not metered
        line = None
    fit = list(rig_was_checked(run) if runs_on else fitness(record, line, why))
    judged = [*standing, *_line_checks(record, line, values)]
    for occluded in record.occlusions:
        judged += [numbered(check, occluded) for check in _one(record, occluded, line, values, curves)]
    if not record.occlusions:
        judged.append(_nothing("the run ended before the pump was started"))
    bad = unfit([*fit, *judged])
    judged = [on_suitability(check, bad) for check in judged]
    if run.status is not Status.COMPLETED:
        judged = [of_a_run_cut_off(check) for check in judged]
    return Evaluation((*judged, *fit), tuple(curves), (), values)


def _nothing(note: str) -> Check:
    return unmeasured("reaches-threshold", "Highest pressure", "kPa", note)


def _metered(record: OcclusionRecord) -> tuple[ClosedLine | None, str]:
    """The line by the metered step; or None, and why."""
    if not record.run.params["metered"]:
        return None, ""
    try:
        return metered_line(record), ""
    except RecordError as error:
        return None, str(error)


def _line_checks(record: OcclusionRecord, line: ClosedLine | None, values: dict[str, float]) -> Iterator[Check]:
    """The compliance by the metered step, and the catheter's own."""
    if line is None:
        return
    values["compliance_ul_per_kpa"], values["u_compliance_ul_per_kpa"] = line.ul_per_kpa, line.u_ul_per_kpa
    values["creep_ul_per_kpa"], values["leak_ul_per_s_kpa"] = line.creep_ul_per_kpa, line.leak_ul_per_s_kpa
    note = ""
    if line.creep_ul_per_kpa:
        values["creep_s"] = line.creep_s
        note = f"and {line.creep_ul_per_kpa:.3g} uL/kPa more with a time constant of {line.creep_s:.0f} s"
    tight = ("valve-closes", "line-tight", "compliance-as-checked")
    title = "Compliance of the line"
    yield told("compliance", title, line.ul_per_kpa, line.u_ul_per_kpa, "uL/kPa", "rig", note, depends_on=tight)
    stated = record.run.station.get("closed_line") or {}
    bare = stated.get("bare_compliance_ul_per_kpa")
    if bare is None:
        return
    own = values["catheter_ul_per_kpa"] = line.ul_per_kpa - float(bare)
    u = math.hypot(line.u_ul_per_kpa, float(stated["bare_compliance_u_ul_per_kpa"]))
    metres, note = _length_m(record), ""
    if metres:
        values["catheter_ul_per_kpa_m"] = own / metres
        note = f"{own / metres:.4g} uL/kPa per metre of {metres:g} m"
    yield told(
        "catheter-compliance", "Compliance of the catheter", own, u, "uL/kPa", "catheter", note, depends_on=tight
    )


def _length_m(record: OcclusionRecord) -> float:
    """Length of the catheter in use; 0 where the run had none."""
    catheter = record.run.catheter
    supplied = catheter.get("length_supplied_mm")
    return 0.0 if supplied is None else (float(supplied) - float(catheter.get("length_trimmed_mm") or 0.0)) / 1000.0


def _one(
    record: OcclusionRecord,
    occluded: Occluded,
    line: ClosedLine | None,
    values: dict[str, float],
    curves: list[Curve],
) -> Iterator[Check]:
    """Every check of one occlusion."""
    try:
        weighed = volumes(record, occluded)
    except RecordError as error:
        yield _nothing(str(error))
        return
    yield from flow_checks(occluded, weighed)
    try:
        pressure = behind(record, occluded)
    except RecordError as error:
        yield _nothing(str(error))
        return
    case = Case(record, occluded, line, weighed, pressure, values)
    case.keep("flow_before_ul_per_h", weighed.before_ul_per_h[0])
    case.keep("baseline_kpa", pressure.base_kpa)
    yield from rising_checks(case)
    yield from bolus_checks(case)
    yield from consistent(case)
    yield from partial_checks(record, occluded)
    curves.append(_curve(occluded, pressure))


def _curve(occluded: Occluded, pressure: Behind) -> Curve:
    thin = slice(None, None, max(1, pressure.t_s.size // CURVE_POINTS))
    at = f"{occluded.rate_ul_per_h * 0.024:.4g} mL/day"
    return Curve(
        f"rise-{occluded.number}",
        f"Pressure behind the closed line, {at}",
        Axis("time", "s", pressure.t_s[thin]),
        (Axis("pressure", "kPa", pressure.rise_kpa[thin] + pressure.base_kpa),),
    )
