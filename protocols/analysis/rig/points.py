"""Values of a reference, as a person writes them: one kind of quantity, separated by commas."""

from __future__ import annotations

from data import quantities
from data.units import DimensionName
from protocols.procedure import ParamError

CALIBRATED: tuple[DimensionName, ...] = ("pressure", "temperature", "flow", "mass", "force", "percent", "voltage")
"""What can be calibrated so, in the order in which a unit is looked for."""


def read_points(text: str) -> tuple[tuple[float, ...], str]:
    """Values with their units, separated by commas, in our unit; raises ParamError when they are of no one kind."""
    parts = [part.strip() for part in text.split(",")]
    for dimension in CALIBRATED:
        try:
            return tuple(quantities.parse(part, dimension) for part in parts), quantities.internal_unit(dimension)
        except quantities.QuantityError:
            continue
    raise ParamError(
        f'"{text}" is no list of one kind of quantity ({", ".join(CALIBRATED)}); write it like "0 kPa, 20 kPa, 40 kPa"'
    )
