"""New Era NE-1000 syringe pumps (RS-232, 19200 8N1), in safe mode unless the station says otherwise.

Source: NE-1000 user manual (publication 1200-01, firmware 3.9), section 10; NESP-Lib for the form of packets.  Not
verified against a real pump.

In safe mode every message carries a length and a CRC, and a pump that hears nothing for ``safe_timeout`` stops by
itself: this is what stops a syringe when the computer dies.  Polling feeds it.  In basic mode nothing does either.

The pump has no sequence numbers, so nothing is believed that could be the answer to something else: settings are read
back, and ``RUN`` is said once: when its reply is lost, state and counts say whether the motor has moved.

Numbers have four digits, at most three behind the point.  A rate goes out in the unit (uL/h, uL/min, mL/h, mL/min)
that comes nearest.  Volumes are counted in uL with a syringe of at most 10 mL and in mL with a larger one.  What cannot
be set within `TOLERANCE` is refused; nothing is split, since a pump stands between two parts.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from data.samples import Quality, Reading
from instruments.capabilities import Confirmation, SyringeState
from instruments.clock import Clock
from instruments.instrument import (
    Connection,
    Identity,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    Settings,
)
from instruments.newera_line import ALARMS, NOTHING, NewEraLine, NewEraLineSettings
from instruments.newera_messages import (
    COUNTS,
    SETTING,
    VERSION,
    VOLUMES_UL,
    Answer,
    Counts,
    counts,
    digits,
    framed,
    heard,
    last_frame,
    nearest_rate,
)
from instruments.recognition import Ask, Recognised, Recognition
from instruments.syringe_pump import TOLERANCE, PolledSyringePump, SyringePumpSettings, Verb
from instruments.visa import SerialLine

LAG, LAG_S = 0.02, 0.1
"""A count may advance by this share less than the rate says, and start to do so this much later."""

_UNIT_WORDS = {"UL": "uL", "ML": "mL"}
_LARGEST_UL = 10_000.0  # syringe that is counted in uL
_MOST = 9999.0  # of a count; then it begins anew
_MOTION: dict[str, Literal["infusing", "withdrawing", "stopped"]] = {
    "I": "infusing", "W": "withdrawing", "X": "infusing"}  # fmt: skip
_DIRECTIONS: dict[Verb, str] = {"infuse": "INF", "withdraw": "WDR"}


class NewEraSettings(SyringePumpSettings, NewEraLineSettings):
    """Settings of a pump and of the syringe in it."""

    @field_validator("serial")
    @classmethod
    def _no_serial_number(cls, serial: str | None) -> str | None:
        if serial is not None:
            raise ValueError("an NE-1000 does not tell its serial number; leave it out")
        return serial

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        timeout_s = self.safe_timeout_s
        if timeout_s not in range(256):
            raise ValueError('the safe time-out is a whole number of seconds up to 255; write safe_timeout = "10 s"')
        if timeout_s and self.period_s >= timeout_s / 3.0:
            raise ValueError("polling feeds the pump: the period must be shorter than a third of safe_timeout")
        if digits(self.diameter_mm) is None:
            raise ValueError("the pump takes four digits of the diameter; round it")
        return self


def _recognise(ask: Ask) -> Recognised | None:
    """Its version, in basic mode and in safe mode; an alarm comes once, in the place of an answer: asked again."""
    for safe in (False, True):
        for question in ("0VER", "00VER"):
            answer = heard(last_frame(ask(framed(question, safe=safe)))[0] or b"")
            if answer is not None and (found := VERSION.fullmatch(answer.data)):
                return Recognised(Identity("New Era", f"NE-{found[1]}", "", found[2]))
    return None


class NewEraPump(NewEraLine, PolledSyringePump):
    """One pump; meets `instruments.capabilities.SyringePump`.

    The status channel holds the code of the state's letter: I 73, W 87, S 83 (stopped), P 80 (paused), T 84, U 85,
    X 88 (purging); the alarm channel that of the alarm, 0 for none: R 82 reset, S 83 stall, T 84 time-out,
    E 69 program error, O 79 phase out of range.  The pump says an alarm once; here it stands until the next start.
    """

    settings_type: ClassVar[type[Settings]] = NewEraSettings
    settings: NewEraSettings
    recognition = Recognition("pusher", _recognise, (SerialLine(baud=19_200),), rank=5)

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self.channels = self._channels(
            "letter of the pump's state as its character code",
            "letter of the alarm that stands as its character code, 0 for none",
            has_checksum=self._safe,
        )
        self.halt_looks = 1 if self._safe else 2
        self._unit = "UL" if self.settings.volume_ul <= _LARGEST_UL else "ML"
        self._rate_ul_per_h = 0.0
        self._has_phases = False
        self._last: Counts | None = None
        self._moved: tuple[float, float] | None = None  # when the count of a motion was last seen to change; uL

    # -- who it is

    def open(self) -> None:
        """Connect, bring it into its mode and set the syringe; a pump that is running is left so."""
        super().open()
        self._in_use = True
        if self._counts().status == "S":
            self._settle()
        else:
            self.note("warning", f'syringe pump "{self.name}" was found running or paused')

    def close(self) -> None:
        """Let go: a pump that stands returns to basic mode; one that runs stops by its time-out."""
        with self._lock, contextlib.suppress(InstrumentError):
            if self._port is not None and self._safe and self._say("").status in "SP":
                self._command(self._request("SAF0"), lambda reply: None)
        self._in_use = False
        self._power_lost()
        super().close()

    def _power_lost(self) -> None:
        """Nothing is known of it any more."""
        super()._power_lost()
        self._settled, self._last, self._moved = False, None, None

    def identify(self) -> Identity:
        """Model and firmware; the pump does not tell a serial number."""
        found = VERSION.fullmatch(self._say("VER", VERSION).data)
        assert found is not None
        return Identity("New Era", f"NE-{found[1]}", "", found[2])

    def probe(self) -> list[str]:
        """What keeps it from a run."""
        unfed = [] if self._safe else ["safe_timeout is 0: nothing stops the syringe when the computer fails"]
        return [*unfed, *super().probe()]

    # -- what it says

    def sample(self) -> Reading:
        """Counts, state and alarm now; counts that lag behind the rate while the motor turns are flagged FROZEN."""
        return self._measure(self._request("DIS"), self._reading)

    def _reading(self, reply: bytes) -> Reading:
        now = self._noted(self._answer("DIS", COUNTS, reply))
        frozen = int(Quality.FROZEN) if self._lags(now) else 0
        codes = float(ord(now.status)), float(ord(self._alarm or "\0"))
        return Reading(self.sent_s, (now.infused_ul, now.withdrawn_ul, *codes), (frozen, frozen, 0, 0))

    def syringe_state(self) -> SyringeState:
        """Motion, counts and the alarm that stands."""
        now = self._counts()
        running = _MOTION.get(now.status, "stopped")
        return SyringeState(running, now.infused_ul, now.withdrawn_ul, ALARMS.get(self._alarm, self._alarm))

    def _counts(self) -> Counts:
        return self._noted(self._say("DIS", COUNTS))

    def _noted(self, answer: Answer) -> Counts:
        now, last = counts(answer), self._last
        if self._safe and last is not None and now.fell_from(last):
            self._take_up("R")  # nobody cleared them: it lost its power, and the reply that said so is lost too
        self._last = now
        return now

    def _lags(self, now: Counts) -> bool:
        """Whether the count of a moving pump advanced less than it must have since it was last seen to change."""
        if self._moved is None or now.status not in "IW":
            return False
        since_s, before_ul = self._moved
        moved_ul = now.infused_ul if now.status == "I" else now.withdrawn_ul
        least_ul = self._rate_ul_per_h / 3600.0 * (self.sent_s - since_s - LAG_S) * (1.0 - LAG) - 2.0 * now.digit_ul
        if moved_ul != before_ul:
            self._moved = self.sent_s, moved_ul
        return moved_ul - before_ul < least_ul

    # -- what it is told

    def clear_counts(self) -> Confirmation:
        """Set both counts to zero; raises InstrumentRefusal when the motor is not stopped."""
        issued_s = self.clock.now()
        self._insist_on_standing()
        self._last = None
        for direction in ("INF", "WDR"):
            self._say(f"CLD{direction}")
        now = self._counts()
        if now.infused_ul or now.withdrawn_ul:
            raise InstrumentReplyError(
                self.name, f"reads back {now.infused_ul:g} and {now.withdrawn_ul:g} uL after its counts were cleared"
            )
        return Confirmation("clear counts", "0 uL infused, 0 uL withdrawn", issued_s, self.clock.now())

    # -- starting

    def _run(self, verb: Verb, rate_ul_per_h: float, volume_ul: float | None, halts: int) -> str:
        direction = _DIRECTIONS[verb]
        (rate_text, rate_set), (volume_text, volume_set) = nearest_rate(rate_ul_per_h), self._volume(volume_ul)
        if self._has_phases:
            self._put("PHN", "1")  # else rate and volume would be those of another phase than the one that runs
        self._put("DIR", direction)
        self._put("RAT", rate_text)
        self._put("VOL", volume_text, self._unit)
        before = self._counts()
        self._insist_on_room(before, direction, volume_ul)
        self._alarm, self._rate_ul_per_h = "", rate_set
        self._start(direction, before, halts)
        lasting = "until halted" if volume_ul is None else f"{volume_set:.6g} uL (VOL {volume_text}{self._unit})"
        off = round(100.0 * (rate_set / rate_ul_per_h - 1.0), 3) + 0.0
        return f"{verb}s at {rate_set:.6g} uL/h (RAT {rate_text}, {off:+.3f} %), {lasting}"

    def _start(self, direction: str, before: Counts, halts: int) -> None:
        """Say ``RUN`` once, and make sure that it was executed."""
        with self._lock:
            self._insist_on_no_halt(halts)
            self._moving = True
            self._moved = self.clock.now(), before.infused_ul if direction == "INF" else before.withdrawn_ul
            lost = self._said_once(self._request("RUN"), partial(self._answer, "RUN", NOTHING))
        after = self._counts()
        if self._alarm:
            raise InstrumentRefusal(
                self.name, f"did not start, or stopped at once: {ALARMS.get(self._alarm, self._alarm)}"
            )
        if lost is not None and after.status not in "IW" and after[:2] == before[:2]:
            raise InstrumentReplyError(self.name, f"did not start: it stands and its counts have not moved ({lost})")

    def _stop(self) -> bool:
        with contextlib.suppress(InstrumentRefusal):
            self._say("STP")  # the first pauses, the second stops; refused by a pump that stands
        return self._say("").status == "S"

    def _stands(self) -> bool:
        """Whether the motor is stopped; a pause is ended, so that the next start begins anew."""
        if self._say("").status == "P":
            with contextlib.suppress(InstrumentRefusal):
                self._say("STP")
        return self._say("").status == "S"

    def _insist_on_room(self, counts: Counts, direction: str, volume_ul: float | None) -> None:
        most_ul = _MOST * VOLUMES_UL[self._unit]
        counted_ul = counts.infused_ul if direction == "INF" else counts.withdrawn_ul
        wanted_ul = min(self.settings.volume_ul, most_ul) if volume_ul is None else volume_ul
        if counted_ul + wanted_ul > most_ul:
            raise InstrumentRefusal(
                self.name, f"its count of {counted_ul:.6g} uL would run over {most_ul:.6g} uL; clear the counts first"
            )

    def _insist_on_digits(self, rate_ul_per_h: float, volume_ul: float | None) -> None:
        _, set_ul_per_h = nearest_rate(rate_ul_per_h)
        if abs(set_ul_per_h - rate_ul_per_h) > TOLERANCE * rate_ul_per_h:
            raise InstrumentRefusal(
                self.name,
                f"{rate_ul_per_h:.6g} uL/h cannot be set within {TOLERANCE:.1%}; take a multiple of 0.001 uL/h",
            )
        self._volume(volume_ul)

    def _volume(self, volume_ul: float | None) -> tuple[str, float]:
        """A volume as it is sent (0 for none), and what that is in µL; raises InstrumentRefusal."""
        if volume_ul is None:
            return "0.000", 0.0
        unit_ul, word = VOLUMES_UL[self._unit], _UNIT_WORDS[self._unit]
        text = digits(volume_ul / unit_ul)
        if text is None or abs(float(text) * unit_ul - volume_ul) > TOLERANCE * volume_ul:
            raise InstrumentRefusal(
                self.name,
                f"{volume_ul:.6g} uL cannot be set within {TOLERANCE:.1%} by four digits of {word}; round it, "
                "or split it into parts",
            )
        return text, float(text) * unit_ul

    def _settle(self) -> None:
        """Set the syringe, its unit, and a program of one phase that begins only when told; read everything back."""
        if self._settled:
            return
        diameter = digits(self.settings.diameter_mm)
        assert diameter is not None
        self._put("DIA", diameter)
        if not self._say("VOL", SETTING).data.endswith(self._unit):
            self._say(f"VOL{self._unit}")
            if not (held := self._say("VOL", SETTING).data).endswith(self._unit):
                raise InstrumentReplyError(self.name, f"volume unit reads back {held} where {self._unit} was set")
        no_restart, one_phase = (("PF", "0"),), (("PHN", "2"), ("FUN", "STP"), ("PHN", "1"), ("FUN", "RAT"))
        for group in (no_restart, one_phase):
            self._put_what_it_has(group)
        self._settled = True

    def _put_what_it_has(self, group: tuple[tuple[str, str], ...]) -> None:
        """Set what not every model has; it must refuse twice, since in basic mode a damaged command is refused too."""
        for is_last in (False, True):
            try:
                for name, value in group:
                    self._put(name, value)
                    self._has_phases |= name == "PHN"
            except InstrumentRefusal as error:
                if is_last:
                    self.note("warning", f"{error}; this model may not have it")
            else:
                return


DRIVER = NewEraPump
