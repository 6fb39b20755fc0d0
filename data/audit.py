"""Chained logs: JSON lines that are only added to, each signed and holding the hash of the one before it.

The register of sealed runs and the audit trail are such logs.  A row that is changed, removed or moved breaks the
chain; what is cut off the end is missed by the head, a small file that says how many rows there are and what the last
one is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.keys import SigningKey, canonical, digest_of, is_signed

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """How many rows a log has, the hash of the last one, and the key that says so."""

    rows: int = 0
    last: str = ""
    key: str = field(default="", compare=False)


def read_head(path: Path) -> Head | None:
    """The head beside a log, None where there is none, or none that its key has signed."""
    try:
        said = json.loads(_head_path(path).read_bytes())
        return Head(int(said["rows"]), str(said["last"]), str(said["key"])) if is_signed(said) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def add_row(path: Path, fields: Mapping[str, Any], when: str, key: SigningKey) -> Row:
    """Add a row to a log, behind what its head says, so that a row that was cut off is missed for ever.

    A row that a crash left half written, or without its head, is dropped or counted.  The caller holds the log's lock,
    and tells the time.
    """
    with path.open("a+b") as file:
        file.seek(0)
        lines = file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            file.truncate(sum(map(len, lines[:-1])))
            lines.pop()
        head = _head_of(path, lines)
        row = key.signed({**fields, "number": head.rows + 1, "previous": head.last, "when": when})
        file.write(canonical(row) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part = _head_path(path).with_suffix(".head-part")
    part.write_bytes(canonical(key.signed({"rows": head.rows + 1, "last": digest_of(row)})))
    part.replace(_head_path(path))
    return row


def read_log(path: Path) -> tuple[list[Row], list[str]]:
    """Rows of a log and what is wrong with its chain; their signatures are for `forged`."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        lines = []
    rows: list[Row] = []
    problems: list[str] = []
    previous = ""
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            whole = isinstance(row, dict) and canonical(row) == line
        except ValueError:
            row, whole = {}, False
        if not whole:
            problems.append(f"{path.name}: row {number} was changed")
        elif (row.get("number"), row.get("previous")) != (number, previous):
            problems.append(f"{path.name}: what was before row {number} was changed, moved or removed")
        rows.append(row if isinstance(row, dict) else {})
        previous = digest_of(rows[-1])
    head = read_head(path)
    if not problems and head not in _fitting(rows, previous):
        known = "it has no head" if head is None else f"there were {head.rows}"
        problems.append(f"{path.name}: rows at its end were removed or added: it has {len(rows)}, {known}")
    return rows, problems


def forged(path: Path, rows: Sequence[Row], known: Mapping[str, object]) -> list[str]:
    """The rows of a log that no known key has signed, and its head where that is so."""
    problems = [
        f"{path.name}: row {number} was changed, or signed with a foreign key"
        for number, row in enumerate(rows, 1)
        if row.get("key") not in known or not is_signed(row)
    ]
    head = read_head(path)
    if head is not None and head.key not in known:
        problems.append(f"{path.name}: its head was signed with a foreign key")
    return problems


def _fitting(rows: Sequence[Row], last: str) -> list[Head | None]:
    """Heads that a whole log may have: its own, or, after a crash, that of the row before the last one."""
    heads: list[Head | None] = [Head(len(rows), last)]
    if len(rows) <= 1:
        heads.append(None)
    if rows:
        heads.append(Head(len(rows) - 1, str(rows[-1].get("previous"))))
    return heads


def _head_of(path: Path, lines: Sequence[bytes]) -> Head:
    """The head behind which a row is added."""
    head = read_head(path)
    if head is None:
        # A head that was taken away breaks the chain here, where it can be seen, unless there was but one row.
        return Head() if not lines else Head(len(lines), _digest(lines[-1]) if len(lines) == 1 else "")
    if len(lines) == head.rows + 1 and _follows(lines[-1], head):
        return Head(len(lines), _digest(lines[-1]))
    return head


def _follows(line: bytes, head: Head) -> bool:
    try:
        row = json.loads(line)
        return bool((row["number"], row["previous"]) == (head.rows + 1, head.last) and is_signed(row))
    except (ValueError, KeyError, TypeError):
        return False


def _digest(line: bytes) -> str:
    return hashlib.sha256(line.rstrip(b"\n")).hexdigest()


def _head_path(path: Path) -> Path:
    return path.with_suffix(".head")
