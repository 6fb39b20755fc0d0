"""Which samples are kept while a phase rests: the first of each window that is as long as the resting period."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from data.samples import Rest, due_before
from instruments.instrument import Buffered, Instrument, Polled


@dataclass
class Resting:
    """How one stream rests.

    Samples are kept as they are, none is a mean of several: what a record of a resting stream shows, the instrument
    has said.  Indices count samples at the stream's own spacing throughout, whether they are kept or not.

    Parameters
    ----------
    every : samples in one window; 1 for a stream that never rests.
    """

    every: int = 1
    rests: list[Rest] = field(default_factory=list)
    active: bool = False
    expected: int = 0  # one more than the index of the latest sample that was kept

    @property
    def stride(self) -> int:
        """Samples from one that is kept to the next."""
        return self.every if self.active else 1

    def change(self, index: int) -> None:
        """Begin to rest, or end, with the sample of an index."""
        self.active = not self.active
        if self.active:
            self.rests.append(Rest(self.every, index))
        else:
            self.rests[-1] = replace(self.rests[-1], to_index=index)

    def next_due(self, index: int) -> int:
        """The first sample from an index on that is to be kept."""
        if not self.active or index // self.every > (self.expected - 1) // self.every:
            return index
        return (index // self.every + 1) * self.every

    def kept(self, first: int, count: int) -> list[tuple[slice, int]]:
        """Rows of consecutive samples that are to be kept, and the stride of each piece."""
        if not self.active:
            return [(slice(0, count), 1)] if count else []
        begin, end, every = self.next_due(first), first + count, self.every
        pieces = []
        if begin < end and begin % every:  # the window's earlier samples were lost
            pieces.append((slice(begin - first, begin - first + 1), every))
            begin = (begin // every + 1) * every
        if begin < end:
            pieces.append((slice(begin - first, count, every), every))
        return pieces

    def missed(self, first: int) -> int:
        """How many samples are missing before one that is to be kept."""
        if not self.rests or first == self.expected:
            return first - self.expected
        if self.active and self.expected > self.rests[-1].from_index:
            return max(0, first // self.every - (self.expected - 1) // self.every - 1)
        return max(0, int(due_before(first + 1, self.rests)) - int(due_before(self.expected, self.rests)) - 1)


def spacing(instrument: Instrument) -> float:
    """Time from one sample of an instrument to the next, in s; 0 for what is not sampled."""
    if isinstance(instrument, Buffered):
        return instrument.interval_s
    return instrument.period_s if isinstance(instrument, Polled) else 0.0


def samples_in(resting_s: float, spacing_s: float) -> int:
    """Samples in one resting period; raises ValueError where they are no whole number above one."""
    every = round(resting_s / spacing_s) if spacing_s else 0
    if not spacing_s:
        raise ValueError("it measures nothing that could rest; leave it out")
    if every < 2 or not math.isclose(every * spacing_s, resting_s, rel_tol=1e-9):
        said = f"{resting_s:g} s is no whole number of samples, of which one comes each {spacing_s:g} s"
        raise ValueError(f'{said}; write a multiple of that, such as "{2 * spacing_s:g} s"')
    return every
