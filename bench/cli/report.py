"""``report``: what QA signs, from a run file or of a campaign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.made_file import free, written
from bench.cli.paths import FilePath
from bench.state_folder import home

if TYPE_CHECKING:
    from data.report.vouched import Vouched
    from data.seal import Verification


@click.command()
@click.argument("run_file", type=FilePath())
@click.option("--out", type=FilePath(), help="File to make; beside the run file without it.")
@click.option("--html", "as_html", is_flag=True, help="Make one page of HTML, without scripts, in place of a PDF.")
@click.option("--replace", "over", is_flag=True, help="Write over a report that is there.")
def report(run_file: Path, out: Path | None, as_html: bool, over: bool) -> int:
    """Make the report of RUN_FILE: a PDF/A-3 with the run as JSON inside.

    RUN_FILE may be the plan of a campaign (.toml) as well; it is counted from the catalogue.
    """
    from bench.trust.standing import vouched
    from data.seal import verify

    out = out or run_file.with_suffix(".html" if as_html else ".pdf")
    if run_file.suffix == ".toml":
        _campaign(run_file, out, as_html, over)
        return 0
    free(out, over, as_html=as_html)
    found = verify(run_file)
    if found.state == "unreadable":
        raise click.UsageError(f"{found.problems[0] if found.problems else f'{run_file}: cannot be read'}")
    worth = vouched(run_file, home(), found)
    if as_html:
        from data.report.web import report_html

        made = report_html(run_file, found=found, vouched=worth).encode()
    else:
        from data.report.typeset import report_pdf

        made = report_pdf(run_file, found=found, vouched=worth)
    written(out, made)
    _tell(run_file, found, worth)
    return 1 if "altered" in (found.state, worth and worth.state) else 0


def _tell(run_file: Path, found: Verification, worth: Vouched | None) -> None:
    """Say what stands across each page, and that signatures were not checked."""
    state = found.state if worth is None else worth.state
    if state != "intact":
        click.echo(f"note: {run_file} is {state}, which stands across each page of the report", err=True)
    elif worth is not None and any(worth.worth):
        click.echo(f"note: {worth.problems[0]}, which stands across each page of the report", err=True)
    if worth is None and found.signatures:
        click.echo("note: signatures not checked: there is no list of keys and persons here", err=True)


def _campaign(plan: Path, out: Path, as_html: bool, over: bool) -> None:
    from bench.cli.campaign import counted, write_paper

    progress, summed = counted(plan, "")
    write_paper(plan, progress, summed, out, as_html=as_html, over=over)
