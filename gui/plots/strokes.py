"""From points to strokes: steps, pauses in which nothing was measured, samples that stand alone."""

from __future__ import annotations

import numpy as np

from data.samples import FloatArray
from gui.plots.pyramid import Drawn

PAUSE = 8.0
"""So many times the usual distance of samples is a pause: nobody measured a straight line in it."""

PAUSE_COLUMNS, PAUSE_BESIDE = 4.0, 4.0
"""Where points are extremes of many samples a pause is so many columns, and so many times what is beside it."""

BESIDE = 3
"""Distances on either side."""


def broken_at_pauses(x: FloatArray, y: FloatArray, is_exact: bool, width: float) -> tuple[FloatArray, FloatArray]:
    """Points with a NaN in each pause that is too long to be drawn across.

    Parameters
    ----------
    is_exact : whether the points are the samples; else they are extremes of many, and as far apart as these lie.
    width : of a column of pixels, in units of x.
    """
    if len(x) < 2 * BESIDE:
        return x, y
    steps = np.diff(x)
    if is_exact:
        longest = max(PAUSE * float(np.median(steps)), width)
        is_pause = steps > longest
    else:
        is_pause = steps > PAUSE_COLUMNS * width
        if is_pause.any():
            is_pause &= steps > PAUSE_BESIDE * _largest_beside(steps)
    if not is_pause.any():
        return x, y
    pauses = np.flatnonzero(is_pause) + 1
    return np.insert(x, pauses, x[pauses - 1]), np.insert(y, pauses, np.nan)


def _largest_beside(steps: FloatArray) -> FloatArray:
    """The largest of the few before and after each."""
    largest = np.zeros(len(steps))
    for by in range(1, BESIDE + 1):
        np.maximum(largest[by:], steps[:-by], out=largest[by:])
        np.maximum(largest[:-by], steps[by:], out=largest[:-by])
    return largest


def lone_as_dots(x: FloatArray, y: FloatArray, width: float) -> tuple[FloatArray, FloatArray]:
    """Points with those between two gaps as strokes of a width: a point alone is not drawn by a line."""
    known = np.concatenate(([False], np.isfinite(y), [False]))
    lone = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])
    return np.insert(x, lone + 1, x[lone] + width), np.insert(y, lone + 1, y[lone])


def stepped(drawn: Drawn, until: float) -> tuple[FloatArray, FloatArray]:
    """Points of a curve whose values hold until the next one, the last until the end of what is shown."""
    if not len(drawn.x):
        return drawn.x, drawn.y
    x, y = np.repeat(drawn.x, 2), np.repeat(drawn.y, 2)
    return np.append(x[1:], max(until, float(x[-1]))), y
