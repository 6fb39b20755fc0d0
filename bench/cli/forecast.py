"""``pumpbench forecast``: how long a run must be, and, while it runs, what is known by now."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.paths import FilePath, Name

if TYPE_CHECKING:
    from rich.console import Console

    from bench.forecast import Live, Outlook
    from protocols.analysis.forecast import Expected

EXIT_FAIL = 1
EXIT_NO_VERDICT = 4
HOUR_S = 3600.0


@click.command()
@click.argument("procedure", required=False)
@click.option("--station", type=Name(), help="Station file, or the name of a shipped one (see: pumpbench stations).")
@click.option(
    "--dut", type=Name(), help="File of the device under test, or the name of a shipped one (see: pumpbench duts)."
)
@click.option("--fluid", type=Name(), help="File of the fluid, or the name of a shipped one.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help='A parameter, such as analysis="25 h" (see: pumpbench protocols PROCEDURE).  May be given more than once.',
)
@click.option(
    "--error",
    "errors",
    multiple=True,
    type=float,
    metavar="PERCENT",
    help="Also say how long a run must be to decide on a pump with this error.  May be given more than once.",
)
@click.option(
    "--run",
    "journal",
    type=FilePath(),
    metavar="JOURNAL",
    help="A run that goes on: what is known by now, and what will be.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def forecast(
    procedure: str | None,
    station: str | None,
    dut: str | None,
    fluid: str | None,
    settings: Sequence[str],
    errors: Sequence[float],
    journal: Path | None,
    as_json: bool,
) -> int:
    """Say how uncertain a run of PROCEDURE will be before it is started, and how long it must be to decide.

    The figures follow from the uncertainties that the station file declares, by the budget with which the run will be
    judged.  Exit code 4 when the planned run could not pass any pump; with --run 1 when the pump has clearly failed.
    """
    if journal is not None:
        if procedure or station or dut or fluid or settings or errors:
            raise click.UsageError("--run takes the plan from the run; leave out the protocol and all but --json")
        return _live(journal, as_json)
    if procedure is None or station is None:
        raise click.UsageError("name a protocol and its --station, or a run with --run JOURNAL")
    from bench.cli.run import pair
    from bench.forecast import outlook, subject_of
    from bench.request import Request, prepare

    if not all(map(math.isfinite, errors)):
        raise click.UsageError("--error takes a number in percent, such as --error 1")
    asked = Request(
        procedure, station, settings=dict(pair(text) for text in settings), dut=dut, fluid=fluid, serial="forecast"
    )
    found = outlook(subject_of(prepare(asked)), errors)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1, allow_nan=False))
    else:
        _show(found)
    return EXIT_NO_VERDICT if found.plan.checks[0].capable is False else 0


def _live(journal: Path, as_json: bool) -> int:
    from bench.forecast import live
    from data.fold import fold
    from data.run import Run

    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder) / f"{journal.stem}.h5"
        fold(journal, snapshot, incomplete=True)
        with Run.open(snapshot) as run:
            found = live(run)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1, allow_nan=False))
    else:
        _show_live(found)
    return EXIT_FAIL if found.clear_fail else 0


def _hours(time_s: float | None) -> str:
    return "no length" if time_s is None else f"{time_s / HOUR_S:.3g} h"


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _show(found: Outlook) -> None:
    from protocols.analysis.forecast import dominant
    from protocols.analysis.gravimetric_forecast import REMEDIES

    plan, console = found.plan, _console()
    first = plan.checks[0]
    part = "" if plan.analysis_s == plan.duration_s else f", {_hours(plan.analysis_s)} of it analysis"
    console.print(f"planned run       {'at most ' if found.at_most else ''}{_hours(plan.duration_s)}{part}")
    for one in plan.checks:
        console.print(f"{one.title}: U = {_interval(one)}{_judged(one)}")
    for note in plan.notes:
        console.print(f"note: {note}")
    if len(found.table) > 1:
        _show_table(found, console)
    if first.limits is not None and len(found.table) > 1:
        console.print(f"shortest analysis with which a pump can pass: {_hours(found.capable_s)}")
    for decision in found.decisions:
        told = f"a pump at {decision.value:+.3g} {first.unit} is decided in 19 runs of 20 after"
        console.print(f"{told} {_hours(decision.analysis_s)}")
    for source, share in dominant(first.budget):
        remedy = f": {REMEDIES[source]}" if source in REMEDIES else ""
        console.print(f"{100.0 * share:3.0f} % of the variance is {source}{remedy}")
    for what, expanded in found.changes:
        console.print(f"with {what} U = {expanded:.2g} {first.unit}")


def _show_table(found: Outlook, console: Console) -> None:
    from rich.table import Table

    first = found.plan.checks[0]
    table = Table("analysis [h]", "run [h]", f"U [{first.unit}]", first.of_ten, "capable", title=first.title)
    for column in table.columns:
        column.justify = "right"
    for forecast in found.table:
        one = forecast.checks[0]
        planned = " <" if forecast.analysis_s == found.plan.analysis_s else ""
        capable = "" if one.capable is None else "yes" if one.capable else "no"
        table.add_row(
            f"{forecast.analysis_s / HOUR_S:.4g}",
            f"{forecast.duration_s / HOUR_S:.4g}",
            f"{one.expanded:.3g}",
            f"{one.low:.3g} to {one.high:.3g}",
            capable + planned,
        )
    console.print(table)


def _interval(one: Expected) -> str:
    if one.is_sure:
        return f"{one.expanded:.3g} {one.unit}"
    return f"{one.expanded:.3g} {one.unit} ({one.low:.3g} to {one.high:.3g} in {one.of_ten})"


def _judged(one: Expected) -> str:
    if one.most is None:
        return ", no limit declared"
    return f", {'capable' if one.capable else 'not capable'}: a pump can pass with U up to {one.most:.3g} {one.unit}"


def _show_live(found: Live) -> None:
    check, console = found.check, _console()
    console.print(f"analysis          {_hours(found.analysed_s)} of {_hours(found.planned_s)}")
    if check.value is None or check.expanded_uncertainty is None:
        console.print(f"{check.title}: nothing yet{f' ({check.note})' if check.note else ''}")
    else:
        console.print(f"{check.title}: {check.value:+.3g} {check.unit}, U = {check.expanded_uncertainty:.3g}")
    if check.note:
        console.print(f"note: {check.note}")
    if found.so_far is not None:
        console.print(f"U expected by now, with both blanks: {_interval(found.so_far)}")
    console.print(f"U expected at the planned end: {_interval(found.at_end)}")
    if found.clear_fail:
        console.print("the pump is outside its limits by more than is uncertain: a clear fail")
    elif check.limit_low is not None or check.limit_high is not None:
        told = f"not clear of its limits; a pump of this value is decided by {_hours(found.decided_s)} of analysis"
        console.print(f"{told} when every blank is in")
