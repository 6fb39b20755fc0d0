"""One analog input: from the signal at its terminals through wiring, range and converter to the scaled value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import (
    CJCSource,
    CurrentShuntResistorLocation,
    ExcitationSource,
    ProductCategory,
    ResistanceConfiguration,
)
from nidaqmx.constants import UsageTypeAI as Measures
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver import iepe
from instruments.simulation.daqserver.channels import Channel
from instruments.simulation.daqserver.customscale import CustomScale
from instruments.simulation.daqserver.faults import BAD_VALUE, DaqFault
from instruments.simulation.daqserver.hardware import DIRECT, Hardware, Wiring
from instruments.simulation.daqserver.scaling import SUPPORTED, Conversion, bridge_share, conversion
from instruments.simulation.signal import Signal

FloatArray = npt.NDArray[np.float64]

UNBOUND_CJC_DEGC = 25.0
_BRIDGES = (
    Measures.BRIDGE,
    Measures.PRESSURE_BRIDGE,
    Measures.FORCE_BRIDGE,
    Measures.TORQUE_BRIDGE,
    Measures.STRAIN_STRAIN_GAGE,
)
_OPEN_WHEN_UNBOUND = (*_BRIDGES, Measures.TEMPERATURE_THERMOCOUPLE, Measures.TEMPERATURE_RTD, Measures.RESISTANCE)


@dataclass(frozen=True, slots=True)
class Samples:
    """Which samples are meant: ``first`` ... ``first + n - 1`` of a clock that started at ``t0`` with period ``dt``.

    ``dt`` 0 is an on-demand reading of ``n`` equal values at ``t0``.
    """

    t0: float
    dt: float
    first: int
    n: int


class AnalogInput:
    """One channel of a committed task.

    Raises
    ------
    DaqFault
        The channel's range, bridge or shunt is not one that the device has.
    """

    def __init__(self, channel: Channel, hardware: Hardware, scales: dict[str, CustomScale], sharing: int) -> None:
        self.channel = channel
        self.measures = Measures(channel.attributes["AI_MEAS_TYPE"])
        assert self.measures in SUPPORTED
        product = channel.device.product
        key = channel.physical.lower()
        self.signal: Signal | None = hardware.signals.get(key)
        self.wiring: Wiring = hardware.wiring.get(key, DIRECT)
        self.conversion: Conversion = conversion(channel.attributes)
        self.scale = scales.get(channel.attributes.get("AI_CUSTOM_SCALE_NAME", ""))
        self.cold: Signal | None = hardware.signals.get(f"{channel.device.name.lower()}/_cjtemp")
        self.factor, self.offset, self.divisor = self._wiring_factor(), self._lead_offset(), self._read_factor()
        self.low, self.high, self.lsb = self._range()
        self.period_s = (sharing if product.shared else 1) / product.max_rate_hz
        self.holds = product.holds
        self.was_open = self.was_overloaded = False
        self._check_excitation()

    def scaled(self, converted: FloatArray, cold_degc: FloatArray | float) -> FloatArray:
        """What the converter gave, in the channel's unit; (n,) to (n,)."""
        if self.divisor != 1.0:
            converted = converted / self.divisor
        values = self.conversion.forward(converted, cold_degc)
        return values if self.scale is None else self.scale.forward(values)

    # -- electrical side

    def electrical(self, wanted: Samples) -> FloatArray:
        """What stands at the terminals, in the unit of the signal; an open input is not a number."""
        if self.signal is None:
            open_input = self.measures in _OPEN_WHEN_UNBOUND
            if self.measures is Measures.TEMPERATURE_BUILT_IN_SENSOR:
                return np.full(wanted.n, UNBOUND_CJC_DEGC)
            return np.full(wanted.n, np.nan if open_input else 0.0)
        terminals = _sampled(self.signal, wanted, self.period_s if self.holds else 0.0)
        if self.factor == 1.0 and self.offset == 0.0:
            return terminals
        return np.asarray(terminals * self.factor + self.offset)

    def _lead_offset(self) -> float:
        """Lead resistance that the resistance configuration leaves in the reading."""
        if self._input_quantity() != "ohm":
            return 0.0
        two_wire = self.channel.attributes["AI_RESISTANCE_CFG"] == ResistanceConfiguration.TWO_WIRE.value
        return 2.0 * self.wiring.lead_ohm if two_wire else 0.0

    def _wiring_factor(self) -> float:
        attributes = self.channel.attributes
        if self.measures in _BRIDGES:
            if attributes["AI_EXCIT_SRC"] == ExcitationSource.NONE.value:
                return 0.0  # a bridge without excitation gives nothing
            return bridge_share(attributes["AI_BRIDGE_CFG"]) if "AI_BRIDGE_CFG" in attributes else 1.0
        if self._input_quantity() != "V":
            return 1.0
        if self.wiring.shunt_ohm is None and self.measures is Measures.CURRENT:
            return float(attributes["AI_CURRENT_SHUNT_RESISTANCE"])  # no resistor stated: the one that the task names
        return 1.0 if self.wiring.shunt_ohm is None else self.wiring.shunt_ohm

    def _read_factor(self) -> float:
        """What the driver divides by: the shunt that the task names, where the input is a voltage."""
        if self._input_quantity() == "V":
            if self.measures is Measures.CURRENT:
                return float(self.channel.attributes["AI_CURRENT_SHUNT_RESISTANCE"])
            if self.conversion.quantity == "ohm":
                return float(self.channel.attributes["AI_EXCIT_VAL"])  # the current that makes the voltage
        return 1.0

    def _input_quantity(self) -> str:
        if (
            self.conversion.quantity in ("A", "ohm")
            and self.conversion.quantity not in self.channel.device.product.ranges
        ):
            return "V"
        return self.conversion.quantity

    def _range(self) -> tuple[float, float, float]:
        """Narrowest input range that holds the channel's limits: its clipping ends and one step of the converter."""
        if self.conversion.quantity == "degC":
            return -np.inf, np.inf, 2.0**-20
        product = self.channel.device.product
        ranges = product.ranges[self._input_quantity()]  # type: ignore[index]  # a Quantity of this product
        attributes = self.channel.attributes
        limits = [attributes["AI_MIN"], attributes["AI_MAX"]]
        if not limits[0] < limits[1]:
            raise DaqFault(DAQmxErrors.MIN_NOT_LESS_THAN_MAX, f"Channel Name: {self.channel.name}")
        if self.scale is not None:
            limits = [self.scale.backward(limit) for limit in limits]
        self._check_table(limits)
        ends = sorted(self.conversion.electrical(limit) * self.divisor for limit in limits)
        for low, high in ranges:
            slack = 1e-9 * (high - low)
            if low - slack <= ends[0] and ends[1] <= high + slack:
                break
        else:
            low, high = ranges[-1]
            unit = self._input_quantity()
            raise DaqFault(
                BAD_VALUE,
                f"Property: AI.Max, AI.Min\nRequested: {ends[0]:g} to {ends[1]:g} {unit}\n"
                f"Supported: {low:g} to {high:g} {unit}\nChannel Name: {self.channel.name}",
            )
        attributes.update({"AI_RNG_LOW": low, "AI_RNG_HIGH": high, "AI_RESOLUTION": float(product.bits)})
        attributes["AI_RAW_SAMP_SIZE"] = 16 if product.bits <= 16 else 32
        attributes["AI_DEV_SCALING_COEFF"] = [0.0, (high - low) / 2.0**product.bits]
        return low * product.over, high * product.over, (high - low) / 2.0**product.bits

    def _check_table(self, limits: list[float]) -> None:
        """AI.Max and AI.Min must be within a table's physical values (NI-DAQmx Properties, AI.Bridge.ScaleType)."""
        low, high = self.conversion.table
        slack = 1e-9 * (high - low)
        if min(limits) < low - slack or max(limits) > high + slack:
            raise DaqFault(
                DAQmxErrors.MIN_MAX_OUTSIDE_TABLE_RANGE,
                f"Property: AI.Max, AI.Min\nRequested: {min(limits):g} to {max(limits):g}\n"
                f"Supported: {low:g} to {high:g}\nChannel Name: {self.channel.name}",
            )

    def _check_excitation(self) -> None:
        attributes, product = self.channel.attributes, self.channel.device.product
        internal = attributes.get("AI_EXCIT_SRC") == ExcitationSource.INTERNAL.value
        if self.measures in _BRIDGES and internal and attributes["AI_EXCIT_VAL"] not in product.excitations_v:
            raise DaqFault(
                BAD_VALUE,
                f"Property: AI.Excit.Val\nRequested Value: {attributes['AI_EXCIT_VAL']:g}\n"
                f"Possible Values: {', '.join(f'{value:g}' for value in product.excitations_v)}\n"
                f"Channel Name: {self.channel.name}",
            )
        self._check_current(internal=internal)
        wires = attributes.get("AI_RESISTANCE_CFG")
        if wires is not None and self._input_quantity() == "ohm" and wires not in product.wires:
            raise DaqFault(BAD_VALUE, f"Property: AI.ResistanceCfg\nRequested Value: {wires}-wire")
        outside = attributes.get("AI_CURRENT_SHUNT_LOC") == CurrentShuntResistorLocation.EXTERNAL.value
        if self.measures is Measures.CURRENT and outside and "A" in product.ranges:
            raise DaqFault(BAD_VALUE, "Property: AI.CurrentShunt.Loc\nThis module has its own shunt: Internal")

    def _check_current(self, *, internal: bool) -> None:
        """Raise where the device has no source of the current that feeds a sensor, or no cold junction of its own."""
        attributes, product = self.channel.attributes, self.channel.device.product
        value = attributes.get("AI_EXCIT_VAL", 0.0)
        if self.measures in iepe.ALL and internal and value not in product.feeds_a:
            possible = ", ".join(f"{each:g}" for each in product.feeds_a)
            raise DaqFault(
                BAD_VALUE,
                f"Property: AI.Excit.Val\nRequested Value: {value:g}\nPossible Values: {possible}\n"
                f"Channel Name: {self.channel.name}",
            )
        if self.conversion.quantity == "ohm" and self._input_quantity() == "V" and (internal or not value > 0.0):
            raise DaqFault(BAD_VALUE, f"Property: AI.Excit.Src\nRequested Value: Internal\nDevice: {product.name}")
        built_in = attributes.get("AI_THRMCPL_CJC_SRC") == CJCSource.BUILT_IN.value
        if built_in and product.category is not ProductCategory.C_SERIES_MODULE:
            raise DaqFault(BAD_VALUE, f"Property: AI.Thrmcpl.CJCSrc\nRequested Value: Built-In\nDevice: {product.name}")

    # -- cold junction

    def cold_degc(self, wanted: Samples) -> FloatArray | float:
        """Temperature of a thermocouple's cold junction as the driver knows it, where no channel measures it."""
        if self.measures is not Measures.TEMPERATURE_THERMOCOUPLE:
            return 0.0
        if self.channel.attributes["AI_THRMCPL_CJC_SRC"] == CJCSource.CONSTANT_USER_VALUE.value:
            return float(self.channel.attributes["AI_THRMCPL_CJC_VAL"])
        if self.cold is None:
            return UNBOUND_CJC_DEGC
        return _sampled(self.cold, wanted, self.period_s if self.holds else 0.0)


class InputBank:
    """All analog inputs of a committed task, read together.

    Raises
    ------
    DaqFault
        A thermocouple takes its cold junction from a channel that is not in the task.
    """

    def __init__(self, inputs: list[AnalogInput]) -> None:
        self.inputs = inputs
        self._lsb, self._low, self._high = (
            np.array([[getattr(each, what)] for each in inputs]) for what in ("lsb", "low", "high")
        )
        self._per_lsb = 1.0 / self._lsb
        self._junctions = {row: self._junction(each) for row, each in enumerate(inputs) if _is_scannable(each)}

    def read(self, wanted: Samples) -> FloatArray:
        """Values of some samples in the channels' units, shape (channels, n)."""
        if not wanted.n:
            return np.empty((len(self.inputs), 0))
        converted = self.converted(wanted)
        values = np.empty_like(converted)
        for row, each in enumerate(self.inputs):
            if row not in self._junctions:
                values[row] = each.scaled(converted[row], each.cold_degc(wanted))
        for row, other in self._junctions.items():
            values[row] = self.inputs[row].scaled(converted[row], values[other])
        return values

    def codes(self, wanted: Samples) -> FloatArray:
        """Codes of the converters, shape (channels, n)."""
        return np.asarray(np.rint(self.converted(wanted) * self._per_lsb))

    def converted(self, wanted: Samples) -> FloatArray:
        """What the converters make of the terminals: steps, clipped at the ends of the ranges."""
        electrical = np.empty((len(self.inputs), wanted.n))
        for row, each in enumerate(self.inputs):
            electrical[row] = each.electrical(wanted)
        top, bottom = electrical.max(axis=1, keepdims=True), electrical.min(axis=1, keepdims=True)
        inside = (top < self._high) & (bottom > self._low)  # false where something is not a number, too
        if not inside.all():
            self._notice(electrical)
        electrical *= self._per_lsb
        np.rint(electrical, out=electrical)
        electrical *= self._lsb
        return electrical if inside.all() else np.clip(electrical, self._low, self._high)

    def _notice(self, electrical: FloatArray) -> None:
        """Remember what is open or overloaded; a pull-up takes an open input to the end of its range."""
        opened = np.isnan(electrical)
        electrical[opened] = np.inf
        over = (electrical >= self._high) | ((electrical <= self._low) & (self._low < 0.0))
        for row, each in enumerate(self.inputs):
            each.was_open = each.was_open or bool(opened[row].any())
            each.was_overloaded = each.was_overloaded or bool(over[row].any())

    def _junction(self, thermocouple: AnalogInput) -> int:
        name = thermocouple.channel.attributes["AI_THRMCPL_CJC_CHAN"].lower()
        for row, other in enumerate(self.inputs):
            if name in (other.channel.name.lower(), other.channel.physical.lower()) and not _is_scannable(other):
                return row
        raise DaqFault(DAQmxErrors.CHAN_NOT_IN_TASK, f"CJC Channel: {name}")


def _is_scannable(each: AnalogInput) -> bool:
    return bool(each.channel.attributes.get("AI_THRMCPL_CJC_SRC") == CJCSource.SCANNABLE_CHANNEL.value)


def _sampled(signal: Signal, wanted: Samples, period_s: float) -> FloatArray:
    """Samples of a signal by a converter that makes one conversion in ``period_s`` (0: as fast as asked)."""
    if wanted.dt == 0.0:
        return np.full(wanted.n, signal.at(wanted.t0))
    if period_s <= wanted.dt * (1.0 + 1e-6):
        return np.asarray(signal.samples(wanted.t0, wanted.dt, wanted.first, wanted.n))
    last = wanted.first + wanted.n - 1
    index = np.floor(np.arange(wanted.first, last + 1) * (wanted.dt / period_s) + 1e-9).astype(np.int64)
    slow = np.asarray(signal.samples(wanted.t0, period_s, int(index[0]), int(index[-1] - index[0]) + 1))
    return np.asarray(slow[index - index[0]])
