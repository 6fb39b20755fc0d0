"""What Keysight multimeters and data acquisition units share: SCPI on LAN, USB, GPIB or RS-232, and getting in step.

Source: programming guides of the Truevolt multimeters, the DAQ970A and the 34970A.  Nothing in a reply names its query,
so a reading goes out with queries whose answers show how the instrument is set: a reply counts only if all of it is as
it was set.  What is found otherwise (a restart, a hand at the panel) is set again before a reading counts.
"""

from __future__ import annotations

import re
from itertools import cycle
from typing import ClassVar

from instruments.clock import Clock
from instruments.instrument import Connection, Identity, InstrumentReplyError, Settings
from instruments.recognition import WHO, Ask, Recognised
from instruments.visa import VisaInstrument

LINE_HZ = 50.0  # conversions are no slower at 60 Hz
READING = r"[+-]\d\.\d{8}E[+-]\d\d"
ERROR = r'([+-]\d+),"([^"]*)"'

_IDENTITY = re.compile(r"([^,;\"]+),([^,;\"]+),([^,;\"]+),([^,;\"\r\n]+)\r?\n")
_COMMON_MARKERS = (
    ("*IDN", _IDENTITY),
    ("SYST:VERS", re.compile(r"\d{4}\.\d\r?\n")),
    ("*ESE", re.compile(r"\+?\d+\r?\n")),
)


def recognise(ask: Ask, models: re.Pattern[str]) -> Recognised | None:
    """An instrument of one of these models, by ``*IDN?``."""
    found = _IDENTITY.search(ask(WHO, within_s=0.5).decode("latin-1"))
    if found is None or not models.fullmatch(found[2].strip()):
        return None
    return Recognised(Identity(*(part.strip() for part in found.groups())))


def conversion_s(nplc: float) -> float:
    """Time that a conversion takes, with that of the zero which is measured each time."""
    return 2.0 * nplc / LINE_HZ + 0.01


class KeysightScpi(VisaInstrument):
    """An instrument of this kind.

    Attributes
    ----------
    models : pattern of the models that a driver is for.
    state : query that tells how it is set and no reading, and the shape of its answer.
    """

    models: ClassVar[re.Pattern[str]]
    state: ClassVar[tuple[str, re.Pattern[str]]]

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self._markers, self._asked = cycle((*_COMMON_MARKERS, self.state)), _COMMON_MARKERS[0]

    def identify(self) -> Identity:
        """Maker, model, serial number and firmware."""
        told = self._ask(b"*IDN?\n", self._identity)
        if self._serial_number is None and self._ask(b"*IDN?\n", self._identity) != told:
            raise InstrumentReplyError(self.name, "tells who it is in two ways; the line is disturbed")
        return told

    def _identity(self, reply: bytes) -> Identity:
        found = _IDENTITY.fullmatch(reply.decode("ascii"))
        if found is None:
            raise InstrumentReplyError(self.name, f"{reply!r} is no identity")
        maker, model, serial, firmware = (part.strip() for part in found.groups())
        if not self.models.fullmatch(model):
            raise InstrumentReplyError(self.name, f"is a {model}, which this driver is not for; choose another driver")
        return Identity(maker, model, serial, firmware)

    def _parsed(self, pattern: re.Pattern[str], reply: bytes) -> re.Match[str]:
        """A reply of a shape, alone."""
        if self._left_over() not in (b"", reply):
            raise InstrumentReplyError(self.name, "more than one reply to one message")
        found = pattern.fullmatch(reply.decode("ascii"))
        if found is None:
            raise InstrumentReplyError(self.name, f"{reply[:80]!r} is no reply to what it was asked")
        return found

    def _error(self, code: str, words: str) -> None:
        """Note an error that its queue held; values stand beside it as they are."""
        if int(code):
            self.note("warning", f'instrument "{self.name}" reports the error {int(code)}, {words}')

    # -- getting back in step

    def _marker(self) -> bytes:
        """One of four queries in turn, so that a late answer to the one before is not taken for that to this one."""
        self._asked = next(self._markers) if self._recognised else _COMMON_MARKERS[0]
        return b"\n" + message("*CLS", f"{self._asked[0]}?")  # what is left of a line that lost its end is ended first

    def _is_marked(self, reply: bytes) -> bool:
        return self._asked[1].fullmatch(reply.decode("latin-1")) is not None


def message(*parts: str) -> bytes:
    """Commands and queries in one message."""
    return ";".join(part if part.startswith("*") else f":{part}" for part in parts).encode("ascii") + b"\n"
