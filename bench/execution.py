"""What each kind of step does on the bench: the one place where a procedure's words become commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import singledispatchmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench.looks import follow
from bench.needed import capability
from bench.prompts import Prompts, Record
from bench.safety import Safety
from bench.soak import Soak
from bench.station import OpenStation
from bench.watch import Watch
from instruments.capabilities import Confirmation, PressureController, PumpLink
from instruments.clock import Event
from instruments.instrument import Buffered, InstrumentError, Polled
from protocols.procedure import Procedure
from protocols.prompts import Ask, Confirm, VesselChange
from protocols.steps import (
    AwaitSyringe,
    ClearSyringe,
    Condition,
    HaltSyringe,
    Infuse,
    IsolatePressure,
    JudgedPhase,
    MoveValve,
    Phase,
    Program,
    ReadProgram,
    ReadPump,
    ReadSettings,
    ReadSyringe,
    RequestBolus,
    SetPressure,
    SetReservoir,
    SetTemperature,
    SetValve,
    StartDelivery,
    Step,
    StopDelivery,
    SwitchBath,
    Tare,
    VentPressure,
    Withdraw,
)

if TYPE_CHECKING:
    from bench.guard import Change

LOOK_S = 1.0
"""How often a syringe pump is asked whether it stands."""

OUTAGE_S = 60.0
"""A channel that gives no good sample for longer, and for longer than three samples take, has not stayed in a band."""


class Course(Protocol):
    """What the engine lets a step do with the run's time."""

    phase: str
    rested_s: float
    done: str

    @property
    def ending(self) -> bool:
        """Whether the steps have ended and the teardown goes on."""

    def hold(self, until: float, met: Event) -> None:
        """Wait to a clock time, longer by pauses, or until ``met`` is set; raises Halted when the steps are to end."""

    def nudge(self) -> None:
        """Have `hold` look at its event again."""


@dataclass
class Executor:
    """Does steps, one at a time.  Instruments that work through a person (attribute ``operator``) ask by its prompts.

    Parameters
    ----------
    record : (kind, fields) into the run's record.
    procedure, journal : what judges a phase that may end early, and the file in which it looks.
    """

    opened: OpenStation
    roles: Mapping[str, str]
    safety: Safety
    watch: Watch
    course: Course
    record: Record
    procedure: Procedure
    journal: Path
    prompts: Prompts = field(init=False)

    def __post_init__(self) -> None:
        rig = self.opened.rig
        hands = None if rig is None else rig.operator
        course = self.course
        longest_s = self.opened.station.prompts.longest_wait_s
        self.prompts = Prompts(
            self.opened.clock, self.record, course.hold, course.nudge, lambda: course.ending, hands, longest_s
        )
        for instrument in self.opened.instruments.values():
            if hasattr(instrument, "operator"):
                instrument.operator = self.prompts

    @singledispatchmethod
    def do(self, step: Step) -> None:
        """Do one step; raises InstrumentError, SafeStateLatchedError, or Halted when the steps are to end."""
        raise TypeError(f"the engine cannot do {type(step).__name__}")

    @do.register
    def _(self, step: Tare) -> None:
        self.safety.insist()
        self._controlled(step).tare()

    @do.register
    def _(self, step: SetValve) -> None:
        self._valve(step, lambda _: step.on)

    @do.register
    def _(self, step: MoveValve) -> None:
        self._valve(step, lambda normally_open: step.is_open != normally_open)

    @do.register
    def _(self, step: ReadSettings) -> None:
        name = self._target(step.role).partition(".")[0]
        problems = self.opened.instruments[name].probe()
        self.record("settings", {"key": step.key, "instrument": name, "problems": "; ".join(problems)})

    # -- the pump under test

    @do.register
    def _(self, step: Program) -> None:
        self._pump(step, lambda pump: pump.program(step.schedule))

    @do.register
    def _(self, step: StartDelivery) -> None:
        self._pump(step, lambda pump: pump.start())
        self.watch.arm()

    @do.register
    def _(self, step: StopDelivery) -> None:
        self._pump(step, lambda pump: pump.stop())

    @do.register
    def _(self, step: RequestBolus) -> None:
        self._pump(step, lambda pump: pump.bolus(step.volume_ul, step.duration_s, step.kind))

    @do.register
    def _(self, step: ReadPump) -> None:
        pump = self._controlled(step)
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
    def _(self, step: ReadProgram) -> None:
        pump = self._controlled(step)
        self.record("program", {"key": step.key, "schedule": pump.read_back().to_json()})

    @do.register
    def _(self, step: SetReservoir) -> None:
        self.safety.insist()
        counting = self._controlled(step)
        self.record("pump-command", asdict(counting.set_reservoir(step.volume_ul)))

    # -- pressure, syringe, temperature

    @do.register
    def _(self, step: SetPressure) -> None:
        def order(controller: PressureController) -> Confirmation:
            return controller.set_pressure(step.pressure_kpa, step.slew_kpa_per_s)

        self._order(step, order)

    @do.register
    def _(self, step: IsolatePressure) -> None:
        self._order(step, lambda controller: controller.isolate())

    @do.register
    def _(self, step: VentPressure) -> None:
        self._order(step, lambda controller: controller.vent())

    @do.register
    def _(self, step: Infuse) -> None:
        self._order(step, lambda pump: pump.infuse(step.rate_ul_per_h, step.volume_ul))

    @do.register
    def _(self, step: Withdraw) -> None:
        self._order(step, lambda pump: pump.withdraw(step.rate_ul_per_h, step.volume_ul))

    @do.register
    def _(self, step: HaltSyringe) -> None:
        self._order(step, lambda pump: pump.halt())

    @do.register
    def _(self, step: ClearSyringe) -> None:
        self._order(step, lambda pump: pump.clear_counts())

    @do.register
    def _(self, step: AwaitSyringe) -> None:
        syringe = self._controlled(step)
        clock, never = self.opened.clock, self.opened.clock.event()
        latest_s = clock.now() + step.at_most_s
        while (state := syringe.syringe_state()).running != "stopped" and not state.alarm:
            if clock.now() >= latest_s:
                said = (
                    f"is still {state.running} after {step.at_most_s:g} s; its volume or its rate is not what was meant"
                )
                raise InstrumentError(syringe.name, said)
            look_s = min(latest_s, clock.now() + LOOK_S)
            self.course.hold(look_s, never)
            latest_s += max(0.0, clock.now() - look_s)  # pauses
        if state.alarm:
            raise InstrumentError(syringe.name, f'stands with the alarm "{state.alarm}"; see to it and start again')

    @do.register
    def _(self, step: ReadSyringe) -> None:
        syringe = self._controlled(step)
        asked_s = self.opened.clock.now()
        state = syringe.syringe_state()
        times = {"asked_s": asked_s, "answered_s": self.opened.clock.now()}
        self.record("syringe", {"key": step.key, "instrument": syringe.name, **times, **asdict(state)})

    @do.register
    def _(self, step: SetTemperature) -> None:
        self._order(step, lambda bath: bath.set_temperature(step.temperature_degc))

    @do.register
    def _(self, step: SwitchBath) -> None:
        self._order(step, lambda bath: bath.switch(step.on))

    # -- time

    @do.register
    def _(self, step: Phase) -> None:
        met = self.opened.clock.event()

        def reached(t: float, value: float) -> None:
            self.record("condition", {"phase": step.name, "sample_s": t, "value": value})
            met.set()
            self.course.nudge()

        with self._phase(step.name):
            end_watch = None if step.until is None else self.watch.until(step.name, step.until, reached)
            try:
                with self.watch.averaging(step.name):
                    self.course.hold(self.opened.clock.now() + step.most_s, met)
            finally:
                if end_watch is not None:
                    end_watch()

    @do.register
    def _(self, step: JudgedPhase) -> None:
        with self._phase(step.name), self.watch.averaging(step.name):
            follow(step, self.opened.clock, self.course, self.record, self.procedure, self.journal)

    @do.register
    def _(self, step: Condition) -> None:
        clock = self.opened.clock

        def left(change: Change) -> None:
            what = "gave no good sample" if change.state == "lost" else f"was {change.value:.6g}, outside its band"
            text = f'condition "{step.name}": {step.role} {what}; its time begins anew'
            self.record("event", {"level": "warning", "text": text, "phase": step.name, "sample_s": change.t})

        with self._phase(step.name), self.watch.averaging(step.name):
            outage_s = self._outage_s(step.role)
            soak = Soak(self.watch, clock, step, outage_s=outage_s, left=left, nudge=self.course.nudge)
            clock.worker(f"~condition {step.name}", soak.follow)
            try:
                self.course.hold(clock.now() + step.at_most_s, soak.held)
            finally:
                soak.end()
        if soak.held.is_set():
            self.record("condition", {"phase": step.name, "sample_s": soak.since_s, "held_s": step.for_s})
        else:
            text = f'condition "{step.name}" did not hold for {step.for_s:g} s within {step.at_most_s:g} s'
            self.record("event", {"level": "warning", "text": f"{text}; the run goes on", "phase": step.name})

    # -- the person

    @do.register
    def _(self, step: Ask) -> None:
        self.prompts.ask(step.prompt)

    @do.register
    def _(self, step: Confirm) -> None:
        self.prompts.ask(step.prompt)

    @do.register
    def _(self, step: VesselChange) -> None:
        clock = self.opened.clock
        from_s = clock.now()
        flagged = self.watch.flag([step.role], from_s)
        try:
            self.prompts.ask(step.prompt)
            self.course.hold(clock.now() + step.settle_s, clock.event())
        finally:
            flagged.end(clock.now())
            fields = {"channels": list(flagged.channels), "from_s": from_s, "to_s": clock.now(), "why": "vessel-change"}
            self.record("disturbed", fields)

    # -- small parts

    def _target(self, role: str) -> str:
        """What took a role: an instrument, or "instrument.channel", which may be named itself."""
        return self.roles.get(role, role)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self.course.phase = name
        self.record("phase", {"name": name, "state": "begin"})
        try:
            yield
        finally:
            self.record("phase", {"name": name, "state": "end"})
            self.course.phase = ""

    def _valve(self, step: SetValve | MoveValve, energised: Callable[[bool], bool]) -> None:
        """Drive a valve and read it back; ``energised`` says from its position without current whether it gets some."""
        name, _, valve = self._target(step.role).partition(".")
        instrument = self._controlled(step)
        line = getattr(instrument.settings, "valves", {}).get(valve)
        on = energised(getattr(line, "normally", "closed") == "open")
        with self.safety.drive():
            instrument.set_valve(valve, on)
            state = instrument.valves().get(valve)
        self.record("valve", {"valve": f"{name}.{valve}", "asked": on, "read_back": state})
        if state != on:
            raise InstrumentError(name, f'valve "{valve}" reads back {state} after it was set to {on}')

    def _order(self, step: Any, order: Callable[[Any], Confirmation]) -> None:
        """Command what pushes, presses or heats, unless the bench has gone safe.

        It may take a second.  Where the bench goes safe or is held meanwhile, that is done again after it: the order
        may have come to the instrument behind the one that stopped it.
        """
        instrument, name = self._controlled(step), self._target(step.role).partition(".")[0]
        with self.safety.drive(brief=False):
            done = order(instrument)
        self.record("command", {"role": step.role, "instrument": name, **asdict(done)})

    def _outage_s(self, role: str) -> float:
        """How long a channel may give no good sample."""
        instrument, _ = self.opened.channel(self._target(role))
        spacing_s = 0.0
        if isinstance(instrument, Buffered):
            spacing_s = instrument.interval_s
        elif isinstance(instrument, Polled):
            spacing_s = instrument.period_s
        return max(OUTAGE_S, 3.0 * spacing_s)

    def _pump(self, step: Any, command: Callable[[PumpLink], Confirmation]) -> None:
        self.safety.insist()
        done = command(self._controlled(step))
        self.record("pump-command", asdict(done))

    def _controlled(self, step: Any) -> Any:
        """The instrument in a step's role, which can be commanded as the step needs; raises InstrumentError."""
        role, needed = step.role, capability(step)
        name = self._target(role).partition(".")[0]
        instrument = self.opened.instruments[name]
        if needed is not None and not isinstance(instrument, needed):
            raise InstrumentError(name, f'cannot take the role "{role}": it is no {needed.__name__}')
        return instrument
