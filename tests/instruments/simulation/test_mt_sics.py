"""The simulated balance, byte for byte."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.simulation.devices.mt_sics import MtSicsBalance


class Load:
    """A load in mg as a function of time."""

    def __init__(self, mg):
        self.mg = mg if callable(mg) else lambda t: mg

    def at(self, t):
        return self.mg(t)

    def samples(self, t0, dt, first, n):
        return np.array([self.mg(t0 + (first + k) * dt) for k in range(n)])


def say(balance, command, now=0.0, wait_s=1.0):
    """Send one command and return what has arrived ``wait_s`` later."""
    balance.write(command.encode() + b"\r\n", now)
    return balance.read_ready(now + wait_s)


def test_a_weight_is_right_aligned_in_ten_columns():
    balance = MtSicsBalance(Load(12345.6), readability_mg=0.1)
    assert say(balance, "SI") == bytes.fromhex("53 20 53 20 20 20 20 31 32 2E 33 34 35 36 20 67 0D 0A")


@pytest.mark.parametrize(
    ("mg", "reply"),
    [
        (0.0, b"S S    0.00000 g\r\n"),
        (12345.6789, b"S S   12.34568 g\r\n"),
        (-0.004, b"S S    0.00000 g\r\n"),
        (-1500.0, b"S S   -1.50000 g\r\n"),
        (220_000.0, b"S S  220.00000 g\r\n"),
        (220_001.0, b"S +\r\n"),
        (-2_300.0, b"S -\r\n"),
    ],
)
def test_a_weight_has_whole_digits_inside_the_range_and_a_sign_outside(mg, reply):
    assert say(MtSicsBalance(Load(mg)), "SI") == reply


@given(st.floats(-2000.0, 219_999.0))
def test_every_weight_has_eighteen_bytes_and_is_within_half_a_digit(mg):
    reply = say(MtSicsBalance(Load(mg)), "SI")
    assert len(reply) == 18
    assert abs(float(reply[4:14]) * 1e3 - mg) <= 0.005 + 1e-9


def test_the_short_path_of_si_answers_as_the_general_one():
    quick, general = MtSicsBalance(Load(lambda t: 5.0 + t)), MtSicsBalance(Load(lambda t: 5.0 + t))
    for k in range(30):
        now = 0.37 * k
        quick.write(b"SI\r\n", now)
        general.write(b"S", now)
        general.write(b"I\r\n", now)
        assert quick.read_ready(now + 0.3) == general.read_ready(now + 0.3) != b""


def test_the_reply_comes_after_the_latency_and_not_before():
    balance = MtSicsBalance(Load(1.0), latency_s=0.02)
    balance.write(b"SI\r\n", 5.0)
    assert balance.next_output_time() == pytest.approx(5.02)
    assert balance.read_ready(5.019) == b""
    assert balance.read_ready(5.021) != b""


def test_the_weight_is_that_of_the_last_conversion_and_not_of_the_poll():
    balance = MtSicsBalance(Load(lambda t: 1000.0 * t))
    assert float(say(balance, "SI", 12.0)[4:14]) == 12.0
    assert float(say(balance, "SI", 13.09)[4:14]) == 13.0


def test_a_weight_is_stable_when_it_changed_by_few_digits_over_the_last_second():
    balance = MtSicsBalance(Load(lambda t: max(0.0, t - 10.0)), stable_digits=10.0)
    assert say(balance, "SI", 10.0).startswith(b"S S")
    assert say(balance, "SI", 10.1).startswith(b"S S")
    assert say(balance, "SI", 10.3, 0.05).startswith(b"S D")
    assert say(balance, "SI", 30.0).startswith(b"S D")


def settling(t):
    return 100.0 * np.exp(-t)


def test_s_answers_when_the_reading_has_become_stable():
    balance = MtSicsBalance(Load(settling))
    balance.write(b"S\r\n", 1.0)
    assert balance.read_ready(4.0) == b""
    assert balance.read_ready(12.0).startswith(b"S S ")


def test_s_gives_up_after_the_stability_timeout():
    balance = MtSicsBalance(Load(lambda t: 10.0 * t), stability_timeout_s=5.0)
    balance.write(b"S\r\n", 1.0)
    assert balance.read_ready(5.9) == b""
    assert balance.read_ready(6.2) == b"S I\r\n"


def test_a_command_while_another_waits_for_stability_is_not_executable():
    balance = MtSicsBalance(Load(lambda t: 10.0 * t))
    balance.write(b"T\r\n", 1.0)
    assert say(balance, "SI", 2.0) == b"SI I\r\n"
    assert say(balance, "@", 4.0) == b'I4 A "B021002593"\r\n'
    assert balance.next_event() is None


def test_a_command_sent_ahead_of_the_reply_is_ignored():
    balance = MtSicsBalance(Load(1.0))
    balance.write(b"SI\r\nI4\r\n", 0.0)
    assert balance.read_ready(10.0) == b"S S    0.00100 g\r\n"
    balance.write(b"SI\r\n", 20.0)
    balance.write(b"SI\r\n", 20.01)
    assert balance.read_ready(30.0) == b"S S    0.00100 g\r\n"


def test_tare_makes_the_display_zero_and_is_reported_cleared_and_preset():
    balance = MtSicsBalance(Load(50_000.0))
    assert say(balance, "T", 1.0) == b"T S   50.00000 g\r\n"
    assert say(balance, "SI", 3.0) == b"S S    0.00000 g\r\n"
    assert say(balance, "TA", 5.0) == b"TA A   50.00000 g\r\n"
    assert say(balance, "TA 10 g", 7.0) == b"TA A   10.00000 g\r\n"
    assert say(balance, "SI", 9.0) == b"S S   40.00000 g\r\n"
    assert say(balance, "TAC", 11.0) == b"TAC A\r\n"
    assert say(balance, "SI", 13.0) == b"S S   50.00000 g\r\n"


def test_tare_at_once_reports_a_moving_load():
    assert say(MtSicsBalance(Load(lambda t: 10.0 * t)), "TI", 10.0) == b"TI D    0.10000 g\r\n"


@pytest.mark.parametrize(("mg", "reply"), [(4_000.0, b"Z A\r\n"), (5_000.0, b"Z +\r\n"), (-2_000.0, b"Z A\r\n")])
def test_zero_is_accepted_within_two_percent_of_the_capacity(mg, reply):
    balance = MtSicsBalance(Load(mg))
    assert say(balance, "Z", 1.0) == reply
    zeroed = say(balance, "SI", 3.0) == b"S S    0.00000 g\r\n"
    assert zeroed == (reply == b"Z A\r\n")


def test_zeroing_clears_the_tare():
    balance = MtSicsBalance(Load(1000.0))
    say(balance, "T", 1.0)
    say(balance, "Z", 3.0)
    assert say(balance, "TA", 5.0) == b"TA A    0.00000 g\r\n"
    assert say(balance, "SI", 7.0) == b"S S    0.00000 g\r\n"


def test_reset_clears_the_tare_and_keeps_the_zero():
    load = Load(1000.0)
    balance = MtSicsBalance(load)
    say(balance, "Z", 1.0)
    load.mg = lambda t: 3000.0
    say(balance, "T", 5.0)
    assert say(balance, "@", 7.0) == b'I4 A "B021002593"\r\n'
    assert say(balance, "SI", 9.0) == b"S S    2.00000 g\r\n"


def test_sir_streams_ten_lines_a_second_until_another_weight_command():
    balance = MtSicsBalance(Load(lambda t: t))
    balance.write(b"SIR\r\n", 1.0)
    lines = balance.read_ready(2.95).splitlines()
    assert len(lines) == 20
    assert lines[0] == b"S D    0.00100 g" or lines[0] == b"S S    0.00100 g"
    assert float(lines[19][4:14]) == pytest.approx(0.0029)
    balance.write(b"SI\r\n", 3.05)
    balance.read_ready(3.08)
    assert balance.read_ready(60.0) == b""


def test_sr_reports_a_change_and_the_next_stable_value():
    balance = MtSicsBalance(Load(lambda t: 1000.0 if t < 10.0 else 2000.0))
    balance.write(b"SR 0.5 g\r\n", 1.0)
    assert balance.read_ready(9.0) == b"S S    1.00000 g\r\n"
    assert balance.read_ready(30.0) == b"S D    2.00000 g\r\nS S    2.00000 g\r\n"


def test_the_balance_tells_who_it_is():
    balance = MtSicsBalance(Load(0.0), serial="C1", model="XPR205")
    assert say(balance, "I1", 1.0) == b'I1 A "012" "2.30" "2.20" "1.00" ""\r\n'
    assert say(balance, "I2", 2.0) == b'I2 A "XPR205 Excellence 220.00009 g"\r\n'
    assert say(balance, "I3", 3.0).startswith(b'I3 A "')
    assert say(balance, "I4", 4.0) == b'I4 A "C1"\r\n'
    assert say(balance, "I5", 5.0).startswith(b'I5 A "')


def test_the_list_of_commands_ends_with_a_and_every_one_of_them_is_known():
    balance = MtSicsBalance(Load(1.0))
    lines = say(balance, "I0").decode().splitlines()
    assert all(line.startswith("I0 B") for line in lines[:-1])
    assert lines[-1].startswith("I0 A")
    for k, line in enumerate(lines):
        name = line.split('"')[1]
        reply = say(balance, f'{name} "x"' if name == "D" else name, 10.0 * k + 10.0)
        say(balance, "@", 10.0 * k + 15.0)
        assert reply[:1] not in (b"", b"E")


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("XX", b"ES\r\n"),
        ("si", b"ES\r\n"),
        ("SI 5", b"ES\r\n"),
        ("TA -5 g", b"TA L\r\n"),
        ("TA 5 lb", b"TA L\r\n"),
        ("SR 1 d", b"SR L\r\n"),
        ("M03 2", b"M03 L\r\n"),
        ("M21 0 7", b"M21 L\r\n"),
        ("D text", b"D L\r\n"),
        ('D "text"', b"D A\r\n"),
        ("DW", b"DW A\r\n"),
    ],
)
def test_what_cannot_be_understood_is_answered_with_the_kind_of_error(command, reply):
    assert say(MtSicsBalance(Load(1.0)), command) == reply


def test_the_host_unit_may_be_milligrams():
    balance = MtSicsBalance(Load(12_345.67))
    assert say(balance, "M21 0 3", 1.0) == b"M21 A\r\n"
    assert say(balance, "SI", 3.0) == b"S S   12345.67 mg\r\n"
    assert say(balance, "M21 0 0", 5.0) == b"M21 A\r\n"
    assert say(balance, "SI", 7.0) == b"S S   12.34567 g\r\n"


def test_automatic_zero_is_read_and_set_and_eats_a_slow_flow_but_not_a_fast_one():
    slow, fast = Load(lambda t: 0.0011 * t), Load(lambda t: 0.02 * t)
    for load, eaten in ((slow, True), (fast, False)):
        balance = MtSicsBalance(load, auto_zero=True)
        assert say(balance, "M03", 0.0) == b"M03 A 1\r\n"
        assert say(balance, "Z", 1.0) == b"Z A\r\n"
        weights = [float(say(balance, "SI", 2.0 + k)[4:14]) for k in range(100)]
        assert (weights[-1] < 1e-5 + 1e-9) == eaten
    assert say(balance, "M03 0", 200.0) == b"M03 A\r\n"
    assert say(balance, "M03", 202.0) == b"M03 A 0\r\n"


def test_a_frozen_balance_repeats_its_last_reading():
    balance = MtSicsBalance(Load(lambda t: 100.0 * t))
    first = say(balance, "SI", 10.0)
    balance.frozen = True
    assert say(balance, "SI", 12.0) == first
    balance.frozen = False
    assert say(balance, "SI", 14.0) != first


def test_a_restart_forgets_the_tare_and_announces_itself():
    balance = MtSicsBalance(Load(1000.0))
    say(balance, "T", 1.0)
    balance.reboot(3.0)
    assert say(balance, "SI", 4.0) == b""
    assert balance.read_ready(9.0) == b'I4 A "B021002593"\r\n'
    assert say(balance, "SI", 10.0) == b"S S    1.00000 g\r\n"


def test_a_readability_that_is_no_power_of_ten_is_refused():
    with pytest.raises(ValueError, match=r"balance B021002593: readability 0\.02"):
        MtSicsBalance(Load(0.0), readability_mg=0.02)
