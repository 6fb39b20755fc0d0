"""Delivered against programmed volume: overall error, start-up, segments of constant rate, boluses.

Volumes are mass over density (`gravimetry`); a record here is (times, cumulative volume in uL).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from data.checks import Exclusion
from data.samples import FloatArray
from protocols.analysis.grid import Grid, RecordError, change, kept
from protocols.analysis.mass_steps import Expected

HOUR_S = 3600.0
STARTED = 0.95
"""A pump has started when it delivers this part of the set rate."""

BOLUS_SETTLING_S = 60.0
"""Further time that line and balance need after the end of a bolus."""

LEAST_OVER_U = 20.0
"""An expected volume under so many standard uncertainties of a volume says nothing about the pump."""


@dataclass(frozen=True, slots=True)
class Overall:
    """Mean flow over an analysis.

    Attributes
    ----------
    error_percent : A = 100 (sum of dV used / volume expected in the time used - 1); None if nothing was expected.
    mean_flow_ul_per_h : over the time used.
    volume_ul, expected_ul : in the time used.
    used_s, share_used : time used, and its share of the analysis.
    """

    error_percent: float | None
    mean_flow_ul_per_h: float
    volume_ul: float
    expected_ul: float
    used_s: float
    share_used: float


def overall(
    t_s: FloatArray,
    volume_ul: FloatArray,
    from_s: float,
    to_s: float,
    expected: Expected,
    exclusions: Iterable[Exclusion] = (),
) -> Overall:
    """Overall flow error A and mean flow over an interval.

    Parameters
    ----------
    t_s, volume_ul : (n,) record; volumes at the ends of stretches are interpolated.
    expected : cumulative programmed volume; at a set rate r it is r t.
    exclusions : stretches in which the vessel was touched.  A gap with the vessel untouched is none: what was
        delivered during it was weighed after it.

    Raises
    ------
    RecordError
        If the record does not cover the interval, or nothing is left of it.

    Notes
    -----
    After IEC 60601-2-24:2012, 201.12.1.102; over exclusions A = 100 (sum dV_used / (r sum t_used) - 1).
    """
    if from_s < t_s[0] - 1e-9 * abs(t_s[0]) or to_s > t_s[-1] + 1e-9 * abs(t_s[-1]):
        raise RecordError(f"the record runs from {t_s[0]:g} s to {t_s[-1]:g} s, not from {from_s:g} s to {to_s:g} s")
    stretches = kept(from_s, to_s, exclusions)
    volume, used_s = change(t_s, volume_ul, stretches)
    if used_s <= 0.0:
        raise RecordError(f"nothing is left from {from_s:g} s to {to_s:g} s after the exclusions")
    begins, ends = (np.array(side) for side in zip(*stretches, strict=True))
    wanted = float(np.sum(expected(ends) - expected(begins)))
    error = 100.0 * (volume / wanted - 1.0) if wanted > 0.0 else None
    return Overall(error, volume / used_s * HOUR_S, volume, wanted, used_s, used_s / (to_s - from_s))


def constant_rate(rate_ul_per_h: float) -> Expected:
    """The cumulative volume of a constant rate, from time 0."""
    return lambda t_s: np.asarray(t_s, dtype=np.float64) * (rate_ul_per_h / HOUR_S)


def flow_ul_per_h(grid: Grid) -> FloatArray:
    """(n,) mean flow in each interval of a grid of volumes: Q_i = (V_i - V_{i-1})/S; not-a-number where not used."""
    flow = np.diff(grid.values) * (HOUR_S / grid.interval_s)
    flow[~grid.used] = np.nan
    return flow


def startup_s(grid: Grid, set_rate_ul_per_h: float) -> float | None:
    """Time, on the grid's own axis, at which delivery has started; None if it never does.

    It is the END of the first interval with Q_i of at least 95 % of the set rate of which the next one has as much.

    Parameters
    ----------
    grid : cumulative volume from the start of delivery, in intervals of whole strokes.
    """
    flow = np.diff(grid.values) * (HOUR_S / grid.interval_s)
    least = STARTED * set_rate_ul_per_h
    # A pump at exactly 95 % has started, whatever the last bit of the arithmetic says.
    least -= 1e-9 * abs(least)
    there = (flow >= least) & grid.used
    started = np.flatnonzero(there[:-1] & there[1:])
    return float(grid.t_s[started[0] + 1]) if started.size else None


@dataclass(frozen=True, slots=True)
class Part:
    """Delivery in one segment or bolus.

    Attributes
    ----------
    from_s, to_s : what was evaluated.
    kind : of the segment or bolus.
    delivered_ul, expected_ul : volumes, for a bolus without the basal rate.
    error_percent : None where it is ``left_out``.
    left_out : why there is no error, or empty.
    basal_ul_per_h, basal_s : of a bolus, the basal rate taken off and the length it was measured over.
    """

    from_s: float
    to_s: float
    kind: str
    delivered_ul: float
    expected_ul: float
    error_percent: float | None
    left_out: str = ""
    basal_ul_per_h: float | None = None
    basal_s: float = 0.0


def segment_delivery(
    t_s: FloatArray,
    volume_ul: FloatArray,
    segments: Iterable[tuple[float, float, str]],
    expected: Expected,
    u_volume_ul: float,
    edge_s: float = 0.0,
    exclusions: Sequence[Exclusion] = (),
) -> tuple[Part, ...]:
    """Delivered against programmed volume in each segment.

    Parameters
    ----------
    segments : (from_s, to_s, kind) of each.
    u_volume_ul : standard uncertainty of a volume between two readings; a segment of under 20 u is left out.
    edge_s : uncertainty of the edges' times (pump clock against ours); so much at each side counts to neither segment.
    """
    parts = []
    for from_s, to_s, kind in segments:
        begin, end = max(from_s + edge_s, float(t_s[0])), min(to_s - edge_s, float(t_s[-1]))
        stretches = kept(begin, end, exclusions) if end > begin else []
        if not stretches:
            parts.append(Part(from_s, to_s, kind, 0.0, 0.0, None, "nothing of it was recorded"))
            continue
        delivered, _ = change(t_s, volume_ul, stretches)
        begins, ends = (np.array(side) for side in zip(*stretches, strict=True))
        wanted = float(np.sum(expected(ends) - expected(begins)))
        parts.append(_part(begin, end, kind, delivered, wanted, u_volume_ul))
    return tuple(parts)


def bolus_delivery(
    t_s: FloatArray,
    volume_ul: FloatArray,
    boluses: Sequence[tuple[float, float, float, str]],
    u_volume_ul: float,
    edge_s: float = 0.0,
    settling_s: float = BOLUS_SETTLING_S,
    exclusions: Sequence[Exclusion] = (),
) -> tuple[Part, ...]:
    """Volume of each bolus without the basal rate.

    Parameters
    ----------
    boluses : (from_s, to_s, volume_ul, kind) of each, in order of time; ``to_s`` is when the pump ends it.
    u_volume_ul : as in `segment_delivery`.
    edge_s : uncertainty of the edges' times; the window reaches so far beyond them.
    settling_s : further time that line and balance need after the end.

    Notes
    -----
    The basal rate is that of the last half of the time since the bolus before (or since the record's begin), when
    pump and line have settled.  The window ends before the next bolus.
    """
    parts = []
    free_from = float(t_s[0])
    for number, (from_s, to_s, wanted, kind) in enumerate(boluses):
        next_from = boluses[number + 1][0] if number + 1 < len(boluses) else float(t_s[-1])
        begin, end = from_s - edge_s, min(to_s + edge_s + settling_s, next_from, float(t_s[-1]))
        half = kept((free_from + begin) / 2.0, begin, exclusions) if begin > free_from else []
        free_from = end
        basal_volume, basal_s = change(t_s, volume_ul, half)
        reason = ""
        if end < to_s:
            reason = "the next one began before its end" if end == next_from < t_s[-1] else "its end was not recorded"
        elif begin < t_s[0] or basal_s <= 0.0:
            reason = "no basal flow was recorded before it"
        elif kept(begin, end, exclusions) != [(begin, end)]:
            reason = "part of it is excluded"
        if reason:
            parts.append(Part(from_s, to_s, kind, 0.0, wanted, None, reason))
            continue
        basal = basal_volume / basal_s * HOUR_S
        delivered, length_s = change(t_s, volume_ul, [(begin, end)])
        part = _part(begin, end, kind, delivered - basal * length_s / HOUR_S, wanted, u_volume_ul)
        parts.append(
            Part(
                part.from_s,
                part.to_s,
                kind,
                part.delivered_ul,
                wanted,
                part.error_percent,
                part.left_out,
                basal,
                basal_s,
            )
        )
    return tuple(parts)


def left_out(part: Part, u_volume_ul: float) -> Part:
    """A part as it is, or without its error where so little was expected of it that its uncertainty hides it."""
    again = _part(part.from_s, part.to_s, part.kind, part.delivered_ul, part.expected_ul, u_volume_ul)
    return part if not again.left_out else again


def _part(from_s: float, to_s: float, kind: str, delivered: float, wanted: float, u_volume_ul: float) -> Part:
    """A part with its error, or with the reason why it has none."""
    if wanted <= 0.0 or wanted < LEAST_OVER_U * u_volume_ul:
        why = f"expected {wanted:.4g} uL is under {LEAST_OVER_U:g} u of {u_volume_ul:.2g} uL"
        return Part(from_s, to_s, kind, delivered, wanted, None, why if wanted > 0.0 else "nothing is expected")
    return Part(from_s, to_s, kind, delivered, wanted, 100.0 * (delivered / wanted - 1.0))
