"""Is the line fit?  Zero and span of a transducer, compliance by a metered injection, leak by the decay of pressure.

Units: kPa, uL, s, uL/h, mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.rig import RecordError

G_M_PER_S2 = 9.80665
STANDARD_ATMOSPHERE_KPA = 101.325

LEAST_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line by least squares: value at ``t0``, slope, and the standard uncertainty of the slope."""

    t0: float
    value: float
    slope: float
    u_slope: float
    residual: float


def straight_line(t: FloatArray, values: FloatArray) -> Line:
    """Fit a line to (n,) samples; its value is that at the middle of the samples.  Raises RecordError below 20."""
    if t.size < LEAST_SAMPLES:
        raise RecordError(f"{t.size} good samples do not make a slope; {LEAST_SAMPLES} are needed")
    middle = math.fsum(t.tolist()) / t.size
    mean = math.fsum(values.tolist()) / t.size
    x, y = t - middle, values - mean
    sxx = math.fsum((x * x).tolist())
    slope = math.fsum((x * y).tolist()) / sxx
    rest = y - slope * x
    residual = math.sqrt(math.fsum((rest * rest).tolist()) / (t.size - 2))
    return Line(middle, mean, slope, residual / math.sqrt(sxx), residual)


def head_kpa(height_mm: float, density_mg_per_ul: float) -> float:
    """What a transducer reads less because it stands higher than the outlet, filled with fluid: rho g h."""
    return density_mg_per_ul * G_M_PER_S2 * height_mm * 1e-3


def living(values: FloatArray) -> None:
    """Raises RecordError where (n,) pressures are all the same: no closed line is that steady, and no transducer."""
    if values.size > 1 and float(np.ptp(values)) == 0.0:
        raise RecordError(
            f"the pressure of the closed line was {float(values[0]):.4g} kPa in each of {values.size} samples; the "
            "transducer is frozen, or its digits are too coarse"
        )


@dataclass(frozen=True, slots=True)
class Span:
    """A transducer against a reference at several pressures.

    ``gain_error_percent`` is its slope less one, ``nonlinearity_kpa`` the largest residual from that line.
    """

    zero_kpa: float
    gain_error_percent: float
    u_gain_percent: float
    nonlinearity_kpa: float


def span(reference_kpa: FloatArray, indicated_kpa: FloatArray, u_reference_kpa: float) -> Span:
    """Compare indications (n,) with a reference (n,) at n >= 3 pressures.

    Parameters
    ----------
    u_reference_kpa : standard uncertainty of the reference at one point.
    """
    if reference_kpa.size < 3:
        raise RecordError(f"{reference_kpa.size} pressures do not show a span; 3 are needed")
    middle = math.fsum(reference_kpa.tolist()) / reference_kpa.size
    mean = math.fsum(indicated_kpa.tolist()) / reference_kpa.size
    x, y = reference_kpa - middle, indicated_kpa - mean
    sxx = math.fsum((x * x).tolist())
    slope = math.fsum((x * y).tolist()) / sxx
    rest = y - slope * x
    # Three points leave one degree of freedom: the reference's own u says more than their scatter.
    u = max(u_reference_kpa, math.sqrt(math.fsum((rest * rest).tolist()) / (x.size - 2))) / math.sqrt(sxx)
    return Span(mean - slope * middle, 100.0 * (slope - 1.0), 100.0 * u, float(np.max(np.abs(rest))))


@dataclass(frozen=True, slots=True)
class Compliance:
    """How much a closed line takes per pressure, in uL/kPa, with its standard uncertainty."""

    ul_per_kpa: float
    u_ul_per_kpa: float


def compliance(t_s: FloatArray, pressure_kpa: FloatArray, rate_ul_per_h: float, u_rate_percent: float) -> Compliance:
    """Compliance from the rise of pressure while a syringe pump pushes into the closed line.

    Parameters
    ----------
    t_s, pressure_kpa : (n,) good samples of the ramp, after its start-up.
    rate_ul_per_h : rate of the injection; ``u_rate_percent`` its standard uncertainty.

    Notes
    -----
    C = Q / (dP/dt).  Lab practice prefers a metered step to the pump's own flow, which slows as pressure rises.
    """
    line = straight_line(t_s, pressure_kpa)
    if line.slope <= 0.0:
        raise RecordError("the pressure did not rise while the syringe pump pushed; the line is open or the pump idle")
    value = rate_ul_per_h / 3600.0 / line.slope
    u = value * math.hypot(line.u_slope / line.slope, u_rate_percent / 100.0)
    return Compliance(value, u)


def air_ul(excess_ul_per_kpa: float, up_to_kpa: float = 0.0) -> float:
    """Volume of air at ambient pressure that makes a line so much softer, up to a pressure: 1 uL is 1/101.3 uL/kPa.

    Notes
    -----
    Boyle: V (1 - P0/(P0 + P)) is what it gives way by up to P, V/(P0 + P) for each kPa.
    """
    return excess_ul_per_kpa * (STANDARD_ATMOSPHERE_KPA + up_to_kpa)


@dataclass(frozen=True, slots=True)
class Leak:
    """Loss of a closed line, in uL/h at the mean pressure of the record, with its standard uncertainty."""

    ul_per_h: float
    u_ul_per_h: float
    pressure_kpa: float


def leak(
    t_s: FloatArray,
    pressure_kpa: FloatArray,
    line: Compliance,
    warming_k: float = 0.0,
    u_warming_k: float = 0.0,
    volume_ul: float = 0.0,
    expansion_per_k: float = 0.0,
) -> Leak:
    """Leak from the decay of pressure in the second half of a record of a closed line.

    Parameters
    ----------
    t_s, pressure_kpa : (n,) good samples of the decay, after the creep of the tubing was waited for.
    line : its compliance.
    warming_k : change of the fluid's temperature over that second half; ``volume_ul`` and ``expansion_per_k`` say what
        that is worth: a closed line that cools by 0.1 K loses the pressure of a leak.

    Notes
    -----
    q = -C dP/dt + beta V dT/dt.  Creep and a leak both let the pressure fall; the first half is left to the creep.
    """
    half = t_s >= (t_s[0] + t_s[-1]) / 2.0 if t_s.size else np.zeros(0, dtype=bool)
    fit = straight_line(t_s[half], pressure_kpa[half])
    hours = float(t_s[half][-1] - t_s[half][0]) / 3600.0
    expanded = volume_ul * expansion_per_k / hours
    loss = -line.ul_per_kpa * fit.slope * 3600.0
    u = math.hypot(
        line.ul_per_kpa * fit.u_slope * 3600.0,
        loss * line.u_ul_per_kpa / line.ul_per_kpa,
        expanded * u_warming_k,
    )
    return Leak(loss + expanded * warming_k, u, fit.value)
