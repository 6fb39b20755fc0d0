"""What the samplers watch for: interlocks, conditions that a step waits for, and the means that those compare with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bench.station import OpenStation
from data.samples import UNUSABLE, FloatArray, QualityArray
from instruments.instrument import InstrumentError
from protocols.interlock import Interlock
from protocols.steps import Level, Phase, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.sampler import Sampler

_UNUSABLE = int(UNUSABLE)

NOISE_MARGIN = 5.0
"""Noise may bring a sample this many of its usual steps nearer to a limit than the slew of the true value does."""

NOISE_SAMPLES = 300.0
"""Samples over which the usual step is averaged."""

Crossed = Callable[[Interlock, float, float], None]
"""Called with the interlock, and clock time and value of the sample; the value is NaN for a channel that was lost."""


@dataclass
class Guard:
    """An interlock, or a condition that a step waits for, on one column of a stream.

    ``armed_s`` is the clock time from which it acts.
    """

    interlock: Interlock
    column: int
    on_crossing: Crossed
    armed_s: float = -math.inf
    last: float | None = None
    outside: bool = False
    last_good_s: float = -math.inf
    _step_squared: float = 0.0

    def judge(self, t: FloatArray, values: FloatArray, quality: QualityArray) -> None:
        """Look at every sample of the column, act on those that leave the band.

        Parameters
        ----------
        t : (samples,) clock times.
        """
        self._learn_noise(values)
        self.last = float(values[-1])
        good = np.flatnonzero((quality & _UNUSABLE) == 0)
        if good.size:
            self.last_good_s = float(t[good[-1]])
        armed = slice(int(np.searchsorted(t, self.armed_s)), None)
        for left in self.interlock.leaving(values[armed], quality[armed], self.outside):
            self.on_crossing(self.interlock, float(t[armed][left]), float(values[armed][left]))
        self.outside = t[-1] >= self.armed_s and self.interlock.outside(self.last, int(quality[-1]))
        self.missed(float(t[-1]))

    def judge_one(self, t: float, value: float, quality: int) -> None:
        """The same for one sample, without the cost of arrays."""
        self.last = value
        if not quality & _UNUSABLE:
            self.last_good_s = t
        was, self.outside = self.outside, t >= self.armed_s and self.interlock.outside(value, quality)
        if self.outside and not was:
            self.on_crossing(self.interlock, t, value)
        if quality:
            self.missed(t)

    def missed(self, now: float) -> None:
        """Act when there has been no good sample for longer than the interlock allows."""
        if now >= self.outage_due_s - 1e-6 and not self.outside:
            self.outside = True
            self.on_crossing(self.interlock, now, math.nan)

    @property
    def outage_due_s(self) -> float:
        """When the channel counts as lost unless a good sample comes; infinite for one that may be lost."""
        outage = self.interlock.max_outage_s
        return math.inf if outage is None else max(self.last_good_s, self.armed_s) + outage

    def headroom_s(self) -> float:
        """How long the channel needs at least to reach a limit."""
        if self.last is None or not math.isfinite(self.last):
            return 0.0
        return self.interlock.headroom_s(self.last, NOISE_MARGIN * math.sqrt(self._step_squared))

    def _learn_noise(self, values: FloatArray) -> None:
        """Keep the mean square of the step from sample to sample, forgetting the older ones."""
        steps = np.diff(values, prepend=values[0] if self.last is None else self.last)
        square = float(np.mean(steps * steps))
        if math.isfinite(square):
            self._step_squared += (square - self._step_squared) * -math.expm1(-len(steps) / NOISE_SAMPLES)


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


class Watch:
    """Sets guards and tallies on the samplers, with limits in the terms of each channel's indication.

    Parameters
    ----------
    roles : the procedure's roles; an interlock or condition names a role or "instrument.channel".
    steps : the plan, which says of which phases a later condition needs the mean.
    """

    def __init__(
        self, opened: OpenStation, roles: Mapping[str, str], steps: Sequence[Step], samplers: Mapping[str, Sampler]
    ) -> None:
        self._opened = opened
        self._roles = roles
        self._samplers = samplers
        self._levels = [step.until for step in steps if isinstance(step, Phase) and step.until is not None]
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._unarmed: list[Guard] = []

    def arm(self) -> None:
        """Delivery starts: arm what waited for it."""
        for guard in self._unarmed:
            guard.armed_s = self._opened.clock.now()
        self._unarmed.clear()

    def guard(self, interlock: Interlock, on_crossing: Crossed) -> Callable[[], None]:
        """Watch for an interlock; returns what ends that.

        The band holds for the true value, the samples are indications: the band is carried over to them, and what is
        reported is carried back.
        """
        target = self._target(interlock.channel)
        calibration = self._opened.calibration(target)
        felt = interlock
        report = on_crossing
        if calibration is not None:
            low, high = (
                None if limit is None else calibration.indicated(limit) for limit in (interlock.low, interlock.high)
            )
            slew = None if interlock.slew_per_s is None else interlock.slew_per_s / calibration.gain
            felt = replace(interlock, low=low, high=high, slew_per_s=slew)

            def report(_: Interlock, t: float, value: float) -> None:
                on_crossing(interlock, t, calibration.corrected(value))

        sampler, column = self._place(target)
        guard = Guard(felt, column, report, last_good_s=self._opened.clock.now())
        if interlock.armed == "delivery":
            guard.armed_s = math.inf
            self._unarmed.append(guard)
        return sampler.watch(guard)

    def until(self, name: str, level: Level, reached: Callable[[float, float], None]) -> Callable[[], None]:
        """Watch for a level, calling ``reached`` with clock time and true value; returns what ends that."""
        sampler, _ = self._place(self._target(level.role))
        sampler.catch_up()  # samples from before the phase cannot meet its condition
        limit = level.value + (self._mean(level.relative_to, level.role) if level.relative_to else 0.0)
        low, high = (None, limit) if level.side == "above" else (limit, None)
        band = Interlock(f"until {name}", level.role, low, high, "log", self._slew(self._target(level.role)))
        return self.guard(band, lambda _, t, value: reached(t, value))

    @contextmanager
    def averaging(self, phase: str) -> Iterator[None]:
        """Take the means of a phase that later conditions compare with, while the context lasts."""
        begun: list[tuple[Sampler, Callable[[], None]]] = []
        for role in {level.role: None for level in self._levels if level.relative_to == phase}:
            sampler, column = self._place(self._target(role))
            tally = self._tallies[(phase, role)] = Tally(column)
            sampler.catch_up()
            begun.append((sampler, sampler.count(tally)))
        try:
            yield
        finally:
            for sampler, end in begun:
                sampler.catch_up()
                end()

    def _mean(self, phase: str, role: str) -> float:
        """Mean true value of a channel in a phase that has ended."""
        target = self._target(role)
        tally = self._tallies.get((phase, role))
        if tally is None or tally.count == 0:
            name = target.partition(".")[0]
            raise InstrumentError(name, f'gave no good sample of "{role}" in phase "{phase}" to compare with')
        mean = tally.total / tally.count
        calibration = self._opened.calibration(target)
        return mean if calibration is None else calibration.corrected(mean)

    def _slew(self, target: str) -> float | None:
        """Fastest honest change of a channel, as the station's interlocks state it."""
        stated: Iterable[float] = (
            interlock.slew_per_s
            for interlock in self._opened.interlocks
            if interlock.channel == target and interlock.slew_per_s is not None
        )
        return max(stated, default=None)

    def _target(self, channel: str) -> str:
        return self._roles.get(channel, channel)

    def _place(self, target: str) -> tuple[Sampler, int]:
        instrument, channel = self._opened.channel(target)
        return self._samplers[instrument.name], list(instrument.channels).index(channel)
