"""Was the rig fit?  A check that fails here makes the numbers that stand on it invalid; it never fails a pump."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.checks import Check, Limits, Verdict
from data.samples import FloatArray
from protocols.analysis.budget import Component
from protocols.analysis.collection import gap_s
from protocols.analysis.decision import SIMPLE, judge
from protocols.analysis.evaporation import Evaporation

COMPLETE_PERCENT = 90.0
END_S = 120.0
"""A result from one moment to another needs samples at least this close to both."""

CERTAIN = 3.0
"""Standard deviations beyond which a suitability value is no chance."""

AIR_NOISE_RATIO = 8.0
"""Noise of a flow sensor in air over that in liquid, at least (30-50 against 2 nL/min at 10 Hz)."""

AIR_S = 60.0
LARGEST_RATIO_U_PERCENT = 5.0
"""A flow sensor less certain than this cannot tell a leak from its own error; the comparison is then optional."""

RATIO_STEP_PERCENT = 4.0
"""Largest honest change of the sensor-to-balance ratio within a run: drift of the sensor and of its temperature."""

ZERO_WANDERS = 0.1
"""Part of a sensor's zero error that may change within a run."""


@dataclass(frozen=True, slots=True)
class Minutes:
    """Mean flow of a sensor in whole minutes, with the noise in each.

    Attributes
    ----------
    t_s : (n,) middles of the minutes.
    flow_ul_per_h : (n,) means of the good samples; not-a-number where there are none.
    noise_ul_per_h : (n,) rms of successive differences over the root of 2: what changes from sample to sample.
    """

    t_s: FloatArray
    flow_ul_per_h: FloatArray
    noise_ul_per_h: FloatArray

    def between(self, from_s: float, to_s: float) -> Minutes:
        """The minutes that lie in an interval."""
        inside = (self.t_s >= from_s) & (self.t_s <= to_s)
        return Minutes(self.t_s[inside], self.flow_ul_per_h[inside], self.noise_ul_per_h[inside])


def minutes_of(t_s: FloatArray, flow_ul_per_h: FloatArray) -> Minutes:
    """Condense a flow record to minutes.

    Parameters
    ----------
    t_s, flow_ul_per_h : (n,) good samples.
    """
    if t_s.size < 2:
        empty = np.empty(0)
        return Minutes(empty, empty, empty)
    minute = np.floor(t_s / 60.0).astype(np.int64)
    first = int(minute[0])
    index = minute - first
    count = np.bincount(index)
    total = np.bincount(index, weights=flow_ul_per_h)
    step = np.diff(flow_ul_per_h)
    squares = np.bincount(index[1:], weights=step * step, minlength=count.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count > 0, total / count, np.nan)
        noise = np.where(count > 1, np.sqrt(squares / np.maximum(count, 1) / 2.0), np.nan)
    middles = (first + np.arange(count.size, dtype=np.float64) + 0.5) * 60.0
    return Minutes(middles, np.asarray(mean, dtype=np.float64), np.asarray(noise, dtype=np.float64))


def _check(name: str, title: str, unit: str, note: str = "", **fields: object) -> Check:
    return Check(name=name, title=title, unit=unit, owner="rig", suitability=True, note=note, **fields)  # type: ignore[arg-type]  # fields of judge()


def _not_measured(name: str, title: str, unit: str, note: str, *, optional: bool = False) -> Check:
    return _check(name, title, unit, note, value=None, verdict=Verdict.NOT_MEASURED, optional=optional)


def _judged(
    name: str, title: str, unit: str, value: float, u: float, limits: Limits, note: str = "", dof: float = math.inf
) -> Check:
    """Suitability is decided by the value alone: its limits already leave room for its uncertainty."""
    inside = (limits.low is None or value >= limits.low) and (limits.high is None or value <= limits.high)
    fields = {**judge(value, u, dof, limits, SIMPLE), "verdict": Verdict.PASS if inside else Verdict.INVALID}
    return _check(name, title, unit, note, **fields)


def data_complete(t_s: FloatArray, from_s: float, to_s: float) -> Check:
    """Share of the analysis for which the reference gave samples; both ends must be there."""
    name, title = "data-complete", "Reference data"
    limits = Limits(COMPLETE_PERCENT, None, "protocol")
    inside = t_s[(t_s >= from_s - END_S) & (t_s <= to_s + END_S)]
    ends = inside.size > 1 and inside[0] - from_s <= END_S and to_s - inside[-1] <= END_S
    if not ends:
        note = "the reference gave no samples at an end of the analysis"
        return _judged(name, title, "%", 0.0, 0.0, limits, note)
    lost, longest = gap_s(t_s, from_s, to_s)
    note = f"{lost:.0f} s without a sample, {longest:.0f} s at a time" if lost else ""
    return _judged(name, title, "%", 100.0 * (1.0 - lost / (to_s - from_s)), 0.0, limits, note)


def excluded_share(percent: float, limit_percent: float) -> Check:
    """Part of the analysis that was taken out."""
    return _judged("excluded", "Excluded from analysis", "%", percent, 0.0, Limits(None, limit_percent, "protocol"))


def evaporation_in_band(
    evaporation: Evaporation, component: Component, expected_mg_per_h: float, spread_mg_per_h: float
) -> Check:
    """The blanks' rate against what the station is known to lose, drift of the balance included.

    Parameters
    ----------
    spread_mg_per_h : standard deviation of the rate between set-ups, the balance's steady drift included.
    """
    rates = [one.rate_mg_per_h for one in evaporation.blanks]
    rate = math.fsum(rates) / len(rates)
    half = CERTAIN * math.hypot(spread_mg_per_h, component.u)
    limits = Limits(expected_mg_per_h - half, expected_mg_per_h + half, "station file, collection")
    note = "includes the steady drift of the balance"
    return _judged("evaporation", "Evaporation", "mg/h", rate, component.u, limits, note, component.dof)


def blanks_agree(evaporation: Evaporation) -> Check:
    """Difference of the blanks before and after."""
    name, title = "blanks-agree", "Blanks agree"
    if len(evaporation.blanks) < 2:
        return _not_measured(name, title, "mg/h", "only one blank was recorded", optional=True)
    limit = evaporation.agreement_limit_mg_per_h
    u = math.hypot(*(one.u_mg_per_h for one in evaporation.blanks))
    limits = Limits(-limit, limit, "0.1 mg/h or 25 %")
    return _judged(name, title, "mg/h", evaporation.difference_mg_per_h, u, limits)


def balance_alive(
    t_s: FloatArray,
    mass_mg: FloatArray,
    expected_ul_per_h: float,
    ul_per_mg: float,
    readability_mg: float,
    flow: Minutes | None,
) -> Check:
    """Longest time for which the balance repeated one reading while flow was due and a second channel saw it.

    Parameters
    ----------
    t_s, mass_mg : (n,) good samples of the analysis, as the balance sent them.
    """
    name, title = "balance-alive", "Balance follows"
    longest, at_s = _longest_repeat(t_s, mass_mg)
    per_digit_s = readability_mg * ul_per_mg / max(expected_ul_per_h, 1e-9) * 3600.0
    limit_s = max(120.0, 20.0 * per_digit_s)
    note = ""
    if longest > limit_s:
        seen = None if flow is None else flow.between(at_s, at_s + longest).flow_ul_per_h
        moving = seen is not None and seen.size > 0 and float(np.nanmean(seen)) > 0.2 * expected_ul_per_h
        note = f"one reading repeated for {longest:.0f} s from {at_s:.0f} s"
        if not moving:
            # Without a second channel that saw flow, this may be a pump that stands still: not the balance's fault.
            return _check(name, title, "s", note, value=longest, verdict=Verdict.PASS, limit_high=limit_s)
    return _judged(name, title, "s", longest, 0.0, Limits(None, limit_s, "20 digits of expected flow"), note)


def _longest_repeat(t_s: FloatArray, values: FloatArray) -> tuple[float, float]:
    """Duration and beginning of the longest run of equal values."""
    if t_s.size < 2:
        return 0.0, 0.0
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values) != 0.0) + 1])
    ends = np.concatenate([starts[1:] - 1, [t_s.size - 1]])
    lengths = t_s[ends] - t_s[starts]
    longest = int(np.argmax(lengths))
    return float(lengths[longest]), float(t_s[starts[longest]])


def sensor_ratio(
    flow: Minutes, collected_ul: float, from_s: float, to_s: float, u_gain_percent: float, u_zero_ul_per_h: float
) -> Check:
    """Volume by the flow sensor over volume by the balance: a leak, a loss or a wrong balance shows here."""
    name, title = "sensor-balance-ratio", "Flow sensor / balance"
    inside = flow.between(from_s, to_s)
    known = inside.flow_ul_per_h[np.isfinite(inside.flow_ul_per_h)]
    hours = (to_s - from_s) / 3600.0
    if known.size < 0.5 * hours * 60.0:
        return _not_measured(name, title, "%", "the flow sensor gave too few samples", optional=True)
    mean = math.fsum(known.tolist()) / known.size
    balance = collected_ul / hours
    u = math.hypot(u_gain_percent, 100.0 * u_zero_ul_per_h / max(abs(mean), 1e-9))
    # At a standstill both see nothing, and nothing is compared; what the pump did is judged elsewhere.
    if max(abs(mean), abs(balance)) < CERTAIN * u_zero_ul_per_h:
        return _not_measured(name, title, "%", "flow is within the zero of the sensor", optional=True)
    value = 100.0 * (mean / balance - 1.0) if balance > 1e-9 * abs(mean) else 1e6
    if u > LARGEST_RATIO_U_PERCENT and abs(value) < CERTAIN * u:
        note = f"the sensor is known to {u:.2g} % at this flow; calibrate its zero and gain to use it"
        fields = judge(value, u, math.inf, None)
        return _check(name, title, "%", note, **{**fields, "verdict": Verdict.NOT_CAPABLE, "optional": True})
    limits = Limits(-CERTAIN * u, CERTAIN * u, f"{CERTAIN:g} standard uncertainties of the sensor")
    return _judged(name, title, "%", value, u, limits)


def ratio_steady(
    flow: Minutes, collected: Sequence[tuple[float, float, float]], u_zero_ul_per_h: float, u_percent: float
) -> Check:
    """Largest change of sensor against balance within the run; a calibration error of the sensor cancels here.

    Parameters
    ----------
    collected : (from_s, to_s, mean flow by the balance in uL/h) of consecutive long stretches of constant rate.
    u_zero_ul_per_h : uncertainty of the sensor's zero, a small part of which may wander.
    u_percent : standard uncertainty of one stretch's mean by the balance.
    """
    name, title = "ratio-steady", "Sensor / balance steady"
    differences, flows = [], []
    for from_s, to_s, balance in collected:
        seen = flow.between(from_s, to_s).flow_ul_per_h
        seen = seen[np.isfinite(seen)]
        if seen.size >= 0.5 * (to_s - from_s) / 60.0:
            differences.append(math.fsum(seen.tolist()) / seen.size - balance)
            flows.append(abs(balance))
    if len(differences) < 2 or max(flows) <= 0.0:
        return _not_measured(name, title, "%", "too few stretches to compare", optional=True)
    reference = max(flows)
    usual = sorted(differences)[len(differences) // 2]
    worst = max(abs(one - usual) for one in differences)
    u = math.hypot(math.sqrt(2.0) * u_percent, 100.0 * u_zero_ul_per_h * ZERO_WANDERS / reference)
    limits = Limits(None, math.hypot(RATIO_STEP_PERCENT, CERTAIN * u), "protocol")
    return _judged(name, title, "%", 100.0 * worst / reference, u, limits)


def no_air(flow: Minutes, from_s: float, to_s: float) -> Check:
    """Time in which the flow sensor was as noisy as it is in air."""
    name, title = "no-air", "No air in the line"
    noise = flow.noise_ul_per_h[np.isfinite(flow.noise_ul_per_h)]
    if noise.size < 10:
        return _not_measured(name, title, "s", "the flow sensor gave too few samples", optional=True)
    usual = max(float(np.percentile(noise, 25.0)), 1e-6)
    inside = flow.between(from_s, to_s)
    noisy = 60.0 * int(np.count_nonzero(inside.noise_ul_per_h > AIR_NOISE_RATIO * usual))
    note = "" if noisy <= AIR_S else f"the sensor's noise rose over {AIR_NOISE_RATIO:g} times its usual value"
    return _judged(name, title, "s", float(noisy), 0.0, Limits(None, AIR_S, "protocol"), note)


def in_band(name: str, title: str, unit: str, values: FloatArray, low: float, high: float, u: float) -> Check:
    """Mean of a condition against its band."""
    if values.size == 0:
        return _not_measured(name, title, unit, "no good samples")
    mean = math.fsum(values.tolist()) / values.size
    return _judged(name, title, unit, mean, u, Limits(low, high, "station file, collection"))
