"""The driver of Julabo circulators in front of the simulated bath, on a good wire and on a bad one."""

import math
from functools import partial

import pytest
from pydantic import ValidationError

from data.samples import UNUSABLE, Quality
from instruments.capabilities import TemperatureBath
from instruments.drivers.julabo import JulaboSettings
from instruments.instrument import InstrumentError, InstrumentRefusal, InstrumentReplyError, load_driver
from instruments.simulation.devices.julabo import JulaboBath
from instruments.simulation.wire import LineDevice, SerialLine


class Warmth:
    """A temperature in degC as a function of time."""

    def __init__(self, degc):
        self.degc = degc if callable(degc) else lambda t: degc

    def at(self, t):
        return self.degc(t)


class Driven:
    """An actuator that remembers what it was driven with."""

    def __init__(self):
        self.values = []

    def write(self, value, t):
        self.values.append(value)


class Script(LineDevice):
    """Answers each question from a table, and swallows as many commands as it is told to."""

    line = SerialLine(4800, 7, "E", 1.0)

    def __init__(self, swallowed=0, **answers):
        super().__init__()
        self.answers = {"version": "JULABO FP50-HE VERSION 6.1", "status": "03 REMOTE START"} | answers
        self.swallowed = swallowed
        self.heard = []

    def on_line(self, line, now):
        if self.swallowed:
            self.swallowed -= 1
            return
        self.heard.append(line)
        if answer := self.answers.get(line):
            self.emit(answer.encode("latin-1") + (b"" if answer.endswith("\n") else b"\r\n"), now + 0.01)


@pytest.fixture
def bathe(connected):
    """Function that opens a driver in front of a bath."""
    return partial(connected, "julabo")


def creeping(t):
    """A temperature that is another one each second, so that an old reply cannot pass for a new one."""
    return 37.0 + 0.01 * (math.floor(t + 1e-6) % 50)


# -- readings


def test_a_circulator_tells_what_it_is_and_no_serial_number(bathe):
    identity = bathe(JulaboBath(Warmth(37.0))).identify()
    assert (identity.maker, identity.model, identity.serial, identity.firmware) == (
        "Julabo",
        "HIGHTECH FL HL/SL",
        "",
        "4.0",
    )


def test_the_driver_is_found_and_is_a_temperature_bath(bathe):
    assert load_driver("julabo").settings_type is JulaboSettings
    bath = bathe(JulaboBath(Warmth(37.0)))
    assert isinstance(bath, TemperatureBath)
    assert [(channel.name, channel.unit) for channel in bath.channels] == [("temperature", "degC"), ("status", "1")]


def test_a_reading_is_temperature_and_status(bathe):
    bath = bathe(JulaboBath(Warmth(lambda t: 37.0 + 0.001 * t)))
    bath.clock.sleep_until(100.0)
    reading = bath.sample()
    assert reading.values == (pytest.approx(37.1, abs=0.006), 3.0)
    assert reading.quality == (0, 0)
    assert 100.0 < reading.t < 100.2


@pytest.mark.parametrize("reply", ["37.05", "37.05\n", "37.050", "-4.20", "37"])
def test_a_temperature_is_read_with_its_sign_and_digits(bathe, reply):
    assert bathe(Script(in_pv_00=reply)).sample().values[0] == float(reply)


@pytest.mark.parametrize(
    "reply", ["37,05", "+37.05", "37.05 C", "nan", "1e2", "-9999", "03 REMOTE START", "3_7.0", "37.0µ", "", "----"]
)
def test_nothing_but_a_number_is_a_temperature(bathe, reply):
    bath = bathe(Script(in_pv_00=reply))
    with pytest.raises(InstrumentError):
        bath.sample()


def test_two_different_replies_to_one_question_are_none(bathe):
    bath = bathe(Script(in_pv_00="37.00\r\n37.50"))
    with pytest.raises(InstrumentReplyError, match="more than one reply"):
        bath.sample()


def test_a_reply_that_came_twice_is_one(bathe):
    assert bathe(Script(in_pv_00="37.00\r\n37.00")).sample().values[0] == 37.0


def test_a_temperature_that_jumps_is_asked_again(bathe):
    device = Script(in_pv_00="37.00")
    bath = bathe(device)
    bath.sample()
    device.answers["in_pv_00"] = "87.00"
    device.heard.clear()
    bath.sample()
    assert device.heard.count("in_pv_00") >= 2


def test_a_broken_sensor_is_flagged_by_its_alarm(bathe):
    bath = bathe(Script(status="-05 WORKING SENSOR ALARM", in_pv_00="12.00"))
    reading = bath.sample()
    assert (reading.values[1], reading.quality[0]) == (-5.0, Quality.DEVICE_ERROR)


def test_an_alarm_goes_into_the_log_when_it_comes_and_when_it_goes(bathe):
    device = Script(in_pv_00="37.00")
    bath = bathe(device)
    for status in ("-01 LOW LEVEL ALARM", "-01 LOW LEVEL ALARM", "03 REMOTE START", "-10 VALUE TOO SMALL"):
        device.answers["status"] = status
        bath.sample()
    assert [(note.level, note.text) for note in bath.take_notes()] == [
        ("error", 'bath "it" reports -01 LOW LEVEL ALARM'),
        ("info", 'bath "it" reports no alarm any more'),
    ]


def test_a_circulator_that_swallows_the_first_command_is_opened_all_the_same(bathe):
    bathe(Script(swallowed=1))


def test_a_wrong_parity_is_garbage(wired):
    device = JulaboBath(Warmth(37.0))
    device.line = SerialLine(9600, 8, "N", 1.0)
    with pytest.raises(InstrumentError):
        wired("julabo", device).open()


# -- orders


def test_a_set_point_is_ordered_and_read_back(bathe):
    setpoint = Driven()
    bath = bathe(JulaboBath(Warmth(37.0), setpoint=setpoint))
    begun = bath.clock.now()
    confirmation = bath.set_temperature(38.5)
    assert (confirmation.command, confirmation.reply) == ("out_sp_00 38.50", "38.50")
    assert begun <= confirmation.issued_s < confirmation.confirmed_s < begun + 0.5
    assert setpoint.values == [38.5]
    assert bath.bath_state().setpoint_degc == 38.5


def test_a_bath_is_switched_off_and_on(bathe):
    power = Driven()
    bath = bathe(JulaboBath(Warmth(37.0), power=power))
    assert bath.switch(on=False).reply == "0"
    assert bath.bath_state().on is False
    bath.switch(on=True)
    assert bath.bath_state().on is True
    assert power.values == [0.0, 1.0]


def test_orders_and_questions_keep_the_distance_that_the_circulator_asks_for(bathe):
    bath = bathe(JulaboBath(Warmth(37.0)))
    for degc in (36.0, 37.0, 38.0):
        bath.set_temperature(degc)
        bath.switch(on=True)
        assert bath.sample().values[0] == 37.0
    assert bath.take_notes() == []


@pytest.mark.parametrize("degc", [9.99, 45.01, math.nan])
def test_a_set_point_outside_what_the_station_allows_is_never_sent(bathe, degc):
    device = Script()
    bath = bathe(device)
    device.heard.clear()
    with pytest.raises(InstrumentRefusal, match=r"outside what the station allows \(10 to 45 degC\)"):
        bath.set_temperature(degc)
    assert device.heard == []


def test_a_set_point_that_the_circulator_refuses_is_told_with_its_reason_and_forgotten(bathe):
    device = JulaboBath(Warmth(37.0), range_degc=(20.0, 40.0))
    bath = bathe(device)
    with pytest.raises(InstrumentRefusal, match=r"37\.00 degC where 42\.00 degC was sent: it says -11 VALUE TOO LARGE"):
        bath.set_temperature(42.0)
    device.unplug(bath.clock.now(), 1.0)
    bath.clock.sleep(5.0)
    with pytest.raises(InstrumentError):
        bath.sample()
    bath.clock.sleep(5.0)
    assert bath.sample().values[0] == 37.0
    assert bath.bath_state().setpoint_degc == 37.0
    assert bath.take_notes() == []


def test_a_circulator_operated_by_hand_takes_no_orders(bathe):
    bath = bathe(JulaboBath(Warmth(37.0), remote=False))
    with pytest.raises(InstrumentRefusal, match=r"NOT ALLOWED.*switch it to remote control"):
        bath.switch(on=False)
    assert bath.sample().values[0] == 37.0


# -- safety


def test_going_safe_leaves_the_pump_at_its_temperature_and_says_so(bathe):
    power = Driven()
    bath = bathe(JulaboBath(Warmth(37.0), power=power))
    assert bath.make_safe() == (
        "the bath was left running at its set point of 37.00 degC, so that the pump under test keeps its temperature"
    )
    assert power.values == []


def test_going_safe_switches_the_bath_off_where_the_station_says_so(bathe):
    power = Driven()
    bath = bathe(JulaboBath(Warmth(37.0), power=power), safe="off")
    assert bath.make_safe() == "the bath is off, read back"
    assert power.values == [0.0]


def test_an_alarm_is_part_of_what_is_said_of_the_safe_state(bathe):
    bath = bathe(JulaboBath(Warmth(37.0), low_level=Warmth(1.0)))
    assert bath.make_safe().startswith("the bath was left off, as it was")
    assert "-01 LOW LEVEL ALARM" in bath.make_safe()


@pytest.mark.parametrize(
    ("device", "problems"),
    [
        ({}, []),
        ({"remote": False}, ["it is operated by its keypad; switch it to remote control"]),
        ({"low_level": Warmth(1.0)}, ["it reports -01 LOW LEVEL ALARM"]),
        ({"setpoint_degc": 60.0}, ["its set point is 60.00 degC, outside what the station allows (10 to 45 degC); "
                                   "change one of them"]),
        ({"warnings_degc": (5.0, 30.0)}, ["it reports -03 EXCESS TEMPERATURE WARNING"]),
    ],
)  # fmt: skip
def test_what_keeps_a_bath_from_a_run_is_said(bathe, device, problems):
    assert bathe(JulaboBath(Warmth(37.0), **device)).probe() == problems


# -- what was ordered stands


def test_a_bath_that_lost_its_power_is_brought_back_to_where_it_was_and_the_log_says_so(bathe):
    setpoint, power = Driven(), Driven()
    device = JulaboBath(Warmth(37.0), setpoint=setpoint, power=power)
    bath = bathe(device)
    bath.set_temperature(38.0)
    bath.switch(on=True)
    device.reboot(bath.clock.now())
    with pytest.raises(InstrumentError):
        bath.sample()
    bath.clock.sleep(5.0)
    bath.sample()
    assert bath.bath_state().setpoint_degc == 38.0
    assert (setpoint.values[-1], power.values[-1]) == (38.0, 1.0)
    notes = " ".join(note.text for note in bath.take_notes())
    assert "had lost its set point; 38.00 degC is set again" in notes
    assert "was found off; it is switched back" in notes


def test_a_bath_that_was_never_ordered_anything_is_left_alone(bathe):
    device = JulaboBath(Warmth(37.0))
    bath = bathe(device)
    device.reboot(bath.clock.now())
    bath.clock.sleep(5.0)
    bath.sample()
    assert bath.bath_state().on is False
    assert bath.take_notes() == []


def test_a_bath_that_shut_itself_off_is_not_switched_on_again(bathe):
    level = Warmth(0.0)
    device = JulaboBath(Warmth(37.0), low_level=level)
    bath = bathe(device)
    bath.switch(on=True)
    level.degc = lambda t: 1.0
    device.unplug(bath.clock.now(), 1.0)
    for _ in range(5):
        bath.clock.sleep(10.0)
        try:
            reading = bath.sample()
        except InstrumentError:
            continue
    assert (reading.values[1], device.on) == (-1.0, False)
    assert [note.text for note in bath.take_notes()] == ['bath "it" reports -01 LOW LEVEL ALARM']


def test_a_bath_that_will_not_take_its_orders_back_still_gives_its_temperature(bathe):
    device = JulaboBath(Warmth(37.0))
    bath = bathe(device)
    bath.switch(on=True)
    device.reboot(bath.clock.now())
    device.remote = False
    with pytest.raises(InstrumentError):
        bath.sample()
    bath.clock.sleep(5.0)
    assert bath.sample().values[0] == 37.0
    assert "switch it to remote control; what was ordered before is not restored" in bath.take_notes()[0].text


def test_an_order_whose_confirmation_was_lost_is_carried_out(bathe, damaged):
    device = JulaboBath(Warmth(37.0))
    bath = bathe(device)
    damaged(device, drop=1.0)
    with pytest.raises(InstrumentError):
        bath.switch(on=False)
    device.misbehaviour = None
    bath.clock.sleep(1.0)
    bath.sample()
    assert device.on is False


# -- a bad wire


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_wire_does_a_reading_is_the_temperature_at_its_moment(bathe, damaged, seed):
    device = JulaboBath(Warmth(creeping), setpoint_degc=30.0)
    bath = bathe(device)
    bath.set_temperature(37.0)
    struck = damaged(
        device, seed, drop=0.04, late=0.04, truncate=0.04, garble=0.04, duplicate=0.04, unsolicited=0.02, lf_only=0.04,
        unplug=0.003, reboot=0.003,
    ).struck  # fmt: skip
    read = 0
    for k in range(600):
        bath.clock.sleep_until(10.0 + 5.0 * k)
        start = bath.clock.now()
        try:
            reading = bath.sample()
        except InstrumentError:
            continue
        finally:
            assert bath.clock.now() - start <= 3.0 + 1e-3  # a port waits in whole milliseconds
        if not reading.quality[0] & int(UNUSABLE):
            read += 1
            assert reading.values[0] == pytest.approx(creeping(reading.t), abs=0.006)
    assert read > 300
    assert min(count for kind, count in struck.items() if kind not in ("flip", "freeze")) >= 2


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_wire_does_an_order_that_is_confirmed_was_carried_out(bathe, damaged, seed):
    device = JulaboBath(Warmth(37.0))
    bath = bathe(device)
    damaged(device, seed, drop=0.1, late=0.1, garble=0.1, duplicate=0.1, unplug=0.01, reboot=0.01)
    confirmed = 0
    for k in range(150):
        bath.clock.sleep(3.0)
        degc = 30.0 + 0.1 * (k % 100)
        try:
            bath.set_temperature(degc)
        except InstrumentError:
            continue
        confirmed += 1
        assert device.setpoint_degc == pytest.approx(degc)
    assert confirmed > 50


# -- settings


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"serial": "1"}, "does not tell its serial number"),
        ({"low": "50 degC"}, "is not below high"),
        ({"safe": "cold"}, "'keep' or 'off'"),
        ({"high": 45}, "write a temperature as text with its unit"),
        ({"timeout": "0.2 s"}, "greater than 0.25"),
    ],
)
def test_wrong_settings_are_told_what_to_write(table, sentence):
    with pytest.raises(ValidationError, match=sentence):
        JulaboSettings.model_validate({"resource": "ASRL1::INSTR"} | table)
