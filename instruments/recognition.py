"""Who is at a port that nobody knows: each driver asks who is there, in an order in which no question can do harm.

A driver declares how its instruments are recognised in its class attribute ``recognition``.  What it asks may be heard
by any other instrument, at any baud rate.  So a question asks and nothing else: it moves, zeroes, tares, starts, stops
and sets nothing, at no instrument that there is a driver for, and has no effect where its first or last bytes are lost.
The first instrument that is recognised ends the asking; drivers of lower ``rank`` ask first: those whose question is
answered by their own kind alone, before those whose question another kind might take for something.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, cast

from pyvisa import ResourceManager
from pyvisa.resources import MessageBasedResource, SerialInstrument

from instruments.clock import Clock
from instruments.instrument import Identity
from instruments.visa import WIRE_ERRORS, SerialLine, set_line
from instruments.visa_peek import peek_byte_by_byte, peek_of

ANSWER_S = 0.3
"""How long the first byte of an answer is waited for, unless a driver knows better."""

QUIET_S = 0.08
"""An answer is over when nothing has come for so long; a USB adapter may hold back a part for 16 ms."""

PAUSE_S = 0.3
"""What passes after a line that is none: a circulator hears nothing for 250 ms after one."""

LONGEST_S, MOST_BYTES = 1.0, 4096
"""What talks for longer, or more, does not answer."""

WHO = b"*IDN?\r\n"
"""The question of SCPI, in one form for all drivers, so that it is asked once."""

_LOOK_S = 0.004


class Ask(Protocol):
    """Ask something; returns all that came back, empty for silence."""

    def __call__(self, question: bytes, within_s: float = ANSWER_S) -> bytes:
        """Ask, unless that was asked at this port already."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """An instrument that has said who it is, and what else a station file should say of it, by its keys."""

    identity: Identity
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recognition:
    """How the instruments of a driver are recognised.

    Attributes
    ----------
    name : what a station would call such an instrument.
    recognise : asks, and says who it is; None for what is none of its kind.
    lines : how a serial port may be set for them, the usual one first; none for instruments without one.
    rank : those of lower rank ask first.
    on_messages : whether it may be asked on USB, GPIB and VXI-11, where nothing but SCPI is expected.
    """

    name: str
    recognise: Callable[[Ask], Recognised | None]
    lines: tuple[SerialLine, ...] = ()
    rank: int = 5
    on_messages: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What was found at a port.

    Attributes
    ----------
    driver : name of the driver that recognised it; empty where none did, then ``why`` says more.
    line : how the serial port was set.
    """

    resource: str
    driver: str = ""
    recognised: Recognised | None = None
    line: SerialLine | None = None
    why: str = ""


class _OutOfTimeError(Exception):
    """The time for a port is over."""


class _Conversation:
    """One port, set in one way; meets `Ask`."""

    def __init__(self, port: MessageBasedResource, clock: Clock, until: float) -> None:
        self._port, self._clock, self._until = port, clock, until
        is_serial = isinstance(port, SerialInstrument)
        self._peek = peek_of(port) if is_serial else partial(peek_byte_by_byte, most=MOST_BYTES)
        self._is_stream = is_serial or port.resource_class == "SOCKET"
        self._answers: dict[bytes, bytes] = {}
        self._line_is_open = self._ends_line = False
        self.heard = 0  # bytes, in all

    def __call__(self, question: bytes, within_s: float = ANSWER_S) -> bytes:
        """Ask, unless that was asked already."""
        if question not in self._answers:
            if self._clock.now() + within_s > self._until:
                raise _OutOfTimeError
            self._answers[question] = self._asked(question, within_s)
            self.heard += len(self._answers[question])
        return self._answers[question]

    def begin(self) -> None:
        """Let another driver ask: what the one before has sent, if it ended no line, is none that follows."""
        self._ends_line = self._line_is_open

    def end_line(self) -> None:
        """End what an instrument may have taken for the beginning of a line, and drop what it says to that."""
        self._line_is_open = self._ends_line = False
        if self._is_stream:
            self._port.write_raw(b"\r\n")
            self._clock.sleep(PAUSE_S)
            self.heard += len(self._peek(self._port))

    def _asked(self, question: bytes, within_s: float) -> bytes:
        if self._is_stream:
            if self._ends_line:
                self.end_line()
            self._peek(self._port)
            self._port.write_raw(question)
            self._line_is_open = question[-1:] not in (b"\r", b"\n")
            return self._listened(within_s)
        self._port.timeout = 1000.0 * within_s
        self._port.write_raw(question)
        with contextlib.suppress(*WIRE_ERRORS):  # silence is one of them
            return self._port.read_raw()
        return b""

    def _listened(self, within_s: float) -> bytes:
        begun_s = last_s = self._clock.now()
        data = b""
        while True:
            more = self._peek(self._port)
            now = self._clock.now()
            if more:
                data, last_s = data + more, now
            if len(data) > MOST_BYTES or now - begun_s > LONGEST_S + within_s:
                return data
            if now - last_s >= (QUIET_S if data else within_s):
                return data
            self._clock.sleep(_LOOK_S)


def look_at(
    resource: str,
    drivers: Mapping[str, Recognition],
    manager: ResourceManager,
    clock: Clock,
    *,
    within_s: float,
) -> Found:
    """Find out which driver fits what is at a port.

    Parameters
    ----------
    drivers : how each driver recognises its instruments, by the driver's name.
    within_s : longest time for all of it, opening apart.

    Returns
    -------
    Found
        With a sentence in ``why`` where no driver recognised anything.
    """
    until, heard = clock.now() + within_s, 0
    for line, group in _lines(resource, drivers):
        try:
            with _opened(resource, line, manager) as port:
                ask = _Conversation(port, clock, until)
                try:
                    if line is not None:
                        ask.end_line()
                    for name, recognition in group:
                        ask.begin()
                        recognised = recognition.recognise(ask)
                        if recognised is not None:
                            return Found(resource, name, recognised, line)
                finally:
                    heard += ask.heard
        except _OutOfTimeError:
            return Found(resource, why=f"its {within_s:g} s were over before every driver had asked")
        except _OpenError as error:
            return Found(resource, why=str(error))
        except WIRE_ERRORS as error:
            return Found(resource, why=f"the connection fails: {_said(error)}; check cable, power and address")
    if heard:
        return Found(resource, why="something talks there, but as no instrument that there is a driver for")
    return Found(resource, why="nothing answers; check power and cable, or nothing is there that tells who it is")


class _OpenError(Exception):
    """A port that cannot be opened."""


@contextlib.contextmanager
def _opened(resource: str, line: SerialLine | None, manager: ResourceManager) -> Iterator[MessageBasedResource]:
    port = _open(resource, manager)
    try:
        if line is not None and isinstance(port, SerialInstrument):
            try:
                set_line(port, line)
            except WIRE_ERRORS:  # a pseudo terminal has 8 data bits and no parity, whatever is at its other end
                port.close()
                port = _open(resource, manager)
                assert isinstance(port, SerialInstrument)
                set_line(port, SerialLine(line.baud))
        yield port
    finally:
        with contextlib.suppress(*WIRE_ERRORS):
            port.close()


def _open(resource: str, manager: ResourceManager) -> MessageBasedResource:
    try:
        return cast(MessageBasedResource, manager.open_resource(resource, open_timeout=2000))
    except Exception as error:  # pyvisa-py raises a bare Exception where a host does not answer
        why = f"it cannot be opened: {_said(error)}; check its name, the cable and who else uses it"
        raise _OpenError(why) from error


def _lines(
    resource: str, drivers: Mapping[str, Recognition]
) -> Iterable[tuple[SerialLine | None, list[tuple[str, Recognition]]]]:
    """Settings of a port to be tried, each with the drivers that ask then, in their order."""
    ordered = sorted(drivers.items(), key=lambda item: (item[1].rank, item[0]))
    if not resource.upper().startswith("ASRL"):
        is_stream = resource.upper().endswith("::SOCKET")
        return [(None, [item for item in ordered if is_stream or item[1].on_messages])]
    groups: dict[SerialLine, list[tuple[str, Recognition]]] = {}
    for item in ordered:
        for line in item[1].lines:
            groups.setdefault(line, []).append(item)
    return list(groups.items())


def _said(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def any_of(kinds: Mapping[str, Any]) -> dict[str, Recognition]:
    """How each of some driver classes recognises its instruments; those that do not are left out."""
    found = {name: getattr(kind, "recognition", None) for name, kind in kinds.items()}
    return {name: each for name, each in found.items() if isinstance(each, Recognition)}
