"""Curves that are worked out while a run goes on: flow and volume by the balance, what is programmed, what is beyond.

All of them are provisional: no blank, no buoyancy of the day, no exclusion enters here.  The evaluation of the run file
alone says what was delivered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from data.samples import FloatArray
from data.schedule import Schedule
from gui.plots.pyramid import Pyramid
from gui.presenters.live import KEPT_SAMPLES, Live, Trace
from protocols.analysis.gravimetry import REFERENCE_TEMPERATURE_DEGC, water_density_mg_per_ul, z_factor_ul_per_mg

HOUR_S = 3600.0

AIR_MG_PER_UL = 0.0012
"""Of a usual day; half a hPa in a thousand does not show on a screen."""

FILLED = 0.8
"""A window must be covered by this part before its slope is drawn."""

HANDLING = ("tare", "vessel-change")
"""Why a balance is recorded as disturbed where it begins anew; a hold touches nothing on it."""

FALL_UL = 100.0
"""The mass of a vessel falls by so much when it is emptied, changed or tared, and not else."""

FAINTEST = 1e-3
"""A curve that goes on is drawn up to this much, in s, before now."""


def ul_per_mg(fluid: Mapping[str, Any]) -> float:
    """Volume of a milligram on the balance, by the fluid's stated density, else that of water at 20 degC."""
    stated = fluid.get("density_g_per_ml")
    density = float(stated) if stated else water_density_mg_per_ul(REFERENCE_TEMPERATURE_DEGC)
    return z_factor_ul_per_mg(AIR_MG_PER_UL, density)


# ------------------------------------------------------------------------------------------- what is programmed


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of delivery by one schedule; ``collected`` is whether it flows onto the balance."""

    t0: float
    t1: float
    zero_s: float
    schedule: Schedule | None
    collected: bool


@dataclass
class Programmed:
    """What the pump was told to deliver, on the run's clock; from the steps that are done and the diverter's moves.

    Attributes
    ----------
    stretches : without gap or overlap; the last one has no end.
    """

    stretches: tuple[Stretch, ...] = ()
    _of: tuple[int, int] = (-1, -1)

    def update(self, live: Live) -> bool:
        """Look at what has been done since; returns whether anything is different now."""
        done = sum(1 for _, end in live.steps_at.values() if end is not None)
        of = (done, live.records.get("valve", 0))
        if of == self._of:
            return False
        self._of = of
        before = self.stretches
        self.stretches = tuple(_stretches(live))
        return self.stretches != before

    @property
    def begins_s(self) -> float | None:
        """The first start of delivery."""
        return next((one.t0 for one in self.stretches if one.schedule is not None), None)

    def rate(self, until_s: float) -> tuple[FloatArray, FloatArray]:
        """Steps of the programmed rate in uL/h as points of a line, up to a moment."""
        x: list[float] = []
        y: list[float] = []
        for one in self.stretches:
            end = min(one.t1, until_s)
            if end < one.t0:
                break
            if one.schedule is None:
                pieces = [(one.t0, end, 0.0)]
            else:
                zero = one.zero_s
                pieces = [
                    (part.t0 + zero, part.t1 + zero, part.rate_ul_per_h)
                    for part in one.schedule.segments(one.t0 - zero, max(end, one.t0 + FAINTEST) - zero)
                ]
            for t0, t1, rate in pieces:
                x += [t0, t1]
                y += [rate, rate]
        return np.asarray(x), np.asarray(y)

    def collected(self, t: FloatArray) -> FloatArray:
        """Volume in uL that is to have flowed onto the balance at each moment since the first start of delivery."""
        total = np.zeros(len(t))
        for one in self.stretches:
            if one.schedule is None or not one.collected:
                continue
            at = np.clip(t, one.t0, one.t1) - one.zero_s
            total += one.schedule.expected_volume_ul(one.t0 - one.zero_s, at)
        return total

    def volume(self, until_s: float) -> tuple[FloatArray, FloatArray]:
        """The same as points of a line, up to a moment."""
        begins = self.begins_s
        if begins is None or until_s <= begins:
            return np.empty(0), np.empty(0)
        edges = {begins, until_s}
        for one in self.stretches:
            edges |= {edge for edge in (one.t0, one.t1) if begins < edge < until_s}
            if one.schedule is not None:
                t0, t1 = one.t0 - one.zero_s, min(one.t1, until_s) - one.zero_s
                if t1 > t0:
                    edges |= {edge + one.zero_s for edge in one.schedule.edges_s(t0, t1)}
        x = np.asarray(sorted(edges))
        return x, self.collected(x)


def _stretches(live: Live) -> list[Stretch]:
    """The stretches that follow from the journal so far."""
    plan = live.plan
    if plan is None:
        return []
    turns: list[tuple[float, str, Schedule | None]] = []
    for index, (_, end) in sorted(live.steps_at.items()):
        step = plan.steps[index] if index < len(plan.steps) else {}
        kind = step.get("step")
        if end is None:
            continue
        if kind == "Program" and step.get("schedule"):
            turns.append((end, "program", Schedule.from_json(step["schedule"])))
        elif kind in ("StartDelivery", "StopDelivery"):
            turns.append((end, "start" if kind == "StartDelivery" else "stop", None))
    diverter = plan.roles.get("diverter", "")
    turns += [
        (record.t, "away" if record.fields.get("asked") else "onto", None)
        for record in live.kept["valve"]
        if record.fields.get("valve") == diverter
    ]
    found: list[Stretch] = []
    programmed: Schedule | None = plan.schedule
    running: Schedule | None = None
    since, zero, collected = 0.0, 0.0, True
    for t, what, schedule in sorted(turns, key=lambda turn: turn[0]):
        if what == "program":
            programmed = schedule
            continue
        if t > since:
            found.append(Stretch(since, t, zero, running, collected))
        since = t
        if what == "start":
            running, zero = programmed, t
        elif what == "stop":
            running = None
        else:
            collected = what == "onto"
    return [*found, Stretch(since, math.inf, zero, running, collected)]


# ----------------------------------------------------------------------------------------- what is worked out


@dataclass
class Handled:
    """When a balance was tared, or its vessel changed: what it shows after that has nothing to do with that before.

    Attributes
    ----------
    to_s : when each was done, on the run's clock.
    """

    channel: str
    to_s: FloatArray = field(default_factory=lambda: np.empty(0))
    _seen: int = 0

    def update(self, live: Live) -> bool:
        """Look at what has been recorded since; returns whether there is more of it."""
        if live.records.get("disturbed", 0) == self._seen:
            return False
        self._seen = live.records["disturbed"]
        found = [
            float(record.fields["to_s"])
            for record in live.kept["disturbed"]
            if record.fields.get("why") in HANDLING and self.channel in (record.fields.get("channels") or ())
        ]
        known = self.to_s
        self.to_s = np.union1d(known, found)
        return len(self.to_s) > len(known)


@dataclass
class Source:
    """Hands on the samples of a channel that are new, each once; those that may not be used are NaN.

    One more that is NaN stands where the channel was handled: it may have been so between two samples.
    """

    trace: Trace
    handled: Handled | None = None
    _last_s: float = -math.inf

    def new(self) -> tuple[FloatArray, FloatArray]:
        """Times and values since the last call."""
        points = self.trace.points
        drawn = points.view(self._last_s, math.inf, max(len(points), 1))
        fresh = drawn.x > self._last_s
        t, y = drawn.x[fresh], drawn.y[fresh]
        if not len(t):
            return t, y
        if self.handled is not None:
            to_s = self.handled.to_s
            to_s = to_s[(to_s > self._last_s) & (to_s < t[-1])]
            at = t.searchsorted(to_s)
            t, y = np.insert(t, at, to_s), np.insert(y, at, np.nan)
        self._last_s = float(t[-1])
        return t, y

    def anew(self) -> Source:
        """The same from the first sample on."""
        return Source(self.trace, self.handled)

    def was_handled(self, from_s: float, to_s: float) -> bool:
        """Whether the channel was handled between two moments."""
        return self.handled is not None and bool(((self.handled.to_s > from_s) & (self.handled.to_s <= to_s)).any())


@dataclass
class SlopeFlow:
    """Flow in uL/h from the slope of the mass over a window that ends at each sample; drawn at the window's middle.

    A sample that may not be used begins a new window: the mass after a tare has nothing to do with that before.
    """

    source: Source
    window_s: float
    ul_per_mg: float
    points: Pyramid = field(default_factory=lambda: Pyramid(KEPT_SAMPLES))
    value: float = math.nan
    _t: FloatArray = field(default_factory=lambda: np.empty(0))
    _y: FloatArray = field(default_factory=lambda: np.empty(0))

    def update(self) -> None:
        """Take the samples that are new."""
        t, y = self.source.new()
        for good, is_good in _unbroken(y):
            if not is_good:
                self._t, self._y = np.empty(0), np.empty(0)
                if self.points.span is not None and not math.isnan(self.value):
                    self.points.extend(np.asarray([self.points.span[1] + FAINTEST]), np.asarray([math.nan]))
                self.value = math.nan
            else:
                self._piece(t[good], y[good])

    def _piece(self, t: FloatArray, y: FloatArray) -> None:
        kept = len(self._t)
        t, y = np.concatenate((self._t, t)), np.concatenate((self._y, y))
        slope = slopes(t, y, self.window_s)[kept:]
        told = ~np.isnan(slope)
        if told.any():
            flow = slope[told] * self.ul_per_mg * HOUR_S
            x = t[kept:][told] - self.window_s / 2.0
            self.points.extend(x, flow)
            self.value = float(flow[-1])
        keep = np.searchsorted(t, t[-1] - self.window_s) if len(t) else 0
        self._t, self._y = t[keep:], y[keep:]


def slopes(t: FloatArray, y: FloatArray, window_s: float) -> FloatArray:
    """Slope of the least-squares line through the samples of the window that ends at each sample.

    Parameters
    ----------
    t, y : (n,) rising times in s and values.

    Returns
    -------
    (n,) per s; NaN where the window is not covered yet.
    """
    if len(t) < 3:
        return np.full(len(t), np.nan)
    x, v = t - t[0], y - y[0]
    begin = np.searchsorted(t, t - window_s, side="left")
    sums = [np.concatenate(([0.0], np.cumsum(part))) for part in (np.ones(len(t)), x, v, x * x, x * v)]
    end = np.arange(1, len(t) + 1)
    n, sx, sv, sxx, sxv = (part[end] - part[begin] for part in sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (n * sxv - sx * sv) / (n * sxx - sx * sx)
    covered = (t - t[begin] >= FILLED * window_s) & (n >= 3)
    return np.where(covered, slope, np.nan)


@dataclass
class Delivered:
    """Volume in uL on the balance since the first start of delivery, and what it is beyond what was programmed.

    Zero is what the balance showed last before the delivery and after the last sample there that may not be used: a
    tare, and a vessel that is put on, are such; else the first sample of the delivery.  Where the balance is tared or
    its vessel changed later, the volume goes on where it was, with what was programmed meanwhile; likewise where the
    mass has fallen, over samples that may not be used, as no delivery makes it fall.

    Attributes
    ----------
    is_bridged : whether there was such a place.
    """

    source: Source
    programmed: Programmed
    ul_per_mg: float
    volume: Pyramid = field(default_factory=lambda: Pyramid(KEPT_SAMPLES))
    difference: Pyramid = field(default_factory=lambda: Pyramid(KEPT_SAMPLES))
    value: float = math.nan
    beyond: float = math.nan
    is_bridged: bool = False
    _zero_mg: float = math.nan
    _last_s: float = -math.inf  # the last good sample
    _broken_s: float = math.inf  # the first sample that may not be used since then

    def update(self) -> None:
        """Take the samples that are new."""
        begins = self.programmed.begins_s
        if begins is None:
            return
        t, y = self.source.new()
        volume = np.full(len(t), np.nan)
        for piece, is_good in _unbroken(y):
            if not is_good:
                self._broken_s = min(self._broken_s, float(t[piece.start]))
                continue
            self._zero(t[piece], y[piece], begins)
            volume[piece] = (y[piece] - self._zero_mg) * self.ul_per_mg
            self.value, self._last_s, self._broken_s = float(volume[piece][-1]), float(t[piece][-1]), math.inf
        after = t >= begins
        t, volume = t[after], volume[after]
        beyond = volume - self.programmed.collected(t)
        self.volume.extend(t, volume)
        self.difference.extend(t, beyond)
        told = beyond[~np.isnan(beyond)]
        if len(told):
            self.beyond = float(told[-1])

    def _zero(self, t: FloatArray, y: FloatArray, begins: float) -> None:
        """Find the zero of good samples that follow one another."""
        early = y[t <= begins]
        if len(early):
            self._zero_mg = float(early[-1])
        elif math.isnan(self._zero_mg) or self._broken_s <= begins:
            self._zero_mg = float(y[0])
        elif math.isfinite(self._broken_s):
            meanwhile = np.diff(self.programmed.collected(np.asarray([self._last_s, t[0]])))
            fell = (y[0] - self._zero_mg) * self.ul_per_mg < self.value - FALL_UL
            if fell or self.source.was_handled(self._last_s, float(t[0])):
                self._zero_mg = float(y[0]) - (self.value + float(meanwhile[0])) / self.ul_per_mg
                self.is_bridged = True


def _unbroken(values: FloatArray) -> list[tuple[slice, bool]]:
    """Stretches of numbers, and between them of what is no number; whether they are numbers."""
    if not len(values):
        return []
    bad = np.isnan(values)
    cuts: Sequence[int] = [0, *(np.flatnonzero(np.diff(bad)) + 1).tolist(), len(values)]
    return [(slice(begin, end), not bad[begin]) for begin, end in pairwise(cuts)]
