"""The verdict of a reservoir-life run: the calculated alarm against what is left, and delivery over the level."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property

import numpy as np

from data.checks import Axis, Check, Curve, Evaluation, Limits, Status, Verdict
from data.run import Run
from data.samples import FloatArray
from protocols.analysis.budget import Budget
from protocols.analysis.decision import SIMPLE, judge, reported, result
from protocols.analysis.gravimetric_record import GravimetricRecordError
from protocols.analysis.grid import RecordError
from protocols.analysis.pump_reports import pump_reports
from protocols.analysis.reservoir_life.record import HOUR_S, LifeRecord, read_life
from protocols.analysis.rig_fitness import fitness
from protocols.analysis.standing import as_limits, exclusions, of_a_run_cut_off, on_suitability, source
from protocols.analysis.suitability import CERTAIN, judged

DAY_S = 86_400.0

DELIVERS = 0.8
"""A reservoir is empty from when less than this share of what the pump usually delivers comes, for good."""

STANDS = 0.2
"""A window with less than this share of the programmed volume tells nothing of what the pump usually delivers."""

WINDOW_UL, WINDOW_STROKES = 100.0, 4
"""Delivery is looked at in windows of this volume, in whole strokes and at least so many."""

LOW_SHARE = (0.10, 0.20)
"""Delivery from a low level is that while so much of the reservoir's capacity is left."""

QUICK_S = 1.0
"""Flow readings at least so often tell air from a motor's steps."""

EQUAL_READINGS = 16
"""An empty pump leaves a balance that is read each minute at one value for two or three readings, never for so many."""

UNDRAWN_UL = 200.0
"""A syringe may leave so much in a reservoir that it empties; the filling comes on top, and a pump may deliver both."""

PROVOKED = ("low-reservoir", "empty-reservoir")

STANDS_ON = (
    "rig-check",
    "data-complete",
    "excluded",
    "recurring-falls",
    "air-density",
    "balance-alive",
    "bath-temperature",
    "sensor-balance-ratio",
    "within-filling",
)


@dataclass(frozen=True)
class Life:
    """What follows from a record."""

    record: LifeRecord

    @cached_property
    def window_s(self) -> float:
        """Length of a window: whole strokes."""
        stroke = self.record.gravimetric.stroke_ul
        volume = max(WINDOW_UL, WINDOW_STROKES * stroke)
        if stroke > 0.0:
            volume = math.ceil(volume / stroke) * stroke
        return volume / self.record.rate_ul_per_h * HOUR_S

    @cached_property
    def windows(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(begin in s, left in the middle in uL, delivered over programmed) of consecutive windows from the start."""
        start, end = self.record.gravimetric.analysis
        count = math.floor((end - start) / self.window_s)
        edges = start + self.window_s * np.arange(count + 1, dtype=np.float64)
        volume: FloatArray = np.asarray(np.interp(edges, self.record.t_s, self.record.delivered_ul), dtype=np.float64)
        programmed = self.record.rate_ul_per_h * self.window_s / HOUR_S
        left = self.record.filled_ul - 0.5 * (volume[1:] + volume[:-1])
        begins: FloatArray = edges[:-1]
        return begins, left, np.diff(volume) / programmed

    @cached_property
    def empty_s(self) -> float | None:
        """Moment from which the reservoir is empty, or nothing comes any more; None where it delivered to the end."""
        begins, _, ratio = self.windows
        delivering = ratio[ratio >= STANDS]
        usual = min(1.0, float(np.median(delivering))) if delivering.size else 1.0
        enough = np.flatnonzero(ratio >= DELIVERS * usual)
        after = int(enough[-1]) + 1 if enough.size else 0
        return float(begins[after]) if after < begins.size else None

    @cached_property
    def alarm_s(self) -> float | None:
        """Moment of the low-reservoir alarm by the pump's log."""
        return self.record.logged_s("alarm low-reservoir")

    @cached_property
    def alarm_between_s(self) -> tuple[float, float] | None:
        """Between which readings of a pump without a log it came."""
        return self.record.told_between("low-reservoir")


def evaluate(run: Run) -> Evaluation:
    """Judge a reservoir-life run."""
    try:
        life = Life(read_life(run))
        record = life.record
        found = [*_alarm(life), *_level(life), *_end(life)]
        found += pump_reports(run, record.statuses["before"], record.last_status, PROVOKED)
    except (GravimetricRecordError, RecordError, KeyError) as error:
        return Evaluation((_nothing(str(error)),))
    excluded = exclusions(record.gravimetric)
    unable = _unable(run)
    held = fitness(record.gravimetric, excluded, least_readings=EQUAL_READINGS)
    fit = (*(check for check in held if check.name not in unable), _within_filling(record))
    bad = {check.name for check in fit if check.verdict is Verdict.INVALID}
    standing = [on_suitability(check, bad) for check in found]
    if run.status is not Status.COMPLETED or not record.gravimetric.complete or not run.phases[-1].complete:
        standing = [of_a_run_cut_off(check) for check in standing]
    return Evaluation((*standing, *fit), tuple(_curves(life)), excluded, _values(life))


def _unable(run: Run) -> set[str]:
    """Checks that say nothing of this run: a reservoir runs dry, and air shows in the noise of quick readings alone."""
    t_s = run.series("flow").t if run.has("flow") else np.empty(0)
    slow = t_s.size > 1 and float(np.median(np.diff(t_s))) > QUICK_S
    return {"ratio-steady", "no-air"} if slow else {"ratio-steady"}


def _within_filling(record: LifeRecord) -> Check:
    """No pump delivers more than its reservoir holds: what is left at the end is not clearly below nothing."""
    name, title = "within-filling", "Left of the filling at the end of the record"
    left, budget = record.left(record.gravimetric.analysis[1])
    lowest = -UNDRAWN_UL - CERTAIN * budget.u
    note = "more came out than was filled in: a balance that drifts, a filling, or a reservoir that was not emptied"
    limits = Limits(lowest, None, "3 u below what a syringe may leave in the reservoir")
    return judged(name, title, "uL", left, budget.u, limits, note if left < lowest else "", budget.dof)


def _nothing(note: str) -> Check:
    title = "Left at the low-reservoir alarm less declared"
    return Check("alarm-error", title, None, "uL", Verdict.NOT_MEASURED, "dut", note=note)


# ------------------------------------------------------------------------------------------------- the alarm


def _alarm(life: Life) -> Iterator[Check]:
    """The alarm against what was left, against the end, and against the pump's own arithmetic."""
    run, declared = life.record.run, life.record.run.dut.get("low_reservoir_ul")
    if declared is None:
        yield reported("alarm-error", "Left at the low-reservoir alarm", None, "uL", "this pump has no such alarm")
        return
    stated = run.dut["limits"].get("low_reservoir")
    yield _before_empty(life) if life.alarm_between_s is None else _stood_before_empty(life, life.alarm_between_s)
    if life.alarm_s is None and life.alarm_between_s is not None:
        note = "the low-reservoir alarm stood when the pump was read, and no log tells when it sounded"
        yield replace(_nothing(note), optional=stated is None)
        return
    if life.alarm_s is None:
        yield _nothing("the low-reservoir alarm did not sound")
        return
    left, budget = life.record.left(life.alarm_s)
    limits = Limits(-stated["within_ul"], stated["within_ul"], source(stated)) if stated else None
    note = f"{left / 1000.0:.3f} mL were left where {float(declared) / 1000.0:g} mL are declared"
    title, less = "Left at the low-reservoir alarm less declared", left - float(declared)
    yield result("alarm-error", title, less, budget, limits, depends_on=STANDS_ON, note=note)
    yield _arithmetic(life, float(declared))
    yield _dates(life)


BEFORE_EMPTY = "alarm-before-empty", "From the low-reservoir alarm to the empty reservoir"


def _stood_before_empty(life: Life, between_s: tuple[float, float]) -> Check:
    """The same of an alarm that came between two readings: known where the reservoir did not run dry between them."""
    (name, title), (from_s, to_s) = BEFORE_EMPTY, between_s
    empty_s = life.record.gravimetric.analysis[1] if life.empty_s is None else life.empty_s
    if from_s < empty_s < to_s and life.empty_s is not None:
        note = (
            "the reservoir ran dry between two readings of the pump, of which the second has the alarm; read it oftener"
        )
        return Check(name, title, None, "h", Verdict.NOT_MEASURED, "dut", depends_on=STANDS_ON, note=note)
    first = empty_s >= to_s or life.empty_s is None
    note = "at least, by when the pump was read with the alarm" if first else "at most, by when it was read without it"
    hours = max(empty_s - to_s, 0.0) if first else empty_s - from_s
    limits = Limits(0.0, None, "an alarm of a low reservoir comes before it is empty")
    fields = judge(hours / HOUR_S, 0.0, math.inf, limits, SIMPLE)
    return Check(name, title, unit="h", owner="dut", depends_on=STANDS_ON, note=note, **fields)


def _before_empty(life: Life) -> Check:
    """Time from the alarm to the empty reservoir: the alarm has to come first."""
    name, title = BEFORE_EMPTY
    end_s = life.record.gravimetric.analysis[1]
    alarm_s, empty_s = life.alarm_s, life.empty_s
    if alarm_s is None and empty_s is None:
        note = "the run ended before the alarm and before the reservoir was empty"
        return Check(name, title, None, "h", Verdict.NOT_MEASURED, "dut", depends_on=STANDS_ON, note=note)
    if alarm_s is None and empty_s is not None and empty_s > float(life.record.last_status["answered_s"]):
        note = f"empty {_days(life, empty_s)} after the start; the pump was last read before, without the alarm"
        return Check(name, title, None, "h", Verdict.NOT_MEASURED, "dut", depends_on=STANDS_ON, note=note)
    if empty_s is None:
        note = "it still delivered at the end of the run"
    elif alarm_s is None:
        note = f"empty {_days(life, empty_s)} after the start, and no alarm until the end of the run"
    else:
        note = f"empty {_days(life, empty_s)} after the start, in windows of {life.window_s / HOUR_S:.2g} h"
    hours = ((end_s if empty_s is None else empty_s) - (end_s if alarm_s is None else alarm_s)) / HOUR_S
    limits = Limits(0.0, None, "an alarm of a low reservoir comes before it is empty")
    fields = judge(hours, 0.0, math.inf, limits, SIMPLE)
    return Check(name, title, unit="h", owner="dut", depends_on=STANDS_ON, note=note, **fields)


def _arithmetic(life: Life, declared_ul: float) -> Check:
    """Programmed volume at the alarm against what the pump was told, with which it has to calculate."""
    assert life.alarm_s is not None
    record, run = life.record, life.record.run
    programmed = record.gravimetric.expected_ul(record.gravimetric.started_s, life.alarm_s)
    told = float(run.params["fill_ul"])
    stated = run.dut["limits"].get("refill") or {}
    limits = None
    if stated.get("count_ul") is not None:
        limits = Limits(-stated["count_ul"], stated["count_ul"], source(stated))
    u = max(record.gravimetric.stroke_ul, 1.0) / math.sqrt(3.0)
    return Check(
        name="alarm-calculated",
        title="Programmed volume at the alarm less that by what the pump was told",
        unit="uL",
        owner="dut",
        optional=limits is None,
        note=f"it was told {told / 1000.0:g} mL",
        **judge(programmed - (told - declared_ul), u, math.inf, limits),
    )


def _dates(life: Life) -> Check:
    """When the alarm came, and by when the pump has to be refilled."""
    assert life.alarm_s is not None
    run, started = life.record.run, life.record.gravimetric.started_s
    notes = [f"alarm {run.start + timedelta(seconds=life.alarm_s):%Y-%m-%d %H:%M} UTC"]
    by_s = _refill_by_s(life)
    if by_s is not None:
        notes.append(
            f"refill by {run.start + timedelta(seconds=by_s):%Y-%m-%d %H:%M} UTC, "
            f"{(by_s - life.alarm_s) / DAY_S:.3g} days later, when the residual volume is left"
        )
    days = (life.alarm_s - started) / DAY_S
    return reported("alarm-date", "Low-reservoir alarm after", days, "day", "; ".join(notes), STANDS_ON)


def _refill_by_s(life: Life) -> float | None:
    """When the residual volume is left, by the balance; None where the run ended before."""
    residual = float(life.record.run.dut["residual_ul"])
    reached = np.flatnonzero(life.record.filled_ul - life.record.delivered_ul <= residual)
    return float(life.record.t_s[reached[0]]) if reached.size else None


def _days(life: Life, at_s: float) -> str:
    return f"{(at_s - life.record.gravimetric.started_s) / DAY_S:.3g} days"


# ------------------------------------------------------------------------------------------- level and end


def _level(life: Life) -> Iterator[Check]:
    """Delivery from a low level against that of the first quarter of the filling."""
    name, title = "level-change", "Delivery at 10 to 20 % of the reservoir against the first quarter"
    limits = as_limits(life.record.run.dut["limits"].get("reservoir_level"))
    record, capacity = life.record, float(life.record.run.dut["reservoir_ul"])
    left = record.filled_ul - record.delivered_ul
    spans = [
        _span(record.t_s[left >= 0.75 * record.filled_ul]),
        _span(record.t_s[(left >= LOW_SHARE[0] * capacity) & (left <= LOW_SHARE[1] * capacity)]),
    ]
    if any(to_s - from_s < life.window_s for from_s, to_s in spans):
        yield replace(
            reported(name, title, None, "%", "the run does not hold both", STANDS_ON), optional=limits is None
        )
        return
    rates, relative = [], []
    for from_s, to_s in spans:
        strokes = math.floor((to_s - from_s) / life.window_s)
        volume, budget = record.gravimetric.collected.delivered(to_s - strokes * life.window_s, to_s)
        rates.append(volume / (strokes * life.window_s))
        relative.append(budget.scaled("", "%", 100.0 / volume))
    change = rates[1] / rates[0]
    budget = Budget(title, "%", (*relative[1].components, *relative[0].components)).scaled(title, "%", change)
    yield result(name, title, 100.0 * (change - 1.0), budget, limits, depends_on=STANDS_ON)


def _span(t_s: FloatArray) -> tuple[float, float]:
    return (float(t_s[0]), float(t_s[-1])) if t_s.size else (0.0, 0.0)


def _end(life: Life) -> Iterator[Check]:
    """What was left when it ran dry, what still came, and whether the pump says so."""
    run = life.record.run
    if life.empty_s is not None:
        left, budget = life.record.left(life.empty_s)
        fields = judge(left, budget.u, budget.dof, None)
        title = "Left when it delivers no more"
        yield Check("left-when-empty", title, unit="uL", owner="dut", optional=True, depends_on=STANDS_ON, **fields)
        last = float(life.windows[2][-1])
        yield reported("empty-flow", "Delivered of the program at the end", 100.0 * last, "%", "", STANDS_ON)
    if "empty-reservoir" in run.dut["alarms"] and run.params["end"] == "empty":
        yield _empty_alarm(life)
    refilled = life.record.statuses.get("refilled")
    if refilled is not None and {"low-reservoir", "empty-reservoir"} & set(run.dut["alarms"]):
        still = sorted({"low-reservoir", "empty-reservoir"} & set(refilled["alarms"]))
        limits = Limits(None, 0.0, "a refilled reservoir is neither low nor empty")
        fields = judge(float(len(still)), 0.0, math.inf, limits, SIMPLE)
        note = ", ".join(still)
        yield Check("alarm-cleared", "Alarms left after a refill", unit="1", owner="dut", note=note, **fields)


def _empty_alarm(life: Life) -> Check:
    """The pump's word that it is empty, against when it was."""
    name, title = "empty-alarm", "Left at the empty-reservoir alarm"
    at_s = life.record.logged_s("alarm empty-reservoir")
    if at_s is None or at_s > life.record.gravimetric.analysis[1]:
        return reported(name, title, None, "uL", "it did not sound until the end of the run", STANDS_ON)
    left, budget = life.record.left(at_s)
    fields = judge(left, budget.u, budget.dof, None)
    return Check(name, title, unit="uL", owner="dut", optional=True, depends_on=STANDS_ON, **fields)


def _curves(life: Life) -> Iterator[Curve]:
    _, left, ratio = life.windows
    if left.size:
        yield Curve(
            "level",
            "Delivery over what is left",
            Axis("left", "uL", left),
            (Axis("delivered_of_programmed", "%", 100.0 * ratio),),
        )


def _values(life: Life) -> dict[str, float]:
    record = life.record
    start, end = record.gravimetric.analysis
    found = {
        "filled_ul": record.filled_ul,
        "delivered_ul": float(record.delivered_ul[-1]),
        "programmed_ul": record.gravimetric.expected_ul(start, end),
    }
    if life.alarm_s is not None:
        found["left_at_alarm_ul"] = record.left(life.alarm_s)[0]
        found["alarm_after_days"] = (life.alarm_s - start) / DAY_S
    if life.empty_s is not None:
        found["empty_after_days"] = (life.empty_s - start) / DAY_S
    if (by_s := _refill_by_s(life)) is not None:
        found["refill_by_days"] = (by_s - start) / DAY_S
    return found
