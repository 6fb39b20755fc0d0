"""Delivery in each segment and bolus of a schedule that varies, with the budget of a gain over minutes or hours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from data.checks import Exclusion
from protocols.analysis import delivery, gravimetry
from protocols.analysis.bolus_budget import (
    AIR_HPA_PER_SQRT_H,
    LINEARITY_OVER_MG,
    MG_PER_HPA_UL,
    noise_of,
)
from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.gravimetric_record import EDGE_S, GravimetricRecord
from protocols.analysis.grid import kept
from protocols.analysis.short_volume import short_volume

HOUR_S = 3600.0
READINGS = ("readability", "repeatability", "meniscus")
"""What is drawn anew at each end of a stretch."""

Weighed = tuple[delivery.Part, Budget | None]


def segments(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> Iterator[Weighed]:
    """Each segment of the basal delivery in the analysis, and the budget of its volume in uL."""
    from_s, to_s = record.analysis
    t_s, volumes = record.volumes(from_s, to_s)
    since = record.started_s
    for one in record.schedule.segments(from_s - since, to_s - since):
        if one.kind != "basal":
            continue
        begin, end = max(one.t0 + since, from_s), min(one.t1 + since, to_s)
        budget = _of_segment(record, begin + EDGE_S, end - EDGE_S, excluded)
        u = budget.u if budget is not None else 0.0
        part = (begin, end, one.kind)
        (found,) = delivery.segment_delivery(t_s, volumes, [part], record.programmed_ul, u, EDGE_S, excluded)
        yield found, budget


def _of_segment(record: GravimetricRecord, begin: float, end: float, excluded: Sequence[Exclusion]) -> Budget | None:
    """Budget of what was delivered between two moments; each stretch between exclusions has readings of its own."""
    stretches = kept(begin, end, excluded) if end > begin else []
    if not stretches:
        return None
    return anew(short_volume(record, begin, end)[1], len(stretches))


def anew(budget: Budget, stretches: int) -> Budget:
    """A budget of one stretch as that of several, each of which has readings of its own at its ends."""
    more = math.sqrt(stretches)
    parts = (replace(one, u=one.u * more) if one.source in READINGS else one for one in budget.components)
    return replace(budget, components=tuple(parts))


def boluses(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> Iterator[Weighed]:
    """Each bolus in the analysis, and the budget of its volume in uL."""
    from_s, to_s = record.analysis
    since = record.started_s
    programmed = [
        (bolus.at_s + since, bolus.end_s + since, bolus.volume_ul, bolus.kind)
        for _, bolus in record.schedule.boluses_between(from_s - since, to_s - since)
    ]
    if not programmed:
        return
    t_s, volumes = record.volumes(from_s, to_s)
    for part in delivery.bolus_delivery(t_s, volumes, programmed, 0.0, EDGE_S, exclusions=excluded):
        if part.error_percent is None:
            yield part, None
            continue
        budget = _of_bolus(record, part)
        yield delivery.left_out(part, budget.u), budget


def _of_bolus(record: GravimetricRecord, part: delivery.Part) -> Budget:
    """Budget of the gain in a bolus's window less that of the basal stretch before it, scaled to the window's length.

    So three readings count: that at the stretch's begin with the ratio of the lengths, that between the two with one
    and that ratio, that at the window's end with one.  Evaporation is in the slope that is taken off.
    """
    collected = record.collected
    weighing, per_mg = collected.weighing, collected.ul_per_mg
    ratio = (part.to_s - part.from_s) / part.basal_s
    at = np.array([part.from_s - part.basal_s, part.from_s, part.to_s])
    weights = np.array([ratio, -1.0 - ratio, 1.0])
    volumes = collected.volume_ul(float(at[0]), at)
    scatter = noise_of(record).parts_mg(at, volumes, weights, np.zeros(3))
    amount = abs(part.delivered_ul)
    hours = float(at[-1] - at[0]) / HOUR_S
    linearity = weighing.linearity_half_width_mg * min(1.0, amount / per_mg / LINEARITY_OVER_MG)
    air_mg = AIR_HPA_PER_SQRT_H * math.sqrt(hours) * MG_PER_HPA_UL * weighing.buoyant_volume_ul
    immersed = 1.0 - gravimetry.immersion_factor(weighing.tube_diameter_mm, weighing.vessel_diameter_mm)
    components = (
        *(Component(source, u * per_mg) for source, u in scatter),
        bounded("linearity", linearity * per_mg),
        Component("air density on the vessel", air_mg * per_mg),
        bounded("density, composition", amount / weighing.fluid_mg_per_ul * weighing.density_half_width_mg_per_ul),
        Component("immersed tube", amount * immersed * weighing.u_immersion_relative),
        Component("calibration of the balance", amount * weighing.u_calibration_percent / 100.0),
    )
    return Budget("bolus volume", "uL", components)
