"""Instruments on VISA: one exchange at a time, and what happens when it goes wrong.

Everything that can go wrong on a wire becomes one of three errors: `InstrumentTimeout`, `InstrumentReplyError`,
`InstrumentDisconnected`.  After the first two the driver does not know where the next reply begins, so it gets back in
step before it asks again: it drops what arrived, asks a harmless question whose answer cannot be mistaken (the
``marker``), and drops everything before that answer.  After the third the port is closed and opened again, later and
later, but never by waiting: until the next attempt is due every call fails at once.

No call takes longer than `DEADLINES` timeouts, except one that was given more time.
"""

from __future__ import annotations

import contextlib
import math
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn, TypeVar, cast

import pyvisa
from pydantic import Field
from pyvisa import constants
from pyvisa.constants import StatusCode
from pyvisa.resources import MessageBasedResource, SerialInstrument

from data.quantity_fields import TimeS
from data.samples import Reading
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    Identity,
    Instrument,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    Settings,
)
from instruments.jumps import AGREEING, AGREEING_IF_DISTURBED, Jumps
from instruments.visa_peek import keeps_messages, peek_of

if TYPE_CHECKING:
    from instruments.recognition import Recognition

if sys.platform == "win32":
    _TERMINAL_ERRORS: tuple[type[Exception], ...] = ()
else:
    import termios

    _TERMINAL_ERRORS = (termios.error,)  # which is no OSError

T = TypeVar("T")

WIRE_ERRORS = (pyvisa.errors.Error, OSError, ValueError, *_TERMINAL_ERRORS)
"""What pyvisa and the libraries below it raise; none of it leaves this module unmapped."""

DEADLINES = 3
"""A question, getting back in step and the question again: each takes at most one timeout."""

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
"""After a disconnection the port is opened again first after this, then after twice the time, at most this."""

DISTURBED_S = 3600.0
"""How long after a failed exchange a wire counts as disturbed: what jumps then needs more readings to be believed.

With a balance that rests, an hour is 360 readings; one damaged reply in ten was seen to pass for 40 minutes unnoticed.
"""

_LEAST_S = 1e-3  # VISA counts milliseconds
_DAMAGED = frozenset({StatusCode.error_serial_parity, StatusCode.error_serial_framing, StatusCode.error_serial_overrun})
_PARITY = {"none": constants.Parity.none, "even": constants.Parity.even, "odd": constants.Parity.odd}
_STOP_BITS = {1: constants.StopBits.one, 2: constants.StopBits.two}


@dataclass(frozen=True, slots=True)
class SerialLine:
    """How a serial port is set; ignored on other interfaces."""

    baud: int = 9600
    data_bits: int = 8
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1


def set_line(port: SerialInstrument, line: SerialLine, baud: int | None = None) -> None:
    """Set a serial port; ``baud`` where it is another than the usual one."""
    port.baud_rate = baud or line.baud
    port.data_bits = line.data_bits
    port.parity = _PARITY[line.parity]
    port.stop_bits = _STOP_BITS[line.stop_bits]


class VisaSettings(Settings):
    """Settings of every VISA instrument."""

    resource: str = Field(
        description='VISA resource, such as "ASRL/dev/ttyUSB0::INSTR" or "TCPIP::10.0.0.7::4001::SOCKET"'
    )
    baud: int | None = Field(
        None, gt=0, description="baud rate of a serial port; the instrument's usual one if left out"
    )
    timeout_s: TimeS = Field(0.3, alias="timeout", gt=0.0, description="longest wait for one reply")


class VisaInstrument(Instrument):
    """An instrument behind one pyvisa resource.

    A driver states its serial line, how a reply ends and how to get back in step, and talks through `_ask` (a question
    that may be asked twice) and `_command` (a command that must not).

    Attributes
    ----------
    line : how its serial port is set.
    terminator : character that ends a reply.
    recognition : how its instruments are recognised at a port that nobody knows; None where they are not.
    sent_s : clock time at which the latest question was sent; to be read by what interprets the reply.
    """

    settings_type: ClassVar[type[Settings]] = VisaSettings
    settings: VisaSettings
    line: ClassVar[SerialLine] = SerialLine()
    terminator: ClassVar[str] = "\n"
    recognition: ClassVar[Recognition | None] = None

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self.sent_s = float("-inf")
        self._lock = clock.lock()
        self._port: MessageBasedResource | None = None
        self._in_step = False
        self._peek: Callable[[MessageBasedResource], bytes] = keeps_messages
        self._opened = self._putting_back = False
        self._retry_at = float("-inf")
        self._retry_after_s = FIRST_RETRY_S
        self._disturbed_s = float("-inf")  # when an exchange failed last
        self._lost_steps = 0  # attempts to get back in step that failed
        self._port_timeout_s = math.nan  # as the port is set
        self._until: float | None = None  # end of the time that the present call as a whole may take
        self._jumps: Jumps | None = None  # once something is measured
        self._serial_number: str | None = self.settings.serial
        self._recognised = False

    # -- what a driver gives

    @abstractmethod
    def identify(self) -> Identity:
        """Ask the instrument who it is."""

    def _receive(self, port: MessageBasedResource) -> bytes:
        """Read one reply, its end included, without judging it."""
        return port.read_raw()

    def _marker(self) -> bytes | None:
        """A harmless question to get back in step with; None where each reply names its question."""
        return None

    def _is_marked(self, reply: bytes) -> bool:
        """Whether a reply answers the marker; never raises."""
        return False

    def _stray(self, data: bytes) -> None:
        """Look at what arrived unasked: late replies, streams, messages.  It is dropped afterwards."""

    def _restore(self) -> None:
        """Bring the instrument back to where the bench left it: called when it is in step again after a failure."""

    # -- open and close

    def open(self) -> None:
        """Connect, get in step and check the serial number."""
        with self._lock:
            if self._port is None:
                self._opened, self._retry_at = True, float("-inf")
                self._connected()

    def close(self) -> None:
        """Close the port; the instrument stays as it is."""
        with self._lock:
            self._opened = False
            self._shut()

    # -- talking

    def _ask(self, question: bytes, interpret: Callable[[bytes], T]) -> T:
        """Ask something that may be asked twice, and once again when the reply is missing or damaged."""
        return self._transact(question, interpret, attempts=2)

    def _measure(self, question: bytes, interpret: Callable[[bytes], Reading]) -> Reading:
        """Ask for a reading where the wire has no checksum: what jumps by more than ``max_step`` is asked again.

        A reading that no other confirms is `Quality.IMPLAUSIBLE`; see docs/explanation/wire-faults.md.
        """
        if self._jumps is None:
            self._jumps = Jumps(self.channels)
        asked_s = self.clock.now()
        first = self._ask(question, interpret)
        if self._jumps.follows(first):
            return first
        with self._one_call(asked_s):
            disturbed = asked_s - self._disturbed_s <= DISTURBED_S
            reading, damaged = self._jumps.settled(
                first,
                lambda: self._transact(question, interpret, attempts=1),
                AGREEING_IF_DISTURBED if disturbed else AGREEING,
            )
        if damaged:
            self._disturbed_s = self.clock.now()
            watched = [(channel, k) for k, channel in enumerate(self.channels) if channel.max_step is not None]
            said = ", ".join(f"{first.values[k]:.9g} {channel.unit}" for channel, k in watched)
            self.note(
                "warning", f'instrument "{self.name}": a reading of {said} did not last and was damaged on the wire'
            )
        return reading

    def _command(self, command: bytes, interpret: Callable[[bytes], T], within_s: float | None = None) -> T:
        """Command something that must not happen twice; ``within_s`` where the instrument takes its time."""
        return self._transact(command, interpret, attempts=1, within_s=within_s)

    @contextlib.contextmanager
    def _one_call(self, start_s: float | None = None) -> Iterator[None]:
        """Exchanges that belong together: from ``start_s``, or now, they take `DEADLINES` timeouts and no more."""
        with self._lock:
            outermost = self._until is None
            self._allow(self.clock.now() if start_s is None else start_s)
            try:
                yield
            finally:
                if outermost:
                    self._end_call()

    def _transact(
        self, request: bytes, interpret: Callable[[bytes], T], *, attempts: int, within_s: float | None = None
    ) -> T:
        """Make one exchange; ``interpret`` turns the reply into a result, while the lock is still held.

        ``interpret`` raises `InstrumentReplyError` for a reply that is damaged or answers another question, and
        `InstrumentRefusal` for one by which the instrument says no.
        """
        with self._lock:
            outermost = self._until is None
            try:
                while True:
                    try:
                        port = self._ready()
                        if (stray := self._peek(port)) and self._dropped(stray):
                            port = self._ready()
                        if within_s is not None or self._until is not None:
                            self._limit(port, within_s or self.settings.timeout_s)
                        self.sent_s = self.clock.now()
                        port.write_raw(request)
                        return interpret(self._receive(port))
                    except InstrumentRefusal:
                        raise
                    except (InstrumentTimeout, InstrumentReplyError):
                        self._in_step, self._disturbed_s = False, self.clock.now()
                        attempts -= 1
                        if attempts <= 0:
                            raise
                    except WIRE_ERRORS as error:
                        failure = self._mapped(error, request)
                        attempts -= 1
                        if attempts <= 0 or isinstance(failure, InstrumentDisconnected):
                            raise failure from error
                    self._allow(self.clock.now() - self.settings.timeout_s)
            finally:
                if outermost and (self._until is not None or self._port_timeout_s != self.settings.timeout_s):
                    self._end_call()

    def _ready(self) -> MessageBasedResource:
        """The port, connected and in step."""
        port = self._port
        if port is not None and self._in_step:
            return port
        if self._putting_back:  # what brings it back must not bring itself back, and so on
            raise InstrumentReplyError(self.name, "fell out of step again while it was brought back to where it was")
        self._allow(self.clock.now())
        return self._recover()

    def _connected(self) -> None:
        """Connect and get in step now if that is needed, so that the next exchange is one and nothing else."""
        with self._one_call():
            self._ready()

    def _allow(self, start_s: float) -> None:
        """Let the present call take `DEADLINES` timeouts from its start, whatever it is made of."""
        if self._until is None:
            self._until = start_s + DEADLINES * self.settings.timeout_s

    def _end_call(self) -> None:
        self._until = None
        if self._port is not None and self._port_timeout_s != self.settings.timeout_s:
            with contextlib.suppress(*WIRE_ERRORS):  # a port that is gone shows itself at the next exchange
                self._set_timeout(self._port, self.settings.timeout_s)

    def _left_over(self) -> bytes:
        """Take what has arrived beside the reply that is being interpreted."""
        port = self._port
        return b"" if port is None else self._peek(port)

    def _dropped(self, stray: bytes) -> bool:
        """Show the driver what arrived unasked; whether it takes that for a reason to get back in step."""
        self._stray(stray)
        return not self._in_step

    def _mapped(self, error: Exception, request: bytes) -> InstrumentError:
        """Say what happened in one of the three errors, and take the consequence."""
        self._in_step, self._disturbed_s = False, self.clock.now()
        if isinstance(error, pyvisa.errors.VisaIOError):
            if error.error_code == StatusCode.error_timeout:
                return InstrumentTimeout(self.name, f"no whole reply to {request!r} in time")
            if error.error_code in _DAMAGED:
                return InstrumentReplyError(self.name, f"the line is disturbed: {error.description}")
        elif isinstance(error, pyvisa.errors.InvalidBinaryFormat) or (
            isinstance(error, ValueError) and not isinstance(error, OSError)
        ):
            return InstrumentReplyError(self.name, f"the reply to {request!r} cannot be read: {error}")
        self._shut()
        return InstrumentDisconnected(self.name, f"the connection {self.settings.resource} is lost: {error}")

    # -- getting back in step

    def _recover(self) -> MessageBasedResource:
        """Get back in step, or connect again when that is due."""
        if self._port is None:
            self._wait_for_retry()
            self._connect()
        else:
            self._get_in_step()
        assert self._port is not None
        return self._port

    def _get_in_step(self) -> None:
        self._lost_steps += 1
        self._synchronise()
        self._in_step, self._lost_steps = True, 0
        if self._recognised:
            self._put_back()

    def _put_back(self) -> None:
        self._putting_back = True
        try:
            self._restore()
        except InstrumentError:
            self._in_step = False  # until everything is as it was, no reading counts
            raise
        finally:
            self._putting_back = False

    def _synchronise(self) -> None:
        """Drop what arrived, ask the marker, drop everything before its answer."""
        port, marker = self._port, self._marker()
        assert port is not None
        try:
            self._stray(self._peek(port))
            if self._peek is keeps_messages:
                port.clear()
            if marker is None:
                return
            until = self.clock.now() + self.settings.timeout_s
            port.write_raw(marker)
            while True:
                self._limit(port, until - self.clock.now())
                reply = self._receive(port)
                if self._is_marked(reply):
                    self._stray(self._peek(port))  # a second answer that came with it
                    return
                self._stray(reply)
        except WIRE_ERRORS as error:
            raise self._mapped(error, marker or b"") from error

    def _limit(self, port: MessageBasedResource, seconds: float) -> None:
        """Set how long the next read may take; raises InstrumentTimeout when the whole call has had its time."""
        if self._until is not None:
            seconds = min(seconds, self._until - self.clock.now())
        if seconds < _LEAST_S:
            raise InstrumentTimeout(self.name, "no whole reply in time")
        self._set_timeout(port, seconds)

    def _set_timeout(self, port: MessageBasedResource, seconds: float) -> None:
        """Set how long a read may take, where it is not so already: pyvisa takes its time over it."""
        if seconds != self._port_timeout_s:
            port.timeout = 1000.0 * max(_LEAST_S, seconds)
            self._port_timeout_s = seconds

    # -- connecting

    def _wait_for_retry(self) -> None:
        """Refuse until the next attempt to connect is due."""
        if not self._opened:
            raise InstrumentDisconnected(self.name, "is not open")
        left = self._retry_at - self.clock.now()
        if left > 0.0:
            raise InstrumentDisconnected(
                self.name, f"is disconnected from {self.settings.resource}; next attempt in {left:.1f} s"
            )

    def _connect(self) -> None:
        """Open the port and make sure that the right instrument is behind it; else try again later."""
        self._retry_after_s = min(2.0 * self._retry_after_s, LAST_RETRY_S)  # should this attempt fail
        try:
            self._open_port()
            self._get_in_step()
            self._check_serial_number(self.identify())
            self._put_back()
        except InstrumentDisconnected:
            self._shut()
            raise
        except InstrumentError as error:
            self._shut()
            raise InstrumentDisconnected(
                self.name, f"{self.settings.resource} is open but does not answer as it should: {error}"
            ) from error
        self._retry_after_s = FIRST_RETRY_S

    def _open_port(self) -> None:
        settings = self.settings
        try:
            port = cast(
                MessageBasedResource,
                self.connection.visa.open_resource(
                    settings.resource, open_timeout=max(1, round(1000.0 * settings.timeout_s))
                ),
            )
        except Exception as error:  # noqa: BLE001  # pyvisa-py raises a bare Exception where a host does not answer
            self._cannot_open(error)
        self._port = port
        try:
            if isinstance(port, SerialInstrument):
                self._set_line(port)
            self._port_timeout_s = math.nan
            self._set_timeout(port, settings.timeout_s)
            port.read_termination = self.terminator
            self._peek = peek_of(port)
            self._peek(port)
        except WIRE_ERRORS as error:
            self._cannot_open(error)

    def _cannot_open(self, error: Exception) -> NoReturn:
        raise InstrumentDisconnected(
            self.name, f"cannot open {self.settings.resource}: {error}; check its name, the cable and the power"
        ) from error

    def _set_line(self, port: SerialInstrument) -> None:
        set_line(port, self.line, self.settings.baud)

    def _check_serial_number(self, identity: Identity) -> None:
        """Accept the instrument that the station names, or the one that was there before, and no other."""
        if self._serial_number is None:
            self._serial_number = identity.serial
        if identity.serial != self._serial_number:
            raise InstrumentDisconnected(
                self.name,
                f'{identity.maker} {identity.model} with serial number "{identity.serial}" answers at '
                f'{self.settings.resource} where "{self._serial_number}" is expected; connect the right one, '
                "or correct its serial number in the station file",
            )
        self._recognised = True

    def _shut(self) -> None:
        """Close the port, however it is, and plan the next attempt."""
        port, self._port = self._port, None
        self._in_step = self._recognised = False
        self._retry_at = self.clock.now() + self._retry_after_s
        if port is not None:
            with contextlib.suppress(*WIRE_ERRORS):  # a port whose cable is gone may not even close
                port.close()
