"""GE Druck PACE5000 and PACE6000 pressure controllers, first module (RS-232 9600 8N1, or LAN socket 5025).

Sources: SCPI manual K0472 and notes of users.  A reply repeats the header of its query, queries are joined by ";" and
come back joined, one query takes the unit about 100 ms.  There is no checksum: a reply counts only in its whole shape,
a pressure that jumps is asked again, and unit and range stand beside each value, since a restart or a hand at the panel
changes them.

A command says nothing by itself.  It goes out with queries that read back what it should have done; when that reply is
lost, the driver looks first and says it again only if the unit shows twice that it was not executed.

That commands and queries share a message is the practice of other drivers.  From memory, not verified against a real
unit: that ``VENT?`` stays at 2 after a vent until the next command, that an empty line ends half a message, and that
pressures beyond 110 % of the range are not measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    Settings,
)
from instruments.pressure_controller import PolledPressureController, PressureControllerSettings
from instruments.recognition import WHO, Ask, Recognised, Recognition
from instruments.visa import DEADLINES, SerialLine

UNIT, UNIT_KPA = "HPA", 0.1
"""The unit that the driver sets; the display shows it too."""

SAME = 1e-6
"""A set point is read back as it was sent within this share of the range, a slew within ten times this of itself."""

_MOST_LOOKS = 6
_RANGE_KPA = {"MBAR": 0.1, "BAR": 100.0, "HPA": 0.1, "KPA": 1.0, "MPA": 1000.0, "PSI": 6.894757293168361}
_RANGE = re.compile(r"(\d+(?:\.\d+)?)(mbar|bar|hPa|kPa|MPa|psi)g", re.IGNORECASE)

_VENT = ":SOUR:PRES:LEV:IMM:AMPL:VENT"
_SETPOINT = ":SOUR:PRES:LEV:IMM:AMPL"
_SLEW = ":SOUR:PRES:SLEW"
_BAND = ":SOUR:PRES:INL"

_DECIMAL = r"-?\d+(?:\.\d+)?(?:E[+-]\d+)?"
_NUMBER = f"({_DECIMAL})"
_FORMS = {
    ":SENS:PRES:INL": rf"({_DECIMAL}, ?[01])", ":SENS:PRES:RANG": r'"([^"]*)"',
    ":UNIT:PRES": r"([A-Z0-9]+)", ":OUTP:STAT": r"([01])", _VENT: r"([0-4])", _SETPOINT: _NUMBER, _SLEW: _NUMBER,
    _SLEW + ":MODE": r"([A-Z]+)", _SLEW + ":OVER": r"([01])", _BAND: _NUMBER, _BAND + ":TIME": r"(\d+)",
    ":SOUR:PRES:COMP1": _NUMBER, ":SYST:ERR": r'(-?\d+), ?"([^"]*)"',
}  # fmt: skip
_MARKERS = (b"*IDN", b":SENS:PRES:RANG", b":OUTP:STAT", b":SOUR:PRES:SLEW")
_IDENTITY = re.compile(r"\*IDN ([^,]+),([^,]+),([^,]+),([^,\r\n]+)\r?\n")

Fields = tuple[str, ...]

_CEASING: dict[str, tuple[str, Fields, Fields]] = {
    "vent": (f":OUTP:STAT 0;{_VENT} 1", ("1", "2"), ("1", "2")),
    "isolate": (f"{_VENT} 0;:OUTP:STAT 0", ("0", "2", "3", "4"), ("0",)),
}  # order, states of the vent that are shown right after it, and of these those that cannot be older


@dataclass(frozen=True, slots=True)
class _Queries:
    """Queries of one message, and the shape of their joined reply."""

    headers: tuple[str, ...]
    asked: str
    reply: re.Pattern[str]

    @classmethod
    def of(cls, *headers: str) -> _Queries:
        shape = ";".join(f"{re.escape(header)} {_FORMS[header]}" for header in headers)
        return cls(headers, ";".join(f"{header}?" for header in headers), re.compile(shape + r"\r?\n"))


_SAMPLE = _Queries.of(":SENS:PRES:INL", ":UNIT:PRES", ":SENS:PRES:RANG", ":OUTP:STAT")
_MEANING = _Queries.of(":UNIT:PRES", ":SENS:PRES:RANG")
_SUPPLY = _Queries.of(":UNIT:PRES", ":SOUR:PRES:COMP1")
_STATE = _Queries.of(":UNIT:PRES", ":OUTP:STAT", _VENT, _SETPOINT)


class PaceSettings(PressureControllerSettings):
    """Settings of a controller."""

    timeout_s: TimeS = Field(0.8, alias="timeout", gt=0.0, description="longest wait for one reply")
    period_s: TimeS = Field(1.0, alias="period", ge=0.5, description="how often it is asked; it takes 0.4 s to answer")
    in_limits_time_s: TimeS = Field(
        2.0, alias="in_limits_time", ge=2.0, le=999.0, description="how long it must have stayed there"
    )


def _recognise(ask: Ask) -> Recognised | None:
    """It repeats the question before its answer."""
    found = _IDENTITY.search(ask(WHO, within_s=0.5).decode("latin-1"))
    return Recognised(Identity(*map(str.strip, found.groups()))) if found and "PACE" in found[2].upper() else None


class DruckPace(PolledPressureController):
    """One controller and its first module."""

    settings_type: ClassVar[type[Settings]] = PaceSettings
    settings: PaceSettings
    line = SerialLine()
    recognition = Recognition("controller", _recognise, (line,), rank=2, on_messages=True)

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self._low_kpa = -math.inf  # what its vacuum allows it does not tell
        self._range = ""
        self._markers, self._marked = cycle(_MARKERS), _MARKERS[0]
        self._doubted = False
        self._isolated = False  # by an order to isolate, since when nothing else was told

    def identify(self) -> Identity:
        """Maker, model, serial number and firmware."""
        return self._ask(b"*IDN?\n", self._identity)

    def sample(self) -> Reading:
        """Pressure now, whether it is within limits, whether it is regulated; asked again where it jumped."""
        return self._measure(_message(_SAMPLE.asked), self._reading)

    def probe(self) -> list[str]:
        """A range that is too small, a supply that is too low."""
        most, problems = self.settings.max_pressure_kpa, []
        self.sample()
        if most > self._high_kpa:
            problems.append(f'its range "{self._range}" ends below the largest set point of {most:g} kPa')
        try:
            _, supply = self._ask(_message(_SUPPLY.asked), partial(self._fields, _SUPPLY))
        except InstrumentReplyError:
            return problems  # not every unit tells its supply
        if (kpa := float(supply) * UNIT_KPA) < most:
            problems.append(f"its supply of {kpa:.1f} kPa is below the largest set point of {most:g} kPa")
        return problems

    def pressure_state(self) -> PressureState:
        """What it does, and its set point."""
        _, on, vent, setpoint = self._ask(_message(_STATE.asked), partial(self._fields, _STATE))
        idle: Literal["vent", "measure"] = "vent" if vent == "1" or (vent == "2" and not self._isolated) else "measure"
        return PressureState("control" if on == "1" else idle, float(setpoint) * UNIT_KPA)

    # -- what it is told

    def _regulate(self, pressure_kpa: float, slew_kpa_per_s: float, stops: int) -> str:
        rate, target = slew_kpa_per_s / UNIT_KPA, pressure_kpa / UNIT_KPA

        def is_target(held: str) -> bool:
            return abs(float(held) - target) * UNIT_KPA <= SAME * self._high_kpa

        self._order(
            f":UNIT:PRES {UNIT};{_SLEW}:MODE LIN;{_SLEW}:OVER 0;{_SLEW} {rate:.7f}",
            (":UNIT:PRES", ":SENS:PRES:RANG", _SLEW + ":MODE", _SLEW + ":OVER", _SLEW),
            lambda held: (
                held[2:4] == ("LIN", "0") and math.isclose(float(held[4]), rate, rel_tol=10.0 * SAME, abs_tol=SAME)
            ),
            stops,
        )
        self._order(
            f":UNIT:PRES {UNIT};{_SETPOINT} {target:.7f}",
            (":UNIT:PRES", _SETPOINT),
            lambda held: is_target(held[1]),
            stops,
        )
        self._regulates, self._doubted, self._isolated = None, False, False
        held = self._order(
            f"{_VENT} 0;:OUTP:STAT 1",
            (":UNIT:PRES", ":OUTP:STAT", _VENT, _SETPOINT),
            lambda held: held[1] == "1" and held[2] != "1" and is_target(held[3]),
            stops,
        )
        return f"regulates to {float(held[3]) * UNIT_KPA:g} kPa"

    def _cease(self, how: Literal["vent", "isolate"]) -> str:
        text, shows, proves = _CEASING[how]
        self._doubted, self._isolated = False, False
        held = self._order(
            text,
            (":OUTP:STAT", _VENT),
            lambda held: held[0] == "0" and held[1] in shows,
            proves=lambda held: held[0] == "0" and held[1] in proves,
        )
        self._isolated = how == "isolate"
        return f"vent state {held[1]}"

    def _set_band(self, stops: int) -> None:
        """Set what counts as reached: a band in percent of the range, and a time in whole seconds."""
        percent = 100.0 * self.settings.in_limits_kpa / self._high_kpa
        seconds = math.ceil(self.settings.in_limits_time_s)
        self._order(
            f"{_BAND} {percent:.6f};{_BAND}:TIME {seconds}",
            (_BAND, _BAND + ":TIME"),
            lambda held: math.isclose(float(held[0]), percent, rel_tol=1e-3) and int(held[1]) == seconds,
            stops,
        )

    # -- orders

    def _order(
        self,
        text: str,
        headers: Sequence[str],
        holds: Callable[[Fields], bool],
        stops: int | None = None,
        proves: Callable[[Fields], bool] | None = None,
    ) -> Fields:
        """Order something once, and see that the unit holds it; returns what it holds.

        ``stops`` is their number when the order was decided: a stop since then takes it back.  ``proves`` judges what
        the unit holds when it is not known whether the order arrived; as ``holds`` where left out.
        """
        proves = proves or holds
        for is_last in (False, True):
            try:
                held = self._commanded(text, _Queries.of(*headers, ":SYST:ERR"), holds, stops)
            except InstrumentRefusal:
                raise
            except (InstrumentTimeout, InstrumentReplyError) as error:
                held = self._held(_Queries.of(*headers))
                if not proves(held):
                    if is_last:
                        raise InstrumentReplyError(
                            self.name, f'did not do "{text}": it reads back {", ".join(held)}'
                        ) from error
                    continue
            return held
        raise AssertionError("the last attempt returns or raises")

    def _commanded(self, text: str, queries: _Queries, holds: Callable[[Fields], bool], stops: int | None) -> Fields:
        """Send a command and what reads it back in one message."""

        def read(reply: bytes) -> Fields:
            *fields, code, words = self._fields(queries, reply)
            held = tuple(fields)
            if holds(held):
                return held
            if code == "0":
                raise InstrumentReplyError(self.name, f'reads back {", ".join(held)} after "{text}"')
            self._in_step = False  # which empties the queue of what else it holds against this command
            raise InstrumentRefusal(self.name, f'refuses "{text}": {words} ({code})')

        with self._lock:
            self._insist_on_no_stop(stops, text)
            return self._command(_message(f"{text};{queries.asked}"), read)

    def _held(self, queries: _Queries) -> Fields:
        """What the unit shows twice in a row: one damaged digit must not make a command be said again."""
        before: Fields = ()
        until = self.clock.now() + DEADLINES * self.settings.timeout_s
        for _ in range(_MOST_LOOKS):
            try:
                held = self._ask(_message(queries.asked), partial(self._fields, queries))
            except (InstrumentTimeout, InstrumentReplyError):
                if self.clock.now() >= until:
                    raise
            else:
                if held == before:
                    return held
                before = held
        raise InstrumentReplyError(self.name, "does not show twice in a row what it does")

    # -- replies

    def _parsed(self, queries: _Queries, reply: bytes) -> Fields:
        """Values of a joined reply."""
        if self._left_over() not in (b"", reply):
            raise InstrumentReplyError(self.name, "more than one reply to one message")
        found = queries.reply.fullmatch(reply.decode("ascii"))
        if found is None:
            what = repr(reply) if reply.strip() else "a blank line, as for a query that it does not know,"
            raise InstrumentReplyError(self.name, f'{what} is no reply to "{queries.asked}"')
        return found.groups()

    def _fields(self, queries: _Queries, reply: bytes) -> Fields:
        """Values of a joined reply whose unit and range, where it tells them, are those that were set."""
        fields = self._parsed(queries, reply)
        for header, value in zip(queries.headers, fields, strict=False):
            if value != {":UNIT:PRES": UNIT, ":SENS:PRES:RANG": self._range}.get(header, value):
                raise InstrumentReplyError(self.name, f'says "{header} {value}", which is not what was set')
        return fields

    def _reading(self, reply: bytes) -> Reading:
        sensed, _, _, on = self._fields(_SAMPLE, reply)
        pressure, in_limits = sensed.split(",")
        kpa = float(pressure) * UNIT_KPA
        self._notice(on == "1")
        return Reading(self.sent_s, (kpa, float(in_limits), float(on)), (int(self._quality(kpa)), 0, 0))

    def _notice(self, on: bool) -> None:
        """Believe that control was switched by hand, or lost with the power, when two replies in a row say so."""
        if self._regulates not in (None, on) and not self._doubted:
            self._doubted = True
            raise InstrumentReplyError(self.name, "does not say what it was told to do")
        super()._notice(on)
        self._doubted = False

    def _identity(self, reply: bytes) -> Identity:
        found = _IDENTITY.fullmatch(reply.decode("ascii"))
        if found is None:
            raise InstrumentReplyError(self.name, f"{reply!r} is no identity")
        return Identity(*(part.strip() for part in found.groups()))

    # -- getting back in step

    def _marker(self) -> bytes:
        """One of four queries in turn, alone, so that a late answer to the one before is not taken for that to this."""
        self._marked = next(self._markers) if self._recognised else _MARKERS[0]
        return b"\n*CLS;%s?\n" % self._marked  # what is left of a line that lost its end is ended first

    def _is_marked(self, reply: bytes) -> bool:
        return reply.startswith(self._marked + b" ") and b";" not in reply

    def _restore(self) -> None:
        """Set the unit where it is another, and see which range is selected."""
        unit, selected = self._command(_message(_MEANING.asked), partial(self._parsed, _MEANING))
        if unit != UNIT:
            text = f":UNIT:PRES {UNIT};{_MEANING.asked}"
            set_to, selected = self._command(_message(text), partial(self._parsed, _MEANING))
            if set_to != UNIT:
                raise InstrumentReplyError(self.name, f"measures in {set_to} and does not take {UNIT}")
            if self._range:
                self._doubted = True  # it may have restarted, and then it does not regulate any more
                self.note(
                    "warning", f'pressure controller "{self.name}": its unit was {unit} and is set to {UNIT} again'
                )
        found = _RANGE.fullmatch(selected)
        if found is None:
            raise InstrumentReplyError(
                self.name, f'its range "{selected}" is none of gauge pressure; select one at the instrument'
            )
        if self._range not in ("", selected):
            self.note("warning", f'pressure controller "{self.name}": its range is now "{selected}"')
        self._range, self._high_kpa = selected, float(found[1]) * _RANGE_KPA[found[2].upper()]
        self._band_is_set = False


def _message(text: str) -> bytes:
    return text.encode("ascii") + b"\n"


DRIVER = DruckPace
