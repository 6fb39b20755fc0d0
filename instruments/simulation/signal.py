"""What the simulated instruments see of the simulated plant: signals, actuators, and the pump under test.

A device model gets these and a clock, nothing else.  Times are seconds on the run's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

BolusKind = Literal["single", "priming", "bridge", "patient"]
DayRule = Literal["calendar", "rolling"]
Mode = Literal["stopped", "continuous", "flex"]
Owner = Literal["dut", "catheter", "rig", "record"]

DAY_S = 86_400.0


class Signal(Protocol):
    """One quantity of the plant as it stands at the terminals of an instrument, its noise included."""

    def at(self, t: float) -> float:
        """Value of the last conversion at or before ``t`` (the plant converts at 10 Hz)."""

    def samples(self, t0: float, dt: float, first: int, n: int) -> FloatArray:
        """Values at ``t0 + (first + k)·dt`` for k = 0 … n-1, shape (n,).

        For a device with its own sample clock.  The noise belongs to the sample index, so how a device cuts its
        reads into blocks changes nothing.
        """


class Actuator(Protocol):
    """Something that an instrument drives, such as a valve."""

    def write(self, value: float, t: float) -> None:
        """Command a value at ``t``; the plant follows at its next grid point."""


@runtime_checkable
class RampActuator(Actuator, Protocol):
    """Something that can be told to move evenly: the set point of a pressure controller, a stage."""

    def ramp(self, value: float, per_s: float, t: float) -> None:
        """Move from ``t`` on to a value, at most so fast; a later command takes over where it is.

        Raises
        ------
        ValueError
            The rate is not positive.
        """


@dataclass(frozen=True, slots=True)
class ProgrammedBolus:
    """A bolus that starts ``at_s`` after the start of delivery and adds to the basal rate; a bridge replaces it."""

    at_s: float
    volume_ul: float
    duration_s: float
    kind: BolusKind = "single"


@dataclass(frozen=True, slots=True)
class PeriodicBolus:
    """Equal boluses every ``interval_s``, the first one ``first_s`` after the start of delivery."""

    volume_ul: float
    duration_s: float
    interval_s: float
    first_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PatientRule:
    """What a request of the patient delivers, and how often it may."""

    volume_ul: float
    duration_s: float
    lockout_s: float
    max_per_day: int
    day: DayRule = "calendar"


@dataclass(frozen=True, slots=True)
class DeliveryProgram:
    """What the pump holds in its memory.

    ``steps`` are (time of day in s on the pump's own clock, rate in µL/h), the first one at 0, repeated daily.
    """

    mode: Mode = "stopped"
    rate_ul_per_h: float = 0.0
    steps: tuple[tuple[float, float], ...] = ()
    boluses: tuple[ProgrammedBolus, ...] = ()
    periodic: PeriodicBolus | None = None
    patient: PatientRule | None = None
    drug: str = ""
    concentration_ug_per_ml: float | None = None


@dataclass(frozen=True, slots=True)
class PumpState:
    """What the pump knows of itself: its own counts, not the truth."""

    running: bool
    mode: Mode
    delivered_ul: float
    reservoir_ul: float
    alarms: tuple[str, ...]
    clock_s: float  # seconds of the pump's clock since its midnight of day 0
    stroke_ul: float


class ProgramError(ValueError):
    """The pump cannot hold this program; ``code`` 4 is a rate or volume out of range, 3 anything else."""

    def __init__(self, text: str, code: int = 4) -> None:
        super().__init__(text)
        self.code = code


class PumpUnderTest(Protocol):
    """The pump as its programmer sees it."""

    maker: str
    model: str
    serial: str
    firmware: str

    def load(self, program: DeliveryProgram, t: float) -> None:
        """Store a program; a running pump goes on with it.  Raises `ProgramError`."""

    def start(self, t: float) -> None:
        """Start delivery: program times count from here.  Raises `ProgramError` when there is no program."""

    def stop(self, t: float) -> None:
        """Stop the motor."""

    def bolus(self, volume_ul: float, duration_s: float, kind: BolusKind, t: float) -> str:
        """Request a bolus: "ok", or "refused:" and one of lockout, daily-maximum, stopped, stalled, range, bridge,
        no-program.

        The volume and duration of a patient bolus are those of the program's rule; what is asked for is ignored.
        """

    def fill(self, volume_ul: float, t: float) -> None:
        """Store what the reservoir holds after a refill.  Raises `ProgramError`."""

    def state(self, t: float) -> PumpState:
        """What the pump would tell a programmer at ``t``."""

    def program(self, t: float) -> DeliveryProgram | None:
        """The stored program, None before the first one."""

    def log(self) -> list[tuple[float, str]]:
        """The pump's log: (seconds on the run's clock, text), oldest first."""
