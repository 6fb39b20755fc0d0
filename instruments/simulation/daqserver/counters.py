"""Counters: what they count and measure at their terminals, and the pulses that they make.

A counter measures whole pulses: a value is there when the pulse is over.  Without timing, a reading gives the last
whole pulse of a train that is still running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import (
    AcquisitionType,
    ChannelType,
    CountDirection,
    CounterFrequencyMethod,
    Edge,
    FrequencyUnits,
    SampleTimingType,
    TimeUnits,
    UsageTypeCI,
    UsageTypeCO,
)
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import meters
from instruments.simulation.daqserver.channels import TERMS, Channel
from instruments.simulation.daqserver.faults import BAD_VALUE, DaqFault
from instruments.simulation.daqserver.pulses import Clocked, Programmed, Pulse, Succession, Train, falling
from instruments.simulation.daqserver.sampling import EdgeTicks, PulseTicks

if TYPE_CHECKING:
    from instruments.simulation.daqserver.task import Task

FloatArray = npt.NDArray[np.float64]

COUNTS = UsageTypeCI.COUNT_EDGES.value
_SEMI = UsageTypeCI.PULSE_WIDTH_DIGITAL_SEMI_PERIOD.value
_STALE_PERIODS = 2.0


# -------------------------------------------------------------------------------------------------- inputs


def begin(task: Task) -> None:
    """Connect the counters of an input task with their terminals."""
    task.trains.clear()
    task.start_counts.clear()
    task.meters.clear()
    if task.kind is not ChannelType.COUNTER_INPUT:
        return
    for channel in task.channels:
        meter = meters.make(task, channel)
        if meter is not None:
            task.meters[channel.name] = meter
        terminal = str(channel.attributes[f"{TERMS[channel.attributes['CI_MEAS_TYPE']]}_TERM"])
        train = task.hardware.train(task.absolute(terminal), task.started)
        task.trains[channel.name] = train
        task.start_counts[channel.name] = _edges(channel, train, task.started)
    if task.timing.type is SampleTimingType.IMPLICIT:
        channel = task.channels[0]
        meter = task.meters.get(channel.name)
        if isinstance(meter, meters.Separation):
            task.ticks = meter
            return
        if meter is not None or channel.attributes["CI_MEAS_TYPE"] == COUNTS:
            raise DaqFault(DAQmxErrors.INVALID_TIMING_TYPE, f"Channel Name: {channel.name}\nTask Name: {task.name}")
        train = task.trains[channel.name]
        halves = 2 if channel.attributes["CI_MEAS_TYPE"] == _SEMI else 1
        task.ticks = PulseTicks(train, train.count(task.started) + 1, halves, _divisor(channel))


def _edges(channel: Channel, train: Train, t: float) -> int:
    """Active edges of a counting channel until a moment."""
    if channel.attributes.get("CI_COUNT_EDGES_ACTIVE_EDGE", Edge.RISING.value) == Edge.RISING.value:
        return train.count(t)
    return EdgeTicks(train, 1, rising=False).count(t)


def count(task: Task, channel: Channel, t: float) -> int:
    """Count of an edge counter at a moment: 32 bits, from its initial count."""
    if channel.name not in task.trains:
        return int(channel.attributes["CI_COUNT_EDGES_INITIAL_CNT"])
    counted = _edges(channel, task.trains[channel.name], t) - task.start_counts[channel.name]
    if channel.attributes["CI_COUNT_EDGES_DIR"] == CountDirection.COUNT_DOWN.value:
        counted = -counted
    return (int(channel.attributes["CI_COUNT_EDGES_INITIAL_CNT"]) + counted) & 0xFFFFFFFF


def now(task: Task, channel: Channel, t: float) -> tuple[float, float] | None:
    """What a channel counts or measures without timing at a moment; None while there is nothing to be measured."""
    if channel.attributes["CI_MEAS_TYPE"] == COUNTS:
        return float(count(task, channel, t)), 0.0
    meter = task.meters.get(channel.name)
    if meter is None:
        return latest(task, channel, t)
    value = meter.at(t)
    return None if value is None else (value, 0.0)


def latest(task: Task, channel: Channel, t: float) -> tuple[float, float] | None:
    """The last whole pulse that a channel has measured at a moment."""
    train = task.trains[channel.name]
    number, divisor = train.count(t), _divisor(channel)
    if number < 1 + divisor:
        return None
    pulse = _mean(train, number - divisor, divisor)
    if t - train.rise(number) > max(_STALE_PERIODS * pulse.period_s, _longest_s(channel)):
        return None
    return measured(channel, pulse)


def _divisor(channel: Channel) -> int:
    """Periods over which a measurement with two counters takes the mean; 1 of any other."""
    prefix = TERMS[channel.attributes["CI_MEAS_TYPE"]]
    large = channel.attributes.get(f"{prefix}_MEAS_METH") == CounterFrequencyMethod.LARGE_RANGE_2_COUNTERS.value
    return max(1, int(channel.attributes[f"{prefix}_DIV"])) if large else 1


def _mean(train: Train, first: int, n: int) -> Pulse:
    """A pulse, or one of the mean period of ``n`` pulses."""
    if n == 1:
        return train.pulse(first)
    rise = train.rise(first)
    half = 0.5 * (train.rise(first + n) - rise) / n
    return Pulse(rise, half, half)


def _longest_s(channel: Channel) -> float:
    """The longest period that the channel's limits name."""
    low, high = channel.attributes.get("CI_MIN", 0.0), channel.attributes.get("CI_MAX", 0.0)
    kind = channel.attributes["CI_MEAS_TYPE"]
    if kind in (UsageTypeCI.FREQUENCY.value, UsageTypeCI.PULSE_FREQ.value, UsageTypeCI.DUTY_CYCLE.value):
        return 1.0 / low if low > 0.0 else 0.0
    return float(high) if kind != UsageTypeCI.PULSE_TICKS.value else 0.0


def measured(channel: Channel, pulse: Pulse, *, second_half: bool = False) -> tuple[float, float]:
    """What a channel makes of a pulse, in its units; the second number is that of a pair, such as a duty cycle."""
    attributes = channel.attributes
    kind, timebase = attributes["CI_MEAS_TYPE"], attributes["CI_CTR_TIMEBASE_RATE"]
    high, low, period = pulse.high_s, pulse.low_s, pulse.period_s
    falls_first = attributes.get(f"{TERMS[kind]}_STARTING_EDGE") == Edge.FALLING.value
    if kind == UsageTypeCI.PULSE_FREQ.value:
        return 1.0 / period, high / period
    if kind == UsageTypeCI.PULSE_TIME.value:
        return high, low
    if kind == UsageTypeCI.PULSE_TICKS.value:
        return round(high * timebase), round(low * timebase)
    if kind == UsageTypeCI.DUTY_CYCLE.value:
        return (low if falls_first else high) / period, 0.0
    seconds = period
    if kind == UsageTypeCI.PULSE_WIDTH_DIGITAL.value:
        seconds = low if falls_first else high
    elif kind == _SEMI:
        seconds = low if second_half else high
    units = attributes.get(f"{TERMS[kind]}_UNITS")
    if units in (TimeUnits.TICKS.value, FrequencyUnits.TICKS.value):
        return round(seconds * timebase), 0.0
    return (1.0 / seconds if kind == UsageTypeCI.FREQUENCY.value else seconds), 0.0


def values(task: Task, first: int, moments: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Timed samples of the counters and the second number of each pair; shapes (channels, n)."""
    rows: list[list[tuple[float, float]]] = []
    for channel in task.channels:
        train = task.trains[channel.name]
        if isinstance(task.ticks, meters.Separation):
            rows.append([(task.ticks.value(first + k), 0.0) for k in range(moments.size)])
        elif isinstance(task.ticks, PulseTicks):
            rows.append([_numbered(task.ticks, channel, train, first + k) for k in range(moments.size)])
        else:
            rows.append([now(task, channel, moment) or (0.0, 0.0) for moment in moments.tolist()])
    both = np.array(rows, float).reshape(len(rows), moments.size, 2)
    return both[:, :, 0], both[:, :, 1]


def _numbered(ticks: PulseTicks, channel: Channel, train: Train, index: int) -> tuple[float, float]:
    if channel.attributes["CI_MEAS_TYPE"] != _SEMI:
        return measured(channel, _mean(train, ticks.first + index * ticks.stride, ticks.stride))
    number, second = divmod(index, 2)
    rise, fall = train.rise(ticks.first + number), falling(train, ticks.first + number)
    low_s = train.rise(ticks.first + number + 1) - fall if second else 0.0
    return measured(channel, Pulse(rise, fall - rise, low_s), second_half=bool(second))


# ------------------------------------------------------------------------------------------------- outputs


def shape(channel: Channel) -> tuple[float, float]:
    """High and low time of the pulses that a channel is set to make; raises DaqFault for impossible ones."""
    attributes = channel.attributes
    kind = attributes["CO_OUTPUT_TYPE"]
    if kind == UsageTypeCO.PULSE_TIME.value:
        high, low = attributes["CO_PULSE_HIGH_TIME"], attributes["CO_PULSE_LOW_TIME"]
    elif kind == UsageTypeCO.PULSE_TICKS.value:
        timebase = attributes["CO_CTR_TIMEBASE_RATE"]
        high, low = (attributes[f"CO_PULSE_{which}_TICKS"] / timebase for which in ("HIGH", "LOW"))
    else:
        frequency, duty = attributes["CO_PULSE_FREQ"], attributes["CO_PULSE_DUTY_CYC"]
        high, low = (duty / frequency, (1.0 - duty) / frequency) if frequency > 0.0 else (0.0, 0.0)
    if not (high > 0.0 and low > 0.0):
        raise DaqFault(BAD_VALUE, f"Property: CO.Pulse\nHigh Time: {high:g} s\nLow Time: {low:g} s")
    return float(high), float(low)


def release(task: Task) -> None:
    """Let the counters of an output task make their pulses from the task's start on."""
    if task.kind is not ChannelType.COUNTER_OUTPUT:
        return
    timing, hardware, clock = task.timing, task.hardware, task.clocked_by
    if timing.type is SampleTimingType.ON_DEMAND:
        n: int | None = 1
    else:
        n = timing.samples if timing.mode is AcquisitionType.FINITE else None
    now = hardware.clock.now()
    for channel in task.channels:
        t0, own, written = task.t0 + _delay_s(channel), shape(channel), tuple(task.pulses)
        made = _made(task, channel)
        made.begin(Programmed(t0, written or (own,), n) if clock is None else Clocked(t0, own, written, clock, n), now)
        if (terminal := _routed(task, channel)) is not None:
            hardware.connected[terminal] = f"{key_of(task, channel)}internaloutput"
        paced = made if clock is None else clock
        task.ticks = EdgeTicks(paced, paced.count(task.started) + 1)


def check(task: Task) -> None:
    """Raise -200462 where a sample clock is to change pulses that nobody has written, -89136 where it is its own."""
    if task.kind is not ChannelType.COUNTER_OUTPUT or task.timing.type is not SampleTimingType.SAMPLE_CLOCK:
        return
    if not task.pulses:
        raise DaqFault(DAQmxErrors.OUTPUT_BUFFER_EMPTY, f"Task Name: {task.name}")
    clock = task.hardware.key(task.absolute(task.timing.source))
    for channel in task.channels:
        if clock in (_routed(task, channel), f"{key_of(task, channel)}internaloutput"):
            code = DAQmxErrors.ROUTE_NOT_SUPPORTED_BY_HW_ROUTING
            raise DaqFault(code, f"Source Terminal: {task.timing.source}\nTask Name: {task.name}")


def _routed(task: Task, channel: Channel) -> str | None:
    """The terminal to which the pulses of a channel are routed; None where they stay inside."""
    terminal = task.hardware.key(task.absolute(str(channel.attributes["CO_PULSE_TERM"])))
    return None if terminal.endswith("internaloutput") else terminal


def _made(task: Task, channel: Channel) -> Succession:
    """All pulses of a counter's output."""
    made = task.hardware.internal.setdefault(key_of(task, channel), Succession())
    assert isinstance(made, Succession)
    return made


def _delay_s(channel: Channel) -> float:
    attributes: dict[str, Any] = channel.attributes
    kind = attributes["CO_OUTPUT_TYPE"]
    if kind == UsageTypeCO.PULSE_TICKS.value:
        return float(attributes["CO_PULSE_TICKS_INITIAL_DELAY"] / attributes["CO_CTR_TIMEBASE_RATE"])
    which = "TIME" if kind == UsageTypeCO.PULSE_TIME.value else "FREQ"
    return float(attributes[f"CO_PULSE_{which}_INITIAL_DELAY"])


def change(task: Task, pulses: list[tuple[float, float]]) -> None:
    """Go on with other pulses from the end of the present one on."""
    task.pulses = pulses
    if not task.running:
        return
    now = task.hardware.clock.now()
    for channel in task.channels:
        made = _made(task, channel)
        last = made.parts[-1] if made.parts else None
        if isinstance(last, Clocked):
            last.times = tuple(pulses)
        elif last is not None:
            following = min(last.rise(last.count(now) + 1), last.end_s)
            made.begin(Programmed(following, tuple(pulses), last.n), now)


def is_over(task: Task) -> bool:
    """Whether all pulses of an output task have been made."""
    task.look()
    return over_at(task) <= task.hardware.clock.now()


def over_at(task: Task) -> float:
    """When all pulses of an output task will have been made; infinite while it waits for its trigger."""
    if task.t0 == np.inf:
        return task.t0
    made = [_made(task, channel) for channel in task.channels]
    return max(train.parts[-1].end_s if train.parts else np.inf for train in made)


def end(task: Task) -> None:
    """Cut off what a task makes: the pulses of counters, the sample clock."""
    now = task.hardware.clock.now()
    if not task.running:
        return
    for channel in task.channels:
        if channel.kind is ChannelType.COUNTER_OUTPUT:
            _made(task, channel).cut(now)
            task.hardware.connected.pop(_routed(task, channel) or "", None)


def key_of(task: Task, channel: Channel) -> str:
    """Name of a counter's output among the internal terminals."""
    return task.hardware.key(channel.physical)
