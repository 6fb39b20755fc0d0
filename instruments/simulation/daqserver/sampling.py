"""When the samples of a task are taken where no even clock of its own says so: edges, changes of lines, retriggers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from instruments.simulation.daqserver.frontend import Samples
from instruments.simulation.daqserver.pulses import Train, edge_after, falling


class Ticks(Protocol):
    """Moments of samples, numbered from 0 on."""

    def count(self, now: float) -> int:
        """Samples until now."""

    def moment(self, index: int) -> float:
        """Moment of a sample; infinite for one that cannot be foreseen."""


class Trigger(Protocol):
    """What starts or refers an acquisition."""

    def next(self, after: float, now: float) -> float:
        """First moment in (after, now] at which it triggers; infinite when there is none."""


class EdgeTicks:
    """A sample at each active edge of a train from its ``first`` pulse on."""

    def __init__(self, train: Train, first: int, *, rising: bool = True) -> None:
        self._train = train
        self._first = first
        self._rising = rising

    def count(self, now: float) -> int:
        """Samples until now."""
        number = self._train.count(now)
        if not self._rising and number and falling(self._train, number) > now:
            number -= 1
        return max(0, number - self._first + 1)

    def moment(self, index: int) -> float:
        """Moment of a sample."""
        number = self._first + index
        return self._train.rise(number) if self._rising else falling(self._train, number)


class PulseTicks:
    """A sample at the end of each whole pulse from the ``first`` on: what a counter with implicit timing measures.

    Parameters
    ----------
    per_pulse : 2 where each half of a pulse is a sample.
    stride : pulses to a sample.
    """

    def __init__(self, train: Train, first: int, per_pulse: int = 1, stride: int = 1) -> None:
        self._train = train
        self.first = first
        self._per_pulse = per_pulse
        self.stride = stride

    def count(self, now: float) -> int:
        """Samples until now."""
        number = self._train.count(now)
        whole = max(0, number - self.first) // self.stride * self._per_pulse
        half = self._per_pulse == 2 and number >= self.first and falling(self._train, number) <= now
        return whole + int(half)

    def moment(self, index: int) -> float:
        """Moment of a sample."""
        pulse, half = divmod(index, self._per_pulse)
        number = self.first + pulse * self.stride
        if self._per_pulse == 2 and not half:
            return falling(self._train, number)
        return self._train.rise(number + self.stride)


class ChangeTicks:
    """A sample whenever one of the lines has an edge that is looked for."""

    def __init__(self, rising: Sequence[Train], falls: Sequence[Train], since: float) -> None:
        self._watched = [(train, True) for train in rising] + [(train, False) for train in falls]
        self._until = since
        self._seen: list[float] = []

    def count(self, now: float) -> int:
        """Samples until now."""
        found: set[float] = set()
        for train, is_rising in self._watched:
            number, at = train.count(self._until), self._until
            train.count(now)
            while (at := edge_after(train, number, at, rising=is_rising)) <= now:
                found.add(at)
                number = train.count(at)
        self._seen.extend(sorted(found))
        self._until = now
        return len(self._seen)

    def moment(self, index: int) -> float:
        """Moment of a sample."""
        return self._seen[index] if index < len(self._seen) else math.inf


class Retriggered:
    """``n`` samples a period ``dt`` apart behind each trigger; a trigger in the midst of them is not seen."""

    def __init__(self, trigger: Trigger, first: float, n: int, dt: float, delay_s: float) -> None:
        self._trigger = trigger
        self._starts = [first]
        self._n = n
        self._dt = dt
        self._delay_s = delay_s

    def count(self, now: float) -> int:
        """Samples until now."""
        while (end := self._starts[-1] + (self._n - 1) * self._dt) <= now:
            again = self._trigger.next(end, now)
            if math.isinf(again):
                break
            self._starts.append(again + self._delay_s)
        of_last = math.floor((now - self._starts[-1]) / self._dt + 1e-6) + 1
        return (len(self._starts) - 1) * self._n + max(0, min(self._n, of_last))

    def moment(self, index: int) -> float:
        """Moment of a sample."""
        which, own = divmod(index, self._n)
        return self._starts[which] + own * self._dt if which < len(self._starts) else math.inf


def pieces(ticks: Ticks, first: int, n: int) -> list[Samples]:
    """Samples of uneven moments, one by one."""
    return [Samples(ticks.moment(index), 0.0, 0, 1) for index in range(first, first + n)]
