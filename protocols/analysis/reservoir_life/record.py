"""One record of mass over the whole life of a filling, across changes of the vessel, and the pump's own words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from data.run import Run
from data.samples import FloatArray
from protocols.analysis.budget import Budget, Component
from protocols.analysis.gravimetric_record import GravimetricRecord, read_record
from protocols.analysis.grid import RecordError
from protocols.analysis.pump_reports import clock_s

HOUR_S = 3600.0

CHANGE_SHARE = 0.1
"""Standard uncertainty of the flow while a vessel is changed, in parts of the programmed one: it is not weighed."""

FILLED_UL = 20.0
"""Standard uncertainty of a filling by weighed syringes."""

BEFORE_S = 120.0
"""Readings from so long before the start tell what the balance showed at the start."""

EDGE_READINGS = 5
"""Readings of which the median is the mass at an end of a vessel's record."""


@dataclass(frozen=True)
class LifeRecord:
    """A run in which one filling is used up.

    Attributes
    ----------
    gravimetric : the record of mass, continued across the changes of the vessel by the programmed flow.
    away_s : time in all for which no vessel stood on the balance.
    filled_ul : what was filled in, by weight, at the reference temperature of the fluid's density.
    """

    run: Run
    gravimetric: GravimetricRecord
    away_s: float
    filled_ul: float

    @property
    def rate_ul_per_h(self) -> float:
        """The programmed rate."""
        return float(self.run.params["rate_ul_per_h"])

    @cached_property
    def t_s(self) -> FloatArray:
        """Times of the readings from the start of delivery to the end of the last vessel."""
        t_s = self.gravimetric.collected.t_s
        inside: FloatArray = t_s[(t_s >= self.gravimetric.started_s) & (t_s <= self.gravimetric.analysis[1])]
        return inside

    @cached_property
    def delivered_ul(self) -> FloatArray:
        """Delivered volume since the start at `t_s`."""
        return self.gravimetric.collected.volume_ul(self.gravimetric.started_s, self.t_s)

    def left(self, at_s: float) -> tuple[float, Budget]:
        """What the reservoir truly holds at a moment: filled less delivered, with its budget, in uL."""
        name, filling = "left in the reservoir", Component("filling by weight", FILLED_UL)
        if at_s <= self.gravimetric.started_s:
            return self.filled_ul, Budget(name, "uL", (filling,))
        volume, budget = self.gravimetric.collected.delivered(self.gravimetric.started_s, at_s)
        gaps = CHANGE_SHARE * self.rate_ul_per_h * self.away_s / HOUR_S
        more = (filling, Component("flow during vessel changes", gaps))
        return self.filled_ul - volume, replace(budget, name=name).plus(*more)

    # -- the pump's own words

    @cached_property
    def statuses(self) -> Mapping[str, Mapping[str, Any]]:
        """What the pump said of itself, by the key under which it was asked."""
        return {str(event.fields["key"]): event.fields for event in self.run.records("pump")}

    @cached_property
    def last_status(self) -> Mapping[str, Any]:
        """The last one before a refill; raises RecordError."""
        counts = [status for key, status in self.statuses.items() if key.startswith("count-")]
        if not counts:
            raise RecordError("the pump was never asked after the start")
        return counts[-1]

    def told_between(self, alarm: str) -> tuple[float, float] | None:
        """Moments of the last reading without an alarm and of the first with it, where the pump tells no log.

        What a person reads off a programmer has neither log nor clock, but the alarms that stand.  None where there
        is a log, or no reading with the alarm.
        """
        first, last = self.statuses["before"], self.last_status
        clocks = (clock_s(first), clock_s(last))
        if last["log"] and all(map(math.isfinite, clocks)):
            return None
        earlier_s = self.gravimetric.started_s
        for key, status in self.statuses.items():
            if key == "before" or key.startswith("count-"):
                if alarm in status["alarms"]:
                    return earlier_s, float(status["answered_s"])
                earlier_s = float(status["answered_s"])
        return None

    def logged_s(self, words: str) -> float | None:
        """Moment on the run's clock of the first entry since the start with these words in the pump's log."""
        first, last = self.statuses["before"], self.last_status
        span = clock_s(last) - clock_s(first)
        if not span > 0.0:
            return None
        pace = (float(last["answered_s"]) - float(first["answered_s"])) / span
        for entry in last["log"]:
            clock, _, text = str(entry).partition(",")
            at_s = float(first["answered_s"]) + (float(clock) - clock_s(first)) * pace
            if words in text and at_s >= self.gravimetric.started_s:
                return at_s
        return None


def read_life(run: Run) -> LifeRecord:
    """Read a run.

    Raises
    ------
    GravimetricRecordError
        When delivery never started, or the balance gave nothing.
    RecordError
        When the filling was not weighed, or nothing was delivered into a vessel.
    """
    if "filled" not in run.answers:
        raise RecordError("the filling was not weighed")
    lives = [phase for phase in run.phases if phase.name.startswith("life-")]
    if not lives:
        raise RecordError("the run ended before anything was delivered")
    found = read_record(run)
    spans = [(phase.t0, phase.t1) for phase in lives]
    spans[0] = (found.started_s - BEFORE_S, spans[0][1])
    t_s, mass, shown, away_s = _joined(found, spans, float(run.params["rate_ul_per_h"]))
    analysis = (found.started_s, min(spans[-1][1], float(t_s[-1])))
    collected = replace(
        found.collected,
        t_s=t_s,
        mass_mg=mass,
        air_mg_per_ul=np.interp(t_s, found.collected.t_s, found.collected.air_mg_per_ul),
        room_degc=np.interp(t_s, found.collected.t_s, found.collected.room_degc),
    )
    complete = len(spans) == sum(str(step.get("name", "")).startswith("life-") for step in run.steps)
    joined = replace(found, analysis=analysis, complete=complete, collected=collected, shown_t_s=t_s, shown_mg=shown)
    return LifeRecord(run, joined, away_s, float(run.answers["filled"]))


def _joined(
    record: GravimetricRecord, spans: list[tuple[float, float]], rate_ul_per_h: float
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Readings in the vessels one after the other, each beginning where the one before would have come to."""
    t_all, mass_all = record.collected.t_s, record.collected.mass_mg
    per_s = rate_ul_per_h / HOUR_S / record.collected.ul_per_mg
    times: list[FloatArray] = []
    masses: list[FloatArray] = []
    shown: list[FloatArray] = []
    end_s = end_mg = away_s = 0.0
    for number, (from_s, to_s) in enumerate(spans):
        inside = (t_all >= from_s) & (t_all <= to_s)
        t_s, mass = t_all[inside], mass_all[inside]
        if t_s.size < 2 * EDGE_READINGS:
            continue
        shift = 0.0
        if times:
            first_s, first_mg = _edge(t_s[:EDGE_READINGS], mass[:EDGE_READINGS])
            shift = end_mg + per_s * (first_s - end_s) - first_mg
            away_s += first_s - end_s
        elif number:
            raise RecordError("the balance gave nothing of the first vessel")
        times.append(t_s)
        masses.append(mass + shift)
        shown.append(record.shown_mg[inside] + shift)
        end_s, end_mg = _edge(t_s[-EDGE_READINGS:], masses[-1][-EDGE_READINGS:])
    if not times:
        raise RecordError("the balance gave too few readings")
    return np.concatenate(times), np.concatenate(masses), np.concatenate(shown), away_s


def _edge(t_s: FloatArray, mass_mg: FloatArray) -> tuple[float, float]:
    return math.fsum(t_s.tolist()) / t_s.size, float(np.median(mass_mg))
