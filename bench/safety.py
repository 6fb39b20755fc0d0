"""Going safe: the station's ordered safe state, then every instrument side by side; once safe, nothing undoes it.

The hold is the lesser thing: ordered steps too, after which the run waits; a person's reset puts the valves back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench.ordered import Outcome, do, driven, reason, steps_for
from bench.protection import SafeStep
from bench.station import OpenStation
from instruments.instrument import Instrument, InstrumentError

MAKE_SAFE_S = 5.0
"""Longest wait for one instrument's own safe state."""

UNDER_WAY_S = 0.05
"""How long going safe waits for the write of a valve that is under way; one that ends later is undone."""

Record = Callable[[str, Mapping[str, Any]], None]


class SafeStateLatchedError(Exception):
    """The bench has gone safe; nothing may be driven any more in this run."""


class Safety:
    """The only way to drive hardware in a run, and the way to make it safe.

    Parameters
    ----------
    record : (kind, fields) into the run's record, written at once.
    rest : waits while the bench is held; raises whatever ends the steps.

    Attributes
    ----------
    cause : why the bench has gone safe; None while it has not.
    held : whether the bench is held; no step drives anything meanwhile.
    unsafe : instruments that `make_safe` has found not to be safe: no answer, an error, another state read back.
    """

    def __init__(self, opened: OpenStation, record: Record, rest: Callable[[], object] = lambda: None) -> None:
        self._opened = opened
        self._record = record
        self._rest = rest
        self._lock = opened.clock.lock()  # never held over a command
        self._idle = opened.clock.event()
        self._idle.set()
        self._settled = opened.clock.event()  # no ordered steps are being done
        self._settled.set()
        self._under_way = 0
        self._overtaken = False
        self._stood: list[tuple[SafeStep, bool]] = []  # valves that the hold moved, and how they stood before
        self._steps: list[SafeStep] = []  # what was done last to go safe or to hold
        self._holding = self._releasing = False
        self.cause: str | None = None
        self.unsafe: set[str] = set()

    @property
    def held(self) -> bool:
        """Whether the bench is held, or its valves are on their way back."""
        return self._holding or self._releasing

    # -- whoever drives

    def insist(self) -> None:
        """Wait while the bench is held; raises SafeStateLatchedError once it has gone safe."""
        if self.held and self.cause is None:
            self._rest()
        if self.cause is not None:
            raise SafeStateLatchedError(self.cause)

    @contextmanager
    def drive(self) -> Iterator[None]:
        """Hold while a valve is driven, so that none moves after the safe state; raises SafeStateLatchedError."""
        while True:
            self.insist()
            if self._begin(lambda: self.cause is None and not self.held):
                break
        with self._ending():
            yield

    def begin_safe(self) -> None:
        """Take the safe state before a watchdog is armed, where something is driven still.

        Outputs stand as a killed run has left them.  What feeds them has fallen off since; the next heartbeat would
        bring them back, and with them a pressure or a flow that nobody has asked for.

        Raises
        ------
        InstrumentError
            Something cannot be made safe.
        """
        steps = steps_for("", self._opened.station.safe_state)
        left = list(driven(self._opened, steps))
        if not left:
            return
        said = ", ".join(how for _, how in left)
        text = f"{said}, as whoever drove the bench before has left it; the safe state is taken first"
        self._record("event", {"level": "warning", "text": text})
        self.go_safe()
        for name, how in driven(self._opened, steps):
            raise InstrumentError(name, f"the bench cannot be made safe before the run: {how}")

    def make_ready(self) -> None:
        """Bring the bench into its working order, the opposite of the safe state, before a run's first step.

        Raises
        ------
        InstrumentError
            A step could not be confirmed; nothing else has moved.
        """
        steps = steps_for("", self._opened.station.ready)
        with self.drive():
            for step, outcome in zip(steps, do(self._opened, steps, self._tell), strict=True):
                self._tell(outcome)
                if not outcome.confirmed:
                    raise InstrumentError(step.instrument_name, f"the bench is not ready: {outcome.what}")

    # -- going safe

    def trip(self, cause: str, phase: str = "", latched: Callable[[], object] = lambda: None) -> float | None:
        """Latch, and put the station into its safe state at once; None when it was safe already.

        Never waits for a command that another thread is in the middle of, and for the write of a valve only briefly:
        what such a command does is undone when it ends, and by `make_safe`.

        Parameters
        ----------
        latched : called when nothing can be driven any more, before the first step.

        Returns
        -------
        Clock time at which the first step was done.
        """
        with self._lock:
            if self.cause is not None:
                return None
            self.cause = cause
            self._settled.clear()
        try:
            latched()
            self._record("safe-state", {"cause": cause, "phase": phase})
            self._let_end()
            return self._take(steps_for(phase, self._opened.station.safe_state))
        finally:
            self._settled.set()

    def go_safe(self, phase: str = "") -> None:
        """Run the station's ordered safe state at the end of a run that did not trip."""
        self._take(steps_for(phase, self._opened.station.safe_state))

    def make_safe(self) -> set[str]:
        """Call every instrument's own `make_safe`, side by side, each with a deadline; returns those that hang.

        Waits for the end of the ordered safe state.
        """
        clock = self._opened.clock
        longest_s = sum(step.wait_s or step.within_s for step in self._opened.station.safe_state)
        clock.wait(self._settled, clock.now() + longest_s + MAKE_SAFE_S)
        jobs = [_Job(instrument) for instrument in self._opened.instruments.values()]
        ended = clock.event()

        def work(job: _Job) -> None:
            job.run()
            if all(other.said is not None for other in jobs):
                ended.set()

        for job in jobs:
            clock.worker(f"safe {job.instrument.name}", partial(work, job))
        if jobs:
            clock.wait(ended, clock.now() + MAKE_SAFE_S)
        hanging = set()
        for job in jobs:
            name, said = job.instrument.name, job.said
            if said is None:
                hanging.add(name)
                said = f'instrument "{name}": not confirmed, no answer within {MAKE_SAFE_S:g} s', False
            what, confirmed = said
            if not confirmed:
                self.unsafe.add(name)
            self._record("confirm", {"what": what, "confirmed": confirmed})
        return hanging

    # -- holding

    def hold(self, phase: str = "") -> float | None:
        """Take the station's hold at once; None when the bench is held or safe already.

        Returns
        -------
        Clock time at which the first step was done.
        """
        with self._lock:
            if self.cause is not None or self._holding:
                return None
            self._holding = True
        self._let_end()
        self._begin(lambda: True)
        with self._ending():
            return self._take(steps_for(phase, self._opened.station.hold), holding=True)

    def release(self) -> None:
        """End the hold: put back the valves that it moved, the last one first; what else it did stays done."""
        with self._lock:
            if not self._holding:
                return
            self._holding, self._releasing = False, True
        moved, self._stood = self._stood, []
        for step, stood in reversed(moved):
            if not self._begin(lambda: self.cause is None and not self._holding):
                break
            with self._ending():
                back = SafeStep(valve=step.valve, on=stood)
                for outcome in do(self._opened, [back], self._tell):
                    self._tell(outcome)
        self._releasing = False

    # -- small parts

    def _let_end(self) -> None:
        """Wait briefly for a command that is under way."""
        clock = self._opened.clock
        if not clock.wait(self._idle, clock.now() + UNDER_WAY_S):
            self._overtaken = True

    def _take(self, steps: Sequence[SafeStep], *, holding: bool = False) -> float | None:
        """Do ordered steps; a hold ends when the bench goes safe meanwhile."""
        clock = self._opened.clock
        self._steps = list(steps)
        first: float | None = None
        outcomes = do(self._opened, steps, self._tell, look_first=holding)
        for step, outcome in zip(steps, outcomes, strict=True):
            if first is None and step.target:
                first = clock.now()
            self._tell(outcome)
            if holding and step.valve is not None and outcome.before not in (None, step.on):
                self._stood.append((step, bool(outcome.before)))
            if holding and self.cause is not None:
                break
        return clock.now() if first is None else first

    def _tell(self, outcome: Outcome) -> None:
        self._record("confirm", {"what": outcome.what, "confirmed": outcome.confirmed, "took_s": outcome.took_s})

    def _begin(self, allowed: Callable[[], bool]) -> bool:
        """Begin a command, if that is allowed; going safe waits for its end, briefly."""
        with self._lock:
            if not allowed():
                return False
            self._under_way += 1
            self._idle.clear()
            return True

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """End a command; one that the bench did not wait for is undone."""
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                if not self._under_way:
                    self._idle.set()
                late, self._overtaken = self._overtaken, False
            if late:
                self._record("confirm", {"what": "a valve moved late; the steps are done again", "confirmed": False})
                for outcome in do(self._opened, self._steps, self._tell):
                    self._tell(outcome)


class _Job:
    """One instrument's way to its safe state: what it said, and whether that confirms it; None until it answers."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.said: tuple[str, bool] | None = None

    def run(self) -> None:
        name = self.instrument.name
        try:
            said = self.instrument.make_safe()
        except Exception as error:  # noqa: BLE001  # nobody would see it in a worker
            self.said = f'instrument "{name}": not confirmed, {reason(error)}', False
        else:
            self.said = f"{name}: {said}", True
