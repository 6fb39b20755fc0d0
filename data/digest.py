"""A digest of what an HDF5 file says, whatever its chunks, filters, byte order and unused bytes.

Every object is hashed by itself (kind, type, shape, attributes, data); the digest of a tree is the hash over the sorted
paths and hashes of its objects, so that a difference can be named.  docs/reference/run-file.md is the specification.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

ROWS_AT_ONCE = 1 << 18

Identity = tuple[int, int]
"""What tells an object from every other: number of its file, address in it."""

SKIPPED_ATTRIBUTES = frozenset({b"REFERENCE_LIST"})
"""The other side of DIMENSION_LIST: addresses in the file, in no order of their own."""


def object_digests(root: h5py.Group, leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """SHA-256 of every object from a group down, by path.

    Parameters
    ----------
    leave_out : names directly under ``root`` that do not count.
    """
    found: dict[str, str] = {}
    paths: dict[Identity, str] = {}
    walked = list(_walk(root.id, root.name, leave_out, paths))
    targets = _Targets(root.file, {} if any(kind == "hard link" for _, kind, _ in walked) else paths)
    for path, kind, item in walked:
        hashed = hashlib.sha256(_framed(kind))
        if isinstance(item, str):
            hashed.update(_framed(item))
        else:
            _put_object(hashed, item, targets)
        found[path] = hashed.hexdigest()
    return found


def combined(digests: Mapping[str, str]) -> str:
    """SHA-256 of a tree from those of its objects."""
    hashed = hashlib.sha256()
    for path in sorted(digests):
        hashed.update(_framed(path) + _framed(digests[path]))
    return hashed.hexdigest()


@dataclass(frozen=True, slots=True)
class _Targets:
    """Paths of what references mean.  HDF5 itself finds a path by searching the file, so it is asked last."""

    file: h5py.File
    paths: Mapping[Identity, str]  # empty where an object has two paths: HDF5 then says which

    def path(self, reference: Any) -> bytes:
        if not reference:
            return b""
        if isinstance(reference, h5py.Reference):
            with suppress(KeyError):  # its target is gone, or has no path of its own
                info = h5py.h5o.get_info(h5py.h5r.dereference(reference, self.file.id))
                return self.paths[info.fileno, info.addr].encode("utf-8", "surrogateescape")
        return h5py.h5r.get_name(reference, self.file.id) or b""


# Objects are taken at h5py's low level: a run file has hundreds, most of one value, and wrapping each costs more than
# reading it.


def _walk(
    group: Any, path: str, leave_out: tuple[str, ...], seen: dict[Identity, str]
) -> Iterator[tuple[str, str, Any]]:
    """Every link of a tree once: (path, kind, object or the text of a link).

    A second hard link to an object counts as a link to its first path, so that adding one shows and a loop ends.
    """
    seen[_identity(group)] = path
    yield path, "group", group
    for name in sorted(group):
        text = name.decode("utf-8", "surrogateescape")
        if text in leave_out:
            continue
        below = f"{path.rstrip('/')}/{text}"
        if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
            link = h5py.Group(group).get(name, getlink=True)
            if isinstance(link, h5py.SoftLink):
                yield below, "soft link", link.path
            else:
                yield below, "external link", f"{link.filename}\0{link.path}"
            continue
        item = h5py.h5o.open(group, name)
        identity = _identity(item)
        if identity in seen:
            yield below, "hard link", seen[identity]
        elif isinstance(item, h5py.h5g.GroupID):
            yield from _walk(item, below, (), seen)
        else:
            seen[identity] = below
            yield below, "dataset" if isinstance(item, h5py.h5d.DatasetID) else "type", item


def _identity(item: Any) -> Identity:
    info = h5py.h5o.get_info(item)
    return info.fileno, info.addr


def _put_object(hashed: Any, item: Any, targets: _Targets) -> None:
    names: list[bytes] = []
    h5py.h5a.iterate(item, names.append)
    for name in sorted(names):
        if name not in SKIPPED_ATTRIBUTES:
            attribute = h5py.h5a.open(item, name)
            dtype, shape = attribute.dtype, attribute.shape
            hashed.update(_framed(name) + _framed_shape(dtype, shape))
            _put_values(hashed, dtype, _attribute(attribute, dtype, shape), targets)
    hashed.update(_framed("data"))
    if isinstance(item, h5py.h5d.DatasetID):
        dtype, shape = item.dtype, item.shape
        hashed.update(_framed_shape(dtype, shape))
        for rows in _pieces(item, dtype, shape):
            _put_values(hashed, dtype, rows, targets)
    elif isinstance(item, h5py.h5t.TypeID):
        hashed.update(_framed(_type_name(item.dtype)))


def _pieces(dataset: Any, dtype: np.dtype[Any], shape: tuple[int, ...] | None) -> Iterator[np.ndarray[Any, Any]]:
    """The values of a dataset, so many rows at once that memory is bounded; none of one without values."""
    if shape is None or 0 in shape:
        return
    kind = h5py.h5t.py_create(dtype)
    if not shape or shape[0] <= ROWS_AT_ONCE:
        values = np.zeros(shape, dtype=dtype)
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values, kind)
        yield values
        return
    for start in range(0, shape[0], ROWS_AT_ONCE):
        rows = (min(ROWS_AT_ONCE, shape[0] - start), *shape[1:])
        values, there = np.zeros(rows, dtype=dtype), dataset.get_space()
        there.select_hyperslab((start, *(0 for _ in shape[1:])), rows)
        dataset.read(h5py.h5s.create_simple(rows), there, values, kind)
        yield values


def _attribute(attribute: Any, dtype: np.dtype[Any], shape: tuple[int, ...] | None) -> Any:
    """The value of an attribute that is open; by its name h5py would open it a second time, and take as long again."""
    if shape is None:
        return h5py.Empty(dtype)
    base, more = dtype.subdtype or (dtype, ())
    values = np.zeros(shape + more, dtype=base)
    attribute.read(values, mtype=h5py.h5t.py_create(dtype))
    return values


def _framed_shape(dtype: np.dtype[Any], shape: tuple[int, ...] | None) -> bytes:
    return _framed(_type_name(dtype)) + _framed("null" if shape is None else ",".join(map(str, shape)))


def _type_name(dtype: np.dtype[Any]) -> str:
    """A type in words, without its byte order and padding."""
    if dtype.metadata is None and dtype.kind in "biuf":
        return f"{dtype.kind}{dtype.itemsize}"  # most are; HDF5's special types say so in their metadata
    text = h5py.check_string_dtype(dtype)
    if text is not None:
        return f"text {text.encoding} {'variable' if text.length is None else text.length}"
    if h5py.check_ref_dtype(dtype) is not None:
        return "reference"
    many = h5py.check_vlen_dtype(dtype)
    if many is not None:
        return f"list of {_type_name(np.dtype(many))}"
    words = h5py.check_enum_dtype(dtype)
    if words is not None:
        members = ",".join(f"{name}={value}" for name, value in sorted(words.items()))
        return f"enumeration {dtype.kind}{dtype.itemsize} {members}"
    if dtype.names is not None:
        return "record " + ",".join(f"{name}:{_type_name(dtype[name])}" for name in dtype.names)
    if dtype.subdtype is not None:
        return f"array {dtype.subdtype[1]} of {_type_name(dtype.subdtype[0])}"
    return f"{dtype.kind}{dtype.itemsize}"


def _put_values(hashed: Any, dtype: np.dtype[Any], values: Any, targets: _Targets) -> None:
    """Numbers as little-endian bytes in C order; text with its length; references by the path of what they mean."""
    if isinstance(values, h5py.Empty):
        hashed.update(_framed("empty"))
        return
    array = np.asarray(values)
    if dtype.names is not None:
        for name in dtype.names:
            _put_values(hashed, dtype[name], array[name], targets)
    elif array.dtype.kind in "biufcV" and array.dtype.names is None:
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        hashed.update(plain.reshape(-1).view(np.uint8))
    elif (many := h5py.check_vlen_dtype(dtype)) is not None:
        for value in array.ravel():
            items = np.atleast_1d(np.asarray(value))
            hashed.update(_framed(str(len(items))))
            _put_values(hashed, np.dtype(many), items, targets)
    else:
        hashed.update(b"".join([_framed(_text(value, targets)) for value in array.ravel()]))


def _text(value: Any, targets: _Targets) -> str | bytes:
    """A text, or the path of what a reference means."""
    if isinstance(value, h5py.Reference | h5py.RegionReference):
        return targets.path(value)
    return value if isinstance(value, bytes) else str(value)


def _framed(text: str | bytes) -> bytes:
    """Text with its length before it, so that nothing can move from one text to the next."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    return len(data).to_bytes(8, "little") + data
