"""Chained logs: JSON lines that are only added to, each signed and holding the hash of the one before it.

The register of sealed runs and the audit trail are such logs.  A row that is changed, removed or moved breaks the
chain; what is cut off the end is missed by the head, a small file that says how many rows there are and what the last
one is.  A head may be behind its log, as after a crash; it is never ahead of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from data.disk import write_through
from data.keys import SigningKey, canonical, digest_of, is_signed

Row = dict[str, Any]

LOGS_KEPT = 4
KEPT_BYTES = 64_000_000
"""Of a log that is larger no rows are kept; a row of the register takes some 550 bytes."""


@dataclass(frozen=True, slots=True)
class Head:
    """How many rows a log has, the hash of the last one, and the key that says so."""

    rows: int = 0
    last: str = ""
    key: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class _Whole:
    """A log without a flaw, as it was when it was read: what is added behind the same bytes is all that is new."""

    data: bytes
    rows: tuple[Row, ...]
    last: str


_KEPT: dict[Path, _Whole] = {}
_NOTHING = _Whole(b"", (), "")
_HELD: dict[Path, tuple[Row, ...]] = {}


def read_head(path: Path) -> Head | None:
    """The head beside a log, None where there is none, or none that its key has signed."""
    try:
        said = json.loads(_head_path(path).read_bytes())
        return Head(int(said["rows"]), str(said["last"]), str(said["key"])) if is_signed(said) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def add_row(path: Path, fields: Mapping[str, Any], when: str, key: SigningKey) -> Row:
    """Add a row to a log, behind what its head says, so that a row that was cut off is missed for ever.

    A row that a crash left half written is dropped; rows that it left without their head are counted.  The caller holds
    the log's lock, and tells the time.

    Raises
    ------
    OSError
        The disk does not take the row or its head; the log is as it was before.
    """
    with path.open("a+b", buffering=0) as file:
        file.seek(0)
        data = file.read()
        lines = _rows_in(data)
        size = sum(map(len, lines))
        head = _head_of(read_head(path), lines)
        row = key.signed({**fields, "number": head.rows + 1, "previous": head.last, "when": when})
        made = _made_head(path, key.signed({"rows": head.rows + 1, "last": digest_of(row)}))
        try:
            if size < len(data):
                file.truncate(size)
            write_through(file, canonical(row) + b"\n")
            made.replace(_head_path(path))
        except OSError:
            with suppress(OSError):  # a row whose head is behind counts all the same
                file.truncate(size)
                made.unlink(missing_ok=True)
            raise
    return row


def _made_head(path: Path, said: Mapping[str, Any]) -> Path:
    """A head that has not its name yet, on the disk before the row is: a disk that is full takes neither."""
    part = _head_path(path).with_suffix(".head-part")
    try:
        with part.open("wb") as file:
            file.write(canonical(said))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return part


def read_log(path: Path) -> tuple[list[Row], list[str]]:
    """Rows of a log, which are not to be changed, and what is wrong with its chain; their signatures are for `forged`.

    Rows that were read before are not read anew where every byte of them is still the same.
    """
    head = read_head(path)  # first: rows that somebody adds meanwhile are behind it
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    known = _KEPT.get(path, _NOTHING)
    if not data.startswith(known.data):
        known = _NOTHING
    lines = _rows_in(data[len(known.data) :])
    rows, previous, problems = list(known.rows), known.last, list[str]()
    for number, line in enumerate((line.rstrip(b"\n") for line in lines), len(rows) + 1):
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
        previous = _digest(line) if whole else digest_of(rows[-1])
    if lines and not problems:
        _keep(path, _Whole(known.data + b"".join(lines), tuple(rows), previous))
    if not problems and not _fits(head, rows, previous):
        there = "it has no head" if head is None else f"there were {head.rows}"
        problems.append(f"{path.name}: rows at its end were removed or added: it has {len(rows)}, {there}")
    return rows, problems


def _keep(path: Path, read: _Whole) -> None:
    """Keep what was read of a log; of many those that were kept first go.  Threads may do so at the same time."""
    if len(read.data) > KEPT_BYTES:
        _KEPT.pop(path, None)
        return
    _KEPT[path] = read
    for gone in list(_KEPT)[:-LOGS_KEPT]:  # a copy, made in one step of the interpreter
        _KEPT.pop(gone, None)


def foreign(path: Path, rows: Sequence[Row], known: Mapping[str, object]) -> list[str]:
    """What no known key vouches for in a log whose chain is whole: rows, by the key that they name; its end; its head.

    Unlike `forged` it proves one signature, that of the last row, whose hashes cover all before it.
    """
    problems = [
        f"{path.name}: row {number} was signed with a foreign key"
        for number, row in enumerate(rows, 1)
        if row.get("key") not in known
    ]
    if rows and not is_signed(rows[-1]):
        problems.append(f"{path.name}: row {len(rows)} was changed")
    return [*problems, *_foreign_head(path, known)]


def forged(path: Path, rows: Sequence[Row], known: Mapping[str, object]) -> list[str]:
    """The rows of a log that no known key has signed, and its head where that is so.

    A signature that held once is not proven anew of a row that `read_log` has kept since.
    """
    held = _HELD.get(path, ())
    same = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], zip(held, rows, strict=False)))
    problems = [
        f"{path.name}: row {number} was changed, or signed with a foreign key"
        for number, row in enumerate(rows, 1)
        if row.get("key") not in known or (number > same and not is_signed(row))
    ]
    if not problems:
        _HELD[path] = tuple(rows)
        for gone in list(_HELD)[:-LOGS_KEPT]:
            _HELD.pop(gone, None)
    return [*problems, *_foreign_head(path, known)]


def _foreign_head(path: Path, known: Mapping[str, object]) -> list[str]:
    head = read_head(path)
    if head is None or head.key in known:
        return []
    return [f"{path.name}: its head was signed with a foreign key"]


def _rows_in(data: bytes) -> list[bytes]:
    """The lines of a log, without a last one that was not written whole: its end is missing, or a page within it."""
    lines = data.splitlines(keepends=True)
    if lines and (not lines[-1].endswith(b"\n") or b"\0" in lines[-1]):
        lines.pop()
    return lines


def _fits(head: Head | None, rows: Sequence[Row], last: str) -> bool:
    """Whether a head is that of a whole log, or, after crashes, of one to which signed rows were added since."""
    if head is None:
        return len(rows) <= 1
    behind = rows[head.rows :]
    known = str(behind[0].get("previous")) if behind else last
    return head == Head(len(rows) - len(behind), known) and all(map(is_signed, behind))


def _head_of(head: Head | None, lines: Sequence[bytes]) -> Head:
    """The head behind which a row is added: the log's own, or, after crashes, that of its last row."""
    if head is None:
        # A head that was taken away breaks the chain here, where it can be seen, unless there was but one row.
        return Head() if not lines else Head(len(lines), _digest(lines[-1]) if len(lines) == 1 else "")
    for line in lines[head.rows :]:
        if not _follows(line, head):
            break
        head = Head(head.rows + 1, _digest(line))
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
