"""How a runner ends, in this process: what follows it, and what it tells."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from bench import run_queue
from bench.request import Request
from bench.rpc.desk import Desk
from bench.rpc.doors import Doors
from bench.rpc.messages import Command, Ending, Outcome, Stop
from bench.run_queue import (
    Entry,
    enqueue,
    start_runner,
    station_holder,
)
from bench.runner import Runner, lead_next
from bench.session import Underway
from instruments.clock import WallClock

WALL = WallClock()
RECORD = Request("flow-record", "sim", {"recording": "10 min"})


@pytest.fixture(autouse=True)
def home(detached_home: Path) -> Path:
    """Nothing here touches another queue."""
    return detached_home


class Sketch:
    """A runner in this process, which meanwhile sees what a real one would not notice."""

    terminated = False
    begun: ClassVar[list[int]] = []
    meanwhile: ClassVar[Callable[[Desk], object]] = staticmethod(lambda desk: None)
    ending: ClassVar[Ending] = Ending("ended", "completed")

    def __init__(self, entry: Entry) -> None:
        self.entry, self.desk = entry, Desk(entry.number, entry.procedure, entry.station)

    def opens(self, doors: Doors) -> None:
        """Leave the signals alone."""
        assert station_holder(self.entry.home, "sim") == self.entry.number

    def conduct(self) -> Ending:
        """Have something happen meanwhile."""
        self.begun.append(self.entry.number)
        Sketch.meanwhile(self.desk)
        return Sketch.ending


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the runs that were conducted, and -1 for each runner that was started with the station free."""
    monkeypatch.setattr(Sketch, "begun", [])
    monkeypatch.setattr("bench.runner.Runner", Sketch)
    monkeypatch.setattr("bench.runner._write_to", lambda log: None)

    def started(home: Path, station: str) -> None:
        Sketch.begun.append(station_holder(home, station) or -1)

    monkeypatch.setattr(run_queue, "start_runner", started)
    return Sketch.begun


@pytest.mark.parametrize("terminated", [False, True])
def test_a_run_that_is_queued_at_the_last_moment_is_begun_by_the_runner_that_ends(
    home: Path, sketched: list[int], monkeypatch: pytest.MonkeyPatch, terminated: bool
) -> None:
    monkeypatch.setattr(Sketch, "meanwhile", lambda desk: enqueue(home, RECORD, "sim"))
    monkeypatch.setattr(Sketch, "terminated", terminated)
    enqueue(home, RECORD, "sim")
    assert lead_next(home, "sim")
    assert sketched == ([1] if terminated else [1, -1])


STOP = Command("k", "Ada", Stop("my hand is in the bench"))


@pytest.mark.parametrize(("closing", "outcome"), [(False, Outcome.ACCEPTED), (True, Outcome.REFUSED)])
def test_whoever_stops_a_run_in_its_teardown_or_while_its_file_is_made_has_nothing_move_after_it(
    home: Path, sketched: list[int], monkeypatch: pytest.MonkeyPatch, closing: bool, outcome: Outcome
) -> None:
    def completes_nevertheless(desk: Desk) -> None:
        deaf = SimpleNamespace(stop=lambda *_: None, record=lambda *_, **__: None, steps=(), phase="", rested_s=0.0)
        desk.begins(Underway(deaf, WALL, deaf, "r", Path("a"), Path("b")))  # type: ignore[arg-type]  # all it needs
        if closing:
            desk.ends()
        assert desk.command(STOP).outcome is outcome

    monkeypatch.setattr(Sketch, "meanwhile", completes_nevertheless)
    _, second = enqueue(home, RECORD, "sim"), enqueue(home, RECORD, "sim")
    assert lead_next(home, "sim")
    assert (sketched, run_queue.halts(home, "sim")) == ([1], 1)
    assert second.state().state == "waiting"


def test_a_stop_that_comes_when_all_is_told_has_nothing_move_after_it(
    home: Path, sketched: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    over = Desk.over

    def late(desk: Desk, ending: Ending) -> None:
        over(desk, ending)
        assert desk.command(STOP).outcome is Outcome.REFUSED

    monkeypatch.setattr(Desk, "over", late)
    enqueue(home, RECORD, "sim"), enqueue(home, RECORD, "sim")
    assert lead_next(home, "sim")
    assert (sketched, run_queue.halts(home, "sim")) == ([1], 1)


@pytest.mark.parametrize(
    ("ending", "goes_on"),
    [
        (Ending("ended", "completed"), True),
        (Ending("refused", reason="the station's file has changed"), True),
        (Ending("ended", "aborted"), False),
        (Ending("ended", "stopped-by-interlock"), False),
        (Ending("ended", "error", "the disk took no more"), False),
    ],
)
def test_the_queue_goes_on_after_a_run_that_ended_as_planned_or_moved_nothing(
    home: Path, sketched: list[int], monkeypatch: pytest.MonkeyPatch, ending: Ending, goes_on: bool
) -> None:
    monkeypatch.setattr(Sketch, "ending", ending)
    enqueue(home, RECORD, "sim"), enqueue(home, RECORD, "sim")
    assert lead_next(home, "sim")
    assert sketched == ([1, -1] if goes_on else [1])


def test_a_run_that_was_withdrawn_is_passed_over(home: Path, sketched: list[int]) -> None:
    first, _, other = (enqueue(home, RECORD, station) for station in ("sim", "sim", "other"))
    first.claim()
    assert lead_next(home, "sim")
    assert not lead_next(home, "nothing waits")
    assert sketched == [2]
    assert other.state().state == "waiting"


def test_a_station_that_is_held_is_left_to_who_holds_it(
    home: Path, sketched: list[int], holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.file_lock.HOLD_ON_S", 0.1)
    enqueue(home, RECORD, "sim")
    assert not lead_next(home, "sim")
    assert sketched == []


def test_a_program_that_breaks_is_told_to_those_who_follow(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("x")

    monkeypatch.setattr("bench.runner.conduct", broken)
    ending = Runner(enqueue(home, RECORD, "sim")).conduct()
    assert (ending.state, ending.exit_code) == ("refused", 3)
    assert "KeyError: 'x'; see " in ending.reason


def test_a_state_that_cannot_be_written_does_not_hold_up_the_end(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    runner = Runner(enqueue(home, replace(RECORD, station="gone.toml"), "sim"))
    monkeypatch.setattr(Entry, "tell", full)
    assert runner.conduct().state == "refused"
    assert "the state cannot be written (No space left on device)" in capfd.readouterr().err


def test_a_process_that_was_slow_to_start_does_not_follow_a_runner_that_a_person_ended(
    home: Path, sketched: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    entry = enqueue(home, RECORD, "sim")
    before = run_queue.halts(home, "sim")
    run_queue.halt_queue(home, "sim")
    assert not lead_next(home, "sim", before)
    assert entry.state().state == "waiting"
    assert 'station "sim": a run was stopped meanwhile' in capsys.readouterr().out
    assert lead_next(home, "sim", run_queue.halts(home, "sim"))
    assert sketched == [1]


class Ahead(WallClock):
    """A computer's clock that is an hour fast."""

    def __init__(self) -> None:
        super().__init__()
        self.start += timedelta(hours=1)


def test_a_clock_that_is_set_back_after_a_stop_keeps_no_run_from_beginning(
    home: Path, sketched: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: commands.append(command) or SimpleNamespace(wait=int))
    enqueue(home, RECORD, "sim")
    with monkeypatch.context() as before:
        before.setattr(run_queue, "WallClock", Ahead)
        run_queue.halt_queue(home, "sim")
    start_runner(home, "sim")
    assert lead_next(home, "sim", int(commands[0][-1].removeprefix("--halts=")))
    assert sketched == [1]
