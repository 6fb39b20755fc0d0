"""Falls of the mass that recur: a roller that draws back with each stroke, or something that takes as regularly.

By the balance alone nobody can tell the two apart.  The flow sensor can: what a roller draws back passes it, what a
compressor, an adjustment of the balance or a person takes does not.  Where no sensor can tell, falls are the pump's
only where its model file declares a mechanism that makes them.  docs/explanation/verdict.md
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.checks import Check, Exclusion, Limits
from data.samples import FloatArray
from protocols.analysis.flow_witness import witness_of
from protocols.analysis.gravimetric_record import GravimetricRecord
from protocols.analysis.grid import BoolArray, kept
from protocols.analysis.mass_steps import (
    ALIKE,
    NEAR_STROKE,
    OFTEN_S,
    RECURRING,
    SETTLING_S,
    falls,
    in_multiples,
    negative_steps,
)
from protocols.analysis.suitability import CERTAIN, judged
from protocols.analysis.witness import MINUTE_S, ZERO_WANDERS, Witness

HOUR_S = 3600.0

EXIT_SHARE = 0.02
"""A roller that turns as evenly as it is programmed leaves its tube in no less than this share of a stroke."""

DECLARED = (0.5, 1.25)
"""What is drawn back lies between these multiples of what the model file declares."""

TELLS = 0.5
"""A sensor tells whose falls they are where `CERTAIN` standard uncertainties are no more than this part of them."""

NAME, TITLE = "recurring-falls", "Recurring falls of the mass that are not the pump's"


@dataclass(frozen=True)
class Falls:
    """Falls of like size that come each so many milligrams, or each so many seconds.

    Attributes
    ----------
    from_s, to_s : (n,) each.
    lost_mg : (n,) by which the mass is below where the mean flow would have had it.
    size_mg, period_s, lasts_s : of a usual one: how far it falls, after what time the next comes, and how long it takes
        at least and at most.
    by_stroke : whether they come with the pump's declared stroke.
    """

    from_s: FloatArray
    to_s: FloatArray
    lost_mg: FloatArray
    size_mg: float
    period_s: float
    lasts_s: tuple[float, float]
    by_stroke: bool


def regular_falls(
    t_s: FloatArray, mass_mg: FloatArray, stroke_mg: float, without: Sequence[tuple[float, float]] = ()
) -> Falls | None:
    """Falls that recur in a record, None where none do.

    Parameters
    ----------
    t_s, mass_mg : (n,) times, rising, and mass while fluid is delivered.
    stroke_mg : of the pump, 0 where it has none.
    without : stretches whose falls are of no interest: boluses, and what is left out.

    Notes
    -----
    At least `mass_steps.RECURRING` falls; nine in ten are below twice the median; and half of the times, or of the
    masses, from one to the next are within a tenth of whole multiples of the least.  What comes back at once was no
    loss.
    """
    if t_s.size < 2 * RECURRING:
        return None
    begins, ends = falls(mass_mg)
    used = np.ones(begins.size, np.bool_)
    for begin, end in without:
        used &= (t_s[ends] < begin) | (t_s[begins] > end)
    begins, ends = begins[used], ends[used]
    if begins.size < RECURRING:
        return None
    sizes, gaps = mass_mg[begins] - mass_mg[ends], np.diff(t_s[begins])
    usual = float(np.median(sizes))
    nets = np.diff(mass_mg[begins])
    in_time, in_mass = in_multiples(gaps), float(np.quantile(nets, 0.1)) > 0.0 and in_multiples(nets)
    if float(np.quantile(sizes, 0.9)) > ALIKE * usual or not (in_time or in_mass):
        return None
    least_s = float(np.quantile(gaps, 0.1))
    period_s = float(np.median(gaps / np.maximum(np.round(gaps / least_s), 1.0)))
    flow = max(float(mass_mg[-1] - mass_mg[0]) + math.fsum(sizes.tolist()), 0.0) / float(t_s[-1] - t_s[0])
    settled_s = t_s[ends] + min(SETTLING_S, 0.1 * period_s)
    after = np.minimum(np.searchsorted(t_s, settled_s, side="right") - 1, t_s.size - 1)
    lost = mass_mg[begins] + flow * (t_s[after] - t_s[begins]) - mass_mg[after]
    gone = (lost > 0.5 * sizes) & (sizes <= ALIKE * usual)
    if np.count_nonzero(gone) < max(RECURRING, begins.size / 2.0):
        return None
    # Of the intervals in which it falls the first and the last may have been touched alone.
    least, most = np.maximum(t_s[ends - 1] - t_s[begins + 1], 0.0), t_s[ends] - t_s[begins]
    lasts_s = float(np.median(least)), float(np.median(most))
    off_mg = abs(float(np.quantile(nets, 0.1)) - stroke_mg)
    by_stroke = in_mass and stroke_mg > 0.0 and off_mg <= NEAR_STROKE * stroke_mg
    return Falls(t_s[begins[gone]], t_s[ends[gone]], lost[gone], usual, period_s, lasts_s, by_stroke)


@dataclass(frozen=True, slots=True)
class Unseen:
    """What the balance lost in falls, how much of that did not pass the flow sensor, and its standard uncertainty."""

    lost_ul: float
    unseen_ul: float
    u_ul: float

    @property
    def tells(self) -> bool:
        """Whether the sensor is good enough to tell whose falls they are."""
        return CERTAIN * self.u_ul <= TELLS * self.lost_ul

    @property
    def passed(self) -> bool:
        """Whether it says that all of it passed."""
        return self.tells and self.unseen_ul <= CERTAIN * self.u_ul


def beside_sensor(
    seen: Witness,
    found: Falls,
    ul_per_mg: float,
    reading_ul: float,
    usable: Sequence[tuple[float, float]],
) -> Unseen | None:
    """Sensor less balance in the minutes around each fall, None where the sensor gave less than half of them.

    Parameters
    ----------
    reading_ul : standard uncertainty of one reading of the balance.
    usable : stretches in which what passes the sensor comes into the vessel, at a flow that it follows.

    Notes
    -----
    Less what both differ by in the other minutes, where these are as many: gain and zero of the sensor, a leak or a
    wrong evaporation cancel then.  Of the gain the part of the difference of both flows is left, of the zero its
    wander.  The scatter of the other minutes has the noise of both, and what the line holds back from one to the next.
    """
    minutes = seen.minutes
    begins, ends = minutes.t_s - MINUTE_S / 2.0, minutes.t_s + MINUTE_S / 2.0
    known = np.isfinite(minutes.flow_ul_per_h) & _inside(begins, ends, usable)
    near = np.zeros(known.size, np.bool_)
    covered = np.zeros(found.from_s.size, np.bool_)
    for i, (from_s, to_s) in enumerate(zip(found.from_s.tolist(), found.to_s.tolist(), strict=True)):
        beside = (ends > from_s - MINUTE_S) & (begins < to_s + MINUTE_S)
        covered[i] = bool(beside.any() and known[beside].all())
        near |= beside
    if np.count_nonzero(covered) < 0.5 * covered.size:
        return None
    rest, near = known & ~near, known & near
    hours = MINUTE_S / HOUR_S
    sensor = (minutes.flow_ul_per_h - (seen.zero_ul_per_h or 0.0)) * hours
    differs = sensor - (seen.volume_ul(ends) - seen.volume_ul(begins))
    n, others = int(np.count_nonzero(near)), int(np.count_nonzero(rest))
    lost_ul = math.fsum(found.lost_mg[covered].tolist()) * ul_per_mg
    unseen = math.fsum(differs[near].tolist())
    gain, noise = seen.u_gain_percent / 100.0, reading_ul * math.sqrt(2.0 * _blocks(near))
    if others < max(n, 2):
        u = (gain * abs(math.fsum(sensor[near].tolist())), n * hours * seen.u_now_ul_per_h, noise)
        return Unseen(lost_ul, unseen, math.hypot(*u))
    scatter = float(np.std(differs[rest], ddof=1)) * math.sqrt(n * (1.0 + n / others))
    flows = math.fsum(sensor[near].tolist()) - n * float(sensor[rest].mean())
    u = (gain * abs(flows), n * hours * ZERO_WANDERS * seen.u_zero_ul_per_h, max(noise, scatter))
    return Unseen(lost_ul, unseen - n * float(differs[rest].mean()), math.hypot(*u))


def _inside(begins: FloatArray, ends: FloatArray, spans: Sequence[tuple[float, float]]) -> BoolArray:
    within = np.zeros(begins.size, np.bool_)
    for from_s, to_s in spans:
        within |= (begins >= from_s) & (ends <= to_s)
    return within


def _blocks(flags: BoolArray) -> int:
    """How many stretches of neighbours are set."""
    return int(np.count_nonzero(np.diff(flags.astype(np.int8), prepend=0) > 0))


# ------------------------------------------------------------------------------------------------- of a record


def steps(record: GravimetricRecord) -> list[Exclusion]:
    """Falls of the mass that stay, while fluid was delivered; none that passed the flow sensor as the pump's own."""
    t_s, shown = _shown(record)
    if t_s.size <= 10:
        return []
    found = list(negative_steps(t_s, shown, stroke_mg=record.stroke_mg))
    if len(found) < RECURRING:
        return found
    regular = regular_falls(t_s, shown, record.stroke_mg, _elsewhere(record))
    unseen = None if regular is None else _unseen(record, regular, ())
    if regular is None or unseen is None or not unseen.passed:
        return found
    return [one for one in found if not ((regular.from_s < one.to_s) & (regular.to_s > one.from_s)).any()]


def recurring_falls(record: GravimetricRecord, excluded: Sequence[Exclusion]) -> Iterator[Check]:
    """Whether falls that recur and count as delivery are the pump's; nothing where none do, or they are below U."""
    t_s, shown = _shown(record)
    left_out = [*_elsewhere(record), *((one.from_s, one.to_s) for one in excluded)]
    found = regular_falls(t_s, shown, record.stroke_mg, left_out)
    if found is None:
        return
    delivered, budget = record.collected.delivered(record.started_s, record.analysis[1])
    lost_ul = math.fsum(found.lost_mg.tolist()) * record.collected.ul_per_mg
    if lost_ul <= budget.expanded or delivered <= 0.0:
        return
    percent = 100.0 / delivered
    unseen = _unseen(record, found, excluded)
    told = f"{found.from_s.size} falls of {found.size_mg:.2g} mg, one each {found.period_s / MINUTE_S:.3g} min,"
    if unseen is not None and unseen.tells:
        half = CERTAIN * unseen.u_ul * percent
        note = f"{told} passed the flow sensor: the pump draws back"
        if not unseen.passed:
            note = f"{told} did not pass the flow sensor: something takes from the vessel or moves the balance"
        value, u = unseen.unseen_ul * percent, unseen.u_ul * percent
        yield judged(NAME, TITLE, "%", value, u, Limits(None, half, "3 u of flow sensor and balance"), note)
        return
    limits = Limits(None, budget.expanded * percent, "U of the delivered volume")
    if why := by_mechanism(record.dut, found, record.collected.ul_per_mg):
        yield judged(NAME, TITLE, "%", 0.0, 0.0, limits, f"{told} {why}")
        return
    without = "no flow sensor followed" if unseen is None else "the flow sensor is not known well enough"
    note = (
        f"{told} may be the pump's, or of something that takes as often, and {without} to tell; "
        'measure with one that does, or declare "draws_back" in the model file'
    )
    yield judged(NAME, TITLE, "%", lost_ul * percent, 0.0, limits, note)


def by_mechanism(dut: Mapping[str, Any], found: Falls, ul_per_mg: float) -> str:
    """Why falls are the pump's by what its model file declares; empty where they need not be.

    A roller's come with its stroke, and as large as declared where that is.  Where it is not: a turning roller takes
    its time to leave, a hand or a compressor does not; where the balance was read too seldom to tell, nobody acts as
    often as `mass_steps.OFTEN_S`, in step with a stroke.
    """
    if dut.get("kind") != "peristaltic" or not found.by_stroke:
        return ""
    if (declared := dut.get("draws_back_ul")) is not None:
        low, high = (share * float(declared) for share in DECLARED)
        drawn_ul = found.size_mg * ul_per_mg
        return "come with its stroke, as the model file declares" if low <= drawn_ul <= high else ""
    least_s, most_s = found.lasts_s
    leaves_s = EXIT_SHARE * found.period_s
    if least_s >= leaves_s:
        return "come with the stroke of a roller, as slowly as one leaves"
    return "come with the stroke of a roller" if most_s >= leaves_s and found.period_s < OFTEN_S else ""


def _shown(record: GravimetricRecord) -> tuple[FloatArray, FloatArray]:
    """What the balance sent from the start of delivery to the end of the analysis."""
    inside = (record.shown_t_s >= record.started_s) & (record.shown_t_s <= record.analysis[1])
    return record.shown_t_s[inside], record.shown_mg[inside]


def _elsewhere(record: GravimetricRecord) -> list[tuple[float, float]]:
    """Stretches in which the flow did not go into the vessel, and boluses, in which a pump strokes fast."""
    return [*((one.from_s, one.to_s) for one in record.away), *record.bolus_windows]


def _unseen(record: GravimetricRecord, found: Falls, excluded: Sequence[Exclusion]) -> Unseen | None:
    """Beside the flow sensor of the run; None without one."""
    seen = witness_of(record, excluded)
    if seen is None:
        return None
    weighing = record.collected.weighing
    per_mg = record.collected.ul_per_mg
    reading_ul = math.hypot(weighing.repeatability_mg, weighing.readability_mg / math.sqrt(12.0)) * per_mg
    out = (*excluded, *(Exclusion(*span, "elsewhere") for span in _elsewhere(record)))
    usable = kept(record.started_s, record.analysis[1], out)
    return beside_sensor(seen, found, per_mg, reading_ul, usable)
