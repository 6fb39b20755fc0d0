"""Rows added to a TOML file that people write too: each is on the disk when it counts, or not there at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path


def toml_value(value: object) -> str:
    """A value as TOML has it; for text, numbers and truth that is JSON, but for one character."""
    if isinstance(value, date):  # a moment, too
        return value.isoformat()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def append_row(path: Path, table: str, row: Mapping[str, object]) -> None:
    """Add ``[[table]]`` to a file that exists, and have the disk confirm it.

    Raises
    ------
    OSError
        The disk does not take it; the file is as it was, so that a torn row makes the rest of it unreadable to nobody.
    UnicodeEncodeError
        Text that is no Unicode; nothing was written.
    """
    lines = ["", f"[[{table}]]", *(f"{key} = {toml_value(value)}" for key, value in row.items())]
    text = "\n".join(lines).encode() + b"\n"
    with path.open("ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            left = memoryview(text)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(before)
            raise
