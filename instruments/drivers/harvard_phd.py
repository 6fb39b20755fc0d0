"""Harvard PHD Ultra and Pump 11 Elite syringe pumps (RS-232 or USB, 115200 8N1), pump chain commands in poll mode.

Sources: user's guide 5419-002 of the PHD Ultra; the packages ``flowchem`` and ``python-syringe-pump`` for the form of
replies.  A reply is lines and a prompt that tells the state: ":" idle, ">" infusing, "<" withdrawing, "*" stalled, "T*"
target reached; in poll mode XON ends it.  Not verified against a real pump: how ``status`` counts, that a count that
was cleared begins at 0 and the target with it.

**Nothing stops this pump when the computer dies.**  So a start always has a target: the volume that was asked for, or
what the syringe holds.

There is no checksum and no reply names its question; one bit makes one prompt another.  So the state is read from
``status``, whose flags must agree with the prompt; what lets something move, or says that it stands, is read twice; and
``irun`` is said once: when its reply is lost, the count, which was cleared before, says whether it was executed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import ClassVar, Literal, NamedTuple, Self, TypeVar

from pydantic import Field, model_validator

from data.quantity_fields import LengthMm
from data.samples import Quality, Reading
from instruments.capabilities import Confirmation, SyringeState
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    Identity,
    InstrumentRefusal,
    InstrumentReplyError,
    Settings,
)
from instruments.recognition import Ask, Recognised, Recognition
from instruments.syringe_pump import TOLERANCE, PolledSyringePump, SyringePumpSettings, Verb
from instruments.visa import SerialLine

T = TypeVar("T")

_MOST_LOOKS = 6
_FL_PER_UL = 1e9
_UNITS_UL = {"pl": 1e-6, "nl": 1e-3, "ul": 1.0, "ml": 1e3, "l": 1e6}
_UNITS_PER_H = {"hr": 1.0, "min": 60.0, "sec": 3600.0}

_LINE = re.compile(r"(\d{1,2})?(T\*|>\*|<\*|[:><*])(.*)")
_ERROR = re.compile(r"(?:command|argument) error|unknown command|out of range", re.IGNORECASE)
_DAMAGED = re.compile(r"command error: [^ ]*$|unknown command", re.IGNORECASE)
_STATUS = re.compile(r"(\d+) (\d+) (\d+) ([iwIW])([.iwIW])([.S])([.T])([.IW])([.T]?)")
_VOLUME = re.compile(r"(\d+\.?\d*) ([pnum]?l)")
_RATE = re.compile(r"(\d+\.?\d*) ([pnum]?l)/(hr|min|sec)")
_DIAMETER = re.compile(r"(\d+\.?\d*) mm")
_ANYTHING = re.compile(".*")
_VERSION = re.compile(r"([A-Z0-9][\w /.-]*?) v?(\d+\.[\d.]+)")
_SERIAL = re.compile(r"Serial number: *(\w+)")
_MARKERS = {"ver": _VERSION, "diameter": _DIAMETER, "irate": _RATE, "force": re.compile(r"(\d+)%")}

Direction = Literal["infusing", "withdrawing"]
_LETTERS: dict[Direction, str] = {"infusing": "i", "withdrawing": "w"}
_DIRECTIONS: dict[Verb, Direction] = {"infuse": "infusing", "withdraw": "withdrawing"}
_STANDS = (":", "*", "T*", ">*", "<*")
_ALARMS = {"*": "stall", ">*": "limit", "<*": "limit"}


class HarvardSettings(SyringePumpSettings):
    """Settings of a pump and of the syringe in it."""

    diameter_mm: LengthMm = Field(alias="diameter", ge=0.1, le=60.0, description="inner diameter of the syringe")
    force: int | None = Field(None, ge=1, le=100, description="force of the motor in percent; as it is if left out")
    address: int = Field(0, ge=0, le=99, description="of the pump in a pump chain")

    @model_validator(mode="after")
    def _fits_a_command(self) -> Self:
        if abs(float(_digits(self.diameter_mm)) - self.diameter_mm) > 1e-4:
            raise ValueError("the pump takes four decimals of the diameter; round it")
        return self


class Status(NamedTuple):
    """What ``status`` tells: prompt, direction, and the volume moved in that direction since it was cleared."""

    prompt: str
    direction: Direction
    volume_ul: float

    @property
    def running(self) -> Literal["infusing", "withdrawing", "stopped"]:
        """Motion as the prompt tells it."""
        return "stopped" if self.prompt in _STANDS else self.direction


def _recognise(ask: Ask) -> Recognised | None:
    """Model and firmware, then the serial number where it tells one."""
    model = re.search(r"((?:PHD|11 )[\w /.-]*?) v?(\d+\.[\d.]+)", ask(b"ver\r").decode("latin-1"))
    if model is None:
        return None
    serial = _SERIAL.search(ask(b"version\r", within_s=0.6).decode("latin-1"))
    return Recognised(Identity("Harvard Apparatus", model[1], serial[1] if serial else "", model[2]))


class HarvardPump(PolledSyringePump):
    """One pump.  A start without a volume ends by itself when the syringe is empty, or full.

    The status channel holds the code of the prompt's first character: ":" 58 idle, ">" 62, "<" 60, "*" 42 stalled, "T"
    84 target reached; the alarm channel 1 for a stall, a limit switch or a restart.  Counts go on over the starts that
    clear the pump's own: what it had counted before is added here.
    """

    settings_type: ClassVar[type[Settings]] = HarvardSettings
    settings: HarvardSettings
    line = SerialLine(baud=115_200)
    recognition = Recognition("pusher", _recognise, (line, SerialLine()), rank=8)
    terminator = "\x11"

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self.channels = self._channels(
            "first character of the prompt as its character code", "1 while an alarm stands", has_checksum=False
        )
        self._markers, self._marked = cycle(_MARKERS), "ver"
        self._alarm = ""
        self._carried: dict[Direction, float] = {"infusing": 0.0, "withdrawing": 0.0}  # counted before it was cleared
        self._direction: Direction | None = None  # of the motor; None where the other count is not known
        self._other_ul = 0.0  # count of the direction in which it does not move
        self._last: Status | None = None
        self._is_doubtful = False  # a count that was being cleared may have been added or not

    # -- who it is, and what it says

    def open(self) -> None:
        """Connect and set the syringe; a pump that is running is left so."""
        super().open()
        if self._stands():
            self._settle()
        else:
            self.note("warning", f'syringe pump "{self.name}" was found running')

    def identify(self) -> Identity:
        """Model and firmware (ver), serial number (version) where it tells one."""

        def told() -> tuple[str, str, str]:
            serial = self._ask(self._request("version"), partial(self._answer, "version", _serial_number))
            model = self._say("ver", _VERSION)
            return model[1], serial, model[2]

        return Identity("Harvard Apparatus", *self._agreed(told, lambda one, other: one == other))

    def sample(self) -> Reading:
        """Counts, state and alarm now; asked again where a count jumped."""
        with self._one_call():
            if self._direction is None:
                self._survey()
            return self._measure(self._request("status"), partial(self._answer, "status", self._reading))

    def syringe_state(self) -> SyringeState:
        """Motion, counts and the alarm that stands."""
        with self._one_call():
            status = self._survey()
            return SyringeState(
                status.running, self._total("infusing", status), self._total("withdrawing", status), self._alarm
            )

    def _survey(self) -> Status:
        """State and both counts: that of the other direction stands still and is read until it comes twice."""
        status = self._agreed(self._status_now, lambda one, other: one.direction == other.direction)
        question = "wvolume" if status.direction == "infusing" else "ivolume"
        self._other_ul = self._agreed(lambda: _in_ul(self._say(question, _VOLUME)), lambda one, other: one == other)
        self._direction = status.direction
        return self._noted(status)

    def _status_now(self) -> Status:
        return self._ask(self._request("status"), partial(self._answer, "status", self._status))

    def _agreed(self, ask: Callable[[], T], agree: Callable[[T, T], bool]) -> T:
        """What is told twice in a row."""
        before = ask()
        for _ in range(_MOST_LOOKS):
            now = ask()
            if agree(now, before):
                return now
            before = now
        raise InstrumentReplyError(self.name, "does not say the same twice in a row; the line is disturbed")

    def _total(self, direction: Direction, status: Status) -> float:
        counted = status.volume_ul if direction == status.direction else self._other_ul
        return self._carried[direction] + counted

    def _reading(self, prompt: str, lines: list[str]) -> Reading:
        status = self._status(prompt, lines)
        if status.direction != self._direction:
            self._direction = None  # turned by hand, or a damaged letter
            raise InstrumentReplyError(self.name, "moves the other way than it did")
        status = self._noted(status)
        flag = int(Quality.DISTURBED) if self._is_doubtful else 0
        volumes = self._total("infusing", status), self._total("withdrawing", status)
        return Reading(self.sent_s, (*volumes, float(ord(prompt[0])), float(bool(self._alarm))), (flag, flag, 0, 0))

    def _noted(self, status: Status) -> Status:
        """Keep what is new: a stall, a limit switch, a count that fell by itself."""
        last, self._last = self._last, status
        alarm = _ALARMS.get(status.prompt, "")
        step_ul = self.channels[0].max_step or 0.0
        if last is not None and last.direction == status.direction and last.volume_ul - status.volume_ul > step_ul:
            alarm, self._settled = "reset", False  # nobody cleared it: it lost its power
        if alarm and alarm != self._alarm:
            self._alarm = alarm
            self.note("warning", f'syringe pump "{self.name}" stopped with the alarm {alarm}')
        return status

    # -- what it is told

    def clear_counts(self) -> Confirmation:
        """Set both counts to zero; raises InstrumentRefusal when the motor is not stopped."""
        issued_s = self.clock.now()
        self._insist_on_standing()
        for command in ("civolume", "cwvolume"):
            self._empty(command)
        self._carried = {"infusing": 0.0, "withdrawing": 0.0}
        self._direction, self._last, self._is_doubtful = None, None, False
        return Confirmation("clear counts", "0 uL infused, 0 uL withdrawn", issued_s, self.clock.now())

    # -- starting

    def _run(self, verb: Verb, rate_ul_per_h: float, volume_ul: float | None, halts: int) -> str:
        direction = _DIRECTIONS[verb]
        letter = _LETTERS[direction]
        self._carry(direction)
        rate, target_ul = _digits(rate_ul_per_h), self.settings.volume_ul if volume_ul is None else volume_ul
        self._put(f"{letter}rate", f"{rate} ul/hr", _RATE, _in_ul_per_h, rate_ul_per_h)
        self._put("tvolume", f"{_digits(target_ul)} ul", _VOLUME, _in_ul, target_ul)
        self._alarm = ""
        self._start(f"{letter}run", halts)
        lasting = "until halted, at most " if volume_ul is None else ""
        return f"{verb}s at {rate} uL/h, {lasting}{target_ul:.6g} uL"

    def _start(self, command: str, halts: int) -> None:
        """Say it once, and make sure that it was executed; the counts were cleared, so any motion shows."""
        with self._lock:
            self._insist_on_no_halt(halts)
            self._direction = self._last = None
            lost = self._said_once(self._request(command), partial(self._answer, command, lambda prompt, lines: None))
        after = self._agreed(self._status_now, lambda one, other: one.prompt == other.prompt)
        if alarm := _ALARMS.get(after.prompt):
            raise InstrumentRefusal(self.name, f"did not start, or stopped at once: {alarm}")
        if after.running == "stopped" and not after.volume_ul and after.prompt != "T*":
            raise InstrumentReplyError(self.name, f"did not start: it stands and its count has not moved ({lost})")

    def _insist_on_digits(self, rate_ul_per_h: float, volume_ul: float | None) -> None:
        for value in (rate_ul_per_h, volume_ul or rate_ul_per_h):
            if abs(float(_digits(value)) - value) > TOLERANCE * value:
                raise InstrumentRefusal(self.name, f"{value:.6g} cannot be set within {TOLERANCE:.1%}; round it")

    def _stands(self) -> bool:
        return self._agreed(self._status_now, lambda one, other: one.running == other.running).running == "stopped"

    def _stop(self) -> bool:
        with contextlib.suppress(InstrumentRefusal):
            self._say("stp")
        return self._status_now().running == "stopped"

    def _carry(self, direction: Direction) -> None:
        """Clear the pump's count, from which its target counts, and keep what it was."""
        self._survey()
        letter = _LETTERS[direction]
        counted = self._agreed(lambda: _in_ul(self._say(f"{letter}volume", _VOLUME)), lambda one, other: one == other)
        self._direction, self._last = None, None
        if counted:
            doubtful, self._is_doubtful = self._is_doubtful, True
            self._empty(f"c{letter}volume")
            self._carried[direction] += counted
            self._is_doubtful = doubtful

    def _empty(self, command: str) -> None:
        """Clear a count, and see twice that it is empty."""
        self._direction, self._last = None, None
        question = command.removeprefix("c")
        for _ in range(_MOST_LOOKS):
            self._say(command)
            if self._agreed(lambda: _in_ul(self._say(question, _VOLUME)), lambda one, other: one == other) == 0.0:
                return
        raise InstrumentReplyError(self.name, f"does not show 0 after {command}")

    def _settle(self) -> None:
        """Set modes and syringe; what not every model has may be refused."""
        if self._settled:
            return
        for command in ("nvram none", "load qs iw"):
            with contextlib.suppress(InstrumentRefusal, InstrumentReplyError):
                self._say(command)
        if self.settings.force is not None:
            self._say(f"force {self.settings.force}")
        self._put("diameter", _digits(self.settings.diameter_mm), _DIAMETER, _in_mm, self.settings.diameter_mm)
        self._settled = True

    def _put(
        self, name: str, text: str, form: re.Pattern[str], number: Callable[[re.Match[str]], float], value: float
    ) -> None:
        """Set something and read it back, once again where that differs."""
        for _ in range(3):
            self._say(f"{name} {text}")
            held = number(self._say(name, form))
            if abs(held - value) <= TOLERANCE * value:
                return
        raise InstrumentReplyError(self.name, f"{name} reads back {held:g} where {text} was set")

    # -- replies

    def _request(self, text: str) -> bytes:
        address = f"{self.settings.address}:" if self.settings.address else ""
        return f"{address}{text}\r".encode("ascii")

    def _say(self, text: str, form: re.Pattern[str] = _ANYTHING) -> re.Match[str]:
        """Ask for one line of a form, or command what may be said twice."""
        return self._ask(self._request(text), partial(self._answer, text, partial(self._match, text, form)))

    def _match(self, text: str, form: re.Pattern[str], prompt: str, lines: list[str]) -> re.Match[str]:
        found = form.fullmatch(" ".join(lines))
        if found is None:
            raise InstrumentReplyError(self.name, f"{lines!r} is no reply to {text!r}")
        return found

    def _answer(self, text: str, interpret: Callable[[str, list[str]], T], reply: bytes) -> T:
        """Interpret prompt and lines of a reply; raises InstrumentRefusal where the pump says no."""
        if self._left_over() not in (b"", reply):
            raise InstrumentReplyError(self.name, "more than one reply to one question")
        prompt, lines = self._parts(reply, text)
        said = " ".join(lines)
        if _DAMAGED.search(said):
            raise InstrumentReplyError(self.name, f"received {text!r} damaged, or does not know it: {said}")
        if _ERROR.search(said):
            raise InstrumentRefusal(self.name, f"refuses {text!r}: {said}")
        return interpret(prompt, lines)

    def _parts(self, reply: bytes, text: str) -> tuple[str, list[str]]:
        """Prompt and lines, without addresses and without an echo of the command."""
        *lines, last = [line for line in reply.removesuffix(b"\x11").decode("ascii").splitlines() if line] or [""]
        found = _LINE.fullmatch(last)
        if found is None or found[3] or int(found[1] or 0) != self.settings.address:
            raise InstrumentReplyError(self.name, f"{reply!r} does not end with a prompt")
        if self.settings.address:
            inner = [_LINE.fullmatch(line) for line in lines]
            lines = [line[3] for line in inner if line is not None and line[2] == found[2]]
            if len(lines) != len(inner):
                raise InstrumentReplyError(self.name, f"{reply!r} has a line without its prompt")
        return found[2], lines[1:] if lines and lines[0].strip() == text else lines

    def _status(self, prompt: str, lines: list[str]) -> Status:
        """State of the pump, whose flags agree with its prompt."""
        found = _STATUS.fullmatch(" ".join(lines))
        if found is None:
            raise InstrumentReplyError(self.name, f"{lines!r} is no status")
        direction: Direction = "infusing" if found[4] in "iI" else "withdrawing"
        if (prompt == ">" and direction != "infusing") or (prompt == "<" and direction != "withdrawing"):
            raise InstrumentReplyError(self.name, f"its prompt {prompt} does not agree with its flag {found[4]}")
        if prompt == "*" and found[6] != "S":
            raise InstrumentReplyError(self.name, f"its prompt {prompt} does not agree with its flag {found[6]}")
        if prompt in "><" and not found[1].strip("0"):
            raise InstrumentReplyError(self.name, f"its prompt {prompt} does not agree with its rate of {found[1]}")
        return Status(prompt, direction, float(found[3]) / _FL_PER_UL)

    # -- getting back in step

    def _marker(self) -> bytes:
        """Poll mode, and one of four questions in turn, so that no late answer passes for that to the next one."""
        self._marked = next(self._markers) if self._recognised else "ver"
        return b"\r" + self._request("poll on") + self._request(self._marked)

    def _is_marked(self, reply: bytes) -> bool:
        try:
            _, lines = self._parts(reply, self._marked)
        except (InstrumentReplyError, ValueError):
            return False
        return _MARKERS[self._marked].fullmatch(" ".join(lines)) is not None

    def _restore(self) -> None:
        """It may have been turned by hand while nobody asked."""
        self._direction = None


def _serial_number(prompt: str, lines: list[str]) -> str:
    return next((found[1] for line in lines if (found := _SERIAL.fullmatch(line.strip()))), "")


def _digits(value: float) -> str:
    """A number of at most seven digits and four decimals, without an exponent."""
    return f"{value:.{max(0, min(4, 6 - len(str(int(value)))))}f}"


def _in_ul(found: re.Match[str]) -> float:
    return float(found[1]) * _UNITS_UL[found[2]]


def _in_ul_per_h(found: re.Match[str]) -> float:
    return _in_ul(found) * _UNITS_PER_H[found[3]]


def _in_mm(found: re.Match[str]) -> float:
    return float(found[1])


DRIVER = HarvardPump
