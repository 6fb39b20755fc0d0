"""Was the rig of a flow-accuracy run fit to judge a pump?  Brings the record before each suitability check."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from data.checks import Check, Exclusion, Verdict
from data.samples import FloatArray
from protocols.analysis import suitability, witness
from protocols.analysis.bath import in_the_stations_band
from protocols.analysis.flow_witness import witness_of
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.grid import kept
from protocols.analysis.mass_steps import exclusion_share, first_inside
from protocols.analysis.recurring_falls import recurring_falls
from protocols.analysis.rig.reference import rig_was_checked

LARGEST_EXCLUDED_PERCENT = 5.0

FROZEN_SHARE = 0.1
"""A sensor whose minutes' means are so few different numbers repeats itself: noise makes nearly all of them differ."""

LEAST_UL = 1.0
"""What the balance gains in ten minutes is held against this at least: nothing shows against a flow of nothing."""

OPEN_VESSEL_MG_PER_H = 13.7
"""What water 20 mm wide loses from a vessel without any trap, at 22 degC and 50 % relative humidity."""


def fitness(record: GravimetricRecord, excluded: Sequence[Exclusion], *, least_readings: int = 2) -> Iterator[Check]:
    """Every suitability check for which the run holds something.

    Parameters
    ----------
    least_readings : of one value before a balance that nobody else can vouch for counts as frozen.
    """
    collected = record.collected
    from_s, to_s = record.analysis
    share = 100.0 * exclusion_share(excluded, from_s, to_s) if to_s > from_s else 0.0
    spiked = _readings(record.spiked_s, kept(from_s, to_s, excluded))
    share += 100.0 * spiked / max(spiked + _readings(collected.t_s, [(from_s, to_s)]), 1)
    seen = witness_of(record, excluded)
    own = [
        suitability.data_complete(collected.t_s, from_s, to_s),
        suitability.excluded_share(
            share, LARGEST_EXCLUDED_PERCENT, first_inside(excluded, record.bolus_windows), spiked
        ),
        *recurring_falls(record, excluded),
        *suitability.air_density(record.collected.weighing.air_mg_per_ul, record.lost),
        *_blanks(record),
        _alive(record, seen, least_readings),
    ]
    if seen is not None and to_s > from_s:
        own.append(witness.no_air(seen.minutes, record.started_s, to_s, seen.u_zero_ul_per_h))
        bad = [check.name for check in own if check.verdict is Verdict.INVALID]
        own.append(witness.agrees(seen, from_s, to_s, bad))
        own.append(witness.steady(seen, seen.stretches(record.collecting), bad))
    yield from own
    yield from rig_was_checked(record.run)
    if seen is None and record.run.has("flow"):
        note = "the flow sensor was saturated too often to be compared; a pump in shots needs one of a larger range"
        yield suitability.not_measured("sensor-balance-ratio", "Flow sensor less balance", "%", note, optional=True)
    if record.run.has("outlet_pressure") and to_s > from_s:
        pressure = record.run.corrected("outlet_pressure").within(record.started_s, to_s).good()
        yield suitability.line_open(pressure.t, pressure.values, partial(_over, record))
    yield from in_the_stations_band(record.run, (from_s, to_s))


def _over(record: GravimetricRecord, from_s: FloatArray, to_s: FloatArray) -> FloatArray:
    """How many times the programmed flow the balance gained, at least 1; by its last reading where that is earlier."""
    collected, started_s = record.collected, record.started_s
    if not collected.t_s.size:
        return np.ones(from_s.size)
    ends = np.minimum(to_s, collected.t_s[-1])
    begins = np.minimum(from_s, ends)
    gained = (collected.shown_mg(ends) - collected.shown_mg(begins)) * collected.ul_per_mg
    spans = zip((begins - started_s).tolist(), (ends - started_s).tolist(), strict=True)
    programmed = [record.schedule.expected_volume_ul(max(a, 0.0), max(b, 0.0)) for a, b in spans]
    return np.asarray(np.maximum(gained / np.maximum(programmed, LEAST_UL), 1.0), dtype=np.float64)


def _readings(t_s: FloatArray, spans: Sequence[tuple[float, float]]) -> int:
    """How many moments are within some stretches."""
    return sum(int(np.count_nonzero((t_s >= begin) & (t_s <= end))) for begin, end in spans)


def _blanks(record: GravimetricRecord) -> Iterator[Check]:
    if not record.blanked:
        if record.run.params.get("blank") == "twin":
            note = "the balance under the twin vessel gave no good samples for 90 % of the analysis"
            yield suitability.not_measured("evaporation", "Evaporation", "mg/h", note)
        return
    collected = record.collected
    evaporation = collected.evaporation
    from_s, to_s = record.analysis
    loss = evaporation.component(from_s, max(to_s, from_s + 1.0))
    spread = math.hypot(record.spread_mg_per_h, collected.u_drift_by_warming_mg_per_h())
    yield suitability.evaporation_in_band(evaporation, loss, record.expected_evaporation_mg_per_h, spread)
    yield suitability.blanks_agree(evaporation, planned=record.planned_blanks)


def _alive(record: GravimetricRecord, seen: witness.Witness | None, least_readings: int) -> Check:
    """Whether the balance followed, over the whole delivery into the vessel."""
    rate = record.set_rate_ul_per_h if record.analysis[1] > record.analysis[0] else 0.0

    def moves(from_s: float, to_s: float) -> bool | None:
        if seen is None or seen.u_now_ul_per_h * suitability.CERTAIN > (1.0 - suitability.NO_FLOW_SHARE) * rate / 2.0:
            return None
        flow = seen.minutes.between(from_s, to_s).flow_ul_per_h
        if np.unique(np.round(flow, 6)).size <= FROZEN_SHARE * flow.size + 1.0:
            return None  # lost, or frozen itself
        mean = math.fsum(flow.tolist()) / flow.size - (seen.zero_ul_per_h or 0.0)
        return bool(mean > suitability.NO_FLOW_SHARE * rate + suitability.CERTAIN * seen.u_now_ul_per_h)

    parts = []
    for from_s, to_s in record.collecting:
        inside = (record.shown_t_s >= from_s) & (record.shown_t_s <= to_s)
        parts.append((record.shown_t_s[inside], record.shown_mg[inside]))
    weighing = record.collected.weighing
    return suitability.balance_alive(
        parts,
        rate / record.collected.ul_per_mg,
        weighing.readability_mg,
        weighing.repeatability_mg,
        moves,
        least_readings=least_readings,
    )


def doubt_percent(record: GravimetricRecord, fit: Sequence[Check]) -> float:
    """How wrong the balance can be without anything showing it, where the blank after the delivery is missing.

    As far as the flow sensor can vouch for it; without one, what an open vessel loses.
    """
    if not record.planned_blanks or len(record.collected.evaporation.blanks) == record.planned_blanks:
        return 0.0
    by_sensor = next((check.limit_high for check in fit if check.name == "sensor-balance-ratio"), None)
    if by_sensor is not None:
        return by_sensor
    rate = max(record.set_rate_ul_per_h, 1e-9) if record.analysis[1] > record.analysis[0] else 1e-9
    return 100.0 * OPEN_VESSEL_MG_PER_H * record.collected.ul_per_mg / rate
