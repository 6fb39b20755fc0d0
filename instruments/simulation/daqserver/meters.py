"""What a counter measures with two signals: positions of encoders, times from an edge of one to one of the other.

An encoder stands where the wiring of a counter (or PFI terminal) has a signal: one pulse of its track A for each
``per_count`` of it, track B a quarter behind, forth and back.  A pulse generator there is one that turns evenly.  It
has no track Z, so an index that is enabled never comes.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from nidaqmx.constants import AngleUnits, Edge, EncoderType, LengthUnits, TimeUnits, UsageTypeCI

from instruments.simulation.daqserver.channels import Channel
from instruments.simulation.daqserver.hardware import Hardware
from instruments.simulation.daqserver.pulses import Train, edge_after

if TYPE_CHECKING:
    from instruments.simulation.daqserver.task import Task

LINEAR, ANGULAR = UsageTypeCI.POSITION_LINEAR_ENCODER.value, UsageTypeCI.POSITION_ANGULAR_ENCODER.value
SEPARATION = UsageTypeCI.PULSE_WIDTH_DIGITAL_TWO_EDGE_SEPARATION.value

_EPSILON = 1e-9
_COUNTS = {EncoderType.X_2.value: 2, EncoderType.X_4.value: 4}
"""Edges of both tracks that are counted in one pulse; 1 of any other decoding."""

_TURN = {AngleUnits.DEGREES.value: 360.0, AngleUnits.RADIANS.value: 2.0 * math.pi}
_TICKS = (AngleUnits.TICKS.value, LengthUnits.TICKS.value)


class Meter(Protocol):
    """What gives one value at a time."""

    def at(self, t: float) -> float | None:
        """Value at a moment; None where there is none yet."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Position of an encoder since the start of its task.

    Attributes
    ----------
    counts : edges that are counted in one pulse.
    step : distance of a pulse; 0 gives the counts themselves.
    """

    hardware: Hardware
    terminal: str
    since: float
    counts: int
    step: float
    initial: float

    def at(self, t: float) -> float:
        """Position at a moment."""
        counted = self._counted(t) - self._counted(self.since)
        return self.initial + (counted / self.counts * self.step if self.step else float(counted))

    def _counted(self, t: float) -> int:
        wired, signal = self.hardware.connected_to(self.terminal)
        if wired.pulses_hz is not None:
            pulses = wired.pulses_hz * t
        else:
            pulses = 0.0 if signal is None else signal.at(t) / wired.per_count
        return math.floor(pulses * self.counts + _EPSILON)


@dataclass(slots=True)
class Separation:
    """Times from an edge of one signal to the next edge of another; a further edge of the first one changes nothing."""

    trains: tuple[Train, Train]
    rising: tuple[bool, bool]
    since: float
    timebase_hz: float | None  # then the times are counted in its ticks
    pairs: list[tuple[float, float]] = field(default_factory=list)

    def count(self, now: float) -> int:
        """Pairs of edges until now."""
        while True:
            begin = self._next(0, self.pairs[-1][1] if self.pairs else self.since, now)
            end = self._next(1, begin, now) if begin < math.inf else math.inf
            if end == math.inf:
                return bisect_right(self.pairs, now, key=lambda pair: pair[1])
            self.pairs.append((begin, end))

    def moment(self, index: int) -> float:
        """Moment of a second edge."""
        return self.pairs[index][1] if index < len(self.pairs) else math.inf

    def value(self, index: int) -> float:
        """Time between a pair of edges."""
        begin, end = self.pairs[index]
        return float(end - begin) if self.timebase_hz is None else float(round((end - begin) * self.timebase_hz))

    def at(self, t: float) -> float | None:
        """The last time that was measured by a moment."""
        measured = self.count(t)
        return self.value(measured - 1) if measured else None

    def _next(self, which: int, after: float, now: float) -> float:
        train = self.trains[which]
        number = train.count(after)
        train.count(now)
        at = edge_after(train, number, after, rising=self.rising[which])
        return at if at <= now else math.inf


def make(task: Task, channel: Channel) -> Meter | None:
    """The meter of a channel from the start of its task on; None for one that measures with one signal."""
    attributes, hardware = channel.attributes, task.hardware
    kind = attributes["CI_MEAS_TYPE"]
    if kind == SEPARATION:
        first, second = (
            hardware.train(task.absolute(str(attributes[f"CI_TWO_EDGE_SEP_{which}_TERM"])), task.started)
            for which in ("FIRST", "SECOND")
        )
        rising = tuple(
            attributes[f"CI_TWO_EDGE_SEP_{which}_EDGE"] == Edge.RISING.value for which in ("FIRST", "SECOND")
        )
        ticks = attributes["CI_TWO_EDGE_SEP_UNITS"] == TimeUnits.TICKS.value
        timebase_hz = float(attributes["CI_CTR_TIMEBASE_RATE"]) if ticks else None
        return Separation((first, second), (rising[0], rising[1]), task.started, timebase_hz)
    if kind not in (LINEAR, ANGULAR):
        return None
    terminal = task.absolute(str(attributes["CI_ENCODER_A_INPUT_TERM"]))
    hardware.train(terminal, task.started)  # says when there is none of this name
    if kind == LINEAR:
        units, step = attributes["CI_LIN_ENCODER_UNITS"], attributes["CI_LIN_ENCODER_DIST_PER_PULSE"]
        initial = attributes["CI_LIN_ENCODER_INITIAL_POS"]
    else:
        units, initial = attributes["CI_ANG_ENCODER_UNITS"], attributes["CI_ANG_ENCODER_INITIAL_ANGLE"]
        step = _TURN.get(units, 360.0) / attributes["CI_ANG_ENCODER_PULSES_PER_REV"]
    counts = _COUNTS.get(attributes["CI_ENCODER_DECODING_TYPE"], 1)
    return Encoder(hardware, terminal, task.started, counts, 0.0 if units in _TICKS else float(step), float(initial))
