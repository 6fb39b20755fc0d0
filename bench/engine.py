"""The engine: opens the instruments, samples them, executes a procedure's steps, and goes safe whatever fails."""

from __future__ import annotations

import gc
import math
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench import exclusion
from bench.execution import Executor
from bench.first_samples import FirstSamples
from bench.interlocks import Interlocks
from bench.latch import Latches
from bench.latch_keeper import Entry
from bench.opening import open_each
from bench.prompts import Prompts
from bench.recorder import Recorder
from bench.resting import Resting
from bench.safety import SafeStateLatchedError, Safety
from bench.sampler import Sampler
from bench.station import OpenStation, sampled
from bench.watch import Watch
from bench.watchdog import Watchdog
from data.checks import Exclusion, Status
from instruments.clock import WALL_HORIZON_S, Event, WallClock, Worker
from instruments.instrument import Instrument, InstrumentError
from protocols.procedure import Procedure
from protocols.steps import Step, Tare

LET_GO_S = 30.0
"""How long the samplers may take to end."""

UTC_LOOK_S = 5.0
"""How often it is looked whether the computer's clock has been stepped."""

SIMULATED_HOLD_S = 86_400.0
"""Longest hold of a simulated bench, where nobody may be there to end it."""


class Halted(Exception):  # noqa: N818  # not an error: somebody or something stopped the run
    """The steps end here."""


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended."""

    status: Status
    reason: str
    person: str = ""


class Engine:
    """Runs one procedure on one open station.  Call `run` as the clock's main worker.

    Parameters
    ----------
    longest_block_s : longest piece in which hardware-timed streams are read; the data do not depend on it.
    latches : keeps which interlocks are latched beyond the run; None where that would be no use.
    """

    def __init__(
        self,
        opened: OpenStation,
        procedure: Procedure,
        roles: Mapping[str, str],
        recorder: Recorder,
        *,
        longest_block_s: float,
        person: str,
        latches: Latches | None = None,
    ) -> None:
        self._opened = opened
        self._clock = opened.clock
        self._procedure = procedure
        self._roles = dict(roles)
        self._recorder = recorder
        self._person = person
        self._longest_block_s = longest_block_s
        self._safety = Safety(opened, partial(self._record, urgent=True), self._rest)
        self._end: End | None = None
        self._nudge: Event = self._clock.event()  # wakes the steps: stop, pause, resume, a condition met
        self._paused = False
        self._begun = False  # a step has begun, so there is something to tear down
        self._tearing_down = False
        self._samplers: dict[str, Sampler] = {}
        self._sampling: set[str] = set()
        self._all_ended = self._clock.event()
        self._leaving = self._clock.event()
        self._utc_watch: Worker | None = None
        self.steps = plan(procedure)
        self._watch = Watch(opened, roles, self.steps, self._samplers)
        self._phase = ""
        self._stopped_in = ""  # the phase in which a person stopped the run
        self.unkept: Sequence[Entry] = ()  # latches and resets that the disk has not taken, when the run has ended
        self.rested_s = 0.0  # for how long the steps have been paused or held
        self.done = "all steps done"  # what is said of a run that reaches its end
        longest_hold_s = math.inf if opened.rig is None else SIMULATED_HOLD_S
        self._interlocks = Interlocks(
            self._safety, self._watch, self._clock, self, self._record, self._tell, latches, longest_hold_s
        )
        self._watchdog = Watchdog(
            opened.instruments, self._clock, lambda: self._interlocks.guarded, self._tell, self._fail
        )
        self._first_samples = FirstSamples(self._clock, self, lambda: self._interlocks.guarded, self._tell)
        self._executor = Executor(
            opened, self._roles, self._safety, self._watch, self, self._record, procedure, recorder.journal
        )

    # -- commands; from the clock's own thread (others use clock.post)

    def stop(self, person: str, reason: str) -> None:
        """Stop the run in order: the teardown is done, then everything is made safe."""
        if self._end is None:
            self._stopped_in = self.phase
        self._finish(End(Status.ABORTED, reason, person))

    def pause(self, person: str) -> None:
        """Hold the present phase; sampling goes on, nothing is repeated on resume."""
        if not self._paused and self._end is None:
            self._paused = True
            self._record("pause", {"state": "begin", "person": person, "phase": self.phase})
            self._nudge.set()

    def resume(self, person: str) -> None:
        """Go on with the phase where it was held."""
        if self._paused:
            self._paused = False
            self._record("pause", {"state": "end", "person": person, "phase": self.phase})
            self._nudge.set()

    def note(self, person: str, text: str) -> None:
        """Keep a remark of a person with the run."""
        self._record("note", {"person": person, "text": text})

    def exclude(self, person: str, from_s: float, to_s: float, reason: str) -> str:
        """Take a stretch that is over out of what is judged; the record keeps it, and nothing takes that back.

        Parameters
        ----------
        from_s, to_s : s since the run's begin.

        Returns
        -------
        "" when it is kept, else one sentence that says why not and what to do.
        """
        if self._leaving.is_set():
            return "the run has ended; what was not excluded by then is judged"
        said = Exclusion(from_s, to_s, reason, person)
        refusal = exclusion.refusal(said, self._procedure, self._clock.now())
        if not refusal:
            self._record("exclusion", exclusion.fields_of(said), urgent=True)
        return refusal

    def answer(self, key: str, value: float | str, person: str, second_person: str = "", source: str = "window") -> str:
        """Answer the prompt that waits; returns "", or the sentence why the answer was refused."""
        return self.prompts.answer(key, value, person, second_person, source)

    def reset_interlock(self, name: str, person: str, reason: str) -> str:
        """Reset an interlock that holds the bench, once its channel is back in its band; the last one ends the hold.

        Returns
        -------
        "" when it is done, else one sentence that says why not and what to do.
        """
        return self._interlocks.reset(name, person, reason)

    # -- what others may look at

    @property
    def phase(self) -> str:
        """The present phase, "" between phases."""
        return self._phase

    @phase.setter
    def phase(self, name: str) -> None:
        """A step begins a phase, or ends it."""
        if self._phase:
            self._watch.leave(self._phase)
        self._phase = name
        if name:
            self._watch.enter(name)
        if self._end is None and self._safety.cause is None:
            for sampler in self._samplers.values():
                sampler.rest(name if self._procedure.rests(name) else "")

    @property
    def prompts(self) -> Prompts:
        """What is asked of persons."""
        return self._executor.prompts

    @property
    def latched(self) -> tuple[str, ...]:
        """Names of the interlocks that wait for a person."""
        return self._interlocks.latched

    @property
    def held(self) -> bool:
        """Whether an interlock holds the bench, so that the run's time stands still."""
        return self._safety.held

    # -- the run

    def run(self) -> End:
        """Execute the procedure; returns how it ended and leaves the hardware safe, whatever happens."""
        try:
            self._watch_utc()
            self._open()
            self._spare_pauses()
            self._start_sampling()
            self._rest()
            if self._opened.station.ready:
                self._first_samples.wait()
            self._safety.make_ready()
            self._execute(self.steps)
            self._finish(End(Status.COMPLETED, self.done))
        except (Halted, SafeStateLatchedError):
            pass
        except InstrumentError as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001  # whatever breaks, the bench goes safe and the record is closed
            self._broke(error)
        except BaseException as error:
            self._fail(f"{type(error).__name__} ended the run")
            raise
        finally:
            self._leave()
            gc.unfreeze()
        assert self._end is not None
        return self._end

    def _open(self) -> None:
        """Connect and arm the watchdogs; whoever stops the run meanwhile does not have to wait for the rest."""
        open_each(self._opened.instruments, self._go_on, self._record, self._tell)
        self._go_on()
        self._safety.begin_safe()
        self._watchdog.arm()

    def _watch_utc(self) -> None:
        """Have each step of the computer's clock told soon after it; virtual time has no such clock."""
        if isinstance(self._clock, WallClock):
            self._utc_watch = self._clock.worker("~utc", self._look_at_utc)

    def _look_at_utc(self) -> None:
        """Body of a worker, which looks a last time at the run's end."""
        leaving = False
        while not leaving:
            leaving = self._clock.wait(self._leaving, self._clock.now() + UTC_LOOK_S)
            for t, step_s in self._clock.steps():
                text = f"the computer's clock was stepped by {step_s:+.1f} s, seen at {t:.1f} s of the run"
                self._tell("warning", text)

    def _spare_pauses(self) -> None:
        """Set aside what lives as long as the run: to search it for garbage stops every thread for 0.1 s (measured)."""
        if self._clock.block_s <= WALL_HORIZON_S:
            gc.collect()
            gc.freeze()

    def _start_sampling(self) -> None:
        longest_block_s = min(self._longest_block_s, self._clock.block_s)
        for name, instrument in sampled(self._opened).items():
            every = self._opened.rests_every(name)
            self._samplers[name] = Sampler(
                instrument, self._clock, self._recorder, self._tell, longest_block_s, Resting(every)
            )
        for interlock in [*self._opened.interlocks, *self._procedure.interlocks()]:
            self._interlocks.watch(interlock)
        self._sampling.update(self._samplers)
        for name, sampler in self._samplers.items():
            self._clock.worker(name, partial(self._sample, name, sampler))
        self._watchdog.look()

    def _execute(self, steps: Sequence[Step]) -> None:
        for index, step in enumerate(steps):
            self._rest()
            self._first_samples.before(step, steps[index + 1 :])
            self._begun = True
            begun = self._clock.now()
            self._record("step", {"index": index, "name": str(step), "state": "begin"})
            with self._disturbed(step):
                self._executor.do(step)
            self._record(
                "step", {"index": index, "name": str(step), "state": "end", "took_s": self._clock.now() - begun}
            )
        self._rest()  # a run that is held is not over

    def _leave(self) -> None:
        """The end in its order; then everything safe; then let go of the instruments.

        What breaks in one part is recorded, and the next is done all the same.
        """
        try:
            self._despite(self._end_in_order)
        finally:
            hanging = self._make_safe()
            self._despite(partial(self._let_all_go, hanging))
            self.unkept = self._interlocks.unkept()
            self._leaving.set()
            if self._utc_watch is not None:
                self._utc_watch.join()
            assert self._end is not None
            self._record(
                "status",
                {"status": str(self._end.status), "reason": self._end.reason, "person": self._end.person},
                urgent=True,
            )

    def _end_in_order(self) -> None:
        """Teardown and safe state after a normal end or a person's stop; else the bench has gone safe already."""
        assert self._end is not None
        if self._end.status not in (Status.COMPLETED, Status.ABORTED) or self._safety.cause is not None:
            return
        if self._interlocks.latched or self._safety.held:
            self._tell("warning", "the teardown was left out: an interlock holds the bench")
        elif self._begun:
            self._tear_down()
        if self._safety.cause is None:
            self._safety.go_safe(self._stopped_in)

    def _tear_down(self) -> None:
        """The procedure's last steps; whoever stopped the run cannot stop these, an interlock can."""
        self._tearing_down = True
        try:
            for step in self._procedure.teardown():
                self._undo(step)
        except Exception as error:  # noqa: BLE001  # a procedure that breaks must not keep the bench from going safe
            self._keep_traceback(error)
            self._tell("error", f"the teardown broke off: {type(error).__name__}: {error}")

    def _undo(self, step: Step) -> None:
        """Do a step of the teardown, and record what became of it."""
        begun = self._clock.now()
        said = "done"
        try:
            self._executor.do(step)
        except (Halted, SafeStateLatchedError) as error:
            said = f"not done: {error}"
        except Exception as error:  # noqa: BLE001  # one step that breaks must not keep the bench from going safe
            said = f"not done: {error}"
            self._tell("error", f"teardown, {step}: {error}")
        took_s = self._clock.now() - begun
        self._record("teardown", {"name": str(step), "outcome": said, "took_s": took_s})

    def _make_safe(self) -> set[str]:
        """Make every instrument safe; returns those that did not answer, all of them where that broke."""
        try:
            return self._safety.make_safe()
        except Exception as error:  # noqa: BLE001  # the run's status must be recorded all the same
            self._broke(error)
            return set(self._opened.instruments)

    def _let_all_go(self, hanging: set[str]) -> None:
        """End the watchdogs, the interlocks and the sampling, and close the instruments but those that hang."""
        self._watchdog.disarm(hanging | self._safety.unsafe)
        self._interlocks.end()
        for sampler in self._samplers.values():
            sampler.end()
        if self._sampling and not self._clock.wait(self._all_ended, self._clock.now() + LET_GO_S):
            self._tell("error", f"{', '.join(sorted(self._sampling))}: no end of sampling within {LET_GO_S:g} s")
        if not self._samplers:
            for sampling in sampled(self._opened).values():
                self._recorder.stream(sampling.stream)  # whoever evaluates finds each channel, with no sample
        for name, instrument in self._opened.instruments.items():
            for note in instrument.take_notes():
                self._tell(note.level, note.text)
            if name not in hanging:
                self._let_go(instrument)

    def _let_go(self, instrument: Instrument) -> None:
        try:
            instrument.close()
        except Exception as error:  # noqa: BLE001  # the run's status must be recorded all the same
            self._tell("error", f'instrument "{instrument.name}" could not be closed: {error}')

    # -- the course of time, for the steps

    def nudge(self) -> None:
        """Have whoever holds look again."""
        self._nudge.set()

    def hold(self, until: float, met: Event) -> None:
        """Wait to the end of a phase, longer by the time for which it was paused; ``met`` ends it earlier."""
        while True:
            self._clock.wait(self._nudge, until)
            until += self._rest()
            if met.is_set() or self._clock.now() >= until:
                return

    def _rest(self) -> float:
        """Wait while the run is paused or held; returns for how long.  Raises Halted when the steps are to end."""
        began = self._clock.now()
        while True:
            self._nudge.clear()  # before looking: whoever sets it has changed the state first
            self._go_on()
            if not self._safety.held and (not self._paused or self._tearing_down):
                rested_s = self._clock.now() - began
                self.rested_s += rested_s
                return rested_s
            self._clock.wait(self._nudge)

    def _go_on(self) -> None:
        """Raises Halted when the steps are to end."""
        if self._safety.cause is not None or (self._end is not None and not self._tearing_down):
            raise Halted("the run is ending")

    # -- for the interlocks

    @property
    def ending(self) -> bool:
        """Whether the steps have ended."""
        return self._tearing_down or self._end is not None

    def stopped(self, cause: str) -> None:
        """An interlock has made the bench safe."""
        self._finish(End(Status.STOPPED_BY_INTERLOCK, cause))

    def failed(self, reason: str) -> None:
        """The bench cannot be brought back from a hold."""
        self._fail(reason)

    # -- small parts

    @contextmanager
    def _disturbed(self, step: Step) -> Iterator[None]:
        """Flag what a balance shows while it is tared."""
        if not isinstance(step, Tare):
            yield
            return
        flagged = self._watch.flag([step.role], self._clock.now())
        try:
            yield
        finally:
            now = self._clock.now()
            flagged.end(now)
            fields = {"channels": list(flagged.channels), "from_s": flagged.from_s, "to_s": now, "why": "tare"}
            self._record("disturbed", fields)

    def _sample(self, name: str, sampler: Sampler) -> None:
        """Body of a sampling worker; its failure makes the bench safe and ends the run."""
        try:
            sampler.run()
        except Exception as error:  # noqa: BLE001  # nobody would see it in a worker
            self._broke(error)
        finally:
            self._sampling.discard(name)
            if not self._sampling:
                self._all_ended.set()

    def _despite(self, part: Callable[[], object]) -> None:
        """Do a part of the run's end; the program's own failure in it must not keep the next from being done."""
        try:
            part()
        except Exception as error:  # noqa: BLE001  # recorded, and the bench goes safe if it is not
            self._broke(error)

    def _broke(self, error: Exception) -> None:
        """The program itself failed."""
        self._keep_traceback(error)
        self._fail(f"{type(error).__name__}: {error}")

    def _keep_traceback(self, error: Exception) -> None:
        self._record("traceback", {"text": "".join(traceback.format_exception(error))})

    def _fail(self, reason: str) -> None:
        self._tell("error", reason)
        end = End(Status.ERROR, reason)
        try:
            self._safety.trip(reason, self.phase, lambda: self._finish(end))
        except Exception as error:  # noqa: BLE001  # each instrument's own safe state comes next, all the same
            self._keep_traceback(error)
            self._tell("error", f"the safe state broke off: {type(error).__name__}: {error}")
        self._finish(end)

    def _finish(self, end: End) -> None:
        """Keep the first end, but an interlock or an error in the teardown after the last step; wake the steps."""
        if self._end is None or (self._end.status is Status.COMPLETED and end.status is not Status.ABORTED):
            self._end = end
            self._nudge.set()

    def _tell(self, level: str, text: str) -> None:
        self._record("event", {"level": level, "text": text})

    def _record(self, kind: str, fields: Mapping[str, Any], *, urgent: bool = False) -> None:
        self._recorder.record(kind, self._clock.now(), fields, urgent=urgent)


def plan(procedure: Procedure) -> Sequence[Step]:
    """The steps as data."""
    return tuple(procedure.steps())
