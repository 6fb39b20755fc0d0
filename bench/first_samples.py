"""Nothing is driven blind: what moves fluid or pressure waits for a first good sample of every channel that guards it.

A channel that gives none counts as lost after its `max_outage`, as at any other time.  One that may be lost is waited
for a moment, which is told, and the run goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from bench.guard import Guard
from bench.resting import spacing
from bench.sampler import STARTS_S, Sampler
from instruments.clock import Clock, Event
from instruments.instrument import InstrumentError
from protocols.interlock import Interlock
from protocols.steps import (
    Condition,
    Infuse,
    MoveValve,
    Phase,
    Program,
    RequestBolus,
    SetPressure,
    SetValve,
    StartDelivery,
    Step,
    Withdraw,
)

DRIVING = (SetValve, MoveValve, Program, StartDelivery, RequestBolus, SetPressure, Infuse, Withdraw)
"""Steps that move fluid or pressure.  Those that end such a thing wait for nothing."""

SAMPLES = 3.0
"""So many samples of a channel that may be lost are waited for, and as long as an instrument may take to start."""

QUIET_S = 2.0
"""A wait that is longer than this is told as it goes on: else a person wonders."""

LATE_S = 5.0
"""How much later than the end of an outage it is seen at the latest, be it that the sampler hangs."""


class Course(Protocol):
    """What the engine lets whoever waits do with the run's time."""

    def hold(self, until: float, met: Event) -> None:
        """Wait to a clock time, longer by pauses, or until ``met`` is set; raises Halted when the steps are to end."""

    def nudge(self) -> None:
        """Have `hold` look at its event again."""


class FirstSamples:
    """Has steps wait until what guards them sees.

    Parameters
    ----------
    guarded : the guards that stop or hold, with their samplers.
    tell : (level, text) into the run's event log.
    """

    def __init__(
        self,
        clock: Clock,
        course: Course,
        guarded: Callable[[], Sequence[tuple[Guard, Sampler]]],
        tell: Callable[[str, str], None],
    ) -> None:
        self._clock = clock
        self._course = course
        self._guarded = guarded
        self._tell = tell
        self._given_up: set[str] = set()  # interlocks whose channels may be lost

    def before(self, step: Step, later: Sequence[Step]) -> None:
        """Wait where a step drives something, for what is armed or will be by it or in the phase that comes next.

        Raises
        ------
        InstrumentError
            A channel gives no sample, and an interlock that is not armed yet cannot act on that.
        """
        if not isinstance(step, DRIVING):
            return
        phase = next((each.name for each in later if isinstance(each, Phase | Condition)), "")
        delivers = isinstance(step, StartDelivery)
        self.wait(lambda interlock: phase in interlock.phases or (delivers and interlock.armed == "delivery"))

    def wait(self, soon: Callable[[Interlock], bool] = lambda interlock: False) -> None:
        """Wait for a first good sample of every channel that guards by now; raises as `before`.

        Parameters
        ----------
        soon : which interlocks that are not armed yet count, too.
        """
        blind = [
            (guard, sampler)
            for guard, sampler in self._guarded()
            if not (guard.seen or guard.interlock.name in self._given_up) and (guard.is_armed or soon(guard.interlock))
        ]
        if not blind:
            return
        blind.sort(key=lambda each: _longest_s(*each))
        met = self._clock.event()

        def look() -> None:
            if not self._unseen(blind):
                met.set()
                self._course.nudge()

        for guard, sampler in blind:
            guard.on_seen = look
            sampler.look()
        try:
            look()  # what came meanwhile
            self._await(blind, met)
        finally:
            for guard, _ in blind:
                guard.on_seen = None

    def _await(self, blind: Sequence[tuple[Guard, Sampler]], met: Event) -> None:
        """Wait for channels, those for which it is not long first."""
        begun_s = self._held(self._clock.now(), QUIET_S, met)
        if unseen := self._unseen(blind):
            self._tell("info", f"nothing is driven before {', '.join(dict.fromkeys(unseen))} gave a first good sample")
        for guard, sampler in blind:
            if self._unseen(blind):
                begun_s = self._held(begun_s, _longest_s(guard, sampler), met)
            if not guard.seen:
                self._go_without(guard, sampler)

    def _held(self, begun_s: float, for_s: float, met: Event) -> float:
        """Wait for a time at most; returns when that would have begun without the pauses in it."""
        until = begun_s + for_s
        self._course.hold(until, met)
        return begun_s + max(0.0, self._clock.now() - until)

    def _unseen(self, blind: Sequence[tuple[Guard, Sampler]]) -> list[str]:
        """Channels that are waited for still."""
        return [
            guard.interlock.channel
            for guard, _ in blind
            if not guard.seen and guard.interlock.name not in self._given_up
        ]

    def _go_without(self, guard: Guard, sampler: Sampler) -> None:
        """Do without a channel that may be lost; raises InstrumentError for one that may not."""
        interlock = guard.interlock
        said = f"{interlock.channel} has given no good sample since the run began"
        if interlock.max_outage_s is not None:
            guards = f'interlock "{interlock.name}" guards by it what comes next'
            raise InstrumentError(sampler.instrument.name, f"{said}, and {guards}; put it right and start again")
        self._given_up.add(interlock.name)
        without = f'the run goes on without interlock "{interlock.name}", which states no max_outage'
        self._tell("warning", f"{said}; {without}")


def _longest_s(guard: Guard, sampler: Sampler) -> float:
    """Longest wait for a channel; one that may not be lost is known to be by then, whatever its instrument does."""
    outage_s = guard.interlock.max_outage_s
    if outage_s is None:
        return max(STARTS_S, SAMPLES * spacing(sampler.instrument))
    return STARTS_S + 2.5 * outage_s + LATE_S
