"""The hours after a refill: more than was programmed, and when the low-reservoir alarm has to come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np

from data.checks import Check, Limits, Verdict
from data.run import Run
from data.samples import FloatArray
from protocols.analysis.decision import judge, reported
from protocols.analysis.gravimetric_record import GravimetricRecord

GRID_S = 60.0
SURGE_S = 3600.0
SILENT_S = 300.0
"""What came while the balance gave nothing for longer than this may have come all at once."""

FINE = (Verdict.PASS, Verdict.CONDITIONAL_PASS)
DAY_H = 24.0


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
        return reported(name, title, None, "uL", "the run ended before delivery was watched", depends_on)
    seconds, over = excess(record)
    value, first, last = largest_surge(over, round(SURGE_S / GRID_S))
    begin, end = from_s + float(seconds[first]), from_s + float(seconds[last])
    _, budget = record.collected.delivered(begin, max(end, begin + GRID_S))
    note = f"from {seconds[first] / 3600.0:.2f} h to {seconds[last] / 3600.0:.2f} h after the start" if value else ""
    fields = judge(value, budget.u, budget.dof, limit)
    low, high, silent_s = possible(record, over)
    if silent_s:
        most = largest_surge(high, round(SURGE_S / GRID_S), low)[0]
        note = "; ".join(
            filter(None, (note, f"the balance was silent for {silent_s / 60.0:.0f} min: up to {most:.3g} uL"))
        )
        if fields["verdict"] in FINE and judge(most, budget.u, budget.dof, limit)["verdict"] not in FINE:
            fields |= {"verdict": Verdict.NOT_MEASURED, "conformity_probability": None}
    return Check(
        name,
        title,
        unit="uL",
        owner="dut",
        optional=limit is None,
        depends_on=depends_on,
        note=note,
        budget=budget.rows(),
        **fields,
    )


def alarm_date(
    run: Run, filled: tuple[float, float] | None, limit: Limits | None, depends_on: tuple[str, ...]
) -> tuple[Check, Mapping[str, float]]:
    """The pump's own count of its reservoir against what was filled in, and the alarm's date by each.

    Parameters
    ----------
    filled : volume and its standard uncertainty in uL.
    """
    name, title = "alarm-date", "Reservoir by the pump's count less what was filled in"
    stated = run.dut.get("low_reservoir_ul")
    status = _status(run, "filled")
    if stated is None:
        return reported(name, title, None, "uL", "this pump has no low-reservoir alarm", depends_on), {}
    if filled is None or status is None:
        return reported(name, title, None, "uL", "filling or count was not read", depends_on), {}
    rate = float(run.schedule.expected_volume_ul(0.0, DAY_H * 3600.0)) / DAY_H
    counted = float(status["reservoir_ul"])
    note = ""
    values: dict[str, float] = {}
    if rate > 0.0:
        ours_h, its_h = (max(volume - stated, 0.0) / rate for volume in (filled[0], counted))
        started = status["answered_s"]
        dates = [
            f"{run.start + timedelta(seconds=started, hours=hours):%Y-%m-%d %H:%M} UTC" for hours in (ours_h, its_h)
        ]
        note = f"low-reservoir alarm {ours_h / DAY_H:.2f} days after the start, {dates[0]}; by the pump {dates[1]}"
        values = {"alarm_after_days": ours_h / DAY_H, "alarm_after_days_by_the_pump": its_h / DAY_H}
    if "low-reservoir" in status["alarms"]:
        note += "; the pump raises the alarm already"
    fields = judge(counted - filled[0], filled[1], float("inf"), limit)
    check = Check(
        name, title, unit="uL", owner="dut", optional=limit is None, depends_on=depends_on, note=note, **fields
    )
    return check, values


def _status(run: Run, key: str) -> Mapping[str, Any] | None:
    found = [event.fields for event in run.records("pump") if event.fields.get("key") == key]
    return found[-1] if found else None
