"""Steps in a mass record: what may be excluded without asking anybody, and what may not.

Only a negative step (a vessel emptied or changed, a tare) is excluded of itself.  A positive step without a logged
event may be the pump: it stays in the result and is reported as an unexpected delivery.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.checks import Exclusion
from data.samples import FloatArray
from protocols.analysis.grid import kept

Expected = Callable[[FloatArray], FloatArray]
"""Volume in uL that was programmed from the start of delivery until each time, as a cumulative function."""

SETTLING_S = 120.0
"""A disturbance of the balance that is over after this long, with the old mass back, is a spike and no step."""

SMALLEST_STEP_MG = 0.05
NOISE_FACTOR = 8.0
DIGITS = 5.0
LEAST_FALLS = 5
JITTER_SHARE = 0.05
ROBUST = 1.4826  # from a median absolute deviation to a standard deviation

RECURRING = 4
"""So many falls of like size that come each so many milligrams are the pump's own back-flow, and nobody's doing."""

ALIKE = 2.0
OFTEN, OFTEN_S = (0.01, 0.05), 900.0
NEAR_STROKE = 0.25
OFF_STROKE = 0.1

LEAST_UNEXPECTED_MG = 0.3
STROKES_UNEXPECTED = 1.5


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stretch in which more was delivered than programmed."""

    from_s: float
    to_s: float
    delivered_ul: float
    expected_ul: float

    @property
    def excess_ul(self) -> float:
        """Beyond what was programmed."""
        return self.delivered_ul - self.expected_ul

    @property
    def rate_ul_per_h(self) -> float:
        """Mean flow over the stretch."""
        return self.delivered_ul / (self.to_s - self.from_s) * 3600.0


def step_threshold_mg(mass_mg: FloatArray) -> float:
    """Smallest change between neighbours that is neither noise nor rounding.

    The largest of 8 robust standard deviations of the changes, 5 digits of the balance and 0.05 mg.  The digit is the
    smallest fall, where falls are so many (5 %) that they are the jitter of the last digit.
    """
    changes = np.diff(mass_mg)
    noise = ROBUST * float(np.median(np.abs(changes - np.median(changes))))
    falls = -changes[changes < 0.0]
    jitters = falls.size >= max(LEAST_FALLS, JITTER_SHARE * changes.size)
    return max(NOISE_FACTOR * noise, DIGITS * float(falls.min()) if jitters else 0.0, SMALLEST_STEP_MG)


def fall_threshold_mg(t_s: FloatArray, mass_mg: FloatArray, stroke_mg: float = 0.0) -> float:
    """Smallest fall that is somebody's doing: none of noise and rounding, and none of a pump that draws back.

    Twice what one change in a quarter of an hour falls by, where that is more: nobody touches a balance so often.  Of
    changes it is one in a hundred at least, since one touch takes many readings, and one in twenty at most.
    """
    share = min(max(float(np.median(np.diff(t_s))) / OFTEN_S, OFTEN[0]), OFTEN[1])
    often = float(np.quantile(-np.diff(mass_mg), 1.0 - share))
    return max(step_threshold_mg(mass_mg), ALIKE * often, ALIKE * recurring_fall_mg(mass_mg, stroke_mg))


def falls(mass_mg: FloatArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Samples at which the mass begins and ends to fall, where a change on the way is neither noise nor rounding."""
    changes = np.diff(mass_mg)
    falling = np.concatenate([[False], changes < 0.0, [False]])
    begins, ends = (np.flatnonzero(falling[1:] > falling[:-1]), np.flatnonzero(falling[1:] < falling[:-1]))
    if not begins.size:
        return begins, ends
    large = np.minimum.reduceat(changes, begins) < -step_threshold_mg(mass_mg)
    return begins[large], ends[large]


def in_multiples(values: FloatArray) -> bool:
    """Whether half of the values are within a tenth of whole multiples of the least (their tenth percentile)."""
    shares = values / float(np.quantile(values, 0.1))
    return float(np.median(np.abs(shares - np.round(shares)))) <= OFF_STROKE


def recurring_fall_mg(mass_mg: FloatArray, stroke_mg: float) -> float:
    """Largest of the falls that recur in a record as a roller's back-flow does with each stroke; 0 where none do.

    There are at least `RECURRING` of them, nine in ten of them below twice the median; between two of them at least
    twice as much comes as one takes; and half of the masses from one to the next are within a tenth of whole multiples
    of the least (the tenth percentile), which is within a quarter of the pump's stroke.  What somebody does every hour
    recurs, too, but not with the stroke.

    Parameters
    ----------
    stroke_mg : of the pump; 0 for one that has none, or is not known.
    """
    if stroke_mg <= 0.0:
        return 0.0
    begins, ends = falls(mass_mg)
    if begins.size < RECURRING:
        return 0.0
    sizes, gains = mass_mg[begins] - mass_mg[ends], mass_mg[begins[1:]] - mass_mg[ends[:-1]]
    usual, most = float(np.median(sizes)), float(np.quantile(sizes, 0.9))
    nets = np.diff(mass_mg[begins])
    stroke = float(np.quantile(nets, 0.1))
    if abs(stroke - stroke_mg) > NEAR_STROKE * stroke_mg or not most <= ALIKE * usual <= float(np.median(gains)):
        return 0.0
    return most if in_multiples(nets) else 0.0


def negative_steps(
    t_s: FloatArray, mass_mg: FloatArray, settling_s: float = SETTLING_S, *, stroke_mg: float = 0.0
) -> tuple[Exclusion, ...]:
    """Stretches in which the mass fell and did not come back.

    Parameters
    ----------
    t_s, mass_mg : (n,) times, rising, and mass.
    settling_s : all handling within so long of a fall belongs to it (at least one sample on each side); a fall that is
        part of a spike, up or down, is no step.
    stroke_mg : of the pump, 0 where it is not known.

    Returns
    -------
    tuple
        Each from the last sample before the handling to the first after it.

    Notes
    -----
    What fell is counted against the mean flow, which goes on meanwhile.  A roller's exit draws fluid back once a
    stroke: what recurs so is delivery (`recurring_fall_mg`), and to leave it out would leave the forward part alone.
    Whether it is the pump that takes it `recurring_falls` asks the flow sensor.
    """
    threshold = fall_threshold_mg(t_s, mass_mg, stroke_mg)
    changes = np.diff(mass_mg)
    gained = float(mass_mg[-1] - mass_mg[0]) - math.fsum(changes[changes < -threshold].tolist())
    flow = max(gained / float(t_s[-1] - t_s[0]), 0.0)
    # A jump is larger than the strokes, drops and boluses that the record has all along.
    jump = max(threshold, 2.0 * float(np.quantile(np.abs(changes), 0.95)))
    found: list[Exclusion] = []
    passed = -1
    for index in np.flatnonzero(changes < -threshold).tolist():
        if index < passed:
            continue
        first, last = _handling(t_s, changes, index, threshold, jump, settling_s)
        net = float(mass_mg[last] - mass_mg[first]) - flow * float(t_s[last] - t_s[first])
        if net < -threshold:
            found.append(Exclusion(float(t_s[first]), float(t_s[last]), f"mass fell by {-net:.4g} mg"))
        passed = last
    return tuple(found)


def _handling(
    t_s: FloatArray, changes: FloatArray, index: int, threshold: float, jump: float, settling_s: float
) -> tuple[int, int]:
    """First and last sample of the handling of which the fall after sample ``index`` is part."""
    fallen = index + 1
    while fallen < changes.size and changes[fallen] < -threshold:
        fallen += 1
    large = max(jump, 0.1 * -math.fsum(changes[index:fallen].tolist()))
    begin = min(int(np.searchsorted(t_s, t_s[index] - settling_s, side="left")), max(index - 1, 0))
    end = max(int(np.searchsorted(t_s, t_s[fallen] + settling_s, side="right")) - 1, min(fallen + 1, changes.size))
    rises = np.flatnonzero(changes[begin:index] > large)
    moves = np.flatnonzero((changes[fallen:end] > large) | (changes[fallen:end] < -max(threshold, 0.1 * large)))
    first = begin + int(rises[0]) if rises.size else index
    last = fallen + int(moves[-1]) + 1 if moves.size else fallen
    return first, last


def unexpected_deliveries(
    t_s: FloatArray,
    volume_ul: FloatArray,
    expected: Expected,
    stroke_ul: float,
    density_mg_per_ul: float,
    *,
    within_s: float = SETTLING_S,
    exclusions: Iterable[Exclusion] = (),
) -> tuple[Delivery, ...]:
    """Stretches in which far more was delivered than programmed: a free flow, a dump, or a touched vessel.

    Parameters
    ----------
    t_s, volume_ul : (n,) times, rising, and cumulative delivered volume.
    expected : the schedule's cumulative volume.
    stroke_ul : volume of a stroke of the pump; what arrives at once is whole strokes.
    within_s : the time over which an excess counts as sudden.
    exclusions : stretches tied to logged events; nothing is looked for across them.

    Notes
    -----
    Over every lag of ``within_s`` (at least one sample) the excess over the programmed volume must be below the
    largest of 1.5 strokes, 0.3 mg, 8 robust standard deviations of the sample-to-sample noise and the programmed
    volume itself.
    """
    found: list[Delivery] = []
    for begin, end in kept(float(t_s[0]), float(t_s[-1]), exclusions):
        part = (t_s >= begin) & (t_s <= end)
        if part.sum() >= 2:
            found += _unexpected(t_s[part], volume_ul[part], expected, stroke_ul, density_mg_per_ul, within_s)
    return tuple(found)


def _unexpected(
    t_s: FloatArray, volume_ul: FloatArray, expected: Expected, stroke_ul: float, density: float, within_s: float
) -> list[Delivery]:
    programmed = expected(t_s)
    earlier = np.minimum(np.searchsorted(t_s, t_s - within_s, side="left"), np.maximum(np.arange(t_s.size) - 1, 0))
    delivered = volume_ul - volume_ul[earlier]
    wanted = programmed - programmed[earlier]
    changes = np.diff(volume_ul - programmed)
    noise = ROBUST * float(np.median(np.abs(changes - np.median(changes))))
    least = max(STROKES_UNEXPECTED * stroke_ul, LEAST_UNEXPECTED_MG / density, NOISE_FACTOR * noise)
    late = np.flatnonzero(delivered - wanted > np.maximum(least, wanted))
    stretches: list[tuple[int, int]] = []
    for index in late.tolist():
        first = int(earlier[index])
        if stretches and first <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], index)
        else:
            stretches.append((first, index))
    return [_trimmed(t_s, volume_ul, programmed, first, last, 3.0 * noise) for first, last in stretches]


def _trimmed(
    t_s: FloatArray, volume_ul: FloatArray, programmed: FloatArray, first: int, last: int, tolerance: float
) -> Delivery:
    """The part of a stretch in which the excess rose: from when it left its least to when it reached its greatest."""
    excess = volume_ul[first : last + 1] - programmed[first : last + 1]
    top = int(np.flatnonzero(excess >= excess.max() - tolerance)[0])
    low = np.flatnonzero(excess[:top] <= excess[: top + 1].min() + tolerance)
    at = first + (int(low[-1]) if low.size else 0)
    to = max(first + top, at + 1)
    return Delivery(
        float(t_s[at]),
        float(t_s[to]),
        float(volume_ul[to] - volume_ul[at]),
        float(programmed[to] - programmed[at]),
    )


def exclusion_share(exclusions: Iterable[Exclusion], from_s: float, to_s: float) -> float:
    """Part of an interval, 0 to 1, that exclusions take; over 5 % of an analysis makes it invalid."""
    left = math.fsum(end - begin for begin, end in kept(from_s, to_s, exclusions))
    return 1.0 - left / (to_s - from_s)


def first_inside(
    exclusions: Iterable[Exclusion], windows: Iterable[tuple[float, float]]
) -> tuple[Exclusion, tuple[float, float]] | None:
    """The earliest exclusion that overlaps a window, and that window; None where all keep clear of them.

    In a window everything depends on a few minutes: a bolus, or the time after a refill.
    """
    beside = list(windows)
    for exclusion in sorted(exclusions, key=lambda one: one.from_s):
        for begin, end in beside:
            if exclusion.from_s < end and exclusion.to_s > begin:
                return exclusion, (begin, end)
    return None
