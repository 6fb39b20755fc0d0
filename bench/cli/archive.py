"""``pumpbench archive``: work on many run files at once."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.log_options import BadInput, quantity
from bench.cli.paths import FilePath

if TYPE_CHECKING:
    from bench.archive.ledger import Ledger

EXIT_INTERRUPTED = 130
SHOWN = 5
"""At most so many changes of a file are shown; the ledger and --json have all."""

WORDS = {
    "same": "the same",
    "verdict": "with another verdict",
    "number": "with other numbers",
    "altered": "altered",
    "unjudged": "never judged",
    "unreadable": "unreadable",
    "foreign": "no runs",
    "late": "not read in time",
    "died": "ended their process",
}


@click.group()
def archive() -> None:
    """Work on many run files at once."""


@archive.command("evaluate")
@click.argument("folder", type=FilePath())
@click.option("--scheduler", metavar="ADDRESS", help="A Dask cluster that is there, such as tcp://host:8786.")
@click.option("--jobs", type=click.IntRange(1), help="Files at a time; as many as there are cores without it.")
@click.option("--deadline", default="60 s", show_default=True, help="How long a file may take, besides for its size.")
@click.option(
    "--out",
    type=FilePath(),
    default=Path("archive.jsonl"),
    show_default=True,
    help="Ledger of what was said of each file.  The same command goes on where it was stopped.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def evaluate(folder: Path, scheduler: str | None, jobs: int | None, deadline: str, out: Path, as_json: bool) -> int:
    """Judge every run file (.h5) in FOLDER and below again, and tell which verdicts or numbers would change and why.

    Exit code 1 when one would change, or a file is altered or cannot be read.  Nothing is written but the ledger.
    """
    if scheduler and jobs:
        raise click.UsageError("--jobs is for this computer; a cluster has as many as its workers have threads")
    from bench.archive.ledger import Ledger
    from bench.closing import code_hash

    patience_s = quantity("--deadline", deadline, "time")
    if not patience_s > 0.0:
        raise BadInput(f"--deadline {deadline} is not longer than 0 s")
    files = _files(folder)
    interrupted = False
    with Ledger(out, folder, code_hash()) as ledger:
        if ledger.foreign:
            click.echo(f"note: {out}: {ledger.foreign} lines of other code or of changed files do not count", err=True)
        try:
            _look(files, ledger, scheduler, jobs or os.cpu_count() or 1, patience_s)
        except KeyboardInterrupt:
            interrupted = True
        said = {path: ledger.done[path] for path in files if path in ledger.done}
    failed = _tell(folder.resolve(), said, as_json=as_json)
    if interrupted:
        click.echo("stopped; the same command goes on from here", err=True)
        return EXIT_INTERRUPTED
    return 1 if failed else 0


def _files(folder: Path) -> list[Path]:
    """The run files, in the order of their names."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder; give the folder of the run files")
    files = sorted(path for path in folder.resolve().rglob("*.h5") if path.is_file())
    if not files:
        raise BadInput(f"{folder}: it holds no run file (.h5); give the folder of the run files")
    return files


def _look(files: list[Path], ledger: Ledger, scheduler: str | None, jobs: int, patience_s: float) -> None:
    """Look at what is not known yet."""
    from bench.archive.pool import look_here, look_on_cluster

    left = [path for path in files if path not in ledger.done]
    looked = (
        look_on_cluster(left, scheduler, patience_s)
        if scheduler
        else look_here(left, min(jobs, max(1, len(left))), patience_s)
    )
    with closing(looked), _progress(len(files)) as advance:
        advance(len(files) - len(left))
        for path, said in looked:
            ledger.append(path, said)
            advance(len(ledger.done))


def _tell(folder: Path, said: Mapping[Path, Mapping[str, Any]], *, as_json: bool) -> bool:
    """Say what would change; returns whether somebody has to look at something."""
    from bench.archive.look import FAILED

    counts = Counter(str(one["outcome"]) for one in said.values())
    named = {path.relative_to(folder).as_posix(): one for path, one in said.items()}
    failed = {name: one for name, one in named.items() if one["outcome"] in FAILED}
    if as_json:
        files = [{"file": name, **one} for name, one in named.items() if one["outcome"] != "same"]
        click.echo(json.dumps({"files": len(said), "outcomes": counts, "not_the_same": files}, indent=1))
        return bool(failed)
    for name, one in failed.items():
        moved = f": {one['verdict']} would be {one['verdict_now']}" if one["outcome"] == "verdict" else ""
        click.echo(f"{name}{moved}")
        click.echo(f"  {one['why']}")
        for change in one["changes"][:SHOWN]:
            click.echo(f"  {change}")
        if len(one["changes"]) > SHOWN:
            click.echo(f"  and {len(one['changes']) - SHOWN} more")
    click.echo(f"{len(said)} files: " + ", ".join(f"{counts[name]} {WORDS[name]}" for name in WORDS if counts[name]))
    return bool(failed)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Tell how many files are done: a bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        told = [0]

        def line(done: int) -> None:
            if 10 * done // total > told[0]:
                told[0] = 10 * done // total
                click.echo(f"{done} of {total} files", err=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)
