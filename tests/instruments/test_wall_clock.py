"""Real time: waiting, suspend, steps of UTC; and what every clock has in common."""

from __future__ import annotations

import sys
import time

import pytest

from instruments.clock import Clock, PacedClock, VirtualClock, WallClock


def test_a_wall_clock_waits_at_least_as_long_as_asked_and_wakes_with_its_event() -> None:
    clock = WallClock()
    clock.sleep_until(0.05)
    assert clock.now() >= 0.05
    assert not clock.wait(clock.event(), until=clock.now() + 0.05)
    event = clock.event()
    clock.worker("setter", event.set)
    assert clock.wait(event, until=1e6)


def test_the_wall_clocks_horizon_is_one_block_away() -> None:
    clock = WallClock()
    clock.foresee(lambda: 1e9)
    before, horizon, after = clock.now(), clock.horizon(), clock.now()
    assert before + 0.05 <= horizon <= after + 0.05


def test_the_wall_clock_tells_utc() -> None:
    clock = WallClock()
    before = time.time_ns() * 1e-9
    told = clock.utc(clock.now()).timestamp()
    assert before - 0.2 < told < time.time_ns() * 1e-9 + 0.2


def test_a_computer_that_stalls_while_the_clock_is_set_or_asked_has_not_stepped_its_utc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stall_s, stalls = 0.0, [3.0, 0.0, 0.0, 3.0, 0.0, 0.0]

    def utc() -> float:
        nonlocal stall_s
        stall_s += stalls.pop(0) if stalls else 0.0
        return 1e9 + stall_s

    monkeypatch.setattr("instruments.clock.wall._boottime", lambda: stall_s)
    monkeypatch.setattr("time.time", utc)
    clock = WallClock()
    assert clock.utc(clock.now()).timestamp() == pytest.approx(1e9)
    assert [clock.steps() for _ in range(5)] == [[]] * 5
    assert not stalls


def test_a_step_of_utc_is_told_once_and_a_small_one_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, shift_s = WallClock(), 0.0
    monkeypatch.setattr("time.time", lambda: time.time_ns() * 1e-9 + shift_s)
    assert clock.steps() == []
    shift_s = 0.5
    assert clock.steps() == []
    shift_s = -3600.0
    ((at, step),) = clock.steps()
    assert step == pytest.approx(-3600.5, abs=0.1)
    assert 0.0 <= at <= clock.now()
    assert clock.steps() == []


def test_steps_of_utc_forth_and_back_are_two_steps_and_a_drift_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    offsets_s = [0.0, 60.0, 60.0, 0.0, 0.6, 1.2, 1.8, 2.4]
    monkeypatch.setattr("instruments.clock.wall._boottime_and_utc_offset", lambda: (0.0, offsets_s.pop(0)))
    clock = WallClock()
    assert [step for _ in offsets_s.copy() for _, step in clock.steps()] == [60.0, -60.0]


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
    outer, begun, inner = elapsed_s(), clock.now(), elapsed_s()
    clock.sleep(0.01)
    inner, ended, outer = elapsed_s() - inner, clock.now(), elapsed_s() - outer
    assert inner - 1e-6 <= ended - begun <= outer + 1e-6


def elapsed_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.perf_counter_ns() * 1e-9


@pytest.mark.parametrize("clock", [WallClock(), VirtualClock(), PacedClock(1e6)], ids=["wall", "virtual", "paced"])
def test_every_clock_runs_workers_that_set_events(clock: Clock) -> None:
    def main() -> list[bool]:
        events = [clock.event(), clock.event()]
        workers = [clock.worker(f"worker {k}", event.set) for k, event in enumerate(events)]
        woken = [clock.wait(event, until=clock.now() + 1e6) for event in events]
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
