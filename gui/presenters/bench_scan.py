"""What every station is at, as the state folder and the runners tell it; looked at aside, since runners may be silent.

A `Scanner` is used by one thread at a time.  It keeps what cannot change any more: ended runs whose file was found,
plans, and station files that are as they were.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from errno import ENOENT
from pathlib import Path
from typing import Any

from bench.latch import Latch, LatchError, latches_of
from bench.positions import joined, parted
from bench.rpc.client import Client, ClientError
from bench.rpc.messages import Status
from bench.run_queue import Entry, RunState, station_holder
from bench.station import SHIPPED, Station, load_station, stations_in
from data.frames import JournalError
from data.journal_reader import JournalReader
from gui.presenters.known_runs import KnownRuns
from gui.presenters.near_files import text_of
from gui.presenters.station_files import name_in, own_files

ANSWER_S = 0.7
"""How long a look waits for one runner."""

MOST_ASKED = 8
"""Runners that are asked at once."""

MOST_ENDED = 50
"""The latest runs that have ended and are shown."""


@dataclass(frozen=True, slots=True)
class RunNow:
    """A run that has begun and has not ended.

    Attributes
    ----------
    status : the last that its runner told; None before it told any.
    silent_s : for how long it has not answered.
    steps : of its plan; empty before it is recorded.
    """

    entry: Entry
    state: RunState
    status: Status | None = None
    silent_s: float = 0.0
    steps: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over.

    Attributes
    ----------
    at : when it ended.
    file : its run file, if there is one.
    """

    entry: Entry
    state: RunState
    at: datetime
    file: Path | None

    @property
    def has_died(self) -> bool:
        """Whether its runner is gone without a word, and what it left has not been closed since."""
        return self.state.ending is not None and self.state.ending.state == "died" and self.file is None


@dataclass(frozen=True, slots=True)
class StationNow:
    """One station.

    Attributes
    ----------
    name : as its file calls it.
    file : as a request names it; empty where no file of it is at hand.
    station : what the file says; None where it cannot be read, then ``wrong`` says why.
    holder : number of the run that holds it, 0 for one in the foreground, None when nobody does.
    run : the run that goes on.
    died : its last run, if that has died and nobody has closed its record.
    """

    name: str
    file: str = ""
    station: Station | None = None
    wrong: str = ""
    latches: tuple[Latch, ...] = ()
    holder: int | None = None
    run: RunNow | None = None
    waiting: tuple[Entry, ...] = ()
    died: Ended | None = None

    @property
    def title(self) -> str:
        """What its file calls it besides."""
        return "" if self.station is None else self.station.title


@dataclass(frozen=True, slots=True)
class Scan:
    """All stations and the runs that have ended, at a moment; ``damaged`` says what nobody can read."""

    stations: tuple[StationNow, ...]
    ended: tuple[Ended, ...]
    now: datetime
    damaged: tuple[str, ...] = ()


class Scanner:
    """Looks at everything, again and again."""

    def __init__(self, folder: Path, state_folder: Path) -> None:
        self._folder = folder
        self._state_folder = state_folder
        self._runs = KnownRuns(state_folder)
        self._ended: dict[int, Ended] = {}
        self._steps: dict[int, tuple[Mapping[str, Any], ...]] = {}
        self._told: dict[int, tuple[float | None, Status | None]] = {}  # number -> unanswered since, the last it told
        self._files: dict[str, tuple[int, StationNow]] = {}
        self._own: dict[str, StationNow] = {}  # of files near at hand, as they last could be looked for
        self._was_there = False  # the folder of the runs; it is made by the first run
        self._unread = ""

    def scan(self) -> Scan:
        """Everything as it is now."""
        there, damaged = self._runs.look_through()
        states = {entry.number: entry.state() for entry in there if entry.number not in self._ended}
        died = self._sort_out(there, states)
        going = [entry for entry in there if entry.number in states and entry.number not in died]
        runs = self._ask([entry for entry in going if states[entry.number].state != "waiting"], states)
        known = self._stations(there)
        found = []
        for name, now in known.items():
            waits = tuple(one for one in going if one.station == name and states[one.number].state == "waiting")
            run = next((one for one in runs if one.entry.station == name), None)
            last = max((one for one in there if one.station == name and one not in waits), default=None, key=_number)
            lost = died.get(last.number) if last is not None else None
            found.append(self._with(now, run, waits, lost if lost is not None and lost.has_died else None))
        ended = sorted([*self._ended.values(), *died.values()], key=lambda one: one.entry.number, reverse=True)
        wrong = (*damaged.values(), *([self._unread] if self._unread else ()))
        return Scan(tuple(found), tuple(map(self._with_file, ended[:MOST_ENDED])), datetime.now(UTC), wrong)

    def _sort_out(self, there: list[Entry], states: dict[int, RunState]) -> dict[int, Ended]:
        """Keep what is over for good; returns what has died, which may yet be recovered."""
        died = {}
        for entry in there:
            state = states.get(entry.number)
            if state is None or state.ending is None:
                continue
            ended = Ended(entry, state, _ended_at(entry, state), _run_file(state))
            if state.ending.state == "died":
                died[entry.number] = ended
            else:
                self._ended[entry.number] = ended
                del states[entry.number]
            self._steps.pop(entry.number, None)
            self._told.pop(entry.number, None)
        return died

    def _with_file(self, one: Ended) -> Ended:
        """Look again for a file that was not there: its share was not mounted, or its record is sealed only now."""
        number = one.entry.number
        if one.file is None and number in self._ended and (file := _run_file(one.state)) is not None:
            one = self._ended[number] = replace(one, file=file)
        return one

    # -- runners

    def _ask(self, going: list[Entry], states: Mapping[int, RunState]) -> list[RunNow]:
        """Ask the runners of the runs that go on, side by side."""
        if not going:
            return []
        with ThreadPoolExecutor(min(len(going), MOST_ASKED)) as pool:
            return list(pool.map(lambda entry: self._run(entry, states[entry.number]), going))

    def _run(self, entry: Entry, state: RunState) -> RunNow:
        now = time.monotonic()
        since, before = self._told.get(entry.number, (None, None))
        status = None if state.doors is None else _status(entry, state)
        if status is not None or state.doors is None:
            self._told[entry.number] = (None, status)
            return RunNow(entry, state, status, 0.0, self._plan(entry, state))
        since = now if since is None else since  # nobody may have asked for a while before
        self._told[entry.number] = (since, before)
        return RunNow(entry, state, before, time.monotonic() - since, self._plan(entry, state))

    def _plan(self, entry: Entry, state: RunState) -> tuple[Mapping[str, Any], ...]:
        """The steps of a run, from its journal's header."""
        if entry.number not in self._steps and state.journal:
            try:
                with JournalReader(Path(state.journal)) as reader:
                    self._steps[entry.number] = tuple(reader.header.get("steps") or ())
            except (JournalError, OSError):
                return ()
        return self._steps.get(entry.number, ())

    # -- stations

    def _stations(self, there: Iterable[Entry]) -> dict[str, StationNow]:
        """Every station by its name: one's own files first, then those of runs."""
        try:
            paths, is_there = own_files(self._folder), self._folder.is_dir()
            if self._was_there and not is_there:
                raise FileNotFoundError(ENOENT, "it is not there any more", str(self._folder))
        except OSError as error:  # a share that has gone must not hide what goes on at the stations
            where = error.filename or self._folder
            self._unread = f"{where} cannot be read ({error.strerror}): station files are those that were there before"
        else:
            self._own, self._was_there, self._unread = self._in_files(paths), is_there, ""
        found = dict(self._own)
        for entry in sorted(there, key=_number, reverse=True):
            if entry.station not in found:
                asked = str(entry.request_fields.get("station", ""))
                file, position = parted(asked)
                path = SHIPPED / f"{file}.toml" if not file.endswith(".toml") else Path(entry.cwd) / file
                now = self._read(path, asked if path.parent == SHIPPED else joined(path, position))
                found[entry.station] = now if now.name == entry.station else StationNow(entry.station)
        return found

    def _in_files(self, paths: Iterable[Path]) -> dict[str, StationNow]:
        """The stations of files by their names; of two with one name the first."""
        found: dict[str, StationNow] = {}
        for path in paths:
            for file in _named(path):
                now = self._read(path, file)
                if now.name:
                    found.setdefault(now.name, now)
        return found

    def _read(self, path: Path, file: str) -> StationNow:
        """A station file; read again only when it has changed."""
        kept = self._files.get(file)
        try:
            changed = path.stat().st_mtime_ns
        except FileNotFoundError:
            return StationNow("")
        except OSError:  # it cannot be reached just now
            return StationNow("") if kept is None else kept[1]
        if kept is None or kept[0] != changed:
            kept = self._files[file] = (changed, _described(path, file))
        return kept[1]

    def _with(self, now: StationNow, run: RunNow | None, waits: tuple[Entry, ...], died: Ended | None) -> StationNow:
        latches: tuple[Latch, ...] = ()
        if now.station is not None:
            try:
                kept = latches_of(now.station)
                latches = () if kept is None else tuple(kept.standing())
            except LatchError as error:
                latches = (Latch("unknown", str(error), ""),)
        holder = station_holder(self._state_folder, now.name)
        return StationNow(now.name, now.file, now.station, now.wrong, latches, holder, run, waits, died)


def _number(entry: Entry) -> int:
    return entry.number


def _named(path: Path) -> list[str]:
    """The stations of a file, as a run names them."""
    try:
        return stations_in(str(path))
    except (ValueError, OSError):
        return [str(path)]


def _described(path: Path, file: str) -> StationNow:
    try:
        station = load_station(file)
    except (ValueError, OSError) as error:
        name = name_in(text_of(path))
        return StationNow(name or path.stem, file, wrong=str(error).splitlines()[0])
    return StationNow(station.name, file, station)


def _status(entry: Entry, state: RunState) -> Status | None:
    assert state.doors is not None
    try:
        with Client(state.doors, entry, answer_s=ANSWER_S) as client:
            return client.status()
    except (ClientError, OSError):
        return None


def _run_file(state: RunState) -> Path | None:
    """The run file, also one that was made of the journal afterwards."""
    ending = state.ending
    said = (ending.run_file if ending is not None else "") or state.run_file
    is_told = bool(said)
    if not is_told and state.journal:
        said = str(Path(state.journal).with_suffix(".h5"))
    try:
        return Path(said) if said and Path(said).exists() else None
    except OSError:  # its share cannot be reached: who opens it is told
        return Path(said) if is_told else None


def _ended_at(entry: Entry, state: RunState) -> datetime:
    """When its state was last written, or its record."""
    died = state.ending is not None and state.ending.state == "died"
    places = [Path(state.journal)] if died and state.journal else []
    for path in (*places, entry.folder / "state.json", entry.folder / "claimed", entry.folder):
        try:
            return datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except OSError:
            continue
    return datetime.fromisoformat(entry.asked).astimezone(UTC)
