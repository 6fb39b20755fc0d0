"""The leak of a closed line from how its pressure decays, with what its wall still takes meanwhile taken off.

Units: kPa, uL, s; leaks in uL/h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.assumed import PLAY_KPA
from protocols.analysis.budget import Component, bounded
from protocols.analysis.catheter.record import HOUR_S, CatheterRecord
from protocols.analysis.grid import BoolArray, RecordError
from protocols.analysis.occlusion.afterwards import CREEP_S
from protocols.analysis.occlusion.line import followed
from protocols.analysis.occlusion.regression import Fit, least_squares
from protocols.analysis.occlusion.rise import integrated
from protocols.analysis.occlusion.warming import warming
from protocols.analysis.room import AIR_PER_K, PRESSURE_HPA, PRESSURE_S

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
class Seen:
    """A ramp and its decay: times, those since the ramp's begin, and the rise (n,); the judged time and its halves."""

    t_s: FloatArray
    since_s: FloatArray
    rise_kpa: FloatArray
    judged: tuple[float, float]
    before: BoolArray
    half: BoolArray


@dataclass(frozen=True, slots=True)
class Soft:
    """What a line takes for a kPa, with its standard uncertainty: without pressure, where it is judged, its wall.

    Beside that its air, and by how much for each kPa the wall softens.
    """

    bare: tuple[float, float]
    here: tuple[float, float]
    wall: tuple[float, float]
    air_ul: float = 0.0
    softer_ul_per_kpa2: float = 0.0

    def straight(self, rise_kpa: FloatArray, room_kpa: float) -> FloatArray:
        """The rise (n,) that a line of one compliance would have that takes as much, and for a kPa what this does."""
        if not (self.air_ul or self.softer_ul_per_kpa2):
            return rise_kpa
        held = (self.wall[0] + self.softer_ul_per_kpa2 * rise_kpa) * rise_kpa
        held = held + self.air_ul * rise_kpa / (room_kpa + rise_kpa)
        return np.asarray(held / self.here[0], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a pressure from which the swelling was taken tells.

    Attributes
    ----------
    half, before : fits of the pressure without creep to the losses, in the judged half and in the one before.
    share, crept : share of creep, and what of the rise (n,) it has followed.
    u_slope : what not knowing the creep leaves to the slope.
    """

    half: Fit
    before: Fit
    share: float
    crept: FloatArray
    u_slope: float


def leak_of(
    record: CatheterRecord, seen: Seen, soft: Soft, top_kpa: float, held_s: float
) -> tuple[float, tuple[Component, ...], float]:
    """Leak by the second half of the judged time, its components, and the share of creep.

    Parameters
    ----------
    top_kpa : the highest rise; ``held_s`` from when on the syringe stood, after it began.
    """
    rise, half, here = seen.rise_kpa[seen.half], seen.half, soft.here[0]
    mean = math.fsum(rise.tolist()) / rise.size
    # What swelled in the closed line has raised the pressure, and what shrank looks like creep or a leak.
    air_ul = soft.air_ul * record.room_kpa / (record.room_kpa + mean)
    room = warming(record.run, seen.t_s, record.ul_per_k + air_ul * AIR_PER_K)
    losses = integrated(seen.since_s, seen.rise_kpa)
    late, *others = (pattern / here for pattern in room.open_ul)
    still = soft.straight(seen.rise_kpa, record.room_kpa) - room.swelled_ul / here
    told, sooner, later = (_told(seen, losses, pressure, held_s) for pressure in (still, still - late, still + late))
    # A line that follows the room at another time may look like another creep, so that is told anew.
    u_swelled = [(sooner.half.coefficients[1] - later.half.coefficients[1]) / 2.0]
    u_swelled += [_felt(pattern, told, losses, seen, held_s) for pattern in others]
    per_slope = -here * mean * HOUR_S
    hours = float(seen.t_s[half][-1] - seen.t_s[half][0]) / HOUR_S
    hidden = _hidden_ul(rise, room.soonest_ul[half]) / hours
    leak = per_slope * told.half.coefficients[1] - hidden / 2.0
    creeping = per_slope * (told.before.coefficients[1] - told.half.coefficients[1]) if told.share else 0.0
    # Drawn back too little, the transducer has not turned before the judged time.
    unturned = here * max(PLAY_KPA - (top_kpa - float(rise[0])), 0.0) / hours
    weather_kpa = 0.1 * PRESSURE_HPA * math.sqrt(2.0 * hours * HOUR_S / PRESSURE_S)
    components = (
        Component("scatter of the pressure", abs(per_slope) * told.half.u(1)),
        Component("compliance", abs(leak) * soft.here[1] / here),
        Component("warming of the fluid", abs(per_slope) * math.hypot(*u_swelled)),
        Component("creep", max(abs(per_slope) * told.u_slope, abs(creeping) / 2.0 / math.sqrt(3.0))),
        bounded("play of the transducer", hidden / 2.0 + unturned),
        Component("weather on the air", air_ul * weather_kpa / (record.room_kpa + mean) / hours),
    )
    return leak, components, told.share


def _told(seen: Seen, losses: FloatArray, still_kpa: FloatArray, held_s: float) -> _Told:
    share, crept, u_slope = _creep(seen.since_s, seen.rise_kpa, still_kpa, losses, held_s)
    if share < LEAST_CREEP:
        # Less than tubes creep by may be temperature: it is anything between nothing and what was found.
        share /= 2.0
        doubt = _in_half(seen, share * crept, losses) if share else _unseen(seen, still_kpa, losses, held_s)
        u_slope = math.hypot(u_slope, bounded("", doubt).u)
    half, before = (_slope(still_kpa + share * crept, losses, rows) for rows in (seen.half, seen.before))
    if half is None or before is None:
        raise RecordError("the decay was recorded too briefly")
    return _Told(half, before, share, crept, u_slope)


def _slope(values: FloatArray, losses: FloatArray, rows: BoolArray) -> Fit | None:
    return least_squares([np.ones(int(rows.sum())), losses[rows]], values[rows])


def _felt(pattern_kpa: FloatArray, told: _Told, losses: FloatArray, seen: Seen, held_s: float) -> float:
    """What a pattern (n,) in the pressure adds to the slope of the judged half, also by what is taken for creep."""
    if told.share:
        after = _after(seen.since_s, held_s)
        fit = least_squares([np.ones(int(after.sum())), -told.crept[after], -losses[after]], pattern_kpa[after])
        pattern_kpa = pattern_kpa + (0.0 if fit is None else fit.coefficients[1]) * told.crept
    slope = _slope(pattern_kpa, losses, seen.half)
    return 0.0 if slope is None else slope.coefficients[1]


def _in_half(seen: Seen, pattern_kpa: FloatArray, losses: FloatArray) -> float:
    """What a pattern (n,) adds to the slope of the judged half, without sign."""
    slope = _slope(pattern_kpa, losses, seen.half)
    return 0.0 if slope is None else abs(slope.coefficients[1])


def _unseen(seen: Seen, still_kpa: FloatArray, losses: FloatArray, held_s: float) -> float:
    """The most that creep which is not told adds to the slope of the judged half, of whatever time constant.

    It is what a fit that asks for it finds, and twice the standard uncertainty of that, but no more than `LEAST_CREEP`.
    """
    held = _after(seen.since_s, held_s)
    y, ones = still_kpa[held], np.ones(int(held.sum()))
    most = 0.0
    for lag_s in CREEP_S:
        crept = followed(seen.since_s, seen.rise_kpa, lag_s)
        fit = least_squares([ones, -crept[held], -losses[held]], y)
        share = LEAST_CREEP if fit is None else min(max(fit.coefficients[1], 0.0) + 2.0 * fit.u(1), LEAST_CREEP)
        most = max(most, _in_half(seen, share * crept, losses))
    return most


def _hidden_ul(rise_kpa: FloatArray, swelled_ul: FloatArray) -> float:
    """What of the swelling the transducer may not show: drawn back it follows a fall, but no rise within its play."""
    tenth = max(rise_kpa.size // 10, 1)
    dropped = float(np.mean(rise_kpa[:tenth]) - np.mean(rise_kpa[-tenth:]))
    return max(float(swelled_ul[-1] - swelled_ul[0]), 0.0) if dropped < STILL_KPA else 0.0


def _creep(
    since_s: FloatArray, rise_kpa: FloatArray, still_kpa: FloatArray, losses: FloatArray, held_s: float
) -> tuple[float, FloatArray, float]:
    """Share of the compliance that creeps, and what of the rise (n,) it has followed; beside any leak.

    The time constant is that with the smallest residuals over all of the time after the ramp.  The third number is the
    standard uncertainty that not knowing share and time constant leaves to the coefficient of the losses.
    """
    held = _after(since_s, held_s)
    y, ones = still_kpa[held], np.ones(int(held.sum()))

    def tried(lag_s: float) -> tuple[float, float, FloatArray]:
        """Residuals, share and what was followed with a time constant; infinite residuals where there is no creep."""
        crept = followed(since_s, rise_kpa, lag_s)
        fit = least_squares([ones, -crept[held], -losses[held]], y)
        if fit is None or fit.coefficients[1] <= CERTAIN * fit.u(1):
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


def _after(since_s: FloatArray, held_s: float) -> BoolArray:
    """Which samples (n,) tell of creep."""
    return np.asarray(since_s >= held_s + SETTLED * (float(since_s[-1]) - held_s))
