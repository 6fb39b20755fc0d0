"""What a sample of pumps says of all of them: normal tolerance intervals, and bounds of a pass rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaincinv, chdtr, nctdtrit, ndtr, ndtri

NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)

FARTHEST = 8.5
"""So many standard deviations of the mean are integrated over; what lies beyond is under 1e-16."""


@dataclass(frozen=True, slots=True)
class PassRate:
    """Passes among runs that have a verdict; ``low`` and ``high`` bound the rate at the confidence, each side alone."""

    passed: int
    judged: int
    confidence: float
    low: float
    high: float


def one_sided_factor(n: int, coverage: float, confidence: float) -> float:
    """K such that mean + k s is above a share ``coverage`` of all, with a confidence.

    Raises
    ------
    ValueError
        Fewer than two values.

    Notes
    -----
    Exact, by the non-central t distribution: k = t(confidence; n - 1, z sqrt n) / sqrt n.  ISO 16269-6:2014, annex B.
    """
    _enough(n)
    root = math.sqrt(n)
    return float(nctdtrit(n - 1, float(ndtri(coverage)) * root, confidence)) / root


def two_sided_factor(n: int, coverage: float, confidence: float) -> float:
    """K such that mean -/+ k s holds at least a share ``coverage`` of all, with a confidence.

    Raises
    ------
    ValueError
        Fewer than two values.

    Notes
    -----
    Exact: the mean of a sample at x holds the share within r(x), the root of ndtr(x + r) - ndtr(x - r) = coverage, and
    k solves E[P(chi2(n - 1) > (n - 1) r(x)^2 / k^2)] = confidence over x ~ N(0, 1/n).  ISO 16269-6:2014, annex C;
    Howe's closed form (1969) is the start of the search.
    """
    _enough(n)
    sigma = 1.0 / math.sqrt(n)
    x = 0.5 * FARTHEST * sigma * (NODES + 1.0)  # one half, the other is the same
    weight = FARTHEST * sigma * WEIGHTS * np.exp(-0.5 * n * x * x) / (sigma * math.sqrt(2.0 * math.pi))
    squared = np.array([_reach(float(at), coverage) ** 2 for at in x])

    def short(k: float) -> float:
        return float(np.sum(weight * (1.0 - chdtr(n - 1, (n - 1) * squared / (k * k))))) - confidence

    start = one_sided_factor(n, 0.5 * (1.0 + coverage), confidence)
    return float(brentq(short, 0.3 * start, 3.0 * start, xtol=1e-12, rtol=1e-12))


def pass_rate(passed: int, judged: int, confidence: float = 0.95) -> PassRate:
    """A pass rate and its bounds, each at the confidence.

    Notes
    -----
    Clopper and Pearson (1934), exact for a binomial count; no failure among n gives low = (1 - confidence)^(1/n).
    """
    if not 0 <= passed <= judged:
        raise ValueError(f"{passed} of {judged} cannot have passed; count again")
    low = float(betaincinv(passed, judged - passed + 1, 1.0 - confidence)) if passed else 0.0
    high = float(betaincinv(passed + 1, judged - passed, confidence)) if passed < judged else 1.0
    return PassRate(passed, judged, confidence, low, high)


def _reach(x: float, coverage: float) -> float:
    """How far either way from x a share of the standard normal distribution lies."""
    z = float(ndtri(0.5 * (1.0 + coverage)))
    return float(brentq(lambda r: float(ndtr(x + r) - ndtr(x - r)) - coverage, 0.5 * z, x + z + 1.0, xtol=1e-13))


def _enough(n: int) -> None:
    if n < 2:
        raise ValueError("a tolerance interval needs two values at least; test more pumps")
