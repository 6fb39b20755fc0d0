"""Which NI devices there are: who they are, and whether they have the terminals that a station names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from instruments.daq_session import DAQ_ERRORS, DaqSession, mapped
from instruments.instrument import Identity, InstrumentDisconnected, InstrumentReplyError


@contextlib.contextmanager
def asking(instrument: str, session: DaqSession) -> Iterator[DaqSession]:
    """A connection for a few questions, closed at the end; what goes wrong becomes an error of the bench."""
    try:
        yield session
    except DAQ_ERRORS as error:
        raise mapped(instrument, error) from error
    finally:
        session.close()


def device_names(terminals: Iterable[str]) -> list[str]:
    """Devices of terminals such as "cDAQ1Mod1/ai0", each once."""
    return list(dict.fromkeys(terminal.partition("/")[0] for terminal in terminals))


def present(session: DaqSession) -> dict[str, Any]:
    """Every device that the driver knows, by its name in small letters."""
    return {device.name.lower(): device for device in session.system().devices}


def identity(instrument: str, session: DaqSession, names: list[str]) -> Identity:
    """Who the first device is: its chassis where it has one, and the modules in use."""
    devices = present(session)
    absent = [name for name in names if name.lower() not in devices]
    if absent:
        raise InstrumentDisconnected(
            instrument, f'there is no device "{absent[0]}"; there are {", ".join(sorted(devices)) or "none"}'
        )
    used = [devices[name.lower()] for name in names]
    modules = ", ".join(device.product_type for device in used)
    chassis = used[0].compact_daq_chassis_device if "mod" in used[0].name.lower() else None
    head = chassis or used[0]
    model = f"{chassis.product_type} ({modules})" if chassis else modules
    version = ".".join(str(part) for part in session.system().driver_version)
    return Identity("NI", model, f"{head.serial_num:08X}", f"NI-DAQmx {version}")


def check_serial(instrument: str, wanted: str | None, found: Identity) -> None:
    """Raise InstrumentReplyError when another device answers than the station names."""
    if wanted is not None and wanted.lower() != found.serial.lower():
        raise InstrumentReplyError(
            instrument, f"has serial number {found.serial}, not {wanted}; correct the station or the cabling"
        )


def missing(what: str, terminal: str, devices: Mapping[str, Any], having: str) -> list[str]:
    """Say that a device or its terminal does not exist; ``having`` is the property that lists such terminals."""
    name = terminal.partition("/")[0]
    device = devices.get(name.lower())
    if device is None:
        return [f'{what}: there is no device "{name}"; there are {", ".join(sorted(devices)) or "none"}']
    there = [each.name for each in getattr(device, having)]
    if terminal.lower() in (each.lower() for each in there):
        return []
    return [f'{what}: {device.product_type} "{name}" has no "{terminal}"; correct the station']
