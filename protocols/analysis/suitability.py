"""Was the rig fit?  A check that fails here makes the numbers that stand on it invalid; it never fails a pump."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from data.checks import Check, Exclusion, Limits, Owner, Verdict
from data.samples import FloatArray
from protocols.analysis.budget import Component
from protocols.analysis.collection import gap_s
from protocols.analysis.decision import SIMPLE, judge
from protocols.analysis.evaporation import DIFFERENCE_SIGMAS, Evaporation

COMPLETE_PERCENT = 90.0
END_S = 120.0
"""A result from one moment to another needs samples at least this close to both."""

CERTAIN = 3.0
"""Standard deviations beyond which a suitability value is no chance."""

NO_FLOW_SHARE = 0.2
"""Less than this part of the programmed flow counts as none."""

STANDSTILL_S = 120.0
DIGITS = 20.0
"""A balance that shows one reading for so many digits of expected flow, and at least so long, does not follow."""

LARGEST_RISE_KPA = 5.0
"""A sound catheter takes 4 Pa at 1 mL/day; a closed one rises by this in 3.5 min there, in 1.2 h at 0.048 mL/day."""

CONDITION_S = 600.0
"""A condition is judged by its means over this long: one cycle of a bath's controller."""

AIR_MG_PER_UL = (0.7e-3, 1.4e-3)
"""Density of the air in a laboratory, from 4000 m above the sea (630 hPa, 0.75) down to it."""

SPIKE_SIGMAS = 8.0
SPIKES = 0
BACK_FLOW = 6.0
"""Multiple of the mean flow that a roller draws back as it leaves."""

BACK_FLOW_S = 60.0


def _check(name: str, title: str, unit: str, note: str = "", *, owner: Owner = "rig", **fields: object) -> Check:
    return Check(name=name, title=title, unit=unit, owner=owner, suitability=True, note=note, **fields)  # type: ignore[arg-type]  # fields of judge()


def not_measured(name: str, title: str, unit: str, note: str, *, optional: bool = False) -> Check:
    """A suitability check for which the run holds nothing."""
    return _check(name, title, unit, note, value=None, verdict=Verdict.NOT_MEASURED, optional=optional)


def judged(
    name: str,
    title: str,
    unit: str,
    value: float,
    u: float,
    limits: Limits,
    note: str = "",
    dof: float = math.inf,
    *,
    owner: Owner = "rig",
) -> Check:
    """Suitability is decided by the value alone: its limits already leave room for its uncertainty."""
    inside = (limits.low is None or value >= limits.low) and (limits.high is None or value <= limits.high)
    fields = {**judge(value, u, dof, limits, SIMPLE), "verdict": Verdict.PASS if inside else Verdict.INVALID}
    return _check(name, title, unit, note, owner=owner, **fields)


def air_density(mean_mg_per_ul: float, lost: Sequence[str]) -> Iterator[Check]:
    """Mean density of the air by which the weighings were corrected, where there is something to say of it.

    Parameters
    ----------
    lost : roles that were to measure the air and gave no good sample.
    """
    low, high = AIR_MG_PER_UL
    if not lost and low <= mean_mg_per_ul <= high:
        return
    note = f"{' and '.join(lost)} gave no good sample: what is usual is taken" if lost else ""
    if not low <= mean_mg_per_ul <= high:
        cause = "this is no air that a laboratory has: check unit and certificate of what measures it"
        note = f"{note}; {cause}" if note else cause
    limits = Limits(1000.0 * low, 1000.0 * high, "protocol")
    yield judged("air-density", "Density of the air", "kg/m3", 1000.0 * mean_mg_per_ul, 0.0, limits, note)


def data_complete(t_s: FloatArray, from_s: float, to_s: float) -> Check:
    """Share of the analysis for which the reference gave samples; both ends must be there."""
    name, title = "data-complete", "Reference data"
    limits = Limits(COMPLETE_PERCENT, None, "protocol")
    inside = t_s[(t_s >= from_s - END_S) & (t_s <= to_s + END_S)]
    ends = inside.size > 1 and inside[0] - from_s <= END_S and to_s - inside[-1] <= END_S
    if not ends:
        note = "the reference gave no samples at an end of the analysis"
        return judged(name, title, "%", 0.0, 0.0, limits, note)
    lost, longest = gap_s(t_s, from_s, to_s)
    note = f"{lost:.0f} s without a sample, {longest:.0f} s at a time" if lost else ""
    return judged(name, title, "%", 100.0 * (1.0 - lost / (to_s - from_s)), 0.0, limits, note)


def excluded_share(
    percent: float,
    limit_percent: float,
    inside: tuple[Exclusion, tuple[float, float]] | None = None,
    spiked: int = 0,
) -> Check:
    """Part of the analysis that was taken out.

    Parameters
    ----------
    inside : an exclusion in a window of which nothing may be missing, such as a bolus, and that window.
    spiked : how many of the balance's readings are left out since they leapt away and came back.
    """
    limits = Limits(None, limit_percent, "protocol")
    note = f"{spiked} readings of the balance that leapt away and came back are left out" if spiked else ""
    check = judged("excluded", "Excluded from analysis", "%", percent, 0.0, limits, note)
    if inside is None:
        return check
    out, (begin, end) = inside
    note = f"{out.from_s:.0f} s to {out.to_s:.0f} s is left out, in the bolus window of {begin:.0f} s to {end:.0f} s"
    return replace(check, verdict=Verdict.INVALID, note=note)


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
    return judged("evaporation", "Evaporation", "mg/h", rate, component.u, limits, note, component.dof)


def blanks_agree(evaporation: Evaporation, *, planned: int = 2) -> Check:
    """Difference of the blanks before and after.

    Parameters
    ----------
    planned : blanks that the procedure takes; where fewer were recorded nothing shows what the vessel lost since.
    """
    name, title = "blanks-agree", "Blanks agree"
    if len(evaporation.blanks) < 2:
        return not_measured(name, title, "mg/h", "only one blank was recorded", optional=planned < 2)
    limit = evaporation.agreement_limit_mg_per_h
    u = math.hypot(*(one.u_mg_per_h for one in evaporation.blanks))
    is_noise = limit == DIFFERENCE_SIGMAS * evaporation.u_difference_mg_per_h
    limits = Limits(-limit, limit, "4 standard uncertainties" if is_noise else "0.1 mg/h or 25 %")
    return judged(name, title, "mg/h", evaporation.difference_mg_per_h, u, limits)


def balance_alive(
    parts: Sequence[tuple[FloatArray, FloatArray]],
    expected_mg_per_h: float,
    readability_mg: float,
    repeatability_mg: float,
    moves: Callable[[float, float], bool | None],
    *,
    least_readings: int = 2,
) -> Check:
    """Longest time for which the balance repeated one reading while flow was due.

    Parameters
    ----------
    parts : times (n,) and indications (n,) of each stretch in which flow went into the vessel.
    moves : (from_s, to_s) -> whether a second channel saw flow; None where none can tell.
    least_readings : of one value that the noise alone has to make, before it tells anything.

    Notes
    -----
    A pump that stands still makes a balance stand still, so the second channel decides.  Where there is none, the
    noise does: a balance whose readings scatter by half a digit or more repeats one for minutes only if it is frozen.
    Then nothing is judged, rather than blaming the pump.
    """
    name, title = "balance-alive", "Balance follows"
    longest, at_s, count = max((_longest_repeat(t_s, mass_mg) for t_s, mass_mg in parts), default=(0.0, 0.0, 0))
    per_digit_s = readability_mg / max(expected_mg_per_h, 1e-9) * 3600.0
    limit_s = max(STANDSTILL_S, DIGITS * per_digit_s)
    limits = Limits(None, limit_s, "20 digits of expected flow")
    if longest <= limit_s:
        return judged(name, title, "s", longest, 0.0, limits)
    note = f"one reading repeated for {longest:.0f} s from {at_s:.0f} s"
    moving = moves(at_s, at_s + longest)
    noisy = repeatability_mg >= readability_mg / 2.0 and count >= least_readings
    if moving is False or (moving is None and not noisy):
        why = "the flow sensor saw none either" if moving is False else "no second channel tells why"
        return _check(
            name, title, "s", f"{note}; {why}", value=longest, verdict=Verdict.PASS, limit_high=limit_s, optional=True
        )
    return judged(name, title, "s", longest, 0.0, limits, note)


def _longest_repeat(t_s: FloatArray, values: FloatArray) -> tuple[float, float, int]:
    """Duration, beginning and readings of the longest run of equal values."""
    if t_s.size < 2:
        return 0.0, 0.0, 0
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values) != 0.0) + 1])
    ends = np.concatenate([starts[1:] - 1, [t_s.size - 1]])
    lengths = t_s[ends] - t_s[starts]
    longest = int(np.argmax(lengths))
    return float(lengths[longest]), float(t_s[starts[longest]]), int(ends[longest] - starts[longest]) + 1


def balance_quiet(parts: Sequence[tuple[FloatArray, FloatArray]], flow_mg_per_s: float, reading_mg: float) -> Check:
    """Falls between neighbouring readings that noise and the pump's own back-flow cannot make: drafts and knocks.

    Parameters
    ----------
    parts : times (n,) and indications (n,) of each stretch of basal flow.
    reading_mg : standard deviation of one reading.

    Notes
    -----
    A spike up or down has one falling edge.  A roller's exit draws back a multiple of the flow for a while.
    """
    falls = []
    for t_s, mass_mg in parts:
        changes = np.diff(mass_mg) + BACK_FLOW * flow_mg_per_s * np.minimum(np.diff(t_s), BACK_FLOW_S)
        falls += t_s[1:][changes < -SPIKE_SIGMAS * math.sqrt(2.0) * reading_mg].tolist()
    note = f"drafts or knocks, the first at {falls[0]:.0f} s; close the shield and keep away" if falls else ""
    limits = Limits(None, float(SPIKES), "protocol")
    return judged("balance-quiet", "Spikes of the balance", "1", float(len(falls)), 0.0, limits, note)


def in_band(
    name: str, title: str, unit: str, t_s: FloatArray, values: FloatArray, low: float, high: float, u: float
) -> Check:
    """Worst mean over `CONDITION_S` of a condition, against its band.

    Parameters
    ----------
    t_s, values : (n,) good samples.
    """
    if values.size == 0:
        return not_measured(name, title, unit, "no good samples")
    _, means = _means(t_s, values)
    worst = float(means[np.argmax(np.abs(means - (low + high) / 2.0))])
    return judged(name, title, unit, worst, u, Limits(low, high, "station file, collection"))


def seen_throughout(check: Check, t_s: FloatArray, from_s: float, to_s: float, usual_s: float) -> Check:
    """The check of a condition; a pass is none where too little of the span was seen.

    Parameters
    ----------
    t_s : (n,) times of the good samples, rising.
    usual_s : samples so far apart have no gap between them; nor have those within a tenth of the span, or of
        `CONDITION_S` in a long one.
    """
    if check.verdict is not Verdict.PASS or not to_s > from_s:
        return check
    allowed_s = max(usual_s, min(CONDITION_S, 0.1 * (to_s - from_s)))
    inside = t_s[(t_s >= from_s) & (t_s <= to_s)]
    spacing = np.diff(np.concatenate([[from_s], inside, [to_s]]))
    lost_s = float(np.maximum(spacing - allowed_s, 0.0).sum())
    percent = 100.0 * (1.0 - lost_s / (to_s - from_s))
    if percent >= COMPLETE_PERCENT:
        return check
    note = f"good samples in {percent:.0f} % of the time only; nothing says what went on in the rest"
    return replace(check, verdict=Verdict.NOT_MEASURED, note=note)


def line_open(
    t_s: FloatArray, pressure_kpa: FloatArray, over: Callable[[FloatArray, FloatArray], FloatArray] | None = None
) -> Check:
    """Rise of the outlet pressure during delivery: a closed catheter stops the flow, and so does a stalled pump.

    Parameters
    ----------
    t_s, pressure_kpa : (n,) good samples of the delivery.
    over : how many times the programmed flow came through from (m,) to (m,) times, at least 1.

    Notes
    -----
    Behind a closed tip the pump compresses the line, by its flow over 0.5 uL/kPa; behind a stalled pump it relaxes.
    A pump that gives more than it should needs more pressure through an open line, too: a narrow flow sensor takes
    5 kPa of 5 mL/h.  So a rise beyond the limit counts by the pressure that the programmed flow would need.
    """
    name, title = "outlet-pressure", "Outlet pressure, rise"
    if pressure_kpa.size == 0:
        return not_measured(name, title, "kPa", "no good samples", optional=True)
    begins, means = _means(t_s, pressure_kpa)
    rises = means - np.minimum.accumulate(means)
    rise = float(np.max(rises))
    if over is not None and rise > LARGEST_RISE_KPA:
        rise = float(np.max(rises / over(begins, begins + CONDITION_S)))
    note = "" if rise <= LARGEST_RISE_KPA else "the line after the pump is closed or kinked"
    limits = Limits(None, LARGEST_RISE_KPA, "protocol")
    return judged(name, title, "kPa", rise, 0.0, limits, note, owner="catheter")


def _means(t_s: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Begins of consecutive `CONDITION_S`, and means over them, without those that hold nothing."""
    part = np.floor((t_s - t_s[0]) / CONDITION_S).astype(np.int64)
    count = np.bincount(part)
    held = np.flatnonzero(count)
    means = np.asarray(np.bincount(part, weights=values)[held] / count[held], dtype=np.float64)
    return t_s[0] + held * CONDITION_S, means
