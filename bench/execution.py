"""What each kind of step does on the bench: the one place where a procedure's words become commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import singledispatchmethod
from typing import Any, Protocol, cast

from bench.safety import Safety
from bench.station import OpenStation
from bench.watch import Watch
from instruments.capabilities import Confirmation, PumpLink, Tareable, Valve
from instruments.clock import Event
from instruments.instrument import InstrumentError
from protocols.steps import (
    Phase,
    Program,
    ReadPump,
    SetValve,
    StartDelivery,
    Step,
    StopDelivery,
    Tare,
)

Record = Callable[[str, Mapping[str, Any]], None]


class Course(Protocol):
    """What the engine lets a step do with the run's time."""

    phase: str

    def hold(self, until: float, met: Event) -> None:
        """Wait to a clock time, longer by pauses, or until ``met`` is set; raises Halted when the steps are to end."""

    def nudge(self) -> None:
        """Have `hold` look at its event again."""


@dataclass
class Executor:
    """Does steps, one at a time.

    Parameters
    ----------
    record : (kind, fields) into the run's record.
    """

    opened: OpenStation
    roles: Mapping[str, str]
    safety: Safety
    watch: Watch
    course: Course
    record: Record

    @singledispatchmethod
    def do(self, step: Step) -> None:
        """Do one step; raises InstrumentError, SafeStateLatchedError, or Halted when the steps are to end."""
        raise TypeError(f"the engine cannot do {type(step).__name__}")

    @do.register
    def _(self, step: Tare) -> None:
        self.safety.insist()
        self._controlled(step.role, Tareable).tare()

    @do.register
    def _(self, step: SetValve) -> None:
        name, _, valve = self.roles[step.role].partition(".")
        instrument = self.opened.instruments[name]
        with self.safety.drive():
            cast(Valve, instrument).set_valve(valve, step.on)
            state = cast(Valve, instrument).valves().get(valve)
        self.record("valve", {"valve": f"{name}.{valve}", "asked": step.on, "read_back": state})
        if state != step.on:
            raise InstrumentError(name, f'valve "{valve}" reads back {state} after it was set to {step.on}')

    @do.register
    def _(self, step: Program) -> None:
        self._pump(step.role, lambda pump: pump.program(step.schedule))

    @do.register
    def _(self, step: StartDelivery) -> None:
        self._pump(step.role, lambda pump: pump.start())
        self.watch.arm()

    @do.register
    def _(self, step: StopDelivery) -> None:
        self._pump(step.role, lambda pump: pump.stop())

    @do.register
    def _(self, step: ReadPump) -> None:
        pump = self._controlled(step.role, PumpLink)
        asked = self.opened.clock.now()
        status = pump.status()
        answered = self.opened.clock.now()
        self.record(
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

    @do.register
    def _(self, step: Phase) -> None:
        self.course.phase = step.name
        self.record("phase", {"name": step.name, "state": "begin"})
        met = self.opened.clock.event()

        def reached(t: float, value: float) -> None:
            self.record("condition", {"phase": step.name, "sample_s": t, "value": value})
            met.set()
            self.course.nudge()

        end_watch = None if step.until is None else self.watch.until(step.name, step.until, reached)
        try:
            with self.watch.averaging(step.name):
                self.course.hold(self.opened.clock.now() + step.most_s, met)
        finally:
            if end_watch is not None:
                end_watch()
            self.record("phase", {"name": step.name, "state": "end"})
            self.course.phase = ""

    # -- small parts

    def _pump(self, role: str, command: Callable[[PumpLink], Confirmation]) -> None:
        self.safety.insist()
        done = command(self._controlled(role, PumpLink))
        self.record("pump-command", asdict(done))

    def _controlled(self, role: str, capability: type[Any]) -> Any:
        name = self.roles[role].partition(".")[0]
        instrument = self.opened.instruments[name]
        if not isinstance(instrument, capability):
            raise InstrumentError(name, f'cannot take the role "{role}": it is no {capability.__name__}')
        return instrument
