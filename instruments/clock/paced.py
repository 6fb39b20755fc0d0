"""Virtual time at a multiple of real time, for watching."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from instruments.clock.contract import WALL_HORIZON_S
from instruments.clock.pace import possible_pace
from instruments.clock.virtual import VIRTUAL_START, VirtualClock

T = TypeVar("T")


class PacedClock(VirtualClock):
    """Virtual time at a multiple of real time, for watching: same order of events, slower."""

    def __init__(self, pace: float, start: datetime = VIRTUAL_START) -> None:
        super().__init__(start)
        self.pace = possible_pace(pace)
        self.record_every_s = min(VirtualClock.record_every_s, 0.25 * pace)
        self.block_s = min(VirtualClock.block_s, WALL_HORIZON_S * pace)
        self._wall_zero = time.monotonic()  # when virtual time zero was, or would have been
        self._knock = threading.Event()

    @contextmanager
    def going_at(self, pace: float) -> Iterator[None]:
        """Have time go at another pace meanwhile; called on the clock's own thread."""
        before = self.pace
        self._take_pace(pace)
        try:
            yield
        finally:
            self._take_pace(before)

    def _take_pace(self, pace: float) -> None:
        self.pace = pace
        self._wall_zero = time.monotonic() - self._now / pace

    def run(self, target: Callable[[], T], name: str = "main") -> T:
        self._wall_zero = time.monotonic() - self._now / self.pace  # setting up took time that nobody watched
        return super().run(target, name)

    def post(self, action: Callable[[], object]) -> None:
        super().post(action)
        self._knock.set()

    def _reach(self, t: float) -> bool:
        while t > self._now:
            left = self._wall_zero + t / self.pace - time.monotonic()
            if left <= 0:
                break
            self._resting = True
            knocked = self._knock.wait(left)
            self._resting = False
            if knocked:
                self._knock.clear()
                reached = (time.monotonic() - self._wall_zero) * self.pace
                self._now = min(t, max(self._now, reached))
                return False
        return super()._reach(t)
