"""``mensor-cpc`` in front of its simulated controller."""

# ruff: noqa: D102  # what devices and cases must be able to do is said where they are defined

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.ordeals.wire import Case, NotDoneError
from instruments.simulation.devices.mensor_cpc import CpcController


class Line:
    """A line without volume; an actuator that goes where it is told."""

    def write(self, value: float, t: float) -> None:
        pass

    def ramp(self, value: float, per_s: float, t: float) -> None:
        pass


class Controller(CpcController):
    """A pressure controller that remembers what it measured for a message that came at a moment, in kPa."""

    def __init__(self) -> None:
        super().__init__(Line())
        self.measured: dict[float, float] = {}

    def _measured_kpa(self, t: float) -> float:
        kpa = self.measured[t] = super()._measured_kpa(t)
        return kpa


def regulate(driver: Any, device: Any, number: int) -> None:
    """Regulate to another pressure each time, or let it out, or shut it in."""
    if number % 4 == 0:
        driver.vent()
        done = device.mode == "VENT"
    elif number % 4 == 2:
        driver.isolate()
        done = device.mode == "MEASURE"
    else:
        target_kpa = 50.0 + 0.01 * number % 100.0
        driver.set_pressure(target_kpa)
        done = device.is_on and abs(device.setpoint_kpa - target_kpa) < 1e-3
    if not done:
        raise NotDoneError(f"the controller is in {device.mode}, at {device.setpoint_kpa} kPa, after order {number}")


CASES = (
    Case(
        "mensor-cpc", Controller, lambda device, t, values: np.array([device.measured.get(at, np.nan) for at in t]),
        settings={"max_pressure": "180 kPa"}, tolerance=1e-3, max_step=2.0, command=regulate, orders=0.1,
    ),
)  # fmt: skip
