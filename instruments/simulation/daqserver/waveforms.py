"""Calls that read and write waveforms: samples with their timing, and with names of channel and unit."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import ChannelType, WaveformAttributeMode
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import outputs, transfer
from instruments.simulation.daqserver.channels import Channel
from instruments.simulation.daqserver.dispatch import Call, Handler
from instruments.simulation.daqserver.faults import DaqFault
from instruments.simulation.daqserver.frontend import Samples
from instruments.simulation.daqserver.messages import Message
from instruments.simulation.daqserver.system import System
from instruments.simulation.daqserver.unitnames import unit_name

EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
"""From which the time stamps of waveforms count (``ni.protobuf.types.PrecisionTimestamp``)."""

_FRACTIONS = 2**64
_TIMING, _PROPERTIES = (
    each.value for each in (WaveformAttributeMode.TIMING, WaveformAttributeMode.EXTENDED_PROPERTIES)
)


def _read_analog(system: System, call: Call) -> None:
    task = system.task(call.request.task.name)
    samples = transfer.ready(system, call, transfer.ANALOG, call.request.num_samps_per_chan, call.request.timeout)
    values = task.take(samples)
    for channel, row in zip(task.channels, values, strict=True):
        waveform = call.reply.waveforms.add()
        waveform.y_data.extend(row.tolist())
        _describe(system, call, waveform, channel, samples)
    call.reply.samps_per_chan_read = values.shape[1]


def _read_digital(system: System, call: Call) -> None:
    """A column for each line; of a channel that was made from a whole port the highest line first."""
    task = system.task(call.request.task.name)
    samples = transfer.ready(system, call, transfer.DIGITAL, call.request.num_samps_per_chan, call.request.timeout)
    values = task.take(samples).astype(np.int64)
    for channel, row in zip(task.channels, values, strict=True):
        waveform = call.reply.waveforms.add()
        bits = (row[:, None] >> _columns(channel)) & 1
        waveform.signal_count = len(channel.lines)
        waveform.y_data = bits.astype(np.uint8).tobytes()
        _describe(system, call, waveform, channel, samples)
    call.reply.samps_per_chan_read = values.shape[1]


def _columns(channel: Channel) -> npt.NDArray[np.int64]:
    """Bit of each column."""
    bits = np.arange(len(channel.lines))
    return bits[::-1] if channel.of_port else bits


def _describe(system: System, call: Call, waveform: Message, channel: Channel, samples: list[Samples]) -> None:
    mode = call.request.waveform_attribute_mode_raw
    if mode & _TIMING and samples and samples[0].dt:
        first = samples[0]
        since = system.clock.utc(first.t0 + first.first * first.dt) - EPOCH
        whole = int(since.total_seconds())
        waveform.t0.seconds = whole
        waveform.t0.fractional_seconds = since.microseconds * _FRACTIONS // 1_000_000
        waveform.dt = first.dt
    if mode & _PROPERTIES:
        waveform.attributes["NI_ChannelName"].string_value = channel.name
        if channel.lines:
            names = ", ".join(channel.lines[bit] for bit in _columns(channel).tolist())
            waveform.attributes["NI_LineNames"].string_value = names
        unit = unit_name(channel, system.scales)
        if unit:
            waveform.attributes["NI_UnitDescription"].string_value = unit


def _write_analog(system: System, call: Call) -> None:
    task = outputs.writable(system, call, ChannelType.ANALOG_OUTPUT)
    outputs.put(
        system, call, task, outputs.converted(task, _stacked(call, [each.y_data for each in call.request.waveforms]))
    )


def _write_digital(system: System, call: Call) -> None:
    task = outputs.writable(system, call, ChannelType.DIGITAL_OUTPUT)
    rows = []
    for channel, waveform in zip(task.channels, call.request.waveforms, strict=False):
        bits = np.frombuffer(waveform.y_data, np.uint8).reshape(-1, waveform.signal_count)
        if waveform.signal_count != len(channel.lines):
            raise DaqFault(DAQmxErrors.WRITE_NUM_CHANS_MISMATCH, f"Task Name: {task.name}", written=0)
        rows.append(((bits != 0).astype(np.int64) << _columns(channel)).sum(axis=1))
    outputs.put(system, call, task, _stacked(call, rows))


def _stacked(call: Call, rows: list[object]) -> npt.NDArray[np.float64]:
    """Rows of equal length, one for each channel of the task."""
    stacked = [np.asarray(row, float) for row in rows]
    if not stacked or len({row.size for row in stacked}) != 1:
        raise DaqFault(DAQmxErrors.WRITE_NUM_CHANS_MISMATCH, f"Task Name: {call.request.task.name}", written=0)
    return np.array(stacked)


HANDLERS: dict[str, Handler] = {
    "ReadAnalogWaveforms": _read_analog,
    "ReadDigitalWaveforms": _read_digital,
    "WriteAnalogWaveforms": _write_analog,
    "WriteDigitalWaveforms": _write_digital,
}
