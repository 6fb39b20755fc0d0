"""Keysight multimeters of the 34461A's kind (34460A, 34465A, 34470A, 34410A, 34411A) that read one transducer.

LAN (socket 5025), USB or GPIB; SCPI.  Source: operating and service guide of the Truevolt series.  A reading goes out
with ``CONF?`` and ``SYST:ERR?``, so function and range stand beside the value.  Not verified against a real unit: the
digits in which ``CONF?`` answers, which are compared with what it said when it was set.
"""

from __future__ import annotations

import re
from functools import partial
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from data.quantity_fields import TimeS
from data.samples import Quality, Reading
from instruments.clock import Clock
from instruments.instrument import Connection, InstrumentReplyError, Polled, Settings
from instruments.keysight import ERROR, READING, KeysightScpi, conversion_s, message, recognise
from instruments.recognition import Recognition
from instruments.transducers import AnyTransducer
from instruments.visa import SerialLine, VisaSettings

_CONFIGURATION = r'"([A-Z]+) ([^",;]+),([^",;]+)"'
_CONFIGURED = re.compile(rf"{_CONFIGURATION}\r?\n")
_SAMPLE = re.compile(rf"({READING});{_CONFIGURATION};{ERROR}\r?\n")
_SET = re.compile(rf"{_CONFIGURATION};({READING});([A-Z]+);{ERROR}\r?\n")

Held = tuple[str, ...]

_MODELS = re.compile(r"344(?:6[015]|70|1[01])A")

AVERAGING = (0.02, 0.2, 1.0, 10.0, 100.0)


class Keysight34461ASettings(VisaSettings):
    """Settings of a multimeter."""

    input: AnyTransducer = Field(description="the transducer at its terminals")
    nplc: float = Field(10.0, description="cycles of the mains over which it averages: 0.02, 0.2, 1, 10 or 100")
    timeout_s: TimeS = Field(1.0, alias="timeout", gt=0.0, description="longest wait for one reply")
    period_s: TimeS = Field(1.0, alias="period", gt=0.0, description="how often it is asked")

    @field_validator("nplc")
    @classmethod
    def _is_offered(cls, nplc: float) -> float:
        if nplc not in AVERAGING:
            raise ValueError(f"it averages over {', '.join(f'{each:g}' for each in AVERAGING)} cycles of the mains")
        return nplc

    @model_validator(mode="after")
    def _is_slow_enough(self) -> Self:
        least = conversion_s(self.nplc)
        for key, value in (("timeout", self.timeout_s), ("period", self.period_s)):
            if value < least:
                raise ValueError(f"a reading over {self.nplc:g} cycles takes {least:.2f} s; write a {key} of more")
        return self


class Keysight34461A(KeysightScpi, Polled):
    """One multimeter, which drives nothing."""

    settings_type: ClassVar[type[Settings]] = Keysight34461ASettings
    settings: Keysight34461ASettings
    models = _MODELS
    recognition = Recognition(
        "multimeter", partial(recognise, models=_MODELS), (SerialLine(),), rank=2, on_messages=True
    )
    state = ("CONF", _CONFIGURED)

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self._input = self.settings.input
        self.channels = (self._input.as_channel,)
        self._held: Held = ()  # function, range, resolution, averaging and trigger, as it said when it was set
        self._question = message("READ?", "CONF?", "SYST:ERR?")

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    def sample(self) -> Reading:
        """What the transducer says now; asked again where it jumped."""
        return self._measure(self._question, self._reading)

    def probe(self) -> list[str]:
        """A signal out of range, or a transducer that reports a fault of its own."""
        quality = self.sample().quality[0]
        if quality & (Quality.OVERLOAD | Quality.UNDERLOAD):
            return ["its input is overloaded; check range and wiring"]
        if quality & Quality.DEVICE_ERROR:
            return ["the current of the transducer says that it is faulty, or its loop is open"]
        return ["the transducer is out of its range"] if quality & Quality.SATURATED else []

    def make_safe(self) -> str:
        """A multimeter drives nothing."""
        return "a multimeter drives nothing"

    def _reading(self, reply: bytes) -> Reading:
        raw, *configuration, code, words = self._parsed(_SAMPLE, reply).groups()
        if tuple(configuration) != self._held[:3]:
            raise InstrumentReplyError(self.name, f"is set to {' '.join(configuration)}, which is not what was set")
        self._error(code, words)
        value, quality = self._input.measured(float(raw))
        return Reading(self.sent_s, (value,), (quality,))

    # -- how it is set

    def _restore(self) -> None:
        """Set it where it is not as it was left, and say so when it was set once."""
        sense = f"SENS:{self._input.function}:DC"
        shown = message("CONF?", f"{sense}:NPLC?", "TRIG:SOUR?", "SYST:ERR?")
        if self._held and self._held in (self._ask(shown, self._shown) for _ in range(2)):
            return  # nor is one damaged digit a change
        function, most, nplc = self._input.function, self._input.most_raw, self.settings.nplc
        orders = (f"CONF:{function}:DC {most:.6G}", f"{sense}:NPLC {nplc:g}", f"{sense}:ZERO:AUTO ON", "TRIG:SOUR IMM")
        as_wanted = partial(self._shown, wanted=(function, nplc, most))
        self._ask(message(*orders)[:-1] + b";" + shown, as_wanted)
        held = self._ask(shown, as_wanted)  # what is compared from now on is not taken from one reply
        if self._held:
            self.note("warning", f'multimeter "{self.name}" was restarted or set by hand; it is set as it was again')
        self._held = held

    def _shown(self, reply: bytes, wanted: tuple[str, float, float] | None = None) -> Held:
        """How it is set; raises InstrumentReplyError where that is not what is wanted."""
        *held, code, words = self._parsed(_SET, reply).groups()
        if wanted is not None:
            function, nplc, most = wanted
            if held[0] != function or float(held[3]) != nplc or float(held[1]) < most or held[4] != "IMM" or int(code):
                said = f"{' '.join(held)}; error {code}, {words}"
                raise InstrumentReplyError(self.name, f"cannot be set to {function} {most:g}, {nplc:g} cycles: {said}")
        return tuple(held)


DRIVER = Keysight34461A
