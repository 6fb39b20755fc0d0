"""The state folder's chained logs: one writer at a time, with the time and the bench's key."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.file_lock import lock_soon
from bench.rpc.doors import private_folder
from data.audit import Row, read_log
from instruments.clock import WallClock

PATIENCE_S = 30.0

REGISTER = "register.jsonl"
AUDIT = "audit.jsonl"

CLOCK = "clock"
"""Subject of the row of the trail that accepts the clock; its "new" says how many rows each log had until then."""

PROBLEM = "problem"
"""Subject of a row of the trail by which QA accepts a problem that stays; its "new" is the problem's sentence."""


class TrustError(ValueError):
    """A key, person, signature or log that cannot be used; the message says why and what to do."""


def now() -> datetime:
    """The moment, with the offset of this computer's zone."""
    return WallClock().start.astimezone()


def folder_of(home: Path) -> Path:
    """The folder of keys, persons and logs; made when it is not there."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return private_folder(home / "trust")


@contextmanager
def alone(home: Path) -> Iterator[Path]:
    """Hold the folder for this process while something in it is changed; not to be nested.

    Raises
    ------
    TrustError
        Another process has held it for half a minute.
    """
    folder = folder_of(home)
    with os.fdopen(os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600), "r+b") as file:
        if not lock_soon(file, PATIENCE_S):
            raise TrustError(f"{folder}: another program has held its lock for {PATIENCE_S:g} s; end it, try again")
        yield folder


def rows_of(home: Path, name: str) -> tuple[list[Row], list[str]]:
    """Rows of a log and what is wrong with its chain."""
    return read_log(home / "trust" / name)


def unclosed(rows: Sequence[Row]) -> list[Row]:
    """Runs of the register that began and were never closed: they go on, or were cut off and not recovered."""
    closed = {row.get("run_id") for row in rows if row.get("kind") == "run"}
    return [row for row in rows if row.get("kind") == "begun" and row.get("run_id") not in closed]


def read_json(path: Path) -> dict[str, Any]:
    """What a file of the folder says, nothing where there is none; raises TrustError when it is damaged."""
    try:
        said = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise TrustError(f"{path}: is damaged; restore it from a backup") from None
    if not isinstance(said, dict):
        raise TrustError(f"{path}: is damaged; restore it from a backup")
    return said


def write_json(path: Path, said: Mapping[str, Any]) -> None:
    """Write a file whole or not at all, for this account alone."""
    with writing_json(path, said):
        pass


@contextmanager
def writing_json(path: Path, said: Mapping[str, Any]) -> Iterator[None]:
    """`write_json` when the block, which notes what is written, has ended; where it fails the file is as it was."""
    with writing_private(path, (json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()):
        yield


@contextmanager
def writing_private(path: Path, content: bytes) -> Iterator[None]:
    """Write bytes whole, for this account alone, when the block has ended; not at all where it fails.

    They are on the disk before the block begins, which a full one does not let it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        yield
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
