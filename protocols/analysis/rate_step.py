"""The verdict of a rate-step run: start-up, and after each change its settling, new mean and overshoot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.checks import Axis, Check, Curve, Evaluation, Exclusion, Limits, Verdict
from data.run import Run
from data.samples import FloatArray
from protocols.analysis import delivery
from protocols.analysis.budget import Budget, bounded, coverage_factor
from protocols.analysis.decision import judge, reported, result
from protocols.analysis.flow_blanks import known_record
from protocols.analysis.flow_events import interruptions, undriven
from protocols.analysis.flow_parts import anew
from protocols.analysis.gravimetric_record import GravimetricRecord, GravimetricRecordError
from protocols.analysis.grid import kept
from protocols.analysis.rate_course import course
from protocols.analysis.rig_fitness import doubt_percent, fitness
from protocols.analysis.short_volume import short_volume
from protocols.analysis.standing import ON_WITNESSED, as_limits, exclusions, of_a_run_cut_off, on_suitability
from protocols.analysis.start import doubt_by_balance, rule_of, start_check, start_within
from protocols.analysis.suitability import CERTAIN
from protocols.analysis.time_course import Course, levelled, standing_zero, time_course
from protocols.analysis.witness import MINUTE_S

HOUR_S = 3600.0
INTERVAL_S = 60.0
"""Step of the window of one stroke that finds the settling."""

LEAST_OVER_U = delivery.LEAST_OVER_U


@dataclass(frozen=True, slots=True)
class Plateau:
    """A rate and the time for which it was held, on the run's clock."""

    number: int
    from_s: float
    to_s: float
    rate_ul_per_h: float

    def stroke_s(self, stroke_ul: float) -> float:
        """Duration of a stroke at the programmed rate, which the rotor keeps whatever it delivers."""
        return stroke_ul / self.rate_ul_per_h * HOUR_S

    def whole(self, stroke_ul: float, length_s: float) -> tuple[float, int]:
        """The longest time of whole strokes within a length, and their number; the length itself where none fits."""
        stroke_s = self.stroke_s(stroke_ul)
        count = math.floor(length_s / stroke_s + 1e-6) if stroke_s > 0.0 else 0
        return (count * stroke_s, count) if count else (length_s, 0)


def evaluate(run: Run) -> Evaluation:
    """Judge a rate-step run."""
    try:
        plateaus = plateaus_of(run)
        changes = [(one.from_s - plateaus[0].from_s, one.rate_ul_per_h) for one in plateaus]
        length_s = plateaus[-1].to_s - plateaus[0].from_s
        record = known_record(run, course(changes, length_s), (plateaus[0].from_s, plateaus[-1].to_s))
    except GravimetricRecordError as error:
        return Evaluation((_nothing(str(error)), *undriven(run)))
    record = replace(record, flow_zero_ul_per_h=standing_zero(record))
    excluded = exclusions(record)
    fit = tuple(fitness(record, excluded))
    bad = {check.name for check in fit if check.verdict is Verdict.INVALID}
    course_of = time_course(record)
    found = [*_start(record, plateaus[0], course_of, excluded), *steps(record, plateaus, course_of, excluded)]
    found += interruptions(record, excluded, doubt_percent(record, fit), ON_WITNESSED)
    judged = [on_suitability(check, bad) for check in found]
    planned = sum(step["step"] == "Phase" for step in run.steps)
    last = plateaus[-1]
    if len(record.phases) < planned or last.to_s - last.from_s < float(run.params["hold_s"]) - 1.0:
        judged = [of_a_run_cut_off(check) for check in judged]
    return Evaluation((*judged, *fit), tuple(_curves(record, plateaus, course_of)), excluded)


def _nothing(note: str) -> Check:
    return Check("step-1-error", "Step 1, new mean", None, "%", Verdict.NOT_MEASURED, "dut", note=note)


def plateaus_of(run: Run) -> tuple[Plateau, ...]:
    """Each rate from when the pump had confirmed it; those that were reached."""
    phases = {phase.name: (phase.t0, phase.t1) for phase in run.phases}
    names = [str(step["name"]) for step in run.steps if step["step"] == "Phase"]
    reached = [name for name in names if name in phases and not name.startswith("blank")]
    commands = run.records("pump-command")
    started = [e for e in commands if str(e.fields["command"]).startswith("RUN")]
    if not started or not reached:
        raise GravimetricRecordError("delivery never started; the run ended before the pump was told to run")
    begins = [float(started[0].fields["confirmed_s"])]
    for event in commands:
        if str(event.fields["command"]).startswith("SET") and event.t > begins[0]:
            begins.append(float(event.fields["confirmed_s"]))
    ends = [*begins[1 : len(reached)], phases[reached[-1]][1]]
    rates = _rates(run)
    return tuple(
        Plateau(number, begin, end, rate)
        for number, (begin, end, rate) in enumerate(zip(begins, ends, rates, strict=False))
        if end > begin
    )


def _rates(run: Run) -> list[float]:
    """Programmed rates in order, from the plan."""
    programs = [step["schedule"]["basal"] for step in run.steps if step["step"] == "Program"]
    return [float(basal["rate_ul_per_h"]) for basal in programs]


# ---------------------------------------------------------------------------------------------------- in time


def settling_s(
    t_s: FloatArray, volume_ul: FloatArray, from_s: float, to_s: float, window_s: float, mean: float, band: float
) -> float | None:
    """Time after ``from_s`` from which every window's mean flow is within a band around the mean; None if it never is.

    Parameters
    ----------
    t_s, volume_ul : (n,) record.
    window_s : a whole stroke, so that no window sees the pump's wave.
    mean : in uL/h.
    band : as a share of the mean.
    """
    last = to_s - window_s
    if last < from_s:
        return None
    begins = from_s + INTERVAL_S * np.arange(math.floor((last - from_s) / INTERVAL_S + 1e-6) + 1, dtype=np.float64)
    flow = (np.interp(begins + window_s, t_s, volume_ul) - np.interp(begins, t_s, volume_ul)) / window_s * HOUR_S
    outside = np.flatnonzero(np.abs(flow - mean) > band * abs(mean))
    if not outside.size:
        return 0.0
    if outside[-1] == begins.size - 1:
        return None
    return float(begins[outside[-1] + 1] - from_s)


# --------------------------------------------------------------------------------------------------- start-up


def _start(
    record: GravimetricRecord, first: Plateau, course_of: Course, excluded: Sequence[Exclusion]
) -> Iterator[Check]:
    """Time until the flow was there and stayed, and what the start delivered.

    Whether it was there is a question of its level, which is the balance's whatever the sensor shows.
    """
    by_balance = course_of.by == "balance"
    rate, span = first.rate_ul_per_h, (first.from_s, first.to_s)
    rule = rule_of(record, rate, by_balance=by_balance)
    unseen = excluded if by_balance else ()  # nobody touched the sensor
    if by_balance:
        doubt = doubt_by_balance(record, rate, first.from_s, rule)
    else:
        course_of, level = levelled(record, course_of, span, delivery.STARTED * rate, excluded)
        doubt = level.expanded / 100.0
    expected = delivery.constant_rate(rate)
    start = start_within(course_of.t_s, course_of.volume_ul, expected, span, rule, unseen, doubt)
    yield start_check(record, start, span, rule, unseen, ON_WITNESSED, f"by the {course_of.by}")
    yield transition(record, first, "start-up-volume", "Start-up, delivered against programmed", excluded)


# ------------------------------------------------------------------------------------------------------ steps


def steps(
    record: GravimetricRecord, plateaus: Sequence[Plateau], course_of: Course, excluded: Sequence[Exclusion]
) -> Iterator[Check]:
    """Each rate's new mean and whole volume, and of each change what it changed, its settling and its overshoot."""
    means: list[tuple[float, Budget] | None] = []
    for one in plateaus:
        name = f"step-{one.number}" if one.number else "start"
        title = f"Step {one.number}" if one.number else "First rate"
        mean = _mean(record, one, excluded)
        means.append(mean)
        yield _mean_check(record, one, mean, f"{name}-error", f"{title}, new mean against programmed")
        yield plateau(record, one, f"{name}-plateau", f"{title}, all that was delivered at it", excluded)
        before = means[one.number - 1] if one.number else None
        if mean is not None and before is not None and before[0] > CERTAIN * before[1].u:
            achieved = 100.0 * (mean[0] / before[0] - 1.0)
            asked = 100.0 * (one.rate_ul_per_h / plateaus[one.number - 1].rate_ul_per_h - 1.0)
            u = 100.0 / before[0] * math.hypot(mean[1].u, mean[0] / before[0] * before[1].u)
            note = f"programmed {asked:+.3g} %"
            check = reported(f"{name}-change", f"{title}, change of the mean", achieved, "%", note, ON_WITNESSED)
            yield replace(check, **judge(achieved, u, math.inf, None))
        if one.number:
            yield _settling(record, one, course_of, name, title)
            yield transition(record, one, f"{name}-overshoot", f"{title}, overshoot", excluded)


def _mean(record: GravimetricRecord, one: Plateau, excluded: Sequence[Exclusion]) -> tuple[float, Budget] | None:
    """Mean flow over the whole strokes of the plateau's last half, in uL/h; None where it cannot be told."""
    length_s, strokes = one.whole(record.stroke_ul, (one.to_s - one.from_s) / 2.0)
    begin = one.to_s - length_s
    if kept(begin, one.to_s, excluded) != [(begin, one.to_s)]:
        return None
    volume, budget = short_volume(record, begin, one.to_s)
    if not strokes and record.stroke_ul:
        budget = budget.plus(bounded("part of a stroke", record.stroke_ul / 2.0))
    per_hour = HOUR_S / length_s
    return volume * per_hour, budget.scaled("mean flow", "uL/h", per_hour)


def _mean_check(
    record: GravimetricRecord, one: Plateau, mean: tuple[float, Budget] | None, name: str, title: str
) -> Check:
    limits = as_limits(record.dut["limits"]["segment"])
    if mean is None:
        return replace(reported(name, title, None, "%", "part of it is excluded", ON_WITNESSED), optional=False)
    flow, budget = mean
    percent = budget.scaled(title, "%", 100.0 / one.rate_ul_per_h)
    length_s, strokes = one.whole(record.stroke_ul, (one.to_s - one.from_s) / 2.0)
    note = f"{strokes} whole strokes, {length_s / 60.0:.4g} min" if strokes else "less than one stroke"
    if limits is None:
        note += "; the pump's file declares no [limits.segment]"
    error = 100.0 * (flow / one.rate_ul_per_h - 1.0)
    # Not optional: it is the run's result, and without a limit there is no verdict.
    return result(name, title, error, percent, limits, depends_on=ON_WITNESSED, note=note, optional=False)


def _settling(record: GravimetricRecord, one: Plateau, course_of: Course, name: str, title: str) -> Check:
    """Time after the change from which every stroke's mean stays within the band around the new mean."""
    band = float(record.run.params["band_percent"]) / 100.0
    length_s, _ = one.whole(record.stroke_ul, (one.to_s - one.from_s) / 2.0)
    mean = course_of.passed_ul(one.to_s - length_s, one.to_s) / length_s * HOUR_S
    window = one.stroke_s(record.stroke_ul) or MINUTE_S
    doubt = _difference(record, one, course_of, window, mean, band)
    found, soonest, latest = (
        settling_s(course_of.t_s, course_of.volume_ul, one.from_s, one.to_s, window, mean, within)
        for within in (band, band + doubt, band - doubt)
    )
    note = f"within {100.0 * band:g} % of its new mean, by the {course_of.by}"
    u = INTERVAL_S / math.sqrt(12.0)
    if found is None:
        note = f"not settled within {(one.to_s - one.from_s) / HOUR_S:.3g} h, by the {course_of.by}"
    elif soonest is None or latest is None:
        note += f"; it may not have settled, for what is known of the flow, which is {100.0 * doubt:.2g} %"
    else:
        u = math.hypot(u, max(found - soonest, latest - found) / coverage_factor(math.inf))
    check = reported(f"{name}-settling", f"{title}, settling time", found, "s", note, ON_WITNESSED)
    return replace(check, **judge(found, None if found is not None and latest is None else u, math.inf, None))


def _difference(
    record: GravimetricRecord, one: Plateau, course_of: Course, window_s: float, mean: float, band: float
) -> float:
    """U of the difference between a window's flow and the mean after it, as a share of the mean.

    The sensor's gain is in both, and of its zero only what is wrong of the band.
    """
    if mean <= 0.0:
        return band
    if course_of.by == "balance":
        _, budget = short_volume(record, one.to_s - window_s, one.to_s)
        return budget.expanded / (mean * window_s / HOUR_S)
    changed = course_of.u_change_ul_per_h(mean, one.to_s - one.from_s)
    return coverage_factor(math.inf) * math.hypot(changed, band * course_of.u_zero_ul_per_h) / mean


def transition(record: GravimetricRecord, one: Plateau, name: str, title: str, excluded: Sequence[Exclusion]) -> Check:
    """Volume in the time after a change against the programmed one, over whole strokes of the new rate."""
    limits = as_limits(record.dut["limits"]["segment"])
    length_s, strokes = one.whole(
        record.stroke_ul, min(float(record.run.params["transition_s"]), one.to_s - one.from_s)
    )
    end = one.from_s + length_s
    if kept(one.from_s, end, excluded) != [(one.from_s, end)]:
        check = reported(name, title, None, "%", "part of it is excluded", ON_WITNESSED)
        return replace(check, optional=limits is None)
    volume, budget = short_volume(record, one.from_s, end)
    if not strokes and record.stroke_ul:
        budget = budget.plus(bounded("part of a stroke", record.stroke_ul / 2.0))
    expected = one.rate_ul_per_h * length_s / HOUR_S
    check = _volume_check(name, title, (volume, expected), budget, limits, f"in the first {length_s / 60.0:.4g} min")
    if expected < LEAST_OVER_U * budget.u:
        note = f"expected {expected:.4g} uL is under {LEAST_OVER_U:g} u of {budget.u:.2g} uL"
        check = replace(check, verdict=Verdict.NOT_CAPABLE, note=note)
    return check


def plateau(record: GravimetricRecord, one: Plateau, name: str, title: str, excluded: Sequence[Exclusion]) -> Check:
    """Volume of all whole strokes of a rate against the programmed one: what is in neither transition nor new mean.

    Each stretch that exclusions leave has readings of its own, and is cut somewhere in a stroke.
    """
    limits = as_limits(record.dut["limits"]["segment"])
    length_s, strokes = one.whole(record.stroke_ul, one.to_s - one.from_s)
    end = one.from_s + length_s
    stretches = kept(one.from_s, end, excluded)
    if not stretches:
        check = reported(name, title, None, "%", "all of it is excluded", ON_WITNESSED)
        return replace(check, optional=limits is None)
    volume = math.fsum(short_volume(record, *stretch)[0] for stretch in stretches)
    budget = anew(short_volume(record, one.from_s, end)[1], len(stretches))
    if record.stroke_ul and (not strokes or stretches != [(one.from_s, end)]):
        budget = budget.plus(bounded("part of a stroke", math.sqrt(len(stretches)) * record.stroke_ul / 2.0))
    left_s = math.fsum(to_s - from_s for from_s, to_s in stretches)
    said = f"in {left_s / 60.0:.4g} min"
    return _volume_check(name, title, (volume, one.rate_ul_per_h * left_s / HOUR_S), budget, limits, said)


def _volume_check(
    name: str, title: str, volumes_ul: tuple[float, float], budget: Budget, limits: Limits | None, said: str
) -> Check:
    """A delivered volume against the programmed one, in percent; ``volumes_ul`` are both."""
    volume, expected = volumes_ul
    percent = budget.scaled(title, "%", 100.0 / expected)
    error, note = 100.0 * (volume / expected - 1.0), f"{volume - expected:+.3g} uL {said}"
    return result(name, title, error, percent, limits, depends_on=ON_WITNESSED, note=note)


# ----------------------------------------------------------------------------------------------------- curves


def _curves(record: GravimetricRecord, plateaus: Sequence[Plateau], course_of: Course) -> Iterator[Curve]:
    """Flow in windows of one stroke of the rate that is programmed, stroke after stroke."""
    edges, programmed = [plateaus[0].from_s], []
    for one in plateaus:
        stroke_s = one.stroke_s(record.stroke_ul) or MINUTE_S
        count = math.floor((one.to_s - one.from_s) / stroke_s + 1e-6)
        edges += [one.from_s + (i + 1) * stroke_s for i in range(count)]
        programmed += [one.rate_ul_per_h] * count
    if len(edges) < 2:
        return
    t_s = np.array(edges)
    length = np.diff(t_s) / HOUR_S
    times, volumes = record.volumes(*record.analysis)
    balance = np.diff(np.interp(t_s, times, volumes)) / length
    hours = ((t_s[1:] + t_s[:-1]) / 2.0 - plateaus[0].from_s) / HOUR_S
    axes = [Axis("balance", "uL/h", balance), Axis("programmed", "uL/h", np.array(programmed))]
    if course_of.by != "balance":
        axes.append(Axis("sensor", "uL/h", np.diff(course_of.at(t_s)) / length))
    yield Curve("flow", "Flow, stroke by stroke", Axis("time", "h", hours), tuple(axes))
