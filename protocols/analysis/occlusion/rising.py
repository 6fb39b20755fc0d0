"""What the pump did behind the closed line: time to the threshold, highest pressure, compliance, slip, alarm."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from data.checks import Check, Limits, Verdict
from protocols.analysis.budget import Budget, Component
from protocols.analysis.decision import SIMPLE, judge, reported
from protocols.analysis.occlusion.alarm import alarm_after, stood
from protocols.analysis.occlusion.case import HOLDS, Case, told, unmeasured
from protocols.analysis.occlusion.fitness import tightness_untold
from protocols.analysis.occlusion.line import ClosedLine, followed
from protocols.analysis.occlusion.record import HOUR_S
from protocols.analysis.occlusion.released import STOPPED
from protocols.analysis.occlusion.rise import (
    crossing_s,
    highest_rise_kpa,
    initial_slope,
    raw_crossing_s,
    time_to_rise_s,
)
from protocols.analysis.occlusion.slip import LEAST_SHARE, Slip, slip

MOMENT_S = 0.1
"""Standard uncertainty of the moment of closing."""

CERTAIN = 3.0
"""A line may leak by so many standard uncertainties more than was found, or less."""

LATE = 0.1
"""A sound pump may be late at the threshold by so much of the time that it needs: it slows as the pressure rises."""

STROKE_SHARE = 5.0
"""How strongly strokes, which stay in the residuals, move the slope at one end of the rise, over their number."""


def rising_checks(case: Case) -> Iterator[Check]:
    """Every check of the rise."""
    slipping = _slip(case)
    yield from _times(case)
    yield _highest(case, slipping)
    yield from _by_rise(case)
    yield from _slips(case, slipping)
    yield from _alarms(case)


def _threshold(case: Case) -> float:
    return float(case.record.run.params["threshold_kpa"])


def _times(case: Case) -> Iterator[Check]:
    """Time to the threshold: of the pressure low-passed over one stroke, and of the first raw sample beside it."""
    threshold, behind = _threshold(case), case.behind
    name, title, note = "time-to-threshold", f"Time to {threshold:g} kPa", ""
    raw = raw_crossing_s(behind.t_s, behind.rise_kpa + behind.base_kpa, threshold)
    after = behind.low_t_s > 0.0
    timed = crossing_s(behind.low_t_s[after], behind.low_kpa[after], threshold) if after.any() else None
    if timed is None and raw is not None:
        timed, note = raw, "of the first sample: the rise ended within half a stroke of it"
    if timed is None or raw is None:
        yield reported(name, title, None, "s", "never reached", depends_on=HOLDS)
        return
    case.keep("raw_time_to_threshold_s", raw)
    if case.line is not None:
        takes = case.line.ul_per_kpa + case.line.creep_ul_per_kpa
        leak = max(case.line.leak_ul_per_s_kpa, 0.0)
        expected = time_to_rise_s(threshold - behind.base_kpa, case.flow_ul_per_s, takes, leak)
        if math.isfinite(expected):
            case.keep("expected_time_s", expected)
            note = "; ".join(filter(None, (note, f"{expected:.0f} s by flow before and compliance")))
    u = math.hypot(case.record.u_kpa(threshold) / behind.mean_slope, MOMENT_S)
    yield told(name, title, timed, u, "s", "dut", note, depends_on=HOLDS)


def _highest(case: Case, slipping: Slip | None) -> Check:
    """The highest pressure; a pump that had its time and does not reach the threshold in a tight line has failed."""
    threshold, top = _threshold(case), case.behind.top_kpa
    fields = judge(top, case.record.u_kpa(top), math.inf, Limits(threshold, None, "protocol"), SIMPLE)
    fields["verdict"], note = Verdict.PASS, ""
    if top < threshold:
        fields["verdict"], note = Verdict.FAIL, _why_not(case, slipping)
        if case.occluded.opened_s is None:
            fields["verdict"], note = Verdict.NOT_MEASURED, "the run ended during the rise"
        elif case.line is None:
            fields["verdict"], note = Verdict.NOT_MEASURED, f"{note}: without the metered step nothing tells which"
        elif doubt := _untold(case, case.line) or _given_up_early(case, case.line):
            fields["verdict"], note = Verdict.NOT_MEASURED, doubt
    return Check(
        name="reaches-threshold",
        title="Highest pressure",
        unit="kPa",
        owner="dut",
        depends_on=HOLDS,
        note=note,
        **fields,
    )


def _untold(case: Case, line: ClosedLine) -> str:
    """Why nothing that the line may have lost is the pump's; empty where it is known to be tight, or not to be."""
    if _delivers_nothing(case) or not tightness_untold(case.record, line):
        return ""
    return "nobody knows whether the line is tight, see line-tight"


def _delivers_nothing(case: Case) -> bool:
    """Whether next to nothing came while the line was open: it needs neither time nor a tight line to be told."""
    return 100.0 * case.volumes.before_ul_per_h[0] < STOPPED * case.occluded.rate_ul_per_h


def _given_up_early(case: Case, line: ClosedLine) -> str:
    """What to do where the rise did not last as long as this line, as it may leak, and the flow before need; else "".

    A leak that takes all for certain needs no time to be told: it is the rig's.
    """
    flow, budget = case.volumes.before_ul_per_h
    closed_s, opened_s, rate = case.occluded.closed_s, case.occluded.opened_s, case.occluded.rate_ul_per_h
    if closed_s is None or opened_s is None or _delivers_nothing(case):
        return ""
    threshold = _threshold(case)
    takes = line.ul_per_kpa + line.creep_ul_per_kpa
    rise_kpa = threshold + 2.0 * case.record.u_kpa(threshold) - case.behind.base_kpa
    least_ul_per_s = (flow - min(budget.expanded, 0.5 * flow)) / HOUR_S
    certain, possible = (max(line.leak_ul_per_s_kpa + by * line.u_leak, 0.0) for by in (-CERTAIN, CERTAIN))
    if math.isinf(time_to_rise_s(rise_kpa, least_ul_per_s, takes, certain)):
        return ""
    tight_s, leaking_s = (
        (1.0 + LATE) * time_to_rise_s(rise_kpa, least_ul_per_s, takes + 2.0 * line.u_ul_per_kpa, leak)
        for leak in (0.0, possible)
    )
    lasted_s = opened_s - closed_s
    if lasted_s >= leaking_s:
        return ""
    if math.isinf(leaking_s):
        return f"a leak of up to {possible * threshold * HOUR_S:.3g} uL/h may take the whole flow; see line-tight"
    return (
        f"the rise was given up after {lasted_s / 60.0:.3g} min, and at the flow before a line of {takes:.3g} uL/kPa "
        f"takes up to {leaking_s / 60.0:.3g} min to {threshold:g} kPa; set line to "
        f"{takes * rate / flow * leaking_s / tight_s:.3g} uL/kPa"
    )


def _why_not(case: Case, slipping: Slip | None) -> str:
    """Why the pressure ended below the threshold."""
    line = case.line
    if slipping is not None:
        most = highest_rise_kpa(case.flow_ul_per_s, slipping.lost_ul_per_s_kpa, slipping.kpa)
        return f"the rollers slip from {slipping.kpa:.0f} kPa on, the pressure ends at {most:.0f} kPa"
    if line is not None and line.leak_ul_per_s_kpa > CERTAIN * line.u_leak:
        most = case.behind.base_kpa + highest_rise_kpa(case.flow_ul_per_s, line.leak_ul_per_s_kpa)
        if most < _threshold(case):
            return f"with this leak the pressure ends at {most:.0f} kPa"
    return "the pump stopped, or the line did not close"


def _by_rise(case: Case) -> Iterator[Check]:
    """Compliance from the pump's own flow: that before closing over the slope at closing."""
    behind, line = case.behind, case.line
    flow, budget = case.volumes.before_ul_per_h
    taken = behind.rise_kpa
    if line is not None and line.creep_ul_per_kpa:
        taken = taken + line.creep_share * followed(behind.t_s, behind.rise_kpa, line.creep_s)
    law = initial_slope(behind.t_s, taken)
    if law is None or law.slope_kpa_per_s <= 0.0 or flow <= 0.0:
        return
    value = flow / HOUR_S / law.slope_kpa_per_s
    used = behind.rise_kpa[behind.t_s <= law.until_s]
    strokes = max(flow / HOUR_S * law.until_s / case.record.stroke_ul, 1.0) if case.record.stroke_ul else 1.0
    swing = math.sqrt(2.0) * law.residual_kpa / max(float(np.max(used)), 1e-9)
    slope = Component("slope at closing", value * STROKE_SHARE * swing / strokes)
    u = Budget("compliance", "uL/kPa", (slope, Component("flow before", value * budget.u / flow))).u
    case.keep("compliance_by_rise_ul_per_kpa", value)
    case.keep("slope_kpa_per_s", law.slope_kpa_per_s)
    case.keep("closing_step_kpa", law.step_kpa)
    note = "without a metered step creep is in it" if line is None else ""
    title = "Compliance by the pump's flow"
    yield told("compliance-by-rise", title, value, u, "uL/kPa", "rig", note, depends_on=HOLDS)


def _slip(case: Case) -> Slip | None:
    """The slip of the rollers, where the line is known and the pump has any."""
    if case.line is None or case.flow_ul_per_s <= 0.0 or case.record.run.dut.get("kind") != "peristaltic":
        return None
    behind = case.behind
    return slip(behind.t_s, behind.rise_kpa, behind.base_kpa, case.flow_ul_per_s, case.line)


def _slips(case: Case, slipping: Slip | None) -> Iterator[Check]:
    """From which pressure the rollers slip; where they do not, they held up to the highest."""
    if case.record.run.dut.get("kind") != "peristaltic":
        return
    name, title = "slip-pressure", "Rollers hold up to"
    limits, top = case.limits("pressure_at_least_kpa", None), case.behind.top_kpa
    if case.line is None:
        if limits is not None:
            yield unmeasured(name, title, "kPa", "without the metered step nothing tells what the pump has pushed")
        return
    if slipping is None:
        fields = judge(top, case.record.u_kpa(top), math.inf, limits, SIMPLE)
        if limits is not None and limits.low is not None and top < limits.low:
            fields["verdict"] = Verdict.NOT_MEASURED
        note = (
            f"no slip up to the highest pressure; a loss of less than {100.0 * LEAST_SHARE:g} % of the flow is not seen"
        )
    else:
        fields = judge(slipping.kpa, math.hypot(slipping.u_kpa, case.record.u_kpa(slipping.kpa)), math.inf, limits)
        note = f"above it they lose {slipping.lost_ul_per_s_kpa * HOUR_S:.3g} uL/h for each kPa"
        failed = fields["verdict"].fails
        if failed and (doubt := _untold(case, case.line)):
            fields["verdict"], note = Verdict.NOT_MEASURED, f"{note}; {doubt}"
    yield Check(
        name=name,
        title=title,
        unit="kPa",
        owner="dut",
        depends_on=HOLDS,
        optional=limits is None,
        note=note,
        **fields,
    )


def _alarms(case: Case) -> Iterator[Check]:
    """Time to the pump's own alarm, and the pressure at it; a pump that has none is not failed for it."""
    name, title = "alarm-pressure", "Pressure at the alarm"
    if "occlusion" not in case.record.run.dut.get("alarms", ()):
        note = "n/a by model: it has no occlusion alarm"
        yield reported("time-to-alarm", "Time to occlusion alarm", None, "s", note)
        return
    limits = case.limits(None, "alarm_at_most_kpa")
    found = alarm_after(case.record.run, case.occluded)
    behind, record = case.behind, case.record
    if found is None:
        yield _without_a_moment(case, limits)
        return
    yield told("time-to-alarm", "Time to occlusion alarm", found.after_s, found.u_s, "s", "dut", depends_on=HOLDS)
    at = float(np.interp(found.after_s, behind.t_s, behind.rise_kpa)) + behind.base_kpa
    fields = judge(at, math.hypot(record.u_kpa(at), behind.mean_slope * found.u_s), math.inf, limits)
    yield Check(name=name, title=title, unit="kPa", owner="dut", depends_on=HOLDS, optional=limits is None, **fields)


def _without_a_moment(case: Case, limits: Limits | None) -> Check:
    """An alarm that no log timed: it came below the highest pressure, or the pump was silent beyond its limit."""
    top, stands = case.behind.top_kpa, stood(case.record.run, case.occluded)
    u_top = case.record.u_kpa(top)
    if stands:
        fields = judge(top, u_top, math.inf, limits)
        note = "at most: it stood when the pump was read at the end of the rise, and no log tells when it sounded"
        if fields["verdict"] not in (Verdict.PASS, Verdict.CONDITIONAL_PASS):
            fields["verdict"] = Verdict.NOT_MEASURED
    else:
        beyond = _threshold(case) if limits is None or limits.high is None else limits.high
        silent = top > beyond + 2.0 * case.record.u_kpa(beyond)
        fields = {"value": None, "verdict": Verdict.FAIL if silent else Verdict.NOT_MEASURED}
        note = f"no alarm up to {top:.1f} kPa" + ("" if silent else ", and the pressure rose no higher")
        if stands is None:
            fields["verdict"] = Verdict.NOT_MEASURED
            note = "nobody knows of an alarm: no log tells, and one stood before, or the pump was not asked"
    return Check(
        name="alarm-pressure",
        title="Pressure at the alarm",
        unit="kPa",
        owner="dut",
        depends_on=HOLDS,
        optional=bool(stands) and limits is None,
        note=note,
        **fields,
    )
