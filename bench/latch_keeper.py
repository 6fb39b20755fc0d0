"""Keeps latches and resets of a run beyond it, in the order in which they came, until the disk has taken them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bench.latch import Latches
from instruments.clock import Clock

KEEP_S = 5.0
"""Longest wait for the disk that keeps the latches, when the run ends."""

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
"""What the disk did not take is tried again first after this, then after twice the time, at most this."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A latch, or the reset of one by a named person."""

    interlock: str
    cause: str
    utc: datetime
    person: str = ""
    reason: str = ""

    def write(self, latches: Latches) -> None:
        """Have the disk keep it; raises OSError."""
        if self.person:
            latches.reset(self.interlock, self.person, self.reason, self.utc)
        else:
            latches.latch(self.interlock, self.cause, self.utc)


class LatchKeeper:
    """Writes what is latched beyond the run; a worker does, since a disk may be slow, or full for a while.

    Parameters
    ----------
    tell : (level, text) into the run's event log.
    """

    def __init__(self, latches: Latches, clock: Clock, tell: Callable[[str, str], None]) -> None:
        self.latches = latches
        self._clock = clock
        self._tell = tell
        self._waiting: deque[Entry] = deque()
        self._filled = clock.event()
        self._over = clock.event()
        self._done = clock.event()
        self._troubled = False
        clock.worker("~latches", self._work)

    def keep(self, interlock: str, cause: str, person: str = "", reason: str = "") -> None:
        """Keep that an interlock is latched, or was reset by a person; returns at once."""
        utc = self._clock.utc(self._clock.now())
        self._waiting.append(Entry(interlock, cause, utc, person, reason))
        self._filled.set()

    def end(self) -> Sequence[Entry]:
        """No more is to come; returns what the disk has not taken, though it was tried once more."""
        self._over.set()
        self._filled.set()
        self._clock.wait(self._done, self._clock.now() + KEEP_S)
        return tuple(self._waiting)

    def _work(self) -> None:
        """Body of the worker."""
        pause_s = 0.0
        try:
            while True:
                self._filled.clear()
                over = self._over.is_set()  # before looking: nothing comes after it
                pause_s = 0.0 if self._write() else min(max(FIRST_RETRY_S, 2.0 * pause_s), LONGEST_RETRY_S)
                if over:
                    return
                if pause_s:
                    self._clock.wait(self._over, self._clock.now() + pause_s)
                else:
                    self._clock.wait(self._filled)
        finally:
            self._done.set()

    def _write(self) -> bool:
        """Write what waits, the oldest first; False when the disk does not take it, which is told once."""
        while self._waiting:
            entry = self._waiting[0]
            try:
                entry.write(self.latches)
            except (OSError, ValueError) as error:
                if not self._troubled:
                    said = f'interlock "{entry.interlock}": its latch could not be written: {error}'
                    self._tell("error", f"{said}; it is tried again until the run ends")
                self._troubled = True
                return False
            self._waiting.popleft()
        if self._troubled:
            self._troubled = False
            self._tell("info", "the latches are written")
        return True
