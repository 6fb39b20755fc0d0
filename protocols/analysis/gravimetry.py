"""From what a balance shows to a volume: densities, air buoyancy, the immersed tube, thermal expansion.

Units: mg, uL, mg/uL (= g/mL), degC, hPa, mm.
"""

from __future__ import annotations

import math

STEEL_MG_PER_UL = 8.0
"""Conventional density of the weights that a balance is adjusted with, 8000 kg/m3 (OIML D 28)."""

REFERENCE_TEMPERATURE_DEGC = 20.0
"""A delivered volume is stated at this temperature unless the fluid's record says otherwise."""


def water_density_mg_per_ul(temperature_degc: float) -> float:
    """Density of air-free water at 101.325 kPa.

    Notes
    -----
    Tanaka et al., Metrologia 38 (2001) 301: 0-40 degC.
    """
    t = temperature_degc
    shape = (t - 3.983035) ** 2 * (t + 301.797) / (522528.9 * (t + 69.34881))
    return 999.974950 * (1.0 - shape) / 1000.0


def water_expansion_per_k(temperature_degc: float) -> float:
    """Volumetric thermal expansion -(1/rho) d(rho)/dT of water, per K, as a central difference over 0.02 K."""
    step = 0.01
    below = water_density_mg_per_ul(temperature_degc - step)
    above = water_density_mg_per_ul(temperature_degc + step)
    return (below - above) / (2.0 * step) / water_density_mg_per_ul(temperature_degc)


def air_density_mg_per_ul(temperature_degc: float, pressure_hpa: float, humidity_percent: float) -> float:
    """Density of moist air.

    Notes
    -----
    Simplified CIPM formula of OIML R 111-1, annex E; good to 2e-4 between 900 and 1100 hPa, 10 and 30 degC.
    """
    moist = 0.34848 * pressure_hpa - 0.009 * humidity_percent * math.exp(0.061 * temperature_degc)
    return moist / (273.15 + temperature_degc) / 1000.0


def buoyancy_factor(air_mg_per_ul: float, fluid_mg_per_ul: float, weights_mg_per_ul: float = STEEL_MG_PER_UL) -> float:
    """True mass of fluid over the mass that a balance shows: (1 - ra/rw) / (1 - ra/rho)."""
    return (1.0 - air_mg_per_ul / weights_mg_per_ul) / (1.0 - air_mg_per_ul / fluid_mg_per_ul)


def z_factor_ul_per_mg(air_mg_per_ul: float, fluid_mg_per_ul: float) -> float:
    """Volume for one milligram of balance reading (the Z of ISO 8655-6), at the temperature of the fluid's density."""
    return buoyancy_factor(air_mg_per_ul, fluid_mg_per_ul) / fluid_mg_per_ul


def immersion_factor(tube_diameter_mm: float, vessel_diameter_mm: float) -> float:
    """Delivered mass over shown mass with a straight tube dipping into a cylindrical vessel: 1 - (d/D)^2.

    The level rises along the tube, whose buoyancy then acts on the balance as if more had been delivered.
    """
    if not 0.0 <= tube_diameter_mm < vessel_diameter_mm:
        raise ValueError(
            f"a tube of {tube_diameter_mm:g} mm does not go into a vessel of {vessel_diameter_mm:g} mm; "
            "check the diameters in the station file"
        )
    return 1.0 - (tube_diameter_mm / vessel_diameter_mm) ** 2


def volume_ul(
    shown_mg: float,
    evaporated_mg: float,
    fluid_mg_per_ul: float,
    air_mg_per_ul: float = 0.0,
    immersion: float = 1.0,
) -> float:
    """Delivered volume from the gain that the balance shows and the evaporated mass that was added back.

    Notes
    -----
    V = (dI f + m_e) Zb / rho with f the `immersion_factor` and Zb the `buoyancy_factor`.  ``evaporated_mg`` is as a
    balance would show it without the tube; a blank with the tube immersed gives it over f, so times f here.
    """
    factor = buoyancy_factor(air_mg_per_ul, fluid_mg_per_ul)
    return (shown_mg * immersion + evaporated_mg) * factor / fluid_mg_per_ul


def shown_gain_mg(
    delivered_ul: float,
    evaporated_mg: float,
    fluid_mg_per_ul: float,
    air_mg_per_ul: float = 0.0,
    immersion: float = 1.0,
) -> float:
    """What the balance shows for a delivered volume; the inverse of `volume_ul`."""
    factor = buoyancy_factor(air_mg_per_ul, fluid_mg_per_ul)
    return (delivered_ul * fluid_mg_per_ul / factor - evaporated_mg) / immersion


def expansion_ul(line_volume_ul: float, temperature_change_k: float, expansion_per_k: float) -> float:
    """Volume that a line of fluid gives off when it warms; it is delivered but was not pumped."""
    return line_volume_ul * temperature_change_k * expansion_per_k
