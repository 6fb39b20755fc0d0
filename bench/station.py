"""A station: the file that describes one bench, validated, and the instruments it opens.

The only module of ours that knows that a station may be simulated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from bench import protection
from bench.positions import at_position, insist_apart, joined, key_in_file, parted, positions_of
from bench.protection import InterlockTable, Protection, SafeStep
from bench.resting import samples_in, spacing
from bench.rig_limits import RigLimits
from bench.simulated_plant import as_plant, wires_of
from bench.station_tables import Calibration, ClosedLine, Collection, InstrumentTable, Served
from bench.unattended.lamps import set_apart
from bench.unattended.tables import NotifyTable, PromptsTable, StackLightTable
from data import quantities
from data.nearest import did_you_mean
from data.quantity_fields import Stated
from data.samples import Channel, FloatArray
from data.tomlfile import FileError, explain, read_table
from instruments.clock import Clock, VirtualClock, WallClock
from instruments.daq_book import TaskBook
from instruments.instrument import Buffered, Connection, DriverError, Instrument, Polled, load_driver
from protocols.interlock import Interlock
from protocols.procedure import role_names

if TYPE_CHECKING:
    from instruments.simulation.faults import FaultSpec
    from instruments.simulation.rig import Rig
    from instruments.simulation.serving import ServedRig

SHIPPED = Path(__file__).parent / "stations"


class Station(Stated):
    """A station file."""

    name: str
    title: str = ""
    dut: str | None = None  # defaults of a run: files, or names of shipped ones
    catheter: str | None = None
    fluid: str | None = None
    visa: str = ""  # "" the vendor's library, "@py" pyvisa-py, "simulated"
    daq: str = "local"  # "local" NI driver, "host:port" of an NI gRPC device server, "simulated"
    procedures: dict[str, dict[str, Any]] = Field({})
    instruments: dict[str, InstrumentTable]
    roles: dict[str, str]
    interlocks: dict[str, InterlockTable] = Field({})
    ready: list[SafeStep] = Field([])
    safe_state: list[SafeStep] = Field([])
    hold: list[SafeStep] = Field([])
    protection: Protection | None = None
    collection: Collection | None = None
    closed_line: ClosedLine | None = None
    rig_check: RigLimits | None = None
    prompts: PromptsTable = PromptsTable()
    notify: list[NotifyTable] = Field([])
    stack_light: StackLightTable | None = None
    simulation: dict[str, Any] = Field({})
    served: Served | None = None
    position: str = Field("", alias="positions", exclude_if=lambda position: not position)  # which of those in the file

    @property
    def simulated(self) -> bool:
        """Whether every instrument of the station is simulated in the program that runs it."""
        return self.visa == "simulated" and self.daq == "simulated"

    @property
    def real(self) -> bool:
        """Whether the station has real instruments."""
        return not self.simulated and self.served is None


def station_path(name: str) -> Path:
    """File of a station given by path or by the name of a shipped one, "#POSITION" or not; raises FileError."""
    name, _ = parted(name)
    path = Path(name)
    if path.suffix == ".toml":
        return path
    shipped = sorted(item.stem for item in SHIPPED.glob("*.toml"))
    if name in shipped:
        return SHIPPED / f"{name}.toml"
    hint = did_you_mean(name, shipped, f"shipped are {', '.join(shipped)}, or give a file that ends in .toml")
    raise FileError(f'there is no station "{name}"; {hint}')


_FAULT = re.compile(
    r"(?P<name>[A-Za-z-]+)(:(?P<severity>[^:@/]+))?"
    r"(@(?P<at>[^@/]+?)((?<![eE])\+(?P<lasts>[^@/+]+))?)?(/(?P<instrument>[^@/]+))?"
)


def parse_fault(text: str) -> FaultSpec:
    """Read "unplug:0.5@2 h+5 min/balance": a fault's name, severity, moment in the run, duration, and instrument.

    Raises
    ------
    FileError
        The text is malformed or there is no such fault; says what to write.
    """
    from instruments.simulation.faults import fault

    match = _FAULT.fullmatch(text.strip())
    if match is None:
        raise FileError(
            f'fault "{text}" is malformed; write NAME:SEVERITY@TIME+DURATION/INSTRUMENT, such as over-delivery:1.25@2h '
            "or unplug@2h+5min/balance; all but the name may be left out"
        )
    try:
        severity = None if match["severity"] is None else float(match["severity"])
    except ValueError:
        raise FileError(f'fault "{text}": severity "{match["severity"]}" is not a number; write it like 1.25') from None
    try:
        at_s = quantities.parse(match["at"], "time") if match["at"] else 0.0
        lasts_s = quantities.parse(match["lasts"], "time") if match["lasts"] else math.inf
    except ValueError as error:
        raise FileError(f'fault "{text}": {error}') from None
    return fault(match["name"], severity, at_s, lasts_s, (match["instrument"] or "").strip())


def read_flow_log(path: Path, interval: str, unit: str) -> tuple[FloatArray, FloatArray]:
    """Times in s and flows in nL/min of a recorded log; raises ValueError naming the line, OSError for the file."""
    from instruments.simulation.replay import LogError, ReplaySignal, read_log

    if not path.is_file():
        raise FileError(f"{path}: there is no such file; check the path")
    times, values = read_log(path, quantities.parse(interval, "time"))
    if times.size < 2:
        raise FileError(f"{path}: the log holds {times.size} values; it needs at least two")
    try:
        ReplaySignal.from_log(times, values)
    except LogError as error:
        raise FileError(f"{path}: {error}") from None
    try:
        per_unit = quantities.parse(f"1 {unit}", "flow") / quantities.parse("1 nL/min", "flow")
    except quantities.QuantityError as error:
        raise FileError(f"--unit: {error}") from None
    return times, values * per_unit


def fault_rows() -> list[dict[str, Any]]:
    """Every fault that a simulated station can have, as plain data."""
    from instruments.simulation.faults import FAULTS

    return [
        {
            "name": kind.name,
            "owner": kind.owner,
            "severity": f"{kind.severity:g}" + ("" if kind.unit == "1" else f" {kind.unit}"),
            "from": kind.low,
            "to": kind.high,
            "ends": "with the run" if kind.where == "plant" else "when told",
            "what happens": kind.description,
        }
        for kind in FAULTS.values()
    ]


def stations_in(name: str) -> list[str]:
    """How a run names each station of a file: the file itself, or "FILE#POSITION" for every position.

    Raises
    ------
    FileError
        The file cannot be read.
    """
    file, position = parted(name)
    path = station_path(file)
    there = (position,) if position else positions_of(path, read_table(path))
    return [joined(file, each) for each in there] or [file]


def shipped_stations() -> list[str]:
    """Every shipped station, as a run names it."""
    return [name for path in sorted(SHIPPED.glob("*.toml")) for name in stations_in(path.stem)]


def load_station(name: str) -> Station:
    """Read and check a station file, or a position of it; raises FileError naming the file, the key and the remedy."""
    path, (_, position) = station_path(name), parted(name)
    station = _read(path, position)
    if (station.visa == "simulated") != (station.daq == "simulated"):
        raise FileError(f'{path}: "visa" and "daq": either both are "simulated" or none; one plant serves both')
    if station.simulated and not station.simulation:
        raise FileError(f"{path}: a simulated station needs a [simulation] table; see stations/sim.toml")
    if station.simulated and station.served is not None:
        raise FileError(f"{path}: [served] says that another program simulates; then visa and daq are its addresses")
    for role, target in station.roles.items():
        _known_role(path, role)
        _known_instrument(path, f"roles.{role}", target, station)
    for key, steps in _ordered(station):
        for step in steps:
            if step.target:
                _known_instrument(path, key, step.target, station)
    return station


def _read(path: Path, position: str) -> Station:
    """The station at a position of a file; the file's only one where it has no positions."""
    table = read_table(path)
    merged = at_position(path, table, position)
    insist_apart(path, table)
    try:
        return Station.model_validate(merged)
    except ValidationError as error:
        stands = partial(key_in_file, table, position)
        raise FileError(explain(path, error, model=Station, stands=stands)) from None


def _ordered(station: Station) -> tuple[tuple[str, list[SafeStep]], ...]:
    """The lists of ordered steps, by the key under which they stand in the file."""
    return (("ready", station.ready), ("safe_state", station.safe_state), ("hold", station.hold))


def _known_role(path: Path, role: str) -> None:
    if role not in role_names():
        hint = did_you_mean(role, role_names(), f"there are {', '.join(sorted(role_names()))}")
        raise FileError(f'{path}: key "roles.{role}": no protocol has this role; {hint}')


def _known_instrument(path: Path, key: str, target: str, station: Station) -> None:
    instrument = target.split(".")[0]
    if instrument not in station.instruments:
        hint = did_you_mean(instrument, station.instruments, f"it has {', '.join(station.instruments)}")
        raise FileError(f'{path}: key "{key}": there is no instrument "{instrument}"; {hint}')


@dataclass
class OpenStation:
    """A station with its instruments, made but not yet opened on the wire."""

    station: Station
    path: Path
    clock: Clock
    instruments: dict[str, Instrument]
    rig: Rig | None = None
    interlocks: list[Interlock] = field(default_factory=list)

    def channel(self, target: str) -> tuple[Instrument, Channel]:
        """Instrument and channel of "instrument.channel"; raises FileError."""
        name, _, channel_name = target.partition(".")
        instrument = self.instruments[name]
        for channel in instrument.channels:
            if channel.name == channel_name:
                return instrument, channel
        names = [channel.name for channel in instrument.channels]
        raise FileError(
            f'{self.path}: instrument "{name}" has no channel "{channel_name}"; it has {", ".join(names) or "none"}'
        )

    def rests_every(self, name: str) -> int:
        """Samples of an instrument of which one is kept while it rests, 1 if it never rests; raises FileError."""
        resting_s = self.station.instruments[name].resting_period_s
        try:
            return 1 if resting_s is None else samples_in(resting_s, spacing(self.instruments[name]))
        except ValueError as error:
            raise FileError(f'{self.path}: key "instruments.{name}.resting_period": {error}') from None

    def calibration(self, target: str) -> Calibration | None:
        """Calibration of "instrument.channel", None where the station file gives none."""
        name, _, channel_name = target.partition(".")
        return self.station.instruments[name].calibration.get(channel_name)


@contextmanager
def open_station(
    station: Station,
    path: Path,
    clock: Clock,
    *,
    seed: int = 0,
    faults: tuple[FaultSpec, ...] = (),
    dut: Mapping[str, Any] | None = None,
    fluid: Mapping[str, Any] | None = None,
    replay: Mapping[str, tuple[FloatArray, FloatArray]] | None = None,
    task_book: Path | None = None,
) -> Iterator[OpenStation]:
    """Make every instrument of a station, with the simulated rig behind it where the file says so.

    Nothing is sent on a wire before an engine opens the instruments.

    Parameters
    ----------
    task_book : file for the tasks on a device server, of whoever holds the station; see `instruments.daq_book`.
    """
    rig: Rig | None = None
    if station.simulated:
        from instruments.simulation.rig import Rig

        plant = as_plant(dut or {}, fluid or {})
        try:
            rig = Rig(
                station.simulation, clock, seed=seed, faults=faults, plant=plant, replay=replay, wires=wires_of(station)
            )
        except ValueError as error:
            raise FileError(f"{path}: {error}") from None
    try:
        connection = Connection.through(
            rig.visa if rig else station.visa,
            rig.daq_target if rig else (None if station.daq == "local" else station.daq),
        )
        if task_book is not None and connection.daq is not None:
            connection.daq = replace(connection.daq, book=TaskBook(task_book))
        if rig is not None and isinstance(clock, VirtualClock):
            from instruments.daq_session import InProcess  # nidaqmx behind it is heavy

            # In virtual time a network is only a cost; on the wall clock it is part of what is measured.
            connection.daq = InProcess(rig.daq_target, rig.daq.channel)
        instruments = {name: _instrument(path, name, station, clock, connection) for name in station.instruments}
        if station.stack_light is not None:
            set_apart(path, station.stack_light, instruments, _ordered(station))
        opened = OpenStation(station, path, clock, instruments, rig)
        opened.interlocks = [_interlock(opened, name, table) for name, table in station.interlocks.items()]
        _check_targets(opened)
        yield opened
    finally:
        if rig is not None:
            rig.close()


@contextmanager
def serve_rig(
    description: Mapping[str, Any],
    where: str,
    clock: WallClock,
    resources: Mapping[str, str],
    *,
    seed: int = 1,
    faults: tuple[FaultSpec, ...] = (),
    plant: Mapping[str, Any] | None = None,
    wires: Mapping[str, set[str]] | None = None,
) -> Iterator[ServedRig]:
    """Serve a simulated rig to other programs on ports of this computer.

    Parameters
    ----------
    description : a ``[simulation]`` table.
    where : the file that it is from, for messages.
    resources : name of an instrument -> its resource in the description.
    wires : for faults that strike one instrument: its resource, or the NI devices that it has terminals of.

    Raises
    ------
    FileError
        The description or a fault is wrong.
    """
    from instruments.simulation.rig import Rig
    from instruments.simulation.serving import ServedRig

    try:
        rig = Rig(description, clock, seed=seed, faults=faults, plant=plant, wires=wires)
    except ValueError as error:
        raise FileError(f"{where}: {error}") from None
    try:
        with ServedRig(rig, clock, resources) as served:
            yield served
    finally:
        rig.close()


def _instrument(path: Path, name: str, station: Station, clock: Clock, connection: Connection) -> Instrument:
    table = station.instruments[name]
    try:
        driver = load_driver(table.driver)
    except DriverError as error:
        raise FileError(f'{path}: key "instruments.{name}.driver": {error}') from None
    try:
        settings = driver.settings_type.model_validate(table.model_extra or {})
    except ValidationError as error:
        stands = partial(key_in_file, read_table(path) if station.position else {}, station.position)
        where = f"instruments.{name}"
        raise FileError(explain(path, error, model=driver.settings_type, prefix=where, stands=stands)) from None
    return driver(name, settings, clock, connection)


def _interlock(opened: OpenStation, name: str, table: InterlockTable) -> Interlock:
    instrument, channel = opened.channel(table.channel)
    for target in table.flags:
        opened.channel(target)
    try:
        return protection.interlock(name, table, channel.unit, spacing(instrument))
    except ValueError as error:
        raise FileError(f'{opened.path}: key "interlocks.{name}": {error}') from None


def _check_targets(opened: OpenStation) -> None:
    """Every role and calibration names a channel or instrument that exists."""
    for target in opened.station.roles.values():
        if "." in target and not _is_valve(opened, target):
            opened.channel(target)
    for name, table in opened.station.instruments.items():
        opened.rests_every(name)
        for channel in table.calibration:
            opened.channel(f"{name}.{channel}")
    for key, steps in _ordered(opened.station):
        for step in steps:
            if step.target and (wrong := protection.unfit(step, opened.instruments[step.instrument_name])):
                raise FileError(f'{opened.path}: key "{key}": {wrong}')
    _check_protection(opened)


def _check_protection(opened: OpenStation) -> None:
    """What the protection names is there."""
    stated = opened.station.protection
    if stated is None:
        return
    for key, name in (("interlock", stated.interlock), ("e_stop", stated.e_stop)):
        if name is not None and name not in opened.station.interlocks:
            there = ", ".join(opened.station.interlocks) or "none"
            raise FileError(f'{opened.path}: key "protection.{key}": there is no interlock "{name}"; there are {there}')
    for key, name in (("vent", stated.vent), ("supply", stated.supply)):
        if name is not None and not _is_valve(opened, name):
            raise FileError(f'{opened.path}: key "protection.{key}": there is no valve "{name}"; name one')


def _is_valve(opened: OpenStation, target: str) -> bool:
    name, _, line = target.partition(".")
    return name in opened.instruments and line in getattr(opened.instruments[name], "valve_names", ())


def sampled(opened: OpenStation) -> dict[str, Polled | Buffered]:
    """The instruments that measure."""
    return {
        name: instrument
        for name, instrument in opened.instruments.items()
        if isinstance(instrument, Polled | Buffered) and instrument.channels
    }
