"""Ticks of an axis: of elapsed time in s, min, h or d, of values, of decades; and a range that does not jitter."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gui.presenters.numbers import NOTHING, Numbers

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0

UNIT_FROM = ((3 * DAY_S, "d"), (2 * HOUR_S, "h"), (3 * MINUTE_S, "min"), (0.0, "s"))
"""The shortest stretch that is told in a unit."""

SECONDS = {"s": 1.0, "min": MINUTE_S, "h": HOUR_S, "d": DAY_S}

STEPS_S = (
    *(scale * step for scale in (1e-3, 1e-2, 1e-1, 1.0) for step in (1.0, 2.0, 5.0)),
    *(10.0, 15.0, 30.0),
    *(step * MINUTE_S for step in (1.0, 2.0, 5.0, 10.0, 15.0, 30.0)),
    *(step * HOUR_S for step in (1.0, 2.0, 3.0, 6.0, 12.0)),
    *(step * DAY_S for step in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)),
)
"""Between two ticks."""

MARGIN = 0.06
"""Of a range of values, above and below."""

LOOSE = 0.45
"""A range that shows less than this share of itself filled is drawn closer."""


def unit_of(span_s: float) -> str:
    """The unit in which a stretch of time is told."""
    return next(unit for least, unit in UNIT_FROM if span_s >= least)


def time_step(span_s: float, most: int) -> float:
    """Seconds between two ticks, so that there are not more than so many."""
    return next((step for step in STEPS_S if span_s / step <= max(most, 1)), span_s)


def step_of(span: float, most: int) -> float:
    """The least of 1, 2, 5 times a power of ten that cuts a span into not more than so many parts."""
    if not math.isfinite(span) or span <= 0.0:
        return 1.0
    rough = span / max(most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next((step * power for step in (1.0, 2.0, 5.0) if step * power >= rough * (1 - 1e-9)), 10.0 * power)


def multiples(low: float, high: float, step: float) -> list[float]:
    """Multiples of a step from low to high; none where there would be thousands."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)] if last - first < 1000 else []


def decade_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between two positive values."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [
        step * 10.0**power
        for power in powers
        for step in (1.0, 2.0, 5.0)
        if low * (1 - 1e-9) <= step * 10.0**power <= high * (1 + 1e-9)
    ]


def tick_texts(values: Sequence[float], step: float, numbers: Numbers) -> list[str]:
    """Values at ticks, each with as many digits as a step needs."""
    digits = digits_of_step(step)
    return [numbers.number(value if value else 0.0, digits) for value in values]


def digits_of_step(step: float) -> int:
    """Digits after the point that tell one multiple of a step from the next, at most nine."""
    for digits in range(9):
        if abs(step * 10.0**digits - round(step * 10.0**digits)) < 1e-6 * step * 10.0**digits:
            return digits
    return 9


def moment(t: float, span_s: float) -> str:
    """An elapsed time as a cursor tells it, as finely as a stretch of that length needs; minus before the start."""
    if not math.isfinite(t):
        return NOTHING
    digits = 0 if span_s >= 120.0 else 1 if span_s >= 12.0 else 3
    scale = 10**digits
    whole = round(abs(t) * scale)
    seconds, part = divmod(whole, scale)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    fraction = f".{part:0{digits}d}" if digits else ""
    sign = "\u2212" if t < 0 and whole else ""
    return f"{sign}{f'{days} d ' if days else ''}{hours:02d}:{minutes:02d}:{seconds:02d}{fraction}"


def settled(now: tuple[float, float] | None, low: float, high: float) -> tuple[float, float]:
    """A range that shows low to high with a margin, and is the one of now as long as that does.

    It grows by more than it has to, and shrinks only once it is more than half empty, so that a curve that
    grows does not have its axis redrawn with every sample.
    """
    span = high - low
    least = max(abs(low), abs(high), 1e-12) * 1e-6
    if span < least:
        middle = (low + high) / 2.0
        low, high = middle - least * 500.0, middle + least * 500.0
        span = high - low
    if now is not None:
        if now[0] <= low and high <= now[1] and span >= LOOSE * (now[1] - now[0]):
            return now
        grown = _grown(now, low, high, span)
        if span >= LOOSE * (grown[1] - grown[0]):
            return grown
    margin = MARGIN * span
    return low - margin, high + margin


def _grown(now: tuple[float, float], low: float, high: float, span: float) -> tuple[float, float]:
    extra = (MARGIN + 0.1) * span
    return (low - extra if low < now[0] else now[0]), (high + extra if high > now[1] else now[1])
