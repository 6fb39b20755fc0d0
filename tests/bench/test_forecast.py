"""What is said of a run before it begins, what it keeps of that, and what is said of it while it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.cli import main
from bench.forecast import ForecastError, Live, Subject, live, subject_of
from bench.request import Request, prepare
from bench.session import Result
from data.checks import Check, Verdict
from data.run import Run
from protocols.procedure import load_procedure

SHORT = ("--set", "stabilisation=0 h", "--set", "analysis=1 h", "--set", "blank-length=30 min")


@pytest.fixture
def forecast(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Exit code, stdout and stderr of ``pumpbench forecast``."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["forecast", *map(str, words)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture(scope="module")
def unfinished(short_run: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of the short run as it was when most of its analysis was done."""
    journal = tmp_path_factory.mktemp("unfinished") / "run.journal"
    recorded = short_run.journal.read_bytes()
    journal.write_bytes(recorded[: int(0.6 * len(recorded))])
    return journal


def test_a_run_finds_the_uncertainty_that_its_record_forecast(short_run):
    check = next(one for one in short_run.evaluation.checks if one.name == "mean-flow-error")
    with Run.open(short_run.run_file) as run:
        said = run.records("forecast")[0].fields
    assert (said["check"], said["unit"], said["capable"]) == ("mean-flow-error", "%", True)
    assert 0.8 < check.expanded_uncertainty / said["expanded_uncertainty"] < 1.25


def test_of_a_simulated_run_nobody_knows_the_hour_at_which_its_room_is_coolest(monkeypatch, tmp_path):
    prepared = prepare(Request("flow-accuracy", "sim", out=tmp_path))
    afternoon = SimpleNamespace(start=datetime(2026, 11, 20, 15, 30).astimezone())
    monkeypatch.setattr("bench.forecast.WallClock", lambda: afternoon)

    assert subject_of(prepared).start_h is None
    assert subject_of(replace(prepared, station=prepared.station.model_copy(update={"visa": "@py"}))).start_h == 15.5


def test_one_line_says_it_before_the_start(short_run):
    told = [one for one in short_run.findings if one.code == "forecast"]
    assert [one.level for one in told] == ["tells"]
    assert told[0].text.startswith("mean flow error: U = 0.")


def test_the_command_says_what_the_run_will_record(forecast, short_run):
    code, out, _ = forecast("flow-accuracy", "--station", "sim", *SHORT, "--error", "1", "--json")
    with Run.open(short_run.run_file) as run:
        said = run.records("forecast")[0].fields["expanded_uncertainty"]
    found = json.loads(out)
    assert code == 0
    assert found["checks"][0]["expanded_uncertainty"] == said
    assert [one["value"] for one in found["decisions"]] == [1.0]
    lengths = [one["analysis_s"] for one in found["table"]]
    assert lengths == sorted(lengths)
    assert lengths[0] == 3600.0


def test_a_plan_that_can_pass_no_pump_says_how_long_it_would_have_to_be(forecast):
    code, out, _ = forecast("flow-accuracy", "--station", "sim", *SHORT, "--set", "schedule=0.048 mL/day")
    assert code == 4
    assert "not capable: a pump can pass with U up to 4.83 %" in out
    assert "of the variance is linearity: a longer analysis" in out
    shortest = next(line for line in out.splitlines() if line.startswith("shortest analysis"))
    assert 1.0 < float(shortest.split()[-2]) < 4.0


def test_a_protocol_without_a_forecast_says_so(forecast):
    code, out, err = forecast("flow-record", "--station", "sim")
    assert (code, out) == (2, "")
    assert (
        err
        == "pumpbench: nothing can be said of flow-record before the run: its uncertainty follows from what it finds\n"
    )


def test_a_run_that_goes_on_is_judged_as_far_as_it_went(forecast, unfinished):
    before = sorted(unfinished.parent.iterdir())
    code, out, _ = forecast("--run", unfinished, "--json")
    found = json.loads(out)
    assert (code, found["clear_fail"]) == (0, False)
    assert 600.0 < found["analysed_s"] < found["analysis_s"] == 3600.0
    assert found["expanded_uncertainty"] > found["expected_at_end"]
    assert sorted(unfinished.parent.iterdir()) == before


def test_people_are_told_the_same_of_a_run_that_goes_on(forecast, unfinished):
    code, out, _ = forecast("--run", unfinished)
    assert code == 0
    assert "h of 1 h" in out
    assert "not clear of its limits" in out


def test_only_a_proven_fail_is_a_clear_one(short_run):
    check = next(one for one in short_run.evaluation.checks if one.name == "mean-flow-error")

    def clear(check: Check) -> bool:
        return Live(check, 1.0, 2.0, None, None, None).clear_fail

    assert clear(replace(check, verdict=Verdict.FAIL))
    assert not any(clear(replace(check, verdict=verdict)) for verdict in Verdict if verdict is not Verdict.FAIL)


def test_a_run_and_a_plan_are_not_asked_for_at_once(forecast, unfinished):
    code, _, err = forecast("flow-accuracy", "--run", unfinished)
    assert code == 2
    assert "--run takes the plan from the run" in err


RUNS = Path(__file__).parents[1] / "runs"


@pytest.mark.parametrize("name", ["rate-step-6", "environment-4", "reservoir-life-7", "read-out-2"])
def test_a_run_whose_protocol_has_no_analysis_is_not_told_to_wait_for_it(name: str) -> None:
    with (
        Run.open(RUNS / f"{name}.h5") as run,
        pytest.raises(ForecastError, match="cannot be forecast while it goes on; wait for its end"),
    ):
        live(run)


@pytest.mark.parametrize("number", [1, 4, 7])
def test_a_vessel_change_costs_the_readings_at_its_edges_as_well(number: int) -> None:
    """A balance that is read every two minutes misses more of a change than one that is read every 20 s."""
    with Run.open(RUNS / f"reservoir-life-{number}.h5") as run:
        procedure = load_procedure(run.procedure)(**run.params)
        forecast = Subject(procedure, run.station, run.roles, run.dut, run.fluid, None).forecast()
        found = {check.name: check.expanded_uncertainty for check in procedure.evaluate(run).checks}
    assert forecast is not None
    for check in forecast.checks:
        assert found[check.name] == pytest.approx(check.expanded, rel=0.05), check.name
