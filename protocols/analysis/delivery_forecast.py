"""What runs of boluses, changes of the rate and priming will be able to tell: their evaluations of an ideal record."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from data.checks import Check
from data.schedule import Schedule
from protocols.analysis import bolus_verdict, priming, rate_step
from protocols.analysis.declared import Declared
from protocols.analysis.forecast import Expected, Forecast
from protocols.analysis.gravimetric_forecast import Plan, Rig
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.grid import RecordError
from protocols.analysis.ideal_record import expected_of, ideal_records
from protocols.analysis.time_course import time_course

REFUSED = frozenset({"lockout"})


def bolus_forecast(plan: Plan, rig: Rig, schedule: Schedule, declared: Declared) -> Forecast | None:
    """Mean, largest and smallest error of the boluses; None where no line fits between them.

    Parameters
    ----------
    schedule : what is programmed.
    declared : with the procedure's parameters and ``schedule``.
    """
    spans = [span for name, span in plan.phases.items() if name.startswith("request-")]
    # Basal flow is known after each request too, whatever the pump will answer; of none it is forecast how.
    requests = [bolus_verdict.Request(from_s, granted=False, told="", allowed=REFUSED) for from_s, _ in spans]
    analysis = (plan.analysis[0], max([plan.analysis[1], *(to_s for _, to_s in spans)]))
    record = next(ideal_records(declared, plan, rig, schedule, analysis, runs=1))
    checks = [one for one in bolus_verdict.pump_checks(record, requests, ())[0] if one.name.endswith("-error")]
    return _forecast(plan, expected_of([checks]))


def priming_forecast(plan: Plan, rig: Rig, schedule: Schedule, declared: Declared) -> Forecast | None:
    """Error of the bolus or bridge, and of a bridge its end and the rate after it."""
    return _forecast(
        plan, expected_of([_primed(one) for one in ideal_records(declared, plan, rig, schedule, plan.analysis)])
    )


def _primed(record: GravimetricRecord) -> list[Check]:
    bolus = record.schedule.boluses[0]
    checks = priming.bridge if bolus.kind == "bridge" else priming.priming
    try:
        return list(checks(record, bolus, None, ()))
    except RecordError:
        return []


def rate_step_forecast(
    plan: Plan, rig: Rig, rates_ul_per_h: tuple[float, ...], schedule: Schedule, declared: Declared
) -> Forecast | None:
    """New means, changes and transitions of each rate; how well a time is known depends on the flow that is found."""
    names = ["start", *(f"step-{number}" for number in range(1, len(rates_ul_per_h)))]
    edges = [plan.phases[name][0] for name in names] + [plan.phases[names[-1]][1]]
    plateaus = [
        rate_step.Plateau(number, from_s, to_s, rate)
        for number, ((from_s, to_s), rate) in enumerate(zip(pairwise(edges), rates_ul_per_h, strict=True))
    ]
    records = ideal_records(declared, plan, rig, schedule, (edges[0], edges[-1]))
    found = expected_of([_stepped(record, plateaus) for record in records])
    return _forecast(plan, [one for one in found if one.unit == "%"], first="step-1-error")


def _stepped(record: GravimetricRecord, plateaus: list[rate_step.Plateau]) -> Iterator[Check]:
    yield from rate_step.steps(record, plateaus, time_course(record), ())
    yield rate_step.transition(record, plateaus[0], "start-up-volume", "Start-up, delivered against programmed", ())


def _forecast(plan: Plan, checks: list[Expected], first: str = "") -> Forecast | None:
    """With the check that the protocol is for in front."""
    if not checks:
        return None
    ordered = sorted(checks, key=lambda one: one.name != first)
    return Forecast(plan.duration_s, plan.duration_s, tuple(ordered))
