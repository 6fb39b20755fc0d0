"""The hygrometer driver in front of the simulated transmitter, on a good wire and on a bad one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.samples import Quality
from instruments.drivers.vaisala_hmt import VaisalaSettings
from instruments.instrument import InstrumentDisconnected, InstrumentError, InstrumentReplyError, load_driver
from instruments.simulation.devices.vaisala_hmt import VaisalaTransmitter
from instruments.simulation.wire import LineDevice, SerialLine


class Value:
    """A quantity as a function of time."""

    def __init__(self, value):
        self.value = value if callable(value) else lambda t: value

    def at(self, t):
        return self.value(t)


class Script(LineDevice):
    """Answers SEND with a line and everything else with OK or a version."""

    line = SerialLine(4800, 7, "E", 1.0)

    def __init__(self, send):
        super().__init__()
        self.send = send

    def on_line(self, line, now):
        reply = self.send if line == "SEND" else b"HMT330 / 5.16\r\n" if line == "VERS" else b"OK\r\n"
        self.emit(reply, now + 0.01)


def message(text, total=None):
    """A line with the checksum that belongs to it."""
    body = text.encode("latin-1") + b" CS="
    return body + b"%04X\r\n" % ((sum(body) if total is None else total) & 0xFFFF)


GOOD = "SN=K1 RH=  33.21%RH  T=  22.15'C  E=0000 S=N 0     "


@pytest.fixture
def hygrometer(wired):
    """Function that opens a driver in front of a transmitter."""

    def open_one(device, **settings):
        driver = wired("vaisala-hmt", device, **settings)
        driver.open()
        return driver

    return open_one


def room(humidity=40.0, degc=22.0, **settings):
    return VaisalaTransmitter(Value(humidity), Value(degc), **settings)


# -- readings


def test_a_hygrometer_tells_who_it_is(hygrometer):
    identity = hygrometer(room()).identify()
    assert (identity.maker, identity.model, identity.serial, identity.firmware) == (
        "Vaisala",
        "HMT330",
        "K0710040",
        "5.16",
    )


def test_the_driver_is_found_by_its_name(hygrometer):
    assert load_driver("vaisala-hmt").settings_type is VaisalaSettings
    driver = hygrometer(room())
    assert [(channel.name, channel.unit) for channel in driver.channels] == [
        ("humidity", "%"),
        ("temperature", "degC"),
        ("state", "1"),
    ]
    assert driver.period_s == 10.0
    assert driver.make_safe() == "a hygrometer drives nothing"


@given(humidity=st.floats(0.0, 100.0), degc=st.floats(-40.0, 60.0))
def test_what_is_measured_is_what_is_read(wired, humidity, degc):
    driver = wired("vaisala-hmt", room(humidity, degc))
    driver.open()
    reading = driver.sample()
    assert reading.values == (pytest.approx(humidity, abs=0.0051), pytest.approx(degc, abs=0.0051), 78.0)
    assert reading.quality == (0, 0, 0)


@pytest.mark.parametrize("echo", [True, False])
def test_echo_and_prompt_make_no_difference(hygrometer, echo):
    driver = hygrometer(room(echo=echo))
    assert [driver.sample().values[0] for _ in range(3)] == [40.0] * 3


def test_a_transmitter_that_talks_all_the_time_is_made_to_answer(hygrometer):
    driver = hygrometer(room(streaming=True))
    driver.clock.sleep(5.0)
    assert driver.sample().values[0] == 40.0


@pytest.mark.parametrize(
    ("humidity", "degc", "quality"),
    [
        (math.nan, 22.0, (Quality.DEVICE_ERROR, 0, 0)),
        (40.0, math.nan, (0, Quality.DEVICE_ERROR, 0)),
        (math.nan, math.nan, (Quality.DEVICE_ERROR, Quality.DEVICE_ERROR, 0)),
    ],
)
def test_a_broken_sensor_is_flagged_and_has_no_value(hygrometer, humidity, degc, quality):
    reading = hygrometer(room(humidity, degc)).sample()
    assert reading.quality == quality
    assert [math.isnan(value) for value in reading.values[:2]] == [math.isnan(humidity), math.isnan(degc)]


def test_readings_of_a_heated_probe_are_flagged_and_keep_the_bench_from_a_run(hygrometer):
    device = room()
    driver = hygrometer(device)
    assert driver.probe() == []
    device.heating = "h 115"
    reading = driver.sample()
    assert (reading.values[2], reading.quality[:2]) == (float(ord("h")), (Quality.DEVICE_ERROR, Quality.DEVICE_ERROR))
    assert driver.probe() == ["its probe is heated; wait"]


def test_a_fault_that_it_reports_keeps_the_bench_from_a_run(hygrometer):
    assert hygrometer(room(math.nan)).probe() == ["it reports a fault (flags 0001)"]


# -- replies


def test_a_line_in_the_form_that_was_set_is_a_reading(hygrometer):
    assert hygrometer(Script(message(GOOD))).sample().values[:2] == (33.21, 22.15)


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (message(GOOD, 4711), "the checksum of"),
        (message(GOOD).replace(b"33.21", b"33.31"), "the checksum of"),
        (b"RH= 33.0 %RH T= 22.1 'C\r\n", "no reading in the form that was set"),
        (message(GOOD.replace("'C", "'F")), "degrees Fahrenheit; set it to metric units"),
        (message(GOOD) + message(GOOD.replace("33.21", "33.22")), "more than one reply"),
        (message(GOOD.replace("33.21", "1e9")), "no reading"),
        (message(GOOD.replace("0000", "0020")), "no reading"),
    ],
)
def test_nothing_else_is_a_reading(hygrometer, wired, reply, sentence):
    device = Script(message(GOOD))
    driver = hygrometer(device)
    device.send = reply
    with pytest.raises(InstrumentReplyError, match=sentence):
        driver.sample()


def test_another_transmitter_is_noticed_at_its_first_reading(hygrometer):
    device = Script(message(GOOD))
    driver = hygrometer(device)
    device.send = message(GOOD.replace("K1", "K2"))
    with pytest.raises(InstrumentReplyError, match='transmitter "K2" answers in the place'):
        driver.sample()


def test_another_serial_number_than_the_stations_is_refused(hygrometer):
    with pytest.raises(InstrumentDisconnected, match="K0710040"):
        hygrometer(room(), serial="K9999999")


def test_a_transmitter_that_does_not_take_the_form_is_not_opened(hygrometer):
    with pytest.raises(InstrumentDisconnected, match="no reading in the form that was set"):
        hygrometer(Script(b"RH= 33.0 %RH T= 22.1 'C\r\n"))


# -- a bad wire


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_wire_does_a_reading_is_the_room_at_its_moment(hygrometer, damaged, seed):
    def humidity(t):
        return 30.0 + 0.01 * (math.floor(t) % 1000)

    device = VaisalaTransmitter(Value(humidity), Value(lambda t: humidity(t) - 10.0))
    driver = hygrometer(device)
    struck = damaged(
        device, seed, drop=0.04, late=0.04, truncate=0.04, flip=0.04, garble=0.04, duplicate=0.04, unsolicited=0.04,
        lf_only=0.04, unplug=0.003, reboot=0.003,
    ).struck  # fmt: skip
    read = 0
    for k in range(500):
        driver.clock.sleep_until(10.0 + 5.3 * k)
        start = driver.clock.now()
        try:
            reading = driver.sample()
        except InstrumentError:
            continue
        finally:
            assert driver.clock.now() - start <= 3.0 + 1e-3  # a port waits in whole milliseconds
        read += 1
        assert reading.quality == (0, 0, 0)
        assert reading.values[:2] == pytest.approx((humidity(reading.t), humidity(reading.t) - 10.0), abs=0.006)
    assert read > 300
    assert min(count for kind, count in struck.items() if kind != "freeze") >= 1
