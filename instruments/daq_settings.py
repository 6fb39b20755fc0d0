"""Settings of an NI-DAQmx instrument: its inputs, how each is scaled, and its valves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from data import quantities
from data.quantity_fields import LengthMm, TimeS, VoltageV, reads
from data.samples import FloatArray, PressureReference
from data.units import DimensionName, canonical, dimensions_of
from instruments.instrument import Settings

FrequencyHz = Annotated[float, reads("frequency")]
CurrentA = Annotated[float, reads("current")]
ResistanceOhm = Annotated[float, reads("resistance")]

Point = tuple[float, float]

MARGIN = 0.1
"""A sensor may go this share of its points' span beyond the outermost of them."""

_MEASURED: tuple[DimensionName, ...] = (
    "pressure",
    "force",
    "length",
    "temperature",
    "flow",
    "mass",
    "percent",
    "density",
)
"""What a sensor with an electrical output may measure: dimensions whose unit a channel may have."""


def _parts(text: object, example: str) -> tuple[str, str]:
    if not isinstance(text, (list, tuple)) or len(text) != 2 or not all(isinstance(part, str) for part in text):
        raise ValueError(f"write a pair of quantities such as {example}")
    return text[0], text[1]


def _measured(text: str) -> tuple[float, str]:
    """Value and unit of a measured quantity, in the bench's unit of whatever dimension its unit belongs to."""
    _, _, unit = text.strip().partition(" ")
    named = [dimension.name for dimension in dimensions_of(canonical(unit.strip())) if dimension.name in _MEASURED]
    read = quantities.quantity(text, named[0] if named else "pressure")
    return read.value, read.unit


class Points(BaseModel):
    """Two or more (electrical, measured) points of a sensor, and the unit of what it measures.

    Written as a list of pairs: ``points = [["0 mV/V", "0 kPa"], ["2 mV/V", "100 kPa"]]``.  The lines between
    neighbours are followed, and the outermost lines go on beyond the points.
    """

    model_config = ConfigDict(frozen=True)

    pairs: tuple[Point, ...]
    unit: str

    @property
    def is_line(self) -> bool:
        """Whether two points say it all."""
        return len(self.pairs) == 2

    def measured(self, electrical: FloatArray) -> FloatArray:
        """What is measured at electrical values; the same shape."""
        if self.is_line:
            return _line(self.pairs, electrical)
        inputs, outputs = np.array(self.pairs).T
        beyond = [electrical < inputs[0], electrical > inputs[-1]]
        lines = [_line(self.pairs[:2], electrical), _line(self.pairs[-2:], electrical)]
        return np.asarray(np.select(beyond, lines, np.interp(electrical, inputs, outputs)))

    def within(self, span: Point) -> Point:
        """The part of an electrical range in which the points can be believed: a table ends a margin beyond them."""
        if self.is_line:
            return span
        first, last = self.pairs[0][0], self.pairs[-1][0]
        margin = MARGIN * (last - first)
        return max(span[0], first - margin), min(span[1], last + margin)

    def reaching(self, low: float, high: float) -> tuple[Point, ...]:
        """The points and two on the outermost lines, a whole span of the points outside these measured values."""
        swapped = sorted((measured, electrical) for electrical, measured in self.pairs)
        least, most = swapped[0][0], swapped[-1][0]
        below, above = min(low, least) - (most - least), max(high, most) + (most - least)
        added = ((below, swapped[:2]), (above, swapped[-2:]))
        return tuple(sorted([*self.pairs, *((float(_line(end, np.array(value))), value) for value, end in added)]))


def _line(through: Sequence[Point], x: FloatArray) -> FloatArray:
    """The line through two points."""
    (x1, y1), (x2, y2) = through
    return np.asarray(y1 + (x - x1) * (y2 - y1) / (x2 - x1))


def reads_points(dimension: DimensionName, example: str) -> BeforeValidator:
    """Validator of the points of a sensor whose electrical side has this dimension."""

    def read(value: object) -> Points:
        if not isinstance(value, (list, tuple)) or len(value) < 2:
            raise ValueError(f"write at least two points, such as points = {example}")
        pairs, units = [], set()
        for item in value:
            electrical, measured = _parts(item, example[1:-1])
            number, unit = _measured(measured)
            pairs.append((quantities.parse(electrical, dimension), number))
            units.add(unit)
        if len(units) > 1:
            raise ValueError(f"the points measure different things ({', '.join(sorted(units))}); write one dimension")
        pairs.sort()
        ends = [pair[1] for pair in pairs]
        if len({pair[0] for pair in pairs}) < len(pairs):
            raise ValueError("two points have the same electrical value; give each another one")
        if ends not in (sorted(set(ends)), sorted(set(ends), reverse=True)):
            raise ValueError("the measured values neither rise nor fall all along; correct the points")
        return Points(pairs=tuple(pairs), unit=units.pop())

    return BeforeValidator(read)


def reads_span(dimension: DimensionName | None, example: str) -> BeforeValidator:
    """Validator of a range, lower end first; without a dimension the ends are of the measured quantity."""

    def read(value: object) -> Point:
        low, high = _parts(value, example)
        ends = [_measured(end)[0] if dimension is None else quantities.parse(end, dimension) for end in (low, high)]
        if not ends[0] < ends[1]:
            raise ValueError(f"the lower end {low!r} is not below the upper end {high!r}; swap them")
        return ends[0], ends[1]

    return BeforeValidator(read)


class Input(BaseModel):
    """One analog input: its channel's name, the terminal that it is wired to, and what the reader must know of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name of the channel")
    physical: str = Field(pattern=r"^[^/,: ]+/ai\d+$", description='terminal, such as "cDAQ1Mod1/ai0"')
    reference: PressureReference | None = Field(None, description="of a pressure: gauge, absolute or differential")
    height_mm: LengthMm = Field(0.0, alias="height", description="above the outlet of the pump under test")
    description: str = ""


class BridgeInput(Input):
    """A full-bridge pressure or force transducer on a bridge module."""

    kind: Literal["bridge"]
    points: Annotated[Points, reads_points("sensitivity", '[["0 mV/V", "0 kPa"], ["2 mV/V", "100 kPa"]]')]
    range: Annotated[Point, reads_span(None, '["-10 kPa", "110 kPa"]')] | None = Field(
        None, description="measured range; a tenth beyond the outermost points when left out"
    )
    configuration: Literal["full", "half", "quarter"] = "full"
    excitation_v: VoltageV = Field(2.5, alias="excitation", gt=0.0, description="excitation voltage")
    excitation_source: Literal["internal", "external"] = "internal"
    bridge_resistance_ohm: ResistanceOhm = Field(350.0, alias="bridge_resistance", gt=0.0)

    @model_validator(mode="after")
    def _measures_what_a_bridge_can(self) -> BridgeInput:
        if self.points.unit not in ("kPa", "N"):
            raise ValueError(f"a bridge measures a pressure or a force, its points are in {self.points.unit}")
        return self


class VoltageInput(Input):
    """A sensor with a voltage output; without points the channel is the voltage itself."""

    kind: Literal["voltage"]
    points: Annotated[Points, reads_points("voltage", '[["0 V", "0 kPa"], ["5 V", "100 kPa"]]')] | None = None
    range: Annotated[Point, reads_span("voltage", '["-10 V", "10 V"]')] = (-10.0, 10.0)
    terminals: Literal["default", "differential", "rse", "nrse"] = "default"


class CurrentInput(Input):
    """A sensor with a current output such as 4-20 mA; without points the channel is the current itself."""

    kind: Literal["current"]
    points: Annotated[Points, reads_points("current", '[["4 mA", "0 kPa"], ["20 mA", "100 kPa"]]')] | None = None
    range: Annotated[Point, reads_span("current", '["0 mA", "20 mA"]')] = (0.0, 20e-3)
    shunt_ohm: ResistanceOhm | None = Field(
        None, alias="shunt", gt=0.0, description="resistor across a voltage input; left out on a current module"
    )


class ThermocoupleInput(Input):
    """A thermocouple."""

    kind: Literal["thermocouple"]
    type: Literal["B", "E", "J", "K", "N", "R", "S", "T"]
    range: Annotated[Point, reads_span("temperature", '["0 degC", "100 degC"]')] = (0.0, 100.0)
    cold_junction: str = Field("built-in", description='"built-in", a temperature, or the name of another channel')


class RtdInput(Input):
    """A platinum resistance thermometer."""

    kind: Literal["rtd"]
    type: Literal["Pt3750", "Pt3851", "Pt3911", "Pt3916", "Pt3920", "Pt3928"] = "Pt3851"
    r0_ohm: ResistanceOhm = Field(100.0, alias="r0", gt=0.0, description="resistance at 0 degC")
    wires: Literal[2, 3, 4] = 4
    range: Annotated[Point, reads_span("temperature", '["0 degC", "100 degC"]')] = (0.0, 100.0)
    excitation_a: CurrentA = Field(1e-3, alias="excitation", gt=0.0, description="excitation current")


AnyInput = Annotated[
    BridgeInput | VoltageInput | CurrentInput | ThermocoupleInput | RtdInput, Field(discriminator="kind")
]


class ValveLine(BaseModel):
    """A digital line that moves a valve.

    ``normally`` is the position of the valve without current; ``safe`` whether the safe state energises it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: str = Field(pattern=r"^[^/,: ]+/port\d+/line\d+$", description='line, such as "cDAQ1Mod5/port0/line0"')
    normally: Literal["open", "closed"] = "closed"
    safe: Literal["released", "energised"] = "released"


def _line_alone(value: Any) -> Any:
    """A valve may be written as its line alone."""
    return {"line": value} if isinstance(value, str) else value


def _distinct(inputs: tuple[Input, ...]) -> tuple[Input, ...]:
    for what in ("name", "physical"):
        seen: set[str] = set()
        for each in inputs:
            value = getattr(each, what).lower()
            if value in seen:
                raise ValueError(f'two channels have the {what} "{getattr(each, what)}"; give each its own')
            seen.add(value)
    return inputs


class WatchdogSettings(BaseModel):
    """What falls back when the host is silent: the device's own timer, or a relay behind a heartbeat line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout_s: TimeS = Field(alias="timeout", gt=0.0, description="longest time between two feeds")
    heartbeat: str | None = Field(
        None,
        pattern=r"^[^/,: ]+/port\d+/line\d+$",
        description="line that is toggled, with a relay that drops after the timeout; the device's timer if left out",
    )


class NiDaqmxSettings(Settings):
    """Settings of the driver ``ni-daqmx``."""

    rate_hz: FrequencyHz = Field(10.0, alias="rate", gt=0.0, description="samples a second of every channel")
    channels: Annotated[tuple[AnyInput, ...], AfterValidator(_distinct)] = ()
    valves: dict[str, Annotated[ValveLine, BeforeValidator(_line_alone)]] = Field(default_factory=dict)
    watchdog: WatchdogSettings | None = Field(None, description="makes the valves fall back when the host is silent")
    buffer_s: TimeS = Field(600.0, alias="buffer", gt=0.0, description="how long samples wait to be read")
    timeout_s: TimeS = Field(2.0, alias="timeout", gt=0.0, description="longest time without a new sample")
    deadline_s: TimeS = Field(
        10.0, alias="deadline", gt=0.0, description="longest wait for a device server's answer, on the wall clock"
    )

    @model_validator(mode="after")
    def _does_something(self) -> NiDaqmxSettings:
        if not self.channels and not self.valves:
            raise ValueError("there is neither a channel nor a valve; add [[channels]] or [valves]")
        if self.watchdog is not None:
            _check_watchdog(self.watchdog, self.valves)
        names = {each.name for each in self.channels}
        for each in self.channels:
            if isinstance(each, ThermocoupleInput) and not _is_cold_junction(each.cold_junction, names - {each.name}):
                raise ValueError(
                    f'channel "{each.name}": cold_junction "{each.cold_junction}" is neither "built-in", '
                    'nor a temperature such as "25 degC", nor another channel'
                )
        return self


def _check_watchdog(watchdog: WatchdogSettings, valves: dict[str, ValveLine]) -> None:
    if not valves:
        raise ValueError("a watchdog needs valves that it guards; add [valves], or leave the watchdog out")
    for name, valve in valves.items():
        if watchdog.heartbeat is not None and valve.line.lower() == watchdog.heartbeat.lower():
            raise ValueError(f'the heartbeat has the line of valve "{name}"; give it one of its own')
        if watchdog.heartbeat is not None and valve.safe == "energised":
            raise ValueError(
                f'valve "{name}" is energised in its safe state, which a relay that cuts its supply cannot do; '
                "use a valve of the other kind, or a device with a watchdog timer and no heartbeat"
            )


def _is_cold_junction(text: str, channels: set[str]) -> bool:
    if text == "built-in" or text in channels:
        return True
    try:
        quantities.parse(text, "temperature")
    except ValueError:
        return False
    return True
