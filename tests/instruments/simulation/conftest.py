from collections.abc import Callable, Mapping
from typing import Any

import pytest

from instruments.clock import VirtualClock
from instruments.simulation.faults import fault
from instruments.simulation.parameters import PlantParameters
from instruments.simulation.plant import Plant
from instruments.simulation.signal import DeliveryProgram

DAILY_ML = 1000.0 / 24.0
"""1 mL/day in uL/h."""

STEADY_ROOM = {
    "laboratory": {
        "diurnal_k": 0.0,
        "wander_k": 0.0,
        "pressure_wander_hpa": 0.0,
        "humidity_wander_percent": 0.0,
    },
    "bath": {"cycle_k": 0.0},
}

IDEAL_PUMP = {
    "pump": {
        "mean_error": 0.0,
        "reservoir_coefficient_per_kpa": 0.0,
        "temperature_coefficient_per_k": 0.0,
        "pressure_coefficient_per_kpa": 0.0,
        "stroke_ripple": 0.0,
        "dip_volume": 0.0,
        "clock_error_ppm": 0.0,
    }
}

WIDE_SENSOR = {"flow_sensor": {"resistance_kpa_s_per_ul": 0.0}}
"""A flow sensor as wide as the tubes around it."""

MakePlant = Callable[..., Plant]


def merged(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """Tables of overrides, the later ones on top."""
    result: dict[str, dict[str, Any]] = {}
    for table in tables:
        for section, entries in table.items():
            result.setdefault(section, {}).update(entries)
    return result


@pytest.fixture
def make_plant() -> MakePlant:
    """Make a plant, by default with a steady room; faults are (name, severity, onset in s)."""

    def make(
        *tables: Mapping[str, Any],
        rate: float | None = DAILY_ML,
        faults: tuple[tuple[str, float | None, float], ...] = (),
        seed: int = 7,
        clock: VirtualClock | None = None,
        room: Mapping[str, Any] = STEADY_ROOM,
    ) -> Plant:
        parameters = PlantParameters.load(merged(room, *tables))
        plant = Plant(parameters, clock or VirtualClock(), seed, [fault(*entry) for entry in faults])
        if rate is not None:
            plant.pump.load(DeliveryProgram("continuous", rate), 0.0)
            plant.pump.start(0.0)
        return plant

    return make


@pytest.fixture
def wide_sensor() -> Mapping[str, Any]:
    """Overrides of a flow sensor that does not resist."""
    return WIDE_SENSOR


@pytest.fixture
def ideal_pump() -> Mapping[str, Any]:
    """Overrides of a pump without error terms and without pulsation."""
    return IDEAL_PUMP
