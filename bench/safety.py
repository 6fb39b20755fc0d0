"""Going safe: the station's ordered safe state, then every instrument side by side; once safe, nothing undoes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
        self._lock = opened.clock.lock()
        self.cause: str | None = None

    @contextmanager
    def drive(self) -> Iterator[None]:
        """Hold while something is driven; refuses once the safe state is latched."""
        with self._lock:
            if self.cause is not None:
                raise SafeStateLatchedError(self.cause)
            yield

    def trip(self, cause: str) -> bool:
        """Latch, and put the station into its safe state at once; False when it was safe already."""
        with self._lock:
            if self.cause is not None:
                return False
            self.cause = cause
            self._record("safe-state", {"cause": cause})
            self.safe_valves()
            return True

    def safe_valves(self) -> None:
        """Run the station's ordered safe state; each outcome is recorded, also one that could not be confirmed."""
        for step in self._opened.station.safe_state:
            name, _, valve = step.valve.partition(".")
            instrument = self._opened.instruments[name]
            state = "energised" if step.on else "released"
            outcome = f"valve {step.valve} {state}"
            try:
                if not isinstance(instrument, Valve):
                    raise InstrumentError(name, "drives no valves")
                instrument.set_valve(valve, step.on)
                confirmed = instrument.valves().get(valve) == step.on
            except InstrumentError as error:
                confirmed, outcome = False, f"{outcome}: {error}"
            self._record("confirm", {"what": outcome, "confirmed": confirmed})

    def make_safe(self) -> None:
        """Call every instrument's own `make_safe`, side by side, each with a deadline."""
        clock = self._opened.clock
        jobs = [_Job(instrument) for instrument in self._opened.instruments.values()]
        workers = [clock.worker(f"safe {job.instrument.name}", job.run) for job in jobs]
        ended = clock.now() + MAKE_SAFE_S
        waiter = clock.event()
        while not all(worker.done for worker in workers) and clock.now() < ended:
            clock.wait(waiter, min(ended, clock.now() + 0.01))
        for job in jobs:
            what = job.said or f'instrument "{job.instrument.name}": no answer within {MAKE_SAFE_S:g} s'
            self._record("confirm", {"what": what, "confirmed": job.confirmed})


class _Job:
    """One instrument's way to its safe state."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.said = ""
        self.confirmed = False

    def run(self) -> None:
        try:
            said = self.instrument.make_safe()
        except InstrumentError as error:
            self.said = str(error)
        else:
            self.said, self.confirmed = f"{self.instrument.name}: {said}", True
