"""What a refill will be able to tell of its ledger, and of a septum that leaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from data.checks import Check, Limits
from data.schedule import Schedule
from protocols.analysis import gravimetry
from protocols.analysis.decision import result
from protocols.analysis.declared import Declared
from protocols.analysis.evaporation import HOUR_S
from protocols.analysis.forecast import Forecast
from protocols.analysis.gravimetric_forecast import Plan, Rig
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.ideal_record import expected_of, ideal_records
from protocols.analysis.measured_air import STANDARD_AIR
from protocols.analysis.refill.ledger import RUN_OUT_S, by_the_balance, residual_budget, syringes
from protocols.analysis.refill.septum import NAME, TITLE, u_leak
from protocols.analysis.standing import as_limits, source


def refill_forecast(plan: Plan, rig: Rig, schedule: Schedule, declared: Declared) -> Forecast | None:
    """Expected uncertainties of what is missing, of the delivery by the residual, and of the septum's leak.

    Parameters
    ----------
    schedule : what is programmed for the watch after the refill.
    declared : with the procedure's parameters.
    """
    from_s, to_s = plan.analysis
    records = ideal_records(declared, plan, rig, schedule, (from_s, to_s + RUN_OUT_S))
    found = expected_of([_checks(record, plan) for record in records])
    return Forecast(plan.duration_s, to_s - from_s, tuple(found)) if found else None


def _checks(record: GravimetricRecord, plan: Plan) -> Iterator[Check]:
    run, (from_s, to_s) = record.run, plan.analysis
    weighing = record.collected.weighing
    programmed = record.expected_ul(from_s, to_s)
    scale = syringes(run, weighing.fluid_mg_per_ul, gravimetry.air_density_mg_per_ul(*STANDARD_AIR))
    residual = residual_budget(run, scale, programmed)
    if programmed > 0.0:
        mean = as_limits((run.dut.get("limits") or {}).get("mean"))
        percent = residual.scaled("residual", "%", 100.0 / programmed)
        yield result("residual", "Delivered, by the residual, against programmed", 0.0, percent, mean)
    missing = residual.plus(by_the_balance(record.collected.delivered(from_s, to_s + RUN_OUT_S)[1]))
    yield result("pocket-fill", "Missing after the refill", 0.0, missing, _limit(run.dut, "pocket_ul"))
    if run.params["septum"] != "none":
        days = float(run.params["septum_length_s"]) / HOUR_S / 24.0
        leak = u_leak(run, weighing.fluid_mg_per_ul).scaled("leak", "uL/day", 1.0 / days)
        yield result(NAME, TITLE, 0.0, leak, None)


def _limit(dut: Mapping[str, Any], key: str) -> Limits | None:
    """A declared limit on both sides of nothing."""
    declared = (dut.get("limits") or {}).get("refill") or {}
    value = declared.get(key)
    return None if value is None else Limits(-value, value, source(declared))
