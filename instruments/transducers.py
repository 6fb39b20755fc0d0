"""Transducers with a voltage or current output that a multimeter reads: how one is described, and what a reading means.

Keys and points are those of the NI inputs (`instruments.daq_settings`), so a transducer moves from one to the other
without a change of its lines.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from data import quantities
from data.quantity_fields import LengthMm
from data.samples import Channel, PressureReference, Quality
from data.units import canonical, dimensions_of
from instruments.daq_settings import Point, Points, ResistanceOhm, reads_points, reads_span

LOOP_SPAN_A = (3.8e-3, 20.5e-3)
LOOP_FAULT_A = (3.6e-3, 21.0e-3)
"""NAMUR NE 43: a 4-20 mA transmitter measures within the first pair and reports its own fault outside the second."""

OVERLOAD = 9e37
"""What a multimeter shows beyond its range is 9.9E37; nothing that it measures is near."""

STEP = 0.1
"""Share of a transducer's span that one reading may be from the next, unless the station says otherwise."""

_LIVE_ZERO_A = 4e-3
_LOOP_MOST_A = 22e-3


def has_live_zero(points: Points | None) -> bool:
    """Whether the points of a current begin at 4 mA or more, so that NE 43 holds."""
    return points is not None and points.pairs[0][0] >= _LIVE_ZERO_A * (1.0 - 1e-9)


class Transducer(BaseModel, ABC):
    """One transducer: its channel's name and what the reader must know of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name of the channel")
    points: Points | None = None
    range: Point
    reference: PressureReference | None = Field(None, description="of a pressure: gauge, absolute or differential")
    height_mm: LengthMm = Field(0.0, alias="height", description="above the outlet of the pump under test")
    max_step: str | None = Field(None, description="a larger change is asked again, in the unit of what it measures")
    description: str = ""

    @field_validator("max_step")
    @classmethod
    def _is_text(cls, text: str | None) -> str | None:
        return None if text is None else text.strip()

    @model_validator(mode="after")
    def _step_is_of_what_it_measures(self) -> Self:
        if not self.largest_step > 0.0:
            raise ValueError(f'max_step "{self.max_step}" is not above 0')
        return self

    @property
    @abstractmethod
    def function(self) -> Literal["VOLT", "CURR"]:
        """What the multimeter measures."""

    @property
    @abstractmethod
    def electrical_unit(self) -> Literal["V", "A"]:
        """Unit of the electrical side of the points."""

    @property
    def per_raw(self) -> float:
        """Electrical value of one unit that the multimeter reads."""
        return 1.0

    @property
    def most_raw(self) -> float:
        """Largest value that the multimeter has to read."""
        return max(map(abs, self.range)) / self.per_raw

    @property
    def limits(self) -> tuple[Point, Point]:
        """Electrical values between which it measures, and beyond which it reports a fault of its own."""
        span = self.points.within(self.range) if self.points else self.range
        return span, (-math.inf, math.inf)

    @property
    def unit(self) -> str:
        """Unit of its channel."""
        return self.points.unit if self.points else self.electrical_unit

    @property
    def largest_step(self) -> float:
        """Change from one reading to the next that is believed at once."""
        if self.max_step is not None:
            unit = "K" if self.unit == "degC" else self.unit
            dimension = next(each.name for each in dimensions_of(canonical(unit)) if each.unit == unit)
            return quantities.parse(self.max_step, dimension)
        ends = [pair[1] for pair in self.points.pairs] if self.points else list(self.range)
        return STEP * (max(ends) - min(ends))

    @property
    def as_channel(self) -> Channel:
        """Its channel."""
        return Channel(
            self.name, self.unit, self.reference, self.height_mm, self.description, max_step=self.largest_step
        )

    def measured(self, raw: float) -> tuple[float, int]:
        """Value and quality of what a multimeter reads."""
        if not abs(raw) < OVERLOAD:
            return math.nan, int(Quality.UNDERLOAD if raw < 0.0 else Quality.OVERLOAD)
        electrical, (span, sound) = raw * self.per_raw, self.limits
        quality = 0 if span[0] < electrical < span[1] else int(Quality.SATURATED)
        if not sound[0] <= electrical <= sound[1]:
            quality |= int(Quality.DEVICE_ERROR)
        return float(self.points.measured(np.array(electrical))) if self.points else electrical, quality


class VoltageTransducer(Transducer):
    """A transducer with a voltage output; without points the channel is the voltage itself."""

    kind: Literal["voltage"]
    points: Annotated[Points, reads_points("voltage", '[["0 V", "0 kPa"], ["5 V", "100 kPa"]]')] | None = None
    range: Annotated[Point, reads_span("voltage", '["-10 V", "10 V"]')] = (-10.0, 10.0)

    @property
    def function(self) -> Literal["VOLT", "CURR"]:
        """Direct voltage."""
        return "VOLT"

    @property
    def electrical_unit(self) -> Literal["V", "A"]:
        """Volts."""
        return "V"


class CurrentTransducer(Transducer):
    """A transducer with a current output such as 4-20 mA; without points the channel is the current itself."""

    kind: Literal["current"]
    points: Annotated[Points, reads_points("current", '[["4 mA", "0 kPa"], ["20 mA", "100 kPa"]]')] | None = None
    range: Annotated[Point, reads_span("current", '["0 mA", "20 mA"]')] = (0.0, 20e-3)
    shunt_ohm: ResistanceOhm | None = Field(
        None, alias="shunt", gt=0.0, description="resistor across a voltage input; left out on a current input"
    )

    @property
    def function(self) -> Literal["VOLT", "CURR"]:
        """Direct current, or the voltage across the shunt."""
        return "CURR" if self.shunt_ohm is None else "VOLT"

    @property
    def electrical_unit(self) -> Literal["V", "A"]:
        """Amperes."""
        return "A"

    @property
    def per_raw(self) -> float:
        """Amperes a volt across the shunt."""
        return 1.0 if self.shunt_ohm is None else 1.0 / self.shunt_ohm

    @property
    def most_raw(self) -> float:
        """A loop reports its fault beyond its range."""
        most = max(map(abs, self.range))
        return max(most, _LOOP_MOST_A if has_live_zero(self.points) else 0.0) / self.per_raw

    @property
    def limits(self) -> tuple[Point, Point]:
        """Those of NE 43 where the zero is 4 mA or more."""
        return (LOOP_SPAN_A, LOOP_FAULT_A) if has_live_zero(self.points) else super().limits


AnyTransducer = Annotated[VoltageTransducer | CurrentTransducer, Field(discriminator="kind")]


def distinct(transducers: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same; raises ValueError where two have the same name or are at the same channel."""
    for key in ("name", "channel"):
        seen = set()
        for each in transducers:
            value = getattr(each, key)
            if value in seen:
                raise ValueError(f'two channels have the {key} "{value}"; give each its own')
            seen.add(value)
    return transducers
