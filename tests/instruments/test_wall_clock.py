"""Real time: waiting, suspend, steps of UTC; and what every clock has in common."""

from __future__ import annotations

import sys
import time

import pytest

from instruments.clock import Clock, PacedClock, VirtualClock, WallClock


def test_a_wall_clock_waits_at_least_as_long_as_asked_and_wakes_with_its_event() -> None:
    clock = WallClock()
    clock.sleep_until(0.05)
    assert 0.05 <= clock.now() < 2.0
    assert not clock.wait(clock.event(), until=0.1)
    event = clock.event()
    clock.worker("setter", event.set)
    assert clock.wait(event, until=60.0)
    assert clock.now() < 30.0


def test_the_wall_clocks_horizon_is_one_block_away() -> None:
    clock = WallClock()
    clock.foresee(lambda: 1e9)
    assert 0.0 < clock.horizon() - clock.now() <= 0.05


def test_the_wall_clock_tells_utc() -> None:
    clock = WallClock()
    assert abs(clock.utc(clock.now()).timestamp() - time.time_ns() * 1e-9) < 1.0


def test_a_step_of_utc_is_told_once_and_a_small_one_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, shift_s = WallClock(), 0.0
    monkeypatch.setattr("time.time", lambda: time.time_ns() * 1e-9 + shift_s)
    assert clock.steps() == []
    shift_s = 0.5
    assert clock.steps() == []
    shift_s = -3600.0
    ((at, step),) = clock.steps()
    assert step == pytest.approx(-3600.0, abs=0.5)
    assert 0.0 <= at <= clock.now()
    assert clock.steps() == []


@pytest.mark.parametrize("how", ["sleep", "wait"])
def test_a_computer_that_was_suspended_wakes_its_workers_at_once(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    boottime, naps = [0.0], []

    def nap(seconds: float | None = None) -> bool:
        assert seconds is not None
        naps.append(seconds)
        boottime[0] += seconds + (7200.0 if len(naps) == 3 else 0.0)  # suspended for two hours in the third nap
        return False

    monkeypatch.setattr("instruments.clock.wall._boottime", lambda: boottime[0])
    clock = WallClock()
    event = clock.event()
    monkeypatch.setattr("time.sleep", nap)
    monkeypatch.setattr(event, "wait", nap)
    if how == "sleep":
        clock.sleep_until(3600.0)
    else:
        assert not clock.wait(event, until=3600.0)
    assert len(naps) == 3
    assert max(naps) <= 1.0


def test_the_wall_clock_counts_boottime_where_there_is_one() -> None:
    clock = WallClock()
    difference = elapsed_s() - clock.now()
    clock.sleep(0.01)
    assert elapsed_s() - clock.now() == pytest.approx(difference, abs=0.05)


def elapsed_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.perf_counter_ns() * 1e-9


@pytest.mark.parametrize("clock", [WallClock(), VirtualClock(), PacedClock(1e6)], ids=["wall", "virtual", "paced"])
def test_every_clock_runs_workers_that_set_events(clock: Clock) -> None:
    def main() -> list[bool]:
        events = [clock.event(), clock.event()]
        workers = [clock.worker(f"worker {k}", event.set) for k, event in enumerate(events)]
        woken = [clock.wait(event, until=clock.now() + 30.0) for event in events]
        for worker in workers:
            worker.join()
        return woken

    assert clock.run(main) == [True, True]


def test_a_wall_clock_keeps_a_workers_error_too() -> None:
    def fail() -> None:
        raise ValueError("out of range")

    worker = WallClock().worker("bad", fail)
    worker.join()
    assert worker.done
    assert isinstance(worker.error, ValueError)
