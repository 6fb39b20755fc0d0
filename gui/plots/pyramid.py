"""All samples of a curve, so kept that any stretch is drawn at once: minima and maxima at coarser and coarser steps.

A curve of a million points costs as much to draw as one of a thousand, and no extreme is ever lost: each column of
pixels shows the smallest and the largest sample that lie in it.  Bins begin at multiples of their length, so a curve
does not shimmer while it grows.  Memory is bounded: when ``capacity`` samples are kept, pairs of the older half are
merged into one smallest and one largest sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.samples import FloatArray

Float32Array = npt.NDArray[np.float32]

FACTOR = 8
"""Samples, or bins, that one bin of the next level spans."""

CAPACITY = 1 << 21
FIRST = 1 << 10


@dataclass(frozen=True, slots=True)
class Drawn:
    """A stretch of a curve for the screen.

    Attributes
    ----------
    x, y : (points,) with at most two points a column; y is NaN where the curve is broken.
    exact : whether these are the samples themselves.
    """

    x: FloatArray
    y: FloatArray
    exact: bool


class Pyramid:
    """A growing curve.

    Parameters
    ----------
    capacity : samples that are kept before the older half is thinned; a power of two.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._t = np.empty(FIRST)
        self._y = np.empty(FIRST, np.float32)
        self._count = 0
        self._levels: list[tuple[Float32Array, Float32Array]] = []  # smallest and largest of each bin
        self._full: list[int] = []  # bins of each level that are up to date

    def __len__(self) -> int:
        return self._count

    @property
    def span(self) -> tuple[float, float] | None:
        """Time of the first and of the last sample."""
        return (float(self._t[0]), float(self._t[self._count - 1])) if self._count else None

    def extend(self, t: FloatArray, values: FloatArray) -> None:
        """Add samples of rising time; NaN is a sample that may not be used, and breaks the curve."""
        if self._count + len(t) > self._capacity:
            self._thin()
        self._reserve(self._count + len(t))
        at = slice(self._count, self._count + len(t))
        self._t[at] = t
        self._y[at] = values
        self._count += len(t)
        self._raise()

    def view(self, t0: float, t1: float, columns: int) -> Drawn:
        """What is to be drawn of a stretch that is so many pixels wide; one sample more on either side."""
        begin = max(int(np.searchsorted(self._t[: self._count], t0)) - 1, 0)
        end = min(int(np.searchsorted(self._t[: self._count], t1, side="right")) + 1, self._count)
        size, level = 1, -1
        while level + 1 < len(self._levels) and (end - begin) / size > 2 * columns:
            level, size = level + 1, size * FACTOR
        if level < 0:
            return Drawn(self._t[begin:end].copy(), self._y[begin:end].astype(np.float64), True)
        return self._bins(begin, end, level, size, columns)

    def at(self, t: float) -> tuple[float, float] | None:
        """Time and value of the sample next to a moment; None without samples."""
        if not self._count:
            return None
        index = int(np.searchsorted(self._t[: self._count], t))
        near = [one for one in (index - 1, index) if 0 <= one < self._count]
        best = min(near, key=lambda one: abs(self._t[one] - t))
        return float(self._t[best]), float(self._y[best])

    def extremes(self, t0: float, t1: float) -> tuple[float, float] | None:
        """Smallest and largest value of a stretch; None where there is none."""
        drawn = self.view(t0, t1, 64)
        inside = drawn.y[(drawn.x >= t0) & (drawn.x <= t1)]
        inside = inside[~np.isnan(inside)]
        return (float(inside.min()), float(inside.max())) if len(inside) else None

    # -- small parts

    def _bins(self, begin: int, end: int, level: int, size: int, columns: int) -> Drawn:
        """Whole bins of a level, merged to about one a column; the open one at the end from its samples."""
        group = max((end - begin) // (size * columns), 1)
        first = begin // (size * group) * group
        last = min(-(-end // size), self._full[level])
        lows, highs = (part[first:last] for part in self._levels[level])
        starts = np.arange(0, len(lows), group)
        low = np.fmin.reduceat(lows, starts) if len(lows) else lows
        high = np.fmax.reduceat(highs, starts) if len(highs) else highs
        t = self._t[(first + starts) * size]
        x, y = np.repeat(t, 2), np.empty(2 * len(t))
        y[0::2], y[1::2] = low, high
        rest = slice(last * size, end)
        if rest.start < end:
            tail = self._y[rest]
            known = tail[~np.isnan(tail)]
            pair = [known.min(), known.max()] if len(known) else [np.nan, np.nan]
            x = np.concatenate((x, self._t[[rest.start, end - 1]]))
            y = np.concatenate((y, np.asarray(pair, np.float64)))
        return Drawn(x, y, False)

    def _reserve(self, count: int) -> None:
        if count > len(self._t):
            room = max(2 * len(self._t), count)
            self._t = np.concatenate((self._t[: self._count], np.empty(room - self._count)))
            self._y = np.concatenate((self._y[: self._count], np.empty(room - self._count, np.float32)))

    def _raise(self) -> None:
        """Bring every level up to date with what was added."""
        lows, highs, count, level = self._y, self._y, self._count, 0
        while count >= FACTOR:
            bins = count // FACTOR
            if level == len(self._levels):
                self._levels.append((np.empty(FIRST, np.float32), np.empty(FIRST, np.float32)))
                self._full.append(0)
            low, high = self._levels[level]
            if bins > len(low):
                room = max(2 * len(low), bins)
                low = np.concatenate((low, np.empty(room - len(low), np.float32)))
                high = np.concatenate((high, np.empty(room - len(high), np.float32)))
                self._levels[level] = (low, high)
            done = self._full[level]
            if bins > done:
                stretch = slice(done * FACTOR, bins * FACTOR)
                low[done:bins] = np.fmin.reduce(lows[stretch].reshape(-1, FACTOR), axis=1)
                high[done:bins] = np.fmax.reduce(highs[stretch].reshape(-1, FACTOR), axis=1)
                self._full[level] = bins
            lows, highs, count, level = low, high, bins, level + 1

    def _thin(self) -> None:
        """Keep of each four samples of the older half the smallest and the largest, in their order of time."""
        half = self._count // 8 * 4
        fours = self._y[:half].reshape(-1, 4)
        blank = np.isnan(fours)
        low = np.argmin(np.where(blank, np.inf, fours), axis=1)
        high = np.argmax(np.where(blank, -np.inf, fours), axis=1)
        high = np.where(low == high, (low + 1) % 4, high)
        rows = np.arange(len(fours)) * 4
        kept = np.sort(np.stack((rows + low, rows + high), axis=1), axis=1).ravel()
        t, y = self._t[kept], self._y[kept]
        rest = slice(half, self._count)
        self._t[: len(kept) + self._count - half] = np.concatenate((t, self._t[rest]))
        self._y[: len(kept) + self._count - half] = np.concatenate((y, self._y[rest]))
        self._count = len(kept) + self._count - half
        self._full = [0] * len(self._full)
        self._raise()
