"""The driver of balances with the SBI protocol: readings, tare, lost zero, a bad wire."""

import math
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.samples import Quality
from instruments.capabilities import Tareable
from instruments.drivers.sartorius_sbi import SbiBalance
from instruments.instrument import (
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    load_driver,
)
from instruments.simulation.devices.sartorius_sbi import SartoriusBalance
from instruments.simulation.wire import ByteDevice, SerialLine

GOOD = b"N     +  12.34560 g  \r\n"


class Load:
    """A load in mg that a test sets, or a function of time."""

    def __init__(self, mg=12_345.6):
        self.mg = mg

    def at(self, t):
        return self.mg(t) if callable(self.mg) else self.mg


class Script(ByteDevice):
    """Answers each request for printing with what a test sets."""

    line = SerialLine(9600, 8, "O")

    def __init__(self, reply=GOOD[:5] + b" +  12.3456 g  \r\n"):
        super().__init__()
        self.reply = reply
        self.texts = {b"\x1bx1_": b"MSA", b"\x1bx2_": b"4711", b"\x1bx3_": b"00-1"}

    def on_bytes(self, data, now):
        text = self.texts.get(data.strip(b"\r\n"))
        self.emit(self.reply if text is None else text + b"\r\n", now + 0.01)


@pytest.fixture
def opened(connected):
    """Function that opens a driver in front of a device."""
    return partial(connected, "sartorius-sbi")


def balance(mg=12_345.6, **settings):
    return SartoriusBalance(Load(mg), **settings)


def attempts(driver, count, every_s=1.0):
    """Readings, None where there was none."""
    readings = []
    for _ in range(count):
        driver.clock.sleep(every_s)
        try:
            readings.append(driver.sample())
        except InstrumentError:
            readings.append(None)
    return readings


# -- readings


def test_it_says_who_it_is_can_be_tared_and_drives_nothing(opened):
    driver = opened(balance())
    identity = driver.identify()
    assert (identity.maker, identity.model) == ("Sartorius", "MSA225S")
    assert (identity.serial, identity.firmware) == ("0021305679", "00-37-12")
    assert load_driver("sartorius-sbi") is SbiBalance
    assert isinstance(driver, Tareable)
    assert (driver.make_safe(), driver.probe()) == ("a balance drives nothing", [])


LINES = [
    ({}, {}),
    ({"characters": 16, "parity": "N"}, {"parity": "none"}),
    ({"baud": 1200, "data_bits": 7, "characters": 16}, {"baud": 1200, "data_bits": 7}),
]


@pytest.mark.parametrize(("device", "settings"), LINES)
def test_it_is_read_on_every_line_in_both_forms(opened, device, settings):
    assert opened(balance(**device), **settings).sample().values == (12_345.6, 83.0)


@given(mg=st.floats(-2000.0, 219_000.0), unit=st.sampled_from(["g", "mg", "kg"]))
def test_a_weight_is_read_to_its_last_digit_in_every_unit(wired, mg, unit):
    driver = wired("sartorius-sbi", balance(mg, unit=unit, readability_mg=0.1), unit=unit)
    driver.open()
    assert driver.sample().values[0] == pytest.approx(mg, abs=0.05 + 1e-9)


def test_a_reading_without_a_unit_is_one_that_moves(opened):
    reading = opened(balance(lambda t: 1000.0 + 10.0 * t)).sample()
    assert (reading.values[1], reading.quality[0]) == (68.0, Quality.UNSTABLE)
    assert reading.values[0] == pytest.approx(1000.0 + 10.0 * reading.t, abs=1.01)


@pytest.mark.parametrize(
    ("columns", "code", "quality"),
    [
        (b"      H       ", "H", Quality.OVERLOAD),
        (b"      HH      ", "H", Quality.OVERLOAD),
        (b"   L          ", "L", Quality.UNDERLOAD),
        (b"      C       ", "C", Quality.DISTURBED),
        (b"   Err  54    ", "E", Quality.DEVICE_ERROR),
    ],
)
@pytest.mark.parametrize("identification", [b"", b"Stat  "])
def test_a_state_in_the_place_of_a_weight_is_flagged_and_has_no_value(opened, identification, columns, code, quality):
    device = Script()
    driver = opened(device)
    device.reply = identification + columns + b"\r\n"
    reading = driver.sample()
    assert math.isnan(reading.values[0])
    assert (reading.values[1], reading.quality[0]) == (float(ord(code)), quality)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"N     +  12.3456 mg \r\n", "shows mg where g is expected"),
        (b"G#    +  12.3456 g  \r\n", 'prints "G#" where the net weight'),
        (b"N     +  12.34_6 g  \r\n", "is no reading"),
        (b"N     + 12.3456  g  \r\n", "is no reading"),
        (b"N     +  12.3456 g \r\n", "neither 16 nor 22"),
        (b"N     +      nan g  \r\n", "is no reading"),
        (b"+  12.3456 g  \r\n+  12.3457 g  \r\n", "more than one reply"),
        (b"Stat       OFF      \r\n", "switched off at its keypad"),
    ],
)
def test_nothing_else_is_a_weight(opened, reply, why):
    device = Script()
    driver = opened(device)
    device.reply = reply
    with pytest.raises(InstrumentReplyError, match=why):
        driver.sample()


# -- tare


def test_a_tare_waits_until_the_load_is_still_and_shows_zero(opened):
    device = balance(lambda t: 1000.0 * min(t, 8.0))
    driver = opened(device)
    driver.tare()
    assert 9.0 < driver.clock.now() < 12.0
    assert driver.sample().values == (0.0, 83.0)


def test_a_tare_under_a_slow_flow_is_one(opened):
    driver = opened(balance(lambda t: 5000.0 + 0.28 * t, stable_digits=50.0))
    driver.tare()
    assert driver.sample().values[0] == pytest.approx(0.0, abs=1.0)


def test_a_load_that_never_rests_is_not_tared(opened):
    device = balance(lambda t: 1000.0 * math.sin(t))
    with pytest.raises(InstrumentRefusal, match="was not stable within 5 s"):
        opened(device, stability_timeout="5 s").tare()
    assert device.zero_mg == 0.0


def test_after_a_tare_that_nobody_saw_readings_are_flagged_until_one_succeeds(opened):
    device = Script()
    driver = opened(device, stability_timeout="2 s")
    with pytest.raises(InstrumentRefusal, match="did not show zero"):
        driver.tare()
    assert driver.sample().quality[0] == Quality.DISTURBED
    assert driver.probe() == ["its zero is lost; tare it"]
    device.reply = b"+   0.0000 g  \r\n"
    driver.tare()
    assert driver.sample().quality[0] == 0


# -- a zero that is lost


def test_a_restart_under_load_is_noticed_and_flagged_until_the_next_tare(opened):
    device = balance()
    driver = opened(device)
    driver.sample()
    device.reboot(driver.clock.now())
    readings = attempts(driver, 15)
    assert None in readings
    assert {reading.quality[0] for reading in readings if reading} == {Quality.DISTURBED}
    (note,) = driver.take_notes()
    assert "12345.6 mg less than before it was out of reach" in note.text
    driver.tare()
    assert driver.sample().quality[0] == 0


def test_an_outage_in_which_the_weight_grew_flags_nothing(opened):
    device = balance(lambda t: 5000.0 + 0.1 * t)
    driver = opened(device)
    driver.sample()
    device.unplug(driver.clock.now(), 20.0)
    readings = attempts(driver, 60)
    assert None in readings
    assert not any(reading.quality[0] & Quality.DISTURBED for reading in readings if reading)


def test_a_vessel_that_is_taken_away_in_sight_of_the_bench_flags_nothing(opened):
    device = balance()
    driver = opened(device)
    driver.sample()
    device.signal.mg = 100.0
    assert [reading.quality[0] for reading in attempts(driver, 3)][1:] == [0, 0]


def test_another_balance_in_its_place_is_refused(opened):
    device = balance()
    driver = opened(device)
    device.serial = "4711"
    device.unplug(driver.clock.now(), 0.1)
    attempts(driver, 1)
    driver.clock.sleep(10.0)
    with pytest.raises(InstrumentDisconnected, match='serial number "4711" answers'):
        driver.sample()


# -- readiness


@pytest.mark.parametrize(
    ("device", "settings", "problem"),
    [
        ({"readability_mg": 1.0}, {}, 'write max_step = "10 mg" or more'),
        ({"mg": 230e3}, {}, "out of range"),
        ({"mg": lambda t: 100.0 * t}, {}, "not stable, so it does not tell its unit"),
    ],
)
def test_what_keeps_a_balance_from_a_run_is_said(opened, device, settings, problem):
    problems = opened(balance(**device), **settings).probe()
    assert any(problem in said for said in problems)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_wire_does_a_reading_is_the_weight_at_its_moment(opened, damaged, seed):
    device = balance(lambda t: 5000.0 + 0.5 * int(t))
    driver = opened(device)
    struck = damaged(
        device, seed, drop=0.04, late=0.04, truncate=0.04, garble=0.04, duplicate=0.04, unsolicited=0.04, unplug=0.003
    ).struck
    read = 0
    for k in range(400):
        driver.clock.sleep_until(10.0 + 5.3 * k)
        try:
            reading = driver.sample()
        except InstrumentError:
            continue
        finally:
            assert driver.clock.now() - (10.0 + 5.3 * k) <= 3 * 0.6 + 2e-3
        read += 1
        assert reading.values[0] == pytest.approx(device.signal.at(int(reading.t * 10 + 1e-6) / 10), abs=1e-6)
    assert read > 250
    assert min(struck.values()) >= 1
