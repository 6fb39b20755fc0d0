"""A control chart shows that a result of a rig wanders although each one is within its limits.

Individuals and moving range after ISO 7870-2:2013 (Shewhart) with four of the rules of Western Electric (1956), so that
a slow wander shows before a limit is reached.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

D2 = 1.128
"""Mean range of two values from a normal distribution, in its standard deviations."""

BASELINE = 20
"""So many first values say what is usual; they must be stable themselves."""

LEAST = 5
"""Fewer values make no chart."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule that a value broke."""

    at: int
    rule: str


@dataclass(frozen=True, slots=True)
class ControlChart:
    """Centre, standard deviation, and what is out of control; ``at`` counts from 0.

    A signal that lasts is told once, where it begins; ``latest_is_out`` says whether one lasts to the latest value.
    """

    centre: float
    sigma: float
    signals: tuple[Signal, ...]
    latest_is_out: bool

    @property
    def limits(self) -> tuple[float, float]:
        """Centre minus and plus three standard deviations."""
        return self.centre - 3.0 * self.sigma, self.centre + 3.0 * self.sigma


def control_chart(values: Sequence[float]) -> ControlChart | None:
    """Chart of (n,) results in order of time; None below `LEAST`.

    Notes
    -----
    Centre and standard deviation are those of the first `BASELINE` values: mean, and mean moving range over d2.  The
    moving range does not grow with a drift, which a plain standard deviation would hide.
    """
    if len(values) < LEAST:
        return None
    base = list(values[:BASELINE])
    centre = math.fsum(base) / len(base)
    ranges = [abs(b - a) for a, b in itertools.pairwise(base)]
    sigma = math.fsum(ranges) / len(ranges) / D2
    signals = tuple(_signals(values, centre, sigma))
    if sigma == 0.0:
        return ControlChart(centre, sigma, signals, values[-1] != centre)
    z = [(value - centre) / sigma for value in values]
    return ControlChart(centre, sigma, signals, bool(_broken(z, len(z) - 1)))


def _signals(values: Sequence[float], centre: float, sigma: float) -> list[Signal]:
    """The first moment at which each stretch breaks a rule."""
    if sigma == 0.0:
        return [Signal(k, "differs from values that were all equal") for k, v in enumerate(values) if v != centre]
    z = [(value - centre) / sigma for value in values]
    found: list[Signal] = []
    for k in range(len(z)):
        rule = _broken(z, k)
        before = found[-1] if found else None
        if rule and not (before is not None and before.rule == rule and _goes_on(z, before.at, k)):
            found.append(Signal(k, rule))
    return found


def _goes_on(z: Sequence[float], since: int, k: int) -> bool:
    """Whether the same rule has been broken without a pause, so that it is told once."""
    return all(_broken(z, at) for at in range(since, k))


def _broken(z: Sequence[float], k: int) -> str:
    """The worst rule that value ``k`` completes; "" for none."""
    if abs(z[k]) > 3.0:
        return "beyond three standard deviations"
    for side in (1.0, -1.0):
        last = [side * value for value in z[max(0, k - 7) : k + 1]]
        if len(last) >= 3 and sum(value > 2.0 for value in last[-3:]) >= 2 and last[-1] > 2.0:
            return "two of three beyond two standard deviations"
        if len(last) >= 5 and sum(value > 1.0 for value in last[-5:]) >= 4 and last[-1] > 1.0:
            return "four of five beyond one standard deviation"
        if len(last) == 8 and min(last) > 0.0:
            return "eight in a row on one side"
    return ""
