"""A twin vessel that was not weighed in the analysis is no blank: nothing passes by what the station file states."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.checks import Check, Verdict
from data.run import Run
from protocols.analysis.collection import Twin
from protocols.analysis.flow_blanks import known_record
from protocols.analysis.flow_verdict import evaluate

SPAN = (4000.0, 14_000.0)
SEALED = Path(__file__).parents[2] / "runs" / "flow-accuracy-4.h5"


def with_a_twin(
    until_s: float, quality: int = 0, every: int = 1, delivers: float = 1.0, rises_hpa: float = 0.0
) -> dict[str, Check]:
    """Checks of a sealed run as if a twin vessel, which loses 0.02 mg/h, had been weighed up to a time.

    Parameters
    ----------
    delivers : how many times as much the pump delivers.
    rises_hpa : by how much the air's pressure rises within the run; the twin floats in it with 13.6 mL.
    """
    with Run.open(SEALED) as run:
        run.__dict__["params"] = {**run.params, "blank": "twin"}
        run.__dict__["phases"] = tuple(phase for phase in run.phases if not phase.name.startswith("blank"))
        run.__dict__["roles"] = {**run.roles, "twin_mass": "balance.mass"}
        shown = run.series("reference_mass")
        run._series["reference_mass"] = replace(shown, values=delivers * shown.values)
        run._series["flow"] = replace(run.series("flow"), values=delivers * run.series("flow").values)
        t_s = shown.t[shown.t < until_s][::every]
        noise = np.random.default_rng(2).normal(0.0, 0.02, t_s.size)
        pressure = run.series("ambient_pressure")
        run._series["ambient_pressure"] = replace(
            pressure, values=101.325 + 0.1 * rises_hpa * pressure.t / run.end_s, quality=0 * pressure.quality
        )
        floats = 13_600.0 * 1.18e-6 * rises_hpa * t_s / run.end_s
        mass = np.round(500.0 - 0.02 * t_s / 3600.0 - floats + noise, 2)
        run._series["twin_mass"] = replace(shown, t=t_s, values=mass, quality=np.full(t_s.size, quality, np.uint16))
        return {check.name: check for check in evaluate(run).checks}


def test_a_twin_vessel_weighed_to_the_end_is_two_blanks() -> None:
    checks = with_a_twin(np.inf)
    assert checks["evaporation"].value == pytest.approx(0.02, abs=0.02)
    assert {checks[name].verdict for name in ("mean-flow-error", "evaporation", "blanks-agree")} == {Verdict.PASS}


@pytest.mark.parametrize("rises_hpa", [-20.0, 20.0])
def test_a_twin_vessel_is_weighed_in_air_of_one_density(rises_hpa: float) -> None:
    checks = with_a_twin(np.inf, rises_hpa=rises_hpa)
    assert checks["evaporation"].value == pytest.approx(0.02, abs=0.02)


def test_what_a_twin_vessel_does_not_tell_is_in_the_budget() -> None:
    with Run.open(SEALED) as run:
        own = known_record(run).collected
    by_twin = replace(own, twin=Twin((0.3, 0.3), own.mg_per_k, 0.05))
    hours = 10_000.0 / 3600.0
    parts = {one.source: one.u / own.ul_per_mg for one in by_twin.delivered(*SPAN)[1].components}
    assert parts["zero drift"] == pytest.approx(0.3 / 24.0 * hours / math.sqrt(3.0))
    assert parts["zero drift of the twin's balance"] == pytest.approx(parts["zero drift"])
    rate = float(own.evaporation.rate_mg_per_h(sum(SPAN) / 2.0))
    assert parts["loss of the twin vessel"] == pytest.approx(0.05 * abs(rate) * hours)
    # Two coefficients, one of which shows in what was gained, the other in what the blanks were taken for.
    gained = own.warming_k(*SPAN)
    assert parts["balance temperature"] >= own.mg_per_k * abs(gained) * (1.0 - 1e-9)
    assert own.delivered(*SPAN)[1].u < by_twin.delivered(*SPAN)[1].u


@pytest.mark.parametrize(
    "twin",
    [{"until_s": 0.0}, {"until_s": 3000.0}, {"until_s": np.inf, "quality": 8}, {"until_s": np.inf, "every": 1500}],
)
def test_a_twin_vessel_that_was_not_weighed_in_the_analysis_lets_nothing_pass(twin: dict[str, Any]) -> None:
    checks = with_a_twin(**twin)
    assert checks["evaporation"].verdict is Verdict.NOT_MEASURED
    assert checks["mean-flow-error"].verdict is Verdict.NOT_MEASURED
    assert "is only known to" in checks["mean-flow-error"].note


def test_without_the_twin_a_pump_that_is_beyond_any_loss_still_fails() -> None:
    assert with_a_twin(3000.0, delivers=2.0)["mean-flow-error"].verdict is Verdict.FAIL
