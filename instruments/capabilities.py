"""What can be commanded.  What is only measured is a channel, not a capability."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from data.schedule import Schedule


@runtime_checkable
class Tareable(Protocol):
    """A balance that can be set to zero with its load."""

    def tare(self) -> None:
        """Take the present load as zero; raises InstrumentReplyError when the instrument refuses."""


@runtime_checkable
class Valve(Protocol):
    """Digital outputs that move valves, by name."""

    def set_valve(self, name: str, on: bool) -> None:
        """Energise or release one valve; raises KeyError for an unknown name."""

    def valves(self) -> dict[str, bool]:
        """State of every valve as read back."""


@runtime_checkable
class Lamps(Protocol):
    """Digital outputs of which some light a lamp: no valves, no part of what is made safe, and in nobody's way."""

    def set_apart(self, names: Collection[str]) -> None:
        """Take these outputs for lamps, before the instrument is opened; raises KeyError for an unknown name."""

    def light(self, lit: Mapping[str, bool]) -> None:
        """Switch lamps."""

    def leave_lamps(self) -> None:
        """Let go of the lamps, which stay as they are; closing the instrument does not."""


@dataclass(frozen=True, slots=True)
class PumpStatus:
    """What a pump reports of itself."""

    running: bool
    mode: str
    delivered_ul: float  # by its own count since programming
    reservoir_ul: float  # by its own calculation
    alarms: tuple[str, ...]
    clock_s: float  # its own clock, seconds of day 0 of its calendar


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A command to the pump with the moments at which it was issued and confirmed, and what came back."""

    command: str
    reply: str
    issued_s: float
    confirmed_s: float


@runtime_checkable
class PumpLink(Protocol):
    """What programs the pump under test."""

    def program(self, schedule: Schedule) -> Confirmation:
        """Program a schedule and read it back; raises InstrumentReplyError when the read-back differs."""

    def start(self) -> Confirmation:
        """Start the programmed delivery."""

    def stop(self) -> Confirmation:
        """Stop delivery."""

    def bolus(self, volume_ul: float, duration_s: float, kind: str = "single") -> Confirmation:
        """Deliver one bolus (kind "single", "patient" or "priming"); a refusal is a reply, not an error."""

    def status(self) -> PumpStatus:
        """State, counts and alarms."""

    def read_back(self) -> Schedule:
        """The schedule that the pump holds."""

    def log(self) -> tuple[str, ...]:
        """The pump's own event log."""


@runtime_checkable
class ReservoirCount(Protocol):
    """A pump that counts what is left in its reservoir, from what it was told at the last refill."""

    def set_reservoir(self, volume_ul: float) -> Confirmation:
        """Tell it what the reservoir holds now; raises InstrumentRefusal when the pump takes no such volume."""


@dataclass(frozen=True, slots=True)
class PressureState:
    """What a pressure controller does: regulates to a set point, only measures (shut off), or is open to ambient."""

    mode: Literal["control", "measure", "vent"]
    setpoint_kpa: float  # gauge


@runtime_checkable
class PressureController(Protocol):
    """A controller that holds a gas pressure."""

    def set_pressure(self, pressure_kpa: float, slew_kpa_per_s: float | None = None) -> Confirmation:
        """Regulate to a gauge pressure, at most so fast (None: as its settings say); reads the set point back.

        Raises InstrumentRefusal when the pressure is outside the instrument's range.
        """

    def isolate(self) -> Confirmation:
        """Cease to regulate and stay shut: it measures only."""

    def vent(self) -> Confirmation:
        """Open to ambient and cease to regulate."""

    def pressure_state(self) -> PressureState:
        """What it does, as read back."""


@dataclass(frozen=True, slots=True)
class SyringeState:
    """What a syringe pump does and has done since its counts were cleared, by its own count."""

    running: Literal["infusing", "withdrawing", "stopped"]
    infused_ul: float
    withdrawn_ul: float
    alarm: str = ""  # "", or the instrument's word for it: stall, time-out, reset ...


@runtime_checkable
class SyringePump(Protocol):
    """A motor that moves a syringe.  Its largest rate is capped by its settings (``max_rate_ul_per_h``)."""

    max_rate_ul_per_h: float
    """Fastest rate that the station allows; a faster one is refused before anything is sent."""

    def infuse(self, rate_ul_per_h: float, volume_ul: float | None = None) -> Confirmation:
        """Push at a rate, for a volume or until it is halted; counts go on from where they are."""

    def withdraw(self, rate_ul_per_h: float, volume_ul: float | None = None) -> Confirmation:
        """Draw at a rate, for a volume or until it is halted."""

    def halt(self) -> Confirmation:
        """Stop the motor; returns once the instrument says that it stands."""

    def clear_counts(self) -> Confirmation:
        """Set both counts to zero; the motor must stand."""

    def syringe_state(self) -> SyringeState:
        """Motion, counts and alarm."""


@dataclass(frozen=True, slots=True)
class BathState:
    """What a bath says of itself."""

    on: bool
    setpoint_degc: float
    alarm: str = ""


@runtime_checkable
class TemperatureBath(Protocol):
    """A circulator that holds the temperature of the pump under test."""

    def set_temperature(self, temperature_degc: float) -> Confirmation:
        """Change the set point and read it back; raises InstrumentRefusal when it is out of range."""

    def switch(self, on: bool) -> Confirmation:
        """Start or stop the circulation and its control."""

    def bath_state(self) -> BathState:
        """Whether it runs, its set point, its alarm."""


# --------------------------------------------------------------------------------------------------- the operator


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question or an instruction to the person at the bench.

    Attributes
    ----------
    key : name of the answer in the record; unique in a run.
    action : what is to be done, one of the words that a simulated operator knows ("place-weight"); "" for a question.
    text : the whole sentence that the person reads.
    kind : "confirm" is answered by "done", "number" by a value in ``unit``, "text" by words.
    low, high : limits of a number, in ``unit``; an answer outside is refused and asked again.
    choices : the only words that a text may be; empty for free text.
    second_person : another named person must give the same answer independently.
    details : numbers and words that the action needs (such as {"mass_mg": 20000.0}); shown to the person too.
    picture : file name of a drawing that belongs to the procedure; "" for none.
    """

    key: str
    action: str
    text: str
    kind: Literal["confirm", "number", "text"] = "confirm"
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    second_person: bool = False
    details: tuple[tuple[str, float | str], ...] = ()
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person answered: "done", a number in the prompt's unit, or words; and who said so, when."""

    key: str
    value: float | str
    person: str
    answered_s: float
    second_person: str = ""
    source: str = ""  # terminal, file, window, simulated-operator


class Operator(Protocol):
    """Whoever answers prompts.  An engine gives one to each instrument that needs a person's hands."""

    def ask(self, prompt: Prompt) -> Answer:
        """Ask and wait on the clock for the answer; raises whatever ends the run meanwhile."""


# ------------------------------------------------------------------------------------------------ a silent host


@runtime_checkable
class HostWatched(Protocol):
    """An instrument whose outputs go safe by themselves when the host falls silent."""

    @property
    def watchdog_period_s(self) -> float | None:
        """Longest time between two feeds; None where the station gives it no watchdog."""

    def arm_watchdog(self) -> None:
        """Begin to count, before acquisition starts; raises InstrumentError when the hardware cannot."""

    def feed_watchdog(self) -> None:
        """Begin to count anew: one short call; raises InstrumentRefusal when it is too late."""

    def disarm_watchdog(self) -> None:
        """Stop counting and leave the outputs as they are; one that has fired stays so."""

    def clear_watchdog(self) -> str:
        """End what a watchdog that fired has locked, by a person's decision; says how the outputs are now."""
