"""Steps and drift of a delivering pump: a CUSUM chart on whole-stroke sums, and the slope of its error.

Sums over whole strokes carry no pulsation, so a chart on them does not alarm at a healthy pump's strokes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from data.checks import Exclusion
from data.samples import FloatArray
from protocols.analysis.grid import RecordError, touched
from protocols.analysis.mass_steps import ROBUST, Expected

DAY_S = 86_400.0
SHIFT_PERCENT = 5.0
"""The shift of the mean that a chart is made for."""

ARL0_S = 30.0 * DAY_S
"""A healthy pump alarms at most this often, on average."""

STATES = 60
"""Of the Markov chain; the run lengths are then good to 1 %."""


@dataclass(frozen=True, slots=True)
class StrokeSums:
    """Flow error over consecutive groups of whole strokes.

    Attributes
    ----------
    end_s : (n,) end of each group.
    error_percent : (n,) of the delivered against the programmed volume; not-a-number where excluded.
    strokes : strokes in a group.
    """

    end_s: FloatArray
    error_percent: FloatArray
    strokes: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A two-sided CUSUM chart.

    Attributes
    ----------
    sigma_percent : standard deviation of one group's error in a healthy pump.
    allowance_percent : k; a deviation within it does not add up.
    limit_percent : h; the chart alarms when a sum passes it.
    group_s : duration of one group.
    """

    sigma_percent: float
    allowance_percent: float
    limit_percent: float
    group_s: float

    def run_length_s(self, shift_percent: float) -> float:
        """Mean time to an alarm of either side after the mean has shifted by so much; at 0 the ARL0."""
        k, h = self.allowance_percent / self.sigma_percent, self.limit_percent / self.sigma_percent
        shift = shift_percent / self.sigma_percent
        rate = 1.0 / run_length(shift, k, h) + 1.0 / run_length(-shift, k, h)
        return self.group_s / rate


@dataclass(frozen=True, slots=True)
class Alarm:
    """A shift that the chart saw: when it began, as far as the chart can tell, when it was seen, and its size."""

    began_s: float
    seen_s: float
    shift_percent: float


def stroke_sums(
    t_s: FloatArray,
    volume_ul: FloatArray,
    expected: Expected,
    stroke_ul: float,
    strokes: int = 1,
    exclusions: Iterable[Exclusion] = (),
) -> StrokeSums:
    """Flow error over each group of whole strokes, counted in programmed volume.

    Parameters
    ----------
    t_s, volume_ul : (n,) record of the cumulative delivered volume.
    expected : cumulative programmed volume; the strokes of a programmed stop are none.
    stroke_ul, strokes : volume of a stroke, and strokes in a group.

    Raises
    ------
    RecordError
        If not even two groups were programmed.
    """
    programmed = expected(t_s)
    rises = np.concatenate([[True], np.diff(programmed) > 0.0])
    group_ul = stroke_ul * strokes
    groups = math.floor((programmed[-1] - programmed[0]) / group_ul + 1e-9)
    if groups < 2:
        raise RecordError(
            f"{programmed[-1] - programmed[0]:.4g} uL programmed is under two groups of {group_ul:.4g} uL; "
            "record longer"
        )
    edges_s = np.interp(programmed[0] + group_ul * np.arange(groups + 1), programmed[rises], t_s[rises])
    delivered = np.diff(np.interp(edges_s, t_s, volume_ul))
    error = 100.0 * (delivered / group_ul - 1.0)
    error[touched(edges_s, exclusions)] = np.nan
    return StrokeSums(edges_s[1:], error, strokes)


def scatter_percent(error_percent: FloatArray) -> float:
    """Robust standard deviation of the groups' errors: shifts and steps hardly count."""
    good = error_percent[np.isfinite(error_percent)]
    return ROBUST * float(np.median(np.abs(good - np.median(good))))


def design_chart(
    sigma_percent: float, group_s: float, shift_percent: float = SHIFT_PERCENT, arl0_s: float = ARL0_S
) -> Chart:
    """A chart for a shift, with at most one false alarm in ``arl0_s`` on average.

    Parameters
    ----------
    sigma_percent : standard deviation of a group's error in a healthy pump, above 0.
    group_s : duration of a group at the programmed rate.

    Notes
    -----
    k is half the shift; h the smallest that keeps the mean run length of both sides together at ``arl0_s``, by the
    Markov chain of Brook and Evans (Biometrika 59, 1972, 539), but never under k: one group alone alarms only from a
    full shift on.  Independent normal errors are assumed; the balance's noise makes neighbouring groups correlate
    negatively, which alarms less.
    """
    if not (sigma_percent > 0.0 and group_s > 0.0 and shift_percent > 0.0):
        raise RecordError("a chart needs a scatter, a group length and a shift above 0")
    k = shift_percent / 2.0 / sigma_percent
    wanted = arl0_s / group_s
    low, high = k, k + 1.0
    while run_length(0.0, k, high) / 2.0 < wanted:
        high *= 1.5
    if run_length(0.0, k, low) / 2.0 >= wanted:
        return Chart(sigma_percent, shift_percent / 2.0, shift_percent / 2.0, group_s)
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (middle, high) if run_length(0.0, k, middle) / 2.0 < wanted else (low, middle)
    return Chart(sigma_percent, shift_percent / 2.0, high * sigma_percent, group_s)


def run_length(shift: float, k: float, h: float) -> float:
    """Mean number of groups until a one-sided CUSUM alarms; all in standard deviations.

    Notes
    -----
    Brook and Evans: the sum is put into `STATES` classes of equal width, and the mean run lengths L solve
    L_i = 1 + sum_j P_ij L_j.  Classes are eliminated from the top without a subtraction (Grassmann, Taksar and Heyman),
    so that even a run length of years of groups has all its digits, and no linear algebra library's last bits count.
    """
    width = 2.0 * h / (2 * STATES - 1)
    # From class i the sum comes into class j when the next error is (j - i) w + k within half a class.
    lower = (np.arange(-STATES, STATES + 1) - 0.5) * width + k - shift
    above = np.array([0.5 * math.erfc(x / math.sqrt(2.0)) for x in lower.tolist()])
    classes = np.arange(STATES)
    chance = (above[:-1] - above[1:])[classes[None, :] - classes[:, None] + STATES]
    chance[:, 0] = 1.0 - above[STATES + 1 - classes]
    alarm = above[2 * STATES - classes]
    steps = np.ones(STATES)
    for top in range(STATES - 1, 0, -1):
        leaves = float(alarm[top]) + float(np.sum(chance[top, :top]))
        enters = chance[:top, top] / leaves
        chance[:top, :top] += enters[:, None] * chance[top, :top]
        alarm[:top] += enters * alarm[top]
        steps[:top] += enters * steps[top]
    return float(steps[0]) / float(alarm[0]) if alarm[0] > 0.0 else math.inf


def alarms(sums: StrokeSums, chart: Chart, target_percent: float = 0.0) -> tuple[Alarm, ...]:
    """Shifts that the chart sees; after each, the mean since it began is the new target and the chart starts anew."""
    found: list[Alarm] = []
    errors, ends = sums.error_percent.tolist(), sums.end_s.tolist()
    high = low = 0.0
    began_high = began_low = 0
    target = target_percent
    for index, error in enumerate(errors):
        if not math.isfinite(error):
            continue
        high = high + error - target - chart.allowance_percent
        low = low - error + target - chart.allowance_percent
        high, began_high = (0.0, index + 1) if high <= 0.0 else (high, began_high)
        low, began_low = (0.0, index + 1) if low <= 0.0 else (low, began_low)
        if max(high, low) <= chart.limit_percent:
            continue
        began = began_high if high > low else began_low
        since = [one for one in errors[began : index + 1] if math.isfinite(one)]
        mean = math.fsum(since) / len(since)
        began_s = ends[began - 1] if began else ends[0] - chart.group_s
        found.append(Alarm(began_s, ends[index], mean - target))
        target, high, low, began_high, began_low = mean, 0.0, 0.0, index + 1, index + 1
    return tuple(found)


def slope_percent_per_day(sums: StrokeSums) -> float:
    """Slope of the error over time: the median of all pairwise slopes (Theil and Sen), which single groups cannot move.

    Groups are condensed to at most 200 medians first.
    """
    good = np.isfinite(sums.error_percent)
    times, errors = _condensed(sums.end_s[good], sums.error_percent[good])
    if len(times) < 2:
        raise RecordError("a slope needs at least two groups of strokes")
    first, second = np.triu_indices(times.size, 1)
    return float(np.median((errors[second] - errors[first]) / (times[second] - times[first]))) * DAY_S


def _condensed(times: FloatArray, values: FloatArray, most: int = 200) -> tuple[FloatArray, FloatArray]:
    """Means of times and medians of values over at most so many equal groups."""
    edges: Sequence[int] = np.linspace(0, times.size, min(most, times.size) + 1).astype(int).tolist()
    spans = list(itertools.pairwise(edges))
    return (
        np.array([float(np.mean(times[a:b])) for a, b in spans]),
        np.array([float(np.median(values[a:b])) for a, b in spans]),
    )
