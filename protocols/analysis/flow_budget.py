"""The uncertainty budget of a volume and of a mean flow that a balance measured over one interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from protocols.analysis import gravimetry
from protocols.analysis.budget import Budget, Component, bounded, resolution

HOURS_A_DAY = 24.0

LINE_CHANGE_K = 1.0
LINE_EXPANSION_PER_K = 2.2e-4
"""Of water at 22 degC."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """What is known of balance, vessel, fluid and room; the defaults are those of a semi-micro balance.

    Half-widths are bounds (rectangular); ``u_`` are standard uncertainties.  ``evaporation_dof`` are those of the
    blank that gave ``u_evaporation_mg_per_h``, which is as the balance shows it with the tube immersed.
    """

    readability_mg: float = 0.01
    repeatability_mg: float = 0.02
    linearity_half_width_mg: float = 0.10
    drift_half_width_mg_per_day: float = 0.30
    barometric_half_width_hpa: float = 20.0
    buoyant_volume_ul: float = 9250.0  # vessel and contents; a light one
    meniscus_half_width_mg: float = 0.05
    u_evaporation_mg_per_h: float = 0.04
    evaporation_dof: float = math.inf
    fluid_mg_per_ul: float = 0.997773
    u_fluid_temperature_k: float = 0.2
    fluid_expansion_per_k: float = 2.276e-4
    density_half_width_mg_per_ul: float = 0.0003
    air_mg_per_ul: float = 0.0012
    u_air_mg_per_ul: float = 1e-5
    tube_diameter_mm: float = 0.3
    vessel_diameter_mm: float = 20.0
    u_immersion_relative: float = 0.1
    line_volume_ul: float = 1000.0
    line_expansion_per_k: float = LINE_EXPANSION_PER_K
    line_half_width_k: float = 1.0
    u_time_s: float = 0.1
    u_calibration_percent: float = 0.0  # of the balance's certificate, relative to the mass


STANDARD_AIR_MG_PER_UL_AND_HPA = (0.0012, 1013.25)
"""Air density follows pressure; the ratio turns a change of pressure into one of air density."""


def volume_budget(volume_ul: float, duration_h: float, weighing: Weighing) -> Budget:
    """Budget in uL of a delivered volume that a balance saw from one reading before and one after.

    Parameters
    ----------
    volume_ul : the delivered volume.
    duration_h : time between the readings; evaporation and drift grow with it.
    weighing : the inputs.

    Notes
    -----
    V = (dI f + e T) Zb / rho (see `gravimetry.volume_ul`), GUM first order, inputs independent.
    """
    w = weighing
    immersion = gravimetry.immersion_factor(w.tube_diameter_mm, w.vessel_diameter_mm)
    per_mg = gravimetry.z_factor_ul_per_mg(w.air_mg_per_ul, w.fluid_mg_per_ul) * immersion
    air_per_hpa = STANDARD_AIR_MG_PER_UL_AND_HPA[0] / STANDARD_AIR_MG_PER_UL_AND_HPA[1]
    u_density_by_temperature = w.fluid_mg_per_ul * w.fluid_expansion_per_k * w.u_fluid_temperature_k
    per_density = volume_ul / w.fluid_mg_per_ul
    per_air_density = volume_ul * (1.0 / w.fluid_mg_per_ul - 1.0 / gravimetry.STEEL_MG_PER_UL)
    in_mg = (
        resolution("readability", w.readability_mg, readings=2),
        Component("repeatability", w.repeatability_mg * math.sqrt(2.0)),
        bounded("linearity", w.linearity_half_width_mg),
        bounded("zero drift", w.drift_half_width_mg_per_day * duration_h / HOURS_A_DAY),
        bounded("air density on the vessel", w.barometric_half_width_hpa * air_per_hpa * w.buoyant_volume_ul),
        bounded("meniscus", w.meniscus_half_width_mg),
        Component("evaporation", w.u_evaporation_mg_per_h * duration_h, w.evaporation_dof, "t"),
    )
    in_ul = (
        Component("density, temperature", per_density * u_density_by_temperature),
        bounded("density, composition", per_density * w.density_half_width_mg_per_ul),
        Component("buoyancy", per_air_density * w.u_air_mg_per_ul),
        Component("immersed tube", volume_ul * (1.0 - immersion) * w.u_immersion_relative),
        bounded("thermal expansion", w.line_volume_ul * w.line_expansion_per_k * w.line_half_width_k),
        Component("time", volume_ul / (duration_h * 3600.0) * w.u_time_s),
        Component("calibration of the balance", volume_ul * w.u_calibration_percent / 100.0),
    )
    converted = Budget("", "mg", in_mg).scaled("delivered volume", "uL", per_mg)
    return converted.plus(*in_ul)


def mean_rate_u_percent(
    mean_u_percent: float, analysis_s: float, whole_s: float, whole_ul: float, line_volume_ul: float
) -> float:
    """Standard uncertainty in percent of the pump's mean rate over whole strokes.

    Parameters
    ----------
    mean_u_percent : that of the mean over the whole analysis.
    whole_s, whole_ul : duration and volume of the whole strokes in it.

    Notes
    -----
    What the line gives off as it warms leaves the tip, but the pump did not pump it.
    """
    pushed_ul = gravimetry.expansion_ul(line_volume_ul, LINE_CHANGE_K, LINE_EXPANSION_PER_K)
    line = bounded("thermal expansion", pushed_ul)
    return math.hypot(mean_u_percent * analysis_s / whole_s, 100.0 * line.u / whole_ul)


def window_u_percent(common_u_percent: float, reading_ul: float, window_ul: float) -> float:
    """Standard uncertainty in percent of the flow error over one window of a trumpet.

    Parameters
    ----------
    common_u_percent : what all windows share, such as the density.
    reading_ul : standard deviation of the difference of two readings.
    window_ul : programmed volume of the window.
    """
    return math.hypot(100.0 * reading_ul / window_ul, common_u_percent)


def cycle(half_swing_ul: float) -> Component:
    """What a mean over part of a stroke may miss of the pump's mean: u = half-swing over the root of 3, in uL.

    Needed only when a result is the estimate of the pump's mean rate and does not span whole strokes.
    """
    return bounded("part of a stroke", half_swing_ul)
