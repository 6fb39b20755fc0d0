"""What the simulated pressure controllers have in common: how the pressure in the line moves, and their own sensor.

The pressure is that of an ideal controller: a `Course`, known when a command is given.  An actuator that can ramp is
told once, any other is written ten times a second.
"""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from dataclasses import dataclass

from instruments.simulation.signal import Actuator, RampActuator, Signal
from instruments.simulation.wire import LineDevice

ATMOSPHERE_KPA = 101.325
BEYOND = 1.2
"""Share of the range at which a sensor at its stop stands."""

_STEP_S = 0.1
_CONVERSIONS_PER_S = 10


@dataclass(frozen=True, slots=True)
class Course:
    """A pressure in kPa that goes from one value to another at a rate, and stays there."""

    start_s: float
    start_kpa: float
    end_kpa: float
    kpa_per_s: float

    @property
    def end_s(self) -> float:
        """When it arrives."""
        return self.start_s + abs(self.end_kpa - self.start_kpa) / self.kpa_per_s

    def at(self, t: float) -> float:
        """Pressure at ``t``."""
        way = self.kpa_per_s * max(0.0, t - self.start_s)
        if way >= abs(self.end_kpa - self.start_kpa):
            return self.end_kpa
        return self.start_kpa + math.copysign(way, self.end_kpa - self.start_kpa)

    def within_since(self, kpa: float, band_kpa: float) -> float:
        """When it came within a band that contains its end; infinite when it never does."""
        if abs(self.end_kpa - kpa) > band_kpa:
            return math.inf
        way = abs(self.start_kpa - kpa) - band_kpa
        return self.start_s + max(0.0, way) / self.kpa_per_s


class PressureController(LineDevice):
    """A controller whose outlet is the line that ``outlet`` drives.

    Parameters
    ----------
    outlet : takes the pressure in the line, kPa gauge.
    sensor : gauge pressure in kPa at its own sensor; without it, what it drives.
    start_kpa : pressure in the line at the beginning.
    noise_kpa : standard deviation of a conversion.
    noise_of : whose noise it is; that of a conversion belongs to its number.
    """

    setpoint_kpa: float
    band_s: int
    """How long the pressure must have stayed near the set point."""

    def __init__(
        self, outlet: Actuator, sensor: Signal | None, *, start_kpa: float, noise_kpa: float, noise_of: str
    ) -> None:
        super().__init__()
        self.outlet, self.sensor, self.noise_kpa = outlet, sensor, noise_kpa
        self._noise_of = noise_of
        self._course = Course(0.0, start_kpa, start_kpa, 1.0)
        self._written_s = math.inf  # next step of an actuator that cannot ramp
        self._shown_kpa: float | None = None

    @abstractmethod
    def _power_up(self) -> None:
        """Take the settings with which it wakes."""

    @abstractmethod
    def _stop_kpa(self) -> float:
        """Gauge pressure that it shows when its sensor is at its stop."""

    def on_reboot(self, now: float) -> None:
        """The valves close, the settings go back."""
        self._shut(now)
        self._shown_kpa = None
        self._power_up()

    # -- the pressure in the line

    def _go(self, kpa: float, kpa_per_s: float, t: float) -> None:
        """Let the pressure go to a value."""
        self._course = Course(t, self._course.at(t), kpa, kpa_per_s)
        if isinstance(self.outlet, RampActuator) and t < self._course.end_s:
            self.outlet.ramp(kpa, kpa_per_s, t)
        else:
            self.on_time(t)

    def _shut(self, t: float) -> None:
        """Close the valves: the pressure stays as it is."""
        self._go(self._course.at(t), 1.0, t)

    def next_event(self) -> float | None:
        """The next step of an actuator that cannot ramp."""
        return None if self._written_s == math.inf else self._written_s

    def on_time(self, t: float) -> None:
        """Write the actuator, and again a step later while the pressure is on its way."""
        self.outlet.write(self._course.at(t), t)
        end_s = self._course.end_s
        self._written_s = min(t + _STEP_S, end_s) if t < end_s else math.inf

    # -- what it tells of it

    def _speed(self, t: float) -> float:
        """How fast the pressure changes, kPa/s."""
        course = self._course
        return math.copysign(course.kpa_per_s, course.end_kpa - course.start_kpa) if t < course.end_s else 0.0

    def _has_stayed(self, band_kpa: float, t: float) -> bool:
        """Whether the pressure has been within a band around the set point for long enough."""
        return t >= self._course.within_since(self.setpoint_kpa, band_kpa) + self.band_s

    def _measured_kpa(self, t: float) -> float:
        """Latest conversion; its noise belongs to its number."""
        if self.saturated:
            return self._stop_kpa()
        if self.frozen and self._shown_kpa is not None:
            return self._shown_kpa
        k = int(t * _CONVERSIONS_PER_S + 1e-6)
        at = k / _CONVERSIONS_PER_S
        kpa = self._course.at(at) if self.sensor is None else self.sensor.at(at)
        if self.noise_kpa:
            kpa += random.Random(f"{self._noise_of}/{k}").gauss(0.0, self.noise_kpa)
        self._shown_kpa = kpa
        return kpa
