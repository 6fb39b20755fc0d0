"""What a balance is expected to tell of a volume: the evaluation's own budget, with expected inputs.

Blanks are drawn from what the station file declares of its balance and go through the evaluation's own estimate, so
that their uncertainty, its degrees of freedom and the scatter of both are those that runs will find.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from data.quantities import parse
from data.samples import FloatArray
from protocols.analysis import gravimetry
from protocols.analysis.budget import Budget
from protocols.analysis.collection import EVAPORATION_VARIES, Collection
from protocols.analysis.evaporation import HOUR_S, STRETCHES, Blank, Evaporation, blank_of_means
from protocols.analysis.flow_budget import LINE_EXPANSION_PER_K
from protocols.analysis.gravimetric_record import (
    BLANK_SETTLE_S,
    LEAST_BLANK_S,
    STANDARD_AIR,
    collection_of,
    mg_per_k,
    spread_mg_per_h,
)
from protocols.steps import Phase, StartDelivery, Step

RUNS = 32
"""Likely runs that are drawn; the middle of their uncertainties is told, and how far they scatter."""

SEED = 20_601
ROOM_K = 1.0
"""The room is expected to swing by plus and minus this over a day; no station file declares it."""

ROOM_WANDER_K, ROOM_WANDER_S = 0.2, 7200.0
"""Beside that its temperature is expected to wander: standard deviation, and time after which it has forgotten."""

ROOM_SMOOTH_S = 600.0
"""Over less than this, air and a line in it change steadily."""

PERIOD_S = 1.0
"""Usual spacing of a balance's readings, where the station file leaves it to the driver."""

WALK_STEPS = 8
"""Steps of the zero's walk within one stretch of a blank."""


REMEDIES = {
    "evaporation": "longer blanks, a twin vessel or a layer of oil",
    "evaporation between blanks": "a layer of oil or a twin vessel",
    "balance temperature": "a steadier room, a lighter vessel or longer blanks",
    "linearity": "a longer analysis, or a balance that is adjusted and linear over the gain",
    "meniscus": "a longer analysis, or a thinner tube",
    "repeatability": "a longer analysis",
    "readability": "a longer analysis, or a balance with a finer digit",
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
    blank : "diverter", "stopped", "twin" or "none".
    """

    uncertainty: Mapping[str, Any]
    twin: Mapping[str, Any]
    collection: Mapping[str, Any]
    period_s: float
    twin_period_s: float
    blank: str


def rig_of(station: Mapping[str, Any], roles: Mapping[str, str], blank: str) -> Rig | None:
    """Rig of a station's tables; None where they do not declare a balance's uncertainty and a collection."""
    balance = _instrument(station, roles.get("reference_mass"))
    twin = _instrument(station, roles.get("twin_mass")) or balance
    uncertainty, collection = balance.get("uncertainty"), station.get("collection")
    if not uncertainty or not collection:
        return None
    own = twin.get("uncertainty") or uncertainty
    return Rig(uncertainty, own, collection, _period_s(balance), _period_s(twin), blank)


def _instrument(station: Mapping[str, Any], target: str | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = station["instruments"].get((target or "").partition(".")[0], {})
    return found


def _period_s(instrument: Mapping[str, Any]) -> float:
    stated = instrument.get("period")
    return parse(stated, "time") if isinstance(stated, str) else PERIOD_S


def likely_runs(plan: Plan, rig: Rig, fluid: Mapping[str, Any], expected_ul: float) -> list[Collection]:
    """What some likely runs of a plan collect, delivering ``expected_ul`` in its analysis."""
    return [_collected(plan, rig, fluid, expected_ul, run, rng) for run, rng in enumerate(_generators())]


def likely_budgets(plan: Plan, rig: Rig, fluid: Mapping[str, Any], expected_ul: float) -> list[Budget]:
    """Budget in uL of the volume delivered in the analysis, of each likely run."""
    return [one.delivered(*plan.analysis)[1] for one in likely_runs(plan, rig, fluid, expected_ul)]


def _generators() -> Iterator[np.random.Generator]:
    return (np.random.default_rng((SEED, run)) for run in range(RUNS))


def _collected(
    plan: Plan, rig: Rig, fluid: Mapping[str, Any], expected_ul: float, run: int, rng: np.random.Generator
) -> Collection:
    """One likely run, known at the ends of its blanks and of its analysis."""
    phase = rng.uniform(0.0, 2.0 * math.pi)
    evaporation = _evaporation(plan, rig, run, rng, phase)
    edges = {0.0, plan.duration_s, *plan.analysis}
    edges.update(edge for one in evaporation.blanks for edge in (one.from_s, one.to_s))
    t_s = np.array(sorted(edges))
    air = np.full(t_s.size, gravimetry.air_density_mg_per_ul(*STANDARD_AIR))
    room = STANDARD_AIR[0] + ROOM_K * np.sin(2.0 * math.pi * t_s / (24.0 * HOUR_S) + phase) + _wander_k(t_s, rng)
    from_s, to_s = plan.analysis
    empty = collection_of((t_s, np.zeros(t_s.size), air, room), evaporation, rig.uncertainty, rig.collection, fluid)
    gained = expected_ul / empty.ul_per_mg * np.clip((t_s - from_s) / (to_s - from_s), 0.0, 1.0)
    shown = gained - evaporation.lost_mg(from_s, t_s)
    return collection_of((t_s, shown, air, room), evaporation, rig.uncertainty, rig.collection, fluid)


def _wander_k(t_s: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Wander of the room's temperature at some times: an Ornstein-Uhlenbeck process."""
    found = [rng.normal(0.0, ROOM_WANDER_K)]
    for step_s in np.diff(t_s).tolist():
        kept = math.exp(-step_s / ROOM_WANDER_S)
        found.append(kept * found[-1] + rng.normal(0.0, ROOM_WANDER_K * math.sqrt(1.0 - kept * kept)))
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
    usual = declared + spread_mg_per_h(rig.uncertainty, rig.collection) * rng.normal()
    coefficient = (mg_per_k(rig.uncertainty, rig.collection), _line_mg_per_k(rig))
    noise = math.hypot(uncertainty["repeatability_mg"], uncertainty["readability_mg"] / math.sqrt(12.0))
    balance = (noise, uncertainty["readability_mg"], uncertainty["zero_walk_mg"])
    found = []
    for index, (from_s, to_s) in enumerate(spans):
        ends = (math.sin(2.0 * math.pi * t / (24.0 * HOUR_S) + phase) for t in (to_s, from_s))
        warming = ROOM_K * (next(ends) - next(ends)) / ((to_s - from_s) / HOUR_S)
        per_k, pair = _drawn_blanks(round(to_s - from_s), period_s, *balance, *coefficient)[run]
        drawn = pair[index]
        weather = declared * EVAPORATION_VARIES * rng.normal()
        rate = usual + weather + drawn.rate_mg_per_h - per_k * warming
        found.append(Blank(from_s, to_s, rate, drawn.u_mg_per_h, drawn.dof))
    return Evaporation(tuple(found))


def _line_mg_per_k(rig: Rig) -> float:
    """What the line gives off as the room warms, where a stopped pump leaves it open to the vessel."""
    line_ul: float = rig.collection["dead_volume_ul"]
    return gravimetry.expansion_ul(line_ul, 1.0, LINE_EXPANSION_PER_K) if rig.blank == "stopped" else 0.0


def _blank_spans(plan: Plan, rig: Rig) -> tuple[list[tuple[float, float]], Mapping[str, Any], float]:
    """What is used of the blanks, and the balance that sees them with the spacing of its readings."""
    if rig.blank == "twin":
        middle = plan.duration_s / 2.0
        return [(0.0, middle), (middle, plan.duration_s)], rig.twin, rig.twin_period_s
    phases = [plan.phases[name] for name in ("blank-before", "blank-after") if name in plan.phases]
    used = [(a + BLANK_SETTLE_S, b) for a, b in phases if b - a - BLANK_SETTLE_S >= LEAST_BLANK_S - 1.0]
    return used, rig.uncertainty, rig.period_s


@lru_cache(maxsize=64)
def _drawn_blanks(
    length_s: float,
    period_s: float,
    noise_mg: float,
    readability_mg: float,
    walk_mg: float,
    follows_mg_per_k: float,
    breathes_mg_per_k: float,
) -> tuple[tuple[float, tuple[Blank, Blank]], ...]:
    """Of each likely run, what its balance shows for 1 K, and two blanks through the evaluation's own estimate.

    Parameters
    ----------
    noise_mg : of one reading, rounding included.
    walk_mg : standard deviation of the zero's walk after one hour.
    follows_mg_per_k, breathes_mg_per_k : what the balance shows for 1 K, as a standard deviation; and the line.
    """
    rng = np.random.default_rng(SEED)
    samples = max(12, math.floor(length_s / period_s))
    stretches = min(STRETCHES, samples // 2)
    edges = np.linspace(0.0, length_s, stretches + 1)
    middles = (edges[1:] + edges[:-1]) / 2.0
    steps = stretches * WALK_STEPS
    root_h = math.sqrt(length_s / HOUR_S / steps)
    smooth = max(1, round(ROOM_SMOOTH_S / (length_s / steps)))
    room_k = ROOM_WANDER_K * math.sqrt(2.0 * HOUR_S / ROOM_WANDER_S) * root_h
    rounding = 0.0 if noise_mg >= readability_mg / 2.0 else readability_mg

    def drawn(per_k: float) -> Blank:
        sums = np.concatenate([[0.0], np.cumsum(rng.normal(0.0, room_k, steps + smooth - 1))])
        room = np.cumsum(sums[smooth:] - sums[:-smooth]) / smooth
        walk = np.cumsum(rng.normal(0.0, walk_mg * root_h, steps)) + per_k * room
        white = rng.normal(0.0, noise_mg / math.sqrt(samples / stretches), stretches)
        means = walk.reshape(stretches, WALK_STEPS).mean(axis=1) + white
        return blank_of_means(0.0, length_s, middles, means, rounding)

    found = []
    for _ in range(RUNS):
        per_k = breathes_mg_per_k + follows_mg_per_k * rng.normal()
        found.append((per_k, (drawn(per_k), drawn(per_k))))
    return tuple(found)
