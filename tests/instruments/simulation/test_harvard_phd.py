"""The simulated Harvard pump, byte for byte, on a plunger that only remembers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.simulation.devices.harvard_phd import PhdPump


class Plunger:
    """Remembers the flow that was commanded, also what was announced for later."""

    def __init__(self):
        self.changes = {}

    def write(self, value, t):
        self.changes[t] = value

    def moved_ul(self, until):
        moments = [t for t in sorted(self.changes) if t < until]
        ends = [*moments[1:], until]
        return sum(self.changes[t] * (end - t) / 3600.0 for t, end in zip(moments, ends, strict=False))


class Pressure:
    def __init__(self, kpa):
        self.kpa = kpa

    def at(self, t):
        return self.kpa(t) if callable(self.kpa) else self.kpa


def pump(**settings):
    return PhdPump(Plunger(), **{"diameter_mm": 10.0, "poll": True, **settings})


def say(device, *commands, now=1.0):
    """Send commands; the reply to the last one."""
    for command in commands:
        device.write(command.encode() + b"\r", now)
        reply = device.read_ready(now + 0.05)
    return reply.decode()


def running(rate="irate 3600 ul/hr", target="tvolume 5 ul", run="irun", now=1.0, **settings):
    device = pump(**settings)
    say(device, rate, target, run, now=now)
    return device


# -- the wire


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("", "\n:"),
        ("ver", "\nPHD ULTRA I/W 3.0.7\r\n:"),
        ("version", "\nFirmware:      v3.0.7\r\nPump address:  0\r\nSerial number: D103792\r\n:"),
        ("vers", "\nFirmware:      v3.0.7\r\nPump address:  0\r\nSerial number: D103792\r\n:"),
        ("address", "\nPump address is 0\r\n:"),
        ("diameter", "\n10.0000 mm\r\n:"),
        ("DIAM 4.61", "\n:"),
        ("irate", "\n0 ml/min\r\n:"),
        ("irat 3.2 ul/min", "\n:"),
        ("irate 3.2 gal/min", "\nArgument error: 3.2 gal/min\r\n:"),
        ("irate lim", "\n14.1372 nl/min to 14.9854 ml/min\r\n:"),
        ("irate 20 ml/min", "\nArgument error: 20 ml/min\r\n   Out of range\r\n:"),
        ("tvolume", "\nTarget volume not set\r\n:"),
        ("tvolume 1.5 ml", "\n:"),
        ("ivolume", "\n0.0000 ul\r\n:"),
        ("force", "\n100%\r\n:"),
        ("force 0", "\nArgument error: 0\r\n   Out of range\r\n:"),
        ("crate", "\n:"),
        ("status", "\n0 0 0 i...I\r\n:"),
        ("stp", "\n:"),
        ("irun", "\nCommand error: rate not set\r\n:"),
        ("fred", "\nCommand error: fred\r\n:"),
        ("@ver", "\nPHD ULTRA I/W 3.0.7\r\n:"),
        ("poll maybe", "\nArgument error: maybe\r\n:"),
        ("nvram none", "\n:"),
        ("load qs iw", "\n:"),
        ("time 11/21/26 08:00:00", "\n11/21/26 08:00:00\r\n:"),
        ("dim 15", "\n:"),
    ],
)
def test_a_reply_begins_with_lf_and_ends_with_the_prompt_and_in_poll_mode_xon(command, reply):
    assert say(pump(), command) == reply + "\x11"
    assert say(pump(poll=False), command) == reply


def test_a_pump_of_a_chain_answers_to_its_address_alone_and_says_it():
    device = pump(address=12)
    assert say(device, "12:force") == "\n12:100%\r\n12:\x11"
    assert say(device, "12force") == "\n12:100%\r\n12:\x11"
    assert say(device, "force", "3:force") == ""


def test_echo_repeats_the_line():
    assert say(pump(), "echo on", "force") == "\nforce\r\n100%\r\n:\x11"


def test_the_status_of_the_manual():
    device = running("irate 1 ul/min", "tvolume 2 ul", now=0.0)
    assert say(device, "status", now=60.0) == "\n16666667 60 1000000000 i...I\r\n>\x11"
    assert say(device, "status", now=120.1) == "\n0 120 2000000000 i...I\r\nT*\x11"


# -- motion


def test_a_target_is_delivered_to_the_plunger_and_the_prompt_says_so():
    device = running()
    assert say(device, "status", now=3.0).endswith(">\x11")
    assert say(device, "", now=7.0) == "\nT*\x11"
    assert device.plunger.moved_ul(100.0) == pytest.approx(5.0)
    assert say(device, "ivolume", now=8.0) == "\n5.0000 ul\r\nT*\x11"


def test_the_target_counts_from_the_last_clearing():
    device = running()
    assert "target reached" in say(device, "irun", now=7.0)
    say(device, "civolume", "irun", now=8.0)
    device.advance(20.0)
    assert device.plunger.moved_ul(100.0) == pytest.approx(10.0)


def test_withdrawing_moves_the_other_way_and_has_its_own_count():
    device = running("wrate 3600 ul/hr", run="wrun")
    assert say(device, "status", now=3.0) == "\n1000000000 2 2000000000 w...W\r\n<\x11"
    assert say(device, "stp", now=3.0) == "\n:\x11"
    assert say(device, "wvolume", now=4.0) == "\n2.0000 ul\r\n:\x11"
    assert device.plunger.moved_ul(100.0) == pytest.approx(-2.0)


def test_a_running_pump_takes_no_other_rate():
    assert say(running(), "irate 1 ul/min", now=2.0) == "\nCommand error: pump is running\r\n>\x11"


@pytest.mark.parametrize(("force", "stops_s"), [(100, 3.0), (50, 1.5)])
def test_it_stalls_at_its_force_and_says_so_in_its_status(force, stops_s):
    # 1 N on 78.54 mm2 are 12.732 kPa
    device = pump(pressure=Pressure(lambda t: 12.732 * t / 3.0), force_limit_n=1.0)
    say(device, f"force {force}", "irate 3600 ul/hr", "irun", now=0.0)
    device.advance(10.0)
    assert device.plunger.moved_ul(100.0) == pytest.approx(stops_s, abs=0.11)
    assert say(device, "status", now=10.0).endswith("i.S.I\r\n*\x11")
    assert say(device, "stp", now=11.0) == "\n:\x11"


def test_out_of_poll_mode_it_says_by_itself_when_it_stops():
    device = running(poll=False)
    assert device.read_ready(5.9) == b""
    assert device.read_ready(6.1) == b"\nT*"


def test_a_restart_stops_the_motor_and_forgets_counts_and_target():
    device = running()
    device.reboot(3.0)
    assert device.plunger.moved_ul(100.0) == pytest.approx(2.0)
    assert say(device, "ivolume", now=7.0) == "\n0.0000 ul\r\n:\x11"
    assert say(device, "tvolume", now=8.0).startswith("\nTarget volume not set")


@given(rate=st.floats(5.0, 5000.0), target=st.floats(0.01, 500.0), stops=st.lists(st.floats(0.5, 300.0), max_size=4))
def test_however_often_it_is_stopped_the_count_is_what_the_plunger_moved(rate, target, stops):
    device, now = pump(), 1.0
    say(device, f"irate {rate:.4f} ul/hr", f"tvolume {target:.4f} ul")
    for stop_s in stops:
        say(device, "irun", now=now)
        now += stop_s
        say(device, "stp", now=now)
    assert device.moved_ul(1, now) == pytest.approx(device.plunger.moved_ul(now + 1.0), abs=1e-6)
    assert device.moved_ul(1, now) <= target + 1e-4
