"""One worker an instrument: takes samples when they are due, judges them at once, hands them to the record."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from bench.batch import BATCH, Batch
from bench.gap import Gap, grown
from bench.guard import Guard, Mark, Tally
from bench.recorder import Recorder
from bench.resting import Resting
from data.samples import Block, FloatArray, Quality, QualityArray
from instruments.clock import WALL_HORIZON_S, Clock, Event
from instruments.instrument import (
    Buffered,
    Instrument,
    InstrumentError,
    InstrumentOverflow,
    InstrumentTimeout,
    Polled,
)

ANCHOR_S = 600.0
"""How often host time and sample count of a hardware-timed stream are compared; also a bound of its blocks, so that
the comparison does not depend on how long blocks may be."""

SLACK = 8
"""Samples beyond the expected number that a read asks for, so that a fast crystal cannot fill a buffer."""

CATCH_UP_S = 10.0
"""How long whoever needs the latest samples waits for them."""

MOST = 100_000
"""Samples that one read asks for at most, after however long an outage."""

CRYSTAL = 2e-4
"""No sample clock is further off than this."""

STARTS_S = 5.0
"""No instrument takes longer to start: a few exchanges, which have three timeouts together."""

LOST_S = 1.0
"""How often an instrument that is lost is read, however long blocks may be: it knows itself when to try again."""

SILENT_S, SILENT_SAMPLES = 5.0, 5
"""An instrument that answers and has given no sample for so long, and for so many of its intervals, is lost."""

GAPS_S = 60.0
"""Samples that an instrument misses without being lost are told together, at most so often."""


@dataclass
class Sampler:
    """Samples one instrument until `end` is called; a lost reading is a gap, never a value.

    Parameters
    ----------
    tell : (level, text) into the run's event log.
    longest_block_s : longest piece in which a hardware-timed stream is read.
    resting : which samples are kept while a phase rests.  Every sample is judged, whether it is kept or not.

    Attributes
    ----------
    alive_until_s : the sign of life: the clock time at which it will wake, or at which it woke for the exchange that
        it is in, or by which its instrument has been started.  A sampler that is long past it hangs in its instrument.
    """

    instrument: Polled | Buffered
    clock: Clock
    recorder: Recorder
    tell: Callable[[str, str], None]
    longest_block_s: float
    resting: Resting = field(default_factory=Resting)
    guards: tuple[Guard, ...] = ()  # replaced whole, since the worker may be in the middle of them
    tallies: tuple[Tally, ...] = ()
    marks: list[Mark] = field(default_factory=list)  # others append, the worker removes
    alive_until_s: float = math.inf
    _lost_since: float | None = None
    _lost_kind: type[InstrumentError] | None = None
    _ending: bool = False
    _read_at: float = -math.inf

    def __post_init__(self) -> None:
        self._wake: Event = self.clock.event()  # to end, or to read before it is due
        self._caught_up: Event = self.clock.event()
        self._gap: Gap | None = None
        self._lost_gap: Gap | None = None  # what the present outage has cost, once it is known
        self._seen_s = self.clock.now()  # when the latest sample that was kept was taken
        self._next = 0  # index of the next sample, kept or not
        self._rest_in: tuple[str, float] | None = None  # phase in which to rest from a moment on; "" not to
        self._drained_s = self._heard_s = self._seen_s  # when all was read; when a sample came, or it did not answer
        self._newest_s = -math.inf  # when the latest sample was taken, kept or not
        self._noted: set[str] = set()  # what the instrument noted since a sample came, whatever the numbers in it
        self._behind: tuple[float, float, float] | None = None  # when compared, by how much behind, delay of the first

    def end(self) -> None:
        """Have the worker read what is left and end."""
        self._ending = True
        self._wake.set()

    def catch_up(self) -> None:
        """Return when every sample that has been acquired by now has been read; called by another worker."""
        asked = self.clock.now()
        if isinstance(self.instrument, Buffered):
            while self._read_at < asked and self.clock.now() < asked + CATCH_UP_S and not self._ending:
                self._caught_up.clear()
                self._wake.set()
                self.clock.wait(self._caught_up, asked + CATCH_UP_S)

    def rest(self, phase: str) -> None:
        """Rest from now on, in a phase, or no longer where it is ""; called by another worker.

        A hardware-timed stream is read up to now first, so that the edge does not depend on the length of blocks.
        """
        if self.resting.every == 1 or self._ending:
            return
        if bool(phase) == self.resting.active:
            self._rest_in = None  # whatever was asked for before and could not be done
            return
        self._rest_in = (phase, self.clock.now())
        if isinstance(self.instrument, Buffered):
            self.catch_up()
            self._change_rest(self._read_at)
        else:
            self._wake.set()

    def _change_rest(self, read_s: float) -> None:
        """Begin to rest, or end, when everything from before that moment was read."""
        if self._rest_in is None or read_s < self._rest_in[1]:
            return
        (phase, since_s), self._rest_in = self._rest_in, None
        self.resting.change(self._next)
        every, name = self.resting.every, self.instrument.name
        kept = f"one sample of {every} is kept" if self.resting.active else "every sample is kept"
        fields = {
            "instrument": name,
            "state": "begin" if self.resting.active else "end",
            "sample": self._next,
            "every": every,
            "phase": phase,
            "text": f'instrument "{name}": {kept} from here on; each is judged by the interlocks',
        }
        self.recorder.record("rest", since_s, fields)

    def look(self) -> None:
        """Read what there is now: a guard was armed, or may need the next read earlier than it is due."""
        if self._read_at > -math.inf if isinstance(self.instrument, Buffered) else self.resting.active:
            self._wake.set()

    def watch(self, guard: Guard) -> Callable[[], None]:
        """Judge every sample by a guard from now on; returns what ends that.

        Those that stop the run come first: a hold, whose first valve may be slow, keeps no stop waiting.
        """
        self.guards = tuple(sorted((*self.guards, guard), key=lambda each: each.interlock.action != "stop"))
        self.look()

        def end() -> None:
            self.guards = tuple(other for other in self.guards if other is not guard)

        return end

    def count(self, tally: Tally) -> Callable[[], None]:
        """Take every sample into a mean from now on; returns what ends that."""
        self.tallies = (*self.tallies, tally)

        def end() -> None:
            self.tallies = tuple(other for other in self.tallies if other is not tally)

        return end

    def run(self) -> None:
        """Body of the worker."""
        self.alive_until_s = self.clock.now() + STARTS_S
        self.recorder.stream(self.instrument.stream)
        try:
            if isinstance(self.instrument, Buffered):
                self._gather(self.instrument)
            else:
                self._poll(self.instrument)
        finally:
            self.alive_until_s = math.inf
            self._tell_gap()

    # -- polled instruments

    def _poll(self, instrument: Polled) -> None:
        start, period = self.clock.now(), instrument.period_s
        batch = Batch(instrument, len(instrument.channels))
        oldest_s = self.clock.record_every_s
        index = 0
        while True:
            if woken := self._waited(start + index * period):
                self._wake.clear()  # before looking: whoever sets it has said first what for
            if self._ending:
                break
            if woken:
                index = self._next = max(self._next, math.ceil((self.clock.now() - start) / period - 1e-6))
                if batch.count:
                    self._keep(batch)
                self._change_rest(self.clock.now())
                continue
            try:
                reading = instrument.sample()
            except InstrumentError as error:
                self._lost(error)
            else:
                keeps = self.resting.next_due(index) == index
                if keeps:
                    self._count_on(index, index, reading.t, reading.t)
                self._found()
                if keeps:
                    if batch.count and batch.next_index != index:  # one that came late in its window
                        self._keep(batch)
                    batch.add(index, reading.t, reading.values, reading.quality, self.resting.stride)
                for guard in self.guards:
                    guard.judge_one(reading.t, reading.values[guard.column], reading.quality[guard.column])
                if self.tallies:
                    self._count(np.array([reading.values]), np.array([reading.quality], dtype=np.uint16))
                if batch.count == BATCH:
                    self._keep(batch)
            self._notes(instrument)
            # A slow answer makes the next question late, never two questions at once: missed ones are holes.
            self._next = max(index + 1, math.ceil((self.clock.now() - start) / period - 1e-6))
            index = self._next_asked(start, period)
            # What would be too old by the next reading does not wait for it, and a hole ends a block.
            if batch.count and (batch.next_index < index or start + index * period - batch.first_t > oldest_s):
                self._keep(batch)
        if batch.count:
            self._keep(batch)

    def _next_asked(self, start: float, period: float) -> int:
        """When to ask next: while it rests when a sample is due, unless a guard needs one before, or it is lost."""
        due = self.resting.next_due(self._next)
        if due == self._next or self._lost_since is not None or self.tallies:
            return self._next
        now, rest_s = self.clock.now(), self.resting.every * period
        until_s = start + due * period - now
        return due if all(guard.spares(now, until_s, rest_s) for guard in self.guards) else self._next

    def _keep(self, batch: Batch) -> None:
        block = batch.take()
        self.recorder.block(self._marked(block, block.t))

    # -- hardware-timed instruments

    def _gather(self, instrument: Buffered) -> None:
        """Read when a block is due, whole numbers of samples after the start: sums of times would drift."""
        interval = instrument.interval_s
        start = self._drained_s = self._read_at = self.clock.now()
        if self._try(instrument.start):
            self._started()
        anchor_every = max(1, round(ANCHOR_S / interval))
        read, anchor_at = 0, anchor_every
        while True:
            due = min(self._next_read(start, read, instrument), anchor_at)
            if self._waited(start + due * interval):
                self._wake.clear()
            self._change_rest(self._read_at)
            ending, now = self._ending, self.clock.now()
            most = min(MOST, max(1, math.ceil((now - self._drained_s) / interval)) + SLACK)
            if self._try(lambda most=most: self._take(instrument, most)):  # type: ignore[misc]  # bound on purpose
                self._found()
            self._change_rest(now)
            self._read_at = now
            self._caught_up.set()
            read = math.floor((self.clock.now() - start) / interval + 1e-6)
            if read >= anchor_at:
                anchor_at = (read // anchor_every + 1) * anchor_every
                if self._lost_since is None:
                    self._try(lambda: self._anchor(instrument))
            self._notes(instrument)
            if ending:
                break
        if self._lost_since is None:
            self._try(lambda: self._take(instrument, MOST))  # what lies behind a hole
        self._try(instrument.stop)

    def _next_read(self, start: float, read: int, instrument: Buffered) -> int:
        """When to read next, in samples: late, but before a watched channel can have crossed its limit or be lost.

        What is lost is asked again soon, or the length of an outage would depend on that of a block.
        """
        interval = instrument.interval_s
        at = start + read * interval
        # In real time nothing can be read more often than the horizon; on a virtual clock one sample is a block.
        shortest = self.longest_block_s if self.longest_block_s <= WALL_HORIZON_S else interval
        span = min(self.longest_block_s, instrument.read_period_s)
        if self._lost_since is not None or self._silent(interval):
            span = min(span, LOST_S)
        if self.guards:
            span = min(span, *(guard.headroom_s(at) for guard in self.guards))
            horizon = self.clock.horizon()
            if horizon > at:
                span = min(span, horizon - at)
        due = read + max(1, math.floor(max(span, shortest) / interval + 1e-6))
        lost_s = min((guard.outage_due_s for guard in self.guards), default=math.inf)
        if lost_s < start + due * interval:
            due = max(read + 1, math.ceil((lost_s - start) / interval - 1e-6))
        return due

    def _started(self) -> None:
        """What starting took is no outage: the first sample can come from now on."""
        self._newest_s = self._heard_s = now = self.clock.now()
        for guard in self.guards:
            guard.last_good_s = max(guard.last_good_s, now)

    def _take(self, instrument: Buffered, most: int) -> None:
        """Read everything that is there; raises InstrumentTimeout where it answers, but no sample has come for long."""
        begun_s = self.clock.now()
        while True:
            try:
                block = instrument.read(most)
            except InstrumentError:
                self._heard_s = self.clock.now()  # it has to answer again first
                raise
            now = self.clock.now()  # before anything is done about it, which may take its time
            newest_s = self._taken_s(block, instrument.interval_s, now) if len(block.t) else now
            if len(block.t):
                self._took(block, newest_s)
            if len(block.t) < most and newest_s == now:  # else there may be more behind a hole
                break
        self._drained_s = begun_s
        for guard in self.guards:
            guard.missed(now)
        silent_s = now - self._heard_s
        if silent_s > max(SILENT_S, SILENT_SAMPLES * instrument.interval_s):
            raise InstrumentTimeout(instrument.name, f"answers, but has given no sample for {silent_s:.1f} s")

    def _took(self, block: Block, newest_s: float) -> None:
        """Judge and record samples of which the last was taken at a clock time."""
        self._newest_s = self._heard_s = newest_s
        self._noted.clear()
        t = block.t + (newest_s - block.t[-1])  # the block's own times are nominal
        self._judge(t, block.values, block.quality)
        behind_s = self._fallen_behind(float(block.t[-1]))
        self._next = block.first + len(block.t)
        for rows, stride in self.resting.kept(block.first, len(block.t)):
            kept = block if stride == 1 else _rows(block, rows, stride)
            last = kept.first + (len(kept.t) - 1) * stride
            self._count_on(kept.first, last, float(kept.t[0]) + behind_s, float(kept.t[-1]) + behind_s)
            self.recorder.block(self._marked(kept, t[rows]))

    def _taken_s(self, block: Block, interval: float, now: float) -> float:
        """Clock time of a block's last sample: just now, but where there are far too few since everything was read.

        Then the stream has fallen silent since, or what is here comes before a hole: it follows the latest sample.
        """
        came_s = (block.first + len(block.t) - self._next) * interval
        read_s = max(self._drained_s, self._newest_s)
        if read_s + came_s >= now - _slack_s(interval) or block.first < self._next or math.isinf(self._newest_s):
            return now
        if self._silent(interval) and block.first == self._next:
            return now  # the sample clock stood still, nobody knows for how long
        return min(self._newest_s + came_s, now)

    def _silent(self, interval: float) -> bool:
        """Whether the latest sample was old already when everything was read."""
        return self._newest_s < self._drained_s - _slack_s(interval)

    def _fallen_behind(self, newest_s: float) -> float:
        """By how much nominal times have fallen behind the clock since the first: crystals drift by seconds in days.

        The newest sample is from just now, but where a block ends before a hole, or was late: then it seems older.
        """
        now = self.clock.now()
        if self._behind is None:
            self._behind = (now, 0.0, now - newest_s)
        then, behind_s, first_s = self._behind
        behind_s = min(now - newest_s - first_s, behind_s + CRYSTAL * (now - then))
        self._behind = (now, behind_s, first_s)
        return behind_s

    def _anchor(self, instrument: Buffered) -> None:
        host_t, samples = instrument.anchor()
        self.recorder.anchor(instrument.stream.name, host_t, samples)

    # -- both

    def _waited(self, until: float) -> bool:
        """Wait for the next turn, or until somebody wakes it; whether somebody did."""
        self.alive_until_s = until
        woken = self.clock.wait(self._wake, until)
        self.alive_until_s = self.clock.now()
        return woken

    def _marked(self, block: Block, t: FloatArray) -> Block:
        """The block with the samples flagged that are not to be used, by their clock times."""
        if not self.marks:
            return block
        quality = block.quality.copy()
        for mark in tuple(self.marks):
            rows = slice(*np.searchsorted(t, [mark.from_s, mark.to_s]))
            quality[rows, list(mark.columns)] |= int(Quality.DISTURBED)
            if mark.to_s <= t[0]:
                self.marks.remove(mark)
        return replace(block, quality=quality)

    def _count_on(self, first: int, last: int, begin_s: float, end_s: float) -> None:
        """Notice samples that are missing, also where the instrument was not lost, as behind a quick reconnection."""
        missed = self.resting.missed(first)
        if self._gap is not None and begin_s - self._gap.from_s > GAPS_S:
            self._tell_gap()
        if missed > 0:
            if self._lost_since is None:
                self._gap = grown(self._gap, self._seen_s, begin_s, missed)
            else:
                self._lost_gap = grown(self._lost_gap, self._seen_s, begin_s, missed)
        self.resting.expected, self._seen_s = last + 1, end_s

    def _tell_gap(self) -> None:
        if self._gap is not None:
            gap, self._gap = self._gap, None
            text = f'instrument "{self.instrument.name}" missed {gap.samples} samples without being lost'
            fields = {"instrument": self.instrument.name, **asdict(gap), "text": text}
            self.recorder.record("gap", self.clock.now(), fields)

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
        return True

    def _lost(self, error: InstrumentError) -> None:
        """Record the begin of an outage, and a new reason for it."""
        now = self.clock.now()
        if type(error) is not self._lost_kind:
            begins = self._lost_since is None
            self._lost_since = now if self._lost_since is None else self._lost_since
            self._lost_kind = type(error)
            self._outage("begin" if begins else "goes on", f"no sample: {error}")
        if isinstance(error, InstrumentOverflow) and isinstance(self.instrument, Buffered):
            self._restart(self.instrument)
        for guard in self.guards:
            guard.missed(now)

    def _restart(self, instrument: Buffered) -> None:
        try:
            instrument.start()
        except InstrumentError as error:
            self.tell("warning", f"could not start again: {error}")

    def _found(self) -> None:
        """Record the end of an outage."""
        if self._lost_since is None:
            return
        lasted_s = self.clock.now() - self._lost_since
        self._lost_since = self._lost_kind = None
        text = f'instrument "{self.instrument.name}" answers again after {lasted_s:.1f} s'
        gap, self._lost_gap = self._lost_gap, None
        if gap is None:
            self._outage("end", text, lasted_s=lasted_s)
            return
        # A reply that is lost takes samples from before the outage with it.
        missing = {"from_s": gap.from_s, "to_s": gap.to_s, "samples": gap.samples}
        self._outage("end", f"{text}; {gap.samples} samples are missing", lasted_s=lasted_s, **missing)

    def _outage(self, state: str, text: str, **more: float) -> None:
        fields = {"instrument": self.instrument.name, "state": state, "text": text, **more}
        self.recorder.record("outage", self.clock.now(), fields)

    def _notes(self, instrument: Instrument) -> None:
        """Tell what it went through; a stream that has no samples says at each read that some are missing."""
        for note in instrument.take_notes():
            said = re.sub(r"\d+", "", note.text)
            if isinstance(instrument, Polled) or said not in self._noted:
                self._noted.add(said)
                self.tell(note.level, note.text)


def _slack_s(interval: float) -> float:
    """By how much the latest sample may be older than the moment at which it is read."""
    return max(1.5 * interval, WALL_HORIZON_S)


def _rows(block: Block, rows: slice, stride: int) -> Block:
    """Some samples of a block, evenly spaced."""
    first = block.first + rows.start
    return Block(block.stream, first, block.t[rows], block.values[rows], block.quality[rows], stride)
