"""Every VISA driver in front of its simulated device, with a truth that tells each moment from every other.

Loads, forces and temperatures make steps at times, of a size that no flipped bit of a digit is worth within
``max_step``, so that no damage makes the new value look like the old one.
"""

# ruff: noqa: D102, D103  # what signals, devices and cases must be able to do is said where they are defined

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np

from benchmarks.ordeals import harvard, mensor, omega, sartorius
from benchmarks.ordeals.bronkhorst import PROPAR
from benchmarks.ordeals.keysight import CASES as KEYSIGHT
from benchmarks.ordeals.wire import Case, NotDoneError
from data.samples import FloatArray
from data.schedule import Continuous, Schedule
from instruments.simulation.devices.druck_pace import DruckPaceController
from instruments.simulation.devices.julabo import JulaboBath
from instruments.simulation.devices.keller_x import KellerXTransmitter
from instruments.simulation.devices.mark10 import ForceGauge
from instruments.simulation.devices.mt_sics import MtSicsBalance
from instruments.simulation.devices.newera_ne1000 import Ne1000
from instruments.simulation.devices.pump_link import PumpLinkDevice
from instruments.simulation.devices.sensirion_shdlc import ShdlcFlowSensor
from instruments.simulation.devices.vaisala_hmt import VaisalaTransmitter
from instruments.simulation.signal import PumpState


def checked(done: bool, what: str) -> None:
    """Raise NotDoneError where an order was confirmed and not done."""
    if not done:
        raise NotDoneError(what)


# ------------------------------------------------------------------------------------------ mettler-mtsics


class Creep:
    """A load in mg that is another one at each conversion, and makes a step of 37 mg every 97 s."""

    def at(self, t: float) -> float:
        k = int(t * 10 + 1e-6)
        return 10_000.0 + 0.02 * k % 7_777.0 + 0.02 * (k % 7) + 37.0 * (k // 970 % 5)


def balance() -> MtSicsBalance:
    device = MtSicsBalance(Creep(), stable_digits=100.0)  # else it would never be still
    device.tared_mg = 0.0  # type: ignore[attr-defined]  # what the driver was told that it is
    return device


def tare(driver: Any, device: Any, number: int = 0) -> None:
    driver.tare()
    device.tared_mg = device.tare_mg


def shown_mg(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    """What the balance shows that is asked at ``t``."""
    return np.array([round(device.signal.at(int(at * 10 + 1e-6) / 10) / 0.01) * 0.01 - device.tared_mg for at in t])


# ----------------------------------------------------------------------------------------- sensirion-shdlc


class Ticking:
    """A flow in nL/min whose counts tell the time: one more each 0.1 s."""

    def __init__(self, nl_per_min_a_count: float) -> None:
        self.nl_per_min_a_count = nl_per_min_a_count

    def at(self, t: float) -> float:
        return self.nl_per_min_a_count * (round(t / 0.1) % 30_000)

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return self.nl_per_min_a_count * (np.rint((t0 + np.arange(first, first + n) * dt) / 0.1) % 30_000)


BUFFERED: dict[str, Any] = {
    "truth": lambda device, t, values: values + (t / 0.1 - values + 15_000) % 30_000 - 15_000,
    "column": 1,
    "tolerance": 2.0,
    "every_s": 4.0,
    "begin": lambda driver, device: driver.start(),
}


# ----------------------------------------------------------------------------------------------- pump-link


class Pump:
    """Delivers one microlitre an hour and remembers its boluses."""

    maker, model, serial, firmware = "Nobody", "Roller", "P1", "1.0"

    def __init__(self) -> None:
        self.given: Counter[float] = Counter()
        self.held: Any = None

    def load(self, program: Any, t: float) -> None:
        self.held = program

    def program(self, t: float) -> Any:
        return self.held

    def bolus(self, volume_ul: float, duration_s: float, kind: str, t: float) -> str:
        self.given[volume_ul] += 1
        return "ok"

    def state(self, t: float) -> PumpState:
        return PumpState(True, "continuous", t / 3600.0, 20_000.0, (), t, 5.0)


def link() -> PumpLinkDevice:
    device = PumpLinkDevice(Pump())
    device.boot_s = 0.2
    return device


# ------------------------------------------------------------------------------------------ newera-ne1000


class Plunger:
    """A line without volume; an actuator that goes where it is told."""

    def write(self, value: float, t: float) -> None:
        pass

    def ramp(self, value: float, per_s: float, t: float) -> None:
        pass


class Runs(Ne1000):
    """A syringe pump that counts how often it started at each rate, in µL/h."""

    def __init__(self) -> None:
        self.runs: Counter[int] = Counter()
        super().__init__(Plunger())

    def on_command(self, name: str, rest: str, now: float) -> str:
        reply = super().on_command(name, rest, now)
        if name == "RUN":
            program = self._memory.phases[0]
            self.runs[round(program.rate * {"UH": 1.0, "MH": 1000.0}.get(program.rate_unit, 60.0))] += 1
        return reply


SLOWEST_UL_PER_H = 1000


def infuse_anew(driver: Any, device: Any, number: int = 0) -> None:
    """Halt, clear the counts, and infuse at a rate that no other order has."""
    driver.halt()
    checked(device.stands, "the syringe moves after a halt that was confirmed")
    driver.clear_counts()
    driver.infuse(float(SLOWEST_UL_PER_H + number))
    checked(device.runs[SLOWEST_UL_PER_H + number] == 1, f"order {number} was confirmed and not done")


def counted_ul(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    """Volume infused by the pump's count, in four digits with at most three of them behind the point."""
    moved = [device.moved_ul(1, at) for at in t]
    return np.array([round(ul, next(d for d in (3, 2, 1, 0) if ul < 10 ** (4 - d) - 0.5 * 10**-d)) for ul in moved])


SYRINGE = {"diameter": "4.61 mm", "volume": "1 mL", "max_rate": "10 mL/h"}
SYRINGE_PUMP: dict[str, Any] = {
    "truth": counted_ul,
    "begin": infuse_anew,
    "command": infuse_anew,
    "orders": 0.05,
    "done": lambda device, number: device.runs[SLOWEST_UL_PER_H + number],
}


# -------------------------------------------------------------------------------------------------- mark10


class Push:
    """A force in N that is another one at each thousandth of a second, and makes a step of 30 N every 97 s."""

    def at(self, t: float) -> float:
        return float(self.samples(t, 0.0, 0, 1)[0])

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        k = np.rint((t0 + np.arange(first, first + n) * dt) * 1000.0)
        return 2.0 + 2e-5 * k % 7.7 + 0.02 * (k % 7) + 30.0 * (k // 97_000 % 2)


class Gauge(ForceGauge):
    """A force gauge that remembers whether its zero was lost since it was zeroed last."""

    def __init__(self) -> None:
        super().__init__(Push())
        self.lost = False

    def on_reboot(self, now: float) -> None:
        super().on_reboot(now)
        self.lost = True

    def _answer(self, text: str, now: float) -> str:
        self.lost = self.lost and text != "Z"
        return super()._answer(text, now)


def shown_n(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    """What the gauge shows that is asked at ``t``: the mean of two conversions."""
    if device.lost:
        return np.full_like(t, np.nan)
    last = [int(at * 1000 + 1e-6) for at in t]
    return np.array([device.force.samples(0.0, 1e-3, k - 1, 2).mean() - device._zero_n for k in last])  # noqa: SLF001  # no other way to see it


# ---------------------------------------------------------------------------------------------- druck-pace


class Controller(DruckPaceController):
    """A pressure controller that remembers what it measured for a message that came at a moment, in kPa."""

    def __init__(self) -> None:
        super().__init__(Plunger())
        self.measured: dict[float, float] = {}
        self.came_s = 0.0

    def on_bytes(self, data: bytes, now: float) -> None:
        self.came_s = now
        super().on_bytes(data, now)

    def _measured_kpa(self, t: float) -> float:
        kpa = self.measured[self.came_s] = super()._measured_kpa(t)
        return kpa


def regulate(driver: Any, device: Any, number: int) -> None:
    """Regulate to another pressure each time, or let it out, or shut it in."""
    if number % 4 == 0:
        driver.vent()
        checked(device.vents and not device.is_on, "the controller does not vent, which was confirmed")
    elif number % 4 == 2:
        driver.isolate()
        checked(not device.is_on, "the controller regulates, and its shutting off was confirmed")
    else:
        target_kpa = 50.0 + 0.01 * number % 100.0
        driver.set_pressure(target_kpa)
        at_target = device.is_on and abs(device.setpoint_kpa - target_kpa) < 1e-3
        checked(at_target, f"the controller regulates to {device.setpoint_kpa} kPa and not to {target_kpa} kPa")


# ------------------------------------------------------------------------------------------------ keller-x


class Jagged:
    """A pressure in kPa that jumps at each of 400 conversions a second."""

    def at(self, t: float) -> float:
        return 20.0 + 0.1 * (7 * round(t * 400) % 1009)


def sent_kpa(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    """What a transmitter measured last that is asked at ``t``; four bytes carry it as bar."""
    bar = np.array([device.signal.at(int(at * 400 + 1e-6) / 400) / 100.0 for at in t])
    return bar.astype(np.float32).astype(float) * 100.0


# -------------------------------------------------------------------------------------------------- julabo


class Warmth:
    """A temperature in degC that is another one at each tenth of a second, and makes steps of 6 K every 970 s."""

    def at(self, t: float) -> float:
        k = int(t * 10 + 1e-6)
        return 20.0 + 0.01 * (k % 13) + 1e-4 * (k % 7000) + 6.0 * (k // 9700 % 4)


def heat(driver: Any, device: Any, number: int) -> None:
    """Another set point each time; and on or off."""
    if number % 3 == 0:
        driver.switch(number % 2 == 0)
        checked(device.on == (number % 2 == 0), "the bath is not as it was confirmed, on or off")
    else:
        wanted = 15.0 + 0.01 * (number % 2500)
        driver.set_temperature(wanted)
        checked(abs(device.setpoint_degc - wanted) < 1e-6, f"the set point is {device.setpoint_degc}, not {wanted}")


# --------------------------------------------------------------------------------------------- vaisala-hmt


class Jump:
    """A relative humidity in % that is another one at each tenth of a second."""

    def at(self, t: float) -> float:
        return 20.0 + 0.01 * (1013 * int(t * 10 + 1e-6) % 6007)


def seen_at(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    """The signal of a device that measures when it is asked."""
    signal = device.humidity if isinstance(device, VaisalaTransmitter) else device.signal
    return np.array([signal.at(at) for at in t])


# ------------------------------------------------------------------------------------------------- all

CASES = (
    Case(
        "mettler-mtsics", balance, shown_mg, settings={"stability_timeout": "2 s"}, max_step=1.0, begin=tare,
        command=tare,
    ),
    Case("sensirion-shdlc", partial(ShdlcFlowSensor, Ticking(0.25)), variant="SF04", **BUFFERED),
    Case(
        "sensirion-shdlc", partial(ShdlcFlowSensor, Ticking(100.0), model="SLF3S-0600F"), variant="SF06",
        settings={"family": "SF06"}, **BUFFERED,
    ),
    Case(
        "pump-link", link, lambda device, t, values: t / 3600.0, every_s=10.0,
        begin=lambda driver, device: driver.program(Schedule(Continuous(40.0))),
        command=lambda driver, device, number: driver.bolus(float(number), 60.0),
        done=lambda device, number: device.pump.given[float(number)],
    ),
    Case("newera-ne1000", Runs, variant="safe", settings=SYRINGE, **SYRINGE_PUMP),
    Case(
        "newera-ne1000", Runs, variant="basic", settings={**SYRINGE, "safe_timeout": "0 s"},
        max_step=2.0 * 10_000.0 / 3600.0, **SYRINGE_PUMP,
    ),
    Case(
        "mark10", Gauge, shown_n, settings={"capacity": "50 N"}, tolerance=0.005 + 1e-6, max_step=5.0,
        begin=lambda driver, device: driver.tare(), command=lambda driver, device, number: driver.tare(),
    ),
    Case(
        "druck-pace", Controller, lambda device, t, values: np.array([device.measured.get(at, np.nan) for at in t]),
        settings={"max_pressure": "180 kPa"}, max_step=2.0, command=regulate, orders=0.1,
    ),
    Case(
        "keller-x", partial(KellerXTransmitter, Jagged(), noise_kpa=0.0), sent_kpa, settings={"reference": "gauge"},
    ),
    Case(
        "julabo", partial(JulaboBath, Warmth()), seen_at, tolerance=0.005 + 1e-6, max_step=1.0, every_s=10.0,
        command=heat,
    ),
    Case("vaisala-hmt", partial(VaisalaTransmitter, Jump(), Warmth()), seen_at, tolerance=0.005 + 1e-6, every_s=10.0),
    PROPAR,
    *KEYSIGHT,
    *harvard.CASES, *mensor.CASES, *omega.CASES, *sartorius.CASES,
)  # fmt: skip
