"""A mass record on a uniform grid: gaps, exclusions, linear interpolation of mass (never of rates)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.checks import Exclusion
from data.samples import FloatArray

BoolArray = npt.NDArray[np.bool_]

WHOLE = 1e-6
"""How far from a whole number, in intervals, two times may be and still count as whole intervals apart."""

LONG_SPACING = 3.0
"""Without a largest gap, spacings over so many median spacings are listed."""


class RecordError(ValueError):
    """A record from which the wanted result cannot be computed; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A cumulative quantity on a uniform grid.

    Attributes
    ----------
    start_s, interval_s : point i is at ``start_s + i * interval_s``.
    values : (n + 1,) cumulative mass or volume.
    used : (n,) False for an interval that touches an exclusion.
    """

    start_s: float
    interval_s: float
    values: FloatArray
    used: BoolArray

    @property
    def t_s(self) -> FloatArray:
        """(n + 1,) times of the points."""
        return self.start_s + np.arange(self.values.size, dtype=np.float64) * self.interval_s

    @property
    def length_s(self) -> float:
        """From the first to the last point."""
        return (self.values.size - 1) * self.interval_s


def check_record(t_s: FloatArray, values: FloatArray) -> None:
    """Raise `RecordError` unless times rise and everything is finite, with at least two samples."""
    if t_s.size != values.size:
        raise RecordError(f"{t_s.size} times do not go with {values.size} values")
    if t_s.size < 2:
        raise RecordError(f"a record of {t_s.size} samples is too short; it needs at least two")
    for name, array in (("time", t_s), ("value", values)):
        if not np.isfinite(array).all():
            raise RecordError(f"sample {int(np.flatnonzero(~np.isfinite(array))[0]) + 1} has no finite {name}")
    falling = np.flatnonzero(np.diff(t_s) <= 0.0)
    if falling.size:
        at = int(falling[0]) + 1
        raise RecordError(
            f"time does not rise from sample {at} ({t_s[at - 1]:g} s) to sample {at + 1} ({t_s[at]:g} s); "
            "sort the record and drop repeated times"
        )


def resample(
    t_s: FloatArray,
    values: FloatArray,
    interval_s: float,
    start_s: float,
    end_s: float,
    exclusions: Iterable[Exclusion] = (),
) -> Grid:
    """Interpolate a cumulative quantity linearly at ``start_s``, ``start_s + interval_s``, ... up to ``end_s``.

    Parameters
    ----------
    t_s, values : (n,) times, rising, and mass or volume.
    exclusions : stretches; an interval that overlaps one is not ``used``.

    Raises
    ------
    RecordError
        If the record does not cover the grid, or less than one interval fits.
    """
    slack = WHOLE * interval_s
    if start_s < t_s[0] - slack or end_s > t_s[-1] + slack:
        raise RecordError(
            f"the record runs from {t_s[0]:g} s to {t_s[-1]:g} s, but {start_s:g} s to {end_s:g} s is wanted; "
            "choose start and end inside the record"
        )
    intervals = math.floor((end_s - start_s) / interval_s + WHOLE)
    if intervals < 1:
        raise RecordError(
            f"from {start_s:g} s to {end_s:g} s is shorter than one sample interval of {interval_s:g} s; "
            "record longer or choose a shorter interval"
        )
    points = start_s + np.arange(intervals + 1, dtype=np.float64) * interval_s
    on_grid = np.interp(points, t_s, values)
    return Grid(start_s, interval_s, on_grid, ~touched(points, exclusions))


def touched(points_s: FloatArray, exclusions: Iterable[Exclusion]) -> BoolArray:
    """(n,) True for each interval between points (n + 1,) that shares more than an end with an exclusion."""
    touching = np.zeros(points_s.size - 1, dtype=np.bool_)
    slack = WHOLE * float(points_s[1] - points_s[0])
    for exclusion in exclusions:
        first = int(np.searchsorted(points_s, exclusion.from_s + slack, side="right")) - 1
        last = int(np.searchsorted(points_s, exclusion.to_s - slack, side="left"))
        touching[max(first, 0) : max(last, 0)] = True
    return touching


def gaps(t_s: FloatArray, longest_s: float) -> tuple[Exclusion, ...]:
    """Spacings longer than ``longest_s``, as exclusions: no window may touch them."""
    return tuple(
        Exclusion(float(t_s[i]), float(t_s[i + 1]), f"gap of {t_s[i + 1] - t_s[i]:g} s, longer than {longest_s:g} s")
        for i in np.flatnonzero(np.diff(t_s) > longest_s * (1.0 + WHOLE))
    )


def long_spacings(t_s: FloatArray) -> tuple[tuple[float, float], ...]:
    """(from, to) of spacings over three times the median spacing; they are bridged, and worth telling."""
    spacing = np.diff(t_s)
    long = np.flatnonzero(spacing > LONG_SPACING * (1.0 + WHOLE) * float(np.median(spacing)))
    return tuple((float(t_s[i]), float(t_s[i + 1])) for i in long)


def whole_intervals(window_s: float, interval_s: float) -> int:
    """Number of sample intervals in a window.

    Raises
    ------
    RecordError
        If it is not a whole number of at least one.
    """
    intervals = window_s / interval_s
    nearest = round(intervals)
    if nearest < 1 or abs(intervals - nearest) > WHOLE * max(1.0, intervals):
        raise RecordError(
            f"a window of {window_s:g} s is not a whole number of sample intervals of {interval_s:g} s; "
            f"choose a multiple, for example {max(1, nearest) * interval_s:g} s"
        )
    return nearest


def merged(exclusions: Iterable[Exclusion]) -> list[tuple[float, float]]:
    """Stretches of all exclusions, in order of time, without overlap."""
    stretches: list[tuple[float, float]] = []
    for exclusion in sorted(exclusions, key=lambda one: (one.from_s, one.to_s)):
        if stretches and exclusion.from_s <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], exclusion.to_s))
        else:
            stretches.append((exclusion.from_s, exclusion.to_s))
    return stretches


def kept(from_s: float, to_s: float, exclusions: Iterable[Exclusion]) -> list[tuple[float, float]]:
    """What is left of an interval when the exclusions are taken out."""
    left: list[tuple[float, float]] = []
    begin = from_s
    for out_from, out_to in merged(exclusions):
        if out_to <= begin or out_from >= to_s:
            continue
        if out_from > begin:
            left.append((begin, out_from))
        begin = max(begin, out_to)
    if begin < to_s:
        left.append((begin, to_s))
    return left


def change(t_s: FloatArray, values: FloatArray, stretches: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Change of a cumulative quantity over stretches, and their total length in s; ends are interpolated."""
    if not stretches:
        return 0.0, 0.0
    begins = np.interp([begin for begin, _ in stretches], t_s, values)
    ends = np.interp([end for _, end in stretches], t_s, values)
    return math.fsum([*ends.tolist(), *(-begins).tolist()]), math.fsum(end - begin for begin, end in stretches)
