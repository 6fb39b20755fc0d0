"""What a run shows of each quantity, in units of what a sound pump on a sound bench shows by chance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import MappingProxyType

from data.checks import Check, Verdict
from protocols.analysis.locator.signatures import Table

AT_LIMIT = 3.0
"""A value at the limit of its check counts as so many standard deviations: limits are where honest values end."""

WITHIN = 2.0
"""What is within its only limit counts as no more than this."""

CERTAIN = 6.0
"""What may not happen at all counts as this once it has, and nothing counts as more."""

WHOLE_PERCENT = 100.0

LIMIT_SPREAD = 0.1
"""Below a limit of which nobody knows what lies well above it, values are told apart in steps of this part of it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One quantity of a run.

    Attributes
    ----------
    name, title : as in the table of signatures.
    value, unit, u : what was found, with its standard uncertainty; ``value`` is None where it only happened.
    low, high : what a sound pump on a sound bench stays within.
    spread : standard deviation of honest values, the measurement's own uncertainty included, in the unit.
    z : distance from what is honest in such standard deviations, within ±6.
    source : check or channel that says so.
    at_s : when it began, on the run's clock; None where the run does not tell.
    """

    name: str
    title: str
    value: float | None
    unit: str
    z: float
    source: str
    u: float | None = None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    at_s: float | None = None

    def __str__(self) -> str:
        """For people: title, value, uncertainty and limits."""
        unit = "" if self.unit == "1" else f" {self.unit}"
        said = "" if self.value is None else f" {self.value:.4g}"
        if self.value is not None and self.u:
            said += f" ± {self.u:.2g}"
        bounds = ""
        if self.low is not None or self.high is not None:
            low = "" if self.low is None else f"from {self.low:.3g} "
            high = "" if self.high is None else f"to {self.high:.3g}"
            bounds = f", honest {low}{high}".rstrip()
        since = "" if self.at_s is None else f", from {self.at_s:.0f} s"
        return f"{self.title}:{said or ' it happened'}{unit if said else ''}{bounds}{since}"


def clipped(z: float) -> float:
    """Nothing counts as more than certain."""
    return max(-CERTAIN, min(CERTAIN, z))


def happened(name: str, it_did: bool, source: str) -> Shown:
    """Something that may not happen at all."""
    return Shown(name, "", None if it_did else 0.0, "1", CERTAIN if it_did else 0.0, source)


def of_checks(
    checks: Sequence[Check], known: Table, unlimited: Mapping[str, float] = MappingProxyType({})
) -> Iterator[Shown]:
    """Each quantity that the checks of an evaluation measure.

    Parameters
    ----------
    unlimited : standard deviation of honest values by quantity, for checks of it that have no limit.
    """
    for name, quantity in known.quantity.items():
        found = [
            replace(shown, name=name, title=quantity.title)
            for check in checks
            if any(fnmatchcase(f"{check.owner}/{check.name}", pattern) for pattern in _owned(quantity.checks))
            and (shown := of_check(check, unlimited.get(name))) is not None
        ]
        if found:
            yield _common(found) if quantity.combine == "common" else max(found, key=lambda one: abs(one.z))


def _owned(patterns: Sequence[str]) -> Iterator[str]:
    """Patterns of owner and name."""
    return (pattern if "/" in pattern else f"*/{pattern}" for pattern in patterns)


def _common(found: Sequence[Shown]) -> Shown:
    """The least of what all say alike; nothing where they contradict each other."""
    least = min(found, key=lambda one: abs(one.z))
    alike = all(one.z > 0.0 for one in found) or all(one.z < 0.0 for one in found)
    return least if alike else replace(least, z=0.0)


def of_check(check: Check, honest: float | None = None) -> Shown | None:
    """What a check measured, in units of what its limits call honest; None where it says nothing.

    Parameters
    ----------
    honest : standard deviation of honest values around 0 where the check has no limit; without it that says nothing.

    Notes
    -----
    z = 3 (x - m)/h between two limits of half width h around m, and 3 (x - n)/(limit - n) with one limit and n what
    is aimed at: 0, or 100 % for a lower limit in percent; within one limit it goes with the square, up to 2.  The
    standard uncertainty counts where it is larger than a third of the way to the limit.  A limit of zero allows none.
    """
    low, high, value = check.limit_low, check.limit_high, check.value
    if value is None:
        if check.verdict is not Verdict.FAIL:
            return None
        return Shown(check.name, check.title, None, check.unit, CERTAIN, check.name)
    u = check.standard_uncertainty
    if low is None and high is None:
        if honest is None:
            return None
        wide = max(honest, u or 0.0)
        return Shown(check.name, check.title, value, check.unit, clipped(value / wide), check.name, u, spread=wide)
    aimed, third = _honest(low, high, check.unit)
    spread = max(third, u or 0.0)
    off = value - aimed
    if low is None and high == 0.0:
        off = max(off, 0.0)
    if high is None:
        off = min(off, 0.0)
    z = off / spread if spread > 0.0 else math.copysign(CERTAIN, off) if off else 0.0
    if high is None and aimed == low and off < 0.0:
        z -= AT_LIMIT  # what is aimed at is not known: the limit itself is as far as anything honest goes
    elif (low is None or high is None) and abs(z) < AT_LIMIT + 1e-9:
        z *= WITHIN * abs(z) / AT_LIMIT**2  # one limit tells little of what is honest within it
    return Shown(check.name, check.title, value, check.unit, clipped(z), check.name, u, low, high, spread)


def _honest(low: float | None, high: float | None, unit: str) -> tuple[float, float]:
    """What is aimed at, and a third of the way from there to the limit."""
    if low is not None and high is not None:
        return (low + high) / 2.0, (high - low) / 2.0 / AT_LIMIT
    if high is not None:
        return 0.0, abs(high) / AT_LIMIT
    assert low is not None
    if unit == "%" and 0.0 < low < WHOLE_PERCENT:
        return WHOLE_PERCENT, (WHOLE_PERCENT - low) / AT_LIMIT
    return low, abs(low) * LIMIT_SPREAD


def by_name(found: Sequence[Shown]) -> Mapping[str, Shown]:
    """The first of each name."""
    known: dict[str, Shown] = {}
    for one in found:
        known.setdefault(one.name, one)
    return known
