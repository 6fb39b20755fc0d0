"""The catheter as somebody mounts it, takes it off and bends it, and what is wrong with it.

A bend keeps a round tube nearly round down to its kink radius; there the wall buckles and the lumen all but closes
(Brazier's instability).  The law in `bend_factor` is assumed: no public measurement was found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from instruments.simulation.grid import Timeline
from instruments.simulation.parameters import Draws
from instruments.simulation.signal import FloatArray

OVALISED = 0.05
"""Share by which the resistance has grown where the tube is about to kink."""

COLLAPSE = 30.0
"""Slope beyond it: at 0.9 of the kink radius the resistance is 4.4 times that of a straight tube."""

DISCONNECTED = 1000.0
"""Conductance of an open connector over that of the catheter."""

BRIDGE_KPA_S_PER_UL = 1.0e-4
"""Resistance of the short wide tube that stands in the catheter's place: 2 mm of bore."""

RIGID = 1.0e-3
"""What is left of a compliance where steel stands in for silicone."""


def bend_factor(radius_mm: float, kink_radius_mm: float) -> float:
    """Resistance of a tube bent to a radius over that of a straight one; a radius of 0 means straight."""
    if radius_mm <= 0.0:
        return 1.0
    tightness = kink_radius_mm / radius_mm
    if tightness <= 1.0:
        return 1.0 + OVALISED * tightness**2
    return 1.0 + OVALISED + COLLAPSE * (tightness - 1.0)


def bore_ul(length_mm: float, bore_mm: float) -> float:
    """Volume of the bore."""
    return 0.25 * math.pi * bore_mm**2 * length_mm


@dataclass(frozen=True, slots=True)
class OnCatheter:
    """A setting of the catheter, which is 0 while the catheter is off."""

    setting: Timeline
    is_off: Timeline

    def over(self, k0: int, k1: int) -> FloatArray:
        """Value in each of the intervals that begin at k0 … k1-1."""
        return np.asarray(self.setting.over(k0, k1) * (1.0 - self.is_off.over(k0, k1)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Mounted:
    """The catheter, or the bridge in its place, while nothing about it changes.

    Attributes
    ----------
    resistance : over that of the catheter as the parameters have it; with ``off`` that of the bridge is meant.
    longer : length over that of the parameters.
    through : 1 while it conducts.
    leak : conductance to ambient at its distal half; ``open_end`` that of its connector once it is off the pump.
    """

    off: bool
    resistance: float
    longer: float
    through: float
    leak: float
    open_end: float


@dataclass(frozen=True, slots=True)
class Mounting:
    """What can change about the catheter; first what a person does, then faults."""

    is_off: Timeline  # a bridge stands in its place
    bend_mm: Timeline  # 0 is straight
    kink_radius_factor: Timeline
    extra_length_mm: Timeline
    leak_ul_per_s_kpa: Timeline
    is_disconnected: Timeline
    tip_is_dislodged: Timeline

    @property
    def timelines(self) -> tuple[Timeline, ...]:
        """All of them."""
        return (
            self.is_off,
            self.bend_mm,
            self.kink_radius_factor,
            self.extra_length_mm,
            self.leak_ul_per_s_kpa,
            self.is_disconnected,
            self.tip_is_dislodged,
        )

    def at(self, k: int, draws: Draws) -> Mounted:
        """As it is in the interval that begins at ``k``."""
        if self.is_off.at(k):
            return Mounted(True, 1.0, 1.0, 1.0, 0.0, 0.0)
        longer = 1.0 + self.extra_length_mm.at(k) / draws["catheter.length_mm"]
        kink_mm = draws["catheter.kink_radius_mm"] * self.kink_radius_factor.at(k)
        apart = self.is_disconnected.at(k)
        return Mounted(
            False,
            longer * bend_factor(self.bend_mm.at(k), kink_mm),
            longer,
            1.0 - apart,
            self.leak_ul_per_s_kpa.at(k),
            apart * DISCONNECTED / draws["catheter.resistance_kpa_s_per_ul"],
        )
