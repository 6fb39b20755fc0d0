"""A VISA driver and its simulated device through episodes of faults of the wire, with a look at every value."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.ordeals.tally import IN_STEP_WITHIN, Tally
from data.samples import UNUSABLE, FloatArray, QualityArray
from instruments.clock import VirtualClock
from instruments.instrument import (
    Buffered,
    Connection,
    InstrumentDisconnected,
    InstrumentReplyError,
    InstrumentTimeout,
    load_driver,
)
from instruments.simulation.misbehaviour import KINDS, Kind, Misbehaviour, WireFault
from instruments.simulation.visalib import SimulatedVisa
from instruments.simulation.wire import ByteDevice
from instruments.visa import DEADLINES, LAST_RETRY_S, VisaInstrument

LATE, AWAY_S = (1 / 3, 7 / 6, 5 / 3, 3.0), 7.0  # in timeouts: within one, during the next exchange, after it
THREE_ERRORS = (InstrumentTimeout, InstrumentReplyError, InstrumentDisconnected)


class NotDoneError(Exception):
    """An instrument does not stand as an order says that was confirmed."""


@dataclass(frozen=True)
class Case:
    """A driver in front of a device.

    Attributes
    ----------
    truth : (device, t, values) -> what channel ``column`` truly was at ``t``; the values are for counts that turn over.
        Not a number where nothing that counts may be read.
    tolerance : what a good value may be off with no fault at all: a sample's index is good to a sample or two.
    max_step : what a damaged value may be off and pass; 0 where a checksum guards the wire.
    every_s : between readings.
    begin : called once the driver is open.
    command : (driver, device, number) -> tells the instrument to do something, of which it knows the number.  Raises
        NotDoneError when that is confirmed and not so.
    done : (device, number) -> how often that was executed; None for what may be done again.
    orders : share of commands among calls.
    good_share : least number of good values a fault; fewer where an instrument's zero is lost by a fault.
    """

    driver: str
    device: Callable[[], ByteDevice]
    truth: Callable[[Any, FloatArray, FloatArray], FloatArray]
    variant: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    column: int = 0
    tolerance: float = 1e-6
    max_step: float = 0.0
    every_s: float = 1.0
    begin: Callable[[Any, Any], object] = lambda driver, device: None
    command: Callable[[Any, Any, int], object] | None = None
    done: Callable[[Any, int], int] | None = None
    orders: float = 0.2
    good_share: float = 1 / 3

    def __str__(self) -> str:
        return " ".join(filter(None, [self.driver, self.variant]))

    def ordeal(self, seed: int, strikes: int) -> Tally:
        """Put the driver through so many faults."""
        ordeal = Ordeal(self, seed)
        ordeal.run(strikes)
        return ordeal.tally


class Ordeal:
    """One driver and its device, and what became of them."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case, self.random = case, random.Random(f"{case.driver}/{seed}")
        self.clock, self.device = VirtualClock(), case.device()
        kind = load_driver(case.driver)
        settings = kind.settings_type.model_validate({"resource": "ASRL1::INSTR", **case.settings})
        library = SimulatedVisa(self.clock, {"ASRL1::INSTR": self.device}, raw_errors=bool(seed % 2))
        driver = kind("it", settings, self.clock, Connection.through(library))
        assert isinstance(driver, VisaInstrument)
        self.driver: Any = driver
        self.timeout_s = driver.settings.timeout_s
        self.tally = Tally()
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

        self.device.write = heard  # type: ignore[method-assign]  # an ear at the end of the wire

    def run(self, strikes: int) -> None:
        """Episodes of faults until so many have struck, each followed by a look whether the driver is in step."""
        while self.tally.struck.total() < strikes:
            self.episode()
            self.recover()
        self.orders()

    def episode(self) -> None:
        """Some readings and commands while up to four kinds of fault strike, two of them at once at times."""
        chance = self.random
        faults = [
            WireFault(tuple(chance.sample(KINDS, chance.randint(1, 3))), chance.choice((0.1, 0.5, 1.0)),
                      late_s=chance.choice(LATE) * self.timeout_s, away_s=AWAY_S)
            for _ in range(chance.choice((1, 1, 2)))
        ]  # fmt: skip
        self.misbehaviour = Misbehaviour("it", faults, seed=chance.getrandbits(32))
        self.misbehaviour.attach(self.device)
        for _ in range(chance.randint(1, 6)):
            self.clock.sleep(self.case.every_s * chance.choice((0.01, 0.1, 1.0)))
            if self.case.command is not None and chance.random() < self.case.orders:
                self.order()
            else:
                self.take()

    def recover(self) -> None:
        """The faults end; when what is late has come, and the port may be opened again, three readings bring one."""
        assert self.misbehaviour is not None
        struck = self.misbehaviour.struck
        self.tally.struck.update(struck)
        self.misbehaviour = self.device.misbehaviour = None
        self.device.frozen = self.device.saturated = False
        away = struck.get("unplug") or struck.get("reboot")
        self.clock.sleep(LAST_RETRY_S + AWAY_S if away else max(LATE) * self.timeout_s)
        tried = 1
        while not self.take():
            self.clock.sleep(self.case.every_s)
            tried += self.reached
            if tried > 10 * IN_STEP_WITHIN:
                raise AssertionError(f"{self.case} does not get in step again at all")
        self.tally.resync = max(self.tally.resync, tried)
        if tried > IN_STEP_WITHIN:
            self.broken(f"it was in step after {tried} transactions")
        self.clock.sleep(self.case.every_s)
        if not self.take():
            self.broken("it was out of step again")

    def take(self) -> bool:
        """One reading, or what a buffer holds; whether it brought any."""
        begun_s, frozen, flipped = self.clock.now(), self.times("freeze"), self.times("flip")
        self.reached = False
        rows = None
        with self.caught():
            rows = self.rows()
        timeouts = (self.clock.now() - begun_s) / self.timeout_s
        self.tally.longest = max(self.tally.longest, timeouts)
        if timeouts > DEADLINES + 1e-9:
            self.broken(f"a reading took {timeouts:.4f} timeouts")
        if rows is None:
            return False
        self.stuck = self.stuck or self.times("freeze") > frozen
        self.judge(*rows, self.case.max_step if self.times("flip") > flipped else 0.0)
        self.stuck = self.stuck and isinstance(self.driver, Buffered) and bool(self.driver._held)  # noqa: SLF001  # no other way to see it
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
        tally, tolerance = self.tally, self.case.tolerance
        good = (quality & int(UNUSABLE)) == 0
        tally.flagged += int((~good).sum())
        if self.stuck:
            tally.stuck += int(good.sum())  # the instrument sent it; no wire can tell
            return
        off = np.abs(values - self.case.truth(self.device, t, values))[good]
        if not (off <= tolerance + hidden).all():
            tally.wrong.append(f"{values[good]} at {t[good]} s, marked good, are off by {off}")
            return
        tally.good += int((off <= tolerance).sum())
        tally.small += int((off > tolerance).sum())
        tally.worst = max(tally.worst, off[off > tolerance].max(initial=0.0))

    def order(self) -> None:
        """One command with a number of its own."""
        assert self.case.command is not None
        self.number += 1
        confirmed = False
        with self.caught():
            self.case.command(self.driver, self.device, self.number)
            confirmed = True
        if confirmed:
            self.tally.told += 1
            self.told.append(self.number)

    def orders(self) -> None:
        """What was confirmed happened once; what was not, once at most."""
        if self.case.done is None:
            return
        told = set(self.told)
        for number in range(1, self.number + 1):
            done = self.case.done(self.device, number)
            if done > 1 or (done == 0 and number in told):
                self.broken(f"order {number} was {'' if number in told else 'not '}confirmed and done {done} times")

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Count what goes wrong."""
        try:
            yield
        except THREE_ERRORS as error:
            self.tally.missing[type(error).__name__.removeprefix("Instrument")] += 1
        except NotDoneError as error:
            self.broken(str(error))
        except Exception as error:  # noqa: BLE001  # that there is none is what is tried
            self.tally.foreign.append(f"{type(error).__name__}: {error}")

    def broken(self, what: str) -> None:
        """Keep a sentence on what must not be."""
        self.tally.broken.append(f"{what}, at {self.clock.now():.3f} s")

    def times(self, kind: Kind) -> int:
        """How often a kind of fault has struck in this episode."""
        return 0 if self.misbehaviour is None else self.misbehaviour.struck.get(kind, 0)
