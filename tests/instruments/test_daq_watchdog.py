"""Valves that fall back by themselves when the host is silent: the bench's side, on simulated devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from instruments.capabilities import HostWatched
from instruments.clock import VirtualClock, WallClock
from instruments.daq import NiDaqmx
from instruments.daq_session import InProcess, WatchdogFired
from instruments.daq_settings import NiDaqmxSettings
from instruments.instrument import Connection, InstrumentDisconnected, InstrumentRefusal, InstrumentTimeout
from instruments.simulation.daqserver.hardware import Wiring
from instruments.simulation.daqserver.server import DaqServer

DEVICES = {"pci": "PCIe-6363", "eth": "cDAQ-9189", "ethMod1": "NI 9215", "ethMod2": "NI 9472", "usbMod1": "NI 9472"}


class Seen:
    """An actuator that remembers."""

    def __init__(self) -> None:
        self.commands: list[tuple[float, float]] = []

    def write(self, value: float, t: float) -> None:
        self.commands.append((value, t))

    @property
    def now(self) -> float:
        return self.commands[-1][0] if self.commands else 0.0


class Lab:
    """Two valves on one device, the second one energised in its safe state, and a watchdog of 1 s.

    Without a port by default: there an answer is given up after the watchdog's time on the wall clock, and a computer
    that stalls for as long would pass for a server that hangs.
    """

    def __init__(self, place: str = "pci/port0", *, clock: Any = None, port: bool = False, **table: Any) -> None:
        self.clock = clock or VirtualClock()
        self.outlet, self.vent = Seen(), Seen()
        outlet, vent, beat = (f"{place}/line{line}" for line in (0, 1, 7))
        heartbeat = table.pop("heartbeat", False)
        wiring = {line: Wiring(relay=beat, hold_s=1.0) for line in (outlet, vent)} if heartbeat else {}
        self.server = DaqServer(
            self.clock, DEVICES, {}, {outlet: self.outlet, vent: self.vent}, wiring, clock_ppm=20.0
        ).start()
        self.target = self.server.target if port else InProcess("in process", self.server.channel)
        watchdog = {"timeout": "1 s"} | ({"heartbeat": beat} if heartbeat else {})
        valves = {"outlet": outlet, "vent": {"line": vent, "safe": "released" if heartbeat else "energised"}}
        written = {"valves": valves, "watchdog": watchdog, "deadline": "60 s"} | table
        self.daq = self.instrument(written)
        self.written = written

    def instrument(self, table: dict[str, Any]) -> NiDaqmx:
        connection = (
            Connection.through(daq=self.target) if isinstance(self.target, str) else Connection(daq=self.target)
        )
        return NiDaqmx("daq", NiDaqmxSettings.model_validate(table), self.clock, connection)

    def run(self, main: Callable[[], object]) -> None:
        """Open the instrument and run a worker with it."""

        def body() -> None:
            self.daq.open()
            main()
            self.daq.close()

        try:
            self.clock.run(body)
        finally:
            self.server.close()

    def feed(self, times: int, every_s: float = 0.3) -> None:
        for _ in range(times):
            self.clock.sleep(every_s)
            self.daq.feed_watchdog()

    @property
    def levels(self) -> tuple[float, float]:
        return self.outlet.now, self.vent.now


# ------------------------------------------------------------------------------------------------------ a timer


def test_every_daq_instrument_can_be_asked_for_its_watchdog() -> None:
    lab = Lab()
    plain = lab.instrument({"valves": {"outlet": "pci/port0/line0"}})
    assert isinstance(lab.daq, HostWatched)
    assert (lab.daq.watchdog_period_s, plain.watchdog_period_s) == (1.0, None)
    with pytest.raises(InstrumentRefusal, match=r"add a \[watchdog\] table"):
        plain.arm_watchdog()
    plain.disarm_watchdog()
    lab.server.close()


def test_valves_fall_back_one_timeout_after_the_last_feed() -> None:
    lab = Lab()

    def main() -> None:
        lab.daq.arm_watchdog()
        lab.daq.set_valve("outlet", True)
        lab.feed(20)
        assert lab.levels == (1.0, 0.0)
        lab.clock.sleep(100.0)

    lab.run(main)
    assert lab.outlet.commands[-1] == (0.0, pytest.approx(7.0))
    assert lab.vent.commands[-1] == (1.0, pytest.approx(7.0))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.001, 0.999), max_size=12), st.booleans())
def test_feeding_in_time_keeps_the_valves_and_a_millisecond_too_late_does_not(waits: list[float], late: bool) -> None:
    lab = Lab()

    def main() -> None:
        lab.daq.arm_watchdog()
        lab.daq.set_valve("outlet", True)
        for wait in waits:
            lab.clock.sleep(wait)
            lab.daq.feed_watchdog()
        lab.clock.sleep(1.001 if late else 0.999)
        if late:
            with pytest.raises(WatchdogFired):
                lab.daq.feed_watchdog()
        else:
            lab.daq.feed_watchdog()
        assert lab.levels == ((0.0, 1.0) if late else (1.0, 0.0))

    lab.run(main)


def test_a_feed_is_one_call() -> None:
    lab = Lab()

    def main() -> None:
        lab.daq.arm_watchdog()
        before = lab.server.calls.copy()
        lab.daq.feed_watchdog()
        assert lab.server.calls - before == {"ControlWatchdogTask": 1}

    lab.run(main)


def test_after_it_has_fired_every_command_says_so_until_somebody_clears_it() -> None:
    lab = Lab()

    def main() -> None:
        lab.daq.arm_watchdog()
        lab.clock.sleep(2.0)
        for command in (lambda: lab.daq.set_valve("outlet", True), lab.daq.feed_watchdog, lab.daq.arm_watchdog):
            with pytest.raises(InstrumentRefusal, match=r"its watchdog has fired.*find out why, then clear it"):
                command()
        lab.daq.disarm_watchdog()
        with pytest.raises(WatchdogFired):
            lab.daq.set_valve("outlet", True)
        assert lab.daq.clear_watchdog() == "watchdog cleared: valves outlet released, vent energised"
        lab.daq.set_valve("outlet", True)
        lab.clock.sleep(60.0)
        assert lab.levels == (1.0, 1.0)

    lab.run(main)


def test_a_watchdog_that_was_cleared_guards_again_once_it_is_armed() -> None:
    lab = Lab()

    def main() -> None:
        for _ in range(2):
            lab.daq.arm_watchdog()
            lab.daq.set_valve("outlet", True)
            lab.feed(3)
            lab.clock.sleep(2.0)
            assert lab.levels == (0.0, 1.0)
            lab.daq.clear_watchdog()

    lab.run(main)


def test_the_safe_state_is_confirmed_where_a_device_that_fired_can_be_read() -> None:
    lab = Lab()

    def main() -> None:
        lab.daq.arm_watchdog()
        lab.clock.sleep(2.0)
        said = "its watchdog has fired: valves outlet released, vent energised, read back"
        assert lab.daq.make_safe() == said

    lab.run(main)


def test_a_disarmed_watchdog_leaves_the_valves_as_they_are() -> None:
    lab = Lab()

    def main() -> None:
        lab.daq.arm_watchdog()
        lab.daq.set_valve("outlet", True)
        lab.daq.disarm_watchdog()
        lab.clock.sleep(60.0)
        assert lab.levels == (1.0, 0.0)
        with pytest.raises(InstrumentRefusal, match="call arm_watchdog first"):
            lab.daq.feed_watchdog()

    lab.run(main)


def test_arming_twice_changes_nothing() -> None:
    lab = Lab()

    def main() -> None:
        lab.daq.arm_watchdog()
        lab.clock.sleep(0.6)
        lab.daq.arm_watchdog()
        lab.clock.sleep(0.41)
        with pytest.raises(WatchdogFired):
            lab.daq.feed_watchdog()

    lab.run(main)


def test_an_instrument_that_is_closed_while_it_counts_is_left_to_fire() -> None:
    lab = Lab()

    def main() -> None:
        lab.daq.arm_watchdog()
        lab.daq.set_valve("outlet", True)
        lab.daq.close()
        lab.clock.sleep(2.0)
        assert lab.levels == (0.0, 1.0)
        again = lab.instrument(lab.written)
        again.open()
        with pytest.raises(WatchdogFired):
            again.set_valve("outlet", True)
        again.clear_watchdog()
        again.set_valve("outlet", True)
        assert lab.levels == (1.0, 0.0)  # the device had to be reset: its lines went to their power-up states
        again.close()

    lab.run(main)


def test_a_server_that_cannot_be_reached_lets_the_watchdog_fire() -> None:
    lab = Lab(port=True, watchdog={"timeout": "30 s"})

    def main() -> None:
        lab.daq.arm_watchdog()
        port = int(lab.server.target.rpartition(":")[2])
        lab.server._server.stop(0).wait()  # the line to the device is cut, the device goes on
        with pytest.raises(InstrumentDisconnected):
            lab.daq.feed_watchdog()
        lab.clock.sleep(31.0)
        assert lab.levels == (0.0, 1.0)
        lab.server.start(port)

    lab.run(main)


@pytest.fixture
def on_a_port() -> Iterator[Lab]:
    """A lab on the wall clock and on a port, whose watchdog counts."""
    lab = Lab(clock=WallClock(), port=True, watchdog={"timeout": "30 s"})
    lab.daq.open()
    lab.daq.arm_watchdog()
    assert lab.daq._watchdog._kind._session._channel._deadline_s == 30.0  # the shorter one of the two times
    yield lab
    lab.daq.disarm_watchdog()
    lab.daq.close()
    lab.server.close()


def test_a_feed_that_hangs_ends_at_the_deadline(on_a_port: Lab, hurried: Callable[[], None]) -> None:
    hurried()
    with on_a_port.server.system.lock, pytest.raises(InstrumentTimeout):
        on_a_port.daq.feed_watchdog()


def test_a_feed_that_hangs_holds_up_no_valve(on_a_port: Lab) -> None:
    calls, feeds = on_a_port.server.calls, on_a_port.server.calls["ControlWatchdogTask"]
    with on_a_port.server.system.lock:
        feeding = on_a_port.clock.worker("feeder", on_a_port.daq.feed_watchdog)
        while calls["ControlWatchdogTask"] == feeds:
            on_a_port.clock.sleep(0.002)
        on_a_port.daq._watchdog.check()  # what a valve's command asks first
        assert not feeding.done
    feeding.join()
    assert feeding.error is None


# ------------------------------------------------------------------------------------------------ of a chassis


def test_a_chassis_that_fired_can_only_be_reset() -> None:
    channels = [{"name": "p", "physical": "ethMod1/ai0", "kind": "voltage"}]
    lab = Lab("ethMod2/port0", channels=channels)

    def main() -> None:
        lab.daq.set_valve("outlet", True)
        lab.daq.arm_watchdog()
        lab.daq.start()
        lab.feed(3)
        assert lab.levels == (1.0, 0.0)
        lab.clock.sleep(2.0)
        assert lab.levels == (0.0, 1.0)
        for refused in (lambda: lab.daq.read(100), lab.daq.valves, lab.daq.make_safe):
            with pytest.raises(WatchdogFired):
                refused()
        assert lab.daq.clear_watchdog() == "watchdog cleared: valves outlet released, vent released"
        lab.clock.sleep(1.0)
        block = lab.daq.read(100)
        assert (block.first, len(block.t)) == (39, 1)  # it goes on where the clock says

    lab.run(main)


def test_the_watchdog_of_a_chassis_is_armed_before_acquisition_starts() -> None:
    channels = [{"name": "p", "physical": "ethMod1/ai0", "kind": "voltage"}]
    lab = Lab("ethMod2/port0", channels=channels)

    def main() -> None:
        lab.daq.start()
        with pytest.raises(InstrumentRefusal, match="while something runs on its chassis; arm it before that"):
            lab.daq.arm_watchdog()
        lab.daq.stop()
        lab.daq.arm_watchdog()
        lab.daq.start()
        lab.daq.disarm_watchdog()

    lab.run(main)


def test_a_chassis_without_a_timer_is_told_of_before_the_run() -> None:
    lab = Lab("usbMod1/port0")

    def main() -> None:
        (said,) = lab.daq.probe()
        assert "has no watchdog timer (cDAQ-9185, cDAQ-9189" in said
        assert "name a heartbeat line with a relay instead" in said
        with pytest.raises(InstrumentRefusal, match="has no watchdog timer"):
            lab.daq.arm_watchdog()

    lab.run(main)


def test_a_watchdog_that_can_be_armed_is_no_problem() -> None:
    for place in ("pci/port0", "ethMod2/port0"):
        lab = Lab(place)
        assert lab.daq.probe() == []
        assert lab.server.system.tasks == {}
        lab.server.close()


def test_valves_of_two_devices_cannot_share_a_timer() -> None:
    lab = Lab(valves={"outlet": "pci/port0/line0", "vent": "ethMod2/port0/line0"})
    (said,) = lab.daq.probe()
    assert "one watchdog cannot guard valves on pci and eth" in said
    lab.server.close()


# ------------------------------------------------------------------------------------------------ a heartbeat


def test_a_heartbeat_holds_the_relay_and_a_silent_host_opens_it() -> None:
    lab = Lab("usbMod1/port0", heartbeat=True)

    def main() -> None:
        lab.daq.set_valve("outlet", True)
        assert lab.levels == (0.0, 0.0)  # nothing has power yet
        lab.daq.arm_watchdog()
        lab.feed(20)
        assert lab.levels == (1.0, 0.0)
        lab.clock.sleep(50.0)
        assert lab.outlet.commands[-1] == (0.0, pytest.approx(7.0))
        with pytest.raises(WatchdogFired):
            lab.daq.set_valve("outlet", False)
        assert lab.daq.make_safe() == "valves outlet released, vent released, read back"

    lab.run(main)


def test_a_heartbeat_is_one_call_and_late_by_a_millisecond_too_late() -> None:
    lab = Lab("usbMod1/port0", heartbeat=True)

    def main() -> None:
        lab.daq.arm_watchdog()
        before = lab.server.calls.copy()
        lab.feed(1, 0.999)
        assert lab.server.calls - before == {"WriteDigitalLines": 1}
        lab.clock.sleep(1.001)
        with pytest.raises(WatchdogFired):
            lab.daq.feed_watchdog()

    lab.run(main)


def test_a_relay_that_opened_stays_open_until_the_watchdog_is_cleared_and_armed() -> None:
    lab = Lab("usbMod1/port0", heartbeat=True)

    def main() -> None:
        lab.daq.set_valve("outlet", True)
        lab.daq.arm_watchdog()
        lab.clock.sleep(2.0)
        for _ in range(3):
            with pytest.raises(WatchdogFired):
                lab.daq.feed_watchdog()
            lab.clock.sleep(0.1)
        assert lab.levels == (0.0, 0.0)
        lab.daq.clear_watchdog()
        lab.daq.arm_watchdog()
        assert lab.levels == (1.0, 0.0)

    lab.run(main)


def test_a_relay_is_closed_whatever_level_the_line_was_left_at() -> None:
    lab = Lab("usbMod1/port0", heartbeat=True)

    def main() -> None:
        lab.server.system.hardware.drive("usbMod1/port0/line7", 1.0)
        lab.clock.sleep(5.0)
        lab.daq.set_valve("outlet", True)
        lab.daq.arm_watchdog()
        assert lab.levels == (1.0, 0.0)

    lab.run(main)


def test_a_heartbeat_whose_module_was_reset_goes_on_in_time() -> None:
    lab = Lab("usbMod1/port0", heartbeat=True)

    def main() -> None:
        lab.daq.arm_watchdog()
        lab.feed(2)
        lab.server.reset("usb")
        with pytest.raises(InstrumentDisconnected):
            lab.feed(1)
        lab.feed(5)

    lab.run(main)


def test_a_heartbeat_without_its_line_is_told_of_before_the_run() -> None:
    lab = Lab(
        "usbMod1/port0",
        watchdog={"timeout": "1 s", "heartbeat": "usbMod1/port0/line9"},
        valves={"a": "usbMod1/port0/line0"},
    )
    (said,) = lab.daq.probe()
    assert 'heartbeat: NI 9472 "usbMod1" has no "usbMod1/port0/line9"' in said
    lab.server.close()


# --------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"watchdog": {}}, "Field required"),
        ({"watchdog": {"timeout": 1}}, "write a time as text with its unit"),
        ({"watchdog": {"timeout": "0 s"}}, "greater than 0"),
        ({"watchdog": {"timeout": "1 s", "heartbeat": "pci/line7"}}, "should match pattern"),
        ({"watchdog": {"timeout": "1 s", "heartbeat": "pci/port0/line0"}}, 'the line of valve "outlet"'),
        ({"watchdog": {"timeout": "1 s", "heartbeat": "pci/port0/line7"}, "valves": {
            "vent": {"line": "pci/port0/line1", "safe": "energised"}}}, 'valve "vent" is energised in its safe state'),
        ({"watchdog": {"timeout": "1 s"}, "valves": {}, "channels": [
            {"name": "p", "physical": "pci/ai0", "kind": "voltage"}]}, "needs valves that it guards"),
    ],
)  # fmt: skip
def test_wrong_settings_are_told_what_to_write(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        NiDaqmxSettings.model_validate({"valves": {"outlet": "pci/port0/line0"}} | table)
