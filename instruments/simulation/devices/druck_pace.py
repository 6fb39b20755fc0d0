"""A GE Druck PACE5000 pressure controller with one module (RS-232 9600 8N1, or LAN socket 5025): SCPI, ends of line LF.

Sources: SCPI manual K0472 and notes of users.  A reply repeats the header of its query in the short form in which the
nodes were given; the replies to queries of one message are joined by ";".  A query takes about 100 ms; what is sent
meanwhile waits.  An unknown header ends the message with error -113 and a blank line.  Five errors are kept.

The pressure in the line follows the set point by the slew rate, within what supply and vacuum allow, stays where it is
when the controller is off, and goes to ambient at the vent rate.  Not verified against a real unit: the times, what a
restart keeps (the line stays shut; unit, slew and set point go back to those of power-up), that overshoot makes no
difference.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable

from instruments.simulation.pressure_controller import ATMOSPHERE_KPA, BEYOND, PressureController
from instruments.simulation.signal import Actuator, Signal
from instruments.simulation.wire import SerialLine

ERRORS_KEPT = 5
_ERRORS = {
    -104: "Data type error", -108: "Parameter not allowed", -109: "Missing parameter", -113: "Undefined header",
    -141: "Invalid character data", -151: "Invalid string data", -222: "Data out of range", -350: "Queue overflow",
}  # fmt: skip
_COMMAND_ERROR, _EXECUTION_ERROR, _POWER_ON = 32, 16, 128  # bits of the event status register
_ERROR_AVAILABLE, _SERVICE_REQUEST = 4, 64  # bits of the status byte

_UNITS_KPA = {"BAR": 100.0, "MBAR": 0.1, "PA": 0.001, "HPA": 0.1, "KPA": 1.0, "MPA": 1000.0, "PSI": 6.894757293}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(E[+-]?\d+)?", re.IGNORECASE)
_PATH = "SOURce[:PRESsure]"
_LEVEL = _PATH + "[:LEVel][:IMMediate][:AMPLitude]"


class ScpiError(Exception):
    """A command that cannot be taken."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Header:
    """A header of the command tree, such as ``SOURce[:PRESsure]:SLEW``, in its long and its short form.

    A root may carry the number of the module, 1.  ``query`` gives the value of a moment, ``command`` takes one.
    """

    def __init__(
        self,
        form: str,
        query: Callable[[float], str] | None = None,
        command: Callable[[str, float], None] | None = None,
    ) -> None:
        self.form, self.query, self.command = form, query, command
        self.short: dict[str, str] = {}
        self._echoes: dict[str, str] = {}
        pattern = ""
        for optional, short, rest in re.findall(r"(\[)?:?([*A-Z]+\d?)([a-z]*)", form):
            self.short[short + rest.upper()] = short
            node = re.escape(short) + (f"(?:{rest})?" if rest else "")
            if not pattern:
                pattern = node if short.startswith("*") else node + "1?"
            else:
                pattern += f"(?::{node})?" if optional else f":{node}"
        self.pattern = re.compile(pattern, re.IGNORECASE)

    def echo(self, given: str) -> str:
        """The header as a reply repeats it: the nodes that were given, in short form."""
        echo = self._echoes.get(given)
        if echo is None:
            nodes = given.upper().split(":")
            echo = given.upper() if given.startswith("*") else "".join(f":{self._short_of(node)}" for node in nodes)
            self._echoes[given] = echo
        return echo

    def _short_of(self, node: str) -> str:
        number = "1" if node.endswith("1") and node not in self.short else ""
        name = node.removesuffix("1") if number else node
        return self.short.get(name, name) + number


class DruckPaceController(PressureController):
    """A controller whose outlet is the line that ``outlet`` drives.

    Parameters
    ----------
    outlet : takes the pressure in the line, kPa gauge.
    sensor : gauge pressure in kPa at its own sensor; without it, what it drives.
    serial, firmware : as ``*IDN?`` tells them.
    ranges : ranges that can be selected; the first is at power-up.  A range in "bara" shows absolute pressure.
    unit : unit at power-up.
    supply_kpa, vacuum_kpa : gauge pressures of its two supplies, between which it can regulate.
    max_kpa_per_s, vent_kpa_per_s : how fast it can change the pressure, and how fast it vents.
    start_kpa : pressure in the line at the beginning.
    query_s : time that it takes for a query.
    noise_kpa : standard deviation of a conversion.
    """

    line = SerialLine()
    boot_s = 5.0

    def __init__(
        self,
        outlet: Actuator,
        *,
        sensor: Signal | None = None,
        serial: str = "3213201",
        firmware: str = "02.00.07",
        ranges: tuple[str, ...] = ("2.00barg", "2.00bara"),
        unit: str = "BAR",
        supply_kpa: float = 300.0,
        vacuum_kpa: float = 0.0,
        max_kpa_per_s: float = 50.0,
        vent_kpa_per_s: float = 20.0,
        start_kpa: float = 0.0,
        query_s: float = 0.1,
        noise_kpa: float = 0.001,
        seed: int = 0,
    ) -> None:
        super().__init__(outlet, sensor, start_kpa=start_kpa, noise_kpa=noise_kpa, noise_of=f"{seed}/pace/{serial}")
        if unit not in _UNITS_KPA:
            raise ValueError(f'controller {serial}: unit "{unit}" is unknown; take one of {", ".join(_UNITS_KPA)}')
        self.serial, self.firmware = serial, firmware
        self.ranges, self.power_up_unit = tuple(ranges), unit
        self.supply_kpa, self.vacuum_kpa = supply_kpa, vacuum_kpa
        self.max_kpa_per_s, self.vent_kpa_per_s = max_kpa_per_s, vent_kpa_per_s
        self.query_s = query_s
        self._tree = self._headers()
        self._found: dict[str, Header] = {}
        self._service_mask = 0
        self._power_up()

    def _power_up(self) -> None:
        self.unit, self.range = self.power_up_unit, self.ranges[0]
        self.is_on = False
        self.setpoint_kpa = 0.0
        self._reset_settings()
        self.vents = False  # a vent was begun that was neither aborted nor followed by control
        self._errors: deque[int] = deque()
        self._events, self._has_new_error = _POWER_ON, False
        self._free_at = -math.inf

    def _reset_settings(self) -> None:
        self.slew_kpa_per_s, self.slew_mode, self.overshoot = self.max_kpa_per_s, "MAX", False
        self.band_percent, self.band_s = 0.01, 2

    def _headers(self) -> tuple[Header, ...]:
        """The command tree, as far as it is simulated."""
        return (
            Header("*IDN", lambda t: f"GE Druck,Pace5000 User Interface,{self.serial},{self.firmware}"),
            Header("*CLS", None, self._clear_status),
            Header("*RST", None, self._reset),
            Header("*STB", lambda t: str(self._status_byte())),
            Header("*ESR", lambda t: str(self._event_status())),
            Header("*SRE", lambda t: str(self._service_mask), self._set_service_mask),
            Header("SENSe[:PRESsure]", lambda t: self._in_unit(self._measured_kpa(t))),
            Header("SENSe[:PRESsure]:INLimits", self._in_limits),
            Header("SENSe[:PRESsure]:RANGe", lambda t: f'"{self.range}"'),
            Header("SENSe[:PRESsure]:SLEW", lambda t: self._rate_in_unit(self._speed(t))),
            Header(_LEVEL, lambda t: self._in_unit(self.setpoint_kpa), self._set_setpoint),
            Header(_LEVEL + ":VENT", self._vent_state, self._set_vent),
            Header(_PATH + ":SLEW", lambda t: self._rate_in_unit(self.slew_kpa_per_s), self._set_slew),
            Header(_PATH + ":SLEW:MODE", lambda t: self.slew_mode, self._set_slew_mode),
            Header(_PATH + ":SLEW:OVERshoot", lambda t: str(int(self.overshoot)), self._set_overshoot),
            Header(_PATH + ":INLimits", lambda t: f"{self.band_percent:.7f}", self._set_band),
            Header(_PATH + ":INLimits:TIME", lambda t: str(self.band_s), self._set_band_time),
            Header(_PATH + ":RANGe", lambda t: f'"{self.range}"', self._set_range),
            Header(_PATH + ":EFFort", self._effort),
            Header(_PATH + ":COMP1", lambda t: self._rate_in_unit(self.supply_kpa)),
            Header(_PATH + ":COMP2", lambda t: self._rate_in_unit(self.vacuum_kpa)),
            Header("OUTPut[:STATe]", lambda t: str(int(self.is_on)), self._set_output),
            Header("UNIT[:PRESsure]", lambda t: self.unit, self._set_unit),
            Header("SYSTem:ERRor[:NEXT]", self._next_error),
            Header("INSTrument:SN1", lambda t: self.serial),
        )

    # -- the wire

    def unsolicited(self) -> bytes:
        """A blank line, as it sends for what it does not know."""
        return b"\n"

    def on_line(self, line: str, now: float) -> None:
        """Do the parts of a message one after the other; a syntax error ends it."""
        begin = max(now, self._free_at)
        replies: list[str] = []
        path, blank = "", False
        for part in filter(None, map(str.strip, line.split(";"))):
            given, _, parameter = part.partition(" ")
            if not given.startswith((":", "*")):
                given = path + given
            given = given.removeprefix(":")
            if not given.startswith("*"):
                path = given.rpartition(":")[0]
                path += ":" if path else ""
            try:
                reply = self._part(given, parameter.strip(), begin + len(replies) * self.query_s)
            except ScpiError as error:
                self._keep_error(error.code)
                if error.code > -200:
                    blank = "?" in given
                    break
            else:
                if reply:
                    replies.append(reply)
        if replies or blank:
            self._free_at = begin + max(1, len(replies)) * self.query_s
            self.emit(";".join(replies).encode("latin-1") + b"\n", self._free_at)

    def _part(self, given: str, parameter: str, t: float) -> str:
        """Answer a query, or do a command and answer nothing."""
        name = given.removesuffix("?")
        header = self._found.get(name) or self._header(name)
        if name != given:
            if header.query is None:
                raise ScpiError(-113)
            if parameter:
                raise ScpiError(-108)
            return f"{header.echo(name)} {header.query(t)}"
        if header.command is None:
            raise ScpiError(-113)
        self._command(header, parameter, t)
        return ""

    def _command(self, header: Header, parameter: str, t: float) -> None:
        """Do one command that is known."""
        assert header.command is not None
        header.command(parameter, t)

    def _header(self, name: str) -> Header:
        for header in self._tree:
            if header.pattern.fullmatch(name):
                self._found[name] = header
                return header
        raise ScpiError(-113)

    # -- errors and status

    def _keep_error(self, code: int) -> None:
        self._events |= _COMMAND_ERROR if code > -200 else _EXECUTION_ERROR
        self._has_new_error = True
        if len(self._errors) == ERRORS_KEPT:
            self._errors[-1] = -350
        else:
            self._errors.append(code)

    def _next_error(self, t: float) -> str:
        code = self._errors.popleft() if self._errors else 0
        return f'{code},"{_ERRORS.get(code, "No error")}"'

    def _status_byte(self) -> int:
        """Status byte since it was read last: a new error, and whether that requests service."""
        byte = _ERROR_AVAILABLE if self._has_new_error else 0
        self._has_new_error = False
        return byte | (_SERVICE_REQUEST if byte & self._service_mask else 0)

    def _event_status(self) -> int:
        events, self._events = self._events, 0
        return events

    def _clear_status(self, parameter: str, t: float) -> None:
        self._errors.clear()
        self._events, self._has_new_error = 0, False

    def _set_service_mask(self, parameter: str, t: float) -> None:
        self._service_mask = int(_number(parameter, 0.0, 255.0))

    def _reset(self, parameter: str, t: float) -> None:
        self._switch(False, t)
        self._reset_settings()

    # -- settings

    def _offset_kpa(self) -> float:
        return ATMOSPHERE_KPA if self.range.endswith("a") else 0.0

    def _in_unit(self, gauge_kpa: float) -> str:
        return f"{(gauge_kpa + self._offset_kpa()) / _UNITS_KPA[self.unit]:.7f}"

    def _rate_in_unit(self, kpa: float) -> str:
        return f"{kpa / _UNITS_KPA[self.unit]:.7f}"

    def _range_kpa(self) -> float:
        return float(self.range.rstrip("abgr")) * 100.0

    def _stop_kpa(self) -> float:
        return BEYOND * self._range_kpa() - self._offset_kpa()

    def _set_setpoint(self, parameter: str, t: float) -> None:
        unit, offset = _UNITS_KPA[self.unit], self._offset_kpa()
        kpa = _number(parameter, -ATMOSPHERE_KPA / unit + offset / unit, self._range_kpa() / unit) * unit
        self.setpoint_kpa = kpa - offset
        self._regulate(t)

    def _set_slew(self, parameter: str, t: float) -> None:
        unit = _UNITS_KPA[self.unit]
        self.slew_kpa_per_s = _number(parameter, 1e-6 / unit, self.max_kpa_per_s / unit) * unit
        self._regulate(t)

    def _set_slew_mode(self, parameter: str, t: float) -> None:
        self.slew_mode = _choice(parameter, {"MAX": "MAX", "MAXIMUM": "MAX", "LIN": "LIN", "LINEAR": "LIN"})
        self._regulate(t)

    def _set_overshoot(self, parameter: str, t: float) -> None:
        self.overshoot = _boolean(parameter)

    def _set_band(self, parameter: str, t: float) -> None:
        self.band_percent = _number(parameter, 0.0, 100.0)

    def _set_band_time(self, parameter: str, t: float) -> None:
        self.band_s = round(_number(parameter, 2.0, 999.0))

    def _set_range(self, parameter: str, t: float) -> None:
        if len(parameter) < 2 or parameter[0] not in "\"'" or parameter[-1] != parameter[0]:
            raise ScpiError(-104)
        if parameter[1:-1] not in self.ranges:
            raise ScpiError(-151)
        self.range = parameter[1:-1]

    def _set_unit(self, parameter: str, t: float) -> None:
        self.unit = _choice(parameter, {name: name for name in _UNITS_KPA})

    # -- the pressure

    def _set_output(self, parameter: str, t: float) -> None:
        self._switch(_boolean(parameter), t)

    def _switch(self, on: bool, t: float) -> None:
        """Begin to regulate, which ends a vent; or close the valves."""
        was_on, self.is_on = self.is_on, on
        if on and not was_on:
            self.vents = False
            self._regulate(t)
        elif was_on and not on:
            self._shut(t)

    def _regulate(self, t: float) -> None:
        """Go to the set point, as far as the supplies allow."""
        if self.is_on:
            rate = self.slew_kpa_per_s if self.slew_mode == "LIN" else self.max_kpa_per_s
            self._go(max(self.vacuum_kpa, min(self.supply_kpa, self.setpoint_kpa)), rate, t)

    def _set_vent(self, parameter: str, t: float) -> None:
        if _number(parameter, 0.0, 1.0):
            self.is_on, self.vents = False, True
            self._go(0.0, self.vent_kpa_per_s, t)
        elif self.vents:
            self.vents = False
            self._shut(t)

    def _vent_state(self, t: float) -> str:
        return "0" if not self.vents else "1" if t < self._course.end_s else "2"

    def _in_limits(self, t: float) -> str:
        """Pressure, and whether it has stayed long enough within the band around the set point."""
        reached = self.is_on and self._has_stayed(self.band_percent / 100.0 * self._range_kpa(), t)
        return f"{self._in_unit(self._measured_kpa(t))}, {int(reached)}"

    def _effort(self, t: float) -> str:
        """Percent of the supply's (positive) or vacuum's valve: all of it where the set point is out of reach."""
        if not self.is_on:
            return "0.0"
        missing = self.setpoint_kpa - self._course.end_kpa
        if abs(missing) > 1e-9:
            return f"{math.copysign(100.0, missing):.7f}"
        return f"{100.0 * self._speed(t) / self.max_kpa_per_s:.7f}"


def _number(text: str, low: float, high: float) -> float:
    if not text:
        raise ScpiError(-109)
    if "," in text:
        raise ScpiError(-108)
    if not _NUMBER.fullmatch(text):
        raise ScpiError(-104)
    if not low <= float(text) <= high:
        raise ScpiError(-222)
    return float(text)


def _choice(text: str, known: dict[str, str]) -> str:
    if not text:
        raise ScpiError(-109)
    if text.upper() not in known:
        raise ScpiError(-141)
    return known[text.upper()]


def _boolean(text: str) -> bool:
    return _choice(text, {"0": "", "OFF": "", "1": "1", "ON": "1"}) == "1"


DEVICE = DruckPaceController
