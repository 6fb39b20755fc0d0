"""What can be commanded.  What is only measured is a channel, not a capability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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
