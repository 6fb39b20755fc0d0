"""``pumpbench stations``: list and check station files; find out what is at ports, and write a station file of it."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.listing import print_rows
from bench.cli.paths import FilePath
from bench.state_folder import home

if TYPE_CHECKING:
    from instruments.recognition import Found


class _Stations(click.Group):
    """Whatever is no command is a station file: ``stations lab-1.toml`` checks it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in front that is meant."""
        meant = args[:1] == ["scan"] or args[:1] in (["-h"], ["--help"])
        return super().parse_args(ctx, args if meant else ["check", *args])


@click.group(cls=_Stations)
def stations() -> None:
    """List the shipped stations, check station files, find out what is at ports.

    pumpbench stations [FILE...] lists or checks, with the options of "check"; pumpbench stations scan PORT... asks.
    """


@stations.command("check")
@click.argument("check", nargs=-1)
@click.option("--clear-watchdog", "watchdog", metavar="INSTRUMENT", help="Clear its watchdog, which has fired.")
@click.option("--person", default="", help="Who clears it; the OS account without it.")
@click.option("--reason", default="", help="Why it may go on; it is recorded.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def listed(check: tuple[str, ...], watchdog: str | None, person: str, reason: str, as_json: bool) -> int:
    """List the shipped stations, or CHECK station files and say what is wrong with them.

    With --clear-watchdog, end what the watchdog of an INSTRUMENT of the one station has locked.
    """
    from bench.positions import joined
    from bench.station import load_station, open_station, shipped_stations, station_path, stations_in
    from instruments.clock import VirtualClock, WallClock

    if watchdog is not None:
        if len(check) != 1:
            raise click.UsageError("--clear-watchdog needs the one station that it belongs to; name it")
        from bench.watchdog_clearing import clear_watchdog

        click.echo(f"{watchdog}: {clear_watchdog(check[0], watchdog, person or getpass.getuser(), reason)}")
        return 0
    rows = []
    for name in [each for given in check for each in stations_in(given)] or shipped_stations():
        station = load_station(name)
        if check:
            clock = VirtualClock() if station.simulated else WallClock()
            with open_station(station, station_path(name), clock):
                pass
        path = station_path(name)
        named = joined(path.stem, station.position)
        rows.append({"name": named, "title": station.title, "simulated": station.simulated, "file": str(path)})
    print_rows(rows, as_json)
    return 0


@stations.command("scan")
@click.argument("ports", nargs=-1, metavar="[PORT]...")
@click.option("--tcp", "addresses", multiple=True, metavar="HOST:PORT", help="A socket, or a terminal server's port.")
@click.option("--daq", metavar="local|HOST:PORT", help="List the NI devices of this computer, or of a device server.")
@click.option("--out", type=FilePath(), help="Write a station file, to be filled in.")
@click.option("--visa", default="@py", show_default=True, help="VISA library; empty for that of a vendor.")
@click.option("--per-port", default="20 s", show_default=True, help="How long a port may take.")
@click.option("--at-most", default="2 min", show_default=True, help="How long all of them may take.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def scanned(
    ports: tuple[str, ...],
    addresses: tuple[str, ...],
    daq: str | None,
    out: Path | None,
    visa: str,
    per_port: str,
    at_most: str,
    as_json: bool,
) -> int:
    """Ask at each PORT who is there, with questions that move, zero and set nothing, and write a station file.

    PORT is a serial port (/dev/ttyUSB0, COM4) or a VISA resource.  Nothing but what is named is opened.
    Exit code 1 when something that was named was not recognised.
    """
    from bench.scan import in_use as used_by_runs
    from bench.scan import ni_devices, resource_of, scan, tcp_resource, unnamed_twice
    from data.quantities import parse
    from instruments.clock import WallClock

    if not ports and not addresses and daq is None:
        raise click.UsageError("where is to be asked? name a port such as /dev/ttyUSB0, or give --tcp or --daq")
    if out is not None and out.exists():
        raise click.UsageError(f"--out {out}: it is there already; choose another name")
    if out is not None and out.suffix != ".toml":
        raise click.UsageError(f"--out {out}: a station file ends in .toml")
    resources = [*map(resource_of, ports), *map(tcp_resource, addresses)]
    clock = WallClock()
    found = scan(
        resources,
        clock,
        library=visa,
        port_s=parse(per_port, "time"),
        total_s=parse(at_most, "time"),
        in_use=used_by_runs(home()),
        told=lambda each: None if as_json else click.echo(f"{each.resource}: {_said(each)}"),
    )
    found = unnamed_twice(found)
    devices = [] if daq is None else ni_devices(daq)
    if as_json:
        said = {"ports": [_json(each) for each in found], "daq": [_fields(each) for each in devices]}
        click.echo(json.dumps(said, indent=1))
    else:
        for each in devices:
            click.echo(f"{each.name}: {each.product}, serial number {each.serial}")
    if out is not None:
        from bench.scan_file import station_text

        text = station_text(out.stem, found, devices, visa=visa, daq=daq or "local", today=clock.start.date())
        out.write_text(text, "utf-8")
        click.echo(f"{out} is written; fill in what is commented out, then: pumpbench stations {out}", err=as_json)
    return 0 if all(each.recognised for each in found) else 1


def _said(found: Found) -> str:
    """What was found, in a few words."""
    if found.recognised is None:
        return found.why
    one, line = found.recognised.identity, found.line
    who = " ".join(part for part in (one.maker, one.model) if part)
    serial = f", serial number {one.serial}" if one.serial else ""
    parity = "" if line is None else f", {line.baud} {line.data_bits}{line.parity[0].upper()}{line.stop_bits}"
    return f"{found.driver}: {who}{serial}{parity}"


def _json(found: Found) -> dict[str, Any]:
    said: dict[str, Any] = {"resource": found.resource, "driver": found.driver or None, "why": found.why}
    if found.recognised is not None:
        said |= {"identity": _fields(found.recognised.identity), "settings": dict(found.recognised.settings)}
    return said


def _fields(one: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(one)
