"""Calls that read samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import AcquisitionType, ChannelType
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import counters, lines, power, tdms
from instruments.simulation.daqserver.dispatch import Call, Handler
from instruments.simulation.daqserver.faults import NEVER, NOT_YET, DaqFault
from instruments.simulation.daqserver.frontend import Samples
from instruments.simulation.daqserver.messages import with_doubles
from instruments.simulation.daqserver.sampling import Retriggered
from instruments.simulation.daqserver.sessions import wait
from instruments.simulation.daqserver.system import System
from instruments.simulation.daqserver.task import Task

FloatArray = npt.NDArray[np.float64]

BY_SCAN = 1
INTERLEAVED = 1
_POLL_S = 0.01
ANALOG = (ChannelType.ANALOG_INPUT,)
DIGITAL = (ChannelType.DIGITAL_INPUT, ChannelType.DIGITAL_OUTPUT)
_COUNTER = (ChannelType.COUNTER_INPUT,)


# ---------------------------------------------------------------------------------------------------- read


def _samples(system: System, call: Call, kinds: tuple[ChannelType, ...], wanted: int, timeout_s: float) -> FloatArray:
    """Read up to ``wanted`` samples a channel, scaled; shape (channels, n)."""
    return system.task(call.request.task.name).take(ready(system, call, kinds, wanted, timeout_s))


def ready(system: System, call: Call, kinds: tuple[ChannelType, ...], wanted: int, timeout_s: float) -> list[Samples]:
    """Which samples a read gets: at most ``wanted``, after waiting for them as the clock allows."""
    task = system.task(call.request.task.name)
    task.check_channels()
    if task.kind not in kinds:
        raise DaqFault(DAQmxErrors.READ_CHAN_TYPE_MISMATCH, f"Task Name: {task.name}", read=0)
    if not task.hardware_timed:
        task.check_alive()
        if not task.committed:  # else it would check once more what is alive
            task.commit()
        system.check_free(task)
        return task.next_samples(max(1, wanted))
    _alive(task)
    tdms.check_read(task)
    implicit = not task.running
    if implicit and task.listeners:
        raise DaqFault(DAQmxErrors.AUTO_START_READ_NOT_ALLOWED_EVENT_REGISTERED, f"Task Name: {task.name}", read=0)
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
    if task.log is not None:
        task.log.write(samples)
    if implicit and _is_bounded(task) and task.position >= task.timing.samples:
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
    if not _is_bounded(task):
        return wanted if wanted >= 0 else task.available()
    task.place()
    left = task.timing.samples - task.position
    if left <= 0 and wanted != 0:
        raise DaqFault(NEVER, f"Task Name: {task.name}", read=0)
    return left if wanted < 0 else min(wanted, left)


def _is_bounded(task: Task) -> bool:
    """Whether there will never be more samples than the task was told to take."""
    return task.timing.mode is AcquisitionType.FINITE and not isinstance(task.ticks, Retriggered)


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
    values = _samples(system, call, DIGITAL, request.num_samps_per_chan, request.timeout)
    call.reply.samps_per_chan_read = values.shape[1]
    flat = _laid_out(values, call, request.array_size_in_samps)
    call.reply.read_array = flat.astype(np.uint8).tobytes()


def _read_lines(system: System, call: Call) -> None:
    """One byte a line, 0 or 1; channels of fewer lines are padded to the widest."""
    request = call.request
    task = system.task(request.task.name)
    wanted = ready(system, call, DIGITAL, request.num_samps_per_chan, request.timeout)
    widest = max(len(channel.lines) for channel in task.channels)
    by_scan = request.fill_mode_raw == BY_SCAN
    if task.hardware_timed:
        values = task.take(wanted).astype(np.int64)
        n = values.shape[1]
        bits = (values[:, :, None] >> np.arange(widest)) & 1  # (channels, samples, lines)
        flat = (bits.swapaxes(0, 1) if by_scan else bits).astype(np.uint8).tobytes()
    else:  # without the cost of arrays: a bench asks for its contacts all day long
        n, now = wanted[0].n, wanted[0].t0
        numbers = [lines.number(task, channel, now) for channel in task.channels]
        rows = [bytes([number >> bit & 1 for bit in range(widest)]) for number in numbers]
        flat = b"".join(rows) * n if by_scan else b"".join(row * n for row in rows)
    call.reply.samps_per_chan_read = n
    call.reply.num_bytes_per_samp = widest
    call.reply.read_array = flat.ljust(request.array_size_in_bytes, b"\0")


def _counts(system: System, call: Call, kinds: tuple[ChannelType, ...], wanted: int, timeout_s: float) -> FloatArray:
    """What the counters count or measure; of a pair, such as frequency and duty cycle, the first."""
    return _pairs(system, call, kinds, wanted, timeout_s)[0]


def _pairs(
    system: System, call: Call, kinds: tuple[ChannelType, ...], wanted: int, timeout_s: float
) -> tuple[FloatArray, FloatArray]:
    task = system.task(call.request.task.name)
    task.check_channels()
    if task.kind not in kinds:
        raise DaqFault(DAQmxErrors.READ_CHAN_TYPE_MISMATCH, f"Task Name: {task.name}", read=0)
    if task.hardware_timed:
        samples = ready(system, call, kinds, wanted, timeout_s)
        n = sum(part.n for part in samples)
        moments = [part.t0 + (part.first + k) * part.dt for part in samples for k in range(part.n)]
        return counters.values(task, task.position - n, np.array(moments))
    _alive(task)
    system.start(task)
    clock = system.clock

    def look() -> list[tuple[float, float] | None]:
        now = clock.now()
        return [counters.now(task, channel, now) for channel in task.channels]

    if not wait(system, call, task, lambda: None not in look(), lambda: clock.now() + _POLL_S, timeout_s):
        raise DaqFault(NOT_YET, f"Task Name: {task.name}", read=0)
    found = np.array(look(), float)
    return tuple(np.repeat(found[:, which : which + 1], max(1, wanted), axis=1) for which in (0, 1))  # type: ignore[return-value]  # two


def _read_raw(system: System, call: Call) -> None:
    """Codes as the device keeps them, scan by scan."""
    task, request = system.task(call.request.task.name), call.request
    if task.kind is ChannelType.ANALOG_INPUT:
        codes = task.codes(ready(system, call, ANALOG, request.num_samps_per_chan, request.timeout))
        widest = max(int(channel.attributes["AI_RAW_SAMP_SIZE"]) for channel in task.channels) // 8
        kind = f"<{'i' if any(channel.attributes['AI_RNG_LOW'] < 0.0 for channel in task.channels) else 'u'}{widest}"
    else:
        codes = task.take(ready(system, call, DIGITAL, request.num_samps_per_chan, request.timeout))
        widest = max(len(channel.lines) for channel in task.channels)
        widest = 1 if widest <= 8 else 2 if widest <= 16 else 4
        kind = f"<u{widest}"
    data = codes.T.astype(np.int64).astype(kind).tobytes()
    if len(data) > request.array_size_in_bytes:
        raise DaqFault(DAQmxErrors.READ_BUFFER_TOO_SMALL, f"Task Name: {task.name}", read=0)
    call.reply.read_array = data
    call.reply.samps_read = codes.shape[1]
    call.reply.num_bytes_per_samp = widest * codes.shape[0]


def _read_pairs(first: str, second: str, kind: type) -> Handler:
    """Pairs, such as frequencies and duty cycles, into two arrays."""

    def read(system: System, call: Call) -> None:
        request = call.request
        one, other = _pairs(system, call, _COUNTER, request.num_samps_per_chan, request.timeout)
        call.reply.samps_per_chan_read = one.shape[1]
        for name, values in ((first, one), (second, other)):
            flat = (values.T if request.interleaved_raw == INTERLEAVED else values).ravel()
            padded = np.zeros(max(request.array_size_in_samps, flat.size))
            padded[: flat.size] = flat
            getattr(call.reply, name).extend(kind(value) for value in padded.tolist())

    return read


def _read_pair(first: str, second: str, kind: type) -> Handler:
    def read(system: System, call: Call) -> None:
        one, other = _pairs(system, call, _COUNTER, 1, call.request.timeout)
        if one.shape[1] < 1:
            raise DaqFault(NOT_YET, f"Task Name: {call.request.task.name}", read=0)
        setattr(call.reply, first, kind(one[0, 0]))
        setattr(call.reply, second, kind(other[0, 0]))

    return read


def _raw_codes(system: System, call: Call, kinds: tuple[ChannelType, ...], wanted: int, timeout_s: float) -> FloatArray:
    """Codes of the converters, before any scaling."""
    task = system.task(call.request.task.name)
    return task.codes(ready(system, call, kinds, wanted, timeout_s))


def _powers(system: System, call: Call, wanted: int) -> tuple[FloatArray, FloatArray]:
    """Voltages and currents of power supplies."""
    task = system.task(call.request.task.name)
    samples = ready(system, call, ANALOG, wanted, call.request.timeout)
    return power.measured(task, sum(part.n for part in samples))


def _read_powers(system: System, call: Call) -> None:
    volts, amperes = _powers(system, call, call.request.num_samps_per_chan)
    call.reply.samps_per_chan_read = volts.shape[1]
    call.reply.read_array_voltage.extend(_laid_out(volts, call, call.request.array_size_in_samps).tolist())
    call.reply.read_array_current.extend(_laid_out(amperes, call, call.request.array_size_in_samps).tolist())


def _read_power(system: System, call: Call) -> None:
    volts, amperes = _powers(system, call, 1)
    if volts.shape[1] < 1:
        raise DaqFault(NOT_YET, f"Task Name: {call.request.task.name}", read=0)
    call.reply.voltage, call.reply.current = float(volts[0, 0]), float(amperes[0, 0])


HANDLERS: dict[str, Handler] = {
    "ReadPowerF64": _read_powers,
    "ReadPowerScalarF64": _read_power,
    "ReadAnalogF64": _read_doubles(ANALOG, _samples),
    "ReadAnalogScalarF64": _read_scalar(ANALOG, _samples, float),
    "ReadBinaryI16": _read_numbers(ANALOG, _raw_codes),
    "ReadBinaryI32": _read_numbers(ANALOG, _raw_codes),
    "ReadBinaryU16": _read_numbers(ANALOG, _raw_codes),
    "ReadBinaryU32": _read_numbers(ANALOG, _raw_codes),
    "ReadRaw": _read_raw,
    "ReadDigitalLines": _read_lines,
    "ReadDigitalU8": _read_bytes,
    "ReadDigitalU16": _read_numbers(DIGITAL, _samples),
    "ReadDigitalU32": _read_numbers(DIGITAL, _samples),
    "ReadDigitalScalarU32": _read_scalar(DIGITAL, _samples, int),
    "ReadCounterF64": _read_doubles(_COUNTER, _counts),
    "ReadCounterF64Ex": _read_doubles(_COUNTER, _counts),
    "ReadCounterU32": _read_numbers(_COUNTER, _counts),
    "ReadCounterU32Ex": _read_numbers(_COUNTER, _counts),
    "ReadCounterScalarF64": _read_scalar(_COUNTER, _counts, float),
    "ReadCounterScalarU32": _read_scalar(_COUNTER, _counts, int),
    "ReadCtrFreq": _read_pairs("read_array_frequency", "read_array_duty_cycle", float),
    "ReadCtrFreqScalar": _read_pair("frequency", "duty_cycle", float),
    "ReadCtrTime": _read_pairs("read_array_high_time", "read_array_low_time", float),
    "ReadCtrTimeScalar": _read_pair("high_time", "low_time", float),
    "ReadCtrTicks": _read_pairs("read_array_high_ticks", "read_array_low_ticks", int),
    "ReadCtrTicksScalar": _read_pair("high_ticks", "low_ticks", int),
}
