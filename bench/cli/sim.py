"""``pumpbench sim``: simulated instruments for other programs, on ports of this computer."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bench.cli.paths import FilePath, Name

TRUTH_EVERY_S = 1.0


@click.group()
def sim() -> None:
    """Serve simulated instruments to other programs."""


@sim.command()
@click.option("--station", type=Name(), metavar="STATION", help="Serve the instruments of this simulated station.")
@click.option(
    "--instrument",
    "instruments",
    multiple=True,
    metavar="NAME=DRIVER",
    help="Serve one instrument without a station, such as scale=mettler-mtsics.  May be given more than once.",
)
@click.option("--daq", is_flag=True, help="With --instrument or alone: serve NI devices too, as a gRPC device server.")
@click.option("--dut", type=Name(), help="The pump under test of the station: a file, or the name of a shipped one.")
@click.option("--fluid", type=Name(), help="The fluid: a file, or the name of a shipped one.")
@click.option("--pace", type=float, default=1.0, show_default=True, help="Seconds of the rig in a real second.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the rig.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME:SEVERITY@TIME+DURATION/INSTRUMENT",
    help="A fault, as pumpbench run takes it; its time counts from the start of the rig.",
)
@click.option("--write-station", type=FilePath(), help="Write the station file for runs on this rig.")
@click.option(
    "--wire",
    type=click.Choice(["tcp", "pty"]),
    default="tcp",
    show_default=True,
    help="Which ports the written station names.",
)
@click.option("--json", "as_json", is_flag=True, help="Say in one line of JSON that it is ready, and where.")
@click.option("--truth", is_flag=True, help="Print what is true in the plant once a second, as lines of JSON.")
def serve(
    station: str | None,
    instruments: Sequence[str],
    daq: bool,
    dut: str | None,
    fluid: str | None,
    pace: float,
    seed: int,
    faults: Sequence[str],
    write_station: Path | None,
    wire: Any,
    as_json: bool,
    truth: bool,
) -> int:
    """Serve a simulated bench on ports of this computer, until Ctrl-C or a termination.

    Every instrument is on a TCP port and, where the platform has them, on a pseudo terminal; NI devices are behind a
    gRPC device server.  One plant and one clock are behind all of them.
    """
    from bench import served_rig
    from bench.station import parse_fault, serve_rig
    from bench.station_tables import Served
    from instruments.clock import WallClock

    if (station is None) == (not instruments and not daq):
        raise click.UsageError("what is to be served? give --station, or --instrument NAME=DRIVER and --daq")
    if station is None and (write_station or dut or fluid):
        raise click.UsageError("--write-station, --dut and --fluid go with --station")
    try:
        clock = WallClock(pace)
    except ValueError as error:
        raise click.UsageError(f"--{error}") from None
    if station is not None:
        rig = served_rig.of_station(station, dut, fluid)
    else:
        rig = served_rig.of_instruments(_named(instruments), daq=daq)
    parsed = tuple(parse_fault(text) for text in faults)
    with (
        _until_told() as ended,
        serve_rig(
            rig.simulation,
            rig.where,
            clock,
            rig.resources,
            seed=seed,
            faults=parsed,
            plant=rig.plant,
            wires=rig.wires,
        ) as served,
    ):
        target = served.daq if rig.has_daq else None
        if station is not None and write_station is not None:
            resources = {name: served_rig.visa_resource(ports, wire) for name, ports in served.ports.items()}
            stated = Served(pace=pace, seed=seed, faults=list(faults))
            served_rig.write_station(station, write_station, resources, served.daq, stated)
        _tell(rig.drivers, served.ports, target, as_json=as_json)
        _wait(clock, TRUTH_EVERY_S * pace, ended, served.truth if truth else None)
    return 0


def _named(instruments: Sequence[str]) -> dict[str, str]:
    """Driver of each instrument by its name; raises UsageError."""
    drivers: dict[str, str] = {}
    for text in instruments:
        name, equals, driver = (part.strip() for part in text.partition("="))
        if not equals or not name or not driver:
            raise click.UsageError(
                f'--instrument "{text}" is malformed; write NAME=DRIVER, such as scale=mettler-mtsics'
            )
        if name in drivers:
            raise click.UsageError(f'--instrument: there are two instruments "{name}"; give each a name of its own')
        drivers[name] = driver
    return drivers


@contextmanager
def _until_told() -> Iterator[list[str]]:
    """Note what ends the program; in a list, since a handler may not wake anything that has a lock."""
    ended: list[str] = []
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda n, _: ended.append(signal.Signals(n).name)) for number in numbers}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(clock: Any, every_s: float, ended: Sequence[str], truth: Callable[[], Mapping[str, Any]] | None) -> None:
    """Wait for the end; tell the truth meanwhile."""
    looks = 10
    looked = 0
    while not ended:
        clock.sleep(every_s / looks)
        looked += 1
        if truth is not None and looked % looks == 0:
            try:
                click.echo(json.dumps(truth()))
            except BrokenPipeError:
                return


def _tell(
    drivers: Mapping[str, str], ports: Mapping[str, Mapping[str, str]], daq: str | None, *, as_json: bool
) -> None:
    """Say that it is ready, and where."""
    said = {name: {"driver": driver, **ports[name]} for name, driver in drivers.items()}
    if as_json:
        click.echo(json.dumps({"instruments": said, "daq": daq}))
        return
    rows = [("instrument", "driver", "TCP", "serial port")]
    rows += [(name, each["driver"], each["tcp"], each.get("pty", "")) for name, each in said.items()]
    if daq is not None:
        rows.append(("NI devices", "ni-daqmx", daq, ""))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    click.echo("Ctrl-C ends it.")
