"""A multimeter and a data acquisition unit with a voltage that is another one at each moment."""

# ruff: noqa: D102, D103  # what signals, devices and cases must be able to do is said where they are defined

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.ordeals.wire import Case
from data.samples import FloatArray
from instruments.simulation.devices.keysight_34461a import Keysight34461A
from instruments.simulation.devices.keysight_daq970a import KeysightDaq970A
from instruments.simulation.signal import Signal


class Voltage:
    """A voltage that is a function of time."""

    def __init__(self, at: Callable[[float], float]) -> None:
        self.at = at

    def samples(self, t0: float, dt: float, first: int, n: int) -> FloatArray:
        return np.array([self.at(t0 + k * dt) for k in range(first, first + n)])


def climbing(t: float) -> float:
    """Another voltage at each conversion, and a step of 4 V every 97 s."""
    k = int(t * 10 + 1e-6)
    return -4.0 + 1e-4 * (k % 997) + 0.01 * (k % 7) + 4.0 * (k // 970 % 3)


def ticking(t: float) -> float:
    """A voltage that tells the time: 0.1 mV more each second."""
    return 1e-4 * (round(t) % 30_000)


class Multimeter(Keysight34461A):
    """Remembers what it converted for a message that came at a moment."""

    def __init__(self) -> None:
        super().__init__(volts=Voltage(climbing), noise=0.0)
        self.boot_s = 2.0
        self.converted: dict[float, float] = {}
        self.came_s = 0.0

    def on_bytes(self, data: bytes, now: float) -> None:
        self.came_s = now
        super().on_bytes(data, now)

    def _convert(self, t: float) -> float:
        volts = self.converted[self.came_s] = super()._convert(t)
        return volts


class Unit(KeysightDaq970A):
    """Remembers what it converted at its first channel for a message that came at a moment."""

    def __init__(self, signal: Signal) -> None:
        super().__init__({"101": signal, "102": Voltage(ticking)}, noise=0.0)
        self.boot_s = 2.0
        self.converted: dict[float, float] = {}
        self.came_s = 0.0

    def on_bytes(self, data: bytes, now: float) -> None:
        self.came_s = now
        super().on_bytes(data, now)

    def _convert(self, number_: int, channel: Any, t: float) -> float:
        volts = super()._convert(number_, channel, t)
        if number_ == 101:
            self.converted[self.came_s] = volts  # which a frozen unit does not tell
        return volts


def converted(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    return np.array([device.converted.get(at, np.nan) for at in t])


def ticked(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    return values + (1e-4 * t - values + 1.5) % 3.0 - 1.5


VOLTS = {"kind": "voltage", "max_step": "0.5 V"}
CASES = (
    Case(
        "keysight-34461a", Multimeter, converted, settings={"input": {"name": "p", **VOLTS}, "nplc": 1.0},
        tolerance=1e-7, max_step=0.5,
    ),
    Case(
        "keysight-daq970a", partial(Unit, Voltage(climbing)), converted, variant="polled", tolerance=1e-7, max_step=0.5,
        settings={"channels": [{"name": "p", "channel": 101, **VOLTS}, {"name": "q", "channel": 102, **VOLTS}]},
    ),
    Case(
        "keysight-daq970a", partial(Unit, Voltage(ticking)), ticked, variant="buffered", tolerance=2.1e-4,
        max_step=0.01,
        settings={
            "mode": "buffered",
            "channels": [{"name": name, "channel": k, "kind": "voltage", "max_step": "0.01 V"}
                         for name, k in (("p", 101), ("q", 102))],
        },
        every_s=10.0, begin=lambda driver, device: driver.start(),
    ),
)  # fmt: skip
