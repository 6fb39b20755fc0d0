"""One check over many runs: its control chart, whether stations agree, and what the gauge itself contributes.

Also the runs that a doubtful instrument has touched.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.rig_chart import RigChart
from data.catalogue.store import Catalogue, CatalogueError, Line, Point, Wanted, span_of
from protocols.analysis.gauge import Gauge, en_number, gauge_study
from protocols.analysis.rig.chart import control_chart


@dataclass(frozen=True, slots=True)
class Agreement:
    """One pump at two stations: mean values, their expanded uncertainties, and En."""

    dut: str
    stations: tuple[str, str]
    values: tuple[float, float]
    u_expanded: tuple[float, float]
    runs: tuple[int, int]
    en: float

    @property
    def agree(self) -> bool:
        """Whether the difference is within its expanded uncertainty."""
        return abs(self.en) <= 1.0


@dataclass(frozen=True, slots=True)
class Study:
    """A gauge study of runs: parts by operators, ``repeats`` each; ``left_out`` runs beyond a balanced study."""

    parts: tuple[str, ...]
    operators: tuple[str, ...]
    repeats: int
    left_out: int
    gauge: Gauge
    unit: str


@dataclass(frozen=True, slots=True)
class Trend:
    """A check across runs, the earliest first."""

    check: str
    points: tuple[Point, ...]
    chart: RigChart
    agreements: tuple[Agreement, ...]


@dataclass(frozen=True, slots=True)
class Touched:
    """A run that relied on an instrument, and how: certificates it counted on, what the instrument did."""

    run: Line
    certificates: tuple[str, ...]
    relied_on: str


def trend(catalogue: Catalogue, check: str, wanted: Wanted) -> Trend:
    """A check across the runs that are asked for; raises CatalogueError where there is none of it."""
    points = _usable(catalogue, check, wanted)
    chart = RigChart(
        check,
        points[-1].check.unit,
        tuple(point.run.made for point in points),
        tuple(_file(point.run) for point in points),
        values := tuple(point.check.value for point in points if point.check.value is not None),
        control_chart(values),
    )
    return Trend(check, tuple(points), chart, tuple(agreements(points)))


def agreements(points: Sequence[Point]) -> list[Agreement]:
    """En of each pump for each two stations that measured it with an uncertainty.

    The uncertainty of a station's mean is the root mean square of its runs', not less for more runs: what a station has
    in common with itself (balance, density, evaporation) does not average out.
    """
    by: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for point in points:
        value, u = point.check.value, point.check.u_expanded
        if value is not None and u and point.run.station:
            by.setdefault(point.run.dut_serial, {}).setdefault(point.run.station, []).append((value, u))
    found = []
    for dut, stations in sorted(by.items()):
        for a, b in itertools.combinations(sorted(stations), 2):
            (value_a, u_a), (value_b, u_b) = _mean(stations[a]), _mean(stations[b])
            runs = len(stations[a]), len(stations[b])
            found.append(
                Agreement(dut, (a, b), (value_a, value_b), (u_a, u_b), runs, en_number(value_a, u_a, value_b, u_b))
            )
    return found


def gauge_of(catalogue: Catalogue, check: str, wanted: Wanted) -> Study:
    """Gauge R&R of repeated runs: a part is a serial number at a set rate, an operator who ran it.

    The first runs of each operator on each part count, as many as every one has of each.

    Raises
    ------
    CatalogueError
        Somebody has not run some part twice; says who and which.
    """
    points = _usable(catalogue, check, wanted)
    cells: dict[tuple[str, str], list[float]] = {}
    for point in points:
        if point.check.value is not None:
            cells.setdefault((_part(point.run), point.run.person), []).append(point.check.value)
    parts = sorted({part for part, _ in cells})
    operators = sorted({person for _, person in cells})
    counts = Counter({cell: len(values) for cell, values in cells.items()})
    if len(parts) < 2 or len(operators) < 2:
        raise CatalogueError(
            f"a gauge study needs two parts (serial number and rate) and two operators at least; these runs have "
            f"{len(parts)} and {len(operators)}"
        )
    part, person = min(itertools.product(parts, operators), key=lambda cell: counts[cell])
    repeats = counts[part, person]
    if repeats < 2:
        raise CatalogueError(
            f"a gauge study needs each operator to run each part twice at least; {person} has run {part} "
            f"{('never', 'once')[repeats]}; run it, or narrow the runs with --dut, --station, --since"
        )
    values = [[cells[part, person][:repeats] for person in operators] for part in parts]
    left_out = len(points) - repeats * len(parts) * len(operators)
    return Study(tuple(parts), tuple(operators), repeats, left_out, gauge_study(values), points[-1].check.unit)


def impact(catalogue: Catalogue, serial: str, since: str) -> tuple[list[Touched], int]:
    """The runs that relied on an instrument since a date, or since a certificate was first used.

    Returns
    -------
    The runs, the earliest first, and how many more had the instrument on their station without relying on it.

    Raises
    ------
    CatalogueError
        No run had this instrument, or none this certificate.
    """
    uses = catalogue.uses(serial)
    if not uses:
        there = ", ".join(catalogue.serials()) or "none"
        raise CatalogueError(f'no run had an instrument with serial number "{serial}"; there are {there}')
    if since:
        of_certificate = [use.run.made for use in uses if use.instrument.certificate == since]
        begin = of_certificate[0] if of_certificate else _begin(since, [use.instrument.certificate for use in uses])
        uses = [use for use in uses if use.run.made >= begin]
    relied: dict[int, list[Any]] = {}
    idle: set[int] = set()
    for use in uses:
        if use.instrument.relied_on:
            relied.setdefault(use.run.id, []).append(use)
        else:
            idle.add(use.run.id)
    touched = [
        Touched(
            group[0].run,
            tuple(sorted({use.instrument.certificate for use in group} - {""})),
            ", ".join(dict.fromkeys(use.instrument.relied_on for use in group)),
        )
        for group in relied.values()
    ]
    return touched, len(idle - set(relied))


# -- small parts


def _usable(catalogue: Catalogue, check: str, wanted: Wanted) -> list[Point]:
    found = catalogue.points(check, wanted)
    points = [one for one in found if one.check.value is not None and one.check.verdict != "invalid"]
    if points:
        return points
    if found:
        raise CatalogueError(f'"{check}" is invalid or without a value in each of {len(found)} runs')
    elsewhere = catalogue.points(check, Wanted())
    if elsewhere:
        origins = ", ".join(sorted({point.run.origin for point in elsewhere}))
        raise CatalogueError(
            f'no run that is asked for has the check "{check}"; {len(elsewhere)} others have (origin {origins})'
        )
    names = ", ".join(catalogue.check_names()) or "none"
    raise CatalogueError(f'no run has a check "{check}"; there are {names}')


def _mean(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    n = len(values)
    return math.fsum(v for v, _ in values) / n, math.sqrt(math.fsum(u * u for _, u in values) / n)


def _part(run: Line) -> str:
    return run.dut_serial if run.set_rate_ul_per_h is None else f"{run.dut_serial} at {run.set_rate_ul_per_h:.6g} uL/h"


def _file(run: Line) -> str:
    return run.path.replace("\\", "/").rpartition("/")[2]


def _begin(since: str, certificates: Sequence[str]) -> str:
    try:
        return span_of(since)[0]
    except CatalogueError:
        there = ", ".join(sorted(set(certificates) - {""})) or "none"
        raise CatalogueError(
            f'--since: "{since}" is neither a date such as 2026-11-21 nor a certificate of this instrument '
            f"(its runs used {there})"
        ) from None
