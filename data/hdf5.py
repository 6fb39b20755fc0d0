"""How text, mappings, tables and errors lie in HDF5, in a form that NeXus and netCDF-4 readers open.

A mapping is a group with one scalar dataset a key.  A table is a group of columns along one dimension scale; None is a
missing entry.  What is neither number nor text is JSON, marked by the attribute ``encoding``.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from data.disk import take_name

LIBVER = ("v110", "v110")
"""Readable by every HDF5 since 1.10."""

TEXT = h5py.string_dtype()
CHUNK_ROWS = 32768
LARGEST_INT = 2**63 - 1
EXACT_INT = 2**53

Values = Sequence[Any] | np.ndarray[Any, Any]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
OTHER = "_other"
"""Holds, as JSON, the entries whose keys cannot be names of datasets."""


class RecordError(ValueError):
    """A run file that cannot be made or used; the message says why and what to do."""


@contextmanager
def made_whole(out: Path) -> Iterator[Path]:
    """A path beside ``out`` to write to: it becomes ``out`` when the block ends, and goes when the block fails.

    Raises
    ------
    RecordError
        ``out`` exists or cannot be written; nothing is left behind.
    """
    taken = f"{out} exists; a record is never written over, choose another name"
    if out.exists():
        raise RecordError(taken)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        yield part
        with writing(out):
            try:
                take_name(part, out)
            except FileExistsError:
                raise RecordError(taken) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def hdf5_file(path: Path, mode: Literal["w", "r+"], named: Path, **options: Any) -> Iterator[tuple[h5py.File, Disk]]:
    """An HDF5 file to write, whole on the disk when the block ends.

    Parameters
    ----------
    named : the path to name in a message, where ``path`` is a temporary one.

    Raises
    ------
    RecordError
        The file cannot be opened or written.
    """
    with writing(named), path.open("r+b" if mode == "r+" else "w+b", buffering=0) as file:
        disk = Disk(file)
        try:
            with h5py.File(disk, mode, libver=LIBVER, **options) as hdf5:
                yield hdf5, disk
        finally:
            disk.check()  # before whatever HDF5 made of it
        os.fsync(file.fileno())


class Disk:
    """The file under an HDF5 file.  HDF5 crashes the process when a write fails, so it never hears of one.

    What the disk does not take is kept in memory, and `check` tells it.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._kept: list[tuple[int, bytes]] = []
        self._at = 0
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the OSError of the first write that failed."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Place of the next read or write."""
        ends = [self._file.seek(0, io.SEEK_END), *(at + len(data) for at, data in self._kept)]
        self._at = offset + (0, self._at, max(ends))[whence] if whence else offset
        return self._at

    def tell(self) -> int:
        """Where the next read or write is."""
        return self._at

    def write(self, data: Any) -> int:
        """Take everything, on the disk or in memory."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            self.check()
            self._file.seek(self._at)
            while done < len(view):
                done += self._file.write(view[done:])
        except OSError as error:
            self._error = self._error or error
            self._kept.append((self._at + done, bytes(view[done:])))
        self._at += len(view)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; what the file does not have is zero."""
        view = memoryview(buffer).cast("B")
        self._file.seek(self._at)
        done = 0
        while done < len(view) and (got := self._file.readinto(view[done:])):
            done += got
        for at, data in self._kept:
            begin, end = max(at, self._at), min(at + len(data), self._at + len(view))
            if begin < end:
                view[begin - self._at : end - self._at] = data[begin - at : end - at]
                done = max(done, end - self._at)
        self._at += len(view)
        return done

    def read(self, size: int) -> bytes:
        """Bytes; fewer at the end."""
        data = bytearray(size)
        return bytes(data[: self.readinto(data)])

    def truncate(self, size: int | None = None) -> int:
        """Cut or lengthen the file."""
        size = self._at if size is None else size
        try:
            self.check()
            self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
        return size

    def flush(self) -> None:
        """Nothing is held back."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system or HDF5 say of a failed write into one sentence."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)):
            why, remedy = "the disk is full", "make room and do it again"
        elif number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            why, remedy = f"cannot be written ({os.strerror(number)})", "choose a folder that can be written"
        else:
            why, remedy = f"cannot be written ({_first_line(error)})", "look after the disk and do it again"
        raise RecordError(f"{path}: {why}; {remedy}, the journal has everything") from None


def usable_name(name: str) -> bool:
    """Whether a key can name a dataset for every reader."""
    return bool(_NAME.fullmatch(name))


def dataset_name(text: str, taken: Sequence[str] = ()) -> str:
    """A name for a dataset that is like a text and not taken."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_") or "unnamed"
    if not name[0].isalpha():
        name = f"n_{name}"
    plain, number = name, 1
    while name in taken:
        number += 1
        name = f"{plain}_{number}"
    return name


# -- scalars and mappings ----------------------------------------------------------------------------------------------


def write_scalar(group: h5py.Group, name: str, value: Any) -> h5py.Dataset:
    """One value: text and numbers as such, everything else as JSON."""
    if isinstance(value, str) and "\0" not in value:
        return group.create_dataset(name, data=value, dtype=TEXT)
    if isinstance(value, float):
        return group.create_dataset(name, data=value, dtype="<f8")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_INT:
        return group.create_dataset(name, data=value, dtype="<i8")
    dataset = group.create_dataset(name, data=_json(value), dtype=TEXT)
    dataset.attrs["encoding"] = "json"
    return dataset


def read_scalar(dataset: h5py.Dataset) -> Any:
    """The value of `write_scalar`."""
    value = dataset[()]
    if isinstance(value, bytes):
        value = value.decode()
    else:
        value = value.item()
    return json.loads(value) if dataset.attrs.get("encoding") == "json" else value


def write_mapping(group: h5py.Group, mapping: Mapping[str, Any]) -> None:
    """One scalar dataset a key; keys that cannot be names go together into one JSON."""
    other = {}
    for key, value in mapping.items():
        if usable_name(key) and key not in group:
            write_scalar(group, key, value)
        else:
            other[key] = value
    if other:
        write_scalar(group, OTHER, other)


def read_mapping(group: h5py.Group) -> dict[str, Any]:
    """The mapping of `write_mapping`; subgroups are left out."""
    found = {}
    for key, item in group.items():
        if isinstance(item, h5py.Dataset) and item.shape == ():
            found[key] = read_scalar(item)
    found.update(found.pop(OTHER, {}))
    return found


# -- tables ------------------------------------------------------------------------------------------------------------


def write_table(group: h5py.Group, scale: str, columns: Mapping[str, Values]) -> None:
    """Columns of equal length along the one named ``scale``, which is the first to be written."""
    axis = write_column(group, scale, columns[scale])
    axis.make_scale(scale)
    for name, values in columns.items():
        if name != scale:
            write_column(group, name, values).dims[0].attach_scale(axis)


def read_table(group: h5py.Group) -> dict[str, list[Any]]:
    """The columns of `write_table`."""
    return {name: read_column(item) for name, item in group.items() if isinstance(item, h5py.Dataset) and item.shape}


def write_column(group: h5py.Group, name: str, values: Values) -> h5py.Dataset:
    """One column: numbers, text, or JSON where neither keeps the values exactly.

    A missing number is NaN (None and NaN are the same in a table), a missing text is empty.
    """
    if isinstance(values, np.ndarray):
        return write_array(group, name, values)
    if all(_is_integer(value) for value in values):
        return group.create_dataset(name, data=np.array(values, dtype="<i8"))
    if all(value is None or _is_number(value) for value in values):
        numbers = [math.nan if value is None else float(value) for value in values]
        return group.create_dataset(name, data=np.array(numbers, dtype="<f8"))
    missing = any(value is None for value in values)
    if all(_is_text(value) or value is None for value in values) and not (missing and "" in values):
        dataset = _texts(group, name, ["" if value is None else value for value in values])
        if missing:
            dataset.attrs["missing"] = ""
        return dataset
    dataset = _texts(group, name, ["" if value is None else _json(value) for value in values])
    dataset.attrs["encoding"] = "json"
    return dataset


def read_column(dataset: h5py.Dataset) -> list[Any]:
    """The values of `write_column`, None where one is missing."""
    if dataset.dtype.kind != "O":
        values = dataset[:].tolist()
        return [None if value != value else value for value in values]
    texts = dataset.asstr()[:].tolist()
    if dataset.attrs.get("encoding") == "json":
        return [json.loads(text) if text else None for text in texts]
    return [text or None for text in texts] if "missing" in dataset.attrs else texts


def write_array(group: h5py.Group, name: str, values: np.ndarray[Any, Any]) -> h5py.Dataset:
    """An array of numbers, compressed where it is long."""
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    if len(values) < CHUNK_ROWS:
        return group.create_dataset(name, data=values)
    return group.create_dataset(
        name, data=values, chunks=(CHUNK_ROWS,), compression="gzip", compression_opts=1, shuffle=True
    )


def _texts(group: h5py.Group, name: str, values: Sequence[str]) -> h5py.Dataset:
    return group.create_dataset(name, data=np.array(values, dtype=object), dtype=TEXT)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_INT


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (_is_integer(value) and abs(value) <= EXACT_INT)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _json(value: Any) -> str:
    """Canonical JSON: equal values give equal text."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
