"""Files of JSON lines that grow: each line is on the disk before the next, so a kill tears the last one at most.

What is chained, so that a removed line shows, is `data.audit`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import IO, Any

Line = dict[str, Any]


def read_lines(data: bytes) -> tuple[list[Line], int, int]:
    """Lines that are JSON objects, how many are not, and the bytes before a last line that a kill tore."""
    *lines, torn = data.split(b"\n")
    found = [_line(line) for line in lines]
    rows = [row for row in found if row is not None]
    return rows, len(found) - len(rows), len(data) - len(torn)


def _line(text: bytes) -> Line | None:
    try:
        said = json.loads(text)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


class JsonLines:
    """A file of lines that this process adds to, and no other.

    Parameters
    ----------
    file : opened with "ab+"; whoever opened it closes it.  A line that a kill tore is cut off.

    Attributes
    ----------
    rows : lines that were there.
    damaged : how many lines are none of JSON; they stay.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        file.seek(0)
        rows, self.damaged, whole = read_lines(file.read())
        self.rows: Sequence[Line] = rows
        file.seek(0, os.SEEK_END)
        if file.tell() > whole:
            file.truncate(whole)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a line; it is on the disk when this returns."""
        self._file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
