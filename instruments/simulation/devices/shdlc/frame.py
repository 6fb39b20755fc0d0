"""Frames of the Sensirion SHDLC protocol as the device sees them: flags, byte stuffing, checksum."""

from __future__ import annotations

from dataclasses import dataclass

_FLAG = b"\x7e"
_STUFFING = (
    (b"\x7d", b"\x7d\x5d"),  # first, it is the escape itself
    (b"\x7e", b"\x7d\x5e"),
    (b"\x11", b"\x7d\x31"),
    (b"\x13", b"\x7d\x33"),
)
_LONGEST = 600


@dataclass(frozen=True, slots=True)
class Request:
    """A frame from the host."""

    address: int
    command: int
    data: bytes
    intact: bool  # checksum and length agree


class FrameAssembler:
    """Cuts the bytes of a host into frames; two frames may share a flag."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes; returns the bodies between flags that are complete now, still stuffed."""
        *bodies, rest = (self._rest + data).split(_FLAG)
        self._rest = rest[-_LONGEST:]
        return [body for body in bodies if body]

    def clear(self) -> None:
        """Forget a part of a frame."""
        self._rest = b""


def checksum(content: bytes) -> int:
    """Complement of the byte sum from the address to the last data byte."""
    return ~sum(content) & 0xFF


def unpack_request(body: bytes) -> Request | None:
    """Request in the bytes between two flags; None when they are too few for one."""
    if b"\x7d" in body:
        for plain, stuffed in reversed(_STUFFING):
            body = body.replace(stuffed, plain)
    if len(body) < 4:
        return None
    content = body[:-1]
    intact = checksum(content) == body[-1] and content[2] == len(content) - 3
    return Request(content[0], content[1], content[3:], intact)


def reply_frame(address: int, command: int, state: int, data: bytes) -> bytes:
    """Whole reply: flags, stuffing and checksum around address, command, state, length and data."""
    content = bytes((address, command, state, len(data))) + data
    content += bytes((checksum(content),))
    for plain, stuffed in _STUFFING:
        if plain in content:
            content = content.replace(plain, stuffed)
    return _FLAG + content + _FLAG
