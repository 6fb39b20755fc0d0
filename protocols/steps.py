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
class SetValve(Step):
    """Energise or release a valve."""

    role: str
    on: bool


@dataclass(frozen=True, slots=True)
class Phase(Step):
    """Record for a time, or until a condition holds but at most for a time."""

    name: str
    for_s: float | None = None
    until: Level | None = None
    at_most_s: float | None = None

    def __post_init__(self) -> None:
        if (self.for_s is None) == (self.until is None):
            raise ValueError(f"phase {self.name!r} needs either a duration or a condition")
        if self.until is not None and self.at_most_s is None:
            raise ValueError(f"phase {self.name!r} waits for a condition and needs a longest time")

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
