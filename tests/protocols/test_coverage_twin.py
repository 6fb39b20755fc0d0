"""The stated uncertainty where a twin vessel on a second balance is the blank, every input drawn from its law.

The model is written from the physics alone.  Each balance drifts, walks, and follows the room and the air by itself;
only the weather is of both, so nothing but evaporation is to be taken from the one for the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from data.samples import FloatArray
from protocols.analysis.budget import Budget
from protocols.analysis.collection import Collection, Twin, blanks_of, corrected_mass_mg
from protocols.analysis.evaporation import Evaporation
from protocols.analysis.flow_budget import Weighing

HOUR_S = 3600.0
END_S, ANALYSIS = 49.0 * HOUR_S, (24.0 * HOUR_S, 49.0 * HOUR_S)
HALVES = ((0.0, END_S / 2.0), (END_S / 2.0, END_S))
BUOYANT_UL, TWIN_UL = 18_000.0, 16_000.0
MG_PER_K = 0.035
WATER_MG_PER_UL = 0.9982067
WEIGHING = Weighing(
    fluid_mg_per_ul=WATER_MG_PER_UL,
    u_fluid_temperature_k=0.0,
    u_air_mg_per_ul=1e-6,
    line_half_width_k=0.0,
    meniscus_half_width_mg=math.sqrt(2.0) * 0.05,
)
TWIN = Twin((0.30, 0.30), MG_PER_K, 0.05)


def cell(
    rng: np.random.Generator, t_s: FloatArray, load_mg: FloatArray, floats_ul: float, air: FloatArray, room: FloatArray
) -> FloatArray:
    """What one balance shows of a load that floats in air."""
    hours = t_s / HOUR_S
    walk = np.cumsum(rng.normal(0.0, 0.01, t_s.size) * np.sqrt(np.diff(hours, prepend=hours[0])))
    drift = rng.uniform(-0.3, 0.3) / 24.0 * hours
    follows = rng.normal(0.0, MG_PER_K) * (room - 22.0)
    shown = load_mg - floats_ul * (1.0 + rng.normal(0.0, 0.1)) * (air - 0.0012) + walk + drift + follows
    shown = shown + rng.normal(0.0, 0.02, t_s.size)
    return np.asarray(np.round(shown / 0.01) * 0.01)


def measure(seed: int, twin: Twin | None = TWIN) -> tuple[float, Budget]:
    """Error of a volume of 104 uL, in uL, and its budget; the evaluation may believe something false of the twin."""
    rng = np.random.default_rng(seed)
    t = np.arange(0.0, END_S + 1.0, 60.0)
    hours = t / HOUR_S
    air = 0.0012 + np.cumsum(rng.normal(0.0, 1.6 * 1.18e-6, t.size) * math.sqrt(1.0 / 60.0))
    room = 22.0 + rng.uniform(0.5, 1.0) * np.sin(2.0 * np.pi * (hours / 24.0 + rng.uniform()))
    evaporation = max(0.002, rng.normal(0.02, 0.004))
    rate_ul_per_h = 100.0 / 24.0 * (1.0 + rng.uniform(-0.05, 0.05))
    volume = rate_ul_per_h * np.clip(hours - 24.0, 0.0, 25.0)
    density = WATER_MG_PER_UL + rng.uniform(-0.0003, 0.0003)
    fluid = volume * density * (1.0 - 0.0012 / density) / (1.0 - 0.0012 / 8.0)
    bent = np.where(hours >= 49.0, rng.uniform(-0.1, 0.1), 0.0)
    pulled = np.where(hours >= 49.0, rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05))
    displaced = 1.0 / (1.0 - (0.3 / 20.0) ** 2 * (1.0 + rng.normal(0.0, 0.1)))
    load = (fluid - evaporation * hours) * displaced + bent + pulled
    shown = cell(rng, t, load, BUOYANT_UL, air, room)
    beside = cell(rng, t, -evaporation / (1.0 + rng.normal(0.0, 0.05)) * hours, TWIN_UL, air, room)
    mass = corrected_mass_mg(shown, air, BUOYANT_UL)
    blanks = blanks_of(t, corrected_mass_mg(beside, air, TWIN_UL), HALVES, 0.01, 0.0)
    collected = Collection(t, mass, air, room, Evaporation(blanks), WEIGHING, 0.01, MG_PER_K, twin=twin)
    found, budget = collected.delivered(*ANALYSIS)
    return found - float(volume[-1]), budget


def ratio(results: Sequence[tuple[float, Budget]]) -> float:
    """rms(error) / rms(u)."""
    errors, us = np.array([error for error, _ in results]), np.array([budget.u for _, budget in results])
    return math.sqrt(float((errors**2).mean()) / float((us**2).mean()))


def test_a_volume_by_a_twin_vessel_lies_within_its_uncertainty_and_it_is_not_padded() -> None:
    results = [measure(seed) for seed in range(120)]
    assert sum(abs(error) <= budget.expanded for error, budget in results) >= 109
    assert 0.8 <= ratio(results) <= 1.1


@pytest.mark.parametrize(
    "believed", [None, replace(TWIN, drifts_mg_per_day=(0.0, 0.0)), replace(TWIN, drifts_mg_per_day=(0.0, 0.3))]
)
def test_a_twin_whose_balance_is_believed_to_drift_as_the_other_one_does_is_noticed(believed: Twin | None) -> None:
    assert ratio([measure(seed, believed) for seed in range(60)]) > 1.2
