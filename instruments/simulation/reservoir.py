"""The pump's gas-pressurised reservoir."""

from __future__ import annotations

import numpy as np

from instruments.simulation.parameters import Draws
from instruments.simulation.properties import BODY_DEGC, GAS_CONSTANT, STANDARD_ATMOSPHERE_KPA, ZERO_CELSIUS_K
from instruments.simulation.signal import FloatArray


class Reservoir:
    """Gauge pressure of a vapour-driven bellows over volume, temperature and ambient pressure."""

    def __init__(self, draws: Draws) -> None:
        self.nominal_kpa = draws["reservoir.pressure_kpa"]
        self._enthalpy = draws["reservoir.vapour_enthalpy_j_per_mol"]
        self._bellows = draws["reservoir.bellows_kpa_per_ml"]
        self._capacity_ul = draws["reservoir.capacity_ul"]
        self._stop_ul = draws["reservoir.stop_volume_ul"]

    def pressure_kpa(self, volume_ul: FloatArray, temperature_degc: FloatArray, ambient_kpa: FloatArray) -> FloatArray:
        """Vapour pressure by Clausius-Clapeyron, less ambient, plus the bellows; falls to zero on the bellows' stop."""
        inverse = 1.0 / (temperature_degc + ZERO_CELSIUS_K) - 1.0 / (BODY_DEGC + ZERO_CELSIUS_K)
        at_body = self.nominal_kpa + STANDARD_ATMOSPHERE_KPA
        vapour_kpa = at_body * np.exp(-self._enthalpy / GAS_CONSTANT * inverse)
        bellows_kpa = self._bellows * (volume_ul - 0.5 * self._capacity_ul) * 1e-3
        held: FloatArray = np.clip(volume_ul / self._stop_ul, 0.0, 1.0)
        return (vapour_kpa - ambient_kpa + bellows_kpa) * held
