"""Flow before an occlusion, the bolus that its release lets out, and the flow after: by the balance alone.

All windows are equally long and hold whole strokes.  So what the vessel loses, what the balance drifts and the pump's
pulsation fall out of the differences between them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from protocols.analysis.bolus_budget import LINEARITY_OVER_MG
from protocols.analysis.budget import Budget, Component, bounded
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.record import EDGE_S, HOUR_S, Occluded, OcclusionRecord

RESPONSE_S = 1.0
"""How late a balance shows what flows onto it (filters of 0.5-2 s), and how well the moment of opening is known.

It stands before the opening and follows after the window, so its lag does not fall out of the difference.
"""


@dataclass(frozen=True, slots=True)
class Volumes:
    """Budgets beside values; None where the record does not reach so far.

    Attributes
    ----------
    before_ul_per_h : flow before closing.
    bolus_ul : what came out after opening beyond normal delivery.
    after_ul_per_h : flow in the window after that.
    """

    before_ul_per_h: tuple[float, Budget]
    bolus_ul: tuple[float, Budget] | None
    after_ul_per_h: tuple[float, Budget] | None


def volumes(record: OcclusionRecord, occluded: Occluded) -> Volumes:
    """Weigh one occlusion; raises RecordError where the balance shows too little before it."""
    if occluded.before_s is None or occluded.closed_s is None:
        raise RecordError("the line was not closed")
    long_s = occluded.window_s
    last_s = occluded.closed_s - EDGE_S
    at = {"first": last_s - long_s, "closing": last_s}
    opened_s = occluded.opened_s
    if opened_s is not None:
        at["opening"] = opened_s - EDGE_S
        for name, end_s in (("bolus", opened_s + long_s), ("last", opened_s + 2.0 * long_s)):
            if occluded.until_s >= end_s + EDGE_S:
                at[name] = end_s
    levels = {name: record.level_mg(t_s - EDGE_S, t_s + EDGE_S) for name, t_s in at.items()}
    weigh = _Weigh(record, at, levels, occluded.rate_ul_per_h / HOUR_S)
    hours = long_s / HOUR_S
    before = weigh.difference([("first", "closing")], hours)
    bolus = after = None
    if "bolus" in at:
        bolus = weigh.difference([("opening", "bolus"), ("first", "closing")], 0.0)
        late = Component("response of the balance", weigh.flow_ul_per_s * RESPONSE_S)
        bolus = (bolus[0], bolus[1].plus(late))
        bolus = _with_warming(record, bolus, (at["opening"], at["bolus"]), (at["first"], at["closing"]))
    if "last" in at:
        after = weigh.difference([("bolus", "last")], hours)
    return Volumes(_per_hour(before, hours), bolus, None if after is None else _per_hour(after, hours))


@dataclass(frozen=True, slots=True)
class _Weigh:
    """Levels of mass by name, and their moments."""

    record: OcclusionRecord
    at: Mapping[str, float]
    levels: Mapping[str, float]
    flow_ul_per_s: float

    def difference(self, gains: Sequence[tuple[str, str]], evaporated_h: float) -> tuple[float, Budget]:
        """Volume of the first gain from one level to another less the second, without evaporation of so many hours."""
        weights: dict[str, float] = {}
        for (low, high), sign in zip(gains, (1.0, -1.0), strict=False):
            weights |= {low: -sign, high: sign}
        collected, noise = self.record.collected, self.record.noise
        weighing, per_mg = collected.weighing, collected.ul_per_mg
        names = sorted(weights, key=lambda name: self.at[name])
        t_s = np.array([self.at[name] for name in names])
        w = np.array([weights[name] for name in names])
        level = np.array([self.levels[name] for name in names])
        rate, u_rate = self.record.loss_mg_per_h
        gained = math.fsum((w * level).tolist()) + rate * evaporated_h
        volume = gained * per_mg
        delivered = np.concatenate([[0.0], np.cumsum(np.maximum(np.diff(level), 0.0))]) * per_mg
        block = np.full(t_s.size, 2.0 * EDGE_S)
        parts = [Component(source, u * per_mg) for source, u in noise.parts_mg(t_s, delivered, w, block)]
        # Each gain is bent by itself, however alike the two are: they lie at other loads.
        each = [min(1.0, abs(self.levels[high] - self.levels[low]) / LINEARITY_OVER_MG) for low, high in gains]
        parts.append(bounded("linearity", math.hypot(*each) * weighing.linearity_half_width_mg * per_mg))
        parts.append(Component("evaporation and drift", u_rate * evaporated_h * per_mg))
        density = weighing.density_half_width_mg_per_ul / math.sqrt(3.0) / weighing.fluid_mg_per_ul
        parts.append(Component("density", density * abs(volume)))
        return volume, Budget("volume", "uL", tuple(parts))


def _with_warming(
    record: OcclusionRecord, bolus: tuple[float, Budget], after: tuple[float, float], before: tuple[float, float]
) -> tuple[float, Budget]:
    """What a warming line pushes out leaves the tip, but was not held back by the occlusion."""
    value, budget = bolus
    (swelled, u_after), (usual, u_before) = record.warming_ul(*after), record.warming_ul(*before)
    warming = Component("warming of the line", math.hypot(u_after, u_before))
    return value - (swelled - usual), budget.plus(warming)


def _per_hour(volume: tuple[float, Budget], hours: float) -> tuple[float, Budget]:
    value, budget = volume
    return value / hours, budget.scaled("flow", "uL/h", 1.0 / hours)
