"""What a closed line loses once nothing is pushed any more: a leak, beside creep and a room that turns.

Units: kPa, uL, s, uL/s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.grid import BoolArray, RecordError
from protocols.analysis.occlusion.line import followed
from protocols.analysis.occlusion.regression import Fit, least_squares
from protocols.analysis.occlusion.rise import integrated, neighbour_noise, thinned
from protocols.analysis.occlusion.warming import Warming

STEP = 1.2
CREEP_S = tuple(60.0 * STEP**k for k in range(16))
"""Time constants that are tried, 1 min to 15 min; what creeps more slowly looks like a leak in a short record."""

LIKELY_CREEP = 0.1
"""Standard deviation of the share by which tubes creep: what creeps by half is a room that turns."""

BLOCKS = 60
"""The laws are fitted to at most so many means."""

EXACT = 1e-4
"""Share of the rise that is the least uncertainty of such a mean."""


@dataclass(frozen=True, slots=True)
class Afterwards:
    """What the record after a step tells.

    Attributes
    ----------
    creep, lag_s : of what the line takes later the share of what it takes at once, and the time constant.
    leak, u_leak : over the compliance, for each kPa.
    losses_kpa_s : integral of the rise over the time that was used.
    """

    creep: float
    lag_s: float
    leak: float
    u_leak: float
    losses_kpa_s: float


@dataclass(frozen=True, slots=True)
class _Law:
    """One way to explain the record: how far it is off it, and what then creeps and leaks."""

    off: float
    lag_s: float
    creep: float
    leak: float
    u_leak: float


def afterwards(
    t_s: FloatArray, rise_kpa: FloatArray, held: BoolArray, compliance: float, warming: Warming
) -> Afterwards:
    """Creep and leak from the time in which nothing is pushed.

    Parameters
    ----------
    t_s, rise_kpa, held : (n,) since the rise began, and where in it to look.
    warming : what the fluid in the line has swelled at these times.

    Notes
    -----
    The volume in the line is constant but for what it loses and swells, so
    p = const - (C_creep/C) x - (G/C) (integral of p) + swelling/C, linear in what is sought, with x, which follows p
    with the time constant of the creep, and the integral known from the record.  What nobody knows of the swelling is
    fitted beside them, each pattern held to one standard uncertainty: a room that turns looks like creep, and creep
    like a leak.  The leak is the mean over the laws with and without it, and with and without each creep, by their
    Akaike weights (Burnham and Anderson, Model Selection, 2nd ed., 2.9): that of a single law would be too sure of
    itself.  Creep and time constant are those of the best law.
    """

    def means(values: FloatArray) -> FloatArray:
        return thinned(t_s[held], values[held], BLOCKS)[1]

    losses = means(integrated(t_s, rise_kpa))
    y = means(rise_kpa - warming.swelled_ul / compliance)
    each = math.ceil(int(held.sum()) / BLOCKS)
    u_kpa = max(neighbour_noise(rise_kpa[held]) / math.sqrt(each), EXACT * float(np.max(rise_kpa)))
    ones, patterns = np.ones(y.size), [means(pattern) / compliance for pattern in warming.open_ul]
    crept = [means(followed(t_s, rise_kpa, lag_s)) for lag_s in CREEP_S]
    edges = [means(followed(t_s, rise_kpa, lag_s / math.sqrt(STEP))) for lag_s in (*CREEP_S, CREEP_S[-1] * STEP)]
    laws: list[_Law] = []
    for plain in ([ones], [ones, -losses]):
        fit = _held_to(plain, [], patterns, y, u_kpa)
        if fit is not None:
            laws.append(_law(fit, len(plain), math.inf))
        for lag_s, x, shorter, longer in zip(CREEP_S, crept, edges[:-1], edges[1:], strict=True):
            creeping = [-LIKELY_CREEP * x]
            fit = _held_to(plain, creeping, patterns, y, u_kpa)
            if fit is None or not fit.coefficients[len(plain)] > 0.0:
                continue
            # The time constant is anywhere up to half of the way to the next ones.
            nearby = LIKELY_CREEP * fit.coefficients[len(plain)] * (longer - shorter) / 2.0 / math.sqrt(3.0)
            fit = _held_to(plain, creeping, [nearby, *patterns], y, u_kpa)
            if fit is not None and fit.coefficients[len(plain)] > 0.0:
                laws.append(_law(fit, len(plain), lag_s))
    return _averaged(laws, y.size, float(losses[-1] - losses[0]))


def _law(fit: Fit, plain: int, lag_s: float) -> _Law:
    """What a fit says; each unknown has to earn its place, and all time constants together that of one."""
    leaks, creeps = plain > 1, math.isfinite(lag_s)
    off = fit.rss / 2.0 + leaks + creeps * (1.0 + math.log(len(CREEP_S)))
    leak, u_leak = (fit.coefficients[1], fit.u_of_scaled(1)) if leaks else (0.0, 0.0)
    return _Law(off, lag_s, LIKELY_CREEP * fit.coefficients[plain] if creeps else 0.0, leak, u_leak)


def _held_to(
    plain: Sequence[FloatArray], creeping: Sequence[FloatArray], patterns: Sequence[FloatArray], y: FloatArray, u: float
) -> Fit | None:
    """Least squares with rows in units of ``u``; coefficients of creep and patterns are held to 0 within 1."""
    likely = [*creeping, *patterns]
    held = np.eye(len(likely))
    columns = [np.concatenate([column / u, np.zeros(len(likely))]) for column in plain]
    columns += [np.concatenate([column / u, row]) for column, row in zip(likely, held, strict=True)]
    return least_squares(columns, np.concatenate([y / u, np.zeros(len(likely))]))


def _averaged(laws: Sequence[_Law], rows: int, losses_kpa_s: float) -> Afterwards:
    """The mean of the laws by their weights; raises RecordError where there is none."""
    if not laws:
        raise RecordError("the record after the metered step tells no leak; let it last longer")
    best = min(laws, key=lambda law: law.off)
    beyond = max(2.0 * best.off / rows, 1.0)  # where none explains it the best is no better than that
    weights = [math.exp((best.off - law.off) / beyond) for law in laws]

    def mean(values: Iterable[float]) -> float:
        return math.fsum(w * value for w, value in zip(weights, values, strict=True)) / math.fsum(weights)

    leak = mean(law.leak for law in laws)
    u = math.sqrt(mean(law.u_leak**2 + (law.leak - leak) ** 2 for law in laws))
    return Afterwards(best.creep, best.lag_s, leak, u, losses_kpa_s)
