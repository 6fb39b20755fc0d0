"""Chained logs: JSON lines that are only added to, each signed and holding the hash of the one before it.

The register of sealed runs and the audit trail are such logs.  A row that is changed, removed or moved breaks the
chain; what is cut off the end is missed by the head, a small file that says how many rows there are and what the last
one is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.keys import SigningKey, canonical, digest_of, is_signed

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """How many rows a log has, and the hash of the last one."""

    rows: int = 0
    last: str = ""


def read_head(path: Path) -> Head | None:
    """The head beside a log, None where there is none or it cannot be read."""
    try:
        said = json.loads(_head_path(path).read_bytes())
        return Head(int(said["rows"]), str(said["last"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def add_row(path: Path, fields: Mapping[str, Any], when: str, key: SigningKey) -> Row:
    """Add a row to a log, behind what its head says, so that a row that was cut off is missed for ever.

    The caller holds the log's lock, and tells the time.
    """
    head = read_head(path) or _last(path)
    row = key.signed({**fields, "number": head.rows + 1, "previous": head.last, "when": when})
    with path.open("ab") as file:
        file.write(canonical(row) + b"\n")
    part = _head_path(path).with_suffix(".head-part")
    part.write_bytes(canonical({"rows": head.rows + 1, "last": digest_of(row)}))
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
    if (head or Head()) != Head(len(rows), previous) and not problems:
        known = "it has no head" if head is None else f"there were {head.rows}"
        problems.append(f"{path.name}: rows at its end were removed or added: it has {len(rows)}, {known}")
    return rows, problems


def forged(rows: Sequence[Row], known: Mapping[str, object], name: str) -> list[str]:
    """The rows that no key of this bench has signed."""
    return [
        f"{name}: row {number} was changed, or signed with a foreign key"
        for number, row in enumerate(rows, 1)
        if row.get("key") not in known or not is_signed(row)
    ]


def _last(path: Path) -> Head:
    """The head of a log that has none, from its end."""
    if not path.exists():
        return Head()
    lines = path.read_bytes().splitlines()
    try:
        return Head(len(lines), digest_of(json.loads(lines[-1])) if lines else "")
    except ValueError:
        return Head(len(lines), "")


def _head_path(path: Path) -> Path:
    return path.with_suffix(".head")
