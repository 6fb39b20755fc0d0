"""Vaisala HMT330 hygrometers and their relatives with the same commands (4800 7E1 as delivered, mode STOP).

Source: the serial line chapters of Vaisala's user guides (HMT330 M210566EN, HMT310, HMP230, HMP240, DMT340): ``SEND``
outputs one reading in the form that ``FORM`` has set, which may hold the serial number, error flags, the state of the
heater and a checksum; ``S`` ends continuous output, ``ECHO OFF`` the echo, ``VERS`` tells the name and version of the
program ("HMT330 / 5.16"), settings survive a loss of power.  That an impossible value is sent as asterisks is from
memory.  Not verified against a real instrument.

The driver sets a form of its own at each connection, with serial number and checksum: a damaged reply cannot pass, and
another transmitter is noticed at once.
"""

from __future__ import annotations

import math
import re
from typing import ClassVar

from pydantic import Field

from data.quantity_fields import TimeS
from data.samples import Channel, Quality, Reading
from instruments.instrument import Identity, InstrumentReplyError, Polled, Settings
from instruments.recognition import Ask, Recognised, Recognition
from instruments.visa import SerialLine, VisaInstrument, VisaSettings

FORM = b'FORM "SN=" SN " RH=" 4.2 rh U4 " T=" 4.2 t U3 " E=" ERR " S=" STAT " CS=" CS4 #r #n'

_LINE = re.compile(
    rb"[> ]*(?P<message>SN= *(?P<serial>\w+) +RH= *(?P<rh>-?\d+\.\d\d|\*[*.]*) *%RH +T= *(?P<t>-?\d+\.\d\d|\*[*.]*) *"
    rb"'(?P<unit>[CF]) +E= *(?P<flags>[01]{4}) +S= *(?P<state>[A-Za-z]) +[\d.]+ +CS= *)(?P<sum>[0-9A-F]{4})\r?\n"
)
_VERSION = re.compile(rb"[> ]*([A-Z]{3}\w*) *[/ ] *(\d+\.\w+)\s*\r?\n")
_IDLE = "N"
_STATES = {
    "h": "its probe is heated",
    "H": "it purges its sensor",
    "S": "it purges its sensor",
    "X": "its sensor is heated",
}


class VaisalaSettings(VisaSettings):
    """Settings of a hygrometer."""

    timeout_s: TimeS = Field(1.0, alias="timeout", gt=0.0, description="longest wait for one reply")
    period_s: TimeS = Field(10.0, alias="period", gt=0.0, description="how often humidity is asked for")


def _recognise(ask: Ask) -> Recognised | None:
    """Its version.  One that sends all the time hears nothing and is not recognised: only ``S`` would silence it."""
    found = re.search(rb"\b([HD]M[TP]\d\w*) *[/ ] *(\d+\.\w+)\s*\r?\n", ask(b"VERS\r", within_s=0.5))
    return Recognised(Identity("Vaisala", found[1].decode(), "", found[2].decode())) if found else None


class VaisalaHmt(VisaInstrument, Polled):
    """One transmitter.  The state channel holds the letter of its heater's state as a character code: N 78 is none."""

    settings_type: ClassVar[type[Settings]] = VaisalaSettings
    settings: VaisalaSettings
    line = SerialLine(baud=4800, data_bits=7, parity="even")
    recognition = Recognition("hygrometer", _recognise, (line,), rank=7)
    channels = (
        Channel("humidity", "%", description="relative humidity"),
        Channel("temperature", "degC", description="temperature at the probe"),
        Channel("state", "1", description="letter of the heater's state as its character code"),
    )

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    def identify(self) -> Identity:
        """Set the form of its readings, then ask who it is: name and version (VERS), serial number (SEND)."""
        for command in (b"ECHO OFF\r", FORM + b"\r"):
            self._ask(command, lambda _: None)  # what it says to that differs; the form shows in the reading
        model, version = self._ask(b"VERS\r", self._version)
        found = self._ask(b"SEND\r", self._message)
        return Identity("Vaisala", model, found["serial"].decode(), version)

    def sample(self) -> Reading:
        """Humidity and temperature now."""
        return self._ask(b"SEND\r", self._reading)

    def probe(self) -> list[str]:
        """Faults that it reports, and a heated probe or sensor, which spoils its readings."""
        found = self._ask(b"SEND\r", self._message)
        state = found["state"].decode()
        problems = [] if found["flags"] == b"0000" else [f"it reports a fault (flags {found['flags'].decode()})"]
        return problems if state == _IDLE else [*problems, f"{_STATES.get(state, f'its state is {state}')}; wait"]

    def make_safe(self) -> str:
        """A hygrometer drives nothing."""
        return "a hygrometer drives nothing"

    # -- replies

    def _reading(self, reply: bytes) -> Reading:
        found = self._message(reply)
        busy = int(Quality.DEVICE_ERROR) if found["state"].decode() != _IDLE else 0
        humidity, faulty_rh = _value(found["rh"], found["flags"][3:4])
        degc, faulty_t = _value(found["t"], found["flags"][1:2])
        values = (humidity, degc, float(found["state"][0]))
        return Reading(self.sent_s, values, (busy | faulty_rh, busy | faulty_t, 0))

    def _message(self, reply: bytes) -> re.Match[bytes]:
        """Parts of a reading in our form, from this transmitter, undamaged and alone."""
        found = _LINE.fullmatch(reply)
        if found is None:
            raise InstrumentReplyError(self.name, f"{reply!r} is no reading in the form that was set")
        if sum(found["message"]) & 0xFFFF != int(found["sum"], 16):
            raise InstrumentReplyError(self.name, f"the checksum of {reply!r} does not fit")
        serial = found["serial"].decode()
        if self._recognised and serial != self._serial_number:
            raise InstrumentReplyError(self.name, f'transmitter "{serial}" answers in the place of this one')
        if found["unit"] != b"C":
            raise InstrumentReplyError(self.name, "measures in degrees Fahrenheit; set it to metric units (UNIT M)")
        if self._left_over().strip(b"> \r\n"):
            raise InstrumentReplyError(self.name, "more than one reply to one question")
        return found

    def _version(self, reply: bytes) -> tuple[str, str]:
        found = _VERSION.fullmatch(reply)
        if found is None:
            raise InstrumentReplyError(self.name, f"{reply!r} is no version")
        return found[1].decode(), found[2].decode()

    # -- getting back in step

    def _marker(self) -> bytes:
        """``S`` ends continuous output, in which nothing else is heard."""
        return b"S\rVERS\r"

    def _is_marked(self, reply: bytes) -> bool:
        return _VERSION.fullmatch(reply) is not None


def _value(text: bytes, flag: bytes) -> tuple[float, int]:
    """Number of a reading, and the quality that its error flag gives it."""
    if text.startswith(b"*"):
        return math.nan, int(Quality.DEVICE_ERROR)
    return float(text), int(Quality.DEVICE_ERROR) if flag == b"1" else 0


DRIVER = VaisalaHmt
