"""The analog task of an NI-DAQmx instrument: made, read, lost, and made again without shifting a sample.

A stream is what the instrument gives from its start to its stop.  A task that breaks off is followed by another one,
whose first sample gets the index that the stream would have reached by then: from the last moment at which index and
clock were compared, at the interval of the crystal as far as it is known.  A count is of whole samples, and the next
one may be due just then: each comparison bounds where the stream is and how long the interval is.  To take the count
for the place itself would lose part of a sample at every break.  A count can be late (samples are under way, the clock
hung) but never early.  What rounding to a whole index costs is kept and does not add up from one break to the next.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from decimal import ROUND_FLOOR, Context
from typing import Literal, NoReturn

import nidaqmx
import numpy as np
from nidaqmx.constants import AcquisitionType
from nidaqmx.errors import DaqReadError
from nidaqmx.stream_readers import AnalogMultiChannelReader

from data.samples import Block, Quality, QualityArray
from instruments.clock import Clock
from instruments.daq_inputs import Columns
from instruments.daq_session import DAQ_ERRORS, NOT_YET, DaqSession, is_overrun, mapped, said
from instruments.daq_settings import NiDaqmxSettings
from instruments.instrument import (
    InstrumentDisconnected,
    InstrumentError,
    InstrumentOverflow,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
)

SMALLEST_BUFFER = 1000
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
"""After a failure the task is made anew first after this, then after twice the time, at most this."""

CRYSTAL = 1e-3
STANDSTILL, STANDSTILL_S = 3, 0.2
"""A count that lacks more samples than these together, and than any crystal explains, is not believed."""

DRIFT = 1e-4
"""How far a crystal may be off what its device states, and off what is known of it: a count that is later than this
explains is late for another reason, and says nothing of where the stream is."""

WARMING = 1e-6
"""By how much a crystal may change from one task to the next."""

RATE_TOLERANCE = 1e-6


class Acquisition:
    """Hardware-timed samples of one task.

    Parameters
    ----------
    name : of the instrument and its stream.
    columns : the inputs; without any there is no task, and every block is empty.
    new_session : opens a connection to NI-DAQmx.
    note : keeps a sentence for the run's log.
    """

    def __init__(
        self,
        name: str,
        settings: NiDaqmxSettings,
        columns: Columns,
        clock: Clock,
        new_session: Callable[[], DaqSession],
        note: Callable[[Literal["info", "warning", "error"], str], None],
    ) -> None:
        self._name = name
        self._settings = settings
        self._columns = columns
        self._clock = clock
        self._new_session = new_session
        self._note = note
        self._interval_s = 1.0 / settings.rate_hz
        self._lock = clock.lock()
        self._session: DaqSession | None = None
        self._task: nidaqmx.Task | None = None
        self._left: list[str] = []  # tasks that the server still holds
        self._reader: AnalogMultiChannelReader | None = None
        self._buffer = np.empty(0)
        self._asked = False  # start was called, and stop was not
        self._base = self._position = 0  # their sum is the index of the next sample that the present task gives
        self._started_s = 0.0
        self._anchor = (0.0, 0)
        self._anchored = False  # nothing was read since the anchor
        self._run_s = 0.0  # when the present task was started
        self._true_interval_s = self._interval_s  # of the crystal, as far as it is known
        self._shortest_s = self._longest_s = self._interval_s  # it is between these
        self._started_late_s = 0.0  # how long the start of the present task took: its moment is known to half of that
        self._line = (0.0, 0.0)  # a moment, and where between two indices the stream was then
        self._surplus = 0  # samples of the present task whose indices were given away already
        self._phase = 0.0  # by how much the samples of the present task are ahead of their whole indices
        self._heard_s = 0.0  # when a sample came in last
        self._failure: InstrumentError | None = None
        self._retry_s = 0.0
        self._retry_after_s = FIRST_RETRY_S

    # -- what the instrument asks for

    def configure(self) -> None:
        """Make the task without starting it."""
        with self._lock:
            if self._columns and self._task is None:
                self._make()

    def start(self) -> None:
        """Begin a stream; does nothing while there is one."""
        with self._lock:
            if self._asked or not self._columns:
                return
            if self._task is None:
                self._make()
            self._started_s = self._heard_s = self._run_s = self._run()
            self._true_interval_s, (self._shortest_s, self._longest_s) = self._interval_s, self._possible_s
            self._base = self._position = self._surplus = 0
            self._anchor, self._anchored = (self._started_s, 1), True
            self._line, self._phase = (self._started_s, 0.0), 0.0
            self._failure = None
            self._asked = True

    def read(self, most: int) -> Block:
        """Take at most ``most`` samples that are there."""
        with self._lock:
            if not self._columns:
                return self._block(0)
            if not self._asked:
                raise InstrumentReplyError(self._name, "acquisition was not started; call start first")
            if self._task is None:
                self._resume()
            before = self._clock.now()
            try:
                n = self._fetch(most)
            except DAQ_ERRORS as error:
                self._failed(error)
            after = self._clock.now()
            return self._taken(n, most, (before + after) / 2.0, (after - before) / 2.0)

    def anchor(self) -> tuple[float, int]:
        """Clock time and number of samples acquired by then; asks the device only after a full block."""
        with self._lock:
            if not self._anchored and self._task is not None:
                try:
                    acquired = int(self._task.in_stream.total_samp_per_chan_acquired)
                except DAQ_ERRORS as error:
                    raise mapped(self._name, error) from error
                self._anchor, self._anchored = (self._clock.now(), self._base + acquired), True
            return self._anchor

    def stop(self) -> None:
        """End the stream and close its task."""
        with self._lock:
            self._asked = False
            self._failure = None
            self._forget()

    # -- reading

    def _fetch(self, most: int) -> int:
        """Read into the buffer without waiting; returns the number of samples of each channel."""
        size = len(self._columns) * most
        if self._buffer.size < size:
            self._buffer = np.empty(size)
        assert self._reader is not None
        try:
            return int(self._reader.read_many_sample(self._buffer[:size], most, timeout=0.0))
        except DaqReadError as error:
            if error.error_code != NOT_YET:
                raise
            return int(error.samps_per_chan_read)

    def _taken(self, n: int, most: int, now: float, doubt_s: float) -> Block:
        if n:
            self._heard_s = now
            self._recovered()
        else:
            self._check_silence(now - self._heard_s)
        skipped = min(n, self._surplus)
        self._surplus -= skipped
        block = self._block(n, skipped)
        self._position += n
        self._anchored = n < most
        if n and self._anchored:  # the buffer is empty: what was read is what was acquired
            self._compare(now, doubt_s, self._base + self._position)
        return block

    def _compare(self, now: float, doubt_s: float, acquired: int) -> None:
        """Keep a pair of clock and count, unless so many samples are missing that the sample clock stands still."""
        _, index = self._anchor
        newest = acquired - 1 + self._phase
        missing = self._reached(now) - newest
        if missing <= STANDSTILL + STANDSTILL_S / self._interval_s + CRYSTAL * (acquired - index):
            self._anchor = (now, acquired)
        then, _ = self._line
        if missing - 1.0 <= DRIFT * (now - then) / self._interval_s:
            self._learn(now - self._run_s, doubt_s)
            reached = self._base + self._phase + (now - self._run_s) / self._true_interval_s
            self._line = (now, min(max(reached, newest), newest + 1.0))

    def _learn(self, elapsed_s: float, doubt_s: float) -> None:
        """Bound the interval: of so many samples of the present task the last was taken, the next one was not yet."""
        count, doubt_s = self._position, doubt_s + self._started_late_s / 2.0
        if count < 2:
            return
        shortest_s, longest_s = (elapsed_s - doubt_s) / count, (elapsed_s + doubt_s) / (count - 1)
        low_s, high_s = self._possible_s
        if longest_s < low_s or shortest_s > high_s:
            return
        self._longest_s = min(self._longest_s, longest_s)
        if self._shortest_s > self._longest_s:  # a count was late before: it had stretched the interval
            self._shortest_s = max(low_s, shortest_s)
        elif shortest_s <= self._longest_s:
            self._shortest_s = max(self._shortest_s, shortest_s)
        # Not the middle: samples are asked for when they are due, so the count is near one of its bounds.
        self._true_interval_s = min(max(self._true_interval_s, self._shortest_s), self._longest_s)

    def _forget_a_little(self) -> None:
        """The crystal may have changed a little since the task before."""
        low_s, high_s = self._possible_s
        self._shortest_s = max(low_s, self._shortest_s * (1.0 - WARMING))
        self._longest_s = min(high_s, self._longest_s * (1.0 + WARMING))

    @property
    def _possible_s(self) -> tuple[float, float]:
        """Shortest and longest interval that a device may have."""
        return self._interval_s * (1.0 - DRIFT), self._interval_s * (1.0 + DRIFT)

    def _reached(self, t: float) -> float:
        """Where the stream is at a clock time, by the interval of the crystal as far as it is known."""
        moment, index = self._line
        return index + (t - moment) / self._true_interval_s

    def _check_silence(self, silent_s: float) -> None:
        """Raise when the sample clock is silent for longer than it may."""
        if silent_s >= self._settings.timeout_s + self._interval_s:
            self._lose(InstrumentTimeout(self._name, f"no new sample for {silent_s:.1f} s"))
        if isinstance(self._failure, InstrumentTimeout):
            raise InstrumentTimeout(self._name, "no sample yet since acquisition was started anew")

    def _block(self, n: int, skipped: int = 0) -> Block:
        raw = self._buffer[: len(self._columns) * n].reshape(len(self._columns), n)[:, skipped:]
        first = self._base + self._position + skipped
        t = np.arange(first, first + n - skipped, dtype=np.float64) * self._interval_s + self._started_s
        quality = self._columns.quality(raw)
        if self._columns.may_be_open(quality):
            self._mark_open(quality)
        return Block(self._name, first, t, self._columns.values(raw), quality)

    def _mark_open(self, quality: QualityArray) -> None:
        """Ask which thermocouples are open: their samples at the end of the range are no temperature at all."""
        assert self._task is not None
        stream = self._task.in_stream
        with contextlib.suppress(*DAQ_ERRORS):  # no detection on this device: the samples stay marked as saturated
            opened = [name.lower() for name in stream.open_thrmcpl_chans] if stream.open_thrmcpl_chans_exist else []
            for index, channel in enumerate(self._columns.channels):
                if channel.name.lower() in opened:
                    at_end = (quality[:, index] & int(Quality.SATURATED)) != 0
                    quality[at_end, index] |= int(Quality.DEVICE_ERROR)

    # -- losing the task

    def _failed(self, error: Exception) -> NoReturn:
        """Take the consequence of an error of nidaqmx and raise it in the bench's words."""
        if is_overrun(error):
            self._overflowed(error)
        self._lose(mapped(self._name, error), error)

    def _lose(self, failure: InstrumentError, cause: Exception | None = None) -> NoReturn:
        """Drop the task and say why; it is made anew when the time has come."""
        self._forget()
        self._failure = failure
        self._retry_s = self._clock.now() + self._retry_after_s
        self._retry_after_s = min(2.0 * self._retry_after_s, LAST_RETRY_S)
        raise failure from cause

    def _overflowed(self, cause: Exception) -> NoReturn:
        """Start anew at once and say how many samples are missing."""
        expected = self._base + self._position
        text = said(cause)
        try:
            self._forget()
            self._make()
            self._follow_on()
        except InstrumentError as failure:
            self._lose(failure, cause)
        lost = max(0, self._base - expected)
        raise InstrumentOverflow(self._name, f"{lost} samples are lost, acquisition goes on: {text}", lost) from cause

    def _resume(self) -> None:
        """Make the task anew when that is due; else say again what is wrong."""
        failure = self._failure
        assert failure is not None
        left = self._retry_s - self._clock.now()
        if left > 0.0:
            kind = InstrumentTimeout if isinstance(failure, InstrumentTimeout) else InstrumentDisconnected
            raise kind(self._name, f"acquisition broke off; next attempt in {left:.1f} s")
        try:
            self._make()
            self._follow_on()
        except InstrumentError as again:
            self._lose(again)

    def _follow_on(self) -> None:
        """Start the new task and give its first sample the index that the stream has reached by now."""
        started = self._run()
        reached = self._reached(started)
        end = self._base + self._position
        self._base, self._position = round(reached), 0
        self._surplus = max(0, end - self._base)
        self._line, self._phase = (started, reached), reached - self._base
        self._heard_s = self._run_s = started
        self._anchor, self._anchored = (started, self._base + 1), True
        self._forget_a_little()

    def _recovered(self) -> None:
        if self._failure is not None:
            self._note("info", f'instrument "{self._name}": acquisition goes on at sample {self._base}')
        self._failure = None
        self._retry_after_s = FIRST_RETRY_S

    # -- making the task

    def _make(self) -> None:
        """Make the task; nothing is left behind when that fails."""
        try:
            self._session = self._new_session()
            self._left = self._session.clear(self._left)
            self._task = self._session.task()
            self._configure(self._task)
        except DAQ_ERRORS as error:
            self._forget()
            raise mapped(self._name, error) from error
        except InstrumentError:
            self._forget()
            raise

    def _configure(self, task: nidaqmx.Task) -> None:
        rate = self._settings.rate_hz
        self._columns.add_to(task)
        size = max(SMALLEST_BUFFER, round(self._settings.buffer_s * rate))
        task.timing.cfg_samp_clk_timing(rate, sample_mode=AcquisitionType.CONTINUOUS, samps_per_chan=size)
        task.in_stream.input_buf_size = size
        actual = float(task.timing.samp_clk_rate)
        if abs(actual / rate - 1.0) > RATE_TOLERANCE:
            raise InstrumentRefusal(
                self._name,
                f"these devices sample at {_typed(actual)} Hz, not at {rate:g} Hz; set this rate or use other modules",
            )
        self._reader = AnalogMultiChannelReader(task.in_stream)
        self._reader.verify_array_shape = False  # else each read asks for the number of channels first

    def _run(self) -> float:
        """Start the task; returns the clock time of its first sample."""
        assert self._task is not None
        before = self._clock.now()
        try:
            self._task.start()
        except DAQ_ERRORS as error:
            self._forget()
            raise mapped(self._name, error) from error
        after = self._clock.now()
        self._started_late_s = after - before
        return (before + after) / 2.0

    def _forget(self) -> None:
        """Close task and connection, whatever state they are in."""
        if self._session is not None:
            self._left += self._session.close()
        self._task = self._session = self._reader = None


def _typed(rate_hz: float) -> str:
    """A rate that is accepted as it is written: to nine digits, and never above, where the next rate would be taken."""
    return f"{Context(9, ROUND_FLOOR).create_decimal_from_float(rate_hz).normalize():f}"
