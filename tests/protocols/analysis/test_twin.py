"""A twin vessel that was not weighed in the analysis is no blank: nothing passes by what the station file states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Check, Verdict
from data.run import Run
from protocols.analysis.flow_verdict import evaluate

SEALED = Path(__file__).parents[2] / "runs" / "flow-accuracy-4.h5"


def with_a_twin(until_s: float, quality: int = 0, every: int = 1, delivers: float = 1.0) -> dict[str, Check]:
    """Checks of a sealed run as if a twin vessel, which loses 0.02 mg/h, had been weighed up to a time.

    Parameters
    ----------
    delivers : how many times as much the pump delivers.
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
        mass = np.round(500.0 - 0.02 * t_s / 3600.0 + noise, 2)
        run._series["twin_mass"] = replace(shown, t=t_s, values=mass, quality=np.full(t_s.size, quality, np.uint16))
        return {check.name: check for check in evaluate(run).checks}


def test_a_twin_vessel_weighed_to_the_end_is_two_blanks() -> None:
    checks = with_a_twin(np.inf)
    assert checks["evaporation"].value == pytest.approx(0.02, abs=0.02)
    assert {checks[name].verdict for name in ("mean-flow-error", "evaporation", "blanks-agree")} == {Verdict.PASS}


@pytest.mark.parametrize(
    "twin",
    [{"until_s": 0.0}, {"until_s": 3000.0}, {"until_s": np.inf, "quality": 8}, {"until_s": np.inf, "every": 1500}],
)
def test_a_twin_vessel_that_was_not_weighed_in_the_analysis_lets_nothing_pass(twin: dict[str, float]) -> None:
    checks = with_a_twin(**twin)  # type: ignore[arg-type]
    assert checks["evaporation"].verdict is Verdict.NOT_MEASURED
    assert checks["mean-flow-error"].verdict is Verdict.NOT_MEASURED
    assert "is only known to" in checks["mean-flow-error"].note


def test_without_the_twin_a_pump_that_is_beyond_any_loss_still_fails() -> None:
    assert with_a_twin(3000.0, delivers=2.0)["mean-flow-error"].verdict is Verdict.FAIL
