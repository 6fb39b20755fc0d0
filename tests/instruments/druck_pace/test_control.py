"""Pressures that a controller is told to reach, to hold and to let go."""

import math
import re

import pytest

from instruments.instrument import InstrumentRefusal


def test_a_pressure_is_reached_by_the_slew_and_reported_within_limits(pace, device, pressure_after):
    done = pace.set_pressure(50.0, 2.0)
    assert (done.command, done.reply) == ("50 kPa at 2 kPa/s", "regulates to 50 kPa")
    assert done.issued_s < done.confirmed_s < done.issued_s + 3.0
    assert pressure_after(pace, 20.0) == pytest.approx(40.0, abs=3.0)
    assert pressure_after(pace, 20.0) == pytest.approx(50.0)
    assert pace.sample().values[1:] == (1.0, 1.0)
    assert pace.pressure_state().mode == "control"
    assert pace.pressure_state().setpoint_kpa == pytest.approx(50.0)


def test_the_slew_band_and_dwell_of_the_station_file_are_set(control, device):
    driver = control(device, slew="30 kPa/min", in_limits="0.4 kPa", in_limits_time="10 s")
    driver.set_pressure(50.0)
    assert device.slew_kpa_per_s == pytest.approx(0.5)
    assert (device.slew_mode, device.overshoot, device.band_s) == ("LIN", False, 10)
    assert device.band_percent == pytest.approx(0.2)


@pytest.mark.parametrize("pressure_kpa", [180.1, -0.1, math.nan, math.inf])
def test_a_pressure_out_of_range_is_refused_before_anything_is_sent(pace, device, pressure_kpa):
    with pytest.raises(InstrumentRefusal, match="is outside 0 to 180 kPa"):
        pace.set_pressure(pressure_kpa)
    assert device.done == []


@pytest.mark.parametrize("slew", [0.0, -1.0, math.nan, math.inf])
def test_a_slew_that_is_none_is_refused_before_anything_is_sent(pace, device, slew):
    with pytest.raises(InstrumentRefusal, match="no speed"):
        pace.set_pressure(50.0, slew)
    assert device.done == []


def test_the_range_of_the_instrument_limits_the_pressure_too(control, listed):
    driver = control(listed(ranges=("350mbarg",)), max_pressure="180 kPa")
    with pytest.raises(InstrumentRefusal, match="outside 0 to 35 kPa"):
        driver.set_pressure(40.0)


def test_what_the_instrument_refuses_is_a_refusal_and_control_stays_off(pace, device):
    with pytest.raises(InstrumentRefusal, match=re.escape("Data out of range (-222)")):
        pace.set_pressure(50.0, 60.0)  # faster than this controller can
    assert pace.pressure_state().mode == "measure"
    assert pace.pressure_state().setpoint_kpa == 0.0


def test_control_begins_only_after_the_set_point_was_read_back(pace, device):
    pace.set_pressure(50.0)
    headers = [header for header, _ in device.done]
    wanted = ["UNIT", "SOURce:SLEW:MODE", "SOURce:SLEW:OVERshoot", "SOURce:SLEW", "UNIT", "SOURce"]
    assert headers[-8:] == [*wanted, "SOURce:VENT", "OUTPut"]


def test_shut_off_the_line_keeps_its_pressure(pace, pressure_after):
    pace.set_pressure(50.0, 10.0)
    pace.clock.sleep(10.0)
    pace.isolate()
    assert pace.pressure_state().mode == "measure"
    assert pressure_after(pace, 60.0) == pytest.approx(50.0)


def test_a_vent_goes_to_ambient_and_a_new_pressure_ends_it(pace, pressure_after):
    pace.set_pressure(50.0, 10.0)
    pace.clock.sleep(10.0)
    pace.vent()
    assert pace.pressure_state().mode == "vent"
    assert pressure_after(pace, 10.0) == 0.0
    assert pace.pressure_state().mode == "vent"
    pace.set_pressure(20.0, 10.0)
    assert pressure_after(pace, 10.0) == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("safe", "mode", "said"), [("vent", "vent", "out to ambient"), ("isolate", "measure", "keeps its pressure")]
)
def test_going_safe_does_what_the_station_says(control, safe, mode, said, listed):
    driver = control(listed(), safe=safe)
    driver.set_pressure(50.0, 10.0)
    assert said in driver.make_safe()
    assert driver.pressure_state().mode == mode


def test_a_pressure_that_is_being_set_does_not_come_after_a_stop(pace, device):
    read = pace._order

    def stop_meanwhile(text, *rest):
        if ":OUTP:STAT 1" in text:
            pace._order = read
            pace.make_safe()
        return read(text, *rest)

    pace._order = stop_meanwhile
    with pytest.raises(InstrumentRefusal, match="was vented or shut off meanwhile"):
        pace.set_pressure(50.0)
    assert pace.pressure_state().mode == "vent"


def test_a_controller_that_restarts_does_not_regulate_again_by_itself_and_the_log_says_so(pace, device):
    pace.set_pressure(50.0, 10.0)
    pace.clock.sleep(10.0)
    device.reboot(pace.clock.now())
    pace.clock.sleep(10.0)
    assert pace.sample().values == (pytest.approx(50.0), 0.0, 0.0)
    texts = " / ".join(note.text for note in pace.take_notes())
    assert "its unit was BAR" in texts
    assert "no longer regulates" in texts
    pace.set_pressure(50.0)
    assert device.band_percent == pytest.approx(0.025)


def test_a_controller_that_is_switched_on_by_hand_is_reported(pace, device):
    pace.sample()
    device._switch(True, pace.clock.now())
    assert pace.sample().values[2] == 1.0
    assert "switched on by hand" in pace.take_notes()[0].text
