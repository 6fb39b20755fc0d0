"""A humidity and temperature transmitter on the serial commands of the Vaisala HMT330 series, device side.

``FORM`` is interpreted as the user guide (M210566EN, tables of the FORM command) describes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from instruments.simulation.signal import Signal
from instruments.simulation.wire import LineDevice, SerialLine

BITS_PER_CHARACTER = 10.0
DEFAULT_FORM = '"RH=" 4.1 rh " " U4 "T=" 4.1 t " " U3 #r #n'

_TOKEN = re.compile(r'\s*(?:"(?P<text>[^"]*)"|#(?P<special>\d{3}|[trn])|(?P<length>\d+\.\d+)|(?P<word>[A-Za-z]\w*))')
_SPECIAL = {"t": "\t", "r": "\r", "n": "\n"}
_INTERVALS = {"S": 1.0, "MIN": 60.0, "H": 3600.0}


class VaisalaTransmitter(LineDevice):
    """One transmitter.

    Parameters
    ----------
    humidity : relative humidity in %; not a number is a broken sensor.
    temperature : in degC; not a number is a broken sensor.
    heating : state of the heater as the STAT field shows it, such as "h 115" or "H 159.0"; "N 0" is none.
    echo : whether it echoes commands and shows a prompt, as it is delivered.
    streaming : whether it starts in mode RUN.
    """

    line = SerialLine(4800, 7, "E", 1.0)
    boot_s = 3.0

    def __init__(
        self,
        humidity: Signal,
        temperature: Signal,
        *,
        serial: str = "K0710040",
        model: str = "HMT330",
        version: str = "5.16",
        heating: str = "N 0",
        echo: bool = True,
        streaming: bool = False,
        latency_s: float = 0.1,
    ) -> None:
        super().__init__()
        self.humidity, self.temperature = humidity, temperature
        self.serial, self.model, self.version = serial, model, version
        self.heating = heating
        self.echo = echo
        self.metric = True
        self.form = DEFAULT_FORM
        self._latency_s = latency_s
        self._value = (math.nan, math.nan)
        self._read_once = False
        self._interval_s = 1.0
        self._starts_running = streaming
        self._next_s: float | None = 0.0 if streaming else None
        self._busy_until = -math.inf
        self._commands: dict[str, Callable[[str, float], str]] = {
            "SEND": lambda _, now: self._output(now),
            "FORM": self._set_form,
            "VERS": lambda _, __: f"{self.model} / {self.version}\r\n",
            "UNIT": self._set_unit,
            "ECHO": self._set_echo,
            "ERRS": lambda _, now: "No errors\r\n" if self._flags(now) == "0000" else f"Errors {self._flags(now)}\r\n",
            "INTV": self._set_interval,
            "R": self._run,
            "S": lambda _, __: "",
            "RESET": lambda _, __: f"{self.model} / {self.version}\r\n",
        }

    # -- the wire

    def on_line(self, line: str, now: float) -> None:
        """Execute a command; a running output listens to ``S`` alone."""
        text = line.strip()
        name, _, rest = text.partition(" ")
        if self._next_s is not None:
            if name.upper() == "S":
                self._next_s = None
            return
        command = self._commands.get(name.upper())
        echo = f"{text}\r\n" if self.echo else ""
        reply = "Unknown command\r\n" if command is None else command(rest.strip(), now)
        self._send(echo + reply + (">" if self.echo else ""), now)

    def _send(self, text: str, now: float) -> None:
        """One after the other: the line is slow."""
        begun = max(now + self._latency_s, self._busy_until)
        self._busy_until = begun + len(text) * BITS_PER_CHARACTER / self.line.baud
        self.emit(text.encode("latin-1"), self._busy_until)

    def on_reboot(self, now: float) -> None:
        """Settings survive; what was under way does not."""
        self._busy_until = -math.inf
        self._next_s = now + self.boot_s if self._starts_running else None

    def boot_text(self) -> bytes:
        """Name and version."""
        return f"{self.model} / {self.version}\r\n".encode()

    def unsolicited(self) -> bytes:
        """A line of the default form, as mode RUN sends it."""
        return b"RH= 33.0 %RH T= 22.1 'C\r\n"

    def next_event(self) -> float | None:
        """The next line of a running output."""
        return self._next_s

    def on_time(self, t: float) -> None:
        """Send one line."""
        self._next_s = t + max(self._interval_s, 0.2)
        self._send(self._output(t), t)

    # -- measuring

    def _measure(self, now: float) -> tuple[float, float]:
        if not (self.frozen and self._read_once):
            self._value = (self.humidity.at(now), self.temperature.at(now))
            self._read_once = True
        return self._value

    def _flags(self, now: float) -> str:
        """Error flags for P, T, Ta, RH."""
        humidity, degc = self._measure(now)
        return f"0{math.isnan(degc):d}0{math.isnan(humidity):d}"

    def _output(self, now: float) -> str:
        """One message in the present form."""
        message, length, unit = "", "3.1", ""
        for token in _TOKEN.finditer(self.form):
            if token["text"] is not None:
                message += token["text"]
            elif token["special"] is not None:
                special = token["special"]
                message += _SPECIAL[special] if special in _SPECIAL else chr(int(special))
            elif token["length"] is not None:
                length = token["length"]
            else:
                part, unit = self._part(token["word"], length, unit, message, now)
                message += part
        return message

    def _part(self, word: str, length: str, unit: str, message: str, now: float) -> tuple[str, str]:
        """Text of a quantity, unit or modifier, and the unit that belongs to the latest quantity."""
        humidity, degc = self._measure(now)
        name = word.upper()
        if name == "RH":
            return _number(humidity, length), "%RH"
        if name == "T":
            value = degc if self.metric else 1.8 * degc + 32.0
            return _number(value, length), "'C" if self.metric else "'F"
        if re.fullmatch(r"U\d*", name):
            return unit.ljust(int(name[1:] or 0)), unit
        total = sum(message.encode("latin-1"))
        xor = 0
        for byte in message.encode("latin-1"):
            xor ^= byte
        fields = {
            "ADDR": "0",
            "ERR": self._flags(now),
            "STAT": self.heating.ljust(7),
            "SN": self.serial,
            "CS2": f"{total % 0x100:02X}",
            "CS4": f"{total % 0x10000:04X}",
            "CSX": f"{xor:02X}",
        }
        return fields.get(name, ""), unit

    # -- settings

    def _set_form(self, rest: str, now: float) -> str:
        if not rest:
            return f"{self.form}\r\n"
        if _TOKEN.sub("", rest).strip() and rest != "/":
            return "Syntax error\r\n"
        self.form = DEFAULT_FORM if rest == "/" else rest
        return "OK\r\n"

    def _set_unit(self, rest: str, now: float) -> str:
        if rest.upper() in ("M", "N"):
            self.metric = rest.upper() == "M"
        return f"Output units   : {'metric' if self.metric else 'non metric'}\r\n"

    def _set_echo(self, rest: str, now: float) -> str:
        if rest.upper() in ("ON", "OFF"):
            self.echo = rest.upper() == "ON"
        return f"Echo           : {'ON' if self.echo else 'OFF'}\r\n"

    def _set_interval(self, rest: str, now: float) -> str:
        number, _, unit = rest.partition(" ")
        if number.isdigit() and (unit or "S").upper() in _INTERVALS:
            self._interval_s = float(number) * _INTERVALS[(unit or "S").upper()]
        return f"Output interval: {self._interval_s:.0f} S\r\n"

    def _run(self, rest: str, now: float) -> str:
        self._next_s = now + self._latency_s
        return ""


def _number(value: float, length: str) -> str:
    """A number with so many places before and behind its point; asterisks where there is none."""
    before, _, behind = length.partition(".")
    width = int(before) + bool(int(behind)) + int(behind)
    return "*" * width if math.isnan(value) else f"{value:{width}.{int(behind)}f}"


DEVICE = VaisalaTransmitter
