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


def read_difference(text: str, unit: str) -> float:
    """An uncertainty or an error of points of this unit, in it; raises ParamError where the text is no such thing.

    Notes
    -----
    Of temperatures 0.1 K is such a difference, and no temperature near absolute zero; 0.1 degC is read as 0.1 K.
    """
    if unit == "degC":
        try:
            return quantities.parse(text, "temperature-difference")
        except quantities.QuantityError as error:
            number = text.strip().removesuffix("degC").removesuffix("°C")
            if number == text.strip():
                raise ParamError(f'"{text}" is no quantity of the points\' kind, {unit}: {error}') from None
            return read_difference(f"{number.strip()} K", unit)
    try:
        (value, *more), found = read_points(text)
    except ParamError:
        more, found, value = [], "", 0.0
    if more or found != unit:
        raise ParamError(f'"{text}" is no quantity of the points\' kind, {unit}')
    return value
