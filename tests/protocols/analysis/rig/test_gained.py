"""What a vessel gains of a steady flow, and how well that is known."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from data.run import Run
from protocols.analysis.rig.record import RigRecord
from protocols.analysis.rig.weighed_flow import gained_ul_per_h

SEALED = Path(__file__).parents[3] / "runs" / "valve-test-2.h5"


@pytest.fixture
def u_with(monkeypatch):
    """Standard uncertainty of the flow into the vessel, with other numbers in the station's [collection]."""

    def found(**changed: float) -> float:
        with Run.open(SEALED) as run:
            station = copy.deepcopy(dict(run.station))
            station["collection"] |= changed
            monkeypatch.setitem(run.__dict__, "station", station)
            flow, u = gained_ul_per_h(RigRecord(run, {}), "into-1")
        assert flow == pytest.approx(600.0, rel=0.02)
        return u

    return found


def test_a_meniscus_that_may_slip_a_line_that_breathes_and_a_vessel_in_lighter_air_are_in_its_uncertainty(u_with):
    bare = {"meniscus_mg": 0.0, "dead_volume_ul": 0.0, "buoyant_volume_ul": 0.0}
    least = u_with(**bare)

    for name, value in (("meniscus_mg", 0.5), ("dead_volume_ul", 5000.0), ("buoyant_volume_ul", 90_000.0)):
        assert u_with(**bare | {name: value}) > 1.05 * least
