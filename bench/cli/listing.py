"""Commands that list what is there: ``protocols``, ``stations``, ``duts`` and ``faults``."""

from __future__ import annotations

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

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in rows[0] if rows else ():
        table.add_column(heading)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)


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
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def stations(check: tuple[str, ...], as_json: bool) -> int:
    """List the shipped stations, or CHECK station files and say what is wrong with them."""
    from bench.station import SHIPPED, load_station, open_station, station_path
    from instruments.clock import VirtualClock, WallClock

    rows = []
    for name in check or sorted(item.stem for item in SHIPPED.glob("*.toml")):
        station = load_station(name)
        if check:
            clock = VirtualClock() if station.simulated else WallClock()
            with open_station(station, station_path(name), clock):
                pass
        rows.append({"name": name, "title": station.title, "simulated": station.simulated})
    _print(rows, as_json)
    return 0


@click.command()
@click.argument("check", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def duts(check: tuple[Path, ...], as_json: bool) -> int:
    """List the shipped device files, or CHECK files and say what is wrong with them."""
    from bench.session import SHIPPED
    from data.dut import load_catheter, load_dut, load_fluid

    loaders: dict[str, Callable[[Path], Stated]] = {"duts": load_dut, "catheters": load_catheter, "fluids": load_fluid}
    paths = check or [path for folder in loaders for path in sorted((SHIPPED / folder).glob("*.toml"))]
    rows = []
    for path in paths:
        folder = path.parent.name if path.parent.name in loaders else "duts"
        article = loaders[folder](path)
        rows.append({"kind": folder.removesuffix("s"), "name": path.stem, "model": getattr(article, "model", None)})
    _print(rows, as_json)
    return 0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def faults(as_json: bool) -> int:
    """List the faults that a simulated station can have."""
    from bench.station import fault_rows

    _print(fault_rows(), as_json)
    return 0
