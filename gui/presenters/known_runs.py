"""The runs of a state folder, looked at again and again: what cannot change any more is read once.

A lab that has queued five thousand runs has ten thousand files there; a look every second or two must not read them
all.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection
from pathlib import Path

from bench.run_queue import Entry, RunState, look_through

SETTLED_S = 3.0
"""A folder that was changed within this may be changed again without another time stamp."""

LATE_S = 3.0
"""What was seen longer ago than this is not what is."""


class KnownRuns:
    """The runs of one state folder; may be used from several threads.

    Parameters
    ----------
    folder : the state folder of the queue.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._damaged: dict[int, str] = {}
        self._seen: object = None
        self._names_at = 0  # change of the folder at which its names were looked through, and those not known then
        self._unread: list[Path] = []
        self._over: dict[int, RunState] = {}

    def look_through(self) -> tuple[list[Entry], dict[int, str]]:
        """As `bench.run_queue.look_through`."""
        with self._lock:
            seen = self._stamp()
            if seen is None or seen != self._seen:
                before = {entry.number: entry for entry in self._entries}
                self._entries, self._damaged = look_through(self._folder)
                same = {entry.number for entry in self._entries if before.get(entry.number) == entry}
                self._over = {number: state for number, state in self._over.items() if number in same}
                self._names_at = 0
                self._seen = self._stamp()  # with the folders that had nothing to read in them
            return list(self._entries), dict(self._damaged)

    def state(self, entry: Entry) -> RunState:
        """As `Entry.state`; what has died may yet be closed, every other end is for good."""
        known = self._over.get(entry.number)
        if known is not None:
            return known
        state = entry.state()
        if state.ending is not None and state.ending.state != "died":
            self._over[entry.number] = state
        return state

    def going(self) -> list[tuple[Entry, RunState]]:
        """The runs that have not ended, in order, with their states."""
        states = [(entry, self.state(entry)) for entry in self.look_through()[0]]
        return [(entry, state) for entry, state in states if state.ending is None]

    def _stamp(self) -> object:
        """Another one when a run may have come or gone, or one that could not be read may be read now."""
        runs = self._folder / "runs"
        try:
            changed = runs.stat().st_mtime_ns
            if time.time() - changed / 1e9 < SETTLED_S:
                return None
            if changed != self._names_at:  # else no name has come or gone
                known, names = {entry.number for entry in self._entries}, list(runs.glob("[0-9]*"))
                self._unread = [path for path in names if not path.name.isdecimal() or int(path.name) not in known]
                self._names_at = changed
            return changed, tuple((path.name, *map(_changed, (path, path / "request.json"))) for path in self._unread)
        except OSError:
            return None


class Lookout:
    """Looks again and again which runs there are, in a thread of its own: a folder that hangs holds up nobody.

    Parameters
    ----------
    folder : the state folder of the queue.
    every_s : between two looks.
    wanted : numbers of runs that are looked for anew until they can be read.

    Attributes
    ----------
    runs : every run that was seen last, with its state; None instead of one that cannot be read.
    looked : set once the first look has succeeded or failed.
    """

    def __init__(self, folder: Path, every_s: float, wanted: Collection[int] = ()) -> None:
        self.runs: list[tuple[Entry, RunState | None]] = []
        self.looked = threading.Event()
        self._folder, self._every_s, self._wanted = folder, every_s, frozenset(wanted)
        self._known = KnownRuns(folder)
        self._began = time.monotonic()
        self._seen_at: float | None = None
        self._over = threading.Event()
        threading.Thread(target=self._look, name="runs", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    @property
    def is_new(self) -> bool:
        """Whether nothing was seen yet, and it is too early to wonder why."""
        return not self.looked.is_set() and time.monotonic() - self._began < LATE_S

    @property
    def is_known(self) -> bool:
        """Whether all that goes on was seen just now."""
        seen_at = self._seen_at
        return seen_at is not None and time.monotonic() - seen_at < LATE_S

    def _look(self) -> None:
        while not self._over.is_set():
            try:
                self.runs = self._read()
                is_whole = all(state is not None for _, state in self.runs)
            except (OSError, ValueError):  # a file is being written, or out of reach: what was seen stays
                is_whole = False
            self._seen_at = time.monotonic() if is_whole else None
            self.looked.set()
            self._over.wait(self._every_s)

    def _read(self) -> list[tuple[Entry, RunState | None]]:
        with os.scandir(self._folder / "runs"):
            pass  # raises where it cannot be read, which a look through it does not
        found = self._known.look_through()[0]
        missing = self._wanted - {entry.number for entry in found}
        if missing:  # what could not be read is not read again before it changes
            found += look_through(self._folder, lambda run: run.name.isdecimal() and int(run.name) in missing)[0]
        return [(entry, self._state(entry)) for entry in found]

    def _state(self, entry: Entry) -> RunState | None:
        try:
            return self._known.state(entry)
        except (OSError, ValueError, LookupError, TypeError):  # that of another run can be read
            return None


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
