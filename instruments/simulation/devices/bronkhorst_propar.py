"""A Bronkhorst mini CORI-FLOW mass flow meter on its RS-232 port (38400 8N1): the propar protocol, ASCII and binary.

A Coriolis meter measures mass flow and density; it knows no volume.  Its flow is the mean over its response time of
what has passed it, its counter the sum of what it measured.

Sources: manual 9.17.027 of the RS-232 interface, with its byte examples; bronkhorst-propar 1.3.0 as documentation of
the binary frame and of parameter numbers.  From memory, not verified against a real meter: the codes of ASCII errors
and that a foreign node brings number 9, that density is in kg/m3 and the counter survives a loss of power, how long a
reply takes.  Assumed: noise and response time.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from instruments.simulation.devices.propar.frames import NO_ANSWER, Frames, Message
from instruments.simulation.properties import water_density
from instruments.simulation.signal import Signal
from instruments.simulation.wire import ByteDevice, SerialLine

CHARACTER, INTEGER, LONG, TEXT = 0x00, 0x20, 0x40, 0x60
_SIZES = {CHARACTER: 1, INTEGER: 2, LONG: 4}
_STATUS, _WRITE, _WRITE_SILENTLY, _READ = 0, 1, 2, 4
_OK, _UNKNOWN_COMMAND, _UNKNOWN_PROCESS, _UNKNOWN_PARAMETER, _WRONG_TYPE, _WRONG_VALUE = 0, 2, 3, 4, 5, 6
_PROTOCOL, _READ_ONLY = 34, 13
_CHAIN = 0x80

ANY_NODE = 0x80
FULL, HIGHEST, LOWEST = 32_000, 41_942, -23_593
"""Measure at 100 % and at the ends of its range, in counts."""

_CONVERSIONS_PER_S = 20
_S_PER_H = 3600.0
_TIME_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_MASS_MG = {"ug": 1e-3, "mg": 1.0, "g": 1e3, "kg": 1e6}

Value = int | float | str


class ProparError(Exception):
    """A message that the meter refuses: a status and the place in the message at which it gave up."""

    def __init__(self, status: int, place: int) -> None:
        super().__init__(status, place)
        self.status, self.place = status, place


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: how it is coded and read; ``length`` is that of a text, 0 for one that ends with NUL."""

    kind: int
    read: Callable[[float], Value]
    write: Callable[[Value], None] | None = None
    is_float: bool = False


class CoriFlowMeter(ByteDevice):
    """A meter in the line.

    Parameters
    ----------
    volume : liquid in uL that has passed it since the beginning, such as ``truth_line_volume_ul``.
    temperature : of liquid and sensor, in degC; 22 degC without it.
    metered_at : temperature in degC at which ``volume`` counts, where that is another than the sensor's.
    air : 1 while a bubble is in it.
    relative_density : of the liquid over that of water at the same temperature.
    node : its address.
    serial, model, firmware : as parameters 92, 91 and 105 tell them.
    capacity : flow at 100 %, in ``unit``; ``counter_unit`` is that of the counter.
    gain_error, zero_mg_per_h : errors of its mass flow, relative and absolute; ``density_error_g_per_ml`` of density.
    noise_mg_per_h, density_noise_g_per_ml : standard deviations of a conversion.
    response_s : time over which a conversion averages, in tenths of a second.
    latency_s : time from the end of a request to the end of its reply at the host.
    """

    line = SerialLine(baud=38_400)
    boot_s = 1.0

    def __init__(
        self,
        volume: Signal,
        *,
        temperature: Signal | None = None,
        metered_at: Signal | None = None,
        air: Signal | None = None,
        relative_density: float = 1.0,
        node: int = 3,
        serial: str = "M21200123A",
        model: str = "M12V14I-AGD-22-0-S",
        firmware: str = "V8.03",
        capacity: float = 5.0,
        unit: str = "g/h",
        counter_unit: str = "g",
        gain_error: float = 0.0,
        zero_mg_per_h: float = 0.0,
        density_error_g_per_ml: float = 0.0,
        noise_mg_per_h: float = 2.0,
        density_noise_g_per_ml: float = 0.0002,
        response_s: float = 0.5,
        latency_s: float = 0.03,
        seed: int = 0,
    ) -> None:
        super().__init__()
        mass, slash, time = unit.partition("/")
        if mass not in _MASS_MG or not slash or time not in _TIME_S or counter_unit not in _MASS_MG:
            raise ValueError(f"meter {serial}: units {unit} and {counter_unit} are none of mass; take g/h and g")
        if not 1 <= node <= 127:
            raise ValueError(f"meter {serial}: node {node} is not possible; take 1 to 127")
        self.volume, self.temperature, self.metered_at, self.air = volume, temperature, metered_at, air
        self.relative_density = relative_density
        self.node, self.serial = node, serial
        self.capacity, self.unit, self.counter_unit = capacity, unit, counter_unit
        self.gain_error, self.zero_mg_per_h = gain_error, zero_mg_per_h
        self.density_error_g_per_ml = density_error_g_per_ml
        self.noise_mg_per_h, self.density_noise_g_per_ml = noise_mg_per_h, density_noise_g_per_ml
        self.response_s, self.latency_s = response_s, latency_s
        self.alarm = 0
        self.setpoint = 0
        self._mg_per_h = _MASS_MG[mass] * _S_PER_H / _TIME_S[time]
        self._seed = seed
        self._frames = Frames()
        self._held: float | None = None  # moment of the conversion that a frozen meter repeats
        self._start_ul: float | None = None
        self._parameters = self._table(model, firmware)

    def _table(self, model: str, firmware: str) -> dict[tuple[int, int], Parameter]:
        """Process and number -> parameter."""

        def text(read: Callable[[], str]) -> Parameter:
            return Parameter(TEXT, lambda now: read())

        def number(read: Callable[[float], float]) -> Parameter:
            return Parameter(LONG, read, is_float=True)

        def character(read: Callable[[], int]) -> Parameter:
            return Parameter(CHARACTER, lambda now: read())

        return {
            (0, 0): text(lambda: f"\x1cMB{self.serial}"),
            (0, 1): character(lambda: self.node),
            (0, 3): character(lambda: 0),
            (1, 0): Parameter(INTEGER, lambda now: self._counts(self.mass_mg_per_h(now))),
            (1, 1): Parameter(INTEGER, lambda now: self.setpoint, self._set_setpoint),
            (1, 13): number(lambda now: self.capacity),
            (1, 17): text(lambda: "WATER"),
            (1, 20): character(lambda: self.alarm),
            (1, 31): text(lambda: self.unit),
            (33, 0): number(lambda now: self.mass_mg_per_h(now) / self._mg_per_h),
            (33, 3): number(lambda now: self.setpoint / FULL * self.capacity),
            (33, 7): number(self.degc),
            (104, 1): number(lambda now: self.counted_mg(now) / _MASS_MG[self.counter_unit]),
            (104, 7): text(lambda: self.counter_unit),
            (113, 1): text(lambda: "CORIFM"),
            (113, 2): text(lambda: model),
            (113, 3): text(lambda: self.serial),
            (113, 5): text(lambda: firmware),
            (113, 6): text(lambda: "USERTAG"),
            (113, 12): character(lambda: 28),
            (116, 15): number(lambda now: 1000.0 * self.density_g_per_ml(now)),
        }

    # -- the wire

    def on_bytes(self, data: bytes, now: float) -> None:
        """Answer the messages that are complete."""
        for message in self._frames.feed(data):
            answer = self._answer(message, now)
            if answer:
                self.emit(answer, now + self.latency_s)

    def on_reboot(self, now: float) -> None:
        """A part of a message is forgotten."""
        self._frames.clear()
        self._held = None

    def unsolicited(self) -> bytes:
        """What it says to a line that is none."""
        return b":0101\r\n"

    def _answer(self, message: Message, now: float) -> bytes:
        if message.error:
            return message.refused(message.error)
        if message.node not in (self.node, ANY_NODE):
            return message.refused(NO_ANSWER)
        try:
            data = self._execute(message.data, now)
        except ProparError as error:
            data = bytes((_STATUS, error.status, error.place))
        return message.answered(data) if data else b""

    def _execute(self, data: bytes, now: float) -> bytes:
        command = data[0] if data else -1
        if command == _READ:
            return bytes((_WRITE_SILENTLY,)) + b"".join(self._asked(data, now))
        if command in (_WRITE, _WRITE_SILENTLY):
            place = self._written(data)
            return bytes((_STATUS, _OK, place)) if command == _WRITE else b""
        raise ProparError(_UNKNOWN_COMMAND, 0)

    # -- reading and writing

    def _asked(self, data: bytes, now: float) -> Iterator[bytes]:
        """The answer to each item of a request, with the process and the index under which it was asked."""
        place, more_groups = 1, True
        while more_groups:
            group = _byte(data, place)
            more_groups, place = bool(group & _CHAIN), place + 1
            yield bytes((group,))
            more = True
            while more:
                index, process, number = (_byte(data, place + k) for k in range(3))
                more, place = bool(index & _CHAIN), place + 3
                parameter = self._parameter(process, number & 0x1F, place)
                if not index & TEXT == number & TEXT == parameter.kind:
                    raise ProparError(_WRONG_TYPE, place)
                length = 0
                if parameter.kind == TEXT:
                    length, place = _byte(data, place), place + 1
                yield bytes((index,)) + _coded(parameter, parameter.read(now), length)
        if place != len(data):
            raise ProparError(_PROTOCOL, place)

    def _written(self, data: bytes) -> int:
        """Take what is written; returns how far the message was read."""
        place, more_groups = 1, True
        while more_groups:
            process = _byte(data, place)
            more_groups, place = bool(process & _CHAIN), place + 1
            more = True
            while more:
                index = _byte(data, place)
                more, place = bool(index & _CHAIN), place + 1
                parameter = self._parameter(process & ~_CHAIN, index & 0x1F, place)
                if index & TEXT != parameter.kind:
                    raise ProparError(_WRONG_TYPE, place)
                if parameter.write is None:
                    raise ProparError(_READ_ONLY, place)
                size = _SIZES[parameter.kind]
                if len(data) < place + size:
                    raise ProparError(_PROTOCOL, place)
                parameter.write(int.from_bytes(data[place : place + size], "big"))
                place += size
        return place

    def _parameter(self, process: int, number: int, place: int) -> Parameter:
        found = self._parameters.get((process, number))
        if found is None:
            known = any(process == of for of, _ in self._parameters)
            raise ProparError(_UNKNOWN_PARAMETER if known else _UNKNOWN_PROCESS, place)
        return found

    def _set_setpoint(self, value: Value) -> None:
        """A meter without a valve keeps a setpoint and does nothing with it."""
        self.setpoint = int(value)

    # -- the tube

    def degc(self, now: float) -> float:
        """Temperature of the liquid."""
        return 22.0 if self.temperature is None else self.temperature.at(now)

    def density_g_per_ml(self, now: float) -> float:
        """Density of what is in the tube, as it measures it: a bubble takes most of it away."""
        at = self._conversion(now)
        g_per_ml = self._density(self.degc(at)) + self.density_error_g_per_ml
        if self.air is not None and self.air.at(at) >= 0.5:
            g_per_ml *= 0.4
        return g_per_ml + self._noise("density", at, self.density_noise_g_per_ml)

    def mass_mg_per_h(self, now: float) -> float:
        """Mass flow as it measures it."""
        if self.saturated:
            return HIGHEST / FULL * self.capacity * self._mg_per_h
        at = self._conversion(now)
        passed_ul = self.volume.at(at) - self.volume.at(max(0.0, at - self.response_s))
        true = passed_ul / self.response_s * _S_PER_H * self._metered(at)
        return true * (1.0 + self.gain_error) + self.zero_mg_per_h + self._noise("flow", at, self.noise_mg_per_h)

    def counted_mg(self, now: float) -> float:
        """Mass that has passed since it was asked first, as it measures it."""
        volume_ul = self.volume.at(now)
        if self._start_ul is None:
            self._start_ul = volume_ul
        true = (volume_ul - self._start_ul) * self._metered(now)
        return true * (1.0 + self.gain_error) + self.zero_mg_per_h * now / _S_PER_H

    def _metered(self, t: float) -> float:
        """Mass of what counts as one unit of volume, mg/uL."""
        return self._density(self.degc(t) if self.metered_at is None else self.metered_at.at(t))

    def _density(self, degc: float) -> float:
        return self.relative_density * float(water_density(np.array(degc))) / 1000.0

    def _conversion(self, now: float) -> float:
        """Moment of the latest conversion."""
        at = int(now * _CONVERSIONS_PER_S + 1e-6) / _CONVERSIONS_PER_S
        if not self.frozen or self._held is None:
            self._held = at
        return self._held

    def _noise(self, what: str, at: float, sd: float) -> float:
        """Noise of a conversion, which depends on its moment alone."""
        if not sd:
            return 0.0
        return random.Random(f"{self._seed}/propar/{self.serial}/{what}/{at!r}").gauss(0.0, sd)

    def _counts(self, mg_per_h: float) -> int:
        """Share of the capacity; what is below zero counts down from FFFFh."""
        counts = max(LOWEST, min(HIGHEST, round(FULL * mg_per_h / self._mg_per_h / self.capacity)))
        return counts if counts >= 0 else 0xFFFF + counts


def _byte(data: bytes, place: int) -> int:
    if place >= len(data):
        raise ProparError(_PROTOCOL, place)
    return data[place]


def _coded(parameter: Parameter, value: Value, length: int) -> bytes:
    """A value on the wire."""
    if parameter.kind == TEXT:
        text = str(value).encode("latin-1")
        return bytes((length,)) + text[:length].ljust(length) if length else b"\x00" + text + b"\x00"
    if parameter.is_float:
        return struct.pack(">f", value if math.isfinite(float(value)) else math.nan)
    return int(value).to_bytes(_SIZES[parameter.kind], "big")


DEVICE = CoriFlowMeter
