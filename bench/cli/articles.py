"""The command ``articles``: pumps, catheters, fluids and instruments of a lab, and what may be used."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.catalogue import table
from bench.cli.paths import FilePath

if TYPE_CHECKING:
    from bench.articles import Standing

_FILE = click.argument("file", type=FilePath())


@click.group()
def articles() -> None:
    """List pumps, catheters, fluids and instruments of a lab; say what may be used."""


@articles.command("list")
@_FILE
@click.option("--kind", type=click.Choice(["dut", "catheter", "fluid", "instrument"]), help="Only these.")
@click.option("--status", type=click.Choice(["in-use", "quarantined", "retired"]), help="Only these.")
@click.option("--catalogue", "place", default="", metavar="URL", help="A file, or postgresql://USER@HOST/NAME.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def listed(file: Path, kind: str | None, status: str | None, place: str, as_json: bool) -> int:
    """List the articles of FILE with their status, their runs, and what speaks against using them.

    Exit code 1 when an article that is in use should not be.
    """
    from bench.articles import load_register, standings
    from bench.catalogue import opened, place_of
    from data.catalogue.store import is_there
    from instruments.clock import WallClock

    register, today = load_register(file), WallClock().start.date()
    if is_there(place_of(place)):
        with opened(place) as there:
            found = standings(register, there, today)
    else:
        found = standings(register, None, today)
    found = [one for one in found if kind in (None, one.article.kind) and status in (None, one.status)]
    if as_json:
        click.echo(json.dumps([_json(one) for one in found], indent=1))
    else:
        table(
            [
                {
                    "kind": one.article.kind,
                    "id": one.article.id,
                    "model": one.article.model,
                    "status": one.status,
                    "runs": str(one.runs),
                    "last run": one.last_run[:10],
                    "certificates": ", ".join(each.number for each in one.article.certificates),
                }
                for one in found
            ]
        )
        for one in found:
            for problem in one.problems:
                click.echo(f"  {one.article.id}: {problem}")
    return 1 if any(one.status == "in-use" and one.problems for one in found) else 0


@articles.command("set")
@_FILE
@click.argument("name")
@click.option(
    "--status", type=click.Choice(["in-use", "quarantined", "retired"]), required=True, help="What it is now."
)
@click.option("--reason", required=True, help="Why.")
@click.option("--person", default="", help="Who says so; the OS account without it.")
def change(file: Path, name: str, status: str, reason: str, person: str) -> int:
    """Say whether the article NAME may be used; the rows before stay in FILE."""
    from bench.articles import STATUSES, ArticleError, change_status
    from instruments.clock import WallClock

    if not reason.strip():
        raise ArticleError("--reason: a change of status needs a reason")
    wanted = next(one for one in STATUSES if one == status)
    change_status(file, name, wanted, reason.strip(), person or getpass.getuser(), WallClock().start)
    click.echo(f"{name} is {status}")
    return 0


def _json(one: Standing) -> dict[str, Any]:
    return one.article.model_dump(mode="json") | {
        "status": one.status,
        "change": None if one.change is None else one.change.model_dump(mode="json"),
        "problems": list(one.problems),
        "runs": one.runs,
        "last_run": one.last_run,
    }
