"""`pumpbench analyse`: results from a log that any program recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.analyse_bolus import bolus
from bench.cli.analyse_occlusion import occlusion
from bench.cli.log_options import BadInput, air_density, fluid_density, mass_log, quantities, quantity
from bench.cli.paths import FilePath

if TYPE_CHECKING:
    from data.units import DimensionName
    from protocols.analysis.flow_log import FlowLog, FlowLogSettings


@click.group()
def analyse() -> None:
    """Analyse a log that another program recorded."""


analyse.add_command(bolus)
analyse.add_command(occlusion)


@analyse.command()
@click.argument("log", type=FilePath())
@click.option("--time", "time_column", required=True, metavar="COL", help="Column of time.")
@click.option("--time-unit", required=True, metavar="UNIT", help="Its unit: s, min, h, ...; iso for dates and times.")
@click.option("--mass", "mass_column", required=True, metavar="COL", help="Column of the mass collected.")
@click.option("--mass-unit", required=True, metavar="UNIT", help="Its unit: mg, g, ...")
@click.option("--set-rate", required=True, metavar="FLOW", help='What the pump was set to, for example "5 mL/h".')
@click.option("--sample-interval", required=True, metavar="TIME", help='Sample interval S, for example "0.5 min".')
@click.option("--start", metavar="TIME", help="Begin of the analysis on the log's time axis; its first row by default.")
@click.option("--end", metavar="TIME", help="End of the analysis; the log's last row by default.")
@click.option("--windows", metavar="TIMES", help='Observation windows, for example "2 min, 5 min, 11 min".')
@click.option("--density", metavar="DENSITY", help="Density of the fluid; water at 20 degC by default.")
@click.option("--evaporation", metavar="RATE", help='Loss of mass to add back, for example "0.2 mg/h".')
@click.option("--buoyancy", metavar="AIR_DENSITY", help='Correct air buoyancy, for example "1.2 kg/m3".')
@click.option("--max-gap", metavar="TIME", help="A longer gap excludes every window that touches it.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def flow(
    log: Path, time_column: str, time_unit: str, mass_column: str, mass_unit: str, as_json: bool, **options: str | None
) -> None:
    """Flow accuracy after IEC 60601-2-24 from a log of mass against time: overall error, trumpet curve, start-up.

    LOG is a text table (CSV) whose first line names the columns.
    """
    from protocols.analysis.flow_log import analyse_flow_log

    try:
        settings, notes = _settings(options)
        times, masses = mass_log(log, time_column, time_unit, mass_column, mass_unit)
        result = analyse_flow_log(times, masses, settings)
    except ValueError as error:
        raise BadInput(str(error)) from None
    for note in (*notes, *result.notes):
        click.echo(f"note: {note}", err=True)
    if as_json:
        click.echo(json.dumps(result.to_json(), allow_nan=False))
    else:
        _show(result, settings)


def _settings(options: dict[str, str | None]) -> tuple[FlowLogSettings, tuple[str, ...]]:
    """Options as numbers, and what was assumed for those not given."""
    from protocols.analysis.flow_log import FlowLogSettings

    def given(name: str, dimension: DimensionName) -> float | None:
        text = options[name]
        return None if text is None else quantity(f"--{name.replace('_', '-')}", text, dimension)

    density, notes = fluid_density(options["density"])
    windows = options["windows"]
    settings = FlowLogSettings(
        set_rate_ul_per_h=quantity("--set-rate", options["set_rate"] or "", "flow"),
        interval_s=quantity("--sample-interval", options["sample_interval"] or "", "time"),
        density_mg_per_ul=density,
        start_s=given("start", "time"),
        end_s=given("end", "time"),
        windows_s=None if windows is None else quantities("--windows", windows, "time"),
        evaporation_mg_per_h=given("evaporation", "mass-rate") or 0.0,
        air_mg_per_ul=air_density(options["buoyancy"]),
        max_gap_s=given("max_gap", "time"),
    )
    return settings, notes


def _show(result: FlowLog, settings: FlowLogSettings) -> None:
    """A table for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    error = result.overall.error_percent
    console.print(
        f"overall error     {error:+.4g} %" if error is not None else "overall error     none: nothing expected"
    )
    console.print(
        f"mean flow         {result.overall.mean_flow_ul_per_h:.6g} uL/h, set {settings.set_rate_ul_per_h:.6g} uL/h"
    )
    started = result.time_to_95_percent_s
    console.print(f"95 % of set after {started:g} s" if started is not None else "95 % of set       never reached")
    table = Table("window [min]", "windows", "used", "Ep(max) [%]", "Ep(min) [%]", title="trumpet")
    for column in table.columns:
        column.justify = "right"
    for point in result.trumpet:
        high, low = point.ep_max_percent, point.ep_min_percent
        table.add_row(
            f"{point.window_s / 60.0:g}",
            str(point.windows),
            str(point.windows_used),
            "none" if high is None else f"{high:+.3f}",
            "none" if low is None else f"{low:+.3f}",
        )
    console.print(table)
    for one in result.excluded:
        console.print(f"excluded {one.from_s:g} s to {one.to_s:g} s: {one.reason}")
