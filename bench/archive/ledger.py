"""What was said of each file, as lines of JSON: each is on the disk before the next, so a kill loses none.

A line names the code and the file's size and time of change; lines of other code or of a file that changed since stay
and do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from bench.archive.look import NOT_REPEATED
from bench.file_lock import lock_file
from bench.json_lines import JsonLines
from data.disk import named


class LedgerError(ValueError):
    """A ledger that cannot be used; the sentence says why and what to do."""


class Ledger:
    """What is known of the files of a folder.  Use it in a ``with`` statement; one process at a time.

    Attributes
    ----------
    done : what stands, by file.
    foreign : how many lines do not count.

    Raises
    ------
    LedgerError
        It cannot be written, or another process writes it.
    """

    def __init__(self, path: Path, folder: Path, code: str) -> None:
        self._path, self._folder, self._code = path, folder.resolve(), code
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open("ab+")
        except OSError as error:
            raise LedgerError(f"--out {path}: {error.strerror}; choose a file that can be written") from None
        if not lock_file(self._file):
            self._file.close()
            raise LedgerError(f"--out {path}: another evaluation writes it; wait for that, or choose another file")
        self._lines = JsonLines(self._file)
        self.done: dict[Path, dict[str, Any]] = {}
        self.foreign = self._lines.damaged
        self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with named(self._path):  # what a full disk did not take is tried once more
            self._file.close()

    def append(self, path: Path, said: Mapping[str, Any]) -> None:
        """Add what was said of a file; it is on the disk when this returns."""
        with named(self._path):
            self._lines.append({"file": self._name(path), "code": self._code, **_state(path), **said})
        self.done[path] = dict(said)

    def _name(self, path: Path) -> str:
        """How the ledger names a file, a link too: from the archive's folder, which may be moved."""
        return path.relative_to(self._folder).as_posix()

    def _read(self) -> None:
        """Take over the lines that stand."""
        for said in self._lines.rows:
            path = self._folder / str(said.pop("file", ""))
            stamp = {
                "code": said.get("code"),
                "size": said.pop("size", None),
                "changed_ns": said.pop("changed_ns", None),
            }
            if stamp != {"code": self._code, **_state(path)}:
                self.foreign += 1
            elif said.get("outcome") in NOT_REPEATED:
                self.done[path] = said


def _state(path: Path) -> dict[str, int | None]:
    """What shows that a file is not the one that was looked at."""
    try:
        found = path.stat()
    except OSError:
        return {"size": None, "changed_ns": None}
    return {"size": found.st_size, "changed_ns": found.st_mtime_ns}
