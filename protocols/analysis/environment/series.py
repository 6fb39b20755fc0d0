"""A series of conditions between two holds at the reference condition: ratios, and what they are per unit.

R = (q - z) / (q_ref - z), where q_ref at the moment of a condition lies on the line between the two reference holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from protocols.analysis.budget import Budget, Component, bounded, welch_satterthwaite
from protocols.analysis.environment.hold import Hold
from protocols.analysis.grid import RecordError

LINE_SHARE = 1.0 / math.sqrt(12.0)
"""Standard uncertainty of the reference between its two holds, in parts of their difference: a drift that is no line
may lie anywhere between them."""


REPEATABILITY_PERCENT = 0.3
"""Standard uncertainty of a flow sensor's gain from hold to hold: 0.5 % of reading by the data sheets that we know."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """The flow sensor within a run: its zero, that zero's standard uncertainty, and how far it may wander; uL/h."""

    zero_ul_per_h: float
    u_zero_ul_per_h: float
    wander_ul_per_h: float


@dataclass(frozen=True, slots=True)
class Point:
    """One condition: ``x`` over the reference condition, its standard uncertainty, and its hold.

    ``unrest_ul_per_h`` is what the line still takes up of the pump's flow, at most, since it creeps; below 0 where it
    gives back.
    """

    x: float
    u_x: float
    hold: Hold
    unrest_ul_per_h: float = 0.0


Among = Literal["alone", "alike", "unknown"]
"""How one influence moves several conditions: each by itself, all together, or nobody knows."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one influence of one standard deviation makes of a change in percent, with its sign."""

    source: str
    percent: float
    dof: float = math.inf
    among: Among = "alike"

    def component(self) -> Component:
        """Its standard uncertainty, whatever its sign."""
        return Component(self.source, abs(self.percent), self.dof)


@dataclass(frozen=True)
class SeriesOf:
    """Conditions between two reference holds.

    Attributes
    ----------
    unit : of x: "kPa", "K" or "mL".

    Raises
    ------
    RecordError
        When nothing flowed at the reference condition: then nothing is a ratio to it.
    """

    unit: str
    first: Hold
    last: Hold
    points: tuple[Point, ...]
    sensor: Sensor

    def __post_init__(self) -> None:
        for one in (self.first, self.last):
            if self._net(one) <= 0.0:
                raise RecordError(
                    f'the flow sensor saw no delivery at the reference condition, hold "{one.name}"; look whether the '
                    "pump runs and its line is open"
                )

    @property
    def repeats_percent(self) -> float:
        """Change of the reference from its first hold to its last."""
        return 100.0 * (self._net(self.last) / self._net(self.first) - 1.0)

    @property
    def u_repeats_percent(self) -> float:
        """Standard uncertainty of that change, by scatter, by the wander of the zero and by that of the gain."""
        net = self._net(self.first)
        wander = math.sqrt(2.0) * self.sensor.wander_ul_per_h
        by_noise = 100.0 * math.hypot(self.first.u_ul_per_h, self.last.u_ul_per_h, wander) / net
        return math.hypot(by_noise, math.sqrt(2.0) * REPEATABILITY_PERCENT)

    def change_percent(self, point: Point) -> float:
        """100 (R - 1) of a condition."""
        return 100.0 * (self._net(point.hold) / self._reference(point.hold)[0] - 1.0)

    def budget(self, point: Point, name: str) -> Budget:
        """Uncertainty of `change_percent`."""
        return Budget(name, "%", tuple(part.component() for part in self._parts(point)))

    def _parts(self, point: Point) -> tuple[_Part, ...]:
        """What moves the change of a condition; the same sources in the same order for each condition."""
        reference, share = self._reference(point.hold)
        ratio = self._net(point.hold) / reference
        scale = 100.0 / reference
        by_first, by_last = -scale * ratio * (1.0 - share), -scale * ratio * share
        drift = abs(self._net(self.last) - self._net(self.first)) * LINE_SHARE
        wander = self.sensor.wander_ul_per_h
        creep = bounded("creep of the line", scale * point.unrest_ul_per_h)
        return (
            _Part("scatter between strokes", scale * point.hold.u_ul_per_h, point.hold.dof, "alone"),
            _Part("scatter, first reference", by_first * self.first.u_ul_per_h, self.first.dof),
            _Part("scatter, last reference", by_last * self.last.u_ul_per_h, self.last.dof),
            # A drift that bends moves all conditions to one side, one that steps does not.
            _Part("drift between the references", scale * ratio * drift, among="unknown"),
            # The zero itself is in both flows; what it does in between is not.
            _Part("zero of the flow sensor", -scale * (1.0 - ratio) * self.sensor.u_zero_ul_per_h),
            _Part("wander of the zero", scale * wander, among="alone"),
            _Part("wander of the zero, first reference", by_first * wander),
            _Part("wander of the zero, last reference", by_last * wander),
            _Part("repeatability of the flow sensor", ratio * REPEATABILITY_PERCENT, among="alone"),
            _Part("repeatability, first reference", -ratio * (1.0 - share) * REPEATABILITY_PERCENT),
            _Part("repeatability, last reference", -ratio * share * REPEATABILITY_PERCENT),
            _Part(creep.source, -math.copysign(creep.u, point.unrest_ul_per_h)),
        )

    def coefficient(self, points: Sequence[Point]) -> tuple[float, Budget]:
        """Change in percent per unit of x, the slope of the line through the reference, with its budget.

        Raises
        ------
        RecordError
            When no condition differs from the reference.

        Notes
        -----
        Least squares through the origin, k = sum(x y) / sum(x^2).  What moves the references, and the sensor's zero,
        moves every y at once: their parts are added with their signs, those of the conditions as independent.
        """
        squares = math.fsum(point.x**2 for point in points)
        if squares == 0.0:
            raise RecordError("no condition differs from the reference condition")
        slope = math.fsum(point.x * self.change_percent(point) for point in points) / squares
        weights = [point.x / squares for point in points]
        sources = zip(*(self._parts(point) for point in points), strict=True)
        merged = [_merged(weights, parts) for parts in sources]
        u_x = math.sqrt(math.fsum((slope * point.x * point.u_x / squares) ** 2 for point in points))
        return slope, Budget("", f"%/{self.unit}", (*merged, Component("the condition itself", u_x)))

    def _net(self, one: Hold) -> float:
        return one.flow_ul_per_h - self.sensor.zero_ul_per_h

    def _reference(self, one: Hold) -> tuple[float, float]:
        """Reference flow at the moment of a hold, and how far that lies from the first reference to the last."""
        share = (one.middle_s - self.first.middle_s) / (self.last.middle_s - self.first.middle_s)
        return (1.0 - share) * self._net(self.first) + share * self._net(self.last), share


def _merged(weights: Sequence[float], parts: Sequence[_Part]) -> Component:
    """One influence on a weighted sum of conditions."""
    moved = [replace(part, percent=weight * part.percent) for weight, part in zip(weights, parts, strict=True)]
    each = [part.component() for part in moved]
    alone = math.sqrt(math.fsum(one.u**2 for one in each))
    together = abs(math.fsum(part.percent for part in moved))
    first = parts[0]
    if first.among == "alone":
        return Component(first.source, alone, welch_satterthwaite(each))
    return Component(first.source, together if first.among == "alike" else max(alone, together), first.dof)
