"""Is the flow sensor fit?  Its zero at a closed valve, and its gain against the balance at several rates.

Units: uL/h, mg, s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data.samples import FloatArray
from protocols.analysis.rig import RecordError
from protocols.analysis.rig.line import LEAST_SAMPLES, straight_line

HOUR_S = 3600.0

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Zero:
    """Mean indication without flow, and its standard uncertainty from the scatter of minutes' means."""

    ul_per_h: float
    u_ul_per_h: float


def zero(t_s: FloatArray, flow_ul_per_h: FloatArray) -> Zero:
    """Indication of a sensor behind a closed valve; raises RecordError below three minutes."""
    minutes = minute_means(t_s, flow_ul_per_h)
    if len(minutes) < 3:
        raise RecordError(f"{len(minutes)} minutes without flow do not show a zero; 3 are needed")
    mean = math.fsum(minutes) / len(minutes)
    square = math.fsum((one - mean) ** 2 for one in minutes) / (len(minutes) - 1)
    return Zero(mean, math.sqrt(square / len(minutes)))


def minute_means(t_s: FloatArray, values: FloatArray) -> list[float]:
    """Means over whole minutes from the first sample, without those that hold fewer than half of their samples."""
    if t_s.size < LEAST_SAMPLES:
        return []
    part = ((t_s - t_s[0]) // MINUTE_S).astype(int)
    usual = t_s.size / (part[-1] + 1)
    means = []
    for minute in range(int(part[-1]) + 1):
        inside = values[part == minute]
        if inside.size >= usual / 2.0:
            means.append(math.fsum(inside.tolist()) / inside.size)
    return means


@dataclass(frozen=True, slots=True)
class Point:
    """One rate: what the sensor showed, zero taken off, and what the balance gained."""

    sensor_ul_per_h: float
    balance_ul_per_h: float
    u_ratio: float

    @property
    def ratio(self) -> float:
        """Sensor over balance."""
        return self.sensor_ul_per_h / self.balance_ul_per_h


def point(
    flow_t_s: FloatArray,
    flow_ul_per_h: FloatArray,
    mass_t_s: FloatArray,
    mass_mg: FloatArray,
    *,
    zero_flow: Zero,
    ul_per_mg: float,
    evaporation_mg_per_h: float,
    u_evaporation_mg_per_h: float,
) -> Point:
    """Compare sensor and balance over one stretch of steady flow.

    Parameters
    ----------
    flow_t_s, flow_ul_per_h : (n,) good samples of the sensor.
    mass_t_s, mass_mg : (m,) good readings of the balance.
    ul_per_mg : volume of one milligram of reading, buoyancy and immersion included.
    evaporation_mg_per_h : loss from the vessel, which the balance shows and the sensor does not.

    Raises
    ------
    RecordError
        If either has too few samples, or the balance gained nothing.
    """
    if flow_t_s.size < LEAST_SAMPLES:
        raise RecordError(f"the flow sensor gave {flow_t_s.size} good samples; {LEAST_SAMPLES} are needed")
    fit = straight_line(mass_t_s, mass_mg)
    gained = (fit.slope * HOUR_S + evaporation_mg_per_h) * ul_per_mg
    if gained <= 0.0:
        raise RecordError("the balance gained nothing while the syringe pump pushed; look where the fluid went")
    shown = math.fsum(flow_ul_per_h.tolist()) / flow_t_s.size - zero_flow.ul_per_h
    u_balance = math.hypot(fit.u_slope * HOUR_S, u_evaporation_mg_per_h) * ul_per_mg
    ratio = shown / gained
    return Point(shown, gained, math.hypot(ratio * u_balance / gained, zero_flow.u_ul_per_h / gained))


def gain(points: Sequence[Point]) -> tuple[float, float]:
    """Mean ratio of sensor to balance, weighted by the squares of their uncertainties, and its uncertainty.

    Notes
    -----
    Internal and external consistency: where the points scatter more than their uncertainties say, the scatter counts
    (Birge ratio, PDG Review of Particle Physics, section 5.2.2).
    """
    weights = [1.0 / one.u_ratio**2 for one in points]
    whole = math.fsum(weights)
    mean = math.fsum(w * one.ratio for w, one in zip(weights, points, strict=True)) / whole
    u = 1.0 / math.sqrt(whole)
    if len(points) < 2:
        return mean, u
    chi2 = math.fsum(w * (one.ratio - mean) ** 2 for w, one in zip(weights, points, strict=True))
    return mean, u * max(1.0, math.sqrt(chi2 / (len(points) - 1)))
