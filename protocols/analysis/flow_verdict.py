"""The verdict of a flow-accuracy run: suitability of the rig first, then what the pump delivered, with uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from data.checks import Axis, Check, Curve, Evaluation, Exclusion, Limits, Verdict
from data.run import Run
from protocols.analysis import delivery, flow_parts
from protocols.analysis.bolus_budget import noise_of
from protocols.analysis.decision import judge, reported
from protocols.analysis.evaporation import HOUR_S
from protocols.analysis.flow_blanks import known_record
from protocols.analysis.flow_budget import window_u_percent
from protocols.analysis.flow_changes import change_checks, stroke_curve
from protocols.analysis.flow_events import interruptions, undriven
from protocols.analysis.flow_mean import means, nothing
from protocols.analysis.gravimetric_record import GravimetricRecord, GravimetricRecordError
from protocols.analysis.grid import Grid, RecordError, gaps, resample
from protocols.analysis.rig_fitness import doubt_percent, fitness
from protocols.analysis.standing import ON_BALANCE, ON_WITNESSED, as_limits, exclusions, on_suitability
from protocols.analysis.start import doubt_by_balance, rule_of, start_check, start_within
from protocols.analysis.suitability import not_measured
from protocols.analysis.trumpet import TrumpetPoint, default_windows_s, extremes_of_a_perfect_pump, trumpet_of_grid

USUAL_INTERVAL_S = 900.0
"""The trumpet's sample interval is the whole number of strokes nearest to this."""

LONGEST_GAP_S = 600.0
NEAR_SHARE = 0.1
"""A window of whole intervals stands for a declared one from which it differs by less than this share."""


def evaluate(run: Run) -> Evaluation:
    """Judge a flow-accuracy run."""
    try:
        record = known_record(run)
    except GravimetricRecordError as error:
        return Evaluation((nothing(str(error)), *undriven(run)))
    excluded = exclusions(record)
    fit = tuple(compared(record, check) for check in fitness(record, excluded))
    bad = {check.name for check in fit if check.verdict is Verdict.INVALID}
    doubt = doubt_percent(record, fit)
    judged = [on_suitability(check, bad) for check in _delivery_checks(record, excluded, doubt)]
    values = {
        "set_rate_ul_per_h": record.set_rate_ul_per_h,
        "ul_per_mg": record.collected.ul_per_mg,
        "fluid_density_mg_per_ul": record.collected.weighing.fluid_mg_per_ul,
        "air_density_mg_per_ul": record.collected.weighing.air_mg_per_ul,
    }
    return Evaluation((*judged, *fit), tuple(_curves(record, excluded)), excluded, values)


def compared(record: GravimetricRecord, check: Check) -> Check:
    """A check of the rig; none of sensor against balance where a part of the flow passed the one and not the other.

    Before the analysis a comparison is over the whole delivery, blank included.
    """
    if check.name != "sensor-balance-ratio" or "analysis" in record.phases or not record.away:
        return check
    if record.collecting == [(record.started_s, record.analysis[1])]:
        return check
    note = "the flow was led away from the balance for a blank; they are compared over the analysis"
    return not_measured(check.name, check.title, check.unit, note, optional=True)


# ----------------------------------------------------------------------------------------------- the pump


def _delivery_checks(record: GravimetricRecord, excluded: Sequence[Exclusion], doubt: float) -> Iterator[Check]:
    from_s, to_s = record.analysis
    if "analysis" in record.phases and to_s > from_s:
        yield from means(record, excluded, doubt)
        yield from _trumpet_checks(record, excluded)
        yield from _segment_checks(record, excluded)
        yield from _changes(record, excluded)
    else:
        yield nothing("the run ended before the analysis began")
    yield _start_up(record, excluded)
    yield from interruptions(record, excluded, doubt, ON_WITNESSED)


def _trumpet(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> tuple[Grid, tuple[TrumpetPoint, ...]]:
    """Trumpet of the analysis on a grid of whole strokes; nothing for a rate that varies."""
    from_s, to_s = record.analysis
    interval = _interval_s(record)
    t_s, volumes = record.volumes(from_s, to_s)
    no_window = (*excluded, *gaps(record.collected.t_s, LONGEST_GAP_S))
    grid = resample(t_s, volumes, interval, from_s, to_s, no_window)
    windows = _windows_s(interval, [float(one["window_s"]) for one in record.dut["limits"]["trumpet"]])
    rate = record.set_rate_ul_per_h
    return grid, trumpet_of_grid(grid, rate, [one for one in windows if one <= grid.length_s]) if rate > 0.0 else ()


def _windows_s(interval_s: float, declared_s: Sequence[float]) -> list[float]:
    """Windows of the standard, and those that the pump's file limits beside them, in whole intervals."""
    windows = list(default_windows_s(interval_s))
    for wanted in declared_s:
        if _like(wanted, windows) is None:
            whole = round(wanted / interval_s) * interval_s
            windows += [whole] if _like(wanted, [whole]) else []
    return sorted(windows)


def _like(wanted_s: float, windows_s: Sequence[float]) -> float | None:
    """The window nearest to a declared one, if any is near enough to be judged by its limits."""
    near = min(windows_s, key=lambda one: abs(one - wanted_s), default=0.0)
    return near if abs(near - wanted_s) < NEAR_SHARE * near else None


def _interval_s(record: GravimetricRecord) -> float:
    """Sample interval: the whole number of strokes nearest to a quarter of an hour, at least one."""
    stroke = record.stroke_ul
    rate = record.set_rate_ul_per_h
    if stroke <= 0.0 or rate <= 0.0:
        return USUAL_INTERVAL_S
    stroke_s = stroke / rate * HOUR_S
    return max(1, round(USUAL_INTERVAL_S / stroke_s)) * stroke_s


def _trumpet_checks(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> Iterator[Check]:
    """Both sides of each point; a window that is limited and could not be looked at was not measured."""
    if not record.at_one_rate or record.set_rate_ul_per_h <= 0.0:
        return
    declared = {float(one["window_s"]): one for one in record.dut["limits"]["trumpet"]}
    try:
        grid, points = _trumpet(record, excluded)
    except RecordError:
        points = ()  # shorter than one interval
    seen = [point for point in points if point.ep_max_percent is not None and point.ep_min_percent is not None]
    of_point: dict[float, float] = {}
    for window in declared:
        near = _like(window, [point.window_s for point in seen])
        if near is not None and abs(window - near) < abs(of_point.get(near, math.inf) - near):
            of_point[near] = window
    for point, chance in zip(seen, _by_chance(record, grid, seen) if seen else (), strict=True):
        yield from _point_checks(record, point, chance, as_limits(declared.get(of_point.get(point.window_s, 0.0))))
    for window in sorted(declared.keys() - of_point.values()):
        yield from _unseen_window(record, window, as_limits(declared[window]))


def _by_chance(record: GravimetricRecord, grid: Grid, points: Sequence[TrumpetPoint]) -> list[float]:
    """Largest error, in percent, that the balance's noise alone gives a perfect pump in each window."""
    noise = _apart_ul(record, grid.interval_s) / math.sqrt(2.0)
    windows = [point.window_s for point in points]
    rate, intervals = record.set_rate_ul_per_h, grid.values.size - 1
    return [chance for chance, _ in extremes_of_a_perfect_pump(intervals, grid.interval_s, rate, windows, noise)]


def _point_checks(
    record: GravimetricRecord, point: TrumpetPoint, chance: float, limits: Limits | None
) -> Iterator[Check]:
    _, budget = record.collected.delivered(*record.analysis)
    common = 100.0 * budget.u / record.expected_ul(*record.analysis)  # shared by all windows, such as the density
    noise = _apart_ul(record, point.window_s)
    u = window_u_percent(common, noise, record.set_rate_ul_per_h * point.window_s / HOUR_S)
    dof = budget.dof * (u / common) ** 4 if common else math.inf  # Welch and Satterthwaite; the noise is declared
    for side, value in (("max", point.ep_max_percent), ("min", point.ep_min_percent)):
        assert value is not None
        yield Check(
            name=f"trumpet-{point.window_s / 60.0:.4g}min-{side}",
            title=f"Trumpet {point.window_s / 60.0:.4g} min, {side}",
            unit="%",
            owner="dut",
            optional=limits is None,
            depends_on=ON_BALANCE,
            note=f"balance noise alone shows ±{chance:.2g} %" if chance > abs(value) / 3.0 else "",
            **judge(value, u, dof, limits),
        )


def _apart_ul(record: GravimetricRecord, window_s: float) -> float:
    """Standard deviation of the difference of two readings a window apart, as a volume."""
    gained_ul = record.set_rate_ul_per_h * window_s / HOUR_S
    return noise_of(record).apart_mg(window_s, gained_ul) * record.collected.ul_per_mg


def _unseen_window(record: GravimetricRecord, window_s: float, limits: Limits | None) -> Iterator[Check]:
    """A window that the pump's file limits, without a point of the trumpet."""
    from_s, to_s = record.analysis
    interval = _interval_s(record)
    near = _like(window_s, _windows_s(interval, [window_s]))
    if near is None:
        note = f"a window is a whole number of intervals of {interval / 60.0:.4g} min, which are whole strokes"
    elif near > to_s - from_s:
        note = f"the analysis of {(to_s - from_s) / HOUR_S:.3g} h holds no such window"
    else:
        note = "exclusions and gaps leave no such window"
    for side in ("max", "min"):
        yield Check(
            name=f"trumpet-{window_s / 60.0:.4g}min-{side}",
            title=f"Trumpet {window_s / 60.0:.4g} min, {side}",
            unit="%",
            owner="dut",
            depends_on=ON_BALANCE,
            note=note,
            **judge(None, None, math.inf, limits),
        )


def _segment_checks(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> Iterator[Check]:
    """Delivery in each segment and bolus of a schedule that varies."""
    if record.at_one_rate:
        return
    yield from _part_checks(record, flow_parts.segments(record, excluded), "segment", "Segment")
    yield from _part_checks(record, flow_parts.boluses(record, excluded), "bolus", "Bolus")


def _part_checks(
    record: GravimetricRecord, parts: Iterable[flow_parts.Weighed], quantity: str, title: str
) -> Iterator[Check]:
    limits = _limits(record, quantity)
    for number, (part, budget) in enumerate(parts, 1):
        name, said = f"{quantity}-{number}", f"{title} {number}, delivered against programmed"
        in_percent = None
        if budget is not None and part.expected_ul > 0.0:
            in_percent = budget.scaled(said, "%", 100.0 / part.expected_ul)
        u, dof = (in_percent.u, in_percent.dof) if in_percent is not None else (None, math.inf)
        yield Check(
            name=name,
            title=said,
            unit="%",
            owner="dut",
            optional=limits is None or part.error_percent is None,
            depends_on=ON_WITNESSED,
            note=part.left_out,
            budget=in_percent.rows() if in_percent is not None else (),
            **judge(part.error_percent, u, dof, limits),
        )


def _changes(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> Iterator[Check]:
    """Shifts and drift within the analysis, at a constant rate."""
    from_s, to_s = record.analysis
    if not record.at_one_rate or record.stroke_ul <= 0.0 or record.set_rate_ul_per_h <= 0.0:
        return
    t_s, volumes = record.volumes(from_s, to_s)
    reading = math.sqrt(2.0) * record.collected.weighing.repeatability_mg * record.collected.ul_per_mg
    yield from change_checks(t_s, volumes, record.programmed_ul, record.stroke_ul, reading, excluded, ON_BALANCE)


def _start_up(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> Check:
    """Time until the flow first came as programmed, and stayed; from when something is programmed."""
    missing = reported("start-up", "Start-up time", None, "s")
    missing = replace(missing, optional=not record.dut["limits"]["start_up"])
    if "stabilisation" not in record.phases or record.set_rate_ul_per_h <= 0.0:
        return missing
    to_s = record.phases["stabilisation"][1]
    length_s = to_s - record.started_s
    rates = (one for one in record.schedule.segments(0.0, max(length_s, 1.0)) if one.rate_ul_per_h > 0.0)
    first = next(rates, None)
    if first is None or length_s <= first.t0:
        return missing
    basal = next((one.rate_ul_per_h for one in (first, *rates) if one.kind == "basal"), record.set_rate_ul_per_h)
    rule, span = rule_of(record, basal), (record.started_s + first.t0, to_s)
    doubt = doubt_by_balance(record, basal, span[0], rule)
    start = start_within(*record.volumes(*span), record.programmed_ul, span, rule, excluded, doubt)
    return start_check(record, start, span, rule, excluded, ON_BALANCE)


# ------------------------------------------------------------------------------------------------- curves


def _curves(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> Iterator[Curve]:
    from_s, to_s = record.started_s, record.analysis[1]
    if to_s - from_s < 2.0 * USUAL_INTERVAL_S:
        return
    t_s, volumes = record.volumes(from_s, to_s)
    try:
        whole = resample(t_s, volumes, _interval_s(record), from_s, to_s, (*excluded, *record.away))
    except RecordError:
        return
    hours = (whole.t_s - from_s) / HOUR_S
    programmed = record.programmed_ul(whole.t_s)
    balance = delivery.flow_ul_per_h(whole)
    scheduled = np.diff(programmed) / whole.interval_s * HOUR_S
    flows = [Axis("balance", "uL/h", balance), Axis("schedule", "uL/h", scheduled)]
    if record.flow is not None and record.flow.t_s.size:
        flows.append(Axis("sensor", "uL/h", record.flow.means(whole.t_s)))
    yield Curve("flow", "Flow", Axis("time", "h", (hours[1:] + hours[:-1]) / 2.0), tuple(flows))
    yield from _volume_curve(record, excluded)
    if "analysis" in record.phases and record.at_one_rate:
        try:
            _, points = _trumpet(record, excluded)
        except RecordError:
            return
        used = [point for point in points if point.ep_max_percent is not None and point.ep_min_percent is not None]
        windows = Axis("window", "min", np.array([point.window_s / 60.0 for point in used]))
        sides = (
            Axis("ep_max", "%", np.array([point.ep_max_percent for point in used], dtype=np.float64)),
            Axis("ep_min", "%", np.array([point.ep_min_percent for point in used], dtype=np.float64)),
        )
        yield Curve("trumpet", "Trumpet curve", windows, sides)
        inside = record.volumes(*record.analysis)
        yield from stroke_curve(*inside, record.programmed_ul, record.stroke_ul, excluded)


def _volume_curve(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> Iterator[Curve]:
    """Delivered and programmed volume, both from the begin of the analysis: a blank before it was no delivery."""
    from_s, to_s = record.analysis
    if "analysis" not in record.phases:
        return
    t_s, volumes = record.volumes(from_s, to_s)
    try:
        whole = resample(t_s, volumes, _interval_s(record), from_s, to_s, excluded)
    except RecordError:
        return  # shorter than one interval
    programmed = record.programmed_ul(whole.t_s) - record.programmed_ul(np.array([from_s]))
    axes = (Axis("delivered", "uL", whole.values), Axis("programmed", "uL", programmed))
    hours = Axis("time", "h", (whole.t_s - from_s) / HOUR_S)
    yield Curve("volume", "Cumulative volume in the analysis", hours, axes)


# -------------------------------------------------------------------------------------------- small parts


def _limits(record: GravimetricRecord, quantity: str) -> Limits | None:
    return as_limits(record.dut["limits"][quantity])
