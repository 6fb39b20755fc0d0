"""From the engine to the journal: a queue that never makes anyone wait, and the one worker that writes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from data.journal import JournalFull, JournalWriter
from data.samples import Block, Stream
from instruments.clock import Clock, Queue, Worker

SYNC_WALL_S = 0.5
"""The record is synced at least twice each wall second, so that no more than one second can be lost."""

Entry = Callable[[JournalWriter], object]
Listener = Callable[[str, float, Mapping[str, Any]], None]
"""Hears (kind, time, fields) of each record after it was written, and returns at once: it holds up the writer.

What it raises is told and ends nothing."""


class Recorder:
    """Takes blocks and records from any worker, and writes them in the order in which they came.

    Acquisition acts first and records then; it never waits for the disk.  A full disk keeps the entries in memory,
    is told once, and writing goes on when there is room again.

    Parameters
    ----------
    synced : called after each sync of the journal; must not wait.
    """

    def __init__(
        self,
        journal: JournalWriter,
        clock: Clock,
        on_trouble: Callable[[str], None],
        synced: Callable[[], object] = lambda: None,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._queue = cast("Queue[Entry]", clock.queue())
        self._urgent = clock.event()
        self._closing = False
        self._synced_wall = clock.wall()
        self._on_trouble = on_trouble
        self._on_sync = synced
        self._full = False
        self._listeners: list[Listener] = []
        self._unheard: deque[tuple[str, float, Mapping[str, Any]]] = deque()
        self._worker: Worker = clock.worker("~recorder", self._work)

    def stream(self, stream: Stream) -> None:
        """Declare a stream."""
        self._queue.put(lambda journal: journal.stream(stream))

    def block(self, block: Block) -> None:
        """Record a block."""
        self._queue.put(lambda journal: journal.block(block))

    def anchor(self, stream: str, host_t: float, samples: int) -> None:
        """Record a pair of clock time and sample count."""
        self._queue.put(lambda journal: journal.anchor(stream, host_t, samples))

    def record(self, kind: str, t: float, fields: Mapping[str, Any], *, urgent: bool = False) -> None:
        """Record an event; an urgent one is written and synced at once, not at the next turn."""
        kept = dict(fields)
        self._queue.put(lambda journal: journal.record(kind, t, kept))
        if self._listeners:
            self._unheard.append((kind, t, kept))
        if urgent:
            self._urgent.set()

    def listen(self, listener: Listener) -> None:
        """Have every record from now on heard by the writer's worker, after it was written; a listener never waits."""
        self._listeners.append(listener)

    @property
    def journal(self) -> Path:
        """File of the journal."""
        return self._journal.path

    @property
    def pending(self) -> int:
        """Entries that the writer has not taken yet."""
        return len(self._queue)

    def close(self) -> None:
        """Write and sync everything, then let go of the file.

        Raises
        ------
        JournalFull
            The disk takes no more; what waits is still in the writer's memory.
        """
        self._closing = True
        self._urgent.set()
        self._worker.join()
        if self._worker.error is not None:
            raise self._worker.error

    def _work(self) -> None:
        while True:
            urgent = self._clock.wait(self._urgent, self._clock.now() + self._clock.record_every_s)
            self._urgent.clear()
            closing = self._closing
            self._drain()
            due = self._clock.wall() - self._synced_wall >= SYNC_WALL_S
            self._to_disk(sync=urgent or closing or due)
            self._be_heard()
            if closing:
                self._drain()  # what was told of the disk just now
                self._journal.close()
                return

    def _be_heard(self) -> None:
        while self._unheard:
            told = self._unheard.popleft()
            for listener in self._listeners:
                try:
                    listener(*told)
                except Exception as error:  # noqa: BLE001  # a listener that breaks must not end the record
                    self._on_trouble(f"what listens to the record broke: {type(error).__name__}: {error}")

    def _drain(self) -> None:
        for entry in self._queue.drain():
            try:
                entry(self._journal)
            except Exception as error:  # noqa: BLE001  # one entry that cannot be written must not end the record
                self._on_trouble(f"an entry of the record was lost: {type(error).__name__}: {error}")

    def _to_disk(self, *, sync: bool) -> None:
        """Write what waits, and have the disk confirm it; a full disk is told once and tried again next time."""
        try:
            if sync:
                self._journal.sync()
                self._synced_wall = self._clock.wall()
                self._on_sync()
            else:
                self._journal.write()
        except JournalFull as error:
            if not self._full:
                self._full = True
                self._on_trouble(str(error))
        else:
            self._full = False
