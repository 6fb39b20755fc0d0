"""What a person does at the reference balance: weights on the pan, the doors, and the drafts that come of it."""

from __future__ import annotations

import numpy as np

from instruments.simulation.grid import CHUNK, RATE_HZ, Timeline
from instruments.simulation.noise import Noise
from instruments.simulation.parameters import Draws
from instruments.simulation.signal import FloatArray

CONVENTIONAL_AIR = 1.2
CONVENTIONAL_WEIGHTS = 8000.0
"""Densities in kg/m³ at which a weight is worth its conventional mass (OIML R 111-1)."""

START = -1
"""Index at which every setting begins, which is no change."""

DRAFT_MG = (0.5, 5.0)
DRAFT_S = (10.0, 60.0)


class Pan:
    """Reference weights and doors of a balance.

    Parameters
    ----------
    weight_mg : nominal mass of the reference weights on the pan, beside the vessel.
    door_is_open : 1 while somebody holds a door open.
    """

    def __init__(self, draws: Draws, noise: Noise, weight_mg: Timeline, door_is_open: Timeline) -> None:
        self._noise = noise
        self._weight = weight_mg
        self._door = door_is_open
        density = draws["weight.density_kg_per_m3"]
        conventional = (1.0 - CONVENTIONAL_AIR / CONVENTIONAL_WEIGHTS) / (1.0 - CONVENTIONAL_AIR / density)
        self._density = density
        self._mass_over_nominal = (1.0 + draws["weight.relative_error"]) * conventional
        self._held_open = round(draws["weight.door_s"] * RATE_HZ)

    def weight_mg(self, k0: int, air: FloatArray) -> FloatArray | float:
        """Mass of the weights less that of the air of density ``air`` which they displace, at n + 1 grid points."""
        nominal = self._weight.over(k0 - 1, k0 + CHUNK)
        if not nominal.any():
            return 0.0
        return nominal * self._mass_over_nominal * (1.0 - air / self._density)

    def door(self, k0: int) -> FloatArray:
        """1 at the grid points at which a door is open: while it is held, and for a while when a weight is moved."""
        is_open = self._door.over(k0 - 1, k0 + CHUNK)
        for k in self._weight.changes(max(k0 - self._held_open - 1, START), k0 + CHUNK + 1):
            is_open[max(k + 1 - k0, 0) : max(k + 1 + self._held_open - k0, 0)] = 1.0
        return is_open

    def drafts_mg(self, k0: int) -> FloatArray | float:
        """Force of the draft that each movement of a door leaves, for 10 to 60 s."""
        longest = round(DRAFT_S[1] * RATE_HZ)
        first, end = max(k0 - longest - 1, START), k0 + CHUNK + 1
        moves = {*self._weight.changes(first, end), *self._door.changes(first, end)}
        if not moves:
            return 0.0
        force = np.zeros(CHUNK + 1)
        for k in sorted(moves):
            generator = self._noise.generator("door draft", k)
            length = int(generator.uniform(*DRAFT_S) * RATE_HZ)
            strength = generator.uniform(*DRAFT_MG) * generator.choice((-1.0, 1.0))
            force[max(k + 1 - k0, 0) : max(k + 1 + length - k0, 0)] += strength
        return force
