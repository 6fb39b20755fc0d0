"""Julabo circulators with an RS-232 interface (4800 7E1 as delivered, hardware handshake).

Source: the remote control chapters of Julabo's operating manuals (Magnum 91, FL, SC, MA, HE and HT series): commands
``in_...`` are answered with a line that ends with LF, commands ``out_...`` with nothing; 10 ms must pass after an
answer and 250 ms after an ``out``; a circulator takes an ``out`` only in remote control mode; after a loss of power it
stays off and everything must be sent again.  The wording of ``version`` ("JULABO HIGHTECH FL HL/SL VERSION 4.0") and
the end of a line with CR LF are as other people's programs found them.  Not verified against a real instrument.

No answer names its question and none has a checksum, so after anything odd the driver asks ``version``, whose answer
looks like no other.  An ``out`` counts only when it reads back; what was ordered stands: it is compared whenever the
circulator was out of reach or restarted, and ordered again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator
from pyvisa.resources import MessageBasedResource

from data.quantity_fields import TemperatureC, TimeS, reads
from data.samples import Channel, Quality, Reading
from instruments.capabilities import BathState, Confirmation
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    Identity,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    Polled,
    Settings,
)
from instruments.recognition import Ask, Recognised, Recognition
from instruments.visa import SerialLine, VisaInstrument, VisaSettings

AFTER_ANSWER_S = 0.01
AFTER_ORDER_S = 0.25
"""What must pass before the next command."""

_NUMBER = re.compile(rb"-?\d{1,3}(?:\.\d{1,3})?\r?\n")
_STATUS = re.compile(rb"(-?\d\d) +([A-Z][A-Z0-9 :/-]*?) *\r?\n")
_VERSION = re.compile(rb"(.*?)\bV(?:ERSION)? ?(\d+\.\w+) *\r?\n", re.IGNORECASE)

_REFUSALS = (-8, -9, -10, -11, -13)  # of the latest command; every other negative code is an alarm or a warning
_SENSOR_FAULTS = (-5, -6, -12)
_SHUT_OFF = (-1, -2, -5, -6, -12, -14)


def _untold(serial: str | None) -> str | None:
    if serial is not None:
        raise ValueError("a Julabo circulator does not tell its serial number; leave it out")
    return serial


class JulaboSettings(VisaSettings):
    """Settings of a circulator."""

    serial: Annotated[str | None, AfterValidator(_untold)] = None
    timeout_s: TimeS = Field(1.0, alias="timeout", gt=0.25, description="longest wait for one reply")
    period_s: TimeS = Field(10.0, alias="period", gt=0.0, description="how often the temperature is asked for")
    max_step_k: Annotated[float, reads("temperature-difference")] = Field(
        1.0, alias="max_step", gt=0.0, description="a larger change from one reading to the next is asked again"
    )
    low_degc: TemperatureC = Field(10.0, alias="low", description="lowest set point that the station allows")
    high_degc: TemperatureC = Field(45.0, alias="high", description="highest set point that the station allows")
    safe: Literal["keep", "off"] = Field("keep", description='"keep": going safe leaves the bath as it is')

    @model_validator(mode="after")
    def _is_a_range(self) -> JulaboSettings:
        if not self.low_degc < self.high_degc:
            raise ValueError(f"low ({self.low_degc:g} degC) is not below high ({self.high_degc:g} degC); correct them")
        return self


@dataclass(frozen=True, slots=True)
class _Status:
    code: int
    text: str

    @property
    def alarm(self) -> str:
        return self.text if self.code < 0 and self.code not in _REFUSALS else ""


def _recognise(ask: Ask) -> Recognised | None:
    """Its version; some circulators swallow the first command after the port was opened, as that line end before."""
    found = _VERSION.search(ask(b"version\r", within_s=0.6))
    if found is None or b"JULABO" not in found[1].upper():
        return None
    model = re.sub(r"(?i)^julabo\b", "", found[1].decode("ascii", "replace")).strip()
    return Recognised(Identity("Julabo", model or "circulator", "", found[2].decode()))


class JulaboCirculator(VisaInstrument, Polled):
    """One circulator with its own sensor.  The status channel holds the number of its status message."""

    settings_type: ClassVar[type[Settings]] = JulaboSettings
    settings: JulaboSettings
    line = SerialLine(baud=4800, data_bits=7, parity="even")
    recognition = Recognition("bath", _recognise, (line,), rank=6)

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        own = "temperature of the bath, by the circulator's own sensor"
        self.channels = (
            Channel("temperature", "degC", description=own, max_step=self.settings.max_step_k),
            Channel("status", "1", description="number of the status message: 0 to 3 states, below 0 alarms"),
        )
        self._mute = False  # what is being sent gets no answer
        self._setpoint_degc: float | None = None  # as ordered
        self._on: bool | None = None
        self._alarm = ""

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    # -- what it says

    def identify(self) -> Identity:
        """Model and software, as far as the version tells them; there is no serial number."""
        model, version = self._ask(b"version\r", self._version)
        return Identity("Julabo", model, "", version)

    def sample(self) -> Reading:
        """Status, then temperature, stamped with the question for the temperature."""
        with self._one_call():
            code = self._status().code
            quality = int(Quality.DEVICE_ERROR) if code in _SENSOR_FAULTS else 0

            def reading(reply: bytes) -> Reading:
                return Reading(self.sent_s, (self._number(reply), float(code)), (quality, 0))

            return self._measure(b"in_pv_00\r", reading)

    def bath_state(self) -> BathState:
        """Whether it runs, its set point, its alarm or warning."""
        with self._one_call():
            return BathState(self._is_on(), self._held_degc(), self._status().alarm)

    def probe(self) -> list[str]:
        """Remote control, alarms, and a set point outside what the station allows."""
        with self._one_call():
            status, held = self._status(), self._held_degc()
        problems = [f"it reports {status.alarm}"] if status.alarm else []
        if status.code in (0, 1):
            problems.append("it is operated by its keypad; switch it to remote control")
        if not self.settings.low_degc <= held <= self.settings.high_degc:
            problems.append(f"its set point is {held:.2f} degC, outside {self._allowed()}; change one of them")
        return problems

    # -- orders

    def set_temperature(self, temperature_degc: float) -> Confirmation:
        """Change the set point and read it back; an order that could not be confirmed stands."""
        if not self.settings.low_degc <= temperature_degc <= self.settings.high_degc:
            raise InstrumentRefusal(self.name, f"a set point of {temperature_degc:g} degC is outside {self._allowed()}")
        before, self._setpoint_degc = self._setpoint_degc, round(temperature_degc, 2)
        try:
            return self._confirmed(self._order_setpoint)
        except InstrumentRefusal:
            self._setpoint_degc = before
            raise

    def switch(self, on: bool) -> Confirmation:
        """Start or stop circulation and control; an order that could not be confirmed stands."""
        before, self._on = self._on, on
        try:
            return self._confirmed(self._order_mode)
        except InstrumentRefusal:
            self._on = before
            raise

    def make_safe(self) -> str:
        """Leave the pump under test at its temperature, or switch the bath off, as the settings say."""
        if self.settings.safe == "off":
            self.switch(on=False)
            return "the bath is off, read back"
        state = self.bath_state()
        doing = f"running at its set point of {state.setpoint_degc:.2f} degC" if state.on else "off, as it was"
        alarm = f"; it reports {state.alarm}" if state.alarm else ""
        return f"the bath was left {doing}, so that the pump under test keeps its temperature{alarm}"

    # -- parts of orders

    def _confirmed(self, order: Callable[[], tuple[str, str]]) -> Confirmation:
        with self._one_call():
            self._ready()
            issued_s = self.clock.now()
            command, reply = order()
            return Confirmation(command, reply, issued_s, self.clock.now())

    def _order_setpoint(self) -> tuple[str, str]:
        wanted = self._setpoint_degc
        assert wanted is not None
        self._tell(command := f"out_sp_00 {wanted:.2f}")
        held = self._held_degc()
        if abs(held - wanted) > 0.006:
            raise self._refused(f"its set point is {held:.2f} degC where {wanted:.2f} degC was sent")
        return command, f"{held:.2f}"

    def _order_mode(self) -> tuple[str, str]:
        wanted = self._on
        assert wanted is not None
        self._tell(command := f"out_mode_05 {wanted:d}")
        if self._is_on() != wanted:
            raise self._refused(f"it did not go {'on' if wanted else 'off'}")
        return command, f"{wanted:d}"

    def _refused(self, what: str) -> InstrumentRefusal:
        status = self._status()
        remedy = "; switch it to remote control" if status.code in (-9, 0, 1) else ""
        return InstrumentRefusal(self.name, f"{what}: it says {status.text}{remedy}")

    def _restore(self) -> None:
        """Order again what was ordered and is gone; where that is refused, its readings are good all the same."""
        try:
            self._order_again()
        except InstrumentRefusal as error:
            self.note("error", f"{error}; what was ordered before is not restored")

    def _order_again(self) -> None:
        if self._setpoint_degc is not None and abs(self._held_degc() - self._setpoint_degc) > 0.006:
            self._order_setpoint()
            self.note(
                "warning", f'bath "{self.name}" had lost its set point; {self._setpoint_degc:.2f} degC is set again'
            )
        if self._on is None or self._is_on() == self._on:
            return
        status = self._status()
        if self._on and status.code in _SHUT_OFF:
            return  # it is off for a reason, which the log has
        self._order_mode()
        self.note("warning", f'bath "{self.name}" was found {"off" if self._on else "on"}; it is switched back')

    # -- the wire

    def _tell(self, order: str) -> None:
        """Send an order, which gets no answer; the circulator is in step."""
        self._mute = True
        try:
            self._command(order.encode("ascii") + b"\r", lambda _: None)
        finally:
            self._mute = False

    def _receive(self, port: MessageBasedResource) -> bytes:
        """Read one answer and let pass what must pass before the next command."""
        reply = b"" if self._mute else port.read_raw()
        until = self.clock.now() + (AFTER_ORDER_S if self._mute else AFTER_ANSWER_S)
        self.clock.sleep_until(until if self._until is None else min(until, self._until))
        return reply

    def _synchronise(self) -> None:
        """Get in step; some circulators swallow the first command after the port was opened."""
        try:
            super()._synchronise()
        except InstrumentTimeout:
            if self._recognised:
                raise
            super()._synchronise()

    def _held_degc(self) -> float:
        return self._ask(b"in_sp_00\r", self._number)

    def _is_on(self) -> bool:
        return self._ask(b"in_mode_05\r", self._flag)

    def _status(self) -> _Status:
        status = self._ask(b"status\r", self._state)
        if status.alarm != self._alarm:
            self._alarm = status.alarm
            what = f"reports {status.alarm}" if status.alarm else "reports no alarm any more"
            self.note("error" if status.alarm else "info", f'bath "{self.name}" {what}')
        return status

    def _number(self, reply: bytes) -> float:
        self._check_alone(reply)
        if _NUMBER.fullmatch(reply) is None:
            raise InstrumentReplyError(self.name, f"{reply!r} is no number")
        return float(reply)

    def _flag(self, reply: bytes) -> bool:
        self._check_alone(reply)
        if reply.rstrip(b"\r\n") not in (b"0", b"1"):
            raise InstrumentReplyError(self.name, f"{reply!r} is neither 0 nor 1")
        return reply[:1] == b"1"

    def _state(self, reply: bytes) -> _Status:
        self._check_alone(reply)
        found = _STATUS.fullmatch(reply)
        if found is None:
            raise InstrumentReplyError(self.name, f"{reply!r} is no status message")
        return _Status(int(found[1]), f"{found[1].decode()} {found[2].decode()}")

    def _version(self, reply: bytes) -> tuple[str, str]:
        found = _VERSION.fullmatch(reply)
        if found is None:
            raise InstrumentReplyError(self.name, f"{reply!r} is no version")
        model = re.sub(r"(?i)^julabo\b", "", found[1].decode("ascii", "replace")).strip()
        return model or "circulator", found[2].decode()

    def _check_alone(self, reply: bytes) -> None:
        """No answer names its question: a second one beside the first makes both worthless."""
        if self._left_over() not in (b"", reply):
            raise InstrumentReplyError(self.name, "more than one reply to one question")

    def _marker(self) -> bytes:
        return b"version\r"

    def _is_marked(self, reply: bytes) -> bool:
        return _VERSION.fullmatch(reply) is not None

    def _allowed(self) -> str:
        return f"what the station allows ({self.settings.low_degc:g} to {self.settings.high_degc:g} degC)"


DRIVER = JulaboCirculator
