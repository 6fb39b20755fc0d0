"""The volume of a bolus on basal flow: the jump between the straight lines of basal flow before and after it.

Basal flow, evaporation and the balance's drift are one slope on a balance.  They are taken from the last half of the
time between two boluses, when pump and line have settled, and detrended before anything is differenced.  Units are
those of the record: s, and mg or uL.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.samples import FloatArray
from protocols.analysis.grid import WHOLE, RecordError

LEAST_SAMPLES = 2
"""A straight line needs so many."""

STILL_FLOWING_SE = 5.0
STILL_FLOWING_SHARE = 0.01
"""A basal stretch whose two halves differ in slope by so many standard errors, and by this share of the bolus over its
length, holds more than basal flow."""

CHANGED_SHARE = 0.05
"""Basal flows before and after a bolus that differ by this share of it over its interval are no one basal flow."""

FEW_SAMPLES = 6
"""The scatter of fewer says little of their noise; then that of the neighbouring stretch counts, too."""

TOO_SMALL = "a bolus that takes longer than half of its interval is measured too small"
TOO_LARGE = "where the flow changed later than at its beginning, the bolus is measured too large"


@dataclass(frozen=True, slots=True)
class Basal:
    """Basal flow in the last half of the time between two boluses, as a straight line.

    Attributes
    ----------
    from_s, to_s : the stretch.
    samples : in it.
    middle_s, value : a point of the line.
    slope_per_s, u_slope_per_s : of the line, and its standard error by its scatter; 0 where two samples make it.
    bend_per_s, u_bend_per_s : slope of the stretch's second half less that of its first, and its standard error; 0
        where there are too few samples to tell.
    blocks_s, block_s : of a line through means over whole blocks, their middles and the length of one.
    """

    from_s: float
    to_s: float
    samples: int
    middle_s: float
    value: float
    slope_per_s: float
    u_slope_per_s: float = 0.0
    bend_per_s: float = 0.0
    u_bend_per_s: float = 0.0
    blocks_s: tuple[float, ...] = ()
    block_s: float = 0.0

    @property
    def length_s(self) -> float:
        """How long the basal flow was measured."""
        return self.to_s - self.from_s

    def at(self, t_s: float) -> float:
        """The line at a time."""
        return self.value + self.slope_per_s * (t_s - self.middle_s)

    def weights(self, t_s: float) -> tuple[float, ...]:
        """Weight of each block's mean in the line at a time; they sum to 1."""
        x = [at - self.middle_s for at in self.blocks_s]
        width = math.fsum(one * one for one in x)
        return tuple(1.0 / len(x) + one * (t_s - self.middle_s) / width for one in x)


@dataclass(frozen=True, slots=True)
class Jump:
    """One bolus: what came on top of the basal flow.

    Attributes
    ----------
    at_s : the beginning of the bolus.
    amount : in the unit of the record.
    before, after : the basal lines.
    remarks : what may be wrong with it, in words.
    """

    at_s: float
    amount: float
    before: Basal
    after: Basal
    remarks: tuple[str, ...] = ()


def jumps(t_s: FloatArray, values: FloatArray, starts_s: Sequence[float], expected: float = 0.0) -> tuple[Jump, ...]:
    """The bolus after each start, without the basal flow.

    Parameters
    ----------
    t_s, values : (n,) times, rising, and the cumulative mass or volume.
    starts_s : beginnings of the boluses, rising.
    expected : what each bolus was set to; by it and by what came a remark judges what is much.

    Raises
    ------
    RecordError
        Where a bolus begins outside the record, or a basal stretch holds too few samples.

    Notes
    -----
    The stretch before bolus i is the last half of the time since the start of bolus i - 1 (of the first one: since the
    record's begin); after the last one it is the last half of the rest of the record.  A least-squares line goes
    through each, and the bolus is the difference of the two lines at its start.  So it is exact for a basal flow of one
    slope before and one after each start, and a bolus of any shape that is over in the first half of its time.
    Without two samples before the first bolus its line has the slope of the one after it.
    """
    _check_starts(t_s, starts_s)
    edges = [float(t_s[0]), *starts_s, float(t_s[-1])]
    stretches = [_stretch(t_s, values, edges, i) for i in range(1, len(edges) - 1)]
    first = _before_first(t_s, values, starts_s[0], stretches[0])
    found: list[Jump] = []
    for start, before, after in zip(starts_s, [first, *stretches], stretches, strict=False):
        amount = after.at(start) - before.at(start)
        remarks = _remarks(len(found) + 1, max(abs(amount), expected), before, after)
        found.append(Jump(start, amount, before, after, remarks))
    return tuple(found)


def block_jumps(
    t_s: FloatArray,
    values: FloatArray,
    starts_s: Sequence[float],
    from_s: float,
    to_s: float,
    block_s: float,
    edge_s: float,
) -> tuple[Jump, ...]:
    """As `jumps`, with lines through means over whole blocks, such as the strokes of the pump.

    Parameters
    ----------
    from_s, to_s : the part of the record that belongs to these boluses.
    block_s : a mean over a whole stroke does not depend on where in the stroke it begins, so the line through such
        means has no part of the pulsation.  Where the last half holds no two of them, it is cut into two.
    edge_s : uncertainty of the starts' times; so much before each belongs to no stretch.
    """
    summed = Summed(t_s, values)
    edges = [from_s, *starts_s, to_s]
    stretches = []
    for begin, end in itertools.pairwise(edges):
        stop = end if end == to_s else end - edge_s
        stretches.append(block_line(summed, (begin + end) / 2.0, stop, block_s))
    return tuple(
        Jump(start, after.at(start) - before.at(start), before, after)
        for start, (before, after) in zip(starts_s, itertools.pairwise(stretches), strict=True)
    )


class Summed:
    """Time integral of a record that is linear between its samples."""

    def __init__(self, t_s: FloatArray, values: FloatArray) -> None:
        self._t_s, self._values = t_s, values
        self._area = np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2.0 * np.diff(t_s))])

    def means(self, edges_s: FloatArray) -> FloatArray:
        """(n,) means between neighbouring edges (n + 1,)."""
        index = np.clip(np.searchsorted(self._t_s, edges_s, side="right") - 1, 0, self._t_s.size - 1)
        into = edges_s - self._t_s[index]
        at_edges = np.interp(edges_s, self._t_s, self._values)
        area = self._area[index] + (self._values[index] + at_edges) / 2.0 * into
        return np.asarray(np.diff(area) / np.diff(edges_s), dtype=np.float64)


def block_line(summed: Summed, from_s: float, to_s: float, block_s: float) -> Basal:
    """Least-squares line through the means over whole blocks, counted back from the end of a stretch.

    Raises
    ------
    RecordError
        If the stretch has no length.
    """
    if not to_s > from_s:
        raise RecordError(f"no basal flow is left from {from_s:g} s to {to_s:g} s; record longer")
    count = math.floor((to_s - from_s) / block_s + WHOLE) if block_s > 0.0 else 0
    if count < LEAST_SAMPLES:
        count, block_s = LEAST_SAMPLES, (to_s - from_s) / LEAST_SAMPLES
    edges = to_s - block_s * np.arange(count, -1.0, -1.0)
    middles = (edges[1:] + edges[:-1]) / 2.0
    middle, value, slope, _ = _fit(middles, summed.means(edges))
    begin = to_s - count * block_s
    return Basal(begin, to_s, count, middle, value, slope, blocks_s=tuple(middles.tolist()), block_s=block_s)


def line(t_s: FloatArray, values: FloatArray, from_s: float, to_s: float) -> Basal:
    """Least-squares line through (n,) samples of a stretch, n at least 2."""
    middle, value, slope, u_slope = _fit(t_s, values)
    basal = Basal(from_s, to_s, t_s.size, middle, value, slope, u_slope)
    half = t_s.size // 2
    if half < LEAST_SAMPLES + 1:
        return basal
    (_, _, early, u_early), (_, _, late, u_late) = _fit(t_s[:half], values[:half]), _fit(t_s[half:], values[half:])
    return replace(basal, bend_per_s=late - early, u_bend_per_s=math.hypot(u_early, u_late))


def _fit(t_s: FloatArray, values: FloatArray) -> tuple[float, float, float, float]:
    """Mean time, mean value, slope and its standard error (0 for two samples)."""
    middle = math.fsum(t_s.tolist()) / t_s.size
    value = math.fsum(values.tolist()) / t_s.size
    x, y = t_s - middle, values - value
    width = math.fsum((x * x).tolist())
    slope = math.fsum((x * y).tolist()) / width
    rest = math.fsum(((y - slope * x) ** 2).tolist())
    dof = t_s.size - 2
    return middle, value, slope, math.sqrt(rest / dof / width) if dof else 0.0


def _check_starts(t_s: FloatArray, starts_s: Sequence[float]) -> None:
    if not starts_s:
        raise RecordError("there is no bolus; name the time at which each one begins")
    for number, start in enumerate(starts_s, 1):
        if not t_s[0] - WHOLE * abs(t_s[0]) <= start < t_s[-1]:
            raise RecordError(
                f"bolus {number} begins at {start:g} s, but the log runs from {t_s[0]:g} s to {t_s[-1]:g} s; "
                "correct its mark, or its unit"
            )
        if number > 1 and not start > starts_s[number - 2]:
            raise RecordError(
                f"bolus {number} begins at {start:g} s, not after bolus {number - 1} at {starts_s[number - 2]:g} s; "
                "name each bolus once, in order of time"
            )


def _stretch(t_s: FloatArray, values: FloatArray, edges: Sequence[float], number: int) -> Basal:
    """The basal line in the last half of the time after bolus ``number``."""
    begin, end = edges[number], edges[number + 1]
    last = number == len(edges) - 2
    inside = _last_half(t_s, begin, end, closed=last)
    if inside.sum() < LEAST_SAMPLES:
        then = "the log ends" if last else "the next one begins"
        raise RecordError(
            f"after bolus {number} at {begin:g} s the log holds {int(inside.sum())} samples from "
            f"{(begin + end) / 2.0:g} s to {end:g} s, where {then}; its basal flow needs {LEAST_SAMPLES}: "
            "log more often or longer, or leave out its mark"
        )
    return line(t_s[inside], values[inside], (begin + end) / 2.0, end)


def _last_half(
    t_s: FloatArray, begin: float, end: float, *, closed: bool
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Samples of the last half of an interval; one at its end, where the next bolus begins, may hold part of that."""
    slack = WHOLE * (end - begin)
    inside: np.ndarray[tuple[int], np.dtype[np.bool_]] = t_s >= (begin + end) / 2.0 - slack
    return inside & (t_s <= end + slack if closed else t_s < end - slack)


def _before_first(t_s: FloatArray, values: FloatArray, start_s: float, after: Basal) -> Basal:
    """The basal line before the first bolus, as well as the record knows it."""
    begin = float(t_s[0])
    half = _last_half(t_s, begin, start_s, closed=False)
    if half.sum() >= LEAST_SAMPLES:
        return line(t_s[half], values[half], (begin + start_s) / 2.0, start_s)
    before = _last_half(t_s, 2.0 * begin - start_s, start_s, closed=False)  # all that there is
    if before.sum() >= LEAST_SAMPLES:
        return line(t_s[before], values[before], begin, start_s)
    sample = max(int(np.searchsorted(t_s, start_s, side="right")) - 1, 0)
    if before.any():
        sample = int(np.flatnonzero(before)[-1])
    at = float(t_s[sample])
    return Basal(at, at, 1, at, float(values[sample]), after.slope_per_s)


def _u_slope_per_s(basal: Basal, neighbour: Basal) -> float:
    """Standard error of a slope, with the noise of the neighbouring stretch where it has few samples itself."""
    if basal.samples >= FEW_SAMPLES or min(basal.samples, neighbour.samples) < LEAST_SAMPLES:
        return basal.u_slope_per_s

    def per_noise(one: Basal) -> float:
        """Standard error of the slope of evenly spaced samples with noise of 1."""
        return math.sqrt(12.0 * one.samples / (one.samples**2 - 1)) / one.length_s

    return max(basal.u_slope_per_s, neighbour.u_slope_per_s / per_noise(neighbour) * per_noise(basal))


def _remarks(number: int, amount: float, before: Basal, after: Basal) -> tuple[str, ...]:
    """What a reader must know of one bolus; ``amount`` is what is measured against."""
    told = []
    if before.samples < LEAST_SAMPLES:
        told.append(
            f"bolus {number}: no basal flow was logged before it; the one after it and the sample at "
            f"{before.from_s:g} s stand for it"
        )
    interval_s = 2.0 * after.length_s
    change = after.slope_per_s - before.slope_per_s
    scatter = STILL_FLOWING_SE * math.hypot(_u_slope_per_s(before, after), _u_slope_per_s(after, before))
    changed = abs(change) > scatter and abs(change) * interval_s > CHANGED_SHARE * amount
    bend = abs(after.bend_per_s)
    bent = bend > STILL_FLOWING_SE * after.u_bend_per_s and bend * after.length_s > STILL_FLOWING_SHARE * amount
    if bent and not (changed and change < 0.0):
        told.append(
            f"bolus {number}: the flow was not steady from {after.from_s:g} s to {after.to_s:g} s, where its basal "
            f"flow is taken from; {TOO_SMALL}"
        )
    elif changed and amount > 0.0:
        percent = 100.0 * abs(change) * interval_s / amount
        told.append(
            f"bolus {number}: {'more' if change > 0.0 else 'less'} flowed from {after.from_s:g} s to {after.to_s:g} s, "
            f"where its basal flow is taken from, than before it, by {percent:.3g} % of a bolus in its interval; "
            + (f"{TOO_SMALL}, and so may be those after it" if change > 0.0 else TOO_LARGE)
        )
    return tuple(told)
