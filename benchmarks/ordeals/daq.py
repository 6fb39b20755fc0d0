"""The NI-DAQmx driver and its simulated server through episodes of trouble: a sample is true at its index, or missing.

The server answers in this process, behind the real nidaqmx and the messages of NI's device server.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.ordeals.tally import IN_STEP_WITHIN, Tally
from data.samples import UNUSABLE, Block
from instruments.clock import VirtualClock
from instruments.daq import NiDaqmx
from instruments.daq_acquisition import LAST_RETRY_S
from instruments.daq_session import InProcess
from instruments.daq_settings import NiDaqmxSettings
from instruments.instrument import (
    Connection,
    InstrumentDisconnected,
    InstrumentOverflow,
    InstrumentReplyError,
    InstrumentTimeout,
)
from instruments.simulation.daqserver.messages import Message
from instruments.simulation.daqserver.misbehaviour import KINDS, DaqTrouble, Kind, Misbehaviour
from instruments.simulation.daqserver.server import DaqServer
from instruments.simulation.daqserver.system import System

CHANNELS, RATE_HZ, TURN_S, APART_S = 3, 10.0, 100.0, 17.0
OFF_BY, EPISODES = 1.0, 40
"""What a sample's index may be off, in samples, in a stream of so many episodes, some 40 minutes: it is counted, and
after a break taken from the clock.  With a break each minute it wanders off by 2 samples in 12 hours, 5 ppm."""

AWAY_S = 5.0
LIKELY: dict[Kind, float] = {
    "overflow": 0.06, "timeout": 0.9, "unplug": 0.015, "reset": 0.02, "stall": 0.015, "unavailable": 0.01,
}  # fmt: skip
"""Probability a call.  What makes the driver make its task anew is rarer: nidaqmx takes 10 ms for a task."""

ERRORS = (InstrumentTimeout, InstrumentReplyError, InstrumentDisconnected, InstrumentOverflow)
"""The three, and for a hardware-timed stream the one that says how many samples are missing."""


class Dial:
    """A voltage that turns once in 100 s, so that it tells the moment at which it was sampled."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s

    def at(self, t: float) -> float:
        """Voltage at ``t``."""
        return (t + self.ahead_s) % TURN_S * 0.09

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        """Voltages of some samples."""
        return (t0 + np.arange(first, first + n) * dt + self.ahead_s) % TURN_S * 0.09


class Quiet(Misbehaviour):
    """No trouble; counts the calls that reach the server."""

    def __init__(self) -> None:
        super().__init__(())
        self.calls = 0

    def begin(self, system: System, request: Message) -> None:
        """Count one."""
        self.calls += 1


class DaqOrdeal:
    """Analog inputs and a valve of one driver."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"ni-daqmx/{seed}")
        self.clock = VirtualClock()
        signals = {f"cDAQ1Mod1/ai{index}": Dial(APART_S * index) for index in range(CHANNELS)}
        self.server = DaqServer(self.clock, {"cDAQ1Mod1": "NI 9215", "cDAQ1Mod2": "NI 9472"}, signals)
        channels = [{"name": f"c{i}", "physical": f"cDAQ1Mod1/ai{i}", "kind": "voltage"} for i in range(CHANNELS)]
        table = {"rate": "10 Hz", "channels": channels, "valves": {"outlet": "cDAQ1Mod2/port0/line0"}}
        connection = Connection()
        connection.daq = InProcess("in process", self.server.channel)
        self.daq = NiDaqmx("daq", NiDaqmxSettings.model_validate(table), self.clock, connection)
        self.tally = Tally()
        self.expected = 0  # index of the next sample
        self.daq.open()
        self.daq.start()

    def run(self, strikes: int) -> None:
        """Episodes of trouble until so many have struck, each followed by a look whether samples come again."""
        episodes = 0
        while self.tally.struck.total() < strikes:
            self.episode()
            episodes += 1
            if episodes % EPISODES == 0:
                self.daq.stop()
                self.daq.start()
                self.expected = 0
        self.daq.close()
        self.server.close()

    def episode(self) -> None:
        """Some reads and valves while up to three kinds of trouble strike; then they end, and three reads bring one."""
        chance = self.random
        kinds = chance.sample(KINDS, chance.randint(1, 3))
        troubles = [DaqTrouble((kind,), LIKELY[kind], away_s=AWAY_S) for kind in kinds]
        misbehaviour = self.server.misbehaviour = Misbehaviour(troubles, seed=chance.getrandbits(32))
        for _ in range(chance.randint(2, 20)):
            self.clock.sleep(chance.choice((0.05, 0.3, 1.0, 4.0)))
            if chance.random() < 0.1:
                self.valve(chance.random() < 0.5)
            else:
                self.take()
        self.tally.struck.update(misbehaviour.struck)
        quiet = self.server.misbehaviour = Quiet()
        misbehaviour.end(self.server.system)
        self.clock.sleep(LAST_RETRY_S)
        tried, calls = 1, 0
        while not self.take() and tried < 10 * IN_STEP_WITHIN:
            self.clock.sleep(1.0)
            tried += quiet.calls > calls  # until the next attempt is due a read asks nobody
            calls = quiet.calls
        self.tally.resync = max(self.tally.resync, tried)
        if tried > IN_STEP_WITHIN:
            self.broken(f"samples came after {tried} reads")

    def take(self) -> bool:
        """Read what is there; whether it was any."""
        block = self.tried(lambda: self.daq.read(2000))
        if not isinstance(block, Block) or not len(block.t):
            return False
        if block.first < self.expected:
            self.broken(f"sample {block.first} came twice")
        self.expected = block.first + len(block.t)
        turned_s = (block.values / 0.09 - APART_S * np.arange(CHANNELS) - block.t[:, None]) % TURN_S
        off = np.abs((turned_s + TURN_S / 2.0) % TURN_S - TURN_S / 2.0) * RATE_HZ
        good = (block.quality & int(UNUSABLE)) == 0
        self.tally.flagged += int((~good).sum())
        self.tally.good += int((good & (off <= OFF_BY)).sum())
        if (wrong := good & (off > OFF_BY)).any():
            self.tally.wrong.append(f"{int(wrong.sum())} samples from {block.first} on are off by {off.max():.2f}")
        return True

    def valve(self, on: bool) -> None:
        """Switch the valve; what is confirmed is so."""

        def switched() -> bool:
            self.daq.set_valve("outlet", on)
            return True

        if self.tried(switched):
            self.tally.told += 1
            if self.server.output("cDAQ1Mod2/port0/line0") != on:
                self.broken("the valve is not as it was confirmed")

    def tried(self, action: Callable[[], object]) -> Any:
        """What an action returns; None where it brings an error."""
        try:
            return action()
        except ERRORS as error:
            self.tally.missing[type(error).__name__.removeprefix("Instrument")] += 1
        except Exception as error:  # noqa: BLE001  # that there is none is what is tried
            self.tally.foreign.append(f"{type(error).__name__}: {error}")
        return None

    def broken(self, what: str) -> None:
        """Keep a sentence on what must not be."""
        self.tally.broken.append(f"{what}, at {self.clock.now():.3f} s")


class DaqCase:
    """The driver ``ni-daqmx`` as one of the cases."""

    driver, kinds, max_step = "ni-daqmx", KINDS, 0.0

    def __str__(self) -> str:
        return self.driver

    def ordeal(self, seed: int, strikes: int) -> Tally:
        """Put the driver through so many faults."""
        ordeal = DaqOrdeal(seed)
        ordeal.run(strikes)
        return ordeal.tally
