"""Time for everything that waits: a wall clock, a virtual clock and a paced one, behind one contract.

Nothing else in the bench may sleep, read the time or use a lock of its own (ruff bans it), because a wait that the
virtual clock does not know would stop virtual time for ever.  The virtual clock is a barrier: one registered worker
runs at a time, and when it waits, time jumps to the earliest wake-up; ties go by (time, worker name).  So a 30-day
protocol runs in minutes and twice the same.
"""

from __future__ import annotations

import ctypes
import heapq
import sys
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

import greenlet

T = TypeVar("T")

VIRTUAL_START = datetime(2026, 1, 1, tzinfo=UTC)
"""Moment zero of a virtual clock: fixed, so that equal seeds give equal files."""

WALL_HORIZON_S = 0.05
"""On the wall clock the world may change at any moment; nobody plans further ahead than this."""

SILENT_AFTER_S = 10.0
STEP_S = 1.0


class ClockError(RuntimeError):
    """The clock was used in a way that would stop time: a wait by a stranger, or nobody left to wake."""


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
    """How often the record is written: well within one wall second on a wall clock, in large pieces on a virtual one."""

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


# ---------------------------------------------------------------------------------------------- wall clock


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
    """Real time.  Counts through suspend (BOOTTIME), and notices when UTC is stepped."""

    def __init__(self) -> None:
        self._zero = _boottime()
        self.start = datetime.now(UTC)
        self._utc_offset = time.time() - self._zero
        self._sources: list[Callable[[], float]] = []

    def now(self) -> float:
        return _boottime() - self._zero

    def sleep_until(self, t: float) -> None:
        while (left := t - self.now()) > 0:
            time.sleep(left)

    def wait(self, event: Event, until: float | None = None) -> bool:
        assert isinstance(event, threading.Event)
        return event.wait(None if until is None else max(0.0, until - self.now()))

    def event(self) -> Event:
        return threading.Event()

    def lock(self) -> AbstractContextManager[object]:
        return threading.RLock()

    def worker(self, name: str, target: Callable[[], object]) -> Worker:
        return _Thread(name, target)

    def run(self, target: Callable[[], T], name: str = "main") -> T:
        return target()

    def post(self, action: Callable[[], object]) -> None:
        action()

    def foresee(self, source: Callable[[], float]) -> None:
        """Real hardware announces nothing; the horizon is always `WALL_HORIZON_S` away."""

    def horizon(self) -> float:
        return self.now() + WALL_HORIZON_S

    def steps(self) -> list[tuple[float, float]]:
        boottime = _boottime()
        offset = time.time() - boottime
        step = offset - self._utc_offset
        if abs(step) <= STEP_S:
            return []
        self._utc_offset = offset
        return [(boottime - self._zero, step)]


def _boottime() -> float:
    """Seconds that also count while the computer is suspended, where the platform tells them."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "win32":
        ticks = ctypes.c_ulonglong()  # of 100 ns
        ctypes.windll.kernelbase.QueryInterruptTimePrecise(ctypes.byref(ticks))
        return ticks.value * 1e-7
    return time.monotonic()


# ------------------------------------------------------------------------------------------- virtual clock


class _Task:
    """A worker of a virtual clock: one greenlet, and the serial number of the wake-up that is valid for it."""

    def __init__(self, clock: VirtualClock, name: str, target: Callable[[], object]) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.result: object = None
        self.ended = clock.event()
        self.wake = 0
        self._clock = clock
        self._target = target
        # Whoever ends goes back to the loop in `run`, never to the worker that happened to start it.
        self.greenlet = greenlet.greenlet(self._body, parent=clock._hub)

    def _body(self) -> None:
        try:
            self.result = self._target()
        except greenlet.GreenletExit:
            raise
        except BaseException as error:  # noqa: BLE001  # kept for whoever joins; nothing may end a worker silently
            self.error = error
        finally:
            self._clock._leave(self)

    @property
    def done(self) -> bool:
        return self.ended.is_set()

    def join(self) -> None:
        self._clock.wait(self.ended)


class _Flag:
    """Event of a virtual clock."""

    __slots__ = ("_clock", "_set", "waiters")

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._set = False
        self.waiters: list[_Task] = []

    def set(self) -> None:
        self._set = True
        if self.waiters:
            waiters, self.waiters = self.waiters, []
            for task in waiters:
                self._clock._schedule(self._clock.now(), task)

    def clear(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set


class VirtualClock(Clock):
    """Time that jumps to the next wake-up.  Workers are greenlets of one thread; see the module docstring."""

    record_every_s = 60.0
    block_s = 60.0

    def __init__(self, start: datetime = VIRTUAL_START) -> None:
        self.start = start
        self._now = 0.0
        self._heap: list[tuple[float, str, int, _Task]] = []
        self._serial = 0
        self._current: _Task | None = None
        self._tasks: set[_Task] = set()
        self._hub: greenlet.greenlet = greenlet.getcurrent()
        self._thread: int | None = None
        self._sources: list[Callable[[], float]] = []
        self._posted: deque[Callable[[], object]] = deque()
        self._handovers = 0

    def now(self) -> float:
        return self._now

    def sleep_until(self, t: float) -> None:
        task = self._current
        if task is None:
            self._alone(t)
            return
        self._check_thread()
        if t <= self._now:
            return
        self._handovers += 1
        first = not self._heap or (t, task.name) < self._heap[0][:2]
        if first and not self._posted and self._reach(t):
            return  # the caller is itself next: no switch needed
        self._schedule(t, task)
        self._hand_over()

    def wait(self, event: Event, until: float | None = None) -> bool:
        assert isinstance(event, _Flag)
        if event.is_set():
            return True
        task = self._current
        if task is None:
            if until is None:
                raise ClockError("wait without an end outside the workers of a virtual clock: nobody can set the event")
            self._alone(until)
            return event.is_set()
        self._check_thread()
        if until is not None and until <= self._now:
            return False
        self._handovers += 1
        task.wake += 1  # whatever was planned for this task is stale
        event.waiters.append(task)
        if until is not None:
            self._push(until, task)
        self._hand_over()
        if task in event.waiters:
            event.waiters.remove(task)
        return event.is_set()

    def event(self) -> Event:
        return _Flag(self)

    def lock(self) -> AbstractContextManager[object]:
        return _VirtualLock(self)

    def worker(self, name: str, target: Callable[[], object]) -> Worker:
        task = _Task(self, name, target)
        self._tasks.add(task)
        self._schedule(self._now, task)
        return task

    def run(self, target: Callable[[], T], name: str = "main") -> T:
        if self._current is not None:
            raise ClockError("a worker cannot run another main worker; start it with worker() and join() it")
        self._thread = threading.get_ident()
        self._hub = greenlet.getcurrent()
        main = self.worker(name, target)
        assert isinstance(main, _Task)
        with _watchdog(self):
            try:
                while not main.done:
                    self._next().greenlet.switch()
                    self._current = None
            finally:
                self._current = None
                if not main.done:
                    main.greenlet.throw(greenlet.GreenletExit)
        if main.error is not None:
            raise main.error
        return main.result  # type: ignore[return-value]  # what target returned

    def post(self, action: Callable[[], object]) -> None:
        self._posted.append(action)

    def foresee(self, source: Callable[[], float]) -> None:
        self._sources.append(source)

    def horizon(self) -> float:
        return min((source() for source in self._sources), default=float("inf"))

    # -- the barrier

    def _schedule(self, t: float, task: _Task) -> None:
        task.wake += 1
        self._push(t, task)

    def _push(self, t: float, task: _Task) -> None:
        heapq.heappush(self._heap, (t, task.name, task.wake, task))

    def _hand_over(self) -> None:
        """Let whoever is next run; returns when the calling task is."""
        me = self._current
        task = self._next()
        if task is not me:
            task.greenlet.switch()

    def _next(self) -> _Task:
        """Take the next task off the heap and make it current."""
        while True:
            while self._posted:
                self._posted.popleft()()
            if not self._heap:
                waiting = ", ".join(sorted(task.name for task in self._tasks)) or "nobody"
                raise ClockError(f"virtual time stands still: every worker waits for an event ({waiting})")
            t, _, wake, task = self._heap[0]
            if wake != task.wake or task.done:
                heapq.heappop(self._heap)
                continue
            if not self._reach(t):
                continue
            heapq.heappop(self._heap)
            self._current = task
            return task

    def _reach(self, t: float) -> bool:
        """Move time forward to ``t``; False when something was posted on the way."""
        if t > self._now:
            self._now = t
        return True

    def _leave(self, task: _Task) -> None:
        self._tasks.discard(task)
        task.ended.set()

    def _alone(self, t: float) -> None:
        """Move time for a caller outside the barrier: only while there is no worker that it could overtake."""
        if self._tasks:
            raise ClockError("only a worker of this virtual clock may wait while others are running")
        if t > self._now:
            self._now = t

    def _check_thread(self) -> None:
        if threading.get_ident() != self._thread:
            raise ClockError("a thread that is no worker of this virtual clock tried to wait on it")


class PacedClock(VirtualClock):
    """Virtual time at a multiple of real time, for watching: same order of events, slower."""

    def __init__(self, pace: float, start: datetime = VIRTUAL_START) -> None:
        super().__init__(start)
        if not pace > 0:
            raise ValueError(f"pace {pace} is not a positive number")
        self.pace = pace
        self.record_every_s = min(VirtualClock.record_every_s, 0.25 * pace)
        self.block_s = min(VirtualClock.block_s, WALL_HORIZON_S * pace)
        self._wall_zero = time.monotonic()
        self._knock = threading.Event()

    def post(self, action: Callable[[], object]) -> None:
        super().post(action)
        self._knock.set()

    def _reach(self, t: float) -> bool:
        while t > self._now:
            left = self._wall_zero + t / self.pace - time.monotonic()
            if left <= 0:
                break
            if self._knock.wait(left):
                self._knock.clear()
                reached = (time.monotonic() - self._wall_zero) * self.pace
                self._now = min(t, max(self._now, reached))
                return False
        return super()._reach(t)


class _VirtualLock:
    """Re-entrant lock between greenlets; a foreign thread (a gRPC handler) may enter only while it is free."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._owner: object = None
        self._depth = 0
        self._free = clock.event()

    def __enter__(self) -> _VirtualLock:
        me: object = self._clock._current or threading.get_ident()
        if self._clock._thread not in (None, threading.get_ident()):
            me = threading.get_ident()
        while self._owner not in (None, me):
            if not isinstance(me, _Task):
                raise ClockError("a lock of the virtual clock was held over a wait while a foreign thread needed it")
            self._free.clear()
            self._clock.wait(self._free)
        self._owner = me
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
            self._free.set()


@contextmanager
def _watchdog(clock: VirtualClock) -> Iterator[None]:
    """Report a worker that has not handed over for `SILENT_AFTER_S` wall seconds: its name and its stack."""
    stop = threading.Event()

    def watch() -> None:
        seen, since = clock._handovers, time.monotonic()
        while not stop.wait(1.0):
            if clock._handovers != seen:
                seen, since = clock._handovers, time.monotonic()
            elif isinstance(clock, PacedClock) and clock._current is None:
                since = time.monotonic()
            elif time.monotonic() - since > SILENT_AFTER_S:
                since = time.monotonic()
                frame = sys._current_frames().get(clock._thread or 0)
                name = clock._current.name if clock._current else "nobody"
                stack = "".join(traceback.format_stack(frame)) if frame else ""
                print(f"virtual clock: worker {name!r} has been silent for 10 s of wall time\n{stack}", file=sys.stderr)

    thread = threading.Thread(target=watch, name="virtual clock watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
