"""DAQmx scaling: from the electrical quantity that an input converts to the number that the application reads.

Everything is derived from the attributes of the virtual channel, as the application set them: a wrong sensitivity,
unit, bridge, shunt or thermocouple type shows as a wrong value, as it does on hardware.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import (
    BridgeConfiguration,
    BridgeElectricalUnits,
    BridgePhysicalUnits,
    ForceUnits,
    PressureUnits,
    RTDType,
    ScaleType,
    StrainGageBridgeType,
    TemperatureUnits,
    ThermocoupleType,
    TorqueUnits,
)
from nidaqmx.constants import UsageTypeAI as Measures

from instruments.simulation.daqserver import iepe, resistance, thermocouples

FloatArray = npt.NDArray[np.float64]
Attributes = Mapping[str, Any]
Forward = Callable[[FloatArray, FloatArray | float], FloatArray]

ZERO_DEGC_K = 273.15
NEWTON_PER_POUND = 4.4482216152605
METRE_PER_INCH = 0.0254
PASCAL_PER_PSI = 6894.757293168361

_TO_SI: dict[int, float] = {
    BridgePhysicalUnits.NEWTONS.value: 1.0,
    BridgePhysicalUnits.POUNDS.value: NEWTON_PER_POUND,
    BridgePhysicalUnits.KILOGRAM_FORCE.value: 9.80665,
    BridgePhysicalUnits.PASCALS.value: 1.0,
    BridgePhysicalUnits.POUNDS_PER_SQ_INCH.value: PASCAL_PER_PSI,
    BridgePhysicalUnits.BAR.value: 1e5,
    PressureUnits.PASCALS.value: 1.0,
    PressureUnits.POUNDS_PER_SQ_INCH.value: PASCAL_PER_PSI,
    PressureUnits.BAR.value: 1e5,
    TorqueUnits.NEWTON_METERS.value: 1.0,  # the bridge's physical units have the same numbers
    TorqueUnits.INCH_OUNCES.value: NEWTON_PER_POUND / 16.0 * METRE_PER_INCH,
    TorqueUnits.INCH_POUNDS.value: NEWTON_PER_POUND * METRE_PER_INCH,
    TorqueUnits.FOOT_POUNDS.value: NEWTON_PER_POUND * 12.0 * METRE_PER_INCH,
    ForceUnits.NEWTONS.value: 1.0,
    ForceUnits.POUNDS.value: NEWTON_PER_POUND,
    ForceUnits.KILOGRAM_FORCE.value: 9.80665,
}
_TYPES = {kind.value: kind.name for kind in ThermocoupleType}


@dataclass(frozen=True, slots=True)
class Conversion:
    """How one channel is scaled.

    Attributes
    ----------
    quantity : what the input converts: "V", "A", "V/V" or "ohm".
    forward : (electrical values, cold junction in degC) to values in the channel's unit.
    electrical : electrical value that belongs to a value in the channel's unit; chooses the input range.
    table : smallest and largest value of the table of a bridge, in the channel's unit.
    """

    quantity: str
    forward: Forward
    electrical: Callable[[float], float]
    table: tuple[float, float] = (-np.inf, np.inf)


def conversion(attributes: Attributes) -> Conversion:
    """Derive the scaling of a channel from its attributes."""
    return _MAKERS[Measures(attributes["AI_MEAS_TYPE"])](attributes)


# --------------------------------------------------------------------------------------------- one by one


def _voltage(_: Attributes) -> Conversion:
    return Conversion("V", lambda volts, _: volts, lambda value: value)


def _current(_: Attributes) -> Conversion:
    return Conversion("A", lambda amperes, _: amperes, lambda value: value)


def _resistance(_: Attributes) -> Conversion:
    return Conversion("ohm", lambda ohm, _: ohm, lambda value: value)


def _voltage_with_excitation(attributes: Attributes) -> Conversion:
    divisor = attributes["AI_EXCIT_VAL"] if attributes["AI_EXCIT_USE_FOR_SCALING"] else 1.0
    return Conversion("V", lambda volts, _: volts / divisor, lambda value: value * divisor)


def _iepe(attributes: Attributes) -> Conversion:
    per_unit = iepe.volts_per_unit(attributes)
    return Conversion("V", lambda volts, _: volts / per_unit, lambda value: value * per_unit)


def _bridge(attributes: Attributes) -> Conversion:
    """Plain ratio, in V/V or mV/V."""
    per_volt = 1e3 if attributes["AI_BRIDGE_UNITS"] == BridgeElectricalUnits.MILLIVOLTS_PER_VOLT.value else 1.0
    correct = _bridge_correction(attributes)
    return Conversion("V/V", lambda ratio, _: correct(ratio) * per_volt, lambda value: value / per_volt)


def _bridge_sensor(units: str) -> Callable[[Attributes], Conversion]:
    """Pressure or force by a bridge: two points, a table or a polynomial between electrical and physical units."""

    def make(attributes: Attributes) -> Conversion:
        electrical_unit = attributes["AI_BRIDGE_ELECTRICAL_UNITS"]
        per_volt = 1e3 if electrical_unit == BridgeElectricalUnits.MILLIVOLTS_PER_VOLT.value else 1.0
        out = _TO_SI[attributes["AI_BRIDGE_PHYSICAL_UNITS"]] / _TO_SI.get(attributes[units], 1.0)
        correct = _bridge_correction(attributes)
        to_physical, to_electrical = _bridge_scale(attributes)
        tabled = attributes["AI_BRIDGE_SCALE_TYPE"] == ScaleType.TABLE.value
        ends = attributes["AI_BRIDGE_TABLE_PHYSICAL_VALS"] if tabled else [-np.inf, np.inf]
        return Conversion(
            "V/V",
            lambda ratio, _: to_physical(correct(ratio) * per_volt) * out,
            lambda value: to_electrical(value / out) / per_volt,
            (min(ends) * out, max(ends) * out),
        )

    return make


def _bridge_correction(attributes: Attributes) -> Callable[[FloatArray], FloatArray]:
    """Offset nulling and shunt calibration."""
    offset, gain = attributes["AI_BRIDGE_INITIAL_RATIO"], attributes["AI_BRIDGE_SHUNT_CAL_GAIN_ADJUST"]
    return lambda ratio: (ratio - offset) * gain


def _bridge_scale(
    attributes: Attributes,
) -> tuple[Callable[[FloatArray], FloatArray], Callable[[float], float]]:
    kind = attributes["AI_BRIDGE_SCALE_TYPE"]
    if kind == ScaleType.TWO_POINT_LINEAR.value:
        e1, e2 = (attributes[f"AI_BRIDGE_TWO_POINT_LIN_{which}_ELECTRICAL_VAL"] for which in ("FIRST", "SECOND"))
        p1, p2 = (attributes[f"AI_BRIDGE_TWO_POINT_LIN_{which}_PHYSICAL_VAL"] for which in ("FIRST", "SECOND"))
        slope = (p2 - p1) / (e2 - e1)
        return lambda e: p1 + (e - e1) * slope, lambda p: e1 + (p - p1) / slope
    if kind == ScaleType.TABLE.value:
        return table(attributes["AI_BRIDGE_TABLE_ELECTRICAL_VALS"], attributes["AI_BRIDGE_TABLE_PHYSICAL_VALS"])
    return polynomial(attributes["AI_BRIDGE_POLY_FORWARD_COEFF"], attributes["AI_BRIDGE_POLY_REVERSE_COEFF"])


def table(
    inputs: list[float], outputs: list[float]
) -> tuple[Callable[[FloatArray], FloatArray], Callable[[float], float]]:
    """Linear interpolation between points; the outermost values hold beyond them."""
    order = np.argsort(inputs)
    x, y = np.asarray(inputs)[order], np.asarray(outputs)[order]
    back = np.argsort(y)
    return lambda e: np.interp(e, x, y), lambda p: float(np.interp(p, y[back], x[back]))


def polynomial(
    forward: list[float], reverse: list[float]
) -> tuple[Callable[[FloatArray], FloatArray], Callable[[float], float]]:
    """Polynomials both ways, lowest order first."""
    evaluate = np.polynomial.polynomial.polyval
    return lambda e: np.asarray(evaluate(e, forward)), lambda p: float(evaluate(p, reverse))


def _strain(attributes: Attributes) -> Conversion:
    """Strain from the change of the bridge's ratio; equations of NI-DAQmx's measurement fundamentals."""
    factor, poisson = attributes["AI_STRAIN_GAGE_GAGE_FACTOR"], attributes["AI_STRAIN_GAGE_POISSON_RATIO"]
    lead = 1.0 + attributes["AI_LEAD_WIRE_RESISTANCE"] / attributes["AI_BRIDGE_NOM_RESISTANCE"]
    initial = attributes["AI_BRIDGE_INITIAL_VOLTAGE"] / attributes["AI_EXCIT_VAL"]
    shape = StrainGageBridgeType(attributes["AI_STRAIN_GAGE_CFG"])
    correct = _bridge_correction(attributes)

    def forward(ratio: FloatArray, _: FloatArray | float) -> FloatArray:
        vr = correct(ratio) - initial
        return np.asarray(_STRAIN[shape](vr, factor, poisson) * (lead if shape in _LEAD_MATTERS else 1.0))

    # Strains are small against 1: the linear term is enough to choose a range.
    sensitivity = float(_STRAIN[shape](np.array(1e-9), factor, poisson)) / 1e-9
    return Conversion("V/V", forward, lambda value: value / sensitivity + initial)


_S = StrainGageBridgeType
_STRAIN: dict[StrainGageBridgeType, Callable[[FloatArray, float, float], FloatArray]] = {
    _S.QUARTER_BRIDGE_I: lambda vr, gf, nu: -4.0 * vr / (gf * (1.0 + 2.0 * vr)),
    _S.QUARTER_BRIDGE_II: lambda vr, gf, nu: -4.0 * vr / (gf * (1.0 + 2.0 * vr)),
    _S.HALF_BRIDGE_I: lambda vr, gf, nu: -4.0 * vr / (gf * ((1.0 + nu) - 2.0 * vr * (nu - 1.0))),
    _S.HALF_BRIDGE_II: lambda vr, gf, nu: -2.0 * vr / gf,
    _S.FULL_BRIDGE_I: lambda vr, gf, nu: -vr / gf,
    _S.FULL_BRIDGE_II: lambda vr, gf, nu: -2.0 * vr / (gf * (nu + 1.0)),
    _S.FULL_BRIDGE_III: lambda vr, gf, nu: -2.0 * vr / (gf * ((nu + 1.0) - vr * (nu - 1.0))),
}
_LEAD_MATTERS = {_S.QUARTER_BRIDGE_I, _S.QUARTER_BRIDGE_II, _S.HALF_BRIDGE_I, _S.HALF_BRIDGE_II}


def _thermocouple(attributes: Attributes) -> Conversion:
    kind = _TYPES[attributes["AI_THRMCPL_TYPE"]]
    show, read = _temperature_unit(attributes)
    lead = attributes["AI_THRMCPL_LEAD_OFFSET_VOLTAGE"]

    def forward(volts: FloatArray, cold_degc: FloatArray | float) -> FloatArray:
        return show(thermocouples.temperature_degc(kind, volts - lead + thermocouples.cold_emf_v(kind, cold_degc)))

    return Conversion("V", forward, lambda value: float(thermocouples.emf_v(kind, read(value))))


def _rtd(attributes: Attributes) -> Conversion:
    r0 = attributes["AI_RTD_R0"]
    kind = attributes["AI_RTD_TYPE"]
    if kind == RTDType.CUSTOM.value:
        abc = (attributes["AI_RTD_A"], attributes["AI_RTD_B"], attributes["AI_RTD_C"])
    else:
        abc = resistance.COEFFICIENTS[kind]
    show, read = _temperature_unit(attributes)
    return Conversion(
        "ohm",
        lambda ohm, _: show(resistance.temperature_degc(ohm, r0, abc)),
        lambda value: float(resistance.resistance_ohm(read(value), r0, abc)),
    )


def _thermistor(attributes: Attributes) -> Conversion:
    """Steinhart and Hart: 1/T = A + B ln R + C (ln R)^3, of a resistance or of the voltage across it in a divider.

    The divider: the excitation voltage over a resistor R1 and the thermistor in series (NI-DAQmx, "Thermistors").
    """
    a, b, c = (attributes[f"AI_THRMSTR_{letter}"] for letter in "ABC")
    show, read = _temperature_unit(attributes)
    excitation, r1 = attributes["AI_EXCIT_VAL"], attributes.get("AI_THRMSTR_R1")

    def degc(ohm: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):  # an open or shorted input
            logarithm = np.log(ohm)
            return np.asarray(1.0 / (a + b * logarithm + c * logarithm**3) - ZERO_DEGC_K)

    def ohm(temperature: float) -> float:
        low, high = 1e-3, 1e9  # falls as it gets warmer
        for _ in range(100):
            middle = float(np.sqrt(low * high))
            low, high = (middle, high) if float(degc(np.array(middle))) > temperature else (low, middle)
        return low

    if r1 is None:
        return Conversion("ohm", lambda resistance, _: show(degc(resistance)), lambda value: ohm(read(value)))

    def across(value: float) -> float:
        resistance = ohm(read(value))
        return float(excitation * resistance / (r1 + resistance))

    def forward(volts: FloatArray, _: FloatArray | float) -> FloatArray:
        with np.errstate(all="ignore"):
            return show(degc(r1 * volts / (excitation - volts)))

    return Conversion("V", forward, across)


def _built_in_sensor(attributes: Attributes) -> Conversion:
    """The cold junction's own sensor: what it is bound to gives degC."""
    show, read = _temperature_unit(attributes)
    return Conversion("degC", lambda degc, _: show(degc), read)


def _temperature_unit(
    attributes: Attributes,
) -> tuple[Callable[[FloatArray], FloatArray], Callable[[float], float]]:
    factor, offset = {
        TemperatureUnits.DEG_C.value: (1.0, 0.0),
        TemperatureUnits.DEG_F.value: (1.8, 32.0),
        TemperatureUnits.K.value: (1.0, 273.15),
        TemperatureUnits.DEG_R.value: (1.8, 491.67),
    }[attributes["AI_TEMP_UNITS"]]
    return lambda degc: degc * factor + offset, lambda value: (value - offset) / factor


_MAKERS: dict[Measures, Callable[[Attributes], Conversion]] = {
    Measures.VOLTAGE: _voltage,
    Measures.VOLTAGE_CUSTOM_WITH_EXCITATION: _voltage_with_excitation,
    Measures.CURRENT: _current,
    Measures.RESISTANCE: _resistance,
    Measures.BRIDGE: _bridge,
    Measures.PRESSURE_BRIDGE: _bridge_sensor("AI_PRESSURE_UNITS"),
    Measures.FORCE_BRIDGE: _bridge_sensor("AI_FORCE_UNITS"),
    Measures.TORQUE_BRIDGE: _bridge_sensor("AI_TORQUE_UNITS"),
    Measures.STRAIN_STRAIN_GAGE: _strain,
    Measures.TEMPERATURE_THERMOCOUPLE: _thermocouple,
    Measures.TEMPERATURE_RTD: _rtd,
    Measures.TEMPERATURE_THERMISTOR: _thermistor,
    Measures.TEMPERATURE_BUILT_IN_SENSOR: _built_in_sensor,
} | dict.fromkeys(iepe.ALL, _iepe)

SUPPORTED = tuple(_MAKERS)


def bridge_share(configuration: int) -> float:
    """Share of a full-bridge transducer's signal that a bridge configuration sees.

    A half-bridge input completes the bridge itself and sees one of its two arms; a quarter-bridge input cannot be
    balanced by a transducer of four arms and rails.
    """
    if configuration == BridgeConfiguration.FULL_BRIDGE.value:
        return 1.0
    return 0.5 if configuration == BridgeConfiguration.HALF_BRIDGE.value else float("nan")
