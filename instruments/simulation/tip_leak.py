"""A leak to ambient between the flow sensor and the tip.

It lies before the diverter and as deep under the vessel's surface as the end of the immersed tube, so what drives it
is the head over that end, whatever flows: the leak of a line that stands goes on, and is drawn out of the vessel.  Only
where the flow is diverted it comes from that.  When the surface has sunk to the tube's end nothing more comes back, and
against a pressure below ambient it draws air, which weighs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from instruments.simulation.grid import DT_S, Timeline
from instruments.simulation.mounting import OnCatheter
from instruments.simulation.parameters import Draws
from instruments.simulation.signal import FloatArray
from instruments.simulation.stepping import recurrence

KPA_PER_MM = 9.80665e-3
"""Of water of 1000 kg/m³; a fluid that is 1 % denser leaks 1 % more."""


class TipLeak:
    """The leak.

    Parameters
    ----------
    conductance : to ambient, in µL/(s kPa).
    is_diverted : 1 while the flow does not reach the vessel.
    tip_kpa : gauge pressure at the tube's end in each interval that begins at k0 … k1-1, with the vessel as at the
        start of the run.
    """

    def __init__(
        self,
        draws: Draws,
        conductance: OnCatheter,
        is_diverted: Timeline,
        tip_kpa: Callable[[int, int], FloatArray],
    ) -> None:
        self._conductance, self._is_diverted, self._tip_kpa = conductance, is_diverted, tip_kpa
        self._kpa_per_ul = KPA_PER_MM / (0.25 * math.pi * draws["vessel.inner_diameter_mm"] ** 2)
        self._lowest_ul = -max(draws["outlet.static_head_kpa"], 0.0) / self._kpa_per_ul

    def lost_ul(self, k0: int, arriving_ul: FloatArray, filled_ul: float, taken_ul: FloatArray) -> FloatArray:
        """Volume that goes to ambient in each interval (n,).

        Parameters
        ----------
        arriving_ul : what comes from the flow sensor in each interval (n,).
        filled_ul : what the vessel holds more than at the start of the run.
        taken_ul : (n,) what was taken away with its vessel until the begin of each interval, from that of the first.
        """
        n = len(arriving_ul)
        conductance = self._conductance.over(k0, k0 + n)
        lost = np.zeros(n)
        if not conductance.any():
            return lost
        diverted, tip_kpa = self._is_diverted.over(k0, k0 + n), self._tip_kpa(k0, k0 + n)
        edges = np.diff(conductance) != 0.0, np.diff(diverted) != 0.0, np.diff(taken_ul) != 0.0
        cuts = (1 + np.flatnonzero(edges[0] | edges[1] | edges[2])).tolist()
        level = filled_ul
        for a, b in pairwise([0, *cuts, n]):
            level -= float(taken_ul[a] - taken_ul[a - 1]) if a else 0.0
            g = float(conductance[a])
            if diverted[a]:
                lost[a:b] = g * DT_S * np.maximum(tip_kpa[a:b] + self._kpa_per_ul * level, 0.0)
                continue
            levels = self._levels(g, level, arriving_ul[a:b], tip_kpa[a:b])
            lost[a:b] = arriving_ul[a:b] - np.diff(levels)
            level = float(levels[-1])
        return lost

    def _levels(self, g: float, level: float, arriving_ul: FloatArray, tip_kpa: FloatArray) -> FloatArray:
        """What the vessel holds more, at the n + 1 ends of the intervals: dV/dt = q - g (p + c V)."""
        rate = g * self._kpa_per_ul
        kept, through = math.exp(-rate * DT_S), -math.expm1(-rate * DT_S) / rate if rate else DT_S
        source = arriving_ul / DT_S - g * tip_kpa
        levels = recurrence(kept, through * source, level)
        if levels.min() >= self._lowest_ul and bool((tip_kpa + self._kpa_per_ul * levels[:-1] >= 0.0).all()):
            return levels
        for k, (arriving, drive, pressure) in enumerate(
            zip(arriving_ul.tolist(), source.tolist(), tip_kpa.tolist(), strict=True)
        ):
            draws_air = pressure + self._kpa_per_ul * level < 0.0
            after = level + arriving if draws_air else kept * level + through * drive
            level = levels[k + 1] = max(after, min(level + arriving, self._lowest_ul))
        return levels
