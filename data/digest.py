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

SKIPPED_ATTRIBUTES = frozenset({"REFERENCE_LIST"})
"""The other side of DIMENSION_LIST: addresses in the file, in no order of their own."""


def object_digests(root: h5py.Group, leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """SHA-256 of every object from a group down, by path.

    Parameters
    ----------
    leave_out : names directly under ``root`` that do not count.
    """
    found: dict[str, str] = {}
    paths: dict[Identity, str] = {}
    walked = list(_walk(root, root.name, leave_out, paths))
    targets = _Targets(root.file, {} if any(kind == "hard link" for _, kind, _ in walked) else paths)
    for path, kind, item in walked:
        hashed = hashlib.sha256()
        _put(hashed, kind)
        if isinstance(item, str):
            _put(hashed, item)
        else:
            _put_object(hashed, item, targets)
        found[path] = hashed.hexdigest()
    return found


def combined(digests: Mapping[str, str]) -> str:
    """SHA-256 of a tree from those of its objects."""
    hashed = hashlib.sha256()
    for path in sorted(digests):
        _put(hashed, path)
        _put(hashed, digests[path])
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


def _walk(
    group: h5py.Group, path: str, leave_out: tuple[str, ...], seen: dict[Identity, str]
) -> Iterator[tuple[str, str, Any]]:
    """Every link of a tree once: (path, kind, object or the text of a link).

    A second hard link to an object counts as a link to its first path, so that adding one shows and a loop ends.
    """
    seen[_identity(group)] = path
    yield path, "group", group
    for name in sorted(group):
        if name in leave_out:
            continue
        below = f"{path.rstrip('/')}/{name}"
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink):
            yield below, "soft link", link.path
        elif isinstance(link, h5py.ExternalLink):
            yield below, "external link", f"{link.filename}\0{link.path}"
        else:
            item = group[name]
            identity = _identity(item)
            if identity in seen:
                yield below, "hard link", seen[identity]
            elif isinstance(item, h5py.Group):
                yield from _walk(item, below, (), seen)
            else:
                seen[identity] = below
                yield below, "dataset" if isinstance(item, h5py.Dataset) else "type", item


def _identity(item: Any) -> Identity:
    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr


def _put_object(hashed: Any, item: Any, targets: _Targets) -> None:
    attributes = item.attrs
    for name in sorted(attributes):
        if name not in SKIPPED_ATTRIBUTES:
            attribute = h5py.h5a.open(item.id, name.encode())
            _put(hashed, name)
            _put_shape(hashed, attribute.dtype, attribute.shape)
            _put_values(hashed, attribute.dtype, attributes[name], targets)
    _put(hashed, "data")
    if isinstance(item, h5py.Dataset):
        _put_shape(hashed, item.dtype, item.shape)
        if item.shape and item.size:
            for start in range(0, item.shape[0], ROWS_AT_ONCE):
                _put_values(hashed, item.dtype, item[start : start + ROWS_AT_ONCE], targets)
        elif item.shape == ():
            _put_values(hashed, item.dtype, item[()], targets)
    elif isinstance(item, h5py.Datatype):
        _put(hashed, _type_name(item.dtype))


def _put_shape(hashed: Any, dtype: np.dtype[Any], shape: tuple[int, ...] | None) -> None:
    _put(hashed, _type_name(dtype))
    _put(hashed, "null" if shape is None else ",".join(map(str, shape)))


def _type_name(dtype: np.dtype[Any]) -> str:
    """A type in words, without its byte order and padding."""
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
        _put(hashed, "empty")
        return
    array = np.asarray(values)
    if dtype.names is not None:
        for name in dtype.names:
            _put_values(hashed, dtype[name], array[name], targets)
    elif array.dtype.kind in "biufcV" and array.dtype.names is None:
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        hashed.update(plain.reshape(-1).view(np.uint8))
    else:
        for value in array.ravel():
            _put_value(hashed, dtype, value, targets)


def _put_value(hashed: Any, dtype: np.dtype[Any], value: Any, targets: _Targets) -> None:
    many = h5py.check_vlen_dtype(dtype)
    if isinstance(value, h5py.Reference | h5py.RegionReference):
        _put(hashed, targets.path(value))
    elif many is not None:
        items = np.atleast_1d(np.asarray(value))
        _put(hashed, str(len(items)))
        _put_values(hashed, np.dtype(many), items, targets)
    else:
        _put(hashed, value if isinstance(value, bytes) else str(value))


def _put(hashed: Any, text: str | bytes) -> None:
    """Text with its length before it, so that nothing can move from one text to the next."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    hashed.update(len(data).to_bytes(8, "little"))
    hashed.update(data)
