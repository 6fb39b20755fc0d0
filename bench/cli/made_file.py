"""A report is written where none is, or over one if that is asked for; whole or not at all."""

from __future__ import annotations

from pathlib import Path

import click

BEGINNINGS = {".pdf": b"%PDF", ".html": b"<!doctype html>"}
"""How a report begins, by how its file's name ends."""


def free(out: Path, over: bool, *, as_html: bool = False) -> None:
    """See that a report may be written there.

    Raises
    ------
    UsageError
        Its name is none of a report, or a file is there; nothing but a report is written over.
    """
    ending = ".html" if as_html else ".pdf"
    if out.suffix.lower() != ending:
        other = ", or leave --html out" if as_html else ", or give --html for a web page"
        raise click.UsageError(f"--out {out}: this report ends in {ending}; name it {out.stem}{ending}{other}")
    if not out.exists():
        return
    if not over:
        raise click.UsageError(f"{out} exists; choose another --out, or give --replace")
    if not _is_report(out, BEGINNINGS[ending]):
        raise click.UsageError(f"{out} is no report, and nothing else is written over; choose another --out")


def _is_report(path: Path, beginning: bytes) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


def written(out: Path, made: bytes) -> None:
    """Write a report, whole or not at all, and say so."""
    part = out.with_name(f".{out.name}.part")
    try:
        try:
            part.write_bytes(made)
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise click.UsageError(f"{out} cannot be written ({error.strerror}); choose another --out") from None
    click.echo(f"report {out}")
