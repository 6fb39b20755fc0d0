"""Signatures of persons on a run file: rows of JSON that are added after the seal, each covering those before it.

The rows stand in /signatures/text, room that is set apart when the file is sealed, so that signing rewrites nothing
else: the seal's digest of the bytes takes the room as zeros.  A sidecar RUN.sig.json holds the same rows.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py

from data.hdf5 import RecordError, writing
from data.keys import canonical, digest_of, is_signed

SIGNATURES = "signatures"
TEXT_NAME = "text"
ROOM = 65536
"""Bytes for the rows of one file; a row with its checklist takes about two thousand."""

Row = dict[str, Any]

MEANINGS = ("reviewed", "approved", "rejected", "addendum")


def make_room(file: h5py.File) -> tuple[int, int]:
    """Set the room apart in a file that is about to be sealed; returns its offset in the file and its size in bytes."""
    group = file.create_group(SIGNATURES)
    group.attrs["NX_class"] = "NXcollection"
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(ROOM)
    kind.set_strpad(h5py.h5t.STR_NULLPAD)
    kind.set_cset(h5py.h5t.CSET_UTF8)
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_layout(h5py.h5d.CONTIGUOUS)
    how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    how.set_fill_time(h5py.h5d.FILL_TIME_ALLOC)
    made = h5py.h5d.create(group.id, TEXT_NAME.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR), dcpl=how)
    offset: int | None = made.get_offset()
    if offset is None:
        raise RecordError(f"{file.filename}: no room for signatures could be set apart")
    return offset, ROOM


def rows_in(file: h5py.File) -> tuple[list[Row], list[str]]:
    """The rows of an open file, and what is wrong with their text."""
    if SIGNATURES not in file or TEXT_NAME not in file[SIGNATURES]:
        return [], []
    text = file[SIGNATURES][TEXT_NAME].asstr(errors="surrogateescape")[()]
    return rows_of(str(text).encode("utf-8", "surrogateescape"))


def rows_of(text: bytes) -> tuple[list[Row], list[str]]:
    """Rows of a text that has one a line, and what is wrong with it: every byte counts."""
    body = text.rstrip(b"\0")
    rows: list[Row] = []
    try:
        rows = [json.loads(line) for line in body.splitlines()]
    except ValueError:
        return [], [f"/{SIGNATURES}: cannot be read"]
    if body != _text(rows):
        return rows, [f"/{SIGNATURES}: was changed"]
    return rows, []


def check_rows(rows: Sequence[Mapping[str, Any]], run_id: str, content: str, sealed: str) -> list[str]:
    """What is wrong with the rows of a file: whose they are, their order, their signatures.

    Parameters
    ----------
    sealed : digest of the file's seal, which each row names.
    """
    problems, previous = [], ""
    for number, row in enumerate(rows, 1):
        name = f"signature {number} ({row.get('name', '?')})"
        if not is_signed(row):
            problems.append(f"{name}: was changed")
        elif (row.get("run_id"), row.get("content"), row.get("seal")) != (run_id, content, sealed):
            problems.append(f"{name}: belongs to another file")
        elif (row.get("number"), row.get("previous")) != (number, previous):
            problems.append(f"{name}: one before it was removed, or their order was changed")
        previous = digest_of(row)
    return problems


def write_rows(path: Path, room: tuple[int, int] | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put all rows into a file's room, and into its sidecar; a file without room has them in the sidecar alone.

    Raises
    ------
    RecordError
        The room is used up, or a file cannot be written.
    """
    fits(path, room, rows)
    if room is not None:
        offset, size = room
        text = _text(rows)
        with writing(path), path.open("r+b") as file:
            file.seek(offset)
            file.write(text.ljust(size, b"\0"))
            file.flush()
            os.fsync(file.fileno())
    side = sidecar(path)
    part = side.with_name(f".{side.name}.{os.getpid()}.part")
    try:
        with writing(side):
            part.write_bytes(_sidecar_text(rows))
            part.replace(side)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def fits(path: Path, room: tuple[int, int] | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """See that rows have room in a file; raises RecordError."""
    if room is not None and len(_text(rows)) > room[1]:
        raise RecordError(f"{path}: has no room for more signatures; give a shorter reason")


def sidecar(path: Path) -> Path:
    """The file beside a run file that holds its signatures too."""
    return path.with_name(f"{path.stem}.sig.json")


def sidecar_rows(path: Path) -> tuple[list[Row] | None, list[str]]:
    """Rows of a run file's sidecar, None where it has none; and what is wrong with it."""
    side = sidecar(path)
    try:
        text = side.read_bytes()
    except FileNotFoundError:
        return None, []
    except OSError as error:
        return [], [f"{side.name}: cannot be read ({error.strerror})"]
    try:
        rows = json.loads(text)["signatures"]
        if text != _sidecar_text(rows):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        return [], [f"{side.name}: was changed"]
    return list(rows), []


def bytes_digest(path: Path, start: int, room: tuple[int, int] | None) -> str:
    """SHA-256 of a file's bytes from ``start`` on, with those of the room taken as zeros."""
    with path.open("rb") as file:
        file.seek(start)
        if room is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        hashed, left = hashlib.sha256(), max(0, room[0] - start)
        while left and (piece := file.read(min(left, 1 << 20))):
            hashed.update(piece)
            left -= len(piece)
        hashed.update(bytes(len(file.read(room[1]))))
        while piece := file.read(1 << 20):
            hashed.update(piece)
        return hashed.hexdigest()


def _text(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(canonical(row) + b"\n" for row in rows)


def _sidecar_text(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return (json.dumps({"signatures": list(rows)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
