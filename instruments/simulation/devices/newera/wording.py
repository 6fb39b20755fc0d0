"""The packets of a New Era pump's safe mode, and numbers as it takes and shows them.

Source: NE-1000 user manual (publication 1200-01), section 10.
"""

from __future__ import annotations

import re

STX, ETX = 0x02, 0x03

_FLOAT = re.compile(r"(?=\d|\.\d)(\d*)\.?(\d{0,3})")


def _remainder(byte: int) -> int:
    """What the polynomial leaves of one byte."""
    crc = byte << 8
    for _ in range(8):
        crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


_REMAINDERS = tuple(_remainder(byte) for byte in range(256))


def crc_ccitt(data: bytes) -> int:
    """CRC-16 with polynomial 1021h, start 0, neither reflected nor inverted; "123456789" gives 31C3h."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _REMAINDERS[crc >> 8 ^ byte]
    return crc


def packet(text: bytes) -> bytes:
    """A text as a packet of the safe mode: its length counts itself, the CRC and the end."""
    return bytes((STX, len(text) + 4)) + text + crc_ccitt(text).to_bytes(2, "big") + bytes((ETX,))


def shown(value: float) -> str:
    """A number with four digits and a point, at most three of them behind it."""
    for decimals in (3, 2, 1):
        text = f"{value:.{decimals}f}"
        if len(text) <= 5:
            return text
    return f"{value:.0f}."


class CommandError(Exception):
    """A command that the pump refuses, with what follows the question mark of its reply."""


def number(text: str, low: float, high: float) -> float:
    """A number as the pump takes it: at most four digits, three of them behind the point."""
    found = _FLOAT.fullmatch(text)
    if found is None:
        raise CommandError
    if len(found[1] + found[2]) > 4 or not low <= float(text) <= high:
        raise CommandError("OOR")
    return float(text)


def whole(text: str, low: int, high: int) -> int:
    """A whole number within limits."""
    if not text.isdigit():
        raise CommandError
    if not low <= int(text) <= high:
        raise CommandError("OOR")
    return int(text)
