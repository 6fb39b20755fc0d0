"""Reading a journal: its longest intact prefix, and what was lost behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from data.disk import lock
from data.frames import (
    HEAD,
    MAGIC,
    MARKER,
    NEEDED,
    PREAMBLE,
    VERSION,
    BrokenFrameError,
    Content,
    Frame,
    FrameChain,
    FrameKind,
    JournalError,
    decode_json,
    frame_bytes,
    is_intact,
)
from data.samples import Stream

READ_BYTES = 4 << 20
TAIL_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Tail:
    """What of a journal could not be used: bytes after the last intact frame, and intact frames among them."""

    bytes: int
    frames: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fixed:
    """What is known of a journal from elsewhere, such as a register.

    Attributes
    ----------
    chains : hash of its chain in hex, by how many frames that fixes.
    end : how many frames it has; None where its end is not known.
    """

    chains: Mapping[int, str] = field(default_factory=dict)
    end: int | None = None

    def against(self, chains: Mapping[int, str], frames: int) -> str:
        """What speaks against a journal of so many frames, of which these hashes were found; "" where nothing does."""
        for count, chain in sorted(self.chains.items()):
            if count > frames:
                return f"it ends after {frames} frames, and {count} had been written"
            if chains[count] != chain:
                return f"it is another one within its first {count} frames"
        if self.end is not None and frames > self.end:
            return f"{frames - self.end} frames were added behind its end"
        return ""


class JournalReader:
    """The verified frames of a journal, in order, as an iterator.

    It stops before the first frame that is cut off or damaged; `tail` says what is behind it.  When the journal is
    still being written, iterating again gives the frames that have come since.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._chain = FrameChain()
        self._reason = ""
        self._offset = 0  # of the next frame in the file
        self._buffer = b""
        self._at = 0
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise JournalError(f"{path}: cannot be read ({error.strerror}); give the path of a journal") from None
        try:
            self._check_preamble()
            first = self._frame()
            if first is None or first.kind != FrameKind.HEADER:
                raise JournalError(f"{path}: holds no whole header, so nothing was recorded; the run had not begun")
            self.header: dict[str, Any] = decode_json(first.payload)
            missing = [key for key in NEEDED if key not in self.header]
            if missing:
                raise JournalError(f"{path}: the header lacks {', '.join(missing)}; another program wrote it")
        except JournalError:
            self._file.close()
            raise
        self._first: Frame | None = first

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def streams(self) -> list[Stream]:
        """Streams declared so far; a block names its stream by its place in this list."""
        return self._chain.streams

    @property
    def chain(self) -> bytes:
        """Hash of the last frame given: it fixes everything before it."""
        return self._chain.chain

    @property
    def frames(self) -> int:
        """How many frames were given."""
        return self._chain.next_seq

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        frame, self._first = self._first or self._frame(), None
        if frame is None:
            raise StopIteration
        return frame

    def decode(self, frame: Frame) -> Content:
        """What a frame says; arrays of a block are copies."""
        return self._chain.decode(frame)

    def tail(self) -> Tail:
        """What is behind the frames that were given; frames are counted in the first `TAIL_BYTES` of it."""
        self._file.seek(self._offset)
        rest = self._file.read(TAIL_BYTES)
        self._buffer, self._at = b"", 0
        self._file.seek(self._offset)
        lost = max(len(rest), os.fstat(self._file.fileno()).st_size - self._offset)
        return Tail(lost, _intact_frames(rest), self._reason if rest else "")

    # -- bytes

    def _check_preamble(self) -> None:
        start = self._file.read(PREAMBLE.size)
        if start[: len(MAGIC)] != MAGIC[: len(start)]:
            raise JournalError(f"{self.path}: is not a journal of pumpbench; give a RUN.journal file")
        if len(start) < PREAMBLE.size:
            raise JournalError(f"{self.path}: holds no whole header, so nothing was recorded; the run had not begun")
        version = PREAMBLE.unpack(start)[1]
        if version != VERSION:
            raise JournalError(f"{self.path}: has format {version}, this program reads format {VERSION}; use its own")
        self._offset = PREAMBLE.size

    def _frame(self) -> Frame | None:
        """The next intact frame, or None; then ``_reason`` says why not."""
        if not self._have(HEAD.size):
            return self._stop("the last frame is cut off")
        try:
            size = frame_bytes(self._buffer, self._at)
            if not self._have(size):
                return self._stop("the last frame is cut off")
            frame = self._chain.take(memoryview(self._buffer)[self._at : self._at + size], self._offset)
        except BrokenFrameError as error:
            return self._stop(str(error))
        self._at += size
        self._offset += size
        return frame

    def _stop(self, reason: str) -> Frame | None:
        self._reason = f"{reason} (byte {self._offset})"
        # A frame that is being written may be whole next time: forget its bytes.
        self._buffer, self._at = b"", 0
        self._file.seek(self._offset)
        return None

    def _have(self, size: int) -> bool:
        """Read on until ``size`` bytes of the present frame are in memory; False when the file has fewer."""
        if len(self._buffer) - self._at >= size:
            return True
        if os.fstat(self._file.fileno()).st_size - self._offset < size:
            return False
        rest = self._buffer[self._at :]
        self._buffer, self._at = rest + self._file.read(max(READ_BYTES, size - len(rest))), 0
        return len(self._buffer) >= size


def read_journal(path: Path) -> JournalReader:
    """Open a journal for reading.

    Raises
    ------
    JournalError
        It is missing, foreign, of another version, or ends before its header does.
    """
    return JournalReader(path)


@contextmanager
def unwritten(path: Path) -> Iterator[None]:
    """A journal that nobody writes any more, and that nobody else closes before the block has ended.

    Raises
    ------
    JournalError
        It is missing, or its run goes on, or somebody else closes it.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror}); give the path of a journal") from None
    with file:
        if not lock(file.fileno()):
            raise JournalError(
                f"{path}: is being written or closed by another program; wait for its end, or look at what is there: "
                f"pumpbench snapshot {path}"
            )
        yield


def _intact_frames(data: bytes) -> int:
    """How many frames behind a damaged place are intact in themselves; the broken chain makes them unusable."""
    found, at, view = 0, 0, memoryview(data)
    while (at := data.find(MARKER, at)) >= 0:
        size = 0
        with suppress(BrokenFrameError):
            size = frame_bytes(data, at)
        if 0 < size <= len(data) - at and is_intact(view[at : at + size]):
            found += 1
            at += size
        else:
            at += 1
    return found
