"""What became of each trial, as lines of JSON: each is on the disk before the next begins, so a kill loses none.

A line names the plan and the code that it belongs to.  Lines of another plan or of other code stay in the file and do
not count.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.request import RequestError

NAME = "trials.jsonl"

DIED = "died"
"""Status of a trial whose process died under it: it counts as a miss, and is run again by whoever goes on."""


class Ledger:
    """The trials of one plan, in a folder.  Use it in a ``with`` statement; one process at a time.

    Attributes
    ----------
    done : row key and seed -> what the trial said.
    foreign : how many lines belong to another plan or to other code.
    """

    def __init__(self, folder: Path, plan: str, code: str) -> None:
        self.path = folder / NAME
        self._stamp = {"plan": plan, "code": code}
        self.done: dict[tuple[str, int], dict[str, Any]] = {}
        self.foreign = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab+")
        except OSError as error:
            raise RequestError(f"--out {folder}: {error.strerror}; choose a folder that can be written") from None
        self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, trial: Mapping[str, Any]) -> None:
        """Add one trial; it is on the disk when this returns."""
        said = dict(trial)
        self._file.write(json.dumps(self._stamp | said, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done[said["row"], said["seed"]] = said

    def _read(self) -> None:
        """Take what is there; a line that a kill tore goes."""
        self._file.seek(0)
        whole = 0
        for line in self._file.read().splitlines(keepends=True):
            try:
                said = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                said = None
            if said is None:
                break
            whole += len(line)
            if {key: said.pop(key, None) for key in self._stamp} != self._stamp:
                self.foreign += 1
            elif said.get("status") != DIED:
                self.done[said["row"], said["seed"]] = said
        self._file.seek(0, os.SEEK_END)
        if self._file.tell() > whole:
            self._file.truncate(whole)
