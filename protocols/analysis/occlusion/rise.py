"""The rise of pressure behind a closed line: its initial slope, when it crosses a threshold, and its closed forms.

Units: kPa, uL, s, uL/s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.occlusion.regression import Fit, least_squares

FIRST_KPA = 20.0
"""Where one law does not hold for the whole rise, its first part up to here gives the initial slope."""

LEAST_SAMPLES = 10
"""So many samples at least make a slope, where the rise has them."""

WORSE = 1.5
"""A law whose residuals scatter by so much more than neighbouring samples do does not hold."""

EXACT = 1e-4
"""Residuals within this share of the rise are none."""


# ------------------------------------------------------------------------------------------------------ closed forms


def time_to_rise_s(
    rise_kpa: float, flow_ul_per_s: float, compliance_ul_per_kpa: float, leak_ul_per_s_kpa: float = 0.0
) -> float:
    """When a closed line has risen by so much; infinite where the leak takes the whole flow before.

    Notes
    -----
    C dP/dt = Q - G (P - P0), so t = -(C/G) ln(1 - G (P - P0)/Q), and never if Q/G < P - P0; without a leak
    t = C (P - P0)/Q.
    """
    if rise_kpa <= 0.0:
        return 0.0
    if flow_ul_per_s <= 0.0:
        return math.inf
    share = leak_ul_per_s_kpa * rise_kpa / flow_ul_per_s
    if share >= 1.0:
        return math.inf
    plain = compliance_ul_per_kpa * rise_kpa / flow_ul_per_s
    return plain if share == 0.0 else plain * -math.log1p(-share) / share


def highest_rise_kpa(flow_ul_per_s: float, loss_ul_per_s_kpa: float, from_kpa: float = 0.0) -> float:
    """Rise at which a loss in proportion to what is above ``from_kpa`` takes the whole flow: leak or slipping rollers.

    Notes
    -----
    Q = k (P - P_s), so P = P_s + Q/k.
    """
    return math.inf if loss_ul_per_s_kpa <= 0.0 else from_kpa + flow_ul_per_s / loss_ul_per_s_kpa


# ---------------------------------------------------------------------------------------------------- initial slope


@dataclass(frozen=True, slots=True)
class Rise:
    """The law p = step + slope t - bend * (integral of p dt), with the terms that the record shows.

    Attributes
    ----------
    slope_kpa_per_s, u_slope : slope at the moment of closing, and its standard uncertainty from the residuals.
    bend_per_s : what a leak, or a pump that slows under pressure, takes of the slope for each kPa.
    step_kpa : what the closing valve pushed into the line.
    until_s : end of the part that was used.
    residual_kpa : scatter about the law.
    """

    slope_kpa_per_s: float
    u_slope: float
    bend_per_s: float
    step_kpa: float
    until_s: float
    residual_kpa: float


def initial_slope(t_s: FloatArray, rise_kpa: FloatArray) -> Rise | None:
    """Slope at closing, from the whole rise where one law holds for it, else from its first 20 kPa.

    Parameters
    ----------
    t_s, rise_kpa : (n,) time since closing, above 0, and pressure above that before; None for fewer than two samples.

    Notes
    -----
    C dp/dt = Q - g p integrates to p = (Q/C) t - (g/C) (integral of p): linear in what is sought, with the noise in the
    dependent variable alone, and exact for a straight ramp, for a leak, and for a pump that slows in proportion to the
    pressure.  A quadratic in time would miss the slope by the third order.  Which terms are needed the Bayesian
    information criterion decides.
    """
    if t_s.size < 2:
        return None
    whole = _law(t_s, rise_kpa)
    if whole is not None and whole.residual_kpa <= most_residual_kpa(rise_kpa):
        return whole
    above = np.flatnonzero(rise_kpa > FIRST_KPA)
    first = max(int(above[0]) if above.size else t_s.size, LEAST_SAMPLES)
    return _law(t_s[:first], rise_kpa[:first]) if first < t_s.size else whole


def most_residual_kpa(rise_kpa: FloatArray) -> float:
    """Scatter of the residuals up to which a law holds."""
    return max(WORSE * neighbour_noise(rise_kpa), EXACT * float(np.ptp(rise_kpa)))


def neighbour_noise(values: FloatArray) -> float:
    """Standard deviation of the noise of a smooth record, from third differences; 0 for fewer than four samples."""
    if values.size < 4:
        return 0.0
    third = values[3:] - 3.0 * values[2:-1] + 3.0 * values[1:-2] - values[:-3]
    return math.sqrt(math.fsum((third * third).tolist()) / third.size / 20.0)


def _law(t_s: FloatArray, rise_kpa: FloatArray) -> Rise | None:
    """The law with the fewest terms that the record asks for; None where it shows no slope."""
    best = best_law(t_s, rise_kpa)
    return None if best is None else best[0]


def best_law(
    t_s: FloatArray, rise_kpa: FloatArray, also: Sequence[FloatArray] = ()
) -> tuple[Rise, tuple[float, ...]] | None:
    """The law with the fewest terms that the record asks for, and the coefficients of further columns (n,).

    None where the record shows no slope.
    """
    integral = integrated(t_s, rise_kpa)
    terms = {"slope": t_s, "step": np.ones(t_s.size), "bend": -integral}
    choices: tuple[tuple[str, ...], ...] = (("slope",), ("slope", "step"), ("slope", "bend"), ("slope", "step", "bend"))
    floor = t_s.size * (1e-7 * max(float(np.max(np.abs(rise_kpa))), 1e-9)) ** 2
    best: tuple[float, tuple[str, ...], Fit] | None = None
    for chosen in choices:
        columns = [*(terms[name] for name in chosen), *also]
        fit = least_squares(columns, rise_kpa) if t_s.size > len(columns) else None
        if fit is None:
            continue
        score = t_s.size * math.log(max(fit.rss, floor) / t_s.size) + len(columns) * math.log(t_s.size)
        if best is None or score < best[0]:
            best = (score, chosen, fit)
    if best is None:
        return None
    _, chosen, fit = best
    found = dict(zip(chosen, fit.coefficients, strict=False))
    bend, step = found.get("bend", 0.0), found.get("step", 0.0)
    rise = Rise(found["slope"], fit.u(0), bend, step, float(t_s[-1]), fit.rms)
    return rise, fit.coefficients[len(chosen) :]


def integrated(t_s: FloatArray, values: FloatArray) -> FloatArray:
    """Integral (n,) from time 0, at which the value is 0, to each time; by trapezia."""
    steps = np.diff(np.concatenate([[0.0], t_s]))
    before = np.concatenate([[0.0], values[:-1]])
    return np.asarray(np.cumsum(steps * (before + values) / 2.0), dtype=np.float64)


# ---------------------------------------------------------------------------------------------------------- crossing

CLEAR = 8.0
"""Noise is averaged over what lies within so many standard deviations of the threshold."""


def raw_crossing_s(t_s: FloatArray, values: FloatArray, threshold: float) -> float | None:
    """First moment at which the samples reach a threshold, interpolated between them; None where they never do."""
    reached = np.flatnonzero(values >= threshold)
    if not reached.size:
        return None
    k = int(reached[0])
    if k == 0:
        return float(t_s[0])
    before, after = float(values[k - 1]), float(values[k])
    return float(t_s[k - 1] + (t_s[k] - t_s[k - 1]) * (threshold - before) / (after - before))


def crossing_s(t_s: FloatArray, values: FloatArray, threshold: float) -> float | None:
    """When a noisy rise crosses a threshold; without noise the same as `raw_crossing_s`.

    The first of many noisy samples is above early.  So a straight line is laid through the samples around the crossing,
    as far as the noise reaches, and its crossing taken.
    """
    raw = raw_crossing_s(t_s, values, threshold)
    noise = neighbour_noise(values)
    if raw is None or noise == 0.0:
        return raw
    k = int(np.searchsorted(t_s, raw))
    slope = (threshold - float(values[0])) / (raw - float(t_s[0])) if k else 0.0
    usual = slope * float(np.median(np.diff(t_s)))
    if not usual > 0.0 or noise < 0.1 * usual:
        return raw  # the samples are so far apart that noise does not bring the crossing forward
    reach = math.ceil(CLEAR * noise / usual)
    low, high = max(0, k - reach), min(t_s.size, k + reach + 1)
    fit = least_squares([np.ones(high - low), t_s[low:high] - raw], values[low:high])
    if fit is None or not fit.coefficients[1] > 0.0:
        return raw
    return raw + (threshold - fit.coefficients[0]) / fit.coefficients[1]


# ------------------------------------------------------------------------------------------------------- low-passed


def low_passed(t_s: FloatArray, values: FloatArray, over_s: float) -> tuple[FloatArray, FloatArray]:
    """Means over one period of the ripple, at the samples that have half a period on either side.

    Parameters
    ----------
    t_s, values : (n,) samples.
    over_s : the period; 0 leaves the samples as they are.
    """
    if over_s <= 0.0:
        return t_s, values
    inside = t_s[(t_s >= t_s[0] + over_s / 2.0) & (t_s <= t_s[-1] - over_s / 2.0)]
    steps = np.diff(t_s) * (values[1:] + values[:-1]) / 2.0
    integral = np.concatenate([[0.0], np.cumsum(steps)])

    def until(at: FloatArray) -> FloatArray:
        k = np.clip(np.searchsorted(t_s, at, side="right") - 1, 0, t_s.size - 2)
        into = at - t_s[k]
        here = values[k] + into * (values[k + 1] - values[k]) / (t_s[k + 1] - t_s[k])
        return np.asarray(integral[k] + into * (values[k] + here) / 2.0)

    return inside, (until(inside + over_s / 2.0) - until(inside - over_s / 2.0)) / over_s


def thinned(t_s: FloatArray, values: FloatArray, most: int) -> tuple[FloatArray, FloatArray]:
    """At most so many means of equally many consecutive samples each."""
    size = max(1, math.ceil(t_s.size / most))
    count = t_s.size // size
    if size == 1 or count == 0:
        return t_s, values
    t = t_s[: count * size].reshape(count, size).mean(axis=1)
    return np.asarray(t, dtype=np.float64), np.asarray(values[: count * size].reshape(count, size).mean(axis=1))
