"""Runs that wait, go on and have ended, as files: the queue, what became of each run, and who holds which station.

    HOME/runs/0007/request.json     what was asked for; the folder's name is the run's number
    HOME/runs/0007/claimed          somebody has taken it: a runner, or a person who withdrew it
    HOME/runs/0007/state.json       where its runner is, what became of it
    HOME/runs/0007/runner.log       what its runner had to say
    HOME/stations/NAME.halts        how often a person wanted none to follow
    HOME/stations/NAME.lock         locked by whoever holds the station, with what it is

Nothing here needs a process that lives: a queue outlasts a crash, and a lock goes with its process.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bench.file_lock import lock_file, lock_soon
from bench.rpc.doors import Doors, private_folder
from bench.rpc.messages import Ending
from bench.state_folder import home
from data.disk import sync_folder
from instruments.clock import WallClock

if TYPE_CHECKING:
    from bench.preflight import Finding
    from bench.request import Override, Request
    from bench.station import Station

EXIT_WITHDRAWN = 2
"""Exit code of a run that had not begun."""

JUST_S = 10.0
"""Within this after a run was taken whoever took it may not have told yet that it begins, or that it is withdrawn."""

REPLACE_FOR_S = 2.0
"""On Windows a file that somebody reads cannot be replaced; readers are quick."""


class QueueError(ValueError):
    """A run that is not there, or cannot be queued; the message says why and what to do."""


# ------------------------------------------------------------------------------------------------------------ runs


@dataclass(frozen=True, slots=True)
class RunState:
    """What a runner tells of its run on disk; ``ending`` is there when it is over."""

    state: str
    pid: int = 0
    doors: Doors | None = None
    run_id: str = ""
    journal: str = ""
    run_file: str = ""
    began: str = ""
    ending: Ending | None = None


_TAKEN = RunState("starting")


@dataclass(frozen=True, slots=True)
class Entry:
    """One run of the queue."""

    number: int
    folder: Path
    procedure: str
    station: str
    cwd: str
    asked: str
    hold: bool = False
    request_fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The state folder that it is in."""
        return self.folder.parents[1]

    @property
    def log(self) -> Path:
        """What its runner had to say."""
        return self.folder / "runner.log"

    def request(self) -> Request:
        """What was asked for; raises QueueError when another version asked."""
        from bench.request import Override, Request

        said = dict(self.request_fields)
        try:
            said["overrides"] = [Override(**one | {"read": tuple(one.get("read", ()))}) for one in said["overrides"]]
            return Request(**{**said, "out": Path(said["out"])})
        except (KeyError, TypeError) as error:
            raise QueueError(f"run {self.number} was queued by another version ({error}); queue it again") from None

    def claim(self) -> bool:
        """Take the run, to conduct it or to withdraw it; False when somebody else has."""
        try:
            os.close(os.open(self.folder / "claimed", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return False
        return True

    def withdraw(self, person: str, reason: str) -> bool:
        """Take the run out of the queue; False when it has begun, or somebody else has withdrawn it."""
        if not self.claim():
            return False
        ending = Ending("withdrawn", reason=reason, person=person, exit_code=EXIT_WITHDRAWN)
        self.tell(RunState("withdrawn", ending=ending))
        return True

    def tell(self, state: RunState) -> None:
        """Write what became of it."""
        _write(self.folder / "state.json", asdict(state))

    def state(self) -> RunState:
        """What became of it; "died" when its runner did."""
        said = self._said()
        if said.state == "waiting" or said.ending is not None or station_holder(self.home, self.station) == self.number:
            return said
        said = self._said()  # it may have ended in between
        if said.ending is not None or (said == _TAKEN and self._just_taken()):
            return said
        return replace(said, state="died", ending=self._death(said))

    def _just_taken(self) -> bool:
        """Whether it was taken a moment ago, and nothing has been told of it."""
        if (self.folder / "state.json").exists():
            return False
        with suppress(FileNotFoundError):
            age_s = WallClock().start.timestamp() - (self.folder / "claimed").stat().st_mtime
            return abs(age_s) < JUST_S
        return False

    def _said(self) -> RunState:
        try:
            said = json.loads((self.folder / "state.json").read_text("utf-8"))
            doors, ending = said.pop("doors"), said.pop("ending")
            return RunState(
                **_known(RunState, said),
                doors=None if doors is None else Doors(**doors),
                ending=None if ending is None else Ending(**_known(Ending, ending)),
            )
        except FileNotFoundError:
            return _TAKEN if (self.folder / "claimed").exists() else RunState("waiting")
        except (ValueError, KeyError, TypeError, AttributeError):
            return _TAKEN  # somebody told something: it was begun, and is not to begin again

    def _death(self, said: RunState) -> Ending:
        journal = f'"{said.journal}"' if " " in str(said.journal) else said.journal
        remedy = f"; then: pumpbench recover {journal}" if said.journal else ""
        reason = f"its runner died without a word; see that the bench is safe, and {self.log}{remedy}"
        return Ending("died", reason=reason, exit_code=3, journal=said.journal)


def submit(request: Request, *, hold: bool = False) -> tuple[Entry, Sequence[Finding]]:
    """Check a request, queue it and start a runner; returns the run and what the preflight found.

    Where others were left to a person, as after a stop, it waits behind them: what they move nobody has asked for now.

    Raises
    ------
    ValueError
        Bad input, or a finding that blocks: nothing was queued.
    """
    from bench.session import check

    here = request.out.absolute()  # as its runner has it, or an override would be of another sentence than it finds
    station, findings = check(replace(request, attended=True, out=here))
    # A client can always come, but no person answers in time that jumps.
    attended = not station.simulated or request.pace is not None
    request = replace(request, attended=attended, overrides=[_as_read(one, findings) for one in request.overrides])
    entry = enqueue(home(), request, station.name, hold=hold)
    if left_alone(entry) is None:
        start_runner(home(), station.name)
    return entry, findings


def _as_read(override: Override, findings: Iterable[Finding]) -> Override:
    """An override of what stands against a run now: until its turn comes something else may."""
    now = tuple(one.text for one in findings if one.level == "blocks" and one.code == override.finding)
    return override if override.read else replace(override, read=now)


def enqueue(folder: Path, request: Request, station: str, *, hold: bool = False) -> Entry:
    """Put a checked request into the queue of a station; raises QueueError for one that cannot be written down."""
    if request.replay is not None:
        raise QueueError("a replay cannot wait in the queue; run it in the foreground")
    said = {item.name: getattr(request, item.name) for item in fields(request) if item.name != "replay"}
    said |= {"out": str(request.out), "settings": dict(request.settings), "faults": list(request.faults)}
    said["overrides"] = [asdict(one) | {"read": list(one.read)} for one in request.overrides]
    runs = private_folder(_private_home(folder) / "runs")
    number = max((int(path.name) for path in runs.iterdir() if path.name.isdecimal()), default=0)
    while True:
        number += 1
        with suppress(FileExistsError):
            (runs / f"{number:04d}").mkdir(mode=0o700)
            break
    now = WallClock().start.isoformat(timespec="seconds")
    entry = Entry(number, runs / f"{number:04d}", request.procedure, station, str(Path.cwd()), now, hold, said)
    _write(entry.folder / "request.json", {key: value for key, value in asdict(entry).items() if key != "folder"})
    sync_folder(runs)
    return entry


def entries(folder: Path) -> list[Entry]:
    """Every run of a state folder, in order, but for those that are `unreadable`."""
    return look_through(folder)[0]


def unreadable(folder: Path) -> dict[int, str]:
    """The runs that another program, or a power cut, has left without what was asked for; a sentence on each."""
    return look_through(folder)[1]


def look_through(folder: Path, wanted: Callable[[Path], bool] = lambda run: True) -> tuple[list[Entry], dict[int, str]]:
    """`entries` and `unreadable` at once, of the runs whose folder is wanted: of thousands, few need be read.

    Raises OSError where nobody knows which runs there are.
    """
    found, damaged = list[Entry](), dict[int, str]()
    for path in filter(wanted, _folders(folder / "runs")):
        file = path / "request.json"
        try:
            said = json.loads(file.read_text("utf-8"))
            found.append(Entry(**_known(Entry, said), folder=path))
        except FileNotFoundError:
            continue  # being made, or removed
        except (OSError, ValueError, TypeError, AttributeError):
            if path.name.isdecimal():
                damaged[int(path.name)] = (
                    f"run {path.name} is left out: {file} cannot be read; queue it again, then remove its folder"
                )
    return sorted(found, key=lambda entry: entry.number), dict(sorted(damaged.items()))


def _folders(runs: Path) -> list[Path]:
    """Not by `Path.glob`, which takes a folder that cannot be read for an empty one, in some versions of Python."""
    try:
        with os.scandir(runs) as there:
            return [runs / one.name for one in there if "0" <= one.name[0] <= "9"]
    except FileNotFoundError:  # no run was ever asked for
        return []


def waiting(folder: Path, station: str) -> list[Entry]:
    """The runs that wait for a station, in order."""
    there = look_through(folder, lambda run: not (run / "claimed").exists())[0]
    return [entry for entry in there if entry.station == station and entry.state().state == "waiting"]


def left_alone(entry: Entry) -> Entry | None:
    """The first run that waits before this one although nobody holds the station: a person has to begin it."""
    if station_holder(entry.home, entry.station) is not None:
        return None
    return next((one for one in waiting(entry.home, entry.station) if one.number < entry.number), None)


def find(folder: Path, name: str | None) -> Entry:
    """The run of a number, or of the beginning of a run's id; without a name the only one that goes on.

    Raises
    ------
    QueueError
        There is none, or more than one.
    """
    there = entries(folder)
    if name is None:
        found = [entry for entry in there if entry.state().ending is None]
        if not found:
            raise QueueError("no run goes on; see: pumpbench runner list")
    elif name.isdecimal():
        found = [entry for entry in there if entry.number == int(name)]
    else:
        found = [entry for entry in there if entry.state().run_id.startswith(name)]
    if not found:
        damaged = unreadable(folder).get(int(name)) if name and name.isdecimal() else None
        raise QueueError(damaged or f'there is no run "{name}"; see: pumpbench runner list')
    if len(found) > 1:
        numbers = ", ".join(str(entry.number) for entry in found)
        raise QueueError(f"several runs can be meant ({numbers}); say which one, by its number")
    return found[0]


def start_runner(folder: Path, station: str) -> None:
    """Start a process that conducts the first waiting run of a station; it goes at once when another one does."""
    log = _private_home(folder) / "runners.log"
    words = ["--home", str(folder), f"--station={station}", f"--halts={halts(folder, station)}"]
    command = [sys.executable, "-P", "-m", "bench.runner", *words]
    with os.fdopen(os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **_own_session())
    WallClock().worker("runner's end", process.wait)  # or it stays a zombie while this process lives


def halt_queue(folder: Path, station: str) -> None:
    """Keep processes that were started before now from conducting a waiting run: a person wants none to follow."""
    path = _halts_path(folder, station)
    private_folder(path.parent)
    _write(path, halts(folder, station) + 1)


def halts(folder: Path, station: str) -> int:
    """How often the queue of a station was halted: a count, since a computer's clock may be set back."""
    try:
        return int(_halts_path(folder, station).read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def _own_session() -> dict[str, Any]:
    """What keeps a process from ending with the terminal, or from hearing its Ctrl-C."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    return {"start_new_session": True}


# ----------------------------------------------------------------------------------------------------------- locks


class StationLock:
    """Holds a station for this process, until it is released or the process ends however it may."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    @classmethod
    def take(cls, folder: Path, station: str) -> StationLock | None:
        """Hold a station, unless another process does; a lock whose process is gone is none."""
        path = _lock_path(folder, station)
        private_folder(path.parent)
        file = os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+b")
        if not lock_soon(file):
            file.close()
            return None
        lock = cls(file)
        lock._write({})
        return lock

    def tell(self, holder: Mapping[str, Any]) -> None:
        """Say what holds it."""
        self._write({"pid": os.getpid(), **holder})

    def release(self) -> None:
        """Let go; twice is nothing."""
        if not self._file.closed:
            self._write({})
            self._file.close()

    def _write(self, said: Mapping[str, Any]) -> None:
        self._file.seek(0)
        self._file.truncate()
        if said:
            self._file.write(json.dumps(said).encode())
        self._file.flush()


def station_holder(folder: Path, station: str) -> int | None:
    """Number of the run that holds a station; 0 for a run in the foreground, None when nobody does."""
    try:
        file = _lock_path(folder, station).open("r+b")
    except FileNotFoundError:
        return None
    with file:
        if lock_file(file):
            return None
        said = file.read()
    return int(json.loads(said)["number"]) if said else None  # it has just taken it, and no run yet


@contextmanager
def holding(station: Station) -> Iterator[None]:
    """Hold the station of a run in the foreground, if it has hardware; raises QueueError when somebody else does."""
    if station.simulated:
        yield  # each process has its own
        return
    lock = StationLock.take(_private_home(home()), station.name)
    if lock is None:
        number = station_holder(home(), station.name)
        by = f"run {number}" if number else "another run"
        raise QueueError(f'station "{station.name}" is held by {by}; wait for its end, or queue this one with --detach')
    lock.tell({"number": 0, "station": station.name, "resources": list(resources_of(station))})
    try:
        yield
    finally:
        lock.release()


def in_foreground(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Each station that a run in the foreground holds, with the VISA resources of its instruments."""
    for path in sorted((folder / "stations").glob("*.lock")):
        with path.open("r+b") as file:
            said = b"" if lock_file(file) else file.read()
        holder = json.loads(said) if said else {}
        if "resources" in holder:
            yield holder["station"], holder["resources"]


def resources_of(station: Station) -> Iterator[str]:
    """VISA resources of a station's instruments."""
    for table in station.instruments.values():
        if resource := (table.model_extra or {}).get("resource"):
            yield str(resource)


def _halts_path(folder: Path, station: str) -> Path:
    return _lock_path(folder, station).with_suffix(".halts")


def _lock_path(folder: Path, station: str) -> Path:
    return folder / "stations" / f"{re.sub(r'[^A-Za-z0-9_-]', '_', station)}.lock"


# ----------------------------------------------------------------------------------------------------------- files


def _private_home(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _known(kind: type[Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """What this version knows of what another one may have written."""
    names = {item.name for item in fields(kind)}
    return {name: value for name, value in said.items() if name in names}


def _write(path: Path, said: object) -> None:
    """Write a file whole or not at all, for this user alone; it is on the disk when this returns."""
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="utf-8") as out:
        json.dump(said, out, indent=1)
        out.flush()
        os.fsync(out.fileno())  # or a power cut may leave the name without the content
    wall = WallClock()
    while True:
        try:
            part.replace(path)
        except PermissionError:
            if sys.platform != "win32" or wall.now() > REPLACE_FOR_S:
                raise
            wall.sleep(0.02)
        else:
            sync_folder(path.parent)
            return
