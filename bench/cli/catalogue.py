"""The command ``catalogue``: find runs, follow a check over many, see what an instrument has touched."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bench.cli.paths import FilePath
from data.checks import REVIEWS, Origin, Verdict, four_digits
from data.nearest import did_you_mean
from data.plain_text import escaped

if TYPE_CHECKING:
    from bench.catalogue import Indexed
    from bench.trends import Study, Touched, Trend
    from data.catalogue.entry import CheckEntry
    from data.catalogue.store import Line, Wanted

F = TypeVar("F", bound=Callable[..., Any])

FEW = 12
"""So many names are listed beside one that is not known."""

SHOWN = 50
"""So many runs are listed on a terminal; JSON has all."""


def _one_of(words: Iterable[str]) -> Callable[[click.Context, click.Parameter, str], str]:
    """See that a filter is a word that a run can have, since any other finds nothing; raises BadParameter."""
    there = [str(word) for word in words]

    def checked(context: click.Context, option: click.Parameter, said: str) -> str:
        if said and said not in there:
            raise click.BadParameter(f'"{said}" is none; there are {", ".join(there)}', context, option)
        return said

    return checked


_WHERE = click.option("--catalogue", "place", default="", metavar="URL", help="A file, or postgresql://USER@HOST/NAME.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")

_FILTERS = (
    click.option("--dut", default="", help="Serial number or model of the pump."),
    click.option("--lot", default="", help="Lot of the pump, the fluid or the catheter."),
    click.option("--instrument", default="", help="Serial number or name of an instrument that the run relied on."),
    click.option("--protocol", default="", help="Such as flow-accuracy."),
    click.option("--verdict", default="", callback=_one_of(Verdict), help="Such as fail."),
    click.option("--origin", default="", callback=_one_of(Origin), help="measured, simulated, replayed or imported."),
    click.option("--station", default="", help="Name of the station."),
    click.option("--review", default="", callback=_one_of(REVIEWS), help="State of the review, such as unreviewed."),
    click.option("--since", default="", help="First day, month or year, in UTC."),
    click.option("--until", default="", help="Last day, month or year, in UTC."),
)


def _filtered(command: F) -> F:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.group()
def catalogue() -> None:
    """Find runs, follow a check over many, see what an instrument has touched."""


@catalogue.command()
@click.argument("places", nargs=-1, required=True, type=FilePath())
@_WHERE
@_JSON
def add(places: Sequence[Path], place: str, as_json: bool) -> int:
    """Put run files, or those of folders, into the catalogue; makes it where there is none."""
    from bench.catalogue import index, opened

    with opened(place, make=True) as there:
        return _told(index(there, places), as_json)


@catalogue.command()
@click.argument("places", nargs=-1, type=FilePath())
@click.option("--anew", is_flag=True, help="Empty the whole catalogue first and read every file again.")
@_WHERE
@_JSON
def reindex(places: Sequence[Path], anew: bool, place: str, as_json: bool) -> int:
    """Bring folders up to date; without any, those that the catalogue knows.

    Files that have gone are listed as missing, unless the same run is found elsewhere.
    """
    from bench.catalogue import index, known_folders, opened

    if anew and not places:
        raise click.UsageError("--anew empties the catalogue; say which folders it is made of again")
    with opened(place, make=bool(places), anew=anew) as there:
        return _told(index(there, places or known_folders(there)), as_json)


@catalogue.command("list")
@_filtered
@click.option("--limit", default=None, type=click.IntRange(0), help="At most so many; 0 for all.")
@_WHERE
@_JSON
def listed(limit: int | None, place: str, as_json: bool, **wanted: str) -> int:
    """List runs, the latest first."""
    from bench.catalogue import opened

    limit = limit if limit is not None else (0 if as_json else SHOWN)
    asked = _wanted(wanted)
    with opened(place) as there:
        lines = there.runs(asked, limit=limit)
        count = there.count(asked)
        strange = [] if count else list(_strange(wanted, there.choices()))
    _say_missed()
    for sentence in strange:
        click.echo(f"note: {sentence}", err=True)
    if as_json:
        click.echo(json.dumps({"count": count, "runs": [asdict(line) for line in lines]}, indent=1))
        return 0
    table([_row(line) for line in lines])
    for line in lines:
        if line.sentence:
            click.echo(f"  {line.path}: {line.sentence}")
    more = "" if count == len(lines) else f", {len(lines)} of them shown; see --limit"
    click.echo(f"{count} run{'' if count == 1 else 's'}{more}")
    return 0


@catalogue.command()
@click.argument("run")
@_WHERE
@_JSON
def show(run: str, place: str, as_json: bool) -> int:
    """Show what the catalogue knows of RUN: a path, a file's name, or the beginning of a run id."""
    from bench.catalogue import opened

    with opened(place) as there:
        line = there.find(run)
        params, checks, instruments = there.details(line)
    if as_json:
        said = asdict(line) | {"params": params}
        said |= {"checks": [asdict(one) for one in checks], "instruments": [asdict(one) for one in instruments]}
        click.echo(json.dumps(said, indent=1))
        return 0
    for name, value in asdict(line).items():
        if name not in ("id", "size", "changed_ns") and value not in ("", None):
            click.echo(f"{name:18} {escaped(str(value))}")
    if checks:
        click.echo()
        table(
            [
                {
                    "check": one.name,
                    "value ± U": _with_u(one.value, one.u_expanded, one.unit),
                    "limits": _limits(one.limit_low, one.limit_high),
                    "verdict": _judged(one),
                }
                for one in checks
            ]
        )
    if instruments:
        click.echo()
        table(
            [
                {
                    "instrument": one.instrument,
                    "model": one.model[:30],
                    "serial": one.serial,
                    "certificate": " ".join(filter(None, (one.certificate, one.channel))),
                    "due": one.due,
                }
                for one in instruments
            ]
        )
    return 0


@catalogue.command()
@click.argument("check")
@_filtered
@click.option("--gauge", is_flag=True, help="Gauge R&R of repeated runs: operator by part, a part being pump and rate.")
@_WHERE
@_JSON
def trend(check: str, gauge: bool, place: str, as_json: bool, **wanted: str) -> int:
    """Show CHECK, such as mean-flow-error, over many runs: control chart, and whether stations agree.

    Of measured runs, unless --origin says other. Exit code 1 when the latest value is out of control, or when
    stations differ.
    """
    from bench import trends
    from bench.catalogue import opened

    asked = _wanted({**wanted, "origin": wanted["origin"] or "measured"})
    with opened(place) as there:
        if gauge:
            return _gauge_told(check, trends.gauge_of(there, check, asked), as_json)
        found = trends.trend(there, check, asked)
    if as_json:
        click.echo(json.dumps(_trend_json(found), indent=1, allow_nan=False))
    else:
        _trend_told(found)
    return 1 if found.chart.latest_is_out or not all(one.agree for one in found.agreements) else 0


@catalogue.command()
@click.option("--instrument", required=True, help="Serial number.")
@click.option("--since", default="", help="A day, or the number of the first certificate that is in doubt.")
@_WHERE
@_JSON
def impact(instrument: str, since: str, place: str, as_json: bool) -> int:
    """List the runs that relied on an instrument, and their verdicts.

    For when a calibration finds it out of tolerance, and what it measured is in doubt.
    """
    from bench import trends
    from bench.catalogue import opened

    with opened(place) as there:
        touched, idle = trends.impact(there, instrument, since)
    if as_json:
        said = [asdict(one.run) | {"certificates": one.certificates, "relied_on": one.relied_on} for one in touched]
        click.echo(json.dumps({"runs": said, "only_present": idle}, indent=1))
        return 0
    _impact_told(instrument, touched, idle)
    return 0


# -- small parts


def _wanted(said: Mapping[str, str]) -> Wanted:
    from data.catalogue.store import Wanted, span_of

    since, until = said["since"], said["until"]
    if since and until and span_of(since)[0] >= span_of(until)[1]:
        raise click.UsageError(f"--since {since} is after --until {until}; write the earlier one with --since")
    return Wanted(**said)


def _strange(wanted: Mapping[str, str], there: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Filters that no run here can meet, as they name what none has."""
    for name in ("protocol", "station", "dut", "lot"):
        if wanted[name] and wanted[name] not in there[name]:
            yield f"--{name}: {nowhere(wanted[name], there[name])}"


def nowhere(name: str, known: Sequence[str]) -> str:
    """That no run here has this name, with the nearest one or all of a few."""
    few = f"there are {', '.join(known)}" if 0 < len(known) <= FEW else ""
    remedy = did_you_mean(name, known, few)
    return "; ".join(filter(None, (f'no run here has "{name}"', remedy)))


def _say_missed() -> None:
    from bench.catalogue import missed

    for path, why in missed().items():
        click.echo(f"note: {path} was not taken in at its end ({why}); run: pumpbench catalogue add {path}", err=True)


def _told(done: Indexed, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(asdict(done), indent=1))
    else:
        click.echo(f"{done.added} file{'' if done.added == 1 else 's'} read, {done.unchanged} as known")
        for path, sentence in done.damaged:
            click.echo(f"  damaged: {path}: {sentence}")
        for path in done.missing:
            click.echo(f"  missing: {path}: the file is gone; the catalogue knows no other of this run")
    return 1 if done.damaged or done.missing else 0


def _row(line: Line) -> dict[str, str]:
    return {
        "made": line.made[:16].replace("T", " "),
        "file": line.path.replace("\\", "/").rpartition("/")[2],
        "pump": " ".join(filter(None, (line.dut_model, line.dut_serial))),
        "verdict": line.verdict or line.kind,
        "status": line.status,
        "origin": line.origin,
        "review": line.review,
    }


def _trend_json(found: Trend) -> dict[str, Any]:
    said = found.chart.to_json()
    for row, point in zip(said["points"], found.points, strict=True):
        row |= {"path": point.run.path, "run_id": point.run.run_id, "station": point.run.station}
        row |= {"dut": point.run.dut_serial, "u_expanded": point.check.u_expanded, "verdict": point.check.verdict}
    return said | {"agreements": [asdict(one) | {"agree": one.agree} for one in found.agreements]}


def _trend_told(found: Trend) -> None:
    table([found.chart.row()])
    click.echo(found.chart.remark or ("nothing is out of control" if found.chart.chart else "five values make a chart"))
    if found.agreements:
        click.echo()
        table(
            [
                {
                    "pump": one.dut,
                    "stations": " and ".join(one.stations),
                    "runs": f"{one.runs[0]} and {one.runs[1]}",
                    "means": f"{one.values[0]:.4g} and {one.values[1]:.4g}",
                    "En": f"{one.en:.2f}",
                    "": "agree" if one.agree else "DIFFER",
                }
                for one in found.agreements
            ]
        )


def _gauge_told(check: str, study: Study, as_json: bool) -> int:
    gauge = study.gauge
    if as_json:
        said = asdict(study) | {"check": check}
        said["gauge"] |= {"gauge_percent": gauge.gauge_percent, "distinct_categories": gauge.distinct_categories}
        click.echo(json.dumps(said, indent=1))
        return 0
    sources = (
        ("repeatability", gauge.repeatability),
        ("reproducibility", gauge.reproducibility),
        ("gauge R&R", gauge.gauge),
        ("between parts", gauge.parts),
        ("total", gauge.total),
    )
    table(
        [
            {"source": name, f"s in {study.unit}": f"{s:.4g}", "% of total": f"{100.0 * s / gauge.total:.1f}"}
            for name, s in sources
        ]
        if gauge.total > 0.0
        else []
    )
    click.echo(
        f"{len(study.parts)} parts, {len(study.operators)} operators, {study.repeats} runs each"
        + (f"; {study.left_out} more runs left out to be balanced" if study.left_out else "")
        + f"; tells {gauge.distinct_categories} kinds of parts apart"
    )
    return 0


def _impact_told(serial: str, touched: Sequence[Touched], idle: int) -> None:
    table(
        [
            {
                "made": one.run.made[:16].replace("T", " "),
                "file": _row(one.run)["file"],
                "pump": one.run.dut_serial,
                "verdict": one.run.verdict or one.run.kind,
                "certificate": ", ".join(one.certificates),
                "for": one.relied_on,
            }
            for one in touched
        ]
    )
    counts: dict[str, int] = {}
    for one in touched:
        counts[one.run.verdict or one.run.kind] = counts.get(one.run.verdict or one.run.kind, 0) + 1
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    click.echo(
        f"{len(touched)} run{'' if len(touched) == 1 else 's'} relied on {serial}"
        + (f": {verdicts}" if verdicts else "")
    )
    if idle:
        click.echo(f"{idle} more had it on their station and did not rely on it")


def _with_u(value: float | None, u: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if u and math.isfinite(u):
        places = 1 - math.floor(math.log10(u))  # both to the second digit of U
        shown = " ± ".join(f"{round(one, places):.{max(0, places)}f}" for one in (value, u))
    else:
        shown = four_digits(value)
    return shown if unit == "1" else f"{shown} {unit}"


def _judged(check: CheckEntry) -> str:
    """Verdict of a check; a value without a limit has none."""
    told = check.value is not None and check.limit_low is None and check.limit_high is None
    return "no limit" if told and check.verdict == Verdict.NOT_MEASURED else check.verdict


def _limits(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    if low is None:
        return f"≤ {high:.4g}"
    return f"≥ {low:.4g}" if high is None else f"{low:.4g} to {high:.4g}"


def table(rows: Sequence[Mapping[str, str]], of_lines: str = "") -> None:
    """Print rows under their headings; nothing without rows.  Signs that nobody sees are escaped.

    Parameters
    ----------
    of_lines : the column whose cells may have several lines.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in rows[0]:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(Text(cell if name == of_lines else escaped(cell)) for name, cell in row.items()))
    Console(width=None if sys.stdout.isatty() else 140).print(table)
