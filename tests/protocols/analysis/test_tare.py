"""What a balance showed before it was tared is no fluid that was delivered."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.request import Request
from bench.session import conduct
from data.checks import Verdict
from data.run import Run, Series
from data.seal import examine
from protocols.analysis.gravimetric_record import since_tare

SHOWN = np.array([34_983.8, 0.1, 0.2, -0.3])


def shown_after(*tares: dict[str, Any]) -> list[float]:
    """Masses at 0, 10, 20 and 30 s of a run whose delivery began after 21 s."""
    records = [SimpleNamespace(fields={"why": "tare", "channels": ["balance.mass"], **tare}) for tare in tares]
    run: Any = SimpleNamespace(roles={"reference_mass": "balance.mass"}, records=lambda _: records)
    mass = Series(np.arange(4.0) * 10.0, SHOWN, np.zeros(4, dtype=np.uint8), ())
    return since_tare(run, mass, 21.0).values.tolist()


def test_a_vessel_that_was_weighed_before_the_tare_counts_as_what_is_there_after_it():
    assert shown_after({"to_s": 1.4}) == [0.1, 0.1, 0.2, -0.3]


def test_nothing_changes_without_a_reading_before_the_tare_and_by_what_is_no_tare_of_the_balance_before_the_delivery():
    others = ({"to_s": 0.0}, {"to_s": 25.0}, {"to_s": 1.4, "channels": ["force.force"]}, {"to_s": 1.4, "why": "hold"})
    assert shown_after() == SHOWN.tolist()
    assert all(shown_after(other) == SHOWN.tolist() for other in others)


def test_a_balance_that_rests_between_its_tare_and_the_delivery_fails_no_pump(tmp_path: Path):
    settings = {"stabilisation": "2 h", "analysis": "1 h", "blank-length": "30 min", "schedule": "1 mL/day"}
    result = conduct(Request("flow-accuracy", "sim-long", settings=settings, out=tmp_path), verified_by=examine)
    with Run.open(result.run_file) as run:
        mass = run.series("reference_mass")
    assert mass.values[0] > 30_000.0, "nothing was read before the tare, and this test shows nothing"
    assert next(check.verdict for check in result.evaluation.checks if check.name == "no-flow") is Verdict.PASS
