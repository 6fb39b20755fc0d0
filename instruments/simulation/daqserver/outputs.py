"""Calls that write outputs: at once, or into the buffer of a task with a sample clock."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import AcquisitionType, ChannelType, RegenerationMode, SampleTimingType
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import counters, lines
from instruments.simulation.daqserver.dispatch import Call, Handler
from instruments.simulation.daqserver.faults import DaqFault
from instruments.simulation.daqserver.generation import OutputBuffer
from instruments.simulation.daqserver.sessions import wait
from instruments.simulation.daqserver.system import System
from instruments.simulation.daqserver.task import Task

FloatArray = npt.NDArray[np.float64]

BY_SCAN = 1
NO_SPACE = DAQmxErrors.SAMPLES_CAN_NOT_YET_BE_WRITTEN
_CONVERTER_STEPS = 2.0**16
_PARTS = 10


def writable(system: System, call: Call, kind: ChannelType) -> Task:
    """The task of a call that writes; raises DaqFault where it has no such outputs, or they are locked."""
    task = system.task(call.request.task.name)
    task.check_channels()
    if task.kind is not kind:
        raise DaqFault(DAQmxErrors.WRITE_CHAN_TYPE_MISMATCH, f"Task Name: {task.name}", written=0)
    try:
        task.check_alive()
        if kind is ChannelType.DIGITAL_OUTPUT:
            _check_locked(task)
    except DaqFault as fault:
        fault.written = 0
        raise
    return task


def _check_locked(task: Task) -> None:
    """A device whose watchdog has fired takes no digital writes until that is cleared."""
    for device in task.devices:
        if device.name.lower() in task.hardware.expired:
            raise DaqFault(DAQmxErrors.WRITE_FAILED_BECAUSE_WATCHDOG_EXPIRED, f"Device: {device.name}")


def _start(system: System, task: Task) -> None:
    if not task.running and task.listeners:
        code = DAQmxErrors.AUTO_START_WRITE_NOT_ALLOWED_EVENT_REGISTERED
        raise DaqFault(code, f"Task Name: {task.name}", written=0)
    try:
        system.start(task)
    except DaqFault as fault:
        fault.written = 0
        raise


def put(system: System, call: Call, task: Task, samples: FloatArray) -> None:
    """Bring samples, shape (channels, n), to the outputs, or into the buffer that feeds them."""
    if task.timing.type is SampleTimingType.ON_DEMAND:
        if call.request.auto_start:
            _start(system, task)
        elif not task.running:
            code = DAQmxErrors.CANNOT_WRITE_WHEN_AUTO_START_FALSE_AND_TASK_NOT_RUNNING
            raise DaqFault(code, f"Task Name: {task.name}", written=0)
        for sample in samples.T:  # as fast as it goes
            _drive(task, sample)
    else:
        _fill(system, call, task, samples)
        if call.request.auto_start:
            _start(system, task)
    for name in ("samps_per_chan_written", "num_samps_per_chan_written"):
        if name in call.reply.DESCRIPTOR.fields_by_name:
            setattr(call.reply, name, samples.shape[1])


def _fill(system: System, call: Call, task: Task, samples: FloatArray) -> None:
    """Write into a task's buffer; waits for space, as the clock allows, while it runs."""
    task.check_fed()
    n = samples.shape[1]
    if task.output is None:
        regenerates = task.attributes.get("REGEN_MODE") != RegenerationMode.DONT_ALLOW_REGENERATION.value
        size = task.output_buffer or n
        if task.timing.mode is AcquisitionType.FINITE:
            size = max(size, n)
        task.output = OutputBuffer(len(task.channels), size, regenerates=regenerates)
    output, done = task.output, 0
    while done < n:
        space = output.space(task.acquired() if task.running else 0)
        part = samples[:, done : done + space]
        output.put(part, task.acquired() if task.running else 0)
        done += part.shape[1]
        if done == n:
            return
        if not task.running:
            raise DaqFault(DAQmxErrors.NO_MORE_SPACE, f"Task Name: {task.name}", written=done)
        needed = min(n - done, max(1, output.size // _PARTS))  # the rest must not wait until all is generated
        ready, soon = _room(output, task, needed), _in(system, task.dt * needed)
        if not wait(system, call, task, ready, soon, call.request.timeout):
            task.check_fed()
            raise DaqFault(NO_SPACE, f"Task Name: {task.name}", written=done)


def _room(output: OutputBuffer, task: Task, needed: int) -> Callable[[], bool]:
    return lambda: output.space(task.acquired()) >= needed


def _in(system: System, seconds: float) -> Callable[[], float]:
    return lambda: system.clock.now() + seconds


def _drive(task: Task, levels: FloatArray) -> None:
    """Set the outputs of a task without a sample clock."""
    for channel, level in zip(task.channels, levels.tolist(), strict=True):
        if task.kind is ChannelType.ANALOG_OUTPUT:
            task.hardware.drive(channel.physical, level)
        for line, state in lines.to_lines(channel, level):
            task.hardware.drive(line, state)


def _shaped(call: Call, flat: npt.NDArray[np.generic], channels: int) -> npt.NDArray[np.generic]:
    """Samples of a call as (channels, n)."""
    samples = max(1, call.request.num_samps_per_chan)
    if flat.size != channels * samples:
        raise DaqFault(DAQmxErrors.WRITE_NUM_CHANS_MISMATCH, f"Task Name: {call.request.task.name}", written=0)
    if call.request.data_layout_raw == BY_SCAN:
        return flat.reshape(samples, channels).T
    return flat.reshape(channels, samples)


# ---------------------------------------------------------------------------------------------------- lines


def _write_lines(system: System, call: Call) -> None:
    task = writable(system, call, ChannelType.DIGITAL_OUTPUT)
    widest = max(len(channel.lines) for channel in task.channels)
    samples = max(1, call.request.num_samps_per_chan)
    levels = np.frombuffer(call.request.write_array, np.uint8)
    if levels.size != samples * len(task.channels) * widest:
        raise DaqFault(DAQmxErrors.WRITE_NUM_CHANS_MISMATCH, f"Task Name: {task.name}", written=0)
    if call.request.data_layout_raw == BY_SCAN:
        bits = levels.reshape(samples, len(task.channels), widest).swapaxes(0, 1)
    else:
        bits = levels.reshape(len(task.channels), samples, widest)
    numbers = ((bits != 0).astype(np.int64) << np.arange(widest)).sum(axis=2)
    put(system, call, task, numbers.astype(float))


def _write_numbers(system: System, call: Call) -> None:
    task = writable(system, call, ChannelType.DIGITAL_OUTPUT)
    data = call.request.write_array
    flat = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else np.array(data)
    put(system, call, task, _shaped(call, flat, len(task.channels)).astype(float))


def _write_number(system: System, call: Call) -> None:
    task = writable(system, call, ChannelType.DIGITAL_OUTPUT)
    put(system, call, task, np.full((len(task.channels), 1), float(call.request.value)))


# ----------------------------------------------------------------------------------------------- analog


def _write_analog(system: System, call: Call) -> None:
    task = writable(system, call, ChannelType.ANALOG_OUTPUT)
    levels = _shaped(call, np.array(call.request.write_array), len(task.channels)).astype(float)
    put(system, call, task, converted(task, levels))


def _write_analog_scalar(system: System, call: Call) -> None:
    task = writable(system, call, ChannelType.ANALOG_OUTPUT)
    put(system, call, task, converted(task, np.full((len(task.channels), 1), float(call.request.value))))


def _write_codes(system: System, call: Call) -> None:
    """Codes of the converters."""
    task = writable(system, call, ChannelType.ANALOG_OUTPUT)
    codes = _shaped(call, np.array(call.request.write_array), len(task.channels)).astype(float)
    steps = [(high - low) / _CONVERTER_STEPS for low, high in (each.device.product.ao_range for each in task.channels)]
    put(system, call, task, converted(task, codes * np.array(steps)[:, None]))


def converted(task: Task, levels: FloatArray) -> FloatArray:
    """What the converters make of levels; -200561 for one outside the channel's limits."""
    rows = []
    for channel, row in zip(task.channels, levels, strict=True):
        low, high = channel.device.product.ao_range
        step = (high - low) / _CONVERTER_STEPS
        limits = [channel.attributes["AO_MIN"], channel.attributes["AO_MAX"]]
        scale = task.scales.get(channel.attributes["AO_CUSTOM_SCALE_NAME"])
        if scale is not None:
            limits = sorted(scale.backward(limit) for limit in limits)
            row = np.array([scale.backward(value) for value in row.tolist()])
        low, high = max(low, limits[0]), min(high, limits[1])
        outside = row[(row < low) | (row > high) | np.isnan(row)]
        if outside.size:
            raise DaqFault(
                DAQmxErrors.INVALID_AO_DATA_WRITE,
                f"Requested Value: {outside[0]:g}\nMinimum: {low:g}\nMaximum: {high:g}\nChannel Name: {channel.name}",
                written=0,
            )
        rows.append(np.round(row / step) * step)
    return np.array(rows)


# ------------------------------------------------------------------------------------------------- counters


def _write_pulses(first: str, second: str, kind: str) -> Handler:
    """Pulses for a counter: one pair of numbers, or arrays of them."""

    def write(system: System, call: Call) -> None:
        task = writable(system, call, ChannelType.COUNTER_OUTPUT)
        one, other = (np.atleast_1d(np.array(getattr(call.request, name), float)) for name in (first, second))
        timebase = float(task.channels[0].attributes["CO_CTR_TIMEBASE_RATE"])
        pulses = [_PULSES[kind](a, b, timebase) for a, b in zip(one.tolist(), other.tolist(), strict=True)]
        counters.change(task, pulses)
        if call.request.auto_start:
            _start(system, task)
        if "num_samps_per_chan_written" in call.reply.DESCRIPTOR.fields_by_name:
            call.reply.num_samps_per_chan_written = len(pulses)

    return write


_PULSES: dict[str, Callable[[float, float, float], tuple[float, float]]] = {
    "frequency": lambda frequency, duty, _: (duty / frequency, (1.0 - duty) / frequency),
    "time": lambda high, low, _: (high, low),
    "ticks": lambda high, low, timebase: (high / timebase, low / timebase),
}

HANDLERS: dict[str, Handler] = {
    "WriteAnalogF64": _write_analog,
    "WriteAnalogScalarF64": _write_analog_scalar,
    "WriteBinaryI16": _write_codes,
    "WriteBinaryI32": _write_codes,
    "WriteDigitalLines": _write_lines,
    "WriteDigitalU8": _write_numbers,
    "WriteDigitalU16": _write_numbers,
    "WriteDigitalU32": _write_numbers,
    "WriteDigitalScalarU32": _write_number,
    "WriteCtrFreq": _write_pulses("frequency", "duty_cycle", "frequency"),
    "WriteCtrFreqScalar": _write_pulses("frequency", "duty_cycle", "frequency"),
    "WriteCtrTime": _write_pulses("high_time", "low_time", "time"),
    "WriteCtrTimeScalar": _write_pulses("high_time", "low_time", "time"),
    "WriteCtrTicks": _write_pulses("high_ticks", "low_ticks", "ticks"),
    "WriteCtrTicksScalar": _write_pulses("high_ticks", "low_ticks", "ticks"),
}
