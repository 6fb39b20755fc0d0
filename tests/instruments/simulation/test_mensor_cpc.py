"""The simulated pressure controller in its Mensor command set, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.simulation.devices.mensor_cpc import CpcController


class Line:
    """An actuator that remembers what it was told."""

    def __init__(self):
        self.told = []

    def write(self, value, t):
        self.told.append((round(t, 6), round(value, 6)))


class RampedLine(Line):
    def ramp(self, value, per_s, t):
        self.told.append((t, value, per_s))


def controller(outlet=None, **settings):
    return CpcController(outlet or Line(), **{"noise_kpa": 0.0, "unit": "kPa", **settings})


def ask(device, message, now=0.0):
    device.write(message.encode() + b"\r", now)
    return device.read_ready(now + 1.0).decode()


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ("A?", " +1.23456E+00"),
        ("a?", " +1.23456E+00"),
        ("?", " +1.23456E+00"),
        ("Setpt?", " +0.00000E+00"),
        ("Mode?", " STANDBY"),
        ("Stable?", " NO"),
        ("AS?", " NO"),
        ("Units?", " 22, kPa"),
        ("Outform?", " 1"),
        ("Ptype?", " GAUGE"),
        ("Rangemin?", " -1.00000E+02"),
        ("Rangemax?", " +2.00000E+02"),
        ("Address?", " 1"),
        ("Autorange?", " OFF"),
        ("Error?", " NO ERRORS"),
        ("*IDN?", " MENSOR, CPC4000,610189,1.2.3"),
    ],
)
def test_a_reply_begins_with_a_blank(query, reply):
    assert ask(controller(start_kpa=1.23456), query) == reply + "\r\n"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_a_command_ends_with_cr_or_lf_or_both(end):
    device = controller()
    device.write(b"Setpt 1.5" + end + b"Setpt?" + end, 0.0)
    assert device.read_ready(1.0) == b" +1.50000E+00\r\n"


@pytest.mark.parametrize(
    ("form", "reply"),
    [
        (1, " +5.00000E+01"),
        (2, " +5.00000E+01, kPa, CONTROL"),
        (3, " +5.00000E+01, +0.00000E+00"),
        (4, " +5.00000E+01, +5.00000E+01, +5.00000E+01"),
        (5, " +5.00000E+01, P, 1"),
        (6, " +5.00000E+01, +5.00000E+01, stable"),
        (7, " +5.00000E+01, no barometer"),
    ],
)
def test_the_output_formats(form, reply):
    device = controller()
    ask(device, f"Setpt 50\rMode Control\rOutform {form}")
    assert ask(device, "?", 60.0) == reply + "\r\n"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Fred", "Unrecognized command"),
        ("Fred?", "Unrecognized command"),
        ("Setpt five", "Data syntax error"),
        ("Setpt 200.1", "Data out of range"),
        ("Setpt -101", "Data out of range"),
        ("Mode Off", "Data syntax error"),
        ("Outform 8", "Data out of range"),
        ("Units 99", "Data syntax error"),
        ("Rsetpt 0", "Data out of range"),
        ("Stabletime 1.5", "Data out of range"),
    ],
)
def test_while_errors_are_queued_replies_begin_with_e(message, words):
    device = controller()
    assert ask(device, message) == ""
    assert ask(device, "Mode?", 2.0) == "ESTANDBY\r\n"
    assert ask(device, "Error?", 4.0) == f" {words}\r\n"
    assert ask(device, "Mode?", 6.0) == " STANDBY\r\n"


def test_replies_take_their_time_on_the_line_and_none_overtakes_another():
    device = controller()
    device.write(b"*IDN?\rMode?\r", 5.0)
    assert device.read_ready(5.02 + 31 * 10 / 57_600 - 1e-6) == b""
    assert device.read_ready(5.02 + 31 * 10 / 57_600 + 1e-6).endswith(b"1.2.3\r\n")
    assert device.read_ready(5.02 + 41 * 10 / 57_600 + 1e-6) == b" STANDBY\r\n"


def test_ten_errors_are_kept():
    device = controller()
    for _ in range(12):
        ask(device, "Fred")
    flags = [ask(device, "Error?", 2.0 * k)[0] for k in range(1, 12)]
    assert "".join(flags) == "EEEEEEEEE  "


def test_a_set_point_is_reached_by_the_rate_and_a_line_that_can_ramp_is_told_once():
    line = RampedLine()
    device = controller(line)
    ask(device, "Rate Variable\rRsetpt 2\rSetpt 50\rMode Control", 10.0)
    assert line.told == [(10.0, 50.0, 2.0)]
    assert ask(device, "A?", 20.0) == " +2.00000E+01\r\n"
    assert ask(device, "A?", 40.0) == " +5.00000E+01\r\n"


def test_stable_is_within_the_window_for_the_time():
    device = controller()
    ask(device, "Rate Variable\rRsetpt 10\rStablewin 1\rStabletime 5\rSetpt 50\rMode Control")
    assert ask(device, "Stable?", 9.6) == " NO\r\n"  # 3 kPa of the window are reached at 4.7 s
    assert ask(device, "Stable?", 9.8) == " YES\r\n"


@pytest.mark.parametrize(("mode", "kpa"), [("Measure", "+5.00000E+01"), ("Standby", "+5.00000E+01"), ("Vent", "+0.0")])
def test_out_of_control_the_line_keeps_its_pressure_or_is_vented(mode, kpa):
    device = controller(start_kpa=50.0)
    ask(device, f"Mode {mode}")
    assert ask(device, "A?", 60.0).startswith(f" {kpa}")


def test_a_restart_shuts_the_line_and_forgets_the_settings():
    device = controller(unit="psi")
    ask(device, "Units kPa\rOutform 2\rRate Variable\rRsetpt 1\rSetpt 50\rMode Control")
    device.reboot(10.0)
    assert ask(device, "?", 17.0) == ""
    assert ask(device, "?", 19.0) == " +1.45038E+00\r\n"
    assert ask(device, "Mode?", 21.0) == " STANDBY\r\n"


@given(kpa=st.floats(-100.0, 200.0), unit=st.sampled_from(["psi", "bar", "mbar", "kPa", "Pa"]))
def test_what_is_set_in_a_unit_is_read_in_it(kpa, unit):
    device = controller(unit=unit)
    per_kpa = {"psi": 1 / 6.894757293, "bar": 0.01, "mbar": 10.0, "kPa": 1.0, "Pa": 1000.0}[unit]
    reply = ask(device, f"Setpt {kpa * per_kpa:.8f}\rSetpt?")
    assert float(reply) == pytest.approx(kpa * per_kpa, rel=1e-5, abs=1e-7)
    assert device.setpoint_kpa == pytest.approx(kpa, abs=1e-5)


@pytest.mark.parametrize("settings", [{"unit": "furlong"}, {"ptype": "BARO"}])
def test_a_controller_that_there_is_not_is_refused(settings):
    with pytest.raises(ValueError, match="controller 610189"):
        controller(**settings)
