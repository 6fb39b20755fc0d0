"""What a closed line has taken while it was pushed up, and what it kept: wall, air, creep and leak side by side.

Units: kPa, uL, s, uL/s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from data.samples import FloatArray
from protocols.analysis.grid import BoolArray
from protocols.analysis.occlusion.afterwards import CREEP_S
from protocols.analysis.occlusion.line import followed
from protocols.analysis.occlusion.regression import Fit, least_squares
from protocols.analysis.occlusion.rise import integrated, thinned

FROM, UNTIL = 0.1, 0.3
"""Shares of the highest rise: the ramp counts from the one on, what comes after it until it has fallen to the other."""

ENDING_S = 2.0
"""Before the end of a ramp the syringe may stand already: its volume has three digits."""

LEAST_SAMPLES, LEAST_AFTER = 15, 5
"""Of the ramp, and of what comes after it; with fewer the ramp alone has to tell."""

MOST_MEANS = 200
"""The law is fitted to at most so many means of either."""

LEAST_AIR_UL = 1.0
CERTAIN = 3.0
"""Air that is less, or fewer standard uncertainties, is none."""

OFF_SHARE = 0.001
"""No law explains a record from which it is off by more than this share of what was pushed."""


LAWS = ((), ("leak",), ("late",), ("air",), ("air", "leak"), ("air", "late"))
"""What a line may have beside its wall: air, and a leak, either all the time or from the highest pressure on."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The law V = C p + V_air p/(P + p) + G (integral of p) + C_creep x, with air as Boyle's law has it.

    Attributes
    ----------
    wall_ul_per_kpa : what the wall takes at once.
    air_ul : under the pressure of the room; 0 where the record shows none.
    leak_ul_per_s_kpa, u_leak : what it loses for each kPa.
    room_kpa : absolute pressure of the room, P.
    u_relative : of all of it: of the flow and of the transducer's gain.
    """

    wall_ul_per_kpa: float
    air_ul: float
    leak_ul_per_s_kpa: float
    u_leak: float
    room_kpa: float
    u_relative: float
    _spread: tuple[tuple[float, float], tuple[float, float]]  # covariance of wall and air

    def ul_per_kpa(self, rise_kpa: float) -> float:
        """What wall and air take for one kPa more, at a rise: air is stiffer the more it is pressed."""
        return self.wall_ul_per_kpa + self.air_ul * self._per_air(rise_kpa)

    def u_ul_per_kpa(self, rise_kpa: float) -> float:
        """Standard uncertainty of that."""
        by, ((ww, wa), (_, aa)) = self._per_air(rise_kpa), self._spread
        return math.hypot(math.sqrt(max(ww + 2.0 * by * wa + by * by * aa, 0.0)), self._of(self.ul_per_kpa(rise_kpa)))

    @property
    def u_wall(self) -> float:
        """Standard uncertainty of what the wall takes."""
        return math.hypot(math.sqrt(self._spread[0][0]), self._of(self.wall_ul_per_kpa))

    def needed_ul(self, rise_kpa: float) -> float:
        """What has to be pushed for a rise, leaks aside."""
        return self.wall_ul_per_kpa * rise_kpa + self.air_ul * rise_kpa / (self.room_kpa + rise_kpa)

    def _per_air(self, rise_kpa: float) -> float:
        return self.room_kpa / (self.room_kpa + rise_kpa) ** 2

    def _of(self, value: float) -> float:
        return self.u_relative * value


class _Choice(NamedTuple):
    """A law, how well it explains the record for what it asks, and where its coefficients stand."""

    score: float
    names: tuple[str, ...]
    fit: Fit


def taken(
    since_s: FloatArray,
    rise_kpa: FloatArray,
    pushing_s: tuple[float, float],
    flow_ul_per_s: float,
    room_kpa: float,
    u_relative: float,
) -> Taken | None:
    """The law of a line; None where none explains the record, as where a leak begins on the way.

    Parameters
    ----------
    since_s, rise_kpa : (n,) since the syringe pump began to push, and the rise over the pressure before.
    pushing_s : when it ceased, and from when on it stood.
    room_kpa : absolute pressure of the room.
    u_relative : relative standard uncertainty of the flow and of the transducer's gain together.

    Notes
    -----
    A leak and a soft line both end below the pressure that was asked for, but not in the same way.  What leaks rises
    ever more slowly, to flow over G; a soft wall goes on at one slope, and air rises ever faster.  And once nothing is
    pushed what leaks falls, while what is soft stays.  The volume is known all the time but for a constant as the
    syringe turns, which the play of the transducer and what is drawn back make: linear in what is sought.
    """
    rising, after = _rows(since_s, rise_kpa, *pushing_s)
    if int(rising.sum()) < LEAST_SAMPLES:
        return None
    parts = {"ramp": rising, "after": after} if int(after.sum()) >= LEAST_AFTER else {"ramp": rising}

    def means(values: FloatArray) -> FloatArray:
        return np.concatenate([thinned(since_s[rows], values[rows], MOST_MEANS)[1] for rows in parts.values()])

    losses = integrated(since_s, rise_kpa)
    pushed = means(flow_ul_per_s * np.minimum(since_s, pushing_s[0]))
    columns = {name: means(rows.astype(np.float64)) for name, rows in parts.items()} | {
        "wall": means(rise_kpa),
        "air": means(rise_kpa / (room_kpa + rise_kpa)),
        "leak": means(losses),
        "late": means(np.maximum(losses - float(np.interp(pushing_s[0], since_s, losses)), 0.0)),
    }
    crept = [means(followed(since_s, rise_kpa, lag_s)) for lag_s in CREEP_S]
    best = None
    for more in LAWS:
        tried = (_tried(columns, (*parts, "wall", *more), creep, pushed) for creep in (None, *crept))
        for choice in tried:
            if choice is not None and (best is None or choice.score < best.score) and _shows_its_air(choice):
                best = choice
    if best is None or best.fit.rms > OFF_SHARE * flow_ul_per_s * pushing_s[0]:
        return None
    return _said(best, room_kpa, u_relative)


def _rows(since_s: FloatArray, rise_kpa: FloatArray, ended_s: float, held_s: float) -> tuple[BoolArray, BoolArray]:
    """Which samples (n,) are of the ramp, and which of what the line kept."""
    top_kpa = float(np.max(rise_kpa)) if rise_kpa.size else 0.0
    rising = (since_s > 0.0) & (since_s <= ended_s - ENDING_S) & (rise_kpa >= FROM * top_kpa)
    after = since_s >= held_s
    fallen = np.flatnonzero(after & (rise_kpa < UNTIL * top_kpa))
    if fallen.size:
        after &= np.arange(since_s.size) < fallen[0]
    return rising, after


def _tried(
    columns: dict[str, FloatArray], names: tuple[str, ...], creep: FloatArray | None, pushed_ul: FloatArray
) -> _Choice | None:
    """One law, by the Bayesian information criterion; None where something would take less than nothing."""
    unknowns = len(names) + (0 if creep is None else 2)
    first = names.index("wall")
    fit = least_squares([columns[name] for name in names] + ([] if creep is None else [creep]), pushed_ul)
    if fit is None or not fit.dof or any(value < 0.0 for value in fit.coefficients[first:]):
        return None
    rows = pushed_ul.size
    return _Choice(rows * math.log(max(fit.rss, 1e-12) / rows) + unknowns * math.log(rows), names, fit)


def _shows_its_air(choice: _Choice) -> bool:
    """Whether the air of a law that has some is more than chance, and than what nobody would look for."""
    if "air" not in choice.names:
        return True
    index = choice.names.index("air")
    return choice.fit.coefficients[index] >= max(LEAST_AIR_UL, CERTAIN * choice.fit.u(index))


def _said(best: _Choice, room_kpa: float, u_relative: float) -> Taken:
    names, fit = best.names, best.fit
    value = dict(zip(names, fit.coefficients, strict=False))

    def spread(one: str, other: str) -> float:
        if not {one, other} <= set(names):
            return 0.0
        return fit.rss / fit.dof * fit.inverse[names.index(one)][names.index(other)]

    between, leak = spread("wall", "air"), "late" if "late" in names else "leak"
    return Taken(
        value["wall"],
        value.get("air", 0.0),
        value.get(leak, 0.0),
        math.sqrt(spread(leak, leak)),
        room_kpa,
        u_relative,
        ((spread("wall", "wall"), between), (between, spread("air", "air"))),
    )
