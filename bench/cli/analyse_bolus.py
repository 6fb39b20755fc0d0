"""`pumpbench analyse bolus`: bolus accuracy from a log that any program recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.log_options import BadInput, air_density, fluid_density, mass_log, quantities, quantity
from bench.cli.paths import FilePath

if TYPE_CHECKING:
    from protocols.analysis.bolus_log import BolusLog


@click.command()
@click.argument("log", type=FilePath())
@click.option("--time", "time_column", required=True, metavar="COL", help="Column of time.")
@click.option("--time-unit", required=True, metavar="UNIT", help="Its unit: s, min, h, ...; iso for dates and times.")
@click.option("--mass", "mass_column", required=True, metavar="COL", help="Column of the mass collected.")
@click.option("--mass-unit", required=True, metavar="UNIT", help="Its unit: mg, g, ...")
@click.option("--set-volume", required=True, metavar="VOLUME", help='What each bolus was set to, for example "50 uL".')
@click.option("--marks", required=True, metavar="TIMES", help='When each bolus begins, for example "30 s, 90 s".')
@click.option("--density", metavar="DENSITY", help="Density of the fluid; water at 20 degC by default.")
@click.option("--buoyancy", metavar="AIR_DENSITY", help='Correct air buoyancy, for example "1.2 kg/m3".')
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def bolus(
    log: Path,
    time_column: str,
    time_unit: str,
    mass_column: str,
    mass_unit: str,
    set_volume: str,
    marks: str,
    density: str | None,
    buoyancy: str | None,
    as_json: bool,
) -> None:
    """Volume and error of each bolus on basal flow from a log of mass against time.

    LOG is a text table (CSV) whose first line names the columns.  Basal flow and evaporation between the boluses are
    detrended.
    """
    from protocols.analysis.bolus_log import analyse_bolus_log

    try:
        set_volume_ul = quantity("--set-volume", set_volume, "volume")
        starts_s = quantities("--marks", marks, "time")
        density_mg_per_ul, assumed = fluid_density(density)
        air_mg_per_ul = air_density(buoyancy)
        times, masses = mass_log(log, time_column, time_unit, mass_column, mass_unit)
        result = analyse_bolus_log(times, masses, starts_s, set_volume_ul, density_mg_per_ul, air_mg_per_ul)
    except ValueError as error:
        raise BadInput(str(error)) from None
    for note in (*assumed, *result.notes):
        click.echo(f"note: {note}", err=True)
    if as_json:
        click.echo(json.dumps(result.to_json(), allow_nan=False))
    else:
        _show(result, set_volume_ul)


def _show(result: BolusLog, set_volume_ul: float) -> None:
    """A table for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    errors = result.errors_percent
    console.print(f"boluses           {len(errors)}, set {set_volume_ul:.6g} uL")
    console.print(f"mean error        {result.mean_error_percent:+.4g} %")
    console.print(f"largest error     {max(errors):+.4g} %")
    console.print(f"smallest error    {min(errors):+.4g} %")
    table = Table("bolus", "begins [s]", "volume [uL]", "error [%]", "basal after [uL/h]", "taken over [s]")
    for column in table.columns:
        column.justify = "right"
    rows = zip(result.boluses, result.volumes_ul, errors, result.basal_ul_per_h[1:], strict=True)
    for number, (one, volume, error, basal) in enumerate(rows, 1):
        after = f"{one.after.length_s:g}"
        table.add_row(str(number), f"{one.at_s:g}", f"{volume:.5g}", f"{error:+.3f}", f"{basal:.5g}", after)
    console.print(table)
