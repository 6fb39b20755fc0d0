"""What a run will be able to tell, said before it: expected uncertainty of each check, and what that can decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from data.checks import Limits
from protocols.analysis.budget import Budget, coverage_factor
from protocols.analysis.decision import NON_BINARY, acceptance_limits, capable, limit_size

HOUR_S = 3600.0
SURELY = 0.90
"""Two-sided, so that a value scatters beyond it to either side in one run of twenty."""

INNER = (0.05, 0.95)
"""Nine runs of ten find an expanded uncertainty between these quantiles."""

SAME = 0.005
"""Uncertainties that differ by less than this share are one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The uncertainty with which one check is expected.

    Attributes
    ----------
    name, title, unit : of the check, as the evaluation will name it.
    budget : the mean of those expected, in the check's unit, with the median of their U.
    low, high : between these lies the expanded uncertainty that nine runs of ten will find.
    limits : of the check; None where nothing is declared.
    part_stroke : standard deviation of what the part of a stroke at either end of the analysis shifts the value by; it
        is the pump's and no part of U.
    """

    name: str
    title: str
    unit: str
    budget: Budget
    low: float
    high: float
    limits: Limits | None = None
    part_stroke: float = 0.0

    @property
    def expanded(self) -> float:
        """Expanded uncertainty U, the median of what is expected."""
        return self.budget.expanded

    @property
    def is_sure(self) -> bool:
        """Whether all runs will find nearly the same U."""
        return self.high - self.low <= SAME * self.expanded

    @property
    def most(self) -> float | None:
        """The largest U with which a value inside the limits can pass; None without limits."""
        if self.limits is None or NON_BINARY.r_max is None:
            return None
        return NON_BINARY.r_max * limit_size(self.limits)

    @property
    def capable(self) -> bool | None:
        """Whether a value inside the limits can pass; None without limits."""
        return None if self.limits is None else capable(self.expanded, self.limits, NON_BINARY.r_max)

    @property
    def reach(self) -> float:
        """How far from a limit a pump must be for nineteen runs of twenty to decide on it: U, and the value's scatter.

        The value that a run finds scatters by u about what it truly delivered, and that by a part of a stroke about
        the pump's own.
        """
        scatter = math.hypot(self.budget.u, self.part_stroke)
        return self.expanded + coverage_factor(self.budget.dof, SURELY) * scatter

    def decides(self, value: float) -> bool | None:
        """Whether nineteen runs of twenty would pass or fail a pump of such a value; None without limits."""
        if self.limits is None:
            return None
        low, high = acceptance_limits(self.reach, self.limits)
        if low <= value <= high:
            return bool(self.capable)
        above = self.limits.high is not None and value > self.limits.high + self.reach
        return above or (self.limits.low is not None and value < self.limits.low - self.reach)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one plan will be able to tell.

    Attributes
    ----------
    duration_s : of the whole run, blanks included.
    analysis_s : of what is judged in it.
    checks : those whose budget is known beforehand; the first is what the protocol is for.
    notes : what a person should know beside the numbers.
    """

    duration_s: float
    analysis_s: float
    checks: tuple[Expected, ...]
    notes: tuple[str, ...] = ()


def expected(
    name: str, title: str, budgets: Sequence[Budget], limits: Limits | None = None, part_stroke: float = 0.0
) -> Expected:
    """One check from the budgets that some likely runs would have."""
    found = sorted(budget.expanded for budget in budgets)
    low, high = (found[round(share * (len(found) - 1))] for share in INNER)
    usual = _usual(budgets)
    usual = usual.scaled(usual.name, usual.unit, median(found) / usual.expanded)
    return Expected(name, title, usual.unit, usual, low, high, limits, part_stroke)


def _usual(budgets: Sequence[Budget]) -> Budget:
    """Components whose variances are the means of some budgets', with the median of their degrees of freedom."""
    parts = []
    for same in zip(*(budget.components for budget in budgets), strict=True):
        u = math.sqrt(math.fsum(one.u**2 for one in same) / len(same))
        parts.append(replace(same[0], u=u, dof=median(one.dof for one in same)))
    return Budget(budgets[0].name, budgets[0].unit, tuple(parts))


def shortest_s(table: Sequence[Forecast], enough: Callable[[Expected], bool | None]) -> float | None:
    """Analysis from which on the first check is enough, from forecasts of rising length; None if the longest is not.

    A shorter one that is enough by chance, since it happens to hold whole strokes, does not count.  Between two lengths
    U is taken as a power of the length; a length is found to a hundredth by halving, with the budget of the shorter one
    scaled to that U.
    """
    short = [index for index, forecast in enumerate(table) if not enough(forecast.checks[0])]
    if not short:
        return table[0].analysis_s
    if short[-1] == len(table) - 1:
        return None
    before, after = table[short[-1]], table[short[-1] + 1]
    low, high = before.analysis_s, after.analysis_s
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if enough(_between(before, after, middle)) else (middle, high)
    return high


def _between(before: Forecast, after: Forecast, analysis_s: float) -> Expected:
    """First check at a length between two."""
    share = math.log(analysis_s / before.analysis_s) / math.log(after.analysis_s / before.analysis_s)
    one, other = before.checks[0], after.checks[0]
    budget = one.budget.scaled(one.budget.name, one.unit, (other.expanded / one.expanded) ** share)
    strokes = max(one.part_stroke * before.analysis_s, other.part_stroke * after.analysis_s) / analysis_s
    return Expected(one.name, one.title, one.unit, budget, one.low, one.high, one.limits, strokes)


def dominant(budget: Budget, most: int = 3) -> list[tuple[str, float]]:
    """The sources with the largest parts of the variance, (source, share), the largest first."""
    sources = list(dict.fromkeys(component.source for component in budget.components))
    shares = sorted(((source, budget.share(source)) for source in sources), key=lambda one: -one[1])
    return [one for one in shares[:most] if one[1] > 0.0]


def rising(lengths_s: Sequence[float]) -> list[float]:
    """Lengths in order, each once."""
    kept = sorted(set(lengths_s))
    return [a for a, b in pairwise([*kept, math.inf]) if b > a]
