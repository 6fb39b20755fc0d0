"""The volume of the bore, and what it is not known by."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.run import Run
from protocols.analysis.catheter.verdict import evaluate

SEALED = Path(__file__).parents[2] / "runs" / "catheter-5.h5"


def compressed_kpa(lower_kpa: float) -> float:
    """What the air in the bore makes of the budget in a room of so much less pressure, times that pressure."""
    with Run.open(SEALED) as run:
        ambient = run._series["ambient_pressure"] = run.series("ambient_pressure")
        ambient.values[:] -= lower_kpa
        check = next(check for check in evaluate(run).checks if check.name == "priming-volume")
        return dict(check.budget)["compression of the air"] * float(ambient.values.mean())


def test_the_air_that_is_driven_out_is_compressed_more_where_the_room_s_pressure_is_less():
    assert compressed_kpa(30.0) == pytest.approx(compressed_kpa(0.0), rel=0.001)
