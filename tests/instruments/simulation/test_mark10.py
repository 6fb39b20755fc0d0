"""The simulated force gauge, byte for byte, on a force that follows a formula."""

import numpy as np
import pytest

from instruments.clock import VirtualClock
from instruments.simulation.devices.mark10 import DEVICE, ForceGauge
from instruments.simulation.rig import Rig


class Force:
    """A force in N as a function of time."""

    def __init__(self, newtons):
        self.newtons = newtons if callable(newtons) else lambda t: np.full_like(t, newtons)

    def at(self, t):
        return float(self.newtons(np.array([t]))[0])

    def samples(self, t0, dt, first, n):
        return self.newtons(t0 + (first + np.arange(n)) * dt)


def ask(gauge, text, now):
    gauge.write(text.encode() + b"\r", now)
    return gauge.read_ready(now + 0.1).decode()


@pytest.fixture
def gauge_at():
    """Function that makes a gauge with a force, in newtons."""

    def gauge_at(newtons, **options):
        return ForceGauge(Force(newtons), **{"unit": "N", **options})

    return gauge_at


def test_the_settings_are_listed_as_the_manual_shows_them(gauge_at):
    gauge = gauge_at(0.0, unit="LBF")
    assert ask(gauge, "LIST", 1.0) == "V1.00;LBF;CUR;FLTC8;FLTP1;AOUT00;AOFF5;FULL;MIT;POL;B0\r\n"
    assert ask(gauge_at(0.0, series=7), "LIST", 1.0).endswith(";POL;IPOL0;OPOL0;B0\r\n")


@pytest.mark.parametrize(
    ("unit", "newtons", "reply"),
    [
        ("N", 4.285, "4.29 N"), ("LBF", -18.78 * 4.4482216152605, "-18.780 lbF"), ("N", -0.001, "0.00 N"),
        ("MN", 1.0, "1000 mN"), ("KG", 9.80665, "1.000 kgF"), ("OZ", 4.4482216152605, "16.00 ozF"),
        ("GF", 9.80665, "1000 gF"), ("KN", 12.0, "0.01200 kN"),
    ],
)  # fmt: skip
def test_a_reading_is_in_whole_digits_of_its_unit_and_compression_is_positive(gauge_at, unit, newtons, reply):
    gauge = gauge_at(newtons, capacity_n=100.0)
    assert ask(gauge, unit, 0.5) == ""
    assert ask(gauge, "?C", 1.0) == reply + "\r\n"


def test_a_reply_takes_its_time(gauge_at):
    gauge = gauge_at(1.0)
    gauge.write(b"?C\r\n", 1.0)
    assert gauge.read_ready(1.0039) == b""
    assert gauge.read_ready(1.0041) == b"1.00 N\r\n"


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("HELLO", "*10"), ("?X", "*10"), ("zero", "*10"), ("", ""), ("?A", "*11"), ("?ET", "*11"), ("MEM", "*11"),
        ("AOUT3", "*12"), ("AOUT", "*12"), ("AOFF-1", "*12"), ("AOUT500", "*22"), ("AOFF31", "*22"), ("FLTP11", "*22"),
        ("IPOL1", "*10"), ("AOFF0", ""), ("FLTC0", ""), ("FULL", ""), ("Z", ""), ("CLR", ""), ("RS", "3912345"),
        ("RM", "M5-10"), ("RV", "1.00"),
    ],
)  # fmt: skip
def test_a_setting_that_is_accepted_gets_no_reply_and_any_other_its_error(gauge_at, command, reply):
    assert ask(gauge_at(0.0), command, 1.0) == (reply + "\r\n" if reply else "")


def test_series_4_knows_only_the_displayed_reading(gauge_at):
    gauge = gauge_at(2.5, series=4)
    assert ask(gauge, "?", 1.0) == "2.50 N\r\n"
    for command in ("?C", "LIST", "Z", "N", "RS"):
        assert ask(gauge, command, 2.0) == "*10\r\n"


def test_the_load_is_zeroed_and_the_zero_is_lost_with_the_power(gauge_at):
    gauge = gauge_at(2.5)
    ask(gauge, "Z", 1.0)
    assert ask(gauge, "?C", 2.0) == "0.00 N\r\n"
    gauge.reboot(3.0)
    assert ask(gauge, "?C", 5.0) == ""
    assert ask(gauge, "?C", 7.0) == "2.50 N\r\n"


def test_settings_come_back_with_the_power_only_when_they_were_saved(gauge_at):
    gauge = gauge_at(0.0)
    for command in ("AOFF0", "SAVE", "KG", "NUM"):
        ask(gauge, command, 1.0)
    gauge.reboot(2.0)
    assert ask(gauge, "LIST", 6.0) == "V1.00;N;CUR;FLTC8;FLTP1;AOUT00;AOFF0;FULL;MIT;POL;B0\r\n"


@pytest.mark.parametrize("newtons", [55.1, -55.1])
def test_beyond_its_capacity_it_shows_no_value(gauge_at, newtons):
    assert ask(gauge_at(newtons, capacity_n=50.0), "?C", 1.0) == "OVER\r\n"
    assert ask(gauge_at(0.998 * newtons, capacity_n=50.0), "?C", 1.0).endswith(" N\r\n")
    gauge = gauge_at(0.0)
    gauge.saturated = True
    assert ask(gauge, "?C", 1.0) == "OVER\r\n"


def test_peaks_are_those_between_questions_since_they_were_cleared(gauge_at):
    gauge = gauge_at(lambda t: np.where(np.abs(t - 2.0) < 0.003, 7.0, np.where(np.abs(t - 3.0) < 0.003, -4.0, 1.0)))
    ask(gauge, "CLR", 1.0)
    assert (ask(gauge, "?PT", 1.5), ask(gauge, "?PC", 1.5)) == ("0.00 N\r\n", "1.00 N\r\n")
    assert (ask(gauge, "?PT", 60.0), ask(gauge, "?PC", 60.0)) == ("-4.00 N\r\n", "7.00 N\r\n")
    ask(gauge, "Z", 61.0)
    assert (ask(gauge, "?PT", 62.0), ask(gauge, "?PC", 62.0)) == ("0.00 N\r\n", "0.00 N\r\n")


def test_the_displayed_reading_follows_the_mode(gauge_at):
    gauge = gauge_at(lambda t: np.where(t < 1.0, 5.0, 1.0))
    assert ask(gauge, "?", 2.0) == "1.00 N\r\n"
    ask(gauge, "PC", 2.0)
    assert ask(gauge, "?", 3.0) == "5.00 N\r\n"
    ask(gauge, "PT", 3.0)
    assert ask(gauge, "?", 4.0) == "0.00 N\r\n"


def test_a_filter_averages_conversions(gauge_at):
    gauge = gauge_at(lambda t: 10.0 * t, conversions_per_s=1000)
    ask(gauge, "FLTP0", 1.0)
    assert ask(gauge, "?C", 2.0) == "20.00 N\r\n"
    ask(gauge, "FLTP10", 2.0)
    assert ask(gauge, "?C", 3.0) == "24.89 N\r\n"  # mean of the last 1.023 s


def test_the_signs_of_series_7_can_be_turned_and_dropped(gauge_at):
    gauge = gauge_at(-3.0, series=7)
    ask(gauge, "OPOL1", 1.0)
    assert ask(gauge, "?C", 1.0) == "3.00 N\r\n"
    ask(gauge, "OPOL0", 2.0)
    ask(gauge, "IPOL1", 2.0)
    assert ask(gauge, "?C", 2.0) == "3.00 N\r\n"


def test_numbers_alone_have_no_unit(gauge_at):
    gauge = gauge_at(3.0)
    ask(gauge, "NUM", 1.0)
    assert ask(gauge, "?C", 1.0) == "3.00\r\n"


def test_automatic_output_is_so_many_readings_a_second_at_their_moments(gauge_at):
    gauge = gauge_at(lambda t: np.floor(t * 10.0 + 1e-6) / 10.0)
    ask(gauge, "FLTC0", 1.0)
    gauge.write(b"AOUT10\r", 1.0)
    assert gauge.next_output_time() == pytest.approx(1.1)
    lines = gauge.read_ready(2.05).decode().splitlines()
    assert lines == [f"{k / 10.0:.2f} N" for k in range(11, 21)]
    ask(gauge, "AOUT0", 2.1)
    assert gauge.next_event() is None


def test_a_frozen_reading_repeats_itself(gauge_at):
    gauge = gauge_at(lambda t: t)
    before = ask(gauge, "?C", 1.0)
    gauge.frozen = True
    assert ask(gauge, "?C", 2.0) == before
    gauge.frozen = False
    assert ask(gauge, "?C", 3.0) != before


@pytest.mark.parametrize(("options", "problem"), [({"series": 6}, "no series 6"), ({"unit": "LB"}, "unit LB is none")])
def test_a_gauge_that_does_not_exist_is_refused(gauge_at, options, problem):
    with pytest.raises(ValueError, match=problem):
        gauge_at(0.0, **options)


def test_the_rig_makes_one_from_a_station_s_table():
    table = {"device": "mark10", "force": "stage_force_n", "capacity_n": 25.0}
    rig = Rig({"visa": {"ASRL1::INSTR": table}}, VirtualClock(), seed=1)
    (device,) = rig.devices.values()
    rig.close()
    assert isinstance(device, DEVICE)
    assert device.force is rig.plant.signals["stage_force_n"]
