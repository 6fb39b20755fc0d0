"""Commands for the people of a lab: ``handover`` and ``chart``."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import Any

import click

from bench.cli.log_options import BadInput, quantity
from bench.cli.paths import FilePath

MOST_SINCE_S = 3.2e9
"""A hundred years; the calendar does not reach back for ever."""


@click.command()
@click.argument("folder", type=FilePath(), default=Path("runs"))
@click.option("--since", default="12 h", show_default=True, help="Runs that ended within this time are told too.")
@click.option("--person", default="", help="Who hands over; the OS account without it.")
def handover(folder: Path, since: str, person: str) -> int:
    """Write the hand-over note of the runs in FOLDER: what goes on, what waits, what happened."""
    from datetime import timedelta

    from bench.unattended.handover import handover_text, run_notes
    from instruments.clock import WallClock

    now, since_s = WallClock().start, quantity("--since", since, "time")
    if not 0.0 < since_s < MOST_SINCE_S:
        raise BadInput(f"--since {since}: it is how long ago the last shift ended; give a time above 0, such as 12 h")
    if not folder.is_dir():
        raise click.UsageError(f"{folder}: there is no such folder; give the folder of the runs")
    notes = run_notes(folder, now - timedelta(seconds=since_s))
    click.echo(handover_text(notes, folder, now, person or getpass.getuser()))
    return 0


@click.command()
@click.argument("station")
@click.option("--folder", type=FilePath(), default=Path("runs"), show_default=True)
@click.option("--check", help="Only this result of the rig check, such as flow-gain.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def chart(station: str, folder: Path, check: str | None, as_json: bool) -> int:
    """Show the control chart of STATION's rig checks in a folder of runs.

    Exit code 1 when the latest value of a result is out of control.
    """
    from bench.rig_chart import rig_charts
    from bench.station import load_station

    if not folder.is_dir():
        raise click.UsageError(f"{folder}: there is no such folder; give the folder of the runs")
    charts = [one for one in rig_charts(folder, load_station(station).name) if check in (None, one.check)]
    if not charts:
        raise click.UsageError(f'{folder}: has no rig check of station "{station}" with such a result; run rig-check')
    if as_json:
        click.echo(json.dumps([one.to_json() for one in charts], indent=1, allow_nan=False))
    else:
        _print([one.row() for one in charts])
        remarks = [one.remark for one in charts if one.remark]
        for line in remarks or ["nothing is out of control"] * any(one.chart is not None for one in charts):
            click.echo(line)
    return 1 if any(one.latest_is_out for one in charts) else 0


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in rows[0]:
        table.add_column(heading, no_wrap=True, justify="right" if heading == "n" else "left")
    for row in rows:
        table.add_row(*map(Text, row.values()))
    Console(width=None if sys.stdout.isatty() else 100).print(table)
