"""Sensirion liquid flow sensors behind an SCC1 cable (USB or RS-485, 115200 8N1) with the SHDLC protocol.

Sources: sensirion-shdlc-driver 1.0.2 and sensirion-uart-scc1 2.0.0 as documentation of the protocol.  Two generations:
SF04 (LG16, older SLI) gives flow alone, SF06 (SLF3S, LD20, newer SLI) flow, temperature and flags.

The cable times the samples by its own crystal and keeps them in a ring without time stamps, so a sample is known by its
index alone.  Where an index cannot be counted on (a reply with samples was lost on the wire, the ring ran over, the
cable restarted) it follows from the time that has passed, good to one sample; what is missing is a hole.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator
from pyvisa.resources import MessageBasedResource

from data.quantity_fields import FlowUlPerH, PressureKpa, TimeS
from data.samples import Block, Channel, FloatArray, Quality
from instruments.clock import Clock
from instruments.instrument import (
    Buffered,
    Connection,
    Identity,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    Settings,
)
from instruments.recognition import Ask, Recognised, Recognition
from instruments.sample_index import SampleIndex
from instruments.visa import SerialLine, VisaInstrument, VisaSettings

Counts = npt.NDArray[np.int16]

_FLAG = b"\x7e"
_STUFFED = ((b"\x7d\x31", b"\x11"), (b"\x7d\x33", b"\x13"), (b"\x7d\x5e", b"\x7e"), (b"\x7d\x5d", b"\x7d"))
_ERRORS = {1: "wrong data size", 2: "unknown command", 3: "no access right", 4: "bad parameter", 5: "bad checksum",
           6: "firmware is being updated", 0x20: "sensor busy", 0x21: "no sensor at the cable",
           0x22: "sensor data damaged"}  # fmt: skip

_SENSOR_TYPE, _START, _STOP, _BUFFER, _PRODUCT, _SCALE, _SENSOR_SERIAL = 0x24, 0x33, 0x34, 0x36, 0x50, 0x53, 0x54
_INFORMATION, _VERSION, _ERROR_STATE = 0xD0, 0xD1, 0xD2
_CABLE_SERIAL = b"\x03"

_MEDIA = {"water": 0x3608, "isopropanol": 0x3615}
_PRODUCTS = {"070302": "SLF3S-1300F", "070303": "SLF3S-0600F", "070305": "SLF3S-4000B"}
_TEMPERATURE_COUNTS_PER_DEGC = 200.0
_AIR_IN_LINE, _HIGH_FLOW = 1, 2

_PREFIX = {3: -9, 4: -6, 5: -3, 6: -2, 7: -1, 8: 0, 10: 2, 11: 3}  # exponents of ten
_TIME_S = {1: 1e-6, 2: 1e-3, 3: 1.0, 4: 60.0, 5: 3600.0, 6: 86_400.0}
_LITRE = 8

_MARKER_COMMAND = _ERROR_STATE
_SF04_SHORTEST_S = 0.08  # one measurement at the 16 bit that it starts with


@dataclass(frozen=True, slots=True)
class Family:
    """What the two generations differ in."""

    sensor_type: int
    signals: int
    buffer_argument: bytes
    most_in_reply: int  # samples
    read_every: int  # samples; fits one reply with room for a fast crystal
    limit: int  # counts; at or beyond, the sensor is at the end of its range
    channels: tuple[Channel, ...]


_FLOW = (
    Channel("flow", "uL/h", description="flow rate"),
    Channel("counts", "1", description="flow as the sensor sent it"),
)
FAMILIES = {
    "SF04": Family(0, 1, b"", 127, 120, 32_000, _FLOW),
    "SF06": Family(
        3,
        3,
        b"\x03",
        41,
        40,
        32_500,
        (
            *_FLOW,
            Channel("temperature", "degC", description="temperature of the fluid"),
            Channel("flags", "1", description="signalling flags: 1 air in line, 2 high flow, 32 smoothing"),
        ),
    ),
}


class ShdlcSettings(VisaSettings):
    """Settings of a flow sensor."""

    family: Literal["SF04", "SF06"] = Field("SF04", description="SF04: LG16, older SLI; SF06: SLF3S, LD20, newer SLI")
    address: int = Field(0, ge=0, le=254)
    interval_s: TimeS = Field(0.1, alias="interval", ge=0.001, le=65.0, description="spacing of the samples")
    medium: Literal["water", "isopropanol"] = Field("water", description="calibration in use (SF06)")
    count_ul_per_h: FlowUlPerH | None = Field(
        None, alias="count", gt=0.0, description="flow of one count, for a sensor that does not tell its scale"
    )
    full_scale_ul_per_h: FlowUlPerH | None = Field(
        None, alias="full_scale", gt=0.0, description="flow at which readings count as saturated; else by family"
    )
    drop_kpa: PressureKpa | None = Field(
        None, alias="drop", ge=0.0, description="pressure that its capillary takes at full scale, at 22 degC"
    )

    @model_validator(mode="after")
    def _slow_enough(self) -> Self:
        if self.family == "SF04" and self.interval_s < _SF04_SHORTEST_S:
            raise ValueError('an SF04 sensor takes 80 ms for a sample; write interval = "80 ms" or more')
        return self


class Reply(NamedTuple):
    """What a cable answers, whether it reports a device error beside it, and when it was asked."""

    data: bytes
    device_error: bool
    sent_s: float


class Piece(NamedTuple):
    """Consecutive samples: index of the first, counts (samples, signals), and whether an error came with them."""

    first: int
    counts: Counts
    device_error: bool


def _recognise(ask: Ask) -> Recognised | None:
    """Sensor type and serial numbers; nothing but a frame with its checksum is heard as one."""

    def told(command: int, argument: bytes = b"") -> bytes | None:
        body = _unframed(ask(_framed(0, command, argument)))
        return body[4:] if body is not None and body[:2] == bytes((0, command)) and not body[2] & 0x7F else None

    kind = told(_SENSOR_TYPE)
    family = next((name for name, each in FAMILIES.items() if kind == bytes((each.sensor_type,))), None)
    if family is None:
        return None
    product, cable, own = (
        (data or b"").rstrip(b"\x00").decode("ascii", "replace")
        for data in (told(_PRODUCT), told(_INFORMATION, _CABLE_SERIAL), told(_SENSOR_SERIAL))
    )
    identity = Identity("Sensirion", product, own or cable)
    if FAMILIES[family].sensor_type:
        identity = Identity("Sensirion", _PRODUCTS.get(product[:6], product[:8]), product[8:])
    return Recognised(identity, {"family": family})


class ShdlcFlowSensor(VisaInstrument, Buffered):
    """One sensor at its cable."""

    settings_type: ClassVar[type[Settings]] = ShdlcSettings
    settings: ShdlcSettings
    line = SerialLine(baud=115_200)
    recognition = Recognition("flow_sensor", _recognise, (line,), rank=4)
    terminator = "\x7e"

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self._family = FAMILIES[self.settings.family]
        self.channels = self._family.channels
        self.interval_s = self.settings.interval_s
        self.read_period_s = self._family.read_every * self.interval_s
        self._ul_per_h_a_count = 0.0
        self._saturated_at = self._family.limit
        self._index = SampleIndex(self.interval_s)
        self._held: deque[Piece] = deque()
        self._started = False
        self._sure = False  # that the cable measures and that every sample since the last read is still to come

    # -- who it is

    def open(self) -> None:
        """Connect, check the serial number and the kind of sensor, and read its scale."""
        super().open()
        (kind,) = struct.unpack(">B", self._get(_SENSOR_TYPE, size=1))
        if kind != self._family.sensor_type:
            raise InstrumentReplyError(
                self.name,
                f"the cable is set to sensor type {kind}, which is not {self.settings.family}; "
                "correct the family in the station file",
            )
        self._ul_per_h_a_count = self.settings.count_ul_per_h or self._scale()
        if self.settings.full_scale_ul_per_h is not None:
            self._saturated_at = round(self.settings.full_scale_ul_per_h / self._ul_per_h_a_count)

    def identify(self) -> Identity:
        """Product and serial number of the sensor, firmware and serial number of the cable."""
        product, cable = self._text(_PRODUCT), self._text(_INFORMATION, _CABLE_SERIAL)
        version = self._get(_VERSION, size=7)
        firmware = f"{version[0]}.{version[1]} (cable {cable})"
        if self._family.sensor_type:
            return Identity("Sensirion", _PRODUCTS.get(product[:6], product[:8]), product[8:], firmware)
        try:
            serial = self._text(_SENSOR_SERIAL)
        except InstrumentRefusal:
            serial = cable  # an old sensor whose number the cable cannot tell
        return Identity("Sensirion", product, serial, firmware)

    def _scale(self) -> float:
        """Flow of one count in µL/h."""
        argument = struct.pack(">H", _MEDIA[self.settings.medium]) if self._family.sensor_type else b""
        try:
            counts, unit, _ = struct.unpack(">HHH", self._get(_SCALE, argument, size=6))
        except InstrumentRefusal as error:
            raise InstrumentReplyError(
                self.name, f'does not tell its scale ({error}); state it in the station file, as count = "0.25 nL/min"'
            ) from error
        return self._ul_per_h(unit) / float(counts)

    def _ul_per_h(self, unit: int) -> float:
        """One of a sensor's unit in µL/h: the word holds prefix, time base and volume."""
        prefix, time, volume = unit & 0xF, unit >> 4 & 0xF, unit >> 8 & 0xF
        if volume != _LITRE or prefix not in _PREFIX or time not in _TIME_S:
            raise InstrumentReplyError(self.name, f"measures in unit {unit:04x}, which is no volume of liquid by time")
        return float(10.0 ** (_PREFIX[prefix] + 6) * 3600.0 / _TIME_S[time])

    # -- measuring

    def start(self) -> None:
        """Start continuous measurement; the index starts at 0."""
        self._held.clear()
        self._index = SampleIndex(self.interval_s)
        self._started = True
        with self._one_call():
            self._begin()

    def _begin(self) -> None:
        """Let the cable measure, from an empty ring."""
        self._sure = False
        self._exchange(_STOP)
        interval = struct.pack(">H", round(1000.0 * self.interval_s))
        if self._family.sensor_type:
            medium = struct.pack(">H", _MEDIA[self.settings.medium])
            self._index.begin(self._exchange(_START, interval + medium).sent_s)
        else:
            self._exchange(_BUFFER, b"\x02")
            self._index.begin(self._exchange(_START, interval).sent_s)
        self._sure = True

    def read(self, most: int) -> Block:
        """Return what the ring holds, up to ``most`` samples and up to the next hole."""
        if not self._started:
            raise InstrumentReplyError(self.name, "is not measuring; start it first")
        with self._one_call():
            self._drain()  # always, so that a ring that is read often enough never runs over
        return self._block(most)

    def anchor(self) -> tuple[float, int]:
        """Moment of the last read that emptied the ring, and the samples acquired by then."""
        return self._index.anchor

    def stop(self) -> None:
        """Stop measuring."""
        self._started = self._sure = False
        self._held.clear()
        self._exchange(_STOP)

    def make_safe(self) -> str:
        """A flow sensor drives nothing."""
        return "a flow sensor drives nothing"

    def _drain(self) -> None:
        """Empty the ring and number what was in it."""
        doubtful = not self._sure
        if doubtful:
            self._resume()
        pieces: list[tuple[Counts, bool]] = []
        lost, more, sent_s = 0, True, 0.0
        try:
            while more:
                self._sure = False  # a reply that never comes takes its samples with it
                counts, gone, more, device_error, sent_s = self._fetch()
                self._sure = True
                if gone:
                    pieces.clear()
                lost += gone
                pieces.append((counts, device_error))
        except InstrumentError:
            if not doubtful and not lost:
                self._keep(pieces, 0)
            raise
        missing = self._index.missing(sent_s, sum(len(counts) for counts, _ in pieces), doubtful)
        if lost:
            self._keep(pieces, self._index.nearest(missing, (lost, lost // (2 * self._family.signals))))
        elif missing and not doubtful and not self._exchange(_START).data:
            self._keep(pieces, 0)
            self._restart()
            return
        else:
            self._keep(pieces, missing)
        self._index.emptied(sent_s)

    def _resume(self) -> None:
        """Go on after a failure: with what the cable still measures, or from a new start."""
        if not self._index.begun:
            self._begin()
        elif not self._exchange(_START).data:
            self._restart()

    def _restart(self) -> None:
        self._begin()
        self.note("warning", f'flow sensor "{self.name}" had stopped measuring and was started again')

    def _fetch(self) -> tuple[Counts, int, bool, bool, float]:
        """Read the ring once: counts, lost, whether there are more, device error, moment of the question."""
        reply = self._exchange(_BUFFER, self._family.buffer_argument, attempts=1)
        signals = self._family.signals
        data, lost = reply.data, 0
        if self._family.sensor_type and data:
            if len(data) < 8 or (signals := struct.unpack_from(">H", data, 6)[0]) != self._family.signals:
                raise InstrumentReplyError(self.name, f"gives {signals} signals a sample, not {self._family.signals}")
            lost, remaining = struct.unpack_from(">IH", data)
            more, data = remaining > 0, data[8:]
        else:
            more = len(data) == 2 * self._family.most_in_reply
        if len(data) % (2 * signals):
            raise InstrumentReplyError(self.name, f"gives {len(data)} bytes, which is no whole number of samples")
        if reply.device_error:
            self._clear_device_error()
        counts = np.frombuffer(data, dtype=">i2").astype(np.int16).reshape(-1, signals)
        return counts, lost, more, reply.device_error, reply.sent_s

    def _keep(self, pieces: Sequence[tuple[Counts, bool]], hole: int) -> None:
        """Number what was read and hold it for the next blocks."""
        if hole:
            self.note("warning", f'flow sensor "{self.name}": {hole} samples are missing')
        self._index.next += hole
        for counts, device_error in pieces:
            if len(counts):
                self._held.append(Piece(self._index.next, counts, device_error))
                self._index.next += len(counts)

    def _block(self, most: int) -> Block:
        """Take consecutive samples from what is held."""
        taken: list[Piece] = []
        first = self._held[0].first if self._held else self._index.next
        end = first
        while self._held and self._held[0].first == end and end - first < most:
            piece = self._held.popleft()
            room = most - (end - first)
            if len(piece.counts) > room:
                self._held.appendleft(piece._replace(first=piece.first + room, counts=piece.counts[room:]))
                piece = piece._replace(counts=piece.counts[:room])
            taken.append(piece)
            end += len(piece.counts)
        return self._converted(first, taken)

    def _converted(self, first: int, pieces: Sequence[Piece]) -> Block:
        signals = self._family.signals
        counts = np.concatenate([piece.counts for piece in pieces] or [np.empty((0, signals), dtype=np.int16)])
        flow = counts[:, 0].astype(np.float64)
        values = np.empty((len(counts), len(self.channels)))
        quality = np.zeros(values.shape, dtype=np.uint16)
        values[:, 0] = flow * self._ul_per_h_a_count
        values[:, 1] = flow
        quality[np.abs(flow) >= self._saturated_at, 0] |= int(Quality.SATURATED)
        if signals > 1:
            flags = counts[:, 2]
            values[:, 2] = counts[:, 1] / _TEMPERATURE_COUNTS_PER_DEGC
            values[:, 3] = flags
            quality[flags & _HIGH_FLOW != 0, 0] |= int(Quality.SATURATED)
            quality[flags & _AIR_IN_LINE != 0, 0] |= int(Quality.AIR)
        at = 0
        for piece in pieces:
            if piece.device_error:
                quality[at : at + len(piece.counts), 0] |= int(Quality.DEVICE_ERROR)
            at += len(piece.counts)
        t: FloatArray = self._index.zero_s + np.arange(first, first + len(counts), dtype=np.float64) * self.interval_s
        return Block(self.name, first, t, values, quality)

    def _clear_device_error(self) -> None:
        """Read the device errors and clear them, so that the flag in a later reply is a new one."""
        state, _ = struct.unpack(">IB", self._get(_ERROR_STATE, b"\x01", size=5))
        self.note("warning", f'flow sensor "{self.name}" reports device error {state:08x}')

    # -- frames

    def _text(self, command: int, argument: bytes = b"") -> str:
        return self._exchange(command, argument).data.rstrip(b"\x00").decode("ascii", "replace")

    def _get(self, command: int, argument: bytes = b"", *, size: int) -> bytes:
        data = self._exchange(command, argument).data
        if len(data) != size:
            raise InstrumentReplyError(self.name, f"answers command {command:02x} with {len(data)} bytes, not {size}")
        return data

    def _exchange(self, command: int, argument: bytes = b"", attempts: int = 2) -> Reply:
        """Send one frame and take its answer."""

        def interpret(frame: bytes) -> Reply:
            body = _unframed(frame)
            if body is None:
                raise InstrumentReplyError(self.name, f"damaged frame {frame.hex(' ')}")
            address, answered, state = body[:3]
            if (address, answered) != (self.settings.address, command):
                raise InstrumentReplyError(self.name, f"answered command {answered:02x} when asked {command:02x}")
            code = state & 0x7F
            if code == 5:
                raise InstrumentReplyError(self.name, f"received command {command:02x} damaged")
            if code:
                what = _ERRORS.get(code, f"error {code}")
                raise InstrumentRefusal(self.name, f"refuses command {command:02x}: {what}")
            return Reply(body[4:], state > 0x7F, self.sent_s)

        return self._transact(_framed(self.settings.address, command, argument), interpret, attempts=attempts)

    def _receive(self, port: MessageBasedResource) -> bytes:
        """One frame: a read ends at a flag, so the opening one may come alone."""
        frame = port.read_raw()
        if len(frame) > 1:
            return frame
        self._limit(port, self.settings.timeout_s)
        return port.read_raw()

    def _marker(self) -> bytes:
        return _framed(self.settings.address, _MARKER_COMMAND, b"\x00")

    def _is_marked(self, reply: bytes) -> bool:
        body = _unframed(reply)
        return body is not None and body[:2] == bytes((self.settings.address, _MARKER_COMMAND))

    def _restore(self) -> None:
        """After any failure the cable may have restarted, and samples may be gone."""
        self._sure = False


def _framed(address: int, command: int, data: bytes) -> bytes:
    content = bytes((address, command, len(data))) + data
    content += bytes((~sum(content) & 0xFF,))
    for stuffed, plain in reversed(_STUFFED):  # the escape itself first
        content = content.replace(plain, stuffed)
    return _FLAG + content + _FLAG


def _unframed(frame: bytes) -> bytes | None:
    """Address, command, state, length and data of an intact frame; None for any other."""
    body = frame.strip(_FLAG)
    if b"\x7d" in body:
        for stuffed, plain in _STUFFED:
            body = body.replace(stuffed, plain)
    content = body[:-1]
    if len(content) < 4 or ~sum(content) & 0xFF != body[-1] or content[3] != len(content) - 4:
        return None
    return content


DRIVER = ShdlcFlowSensor
