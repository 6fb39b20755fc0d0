"""What became of each trial, as lines of JSON: each is on the disk before the next begins, so a kill loses none.

A line names the plan and the code that it belongs to.  Lines of another plan or of other code stay in the file and do
not count.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.file_lock import lock_file, lock_soon
from bench.json_lines import JsonLines, Line, read_lines
from bench.request import RequestError
from data.checks import Status

NAME = "trials.jsonl"
LOCK = "under-way.lock"

DIED = "died"
"""Status of a trial whose process died under it: it counts as a miss, and is run again by whoever goes on."""

CHANGED = "changed"
"""Status of a trial before or during which a file changed that its plan relies on: it is of no plan, and counts for
nothing."""

RUN_AGAIN = (DIED, Status.ABORTED, CHANGED)
"""Nothing in a matrix aborts a run but a signal to its process, so what was aborted says nothing of its row."""


class Ledger:
    """The trials of one plan, in a folder.  Use it in a ``with`` statement; one process at a time.

    Attributes
    ----------
    done : row key and seed -> what the trial said.
    foreign : how many lines belong to another plan or to other code.

    Raises
    ------
    RequestError
        The folder cannot be written, or another qualification is under way in it.
    """

    def __init__(self, folder: Path, plan: str, code: str) -> None:
        self.path = folder / NAME
        self._stamp = {"plan": plan, "code": code}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.fdopen(os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644), "r+b")
            if not lock_soon(self._lock):
                self._lock.close()
                raise RequestError(
                    f"--out {folder}: a qualification is under way there; wait for it, or choose another"
                )
            self._lock.truncate()
            self._lock.write(str(os.getpid()).encode())
            self._lock.flush()
            self._file = self.path.open("ab+")
        except OSError as error:
            raise RequestError(f"--out {folder}: {error.strerror}; choose a folder that can be written") from None
        self._lines = JsonLines(self._file)
        self.done, foreign = _counted(self._lines.rows, self._stamp)
        self.foreign = foreign + self._lines.damaged

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._lock.close()

    def append(self, trial: Mapping[str, Any]) -> None:
        """Add one trial; it is on the disk when this returns."""
        said = dict(trial)
        self._lines.append(self._stamp | said)
        if said.get("status") != CHANGED:
            self.done[said["row"], said["seed"]] = said


def look(folder: Path, plan: str, code: str) -> dict[tuple[str, int], dict[str, Any]]:
    """What trials said so far, while a process adds to them or after it; changes nothing."""
    try:
        data = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return {}
    return _counted(read_lines(data)[0], {"plan": plan, "code": code})[0]


def under_way(folder: Path) -> int | None:
    """Process that runs trials into a folder; None where none does."""
    try:
        file = (folder / LOCK).open("r+b")
    except OSError:
        return None
    with file:
        if lock_file(file):
            return None
        said = file.read()
    return int(said) if said.isdigit() else None


def _counted(lines: Iterable[Line], stamp: Mapping[str, str]) -> tuple[dict[tuple[str, int], dict[str, Any]], int]:
    """Trials that count, and how many do not."""
    done: dict[tuple[str, int], dict[str, Any]] = {}
    foreign = 0
    for said in lines:
        if {key: said.pop(key, None) for key in stamp} != stamp:
            foreign += 1
        elif said.get("status") not in RUN_AGAIN:
            done[said["row"], said["seed"]] = said
    return done, foreign
