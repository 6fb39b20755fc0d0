"""A task of the simulated driver: its channels, timing, states, sample clock and buffer.

The sample clock starts with the task: sample k is taken at ``t0 + k/rate`` of the device's own crystal, and has been
acquired from that moment on.  Nothing is computed before it is read, so a task costs nothing while it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import (
    AcquisitionType,
    ChannelType,
    Edge,
    OverwriteMode,
    ReadRelativeTo,
    SampleTimingType,
)
from nidaqmx.error_codes import DAQmxErrors

from instruments.clock import Event
from instruments.simulation.daqserver.catalogue import DIVISORS
from instruments.simulation.daqserver.channels import Channel
from instruments.simulation.daqserver.customscale import CustomScale
from instruments.simulation.daqserver.faults import ABORTED, BAD_VALUE, OVERRUN, DaqFault
from instruments.simulation.daqserver.frontend import AnalogInput, InputBank, Samples
from instruments.simulation.daqserver.hardware import Device, Hardware
from instruments.simulation.daqserver.watchdog import Watchdog

FloatArray = npt.NDArray[np.float64]

# An enumeration's value is a property, and these are asked for at every read.
_FROM_HERE, _FROM_FIRST, _FROM_LATEST = (
    each.value
    for each in (
        ReadRelativeTo.CURRENT_READ_POSITION,
        ReadRelativeTo.FIRST_SAMPLE,
        ReadRelativeTo.MOST_RECENT_SAMPLE,
    )
)
_OVERWRITES = OverwriteMode.OVERWRITE_UNREAD_SAMPLES.value

EPSILON = 1e-6
"""Share of a sample period by which a moment may miss a sample and still count: float time is not exact."""


@dataclass
class Timing:
    """Sample clock settings; ``rate_hz`` None is on demand."""

    rate_hz: float | None = None
    mode: AcquisitionType = AcquisitionType.FINITE
    samples: int = 1000
    source: str = ""
    edge: int = Edge.RISING.value


@dataclass
class Task:
    """One task; see the module docstring."""

    name: str
    hardware: Hardware
    scales: dict[str, CustomScale]
    changed: Event
    channels: list[Channel] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)  # in the order of the channels
    timing: Timing = field(default_factory=Timing)
    attributes: dict[str, Any] = field(default_factory=dict)
    bank: InputBank | None = None
    committed: bool = False
    running: bool = False
    aborted: bool = False
    overrun: bool = False
    t0: float = 0.0
    dt: float = 0.0
    position: int = 0
    frozen: int | None = None
    withheld: int = 0  # acquired samples that the next read does not get yet
    input_buffer: int | None = None
    start_counts: dict[str, float] = field(default_factory=dict)
    watchdog: Watchdog | None = None  # then it is the task of a timer, without channels

    # -- configuration

    def add(self, channels: list[Channel]) -> None:
        """Add channels; all of a task are of one type."""
        self.check_idle()
        for channel in channels:
            if any(channel.name.lower() == other.name.lower() for other in self.channels):
                raise DaqFault(DAQmxErrors.CHAN_ALREADY_IN_TASK, f"Channel Name: {channel.name}")
            if self.channels and self.channels[0].kind is not channel.kind:
                raise DaqFault(DAQmxErrors.PHYS_CHAN_MEAS_TYPE, "All channels of a task must be of one type.")
            self.channels.append(channel)
            for physical in channel.lines or (channel.physical,):
                device = self.hardware.device(physical.partition("/")[0])
                if device not in self.devices:
                    self.devices.append(device)
        self.committed = False

    @property
    def kind(self) -> ChannelType | None:
        """Type of the task's channels."""
        return self.channels[0].kind if self.channels else None

    @property
    def inputs(self) -> list[AnalogInput]:
        """Analog inputs of a committed task."""
        return self.bank.inputs if self.bank is not None else []

    def channel(self, name: str) -> Channel:
        """Find a channel by its name."""
        for channel in self.channels:
            if name.lower() in (channel.name.lower(), channel.physical.lower()):
                return channel
        raise DaqFault(DAQmxErrors.CHAN_NOT_IN_TASK, f"Channel Name: {name}\nTask Name: {self.name}")

    def check_idle(self) -> None:
        """Raise when the task is running."""
        if self.running:
            raise DaqFault(DAQmxErrors.CAN_NOT_PERFORM_OP_WHILE_TASK_RUNNING, f"Task Name: {self.name}")

    def check_channels(self) -> None:
        """Raise when the task has no channel."""
        if not self.channels:
            raise DaqFault(DAQmxErrors.CAN_NOT_PERFORM_OP_WHEN_NO_CHANS_IN_TASK, f"Task Name: {self.name}")

    @property
    def hardware_timed(self) -> bool:
        """Whether a sample clock paces the task."""
        return self.timing.rate_hz is not None

    def actual_rate_hz(self) -> float:
        """Rate after coercion: what the slowest common divider of the task's delta-sigma modules gives at least.

        Raises
        ------
        DaqFault
            The rate is above what one of the modules can do.
        """
        wanted = self.timing.rate_hz
        if wanted is None:
            raise DaqFault(DAQmxErrors.INVALID_TIMING_TYPE, f"Task Name: {self.name}")
        bases = [device.product.base_rate_hz for device in self.devices if device.product.base_rate_hz]
        if not bases:
            return wanted
        # n as large as the rate allows: the next rate at or above the one that was asked for.
        divisor = max(1, min(DIVISORS, int(np.floor(min(bases) / wanted * (1.0 + 1e-9)))))
        return min(bases) / divisor

    def _check_rate(self) -> None:
        rate = self.actual_rate_hz()
        for device in self.devices:
            own = [channel for channel in self.channels if channel.device is device]
            product = device.product
            highest = product.max_rate_hz / (len(own) if product.shared else 1)
            if self.kind is ChannelType.ANALOG_INPUT and not product.holds and rate > highest * (1.0 + 1e-9):
                raise DaqFault(
                    BAD_VALUE,
                    f"Property: SampClk.Rate\nRequested Value: {rate:g}\nMaximum Value: {highest:g}\n"
                    f"Device: {device.name}\nTask Name: {self.name}",
                )
        if not rate > 0.0:
            raise DaqFault(BAD_VALUE, f"Property: SampClk.Rate\nRequested Value: {rate:g}\nTask Name: {self.name}")

    @property
    def buffer_size(self) -> int:
        """Samples per channel that are kept until they are read; the default depends on the rate (NI's table)."""
        if self.input_buffer is not None:
            return self.input_buffer
        if self.timing.mode is AcquisitionType.FINITE:
            return self.timing.samples
        rate = self.timing.rate_hz or 0.0
        size = 1_000 if rate <= 100 else 10_000 if rate <= 10_000 else 100_000 if rate <= 1e6 else 1_000_000
        return max(size, self.timing.samples)

    # -- states

    def commit(self) -> None:
        """Check everything against the devices; raises what the driver would."""
        if self.watchdog is None:
            self.check_channels()
        for device in self.devices:
            self.hardware.check_present(device)
            self.hardware.check_unlocked(device)
        if self.committed:
            return
        if self.hardware_timed:
            self._check_rate()
        if self.kind is ChannelType.ANALOG_INPUT:
            sharing: dict[str, int] = {}
            for channel in self.channels:
                sharing[channel.device.name] = sharing.get(channel.device.name, 0) + 1
            self.bank = InputBank(
                [
                    AnalogInput(channel, self.hardware, self.scales, sharing[channel.device.name])
                    for channel in self.channels
                ]
            )
        self.committed = True

    def start(self) -> None:
        """Start the sample clock now."""
        self.commit()
        now = self.hardware.clock.now()
        self.t0 = now
        if self.hardware_timed:
            self.dt = 1.0 / (self.actual_rate_hz() * (1.0 + self.hardware.clock_ppm * 1e-6))
        self.position = 0
        self.frozen = None
        self.overrun = self.aborted = False
        self.withheld = 0
        if self.kind is ChannelType.COUNTER_INPUT:
            self.start_counts = {channel.name: self.edges(channel) for channel in self.channels}
        self.running = True
        self.changed.clear()

    def stop(self) -> None:
        """Stop; samples that were not read are dropped."""
        self.running = self.aborted = self.overrun = False
        if self.watchdog is not None:
            self.watchdog.stop()
        self.changed.set()

    def abort(self) -> None:
        """What a reset of its device does to a task."""
        self.aborted = True
        self.running = False
        self.committed = False
        if self.watchdog is not None:
            self.watchdog.stop()
        self.changed.set()

    def freeze(self) -> None:
        """Stop the sample clock where it is, as a device does that hangs."""
        if self.running and self.frozen is None:
            self.frozen = self.acquired()

    def check_alive(self) -> None:
        """Raise what every call meets when a device was reset or pulled out."""
        if self.aborted:
            raise DaqFault(ABORTED, f"Task Name: {self.name}")
        for device in self.devices:
            self.hardware.check_present(device)
            self.hardware.check_unlocked(device)

    # -- the sample clock

    def acquired(self) -> int:
        """Samples per channel since the start."""
        if not self.hardware_timed:
            return self.position
        if self.frozen is not None:
            return self.frozen
        if not self.running:
            return 0
        elapsed = self.hardware.clock.now() - self.t0
        count = int(np.floor(elapsed / self.dt + EPSILON)) + 1
        if self.timing.mode is AcquisitionType.FINITE:
            return min(count, self.timing.samples)
        return count

    def moment_of(self, count: int) -> float:
        """Clock time from which on ``count`` samples have been acquired."""
        return self.t0 + (count - 1) * self.dt

    @property
    def done(self) -> bool:
        """Whether a finite acquisition is complete, or nothing runs."""
        if not self.running:
            return True
        finite = self.timing.mode is AcquisitionType.FINITE and self.hardware_timed
        return finite and self.acquired() >= self.timing.samples

    def available(self) -> int:
        """Samples that can be read from the read position on; notices an overrun.

        Raises
        ------
        DaqFault
            -200279, and again at every read until the task is started anew.
        """
        acquired = self.acquired()
        relative = self.attributes.get("RELATIVE_TO", _FROM_HERE)
        offset = int(self.attributes.get("OFFSET", 0))
        if relative == _FROM_FIRST:
            self.position = max(0, offset)
        elif relative == _FROM_LATEST:
            self.position = max(0, acquired + offset)
        unread = acquired - self.position
        if self.overrun or unread > self.buffer_size:
            keeps = self.attributes.get("OVERWRITE") != _OVERWRITES
            if keeps and not self.overrun:
                self.frozen = self.position + self.buffer_size  # the device has nowhere to put the next one
            self.overrun = keeps
            raise DaqFault(
                OVERRUN,
                f"Property: Read.CurrReadPos\nCurrent Read Position: {self.position}\n"
                f"Buffer Size: {self.buffer_size}\nTask Name: {self.name}",
                read=0,
            )
        return unread

    def next_samples(self, n: int) -> Samples:
        """The next ``n`` samples, which are thereby read."""
        if self.hardware_timed:
            wanted = Samples(self.t0, self.dt, self.position, n)
        else:
            wanted = Samples(self.hardware.clock.now(), 0.0, 0, n)
        self.position += n
        return wanted

    def take(self, wanted: Samples) -> FloatArray:
        """Scaled values of some samples; shape (channels, n)."""
        if self.kind is ChannelType.ANALOG_INPUT:
            assert self.bank is not None  # a task that reads is committed
            return self.bank.read(wanted)
        return np.stack([self._digital(channel, wanted) for channel in self.channels])

    # -- lines and counters

    def level(self, line: str, t: float) -> bool:
        """State of a digital line: of an output what was written, of an input what it is wired to."""
        key = line.lower()
        signal = self.hardware.signals.get(key)
        if self.kind is ChannelType.DIGITAL_OUTPUT or signal is None or key in self.hardware.outputs:
            return bool(self.hardware.outputs.get(key, 0.0))
        return bool(self.hardware.high(key, signal.at(t)))

    def _digital(self, channel: Channel, wanted: Samples) -> FloatArray:
        """Samples of a digital channel as whole numbers, lowest line in bit 0."""
        if not wanted.dt:
            number = sum(self.level(line, wanted.t0) << bit for bit, line in enumerate(channel.lines))
            return np.full(wanted.n, float(number))
        values = np.zeros(wanted.n)
        for bit, line in enumerate(channel.lines):
            signal = self.hardware.signals.get(line.lower())
            if signal is not None and line.lower() not in self.hardware.outputs:
                levels = self.hardware.high(line, signal.samples(wanted.t0, wanted.dt, wanted.first, wanted.n))
            else:
                levels = np.full(wanted.n, self.level(line, wanted.t0))
            values += levels * float(1 << bit)
        return values

    def edges(self, channel: Channel) -> float:
        """What a counter's terminal has seen since ever."""
        signal = self.hardware.signals.get(channel.physical.lower())
        return 0.0 if signal is None else float(np.floor(signal.at(self.hardware.clock.now())))

    def count(self, channel: Channel) -> int:
        """Count of an edge counter: 32 bits, from its initial count."""
        from_start = self.edges(channel) - self.start_counts.get(channel.name, 0.0)
        return (int(channel.attributes["CI_COUNT_EDGES_INITIAL_CNT"]) + int(from_start)) & 0xFFFFFFFF

    @property
    def sample_timing(self) -> int:
        """The timing type as the driver names it."""
        return int((SampleTimingType.SAMPLE_CLOCK if self.hardware_timed else SampleTimingType.ON_DEMAND).value)
