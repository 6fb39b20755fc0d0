"""Polled readings on their way to becoming a block of the record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.samples import Block
from instruments.instrument import Instrument

BATCH = 60
"""Readings in one block at most."""


class Batch:
    """Readings of one instrument, each as far from the next as the stream's stride."""

    def __init__(self, instrument: Instrument, channels: int) -> None:
        self._stream = instrument.stream.name
        self._t = np.empty(BATCH)
        self._values = np.empty((BATCH, channels))
        self._quality = np.empty((BATCH, channels), dtype=np.uint16)
        self._first = 0
        self._stride = 1
        self.count = 0

    def add(self, index: int, t: float, values: Sequence[float], quality: Sequence[int], stride: int) -> None:
        """Take a reading in; the first one of a block gives its index and its stride."""
        if self.count == 0:
            self._first, self._stride = index, stride
        row = self.count
        self._t[row] = t
        self._values[row] = values
        self._quality[row] = quality
        self.count = row + 1

    @property
    def next_index(self) -> int:
        """Index of the reading that would follow on."""
        return self._first + self.count * self._stride

    @property
    def first_t(self) -> float:
        """Clock time of the oldest reading."""
        return float(self._t[0])

    def take(self) -> Block:
        """Return the block, and begin another one."""
        n, self.count = self.count, 0
        arrays = self._t[:n].copy(), self._values[:n].copy(), self._quality[:n].copy()
        return Block(self._stream, self._first, *arrays, self._stride)
