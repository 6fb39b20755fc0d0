"""Valves on the digital lines of NI-DAQmx devices, alone and beside inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from data.samples import Block
from instruments.capabilities import Lamps, Valve
from instruments.clock import Clock, VirtualClock
from instruments.daq import NiDaqmx
from instruments.daq_settings import NiDaqmxSettings
from instruments.instrument import Connection, InstrumentDisconnected
from instruments.simulation.daqserver.server import DaqServer

DEVICES = {"cDAQ1Mod2": "NI 9215", "cDAQ1Mod6": "NI 9472"}
CHANNELS: list[dict[str, Any]] = [
    {
        "name": "reservoir",
        "physical": "cDAQ1Mod2/ai0",
        "kind": "voltage",
        "points": [["0 V", "0 kPa"], ["5 V", "100 kPa"]],
    },
]
VALVES = {
    "outlet": "cDAQ1Mod6/port0/line0",
    "vent": {"line": "cDAQ1Mod6/port0/line1", "normally": "open", "safe": "energised"},
}
ALL = {"rate": "10 Hz", "channels": CHANNELS, "valves": VALVES}
SLACK = 8


class Level:
    """A constant voltage."""

    def at(self, t: float) -> float:
        return 2.5

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return np.full(n, 2.5)


class Seen:
    """An actuator that remembers."""

    def __init__(self) -> None:
        self.commands: list[tuple[float, float]] = []

    def write(self, value: float, t: float) -> None:
        self.commands.append((value, t))


class Lab:
    """A server with a voltage and a valve at its terminals, and an instrument on it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.outlet_valve = Seen()
        self.server = DaqServer(
            clock, DEVICES, {"cDAQ1Mod2/ai0": Level()}, {"cDAQ1Mod6/port0/line0": self.outlet_valve}
        ).start()
        self.daq = self.instrument(ALL)

    def instrument(self, table: dict[str, Any]) -> NiDaqmx:
        connection = Connection.through(daq=self.server.target)
        return NiDaqmx("daq", NiDaqmxSettings.model_validate(table), self.clock, connection)

    def block(self, seconds: float) -> Block:
        """Let time pass and read what came, as the sampler does."""
        self.clock.sleep(seconds)
        return self.daq.read(round(seconds / self.daq.interval_s) + SLACK)

    def close(self) -> None:
        self.daq.close()
        self.server.close()


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab(VirtualClock())
    made.daq.open()
    yield made
    made.close()


def test_a_valve_is_commanded_in_one_call_and_read_back_from_the_device(lab: Lab) -> None:
    assert isinstance(lab.daq, Valve)
    assert lab.daq.valve_names == ("outlet", "vent")
    lab.clock.sleep(5.0)
    before = lab.server.calls.copy()
    lab.daq.set_valve("outlet", True)
    assert lab.server.calls - before == {"WriteDigitalLines": 1}
    assert lab.outlet_valve.commands == [(1.0, 5.0)]
    assert lab.daq.valves() == {"outlet": True, "vent": False}
    with pytest.raises(KeyError, match="it has outlet, vent"):
        lab.daq.set_valve("drain", True)


def test_make_safe_brings_every_valve_to_its_stated_state(lab: Lab) -> None:
    lab.daq.set_valve("outlet", True)
    assert lab.daq.make_safe() == "valves outlet released, vent energised, read back"
    assert lab.daq.valves() == {"outlet": False, "vent": True}
    assert lab.server.output("cDAQ1Mod6/port0/line1") == 1.0


def test_a_lamp_is_no_valve_and_going_safe_leaves_it_as_it_is(lab: Lab) -> None:
    lab.daq.close()
    lab.daq.set_apart(["outlet"])
    lab.daq.open()
    assert isinstance(lab.daq, Lamps)
    lab.daq.light({"outlet": True})
    assert lab.daq.valve_names == ("vent",)
    assert lab.daq.make_safe() == "valves vent energised, read back"
    assert lab.server.output("cDAQ1Mod6/port0/line0") == 1.0
    with pytest.raises(KeyError, match="it has vent"):
        lab.daq.set_valve("outlet", False)
    lab.daq.leave_lamps()
    assert lab.server.output("cDAQ1Mod6/port0/line0") == 1.0


def test_a_valve_waits_for_no_lamp(lab: Lab) -> None:
    lab.daq.set_apart(["outlet"])

    def hang() -> None:
        with lab.daq._lamps.away():
            lab.clock.sleep(100.0)

    def main() -> float:
        lab.clock.worker("lamps", hang)
        lab.clock.sleep(1.0)
        lab.daq.make_safe()
        lab.daq.close()
        return lab.clock.now()

    assert lab.clock.run(main) == 1.0


def test_make_safe_without_the_device_is_not_confirmed(lab: Lab) -> None:
    lab.server.unplug("cDAQ1")
    with pytest.raises(InstrumentDisconnected):
        lab.daq.make_safe()
    lab.server.plug("cDAQ1")
    lab.daq.make_safe()


def test_a_reopened_instrument_leaves_the_valves_as_they_are(lab: Lab) -> None:
    lab.daq.set_valve("vent", True)
    lab.daq.close()
    again = lab.instrument(ALL)
    again.open()
    again.set_valve("outlet", True)
    assert again.valves() == {"outlet": True, "vent": True}
    again.close()


def test_a_module_that_was_pulled_and_put_back_shows_its_valves_released(lab: Lab) -> None:
    lab.daq.set_valve("outlet", True)
    lab.server.unplug("cDAQ1Mod6")
    lab.server.plug("cDAQ1Mod6")
    assert lab.daq.valves() == {"outlet": False, "vent": False}


def test_a_command_after_a_return_does_not_bring_back_what_was_switched_before(lab: Lab) -> None:
    lab.daq.set_valve("vent", True)
    lab.server.unplug("cDAQ1Mod6")
    lab.server.plug("cDAQ1Mod6")
    lab.daq.set_valve("outlet", True)
    assert lab.daq.valves() == {"outlet": True, "vent": False}


def test_valves_alone_and_inputs_alone_are_instruments_too(lab: Lab) -> None:
    lab.daq.close()
    valves = lab.instrument({"valves": VALVES})
    valves.open()
    valves.start()
    assert valves.read(10).values.shape == (0, 0)
    valves.close()
    inputs = lab.instrument({"channels": CHANNELS})
    inputs.open()
    assert inputs.valves() == {}
    assert inputs.make_safe() == "drives nothing"
    inputs.close()


def test_workers_of_a_virtual_clock_read_and_switch_beside_each_other() -> None:
    clock = VirtualClock()
    lab = Lab(clock)
    counts: list[int] = []

    def sample() -> None:
        lab.daq.start()
        for _ in range(10):
            counts.append(len(lab.block(6.0).t))
        lab.daq.stop()

    def switch() -> None:
        for step in range(12):
            clock.sleep(5.0)
            lab.daq.set_valve("outlet", step % 2 == 0)

    def main() -> None:
        lab.daq.open()
        workers = [clock.worker("sampler", sample), clock.worker("steps", switch)]
        for worker in workers:
            worker.join()
        assert [worker.error for worker in workers] == [None, None]

    clock.run(main)
    lab.close()
    assert sum(counts) == 601
    assert [t for _, t in lab.outlet_valve.commands] == [5.0 * step for step in range(1, 13)]


# ------------------------------------------------------------------------------------------------ behind an outage


def reset_while_reading(lab: Lab, meanwhile: Callable[[], object] = lambda: None) -> None:
    """The chassis is reset while its inputs are read, and read until they come again."""
    lab.daq.open()
    lab.daq.set_valve("outlet", True)
    lab.daq.start()
    lab.clock.sleep(1.0)
    lab.daq.read(100)
    lab.server.reset("cDAQ1")
    with pytest.raises(InstrumentDisconnected):
        lab.daq.read(100)
    meanwhile()
    lab.clock.sleep(1.0)
    lab.daq.read(100)
    lab.clock.sleep(1.0)
    assert len(lab.daq.read(100).t)


def test_a_valve_that_a_reset_released_is_put_back_and_told(lab: Lab) -> None:
    reset_while_reading(lab)
    assert [value for value, _ in lab.outlet_valve.commands][-2:] == [0.0, 1.0]
    assert any('valve "outlet" had left its state' in note.text for note in lab.daq.take_notes())


def test_a_valve_that_went_safe_meanwhile_stays_safe(lab: Lab) -> None:
    reset_while_reading(lab, lambda: lab.daq.set_valve("outlet", False))
    assert [value for value, _ in lab.outlet_valve.commands][-1] == 0.0
    assert not any("had left its state" in note.text for note in lab.daq.take_notes())
