"""The simulated circulator, byte for byte."""

import math

import pytest

from instruments.simulation.devices.julabo import JulaboBath


class Warmth:
    """A temperature in degC as a function of time."""

    def __init__(self, degc):
        self.degc = degc if callable(degc) else lambda t: degc

    def at(self, t):
        return self.degc(t)


class Driven:
    """An actuator that remembers what it was driven with, and when."""

    def __init__(self):
        self.commands = []

    def write(self, value, t):
        self.commands.append((value, t))


def say(bath, command, now=0.0):
    """Send one command and return what has arrived a second later."""
    bath.write(command.encode() + b"\r", now)
    return bath.read_ready(now + 1.0)


def test_questions_are_answered_with_a_line_and_orders_with_nothing():
    bath = JulaboBath(Warmth(36.98))
    commands = [
        "in_pv_00",
        "in_sp_00",
        "in_mode_05",
        "status",
        "version",
        "out_sp_00 38.5",
        "in_sp_00",
        "OUT_MODE_05 0",
    ]
    assert [say(bath, command, 2.0 * k) for k, command in enumerate(commands)] == [
        b"36.98\r\n",
        b"37.00\r\n",
        b"1\r\n",
        b"03 REMOTE START\r\n",
        b"JULABO HIGHTECH FL HL/SL VERSION 4.0\r\n",
        b"",
        b"38.50\r\n",
        b"",
    ]
    assert say(bath, "status", 30.0) == b"02 REMOTE STOP\r\n"


def test_an_answer_takes_its_time_on_the_line():
    bath = JulaboBath(Warmth(37.0), latency_s=0.02)
    bath.write(b"in_pv_00\r", 5.0)
    assert bath.next_output_time() == pytest.approx(5.02 + 7 * 10 / 4800)


def test_what_comes_too_early_is_not_heard():
    bath = JulaboBath(Warmth(37.0))
    bath.write(b"out_sp_00 38\r", 0.0)
    bath.write(b"out_sp_00 39\r", 0.24)
    assert say(bath, "in_sp_00", 0.25) == b"38.00\r\n"
    bath.write(b"in_sp_00\r", 10.0)
    bath.write(b"in_sp_00\r", bath.next_output_time() + 0.009)
    assert bath.read_ready(20.0) == b"38.00\r\n"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("out_sp_00 101", b"-11 VALUE TOO LARGE\r\n"),
        ("out_sp_00 -21", b"-10 VALUE TOO SMALL\r\n"),
        ("out_sp_00 55", b"-13 WARNING : VALUE EXCEEDS TEMPERATURE LIMITS\r\n"),
        ("out_sp_00 warm", b"-08 INVALID COMMAND\r\n"),
        ("out_sp_00 nan", b"-08 INVALID COMMAND\r\n"),
        ("out_mode_05 2", b"-11 VALUE TOO LARGE\r\n"),
        ("out_mode_09 1", b"-08 INVALID COMMAND\r\n"),
        ("in_pv_99", b"-08 INVALID COMMAND\r\n"),
    ],
)
def test_why_an_order_was_refused_is_told_once(command, status):
    bath = JulaboBath(Warmth(37.0))
    assert say(bath, command, 0.0) == b""
    assert say(bath, "status", 2.0) == status
    assert say(bath, "status", 4.0) == b"03 REMOTE START\r\n"


def test_a_set_point_outside_the_warning_limits_is_stored_all_the_same():
    bath = JulaboBath(Warmth(37.0))
    say(bath, "out_sp_00 55", 0.0)
    assert say(bath, "in_sp_00", 2.0) == b"55.00\r\n"
    say(bath, "out_sp_03 60", 4.0)
    say(bath, "out_sp_00 56", 6.0)
    assert say(bath, "status", 8.0) == b"03 REMOTE START\r\n"


def test_set_point_and_power_drive_the_plant():
    setpoint, power = Driven(), Driven()
    bath = JulaboBath(Warmth(37.0), setpoint=setpoint, power=power)
    say(bath, "out_sp_00 38.55", 1.0)
    say(bath, "out_mode_05 0", 3.0)
    say(bath, "out_mode_05 0", 5.0)
    assert (setpoint.commands, power.commands) == ([(38.55, 1.0)], [(0.0, 3.0)])


@pytest.mark.parametrize(
    ("settings", "degc", "alarm"),
    [
        ({"low_level": Warmth(1.0)}, 37.0, b"-01 LOW LEVEL ALARM\r\n"),
        ({}, math.nan, b"-05 WORKING SENSOR ALARM\r\n"),
        ({"safety_degc": 36.0}, 37.0, b"-14 TEMPERATURE/LEVEL ALARM\r\n"),
    ],
)
def test_an_alarm_shuts_the_bath_off_until_it_was_without_power(settings, degc, alarm):
    power, warmth = Driven(), Warmth(degc)
    bath = JulaboBath(warmth, power=power, **settings)
    assert say(bath, "status", 0.0) == alarm
    warmth.degc, bath.low_level, bath._safety_degc = (lambda t: 30.0), None, 60.0
    assert say(bath, "out_mode_05 1", 2.0) + say(bath, "status", 4.0) == alarm
    assert power.commands == [(0.0, 0.0)]
    bath.reboot(10.0)
    say(bath, "out_mode_05 1", 20.0)
    assert say(bath, "status", 22.0) == b"03 REMOTE START\r\n"


@pytest.mark.parametrize(
    ("degc", "status"),
    [(51.0, b"-03 EXCESS TEMPERATURE WARNING\r\n"), (4.0, b"-04 LOW TEMPERATURE WARNING\r\n")],
)
def test_a_warning_leaves_the_bath_on(degc, status):
    bath = JulaboBath(Warmth(degc))
    assert say(bath, "status", 0.0) == status
    assert bath.on


def test_a_bath_in_manual_mode_answers_and_takes_no_orders():
    bath = JulaboBath(Warmth(37.0), remote=False)
    assert say(bath, "status", 0.0) == b"01 MANUAL START\r\n"
    say(bath, "out_mode_05 0", 2.0)
    assert say(bath, "status", 4.0) == b"-09 COMMAND NOT ALLOWED IN CURRENT OPERATING MODE\r\n"
    assert bath.on


def test_a_loss_of_power_leaves_it_off_and_without_its_set_point():
    setpoint, power = Driven(), Driven()
    bath = JulaboBath(Warmth(37.0), setpoint=setpoint, power=power)
    bath.reboot(5.0)
    assert say(bath, "status", 6.0) == b""
    assert say(bath, "status", 9.0) == b"02 REMOTE STOP\r\n"
    assert say(bath, "in_sp_00", 11.0) == b"25.00\r\n"
    assert (setpoint.commands, power.commands) == ([(25.0, 5.0)], [(0.0, 5.0)])


def test_a_frozen_bath_repeats_its_last_temperature():
    bath = JulaboBath(Warmth(lambda t: 30.0 + t))
    first = say(bath, "in_pv_00", 1.0)
    bath.frozen = True
    assert say(bath, "in_pv_00", 5.0) == first
