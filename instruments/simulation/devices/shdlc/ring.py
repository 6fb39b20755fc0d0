"""What an SCC1 cable keeps of a flow sensor: samples on its own crystal in a ring, and their running sum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from instruments.simulation.signal import Signal

Counts = npt.NDArray[np.int16]

TEMPERATURE_COUNTS_PER_DEGC = 200.0
AIR_FLAG, HIGH_FLOW_FLAG = 1, 2
_ROOM_TEMPERATURE_DEGC = 23.5
_SUM_BLOCK = 65_536
_EPS = 1e-6  # samples


@dataclass(frozen=True, slots=True)
class SensorModel:
    """A sensor at the end of the cable.

    ``counts_per_unit`` and ``unit_word`` are what command 53 reports; ``nl_per_min`` is one of that unit in nL/min.
    Beyond ``limit_counts`` either way the reading saturates.
    """

    name: str
    family: Literal["SF04", "SF06"]
    counts_per_unit: int
    unit_word: int
    nl_per_min: float
    limit_counts: int
    product_id: str = ""
    shortest_ms: int = 1

    @property
    def width(self) -> int:
        """Signals per sample: the flow, or flow, temperature and flags."""
        return 1 if self.family == "SF04" else 3


@dataclass(slots=True)
class _Run:
    """A continuous measurement: sample k is taken at ``zero_s + k·dt_s``, ``first`` being its first one."""

    interval_ms: int
    zero_s: float
    dt_s: float
    first: int
    stopped_at: float | None = None

    def produced(self, now: float) -> int:
        """Index of the sample that comes next."""
        t = now if self.stopped_at is None else self.stopped_at
        return max(self.first, math.floor((t - self.zero_s) / self.dt_s + _EPS) + 1)


class SampleRing:
    """Samples of a sensor, taken whether or not somebody reads them.

    Sample indices count over all measurements since the model was made, because the noise of a sample belongs to its
    index.  Nothing is computed before it is read.

    Attributes
    ----------
    lost : samples that were overwritten since the host last asked.
    frozen : the sensor stands still and repeats its last counts.
    saturated : the flow is beyond the range, whatever the signal says.
    totalling : whether the running sum counts.
    """

    def __init__(
        self,
        model: SensorModel,
        flow: Signal,
        temperature: Signal | None,
        air: Signal | None,
        crystal_ppm: float,
        capacity: int,
    ) -> None:
        self.model = model
        self.flow, self.temperature, self.air = flow, temperature, air
        self.crystal_ppm = crystal_ppm
        self.capacity = capacity
        self.frozen = self.saturated = False
        self._taken = 0
        self._scale = model.counts_per_unit / model.nl_per_min
        self.forget()

    def forget(self) -> None:
        """Lose everything, as with the supply."""
        self._run: _Run | None = None
        self._unread = self._taken
        self.lost = 0
        self.totalling = False
        self._sum, self._summed = 0, self._taken
        self._latest: Counts | None = None

    # -- measuring

    @property
    def interval_ms(self) -> int | None:
        """Interval of the running measurement; None while idle."""
        return self._run.interval_ms if self._run is not None and self._run.stopped_at is None else None

    def start(self, interval_ms: int, now: float) -> None:
        """Measure every ``interval_ms`` of the cable's own clock, the first time after one interval."""
        self.stop(now)
        dt = max(interval_ms, self.model.shortest_ms) * 1e-3 * (1.0 + self.crystal_ppm * 1e-6)
        self._run = _Run(interval_ms, now + dt - self._taken * dt, dt, self._taken)
        self._unread, self.lost = self._taken, 0
        self._summed = self._taken

    def stop(self, now: float) -> None:
        """Stop; what was not read stays."""
        if self._run is not None and self._run.stopped_at is None:
            self._taken = self._produced(now)
            self.sum_counts(now)
            self._run.stopped_at = now

    def last(self, now: float) -> Counts | None:
        """The latest sample, shape (1, width); None before the first."""
        produced = self._produced(now)
        if self._run is None or produced == self._run.first:
            return None
        return self._rows(produced - 1, 1)

    def take(self, most: int, now: float) -> tuple[Counts, int]:
        """The oldest unread samples, shape (n, width), and how many stay unread."""
        produced = self._produced(now)
        n = min(produced - self._unread, most)
        rows = self._rows(self._unread, n) if n else np.empty((0, self.model.width), dtype=np.int16)
        self._unread += n
        return rows, produced - self._unread

    def clear(self, now: float) -> None:
        """Forget what is unread."""
        self._unread, self.lost = self._produced(now), 0

    def sum_counts(self, now: float, *, reset: bool = False) -> int:
        """Sum of the flow counts of all samples, read or not, while `totalling` was on."""
        produced = self._produced(now)
        run = self._run
        if self.totalling and run is not None:
            for first in range(max(self._summed, run.first), produced, _SUM_BLOCK):
                n = min(_SUM_BLOCK, produced - first)
                self._sum += int(self.counts(self.flow.samples(run.zero_s, run.dt_s, first, n)).sum())
        self._summed = produced
        if reset:
            self._sum = 0
        return self._sum

    def counts(self, nl_per_min: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Rounded and saturated counts of flows in nL/min."""
        limit = self.model.limit_counts
        rounded: npt.NDArray[np.float64] = np.clip(np.rint(nl_per_min * self._scale), -limit, limit)
        return rounded

    def _produced(self, now: float) -> int:
        """Index of the sample that comes next; what no longer fits into the ring is lost on the way."""
        if self._run is None:
            return self._taken
        produced = self._run.produced(now)
        overflow = produced - self._unread - self.capacity
        if overflow > 0:
            self.lost += overflow
            self._unread += overflow
        return produced

    def _rows(self, first: int, n: int) -> Counts:
        """Counts of ``n`` samples from index ``first``, shape (n, width)."""
        if self.frozen and self._latest is not None:
            return np.repeat(self._latest, n, axis=0)
        run = self._run
        assert run is not None
        rows = np.empty((n, self.model.width), dtype=np.int16)
        flow = self.flow.samples(run.zero_s, run.dt_s, first, n)
        rows[:, 0] = self.model.limit_counts if self.saturated else self.counts(flow)
        if self.model.width > 1:
            degc: npt.NDArray[np.float64] | float = _ROOM_TEMPERATURE_DEGC
            if self.temperature is not None:
                degc = self.temperature.samples(run.zero_s, run.dt_s, first, n)
            rows[:, 1] = np.rint(np.multiply(degc, TEMPERATURE_COUNTS_PER_DEGC))
            rows[:, 2] = 0
            if self.air is not None:
                rows[:, 2] = (self.air.samples(run.zero_s, run.dt_s, first, n) > 0.5) * AIR_FLAG
            rows[np.abs(rows[:, 0]) >= self.model.limit_counts, 2] |= HIGH_FLOW_FLAG
        self._latest = rows[-1:]
        return rows
