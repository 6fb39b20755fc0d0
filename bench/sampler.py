"""One worker an instrument: takes samples when they are due, judges them at once, hands them to the record."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.recorder import Recorder
from data.samples import UNUSABLE, Block, FloatArray, QualityArray
from instruments.clock import WALL_HORIZON_S, Clock, Event
from instruments.instrument import (
    Buffered,
    Instrument,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentOverflow,
    Polled,
)
from protocols.interlock import Interlock

BATCH = 60
"""Polled readings in one block of the record."""

ANCHOR_S = 600.0
"""How often host time and sample count of a hardware-timed stream are compared; also a bound of its blocks, so that
the comparison does not depend on how long blocks may be."""

_UNUSABLE = int(UNUSABLE)

SLACK = 8
"""Samples beyond the expected number that a read asks for, so that a fast crystal cannot fill a buffer."""


@dataclass
class Guard:
    """An interlock, or a condition that a step waits for, on one column of a stream."""

    interlock: Interlock
    column: int
    on_crossing: Callable[[Interlock, float, float], None]  # interlock, clock time and value of the sample
    last: float | None = None
    outside: bool = False
    armed: bool = True
    last_good_s: float = -math.inf

    def judge(self, t: FloatArray, values: FloatArray, quality: QualityArray) -> None:
        """Look at every sample of the column, act on the first one outside the band."""
        at = self.interlock.crossing(values, quality)
        self.last = float(values[-1])
        good = np.flatnonzero((quality & _UNUSABLE) == 0)
        if good.size:
            self.last_good_s = float(t[good[-1]])
        self._act(at is not None, float(t[at or 0]), float(values[at or 0]))

    def judge_one(self, t: float, value: float, quality: int) -> None:
        """The same for one sample, without the cost of arrays."""
        self.last = value
        if not quality & _UNUSABLE:
            self.last_good_s = t
        self._act(self.interlock.outside(value, quality), t, value)

    def _act(self, outside: bool, t: float, value: float) -> None:
        """Act when the band is left, not again while the channel stays outside."""
        if not self.armed:
            return
        if outside and not self.outside:
            self.outside = True
            self.on_crossing(self.interlock, t, value)
        else:
            self.outside = outside

    def headroom_s(self) -> float:
        """How long the channel needs at least to reach a limit."""
        return 0.0 if self.last is None else self.interlock.headroom_s(self.last)


@dataclass
class Tally:
    """Running mean of one column's good samples, for conditions that are relative to a phase."""

    column: int
    total: float = 0.0
    count: int = 0

    def add(self, values: FloatArray, quality: QualityArray) -> None:
        """Take the good samples in."""
        good = (quality & int(UNUSABLE)) == 0
        self.total += float(values[good].sum())
        self.count += int(good.sum())


@dataclass
class Sampler:
    """Samples one instrument until `stop` is set; a lost reading is a gap, never a value.

    Parameters
    ----------
    tell : (level, text) into the run's event log.
    longest_block_s : longest piece in which a hardware-timed stream is read.
    """

    instrument: Polled | Buffered
    clock: Clock
    recorder: Recorder
    stop: Event
    tell: Callable[[str, str], None]
    longest_block_s: float
    guards: list[Guard] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    _lost_since: float | None = None
    _lost_kind: type[InstrumentError] | None = None

    def run(self) -> None:
        """Body of the worker."""
        self.recorder.stream(self.instrument.stream)
        if isinstance(self.instrument, Buffered):
            self._gather(self.instrument)
        else:
            self._poll(self.instrument)

    # -- polled instruments

    def _poll(self, instrument: Polled) -> None:
        start, period = self.clock.now(), instrument.period_s
        batch = _Batch(instrument, len(instrument.channels))
        oldest_s = 4 * self.clock.record_every_s
        index = 0
        while not self.clock.wait(self.stop, start + index * period):
            try:
                reading = instrument.sample()
            except InstrumentError as error:
                self._lost(error)
            else:
                if self._lost_since is not None:
                    self._found()
                batch.add(index, reading.t, reading.values, reading.quality)
                for guard in self.guards:
                    guard.judge_one(reading.t, reading.values[guard.column], reading.quality[guard.column])
                if self.tallies:
                    self._count(*batch.last())
                if batch.count == BATCH or reading.t - batch.first_t >= oldest_s:
                    self.recorder.block(batch.take())
            self._notes(instrument)
            # A slow answer makes the next question late, never two questions at once: missed ones are holes.
            index = max(index + 1, math.ceil((self.clock.now() - start) / period - 1e-6))
            if batch.count and batch.next_index != index:
                self.recorder.block(batch.take())
        if batch.count:
            self.recorder.block(batch.take())

    # -- hardware-timed instruments

    def _gather(self, instrument: Buffered) -> None:
        interval = instrument.interval_s
        start = self.clock.now()
        self._try(instrument.start)
        read_until, anchored = start, 0
        while True:
            due = min(self._next_read(read_until, interval, instrument), start + (anchored + 1) * ANCHOR_S)
            stopped = self.clock.wait(self.stop, due)
            most = max(1, math.ceil((self.clock.now() - read_until) / interval)) + SLACK
            if self._try(lambda most=most: self._take(instrument, most)):  # type: ignore[misc]  # bound on purpose
                read_until = self.clock.now() if stopped else due
            else:
                read_until = max(due, self.clock.now())
            if self.clock.now() >= start + (anchored + 1) * ANCHOR_S:
                anchored = int((self.clock.now() - start) / ANCHOR_S + 1e-9)
                if self._lost_since is None:
                    self._try(lambda: self._anchor(instrument))
            self._notes(instrument)
            if stopped:
                break
        self._try(instrument.stop)

    def _next_read(self, read_until: float, interval: float, instrument: Buffered) -> float:
        """When to read next: as late as allowed, but before a watched channel could have crossed its limit."""
        span = min(self.longest_block_s, instrument.read_period_s)
        if self.guards:
            span = min(span, *(guard.headroom_s() for guard in self.guards))
            horizon = self.clock.horizon()
            if horizon > read_until:
                span = min(span, horizon - read_until)
        # In real time nothing can be read more often than the horizon; on a virtual clock one sample is a block.
        shortest = self.longest_block_s if self.longest_block_s <= WALL_HORIZON_S else interval
        samples = max(1, math.floor(max(span, shortest) / interval + 1e-6))
        return read_until + samples * interval

    def _take(self, instrument: Buffered, most: int) -> None:
        block = instrument.read(most)
        if len(block.t):
            self._judge(block.t, block.values, block.quality)
            self.recorder.block(block)

    def _anchor(self, instrument: Buffered) -> None:
        host_t, samples = instrument.anchor()
        self.recorder.anchor(instrument.stream.name, host_t, samples)

    # -- both

    def _judge(self, t: FloatArray, values: FloatArray, quality: QualityArray) -> None:
        for guard in self.guards:
            guard.judge(t, values[:, guard.column], quality[:, guard.column])
        if self.tallies:
            self._count(values, quality)

    def _count(self, values: FloatArray, quality: QualityArray) -> None:
        for tally in self.tallies:
            tally.add(values[:, tally.column], quality[:, tally.column])

    def _try(self, action: Callable[[], object]) -> bool:
        """Run one exchange with the instrument; what fails is a gap and an event."""
        try:
            action()
        except InstrumentError as error:
            self._lost(error)
            return False
        if self._lost_since is not None:
            self._found()
        return True

    def _lost(self, error: InstrumentError) -> None:
        now = self.clock.now()
        if self._lost_since is None:
            self._lost_since = now
        if type(error) is not self._lost_kind:
            self._lost_kind = type(error)
            self.tell("warning", f"no sample: {error}")
        if isinstance(error, InstrumentOverflow) and isinstance(self.instrument, Buffered):
            self._restart(self.instrument)
        for guard in self.guards:
            outage = guard.interlock.max_outage_s
            since = max(guard.last_good_s, self._lost_since)
            if outage is not None and now - since >= outage and not guard.outside:
                guard.outside = True
                guard.on_crossing(guard.interlock, now, math.nan)

    def _restart(self, instrument: Buffered) -> None:
        try:
            instrument.start()
        except InstrumentError as error:
            self.tell("warning", f"could not start again: {error}")

    def _found(self) -> None:
        now = self.clock.now()
        assert self._lost_since is not None
        if self._lost_kind is InstrumentDisconnected or now - self._lost_since > 10.0:
            self.tell("info", f'instrument "{self.instrument.name}" answers again after {now - self._lost_since:.1f} s')
        self._lost_since = self._lost_kind = None

    def _notes(self, instrument: Instrument) -> None:
        for note in instrument.take_notes():
            self.tell(note.level, note.text)


class _Batch:
    """Polled readings on their way to becoming a block."""

    def __init__(self, instrument: Instrument, channels: int) -> None:
        self._stream = instrument.stream.name
        self._t = np.empty(BATCH)
        self._values = np.empty((BATCH, channels))
        self._quality = np.empty((BATCH, channels), dtype=np.uint16)
        self._first = 0
        self.count = 0

    def add(self, index: int, t: float, values: Sequence[float], quality: Sequence[int]) -> None:
        if self.count == 0:
            self._first = index
        row = self.count
        self._t[row] = t
        self._values[row] = values
        self._quality[row] = quality
        self.count = row + 1

    @property
    def next_index(self) -> int:
        return self._first + self.count

    @property
    def first_t(self) -> float:
        return float(self._t[0])

    def last(self) -> tuple[FloatArray, QualityArray]:
        at = slice(self.count - 1, self.count)
        return self._values[at], self._quality[at]

    def take(self) -> Block:
        n, self.count = self.count, 0
        return Block(self._stream, self._first, self._t[:n].copy(), self._values[:n].copy(), self._quality[:n].copy())
