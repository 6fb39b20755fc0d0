"""Commands of a review: ``review`` shows what there is to look at, ``sign`` closes it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.paths import FilePath
from bench.cli.review import readable, signature_line
from bench.cli.trust import as_json_option, passphrase
from bench.state_folder import home

if TYPE_CHECKING:
    from bench.trust.checklist import Item
    from bench.trust.signing import Answer

MARKS = {"ok": "✓", "look": "!", "unknown": "–"}


@click.command()
@click.argument("run_file", type=FilePath())
@as_json_option
def review(run_file: Path, as_json: bool) -> int:
    """Show the checklist of RUN_FILE with what the file says of each question, and who signed it."""
    from dataclasses import asdict

    from bench.trust.review import state_of
    from bench.trust.signing import checklist
    from bench.trust.standing import standing

    found = standing(run_file, home())
    with readable(run_file):
        items = checklist(run_file)
    if as_json:
        said = {
            "review": state_of(found),
            "signatures": found.signatures,
            "checklist": [asdict(item) for item in items],
        }
        click.echo(json.dumps(said, indent=1))
        return 0
    click.echo(f"{run_file}: {state_of(found)}, record {found.state}")
    for row in found.signatures:
        click.echo(f"  {signature_line(row)}")
    for item in items:
        click.echo(f"  {MARKS[item.found]} {item.key:12}  {item.question}")
        click.echo(f"                    {item.text}")
    return 0


@click.command()
@click.argument("run_file", type=FilePath())
@click.option("--as", "who", metavar="USER", help="Who signs.")
@click.option("--meaning", type=click.Choice(["reviewed", "approved", "rejected", "addendum"]), help="What it says.")
@click.option("--reason", default="", help="Why; it stands beside the signature.")
@click.option("--answer", "answers", multiple=True, metavar="ITEM=yes|no[: NOTE]", help="An answer to the checklist.")
@click.option("--passphrase-file", type=FilePath(), help="Holds the passphrase; it is asked for without.")
@click.option("--restore", "restoring", is_flag=True, help="Put registered signatures back that the file has lost.")
def sign(
    run_file: Path,
    who: str | None,
    meaning: str | None,
    reason: str,
    answers: tuple[str, ...],
    passphrase_file: Path | None,
    restoring: bool,
) -> int:
    """Sign RUN_FILE; reviewed and approved need an answer to each question of the checklist."""
    from bench.trust.signing import checklist, restore, seal_at
    from bench.trust.signing import sign as sign_run

    if restoring:
        click.echo(f"{run_file}: {restore(run_file)} signatures are in the file and its sidecar")
        _tell_missed(run_file)
        return 0
    if who is None or meaning is None:
        raise click.UsageError("--as and --meaning say who signs and what it says")
    given = dict(map(_answer, answers))
    shown = seal_at(run_file)  # what is gone through from here on is what is signed
    if meaning in ("reviewed", "approved") and sys.stdin.isatty():
        given |= _asked([item for item in checklist(run_file) if item.key not in given])
    row = sign_run(run_file, who, passphrase(passphrase_file, who), meaning, reason, given, seal=shown)
    click.echo(signature_line(row))
    _tell_missed(run_file)
    return 0


def _tell_missed(run_file: Path) -> None:
    """Say that the catalogue has not heard of a signature, which counts all the same."""
    from bench.catalogue import missed

    if why := missed().get(str(run_file.absolute())):
        click.echo(f"note: signed, but the catalogue shows the state before ({why}): pumpbench catalogue add", err=True)


def _answer(text: str) -> tuple[str, Answer]:
    """One answer as it is typed: item=yes, or item=no: note."""
    from bench.trust.signing import Answer

    item, _, said = text.partition("=")
    word, _, note = said.partition(":")
    if word.strip().lower() not in ("yes", "no"):
        raise click.UsageError(f'--answer "{text}": say ITEM=yes or ITEM=no, and a note behind a colon')
    return item.strip(), Answer(word.strip().lower() == "yes", note.strip())


def _asked(items: Sequence[Item]) -> dict[str, Answer]:
    """Answers that a person gives on the terminal."""
    from bench.trust.signing import Answer

    said = {}
    for item in items:
        click.echo(f"{MARKS[item.found]} {item.question}\n    {item.text}")
        accepted = click.confirm("    acceptable", default=item.found == "ok")
        note = click.prompt("    note", default="", show_default=False) if item.found == "look" or not accepted else ""
        said[item.key] = Answer(accepted, note, item.digest)
    return said
