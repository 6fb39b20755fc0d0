"""`pumpbench analyse occlusion`: pressure behind a closed line, compliance and bolus from a log of any program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.log_options import BadInput, insist_on_unit, quantity
from bench.cli.paths import FilePath

if TYPE_CHECKING:
    from protocols.analysis.occlusion.log import OcclusionLog, OcclusionLogSettings


@click.command()
@click.argument("log", type=FilePath())
@click.option("--time", "time_column", required=True, metavar="COL", help="Column of time.")
@click.option("--time-unit", required=True, metavar="UNIT", help="Its unit: s, min, h, ...; iso for dates and times.")
@click.option("--pressure", "pressure_column", required=True, metavar="COL", help="Column of the pressure.")
@click.option("--pressure-unit", required=True, metavar="UNIT", help="Its unit: kPa, mmHg, psi, bar, ...")
@click.option("--volume", "volume_column", metavar="COL", help="Column of the cumulative volume delivered at the tip.")
@click.option("--volume-unit", metavar="UNIT", help="Its unit: uL, mL, ...")
@click.option("--set-rate", required=True, metavar="FLOW", help='What the pump was set to, for example "1 mL/day".')
@click.option("--occluded-at", required=True, metavar="TIME", help="When the line was closed, on the log's time axis.")
@click.option("--released-at", metavar="TIME", help="When it was opened again; never by default.")
@click.option("--threshold", required=True, metavar="PRESSURE", help='Pressure to be reached, for example "60 kPa".')
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def occlusion(
    log: Path,
    time_column: str,
    time_unit: str,
    pressure_column: str,
    pressure_unit: str,
    volume_column: str | None,
    volume_unit: str | None,
    set_rate: str,
    occluded_at: str,
    released_at: str | None,
    threshold: str,
    as_json: bool,
) -> None:
    """Occlusion: time to a threshold, compliance, and the bolus on release, from a log of pressure against time.

    LOG is a text table (CSV) whose first line names the columns.
    """
    from bench.cli.csv_log import ISO, read_log
    from protocols.analysis.occlusion.log import OcclusionLogSettings, analyse_occlusion_log

    try:
        iso = time_unit.strip().casefold() == ISO
        time_scale = 1.0 if iso else quantity("--time-unit", f"1 {time_unit}", "time")
        pressure_scale = quantity("--pressure-unit", f"1 {pressure_unit}", "pressure")
        if not iso:
            insist_on_unit("--time-unit", time_column, time_unit, "time")
        insist_on_unit("--pressure-unit", pressure_column, pressure_unit, "pressure")
        if (volume_column is None) != (volume_unit is None):
            raise BadInput("--volume and --volume-unit go together; give both or none")
        volume_scale = None if volume_unit is None else quantity("--volume-unit", f"1 {volume_unit}", "volume")
        if volume_column is not None and volume_unit is not None:
            insist_on_unit("--volume-unit", volume_column, volume_unit, "volume")
        settings = OcclusionLogSettings(
            quantity("--set-rate", set_rate, "flow"),
            quantity("--occluded-at", occluded_at, "time"),
            None if released_at is None else quantity("--released-at", released_at, "time"),
            quantity("--threshold", threshold, "pressure"),
        )
        columns = {"--pressure": pressure_column} | ({"--volume": volume_column} if volume_column is not None else {})
        times, pressures, *volumes = read_log(log, time_column, columns, iso_time=iso)
        volume = volumes[0] * volume_scale if volumes and volume_scale is not None else None
        result = analyse_occlusion_log(times * time_scale, pressures * pressure_scale, volume, settings)
    except ValueError as error:
        raise BadInput(str(error)) from None
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        click.echo(json.dumps(result.to_json(), allow_nan=False))
    else:
        _show(result, settings)


def _show(result: OcclusionLog, settings: OcclusionLogSettings) -> None:
    """Lines for people."""

    def told(value: float | None, unit: str, otherwise: str) -> str:
        return otherwise if value is None else f"{value:.5g} {unit}"

    no_release = "not released" if settings.released_s is None else "not told"
    crossed = result.time_to_threshold_s
    minutes = "never reached" if crossed is None else f"{crossed:.6g} s ({crossed / 60.0:.4g} min) after the occlusion"
    for name, text in (
        ("baseline", told(result.baseline_kpa, "kPa", "")),
        (f"{settings.threshold_kpa:g} kPa", minutes),
        ("at release", told(result.pressure_at_release_kpa, "kPa", no_release)),
        ("initial slope", told(result.slope_kpa_per_s, "kPa/s", "none")),
        ("compliance", told(result.compliance_ul_per_kpa, "uL/kPa", "none")),
        ("bolus on release", told(result.bolus_ul, "uL", no_release)),
        ("missed volume", told(result.missed_volume_ul, "uL", no_release)),
    ):
        click.echo(f"{name:17} {text}")
