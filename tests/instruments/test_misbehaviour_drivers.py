"""Every driver against thousands of random faults of its wire: a value is right, flagged, or not there.

A further driver is a further `Case`.  ``pytest -rP`` shows what was counted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

from data.samples import UNUSABLE, FloatArray, QualityArray
from data.schedule import Continuous, Schedule
from instruments.clock import VirtualClock
from instruments.instrument import (
    Buffered,
    Connection,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentReplyError,
    InstrumentTimeout,
    load_driver,
)
from instruments.simulation.devices.mt_sics import MtSicsBalance
from instruments.simulation.devices.pump_link import PumpLinkDevice
from instruments.simulation.devices.sensirion_shdlc import ShdlcFlowSensor
from instruments.simulation.misbehaviour import KINDS, Kind, Misbehaviour, WireFault
from instruments.simulation.signal import PumpState
from instruments.simulation.visalib import SimulatedVisa
from instruments.simulation.wire import ByteDevice
from instruments.visa import DEADLINES, LAST_RETRY_S, VisaInstrument

STRIKES = 10_000
LATE_S, AWAY_S = (0.1, 0.35, 0.5, 0.9), 7.0  # within the timeout, during the next exchange, after it
IN_STEP_WITHIN = 3
"""Transactions after the end of all faults."""

THREE_ERRORS = (InstrumentTimeout, InstrumentReplyError, InstrumentDisconnected)


@dataclass(frozen=True)
class Case:
    """A driver in front of a device.

    Attributes
    ----------
    truth : (device, t, values) -> what channel ``column`` truly was at ``t``; the values are for counts that turn over.
    tolerance : what a good value may be off with no fault at all: a sample's index is good to a sample or two.
    max_step : what a damaged value may be off and pass; 0 where a checksum guards the wire.
    every_s : between readings.
    begin : called once the driver is open.
    command : (driver, device, number) -> tells the instrument to do something, of which it knows the number.
    done : (device, number) -> how often that was executed; None for what may be done again.
    """

    driver: str
    device: Callable[[], ByteDevice]
    truth: Callable[[Any, FloatArray, FloatArray], FloatArray]
    settings: dict[str, Any] = field(default_factory=dict)
    column: int = 0
    tolerance: float = 1e-6
    max_step: float = 0.0
    every_s: float = 1.0
    begin: Callable[[Any, Any], object] = lambda driver, device: None
    command: Callable[[Any, Any, int], object] | None = None
    done: Callable[[Any, int], int] | None = None

    def __str__(self) -> str:
        return " ".join([self.driver, *filter(None, [self.settings.get("family")])])


class Creep:
    """A load in mg that is another one at each conversion, and makes a step of 37 mg every 97 s.

    No flipped bit of a digit is worth such a step, so that no damage makes the new load look like the old one.
    """

    def at(self, t: float) -> float:
        k = int(t * 10 + 1e-6)
        return 10_000.0 + 0.02 * k % 7_777.0 + 0.02 * (k % 7) + 37.0 * (k // 970 % 5)


class Ticking:
    """A flow in nL/min whose counts tell the time: one more each 0.1 s."""

    def __init__(self, nl_per_min_a_count: float) -> None:
        self.nl_per_min_a_count = nl_per_min_a_count

    def at(self, t: float) -> float:
        return self.nl_per_min_a_count * (round(t / 0.1) % 30_000)

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return self.nl_per_min_a_count * (np.rint((t0 + np.arange(first, first + n) * dt) / 0.1) % 30_000)


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


def balance() -> MtSicsBalance:
    device = MtSicsBalance(Creep(), stable_digits=100.0)  # else it would never be still
    device.tared_mg = 0.0
    return device


def tare(driver: Any, device: Any, number: int = 0) -> None:
    driver.tare()
    device.tared_mg = device.tare_mg


def shown_mg(device: Any, t: FloatArray, values: FloatArray) -> FloatArray:
    """What the balance shows that is asked at ``t``."""
    return np.array([round(device.signal.at(int(at * 10 + 1e-6) / 10) / 0.01) * 0.01 - device.tared_mg for at in t])


def link() -> PumpLinkDevice:
    device = PumpLinkDevice(Pump())
    device.boot_s = 0.2
    return device


BUFFERED = {
    "truth": lambda device, t, values: values + (t / 0.1 - values + 15_000) % 30_000 - 15_000,
    "column": 1,
    "tolerance": 2.0,
    "every_s": 4.0,
    "begin": lambda driver, device: driver.start(),
}

CASES = (
    Case(
        "mettler-mtsics",
        balance,
        shown_mg,
        settings={"stability_timeout": "2 s"},
        max_step=1.0,
        begin=tare,
        command=tare,
    ),
    Case("sensirion-shdlc", partial(ShdlcFlowSensor, Ticking(0.25)), **BUFFERED),
    Case(
        "sensirion-shdlc",
        partial(ShdlcFlowSensor, Ticking(100.0), model="SLF3S-0600F"),
        settings={"family": "SF06"},
        **BUFFERED,
    ),
    Case(
        "pump-link",
        link,
        lambda device, t, values: t / 3600.0,
        every_s=10.0,
        begin=lambda driver, device: driver.program(Schedule(Continuous(40.0))),
        command=lambda driver, device, number: driver.bolus(float(number), 60.0),
        done=lambda device, number: device.pump.given[float(number)],
    ),
)  # fmt: skip


class Ordeal:
    """One driver and its device through episodes of faults, with a look at every value."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case, self.random = case, random.Random(f"{case.driver}/{seed}")
        self.clock, self.device = VirtualClock(), case.device()
        kind = load_driver(case.driver)
        settings = kind.settings_type.model_validate({"resource": "ASRL1::INSTR", **case.settings})
        library = SimulatedVisa(self.clock, {"ASRL1::INSTR": self.device}, raw_errors=bool(seed % 2))
        driver = kind("it", settings, self.clock, Connection.through(library))
        assert isinstance(driver, VisaInstrument)
        self.driver: Any = driver
        self.counted: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self.worst = 0.0
        self.number, self.told = 0, list[int]()
        self.stuck = False
        self.reached = False  # whether anything was sent in the latest call
        self.misbehaviour: Misbehaviour | None = None
        self.listen()
        driver.open()
        case.begin(driver, self.device)

    def listen(self) -> None:
        """Notice what reaches the device's end of the cable."""
        write = self.device.write

        def heard(data: bytes, now: float) -> None:
            self.reached = True
            write(data, now)

        self.device.write = heard  # type: ignore[method-assign]

    def run(self, strikes: int) -> None:
        """Episodes of faults until so many have struck, each followed by a look whether the driver is in step."""
        while self.struck.total() < strikes:
            self.episode()
            self.recover()
        self.orders()

    def episode(self) -> None:
        """Some readings and commands while up to four kinds of fault strike, two of them at once at times."""
        chance = self.random
        faults = [
            WireFault(tuple(chance.sample(KINDS, chance.randint(1, 3))), chance.choice((0.1, 0.5, 1.0)),
                      late_s=chance.choice(LATE_S), away_s=AWAY_S)
            for _ in range(chance.choice((1, 1, 2)))
        ]  # fmt: skip
        self.misbehaviour = Misbehaviour("it", faults, seed=chance.getrandbits(32))
        self.misbehaviour.attach(self.device)
        for _ in range(chance.randint(1, 6)):
            self.clock.sleep(self.case.every_s * chance.choice((0.01, 0.1, 1.0)))
            if self.case.command is not None and chance.random() < 0.2:
                self.order()
            else:
                self.take()

    def recover(self) -> None:
        """The faults end; when what is late has come, and the port may be opened again, three readings bring one."""
        assert self.misbehaviour is not None
        struck = self.misbehaviour.struck
        self.struck.update(struck)
        self.misbehaviour = self.device.misbehaviour = None
        self.device.frozen = self.device.saturated = False
        away = struck.get("unplug") or struck.get("reboot")
        self.clock.sleep(LAST_RETRY_S + AWAY_S if away else max(LATE_S))
        tried = 0
        while not self.take():
            self.clock.sleep(self.case.every_s)
            tried += self.reached
            assert tried < IN_STEP_WITHIN, "still out of step"
        self.clock.sleep(self.case.every_s)
        assert self.take(), "out of step again"

    def take(self) -> bool:
        """One reading, or what a buffer holds; whether it brought any."""
        begun_s, frozen, flipped = self.clock.now(), self.times("freeze"), self.times("flip")
        self.reached = False
        try:
            rows = self.rows()
        except InstrumentError as error:
            self.failed(error)
            return False
        finally:
            assert self.clock.now() - begun_s <= DEADLINES * self.driver.settings.timeout_s + 1e-9
        self.stuck = self.stuck or self.times("freeze") > frozen
        self.judge(*rows, self.case.max_step if self.times("flip") > flipped else 0.0)
        self.stuck = self.stuck and bool(getattr(self.driver, "_held", ()))
        return True

    def rows(self) -> tuple[FloatArray, FloatArray, QualityArray]:
        """Moments, values and qualities of what one call brings; a buffer's samples by its latest anchor."""
        driver, column = self.driver, self.case.column
        if not isinstance(driver, Buffered):
            reading = driver.sample()
            parts = ([reading.t], [reading.values[column]], [reading.quality[column]])
            return np.array(parts[0]), np.array(parts[1]), np.array(parts[2], dtype=np.uint16)
        block = driver.read(10_000)
        anchor_s, acquired = driver.anchor()
        ago = acquired - block.first - np.arange(len(block.t)) - 0.5
        return anchor_s - ago * driver.interval_s, block.values[:, column], block.quality[:, 0]

    def judge(self, t: FloatArray, values: FloatArray, quality: QualityArray, hidden: float) -> None:
        """Every value that is not flagged is the truth, give or take what a damaged digit may hide."""
        good = (quality & int(UNUSABLE)) == 0
        self.counted["flagged"] += int((~good).sum())
        if self.stuck:
            self.counted["stuck"] += int(good.sum())  # the instrument sent it; no wire can tell
            return
        off = np.abs(values - self.case.truth(self.device, t, values))[good]
        assert (off <= self.case.tolerance + hidden).all(), f"{values} at {t} s are off by {off}"
        self.counted["good"] += int((off <= self.case.tolerance).sum())
        self.counted["small"] += int((off > self.case.tolerance).sum())
        self.worst = max(self.worst, off.max(initial=0.0))

    def order(self) -> None:
        """One command with a number of its own."""
        assert self.case.command is not None
        self.number += 1
        try:
            self.case.command(self.driver, self.device, self.number)
        except InstrumentError as error:
            self.failed(error)
        else:
            self.counted["told"] += 1
            self.told.append(self.number)

    def orders(self) -> None:
        """What was confirmed happened once; what was not, once at most."""
        if self.case.done is not None:
            done = {number: self.case.done(self.device, number) for number in range(1, self.number + 1)}
            assert {done[number] for number in self.told} == {1}
            assert max(done.values()) == 1

    def failed(self, error: InstrumentError) -> None:
        assert isinstance(error, THREE_ERRORS)
        self.counted[type(error).__name__.removeprefix("Instrument")] += 1

    def times(self, kind: Kind) -> int:
        """How often a kind of fault has struck in this episode."""
        return 0 if self.misbehaviour is None else self.misbehaviour.struck.get(kind, 0)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_whatever_the_wire_does_a_value_is_right_or_flagged_or_not_there(case: Case) -> None:
    ordeal = Ordeal(case, seed=1)
    ordeal.run(STRIKES)
    print(f"{case}: {ordeal.struck.total()} faults {dict(ordeal.struck)}, readings {dict(ordeal.counted)}, ", end="")
    print(f"{ordeal.counted['small']} damaged values passed, the worst off by {ordeal.worst:.3g}")
    assert min(ordeal.struck[kind] for kind in KINDS) > STRIKES / 100
    assert ordeal.counted["good"] > STRIKES / 3
