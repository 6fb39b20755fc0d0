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


LEAST_SOFTER = 0.002
"""A wall that has taken by so small a share more, up to the highest pressure, is one that does not soften."""

OF_A_RAMP = ((), ("leak",), ("air",), ("air", "leak"))
"""What a line may have beside its wall, by a ramp alone: leak, creep and a wall that softens bend it all alike."""

SOFTENING = (("softer",), ("softer", "leak"), ("air", "softer"), ("air", "softer", "leak"))
LAWS = ((), ("leak",), ("late",), ("air",), ("air", "leak"), ("air", "late"), *SOFTENING)
"""The same by all of the record: air, a wall that softens, and a leak, either all the time or from the highest pressure
on.  Where the wall softens, such a late leak and less of an early one that softens more are one and the same."""

HELD = ("wall", "air", "softer")
"""What of it stays in the line."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The law V = C p + S p^2 + V_air p/(P + p) + G (integral of p) + C_creep x, with air as Boyle's law has it.

    Attributes
    ----------
    wall_ul_per_kpa : what the wall takes at once, without pressure.
    air_ul : under the pressure of the room; 0 where the record shows none.
    softer_ul_per_kpa2 : S, half of what the wall takes more for each kPa; 0 where the record shows none.
    leak_ul_per_s_kpa, u_leak : what it loses for each kPa.
    room_kpa : absolute pressure of the room, P.
    u_relative : of all of it: of the flow and of the transducer's gain.
    """

    wall_ul_per_kpa: float
    air_ul: float
    softer_ul_per_kpa2: float
    leak_ul_per_s_kpa: float
    u_leak: float
    room_kpa: float
    u_relative: float
    _spread: tuple[tuple[float, ...], ...]  # covariance of wall, air and what softens
    _otherwise: tuple[float, ...]  # how much more these would be beside a term in p^3, and that

    def ul_per_kpa(self, rise_kpa: float) -> float:
        """What wall and air take for one kPa more, at a rise: air is stiffer the more it is pressed."""
        taken = (self.wall_ul_per_kpa, self.air_ul, self.softer_ul_per_kpa2)
        return math.fsum(by * one for by, one in zip(self._per(rise_kpa), taken, strict=True))

    def u_ul_per_kpa(self, rise_kpa: float) -> float:
        """Standard uncertainty of that."""
        by = self._per(rise_kpa)
        square = math.fsum(by[j] * by[k] * self._spread[j][k] for j in range(3) for k in range(3))
        off = math.fsum(one * k for one, k in zip((*by, 3.0 * rise_kpa**2), self._otherwise, strict=True))
        return math.hypot(math.sqrt(max(square, 0.0)), off, self._of(self.ul_per_kpa(rise_kpa)))

    @property
    def u_wall(self) -> float:
        """Standard uncertainty of what the wall takes."""
        return math.hypot(math.sqrt(self._spread[0][0]), self._otherwise[0], self._of(self.wall_ul_per_kpa))

    def needed_ul(self, rise_kpa: float) -> float:
        """What has to be pushed for a rise, leaks aside."""
        air_ul = self.air_ul * rise_kpa / (self.room_kpa + rise_kpa)
        return (self.wall_ul_per_kpa + self.softer_ul_per_kpa2 * rise_kpa) * rise_kpa + air_ul

    def _per(self, rise_kpa: float) -> tuple[float, float, float]:
        """What a unit of each takes for one kPa more."""
        return 1.0, self.room_kpa / (self.room_kpa + rise_kpa) ** 2, 2.0 * rise_kpa

    def _of(self, value: float) -> float:
        return self.u_relative * value


class _Choice(NamedTuple):
    """A law, how well it explains the record for what it asks, and where its coefficients stand."""

    score: float
    names: tuple[str, ...]
    fit: Fit
    creep: FloatArray | None


def taken(
    since_s: FloatArray,
    rise_kpa: FloatArray,
    pushing_s: tuple[float, float],
    flow_ul_per_s: float,
    room_kpa: float,
    u_relative: float,
    swelled_ul: FloatArray | None = None,
) -> Taken | None:
    """The law of a line; None where none explains the record, as where a leak begins on the way.

    Parameters
    ----------
    since_s, rise_kpa : (n,) since the syringe pump began to push, and the rise over the pressure before.
    pushing_s : when it ceased, and from when on it stood.
    room_kpa : absolute pressure of the room.
    u_relative : relative standard uncertainty of the flow and of the transducer's gain together.
    swelled_ul : (n,) what the fluid in the line has swelled since; None for a line that has always one temperature.

    Notes
    -----
    A leak and a soft line both end below the pressure that was asked for, but not in the same way.  What leaks rises
    ever more slowly, to flow over G; a soft wall goes on at one slope, and air rises ever faster.  And once nothing is
    pushed what leaks falls, while what is soft stays: so does a wall that softens, though it bends the ramp as a leak
    does.  The volume is known all the time but for a constant as the syringe turns, which the play of the transducer
    and what is drawn back make: linear in what is sought.
    """
    rising, after = _rows(since_s, rise_kpa, *pushing_s)
    if int(rising.sum()) < LEAST_SAMPLES:
        return None
    parts = {"ramp": rising, "after": after} if int(after.sum()) >= LEAST_AFTER else {"ramp": rising}

    def means(values: FloatArray) -> FloatArray:
        return np.concatenate([thinned(since_s[rows], values[rows], MOST_MEANS)[1] for rows in parts.values()])

    losses = integrated(since_s, rise_kpa)
    swelled = np.zeros(since_s.size) if swelled_ul is None else swelled_ul
    pushed = means(flow_ul_per_s * np.minimum(since_s, pushing_s[0]) + swelled)
    columns = {name: means(rows.astype(np.float64)) for name, rows in parts.items()} | {
        "wall": means(rise_kpa),
        "air": means(rise_kpa / (room_kpa + rise_kpa)),
        "softer": means(rise_kpa**2),
        "cube": means(rise_kpa**3),
        "leak": means(losses),
        "late": means(np.maximum(losses - float(np.interp(pushing_s[0], since_s, losses)), 0.0)),
    }
    held = "after" in parts
    crept = [means(followed(since_s, rise_kpa, lag_s)) for lag_s in CREEP_S] if held else []
    top_kpa, best = float(np.max(rise_kpa)), None
    for more in LAWS if held else OF_A_RAMP:
        tried = (_tried(columns, (*parts, "wall", *more), creep, pushed) for creep in (None, *crept))
        for choice in tried:
            if choice is not None and (best is None or choice.score < best.score) and _shows(choice, top_kpa):
                best = choice
    if best is None or best.fit.rms > OFF_SHARE * flow_ul_per_s * pushing_s[0]:
        return None
    return _said(best, _otherwise(best, columns, pushed), room_kpa, u_relative)


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
    return _Choice(rows * math.log(max(fit.rss, 1e-12) / rows) + unknowns * math.log(rows), names, fit, creep)


def _shows(choice: _Choice, top_kpa: float) -> bool:
    """Whether air or softening of a law that has some is more than chance, and than what nobody would look for."""
    least = {
        "air": LEAST_AIR_UL,
        "softer": LEAST_SOFTER * choice.fit.coefficients[choice.names.index("wall")] / top_kpa,
    }
    indices = {name: choice.names.index(name) for name in least if name in choice.names}
    fit = choice.fit
    return all(fit.coefficients[k] >= max(least[name], CERTAIN * fit.u(k)) for name, k in indices.items())


def _otherwise(best: _Choice, columns: dict[str, FloatArray], pushed_ul: FloatArray) -> tuple[float, ...]:
    """How much more wall, air and softening would be beside a term in p^3, and that: no law is exact."""
    names = (*best.names, "cube")
    more = least_squares([columns[one] for one in names] + ([] if best.creep is None else [best.creep]), pushed_ul)
    if more is None or not {"air", "softer"} & set(names):
        return 0.0, 0.0, 0.0, 0.0
    was = dict(zip(best.names, best.fit.coefficients, strict=False))
    now = dict(zip(names, more.coefficients, strict=False))
    return tuple(now.get(one, 0.0) - was.get(one, 0.0) for one in (*HELD, "cube"))


def _said(best: _Choice, otherwise: tuple[float, ...], room_kpa: float, u_relative: float) -> Taken:
    names, fit = best.names, best.fit
    value = dict(zip(names, fit.coefficients, strict=False))

    def spread(one: str, other: str) -> float:
        if not {one, other} <= set(names):
            return 0.0
        return fit.rss / fit.dof * fit.inverse[names.index(one)][names.index(other)]

    leak = "late" if "late" in names else "leak"
    return Taken(
        value["wall"],
        value.get("air", 0.0),
        value.get("softer", 0.0),
        value.get(leak, 0.0),
        math.sqrt(spread(leak, leak)),
        room_kpa,
        u_relative,
        tuple(tuple(spread(one, other) for other in HELD) for one in HELD),
        otherwise,
    )
