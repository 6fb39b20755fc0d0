"""Analog inputs as columns of a task: how DAQmx is told about each, and what its raw values are in the bench's units.

DAQmx scales bridges, thermocouples and resistance thermometers itself; voltages and currents come as such and are
scaled here.  So that no unit is ever guessed, pressures are asked for in Pa, forces in N, temperatures in degC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nidaqmx
import numpy as np
from nidaqmx.constants import (
    BridgeConfiguration,
    BridgeElectricalUnits,
    BridgePhysicalUnits,
    CJCSource,
    CurrentShuntResistorLocation,
    ExcitationSource,
    ForceUnits,
    PressureUnits,
    ResistanceConfiguration,
    RTDType,
    TerminalConfiguration,
    ThermocoupleType,
)

from data import quantities
from data.samples import Channel, FloatArray, Quality, QualityArray
from instruments.daq_settings import (
    MARGIN,
    BridgeInput,
    CurrentInput,
    Input,
    Point,
    Points,
    RtdInput,
    ThermocoupleInput,
    VoltageInput,
)
from instruments.transducers import LOOP_FAULT_A, LOOP_SPAN_A, has_live_zero

PASCAL_PER_KPA = 1000.0


@dataclass(frozen=True, slots=True)
class Column:
    """One input of a task.

    Attributes
    ----------
    gain, offset : channel value = gain * raw + offset.
    curve : points of a sensor that has more than two; then gain and offset are not used.
    ends : raw values at and beyond which the reading is at the end of its range.
    faults : raw values beyond which the sensor reports a fault of its own, or cannot be connected.
    """

    channel: Channel
    add: Callable[[nidaqmx.Task], object]
    ends: Point
    gain: float = 1.0
    offset: float = 0.0
    curve: Points | None = None
    faults: Point = (-np.inf, np.inf)
    thermocouple: bool = False


class Columns:
    """All inputs of a task, in its order."""

    def __init__(self, inputs: tuple[Input, ...]) -> None:
        self.columns = tuple(_MAKERS[type(each)](each) for each in inputs)
        self.channels = tuple(column.channel for column in self.columns)
        self._thermocouples = [index for index, column in enumerate(self.columns) if column.thermocouple]
        self._gain = np.array([[column.gain] for column in self.columns])
        self._offset = np.array([[column.offset] for column in self.columns])
        self._curves = [(index, column.curve) for index, column in enumerate(self.columns) if column.curve is not None]
        self._low, self._high = (np.array([column.ends[side] for column in self.columns]) for side in (0, 1))
        self._least, self._most = (np.array([column.faults[side] for column in self.columns]) for side in (0, 1))

    def __len__(self) -> int:
        return len(self.columns)

    def add_to(self, task: nidaqmx.Task) -> None:
        """Create all channels in a task."""
        for column in self.columns:
            column.add(task)

    def values(self, raw: FloatArray) -> FloatArray:
        """Raw values, shape (channels, samples), in the channels' units, shape (samples, channels)."""
        scaled = raw * self._gain + self._offset
        for index, points in self._curves:
            scaled[index] = points.measured(raw[index])
        return np.ascontiguousarray(scaled.T)

    def quality(self, raw: FloatArray) -> QualityArray:
        """Quality of raw values, shape (samples, channels): ends of range, faults that a sensor reports."""
        quality = np.zeros(raw.shape[::-1], np.uint16)
        if not raw.size:
            return quality
        # False where something is not a number, too.
        good = (raw.min(axis=1) > self._low) & (raw.max(axis=1) < self._high)
        for index in np.flatnonzero(~good):
            row = raw[index]
            at_end = ~((row > self._low[index]) & (row < self._high[index]))
            quality[at_end, index] |= int(Quality.SATURATED)
            faulty = ~((row >= self._least[index]) & (row <= self._most[index]))
            quality[faulty, index] |= int(Quality.DEVICE_ERROR)
        return quality

    def may_be_open(self, quality: QualityArray) -> bool:
        """Whether a thermocouple is at an end of its range, as an open one is."""
        return bool(quality[:, self._thermocouples].any()) if self._thermocouples else False


def _channel(each: Input, unit: str) -> Channel:
    return Channel(each.name, unit, each.reference, each.height_mm, each.description)


# ---------------------------------------------------------------------------------------------- kind by kind


def _bridge(each: BridgeInput) -> Column:
    pressure = each.points.unit == "kPa"
    factor = PASCAL_PER_KPA if pressure else 1.0
    low, high = each.range or _widened(each.points)
    # NI-DAQmx refuses limits outside a table, and holds its outermost values beyond it.
    pairs = each.points.pairs if each.points.is_line else each.points.reaching(low, high)
    electrical, physical = [pair[0] for pair in pairs], [pair[1] * factor for pair in pairs]
    common: dict[str, Any] = {
        "name_to_assign_to_channel": each.name,
        "min_val": low * factor,
        "max_val": high * factor,
        "units": PressureUnits.PASCALS if pressure else ForceUnits.NEWTONS,
        "bridge_config": BridgeConfiguration[f"{each.configuration.upper()}_BRIDGE"],
        "voltage_excit_source": ExcitationSource[each.excitation_source.upper()],
        "voltage_excit_val": each.excitation_v,
        "nominal_bridge_resistance": each.bridge_resistance_ohm,
        "electrical_units": BridgeElectricalUnits.MILLIVOLTS_PER_VOLT,
        "physical_units": BridgePhysicalUnits.PASCALS if pressure else BridgePhysicalUnits.NEWTONS,
    }
    sensor = "pressure" if pressure else "force"

    def add(task: nidaqmx.Task) -> object:
        channels = task.ai_channels
        if each.points.is_line:
            line = getattr(channels, f"add_ai_{sensor}_bridge_two_point_lin_chan")
            return line(
                each.physical,
                first_electrical_val=electrical[0],
                second_electrical_val=electrical[1],
                first_physical_val=physical[0],
                second_physical_val=physical[1],
                **common,
            )
        table = getattr(channels, f"add_ai_{sensor}_bridge_table_chan")
        return table(each.physical, electrical_vals=electrical, physical_vals=physical, **common)

    return Column(_channel(each, each.points.unit), add, (low * factor, high * factor), 1.0 / factor)


def _widened(points: Points) -> Point:
    values = [pair[1] for pair in points.pairs]
    low, high = min(values), max(values)
    return low - MARGIN * (high - low), high + MARGIN * (high - low)


def _scaled(points: Points | None) -> dict[str, Any]:
    """Scaling of a plain voltage or current by the points of its sensor."""
    if points is None:
        return {}
    if not points.is_line:
        return {"curve": points}
    (x1, y1), (x2, y2) = points.pairs
    gain = (y2 - y1) / (x2 - x1)
    return {"gain": gain, "offset": y1 - gain * x1}


_TERMINALS = {
    "default": TerminalConfiguration.DEFAULT,
    "differential": TerminalConfiguration.DIFF,
    "rse": TerminalConfiguration.RSE,
    "nrse": TerminalConfiguration.NRSE,
}


def _voltage(each: VoltageInput) -> Column:
    low, high = each.range

    def add(task: nidaqmx.Task) -> object:
        return task.ai_channels.add_ai_voltage_chan(
            each.physical, each.name, terminal_config=_TERMINALS[each.terminals], min_val=low, max_val=high
        )

    unit = each.points.unit if each.points else "V"
    return Column(_channel(each, unit), add, _believed(each), **_scaled(each.points))


def _believed(each: VoltageInput | CurrentInput) -> Point:
    """The part of an input's range in which its reading is not at an end."""
    return each.points.within(each.range) if each.points else each.range


def _current(each: CurrentInput) -> Column:
    low, high = each.range
    outside = each.shunt_ohm is not None
    location = CurrentShuntResistorLocation.EXTERNAL if outside else CurrentShuntResistorLocation.LET_DRIVER_CHOOSE

    def add(task: nidaqmx.Task) -> object:
        return task.ai_channels.add_ai_current_chan(
            each.physical,
            each.name,
            min_val=low,
            max_val=high,
            shunt_resistor_loc=location,
            ext_shunt_resistor_val=each.shunt_ohm or 249.0,
        )

    unit = each.points.unit if each.points else "A"
    if not has_live_zero(each.points):
        return Column(_channel(each, unit), add, _believed(each), **_scaled(each.points))
    return Column(_channel(each, unit), add, LOOP_SPAN_A, faults=LOOP_FAULT_A, **_scaled(each.points))


def _thermocouple(each: ThermocoupleInput) -> Column:
    low, high = each.range
    common: dict[str, Any] = {"min_val": low, "max_val": high, "thermocouple_type": ThermocoupleType[each.type]}
    junction = each.cold_junction
    if junction == "built-in":
        cold: dict[str, Any] = {"cjc_source": CJCSource.BUILT_IN}
    elif junction[0].isdigit() or junction[0] in "+-.":
        degc = quantities.parse(junction, "temperature")
        cold = {"cjc_source": CJCSource.CONSTANT_USER_VALUE, "cjc_val": degc}
    else:
        cold = {"cjc_source": CJCSource.SCANNABLE_CHANNEL, "cjc_channel": junction}

    def add(task: nidaqmx.Task) -> object:
        return task.ai_channels.add_ai_thrmcpl_chan(each.physical, each.name, **common, **cold)

    return Column(_channel(each, "degC"), add, each.range, thermocouple=True)


_WIRES = {
    2: ResistanceConfiguration.TWO_WIRE,
    3: ResistanceConfiguration.THREE_WIRE,
    4: ResistanceConfiguration.FOUR_WIRE,
}


def _rtd(each: RtdInput) -> Column:
    low, high = each.range

    def add(task: nidaqmx.Task) -> object:
        return task.ai_channels.add_ai_rtd_chan(
            each.physical,
            each.name,
            min_val=low,
            max_val=high,
            rtd_type=RTDType[f"PT_{each.type.removeprefix('Pt')}"],
            resistance_config=_WIRES[each.wires],
            current_excit_source=ExcitationSource.INTERNAL,
            current_excit_val=each.excitation_a,
            r_0=each.r0_ohm,
        )

    return Column(_channel(each, "degC"), add, each.range)


_MAKERS: dict[type[Input], Callable[[Any], Column]] = {
    BridgeInput: _bridge,
    VoltageInput: _voltage,
    CurrentInput: _current,
    ThermocoupleInput: _thermocouple,
    RtdInput: _rtd,
}
