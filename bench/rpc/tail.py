"""The frames of a journal as raw bytes, while it is written: what a follower gets.

A journal only ever grows by whole frames (a frame that is being written is cut off and is whole a moment later), so
that whoever reads it needs nothing from whoever writes it.  Followers check the frames themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from data.frames import CHAIN_BYTES, CHAIN_START, PREAMBLE, BrokenFrameError, JournalError, frame_bytes
from instruments.clock import WallClock

PIECE_BYTES = 1 << 20
"""Frames are handed on in pieces of about this size."""

MARK_EVERY = 1024
"""Every so many frames the place in the file is kept, so that a client that comes back need not wait for a search."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some whole frames, one after the other, and the hash that the first of them continues."""

    first_seq: int
    count: int
    chain: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class _Place:
    seq: int
    offset: int
    chain: bytes


class Marks:
    """Places in one journal, shared by all who read it."""

    def __init__(self) -> None:
        self._places = [_Place(0, PREAMBLE.size, CHAIN_START)]
        self._lock = WallClock().lock()  # readers are threads of a server, whatever the run's clock is

    def before(self, seq: int) -> _Place:
        """The last known place that is not behind a frame."""
        return self._places[min(seq // MARK_EVERY, len(self._places) - 1)]

    def keep(self, place: _Place) -> None:
        """Remember a place, if it is the next one."""
        with self._lock:
            if place.seq == MARK_EVERY * len(self._places):
                self._places.append(place)


class JournalTail:
    """Reads a journal from a sequence number on; used by one thread.

    Raises
    ------
    JournalError
        The journal cannot be read.
    """

    def __init__(self, path: Path, from_seq: int, marks: Marks | None = None) -> None:
        self.path = path
        self._marks = marks or Marks()
        self._from = from_seq
        self._next = self._marks.before(from_seq)
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise JournalError(f"{path}: cannot be read ({error.strerror})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def next_seq(self) -> int:
        """Number of the frame that comes next."""
        return self._next.seq

    def take(self) -> Piece | None:
        """The next frames that are there, or None; raises JournalError when the file is damaged."""
        while True:
            data, upto = self._whole_frames()
            if not data:
                return None
            first, self._next = self._next, upto
            if upto.seq <= self._from:
                continue  # all before what was asked for
            if first.seq < self._from:
                first, data = self._cut(first, data)
            return Piece(first.seq, upto.seq - first.seq, first.chain, data)

    def _whole_frames(self) -> tuple[bytes, _Place]:
        """Whole frames from the present place on, and the place behind them."""
        self._file.seek(self._next.offset)
        data = self._file.read(PIECE_BYTES)
        size = _frame_bytes(self.path, data, 0)
        if size > len(data) and len(data) == PIECE_BYTES:  # one long frame
            data += self._file.read(size - len(data))
        at, place = 0, self._next
        while (size := _frame_bytes(self.path, data, at)) and at + size <= len(data):
            at += size
            place = _Place(place.seq + 1, place.offset + size, data[at - CHAIN_BYTES : at])
            if place.seq % MARK_EVERY == 0:
                self._marks.keep(place)
        return data[:at], place

    def _cut(self, first: _Place, data: bytes) -> tuple[_Place, bytes]:
        """Leave out the frames before what was asked for."""
        at = 0
        for _ in range(self._from - first.seq):
            at += _frame_bytes(self.path, data, at)
        return _Place(self._from, first.offset + at, data[at - CHAIN_BYTES : at]), data[at:]


def _frame_bytes(path: Path, data: bytes, at: int) -> int:
    """Length of the frame that begins at a place, 0 while its head is not there; raises JournalError for no head."""
    try:
        return frame_bytes(data, at)
    except BrokenFrameError as error:
        raise JournalError(f"{path}: {error}; what is before it can be had by: pumpbench recover {path}") from None
