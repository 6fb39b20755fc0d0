"""A volume that a balance saw within minutes or hours: the budget of a long run, with what a small gain changes."""

from __future__ import annotations

from dataclasses import replace

from protocols.analysis.bolus_budget import LINEARITY_OVER_MG
from protocols.analysis.budget import Budget, bounded
from protocols.analysis.gravimetric_record import GravimetricRecord


def short_volume(record: GravimetricRecord, from_s: float, to_s: float) -> tuple[float, Budget]:
    """Volume in uL and its budget; the deviation from linearity counts in proportion to the gain."""
    volume, budget = record.collected.delivered(from_s, to_s)
    per_mg = record.collected.ul_per_mg
    share = min(1.0, abs(volume) / per_mg / LINEARITY_OVER_MG)
    linearity = bounded("linearity", record.collected.weighing.linearity_half_width_mg * share * per_mg)
    parts = tuple(linearity if one.source == "linearity" else one for one in budget.components)
    return volume, replace(budget, components=parts)
