"""The driver of Mensor pressure controllers: readings, orders, a bad wire."""

import math
import re
from functools import partial

import pytest

from data.samples import Quality
from instruments.capabilities import PressureController
from instruments.drivers.mensor_cpc import MensorCpc
from instruments.instrument import (
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    load_driver,
)
from instruments.simulation.devices.mensor_cpc import CpcController
from instruments.simulation.wire import LineDevice, SerialLine


class Line:
    """A line without volume; an actuator that goes where it is told."""

    def write(self, value, t):
        pass

    def ramp(self, value, per_s, t):
        pass


class Listed(CpcController):
    """A controller that lists the commands which it does."""

    def __init__(self, **settings):
        super().__init__(Line(), noise_kpa=0.0, **settings)
        self.done = []

    def _command(self, command, name, value, t):
        super()._command(command, name, value, t)
        self.done.append(name)

    def true_at(self, t):
        return self._course.at(int(t * 10 + 1e-6) / 10)


class Script(LineDevice):
    """Answers each query from a table."""

    line = SerialLine(baud=57_600)

    def __init__(self, **answers):
        super().__init__()
        self.answers = {
            "?": " +5.00000E+01, kPa, CONTROL", "*IDN?": " MENSOR, 600,7,0.1.5", "Ptype?": " GAUGE", "Stable?": " YES",
            "Rangemin?": " +0.00000E+00", "Rangemax?": " +2.00000E+02", "Error?": " NO ERRORS", "Address?": " 1",
            "Autorange?": " OFF",
        } | {name.replace("_", "?"): value for name, value in answers.items()}  # fmt: skip

    def on_line(self, line, now):
        if line in self.answers:
            self.emit(self.answers[line].encode() + b"\r\n", now + 0.01)


class Loss:
    """What happens to the next messages of the host in which a text stands: they or their replies are lost."""

    def __init__(self, text, what, count=1):
        self.text, self.what, self.left, self.hit = text.encode(), what, count, False

    def begin(self, device, data, now):
        self.hit = self.text in data and self.left > 0
        self.left -= self.hit
        return None if self.hit and self.what == "message" else data

    def tamper(self, device, data, at):
        return [] if self.hit and self.what == "reply" else [(at, data)]


@pytest.fixture
def control(connected):
    """Function that opens a driver in front of a device."""
    return partial(connected, "mensor-cpc", max_pressure="180 kPa")


@pytest.fixture
def device():
    return Listed()


@pytest.fixture
def cpc(control, device):
    driver = control(device)
    device.done.clear()
    return driver


def pressure_after(driver, seconds):
    driver.clock.sleep(seconds)
    return driver.sample().values[0]


# -- readings


@pytest.mark.parametrize("resource", ["ASRL1::INSTR", "TCPIP::10.0.0.8::49405::SOCKET", "GPIB0::5::INSTR"])
def test_it_says_who_it_is_on_every_interface(control, resource):
    driver = control(Listed(), resource=resource)
    identity = driver.identify()
    assert (identity.maker, identity.model, identity.serial, identity.firmware) == (
        "Mensor", "CPC4000", "610189", "1.2.3",
    )  # fmt: skip
    assert load_driver("mensor-cpc") is MensorCpc
    assert isinstance(driver, PressureController)
    assert (driver.sample().values, driver.probe()) == ((0.0, 0.0, 0.0), [])


@pytest.mark.parametrize("unit", ["psi", "bar", "Pa"])
def test_whatever_unit_stands_at_the_instrument_readings_are_in_kpa(control, unit):
    assert control(Listed(start_kpa=50.0, unit=unit)).sample().values[0] == pytest.approx(50.0, abs=1e-3)


@pytest.mark.parametrize(
    "reply",
    [
        "+5.00000E+01, kPa, CONTROL", " +5.00000E+01", " nan, kPa, CONTROL", " +5.0, kPa, CONTROLS",
        " +5.00000E+01, psi, CONTROL", " +5.00000E+01, kPa, CONTROL\r\n +5.10000E+01, kPa, CONTROL",
    ],
)  # fmt: skip
def test_nothing_but_the_whole_shape_of_a_reply_is_a_reading(control, reply):
    script = Script()
    driver = control(script)
    script.answers["?"] = reply
    with pytest.raises(InstrumentReplyError):
        driver.sample()


def test_a_pressure_beyond_the_range_is_flagged(control):
    assert control(Script(_=" +2.30000E+02, kPa, VENT")).sample().quality == (Quality.SATURATED, 0, 0)


def test_a_reading_beside_which_errors_are_told_counts_and_the_queue_is_emptied(cpc, device):
    device._errors.append("Sensor communication error")
    assert cpc.sample().values[0] == 0.0
    cpc.sample()
    assert not device._errors


def test_an_absolute_controller_is_refused(wired):
    driver = wired("mensor-cpc", Listed(ptype="ABSOLUTE"), max_pressure="50 kPa")
    with pytest.raises(InstrumentDisconnected, match="measures absolute pressure; set it to gauge"):
        driver.open()


def test_a_range_that_is_too_small_is_said(control):
    (said,) = control(Listed(high_kpa=100.0)).probe()
    assert "its range ends at 100 kPa, below the largest set point of 180 kPa" in said


# -- orders


def test_a_pressure_is_reached_by_the_slew_and_reported_within_limits(cpc):
    done = cpc.set_pressure(50.0, 2.0)
    assert (done.command, done.reply) == ("50 kPa at 2 kPa/s", "regulates to 50 kPa")
    assert pressure_after(cpc, 20.0) == pytest.approx(40.0, abs=1.0)
    assert pressure_after(cpc, 20.0) == pytest.approx(50.0)
    assert cpc.sample().values[1:] == (1.0, 1.0)
    assert (cpc.pressure_state().mode, cpc.pressure_state().setpoint_kpa) == ("control", pytest.approx(50.0))


def test_band_time_and_slew_of_the_station_file_are_set(control, device):
    control(device, slew="30 kPa/min", in_limits="0.3 kPa", in_limits_time="9.5 s").set_pressure(50.0)
    assert device.rate_kpa_per_s == pytest.approx(0.5)
    assert (device.rate, device.band_s) == ("VARIABLE", 10)
    assert device.band_percent == pytest.approx(0.1)


def test_control_begins_only_after_the_set_point_was_read_back(cpc, device):
    cpc.set_pressure(50.0)
    assert device.done == ["STABLEWIN", "STABLETIME", "RATE", "RSETPT", "SETPT", "MODE"]


@pytest.mark.parametrize(
    ("command", "held"), [("MODE", "reads back STANDBY"), ("SETPT", "reads back +0.00000E+00"), ("RATE", "FAST")]
)
def test_each_thing_that_is_set_must_read_back_as_it_was_said(control, device, command, held):
    device._commands[command] = lambda value, t: None  # it does not do what it is told
    with pytest.raises(InstrumentReplyError, match=re.escape(held)):
        control(device).set_pressure(50.0)
    assert not device.is_on


@pytest.mark.parametrize("pressure_kpa", [180.1, -0.1, math.nan, math.inf])
def test_a_pressure_out_of_range_is_refused_before_anything_is_sent(cpc, device, pressure_kpa):
    with pytest.raises(InstrumentRefusal, match="is outside 0 to 180 kPa"):
        cpc.set_pressure(pressure_kpa)
    with pytest.raises(InstrumentRefusal, match="no speed"):
        cpc.set_pressure(50.0, 0.0)
    assert device.done == []


def test_what_the_instrument_refuses_is_a_refusal_in_its_words_and_control_stays_off(cpc):
    with pytest.raises(InstrumentRefusal, match=re.escape('refuses "Rsetpt 60.0000000": Data out of range')):
        cpc.set_pressure(50.0, 60.0)  # faster than this controller can
    assert cpc.pressure_state().mode == "measure"
    assert cpc.sample().quality == (0, 0, 0)


@pytest.mark.parametrize(
    ("order", "mode", "kpa"), [("isolate", "measure", 50.0), ("vent", "vent", 0.0), ("make_safe", "vent", 0.0)]
)
def test_shut_off_the_line_keeps_its_pressure_and_vented_it_does_not(cpc, order, mode, kpa):
    cpc.set_pressure(50.0, 10.0)
    cpc.clock.sleep(10.0)
    getattr(cpc, order)()
    assert cpc.pressure_state().mode == mode
    assert pressure_after(cpc, 10.0) == pytest.approx(kpa)


def test_going_safe_may_shut_off_instead(control, device):
    driver = control(device, safe="isolate")
    driver.set_pressure(50.0, 10.0)
    assert "keeps its pressure" in driver.make_safe()
    assert driver.pressure_state().mode == "measure"


def test_a_pressure_that_is_being_set_does_not_come_after_a_stop(cpc, device):
    order = cpc._order

    def stop_meanwhile(text, *rest):
        if text == "Mode Control":
            cpc._order = order
            cpc.make_safe()
        return order(text, *rest)

    cpc._order = stop_meanwhile
    with pytest.raises(InstrumentRefusal, match="was vented or shut off meanwhile"):
        cpc.set_pressure(50.0)
    assert device.mode == "VENT"


# -- what is lost, and what comes back


@pytest.mark.parametrize("what", ["reply", "message"])
@pytest.mark.parametrize("text", ["Rsetpt 1", "Setpt 50", "Mode Control", "Mode Vent", "Mode Measure"])
def test_an_order_whose_reply_is_lost_is_carried_out(cpc, device, text, what):
    device.misbehaviour = loss = Loss(text, what)
    cpc.set_pressure(50.0)
    assert device.mode == "CONTROL"
    cpc.isolate()
    assert device.mode == "MEASURE"
    cpc.vent()
    assert (device.mode, loss.left) == ("VENT", 0)


def test_a_controller_that_restarts_does_not_regulate_again_by_itself_and_the_log_says_so(control):
    device = Listed(unit="psi")
    driver = control(device)
    driver.set_pressure(50.0, 10.0)
    driver.clock.sleep(10.0)
    driver.sample()
    device.reboot(driver.clock.now())
    driver.clock.sleep(10.0)
    assert driver.sample().values == (pytest.approx(50.0, abs=1e-3), 0.0, 0.0)
    texts = " / ".join(note.text for note in driver.take_notes())
    assert "its unit was psi" in texts
    assert "no longer regulates" in texts


@pytest.mark.parametrize("raw_errors", [False, True])
def test_a_controller_whose_cable_was_pulled_comes_back(wired, device, raw_errors):
    driver = wired("mensor-cpc", device, raw_errors=raw_errors, max_pressure="60 kPa")
    driver.open()
    driver.set_pressure(20.0, 10.0)
    device.unplug(driver.clock.now(), 10.0)
    lost = 0
    for _ in range(40):
        driver.clock.sleep(1.0)
        try:
            reading = driver.sample()
        except InstrumentError:
            lost += 1
    assert 10 <= lost <= 25
    assert reading.values == (pytest.approx(20.0), 1.0, 1.0)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_wire_does_to_both_directions_what_is_confirmed_is_so(control, damaged, seed):
    device = Listed()
    driver = control(device)
    kinds = dict.fromkeys(("drop", "late", "truncate", "flip", "garble", "duplicate", "drop_request"), 0.04)
    damaged(device, seed, **kinds, flip_request=0.08, unplug=0.003, reboot=0.003)
    confirmed = 0
    for k in range(1, 201):
        driver.clock.sleep(10.0)
        try:
            (driver.vent, driver.isolate, lambda k=k: driver.set_pressure(k / 2, 10.0))[k % 3]()
        except InstrumentError:
            continue
        confirmed += 1
        assert device.mode == ("VENT", "MEASURE", "CONTROL")[k % 3]
        if device.is_on:
            assert device.setpoint_kpa == pytest.approx(k / 2, rel=2e-5)
            assert (device.rate, device.rate_kpa_per_s) == ("VARIABLE", pytest.approx(10.0, rel=2e-5))
    assert confirmed > 60
