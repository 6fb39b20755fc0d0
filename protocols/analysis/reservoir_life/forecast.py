"""What a run that uses up a filling will be able to tell of its low-reservoir alarm."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from data.checks import Check, Limits
from data.schedule import Continuous, Schedule
from protocols.analysis.decision import judge, result
from protocols.analysis.declared import Declared
from protocols.analysis.evaporation import HOUR_S
from protocols.analysis.forecast import Forecast
from protocols.analysis.gravimetric_forecast import Plan, Rig
from protocols.analysis.ideal_record import expected_of, ideal_records
from protocols.analysis.reservoir_life.record import EDGE_READINGS, LifeRecord
from protocols.analysis.standing import source

SPACING_S = 60.0
"""What is left is a difference of two levels; more readings between them change nothing."""

CHANGE_S = 180.0
"""A change of the vessel, its settling included, is expected to take so long."""


def life_forecast(
    rig: Rig, rate_ul_per_h: float, fill_ul: float, planned_ul: float, vessels: int, declared: Declared
) -> Forecast | None:
    """Expected uncertainties of what was left at the alarm, where the pump has one, and when it was empty.

    Parameters
    ----------
    planned_ul : what is programmed from the start to the end, into so many ``vessels``.
    declared : with the procedure's parameters.
    """
    length_s = planned_ul / rate_ul_per_h * HOUR_S
    schedule = Schedule(Continuous(rate_ul_per_h))
    plan = Plan({}, 0.0, length_s)
    records = ideal_records(declared, plan, replace(rig, period_s=SPACING_S), schedule, (0.0, length_s))
    # What the balance shows at either end of a vessel is the middle of some readings: so many spacings are not weighed.
    away_s = (vessels - 1) * (CHANGE_S + EDGE_READINGS * rig.period_s)
    lives = (LifeRecord(declared.as_run, one, away_s, fill_ul) for one in records)
    found = expected_of([_checks(life, min(fill_ul, planned_ul)) for life in lives])
    duration_s = length_s + (vessels - 1) * CHANGE_S
    return Forecast(duration_s, length_s, tuple(found)) if found else None


def _checks(life: LifeRecord, most_ul: float) -> Iterator[Check]:
    run = life.run
    declared = run.dut.get("low_reservoir_ul")
    if declared is not None and float(declared) < life.filled_ul:
        at_s = (life.filled_ul - float(declared)) / life.rate_ul_per_h * HOUR_S
        left, budget = life.left(at_s)
        stated = (run.dut.get("limits") or {}).get("low_reservoir")
        limits = Limits(-stated["within_ul"], stated["within_ul"], source(stated)) if stated else None
        title = "Left at the low-reservoir alarm less declared"
        yield result("alarm-error", title, left - float(declared), budget, limits)
        u = max(life.gravimetric.stroke_ul, 1.0) / math.sqrt(3.0)
        title = "Programmed volume at the alarm less that by what the pump was told"
        yield Check(name="alarm-calculated", title=title, unit="uL", owner="dut", **judge(0.0, u, math.inf, None))
    left, budget = life.left(most_ul / life.rate_ul_per_h * HOUR_S)
    yield result("left-when-empty", "Left when empty", left, budget, None)
