"""Mensor CPC4000 and CPC6050 pressure controllers, active channel (RS-232 57600 8N1, or LAN), Mensor command set.

Sources: operating instructions of CPC4000 (7.8, 7.9) and CPC6050 (7.7).  A command ends with CR and gets no reply, a
query ends with "?".  A reply begins with a blank, or with E while the queue of errors holds any (``Error?`` takes the
oldest), and ends with CR LF.  With ``Outform 2`` the query ``?`` is answered with pressure, unit and mode.  From memory
of the manuals and not verified against a real unit: Rate, Rsetpt, Stablewin, Stabletime, the baud rate.

There is no checksum and no reply names its question, so one counts only in its whole shape and alone, a pressure that
jumps is asked again, and unit and mode stand beside each pressure.  A command goes out together with the query that
reads back what it should have done; both are said again where that reply is lost: every command sets something to a
value and may be said twice.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import ClassVar, Literal

from pydantic import Field

from data.quantity_fields import TimeS
from data.samples import Reading
from instruments.capabilities import PressureState
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    Identity,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    Settings,
)
from instruments.pressure_controller import PolledPressureController, PressureControllerSettings
from instruments.recognition import WHO, Ask, Recognised, Recognition
from instruments.visa import SerialLine

UNIT, UNIT_CODE = "kPa", 22
"""The unit that the driver sets; the display shows it too."""

SAME = 1e-5
"""A number is read back as it was sent within this share of itself: it comes with six digits."""

ERRORS_KEPT = 10

_NUMBER = r"[+-]?\d+\.\d+(?:E[+-]\d\d)?"
_MODES = "CONTROL|MEASURE|STANDBY|VENT"
_READING = rf"({_NUMBER}), ?(\w+), ?({_MODES})"
_IDENTITY = r"MENSOR, ?([^,]+),([^,]+),([^,]+)"
_VALUE, _MODE, _YES, _WORDS = rf"({_NUMBER})", rf"({_MODES})", "(YES|NO)", r"([\x20-\x7e]*)"
_MARKERS = {b"*IDN?": _IDENTITY, b"Ptype?": "GAUGE|ABSOLUTE|DIFFERENTIAL", b"Address?": r"\d{1,2}",
            b"Autorange?": "ON|OFF"}  # fmt: skip

_NO_ERROR = re.compile(r"\W*0?\W*no error", re.IGNORECASE)

Fields = tuple[str, ...]


class CpcSettings(PressureControllerSettings):
    """Settings of a controller."""

    timeout_s: TimeS = Field(0.5, alias="timeout", gt=0.0, description="longest wait for one reply")


class _FlaggedError(InstrumentReplyError):
    """A command after which the queue of errors is no longer empty: damaged on its way, or refused."""


def _recognise(ask: Ask) -> Recognised | None:
    """Its answer begins with its maker, behind a blank or the flag of an error."""
    found = re.search(rf"{_IDENTITY}\r?\n", ask(WHO, within_s=0.5).decode("latin-1"))
    return Recognised(Identity("Mensor", *(part.strip() for part in found.groups()))) if found else None


class MensorCpc(PolledPressureController):
    """One controller."""

    settings_type: ClassVar[type[Settings]] = CpcSettings
    settings: CpcSettings
    line = SerialLine(baud=57_600)
    recognition = Recognition("controller", _recognise, (line, SerialLine()), rank=2, on_messages=True)

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self._markers, self._marked = cycle(_MARKERS), next(iter(_MARKERS))
        self._queue: list[str] = []  # errors that it told last

    def identify(self) -> Identity:
        """Model, serial number and firmware."""
        model, serial, firmware = self._ask(b"*IDN?\r", partial(self._fields, _IDENTITY))
        return Identity("Mensor", model.strip(), serial.strip(), firmware.strip())

    def sample(self) -> Reading:
        """Whether it is within limits, then pressure and mode, stamped with the question for the pressure."""
        with self._one_call():
            (stable,) = self._ask(b"Stable?\r", partial(self._fields, _YES))
            return self._measure(b"?\r", partial(self._reading, float(stable == "YES")))

    def probe(self) -> list[str]:
        """A range that is too small."""
        self.sample()
        most = self.settings.max_pressure_kpa
        if most > self._high_kpa:
            return [f"its range ends at {self._high_kpa:g} kPa, below the largest set point of {most:g} kPa"]
        return []

    def pressure_state(self) -> PressureState:
        """What it does, and its set point."""
        with self._one_call():
            (setpoint,) = self._ask(b"Setpt?\r", partial(self._fields, _VALUE))
            _, mode = self._ask(b"?\r", self._pressure_and_mode)
        modes: dict[str, Literal["control", "vent"]] = {"CONTROL": "control", "VENT": "vent"}
        return PressureState(modes.get(mode, "measure"), float(setpoint))

    # -- what it is told

    def _regulate(self, pressure_kpa: float, slew_kpa_per_s: float, stops: int) -> str:
        self._order("Rate Variable", "Rate?", "(VARIABLE)", lambda held: True, stops)
        self._order_number("Rsetpt", slew_kpa_per_s, stops)
        self._order_number("Setpt", pressure_kpa, stops)
        self._regulates = None
        self._order("Mode Control", "Mode?", _MODE, lambda held: held == "CONTROL", stops)
        return f"regulates to {pressure_kpa:g} kPa"

    def _cease(self, how: Literal["vent", "isolate"]) -> str:
        mode = "Vent" if how == "vent" else "Measure"
        held = self._order(f"Mode {mode}", "Mode?", _MODE, lambda held: held == mode.upper())
        return f"its mode is {held}"

    def _set_band(self, stops: int) -> None:
        """Set what counts as reached: a window in percent of the span, and a time in whole seconds."""
        self._order_number("Stablewin", 100.0 * self.settings.in_limits_kpa / (self._high_kpa - self._low_kpa), stops)
        seconds = math.ceil(self.settings.in_limits_time_s)
        self._order(f"Stabletime {seconds}", "Stabletime?", r"(\d+)", lambda held: int(held) == seconds, stops)

    # -- orders

    def _order_number(self, name: str, value: float, stops: int) -> None:
        def is_value(held: str) -> bool:
            return math.isclose(float(held), value, rel_tol=SAME, abs_tol=1e-6)

        self._order(f"{name} {value:.7f}", f"{name}?", _VALUE, is_value, stops)

    def _order(
        self, command: str, query: str, form: str, holds: Callable[[str], bool], stops: int | None = None
    ) -> str:
        """Order something, and see that the unit holds it; returns what it holds.

        ``stops`` is their number when the order was decided: a stop since then takes it back.
        """

        def read(reply: bytes) -> str:
            flag, (held,) = self._parsed(form, reply)
            if flag == "E":
                raise _FlaggedError(self.name, f'has an error after "{command}"')
            if not holds(held):
                raise InstrumentReplyError(self.name, f'reads back {held} after "{command}"')
            return held

        with self._lock:
            self._insist_on_no_stop(stops, command)
            try:
                return self._ask(_message(command, query), read)
            except _FlaggedError as error:
                self._queue = []
                with contextlib.suppress(InstrumentError):
                    self._connected()  # which empties its queue of errors
                words = "; ".join(self._queue) or "it does not say why"
                raise InstrumentRefusal(self.name, f'refuses "{command}": {words}') from error

    # -- replies

    def _parsed(self, form: str, reply: bytes) -> tuple[str, Fields]:
        """First character and values of a reply that has its whole form and came alone."""
        if self._left_over() not in (b"", reply):
            raise InstrumentReplyError(self.name, "more than one reply to one question")
        text = reply.decode("ascii")
        found = re.fullmatch(rf"[ E](?:{form})\r?\n", text)
        if found is None:
            raise InstrumentReplyError(self.name, f"{reply!r} is no reply to what was asked")
        return text[0], found.groups()

    def _fields(self, form: str, reply: bytes) -> Fields:
        """Values of a reply; where it says that there are errors, they are taken from the queue at the next call."""
        flag, values = self._parsed(form, reply)
        if flag == "E" and self._recognised and not self._putting_back:
            self._in_step = False
        return values

    def _pressure_and_mode(self, reply: bytes) -> tuple[float, str]:
        kpa, unit, mode = self._fields(_READING, reply)
        if unit != UNIT:
            raise InstrumentReplyError(self.name, f"measures in {unit}, which is not what was set")
        return float(kpa), mode

    def _reading(self, in_limits: float, reply: bytes) -> Reading:
        kpa, mode = self._pressure_and_mode(reply)
        on = mode == "CONTROL"
        self._notice(on)
        return Reading(self.sent_s, (kpa, in_limits, float(on)), (int(self._quality(kpa)), 0, 0))

    # -- getting back in step

    def _marker(self) -> bytes:
        """One of four queries in turn, so that a late answer to the one before is not taken for that to this."""
        self._marked = next(self._markers) if self._recognised else b"*IDN?"
        return b"\r%s\r" % self._marked

    def _is_marked(self, reply: bytes) -> bool:
        return re.fullmatch(rf"[ E](?:{_MARKERS[self._marked]})\r?\n", reply.decode("latin-1")) is not None

    def _restore(self) -> None:
        """Empty the queue of errors and see that format and unit are as they were set, else set everything anew."""
        self._empty_queue()
        if not math.isnan(self._high_kpa):
            with contextlib.suppress(InstrumentReplyError):
                self._command(b"?\r", self._pressure_and_mode)
                return
        self._in_step = True  # what it said was undamaged, but for another format or unit
        _, unit, _ = self._command(_message("Outform 2", "?"), partial(self._fields, _READING))
        if unit != UNIT:
            _, set_to, _ = self._command(_message(f"Units {UNIT_CODE}", "?"), partial(self._fields, _READING))
            if set_to != UNIT:
                raise InstrumentReplyError(self.name, f"measures in {set_to} and does not take {UNIT}")
            if not math.isnan(self._high_kpa):
                self.note("warning", f'pressure controller "{self.name}": its unit was {unit} and is set again')
        (kind,) = self._command(b"Ptype?\r", partial(self._fields, "(GAUGE|ABSOLUTE|DIFFERENTIAL)"))
        if kind != "GAUGE":
            raise InstrumentReplyError(self.name, f"measures {kind.lower()} pressure; set it to gauge")
        low, high = (
            float(self._command(query, partial(self._fields, _VALUE))[0]) for query in (b"Rangemin?\r", b"Rangemax?\r")
        )
        self._low_kpa, self._high_kpa, self._band_is_set = low, high, False

    def _empty_queue(self) -> None:
        self._queue = []
        for _ in range(ERRORS_KEPT + 1):
            flag, (words,) = self._command(b"Error?\r", partial(self._parsed, _WORDS))
            if not _NO_ERROR.match(words):
                self._queue.append(words)
            if flag == " ":  # that of the last one may be so already
                return


def _message(command: str, query: str) -> bytes:
    return f"{command}\r{query}\r".encode("ascii")


DRIVER = MensorCpc
