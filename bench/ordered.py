"""Steps that must be done in an order, each within its time: the station's safe state, and its hold.

One that fails or hangs never keeps the next from being done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bench.protection import SafeStep
from bench.station import OpenStation
from instruments.capabilities import PressureController, SyringePump, TemperatureBath, Valve
from instruments.clock import Clock, Event
from instruments.instrument import Instrument, InstrumentError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step.

    Attributes
    ----------
    step : which one.
    what : a sentence; says so where it is not confirmed.
    confirmed : whether the instrument said, or read back, that it is so.
    took_s : how long it took.
    before : how a valve stood, where that was asked for and answered.
    later : is set when a step that did not answer in time has ended, and was told; None for one that did.
    """

    step: SafeStep
    what: str
    confirmed: bool
    took_s: float = 0.0
    before: bool | None = None
    later: Event | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """When the steps of a safe state were done, by the clock.

    Attributes
    ----------
    first_s : the first one that did something.
    last_s : the last one; None where one of them was not confirmed, or there is none.
    """

    first_s: float
    last_s: float | None


def steps_for(phase: str, steps: Sequence[SafeStep]) -> list[SafeStep]:
    """The steps for a phase: its own list, or else those that belong to no phase."""
    own = [step for step in steps if phase in step.phases]
    return own or [step for step in steps if not step.phases]


def do(
    opened: OpenStation, steps: Iterable[SafeStep], told: Callable[[Outcome], None], *, look_first: bool = False
) -> Iterator[Outcome]:
    """Do steps one after the other, each in a worker of its own, and yield each outcome.

    A step that takes longer than it may is not confirmed and the next one goes on; what it says later is told.

    Parameters
    ----------
    look_first : ask how a valve stands before it is moved.
    """
    clock = opened.clock
    hanging: set[str] = set()  # whoever did not answer one step is not waited for at the next
    for step in steps:
        begun = clock.now()
        if step.wait_s is not None:
            clock.sleep(step.wait_s)
            yield Outcome(step, f"waited {step.wait_s:g} s", True, clock.now() - begun)
            continue
        attempt = _Attempt(step, opened.instruments, look_first)
        done = clock.event()
        at_work(clock, f"safe step {step.target}", partial(attempt.run, done.set, told))
        if not clock.wait(done, begun + (0.0 if step.instrument_name in hanging else step.within_s)):
            attempt.late = True  # before looking: it tells whatever it says after that
        outcome = attempt.outcome
        if outcome is None:
            hanging.add(step.instrument_name)
            what = f"{step.said}: not confirmed, no answer within {step.within_s:g} s"
            outcome = Outcome(step, what, False, later=done)
        yield replace(outcome, took_s=clock.now() - begun)


def at_work(clock: Clock, name: str, work: Callable[[], object]) -> None:
    """Have a worker do what makes the bench safe or ends a hold; where the computer can start none, it is done here."""
    try:
        clock.worker(name, work)
    except Exception:  # noqa: BLE001  # no memory, no thread: one that hangs now keeps the next from being done
        work()


def driven(opened: OpenStation, steps: Sequence[SafeStep]) -> Iterator[tuple[str, str]]:
    """What is driven although the steps, or an instrument's own safe state, would end that; raises InstrumentError.

    Yields each instrument's name, and how it stands.
    """
    states: dict[str, dict[str, bool]] = {}
    for step in steps:
        instrument = opened.instruments.get(step.instrument_name)
        if step.valve is not None and isinstance(instrument, Valve):
            name = step.instrument_name
            states[name] = states[name] if name in states else instrument.valves()
            if states[name].get(step.valve.partition(".")[2]) and not step.on:
                yield name, f"valve {step.valve} is energised"
    for name, instrument in opened.instruments.items():
        if isinstance(instrument, SyringePump):
            if (motion := instrument.syringe_state().running) != "stopped":
                yield name, f"{name} is {motion}"
        elif isinstance(instrument, PressureController):
            state = instrument.pressure_state()
            if state.mode == "control":
                yield name, f"{name} regulates to {state.setpoint_kpa:g} kPa"


class _Attempt:
    """One step, in a worker that may hang."""

    def __init__(self, step: SafeStep, instruments: Mapping[str, Instrument], look_first: bool) -> None:
        self.step = step
        self.outcome: Outcome | None = None
        self.late = False
        self._instrument = instruments[step.instrument_name]
        self._look_first = look_first

    def run(self, done: Callable[[], None], told: Callable[[Outcome], None]) -> None:
        said, before = self.step.said, self._before()
        try:
            wrong = _command(self.step, self._instrument)
        except Exception as error:  # noqa: BLE001  # whatever breaks, the next step must still be done
            wrong = reason(error)
        what = f"{said}: not confirmed, {wrong}" if wrong else said
        self.outcome = outcome = Outcome(self.step, what, not wrong, before=before)
        if self.late:
            told(replace(outcome, what=f"{what}, late"))
        done()

    def _before(self) -> bool | None:
        if not (self._look_first and self.step.valve is not None and isinstance(self._instrument, Valve)):
            return None
        with contextlib.suppress(Exception):  # then it is not known; the step comes first
            return self._instrument.valves().get(self.step.valve.partition(".")[2])
        return None


def _command(step: SafeStep, instrument: Instrument) -> str:
    """Do one step; returns "", or what speaks against its having been done."""
    if step.valve is not None:
        name = step.valve.partition(".")[2]
        if not isinstance(instrument, Valve):
            raise InstrumentError(instrument.name, "drives no valves")
        instrument.set_valve(name, bool(step.on))
        return "" if instrument.valves().get(name) == step.on else "it reads back otherwise"
    done = True
    if step.do == "halt" and isinstance(instrument, SyringePump):
        instrument.halt()
        done = instrument.syringe_state().running == "stopped"
    elif step.do in ("vent", "isolate") and isinstance(instrument, PressureController):
        wanted = "vent" if step.do == "vent" else "measure"
        instrument.vent() if step.do == "vent" else instrument.isolate()
        done = instrument.pressure_state().mode == wanted
    elif step.do == "off" and isinstance(instrument, TemperatureBath):
        instrument.switch(False)
        done = not instrument.bath_state().on
    elif step.do != "keep":
        raise InstrumentError(instrument.name, f"cannot {step.do}")
    return "" if done else "it says otherwise"


def reason(error: Exception) -> str:
    """What an error says to a person."""
    return str(error) if isinstance(error, InstrumentError) else f"{type(error).__name__}: {error}"
