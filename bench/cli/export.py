"""``export``: a run for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from bench.cli.paths import FilePath


@click.command()
@click.argument("run_file", type=FilePath())
@click.option("--csv", "csv", type=FilePath(), help="New folder of CSV files, units in the headings.")
@click.option("--parquet", type=FilePath(), help="New folder of Parquet files, units in the metadata.")
def export(run_file: Path, csv: Path | None, parquet: Path | None) -> int:
    """Write the samples, records, checks and curves of RUN_FILE for other programs."""
    from data.export import export as export_run
    from data.seal import verify

    if csv is None and parquet is None:
        raise click.UsageError("say what to make: --csv FOLDER or --parquet FOLDER")
    found = verify(run_file)
    if found.state == "unreadable":
        raise click.UsageError(found.problems[0] if found.problems else f"{run_file}: cannot be read")
    kinds: tuple[tuple[Literal["csv", "parquet"], Path | None], ...] = (("csv", csv), ("parquet", parquet))
    for kind, folder in kinds:
        if folder is not None:
            files = export_run(run_file, folder, kind, digest=found.digest)
            click.echo(f"export {folder}: {len(files)} files")
    if not found.intact:
        click.echo(f"note: {run_file} is {found.state}: {'; '.join(found.problems)}", err=True)
    return 1 if found.state == "altered" else 0
