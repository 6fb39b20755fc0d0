"""A series of conditions between two holds at the reference condition: ratios, and what they are per unit.

R = (q - z) / (q_ref - z), where q_ref at the moment of a condition lies on the line between the two reference holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.environment.hold import Hold
from protocols.analysis.grid import RecordError

LINE_SHARE = 1.0 / math.sqrt(12.0)
"""Standard uncertainty of the reference between its two holds, in parts of their difference: a drift that is no line
may lie anywhere between them."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """The flow sensor within a run: its zero, that zero's standard uncertainty, and how far it may wander; uL/h."""

    zero_ul_per_h: float
    u_zero_ul_per_h: float
    wander_ul_per_h: float


@dataclass(frozen=True, slots=True)
class Point:
    """One condition: ``x`` over the reference condition, its standard uncertainty, and its hold.

    ``unrest_ul_per_h`` is how far the flow at the sensor can be from that of the pump, at most, since the line creeps.
    """

    x: float
    u_x: float
    hold: Hold
    unrest_ul_per_h: float = 0.0


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
        """Standard uncertainty of that change, by scatter and by the wander of the zero."""
        net = self._net(self.first)
        wander = math.sqrt(2.0) * self.sensor.wander_ul_per_h
        return 100.0 * math.hypot(self.first.u_ul_per_h, self.last.u_ul_per_h, wander) / net

    def change_percent(self, point: Point) -> float:
        """100 (R - 1) of a condition."""
        return 100.0 * (self._net(point.hold) / self._reference(point.hold)[0] - 1.0)

    def budget(self, point: Point, name: str) -> Budget:
        """Uncertainty of `change_percent`."""
        reference, share = self._reference(point.hold)
        ratio = self._net(point.hold) / reference
        scale, by = 100.0 / reference, abs(ratio)  # a pump that stands may show a flow below zero
        first, last = by * (1.0 - share) * self.first.u_ul_per_h, by * share * self.last.u_ul_per_h
        drift = abs(self._net(self.last) - self._net(self.first)) * LINE_SHARE
        return Budget(
            name,
            "%",
            (
                Component("scatter between strokes", scale * point.hold.u_ul_per_h, point.hold.dof),
                Component("scatter, first reference", scale * first, self.first.dof),
                Component("scatter, last reference", scale * last, self.last.dof),
                Component("drift between the references", scale * by * drift),
                # The zero itself is in both flows; what it does in between is not.
                Component("zero of the flow sensor", scale * abs(1.0 - ratio) * self.sensor.u_zero_ul_per_h),
                Component("wander of the zero", scale * math.sqrt(1.5) * self.sensor.wander_ul_per_h),
                bounded("creep of the line", scale * point.unrest_ul_per_h),
            ),
        )

    def coefficient(self, points: Sequence[Point]) -> tuple[float, Budget]:
        """Change in percent per unit of x, the slope of the line through the reference, with its budget.

        Raises
        ------
        RecordError
            When no condition differs from the reference.

        Notes
        -----
        Least squares through the origin, k = sum(x y) / sum(x^2).  A change of the reference changes every y at once:
        its parts are added as such, those of the conditions as independent.
        """
        squares = math.fsum(point.x**2 for point in points)
        if squares == 0.0:
            raise RecordError("no condition differs from the reference condition")
        slope = math.fsum(point.x * self.change_percent(point) for point in points) / squares
        budgets = [(point.x / squares, self.budget(point, "")) for point in points]
        merged = []
        for index, first in enumerate(budgets[0][1].components):
            parts = [weight * budget.components[index].u for weight, budget in budgets]
            alone = first.source == "scatter between strokes"
            u = math.sqrt(math.fsum(part**2 for part in parts)) if alone else abs(math.fsum(parts))
            dof = math.fsum(budget.components[index].dof for _, budget in budgets) if alone else first.dof
            merged.append(Component(first.source, u, dof))
        u_x = math.sqrt(math.fsum((slope * point.x * point.u_x / squares) ** 2 for point in points))
        return slope, Budget("", f"%/{self.unit}", (*merged, Component("the condition itself", u_x)))

    def _net(self, one: Hold) -> float:
        return one.flow_ul_per_h - self.sensor.zero_ul_per_h

    def _reference(self, one: Hold) -> tuple[float, float]:
        """Reference flow at the moment of a hold, and how far that lies from the first reference to the last."""
        share = (one.middle_s - self.first.middle_s) / (self.last.middle_s - self.first.middle_s)
        return (1.0 - share) * self._net(self.first) + share * self._net(self.last), share
