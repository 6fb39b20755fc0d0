"""The simulated devices as they stand on the bench: names, terminals, wiring, what is plugged in, states of outputs."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeVar
from weakref import WeakSet

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import ProductCategory
from nidaqmx.constants import UsageTypeAI as Measures
from nidaqmx.error_codes import DAQmxErrors

from instruments.clock import Clock
from instruments.simulation.daqserver.catalogue import Port, Product, product
from instruments.simulation.daqserver.faults import DEVICE_GONE, MODULE_GONE, DaqFault
from instruments.simulation.daqserver.pulses import Counted, Edges, Internal, Named, Programmed, Train, Watched
from instruments.simulation.daqserver.relay import Relay
from instruments.simulation.signal import Actuator, Signal

T = TypeVar("T")
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_MODULE = re.compile(r"^(.+?)mod(\d+)$", re.IGNORECASE)
_RANGE = re.compile(r"^(.*?)(\d+):(?:.*?)(\d+)$")
_TERMINAL = re.compile(r"^(ai|ao|_?ctr|apfi)(\d+)$|^port(\d+)(?:/line(\d+))?$|^(_cjtemp)$|^pfi(\d+)$|^(power)$")
_OUTPUT_ENDS = ("SampleClock", "StartTrigger")
_COUNTER_TERMINAL = re.compile(r"^ctr(\d+)(internaloutput|source|gate|aux)$")
_INTERNAL = re.compile(r"^(?:ai|ao|di|do)/(?:starttrigger|referencetrigger|sampleclock)$|^changedetectionevent$")


@dataclass(frozen=True, slots=True)
class Wiring:
    """What stands between a signal and its terminals.

    Attributes
    ----------
    shunt_ohm : a resistor that turns a loop's current (the signal, in A) into the voltage that a voltage input sees.
    lead_ohm : resistance of one lead to a resistance thermometer.
    relay : a line whose heartbeat holds the relay that feeds what this output drives; see `relay.Relay`.
    hold_s : how long that relay stays closed after a change of the heartbeat.
    normally_closed : a contact at a digital input that opens while its signal is 1: the line is high until then.
    bridge_ohm : resistance of the bridge; that which the task names if not said.  Shunt calibration depends on it.
    load_ohm : the load on a power supply; None is an open output.
    per_count : how much of the signal makes one pulse at a counter, such as a drop for 50 µL of a volume.
    pulses_hz, duty : a pulse generator at this counter, PFI terminal or line, running since the clock's zero.

    Raises
    ------
    ValueError
        A generator or counter that cannot be.
    """

    shunt_ohm: float | None = None
    lead_ohm: float = 0.0
    relay: str | None = None
    hold_s: float = 1.0
    normally_closed: bool = False
    bridge_ohm: float | None = None
    load_ohm: float | None = None
    per_count: float = 1.0
    pulses_hz: float | None = None
    duty: float = 0.5

    def __post_init__(self) -> None:
        if not self.per_count > 0.0 or not (self.pulses_hz is None or self.pulses_hz > 0.0) or not 0 < self.duty < 1:
            raise ValueError("wiring: per_count and pulses_hz are above 0, and duty is between 0 and 1")

    def generator(self) -> Programmed | None:
        """The pulses of the generator that is connected here."""
        if self.pulses_hz is None:
            return None
        period_s = 1.0 / self.pulses_hz
        return Programmed(0.0, ((self.duty * period_s, (1.0 - self.duty) * period_s),))


DIRECT = Wiring()


@dataclass(frozen=True, slots=True)
class Device:
    """A device or module under its DAQmx name."""

    name: str
    product: Product
    chassis: str | None
    slot: int

    @property
    def names(self) -> tuple[str | None, str | None]:
        """Its own name and that of its chassis."""
        return self.name, self.chassis

    @property
    def serial(self) -> int:
        """A serial number that belongs to the name, so that it is the same each time."""
        return zlib.crc32(self.name.lower().encode()) & 0x0FFFFFFF

    def terminals(self, kind: str) -> list[str]:
        """Names of all terminals of one kind: ai, ao, ctr, di, do, di-port, do-port."""
        if kind in ("ai", "ao", "ctr"):
            count = {"ai": self.product.ai, "ao": self.product.ao, "ctr": self.product.counters}[kind]
            prefix = "_" if kind == "ctr" and self.product.slots else ""
            if kind == "ai" and Measures.POWER in self.product.measures:
                return [f"{self.name}/power"]
            return [f"{self.name}/{prefix}{kind}{index}" for index in range(count)]
        wanted = ("in", "both") if kind.startswith("di") else ("out", "both")
        ports = [(index, port) for index, port in enumerate(self.product.ports) if port.direction in wanted]
        if kind.endswith("port"):
            return [f"{self.name}/port{index}" for index, _ in ports]
        return [f"{self.name}/port{index}/line{line}" for index, port in ports for line in range(port.lines)]

    def routes(self) -> list[str]:
        """Names of the terminals that triggers and clocks can be routed from."""
        product = self.product
        names = [f"PFI{index}" for index in range(len(product.pfi))]
        names += [f"APFI{index}" for index in range(product.apfi)]
        for kind, there in (
            ("ai", product.ai > 0 or product.slots > 0),
            ("ao", product.ao_rate_hz > 0.0),
            ("di", product.di_rate_hz > 0.0),
            ("do", product.do_rate_hz > 0.0),
        ):
            ends = ("SampleClock", "StartTrigger", "ReferenceTrigger") if kind in ("ai", "di") else _OUTPUT_ENDS
            names += [f"{kind}/{end}" for end in ends if there]
        for index in range(product.counters):
            names += [f"Ctr{index}{end}" for end in ("Source", "Gate", "InternalOutput")]
        return [f"/{self.name}/{name}" for name in names]


@dataclass
class Hardware:
    """All devices of one server.

    Parameters
    ----------
    devices : DAQmx name to type, such as {"cDAQ1Mod1": "NI 9219"}; a module is named after its chassis.
    signals : physical channel ("cDAQ1Mod1/ai0", "cDAQ1Mod2/_cjtemp", "cDAQ1Mod5/port0/line4") to what it measures.
    actuators : line or analog output to what it drives.
    wiring : physical channel to what stands between it and its signal.
    clock_ppm : how fast the sample clocks run.
    """

    clock: Clock
    devices: dict[str, Device]
    signals: dict[str, Signal]
    actuators: dict[str, Actuator]
    wiring: dict[str, Wiring]
    clock_ppm: float = 0.0
    outputs: dict[str, float] = field(default_factory=dict)  # line or ao, lower case -> level
    unplugged: set[str] = field(default_factory=set)
    stalled: set[str] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)  # devices and chassis whose watchdog has fired
    relays: dict[tuple[str, float], Relay] = field(default_factory=dict)  # by heartbeat line and hold time
    internal: dict[str, Train] = field(default_factory=dict)  # counter outputs, sample clocks, triggers of tasks
    logs: set[str] = field(default_factory=set)  # files that tasks write
    connected: dict[str, str] = field(default_factory=dict)  # terminal to the one whose signal is routed to it
    _followed: dict[str, WeakSet[Edges]] = field(default_factory=dict)  # driven lines that somebody watches

    def __post_init__(self) -> None:
        for table in (self.signals, self.actuators, self.wiring):
            for name in [name for name in table if "/pfi" in name or "/_ctr" in name]:
                table[self.key(name)] = table.pop(name)  # type: ignore[assignment]  # from and to the same table

    def device(self, name: str) -> Device:
        """Find a device; an unknown name is DAQmx error -200220."""
        found = self.devices.get(name.lower())
        if found is None:
            raise DaqFault(DAQmxErrors.INVALID_DEVICE_ID, f"Device Specified: {name}")
        return found

    def check_present(self, device: Device) -> None:
        """Raise the error of a device that was pulled out."""
        if device.name.lower() in self.unplugged:
            raise DaqFault(MODULE_GONE if device.chassis else DEVICE_GONE, f"Device: {device.name}")
        if device.chassis and device.chassis.lower() in self.unplugged:
            raise DaqFault(DEVICE_GONE, f"Device: {device.chassis}")

    def check_unlocked(self, device: Device) -> None:
        """Raise the error of a chassis whose watchdog has fired: it does nothing more until it is reset."""
        for name in (device.name, device.chassis):
            if name and name.lower() in self.expired and self.device(name).product.slots:
                raise DaqFault(DAQmxErrors.CHASSIS_WATCHDOG_TIMER_EXPIRED, f"Device: {name}")

    def check_terminal(self, physical: str) -> Device:
        """Find the device of a terminal; a terminal that it does not have is DAQmx error -200170."""
        name, _, terminal = physical.partition("/")
        device = self.device(name)
        match = _TERMINAL.match(terminal.lower())
        if match is None or not _has(device.product, match):
            raise DaqFault(
                DAQmxErrors.PHYSICAL_CHAN_DOES_NOT_EXIST, f"Physical Channel Name: {terminal}\nDevice: {device.name}"
            )
        return device

    def key(self, terminal: str) -> str:
        """One name for a terminal that has several: a PFI terminal is the digital line behind it."""
        name = terminal.lower().removeprefix("/").replace("/_ctr", "/ctr")
        device, _, own = name.partition("/")
        found, match = self.devices.get(device), re.match(r"^pfi(\d+)$", own)
        if found is None or match is None or int(match[1]) >= len(found.product.pfi):
            return name
        line = found.product.pfi[int(match[1])]
        return f"{device}/{line}" if line else name

    def train(self, terminal: str, since: float) -> Train:
        """The pulses at a terminal, watched from ``since`` on; -89129 when there is no such terminal.

        At a terminal to which nothing is connected there is never a pulse.
        """
        key = self.key(terminal)
        key = self.connected.get(key, key)
        device_name, _, own = key.partition("/")
        if device_name not in self.devices:
            raise DaqFault(DAQmxErrors.INVALID_TERM_ROUTING, f"Terminal: {terminal}")
        if _INTERNAL.match(own):
            if not own.endswith("sampleclock"):
                self.internal.setdefault(key, Internal())
            return Named(self.internal, key)
        counter = _COUNTER_TERMINAL.match(own)
        if counter and counter[2] == "internaloutput":
            return Named(self.internal, f"{device_name}/ctr{counter[1]}")
        if counter:
            key = f"{device_name}/ctr{counter[1]}"
        try:
            self.check_terminal(key)
        except DaqFault:
            raise DaqFault(DAQmxErrors.INVALID_TERM_ROUTING, f"Terminal: {terminal}") from None
        wired, signal = self.wiring.get(key, DIRECT), self.signals.get(key)
        generator = wired.generator()
        if generator is not None:
            return generator
        if signal is not None and "/ctr" in key:
            return Counted(signal, wired.per_count, self.clock)
        if signal is not None and key not in self.outputs:
            return Watched(signal, since, inverted=wired.normally_closed)
        edges = Edges()
        self._followed.setdefault(key, WeakSet()).add(edges)
        return edges

    def connected_to(self, terminal: str) -> tuple[Wiring, Signal | None]:
        """Wiring and signal at a terminal of a counter."""
        key = self.key(terminal)
        key = self.connected.get(key, key)
        device_name, _, own = key.partition("/")
        counter = _COUNTER_TERMINAL.match(own)
        if counter and counter[2] != "internaloutput":
            key = f"{device_name}/ctr{counter[1]}"
        return self.wiring.get(key, DIRECT), self.signals.get(key)

    def pulsed(self, terminal: str, t: float) -> None:
        """Note a pulse at an internal terminal, such as the start of a task."""
        train = self.internal.setdefault(terminal.lower(), Internal())
        if isinstance(train, Internal):
            train.moments.append(t)

    def port(self, physical: str) -> Port:
        """The port of a digital line."""
        device = self.check_terminal(physical)
        return device.product.ports[int(physical.lower().split("/")[1].removeprefix("port"))]

    def high(self, line: str, signal: FloatArray | float) -> BoolArray:
        """Levels of an input line at which a contact hangs."""
        closed = np.asarray(signal) > 0.5
        return ~closed if self.wiring.get(line.lower(), DIRECT).normally_closed else closed

    def drive(self, physical: str, level: float) -> None:
        """Set an output and move what hangs on it."""
        key = physical.lower()
        before = self.outputs.get(key, 0.0)
        self.outputs[key] = level
        if (before > 0.5) != (level > 0.5):
            for edges in self._followed.get(key, ()):
                (edges.rises if level > 0.5 else edges.falls).append(self.clock.now())
        for (heartbeat, _), relay in self.relays.items():
            if heartbeat == key:
                relay.heartbeat(level)
        self._move(key)

    def lead(self, physical: str, level: float) -> None:
        """Set an output unless it stands there already."""
        if self.outputs.get(physical.lower()) != level:
            self.drive(physical, level)

    def lines_of(self, item: str) -> tuple[str, ...]:
        """A line, or all lines of a port, lowest first."""
        port = self.port(item)
        if "/line" in item.lower():
            return (item,)
        return tuple(f"{item}/line{line}" for line in range(port.lines))

    def _move(self, key: str) -> None:
        """Let what hangs on an output follow it, or fall back where the relay that feeds it is open."""
        actuator = self.actuators.get(key)
        if actuator is not None:
            relay = self.relays.get(self._relay_of(key))
            fed = relay is None or relay.closed
            actuator.write(self.outputs.get(key, 0.0) if fed else 0.0, self.clock.now())

    def _relay_of(self, key: str) -> tuple[str, float]:
        wired = self.wiring.get(key, DIRECT)
        return ((wired.relay or "").lower(), wired.hold_s)

    def add_relays(self, lock: AbstractContextManager[object]) -> None:
        """Make the relays that the wiring names."""
        for key, wired in self.wiring.items():
            if wired.relay is not None:
                which = self._relay_of(key)
                behind = [other for other in self.wiring if self._relay_of(other) == which]

                def switched(behind: list[str] = behind) -> None:
                    for other in behind:
                        self._move(other)

                self.relays[which] = Relay(self.clock, lock, wired.relay, wired.hold_s, switched)

    def release(self, device: Device) -> None:
        """Take the outputs of a device to their power-up state: off."""
        prefix = device.name.lower() + "/"
        for key in sorted(self.outputs):
            if key.startswith(prefix) and self.outputs[key] != 0.0:
                self.drive(key, 0.0)

    def modules(self, chassis: Device) -> list[Device]:
        """Modules of a chassis, by slot."""
        own = [device for device in self.devices.values() if (device.chassis or "").lower() == chassis.name.lower()]
        return sorted(own, key=lambda device: device.slot)


def _has(kind: Product, match: re.Match[str]) -> bool:
    if match[1]:
        counts = {"ai": kind.ai, "ao": kind.ao, "ctr": kind.counters, "apfi": kind.apfi}
        return int(match[2]) < counts[match[1].lstrip("_")]
    if match[6] is not None:
        return int(match[6]) < len(kind.pfi)
    if match[3] is not None:
        port = int(match[3])
        return port < len(kind.ports) and int(match[4] or 0) < kind.ports[port].lines
    wanted = "POWER" if match[7] else "BUILT_IN"
    return any(wanted in measure.name for measure in kind.measures)


def name_devices(devices: Mapping[str, str]) -> dict[str, Device]:
    """Make the devices of a mapping of name to type; a chassis that is only named by its modules is a cDAQ-9178."""
    named: dict[str, Device] = {}
    for name, kind in devices.items():
        match = _MODULE.match(name)
        chassis, slot = (match[1], int(match[2])) if match else (None, 0)
        if chassis is not None and chassis.lower() not in {other.lower() for other in devices}:
            scale = product(kind).category is ProductCategory.TEST_SCALE_MODULE
            named.setdefault(chassis.lower(), Device(chassis, product("TS-15000" if scale else "cDAQ-9178"), None, 0))
        named[name.lower()] = Device(name, product(kind), chassis, slot)
    return named


def expand(text: str) -> Iterator[str]:
    """Split a list of physical channels: commas, and ranges such as "Dev1/ai0:3" in either direction.

    A name may begin with a slash, as those of terminals do.
    """
    for item in text.split(","):
        item = item.strip().removeprefix("/")
        match = _RANGE.match(item)
        if match is None:
            yield item
            continue
        first, last = int(match[2]), int(match[3])
        for index in range(first, last + 1) if last >= first else range(first, last - 1, -1):
            yield f"{match[1]}{index}"


def lower_keys(pairs: Mapping[str, T]) -> dict[str, T]:
    """DAQmx names do not tell capitals from small letters."""
    return {key.lower(): value for key, value in pairs.items()}
