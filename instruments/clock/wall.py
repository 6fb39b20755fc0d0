"""Real time, on threads."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TypeVar

from instruments.clock.contract import WALL_HORIZON_S, Clock, Event, Worker
from instruments.clock.pace import possible_pace

T = TypeVar("T")

STEP_S = 1.0
"""Step of UTC that is worth telling, from one look to the next: a crystal that drifts makes none."""

NAP_S = 1.0
"""Longest single sleep: the system's sleeps do not count suspend, so a longer one could end late."""


class _Thread:
    def __init__(self, name: str, target: Callable[[], object]) -> None:
        self.name = name
        self.error: BaseException | None = None
        self._target = target
        self._thread = threading.Thread(target=self._body, name=name, daemon=True)
        self._thread.start()

    def _body(self) -> None:
        try:
            self._target()
        except BaseException as error:  # noqa: BLE001  # kept for whoever joins; nothing may end a worker silently
            self.error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def join(self) -> None:
        self._thread.join()


class WallClock(Clock):
    """Real time.  Counts through suspend (BOOTTIME), and notices when UTC is stepped.

    Parameters
    ----------
    pace : how fast it goes.  Two programs on such clocks share a simulated rig in less than real time; on threads,
        other than a `PacedClock`, so that both may wait on sockets.  Real hardware has pace 1.

    Raises
    ------
    ValueError
        When the pace is none that a bench may go at.
    """

    def __init__(self, pace: float = 1.0) -> None:
        self.pace = possible_pace(pace)
        self._zero, self._utc_offset = _boottime_and_utc_offset()
        self.start = datetime.fromtimestamp(self._zero + self._utc_offset, UTC)
        self._sources: list[Callable[[], float]] = []

    def now(self) -> float:
        return (_boottime() - self._zero) * self.pace

    def sleep_until(self, t: float) -> None:
        while (left := t - self.now()) > 0:
            time.sleep(min(left / self.pace, NAP_S))

    def wait(self, event: Event, until: float | None = None) -> bool:
        assert isinstance(event, threading.Event)
        if until is None:
            return event.wait()
        while (left := until - self.now()) > 0:
            if event.wait(min(left / self.pace, NAP_S)):
                return True
        return event.is_set()

    def event(self) -> Event:
        return threading.Event()

    def lock(self) -> AbstractContextManager[object]:
        return threading.RLock()

    def worker(self, name: str, target: Callable[[], object]) -> Worker:
        return _Thread(name, target)

    def run(self, target: Callable[[], T], name: str = "main") -> T:
        return target()

    def close(self) -> None:
        pass  # its workers are threads, which end by themselves

    def post(self, action: Callable[[], object]) -> None:
        action()

    def foresee(self, source: Callable[[], float]) -> None:
        """Real hardware announces nothing; the horizon is always `WALL_HORIZON_S` away."""

    def horizon(self) -> float:
        return self.now() + WALL_HORIZON_S

    def steps(self) -> list[tuple[float, float]]:
        boottime, offset = _boottime_and_utc_offset()
        step, self._utc_offset = offset - self._utc_offset, offset
        return [((boottime - self._zero) * self.pace, step)] if abs(step) > STEP_S else []


def _boottime_and_utc_offset() -> tuple[float, float]:
    """The time since the computer was switched on, and what to add to it for UTC.

    Both are read until they belong to one moment: a computer that stalls between the two would pass for a step of UTC.
    """
    while True:
        boottime, utc, after = _boottime(), time.time(), _boottime()
        if after - boottime < STEP_S / 10.0:
            return boottime, utc - boottime


def _boottime() -> float:
    """Seconds that also count while the computer is suspended, where the platform tells them."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "win32":
        ticks = ctypes.c_ulonglong()  # of 100 ns
        ctypes.windll.kernelbase.QueryInterruptTimePrecise(ctypes.byref(ticks))
        return ticks.value * 1e-7
    return time.monotonic()
