"""Do the rollers slip?  What a pump has pushed into a line whose compliance is known, against what it was to push.

Units: kPa, uL, s, uL/s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.occlusion.line import ClosedLine
from protocols.analysis.occlusion.regression import least_squares
from protocols.analysis.occlusion.rise import integrated

LEAST_SHARE = 0.05
"""A loss of less than this share of what was to be pushed is not seen: strokes and compliance hide it."""

EXPLAINED = 0.5
"""A slip has to take away at least so much of the residuals' sum of squares."""

STEPS = 60
"""Slip pressures that are tried between nothing and the highest."""


@dataclass(frozen=True, slots=True)
class Slip:
    """Pressure from which on the pump loses flow in proportion to what is above it.

    ``lost_ul_per_s_kpa`` is that proportion, ``lost_ul`` what was lost until the end of the rise.
    """

    kpa: float
    u_kpa: float
    lost_ul_per_s_kpa: float
    lost_ul: float


def slip(
    t_s: FloatArray, rise_kpa: FloatArray, baseline_kpa: float, flow_ul_per_s: float, line: ClosedLine
) -> Slip | None:
    """The slip of a rise; None where the record shows none.

    Parameters
    ----------
    t_s, rise_kpa : (n,) since closing, and the rise over the baseline.
    flow_ul_per_s : what the pump delivered before.
    line : its compliance, creep and leak by a metered step: from the pump's own rise a slip would look like a leak.

    Notes
    -----
    The volume that is missing, Q t - V(p), is a·(integral of p) for a pump that slows in proportion to the pressure,
    and s·(integral of max(0, P - P_slip)) besides for rollers that slip.
    """
    missing = flow_ul_per_s * t_s - line.taken_ul(t_s, rise_kpa)
    ones, slowing = np.ones(t_s.size), integrated(t_s, rise_kpa)
    plain = least_squares([ones, slowing], missing)
    if plain is None:
        return None
    top, tried = float(np.max(rise_kpa)), []
    for k in range(1, STEPS):
        at = top * k / STEPS
        above = integrated(t_s, np.maximum(rise_kpa - at, 0.0))
        fit = least_squares([ones, slowing, above], missing)
        if fit is not None and fit.coefficients[2] > 0.0:
            tried.append((fit.rss, at, fit.coefficients[2], fit.coefficients[2] * float(above[-1])))
    if not tried:
        return None
    rss, at, lost, volume = min(tried)
    if rss > EXPLAINED * plain.rss or volume < LEAST_SHARE * flow_ul_per_s * float(t_s[-1]):
        return None
    alike = [other for other_rss, other, _, _ in tried if other_rss <= 2.0 * rss]
    u = math.hypot((max(alike) - min(alike)) / 4.0, top / STEPS / math.sqrt(3.0))
    return Slip(baseline_kpa + at, u, lost, volume)
