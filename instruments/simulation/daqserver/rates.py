"""Sample rates: what the devices of a task make of the one that was asked for, and the fastest that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from nidaqmx.constants import ChannelType
from nidaqmx.error_codes import DAQmxErrors

from instruments.simulation.daqserver.catalogue import DIVISORS
from instruments.simulation.daqserver.faults import BAD_VALUE, DaqFault
from instruments.simulation.daqserver.hardware import Device

if TYPE_CHECKING:
    from instruments.simulation.daqserver.task import Task


def actual_hz(task: Task) -> float:
    """Rate after coercion: what the slowest common divider of the task's delta-sigma modules gives at least.

    Raises
    ------
    DaqFault
        The task has no sample clock.
    """
    wanted = task.timing.rate_hz
    if wanted is None:
        raise DaqFault(DAQmxErrors.INVALID_TIMING_TYPE, f"Task Name: {task.name}")
    bases = [device.product.base_rate_hz for device in task.devices if device.product.base_rate_hz]
    if not bases:
        return wanted
    # n as large as the rate allows: the next rate at or above the one that was asked for.
    divisor = max(1, min(DIVISORS, int(np.floor(min(bases) / wanted * (1.0 + 1e-9)))))
    return min(bases) / divisor


def check(task: Task) -> None:
    """Raise -200077 where the rate is above what one of the devices can do."""
    rate = actual_hz(task)
    for device in task.devices:
        highest = highest_hz(task, device)
        if rate > highest * (1.0 + 1e-9):
            raise DaqFault(
                BAD_VALUE,
                f"Property: SampClk.Rate\nRequested Value: {rate:g}\nMaximum Value: {highest:g}\n"
                f"Device: {device.name}\nTask Name: {task.name}",
            )
    if not rate > 0.0:
        raise DaqFault(BAD_VALUE, f"Property: SampClk.Rate\nRequested Value: {rate:g}\nTask Name: {task.name}")


def highest_hz(task: Task, device: Device) -> float:
    """What a device does at most with the channels of a task; infinite for one that repeats its last conversion.

    Raises
    ------
    DaqFault
        -200077: it has no sample clock for them.
    """
    product = device.product
    if task.kind is ChannelType.ANALOG_INPUT:
        parts = [part for channel in task.channels for part in channel.parts or (channel,)]
        own = sum(part.device is device for part in parts)
        return np.inf if product.holds else product.max_rate_hz / (own if product.shared else 1)
    highest = {
        ChannelType.ANALOG_OUTPUT: product.ao_rate_hz,
        ChannelType.DIGITAL_INPUT: product.di_rate_hz,
        ChannelType.DIGITAL_OUTPUT: product.do_rate_hz,
    }.get(task.kind or ChannelType.COUNTER_INPUT, product.counter_hz)
    if not highest:
        raise DaqFault(
            BAD_VALUE,
            f"Property: SampTimingType\nRequested Value: Sample Clock\nPossible Values: On Demand\n"
            f"Device: {device.name}\nTask Name: {task.name}",
        )
    return highest


def highest_of_all_hz(task: Task) -> float:
    """What the slowest device does at most; of devices that only repeat conversions, what their converters do."""
    rates = [highest_hz(task, device) for device in task.devices]
    finite = [rate for rate in rates if rate < np.inf]
    return min(finite, default=max(device.product.max_rate_hz for device in task.devices))
