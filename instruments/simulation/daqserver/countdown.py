"""A timer of a simulated device: it acts at its moment on the run's clock, however silent the host is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from instruments.clock import Clock


class Countdown:
    """Time that runs out unless it is started again.

    A worker of the clock waits for the moment; it lives only while the countdown runs, so that a clock whose other
    workers have ended is not held up by it.

    Parameters
    ----------
    name : of the worker.
    lock : guards the server's state; held while ``act`` is called.
    act : what happens at the moment.
    """

    def __init__(
        self, clock: Clock, name: str, lock: AbstractContextManager[object], act: Callable[[], object]
    ) -> None:
        self._clock = clock
        self._name = name
        self._lock = lock
        self._act = act
        self._stopped = clock.event()
        self._round = 0  # a worker of an earlier round ends when it wakes
        self.deadline: float | None = None

    @property
    def running(self) -> bool:
        """Whether time is running."""
        return self.deadline is not None

    def start(self, seconds: float) -> None:
        """Begin, or begin again: the moment is ``seconds`` from now."""
        begun = self.running
        self.deadline = self._clock.now() + seconds
        if begun:
            return
        self._round += 1
        self._stopped.clear()
        mine = self._round
        self._clock.worker(self._name, lambda: self._wait(mine))

    def stop(self) -> None:
        """End without acting."""
        self.deadline = None
        self._stopped.set()

    def check(self) -> None:
        """Act if the moment has come; for whoever looks at that very moment, before the worker does."""
        if self.deadline is not None and self._clock.now() >= self.deadline:
            self.stop()
            self._act()

    def _wait(self, mine: int) -> None:
        while True:
            with self._lock:
                if mine == self._round:
                    self.check()
                until = self.deadline
                if mine != self._round or until is None:
                    return
            self._clock.wait(self._stopped, until)
