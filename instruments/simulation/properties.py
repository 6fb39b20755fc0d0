"""Properties of water, air and sensors' materials, as the plant has them; the drivers and analyses have their own."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from instruments.simulation.signal import FloatArray

GAS_CONSTANT = 8.314462618  # J/(mol K)
ZERO_CELSIUS_K = 273.15
STANDARD_ATMOSPHERE_KPA = 101.325
BODY_DEGC, ROOM_DEGC = 37.0, 22.0
"""Temperatures at which resistances of the parameters are stated."""


def water_density(temperature_degc: FloatArray) -> FloatArray:
    """Density of air-free water in kg/m³ at 0-40 °C (Tanaka et al., Metrologia 38, 2001)."""
    t = temperature_degc
    return 999.974950 * (1.0 - (t - 3.983035) ** 2 * (t + 301.797) / (522528.9 * (t + 69.34881)))


def water_viscosity(temperature_degc: FloatArray) -> FloatArray:
    """Dynamic viscosity of water in Pa·s, 2.414e-5 · 10^(247.8 / (T - 140 K))."""
    exponent: FloatArray = 247.8 / (temperature_degc + ZERO_CELSIUS_K - 140.0)
    viscosity: FloatArray = 2.414e-5 * np.exp(math.log(10.0) * exponent)
    return viscosity


class Thickness:
    """Viscosity of a fluid that thins as water does.

    Parameters
    ----------
    viscosity_mpa_s : what it is at ``at_degc``.
    """

    def __init__(self, viscosity_mpa_s: float, at_degc: float) -> None:
        self._over_water = viscosity_mpa_s * 1e-3 / _viscosity(at_degc)

    def over_water(self, temperature_degc: float, reference_degc: float) -> float:
        """Viscosity at a temperature over that of water at the reference: what resistances are multiplied by."""
        return self._over_water * _viscosity(temperature_degc) / _viscosity(reference_degc)


@lru_cache(maxsize=4096)
def _viscosity(temperature_degc: float) -> float:
    return float(water_viscosity(np.array([temperature_degc]))[0])


def air_density(pressure_hpa: FloatArray, humidity_percent: FloatArray, temperature_degc: FloatArray) -> FloatArray:
    """Density of moist air in kg/m³ (OIML R 111-1:2004, formula E.3-1)."""
    t = temperature_degc
    return (0.34848 * pressure_hpa - 0.009 * humidity_percent * np.exp(0.061 * t)) / (ZERO_CELSIUS_K + t)


def saturation_pressure(temperature_degc: FloatArray) -> FloatArray:
    """Saturation pressure of water vapour over water in kPa (Magnus form, coefficients of WMO-No. 8)."""
    t = temperature_degc
    return 0.6112 * np.exp(17.62 * t / (243.12 + t))


def pt100_ohm(temperature_degc: FloatArray) -> FloatArray:
    """Resistance of a Pt100 at 0-850 °C (IEC 60751)."""
    t = temperature_degc
    return 100.0 * (1.0 + 3.9083e-3 * t - 5.775e-7 * t * t)


# ITS-90 reference functions of NIST Monograph 175 above 0 °C: mV in rising powers of °C.
_EMF_MV = {
    "K": (
        -0.176004136860e-1,
        0.389212049750e-1,
        0.185587700320e-4,
        -0.994575928740e-7,
        0.318409457190e-9,
        -0.560728448890e-12,
        0.560750590590e-15,
        -0.320207200030e-18,
        0.971511471520e-22,
        -0.121047212750e-25,
    ),
    "T": (
        0.0,
        0.387481063640e-1,
        0.332922278800e-4,
        0.206182434040e-6,
        -0.218822568460e-8,
        0.109968809280e-10,
        -0.308157587720e-13,
        0.454791352900e-16,
        -0.275129016730e-19,
    ),
}
_K_EXPONENTIAL = (0.118597600000, -0.118343200000e-3, 0.126968600000e3)


def thermocouple_v(kind: str, temperature_degc: FloatArray) -> FloatArray:
    """Voltage of a thermocouple with its reference junction at 0 °C, for 0 °C and above."""
    t = temperature_degc
    emf_mv: FloatArray = np.zeros_like(t)
    for coefficient in reversed(_EMF_MV[kind]):
        emf_mv = emf_mv * t + coefficient
    if kind == "K":
        a0, a1, a2 = _K_EXPONENTIAL
        emf_mv = emf_mv + a0 * np.exp(a1 * (t - a2) ** 2)
    return emf_mv * 1e-3
