"""What leaks through the septum of the refill port: out of the reservoir, and out of a coupon in a fixture.

Each puncture leaves a channel; the conductance of all of them grows exponentially with their number, and coring, which
takes a piece of the septum away, multiplies it.  The pressure on one side of a coupon is kept; what leaks moves a
meniscus in a capillary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from instruments.simulation.environment import EnvironmentChunk
from instruments.simulation.grid import CHUNK, DT_S, Timeline
from instruments.simulation.parameters import Draws
from instruments.simulation.properties import water_density
from instruments.simulation.signal import FloatArray
from instruments.simulation.stepping import running_sum


@dataclass(frozen=True, slots=True)
class SeptumState:
    """Since the start of the run: volume that leaked, and the time integral of the conductance (volume a pressure)."""

    leak_ul: float = 0.0
    leak_ul_per_kpa: float = 0.0


@dataclass(frozen=True, slots=True)
class SeptumChunk:
    """The septum at the n + 1 grid points of a chunk."""

    leak_ul: FloatArray
    leak_ul_per_kpa: FloatArray


class SeptumLeak:
    """Leak through the septum, ``conductance = G0 exp(n / n0)`` after n punctures.

    Parameters
    ----------
    factor : what coring multiplies the conductance by.
    """

    def __init__(self, draws: Draws, factor: Timeline) -> None:
        self._factor = factor
        self._fresh = draws["septum.leak_ul_per_s_kpa"]
        self._punctures = draws["septum.leak_punctures"]
        self._coupon_kpa = draws["coupon.pressure_kpa"]
        self._coupon_ul = draws["coupon.volume_ul"]
        self._bore_mm2 = math.pi / 4.0 * draws["coupon.bore_mm"] ** 2
        self._room_degc = np.array([draws["laboratory.temperature_degc"]])

    def advance(
        self, state: SeptumState, k0: int, punctures: FloatArray, reservoir_kpa: FloatArray
    ) -> tuple[SeptumChunk, SeptumState]:
        """Compute one chunk.

        Parameters
        ----------
        punctures : (n,) until the end of each interval.
        reservoir_kpa : (n + 1,) gauge pressure in the reservoir; nothing is drawn in while it is below ambient.
        """
        conductance = self._fresh * np.exp(punctures / self._punctures) * self._factor.over(k0, k0 + CHUNK) * DT_S
        mean_kpa = np.maximum(0.5 * (reservoir_kpa[:-1] + reservoir_kpa[1:]), 0.0)
        leak = running_sum(conductance * mean_kpa, state.leak_ul)
        per_kpa = running_sum(conductance, state.leak_ul_per_kpa)
        return SeptumChunk(leak, per_kpa), SeptumState(float(leak[-1]), float(per_kpa[-1]))

    def capillary_mm(self, leak_ul_per_kpa: FloatArray, env: EnvironmentChunk) -> FloatArray:
        """Meniscus of the coupon's capillary: what leaked, and the swelling of the fluid before it with the room."""
        swelling = water_density(self._room_degc) / water_density(env.lab_degc) - 1.0
        moved: FloatArray = (self._coupon_kpa * leak_ul_per_kpa + self._coupon_ul * swelling) / self._bore_mm2
        return moved
