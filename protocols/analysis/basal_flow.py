"""The basal flow between boluses, as the slope of the balance's lines, against the programmed rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data.checks import Check
from protocols.analysis.bolus import Basal
from protocols.analysis.bolus_budget import slope_parts_ul_per_s, whole_strokes
from protocols.analysis.budget import Budget, Component
from protocols.analysis.decision import reported, result
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.short_volume import short_volume
from protocols.analysis.standing import as_limits

HOUR_S = 3600.0

AT_THE_ENDS = ("readability", "repeatability", "meniscus", "zero walk")
"""What a volume from one reading before and one after has of its readings; a slope has that of all its blocks."""


def basal_check(
    record: GravimetricRecord,
    name: str,
    title: str,
    lines: Sequence[Basal],
    left_out: int,
    depends_on: tuple[str, ...],
) -> Check:
    """Mean slope of some lines against the programmed rate.

    Parameters
    ----------
    lines : those of which nothing is excluded.
    left_out : how many others there are.

    Notes
    -----
    Judged by the limits of a stretch at one rate, else by those of the mean flow; reported where the model declares
    neither.
    """
    rate = float(record.run.params["basal_ul_per_h"])
    declared = record.dut["limits"]
    limits = as_limits(declared["segment"]) or as_limits(declared["mean"])
    if not lines:
        check = reported(name, title, None, "%", "part of it is excluded" if left_out else "", depends_on)
        return replace(check, optional=limits is None)
    flow = math.fsum(one.slope_per_s for one in lines) / len(lines) * HOUR_S
    percent = basal_budget(record, lines, record.stroke_ul / rate * HOUR_S).scaled(title, "%", 100.0 / rate)
    notes = [f"{flow:.4g} of {rate:.4g} uL/h over {_span(lines)}"]
    if left_out:
        notes.append(f"{left_out} left out: part of it is excluded")
    if limits is None:
        notes.append("the pump's file declares neither [limits.segment] nor [limits.mean]")
    error = 100.0 * (flow / rate - 1.0)
    return result(name, title, error, percent, limits, depends_on=depends_on, note="; ".join(notes))


def basal_budget(record: GravimetricRecord, lines: Sequence[Basal], stroke_s: float) -> Budget:
    """Budget in uL/h of the mean slope of some lines.

    Notes
    -----
    The readings of one line are not those of another; density, gain, evaporation and the room are taken as common to
    all.  Where no blank was recorded, evaporation is what the station states, and the balance's steady drift counts.
    """
    count = len(lines)
    scattered = [[(source, u * HOUR_S) for source, u in slope_parts_ul_per_s(record, one)] for one in lines]
    components = [
        Component(same[0][0], math.hypot(*(u for _, u in same)) / count) for same in zip(*scattered, strict=True)
    ]
    volumes = [(short_volume(record, one.from_s, one.to_s)[1], HOUR_S / one.length_s) for one in lines]
    for same in zip(*(budget.components for budget, _ in volumes), strict=True):
        if same[0].source in AT_THE_ENDS:
            continue
        u = math.fsum(one.u * per_hour for one, (_, per_hour) in zip(same, volumes, strict=True)) / count
        if same[0].source == "evaporation" and not record.blanked:
            u = record.spread_mg_per_h * record.collected.ul_per_mg
        components.append(replace(same[0], u=u))
    parts = [one for one in lines if not whole_strokes(one, stroke_s)]
    if parts:
        # The mean of each of a line's two blocks may be off by as much as half a stroke.
        off = [record.stroke_ul / 2.0 * math.sqrt(2.0 / 3.0) / one.block_s * HOUR_S for one in parts]
        components.append(Component("part of a stroke", math.hypot(*off) / count, distribution="rectangular"))
    return Budget("basal flow", "uL/h", tuple(components))


def _span(lines: Sequence[Basal]) -> str:
    """How long the basal flow was seen, and how it varied from stretch to stretch."""
    minutes = math.fsum(one.length_s for one in lines) / 60.0
    if len(lines) == 1:
        return f"{minutes:.4g} min"
    flows = np.array([one.slope_per_s for one in lines]) * HOUR_S
    return f"{minutes:.4g} min in {len(lines)} stretches, {flows.min():.4g} to {flows.max():.4g} uL/h"
