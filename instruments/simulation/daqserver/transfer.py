"""Calls that read samples and write outputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import AcquisitionType, ChannelType
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver.dispatch import Call, Handler
from instruments.simulation.daqserver.faults import NEVER, NOT_YET, DaqFault
from instruments.simulation.daqserver.frontend import Samples
from instruments.simulation.daqserver.messages import with_doubles
from instruments.simulation.daqserver.sessions import wait
from instruments.simulation.daqserver.system import System
from instruments.simulation.daqserver.task import Task

FloatArray = npt.NDArray[np.float64]

BY_SCAN = 1
_ANALOG = (ChannelType.ANALOG_INPUT,)
_DIGITAL = (ChannelType.DIGITAL_INPUT, ChannelType.DIGITAL_OUTPUT)
_COUNTER = (ChannelType.COUNTER_INPUT,)


# ---------------------------------------------------------------------------------------------------- read


def _samples(system: System, call: Call, kinds: tuple[ChannelType, ...], wanted: int, timeout_s: float) -> FloatArray:
    """Read up to ``wanted`` samples a channel, scaled; shape (channels, n)."""
    return system.task(call.request.task.name).take(_ready(system, call, kinds, wanted, timeout_s))


def _ready(system: System, call: Call, kinds: tuple[ChannelType, ...], wanted: int, timeout_s: float) -> Samples:
    """Which samples a read gets: at most ``wanted``, after waiting for them as the clock allows."""
    task = system.task(call.request.task.name)
    task.check_channels()
    if task.kind not in kinds:
        raise DaqFault(DAQmxErrors.READ_CHAN_TYPE_MISMATCH, f"Task Name: {task.name}", read=0)
    if not task.hardware_timed:
        task.check_alive()
        task.commit()
        system.check_free(task)
        return task.next_samples(max(1, wanted))
    _alive(task)
    implicit = not task.running
    system.start(task)
    n = _expected(task, wanted)
    wait(system, call, task, lambda: task.available() >= n, lambda: task.moment_of(task.position + n), timeout_s)
    if not task.running:
        _alive(task)
        raise DaqFault(NEVER, f"Task Name: {task.name}", read=0)
    if system.waits:
        _alive(task)  # it may have gone meanwhile
    there = min(n, max(0, task.available() - task.withheld))
    task.withheld = 0
    samples = task.next_samples(there)
    finite = task.timing.mode is AcquisitionType.FINITE
    if implicit and finite and task.position >= task.timing.samples:
        task.stop()
    if there < n:
        call.reply.status = NOT_YET
        call.trailing = (("ni-samps-per-chan-read", str(there)),)
    return samples


def _alive(task: Task) -> None:
    try:
        task.check_alive()
    except DaqFault as fault:
        fault.read = 0
        raise


def _expected(task: Task, wanted: int) -> int:
    """How many samples a read is to deliver; -1 asks for all."""
    if task.timing.mode is not AcquisitionType.FINITE:
        return wanted if wanted >= 0 else task.available()
    left = task.timing.samples - task.position
    if left <= 0 and wanted != 0:
        raise DaqFault(NEVER, f"Task Name: {task.name}", read=0)
    return left if wanted < 0 else min(wanted, left)


def _laid_out(values: FloatArray, call: Call, size: int) -> FloatArray:
    """Values in the order of the call's fill mode, padded with zeros to the caller's array."""
    flat = (values.T if call.request.fill_mode_raw == BY_SCAN else values).ravel()
    if flat.size > size:
        raise DaqFault(DAQmxErrors.READ_BUFFER_TOO_SMALL, f"Task Name: {call.request.task.name}", read=0)
    if flat.size == size:
        return flat
    padded = np.zeros(size)
    padded[: flat.size] = flat
    return padded


def _read_doubles(kinds: tuple[ChannelType, ...], source: Callable[..., FloatArray]) -> Handler:
    def read(system: System, call: Call) -> None:
        request = call.request
        values = source(system, call, kinds, request.num_samps_per_chan, request.timeout)
        call.reply.samps_per_chan_read = values.shape[1]
        call.body = with_doubles(call.reply, _laid_out(values, call, request.array_size_in_samps))

    return read


def _read_scalar(kinds: tuple[ChannelType, ...], source: Callable[..., FloatArray], kind: type) -> Handler:
    def read(system: System, call: Call) -> None:
        values = source(system, call, kinds, 1, call.request.timeout)
        if values.shape[1] < 1:
            raise DaqFault(NOT_YET, f"Task Name: {call.request.task.name}", read=0)
        call.reply.value = kind(values[0, 0])

    return read


def _read_numbers(kinds: tuple[ChannelType, ...], source: Callable[..., FloatArray]) -> Handler:
    """Whole numbers as a repeated field."""

    def read(system: System, call: Call) -> None:
        request = call.request
        values = source(system, call, kinds, request.num_samps_per_chan, request.timeout)
        call.reply.samps_per_chan_read = values.shape[1]
        flat = _laid_out(values, call, request.array_size_in_samps)
        call.reply.read_array.extend(flat.astype(np.int64).tolist())

    return read


def _read_bytes(system: System, call: Call) -> None:
    """Digital ports of eight lines, as bytes."""
    request = call.request
    values = _samples(system, call, _DIGITAL, request.num_samps_per_chan, request.timeout)
    call.reply.samps_per_chan_read = values.shape[1]
    flat = _laid_out(values, call, request.array_size_in_samps)
    call.reply.read_array = flat.astype(np.uint8).tobytes()


def _read_lines(system: System, call: Call) -> None:
    """One byte a line, 0 or 1; channels of fewer lines are padded to the widest."""
    request = call.request
    task = system.task(request.task.name)
    values = _samples(system, call, _DIGITAL, request.num_samps_per_chan, request.timeout).astype(np.int64)
    widest = max(len(channel.lines) for channel in task.channels)
    bits = (values[:, :, None] >> np.arange(widest)) & 1  # (channels, samples, lines)
    if request.fill_mode_raw == BY_SCAN:
        bits = bits.swapaxes(0, 1)
    call.reply.samps_per_chan_read = values.shape[1]
    call.reply.num_bytes_per_samp = widest
    flat = bits.astype(np.uint8).ravel()
    padded = np.zeros(max(request.array_size_in_bytes, flat.size), np.uint8)
    padded[: flat.size] = flat
    call.reply.read_array = padded.tobytes()


def _counts(system: System, call: Call, kinds: tuple[ChannelType, ...], wanted: int, _: float) -> FloatArray:
    task = system.task(call.request.task.name)
    task.check_channels()
    if task.kind not in kinds:
        raise DaqFault(DAQmxErrors.READ_CHAN_TYPE_MISMATCH, f"Task Name: {task.name}", read=0)
    _alive(task)
    system.start(task)
    counts = [[float(task.count(channel))] * max(1, wanted) for channel in task.channels]
    return np.array(counts)


def _raw_codes(system: System, call: Call, kinds: tuple[ChannelType, ...], wanted: int, timeout_s: float) -> FloatArray:
    """Codes of the converters, before any scaling."""
    task = system.task(call.request.task.name)
    samples = _ready(system, call, kinds, wanted, timeout_s)
    assert task.bank is not None
    return task.bank.codes(samples)


# --------------------------------------------------------------------------------------------------- write


def _to_write(system: System, call: Call, kind: ChannelType) -> Task:
    task = system.task(call.request.task.name)
    task.check_channels()
    if task.kind is not kind:
        raise DaqFault(DAQmxErrors.WRITE_CHAN_TYPE_MISMATCH, f"Task Name: {task.name}", written=0)
    try:
        task.check_alive()
        if kind is ChannelType.DIGITAL_OUTPUT:
            _check_writable(task)
        if call.request.auto_start:
            system.start(task)
    except DaqFault as fault:
        fault.written = 0
        raise
    return task


def _check_writable(task: Task) -> None:
    """A device whose watchdog has fired takes no digital writes until that is cleared."""
    for device in task.devices:
        if device.name.lower() in task.hardware.expired:
            raise DaqFault(DAQmxErrors.WRITE_FAILED_BECAUSE_WATCHDOG_EXPIRED, f"Device: {device.name}")


def _drive_lines(task: Task, values: npt.NDArray[np.int64]) -> None:
    for channel, value in zip(task.channels, values.tolist(), strict=True):
        for bit, line in enumerate(channel.lines):
            task.hardware.drive(line, float(value >> bit & 1))


def _last(call: Call, flat: npt.NDArray[np.generic], channels: int) -> npt.NDArray[np.generic]:
    """Last sample of each channel: what an on-demand output is left at."""
    samples = max(1, call.request.num_samps_per_chan)
    if flat.size != channels * samples:
        raise DaqFault(DAQmxErrors.WRITE_NUM_CHANS_MISMATCH, f"Task Name: {call.request.task.name}", written=0)
    call.reply.samps_per_chan_written = samples
    if call.request.data_layout_raw == BY_SCAN:
        return np.asarray(flat.reshape(samples, channels)[-1])
    return np.asarray(flat.reshape(channels, samples)[:, -1])


def _write_lines(system: System, call: Call) -> None:
    task = _to_write(system, call, ChannelType.DIGITAL_OUTPUT)
    widest = max(len(channel.lines) for channel in task.channels)
    samples = max(1, call.request.num_samps_per_chan)
    levels = np.frombuffer(call.request.write_array, np.uint8)
    if levels.size != samples * len(task.channels) * widest:
        raise DaqFault(DAQmxErrors.WRITE_NUM_CHANS_MISMATCH, f"Task Name: {task.name}", written=0)
    if call.request.data_layout_raw == BY_SCAN:
        last = levels.reshape(samples, len(task.channels), widest)[-1]
    else:
        last = levels.reshape(len(task.channels), samples, widest)[:, -1]
    call.reply.samps_per_chan_written = samples
    _drive_lines(task, ((last != 0).astype(np.int64) << np.arange(widest)).sum(axis=1))


def _write_numbers(system: System, call: Call) -> None:
    task = _to_write(system, call, ChannelType.DIGITAL_OUTPUT)
    data = call.request.write_array
    flat = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else np.array(data)
    _drive_lines(task, _last(call, flat, len(task.channels)).astype(np.int64))


def _write_number(system: System, call: Call) -> None:
    task = _to_write(system, call, ChannelType.DIGITAL_OUTPUT)
    _drive_lines(task, np.array([call.request.value] * len(task.channels), np.int64))


def _write_analog(system: System, call: Call) -> None:
    task = _to_write(system, call, ChannelType.ANALOG_OUTPUT)
    levels = _last(call, np.array(call.request.write_array), len(task.channels)).astype(float)
    _drive_analog(task, levels.tolist())


def _write_analog_scalar(system: System, call: Call) -> None:
    task = _to_write(system, call, ChannelType.ANALOG_OUTPUT)
    _drive_analog(task, [call.request.value] * len(task.channels))


def _drive_analog(task: Task, levels: list[float]) -> None:
    for channel, level in zip(task.channels, levels, strict=True):
        low, high = channel.device.product.ao_range
        low, high = max(low, channel.attributes["AO_MIN"]), min(high, channel.attributes["AO_MAX"])
        if not low <= level <= high:
            raise DaqFault(
                DAQmxErrors.INVALID_AO_DATA_WRITE,
                f"Requested Value: {level:g}\nMinimum: {low:g}\nMaximum: {high:g}\nChannel Name: {channel.name}",
                written=0,
            )
        step = (channel.device.product.ao_range[1] - channel.device.product.ao_range[0]) / 2.0**16
        task.hardware.drive(channel.physical, round(level / step) * step)


HANDLERS: dict[str, Handler] = {
    "ReadAnalogF64": _read_doubles(_ANALOG, _samples),
    "ReadAnalogScalarF64": _read_scalar(_ANALOG, _samples, float),
    "ReadBinaryI16": _read_numbers(_ANALOG, _raw_codes),
    "ReadBinaryI32": _read_numbers(_ANALOG, _raw_codes),
    "ReadDigitalLines": _read_lines,
    "ReadDigitalU8": _read_bytes,
    "ReadDigitalU16": _read_numbers(_DIGITAL, _samples),
    "ReadDigitalU32": _read_numbers(_DIGITAL, _samples),
    "ReadDigitalScalarU32": _read_scalar(_DIGITAL, _samples, int),
    "ReadCounterF64": _read_doubles(_COUNTER, _counts),
    "ReadCounterF64Ex": _read_doubles(_COUNTER, _counts),
    "ReadCounterU32": _read_numbers(_COUNTER, _counts),
    "ReadCounterU32Ex": _read_numbers(_COUNTER, _counts),
    "ReadCounterScalarF64": _read_scalar(_COUNTER, _counts, float),
    "ReadCounterScalarU32": _read_scalar(_COUNTER, _counts, int),
    "WriteAnalogF64": _write_analog,
    "WriteAnalogScalarF64": _write_analog_scalar,
    "WriteDigitalLines": _write_lines,
    "WriteDigitalU8": _write_numbers,
    "WriteDigitalU16": _write_numbers,
    "WriteDigitalU32": _write_numbers,
    "WriteDigitalScalarU32": _write_number,
}
