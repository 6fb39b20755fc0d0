"""The line of a New Era syringe pump: both communications modes, addresses, alarms, getting back in step.

Source: NE-1000 user manual (publication 1200-01), section 10; NESP-Lib, which relies on it that a pump answers ``SAF``
in the mode that it enters.  Not verified against a real pump.
"""

from __future__ import annotations

import re
from functools import partial
from itertools import cycle
from typing import ClassVar

from pydantic import Field
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError
from pyvisa.resources import MessageBasedResource

from data.quantity_fields import TimeS
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    Settings,
)
from instruments.newera_messages import SETTING, VERSION, Answer, framed, frames, heard, is_packet, last_frame, same
from instruments.visa import WIRE_ERRORS, SerialLine, VisaInstrument, VisaSettings

ALARMS = {"R": "reset", "S": "stall", "T": "time-out", "E": "program error", "O": "phase out of range"}

NOTHING = re.compile("")
"""Data of the reply to a command."""

_MARKERS = (
    ("VER", VERSION),
    ("DIR", re.compile("INF|WDR")),
    ("RAT", re.compile(r"[\d.]+[UM][HM]")),
    ("DIA", re.compile(r"[\d.]+")),
)
"""Questions to get back in step with and their answers, in turn: no late answer passes for that to the next one."""

_SHORTEST_S = 0.001  # that VISA can wait
_ERRORS = {"": "does not know it", "NA": "cannot do it now", "OOR": "it is out of range", "IGN": "ignored it"}


class NewEraLineSettings(VisaSettings):
    """Settings of the line."""

    safe_timeout_s: TimeS = Field(
        10.0, alias="safe_timeout", description='the pump stops when it hears nothing for so long; "0 s" is basic mode'
    )
    address: int = Field(0, ge=0, le=99, description="network address of the pump")


class NewEraLine(VisaInstrument):
    """What a driver of these pumps talks through: `_say`, `_put` and `_command`.

    The pump says an alarm once, in the place of an answer; it is kept in ``_alarm`` until the driver drops it.
    """

    settings_type: ClassVar[type[Settings]] = NewEraLineSettings
    settings: NewEraLineSettings
    line = SerialLine(baud=19_200)
    terminator = "\x03"

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self._safe = self.settings.safe_timeout_s > 0.0
        self._alarm = ""
        self._moving = False  # as far as we know
        self._in_use = False  # a reset since then is one that matters
        self._timed = False  # its time-out is the one of the settings
        self._markers, self._asked = cycle(_MARKERS), _MARKERS[0]

    # -- exchanges

    def _request(self, text: str) -> bytes:
        return framed(f"{self.settings.address}{text}", safe=self._safe)

    def _say(self, text: str, pattern: re.Pattern[str] = NOTHING) -> Answer:
        """Ask, or command what may be said twice."""
        return self._ask(self._request(text), partial(self._answer, text, pattern))

    def _answer(self, text: str, pattern: re.Pattern[str], reply: bytes) -> Answer:
        """What a reply says; raises InstrumentRefusal where the pump says no."""
        answer = heard(reply)
        if answer is None or is_packet(reply) != self._safe:
            raise InstrumentReplyError(self.name, f"{reply!r} is no reply in {'safe' if self._safe else 'basic'} mode")
        beside = self._left_over()
        self._stray(beside)
        if any(frame != reply and (other := self._ours(frame)) and not other.alarm for frame in frames(beside)):
            raise InstrumentReplyError(self.name, "more than one reply to one question")
        if answer.alarm:  # in the place of an answer: what was said was not executed
            self._take_up(answer.alarm)
            raise InstrumentReplyError(self.name, f"reports the alarm {ALARMS.get(answer.alarm, answer.alarm)}")
        self._moving = answer.status in "IWX"
        if answer.data.startswith("?"):
            why = answer.data[1:]
            if why not in _ERRORS:
                raise InstrumentReplyError(self.name, f"received {text!r} damaged ({answer.data})")
            raise InstrumentRefusal(self.name, f"refuses {text!r}: {_ERRORS[why]} ({answer.data})")
        if not pattern.fullmatch(answer.data):
            raise InstrumentReplyError(self.name, f"{answer.data!r} is no reply to {text!r}")
        return answer

    def _receive(self, port: MessageBasedResource) -> bytes:
        """One whole reply of this pump, or what cannot become one; other pumps on the line are passed over."""
        usual_s, data = self._port_timeout_s, b""
        until = self.clock.now() + usual_s
        try:
            while True:
                data += port.read_raw()
                frame, may_grow = last_frame(data)
                if frame is not None and self._ours(frame):
                    return frame
                if frame is None and not may_grow:
                    return data
                data = b"" if frame is not None else data
                if (left_s := until - self.clock.now()) < _SHORTEST_S:
                    raise InstrumentTimeout(self.name, "no whole reply in time")
                self._set_timeout(port, left_s)
        finally:
            self._set_timeout(port, usual_s)

    def _ours(self, frame: bytes) -> Answer | None:
        """What a frame says, if it is from this pump."""
        answer = heard(frame)
        return answer if answer is not None and answer.address == self.settings.address else None

    def _take_up(self, alarm: str) -> None:
        """Keep an alarm until the next start."""
        if alarm == "R":
            self._power_lost()
        known = alarm == self._alarm
        # Nobody asked for a while, or it was switched on before we came: nothing that we moved has stopped.
        harmless = (alarm == "T" and not self._moving) or (alarm == "R" and not self._in_use)
        self._moving = False
        if not known and not harmless:
            self._alarm = alarm
            self.note("warning", f'syringe pump "{self.name}" stopped with the alarm {ALARMS.get(alarm, alarm)}')

    def _power_lost(self) -> None:
        """Forget what does not survive a restart; a driver adds what it knows."""
        self._timed = False

    def _stray(self, data: bytes) -> None:
        """Alarms among what arrived unasked."""
        for frame in frames(data):
            if (answer := self._ours(frame)) and answer.alarm:
                self._take_up(answer.alarm)

    def _put(self, name: str, value: str, unit: str = "") -> None:
        """Set something and read it back, once again where that differs; ``unit`` only stands in what is read."""
        for _ in range(3):
            held = self._say(name, SETTING).data
            if same(held, value + unit):
                return
            self._say(name + value)
        held = self._say(name, SETTING).data
        if not same(held, value + unit):
            raise InstrumentReplyError(self.name, f"{name} reads back {held} where {value}{unit} was set")

    # -- getting back in step, and into the mode

    def _synchronise(self) -> None:
        """Find the pump in whichever mode it is, bring it into the one that is wanted."""
        port = self._port
        assert port is not None
        until = self._soon()
        both = not self._recognised or self._lost_steps > 1
        modes = (self._safe, not self._safe) if both else (self._safe,)
        self._asked = _MARKERS[0] if both else next(self._markers)
        try:
            self._stray(self._peek(port))
            for left, mode in zip(range(len(modes), 0, -1), modes, strict=True):
                found = self._answers(port, mode, self.clock.now() + (until - self.clock.now()) / left)
                if found is not None:
                    break
            else:
                raise InstrumentTimeout(self.name, "answers neither in safe nor in basic mode")
            if found != self._safe:
                self._change_mode(port, found)
        except WIRE_ERRORS as error:
            raise self._mapped(error, self._asked[0].encode("ascii")) from error

    def _soon(self) -> float:
        """One timeout from now, but not after the end of the whole call."""
        soon = self.clock.now() + self.settings.timeout_s
        return soon if self._until is None else min(soon, self._until)

    def _answers(self, port: MessageBasedResource, safe: bool, until: float) -> bool | None:
        """Ask the marker in one mode; returns in which mode it was answered, None when it was not.

        An alarm may be the answer, or have come before it: the question is put again only when nothing follows.
        """
        name, pattern = self._asked
        question = framed(f"{self.settings.address}{name}", safe=safe)
        port.write_raw(question if safe else b"?\r" + question)  # whatever a pump in basic mode took for a line is none
        alarmed = False
        while (now := self.clock.now()) < until - _SHORTEST_S:
            quiet = min(until, now + self.settings.timeout_s / 3.0) if alarmed else until
            reply = self._next(port, quiet - now)
            answer = None if reply is None else heard(reply)
            if reply is not None and answer is not None and pattern.fullmatch(answer.data):
                return is_packet(reply)
            if answer is not None and answer.alarm:
                self._take_up(answer.alarm)
                alarmed = True
            elif reply is None and alarmed:
                port.write_raw(question)
                alarmed = False
        return None

    def _next(self, port: MessageBasedResource, seconds: float) -> bytes | None:
        """What arrives next, None when nothing does; raises InstrumentTimeout when the whole call has had its time."""
        self._limit(port, seconds)
        try:
            return self._receive(port)
        except InstrumentTimeout:
            return None
        except VisaIOError as error:
            if error.error_code != StatusCode.error_timeout:
                raise
            return None

    def _change_mode(self, port: MessageBasedResource, safe: bool) -> None:
        """Bring a pump that answers in the other mode into ours; it answers in the new mode."""
        port.write_raw(framed(f"{self.settings.address}SAF{self.settings.safe_timeout_s:.0f}", safe=safe))
        self._limit(port, self.settings.timeout_s)
        self._receive(port)
        if self._answers(port, self._safe, self._soon()) != self._safe:
            raise InstrumentReplyError(self.name, f"does not enter {'safe' if self._safe else 'basic'} mode")
        self._timed = True

    def _restore(self) -> None:
        """Make sure of the time-out where the pump was out of reach or restarted."""
        if self._safe and not self._timed:
            self._put("SAF", f"{self.settings.safe_timeout_s:.0f}")
            self._timed = True
