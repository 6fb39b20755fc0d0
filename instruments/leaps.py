"""A true step, or a digit that the wire damaged: where nothing can be asked again, the next sample decides.

A true step stays, and a ramp goes on, however fast it is; a damaged digit is gone with the next sample.  So a sample
that is further than its channel's ``max_step`` from the last good one is `Quality.IMPLAUSIBLE` where the next leaps
back.  `instruments.jumps` decides the same where an instrument can be asked again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data.samples import UNUSABLE, Channel, FloatArray, Quality, QualityArray

_UNUSABLE, _IMPLAUSIBLE = int(UNUSABLE), int(Quality.IMPLAUSIBLE)


class Sweeps(NamedTuple):
    """Consecutive sweeps: index of the first, values and qualities (sweeps, channels)."""

    first: int
    values: FloatArray
    quality: QualityArray


class Leaps:
    """Judges sweeps in the order in which they were made; one that leaps and is the latest waits for the next.

    Parameters
    ----------
    channels : each with a ``max_step``.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._steps = np.array([channel.max_step for channel in channels], np.float64)
        self._last = np.full(len(channels), math.nan)  # the last good value of each
        self._waiting: Sweeps | None = None

    @property
    def next(self) -> float:
        """Index of the sweep that the waiting one is to be judged by; infinite where none waits."""
        return math.inf if self._waiting is None else self._waiting.first + 1

    def judged(self, came: Sweeps) -> list[Sweeps]:
        """What can be given: what waited, and what came but for a leap at its end."""
        pieces = [came] if self._waiting is None else [self._waiting, came]
        self._waiting = None
        values = np.concatenate([piece.values for piece in pieces])
        quality = np.concatenate([piece.quality for piece in pieces])
        ready = self._judge(values, quality)
        if ready < len(values):
            self._waiting = Sweeps(came.first + len(came.values) - 1, values[ready:], quality[ready:])
        before = len(values) - len(came.values)
        waited = Sweeps(pieces[0].first, values[:before], quality[:before])
        given = Sweeps(came.first, values[before:ready], quality[before:ready])
        return [piece for piece in (waited, given) if len(piece.values)]

    def let_go(self) -> list[Sweeps]:
        """What waits, as it is: nothing came that could tell."""
        waited, self._waiting = self._waiting, None
        if waited is None:
            return []
        usable = (waited.quality[-1] & _UNUSABLE) == 0
        self._last[usable] = waited.values[-1][usable]
        return [waited]

    def _judge(self, values: FloatArray, quality: QualityArray) -> int:
        """Flag what leapt and came back; returns how many sweeps are judged: all, or all but the last."""
        usable = (quality & _UNUSABLE) == 0
        ready = len(values)
        for row in range(len(values)):  # a reply has a hundred readings at most
            moves = values[row] - self._last
            leaps = usable[row] & (np.abs(moves) > self._steps)  # NaN before the first: no leap
            if leaps.any():
                if row + 1 == len(values):
                    ready = row
                    break
                onward = values[row + 1] - values[row]
                back = usable[row + 1] & (np.abs(onward) > self._steps) & (onward * moves < 0.0)
                quality[row, leaps & back] |= _IMPLAUSIBLE
                usable[row] &= ~(leaps & back)
            self._last = np.where(usable[row], values[row], self._last)
        return ready
