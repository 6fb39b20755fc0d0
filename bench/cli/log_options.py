"""What the `analyse` commands share: options that are quantities, and the columns of a log in our units."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from data.samples import FloatArray
    from data.units import DimensionName


DENSITIES_MG_PER_UL = (0.5, 2.0)
"""As a fluid file has it."""


class BadInput(click.ClickException):
    """One sentence on stderr and exit code 2."""

    exit_code = 2


def quantity(option: str, text: str, dimension: DimensionName) -> float:
    """A quantity in our unit; raises `BadInput` that names the option."""
    from data.quantities import QuantityError, parse

    try:
        return parse(text, dimension)
    except QuantityError as error:
        raise BadInput(f"{option}: {error}") from None


def quantities(option: str, text: str, dimension: DimensionName) -> tuple[float, ...]:
    """Quantities separated by commas, in our unit; raises `BadInput` that names the option."""
    return tuple(quantity(option, one, dimension) for one in text.split(","))


def insist_on_unit(option: str, column: str, unit: str, dimension: DimensionName) -> None:
    """See that a column whose name tells its unit is read in that; raises `BadInput`.

    A name tells it as ``P [mmHg]``, ``P (mmHg)`` or ``P_mmHg``; what is no unit of the dimension is a part of the name.
    """
    from data.quantities import QuantityError, parse

    told = re.search(r"\[([^][]+)\]\s*$|\(([^()]+)\)\s*$|_([^_\s]+)$", column.strip())
    named = next((one.strip() for one in told.groups() if one), "") if told else ""
    try:
        differs = parse(f"1 {named}", dimension) != quantity(option, f"1 {unit}", dimension)
    except QuantityError:
        return
    if differs:
        raise BadInput(f'{option} {unit}: column "{column}" says {named}; give {option} {named}, or rename the column')


def fluid_density(text: str | None) -> tuple[float, tuple[str, ...]]:
    """Density of the fluid in mg/uL, and what was assumed: water, where none is given."""
    from protocols.analysis.gravimetry import REFERENCE_TEMPERATURE_DEGC, water_density_mg_per_ul

    if text is not None:
        given = quantity("--density", text, "density")
        if not DENSITIES_MG_PER_UL[0] <= given <= DENSITIES_MG_PER_UL[1]:
            raise BadInput(f'--density: "{text}" is no density of a fluid for a pump; write for example 1.004 g/mL')
        return given, ()
    density = water_density_mg_per_ul(REFERENCE_TEMPERATURE_DEGC)
    return density, (
        f"no --density given: taken as water at {REFERENCE_TEMPERATURE_DEGC:g} degC, {density:.6f} g/mL; "
        "saline and drug are up to 1 % denser",
    )


def air_density(text: str | None) -> float | None:
    """Density of the air in mg/uL for the correction of its buoyancy, None where none is asked for."""
    if text is None:
        return None
    air = quantity("--buoyancy", text, "density")
    if not 0.0 < air < 0.01:
        raise BadInput(f'--buoyancy: "{text}" is no density of air; write for example 1.2 kg/m3')
    return air


def mass_log(
    path: Path, time_column: str, time_unit: str, mass_column: str, mass_unit: str
) -> tuple[FloatArray, FloatArray]:
    """Times in s and masses in mg of a log; raises `BadInput` or `bench.cli.csv_log.LogError`."""
    from bench.cli.csv_log import ISO, read_log

    iso = time_unit.strip().casefold() == ISO
    time_scale = 1.0 if iso else quantity("--time-unit", f"1 {time_unit}", "time")
    if not iso:
        insist_on_unit("--time-unit", time_column, time_unit, "time")
    insist_on_unit("--mass-unit", mass_column, mass_unit, "mass")
    mass_scale = quantity("--mass-unit", f"1 {mass_unit}", "mass")
    times, masses = read_log(path, time_column, {"--mass": mass_column}, iso_time=iso)
    return times * time_scale, masses * mass_scale
