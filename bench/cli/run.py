"""Commands that make runs: ``demo``, ``run`` and ``replay``."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.paths import FilePath, Name
from bench.cli.show import check_rows, result_table, value_row
from bench.cli.terminal import Terminal, somebody_is_there

if TYPE_CHECKING:
    from bench.preflight import Finding
    from bench.request import Request
    from bench.session import Result

DEMO_SEED = 7


@click.command()
@click.option("--out", type=FilePath(), default=Path("runs"), show_default=True, help="Folder of the run file.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def demo(out: Path, as_json: bool) -> int:
    """Run a complete flow-accuracy test of a simulated pump.

    Real pyvisa and real nidaqmx drive a simulated station through 24 h of stabilisation and 25 h of analysis at
    1 mL/day; the run is recorded, evaluated and verified as it would be in the lab.
    """
    from bench.request import Request

    return _conduct(Request("flow-accuracy", "sim", seed=DEMO_SEED, out=out), as_json)


@click.command()
@click.argument("procedure", required=False)
@click.option(
    "--recipe",
    type=Name(),
    metavar="FILE",
    help="A recipe, which fixes protocol, parameters and limits (see: pumpbench recipes).",
)
@click.option(
    "--station",
    type=Name(),
    required=True,
    help="Station file, or the name of a shipped one (see: pumpbench stations).",
)
@click.option(
    "--dut", type=Name(), help="File of the device under test, or the name of a shipped one (see: pumpbench duts)."
)
@click.option("--serial", type=Name(), help="Serial number of the device under test.")
@click.option("--catheter", type=Name(), help="File of the catheter, or the name of a shipped one.")
@click.option("--fluid", type=Name(), help="File of the fluid, or the name of a shipped one.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help='A parameter, such as analysis="25 h" (see: pumpbench protocols PROCEDURE).  May be given more than once.',
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME:SEVERITY@TIME+DURATION/INSTRUMENT",
    help="A fault of a simulated station, such as leak:0.3@2h or unplug@2h+5min/balance; all but the name may be left "
    "out (see: pumpbench faults).  May be given more than once.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of a simulated station.")
@click.option("--out", type=FilePath(), default=Path("runs"), show_default=True, help="Folder of the run file.")
@click.option("--pace", type=float, help="Simulated seconds a real second; as fast as possible without it.")
@click.option("--person", default="", help="Who runs this; the OS account without it.")
@click.option("--override", "overrides", multiple=True, metavar="FINDING", help="Start although a finding blocks.")
@click.option("--reason", default="", help="Why the finding is overridden.")
@click.option("--longest-block", metavar="TIME", help='Longest piece of a hardware-timed stream ("30 s").')
@click.option(
    "--answers", type=Name(), metavar="FILE", help="Answers to the prompts of the run, so that nobody need be asked."
)
@click.option(
    "--ask-me",
    is_flag=True,
    help="You answer on a simulated station too (with --pace); its operator only does what is asked.",
)
@click.option("--detach", is_flag=True, help="Run in a process of its own, after those that wait (see: runner).")
@click.option("--hold", is_flag=True, help="With --detach: begin only at the command of a person (runner start).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def run(
    procedure: str | None,
    recipe: str | None,
    station: str,
    dut: str | None,
    serial: str | None,
    catheter: str | None,
    fluid: str | None,
    settings: Sequence[str],
    faults: Sequence[str],
    seed: int,
    out: Path,
    pace: float | None,
    person: str,
    overrides: Sequence[str],
    reason: str,
    longest_block: str | None,
    answers: str | None,
    ask_me: bool,
    detach: bool,
    hold: bool,
    as_json: bool,
) -> int:
    """Run PROCEDURE (see: pumpbench protocols), or a recipe, on a station and record it."""
    from bench.request import Override, Request

    if procedure is None:
        procedure = _protocol_of(recipe)

    if overrides and not (person and reason):
        raise click.UsageError("--override needs a named --person and a --reason")
    request = Request(
        procedure,
        station,
        settings=dict(pair(text) for text in settings),
        dut=dut,
        serial=serial or "",
        catheter=catheter,
        fluid=fluid,
        faults=faults,
        seed=seed,
        out=out,
        pace=pace,
        person=person,
        overrides=[Override(name, person, reason) for name in overrides],
        longest_block_s=None if longest_block is None else _time("--longest-block", longest_block),
        answers=answers,
        person_answers=ask_me,
        attended=detach or somebody_is_there(),
        recipe=recipe,
    )
    if hold and not detach:
        raise click.UsageError("--hold needs --detach; a run in the foreground begins at once")
    if detach:
        from bench.cli.runner import detach as detach_run

        return detach_run(request, hold, as_json)
    return _conduct(request, as_json)


@click.command()
@click.argument("log", type=FilePath())
@click.option("--interval", default="1 s", show_default=True, help="Spacing of the values of a log without times.")
@click.option("--unit", default="nL/min", show_default=True, help="Unit of the values.")
@click.option("--out", type=FilePath(), default=Path("runs"), show_default=True, help="Folder of the run file.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def replay(log: Path, interval: str, unit: str, out: Path, as_json: bool) -> int:
    """Play LOG, a recorded flow, through the wire of a simulated flow sensor into a run file.

    A line of LOG holds one value, or a time in seconds and a value.  The real driver and pyvisa read it as they would
    read the sensor; the run's origin is "replayed".
    """
    from bench.request import Request
    from bench.station import read_flow_log

    _time("--interval", interval)
    times, values = read_flow_log(log, interval, unit)
    length = f"{max(600.0, float(times[-1] - times[0])):.3f} s"
    settings = {"recording": length}
    return _conduct(
        Request("flow-record", "replay", settings=settings, out=out, replay={"flow_nl_per_min": (times, values)}),
        as_json,
    )


def _protocol_of(recipe: str | None) -> str:
    """Protocol of a recipe; raises a UsageError where there is none."""
    if recipe is None:
        raise click.UsageError("say which protocol to run (see: pumpbench protocols), or give a --recipe")
    from bench.recipe import load_recipe

    return load_recipe(Path(recipe)).recipe.protocol


def _time(option: str, text: str) -> float:
    """A time above 0, in s; raises a UsageError that names the option."""
    from data import quantities

    try:
        time_s = quantities.parse(text, "time")
    except quantities.QuantityError as error:
        raise click.UsageError(f"{option}: {error}") from None
    if not time_s > 0.0:
        raise click.UsageError(f"{option} {text} is not longer than 0 s")
    return time_s


def pair(text: str) -> tuple[str, str]:
    """Name and value of a ``--set``; raises a UsageError that shows how one is written."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise click.UsageError(f'--set "{text}" is malformed; write NAME=VALUE, such as --set analysis="25 h"')
    return name.strip(), value.strip()


def _conduct(request: Request, as_json: bool) -> int:
    from bench.run_queue import holding
    from bench.session import conduct, exit_code
    from bench.station import load_station

    terminal = Terminal(request.person or getpass.getuser()) if request.attended else None
    with holding(load_station(request.station)), _progress_bar(terminal) as progress:
        result = conduct(request, progress, announce=_announce, lead=terminal)
    for text in result.trouble:
        click.echo(f"note: {text}", err=True)
    if as_json:
        click.echo(json.dumps(_as_json(result), indent=1, allow_nan=False))
    else:
        result_table(result)
    return exit_code(result)


def _announce(findings: Sequence[Finding]) -> None:
    """Say what the preflight found, before anything moves."""
    for finding in findings:
        click.echo(f"note: {finding.text}", err=True)


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "run_file": str(result.run_file),
        "status": str(result.end.status),
        "verdict": str(result.evaluation.verdict),
        "origin": str(result.origin),
        "checks": check_rows(result.evaluation),
        "values": value_row(result.evaluation),
        "simulated_s": result.simulated_s,
        "wall_s": round(result.wall_s, 3),
    }


@contextmanager
def _progress_bar(terminal: Terminal | None = None) -> Iterator[Callable[[float, str], None] | None]:
    """Progress on a terminal, out of the way of prompts; nothing where nobody watches."""
    import sys

    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<16}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        if terminal is not None:
            terminal.hush = lambda hushed: bar.stop() if hushed else bar.start()
        task = bar.add_task("starting", total=1.0)
        yield lambda share, phase: bar.update(task, completed=share, description=phase or "running")
