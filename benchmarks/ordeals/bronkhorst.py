"""A Coriolis meter whose flow tells each second from every other, and makes steps at times."""

# ruff: noqa: D102, D103  # what signals, devices and cases must be able to do is said where they are defined

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.ordeals.wire import Case
from data.samples import FloatArray
from instruments.simulation.devices.bronkhorst_propar import CoriFlowMeter


class Passed:
    """A volume in uL whose flow, in uL/h, is another one in each second, and makes a step of 3 mL/h every 97 s."""

    def __init__(self) -> None:
        self.sums = np.zeros(1)

    def flow(self, second: np.ndarray) -> np.ndarray:
        return 2000.0 + 0.7 * (31 * second % 997) + 3000.0 * (second // 97 % 2)

    def at(self, t: float) -> float:
        second = int(t)
        while second + 1 >= len(self.sums):
            more = self.flow(np.arange(len(self.sums) - 1, 2 * len(self.sums) + 1000)) / 3600.0
            self.sums = np.concatenate((self.sums, self.sums[-1] + np.cumsum(more)))
        return float(self.sums[second] + (t - second) * (self.sums[second + 1] - self.sums[second]))


def meter() -> CoriFlowMeter:
    return CoriFlowMeter(Passed(), noise_mg_per_h=0.0, density_noise_g_per_ml=0.0, capacity=10.0)


def flowed_ul_per_h(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    """Mean over half a second before the latest of 20 conversions a second."""
    at = np.floor(t * 20.0 + 1e-6) / 20.0
    return np.array([(device.volume.at(x) - device.volume.at(max(0.0, x - 0.5))) * 7200.0 for x in at])


PROPAR = Case("bronkhorst-propar", meter, flowed_ul_per_h, tolerance=0.01, max_step=1000.0)
