"""Change points of a flow record: when a pump's level or slope changed for good, and what is saturated.

Days of flow at a sample a second hold drift, pulsation, spikes and oscillation, all of which hang together in time; a
method for independent noise sees a change in each.  Here the noise may be any autoregression, and its order is chosen
together with the number of changes.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.grid import BoolArray, RecordError, check_record
from protocols.analysis.mass_steps import ROBUST

BLOCKS = 400
"""A record is condensed to the medians of at most so many equal stretches of time; change points are no finer."""

LEAST_SAMPLES = 5  # in a block on average, so that a spike does not move its median
LEAST_BLOCKS = 24
SHORTEST = 4  # blocks in a segment: a line takes two
LONE_BLOCKS = 3
LONE_FACTOR = 6.0
MOST_SEGMENTS = 16
HIGHEST_ORDER = 8
ROUNDING = 1e-18
"""Of the squares of the record: variance under it is rounding, and no reason for another segment."""

PENALTY = 6.0
"""In log(blocks), for each change: its time and two numbers of a line, each twice what BIC charges.

A time is searched for and costs more than a number that is fitted, and an order of noise is searched for beside it; at
this price the records of pure noise in the tests, correlated or not, have no change point in 99 of 100 cases.
"""


@dataclass(frozen=True, slots=True)
class Regime:
    """A stretch between change points with its straight line."""

    from_s: float
    to_s: float
    begin: float
    end: float

    @property
    def slope_per_h(self) -> float:
        """Change an hour along the line."""
        return (self.end - self.begin) / (self.to_s - self.from_s) * 3600.0


@dataclass(frozen=True, slots=True)
class ChangePoints:
    """Change points of a record.

    Attributes
    ----------
    at_s : their times, each good to about ``resolution_s``.
    regimes : the stretches between them, one more than there are changes.
    resolution_s : length of the blocks.
    """

    at_s: tuple[float, ...]
    regimes: tuple[Regime, ...]
    resolution_s: float


def saturated(values: FloatArray, low: float, high: float) -> BoolArray:
    """(n,) True for samples at or beyond the ends of the sensor's range: the flow may have been anything beyond."""
    return (values <= low) | (values >= high)


def change_points(t_s: FloatArray, values: FloatArray, *, blocks: int = BLOCKS) -> ChangePoints:
    """Find the times at which level or slope of a record changed.

    Parameters
    ----------
    t_s, values : (n,) times, rising, and for example flow; unusable samples left out.
    blocks : the record is condensed to the medians of so many stretches of time, or fewer for a short record.

    Raises
    ------
    RecordError
        If fewer than 24 blocks of 5 samples can be made.

    Notes
    -----
    For each number of segments the best lines (least squares on block medians, at least 4 blocks each) are found
    exactly by dynamic programming.  The number is the one with the least n log(s^2) + p log(n) + 6 c log(n), where c
    counts the changes and s^2 is the variance of the innovations that an autoregression of order p leaves of the
    residuals (Burg's recursion), p from 0 to 8 chosen alike: a Bayesian information criterion for piecewise lines in
    correlated noise, with a doubled price for a change.
    """
    check_record(t_s, values)
    count = min(blocks, t_s.size // LEAST_SAMPLES)
    if count < LEAST_BLOCKS:
        raise RecordError(
            f"a record of {t_s.size} samples is too short for change points; "
            f"it needs at least {LEAST_BLOCKS * LEAST_SAMPLES}"
        )
    times, medians, block_s = _block_medians(t_s, values, count)
    medians = _without_lone_blocks(medians)
    edges = _without_transitions(times, medians, _best_segmentation(times, medians))
    at_s = [float(times[edge] + times[edge - 1]) / 2.0 for edge in edges[1:-1]]
    ends = [float(t_s[0]), *at_s, float(t_s[-1])]
    regimes = []
    for number, (first, last) in enumerate(itertools.pairwise(edges)):
        level, slope, middle = _line(times[first:last], medians[first:last])
        begin, end = ends[number], ends[number + 1]
        regimes.append(Regime(begin, end, level + slope * (begin - middle), level + slope * (end - middle)))
    return ChangePoints(tuple(at_s), tuple(regimes), block_s)


def _block_medians(t_s: FloatArray, values: FloatArray, count: int) -> tuple[FloatArray, FloatArray, float]:
    """Middle times and medians of equal stretches of time, those without a sample left out, and their length."""
    block_s = float(t_s[-1] - t_s[0]) / count
    edges = np.searchsorted(t_s, t_s[0] + block_s * np.arange(1, count), side="left")
    spans = list(zip([0, *edges.tolist()], [*edges.tolist(), t_s.size], strict=True))
    filled = [(number, a, b) for number, (a, b) in enumerate(spans) if b > a]
    times = np.array([float(t_s[0]) + (number + 0.5) * block_s for number, _, _ in filled])
    return times, np.array([float(np.median(values[a:b])) for _, a, b in filled]), block_s


def _without_lone_blocks(medians: FloatArray) -> FloatArray:
    """Blocks far off the median of the seven around them put back onto it: fewer than four are no regime."""
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(medians, LONE_BLOCKS, mode="reflect", reflect_type="odd"), 2 * LONE_BLOCKS + 1
    )
    middle = np.median(around, axis=1)
    off = np.abs(medians - middle)
    return np.where(off > LONE_FACTOR * ROBUST * float(np.median(off)), middle, medians)


def _best_segmentation(times: FloatArray, values: FloatArray) -> list[int]:
    """Edges (0, ..., n) of the segments that the criterion prefers."""
    n = values.size
    price = math.log(n)
    order = min(HIGHEST_ORDER, n // 8)
    best, chosen = math.inf, [0, n]
    least = ROUNDING * float(np.max(np.abs(values))) ** 2
    if least == 0.0:
        return chosen  # a constant record
    for edges in _segmentations(_costs(times, values), min(MOST_SEGMENTS, n // SHORTEST)):
        variances = _innovation_variances(_residuals(times, values, edges), order)
        changes = len(edges) - 2
        for p, variance in enumerate(variances):
            criterion = n * math.log(max(variance, least)) + p * price + PENALTY * changes * price
            if criterion < best:
                best, chosen = criterion, edges
    return chosen


def _without_transitions(times: FloatArray, values: FloatArray, edges: list[int]) -> list[int]:
    """Two changes with nothing but the way from one line to the next between them made one.

    A step inside a block leaves a block half-way, which looks like a short regime of its own.
    """
    left = list(edges)
    for begin, end in itertools.pairwise(edges):
        if begin not in left or end not in left or begin == 0 or end == edges[-1] or end - begin > 2 * SHORTEST:
            continue
        before, after = left[left.index(begin) - 1], left[left.index(end) + 1]
        was = _at(times[begin], _line(times[before:begin], values[before:begin]))
        will = _at(times[end - 1], _line(times[end:after], values[end:after]))
        inside = values[begin:end]
        if min(was, will) < float(np.mean(inside)) < max(was, will):
            crossed = np.flatnonzero((inside > (was + will) / 2.0) == (will > was))
            at = begin + int(crossed[0]) if crossed.size else end
            left[left.index(begin) : left.index(end) + 1] = [at]
    return left


def _at(time: float, line: tuple[float, float, float]) -> float:
    """A line's value at a time."""
    level, slope, middle = line
    return level + slope * (time - middle)


def _costs(times: FloatArray, values: FloatArray) -> FloatArray:
    """(n + 1, n + 1) residual sum of squares of a line through the values from i to j - 1; infinite if too short."""
    n = values.size
    x = (times - times[0]) / (times[-1] - times[0]) - 0.5
    y = values - float(np.median(values))

    def prefix(terms: FloatArray) -> FloatArray:
        return np.concatenate([[0.0], np.cumsum(terms)])

    sum_x, sum_y, sum_xx, sum_xy, sum_yy = prefix(x), prefix(y), prefix(x * x), prefix(x * y), prefix(y * y)
    costs = np.full((n + 1, n + 1), np.inf)
    # Rounding of the prefix sums must not make a perfect line look better than another perfect line.
    floor = 1e-12 * float(sum_yy[-1])
    for end in range(SHORTEST, n + 1):
        begin = np.arange(end - SHORTEST + 1)
        size = end - begin
        in_x, in_y = sum_x[end] - sum_x[begin], sum_y[end] - sum_y[begin]
        xx = sum_xx[end] - sum_xx[begin] - in_x * in_x / size
        xy = sum_xy[end] - sum_xy[begin] - in_x * in_y / size
        yy = sum_yy[end] - sum_yy[begin] - in_y * in_y / size
        costs[begin, end] = np.maximum(yy - xy * xy / xx, floor)
    return costs


def _segmentations(costs: FloatArray, most: int) -> list[list[int]]:
    """The edges with the least total cost for 1, 2, ..., ``most`` segments."""
    n = costs.shape[0] - 1
    total = costs[0].copy()
    found = [[0, n]]
    came_from: list[list[int]] = []
    for _ in range(1, most):
        through = total[:, None] + costs
        before = np.argmin(through, axis=0)
        total = through[before, np.arange(n + 1)]
        came_from.append(before.tolist())
        if not math.isfinite(total[n]):
            break
        edges = [n]
        for step in reversed(came_from):
            edges.append(step[edges[-1]])
        found.append([*reversed([*edges, 0])])
    return found


def _residuals(times: FloatArray, values: FloatArray, edges: list[int]) -> FloatArray:
    """(n,) what the lines leave."""
    parts = []
    for first, last in itertools.pairwise(edges):
        level, slope, middle = _line(times[first:last], values[first:last])
        parts.append(values[first:last] - level - slope * (times[first:last] - middle))
    return np.concatenate(parts)


def _line(times: FloatArray, values: FloatArray) -> tuple[float, float, float]:
    """Level at the middle, slope and middle of the least-squares line."""
    middle, level = float(np.mean(times)), float(np.mean(values))
    x = times - middle
    return level, float(np.sum(x * (values - level)) / np.sum(x * x)), middle


def _innovation_variances(residuals: FloatArray, highest: int) -> list[float]:
    """Variance that autoregressions of order 0, 1, ... leave (Burg's recursion)."""
    forward = backward = residuals
    variance = float(np.mean(residuals * residuals))
    variances = [variance]
    for _ in range(highest):
        ahead, behind = forward[1:], backward[:-1]
        power = float(np.sum(ahead * ahead) + np.sum(behind * behind))
        reflection = -2.0 * float(np.sum(ahead * behind)) / power if power > 0.0 else 0.0
        forward, backward = ahead + reflection * behind, behind + reflection * ahead
        variance *= 1.0 - reflection * reflection
        variances.append(variance)
    return variances
