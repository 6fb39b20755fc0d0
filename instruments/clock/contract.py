"""What every clock gives: time, waiting, events, locks, queues and workers."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")

WALL_HORIZON_S = 0.05
"""On the wall clock the world may change at any moment; nobody plans further ahead than this."""


class ClockError(RuntimeError):
    """The clock was used in a way that would stop time, such as a wait by a stranger."""


class StandstillError(ClockError):
    """Every worker of a virtual clock waits for an event, so none can set one."""


class Event(Protocol):
    """A flag that workers can wait for through `Clock.wait`."""

    def set(self) -> None: ...
    def clear(self) -> None: ...
    def is_set(self) -> bool: ...


class Worker(Protocol):
    """A thread of control on a clock."""

    name: str
    error: BaseException | None

    @property
    def done(self) -> bool: ...

    def join(self) -> None:
        """Wait for the end; the worker's error, if any, stays in ``error``."""


class Clock(ABC):
    """What gives every blocking thing.  Times are seconds since the clock's start."""

    start: datetime

    record_every_s: float = 0.25
    """How often the record is written: well within a wall second, in large pieces of virtual time."""

    block_s: float = WALL_HORIZON_S
    """Longest block of samples that is taken in one piece."""

    @staticmethod
    def wall() -> float:
        """Seconds of real time, from any zero: for what counts wall time on every clock, such as syncing a file."""
        return time.monotonic()

    @abstractmethod
    def now(self) -> float:
        """Seconds since the clock's start; callable from any thread."""

    def utc(self, t: float) -> datetime:
        """Moment of a clock time."""
        return self.start + timedelta(seconds=t)

    @abstractmethod
    def sleep_until(self, t: float) -> None:
        """Wait until a clock time; returns at once when it has passed."""

    def sleep(self, seconds: float) -> None:
        """Wait for a time span."""
        self.sleep_until(self.now() + seconds)

    @abstractmethod
    def wait(self, event: Event, until: float | None = None) -> bool:
        """Wait for an event, at most until a clock time; returns whether the event is set."""

    @abstractmethod
    def event(self) -> Event:
        """A new event, not set."""

    @abstractmethod
    def lock(self) -> AbstractContextManager[object]:
        """A new re-entrant lock."""

    def queue(self) -> Queue[object]:
        """A new unbounded queue."""
        return Queue(self)

    @abstractmethod
    def worker(self, name: str, target: Callable[[], object]) -> Worker:
        """Start a worker; it ends when ``target`` returns or raises."""

    @abstractmethod
    def run(self, target: Callable[[], T], name: str = "main") -> T:
        """Run ``target`` as the main worker and return its result; other workers run beside it."""

    @abstractmethod
    def close(self) -> None:
        """Let go of workers that still wait, when nobody runs this clock any more."""

    @abstractmethod
    def post(self, action: Callable[[], object]) -> None:
        """Have ``action`` called soon on the clock's own thread; safe from any thread or signal handler."""

    @abstractmethod
    def foresee(self, source: Callable[[], float]) -> None:
        """Register a source of the earliest moment at which the world may change by a step."""

    @abstractmethod
    def horizon(self) -> float:
        """Earliest moment at which the world may change by a step."""

    def steps(self) -> list[tuple[float, float]]:
        """Steps of UTC against this clock seen since the last call, as (clock time, seconds)."""
        return []


class Queue(Generic[T]):
    """Unbounded first-in first-out queue on a clock; putting never waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._items: deque[T] = deque()
        self._filled = clock.event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Append an item."""
        self._items.append(item)
        if not self._filled.is_set():
            self._filled.set()

    def drain(self) -> list[T]:
        """Return everything that is there, at once."""
        self._filled.clear()
        items: list[T] = []
        while self._items:
            items.append(self._items.popleft())
        return items

    def wait(self, until: float | None = None) -> bool:
        """Wait until there is something, at most until a clock time."""
        return self._clock.wait(self._filled, until)
