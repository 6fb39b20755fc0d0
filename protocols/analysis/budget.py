"""Uncertainty budgets after the GUM: named components, effective degrees of freedom, expanded uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

Distribution = Literal["normal", "rectangular", "triangular", "u-shaped", "t"]

COVERAGE = math.erf(math.sqrt(2.0))
"""95.45 %: the probability within two standard deviations, so that k = 2 exactly for infinite degrees of freedom."""

DIVISORS: dict[Distribution, float] = {
    "rectangular": math.sqrt(3.0),
    "triangular": math.sqrt(6.0),
    "u-shaped": math.sqrt(2.0),
}
"""From the half-width of bounds to a standard uncertainty."""


class BudgetError(ValueError):
    """A component that is no uncertainty; the sentence says which and why."""


@dataclass(frozen=True, slots=True)
class Component:
    """One contribution to an uncertainty.

    Attributes
    ----------
    source : what it comes from, in words for a report.
    u : standard uncertainty in the unit of the result, at least 0.
    dof : degrees of freedom of that ``u``; infinite for bounds that are known.
    distribution : of the quantity itself.
    """

    source: str
    u: float
    dof: float = math.inf
    distribution: Distribution = "normal"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.u) and self.u >= 0.0):
            raise BudgetError(f"{self.source}: a standard uncertainty is a finite number of at least 0, not {self.u}")
        if not self.dof > 0.0:
            raise BudgetError(f"{self.source}: degrees of freedom are above 0, not {self.dof}")


def bounded(source: str, half_width: float, distribution: Distribution = "rectangular") -> Component:
    """A component known only by bounds of plus and minus ``half_width``."""
    return Component(source, abs(half_width) / DIVISORS[distribution], math.inf, distribution)


def resolution(source: str, digit: float, readings: int = 1) -> Component:
    """A component from rounding to a ``digit`` at each of some independent readings."""
    return Component(source, digit / math.sqrt(12.0) * math.sqrt(readings), math.inf, "rectangular")


@dataclass(frozen=True, slots=True)
class Budget:
    """Independent components of one result, all in its unit.

    `u` is their root sum of squares, `dof` the effective degrees of freedom (Welch-Satterthwaite, GUM G.4.1, not
    truncated), `expanded` is t(95.45 %, dof) times u.
    """

    name: str
    unit: str
    components: tuple[Component, ...]

    @property
    def u(self) -> float:
        """Combined standard uncertainty."""
        return math.sqrt(math.fsum(component.u**2 for component in self.components))

    @property
    def dof(self) -> float:
        """Effective degrees of freedom; infinite when every component's are."""
        return welch_satterthwaite(self.components)

    @property
    def coverage_factor(self) -> float:
        """K for 95.45 %."""
        return coverage_factor(self.dof)

    @property
    def expanded(self) -> float:
        """Expanded uncertainty U for 95.45 %."""
        return self.coverage_factor * self.u

    def share(self, source: str) -> float:
        """The part of the variance that one source has, 0 to 1."""
        part = math.fsum(component.u**2 for component in self.components if component.source == source)
        whole = self.u**2
        return part / whole if whole else 0.0

    def scaled(self, name: str, unit: str, factor: float) -> Budget:
        """The same budget for a result that is ``factor`` times this one, for example in percent of a volume."""
        scaled = (replace(component, u=component.u * abs(factor)) for component in self.components)
        return Budget(name, unit, tuple(scaled))

    def plus(self, *components: Component) -> Budget:
        """The budget with further components."""
        return replace(self, components=(*self.components, *components))

    def rows(self) -> tuple[tuple[str, float], ...]:
        """(source, standard uncertainty) as `data.checks.Check` keeps them."""
        return tuple((component.source, component.u) for component in self.components)

    def __str__(self) -> str:
        wide = max([len("combined"), *(len(component.source) for component in self.components)])
        lines = [f"{self.name} [{self.unit}]", f"{'source':<{wide}}  {'u':>10}  {'dof':>6}  {'share':>7}"]
        whole = self.u**2
        for component in self.components:
            share = 100.0 * component.u**2 / whole if whole else 0.0
            lines.append(f"{component.source:<{wide}}  {component.u:10.4g}  {component.dof:6.3g}  {share:5.1f} %")
        lines.append(f"{'combined':<{wide}}  {self.u:10.4g}  {self.dof:6.3g}")
        lines.append(f"U = {self.expanded:.4g} {self.unit} (95.45 %, k = {self.coverage_factor:.2f})")
        return "\n".join(lines)


def welch_satterthwaite(components: Iterable[Component]) -> float:
    """Effective degrees of freedom u^4 / sum(u_i^4 / dof_i); infinite when nothing limits them."""
    parts = tuple(components)
    whole = math.fsum(component.u**2 for component in parts)
    if whole == 0.0:
        return math.inf
    limited = math.fsum((component.u**2 / whole) ** 2 / component.dof for component in parts)
    return 1.0 / limited if limited > 0.0 else math.inf


@lru_cache(maxsize=1024)
def coverage_factor(dof: float, probability: float = COVERAGE) -> float:
    """Half-width in standard uncertainties of the central interval that has a probability, by Student t.

    Fractional degrees of freedom are used as they are.
    """
    from scipy.special import ndtri, stdtrit

    if probability == COVERAGE and math.isinf(dof):
        return 2.0
    upper = 0.5 * (1.0 + probability)
    return float(ndtri(upper) if math.isinf(dof) else stdtrit(dof, upper))
