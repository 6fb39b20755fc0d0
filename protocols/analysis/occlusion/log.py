"""A log of an occlusion from any source: what `pumpbench analyse occlusion` prints.

Units: kPa, uL, s; rates in uL/h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.regression import least_squares
from protocols.analysis.occlusion.rise import crossing_s, initial_slope

HOUR_S = 3600.0

FLOW_KNOWN = 0.005
"""The flow before the occlusion counts instead of the set rate where the volume tells it to this share."""

LAST_SHARE = 0.05
"""The pressure at release is read off a curve through so much of the end of the occlusion."""

MOST_LAST = 60
LEAST_BENT = 12
"""Fewer of them make a straight line, more a parabola."""


@dataclass(frozen=True, slots=True)
class OcclusionLogSettings:
    """How a log is analysed; times are on the log's own axis.

    Attributes
    ----------
    released_s : None where the line was not opened again, or the log does not say when.
    threshold_kpa : on the log's own scale of pressure, not above the baseline.
    """

    set_rate_ul_per_h: float
    occluded_s: float
    released_s: float | None
    threshold_kpa: float


@dataclass(frozen=True, slots=True)
class OcclusionLog:
    """The results; what the log does not tell is None.

    Attributes
    ----------
    baseline_kpa : mean pressure before the occlusion.
    time_to_threshold_s : from the occlusion.
    slope_kpa_per_s : of the rise at the moment of closing.
    compliance_ul_per_kpa : flow before over that slope.
    bolus_ul : delivered after release beyond normal delivery; without a volume, compliance times the rise.
    missed_volume_ul : not delivered while the line was closed.
    notes : what was assumed, one sentence each.
    """

    baseline_kpa: float
    time_to_threshold_s: float | None
    pressure_at_release_kpa: float | None
    slope_kpa_per_s: float | None
    compliance_ul_per_kpa: float | None
    bolus_ul: float | None
    missed_volume_ul: float | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, float | None]:
        """Numbers for JSON, by name."""
        return {
            "baseline_kpa": self.baseline_kpa,
            "time_to_threshold_s": self.time_to_threshold_s,
            "pressure_at_release_kpa": self.pressure_at_release_kpa,
            "slope_kpa_per_s": self.slope_kpa_per_s,
            "compliance_ul_per_kpa": self.compliance_ul_per_kpa,
            "bolus_ul": self.bolus_ul,
            "missed_volume_ul": self.missed_volume_ul,
        }


def analyse_occlusion_log(
    t_s: FloatArray, pressure_kpa: FloatArray, volume_ul: FloatArray | None, settings: OcclusionLogSettings
) -> OcclusionLog:
    """Analyse a log.

    Parameters
    ----------
    t_s, pressure_kpa : (n,) rising times and pressure.
    volume_ul : (n,) cumulative delivered volume at the tip; None where it was not recorded.

    Raises
    ------
    RecordError
        Where the log and the moments do not go together; says what to do.
    """
    _check(t_s, settings)
    closed_s, opened_s = settings.occluded_s, settings.released_s
    before = t_s < closed_s if t_s[0] < closed_s else t_s <= closed_s
    baseline = math.fsum(pressure_kpa[before].tolist()) / int(before.sum())
    if settings.threshold_kpa <= baseline:
        raise RecordError(
            f"the threshold of {settings.threshold_kpa:g} kPa is not above the {baseline:.4g} kPa before the "
            "occlusion; give it on the log's own scale of pressure"
        )
    inside = (t_s > closed_s) & (t_s < (math.inf if opened_s is None else opened_s))
    since, rise = t_s[inside] - closed_s, pressure_kpa[inside] - baseline
    at_release = None if opened_s is None else baseline + _value_at(since, rise, opened_s - closed_s)
    notes: list[str] = []
    flow = settings.set_rate_ul_per_h / HOUR_S
    if volume_ul is not None:
        flow = _flow_before(t_s[before], volume_ul[before], flow, notes)
    law = initial_slope(since, rise)
    compliance = flow / law.slope_kpa_per_s if law is not None and law.slope_kpa_per_s > 0.0 else None
    if compliance is None:
        notes.append("the pressure did not rise after the occlusion, so no compliance follows from it")
    bolus = missed = None
    if opened_s is not None and at_release is not None:
        missed = settings.set_rate_ul_per_h / HOUR_S * (opened_s - closed_s)
        if volume_ul is not None:
            at_closing, at_opening = _volumes(t_s, volume_ul, flow, closed_s, opened_s)
            missed -= at_opening - at_closing
            bolus = float(volume_ul[-1]) - at_opening - flow * (float(t_s[-1]) - opened_s)
        elif compliance is not None:
            bolus = compliance * (at_release - baseline)
    crossing = _crossing(since, rise, settings, baseline, at_release)
    slope = None if law is None else law.slope_kpa_per_s
    return OcclusionLog(baseline, crossing, at_release, slope, compliance, bolus, missed, tuple(notes))


def _check(t_s: FloatArray, settings: OcclusionLogSettings) -> None:
    """Refuse what cannot be analysed."""
    first, last = float(t_s[0]), float(t_s[-1])
    closed_s, opened_s = settings.occluded_s, settings.released_s
    if not settings.set_rate_ul_per_h > 0.0:
        raise RecordError(f"the set rate must be above 0 uL/h, not {settings.set_rate_ul_per_h:g} uL/h")
    if not first <= closed_s:
        raise RecordError(
            f"the log begins at {first:g} s, after the occlusion at {closed_s:g} s; it has to show the pressure before"
        )
    if not closed_s < last:
        raise RecordError(f"the log ends at {last:g} s, before the occlusion at {closed_s:g} s has any effect")
    if opened_s is not None and not closed_s < opened_s <= last:
        raise RecordError(
            f"the release at {opened_s:g} s is not between the occlusion at {closed_s:g} s and the log's end at "
            f"{last:g} s"
        )
    until = math.inf if opened_s is None else opened_s
    if int(((t_s > closed_s) & (t_s < until)).sum()) < 2:
        raise RecordError("the log has fewer than two rows while the line was closed; record it more often")


def _value_at(t_s: FloatArray, values: FloatArray, at_s: float) -> float:
    """Value at the end of a stretch, off a curve through its last samples; the sample at the end is no longer of it."""
    duration = at_s - float(t_s[0])
    count = max(2, min(MOST_LAST, int((t_s > at_s - LAST_SHARE * duration).sum())))
    last, level = t_s[-count:], values[-count:]
    back = last - at_s
    fit = least_squares([np.ones(last.size), back, back * back][: 2 if last.size < LEAST_BENT else 3], level)
    return float(level[-1]) if fit is None else fit.coefficients[0]


def _flow_before(t_s: FloatArray, volume_ul: FloatArray, set_ul_per_s: float, notes: list[str]) -> float:
    """Flow before the occlusion by the volume, where that tells it well; else the set rate."""
    fit = least_squares([np.ones(t_s.size), t_s - t_s[0]], volume_ul) if t_s.size > 2 else None
    if fit is not None and fit.coefficients[1] > 0.0 and fit.u(1) <= FLOW_KNOWN * fit.coefficients[1]:
        return fit.coefficients[1]
    notes.append("the volume before the occlusion does not tell the flow to 0.5 %; the set rate is taken for it")
    return set_ul_per_s


def _volumes(
    t_s: FloatArray, volume_ul: FloatArray, flow_ul_per_s: float, closed_s: float, opened_s: float
) -> tuple[float, float]:
    """Volumes at closing and at opening; a sample at either moment may already show what follows."""
    k = max(int(np.searchsorted(t_s, closed_s)) - 1, 0)
    at_closing = float(volume_ul[k]) + flow_ul_per_s * (closed_s - float(t_s[k]))
    last = int(np.searchsorted(t_s, opened_s)) - 1
    leaked = max(0.0, float(volume_ul[last]) - at_closing) / (float(t_s[last]) - closed_s)
    return at_closing, float(volume_ul[last]) + leaked * (opened_s - float(t_s[last]))


def _crossing(
    since_s: FloatArray,
    rise_kpa: FloatArray,
    settings: OcclusionLogSettings,
    baseline_kpa: float,
    at_release_kpa: float | None,
) -> float | None:
    """When the rise crosses the threshold, from its beginning to what it is at release."""
    t_s, rise = np.concatenate([[0.0], since_s]), np.concatenate([[0.0], rise_kpa])
    if settings.released_s is not None and at_release_kpa is not None:
        t_s = np.concatenate([t_s, [settings.released_s - settings.occluded_s]])
        rise = np.concatenate([rise, [at_release_kpa - baseline_kpa]])
    return crossing_s(t_s, rise, settings.threshold_kpa - baseline_kpa)
