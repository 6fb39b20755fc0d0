"""The journal: the record of a run while it goes on.  Frames are only ever added; synced ones are never touched again.

The writer keeps every frame in memory until the disk has confirmed it, so a full disk loses nothing while the process
lives; the reader gives the longest intact prefix, so a crash or a power cut loses nothing that was synced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from data.disk import lock, sync_folder
from data.frames import (
    CHAIN_START,
    NEEDED,
    PREAMBLE_BYTES,
    Anchor,
    Frame,
    FrameKind,
    JournalError,
    Record,
    SessionNote,
    UniformClock,
    encode_anchor,
    encode_block,
    encode_frame,
    encode_json,
    encode_stream,
)
from data.journal_reader import Fixed, JournalReader, Tail, read_journal, unwritten
from data.samples import Block, Stream

__all__ = [
    "Anchor",
    "DiskFile",
    "Fixed",
    "Frame",
    "FrameKind",
    "JournalError",
    "JournalFile",
    "JournalFull",
    "JournalReader",
    "JournalWriter",
    "Record",
    "SessionNote",
    "Tail",
    "read_journal",
    "unwritten",
]

BATCH_BYTES = 4 << 20
"""Frames are handed to the disk in pieces of about this size."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_TAKEN = frozenset({"time", "index"})


class JournalFull(JournalError):  # noqa: N818  # a condition that passes, not a mistake
    """The disk takes no more: it is full, read-only or gone.  Nothing is lost; `JournalWriter.sync` may be repeated."""


class JournalFile(Protocol):
    """What the writer asks of a file; tests put others in place of `DiskFile`."""

    def write(self, offset: int, data: bytes) -> int:
        """Write at an offset; returns how many bytes were taken.  Raises OSError."""

    def truncate(self, size: int) -> None:
        """Cut the file.  Raises OSError."""

    def sync(self) -> None:
        """Return when everything written is on the disk.  Raises OSError."""

    def close(self) -> None:
        """Let go of the file."""


class DiskFile:
    """A new file on disk, locked until it is closed; raises FileExistsError rather than touch one that is there."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._fd = os.open(path, flags, 0o644)
        self._let_go = weakref.finalize(self, os.close, self._fd)  # a writer that is dropped keeps nobody from recovery
        lock(self._fd)  # so that nobody takes the run for one that was cut off
        sync_folder(path.parent)

    def write(self, offset: int, data: bytes) -> int:
        """Write at an offset."""
        os.lseek(self._fd, offset, os.SEEK_SET)
        return os.write(self._fd, data)

    def truncate(self, size: int) -> None:
        """Cut the file."""
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        """Have the disk confirm the data, and the size with them."""
        if sys.platform == "linux":
            os.fdatasync(self._fd)
        else:
            os.fsync(self._fd)

    def close(self) -> None:
        """Close it."""
        self._let_go()


class JournalWriter:
    """Writes one new journal.  Used by one thread at a time.

    `stream`, `block`, `anchor`, `record` and `session` only add to memory and never fail for the disk's sake; `write`
    hands over what waits, `sync` also has the disk confirm it.  After a `JournalFull` the file ends with its last
    whole frame, and `write` or `sync` may be called again later: they go on at the same byte.

    Parameters
    ----------
    path : a file that does not exist yet.
    header : run_id, procedure, method, origin, start_utc and what else describes the run; "session" stays outside the
        content digest.  It is on the disk when the constructor returns.
    open_file : what makes the file; tests count or break it.
    wall : seconds of real time, for `unsynced_since`.
    acknowledged : called after each sync with the sequence number up to which every frame is on the disk.

    Raises
    ------
    JournalError
        The file exists or cannot be made, or the header lacks what describes a run.
    """

    def __init__(
        self,
        path: Path,
        header: Mapping[str, Any],
        *,
        open_file: Callable[[Path], JournalFile] = DiskFile,
        wall: Callable[[], float] = time.monotonic,  # noqa: TID251  # durability counts real seconds on every clock
        acknowledged: Callable[[int], None] | None = None,
    ) -> None:
        missing = [key for key in NEEDED if key not in header]
        if missing:
            raise JournalError(f"{path}: the header lacks {', '.join(missing)}; no run can be told from it")
        self.path = path
        self._wall = wall
        self._acknowledged = acknowledged
        self._chain = CHAIN_START
        self._frames: list[bytes] = [PREAMBLE_BYTES]  # not confirmed by the disk yet
        self._written = 0  # how many of those are in the file
        self._end = 0  # bytes of whole frames in the file
        self._synced = 0  # bytes that the disk has confirmed
        self._next = 0
        self._streams: dict[str, tuple[int, Stream, UniformClock]] = {}
        self._closed = False
        self.synced_seq = -1
        """Highest sequence number on the disk; every lower one is there too."""
        self.confirmed: tuple[int, str] = (0, "")
        """How many frames are on the disk, and the hash of the chain there, in hex."""
        self.unsynced_since: float | None = None
        """Real time at which the oldest frame that is not on the disk was taken; None when all are."""
        try:
            self._file = open_file(path)
        except FileExistsError:
            raise JournalError(f"{path} exists; a record is never written over, choose another name") from None
        except OSError as error:
            raise JournalError(
                f"{path}: cannot be made ({error.strerror}); choose a folder that can be written"
            ) from None
        self._append(FrameKind.HEADER, encode_json(header))
        try:
            self.sync()
        except JournalFull:
            self._file.close()
            path.unlink(missing_ok=True)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what happened

    def stream(self, stream: Stream) -> int:
        """Declare a stream before its first block; returns the frame's sequence number.

        Raises
        ------
        JournalError
            Another stream has the name, or a channel's name cannot be one of a dataset.
        """
        known = self._streams.get(stream.name)
        if known is not None:
            if known[1] == stream:
                return self._next - 1
            raise JournalError(f'{self.path}: stream "{stream.name}" is declared twice, with different channels')
        names = [channel.name for channel in stream.channels]
        for name in (stream.name, *names):
            if not _NAME.fullmatch(name) or (name in names and (name in _TAKEN or name.endswith("_quality"))):
                raise JournalError(
                    f'{self.path}: "{name}" cannot name a stream or channel; use letters, digits, "_" and "-", '
                    f'and not "time", "index" or "..._quality"'
                )
        if len(set(names)) != len(names) or not names:
            raise JournalError(f'{self.path}: stream "{stream.name}" needs channels with different names')
        self._streams[stream.name] = (len(self._streams), stream, UniformClock(stream.interval_s))
        return self._append(FrameKind.STREAM, encode_stream(stream))

    def block(self, block: Block) -> int:
        """Add consecutive samples; an empty block is nothing.  Raises JournalError for a wrong shape."""
        number, stream, clock = self._declared(block.stream)
        shape = (len(block.t), len(stream.channels))
        if block.values.shape != shape or block.quality.shape != shape:
            raise JournalError(
                f'{self.path}: a block of stream "{block.stream}" has values {block.values.shape} and quality '
                f"{block.quality.shape}, where {shape} is due"
            )
        if not len(block.t):
            return self._next - 1
        return self._append(FrameKind.BLOCK, *encode_block(number, block, clock))

    def anchor(self, stream: str, host_t: float, samples: int) -> int:
        """Add a pair of clock time and count of samples acquired until then."""
        return self._append(FrameKind.ANCHOR, encode_anchor(self._declared(stream)[0], host_t, samples))

    def record(self, kind: str, t: float, fields: Mapping[str, Any]) -> int:
        """Add something that happened at ``t``; values that JSON does not know become text, NaN becomes nothing."""
        if not _NAME.fullmatch(kind):
            raise JournalError(f'{self.path}: "{kind}" cannot be a kind of record; use letters, digits, "_" and "-"')
        return self._append(FrameKind.RECORD, encode_json({"kind": kind, "t": float(t), "fields": fields}))

    def session(self, fields: Mapping[str, Any]) -> int:
        """Add facts that stay outside the content digest: wall times, paths, what the computer did."""
        return self._append(FrameKind.SESSION, encode_json(fields))

    # -- the disk

    @property
    def made(self) -> tuple[int, str]:
        """How many frames there are, those in memory included, and the hash of the chain there, in hex."""
        return self._next, self._chain.hex()

    @property
    def unsynced_bytes(self) -> int:
        """Bytes that are in memory because the disk has not confirmed them."""
        return sum(map(len, self._frames))

    def write(self) -> None:
        """Hand what waits to the disk.

        Raises
        ------
        JournalFull
            The disk took nothing more; the file ends with a whole frame and the rest waits.
        """
        while self._written < len(self._frames):
            upto, size = self._written, 0
            while upto < len(self._frames) and size < BATCH_BYTES:
                size += len(self._frames[upto])
                upto += 1
            self._write_frames(self._frames[self._written : upto])

    def sync(self) -> None:
        """Hand over what waits and have the disk confirm it; raises JournalFull as `write` does."""
        self.write()
        if not self._frames:
            return
        try:
            self._file.sync()
        except OSError as error:
            # After a failed sync nobody knows which pages reached the disk, so all of them are written again.
            self._written, self._end = 0, self._synced
            raise self._full(error) from None
        self._frames.clear()
        self._written, self._synced = 0, self._end
        self.synced_seq, self.unsynced_since, self.confirmed = self._next - 1, None, self.made
        if self._acknowledged is not None:
            self._acknowledged(self.synced_seq)

    def close(self) -> None:
        """Sync and let go of the file; closing twice is nothing.

        Raises
        ------
        JournalFull
            What waits does not fit; the file is still open, so that closing may be tried again.
        """
        if self._closed:
            return
        self.sync()
        self._file.close()
        self._closed = True

    def copy_to(self, path: Path) -> None:
        """Write the whole journal to another place, what waits in memory included: for a disk that takes no more.

        Raises
        ------
        JournalError
            The other place exists, cannot be made, or is full too.
        """
        try:
            copy = DiskFile(path)
            try:
                done = 0
                with self.path.open("rb") as written:
                    while done < self._synced:
                        piece = written.read(min(BATCH_BYTES, self._synced - done))
                        if not piece:
                            raise OSError(errno.EIO, "the journal is shorter than what was synced")
                        done += _write_all(copy, done, piece)
                for frame in self._frames:
                    done += _write_all(copy, done, frame)
                copy.sync()
            finally:
                copy.close()
        except OSError as error:
            raise JournalError(f"{path}: cannot take a copy of the journal ({error.strerror})") from None

    def _append(self, kind: FrameKind, *parts: bytes) -> int:
        frame, self._chain = encode_frame(kind, self._next, self._chain, *parts)
        self._frames.append(frame)
        if self.unsynced_since is None:
            self.unsynced_since = self._wall()
        self._next += 1
        return self._next - 1

    def _declared(self, name: str) -> tuple[int, Stream, UniformClock]:
        try:
            return self._streams[name]
        except KeyError:
            raise JournalError(f'{self.path}: stream "{name}" was not declared before its first block') from None

    def _write_frames(self, frames: list[bytes]) -> None:
        data, done = b"".join(frames), 0
        try:
            while done < len(data):
                done += self._file.write(self._end + done, data[done:] if done else data)
        except OSError as error:
            self._keep_whole(frames, done)
            raise self._full(error) from None
        self._written += len(frames)
        self._end += len(data)

    def _keep_whole(self, frames: list[bytes], done: int) -> None:
        """After a write that broke off: count the frames that are whole and cut the one that is not."""
        for frame in frames:
            if done < len(frame):
                break
            done -= len(frame)
            self._written += 1
            self._end += len(frame)
        with contextlib.suppress(OSError):  # the reader stops at the partial frame, and the next write goes over it
            self._file.truncate(self._end)

    def _full(self, error: OSError) -> JournalFull:
        full = error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
        why = "the disk is full" if full else f"the disk does not take it ({error.strerror})"
        return JournalFull(
            f"{self.path}: {why}; {self.unsynced_bytes} bytes wait in memory and nothing is lost yet: "
            f"make room, and recording goes on by itself"
        )


def _write_all(file: JournalFile, offset: int, data: bytes) -> int:
    done = 0
    while done < len(data):
        done += file.write(offset + done, data[done:])
    return done
