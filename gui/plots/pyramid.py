"""All samples of a curve, so kept that any stretch is drawn at once: minima and maxima at coarser and coarser steps.

A curve of a million points costs as much to draw as one of a thousand, and no extreme is ever lost: each column of
pixels shows the smallest and the largest sample that lie in it.  Bins begin at multiples of their length, which is a
power of two, so a curve does not shimmer while it grows.

Memory is bounded.  When ``capacity`` samples are kept, those older than the newest quarter are thinned: of each four
the smallest and the largest stay, at their own times.  What is old is thinned to one density all along, so that the
first day of a month is drawn as finely as its twentieth.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from operator import sub

import numpy as np

from data.samples import FloatArray

FACTOR = 8
"""Samples, or bins, that one bin of the next level spans."""

CAPACITY = 1 << 20
"""About 19 MB a curve."""

SMALLEST = 64
FIRST = 1 << 10

PIECES = 8
"""A stretch whose samples are dense here and sparse there is drawn in so many pieces of equal time."""

SHARES = np.arange(1, PIECES) / PIECES

FEW = 4096
"""So many samples are looked through one by one."""

UNEVEN = 2.0
"""A stretch is uneven if one of its pieces has so many times the samples of an even share."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A stretch of a curve for the screen.

    Attributes
    ----------
    x, y : (points,) about two points a column at most, in order of time; y is NaN where the curve is broken.
    exact : whether these are the samples themselves, with none left out.
    """

    x: FloatArray
    y: FloatArray
    exact: bool


class Pyramid:
    """A growing curve.

    Parameters
    ----------
    capacity : samples that are kept before the older ones are thinned; a power of two, 64 at least.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < SMALLEST or capacity & (capacity - 1):
            raise ValueError(f"a curve keeps a power of two of samples, {SMALLEST} or more; {capacity} is none")
        self._capacity = capacity
        self._t = np.empty(min(FIRST, capacity))
        self._y = np.empty(len(self._t))
        self._count = 0
        self._old = 0  # samples that have been thinned, ...
        self._times = 0  # ... and how often
        self._taken = 0
        self._levels: list[tuple[FloatArray, FloatArray]] = []  # smallest and largest of each bin
        self._full: list[int] = []  # bins of each level that are up to date

    def __len__(self) -> int:
        return self._count

    @property
    def taken(self) -> int:
        """Samples that ever came; it tells whether the curve has changed."""
        return self._taken

    @property
    def span(self) -> tuple[float, float] | None:
        """Time of the first and of the last sample."""
        return (float(self._t[0]), float(self._t[self._count - 1])) if self._count else None

    @property
    def last(self) -> tuple[float, float] | None:
        """Time and value of the last sample; None without samples."""
        return (float(self._t[self._count - 1]), float(self._y[self._count - 1])) if self._count else None

    @property
    def bytes(self) -> int:
        """Memory that it has."""
        return self._t.nbytes + self._y.nbytes + sum(low.nbytes + high.nbytes for low, high in self._levels)

    def extend(self, t: FloatArray, values: FloatArray) -> None:
        """Add samples of rising time; NaN is a sample that may not be used, and breaks the curve."""
        most = self._capacity // 4
        for begin in range(0, len(t), most):
            self._add(t[begin : begin + most], values[begin : begin + most])
        self._taken += len(t)

    def view(self, t0: float, t1: float, columns: int) -> Drawn:
        """What is to be drawn of a stretch that is so many pixels wide; one sample more on either side."""
        t = self._t[: self._count]
        begin = max(int(t.searchsorted(t0)) - 1, 0)
        end = min(int(t.searchsorted(t1, side="right")) + 1, self._count)
        if end - begin <= 2 * columns:
            return Drawn(t[begin:end].copy(), self._y[begin:end].copy(), begin >= self._old)
        first, last = max(t0, float(t[begin])), min(t1, float(t[end - 1]))
        share = (last - first) / (t1 - t0) if 0.0 < t1 - t0 < np.inf else 1.0
        columns = max(round(columns * share), 2)
        pieces = self._pieces(begin, end, first, last, columns)
        if len(pieces) == 1:
            return Drawn(*pieces[0], False)
        x, y = (np.concatenate([piece[axis] for piece in pieces]) for axis in (0, 1))
        return Drawn(x, y, False)

    def at(self, t: float, *, before: bool = False) -> tuple[float, float] | None:
        """Time and value of the sample next to a moment, or of the last one before it; None where there is none."""
        index = int(self._t[: self._count].searchsorted(t, side="right" if before else "left"))
        if before:
            near = [index - 1] if index else []
        else:
            near = [one for one in (index - 1, index) if 0 <= one < self._count]
        if not near:
            return None
        best = min(near, key=lambda one: abs(self._t[one] - t))
        return float(self._t[best]), float(self._y[best])

    def extremes(self, t0: float, t1: float) -> tuple[float, float] | None:
        """Smallest and largest value of a stretch; None where there is none."""
        t = self._t[: self._count]
        begin, end = int(t.searchsorted(t0)), int(t.searchsorted(t1, side="right"))
        if begin >= end:
            return None
        low, high = self._least_and_largest(begin, end)
        return None if np.isnan(low) else (low, high)

    # -- small parts

    def _pieces(self, begin: int, end: int, t0: float, t1: float, columns: int) -> list[tuple[FloatArray, FloatArray]]:
        """A stretch, cut where it is uneven, so that what is rare is not merged as coarsely as what is dense."""
        if end - begin <= 2 * columns or columns < 2 * PIECES:
            return [self._stretch(begin, end, columns)]
        cuts = self._t[begin:end].searchsorted(t0 + SHARES * (t1 - t0)) + begin
        bounds = [begin, *cuts.tolist(), end]
        if max(map(sub, bounds[1:], bounds)) * PIECES <= UNEVEN * (end - begin):
            return [self._stretch(begin, end, columns)]
        made = []
        each = (t1 - t0) / PIECES
        for number, (before, after) in enumerate(pairwise(bounds)):
            if after > before:
                at = t0 + number * each
                made += self._pieces(before, after, at, at + each, columns // PIECES)
        return made

    def _stretch(self, begin: int, end: int, columns: int) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest of about one bin a column; the samples themselves where they are few."""
        if end - begin <= 2 * columns:
            return self._t[begin:end], self._y[begin:end]
        level, size = -1, 1
        while level + 1 < len(self._levels) and size * FACTOR * columns <= end - begin:
            level, size = level + 1, size * FACTOR
        group = 1
        while size * group * columns < end - begin:
            group *= 2
        bin_size = size * group
        first, last = -(-begin // bin_size), end // bin_size
        if last <= first:
            first = last = end // bin_size
        lows, highs = self._levels[level] if level >= 0 else (self._y, self._y)
        low = np.fmin.reduce(lows[first * group : last * group].reshape(-1, group), axis=1)
        high = np.fmax.reduce(highs[first * group : last * group].reshape(-1, group), axis=1)
        inner = slice(
            2, 2 + 2 * len(low)
        )  # of the smallest and the largest before it, of each bin, of what is after it
        x, y = np.empty(2 * len(low) + 5), np.full(2 * len(low) + 5, np.nan)
        x[inner] = np.repeat(self._t[first * bin_size : last * bin_size : bin_size], 2)
        y[inner][0::2], y[inner][1::2] = low, high
        head, tail = min(first * bin_size, end), max(last * bin_size, begin)
        if begin < head:
            x[:2], y[:2] = self._t[begin], self._least_and_largest(begin, head)
        if tail < end:
            x[-3:-1], y[-3:-1] = self._t[tail], self._least_and_largest(tail, end)
        x[-1], y[-1] = self._t[end - 1], self._y[end - 1]
        there = slice(0 if begin < head else 2, None)
        if tail == end:
            x[-3], y[-3] = x[-1], y[-1]
            return x[there][:-2], y[there][:-2]
        return x[there], y[there]

    def _least_and_largest(self, begin: int, end: int) -> tuple[float, float]:
        """Of samples begin to end - 1, from as coarse bins as lie in them; NaN where no sample may be used."""
        if end - begin <= FEW:
            few = self._y[begin:end]
            return float(np.fmin.reduce(few)), float(np.fmax.reduce(few))
        lows, highs, level = self._y, self._y, 0
        low: list[FloatArray] = []
        high: list[FloatArray] = []
        while end - begin > FEW // FACTOR and level < len(self._levels):
            up, down = -(-begin // FACTOR), end // FACTOR
            for part in (slice(begin, up * FACTOR), slice(down * FACTOR, end)):
                low.append(lows[part])
                high.append(highs[part])
            (lows, highs), begin, end, level = self._levels[level], up, down, level + 1
        low.append(lows[begin:end])
        high.append(highs[begin:end])
        return float(np.fmin.reduce(np.concatenate(low))), float(np.fmax.reduce(np.concatenate(high)))

    def _add(self, t: FloatArray, values: FloatArray) -> None:
        if self._count + len(t) > self._capacity:
            self._thin()
        self._reserve(self._count + len(t))
        at = slice(self._count, self._count + len(t))
        self._t[at] = t
        self._y[at] = values
        self._count += len(t)
        self._raise()

    def _reserve(self, count: int) -> None:
        if count > len(self._t):
            room = np.empty(min(max(2 * len(self._t), count), self._capacity) - self._count)
            self._t = np.concatenate((self._t[: self._count], room))
            self._y = np.concatenate((self._y[: self._count], room))

    def _raise(self) -> None:
        """Bring every level up to date with what was added."""
        lows, highs, count, level = self._y, self._y, self._count, 0
        while count >= FACTOR:
            bins = count // FACTOR
            if level == len(self._levels):
                self._levels.append((np.empty(bins), np.empty(bins)))
                self._full.append(0)
            low, high = self._levels[level]
            done = self._full[level]
            if bins > len(low):
                room = np.empty(min(max(2 * len(low), bins), self._capacity // FACTOR ** (level + 1)) - done)
                low, high = np.concatenate((low[:done], room)), np.concatenate((high[:done], room))
                self._levels[level] = (low, high)
            if bins > done:
                stretch = slice(done * FACTOR, bins * FACTOR)
                np.fmin.reduce(lows[stretch].reshape(-1, FACTOR), axis=1, out=low[done:bins])
                np.fmax.reduce(highs[stretch].reshape(-1, FACTOR), axis=1, out=high[done:bins])
                self._full[level] = bins
            lows, highs, count, level = low, high, bins, level + 1

    def _thin(self) -> None:
        """Thin all but the newest quarter as often as the oldest, and once more where it still is too much."""
        new = self._count - self._capacity // 4
        t, y = self._t[self._old : new], self._y[self._old : new]
        for _ in range(self._times):
            t, y = thinned(t, y)
        t, y = np.concatenate((self._t[: self._old], t)), np.concatenate((self._y[: self._old], y))
        if len(t) > self._capacity // 2:
            t, y = thinned(t, y)
            self._times += 1
        self._old = len(t)
        count = len(t) + self._count - new
        self._t[:count] = np.concatenate((t, self._t[new : self._count]))
        self._y[:count] = np.concatenate((y, self._y[new : self._count]))
        self._count = count
        self._full = [0] * len(self._full)
        self._raise()


def thinned(t: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of each four samples the smallest and the largest, in their order of time; what is over at the end stays.

    NaN is kept where less than two samples of four may be used.
    """
    whole = len(y) // 4 * 4
    fours = y[:whole].reshape(-1, 4)
    blank = np.isnan(fours)
    low = np.argmin(np.where(blank, np.inf, fours), axis=1)
    high = np.argmax(np.where(blank, -np.inf, fours), axis=1)
    high = np.where(low == high, np.where(low == 3, 0, 3), high)
    rows = np.arange(0, whole, 4)
    kept = np.empty(whole // 2, np.intp)
    kept[0::2], kept[1::2] = rows + np.minimum(low, high), rows + np.maximum(low, high)
    return np.concatenate((t[kept], t[whole:])), np.concatenate((y[kept], y[whole:]))
