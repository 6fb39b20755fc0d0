"""The valve between a pressure controller and the bench: with current the controller reaches the line, without it the
line is open to ambient and the controller is shut off.

A controller on RS-232 goes on regulating when its host has died: it hears nothing and has no time-out.  Such a valve on
the watchdog's relay is what takes its pressure off the line.  Source: a 3/2-way solenoid valve, normally vented; that
it switches within a grid interval and lets the pressure out evenly is assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from instruments.simulation.signal import RampActuator

OUT_KPA_PER_S = 100.0
"""How fast the line's pressure goes to ambient through it."""


@dataclass(frozen=True, slots=True)
class _Course:
    """What the controller gives: a pressure that goes evenly to a value and stays there."""

    start_s: float = 0.0
    start_kpa: float = 0.0
    end_kpa: float = 0.0
    kpa_per_s: float = math.inf

    def at(self, t: float) -> float:
        span = self.end_kpa - self.start_kpa
        way = self.kpa_per_s * max(0.0, t - self.start_s) if t > self.start_s else 0.0
        return self.end_kpa if way >= abs(span) else self.start_kpa + math.copysign(way, span)


class SupplyValve:
    """The coil, as a digital line drives it; without current until it is first driven.

    Parameters
    ----------
    line : takes the gauge pressure behind the valve, in kPa.

    Attributes
    ----------
    controller : takes the pressure that the controller gives, whether it reaches the line or not.
    """

    def __init__(self, line: RampActuator) -> None:
        self.controller = ControllerSide(line)
        self._line = line

    def write(self, value: float, t: float) -> None:
        """Switch the coil on (above 0.5) or off."""
        on, side = value > 0.5, self.controller
        if on == side.reaches:
            return
        side.reaches = on
        if on:
            side.connect(t)
        else:
            self._line.ramp(0.0, OUT_KPA_PER_S, t)


class ControllerSide:
    """Where the controller is connected; an actuator that can ramp."""

    def __init__(self, line: RampActuator) -> None:
        self.reaches = False
        self._line = line
        self._course = _Course()

    def write(self, value: float, t: float) -> None:
        """Give a pressure at once."""
        self._course = _Course(t, value, value)
        if self.reaches:
            self._line.write(value, t)

    def ramp(self, value: float, per_s: float, t: float) -> None:
        """Go evenly to a pressure."""
        self._course = _Course(t, self._course.at(t), value, per_s)
        if self.reaches:
            self._line.ramp(value, per_s, t)

    def connect(self, t: float) -> None:
        """Let the line have what the controller gives, and follow it from here."""
        course, now_kpa = self._course, self._course.at(t)
        self._line.write(now_kpa, t)
        if now_kpa != course.end_kpa:
            self._line.ramp(course.end_kpa, course.kpa_per_s, t)
