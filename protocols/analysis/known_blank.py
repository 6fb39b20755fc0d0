"""A blank of a balance of which something is known beforehand: how its zero wanders, and what the room makes of it.

`evaporation.blank` lets the record alone say how much of it is white noise and how much is wander.  Of wander a blank
holds a few independent swings only, so that u of the rate is itself a draw, two or three times too small or too large.
What is known is said here: the declared walk of the zero, as a distribution that the record may overrule, and what the
line and the air at the vessel show of the room's temperature, which is taken off.

Units: mg, s, mg/h, K.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.budget import COVERAGE, Component, coverage_factor, welch_satterthwaite
from protocols.analysis.evaporation import HOUR_S, WANDER_OVER_WHITE, Blank, crossing, rounding_of

WALK_SPREAD = 0.35
"""Standard deviation of the logarithm of the true walk of a zero over the declared one: declared within a third."""

WALK_DOF = 4.0
"""Degrees of freedom of that logarithm's Student distribution: its tails let a record that contradicts be heard."""

WALKS = tuple(10.0 ** (exponent / 8.0) for exponent in range(-8, 13))
"""True walks that are weighed, over the declared one."""

LEAST_WEIGHT = 1e-8
MOST_DOF = 1000.0


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a blank before it is taken.

    Attributes
    ----------
    walk_mg : standard deviation of the wander of the zero after one hour, above 0.
    breathes_mg_per_k : what flows into the vessel as the room's thermometer rises.
    lags_mg_h_per_k : what is shown beyond that where the room warms by 1 K/h, since the thermometer follows late.
    u_lags_mg_h_per_k : its standard uncertainty.
    """

    walk_mg: float
    breathes_mg_per_k: float = 0.0
    lags_mg_h_per_k: float = 0.0
    u_lags_mg_h_per_k: float = 0.0


@dataclass(frozen=True, slots=True)
class Stretches:
    """Consecutive stretches of a blank.

    Attributes
    ----------
    from_s, to_s : first and last sample.
    t_s, mass_mg, room_degc : (m,) mean time, indication and temperature of the room in each.
    warming_k_per_h : (m,) how fast the thermometer rose in each.
    """

    from_s: float
    to_s: float
    t_s: FloatArray
    mass_mg: FloatArray
    room_degc: FloatArray
    warming_k_per_h: FloatArray


def known_blank(record: Stretches, known: Known, rounding_mg: float = 0.0) -> Blank:
    """Rate of loss in a blank, with the declared wander as prior knowledge.

    Parameters
    ----------
    rounding_mg : the balance's digit, where noise does not carry the readings over it; else 0.

    Notes
    -----
    Means of the stretches follow m_j = a - e t_j + B T_j + b T'_j + white noise + the means of a random walk, as in
    `evaporation.blank`.  B is known and taken off (its doubt is of both blanks alike and has a component of its own in
    the budget); b has a normal prior.  For each walk w on a grid about the declared
    one and each ratio of wander to white noise, generalised least squares give e and its u, and the marginal likelihood
    of the record; e and u^2 are averaged with the weights likelihood times prior of w (Student's t in ln w), flat in
    the logarithm of the white noise: u^2 = E[u^2] + Var[e].  This is the law of total variance for a normal mixture
    (Gelman et al., Bayesian Data Analysis, 3rd ed., 3.2-3.3 and 14.8); a declared uncertainty that is itself uncertain
    is that of JCGM 100, G.4.2, where 35 % are 4 degrees of freedom.  The degrees of freedom returned are those with
    which k u covers 95.45 % of the mixture.
    """
    hours = np.diff(record.t_s) / HOUR_S
    of_the_room = known.breathes_mg_per_k * record.room_degc + known.lags_mg_h_per_k * record.warming_k_per_h
    changes = np.diff(record.mass_mg - of_the_room)
    swing = np.diff(record.warming_k_per_h) * known.u_lags_mg_h_per_k
    step_mg2 = known.walk_mg**2 * math.fsum(hours.tolist()) / hours.size
    mixed = _mixture(changes, hours, swing, step_mg2)
    most = max(weight for weight, _, _ in mixed)
    kept = [one for one in mixed if one[0] >= LEAST_WEIGHT * most]
    whole = math.fsum(weight for weight, _, _ in kept)
    rate = math.fsum(weight * found for weight, found, _ in kept) / whole
    u = math.sqrt(math.fsum(weight * (own**2 + (found - rate) ** 2) for weight, found, own in kept) / whole)
    components = [Component("blank", u, _degrees_of_freedom(kept, whole, rate, u))]
    if rounding_mg > 0.0:
        components.append(rounding_of(rounding_mg, record.to_s - record.from_s))
    combined = math.sqrt(math.fsum(component.u**2 for component in components))
    return Blank(record.from_s, record.to_s, -rate, combined, welch_satterthwaite(components))


def _mixture(
    changes: FloatArray, hours: FloatArray, swing: FloatArray, step_mg2: float
) -> list[tuple[float, float, float]]:
    """Weight, rate and its u for each walk and each ratio of wander to white noise.

    Parameters
    ----------
    swing : (n,) what the thermometer's lag changes, one standard deviation of it.
    step_mg2 : variance of the declared walk from stretch to stretch.
    """
    n = changes.size
    found = []
    for ratio in WANDER_OVER_WHITE:
        sums = _whitened(changes.tolist(), hours.tolist(), swing.tolist(), ratio)
        for walk in WALKS:
            variance = walk**2 * step_mg2 * (1.0 + ratio) / ratio
            xx, xz, zz, xy, zy, yy = (part / variance for part in sums[:6])
            determinant = xx * (zz + 1.0) - xz * xz
            rate = ((zz + 1.0) * xy - xz * zy) / determinant
            lag = (xx * zy - xz * xy) / determinant
            unexplained = yy - rate * xy - lag * zy
            log = -0.5 * (n * math.log(variance) + sums[6] + math.log(determinant) + unexplained)
            log -= 0.5 * (WALK_DOF + 1.0) * math.log1p((math.log(walk) / WALK_SPREAD) ** 2 / WALK_DOF)
            found.append((log, rate, math.sqrt((zz + 1.0) / determinant)))
    best = max(log for log, _, _ in found)
    return [(math.exp(log - best), rate, u) for log, rate, u in found]


def _whitened(y: Sequence[float], x: Sequence[float], z: Sequence[float], ratio: float) -> tuple[float, ...]:
    """Sums xx, xz, zz, xy, zy, yy of whitened changes, and the logarithm of their covariance's determinant.

    Of a variance of 1 for white noise and the walk's step together; the mean of a walk over a stretch smooths it: 2/3
    of its step and 1/6 of the next show in a difference.
    """
    white, wander = 1.0 / (1.0 + ratio), ratio / (1.0 + ratio)
    diagonal, beside = 2.0 * white + wander * 2.0 / 3.0, wander / 6.0 - white
    pivot, last = math.inf, (0.0, 0.0, 0.0)
    rows, pivots = [], []
    for row in zip(x, z, y, strict=True):
        factor = beside / pivot
        pivot = diagonal - beside * factor
        last = (row[0] - factor * last[0], row[1] - factor * last[1], row[2] - factor * last[2])
        rows.append((*last, pivot))
        pivots.append(math.log(pivot))
    pairs = ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
    return (*(math.fsum(row[i] * row[j] / row[3] for row in rows) for i, j in pairs), math.fsum(pivots))


def _degrees_of_freedom(mixed: Sequence[tuple[float, float, float]], whole: float, rate: float, u: float) -> float:
    """Degrees of freedom with which k u holds 95.45 % of a mixture of normal distributions; infinite over 1000."""
    from scipy.special import ndtr

    weights = np.array([weight for weight, _, _ in mixed]) / whole
    offsets = np.array([found - rate for _, found, _ in mixed])
    scales = np.array([own for _, _, own in mixed])

    def outside(k: float) -> float:
        tails = ndtr((offsets - k * u) / scales) + ndtr((-offsets - k * u) / scales)
        return math.fsum((weights * tails).tolist())

    k = crossing(outside, 1.0 - COVERAGE, 1.0, 100.0)
    if k <= coverage_factor(MOST_DOF):
        return math.inf
    return math.exp(crossing(lambda log: coverage_factor(math.exp(log)), k, 0.0, math.log(MOST_DOF)))
