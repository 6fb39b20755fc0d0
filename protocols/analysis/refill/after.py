"""The hours after a refill: more than was programmed, and when the low-reservoir alarm has to come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from data.checks import Check, Limits, Verdict
from data.run import Run
from data.samples import FloatArray
from protocols.analysis.decision import SIMPLE, judge, reported, result
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.standing import of_a_run_cut_off

GRID_S = 60.0
SURGE_S = 3600.0
SILENT_S = 300.0
"""What came while the balance gave nothing for longer than this may have come all at once."""

FINE = (Verdict.PASS, Verdict.CONDITIONAL_PASS)
DAY_S = 86_400.0


def excess(record: GravimetricRecord) -> tuple[FloatArray, FloatArray]:
    """Times since the start of delivery in s, and delivered less programmed volume in uL, each minute."""
    from_s, to_s = record.analysis
    t_s, volumes = record.volumes(from_s, to_s)
    grid = np.arange(from_s, to_s + 1e-6, GRID_S)
    over = (
        np.interp(grid, t_s, volumes) - record.programmed_ul(grid) + float(record.programmed_ul(np.array([from_s]))[0])
    )
    return grid - from_s, np.asarray(over, dtype=np.float64)


def possible(record: GravimetricRecord, over_ul: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """The least and the most of `excess` that the record allows, and for how long the balance was silent, in s.

    Notes
    -----
    Between two readings the delivered volume is that of the first at least and of the second at most: all of it may
    have come at once, as late or as early as one likes.
    """
    from_s, to_s = record.analysis
    t_s, volumes = record.volumes(from_s, to_s)
    times = from_s + GRID_S * np.arange(over_ul.size, dtype=np.float64)
    programmed = record.programmed_ul(times)
    shift = float(programmed[0])
    low, high, silent_s = over_ul.copy(), over_ul.copy(), 0.0
    for k in np.flatnonzero(np.diff(t_s) > SILENT_S).tolist():
        inside = (times > t_s[k]) & (times < t_s[k + 1])
        ends = volumes[k : k + 2]
        low[inside] = float(ends.min()) - programmed[inside] + shift
        high[inside] = float(ends.max()) - programmed[inside] + shift
        silent_s += float(t_s[k + 1] - t_s[k])
    return low, high, silent_s


def largest_surge(over_ul: FloatArray, window: int, lowest_ul: FloatArray | None = None) -> tuple[float, int, int]:
    """Largest rise of a curve between two of its points at most ``window`` apart, and which two.

    Parameters
    ----------
    over_ul : (n,) delivered less programmed.
    lowest_ul : (n,) from which it rises, where that is another curve.
    """
    lowest = over_ul if lowest_ul is None else lowest_ul
    best, first, last = 0.0, 0, 0
    for k in range(1, over_ul.size):
        begin = max(0, k - window)
        low = begin + int(np.argmin(lowest[begin:k]))
        rise = float(over_ul[k] - lowest[low])
        if rise > best:
            best, first, last = rise, low, k
    return best, first, last


def surge(record: GravimetricRecord, limit: Limits | None, depends_on: tuple[str, ...]) -> Check:
    """Largest volume beyond the schedule in any hour after the refill."""
    name, title = "surge", "Beyond the schedule in any hour after the refill"
    from_s, to_s = record.analysis
    if to_s - from_s < 3.0 * GRID_S:
        short = reported(name, title, None, "uL", "the run ended before delivery was watched", depends_on)
        return replace(short, optional=limit is None)
    seconds, over = excess(record)
    value, first, last = largest_surge(over, round(SURGE_S / GRID_S))
    begin, end = from_s + float(seconds[first]), from_s + float(seconds[last])
    _, budget = record.collected.delivered(begin, max(end, begin + GRID_S))
    note = f"from {seconds[first] / 3600.0:.2f} h to {seconds[last] / 3600.0:.2f} h after the start" if value else ""
    check = result(name, title, value, budget, limit, depends_on=depends_on, note=note)
    low, high, silent_s = possible(record, over)
    if silent_s:
        most = largest_surge(high, round(SURGE_S / GRID_S), low)[0]
        silent = f"the balance was silent for {silent_s / 60.0:.0f} min: up to {most:.3g} uL"
        check = replace(check, note="; ".join(filter(None, (note, silent))))
        if check.verdict in FINE and judge(most, budget.u, budget.dof, limit)["verdict"] not in FINE:
            check = replace(check, verdict=Verdict.NOT_MEASURED, conformity_probability=None)
    # Any hour of the watch may have been the worst: one that was cut off passes nothing.
    return check if record.complete else of_a_run_cut_off(check)


def alarm_date(
    run: Run, filled: tuple[float, float] | None, limit: Limits | None, started_s: float | None
) -> tuple[Check, Mapping[str, float]]:
    """The pump's own count of its reservoir against what it was told; the alarm's date by the count and by the filling.

    Parameters
    ----------
    filled : volume and its standard uncertainty in uL.
    started_s : when the start of delivery was confirmed; None where it never was.
    """
    name, title = "alarm-date", "Reservoir by the pump's count less what it was told"
    stated = run.dut.get("low_reservoir_ul")
    if stated is None:
        return reported(name, title, None, "uL", "this pump has no low-reservoir alarm"), {}
    counted = _counted(run)
    if counted is None:
        return replace(reported(name, title, None, "uL", "its count was not read"), optional=limit is None), {}
    note, values = _dates(run, None if filled is None else filled[0] - stated, counted - stated, started_s)
    if "low-reservoir" in _status(run)["alarms"]:
        note += "; the pump raises the alarm already"
    # It is told what was to be filled in, whatever went in: the difference is none of its count.
    fields = judge(counted - float(run.params["fill_ul"]), 0.0, math.inf, limit)
    return Check(name, title, unit="uL", owner="dut", optional=limit is None, note=note, **fields), values


def _dates(
    run: Run, filled_ul: float | None, counted_ul: float, started_s: float | None
) -> tuple[str, Mapping[str, float]]:
    """When the alarm comes, in words and in days after the start, by volumes that are above that of the alarm."""
    above = (("alarm_after_days", filled_ul), ("alarm_after_days_by_the_pump", counted_ul))
    moments = {name: run.schedule.moment_of_volume_s(volume) for name, volume in above if volume is not None}
    words = [_worded(run, moment_s, started_s) for moment_s in moments.values()]
    told = f"by the pump {words[-1]}" if filled_ul is None else f"{words[0]}; by the pump {words[-1]}"
    if run.schedule.patient is not None:
        told += "; boluses that a patient will ask for are not counted"
    days = {name: moment_s / DAY_S for name, moment_s in moments.items() if math.isfinite(moment_s)}
    return f"low-reservoir alarm {told}", days


def _worded(run: Run, moment_s: float, started_s: float | None) -> str:
    if not math.isfinite(moment_s):
        return "not within ten years"
    date = "" if started_s is None else f", {run.start + timedelta(seconds=started_s + moment_s):%Y-%m-%d %H:%M} UTC"
    return f"{moment_s / DAY_S:.2f} days after the start{date}"


def told_filled(
    run: Run,
    filled: tuple[float, float] | None,
    limit: Limits | None,
    certain_ul: float,
    depends_on: tuple[str, ...],
    *,
    closed_early: bool = False,
) -> Check:
    """What the pump was told of its filling, less what went in: so far off is a count that counts rightly.

    Parameters
    ----------
    filled : volume and its standard uncertainty in uL.
    limit : of the pump's count; None where its file declares none.
    certain_ul : the difference that counts then.
    closed_early : the reservoir failed by closing before its capacity: that less went in is then its doing, not the
        record's.
    """
    name, title, told_ul = "told-filled", "Filling as the pump was told less what went in", float(run.params["fill_ul"])
    if filled is None or not _status(run):
        note = "filling or count was not read"
        return Check(name, title, None, "uL", Verdict.NOT_MEASURED, "record", depends_on=depends_on, note=note)
    off_ul = told_ul - filled[0]
    if limit is not None:
        fields = judge(off_ul, filled[1], math.inf, limit)
    else:
        fields = judge(
            off_ul, filled[1], math.inf, Limits(-certain_ul, certain_ul, "3 u of filling and syringe"), SIMPLE
        )
        fields["verdict"] = Verdict.PASS if abs(off_ul) <= certain_ul else Verdict.FAIL
    note = f"told {told_ul / 1000.0:.3f} mL, filled {filled[0] / 1000.0:.3f} mL"
    if fields["verdict"].fails:
        note += "; tell the pump what went in before it is used"
        if closed_early and off_ul > 0.0:
            note += "; the reservoir took no more, see capacity"
            fields |= {"verdict": Verdict.NOT_MEASURED, "conformity_probability": None}
    return Check(name, title, unit="uL", owner="record", depends_on=depends_on, note=note, **fields)


def _counted(run: Run) -> float | None:
    """What the pump counted in its reservoir after it was told; None where that is no number."""
    counted = float(_status(run).get("reservoir_ul", math.nan))
    return counted if math.isfinite(counted) else None


def _status(run: Run) -> Mapping[str, Any]:
    """What the pump reported after its filling; empty where it was not read."""
    found = [event.fields for event in run.records("pump") if event.fields.get("key") == "filled"]
    return found[-1] if found else {}
