"""A log of mass against time, from any source, analysed after IEC 60601-2-24: what `pumpbench analyse flow` prints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.checks import Exclusion
from data.samples import FloatArray
from protocols.analysis import gravimetry
from protocols.analysis.delivery import Overall, constant_rate, flow_ul_per_h, overall, startup_s
from protocols.analysis.grid import (
    WHOLE,
    Grid,
    RecordError,
    check_record,
    gaps,
    long_spacings,
    resample,
    whole_intervals,
)
from protocols.analysis.mass_steps import exclusion_share, negative_steps
from protocols.analysis.trumpet import TrumpetPoint, default_windows_s, trumpet_of_grid

HOUR_S = 3600.0

TAKEN_AWAY = 0.1
"""A flow below minus this share of the set rate is no evaporation: the mass is that of what was emptied."""

MOST_INTERVALS = 10_000_000
"""A log is cut into no more sample intervals, of which one that is too short by its unit would make billions."""


@dataclass(frozen=True, slots=True)
class FlowLogSettings:
    """How a log is analysed; times are on the log's own axis.

    Attributes
    ----------
    set_rate_ul_per_h : what the pump was set to; errors refer to it.
    interval_s : sample interval S of the analysis.
    density_mg_per_ul : of the fluid that was delivered.
    start_s, end_s : the analysis; the log's first and last sample by default.
    windows_s : observation windows; those of the standard for S that fit by default.
    evaporation_mg_per_h : loss of mass, added back.
    air_mg_per_ul : for the correction of air buoyancy; None takes mass as given.
    max_gap_s : a longer gap excludes every window that touches it; None bridges all.
    """

    set_rate_ul_per_h: float
    interval_s: float
    density_mg_per_ul: float
    start_s: float | None = None
    end_s: float | None = None
    windows_s: tuple[float, ...] | None = None
    evaporation_mg_per_h: float = 0.0
    air_mg_per_ul: float | None = None
    max_gap_s: float | None = None


@dataclass(frozen=True, slots=True)
class FlowLog:
    """The results.

    Attributes
    ----------
    overall : error and mean flow from start to end.
    grid : cumulative volume over the whole log, on the grid that ``start_s`` lies on.
    trumpet : from start to end.
    time_to_95_percent_s : from the log's first sample to the end of start-up; None if it is not reached.
    excluded : gaps and falls of mass.
    notes : what a reader must know beside the numbers, one sentence each.
    """

    overall: Overall
    grid: Grid
    trumpet: tuple[TrumpetPoint, ...]
    time_to_95_percent_s: float | None
    excluded: tuple[Exclusion, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data; a flow in an excluded interval is null."""
        return {
            "overall_error_percent": self.overall.error_percent,
            "mean_flow_ul_per_h": self.overall.mean_flow_ul_per_h,
            "flow": {
                "time_s": self.grid.t_s[1:].tolist(),
                "flow_ul_per_h": [flow if math.isfinite(flow) else None for flow in flow_ul_per_h(self.grid).tolist()],
            },
            "trumpet": [
                {
                    "window_s": point.window_s,
                    "windows": point.windows,
                    "windows_used": point.windows_used,
                    "ep_max_percent": point.ep_max_percent,
                    "ep_min_percent": point.ep_min_percent,
                }
                for point in self.trumpet
            ],
            "startup": {"time_to_95_percent_s": self.time_to_95_percent_s},
            "excluded": [{"from_s": one.from_s, "to_s": one.to_s, "reason": one.reason} for one in self.excluded],
        }


def analyse_flow_log(t_s: FloatArray, mass_mg: FloatArray, settings: FlowLogSettings) -> FlowLog:
    """Overall error, flow, trumpet and start-up of a log.

    Parameters
    ----------
    t_s, mass_mg : (n,) times, rising, and the mass that the balance showed.

    Raises
    ------
    RecordError
        If the log or the settings do not allow the analysis; the sentence says why.
    """
    check_record(t_s, mass_mg)
    start, end = _analysis(t_s, settings)
    touched = negative_steps(t_s, mass_mg)
    missing = gaps(t_s, settings.max_gap_s) if settings.max_gap_s is not None else ()
    excluded = tuple(sorted((*missing, *touched), key=lambda one: (one.from_s, one.to_s)))
    volume = _volume_ul(t_s, mass_mg, start, settings)
    grid = _whole_log(t_s, volume, start, settings.interval_s, excluded)
    first = round((start - grid.start_s) / settings.interval_s)
    count = round((end - start) / settings.interval_s)
    analysed = Grid(
        start, settings.interval_s, grid.values[first : first + count + 1], grid.used[first : first + count]
    )
    windows = settings.windows_s
    if windows is None:
        windows = tuple(
            p for p in default_windows_s(settings.interval_s) if p <= end - start + WHOLE * settings.interval_s
        )
    result = overall(t_s, volume, start, min(end, float(t_s[-1])), constant_rate(settings.set_rate_ul_per_h), touched)
    started = startup_s(grid, settings.set_rate_ul_per_h)
    return FlowLog(
        result,
        grid,
        trumpet_of_grid(analysed, settings.set_rate_ul_per_h, windows),
        None if started is None else started - float(t_s[0]),
        excluded,
        (*_notes(t_s, settings, start, end, windows, touched), *_taken_away(result, settings)),
    )


def _taken_away(result: Overall, settings: FlowLogSettings) -> tuple[str, ...]:
    """That the mass falls where it should rise."""
    if not result.mean_flow_ul_per_h < -TAKEN_AWAY * settings.set_rate_ul_per_h:
        return ()
    return (
        "the mass falls, and more mass is more delivered: give what was collected, or the reservoir's with its sign "
        "turned",
    )


def _analysis(t_s: FloatArray, settings: FlowLogSettings) -> tuple[float, float]:
    """Start and end, a whole number of intervals apart, checked against the log and the windows."""
    interval = settings.interval_s
    if not settings.set_rate_ul_per_h > 0.0:
        raise RecordError(f"the set rate must be above 0 uL/h, not {settings.set_rate_ul_per_h:g} uL/h")
    if not interval > 0.0:
        raise RecordError(f"the sample interval must be above 0 s, not {interval:g} s")
    if (t_s[-1] - t_s[0]) / interval > MOST_INTERVALS:
        raise RecordError(
            f"a sample interval of {interval:g} s cuts the log of {t_s[-1] - t_s[0]:g} s into more than "
            f"{MOST_INTERVALS:g} intervals; give a longer one, or correct its unit"
        )
    if not settings.density_mg_per_ul > 0.0:
        raise RecordError(f"the density must be above 0 g/mL, not {settings.density_mg_per_ul:g} g/mL")
    if settings.max_gap_s is not None and not settings.max_gap_s > 0.0:
        raise RecordError(f"the largest gap must be above 0 s, not {settings.max_gap_s:g} s")
    start = float(t_s[0]) if settings.start_s is None else settings.start_s
    end = float(t_s[-1]) if settings.end_s is None else settings.end_s
    slack = WHOLE * interval
    if not t_s[0] - slack <= start <= t_s[-1] or end > t_s[-1] + slack:
        raise RecordError(
            f"the log runs from {t_s[0]:g} s to {t_s[-1]:g} s, but the analysis from {start:g} s to {end:g} s; "
            "choose start and end inside the log"
        )
    intervals = math.floor((end - start) / interval + WHOLE)
    if intervals < 1:
        raise RecordError(
            f"from {start:g} s to {end:g} s no sample interval of {interval:g} s fits; "
            "choose a later end, an earlier start or a shorter interval"
        )
    for window in settings.windows_s or ():
        whole_intervals(window, interval)
    return start, start + intervals * interval


def _volume_ul(t_s: FloatArray, mass_mg: FloatArray, start_s: float, settings: FlowLogSettings) -> FloatArray:
    """Delivered volume: evaporation added back, buoyancy corrected, over density."""
    mass = mass_mg + settings.evaporation_mg_per_h * ((t_s - start_s) / HOUR_S)
    if settings.air_mg_per_ul is not None:
        mass = mass * gravimetry.buoyancy_factor(settings.air_mg_per_ul, settings.density_mg_per_ul)
    return np.asarray(mass / settings.density_mg_per_ul)


def _whole_log(
    t_s: FloatArray, volume_ul: FloatArray, start_s: float, interval_s: float, excluded: tuple[Exclusion, ...]
) -> Grid:
    """The grid through ``start_s`` that covers the log from its beginning to its end."""
    before = math.floor((start_s - float(t_s[0])) / interval_s + WHOLE)
    return resample(t_s, volume_ul, interval_s, start_s - before * interval_s, float(t_s[-1]), excluded)


def _notes(
    t_s: FloatArray,
    settings: FlowLogSettings,
    start: float,
    end: float,
    windows: tuple[float, ...],
    touched: tuple[Exclusion, ...],
) -> tuple[str, ...]:
    """What a reader must know beside the numbers."""
    notes = []
    asked = float(t_s[-1]) if settings.end_s is None else settings.end_s
    if asked - end > WHOLE * settings.interval_s:
        notes.append(
            f"the analysis ends at {end:g} s: the {asked - end:.6g} s up to {asked:g} s are no whole sample interval"
        )
    if settings.max_gap_s is None and (long := long_spacings(t_s)):
        shown = ", ".join(f"{a:g}-{b:g} s" for a, b in long[:10]) + (", ..." if len(long) > 10 else "")
        notes.append(f"{len(long)} spacings over 3 times the median were bridged: {shown}")
    longest = whole_intervals(max(windows), settings.interval_s) if windows else 0
    left_out = [p for p in default_windows_s(settings.interval_s) if p > end - start + WHOLE * settings.interval_s]
    if settings.windows_s is None and left_out:
        notes.append(f"windows longer than the analysis are left out: {', '.join(f'{p:g} s' for p in left_out)}")
    if (share := exclusion_share(touched, start, end)) > 0.0:
        notes.append(f"{100.0 * share:.3g} % of the analysis is excluded from the overall error")
    if longest and t_s.size < (t_s[-1] - t_s[0]) / settings.interval_s:
        notes.append("the log has fewer samples than sample intervals: part of the trumpet is interpolation")
    return tuple(notes)
