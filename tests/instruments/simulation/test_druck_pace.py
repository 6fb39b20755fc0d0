"""The simulated pressure controller, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.simulation.devices.druck_pace import DruckPaceController
from instruments.simulation.pressure_controller import Course


class Line:
    """An actuator that remembers what it was told."""

    def __init__(self):
        self.told = []

    def write(self, value, t):
        self.told.append((round(t, 6), round(value, 6)))


class RampedLine(Line):
    def ramp(self, value, per_s, t):
        self.told.append((t, value, per_s))


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def make(line):
    def make(outlet=line, **settings):
        return DruckPaceController(outlet, **{"noise_kpa": 0.0, "unit": "KPA", **settings})

    return make


@pytest.fixture
def pace(make):
    return make()


def ask(device, message, now=0.0):
    """Send a message; the reply when it has had all the time it wants."""
    device.write(message.encode() + b"\n", now)
    return device.read_ready(now + 2.0).decode()


# -- the language


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ("*IDN?", "*IDN GE Druck,Pace5000 User Interface,3213201,02.00.07"),
        (":SENS:PRES?", ":SENS:PRES 0.0000000"),
        (":SENSe:PRESsure?", ":SENS:PRES 0.0000000"),
        (":sens?", ":SENS 0.0000000"),
        (":SENS1:PRES?", ":SENS1:PRES 0.0000000"),
        (":SENS:PRES:INL?", ":SENS:PRES:INL 0.0000000, 0"),
        (":SENS:PRES:RANG?", ':SENS:PRES:RANG "2.00barg"'),
        (":SOUR:PRES?", ":SOUR:PRES 0.0000000"),
        (":SOURce:PRESsure:LEVel:IMMediate:AMPLitude?", ":SOUR:PRES:LEV:IMM:AMPL 0.0000000"),
        (":SOUR:VENT?", ":SOUR:VENT 0"),
        (":SOUR:PRES:LEV:IMM:AMPL:VENT?", ":SOUR:PRES:LEV:IMM:AMPL:VENT 0"),
        (":SOUR:PRES:SLEW:MODE?", ":SOUR:PRES:SLEW:MODE MAX"),
        (":SOUR:PRES:INL:TIME?", ":SOUR:PRES:INL:TIME 2"),
        (":SOUR:PRES:EFF?", ":SOUR:PRES:EFF 0.0"),
        (":SOUR:PRES:COMP1?", ":SOUR:PRES:COMP1 300.0000000"),
        (":SOUR:PRES:COMP2?", ":SOUR:PRES:COMP2 0.0000000"),
        (":OUTP:STAT?", ":OUTP:STAT 0"),
        (":OUTP?", ":OUTP 0"),
        (":UNIT:PRES?", ":UNIT:PRES KPA"),
        (":UNIT1:PRES?", ":UNIT1:PRES KPA"),
        (":INST:SN1?", ":INST:SN1 3213201"),
        (":SYST:ERR?", ':SYST:ERR 0,"No error"'),
    ],
)
def test_a_reply_repeats_the_header_in_its_short_form(pace, query, reply):
    assert ask(pace, query) == reply + "\n"


def test_the_replies_of_one_message_are_joined_and_take_a_tenth_of_a_second_each(pace):
    pace.write(b":SENS:PRES?;:OUTP:STAT?;*STB?\n", 1.0)
    assert pace.read_ready(1.29) == b""
    assert pace.read_ready(1.3) == b":SENS:PRES 0.0000000;:OUTP:STAT 0;*STB 0\n"


def test_a_part_without_a_colon_goes_on_from_the_last_one(pace):
    assert (
        ask(pace, ":SOUR:PRES:SLEW:MODE LIN;OVER 1;MODE?;OVER?") == ":SOUR:PRES:SLEW:MODE LIN;:SOUR:PRES:SLEW:OVER 1\n"
    )


def test_what_is_sent_while_it_is_busy_waits(pace):
    for k in range(5):
        pace.write(b":OUTP:STAT?\n", 0.01 * k)
    assert pace.read_ready(0.45).count(b"\n") == 4
    assert pace.read_ready(0.5).count(b"\n") == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("FRED", -113), (":SENS:FLOW?", -113), (":SENS:PRES 5", -113), ("*CLS?", -113), (":SENS:PRES? 5", -108),
        (":SOUR:PRES", -109), (":SOUR:PRES five", -104), (":SOUR:PRES nan", -104), (":SOUR:PRES 5,6", -108),
        (":SOUR:PRES 200.1", -222), (":SOUR:PRES -102", -222), (":SOUR:PRES:SLEW 51", -222),
        (":SOUR:PRES:INL:TIME 1000", -222), (":UNIT:PRES FURLONG", -141), (":OUTP:STAT 2", -141),
        (":SOUR:PRES:RANG 2.00barg", -104), (':SOUR:PRES:RANG "9.00barg"', -151),
    ],
)  # fmt: skip
def test_what_it_cannot_take_changes_nothing_and_stands_in_the_queue_of_errors(pace, line, message, code):
    state = ":SOUR:PRES?;:UNIT:PRES?;:SENS:PRES:RANG?;:SOUR:PRES:SLEW?;:SOUR:PRES:INL:TIME?"
    before = ask(pace, state)
    ask(pace, message, 10.0)
    assert ask(pace, ":SYST:ERR?", 20.0).startswith(f":SYST:ERR {code},")
    assert ask(pace, ":SYST:ERR?", 30.0) == ':SYST:ERR 0,"No error"\n'
    assert ask(pace, state, 40.0) == before
    assert line.told == []


def test_an_unknown_query_is_a_blank_line_and_ends_its_message(pace):
    assert ask(pace, ":SENS:FLOW?;:OUTP:STAT 1") == "\n"
    assert ask(pace, ":OUTP:STAT?;:SENS:FLOW?;:UNIT:PRES?", 5.0) == ":OUTP:STAT 0\n"


def test_a_value_out_of_range_does_not_end_its_message(pace):
    assert (
        ask(pace, ":SOUR:PRES 900;:SOUR:PRES?;:SYST:ERR?")
        == ':SOUR:PRES 0.0000000;:SYST:ERR -222,"Data out of range"\n'
    )


def test_five_errors_are_kept_and_the_last_says_that_there_were_more(pace):
    for k in range(7):
        ask(pace, "FRED", 2.0 * k)
    errors = [ask(pace, ":SYST:ERR?", 20.0 + 2.0 * k) for k in range(6)]
    assert ["-113" in error for error in errors] == [True] * 4 + [False] * 2
    assert errors[4:] == [':SYST:ERR -350,"Queue overflow"\n', ':SYST:ERR 0,"No error"\n']


def test_the_status_byte_tells_a_new_error_once_and_cls_forgets(pace):
    ask(pace, "*SRE 255;FRED")
    assert ask(pace, "*STB?", 2.0) == "*STB 68\n"
    assert ask(pace, "*STB?", 4.0) == "*STB 0\n"
    assert ask(pace, "*ESR?", 6.0) == "*ESR 160\n"
    assert ask(pace, "*CLS;:SYST:ERR?", 8.0) == ':SYST:ERR 0,"No error"\n'


@pytest.mark.parametrize(
    ("unit", "text"), [("BAR", "0.5000000"), ("HPA", "500.0000000"), ("MPA", "0.0500000"), ("PSI", "7.2518869")]
)
def test_every_number_is_in_the_unit_that_is_set(pace, unit, text):
    ask(pace, ":SOUR:PRES 50")
    assert ask(pace, f":UNIT:PRES {unit};:SOUR:PRES?", 5.0) == f":SOUR:PRES {text}\n"


def test_a_range_of_absolute_pressure_shows_the_atmosphere_too(pace):
    assert ask(pace, ":SOUR:PRES:RANG '2.00bara';:SENS:PRES?") == ":SENS:PRES 101.3250000\n"


# -- the pressure


def pressures(device, *moments):
    return [float(ask(device, ":SENS:PRES?", t).split()[1]) for t in moments]


def test_it_follows_its_slew_to_the_set_point_and_stays_there_when_switched_off(pace):
    ask(pace, ":SOUR:PRES:SLEW:MODE LIN;:SOUR:PRES:SLEW 2;:SOUR:PRES 50;:OUTP:STAT 1")
    assert pressures(pace, 0.0, 5.0, 20.0, 25.0, 30.0) == [0.0, 10.0, 40.0, 50.0, 50.0]
    ask(pace, ":SOUR:PRES 20", 40.0)
    ask(pace, ":OUTP:STAT 0", 45.0)
    assert pressures(pace, 60.0) == [40.0]


def test_in_max_mode_it_goes_as_fast_as_it_can(make):
    pace = make(max_kpa_per_s=10.0)
    ask(pace, ":SOUR:PRES:SLEW 1;:SOUR:PRES 50;:OUTP:STAT 1")
    assert pressures(pace, 4.0) == [40.0]


def test_an_actuator_that_cannot_ramp_is_written_ten_times_a_second_until_it_is_there(pace, line):
    ask(pace, ":SOUR:PRES:SLEW:MODE LIN;:SOUR:PRES:SLEW 2;:SOUR:PRES 1;:OUTP:STAT 1")
    assert line.told == [(0.0, 0.0), (0.1, 0.2), (0.2, 0.4), (0.3, 0.6), (0.4, 0.8), (0.5, 1.0)]
    assert pace.next_event() is None


def test_an_actuator_that_can_ramp_is_told_once(make):
    line = RampedLine()
    pace = make(line)
    ask(pace, ":SOUR:PRES:SLEW:MODE LIN;:SOUR:PRES:SLEW 2;:SOUR:PRES 50;:OUTP:STAT 1")
    assert line.told == [(0.0, 50.0, 2.0)]
    assert pace.next_event() is None


def test_the_line_of_the_plant_follows_the_controller(make_plant):
    plant = make_plant(rate=None)
    pressure = plant.truth["back_pressure_kpa"]
    pace = DruckPaceController(plant.actuators["back_pressure_kpa"], noise_kpa=0.0, unit="KPA", vent_kpa_per_s=10.0)
    for t, message in (
        (1.0, ":SOUR:PRES:SLEW:MODE LIN;:SOUR:PRES:SLEW 2;:SOUR:PRES 20;:OUTP:STAT 1"),
        (6.0, ":SOUR:PRES:SLEW 1"), (8.0, ":OUTP:STAT 0"), (12.0, ":OUTP:STAT 1"), (30.0, ":OUTP:STAT 0;:SOUR:VENT 1"),
    ):  # fmt: skip
        ask(pace, message, t)
        for later in (0.5, 1.0, 1.5):
            assert pressure.at(t + later) == pytest.approx(
                pace._course.at(t + later), abs=1.6
            )  # one or two grid points later
    assert [pressure.at(t) for t in (29.0, 31.1, 60.0)] == [20.0, pytest.approx(9.0, abs=1.6), 0.0]


def test_it_is_within_limits_after_it_has_stayed_there(pace):
    ask(pace, ":SOUR:PRES:SLEW:MODE LIN;:SOUR:PRES:SLEW 2;:SOUR:PRES:INL 0.5;INL:TIME 3;:SOUR:PRES 50;:OUTP:STAT 1")
    replies = [ask(pace, ":SENS:PRES:INL?", t) for t in (24.0, 24.6, 27.4, 27.6, 60.0)]
    assert [reply.strip()[-1] for reply in replies] == ["0", "0", "0", "1", "1"]
    ask(pace, ":OUTP:STAT 0", 70.0)
    assert ask(pace, ":SENS:PRES:INL?", 80.0).endswith(", 0\n")


def test_a_vent_lets_the_pressure_out_and_says_how_far_it_is(make):
    pace = make(start_kpa=50.0, vent_kpa_per_s=10.0)
    states = [ask(pace, query, t).split()[-1] for query, t in (
        (":SOUR:VENT 1;VENT?", 0.0), (":SOUR:VENT?", 4.9), (":SOUR:VENT?", 5.1), (":OUTP:STAT?", 8.0),
        (":OUTP:STAT 1;:SOUR:VENT?", 10.0),
    )]  # fmt: skip
    assert states == ["1", "1", "2", "0", "0"]
    assert pressures(pace, 12.0) == [0.0]


def test_a_vent_ends_control(pace):
    ask(pace, ":SOUR:PRES 50;:OUTP:STAT 1")
    assert ask(pace, ":SOUR:VENT 1;:OUTP:STAT?", 5.0) == ":OUTP:STAT 0\n"
    assert pressures(pace, 20.0) == [0.0]


def test_a_set_point_of_an_absolute_range_is_absolute(pace):
    ask(pace, ":SOUR:PRES:RANG '2.00bara';:SOUR:PRES 151.325;:OUTP:STAT 1")
    assert ask(pace, ":SOUR:PRES:RANG '2.00barg';:SOUR:PRES?;:SENS:PRES?", 20.0) == (
        ":SOUR:PRES 50.0000000;:SENS:PRES 50.0000000\n"
    )


def test_a_vent_that_is_aborted_leaves_the_pressure_where_it_is(make):
    pace = make(start_kpa=50.0, vent_kpa_per_s=10.0)
    ask(pace, ":SOUR:VENT 1")
    assert ask(pace, ":SOUR:VENT 0;VENT?", 2.0) == ":SOUR:VENT 0\n"
    assert pressures(pace, 9.0) == [30.0]


def test_what_the_supply_does_not_give_is_not_reached_and_the_valve_is_open(make):
    pace = make(supply_kpa=120.0)
    ask(pace, ":SOUR:PRES 150;:OUTP:STAT 1")
    assert pressures(pace, 60.0) == [120.0]
    assert (
        ask(pace, ":SOUR:PRES:EFF?;:SENS:PRES:INL?", 70.0)
        == ":SOUR:PRES:EFF 100.0000000;:SENS:PRES:INL 120.0000000, 0\n"
    )


def test_a_restart_closes_the_line_and_forgets_what_was_set(pace, line):
    ask(pace, ":UNIT:PRES HPA;:SOUR:PRES:SLEW:MODE LIN;:SOUR:PRES:SLEW 20;:SOUR:PRES 500;:OUTP:STAT 1")
    pace.reboot(10.0)
    assert line.told[-1] == (10.0, 20.0)
    assert ask(pace, ":OUTP:STAT?", 14.9) == ""
    assert ask(pace, ":OUTP:STAT?;:UNIT:PRES?;:SOUR:PRES?;:SENS:PRES?", 20.0) == (
        ":OUTP:STAT 0;:UNIT:PRES KPA;:SOUR:PRES 0.0000000;:SENS:PRES 20.0000000\n"
    )


def test_a_reset_switches_it_off(pace):
    ask(pace, ":SOUR:PRES:SLEW:MODE LIN;:OUTP:STAT 1")
    assert ask(pace, "*RST;:OUTP:STAT?;:SOUR:PRES:SLEW:MODE?", 5.0) == ":OUTP:STAT 0;:SOUR:PRES:SLEW:MODE MAX\n"


def test_its_own_sensor_may_see_another_pressure_than_it_drives(make):
    class Sensor:
        def at(self, t):
            return 3.0 + t

    assert pressures(make(sensor=Sensor()), 1.0, 2.5) == [4.0, 5.5]


def test_a_frozen_controller_repeats_its_reading(pace):
    ask(pace, ":SOUR:PRES 50;:OUTP:STAT 1")
    first = pressures(pace, 0.5)
    pace.frozen = True
    assert pressures(pace, 50.0) == first


def test_a_saturated_controller_shows_more_than_its_range(pace):
    pace.saturated = True
    assert pressures(pace, 1.0) == [240.0]


def test_a_unit_that_it_does_not_know_is_refused(make):
    with pytest.raises(ValueError, match='unit "ATM" is unknown'):
        make(unit="ATM")


@given(
    start=st.floats(-100, 200),
    end=st.floats(-100, 200),
    rate=st.floats(0.01, 100),
    band=st.floats(0, 5),
    t=st.floats(0, 1e4),
)
def test_a_pressure_is_within_its_band_exactly_from_the_moment_that_is_told(start, end, rate, band, t):
    course = Course(10.0, start, end, rate)
    since = course.within_since(end, band)
    away = abs(course.at(t) - end) - band
    assert away <= 1e-6 if t >= since else away >= -1e-6 or t < course.start_s
    assert min(start, end) <= course.at(t) <= max(start, end)
