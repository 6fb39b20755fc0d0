"""Evaporation from the vessel: the slope of a blank with an honest uncertainty, and its value between two blanks.

A blank is a stretch in which nothing is delivered, so that the balance shows evaporation, white noise, rounding and the
wander of its zero.  A straight line by least squares through such a record has residuals that hang together, and the
usual u is several times too small.  Here white noise and wander are both in the model and their ratio is not assumed:
every ratio is weighed by how well it explains the record (`blank`).

Rates are losses: positive when mass is lost.  Units: mg, s, mg/h.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.budget import COVERAGE, Component, coverage_factor, welch_satterthwaite

HOUR_S = 3600.0
STRETCHES = 24
"""A blank is condensed to the means of so many equal stretches: enough to tell wander from white noise."""

LEAST_STRETCHES = 6
WANDER_OVER_WHITE = tuple(10.0 ** (exponent / 4.0) for exponent in range(-14, 15))
"""Ratios, between stretches, of the variance of the zero's random walk to that of the mean's white noise."""

LARGEST_DIFFERENCE_MG_PER_H = 0.1
LARGEST_DIFFERENCE_SHARE = 0.25
DIFFERENCE_SIGMAS = 4.0
"""Of the blanks' difference, where its standard uncertainty is known: that of short blanks is known to a fifth."""


class BlankError(ValueError):
    """A record that is no blank; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Blank:
    """Evaporation in one blank.

    Attributes
    ----------
    from_s, to_s : the stretch of the record.
    rate_mg_per_h : loss of mass.
    u_mg_per_h : its standard uncertainty, type A.
    dof : degrees of freedom of that u.
    """

    from_s: float
    to_s: float
    rate_mg_per_h: float
    u_mg_per_h: float
    dof: float

    @property
    def middle_s(self) -> float:
        """The moment for which the rate stands."""
        return (self.from_s + self.to_s) / 2.0


def blank(t_s: FloatArray, mass_mg: FloatArray, readability_mg: float) -> Blank:
    """Rate of loss in a blank.

    Parameters
    ----------
    t_s, mass_mg : (n,) times, rising, and what the balance showed, without steps.
    readability_mg : the digit to which the balance rounds.

    Raises
    ------
    BlankError
        If there are fewer than 12 samples.

    Notes
    -----
    Means of `STRETCHES` equal stretches follow m_j = a - e t_j + white noise + the means of a random walk; their
    differences have a tridiagonal covariance, so generalised least squares is one recursion for each ratio of wander
    to white noise.  Rates and variances are averaged over the ratios, each weighted by its restricted likelihood
    (flat in the logarithm of the ratio): u^2 = E[u^2] + Var[e].  The degrees of freedom are those with which u times k
    covers 95.45 % of that mixture of t distributions.  Where noise does not carry the readings over the digits,
    rounding is no noise: it adds the slope between two readings rounded independently.
    """
    n = t_s.size
    if n < 2 * LEAST_STRETCHES:
        raise BlankError(f"a blank of {n} samples is too short; record at least {2 * LEAST_STRETCHES}")
    mean_t, mean_m = stretch_means(t_s, mass_mg, min(STRETCHES, n // 2))
    rounding = 0.0 if noise_carries_over_digits(mass_mg, readability_mg) else readability_mg
    return blank_of_means(float(t_s[0]), float(t_s[-1]), mean_t, mean_m, rounding)


def blank_of_means(
    from_s: float, to_s: float, mean_t: FloatArray, mean_m: FloatArray, rounding_mg: float = 0.0
) -> Blank:
    """Rate of loss from the means of a blank's stretches; see `blank`.

    Parameters
    ----------
    from_s, to_s : first and last sample.
    mean_t, mean_m : (m,) mean time in s and mean mass in mg of each stretch.
    rounding_mg : the balance's digit, where noise does not carry the readings over it; else 0.
    """
    hours = np.diff(mean_t) / HOUR_S
    changes = np.diff(mean_m)
    fits = [_fit(changes, hours, ratio) for ratio in WANDER_OVER_WHITE]
    best = max(fit.log_likelihood for fit in fits)
    weights = [math.exp(fit.log_likelihood - best) for fit in fits]
    whole = math.fsum(weights)
    rate = math.fsum(w * fit.rate for w, fit in zip(weights, fits, strict=True)) / whole
    square = math.fsum(w * (fit.u**2 + (fit.rate - rate) ** 2) for w, fit in zip(weights, fits, strict=True)) / whole
    dof = _degrees_of_freedom(fits, weights, rate, math.sqrt(square), changes.size - 1)
    components = [Component("blank", math.sqrt(square), dof)]
    if rounding_mg > 0.0:
        components.append(rounding_of(rounding_mg, to_s - from_s))
    u = math.sqrt(math.fsum(component.u**2 for component in components))
    return Blank(from_s, to_s, -rate, u, welch_satterthwaite(components))


def rounding_of(rounding_mg: float, length_s: float) -> Component:
    """Standard uncertainty in mg/h of a slope between two readings that are rounded independently."""
    return Component("rounding", rounding_mg / math.sqrt(6.0) / (length_s / HOUR_S))


@dataclass(frozen=True, slots=True)
class _Fit:
    rate: float
    u: float
    log_likelihood: float


def _fit(changes: FloatArray, hours: FloatArray, ratio: float) -> _Fit:
    """Generalised least squares of changes on hours through zero, for one ratio of wander to white noise."""
    white, wander = 1.0 / (1.0 + ratio), ratio / (1.0 + ratio)
    # The mean of a random walk over a stretch smooths it: 2/3 of its step and 1/6 of the next show in a difference.
    diagonal, beside = 2.0 * white + wander * 2.0 / 3.0, wander / 6.0 - white
    pivots, y, x = [], [], []
    pivot, last_y, last_x = math.inf, 0.0, 0.0
    for change, hour in zip(changes.tolist(), hours.tolist(), strict=True):
        factor = beside / pivot
        pivot = diagonal - beside * factor
        last_y, last_x = change - factor * last_y, hour - factor * last_x
        pivots.append(pivot)
        y.append(last_y)
        x.append(last_x)
    information = math.fsum(b * b / p for b, p in zip(x, pivots, strict=True))
    rate = math.fsum(a * b / p for a, b, p in zip(y, x, pivots, strict=True)) / information
    rest = math.fsum((a - rate * b) ** 2 / p for a, b, p in zip(y, x, pivots, strict=True))
    dof = len(y) - 1
    scale = rest / dof
    determinant = math.fsum(math.log(p) for p in pivots) + math.log(information)
    likelihood = -0.5 * determinant - 0.5 * dof * math.log(scale) if scale > 0.0 else 0.0
    return _Fit(rate, math.sqrt(scale / information), likelihood)


def _degrees_of_freedom(fits: Sequence[_Fit], weights: Sequence[float], rate: float, u: float, most: int) -> float:
    """Degrees of freedom, at most those of the scale, with which k u holds 95.45 % of the mixture of all fits."""
    from scipy.special import stdtr

    if u == 0.0:
        return float(most)
    scales = np.maximum([fit.u for fit in fits], u * 1e-9)
    offsets = np.array([fit.rate - rate for fit in fits])
    parts = np.array(weights) / math.fsum(weights)

    def outside(k: float) -> float:
        tails = stdtr(most, (offsets - k * u) / scales) + stdtr(most, (-offsets - k * u) / scales)
        return math.fsum((parts * tails).tolist())

    k = crossing(outside, 1.0 - COVERAGE, 1.0, 100.0)
    if k <= coverage_factor(float(most)):
        return float(most)
    return math.exp(crossing(lambda log: coverage_factor(math.exp(log)), k, 0.0, math.log(most)))


def crossing(falling: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Where a falling function passes a level, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if falling(middle) > level else (low, middle)
    return (low + high) / 2.0


def stretch_means(t_s: FloatArray, mass_mg: FloatArray, stretches: int) -> tuple[FloatArray, FloatArray]:
    """Mean time and mean mass of consecutive stretches with equally many samples each."""
    edges = [round(i * t_s.size / stretches) for i in range(stretches + 1)]
    spans = list(itertools.pairwise(edges))
    times = [math.fsum(t_s[a:b].tolist()) / (b - a) for a, b in spans]
    masses = [math.fsum(mass_mg[a:b].tolist()) / (b - a) for a, b in spans]
    return np.array(times), np.array(masses)


def noise_carries_over_digits(mass_mg: FloatArray, readability_mg: float) -> bool:
    """Whether readings jump between digits often enough that rounding averages like white noise."""
    step = np.abs(np.diff(mass_mg))
    root_mean_square = math.sqrt(math.fsum((step * step).tolist()) / step.size)
    return root_mean_square / math.sqrt(2.0) >= readability_mg / 2.0


@dataclass(frozen=True, slots=True)
class Evaporation:
    """Loss of mass during a run, from the blanks before and after it (or one of them), in order of time.

    Attributes
    ----------
    weights : of the blanks in a rate that is taken for constant; None to interpolate between them.
    u_change_mg_per_h : where it is taken for constant, standard uncertainty of the change of the true rate from the
        first blank to the last.
    u_difference_mg_per_h : standard uncertainty of the blanks' difference where the true rate does not change; 0 where
        that is not known.
    """

    blanks: tuple[Blank, ...]
    weights: tuple[float, ...] | None = None
    u_change_mg_per_h: float = 0.0
    u_difference_mg_per_h: float = 0.0

    def __post_init__(self) -> None:
        if not self.blanks:
            raise BlankError("no blank was recorded; measure one before or after the run")

    def rate_mg_per_h(self, t_s: FloatArray | float) -> FloatArray:
        """Rate interpolated linearly between the blanks' middles and constant outside them, or their weighted mean."""
        if self.weights is not None:
            pairs = zip(self.weights, self.blanks, strict=True)
            rate = math.fsum(weight * one.rate_mg_per_h for weight, one in pairs)
            return np.full(np.shape(t_s), rate)
        middles = [one.middle_s for one in self.blanks]
        rates = [one.rate_mg_per_h for one in self.blanks]
        return np.asarray(np.interp(t_s, middles, rates), dtype=np.float64)

    def lost_mg(self, from_s: float, t_s: FloatArray) -> FloatArray:
        """Mass lost from ``from_s`` to each time (n,): the exact integral of the rate."""
        if self.weights is not None:
            since_h = (np.asarray(t_s, dtype=np.float64) - from_s) / HOUR_S
            return np.asarray(self.rate_mg_per_h(t_s) * since_h, dtype=np.float64)
        return self._integral(np.asarray(t_s, dtype=np.float64)) - self._integral(np.asarray(from_s, dtype=np.float64))

    def component(self, from_s: float, to_s: float) -> Component:
        """Standard uncertainty, in mg/h, of the mean rate from ``from_s`` to ``to_s``.

        Notes
        -----
        u = max(type A, |e_first - e_last| / sqrt(12)): type A with the weights that the blanks have in the mean rate.
        The degrees of freedom are those of type A in both cases, since the difference comes from the same blanks.
        Of the difference only what is beyond its own uncertainty counts, where that is known: the rest is in type A.
        Weights other than those of the interpolation cost their distance from it times u of the true rate's change.
        """
        middle = self.interpolated(from_s, to_s)
        used = middle if self.weights is None else self.weights
        parts = [
            Component("blank", abs(weight) * one.u_mg_per_h, one.dof)
            for weight, one in zip(used, self.blanks, strict=True)
        ]
        off = abs(used[0] - middle[0])
        if off > 0.0 and self.u_change_mg_per_h > 0.0:
            parts.append(Component("change between the blanks", off * self.u_change_mg_per_h))
        type_a = math.sqrt(math.fsum(part.u**2 for part in parts))
        change = self.beyond_mg_per_h / math.sqrt(12.0)
        return Component("evaporation", max(type_a, change), welch_satterthwaite(parts), "t")

    @property
    def difference_mg_per_h(self) -> float:
        """Last blank less first."""
        return self.blanks[-1].rate_mg_per_h - self.blanks[0].rate_mg_per_h

    @property
    def beyond_mg_per_h(self) -> float:
        """How much of the blanks' difference their own uncertainty does not explain."""
        if self.u_difference_mg_per_h == 0.0:
            return abs(self.difference_mg_per_h)
        return math.sqrt(max(self.difference_mg_per_h**2 - self.u_difference_mg_per_h**2, 0.0))

    @property
    def agreement_limit_mg_per_h(self) -> float:
        """Largest difference of the blanks that a drying trap does not explain: 0.1 mg/h or 25 %, whichever is more.

        A quarter of an oil layer's 0.02 mg/h alone would be less than the noise of the blanks.  Short blanks in a
        restless room tell less than that: where it is known how little, no difference counts that is within it.
        """
        mean = math.fsum(one.rate_mg_per_h for one in self.blanks) / len(self.blanks)
        untold = DIFFERENCE_SIGMAS * self.u_difference_mg_per_h
        return max(LARGEST_DIFFERENCE_MG_PER_H, LARGEST_DIFFERENCE_SHARE * abs(mean), untold)

    @property
    def blanks_agree(self) -> bool:
        """Whether first and last blank agree; where they do not, nothing that stands on them is valid."""
        return abs(self.difference_mg_per_h) <= self.agreement_limit_mg_per_h

    def interpolated(self, from_s: float, to_s: float) -> tuple[float, ...]:
        """The weight of each blank in the mean of the interpolated rate over an interval."""
        if to_s <= from_s:
            raise BlankError(f"from {from_s:g} s to {to_s:g} s is no interval")
        weights = []
        for chosen in range(len(self.blanks)):
            unit = [Blank(b.from_s, b.to_s, float(i == chosen), 0.0, 1.0) for i, b in enumerate(self.blanks)]
            lost = Evaporation(tuple(unit)).lost_mg(from_s, np.array([to_s]))
            weights.append(float(lost[0]) / ((to_s - from_s) / HOUR_S))
        return tuple(weights)

    def _integral(self, t_s: FloatArray) -> FloatArray:
        """Integral of the rate from the first blank's middle, mg."""
        middles = np.array([one.middle_s for one in self.blanks])
        rates = np.array([one.rate_mg_per_h for one in self.blanks])
        trapezia = np.diff(middles) / HOUR_S * (rates[1:] + rates[:-1]) / 2.0
        at_middles = np.concatenate([[0.0], np.cumsum(trapezia)])
        index = np.clip(np.searchsorted(middles, t_s, side="right") - 1, 0, middles.size - 1)
        here = self.rate_mg_per_h(t_s)
        return np.asarray(at_middles[index] + (t_s - middles[index]) / HOUR_S * (rates[index] + here) / 2.0)
