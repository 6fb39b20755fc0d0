"""The engine: opens the instruments, samples them, executes a procedure's steps, and goes safe whatever fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import singledispatchmethod
from typing import Any, cast

from bench.recorder import Recorder
from bench.safety import SafeStateLatchedError, Safety
from bench.sampler import Guard, Sampler, Tally
from bench.station import OpenStation, sampled
from data.checks import Status
from instruments.capabilities import Confirmation, PumpLink, Tareable, Valve
from instruments.clock import Event, Worker
from instruments.instrument import InstrumentError
from protocols.interlock import Interlock
from protocols.procedure import Procedure
from protocols.steps import (
    Level,
    Phase,
    Program,
    ReadPump,
    SetValve,
    StartDelivery,
    Step,
    StopDelivery,
    Tare,
)


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
    ) -> None:
        self._opened = opened
        self._clock = opened.clock
        self._procedure = procedure
        self._roles = dict(roles)
        self._recorder = recorder
        self._person = person
        self._longest_block_s = longest_block_s
        self._safety = Safety(opened, lambda kind, fields: self._record(kind, fields, urgent=True))
        self._end: End | None = None
        self._nudge: Event = self._clock.event()  # wakes the steps: stop, pause, resume, a condition met
        self._paused = False
        self._samplers: dict[str, Sampler] = {}
        self._workers: list[Worker] = []
        self._stop_sampling = self._clock.event()
        self.steps = plan(procedure)
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._delivering = False
        self.phase: str = ""

    # -- commands; from the clock's own thread (others use clock.post)

    def stop(self, person: str, reason: str) -> None:
        """Stop the run in order: the teardown is done, then everything is made safe."""
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

    # -- the run

    def run(self) -> End:
        """Execute the procedure; returns how it ended and leaves the hardware safe."""
        try:
            self._open()
            self._start_sampling()
            self._execute(self.steps)
            self._finish(End(Status.COMPLETED, "all steps done"))
        except (Halted, SafeStateLatchedError):
            pass
        except InstrumentError as error:
            self._fail(str(error))
        except BaseException as error:
            self._fail(f"{type(error).__name__}: {error}")
            raise
        finally:
            self._leave()
        assert self._end is not None
        return self._end

    def _open(self) -> None:
        for name, instrument in self._opened.instruments.items():
            instrument.open()
            self._record("identity", {"instrument": name, **asdict(instrument.identify())})
            for problem in instrument.probe():
                self._tell("warning", f"{name}: {problem}")

    def _start_sampling(self) -> None:
        interlocks = [*self._opened.interlocks, *self._procedure.interlocks()]
        for name, instrument in sampled(self._opened).items():
            self._samplers[name] = Sampler(
                instrument,
                self._clock,
                self._recorder,
                self._stop_sampling,
                self._tell,
                min(self._longest_block_s, self._clock.block_s),
            )
        for interlock in interlocks:
            self._guard(interlock, self._crossed)
        for name, sampler in self._samplers.items():
            self._workers.append(self._clock.worker(name, self._watched(sampler.run)))

    def _execute(self, steps: Iterable[Step]) -> None:
        for index, step in enumerate(steps):
            if self._end is not None:
                raise Halted
            begun = self._clock.now()
            self._record("step", {"index": index, "name": str(step), "state": "begin"})
            self._do(step)
            self._record(
                "step", {"index": index, "name": str(step), "state": "end", "took_s": self._clock.now() - begun}
            )

    def _leave(self) -> None:
        """Teardown after a normal end or a person's stop; then everything safe; then let go of the instruments."""
        assert self._end is not None
        if self._end.status in (Status.COMPLETED, Status.ABORTED) and self._safety.cause is None:
            for step in self._procedure.teardown():
                try:
                    self._do(step)
                except (InstrumentError, SafeStateLatchedError, Halted) as error:
                    self._tell("error", f"teardown, {step}: {error}")
            self._safety.safe_valves()
        self._safety.make_safe()
        self._stop_sampling.set()
        for worker in self._workers:
            worker.join()
        for instrument in self._opened.instruments.values():
            for note in instrument.take_notes():
                self._tell(note.level, note.text)
            instrument.close()
        for t, step_s in self._clock.steps():
            self._tell("warning", f"the computer's clock was stepped by {step_s:.1f} s at {t:.1f} s of the run")
        self._record(
            "status",
            {"status": str(self._end.status), "reason": self._end.reason, "person": self._end.person},
            urgent=True,
        )

    # -- steps

    @singledispatchmethod
    def _do(self, step: Step) -> None:
        raise TypeError(f"the engine cannot do {type(step).__name__}")

    @_do.register
    def _(self, step: Tare) -> None:
        with self._safety.drive():
            self._controlled(step.role, Tareable).tare()

    @_do.register
    def _(self, step: SetValve) -> None:
        name, _, valve = self._roles[step.role].partition(".")
        instrument = self._opened.instruments[name]
        with self._safety.drive():
            cast(Valve, instrument).set_valve(valve, step.on)
            state = cast(Valve, instrument).valves().get(valve)
        self._record("valve", {"valve": f"{name}.{valve}", "asked": step.on, "read_back": state})
        if state != step.on:
            raise InstrumentError(name, f'valve "{valve}" reads back {state} after it was set to {step.on}')

    @_do.register
    def _(self, step: Program) -> None:
        self._pump(step.role, lambda pump: pump.program(step.schedule))

    @_do.register
    def _(self, step: StartDelivery) -> None:
        self._pump(step.role, lambda pump: pump.start())
        self._delivering = True
        for sampler in self._samplers.values():
            for guard in sampler.guards:
                guard.armed = True

    @_do.register
    def _(self, step: StopDelivery) -> None:
        self._pump(step.role, lambda pump: pump.stop())

    @_do.register
    def _(self, step: ReadPump) -> None:
        pump = self._controlled(step.role, PumpLink)
        asked = self._clock.now()
        status = pump.status()
        answered = self._clock.now()
        self._record(
            "pump",
            {
                "key": step.key,
                "asked_s": asked,
                "answered_s": answered,
                **asdict(status),
                "alarms": list(status.alarms),
                "log": list(pump.log()),
            },
        )

    @_do.register
    def _(self, step: Phase) -> None:
        self.phase = step.name
        self._record("phase", {"name": step.name, "state": "begin"})
        met = self._clock.event()
        guard = self._watch(step, met) if step.until is not None else None
        end_tallies = self._begin_tallies(step.name)
        try:
            self._hold(self._clock.now() + step.most_s, met)
        finally:
            end_tallies()
            if guard is not None:
                guard[0].guards.remove(guard[1])
            self._record("phase", {"name": step.name, "state": "end"})
            self.phase = ""

    def _hold(self, until: float, met: Event) -> None:
        """Wait to the end of a phase, longer by the time for which it was paused."""
        while True:
            self._clock.wait(self._nudge, until)
            self._nudge.clear()
            if self._end is not None:
                raise Halted
            if self._paused:
                held = self._clock.now()
                while self._paused and self._end is None:
                    self._clock.wait(self._nudge)
                    self._nudge.clear()
                until += self._clock.now() - held
                if self._end is not None:
                    raise Halted
            if met.is_set() or self._clock.now() >= until:
                return

    # -- guards

    def _guard(
        self, interlock: Interlock, on_crossing: Callable[[Interlock, float, float], None]
    ) -> tuple[Sampler, Guard]:
        target = self._roles.get(interlock.channel, interlock.channel)
        instrument, channel = self._opened.channel(target)
        calibration = self._opened.calibration(target)
        if calibration is not None:
            # The limit holds for the true value; the samples are indications.
            low, high = (
                None if limit is None else limit / calibration.gain - calibration.offset
                for limit in (interlock.low, interlock.high)
            )
            interlock = Interlock(**{**asdict(interlock), "low": low, "high": high})
        column = list(instrument.channels).index(channel)
        armed = interlock.armed == "always" or self._delivering
        guard = Guard(interlock, column, on_crossing, armed=armed, last_good_s=self._clock.now())
        sampler = self._samplers[instrument.name]
        sampler.guards.append(guard)
        return sampler, guard

    def _watch(self, step: Phase, met: Event) -> tuple[Sampler, Guard]:
        """Guard for the condition that a phase waits for."""
        level = cast(Level, step.until)
        offset = self._phase_mean(level.relative_to, level.role) if level.relative_to else 0.0
        limit = level.value + offset
        low, high = (None, limit) if level.side == "above" else (limit, None)

        def reached(_: Interlock, t: float, value: float) -> None:
            self._record("condition", {"phase": step.name, "t": t, "value": value})
            met.set()
            self._nudge.set()

        return self._guard(Interlock(f"until {step.name}", level.role, low, high, "log"), reached)

    def _phase_mean(self, phase: str, role: str) -> float:
        tally = self._tallies.get((phase, role))
        if tally is None or tally.count == 0:
            raise InstrumentError(self._roles[role], f'no good sample in phase "{phase}" to compare with')
        return tally.total / tally.count

    def _begin_tallies(self, phase: str) -> Callable[[], None]:
        """Take the means that a later step compares with; returns what ends it."""
        begun: list[tuple[Sampler, Tally]] = []
        for step in self.steps:
            level = step.until if isinstance(step, Phase) else None
            if level is not None and level.relative_to == phase:
                instrument, channel = self._opened.channel(self._roles.get(level.role, level.role))
                tally = Tally(list(instrument.channels).index(channel))
                self._tallies[(phase, level.role)] = tally
                self._samplers[instrument.name].tallies.append(tally)
                begun.append((self._samplers[instrument.name], tally))

        def end() -> None:
            for sampler, tally in begun:
                sampler.tallies.remove(tally)

        return end

    def _crossed(self, interlock: Interlock, t: float, value: float) -> None:
        """An interlock's channel left its band; called in the sampling worker, before anything is recorded."""
        lost = math.isnan(value)
        what = (
            f"{interlock.channel} gave no good sample for {interlock.max_outage_s:g} s"
            if lost
            else f"{interlock.channel} was {value:.6g}, outside {_band(interlock)}"
        )
        cause = f'interlock "{interlock.name}": {what}'
        if interlock.action == "stop":
            self._safety.trip(cause)
            self._finish(End(Status.STOPPED_BY_INTERLOCK, cause))
        fields = {
            "name": interlock.name,
            "channel": interlock.channel,
            "action": interlock.action,
            "value": None if lost else value,
            "sample_s": t,
            "text": cause,
        }
        self._record("interlock", fields, urgent=interlock.action == "stop")

    # -- small parts

    def _pump(self, role: str, command: Callable[[PumpLink], Confirmation]) -> None:
        with self._safety.drive():
            done = command(self._controlled(role, PumpLink))
        self._record("pump-command", asdict(done))

    def _controlled(self, role: str, capability: type[Any]) -> Any:
        name = self._roles[role].partition(".")[0]
        instrument = self._opened.instruments[name]
        if not isinstance(instrument, capability):
            raise InstrumentError(name, f'cannot take the role "{role}": it is no {capability.__name__}')
        return instrument

    def _watched(self, body: Callable[[], None]) -> Callable[[], None]:
        """A worker's body whose failure makes the bench safe and ends the run."""

        def run() -> None:
            try:
                body()
            except BaseException as error:
                self._fail(f"{type(error).__name__}: {error}")
                raise

        return run

    def _fail(self, reason: str) -> None:
        self._tell("error", reason)
        self._safety.trip(reason)
        self._finish(End(Status.ERROR, reason))

    def _finish(self, end: End) -> None:
        """Keep the first end; wake the steps."""
        if self._end is None:
            self._end = end
            self._nudge.set()

    def _tell(self, level: str, text: str) -> None:
        self._record("event", {"level": level, "text": text})

    def _record(self, kind: str, fields: Mapping[str, Any], *, urgent: bool = False) -> None:
        self._recorder.record(kind, self._clock.now(), fields, urgent=urgent)


def _band(interlock: Interlock) -> str:
    low = "-inf" if interlock.low is None else f"{interlock.low:g}"
    high = "inf" if interlock.high is None else f"{interlock.high:g}"
    return f"{low} to {high}"


def plan(procedure: Procedure) -> Sequence[Step]:
    """The steps as data."""
    return tuple(procedure.steps())
