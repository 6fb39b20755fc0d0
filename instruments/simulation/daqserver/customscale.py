"""Custom scales of the simulated driver: linear, map, polynomial, table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import ScaleType

from instruments.simulation.daqserver.scaling import polynomial, table

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CustomScale:
    """A named scale between what a channel measures and what the application reads."""

    name: str
    forward: Callable[[FloatArray], FloatArray]
    backward: Callable[[float], float]
    attributes: dict[str, Any] = field(default_factory=dict)


def linear(name: str, slope: float, intercept: float) -> CustomScale:
    """Y = slope x + intercept."""
    return CustomScale(
        name,
        lambda x: x * slope + intercept,
        lambda y: (y - intercept) / slope,
        {"TYPE": ScaleType.LINEAR.value, "LIN_SLOPE": slope, "LIN_Y_INTERCEPT": intercept},
    )


def mapped(name: str, x1: float, x2: float, y1: float, y2: float) -> CustomScale:
    """The line through (x1, y1) and (x2, y2)."""
    slope = (y2 - y1) / (x2 - x1)
    line = linear(name, slope, y1 - slope * x1)
    ends = {"MAP_PRE_SCALED_MIN": x1, "MAP_PRE_SCALED_MAX": x2, "MAP_SCALED_MIN": y1, "MAP_SCALED_MAX": y2}
    return CustomScale(name, line.forward, line.backward, {"TYPE": ScaleType.MAP_RANGES.value, **ends})


def by_polynomial(name: str, forward: list[float], reverse: list[float]) -> CustomScale:
    """Polynomials both ways."""
    values = {"POLY_FORWARD_COEFF": forward, "POLY_REVERSE_COEFF": reverse}
    return CustomScale(name, *polynomial(forward, reverse), {"TYPE": ScaleType.POLYNOMIAL.value, **values})


def by_table(name: str, inputs: list[float], outputs: list[float]) -> CustomScale:
    """Linear interpolation between points."""
    values = {"TABLE_PRE_SCALED_VALS": inputs, "TABLE_SCALED_VALS": outputs}
    return CustomScale(name, *table(inputs, outputs), {"TYPE": ScaleType.TABLE.value, **values})
