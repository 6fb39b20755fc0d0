"""What scatters the readings of a balance under a vessel, and so any sum of weighted readings, such as a bolus.

Three things of different memory: each reading's own noise has that of the balance's filter, the meniscus at the
immersed tube keeps its force until the level has risen by some microlitres, and the zero of the balance walks.  An
average over many readings takes out the first alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray

SLIPS_UL = (4.0, 7.0, 10.0)
"""Mean volume between two slips of the meniscus, waiting times exponential; which of them it is, is not known."""

FILTER_S = 2.0
"""Time constant of a balance's filter, 0.5 to 2 s: readings less apart hang together."""

PARTS = 4
"""Nodes in which a mean over a block is represented: its middle alone would have all of its meniscus or none."""


@dataclass(frozen=True, slots=True)
class ReadingNoise:
    """Standard deviations in mg: of one reading, of the meniscus, and of the zero's walk after one hour."""

    reading_mg: float
    meniscus_mg: float
    walk_mg: float
    spacing_s: float

    def parts_mg(
        self, t_s: FloatArray, volume_ul: FloatArray, weights: FloatArray, block_s: FloatArray
    ) -> tuple[tuple[str, float], ...]:
        """Standard uncertainties of a sum of weighted means over blocks of readings.

        Parameters
        ----------
        t_s, volume_ul : (n,) middle of each block, and the volume delivered until then.
        weights : (n,) of the blocks' means; they sum to 0, as those of any difference of levels do.
        block_s : (n,) lengths.

        Notes
        -----
        A random walk w has Var(sum a w) = -1/2 sum sum a a' s^2 |t - t'| for weights that sum to 0; the meniscus has
        the covariance m^2 exp(-|V - V'| / slip volume) of a value that is drawn anew at exponential waiting volumes.
        Noise behind a filter has the correlation r = exp(-spacing / time constant) from reading to reading, so that of
        n readings (1 - r)/(1 + r) n are independent.
        """
        kept = math.exp(-self.spacing_s / FILTER_S)
        readings = np.maximum(block_s / self.spacing_s * (1.0 - kept) / (1.0 + kept), 1.0)
        white = self.reading_mg * math.sqrt(math.fsum((weights**2 / readings).tolist()))
        shift = (np.arange(PARTS) + 0.5) / PARTS - 0.5
        at = (t_s[:, None] + shift * block_s[:, None]).ravel()
        w = np.repeat(weights / PARTS, PARTS)
        v = np.interp(at, t_s, volume_ul)
        pairs = w[:, None] * w[None, :]
        apart = np.abs(v[:, None] - v[None, :])
        slips = math.fsum(_total(pairs * np.exp(-apart / slip_ul)) for slip_ul in SLIPS_UL) / len(SLIPS_UL)
        walk = -0.5 * _total(pairs * np.abs(at[:, None] - at[None, :])) / 3600.0
        return (
            ("readings", white),
            ("meniscus", self.meniscus_mg * math.sqrt(max(slips, 0.0))),
            ("zero walk", self.walk_mg * math.sqrt(max(walk, 0.0))),
        )

    def apart_mg(self, window_s: float, gained_ul: float) -> float:
        """Standard deviation of the difference of two readings, a window and what was delivered in it apart."""
        ends = np.array([0.0, 1.0])
        parts = self.parts_mg(window_s * ends, gained_ul * ends, np.array([-1.0, 1.0]), np.zeros(2))
        return math.hypot(*(u for _, u in parts))


def _total(values: FloatArray) -> float:
    return math.fsum(values.ravel().tolist())
