"""Sartorius balances with the SBI protocol (RS-232 9600 8O1, older ones 1200 7O1; USB and LAN converters).

Sources: SBI chapters of Cubis, EB and WZA manuals; the package ``sartorius`` for the reply of 22 characters.  ESC P
asks for a reading, ESC x1_, x2_, x3_ for model, serial number, software, ESC T tares and gets no answer.  A reply has
16 characters, or 22 with an identification before it.  Its **unit is blank while the reading is not stable**, so the
unit must be known beforehand (``unit`` in the station file); a stable reading in another one is an error.  From memory
and not verified against a real balance: where H, L, C and Err stand in their line.

SBI has no checksum and no way to ask for the tare, and a balance that is switched on takes its load as zero.  A weight
that has fallen by more than ``max_step`` while the balance was out of reach is taken for that: from then on readings
are flagged until it is tared again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from typing import ClassVar, Literal

from pydantic import Field
from pyvisa.constants import Parity
from pyvisa.resources import MessageBasedResource, SerialInstrument

from data.quantity_fields import MassMg, TimeS
from data.samples import UNUSABLE, Channel, Quality, Reading
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    Identity,
    InstrumentRefusal,
    InstrumentReplyError,
    Polled,
    Settings,
)
from instruments.recognition import Ask, Recognised, Recognition
from instruments.visa import SerialLine, VisaInstrument, VisaSettings

PRINT, TARE = b"\x1bP\r\n", b"\x1bT\r\n"
MODEL, SERIAL, SOFTWARE = b"\x1bx1_\r\n", b"\x1bx2_\r\n", b"\x1bx3_\r\n"

DIGITS_IN_A_STEP = 10.0
"""A largest step of fewer digits would be asked again at the noise of the last one."""

LOOK_S = 0.5
"""Time between two looks at a balance that is being tared."""

_WEIGHT = re.compile(rb"([ +-])( *\d+(?:\.\d+)?) (?=.{3}$)([A-Za-z%]*) *")
_ERROR = re.compile(rb"Err +(\d{1,3})")
_TEXT = re.compile(rb" *([\w./-][\x20-\x7e]*?) *\r?\n")
_COLUMNS, _IDENTIFIED = 14, 20
_MARKERS = (SERIAL, MODEL, SOFTWARE)

_NET = b"N"
_TO_MG = {b"g": b"e3", b"mg": b"e0", b"kg": b"e6"}  # as exponents: the decimal number that was sent, rounded once
_STATES = {b"H": Quality.OVERLOAD, b"HH": Quality.OVERLOAD, b"L": Quality.UNDERLOAD, b"LL": Quality.UNDERLOAD,
           b"C": Quality.DISTURBED}  # fmt: skip
_PARITY = {"odd": Parity.odd, "even": Parity.even}
_UNUSABLE, _UNSTABLE = int(UNUSABLE), int(Quality.UNSTABLE)


class SbiSettings(VisaSettings):
    """Settings of a balance."""

    timeout_s: TimeS = Field(0.6, alias="timeout", gt=0.0, description="longest wait for one reply")
    period_s: TimeS = Field(1.0, alias="period", gt=0.0, description="how often the weight is asked for")
    unit: Literal["g", "mg", "kg"] = Field("g", description="unit that is set at the balance")
    data_bits: Literal[7, 8] = Field(8, description="of a serial port: 7 for older balances")
    parity: Literal["odd", "even", "none"] = Field("odd", description="of a serial port: none behind some converters")
    stability_timeout_s: TimeS = Field(
        40.0, alias="stability_timeout", gt=0.0, description="how long a tare waits for a stable reading"
    )
    max_step_mg: MassMg = Field(
        1.0, alias="max_step", gt=0.0, description="a larger change from one reading to the next is asked again"
    )


def _recognise(ask: Ask) -> Recognised | None:
    """Model, serial number and software: each a text of its own in a line of 16 or 22 characters."""
    texts = []
    for question in (MODEL, SERIAL, SOFTWARE):
        reply = ask(question)
        found = _TEXT.fullmatch(reply)
        if found is None or _is_weight(reply) or len(reply.rstrip(b"\r\n")) not in (_COLUMNS, _IDENTIFIED):
            return None
        texts.append(found[1].decode("ascii"))
    return Recognised(Identity("Sartorius", *texts)) if len(set(texts)) == len(texts) else None


class SbiBalance(VisaInstrument, Polled):
    """One balance; meets `instruments.capabilities.Tareable`.

    The status channel holds a letter's code: S 83 stable, D 68 moving, H 72 overload, L 76 underload, C 67 being
    adjusted, E 69 error.
    """

    settings_type: ClassVar[type[Settings]] = SbiSettings
    settings: SbiSettings
    line = SerialLine(parity="odd")
    recognition = Recognition(
        "balance", _recognise, (line, SerialLine(baud=1200, data_bits=7, parity="odd"), SerialLine()), rank=3
    )

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self.channels = (
            Channel("mass", "mg", description="net weight", max_step=self.settings.max_step_mg),
            Channel("status", "1", description="letter of the reading's state as its character code"),
        )
        self._texts: dict[bytes, bytes] = {}  # its serial number, model and software, once they are known
        self._markers, self._marked = cycle(_MARKERS), SERIAL
        self._mute = False  # what is being sent gets no answer
        self._digit_mg = 0.0
        self._last_mg: float | None = None
        self._was_out_of_reach = self._zero_is_lost = False

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    def identify(self) -> Identity:
        """Serial number, model and software."""
        self._texts = {}
        told = {command: self._ask(command, self._text) for command in _MARKERS}
        if {command: self._ask(command, self._text) for command in _MARKERS} != told:
            raise InstrumentReplyError(self.name, "tells two serial numbers or models; the line is disturbed")
        if len(set(told.values())) == len(told):
            self._texts = told
        return Identity("Sartorius", told[MODEL].decode(), told[SERIAL].decode(), told[SOFTWARE].decode())

    def sample(self) -> Reading:
        """Net weight now, stable or not; asked again where it jumped."""
        reading = self._measure(PRINT, self._weight)
        mass_mg = reading.values[0]
        if not reading.quality[0] & _UNUSABLE:
            fell_mg = 0.0 if self._last_mg is None else self._last_mg - mass_mg
            if self._was_out_of_reach and fell_mg > self.settings.max_step_mg:
                self._lose_zero(f"shows {fell_mg:.6g} mg less than before it was out of reach: it was restarted, tared")
            self._was_out_of_reach, self._last_mg = False, mass_mg
        if not self._zero_is_lost:
            return reading
        return replace(reading, quality=(reading.quality[0] | int(Quality.DISTURBED), *reading.quality[1:]))

    def tare(self) -> None:
        """Wait until the reading is stable, tare, and see that it shows zero, within ``max_step``, twice in a row.

        Raises InstrumentRefusal when it does not become stable, is out of range or does not show zero.
        """
        until = self.clock.now() + self.settings.stability_timeout_s
        self._await(until, lambda mass_mg: True, "was not stable")
        self._zero_is_lost = True  # until the balance shows that it did it
        self._tell(TARE)
        for _ in range(2):
            self.clock.sleep(LOOK_S)
            self._await(until, lambda mass_mg: abs(mass_mg) <= self.settings.max_step_mg, "did not show zero")
        self._zero_is_lost = False

    def probe(self) -> list[str]:
        """Range, stability, coarse digits, a zero that is lost."""
        quality = self.sample().quality[0]
        problems = []
        if DIGITS_IN_A_STEP * self._digit_mg > self.settings.max_step_mg:
            problems.append(
                f"its digit of {self._digit_mg:g} mg is coarse for max_step; "
                f'write max_step = "{DIGITS_IN_A_STEP * self._digit_mg:g} mg" or more into the station file'
            )
        if self._zero_is_lost:
            problems.append("its zero is lost; tare it")
        elif quality & (Quality.OVERLOAD | Quality.UNDERLOAD):
            problems.append("its load is out of range")
        elif quality & _UNSTABLE:
            problems.append("its reading is not stable, so it does not tell its unit")
        elif quality:
            problems.append("it is being adjusted, or reports an error")
        return problems

    def make_safe(self) -> str:
        """A balance drives nothing."""
        return "a balance drives nothing"

    # -- parts of a tare

    def _await(self, until: float, is_right: Callable[[float], bool], what: str) -> None:
        """Wait for a stable reading that is right."""
        while True:
            reading = self.sample()
            quality = reading.quality[0] & ~int(Quality.DISTURBED)
            if not quality and is_right(reading.values[0]):
                return
            if self.clock.now() >= until:
                timeout_s = self.settings.stability_timeout_s
                raise InstrumentRefusal(self.name, f"{what} within {timeout_s:g} s; keep draughts away")
            self.clock.sleep(LOOK_S)

    def _tell(self, order: bytes) -> None:
        """Send an order, which gets no answer."""
        with self._one_call():
            self._ready()
            self._mute = True
            try:
                self._command(order, lambda _: None)
            finally:
                self._mute = False

    def _lose_zero(self, why: str) -> None:
        if not self._zero_is_lost:
            self._zero_is_lost = True
            self.note("warning", f'balance "{self.name}" {why} or unloaded; tare it again')

    # -- replies

    def _receive(self, port: MessageBasedResource) -> bytes:
        return b"" if self._mute else port.read_raw()

    def _weight(self, reply: bytes) -> Reading:
        """A weight, or the state that stands in its place."""
        identification, columns = self._columns(reply)
        state = columns.strip()
        if quality := _STATES.get(state):
            return Reading(self.sent_s, (math.nan, float(state[0])), (int(quality), 0))
        if _ERROR.fullmatch(state):
            return Reading(self.sent_s, (math.nan, float(ord("E"))), (int(Quality.DEVICE_ERROR), 0))
        if state == b"OFF":
            raise InstrumentRefusal(self.name, "is switched off at its keypad; switch it on")
        found = _WEIGHT.fullmatch(columns)
        if found is None:
            raise InstrumentReplyError(self.name, f"{reply!r} is no reading")
        sign, value, unit = found.groups()
        if identification not in (b"", _NET):
            what = identification.decode("latin-1")
            raise InstrumentReplyError(self.name, f'prints "{what}" where the net weight "N" is wanted; set it so')
        if unit and unit != self.settings.unit.encode():
            raise InstrumentReplyError(
                self.name, f"shows {unit.decode()} where {self.settings.unit} is expected; change the one or the other"
            )
        exponent = _TO_MG[self.settings.unit.encode()]
        self._digit_mg = float(b"1e-%d" % len(value.partition(b".")[2])) * float(b"1" + exponent)
        mass_mg = float(sign.strip() + value.strip() + exponent) + 0.0
        letter, quality = (b"S", Quality.GOOD) if unit else (b"D", Quality.UNSTABLE)
        return Reading(self.sent_s, (mass_mg, float(letter[0])), (int(quality), 0))

    def _columns(self, reply: bytes) -> tuple[bytes, bytes]:
        """Identification and the fourteen columns of a reply that came alone."""
        if self._left_over() not in (b"", reply):
            raise InstrumentReplyError(self.name, "more than one reply to one question")
        line = reply.removesuffix(b"\n").removesuffix(b"\r")
        if len(line) not in (_COLUMNS, _IDENTIFIED):
            raise InstrumentReplyError(self.name, f"{reply!r} has neither 16 nor 22 characters")
        return line[:-_COLUMNS].strip(), line[-_COLUMNS:]

    def _text(self, reply: bytes) -> bytes:
        found = _TEXT.fullmatch(reply)
        if found is None or self._left_over() not in (b"", reply) or _is_weight(reply):
            raise InstrumentReplyError(self.name, f"{reply!r} is no text")
        return found[1]

    # -- the port, and getting back in step

    def _set_line(self, port: SerialInstrument) -> None:
        """Set the port as the station says; a pseudo terminal refuses to be told of 7 data bits or a parity at all."""
        port.baud_rate = self.settings.baud or self.line.baud
        if self.settings.data_bits == 7:
            port.data_bits = 7
        if self.settings.parity != "none":
            port.parity = _PARITY[self.settings.parity]

    def _marker(self) -> bytes:
        """Serial number, model and software in turn; ESC ends half of a command."""
        self._marked = next(self._markers) if self._recognised else SERIAL
        return self._marked

    def _is_marked(self, reply: bytes) -> bool:
        found = _TEXT.fullmatch(reply)
        if found is None or _is_weight(reply):
            return False
        return not self._recognised or found[1] == self._texts.get(self._marked, found[1])

    def _restore(self) -> None:
        """Have the next weight compared with the last one."""
        self._was_out_of_reach = True


def _is_weight(reply: bytes) -> bool:
    line = reply.removesuffix(b"\n").removesuffix(b"\r")
    return len(line) in (_COLUMNS, _IDENTIFIED) and _WEIGHT.fullmatch(line[-_COLUMNS:]) is not None


DRIVER = SbiBalance
