"""The driver of pressure transmitters on USB, which is also the example of docs/howto/new-driver.md."""

import re
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.samples import Quality
from instruments.clock import VirtualClock
from instruments.drivers import omega_px409
from instruments.instrument import InstrumentDisconnected, InstrumentError, InstrumentReplyError, load_driver
from instruments.simulation.devices.omega_px409 import Px409Transmitter
from instruments.simulation.wire import LineDevice, SerialLine


class Pressure:
    """A pressure in kPa as a function of time."""

    def __init__(self, kpa):
        self.kpa = kpa

    def at(self, t):
        return self.kpa(t) if callable(self.kpa) else self.kpa


class Script(LineDevice):
    """Answers from a table."""

    line = SerialLine(baud=115_200)

    def __init__(self, **answers):
        super().__init__()
        self.answers = {"P": "14.504 psi", "SNR": "461037", "ENQ": "PX2\r\n1.0\r\n0 to 15 PSI G", "PS": ""} | answers

    def on_line(self, line, now):
        text = self.answers.get(line, f"{line} @command unsupported")
        self.emit(text.encode() + b"\r\n>", now + 0.01)


@pytest.fixture
def opened(connected):
    """Function that opens a driver in front of a device."""
    return partial(connected, "omega-px409", reference="gauge", high="15 psi")


def transmitter(kpa=50.0, **settings):
    return Px409Transmitter(Pressure(kpa), **{"noise_kpa": 0.0, **settings})


def test_the_driver_of_the_howto_is_the_one_that_is_shipped():
    page = (Path(__file__).parents[2] / "docs/howto/new-driver.md").read_text(encoding="utf-8")
    shipped = Path(omega_px409.__file__).read_text(encoding="utf-8").splitlines()
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        there = iter(shipped)
        assert [line for line in code.splitlines() if line not in there] == []  # in order; it may leave things out
    assert load_driver("omega-px409") is omega_px409.OmegaPx409


def test_it_says_who_it_is_and_drives_nothing(opened):
    driver = opened(transmitter())
    identity = driver.identify()
    assert (identity.maker, identity.model) == ("Omega", "PX409 USBPX2")
    assert (identity.serial, identity.firmware) == ("487740", "1.13.05")
    assert driver.make_safe() == "a pressure transmitter drives nothing"
    assert driver.probe() == []


@given(kpa=st.floats(-100.0, 105.0), unit=st.sampled_from(["psi", "bar", "mbar", "hPa", "kPa"]))
def test_whatever_unit_it_is_set_to_readings_are_in_kpa(wired, kpa, unit):
    driver = wired("omega-px409", transmitter(kpa, unit=unit), reference="gauge", high="15 psi")
    driver.open()
    reading = driver.sample()
    assert reading.values[0] == pytest.approx(kpa, abs=1e-3)
    assert reading.quality == (0,)


def test_a_transmitter_that_was_just_plugged_in_is_waited_for(opened):
    device = transmitter(start_s=7.0)
    device.unplug(0.0, 0.0)
    assert opened(device).clock.now() == pytest.approx(7.2, abs=0.5)


def test_one_that_never_starts_is_given_up_and_a_port_that_is_not_there_at_once(opened):
    clock, device = VirtualClock(), transmitter(start_s=60.0)
    device.unplug(0.0, 0.0)
    with pytest.raises(InstrumentDisconnected, match="does not answer"):
        opened(device, clock)
    assert 8.0 <= clock.now() < 10.0
    device.unplug(clock.now(), 60.0)
    began = clock.now()
    with pytest.raises(InstrumentDisconnected, match="cannot open"):
        opened(device, clock)
    assert clock.now() == began


def test_a_pulled_plug_is_a_gap_of_the_time_that_it_takes_to_start(opened):
    device = transmitter()
    driver = opened(device)
    device.unplug(driver.clock.now(), 3.0)
    failed = []
    for _ in range(100):
        driver.clock.sleep(0.2)
        try:
            driver.sample()
        except InstrumentError as error:
            failed.append(error)
    assert 9.0 < driver.clock.now() - 0.2 * (100 - len(failed)) < 20.0
    assert driver.sample().values[0] == pytest.approx(50.0, abs=1e-3)


def test_another_transmitter_in_its_place_is_refused(opened):
    device = transmitter()
    driver = opened(device)
    device.serial = 461_037
    device.unplug(driver.clock.now(), 0.1)
    for why in ("is lost", 'serial number "461037" answers'):
        driver.clock.sleep(20.0)
        with pytest.raises(InstrumentDisconnected, match=why):
            driver.sample()


def test_a_stream_that_somebody_left_running_is_ended(opened):
    device = transmitter()
    device.write(b"RATE 8\rPC\r", 0.0)
    driver = opened(device, None)
    assert driver.sample().values[0] == pytest.approx(50.0, abs=1e-3)
    assert device.next_event() is None


def test_beyond_the_range_a_reading_is_flagged(opened):
    driver = opened(transmitter(110.0))
    assert driver.sample().quality == (Quality.SATURATED,)
    assert driver.probe() == ["its pressure is out of range"]


def test_the_wrong_reference_is_said(opened):
    (said,) = opened(transmitter(absolute=True, unit="kPa", high_kpa=200.0), high="200 kPa").probe()
    assert said == 'its range is "0.0 to 200.0 KPA A", and reference is "gauge"; correct the file'


def test_what_a_model_does_not_know_keeps_nobody_from_reading(opened):
    driver = opened(Script())
    assert driver.sample().values[0] == pytest.approx(100.0, abs=0.01)


@pytest.mark.parametrize(
    "reply",
    ["nan psi", "1_4.5 psi", "14.504", "14.504 psi\r\n14.504 psi", "@command unsupported", "14.504 furlong", ">"],
)
def test_nothing_but_a_number_and_its_unit_is_a_reading(opened, reply):
    device = Script()
    driver = opened(device)
    device.answers["P"] = reply
    with pytest.raises(InstrumentReplyError):
        driver.sample()


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_wire_does_a_reading_is_the_pressure_at_its_moment(opened, damaged, seed):
    device = transmitter(lambda t: 5.0 + 0.01 * (int(t) % 1000), unit="kPa")
    driver = opened(device, max_step="0.5 kPa")
    struck = damaged(
        device, seed, drop=0.04, late=0.04, truncate=0.04, garble=0.04, duplicate=0.04, unsolicited=0.04, unplug=0.003
    ).struck
    read = 0
    for k in range(500):
        driver.clock.sleep_until(10.0 + 5.3 * k)
        try:
            reading = driver.sample()
        except InstrumentError:
            continue
        read += 1
        assert reading.values[0] == pytest.approx(device.signal.at(reading.t), abs=1e-4)
    assert read > 300
    assert min(struck.values()) >= 1
