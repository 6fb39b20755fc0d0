"""What an occlusion let out, weighed: every gain of the balance is bent as that of a bolus is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from data.run import Run
from protocols.analysis.bolus_budget import LINEARITY_OVER_MG
from protocols.analysis.occlusion.record import EDGE_S, OcclusionRecord
from protocols.analysis.occlusion.volumes import volumes

SEALED = Path(__file__).parents[3] / "runs" / "occlusion-3.h5"


@pytest.mark.parametrize("heavier", [1.0, 3.0, 20.0])
def test_linearity_counts_for_either_gain_of_a_bolus_and_in_full_over_a_large_one(heavier):
    with Run.open(SEALED) as run:
        record = OcclusionRecord(run)
        record.collected.mass_mg[:] *= heavier
        (occluded,) = record.occlusions
        found = volumes(record, occluded)
        weighing, per_mg = record.collected.weighing, record.collected.ul_per_mg
        ends_s = (occluded.closed_s - EDGE_S, occluded.opened_s - EDGE_S)
        starts_s = (ends_s[0] - occluded.window_s, ends_s[1])
        stops_s = (ends_s[0], occluded.opened_s + occluded.window_s)
        gains = [
            record.level_mg(to_s - EDGE_S, to_s + EDGE_S) - record.level_mg(from_s - EDGE_S, from_s + EDGE_S)
            for from_s, to_s in zip(starts_s, stops_s, strict=True)
        ]
    u_full = weighing.linearity_half_width_mg / math.sqrt(3.0) * per_mg
    usual, after = (min(gain / LINEARITY_OVER_MG, 1.0) for gain in gains)
    assert usual > 0.2

    def u_of(budget):
        return next(part.u for part in budget.components if part.source == "linearity")

    hours = occluded.window_s / 3600.0
    assert u_of(found.before_ul_per_h[1]) * hours == pytest.approx(usual * u_full)
    assert u_of(found.bolus_ul[1]) == pytest.approx(math.hypot(usual, after) * u_full)
