"""A relay that a heartbeat holds: it feeds valves only while a line goes on toggling."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from instruments.clock import Clock
from instruments.simulation.daqserver.countdown import Countdown


class Relay:
    """A retriggerable relay between output lines and what they drive.

    Each change of the heartbeat's level closes it for ``hold_s``.  Without one it opens, and what hangs behind it is
    without power whatever the lines say; they read back as they were written all the same.

    Parameters
    ----------
    switched : called after it has opened or closed.
    """

    def __init__(
        self,
        clock: Clock,
        lock: AbstractContextManager[object],
        heartbeat: str,
        hold_s: float,
        switched: Callable[[], object],
    ) -> None:
        self._hold_s = hold_s
        self._switched = switched
        self._countdown = Countdown(clock, f"relay {heartbeat}", lock, switched)
        self._level = 0.0

    @property
    def closed(self) -> bool:
        """Whether what hangs behind it has power."""
        return self._countdown.running

    def heartbeat(self, level: float) -> None:
        """See a level of the heartbeat's line."""
        self.check()
        if level == self._level:
            return
        self._level = level
        opened = not self.closed
        self._countdown.start(self._hold_s)
        if opened:
            self._switched()

    def check(self) -> None:
        """Open if the moment has come."""
        self._countdown.check()

    def close(self) -> None:
        """Forget it: no worker is left behind."""
        self._countdown.stop()
