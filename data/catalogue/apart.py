"""Reading run files in a process of its own, which a damaged one may crash or hang."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from data.catalogue.entry import Entry, damaged, read_entry

PATIENCE_S = 20.0
"""How long one file may take: its samples are not read."""

START_S = 60.0
"""How long the process may take to begin."""


def read_apart(
    paths: Iterable[Path], *, patience_s: float = PATIENCE_S, read: Callable[[Path], Entry] = read_entry
) -> Iterator[Entry]:
    """The entry of each file, in order; one that crashes or hangs the reading process is said to be damaged."""
    reader: _Reader | None = None
    try:
        for path in paths:
            if reader is None:
                reader = _Reader(read)
            entry = reader.read(path, patience_s)
            if isinstance(entry, str):
                yield _stopped(path.absolute(), entry)
                reader.close()
                reader = None
            else:
                yield entry
    finally:
        if reader is not None:
            reader.close()


class _Reader:
    """A process that reads one file after the other."""

    def __init__(self, read: Callable[[Path], Entry]) -> None:
        context = get_context("spawn")  # gRPC does not survive a fork
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, read), daemon=True)
        self._process.start()
        theirs.close()
        with suppress(EOFError, OSError):
            if self._pipe.poll(START_S):
                self._pipe.recv()  # it is there

    def read(self, path: Path, patience_s: float) -> Entry | str:
        """The entry, or what became of the process instead."""
        try:
            self._pipe.send(path)
            if not self._pipe.poll(patience_s):
                return f"reading it did not end within {patience_s:g} s; the file is damaged"
            entry: Entry = self._pipe.recv()
        except (EOFError, OSError):
            return "reading it ended the process that read it; the file is damaged"
        return entry

    def close(self) -> None:
        """End the process, however it is."""
        self._pipe.close()
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, read: Callable[[Path], Entry]) -> None:
    """Answer until nobody asks any more."""
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        pipe.send(None)
        while True:
            pipe.send(read(pipe.recv()))


def _stopped(path: Path, why: str) -> Entry:
    size = changed_ns = 0
    with suppress(OSError):
        there = path.stat()
        size, changed_ns = there.st_size, there.st_mtime_ns
    return damaged(path, size, changed_ns, why)
