"""What a run will be able to tell, said before it: expected uncertainty of each check, and what that can decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from data.checks import Limits
from protocols.analysis.budget import Budget
from protocols.analysis.decision import NON_BINARY, capable, limit_size, share_below

HOUR_S = 3600.0
SURELY = 0.95
"""What nineteen runs of twenty say is decided."""

OUTER = 0.05
"""So many runs find an expanded uncertainty below what is told of it, and as many one above; see `within`."""

WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

SAME = 0.005
"""Uncertainties that differ by less than this share are one."""


@dataclass(frozen=True, slots=True)
class Likely:
    """What one likely run finds: its expanded and its standard uncertainty, and the degrees of freedom of that."""

    expanded: float
    u: float
    dof: float


@dataclass(frozen=True, slots=True)
class Expected:
    """The uncertainty with which one check is expected.

    Attributes
    ----------
    name, title, unit : of the check, as the evaluation will name it.
    budget : the mean of those expected, in the check's unit, with the median of their U.
    low, high : between these lies the expanded uncertainty that so many runs will find as `of_ten` says.
    likely : what the runs that were drawn would find, the smallest U first.
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
    likely: tuple[Likely, ...]
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
    def of_ten(self) -> str:
        """How many runs find U between ``low`` and ``high``: nine of ten, and fewer where few were drawn."""
        drawn = len(self.likely)
        return f"{WORDS[round(10.0 * min(1.0 - 2.0 * OUTER, (drawn - 1) / (drawn + 1)))]} runs of ten"

    def decides(self, value: float) -> bool | None:
        """Whether nineteen runs of twenty would pass, or would fail, a pump of such a value; None without limits."""
        if self.limits is None:
            return None
        chances = [self._chances(one, value, self.limits) for one in self.likely]
        passes, fails = (math.fsum(each) / len(chances) for each in zip(*chances, strict=True))
        return max(passes, fails) >= SURELY

    def _chances(self, run: Likely, value: float, limits: Limits) -> tuple[float, float]:
        """Probability that a run passes, and that it fails, a pump of such a value.

        The value that a run finds scatters by u about what it truly delivered, and that by a part of a stroke about
        the pump's own.  It passes where it is clear of the limits by U, and U small enough.
        """
        scatter = math.hypot(run.u, self.part_stroke)

        def below(found: float) -> float:
            return share_below(
                (found - value) / scatter if scatter else math.copysign(math.inf, found - value), run.dof
            )

        low = -math.inf if limits.low is None else limits.low
        high = math.inf if limits.high is None else limits.high
        inside = below(high - run.expanded) - below(low + run.expanded)
        passes = max(0.0, inside) if capable(run.expanded, limits, NON_BINARY.r_max) else 0.0
        return passes, below(low - run.expanded) + 1.0 - below(high + run.expanded)


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
    likely = sorted((Likely(budget.expanded, budget.u, budget.dof) for budget in budgets), key=lambda one: one.expanded)
    found = [one.expanded for one in likely]
    usual = _usual(budgets)
    usual = usual.scaled(usual.name, usual.unit, median(found) / usual.expanded)
    low, high = within(found)
    return Expected(name, title, usual.unit, usual, low, high, tuple(likely), limits, part_stroke)


def within(found: Sequence[float]) -> tuple[float, float]:
    """Between which bounds another run's value falls in nine cases of ten, from sorted values of some; else their ends.

    Notes
    -----
    Of n values another one is below the k-th smallest with probability k / (n + 1); between two of them it is taken
    for linear.  Fewer than 19 values reach no twentieth, and their smallest and largest are given: (n - 1) / (n + 1).
    """
    at = OUTER * (len(found) + 1) - 1.0
    return _between_ranks(found, at), _between_ranks(found, len(found) - 1.0 - at)


def _between_ranks(found: Sequence[float], at: float) -> float:
    """Value at a rank from 0 on, which need not be whole; the ends beyond them."""
    at = min(max(at, 0.0), len(found) - 1.0)
    lower = math.floor(at)
    upper = min(lower + 1, len(found) - 1)
    return found[lower] + (at - lower) * (found[upper] - found[lower])


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
    each likely U is taken as a power of the length; a length is found to a hundredth by halving, with the budget of the
    shorter one scaled to their median.
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
    last, others = len(one.likely) - 1, len(other.likely) - 1
    same = ((each, other.likely[round(others * rank / max(last, 1))]) for rank, each in enumerate(one.likely))
    likely = tuple(
        Likely(_power(a.expanded, b.expanded, share), _power(a.u, b.u, share), min(a.dof, b.dof)) for a, b in same
    )
    low, high = within([each.expanded for each in likely])
    return Expected(one.name, one.title, one.unit, budget, low, high, likely, one.limits, strokes)


def _power(before: float, after: float, share: float) -> float:
    return before * (after / before) ** share if before else 0.0


def dominant(budget: Budget, most: int = 3) -> list[tuple[str, float]]:
    """The sources with the largest parts of the variance, (source, share), the largest first."""
    sources = list(dict.fromkeys(component.source for component in budget.components))
    shares = sorted(((source, budget.share(source)) for source in sources), key=lambda one: -one[1])
    return [one for one in shares[:most] if one[1] > 0.0]


def rising(lengths_s: Sequence[float]) -> list[float]:
    """Lengths in order, each once."""
    kept = sorted(set(lengths_s))
    return [a for a, b in pairwise([*kept, math.inf]) if b > a]
