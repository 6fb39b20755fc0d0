"""``harvard-phd`` in front of its simulated pump."""

# ruff: noqa: D102, D103  # what devices and cases must be able to do is said where they are defined

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from benchmarks.ordeals.wire import Case, NotDoneError
from data.samples import FloatArray
from instruments.simulation.devices.harvard_phd import PhdPump

SLOWEST_UL_PER_H, FASTEST_UL_PER_H = 1000, 20_000


class Line:
    """A line without volume."""

    def write(self, value: float, t: float) -> None:
        pass


class Runs(PhdPump):
    """A syringe pump that counts how often it started at each rate, in µL/h."""

    def __init__(self) -> None:
        super().__init__(Line())
        self.runs: Counter[int] = Counter()

    def _drive(self, flow_ul_per_h: float, t: float, until_s: float) -> None:
        super()._drive(flow_ul_per_h, t, until_s)
        self.runs[round(flow_ul_per_h)] += flow_ul_per_h > 0.0


def infuse_anew(driver: Any, device: Any, number: int = 0) -> None:
    """Halt, clear the counts, and infuse at a rate that no other order has."""
    driver.halt()
    if not device.stands:
        raise NotDoneError("the syringe moves after a halt that was confirmed")
    driver.clear_counts()
    driver.infuse(float(SLOWEST_UL_PER_H + number))
    if device.runs[SLOWEST_UL_PER_H + number] != 1:
        raise NotDoneError(f"order {number} was confirmed and not done")


def counted_ul(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    return np.array([device.moved_ul(1, at) for at in t])


CASES = (
    Case(
        "harvard-phd", Runs, counted_ul, begin=infuse_anew, command=infuse_anew, orders=0.05, tolerance=1e-5,
        settings={"diameter": "26.7 mm", "volume": "60 mL", "max_rate": f"{FASTEST_UL_PER_H} uL/h"},
        max_step=2.0 * FASTEST_UL_PER_H / 3600.0, done=lambda device, number: device.runs[SLOWEST_UL_PER_H + number],
    ),
)  # fmt: skip
