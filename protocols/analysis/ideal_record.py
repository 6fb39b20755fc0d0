"""The record that a pump and a rig without error would leave: evaluations find in it the uncertainty of a real one.

What an evaluation calls uncertain follows nearly always from declared inputs, from when what was recorded, and from how
much was delivered; not from the error that it finds.  So an ideal record goes through the very functions that judge a
run, and what they say of U is the forecast.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from data.checks import Check, Limits
from data.schedule import Schedule
from protocols.analysis import gravimetry
from protocols.analysis.budget import Budget, Component
from protocols.analysis.declared import Declared
from protocols.analysis.forecast import Expected, expected
from protocols.analysis.gravimetric_forecast import Plan, Rig, likely_surroundings
from protocols.analysis.gravimetric_record import GravimetricRecord, collection_of, spread_mg_per_h
from protocols.analysis.measured_air import STANDARD_AIR

RUNS = 8
"""Likely blanks and rooms that are drawn."""

BEFORE_S = 600.0
"""An ideal record begins so long before what is judged."""

MOST_SAMPLES = 1_000_000
"""Beyond so many the readings' own noise counts for nothing, and an ideal record has wider spacings."""


def ideal_records(
    declared: Declared, plan: Plan, rig: Rig, schedule: Schedule, analysis: tuple[float, float], runs: int = RUNS
) -> Iterator[GravimetricRecord]:
    """Balance records of a pump that delivers its schedule, without noise; one for each likely room and its blanks.

    Parameters
    ----------
    schedule : from the plan's start of delivery on.
    analysis : what is judged, on the run's clock.
    """
    begin = max(0.0, analysis[0] - BEFORE_S)
    period_s = max(rig.period_s, (plan.duration_s - begin) / MOST_SAMPLES)
    t_s = np.arange(begin, plan.duration_s + period_s / 2.0, period_s)
    air = np.full(t_s.size, gravimetry.air_density_mg_per_ul(*STANDARD_AIR))
    since = np.clip(t_s - plan.started_s, 0.0, analysis[1] - plan.started_s)
    delivered = np.asarray(schedule.expected_volume_ul(0.0, since), dtype=np.float64)
    for evaporation, at_s, at_degc in likely_surroundings(plan, rig, runs):
        room = np.interp(t_s, at_s, at_degc)
        collected = collection_of(
            (t_s, np.zeros(t_s.size), air, room), evaporation, rig.uncertainty, rig.collection, declared.fluid
        )
        shown = delivered / collected.ul_per_mg - evaporation.lost_mg(0.0, t_s)
        collected = collection_of((t_s, shown, air, room), evaporation, rig.uncertainty, rig.collection, declared.fluid)
        yield GravimetricRecord(
            declared.as_run,
            dict(plan.phases),
            schedule,
            plan.started_s,
            analysis,
            True,
            collected,
            t_s,
            shown,
            rig.blank != "none",
            spread_mg_per_h(rig.uncertainty, rig.collection),
            (),
            None,
            None,
        )


def expected_of(runs: Sequence[Iterable[Check]]) -> list[Expected]:
    """What is expected of the checks that likely runs would have; those without an uncertainty are left out."""
    by_name: dict[str, list[Check]] = {}
    for checks in runs:
        for check in checks:
            if check.standard_uncertainty is not None and check.value is not None:
                by_name.setdefault(check.name, []).append(check)
    return [_expected(checks) for checks in by_name.values()]


def _expected(checks: Sequence[Check]) -> Expected:
    one = checks[0]
    limits = None
    if one.limit_low is not None or one.limit_high is not None:
        limits = Limits(one.limit_low, one.limit_high, one.limit_source)
    return expected(one.name, one.title, [_budget(check) for check in checks], limits)


def _budget(check: Check) -> Budget:
    """Budget of a check by its rows, or in one line where it has none.

    Rows have no degrees of freedom of their own; the largest one gets those that give the whole's.
    """
    u, dof = check.standard_uncertainty or 0.0, check.degrees_of_freedom or math.inf
    rows = check.budget or (("as evaluated", u),)
    largest = max(rows, key=lambda row: row[1])
    share = (largest[1] / u) ** 4 if u else 1.0
    parts = (Component(source, part, dof * share if (source, part) == largest else math.inf) for source, part in rows)
    return Budget(check.name, check.unit, tuple(parts))
