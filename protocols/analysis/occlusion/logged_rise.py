"""The initial slope of a rise of unknown origin: from strokes, after a dead time, or bent.

A pump in strokes makes a ripple that is far above the noise of neighbouring samples and yet no bend.  So whether one
law holds is judged by means over whole periods of it.

Units: kPa, uL, s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.samples import FloatArray
from protocols.analysis.occlusion.regression import least_squares
from protocols.analysis.occlusion.rise import (
    EXACT,
    WORSE,
    Rise,
    best_law,
    initial_slope,
    integrated,
    most_residual_kpa,
    neighbour_noise,
    thinned,
)

SHARES = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3)
"""A pulsating rise of which one law does not hold is tried up to these shares of its time."""

LEAST_PERIODS, MOST_PERIODS, STEP_PERIODS = 2.0, 60.0, 0.25
"""Between so many periods in a stretch are looked for, in such steps; a bend is one of fewer."""

SEARCHED, FITTED = 240, 2000
"""A period is looked for in at most so many means, the law fitted to at most so many."""

HARMONICS = 6
LEAST_EACH = 8
"""So many samples for each column."""

EXPLAINS = 0.6
"""A period is one where it leaves no more than this share of the residuals' sum of squares."""

BENT, BENT_UNTOLD = 0.05, 0.25
"""Means over periods that scatter by more than this share of the ripple are a bend; where none is told, over blocks."""

BLOCKS = 24
FEW_PERIODS, BENT_FEW = 6, 0.2
"""Means over fewer periods do not tell a bend from the law's own terms; then all that is left counts, to this share."""

DEAD_FROM, DEAD_TO = 0.02, 4.0
"""The onset is read off a line from this share of the highest rise to so many times as much."""

DEAD_LEAST = 0.005
"""A dead time is at least this share of the closed time."""

EVEN, COARSE = 1.5, 0.9
"""Spacings up to so many medians are even; a bend over half of one up to here is corrected for them."""

LATE = 0.15
"""In a pulsating rise the law after this share of its time, continued backwards, tells the onset."""


@dataclass(frozen=True, slots=True)
class LoggedRise:
    """The law at the beginning of a rise and how it was found.

    Attributes
    ----------
    dead_s : how long after the stated moment the rise begins; 0 where it begins then.
    period_s : of the pulsation; None where none was told.
    first_kpa : the law is that of the first part, up to this rise; None for that of the whole.
    steady : the pulsation does not stay in the slope.
    """

    law: Rise
    dead_s: float
    period_s: float | None
    first_kpa: float | None
    steady: bool

    def notes(self) -> tuple[str, ...]:
        """What a reader of the slope has to know, one sentence each."""
        said = []
        if self.dead_s > 0.0 and (self.period_s is None or self.dead_s > self.period_s / 2.0):
            said.append(
                f"the pressure begins to rise only {self.dead_s:.3g} s after the stated occlusion; "
                "slope and compliance are those from there on, the times count from the stated moment"
            )
        if self.first_kpa is not None:
            said.append(
                f"the rise bends more than one law allows, so slope and compliance are those of its first "
                f"{self.first_kpa:.3g} kPa ({self.law.until_s:.4g} s)"
            )
        if self.period_s is not None:
            strokes = (self.law.until_s - self.dead_s) / self.period_s
            said.append(
                f"the pressure pulsates with a period of {self.period_s:.4g} s; "
                f"slope and compliance are means over {strokes:.2g} of them"
            )
        if not self.steady:
            said.append("the pressure pulsates too slowly to be averaged, which stays in slope and compliance")
        return tuple(said)


@dataclass(frozen=True, slots=True)
class _Pulsed:
    """A law about which a rise pulsates.

    Attributes
    ----------
    period_s : of the pulsation; None where none was told.
    onset_s : where the rise begins.
    used : so many samples.
    """

    law: Rise
    period_s: float | None
    onset_s: float
    used: int


def logged_rise(t_s: FloatArray, rise_kpa: FloatArray, rest_kpa: float) -> LoggedRise | None:
    """The slope at the beginning, from as much of the rise as one law holds for.

    Parameters
    ----------
    t_s, rise_kpa : (n,) time since the stated moment, above 0, and pressure above that before.
    rest_kpa : standard deviation of the pressure before.

    Notes
    -----
    `rise.initial_slope`, but for two things.  What lies before the onset of the rise is left out.  And where the
    residuals exceed the noise because the pressure pulsates, harmonics of the pulsation are fitted with the law: what
    they leave, averaged over whole periods, tells whether it holds.  A pulsation of the flow in a line that leaks
    leaves a transient, which the law with its step holds exactly.
    """
    dead_s = _dead_s(t_s, rise_kpa, rest_kpa)
    later = t_s > dead_s
    t_s, rise_kpa = t_s[later] - dead_s, rise_kpa[later]
    plain = initial_slope(t_s, rise_kpa)
    if plain is None:
        return None
    whole = plain.until_s == float(t_s[-1])
    plain = _of_coarse(plain, t_s)
    if whole and plain.residual_kpa <= most_residual_kpa(rise_kpa):
        return LoggedRise(_since(plain, dead_s), dead_s, None, None, True)
    found, pulses = _longest(t_s, rise_kpa)
    if found is not None:
        first = None if found.used == t_s.size else float(np.max(rise_kpa[: found.used]))
        return LoggedRise(_since(found.law, dead_s), dead_s + found.onset_s, found.period_s, first, True)
    used = t_s <= plain.until_s
    steady = not pulses or plain.residual_kpa <= most_residual_kpa(rise_kpa[used])
    return LoggedRise(_since(plain, dead_s), dead_s, None, None if whole else float(np.max(rise_kpa[used])), steady)


def _longest(t_s: FloatArray, rise_kpa: FloatArray) -> tuple[_Pulsed | None, bool]:
    """The law of the longest part of a pulsating rise that follows one, and whether the rise pulsates.

    Where that is not the whole there is a bend, which may begin in the part: the next shorter one is taken, if it does.
    """
    longest: _Pulsed | None = None
    for share in SHARES:
        part = t_s <= share * t_s[-1]
        if int(part.sum()) < 2:
            break
        found = _pulsed(t_s[part], rise_kpa[part])
        straight = best_law(*thinned(t_s[part], rise_kpa[part], FITTED))
        follows = straight is not None and straight[0].residual_kpa <= most_residual_kpa(rise_kpa[part])
        if found is None or (found.period_s is None and follows):
            if follows or longest is not None:
                return longest, longest is not None  # a bend further on, and no pulsation
            continue
        if share == SHARES[0] or longest is not None:
            return found, True
        longest = found
    return longest, True


def _of_coarse(law: Rise, t_s: FloatArray) -> Rise:
    """The law without what trapezia over coarse samples make of a bend.

    Notes
    -----
    Over even spacings h they give the integral of exp(-k t) too large by (k h/2) coth(k h/2), so that bend and slope
    are found too small by tanh(k h/2)/(k h/2); the level at which the rise ends is right.
    """
    steps = np.diff(t_s[t_s <= law.until_s])
    if not steps.size or float(np.max(steps)) > EVEN * float(np.median(steps)):
        return law
    half = law.bend_per_s * float(np.mean(steps)) / 2.0
    if not 0.0 < abs(half) < COARSE:
        return law
    factor = math.atanh(half) / half
    return replace(
        law,
        slope_kpa_per_s=factor * law.slope_kpa_per_s,
        u_slope=factor * law.u_slope,
        bend_per_s=factor * law.bend_per_s,
    )


def _since(law: Rise, dead_s: float) -> Rise:
    """The law with its end on the axis of the stated moment."""
    return replace(law, until_s=law.until_s + dead_s)


# --------------------------------------------------------------------------------------------------------- pulsation


def _pulsed(t_s: FloatArray, rise_kpa: FloatArray) -> _Pulsed | None:
    """The law of a rise with ripple; None where means over the ripple do not follow one law."""
    ended, end_s = t_s.size, float(t_s[-1])
    t_s, rise_kpa = thinned(t_s, rise_kpa, FITTED)
    late = t_s > LATE * t_s[-1]
    smooth = [np.ones(t_s.size), t_s, integrated(t_s, rise_kpa)]
    period_s = period_of(t_s[late], rise_kpa[late], [column[late] for column in smooth])
    period_s = period_s or period_of(t_s, rise_kpa, smooth)  # which may have one more
    onset_s = 0.0
    later = best_law(t_s[late], rise_kpa[late], _beside(t_s[late], period_s))
    if later is not None and later[0].slope_kpa_per_s > 0.0:
        onset_s = -later[0].step_kpa / later[0].slope_kpa_per_s
        onset_s = onset_s if DEAD_LEAST < onset_s / float(t_s[-1]) < LATE else 0.0
    used = t_s > onset_s
    t_s, rise_kpa = t_s[used] - onset_s, rise_kpa[used]
    integral = integrated(t_s, rise_kpa)
    period_s = period_of(t_s, rise_kpa, [np.ones(t_s.size), t_s, integral]) or period_s
    also = _beside(t_s, period_s)
    best = best_law(t_s, rise_kpa, also)
    if best is None or not best[0].slope_kpa_per_s > 0.0:
        return None
    law, amplitudes = best
    left = rise_kpa - law.step_kpa - law.slope_kpa_per_s * t_s + law.bend_per_s * integral
    for amplitude, column in zip(amplitudes, also, strict=True):
        left = left - amplitude * column
    swing = math.sqrt(math.fsum(a * a for a in amplitudes) / 2.0)
    if not _averages_out(t_s, left, period_s, law.residual_kpa if period_s is None else swing, float(np.ptp(rise_kpa))):
        return None
    return _Pulsed(replace(law, until_s=end_s), period_s, onset_s, ended)


def _averages_out(
    t_s: FloatArray, left_kpa: FloatArray, period_s: float | None, ripple_kpa: float, span_kpa: float
) -> bool:
    """Whether what a law and its harmonics leave is nothing once it is averaged over whole periods."""
    allowed, blocks = BENT_UNTOLD * ripple_kpa, BLOCKS
    if period_s is not None:
        allowed, blocks = BENT * ripple_kpa, min(BLOCKS, int((t_s[-1] - t_s[0]) / period_s))
    if blocks < FEW_PERIODS:
        allowed, blocks = BENT_FEW * ripple_kpa, t_s.size
    elif t_s.size < 2 * blocks:
        return False
    allowed = max(allowed, WORSE * neighbour_noise(left_kpa), EXACT * span_kpa)
    return _scatter_of_means(t_s, left_kpa, blocks) <= allowed


def _beside(t_s: FloatArray, period_s: float | None) -> list[FloatArray]:
    """What is fitted with the law."""
    return [] if period_s is None else harmonics(t_s, period_s)


def _scatter_of_means(t_s: FloatArray, values: FloatArray, blocks: int) -> float:
    """Root mean square of the means over equally long stretches."""
    place = np.minimum(((t_s - t_s[0]) / (t_s[-1] - t_s[0]) * blocks).astype(np.int64), blocks - 1)
    means = [math.fsum(part.tolist()) / part.size for k in range(blocks) if (part := values[place == k]).size]
    return math.sqrt(math.fsum(mean * mean for mean in means) / len(means))


def harmonics(t_s: FloatArray, period_s: float) -> list[FloatArray]:
    """Columns (n,) of cosines and sines of a period and its harmonics, as far as the samples tell them."""
    if t_s.size < 2:  # what is left after a long gap
        return []
    spacing = float(t_s[-1] - t_s[0]) / (t_s.size - 1)
    columns: list[FloatArray] = []
    for k in range(1, HARMONICS + 1):
        if k > 1 and (k * spacing > 0.45 * period_s or t_s.size < LEAST_EACH * 2 * k):
            break
        turn = 2.0 * math.pi * k / period_s * t_s
        columns += [np.cos(turn), np.sin(turn)]
    return columns


def period_of(
    t_s: FloatArray, values: FloatArray, smooth: Sequence[FloatArray], least: float = LEAST_PERIODS
) -> float | None:
    """Period of what pulsates about smooth columns (n,), by least squares; None where nothing does.

    Parameters
    ----------
    least : so many periods must be in the record.
    """
    scale = float(np.ptp(values))
    thin_t, thin = thinned(t_s, values, SEARCHED)
    base = [thinned(t_s, column, SEARCHED)[1] for column in smooth]
    plain = least_squares(base, thin)
    if plain is None or thin.size < 2 * (len(base) + 2) or plain.rms <= 1e-5 * scale:
        return None
    span = float(thin_t[-1] - thin_t[0])

    def left(cycles: float) -> float:
        fit = least_squares([*base, *harmonics(thin_t, span / cycles)], thin)
        return plain.rss if fit is None else fit.rss

    tried = np.arange(least, min(MOST_PERIODS, 0.45 * thin.size), STEP_PERIODS)
    if not tried.size:
        return None
    told = _told_by(2.0 * math.pi / span * tried, thin_t, thin, base)
    best = float(tried[int(np.argmax(told))])
    if plain.rss - float(np.max(told)) > EXPLAINS * plain.rss:
        return None
    low, high = max(least, best - STEP_PERIODS), best + STEP_PERIODS
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    for _ in range(24):
        inner, outer = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, outer) if left(inner) < left(outer) else (inner, high)
    return span / ((low + high) / 2.0)


def _told_by(turns: FloatArray, t_s: FloatArray, values: FloatArray, base: Sequence[FloatArray]) -> FloatArray:
    """What a cosine and a sine of each angular frequency (m,) take of the sum of squares beside base columns (n,)."""
    cosine, sine, rest = np.cos(turns[:, None] * t_s), np.sin(turns[:, None] * t_s), values
    basis: list[FloatArray] = []
    for column in base:
        own = column
        for direction in basis:
            own = own - (direction * own).sum() * direction
        basis.append(own / math.sqrt(float((own * own).sum())))
        rest = rest - (basis[-1] * rest).sum() * basis[-1]
        cosine = cosine - (cosine * basis[-1]).sum(axis=1)[:, None] * basis[-1]
        sine = sine - (sine * basis[-1]).sum(axis=1)[:, None] * basis[-1]
    cosine = cosine / np.sqrt((cosine * cosine).sum(axis=1))[:, None]
    sine = sine - (sine * cosine).sum(axis=1)[:, None] * cosine
    sine = sine / np.sqrt((sine * sine).sum(axis=1))[:, None]
    return np.asarray((cosine * rest).sum(axis=1) ** 2 + (sine * rest).sum(axis=1) ** 2, dtype=np.float64)


# --------------------------------------------------------------------------------------------------------- dead time


def _dead_s(t_s: FloatArray, rise_kpa: FloatArray, rest_kpa: float) -> float:
    """How long after the stated moment the pressure begins to rise; 0 where it does so at once, or never."""
    top = float(np.max(rise_kpa)) if rise_kpa.size else 0.0
    noise = neighbour_noise(rise_kpa)
    level = max(DEAD_FROM * top, 5.0 * noise, 3.0 * rest_kpa)
    if t_s.size < 6 or not DEAD_TO * level < top:
        return 0.0
    first = int(np.flatnonzero(rise_kpa >= level)[0])
    last = max(int(np.flatnonzero(rise_kpa >= DEAD_TO * level)[0]), first + 3)
    near, height = t_s[first:last], rise_kpa[first:last]
    middle = math.fsum(near.tolist()) / near.size
    fit = least_squares([np.ones(near.size), near - middle], height) if near.size > 2 else None
    if fit is None or not fit.coefficients[1] > 0.0:
        return 0.0
    mean, slope = fit.coefficients
    onset = middle - mean / slope
    u = math.hypot(fit.u(0), (onset - middle) * fit.u(1)) / slope
    certain = max(0.5 * float(np.median(np.diff(t_s))) + 5.0 * u, 3.0 * rest_kpa / slope, DEAD_LEAST * float(t_s[-1]))
    if not certain < onset < float(t_s[-1]):
        return 0.0
    before = rise_kpa[t_s < 0.8 * onset].tolist()
    if before and math.fsum(before) / len(before) > 0.1 * slope * onset + 3.0 * noise / math.sqrt(len(before)):
        return 0.0  # it rises, if slowly at first
    return onset
