"""A log of an occlusion from any source: what `pumpbench analyse occlusion` prints.

Units: kPa, uL, s; rates in uL/h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.logged_rise import harmonics, logged_rise, period_of
from protocols.analysis.occlusion.regression import least_squares
from protocols.analysis.occlusion.rise import crossing_s, integrated

HOUR_S = 3600.0

FLOW_KNOWN = 0.005
"""The flow before the occlusion counts instead of the set rate where the volume tells it to this share."""

FAR_OFF = 1.25
"""A flow by the volume that is so many times the set rate, or as much below it, is told."""

FALLS = 0.01
"""A volume that falls between two rows by more than this share of its range, and above its noise, was reset."""

LEFT = 0.05
"""While more than this share of the rise is left after the release, the bolus is still flowing."""

LAST_SHARE = 0.05
"""The pressure at release is read off a curve through so much of the end of the occlusion."""

LEAST_LEAKING = 4
"""So many samples of a leak tell its course up to the release."""

LAST_BEFORE = 3
"""The median of so many samples before the occlusion tells what the pressure was then."""

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
    bolus_ul : delivered after release beyond normal delivery, to the log's end; without a volume, compliance times the
        rise.
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
    resting = pressure_kpa[before] - baseline
    found = logged_rise(since, rise, math.sqrt(math.fsum((resting * resting).tolist()) / resting.size))
    notes: list[str] = []
    flow = settings.set_rate_ul_per_h / HOUR_S
    falls = () if volume_ul is None else resets(t_s, volume_ul)
    if volume_ul is None:
        notes.append(f"there is no volume, so the flow is the set rate of {settings.set_rate_ul_per_h:.5g} uL/h")
    else:
        period_s = None if found is None else found.period_s
        steady = before & (t_s >= max((fall for fall in falls if fall < closed_s), default=-math.inf))
        flow = _flow_before(t_s[steady], volume_ul[steady], flow, period_s, notes)
    compliance = flow / found.law.slope_kpa_per_s if found is not None and found.law.slope_kpa_per_s > 0.0 else None
    if compliance is None:
        notes.append("the pressure did not rise after the occlusion, so no compliance follows from it")
    elif found is not None:
        notes += found.notes()
    bolus = missed = None
    if opened_s is not None and at_release is not None:
        missed = settings.set_rate_ul_per_h / HOUR_S * (opened_s - closed_s)
        if volume_ul is not None:
            at_closing, at_opening = _volumes(t_s, volume_ul, flow, settings, rise, at_release - baseline)
            missed -= at_opening - at_closing
            notes += _counted_twice(at_opening - at_closing, compliance, at_release - baseline, flow, settings)
            bolus = float(volume_ul[-1]) - at_opening - flow * (float(t_s[-1]) - opened_s)
            bolus, missed = _without_falls(falls, bolus, missed, closed_s, opened_s, notes)
            bolus = _while_it_flows(t_s - opened_s, pressure_kpa - baseline, at_release - baseline, bolus, notes)
            if bolus is not None and compliance is not None and bolus < -LEFT * compliance * (at_release - baseline):
                notes.append(
                    "bolus_ul is below zero, so less came out after the release than flows normally; check that the "
                    "volume is what left the tip, and when the line was opened"
                )
        elif compliance is not None:
            bolus = compliance * (at_release - baseline)
            notes.append("there is no volume, so bolus_ul is compliance times the rise at release")
    crossing = _crossing(since, rise, settings, baseline, at_release)
    if float(np.median(pressure_kpa[before][-LAST_BEFORE:])) >= settings.threshold_kpa:
        notes.append("the pressure is at the threshold already before the occlusion; check when the line was closed")
    slope = None if found is None else found.law.slope_kpa_per_s
    return OcclusionLog(baseline, crossing, at_release, slope, compliance, bolus, missed, tuple(notes))


def _check(t_s: FloatArray, settings: OcclusionLogSettings) -> None:
    """Refuse what cannot be analysed."""
    first, last = float(t_s[0]), float(t_s[-1])
    closed_s, opened_s = settings.occluded_s, settings.released_s
    if not settings.set_rate_ul_per_h > 0.0:
        raise RecordError(f"the set rate must be above 0 uL/h, not {settings.set_rate_ul_per_h:g} uL/h")
    if not first <= closed_s:
        raise RecordError(
            f"the log begins at {first:g} s, after the occlusion at {closed_s:g} s; it has to show the pressure "
            "before: correct the moment of the occlusion, or begin the log earlier"
        )
    if not closed_s < last:
        raise RecordError(
            f"the log ends at {last:g} s, before the occlusion at {closed_s:g} s has any effect; "
            "correct the moment of the occlusion, or its unit"
        )
    if opened_s is not None and not closed_s < opened_s <= last:
        raise RecordError(
            f"the release at {opened_s:g} s is not between the occlusion at {closed_s:g} s and the log's end at "
            f"{last:g} s; correct its moment or unit, or leave it out"
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


def _flow_before(
    t_s: FloatArray, volume_ul: FloatArray, set_ul_per_s: float, period_s: float | None, notes: list[str]
) -> float:
    """Flow before the occlusion by the volume, where that tells it well; else the set rate.

    Parameters
    ----------
    period_s : of the pulsation that the pressure shows; where it shows none the volume is asked.
    """
    told = _slope(t_s, volume_ul, period_s) if t_s.size > 2 else None
    by_set = f"the set rate of {set_ul_per_s * HOUR_S:.5g} uL/h"
    if told is not None and told[0] < 0.0 and told[1] <= -FLOW_KNOWN * told[0]:
        notes.append(
            f"the volume falls before the occlusion, by {-told[0] * HOUR_S:.5g} uL/h; {by_set} is taken for it: "
            "give what has left the tip, which rises"
        )
        return set_ul_per_s
    if told is None or not told[0] > 0.0 or told[1] > FLOW_KNOWN * told[0]:
        notes.append(
            f"the volume before the occlusion does not tell the flow to {100.0 * FLOW_KNOWN:g} %; "
            f"{by_set} is taken for it"
        )
        return set_ul_per_s
    flow, _ = told
    notes.append(f"the flow is that of the volume before the occlusion, {flow * HOUR_S:.5g} uL/h")
    times = flow / set_ul_per_s
    if not 1.0 / FAR_OFF <= times <= FAR_OFF:
        notes.append(f"that flow is {times:.4g} times {by_set}; check --volume-unit and --set-rate")
    return flow


def _slope(t_s: FloatArray, volume_ul: FloatArray, period_s: float | None) -> tuple[float, float] | None:
    """Mean flow in uL/s and its standard uncertainty, with what pulsates fitted beside it; None where none is told."""
    t_s = t_s - t_s[0]
    smooth = [t_s, np.ones(t_s.size)]
    period_s = period_s or period_of(t_s, volume_ul, smooth, 1.5)
    pulsing = [] if period_s is None or t_s[-1] < period_s else harmonics(t_s, period_s)
    columns = [*smooth, *pulsing] if t_s.size > 2 + len(pulsing) else smooth
    fit = least_squares(columns, volume_ul)
    if fit is None:
        return None
    left = volume_ul - sum(a * column for a, column in zip(fit.coefficients, columns, strict=True))
    # Neighbouring residuals of one sign, such as those of part of a stroke, are fewer than they look.
    power = math.fsum((left * left).tolist())
    alike = math.fsum((left[1:] * left[:-1]).tolist()) / power if power > 0.0 else 0.0
    alike = min(max(alike, 0.0), 0.999)
    return fit.coefficients[0], fit.u(0) * math.sqrt((1.0 + alike) / (1.0 - alike))


def resets(t_s: FloatArray, volume_ul: FloatArray) -> tuple[float, ...]:
    """Moments at which the volume has fallen since the row before, as where a counter is reset."""
    steps = np.diff(volume_ul)
    noise = float(np.median(np.abs(steps - np.median(steps))))
    least = max(FALLS * float(np.ptp(volume_ul)), 8.0 * noise)
    return tuple(float(t_s[k + 1]) for k in np.flatnonzero(steps < -least))


def _without_falls(
    falls: tuple[float, ...], bolus: float, missed: float, closed_s: float, opened_s: float, notes: list[str]
) -> tuple[float | None, float | None]:
    """Bolus and missed volume, None where the volume was reset meanwhile."""
    if falls:
        notes.append(f"the volume falls at {falls[0]:.6g} s, as where a counter is reset; join its parts to one volume")
    return (
        None if any(fall >= opened_s for fall in falls) else bolus,
        None if any(closed_s <= fall < opened_s for fall in falls) else missed,
    )


def _counted_twice(
    passed_ul: float,
    compliance_ul_per_kpa: float | None,
    rise_kpa: float,
    flow_ul_per_s: float,
    settings: OcclusionLogSettings,
) -> tuple[str, ...]:
    """That more left the tip and went into the closed line than flows: the volume is what the pump counts."""
    if compliance_ul_per_kpa is None or settings.released_s is None:
        return ()
    kept_ul = compliance_ul_per_kpa * rise_kpa
    pumped_ul = flow_ul_per_s * (settings.released_s - settings.occluded_s)
    if passed_ul <= (FAR_OFF - 1.0) * pumped_ul or passed_ul + kept_ul <= FAR_OFF * pumped_ul:
        return ()
    return (
        f"the volume grew by {passed_ul:.4g} uL and the line took {kept_ul:.4g} uL while it was closed, more than the "
        f"{pumped_ul:.4g} uL that were pumped: the volume seems to be what the pump counts, and then bolus_ul and "
        "missed_volume_ul are wrong; give what left the tip",
    )


def _while_it_flows(
    since_s: FloatArray, rise_kpa: FloatArray, at_release_kpa: float, bolus: float | None, notes: list[str]
) -> float | None:
    """The bolus, with a note where the log ends before it is out; None where the log ends at the release."""
    if float(since_s[-1]) <= 0.0:
        notes.append("the log ends at the release, so it does not hold the bolus")
        return None
    last = rise_kpa[since_s >= (1.0 - LAST_SHARE) * since_s[-1]]
    left = math.fsum(last.tolist()) / last.size
    if left > LEFT * at_release_kpa > 0.0:
        notes.append(
            f"the log ends {since_s[-1]:.4g} s after the release with {left:.3g} kPa still above the baseline; "
            "bolus_ul is what had come out by then"
        )
    return bolus


def _volumes(
    t_s: FloatArray,
    volume_ul: FloatArray,
    flow_ul_per_s: float,
    settings: OcclusionLogSettings,
    rise_kpa: FloatArray,
    at_release_kpa: float,
) -> tuple[float, float]:
    """Volumes at closing and at opening; a sample at either moment may already show what follows.

    Parameters
    ----------
    rise_kpa, at_release_kpa : of the samples between, and at opening.

    Notes
    -----
    What leaks between the last sample and the opening goes on as before: steadily, in proportion to the pressure, or
    both.
    """
    closed_s, opened_s = settings.occluded_s, math.inf if settings.released_s is None else settings.released_s
    k = max(int(np.searchsorted(t_s, closed_s)) - 1, 0)
    at_closing = float(volume_ul[k]) + flow_ul_per_s * (closed_s - float(t_s[k]))
    last = int(np.searchsorted(t_s, opened_s)) - 1
    at_last, held_s = float(volume_ul[last]), opened_s - float(t_s[last])
    if not at_last > at_closing:
        return at_closing, at_last
    leaking = (at_last - at_closing) / (float(t_s[last]) - closed_s) * held_s
    since = np.append(t_s[last + 1 - rise_kpa.size : last + 1], opened_s) - closed_s
    pushed = integrated(since, np.append(rise_kpa, at_release_kpa))
    inside = volume_ul[last + 1 - rise_kpa.size : last + 1] - at_closing
    fit = least_squares([since[:-1], pushed[:-1]], inside) if inside.size >= LEAST_LEAKING else None
    if fit is not None:
        steady, by_pressure = fit.coefficients
        leaking = max(0.0, steady * held_s + by_pressure * float(pushed[-1] - pushed[-2]))
    return at_closing, at_last + leaking


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
    found = crossing_s(t_s, rise, settings.threshold_kpa - baseline_kpa)
    return None if found is None else max(found, 0.0)
