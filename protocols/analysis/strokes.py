"""Order of strokes: the pulsation of a pump, folded on its stroke in the domain of programmed volume.

Time does not matter to a rotor, volume does: with the programmed volume over the stroke volume as the phase, strokes at
different rates fall on each other, and wear shows as a growing order weeks before the mean moves.  Order 1 is once a
stroke; with two rollers order 0.5 is once a revolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.checks import Exclusion
from data.samples import FloatArray
from protocols.analysis.grid import RecordError, kept
from protocols.analysis.mass_steps import Expected

LEAST_STROKES = 3.0
BINS = 32


@dataclass(frozen=True, slots=True)
class Pulsation:
    """How a pump's delivery swings within a stroke.

    Attributes
    ----------
    phase : (bins,) middle of each bin, 0 to 1 of a stroke.
    deviation_ul : (bins,) mean delivered volume less the straight line, in each bin.
    half_swing_ul : half of the largest less the smallest deviation; u = half-swing/sqrt(3) of a mean over part of a
        stroke.
    orders, amplitude_ul : (orders,) amplitude of the deviation at each order.
    flow_amplitude_percent : (orders,) the same as a modulation of the flow, 200 pi order amplitude / stroke.
    strokes : strokes that were folded.
    """

    phase: FloatArray
    deviation_ul: FloatArray
    half_swing_ul: float
    orders: tuple[float, ...]
    amplitude_ul: FloatArray
    flow_amplitude_percent: FloatArray
    strokes: float


def pulsation(
    t_s: FloatArray,
    volume_ul: FloatArray,
    expected: Expected,
    stroke_ul: float,
    *,
    orders: Sequence[float] = (0.5, 1.0, 2.0, 3.0, 4.0),
    bins: int = BINS,
    exclusions: Sequence[Exclusion] = (),
) -> Pulsation:
    """Fold a record on the stroke.

    Parameters
    ----------
    t_s, volume_ul : (n,) record of the cumulative delivered volume.
    expected : cumulative programmed volume; the phase is its fraction of a stroke, from the schedule's beginning.
    stroke_ul : programmed volume of a stroke.
    orders : cycles a stroke at which amplitudes are wanted.
    exclusions : stretches in which the vessel was touched; each stretch between them has its own straight line.

    Raises
    ------
    RecordError
        If fewer than three strokes were programmed, or samples are too far apart to see a stroke.
    """
    positions, deviations, strokes = [], [], 0.0
    for begin, end in kept(float(t_s[0]), float(t_s[-1]), exclusions):
        part = (t_s >= begin) & (t_s <= end)
        position = expected(t_s[part]) / stroke_ul
        whole = math.floor(float(position[-1] - position[0]) + 1e-9) if position.size > 1 else 0
        if whole < 1:
            continue
        # Whole strokes only: part of a stroke would tilt the line.
        inside = position <= position[0] + whole + 1e-9
        positions.append(position[inside])
        deviations.append(_without_line(position[inside], volume_ul[part][inside]))
        strokes += whole
    if strokes < LEAST_STROKES:
        raise RecordError(f"{strokes:g} whole strokes of {stroke_ul:g} uL are too few to fold; record at least three")
    position, deviation = np.concatenate(positions), np.concatenate(deviations)
    return _folded(position, deviation, stroke_ul, tuple(orders), bins, strokes)


def _folded(
    position: FloatArray, deviation: FloatArray, stroke_ul: float, orders: tuple[float, ...], bins: int, strokes: float
) -> Pulsation:
    """Profile over the phase and amplitudes at the orders."""
    bin_of = np.minimum((np.mod(position, 1.0) * bins).astype(np.int64), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    if (count == 0).any():
        raise RecordError(
            f"the record has no sample in {int((count == 0).sum())} of {bins} parts of a stroke; use fewer bins"
        )
    profile = np.bincount(bin_of, weights=deviation, minlength=bins) / count
    amplitude = np.array([_amplitude(position, deviation, order) for order in orders])
    modulation = 200.0 * math.pi * np.array(orders) * amplitude / stroke_ul
    return Pulsation(
        (np.arange(bins) + 0.5) / bins,
        profile,
        float(profile.max() - profile.min()) / 2.0,
        orders,
        amplitude,
        modulation,
        strokes,
    )


def _amplitude(position: FloatArray, deviation: FloatArray, order: float) -> float:
    """Amplitude of the deviation at an order: sums over all samples, weighted to an even spacing in phase."""
    # Trapezium weights let samples lie as they will, for example denser during a slow segment.
    spacing = np.diff(position)
    usable = (spacing > 0.0) & (spacing < 0.5)
    angle = 2.0 * math.pi * order * position
    cosine, sine = deviation * np.cos(angle), deviation * np.sin(angle)
    length = math.fsum(spacing[usable].tolist())

    def integral(values: FloatArray) -> float:
        return math.fsum((spacing * (values[1:] + values[:-1]) / 2.0)[usable].tolist())

    return 2.0 * math.hypot(integral(cosine), integral(sine)) / length


def _without_line(position: FloatArray, volume_ul: FloatArray) -> FloatArray:
    """Volume less its least-squares line over position."""
    x = position - math.fsum(position.tolist()) / position.size
    y = volume_ul - math.fsum(volume_ul.tolist()) / volume_ul.size
    slope = math.fsum((x * y).tolist()) / math.fsum((x * x).tolist())
    return np.asarray(y - slope * x)
