"""Pulses on digital terminals: what counters count, what triggers a start, what clocks samples.

A train numbers its rising edges from 1 on; the moments are seconds on the run's clock.  What stands at a terminal is a
pulse generator that the wiring declares, the output of a counter, a line that a task drives, or a signal of the plant.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from instruments.clock import Clock
from instruments.simulation.signal import Signal

LOOK_S = 0.01
"""How finely a level is watched for edges; the plant's contacts change ten times a second at most."""

_CHUNK = 65_536
_FINEST_S = 1e-7
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Pulse:
    """One pulse: from its rising edge over its falling edge to the next rising one."""

    rise_s: float
    high_s: float
    low_s: float

    @property
    def period_s(self) -> float:
        """From rising edge to rising edge."""
        return self.high_s + self.low_s


class Train(Protocol):
    """Pulses at one terminal."""

    def count(self, t: float) -> int:
        """Rising edges until ``t``."""

    def rise(self, number: int) -> float:
        """Moment of a rising edge; infinite for one that has not been seen and cannot be foreseen."""

    def pulse(self, number: int) -> Pulse:
        """The pulse that begins with a rising edge; the next edge has been seen."""


@dataclass(frozen=True, slots=True)
class Programmed:
    """Pulses of a generator: (high, low) times that repeat from ``t0`` on, ``n`` pulses or without an end."""

    t0: float
    pulses: tuple[tuple[float, float], ...]
    n: int | None = None

    def count(self, t: float) -> int:
        """Rising edges until ``t``."""
        elapsed = t - self.t0
        if elapsed < -_EPSILON:
            return 0
        offsets, total = self._offsets()
        rounds = math.floor(elapsed / total + _EPSILON)
        rest = elapsed - rounds * total
        found = rounds * len(self.pulses) + bisect_right(offsets, rest + _EPSILON * total)
        return found if self.n is None else min(found, self.n)

    def rise(self, number: int) -> float:
        """Moment of a rising edge."""
        if self.n is not None and number > self.n:
            return math.inf
        offsets, total = self._offsets()
        rounds, which = divmod(number - 1, len(self.pulses))
        return self.t0 + rounds * total + offsets[which]

    def pulse(self, number: int) -> Pulse:
        """A pulse, known from the beginning."""
        return Pulse(self.rise(number), *self.pulses[(number - 1) % len(self.pulses)])

    def high(self, t: float) -> bool:
        """Level at a moment."""
        number = self.count(t)
        return number > 0 and t - self.rise(number) < self.pulses[(number - 1) % len(self.pulses)][0]

    def cut(self, t: float) -> Programmed:
        """The same without the pulses that have not begun by ``t``."""
        return Programmed(self.t0, self.pulses, self.count(t))

    @property
    def end_s(self) -> float:
        """When the last pulse is over."""
        if self.n is None:
            return math.inf
        offsets, total = self._offsets()
        rounds, which = divmod(self.n, len(self.pulses))
        return self.t0 + rounds * total + (offsets[which] if which else 0.0)

    def _offsets(self) -> tuple[list[float], float]:
        offsets, at = [], 0.0
        for high, low in self.pulses:
            offsets.append(at)
            at += high + low
        return offsets, at


@dataclass
class Clocked:
    """Pulses of a generator whose times change with a sample clock.

    A clock edge lets the present pulse finish; the next one has the next times.  Before the first edge the generator
    makes pulses of its ``own`` times, behind the last of ``updates`` it goes on with the last ones (X Series User
    Manual, "Buffered Pulse Train Generation").

    Parameters
    ----------
    times : (high, low) of each update; they repeat.
    updates : how many clock edges count; None is all.
    n : pulses that are made; None has no end.
    """

    t0: float
    own: tuple[float, float]
    times: tuple[tuple[float, float], ...]
    clock: Train
    updates: int | None = None
    n: int | None = None
    _made: list[Pulse] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.before = self.clock.count(self.t0)  # edges of the clock that are none of its

    def count(self, t: float) -> int:
        """Rising edges until ``t``."""
        while self.n is None and (following := self._next_s()) <= t + _EPSILON:
            self._made.append(Pulse(following, *self._at(following)))
        found = bisect_right(self._made, t + _EPSILON, key=lambda pulse: pulse.rise_s)
        return found if self.n is None else min(found, self.n)

    def rise(self, number: int) -> float:
        """Moment of a rising edge."""
        if 0 < number <= len(self._made):
            return self._made[number - 1].rise_s
        return self._next_s() if number == len(self._made) + 1 and self.n is None else math.inf

    def pulse(self, number: int) -> Pulse:
        """A pulse that was made."""
        return self._made[number - 1]

    def high(self, t: float) -> bool:
        """Level at a moment."""
        number = self.count(t)
        return number > 0 and t - self._made[number - 1].rise_s < self._made[number - 1].high_s

    def cut(self, t: float) -> Clocked:
        """End behind the pulses that have begun by ``t``."""
        self.n = self.count(t)
        return self

    @property
    def end_s(self) -> float:
        """When the last update comes; the pulses go on until somebody stops them."""
        return math.inf if self.updates is None else self.clock.rise(self.before + self.updates)

    def _next_s(self) -> float:
        last = self._made[-1] if self._made else None
        return self.t0 if last is None else last.rise_s + last.period_s

    def _at(self, t: float) -> tuple[float, float]:
        edges = self.clock.count(t) - self.before
        if self.updates is not None:
            edges = min(edges, self.updates)
        return self.times[(edges - 1) % len(self.times)] if edges > 0 else self.own


@dataclass
class Succession:
    """Pulses of a counter's output, one generator after another; those before the last are at their end."""

    parts: list[Programmed | Clocked] = field(default_factory=list)

    def begin(self, part: Programmed | Clocked, t: float) -> None:
        """Go on with other pulses; what the generator before has not begun by ``t`` is never made."""
        self.cut(t)
        self.parts.append(part)

    def cut(self, t: float) -> None:
        """End the generator that runs, after the pulses that it has begun."""
        if self.parts:
            self.parts[-1] = self.parts[-1].cut(t)

    def count(self, t: float) -> int:
        """Rising edges until ``t``."""
        return sum(part.count(t) for part in self.parts)

    def rise(self, number: int) -> float:
        """Moment of a rising edge."""
        part, own = self._place(number)
        return math.inf if part is None else part.rise(own)

    def pulse(self, number: int) -> Pulse:
        """A pulse; the last one of a generator lasts until the next one begins."""
        part, own = self._place(number)
        assert part is not None
        found, following = part.pulse(own), self.rise(number + 1)
        return Pulse(found.rise_s, found.high_s, max(0.0, following - found.rise_s - found.high_s))

    def high(self, t: float) -> bool:
        """Level at a moment."""
        return bool(self.parts) and self.parts[-1].high(t)

    def _place(self, number: int) -> tuple[Programmed | Clocked | None, int]:
        for part in self.parts:
            if part.n is None or number <= part.n:
                return part, number
            number -= part.n
        return None, number


@dataclass(frozen=True, slots=True)
class Counted:
    """A signal that grows: one pulse for each ``per_count`` of it, such as a drop for each 50 µL at the tip."""

    signal: Signal
    per_count: float
    clock: Clock

    def count(self, t: float) -> int:
        """Rising edges until ``t``."""
        return math.floor(self.signal.at(t) / self.per_count + _EPSILON)

    def rise(self, number: int) -> float:
        """Moment of a rising edge, found by halving."""
        low, high = 0.0, self.clock.now()
        if self.count(high) < number:
            return math.inf
        while high - low > _FINEST_S:
            middle = 0.5 * (low + high)
            low, high = (low, middle) if self.count(middle) >= number else (middle, high)
        return high

    def pulse(self, number: int) -> Pulse:
        """A pulse as long as it is high as low: the signal tells only of the rising edges."""
        rise = self.rise(number)
        half = 0.5 * (self.rise(number + 1) - rise)
        return Pulse(rise, half, half)


class Edges:
    """Rising and falling edges that were seen; the base of what watches a level."""

    def __init__(self) -> None:
        self.rises: list[float] = []
        self.falls: list[float] = []

    def count(self, t: float) -> int:
        """Rising edges until ``t``, from those seen."""
        return bisect_right(self.rises, t)

    def rise(self, number: int) -> float:
        """Moment of a rising edge."""
        return self.rises[number - 1] if 0 < number <= len(self.rises) else math.inf

    def pulse(self, number: int) -> Pulse:
        """A pulse between edges that were seen."""
        rise, following = self.rise(number), self.rise(number + 1)
        fall = next((moment for moment in self.falls if moment > rise), following)
        return Pulse(rise, fall - rise, following - fall)


class Watched(Edges):
    """Edges of a level at a terminal, watched from ``since`` on.

    Parameters
    ----------
    inverted : a contact that opens with its signal.
    """

    def __init__(self, signal: Signal, since: float, *, inverted: bool = False) -> None:
        super().__init__()
        self._signal = signal
        self._since = since
        self._inverted = inverted
        self._looked = 0  # steps of LOOK_S that have been looked at
        self._level = self._high(np.array([signal.at(since)]))[0]

    def count(self, t: float) -> int:
        """Rising edges until ``t``."""
        self.look(t)
        return super().count(t)

    def look(self, t: float) -> None:
        """Find the edges until ``t``."""
        last = math.floor((t - self._since) / LOOK_S + 1e-6)
        while self._looked < last:
            n = min(_CHUNK, last - self._looked)
            levels = self._high(self._signal.samples(self._since, LOOK_S, self._looked + 1, n))
            before = np.concatenate(([self._level], levels[:-1]))
            moments = self._since + (self._looked + 1 + np.arange(n)) * LOOK_S
            self.rises.extend(moments[levels & ~before].tolist())
            self.falls.extend(moments[~levels & before].tolist())
            self._level = levels[-1]
            self._looked += n

    def _high(self, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        closed = values > 0.5
        return ~closed if self._inverted else closed


@dataclass
class Internal:
    """Moments of an internal terminal, such as ``/Dev1/ai/StartTrigger``: pulses without length."""

    moments: list[float] = field(default_factory=list)

    def count(self, t: float) -> int:
        """Pulses so far: at one moment a later one is still to come."""
        return bisect_right(self.moments, t)

    def rise(self, number: int) -> float:
        """Moment of a pulse."""
        return self.moments[number - 1] if 0 < number <= len(self.moments) else math.inf

    def pulse(self, number: int) -> Pulse:
        """A pulse without length."""
        rise = self.rise(number)
        return Pulse(rise, 0.0, self.rise(number + 1) - rise)


def falling(train: Train, number: int) -> float:
    """Moment of the falling edge of a pulse; infinite while it is not known."""
    if isinstance(train, Edges):
        rise = train.rise(number)
        return next((moment for moment in train.falls if moment > rise), math.inf)
    if math.isinf(train.rise(number)):
        return math.inf
    return train.rise(number) + train.pulse(number).high_s


def edge_after(train: Train, number: int, t: float, *, rising: bool) -> float:
    """First edge behind the ``number`` pulses that had begun at ``t``; infinite while it has not been seen."""
    if rising:
        return train.rise(number + 1)
    if isinstance(train, Edges):
        place = bisect_right(train.falls, t)  # the first one may belong to a pulse that began before anybody looked
        return train.falls[place] if place < len(train.falls) else math.inf
    fall = falling(train, number) if number else math.inf
    return fall if t < fall < math.inf else falling(train, number + 1)


@dataclass(frozen=True, slots=True)
class Named:
    """The pulses of an internal terminal as it stands when asked: a counter's output, a sample clock."""

    trains: Mapping[str, Train]
    key: str

    def count(self, t: float) -> int:
        """Rising edges until ``t``."""
        train = self.trains.get(self.key)
        return 0 if train is None else train.count(t)

    def rise(self, number: int) -> float:
        """Moment of a rising edge."""
        train = self.trains.get(self.key)
        return math.inf if train is None else train.rise(number)

    def pulse(self, number: int) -> Pulse:
        """The pulse that begins with a rising edge."""
        return self.trains[self.key].pulse(number)


def period_of(train: Train) -> float | None:
    """Period of a train that is even for ever; None of any other."""
    if isinstance(train, Named):
        named = train.trains.get(train.key)
        return None if named is None else period_of(named)
    if isinstance(train, Succession):
        return period_of(train.parts[-1]) if train.parts else None
    if isinstance(train, Programmed) and train.n is None and len(train.pulses) == 1:
        return sum(train.pulses[0])
    return None
