"""A stream's samples into HDF5: one dataset a channel, one a channel's quality, along a time scale.

Chunks are shuffled and deflated here and written as they are, which is several times as fast as HDF5's own filters
and readable by everybody: the file says shuffle and gzip.  Memory is bounded by one chunk a channel.
"""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np
from isal import isal_zlib

from data.frames import BlockView
from data.hdf5 import CHUNK_ROWS
from data.samples import FloatArray, Quality, Stream

LEVEL = 1
"""Of deflate; more takes longer and saves nothing on measured values."""

FIT_LEAST_ANCHORS = 6
FIT_LEAST_S = 1800.0
"""A device's clock is fitted over at least this long; before, its few ppm are less than the fit's own uncertainty."""

FIT_WORST_S = 1.0
"""A line that an anchor misses by more than this plus a sample is no clock: samples were lost uncounted."""


class Column:
    """One dataset of one dimension that grows by chunks of `CHUNK_ROWS`; constant zero chunks take no space."""

    def __init__(self, group: h5py.Group, name: str, dtype: str) -> None:
        self._dataset = group.create_dataset(
            name,
            shape=(0,),
            maxshape=(None,),
            dtype=dtype,
            chunks=(CHUNK_ROWS,),
            compression="gzip",
            compression_opts=LEVEL,
            shuffle=True,
            fillvalue=0,
        )
        self._zero_is_nothing = dtype != "<f8"  # -0.0 is not the fill value
        self._rows = 0

    def append(self, values: np.ndarray[Any, Any], rows: int) -> None:
        """Add one chunk of which ``rows`` count; only the last one may have fewer than all."""
        self._dataset.resize((self._rows + rows,))
        if not (self._zero_is_nothing and not values[:rows].any()):
            data = isal_zlib.compress(shuffled(values), LEVEL)
            self._dataset.id.write_direct_chunk((self._rows,), data)
        self._rows += rows


def shuffled(values: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """HDF5's shuffle of one chunk: all first bytes, then all second bytes, and so on.  ``values`` may be strided."""
    size = values.dtype.itemsize
    contiguous = np.ascontiguousarray(values)
    return np.ascontiguousarray(contiguous.view(np.uint8).reshape(-1, size).T)


class StreamData:
    """Collects the blocks of one stream into its NXdata group.

    Attributes
    ----------
    rows : samples so far.
    anchors : (host time, samples acquired) pairs.
    """

    def __init__(self, group: h5py.Group, stream: Stream) -> None:
        self.group = group
        self.stream = stream
        self.rows = 0
        self.first_t = self.last_t = math.nan
        self.anchors: list[tuple[float, int]] = []
        channels = len(stream.channels)
        self.names = [channel.name for channel in stream.channels]
        self._t = np.empty(0)
        self._values = np.empty((0, channels))
        self._quality = np.empty((0, channels), dtype=np.uint16)
        self._fill = 0
        self._columns: list[Column] = []
        self._runs: list[list[int]] = []  # [first index, samples, stride] of each stretch without a hole

    def append(self, block: BlockView) -> None:
        """Add a block's samples."""
        samples, done = len(block.t), 0
        if not samples:
            return
        if not self.rows:
            self.first_t = float(block.t[0])
        self.last_t = float(block.t[-1])
        last = self._runs[-1] if self._runs else [0, 0, 0]
        if block.stride == last[2] and block.first == last[0] + last[1] * last[2]:
            last[1] += samples
        else:
            self._runs.append([block.first, samples, block.stride])
        while done < samples:
            self._make_room(self._fill + samples - done)
            take = min(samples - done, CHUNK_ROWS - self._fill)
            into, part = slice(self._fill, self._fill + take), slice(done, done + take)
            self._t[into] = block.t[part]
            self._values[into] = block.values[part]
            self._quality[into] = block.quality if block.quality.ndim == 1 else block.quality[part]
            self._fill += take
            self.rows += take
            done += take
            if self._fill == CHUNK_ROWS:
                self._flush()

    def finish(self, start_utc: str) -> None:
        """Write what is left, the index where samples are missing, and what the arrays mean."""
        if self._columns and self._fill:
            self._t[self._fill :] = 0.0
            self._values[self._fill :] = 0.0
            self._quality[self._fill :] = 0
            self._flush()
        elif not self._columns:
            self._write_short()
        time = self.group["time"]
        time.make_scale("time")
        describe_time(time, start_utc)
        time.attrs["start"] = start_utc
        if len(self._runs) > 1 or any(stride > 1 for _, _, stride in self._runs):
            self._write_index()
        self._describe_clock(time)
        for channel in self.stream.channels:
            value, quality = self.group[channel.name], self.group[f"{channel.name}_quality"]
            value.attrs["units"] = channel.unit
            value.attrs["long_name"] = channel.description or channel.name
            value.attrs["ancillary_variables"] = f"{channel.name}_quality"
            value.attrs["height_mm"] = channel.height_mm
            if channel.reference is not None:
                value.attrs["reference"] = channel.reference
            if channel.max_step is not None:
                value.attrs["max_step"] = channel.max_step
            quality.attrs["flag_masks"] = np.array([bit.value for bit in Quality if bit], dtype="<u2")
            quality.attrs["flag_meanings"] = " ".join(str(bit.name).lower() for bit in Quality if bit)
            value.dims[0].attach_scale(time)
            quality.dims[0].attach_scale(time)

    def _make_room(self, rows: int) -> None:
        """Buffers grow to a chunk and no further, so that a short stream costs little."""
        have = len(self._t)
        if rows <= have or have == CHUNK_ROWS:
            return
        size = min(CHUNK_ROWS, max(rows, 2 * have, 256))
        self._t = np.concatenate([self._t, np.empty(size - have)])
        channels = self._values.shape[1]
        self._values = np.concatenate([self._values, np.empty((size - have, channels))])
        self._quality = np.concatenate([self._quality, np.empty((size - have, channels), dtype=np.uint16)])

    def _flush(self) -> None:
        if not self._columns:
            group, names = self.group, self.names
            self._columns = [Column(group, "time", "<f8")]
            self._columns += [Column(group, name, "<f8") for name in names]
            self._columns += [Column(group, f"{name}_quality", "<u2") for name in names]
        arrays = [self._t, *self._values.T, *self._quality.T]
        for column, array in zip(self._columns, arrays, strict=True):
            column.append(array, self._fill)
        self._fill = 0

    def _write_short(self) -> None:
        rows = slice(0, self._fill)
        self.group.create_dataset("time", data=self._t[rows])
        for number, name in enumerate(self.names):
            self.group.create_dataset(name, data=self._values[rows, number])
            self.group.create_dataset(f"{name}_quality", data=self._quality[rows, number])

    def _write_index(self) -> None:
        """Index of every sample in the stream, where lost samples left holes."""
        index = self.group.create_dataset(
            "index", (self.rows,), "<i8", chunks=(min(CHUNK_ROWS, self.rows),), compression="gzip", shuffle=True
        )
        at, part, size = 0, list[np.ndarray[Any, Any]](), 0
        for first, samples, stride in self._runs:
            part.append(np.arange(first, first + stride * samples, stride))
            size += samples
            if size >= 16 * CHUNK_ROWS:
                index[at : at + size] = np.concatenate(part)
                at, part, size = at + size, [], 0
        if part:
            index[at:] = np.concatenate(part)
        index.attrs["long_name"] = "number of the sample in its stream; a hole is a lost sample"
        index.dims[0].attach_scale(self.group["time"])

    def _describe_clock(self, time: h5py.Dataset) -> None:
        """Nominal clock, and the one that the anchors say, on the stream's group."""
        attributes = self.group.attrs
        if self._runs:
            attributes["first_index"] = self._runs[0][0]
        if self.stream.interval_s is None:
            return
        attributes["dt_nominal_s"] = self.stream.interval_s
        time.attrs["sampling_interval_s"] = self.stream.interval_s
        if not self.rows:
            return
        attributes["t0_nominal_s"] = self.first_t - self._runs[0][0] * self.stream.interval_s
        fit = fitted_clock(self.anchors, self.stream.interval_s)
        if fit is not None:
            attributes["t0_fitted_s"], attributes["dt_fitted_s"], attributes["fit_residual_s"] = fit


def describe_time(time: h5py.Dataset, start_utc: str) -> None:
    """What netCDF readers need to make dates of seconds."""
    time.attrs["units"] = f"seconds since {start_utc}"
    time.attrs["calendar"] = "standard"
    time.attrs["standard_name"] = "time"
    time.attrs["axis"] = "T"


def fitted_clock(anchors: list[tuple[float, int]], interval_s: float) -> tuple[float, float, float] | None:
    """Time of sample 0, interval, and largest residual of the line through the anchors; None where none is sure.

    Notes
    -----
    Least squares of host time on sample count.  The count is the whole number of samples acquired: the last of them
    was taken between nothing and one interval before, on the mean half an interval, so the time of sample ``k`` is
    that of the count ``k + 1/2``.  Sums are exact (`math.fsum`), so the result does not depend on the processor.
    """
    count = len(anchors)
    if count < FIT_LEAST_ANCHORS or anchors[-1][0] - anchors[0][0] < FIT_LEAST_S:
        return None
    times = [t for t, _ in anchors]
    samples = [float(n) for _, n in anchors]
    mean_t, mean_n = math.fsum(times) / count, math.fsum(samples) / count
    spread = math.fsum((n - mean_n) ** 2 for n in samples)
    if spread == 0.0:
        return None
    dt = math.fsum((n - mean_n) * (t - mean_t) for t, n in zip(times, samples, strict=True)) / spread
    t0 = mean_t - dt * (mean_n - 0.5)
    worst = max(abs(t - (t0 + dt * (n - 0.5))) for t, n in zip(times, samples, strict=True))
    return (t0, dt, worst) if worst <= FIT_WORST_S + interval_s else None


def times_of(group: h5py.Group) -> FloatArray:
    """Best times of a stream's samples: by the fitted clock where there is one, else as the instrument stamped them."""
    attributes = group.attrs
    if "dt_fitted_s" not in attributes:
        return np.asarray(group["time"][:], dtype=np.float64)
    if "index" in group:
        index = group["index"][:]
    else:
        index = np.arange(len(group["time"])) + int(attributes["first_index"])
    return np.asarray(float(attributes["t0_fitted_s"]) + index * float(attributes["dt_fitted_s"]))
