"""Numbers and times as a person reads them on a screen; files and commands are always in the C locale."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

NARROW_NBSP = "\u202f"
MINUS = "\u2212"
NOTHING = "–"
MOST_DIGITS = 9
"""After the point; what differs by less is the same."""

UNITS = {
    "uL": "µL",
    "uL/h": "µL/h",
    "uL/kPa": "µL/kPa",
    "ug": "µg",
    "ug/mL": "µg/mL",
    "ug/day": "µg/day",
    "degC": "°C",
    "percent": "%",
    "uL/min": "µL/min",
    "1": "",
}
"""How our units are written on a screen, where that differs."""


_BARE = re.compile(r"\s*[+-]?[0-9]+([.][0-9]*)?\s*")


def is_bare(text: str) -> bool:
    """Whether a text is a number without a unit."""
    return _BARE.fullmatch(text) is not None


def unit_text(unit: str) -> str:
    """A unit as it is written on a screen."""
    return UNITS.get(unit, unit)


class Numbers(Protocol):
    """Writes numbers in the screen's language."""

    def number(self, value: float | None, digits: int) -> str:
        """A value with so many digits after the point; a dash where there is none."""


class PlainNumbers:
    """Numbers with a point, and a true minus sign."""

    def number(self, value: float | None, digits: int) -> str:
        """As `Numbers.number`."""
        if value is None or not math.isfinite(value):
            return NOTHING
        return f"{unsigned_zero(value, digits):.{max(digits, 0)}f}".replace("-", MINUS)


def unsigned_zero(value: float, digits: int) -> float:
    """The value; 0 without a sign where it is written as nothing."""
    return 0.0 if round(value, max(digits, 0)) == 0.0 else value


def digits_of(step: float) -> int:
    """Digits after the point with which a value that is known to a step, or an uncertainty, is written: two of U."""
    if not math.isfinite(step) or step <= 0.0:
        return 3
    return min(max(1 - math.floor(math.log10(step)), 0), 9)


def significant(value: float | None, count: int = 4) -> int:
    """Digits after the point that give a value so many significant ones."""
    if value is None or not math.isfinite(value) or value == 0.0:
        return count - 1
    return min(max(count - 1 - math.floor(math.log10(abs(value))), 0), 9)


OF_A_MASS = 9
"""Figures of a declared mass: a balance resolves a part in 10 million of its range, a person may type it."""


def all_digits(value: float, count: int = 6) -> int:
    """Digits after the point with which a declared value is written whole: all that so many figures hold."""
    exponent = Decimal(f"{value:.{count}g}").normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def digits_beside(value: float, limits: Sequence[float], digits: int) -> int:
    """Digits after the point with which a value is written on the side of its limits on which it is.

    Its distance from a limit, written with as many, is not nothing then.

    Parameters
    ----------
    digits : that it is written with where no limit is near.
    """
    for count in range(digits, MOST_DIGITS):
        written, step = round(value, count), 10.0**-count
        if all(
            value == limit or ((written - limit) * (value - limit) > 0.0 and abs(value - limit) > step / 2.0)
            for limit in limits
        ):
            return count
    return MOST_DIGITS


def figures(value: float, count: int) -> str:
    """A value with so many figures, the last one too where it is 0, and never as a power of ten."""
    return f"{value:.{significant(value, count)}f}"


def with_unit(text: str, unit: str) -> str:
    """A written number with its unit."""
    shown = unit_text(unit)
    return f"{text}{NARROW_NBSP}{shown}" if shown and text != NOTHING else text


def least_percent(share: float, digits: int = 1) -> str:
    """A share that is at least so large, in percent; cut, since rounded up it would say more than is known."""
    scale = 10**digits
    return f"{math.floor(share * 100.0 * scale + 1e-6) / scale:.{digits}f} %"


def most_percent(share: float, digits: int = 1) -> str:
    """A share that is at most so large, in percent; rounded up for the same reason."""
    scale = 10**digits
    return f"{math.ceil(share * 100.0 * scale - 1e-6) / scale:.{digits}f} %"


def duration(seconds: float | None) -> str:
    """A stretch of time, as 6:41:18 or 3 d 02:00:05."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = timedelta(seconds=max(int(seconds), 0))
    hours, rest = divmod(whole.seconds, 3600)
    minutes, left = divmod(rest, 60)
    clock = f"{hours:02d}:{minutes:02d}:{left:02d}"
    return f"{whole.days} d {clock}" if whole.days else clock


def rough_duration(seconds: float | None) -> str:
    """A stretch of time in two parts: 25 h, 1 h 20 min, 3 d 4 h, 40 s."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = max(round(seconds), 0)
    for unit, size, part, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= (2 * size if unit == "d" else size):
            count, left = divmod(whole, size)
            rest = left // small
            return f"{count} {unit} {rest} {part}" if rest and count < 20 else f"{count} {unit}"
    return f"{whole} s"


def exact_duration(seconds: float) -> str:
    """A stretch of time with all its parts, for what was asked for or recorded: 25 h 30 min, 2 d 5 h, 0.5 s."""
    left, said = round(seconds * 1000.0), []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if left >= (2 * size if unit == "d" else size):
            count, left = divmod(left, size)
            said.append(f"{count} {unit}")
    if not said:
        return f"{seconds:g} s"
    return " ".join([*said, *([f"{left / 1000.0:g} s"] if left else [])])


def local_time(moment: datetime) -> str:
    """A moment on the clock of the wall."""
    return moment.astimezone().strftime("%H:%M:%S")


def local_date(moment: datetime) -> str:
    """A moment with its date."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
