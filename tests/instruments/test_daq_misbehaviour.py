"""NI-DAQmx instruments against devices and a server that misbehave: a sample is the truth at its index, or an error."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from data.samples import Block
from instruments.clock import VirtualClock
from instruments.daq import NiDaqmx
from instruments.daq_acquisition import LAST_RETRY_S
from instruments.daq_digital import NiDigital, NiDigitalSettings
from instruments.daq_settings import NiDaqmxSettings
from instruments.instrument import Connection, InstrumentDisconnected, InstrumentError, InstrumentOverflow
from instruments.simulation.daqserver.misbehaviour import KINDS, DaqTrouble, Kind, Misbehaviour
from instruments.simulation.daqserver.server import DaqServer

DEVICES = {"cDAQ1Mod1": "NI 9215", "cDAQ1Mod2": "NI 9472", "cDAQ1Mod3": "NI 9421"}
RATE_HZ, TURN_S, APART_S = 10.0, 100.0, 17.0
TROUBLES: dict[Kind, float] = {
    "overflow": 0.06, "timeout": 0.6, "unplug": 0.01, "reset": 0.01, "stall": 0.01, "unavailable": 0.004,
}  # fmt: skip


class Dial:
    """A voltage that turns once in 100 s, so that it tells the moment at which it was sampled."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s

    def at(self, t: float) -> float:
        return (t + self.ahead_s) % TURN_S * 0.09

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return (t0 + np.arange(first, first + n) * dt + self.ahead_s) % TURN_S * 0.09


class Contact:
    """A line that is high in every other ten seconds."""

    def at(self, t: float) -> float:
        return float(int(t / 10.0) % 2)

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return np.array([self.at(t0 + k * dt) for k in range(first, first + n)])


class Lab:
    """A bench of two instruments, one of them with valves, in front of a server that can misbehave."""

    def __init__(self, clock_ppm: float = 0.0) -> None:
        self.clock = VirtualClock()
        signals = {f"cDAQ1Mod1/ai{index}": Dial(APART_S * index) for index in range(3)}
        self.server = DaqServer(
            self.clock, DEVICES, signals | {"cDAQ1Mod3/port0/line0": Contact()}, clock_ppm=clock_ppm
        ).start()
        connection = Connection.through(daq=self.server.target)
        channels = [{"name": f"c{i}", "physical": f"cDAQ1Mod1/ai{i}", "kind": "voltage"} for i in range(3)]
        table = {"rate": "10 Hz", "channels": channels, "valves": {"outlet": "cDAQ1Mod2/port0/line0"}}
        self.daq = NiDaqmx("daq", NiDaqmxSettings.model_validate(table), self.clock, connection)
        inputs = {"inputs": {"door": {"line": "cDAQ1Mod3/port0/line0", "active": "high"}}}
        self.inputs = NiDigital("safety", NiDigitalSettings.model_validate(inputs), self.clock, connection)
        self.daq.open()
        self.inputs.open()
        self.daq.start()

    def misbehave(self, seed: int, away_s: float = 2.0, **probabilities: float) -> Misbehaviour:
        troubles = [
            DaqTrouble((kind,), probability, away_s=away_s)  # type: ignore[arg-type]  # a kind
            for kind, probability in probabilities.items()
        ]
        self.server.misbehaviour = Misbehaviour(troubles, seed=seed)
        return self.server.misbehaviour

    def block(self, seconds: float) -> Block:
        self.clock.sleep(seconds)
        return self.daq.read(round(seconds * RATE_HZ) + 400)

    def close(self) -> None:
        self.daq.close()
        self.inputs.close()
        self.server.close()


def shifts(block: Block) -> np.ndarray:
    """By how many samples each value is away from the moment that its index stands for."""
    turned_s = (block.values / 0.09 - APART_S * np.arange(3) - block.t[:, None]) % TURN_S
    return np.asarray(((turned_s + TURN_S / 2.0) % TURN_S - TURN_S / 2.0) * RATE_HZ)


def tried(action: Callable[[], object]) -> object:
    """What an action returns, or the error of the bench with which it fails."""
    try:
        return action()
    except InstrumentError as error:
        return error


def test_whatever_devices_and_server_do_a_sample_is_the_truth_at_its_index() -> None:
    lab, draw = Lab(), random.Random(0)
    struck = lab.misbehave(0, **TROUBLES).struck
    expected = read = 0
    outcomes: Counter[str] = Counter()
    for _ in range(1500):
        got = tried(lambda: lab.block(draw.choice((0.05, 0.3, 1.0, 4.0, 15.0))))
        outcomes[type(got).__name__] += 1
        if isinstance(got, Block) and len(got.t):
            assert got.first >= expected  # nothing twice
            expected, read = got.first + len(got.t), read + len(got.t)
            assert np.abs(shifts(got)).max() < 0.6
            assert not got.quality.any()
    lab.close()
    assert read > 0.4 * lab.clock.now() * RATE_HZ
    assert min(outcomes[kind] for kind in ("Block", "InstrumentOverflow", "InstrumentDisconnected")) > 20
    assert min(struck.values()) >= 2
    assert sum(struck.values()) > 900


def test_valves_and_inputs_do_as_they_say_or_say_that_they_do_not() -> None:
    lab, draw = Lab(), random.Random(7)
    struck = lab.misbehave(7, unplug=0.02, reset=0.02, unavailable=0.01).struck
    answered = 0
    for _ in range(250):
        lab.clock.sleep(draw.choice((0.05, 0.5, 2.0)))
        on = draw.random() < 0.5
        if tried(lambda: lab.daq.set_valve("outlet", on)) is None:  # noqa: B023  # called at once
            assert lab.server.output("cDAQ1Mod2/port0/line0") == on
        states = tried(lab.daq.valves)
        if isinstance(states, dict):
            assert states == {"outlet": bool(lab.server.output("cDAQ1Mod2/port0/line0"))}
        reading = tried(lab.inputs.sample)
        if not isinstance(reading, Exception):
            assert reading.values == (Contact().at(lab.clock.now()),)
            answered += 1
    lab.close()
    assert sum(struck.values()) > 30
    assert answered > 60


@pytest.mark.parametrize("kind", KINDS)
def test_three_reads_after_a_fault_has_ended_everything_is_well_again(kind: Kind) -> None:
    lab = Lab()
    misbehaviour = lab.misbehave(1, away_s=20.0, **{kind: 0.3})
    for _ in range(100):
        tried(lambda: lab.block(1.0))
        tried(lab.inputs.sample)
    assert misbehaviour.struck[kind] > 0
    lab.server.misbehaviour = Misbehaviour(())
    misbehaviour.end(lab.server.system)
    blocks = [tried(lambda: lab.block(LAST_RETRY_S / 2.0)) for _ in range(3)]
    assert isinstance(blocks[-1], Block)
    assert np.abs(shifts(blocks[-1])).max() < 0.6
    assert lab.inputs.sample().values == (Contact().at(lab.clock.now()),)
    lab.daq.set_valve("outlet", True)
    assert lab.daq.valves() == {"outlet": True}
    lab.close()


def test_a_task_that_the_server_kept_through_an_outage_does_not_keep_its_successor_out() -> None:
    lab = Lab()
    lab.misbehave(0, away_s=3.0, unavailable=1.0)
    assert isinstance(tried(lambda: lab.block(1.0)), InstrumentDisconnected)
    lab.server.misbehaviour = None
    held = len(lab.server.system.tasks)
    assert len(lab.block(4.0).t) == 1
    assert len(lab.server.system.tasks) == held
    lab.close()
    assert lab.server.system.tasks == {}


def test_many_short_breaks_do_not_add_up_to_a_shift() -> None:
    lab = Lab(clock_ppm=60.0)
    lab.misbehave(3, overflow=0.5, stall=0.05)
    worst = 0.0
    for step in range(250):
        got = tried(lambda: lab.block(0.73 + 0.01 * (step % 7)))  # noqa: B023  # called at once
        if isinstance(got, Block) and len(got.t):
            drift = 60e-6 * got.t * RATE_HZ  # a crystal that is fast samples earlier and earlier
            worst = max(worst, float(np.abs(shifts(got).mean(axis=1) + drift).max()))
    lab.close()
    assert worst < 1.0


@pytest.mark.parametrize("ppm", [-40.0, 0.0, 40.0])
def test_breaks_between_hours_of_samples_lose_no_part_of_one(ppm: float) -> None:
    lab, draw, worst = Lab(clock_ppm=ppm), random.Random(0), 0.0
    for _ in range(12):
        for _ in range(draw.randrange(20, 50)):
            got = tried(lambda: lab.block(300.0))
        assert isinstance(got, Block)
        away = shifts(got).mean(axis=1) + ppm * 1e-6 * got.t * RATE_HZ
        worst = max(worst, float(np.abs((away + 500.0) % 1000.0 - 500.0).max()))
        lab.server.unplug("cDAQ1Mod1")
        tried(lambda: lab.block(draw.uniform(0.01, 5.0)))
        lab.server.plug("cDAQ1Mod1")
    lab.close()
    assert worst < 1.5


def test_a_read_that_times_out_gives_a_part_and_the_next_one_the_rest() -> None:
    lab = Lab()
    lab.misbehave(0, timeout=1.0)
    part = lab.block(10.0)
    lab.server.misbehaviour = None
    rest = lab.block(0.0)
    lab.close()
    assert len(part.t) in (99, 100)
    assert (rest.first, rest.first + len(rest.t)) == (len(part.t), 101)


def test_equal_seeds_misbehave_equally() -> None:
    def said(seed: int) -> list[str]:
        lab = Lab()
        lab.misbehave(seed, **TROUBLES)
        seen = [str(tried(lambda: lab.block(1.0))) for _ in range(40)]
        lab.close()
        return seen

    assert said(5) == said(5) != said(6)


def test_an_overflow_says_how_many_samples_are_lost() -> None:
    lab = Lab()
    lab.misbehave(0, overflow=1.0)
    lost = tried(lambda: lab.block(10.0))
    lab.server.misbehaviour = None
    lab.close()
    assert isinstance(lost, InstrumentOverflow)
    assert lost.lost == 100


@pytest.mark.parametrize(
    ("kinds", "probability", "sentence"),
    [((), 0.1, "not none"), (("melt",), 0.1, "not melt"), (("reset",), 2.0, "from 0 to 1")],
)
def test_a_fault_that_makes_no_sense_is_refused(kinds: tuple[Kind, ...], probability: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DaqTrouble(kinds, probability)
