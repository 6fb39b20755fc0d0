"""Commands that list what is there: ``protocols``, ``duts`` and ``faults``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.paths import FilePath

if TYPE_CHECKING:
    from data.quantity_fields import Stated


def print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print a table, or JSON."""
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
        print_rows([{"name": kind.name, "method": kind.method, "what it does": kind.title} for kind in kinds], as_json)
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
    print_rows(rows, as_json)
    return 0


@click.command()
@click.argument("check", nargs=-1, type=FilePath())
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
    print_rows(rows, as_json)
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

    print_rows(fault_rows(), as_json)
    return 0
