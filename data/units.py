"""The closed list of dimensions and units that people may type, and their exact factors.

pint converts; it never sees what a person typed.  It works in fractions, so that a factor such as 125/3 is exact.  What
it says of the units on the list is kept in `data.unit_factors`, since to import and set it up takes half of a start.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any, Literal

from data.unit_factors import FACTORS, OFFSETS

DimensionName = Literal[
    "flow",
    "volume",
    "mass",
    "amount",
    "pressure",
    "pressure-rate",
    "temperature",
    "temperature-difference",
    "time",
    "force",
    "concentration",
    "dose-rate",
    "mass-rate",
    "density",
    "viscosity",
    "length",
    "velocity",
    "volume-per-length",
    "angle",
    "voltage",
    "current",
    "sensitivity",
    "resistance",
    "frequency",
    "percent",
    "ratio",
    "clock-error",
    "compliance",
    "hydraulic-resistance",
    "temperature-coefficient",
]


@dataclass(frozen=True, slots=True)
class Dimension:
    """A kind of quantity: what a person calls it, our unit, every unit that is read, an example.

    ``written`` are the units in which `data.quantities.format_quantity` writes, the preferred one first.
    """

    name: DimensionName
    noun: str
    unit: str
    units: tuple[str, ...]
    example: str
    written: tuple[str, ...]


def _dimension(
    name: DimensionName, noun: str, unit: str, units: str, example: str, written: str | None = None
) -> Dimension:
    return Dimension(name, noun, unit, tuple(units.split("|")), example, tuple((written or unit).split("|")))


_PRESSURES = "kPa|Pa|hPa|MPa|mbar|bar|mmHg|cmH2O|mmH2O|inHg|psi|Torr|atm"
_PRESSURE_RATES = "kPa/s|kPa/min|kPa/h|Pa/s|bar/s|bar/min|mmHg/s|mmHg/min|psi/s|psi/min"
_FLOWS = "mL/day|mL/h|mL/min|mL/s|uL/day|uL/h|uL/min|uL/s|nL/h|nL/min|nL/s|L/day|L/h"
_MASS_RATES = "mg/h|ug/h|g/h|mg/day|ug/min|mg/min|ug/s|mg/s"
_RESISTANCES = "kPa.h/uL|Pa.h/uL|kPa.min/uL|Pa.s/m3|mmHg.min/mL"

_ALL = (
    _dimension("flow", "a flow rate", "uL/h", _FLOWS, "1.5 mL/day", written="mL/day|uL/h"),
    _dimension("volume", "a volume", "uL", "mL|uL|nL|L", "50 uL", written="uL|mL"),
    _dimension("mass", "a mass", "mg", "g|mg|ug|kg", "20 g"),
    _dimension("amount", "an amount of drug", "ug", "ug|mg|ng|g", "50 ug"),
    _dimension("pressure", "a pressure", "kPa", _PRESSURES, "60 kPa"),
    _dimension("pressure-rate", "a rate of pressure", "kPa/s", _PRESSURE_RATES, "2 kPa/s"),
    _dimension("temperature", "a temperature", "degC", "degC|K|degF", "37 degC"),
    _dimension("temperature-difference", "a difference of temperature", "K", "K|mK", "0.2 K"),
    _dimension("time", "a time", "s", "s|ms|us|min|h|day", "24 h", written="day|h|min|s"),
    _dimension("force", "a force", "N", "N|mN|cN|kN|gf|kgf|lbf", "2 N"),
    _dimension("concentration", "a concentration", "ug/mL", "ug/mL|mg/mL|ng/mL|mg/L|g/L", "2000 ug/mL"),
    _dimension("dose-rate", "a dose rate", "ug/day", "ug/day|mg/day|ng/day|ug/h|mg/h|ng/h|ug/min", "300 ug/day"),
    _dimension("mass-rate", "a rate of mass", "mg/h", _MASS_RATES, "0.02 mg/h"),
    _dimension("density", "a density", "g/mL", "g/mL|kg/m3|kg/L|mg/uL|g/cm3", "0.9982 g/mL"),
    _dimension("viscosity", "a viscosity", "mPa.s", "mPa.s|Pa.s|cP", "0.95 mPa.s"),
    _dimension("length", "a length", "mm", "mm|cm|m|um|in", "89 cm", written="cm|mm"),
    _dimension("velocity", "a speed", "mm/s", "mm/s|mm/min|cm/min|um/s", "10 mm/min"),
    _dimension("volume-per-length", "a volume per length", "uL/cm", "uL/cm|mL/cm|uL/mm|uL/m", "2.2 uL/cm"),
    _dimension("angle", "an angle", "deg", "deg", "90 deg"),
    _dimension("voltage", "a voltage", "V", "V|mV|uV|kV", "5 V"),
    _dimension("current", "a current", "A", "A|mA|uA|nA", "20 mA"),
    _dimension("sensitivity", "a sensitivity", "mV/V", "mV/V|uV/V|V/V", "2 mV/V"),
    _dimension("resistance", "a resistance", "ohm", "ohm|kohm|Mohm", "100 ohm"),
    _dimension("frequency", "a frequency", "Hz", "Hz|mHz|kHz", "10 Hz"),
    _dimension("percent", "a percentage", "%", "%|ppm", "14.5 %"),
    _dimension("ratio", "a ratio", "1", "1|%|ppm", "1.2"),
    _dimension("clock-error", "a clock's error", "ppm", "ppm|%", "20 ppm"),
    _dimension("compliance", "a compliance", "uL/kPa", "uL/kPa|nL/kPa|uL/mmHg|mL/kPa|uL/bar", "0.49 uL/kPa"),
    _dimension("hydraulic-resistance", "a resistance to flow", "kPa.h/uL", _RESISTANCES, "1e11 Pa.s/m3"),
    _dimension("temperature-coefficient", "a temperature coefficient", "%/K", "%/K|ppm/K|1/K", "0.1 %/K"),
)

DIMENSIONS: dict[str, Dimension] = {dimension.name: dimension for dimension in _ALL}

SPELLINGS = {
    "mcg": "ug",
    "l": "L",
    "ml": "mL",
    "ul": "uL",
    "nl": "nL",
    "d": "day",
    "days": "day",
    "°C": "degC",
    "℃": "degC",
    "°F": "degF",
    "°": "deg",
    "Ω": "ohm",
    "kΩ": "kohm",
    "m³": "m3",
    "cm³": "cm3",
}
"""Other spellings of one part of a unit; both code points of the micro sign are read as u."""

PINT_NAMES = {
    "%": "percent",
    "1": "dimensionless",
    "cm3": "centimeter**3",
    "day": "day",
    "deg": "degree",
    "degC": "degree_Celsius",
    "degF": "degree_Fahrenheit",
    "gf": "gram_force",
    "h": "hour",
    "in": "inch",
    "K": "kelvin",
    "kgf": "kilogram_force",
    "lbf": "pound_force",
    "m3": "meter**3",
    "Torr": "torr",
}
"""pint's names where ours would be read otherwise or not at all."""


def canonical(unit: str) -> str:
    """The unit in our spelling, part by part; what we do not know stays as it is."""
    unit = unit.replace("\u00b5", "u").replace("\u03bc", "u").replace("·", ".").replace("*", ".")
    return "/".join(".".join(SPELLINGS.get(part, part) for part in side.split(".")) for side in unit.split("/"))


def dimensions_of(unit: str) -> tuple[Dimension, ...]:
    """Every dimension that reads this unit (in our spelling); none if it is not on the list."""
    return tuple(dimension for dimension in DIMENSIONS.values() if unit in dimension.units)


@cache
def scale_and_offset(dimension: str, unit: str) -> tuple[Fraction, Fraction]:
    """Exact (a, b) such that a value x in ``unit`` is a*x + b in the unit of the dimension."""
    if unit == DIMENSIONS[dimension].unit:
        return Fraction(1), Fraction(0)
    factor = FACTORS.get(dimension, {}).get(unit)
    if factor is None:
        return by_pint(dimension, unit)
    return Fraction(factor), Fraction(OFFSETS.get(dimension, {}).get(unit, "0"))


def by_pint(dimension: str, unit: str) -> tuple[Fraction, Fraction]:
    """The same, asked of pint."""
    ours = DIMENSIONS[dimension].unit
    registry = _registry()
    zero, one = (
        Fraction(registry.Quantity(Fraction(x), _pint_name(unit)).to(_pint_name(ours)).magnitude) for x in (0, 1)
    )
    return one - zero, zero


def _pint_name(unit: str) -> str:
    sides = ("*".join(PINT_NAMES.get(part, part) for part in side.split(".")) for side in unit.split("/"))
    return "/".join(sides)


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint  # a third of a second, and as long to set up

    return pint.UnitRegistry(non_int_type=Fraction)
