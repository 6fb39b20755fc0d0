"""Watchdog timers and heartbeat relays of the simulated devices, as the real nidaqmx sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import nidaqmx
import numpy as np
import pytest
from nidaqmx.constants import AcquisitionType, Level, LineGrouping
from nidaqmx.errors import DaqError
from nidaqmx.stream_writers import DigitalMultiChannelWriter, DigitalSingleChannelWriter
from nidaqmx.system import System
from nidaqmx.system.watchdog import DOExpirationState, WatchdogTask

from instruments.clock import Clock, VirtualClock, WallClock
from instruments.simulation.daqserver.catalogue import CatalogueError
from instruments.simulation.daqserver.hardware import Wiring
from instruments.simulation.daqserver.server import DaqServer

DEVICES = {"eth": "cDAQ-9189", "ethMod1": "NI 9215", "ethMod2": "NI 9472", "usbMod1": "NI 9472", "pci": "PCIe-6363"}
OUTLET, VENT, BEAT = "pci/port0/line0", "pci/port0/line1", "pci/port0/line7"


class Seen:
    """An actuator that remembers what it was told, and when."""

    def __init__(self) -> None:
        self.commands: list[tuple[float, float]] = []

    def write(self, value: float, t: float) -> None:
        self.commands.append((value, round(t, 9)))


class Lab:
    """A server with two valves on a device and one on a chassis."""

    def __init__(self, clock: Clock, wiring: dict[str, Wiring] | None = None) -> None:
        self.clock = clock
        self.outlet, self.vent, self.far = Seen(), Seen(), Seen()
        actuators = {OUTLET: self.outlet, VENT: self.vent, "ethMod2/port0/line0": self.far}
        self.server = DaqServer(clock, DEVICES, {}, actuators, wiring).start()
        self.channel = grpc.insecure_channel(self.server.target)
        self.options = {"grpc_options": nidaqmx.GrpcSessionOptions(self.channel, "")}

    def watchdog(self, device: str = "pci", timeout: float = 1.0) -> WatchdogTask:
        return WatchdogTask(device, timeout=timeout, **self.options)

    def guarded(self, device: str = "pci", timeout: float = 1.0, **levels: Level) -> WatchdogTask:
        """A started watchdog with expiration states by line."""
        task = self.watchdog(device, timeout)
        prefix = "pci/port0/" if device == "pci" else "ethMod2/port0/"
        task.cfg_watchdog_do_expir_states([DOExpirationState(prefix + line, level) for line, level in levels.items()])
        task.start()
        return task

    def lines(self, *lines: str) -> tuple[nidaqmx.Task, Callable[..., object]]:
        task = nidaqmx.Task(**self.options)
        for line in lines:
            task.do_channels.add_do_chan(line, line_grouping=LineGrouping.CHAN_PER_LINE)
        writer = DigitalMultiChannelWriter(task.out_stream, auto_start=True)
        return task, lambda *levels: writer.write_one_sample_one_line(np.array(levels, np.bool_), timeout=0.0)

    def run(self, main: Callable[[], Any]) -> Any:
        return self.clock.run(main)


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab(VirtualClock())
    yield made
    made.channel.close()
    made.server.close()


def code_of(action: Callable[[], object]) -> int:
    with pytest.raises(DaqError) as failed:
        action()
    return int(failed.value.error_code)


# ------------------------------------------------------------------------------------------------ the timer


def test_a_silent_host_leaves_the_lines_in_their_expiration_states_at_the_timeout(lab: Lab) -> None:
    def main() -> None:
        lines, write = lab.lines(OUTLET, VENT)
        with lines, lab.guarded(line0=Level.LOW, line1=Level.HIGH) as dog:
            write(True, False)
            lab.clock.sleep(0.6)
            dog.reset_timer()
            lab.clock.sleep(30.0)
            assert dog.expired

    lab.run(main)
    assert lab.outlet.commands == [(1.0, 0.0), (0.0, 1.6)]
    assert lab.vent.commands == [(0.0, 0.0), (1.0, 1.6)]


def test_a_host_that_resets_in_time_keeps_the_lines_and_one_that_is_late_by_a_millisecond_loses_them(lab: Lab) -> None:
    def main() -> None:
        with lab.guarded(line0=Level.HIGH) as dog:
            for _ in range(50):
                lab.clock.sleep(0.999)
                dog.reset_timer()
            assert (dog.expired, lab.outlet.commands) == (False, [])
            lab.clock.sleep(1.001)
            assert code_of(dog.reset_timer) == -200644
            assert lab.outlet.commands == [(1.0, pytest.approx(50 * 0.999 + 1.0))]

    lab.run(main)


def test_a_reset_at_the_very_moment_of_the_timeout_is_too_late(lab: Lab) -> None:
    def main() -> None:
        with lab.guarded(line0=Level.HIGH) as dog:
            lab.clock.sleep(1.0)
            assert code_of(dog.reset_timer) == -200644

    lab.run(main)


def test_an_expired_device_takes_no_digital_writes_until_it_is_cleared(lab: Lab) -> None:
    def main() -> None:
        lines, write = lab.lines(VENT)
        with lines, lab.guarded(line0=Level.LOW) as dog:
            lab.clock.sleep(2.0)
            assert code_of(lambda: write(True)) == -200678
            assert lab.vent.commands == []
            dog.clear_expiration()
            write(True)
            lab.clock.sleep(60.0)
            assert lab.vent.commands == [(1.0, 2.0)]

    lab.run(main)


def test_a_stopped_watchdog_never_expires_and_one_that_expired_stays_so(lab: Lab) -> None:
    def main() -> None:
        lines, write = lab.lines(OUTLET)
        with lines, lab.guarded(line0=Level.HIGH) as dog:
            dog.stop()
            lab.clock.sleep(10.0)
            dog.start()
            lab.clock.sleep(2.0)
            dog.stop()
            assert code_of(lambda: write(False)) == -200678
            assert lab.outlet.commands == [(1.0, 11.0)]

    lab.run(main)


def test_no_change_leaves_a_line_as_it_is_and_a_port_is_all_its_lines(lab: Lab) -> None:
    def main() -> None:
        lines, write = lab.lines(OUTLET, VENT)
        with lines, lab.watchdog() as dog:
            write(True, True)
            dog.cfg_watchdog_do_expir_states([DOExpirationState("pci/port0", Level.LOW)])
            dog.expiration_states[VENT].do_state = Level.NO_CHANGE
            assert dog.expiration_states[OUTLET].do_state is Level.LOW
            dog.start()
            lab.clock.sleep(2.0)

    lab.run(main)
    assert [value for value, _ in lab.outlet.commands] == [1.0, 0.0]
    assert [value for value, _ in lab.vent.commands] == [1.0]


def test_whether_it_expired_may_be_asked_only_while_it_runs(lab: Lab) -> None:
    with lab.watchdog() as dog:
        assert code_of(lambda: dog.expired) == -200983
        assert code_of(dog.reset_timer) == -200664


def test_the_timeout_can_be_changed_within_the_range_of_the_device(lab: Lab) -> None:
    with lab.watchdog() as dog:
        dog.timeout = 5.0
        assert dog.timeout == 5.0

        def too_long() -> None:
            dog.timeout = 40.0

        assert code_of(too_long) == -200668


@pytest.mark.parametrize(
    ("device", "state", "code"),
    [
        ("usb", None, -200662),
        ("usbMod1", None, -200662),
        ("nowhere", None, -200220),
        ("pci", DOExpirationState("ethMod2/port0/line0", Level.LOW), -200648),
        ("eth", DOExpirationState("ethMod2/port0/line0", Level.TRISTATE), -200077),
        ("eth", DOExpirationState("ethMod2/port0/line9", Level.LOW), -200170),
    ],
)
def test_what_a_device_cannot_do_is_refused(lab: Lab, device: str, state: DOExpirationState | None, code: int) -> None:
    def make() -> None:
        with lab.watchdog(device) as dog:
            dog.cfg_watchdog_do_expir_states([state])

    assert code_of(make) == code
    assert lab.server.system.tasks == {}


def test_another_kind_of_task_is_no_watchdog(lab: Lab) -> None:
    with lab.watchdog() as dog, nidaqmx.Task(**lab.options) as other:
        dog._handle, mine = other._handle, dog._handle
        assert code_of(dog.reset_timer) == -200635
        dog._handle = mine


# ------------------------------------------------------------------------------------------------ of a chassis


def test_an_expired_chassis_does_nothing_more_until_it_is_reset(lab: Lab) -> None:
    def main() -> None:
        lines, write = lab.lines("ethMod2/port0/line0")
        with lines, nidaqmx.Task(**lab.options) as inputs, lab.guarded("eth", line0=Level.HIGH) as dog:
            inputs.ai_channels.add_ai_voltage_chan("ethMod1/ai0")
            inputs.timing.cfg_samp_clk_timing(10.0, sample_mode=AcquisitionType.CONTINUOUS)
            inputs.start()
            lab.clock.sleep(2.0)
            assert lab.far.commands == [(1.0, 1.0)]
            refused = [lambda: write(False), lambda: inputs.read(1), dog.reset_timer, dog.clear_expiration]
            assert [code_of(action) for action in refused] == [-201478] * 4
        System.remote(**lab.options).devices["eth"].reset_device()
        assert lab.far.commands[1:] == [(0.0, 2.0)]
        lines, write = lab.lines("ethMod2/port0/line0")
        with lines:
            write(True)

    lab.run(main)


def test_the_watchdog_of_a_chassis_starts_only_while_nothing_else_runs_there(lab: Lab) -> None:
    def main() -> None:
        lines, write = lab.lines("ethMod2/port0/line0")
        with lines, lab.watchdog("eth") as dog:
            write(True)
            assert code_of(dog.start) == -201477
            lines.stop()
            dog.start()
            write(False)
            dog.stop()

    lab.run(main)


def test_a_chassis_whose_cable_is_pulled_expires_by_itself(lab: Lab) -> None:
    def main() -> None:
        lab.guarded("eth", line0=Level.HIGH)._close_on_exit = False
        lab.server.unplug("eth")
        lab.clock.sleep(5.0)

    lab.run(main)
    assert lab.far.commands == [(1.0, 1.0)]


def test_a_device_that_is_reset_has_no_watchdog_any_more(lab: Lab) -> None:
    def main() -> None:
        with lab.guarded(line0=Level.HIGH):
            lab.server.reset("pci")
            lab.clock.sleep(10.0)

    lab.run(main)
    assert lab.outlet.commands == []


def test_on_the_wall_clock_it_expires_in_its_time() -> None:
    lab = Lab(WallClock())
    before = lab.clock.now()
    with lab.guarded(timeout=0.05, line0=Level.HIGH) as dog:
        after = lab.clock.now()
        while not dog.expired:
            lab.clock.sleep(0.01)
    ((value, t),) = lab.outlet.commands
    assert value == 1.0
    assert before + 0.05 <= t + 1e-6 <= after + 0.05 + 1e-6
    lab.channel.close()
    lab.server.close()


# ------------------------------------------------------------------------------------------------- the relay


def beating(lab: Lab) -> tuple[nidaqmx.Task, Callable[[bool], object]]:
    task = nidaqmx.Task(**lab.options)
    task.do_channels.add_do_chan(BEAT)
    writer = DigitalSingleChannelWriter(task.out_stream, auto_start=True)
    return task, lambda level: writer.write_one_sample_one_line(level, timeout=0.0)


def test_a_relay_feeds_its_valves_only_while_the_heartbeat_goes_on() -> None:
    lab = Lab(VirtualClock(), {OUTLET: Wiring(relay=BEAT, hold_s=1.0)})

    def main() -> None:
        lines, write = lab.lines(OUTLET, VENT)
        task, beat = beating(lab)
        with lines, task:
            write(True, True)
            for step in range(4):
                lab.clock.sleep(0.75)
                beat(step % 2 == 0)
            lab.clock.sleep(5.0)
            beat(False)  # no change: a heartbeat that stands still is none
            lab.clock.sleep(2.0)
            beat(True)
            lab.clock.sleep(0.5)

    lab.run(main)
    assert lab.outlet.commands == [(0.0, 0.0), (1.0, 0.75), (0.0, 4.0), (1.0, 10.0)]
    assert lab.vent.commands == [(1.0, 0.0)]
    assert lab.server.output(OUTLET) == 1.0
    lab.channel.close()
    lab.server.close()


def test_a_relay_on_a_line_that_no_device_has_is_refused() -> None:
    with pytest.raises(CatalogueError, match='no terminal "pci/port9/line0"'):
        DaqServer(VirtualClock(), DEVICES, {}, {}, {OUTLET: Wiring(relay="pci/port9/line0")})


def test_a_pattern_that_is_generated_ends_where_the_watchdog_takes_the_lines(lab: Lab) -> None:
    def main() -> None:
        watchdog = lab.guarded(timeout=0.9, line0=Level.LOW)
        with nidaqmx.Task(**lab.options) as task:
            task.do_channels.add_do_chan(OUTLET)
            task.timing.cfg_samp_clk_timing(4.0, sample_mode=AcquisitionType.CONTINUOUS)
            task.write([True, False], auto_start=True)
            lab.clock.sleep(5.0)
        watchdog.close()

    lab.run(main)
    assert lab.outlet.commands == [(1.0, 0.0), (0.0, 0.25), (1.0, 0.5), (0.0, 0.75), (0.0, 0.9)]
