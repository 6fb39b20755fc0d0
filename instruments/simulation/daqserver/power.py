"""A programmable power supply that measures its own output (TestScale TS-15200).

It holds its voltage until the load draws the current that it is limited to, and from there on holds the current.  What
it feeds is a resistor that the wiring declares (``load_ohm``), or nothing.  A disabled output reads as not a number
(NI's open-source tests).  Limits and rate are from memory, not verified against a data sheet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import ChannelType, PowerIdleOutputBehavior, PowerOutputState
from nidaqmx.constants import UsageTypeAI as Measures
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver.channels import Channel
from instruments.simulation.daqserver.faults import BAD_VALUE, DaqFault
from instruments.simulation.daqserver.hardware import DIRECT

if TYPE_CHECKING:
    from instruments.simulation.daqserver.task import Task

FloatArray = npt.NDArray[np.float64]

LIMITS = {"PWR_VOLTAGE_SETPOINT": (0.0, 6.0), "PWR_CURRENT_SETPOINT": (0.03, 3.0)}


def is_supply(channel: Channel) -> bool:
    """Whether a channel is the output of a power supply."""
    return bool(channel.attributes.get("AI_MEAS_TYPE") == Measures.POWER.value)


def supplies(task: Task) -> bool:
    """Whether a task is one of power supplies."""
    return task.kind is ChannelType.ANALOG_INPUT and any(is_supply(channel) for channel in task.channels)


def check(task: Task) -> None:
    """Raise -200077 for a set point that the supply does not have."""
    for channel in task.channels:
        for name, (low, high) in LIMITS.items():
            value = channel.attributes.get(name, low)
            if not low <= value <= high:
                raise DaqFault(
                    BAD_VALUE,
                    f"Property: {name}\nRequested Value: {value:g}\nMinimum Value: {low:g}\nMaximum Value: {high:g}\n"
                    f"Channel Name: {channel.name}",
                )


def state(task: Task, channel: Channel) -> tuple[float, float, PowerOutputState]:
    """Voltage, current and state of an output; not a number while it is off."""
    attributes = channel.attributes
    if not attributes["PWR_OUTPUT_ENABLE"]:
        return np.nan, np.nan, PowerOutputState.OUTPUT_DISABLED
    volts, limit = float(attributes["PWR_VOLTAGE_SETPOINT"]), float(attributes["PWR_CURRENT_SETPOINT"])
    load_ohm = task.hardware.wiring.get(channel.physical.lower(), DIRECT).load_ohm
    if load_ohm is None:
        return volts, 0.0, PowerOutputState.CONSTANT_VOLTAGE
    if volts > limit * load_ohm:
        return limit * load_ohm, limit, PowerOutputState.CONSTANT_CURRENT
    return volts, volts / load_ohm, PowerOutputState.CONSTANT_VOLTAGE


def apply(task: Task) -> None:
    """Let the outputs of a task stand as it is set."""
    for channel in task.channels:
        if is_supply(channel):
            task.hardware.lead(channel.physical, float(np.nan_to_num(state(task, channel)[0])))


def idle(task: Task) -> None:
    """What the outputs do behind the end of a task: go off, or stay."""
    for channel in task.channels:
        off = PowerIdleOutputBehavior.OUTPUT_DISABLED.value
        if is_supply(channel) and channel.attributes["PWR_IDLE_OUTPUT_BEHAVIOR"] == off:
            task.hardware.lead(channel.physical, 0.0)


def setters(task: Task, channel: Channel) -> dict[str, Callable[[Any], None]]:
    """What may be set while the task runs, and takes effect at once."""

    def setter(name: str) -> Callable[[Any], None]:
        def put(value: Any) -> None:
            before = channel.attributes[name]
            channel.attributes[name] = value
            try:
                check(task)
            except DaqFault:
                channel.attributes[name] = before
                raise
            if task.running:
                apply(task)

        return put

    return {name: setter(name) for name in (*LIMITS, "PWR_OUTPUT_ENABLE")} if is_supply(channel) else {}


def output_state(task: Task, channel: Channel) -> int:
    """State of an output; off while its task does not run."""
    found = state(task, channel)[2] if task.running else PowerOutputState.OUTPUT_DISABLED
    return int(found.value)


def measured(task: Task, n: int) -> tuple[FloatArray, FloatArray]:
    """Voltages and currents of ``n`` samples, shapes (channels, n).

    Raises
    ------
    DaqFault
        The task has other channels too.
    """
    if not all(is_supply(channel) for channel in task.channels):
        raise DaqFault(DAQmxErrors.READ_CHAN_TYPE_MISMATCH, f"Task Name: {task.name}", read=0)
    apply(task)
    levels = np.array([state(task, channel)[:2] for channel in task.channels])
    return np.repeat(levels[:, :1], n, axis=1), np.repeat(levels[:, 1:], n, axis=1)
