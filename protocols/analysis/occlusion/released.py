"""What the pump did before closing and after opening: flow, the bolus on release, and flow against a back pressure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from data.checks import Check, Limits, Verdict
from protocols.analysis.decision import SIMPLE, reported, result
from protocols.analysis.occlusion.case import AIR_DENSITY, HOLDS, Case, told, unmeasured
from protocols.analysis.occlusion.record import Occluded, OcclusionRecord
from protocols.analysis.occlusion.volumes import Volumes

STOPPED, GUSHING = 20.0, 200.0
"""Percent of the programmed flow beyond which a pump does not deliver, or runs away: no limit of accuracy."""

AGREE = 0.1
"""Bolus and compliance times rise agree within a tenth or U: real silicone creeps."""

SAME_SENSOR_PERCENT = 0.45
"""Standard uncertainty of a ratio of two flows by one sensor: its repeatability, 0.3 % of either, 0.1-0.15 %/K."""


def flow_checks(occluded: Occluded, found: Volumes) -> Iterator[Check]:
    """Whether the pump delivered at all, before and after; how well is for flow-accuracy to say."""
    for name, title, flow, depends in (
        ("flow-before", "Flow before closing", found.before_ul_per_h, (*HOLDS, AIR_DENSITY)),
        ("flow-after", "Flow after opening", found.after_ul_per_h, (*HOLDS, AIR_DENSITY, "valve-opens")),
    ):
        if flow is None:
            yield unmeasured(name, title, "%", "the run ended before it was recorded")
            continue
        percent = flow[1].scaled(name, "%", 100.0 / occluded.rate_ul_per_h)
        value = 100.0 * flow[0] / occluded.rate_ul_per_h
        limits = Limits(STOPPED, GUSHING, "protocol")
        note = "no flow" if value < STOPPED else "far more than was programmed" if value > GUSHING else ""
        check = result(name, title, value, percent, limits, depends_on=depends, note=note, rule=SIMPLE)
        yield replace(check, verdict=Verdict.PASS if STOPPED <= value <= GUSHING else Verdict.FAIL)


def bolus_checks(case: Case) -> Iterator[Check]:
    """The unintended bolus by the balance; compliance times rise beside it."""
    found, behind = case.volumes.bolus_ul, case.behind
    if found is None or behind.at_opening_kpa is None:
        yield reported("bolus", "Bolus on release", None, "uL", "the run ended before it was weighed")
        return
    value, budget = found
    limits = case.limits(None, "bolus_at_most_ul")
    case.keep("pressure_at_release_kpa", behind.at_opening_kpa)
    stands_on = (*HOLDS, AIR_DENSITY, "valve-opens", "bolus-consistent")
    yield result("bolus", "Bolus on release", value, budget, limits, depends_on=stands_on)


def consistent(case: Case) -> Iterator[Check]:
    """Whether the balance and the pressure tell of the same bolus."""
    found, behind, line = case.volumes.bolus_ul, case.behind, case.line
    if found is None or behind.at_opening_kpa is None or line is None:
        return
    value, budget = found
    rise = np.append(behind.rise_kpa[:-1], behind.at_opening_kpa - behind.base_kpa)
    stored = line.given_back_ul(behind.t_s, rise, case.occluded.window_s)
    case.keep("stored_ul", stored)
    u = math.hypot(budget.expanded, 2.0 * stored * line.u_ul_per_kpa / line.ul_per_kpa)
    most = max(AGREE * stored, u)
    note = f"{stored:.4g} uL by compliance and pressure"
    inside = abs(value - stored) <= most
    if not inside:
        note += ": a leak behind the valve, air, or another line than was metered"
    yield Check(
        name="bolus-consistent",
        title="Bolus less compliance times rise",
        value=value - stored,
        unit="uL",
        verdict=Verdict.PASS if inside else Verdict.INVALID,
        owner="rig",
        limit_low=-most,
        limit_high=most,
        limit_source="10 % or U",
        suitability=True,
        note=note,
    )


def partial_checks(record: OcclusionRecord, occluded: Occluded) -> Iterator[Check]:
    """Flow against a back pressure over that before, on the same sensor."""
    span = record.phases.get(f"partial-{occluded.number}")
    if span is None or occluded.closed_s is None or not record.run.has("flow"):
        return
    flow = record.run.corrected("flow").good()
    still = record.phases.get("metered-hold")
    long_s = occluded.window_s

    def mean(from_s: float, to_s: float) -> float:
        values = flow.within(from_s, to_s).values
        return math.fsum(values.tolist()) / values.size if values.size else math.nan

    zero = 0.0 if still is None else mean(*still)
    usual = mean(occluded.closed_s - long_s, occluded.closed_s) - zero
    against = mean(span[1] - long_s, span[1]) - zero
    if not (usual > 0.0 and math.isfinite(against)):
        return
    ratio = 100.0 * against / usual
    u_zero = 0.0 if still is not None else float(record.run.calibration("flow").get("u", 0.0))
    u = math.hypot(SAME_SENSOR_PERCENT, u_zero * abs(100.0 - ratio) / usual)
    note = f"at {record.mean_kpa(*span):.3g} kPa, by the flow sensor alone"
    depends = ("rig-check", "outlet-pressure", "bath-temperature")
    yield told("partial-flow", "Flow in a partial occlusion", ratio, u, "%", "dut", note, depends_on=depends)
