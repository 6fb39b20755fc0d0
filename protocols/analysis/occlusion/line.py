"""What a closed line takes, gives back and loses.

Units: kPa, uL, s, uL/s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.occlusion.rise import integrated


@dataclass(frozen=True, slots=True)
class ClosedLine:
    """The law V = C p + C_creep x + G (integral of p dt), where x follows p with the time constant of the creep.

    Attributes
    ----------
    ul_per_kpa, u_ul_per_kpa : what the line takes at once.
    creep_ul_per_kpa, creep_s : what it takes later, and how soon.
    leak_ul_per_s_kpa, u_leak : what it loses for each kPa.
    """

    ul_per_kpa: float
    u_ul_per_kpa: float
    creep_ul_per_kpa: float = 0.0
    creep_s: float = math.inf
    leak_ul_per_s_kpa: float = 0.0
    u_leak: float = 0.0

    @property
    def creep_share(self) -> float:
        """What it takes later over what it takes at once."""
        return self.creep_ul_per_kpa / self.ul_per_kpa

    def taken_ul(self, t_s: FloatArray, rise_kpa: FloatArray) -> FloatArray:
        """Volume (n,) that a rise (n,) from 0 at time 0 has put into the line, its leak included."""
        taken = self.ul_per_kpa * rise_kpa + self.leak_ul_per_s_kpa * integrated(t_s, rise_kpa)
        if self.creep_ul_per_kpa:
            taken = taken + self.creep_ul_per_kpa * followed(t_s, rise_kpa, self.creep_s)
        return np.asarray(taken, dtype=np.float64)

    def given_back_ul(self, t_s: FloatArray, rise_kpa: FloatArray, after_s: float) -> float:
        """What an opened line gives back of a rise (n,) within a time, at whose end it is at rest but for the creep."""
        crept = 0.0
        if self.creep_ul_per_kpa:
            stretched = float(followed(t_s, rise_kpa, self.creep_s)[-1])
            crept = self.creep_ul_per_kpa * stretched * -math.expm1(-after_s / self.creep_s)
        return self.ul_per_kpa * float(rise_kpa[-1]) + crept


def followed(t_s: FloatArray, values: FloatArray, lag_s: float) -> FloatArray:
    """Values (n,) through a first-order lag, from 0 at time 0; straight between samples."""
    out = np.empty(values.size)
    x, before, at = 0.0, 0.0, 0.0
    for k, (t, value) in enumerate(zip(t_s.tolist(), values.tolist(), strict=True)):
        dt = t - at
        if dt > 0.0:
            kept = math.exp(-dt / lag_s)
            share = lag_s / dt * (1.0 - kept)  # mean of the weight of the end of the interval
            x = kept * x + (share - kept) * before + (1.0 - share) * value
        out[k], before, at = x, value, t
    return out
