"""Going safe: the station's ordered safe state, then every instrument side by side; once safe, nothing undoes it.

The hold is the lesser thing: ordered steps too, after which the run waits; a person's reset puts the valves back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from typing import Any, Literal

from bench.ordered import Outcome, Taken, at_work, do, driven, steps_for
from bench.own_safe_state import MAKE_SAFE_S, make_each_safe
from bench.protection import SafeStep
from bench.station import OpenStation
from instruments.clock import Clock, Event
from instruments.instrument import InstrumentError

UNDER_WAY_S = 0.05
"""How long going safe waits for the write of a valve that is under way; one that ends later is undone."""

FIRST_S = 0.25
"""Longest wait for the first step of a hold: whoever waits does not see whether a limit that stops is crossed."""

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
    cause : why the bench has gone safe; None while it has not, and at the end of a run that did not trip.
    held : whether the bench is held; no step drives anything meanwhile.
    unsafe : instruments that `make_safe` has found not to be safe: no answer, an error, another state read back.
    """

    def __init__(self, opened: OpenStation, record: Record, rest: Callable[[], object] = lambda: None) -> None:
        self._opened = opened
        self._record = record
        self._rest = rest
        self._lock = opened.clock.lock()  # never held over a command
        self._settled = opened.clock.event()  # no ordered steps are being done
        self._settled.set()
        self._safe_now = opened.clock.event()  # nothing may be driven any more
        self._under_way: list[_Command] = []
        self._later: list[Event] = []  # ordered steps that have not answered in time
        self._steps: Sequence[SafeStep] = ()  # how the bench was made safe, or held, last
        self._stood: dict[str, SafeStep | None] = {}  # what puts back a valve that the hold moved, where that is known
        self._course: Literal["free", "held", "returning"] = "free"
        self._releases = 0
        self._over = False
        self.cause: str | None = None
        self.unsafe: set[str] = set()

    @property
    def held(self) -> bool:
        """Whether the bench is held, or its valves are on their way back."""
        return self._course != "free"

    @property
    def _gone_safe(self) -> bool:
        """Whether nothing may be driven any more but by going safe itself."""
        return self._over or self.cause is not None

    # -- whoever drives

    def insist(self) -> None:
        """Wait while the bench is held; raises SafeStateLatchedError once it has gone safe."""
        if self.held and not self._gone_safe:
            self._rest()
        if self._gone_safe:
            raise SafeStateLatchedError(self.cause or "the run is over")

    @contextmanager
    def drive(self, *, brief: bool = True) -> Iterator[None]:
        """Hold while something is driven, so that nothing is after the safe state; raises SafeStateLatchedError.

        Parameters
        ----------
        brief : going safe waits a moment for its end, as for the write of a valve; other orders take longer.
        """
        while True:
            self.insist()
            command = self._begin(lambda: not (self._gone_safe or self.held), brief=brief)
            if command is not None:
                break
        with self._ending(command):
            yield

    def begin_safe(self) -> None:
        """Take the safe state before anything else, and before a watchdog is armed, where something is driven still.

        Outputs stand as a killed run has left them: a plunger that moves, a pressure that is regulated, valves with
        current.  Where a watchdog has let its relay fall since, the next heartbeat would bring them back.  Nobody has
        asked for any of that.

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
        self._take(steps)
        still = list(driven(self._opened, steps))
        if still:  # what the list leaves out, such as a pusher, has a safe state of its own
            names = {name for name, _ in still}
            instruments = [each for name, each in self._opened.instruments.items() if name in names]
            make_each_safe(instruments, self._opened.clock, self._record)
            still = list(driven(self._opened, steps))
        for name, how in still:
            raise InstrumentError(name, f"the bench cannot be made safe before the run: {how}")

    def make_ready(self) -> None:
        """Bring the bench into its working order, the opposite of the safe state, before a run's first step.

        Each step is a command of its own, as those of the plan are: none is done while the bench is held.

        Raises
        ------
        InstrumentError
            A step could not be confirmed; nothing else has moved.
        SafeStateLatchedError
            The bench has gone safe; no further step was done, and a wait has ended.
        """
        clock = self._opened.clock
        for step in steps_for("", self._opened.station.ready):
            self._rest()
            if step.wait_s is not None:
                begun = clock.now()
                clock.wait(self._safe_now, begun + step.wait_s)
                self.insist()
                self._tell(Outcome(step, step.said, True, clock.now() - begun))
                continue
            with self.drive():
                (outcome,) = do(self._opened, [step], self._strayed)
                self._tell(outcome)
            if not outcome.confirmed:
                raise InstrumentError(step.instrument_name, f"the bench is not ready: {outcome.what}")

    # -- going safe

    def trip(self, cause: str, phase: str = "", latched: Callable[[], object] = lambda: None) -> Taken | None:
        """Latch, and put the station into its safe state at once; None when it was safe already.

        Never waits for a command that another thread is in the middle of, and for the write of a valve only briefly:
        what such a command does is undone when it ends, and by `make_safe`.

        Parameters
        ----------
        latched : called when nothing can be driven any more, before the first step.

        Returns
        -------
        When the steps were done.
        """
        steps = steps_for(phase, self._opened.station.safe_state)
        with self._lock:
            if self.cause is not None:
                return None
            self.cause = cause
            self._settled.clear()
            self._steps, others = steps, list(self._under_way)
        try:
            latched()
            self._safe_now.set()
            self._record("safe-state", {"cause": cause, "phase": phase})
            self._overtake(others)
            return self._take(steps)
        finally:
            self._settled.set()

    def go_safe(self, phase: str = "") -> None:
        """Run the station's ordered safe state at the end of a run that did not trip; it holds as that of a trip."""
        steps = steps_for(phase, self._opened.station.safe_state)
        with self._lock:
            self._over = True
            self._safe_now.set()
            self._steps, others = steps, list(self._under_way)
        self._overtake(others)
        self._take(steps)

    def make_safe(self) -> set[str]:
        """Call every instrument's own `make_safe`, side by side, each with a deadline; returns those that hang.

        Waits for the end of the ordered safe state.
        """
        clock = self._opened.clock
        longest_s = sum(step.wait_s or step.within_s for step in self._opened.station.safe_state)
        clock.wait(self._settled, clock.now() + longest_s + MAKE_SAFE_S)
        hanging, unsafe = make_each_safe(list(self._opened.instruments.values()), clock, self._record)
        self.unsafe |= unsafe
        return hanging

    def let_end(self) -> None:
        """Wait for what is still being driven, though not for long, before the instruments are let go."""
        self._quiet(self._opened.clock.now() + MAKE_SAFE_S, lambda: True)

    # -- holding

    def hold(self, phase: str = "", broke: Callable[[Exception], object] = lambda error: None) -> float | None:
        """Take the station's hold at once, also while an earlier one ends; None when it is held or safe already.

        Waits for the first step alone, and not for long: whoever sees a limit crossed must go on looking, or would see
        too late that another one is.

        Parameters
        ----------
        broke : called when the program itself fails in a step.

        Returns
        -------
        Clock time at which the first step was done; NaN where it was not within `FIRST_S`.
        """
        steps = steps_for(phase, self._opened.station.hold)
        with self._lock:
            if self._gone_safe or self._course == "held":
                return None
            self._course = "held"
            self._steps, others = steps, list(self._under_way)
            command = self._started()
        first = _First(self._opened.clock)

        def take() -> None:
            try:
                with self._ending(command):
                    self._overtake(others)
                    self._take_hold(steps, first.done)
            except Exception as error:  # noqa: BLE001  # nobody would see it in a worker
                broke(error)
            finally:
                first.done()

        at_work(self._opened.clock, "~hold steps", take)
        self._opened.clock.wait(first.event, self._opened.clock.now() + FIRST_S)
        return first.at_s

    def begin_release(self) -> int:
        """Begin to end the hold; returns the number of the release, 0 where there is nothing to be released."""
        with self._lock:
            if self._gone_safe or self._course != "held":
                return 0
            self._course = "returning"
            self._releases += 1
            return self._releases

    def put_back(self, release: int) -> str:
        """Put back the valves that the hold moved, the last one first; what else it did stays done.

        Ends early where the bench is held anew, or goes safe: the next release puts back what is left.

        Returns
        -------
        "", or why the run cannot go on: a valve does not stand, or may not stand, as it stood before the hold.
        """
        longest_s = sum(step.wait_s or step.within_s for step in self._opened.station.hold)
        latest_s = self._opened.clock.now() + longest_s + MAKE_SAFE_S
        if not self._quiet(latest_s, lambda: self._returns(release)):
            return "what was being driven when it began still does not answer"
        with self._lock:
            back = dict(reversed(self._stood.items()))
        for valve, step in back.items():
            if step is None:
                return f"how valve {valve} stood before it is not known"
        for valve, step in back.items():
            assert step is not None
            command = self._begin(lambda: self._returns(release))
            if command is None:
                break
            with self._ending(command):
                (outcome,) = do(self._opened, [step], self._strayed)
                self._told(outcome)
                with self._lock:
                    if not self._returns(release):
                        break
                    if not outcome.confirmed:
                        return outcome.what
                    del self._stood[valve]
        return ""

    def end_release(self, release: int) -> bool:
        """Let steps drive again; False where the bench is held anew, or has gone safe."""
        with self._lock:
            if not self._returns(release):
                return False
            self._course = "free"
            return True

    # -- small parts

    def _take(self, steps: Sequence[SafeStep]) -> Taken:
        """Do the steps of a safe state."""
        done, confirmed = list[float](), True
        for outcome in do(self._opened, steps, self._tell):
            if outcome.step.target:
                done.append(self._opened.clock.now())
                confirmed = confirmed and outcome.confirmed
            self._told(outcome)
        now = self._opened.clock.now()
        return Taken(done[0] if done else now, done[-1] if done and confirmed else None)

    def _take_hold(
        self, steps: Sequence[SafeStep], began: Callable[[], object] = lambda: None, *, again: bool = False
    ) -> None:
        """Do the steps of a hold, until the bench goes safe, and note which valves they move."""
        wanted = takewhile(lambda _: not self._gone_safe, steps)
        seen: set[str] = set()
        for outcome in do(self._opened, wanted, partial(self._late, again), look_first=True):
            if outcome.step.target:
                began()
            self._told(outcome)
            valve = outcome.step.valve
            if valve is None:
                continue
            with self._lock:
                if not again:
                    self._note(valve, outcome, first=valve not in seen)
                elif valve not in seen:
                    self._note_moved(valve, outcome, [bool(each.on) for each in steps if each.valve == valve][-1])
            seen.add(valve)

    def _note(self, valve: str, outcome: Outcome, *, first: bool) -> None:
        """Keep how a valve stood before the hold; what an earlier hold noted and nobody put back remains."""
        before, step = outcome.before, outcome.step
        if before is None:
            self._stood.setdefault(valve, None)
        elif before != step.on and (valve not in self._stood or (first and self._stood[valve] is None)):
            self._stood[valve] = _back(step, on=before)

    def _note_moved(self, valve: str, outcome: Outcome, left: bool) -> None:
        """Keep how a valve stood that a step has moved after the hold did, which left it in a position."""
        if outcome.before is not None and outcome.before != left:
            self._stood[valve] = _back(outcome.step, on=outcome.before)

    def _late(self, again: bool, outcome: Outcome) -> None:
        """A step of a hold answers when nobody waits for it any more."""
        self._tell(outcome)
        valve, before = outcome.step.valve, outcome.before
        with self._lock:
            if valve in self._stood and self._stood[valve] is None and before is not None and not again:
                self._stood[valve] = _back(outcome.step, on=before)
            command = self._started() if self._gone_safe else None
        self._end_all(command)

    def _strayed(self, outcome: Outcome) -> None:
        """Another step that drove a valve answers when nobody waits for it any more."""
        self._tell(outcome)
        with self._lock:
            command = self._started() if self._gone_safe or self.held else None
        self._end_all(command)

    def _told(self, outcome: Outcome) -> None:
        """Tell what became of a step; one that hangs is waited for before a hold ends, and before the run does."""
        self._tell(outcome)
        if outcome.later is not None:
            with self._lock:
                self._later.append(outcome.later)

    def _tell(self, outcome: Outcome) -> None:
        fields = {"what": outcome.what, "confirmed": outcome.confirmed, "took_s": outcome.took_s}
        self._record("confirm", {**fields, "done_s": self._opened.clock.now()})

    # -- commands that are under way

    def _begin(self, allowed: Callable[[], bool], *, brief: bool = True) -> _Command | None:
        """Begin a command, if that is allowed."""
        with self._lock:
            return self._started(brief=brief) if allowed() else None

    def _started(self, *, brief: bool = True) -> _Command:
        command = _Command(self._opened.clock.event(), brief=brief)
        self._under_way.append(command)
        return command

    @contextmanager
    def _ending(self, command: _Command) -> Iterator[None]:
        """End a command; one that the bench did not wait for is undone."""
        try:
            yield
        finally:
            self._end_all(self._end(command))

    def _end(self, command: _Command) -> _Command | None:
        """End a command; returns that which undoes it, where it was overtaken."""
        with self._lock:
            self._under_way.remove(command)
            command.ended.set()
            return self._started() if command.overtaken and (self._gone_safe or self.held) else None

    def _end_all(self, command: _Command | None) -> None:
        """Do the steps again that were done last, and once more where something has overtaken that."""
        while command is not None:
            self._record("confirm", {"what": "a command ended late; the steps are done again", "confirmed": False})
            with self._lock:
                steps, gone_safe = self._steps, self._gone_safe
            if gone_safe:
                self._take(steps)
            else:
                self._take_hold(steps, again=True)
            command = self._end(command)

    def _overtake(self, commands: Sequence[_Command]) -> None:
        """Wait a moment for commands that are under way, if they are brief; what one does that ends later is undone."""
        clock = self._opened.clock
        latest_s = clock.now() + UNDER_WAY_S
        for command in commands:
            if command.brief:
                clock.wait(command.ended, latest_s)
        with self._lock:
            for command in commands:
                command.overtaken = command.overtaken or not command.ended.is_set()

    def _returns(self, release: int) -> bool:
        """Whether this release goes on."""
        return not self._gone_safe and self._course == "returning" and self._releases == release

    def _quiet(self, latest_s: float, wanted: Callable[[], bool]) -> bool:
        """Wait until nothing is driven any more, as long as that is wanted; whether it came to an end in time."""
        while wanted():
            with self._lock:
                self._later = [ended for ended in self._later if not ended.is_set()]
                left = [*(command.ended for command in self._under_way), *self._later]
            if not left:
                break
            if not self._opened.clock.wait(left[0], latest_s):
                return not wanted()
        return True


class _Command:
    """Something that is being driven.

    Attributes
    ----------
    brief : whether its end is worth a moment's wait.
    overtaken : whether the bench went safe, or was held, without waiting for its end.
    """

    def __init__(self, ended: Event, *, brief: bool) -> None:
        self.ended = ended
        self.brief = brief
        self.overtaken = False


class _First:
    """When the first of some steps was done, for whoever waits for that alone."""

    def __init__(self, clock: Clock) -> None:
        self.event = clock.event()
        self.at_s = math.nan
        self._clock = clock

    def done(self) -> None:
        """A step was done."""
        if not self.event.is_set():
            self.at_s = self._clock.now()
            self.event.set()


def _back(step: SafeStep, *, on: bool) -> SafeStep:
    """What undoes the step of a hold."""
    return step.model_copy(update={"on": on, "phases": []})
