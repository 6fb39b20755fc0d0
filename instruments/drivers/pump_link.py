"""The serial link that programs the pump under test (docs/reference/pump-link.md; 38400 8N1).

No maker publishes the telemetry of an implantable pump, so this is the bench's own link to an engineering head.  A
request carries a rising sequence number and a CRC; the head remembers its last one, so an order whose reply was lost is
sent again under the same number and is not executed twice.  Every program is read back and compared.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeVar
from urllib.parse import quote, unquote

from pydantic import Field
from pyvisa.resources import MessageBasedResource

from data.quantity_fields import TimeS
from data.samples import Channel, Reading
from data.schedule import Bolus, Continuous, Flex, PatientBolus, PeriodicBolus, Schedule, Stopped
from instruments.capabilities import Confirmation, PumpStatus
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
from instruments.visa import DEADLINES, SerialLine, VisaInstrument, VisaSettings

T = TypeVar("T")
Fields = Mapping[str, str]

SAME = 1e-6
"""Two numbers of a program are the same within this, relative to the larger: the head echoes nine digits."""

_ATTEMPTS = 3  # of an order under one sequence number
_BUSY_S = 0.05
_LAST_SEQUENCE = 999_999
_BAD_SEQUENCE = "6"
_BOOTED = re.compile(r"\bboot=")


class PumpLinkSettings(VisaSettings):
    """Settings of the link; ``serial`` is the serial number of the pump."""

    period_s: TimeS = Field(60.0, alias="period", gt=0.0, description="how often the pump's state is asked for")


def _recognise(ask: Ask) -> Recognised | None:
    """Who the pump is; ``ID`` is taken under any number, and both ways have a CRC."""
    text = _unframed(ask(_framed("1 ID")))
    if text is None or not text.startswith(b"<1 OK "):
        return None
    told = {key: value for key, _, value in (word.partition("=") for word in text.decode("ascii", "replace").split())}
    return Recognised(Identity(*(unquote(told.get(key, "")) for key in ("maker", "model", "serial", "fw"))))


class PumpLinkHead(VisaInstrument, Polled):
    """A pump behind its programming head."""

    settings_type: ClassVar[type[Settings]] = PumpLinkSettings
    settings: PumpLinkSettings
    line = SerialLine(baud=38_400)
    recognition = Recognition("pump", _recognise, (line,), rank=5)
    channels = (
        Channel("delivered", "uL", description="volume delivered by the pump's own count"),
        Channel("reservoir", "uL", description="volume left by the pump's own calculation"),
        Channel("running", "1", description="1 while it delivers"),
        Channel("alarms", "1", description="number of alarms that stand"),
        Channel("clock", "s", description="the pump's own clock since midnight of its day 0"),
    )

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self._sequence = 0
        self._awaited = b""
        self._boots = 0
        self._repeats = False  # while an order is sent again that may have been executed
        self._last_event = ""

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    # -- what it says

    def identify(self) -> Identity:
        """Who the pump is."""
        # ID alone is taken under any number: after it the head's count follows ours.
        told = self._question("ID", dict)
        return Identity(*(unquote(told.get(key, "")) for key in ("maker", "model", "serial", "fw")))

    def sample(self) -> Reading:
        """Counts and state as the pump reports them."""
        return self._question("STAT", self._reading)

    def status(self) -> PumpStatus:
        """State, counts and alarms."""
        return self._question("STAT", _status)

    def read_back(self) -> Schedule:
        """The schedule that the pump holds."""
        return self._question("GET", _schedule)

    def log(self) -> tuple[str, ...]:
        """The pump's own event log, each entry "<seconds of the pump's clock>,<text>"."""
        entries: list[str] = []
        while True:
            page = self._question(f"LOG from={len(entries)}", _page)
            entries += page
            if not page:
                return tuple(entries)

    def probe(self) -> list[str]:
        """Alarms that stand."""
        return [f"the pump reports the alarm {alarm}" for alarm in self.status().alarms]

    def make_safe(self) -> str:
        """Leave the pump alone: stopping a drug pump, or reprogramming it, is nothing that an abort may do."""
        state = self.status()
        doing = f"running ({state.mode})" if state.running else "stopped, as it was"
        return f"the pump under test was left {doing}, with its path open"

    # -- what it is told

    def program(self, schedule: Schedule) -> Confirmation:
        """Program a schedule and read it back; raises InstrumentReplyError naming what differs."""
        wanted = _arguments(schedule)
        text = " ".join(f"{key}={value}" for key, value in wanted.items())
        done = self._order(f"SET {text}")
        held = self._question("GET", dict)
        if different := _differences(wanted, held):
            raise InstrumentReplyError(self.name, f"the program read back differs: {'; '.join(different)}")
        read_back = " ".join(f"{key}={value}" for key, value in held.items())
        return Confirmation(done.command, f"{done.reply}; read back {read_back}", done.issued_s, self.clock.now())

    def start(self) -> Confirmation:
        """Start the programmed delivery."""
        return self._order("RUN")

    def stop(self) -> Confirmation:
        """Stop delivery."""
        return self._order("STOP")

    def bolus(self, volume_ul: float, duration_s: float, kind: str = "single") -> Confirmation:
        """Deliver one bolus; "granted=0 reason=..." in the reply is a refusal by the pump's own rule."""
        return self._order(f"BOLUS kind={kind} vol={_number(volume_ul)} dur={_number(duration_s)}")

    def set_reservoir(self, volume_ul: float) -> Confirmation:
        """Tell the pump what its reservoir holds after a refill; the reply ends with what it counts from there."""
        done = self._order(f"FILL vol={_number(volume_ul)}")
        counted = self._question("STAT", _status).reservoir_ul
        return Confirmation(done.command, f"{done.reply}; counts {counted:.9g} uL", done.issued_s, self.clock.now())

    # -- exchanges

    def _question(self, text: str, interpret: Callable[[Fields], T]) -> T:
        """Ask; a second time under a new number, so that the answer is never an old one."""
        with self._one_call():
            try:
                return self._send(self._next_frame(text), interpret)
            except InstrumentRefusal:
                raise
            except (InstrumentTimeout, InstrumentReplyError):
                return self._send(self._next_frame(text), interpret)

    def _order(self, text: str) -> Confirmation:
        """Order once, however often it has to be said: under one number, and never across a restart of the head."""
        with self._lock:
            frame, boots = self._next_frame(text), self._boots
            issued_s: float | None = None
            try:
                for attempt in range(1, _ATTEMPTS + 1):
                    self._repeats = attempt > 1
                    try:
                        fields = self._send(frame, dict)
                    except InstrumentRefusal:
                        raise
                    except (InstrumentTimeout, InstrumentReplyError) as error:
                        issued_s = self.sent_s if issued_s is None else issued_s
                        if self._boots != boots:
                            raise InstrumentReplyError(
                                self.name,
                                f'restarted during "{text}"; whether it was executed stands in the pump\'s log',
                            ) from error
                        if attempt == _ATTEMPTS:
                            raise
                    else:
                        reply = " ".join(["OK", *(f"{key}={value}" for key, value in fields.items())])
                        return Confirmation(text, reply, issued_s or self.sent_s, self.clock.now())
            finally:
                self._repeats = False
            raise AssertionError("the last attempt returns or raises")

    def _next_frame(self, text: str) -> bytes:
        self._connected()  # connecting takes numbers of its own
        if self._sequence >= _LAST_SEQUENCE:
            self._sequence = 0
            self.identify()
        self._sequence += 1
        self._awaited = b"<%d " % self._sequence
        return _framed(f"{self._sequence} {text}")

    def _send(self, frame: bytes, interpret: Callable[[Fields], T]) -> T:
        """Exchange one frame, again while the head is busy."""
        until = self.clock.now() + DEADLINES * self.settings.timeout_s

        def read(reply: bytes) -> T | None:
            if reply.startswith(b"BUSY"):
                return None
            fields = self._fields(reply)
            try:
                return interpret(fields)
            except (KeyError, TypeError, ValueError) as error:
                raise InstrumentReplyError(self.name, f"the reply {reply!r} does not make sense: {error!r}") from error

        while (result := self._transact(frame, read, attempts=1)) is None:
            if self.clock.now() >= until:
                raise InstrumentRefusal(self.name, "is busy")
            self.clock.sleep(_BUSY_S)
        return result

    def _receive(self, port: MessageBasedResource) -> bytes:
        """Reply to the present number without frame and number; events on the way are kept, all else is dropped."""
        until = self.clock.now() + self.settings.timeout_s
        while True:
            line = port.read_raw()
            text = _unframed(line)
            if text is not None and text.startswith(self._awaited):
                return text[len(self._awaited) :]
            self._stray(line)
            if self.clock.now() >= until:
                raise InstrumentTimeout(self.name, "talks, but does not answer")
            self._limit(port, until - self.clock.now())

    def _fields(self, reply: bytes) -> dict[str, str]:
        """Fields of an OK reply."""
        verdict, *words = reply.decode("ascii", "replace").split()
        fields = {key: value for key, _, value in (word.partition("=") for word in words)}
        if verdict == "OK":
            return fields
        if verdict == "ERR" and fields.get("code") != _BAD_SEQUENCE:
            raise InstrumentRefusal(
                self.name, f"refuses: {unquote(fields.get('text', '')).strip(chr(34))} (code {fields.get('code')})"
            )
        raise InstrumentReplyError(self.name, f"unexpected reply {reply!r}")

    def _reading(self, fields: Fields) -> Reading:
        state = _status(fields)
        values = (state.delivered_ul, state.reservoir_ul, float(state.running), float(len(state.alarms)), state.clock_s)
        return Reading(self.sent_s, values, (0,) * len(values))

    def _stray(self, data: bytes) -> None:
        """Note the events among what arrived unasked, each once.

        A head that has restarted knows no numbers any more: it would execute an order again that is only repeated.
        """
        for line in data.splitlines(keepends=True):
            text = _unframed(line)
            if text is None or not text.startswith(b"!"):
                continue
            event = text[1:].decode("ascii", "replace")
            booted = _BOOTED.search(event) is not None  # each counts: the head may count its events anew, too
            if event == self._last_event and not booted:
                continue
            self._last_event = event
            self.note("warning", f'pump link "{self.name}": event {event}')
            self._boots += booted
            if booted and self._repeats:
                raise InstrumentReplyError(self.name, "has restarted")


# ------------------------------------------------------------------------------------------ words on the wire


def _framed(text: str) -> bytes:
    body = text.encode("ascii")
    return b">%s*%04X\r\n" % (body, binascii.crc_hqx(body, 0xFFFF))


def _unframed(line: bytes) -> bytes | None:
    """Line of the head without its CRC, from its first character on; None when it is damaged."""
    body, star, crc = line.rstrip(b"\r\n").rpartition(b"*")
    return body if star and crc == b"%04X" % binascii.crc_hqx(body[1:], 0xFFFF) else None


def _number(value: float) -> str:
    return format(value, ".12g")


def _joined(*values: float) -> str:
    return ":".join(map(_number, values))


def _arguments(schedule: Schedule) -> dict[str, str]:
    """A schedule as the arguments of SET."""
    basal = schedule.basal
    fields = {"mode": type(basal).__name__.lower()}
    if isinstance(basal, Continuous):
        fields["rate"] = _number(basal.rate_ul_per_h)
    elif isinstance(basal, Flex):
        fields["steps"] = ",".join(_joined(*step) for step in basal.steps)
    if schedule.boluses:
        fields["boluses"] = ",".join(f"{b.kind}:{_joined(b.at_s, b.volume_ul, b.duration_s)}" for b in schedule.boluses)
    if (each := schedule.periodic) is not None:
        fields["periodic"] = _joined(each.volume_ul, each.duration_s, each.interval_s, each.first_s)
    if (rule := schedule.patient) is not None:
        fields["ptm"] = f"{_joined(rule.volume_ul, rule.duration_s, rule.lockout_s, rule.max_per_day)}:{rule.day}"
    if schedule.concentration_ug_per_ml is not None:
        fields["conc"] = _number(schedule.concentration_ug_per_ml)
    if schedule.drug:
        fields["drug"] = quote(schedule.drug, safe="")
    return fields


def _schedule(fields: Fields) -> Schedule:
    """Schedule of the fields of GET; raises ValueError, KeyError or TypeError where they make none."""
    mode = fields["mode"]
    basal: Continuous | Flex | Stopped = Stopped()
    if mode == "continuous":
        basal = Continuous(float(fields["rate"]))
    elif mode == "flex":
        steps = (step.split(":") for step in fields["steps"].split(","))
        basal = Flex(tuple((float(time_s), float(rate)) for time_s, rate in steps))
    boluses = []
    for entry in filter(None, fields.get("boluses", "").split(",")):
        kind, at, volume, duration = entry.split(":")
        boluses.append(Bolus(float(at), float(volume), float(duration), kind))  # type: ignore[arg-type]  # checked by Schedule
    periodic = patient = None
    if "periodic" in fields:
        periodic = PeriodicBolus(*map(float, fields["periodic"].split(":")))
    if "ptm" in fields:
        volume, duration, lockout, most, day = fields["ptm"].split(":")
        patient = PatientBolus(float(volume), float(duration), float(lockout), int(most), day)  # type: ignore[arg-type]  # checked by PatientBolus
    concentration = float(fields["conc"]) if "conc" in fields else None
    return Schedule(basal, tuple(boluses), periodic, patient, unquote(fields.get("drug", "")), concentration)


def _status(fields: Fields) -> PumpStatus:
    return PumpStatus(
        running=fields["run"] == "1",
        mode=fields["mode"],
        delivered_ul=float(fields["delivered"]),
        reservoir_ul=float(fields["reservoir"]),
        alarms=tuple(unquote(alarm) for alarm in fields["alarms"].split(",") if alarm),
        clock_s=float(fields["clock"]),
    )


def _page(fields: Fields) -> list[str]:
    """Entries of one page of the log."""
    entries = [unquote(entry) for entry in fields["entries"].split(";")] if int(fields["n"]) else []
    if len(entries) != int(fields["n"]):
        raise ValueError(f"{len(entries)} log entries where n={fields['n']}")
    return entries


def _differences(wanted: Fields, held: Fields) -> list[str]:
    """What of a program does not stand in the pump as it was sent."""
    different = []
    for key in sorted(wanted.keys() | held.keys()):
        sent, got = wanted.get(key, "nothing"), held.get(key, "nothing")
        words, echoed = re.split("[:,]", sent), re.split("[:,]", got)
        if len(words) != len(echoed) or not all(map(_same, words, echoed)):
            different.append(f"{key} is {unquote(got)} where {unquote(sent)} was programmed")
    return different


def _same(one: str, other: str) -> bool:
    try:
        a, b = float(one), float(other)
    except ValueError:
        return one == other
    return abs(a - b) <= SAME * max(abs(a), abs(b))


DRIVER = PumpLinkHead
