"""Commands that list what is there: ``protocols``, ``stations``, ``duts`` and ``faults``."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from data.quantity_fields import Stated


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in rows[0] if rows else ():
        # A name that breaks in the middle cannot be copied; the last column may be long.
        table.add_column(heading, overflow="fold", no_wrap=heading in ("name", "parameter", "severity"))
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row.values()))
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def protocols(name: str | None, as_json: bool) -> int:
    """List the protocols, or the parameters of the one called NAME."""
    from protocols.procedure import load_procedure, procedure_names

    if name is None:
        kinds = [load_procedure(item) for item in procedure_names()]
        _print([{"name": kind.name, "method": kind.method, "what it does": kind.title} for kind in kinds], as_json)
        return 0
    rows = [
        {
            "parameter": item.short_name,
            "default": item.default,
            "from": item.low,
            "to": item.high,
            "choices": ", ".join(item.choices) or None,
            "meaning": item.help,
        }
        for item in load_procedure(name).params.values()
    ]
    _print(rows, as_json)
    return 0


@click.command()
@click.argument("check", nargs=-1)
@click.option("--clear-watchdog", "watchdog", metavar="INSTRUMENT", help="Clear its watchdog, which has fired.")
@click.option("--person", default="", help="Who clears it; the OS account without it.")
@click.option("--reason", default="", help="Why it may go on; it is recorded.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def stations(check: tuple[str, ...], watchdog: str | None, person: str, reason: str, as_json: bool) -> int:
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
    _print(rows, as_json)
    return 0


@click.command()
@click.argument("check", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def duts(check: tuple[Path, ...], as_json: bool) -> int:
    """List the shipped device files, or CHECK files and say what is wrong with them."""
    from bench.request import SHIPPED
    from data.dut import load_catheter, load_dut, load_fluid

    loaders: dict[str, Callable[[Path], Stated]] = {"dut": load_dut, "catheter": load_catheter, "fluid": load_fluid}
    paths = check or [path for kind in loaders for path in sorted((SHIPPED / f"{kind}s").glob("*.toml"))]
    rows = []
    for path in paths:
        kind = _kind(path)
        article = loaders[kind](path)
        model = getattr(article, "model", None) or getattr(article, "name", None)
        rows.append({"kind": kind, "name": path.stem, "model": model, "file": str(path)})
    _print(rows, as_json)
    return 0


def _kind(path: Path) -> str:
    """Whether a file states a device, a catheter or a fluid, by the keys that only one of them has."""
    import re

    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return "dut"  # whose loader says what is wrong with the file
    for kind, keys in (
        ("dut", "rate_range|reservoir"),
        ("catheter", "bore|length_supplied"),
        ("fluid", "drug|density_"),
    ):
        if re.search(rf"^\s*({keys})", text, re.MULTILINE):
            return kind
    return "dut"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def faults(as_json: bool) -> int:
    """List the faults that a simulated station can have."""
    from bench.station import fault_rows

    _print(fault_rows(), as_json)
    return 0
