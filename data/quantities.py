"""Quantities as people type them: one strict parser for the window, the command line and every TOML file.

A quantity is ONE number, then ONE unit from the closed list of its dimension (`data.units`).  Nothing is guessed: a
comma, a thousands separator, a unit of another dimension or in the wrong case is refused with what to write instead.
The result is in our unit of the dimension (s, uL, uL/h, mg, kPa, degC, N, ug, ug/mL, ...).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from data.nearest import nearest
from data.units import DIMENSIONS, Dimension, DimensionName, canonical, dimensions_of, scale_and_offset

__all__ = [
    "DimensionName",
    "Quantity",
    "QuantityError",
    "echo",
    "format_quantity",
    "in_unit",
    "internal_unit",
    "parse",
    "plain_number",
    "quantity",
    "same_dimension",
]

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_LONGEST = 60  # characters; longer is no quantity

_OFTEN_MEANT = {
    "C": "degC",
    "c": "degC",
    "F": "degF",
    "Celsius": "degC",
    "celsius": "degC",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "m": "min",
    "mins": "min",
    "Min": "min",
    "MIN": "min",
    "minute": "min",
    "minutes": "min",
    "H": "h",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "D": "day",
    "Day": "day",
    "cc": "mL",
    "psig": "psi",
    "psia": "psi",
    "barg": "bar",
    "bara": "bar",
    "percent": "%",
}


class QuantityError(ValueError):
    """A text that is not the quantity wanted; the sentence says why and what to write."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity: its value in our unit of the dimension, that unit, and the text with number and unit normalised."""

    value: float
    unit: str
    text: str


def parse(text: str, dimension: DimensionName) -> float:
    """Read a quantity and return its value in our unit of the dimension; raises `QuantityError`."""
    return quantity(text, dimension).value


def quantity(text: str, dimension: DimensionName) -> Quantity:
    """Read a quantity; raises `QuantityError`.

    The value is the exact decimal times the exact factor, rounded once to float64.
    """
    wanted = DIMENSIONS[dimension]
    number, unit = _split(text, wanted)
    if unit not in wanted.units:
        raise _unit_error(text, number, unit, wanted)
    scale, offset = scale_and_offset(dimension, unit)
    value = _as_float(Fraction(number) * scale + offset)
    if not math.isfinite(value):
        raise _error(text, "it is too large for any bench", wanted)
    if dimension == "temperature" and value < -273.15:
        raise _error(text, "it is below absolute zero", wanted)
    return Quantity(value, wanted.unit, f"{number} {unit}")


def echo(text: str, dimension: DimensionName) -> str:
    """What was read, with the same in our unit: ``1.5 mL/day = 62.5 uL/h``; raises `QuantityError`."""
    read = quantity(text, dimension)
    return read.text if read.text.endswith(f" {read.unit}") else f"{read.text} = {plain_number(read.value)} {read.unit}"


def format_quantity(value: float, dimension: DimensionName, unit: str | None = None) -> str:
    """A text from which `parse` gives exactly the same value back: in ``unit``, else where the number is shortest.

    Raises
    ------
    QuantityError
        If the value is not finite, or if no number in ``unit`` gives exactly this value.
    """
    wanted = DIMENSIONS[dimension]
    if not math.isfinite(value):
        raise QuantityError(f"{value} is not {wanted.noun}; a quantity is a finite number")
    units = (*wanted.written, wanted.unit) if unit is None else (canonical(unit),)
    written = [(number, name) for name in units if (number := _exact_number(value, dimension, name))]
    if not written:
        raise QuantityError(f"{value} {wanted.unit} cannot be written exactly in {unit}; leave the unit open")
    number, name = min(written, key=lambda pair: len(pair[0]))
    return f"{number} {name}"


def _exact_number(value: float, dimension: DimensionName, unit: str) -> str | None:
    """The shortest number that in ``unit`` is exactly ``value``; None if there is none."""
    there = in_unit(value, dimension, unit)
    scale, offset = scale_and_offset(dimension, unit)
    for digits in (6, 9, 12, 15, 16, 17):
        number = _shortest(float(f"{there:.{digits}g}"))
        if _as_float(Fraction(number) * scale + offset) == value:
            return number
    return None


def in_unit(value: float, dimension: DimensionName, unit: str) -> float:
    """A value in our unit of the dimension, in another unit of it; raises `QuantityError` for a unit it has not."""
    wanted = DIMENSIONS[dimension]
    if canonical(unit) not in wanted.units:
        raise QuantityError(f'"{unit}" is no unit of {wanted.noun}; write one of {", ".join(wanted.units)}')
    scale, offset = scale_and_offset(dimension, canonical(unit))
    return float((Fraction(value) - offset) / scale)


def internal_unit(dimension: DimensionName) -> str:
    """Our unit of a dimension."""
    return DIMENSIONS[dimension].unit


def same_dimension(unit: str, other: str) -> bool:
    """Whether two units on the list measure the same kind of quantity."""
    return bool(set(dimensions_of(canonical(unit))) & set(dimensions_of(canonical(other))))


def _split(text: str, wanted: Dimension) -> tuple[str, str]:
    """Number and unit (in our spelling) of a text; the unit may be one that nobody knows."""
    if not isinstance(text, str):
        write = f'write {wanted.noun} as text with its unit, for example "{wanted.example}"'
        raise QuantityError(f"{text} is a bare number; {write}")
    plain = "".join(letter if letter.isprintable() else " " for letter in text.replace("\u2212", "-")).strip()
    if not plain:
        raise QuantityError(f"{wanted.noun} is missing; write for example {wanted.example}")
    if len(plain) > _LONGEST:
        raise QuantityError(f'"{plain[:20]}..." is too long for {wanted.noun}; write for example {wanted.example}')
    found = _NUMBER.match(plain)
    if found is None:
        raise _number_error(text, plain, wanted)
    number, unit = found.group().removeprefix("+"), plain[found.end() :].strip()
    if _NUMBER_GOES_ON.match(plain[found.end() :]) and unit not in ("1", "1/K"):
        raise _number_error(text, plain, wanted)
    if not unit and "1" in wanted.units:
        unit = "1"
    if not unit:
        raise _error(text, "it has no unit", wanted, _with_a_unit(number, wanted))
    return number, canonical(unit)


_NUMBER_GOES_ON = re.compile(r"\s*[0-9.,'\u2019_+-]|/\s*[0-9]|[eE][+-]?[0-9]")
"""What after a number is more of a number: a separator, a second number, a fraction."""

_MISWRITTEN = (
    # pattern of the number, why it is refused, how its characters are mended
    (r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", "a comma does not separate digits", ","),
    (r"[+-]?[0-9]{1,3}(['\u2019_ ][0-9]{3})+(\.[0-9]+)?(?![0-9.,])", "digits are not separated", "'\u2019_ "),
)


def _number_error(text: str, plain: str, wanted: Dimension) -> QuantityError:
    """Say what is wrong with a number that is none, and how to write it."""
    if found := re.match(r"([+-]?[0-9]+),([0-9]+)(?![0-9.,])", plain):
        whole, digits, rest = found[1], found[2], plain[found.end() :]
        or_thousands = f", or {whole}{digits}{rest}" if len(digits) == 3 and len(whole) <= 3 else ""
        return _error(text, "a comma is not a decimal point", wanted, f"{whole}.{digits}{rest}{or_thousands}")
    for pattern, why, separators in _MISWRITTEN:
        if found := re.match(pattern, plain):
            digits = found.group().translate(str.maketrans("", "", separators))
            return _error(text, why, wanted, digits + plain[found.end() :])
    if found := re.match(r"([+-]?)\.([0-9].*)", plain):
        return _error(text, "a number begins with a digit", wanted, f"{found[1]}0.{found[2]}")
    if found := re.match(r"([+-]?[0-9]+)\.(?![0-9])(.*)", plain):
        return _error(text, "a decimal point needs a digit after it", wanted, f"{found[1]}{found[2]}")
    if re.match(r"[+-]?[0-9]", plain):
        return _error(text, "it is not one number with one unit", wanted)
    return _error(text, "it does not begin with a number", wanted)


def _unit_error(text: str, number: str, unit: str, wanted: Dimension) -> QuantityError:
    """Say what the unit is instead, or which was meant."""
    others = " or ".join(dimension.noun for dimension in dimensions_of(unit))
    if others:
        meant = _OFTEN_MEANT.get(unit)
        write = f"{number} {meant}" if meant in wanted.units else None
        return _error(text, f"{unit} is the unit of {others}", wanted, write)
    meant = _meant(unit, wanted)
    write = f"{number} {meant}" if meant else _with_a_unit(number, wanted)
    return _error(text, f"{unit} is not one of its units", wanted, write)


def _with_a_unit(number: str, wanted: Dimension) -> str:
    """How to write a number whose unit only its writer knows."""
    return f"{number} with one of {', '.join(wanted.units)}" if wanted.units[1:] else f"{number} {wanted.units[0]}"


def _meant(unit: str, wanted: Dimension) -> str | None:
    """The unit of the dimension that somebody who wrote ``unit`` meant, if that is plain.

    Between prefixes it is not: 60 mPa and 60 MPa are both pressures, and 2000 pg/mL is a millionth of 2000 ug/mL.
    """
    tidy = re.sub(r"/\s*24\s*h$|/\s*1\s*d(ay)?$", "/day", unit)
    tidy = "/".join(_OFTEN_MEANT.get(part.strip(), part.strip()) for part in tidy.split("/"))
    if tidy in wanted.units:
        return tidy
    for candidate in wanted.units:
        if candidate.casefold() == tidy.replace(" ", "").casefold():
            return None if _milli_or_mega(tidy.replace(" ", ""), candidate) else candidate
    near = nearest(tidy, wanted.units, 0.75)
    parts = zip(tidy.split("/"), (near or "").split("/"), strict=False)
    return None if any(given != other and _stems(given) & _stems(other) for given, other in parts) else near


def _milli_or_mega(given: str, candidate: str) -> bool:
    """Whether of two units that differ in case one has an m where the other has an M; nobody means megalitres."""
    both = (re.sub("M(?=[lL])", "m", unit) for unit in (given, candidate))
    return any({a, b} == {"m", "M"} for a, b in zip(*both, strict=False))


def _stems(part: str) -> set[str]:
    """A part of a unit as it stands, and without what may be its prefix."""
    return {part, part[1:]} if part[:1] in "pnumcdhkMG" and len(part) > 1 else {part}


def _error(text: str, why: str, wanted: Dimension, write: str | None = None) -> QuantityError:
    remedy = write or f"for example {wanted.example}"
    shown = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return QuantityError(f'"{shown}" is not {wanted.noun}: {why}; write {remedy}')


def _as_float(value: Fraction) -> float:
    """The nearest float; infinity beyond the largest."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _shortest(value: float) -> str:
    """The shortest decimal that is exactly this float, without a trailing ``.0``."""
    return repr(value).removesuffix(".0")


def plain_number(value: float) -> str:
    """Six significant digits, without an exponent where people can read it."""
    if value != 0.0 and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.6g}"
    digits = max(0, 5 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
