"""What a balance is expected to tell of a volume: the evaluation's own budget, with expected inputs.

Blanks are drawn from what the station file declares of its balance and go through the evaluation's own estimate, so
that their uncertainty, its degrees of freedom and the scatter of both are those that runs will find.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from data.quantities import parse
from data.samples import FloatArray
from protocols.analysis import gravimetry
from protocols.analysis.blank_weights import weighted
from protocols.analysis.collection import EVAPORATION_VARIES, Collection
from protocols.analysis.declared import Declared
from protocols.analysis.evaporation import HOUR_S, STRETCHES, Blank, Evaporation, blank_of_means
from protocols.analysis.gravimetric_record import (
    BLANK_SETTLE_S,
    LEAST_BLANK_S,
    collection_of,
    mg_per_k,
    spread_mg_per_h,
    twin_of,
)
from protocols.analysis.known_blank import Known, Stretches, known_blank
from protocols.analysis.measured_air import AIR, STANDARD_AIR
from protocols.analysis.room import (
    AIR_PER_HPA,
    AIR_PER_K,
    AIR_PER_PERCENT,
    COOLEST_H,
    COOLEST_WITHIN_H,
    HUMIDITY_PERCENT,
    HUMIDITY_S,
    LINE_U_SHARE,
    PRESSURE_HPA,
    PRESSURE_S,
    ROOM_K,
    ROOM_SMOOTH_S,
    ROOM_WANDER_K,
    ROOM_WANDER_S,
    THERMOMETER_S,
    air_mg,
    line_mg_per_k,
)
from protocols.steps import Phase, StartDelivery, Step

RUNS = 32
"""Likely runs that are drawn; the middle of their uncertainties is told, and how far they scatter."""

SEED = 20_601
PERIOD_S = 1.0
"""Usual spacing of a balance's readings, where the station file leaves it to the driver."""

WALK_STEPS = 8
"""Steps of the zero's walk within one stretch of a blank."""


REMEDIES = {
    "evaporation": "longer blanks, or a layer of oil",
    "evaporation between blanks": "a layer of oil",
    "balance temperature": "a steadier room, a lighter vessel or longer blanks",
    "zero drift": "blanks on the same balance",
    "zero drift of the twin's balance": "blanks on the same balance",
    "loss of the twin vessel": "blanks on the same balance, or a layer of oil in both vessels",
    "linearity": "a longer analysis, or a balance that is adjusted and linear over the gain",
    "meniscus": "a longer analysis, or a thinner tube",
    "repeatability": "a longer analysis",
    "readability": "a longer analysis, or a balance with a finer digit",
    "breathing of the line": "blanks with the flow diverted, a shorter line or a steadier room",
    "zero walk": "a balance with a steadier zero, away from drafts",
    "density, composition": "the density of this lot, measured",
    "air density on the vessel": "a smaller vessel",
}
"""What lowers each source of the budget."""


@dataclass(frozen=True, slots=True)
class Plan:
    """When a run will do what, from its steps.

    Attributes
    ----------
    phases : name -> begin and end, in s of the run.
    started_s : start of delivery.
    duration_s : of the whole run.
    """

    phases: Mapping[str, tuple[float, float]]
    started_s: float
    duration_s: float

    @property
    def analysis(self) -> tuple[float, float]:
        """Begin and end of the analysis."""
        return self.phases["analysis"]


def plan_of(steps: Iterable[Step]) -> Plan:
    """Times of the steps, each as long as it may take."""
    at_s, started_s = 0.0, 0.0
    phases = {}
    for step in steps:
        if isinstance(step, StartDelivery):
            started_s = at_s
        if isinstance(step, Phase):
            phases[step.name] = (at_s, at_s + step.most_s)
        at_s += step.most_s
    return Plan(phases, started_s, at_s)


@dataclass(frozen=True, slots=True)
class Rig:
    """What the station file declares of the balance and the vessel, and how the evaporation is measured.

    Attributes
    ----------
    uncertainty, twin, collection : tables of the reference balance, of the twin's and of the station.
    period_s, twin_period_s : spacing of their readings.
    blank : "diverter", "stopped", "closed" (stopped, with the line shut), "twin" or "none".
    unmeasured : what of the air no role measures, of "room_temperature", "ambient_pressure" and "humidity".
    start_h : hour of the day at which the run begins; None where that is not known.
    known : what the evaluation takes for known of a blank; None where it lets the record speak alone.
    """

    uncertainty: Mapping[str, Any]
    twin: Mapping[str, Any]
    collection: Mapping[str, Any]
    period_s: float
    twin_period_s: float
    blank: str
    unmeasured: frozenset[str] = frozenset()
    start_h: float | None = None
    known: Known | None = None

    @property
    def u_line_mg_per_k(self) -> float:
        """Standard uncertainty of what the line's breathing is taken for in a blank."""
        return 0.0 if self.known is None else LINE_U_SHARE * self.known.breathes_mg_per_k

    def day_begins(self, rng: np.random.Generator) -> float:
        """Phase of the room's swing at the run's begin, as its thermometer tells it, in rad: by the hour, else any."""
        if self.start_h is None:
            return float(rng.uniform(0.0, 2.0 * math.pi))
        coolest_h = COOLEST_H + THERMOMETER_S / HOUR_S + rng.uniform(-COOLEST_WITHIN_H, COOLEST_WITHIN_H)
        return math.pi * ((self.start_h - coolest_h) / 12.0 - 0.5)


def rig_of(declared: Declared, blank: str) -> Rig | None:
    """Rig of the station's tables; None where they do not declare a balance's uncertainty and a collection."""
    station, roles = declared.station, declared.roles
    balance = _instrument(station, roles.get("reference_mass"))
    twin = _instrument(station, roles.get("twin_mass")) or balance
    uncertainty, collection = balance.get("uncertainty"), station.get("collection")
    if not uncertainty or not collection:
        return None
    own = twin.get("uncertainty") or uncertainty
    certificate = (balance.get("calibration") or {}).get(roles["reference_mass"].partition(".")[2]) or {}
    uncertainty = {**uncertainty, "u_percent": certificate.get("u_percent", 0.0)}
    unmeasured = frozenset(role for role in AIR if role not in roles)
    return Rig(uncertainty, own, collection, _period_s(balance), _period_s(twin), blank, unmeasured, declared.start_h)


def _instrument(station: Mapping[str, Any], target: str | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = station["instruments"].get((target or "").partition(".")[0], {})
    return found


def _period_s(instrument: Mapping[str, Any]) -> float:
    stated = instrument.get("period")
    return parse(stated, "time") if isinstance(stated, str) else PERIOD_S


def likely_runs(plan: Plan, rig: Rig, fluid: Mapping[str, Any], expected_ul: float) -> list[Collection]:
    """What some likely runs of a plan collect, delivering ``expected_ul`` in its analysis."""
    return [_collected(plan, rig, fluid, expected_ul, run, rng) for run, rng in enumerate(_generators())]


def likely_surroundings(plan: Plan, rig: Rig, runs: int) -> Iterator[tuple[Evaporation, FloatArray, FloatArray]]:
    """Evaporation as some likely runs may find it, with times of the run in s and the room's temperature at them."""
    t_s = np.arange(0.0, plan.duration_s + ROOM_SMOOTH_S, ROOM_SMOOTH_S)
    for run, rng in zip(range(runs), _generators(), strict=False):
        phase = rig.day_begins(rng)
        evaporation = _evaporation(plan, rig, run, rng, phase)
        day = ROOM_K * np.sin(2.0 * math.pi * t_s / (24.0 * HOUR_S) + phase)
        yield evaporation, t_s, STANDARD_AIR[0] + day + wander(t_s, ROOM_WANDER_K, ROOM_WANDER_S, rng)


def _generators() -> Iterator[np.random.Generator]:
    return (np.random.default_rng((SEED, run)) for run in range(RUNS))


def _collected(
    plan: Plan, rig: Rig, fluid: Mapping[str, Any], expected_ul: float, run: int, rng: np.random.Generator
) -> Collection:
    """One likely run, known at the ends of its blanks and of its analysis."""
    phase = rig.day_begins(rng)
    evaporation = _evaporation(plan, rig, run, rng, phase)
    edges = {0.0, plan.duration_s, *plan.analysis}
    edges.update(edge for one in evaporation.blanks for edge in (one.from_s, one.to_s))
    t_s = np.array(sorted(edges))
    weather = 0.0 if "ambient_pressure" in rig.unmeasured else wander(t_s, PRESSURE_HPA, PRESSURE_S, rng) * AIR_PER_HPA
    air = gravimetry.air_density_mg_per_ul(*STANDARD_AIR) * (np.ones(t_s.size) + weather)
    day = ROOM_K * np.sin(2.0 * math.pi * t_s / (24.0 * HOUR_S) + phase)
    warmer = day + wander(t_s, ROOM_WANDER_K, ROOM_WANDER_S, rng)
    room = STANDARD_AIR[0] + warmer * ("room_temperature" not in rig.unmeasured)
    from_s, to_s = plan.analysis
    twin = twin_of(rig.uncertainty, rig.twin, rig.collection) if rig.blank == "twin" else None
    tables = evaporation, rig.uncertainty, rig.collection, fluid, twin
    empty = collection_of((t_s, np.zeros(t_s.size), air, room), *tables)
    gained = expected_ul / empty.ul_per_mg * np.clip((t_s - from_s) / (to_s - from_s), 0.0, 1.0)
    shown = gained - evaporation.lost_mg(from_s, t_s)
    collected = collection_of((t_s, shown, air, room), *tables)
    if rig.known is None:
        return collected
    return weighted(replace(collected, u_line_mg_per_k=rig.u_line_mg_per_k), from_s, to_s)


def wander(t_s: FloatArray, sd: float, memory_s: float, rng: np.random.Generator) -> FloatArray:
    """An Ornstein-Uhlenbeck process of a standard deviation at some times, which forgets after a time."""
    found = [rng.normal(0.0, sd)]
    for step_s in np.diff(t_s).tolist():
        kept = math.exp(-step_s / memory_s)
        found.append(kept * found[-1] + rng.normal(0.0, sd * math.sqrt(1.0 - kept * kept)))
    return np.array(found)


def _evaporation(plan: Plan, rig: Rig, run: int, rng: np.random.Generator, phase: float) -> Evaporation:
    """Blanks as one run may find them.

    The loss differs between set-ups, changes with the weather, and a balance that follows the room's temperature shows
    a rate of its own.
    """
    declared = rig.collection["evaporation_mg_per_h"]
    spans, uncertainty, period_s = _blank_spans(plan, rig)
    if not spans:
        stated = rig.collection["evaporation_spread_mg_per_h"]
        return Evaporation((Blank(0.0, plan.duration_s, declared, stated, math.inf),))
    usual = declared + spread_mg_per_h(uncertainty, rig.collection) * rng.normal()
    noise = math.hypot(uncertainty["repeatability_mg"], uncertainty["readability_mg"] / math.sqrt(12.0))
    balance = _Balance(noise, uncertainty["readability_mg"], uncertainty["zero_walk_mg"], period_s)
    surroundings = _Surroundings(
        mg_per_k(uncertainty, rig.collection),
        line_mg_per_k(rig.collection, rig.blank),
        air_mg(rig.collection),
        rig.unmeasured,
    )
    found = []
    for index, (from_s, to_s) in enumerate(spans):
        ends = (math.sin(2.0 * math.pi * t / (24.0 * HOUR_S) + phase) for t in (to_s, from_s))
        warming = ROOM_K * (next(ends) - next(ends)) / ((to_s - from_s) / HOUR_S)
        per_k, pair = _drawn_blanks(round(to_s - from_s), balance, surroundings, rig.known)[run]
        drawn = pair[index]
        weather = declared * EVAPORATION_VARIES * rng.normal()
        rate = usual + weather + drawn.rate_mg_per_h - per_k * warming
        found.append(Blank(from_s, to_s, rate, drawn.u_mg_per_h, drawn.dof))
    return Evaporation(tuple(found))


def _blank_spans(plan: Plan, rig: Rig) -> tuple[list[tuple[float, float]], Mapping[str, Any], float]:
    """What is used of the blanks, and the balance that sees them with the spacing of its readings."""
    if rig.blank == "twin":
        middle = plan.duration_s / 2.0
        return [(0.0, middle), (middle, plan.duration_s)], rig.twin, rig.twin_period_s
    phases = [plan.phases[name] for name in ("blank-before", "blank-after") if name in plan.phases]
    used = [(a + BLANK_SETTLE_S, b) for a, b in phases if b - a - BLANK_SETTLE_S >= LEAST_BLANK_S - 1.0]
    return used, rig.uncertainty, rig.period_s


@dataclass(frozen=True, slots=True)
class _Balance:
    """Noise of one reading with its rounding, the digit, the zero's walk after one hour; and the readings' spacing."""

    noise_mg: float
    readability_mg: float
    walk_mg: float
    period_s: float


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What a balance under a vessel shows of the room.

    Attributes
    ----------
    follows_mg_per_k : standard deviation of the balance's own coefficient.
    breathes_mg_per_k : what the line gives off.
    air_mg : air that the vessel displaces.
    unmeasured : what of that air no role measures.
    """

    follows_mg_per_k: float
    breathes_mg_per_k: float
    air_mg: float
    unmeasured: frozenset[str]

    @property
    def air_mg_per_k(self) -> float:
        """What the vessel gains on the balance in air that is warmer by 1 K."""
        return self.air_mg * AIR_PER_K


@lru_cache(maxsize=64)
def _drawn_blanks(
    length_s: float, balance: _Balance, around: _Surroundings, known: Known | None
) -> tuple[tuple[float, tuple[Blank, Blank]], ...]:
    """Of each likely run, what is left in its blanks of 1 K, and two blanks through the evaluation's own estimate."""
    rng, weather = np.random.default_rng(SEED), np.random.default_rng((SEED, RUNS))
    samples = max(12, math.floor(length_s / balance.period_s))
    stretches = min(STRETCHES, samples // 2)
    edges = np.linspace(0.0, length_s, stretches + 1)
    middles = (edges[1:] + edges[:-1]) / 2.0
    step_s = length_s / (stretches * WALK_STEPS)
    t_s = np.asarray((np.arange(stretches * WALK_STEPS) + 0.5) * step_s, dtype=np.float64)
    rounding = 0.0 if balance.noise_mg >= balance.readability_mg / 2.0 else balance.readability_mg

    def drawn(per_k: float) -> Blank:
        walk = np.cumsum(rng.normal(0.0, balance.walk_mg * math.sqrt(step_s / HOUR_S), t_s.size))
        of_the_room, thermometer = _of_the_room(t_s, per_k, around, weather)
        white = rng.normal(0.0, balance.noise_mg / math.sqrt(samples / stretches), stretches)
        means = np.asarray(walk + of_the_room).reshape(stretches, WALK_STEPS).mean(axis=1) + white
        if known is None:
            return blank_of_means(0.0, length_s, middles, means, rounding)
        warming = np.asarray(np.diff(np.interp(edges, t_s, thermometer)) / np.diff(edges) * HOUR_S)
        room = thermometer.reshape(stretches, WALK_STEPS).mean(axis=1)
        return known_blank(Stretches(0.0, length_s, middles, means, room, warming), known, rounding)

    found = []
    for _ in range(RUNS):
        follows = around.follows_mg_per_k * rng.normal()
        breathes, left = around.breathes_mg_per_k, around.breathes_mg_per_k
        if known is not None:
            breathes *= 1.0 + LINE_U_SHARE * rng.normal()
            left = breathes - known.breathes_mg_per_k
        steady = left + follows + (around.air_mg_per_k if "room_temperature" in around.unmeasured else 0.0)
        found.append((steady, (drawn(breathes + follows), drawn(breathes + follows))))
    return tuple(found)


def _of_the_room(
    t_s: FloatArray, per_k: float, around: _Surroundings, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """What a balance shows at evenly spaced times (n,) because the room wanders, in mg, and what a thermometer does."""
    step_s = float(t_s[1] - t_s[0])
    knots = np.arange(-3.0 * THERMOMETER_S - ROOM_SMOOTH_S * rng.uniform(), t_s[-1] + ROOM_SMOOTH_S, ROOM_SMOOTH_S)
    air_k = wander(knots, ROOM_WANDER_K, ROOM_WANDER_S, rng)
    shown = per_k * np.interp(t_s, knots, air_k)
    grid = np.arange(knots[0], t_s[-1] + step_s, min(step_s, ROOM_SMOOTH_S))
    unseen_k = np.interp(grid, knots, air_k)
    thermometer = _lagged(unseen_k, float(grid[1] - grid[0]) / THERMOMETER_S)
    if "room_temperature" not in around.unmeasured:
        unseen_k = unseen_k - thermometer
    shown = shown + around.air_mg_per_k * np.interp(t_s, grid, unseen_k)
    if "humidity" in around.unmeasured:
        shown = shown + around.air_mg * AIR_PER_PERCENT * np.interp(
            t_s, knots, wander(knots, HUMIDITY_PERCENT, HUMIDITY_S, rng)
        )
    if "ambient_pressure" in around.unmeasured:
        shown = shown - around.air_mg * AIR_PER_HPA * np.interp(
            t_s, knots, wander(knots, PRESSURE_HPA, PRESSURE_S, rng)
        )
    return np.asarray(shown), np.asarray(np.interp(t_s, grid, thermometer))


def _lagged(values: FloatArray, steps_per_lag: float) -> FloatArray:
    """First-order lag of evenly spaced values, from rest."""
    kept = math.exp(-steps_per_lag)
    found = [float(values[0])]
    for value in values[1:].tolist():
        found.append(kept * found[-1] + (1.0 - kept) * value)
    return np.array(found)
