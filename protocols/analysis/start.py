"""When a delivery began: the first interval with the programmed flow after which the flow stays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.checks import Check, Exclusion, Limits, Verdict
from data.samples import FloatArray
from protocols.analysis.budget import coverage_factor
from protocols.analysis.decision import judge
from protocols.analysis.delivery import STARTED
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.grid import BoolArray, kept
from protocols.analysis.mass_steps import Expected
from protocols.analysis.short_volume import short_volume
from protocols.analysis.standing import source
from protocols.analysis.time_course import line_warming

HOUR_S, MINUTE_S = 3600.0, 60.0
INTERVAL_OVER_NOISE = 20.0
"""The volume of an interval in which a start is looked for, over the noise of the readings at its two ends."""

STAYS_OVER_NOISE = 100.0
"""That of the time over which the flow has to stay: a pump a little below 95 % is not let through by noise."""

STAYS_S = 900.0
SHOTS = 20
"""The flow of a pump that delivers in shots stays over a multiple of so many: 19 of 20 are 95 %, wherever they fall."""

READINGS = 3
"""An interval holds the time of so many readings at least."""


@dataclass(frozen=True, slots=True)
class StartRule:
    """How a start is looked for.

    Attributes
    ----------
    interval_s : in which 95 % of what is programmed has to come; in shots, all but one of them, and one at least.
    shot_ul : volume of a shot; 0 for a pump that turns or only flows.
    stays_s : over which 95 % has to come after it: whole strokes.
    u_s : standard uncertainty of the moment: of the interval, and of when a pump that delivers in shots gives a shot.
    """

    interval_s: float
    shot_ul: float
    stays_s: float
    u_s: float


def start_rule(rate_ul_per_h: float, stroke_ul: float, in_shots: bool, noise_ul: float, apart_s: float) -> StartRule:
    """The shortest intervals that the readings can tell.

    Parameters
    ----------
    noise_ul : standard uncertainty of a volume from the noise of two readings.
    apart_s : time between two readings.
    """
    per_s = rate_ul_per_h / HOUR_S
    least_s = max(INTERVAL_OVER_NOISE * noise_ul / per_s, READINGS * apart_s)
    interval_s = max(math.ceil(least_s / MINUTE_S), 1) * MINUTE_S
    stroke_s = stroke_ul / per_s
    stays_s, whole_s = max(STAYS_S, STAYS_OVER_NOISE * noise_ul / per_s), stroke_s * (SHOTS if in_shots else 1)
    if whole_s > 0.0:
        stays_s = math.ceil(stays_s / whole_s - 1e-9) * whole_s
    u_s = math.hypot(interval_s, stroke_s if in_shots else 0.0) / math.sqrt(12.0)
    return StartRule(interval_s, stroke_ul if in_shots else 0.0, stays_s, u_s)


def rule_of(record: GravimetricRecord, rate_ul_per_h: float, *, by_balance: bool = True) -> StartRule:
    """The rule for the pump and the balance of a run; a flow sensor's minutes have no noise to speak of."""
    weighing = record.collected.weighing
    noise = math.sqrt(2.0) * weighing.repeatability_mg * record.collected.ul_per_mg if by_balance else 0.0
    apart_s = float(np.median(np.diff(record.collected.t_s))) if by_balance else 0.0
    in_shots = record.dut.get("kind") == "valve-gated"
    return start_rule(rate_ul_per_h, record.stroke_ul, in_shots, noise, apart_s)


@dataclass(frozen=True, slots=True)
class Start:
    """When a delivery began; each moment None where the flow never came.

    Attributes
    ----------
    at_s : as the flow was measured.
    soonest_s, latest_s : were the flow larger, or smaller, by as much as it may be.
    doubt : by how much, as a share of it.
    """

    at_s: float | None
    soonest_s: float | None
    latest_s: float | None
    doubt: float = 0.0

    def u_s(self, rule: StartRule) -> float | None:
        """Standard uncertainty of the moment; None where the flow came as measured, and may never have come."""
        if self.at_s is None or self.soonest_s is None:
            return rule.u_s
        if self.latest_s is None:
            return None
        farther_s = max(self.at_s - self.soonest_s, self.latest_s - self.at_s)
        return math.hypot(rule.u_s, farther_s / coverage_factor(math.inf))


def doubt_by_balance(record: GravimetricRecord, rate_ul_per_h: float, from_s: float, rule: StartRule) -> float:
    """U of a mean flow by the balance over the time for which it has to stay, as a share of what then has to come."""
    span = from_s, from_s + rule.stays_s
    _, budget = short_volume(record, *span)
    return budget.plus(line_warming(record, *span)).expanded / (STARTED * rate_ul_per_h * rule.stays_s / HOUR_S)


def start_within(
    t_s: FloatArray,
    volume_ul: FloatArray,
    expected: Expected,
    span: tuple[float, float],
    rule: StartRule,
    excluded: Sequence[Exclusion],
    doubt: float,
) -> Start:
    """`started_s`, and what it would be if every flow were larger or smaller by a share ``doubt``.

    Notes
    -----
    In an interval longer than a minute, and in the one before it, which it came in the midst of, a flow may have come
    sooner without being seen.
    """
    at_s, soonest_s, latest_s = (
        started_s(t_s, volume_ul * share, expected, span, rule, excluded) for share in (1.0, 1.0 + doubt, 1.0 - doubt)
    )
    if soonest_s is not None:
        soonest_s = max(soonest_s - 2.0 * (rule.interval_s - MINUTE_S), min(soonest_s, span[0] + MINUTE_S))
    return Start(at_s, soonest_s, latest_s, doubt)


def started_s(
    t_s: FloatArray,
    volume_ul: FloatArray,
    expected: Expected,
    span: tuple[float, float],
    rule: StartRule,
    excluded: Sequence[Exclusion] = (),
) -> float | None:
    """END of the first interval with 95 % of what is programmed after which as much stays; None if there is none.

    Parameters
    ----------
    t_s, volume_ul : (n,) record over the span.
    expected : cumulative programmed volume.
    span : from when on a start is looked for, and to when it has to have stayed.
    excluded : nothing is concluded from them.
    """
    from_s, to_s = span
    count = math.floor((to_s - from_s - rule.stays_s) / rule.interval_s + 1e-9)
    if count < 1:
        return None
    ends: FloatArray = from_s + rule.interval_s * np.arange(1.0, count + 1.0)
    there = _enough(t_s, volume_ul, expected, ends - rule.interval_s, ends, rule.shot_ul)
    there &= _enough(t_s, volume_ul, expected, ends, ends + rule.stays_s, rule.shot_ul / 2.0)  # 19 are 19, noise or not
    for one in excluded:
        there &= (ends + rule.stays_s <= one.from_s) | (ends - rule.interval_s >= one.to_s)
    found = np.flatnonzero(there)
    return float(ends[found[0]]) if found.size else None


def _enough(
    t_s: FloatArray, volume_ul: FloatArray, expected: Expected, begins: FloatArray, ends: FloatArray, missing_ul: float
) -> BoolArray:
    """Whether 95 % of what is programmed came between each begin and end, but for what may be missing.

    Never where nothing is programmed, or nothing came.
    """
    came = np.interp(ends, t_s, volume_ul) - np.interp(begins, t_s, volume_ul)
    wanted = expected(ends) - expected(begins)
    # A pump at exactly 95 % has started, whatever the last bit of the arithmetic says.
    least = STARTED * wanted * (1.0 - 1e-9)
    least = np.maximum(least - missing_ul, np.minimum(least, missing_ul / 2.0)) if missing_ul > 0.0 else least
    return np.asarray((wanted > 0.0) & (came >= least), dtype=np.bool_)


def start_check(
    record: GravimetricRecord,
    start: Start | float | None,
    span: tuple[float, float],
    rule: StartRule,
    unseen: Sequence[Exclusion],
    depends_on: tuple[str, ...],
    by: str = "",
) -> Check:
    """The start against what the pump's file declares.

    Parameters
    ----------
    start : on the run's clock; a moment alone, or None for a flow that never came, where the flow is beyond doubt.
    span : from the command to the end of what was looked at.
    unseen : stretches in which nobody could see a start.
    by : whose record it is, where that is to be said.
    """
    start = start if isinstance(start, Start) else Start(start, start, start)
    declared = record.dut["limits"]["start_up"]
    limits = Limits(None, declared["at_most_s"], source(declared)) if declared else None
    at_s = start.at_s
    fields = judge(None if at_s is None else at_s - span[0], start.u_s(rule), math.inf, limits)
    notes = [by]
    if at_s is None:
        length_s = span[1] - span[0]
        notes.insert(0, f"never within {length_s / HOUR_S:.3g} h; it has to stay for {rule.stays_s / MINUTE_S:.3g} min")
    if start.soonest_s != start.latest_s:
        notes.append(_told(start, span[0]))
    if limits is not None:
        fields["verdict"] = _verdict(start, span, rule, limits)
    before_s = span[1] if at_s is None else at_s
    if fields["verdict"] is not Verdict.PASS and kept(span[0], before_s, unseen) != [(span[0], before_s)]:
        # It may have started in what is left out: the time is at most this.
        fields["verdict"] = Verdict.NOT_MEASURED
        notes.append("part of the time before is excluded")
    return Check(
        name="start-up", title="Start-up time", unit="s", owner="dut", optional=limits is None,
        depends_on=depends_on, note=_joined(notes), **fields,
    )  # fmt: skip


def _verdict(start: Start, span: tuple[float, float], rule: StartRule, limits: Limits) -> Verdict:
    """That of the soonest and of the latest start, where it is the same."""
    measured, *others = (
        _verdict_of(moment, span, rule, limits) for moment in (start.at_s, start.soonest_s, start.latest_s)
    )
    found = {measured, *others}
    passes = found & {Verdict.PASS, Verdict.CONDITIONAL_PASS}
    if len(found) == 1:
        return measured
    if Verdict.NOT_CAPABLE in found:
        return Verdict.NOT_CAPABLE
    if Verdict.NOT_MEASURED in found or (passes and Verdict.FAIL in found):
        return Verdict.NOT_MEASURED
    return Verdict.CONDITIONAL_PASS if measured in passes else Verdict.CONDITIONAL_FAIL


def _verdict_of(moment_s: float | None, span: tuple[float, float], rule: StartRule, limits: Limits) -> Verdict:
    """Of a start beyond doubt; one that never came is a fail if it could have stayed for long enough before the end."""
    if moment_s is not None:
        verdict: Verdict = judge(moment_s - span[0], rule.u_s, math.inf, limits)["verdict"]
        return verdict
    seen_s = span[1] - span[0] - rule.stays_s
    too_late = limits.high is not None and seen_s > limits.high + coverage_factor(math.inf) * rule.u_s
    return Verdict.FAIL if too_late else Verdict.NOT_MEASURED


def _told(start: Start, from_s: float) -> str:
    """Between which times the start lies, for what is known of the flow."""
    soonest, latest = (
        "never" if moment is None else f"{(moment - from_s) / MINUTE_S:.3g} min"
        for moment in (start.soonest_s, start.latest_s)
    )
    return f"with a flow known to {100.0 * start.doubt:.2g} % between {soonest} and {latest}"


def _joined(notes: Sequence[str]) -> str:
    return "; ".join(note for note in notes if note)
