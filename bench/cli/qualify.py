"""``pumpbench qualify``: whether the bench finds every fault that it says it finds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.paths import FilePath

if TYPE_CHECKING:
    from bench.qualify.matrix import Matrix
    from bench.qualify.plan import Plan

EXIT_INTERRUPTED = 130
REQUIREMENTS = "requirements.html"


@click.command()
@click.option(
    "--station",
    "stations",
    multiple=True,
    required=True,
    metavar="STATION",
    help="A simulated station; a protocol takes the first one that has what it needs.  May be given more than once.",
)
@click.option("--quick", is_flag=True, help="One to three seeds and the shortest forms: minutes instead of a night.")
@click.option("--seeds", type=click.IntRange(1), help="How many seeds each row gets: 20, with --quick 1 to 3.")
@click.option(
    "--pumps", type=click.IntRange(0), help="How many pumps are drawn around their limit: 200, with --quick 12."
)
@click.option("--protocol", "protocols", multiple=True, help="Only this protocol.  May be given more than once.")
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="Only this fault.  May be given more than once.")
@click.option("--jobs", type=click.IntRange(1), help="Runs at a time; one more than there are cores without it.")
@click.option(
    "--out",
    type=FilePath(),
    default=Path("qualification"),
    show_default=True,
    help="Folder of the trials, matrix.h5 and matrix.html.  The same command goes on where it was stopped.",
)
@click.option("--hardware", is_flag=True, help="Qualify the bench itself: guided steps with weights, flows and stops.")
@click.option("--part", "parts", multiple=True, help="With --hardware: only this part.  May be given more than once.")
@click.option("--person", default="", help="With --hardware: who does it; the OS account without it.")
@click.option("--json", "as_json", is_flag=True, help="Print the matrix, or the bench's record, as one JSON document.")
def qualify(
    stations: Sequence[str],
    quick: bool,
    seeds: int | None,
    pumps: int | None,
    protocols: Sequence[str],
    faults: Sequence[str],
    jobs: int | None,
    out: Path,
    hardware: bool,
    parts: Sequence[str],
    person: str,
    as_json: bool,
) -> int:
    """Run every claimed fault and sound pumps through the whole simulated bench, and count what it says.

    Each fault of docs/faults.toml is tried in each protocol that claims it, with many seeds, each of which draws
    another rig; then pumps around their limit.  Exit code 1 when a run did not say what is claimed.

    With --hardware no fault is tried: a person is guided through the operational qualification of the bench itself.
    """
    if hardware:
        if quick or seeds or pumps is not None or protocols or faults or jobs or len(stations) != 1:
            raise click.UsageError("--hardware takes one --station, --part, --person, --out and --json")
        return _bench(stations[0], out, parts, person, as_json=as_json)
    if parts or person:
        raise click.UsageError("--part and --person go with --hardware")
    from bench.qualify.forecast import usual_jobs
    from bench.qualify.ledger import Ledger
    from bench.qualify.plan import build_plan, code_identity

    plan = build_plan(stations, quick=quick, seeds=seeds, pumps=pumps, protocols=protocols, faults=faults)
    with Ledger(out, plan.digest, code_identity()) as ledger:
        if ledger.foreign:
            click.echo(
                f"note: {ledger.path}: {ledger.foreign} trials of another plan or of other code do not count", err=True
            )
        interrupted, changed = False, ""
        try:
            changed = _run(plan, ledger, out, jobs or usual_jobs())
        except KeyboardInterrupt:
            interrupted = True
        matrix = _write(plan, ledger.done, out)
    _tell(matrix, out, as_json=as_json)
    if interrupted:
        click.echo("stopped; the same command goes on from here", err=True)
        return EXIT_INTERRUPTED
    if changed:
        click.echo(f"stopped: {changed}", err=True)
        return 1
    return 0 if matrix.holds else 1


def _run(plan: Plan, ledger: Any, out: Path, jobs: int) -> str:
    """Run what is not done yet; returns what changed under it, for which it stopped, or nothing."""
    from bench.qualify.ledger import CHANGED
    from bench.qualify.plan import Basis
    from bench.qualify.pool import run_all

    trials = list(plan.trials())
    left = [(row, seed) for row, seed in trials if (row.key, seed) not in ledger.done]
    with _progress(plan, len(trials), jobs) as advance:
        advance(ledger.done)
        workers = min(jobs, max(1, len(left)))
        with closing(run_all(left, out, workers, Basis.of(plan))) as said_by_trials:
            for said in said_by_trials:
                ledger.append(said)
                if said["status"] == CHANGED:
                    return str(said["why"])
                advance(ledger.done)
    return ""


def _write(plan: Plan, done: Mapping[tuple[str, int], Any], out: Path) -> Matrix:
    from bench.qualify.matrix import matrix_of
    from bench.qualify.page import page, write_page
    from bench.qualify.plan import code_identity
    from bench.qualify.record_page import requirements_page
    from bench.qualify.requirements import MATRIX, sources, trace
    from bench.qualify.store import write_matrix
    from instruments.clock import WallClock

    made_at = WallClock().start.isoformat(timespec="seconds")
    matrix = matrix_of(plan, done, code=code_identity(), made_at=made_at)
    drawn = [said for said in done.values() if said.get("drawn")]
    write_matrix(out / "matrix.h5", matrix, drawn)
    write_page(out / "matrix.html", page(matrix))
    (out / MATRIX).write_text(json.dumps(matrix.to_json(), indent=1, allow_nan=False), encoding="utf-8")
    write_page(out / REQUIREMENTS, requirements_page(trace(out), made_at, sources(out)))
    return matrix


def _bench(station: str, out: Path, parts: Sequence[str], person: str, *, as_json: bool) -> int:
    """Guide a person through the qualification of the bench itself, and write its record."""
    import getpass

    from bench.cli.terminal import Terminal, somebody_is_there
    from bench.qualify.hardware import qualify_bench, said
    from bench.qualify.page import write_page
    from bench.qualify.record_page import bench_page, requirements_page
    from bench.qualify.requirements import sources, trace
    from bench.run_queue import holding
    from bench.station import load_station
    from data.checks import Verdict
    from instruments.clock import WallClock

    made_at = WallClock().start.isoformat(timespec="seconds")
    loaded = load_station(station)
    out.mkdir(parents=True, exist_ok=True)

    def lead() -> Terminal | None:
        return Terminal(person or getpass.getuser()) if somebody_is_there() and not loaded.simulated else None

    def begins(part: str) -> None:
        click.echo(f"{part} ...", err=True)

    with holding(loaded):
        record = qualify_bench(station, out, made_at=made_at, person=person, parts=parts, lead=lead, begins=begins)
    write_page(out / "bench.html", bench_page(record))
    write_page(out / REQUIREMENTS, requirements_page(trace(out), made_at, sources(out)))
    if as_json:
        click.echo(json.dumps(record.to_json(), indent=1, allow_nan=False))
    else:
        for part in record.parts:
            click.echo(f"{part.name}: " + (str(part.verdict) if part.run else f"not run, {part.why_not}"))
            for check in part.checks:
                click.echo(f"  {check.title}: {said(check)}, {check.verdict}")
        if record.left:
            click.echo(f"still to be run: {', '.join(record.left)}")
        click.echo(f"record: {out / 'bench.html'}; evidence: {out / REQUIREMENTS}")
    if record.verdict.fails:
        return 1
    return 0 if record.verdict in (Verdict.PASS, Verdict.CONDITIONAL_PASS) else 4


def _tell(matrix: Matrix, out: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(matrix.to_json(), indent=1, allow_nan=False))
        return
    from bench.qualify.show import print_matrix

    print_matrix(matrix)
    click.echo(f"matrix: {out / 'matrix.html'} and {out / 'matrix.h5'}; evidence: {out / REQUIREMENTS}")


@contextmanager
def _progress(plan: Plan, total: int, jobs: int) -> Iterator[Any]:
    """Tell how many trials are done and how long the rest takes: a bar on a terminal, else a line now and then."""
    import sys

    from bench.qualify.forecast import left_s
    from bench.qualify.words import duration

    def said(done: Mapping[tuple[str, int], Any]) -> str:
        left = left_s(plan, done, jobs)
        return f"{len(done)} of {total} trials" + (f", about {duration(left)} left" if left else "")

    if not sys.stderr.isatty():
        told = [-1]

        def line(done: Mapping[tuple[str, int], Any]) -> None:
            tenth = 10 * len(done) // max(1, total)
            if tenth > told[0]:
                told[0] = tenth
                click.echo(said(done), err=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda done: bar.update(task, completed=len(done), description=said(done))
