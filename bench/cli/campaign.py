"""The command ``campaign``: plan many runs, see how far they are, and what they say together."""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.catalogue import table
from bench.cli.made_file import free, written
from bench.cli.paths import FilePath
from bench.state_folder import home
from data.plain_text import insist_visible

if TYPE_CHECKING:
    from bench.campaign.plan import Campaign
    from bench.campaign.progress import Course, Progress
    from bench.campaign.report import Report

_WHERE = click.option("--catalogue", "place", default="", metavar="URL", help="A file, or postgresql://USER@HOST/NAME.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
_FILE = click.argument("file", type=FilePath())


@click.group()
def campaign() -> None:
    """Plan rates by pumps by replicates, see how far that is, and what it says."""


@campaign.command()
@_FILE
@click.option("--title", default="", help="What it is called; the file's name without it.")
@click.option("--protocol", required=True, help="Such as flow-accuracy.")
@click.option("--station", default="", help="Where it is run; may be left open.")
@click.option(
    "--dut", "duts", multiple=True, required=True, metavar="MODEL:SERIAL[@STATION]", help="A pump; give each."
)
@click.option("--rate", "rates", multiple=True, required=True, help='Such as "0.5 mL/day"; give each.')
@click.option("--replicates", default=1, show_default=True, type=click.IntRange(1), help="Runs of each pump and rate.")
@click.option("--check", "checks", multiple=True, required=True, help="What is summed up, such as mean-flow-error.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter of every run.")
@click.option("--order-seed", default=1, show_default=True, help="Another seed, another order.")
@click.option("--simulated", is_flag=True, help="Count simulated runs in place of measured ones.")
@click.option("--approved-by", default="", help="Who has approved this plan, today.")
def new(
    file: Path,
    title: str,
    protocol: str,
    station: str,
    duts: Sequence[str],
    rates: Sequence[str],
    replicates: int,
    checks: Sequence[str],
    settings: Sequence[str],
    order_seed: int,
    simulated: bool,
    approved_by: str,
) -> int:
    """Write the plan FILE of a campaign; only runs that begin from now on count."""
    from bench.campaign.plan import CampaignDut, cells, write_campaign
    from instruments.clock import WallClock

    places = [dut.partition("@") for dut in duts]
    pairs = [dut.rpartition(":") for dut, _, _ in places]
    if wrong := [dut for dut, (model, _, serial) in zip(duts, pairs, strict=True) if not (model and serial)]:
        raise click.UsageError(f'--dut: "{wrong[0]}" is not MODEL:SERIAL, such as sim-peristaltic:SN-001')
    for _, _, serial in pairs:
        insist_visible("--dut: the serial number", serial)
    if unset := [one for one in settings if "=" not in one]:
        raise click.UsageError(f'--set: "{unset[0]}" is not NAME=VALUE, such as analysis="25 h"')
    now = WallClock().start
    said = {
        "title": title or file.stem,
        "protocol": protocol,
        "station": station,
        "origin": "simulated" if simulated else "measured",
        "since": now,
        "approved_by": approved_by,
        "approved_on": now.date() if approved_by else "",
        "rates": tuple(rates),
        "replicates": replicates,
        "order_seed": order_seed,
        "checks": tuple(checks),
        "settings": {name.strip(): value for name, _, value in (one.partition("=") for one in settings)},
    }
    pumps = [
        CampaignDut(model=model, serial=serial, station=where)
        for (model, _, serial), (_, _, where) in zip(pairs, places, strict=True)
    ]
    made = write_campaign(file, said, pumps)
    _note_unknown(made, _check_names())
    click.echo(f"{file}: {len(cells(made))} runs; the first one: pumpbench campaign next {file}")
    return 0


@campaign.command()
@_FILE
@_WHERE
@_JSON
def status(file: Path, place: str, as_json: bool) -> int:
    """Show every run of the campaign in FILE, in its order, with all attempts."""
    from bench.campaign.report import status_json

    progress, _ = counted(file, place)
    if as_json:
        click.echo(json.dumps(status_json(progress), indent=1))
        return 0
    table([_row(course) for course in progress.courses])
    for course in progress.courses:
        for run, retest in zip(course.attempts, course.retests, strict=False):
            click.echo(f"  {_name(run.path)} ({run.verdict}) may be repeated: {retest.reason}, {retest.person}")
    for run, why in progress.unplanned:
        click.echo(f"  not of the plan: {run.path} ({run.verdict}): {why}")
    for run, why in progress.others:
        click.echo(f"  does not count: {run.path} ({run.verdict}): {why}")
    for lost in progress.lost:
        click.echo(f"  record missing: {lost.said}")
    done = sum(course.result is not None for course in progress.courses)
    approved = progress.campaign.approved_by or "NOBODY: a plan is approved before its first run"
    click.echo(f"{done} of {len(progress.courses)} runs have a verdict; approved by {approved}")
    return 0


@campaign.command("next")
@_FILE
@click.option("--station", default="", help='Of the pumps that stand there, such as "bench.toml#3".')
@click.option("--articles", type=FilePath(), help="The lab's articles: a pump may be quarantined.")
@_WHERE
@_JSON
def following(file: Path, station: str, articles: Path | None, place: str, as_json: bool) -> int:
    """Say which run comes next, and its command line.

    Exit code 4 when none is left to make, or when its pump may not be used.
    """
    from bench.campaign.plan import command
    from bench.campaign.report import cell_json

    progress, _ = counted(file, place)
    _note_unknown(progress.campaign)
    from bench.campaign.progress import RECORD_MISSING, following_of

    courses = progress.at(station) if station else progress.courses
    course = following_of(courses)
    if course is None:
        without = sum(one.state == "no verdict" for one in courses)
        hint = f"; {without} ended without a verdict, see: pumpbench campaign retest" if without else ""
        held = sum(one.state == RECORD_MISSING for one in courses)
        all_made = (
            f"{held} wait for a record that is missing, see: pumpbench campaign status" if held else "every run is made"
        )
        click.echo("null" if as_json else f"{all_made}{hint}")
        return 4
    against = [] if articles is None else _against(articles, course.cell.serial)
    said = cell_json(course) | {"command": command(progress.campaign, course.cell), "against": against}
    if as_json:
        click.echo(json.dumps(said, indent=1))
    else:
        click.echo(f"run {said['number']} of {len(progress.courses)}: {said['serial']} at {said['rate']}")
        click.echo(f"  {said['command']}")
        for problem in against:
            click.echo(f"  not now: {said['serial']}: {problem}")
    return 4 if against else 0


@campaign.command()
@_FILE
@click.argument("run")
@click.option("--reason", required=True, help="Why it may be repeated.")
@click.option("--person", default="", help="Who grants it; the OS account without it.")
@_WHERE
def retest(file: Path, run: str, reason: str, person: str, place: str) -> int:
    """Grant another attempt after RUN, with a reason; the run itself stays in the count."""
    from bench.campaign.plan import CampaignError, grant
    from bench.campaign.progress import may_repeat
    from instruments.clock import WallClock

    progress, _ = counted(file, place)
    course, line = may_repeat(progress, run)
    if not reason.strip():
        raise CampaignError("--reason: a re-test needs a reason")
    grant(file, line.run_id, reason.strip(), person or getpass.getuser(), WallClock().start)
    stays = "its verdict stays the one that counts" if course.result is not None else "it stays listed"
    click.echo(f"{course.cell.serial} at {course.cell.rate} may be repeated; {stays}")
    return 0


@campaign.command()
@_FILE
@_WHERE
@_JSON
@click.option("--out", type=FilePath(), help="Make a report to sign: a file that ends in .pdf.")
@click.option(
    "--html", "as_html", is_flag=True, help="With --out: one page of HTML, without scripts, in place of a PDF."
)
@click.option("--replace", "over", is_flag=True, help="Write over a report that is there.")
def report(file: Path, place: str, as_json: bool, out: Path | None, as_html: bool, over: bool) -> int:
    """Sum up the runs that count: mean, scatter, tolerance intervals, and the share that passes.

    With --out as a PDF/A-3 with the plan and every attempt, each verified anew.
    """
    from bench.campaign.report import status_json

    progress, summed = counted(file, place)
    if out is not None:
        write_paper(file, progress, summed, out, as_html=as_html, over=over)
    elif as_json:
        click.echo(json.dumps(status_json(progress) | asdict(summed), indent=1, allow_nan=False))
    else:
        _report_told(progress, summed)
    return 0


def write_paper(file: Path, progress: Progress, summed: Report, out: Path, *, as_html: bool, over: bool) -> None:
    """Make the report of a campaign as PDF or HTML."""
    from bench.campaign.paper import paper, papers_of
    from data.report.typeset import pdf_of, program
    from data.report.web import page

    free(out, over, as_html=as_html)
    said, figures, data = paper(papers_of(file, progress, summed, home()), program())
    written(out, page(said, figures).encode() if as_html else pdf_of(said, figures, data))


# -- small parts


def counted(file: Path, place: str) -> tuple[Progress, Report]:
    """How far the campaign of a file is, and its figures."""
    from bench.campaign.plan import load_campaign
    from bench.campaign.progress import progress_of
    from bench.campaign.report import report_of
    from bench.catalogue import opened
    from bench.trust.ledger import REGISTER, rows_of

    plan, (register, _) = load_campaign(file), rows_of(home(), REGISTER)
    with opened(place, make=True) as there:
        progress = progress_of(plan, there, register)
        return progress, report_of(progress, there)


def _note_unknown(plan: Campaign, check_names: Sequence[str] = ()) -> None:
    """Tell what a plan names that is not known here."""
    from bench.campaign.plan import unknown_here

    for sentence in unknown_here(plan, check_names):
        click.echo(f"note: {sentence} (it may be known where the campaign is run)", err=True)


def _check_names() -> list[str]:
    """Names of the checks that runs of this computer's catalogue have; none where there is no catalogue."""
    from bench.catalogue import opened

    with suppress(ValueError, OSError), opened() as there:
        return there.check_names()
    return []


def _against(articles: Path, serial: str) -> list[str]:
    """What speaks against using a pump."""
    from bench.articles import load_register, standings
    from instruments.clock import WallClock

    there = [one for one in load_register(articles).articles if one.id == serial and one.kind == "dut"]
    if not there:
        return [f"is no pump of {articles}; add its table"]
    found = standings(load_register(articles), None, WallClock().start.date())
    return [problem for one in found if one.article == there[0] for problem in one.problems]


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _row(course: Course) -> dict[str, str]:
    return {
        "run": str(course.cell.number),
        "pump": course.cell.serial,
        "station": course.cell.station,
        "rate": course.cell.rate,
        "replicate": str(course.cell.replicate),
        "state": course.state,
        "attempts": ", ".join(
            f"{_name(run.path)} ({run.verdict}{', file gone' if run.kind == 'missing' else ''})"
            for run in course.attempts
        ),
    }


def _report_told(progress: Progress, summed: Report) -> None:
    click.echo(f"{progress.campaign.title}: {progress.campaign.origin} runs")
    rows = []
    for one in summed.summaries:
        row = {"check": one.check, "rate": one.rate, "pumps": str(len(one.values)), "runs": str(one.runs)}
        row |= {"mean": f"{one.mean:.4g} {one.unit}", "sd": "" if one.sd is None else f"{one.sd:.3g}"}
        for interval in one.intervals:
            within = {True: " within limits", False: " BEYOND LIMITS", None: ""}[interval.within_limits]
            heading = f"95/{100 * interval.coverage:.0f} (k {interval.k:.3f})"
            row["confidence/share"] = "\n".join(
                filter(
                    None,
                    [row.get("confidence/share", ""), f"{heading}: {interval.low:.4g} to {interval.high:.4g}{within}"],
                )
            )
        row.setdefault("confidence/share", "two pumps make an interval")
        rows.append(row)
    table(rows, of_lines="confidence/share")
    for what, rate in (("runs", summed.runs), ("pumps", summed.pumps)):
        if rate.judged:
            click.echo(
                f"{rate.passed} of {rate.judged} {what} passed: with 95 % confidence at least {100 * rate.low:.1f} %"
            )
    repeated = sum(len(course.attempts) > 1 for course in progress.courses)
    missing = sum(course.result is None for course in progress.courses)
    click.echo(f"{repeated} runs were repeated, {len(progress.unplanned)} not of the plan, {missing} without a verdict")
