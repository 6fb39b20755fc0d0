"""The converter of a multimeter: range, integration time, noise, overload."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from instruments.simulation.devices.keysight.scpi import OVERLOAD, number
from instruments.simulation.signal import Signal

LINE_HZ = 50.0
CONVERSIONS_PER_S = 10
NPLC = (0.02, 0.2, 1.0, 2.0, 10.0, 20.0, 100.0, 200.0)
FUNCTIONS = {"VOLT": "VOLTage", "CURR": "CURRent"}
RANGES = {"VOLT": (0.1, 1.0, 10.0, 100.0, 300.0), "CURR": (1e-4, 1e-3, 1e-2, 1e-1, 1.0)}
SHORT_NAME = {"VOLT": "VDC", "CURR": "ADC"}
BEYOND = 1.2  # of the range, where it shows an overload
_DIGITS = 3e-7  # of the range: the resolution that it tells


@dataclass(slots=True)
class Setup:
    """How an input is converted."""

    function: str = "VOLT"
    range: float = 10.0
    auto: bool = True
    nplc: float = 10.0
    auto_zero: bool = True
    auto_impedance: bool = False

    def fix(self, text: str) -> None:
        """Stay in the smallest range that holds a value."""
        wanted = number(text, 0.0, RANGES[self.function][-1])
        self.range = _least(RANGES[self.function], wanted)
        self.auto = False

    def average(self, cycles: float) -> None:
        """Average over at least so many cycles of the mains, as far as it is offered."""
        self.nplc = _least(NPLC, cycles)

    @property
    def told(self) -> str:
        """What ``CONF?`` answers."""
        return f'"{self.function} {self.range:+.6E},{self.resolution:+.6E}"'

    @property
    def takes_s(self) -> float:
        """Time that a conversion takes: the zero is measured for as long."""
        return self.nplc / LINE_HZ * (2.0 if self.auto_zero else 1.0) + 1e-3

    @property
    def resolution(self) -> float:
        """What it tells beside its range."""
        return self.range * _DIGITS


def _least(offered: Sequence[float], wanted: float) -> float:
    """The smallest of what is offered that is enough; the largest always is."""
    return next(each for each in offered if wanted <= each * (1.0 + 1e-9))


@dataclass(slots=True)
class Converter:
    """Converts signals; the noise of a conversion belongs to its moment.

    Attributes
    ----------
    noise : standard deviation of a conversion at 1 NPLC, relative to the range.
    """

    name: str
    noise: float
    seed: int

    def convert(self, signal: Signal | None, setup: Setup, t: float) -> float:
        """What an input shows at ``t``; an open one shows nearly nothing."""
        at = int(t * CONVERSIONS_PER_S + 1e-6) / CONVERSIONS_PER_S
        value = 0.0 if signal is None else signal.at(at)
        if setup.auto:
            setup.range = next((each for each in RANGES[setup.function] if abs(value) <= each * BEYOND), math.inf)
            if math.isinf(setup.range):
                setup.range = RANGES[setup.function][-1]
        if self.noise:
            sd = self.noise * setup.range / math.sqrt(setup.nplc)
            value += random.Random(f"{self.seed}/keysight/{self.name}/{at!r}").gauss(0.0, sd)
        return math.copysign(OVERLOAD, value) if abs(value) > BEYOND * setup.range else value
