"""The verdict of a bolus-accuracy run: each bolus by the balance with U, and what the pump answered to requests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.checks import Axis, Check, Curve, Evaluation, Exclusion, Limits, Verdict
from data.run import Event, Run
from data.samples import FloatArray
from data.schedule import Bolus, Schedule
from protocols.analysis.basal_flow import basal_check
from protocols.analysis.bolus import Jump, block_jumps
from protocols.analysis.bolus_budget import jump_budget, noise_of
from protocols.analysis.budget import Budget
from protocols.analysis.decision import SIMPLE, judge, reported, result
from protocols.analysis.delivery import LEAST_OVER_U
from protocols.analysis.flow_blanks import known_record
from protocols.analysis.flow_events import STUCK, unexpected
from protocols.analysis.gravimetric_record import EDGE_S, GravimetricRecord, GravimetricRecordError
from protocols.analysis.grid import RecordError, kept
from protocols.analysis.pump_reports import clock_s
from protocols.analysis.rig_fitness import fitness
from protocols.analysis.standing import as_limits, exclusions, of_a_run_cut_off, on_suitability
from protocols.analysis.suitability import CERTAIN, balance_quiet

HOUR_S = 3600.0
CLOCK_EDGE_S = 5.0
"""How far the moment of a request may be off that at which the pump judged it."""

DELIVERED_SHARE = 0.5
"""A granted request of which the balance saw no more than this part of a bolus delivered none."""

REFUSED_SHARE = 0.1
"""A refused request changes nothing; so much of a bolus may be the basal flow's own unrest, which no U knows of."""

STANDS_ON = (
    "rig-check",
    "data-complete",
    "excluded",
    "recurring-falls",
    "air-density",
    "evaporation",
    "blanks-agree",
    "balance-alive",
    "balance-quiet",
    "no-air",
    "outlet-pressure",
    "bath-temperature",
    "sensor-balance-ratio",
    "ratio-steady",
)


@dataclass(frozen=True, slots=True)
class Request:
    """A patient's request: when, what the pump answered, and the answers that its rule allows.

    ``day_unknown`` says that the pump's clock is not known, and ``allowed`` holds what any clock would have it answer.
    """

    at_s: float
    granted: bool
    told: str
    allowed: frozenset[str]
    day_unknown: bool = False

    @property
    def right(self) -> bool:
        """Whether the answer is one that the rule allows."""
        return self.granted == ("ok" in self.allowed) or len({one == "ok" for one in self.allowed}) > 1

    @property
    def either(self) -> bool:
        """Whether it depends on a clock that is not known how the rule would have it answered."""
        return self.day_unknown and {"ok", "daily-maximum"} <= self.allowed


def evaluate(run: Run) -> Evaluation:
    """Judge a bolus-accuracy run."""
    try:
        started = _started_s(run)
        requests = _requests(run, started)
        granted = [one.at_s - started for one in requests if one.granted]
        record = known_record(run, _with_granted(run.schedule, granted), _judged(run))
    except GravimetricRecordError as error:
        return Evaluation((_nothing(str(error)),))
    first = record.phases.get("analysis")
    if first is None:
        return Evaluation((_nothing("the run ended before the first interval began"),))
    excluded = exclusions(record)
    fit = (*fitness(record, excluded), *_quiet(record))
    bad = {check.name for check in fit if check.verdict is Verdict.INVALID}
    found, curves = pump_checks(record, requests, excluded)
    windows = (Exclusion(*window, "bolus") for window in record.bolus_windows)
    sudden = unexpected(record, record.started_s, (*excluded, *windows), (*STUCK, "balance-quiet"))
    judged = [on_suitability(check, bad) for check in (*found, sudden)]
    planned = sum(step["step"] == "Phase" and _delivers(step["name"]) for step in run.steps)
    if sum(map(_delivers, record.phases)) < planned or first[1] - first[0] < _planned_s(run) - 1.0:
        judged = [of_a_run_cut_off(check) for check in judged]
    return Evaluation((*judged, *fit), curves, excluded)


def _judged(run: Run) -> tuple[float, float] | None:
    """From the first bolus's interval until the end of the last request's; None where neither began."""
    spans = [(one.t0, one.t1) for one in run.phases if one.name == "analysis" or one.name.startswith("request-")]
    return (spans[0][0], max(to_s for _, to_s in spans)) if spans else None


def _delivers(phase: str) -> bool:
    return not phase.startswith("blank-")


def _nothing(note: str) -> Check:
    return Check("bolus-mean-error", "Bolus volume, mean error", None, "%", Verdict.NOT_MEASURED, "dut", note=note)


def _planned_s(run: Run) -> float:
    return float(next(step["for_s"] for step in run.steps if step.get("name") == "analysis"))


# ------------------------------------------------------------------------------------------------- requests


def _started_s(run: Run) -> float:
    for event in run.records("pump-command"):
        if str(event.fields["command"]).startswith("RUN"):
            return float(event.fields["confirmed_s"])
    raise GravimetricRecordError("delivery never started; the run ended before the pump was told to run")


def _requests(run: Run, started_s: float) -> tuple[Request, ...]:
    """Each request with the answers that the programmed rule allows, given what the pump granted before."""
    if run.schedule.patient is None:
        return ()
    offset_s = _pump_day_s(run, started_s)
    found: list[Request] = []
    for event in run.records("pump-command"):
        if not str(event.fields["command"]).startswith("BOLUS kind=patient"):
            continue
        at_s, reply = _answered_s(event), str(event.fields["reply"])
        granted = "granted=1" in reply or reply.startswith("granted")
        before = [one.at_s - started_s for one in found if one.granted]
        allowed = _allowed(run.schedule, before, at_s - started_s, offset_s)
        found.append(Request(at_s, granted, reply, allowed, offset_s is None))
    return tuple(found)


def _answered_s(event: Event) -> float:
    return float(event.fields["confirmed_s"])


def _pump_day_s(run: Run, started_s: float) -> float | None:
    """What the pump's clock showed at the start of delivery; None where it does not say."""
    for event in run.records("pump"):
        clock = clock_s(event.fields)
        if math.isfinite(clock):
            return clock - (float(event.fields["answered_s"]) - started_s)
    return None


def _allowed(schedule: Schedule, granted_s: Sequence[float], at_s: float, offset_s: float | None) -> frozenset[str]:
    """Outcomes of the rule within the uncertainty of the moment: at the edge of a lockout or a day both are right.

    Without the pump's clock its midnight may have been at any time; what the rule says changes only where a midnight
    passes one of the boluses or the request.
    """
    moments = (*granted_s, at_s)
    midnights = [beside - moment for moment in moments for beside in (-CLOCK_EDGE_S, CLOCK_EDGE_S)]
    outcomes = set()
    for offset in midnights if offset_s is None else [offset_s]:
        held = replace(_with_granted(schedule, granted_s), pump_day_offset_s=offset)
        outcomes |= {held.decide([at_s + shift])[0].outcome for shift in (-CLOCK_EDGE_S, 0.0, CLOCK_EDGE_S)}
    return frozenset(outcomes)


def _with_granted(schedule: Schedule, granted_s: Sequence[float]) -> Schedule:
    """The schedule with the patient boluses that the pump granted, whether or not it should have."""
    rule = schedule.patient
    if rule is None:
        return schedule
    extra = (Bolus(at_s, rule.volume_ul, rule.duration_s, "patient") for at_s in granted_s)
    return replace(schedule, boluses=(*schedule.boluses, *extra))


# -------------------------------------------------------------------------------------------------- boluses


@dataclass(frozen=True, slots=True)
class _Seen:
    """One bolus or request by the balance, with why and as what it is left out of the verdict."""

    jump: Jump
    budget: Budget
    left_out: str = ""
    instead: Verdict = Verdict.NOT_MEASURED


def pump_checks(
    record: GravimetricRecord, requests: Sequence[Request], excluded: Sequence[Exclusion]
) -> tuple[list[Check], tuple[Curve, ...]]:
    """What the balance saw of each bolus and request, with its curves; before the rig's fitness counts."""
    planned = record.run.schedule.boluses
    starts = [bolus.at_s + record.started_s for bolus in planned] + [one.at_s for one in requests]
    from_s, to_s = record.analysis
    starts, to_s = finished(starts, from_s, to_s, 2.0 * float(record.run.params["duration_s"]))
    stroke_s = record.stroke_ul / float(record.run.params["basal_ul_per_h"]) * HOUR_S
    t_s, volumes = record.volumes(from_s, to_s)
    try:
        found = block_jumps(t_s, volumes, starts, from_s, to_s, stroke_s, EDGE_S) if starts else ()
    except RecordError as error:
        return [_nothing(str(error))], ()
    expected = float(record.run.params["bolus_ul"])
    seen = [_seen(record, one, expected, excluded, stroke_s) for one in found]
    boluses, asked = seen[: len(planned)], seen[len(planned) :]
    limits = as_limits(record.dut["limits"]["bolus"])
    answers = _answers(requests, asked, expected, limits)
    checks = [*_volumes(record, boluses, expected, limits), *answers, _basal(record, found, excluded)]
    return checks, tuple(_curves(boluses, expected))


def finished(starts_s: Sequence[float], from_s: float, to_s: float, least_s: float) -> tuple[list[float], float]:
    """Boluses that a record holds with the basal flow after them, and where it ends for them.

    A run that was cut off may end in a bolus, of which it then says nothing.
    """
    held = [start for start in starts_s if from_s < start < to_s]
    while held and to_s - held[-1] < least_s:
        to_s = held.pop() - EDGE_S
    return held, to_s


def _seen(
    record: GravimetricRecord, jump: Jump, expected_ul: float, excluded: Sequence[Exclusion], stroke_s: float
) -> _Seen:
    budget = jump_budget(record, [jump], stroke_s)
    if kept(jump.before.from_s, jump.after.to_s, excluded) != [(jump.before.from_s, jump.after.to_s)]:
        return _Seen(jump, budget, "part of it is excluded")
    if expected_ul < LEAST_OVER_U * budget.u:
        reason = f"expected {expected_ul:.4g} uL is under {LEAST_OVER_U:g} u of {budget.u:.2g} uL"
        return _Seen(jump, budget, reason, Verdict.NOT_CAPABLE)
    return _Seen(jump, budget)


def _volumes(
    record: GravimetricRecord, boluses: Sequence[_Seen], expected_ul: float, limits: Limits | None
) -> Iterator[Check]:
    """Mean, largest and smallest error, and each bolus."""
    used = [one for one in boluses if not one.left_out]
    if not used:
        note, verdict = "no bolus was recorded", Verdict.NOT_MEASURED
        if boluses:
            note, verdict = boluses[0].left_out, boluses[0].instead
        yield replace(_nothing(note), verdict=verdict, depends_on=STANDS_ON)
        return
    stroke_s = record.stroke_ul / float(record.run.params["basal_ul_per_h"]) * HOUR_S
    errors = [100.0 * (one.jump.amount / expected_ul - 1.0) for one in used]
    mean = jump_budget(record, [one.jump for one in used], stroke_s)
    lengths = [basal.length_s for one in used for basal in (one.jump.before, one.jump.after)]
    notes = [f"{len(used)} boluses; basal flow over {_range(lengths)} between them"]
    if left := len(boluses) - len(used):
        notes.append(f"{left} left out: {next(one.left_out for one in boluses if one.left_out)}")
    if limits is None:
        notes.append("the pump's file declares no [limits.bolus]")
    fields = ("Bolus volume, mean error", math.fsum(errors) / len(errors), mean)
    check = _error_check("bolus-mean-error", *fields, expected_ul, limits, "; ".join(notes))
    yield replace(check, optional=False)  # the run's result: without a limit there is no verdict
    for name, word, pick in (("max", "largest", max), ("min", "smallest", min)):
        number = errors.index(pick(errors))
        note = f"bolus {boluses.index(used[number]) + 1}"
        title = f"Bolus volume, {word} error"
        yield _error_check(f"bolus-{name}-error", title, errors[number], used[number].budget, expected_ul, limits, note)
    for number, one in enumerate(boluses, 1):
        if one.left_out:
            check = reported(f"bolus-{number}", f"Bolus {number}", None, "%", one.left_out, STANDS_ON)
            # What is limited was to be judged: a pump may have spoilt the basal flow beside it.
            yield check if limits is None else replace(check, verdict=one.instead, optional=False)
            continue
        error = 100.0 * (one.jump.amount / expected_ul - 1.0)
        title = f"Bolus {number}, delivered against programmed"
        yield _error_check(f"bolus-{number}", title, error, one.budget, expected_ul, limits, "")


def _error_check(
    name: str, title: str, error: float, budget: Budget, expected_ul: float, limits: Limits | None, note: str
) -> Check:
    percent = budget.scaled(title, "%", 100.0 / expected_ul)
    return result(name, title, error, percent, limits, depends_on=STANDS_ON, note=note)


def _range(lengths_s: Sequence[float]) -> str:
    low, high = min(lengths_s) / 60.0, max(lengths_s) / 60.0
    return f"{low:.3g} min" if high - low < 0.05 else f"{low:.3g} to {high:.3g} min"


# --------------------------------------------------------------------------------------------------- answers


def _answers(
    requests: Sequence[Request], seen: Sequence[_Seen], expected_ul: float, limits: Limits | None
) -> Iterator[Check]:
    """Whether the pump answered by its rule, and delivered what it answered."""
    if not requests:
        return
    wrong = [one for one in requests if not one.right]
    notes = [_said(one, number) for number, one in enumerate(requests, 1) if not one.right]
    source = "programmed rule of the patient bolus"
    either = [number for number, one in enumerate(requests, 1) if one.either]
    notes += [f"the pump's clock is not known, and with it its midnight: request {one} may be either" for one in either]
    check = _count("requests-by-rule", "Requests answered against the rule", len(wrong), source, "; ".join(notes), ())
    if not wrong and any(requests[number - 1].granted for number in either):
        # One that was refused kept within the rule of any day; one that was granted may have been one too many.
        check = replace(check, verdict=Verdict.NOT_MEASURED)
    yield check
    blind = next((one for one in seen if one.left_out), None)
    if len(seen) < len(requests) or blind:
        note = blind.left_out if blind else "not every request was followed by enough delivery"
        yield replace(
            reported("requests-delivered", "Requests delivered otherwise than answered", None, "1", note, STANDS_ON),
            verdict=blind.instead if blind else Verdict.NOT_MEASURED,
            optional=False,
        )
        return
    otherwise = []
    for number, (asked, one) in enumerate(zip(requests, seen, strict=True), 1):
        yield _request(asked, one, number, expected_ul, limits)
        if _otherwise(asked, one, expected_ul):
            told = "granted" if asked.granted else "refused"
            otherwise.append(f"request {number} was {told}, and {one.jump.amount:.3g} uL were delivered")
    yield _count(
        "requests-delivered",
        "Requests delivered otherwise than answered",
        len(otherwise),
        "what the pump answered",
        "; ".join(otherwise),
        STANDS_ON,
    )


def _request(asked: Request, seen: _Seen, number: int, expected_ul: float, limits: Limits | None) -> Check:
    """What was delivered of a bolus; a bolus that was granted has the limits of any other."""
    name, title = f"request-{number}", f"Request {number}, delivered of a bolus"
    note = f"{'granted' if asked.granted else 'refused'} ({asked.told})"
    error = 100.0 * (seen.jump.amount / expected_ul - 1.0)
    held = limits if asked.granted else None
    check = _error_check(name, title, error, seen.budget, expected_ul, held, note)
    low, high = (None if limit is None else 100.0 + limit for limit in (check.limit_low, check.limit_high))
    return replace(check, value=100.0 + error, limit_low=low, limit_high=high)


def _otherwise(asked: Request, seen: _Seen, expected_ul: float) -> bool:
    """Whether a request delivered otherwise than it was answered."""
    if asked.granted:
        return seen.jump.amount <= DELIVERED_SHARE * expected_ul
    return abs(seen.jump.amount) > max(CERTAIN * seen.budget.u, REFUSED_SHARE * expected_ul)


def _said(request: Request, number: int) -> str:
    ought = ", ".join(sorted(request.allowed))
    return f"request {number} was {'granted' if request.granted else 'refused'}, by the rule: {ought}"


def _count(name: str, title: str, count: int, source: str, note: str, depends_on: tuple[str, ...]) -> Check:
    fields = judge(float(count), 0.0, math.inf, Limits(None, 0.0, source), SIMPLE)
    return Check(name=name, title=title, unit="1", owner="dut", depends_on=depends_on, note=note, **fields)


# ------------------------------------------------------------------------------------------------ small parts


def _basal(record: GravimetricRecord, found: Sequence[Jump], excluded: Sequence[Exclusion]) -> Check:
    """Mean slope between the boluses: a flow that is wrong before and after a bolus alike leaves its jump as it is."""
    lines = [found[0].before, *(one.after for one in found)] if found else []
    used = [one for one in lines if kept(one.from_s, one.to_s, excluded) == [(one.from_s, one.to_s)]]
    title = "Basal flow between boluses, against programmed"
    return basal_check(record, "basal-error", title, used, len(lines) - len(used), STANDS_ON)


def _quiet(record: GravimetricRecord) -> Iterator[Check]:
    """Drafts and knocks, outside the boluses: a few milligrams for half a minute are a bolus's error."""
    windows = [Exclusion(a, b, "") for a, b in record.bolus_windows]
    noise = noise_of(record)
    flow = float(record.run.params["basal_ul_per_h"]) / record.collected.ul_per_mg / HOUR_S
    parts: list[tuple[FloatArray, FloatArray]] = []
    shown = record.run.series("reference_mass").good()
    for from_s, to_s in kept(*record.analysis, windows):
        inside = shown.within(from_s, to_s)
        parts.append((inside.t, inside.values))
    yield balance_quiet(parts, flow, noise.reading_mg)


def _curves(boluses: Sequence[_Seen], expected_ul: float) -> Iterator[Curve]:
    used = [(number, one) for number, one in enumerate(boluses, 1) if not one.left_out]
    if not used:
        return
    numbers = np.array([float(number) for number, _ in used])
    errors = np.array([100.0 * (one.jump.amount / expected_ul - 1.0) for _, one in used])
    u = np.array([100.0 * one.budget.expanded / expected_ul for _, one in used])
    yield Curve(
        "boluses",
        "Error of each bolus",
        Axis("bolus", "1", numbers),
        (Axis("error", "%", errors), Axis("expanded_uncertainty", "%", u)),
    )
