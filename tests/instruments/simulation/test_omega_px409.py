"""The simulated pressure transmitter, byte for byte."""

import struct

import pytest

from instruments.simulation.devices.omega_px409 import Px409Transmitter


class Pressure:
    def __init__(self, kpa):
        self.kpa = kpa

    def at(self, t):
        return self.kpa(t) if callable(self.kpa) else self.kpa


def transmitter(kpa=100.0, **settings):
    return Px409Transmitter(Pressure(kpa), **{"noise_kpa": 0.0, **settings})


def say(device, command, now=1.0):
    device.write(command + b"\r", now)
    return device.read_ready(now + 0.1)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"P", b"14.50377 psi\r\n>"),
        (b"SNR", b"487740\r\n>"),
        (b"ENQ", b"USBPX2\r\n1.13.05\r\n0.0 to 15.0 PSI G\r\n>"),
        (b"RATE", b"RATE = 0\r\n>"),
        (b"RATE 8", b"RATE = 8\r\n>"),
        (b"AVG 4", b"AVG = 4\r\n>"),
        (b"", b">"),
        (b"PS", b">"),
        (b"p", b"p @command unsupported\r\n>"),
        (b"SNR 1", b"SNR 1 @command unsupported\r\n>"),
        (b"RATE 9", b"RATE 9 @command unsupported\r\n>"),
    ],
)
def test_a_command_is_answered_with_a_prompt(command, reply):
    assert say(transmitter(), command) == reply


@pytest.mark.parametrize(("unit", "shown"), [("kPa", b"100.00000"), ("bar", b"1.00000"), ("hPa", b"1000.00")])
def test_the_unit_stands_beside_the_reading(unit, shown):
    assert say(transmitter(unit=unit), b"P") == shown + b" " + unit.encode() + b"\r\n>"


def test_an_absolute_transmitter_adds_what_the_barometer_shows():
    device = transmitter(0.0, absolute=True, ambient=Pressure(1000.0), unit="kPa", high_kpa=200.0)
    assert say(device, b"P") == b"100.00000 kPa\r\n>"
    assert say(device, b"ENQ").endswith(b"200.0 KPA A\r\n>")


def test_after_the_plug_it_says_nothing_for_six_seconds():
    device = transmitter()
    device.unplug(10.0, 1.0)
    assert say(device, b"P", 16.9) == b""
    assert say(device, b"P", 17.0) == b"14.50377 psi\r\n>"


def test_the_stream_is_binary_at_its_rate_until_it_is_ended():
    device = transmitter(lambda t: 10.0 * t, unit="kPa")
    device.write(b"PC\r", 1.0)
    packets = device.read_ready(1.65)
    assert [packets[k : k + 2] for k in (0, 6, 12)] == [b"\xaa\x01"] * 3
    assert struct.unpack("<f", packets[2:6])[0] == pytest.approx(12.0)
    assert say(device, b"PS", 1.7).endswith(b">")
    assert device.next_event() is None


def test_a_sync_byte_inside_a_packet_is_sent_twice():
    value = struct.unpack("<f", b"\x00\xaa\x20\x41")[0]
    device = transmitter(value, unit="kPa")
    device.write(b"PC\r", 0.0)
    assert device.read_ready(0.25) == b"\xaa\x01\x00\xaa\xaa\x20\x41"


@pytest.mark.parametrize(("field", "shown"), [("frozen", b"20.00000"), ("saturated", b"113.76350")])
def test_a_signal_that_stands_still_or_is_beyond_the_range(field, shown):
    device = transmitter(20.0, unit="kPa")
    say(device, b"P")
    setattr(device, field, True)
    device.signal.kpa = 30.0
    assert say(device, b"P", 5.0).startswith(shown)
