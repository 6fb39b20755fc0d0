"""The stated uncertainty is the true one: 500 measurements with every input drawn from its law, at three rates.

The model below is written from the physics alone and shares no formula with the evaluation.  A right budget covers
95.45 %: at least 463 of 500 results within U, and errors as large as u says, no smaller either: a padded U fails too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from protocols.analysis.blank_weights import weighted
from protocols.analysis.budget import Budget
from protocols.analysis.collection import Collection, blanks_of, corrected_mass_mg
from protocols.analysis.evaporation import Blank, Evaporation, stretch_means
from protocols.analysis.flow_budget import Weighing
from protocols.analysis.known_blank import Known, Stretches, known_blank

HOUR_S = 3600.0
WATER_MG_PER_UL = 0.9982067
BLANK_BEFORE = (19.5 * HOUR_S, 23.5 * HOUR_S)
ANALYSIS = (24.0 * HOUR_S, 49.0 * HOUR_S)
BLANK_AFTER = (49.0 * HOUR_S, 53.0 * HOUR_S)
BUOYANT_UL = 13_600.0
MG_PER_K = 0.035
WEIGHING = Weighing(
    fluid_mg_per_ul=WATER_MG_PER_UL,
    u_fluid_temperature_k=0.0,
    density_half_width_mg_per_ul=0.0003,
    air_mg_per_ul=0.0012,
    u_air_mg_per_ul=1e-6,
    line_half_width_k=0.0,
    meniscus_half_width_mg=math.sqrt(2.0) * 0.05,
)


def record(rate_ml_per_day: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Times, indications, density of the air, room temperature; and the volume that truly left the tip."""
    dense = [np.arange(*span, 10.0) for span in (BLANK_BEFORE, BLANK_AFTER)]
    t = np.concatenate([dense[0], [*ANALYSIS], dense[1][1:]])
    hours = t / HOUR_S
    step_h = np.diff(hours, prepend=hours[0])
    density = WATER_MG_PER_UL + rng.uniform(-0.0003, 0.0003)
    rate_ul_per_h = rate_ml_per_day * 1000.0 / 24.0 * (1.0 + rng.uniform(-0.05, 0.05))
    volume = rate_ul_per_h * np.clip(hours - 24.0, 0.0, 25.0)
    # What floats on what: fluid in air against steel weights, the tube in the rising liquid, the vessel in air.
    air_true = 0.0012 + np.cumsum(rng.normal(0.0, 1.0, t.size) * np.sqrt(np.maximum(step_h, 0.0))) * 1.18e-6 * 1.6
    fluid = volume * density * (1.0 - 0.0012 / density) / (1.0 - 0.0012 / 8.0)
    displaced = 1.0 / (1.0 - (0.3 / 20.0) ** 2 * (1.0 + rng.normal(0.0, 0.1)))
    evaporation = max(0.002, rng.normal(0.02, 0.004))
    weather = rng.normal(0.0, 0.08) * np.where(hours >= 49.0, 25.0, 0.0)  # hours of loss that the blanks do not see
    glass = BUOYANT_UL * (1.0 + rng.normal(0.0, 0.1))
    walk = np.cumsum(rng.normal(0.0, 0.01, t.size) * np.sqrt(np.maximum(step_h, 0.0)))
    drift = rng.uniform(-0.3, 0.3) / 24.0 * hours
    linearity = np.where(hours >= 49.0, rng.uniform(-0.1, 0.1), 0.0)
    meniscus = np.where(hours >= 49.0, rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05))
    shown = (fluid - evaporation * (hours + weather) * (1.0 - 0.00105)) * displaced - glass * (air_true - 0.0012)
    room = 22.0 + rng.uniform(0.5, 1.0) * np.sin(2.0 * np.pi * (hours / 24.0 + rng.uniform()))
    shown = shown + rng.normal(0.0, 1e-6) * 35_000.0 * (room - 22.0)
    shown = shown + walk + drift + linearity + meniscus + rng.normal(0.0, 0.02, t.size)
    indication = np.round(shown / 0.01) * 0.01
    return t, indication, air_true, room, volume[t.searchsorted(ANALYSIS[1])]


def measure(rate_ml_per_day: float, seed: int) -> tuple[float, Budget]:
    """Error of one measured volume, in uL, and its budget."""
    t, shown, air, room, true_ul = record(rate_ml_per_day, np.random.default_rng([seed, int(rate_ml_per_day * 1e6)]))
    mass = corrected_mass_mg(shown, air, BUOYANT_UL)
    blanks = blanks_of(t, mass, [BLANK_BEFORE, BLANK_AFTER], 0.01, 600.0)
    collected = Collection(t, mass, air, room, Evaporation(blanks), WEIGHING, zero_walk_mg=0.01, mg_per_k=MG_PER_K)
    volume, budget = collected.delivered(*ANALYSIS)
    return volume - true_ul, budget


def known(t: np.ndarray, mass: np.ndarray, room: np.ndarray, span: tuple[float, float]) -> Blank:
    """A blank of a balance of which the walk of the zero is declared, beside a thermometer that is never late."""
    inside = (t >= span[0] + 600.0) & (t <= span[1])
    at_s, means = stretch_means(t[inside], mass[inside], 24)
    _, degc = stretch_means(t[inside], room[inside], 24)
    record = Stretches(float(t[inside][0]), float(t[inside][-1]), at_s, means, degc, np.zeros(24))
    return known_blank(record, Known(0.0126))  # the walk, and a balance that follows a room


def measure_known(rate_ml_per_day: float, seed: int) -> tuple[float, Budget]:
    """The same measurement as flow-accuracy judges it."""
    t, shown, air, room, true_ul = record(rate_ml_per_day, np.random.default_rng([seed, int(rate_ml_per_day * 1e6)]))
    mass = corrected_mass_mg(shown, air, BUOYANT_UL)
    blanks = tuple(known(t, mass, room, span) for span in (BLANK_BEFORE, BLANK_AFTER))
    collected = Collection(t, mass, air, room, Evaporation(blanks), WEIGHING, zero_walk_mg=0.01, mg_per_k=MG_PER_K)
    volume, budget = weighted(collected, *ANALYSIS).delivered(*ANALYSIS)
    return volume - true_ul, budget


def falsified(budget: Budget, source: str, factor: float) -> Budget:
    """A budget of which one component is larger or smaller than it should be."""
    parts = [replace(part, u=part.u * (factor if part.source == source else 1.0)) for part in budget.components]
    return replace(budget, components=tuple(parts))


def ratio(results: Sequence[tuple[float, Budget]]) -> float:
    """rms(error) / rms(u)."""
    errors, us = np.array([error for error, _ in results]), np.array([budget.u for _, budget in results])
    return math.sqrt(float((errors**2).mean()) / float((us**2).mean()))


@pytest.mark.parametrize("rate_ml_per_day", [1.0, 0.1, 0.048])
def test_nineteen_in_twenty_results_lie_within_their_uncertainty_and_it_is_not_padded(rate_ml_per_day: float) -> None:
    results = [measure(rate_ml_per_day, seed) for seed in range(500)]
    inside = sum(abs(error) <= budget.expanded for error, budget in results)
    assert inside >= 463
    assert 0.9 <= ratio(results) <= 1.1
    dominant = "density, composition" if rate_ml_per_day == 1.0 else "evaporation"
    for factor in (0.5, 2.0):
        wrong = [(error, falsified(budget, dominant, factor)) for error, budget in results]
        assert not 0.9 <= ratio(wrong) <= 1.1, "a dominant component that is halved or doubled is noticed"


@pytest.mark.parametrize("rate_ml_per_day", [1.0, 0.1])
def test_what_is_known_beforehand_and_chosen_weights_leave_the_uncertainty_the_true_one(rate_ml_per_day: float) -> None:
    results = [measure_known(rate_ml_per_day, seed) for seed in range(150)]
    assert sum(abs(error) <= budget.expanded for error, budget in results) >= 0.92 * len(results)
    assert 0.75 <= ratio(results) <= 1.15
