"""The simulated balance with the SBI protocol, byte for byte."""

import pytest

from instruments.simulation.devices.sartorius_sbi import SartoriusBalance


class Load:
    """A load in mg that a test sets, or a function of time."""

    def __init__(self, mg=12_345.6):
        self.mg = mg

    def at(self, t):
        return self.mg(t) if callable(self.mg) else self.mg


def balance(mg=12_345.6, **settings):
    return SartoriusBalance(Load(mg), **{"readability_mg": 0.1, **settings})


def say(device, command, now=5.0, wait_s=0.5):
    device.write(b"\x1b" + command, now)
    return device.read_ready(now + wait_s)


@pytest.mark.parametrize("end", [b"", b"\r\n"])
@pytest.mark.parametrize(("characters", "reply"), [(16, b"+  12.3456 g  \r\n"), (22, b"N     +  12.3456 g  \r\n")])
def test_the_replies_of_the_manual(characters, reply, end):
    said = say(balance(characters=characters), b"P" + end)
    assert said == reply
    assert len(said) == characters


@pytest.mark.parametrize(
    ("settings", "mg", "reply"),
    [
        ({"unit": "mg"}, 12_345.6, b"+  12345.6 mg \r\n"),
        ({"unit": "kg"}, 12_345.6, b"+0.0123456 kg \r\n"),
        ({"readability_mg": 0.01}, 200_000.0, b"+200.00000 g  \r\n"),
        ({}, -12.34, b"-   0.0123 g  \r\n"),
        ({}, -0.04, b"+   0.0000 g  \r\n"),
        ({}, 220_001.5, b"      H       \r\n"),
        ({}, -2_201.0, b"      L       \r\n"),
    ],
)
def test_a_weight_stands_in_its_columns_and_what_is_none_is_a_letter(settings, mg, reply):
    assert say(balance(mg, characters=16, **settings), b"P") == reply


@pytest.mark.parametrize(
    ("field", "value", "reply"),
    [
        ("adjusting", True, b"Stat        C       \r\n"),
        ("error", 54, b"Stat     Err  54    \r\n"),
        ("saturated", True, b"Stat        H       \r\n"),
    ],
)
def test_a_state_has_its_own_identification(field, value, reply):
    device = balance()
    setattr(device, field, value)
    assert say(device, b"P") == reply


def test_while_the_load_moves_the_unit_is_blank():
    device = balance(lambda t: 1000.0 + 100.0 * t)
    assert say(device, b"P") == b"N     +   1.5000    \r\n"


def test_a_balance_that_prints_what_is_stable_alone_waits_for_that():
    device = balance(lambda t: 1000.0 * min(t, 7.0), prints="stable")
    assert say(device, b"P", 5.0) == b""
    assert device.read_ready(9.0) == b"N     +   7.0000 g  \r\n"


def test_a_tare_gets_no_answer_and_waits_until_the_load_is_still():
    device = balance(lambda t: 1000.0 * min(t, 7.0))
    assert say(device, b"T", 5.0) == b""
    assert say(device, b"P", 6.0) == b"N     +   6.0000    \r\n"
    assert say(device, b"P", 9.0) == b"N     +   0.0000 g  \r\n"


@pytest.mark.parametrize(("command", "text"), [(b"x1_", b"MSA225S"), (b"x2_", b"0021305679"), (b"x3_", b"00-37-12")])
def test_it_says_who_it_is(command, text):
    assert say(balance(), command) == text.rjust(14) + b"\r\n"


@pytest.mark.parametrize("command", [b"Z", b"x9_", b"x", b"\x1b"])
def test_what_it_does_not_know_gets_no_answer_and_the_next_command_does(command):
    device = balance()
    assert say(device, command) == b""
    assert say(device, b"P", 6.0) == b"N     +  12.3456 g  \r\n"


def test_a_reply_takes_its_time_on_the_line():
    device = balance(characters=16, baud=1200, data_bits=7)
    device.write(b"\x1bP", 5.0)
    assert device.read_ready(5.0 + 0.03 + 16 * 11 / 1200 - 1e-6) == b""
    assert device.read_ready(5.0 + 0.03 + 16 * 11 / 1200 + 1e-6) == b"+  12.3456 g  \r\n"


def test_switched_on_it_takes_its_load_as_zero():
    device = balance()
    device.reboot(10.0)
    assert say(device, b"P", 15.9) == b""
    assert say(device, b"P", 16.1) == b"N     +   0.0000 g  \r\n"


@pytest.mark.parametrize("settings", [{"readability_mg": 0.03}, {"unit": "lb"}, {"characters": 20}])
def test_a_balance_that_there_is_not_is_refused(settings):
    with pytest.raises(ValueError, match="balance 0021305679"):
        balance(**settings)
