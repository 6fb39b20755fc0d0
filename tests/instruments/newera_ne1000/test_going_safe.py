"""A syringe pump's time-out, its alarms, and going safe."""

import re

import pytest

from instruments.clock import VirtualClock
from instruments.instrument import InstrumentRefusal, InstrumentReplyError


class Pressure:
    def __init__(self, kpa):
        self.kpa = kpa

    def at(self, t):
        return self.kpa


def test_polling_feeds_the_pump_and_without_it_the_pump_stops_within_the_time_out(pump_at, witness, watched):
    device = witness()
    pump = pump_at(device, safe_timeout="10 s", period="3 s")
    pump.infuse(100.0)
    watched(pump, 600.0)
    fed = pump.clock.now()
    pump.clock.sleep(60.0)
    state = pump.syringe_state()
    assert (state.running, state.alarm) == ("stopped", "time-out")
    assert max(device.plunger.changes) == pytest.approx(fed, abs=10.1)
    assert "stopped with the alarm time-out" in pump.take_notes()[0].text


def test_a_time_out_while_nothing_moves_is_no_alarm(pump_at, witness):
    pump = pump_at(witness())
    pump.clock.sleep(3600.0)
    assert pump.syringe_state().alarm == ""
    assert pump.take_notes() == []
    pump.clock.sleep(3600.0)
    pump.infuse(100.0, 1.0)


def test_in_basic_mode_nothing_stops_the_syringe_and_the_probe_says_so(pump_at, witness):
    device = witness()
    pump = pump_at(device, safe_timeout="0 s")
    assert "nothing stops the syringe" in pump.probe()[0]
    pump.infuse(100.0)
    pump.clock.sleep(3600.0)
    device.advance(pump.clock.now())
    assert not device.stands


@pytest.mark.parametrize("safe_timeout", ["10 s", "0 s"])
def test_a_stalled_pump_says_so_until_the_next_start(pump_at, safe_timeout, witness, watched):
    pressure = Pressure(0.0)
    pump = pump_at(witness(pressure=pressure, force_limit_n=1.0), safe_timeout=safe_timeout)
    pump.infuse(1000.0)
    watched(pump, 5.0)
    pressure.kpa = 70.0  # 1.17 N on a plunger of 4.61 mm
    readings = watched(pump, 5.0)
    assert [reading.values[3] for reading in readings] == [83.0] * 5
    assert pump.syringe_state().alarm == "stall"
    pressure.kpa = 0.0
    pump.infuse(1000.0)
    assert pump.syringe_state().alarm == ""


def test_a_pump_that_stalls_at_once_did_not_start(pump_at, witness):
    device = witness(pressure=Pressure(70.0), force_limit_n=1.0, latency_s=0.12)
    with pytest.raises(InstrumentRefusal, match="stopped at once: stall"):
        pump_at(device, timeout="0.6 s").infuse(1000.0)


def test_a_pump_that_lost_its_power_stands_and_says_so_and_is_set_again(pump_at, witness, watched):
    device = witness()
    pump = pump_at(device)
    pump.infuse(1000.0)
    watched(pump, 10.0)
    device.reboot(pump.clock.now())
    device._memory.diameter_mm, device._memory.restarts = 20.0, True
    pump.clock.sleep(5.0)
    state = pump.syringe_state()
    assert (state.running, state.infused_ul, state.alarm) == ("stopped", 0.0, "reset")
    pump.infuse(1000.0, 1.0)
    assert (device._memory.diameter_mm, device._memory.restarts) == (4.61, False)


def test_counts_that_fall_by_themselves_mean_that_it_was_reset(pump_at, witness, watched):
    device = witness()
    pump = pump_at(device)
    pump.infuse(1000.0)
    watched(pump, 10.0)
    device.reboot(pump.clock.now())
    device._alarm = ""  # the reply that told of it was lost
    device._out.clear()
    pump.clock.sleep(5.0)
    assert pump.syringe_state().alarm == "reset"


def test_going_safe_stops_the_motor_for_good(pump_at, witness, watched):
    device = witness()
    pump = pump_at(device)
    pump.infuse(1000.0, 100.0)
    watched(pump, 10.0)
    said = pump.make_safe()
    assert re.fullmatch(r"the syringe stands; 2\.\d+ uL infused, 0 uL withdrawn", said)
    assert device.stands
    assert device._status == "S"
    assert "the syringe stands" in pump.make_safe()


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4])
def test_a_start_that_is_under_way_does_not_outlive_going_safe(wired, delay, witness, glass_1_ml):
    clock, device = VirtualClock(), witness()
    pump = wired("newera-ne1000", device, clock, **glass_1_ml)
    outcome = []

    def start():
        try:
            outcome.append(pump.infuse(1000.0))
        except InstrumentRefusal as error:
            outcome.append(error)

    def main():
        pump.open()
        worker = clock.worker("steps", start)
        clock.sleep(delay)
        pump.make_safe()
        worker.join()

    clock.run(main)
    assert len(outcome) == 1
    assert device.stands


def test_a_motor_that_does_not_say_that_it_stands_is_not_confirmed(pump_at, witness):
    device = witness()
    pump = pump_at(device)
    pump.infuse(1000.0)
    device._commands["STP"] = lambda rest, now: ""
    start = pump.clock.now()
    with pytest.raises(InstrumentReplyError, match="does not say that it stands"):
        pump.make_safe()
    assert pump.clock.now() - start < 5.0
