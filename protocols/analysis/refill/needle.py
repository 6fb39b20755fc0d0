"""The needle's way through the septum to its stop, from its force and the position of the stage."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.run import Run
from data.samples import FloatArray
from protocols.analysis.budget import Budget, Component, resolution

STEADY_N = 0.05
"""A free gauge shows less than this, or something touches the needle."""

BEFORE_STOP_MM = 1.0
"""The plateau ends so far before the stop, and begins so far behind the puncture."""

PIERCED = 0.5
"""Where the force has fallen to this share of its peak within a millimetre, something was pierced."""

LEAST_PEAK_N = 0.3


@dataclass(frozen=True)
class Insertion:
    """One insertion.

    Attributes
    ----------
    free_n : force of the free needle before it.
    peak_n, u_peak_n : force at which the septum was pierced; None where nothing was.
    peak_mm : position of the stage there.
    plateau_n : friction along the shaft behind it; None without a puncture.
    rest_n, u_rest_n : force of the needle at rest where it was pushed to, less the plateau: that of the stop.
    depth_mm : position of the stage there.
    depth_mm_trace, force_n_trace : (n,) the way in.
    """

    free_n: float
    peak_n: float | None
    u_peak_n: float
    peak_mm: float
    plateau_n: float | None
    rest_n: float
    u_rest_n: float
    depth_mm: float
    depth_mm_trace: FloatArray
    force_n_trace: FloatArray


def insertion(run: Run, number: int) -> Insertion | None:
    """The insertion of this number; None where the run does not hold it."""
    spans = {phase.name: (phase.t0, phase.t1) for phase in run.phases}
    asked = [event.t for event in run.records("prompt") if event.fields.get("key") == f"insert-{number}"]
    if not asked or f"seated-{number}" not in spans or not (run.has("needle_force") and run.has("needle_depth")):
        return None
    force, depth = run.corrected("needle_force").good(), run.corrected("needle_depth").good()
    free = force.within(spans[f"free-{number}"]).values
    rest = force.within(spans[f"seated-{number}"]).values
    seen = depth.within(spans[f"seated-{number}"]).values
    way = force.within((asked[-1], spans[f"insertion-{number}"][1]))
    if free.size < 3 or rest.size < 3 or seen.size < 3 or way.t.size < 10 or depth.t.size < 10:
        return None
    trace_mm = np.asarray(np.interp(way.t, depth.t, depth.values), dtype=np.float64)
    certificate = run.calibration("needle_force")
    u_zero, u_gain = float(certificate.get("u", 0.0)), float(certificate.get("u_percent", 0.0)) / 100.0
    zero = _mean(free)
    stop_mm = float(run.params["stop_mm"])
    peak = _peak(trace_mm, way.values, stop_mm)
    plateau = None if peak is None else _plateau(trace_mm, way.values, peak.at_mm, stop_mm)
    rest_n = _mean(rest) - (plateau if plateau is not None else zero)
    u_peak = 0.0 if peak is None else _budget(peak.value_n, peak.u_n, u_zero, u_gain).u
    return Insertion(
        zero,
        None if peak is None else peak.value_n,
        u_peak,
        0.0 if peak is None else peak.at_mm,
        plateau,
        rest_n,
        _budget(rest_n, 0.0, u_zero, u_gain).u,
        _mean(seen),
        trace_mm,
        way.values,
    )


@dataclass(frozen=True)
class _Peak:
    """Highest force on the way in; between two samples it may have been higher by a step of the rise before it."""

    value_n: float
    u_n: float
    at_mm: float


def _peak(depth_mm: FloatArray, force_n: FloatArray, stop_mm: float) -> _Peak | None:
    """The puncture: the highest force before the stop, if the force falls after it."""
    before = np.flatnonzero(depth_mm < stop_mm - BEFORE_STOP_MM)
    if before.size < 5:
        return None
    k = int(before[np.argmax(force_n[before])])
    after = (depth_mm > depth_mm[k]) & (depth_mm < depth_mm[k] + 1.0)
    if force_n[k] < LEAST_PEAK_N or not after.any() or float(force_n[after].min()) > PIERCED * force_n[k]:
        return None
    step = max(float(force_n[k] - force_n[k - 1]), 0.0) if k else 0.0
    return _Peak(float(force_n[k]) + step / 2.0, resolution("", step).u, float(depth_mm[k]))


def _plateau(depth_mm: FloatArray, force_n: FloatArray, peak_mm: float, stop_mm: float) -> float | None:
    """Mean force between puncture and stop."""
    inside = (depth_mm > peak_mm + BEFORE_STOP_MM) & (depth_mm < stop_mm - BEFORE_STOP_MM)
    return _mean(force_n[inside]) if inside.sum() >= 3 else None


def _budget(value_n: float, u_n: float, u_zero_n: float, u_gain: float) -> Budget:
    """A force of the gauge."""
    parts = (Component("zero", u_zero_n), Component("gain", abs(value_n) * u_gain), Component("between samples", u_n))
    return Budget("force", "N", parts)


def _mean(values: FloatArray) -> float:
    return math.fsum(values.tolist()) / values.size
