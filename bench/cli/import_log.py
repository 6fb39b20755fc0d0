"""``pumpbench import-log``: a log that another program made becomes a sealed run file."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.log_options import BadInput, insist_on_unit, quantity
from bench.cli.paths import FilePath, Name
from bench.cli.run import pair
from bench.cli.show import check_rows, check_table, value_row
from data.plain_text import insist_visible

if TYPE_CHECKING:
    from datetime import datetime

    from bench.closing import Closed
    from bench.importing import Asked, Log, Source
    from data.units import DimensionName


def _some(context: click.Context, option: click.Parameter, said: str) -> str:
    """See that something was said that everybody reads alike; raises ClickException."""
    if not said.strip():
        raise click.BadParameter("it is empty; write what stands on the label", context, option)
    try:
        insist_visible(f"--{option.name}", said)
    except ValueError as error:
        raise BadInput(str(error)) from None
    return said


EXIT = {"pass": 0, "conditional-pass": 0, "fail": 1, "conditional-fail": 1}


SAME_S = 1.0
"""What is said of the first row's moment, and what the log says, may differ by its fractions of a second."""


@click.command("import-log")
@click.argument("log", type=FilePath())
@click.option("--time", "time_column", required=True, metavar="COL", help="Column of time.")
@click.option("--time-unit", required=True, metavar="UNIT", help="Its unit: s, min, h, ...; iso for dates and times.")
@click.option("--mass", metavar="COL", help="Column of the mass that the balance showed.")
@click.option("--mass-unit", metavar="UNIT", help="Its unit: mg, g, ...")
@click.option("--flow", metavar="COL", help="Column of a flow sensor.")
@click.option("--flow-unit", metavar="UNIT", help="Its unit: uL/h, nL/min, ...")
@click.option("--volume", metavar="COL", help="Column of the delivered volume.")
@click.option("--volume-unit", metavar="UNIT", help="Its unit: uL, mL, ...")
@click.option("--protocol", default="", help="flow-accuracy (with --mass) or flow-record; by the columns without it.")
@click.option(
    "--station", type=Name(), required=True, help="Station file that describes the instruments which made the log."
)
@click.option("--dut", type=Name(), required=True, help="File of the device under test, or the name of a shipped one.")
@click.option("--serial", required=True, callback=_some, help="Serial number of the device under test.")
@click.option("--fluid", type=Name(), required=True, help="File of the fluid, or the name of a shipped one.")
@click.option("--catheter", type=Name(), help="File of the catheter, where there was one.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help='A parameter: schedule="1 mL/day".')
@click.option(
    "--delivery",
    metavar="TIME",
    help="When the pump began to deliver; the first row, or the end of a blank, without it.",
)
@click.option(
    "--phase",
    "phases",
    multiple=True,
    metavar="NAME=FROM..TO",
    help='A stretch, such as analysis="24 h..49 h", on the axis of the log.  May be given more than once.',
)
@click.option("--began", metavar="MOMENT", help="Moment of the first row, as 2026-03-01T14:00:00+01:00.")
@click.option("--person", default="", help="Who imports it; the OS account without it.")
@click.option("--out", type=FilePath(), required=True, help="Run file to make.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def import_log(
    log: Path, time_column: str, time_unit: str, out: Path, as_json: bool, **options: str | Sequence[str] | None
) -> int:
    """Make a sealed run file of LOG, a text table (CSV) of mass, flow or volume against time from another program.

    Its origin is "imported": it is judged as far as the log goes, and can never be approved.
    """
    from bench.importing import import_log as make
    from bench.importing import source_of

    if out.suffix.lower() != ".h5":
        raise BadInput(f"--out {out}: a run file ends in .h5; name it {out.name}.h5")
    try:
        source = source_of(log)
        given = {name: value for name, value in options.items() if isinstance(value, str)}
        read, began = _read(log, source, time_column, time_unit, given)
        if source_of(log) != source:
            raise BadInput(f"{log}: it changed while it was read; import it when it is complete")
        asked = _asked(given, began, options["settings"] or (), options["phases"] or ())
        closed = make(read, asked, out)
    except ValueError as error:
        raise BadInput(str(error)) from None
    _tell(closed, source, as_json=as_json)
    return EXIT.get(str(closed.evaluation.verdict), 4)


def _read(
    path: Path, source: Source, time_column: str, time_unit: str, given: Mapping[str, str]
) -> tuple[Log, datetime]:
    """The log in our units, and the moment of its first row."""
    from bench.cli.csv_log import ISO, first_moment, read_log
    from bench.importing import Column, Log

    iso = time_unit.strip().casefold() == ISO
    time_scale = 1.0 if iso else quantity("--time-unit", f"1 {time_unit}", "time")
    scales = {}
    dimensions: dict[str, DimensionName] = {"mass": "mass", "flow": "flow", "volume": "volume"}
    for what, dimension in dimensions.items():
        if (what in given) != (f"{what}_unit" in given):
            raise BadInput(f"--{what} and --{what}-unit go together; give both or none")
        if what in given:
            scales[what] = quantity(f"--{what}-unit", f"1 {given[f'{what}_unit']}", dimension)
            insist_on_unit(f"--{what}-unit", given[what], given[f"{what}_unit"], dimension)
    if not iso:
        insist_on_unit("--time-unit", time_column, time_unit, "time")
    if not scales:
        raise BadInput("nothing says what the log holds; give --mass, --flow or --volume with its unit")
    wanted = {f"--{what}": given[what] for what in scales}
    times, *values = read_log(path, time_column, wanted, iso_time=iso, overloads=True)  # saturated, and told as that
    columns = {
        what: Column(given[what], given[f"{what}_unit"], one * scales[what])
        for what, one in zip(scales, values, strict=True)
    }
    return Log(source, times * time_scale, columns, time_column), _began(
        given.get("began"), first_moment(path, time_column) if iso else None
    )


def _began(said: str | None, written: datetime | None) -> datetime:
    """Moment of the first row: what the log itself says, and else what was said of it.

    Parameters
    ----------
    written : time of the first row, where the log has dates and times.
    """
    began = None if said is None else _moment(said)
    if written is None:
        if began is None:
            raise BadInput(
                "--began: nothing in the log says when it was made; add --began 2026-03-01T14:00:00+01:00 for its "
                "first row"
            )
        return began
    if began is None and written.tzinfo is None:
        raise BadInput(
            f"--began: the log's first row says {written.isoformat()}, without an offset to UTC; say which it is: "
            f"--began {written.isoformat()}+01:00"
        )
    if began is None:
        return written
    shown = began if written.tzinfo is not None else began.replace(tzinfo=None)
    if abs((shown - written).total_seconds()) > SAME_S:
        raise BadInput(
            f"--began {said}: the log's first row says {written.isoformat()}; correct one of them, or leave --began out"
        )
    return began


def _moment(text: str) -> datetime:
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadInput(f'--began: "{text}" is no date and time with an offset; write 2026-03-01T14:00:00+01:00')
    return moment


def _asked(given: Mapping[str, str], began: datetime, settings: Sequence[str], phases: Sequence[str]) -> Asked:
    from bench.importing import Asked

    return Asked(
        given["station"],
        given["dut"],
        given["serial"],
        given["fluid"],
        began,
        given["person"] or getpass.getuser(),
        given["protocol"],
        given.get("catheter"),
        dict(pair(text) for text in settings),
        dict(_phase(text) for text in phases),
        quantity("--delivery", given["delivery"], "time") if "delivery" in given else None,
    )


def _phase(text: str) -> tuple[str, tuple[float, float]]:
    """Name, begin and end of a ``--phase``."""
    name, equals, span = text.partition("=")
    begin, dots, end = span.partition("..")
    if not equals or not dots or not name.strip():
        raise BadInput(f'--phase "{text}" is malformed; write NAME=FROM..TO, such as analysis="24 h..49 h"')
    from_s, to_s = quantity(f"--phase {name}", begin, "time"), quantity(f"--phase {name}", end, "time")
    if not from_s < to_s:
        raise BadInput(f'--phase "{text}": it ends before it begins; write the earlier time first')
    return name.strip(), (from_s, to_s)


def _tell(closed: Closed, source: Source, *, as_json: bool) -> None:
    if closed.untrusted:
        click.echo(f"note: {closed.untrusted}", err=True)
    if as_json:
        said = {
            "run_file": str(closed.run_file),
            "verdict": str(closed.evaluation.verdict),
            "origin": "imported",
            "source": {"file": source.name, "bytes": source.size, "sha256": source.sha256},
            "checks": check_rows(closed.evaluation),
            "values": value_row(closed.evaluation),
        }
        click.echo(json.dumps(said, indent=1, allow_nan=False))
        return
    check_table(closed.evaluation)
    click.echo()
    click.echo(f"source     {source.name}, {source.size} bytes, SHA-256 {source.sha256}")
    click.echo(f"run file   {closed.run_file}: origin imported, record {closed.verification.state}")
    click.echo(f"verdict    {closed.evaluation.verdict}")
