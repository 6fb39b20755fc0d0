"""Going safe: the station's ordered safe state, then every instrument side by side; once safe, nothing undoes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench.station import OpenStation
from instruments.capabilities import Valve
from instruments.instrument import Instrument, InstrumentError

MAKE_SAFE_S = 5.0
"""Longest wait for one instrument's own safe state."""

Record = Callable[[str, Mapping[str, Any]], None]


class SafeStateLatchedError(Exception):
    """The bench has gone safe; nothing may be driven any more in this run."""


class Safety:
    """The only way to drive hardware in a run, and the way to make it safe.

    Parameters
    ----------
    record : (kind, fields) into the run's record, written at once.
    """

    def __init__(self, opened: OpenStation, record: Record) -> None:
        self._opened = opened
        self._record = record
        self._latch = opened.clock.lock()
        self._valves = opened.clock.lock()  # held for one write and its read-back
        self.cause: str | None = None

    def insist(self) -> None:
        """Refuse to drive anything once the safe state is latched; raises SafeStateLatchedError."""
        if self.cause is not None:
            raise SafeStateLatchedError(self.cause)

    @contextmanager
    def drive(self) -> Iterator[None]:
        """Hold while a valve is driven, so that none moves after the safe state; raises SafeStateLatchedError."""
        with self._valves:
            self.insist()
            yield

    def trip(self, cause: str) -> bool:
        """Latch, and put the station into its safe state at once; False when it was safe already.

        Never waits for a command that another thread is in the middle of, except for the write of a valve: what such
        a command does, `make_safe` undoes afterwards.
        """
        with self._latch:
            if self.cause is not None:
                return False
            self.cause = cause
        self._record("safe-state", {"cause": cause})
        with self._valves:
            self.safe_valves()
        return True

    def safe_valves(self) -> None:
        """Run the station's ordered safe state; each outcome is recorded, also one that could not be confirmed."""
        for step in self._opened.station.safe_state:
            name, _, valve = step.valve.partition(".")
            instrument = self._opened.instruments[name]
            outcome = f"valve {step.valve} {'energised' if step.on else 'released'}"
            confirmed = False
            try:
                if not isinstance(instrument, Valve):
                    raise InstrumentError(name, "drives no valves")
                instrument.set_valve(valve, step.on)
                confirmed = instrument.valves().get(valve) == step.on
                outcome += "" if confirmed else ": not confirmed, it reads back otherwise"
            except Exception as error:  # noqa: BLE001  # whatever breaks, the next valve must still be moved
                outcome = f"{outcome}: not confirmed, {_said(error)}"
            self._record("confirm", {"what": outcome, "confirmed": confirmed})

    def make_safe(self) -> set[str]:
        """Call every instrument's own `make_safe`, side by side, each with a deadline; returns those that hang."""
        clock = self._opened.clock
        jobs = [_Job(instrument) for instrument in self._opened.instruments.values()]
        ended = clock.event()

        def work(job: _Job) -> None:
            job.run()
            if all(other.said for other in jobs):
                ended.set()

        for job in jobs:
            clock.worker(f"safe {job.instrument.name}", partial(work, job))
        if jobs:
            clock.wait(ended, clock.now() + MAKE_SAFE_S)
        for job in jobs:
            name = job.instrument.name
            what = job.said or f'instrument "{name}": not confirmed, no answer within {MAKE_SAFE_S:g} s'
            self._record("confirm", {"what": what, "confirmed": job.confirmed})
        return {job.instrument.name for job in jobs if not job.said}


class _Job:
    """One instrument's way to its safe state."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.said = ""
        self.confirmed = False

    def run(self) -> None:
        name = self.instrument.name
        try:
            said = self.instrument.make_safe()
        except Exception as error:  # noqa: BLE001  # nobody would see it in a worker
            self.said = f'instrument "{name}": not confirmed, {_said(error)}'
        else:
            self.said, self.confirmed = f"{name}: {said}", True


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, InstrumentError) else f"{type(error).__name__}: {error}"
