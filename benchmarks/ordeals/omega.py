"""``omega-px409`` in front of its simulated transmitter."""

# ruff: noqa: D102, D103  # what signals and cases must be able to do is said where they are defined

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.ordeals.wire import Case
from data.samples import FloatArray
from instruments.simulation.devices.omega_px409 import CONVERSIONS_PER_S, Px409Transmitter

RANGE_KPA = 200.0


class Climb:
    """A pressure in kPa that is another one at each conversion, and makes steps of 37 kPa every 97 s."""

    def at(self, t: float) -> float:
        k = int(t * CONVERSIONS_PER_S + 1e-6)
        return 10.0 + 0.002 * (k % 997) + 0.01 * (k % 7) + 37.0 * (k // (97 * CONVERSIONS_PER_S) % 5)


def transmitter() -> Px409Transmitter:
    return Px409Transmitter(Climb(), noise_kpa=0.0, high_kpa=RANGE_KPA)


def shown_kpa(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    return np.array([device.signal.at(int(at * CONVERSIONS_PER_S + 1e-6) / CONVERSIONS_PER_S) for at in t])


CASES = (
    Case(
        "omega-px409", transmitter, shown_kpa, settings={"reference": "gauge", "high": f"{RANGE_KPA} kPa"},
        tolerance=1e-4, max_step=2.0,
    ),
)  # fmt: skip
