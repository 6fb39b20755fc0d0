"""The simulated transmitter, byte for byte."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.simulation.devices.keller_x import KellerXTransmitter, crc16


class Pressure:
    def __init__(self, kpa):
        self.kpa = kpa

    def at(self, t):
        return self.kpa


def framed(*content):
    return bytes(content) + crc16(bytes(content)).to_bytes(2, "big")


def ask(device, *content, now=1.0):
    """Send one frame; the reply's bytes."""
    device.write(framed(*content), now)
    return device.read_ready(now + 0.5)


def bar(reply):
    return struct.unpack(">f", reply[2:6])[0]


@pytest.fixture
def transmitter():
    """One that was initialised."""
    device = KellerXTransmitter(Pressure(101.325), noise_kpa=0.0)
    ask(device, 1, 48, now=0.0)
    return device


def test_the_crc_is_that_of_the_protocol():
    assert crc16(b"123456789") == 0x4B37


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        ("01 30 34 00", "01 30 05 14 0C 1C 32 01 A4 97"),
        ("01 49 01 50 D6", "01 49 3F 81 B2 2D 00 D7 84"),
    ],
)
def test_the_published_vectors_are_answered_byte_for_byte(transmitter, request_hex, reply_hex):
    transmitter.write(bytes.fromhex(request_hex), 1.0)
    assert transmitter.read_ready(1.0) == b""
    assert transmitter.read_ready(1.02).hex(" ").upper() == reply_hex


def test_nothing_is_measured_before_it_is_initialised_and_again_after_a_restart(transmitter):
    not_initialised = bytes.fromhex("01 C9 20 88 77")
    fresh = KellerXTransmitter(Pressure(0.0))
    assert ask(fresh, 1, 73, 1) == not_initialised
    transmitter.reboot(5.0)
    assert ask(transmitter, 1, 48, now=5.1) == b""  # not yet awake
    assert ask(transmitter, 1, 73, 1, now=6.0) == not_initialised


def test_the_serial_number_is_four_bytes(transmitter):
    assert ask(transmitter, 1, 69)[2:6] == (55_303).to_bytes(4, "big")


@pytest.mark.parametrize("content", [(2, 73, 1), (0, 73, 1)])
def test_another_address_and_a_broadcast_get_no_reply(transmitter, content):
    assert ask(transmitter, *content) == b""


def test_every_transmitter_answers_to_the_transparent_address(transmitter):
    assert ask(transmitter, 250, 73, 1)[:2] == b"\xfa\x49"


def test_a_damaged_request_gets_no_reply(transmitter):
    transmitter.write(bytes.fromhex("01 49 01 50 D7"), 1.0)
    assert transmitter.read_ready(2.0) == b""


@pytest.mark.parametrize(
    ("content", "code"),
    [((1, 99), 1), ((1, 73, 2), 2), ((1, 73, 200), 2), ((1, 30, 7), 2), ((1, 31, 80, 0, 0, 0, 0), 2),
     ((1, 31, 64, 0x7F, 0xC0, 0, 0), 3), ((1, 66, 250), 3)],
)  # fmt: skip
def test_what_it_cannot_do_is_an_exception_with_its_code(transmitter, content, code):
    assert ask(transmitter, *content) == framed(1, content[1] | 0x80, code)


def test_the_adapter_repeats_what_is_sent_even_when_nobody_answers():
    device = KellerXTransmitter(Pressure(0.0), echo=True)
    assert ask(device, 1, 48) == framed(1, 48) + framed(1, 48, 5, 20, 12, 28, 50, 1)
    assert ask(device, 9, 48, now=2.0) == framed(9, 48)


def test_a_request_may_come_in_pieces_but_not_with_a_pause_between_them(transmitter):
    request = framed(1, 73, 1)
    transmitter.write(request[:2], 1.0)
    transmitter.write(request[2:], 1.01)
    assert len(transmitter.read_ready(1.5)) == 9
    transmitter.write(request[:2], 2.0)
    transmitter.write(request[2:], 2.2)
    assert transmitter.read_ready(3.0) == b""


def test_an_absolute_transmitter_sees_the_atmosphere_too():
    class Barometer:
        def at(self, t):
            return 980.0

    device = KellerXTransmitter(Pressure(50.0), ambient=Barometer(), absolute=True, noise_kpa=0.0)
    ask(device, 1, 48)
    assert bar(ask(device, 1, 73, 1)) == pytest.approx(1.48)


@pytest.mark.parametrize(("kpa", "value"), [(301.0, math.inf), (-101.0, -math.inf)])
def test_beyond_its_range_it_sends_infinity_and_says_so(transmitter, kpa, value):
    transmitter.signal.kpa = kpa
    reply = ask(transmitter, 1, 73, 1)
    assert bar(reply) == value
    assert reply[6] == 0x40


def test_a_saturated_transmitter_sends_infinity_whatever_its_signal(transmitter):
    transmitter.saturated = True
    assert bar(ask(transmitter, 1, 73, 1)) == math.inf


def test_the_integer_value_is_in_pascal(transmitter):
    assert struct.unpack(">i", ask(transmitter, 1, 74, 1)[2:6])[0] == 101_325


def test_the_zero_can_be_set_and_the_range_read(transmitter):
    ask(transmitter, 1, 31, 64, *struct.pack(">f", -1.0))
    assert bar(ask(transmitter, 1, 73, 1, now=2.0)) == pytest.approx(0.01325)
    assert bar(ask(transmitter, 1, 30, 81, now=3.0)) == pytest.approx(3.0)


def test_a_new_address_is_taken_and_0_only_asks(transmitter):
    assert ask(transmitter, 1, 66, 0)[2] == 1
    assert ask(transmitter, 1, 66, 7, now=2.0)[:3] == b"\x01\x42\x07"
    assert ask(transmitter, 7, 69, now=3.0)[:2] == b"\x07\x45"


def test_a_frozen_transmitter_repeats_its_value(transmitter):
    first = ask(transmitter, 1, 73, 1)
    transmitter.frozen, transmitter.signal.kpa = True, 50.0
    assert ask(transmitter, 1, 73, 1, now=2.0) == first
    transmitter.frozen = False
    assert bar(ask(transmitter, 1, 73, 1, now=3.0)) == pytest.approx(0.5)


@given(st.floats(0.0, 1e6), st.integers(0, 9))
def test_the_noise_of_a_conversion_belongs_to_its_moment(t, seed):
    one, other = (KellerXTransmitter(Pressure(50.0), noise_kpa=0.1, seed=seed) for _ in range(2))
    other._pressure_bar(t + 1.0)
    assert one._pressure_bar(t) == other._pressure_bar(t) != 0.5
