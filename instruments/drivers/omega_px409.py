"""Omega PX409-USBH pressure transmitters on USB (a virtual serial port, 115200 8N1).

Source: user's guide of the PX409-USB(H) and programs of others.  Commands are case-sensitive and end with CR; a reply
ends with CR LF and the prompt ">".  ``P`` asks for one reading, "14.696 psi"; ``SNR`` for the serial number; ``ENQ``
for type, firmware and range in lines of their own; ``PC`` starts a stream and ``PS`` ends it; anything else is answered
"... @command unsupported".  Not verified against a real transmitter: how ENQ words its range, what it sends beyond it.

It is powered by the cable and says nothing for 5 to 7 s after it was plugged in.  There is no checksum.
"""

import re
from itertools import cycle
from typing import ClassVar, Literal

from pydantic import Field

from data.quantity_fields import LengthMm, PressureKpa, TimeS
from data.samples import Channel, Quality, Reading
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    Identity,
    InstrumentDisconnected,
    InstrumentReplyError,
    InstrumentTimeout,
    Polled,
    Settings,
)
from instruments.recognition import Ask, Recognised, Recognition
from instruments.visa import SerialLine, VisaInstrument, VisaSettings

BOOT_S = 8.0
"""How long the first connection is tried: a transmitter that was just plugged in still starts."""

OVER_RANGE = 1.05
"""A reading beyond this share of the range is none."""

UNITS_KPA = {"psi": 6.894757293168361, "bar": 100.0, "mbar": 0.1, "hPa": 0.1, "kPa": 1.0, "Pa": 0.001}

_READING = re.compile(rb" *(-?\d{1,6}\.\d{1,6}) ([A-Za-z]+)\r?\n>")
_SERIAL = re.compile(rb" *(\d{3,12})\r?\n>")
_ENQUIRY = re.compile(rb" *([A-Z]\w*)\r?\n *(\S+)\r?\n([\x20-\x7e]+)\r?\n>")
_QUESTIONS = (b"SNR", b"ENQ", b"RATE", b"AVG")


class OmegaSettings(VisaSettings):
    """Settings of a transmitter."""

    reference: Literal["gauge", "absolute"] = Field(description="what it measures against: G or A in its model number")
    high_kpa: PressureKpa = Field(alias="high", gt=0.0, description="end of its range")
    max_step_kpa: PressureKpa = Field(
        2.0, alias="max_step", gt=0.0, description="a larger change from one reading to the next is asked again"
    )
    period_s: TimeS = Field(0.2, alias="period", gt=0.0, description="how often the pressure is asked for")
    height_mm: LengthMm = Field(0.0, alias="height", description="above the outlet of the pump under test")


def _recognise(ask: Ask) -> Recognised | None:
    """Its serial number, which alone a balance might take for something; so the balances have been asked before."""
    serial = _SERIAL.search(ask(b"SNR\r"))
    if serial is None:
        return None
    told = _ENQUIRY.search(ask(b"ENQ\r"))
    kind, firmware, span = (part.decode("ascii").strip() for part in told.groups()) if told else ("", "", "")
    references = {"A": "absolute", "G": "gauge"}
    settings = {"reference": references[span[-1]]} if span[-1:] in references else {}
    return Recognised(Identity("Omega", f"PX409 {kind}".strip(), serial[1].decode("ascii"), firmware), settings)


class OmegaPx409(VisaInstrument, Polled):
    """One transmitter, whatever unit it is set to."""

    settings_type: ClassVar[type[Settings]] = OmegaSettings
    settings: OmegaSettings
    line = SerialLine(baud=115_200)
    recognition = Recognition("transmitter", _recognise, (line,), rank=8)
    terminator = ">"

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        own = self.settings
        what = f"{own.reference} pressure"
        self.channels = (Channel("pressure", "kPa", own.reference, own.height_mm, what, own.max_step_kpa),)
        self._told: dict[bytes, bytes] = {}  # replies that do not change and differ from one another, by question
        self._markers, self._marked = cycle(_QUESTIONS[:1]), _QUESTIONS[0]

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    def open(self) -> None:
        """Connect; one that was just plugged in gets the time that it takes to start."""
        until = self.clock.now() + BOOT_S
        while True:
            try:
                return super().open()
            except InstrumentDisconnected as error:
                if self.clock.now() >= until or not isinstance(error.__cause__, InstrumentTimeout):
                    raise
            self.clock.sleep(0.5)

    def identify(self) -> Identity:
        """Serial number (SNR), type and firmware (ENQ)."""
        self._told = {}
        told = {question: self._ask(question + b"\r", self._alone) for question in _QUESTIONS}
        if {question: self._ask(question + b"\r", self._alone) for question in _QUESTIONS} != told:
            raise InstrumentReplyError(self.name, "tells two serial numbers or settings; the line is disturbed")
        serial, found = self._matched(_SERIAL, told[b"SNR"]), self._matched(_ENQUIRY, told[b"ENQ"])
        self._told = {question: reply for question, reply in told.items() if [*told.values()].count(reply) == 1}
        self._markers = cycle(self._told)
        return Identity("Omega", f"PX409 {found[1].decode()}", serial[1].decode(), found[2].decode())

    def sample(self) -> Reading:
        """Pressure now; asked again where it jumped."""
        return self._measure(b"P\r", self._pressure)

    def probe(self) -> list[str]:
        """A reading beyond the range, another reference than the station's."""
        problems = ["its pressure is out of range"] if self.sample().quality[0] else []
        told = self._ask(b"ENQ\r", lambda reply: self._matched(_ENQUIRY, reply))[3].decode().strip()
        if told[-1:] in "AG" and told[-1:] != self.settings.reference[0].upper():
            problems.append(f'its range is "{told}", and reference is "{self.settings.reference}"; correct the file')
        return problems

    def make_safe(self) -> str:
        """A transmitter drives nothing."""
        return "a pressure transmitter drives nothing"

    # -- replies

    def _pressure(self, reply: bytes) -> Reading:
        found = self._matched(_READING, reply)
        unit = found[2].decode()
        if unit not in UNITS_KPA:
            raise InstrumentReplyError(self.name, f"measures in {unit}; set it to one of {', '.join(UNITS_KPA)}")
        kpa = float(found[1]) * UNITS_KPA[unit]
        quality = Quality.SATURATED if abs(kpa) > OVER_RANGE * self.settings.high_kpa else Quality.GOOD
        return Reading(self.sent_s, (kpa,), (int(quality),))

    def _matched(self, form: re.Pattern[bytes], reply: bytes) -> re.Match[bytes]:
        """Parts of a reply that has its whole form and came alone."""
        found = form.fullmatch(self._alone(reply))
        if found is None:
            raise InstrumentReplyError(self.name, f"unexpected reply {reply!r}")
        return found

    def _alone(self, reply: bytes) -> bytes:
        if self._left_over() not in (b"", reply):
            raise InstrumentReplyError(self.name, "more than one reply to one question")
        return reply

    # -- getting back in step

    def _marker(self) -> bytes:
        """One of up to four questions in turn, so that a late answer to one before does not pass for that to this one.

        Half of a command, and a stream that some program has left running, are ended first.
        """
        self._marked = next(self._markers) if self._recognised else _QUESTIONS[0]
        return b"\rPS\r%s\r" % self._marked

    def _is_marked(self, reply: bytes) -> bool:
        told = self._told.get(self._marked) if self._recognised else None
        return _SERIAL.fullmatch(reply) is not None if told is None else reply == told


DRIVER = OmegaPx409
