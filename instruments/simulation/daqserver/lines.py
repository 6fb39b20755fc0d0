"""Levels of digital lines: what is written to them, wired to them, or generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from nidaqmx.constants import ChannelType

from instruments.simulation.daqserver.channels import Channel
from instruments.simulation.daqserver.frontend import Samples
from instruments.simulation.daqserver.hardware import DIRECT

if TYPE_CHECKING:
    from instruments.simulation.daqserver.task import Task

FloatArray = npt.NDArray[np.float64]


def level(task: Task, line: str, t: float) -> bool:
    """State of a digital line: of an output what was written, of an input what it is wired to."""
    key, hardware = line.lower(), task.hardware
    signal, wired = hardware.signals.get(key), hardware.wiring.get(key, DIRECT)
    generator = wired.generator()
    if generator is not None:
        return generator.high(t)
    if task.kind is ChannelType.DIGITAL_OUTPUT or signal is None or key in hardware.outputs:
        return bool(hardware.outputs.get(key, 0.0))
    return (signal.at(t) > 0.5) != wired.normally_closed  # as `Hardware.high`, which is for arrays


def number(task: Task, channel: Channel, t: float) -> int:
    """Lines of a digital channel at a moment as a whole number, lowest line in bit 0, inverted where the channel is."""
    bits = sum(level(task, line, t) << bit for bit, line in enumerate(channel.lines))
    return int(_mask(channel)) - bits if is_inverted(channel) else bits


def samples(task: Task, channel: Channel, wanted: Samples) -> FloatArray:
    """Samples of a digital channel as whole numbers, lowest line in bit 0, inverted where the channel is."""
    if not wanted.dt:
        return np.full(wanted.n, float(number(task, channel, wanted.t0)))
    read = _levels(task, channel, wanted)
    return _mask(channel) - read if is_inverted(channel) else read


def to_lines(channel: Channel, number: float) -> list[tuple[str, float]]:
    """Levels that a number of an output channel brings to its lines."""
    bits = int(_mask(channel) - number if is_inverted(channel) else number)
    return [(line, float(bits >> bit & 1)) for bit, line in enumerate(channel.lines)]


def is_inverted(channel: Channel) -> bool:
    """Whether a channel turns its lines round."""
    return bool(channel.attributes.get("DI_INVERT_LINES") or channel.attributes.get("DO_INVERT_LINES"))


def _mask(channel: Channel) -> float:
    return float((1 << len(channel.lines)) - 1)


def _levels(task: Task, channel: Channel, wanted: Samples) -> FloatArray:
    hardware, values = task.hardware, np.zeros(wanted.n)
    for bit, line in enumerate(channel.lines):
        signal = hardware.signals.get(line.lower())
        generator = hardware.wiring.get(line.lower(), DIRECT).generator()
        if generator is not None:
            moments = wanted.t0 + (wanted.first + np.arange(wanted.n)) * wanted.dt
            levels = np.array([generator.high(moment) for moment in moments.tolist()], np.bool_)
        elif signal is not None and line.lower() not in hardware.outputs:
            levels = hardware.high(line, signal.samples(wanted.t0, wanted.dt, wanted.first, wanted.n))
        else:
            levels = np.full(wanted.n, level(task, line, wanted.t0))
        values += levels * float(1 << bit)
    return values
