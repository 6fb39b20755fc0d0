"""Mettler-Toledo balances with MT-SICS levels 0 and 1 (RS-232 or LAN, 9600 8N1).

Source: MT-SICS reference manuals for laboratory balances.  Every reading is asked for with ``SI``, which answers at
once; stability is judged here, so no late answer of a waiting ``S`` or ``T`` can come in the place of another.  MT-SICS
has no checksum and a weight does not name its question, so a reply counts only if it stands in its fixed columns and
nothing else arrived with it.

The tare lives in the balance and is lost with its power (or by ``@``).  It is kept here as well, compared whenever the
balance was out of reach or restarted, and set again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import cycle
from typing import ClassVar

from pydantic import Field

from data.quantity_fields import MassMg, TimeS
from data.samples import Channel, Quality, Reading
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    Identity,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    Polled,
    Settings,
)
from instruments.recognition import Ask, Recognised, Recognition
from instruments.visa import SerialLine, VisaInstrument, VisaSettings

_WEIGHT = re.compile(rb"S ([SD]) (?=.{10} )( *-?\d+(?:\.\d+)?) (g|mg|kg) *\r?\n")
_TARE = re.compile(rb"(?:TI ([SD])|TA (A)) (?=.{10} )( *-?\d+(?:\.\d+)?) (g|mg|kg) *\r?\n")
_ERROR = re.compile(rb"S S +Error (\d+)[bt]\r?\n")
_CAPACITY = re.compile(r"^(.*?)\s*(\d+(?:\.\d+)?) (g|kg)$")
_TO_MG = {b"g": b"e3", b"mg": b"e0", b"kg": b"e6"}  # as exponents: the decimal number that was sent, rounded once
_STATUS = {b"S": (83.0, 0), b"D": (68.0, int(Quality.UNSTABLE))}
_OUT_OF_RANGE = {b"S +": int(Quality.OVERLOAD), b"S -": int(Quality.UNDERLOAD)}
_REFUSED = {b"I": "is busy", b"L": "does not accept the value", b"+": "is overloaded", b"-": "is underloaded"}
_ERRORS = {b"ES": "does not know the command", b"ET": "received it damaged"}
_SERIAL_NUMBER = b'I4 A "'
_MARKERS = (b"I4", b"I3", b"I2", b"I5")

DIGITS_IN_A_STEP = 10.0
"""A largest step of fewer digits would be asked again at the noise of the last one."""

RESETS_AFTER = 4
"""A balance that failed so often to get in step is reset with ``@``, which ends whatever it was waiting for."""


class MtSicsSettings(VisaSettings):
    """Settings of a balance."""

    period_s: TimeS = Field(1.0, alias="period", gt=0.0, description="how often the weight is asked for")
    capacity_mg: MassMg | None = Field(None, alias="capacity", gt=0.0, description="largest load; else from I2")
    stability_timeout_s: TimeS = Field(
        40.0, alias="stability_timeout", gt=0.0, description="how long a tare waits for a stable reading"
    )
    max_step_mg: MassMg = Field(
        1.0, alias="max_step", gt=0.0, description="a larger change from one reading to the next is asked again"
    )


def _recognise(ask: Ask) -> Recognised | None:
    """Serial number, then model and software; an unknown command is answered with ES and does nothing."""
    serial = re.search(rb'I4 A "([^"]*)"\r?\n', ask(b"I4\r\n"))
    if serial is None:
        return None
    texts = [re.search(rb' A "([^"]*)"', ask(question)) for question in (b"I2\r\n", b"I3\r\n")]
    told, software = (found[1].decode("latin-1").strip() if found else "" for found in texts)
    model = capacity[1] if (capacity := _CAPACITY.match(told)) else told
    return Recognised(Identity("Mettler-Toledo", model, serial[1].decode("latin-1").strip(), software))


class MtSicsBalance(VisaInstrument, Polled):
    """One balance.  The status channel holds the code of the status letter: S 83, D 68, + 43, - 45, E 69 (error)."""

    settings_type: ClassVar[type[Settings]] = MtSicsSettings
    settings: MtSicsSettings
    recognition = Recognition("balance", _recognise, (SerialLine(),), rank=1)

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self.channels = (
            Channel("mass", "mg", description="net weight", max_step=self.settings.max_step_mg),
            Channel("status", "1", description="status letter of the reply as its character code"),
        )
        self.capacity_mg: float | None = self.settings.capacity_mg
        self._tare: bytes | None = None  # as the balance wrote it, "12.3456 g"
        self._was_reset = False
        self._markers, self._asked = cycle(_MARKERS), b""

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    def identify(self) -> Identity:
        """Serial number (I4), model and capacity (I2), software (I3)."""
        serial, told = self._ask(b"I4\r\n", self._text_of(b"I4")), self._ask(b"I2\r\n", self._text_of(b"I2"))
        if self._serial_number is None and self._ask(b"I4\r\n", self._text_of(b"I4")) != serial:
            raise InstrumentReplyError(self.name, "tells two serial numbers; the line is disturbed")
        software, model = self._ask(b"I3\r\n", self._text_of(b"I3")), told
        if found := _CAPACITY.match(told):
            model, value, unit = found.groups()
            if self.capacity_mg is None and self._ask(b"I2\r\n", self._text_of(b"I2")) == told:
                self.capacity_mg = float(value + _TO_MG[unit.encode()].decode())
        return Identity("Mettler-Toledo", model, serial, software)

    def sample(self) -> Reading:
        """Net weight now, stable or not; asked again where it jumped."""
        return self._measure(b"SI\r\n", self._weight)

    def tare(self) -> None:
        """Wait until the reading is stable, then take the load as zero.

        Raises InstrumentRefusal when it does not become stable or is out of range.
        """
        try:
            self._take_tare()
        except InstrumentError:
            self._in_step = False  # it may have taken a tare all the same; the one before is put back
            raise

    def _take_tare(self) -> None:
        until = self.clock.now() + self.settings.stability_timeout_s
        while True:
            if not self.sample().quality[0] and self._is_tared():
                return
            if self.clock.now() >= until:
                raise InstrumentRefusal(
                    self.name, f"was not stable within {self.settings.stability_timeout_s:g} s; keep draughts away"
                )
            self.clock.sleep(min(0.5, self.period_s))

    def _is_tared(self) -> bool:
        """Take a stable load as zero, and remember as what, once the balance has said so twice."""
        stable, said = self._ask(b"TI\r\n", self._tared)
        if not stable or _in_mg(self._ask(b"TA\r\n", self._tare_held)) != _in_mg(said):
            return False
        self._tare = said
        return True

    def probe(self) -> list[str]:
        """Automatic zero, sleep, unit, range and stability, as far as this balance tells them."""
        problems = []
        if self._setting(b"M03") == b"1":
            problems.append("automatic zero is on and would swallow a slow flow; switch it off (M03 0)")
        if self._setting(b"M16") not in (None, b"0"):
            problems.append("it may go to sleep; switch standby off")
        try:
            quality, digit_mg = self.sample().quality[0], self._ask(b"SI\r\n", self._digit_mg)
        except InstrumentReplyError as error:
            return [*problems, f"{error}; its unit must be g, mg or kg"]
        if DIGITS_IN_A_STEP * digit_mg > self.settings.max_step_mg:
            problems.append(
                f"its digit of {digit_mg:g} mg is coarse for max_step; "
                f'write max_step = "{DIGITS_IN_A_STEP * digit_mg:g} mg" or more into the station file'
            )
        if quality & (Quality.OVERLOAD | Quality.UNDERLOAD):
            problems.append("its load is out of range")
        elif quality & Quality.UNSTABLE:
            problems.append("its reading is not stable")
        elif quality & Quality.IMPLAUSIBLE:
            problems.append("its readings do not agree with one another")
        elif quality:
            problems.append("it reports a fault of its load cell")
        return problems

    def make_safe(self) -> str:
        """A balance drives nothing."""
        return "a balance drives nothing"

    # -- replies

    def _weight(self, reply: bytes) -> Reading:
        """Reading of an ``SI``; nothing but the fixed columns counts."""
        if self._left_over() not in (b"", reply):
            raise InstrumentReplyError(self.name, "more than one reply to one question")
        found = _WEIGHT.fullmatch(reply)
        if found is not None:
            letter, value, unit = found.groups()
            code, quality = _STATUS[letter]
            return Reading(self.sent_s, (float(value + _TO_MG[unit]), code), (quality, 0))
        line = reply.rstrip(b"\r\n")
        if outside := _OUT_OF_RANGE.get(line):
            return Reading(self.sent_s, (math.nan, float(line[2])), (outside, 0))
        if _ERROR.fullmatch(reply):
            return Reading(self.sent_s, (math.nan, float(ord("E"))), (int(Quality.DEVICE_ERROR), 0))
        raise self._unexpected(b"S", reply)

    def _digit_mg(self, reply: bytes) -> float:
        """Smallest difference that a weight shows; 0 where the reply is none."""
        found = _WEIGHT.fullmatch(reply)
        if found is None:
            return 0.0
        _, value, unit = found.groups()
        return float(b"1e-%d" % len(value.partition(b".")[2])) * float(b"1" + _TO_MG[unit])

    def _tared(self, reply: bytes) -> tuple[bool, bytes]:
        """Whether a ``TI`` found the load stable, and what it took as zero."""
        found = _TARE.fullmatch(reply)
        if found is None or found[2]:
            raise self._unexpected(b"TI", reply)
        return found[1] == b"S", _amount(found)

    def _tare_held(self, reply: bytes) -> bytes:
        found = _TARE.fullmatch(reply)
        if found is None or found[1]:
            raise self._unexpected(b"TA", reply)
        return _amount(found)

    def _text_of(self, command: bytes) -> Callable[[bytes], str]:
        """Interpret the reply to I2, I3 or I4: one text in quotes."""

        def read(reply: bytes) -> str:
            found = re.fullmatch(command + rb' A "([^"]*)"\r?\n', reply)
            if found is None:
                raise self._unexpected(command, reply)
            return found[1].decode("latin-1").strip()

        return read

    def _setting(self, command: bytes) -> bytes | None:
        """First value of a level 2 setting; None when this balance does not tell it."""

        def read(reply: bytes) -> bytes | None:
            found = re.match(command + rb" A (\S+)", reply)
            if found is None and reply.rstrip(b"\r\n") not in (b"ES", b"EL", command + b" I", command + b" L"):
                raise self._unexpected(command, reply)
            return found[1] if found else None

        return self._ask(command + b"\r\n", read)

    def _unexpected(self, command: bytes, reply: bytes) -> InstrumentReplyError:
        """Error for a reply that is not the one wanted: a refusal where the balance says so in its own words."""
        line = reply.rstrip(b"\r\n")
        if line.startswith(command + b" ") and (why := _REFUSED.get(line[len(command) + 1 :])):
            return InstrumentRefusal(self.name, f"{why} ({line.decode()})")
        if line == b"EL":
            return InstrumentRefusal(self.name, "cannot execute it now (EL)")
        if why := _ERRORS.get(line):
            return InstrumentReplyError(self.name, f"{why} ({line.decode()})")
        return InstrumentReplyError(self.name, f"{reply!r} is no reply to {command.decode()}")

    # -- getting back in step

    def _marker(self) -> bytes:
        """One of four questions in turn, so that a late answer to the one before is not taken for that to this one.

        Or ``@``, which also ends whatever the balance waits for, where no tare can be lost by it.  The line end before
        it completes what half of a command may stand in the balance's input.
        """
        self._was_reset = self._tare is None or self._lost_steps > RESETS_AFTER
        self._asked = next(self._markers)
        return b"\r\n%s\r\n" % (b"@" if self._was_reset else self._asked)

    def _is_marked(self, reply: bytes) -> bool:
        return reply.startswith(_SERIAL_NUMBER if self._was_reset else self._asked + b" A ")

    def _stray(self, data: bytes) -> None:
        """A serial number that nobody asked for is what a balance says when it has started."""
        if _SERIAL_NUMBER in data:
            self._in_step = False

    def _restore(self) -> None:
        """Compare the tare with the one that was set, and set it again where it is gone."""
        if self._tare is None:
            return
        for _ in range(2):  # a digit of the reply may be damaged
            if _in_mg(self._command(b"TA\r\n", self._tare_held)) == _in_mg(self._tare):
                return
        restored = self._command(b"TA " + self._tare + b"\r\n", self._tare_held)
        if _in_mg(restored) != _in_mg(self._tare):
            raise InstrumentReplyError(self.name, f"its tare is {restored!r} where {self._tare!r} was set")
        amount = self._tare.decode()
        if self._was_reset:
            self.note(
                "warning", f'balance "{self.name}" was reset to make it answer; its tare of {amount} is set again'
            )
        else:
            self.note(
                "warning",
                f'balance "{self.name}" was restarted: its tare of {amount} was gone and is set again; '
                "its zero point may have moved",
            )


def _amount(found: re.Match[bytes]) -> bytes:
    return found[3].strip() + b" " + found[4]


def _in_mg(amount: bytes) -> float:
    value, unit = amount.split(b" ")
    return float(value + _TO_MG[unit])


DRIVER = MtSicsBalance
