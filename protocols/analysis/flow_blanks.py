"""Blanks of a run with what its station file declares: the zero's walk, the line, the air.

`refill-port` lets the record of a blank speak alone (`evaporation.blank`): its line is closed and lets nothing breathe.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from data.run import Run
from data.samples import FloatArray
from data.schedule import Schedule
from protocols.analysis.blank_weights import weighted
from protocols.analysis.evaporation import (
    HOUR_S,
    STRETCHES,
    Blank,
    Evaporation,
    noise_carries_over_digits,
    stretch_means,
)
from protocols.analysis.gravimetric_forecast import Rig
from protocols.analysis.gravimetric_record import GravimetricRecord, mg_per_k, read_record
from protocols.analysis.known_blank import Known, Stretches, known_blank
from protocols.analysis.room import (
    AIR_PER_K,
    LINE_U_SHARE,
    THERMOMETER_S,
    THERMOMETER_U_SHARE,
    air_mg,
    line_mg_per_k,
    wander_mg,
)

MINUTE_S = 60.0
ROOM_STEADY_S = 300.0
"""Half of `room.ROOM_SMOOTH_S`: what a thermometer shows from so long before a moment to so long after is a line."""

LEAST_SHARE = 0.8
"""A thermometer that was read in fewer of a blank's minutes does not tell what the room did."""


def known_record(
    run: Run, schedule: Schedule | None = None, analysis: tuple[float, float] | None = None
) -> GravimetricRecord:
    """Read a run, and estimate its blanks with what is known beforehand.

    Parameters
    ----------
    schedule : as of `read_record`.
    analysis : what is judged, and over which the loss has to be known best; the phase of this name by default.

    Raises
    ------
    GravimetricRecordError
        When delivery never started, or the balance gave nothing.
    """
    record = read_record(run, schedule)
    if analysis is not None:
        record = replace(record, analysis=analysis)
    if not record.blanked:
        return record
    station = run.station
    balance = station["instruments"][run.roles["reference_mass"].partition(".")[0]]
    known = known_of(balance["uncertainty"], station["collection"], str(run.params["blank"]), record.unmeasured)
    if known is None:
        return record
    digit = balance["uncertainty"]["readability_mg"]
    blanks = tuple(_again(record, one, known, digit) for one in record.collected.evaporation.blanks)
    u_line = LINE_U_SHARE * known.breathes_mg_per_k
    collected = replace(record.collected, evaporation=Evaporation(blanks), u_line_mg_per_k=u_line)
    if record.analysis[1] > record.analysis[0]:
        collected = weighted(collected, *record.analysis)
    return replace(record, collected=collected)


def known_rig(rig: Rig) -> Rig:
    """A rig whose blanks are estimated as `known_record` does."""
    return replace(rig, known=known_of(rig.uncertainty, rig.collection, rig.blank, rig.unmeasured))


def known_of(
    uncertainty: Mapping[str, Any], collection: Mapping[str, Any], blank: str, unmeasured: Container[str]
) -> Known | None:
    """What is known of a blank before it is taken.

    Parameters
    ----------
    uncertainty, collection : tables of the balance and of the station, as a run file keeps them.
    blank : how it is taken; a twin vessel stands on another balance, of which the air at this one says nothing.
    unmeasured : what of the air nothing measured, of `measured_air.AIR`.

    Returns
    -------
    Known or None
        None where no thermometer tells what the room did, or no walk is declared: then the record speaks alone.
    """
    walk_mg = uncertainty["zero_walk_mg"]
    if walk_mg <= 0.0 or blank == "twin" or "room_temperature" in unmeasured:
        return None
    displaced_mg = air_mg(collection)
    line = line_mg_per_k(collection, blank)
    lags = (line + displaced_mg * AIR_PER_K) * THERMOMETER_S / HOUR_S
    wander = wander_mg(walk_mg, mg_per_k(uncertainty, collection), displaced_mg, unmeasured)
    return Known(wander, line, lags, THERMOMETER_U_SHARE * lags)


def _again(record: GravimetricRecord, alone: Blank, known: Known, digit_mg: float) -> Blank:
    """A blank by what is known, over the same stretch; by the record alone where the thermometer failed."""
    collected = record.collected
    inside = (collected.t_s >= alone.from_s) & (collected.t_s <= alone.to_s)
    t_s, mass_mg = collected.t_s[inside], collected.mass_mg[inside]
    many = min(STRETCHES, t_s.size // 2)
    room = record.run.corrected("room_temperature").within(alone.from_s, alone.to_s).good()
    minute = np.floor((room.t - alone.from_s) / MINUTE_S).astype(np.int64)
    seen, index = np.unique(minute, return_inverse=True)
    if seen.size < max(2.0, LEAST_SHARE * (alone.to_s - alone.from_s) / MINUTE_S):
        return alone
    count = np.bincount(index)
    middle_s, degc = (np.bincount(index, weights=part) / count for part in (room.t, room.values))
    _, mean_degc = stretch_means(t_s, np.asarray(np.interp(t_s, middle_s, degc)), many)
    mean_t, mean_mg = stretch_means(t_s, mass_mg, many)
    rounding_mg = 0.0 if noise_carries_over_digits(mass_mg, digit_mg) else digit_mg
    warming = warming_k_per_h(np.asarray(middle_s), np.asarray(degc), mean_t)
    stretches = Stretches(alone.from_s, alone.to_s, mean_t, mean_mg, mean_degc, warming)
    return known_blank(stretches, known, rounding_mg)


def warming_k_per_h(t_s: FloatArray, degc: FloatArray, at_s: FloatArray) -> FloatArray:
    """How fast a thermometer rose around some times: slope of a straight line through what is near each of them.

    From minute to minute it would show a thermometer's noise, 2 mK of a reading as 0.1 K/h.  Where it was silent for
    longer than what is near, the slope is that over the gap; ``t_s`` holds two times at least.
    """
    found = []
    for middle in at_s.tolist():
        near = np.flatnonzero(np.abs(t_s - middle) <= ROOM_STEADY_S)
        if near.size < 2:
            after = int(np.clip(np.searchsorted(t_s, middle), 1, t_s.size - 1))
            near = np.array([after - 1, after])
        t, values = t_s[near] - t_s[near].mean(), degc[near]
        found.append(math.fsum((t * values).tolist()) / math.fsum((t * t).tolist()) * HOUR_S)
    return np.array(found)
