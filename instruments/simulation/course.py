"""A pressure that a controller moves: a function of time, known when the command is given."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Course:
    """A pressure in kPa that goes from one value to another at a rate, and stays there."""

    start_s: float
    start_kpa: float
    end_kpa: float
    kpa_per_s: float

    @property
    def end_s(self) -> float:
        """When it arrives."""
        return self.start_s + abs(self.end_kpa - self.start_kpa) / self.kpa_per_s

    def at(self, t: float) -> float:
        """Pressure at ``t``."""
        way = self.kpa_per_s * max(0.0, t - self.start_s)
        if way >= abs(self.end_kpa - self.start_kpa):
            return self.end_kpa
        return self.start_kpa + math.copysign(way, self.end_kpa - self.start_kpa)

    def within_since(self, kpa: float, band_kpa: float) -> float:
        """When it came within a band that contains its end; infinite when it never does."""
        if abs(self.end_kpa - kpa) > band_kpa:
            return math.inf
        way = abs(self.start_kpa - kpa) - band_kpa
        return self.start_s + max(0.0, way) / self.kpa_per_s
