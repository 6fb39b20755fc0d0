"""Keysight DAQ970A and DAQ973A data acquisition units and their elders 34970A and 34972A: transducers on a multiplexer.

LAN (socket 5025), USB, GPIB or RS-232 (34970A, 57600 8N1); SCPI.  Source: programming guides of the DAQ970A and
34970A.  Readings carry their unit and the number of their channel, so none is taken for another's.

``mode = "polled"`` sweeps through the channels when it is asked; what jumped is asked again.  ``mode = "buffered"``
lets the unit's own timer begin each sweep and reads its memory, where each reading has the time since the start: its
index follows from that, so what is lost on the way is a hole and nothing else.  A reading that was taken out of the
memory cannot be asked again: one that leaps by more than ``max_step`` and is gone with the next is
`Quality.IMPLAUSIBLE`.  What goes on from there is true, however fast.  A leap in the latest sweep waits for the next.

Not verified against a real unit: words of units (VDC, ADC), the digits in which ``CONF?`` answers, which are compared
with what it said when it was set; what the time of a reading is counted to (the guide's example has 17 ms for the
first), so a scan's first sweep tells how far its times are off the timer.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from data.samples import Block, FloatArray, Reading
from instruments.clock import Clock
from instruments.instrument import Buffered, Connection, InstrumentReplyError, Polled, Settings
from instruments.keysight import ERROR, message
from instruments.keysight_scan import FORMATS, Daq970ASettings, ScanUnit
from instruments.leaps import Leaps, Sweeps
from instruments.sample_index import CRYSTAL, SampleIndex

MOST_AT_ONCE = 100
"""Readings of one reply: at 57600 baud it takes 0.7 s."""

RESTARTS_AFTER = 3
"""Replies in a row that cannot be read, or silent intervals, after which the memory is begun anew."""

PATIENCE_SWEEPS = 3
"""A sweep that waits for the next one to be judged by waits no longer than this."""

_COUNT = re.compile(r"([+-]\d+)\r?\n")
_DIGIT_S = 0.001  # of a time stamp


class KeysightDaq970A(ScanUnit):
    """One unit, which drives nothing that the bench uses; made as a polled or a buffered one by its settings."""

    def __new__(cls, name: str, settings: Settings, clock: Clock, connection: Connection) -> Self:
        """Choose how it gives its readings."""
        if cls is KeysightDaq970A and isinstance(settings, Daq970ASettings):
            kind: Any = _BufferedUnit if settings.mode == "buffered" else _PolledUnit
            made: Self = object.__new__(kind)
            return made
        return super().__new__(cls)


class _PolledUnit(KeysightDaq970A, Polled):
    """Sweeps when it is asked."""

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self._question = message("READ?", f"CONF? {self._list}", "SYST:ERR?")
        configured = r'((?:"[^"]*",?)+)'
        self._reply = re.compile(rf"{self._sweep};{configured};{ERROR}\r?\n")

    @property
    def period_s(self) -> float:
        """How often it is to be asked."""
        return self.settings.period_s

    def sample(self) -> Reading:
        """One sweep, now; asked again where a channel jumped."""
        return self._measure(self._question, self._reading)

    def _looked(self) -> Sequence[int]:
        return self.sample().quality

    def _trigger(self) -> tuple[str, ...]:
        return ("TRIG:SOUR IMM", "TRIG:COUN 1", "FORM:READ:TIME OFF", *FORMATS)

    def _reading(self, reply: bytes) -> Reading:
        *raws, configured, code, words = self._parsed(self._reply, reply).groups()
        if configured != self._as_set.split(";")[1]:
            raise InstrumentReplyError(self.name, f"is set to {configured}, which is not what was set")
        self._error(code, words)
        values, quality = self._measured(raws)
        return Reading(self.sent_s, tuple(values), tuple(quality))


class _BufferedUnit(KeysightDaq970A, Buffered):
    """Sweeps by its own timer and keeps what it has read until that is fetched."""

    with_time: ClassVar[bool] = True

    def __init__(self, name: str, settings: Settings, clock: Clock, connection: Connection) -> None:
        super().__init__(name, settings, clock, connection)
        self.interval_s = self.settings.period_s
        most = max(1, MOST_AT_ONCE // len(self.channels))
        self._most_sweeps = most
        self.read_period_s = most * self.interval_s
        sweep = re.sub(r"\((?!\?)", "(?:", self._sweep)
        self._reply = re.compile(rf"{sweep}(?:,{sweep})*\r?\n")
        self._one = re.compile(self._sweep)
        self._index = SampleIndex(self.interval_s)
        self._base = 0  # index of the first sweep of the scan that runs
        self._offset_s: float | None = None  # of the times of a scan, from its timer
        self._leaps = Leaps(self.channels)
        self._latest_quality = [0] * len(self.channels)
        self._held: deque[Sweeps] = deque()
        self._started = self._runs = False
        self._failures = 0

    def _trigger(self) -> tuple[str, ...]:
        timer = f"TRIG:TIM {self.interval_s:.3f}"
        return ("TRIG:SOUR TIM", timer, "TRIG:COUN INF", "FORM:READ:TIME:TYPE REL", "FORM:READ:TIME ON", *FORMATS)

    def _is_set_anew(self) -> None:
        self._runs = False

    def _looked(self) -> Sequence[int]:
        """Quality of the latest sweep, of a scan that is begun for it where none runs."""
        if not self._started:
            self.start()
            try:
                self.clock.sleep(self.interval_s + self.settings.timeout_s)
                self.read(1)
            finally:
                self.stop()
        return self._latest_quality

    # -- acquisition

    def start(self) -> None:
        """Begin to scan; sample 0 is the sweep that begins with it."""
        self._held.clear()
        self._index, self._leaps = SampleIndex(self.interval_s), Leaps(self.channels)
        self._started = True
        with self._one_call():
            self._begin()

    def _begin(self) -> None:
        """Begin a scan with an empty memory; the index goes on by the time that has passed."""
        self._runs, self._offset_s = False, None
        self._order("ABOR")
        begun_s = self._command(message("INIT", "SYST:ERR?"), self._initiated)
        self._index.begin(begun_s - self.interval_s)  # the first sweep is there at once
        self._base = self._index.next
        self._runs, self._failures = True, 0

    def _initiated(self, reply: bytes) -> float:
        code, words = self._parsed(re.compile(rf"{ERROR}\r?\n"), reply).groups()
        if int(code):
            raise InstrumentReplyError(self.name, f"does not begin to scan: {words} ({code})")
        return self.sent_s

    def read(self, most: int) -> Block:
        """Return what the memory holds, up to ``most`` sweeps and up to the next hole."""
        if not self._started:
            raise InstrumentReplyError(self.name, "is not scanning; start it first")
        with self._one_call():
            self._drain()
        return self._block(most)

    def anchor(self) -> tuple[float, int]:
        """Moment of the last read that emptied the memory, and the sweeps made by then."""
        return self._index.anchor

    def stop(self) -> None:
        """Stop scanning."""
        self._started = self._runs = False
        self._held.clear()
        self._order("ABOR")

    def _drain(self) -> None:
        """Take out of the memory what is there, and number it."""
        if self._failures >= RESTARTS_AFTER:
            self._runs = False
        count = self._ask(message("DATA:POIN?"), self._counted)  # first: it may find that it was restarted
        asked_s = self.sent_s
        sweeps = count // len(self.channels)
        if not self._runs:
            self._begin_again()
            return
        until = asked_s + self.settings.timeout_s
        while sweeps and self.clock.now() < until:
            take = min(sweeps, self._most_sweeps)
            sweeps -= take
            self._failures += 1  # a reply that never comes takes its readings with it
            self._take(take, sweeps, asked_s)
            self._failures = 0
        if not sweeps and self._index.missing(asked_s, 0, doubtful=False):
            self._begin_again()
        elif not sweeps:
            self._index.emptied(asked_s)
        if asked_s - self._index.zero_s > (self._leaps.next + PATIENCE_SWEEPS) * self.interval_s:
            self._held += self._leaps.let_go()

    def _begin_again(self) -> None:
        self._begin()
        self.note("warning", f'data acquisition unit "{self.name}" had stopped scanning and was started again')

    def _counted(self, reply: bytes) -> int:
        return int(self._parsed(_COUNT, reply)[1])

    def _take(self, sweeps: int, left: int, asked_s: float) -> None:
        """Take so many sweeps, of which ``left`` stay behind, and hold them."""
        question = message(f"DATA:REM? {sweeps * len(self.channels)}")
        first, values, quality = self._transact(
            question, lambda reply: self._sweeps(reply, sweeps, left, asked_s), attempts=1
        )
        hole = first - self._index.next
        if hole:
            self.note("warning", f'data acquisition unit "{self.name}": {hole} sweeps are missing')
        self._latest_quality = [int(bits) for bits in quality[-1]]
        self._held += self._leaps.judged(Sweeps(first, values, quality))
        self._index.next = first + sweeps

    def _sweeps(self, reply: bytes, sweeps: int, left: int, asked_s: float) -> Sweeps:
        """The sweeps in a reply; raises InstrumentReplyError where they are not consecutive, or cannot be of now."""
        text = self._parsed(self._reply, reply)[0]
        found = [match.groups() for match in self._one.finditer(text)]
        if len(found) != sweeps:
            raise InstrumentReplyError(self.name, f"gives {len(found)} sweeps where {sweeps} were asked for")
        values, quality = np.empty((sweeps, len(self.channels))), np.zeros((sweeps, len(self.channels)), np.uint16)
        numbers = []
        for row, groups in enumerate(found):
            values[row], quality[row] = self._measured(groups[::2])
            numbers.append(self._number(groups[1::2]))
        first = self._base + numbers[0]
        if numbers != list(range(numbers[0], numbers[0] + sweeps)) or first < self._index.next:
            raise InstrumentReplyError(self.name, "its sweeps are not one after the other")
        hole = first - self._index.next
        if hole:
            slack = 3.0 + CRYSTAL * (asked_s - self._index.anchor[0]) / self.interval_s
            missing = self._index.missing(asked_s, sweeps + left, doubtful=True)
            if abs(missing - hole) > slack:
                raise InstrumentReplyError(self.name, f"misses {hole} sweeps where {missing} can be missing")
        return Sweeps(first, values, quality)

    def _number(self, since: Sequence[str]) -> int:
        """Number of a sweep in its scan, by the times of its readings."""
        begun_s, *others = map(float, since)
        steps = [later - earlier for earlier, later in zip((begun_s, *others), others, strict=False)]
        offset_s = self._offset_s
        if offset_s is None:
            offset_s = begun_s - math.floor((begun_s + _DIGIT_S) / self.interval_s) * self.interval_s
        number = round((begun_s - offset_s) / self.interval_s)
        off_s = abs(begun_s - offset_s - number * self.interval_s)
        fits = offset_s + sum(steps) < self.interval_s and all(step > -_DIGIT_S for step in steps)
        if off_s > 2.0 * _DIGIT_S + 0.01 * self.interval_s or not fits:
            raise InstrumentReplyError(self.name, f"a sweep at {begun_s} s is none of its timer")
        self._offset_s = offset_s
        return number

    # -- what is held

    def _block(self, most: int) -> Block:
        """Take consecutive sweeps from what is held."""
        first = self._held[0].first if self._held else self._index.next
        taken: list[Sweeps] = []
        end = first
        while self._held and self._held[0].first == end and end - first < most:
            piece, room = self._held.popleft(), most - (end - first)
            if len(piece.values) > room:
                self._held.appendleft(Sweeps(piece.first + room, piece.values[room:], piece.quality[room:]))
                piece = Sweeps(piece.first, piece.values[:room], piece.quality[:room])
            taken.append(piece)
            end += len(piece.values)
        shape = (0, len(self.channels))
        values = np.concatenate([piece.values for piece in taken] or [np.empty(shape)])
        quality = np.concatenate([piece.quality for piece in taken] or [np.zeros(shape, np.uint16)])
        t: FloatArray = self._index.zero_s + np.arange(first, end, dtype=np.float64) * self.interval_s
        return Block(self.name, first, t, values, quality)


DRIVER = KeysightDaq970A
