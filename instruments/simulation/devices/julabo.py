"""A circulating bath on the serial dialect of Julabo circulators, device side.

Orders get no answer.  What an order was refused for is told by ``status``, once.  A command that comes too early, 10 ms
after an answer or 250 ms after an order, is not heard.  Alarms shut the bath off until it has been without power; the
bath notices them when somebody talks to it, at most once a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from instruments.simulation.signal import Actuator, Signal
from instruments.simulation.wire import LineDevice, SerialLine

AFTER_ANSWER_S, AFTER_ORDER_S = 0.01, 0.25
BITS_PER_CHARACTER = 10.0
POWER_UP_DEGC = 25.0
LOOK_S = 1.0

STATES = ("00 MANUAL STOP", "01 MANUAL START", "02 REMOTE STOP", "03 REMOTE START")
LOW_LEVEL = "-01 LOW LEVEL ALARM"
EXCESS_TEMPERATURE = "-03 EXCESS TEMPERATURE WARNING"
LOW_TEMPERATURE = "-04 LOW TEMPERATURE WARNING"
SENSOR = "-05 WORKING SENSOR ALARM"
INVALID = "-08 INVALID COMMAND"
NOT_ALLOWED = "-09 COMMAND NOT ALLOWED IN CURRENT OPERATING MODE"
TOO_SMALL = "-10 VALUE TOO SMALL"
TOO_LARGE = "-11 VALUE TOO LARGE"
OUTSIDE_WARNINGS = "-13 WARNING : VALUE EXCEEDS TEMPERATURE LIMITS"
SAFETY = "-14 TEMPERATURE/LEVEL ALARM"


class JulaboBath(LineDevice):
    """One circulator.

    Parameters
    ----------
    signal : temperature of the bath in degC, by its own sensor; not a number is a broken sensor.
    setpoint : is driven with the set point in degC.
    power : is driven with 1 while it circulates and controls, 0 while it does not.
    low_level : 1 while there is too little liquid.
    on, setpoint_degc : what it does when the run begins.
    range_degc : set points that it takes.
    warnings_degc : its low and high temperature warning limits.
    safety_degc : temperature at which its safety circuit shuts it off.
    remote : whether it is in remote control mode; else it takes no orders.
    """

    line = SerialLine(4800, 7, "E", 1.0)
    boot_s = 3.0

    def __init__(
        self,
        signal: Signal,
        *,
        setpoint: Actuator | None = None,
        power: Actuator | None = None,
        low_level: Signal | None = None,
        on: bool = True,
        setpoint_degc: float = 37.0,
        range_degc: tuple[float, float] = (-20.0, 100.0),
        warnings_degc: tuple[float, float] = (5.0, 50.0),
        safety_degc: float = 60.0,
        remote: bool = True,
        version: str = "JULABO HIGHTECH FL HL/SL VERSION 4.0",
        latency_s: float = 0.02,
    ) -> None:
        super().__init__()
        self.signal = signal
        self.low_level = low_level
        self.on = on
        self.setpoint_degc = setpoint_degc
        self.remote = remote
        self.alarm = ""
        self._setpoint, self._power = setpoint, power
        self._range, self._warnings, self._safety_degc = range_degc, list(warnings_degc), safety_degc
        self._version, self._latency_s = version, latency_s
        self._deaf_until = -math.inf
        self._looked_s = -math.inf
        self._value = math.nan
        self._refused = ""
        self._questions: dict[str, Callable[[float], str]] = {
            "version": lambda _: self._version,
            "status": self._status,
            "in_pv_00": lambda now: self._told(self._temperature(now)),
            "in_pv_03": lambda now: self._told(self._temperature(now)),
            "in_pv_04": lambda _: f"{self._safety_degc:.2f}",
            "in_sp_00": lambda _: f"{self.setpoint_degc:.2f}",
            "in_sp_03": lambda _: f"{self._warnings[1]:.2f}",
            "in_sp_04": lambda _: f"{self._warnings[0]:.2f}",
            "in_mode_05": lambda _: f"{self.on:d}",
        }
        self._orders: dict[str, Callable[[float, float], str]] = {
            "out_sp_00": self._order_setpoint,
            "out_sp_03": lambda value, _: self._order_warning(1, value),
            "out_sp_04": lambda value, _: self._order_warning(0, value),
            "out_mode_05": self._order_mode,
        }

    # -- the wire

    def on_line(self, line: str, now: float) -> None:
        """Answer or obey, if it listens."""
        if now < self._deaf_until:
            return
        name, _, rest = line.strip().lower().partition(" ")
        question = self._questions.get(name)
        if question is not None and not rest:
            reply = question(now).encode("ascii") + b"\r\n"
            at = now + self._latency_s + len(reply) * BITS_PER_CHARACTER / self.line.baud
            self._deaf_until = at + AFTER_ANSWER_S
            self.emit(reply, at)
            return
        self._deaf_until = now + AFTER_ORDER_S
        order = self._orders.get(name)
        try:
            value = float(rest)
        except ValueError:
            order = None
            value = math.nan
        if order is None or not math.isfinite(value):
            self._refused = INVALID
        elif not self.remote:
            self._refused = NOT_ALLOWED
        else:
            self._refused = order(value, now)

    def on_reboot(self, now: float) -> None:
        """It stays off after a loss of power, and knows its set point no more; an alarm is forgotten."""
        self._deaf_until = -math.inf
        self.alarm = self._refused = ""
        self.setpoint_degc = POWER_UP_DEGC
        self._drive(self._setpoint, POWER_UP_DEGC, now)
        self._switch(False, now)

    def unsolicited(self) -> bytes:
        """Nothing is ever sent unasked; a disturbance of the line looks like a number at best."""
        return b"21.50\r\n"

    def advance(self, now: float) -> None:
        """Look for what shuts the bath off."""
        if now - self._looked_s >= LOOK_S:
            self._looked_s = now
            self._look(now)

    # -- the bath

    def _temperature(self, now: float) -> float:
        if not self.frozen or math.isnan(self._value):
            self._value = self.signal.at(now)
        return self._value

    @staticmethod
    def _told(degc: float) -> str:
        return "-9999" if math.isnan(degc) else f"{degc:.2f}"

    def _look(self, now: float) -> None:
        if self.alarm:
            return
        degc = self.signal.at(now)
        if self.low_level is not None and self.low_level.at(now) > 0.5:
            self.alarm = LOW_LEVEL
        elif math.isnan(degc):
            self.alarm = SENSOR
        elif degc > self._safety_degc:
            self.alarm = SAFETY
        if self.alarm:
            self._switch(False, now)

    def _status(self, now: float) -> str:
        refused, self._refused = self._refused, ""
        degc = self._temperature(now)
        if self.alarm or refused:
            return self.alarm or refused
        if degc > self._warnings[1]:
            return EXCESS_TEMPERATURE
        if degc < self._warnings[0]:
            return LOW_TEMPERATURE
        return STATES[2 * self.remote + self.on]

    def _order_setpoint(self, value: float, now: float) -> str:
        low, high = self._range
        if not low <= value <= high:
            return TOO_SMALL if value < low else TOO_LARGE
        self.setpoint_degc = round(value, 2)
        self._drive(self._setpoint, self.setpoint_degc, now)
        inside = self._warnings[0] <= value <= self._warnings[1]
        return "" if inside else OUTSIDE_WARNINGS  # it is stored all the same

    def _order_warning(self, which: int, value: float) -> str:
        self._warnings[which] = value
        return ""

    def _order_mode(self, value: float, now: float) -> str:
        if value not in (0.0, 1.0):
            return TOO_LARGE if value > 1.0 else TOO_SMALL
        if value and self.alarm:
            return NOT_ALLOWED
        self._switch(bool(value), now)
        return ""

    def _switch(self, on: bool, now: float) -> None:
        if on != self.on:
            self.on = on
            self._drive(self._power, float(on), now)

    @staticmethod
    def _drive(actuator: Actuator | None, value: float, now: float) -> None:
        if actuator is not None:
            actuator.write(value, now)


DEVICE = JulaboBath
