"""The journal's frames: what the bytes of one entry mean.  docs/reference/journal.md is the specification.

A frame is a head (marker, kind, length, sequence number, CRC-32), a payload, and the SHA-256 of the previous frame's
hash, the head and the payload, so that no frame can be changed, removed or moved without breaking the chain.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Any, cast

import numpy as np
from isal import isal_zlib

from data.samples import Block, Channel, FloatArray, Stream

MAGIC = b"\x89PBJ\r\n\x1a\n"
"""First bytes of a journal; a transfer that changes line ends or bit 7 shows at once."""

VERSION = 1
PREAMBLE = struct.Struct("<8sII")  # magic, version, reserved
HEAD = struct.Struct("<4sHHIQI")  # marker, kind, reserved, payload length, sequence number, CRC-32
MARKER = b"\xf5PBf"
CHAIN_BYTES = 32
LONGEST_PAYLOAD = 1 << 30

NEEDED = ("procedure", "method", "origin", "start_utc")
"""Keys without which a header describes no run."""

_BLOCK = struct.Struct("<HBBHHIq")  # stream, time is uniform, quality is constant, channels, stride, samples, first
_UNIFORM = struct.Struct("<dd")  # time of index 0, interval
_ANCHOR = struct.Struct("<HHIqd")  # stream, reserved, reserved, samples acquired, host time


class JournalError(ValueError):
    """A journal, or an entry for one, that cannot be used; the message says why and what to do."""


class BrokenFrameError(JournalError):
    """Bytes that are no intact frame, or do not continue the frame before them; the message says which."""


class FrameKind(IntEnum):
    """What a frame holds.  The numbers are stored, so they never change meaning."""

    HEADER = 1
    STREAM = 2
    BLOCK = 3
    ANCHOR = 4
    RECORD = 5
    SESSION = 6


@dataclass(frozen=True, slots=True)
class Frame:
    """One verified frame; ``offset`` is its first byte in the file."""

    kind: int
    seq: int
    payload: memoryview
    offset: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """At ``host_t`` on the run's clock the instrument had acquired ``samples`` samples of the stream."""

    stream: str
    host_t: float
    samples: int


@dataclass(frozen=True, slots=True)
class Record:
    """Something that happened: a step, a phase, an event, an answer."""

    kind: str
    t: float
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SessionNote:
    """Facts about the computer and the moment, which are kept outside the content digest."""

    fields: Mapping[str, Any]


Content = Mapping[str, Any] | Stream | Block | Anchor | Record | SessionNote

PREAMBLE_BYTES = PREAMBLE.pack(MAGIC, VERSION, 0)
CHAIN_START = hashlib.sha256(PREAMBLE_BYTES).digest()


def encode_frame(kind: FrameKind, seq: int, chain: bytes, *parts: bytes) -> tuple[bytes, bytes]:
    """Bytes of one frame, and the hash that the next frame continues."""
    payload = b"".join(parts)
    if len(payload) > LONGEST_PAYLOAD:
        raise JournalError(f"an entry of {len(payload)} bytes is too long for the journal; give it in pieces")
    head = HEAD.pack(MARKER, kind, 0, len(payload), seq, 0)[:-4]
    crc = isal_zlib.crc32(payload, isal_zlib.crc32(head))
    head += crc.to_bytes(4, "little")
    hashed = hashlib.sha256(chain)
    hashed.update(head)
    hashed.update(payload)
    chain = hashed.digest()
    return b"".join((head, payload, chain)), chain


def encode_json(value: Any) -> bytes:
    """JSON in UTF-8; never fails for a value: what JSON does not know becomes text, NaN becomes null."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps(_strict(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", errors="replace")


def encode_stream(stream: Stream) -> bytes:
    """Payload of the frame that declares a stream."""
    return encode_json(asdict(stream))


def encode_block(number: int, block: Block, clock: UniformClock) -> tuple[bytes, ...]:
    """Parts of a block's payload.  Times that the nominal interval gives to the last bit are not written out."""
    samples, channels = block.values.shape
    quality = block.quality
    constant = not quality.any() or bool((quality == quality[0]).all())
    uniform = clock.fits(block.first, block.t, block.stride)
    stride = block.stride if block.stride > 1 else 0  # as before there was any
    return (
        _BLOCK.pack(number, uniform, constant, channels, stride, samples, block.first),
        _UNIFORM.pack(clock.t0, clock.dt) if uniform else np.ascontiguousarray(block.t, dtype="<f8").tobytes(),
        np.ascontiguousarray(block.values, dtype="<f8").tobytes(),
        np.ascontiguousarray(quality[0] if constant else quality, dtype="<u2").tobytes(),
    )


def encode_anchor(number: int, host_t: float, samples: int) -> bytes:
    """Payload of an anchor."""
    return _ANCHOR.pack(number, 0, 0, samples, host_t)


class UniformClock:
    """Guesses the line on which a hardware-timed stream's nominal times lie; ``fits`` is exact or says no."""

    def __init__(self, interval_s: float | None) -> None:
        self.dt = interval_s or 0.0
        self.t0 = math.nan

    def fits(self, first: int, t: FloatArray, stride: int = 1) -> bool:
        """Whether the times are ``t0 + index * dt`` to the last bit; moves ``t0`` where that makes them so."""
        if not self.dt:
            return False
        index = np.arange(first, first + stride * len(t), stride)
        if np.array_equal(uniform_times(self.t0, self.dt, index), t):
            return True
        self.t0 = float(t[0]) - first * self.dt
        return bool(np.array_equal(uniform_times(self.t0, self.dt, index), t))


def uniform_times(t0: float, dt: float, index: np.ndarray[Any, Any]) -> FloatArray:
    """Times of sample indices; the one expression that writer and reader share."""
    return t0 + index * dt


def decode_json(payload: memoryview) -> Any:
    """Value of a JSON payload."""
    try:
        return json.loads(bytes(payload))
    except ValueError:
        raise JournalError("an entry of the journal is intact but not JSON; another program wrote it") from None


def decode_stream(payload: memoryview) -> Stream:
    """Declaration of a stream."""
    said = decode_json(payload)
    channels = tuple(Channel(**channel) for channel in said["channels"])
    return Stream(said["name"], said["instrument"], channels, said["interval_s"])


@dataclass(frozen=True, slots=True)
class BlockView:
    """A block as the journal holds it; arrays are views of the payload.

    Attributes
    ----------
    t : (samples,) times.
    values : (samples, channels).
    quality : (samples, channels), or (channels,) where it is the same for every sample.
    stride : as of `data.samples.Block`.
    """

    number: int
    first: int
    t: FloatArray
    values: FloatArray
    quality: np.ndarray[Any, np.dtype[np.uint16]]
    stride: int = 1

    def until(self, until_s: float) -> BlockView:
        """The samples up to a time."""
        rows = slice(0, int(np.searchsorted(self.t, until_s, side="right")))
        quality = self.quality if self.quality.ndim == 1 else self.quality[rows]
        return replace(self, t=self.t[rows], values=self.values[rows], quality=quality)


def decode_block(payload: memoryview) -> BlockView:
    """Arrays of a block's payload; raises JournalError when the lengths do not agree."""
    number, uniform, constant, channels, stride, samples, first = _BLOCK.unpack_from(payload)
    at, stride = _BLOCK.size, max(1, stride)
    times = _UNIFORM.size if uniform else samples * 8
    rows = 1 if constant else samples
    if len(payload) != at + times + samples * channels * 8 + rows * channels * 2:
        raise JournalError("a block of the journal is intact but its length is wrong; another program wrote it")
    if uniform:
        t0, dt = _UNIFORM.unpack_from(payload, at)
        t = uniform_times(t0, dt, np.arange(first, first + stride * samples, stride))
    else:
        t = np.frombuffer(payload, "<f8", samples, at)
    at += times
    values = np.frombuffer(payload, "<f8", samples * channels, at).reshape(samples, channels)
    at += samples * channels * 8
    quality = np.frombuffer(payload, "<u2", rows * channels, at)
    quality = quality if constant else quality.reshape(samples, channels)
    return BlockView(number, first, t, values, quality, stride)


def decode_anchor(payload: memoryview) -> tuple[int, float, int]:
    """Stream number, host time and sample count of an anchor."""
    number, _, _, samples, host_t = _ANCHOR.unpack(payload)
    return number, host_t, samples


def frame_bytes(data: bytes | memoryview, at: int = 0) -> int:
    """Bytes of the frame that begins at a place, 0 while its head is not there; raises BrokenFrameError for no head."""
    if len(data) - at < HEAD.size:
        return 0
    marker, _, _, length, _, _ = HEAD.unpack_from(data, at)
    if marker != MARKER or length > LONGEST_PAYLOAD:
        raise BrokenFrameError("a frame's head is damaged")
    return HEAD.size + int(length) + CHAIN_BYTES


def is_intact(frame: memoryview) -> bool:
    """Whether the bytes of a whole frame have the checksum that stands in its head."""
    crc: int = HEAD.unpack_from(frame)[-1]
    return bool(isal_zlib.crc32(frame[HEAD.size : -CHAIN_BYTES], isal_zlib.crc32(frame[: HEAD.size - 4])) == crc)


class FrameChain:
    """Checks that each frame of a journal is intact and continues the one before it, and decodes it.

    Attributes
    ----------
    next_seq : number of the frame that comes next.
    chain : hash of the last frame, which fixes everything before it.
    streams : declared so far; a block names its stream by its place in this list.
    """

    def __init__(self) -> None:
        self.next_seq = 0
        self.chain = CHAIN_START
        self.streams: list[Stream] = []

    def take(self, data: memoryview, offset: int) -> Frame:
        """The frame whose bytes these are, ``offset`` its place; raises BrokenFrameError and stays where it was."""
        _, kind, _, _, seq, _ = HEAD.unpack_from(data)
        if not is_intact(data):
            raise BrokenFrameError("a frame's checksum is wrong")
        hashed = hashlib.sha256(self.chain)
        hashed.update(data[:-CHAIN_BYTES])
        chain = hashed.digest()
        if seq != self.next_seq or chain != data[-CHAIN_BYTES:]:
            raise BrokenFrameError("a frame does not continue the one before it")
        frame = Frame(kind, seq, data[HEAD.size : -CHAIN_BYTES], offset)
        if kind == FrameKind.STREAM:
            self.streams.append(decode_stream(frame.payload))
        self.chain = chain
        self.next_seq += 1
        return frame

    def decode(self, frame: Frame) -> Content:
        """What a frame says; arrays of a block are copies."""
        payload = frame.payload
        if frame.kind == FrameKind.BLOCK:
            view = decode_block(payload)
            quality = np.broadcast_to(view.quality, view.values.shape).astype(np.uint16)
            name = self.streams[view.number].name
            return Block(name, view.first, view.t.copy(), view.values.copy(), quality, view.stride)
        if frame.kind == FrameKind.ANCHOR:
            number, host_t, samples = decode_anchor(payload)
            return Anchor(self.streams[number].name, host_t, samples)
        if frame.kind == FrameKind.STREAM:
            return decode_stream(payload)
        said = decode_json(payload)
        if frame.kind == FrameKind.RECORD:
            return Record(said["kind"], said["t"], said["fields"])
        return SessionNote(said) if frame.kind == FrameKind.SESSION else cast(Content, said)


def _plain(value: Any) -> Any:
    """What JSON does not know, in what it knows."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def _strict(value: Any) -> Any:
    """The same without NaN, infinities and keys that are not text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return _strict(_plain(value))
