"""pint's exact factor of each unit on the list: to import and set up pint would take half of a start.

A test holds each against pint; a unit that is missing here is asked of pint.
"""

from __future__ import annotations

FACTORS: dict[str, dict[str, str]] = {
    "flow": {
        "mL/day": "125/3", "mL/h": "1000", "mL/min": "60000", "mL/s": "3600000", "uL/day": "1/24", "uL/min": "60",
        "uL/s": "3600", "nL/h": "1/1000", "nL/min": "3/50", "nL/s": "18/5", "L/day": "125000/3", "L/h": "1000000",
    },
    "volume": {
        "mL": "1000", "nL": "1/1000", "L": "1000000",
    },
    "mass": {
        "g": "1000", "ug": "1/1000", "kg": "1000000",
    },
    "amount": {
        "mg": "1000", "ng": "1/1000", "g": "1000000",
    },
    "pressure": {
        "Pa": "1/1000", "hPa": "1/10", "MPa": "1000", "mbar": "1/10", "bar": "100",
        "mmHg": "26664477483/200000000000", "cmH2O": "196133/2000000", "mmH2O": "196133/20000000",
        "inHg": "3386388640341/1000000000000", "psi": "8896443230521/1290320000000", "Torr": "4053/30400",
        "atm": "4053/40",
    },
    "pressure-rate": {
        "kPa/min": "1/60", "kPa/h": "1/3600", "Pa/s": "1/1000", "bar/s": "100", "bar/min": "5/3",
        "mmHg/s": "26664477483/200000000000", "mmHg/min": "8888159161/4000000000000",
        "psi/s": "8896443230521/1290320000000", "psi/min": "8896443230521/77419200000000",
    },
    "temperature": {
        "K": "1", "degF": "5/9",
    },
    "temperature-difference": {
        "mK": "1/1000",
    },
    "time": {
        "ms": "1/1000", "us": "1/1000000", "min": "60", "h": "3600", "day": "86400",
    },
    "force": {
        "mN": "1/1000", "cN": "1/100", "kN": "1000", "gf": "196133/20000000", "kgf": "196133/20000",
        "lbf": "8896443230521/2000000000000",
    },
    "concentration": {
        "mg/mL": "1000", "ng/mL": "1/1000", "mg/L": "1", "g/L": "1000",
    },
    "dose-rate": {
        "mg/day": "1000", "ng/day": "1/1000", "ug/h": "24", "mg/h": "24000", "ng/h": "3/125", "ug/min": "1440",
    },
    "mass-rate": {
        "ug/h": "1/1000", "g/h": "1000", "mg/day": "1/24", "ug/min": "3/50", "mg/min": "60", "ug/s": "18/5",
        "mg/s": "3600",
    },
    "density": {
        "kg/m3": "1/1000", "kg/L": "1", "mg/uL": "1", "g/cm3": "1",
    },
    "viscosity": {
        "Pa.s": "1000", "cP": "1",
    },
    "length": {
        "cm": "10", "m": "1000", "um": "1/1000", "in": "127/5",
    },
    "velocity": {
        "mm/min": "1/60", "cm/min": "1/6", "um/s": "1/1000",
    },
    "volume-per-length": {
        "mL/cm": "1000", "uL/mm": "10", "uL/m": "1/100",
    },
    "voltage": {
        "mV": "1/1000", "uV": "1/1000000", "kV": "1000",
    },
    "current": {
        "mA": "1/1000", "uA": "1/1000000", "nA": "1/1000000000",
    },
    "sensitivity": {
        "uV/V": "1/1000", "V/V": "1000",
    },
    "resistance": {
        "kohm": "1000", "Mohm": "1000000",
    },
    "frequency": {
        "mHz": "1/1000", "kHz": "1000",
    },
    "percent": {
        "ppm": "1/10000",
    },
    "ratio": {
        "%": "1/100", "ppm": "1/1000000",
    },
    "clock-error": {
        "%": "10000",
    },
    "compliance": {
        "nL/kPa": "1/1000", "uL/mmHg": "200000000000/26664477483", "mL/kPa": "1000", "uL/bar": "1/100",
    },
    "hydraulic-resistance": {
        "Pa.h/uL": "1/1000", "kPa.min/uL": "1/60", "Pa.s/m3": "1/3600000000000000",
        "mmHg.min/mL": "8888159161/4000000000000000",
    },
    "temperature-coefficient": {
        "ppm/K": "1/10000", "1/K": "100",
    },
}  # fmt: skip
"""By dimension and unit: what a value in the unit is multiplied by."""

OFFSETS: dict[str, dict[str, str]] = {
    "temperature": {"K": "-5463/20", "degF": "-160/9"},
}
"""By dimension and unit: what is added then, where it is not 0."""
