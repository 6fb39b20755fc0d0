"""What changed while the pump delivered: shifts and drift of whole strokes, and the shape of a stroke."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from data.checks import Axis, Check, Curve, Exclusion
from data.samples import FloatArray
from protocols.analysis import drift, strokes
from protocols.analysis.decision import reported
from protocols.analysis.grid import RecordError
from protocols.analysis.mass_steps import Expected

LEAST_GROUPS = 12
LEAST_SCATTER_PERCENT = 0.05


def change_checks(
    t_s: FloatArray,
    volume_ul: FloatArray,
    expected: Expected,
    stroke_ul: float,
    reading_ul: float,
    exclusions: Sequence[Exclusion],
    depends_on: tuple[str, ...],
) -> Iterator[Check]:
    """Largest shift that a CUSUM chart saw, and the drift a day; both are reported, no maker limits them.

    Parameters
    ----------
    t_s, volume_ul : (n,) cumulative delivered volume at a constant programmed rate, after start-up.
    reading_ul : standard uncertainty of the volume between two readings: groups are made large against it.
    """
    try:
        sums = drift.stroke_sums(t_s, volume_ul, expected, stroke_ul, _strokes(stroke_ul, reading_ul), exclusions)
    except RecordError:
        return
    known = np.isfinite(sums.error_percent)
    if int(known.sum()) < LEAST_GROUPS:
        return
    group_s = float(np.median(np.diff(sums.end_s)))
    noise = 100.0 * reading_ul / (stroke_ul * sums.strokes)
    scatter = max(drift.scatter_percent(sums.error_percent), noise, LEAST_SCATTER_PERCENT)
    chart = drift.design_chart(scatter, group_s)
    level = float(np.median(sums.error_percent[known]))
    seen = drift.alarms(sums, chart, level)
    largest = max(seen, key=lambda alarm: abs(alarm.shift_percent), default=None)
    delays = ", ".join(f"{shift:g} % after {chart.run_length_s(shift) / 3600.0:.1f} h" for shift in (5.0, 15.0))
    note = f"{sums.strokes} stroke{'' if sums.strokes == 1 else 's'} a group; the chart sees {delays}"
    if largest is not None:
        note = f"from {largest.began_s:.0f} s, seen at {largest.seen_s:.0f} s; {note}"
    shift = largest.shift_percent if largest else 0.0
    yield reported("flow-shift", "Largest shift of flow", shift, "%", note, depends_on)
    slope = drift.slope_percent_per_day(sums)
    yield reported("flow-drift", "Drift of flow a day", slope, "%", "", depends_on)


def _strokes(stroke_ul: float, reading_ul: float) -> int:
    """Strokes in a group: so many that the balance's noise is under 1 % of it."""
    return max(1, math.ceil(100.0 * reading_ul / stroke_ul))


def stroke_curve(
    t_s: FloatArray, volume_ul: FloatArray, expected: Expected, stroke_ul: float, exclusions: Sequence[Exclusion]
) -> Iterator[Curve]:
    """Delivered volume within a stroke, less the straight line: wear shows here before the mean moves."""
    try:
        folded = strokes.pulsation(t_s, volume_ul, expected, stroke_ul, exclusions=exclusions)
    except RecordError:
        return
    deviation = Axis("deviation", "uL", folded.deviation_ul)
    yield Curve("stroke", "Delivery within a stroke", Axis("phase", "1", folded.phase), (deviation,))
