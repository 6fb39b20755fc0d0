"""How fast the pressure of a closed line that is held falls by a leak: by no more than it falls, and by what no creep
of its tubing explains.

Units: kPa, s, kPa/s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.assumed import PLAY_KPA
from protocols.analysis.occlusion.line import followed
from protocols.analysis.occlusion.regression import least_squares
from protocols.analysis.occlusion.rise import integrated
from protocols.analysis.rig import RecordError
from protocols.analysis.rig.line import LEAST_SAMPLES, straight_line

STEP, NARROWINGS = 1.2, 10
"""Of the time constants that are tried, and how often the best one's neighbourhood is narrowed to two thirds."""

CREEP_S = tuple(60.0 * STEP**k for k in range(16))
"""Time constants of creep that are tried, 1 min to 15 min; what creeps more slowly looks like a leak."""

SETTLED = 0.2
"""So much of the record is left out of the law of creep: a transducer with play shows no fall at first."""

POINTS = 300
"""The law is fitted to at most so many means."""

ENDS = 10
"""Pressures at the ends of the first half are means of so many samples."""


@dataclass(frozen=True, slots=True)
class Fall:
    """How fast a leak lets the pressure fall, at the mean pressure of the second half of the record.

    Attributes
    ----------
    least, most : between these; ``u`` is the standard uncertainty of the latter by its scatter.
    half_s : length of that second half.
    """

    least: float
    most: float
    u: float
    half_s: float


def fall(t_s: FloatArray, rise_kpa: FloatArray, held_s: float) -> Fall:
    """Bounds for the fall of pressure that is a leak's.

    Parameters
    ----------
    t_s, rise_kpa : (n,) from the begin of the push on, over the pressure before it.
    held_s : from when on nothing was pushed.

    Raises
    ------
    RecordError
        If the record is too short.

    Notes
    -----
    The slope of the second half is that of leak and creep together, and what the transducer's play may still hide of it
    is added to it.  With x, which follows p with the time constant of the creep, p = a - share x - g (integral of p)
    is linear in what is sought; the time constant is that with the smallest residuals, and neither share nor g is
    negative.  Real tubing creeps by no single time constant, so g alone is taken for the least that leaks.
    """
    held = t_s >= held_s
    t, p = t_s[held], rise_kpa[held]
    if t.size < 2 * LEAST_SAMPLES:
        raise RecordError(f"{t.size} good samples of the held line do not show a leak; {2 * LEAST_SAMPLES} are needed")
    half = t >= (t[0] + t[-1]) / 2.0
    line = straight_line(t[half], p[half])
    first = p[~half]
    hidden = max(0.0, PLAY_KPA - max(0.0, _mean(first[:ENDS]) - _mean(first[-ENDS:]))) / float(t[-1] - t[0])
    leaking = _leaking(t_s, rise_kpa, held_s) * line.value
    least, most = sorted((-line.slope, leaking))
    return Fall(least, most + hidden, line.u_slope, float(t[-1] - t[half][0]))


def _leaking(t_s: FloatArray, rise_kpa: FloatArray, held_s: float) -> float:
    """Fall of pressure over the pressure itself, 1/s, that creep does not explain."""
    every = math.ceil(t_s.size / POINTS)
    t, p = (_means(values, every) for values in (t_s, rise_kpa))
    late = t >= held_s + SETTLED * (float(t[-1]) - held_s)
    ones, losses = np.ones(int(late.sum())), integrated(t, p)[late]

    def fitted(*creeping: FloatArray) -> tuple[float, float]:
        """Residuals and leak; infinite residuals where leak or share would be negative."""
        fit = least_squares([ones, -losses, *creeping], p[late])
        if fit is None or min(fit.coefficients[1:]) < 0.0:
            return math.inf, 0.0
        return fit.rss, fit.coefficients[1]

    def lagging(lag_s: float) -> tuple[float, float]:
        return fitted(-followed(t, p, lag_s)[late])

    lag_s = min(CREEP_S, key=lambda one: lagging(one)[0])
    low, high = lag_s / STEP, lag_s * STEP
    for _ in range(NARROWINGS):
        third = (high - low) / 3.0
        if lagging(low + third)[0] <= lagging(high - third)[0]:
            high -= third
        else:
            low += third
    return min(lagging((low + high) / 2.0), fitted())[1]


def _means(values: FloatArray, every: int) -> FloatArray:
    """Means of so many neighbours each; what is left over at the end is a mean of fewer."""
    starts = np.arange(0, values.size, every)
    return np.asarray(np.add.reduceat(values, starts) / np.diff(np.append(starts, values.size)), dtype=np.float64)


def _mean(values: FloatArray) -> float:
    return math.fsum(values.tolist()) / values.size
