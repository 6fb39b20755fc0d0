"""Is the balance fit?  Weighings of a reference weight, and a quiet record.

Units: mg, s, mg/h, uL/h.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.samples import FloatArray
from protocols.analysis.reading_noise import FILTER_S
from protocols.analysis.rig import RecordError

READINGS = 10
"""A weighing is the mean of the last so many readings before the load changes."""

LATEST_S = 25.0
"""Of a balance that is read seldom only those of so long before count: a draft may last a minute of the 90 s."""

LEAST_READINGS = 3
"""So many it takes; ten of them show a scatter, and fewer show whether the pan has come to rest."""

ALLAN_TIMES_S = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)

MEDIAN_S = 181.0
"""A spike is judged against the median over this long around it: drafts and doors take 10 to 60 s, under half of it."""

SPIKE_SIGMAS = 6.0
"""White noise passes this once in 5e8 readings."""

FALSE_ALARM = 0.01
"""Probability with which a balance that repeats as it is stated to is found to repeat worse."""

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Weighings:
    """What a reference weight weighed.

    Attributes
    ----------
    error_mg : mean indication less the weight's own mass.
    u_mg : standard uncertainty of that mean, from its scatter alone.
    sd_mg : standard deviation of one weighing (repeatability), ``dof`` its degrees of freedom.
    reading_sd_mg : pooled standard deviation of single readings under constant load.
    """

    error_mg: float
    u_mg: float
    sd_mg: float
    dof: int
    reading_sd_mg: float

    @property
    def u_of_one(self) -> float:
        """Standard deviation of ``error_mg`` over that of one mean of readings: neighbours share a zero."""
        n = self.dof + 1
        return math.sqrt(1.5 * n + 0.5 * (n - 1)) / n

    @property
    def variance_of_one(self) -> float:
        """What is expected of the square of ``sd_mg``, over the variance of one mean of readings."""
        return 1.5 - 0.5 / (self.dof + 1)


def latest(t_s: FloatArray, mass_mg: FloatArray) -> FloatArray:
    """The last readings (n,) of a load: those of the last `LATEST_S`, at most `READINGS`."""
    return mass_mg[t_s > t_s[-1] - LATEST_S][-READINGS:] if t_s.size else mass_mg


def weighings(empty: Sequence[FloatArray], loaded: Sequence[FloatArray], mass_mg: float) -> Weighings:
    """Compare a balance with a weight that was put on and off in turn.

    Parameters
    ----------
    empty, loaded : readings (n,) with and without the weight, in order; one more without than with it.
    mass_mg : conventional mass of the weight, as its certificate states it.

    Raises
    ------
    RecordError
        If there are fewer than two weighings or one has fewer than `LEAST_READINGS` readings.

    Notes
    -----
    Each weighing is the mean with the weight less the mean of those without it before and after, which takes out a
    steady drift (EURAMET cg-18, 5.1: repeatability by repeated loading).  A conventional mass is defined for steel in
    air of 1.2 kg/m3, so a steel weight needs no buoyancy correction.
    """
    if len(loaded) < 2 or len(empty) != len(loaded) + 1:
        raise RecordError(f"{len(loaded)} weighings do not show a scatter; at least 2 are needed")
    short = next((readings for readings in (*empty, *loaded) if readings.size < LEAST_READINGS), None)
    if short is not None:
        raise RecordError(f"a weighing has {short.size} good readings; it needs {LEAST_READINGS}")
    last = [readings[-READINGS:] for readings in (*empty, *loaded)]
    means = [math.fsum(readings.tolist()) / readings.size for readings in last]
    zeros, loads = means[: len(empty)], means[len(empty) :]
    found = [load - (zeros[k] + zeros[k + 1]) / 2.0 for k, load in enumerate(loads)]
    n = len(found)
    mean = math.fsum(found) / n
    sd = math.sqrt(math.fsum((one - mean) ** 2 for one in found) / (n - 1))
    pooled = math.fsum(float(np.var(readings, ddof=1)) for readings in last) / len(last)
    return Weighings(mean - mass_mg, sd / math.sqrt(n), sd, n - 1, math.sqrt(pooled))


@dataclass(frozen=True, slots=True)
class Repeatability:
    """Standard deviation of one mean of readings under a load that was put on anew, and its degrees of freedom."""

    sd_mg: float
    dof: int

    def largest_mg(self, declared_mg: float) -> float:
        """What a balance with a declared standard deviation passes with the probability `FALSE_ALARM` alone."""
        from scipy.special import chdtri

        return declared_mg * math.sqrt(float(chdtri(self.dof, FALSE_ALARM)) / self.dof)


def repeatability(weighed: Sequence[Weighings]) -> Repeatability:
    """Pool the scatter of the weighings of several weights.

    Notes
    -----
    A weighing is a mean L with the weight less the mean of the zeros Z before and after: its variance is 1.5 of that of
    one of them, and neighbours, which share a zero, have a covariance of 0.25.  So the sample variance of n weighings
    is expected to be 1.5 - 0.5 / n of it, and the variance of their mean is (1.5 n + 0.5 (n - 1)) / n^2.
    """
    dof = sum(one.dof for one in weighed)
    squares = math.fsum(one.dof * one.sd_mg**2 / one.variance_of_one for one in weighed)
    return Repeatability(math.sqrt(squares / dof), dof)


def declared_mg(balance: Mapping[str, float], apart_h: float) -> float:
    """Standard deviation of one mean of readings by what the station file says of the balance.

    Parameters
    ----------
    balance : its table ``uncertainty``, in our units.
    apart_h : time from one load to the next; half of what the zero walks in it is left in a weighing.

    Notes
    -----
    The means of ten readings scatter no more than single readings, for which the repeatability is stated.
    """
    walked = balance["zero_walk_mg"] * math.sqrt(0.5 * apart_h)
    return math.hypot(balance["repeatability_mg"], balance["readability_mg"] / math.sqrt(12.0), walked)


@dataclass(frozen=True, slots=True)
class Quiet:
    """What a balance shows when nothing happens.

    Attributes
    ----------
    rms_mg : root mean square of the residuals from a straight line.
    drift_mg_per_h : slope of that line.
    u_drift_mg_per_h : standard error of the slope, of residuals that hang together as readings behind a filter do; a
        wandering zero comes on top of it.
    spikes : separate excursions beyond `SPIKE_SIGMAS`; ``largest_mg`` the largest of them, 0 without any.
    allan_s, allan_mg : averaging times and Allan deviations of the reading.
    """

    rms_mg: float
    drift_mg_per_h: float
    u_drift_mg_per_h: float
    spikes: int
    largest_mg: float
    allan_s: FloatArray
    allan_mg: FloatArray


def quiet(t_s: FloatArray, mass_mg: FloatArray, readability_mg: float) -> Quiet:
    """Describe a quiet record.

    Parameters
    ----------
    t_s, mass_mg : (n,) times, evenly spaced but for lost samples, and good readings.
    readability_mg : the digit to which the balance rounds; noise below it counts as half of it.

    Raises
    ------
    RecordError
        If there are fewer than 60 readings.
    """
    if t_s.size < 60:
        raise RecordError(f"a quiet record of {t_s.size} good readings says nothing; it needs 60")
    interval_s = float(np.median(np.diff(t_s)))
    beyond, sigma = _spikes(mass_mg, max(3, round(MEDIAN_S / interval_s) | 1), readability_mg)
    calm = np.abs(beyond) <= SPIKE_SIGMAS * sigma
    slope, rms = _line(t_s[calm], mass_mg[calm])
    # Of n points evenly spaced over T the slope has s sqrt(12 / n) / T.
    kept = math.exp(-interval_s / FILTER_S)
    independent = np.count_nonzero(calm) * (1.0 - kept) / (1.0 + kept)
    u_slope = rms * math.sqrt(12.0 / independent) / float(t_s[-1] - t_s[0])
    starts = np.flatnonzero(~calm[1:] & calm[:-1]).size + int(not calm[0])
    largest = 0.0 if calm.all() else float(np.max(np.abs(beyond[~calm])))
    lasted_s = float(t_s[-1] - t_s[0]) + interval_s
    # A record that was to last three times as long may lack a reading at an end.
    times = [tau for tau in ALLAN_TIMES_S if interval_s <= tau <= lasted_s / 3.0 + interval_s]
    deviations = [allan_deviation(mass_mg, max(1, round(tau / interval_s))) for tau in times]
    return Quiet(rms, slope * 3600.0, u_slope * 3600.0, starts, largest, np.array(times), np.array(deviations))


def allan_deviation(values: FloatArray, m: int) -> float:
    """Overlapping Allan deviation of the means of ``m`` consecutive values (n,), in their unit.

    Notes
    -----
    sigma^2 = <(mean_{k+m} - mean_k)^2> / 2 over every k (NIST SP 1065, 5.2.4, with the values as frequencies): white
    noise falls as 1/sqrt(m), drift grows as m, a random walk as sqrt(m).
    """
    total = np.concatenate(([0.0], np.cumsum(values - values[0])))
    means = (total[m:] - total[:-m]) / m
    steps = means[m:] - means[:-m]
    if steps.size == 0:
        raise RecordError(f"{values.size} values hold no two means of {m}")
    return math.sqrt(float(np.mean(steps * steps)) / 2.0)


def _spikes(mass_mg: FloatArray, width: int, readability_mg: float) -> tuple[FloatArray, float]:
    """Distance of each reading from the running median, and the standard deviation of an undisturbed one."""
    from scipy.ndimage import median_filter

    beyond: FloatArray = mass_mg - median_filter(mass_mg, size=width, mode="nearest")
    # 1.4826 makes the median absolute deviation of a normal distribution its standard deviation.
    sigma = 1.4826 * float(np.median(np.abs(beyond)))
    return beyond, max(sigma, readability_mg / 2.0)


def _line(t_s: FloatArray, values: FloatArray) -> tuple[float, float]:
    """Slope a second of the straight line by least squares, and root mean square of the residuals."""
    t = t_s - math.fsum(t_s.tolist()) / t_s.size
    y = values - math.fsum(values.tolist()) / values.size
    slope = math.fsum((t * y).tolist()) / math.fsum((t * t).tolist())
    rest = y - slope * t
    return slope, math.sqrt(math.fsum((rest * rest).tolist()) / (t.size - 2))
