"""The time grid of the plant, and settings that change on it.

The plant knows integer grid indices only; index k is the moment k / 10 s.  A value at k describes the interval that
ends at k, so a command that takes effect at k changes nothing at k or before.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from instruments.simulation.signal import FloatArray

RATE_HZ = 10
DT_S = 1.0 / RATE_HZ
CHUNK = 6000
"""Samples that are computed at once: 600 s."""

EDGE = 1e-6
"""Share of a sample by which a time may miss its grid point, from the rounding of floats."""


def index_at(t: float) -> int:
    """Grid index at or before a time; times before zero count as zero."""
    return int(t * RATE_HZ + EDGE) if t > 0.0 else 0


def index_of_command(t: float) -> int:
    """Grid index from which a command given at ``t`` acts: the next grid point."""
    return index_at(t) + 1


def index_of_onset(t: float) -> int:
    """First grid index at or after a time."""
    return max(0, math.ceil(t * RATE_HZ - EDGE))


def time_of(k: int) -> float:
    """Moment of a grid index in s."""
    return k / RATE_HZ


def times(k0: int, k1: int) -> FloatArray:
    """Moments of the indices k0 … k1-1 in s."""
    return np.arange(k0, k1, dtype=np.float64) / RATE_HZ


class _Changes:
    """Indices at which a setting changes, in order; the first lies before the grid."""

    def __init__(self) -> None:
        self._starts: list[int] = [-1]

    def changes(self, k0: int, k1: int) -> list[int]:
        """Indices of changes after ``k0`` and before ``k1``."""
        return self._starts[bisect_right(self._starts, k0) : bisect_left(self._starts, k1)]

    def next_change(self, k: int) -> int | None:
        """First change after ``k``, or None."""
        i = bisect_right(self._starts, k)
        return self._starts[i] if i < len(self._starts) else None


class Timeline(_Changes):
    """A setting that is constant between grid indices: a valve, a fault, a set point."""

    def __init__(self, initial: float) -> None:
        super().__init__()
        self._values: list[float] = [initial]

    def set(self, k: int, value: float) -> None:
        """Let ``value`` hold from index ``k`` until the next change that is already known."""
        i = bisect_left(self._starts, k)
        if i < len(self._starts) and self._starts[i] == k:
            self._values[i] = value
        else:
            self._starts.insert(i, k)
            self._values.insert(i, value)

    def at(self, k: int) -> float:
        """Value that holds in the interval which begins at ``k``."""
        return self._values[bisect_right(self._starts, k) - 1]

    def first(self, value: float) -> int | None:
        """First index from which the setting has this value, or None."""
        return next((k for k, v in zip(self._starts, self._values, strict=True) if v == value), None)

    def pieces(self, k0: int, k1: int) -> list[tuple[int, int, float]]:
        """The stretches of [k0, k1) with a constant value, as (first, end, value)."""
        bounds = [k0, *self.changes(k0, k1), k1]
        return [(a, b, self.at(a)) for a, b in pairwise(bounds)]

    def over(self, k0: int, k1: int) -> FloatArray:
        """Value in each of the intervals that begin at k0 … k1-1."""
        values = np.empty(k1 - k0)
        for a, b, value in self.pieces(k0, k1):
            values[a - k0 : b - k0] = value
        return values

    def integral(self, k0: int, k1: int) -> FloatArray:
        """Time integral since index 0 at the indices k0 … k1 (both included), in value times s."""
        total = np.empty(k1 - k0 + 1)
        base = 0.0
        for a, b, value in self.pieces(0, k1 + 1):
            first, end = max(a, k0), min(b, k1 + 1)
            if first < end:
                total[first - k0 : end - k0] = base + value * (np.arange(first, end, dtype=np.float64) - a) / RATE_HZ
            base += value * (b - a) / RATE_HZ
        return total


FREE = -1.0
"""Value of a fault's setting that leaves to the command what it would override."""


class Forced:
    """A setting that follows its command unless a fault holds it: a stuck valve, a dead heater."""

    def __init__(self, commanded: Timeline, held: Timeline) -> None:
        self.commanded, self.held = commanded, held

    def at(self, k: int) -> float:
        """Value that holds in the interval which begins at ``k``."""
        held = self.held.at(k)
        return self.commanded.at(k) if held == FREE else held

    def over(self, k0: int, k1: int) -> FloatArray:
        """Value in each of the intervals that begin at k0 … k1-1."""
        commanded, held = self.commanded.over(k0, k1), self.held.over(k0, k1)
        return np.where(held == FREE, commanded, held)

    def changes(self, k0: int, k1: int) -> list[int]:
        """Indices of changes after ``k0`` and before ``k1``."""
        return sorted({*self.commanded.changes(k0, k1), *self.held.changes(k0, k1)})


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of a track: from index ``start`` at ``value``, changing by ``slope`` in each interval until ``end``."""

    start: int
    end: float  # an index, or infinity
    value: float
    slope: float


class Track(_Changes):
    """A setting that can also move evenly: the set point of a pressure controller, the position of a stage.

    A ramp takes a whole number of intervals, so it ends on the grid and may be slower than asked by less than one.
    """

    def __init__(self, initial: float) -> None:
        super().__init__()
        self._values: list[float] = [initial]
        self._slopes: list[float] = [0.0]
        self._arrivals: set[int] = set()  # indices at which a ramp ends by itself
        self.revision = 0

    def set(self, k: int, value: float) -> None:
        """Jump to ``value`` at index ``k`` and stay there until the next change that is already known."""
        self._cut(k)
        self._insert(k, value, 0.0)

    def ramp(self, k: int, target: float, per_s: float) -> None:
        """Move from where it is at ``k`` to ``target``, by at most ``per_s`` a second."""
        i = bisect_right(self._starts, k) - 1
        start = self._values[i] + self._slopes[i] * (k - self._starts[i])
        n = max(1, math.ceil(abs(target - start) / per_s * RATE_HZ - EDGE))
        self._cut(k)
        coming = self.next_change(k)
        self._insert(k, start, (target - start) / n)
        if coming is None or coming > k + n:
            self._insert(k + n, target, 0.0)
            self._arrivals.add(k + n)

    def moves(self, k: int) -> bool:
        """Whether it moves in the interval that begins at ``k``."""
        return self._slopes[bisect_right(self._starts, k) - 1] != 0.0

    def at(self, k: int) -> float:
        """Mean over the interval that begins at ``k``."""
        i = bisect_right(self._starts, k) - 1
        return self._values[i] + self._slopes[i] * (k - self._starts[i] + 0.5) if self._slopes[i] else self._values[i]

    def over(self, k0: int, k1: int) -> FloatArray:
        """Mean over each of the intervals that begin at k0 … k1-1."""
        values = np.empty(k1 - k0)
        for a, b in pairwise([k0, *self.changes(k0, k1), k1]):
            i = bisect_right(self._starts, a) - 1
            values[a - k0 : b - k0] = self._values[i]
            if self._slopes[i]:
                values[a - k0 : b - k0] += self._slopes[i] * (np.arange(a, b) - self._starts[i] + 0.5)
        return values

    def legs(self) -> list[Leg]:
        """All stretches in order."""
        ends = [*self._starts[1:], math.inf]
        return [Leg(*leg) for leg in zip(self._starts, ends, self._values, self._slopes, strict=True)]

    def _cut(self, k: int) -> None:
        """Forget the end of the ramp, level or not, that is under way at ``k``: a new command takes its place."""
        i = bisect_right(self._starts, k) - 1
        if i + 1 < len(self._starts) and self._starts[i + 1] in self._arrivals:
            self._arrivals.discard(self._starts[i + 1])
            del self._starts[i + 1], self._values[i + 1], self._slopes[i + 1]

    def _insert(self, k: int, value: float, slope: float) -> None:
        self._arrivals.discard(k)
        self.revision += 1
        i = bisect_left(self._starts, k)
        if i < len(self._starts) and self._starts[i] == k:
            self._values[i], self._slopes[i] = value, slope
        else:
            self._starts.insert(i, k)
            self._values.insert(i, value)
            self._slopes.insert(i, slope)
