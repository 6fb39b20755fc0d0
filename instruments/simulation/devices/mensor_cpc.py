"""A Mensor CPC4000 or CPC6050 pressure controller in its Mensor command set (RS-232 57600 8N1, or LAN).

Sources: operating instructions of CPC4000 (7.8, 7.9) and CPC6050 (7.7).  A command ends with CR, LF or both, in any
case; a query ends with "?".  A reply begins with a blank, or with E while the queue of errors holds any, and ends with
CR LF; the queue keeps ten.  OUTFORM 1 to 7 says what ``?`` answers.  From memory of the manuals: RATE, RSETPT,
STABLEWIN and STABLETIME, the words of ERROR?, that an unknown query gets no answer.

The pressure in the line follows the set point by the rate, stays where it is in MEASURE and STANDBY, and goes to
ambient in VENT.  Assumed: it wakes in STANDBY with the line shut, and with unit, rate and output format as they were
delivered.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable

from instruments.simulation.pressure_controller import ATMOSPHERE_KPA, BEYOND, PressureController
from instruments.simulation.signal import Actuator, Signal
from instruments.simulation.wire import SerialLine

ERRORS_KEPT = 10
MODES = ("STANDBY", "MEASURE", "CONTROL", "VENT")
RATES_KPA_PER_S = {"SLOW": 1.0, "MEDIUM": 5.0, "FAST": 20.0}

_UNITS = {1: ("psi", 6.894757293), 14: ("bar", 100.0), 15: ("mbar", 0.1), 22: ("kPa", 1.0), 23: ("Pa", 0.001)}
_SYNTAX, _UNKNOWN, _RANGE = "Data syntax error", "Unrecognized command", "Data out of range"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(E[+-]?\d+)?", re.IGNORECASE)
_BITS_PER_CHARACTER = 10.0


class CommandError(Exception):
    """A command that cannot be taken, with what stands in the queue for it."""


class CpcController(PressureController):
    """A controller whose outlet is the line that ``outlet`` drives.

    Parameters
    ----------
    outlet : takes the pressure in the line, kPa gauge.
    sensor : gauge pressure in kPa at its own sensor; without it, what it drives.
    serial, model, firmware : as ``*IDN?`` tells them.
    low_kpa, high_kpa : its range, gauge.
    unit : psi, bar, mbar, kPa or Pa at power-up.
    ptype : GAUGE or ABSOLUTE at power-up.
    vent_kpa_per_s : how fast it vents.
    start_kpa : pressure in the line at the beginning.
    latency_s : time from the end of a query to the beginning of its reply.
    noise_kpa : standard deviation of a conversion.
    """

    line = SerialLine(baud=57_600)
    boot_s = 8.0

    def __init__(
        self,
        outlet: Actuator,
        *,
        sensor: Signal | None = None,
        serial: str = "610189",
        model: str = "CPC4000",
        firmware: str = "1.2.3",
        low_kpa: float = -100.0,
        high_kpa: float = 200.0,
        unit: str = "psi",
        ptype: str = "GAUGE",
        vent_kpa_per_s: float = 20.0,
        start_kpa: float = 0.0,
        latency_s: float = 0.02,
        noise_kpa: float = 0.001,
        seed: int = 0,
    ) -> None:
        super().__init__(outlet, sensor, start_kpa=start_kpa, noise_kpa=noise_kpa, noise_of=f"{seed}/cpc/{serial}")
        codes = {name: code for code, (name, _) in _UNITS.items()}
        if unit not in codes:
            raise ValueError(f'controller {serial}: unit "{unit}" is unknown; take one of {", ".join(codes)}')
        if ptype not in ("GAUGE", "ABSOLUTE"):
            raise ValueError(f'controller {serial}: type "{ptype}" is unknown; take GAUGE or ABSOLUTE')
        self.serial, self.model, self.firmware = serial, model, firmware
        self.low_kpa, self.high_kpa = low_kpa, high_kpa
        self.power_up_unit, self.ptype = codes[unit], ptype
        self.vent_kpa_per_s = vent_kpa_per_s
        self.latency_s = latency_s
        self._queries: dict[str, Callable[[float], str]] = {
            "": self._reading, "A": self._number_of_pressure, "SETPT": lambda t: self._in_unit(self.setpoint_kpa),
            "MODE": lambda t: self.mode, "STABLE": self._stable, "AS": self._stable,
            "UNITS": lambda t: f"{self.unit}, {_UNITS[self.unit][0]}", "OUTFORM": lambda t: str(self.outform),
            "RANGEMAX": lambda t: self._in_unit(self.high_kpa), "RANGEMIN": lambda t: self._in_unit(self.low_kpa),
            "PTYPE": lambda t: self.ptype, "RATE": lambda t: self.rate,
            "RSETPT": lambda t: self._written(self.rate_kpa_per_s / self._kpa()),
            "STABLEWIN": lambda t: self._written(self.band_percent), "STABLETIME": lambda t: str(self.band_s),
            "ERROR": self._error, "*IDN": self._identity, "ID": self._identity, "ADDRESS": lambda t: "1",
            "AUTORANGE": lambda t: "OFF", "KEYLOCK": lambda t: self.keylock,
        }  # fmt: skip
        self._commands: dict[str, Callable[[str, float], None]] = {
            "SETPT": self._set_setpoint, "MODE": self._set_mode, "UNITS": self._set_units, "OUTFORM": self._set_outform,
            "PTYPE": self._set_ptype, "RATE": self._set_rate, "RSETPT": self._set_rate_setpoint,
            "STABLEWIN": self._set_band, "STABLETIME": self._set_band_time, "KEYLOCK": self._set_keylock,
            "*CLS": lambda value, t: self._errors.clear(),
        }  # fmt: skip
        self._power_up()

    def _power_up(self) -> None:
        self.unit, self.outform, self.mode, self.keylock = self.power_up_unit, 1, "STANDBY", "NO"
        self.setpoint_kpa = 0.0
        self.rate, self.rate_kpa_per_s = "FAST", RATES_KPA_PER_S["FAST"]
        self.band_percent, self.band_s = 0.01, 4
        self._errors: deque[str] = deque(maxlen=ERRORS_KEPT)
        self._busy_until = -math.inf

    # -- what it does, as others see it

    @property
    def is_on(self) -> bool:
        """Whether it regulates."""
        return self.mode == "CONTROL"

    @property
    def vents(self) -> bool:
        """Whether its line is open to ambient."""
        return self.mode == "VENT"

    # -- the wire

    def unsolicited(self) -> bytes:
        """Nothing is ever sent unasked; a disturbance of the line is an empty reply at best."""
        return b" \r\n"

    def on_line(self, line: str, now: float) -> None:
        """Execute a command."""
        try:
            reply = self._reply(line.strip(), now)
        except CommandError as error:
            self._errors.append(str(error))
            return
        if reply is not None:
            flag = "E" if self._errors else " "
            message = f"{flag}{reply}\r\n".encode("latin-1")
            begun = max(now + self.latency_s, self._busy_until)
            self._busy_until = begun + len(message) * _BITS_PER_CHARACTER / self.line.baud
            self.emit(message, self._busy_until)

    def _reply(self, text: str, now: float) -> str | None:
        """Answer a query; do a command and answer nothing."""
        name, _, value = text.upper().partition(" ")
        if name.endswith("?"):
            query = self._queries.get(name[:-1])
            if query is None:
                raise CommandError(_UNKNOWN)
            return query(now)
        command = self._commands.get(name)
        if command is None:
            raise CommandError(_UNKNOWN)
        self._command(command, name, value.strip(), now)
        return None

    def _command(self, command: Callable[[str, float], None], name: str, value: str, t: float) -> None:
        """Do one command that is known."""
        command(value, t)

    def _error(self, t: float) -> str:
        return self._errors.popleft() if self._errors else "NO ERRORS"

    def _identity(self, t: float) -> str:
        return f"MENSOR, {self.model},{self.serial},{self.firmware}"

    # -- queries

    def _written(self, value: float) -> str:
        return f"{value:+.5E}"

    def _kpa(self) -> float:
        return _UNITS[self.unit][1]

    def _offset_kpa(self) -> float:
        return ATMOSPHERE_KPA if self.ptype == "ABSOLUTE" else 0.0

    def _stop_kpa(self) -> float:
        return BEYOND * self.high_kpa

    def _in_unit(self, gauge_kpa: float) -> str:
        return self._written((gauge_kpa + self._offset_kpa()) / self._kpa())

    def _number_of_pressure(self, t: float) -> str:
        return self._in_unit(self._measured_kpa(t))

    def _reading(self, t: float) -> str:
        """What ``?`` answers in the present output format."""
        pressure = self._number_of_pressure(t)
        if self.outform == 2:
            return f"{pressure}, {_UNITS[self.unit][0]}, {self.mode}"
        if self.outform == 3:
            return f"{pressure}, {self._written(self._speed(t) / self._kpa())}"
        if self.outform == 6:
            what = "stable" if self._stable(t) == "YES" else "slewing"
            return f"{pressure}, {self._in_unit(self.setpoint_kpa)}, {what}"
        return pressure + {4: f", {pressure}, {pressure}", 5: ", P, 1", 7: ", no barometer"}.get(self.outform, "")

    def _stable(self, t: float) -> str:
        """Whether the pressure has stayed long enough within the window around the set point."""
        band_kpa = self.band_percent / 100.0 * (self.high_kpa - self.low_kpa)
        return "YES" if self.is_on and self._has_stayed(band_kpa, t) else "NO"

    # -- commands

    def _set_setpoint(self, value: str, t: float) -> None:
        kpa = _number(value) * self._kpa() - self._offset_kpa()
        if not self.low_kpa - 1e-6 <= kpa <= self.high_kpa + 1e-6:
            raise CommandError(_RANGE)
        self.setpoint_kpa = kpa
        self._regulate(t)

    def _set_mode(self, value: str, t: float) -> None:
        if value not in MODES:
            raise CommandError(_SYNTAX)
        self.mode = value
        if value == "CONTROL":
            self._regulate(t)
        elif value == "VENT":
            self._go(0.0, self.vent_kpa_per_s, t)
        else:
            self._shut(t)

    def _set_units(self, value: str, t: float) -> None:
        codes = {name.upper(): code for code, (name, _) in _UNITS.items()} | {str(code): code for code in _UNITS}
        if value not in codes:
            raise CommandError(_SYNTAX)
        self.unit = codes[value]

    def _set_outform(self, value: str, t: float) -> None:
        if value not in tuple("1234567"):
            raise CommandError(_RANGE)
        self.outform = int(value)

    def _set_ptype(self, value: str, t: float) -> None:
        kinds = {"G": "GAUGE", "GAUGE": "GAUGE", "A": "ABSOLUTE", "ABSOLUTE": "ABSOLUTE"}
        if value not in kinds:
            raise CommandError(_SYNTAX)
        self.ptype = kinds[value]

    def _set_rate(self, value: str, t: float) -> None:
        if value not in (*RATES_KPA_PER_S, "VARIABLE"):
            raise CommandError(_SYNTAX)
        self.rate = value
        self.rate_kpa_per_s = RATES_KPA_PER_S.get(value, self.rate_kpa_per_s)
        self._regulate(t)

    def _set_rate_setpoint(self, value: str, t: float) -> None:
        kpa_per_s = _number(value) * self._kpa()
        if not 0.0 < kpa_per_s <= 2.0 * RATES_KPA_PER_S["FAST"]:
            raise CommandError(_RANGE)
        self.rate_kpa_per_s = kpa_per_s
        self._regulate(t)

    def _set_band(self, value: str, t: float) -> None:
        if not 0.0 < (percent := _number(value)) <= 100.0:
            raise CommandError(_RANGE)
        self.band_percent = percent

    def _set_band_time(self, value: str, t: float) -> None:
        if not value.isdigit() or int(value) > 65_535:
            raise CommandError(_RANGE)
        self.band_s = int(value)

    def _set_keylock(self, value: str, t: float) -> None:
        if value not in ("YES", "NO"):
            raise CommandError(_SYNTAX)
        self.keylock = value

    # -- the pressure

    def _regulate(self, t: float) -> None:
        if self.is_on:
            self._go(self.setpoint_kpa, self.rate_kpa_per_s, t)


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise CommandError(_SYNTAX)
    return float(text)


DEVICE = CpcController
