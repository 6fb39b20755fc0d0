"""What stands on the wire of a New Era syringe pump: frames of both modes, what they say, numbers and units.

Source: NE-1000 user manual (publication 1200-01), section 10.  Basic mode: a command ends with CR, a reply stands
between STX and ETX.  Safe mode: STX, length (itself, CRC and ETX counted), text, CRC-CCITT (start 0, high byte first),
ETX, both ways.  The shape tells the mode: where a packet has its length, a reply in basic mode has a digit.

A number has at most four digits and three behind the point.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

_STX, _ETX = 2, 3
_SHORTEST, _LONGEST = 7, 0x2F  # length of a packet from the pump; digits are 30h and more
_REPLY = re.compile(r"(\d\d)(?:A\?([A-Z])|([IWSPTUX]))([\x20-\x7e]*)")
_NUMBER = r"(?=[\d.]{1,5}(?![\d.]))(\d+(?:\.\d{0,3})?)"
_NUMBER_AND_UNIT = re.compile(r"(\d*\.?\d*)([A-Z]*)")

SETTING = re.compile(f"{_NUMBER}([A-Z]*)|([A-Z]+)")
VERSION = re.compile(r"NE(\w+)V(\d+\.\d+)")
COUNTS = re.compile(f"I{_NUMBER}W{_NUMBER}(UL|ML)")
"""Data of the replies to a setting, ``VER`` and ``DIS``."""

RATES_UL_PER_H = {"UH": 1.0, "UM": 60.0, "MH": 1000.0, "MM": 60_000.0}
VOLUMES_UL = {"UL": 1.0, "ML": 1000.0}


class Answer(NamedTuple):
    """A reply: the pump's address, the letter of its state or of an alarm, and what else it says."""

    address: int
    status: str
    alarm: str
    data: str


class Counts(NamedTuple):
    """Volumes by the pump's count, what the last digit of the coarser one is worth, and the letter of its state."""

    infused_ul: float
    withdrawn_ul: float
    digit_ul: float
    status: str

    def fell_from(self, before: Counts) -> bool:
        """Whether a count is less than it was."""
        return min(self.infused_ul - before.infused_ul, self.withdrawn_ul - before.withdrawn_ul) < -before.digit_ul


def framed(text: str, *, safe: bool) -> bytes:
    """A command as it is sent; ``SAF0`` in safe mode is 02 08 53 41 46 30 55 43 03."""
    body = text.encode("ascii")
    if not safe:
        return body + b"\r"
    return bytes((_STX, len(body) + 4)) + body + binascii.crc_hqx(body, 0).to_bytes(2, "big") + bytes((_ETX,))


def is_packet(frame: bytes) -> bool:
    """Whether a frame, or the beginning of one, has the shape of the safe mode."""
    return len(frame) > 1 and frame[0] == _STX and _SHORTEST <= frame[1] <= _LONGEST


def heard(frame: bytes) -> Answer | None:
    """What a whole frame says; None when it is damaged or no reply."""
    if not _is_whole(frame):
        return None
    body = frame[2:-3] if is_packet(frame) else frame[1:-1]
    found = _REPLY.fullmatch(body.decode("latin-1"))
    return None if found is None else Answer(int(found[1]), found[3] or "", found[2] or "", found[4])


def last_frame(data: bytes) -> tuple[bytes | None, bool]:
    """The whole frame at the end of what has arrived, else whether more bytes may still make one."""
    may_grow = False
    for start in (i for i, byte in enumerate(data) if byte == _STX):
        rest = data[start:]
        if _is_whole(rest):
            return rest, False
        may_grow |= len(rest) < 2 or (is_packet(rest) and len(rest) <= rest[1])
    return None, may_grow


def frames(data: bytes) -> Iterator[bytes]:
    """The whole frames among bytes that arrived unasked."""
    start = 0
    while (start := data.find(_STX, start)) >= 0:
        end = start + data[start + 1] + 1 if is_packet(data[start:]) else data.find(_ETX, start) + 1
        if _is_whole(data[start:end]):
            yield data[start:end]
            start = end
        else:
            start += 1


def _is_whole(frame: bytes) -> bool:
    if is_packet(frame):
        check = int.from_bytes(frame[-3:-1], "big")
        return len(frame) == frame[1] + 1 and frame[-1] == _ETX and binascii.crc_hqx(frame[2:-3], 0) == check
    return len(frame) > 2 and frame[0] == _STX and frame[-1] == _ETX and _STX not in frame[1:]


def digits(value: float) -> str | None:
    """A positive number as the pump takes it; None where four digits cannot say it."""
    for decimals in (3, 2, 1, 0):
        text = f"{value:.{decimals}f}"
        if len(text.replace(".", "")) <= 4:
            return text if float(text) > 0.0 else None
    return None


def same(held: str, value: str) -> bool:
    """Whether two settings are the same: as a number with its unit, or as a word."""
    one, other = _NUMBER_AND_UNIT.fullmatch(held), _NUMBER_AND_UNIT.fullmatch(value)
    if one is None or other is None or not (one[1].strip(".") and other[1].strip(".")):
        return held == value
    return float(one[1]) == float(other[1]) and one[2] == other[2]


def nearest_rate(rate_ul_per_h: float) -> tuple[str, float]:
    """A rate as it is sent, in the unit that comes nearest, and what that is in µL/h (infinity if none can say it)."""
    ways = [
        (text + unit, float(text) * unit_ul_per_h)
        for unit, unit_ul_per_h in RATES_UL_PER_H.items()
        if (text := digits(rate_ul_per_h / unit_ul_per_h)) is not None
    ]
    return min(ways, key=lambda way: abs(way[1] - rate_ul_per_h), default=("", math.inf))


def counts(answer: Answer) -> Counts:
    """Counts of a reply to ``DIS`` that matches `COUNTS`."""
    found = COUNTS.fullmatch(answer.data)
    assert found is not None
    unit_ul = VOLUMES_UL[found[3]]
    decimals = min(len(found[k].partition(".")[2]) for k in (1, 2))
    return Counts(float(found[1]) * unit_ul, float(found[2]) * unit_ul, unit_ul * 10.0**-decimals, answer.status)
