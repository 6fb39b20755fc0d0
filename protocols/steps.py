"""What a procedure asks of the engine: typed steps.  A list of them is data; it can be shown, timed and checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from data.schedule import Schedule

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Level:
    """A condition on the latest good value of a channel."""

    role: str
    value: float
    side: Literal["above", "below"]
    relative_to: str | None = None  # a phase: the value counts from the channel's mean in it

    def met(self, value: float, reference: float = 0.0) -> bool:
        """Whether a value, less its reference, is on the side asked for."""
        return value - reference > self.value if self.side == "above" else value - reference < self.value


def above(role: str, value: float, relative_to: str | None = None) -> Level:
    """Condition that a channel is above a value in its own unit."""
    return Level(role, value, "above", relative_to)


def below(role: str, value: float, relative_to: str | None = None) -> Level:
    """Condition that a channel is below a value in its own unit."""
    return Level(role, value, "below", relative_to)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.  Subclasses are frozen, so equal parameters give equal steps."""

    @property
    def least_s(self) -> float:
        """Shortest time that the step takes."""
        return 0.0

    @property
    def most_s(self) -> float:
        """Longest time that the step takes."""
        return self.least_s

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles, or "instrument.channel", without which the step cannot be done."""
        return (str(self.role),) if hasattr(self, "role") else ()

    def __str__(self) -> str:
        words = [str(getattr(self, item.name)) for item in fields(self) if getattr(self, item.name) not in (None, ())]
        return " ".join([type(self).__name__, *words])

    def to_json(self) -> Json:
        """Kind and fields, for the journal."""
        json: Json = {"step": type(self).__name__}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Schedule):
                value = value.to_json()
            elif isinstance(value, Level):
                value = {part.name: getattr(value, part.name) for part in fields(value)}
            json[item.name] = value
        return json


@dataclass(frozen=True, slots=True)
class Tare(Step):
    """Set a balance to zero with its load."""

    role: str


@dataclass(frozen=True, slots=True)
class Program(Step):
    """Program the pump under test and read the schedule back."""

    role: str
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class StartDelivery(Step):
    """Start the programmed delivery; moment zero of the schedule."""

    role: str


@dataclass(frozen=True, slots=True)
class StopDelivery(Step):
    """Stop the pump under test."""

    role: str


@dataclass(frozen=True, slots=True)
class ReadPump(Step):
    """Ask the pump for its state, counts, alarms, clock and log, and keep the answer."""

    role: str
    key: str


@dataclass(frozen=True, slots=True)
class ReadProgram(Step):
    """Ask the pump for the program that it holds, and keep it under a key."""

    role: str
    key: str


@dataclass(frozen=True, slots=True)
class SetReservoir(Step):
    """Tell the pump what its reservoir holds after a refill; its count goes down from there."""

    role: str
    volume_ul: float


@dataclass(frozen=True, slots=True)
class SetValve(Step):
    """Energise or release a valve."""

    role: str
    on: bool


@dataclass(frozen=True, slots=True)
class MoveValve(Step):
    """Open or close a valve, whichever of the two needs current."""

    role: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class RequestBolus(Step):
    """Ask the pump for a bolus; what it answers, a refusal too, is recorded."""

    role: str
    volume_ul: float
    duration_s: float
    kind: Literal["single", "patient", "priming"] = "single"


@dataclass(frozen=True, slots=True)
class ReadSettings(Step):
    """Ask an instrument what keeps it from being ready, and keep the answer under a key."""

    role: str
    key: str


# --------------------------------------------------------------------------------- pressure, syringe, temperature


@dataclass(frozen=True, slots=True)
class SetPressure(Step):
    """Let a pressure controller regulate to a gauge pressure, at most so fast; it is reached in a later phase."""

    role: str
    pressure_kpa: float
    slew_kpa_per_s: float | None = None  # None: as the instrument's settings say


@dataclass(frozen=True, slots=True)
class IsolatePressure(Step):
    """Let a pressure controller cease to regulate and stay shut."""

    role: str


@dataclass(frozen=True, slots=True)
class VentPressure(Step):
    """Let a pressure controller open to ambient."""

    role: str


@dataclass(frozen=True, slots=True)
class Infuse(Step):
    """Start to push at a rate, for a volume or until it is halted; the next step begins at once."""

    role: str
    rate_ul_per_h: float
    volume_ul: float | None = None


@dataclass(frozen=True, slots=True)
class Withdraw(Step):
    """Start to draw at a rate, for a volume or until it is halted; the next step begins at once."""

    role: str
    rate_ul_per_h: float
    volume_ul: float | None = None


@dataclass(frozen=True, slots=True)
class AwaitSyringe(Step):
    """Wait until a syringe pump has moved its volume and stands; an alarm, or no end in time, ends the run."""

    role: str
    at_most_s: float

    @property
    def most_s(self) -> float:
        """The longest wait."""
        return self.at_most_s


@dataclass(frozen=True, slots=True)
class HaltSyringe(Step):
    """Stop a syringe pump."""

    role: str


@dataclass(frozen=True, slots=True)
class ClearSyringe(Step):
    """Set the counts of a syringe pump to zero; it must stand."""

    role: str


@dataclass(frozen=True, slots=True)
class ReadSyringe(Step):
    """Ask a syringe pump for its motion, counts and alarm, and keep the answer under a key."""

    role: str
    key: str


@dataclass(frozen=True, slots=True)
class SetTemperature(Step):
    """Give a bath its set point; it is reached in a later `Condition`."""

    role: str
    temperature_degc: float


@dataclass(frozen=True, slots=True)
class SwitchBath(Step):
    """Start or stop the circulation of a bath and its control."""

    role: str
    on: bool


# ---------------------------------------------------------------------------------------------------- time


@dataclass(frozen=True, slots=True)
class Phase(Step):
    """Record for a time, or until a condition holds but at most for a time."""

    name: str
    for_s: float | None = None
    until: Level | None = None
    at_most_s: float | None = None

    def __post_init__(self) -> None:
        if (self.for_s is None) == (self.until is None):
            raise ValueError(f'phase "{self.name}" needs either a duration or a condition')
        if self.until is not None and self.at_most_s is None:
            raise ValueError(f'phase "{self.name}" waits for a condition and needs a longest time')

    @property
    def roles(self) -> tuple[str, ...]:
        """The channel of its condition."""
        return () if self.until is None else (self.until.role,)

    @property
    def least_s(self) -> float:
        """Its duration; a condition may be met at once."""
        return self.for_s or 0.0

    @property
    def most_s(self) -> float:
        """Its duration, or the longest wait for its condition."""
        return self.for_s if self.for_s is not None else self.at_most_s or 0.0


@dataclass(frozen=True, slots=True)
class JudgedPhase(Phase):
    """A phase of fixed length that ends early when the procedure's `look` at the record so far finds a clear fail.

    Attributes
    ----------
    looks_s : moments of the looks, in s from its beginning; they stand in the plan, so nobody can look more often.
    risk : the most probability with which all looks together may end the run of a pump that is just at its limit.
    """

    looks_s: tuple[float, ...] = ()
    risk: float = 0.0

    def __post_init__(self) -> None:
        if self.for_s is None or any(not 0.0 < look_s < self.for_s for look_s in self.looks_s):
            raise ValueError(f'phase "{self.name}" needs a duration, and its looks must lie within it')

    @property
    def least_s(self) -> float:
        """To the first look, which may end it."""
        return min(self.looks_s, default=self.for_s or 0.0)


@dataclass(frozen=True, slots=True)
class Condition(Step):
    """Record until a channel has stayed within a band for a time: a soak.  It is a phase of this name.

    A channel without a good sample for long has not stayed.  When it did not stay long enough at any time, the run goes
    on after the longest time; the record says so, and the evaluation has to judge it.
    """

    name: str
    role: str
    low: float | None
    high: float | None
    for_s: float
    at_most_s: float

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise ValueError(f'condition "{self.name}" has neither a low nor a high limit; add one')
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f'condition "{self.name}": its low limit {self.low:g} is not below {self.high:g}')
        if not self.at_most_s >= self.for_s:
            raise ValueError(f'condition "{self.name}" cannot hold for {self.for_s:g} s within {self.at_most_s:g} s')

    @property
    def least_s(self) -> float:
        """The time for which it has to hold."""
        return self.for_s

    @property
    def most_s(self) -> float:
        """The longest wait."""
        return self.at_most_s
