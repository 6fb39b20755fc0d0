"""A Keysight data acquisition unit that scans transducers: its settings, how it is set, what a sweep means.

Source: programming guides of the DAQ970A and 34970A.  Every setting is read back; what is found otherwise after a
failure (a restart, a hand at the panel) is set again before a reading counts.
"""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from data.quantity_fields import TimeS
from data.samples import Quality
from instruments.clock import Clock
from instruments.instrument import Connection, InstrumentReplyError, Settings
from instruments.keysight import ERROR, READING, KeysightScpi, conversion_s, message, recognise
from instruments.recognition import Recognition
from instruments.transducers import CurrentTransducer, VoltageTransducer, distinct
from instruments.visa import SerialLine, VisaSettings

AVERAGING = (0.02, 0.2, 1.0, 2.0, 10.0, 20.0, 100.0, 200.0)
RELAY_S = 0.02
"""Time for a relay to settle: more than any module needs."""

FORMATS = ("FORM:READ:UNIT ON", "FORM:READ:CHAN ON", "FORM:READ:ALAR OFF")

_CONFIGURATION = r'"([A-Z]+) ([^",;]+),[^",;]+"'
_MODELS = re.compile(r"DAQ97[03]A|3497[02]A")
_LISTED = re.compile(r"#\d+\(@[\d,]*\)\r?\n")
_STATE = re.compile(rf"(#\d+\(@[\d,]*\);.*);{ERROR}\r?\n")
_UNITS = {"VOLT": "V(?:DC)?", "CURR": "A(?:DC)?"}
_TRIGGERED = (
    "TRIG:SOUR?", "TRIG:COUN?", "TRIG:TIM?", "FORM:READ:UNIT?", "FORM:READ:TIME?", "FORM:READ:CHAN?", "FORM:READ:ALAR?",
)  # fmt: skip


class ScannedVoltage(VoltageTransducer):
    """A transducer with a voltage output at a channel."""

    channel: int = Field(ge=101, le=322, description="slot and channel, such as 101")


class ScannedCurrent(CurrentTransducer):
    """A transducer with a current output at a current channel, or at any channel across a shunt."""

    channel: int = Field(ge=101, le=322, description="slot and channel, such as 121")

    @model_validator(mode="after")
    def _can_measure_current(self) -> Self:
        if self.shunt_ohm is None and self.channel % 100 not in (21, 22):
            raise ValueError(
                f'channel {self.channel} measures no current; take 21 or 22 of its slot, or state the shunt: "250 ohm"'
            )
        return self


Scanned = ScannedVoltage | ScannedCurrent
AnyScanned = Annotated[Scanned, Field(discriminator="kind")]


class Daq970ASettings(VisaSettings):
    """Settings of a unit."""

    channels: Annotated[tuple[AnyScanned, ...], AfterValidator(distinct)] = Field(
        min_length=1, description="the transducers"
    )
    mode: Literal["polled", "buffered"] = Field("polled", description="who times the sweeps: the bench or the unit")
    nplc: float = Field(1.0, description="cycles of the mains over which it averages: 0.02, 0.2, 1, 2, 10, 20 or more")
    timeout_s: TimeS = Field(1.5, alias="timeout", gt=0.0, description="longest wait for one reply")
    period_s: TimeS = Field(1.0, alias="period", gt=0.0, description="from one sweep to the next")

    @field_validator("nplc")
    @classmethod
    def _is_offered(cls, nplc: float) -> float:
        if nplc not in AVERAGING:
            raise ValueError(f"it averages over {', '.join(f'{each:g}' for each in AVERAGING)} cycles of the mains")
        return nplc

    @model_validator(mode="after")
    def _is_slow_enough(self) -> Self:
        least = len(self.channels) * (conversion_s(self.nplc) + RELAY_S)
        for key, value in (("timeout", self.timeout_s), ("period", self.period_s)):
            if value < least and (key == "period" or self.mode == "polled"):
                raise ValueError(f"a sweep of {len(self.channels)} channels takes {least:.2f} s; write a longer {key}")
        return self


class ScanUnit(KeysightScpi):
    """One unit: how it is set, and what a sweep through its channels means.

    Attributes
    ----------
    with_time : whether its readings carry the time since the start of the scan.
    """

    settings_type: ClassVar[type[Settings]] = Daq970ASettings
    settings: Daq970ASettings
    line = SerialLine(baud=57_600)
    models = _MODELS
    recognition = Recognition("scanner", partial(recognise, models=_MODELS), (line,), rank=2, on_messages=True)
    state = ("ROUT:SCAN", _LISTED)
    with_time: ClassVar[bool] = False

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self.channels = tuple(each.as_channel for each in self.settings.channels)
        self._sorted = sorted(self.settings.channels, key=lambda each: each.channel)
        self._place = [self.settings.channels.index(each) for each in self._sorted]
        self._list = f"(@{','.join(str(each.channel) for each in self._sorted)})"
        since = r",(\d{9}\.\d{3})" if self.with_time else ""
        self._sweep = ",".join(rf"({READING}) ?{_UNITS[each.function]}{since},{each.channel}" for each in self._sorted)
        self._as_set = ""  # how it says that it is set

    def probe(self) -> list[str]:
        """Signals out of range, transducers that report a fault of their own."""
        problems = []
        for channel, quality in zip(self.channels, self._looked(), strict=True):
            if quality & (Quality.OVERLOAD | Quality.UNDERLOAD):
                problems.append(f'channel "{channel.name}" is overloaded; check range and wiring')
            elif quality & Quality.DEVICE_ERROR:
                problems.append(f'the transducer of "{channel.name}" says that it is faulty, or its loop is open')
            elif quality & Quality.SATURATED:
                problems.append(f'the transducer of "{channel.name}" is out of its range')
        return problems

    def make_safe(self) -> str:
        """A unit that only measures drives nothing."""
        return "a data acquisition unit that only measures drives nothing"

    @abstractmethod
    def _looked(self) -> Sequence[int]:
        """Quality of each channel now."""

    # -- values

    def _measured(self, raws: Sequence[str]) -> tuple[list[float], list[int]]:
        """Values and qualities in the order of the station, of one sweep in the order of the scan."""
        values, quality = [math.nan] * len(raws), [0] * len(raws)
        for each, place, raw in zip(self._sorted, self._place, raws, strict=True):
            values[place], quality[place] = each.measured(float(raw))
        return values, quality

    # -- how it is set

    @abstractmethod
    def _trigger(self) -> tuple[str, ...]:
        """Orders that set trigger and format."""

    def _restore(self) -> None:
        """Set it where it is not as it was left, and say so when it was set once."""
        if self._as_set and self._as_set in (self._ask(self._shown(), self._state) for _ in range(2)):
            return  # one damaged digit must not make it be set anew, which ends a scan
        self._is_set_anew()
        for function, most, group in self._groups():
            listed = f"(@{','.join(str(each.channel) for each in group)})"
            zero = f"SENS:{function}:DC:ZERO:AUTO ON,{listed}"
            averaging = f"SENS:{function}:DC:NPLC {self.settings.nplc:g},{listed}"
            self._order(f"CONF:{function}:DC {most:.6G},{listed}", averaging, zero)
        self._order(f"ROUT:SCAN {self._list}", *self._trigger())  # CONF sets both anew
        state = self._ask(self._shown(), self._state)
        self._check(state)
        if self._ask(self._shown(), self._state) != state:
            raise InstrumentReplyError(self.name, "tells in two ways how it is set; the line is disturbed")
        if self._as_set:
            what = "was restarted or set by hand; it is set as it was again"
            self.note("warning", f'data acquisition unit "{self.name}" {what}')
        self._as_set = state

    def _is_set_anew(self) -> None:
        """A scan that runs ends with it."""

    def _groups(self) -> list[tuple[str, float, list[Scanned]]]:
        """Channels that are converted alike: function, largest value, and who they are."""
        alike = sorted(self._sorted, key=lambda each: (each.function, each.most_raw))
        grouped = groupby(alike, key=lambda each: (each.function, each.most_raw))
        return [(*key, sorted(group, key=lambda each: each.channel)) for key, group in grouped]

    def _order(self, *orders: str) -> None:
        """Order something that may be ordered twice; raises InstrumentReplyError where it is not taken."""

        def taken(reply: bytes) -> None:
            code, words = self._parsed(re.compile(rf"{ERROR}\r?\n"), reply).groups()
            if int(code):
                raise InstrumentReplyError(self.name, f'does not take "{orders[0]}": {words} ({code})')

        self._ask(message(*orders, "SYST:ERR?"), taken)

    def _shown(self) -> bytes:
        """Queries that tell how it is set."""
        nplc = (f"SENS:{each.function}:DC:NPLC? (@{each.channel})" for each in self._sorted)
        scaled = f"CALC:SCAL:STAT? {self._list}"
        return message("ROUT:SCAN?", f"CONF? {self._list}", *nplc, scaled, *_TRIGGERED, "SYST:ERR?")

    def _state(self, reply: bytes) -> str:
        """How it says that it is set."""
        state, code, words = self._parsed(_STATE, reply).groups()
        self._error(code, words)
        return str(state)

    def _check(self, state: str) -> None:
        """Raise InstrumentReplyError where it does not hold what it was told."""
        listed, configured, *rest = state.split(";")
        told = re.findall(_CONFIGURATION, configured)
        averaging, (scaled, *_) = rest[: len(self._sorted)], rest[len(self._sorted) :]
        fits = len(told) == len(self._sorted) == len(averaging) and "1" not in scaled and listed == _block(self._list)
        if not fits or not all(
            function == each.function and float(most) > 0.999999 * each.most_raw and float(cycles) == self.settings.nplc
            for each, (function, most), cycles in zip(self._sorted, told, averaging, strict=True)
        ):
            raise InstrumentReplyError(self.name, f"is not as it was set: {state}")


def _block(text: str) -> str:
    """A text as a block of definite length."""
    return f"#{len(str(len(text)))}{len(text)}{text}"
