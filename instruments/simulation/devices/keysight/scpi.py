"""SCPI as Keysight's multimeters and data acquisition units speak it: a command tree, an error queue, status.

Source: the programming guides of Truevolt multimeters and of the DAQ970A and 34970A.  Headers in long and short form,
messages joined by ";" with relative paths, replies joined by ";", twenty errors kept.  After an error in a message the
rest of it is not executed; what its queries had answered until then is sent.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

ERRORS_KEPT = 20
_ERRORS = {
    -104: "Data type error", -108: "Parameter not allowed", -109: "Missing parameter", -113: "Undefined header",
    -213: "INIT ignored", -221: "Settings conflict", -222: "Data out of range", -224: "Illegal parameter value",
    -230: "Data stale", -350: "Error queue overflow",
}  # fmt: skip
UNDEFINED, TYPE, NOT_ALLOWED, MISSING, OUT_OF_RANGE, ILLEGAL, STALE, IGNORED, CONFLICT = (
    -113, -104, -108, -109, -222, -224, -230, -213, -221,
)  # fmt: skip
_COMMAND_ERROR, _EXECUTION_ERROR, _COMPLETE, _POWER_ON = 32, 16, 1, 128
_NUMBER = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:E[+-]?\d+)?) ?([MU]?[AVS])?", re.IGNORECASE)
_PREFIX = {"M": 1e-3, "U": 1e-6}

OVERLOAD = 9.9e37
_LEAST = 1e-15  # no converter tells less from nothing


class ScpiError(Exception):
    """A command that cannot be taken, with its code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Reply:
    """What a query answers, and how long that takes."""

    text: str
    takes_s: float = 0.0


Query = Callable[[str, float], Reply | str]
Command = Callable[[str, float], None]


class Header:
    """A header of the tree, such as ``[SENSe:]VOLTage[:DC]:NPLC``; query and command get parameter and moment."""

    def __init__(self, form: str, query: Query | None = None, command: Command | None = None) -> None:
        self.query, self.command = query, command
        pattern = re.sub(r"([A-Z]+)([a-z]+)", lambda found: f"{found[1]}(?:{found[2].upper()})?", form)
        pattern = pattern.replace("[", "(?:").replace("]", ")?").replace("*", r"\*")
        self.pattern = re.compile(pattern, re.IGNORECASE)


class Interpreter:
    """Executes messages against a tree of headers.

    Parameters
    ----------
    headers : the tree, without the common commands that every instrument has.
    identity : as ``*IDN?`` tells it.
    reset : what ``*RST`` does besides.
    """

    def __init__(self, headers: Iterable[Header], identity: str, reset: Callable[[], None]) -> None:
        self._tree = (*headers, *self._common(identity))
        self._reset = reset
        self._found: dict[str, Header] = {}
        self.power_up()

    def power_up(self) -> None:
        """Forget errors and status."""
        self._errors: deque[int] = deque()
        self._events, self._enabled, self._service = _POWER_ON, 0, 0

    def _common(self, identity: str) -> tuple[Header, ...]:
        return (
            Header("*IDN", lambda text, t: identity),
            Header("*OPC", lambda text, t: "1", lambda text, t: self._happened(_COMPLETE)),
            Header("*OPT", lambda text, t: "0"),
            Header("*TST", lambda text, t: "+0"),
            Header("*ESR", lambda text, t: self._taken_events()),
            Header("*ESE", lambda text, t: f"{self._enabled}", self._enable),
            Header("*SRE", lambda text, t: f"{self._service}", self._enable_service),
            Header("*STB", lambda text, t: f"{self._status()}"),
            Header("*CLS", None, lambda text, t: self._clear()),
            Header("*RST", None, lambda text, t: self._reset()),
            Header("*WAI", None, lambda text, t: None),
            Header("SYSTem:ERRor[:NEXT]", lambda text, t: self._next_error()),
            Header("SYSTem:VERSion", lambda text, t: "1994.0"),
        )

    def execute(self, message: str, now: float) -> tuple[str, float]:
        """Execute one message; returns the joined replies, empty for none, and when the last one is complete."""
        t, path, replies = now, "", list[str]()
        for part in filter(None, map(str.strip, message.split(";"))):
            given, _, parameter = part.partition(" ")
            if not given.startswith((":", "*")):
                given = path + given
            given = given.removeprefix(":")
            if not given.startswith("*"):
                path = given.rpartition(":")[0]
                path += ":" if path else ""
            try:
                reply = self._part(given, parameter.strip(), t)
            except ScpiError as error:
                self.keep_error(error.code)
                break
            if reply is not None:
                replies.append(reply.text)
                t += reply.takes_s
        return ";".join(replies), t

    def keep_error(self, code: int) -> None:
        """Put an error into the queue; the last place says that it ran over."""
        self._events |= _COMMAND_ERROR if code > -200 else _EXECUTION_ERROR
        if len(self._errors) == ERRORS_KEPT:
            self._errors[-1] = -350
        else:
            self._errors.append(code)

    def _part(self, given: str, parameter: str, t: float) -> Reply | None:
        name = given.removesuffix("?")
        header = self._header(name)
        if name == given:
            if header.command is None:
                raise ScpiError(UNDEFINED)
            header.command(parameter, t)
            return None
        if header.query is None:
            raise ScpiError(UNDEFINED)
        reply = header.query(parameter, t)
        return Reply(reply) if isinstance(reply, str) else reply

    def _header(self, name: str) -> Header:
        found = self._found.get(name)
        if found is None:
            found = next((header for header in self._tree if header.pattern.fullmatch(name)), None)
            if found is None:
                raise ScpiError(UNDEFINED)
            self._found[name] = found
        return found

    # -- status

    def _next_error(self) -> str:
        code = self._errors.popleft() if self._errors else 0
        return f'{code:+d},"{_ERRORS.get(code, "No error")}"'

    def _happened(self, event: int) -> None:
        self._events |= event

    def _taken_events(self) -> str:
        events, self._events = self._events, 0
        return f"{events}"

    def _status(self) -> int:
        byte = (4 if self._errors else 0) | (32 if self._events & self._enabled else 0)
        return byte | (64 if byte & self._service else 0)

    def _enable(self, text: str, t: float) -> None:
        self._enabled = int(number(text, 0.0, 255.0))

    def _enable_service(self, text: str, t: float) -> None:
        self._service = int(number(text, 0.0, 255.0))

    def _clear(self) -> None:
        self._errors.clear()
        self._events = 0


# -------------------------------------------------------------------------------------------------- parameters


def number(text: str, low: float, high: float, default: float | None = None) -> float:
    """A number with or without its unit; MIN, MAX and, where there is one, DEF."""
    word = text.strip().upper()
    known = {"MIN": low, "MINIMUM": low, "MAX": high, "MAXIMUM": high, "INF": high, "INFINITY": high}
    if default is not None:
        known |= {"DEF": default, "DEFAULT": default}
    if not word:
        raise ScpiError(MISSING)
    if word in known:
        return known[word]
    found = _NUMBER.fullmatch(word)
    if found is None:
        raise ScpiError(TYPE)
    value = float(found[1]) * _PREFIX.get((found[2] or "  ")[:-1], 1.0)
    if not low <= value <= high:
        raise ScpiError(OUT_OF_RANGE)
    return value


def choice(text: str, **words: str) -> str:
    """One of several words, each in its long or short form; ``IMM="IMMEDIATE"`` names both."""
    word = text.strip().upper()
    if not word:
        raise ScpiError(MISSING)
    for short, long in words.items():
        if word in (short, long):
            return short
    raise ScpiError(ILLEGAL)


def boolean(text: str) -> bool:
    """ON, OFF, 1 or 0."""
    word = text.strip().upper()
    if not word:
        raise ScpiError(MISSING)
    if word not in ("ON", "OFF", "1", "0"):
        raise ScpiError(ILLEGAL)
    return word in ("ON", "1")


def parts(text: str) -> list[str]:
    """Parameters between commas that stand in no bracket."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", text)] if text else []


def sent(value: float) -> str:
    """A reading on the wire."""
    return f"{value if abs(value) > _LEAST else 0.0:+.8E}"
