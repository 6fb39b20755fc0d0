"""The time grid of the plant, and settings that change on it.

The plant knows integer grid indices only; index k is the moment k / 10 s.  A value at k describes the interval that
ends at k, so a command that takes effect at k changes nothing at k or before.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
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


class Timeline:
    """A setting that is constant between grid indices: a valve, a fault, a set point."""

    def __init__(self, initial: float) -> None:
        self._starts: list[int] = [-1]
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

    def changes(self, k0: int, k1: int) -> list[int]:
        """Indices of changes after ``k0`` and before ``k1``."""
        return self._starts[bisect_right(self._starts, k0) : bisect_left(self._starts, k1)]

    def next_change(self, k: int) -> int | None:
        """First change after ``k``, or None."""
        i = bisect_right(self._starts, k)
        return self._starts[i] if i < len(self._starts) else None

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
