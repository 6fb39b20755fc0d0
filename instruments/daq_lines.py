"""A digital task of an NI-DAQmx instrument: lines that move valves, or light lamps, written at once and read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import nidaqmx
import numpy as np
from nidaqmx.constants import LineGrouping
from nidaqmx.stream_readers import DigitalMultiChannelReader
from nidaqmx.stream_writers import DigitalMultiChannelWriter

from instruments.clock import Clock
from instruments.daq_session import DAQ_ERRORS, DaqSession, mapped
from instruments.daq_settings import ValveLine

T = TypeVar("T")


class Lines:
    """Digital outputs, one channel a line.

    The task is made at the first use and again after a failure, without delay: a valve is commanded when it must move.
    It has a connection and a lock of its own, so that it never waits for a read of the inputs.
    """

    def __init__(
        self, name: str, valves: Mapping[str, ValveLine], clock: Clock, new_session: Callable[[], DaqSession]
    ) -> None:
        self._name = name
        self._valves = dict(valves)
        self._new_session = new_session
        self._lock = clock.lock()
        self._session: DaqSession | None = None
        self._task: nidaqmx.Task | None = None
        self._left: list[str] = []  # tasks that the server still holds
        self._writer: DigitalMultiChannelWriter | None = None
        self._reader: DigitalMultiChannelReader | None = None
        self._levels = np.zeros(len(self._valves), np.bool_)
        self._commanded: dict[str, bool] = {}  # last, whether it was confirmed or not

    def drive(self, wanted: Mapping[str, bool]) -> None:
        """Set some lines, all in one write; the others stay as they are."""

        def write() -> None:
            assert self._writer is not None
            levels = self._levels.copy()
            for index, name in enumerate(self._valves):
                levels[index] = wanted.get(name, levels[index])
            self._writer.write_one_sample_one_line(levels, timeout=0.0)
            self._levels = levels

        with self._lock:
            self._commanded.update(wanted)
            self._guarded(write)

    def put_back(self) -> dict[str, bool]:
        """Drive the lines that are not as they were commanded last, such as after a reset; returns them.

        Under one lock: a command that comes meanwhile, of a safe state above all, is never undone.
        """
        if not self._commanded:
            return {}
        with self._lock:
            found = dict(zip(self._valves, self._guarded(self._read).tolist(), strict=True))
            lost = {name: on for name, on in self._commanded.items() if found[name] != on}
            if lost:
                self.drive(lost)
        return lost

    def forget(self) -> None:
        """Put nothing back that was commanded before now."""
        with self._lock:
            self._commanded.clear()

    def states(self) -> dict[str, bool]:
        """Read every line back from the device."""
        if not self._valves:
            return {}
        with self._lock:
            return dict(zip(self._valves, self._guarded(self._read).tolist(), strict=True))

    @contextmanager
    def away(self) -> Iterator[None]:
        """Be without the task, which is made again at its next use; whoever needs it meanwhile waits."""
        with self._lock:
            self.close()
            yield

    def close(self) -> None:
        """Close the task; the lines stay as they are."""
        with self._lock:
            if self._session is not None:
                self._left += self._session.close()
            self._task = self._session = self._writer = self._reader = None

    def _read(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        assert self._reader is not None
        levels = np.zeros(len(self._valves), np.bool_)
        self._reader.read_one_sample_one_line(levels, timeout=0.0)
        self._levels = levels
        return levels

    def _guarded(self, action: Callable[[], T]) -> T:
        """Do something with the task; once again with a new one when the task turns out to be lost."""
        fresh = self._task is None
        try:
            if fresh:
                self._make()
            return action()
        except DAQ_ERRORS as error:
            self.close()
            if fresh:
                raise mapped(self._name, error) from error
        return self._guarded(action)

    def _make(self) -> None:
        self._session = self._new_session()
        self._left = self._session.clear(self._left)
        self._task = task = self._session.task()
        for valve in self._valves.values():
            task.do_channels.add_do_chan(valve.line, line_grouping=LineGrouping.CHAN_PER_LINE)
        self._writer = DigitalMultiChannelWriter(task.out_stream, auto_start=True)
        self._reader = DigitalMultiChannelReader(task.in_stream)
        self._writer.verify_array_shape = self._reader.verify_array_shape = False
        self._read()  # whatever somebody else has switched stays switched
