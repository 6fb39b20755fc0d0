"""A Keller X-line pressure transmitter on the Keller bus (RS-485, 9600 8N1, half duplex).

Sources: Keller's description of the communication protocol of the X-line and the vectors of functions 48 and 73.
Functions 30, 31, 48, 66, 69, 73 and 74; everything but 48 is answered with exception 32 until 48 has been called.  A
frame with a wrong CRC or another address is not answered.  From memory, not verified against a real transmitter: the
bits of the status byte, infinities beyond the range, the numbers of the coefficients, how an address is changed.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable

from instruments.simulation.signal import Signal
from instruments.simulation.wire import ByteDevice, SerialLine

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, NOT_INITIALISED = 1, 2, 3, 32
EVERY_ADDRESS, TRANSPARENT_ADDRESS = 0, 250

_LENGTHS = {30: 5, 31: 9, 48: 4, 66: 5, 69: 4, 73: 5, 74: 5}  # of a request, address and CRC included
_FIRMWARE = bytes((5, 20, 12, 28, 50, 1))  # class, group, year, week, receive buffer, status
_P1, _T, _TOB1 = 1, 3, 4
_ZERO, _GAIN, _LOW, _HIGH = 64, 65, 80, 81
_CONVERSIONS_PER_S = 400
_FRAME_GAP_S = 0.05
_ATMOSPHERE_HPA = 1013.25


def crc16(data: bytes) -> int:
    """CRC-16 with start FFFFh and polynomial A001h, bit by bit; "123456789" gives 4B37h."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            carry = crc & 1
            crc >>= 1
            if carry:
                crc ^= 0xA001
    return crc


class BusError(Exception):
    """A request that the transmitter refuses, with the code of its exception."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class KellerXTransmitter(ByteDevice):
    """A transmitter whose cell sees ``signal``.

    Parameters
    ----------
    signal : gauge pressure in kPa at its port.
    ambient : barometric pressure in hPa, for an absolute transmitter; a standard atmosphere without it.
    temperature : of the cell, in °C; 22 °C without it.
    absolute : it measures against vacuum.
    low_kpa, high_kpa : its range; beyond, it sends infinity.
    serial, address : as functions 69 and 66 tell them.
    echo : its adapter repeats what the host sends, as K-102 and K-104 do.
    noise_kpa : standard deviation of a conversion.
    latency_s : time from the end of a request to the end of its reply at the host.
    """

    line = SerialLine()
    boot_s = 0.5

    def __init__(
        self,
        signal: Signal,
        *,
        ambient: Signal | None = None,
        temperature: Signal | None = None,
        absolute: bool = False,
        low_kpa: float = -100.0,
        high_kpa: float = 300.0,
        serial: int = 55_303,
        address: int = 1,
        echo: bool = False,
        noise_kpa: float = 0.005,
        latency_s: float = 0.02,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 1 <= address < TRANSPARENT_ADDRESS:
            raise ValueError(f"transmitter {serial}: address {address} is not possible; take 1 to 249")
        self.signal, self.ambient, self.temperature = signal, ambient, temperature
        self.absolute = absolute
        self.serial, self.address, self.echo = serial, address, echo
        self.noise_kpa, self.latency_s = noise_kpa, latency_s
        self.coefficients = {_ZERO: 0.0, _GAIN: 1.0, _LOW: low_kpa / 100.0, _HIGH: high_kpa / 100.0}
        self.status = 0
        self._seed = seed
        self._functions: dict[int, Callable[[bytes, float], bytes]] = {
            30: self._read_coefficient, 31: self._write_coefficient, 48: self._initialise, 66: self._set_address,
            69: self._serial_number, 73: self._value, 74: self._integer_value,
        }  # fmt: skip
        self._bar: float | None = None  # the latest conversion
        self._initialised = False
        self._buffer = b""
        self._heard_at = -math.inf

    # -- the wire

    def on_bytes(self, data: bytes, now: float) -> None:
        """Answer the frames that are complete; a pause ends one that is not."""
        if now - self._heard_at > _FRAME_GAP_S:
            self._buffer = b""
        self._heard_at = now
        self._buffer += data
        answers = b""
        while frame := self._next_frame():
            answers += self._answer(frame, now)
        echoed = data if self.echo else b""
        if echoed or answers:
            self.emit(echoed + answers, now + self.latency_s)

    def _next_frame(self) -> bytes:
        """The first whole frame of what was received; a function that is not known ends with the message."""
        if len(self._buffer) < 4:
            return b""
        length = _LENGTHS.get(self._buffer[1], len(self._buffer))
        if len(self._buffer) < length:
            return b""
        frame, self._buffer = self._buffer[:length], self._buffer[length:]
        return frame

    def _answer(self, frame: bytes, now: float) -> bytes:
        address, function = frame[:2]
        if crc16(frame[:-2]) != int.from_bytes(frame[-2:], "big"):
            return b""
        if address not in (self.address, TRANSPARENT_ADDRESS, EVERY_ADDRESS):
            return b""
        try:
            content = bytes((address, function)) + self._execute(function, frame[2:-2], now)
        except BusError as error:
            content = bytes((address, function | 0x80, error.code))
        if address == EVERY_ADDRESS:
            return b""
        return content + crc16(content).to_bytes(2, "big")

    def _execute(self, function: int, data: bytes, now: float) -> bytes:
        if not self._initialised and function != 48:
            raise BusError(NOT_INITIALISED)
        if function not in self._functions:
            raise BusError(ILLEGAL_FUNCTION)
        return self._functions[function](data, now)

    def on_reboot(self, now: float) -> None:
        """It has to be initialised again."""
        self._initialised = False
        self._buffer = b""

    def unsolicited(self) -> bytes:
        """What a driver that is switched on puts on the bus."""
        return b"\x00\xff"

    # -- functions

    def _initialise(self, data: bytes, now: float) -> bytes:
        self._initialised = True
        return _FIRMWARE

    def _serial_number(self, data: bytes, now: float) -> bytes:
        return struct.pack(">I", self.serial)

    def _set_address(self, data: bytes, now: float) -> bytes:
        """A new address, or the present one when 0 is given; the reply still comes under the old one."""
        (new,) = data
        if new >= TRANSPARENT_ADDRESS:
            raise BusError(ILLEGAL_VALUE)
        self.address = new or self.address
        return bytes((self.address,))

    def _value(self, data: bytes, now: float) -> bytes:
        value, _ = self._channel(data[0], now)
        return struct.pack(">fB", value, self._status(value))

    def _integer_value(self, data: bytes, now: float) -> bytes:
        """Pressure in Pa, temperature in hundredths of a degree."""
        value, per_unit = self._channel(data[0], now)
        limited = max(-(2.0**31), min(2.0**31 - 1.0, value * per_unit))
        return struct.pack(">iB", round(limited), self._status(value))

    def _status(self, value: float) -> int:
        return self.status | (0x40 if math.isinf(value) else 0)

    def _read_coefficient(self, data: bytes, now: float) -> bytes:
        if data[0] not in self.coefficients:
            raise BusError(ILLEGAL_ADDRESS)
        return struct.pack(">f", self.coefficients[data[0]])

    def _write_coefficient(self, data: bytes, now: float) -> bytes:
        """Zero and gain of P1 can be set; the limits of the range are the maker's."""
        number, value = struct.unpack(">Bf", data)
        if number not in (_ZERO, _GAIN):
            raise BusError(ILLEGAL_ADDRESS)
        if not math.isfinite(value):
            raise BusError(ILLEGAL_VALUE)
        self.coefficients[number] = value
        return b"\x00"

    # -- the cell

    def _channel(self, number: int, now: float) -> tuple[float, float]:
        """Value of a channel and the factor by which function 74 multiplies it."""
        if number == _P1:
            return self._pressure_bar(now), 1e5
        if number in (_T, _TOB1):
            return (22.0 if self.temperature is None else self.temperature.at(now)), 100.0
        raise BusError(ILLEGAL_ADDRESS)

    def _pressure_bar(self, now: float) -> float:
        if self.saturated:
            return math.inf
        if self._bar is None or not self.frozen:
            self._bar = self._convert(int(now * _CONVERSIONS_PER_S + 1e-6))
        return self._bar

    def _convert(self, k: int) -> float:
        """Conversion ``k``: its noise depends on its number alone."""
        at = k / _CONVERSIONS_PER_S
        kpa = self.signal.at(at)
        if self.absolute:
            kpa += 0.1 * (_ATMOSPHERE_HPA if self.ambient is None else self.ambient.at(at))
        if self.noise_kpa:
            kpa += random.Random(f"{self._seed}/keller/{self.serial}/{k}").gauss(0.0, self.noise_kpa)
        bar = kpa / 100.0 * self.coefficients[_GAIN] + self.coefficients[_ZERO]
        if bar > self.coefficients[_HIGH]:
            return math.inf
        return -math.inf if bar < self.coefficients[_LOW] else bar


DEVICE = KellerXTransmitter
