"""The simulated devices as they stand on the bench: names, terminals, wiring, what is plugged in, states of outputs."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from nidaqmx.error_codes import DAQmxErrors

from instruments.clock import Clock
from instruments.simulation.daqserver.catalogue import Port, Product, product
from instruments.simulation.daqserver.faults import DEVICE_GONE, MODULE_GONE, DaqFault
from instruments.simulation.daqserver.relay import Relay
from instruments.simulation.signal import Actuator, Signal

T = TypeVar("T")
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_MODULE = re.compile(r"^(.+?)mod(\d+)$", re.IGNORECASE)
_RANGE = re.compile(r"^(.*?)(\d+):(?:.*?)(\d+)$")
_TERMINAL = re.compile(r"^(ai|ao|ctr)(\d+)$|^port(\d+)(?:/line(\d+))?$|^(_cjtemp)$")


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
    """

    shunt_ohm: float | None = None
    lead_ohm: float = 0.0
    relay: str | None = None
    hold_s: float = 1.0
    normally_closed: bool = False


DIRECT = Wiring()


@dataclass(frozen=True, slots=True)
class Device:
    """A device or module under its DAQmx name."""

    name: str
    product: Product
    chassis: str | None
    slot: int

    @property
    def serial(self) -> int:
        """A serial number that belongs to the name, so that it is the same each time."""
        return zlib.crc32(self.name.lower().encode()) & 0x0FFFFFFF

    def terminals(self, kind: str) -> list[str]:
        """Names of all terminals of one kind: ai, ao, ctr, di, do, di-port, do-port."""
        if kind in ("ai", "ao", "ctr"):
            count = {"ai": self.product.ai, "ao": self.product.ao, "ctr": self.product.counters}[kind]
            return [f"{self.name}/{kind}{index}" for index in range(count)]
        wanted = ("in", "both") if kind.startswith("di") else ("out", "both")
        ports = [(index, port) for index, port in enumerate(self.product.ports) if port.direction in wanted]
        if kind.endswith("port"):
            return [f"{self.name}/port{index}" for index, _ in ports]
        return [f"{self.name}/port{index}/line{line}" for index, port in ports for line in range(port.lines)]


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
        self.outputs[key] = level
        for (heartbeat, _), relay in self.relays.items():
            if heartbeat == key:
                relay.heartbeat(level)
        self._move(key)

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
        return int(match[2]) < {"ai": kind.ai, "ao": kind.ao, "ctr": kind.counters}[match[1]]
    if match[3] is not None:
        port = int(match[3])
        return port < len(kind.ports) and int(match[4] or 0) < kind.ports[port].lines
    return any("BUILT_IN" in measure.name for measure in kind.measures)  # _cjtemp


def name_devices(devices: Mapping[str, str]) -> dict[str, Device]:
    """Make the devices of a mapping of name to type; a chassis that is only named by its modules is a cDAQ-9178."""
    named: dict[str, Device] = {}
    for name, kind in devices.items():
        match = _MODULE.match(name)
        chassis, slot = (match[1], int(match[2])) if match else (None, 0)
        if chassis is not None and chassis.lower() not in {other.lower() for other in devices}:
            named.setdefault(chassis.lower(), Device(chassis, product("cDAQ-9178"), None, 0))
        named[name.lower()] = Device(name, product(kind), chassis, slot)
    return named


def expand(text: str) -> Iterator[str]:
    """Split a list of physical channels: commas, and ranges such as "Dev1/ai0:3" in either direction."""
    for item in text.split(","):
        item = item.strip()
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
