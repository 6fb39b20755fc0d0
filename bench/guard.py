"""What a sampler does with each sample of one column besides recording it: judge it, or take it into a mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from data.samples import UNUSABLE, FloatArray, QualityArray
from instruments.clock import WALL_HORIZON_S
from protocols.interlock import Interlock

_UNUSABLE = int(UNUSABLE)

NOISE_MARGIN = 5.0
"""Noise may bring a sample this many of its usual steps nearer to a limit than the slew of the true value does."""

NOISE_SAMPLES = 300.0
"""Samples over which the usual step is averaged."""

LEAST_SAMPLES = 2.0
"""A channel is not asked at so long a spacing that fewer samples would come in its longest outage."""

LATE_S = WALL_HORIZON_S
"""Two good samples may be this much further apart than the longest outage: no better are their times known."""

State = Literal["back", "outside", "lost"]


@dataclass(frozen=True, slots=True)
class Change:
    """A channel left its band, was lost, or is back.

    Attributes
    ----------
    t : clock time of the sample; of the notice where there is none.
    value : the sample's value; NaN where there is none.
    quality : its bits.
    """

    state: State
    t: float
    value: float = math.nan
    quality: int = 0


Changed = Callable[[Change], None]


@dataclass
class Guard:
    """An interlock, or a condition that a step waits for, on one column of a stream.

    ``armed_s`` is the clock time from which it acts; ``outside`` and ``lost`` say how the channel stands.  A suspended
    guard counts its channel as lost.  ``seen`` says whether a good sample has come at all; while ``on_seen`` is set
    somebody waits for that, and it is called when one comes.
    """

    interlock: Interlock
    column: int
    on_change: Changed
    armed_s: float = -math.inf
    last: float | None = None
    outside: bool = False
    lost: bool = False
    last_good_s: float = -math.inf
    end: Callable[[], None] = lambda: None
    suspended: bool = False
    seen: bool = False
    on_seen: Callable[[], None] | None = None
    _told: State = "back"
    _step_squared: float = 0.0

    def judge(self, t: FloatArray, values: FloatArray, quality: QualityArray) -> None:
        """Look at every sample of the column, act on those that leave the band.

        Parameters
        ----------
        t : (samples,) clock times.
        """
        self._learn_noise(values)
        self.last = float(values[-1])
        good = np.flatnonzero(((quality & _UNUSABLE) == 0) & (values == values))  # no number is no sample
        late = self._late(t, good)
        if good.size:
            self._came(float(t[good[-1]]))
        if self.suspended:
            return
        begin = int(np.searchsorted(t, self.armed_s))
        changes = self.interlock.changes(values[begin:], quality[begin:], self.outside)
        found = {*late, int(good[0])} if self.lost and good.size else late
        outside = {begin + index: is_outside for index, is_outside in changes}
        for at in sorted({*outside, *found}):
            if at in late:
                self._lose(float(t[at]))
            self.outside = outside.get(at, self.outside)
            self.lost = self.lost and at not in found
            self._settle(float(t[at]), float(values[at]), int(quality[at]))
        self.missed(float(t[-1]))

    def judge_one(self, t: float, value: float, quality: int) -> None:
        """The same for one sample, without the cost of arrays."""
        self.last = value
        good = not quality & _UNUSABLE and value == value  # no number is no sample
        late = good and t > self._due_s + LATE_S
        if good:
            self._came(t)
        if self.suspended:
            return
        if late:
            self._lose(t)
        if good:
            self.lost = False
        if t >= self.armed_s:
            outside = self.interlock.state(value, quality)
            if outside is not None:
                self.outside = outside
        if self.state != self._told:
            self._settle(t, value, quality)
        if not good:
            self.missed(t)

    def missed(self, now: float) -> None:
        """Act when there has been no good sample for longer than the interlock allows."""
        if now >= self.outage_due_s - 1e-6 and not self.suspended:
            self._lose(now)

    @property
    def is_armed(self) -> bool:
        """Whether it acts, or will by itself once its channel has settled."""
        return self.armed_s < math.inf

    def arm(self, from_s: float) -> None:
        """Act on samples from a clock time on."""
        self.armed_s = from_s

    def disarm(self, now: float) -> None:
        """Act no more; an excursion that still lasts ends here."""
        self.armed_s = math.inf
        self.outside = self.lost = False
        self._settle(now)

    def suspend(self, now: float) -> None:
        """Look at nothing for a while, as if the channel were lost."""
        self.lost = True
        self._settle(now)
        self.suspended = True

    def restore(self, now: float) -> None:
        """Look again, at samples from now on."""
        self.armed_s, self.suspended = max(now, self.armed_s), False

    @property
    def state(self) -> State:
        """How the channel stands."""
        return "outside" if self.outside else "lost" if self.lost else "back"

    @property
    def outage_due_s(self) -> float:
        """When the channel counts as lost unless a good sample comes; infinite for one that may be lost, or is."""
        return math.inf if self.lost else self._due_s

    @property
    def _due_s(self) -> float:
        """The same, whether it is lost or not."""
        outage = self.interlock.max_outage_s
        return math.inf if outage is None else max(self.last_good_s, self.armed_s) + outage

    def headroom_s(self, now: float) -> float:
        """How long the channel needs at least to reach a limit at which something happens."""
        if self.on_seen is not None and not self.seen:
            return 0.0
        if self.armed_s > now:
            return self.armed_s - now
        if self.last is None or not math.isfinite(self.last):
            return 0.0
        if not self.outside and self.interlock.state(self.last, 0):
            return 0.0  # it was outside before it was armed: the next sample acts
        return self.interlock.headroom_s(self.last, NOISE_MARGIN * math.sqrt(self._step_squared), self.outside)

    def spares(self, now: float, until_s: float, spacing_s: float) -> bool:
        """Whether nothing is lost when no sample comes for a while, where they come at a longer spacing."""
        outage_s = self.interlock.max_outage_s
        return (outage_s is None or outage_s >= LEAST_SAMPLES * spacing_s) and self.headroom_s(now) >= until_s

    def _came(self, t: float) -> None:
        """A good sample came."""
        self.last_good_s = t
        if not self.seen:
            self.seen, told = True, self.on_seen
            if told is not None:
                told()

    def _late(self, t: FloatArray, good: npt.NDArray[np.intp]) -> set[int]:
        """Good samples that come so long after the one before that the channel was lost meanwhile."""
        if not good.size or t[good[-1]] <= self._due_s + LATE_S:
            return set()
        since = np.maximum(np.concatenate(([self.last_good_s], t[good[:-1]])), self.armed_s)
        return set(good[t[good] - since > (self.interlock.max_outage_s or 0.0) + LATE_S].tolist())

    def _lose(self, t: float) -> None:
        self.lost = True
        self._settle(t)

    def _settle(self, t: float, value: float = math.nan, bits: int = 0) -> None:
        """Tell how the channel stands, when it stands otherwise than was told."""
        if self.state != self._told:
            self._told = self.state
            self.on_change(Change(self._told, t, value, bits))

    def _learn_noise(self, values: FloatArray) -> None:
        """Keep the mean square of the step from sample to sample, forgetting the older ones."""
        steps, first = values[1:] - values[:-1], 0.0 if self.last is None else float(values[0]) - self.last
        square = (float((steps * steps).sum()) + first * first) / len(values)
        if math.isfinite(square):
            self._step_squared += (square - self._step_squared) * -math.expm1(-len(values) / NOISE_SAMPLES)


@dataclass
class Tally:
    """Running mean of one column's good samples, for conditions that are relative to a phase."""

    column: int
    total: float = 0.0
    count: int = 0

    def add(self, values: FloatArray, quality: QualityArray) -> None:
        """Take the good samples in, one after the other, so that the sum does not depend on the blocks."""
        for value in values[(quality & _UNUSABLE) == 0].tolist():
            self.total += value
        self.count += int(((quality & _UNUSABLE) == 0).sum())


@dataclass
class Mark:
    """Samples of some columns that are not to be used, by clock time: from ``from_s`` up to and without ``to_s``."""

    from_s: float
    columns: tuple[int, ...]
    to_s: float = math.inf
