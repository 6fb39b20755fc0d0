"""Somebody else watches the host: hardware that goes safe by itself when the bench falls silent.

An instrument with a watchdog is fed by a worker of its own, and only while every sampler that guards something is
alive.  Each sampler promises its next sign of life (`Sampler.alive_until_s`); one that is silent for longer than its
interlocks allow hangs in its instrument, so nobody would see a limit crossed: the feeding ends, and what it guards
counts as lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from bench.guard import Guard
from bench.sampler import Sampler
from instruments.capabilities import HostWatched
from instruments.clock import Clock
from instruments.instrument import Instrument, InstrumentError, InstrumentRefusal

FEEDS = 3.0
"""Feeds in one period of a watchdog: two may be late."""

SILENT_S = 5.0
"""A sampler whose interlocks do not say how long their channels may be lost is given this long."""

LATE_S = 0.1
"""A feed that hangs is noticed this long after the period, in which one that only takes its time has ended."""

LOOKS = 4.0
"""How often it is looked for silence, in the shortest time that a channel may be lost."""


class Watchdog:
    """Feeds the watchdogs of a station, and notices samplers that hang.

    Parameters
    ----------
    guarded : the guards that stop or hold, with their samplers.
    tell : (level, text) into the run's event log.
    expired : called with the reason when a watchdog was not fed for its whole period.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        clock: Clock,
        guarded: Callable[[], Sequence[tuple[Guard, Sampler]]],
        tell: Callable[[str, str], None],
        expired: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._guarded = guarded
        self._tell = tell
        self._expired = expired
        self._over = clock.event()
        self._silent: str = ""
        self._watched = [
            (name, instrument)
            for name, instrument in instruments.items()
            if isinstance(instrument, HostWatched) and instrument.watchdog_period_s is not None
        ]
        self._armed: list[str] = []
        self._fed: dict[str, float] = {}  # when each was fed last
        self._gone: set[str] = set()  # those that have expired
        self._lock = clock.lock()  # over a few lines, never over a wait

    @property
    def watches(self) -> bool:
        """Whether there is a watchdog to be armed."""
        return bool(self._watched)

    def arm(self) -> None:
        """Arm every watchdog and feed it from now on; raises InstrumentError."""
        for name, instrument in self._watched:
            period_s = instrument.watchdog_period_s
            assert period_s is not None
            instrument.arm_watchdog()
            self._armed.append(name)
            self._fed[name] = self._clock.now()
            self._tell("info", f"{name}: its watchdog is armed; it goes safe when it is not fed for {period_s:g} s")
            self._clock.worker(f"~watchdog {name}", partial(self._feed, name, instrument, period_s))
            self._clock.worker(f"~watchdog of {name}", partial(self._mind, name, period_s))

    def look(self) -> None:
        """Look for samplers that hang, from now on; nothing where no channel that guards may be lost for a time."""
        outages = [guard.interlock.max_outage_s for guard, _ in self._guarded()]
        shortest_s = min((outage for outage in outages if outage is not None), default=math.inf)
        if math.isfinite(shortest_s):
            self._clock.worker("~silence", partial(self._look, shortest_s / LOOKS))

    def disarm(self, unsafe: set[str]) -> None:
        """Feed no longer; the watchdogs of instruments that went safe are disarmed, the others are left to expire.

        Parameters
        ----------
        unsafe : instruments that did not confirm that they are safe, which are not only those that did not answer.
        """
        self._over.set()
        for name, instrument in self._watched:
            if name not in self._armed:
                continue
            if name in unsafe:
                self._tell("warning", f"{name}: its watchdog was left armed, since it did not say that it is safe")
                continue
            try:
                instrument.disarm_watchdog()
            except Exception as error:  # noqa: BLE001  # the run's end must be recorded all the same
                self._tell("error", f"{name}: its watchdog could not be disarmed: {error}")

    def _feed(self, name: str, instrument: HostWatched, period_s: float) -> None:
        """Body of a feeding worker."""
        while not self._clock.wait(self._over, self._clock.now() + period_s / FEEDS):
            silent = self._hanging(self._clock.now())
            if silent != self._silent:
                self._silent = silent
                self._tell(
                    "error", f"{silent}; the watchdogs are not fed" if silent else "all samplers are alive again"
                )
            try:
                if not silent:
                    instrument.feed_watchdog()
                    self._fed[name] = self._clock.now()
            except Exception as error:  # noqa: BLE001  # nobody would see it in a worker
                said = str(error) if isinstance(error, InstrumentError) else f"{type(error).__name__}: {error}"
                self._tell("error", f"{name}: its watchdog could not be fed: {said}")
                if isinstance(error, InstrumentRefusal):  # which says that it is too late
                    self._fed[name] = -math.inf
            if self._expires(name, period_s):
                return

    def _mind(self, name: str, period_s: float) -> None:
        """Body of the worker that sees what a feed that hangs cannot see: that it has come too late."""
        while not self._clock.wait(self._over, self._fed[name] + period_s + LATE_S):
            if self._expires(name, period_s):
                return

    def _expires(self, name: str, period_s: float) -> bool:
        """Whether a watchdog has not been fed for its whole period; has that told once."""
        with self._lock:
            if self._over.is_set() or self._clock.now() - self._fed[name] <= period_s:
                return self._over.is_set()
            first = name not in self._gone
            self._gone.add(name)
        if first:
            why = self._silent or f'instrument "{name}" could not be fed'
            self._expired(f"the watchdog of {name} has expired: {why}")
        return True

    def _look(self, every_s: float) -> None:
        """Body of the worker that sees what a sampler that hangs cannot see: that its channels are lost."""
        while not self._clock.wait(self._over, self._clock.now() + every_s):
            try:
                self._notice_lost(self._clock.now())
            except Exception as error:  # noqa: BLE001  # nobody would see it in a worker
                self._expired(f"the look for samplers that hang broke off: {type(error).__name__}: {error}")
                return

    def _notice_lost(self, now: float) -> None:
        for guard, sampler in self._guarded():
            outage_s = guard.interlock.max_outage_s
            if outage_s is not None and now - sampler.alive_until_s > outage_s:
                guard.missed(now)

    def _hanging(self, now: float) -> str:
        """Which sampler that guards something hangs; "" when none does."""
        for guard, sampler in self._guarded():
            if guard.armed_s > now:
                continue
            outage_s = guard.interlock.max_outage_s
            if now - sampler.alive_until_s > (SILENT_S if outage_s is None else outage_s):
                return f'the sampler of instrument "{sampler.instrument.name}" gives no sign of life'
        return ""
