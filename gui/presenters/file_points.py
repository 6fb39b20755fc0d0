"""A recorded channel for plots, read as far as it is looked at.

The whole of a month is shown first from some of its pieces and completed from the rest; a stretch that is short enough
is read sample by sample.  A plot draws it as it draws `gui.plots.pyramid.Pyramid`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from data.overview import BIN, LONGEST, Extent, Piece, Stretch, pieces, stretch
from data.samples import UNUSABLE, FloatArray, QualityArray
from gui.plots.pyramid import CAPACITY, Drawn, Pyramid
from gui.presenters.file_reader import Reader

WHOLE = 1 << 17
"""A channel of so few samples is read at once."""

FIRST_PIECES = 24
"""Pieces, spread over the run, from which a first picture is made."""

PIECES_AT_ONCE = 16
GROWTH = 1.3
"""The picture is made anew when so much more of it has been read."""

Flagged = tuple[float, float, int]
"""A stretch in which quality bits are set: begin, end in s, and the bits."""


class FilePoints:
    """One channel of a run file; `view` is what plots ask.

    Parameters
    ----------
    changed : called when more has been read.

    Attributes
    ----------
    sentence : why it cannot be read; empty while it can.
    """

    def __init__(self, reader: Reader, channel: str, extent: Extent, changed: Callable[[], None]) -> None:
        self.channel = channel
        self.extent = extent
        self.sentence = ""
        self._reader = reader
        self._changed = changed
        self._begun = False
        self._pieces: list[Piece | None] = [None] * extent.pieces
        self._read = self._shown = 0
        self._coarse = Pyramid()
        self._fine = Pyramid()
        self._capacity = max(CAPACITY, 1 << (2 * extent.rows // BIN + 64).bit_length())
        self._fine_span = (math.inf, -math.inf)
        self._asked: tuple[float, float] | None = None
        self._unread_after: list[float] = []  # last moments before what has not been read
        self._flags: list[Flagged] = []

    @property
    def span(self) -> tuple[float, float]:
        """Time of the first and of the last sample."""
        return self.extent.t0, self.extent.t1

    @property
    def is_begun(self) -> bool:
        """Whether anybody looks at it."""
        return self._begun

    @property
    def is_whole(self) -> bool:
        """Whether every sample is in what is shown."""
        return self._read == self.extent.pieces

    @property
    def part_read(self) -> float:
        """How much has been read, from 0 to 1."""
        return self._read / self.extent.pieces

    @property
    def flags(self) -> list[Flagged]:
        """Stretches with quality bits, of what has been read; in order of time."""
        return self._flags

    def begin(self) -> None:
        """Read the channel, from coarse to fine; twice is once."""
        if self._begun:
            return
        self._begun = True
        if self.extent.rows <= WHOLE:
            self._ask_fine(-math.inf, math.inf)
            return
        order = spread(self.extent.pieces)
        first, rest = order[:FIRST_PIECES], order[FIRST_PIECES:]
        batches = [first, *(rest[at : at + PIECES_AT_ONCE] for at in range(0, len(rest), PIECES_AT_ONCE))]
        for urgency, batch in enumerate(batches, 2):
            self._reader.ask(pieces, (self.channel, batch), self._take, self._fail, urgency=urgency)

    def view(self, t0: float, t1: float, columns: int) -> Drawn:
        """What is to be drawn of a stretch now; where finer samples are due they are asked for."""
        self.begin()
        if self._has_fine(t0, t1):
            return self._fine.view(t0, t1, columns)
        if self._rows_of(t0, t1) <= min(BIN * columns, LONGEST // 4) and self._asked is None:
            margin = t1 - t0
            self._ask_fine(t0 - margin, t1 + margin)
        drawn = self._coarse.view(t0, t1, columns)
        return self._broken(drawn)

    def at(self, t: float) -> tuple[float, float] | None:
        """Time and value of the sample next to a moment; None where single samples have not been read."""
        return self._fine.at(t) if self._has_fine(t, t) else None

    def extremes(self, t0: float, t1: float) -> tuple[float, float] | None:
        """Smallest and largest value of a stretch, of what has been read; None where there is none."""
        return self._fine.extremes(t0, t1) if self._has_fine(t0, t1) else self._coarse.extremes(t0, t1)

    # -- what comes

    def _take(self, made: list[Piece]) -> None:
        for piece in made:
            self._read += self._pieces[piece.number] is None
            self._pieces[piece.number] = piece
        if self._read >= self._shown * GROWTH or self.is_whole:
            self._shown = self._read
            self._build()
            self._changed()

    def _build(self) -> None:
        known = [piece for piece in self._pieces if piece is not None]
        y = np.stack([np.concatenate([p.low for p in known]), np.concatenate([p.high for p in known])], axis=1)
        self._coarse = Pyramid(self._capacity)
        self._coarse.extend(np.repeat(np.concatenate([piece.t for piece in known]), 2), y.ravel())
        self._unread_after = [float(one.t[-1]) for one, other in pairwise(known) if other.number > one.number + 1]
        self._flags = [
            flag
            for piece in known
            if piece.quality is not None
            for flag in flagged(piece.t, piece.quality, self._end_of(piece))
        ]

    def _broken(self, drawn: Drawn) -> Drawn:
        """The curve without the lines across what has not been read yet: they would be no data."""
        after = np.unique(np.searchsorted(drawn.x, self._unread_after, side="right"))
        after = after[(after > 0) & (after < len(drawn.x))]
        return Drawn(np.insert(drawn.x, after, drawn.x[after]), np.insert(drawn.y, after, np.nan), False)

    def _end_of(self, piece: Piece) -> float:
        if len(piece.t) < 2:
            return self.extent.t1
        return min(float(2.0 * piece.t[-1] - piece.t[-2]), self.extent.t1)

    def _ask_fine(self, t0: float, t1: float) -> None:
        self._asked = (t0, t1)
        self._reader.ask(stretch, (self.channel, t0, t1), self._take_fine, self._fail, urgency=0)

    def _take_fine(self, got: Stretch) -> None:
        assert self._asked is not None
        t0, t1 = self._asked
        self._asked = None
        good = np.where(got.quality & int(UNUSABLE), np.nan, got.values)
        self._fine = Pyramid()
        self._fine.extend(got.t, good)
        if len(got.t) == LONGEST:
            t1 = min(t1, float(got.t[-1]))
        self._fine_span = (t0, t1)
        if len(got.t) == self.extent.rows:
            self._fine_span = (-math.inf, math.inf)
            self._read = self.extent.pieces
            self._flags = flagged(got.t, got.quality, self.extent.t1)
        self._changed()

    def _fail(self, said: str) -> None:
        if not self.sentence:
            self.sentence = said
            self._changed()

    def _has_fine(self, t0: float, t1: float) -> bool:
        begin, end = self._fine_span
        return begin <= max(t0, self.extent.t0) and min(t1, self.extent.t1) <= end

    def _rows_of(self, t0: float, t1: float) -> float:
        """About how many samples a stretch has."""
        begin, end = max(t0, self.extent.t0), min(t1, self.extent.t1)
        whole = max(self.extent.t1 - self.extent.t0, 1e-9)
        return self.extent.rows * max(end - begin, 0.0) / whole


def spread(count: int) -> list[int]:
    """Numbers from 0 up, so ordered that any first part of them lies evenly: by their bits read from behind."""
    bits = max((count - 1).bit_length(), 1)
    return sorted(range(count), key=lambda number: int(f"{number:0{bits}b}"[::-1], 2))


def flagged(t: FloatArray, quality: QualityArray, end: float) -> list[Flagged]:
    """Stretches of equal bits, without those where no bit is set.

    Parameters
    ----------
    t : (n,) begin of each sample or bin, in s.
    end : of the last one, in s.
    """
    if not quality.any():
        return []
    edges = np.flatnonzero(np.diff(quality)) + 1
    starts = np.concatenate(([0], edges))
    ends = np.append(t[edges], end)
    return [
        (float(t[at]), float(until), int(quality[at])) for at, until in zip(starts, ends, strict=True) if quality[at]
    ]
