"""What a person takes out of a run: a little of the analysis is a remark, a little of a bolus spoils it."""

from collections.abc import Callable
from pathlib import Path

import pytest

import bench.closing
import bench.trust.register
from bench.closing import evaluate
from bench.request import Request
from bench.session import conduct
from data.checks import Check, Evaluation, Verdict
from data.run import Event, Run
from data.seal import Verification

DELIVERY_S = 1800.0
BOLUS = (DELIVERY_S + 3600.0, DELIVERY_S + 4200.0)


@pytest.fixture(scope="module")
def with_a_bolus(tmp_path_factory: pytest.TempPathFactory, sim_station: Callable[..., Path]) -> Path:
    """A run with a bolus, on the simulated station read less often."""
    patch = pytest.MonkeyPatch()
    patch.setattr(bench.trust.register, "seal_run", lambda path, home: "not sealed")
    patch.setattr(bench.closing, "verify", lambda path: Verification(True, "intact", (), ""))
    settings = {
        "schedule": "1 mL/day; bolus 20 uL over 10 min after 1 h",
        "stabilisation": "0 h",
        "analysis": "2 h",
        "blank": "stopped",
        "blank_length": "30 min",
    }
    folder = tmp_path_factory.mktemp("bolus")
    station = sim_station(folder, {'period = "1 s"': 'period = "5 s"', '"0.1 s"': '"1 s"', '"10 Hz"': '"1 Hz"'})
    result = conduct(Request("flow-accuracy", str(station), settings=settings, out=folder))
    patch.undo()
    assert result.run_file is not None
    return result.run_file


def without(path: Path, from_s: float, to_s: float, monkeypatch: pytest.MonkeyPatch) -> Evaluation:
    """The evaluation after a named person took out a stretch."""
    fields = {"from_s": from_s, "to_s": to_s, "reason": "door opened", "person": "A. Engineer"}
    recorded = Run.records
    monkeypatch.setattr(
        Run, "records", lambda run, kind: [Event(0.0, kind, fields)] if kind == "exclusion" else recorded(run, kind)
    )
    return evaluate(path)


def named(evaluation: Evaluation, name: str) -> Check:
    return next(check for check in evaluation.checks if check.name == name)


def test_a_bolus_that_nobody_touched_is_weighed(with_a_bolus: Path) -> None:
    evaluation = evaluate(with_a_bolus)
    assert named(evaluation, "excluded").verdict is Verdict.PASS
    assert named(evaluation, "bolus-1").value == pytest.approx(0.0, abs=5.0)


@pytest.mark.parametrize("from_s", [BOLUS[0] - 60.0, BOLUS[0] + 10.0, BOLUS[1] + 60.0])
def test_anything_left_out_of_a_bolus_judges_nothing(
    with_a_bolus: Path, monkeypatch: pytest.MonkeyPatch, from_s: float
) -> None:
    evaluation = without(with_a_bolus, from_s, from_s + 40.0, monkeypatch)
    excluded = named(evaluation, "excluded")
    assert (excluded.verdict, excluded.owner) == (Verdict.INVALID, "rig")
    assert excluded.value == pytest.approx(100.0 * 40.0 / 7200.0)
    assert "in the bolus window of" in excluded.note
    assert named(evaluation, "mean-flow-error").verdict is evaluation.verdict is Verdict.INVALID


@pytest.mark.parametrize("from_s", [BOLUS[0] - 600.0, BOLUS[1] + 600.0])
def test_a_little_left_out_beside_a_bolus_does_no_harm(
    with_a_bolus: Path, monkeypatch: pytest.MonkeyPatch, from_s: float
) -> None:
    evaluation = without(with_a_bolus, from_s, from_s + 40.0, monkeypatch)
    assert named(evaluation, "excluded").verdict is Verdict.PASS
    assert named(evaluation, "mean-flow-error").verdict is not Verdict.INVALID
