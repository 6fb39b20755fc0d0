"""From the start of a task to its first sample: what triggers it, what clocks it, and what ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import AcquisitionType, ChannelType, DigitalWidthUnits, Edge, SampleTimingType
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import counters, triggers
from instruments.simulation.daqserver.faults import BAD_VALUE, DaqFault
from instruments.simulation.daqserver.frontend import Samples
from instruments.simulation.daqserver.hardware import expand
from instruments.simulation.daqserver.pulses import Named, Programmed, Train, period_of
from instruments.simulation.daqserver.sampling import ChangeTicks, EdgeTicks, Retriggered

if TYPE_CHECKING:
    from instruments.simulation.daqserver.task import Task

FloatArray = npt.NDArray[np.float64]

TERMINALS = {
    ChannelType.ANALOG_INPUT: "ai",
    ChannelType.ANALOG_OUTPUT: "ao",
    ChannelType.DIGITAL_INPUT: "di",
    ChannelType.DIGITAL_OUTPUT: "do",
}
"""How the terminals of a task's trigger and sample clock begin, such as ``/Dev1/ai/StartTrigger``."""

OWN_CLOCKS = ("timebase", "onboardclock")
"""How the sources of a sample clock end that are the device's own."""

EPSILON = 1e-6
"""Share of a sample period by which a moment may miss a sample and still count: float time is not exact."""


def check(task: Task) -> None:
    """Raise what is wrong with a reference trigger: it ends an acquisition, so that has to be finite."""
    if task.trigger.get("REF_TRIG_TYPE", triggers.NONE) == triggers.NONE:
        return
    if task.timing.mode is not AcquisitionType.FINITE:
        raise DaqFault(DAQmxErrors.REF_TRIG_WHEN_CONTINUOUS, f"Task Name: {task.name}")
    if not 2 <= task.trigger.get("REF_TRIG_PRETRIG_SAMPLES", 0) <= task.timing.samples - 2:
        raise DaqFault(
            DAQmxErrors.TOO_MANY_PRETRIG_PLUS_MIN_POST_TRIG_SAMPS,
            f"Property: RefTrig.PretrigSamples\nSamples per Channel: {task.timing.samples}\nTask Name: {task.name}",
        )


def arm(task: Task, now: float) -> None:
    """Get ready for what starts, clocks and ends an acquisition."""
    task.t0 = np.inf
    if task.timing.source and not task.timing.source.lower().endswith(OWN_CLOCKS):
        task.clocked_by = task.hardware.train(task.absolute(task.timing.source), now)

    def train(terminal: str) -> Train:
        return task.hardware.train(task.absolute(terminal), now)

    def values_of(name: str) -> Callable[[float, int, int], FloatArray]:
        return _values_of(task, name)

    _delay_s(task)
    task.start_trigger, task.reference = (
        triggers.make(which, task.trigger, now, task.dt, train, values_of) for which in ("START", "REF")
    )
    if task.reference is not None:
        task.base = None


def disarm(task: Task) -> None:
    """End the sample clock that others may follow."""
    now = task.hardware.clock.now()
    for owner in _owners(task):
        clock = task.hardware.internal.get(f"{owner}/sampleclock")
        if task.running and isinstance(clock, Programmed) and clock.t0 == task.t0:
            task.hardware.internal[f"{owner}/sampleclock"] = Programmed(clock.t0, clock.pulses, clock.count(now))


def look(task: Task) -> None:
    """Notice a trigger that has come."""
    now = task.hardware.clock.now()
    if task.t0 == np.inf:
        _begin(task, now)
    if task.base is None and task.reference is not None and task.t0 < np.inf:
        before = int(task.trigger["REF_TRIG_PRETRIG_SAMPLES"])
        # Only behind the samples before it is it looked for.
        at = task.reference.next(task.t0 + (before - 1) * task.dt, now)
        if at < np.inf:
            task.base = int(np.ceil((at - task.t0) / task.dt - EPSILON)) - before
            _tell(task, "referencetrigger", at)


def _begin(task: Task, now: float) -> None:
    """Start the clock if its moment has come."""
    at = task.started if task.start_trigger is None else task.start_trigger.next(task.started, now)
    if at == np.inf:
        return
    delay_s = _delay_s(task)
    if task.clocked_by is None or task.kind is ChannelType.COUNTER_OUTPUT:  # a counter's clock changes its pulses
        task.t0 = at + delay_s
    else:
        _follow(task, task.clocked_by, at)
    if task.start_trigger is not None and task.trigger["START_TRIG_RETRIGGERABLE"]:
        task.ticks = Retriggered(task.start_trigger, task.t0, task.timing.samples, task.dt, delay_s)
    if task.timing.type is SampleTimingType.CHANGE_DETECTION:
        task.ticks = _changes(task, at)
    if task.t0 < np.inf:
        counters.release(task)
        _tell(task, "starttrigger", at)
        if task.dt > 0.0:
            half = 0.5 * task.dt
            for owner in _owners(task):
                task.hardware.internal[f"{owner}/sampleclock"] = Programmed(task.t0, ((half, half),))


def _delay_s(task: Task) -> float:
    """Time between the trigger and the first sample."""
    delay, units = float(task.trigger["START_TRIG_DELAY"]), task.trigger["START_TRIG_DELAY_UNITS"]
    if units == DigitalWidthUnits.SAMPLE_CLOCK_PERIODS.value:
        return delay * task.dt
    if delay and units != DigitalWidthUnits.SECONDS.value:
        raise DaqFault(BAD_VALUE, f"Property: StartTrig.DelayUnits\nTask Name: {task.name}")
    return delay


def _follow(task: Task, train: Train, at: float) -> None:
    """Take the samples with somebody else's clock, from its first edge at or behind a moment."""
    number = train.count(at)
    first = number if number and train.rise(number) >= at - EPSILON * task.dt else number + 1
    rising, period_s = task.timing.edge == Edge.RISING.value, period_of(train)
    if period_s is not None and rising:
        task.t0, task.dt, task.edges_before = train.rise(first), period_s, first - 1
    elif not isinstance(train, Named) or train.rise(first) < np.inf:
        task.t0, task.ticks = at, EdgeTicks(train, first, rising=rising)


def _changes(task: Task, at: float) -> ChangeTicks:
    rising, falls = (
        [task.hardware.train(line, at) for line in _lines_in(task, text)]
        for text in (task.timing.rising, task.timing.falling)
    )
    return ChangeTicks(rising, falls, at)


def _lines_in(task: Task, text: str) -> list[str]:
    """Digital lines of a list of lines and ports; all of them have to be in the task."""
    wanted = [line for name in expand(text) if name for line in task.hardware.lines_of(name)]
    own = {line.lower() for channel in task.channels for line in channel.lines}
    for line in wanted:
        if line.lower() not in own:
            raise DaqFault(DAQmxErrors.CHANGE_DETECTION_CHAN_NOT_IN_TASK, f"Line: {line}\nTask Name: {task.name}")
    return wanted


def _values_of(task: Task, name: str) -> Callable[[float, int, int], FloatArray]:
    """Values of a channel for an analog trigger."""
    names = [(each.channel.name.lower(), each.channel.physical.lower()) for each in task.inputs]
    row = next((row for row, own in enumerate(names) if name.lower() in own), None)
    bank = task.bank
    if row is None or bank is None:
        return _values_at(task, name)

    def values(t0: float, first: int, n: int) -> FloatArray:
        found: FloatArray = bank.read(Samples(t0, task.dt, first, n))[row]
        return found

    return values


def _values_at(task: Task, name: str) -> Callable[[float, int, int], FloatArray]:
    """Values at an analog terminal for triggers, such as ``/Dev1/APFI0``."""
    key = task.hardware.key(task.absolute(name))
    try:
        task.hardware.check_terminal(key)
    except DaqFault:
        raise triggers.no_source(name) from None
    if "/apfi" not in key:
        raise triggers.no_source(name)
    signal = task.hardware.signals.get(key)

    def values(t0: float, first: int, n: int) -> FloatArray:
        return np.zeros(n) if signal is None else np.asarray(signal.samples(t0, task.dt, first, n))

    return values


def _owners(task: Task) -> list[str]:
    """What the terminals of a task's timing begin with: of its devices, and of their chassis."""
    kind = TERMINALS.get(task.kind or ChannelType.COUNTER_INPUT)
    owners = dict.fromkeys(name.lower() for device in task.devices for name in (device.name, device.chassis) if name)
    return [f"{owner}/{kind}" for owner in owners] if kind else []


def _tell(task: Task, what: str, at: float) -> None:
    for owner in _owners(task):
        task.hardware.pulsed(f"{owner}/{what}", at)
