"""Sensors that are fed with a constant current: accelerometers, microphones, force and velocity sensors.

What stands at the terminals is the sensor's signal without its bias voltage, as the input's AC coupling leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nidaqmx.constants import (
    AccelSensitivityUnits,
    AccelUnits,
    ForceIEPESensorSensitivityUnits,
    ForceUnits,
    VelocityIEPESensorSensitivityUnits,
    VelocityUnits,
)
from nidaqmx.constants import UsageTypeAI as Measures

GRAVITY = 9.80665
METRE_PER_INCH = 0.0254
NEWTON_PER_POUND = 4.4482216152605
HEARING_PA = 20e-6
"""Sound pressure of 0 dB."""

_SI: dict[str, dict[int, float]] = {
    "AI_ACCEL": {
        AccelUnits.G.value: GRAVITY,
        AccelUnits.METERS_PER_SECOND_SQUARED.value: 1.0,
        AccelUnits.INCHES_PER_SECOND_SQUARED.value: METRE_PER_INCH,
    },
    "AI_FORCE": {
        ForceUnits.NEWTONS.value: 1.0,
        ForceUnits.POUNDS.value: NEWTON_PER_POUND,
        ForceUnits.KILOGRAM_FORCE.value: GRAVITY,
    },
    "AI_VELOCITY": {
        VelocityUnits.METERS_PER_SECOND.value: 1.0,
        VelocityUnits.INCHES_PER_SECOND.value: METRE_PER_INCH,
    },
}
_VOLTS_PER_SI: dict[int, float] = {
    AccelSensitivityUnits.MILLIVOLTS_PER_G.value: 1e-3 / GRAVITY,
    AccelSensitivityUnits.VOLTS_PER_G.value: 1.0 / GRAVITY,
    ForceIEPESensorSensitivityUnits.MILLIVOLTS_PER_NEWTON.value: 1e-3,
    ForceIEPESensorSensitivityUnits.MILLIVOLTS_PER_POUND.value: 1e-3 / NEWTON_PER_POUND,
    VelocityIEPESensorSensitivityUnits.MILLIVOLTS_PER_MILLIMETER_PER_SECOND.value: 1.0,
    VelocityIEPESensorSensitivityUnits.MILLIVOLTS_PER_INCH_PER_SECOND.value: 1e-3 / METRE_PER_INCH,
}
SENSORS: dict[Measures, tuple[str, str]] = {
    Measures.ACCELERATION_ACCELEROMETER_CURRENT_INPUT: ("AI_ACCEL", "AI_ACCEL_SENSITIVITY"),
    Measures.FORCE_IEPE_SENSOR: ("AI_FORCE", "AI_FORCE_IEPE_SENSOR_SENSITIVITY"),
    Measures.VELOCITY_IEPE_SENSOR: ("AI_VELOCITY", "AI_VELOCITY_IEPE_SENSOR_SENSITIVITY"),
}
"""How the attributes of a sensor begin: of its units, and of its sensitivity."""

MICROPHONE = Measures.SOUND_PRESSURE_MICROPHONE
ALL = (*SENSORS, MICROPHONE)


def volts_per_unit(attributes: Mapping[str, Any]) -> float:
    """Sensitivity in V for one of the channel's unit."""
    measures = Measures(attributes["AI_MEAS_TYPE"])
    if measures is MICROPHONE:
        return float(attributes["AI_MICROPHONE_SENSITIVITY"]) * 1e-3  # mV/Pa
    units, sensitivity = SENSORS[measures]
    per_si = attributes[sensitivity] * _VOLTS_PER_SI[attributes[f"{sensitivity}_UNITS"]]
    return float(per_si * _SI[units].get(attributes[f"{units}_UNITS"], 1.0))


def loudest_pa(level_db: float) -> float:
    """Peak of the sound pressure of a level."""
    return float(HEARING_PA * 10.0 ** (level_db / 20.0) * 2.0**0.5)
