"""Bronkhorst Coriolis mass flow meters (mini CORI-FLOW, ES-FLOW's relatives) in ASCII mode (RS-232, 38400 8N1).

Sources: manual 9.17.027 of the RS-232 interface, with its byte examples; bronkhorst-propar 1.3.0 for the numbers of
parameters.  A reading is one request for a chain of parameters and one answer, so flow, density, temperature and
counter are of one moment, and the units stand beside them.

There is no checksum.  But the host chooses the index under which each value comes back, so every request has indices of
its own; an answer counts only if its length and every header in it are as asked, and to get back in step everything
before the answer to such a request is dropped.  What jumped by more than ``max_step`` is asked again
(docs/explanation/wire-faults.md).

The meter measures mass.  A volume needs a density: the stated one, or the one that the meter measures at that moment,
at the temperature of its tube.  The driver writes nothing, not even a unit.  From memory, not verified against a real
meter: that density (parameter 270) is in kg/m3, the codes of ASCII errors.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import ClassVar, NamedTuple

from pydantic import Field

from data.quantity_fields import DensityGPerMl, FlowUlPerH, TimeS
from data.samples import Channel, Quality, Reading
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

_CHARACTER, _INTEGER, _LONG, _TEXT = 0x00, 0x20, 0x40, 0x60
_SIZES = {_CHARACTER: 1, _INTEGER: 2, _LONG: 4}
_CHAIN, _INDICES = 0x80, 32
_STATUS, _ANSWER, _READ = 0, 2, 4
_ANY_NODE = 128

FULL, HIGHEST = 32_000, 41_942
"""Counts of the measure at 100 % and at the end of its range; beyond, they count down from FFFFh below zero."""

_KG_PER_M3, _MG_PER_H_A_G_PER_S = 1000.0, 3.6e6
_MASS_G = {"ug": 1e-6, "mg": 1e-3, "g": 1.0, "kg": 1e3}
_TIME_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_TOTAL_STEP_S = 60.0  # a total that jumped by what the largest step in flow brings in so long is asked again
_TEMPERATURE_STEP_K, _DENSITY_STEP_G_PER_ML = 2.0, 0.1

_STATUSES = {
    1: "the process is claimed", 2: "it does not know the command", 3: "it has no such process",
    4: "it has no such parameter", 5: "the parameter is of another type", 6: "the value is out of range",
    11: "there is no such node", 25: "the node does not answer",
}  # fmt: skip
_ALARMS = {1: "an error", 2: "a warning", 4: "flow below its alarm limit", 8: "flow above its alarm limit",
           128: "a hardware fault"}  # fmt: skip
_ERRORS, _HARDWARE = 0x81, 0x80
_FRAME = re.compile(rb":([0-9A-F]{2})((?:[0-9A-F]{2})+)\r?\n")


class Item(NamedTuple):
    """A parameter in a request: process, number, type, and the length of a text (0: it ends with NUL)."""

    process: int
    number: int
    kind: int
    length: int = 0


_FLOW, _TEMPERATURE, _DENSITY = Item(33, 0, _LONG), Item(33, 7, _LONG), Item(116, 15, _LONG)
_COUNTER, _COUNTER_UNIT = Item(104, 1, _LONG), Item(104, 7, _TEXT, 4)
_MEASURE, _ALARM, _UNIT = Item(1, 0, _INTEGER), Item(1, 20, _CHARACTER), Item(1, 31, _TEXT, 7)
_SAMPLE = (_FLOW, _TEMPERATURE, _DENSITY, _COUNTER, _COUNTER_UNIT, _MEASURE, _ALARM, _UNIT)
_WHO = (Item(113, 1, _TEXT), Item(113, 2, _TEXT), Item(113, 3, _TEXT), Item(113, 5, _TEXT))


class ProparSettings(VisaSettings):
    """Settings of a meter."""

    period_s: TimeS = Field(0.2, alias="period", ge=0.1, description="how often it is asked; an answer takes 60 ms")
    address: int = Field(_ANY_NODE, ge=1, le=128, description="node; 128 reaches the only meter that is connected")
    density_g_per_ml: DensityGPerMl | None = Field(
        None,
        alias="density",
        gt=0.0,
        description="of the liquid at the meter's temperature, for its volume; as the meter measures it if left out",
    )
    air_below_g_per_ml: DensityGPerMl = Field(
        0.9, alias="air_below", ge=0.0, description="a lower measured density is air in the tube"
    )
    max_step_ul_per_h: FlowUlPerH = Field(
        1000.0, alias="max_step", gt=0.0, description="a larger change from one reading to the next is asked again"
    )


def _recognise(ask: Ask) -> Recognised | None:
    """Who it is, by a request that only reads."""
    body = _unframed(ask(_framed(_ANY_NODE, _asking(_WHO, 1))))
    values = None if body is None else _values(_WHO, 1, body[1:])
    if values is None:
        return None
    kind, model, serial, firmware = (str(text).strip() for text in values)
    return Recognised(Identity("Bronkhorst", f"{kind} {model}".strip(), serial, firmware))


class BronkhorstPropar(VisaInstrument, Polled):
    """One Coriolis meter, which drives nothing and is told nothing."""

    settings_type: ClassVar[type[Settings]] = ProparSettings
    settings: ProparSettings
    line = SerialLine(baud=38_400)
    recognition = Recognition("coriolis", _recognise, (line,), rank=5)

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        step = self.settings.max_step_ul_per_h
        by = "the stated density" if self.settings.density_g_per_ml else "the density that it measures"
        self.channels = (
            Channel("flow", "uL/h", description=f"volume flow: mass flow by {by}", max_step=step),
            Channel("mass_flow", "mg/h", description="mass flow"),
            Channel("total", "mg", description="mass by its counter", max_step=step * _TOTAL_STEP_S / 3600.0),
            Channel("density", "g/mL", description="as it measures it", max_step=_DENSITY_STEP_G_PER_ML),
            Channel("temperature", "degC", description="of its tube", max_step=_TEMPERATURE_STEP_K),
            Channel("measure", "1", description="flow as counts, 32000 at its capacity"),
            Channel("alarm", "1", description="alarm bits: 1 error, 2 warning, 4 low, 8 high, 128 hardware"),
        )
        self._index = self._marked = 0

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    def identify(self) -> Identity:
        """Type, model, serial number and firmware; asked twice, since nothing checks a text."""
        told, again = self._read(_WHO), self._read(_WHO)
        if told != again:
            raise InstrumentReplyError(self.name, "tells who it is in two ways; the line is disturbed")
        kind, model, serial, firmware = (str(text).strip() for text in told)
        return Identity("Bronkhorst", f"{kind} {model}".strip(), serial, firmware)

    def sample(self) -> Reading:
        """Flow, total, density and temperature now; asked again where one of them jumped."""
        frame, index = self._request(_SAMPLE)
        return self._measure(frame, partial(self._reading, index))

    def probe(self) -> list[str]:
        """Alarms, air in the tube, and a density that is not the stated one."""
        reading = self.sample()
        density, alarm = reading.values[3], int(reading.values[6])
        problems = [f"it reports {what}" for bit, what in _ALARMS.items() if alarm & bit]
        stated = self.settings.density_g_per_ml
        if reading.quality[0] & Quality.AIR:
            problems.append(f"there is air in its tube: it measures a density of {density:.3f} g/mL; fill the line")
        elif stated is not None and abs(density / stated - 1.0) > 0.01:
            problems.append(f"it measures a density of {density:.4f} g/mL where {stated:g} g/mL is stated; correct one")
        if reading.quality[0] & Quality.SATURATED:
            problems.append("its flow is beyond its range")
        return problems

    def make_safe(self) -> str:
        """A meter drives nothing."""
        return "a flow meter drives nothing"

    # -- what it says

    def _reading(self, index: int, frame: bytes) -> Reading:
        flow, degc, density, counted, counter_unit, measure, alarm, unit = self._values(_SAMPLE, index, frame)
        mg_per_h = float(flow) * self._mg_per_h(str(unit))
        g_per_ml = float(density) / _KG_PER_M3
        by = self.settings.density_g_per_ml or g_per_ml
        faulty = int(Quality.DEVICE_ERROR) if int(alarm) & _ERRORS else 0
        moving = faulty | (int(Quality.SATURATED) if measure == HIGHEST else 0)
        if not g_per_ml >= self.settings.air_below_g_per_ml:
            moving |= int(Quality.AIR)
        gram = _MASS_G.get(str(counter_unit).strip())
        total_mg = math.nan if gram is None else 1000.0 * gram * float(counted)
        uncounted = int(Quality.DEVICE_ERROR) if gram is None else 0
        values = (
            mg_per_h / by if by > 0.0 else math.nan, mg_per_h, total_mg, g_per_ml, float(degc),
            float(measure if int(measure) <= HIGHEST else int(measure) - 0xFFFF), float(alarm),
        )  # fmt: skip
        if not all(math.isfinite(value) for value in (mg_per_h, g_per_ml, values[4])):
            raise InstrumentReplyError(self.name, f"sends what is no number: {flow}, {density}, {degc}")
        return Reading(self.sent_s, values, (moving, moving, faulty | uncounted, faulty, faulty, 0, 0))

    def _mg_per_h(self, unit: str) -> float:
        """One of its unit of flow."""
        mass, _, time = unit.strip().partition("/")
        if mass not in _MASS_G or time not in _TIME_S:
            raise InstrumentReplyError(
                self.name, f'measures in "{unit.strip()}"; set its capacity unit (parameter 129) to one of mass: g/h'
            )
        return _MASS_G[mass] / _TIME_S[time] * _MG_PER_H_A_G_PER_S

    def _restore(self) -> None:
        """Units that cannot be read are said when it is connected, not at the first reading."""
        self._mg_per_h(str(self._read((_UNIT,))[0]))

    # -- frames

    def _request(self, items: Sequence[Item]) -> tuple[bytes, int]:
        """A request under indices of its own, and the first of them."""
        index, self._index = self._index, (self._index + len(items)) % _INDICES
        return _framed(self.settings.address, _asking(items, index)), index

    def _read(self, items: Sequence[Item]) -> list[float | str]:
        """Values of some parameters, in one exchange."""
        frame, index = self._request(items)
        return self._ask(frame, partial(self._values, items, index))

    def _values(self, items: Sequence[Item], index: int, frame: bytes) -> list[float | str]:
        """Values of an answer in which nothing is but what was asked for."""
        if self._left_over() not in (b"", frame):
            raise InstrumentReplyError(self.name, "more than one reply to one request")
        body = _unframed(frame)
        if body is None:
            raise InstrumentReplyError(self.name, f"{frame!r} is no frame that it sends")
        node, data = body[0], body[1:]
        if self.settings.address not in (node, _ANY_NODE):
            raise InstrumentReplyError(self.name, f"node {node} answers in the place of {self.settings.address}")
        if data[:1] == bytes((_STATUS,)) and len(data) == 3 and data[1]:
            why = _STATUSES.get(data[1], f"status {data[1]}")
            kind = InstrumentReplyError if self._recognised else InstrumentRefusal  # or the request was damaged
            raise kind(self.name, f"refuses at byte {data[2]} of the request: {why}")
        values = _values(items, index, data)
        if values is None:
            raise InstrumentReplyError(self.name, f"{frame!r} is no answer to what it was asked")
        return values

    # -- getting back in step

    def _marker(self) -> bytes:
        frame, self._marked = self._request((_UNIT,))
        return frame

    def _is_marked(self, reply: bytes) -> bool:
        body = _unframed(reply)
        return body is not None and _values((_UNIT,), self._marked, body[1:]) is not None


def _grouped(items: Sequence[Item], index: int) -> list[tuple[int, list[tuple[int, Item]]]]:
    """Items by process, as they are chained: the byte that begins each group, and each item with its first byte."""
    groups = [(process, list(group)) for process, group in groupby(items, key=lambda item: item.process)]
    chained = []
    for k, (process, group) in enumerate(groups):
        heads = []
        for j, item in enumerate(group):
            more = _CHAIN if j + 1 < len(group) else 0
            heads.append((more | item.kind | index % _INDICES, item))
            index += 1
        chained.append((process | (_CHAIN if k + 1 < len(groups) else 0), heads))
    return chained


def _asking(items: Sequence[Item], index: int) -> bytes:
    """Data of a request for some parameters, which come back under ``index`` and the following ones."""
    data = bytes((_READ,))
    for begin, heads in _grouped(items, index):
        data += bytes((begin,))
        for head, item in heads:
            data += bytes((head, item.process, item.kind | item.number))
            data += bytes((item.length,)) if item.kind == _TEXT else b""
    return data


def _values(items: Sequence[Item], index: int, data: bytes) -> list[float | str] | None:
    """Values in the data of an answer to a request under ``index``; None where anything else is in it."""
    if data[:1] != bytes((_ANSWER,)):
        return None
    values: list[float | str] = []
    place = 1
    for begin, heads in _grouped(items, index):
        if data[place : place + 1] != bytes((begin,)):
            return None
        place += 1
        for head, item in heads:
            if data[place : place + 1] != bytes((head,)):
                return None
            size, found = _decoded(item, data[place + 1 :])
            if found is None:
                return None
            values.append(found)
            place += 1 + size
    return values if place == len(data) else None


def _decoded(item: Item, data: bytes) -> tuple[int, float | str | None]:
    """Bytes that a value takes and the value, None where it is cut off or no text."""
    if item.kind != _TEXT:
        raw = data[: _SIZES[item.kind]]
        if len(raw) < _SIZES[item.kind]:
            return 0, None
        return len(raw), struct.unpack(">f", raw)[0] if item.kind == _LONG else int.from_bytes(raw, "big")
    if data[:1] != bytes((item.length,)):
        return 0, None
    end = data.find(b"\x00", 1) if not item.length else 1 + item.length
    text = data[1:end]
    if end < 1 or len(text) != end - 1 or not (text.isascii() and text.decode("ascii").isprintable()):
        return 0, None
    return end + (not item.length), text.decode("ascii")


def _framed(node: int, data: bytes) -> bytes:
    """``:LLNN`` and data: `06 03 04 01 21 01 20` asks node 3 for its measure."""
    return b":%02X%02X%s\r\n" % (len(data) + 1, node, data.hex().upper().encode())


def _unframed(frame: bytes) -> bytes | None:
    """Node and data of a frame whose length is right; None for any other."""
    found = _FRAME.fullmatch(frame)
    if found is None or len(found[2]) != 2 * int(found[1], 16) or len(found[2]) < 4:
        return None
    return bytes.fromhex(found[2].decode("ascii"))


DRIVER = BronkhorstPropar
