"""The simulated hygrometer, byte for byte."""

import pytest

from instruments.simulation.devices.vaisala_hmt import VaisalaTransmitter


class Value:
    """A quantity that can be set."""

    def __init__(self, value):
        self.value = value

    def at(self, t):
        return self.value


def room(humidity=98.4, degc=31.1, **settings):
    return VaisalaTransmitter(Value(humidity), Value(degc), **({"echo": False} | settings))


def say(device, command, now=0.0, wait_s=2.0):
    """Send one command and return what has arrived two seconds later."""
    device.write(command.encode() + b"\r", now)
    return device.read_ready(now + wait_s)


def test_the_default_form_is_that_of_the_user_guide():
    assert b" ".join(say(room(), "send").split()) == b"RH= 98.4 %RH T= 31.1 'C"


def test_a_form_of_ones_own_is_taken_and_given_back():
    device = room(16.03, 23.7)
    assert say(device, 'form "RH=" 4.2 rh U5 #t "T=" t U3 #r #n', 0.0) == b"OK\r\n"
    assert say(device, "SEND", 3.0) == b"RH=  16.03%RH  \tT=  23.70'C \r\n"
    assert say(device, "FORM", 6.0).startswith(b'"RH=" 4.2 rh U5 #t')
    assert say(device, "form /", 9.0) == b"OK\r\n"
    assert b"98.4" not in say(device, "send", 12.0)


@pytest.mark.parametrize(
    ("modifier", "field"),
    [
        ("CS2", "D7"),  # 41h + 42h + 54h = D7h
        ("CS4", "00D7"),
        ("CSX", "57"),  # 41h xor 42h xor 54h
        ("SN", "K0710040"),
        ("ADDR", "0"),
        ("ERR", "0000"),
        ("STAT", "N 0    "),
        ("#033", "!"),
        ("3.1 t", " 31.1"),
        ("2.0 rh", "98"),
    ],
)
def test_a_modifier_gives_its_field(modifier, field):
    device = room()
    assert say(device, f'FORM "ABT" {modifier} "." #r #n', 0.0) == b"OK\r\n"
    assert say(device, "SEND", 3.0) == f"ABT{field}.\r\n".encode()


def test_a_checksum_counts_what_was_sent_before_it():
    device = room()
    say(device, 'FORM "A" CS4 "B" CS4 #r #n', 0.0)
    first = sum(b"A")
    assert say(device, "SEND", 3.0) == b"A%04XB%04X\r\n" % (first, sum(b"A%04XB" % first))


def test_a_broken_sensor_sets_its_flag_and_shows_asterisks():
    device = room(humidity=float("nan"))
    say(device, 'FORM 3.1 rh " " ERR #r #n', 0.0)
    assert say(device, "SEND", 3.0) == b"***** 0001\r\n"
    assert say(device, "ERRS", 6.0) == b"Errors 0001\r\n"
    assert say(room(), "ERRS", 0.0) == b"No errors\r\n"


def test_units_may_be_those_of_fahrenheit():
    device = room(degc=30.0)
    say(device, "UNIT N", 0.0)
    assert b"T=  86.0 'F" in say(device, "SEND", 3.0)
    say(device, "UNIT M", 6.0)
    assert b"T=  30.0 'C" in say(device, "SEND", 9.0)


def test_echo_and_prompt_are_there_until_they_are_switched_off():
    device = room(echo=True)
    assert say(device, "vers", 0.0) == b"vers\r\nHMT330 / 5.16\r\n>"
    assert say(device, "ECHO OFF", 3.0).startswith(b"ECHO OFF\r\nEcho")
    assert say(device, "vers", 6.0) == b"HMT330 / 5.16\r\n"


def test_a_running_output_listens_to_s_alone():
    device = room()
    say(device, "INTV 2 S", 0.0)
    device.write(b"R\r", 10.0)
    assert device.read_ready(17.0).count(b"RH=") == 4
    assert b"HMT330" not in say(device, "VERS", 17.0)
    device.write(b"S\r", 20.0)
    device.read_ready(20.5)
    assert say(device, "VERS", 30.0) == b"HMT330 / 5.16\r\n"


def test_a_reply_takes_its_time_on_the_line_and_none_overtakes_another():
    device = room(latency_s=0.1)
    device.write(b"VERS\rSEND\r", 5.0)
    assert device.next_output_time() == pytest.approx(5.1 + 15 * 10 / 4800)
    assert device.read_ready(5.14).startswith(b"HMT330")
    assert device.read_ready(6.0).startswith(b"RH=")


def test_settings_survive_a_loss_of_power():
    device = room()
    say(device, 'FORM "X" #r #n', 0.0)
    device.reboot(5.0)
    assert device.read_ready(9.0) == b"HMT330 / 5.16\r\n"
    assert say(device, "SEND", 10.0) == b"X\r\n"


def test_what_cannot_be_understood_is_answered():
    assert say(room(), "FOO") == b"Unknown command\r\n"
    assert say(room(), "FORM ;;") == b"Syntax error\r\n"


def test_a_frozen_transmitter_repeats_its_last_reading():
    device = room()
    first = say(device, "SEND", 0.0)
    device.frozen, device.humidity.value = True, 10.0
    assert say(device, "SEND", 3.0) == first
    device.frozen = False
    assert say(device, "SEND", 6.0) != first
