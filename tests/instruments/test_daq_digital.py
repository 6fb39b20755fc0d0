"""Digital inputs on simulated devices, alone and beside the analog inputs and valves of the same chassis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from instruments.clock import Clock, VirtualClock, WallClock
from instruments.daq import NiDaqmx
from instruments.daq_digital import LAST_RETRY_S, NiDigital, NiDigitalSettings
from instruments.daq_settings import NiDaqmxSettings
from instruments.instrument import (
    Connection,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    load_driver,
)
from instruments.simulation.daqserver.hardware import Wiring
from instruments.simulation.daqserver.server import DaqServer

LEAK, STOP = "cDAQ1Mod2/port0/line0", "cDAQ1Mod2/port0/line7"
INPUTS = {"leak_tray": {"line": LEAK, "active": "high"}, "e_stop": {"line": STOP, "active": "low"}}
DEVICES = {"cDAQ1Mod1": "NI 9215", "cDAQ1Mod2": "NI 9421", "cDAQ1Mod3": "NI 9472"}
BENCH = {"channels": [{"name": "p", "physical": "cDAQ1Mod1/ai0", "kind": "voltage"}], "valves": {}}


class Contact:
    """What stands at a line: high or low, from certain moments on."""

    def __init__(self, *changes: tuple[float, bool]) -> None:
        self.changes = changes

    def at(self, t: float) -> float:
        return float([high for since, high in self.changes if since <= t][-1])

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return np.array([self.at(t0 + k * dt) for k in range(first, first + n)])


class Lab:
    """A server with two contacts, and the instrument that reads them."""

    def __init__(self, clock: Clock, **settings: Any) -> None:
        self.clock = clock
        signals = {LEAK: Contact((0.0, False), (10.0, True)), STOP: Contact((0.0, True), (20.0, False))}
        self.server = DaqServer(clock, DEVICES, signals).start()
        self.connection = Connection.through(daq=self.server.target)
        written = NiDigitalSettings.model_validate({"inputs": INPUTS, "deadline": "60 s", **settings})
        self.inputs = NiDigital("safety", written, clock, self.connection)

    def values(self) -> tuple[float, ...]:
        return self.inputs.sample().values

    def close(self) -> None:
        self.inputs.close()
        self.server.close()


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab(VirtualClock())
    made.inputs.open()
    yield made
    made.close()


def test_a_channel_is_one_while_its_condition_holds_whatever_the_level(lab: Lab) -> None:
    assert [(channel.name, channel.unit) for channel in lab.inputs.channels] == [("leak_tray", "1"), ("e_stop", "1")]
    seen = []
    for t in (5.0, 15.0, 25.0):
        lab.clock.sleep_until(t)
        reading = lab.inputs.sample()
        assert (reading.t, reading.quality) == (t, (0, 0))
        seen.append(reading.values)
    assert seen == [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]


def test_a_broken_wire_of_a_closed_contact_reads_as_an_emergency_stop() -> None:
    lab = Lab(VirtualClock())
    del lab.server.system.hardware.signals[STOP.lower()]  # nothing drives the line any more
    lab.inputs.open()
    assert lab.values() == (0.0, 1.0)
    lab.close()


def test_a_closed_contact_that_opens_with_its_condition_is_active_low() -> None:
    server = DaqServer(
        VirtualClock(), DEVICES, {STOP: Contact((0.0, False), (5.0, True))}, wiring={STOP: Wiring(normally_closed=True)}
    ).start()
    written = NiDigitalSettings.model_validate({"inputs": {"e_stop": INPUTS["e_stop"]}, "deadline": "60 s"})
    inputs = NiDigital("safety", written, server.system.clock, Connection.through(daq=server.target))
    inputs.open()
    seen = [inputs.sample().values]
    server.system.clock.sleep(6.0)
    assert [*seen, inputs.sample().values] == [(0.0,), (1.0,)]
    inputs.close(), server.close()


def test_a_reading_is_one_call(lab: Lab) -> None:
    before = lab.server.calls.copy()
    lab.inputs.sample()
    assert lab.server.calls - before == {"ReadDigitalLines": 1}


def test_lines_are_read_every_50_ms_unless_the_station_says_otherwise(lab: Lab) -> None:
    assert lab.inputs.period_s == 0.05
    assert NiDigitalSettings.model_validate({"inputs": INPUTS, "period": "1 s"}).period_s == 1.0


def test_the_driver_is_found_and_says_who_it_is_and_that_it_drives_nothing(lab: Lab) -> None:
    assert load_driver("ni-digital") is NiDigital
    assert lab.inputs.identify().model == "cDAQ-9178 (NI 9421)"
    assert lab.inputs.make_safe() == "digital inputs drive nothing"


def test_another_serial_number_is_refused() -> None:
    lab = Lab(VirtualClock(), serial="1234ABCD")
    with pytest.raises(InstrumentReplyError, match="not 1234ABCD; correct the station or the cabling"):
        lab.inputs.open()
    lab.close()


def test_a_condition_that_holds_already_keeps_the_bench_from_a_run(lab: Lab) -> None:
    assert lab.inputs.probe() == []
    lab.clock.sleep_until(15.0)
    assert lab.inputs.probe() == ['input "leak_tray" is active']


def test_a_line_that_no_device_has_is_named() -> None:
    lab = Lab(VirtualClock(), inputs={"leak_tray": {"line": "cDAQ1Mod2/port0/line8", "active": "high"}})
    (said,) = lab.inputs.probe()
    assert said == 'input "leak_tray": NI 9421 "cDAQ1Mod2" has no "cDAQ1Mod2/port0/line8"; correct the station'
    with pytest.raises(InstrumentRefusal):
        lab.inputs.open()
    lab.close()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({}, "Field required"),
        ({"inputs": {}}, "at least 1"),
        ({"inputs": {"leak": {"line": LEAK}}}, "Field required"),
        ({"inputs": {"leak": {"line": LEAK, "active": "open"}}}, "'high' or 'low'"),
        ({"inputs": {"leak": {"line": "cDAQ1Mod2/ai0", "active": "low"}}}, "should match pattern"),
        ({"inputs": {"Leak tray": INPUTS["e_stop"]}}, "should match pattern"),
        ({"inputs": {"a": INPUTS["e_stop"], "b": INPUTS["e_stop"]}}, '"a" and "b" have the same line'),
        ({"inputs": INPUTS, "period": 0.05}, "write a time as text with its unit"),
    ],
)
def test_wrong_settings_are_told_what_to_write(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        NiDigitalSettings.model_validate(table)


# ------------------------------------------------------------------------------------------- beside the others


def test_it_reads_beside_analog_inputs_and_valves_of_the_same_chassis(lab: Lab) -> None:
    valves = {"outlet": "cDAQ1Mod3/port0/line0"}
    settings = NiDaqmxSettings.model_validate(BENCH | {"valves": valves})
    bench = NiDaqmx("daq", settings, lab.clock, lab.connection)
    bench.open()
    bench.start()
    counts = []
    for step in range(10):
        lab.clock.sleep(2.5)
        bench.set_valve("outlet", step % 2 == 0)
        counts.append((len(bench.read(100).t), sum(lab.values())))
    assert [n for n, _ in counts] == [26, *[25] * 9]
    assert [held for _, held in counts] == [0.0] * 3 + [1.0] * 4 + [2.0] * 3
    bench.close()


def test_lines_of_one_module_may_be_inputs_and_valves() -> None:
    server = DaqServer(VirtualClock(), {"Dev1": "USB-6341"}, {"Dev1/port0/line0": Contact((0.0, True))}).start()
    connection, clock = Connection.through(daq=server.target), server.system.clock
    valves = NiDaqmxSettings.model_validate({"valves": {"vent": "Dev1/port0/line1"}})
    bench = NiDaqmx("daq", valves, clock, connection)
    table = {"inputs": {"door": {"line": "Dev1/port0/line0", "active": "low"}}, "deadline": "60 s"}
    inputs = NiDigital("safety", NiDigitalSettings.model_validate(table), clock, connection)
    bench.open(), inputs.open()
    bench.set_valve("vent", True)
    assert (inputs.sample().values, bench.valves()) == ((0.0,), {"vent": True})
    bench.close(), inputs.close(), server.close()


# --------------------------------------------------------------------------------------------- what goes wrong


def test_a_device_that_was_reset_costs_no_reading(lab: Lab) -> None:
    lab.server.reset("cDAQ1")
    assert lab.values() == (0.0, 0.0)


def test_a_module_that_is_pulled_out_is_an_error_and_comes_back_by_itself(lab: Lab) -> None:
    lab.server.unplug("cDAQ1Mod2")
    for _ in range(20):
        with pytest.raises(InstrumentDisconnected):
            lab.inputs.sample()
        lab.clock.sleep(0.05)
    lab.server.plug("cDAQ1Mod2")
    lab.clock.sleep(LAST_RETRY_S)
    assert lab.values() == (0.0, 0.0)


def test_between_the_attempts_a_reading_fails_without_a_call(lab: Lab) -> None:
    lab.server.unplug("cDAQ1")
    with pytest.raises(InstrumentDisconnected, match="the device is gone"):
        lab.inputs.sample()
    before = sum(lab.server.calls.values())
    lab.clock.sleep(0.2)
    with pytest.raises(InstrumentDisconnected, match=r"next attempt in 0\.3 s"):
        lab.inputs.sample()
    assert sum(lab.server.calls.values()) == before


def test_a_server_that_went_away_is_an_error_and_the_new_one_is_found(lab: Lab) -> None:
    port = int(lab.server.target.rpartition(":")[2])
    lab.server.close()
    with pytest.raises(InstrumentError):
        lab.inputs.sample()
    lab.server = DaqServer(lab.clock, DEVICES, {STOP: Contact((0.0, True))}).start(port)
    lab.clock.sleep(1.0)
    assert lab.values() == (0.0, 0.0)


def test_a_server_that_hangs_is_given_up_after_the_deadline(hurried: Callable[[], None]) -> None:
    lab = Lab(WallClock(), deadline="70 s")
    lab.inputs.open()
    assert lab.inputs._new_session()._channel._deadline_s == 70.0
    hurried()
    with lab.server.system.lock, pytest.raises(InstrumentTimeout, match="did not answer in time"):
        lab.inputs.sample()
    lab.close()


def test_closing_leaves_no_task_behind(lab: Lab) -> None:
    lab.inputs.sample()
    lab.inputs.close()
    assert lab.server.system.tasks == {}
