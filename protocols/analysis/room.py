"""What is assumed of a laboratory where no station file declares it, and what a balance shows of it."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any

from protocols.analysis import gravimetry
from protocols.analysis.evaporation import HOUR_S
from protocols.analysis.flow_budget import LINE_EXPANSION_PER_K
from protocols.analysis.measured_air import STANDARD_AIR

ROOM_K = 1.0
"""The room is expected to swing by plus and minus this over a day; no station file declares it."""

COOLEST_H, COOLEST_WITHIN_H = 4.0, 2.0
"""Hour of the day at which it is expected to be coolest, and by how much that may be off."""

ROOM_WANDER_K, ROOM_WANDER_S = 0.2, 7200.0
"""Beside that its temperature is expected to wander: standard deviation, and time after which it has forgotten."""

ROOM_SMOOTH_S = 600.0
"""Over less than this, air and a line in it change steadily."""

THERMOMETER_S = 1800.0
"""A thermometer beside the vessel follows the air so slowly; what the air did meanwhile is left in its density."""

THERMOMETER_U_SHARE = 0.5
"""Relative standard uncertainty of that: a quarter to three quarters of an hour."""

HUMIDITY_PERCENT, HUMIDITY_S = 5.0, 6.0 * HOUR_S
PRESSURE_HPA, PRESSURE_S = 8.0, 48.0 * HOUR_S
"""Wander of humidity and pressure of the air, and after which time they have forgotten."""

AIR_PER_K = 1.0 / 295.0
AIR_PER_HPA = 1.0 / 1013.25
AIR_PER_PERCENT = 0.378 * 26.4 / 1013.25 / 100.0
"""By what part the density of the air falls with its temperature and humidity and rises with pressure, at 22 degC."""

LINE_U_SHARE = 0.15
"""Relative standard uncertainty of what a line gives off when it warms: a tenth for its volume, a tenth for the
expansion of the fluid (2.1e-4 to 2.6e-4 per K from 20 to 25 degC) less that of a wall of steel or glass."""


def line_mg_per_k(collection: Mapping[str, Any], blank: str) -> float:
    """What the line gives off as the room warms, where a stopped pump leaves it open to the vessel."""
    if blank != "stopped":
        return 0.0
    return gravimetry.expansion_ul(collection["dead_volume_ul"], 1.0, LINE_EXPANSION_PER_K)


def air_mg(collection: Mapping[str, Any]) -> float:
    """Air that the vessel and what is in it displace."""
    return float(collection["buoyant_volume_ul"]) * gravimetry.air_density_mg_per_ul(*STANDARD_AIR)


def wander_mg(walk_mg: float, mg_per_k: float, displaced_mg: float, unmeasured: Container[str]) -> float:
    """Wander of what a balance shows over an hour, of its own zero and by what nobody measures of the room.

    Parameters
    ----------
    walk_mg : standard deviation of the zero's walk after one hour.
    mg_per_k : standard uncertainty of the balance's temperature coefficient, times its load.
    displaced_mg : see `air_mg`.
    unmeasured : what of the air no role measures.

    Notes
    -----
    A process of standard deviation s that forgets after a time tau walks by s sqrt(2 t / tau) at first.
    """
    parts = [walk_mg, mg_per_k * _hourly(ROOM_WANDER_K, ROOM_WANDER_S)]
    if "humidity" in unmeasured:
        parts.append(displaced_mg * AIR_PER_PERCENT * _hourly(HUMIDITY_PERCENT, HUMIDITY_S))
    if "ambient_pressure" in unmeasured:
        parts.append(displaced_mg * AIR_PER_HPA * _hourly(PRESSURE_HPA, PRESSURE_S))
    return math.hypot(*parts)


def _hourly(sd: float, memory_s: float) -> float:
    """Walk in the first hour of a process of a standard deviation that forgets after a time."""
    return sd * math.sqrt(2.0 * HOUR_S / memory_s)
