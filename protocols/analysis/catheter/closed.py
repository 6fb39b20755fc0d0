"""The closed line under proof pressure: compliance from the ramp, leak from the second half of what it held.

Units: kPa, uL, s; leaks in uL/h.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.budget import Component, bounded
from protocols.analysis.catheter.record import HOUR_S, CatheterRecord
from protocols.analysis.grid import BoolArray, RecordError
from protocols.analysis.occlusion.line import CREEP_S, ClosedLine, followed, metered_step
from protocols.analysis.occlusion.regression import least_squares
from protocols.analysis.occlusion.rise import integrated

REACHED = 0.95
"""A ramp that ended below this share of its aim met a line that is not closed, or that leaks what is pushed."""

HELD = 0.5
"""A line that keeps less than this share of its pressure to the judged half has lost it: the time until then counts."""

LEAST_SAMPLES = 15
"""In each half of that time; with fewer the leak is known from below alone."""

LEAST_DECAY_S = 300.0

PLAY_KPA = 0.2
"""Width of a transducer's play: 0.1 % of 200 kPa."""

STILL_KPA = 0.03
"""A pressure that falls by less over the judged half may stand, or rise within that play."""

STEP, NARROWINGS = 1.2, 7
"""Of the time constants that are tried, and how often the best one's neighbourhood is narrowed to two thirds."""

LEAST_CREEP = 0.01
"""A smaller share of creep is that of no tube, but of temperature and noise."""

SETTLED = 0.05
"""So much of the record after the ramp is left out: a transducer with play shows no fall at first."""

CERTAIN = 3.0
"""Creep that is less than this many standard uncertainties is none."""


@dataclass(frozen=True, slots=True)
class Decay:
    """What a line under proof pressure takes and loses.

    Attributes
    ----------
    reached : whether it came to its pressure and held it; otherwise the leak is at least what was pushed, or lost.
    ul_per_kpa, u_ul_per_kpa : its compliance.
    leak_ul_per_h : at the mean pressure ``kpa`` of the judged half, with its components.
    gained : share of what was pushed that the balance gained meanwhile.
    """

    reached: bool
    ul_per_kpa: float
    u_ul_per_kpa: float
    leak_ul_per_h: float
    kpa: float
    components: tuple[Component, ...]
    gained: float
    creep_share: float = 0.0

    @property
    def u_ul_per_h(self) -> float:
        """Standard uncertainty of the leak."""
        return math.sqrt(math.fsum(one.u**2 for one in self.components))


def decay(record: CatheterRecord, what: str, told: float, u_told: float) -> Decay:
    """Read the test "proof" (with the catheter) or "rig" (with the bridge); raises RecordError where it is not there.

    Parameters
    ----------
    told : volume for each microlitre that the syringe pump was told, and its relative standard uncertainty.

    Notes
    -----
    V = C p + C_creep x + G (integral of p): C from the beginning of the ramp, the creep from all of the record, and the
    leak G from the second half of the decay alone, with what creep still takes there taken off.  Of a line that loses
    half of its pressure before, the time from the ramp until then is taken: G is that of ln p at the top.
    """
    closed, ramp, hold = (record.span(f"{what}-{part}") for part in ("closed", "ramp", "creep"))
    base = record.mean_kpa("outlet_pressure", closed)[0]
    rate = float(record.params["raise_ul_per_h"]) * (1.0 if what == "proof" else 0.4) / HOUR_S * told
    gained = _gained(record, closed, ramp, hold, rate)
    begun_s = record.counted_ul(f"{what}-begin")[1]
    _, rising = record.pressure(*ramp)
    if rising.size == 0 or float(rising.max()) < REACHED * float(record.params["proof_kpa"]):
        top = max(float(rising.max()) - base if rising.size else 0.0, 1e-3)
        return Decay(False, 0.0, 0.0, rate * HOUR_S, top, (), gained)
    from_s, end_s = record.span(f"{what}-decay")
    if end_s - from_s < LEAST_DECAY_S:
        raise RecordError("the decay was recorded too briefly")
    whole = (begun_s, hold[0], end_s)
    seen = _seen(record, base, whole, (from_s, end_s))
    line = metered_step(seen.since_s, seen.rise_kpa, hold[0] - begun_s, rate, u_told, record.u_gain)
    top, left = float(seen.rise_kpa.max()), float(np.mean(seen.rise_kpa[seen.half]))
    lost = left < HELD * top
    if lost:
        until_s = float(seen.t_s[(seen.t_s > hold[0]) & (seen.rise_kpa < HELD * top)][0])
        seen = _seen(record, base, (*whole[:2], until_s, end_s), (hold[0], until_s))
    if lost and min(int(seen.before.sum()), int(seen.half.sum())) < LEAST_SAMPLES:  # gone at once: no law of a decay
        fell = line.ul_per_kpa * (top - left) / (end_s - hold[0]) * HOUR_S
        u_fell = Component("compliance", fell * line.u_ul_per_kpa / line.ul_per_kpa)
        return Decay(False, line.ul_per_kpa, line.u_ul_per_kpa, fell, top, (u_fell,), gained)
    leak, mean, components, share = _leak(record, seen, line, hold[0] - begun_s)
    return Decay(True, line.ul_per_kpa, line.u_ul_per_kpa, leak, mean, components, gained, share)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A ramp and its decay: times, those since the ramp's begin, and the rise (n,); the judged time and its halves."""

    t_s: FloatArray
    since_s: FloatArray
    rise_kpa: FloatArray
    judged: tuple[float, float]
    before: BoolArray
    half: BoolArray


def _seen(record: CatheterRecord, base_kpa: float, edges_s: tuple[float, ...], judged: tuple[float, float]) -> _Seen:
    """The record, part by part between the edges: a long decay must not thin the ramp, nor what comes soon after it."""
    parts = [record.pressure(*pair) for pair in itertools.pairwise(edges_s)]
    t_s, pressure = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    from_s, to_s = judged
    middle_s = (from_s + to_s) / 2.0
    before, half = (t_s >= from_s) & (t_s < middle_s), (t_s >= middle_s) & (t_s <= to_s)
    return _Seen(t_s, t_s - edges_s[0], pressure - base_kpa, judged, before, half)


def _leak(
    record: CatheterRecord, seen: _Seen, line: ClosedLine, held_s: float
) -> tuple[float, float, tuple[Component, ...], float]:
    """Leak by the second half of the judged time, the mean pressure there, its components, and the share of creep.

    Parameters
    ----------
    held_s : from when on the syringe stood, after the ramp's begin.
    """
    t_s, rise, half = seen.t_s, seen.rise_kpa, seen.half
    losses = integrated(seen.since_s, rise)
    # What swelled in the closed line has raised the pressure, and what shrank looks like creep or a leak.
    still = rise - record.swelled_ul(t_s) / line.ul_per_kpa
    share, crept, u_slope = _creep(seen.since_s, rise, still, losses, held_s)
    held = still + share * crept
    halves = (half, seen.before)
    fit, first = (least_squares([np.ones(int(rows.sum())), losses[rows]], held[rows]) for rows in halves)
    if fit is None or first is None:
        raise RecordError("the decay was recorded too briefly")
    mean = math.fsum(rise[half].tolist()) / int(half.sum())
    per_slope = -line.ul_per_kpa * mean * HOUR_S
    hours = float(t_s[half][-1] - t_s[half][0]) / HOUR_S
    swelled, u_swelled = record.warming_ul((seen.judged[0] + seen.judged[1]) / 2.0, seen.judged[1])
    fell = per_slope * fit.coefficients[1]
    # Drawn back, the transducer follows a fall but may hide a rise within its play: no leak is negative, though.
    tenth = max(int(half.sum()) // 10, 1)
    dropped = float(np.mean(rise[half][:tenth]) - np.mean(rise[half][-tenth:]))
    hidden = swelled / hours if swelled > 0.0 and dropped < STILL_KPA else 0.0
    leak = fell - hidden / 2.0
    creeping = per_slope * (first.coefficients[1] - fit.coefficients[1]) if share else 0.0
    components = (
        Component("scatter of the pressure", abs(per_slope) * fit.u(1)),
        Component("compliance", abs(leak) * line.u_ul_per_kpa / line.ul_per_kpa),
        Component("warming of the fluid", u_swelled / hours),
        Component("creep", max(abs(per_slope) * u_slope, abs(creeping) / 2.0 / math.sqrt(3.0))),
        bounded("play of the transducer", hidden / 2.0),
    )
    return leak, mean, components, share


def _creep(
    since_s: FloatArray, rise_kpa: FloatArray, still_kpa: FloatArray, losses: FloatArray, held_s: float
) -> tuple[float, FloatArray, float]:
    """Share of the compliance that creeps, and what of the rise (n,) it has followed; beside any leak.

    The time constant is that with the smallest residuals over all of the time after the ramp.  The third number is the
    standard uncertainty that not knowing share and time constant leaves to the coefficient of the losses.
    """
    held = since_s >= held_s + SETTLED * (float(since_s[-1]) - held_s)
    y, ones = still_kpa[held], np.ones(int(held.sum()))

    def tried(lag_s: float) -> tuple[float, float, FloatArray]:
        """Residuals, share and what was followed with a time constant; infinite residuals where there is no creep."""
        crept = followed(since_s, rise_kpa, lag_s)
        fit = least_squares([ones, -crept[held], -losses[held]], y)
        if fit is None or fit.coefficients[1] < max(CERTAIN * fit.u(1), LEAST_CREEP):
            return math.inf, 0.0, np.zeros(rise_kpa.size)
        return fit.rss, fit.coefficients[1], crept

    rss, lag_s = min((tried(lag_s)[0], lag_s) for lag_s in CREEP_S)
    if math.isinf(rss):
        return 0.0, np.zeros(rise_kpa.size), 0.0
    low, high = lag_s / STEP, lag_s * STEP
    for _ in range(NARROWINGS):
        third = (high - low) / 3.0
        if tried(low + third)[0] <= tried(high - third)[0]:
            high -= third
        else:
            low += third
    lag_s = (low + high) / 2.0
    _, share, crept = tried(lag_s)
    longer, shorter = (followed(since_s, rise_kpa, lag_s * by) for by in (1.05, 1.0 / 1.05))
    joint = least_squares([ones, crept[held], losses[held], (longer - shorter)[held]], y)
    return share, crept, joint.u(2) if joint is not None else 0.0


def _gained(
    record: CatheterRecord,
    closed: tuple[float, float],
    ramp: tuple[float, float],
    hold: tuple[float, float],
    rate_ul_per_s: float,
) -> float:
    """Share of what was pushed up that the balance gained behind the closed valve."""
    pushed = rate_ul_per_s * max(ramp[1] - ramp[0], 1.0)
    after = (hold[0], min(hold[0] + 30.0, hold[1]))
    return (record.level_mg(after) - record.level_mg(closed)) * record.ul_per_mg / pushed
