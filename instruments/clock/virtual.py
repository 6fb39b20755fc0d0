"""Time that jumps to the next wake-up, on greenlets of one thread."""

from __future__ import annotations

import heapq
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TypeVar

import greenlet

from instruments.clock.contract import Clock, ClockError, Event, StandstillError, Worker

T = TypeVar("T")

VIRTUAL_START = datetime(2026, 1, 1, tzinfo=UTC)
"""Moment zero of a virtual clock: fixed, so that equal seeds give equal files."""

SILENT_AFTER_S = 10.0
"""Wall time after which a worker that has not handed over is reported."""


class _Task:
    """A worker of a virtual clock: one greenlet, and the serial number of the wake-up that is valid for it."""

    def __init__(self, clock: VirtualClock, name: str, target: Callable[[], object]) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.result: object = None
        self.ended = clock.event()
        self.wake = 0
        self.greenlet: greenlet.greenlet | None = None
        self._clock = clock
        self._target = target

    def switch(self) -> None:
        """Go on with this task, or begin it."""
        if self.greenlet is None:
            # Whoever ends goes back to the loop in `run`, never to the worker that happened to start it.
            self.greenlet = greenlet.greenlet(self._body, parent=self._clock._hub)
        self.greenlet.switch()

    def _body(self) -> None:
        try:
            self.result = self._target()
        except (greenlet.GreenletExit, KeyboardInterrupt):
            raise  # the person means the whole run, not the worker that happened to be at work
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
        self._heap: list[tuple[float, str, int, int, _Task]] = []  # the third, a serial, is never equal
        self._serial = 0
        self._current: _Task | None = None
        self._tasks: set[_Task] = set()
        self._hub: greenlet.greenlet = greenlet.getcurrent()
        self._thread: int | None = None
        self._sources: list[Callable[[], float]] = []
        self._posted: deque[Callable[[], object]] = deque()
        self._handovers = 0  # for the watchdog
        self._resting = False  # waiting for real time to pass, which is no silence

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
        try:
            self._hand_over()
        finally:
            woken = task not in event.waiters
            if not woken:
                event.waiters.remove(task)
        return woken  # also when the event has been cleared since: so do threads have it

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
                    self._go_on(main)
                    self._current = None
            finally:
                self._current = None
                if main.greenlet is not None and not main.done:
                    main.greenlet.throw(greenlet.GreenletExit)
                self._thread = None
        if main.error is not None:
            raise main.error
        return main.result  # type: ignore[return-value]  # what target returned

    def close(self) -> None:
        # The garbage collector does not look into a suspended greenlet: all that it has seen would stay for ever.
        for task in list(self._tasks):
            if task.greenlet is not None and not task.done:
                task.greenlet.throw(greenlet.GreenletExit)
        self._tasks.clear()
        self._heap.clear()

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
        self._serial += 1
        heapq.heappush(self._heap, (t, task.name, self._serial, task.wake, task))

    def _hand_over(self) -> None:
        """Let whoever is next run; returns when the calling task is."""
        me = self._current
        task = self._next()
        if task is not me:
            task.switch()

    def _next(self) -> _Task:
        """Take the next task off the heap and make it current."""
        while True:
            while self._posted:
                self._act(self._posted.popleft())
            if not self._heap:
                waiting = ", ".join(sorted(task.name for task in self._tasks)) or "nobody"
                raise StandstillError(f"virtual time stands still: every worker waits for an event ({waiting})")
            t, _, _, wake, task = self._heap[0]
            if wake != task.wake or task.done:
                heapq.heappop(self._heap)
                continue
            if not self._reach(t):
                continue
            heapq.heappop(self._heap)
            self._current = task
            return task

    def _act(self, action: Callable[[], object]) -> None:
        """Do what was posted; its error ends the run, not the worker that happens to hand over just now."""
        current, self._current = self._current, None  # so that it cannot wait
        failure = None
        try:
            action()
        except Exception as error:  # noqa: BLE001  # raised again, from the loop in `run`
            failure = error
        self._current = current
        if failure is not None:
            if greenlet.getcurrent() is self._hub:
                raise failure
            self._hub.throw(failure)

    def _reach(self, t: float) -> bool:
        """Move time forward to ``t``; False when something was posted on the way."""
        if t > self._now:
            self._now = t
        return True

    def _go_on(self, main: _Task) -> None:
        """Let whoever is next run, when the last one has ended."""
        try:
            task = self._next()
        except StandstillError as error:
            assert main.greenlet is not None, "the main worker waits, so it has begun"
            self._current = main
            main.greenlet.throw(error)  # so that its trace shows what it waits for
        else:
            task.switch()

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
        while not stop.wait(SILENT_AFTER_S / 10.0):
            silent_s = time.monotonic() - since
            if clock._handovers != seen or clock._resting:
                seen, since = clock._handovers, time.monotonic()
            elif silent_s > SILENT_AFTER_S:
                since = time.monotonic()
                frame = sys._current_frames().get(clock._thread or 0)
                name = clock._current.name if clock._current else "nobody"
                stack = "".join(traceback.format_stack(frame)) if frame else ""
                print(
                    f"virtual clock: worker {name!r} has been silent for {silent_s:.3g} s of wall time\n{stack}",
                    file=sys.stderr,
                )

    thread = threading.Thread(target=watch, name="virtual clock watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
