"""What a count proves: exact one-sided 95 % bounds of a proportion.

Source: Clopper and Pearson, Biometrika 26 (1934) 404; as quantiles of the beta distribution, Brown, Cai and DasGupta,
Statistical Science 16 (2001) 101.
"""

from __future__ import annotations

import math

from scipy.special import bdtr, betaincinv

CONFIDENCE = 0.95

BEYOND_U = 1.0 - math.erf(math.sqrt(2.0))
"""So large a share of values is further from the truth than U (k = 2), where U is right."""

BY_CHANCE = 0.01
"""More values beyond U than come by chance so seldom are too many."""


def least_share(successes: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The smallest share that a count of successes leaves possible: 20 of 20 proves 0.86."""
    if successes == 0:
        return 0.0
    return float(betaincinv(successes, trials - successes + 1, 1.0 - confidence))


def most_share(events: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The largest share that a count of events leaves possible: 0 of 200 proves 0.015."""
    if trials == 0 or events == trials:
        return 1.0
    return float(betaincinv(events + 1, trials - events, confidence))


def most_beyond(trials: int) -> int:
    """How many of so many values may be further from the truth than U: of 20 four, of 3 one."""
    return next(k for k in range(trials + 1) if 1.0 - float(bdtr(k, trials, BEYOND_U)) <= BY_CHANCE)
