"""``sartorius-sbi`` in front of its simulated balance.

SBI cannot tell a tare.  What the driver can know of a lost zero is that a weight has fallen: so each tare is made with
an empty pan, and then a vessel of 10 g is put on and read once.
"""

# ruff: noqa: D102, D103  # what signals, devices and cases must be able to do is said where they are defined

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.ordeals.wire import Case
from data.samples import UNUSABLE, FloatArray
from instruments.instrument import InstrumentError
from instruments.simulation.devices.sartorius_sbi import SartoriusBalance

VESSEL_MG = 10_000.0
MAX_STEP_MG = 1.0
TRIES = 5


class Pan:
    """A load in mg that is another one at each conversion, makes steps of 37 mg, and has a vessel on it or not."""

    vessel_mg = 0.0

    def at(self, t: float) -> float:
        k = int(t * 10 + 1e-6)
        return 1000.0 + self.vessel_mg + 0.02 * k % 777.0 + 0.02 * (k % 7) + 37.0 * (k // 970 % 5)


class Balance(SartoriusBalance):
    """A balance that knows where its zero was when the driver was told that it is tared."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(Pan(), stable_digits=4000.0, **settings)  # else it would never be still
        self.told_zero_mg = 0.0
        self.vessel_was_seen = False


def tare(driver: Any, device: Any, number: int = 0) -> None:
    """Tare the empty balance, put the vessel on, and read it."""
    device.signal.vessel_mg = 0.0
    try:
        driver.tare()
        device.told_zero_mg, device.vessel_was_seen = device.zero_mg, False
    finally:
        device.signal.vessel_mg = VESSEL_MG
    for _ in range(TRIES):
        try:
            reading = driver.sample()
        except InstrumentError:
            driver.clock.sleep(1.0)
            continue
        if not reading.quality[0] & int(UNUSABLE) and reading.values[0] > VESSEL_MG / 2.0:
            device.vessel_was_seen = True
            return


def shown_mg(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    """What the balance shows that is asked at ``t``; nothing counts while its zero is another than the driver knows.

    A zero that was taken from the empty pan once more counts: nobody can see that.
    """
    if abs(device.zero_mg - device.told_zero_mg) > VESSEL_MG / 2.0 and device.vessel_was_seen:
        return np.full_like(t, np.nan)
    return np.array([round((device.signal.at(int(at * 10 + 1e-6) / 10) - device.zero_mg) / 0.01) * 0.01 for at in t])


def case(variant: str, device: dict[str, Any], settings: dict[str, Any]) -> Case:
    return Case(
        "sartorius-sbi", partial(Balance, **device), shown_mg, variant=variant, settings=settings, max_step=MAX_STEP_MG,
        tolerance=1e-5, begin=tare, command=tare, orders=0.1, good_share=0.2,
    )  # fmt: skip


CASES = (
    case("22", {}, {}),
    case("16", {"characters": 16, "baud": 1200, "data_bits": 7}, {"baud": 1200, "data_bits": 7}),
)
