"""A run that looks at itself at declared moments, and ends when the pump has clearly failed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import bench.looks
from bench.looks import AFTER_S
from bench.request import Request
from bench.session import Result, conduct
from data.checks import Status, Verdict
from data.fold import fold
from data.run import Run
from instruments.clock import WallClock
from protocols.analysis.looks import Look
from protocols.steps import JudgedPhase, Phase

JUDGED = JudgedPhase("analysis", for_s=10_000.0, looks_s=(2000.0, 4000.0, 6000.0), risk=0.01)
SOUND, FAILED = Look("mean", 1.0, "%"), Look("mean", 50.0, "%", 35.0, 20.0, stop=True)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Has looks answer in turn; returns the moments at which they were asked."""

    def answer(*found: Look | Exception) -> list[float]:
        asked: list[float] = []
        left = list(found)

        def look(procedure: object, journal: Path, until_s: float, looks: int, risk: float) -> Look:
            assert (looks, risk) == (3, 0.01)
            asked.append(until_s)
            one = left.pop(0)
            if isinstance(one, Exception):
                raise one
            return one

        monkeypatch.setattr(bench.looks, "look", look)
        return asked

    return answer


def test_a_clear_fail_ends_its_phase_and_the_run_goes_on_to_its_end(toys, looks):
    asked = looks(SOUND, FAILED)
    end = toys.run(JUDGED, Phase("blank-after", for_s=60.0))
    assert asked == [2000.0, 4000.0]
    phases = toys.of("phase")
    assert [(one["name"], one["t"]) for one in phases if one["state"] == "end"] == [
        ("analysis", 4000.0 + AFTER_S),
        ("blank-after", 4060.0 + AFTER_S),
    ]
    assert end.status is Status.COMPLETED
    assert end.reason == "all steps done; a clear fail at look 2 ended the analysis after 1.28 h"
    assert [one["stop"] for one in toys.of("look")] == [False, True]


def test_a_phase_in_which_nothing_fails_is_as_long_as_ever(toys, looks):
    looks(SOUND, SOUND, SOUND)
    end = toys.run(JUDGED)
    assert end.reason == "all steps done"
    assert toys.of("phase")[-1]["t"] == 10_000.0


def test_a_look_that_breaks_is_told_and_ends_nothing(toys, looks):
    looks(ValueError("no such file"), SOUND, SOUND)
    assert toys.run(JUDGED).reason == "all steps done"
    told = [one["text"] for one in toys.of("event") if one["level"] == "warning"]
    assert told == ['phase "analysis", look 1: ValueError: no such file; the run goes on']


def test_a_pause_moves_the_looks_and_shortens_nothing(toys, looks):
    asked = looks(SOUND, SOUND, SOUND)
    toys.run(JUDGED, at=[(3000.0, lambda engine: engine.pause("Ada")), (3500.0, lambda engine: engine.resume("Ada"))])
    assert asked == [2000.0, 4500.0, 6500.0]
    assert toys.of("phase")[-1]["t"] == 10_500.0


@pytest.fixture(scope="module")
def stopped(
    tmp_path_factory: pytest.TempPathFactory,
    short_request: Callable[..., Request],
    sim_station: Callable[..., Path],
    without_seals: Callable[[], AbstractContextManager[None]],
) -> Result:
    """A run of a pump that delivers twice what it should; its one look is after 67.5 min of 90."""
    folder = tmp_path_factory.mktemp("stopped")
    station = sim_station(folder, {'period = "1 s"': 'period = "5 s"', '"10 Hz"': '"1 Hz"'})
    settings = {"stabilisation": "0 h", "analysis": "1.5 h", "blank-length": "30 min", "stop-on-clear-fail": "yes"}
    with without_seals():
        return conduct(short_request(station, out=folder, settings=settings, faults=["over-delivery:2"]))


def test_a_pump_that_clearly_fails_is_judged_by_what_was_analysed(stopped):
    check = next(one for one in stopped.evaluation.checks if one.name == "mean-flow-error")
    assert stopped.end.status is Status.COMPLETED
    assert (check.verdict, stopped.evaluation.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert (
        check.note
        == "a clear fail at look 1 ended it after 1.29 h of analysis, by the rule of its plan; 1.5 h were planned"
    )
    with Run.open(stopped.run_file) as run:
        assert run.params["stop_on_clear_fail"] is True
        assert next(step for step in run.steps if step.get("name") == "analysis")["looks_s"] == [4050.0]
        assert [phase.name for phase in run.phases][-1] == "blank-after", "with which the rest of the plan is done"


def test_a_process_of_its_own_finds_the_same(stopped):
    with Run.open(stopped.run_file) as run:
        kept = run.records("look")[0].fields
    found = bench.looks._aside(stopped.journal, kept["sample_s"], 1, 0.01)
    assert (found.value, found.beyond, found.needed, found.stop) == tuple(
        kept[name] for name in ("value", "beyond", "needed", "stop")
    )


def test_a_snapshot_holds_nothing_that_came_after_its_moment(stopped, tmp_path):
    with Run.open(fold(stopped.journal, tmp_path / "cut.h5", incomplete=True, until_s=4321.05)) as run:
        assert run.status is Status.INCOMPLETE
        for name in run.channels:
            t = run.series(name).t
            assert t.size == 0 or t[-1] <= 4321.05
        assert run.series("flow").t[-1] > 4320.0
        assert max(event.t for event in run.events) <= 4321.05


def test_what_is_wrong_with_a_look_is_said_in_one_sentence(stopped, tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        bench.looks._aside(tmp_path / "none.journal", 60.0, 1, 0.01)


def test_on_the_wall_clock_a_look_is_another_process_and_nobody_waits_for_it(toy_bench, monkeypatch):
    toys = toy_bench(clock=WallClock())
    asked: list[tuple[str, float]] = []

    def aside(journal: Path, until_s: float, looks: int, risk: float) -> Look:
        asked.append((journal.name, until_s))
        return FAILED

    monkeypatch.setattr(bench.looks, "_aside", aside)
    monkeypatch.setattr(bench.looks, "AFTER_S", 0.05)
    end = toys.run(JudgedPhase("analysis", for_s=3000.0, looks_s=(0.1, 2000.0), risk=0.01))
    assert asked == [("toy.journal", toys.of("look")[0]["sample_s"])]
    assert asked[0][1] == pytest.approx(toys.of("phase")[0]["t"] + 0.1, abs=100.0)
    assert end.reason.startswith("all steps done; a clear fail at look 1")
