"""What the fluid in a closed line swells as the room turns, by a thermometer that is seldom where the line is.

Units: uL, s, K.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.run import Run, Series
from data.samples import FloatArray
from protocols.analysis.flow_budget import LINE_EXPANSION_PER_K
from protocols.analysis.room import LINE_U_SHARE, ROOM_K, ROOM_WANDER_K, ROOM_WANDER_S, THERMOMETER_S

EXPANSION_PER_K = LINE_EXPANSION_PER_K
"""Of water at 22 degC."""

NEAR_S, AWAY_S = 30.0, THERMOMETER_S / 2.0
"""How much sooner or later a line may follow the room than the thermometer in the air around it, and how much sooner
than one at the vessel: that is late by half an hour where the line follows at once, and by nothing where it is as slow.
"""

SLOPE_S = 300.0
"""The slope of a thermometer's record is that of straight lines through so much of it."""

NEAR_K, AWAY_K, LEFT_SHARE = 0.003, 0.007, 0.2
"""What else is left open: steps with this standard deviation, of the last digit and of what turns within those lines,
or with this share of what the lag leaves open."""

STEP_S, MOST_STEPS = 150.0, 12
"""One such step in so long, as long as there are no more of them."""

BRIDGED = 5.0
"""Where the samples are further apart than this part of that, the record is bridged by a straight line."""

SILENT_S = 300.0
"""A thermometer whose nearest good sample is further from a moment than this tells nothing of it."""

DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Warming:
    """What the fluid has swelled since the first of some moments.

    Attributes
    ----------
    swelled_ul : (n,) as far as the thermometer tells.
    open_ul : patterns (n,) of what it leaves open: each is one standard uncertainty, independent of the others.
    """

    swelled_ul: FloatArray
    open_ul: tuple[FloatArray, ...]

    @property
    def soonest_ul(self) -> FloatArray:
        """What it has swelled where the line follows as soon as it may."""
        return self.swelled_ul + self.open_ul[0] if self.open_ul else self.swelled_ul


def warming(run: Run, t_s: FloatArray, ul_per_k: float) -> Warming:
    """The swelling at some moments (n,) of a line that swells so much for each kelvin.

    Notes
    -----
    The thermometer follows the air late, and so does the line; which is later, and by how much, nobody knows.  The
    line's temperature is T + h dT/dt, with h the difference of their lags.  So a room that turns leaves more open than
    the change from end to end.  A thermometer that was silent within these moments, or fell silent before their end, is
    not used: what its last readings would go on to is no measurement.
    """
    since = t_s - t_s[0]
    near, found = True, thermometer(run, "line_temperature", t_s)
    if found is None:
        near, found = False, thermometer(run, "room_temperature", t_s)
    if found is None:
        daily = 2.0 * math.pi / DAY_S * ROOM_K / math.sqrt(2.0) * ul_per_k * since
        turned = 2.0 * ROOM_WANDER_K * math.sqrt(SLOPE_S / ROOM_WANDER_S) * ul_per_k
        return Warming(np.zeros(t_s.size), (daily, *_steps(since, SLOPE_S, turned)))
    degc, per_s = _straight(found.t, found.values, t_s)
    sooner = (NEAR_S if near else AWAY_S) * ul_per_k * (per_s - per_s[0])
    shown = np.interp(t_s, found.t, found.values) if near else degc
    swelled = ul_per_k * (shown - shown[0]) + (0.0 if near else 1.0) * sooner
    turned = max((NEAR_K if near else AWAY_K) * ul_per_k, LEFT_SHARE * float(np.ptp(sooner)))
    return Warming(swelled, (sooner, LINE_U_SHARE * swelled, *_steps(since, STEP_S, turned)))


def thermometer(run: Run, role: str, t_s: FloatArray) -> Series | None:
    """Good samples of a role that tell of all of these moments (n,), in order; None where it has none or was silent."""
    if not run.has(role):
        return None
    found = run.corrected(role).good()
    if len(found) < 2:
        return None
    after = np.clip(np.searchsorted(found.t, t_s), 1, len(found) - 1)
    away_s = np.minimum(np.abs(t_s - found.t[after - 1]), np.abs(found.t[after] - t_s))
    return found if float(np.max(away_s)) <= SILENT_S else None


def _steps(since_s: FloatArray, every_s: float, high: float) -> list[FloatArray]:
    """Ramps of one height, one after the other: with independent factors their sum is a random walk."""
    length_s = float(since_s[-1])
    count = min(max(math.ceil(length_s / every_s), 1), MOST_STEPS)
    long_s = max(every_s, length_s / MOST_STEPS)
    high *= math.sqrt(long_s / every_s)
    return [high * np.clip(since_s / long_s - k, 0.0, 1.0) for k in range(count)]


def _straight(t_s: FloatArray, values: FloatArray, at_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Value and slope at some moments (n,), of straight lines through `SLOPE_S` of a record around each.

    Where the record has a gap it is bridged by a straight line, and beyond its ends it stands.
    """
    t_s, values = _bridged(t_s, values)
    at_s = np.clip(at_s, t_s[0], t_s[-1])
    around_s = np.clip(at_s, t_s[0] + SLOPE_S / 2.0, max(t_s[-1] - SLOPE_S / 2.0, t_s[0] + SLOPE_S / 2.0))
    middle = t_s.size // 2  # counted from there, no products of large times cancel
    t, v = t_s - t_s[middle], values - values[middle]
    sums = [np.concatenate([[0.0], np.cumsum(column)]) for column in (np.ones(t.size), t, v, t * t, t * v)]
    low = np.searchsorted(t_s, around_s - SLOPE_S / 2.0)
    high = np.maximum(np.searchsorted(t_s, around_s + SLOPE_S / 2.0, side="right"), 2)
    low = np.minimum(low, high - 2)
    n, st, sv, stt, stv = (total[high] - total[low] for total in sums)
    slope = (n * stv - st * sv) / (n * stt - st * st)
    level = values[middle] + sv / n + slope * (at_s - t_s[middle] - st / n)
    return np.asarray(level, dtype=np.float64), np.asarray(slope, dtype=np.float64)


def _bridged(t_s: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A record with points on the straight line across each gap, so that no window of `SLOPE_S` is without any."""
    gaps = np.flatnonzero(np.diff(t_s) > SLOPE_S / BRIDGED)
    if not gaps.size:
        return t_s, values
    between = [np.arange(t_s[k] + SLOPE_S / BRIDGED, t_s[k + 1], SLOPE_S / BRIDGED) for k in gaps]
    bridged = np.sort(np.concatenate([t_s, *between]))
    return bridged, np.interp(bridged, t_s, values)
