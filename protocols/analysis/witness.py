"""The flow sensor as a witness of the balance: whether what passes the sensor reaches the vessel.

A sensor errs by its gain and its zero, g·q + z, which its certificate states.  Both stay what they are within a run.
So a comparison over the whole analysis can only see what is larger than g and z together, but a change within the run
shows far smaller losses.  docs/explanation/suitability.md gives the numbers at each rate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from data.checks import Check, Exclusion, Limits, Owner, Verdict
from data.samples import FloatArray
from protocols.analysis.decision import judge
from protocols.analysis.suitability import CERTAIN, judged, not_measured

MINUTE_S = 60.0
BALANCE_WITHIN_S = 90.0
"""A minute is compared only if the balance was read this close to its middle."""

AIR_STEP = 0.0015
"""Part of full scale: in air most successive readings of a thermal sensor differ by more.

An LG16 in air has 30-50 nL/min of noise, in resting liquid 2: the step of 12 nL/min lies between by factors of 4."""

WHOLE_MINUTE = 0.9
"""Part of the usual number of samples that a minute needs."""

AIR_SHARE = 0.5
AIR_S = 60.0

LARGEST_RATIO_U_PERCENT = 5.0
"""A flow sensor less certain than this cannot tell a leak from its own error; the comparison is then optional."""

CHANGE_PERCENT = 4.0
"""Largest honest change of sensor against balance within a run: the sensor's drift, and 0.1-0.15 %/K of its gain."""

CHANGE_SIGMAS = 4.0
"""As `CERTAIN` for one value; a run has up to a dozen stretches of which the worst counts."""

ZERO_WANDERS = 0.1
"""Part of a sensor's zero error that may change within a run, and of what is left when the run itself shows it."""

STRETCHES = 8
LONGEST_STRETCH_S, SHORTEST_STRETCH_S = 4 * 3600.0, 1800.0


@dataclass(frozen=True, slots=True)
class Minutes:
    """Mean flow of a sensor in whole minutes, with how restless it was.

    Attributes
    ----------
    t_s : (n,) middles of the minutes.
    flow_ul_per_h : (n,) means of the good samples; not-a-number where there are few: a sensor that saturates for a
        part of a minute shows only the rest of it.
    restless : (n,) share of successive readings that differ by more than a step; 0 where there are none.
    """

    t_s: FloatArray
    flow_ul_per_h: FloatArray
    restless: FloatArray

    def between(self, from_s: float, to_s: float) -> Minutes:
        """The minutes that lie in an interval and in which the sensor gave samples."""
        inside = (self.t_s >= from_s) & (self.t_s <= to_s) & np.isfinite(self.flow_ul_per_h)
        return Minutes(self.t_s[inside], self.flow_ul_per_h[inside], self.restless[inside])

    def means(self, edges_s: FloatArray) -> FloatArray:
        """(n - 1,) mean flow between neighbouring edges; not-a-number where the sensor gave less than half of it.

        By interpolation of the volume: picked from single minutes, a pump's pulses would show as another, slower swing.
        """
        at_s = np.concatenate([self.t_s[:1] - MINUTE_S / 2.0, self.t_s + MINUTE_S / 2.0])
        known = np.isfinite(self.flow_ul_per_h)
        volume = np.concatenate([[0.0], np.cumsum(np.where(known, self.flow_ul_per_h, 0.0))])
        minutes = np.concatenate([[0.0], np.cumsum(known)])
        passed = np.diff(np.interp(edges_s, at_s, minutes))
        enough = passed * MINUTE_S >= 0.5 * np.diff(edges_s)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(enough, np.diff(np.interp(edges_s, at_s, volume)) / passed, np.nan)


def minutes_of(t_s: FloatArray, flow_ul_per_h: FloatArray, step_ul_per_h: float = math.inf) -> Minutes:
    """Condense a flow record to minutes.

    Parameters
    ----------
    t_s, flow_ul_per_h : (n,) good samples.
    step_ul_per_h : see `Minutes.restless`.

    Notes
    -----
    A share of steps tells air from a pump's own pulses, where the rms cannot: the motor's steps are larger than the
    noise in air, but at low rates few readings see one, and at high rates the mean is far from the sensor's zero.
    """
    if t_s.size < 2:
        empty = np.empty(0)
        return Minutes(empty, empty, empty)
    minute = np.floor(t_s / MINUTE_S).astype(np.int64)
    first = int(minute[0])
    index = minute - first
    count = np.bincount(index)
    total = np.bincount(index, weights=flow_ul_per_h)
    steps = (np.abs(np.diff(flow_ul_per_h)) > step_ul_per_h).astype(np.float64)
    large = np.bincount(index[1:], weights=steps, minlength=count.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count >= WHOLE_MINUTE * np.median(count[count > 0]), total / count, np.nan)
    middles = (first + np.arange(count.size, dtype=np.float64) + 0.5) * MINUTE_S
    share = np.asarray(large / np.maximum(count, 1), dtype=np.float64)
    return Minutes(middles, np.asarray(mean, dtype=np.float64), share)


@dataclass(frozen=True)
class Stretch:
    """What sensor and balance saw, and what was programmed, in the same minutes; uL/h."""

    from_s: float
    to_s: float
    sensor: float
    balance: float
    programmed: float
    u_balance: float

    @property
    def difference(self) -> float:
        """Sensor less balance."""
        return self.sensor - self.balance


@dataclass(frozen=True)
class Witness:
    """A flow sensor beside the balance.

    Attributes
    ----------
    minutes : its record.
    u_gain_percent, u_zero_ul_per_h : of its gain, as it is known today, and of its zero by its certificate.
    zero_ul_per_h : what it showed while nothing flowed, None when the run had no such time.
    balance_s : (n,) times of the balance's good samples.
    volume_ul, programmed_ul : cumulative volumes at any times, by the balance and by the schedule.
    u_ul : (from_s, to_s) -> standard uncertainty of the volume by the balance.
    excluded : nothing is compared in these stretches.
    u_known_zero_ul_per_h : of the zero that was taken off already, since a rig check has found it; None without one.
    """

    minutes: Minutes
    u_gain_percent: float
    u_zero_ul_per_h: float
    zero_ul_per_h: float | None
    balance_s: FloatArray = field(repr=False)
    volume_ul: Callable[[FloatArray], FloatArray] = field(repr=False)
    programmed_ul: Callable[[FloatArray], FloatArray] = field(repr=False)
    u_ul: Callable[[float, float], float] = field(repr=False)
    excluded: Sequence[Exclusion] = ()
    u_known_zero_ul_per_h: float | None = None

    @property
    def u_now_ul_per_h(self) -> float:
        """Standard uncertainty of the zero: smaller once a rig check or the run itself has shown it."""
        if self.zero_ul_per_h is not None:
            return self.u_zero_ul_per_h * ZERO_WANDERS
        return self.u_zero_ul_per_h if self.u_known_zero_ul_per_h is None else self.u_known_zero_ul_per_h

    def seen(self, from_s: float, to_s: float) -> Stretch | None:
        """Both in the minutes that both have; None when these are less than half of the interval."""
        common = self._common(from_s, to_s)
        if common.t_s.size * MINUTE_S < 0.5 * (to_s - from_s):
            return None
        hours = common.t_s.size * MINUTE_S / 3600.0
        edges = common.t_s - MINUTE_S / 2.0, common.t_s + MINUTE_S / 2.0
        balance, programmed = (
            math.fsum((volume(edges[1]) - volume(edges[0])).tolist()) / hours
            for volume in (self.volume_ul, self.programmed_ul)
        )
        sensor = math.fsum(common.flow_ul_per_h.tolist()) / common.t_s.size - (self.zero_ul_per_h or 0.0)
        u_balance = self.u_ul(from_s, to_s) / ((to_s - from_s) / 3600.0)
        return Stretch(from_s, to_s, sensor, balance, programmed, u_balance)

    def stretches(self, intervals: Iterable[tuple[float, float]]) -> list[Stretch]:
        """Consecutive parts of the intervals, about `STRETCHES` in all."""
        intervals = list(intervals)
        whole = math.fsum(to_s - from_s for from_s, to_s in intervals)
        length = min(LONGEST_STRETCH_S, max(SHORTEST_STRETCH_S, whole / STRETCHES))
        found = []
        for from_s, to_s in intervals:
            parts = round((to_s - from_s) / length)
            edges = np.linspace(from_s, to_s, parts + 1).tolist() if parts else []
            found += [self.seen(a, b) for a, b in itertools.pairwise(edges)]
        return [one for one in found if one is not None]

    def _common(self, from_s: float, to_s: float) -> Minutes:
        """The sensor's minutes that lie wholly in the interval and in which the balance was read."""
        inside = self.minutes.between(from_s + MINUTE_S / 2.0, to_s - MINUTE_S / 2.0)
        after = np.clip(np.searchsorted(self.balance_s, inside.t_s), 1, max(self.balance_s.size - 1, 1))
        near = np.minimum(np.abs(self.balance_s[after] - inside.t_s), np.abs(self.balance_s[after - 1] - inside.t_s))
        read = near <= BALANCE_WITHIN_S
        for gap in self.excluded:
            read &= (inside.t_s + MINUTE_S / 2.0 < gap.from_s) | (inside.t_s - MINUTE_S / 2.0 > gap.to_s)
        return Minutes(inside.t_s[read], inside.flow_ul_per_h[read], inside.restless[read])


def passed_ul(minutes: Minutes, from_s: float, to_s: float, u_zero_ul_per_h: float) -> float | None:
    """Volume that passed the sensor in the minutes around a stretch; None where it was blind or in air."""
    first, last = math.floor(from_s / MINUTE_S), math.ceil(to_s / MINUTE_S)
    seen = minutes.between(first * MINUTE_S, last * MINUTE_S)
    if seen.t_s.size < last - first or bool(_in_air(seen, u_zero_ul_per_h).any()):
        return None
    return math.fsum(seen.flow_ul_per_h.tolist()) * MINUTE_S / 3600.0


def agrees(witness: Witness, from_s: float, to_s: float, explained_by: Sequence[str] = ()) -> Check:
    """Sensor less balance over the analysis, in percent of the programmed flow.

    Parameters
    ----------
    explained_by : checks that failed for a reason which would also part sensor and balance.

    Notes
    -----
    If the balance is right the sensor shows q (1 + g) + z: u^2 = (u_g q)^2 + u_z^2 with q by the balance, also at a
    standstill.
    """
    name, title = "sensor-balance-ratio", "Flow sensor less balance"
    seen = witness.seen(from_s, to_s)
    if seen is None or seen.programmed <= 0.0:
        return not_measured(name, title, "%", "the flow sensor gave too few samples within its range", optional=True)
    scale = 100.0 / seen.programmed
    value = scale * seen.difference
    u = scale * math.hypot(witness.u_gain_percent / 100.0 * seen.balance, witness.u_now_ul_per_h, seen.u_balance)
    limits = Limits(-CERTAIN * u, CERTAIN * u, f"{CERTAIN:g} standard uncertainties of the sensor")
    if abs(value) > CERTAIN * u:
        owner, note = _suspect(seen.sensor - seen.programmed, seen.balance - seen.programmed, explained_by)
        return judged(name, title, "%", value, u, limits, note, owner=owner)
    if u > LARGEST_RATIO_U_PERCENT:
        note = (
            f"the sensor is known to {u:.2g} % of this flow and cannot show a loss below {CERTAIN * u:.2g} %; "
            "calibrate its zero and gain, or measure the blanks with the pump stopped"
        )
        fields = {**judge(value, u, math.inf, limits), "verdict": Verdict.NOT_CAPABLE}
        return Check(
            name=name, title=title, unit="%", owner="rig", suitability=True, optional=True, note=note, **fields
        )
    return judged(name, title, "%", value, u, limits)


def steady(witness: Witness, stretches: Sequence[Stretch], explained_by: Sequence[str] = ()) -> Check:
    """Largest change of sensor less balance while the pump delivered, in percent of the programmed flow.

    Notes
    -----
    The sensor's gain and zero cancel, except for the gain's part of a change of flow, which is allowed for.
    """
    name, title = "ratio-steady", "Flow sensor less balance, change"
    programmed = max((one.programmed for one in stretches), default=0.0)
    if len(stretches) < 2 or programmed <= 0.0:
        return not_measured(name, title, "%", "too few stretches to compare", optional=True)
    usual = sorted(stretches, key=lambda one: one.difference)[len(stretches) // 2]
    by_gain = CERTAIN * witness.u_gain_percent / 100.0

    def change(one: Stretch) -> float:
        return max(0.0, abs(one.difference - usual.difference) - by_gain * abs(one.balance - usual.balance))

    worst = max(stretches, key=change)
    scale = 100.0 / programmed
    u = scale * math.hypot(usual.u_balance, worst.u_balance, ZERO_WANDERS * witness.u_zero_ul_per_h)
    limits = Limits(None, math.hypot(CHANGE_PERCENT, CHANGE_SIGMAS * u), "protocol")
    value = scale * change(worst)
    if limits.high is None or value <= limits.high:
        return judged(name, title, "%", value, u, limits)
    # A pump keeps its programme from stretch to stretch: what left it is the one that changed.
    early, late = sorted((usual, worst), key=lambda one: one.from_s)
    owner, note = _suspect(late.sensor - early.sensor, late.balance - early.balance, explained_by)
    return judged(name, title, "%", value, u, limits, f"{note} (from {worst.from_s:.0f} s)", owner=owner)


def _suspect(sensor: float, balance: float, explained_by: Sequence[str]) -> tuple[Owner, str]:
    """Whose fault a disagreement looks like, from how far each is from where it should be, in uL/h."""
    if explained_by:
        return "rig", f"sensor and balance part; see {', '.join(explained_by)}"
    if abs(sensor) >= abs(balance):
        return "rig", "the sensor left the programme, the balance less so: look at the sensor"
    if balance > 0.0:
        return "rig", "the balance gained more than passed the sensor: look at the balance and at the vessel"
    return "catheter", "the sensor kept to the programme and the balance lost: look for a leak after the sensor"


def no_air(minutes: Minutes, from_s: float, to_s: float, u_zero_ul_per_h: float) -> Check:
    """Time in which the flow sensor was in air: its reading around its zero, and restless."""
    name, title = "no-air", "No air in the line"
    inside = minutes.between(from_s, to_s)
    if inside.t_s.size < 10:
        return not_measured(name, title, "s", "the flow sensor gave too few samples", optional=True)
    in_air = _in_air(inside, u_zero_ul_per_h)
    seconds = MINUTE_S * int(np.count_nonzero(in_air))
    note = ""
    if seconds > AIR_S:
        note = f"the sensor read its zero with the noise of air, first at {float(inside.t_s[in_air][0]):.0f} s"
    return judged(name, title, "s", seconds, 0.0, Limits(None, AIR_S, "protocol"), note)


def _in_air(minutes: Minutes, u_zero_ul_per_h: float) -> NDArray[np.bool_]:
    at_zero = np.abs(minutes.flow_ul_per_h) <= CERTAIN * u_zero_ul_per_h
    return np.asarray(at_zero & (minutes.restless > AIR_SHARE))
