"""Keller X-line pressure transmitters (33X, 35X, 36X, PRD) on the Keller bus (RS-485, 9600 8N1, half duplex).

Sources: Keller's description of the communication protocol of the X-line, and the published vectors of functions 48
and 73.  A frame is address, function, data and CRC-16 with the high byte first; its length follows from its function,
so no character ends it.  After power-up a transmitter answers nothing but function 48.  The driver gets back in step
with one of four functions in turn, of which it uses two for nothing else: a late answer to the one before is not taken
for that to this one.  From memory, not verified against a real transmitter: the bits of the status byte, infinities for
values beyond the range, the range coefficients.
"""

from __future__ import annotations

import math
import struct
from functools import partial
from itertools import cycle
from typing import ClassVar, Literal

from pydantic import Field
from pyvisa.resources import MessageBasedResource

from data.quantity_fields import LengthMm, TimeS
from data.samples import Channel, Quality, Reading
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    Identity,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    Polled,
    Settings,
)
from instruments.recognition import Ask, Recognised, Recognition
from instruments.visa import SerialLine, VisaInstrument, VisaSettings

BAR_KPA = 100.0

_COEFFICIENT, _INITIALISE, _SERIAL, _VALUE, _INTEGER = 30, 48, 69, 73, 74
_REQUEST_LENGTH = {_COEFFICIENT: 5, _INITIALISE: 4, _SERIAL: 4, _VALUE: 5, _INTEGER: 5}
_REPLY_LENGTH = {_COEFFICIENT: 8, _INITIALISE: 10, _SERIAL: 8, _VALUE: 9, _INTEGER: 9}
_SHORTEST_S = 0.001  # that VISA can wait
_ZERO = 64  # number of a coefficient
_MARKERS = ((_INITIALISE,), (_COEFFICIENT, _ZERO), (_SERIAL,), (_INTEGER, 1))
_EXCEPTION, _EXCEPTION_LENGTH = 0x80, 5
_EXCEPTIONS = {1: "does not know the function", 2: "has no such channel", 3: "refuses the value"}
_NOT_INITIALISED = 32
_ANY_ADDRESS = 250  # every transmitter answers to it; whether under it or under its own address is not certain

_CHANNELS = {"P1": 1, "P2": 2}  # number of function 73, and of the bit of the status byte that says it failed
_ANALOG_ERROR, _POWER_UP_MODE = 0x40, 0x80


def _crc_table() -> tuple[int, ...]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


class KellerSettings(VisaSettings):
    """Settings of a transmitter."""

    reference: Literal["gauge", "absolute"] = Field(
        description="what it measures against: PR is gauge, PA and PAA absolute"
    )
    channel: Literal["P1", "P2"] = Field("P1", description="sensor to be read")
    address: int = Field(1, ge=1, le=250, description="on the bus; 250 reaches the only one that is connected")
    echo: bool = Field(False, description="the adapter (K-102, K-104, K-107) repeats what is sent")
    period_s: TimeS = Field(0.2, alias="period", gt=0.0, description="how often the pressure is asked for")
    height_mm: LengthMm = Field(0.0, alias="height", description="above the outlet of the pump under test")


def _recognise(ask: Ask) -> Recognised | None:
    """Functions 48 and 69 at the address that every transmitter answers; an adapter may repeat the question."""
    question = _framed(bytes((_ANY_ADDRESS, _INITIALISE)))
    heard = ask(question)
    echo = heard.startswith(question)
    told = heard[len(question) :] if echo else heard
    if len(told) != _REPLY_LENGTH[_INITIALISE] or told[1] != _INITIALISE or not _intact(told):
        return None
    settings: dict[str, int | bool] = {"address": told[0], **({"echo": True} if echo else {})}
    number = ask(_framed(bytes((_ANY_ADDRESS, _SERIAL))))[-_REPLY_LENGTH[_SERIAL] :]
    serial = str(int.from_bytes(number[2:6], "big")) if _intact(number) and number[1] == _SERIAL else ""
    kind, group, year, week = told[2:6]
    firmware = f"{kind}.{group:02d}-{year:02d}.{week:02d}"
    return Recognised(Identity("Keller", f"X-line {kind}.{group:02d}", serial, firmware), settings)


class KellerX(VisaInstrument, Polled):
    """One transmitter.  The status channel holds the status byte as it was sent."""

    settings_type: ClassVar[type[Settings]] = KellerSettings
    settings: KellerSettings
    line = SerialLine()
    recognition = Recognition("transmitter", _recognise, (line,), rank=3)
    terminator = ""

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        own = self.settings
        self._number = _CHANNELS[own.channel]
        self.channels = (
            Channel("pressure", "kPa", own.reference, own.height_mm, f"{own.reference} pressure"),
            Channel("status", "1", description="status byte of the reply"),
        )
        self._markers, self._marked = cycle(_MARKERS), _INITIALISE
        self._restarted = False

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    def identify(self) -> Identity:
        """Device class and firmware (function 48), serial number (function 69)."""
        kind, group, year, week, _, _ = self._call(_INITIALISE)
        (serial,) = struct.unpack(">I", self._call(_SERIAL))
        return Identity(
            "Keller", f"X-line {kind}.{group:02d}", str(serial), f"{kind}.{group:02d}-{year:02d}.{week:02d}"
        )

    def sample(self) -> Reading:
        """Pressure now; the transmitter measures every few milliseconds, in bar."""
        pressure_bar, status = struct.unpack(">fB", self._call(_VALUE, self._number))
        quality = _quality(pressure_bar, status, self._number)
        kpa = pressure_bar * BAR_KPA if math.isfinite(pressure_bar) else math.nan
        return Reading(self.sent_s, (kpa, float(status)), (quality, 0))

    def probe(self) -> list[str]:
        """A reading that may not be used, and why."""
        quality = self.sample().quality[0]
        if quality & (Quality.OVERLOAD | Quality.UNDERLOAD | Quality.SATURATED):
            return ["its pressure is out of range"]
        return ["it reports a fault of its sensor"] if quality & Quality.DEVICE_ERROR else []

    def make_safe(self) -> str:
        """A transmitter drives nothing."""
        return "a pressure transmitter drives nothing"

    # -- frames

    def _call(self, function: int, *data: int) -> bytes:
        """Data of the reply to one function."""
        frame = _framed(bytes((self.settings.address, function, *data)))
        return self._ask(frame, partial(self._data, function))

    def _data(self, function: int, frame: bytes) -> bytes:
        if self._left_over() not in (b"", frame):
            raise InstrumentReplyError(self.name, "more than one reply to one question")
        if not _intact(frame):
            raise InstrumentReplyError(self.name, f"damaged frame {frame.hex(' ')}")
        if frame[1] == function:
            return frame[2:-2]
        if frame[1] != function | _EXCEPTION:
            raise InstrumentReplyError(self.name, f"answered function {frame[1]} when asked {function}")
        code = frame[2]
        if code == _NOT_INITIALISED:  # it has restarted; getting back in step initialises it
            raise InstrumentReplyError(self.name, "was not initialised")
        raise InstrumentRefusal(self.name, f"{_EXCEPTIONS.get(code, 'fails')} (function {function}, error {code})")

    def _receive(self, port: MessageBasedResource) -> bytes:
        """One frame after the adapter's echo; what cannot begin one is dropped byte by byte.

        The first two bytes tell how many there are to come: an exception is shorter than the reply that was hoped
        for, and a read of too many bytes would time out and throw away what it had.
        """
        usual = port.timeout
        until = self.clock.now() + usual / 1000.0
        try:
            if self.settings.echo and not _intact(self._frame(port, until, _REQUEST_LENGTH, 0)):
                raise InstrumentReplyError(
                    self.name, "the adapter does not repeat what is sent, or the line damages it; check `echo`"
                )
            return self._frame(port, until, _REPLY_LENGTH, _EXCEPTION_LENGTH)
        finally:
            port.timeout = usual

    def _frame(self, port: MessageBasedResource, until: float, lengths: dict[int, int], exception: int) -> bytes:
        head = port.read_bytes(2)
        while True:
            address, function = head
            if self.settings.address in (address, _ANY_ADDRESS):
                length = lengths.get(function) or (exception if function & ~_EXCEPTION in lengths else 0)
                if length:
                    return head + self._bytes(port, length - 2, until)
            head = head[1:] + self._bytes(port, 1, until)

    def _bytes(self, port: MessageBasedResource, count: int, until: float) -> bytes:
        """So many bytes, before a moment."""
        left = until - self.clock.now()
        if left < _SHORTEST_S:
            raise InstrumentTimeout(self.name, "no whole reply in time")
        port.timeout = 1000.0 * left
        return port.read_bytes(count)

    def _marker(self) -> bytes:
        marker = next(self._markers) if self._recognised else _MARKERS[0]
        self._marked = marker[0]
        return _framed(bytes((self.settings.address, *marker)))

    def _is_marked(self, reply: bytes) -> bool:
        """An exception is an answer too: the transmitter may have restarted, or not have that function."""
        if reply[1] & ~_EXCEPTION != self._marked or not _intact(reply):
            return False
        self._restarted = reply[1] != self._marked and reply[2] == _NOT_INITIALISED
        return True

    def _restore(self) -> None:
        """Initialise a transmitter that has restarted."""
        if self._restarted:
            self._call(_INITIALISE)
            self._restarted = False

    def _stray(self, data: bytes) -> None:
        """Our own question comes back from an adapter that repeats everything."""
        own = tuple(_framed(bytes((self.settings.address, *marker))) for marker in _MARKERS)
        if not self.settings.echo and data.startswith(own):
            raise InstrumentReplyError(self.name, "the adapter repeats what is sent; write echo = true")


def _quality(pressure_bar: float, status: int, channel: int) -> int:
    """Quality bits of a value and its status byte (bit n: channel n failed, 6: analog output, 7: power-up mode)."""
    quality = Quality.GOOD
    if math.isnan(pressure_bar) or status & 1 << channel:
        quality |= Quality.DEVICE_ERROR
    if math.isinf(pressure_bar):
        quality |= Quality.OVERLOAD if pressure_bar > 0.0 else Quality.UNDERLOAD
    if status & _ANALOG_ERROR:
        quality |= Quality.SATURATED
    if status & _POWER_UP_MODE:
        quality |= Quality.UNSTABLE
    return int(quality)


def _crc16(data: bytes) -> bytes:
    """CRC-16 (start FFFFh, polynomial A001h reflected), high byte first; "123456789" gives 4B37h."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "big")


def _framed(content: bytes) -> bytes:
    return content + _crc16(content)


def _intact(frame: bytes) -> bool:
    return len(frame) > 3 and _crc16(frame[:-2]) == frame[-2:]


DRIVER = KellerX
