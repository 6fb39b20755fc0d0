"""A schedule worked out on the run's clock: edges, constant rates between them, volume delivered up to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.samples import FloatArray
from data.schedule_modes import DAY_S, HOUR_S, Basal, Bolus, Continuous, Flex, PeriodicBolus

IntArray = npt.NDArray[np.int64]

BASAL = 0  # label of basal delivery; boluses are numbered from 1
REPEATED = -1  # source of a bolus that is a turn of the periodic one


@dataclass(frozen=True, slots=True)
class Course:
    """Piecewise constant delivery from the start of delivery to ``horizon_s`` on the run's clock.

    Attributes
    ----------
    edges_s : (n + 1,) rising; edges_s[0] = 0, edges_s[n] = horizon_s.
    rates_ul_per_h : (n,) rate from edges_s[i] (included) to edges_s[i + 1].
    volumes_ul : (n + 1,) volume delivered up to each edge.
    labels : (n,) `BASAL`, or the number of the bolus that began last.
    starts_s : (m,) beginning of bolus 1 to m on the pump's clock, in order.
    sources : (m,) index of each of them among the planned boluses, or `REPEATED`.
    """

    horizon_s: float
    edges_s: FloatArray
    rates_ul_per_h: FloatArray
    volumes_ul: FloatArray
    labels: IntArray
    starts_s: FloatArray
    sources: IntArray

    def index(self, t: FloatArray) -> IntArray:
        """Index of the stretch in which each time lies."""
        return np.clip(np.searchsorted(self.edges_s, t, side="right") - 1, 0, len(self.rates_ul_per_h) - 1)

    def rate(self, t: FloatArray) -> FloatArray:
        """Rate at each time, continuous from the right; 0 before the start of delivery."""
        return np.where(t < 0.0, 0.0, self.rates_ul_per_h[self.index(t)])

    def volume(self, t: FloatArray) -> FloatArray:
        """Volume delivered from the start of delivery to each time; linear between edges, so exact."""
        t = np.maximum(t, 0.0)
        index = self.index(t)
        reached = self.volumes_ul[index] + self.rates_ul_per_h[index] * (t - self.edges_s[index]) / HOUR_S
        return np.minimum(reached, self.volumes_ul[index + 1])  # the last bit must not pass the next edge


def work_out(
    basal: Basal,
    planned: Sequence[Bolus],
    periodic: PeriodicBolus | None,
    day_offset_s: float,
    clock_gain: float,
    horizon_s: float,
) -> Course:
    """Lay a schedule out on the run's clock.

    Parameters
    ----------
    planned : boluses that come once, in order of their beginning.
    day_offset_s : what the pump's clock shows at the start of delivery, in seconds after its midnight.
    clock_gain : seconds of the pump's clock in one second of the run's clock.

    Notes
    -----
    Edges are laid out on the pump's clock, where those that people mean to coincide do to the microsecond, then moved
    to the run's clock.  A basal rate is what was programmed, in uL per true hour; a bolus keeps its volume, so its
    rate follows its true duration.
    """
    end = horizon_s * clock_gain
    basal_edges, basal_rates = _basal_steps(basal, day_offset_s, end)
    turns = _turns(periodic, end)
    turn_ends = turns + (periodic.duration_s if periodic else 0.0)
    planned = [bolus for bolus in planned if bolus.at_s < end]
    planned_edges = [edge for bolus in planned for edge in (bolus.at_s, bolus.end_s)]
    edges = np.round(np.concatenate([basal_edges, turns, turn_ends, planned_edges]), 6)
    edges = np.unique(np.append(edges[(edges > 0.0) & (edges < end)], [0.0, end]))
    middles = 0.5 * (edges[:-1] + edges[1:])

    starts = np.concatenate([[bolus.at_s for bolus in planned], turns])
    sources = np.concatenate([np.arange(len(planned)), np.full(len(turns), REPEATED)]).astype(np.int64)
    order = np.argsort(starts, kind="stable")
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.arange(1, len(order) + 1)

    rates = basal_rates[np.searchsorted(basal_edges, middles, side="right") - 1]
    labels = np.full(len(middles), BASAL, dtype=np.int64)
    began = np.full(len(middles), -np.inf)
    for bolus in planned:
        if bolus.kind == "bridge":
            rates[(middles >= bolus.at_s) & (middles < bolus.end_s)] = 0.0
    if periodic is not None and len(turns):
        turn = np.searchsorted(turns, middles, side="right") - 1
        on = (turn >= 0) & (middles < turn_ends[np.maximum(turn, 0)])
        rates[on] += periodic.volume_ul / periodic.duration_s * HOUR_S * clock_gain
        labels[on] = numbers[len(planned) + turn[on]]
        began[on] = turns[turn[on]]
    for number, bolus in zip(numbers, planned, strict=False):
        _lay_over(bolus, int(number), clock_gain, middles, rates, labels, began)
    return _merged(edges / clock_gain, rates, labels, starts[order], sources[order], horizon_s)


def _lay_over(
    bolus: Bolus,
    number: int,
    clock_gain: float,
    middles: FloatArray,
    rates: FloatArray,
    labels: IntArray,
    began: FloatArray,
) -> None:
    """Add one planned bolus to the rates, and its number where no later bolus runs; the arrays are changed."""
    first, last = np.searchsorted(middles, (bolus.at_s, bolus.end_s))
    within = slice(int(first), int(last))
    rates[within] += bolus.rate_ul_per_h * clock_gain
    later = began[within] <= bolus.at_s
    labels[within][later] = number
    began[within][later] = bolus.at_s


def _merged(
    edges_s: FloatArray, rates: FloatArray, labels: IntArray, starts_s: FloatArray, sources: IntArray, horizon_s: float
) -> Course:
    """Join neighbours that do not differ and sum the volumes."""
    keep = np.ones(len(rates), dtype=np.bool_)
    keep[1:] = (rates[1:] != rates[:-1]) | (labels[1:] != labels[:-1])
    edges_s = np.append(edges_s[:-1][keep], horizon_s)
    rates, labels = rates[keep], labels[keep]
    volumes = np.concatenate([[0.0], np.cumsum(rates * np.diff(edges_s) / HOUR_S)])
    return Course(horizon_s, edges_s, rates, volumes, labels, starts_s, sources)


def _basal_steps(basal: Basal, day_offset_s: float, end: float) -> tuple[FloatArray, FloatArray]:
    """Times on the pump's clock since the start of delivery at which a basal rate begins, and those rates."""
    if isinstance(basal, Flex):
        days = np.arange(0.0, np.ceil((end + day_offset_s) / DAY_S) + 1.0)
        times = np.array([time_s for time_s, _ in basal.steps])
        edges = (days[:, None] * DAY_S + times[None, :] - day_offset_s).ravel()
        return edges, np.tile([rate for _, rate in basal.steps], len(days))
    rate = basal.rate_ul_per_h if isinstance(basal, Continuous) else 0.0
    return np.array([0.0]), np.array([rate])


def _turns(periodic: PeriodicBolus | None, end: float) -> FloatArray:
    """Beginnings of the periodic bolus before ``end``."""
    if periodic is None or periodic.first_s >= end:
        return np.empty(0)
    count = int(np.ceil((end - periodic.first_s) / periodic.interval_s))
    return np.round(periodic.first_s + periodic.interval_s * np.arange(count), 6)
