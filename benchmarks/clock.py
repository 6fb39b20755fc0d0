"""Cost of a hand-over of the virtual clock: greenlets against one thread per worker, with the same order of events.

    python -m benchmarks clock [--seconds 20000]

Workers sleep as those of a run do: balance each second, flow sensor each 4 s, DAQ each 30 s, a protocol each minute;
and a second set that sleeps in step, so that each wake-up is a hand-over.  The thread barrier below is the cross-check
of the clock: what it does in the straightforward way must be what the clock does.
"""

from __future__ import annotations

import argparse
import heapq
import sys
import threading
import time
from collections.abc import Callable

from instruments.clock import VirtualClock

HAND_OVER_US = 1.0  # to reach with greenlets on an idle machine
RATIO = 5.0  # threads over greenlets, at least: below it the greenlets would not be worth having
RUN_LIKE = {"balance": 1.0, "flow": 4.0, "daq": 30.0, "protocol": 60.0}
IN_STEP = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}

Log = list[tuple[float, str]]


class ThreadBarrier:
    """Virtual time with one thread per worker: the one with the earliest (time, name) runs, the others stand still."""

    def __init__(self, names: list[str]) -> None:
        self.now = 0.0
        self._turn = {name: threading.Semaphore(0) for name in names}
        self._due = [(0.0, name) for name in sorted(names)]
        self._ended = threading.Semaphore(0)

    def sleep_until(self, name: str, t: float) -> None:
        """Hand over, and come back when ``t`` has come."""
        heapq.heappush(self._due, (t, name))
        self._go_on(name)

    def run(self, workers: dict[str, Callable[[], None]]) -> None:
        """Run every worker to its end."""
        threads = [threading.Thread(target=self._body, args=(name, body)) for name, body in workers.items()]
        for thread in threads:
            thread.start()
        self._go_on(None)
        for thread in threads:
            thread.join()

    def _body(self, name: str, body: Callable[[], None]) -> None:
        self._turn[name].acquire()
        body()
        self._go_on(None)

    def _go_on(self, me: str | None) -> None:
        if not self._due:
            return
        self.now, name = heapq.heappop(self._due)
        if name != me:
            self._turn[name].release()
            if me is not None:
                self._turn[me].acquire()


def on_threads(periods_s: dict[str, float], seconds: float) -> tuple[float, Log]:
    """Wall seconds and wake-ups of the workers on the thread barrier."""
    barrier, log = ThreadBarrier(list(periods_s)), Log()

    def worker(name: str, period_s: float) -> None:
        for k in range(1, round(seconds / period_s) + 1):
            barrier.sleep_until(name, k * period_s)
            log.append((barrier.now, name))

    begin = time.perf_counter()
    barrier.run({name: lambda name=name, s=s: worker(name, s) for name, s in periods_s.items()})  # type: ignore[misc]  # defaults bind
    return time.perf_counter() - begin, log


def on_greenlets(periods_s: dict[str, float], seconds: float) -> tuple[float, Log]:
    """Wall seconds and wake-ups of the workers on the bench's own clock."""
    clock, log = VirtualClock(), Log()

    def worker(name: str, period_s: float) -> None:
        for k in range(1, round(seconds / period_s) + 1):
            clock.sleep_until(k * period_s)
            log.append((clock.now(), name))

    def main_worker() -> None:
        workers = [clock.worker(name, lambda name=name, s=s: worker(name, s)) for name, s in periods_s.items()]  # type: ignore[misc]  # defaults bind
        for each in workers:
            each.join()

    begin = time.perf_counter()
    clock.run(main_worker)
    return time.perf_counter() - begin, log


def main(arguments: list[str] | None = None) -> int:
    """Measure both, compare, print."""
    parser = argparse.ArgumentParser(prog="clock", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20_000.0)
    seconds = parser.parse_args(arguments).seconds
    held = True
    for title, periods_s in (("workers of a run", RUN_LIKE), ("workers in step", IN_STEP), ("one worker", {"a": 1.0})):
        by_threads, expected = on_threads(periods_s, seconds)
        by_greenlets, log = min(on_greenlets(periods_s, seconds) for _ in range(3))
        wakes = sum(round(seconds / period_s) for period_s in periods_s.values())
        assert log == expected, "the clock and the thread barrier disagree about who goes on when"
        assert len(log) == wakes
        each_us, threads_us = 1e6 * by_greenlets / wakes, 1e6 * by_threads / wakes
        print(
            f"{title}: {wakes} wake-ups in the same order, "
            f"greenlets {each_us:.2f} us, threads {threads_us:.1f} us, ratio {threads_us / each_us:.1f}"
        )
        if periods_s is IN_STEP:
            held = threads_us / each_us >= RATIO
    print(f"to reach: ratio of the workers in step {RATIO:g}; a hand-over of {HAND_OVER_US:g} us on an idle machine")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
