"""Which tasks this computer has on an NI device server, in a file.

The server keeps the tasks of a client that was killed, and refuses their lines to its successor: after a SIGKILL nobody
could move a valve any more until the server is started anew.  So each task is noted before it is made, and who comes
next ends those that nobody has struck out.

Source: NI gRPC device server, "Session Utilities": a session lives until it is closed or the server is reset.
"""

from __future__ import annotations

import contextlib
from pathlib import Path


class TaskBook:
    """A file to which lines are only added: a task's name behind ``+`` when it is made, behind ``-`` when it is closed.

    For one process at a time: it takes what stands in the file for tasks of a process that has ended.  A disk that
    takes no line stops nobody; its tasks are then found by nobody either.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = False

    def left(self) -> list[str]:
        """Names of the tasks that another process has left behind; at the second question there are none."""
        if self._read:
            return []
        self._read = True
        with contextlib.suppress(OSError, UnicodeDecodeError):
            lines = self._path.read_text("utf-8").splitlines()
            struck = {line[1:] for line in lines if line.startswith("-")}
            left = [line[1:] for line in lines if line.startswith("+") and line[1:] not in struck]
            self._path.write_text("".join(f"+{name}\n" for name in left), "utf-8")  # so that it does not grow
            return left
        return []

    def note(self, name: str) -> None:
        """A task is about to be made."""
        self._add("+", name)

    def strike(self, name: str) -> None:
        """A task is there no more."""
        self._add("-", name)

    def _add(self, sign: str, name: str) -> None:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{sign}{name}\n")
