"""A report is written where none is, or over one if that is asked for; whole or not at all."""

from __future__ import annotations

from pathlib import Path

import click


def free(out: Path, over: bool) -> None:
    """See that a report may be written; raises UsageError where one is there."""
    if out.exists() and not over:
        raise click.UsageError(f"{out} exists; choose another --out, or give --replace")


def written(out: Path, made: bytes) -> None:
    """Write a report, whole or not at all, and say so."""
    part = out.with_name(f".{out.name}.part")
    try:
        part.write_bytes(made)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise click.UsageError(f"{out} cannot be written ({error.strerror}); choose another --out") from None
    click.echo(f"report {out}")
