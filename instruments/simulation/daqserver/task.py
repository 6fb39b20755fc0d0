"""A task of the simulated driver: its channels, timing, states, sample clock and buffer.

The sample clock starts with the task, or with its start trigger: sample k is taken at ``t0 + k/rate`` of the device's
own crystal, and has been acquired from that moment on.  Nothing is computed before it is read, so a task costs nothing
while it runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

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
from instruments.simulation.daqserver import arming, counters, lines, meters, power, rates, tdms, triggers
from instruments.simulation.daqserver.channels import Channel
from instruments.simulation.daqserver.customscale import CustomScale
from instruments.simulation.daqserver.faults import ABORTED, OVERRUN, DaqFault
from instruments.simulation.daqserver.frontend import AnalogInput, InputBank, Samples
from instruments.simulation.daqserver.generation import OutputBuffer
from instruments.simulation.daqserver.hardware import Device, Hardware
from instruments.simulation.daqserver.pulses import Train
from instruments.simulation.daqserver.sampling import Retriggered, Ticks, Trigger, pieces
from instruments.simulation.daqserver.watchdog import Watchdog

FloatArray = npt.NDArray[np.float64]

# An enumeration's value is a property, and these are asked for at every read.
_FROM_HERE, _FROM_REFERENCE, _FROM_LATEST = (
    each.value
    for each in (
        ReadRelativeTo.CURRENT_READ_POSITION,
        ReadRelativeTo.REFERENCE_TRIGGER,
        ReadRelativeTo.MOST_RECENT_SAMPLE,
    )
)
_FROM_BEGIN = (ReadRelativeTo.FIRST_SAMPLE.value, ReadRelativeTo.FIRST_PRETRIGGER_SAMPLE.value)
_OVERWRITES = OverwriteMode.OVERWRITE_UNREAD_SAMPLES.value

INPUTS = (ChannelType.ANALOG_INPUT, ChannelType.DIGITAL_INPUT, ChannelType.COUNTER_INPUT)


class Listener(Protocol):
    """Who is told of what happens in a task."""

    def begin(self) -> None:
        """The task begins anew."""

    def look(self, task: Task) -> None:
        """Tell what has happened."""

    def end(self) -> None:
        """It is told nothing any more."""


@dataclass
class Timing:
    """When samples are taken.

    Attributes
    ----------
    type : on demand, by a sample clock, by the pulses that a counter measures or makes, or at changes of lines.
    rate_hz : of the sample clock.
    rising, falling : lines whose changes take a sample.
    """

    type: SampleTimingType = SampleTimingType.ON_DEMAND
    rate_hz: float | None = None
    mode: AcquisitionType = AcquisitionType.FINITE
    samples: int = 1000
    source: str = ""
    edge: int = Edge.RISING.value
    rising: str = ""
    falling: str = ""


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
    started: float = 0.0
    ticks: Ticks | None = None  # where no even clock takes the samples
    base: int | None = 0  # number of the first sample that is kept; None before a reference trigger
    start_trigger: Trigger | None = None
    reference: Trigger | None = None
    clocked_by: Train | None = None  # a sample clock that is not the device's own
    edges_before: int = 0  # what that clock had seen before the first sample
    output: OutputBuffer | None = None
    output_buffer: int | None = None
    starved: bool = False  # the output ran out of new samples
    runs: int = 0  # how often it was started
    listeners: dict[str, Listener] = field(default_factory=dict)  # to its events
    trains: dict[str, Train] = field(default_factory=dict)  # what the counters see, by channel
    meters: dict[str, meters.Meter] = field(default_factory=dict)  # of counters that measure with two signals
    start_counts: dict[str, int] = field(default_factory=dict)
    pulses: list[tuple[float, float]] = field(default_factory=list)  # that were written to a counter: (high, low)
    log: tdms.Log | None = None  # of what it acquires, or acquired last
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
            for physical in channel.lines or tuple(part.physical for part in channel.parts) or (channel.physical,):
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
        """Whether something else than the application's calls paces the task."""
        return self.timing.type is not SampleTimingType.ON_DEMAND

    @property
    def buffer_size(self) -> int:
        """Samples per channel that are kept until they are read; the default depends on the rate (NI's table)."""
        if self.input_buffer is not None:
            return self.input_buffer
        if self.timing.mode is AcquisitionType.FINITE and not self.trigger["START_TRIG_RETRIGGERABLE"]:
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
        if self.timing.type is SampleTimingType.SAMPLE_CLOCK:
            rates.check(self)
        arming.check(self)
        tdms.check(self)
        if power.supplies(self):
            power.check(self)
        elif self.kind is ChannelType.ANALOG_INPUT:
            parts = [part for channel in self.channels for part in channel.parts or (channel,)]
            sharing = Counter(part.device.name for part in parts)
            self.bank = InputBank(
                [AnalogInput(part, self.hardware, self.scales, sharing[part.device.name]) for part in parts]
            )
        self.committed = True

    def start(self) -> None:
        """Start the sample clock now, or wait for the trigger and the clock that it was given."""
        self.commit()
        now = self.hardware.clock.now()
        self.started = self.t0 = now
        self.frozen, self.ticks, self.base = None, None, 0
        self.overrun = self.aborted = self.starved = False
        self.position = self.withheld = 0
        self.start_trigger = self.reference = self.clocked_by = None
        if self.timing.type is SampleTimingType.SAMPLE_CLOCK:
            self.dt = 1.0 / (rates.actual_hz(self) * (1.0 + self.hardware.clock_ppm * 1e-6))
        else:
            self.dt = 0.0
        self.log = tdms.begin(self)
        try:
            if self.hardware_timed or self.kind is ChannelType.COUNTER_OUTPUT:
                arming.arm(self, now)
            counters.begin(self)
        except DaqFault:
            tdms.end(self)
            raise
        self.running = True
        power.apply(self)
        self.runs += 1
        for listener in self.listeners.values():
            listener.begin()
        self.changed.clear()
        self.look()

    @property
    def trigger(self) -> dict[str, Any]:
        """Attributes of the triggers."""
        kept: dict[str, Any] = self.attributes.setdefault("TRIGGER", dict(triggers.DEFAULTS))
        return kept

    def look(self) -> None:
        """Notice a trigger that has come, and an output that has run dry."""
        if not self.running:
            return
        arming.look(self)
        fed = self.output
        if fed is not None and self.frozen is None and not fed.regenerates and self.acquired() > fed.written:
            self.frozen, self.starved = fed.written, True

    def absolute(self, terminal: str) -> str:
        """Name of a terminal with its device; ``ai/StartTrigger`` and ``PFI0`` are those of the task's own device."""
        if not terminal or not self.devices or terminal.lstrip("/").partition("/")[0].lower() in self.hardware.devices:
            return terminal
        device = self.devices[0]
        return f"/{device.chassis or device.name}/{terminal.lstrip('/')}"

    def terminal(self, end: str) -> str:
        """Name of a terminal of this task's timing, such as ``/cDAQ1/ai/StartTrigger``."""
        kind = arming.TERMINALS.get(self.kind or ChannelType.ANALOG_INPUT, "ai")
        owner = (self.devices[0].chassis or self.devices[0].name) if self.devices else ""
        return f"/{owner}/{kind}/{end}"

    def stop(self) -> None:
        """Stop; samples that were not read are dropped, outputs stay as they are."""
        self._tell_listeners()
        tdms.end(self)
        counters.end(self)
        arming.disarm(self)
        power.idle(self)
        self.running = self.aborted = self.overrun = self.starved = False
        self.output = None
        if self.watchdog is not None:
            self.watchdog.stop()
        self.changed.set()

    def _tell_listeners(self) -> None:
        for listener in self.listeners.values():
            listener.look(self)

    def abort(self) -> None:
        """What a reset of its device does to a task."""
        tdms.end(self)
        self.aborted = True
        self.running = False
        self.committed = False
        if self.watchdog is not None:
            self.watchdog.stop()
        self._tell_listeners()
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
        """Samples per channel since the start, or of an output those that were generated."""
        if not self.hardware_timed:
            return self.position
        if self.frozen is not None:
            return self.frozen
        if not self.running:
            return 0
        now = self.hardware.clock.now()
        if self.t0 == np.inf or self.base is None:
            self.look()
            if self.t0 == np.inf or self.base is None:
                return 0
        count = (
            int(np.floor((now - self.t0) / self.dt + arming.EPSILON)) + 1
            if self.ticks is None
            else self.ticks.count(now)
        )
        if self.clocked_by is not None and self.ticks is None:
            count = min(count, self.clocked_by.count(now) - self.edges_before)  # it may have ended
        if self.reference is not None:  # what was acquired can be read when all of it is there
            return self.timing.samples if count - self.base >= self.timing.samples else 0
        if self.timing.mode is AcquisitionType.FINITE and not isinstance(self.ticks, Retriggered):
            return max(0, min(count, self.timing.samples))
        return max(0, count)

    def moment_of(self, count: int) -> float:
        """Clock time from which on ``count`` samples have been acquired, as far as it can be foreseen."""
        if self.base is None or self.t0 == np.inf:
            return np.inf
        last = self.base + (count if self.reference is None else self.timing.samples) - 1
        return self.t0 + last * self.dt if self.ticks is None else self.ticks.moment(last)

    @property
    def done(self) -> bool:
        """Whether a finite acquisition or generation is complete, or nothing runs."""
        if not self.running:
            return True
        if self.kind is ChannelType.COUNTER_OUTPUT:
            return counters.is_over(self)
        finite = self.timing.mode is AcquisitionType.FINITE and self.hardware_timed
        return finite and not isinstance(self.ticks, Retriggered) and self.acquired() >= self.timing.samples

    def check_fed(self) -> None:
        """Raise when an output ran out of new samples and must not repeat the old ones."""
        self.look()
        if self.starved:
            raise DaqFault(
                DAQmxErrors.GEN_STOPPED_TO_PREVENT_REGEN_OF_OLD_SAMPLES, f"Task Name: {self.name}", written=0
            )

    def place(self) -> int:
        """Bring the read position to where the application reads from; gives the samples acquired."""
        acquired = self.acquired()
        relative = self.attributes.get("RELATIVE_TO", _FROM_HERE)
        offset = int(self.attributes.get("OFFSET", 0))
        if relative in _FROM_BEGIN:
            self.position = max(0, offset)
        elif relative == _FROM_REFERENCE:
            if self.reference is None:
                raise DaqFault(DAQmxErrors.NO_REF_TRIG_CONFIGURED, f"Task Name: {self.name}", read=0)
            self.position = max(0, int(self.trigger["REF_TRIG_PRETRIG_SAMPLES"]) + offset)
        elif relative == _FROM_LATEST:
            self.position = max(0, acquired + offset)
        return acquired

    def available(self) -> int:
        """Samples that can be read from the read position on; notices an overrun.

        Raises
        ------
        DaqFault
            -200279, and again at every read until the task is started anew.
        """
        acquired = self.place()
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

    def next_samples(self, n: int) -> list[Samples]:
        """The next ``n`` samples, which are thereby read."""
        first = self.position
        self.position += n
        if not self.hardware_timed:
            return [Samples(self.hardware.clock.now(), 0.0, 0, n)]
        if self.ticks is not None:
            return pieces(self.ticks, first, n)
        return [Samples(self.t0, self.dt, (self.base or 0) + first, n)]

    def take(self, wanted: Sequence[Samples]) -> FloatArray:
        """Scaled values of some samples; shape (channels, n)."""
        if self.kind is ChannelType.ANALOG_INPUT:
            bank = self._bank()
            return together([self._powers(bank.read(part)) for part in wanted], len(self.channels))
        parts = [np.stack([lines.samples(self, channel, part) for channel in self.channels]) for part in wanted]
        return together(parts, len(self.channels))

    def _powers(self, values: FloatArray) -> FloatArray:
        """Values of the inputs as those of the channels: of a calculated power the product of two."""
        if len(values) == len(self.channels):
            return values
        rows, row = [], 0
        for channel in self.channels:
            n = len(channel.parts) or 1
            product = np.prod(values[row : row + n], axis=0)
            scale = self.scales.get(channel.attributes["AI_CUSTOM_SCALE_NAME"]) if channel.parts else None
            rows.append(product if scale is None else scale.forward(product))
            row += n
        return np.array(rows)

    def _bank(self) -> InputBank:
        """The inputs of a task that reads; power supplies are read otherwise."""
        if self.bank is None:
            raise DaqFault(DAQmxErrors.READ_CHAN_TYPE_MISMATCH, f"Task Name: {self.name}", read=0)
        return self.bank

    def codes(self, wanted: Sequence[Samples]) -> FloatArray:
        """Codes of the converters, before any scaling; shape (channels, n)."""
        bank = self._bank()
        return together([bank.codes(part) for part in wanted], len(self.channels))

    def play(self) -> None:
        """Let the outputs stand where the generation is."""
        self.look()
        locked = any(name and name.lower() in self.hardware.expired for each in self.devices for name in each.names)
        if locked or (self.frozen is not None and not self.starved):
            return  # the device is away, hangs, or holds the states of its watchdog
        if self.output is None or not (latest := self.acquired()) or not self.output.holds(latest - 1):
            return
        for channel, value in zip(self.channels, self.output.at(latest - 1).tolist(), strict=True):
            if self.kind is ChannelType.ANALOG_OUTPUT:
                self.hardware.lead(channel.physical, value)
            for line, state in lines.to_lines(channel, value):
                self.hardware.lead(line, state)


def together(parts: Sequence[FloatArray], rows: int) -> FloatArray:
    """Blocks of samples behind each other."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts, axis=1) if parts else np.empty((rows, 0))
