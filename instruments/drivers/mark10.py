"""Mark-10 digital force gauges of series 4, 5 and 7 (USB or RS-232, 115200 8N1), polled for the current force.

Source: user's guides of series 4 (9.1.3), series 5 (9.6, gauge control language 2) and model 7i (14.6).  Not verified
against a real gauge: that an accepted setting gets no reply, and what an overloaded gauge says.

Compression is positive, tension negative.  Every reading states its unit, which is set to N.  There is no checksum: a
reading counts only if it stands there whole and came alone, and what jumped by more than ``max_step`` is asked again
(docs/explanation/wire-faults.md).

The current force is asked for with ``?C``, 50 times a second by default.  The gauge's automatic output (``AOUT``) is
not used: its lines carry neither time nor number, so one that is lost shifts all that follow, while the answer to a
question has the time of the question.

A setting gets no reply, so ``LIST``, which tells all settings, goes out in the same breath.  To get back in step it is
asked in turn with the gauge's own texts, so that a late answer to the one before is not taken for that to this one.
Series 4 knows ``?`` alone: it shows whatever its display shows, in the unit of its display, and is zeroed by
its key.
"""

from __future__ import annotations

import math
import re
from itertools import cycle
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from data.quantity_fields import TimeS, reads
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

ForceN = Annotated[float, reads("force")]

ZEROED_WITHIN = 0.01
"""Share of the capacity that a gauge may still show when it was zeroed."""

_READING = re.compile(rb"(-?\d{1,5}(?:\.\d{1,5})?) (lbF|ozF|kgF|gF|N|mN|kN)\r?\n")
_OVER = re.compile(rb"-?(?:OVER[A-Z]*|-{3,})(?: \w+)?\r?\n")
_ERROR = re.compile(rb"(\*\d\d)\r?\n")
_LIST = re.compile(rb"V\d+\.\d+((?:;[A-Z]+[\w.+-]*){2,});B(\d)\r?\n")
_TEXT = re.compile(rb"([\w.-][\w. /-]*)\r?\n")
_UNITS_N = {
    b"lbF": 4.4482216152605, b"ozF": 4.4482216152605 / 16.0, b"kgF": 9.80665, b"gF": 9.80665e-3, b"N": 1.0, b"mN": 1e-3,
    b"kN": 1e3,
}  # fmt: skip
_ERRORS = {
    b"*10": "does not know the command", b"*11": "cannot do it now", b"*12": "does not take the value",
    b"*22": "the value is too large",
}  # fmt: skip
_ILLEGAL = b"*10"
_LISTING, _TEXTS = b"LIST", (b"RS", b"RM", b"RV")
_WANTED = {"AOUT": "AOUT0", "unit": "N", "format": "FULL", "AOFF": "AOFF0"}
"""Settings and how each is commanded: no output unasked, newtons, with the unit, no switching off by itself."""
_WANTED_7 = {"IPOL": "IPOL0", "OPOL": "OPOL0"}
_EMPTY_BATTERY = 3


class Mark10Settings(VisaSettings):
    """Settings of a gauge."""

    capacity_n: ForceN = Field(alias="capacity", gt=0.0, description="largest force of its range")
    max_step_n: ForceN | None = Field(
        None,
        alias="max_step",
        gt=0.0,
        description="a larger change from one reading to the next is asked again; a tenth of the capacity if left out",
    )
    series: Literal[4, 5, 7] = Field(5, description="4 (M4), 5 (M5) or 7 (M7)")
    period_s: TimeS = Field(0.02, alias="period", gt=0.0, description="how often the force is asked for")

    @model_validator(mode="after")
    def _tells_a_serial_number(self) -> Self:
        if self.series == 4 and self.serial is not None:
            raise ValueError("a gauge of series 4 does not tell its serial number; leave it out")
        return self


class Peaks(NamedTuple):
    """Largest forces since the peaks were cleared: tension is negative or zero, compression positive or zero."""

    tension_n: float
    compression_n: float


def _recognise(ask: Ask) -> Recognised | None:
    """``LIST`` tells the settings in a form that nothing else has; series 4 knows it as little as any other."""
    heard = ask(_LISTING + b"\r")
    if heard.startswith(_ILLEGAL) and ask(_TEXTS[0] + b"\r").startswith(_ILLEGAL):
        return Recognised(Identity("Mark-10", "series 4", ""), {"series": 4})
    listed = _LIST.search(heard)
    if listed is None:
        return None
    texts = [_TEXT.search(ask(question + b"\r")) for question in _TEXTS]
    serial, model, firmware = (found[1].decode("ascii").strip() if found else "" for found in texts)
    series = 7 if b"IPOL" in listed[1] else 5
    return Recognised(Identity("Mark-10", model, serial, firmware), {"series": series})


class Mark10Gauge(VisaInstrument, Polled):
    """One gauge; meets `instruments.capabilities.Tareable`."""

    settings_type: ClassVar[type[Settings]] = Mark10Settings
    settings: Mark10Settings
    line = SerialLine(baud=115_200)
    recognition = Recognition("force_gauge", _recognise, (line,), rank=4)

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        step_n = self.settings.max_step_n or 0.1 * self.settings.capacity_n
        self.channels = (
            Channel("force", "N", description="force on the gauge, compression positive", max_step=step_n),
        )
        self._question = b"?\r" if self.settings.series == 4 else b"?C\r"
        self._wanted = _WANTED | (_WANTED_7 if self.settings.series == 7 else {})
        self._told: dict[str, str] = {}  # what LIST said last
        self._texts: dict[bytes, str] = {}  # its serial number, model and version, once they are known
        self._markers, self._marked = cycle((_LISTING, *_TEXTS)), _LISTING
        self._battery = 0
        self._set_up = False
        self._zeroed = False
        self._zero_is_lost = False

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    def identify(self) -> Identity:
        """Model, serial number and firmware; series 4 tells none of them."""
        if self.settings.series == 4:
            return Identity("Mark-10", "series 4", "")
        self._texts = {}
        serial, model, firmware = texts = [self._text(command) for command in _TEXTS]
        if [self._text(command) for command in _TEXTS] != texts:
            raise InstrumentReplyError(self.name, "tells two serial numbers, models or versions; the line is disturbed")
        if len(set(texts)) == len(texts):
            self._texts = dict(zip(_TEXTS, texts, strict=True))
        return Identity("Mark-10", model, serial, firmware)

    def sample(self) -> Reading:
        """Force now; asked again where it jumped."""
        return self._measure(self._question, self._force)

    def tare(self) -> None:
        """Take the present load as zero; raises InstrumentRefusal where the gauge cannot, or the load did not rest."""
        self._insist_on_language("zeroed", "press its ZERO key")
        self._ask(b"Z\rLIST\r", self._settings_told)
        self._zeroed = True
        reading = self.sample()
        if not abs(reading.values[0]) <= ZEROED_WITHIN * self.settings.capacity_n:
            shown = f"{reading.values[0]:.4g} N"
            raise InstrumentRefusal(self.name, f"shows {shown} after it was zeroed; keep the load still")
        self._zero_is_lost = False  # now that the gauge shows it: the settings come even where the zero did not arrive

    def peaks(self) -> Peaks:
        """Largest forces since the peaks were cleared, at the gauge's own rate; zeroing clears them too."""
        self._insist_on_language("asked for its peaks", "read its display")
        tension, compression = self._ask(b"?PT\r", self._force), self._ask(b"?PC\r", self._force)
        return Peaks(tension.values[0], compression.values[0])

    def clear_peaks(self) -> None:
        """Forget the peaks."""
        self._insist_on_language("told to clear its peaks", "press its CLEAR key")
        self._ask(b"CLR\rLIST\r", self._settings_told)

    def probe(self) -> list[str]:
        """Battery, range, zero."""
        problems = []
        quality = self.sample().quality[0]
        if quality & Quality.OVERLOAD:
            problems.append("its load is out of range")
        if quality & Quality.DISTURBED:
            problems.append("it was restarted and its zero is lost; zero it again")
        if self._battery >= _EMPTY_BATTERY:
            problems.append("its battery is nearly empty; plug it in")
        return problems

    def make_safe(self) -> str:
        """A force gauge drives nothing."""
        return "a force gauge drives nothing"

    # -- replies

    def _force(self, reply: bytes) -> Reading:
        """A force in N, flagged OVERLOAD out of range and DISTURBED when the zero was lost."""
        if self._left_over() not in (b"", reply):
            raise InstrumentReplyError(self.name, "more than one reply to one question")
        lost = int(Quality.DISTURBED) if self._zero_is_lost else 0
        if _OVER.fullmatch(reply):
            return Reading(self.sent_s, (math.nan,), (int(Quality.OVERLOAD) | lost,))
        found = _READING.fullmatch(reply)
        if found is None:
            raise self._unexpected(reply)
        if self.settings.series != 4 and found[2] != b"N":
            raise InstrumentReplyError(self.name, f"shows {found[2].decode()} instead of N")
        force_n = float(found[1]) * _UNITS_N[found[2]] + 0.0
        over = int(Quality.OVERLOAD) if abs(force_n) > self.settings.capacity_n else 0
        return Reading(self.sent_s, (force_n,), (over | lost,))

    def _text(self, command: bytes) -> str:
        def read(reply: bytes) -> str:
            found = _TEXT.fullmatch(reply)
            if found is None or _READING.fullmatch(reply):
                raise self._unexpected(reply)
            return found[1].decode("ascii").strip()

        return self._ask(command + b"\r", read)

    def _settings_told(self, reply: bytes) -> dict[str, str]:
        """Settings by name, out of ``LIST``."""
        found = _LIST.fullmatch(reply)
        if found is None:
            error = self._unexpected(reply)
            self._in_step = False  # behind an error code the reply to LIST is still to come
            raise error
        unit, mode, *fields = found[1].decode("ascii").removeprefix(";").split(";")
        told = {"unit": unit, "mode": mode, "format": "FULL" if "FULL" in fields else "NUM"}
        for field in fields:
            name = field.rstrip("0123456789")
            if name != field:
                told[name] = f"{name}{int(field[len(name) :])}"  # AOUT00 is AOUT0
        self._told, self._battery = told, int(found[2])
        return told

    def _unexpected(self, reply: bytes) -> InstrumentReplyError:
        """Error for a reply that is not the one wanted; an unknown command may be one that was damaged on its way."""
        found = _ERROR.fullmatch(reply)
        if found is None:
            return InstrumentReplyError(self.name, f"unexpected reply {reply!r}")
        kind = InstrumentReplyError if found[1] == _ILLEGAL else InstrumentRefusal
        why = _ERRORS.get(found[1], "reports an error")
        hint = "; is it of another series?" if found[1] == _ILLEGAL else ""
        return kind(self.name, f"{why} ({found[1].decode()}){hint}")

    def _insist_on_language(self, what: str, remedy: str) -> None:
        if self.settings.series == 4:
            raise InstrumentRefusal(self.name, f"a gauge of series 4 cannot be {what} over its wire; {remedy}")

    # -- getting back in step

    def _marker(self) -> bytes:
        """``LIST``, which series 4 answers with an error code, or a text that is known: none of them is a reading."""
        if self.settings.series == 4:
            return b"LIST\r"
        self._marked = next(self._markers) if self._texts else _LISTING
        return b"AOUT0\r" + self._marked + b"\r"

    def _is_marked(self, reply: bytes) -> bool:
        if self.settings.series == 4:
            return reply.startswith(_ILLEGAL)
        if self._marked != _LISTING:
            return reply.rstrip(b"\r\n") == self._texts[self._marked].encode("ascii")
        if not _LIST.fullmatch(reply):
            return False
        self._settings_told(reply)
        return True

    def _restore(self) -> None:
        """Set what is not as it should be, and say so when it was once."""
        if self.settings.series == 4:
            return
        if self._marked != _LISTING:
            self._ask(b"LIST\r", self._settings_told)
        differ, told = self._differences(), self._told
        if differ and self._ask(b"LIST\r", self._settings_told) != told:
            raise InstrumentReplyError(self.name, "tells its settings in two ways; the line is disturbed")
        if differ and self._set_up:
            restarted = "AOFF" in differ
            self._zero_is_lost |= restarted and self._zeroed
            what = "was restarted; zero it again" if restarted else f"was changed at its keys: {', '.join(differ)}"
            self.note("warning", f'force gauge "{self.name}" {what}')
        for name in differ:
            self._ask(self._wanted[name].encode() + b"\rLIST\r", self._settings_told)
        if self._differences():
            raise InstrumentReplyError(self.name, f"its {', '.join(self._differences())} cannot be set")
        self._set_up = True

    def _differences(self) -> list[str]:
        """Names of the settings that are not as they should be; one that the gauge does not list is none."""
        return [name for name, value in self._wanted.items() if self._told.get(name, value) != value]


DRIVER = Mark10Gauge
