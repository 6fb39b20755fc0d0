"""Whether a channel has stayed within a band for a time: what the step `Condition` waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.watch import Watch
from instruments.clock import Clock, Event
from protocols.steps import Condition

if TYPE_CHECKING:
    from bench.guard import Change


BRIEF = 0.1
"""A channel that comes slowly crosses the edge of its band many times: a stay of less than this share is no news."""


class Soak:
    """Follows one channel until it has stayed within its band for long enough; made when the step begins.

    Parameters
    ----------
    outage_s : without a good sample for longer the channel has not stayed.
    left : called when the channel leaves the band after more than a `BRIEF` stay, and with each loss of it.
    nudge : called when the channel has stayed for long enough, after ``held`` was set.

    Attributes
    ----------
    since_s : since when the channel has been within its band, None while it is not.
    """

    def __init__(
        self,
        watch: Watch,
        clock: Clock,
        step: Condition,
        *,
        outage_s: float,
        left: Callable[[Change], None],
        nudge: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._for_s = step.for_s
        self._left = left
        self._nudge = nudge
        self.held: Event = clock.event()
        self._changed: Event = clock.event()
        self._over = False
        self._lock = clock.lock()  # over since_s, never over a wait
        self.since_s: float | None = None
        self._unwatch = watch.band(step.name, step.role, step.low, step.high, self._change, outage_s)
        with self._lock:
            if not self._changed.is_set():  # else a sample, or a hold, has said meanwhile how the channel stands
                self.since_s = clock.now()

    def follow(self) -> None:
        """Body of a worker: wait until the channel has stayed long enough, or `end` is called."""
        while not self._over:
            with self._lock:
                due = None if self.since_s is None else self.since_s + self._for_s
                if due is not None and self._clock.now() >= due:
                    self.held.set()
            if self.held.is_set():
                self._nudge()
                return
            self._clock.wait(self._changed, due)
            self._changed.clear()

    def end(self) -> None:
        """Follow no longer."""
        self._over = True
        self._changed.set()
        self._unwatch()

    def _change(self, change: Change) -> None:
        """The channel left its band, was lost, or is back; called in the sampling worker."""
        with self._lock:
            if self.held.is_set():
                return
            if change.state == "back":
                self.since_s = change.t
            elif self.since_s is not None:
                stayed_s, self.since_s = change.t - self.since_s, None
                if change.state == "lost" or stayed_s >= BRIEF * self._for_s:
                    self._left(change)
            self._changed.set()
