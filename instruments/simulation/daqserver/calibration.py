"""Calibrations that a task performs on its bridges: nulling of the offset, and the gain by a shunt."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from nidaqmx.constants import ShuntCalSource
from nidaqmx.constants import UsageTypeAI as Measures
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver.dispatch import Call, Handler
from instruments.simulation.daqserver.faults import DaqFault
from instruments.simulation.daqserver.frontend import AnalogInput, Samples
from instruments.simulation.daqserver.system import System
from instruments.simulation.daqserver.task import Task

SAMPLES = 10
"""Conversions that a calibration takes the mean of."""

GAINS = (0.5, 2.0)
"""Corrections beyond these are none: the shunt was not connected, or is another one (limits not verified)."""


def _null(system: System, call: Call) -> None:
    """Take the present ratio of every bridge channel as its zero."""
    task = _quiet(system, call)
    for each in _bridges(task, call):
        each.channel.attributes["AI_BRIDGE_INITIAL_RATIO"] = _ratio(system, each, 0.0)
    task.committed = False


def _shunt(refused: DAQmxErrors) -> Handler:
    """Compare what a resistor across one arm changes with what it should, and correct the gain by that."""

    def calibrate(system: System, call: Call) -> None:
        task, request = _quiet(system, call), call.request
        for each in _bridges(task, call):
            attributes, own_ohm = each.channel.attributes, each.channel.device.product.shunt_ohm
            if own_ohm is None or (refused is STRAIN_REFUSED) != (each.measures is Measures.STRAIN_STRAIN_GAGE):
                if request.skip_unsupported_channels:
                    continue
                raise DaqFault(refused, f"Channel Name: {each.channel.name}\nDevice: {each.channel.device.name}")
            told = request.bridge_resistance if refused is BRIDGE_REFUSED else attributes["AI_BRIDGE_NOM_RESISTANCE"]
            provided = request.shunt_resistor_source_raw == ShuntCalSource.USER_PROVIDED.value
            shunt_ohm = request.shunt_resistor_value if provided else own_ohm
            change = unbalance(each.wiring.bridge_ohm or attributes["AI_BRIDGE_NOM_RESISTANCE"], shunt_ohm)
            seen = _ratio(system, each, change) - _ratio(system, each, 0.0)
            gain = unbalance(told, request.shunt_resistor_value) / seen if seen else np.nan
            if not GAINS[0] <= gain <= GAINS[1]:
                raise DaqFault(DAQmxErrors.SHUNT_CAL_FAILED_OUT_OF_RANGE, f"Channel Name: {each.channel.name}")
            attributes["AI_BRIDGE_SHUNT_CAL_GAIN_ADJUST"] = float(gain)
        task.committed = False

    return calibrate


def unbalance(bridge_ohm: float, shunt_ohm: float) -> float:
    """Ratio in V/V by which a resistor across one arm of a bridge unbalances it; from the two dividers."""
    return bridge_ohm / (4.0 * shunt_ohm + 2.0 * bridge_ohm)


def _quiet(system: System, call: Call) -> Task:
    task = system.task(call.request.task.name)
    task.check_idle()
    task.commit()
    return task


def _bridges(task: Task, call: Call) -> Iterator[AnalogInput]:
    for each in task.inputs:
        if "AI_BRIDGE_INITIAL_RATIO" in each.channel.attributes and call.request.channel in ("", each.channel.name):
            yield each


def _ratio(system: System, each: AnalogInput, more: float) -> float:
    """Mean of some conversions of a bridge, with something added at the terminals."""
    electrical = each.electrical(Samples(system.clock.now(), 0.0, 0, SAMPLES)) + more
    return float(np.mean(np.clip(np.rint(electrical / each.lsb) * each.lsb, each.low, each.high)))


BRIDGE_REFUSED, STRAIN_REFUSED = DAQmxErrors.BRIDGE_SHUNT_CA_NOT_SUPPORTED, DAQmxErrors.STRAIN_SHUNT_CA_NOT_SUPPORTED

HANDLERS: dict[str, Handler] = {
    "PerformBridgeOffsetNullingCalEx": _null,
    "PerformBridgeShuntCalEx": _shunt(BRIDGE_REFUSED),
    "PerformStrainShuntCalEx": _shunt(STRAIN_REFUSED),
}
