"""Readings of a balance that leap away and come back: drafts, knocks, a vessel lifted for a moment, a damaged digit.

Fluid does not come back.  So what leaves the course of the mass with a leap and is on it again within
`mass_steps.SETTLING_S` was never delivered and never lost, whoever touched the balance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data.samples import FloatArray
from protocols.analysis.mass_steps import SETTLING_S, fall_threshold_mg

FEWEST = 11
"""Readings without which nobody knows what the noise of a balance is."""

NEAR = 2
"""A balance's own filter spreads a leap over some readings."""

Indices = npt.NDArray[np.intp]


def spikes(
    t_s: FloatArray, mass_mg: FloatArray, settling_s: float = SETTLING_S, *, stroke_mg: float = 0.0
) -> npt.NDArray[np.bool_]:
    """Which readings are away from the course of the mass for a moment.

    Parameters
    ----------
    t_s, mass_mg : (n,) times, rising, and mass.
    settling_s : longest time away; or a single reading, however far apart they are.
    stroke_mg : of the pump, 0 where it is not known.

    Returns
    -------
    numpy.ndarray
        (n,) those that are further away than `fall_threshold_mg`, and the reading on either side of them.  They leave
        and come back with a leap, near to where they left: what goes slowly is a pump that draws back, and what stays
        is a step.  What lasts to an end of the record is none: nobody knows whether it went again.

    Notes
    -----
    Opening and closing by a flat element of the length ``settling_s`` (Serra 1982): the first wears off what stands out
    above a course, the second fills what sinks below.  A course that only rises is its own opening and closing.
    """
    untouched = np.zeros(t_s.size, np.bool_)
    if t_s.size < FEWEST:
        return untouched
    away = fall_threshold_mg(t_s, mass_mg, stroke_mg)
    if not (np.abs(np.diff(mass_mg)) > away).any():
        return untouched
    count = np.arange(t_s.size)
    begin = np.maximum(np.minimum(np.searchsorted(t_s, t_s - settling_s / 2.0), count - 1), 0)
    end = np.minimum(np.maximum(np.searchsorted(t_s, t_s + settling_s / 2.0, side="right"), count + 2), t_s.size)
    worn = -_least(-_least(mass_mg, begin, end), begin, end)
    filled = _least(-_least(-mass_mg, begin, end), begin, end)
    found = untouched.copy()
    for side in (mass_mg - worn, filled - mass_mg):
        edges = np.diff((side > away).astype(np.int8))
        first, last = np.flatnonzero(edges > 0) + 1, np.flatnonzero(edges < 0)
        if last.size and (not first.size or last[0] < first[0]):
            last = last[1:]  # it was away from the beginning
        for a, b in zip(first.tolist(), last.tolist(), strict=False):
            if _comes_back(mass_mg, a, b, away):
                found[a - 1 : b + 2] = True
    return found


def _comes_back(mass_mg: FloatArray, first: int, last: int, away: float) -> bool:
    """Whether readings left with a leap, and came back with one of half of how far they were away, not far below.

    What was delivered meanwhile, a shot for example, is there afterwards.
    """
    leaps = np.abs(np.diff(mass_mg[max(first - NEAR, 0) : last + 1 + NEAR])) > away
    meanwhile = mass_mg[first : last + 1]
    before, after = mass_mg[first - 1], mass_mg[last + 1]
    half = float(np.abs(meanwhile - before).max()) / 2.0
    back = max(float(np.abs(meanwhile.max() - after)), float(np.abs(after - meanwhile.min())))
    return bool(leaps[: 2 * NEAR].any() and leaps[-2 * NEAR :].any() and back >= half and after >= before - half)


def _least(values: FloatArray, begin: Indices, end: Indices) -> FloatArray:
    """Least value of each window, from its beginning up to and without its end: by windows of powers of two."""
    lengths = end - begin
    found, width = np.empty_like(values), 1
    least = values  # of the window of this width that begins at each place
    while True:
        mine = (lengths >= width) & (lengths < 2 * width)
        found[mine] = np.minimum(least[begin[mine]], least[end[mine] - width])
        width *= 2
        if width > lengths.max():
            return found
        shifted = np.concatenate([least[width // 2 :], np.full(width // 2, np.inf)])
        least = np.minimum(least, shifted)
