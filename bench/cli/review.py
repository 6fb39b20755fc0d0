"""Commands on records: ``evaluate``, ``verify``, ``recover`` and ``snapshot``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli.paths import FilePath
from bench.cli.show import check_rows, check_table, value_row
from bench.state_folder import home

if TYPE_CHECKING:
    from bench.trust.standing import Standing


@contextmanager
def readable(run_file: Path) -> Iterator[None]:
    """Where a damaged file trips whoever reads it, say what is wrong with the file; raises UsageError."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError, OSError) as error:
        from data.run import RunError
        from data.seal import verify as verify_file

        found = verify_file(run_file)
        if isinstance(error, RunError) or found.state in ("intact", "rewritten"):
            raise
        said = found.problems[0] if found.problems else "what it holds cannot be read"
        raise click.UsageError(f"{run_file}: is {found.state}: {_without(said, run_file)}") from error


def tell_altered(run_file: Path) -> bool:
    """Whether a file is not what was sealed, which is said."""
    from data.seal import verify as verify_file

    found = verify_file(run_file)
    if found.state != "altered":
        return False
    click.echo(f"note: {run_file} is altered, its numbers prove nothing: {'; '.join(found.problems)}", err=True)
    return True


VERDICT_EXIT = {"pass": 0, "conditional-pass": 0, "fail": 1, "conditional-fail": 1}


@click.command()
@click.argument("run_file", type=FilePath())
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def evaluate(run_file: Path, as_json: bool) -> int:
    """Judge RUN_FILE again with the installed code and compare with what it says."""
    from bench.closing import reevaluate

    with readable(run_file):
        again = reevaluate(run_file)
    altered = tell_altered(run_file)
    if as_json:
        said = {
            "verdict": str(again.evaluation.verdict),
            "identical": again.identical,
            "why": again.why,
            "checks": check_rows(again.evaluation),
            "values": value_row(again.evaluation),
        }
        click.echo(json.dumps(said, indent=1, allow_nan=False))
    else:
        check_table(again.evaluation)
        click.echo()
        click.echo(f"verdict    {again.evaluation.verdict}")
        click.echo(f"identical  {'yes' if again.identical else 'NO'}: {again.why}")
    return 1 if altered else VERDICT_EXIT.get(str(again.evaluation.verdict), 4)


@click.command()
@click.argument("run_file", type=FilePath())
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify(run_file: Path, as_json: bool) -> int:
    """Tell whether RUN_FILE is intact, by which key it was sealed, whether it is registered, and who signed it."""
    from bench.trust.review import state_of
    from bench.trust.standing import standing

    found = standing(run_file, home())
    state = state_of(found)
    if as_json:
        said = {
            "intact": found.intact,
            "state": found.state,
            "problems": list(found.problems),
            "digest": found.digest,
            "sealed_by": found.sealed_by,
            "registered": found.registered,
            "signatures": list(found.signatures),
            "review": state,
            "remarks": [*found.remarks, *found.notes],
        }
        click.echo(json.dumps(said, indent=1))
    else:
        click.echo(f"{run_file}: {'intact content, unregistered' if found.state == 'unregistered' else found.state}")
        for problem in found.problems:
            click.echo(f"  {_without(problem, run_file)}")
        _vouched(found, state)
    return {"intact": 0, "rewritten": 1, "altered": 1, "unregistered": 1}.get(found.state, 2)


def _vouched(found: Standing, state: str) -> None:
    """Who vouches for a file."""
    if found.digest:
        click.echo(f"  content digest {found.digest}")
    if found.sealed_by:
        click.echo(f"  sealed by {found.sealed_by}")
        click.echo(f"  {found.registered or 'not registered here'}")
    for row in found.signatures:
        click.echo(f"  {signature_line(row)}")
    for remark in (*found.remarks, *found.notes):
        click.echo(f"  {remark}")
    if found.sealed_by:
        click.echo(f"  review: {state}")


def signature_line(row: Mapping[str, Any]) -> str:
    """One signature, as people read it."""
    return (
        f"signature {row['number']}: {row['meaning']} by {row['name']} ({row['role']}), {row['when']}: {row['reason']}"
    )


def _without(problem: str, path: Path) -> str:
    """The problem without the path, which stands above it."""
    for shown in (str(path), os.path.realpath(path)):
        problem = problem.removeprefix(f"{shown}: ")
    return problem


@click.command()
@click.argument("journal", type=FilePath())
@click.option("--out", type=FilePath(), help="Run file to make; beside the journal without it.")
def recover(journal: Path, out: Path | None) -> int:
    """Make the run file of a run that was cut off, from its JOURNAL; the journal is only read."""
    from bench.closing import close_run

    made = close_run(journal, _free(out or journal.with_suffix(".h5"), out is None))
    click.echo(f"recovered {made.run_file}: verdict {made.evaluation.verdict}, record {made.verification.state}")
    if made.untrusted:
        click.echo(f"note: {made.untrusted}", err=True)
    return VERDICT_EXIT.get(str(made.evaluation.verdict), 4) if made.verification.intact else 1


@click.command()
@click.argument("journal", type=FilePath())
@click.option("--out", type=FilePath(), help="File to make; beside the journal without it.")
def snapshot(journal: Path, out: Path | None) -> int:
    """Make a readable file, marked incomplete, of what a run that is still going on has recorded so far."""
    from data.fold import fold

    path = out or _free(journal.with_name(f"{journal.stem}_snapshot.h5"), True)
    fold(journal, path, incomplete=True)
    click.echo(f"snapshot {path}")
    return 0


def _free(path: Path, choose: bool) -> Path:
    """The path itself, or one beside it that is free; never write over a record."""
    if not path.exists():
        return path
    if not choose:
        raise click.UsageError(f"{path} exists; choose another --out, a record is never written over")
    number = 1
    while (free := path.with_name(f"{path.stem}_{number}{path.suffix}")).exists():
        number += 1
    return free
