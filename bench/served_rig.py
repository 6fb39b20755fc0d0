"""A simulated bench for other programs: which rig is served, and the station file by which a run finds it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.request import Request, articles_of
from bench.simulated_plant import as_plant, wires_of
from bench.station import Station, load_station, station_path
from bench.station_tables import Served
from data.tomlfile import FileError, read_toml

NOT_SHIPPED: dict[str, dict[str, Any]] = {
    "keller-x": {"device": "keller-x", "signal": "keller_pressure_kpa"},
    "mark10": {"device": "mark10", "force": "stage_force_n"},
    "bronkhorst-propar": {
        "device": "bronkhorst-propar",
        "volume": "truth_line_volume_ul",
        "temperature": "truth_lab_temperature_degc",
        "metered_at": "truth_bath_temperature_degc",
        "air": "flow_air",
    },
    "keysight-34461a": {"device": "keysight-34461a", "volts": "reservoir_pressure_v"},
    "keysight-daq970a": {
        "device": "keysight-daq970a",
        "channels": {
            "101": "reservoir_pressure_v",
            "102": "barometer_v",
            "103": "lab_temperature_v",
            "121": "back_pressure_a",
        },
    },
    "harvard-phd": {"device": "harvard-phd", "plunger": "pusher_ul_per_h", "pressure": "pusher_pressure_kpa"},
    "mensor-cpc": {"device": "mensor-cpc", "outlet": "back_pressure_kpa", "sensor": "controller_pressure_kpa"},
    "omega-px409": {"device": "omega-px409", "signal": "keller_pressure_kpa"},
    "sartorius-sbi": {"device": "sartorius-sbi", "signal": "reference_load_mg"},
}
"""Simulated instruments that no shipped station has, by the driver's name."""

LIKE = "sim-full"
"""The shipped station whose instruments and NI devices are served where no station file is given."""

Wire = Literal["tcp", "pty"]


@dataclass(frozen=True)
class Description:
    """A rig to be served.

    Attributes
    ----------
    simulation : as the ``[simulation]`` table of a station.
    drivers, resources : of each instrument on VISA, by its name.
    has_daq : whether there are NI devices.
    """

    where: str
    simulation: Mapping[str, Any]
    drivers: Mapping[str, str]
    resources: Mapping[str, str]
    wires: Mapping[str, set[str]]
    plant: Mapping[str, Any]
    has_daq: bool


def of_station(name: str, dut: str | None = None, fluid: str | None = None) -> Description:
    """The rig of a simulated station; raises FileError or RequestError."""
    path, station = station_path(name), load_station(name)
    if not station.simulated:
        raise FileError(f'{path}: there is nothing to serve; take a station with visa = "simulated"')
    articles = articles_of(Request("", name, dut=dut, fluid=fluid), station)
    resources = _resources(station)
    return Description(
        str(path),
        station.simulation,
        {instrument: station.instruments[instrument].driver for instrument in resources},
        resources,
        wires_of(station),
        as_plant(articles["dut"], articles["fluid"]),
        bool(station.simulation.get("daq", {}).get("devices")),
    )


def of_instruments(drivers: Mapping[str, str], *, daq: bool) -> Description:
    """A rig of single instruments, each connected to the plant as on the shipped station; raises FileError."""
    like = load_station(LIKE)
    tables = {
        like.instruments[name].driver: like.simulation["visa"][resource] for name, resource in _resources(like).items()
    }
    tables |= NOT_SHIPPED
    for name, driver in drivers.items():
        if driver not in tables:
            raise FileError(
                f'--instrument {name}={driver}: "{driver}" is no driver of a simulated instrument; '
                f"there are {', '.join(sorted(tables))}, and --daq for NI devices"
            )
    resources = {name: f"ASRL{k}::INSTR" for k, name in enumerate(drivers, start=1)}
    simulation: dict[str, Any] = {"visa": {resources[name]: tables[driver] for name, driver in drivers.items()}}
    if daq:
        simulation["daq"] = like.simulation["daq"]
    wires = {name: {resource} for name, resource in resources.items()}
    return Description("pumpbench sim serve", simulation, dict(drivers), resources, wires, {}, daq)


def _resources(station: Station) -> dict[str, str]:
    """VISA resource of each instrument of a simulated station that has one."""
    found = {name: (table.model_extra or {}).get("resource") for name, table in station.instruments.items()}
    return {name: str(resource) for name, resource in found.items() if resource in station.simulation.get("visa", {})}


# ------------------------------------------------------------------------------------- the station of a served rig


def visa_resource(ports: Mapping[str, str], wire: Wire) -> str:
    """VISA resource of a served instrument; raises FileError where the platform has no such port."""
    if wire not in ports:
        raise FileError(f"--wire {wire}: this computer has no such ports; take --wire tcp")
    if wire == "pty":
        return f"ASRL{ports[wire]}::INSTR"
    host, _, port = ports[wire].rpartition(":")
    return f"TCPIP::{host}::{port}::SOCKET"


def write_station(name: str, out: Path, resources: Mapping[str, str], daq: str, served: Served) -> None:
    """Write the station by which a run drives a served rig: the same file with the addresses of the ports.

    Parameters
    ----------
    resources : name of an instrument -> its VISA resource now.

    Raises
    ------
    FileError
        ``out`` is another file than one that this function wrote, or the station cannot be rewritten.
    """
    path, station = station_path(name), load_station(name)
    if station.position:
        raise FileError(
            f"--write-station {out}: {path} describes several positions, whose addresses cannot be rewritten apart; "
            "write one of them into a file of its own"
        )
    if out.exists() and read_toml(out, Station).served is None:
        raise FileError(f"--write-station {out}: it is there already and is no station of a served rig; choose another")
    text = "\n".join(_rewritten(path.read_text("utf-8").splitlines(), resources, daq)).rstrip()
    stated = [f"pace = {float(served.pace)!r}", f"seed = {served.seed}", f"faults = {json.dumps(served.faults)}"]
    note = "# Simulated by another program behind real ports (pumpbench sim serve); so what runs here is simulated too."
    out.write_text("\n".join([text, "", note, "[served]", *stated, ""]), "utf-8")
    if load_station(str(out)) != _expected(station, resources, daq, served):
        raise FileError(f"{path}: its addresses cannot be rewritten; give each key and each table a line of its own")


def _expected(station: Station, resources: Mapping[str, str], daq: str, served: Served) -> Station:
    """The station with the addresses of a served rig."""
    tables = {}
    for name, table in station.instruments.items():
        there = {"resource": resources[name]} if name in resources else {}
        tables[name] = table.model_copy(update=there)
    addresses = {"visa": "@py", "daq": daq, "simulation": {}, "served": served}
    return station.model_copy(update={**addresses, "instruments": tables})


def _rewritten(lines: Sequence[str], resources: Mapping[str, str], daq: str) -> Iterator[str]:
    """The lines of a station file with other addresses, without its simulation."""
    table: tuple[str, ...] = ()
    held: list[str] = []  # comments and blank lines, which belong to what follows
    for line in lines:
        if re.match(r"\s*\[", line):
            table = _table(line)
        stripped = line.strip()
        if table[:1] != ("simulation",):
            if not stripped or stripped.startswith("#"):
                held.append(line)
                continue
            yield from held
            yield _addressed(line, table, resources, daq)
        held = []


def _addressed(line: str, table: tuple[str, ...], resources: Mapping[str, str], daq: str) -> str:
    """A line with the address that it has now, if it is one of an address."""
    key = line.partition("=")[0].strip()
    value = None
    if not table:
        value = {"visa": "@py", "daq": daq}.get(key)
    elif len(table) == 2 and table[0] == "instruments" and key == "resource":
        value = resources.get(table[1])
    return line if value is None else f"{key} = {json.dumps(value)}"


def _table(line: str) -> tuple[str, ...]:
    """Path of the table that a header begins; () for a line that is none, such as one of a list."""
    try:
        inner: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ("", "")
    path = []
    while inner:
        inner = inner[0] if isinstance(inner, list) else inner
        if not inner:
            break
        ((key, inner),) = inner.items()
        path.append(key)
    return tuple(path)
