"""The trumpet curve: largest and smallest mean flow error over observation windows of each length.

After IEC 60601-2-24 (which excludes implants; here a declared convention).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.samples import FloatArray
from protocols.analysis.grid import BoolArray, Grid, RecordError, whole_intervals

HOUR_S = 3600.0
BLOCK = 32_768
"""Differences are taken in blocks that stay in the processor's cache: five times faster than whole arrays."""

VOLUMETRIC_WINDOWS = (2, 4, 10, 22, 38, 62)
"""In samples; 1, 2, 5, 11, 19, 31 min at the 0.5 min of volumetric and syringe pumps."""

AMBULATORY_WINDOWS = (1, 4, 10, 22, 38, 62)
"""In samples; 15, 60, 150, 330, 570, 930 min at the 15 min of ambulatory pumps."""

LONGEST_VOLUMETRIC_INTERVAL_S = 60.0

Cumulative = FloatArray | npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrumpetPoint:
    """One observation window.

    Attributes
    ----------
    window_s : its length P.
    windows : how many fit, (T - P)/S + 1.
    windows_used : how many of them touch no exclusion.
    ep_max_percent, ep_min_percent : largest and smallest mean error over those used; None if there are none.
    """

    window_s: float
    windows: int
    windows_used: int
    ep_max_percent: float | None
    ep_min_percent: float | None


def default_windows_s(interval_s: float) -> tuple[float, ...]:
    """Windows of the standard for a sample interval: the volumetric list up to 1 min, else the ambulatory one."""
    counts = VOLUMETRIC_WINDOWS if interval_s <= LONGEST_VOLUMETRIC_INTERVAL_S else AMBULATORY_WINDOWS
    return tuple(count * interval_s for count in counts)


def trumpet(
    cumulative: Cumulative,
    interval_s: float,
    set_rate_ul_per_h: float,
    windows_s: Sequence[float],
    *,
    used: BoolArray | None = None,
    unit_ul: float = 1.0,
) -> tuple[TrumpetPoint, ...]:
    """Largest and smallest mean flow error over every window of each length.

    Parameters
    ----------
    cumulative : (n + 1,) delivered volume on a uniform grid, or integer counts of it (`prefix_counts`).
    interval_s : spacing S of the grid.
    set_rate_ul_per_h : rate r that errors refer to, above 0.
    windows_s : lengths P, whole multiples of S, at most the length T of the record.
    used : (n,) False for an interval that no window may hold; all are used by default.
    unit_ul : volume of one unit of ``cumulative``.

    Raises
    ------
    RecordError
        If a window is not a multiple of S or is longer than the record, or the rate is not above 0.

    Notes
    -----
    After IEC 60601-2-24:2012, 201.12.1.102: E_j = 100 (V[j+k] - V[j])/(r P) - 100 with k = P/S.  Differences of the
    cumulative volume are the sliding means, so each window costs O(n) and no rounding accumulates; in integers they
    are exact.
    """
    if not set_rate_ul_per_h > 0.0:
        raise RecordError(f"an error in percent needs a set rate above 0 uL/h, not {set_rate_ul_per_h:g} uL/h")
    n = cumulative.size - 1
    points = []
    for window_s in windows_s:
        count = whole_intervals(window_s, interval_s)
        if count > n:
            raise RecordError(
                f"a window of {window_s:g} s is longer than the {n * interval_s:g} s analysed; "
                "leave it out or analyse longer"
            )
        windows_used, largest, smallest = _extremes(cumulative, count, used)
        expected = set_rate_ul_per_h * (count * interval_s / HOUR_S)
        points.append(
            TrumpetPoint(
                count * interval_s,
                n - count + 1,
                windows_used,
                None if windows_used == 0 else 100.0 * (largest * unit_ul / expected - 1.0),
                None if windows_used == 0 else 100.0 * (smallest * unit_ul / expected - 1.0),
            )
        )
    return tuple(points)


def prefix_counts(counts: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Cumulative sum (n + 1,) of raw counts (n,), exact in 64-bit integers."""
    cumulative = np.zeros(counts.size + 1, dtype=np.int64)
    np.cumsum(counts, dtype=np.int64, out=cumulative[1:])
    return cumulative


def trumpet_of_grid(grid: Grid, set_rate_ul_per_h: float, windows_s: Sequence[float]) -> tuple[TrumpetPoint, ...]:
    """The trumpet of a volume in uL on a grid, exclusions respected."""
    return trumpet(grid.values, grid.interval_s, set_rate_ul_per_h, windows_s, used=grid.used)


def extremes_of_a_perfect_pump(
    intervals: int,
    interval_s: float,
    set_rate_ul_per_h: float,
    windows_s: Sequence[float],
    noise_ul: float,
    draws: int = 200,
    seed: int = 0,
) -> tuple[tuple[float, float], ...]:
    """Mean largest and smallest error, in percent, that reading noise alone gives a perfect pump, for each window.

    The extreme of many windows is biased outwards: a trumpet point means nothing within this of its limit.

    Parameters
    ----------
    intervals : grid intervals analysed.
    noise_ul : standard deviation of one reading, as a volume.
    draws, seed : of the Monte Carlo; equal seeds give equal numbers.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    exact = np.arange(intervals + 1) * (set_rate_ul_per_h * interval_s / HOUR_S)
    highs: list[list[float]] = [[] for _ in windows_s]
    lows: list[list[float]] = [[] for _ in windows_s]
    for _ in range(draws):
        noisy = exact + noise_ul * generator.standard_normal(exact.size)
        for at, point in enumerate(trumpet(noisy, interval_s, set_rate_ul_per_h, windows_s)):
            highs[at].append(point.ep_max_percent or 0.0)
            lows[at].append(point.ep_min_percent or 0.0)
    return tuple((math.fsum(high) / draws, math.fsum(low) / draws) for high, low in zip(highs, lows, strict=True))


def _extremes(cumulative: Cumulative, count: int, used: BoolArray | None) -> tuple[int, float, float]:
    """Number of windows used, and largest and smallest difference over ``count`` intervals among them."""
    windows, largest, smallest = 0, -math.inf, math.inf
    for begin, end in _runs(used, cumulative.size - 1):
        starts = end - begin - count + 1
        if starts < 1:
            continue
        high, low = _blocked_extremes(cumulative[begin : end + 1], count)
        windows, largest, smallest = windows + starts, max(largest, high), min(smallest, low)
    return windows, largest, smallest


def _blocked_extremes(cumulative: Cumulative, count: int) -> tuple[float, float]:
    """Largest and smallest ``cumulative[j + count] - cumulative[j]``."""
    starts = cumulative.size - count
    buffer = np.empty(min(BLOCK, starts), dtype=cumulative.dtype)
    high, low = -math.inf, math.inf
    for begin in range(0, starts, BLOCK):
        end = min(begin + BLOCK, starts)
        differences = buffer[: end - begin]
        np.subtract(cumulative[begin + count : end + count], cumulative[begin:end], out=differences)
        high, low = max(high, differences.max()), min(low, differences.min())
    return float(high), float(low)


def _runs(used: BoolArray | None, n: int) -> list[tuple[int, int]]:
    """(begin, end) of each run of used intervals."""
    if used is None:
        return [(0, n)]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], used, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
