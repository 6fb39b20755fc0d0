"""The programming head of a pump under test: the ASCII link of docs/reference/pump-link.md, device side.

The head keeps no program of its own; it hands what it understands to the pump and reports what the pump says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote

from instruments.simulation.signal import (
    BolusKind,
    DeliveryProgram,
    PatientRule,
    PeriodicBolus,
    ProgramError,
    ProgrammedBolus,
    PumpState,
    PumpUnderTest,
)
from instruments.simulation.wire import LineDevice, SerialLine

UNKNOWN_COMMAND, BAD_ARGUMENT, NOT_POSSIBLE, OUT_OF_RANGE, BAD_SEQUENCE = 1, 2, 3, 4, 6
LOG_PAGE = 16
_ALARM_CHECK_S = 1.0
_PROGRAM_KEYS = ("mode", "rate", "steps", "boluses", "periodic", "ptm", "conc", "drug")
_KINDS: tuple[BolusKind, ...] = ("single", "priming", "bridge", "patient")
_REQUESTABLE: tuple[BolusKind, ...] = ("single", "patient", "priming")


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        table.append(crc & 0xFFFF)
    return table


_CRC_TABLE = _crc_table()


def crc16(text: bytes) -> int:
    """CRC-16/CCITT-FALSE: polynomial 1021h, start FFFFh, neither reflected nor inverted; "123456789" gives 29B1h."""
    crc = 0xFFFF
    for byte in text:
        crc = (crc << 8 & 0xFFFF) ^ _CRC_TABLE[crc >> 8 ^ byte]
    return crc


class LinkError(Exception):
    """A request that the head refuses, with the code of its ERR reply."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class PumpLinkDevice(LineDevice):
    """The serial link of a pump.

    Parameters
    ----------
    pump : the pump under test, as its programmer sees it.
    latency_s : time from the end of a request to the end of its reply; a request in between is answered BUSY.
    """

    line = SerialLine(baud=38_400)
    boot_s = 1.0

    def __init__(self, pump: PumpUnderTest, *, latency_s: float = 0.03) -> None:
        super().__init__()
        self.pump = pump
        self.latency_s = latency_s
        self._commands: dict[str, Callable[[dict[str, str], float], str]] = {
            "ID": self._identify, "TIME": self._time, "SET": self._set, "GET": self._get, "RUN": self._run,
            "STOP": self._stop, "BOLUS": self._bolus, "STAT": self._status, "LOG": self._log,
            "FILL": self._fill,
        }  # fmt: skip
        self._known_alarms: frozenset[str] = frozenset()
        self._checked_at = -math.inf
        self._events = 0
        self._held: PumpState | None = None
        self._forget()

    def _forget(self) -> None:
        self._last: tuple[int, str, str] | None = None  # sequence number, request, reply
        self._busy_until = -math.inf

    # -- the wire

    def on_reboot(self, now: float) -> None:
        """The head forgets the sequence; the pump goes on delivering."""
        self._forget()

    def boot_text(self) -> bytes:
        """The head reports that it has started."""
        return self._event_line("boot=1")

    def unsolicited(self) -> bytes:
        """An event without an alarm."""
        return self._event_line("alarm=")

    def advance(self, now: float) -> None:
        """Look for new alarms: every second while somebody listens, else when somebody comes back."""
        if now >= self.next_event():  # not a difference, whose last bit may say otherwise
            self._checked_at = now
            alarms = frozenset(self.pump.state(now).alarms)
            for alarm in sorted(alarms - self._known_alarms):
                self.emit(self._event_line(f"alarm={_text(alarm)}"), now)
            self._known_alarms = alarms

    def next_event(self) -> float:
        """The next look for alarms."""
        return self._checked_at + _ALARM_CHECK_S

    def _event_line(self, fields: str) -> bytes:
        self._events += 1
        return _framed("!", f"{self._events} EVT {fields}")

    def on_line(self, line: str, now: float) -> None:
        """Answer a request."""
        request = _checked_text(line.encode("latin-1"))
        if request is None:
            return  # damaged: its sequence number cannot be trusted either
        head, _, rest = request.partition(" ")
        if not head.isdigit() or not 1 <= int(head) <= 999_999:
            return
        sequence = int(head)
        if now < self._busy_until:
            self.emit(_framed("<", f"{sequence} BUSY"), now + self.latency_s)
            return
        if self._last is not None and self._last[:2] == (sequence, rest):
            reply = self._last[2]
        else:
            reply = self._execute(sequence, rest, now)
        self._busy_until = now + self.latency_s
        self.emit(_framed("<", reply), self._busy_until)

    def _execute(self, sequence: int, text: str, now: float) -> str:
        """Execute a request that is new and remember its reply."""
        name, *words = text.split(" ")
        try:
            if self._last is not None and sequence <= self._last[0] and name != "ID":
                raise LinkError(BAD_SEQUENCE, f"sequence number {sequence} after {self._last[0]}")
            command = self._commands.get(name)
            if command is None:
                raise LinkError(UNKNOWN_COMMAND, f"unknown command {name}")
            fields = command(_arguments(words), now)
            reply = f"{sequence} OK {fields}".rstrip()
        except LinkError as error:
            reply = f'{sequence} ERR code={error.code} text="{_text(str(error))}"'
            if error.code == BAD_SEQUENCE:
                return reply
        except ProgramError as error:
            reply = f'{sequence} ERR code={error.code} text="{_text(str(error))}"'
        self._last = (sequence, text, reply)
        return reply

    # -- commands

    def _identify(self, arguments: dict[str, str], now: float) -> str:
        _only(arguments)
        pump = self.pump
        return (
            f"maker={_text(pump.maker)} model={_text(pump.model)} serial={_text(pump.serial)} fw={_text(pump.firmware)}"
        )

    def _time(self, arguments: dict[str, str], now: float) -> str:
        _only(arguments)
        return f"clock={_number(self.pump.state(now).clock_s)}"

    def _set(self, arguments: dict[str, str], now: float) -> str:
        self.pump.load(parse_program(arguments), now)
        return ""

    def _get(self, arguments: dict[str, str], now: float) -> str:
        _only(arguments)
        program = self.pump.program(now)
        if program is None:
            raise LinkError(NOT_POSSIBLE, "no program")
        return format_program(program)

    def _run(self, arguments: dict[str, str], now: float) -> str:
        _only(arguments)
        if self.pump.program(now) is None:
            raise LinkError(NOT_POSSIBLE, "no program")
        self.pump.start(now)
        return ""

    def _stop(self, arguments: dict[str, str], now: float) -> str:
        _only(arguments)
        self.pump.stop(now)
        return ""

    def _bolus(self, arguments: dict[str, str], now: float) -> str:
        _only(arguments, "kind", "vol", "dur")
        kind = next((kind for kind in _REQUESTABLE if kind == arguments.get("kind")), None)
        if kind is None:
            raise LinkError(BAD_ARGUMENT, "kind is single, patient or priming")
        volume, duration = _value(arguments, "vol"), _value(arguments, "dur")
        answer = self.pump.bolus(volume, duration, kind, now)
        if answer == "ok":
            return "granted=1"
        reason = answer.partition(":")[2]
        if reason == "range":
            raise LinkError(OUT_OF_RANGE, "bolus out of range")
        return f"granted=0 reason={_text(reason)}"

    def _fill(self, arguments: dict[str, str], now: float) -> str:
        _only(arguments, "vol")
        self.pump.fill(_value(arguments, "vol"), now)
        return ""

    def _status(self, arguments: dict[str, str], now: float) -> str:
        _only(arguments)
        if self._held is None or not self.frozen:
            self._held = self.pump.state(now)
        state = self._held
        return (
            f"run={int(state.running)} mode={state.mode} delivered={_number(state.delivered_ul)} "
            f"reservoir={_number(state.reservoir_ul)} alarms={','.join(map(_text, state.alarms))} "
            f"clock={_number(state.clock_s)} stroke={_number(state.stroke_ul)}"
        )

    def _log(self, arguments: dict[str, str], now: float) -> str:
        """Entries from a number on, each ``<seconds of the pump's clock>,<text>``."""
        _only(arguments, "from")
        start = _value(arguments, "from")
        if start < 0 or start != int(start):
            raise LinkError(BAD_ARGUMENT, "from is a whole number, 0 or more")
        first = int(start)
        ahead = self.pump.state(now).clock_s - now  # the log's own times are on the run's clock
        page = self.pump.log()[first : first + LOG_PAGE]
        entries = ";".join(_text(f"{_number(t + ahead)},{text}") for t, text in page)
        return f"n={len(page)} next={first + len(page)} entries={entries}"


# -- programs on the wire


def parse_program(arguments: Mapping[str, str]) -> DeliveryProgram:
    """Program of the arguments of SET; raises `LinkError` with the key that is wrong."""
    _only(arguments, *_PROGRAM_KEYS)
    mode = arguments.get("mode")
    if mode not in ("stopped", "continuous", "flex"):
        raise LinkError(BAD_ARGUMENT, "mode is stopped, continuous or flex")
    if ("rate" in arguments) != (mode == "continuous") or ("steps" in arguments) != (mode == "flex"):
        raise LinkError(BAD_ARGUMENT, "rate belongs to mode continuous and steps to mode flex")
    periodic = patient = None
    if "periodic" in arguments:
        periodic = PeriodicBolus(*_floats("periodic", arguments["periodic"].split(":"), 4))
    if "ptm" in arguments:
        *numbers, day = arguments["ptm"].split(":")
        volume, duration, lockout, most = _floats("ptm", numbers, 4)
        if day not in ("calendar", "rolling") or most != int(most):
            raise LinkError(BAD_ARGUMENT, "ptm ends in a whole number and calendar or rolling")
        patient = PatientRule(volume, duration, lockout, int(most), "calendar" if day == "calendar" else "rolling")
    return DeliveryProgram(
        mode="stopped" if mode == "stopped" else "continuous" if mode == "continuous" else "flex",
        rate_ul_per_h=_value(arguments, "rate") if mode == "continuous" else 0.0,
        steps=tuple(_step(part) for part in arguments["steps"].split(",")) if mode == "flex" else (),
        boluses=tuple(_programmed(part) for part in arguments.get("boluses", "").split(",") if part),
        periodic=periodic,
        patient=patient,
        drug=unquote(arguments.get("drug", "")),
        concentration_ug_per_ml=_value(arguments, "conc") if "conc" in arguments else None,
    )


def format_program(program: DeliveryProgram) -> str:
    """Program as GET reports it: the arguments that SET would take."""
    parts = [f"mode={program.mode}"]
    if program.mode == "continuous":
        parts.append(f"rate={_number(program.rate_ul_per_h)}")
    elif program.mode == "flex":
        parts.append("steps=" + ",".join(_joined(tod, rate) for tod, rate in program.steps))
    if program.boluses:
        boluses = (f"{b.kind}:{_joined(b.at_s, b.volume_ul, b.duration_s)}" for b in program.boluses)
        parts.append("boluses=" + ",".join(boluses))
    if program.periodic is not None:
        p = program.periodic
        parts.append(f"periodic={_joined(p.volume_ul, p.duration_s, p.interval_s, p.first_s)}")
    if program.patient is not None:
        r = program.patient
        parts.append(f"ptm={_joined(r.volume_ul, r.duration_s, r.lockout_s)}:{r.max_per_day}:{r.day}")
    if program.concentration_ug_per_ml is not None:
        parts.append(f"conc={_number(program.concentration_ug_per_ml)}")
    if program.drug:
        parts.append(f"drug={_text(program.drug)}")
    return " ".join(parts)


def _step(part: str) -> tuple[float, float]:
    time_of_day, rate = _floats("steps", part.split(":"), 2)
    return time_of_day, rate


def _programmed(part: str) -> ProgrammedBolus:
    name, *numbers = part.split(":")
    kind = next((kind for kind in _KINDS if kind == name), None)
    if kind is None:
        raise LinkError(BAD_ARGUMENT, f"unknown kind of bolus {name}")
    at, volume, duration = _floats("boluses", numbers, 3)
    return ProgrammedBolus(at, volume, duration, kind)


# -- words and numbers


def _framed(start: str, text: str) -> bytes:
    body = text.encode("ascii")
    return start.encode("ascii") + body + b"*%04X\r\n" % crc16(body)


def _checked_text(line: bytes) -> str | None:
    """Text between ``>`` and ``*`` of a request whose CRC is right, else None."""
    body, star, crc = line.rpartition(b"*")
    if not star or body[:1] != b">" or crc != b"%04X" % crc16(body[1:]):
        return None
    try:
        return body[1:].decode("ascii")
    except UnicodeDecodeError:
        return None


def _arguments(words: list[str]) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals or key in arguments:
            raise LinkError(BAD_ARGUMENT, f"argument {word or 'empty'} is not key=value, each key once")
        arguments[key] = value
    return arguments


def _only(arguments: Mapping[str, str], *keys: str) -> None:
    for key in arguments:
        if key not in keys:
            raise LinkError(BAD_ARGUMENT, f"unknown argument {key}")


def _value(arguments: Mapping[str, str], key: str) -> float:
    if key not in arguments:
        raise LinkError(BAD_ARGUMENT, f"argument {key} is missing")
    return _floats(key, [arguments[key]], 1)[0]


def _floats(key: str, words: list[str], n: int) -> list[float]:
    """Numbers of an argument; Python's own spellings such as ``1_000`` and ``nan`` are no numbers here."""
    try:
        values = [float(word) for word in words if set(word) <= set("0123456789+-.eE")]
    except ValueError:
        values = []
    if len(values) != n or len(words) != n or not all(map(math.isfinite, values)):
        raise LinkError(BAD_ARGUMENT, f"{key} needs {n} number{'s' if n > 1 else ''}")
    return values


def _number(value: float) -> str:
    """Nine significant digits in the C locale."""
    return format(value, ".9g")


def _joined(*values: float) -> str:
    return ":".join(map(_number, values))


def _text(text: str) -> str:
    return quote(text, safe="")


DEVICE = PumpLinkDevice
