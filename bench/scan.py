"""What is at the ports that a person names: each driver asks who is there, with questions that can do no harm.

Nothing but what is named is opened: `serial_ports` tells a person what there is to be named, from the lists of the
system, and the network is not searched at all.  How an instrument is recognised is declared by its driver
(`instruments.recognition`), so drivers of other people's packages take part.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.run_queue import QueueError, entries, in_foreground, resources_of
from bench.station import load_station
from data.tomlfile import FileError
from instruments.clock import Clock
from instruments.instrument import Connection, DriverError, driver_names, load_driver

if TYPE_CHECKING:
    from instruments.recognition import Found, Recognition

PORT_S = 20.0
"""How long a port may take; a silent serial one takes half of it."""

TOTAL_S = 120.0
"""How long all of them may take."""

BY_ID = Path("/dev/serial/by-id")
"""Where Linux links serial ports by what their adapters are; other systems have no such folder."""

_TCP = re.compile(r"([\w.-]+):(\d{1,5})")
_PATH = re.compile(r"ASRL(/.*)::INSTR", re.IGNORECASE)
_COM = re.compile(r"COM(\d+)", re.IGNORECASE)


class ScanError(ValueError):
    """What was asked for cannot be looked at; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class NiDevice:
    """An NI device, and the terminals that a station file may name."""

    name: str
    product: str
    serial: str
    inputs: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A serial port of this computer.

    Attributes
    ----------
    name : what the system calls it, such as /dev/ttyUSB0 or COM4.
    lasting : by what it is found again at whichever socket it is plugged in; ``name`` where there is no such name.
    says : what its adapter tells of itself; empty where it tells nothing.
    """

    name: str
    lasting: str
    says: str = ""


def serial_ports() -> list[SerialPort]:
    """Serial ports of this computer as the system lists them; none of them is opened."""
    from serial.tools.list_ports import comports  # type: ignore[import-untyped]  # pyserial ships no types

    links = {os.path.realpath(link): str(link) for link in sorted(BY_ID.glob("*"))}
    return [
        SerialPort(port.device, links.get(os.path.realpath(port.device), port.device), _adapter(port))
        for port in sorted(comports())
    ]


def _adapter(port: Any) -> str:
    """What pyserial knows of an adapter; it writes "n/a" where it knows nothing."""
    parts = (port.manufacturer, port.product or port.description, port.serial_number)
    return " ".join(dict.fromkeys(part for part in parts if part and part != "n/a"))


def resource_of(port: str) -> str:
    """VISA resource of a port as a person names it: "/dev/ttyUSB0", "COM4", or a VISA resource itself."""
    if "::" in port:
        return port
    number = _COM.fullmatch(port)
    return f"ASRL{number[1] if number else port}::INSTR"


def place_of(resource: str) -> str:
    """A resource by which a port can be told again: links such as those of /dev/serial/by-id lead to one place."""
    path = _PATH.fullmatch(resource)
    return f"ASRL{os.path.realpath(path[1])}::INSTR" if path else resource


def tcp_resource(address: str) -> str:
    """VISA resource of "HOST:PORT"; raises ScanError."""
    if not is_address(address):
        raise ScanError(f'--tcp "{address}" is malformed; write HOST:PORT, such as 10.0.0.7:4001')
    host, _, port = address.rpartition(":")
    return f"TCPIP::{host}::{port}::SOCKET"


def is_address(text: str) -> bool:
    """Whether a text is "HOST:PORT"."""
    found = _TCP.fullmatch(text)
    return found is not None and 0 < int(found[2]) < 65_536


def named_resource(text: str) -> str:
    """VISA resource of a port in whichever way a person writes it, "HOST:PORT" among them; raises ScanError."""
    if is_address(text):
        return tcp_resource(text)
    if "::" in text or text.startswith("/") or _COM.fullmatch(text):
        return resource_of(text)
    raise ScanError(
        f'"{text}" is no port; write HOST:PORT such as 10.0.0.7:4001, a serial port such as /dev/ttyUSB0 or COM4, '
        "or a VISA resource"
    )


def scan(
    resources: Sequence[str],
    clock: Clock,
    *,
    library: str = "@py",
    port_s: float = PORT_S,
    total_s: float = TOTAL_S,
    in_use: Mapping[str, str] | None = None,
    told: Callable[[Found], None] = lambda found: None,
) -> list[Found]:
    """Ask at each port who is there, one port after the other: two names may be one instrument.

    Parameters
    ----------
    resources : VISA resources; no other is opened.
    library : VISA library.
    port_s, total_s : longest time for a port, opening apart, and for all of them.
    in_use : places (`place_of`) that must not be touched, and why.
    told : is told of each port when it is done.
    """
    from instruments.recognition import Found, look_at  # pyvisa behind them is heavy

    connection = Connection.through(library)
    drivers, until = recognitions(), clock.now() + total_s
    results = []
    try:
        for resource in dict.fromkeys(resources):
            left_s = until - clock.now()
            if why := (in_use or {}).get(place_of(resource)):
                found = Found(resource, why=why)
            elif left_s <= 0.0:
                found = Found(
                    resource, why=f"the {total_s:g} s for all ports were over; name fewer, or allow more time"
                )
            else:
                found = look_at(resource, drivers, connection.visa, clock, within_s=min(port_s, left_s))
            results.append(found)
            told(found)
    finally:
        connection.close()
    return results


def recognitions() -> dict[str, Recognition]:
    """How the instruments of each installed driver are recognised; a driver that cannot be loaded is left out."""
    from instruments.recognition import any_of

    kinds: dict[str, Any] = {}
    for name in driver_names():
        try:
            kinds[name] = load_driver(name)
        except DriverError:
            continue
    return any_of(kinds)


def in_use(state_folder: Path) -> dict[str, str]:
    """Places of the stations on which runs go on, and why they must be left alone."""
    busy = {
        place_of(resource): f'a run on station "{station}" uses it; wait for its end'
        for station, resources in in_foreground(state_folder)
        for resource in resources
    }
    for entry in entries(state_folder):
        state = entry.state()
        if state.state == "waiting" or state.ending is not None:
            continue
        try:
            station = load_station(str(entry.request().station))
        except (FileError, QueueError, OSError):
            continue
        for resource in resources_of(station):
            busy[place_of(resource)] = f'run {entry.number} on station "{station.name}" uses it; wait for its end'
    return busy


def unnamed_twice(found: Sequence[Found]) -> list[Found]:
    """The same, each instrument once: of two ports with the same serial number behind them the first one counts."""
    seen: dict[tuple[str, str], str] = {}
    kept = []
    for each in found:
        serial = each.recognised.identity.serial if each.recognised else ""
        first = seen.setdefault((each.driver, serial), each.resource) if serial else each.resource
        if first != each.resource:
            kept.append(replace(each, driver="", recognised=None, why=f"the same instrument as at {first}"))
        else:
            kept.append(each)
    return kept


def ni_devices(target: str) -> list[NiDevice]:
    """NI devices that the driver of this computer ("local") or an NI gRPC device server knows; raises ScanError."""
    from instruments.daq_devices import asking, present  # nidaqmx behind them is heavy
    from instruments.daq_session import DaqSession
    from instruments.instrument import DaqTarget, InstrumentError

    session = DaqSession(None if target == "local" else DaqTarget(target), 10.0)
    try:
        with asking("NI devices", session):
            return [
                NiDevice(
                    device.name,
                    device.product_type,
                    f"{device.serial_num:08X}",
                    tuple(each.name for each in device.ai_physical_chans),
                    tuple(each.name for each in (*device.do_lines, *device.di_lines)),
                )
                for device in present(session).values()
            ]
    except InstrumentError as error:
        raise ScanError(f"--daq {target}: {error}; see that the NI driver or its server runs") from None
