"""The verdict of a priming run: what the path needs, what was programmed, what came, and when it was at the tip."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.checks import Axis, Check, Curve, Evaluation, Exclusion, Limits, Verdict
from data.run import Run
from data.schedule import Bolus
from protocols.analysis.basal_flow import basal_check
from protocols.analysis.bolus import Basal, Jump, Summed, block_line
from protocols.analysis.bolus_budget import jump_budget, line_u_ul, slope_u_ul_per_s
from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.decision import judge, reported, result
from protocols.analysis.flow_blanks import known_record
from protocols.analysis.front import tail_share
from protocols.analysis.gravimetric_record import EDGE_S, GravimetricRecord, GravimetricRecordError
from protocols.analysis.grid import WHOLE, RecordError, kept
from protocols.analysis.rig_fitness import fitness
from protocols.analysis.short_volume import short_volume
from protocols.analysis.standing import as_limits, exclusions, of_a_run_cut_off, on_suitability
from protocols.analysis.suitability import CERTAIN

HOUR_S = 3600.0
BORE_HALF_DIGIT_MM = 0.005
"""A bore is stated in hundredths of a millimetre."""

LENGTH_U_MM = 2.0
"""Standard uncertainty of the length that was cut off, by a ruler."""

PATH_SHARE = 0.05
"""How far a pump's internal path may be from what its maker states, assumed."""

NEW_RATE = ("new-rate-error", "Rate after the bridge, against programmed")

CHANGED_SHARE = 0.5
"""A rate that changed by less than this part of the programmed change did not change as programmed."""

STANDS_ON = (
    "rig-check",
    "data-complete",
    "excluded",
    "recurring-falls",
    "air-density",
    "evaporation",
    "blanks-agree",
    "balance-alive",
    "no-air",
    "outlet-pressure",
    "bath-temperature",
    "sensor-balance-ratio",
    "ratio-steady",
)


@dataclass(frozen=True, slots=True)
class Need:
    """What has to be filled before drug leaves the tip."""

    volume_ul: float
    budget: Budget
    words: str


def needed(run: Run) -> Need | None:
    """Volume of internal path and catheter, of the catheter alone after its revision; None where it is not stated."""
    catheter, occasion = run.catheter, str(run.params["occasion"])
    if not catheter:
        return None
    bore, volume = float(catheter["bore_mm"]), float(catheter["priming_volume_ul"])
    length = float(catheter["length_supplied_mm"]) - float(catheter["length_trimmed_mm"])
    parts = [
        bounded("bore of the catheter", 2.0 * BORE_HALF_DIGIT_MM / bore * volume),
        Component("length of the catheter", LENGTH_U_MM / length * volume),
    ]
    words = f"catheter {length:.0f} mm of {bore:g} mm bore: {volume:.4g} uL"
    if occasion == "catheter-revision":
        return Need(volume, Budget("path", "uL", tuple(parts)), words)
    path = run.dut.get("internal_path_ul")
    if path is None:
        return None
    parts.append(bounded("internal path of the pump", PATH_SHARE * float(path)))
    return Need(
        volume + float(path), Budget("path", "uL", tuple(parts)), f"internal path {float(path):.4g} uL, {words}"
    )


def evaluate(run: Run) -> Evaluation:
    """Judge a priming run."""
    try:
        record = known_record(run, run.schedule)
    except GravimetricRecordError as error:
        return Evaluation((_nothing(str(error)),))
    if "analysis" not in record.phases:
        return Evaluation((_nothing("the run ended before delivery could be recorded"),))
    excluded = exclusions(record)
    fit = tuple(fitness(record, excluded))
    bad = {check.name for check in fit if check.verdict is Verdict.INVALID}
    need = needed(run)
    bolus = run.schedule.boluses[0]
    bridges = bolus.kind == "bridge"
    programmed = list(_programmed(run, bolus, need))
    found: list[Check] = []
    try:
        found += (bridge if bridges else priming)(record, bolus, need, excluded)
    except RecordError as error:
        found.append(_nothing(str(error)))
    judged = [on_suitability(_of_the_record(check, programmed[0]), bad) for check in (*programmed, *found)]
    planned_s = float(next(step["for_s"] for step in run.steps if step.get("name") == "analysis"))
    if record.analysis[1] - record.analysis[0] < planned_s - 1.0:
        judged = [of_a_run_cut_off(check) for check in judged]
    return Evaluation((*judged, *fit), tuple(_curves(record, need)), excluded)


def _nothing(note: str) -> Check:
    return Check(
        "bolus-error", "Bolus, delivered against programmed", None, "%", Verdict.NOT_MEASURED, "dut", note=note
    )


# ------------------------------------------------------------------------------------------------- what it needs


def _programmed(run: Run, bolus: Bolus, need: Need | None) -> Iterator[Check]:
    """Programmed against needed volume: an error of it is one of the record, not of the pump."""
    name, title = "programmed-volume", "Programmed volume against what the path needs"
    if need is None:
        note = "the pump's model file states no internal path" if run.catheter else "the run names no catheter"
        yield replace(reported(name, title, None, "%", note), owner="record")
        return
    tolerance = float(run.params["tolerance_percent"])
    error = 100.0 * (bolus.volume_ul / need.volume_ul - 1.0)
    percent = need.budget.scaled(title, "%", 100.0 * bolus.volume_ul / need.volume_ul**2)
    limits = Limits(-tolerance, tolerance, "parameter tolerance")
    words = f"{need.words}; {need.volume_ul:.4g} uL in all"
    yield result(name, title, error, percent, limits, owner="record", note=words)
    catheter, flow = run.catheter, bolus.rate_ul_per_h
    bore = float(catheter["bore_mm"])
    length = float(catheter["length_supplied_mm"]) - float(catheter["length_trimmed_mm"])
    tail = tail_share(bore, length, flow) * float(catheter["priming_volume_ul"])
    note = "computed: after so much more the tip has 95 % of the new concentration"
    yield replace(reported("tail", "Tail of the front", tail, "uL", note), owner="catheter")


def _of_the_record(check: Check, programmed: Check) -> Check:
    """A path that was not filled with a volume that is not the path's says nothing of the pump."""
    off = programmed.verdict.fails
    if check.name != "path-filled" or not off or check.verdict is Verdict.PASS:
        return check
    note = f"{check.note}; programmed-volume is beyond its limits, so this is not the pump's"
    return replace(check, verdict=Verdict.INVALID, note=note)


def _reached(record: GravimetricRecord, bolus: Bolus, need: Need, from_s: float) -> Iterator[Check]:
    """When so much had left the tip as the path holds, and how much of the path the bolus filled."""
    t_s, volumes = record.volumes(from_s, record.analysis[1])
    over = np.flatnonzero(volumes >= need.volume_ul)
    since = from_s - record.started_s
    planned = record.schedule.moment_of_volume_s(need.volume_ul + float(record.schedule.expected_volume_ul(0.0, since)))
    name, title = "time-to-tip", "Front at the tip after"
    if over.size and over[0] > 0:
        i = int(over[0])
        share = (need.volume_ul - volumes[i - 1]) / (volumes[i] - volumes[i - 1])
        at = float(t_s[i - 1] + share * (t_s[i] - t_s[i - 1]))
        _, budget = short_volume(record, from_s, at)
        flow = max(record.schedule.rate_ul_per_h(at - record.started_s), 1e-9)
        u = math.hypot(budget.u, need.budget.u) / flow * HOUR_S
        note = f"as programmed {planned - since:.5g} s"
        check = reported(name, title, at - from_s, "s", note, STANDS_ON)
        yield replace(check, **judge(at - from_s, u, math.inf, None))
    else:
        yield reported(name, title, None, "s", "not reached in this run", STANDS_ON)
    end_s = bolus.end_s + record.started_s
    volume, budget = short_volume(record, from_s, min(end_s, record.analysis[1]))
    filled = 100.0 * volume / need.volume_ul
    parts = [*budget.scaled("", "%", 100.0 / need.volume_ul).components]
    parts += need.budget.scaled("", "%", filled / need.volume_ul).components
    whole = Budget("path filled", "%", tuple(parts))
    least = 100.0 - float(record.run.params["tolerance_percent"])
    yield result(
        "path-filled",
        "Part of the path that is filled when the bolus ends",
        filled,
        whole,
        Limits(least, None, "parameter tolerance"),
        depends_on=STANDS_ON,
        note="basal flow meanwhile included",
    )


# ------------------------------------------------------------------------------------------------------ priming


def priming(
    record: GravimetricRecord, bolus: Bolus, need: Need | None, excluded: Sequence[Exclusion]
) -> Iterator[Check]:
    """A priming bolus on top of the basal flow, as any bolus."""
    start = bolus.at_s + record.started_s
    from_s, to_s = record.analysis
    if not from_s < start < to_s or bolus.end_s + record.started_s > to_s:
        yield _nothing("the run ended before the bolus did")
        return
    t_s, volumes = record.volumes(from_s, to_s)
    stroke_s = record.stroke_ul / float(record.run.params["basal_ul_per_h"]) * HOUR_S
    # The bolus takes a part of the time after it; its basal stretch is the last half of what is left.
    end = bolus.end_s + record.started_s
    summed = Summed(t_s, volumes)
    before = block_line(summed, (from_s + start) / 2.0, start - EDGE_S, stroke_s)
    after = block_line(summed, (end + to_s) / 2.0, to_s, stroke_s)
    found = Jump(start, after.at(start) - before.at(start), before, after)
    budget = jump_budget(record, [found], stroke_s)
    check = _error(
        record, "bolus-error", "Priming bolus, delivered against programmed", found.amount, budget, bolus, "bolus"
    )
    yield check if _whole(before.from_s, to_s, excluded) else _left_out(check)
    # The jump holds no flow that is wrong before and after the bolus alike.
    for word, line in (("before", before), ("after", after)):
        used = [line] if _whole(line.from_s, line.to_s, excluded) else []
        title = f"Basal flow {word} the bolus, against programmed"
        yield basal_check(record, f"basal-{word}-error", title, used, 1 - len(used), STANDS_ON)
    if need is not None:
        yield from _reached(record, bolus, need, start)


def _error(
    record: GravimetricRecord, name: str, title: str, volume: float, budget: Budget, bolus: Bolus, quantity: str
) -> Check:
    limits = as_limits(record.dut["limits"][quantity])
    percent = budget.scaled(title, "%", 100.0 / bolus.volume_ul)
    error = 100.0 * (volume / bolus.volume_ul - 1.0)
    note = f"{volume:.5g} of {bolus.volume_ul:.5g} uL"
    if limits is None:
        note += f"; the pump's file declares no [limits.{quantity}]"
    # Not optional: it is the run's result, and without a limit there is no verdict.
    return result(name, title, error, percent, limits, depends_on=STANDS_ON, note=note, optional=False)


def _whole(from_s: float, to_s: float, excluded: Sequence[Exclusion]) -> bool:
    """Whether nothing of a stretch is excluded."""
    return kept(from_s, to_s, excluded) == [(from_s, to_s)]


def _left_out(check: Check) -> Check:
    """A result of which a part is excluded: it still counts, as one that was not measured."""
    note = "part of it is excluded"
    return replace(reported(check.name, check.title, None, check.unit, note, STANDS_ON), optional=check.optional)


# ------------------------------------------------------------------------------------------------------- bridge


def bridge(
    record: GravimetricRecord, bolus: Bolus, need: Need | None, excluded: Sequence[Exclusion]
) -> Iterator[Check]:
    """The old rate until the path is emptied of the old drug; then the new rate, neither sooner nor later."""
    begin, end = record.started_s, bolus.end_s + record.started_s
    to_s = record.analysis[1]
    if end > to_s:
        yield _nothing("the run ended before the bridge did")
        return
    old, new = bolus.rate_ul_per_h, float(record.run.params["new_ul_per_h"])
    stroke_s = record.stroke_ul / old * HOUR_S
    volume, budget = short_volume(record, begin, end)
    if stroke_s:
        budget = budget.plus(*_part_of_a_stroke(record, bolus.volume_ul))
    yield _error(record, "bolus-error", "Bridge, delivered against programmed", volume, budget, bolus, "segment")
    yield from _after(record, bolus, old, new, excluded)
    if need is not None:
        yield from _reached(record, bolus, need, begin)


def _part_of_a_stroke(record: GravimetricRecord, volume_ul: float) -> Iterator[Component]:
    """The wave within a stroke, where the volume is no whole number of strokes."""
    strokes = volume_ul / record.stroke_ul
    if abs(strokes - round(strokes)) > 0.02:
        yield bounded("part of a stroke", record.stroke_ul / 2.0)


def _after(
    record: GravimetricRecord, bolus: Bolus, old: float, new: float, excluded: Sequence[Exclusion]
) -> Iterator[Check]:
    """The new rate, and when it began."""
    end, to_s = bolus.end_s + record.started_s, record.analysis[1]
    rate = _new_rate(record, end + EDGE_S, new)
    if rate is None:
        note = "the run ended before the new rate could be seen"
        yield replace(reported(*NEW_RATE, None, "%", note, STANDS_ON), optional=False)
        return
    check, begin = rate
    yield check if _whole(begin, to_s, excluded) else _left_out(check)
    t_s, volumes = record.volumes(record.started_s, to_s)
    summed = Summed(t_s, volumes)
    stretch = max(4.0 * record.stroke_ul / old * HOUR_S, to_s - end)
    begin = max(record.started_s, end - EDGE_S - stretch)
    before = block_line(summed, begin, end - EDGE_S, record.stroke_ul / old * HOUR_S)
    after = block_line(summed, end + EDGE_S, to_s, record.stroke_ul / new * HOUR_S)
    check = _bridge_end(record, bolus, (old, new), (before, after))
    yield check if _whole(begin, to_s, excluded) else _left_out(check)


def _new_rate(record: GravimetricRecord, from_s: float, new: float) -> tuple[Check, float] | None:
    """Mean over the last whole strokes after a bridge, and where they begin; None where nothing follows it."""
    to_s, stroke_s = record.analysis[1], record.stroke_ul / new * HOUR_S
    if to_s - from_s < EDGE_S:
        return None
    strokes = math.floor((to_s - from_s) / stroke_s + WHOLE) if stroke_s > 0.0 else 0
    begin = to_s - strokes * stroke_s if strokes else from_s
    volume, budget = short_volume(record, begin, to_s)
    if stroke_s and not strokes:
        budget = budget.plus(bounded("part of a stroke", record.stroke_ul / 2.0))
    expected = new * (to_s - begin) / HOUR_S
    percent = budget.scaled(NEW_RATE[1], "%", 100.0 / expected)
    limits = as_limits(record.dut["limits"]["segment"])
    held = f"{strokes} whole strokes, " if strokes else "less than one stroke, " if stroke_s else ""
    note = f"{held}{(to_s - begin) / 60.0:.4g} min"
    if limits is None:
        note += "; the pump's file declares no [limits.segment]"
    error = 100.0 * (volume / expected - 1.0)
    # Not optional: a pump that goes on at the old rate has given its bridge as truly as one that does not.
    return result(*NEW_RATE, error, percent, limits, depends_on=STANDS_ON, note=note, optional=False), begin


def _bridge_end(
    record: GravimetricRecord, bolus: Bolus, rates: tuple[float, float], lines: tuple[Basal, Basal]
) -> Check:
    """Where the lines of the old and of the new rate cross, against the programmed duration."""
    (old, new), (before, after) = rates, lines
    end = bolus.end_s + record.started_s
    change = before.slope_per_s - after.slope_per_s
    name, title = "bridge-end", "End of the bridge, after its programmed one"
    share = change * HOUR_S / (old - new)
    if share < CHANGED_SHARE:
        u = math.hypot(*(slope_u_ul_per_s(record, one) for one in lines)) * HOUR_S / abs(old - new)
        note = f"the rate did not change as programmed, but by {100.0 * share:.3g} % of that"
        check = reported(name, title, None, "s", note, STANDS_ON)
        strokes = all(
            abs(one.block_s * rate / HOUR_S - record.stroke_ul) < WHOLE * record.stroke_ul
            for one, rate in zip(lines, rates, strict=True)
        )
        if (strokes or not record.stroke_ul) and share + CERTAIN * u < CHANGED_SHARE:
            check = replace(check, verdict=Verdict.FAIL, optional=False, limit_source="protocol")
        return check
    crossing = (after.at(end) - before.at(end)) / change
    u = math.hypot(line_u_ul(record, before, end), line_u_ul(record, after, end)) / abs(change)
    note = f"programmed {bolus.duration_s:.5g} s: {bolus.volume_ul:.4g} uL at {old:.4g} uL/h"
    check = reported(name, title, crossing, "s", note, STANDS_ON)
    return replace(check, **judge(crossing, u, math.inf, None))


# ------------------------------------------------------------------------------------------------------- curves


def _curves(record: GravimetricRecord, need: Need | None) -> Iterator[Curve]:
    from_s, to_s = record.analysis
    edges = np.linspace(from_s, to_s, 401)
    t_s, volumes = record.volumes(from_s, to_s)
    delivered = np.interp(edges, t_s, volumes)
    programmed = record.programmed_ul(edges) - record.programmed_ul(edges[:1])
    axes = [Axis("delivered", "uL", delivered), Axis("programmed", "uL", programmed)]
    if need is not None:
        axes.append(Axis("needed", "uL", np.full(edges.size, need.volume_ul)))
    yield Curve("volume", "Cumulative volume", Axis("time", "h", (edges - from_s) / HOUR_S), tuple(axes))
