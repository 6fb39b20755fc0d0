"""Stretches in which a pump that should deliver does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from data.checks import Exclusion
from data.samples import FloatArray
from protocols.analysis.grid import kept
from protocols.analysis.mass_steps import Expected

STROKES = 1.5
LEAST_MG = 0.3
SHARE = 0.2


@dataclass(frozen=True, slots=True)
class NoFlow:
    """A stretch without delivery; ``seen_s`` is when the record first showed it."""

    from_s: float
    to_s: float
    seen_s: float
    delivered_ul: float
    expected_ul: float


def no_flow_window_ul(stroke_ul: float, density_mg_per_ul: float) -> float:
    """Programmed volume over which delivery is judged: the larger of 1.5 strokes and 0.3 mg.

    Over less, the dip of a healthy roller pump (8.6 min at 0.1 mL/day) and the noise of the balance look like no flow.
    """
    return max(STROKES * stroke_ul, LEAST_MG / density_mg_per_ul)


def no_flow(
    t_s: FloatArray,
    volume_ul: FloatArray,
    expected: Expected,
    stroke_ul: float,
    density_mg_per_ul: float,
    exclusions: Iterable[Exclusion] = (),
) -> tuple[NoFlow, ...]:
    """Stretches in which less than 20 % of the programmed volume came.

    Parameters
    ----------
    t_s, volume_ul : (n,) record of the cumulative delivered volume.
    expected : cumulative programmed volume; a programmed stop is no missing flow.
    stroke_ul, density_mg_per_ul : see `no_flow_window_ul`.
    exclusions : nothing is judged across them.
    """
    window = no_flow_window_ul(stroke_ul, density_mg_per_ul)
    found: list[NoFlow] = []
    for begin, end in kept(float(t_s[0]), float(t_s[-1]), exclusions):
        part = (t_s >= begin) & (t_s <= end)
        if part.sum() >= 2:
            found += _no_flow(t_s[part], volume_ul[part], expected(t_s[part]), window)
    return tuple(found)


def _no_flow(t_s: FloatArray, volume_ul: FloatArray, programmed: FloatArray, window: float) -> list[NoFlow]:
    """Judge the window of programmed volume that ends at each sample, and join those that overlap."""
    last = np.flatnonzero(programmed - programmed[0] >= window * (1.0 - 1e-12))
    rises = np.concatenate([[True], np.diff(programmed) > 0.0])
    begin_s = np.interp(programmed[last] - window, programmed[rises], t_s[rises])
    delivered = volume_ul[last] - np.interp(begin_s, t_s, volume_ul)
    missing = delivered < SHARE * window
    stretches: list[tuple[float, int, int]] = []
    for index, begin in zip(last[missing].tolist(), begin_s[missing].tolist(), strict=True):
        if stretches and begin <= t_s[stretches[-1][1]]:
            stretches[-1] = (stretches[-1][0], index, stretches[-1][2])
        else:
            stretches.append((begin, index, index))
    return [
        NoFlow(
            begin,
            float(t_s[end]),
            float(t_s[seen]),
            float(volume_ul[end] - np.interp(begin, t_s, volume_ul)),
            float(programmed[end] - np.interp(begin, t_s, programmed)),
        )
        for begin, end, seen in stretches
    ]
