"""Is the flow sensor fit, and does all arrive?  Zero, gain against the balance, and what is lost at any rate.

Units: uL/h, mg, s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.rig import RecordError
from protocols.analysis.rig.line import LEAST_SAMPLES, straight_line

HOUR_S = 3600.0

MINUTE_S = 60.0

SENSOR_EVEN_PERCENT = 0.35
"""How far a flow sensor's gain may differ from rate to rate, standard uncertainty: 0.1-0.15 %/K over the hour or two of
the comparisons, and its repeatability of 0.5 % of reading.  Stated for the sensors that we know; nothing in a record
shows it."""


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
    """One rate: what the sensor showed, zero taken off, and what the balance gained.

    ``u_ratio`` is the standard uncertainty of sensor over balance, ``u_balance_ul_per_h`` that of the balance alone.
    """

    sensor_ul_per_h: float
    balance_ul_per_h: float
    u_ratio: float
    u_balance_ul_per_h: float = 0.0

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
    u_unsteady_ul_per_h: float = 0.0,
    u_breathes_ul_per_h: float = 0.0,
) -> Point:
    """Compare sensor and balance over one stretch of steady flow.

    Parameters
    ----------
    flow_t_s, flow_ul_per_h : (n,) good samples of the sensor.
    mass_t_s, mass_mg : (m,) good readings of the balance.
    ul_per_mg : volume of one milligram of reading, buoyancy and immersion included.
    evaporation_mg_per_h : loss from the vessel, which the balance shows and the sensor does not.
    u_unsteady_ul_per_h : what a wandering zero and a meniscus that slips may add to the balance's slope.
    u_breathes_ul_per_h : what a line between sensor and vessel may give off: it is in the ratio, and of the balance's
        own flow it is known better (`weighed_flow`).

    Raises
    ------
    RecordError
        If either has too few samples, or the balance gained nothing.

    Notes
    -----
    A slope by least squares is a mean of the flow with a parabola for its weights, 0 at both ends; the sensor's samples
    get the same weights, so that a flow that still settles is one flow to both.
    """
    if flow_t_s.size < LEAST_SAMPLES:
        raise RecordError(f"the flow sensor gave {flow_t_s.size} good samples; {LEAST_SAMPLES} are needed")
    fit = straight_line(mass_t_s, mass_mg)
    gained = (fit.slope * HOUR_S + evaporation_mg_per_h) * ul_per_mg
    if gained <= 0.0:
        raise RecordError("the balance gained nothing while the syringe pump pushed; look where the fluid went")
    weights = np.clip((flow_t_s - mass_t_s[0]) * (mass_t_s[-1] - flow_t_s), 0.0, None)
    shown = math.fsum((weights * flow_ul_per_h).tolist()) / math.fsum(weights.tolist()) - zero_flow.ul_per_h
    u_balance = math.hypot(math.hypot(fit.u_slope * HOUR_S, u_evaporation_mg_per_h) * ul_per_mg, u_unsteady_ul_per_h)
    ratio = shown / gained
    u_even = ratio * SENSOR_EVEN_PERCENT / 100.0
    u_ratio = math.hypot(
        ratio * math.hypot(u_balance, u_breathes_ul_per_h) / gained, zero_flow.u_ul_per_h / gained, u_even
    )
    return Point(shown, gained, u_ratio, u_balance)


@dataclass(frozen=True, slots=True)
class Gain:
    """Sensor over balance of several rates together.

    ``birge`` is the root of chi-square over its degrees of freedom: 1 where the rates scatter as their u say.
    """

    ratio: float
    u: float
    birge: float


def gain(points: Sequence[Point]) -> Gain:
    """Mean ratio of sensor to balance, weighted by the squares of their uncertainties.

    Notes
    -----
    Internal and external consistency: where the points scatter more than their uncertainties say, the scatter counts
    (Birge ratio, PDG Review of Particle Physics, section 5.2.2).  A larger u excuses no scatter that has a cause, such
    as a loss that weighs most at the slowest rate: the ratio itself is to be judged too.
    """
    weights = [1.0 / one.u_ratio**2 for one in points]
    whole = math.fsum(weights)
    mean = math.fsum(w * one.ratio for w, one in zip(weights, points, strict=True)) / whole
    u = 1.0 / math.sqrt(whole)
    if len(points) < 2:
        return Gain(mean, u, 0.0)
    chi2 = math.fsum(w * (one.ratio - mean) ** 2 for w, one in zip(weights, points, strict=True))
    birge = math.sqrt(chi2 / (len(points) - 1))
    return Gain(mean, u * max(1.0, birge), birge)


@dataclass(frozen=True, slots=True)
class Loss:
    """What gets lost at any rate alike, in uL/h, with its standard uncertainty; below 0 something else flows in.

    ``birge`` is the root of chi-square over its degrees of freedom: large where the rates lie on no straight line.
    """

    ul_per_h: float
    u_ul_per_h: float
    birge: float


def loss(sent_ul_per_h: Sequence[float], caught_ul_per_h: Sequence[float], u_caught_ul_per_h: Sequence[float]) -> Loss:
    """Loss that does not depend on the rate: caught = gain sent - loss, by weighted least squares.

    Parameters
    ----------
    sent_ul_per_h, caught_ul_per_h : (n,) n >= 3 rates.
    u_caught_ul_per_h : (n,) standard uncertainties of what was caught for what was sent.

    Notes
    -----
    The gain is free, so an error in proportion to the rate, such as that of a syringe's bore, is none of the loss.

    Raises
    ------
    RecordError
        If the rates are all the same.
    """
    if len(set(sent_ul_per_h)) < 2:
        raise RecordError("the rates are all the same; a loss that does not depend on the rate takes several")
    sent, caught, u = (np.array(one, dtype=float) for one in (sent_ul_per_h, caught_ul_per_h, u_caught_ul_per_h))
    weights = 1.0 / u**2
    whole = math.fsum(weights.tolist())
    middle = math.fsum((weights * sent).tolist()) / whole
    x = sent - middle
    sxx = math.fsum((weights * x * x).tolist())
    mean = math.fsum((weights * caught).tolist()) / whole
    slope = math.fsum((weights * x * caught).tolist()) / sxx
    rest = caught - mean - slope * x
    chi2 = math.fsum((weights * rest * rest).tolist())
    u_loss = math.sqrt(1.0 / whole + middle**2 / sxx)
    return Loss(slope * middle - mean, u_loss, math.sqrt(chi2 / (sent.size - 2)))
