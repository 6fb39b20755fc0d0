"""One parameter of a protocol as a field of the form: what was typed, how it is understood, what may be typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from data import quantities
from data.schedule import Schedule
from data.units import DIMENSIONS
from gui.presenters.numbers import NARROW_NBSP
from protocols.procedure import Param, ParamError

FieldKind = Literal["text", "choice", "flag", "schedule"]

DAY_S = 86400.0
MOST_RATES = 4
"""Rates of a schedule that its echo names one by one."""

_MICRO = re.compile(r"\bu(?=(L|g|m)\b)")
_SHOWN = sorted({unit for one in DIMENSIONS.values() for unit in one.units} - {"1", "in"}, key=len, reverse=True)
_QUANTITY = re.compile(rf"(?<=\d) (?=(?:{'|'.join(map(re.escape, _SHOWN))})(?![\w/]))")


@dataclass
class FormField:
    """A field of the form.

    Attributes
    ----------
    text : what stands in it.
    usual : what stands in it at first: the station's own default, or the protocol's.
    is_stations : whether ``usual`` is the station's.
    echo : how ``text`` is understood; empty where that is plain.
    error : why it is not; empty where it is.
    settled : whether the person has paused, so that an error may be shown.
    is_fixed : whether a recipe fixes it; then it is shown and cannot be changed.
    """

    item: Param
    usual: str
    is_stations: bool
    text: str = ""
    echo: str = ""
    error: str = ""
    settled: bool = True
    is_fixed: bool = False

    def __post_init__(self) -> None:
        self.put(self.text or self.usual)
        self.settled = True

    @property
    def name(self) -> str:
        """As the request names it."""
        return self.item.short_name

    @property
    def caption(self) -> str:
        """As a person reads it."""
        return self.name.replace("_", " ").capitalize()

    @property
    def kind(self) -> FieldKind:
        """What the person is given to fill in."""
        if self.item.kind is Schedule:
            return "schedule"
        if self.item.kind is bool:
            return "flag"
        return "choice" if self.item.choices else "text"

    @property
    def is_changed(self) -> bool:
        """Whether the person wants something else than is usual."""
        return self.text.strip() != self.usual.strip()

    @property
    def says(self) -> str:
        """What stands beside the field: how it is understood, its limits, where it comes from."""
        if self.is_fixed:
            return " · ".join(part for part in (self.echo, "fixed by the recipe") if part)
        parts = [self.echo, limits_of(self.item)]
        if self.is_changed:
            parts.append(f"changed, was {self.usual}" if self.usual and self.kind != "schedule" else "changed")
        elif self.is_stations:
            parts.append("the station's")
        return " · ".join(part for part in parts if part)

    @property
    def shown_error(self) -> str:
        """The error, once the person has paused."""
        return self.error if self.settled else ""

    def put(self, text: str) -> None:
        """Take what was typed."""
        self.text, self.settled = text, False
        self.echo, self.error = understood(self.item, text)


def field_of(item: Param, stations: object = None) -> FormField:
    """The field of a parameter; ``stations`` is what the station file gives for it."""
    value = item.default if stations is None else stations
    return FormField(item, written(item, value), stations is not None)


def fixed_field(item: Param, text: str) -> FormField:
    """The field of a parameter that a recipe fixes."""
    return FormField(item, text, is_stations=False, is_fixed=True)


def written(item: Param, value: object) -> str:
    """A default as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Schedule):
        return str(value)
    if isinstance(value, int | float) and item.dimension is not None:
        return _MICRO.sub("µ", quantities.format_quantity(float(value), item.dimension))
    return _MICRO.sub("µ", str(value)) if item.dimension is not None else str(value)


def understood(item: Param, text: str) -> tuple[str, str]:
    """How a text is understood, and why it is not; one of the two is empty."""
    asked = one_line(text) if item.kind is Schedule else text.strip()
    if not asked and item.default is None:
        return "", f"is missing: {item.help}"
    try:
        value = item.read(asked)
    except ParamError as error:
        return "", " ".join(str(error).removeprefix(f'parameter "{item.short_name}": ').split())
    if isinstance(value, Schedule):
        return _course(value), ""
    if item.dimension is None:
        return "", ""
    echo = quantities.echo(asked, item.dimension)
    return (on_screen(echo.partition(" = ")[2]), "") if " = " in echo else ("", "")


def one_line(text: str) -> str:
    """A schedule that was written with a clause on each line."""
    return "; ".join(part for line in text.splitlines() if (part := line.strip().rstrip(";").strip()))


def limits_of(item: Param) -> str:
    """What may be typed; empty without limits."""
    low, high = item.low, item.high
    if low is not None and high is not None:
        return on_screen(f"{low} to {high}")
    if low is not None:
        return on_screen(f"at least {low}")
    return "" if high is None else on_screen(f"at most {high}")


def on_screen(text: str) -> str:
    """Words with quantities in them, with µ and °C, and no line break between a number and its unit."""
    return _MICRO.sub("µ", _QUANTITY.sub(NARROW_NBSP, text)).replace("degC", "°C")


def _course(schedule: Schedule) -> str:
    """Rates and the volume of one day."""
    edges = np.array([0.0, *schedule.edges_s(0.0, DAY_S)])
    rates = sorted({float(f"{rate:.4g}") for rate in schedule.rate_ul_per_h(edges[edges < DAY_S])})
    few = len(rates) <= MOST_RATES
    listed = ", ".join(f"{rate:g}" for rate in rates) if few else f"{rates[0]:g} to {rates[-1]:g}"
    return on_screen(f"{listed} uL/h; {schedule.describe()}")
