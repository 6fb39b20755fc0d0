"""The simulated Coriolis meter, byte for byte, in both of its frames."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.simulation.devices.bronkhorst_propar import CoriFlowMeter
from instruments.simulation.devices.propar.frames import Frames, Message


class Passed:
    """A volume in uL that has passed: so many uL/h, from the beginning."""

    def __init__(self, ul_per_h=1000.0):
        self.ul_per_h = ul_per_h

    def at(self, t):
        return self.ul_per_h * t / 3600.0


class Steady:
    def __init__(self, value):
        self.value = value

    def at(self, t):
        return self.value


def meter(ul_per_h=1000.0, **settings):
    return CoriFlowMeter(Passed(ul_per_h), noise_mg_per_h=0.0, density_noise_g_per_ml=0.0, **settings)


def ask(device, data, now=10.0):
    device.write(data, now)
    return device.read_ready(now + 1.0)


def test_half_of_the_capacity_is_16000_counts_as_in_the_manual():
    rho = meter().density_g_per_ml(10.0)
    assert ask(meter(2500.0 / rho), b":06030401210120\r\n") == b":06030201213E80\r\n"


def test_a_chained_request_brings_capacity_and_unit():
    reply = ask(meter(capacity=5.0), b":0A030401C1014D62017F00\r\n")
    assert reply == b":0E030201C140A000006200672F6800\r\n"


def test_processes_are_chained_as_the_manual_shows():
    asked = b":1A0304F1EC7163006D71660001AE0120CF014DF0017F077101710A\r\n"
    reply = ask(meter(0.0, serial="M6212345A", unit="mg/min", capacity=1.0), asked)
    texts = b"\x02\xf1\xec\x00M6212345A\x00\x6d\x00USERTAG\x00"
    rest = b"\x01\xae\x00\x00\xcf" + struct.pack(">f", 1.0) + b"\xf0\x07mg/min q\x0aWATER     "
    content = b"\x03" + texts + rest
    assert reply == b":%02X%s\r\n" % (len(content), content.hex().upper().encode())


def test_a_setpoint_is_acknowledged_as_the_manual_shows():
    assert ask(meter(), b":06030101213E80\r\n") == b":0403000005\r\n"


@pytest.mark.parametrize("node", [3, 0x80])
def test_the_binary_frame_is_answered_in_kind(node):
    device = meter(0.0)
    device.setpoint = 0x1002
    request = bytes.fromhex(f"10 02 01 {node:02x} 05 04 01 21 01 21 10 03")
    assert ask(device, request) == bytes.fromhex(f"10 02 01 {node:02x} 05 02 01 21 10 10 02 10 03")


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (b"*IDN?\r\n", b":0101\r\n"),
        (b":zz03\r\n", b":0102\r\n"),
        (b":07030401210120\r\n", b":0103\r\n"),
        (b":0603040121012g\r\n", b":0104\r\n"),
        (b":06040401210120\r\n", b":0109\r\n"),
        (b":06030401217720\r\n", b":0403000305\r\n"),
        (b":06030401210125\r\n", b":0403000405\r\n"),
        (b":06030401410120\r\n", b":0403000505\r\n"),
        (b":02030A\r\n", b":0403000200\r\n"),
        (b":0603010120000000\r\n", b":0103\r\n"),
        (b":050304012101\r\n", b":0403002204\r\n"),
        (bytes.fromhex("10 02 07 03 09 04 01 21 01 20 10 03"), bytes.fromhex("10 02 07 03 01 04 10 03")),
    ],
)
def test_what_it_cannot_take_is_told_by_a_code(request_, reply):
    assert ask(meter(), request_) == reply


def test_a_new_message_begins_whatever_came_before():
    assert ask(meter(0.0), b"garbage:0603\x10\x02\x01:06030401210120\r\n") == b""
    assert ask(meter(0.0), b"garbage:0603:06030401210120\r\n") == b":06030201210000\r\n"


def test_a_flow_backwards_counts_down_from_the_top():
    rho = meter().density_g_per_ml(10.0)
    assert ask(meter(-2500.0 / rho), b":06030401210120\r\n") == b":0603020121C17F\r\n"


def test_mass_flow_follows_the_volume_at_the_temperature_at_which_that_counts():
    device = meter(1000.0, temperature=Steady(22.0), metered_at=Steady(37.0), gain_error=0.002)
    assert device.mass_mg_per_h(100.0) == pytest.approx(1000.0 * 0.99333 * 1.002, rel=1e-5)
    assert device.density_g_per_ml(100.0) == pytest.approx(0.99777, abs=1e-5)
    device.counted_mg(0.0)
    assert device.counted_mg(3600.0) == pytest.approx(1000.0 * 0.99333 * 1.002, rel=1e-5)


def test_a_bubble_takes_the_density_away():
    assert meter(air=Steady(1.0)).density_g_per_ml(5.0) < 0.5


def test_frozen_it_repeats_its_conversion_and_saturated_it_is_at_its_end():
    device = CoriFlowMeter(Passed())
    first = device.mass_mg_per_h(10.0)
    device.frozen = True
    assert device.mass_mg_per_h(20.0) == first
    device.frozen, device.saturated = False, True
    assert ask(device, b":06030401210120\r\n", 30.0) == b":0603020121A3D6\r\n"


@pytest.mark.parametrize("settings", [{"unit": "l/h"}, {"unit": "g"}, {"counter_unit": "ln"}, {"node": 128}])
def test_what_is_no_meter_is_refused(settings):
    with pytest.raises(ValueError, match="M21200123A"):
        meter(**settings)


@given(st.binary(min_size=1, max_size=40), st.integers(0, 255), st.integers(0, 255), st.booleans())
def test_a_message_survives_its_frame(data, node, sequence, binary):
    message = Message(sequence if binary else None, node, data)
    assert list(Frames().feed(message.answered(data))) == [message]


@given(st.binary(max_size=60))
def test_no_garbage_upsets_it(garbage):
    device = meter(0.0)
    device.write(garbage, 5.0)
    device.read_ready(9.0)
    assert ask(device, b"\x10\x00\n:06030401210120\r\n", 10.0).endswith(b":06030201210000\r\n")
