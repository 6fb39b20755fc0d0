"""The virtual clock and the paced one: waiting, standstill, strangers, workers' errors, posting."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from instruments.clock import Clock, ClockError, Event, PacedClock, StandstillError, VirtualClock, WallClock, Worker


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def set_at(clock: Clock, event: Event, t: float) -> None:
    clock.sleep_until(t)
    event.set()


def test_a_month_of_single_seconds_of_sleep_ends_exactly_on_time(clock: VirtualClock) -> None:
    def main() -> float:
        for k in range(10_000):
            clock.sleep_until(k * 259.2)
        return clock.now()

    assert clock.run(main) == 9_999 * 259.2


def test_a_time_that_has_passed_is_no_wait(clock: VirtualClock) -> None:
    clock.sleep_until(5.0)
    clock.sleep_until(3.0)
    assert clock.now() == 5.0


def test_outside_a_run_sleeping_just_moves_time(clock: VirtualClock) -> None:
    assert not clock.wait(clock.event(), until=2.5)
    assert clock.utc(clock.now()) == datetime(2026, 1, 1, 0, 0, 2, 500_000, UTC)


def test_a_wait_ends_with_its_event_or_exactly_at_its_end(clock: VirtualClock) -> None:
    event = clock.event()

    def main() -> list[object]:
        clock.worker("setter", partial(set_at, clock, event, 10.0))
        early = clock.wait(event, until=7.25), clock.now()
        late = clock.wait(event, until=20.0), clock.now()
        return [early, late]

    assert clock.run(main) == [(False, 7.25), (True, 10.0)]


def test_all_who_wait_for_an_event_wake_at_its_time_by_name(clock: VirtualClock) -> None:
    event, woken = clock.event(), list[tuple[float, str]]()

    def waiter(name: str) -> None:
        clock.wait(event)
        woken.append((clock.now(), name))

    def main() -> None:
        workers = [clock.worker(name, partial(waiter, name)) for name in ("c", "a", "b")]
        set_at(clock, event, 3.0)
        for worker in workers:
            worker.join()

    clock.run(main)
    assert woken == [(3.0, "a"), (3.0, "b"), (3.0, "c")]


@pytest.mark.parametrize("make", [VirtualClock, WallClock])
def test_an_event_that_is_cleared_at_once_still_wakes_who_waited(make: type[VirtualClock] | type[WallClock]) -> None:
    clock = make()
    event, ready = clock.event(), clock.event()

    def waiter() -> bool:
        ready.set()
        return clock.wait(event, until=clock.now() + 50.0)

    def main() -> bool:
        answers: list[bool] = []
        worker = clock.worker("waiter", lambda: answers.append(waiter()))
        clock.wait(ready)
        clock.sleep(0.02)
        while not is_waited_for(event):
            clock.sleep(0.001)
        event.set()
        event.clear()
        worker.join()
        return answers[0]

    assert clock.run(main)


def is_waited_for(event: Any) -> bool:
    """On the wall clock the waiter takes a while from `ready` into its wait, and looks up once a second."""
    return not hasattr(event, "_cond") or bool(event._cond._waiters)


def test_a_lock_is_re_entrant(clock: VirtualClock) -> None:
    lock, log = clock.lock(), []

    def holder() -> None:
        with lock:
            with lock:
                clock.sleep(1.0)
            clock.sleep(1.0)
            log.append(("first", clock.now()))

    def main() -> None:
        first = clock.worker("a", holder)
        clock.sleep(0.5)
        with lock:
            log.append(("second", clock.now()))
        first.join()

    clock.run(main)
    assert log == [("first", 2.0), ("second", 2.0)]


def test_a_queue_hands_over_everything_in_order(clock: VirtualClock) -> None:
    queue, taken = clock.queue(), []

    def producer() -> None:
        for k in range(6):
            queue.put(k)
            clock.sleep(1.0 if k % 2 else 0.0)

    def main() -> None:
        clock.worker("producer", producer)
        while queue.wait(until=10.0):
            taken.append((clock.now(), queue.drain()))
        assert len(queue) == 0

    clock.run(main)
    assert taken == [(0.0, [0, 1]), (1.0, [2, 3]), (2.0, [4, 5])]


def test_the_horizon_is_the_earliest_thing_foreseen(clock: VirtualClock) -> None:
    assert clock.horizon() == float("inf")
    clock.foresee(lambda: 40.0)
    clock.foresee(lambda: 30.0)
    assert clock.horizon() == 30.0


# -------------------------------------------------------------------------------------- what would stop time


def test_a_closed_clock_holds_nothing_that_a_worker_had_seen(clock: VirtualClock) -> None:
    never, seen = clock.event(), {1.0}
    gone = weakref.ref(seen)
    ended = list[str]()

    def waits(what: object) -> None:
        try:
            clock.wait(never)
        finally:
            ended.append("waits")

    clock.worker("waits", partial(waits, seen))
    clock.worker("waits too", partial(waits, seen))
    clock.run(lambda: clock.sleep(1.0))
    del seen
    gc.collect()
    assert gone() is not None  # the collector does not look into a worker that waits
    clock.close()
    gc.collect()
    assert (gone(), ended) == (None, ["waits"] * 2)
    clock.sleep(1.0)  # nobody is left who could be overtaken


def test_workers_who_all_wait_for_events_are_told_so_by_name(clock: VirtualClock) -> None:
    def main() -> BaseException | None:
        sampler = clock.worker("sampler", partial(clock.wait, clock.event()))
        sampler.join()
        return sampler.error

    error = clock.run(main)
    assert isinstance(error, StandstillError)
    assert "(main, sampler)" in str(error)


def test_a_standstill_after_the_last_worker_ended_shows_where_the_main_one_waits(clock: VirtualClock) -> None:
    never = clock.event()

    def the_line_that_waits() -> None:
        clock.wait(never)

    def main() -> None:
        clock.worker("short", lambda: clock.sleep(5.0))
        the_line_that_waits()

    with pytest.raises(StandstillError) as caught:
        clock.run(main)
    assert "the_line_that_waits" in [entry.name for entry in caught.traceback]


def test_a_wait_that_failed_leaves_nothing_that_cuts_a_later_one_short(clock: VirtualClock) -> None:
    event = clock.event()

    def main() -> float:
        with pytest.raises(StandstillError):
            clock.wait(event)
        clock.worker("setter", partial(set_at, clock, event, 1.0))
        clock.sleep(100.0)
        return clock.now()

    assert clock.run(main) == 100.0


def from_a_foreign_thread(action: Callable[[], object]) -> BaseException | None:
    worker = WallClock().worker("stranger", action)
    worker.join()
    return worker.error


def test_a_thread_that_is_no_worker_may_look_but_not_wait(clock: VirtualClock) -> None:
    def main() -> list[BaseException | None]:
        clock.sleep(3.0)
        actions: list[Callable[[], object]] = [
            clock.now,
            lambda: clock.sleep(1.0),
            lambda: clock.wait(clock.event(), 9.0),
        ]
        return [from_a_foreign_thread(action) for action in actions]

    looked, slept, waited = clock.run(main)
    assert looked is None
    assert isinstance(slept, ClockError)
    assert isinstance(waited, ClockError)
    assert clock.now() == 3.0


def test_a_thread_that_is_no_worker_enters_a_free_lock_and_no_held_one(clock: VirtualClock) -> None:
    lock = clock.lock()

    def enter() -> None:
        with lock:
            pass

    def main() -> tuple[BaseException | None, BaseException | None]:
        free = from_a_foreign_thread(enter)
        with lock:
            return free, from_a_foreign_thread(enter)

    free, held = clock.run(main)
    assert free is None
    assert isinstance(held, ClockError)


def test_nobody_moves_time_from_outside_while_workers_wait_to_begin(clock: VirtualClock) -> None:
    clock.worker("early", lambda: None)
    with pytest.raises(ClockError, match="only a worker"):
        clock.sleep(1.0)


def test_waiting_without_an_end_outside_a_run_is_refused(clock: VirtualClock) -> None:
    with pytest.raises(ClockError, match="nobody can set the event"):
        clock.wait(clock.event())


def test_a_worker_cannot_begin_a_second_run(clock: VirtualClock) -> None:
    with pytest.raises(ClockError, match="another main worker"):
        clock.run(lambda: clock.run(lambda: None))


def test_a_silent_worker_is_reported_by_name_and_stack(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("instruments.clock.virtual.SILENT_AFTER_S", 0.05)
    wall, reports = WallClock(), list[str]()

    def stuck_in_a_read() -> None:
        while not any(reports):
            wall.wait(wall.event(), until=wall.now() + 0.02)
            reports.append(capsys.readouterr().err)

    clock.run(lambda: clock.worker("balance", stuck_in_a_read).join())
    report = "".join(reports)
    assert "'balance' has been silent for" in report
    assert "stuck_in_a_read" in report


def test_a_paced_clock_that_rests_is_not_called_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, told_s = PacedClock(10.0), 0.0

    def goes_on_while_it_rests() -> float:
        nonlocal told_s
        told_s += 0.01 if clock._resting else 0.0
        return told_s

    monkeypatch.setattr("instruments.clock.virtual.SILENT_AFTER_S", 0.05)
    monkeypatch.setattr("instruments.clock.virtual.time", SimpleNamespace(monotonic=goes_on_while_it_rests))
    clock.run(lambda: clock.sleep(3.0))
    assert told_s > 0.05
    assert capsys.readouterr().err == ""


# --------------------------------------------------------------------------------------------- workers' errors


def test_a_workers_error_is_kept_for_who_joins_and_the_others_go_on(clock: VirtualClock) -> None:
    def fail() -> None:
        clock.sleep(1.0)
        raise ValueError("out of range")

    def main() -> tuple[Worker, Worker, float]:
        bad, good = clock.worker("bad", fail), clock.worker("good", lambda: clock.sleep(2.0))
        bad.join()
        good.join()
        return bad, good, clock.now()

    bad, good, now = clock.run(main)
    assert bad.done
    assert isinstance(bad.error, ValueError)
    assert good.error is None
    assert now == 2.0


def test_the_main_workers_error_comes_out_of_the_run(clock: VirtualClock) -> None:
    with pytest.raises(ZeroDivisionError):
        clock.run(lambda: 1 // 0)


def test_an_interrupt_ends_the_run_whoever_was_at_work(clock: VirtualClock) -> None:
    cleaned_up = []

    def interrupted() -> None:
        clock.sleep(1.0)
        raise KeyboardInterrupt

    def main() -> None:
        try:
            clock.worker("sampler", interrupted).join()
        finally:
            cleaned_up.append(True)

    with pytest.raises(KeyboardInterrupt):
        clock.run(main)
    assert cleaned_up == [True]


def test_workers_of_one_name_and_time_run_as_they_were_made(clock: VirtualClock) -> None:
    log: list[int] = []

    def twin(k: int) -> None:
        clock.sleep(1.0)
        log.append(k)

    def main() -> None:
        for worker in [clock.worker("twin", partial(twin, k)) for k in range(5)]:
            worker.join()

    clock.run(main)
    assert log == [0, 1, 2, 3, 4]


def test_a_clock_made_in_one_thread_runs_in_another(clock: VirtualClock) -> None:
    early = clock.worker("early", lambda: clock.sleep(2.0))
    assert from_a_foreign_thread(lambda: clock.run(lambda: clock.sleep(3.0))) is None
    assert early.done
    assert clock.now() == 3.0


# ------------------------------------------------------------------------------------------------------ posting


def test_what_was_posted_is_done_before_time_moves_on(clock: VirtualClock) -> None:
    log: list[float] = []

    def main() -> None:
        clock.sleep(1.0)
        clock.post(lambda: log.append(clock.now()))
        clock.sleep(1.0)

    clock.run(main)
    assert log == [1.0]


@pytest.mark.parametrize("also_others", [False, True])
def test_the_error_of_something_posted_ends_the_run_and_no_worker(clock: VirtualClock, also_others: bool) -> None:
    caught: list[BaseException] = []

    def main() -> None:
        try:
            if also_others:
                clock.worker("other", lambda: clock.sleep(9.0))
            clock.post(lambda: 1 // 0)
            clock.sleep(1.0)
        except Exception as error:
            caught.append(error)
            raise

    with pytest.raises(ZeroDivisionError):
        clock.run(main)
    assert caught == []


def test_something_posted_cannot_wait(clock: VirtualClock) -> None:
    def main() -> None:
        clock.post(lambda: clock.sleep(5.0))
        clock.sleep(1.0)

    with pytest.raises(ClockError, match="only a worker"):
        clock.run(main)


def test_posting_interrupts_a_paced_clock_that_would_rest_for_days() -> None:
    clock = PacedClock(1.0)
    stop = clock.event()

    def press_stop() -> None:
        while not clock._resting:
            pass
        clock.post(stop.set)

    def main() -> tuple[bool, float]:
        WallClock().worker("operator", press_stop)
        return clock.wait(stop, until=1e6), clock.now()

    stopped, at = clock.run(main)
    assert stopped
    assert at < 1e5


def test_a_paced_clock_takes_its_time_from_the_start_of_the_run() -> None:
    wall, clock = WallClock(), PacedClock(100.0)
    wall.wait(wall.event(), until=0.1)
    begin = wall.now()
    clock.run(lambda: clock.sleep(10.0))
    assert wall.now() - begin >= 0.1


@pytest.mark.parametrize("pace", [0.0, -1.0, 0.099, float("nan"), float("inf")])
@pytest.mark.parametrize("clock", [PacedClock, WallClock])
def test_a_pace_at_which_no_stop_would_end_is_refused(clock: type[PacedClock | WallClock], pace: float) -> None:
    with pytest.raises(ValueError, match=rf"^pace {pace:g}: a stop takes its time .* give 0\.1 or more$"):
        clock(pace)
