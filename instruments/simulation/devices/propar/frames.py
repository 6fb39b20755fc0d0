"""Frames of the propar protocol, ASCII and binary, as they reach an instrument and as it sends them.

ASCII: ``:LLNN`` and the data in hexadecimal digits, CR LF; LL counts the bytes after itself.  Binary: ``10 02``,
sequence number, node, length, data, ``10 03``, with every 10h in between doubled.  An instrument answers in the frame
in which it was asked.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass

DLE, STX, ETX = 0x10, 0x02, 0x03
NO_COLON, BAD_LENGTH_DIGITS, BAD_LENGTH, BAD_DATA, NO_ANSWER = 1, 2, 3, 4, 9
_LONGEST = 600
_HEX = frozenset(string.hexdigits.encode())


@dataclass(frozen=True, slots=True)
class Message:
    """One message from a host; ``error`` is not 0 where the frame is no good, then there is nothing else in it."""

    sequence: int | None  # None in ASCII, which has no such number
    node: int = 0
    data: bytes = b""
    error: int = 0

    def answered(self, data: bytes) -> bytes:
        """The frame that answers it."""
        return self._framed(bytes((self.node,)), data)

    def refused(self, error: int) -> bytes:
        """The frame that says what is wrong with its own; in ASCII it names no node."""
        return b":01%02X\r\n" % error if self.sequence is None else self._framed(bytes((self.node,)), bytes((error,)))

    def _framed(self, node: bytes, data: bytes) -> bytes:
        if self.sequence is None:
            return b":%02X%s\r\n" % (len(data) + 1, (node + data).hex().upper().encode())
        body = bytes((self.sequence,)) + node + bytes((len(data),)) + data
        return bytes((DLE, STX)) + body.replace(b"\x10", b"\x10\x10") + bytes((DLE, ETX))


class Frames:
    """Cuts what a host sends into messages of either frame; a colon or ``10 02`` begins one anew."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._body: bytearray | None = None  # of a binary frame
        self._escaped = False

    def clear(self) -> None:
        """Forget a part of a frame."""
        self._text.clear()
        self._body, self._escaped = None, False

    def feed(self, data: bytes) -> Iterator[Message]:
        """Messages that are complete now."""
        for byte in data:
            message = self._byte(byte)
            if message is not None:
                yield message

    def _byte(self, byte: int) -> Message | None:
        if self._escaped:
            self._escaped = False
            return self._after_escape(byte)
        if byte == DLE:
            self._escaped = True
        elif self._body is not None:
            self._body.append(byte)
        elif byte == 0x0A:
            line, self._text = bytes(self._text).rstrip(b"\r"), bytearray()
            return _of_line(line) if line else None
        elif byte == 0x3A:
            self._text = bytearray(b":")
        elif len(self._text) < _LONGEST:
            self._text.append(byte)
        return None

    def _after_escape(self, byte: int) -> Message | None:
        if byte == STX:
            self._body = bytearray()
        elif byte == ETX and self._body is not None:
            body, self._body = bytes(self._body), None
            return _of_body(body)
        elif byte == DLE and self._body is not None:
            self._body.append(DLE)
        else:
            self._body = None
        return None


def _of_line(line: bytes) -> Message:
    if not line.startswith(b":"):
        return Message(None, error=NO_COLON)
    digits = line[1:]
    if not _HEX.issuperset(digits[:2]) or len(digits) < 2:
        return Message(None, error=BAD_LENGTH_DIGITS)
    length = int(digits[:2], 16)
    if length < 2 or len(digits) != 2 + 2 * length:
        return Message(None, error=BAD_LENGTH)
    if not _HEX.issuperset(digits):
        return Message(None, error=BAD_DATA)
    content = bytes.fromhex(digits[2:].decode("ascii"))
    return Message(None, content[0], content[1:])


def _of_body(body: bytes) -> Message | None:
    if len(body) < 4:
        return None
    sequence, node, length = body[:3]
    if length != len(body) - 3:
        return Message(sequence, node, error=BAD_DATA)
    return Message(sequence, node, body[3:])
