"""Long recordings for a screen: the smallest and the largest of each few samples, and single samples of a stretch.

A channel is read in pieces of one chunk of the file, in any order, so that a picture of a month can be shown from some
of them and completed from the rest.  Nothing is written: what a reviewer sees is what the file says now.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from isal import igzip_lib, isal_zlib

from data.hdf5 import CHUNK_ROWS
from data.run import Run, RunError
from data.samples import UNUSABLE, FloatArray, QualityArray, due_before

BIN = 64
"""Samples of which a piece keeps the smallest and the largest; a chunk holds a whole number of them."""

LONGEST = 1 << 19
"""Samples that are given one by one."""

MOST_HOLES = 2000
"""Holes of one stream that are named."""

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is of a channel: ``pieces`` of at most `CHUNK_ROWS` samples, from ``t0`` to ``t1`` in s."""

    rows: int
    pieces: int
    t0: float
    t1: float


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a channel.

    Attributes
    ----------
    t : (bins,) time of the first sample of each bin, in s.
    low, high : (bins,) smallest and largest of the samples that may be used; NaN where none may.
    quality : (bins,) all bits that are set in a bin; None where no bit is.
    """

    number: int
    t: FloatArray
    low: Float32Array
    high: Float32Array
    quality: QualityArray | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Single samples, as recorded, with one more on either side of what was asked for; ``first`` is the first's row."""

    first: int
    t: FloatArray
    values: FloatArray
    quality: QualityArray


def extents(run: Run) -> dict[str, Extent]:
    """How much there is of every channel; empty ones are left out."""
    found = {}
    for name in run.channels:
        group, _ = _place(run, name)
        rows = len(group["time"])
        if rows:
            t0, t1 = (float(_times(group, row, row + 1)[0]) for row in (0, rows - 1))
            found[name] = Extent(rows, -(-rows // CHUNK_ROWS), t0, t1)
    return found


def pieces(run: Run, channel: str, numbers: Sequence[int]) -> list[Piece]:
    """Some pieces of a channel; raises RunError where they cannot be read."""
    try:
        return [_piece(*_place(run, channel), number) for number in numbers]
    except (OSError, RuntimeError, KeyError) as error:
        raise RunError(f'{run.path}: channel "{channel}" cannot be read; run verify on the file') from error


def stretch(run: Run, channel: str, t0: float, t1: float) -> Stretch:
    """Single samples of a stretch of time, at most `LONGEST` of them; raises RunError where they cannot be read."""
    try:
        group, name = _place(run, channel)
        rows = len(group["time"])
        begin = max(_row(group, rows, t0) - 1, 0)
        end = min(_row(group, rows, t1) + 2, rows, begin + LONGEST)
        values = np.asarray(_rows(group[name], begin, end), dtype=np.float64)
        quality = np.asarray(_rows(group[f"{name}_quality"], begin, end), dtype=np.uint16)
        return Stretch(begin, _times(group, begin, end), values, quality)
    except (OSError, RuntimeError, KeyError) as error:
        raise RunError(f'{run.path}: channel "{channel}" cannot be read; run verify on the file') from error


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive samples of a stream: (rows,) times in s, and (rows,) values and quality of each channel by name."""

    t: FloatArray
    values: dict[str, FloatArray]
    quality: dict[str, QualityArray]


def rows_of(run: Run, stream: str, at_once: int = CHUNK_ROWS) -> Iterator[Rows]:
    """All samples of a stream as recorded, so many at once; raises RunError where they cannot be read."""
    group = run.streams[stream]
    names = [name.partition(".")[2] for name in run.channels if name.partition(".")[0] == stream]
    try:
        total = len(group["time"])
        for begin in range(0, total, at_once):
            end = min(begin + at_once, total)
            yield Rows(
                _times(group, begin, end),
                {name: np.asarray(_rows(group[name], begin, end), dtype=np.float64) for name in names},
                {name: np.asarray(_rows(group[f"{name}_quality"], begin, end), dtype=np.uint16) for name in names},
            )
    except (OSError, RuntimeError, KeyError) as error:
        raise RunError(f'{run.path}: stream "{stream}" cannot be read; run verify on the file') from error


def holes(run: Run, stream: str) -> list[tuple[float, float, int]]:
    """Lost samples of a stream, as `Run.gaps`, read piece by piece; at most the first `MOST_HOLES`."""
    group = run.streams[stream]
    if "index" not in group:
        return []
    found: list[tuple[float, float, int]] = []
    rows, rests = len(group["index"]), run.rests(stream)
    for begin in range(0, rows, CHUNK_ROWS):
        index = _rows(group["index"], begin, min(begin + CHUNK_ROWS + 1, rows))
        missing = np.diff(due_before(index + 1, rests)) - 1
        for at in np.flatnonzero(missing > 0):
            t = _times(group, begin + int(at), begin + int(at) + 2)
            found.append((float(t[0]), float(t[1]), int(missing[at])))
            if len(found) == MOST_HOLES:
                return found
    return found


# -- small parts


def _place(run: Run, channel: str) -> tuple[h5py.Group, str]:
    stream, _, name = str(run.roles.get(channel, channel)).partition(".")
    try:
        group = run.streams[stream]
        group[name]
    except KeyError:
        raise RunError(f'{run.path}: has no channel "{channel}"') from None
    return group, name


def _piece(group: h5py.Group, name: str, number: int) -> Piece:
    begin = number * CHUNK_ROWS
    end = min(begin + CHUNK_ROWS, len(group["time"]))
    values = _rows(group[name], begin, end)
    quality = _rows(group[f"{name}_quality"], begin, end)
    seen = None
    if quality.any():
        values = np.where(quality & int(UNUSABLE), np.nan, values)
        seen = np.bitwise_or.reduce(_in_bins(quality, 0), axis=1)
    bins = _in_bins(values.astype(np.float32), np.nan)
    return Piece(
        number,
        _times(group, begin, end, BIN),
        np.fmin.reduce(bins, axis=1),
        np.fmax.reduce(bins, axis=1),
        seen,
    )


def _in_bins(values: npt.NDArray[Any], blank: float) -> npt.NDArray[Any]:
    left = -len(values) % BIN
    if left:
        values = np.concatenate((values, np.full(left, blank, values.dtype)))
    return values.reshape(-1, BIN)


def _times(group: h5py.Group, begin: int, end: int, step: int = 1) -> FloatArray:
    """Best times of samples, as `data.channels.times_of`."""
    attributes = group.attrs
    if "dt_fitted_s" not in attributes:
        return np.asarray(_rows(group["time"], begin, end)[::step], dtype=np.float64)
    if "index" in group:
        index = _rows(group["index"], begin, end)[::step]
    else:
        index = np.arange(begin, end, step) + int(attributes["first_index"])
    return np.asarray(float(attributes["t0_fitted_s"]) + index * float(attributes["dt_fitted_s"]))


def _row(group: h5py.Group, rows: int, t: float) -> int:
    """The first row at or after a moment."""
    return bisect_left(range(rows), t, key=lambda row: float(_times(group, row, row + 1)[0]))


def _rows(dataset: h5py.Dataset, begin: int, end: int) -> npt.NDArray[Any]:
    """Rows of a dataset; whole chunks by the faster way."""
    if begin % CHUNK_ROWS or end - begin < CHUNK_ROWS // 2 or not _is_ours(dataset):
        return np.asarray(dataset[begin:end])
    parts = [_chunk(dataset, at)[: end - at] for at in range(begin, end, CHUNK_ROWS)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _is_ours(dataset: h5py.Dataset) -> bool:
    """Whether its chunks were written by `data.channels.Column`: shuffled, deflated, and nothing else."""
    return (
        dataset.chunks == (CHUNK_ROWS,)
        and bool(dataset.shuffle)
        and dataset.compression == "gzip"
        and not dataset.fletcher32
        and dataset.scaleoffset is None
        and dataset.dtype.byteorder in "<|="
    )


def _chunk(dataset: h5py.Dataset, begin: int) -> npt.NDArray[Any]:
    """One chunk, inflated and put in order here: several times as fast as HDF5's own filters."""
    if dataset.id.get_chunk_info_by_coord((begin,)).byte_offset is None:
        return np.full(CHUNK_ROWS, dataset.fillvalue, dataset.dtype)
    mask, data = dataset.id.read_direct_chunk((begin,))
    size = dataset.dtype.itemsize
    if mask:
        return np.asarray(dataset[begin : begin + CHUNK_ROWS])
    try:
        shuffled = np.frombuffer(isal_zlib.decompress(data, bufsize=CHUNK_ROWS * size), np.uint8)
        planes = shuffled.reshape(size, CHUNK_ROWS)
    except (igzip_lib.IsalError, ValueError) as error:  # type: ignore[misc]  # its stubs call it a value
        raise OSError(f"{dataset.name}: the chunk of row {begin} is damaged") from error
    out = np.empty((CHUNK_ROWS, size), np.uint8)
    for at in range(size):
        out[:, at] = planes[at]
    values: npt.NDArray[Any] = out.view(dataset.dtype).ravel()
    return values
