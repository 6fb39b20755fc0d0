"""The force gauge driver in front of the simulated gauge, on a good wire and on a bad one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data.samples import Quality
from instruments.capabilities import Tareable
from instruments.drivers.mark10 import Mark10Gauge, Mark10Settings
from instruments.instrument import (
    Identity,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    InstrumentTimeout,
    load_driver,
)
from instruments.simulation.devices.mark10 import ForceGauge
from instruments.simulation.misbehaviour import KINDS
from instruments.simulation.wire import ByteDevice, LineDevice, SerialLine

POUND_N = 4.4482216152605


class Force:
    """A force in N as a function of time."""

    def __init__(self, newtons):
        self.newtons = newtons if callable(newtons) else lambda t: np.full_like(t, newtons)

    def at(self, t):
        return float(self.newtons(np.array([t]))[0])

    def samples(self, t0, dt, first, n):
        return self.newtons(t0 + (first + np.arange(n)) * dt)


class Script(LineDevice):
    """Answers each command from a table, silently where that has nothing."""

    line = SerialLine(baud=115_200)

    def __init__(self, **answers):
        super().__init__()
        listed = "V1.00;N;CUR;FLTC8;FLTP1;AOUT00;AOFF0;FULL;MIT;POL;B0"
        known = {"LIST": listed, "RS": "77", "RM": "M5-10", "RV": "1.00"}
        self.answers = known | {key.replace("_", "?"): value for key, value in answers.items()}
        self.heard = []

    def on_line(self, line, now):
        self.heard.append(line)
        answer = self.answers.get(line, "")
        if answer:
            self.emit(answer.encode("latin-1") + (b"" if answer.endswith("\n") else b"\r\n"), now + 0.004)


@pytest.fixture
def gauge_at(wired):
    """Function that opens a driver in front of a device, or of a gauge with a force."""

    def gauge_at(device, **settings):
        device = device if isinstance(device, ByteDevice) else ForceGauge(Force(device))
        gauge = wired("mark10", device, **{"capacity": "50 N", **settings})
        gauge.open()
        return gauge

    return gauge_at


# -- who it is and how it is set


def test_a_gauge_tells_who_it_is_and_can_be_zeroed(gauge_at):
    gauge = gauge_at(0.0)
    identity = gauge.identify()
    assert identity == Identity("Mark-10", "M5-10", "3912345", "1.00")
    assert isinstance(gauge, Tareable)
    assert load_driver("mark10") is Mark10Gauge
    assert gauge.period_s == 0.02


@pytest.mark.parametrize("series", [5, 7])
def test_opening_sets_newtons_and_no_output_unasked_and_no_switching_off(gauge_at, series):
    device = ForceGauge(Force(1.0), series=series, unit="LBF")
    for command in (b"NUM\r", b"AOUT50\r", b"IPOL1\r"):
        device.write(command, 0.0)
    gauge = gauge_at(device, series=series)
    setup = device._setup
    assert (setup.unit, setup.with_unit, setup.auto_output, setup.auto_off_min, setup.inverted) == ("N", True, 0, 0, 0)
    assert gauge.sample().values == (1.0,)
    assert gauge.take_notes() == []


def test_a_gauge_at_fifty_readings_a_second_keeps_up(gauge_at):
    gauge = gauge_at(lambda t: np.floor(50.0 * t + 1e-6) / 50.0)
    for k in range(50, 550):
        gauge.clock.sleep_until(k * 0.02)
        reading = gauge.sample()
        assert reading.t == pytest.approx(k * 0.02)
        assert reading.values[0] == pytest.approx(k * 0.02, abs=0.0201)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "capacity"),
        ({"capacity": "50"}, "no unit"),
        ({"capacity": "50 N", "series": 6}, "4, 5 or 7"),
        ({"capacity": "50 N", "series": 4, "serial": "1"}, "series 4 does not tell its serial number"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, problem):
    with pytest.raises(ValidationError, match=problem):
        Mark10Settings.model_validate({"resource": "ASRL1::INSTR", **settings})


# -- readings


@given(newtons=st.floats(-49.0, 49.0))
def test_what_the_gauge_shows_is_what_is_read(wired, newtons):
    gauge = wired("mark10", ForceGauge(Force(newtons)), capacity="50 N")
    gauge.open()
    reading = gauge.sample()
    assert reading.values[0] == pytest.approx(newtons, abs=0.0051)
    assert reading.quality == (0,)


@pytest.mark.parametrize(
    ("reply", "newtons"), [("4.285 N", 4.285), ("-18.78 N", -18.78), ("5 N", 5.0), ("-0.00 N", 0.0)]
)
def test_a_reading_is_read_to_the_last_digit(gauge_at, reply, newtons):
    assert gauge_at(Script(_C=reply)).sample().values[0] == newtons


@pytest.mark.parametrize(
    "reply",
    ["4.285", "4.285 ", "4.285N", "4.285  N", "+4.285 N", "4,285 N", "4_0.5 N", "nan N", "1e3 N", "4. N", ".5 N",
     "4.2 8 N", "4.285 lbF", "4.285 n", "1234567 N", "4.24.285 N", "x4.285 N", "V1.00;N", "\xb5.285 N", "77"],
)  # fmt: skip
def test_nothing_but_a_whole_reading_in_newtons_is_one(gauge_at, reply):
    gauge = gauge_at(Script(_C=reply))
    with pytest.raises(InstrumentReplyError):
        gauge.sample()


@pytest.mark.parametrize(
    ("reply", "value"), [("OVER", math.nan), ("-OVER N", math.nan), ("---- N", math.nan), ("51.0 N", 51.0)]
)
def test_an_overload_is_flagged(gauge_at, reply, value):
    gauge = gauge_at(Script(_C=reply))
    reading = gauge.sample()
    assert reading.values[0] == pytest.approx(value, nan_ok=True)
    assert reading.quality == (Quality.OVERLOAD,)
    assert gauge.probe() == ["its load is out of range"]


def test_two_different_replies_to_one_question_are_none(gauge_at):
    with pytest.raises(InstrumentReplyError, match="more than one reply"):
        gauge_at(Script(_C="4.28 N\r\n4.30 N")).sample()
    assert gauge_at(Script(_C="4.28 N\r\n4.28 N")).sample().values[0] == 4.28


@pytest.mark.parametrize(
    ("code", "error", "why"),
    [
        ("*10", InstrumentReplyError, r"does not know the command \(\*10\); is it of another series"),
        ("*11", InstrumentRefusal, r"cannot do it now \(\*11\)"),
        ("*12", InstrumentRefusal, "does not take the value"),
        ("*22", InstrumentRefusal, "too large"),
        ("*99", InstrumentRefusal, "reports an error"),
    ],
)
def test_an_error_code_becomes_a_sentence(gauge_at, code, error, why):
    with pytest.raises(error, match=why):
        gauge_at(Script(_C=code)).sample()


def test_a_unit_that_was_changed_at_the_keys_is_set_again_and_no_reading_is_wrong(gauge_at):
    device = ForceGauge(Force(10.0))
    gauge = gauge_at(device)
    gauge.tare()
    device.write(b"LB\r", gauge.clock.now())
    assert gauge.sample().values[0] == 0.0
    assert gauge.sample().quality == (0,)
    assert "was changed at its keys: unit" in gauge.take_notes()[0].text


def test_series_4_is_read_in_whatever_unit_it_shows(gauge_at):
    device = ForceGauge(Force(-10.0), series=4, unit="LBF")
    gauge = gauge_at(device, series=4)
    assert gauge.identify().model == "series 4"
    assert gauge.sample().values[0] == pytest.approx(-10.0, abs=0.005 * POUND_N)
    for command in (gauge.tare, gauge.peaks, gauge.clear_peaks):
        with pytest.raises(InstrumentRefusal, match="a gauge of series 4 cannot be"):
            command()
    assert gauge.probe() == []


def test_a_series_4_gauge_that_is_called_series_5_is_told_apart(gauge_at):
    with pytest.raises(InstrumentDisconnected, match="does not answer as it should"):
        gauge_at(ForceGauge(Force(0.0), series=4))


# -- zero and peaks


def test_a_tare_takes_the_load_as_zero_and_clears_the_peaks(gauge_at):
    gauge = gauge_at(12.34)
    gauge.tare()
    assert gauge.sample().values[0] == 0.0
    assert gauge.peaks() == (0.0, 0.0)


def test_a_load_that_moves_while_it_is_zeroed_is_refused(gauge_at):
    gauge = gauge_at(lambda t: np.where(t < 0.5, 0.0, 300.0 * (t - 0.5)))
    gauge.clock.sleep_until(0.52)
    with pytest.raises(InstrumentRefusal, match="after it was zeroed; keep the load still"):
        gauge.tare()


def test_a_zero_that_is_refused_is_an_error_and_the_wire_stays_in_step(gauge_at):
    device = Script(_C="4.28 N", Z="*11")
    gauge = gauge_at(device)
    with pytest.raises(InstrumentRefusal, match="cannot do it now"):
        gauge.tare()
    gauge.clock.sleep(0.1)
    assert gauge.sample().values[0] == 4.28


def test_peaks_are_read_and_cleared(gauge_at):
    gauge = gauge_at(lambda t: 20.0 * np.sin(2.0 * np.pi * t))
    gauge.clear_peaks()
    gauge.clock.sleep(2.0)
    peaks = gauge.peaks()
    assert (peaks.tension_n, peaks.compression_n) == (-20.0, 20.0)


def test_after_a_restart_readings_are_disturbed_until_it_is_zeroed_again(gauge_at):
    device = ForceGauge(Force(10.0))
    gauge = gauge_at(device)
    gauge.tare()
    device.reboot(gauge.clock.now())
    gauge.clock.sleep(4.0)
    reading = gauge.sample()
    assert (reading.values, reading.quality) == ((10.0,), (Quality.DISTURBED,))
    assert "was restarted; zero it again" in gauge.take_notes()[0].text
    assert gauge.probe() == ["it was restarted and its zero is lost; zero it again"]
    gauge.tare()
    assert gauge.sample().quality == (0,)


def test_a_restart_of_a_gauge_that_was_never_zeroed_disturbs_nothing(gauge_at):
    device = ForceGauge(Force(10.0))
    gauge = gauge_at(device)
    device.reboot(gauge.clock.now())
    gauge.clock.sleep(4.0)
    assert gauge.sample().quality == (0,)


def test_a_bit_that_lies_about_a_setting_is_not_taken_for_a_restart(gauge_at):
    device = Script(_C="1.00 N")
    gauge = gauge_at(device)
    gauge._zeroed = True
    true = device.answers["LIST"]
    device.answers["LIST"] = true.replace("AOFF0", "AOFF1")
    device.answers["AOFF0"] = ""
    answer = device.on_bytes

    def once(data, now):
        answer(data, now)
        if b"LIST" in data:
            device.answers["LIST"] = true

    device.on_bytes = once
    gauge._in_step = False
    assert gauge.sample().quality == (0,)
    assert device.heard.count("AOFF0") == 0
    assert gauge.take_notes() == []


def test_an_empty_battery_is_said(gauge_at):
    assert gauge_at(ForceGauge(Force(0.0), battery=3)).probe() == ["its battery is nearly empty; plug it in"]


def test_a_gauge_drives_nothing(gauge_at):
    assert "drives nothing" in gauge_at(0.0).make_safe()


# -- a bad wire

CHECKED = [kind.replace("-", "_") for kind in KINDS if kind not in ("flip", "freeze", "reboot")]
"""Kinds that damage what can be seen: there is no check sum, and a gauge that stands still looks like its load."""


def creeping(t):
    """A force that is another at each reading, so that an old reply cannot pass for a new one."""
    k = np.floor(t * 50.0 + 1e-6)
    return 5.0 + 0.02 * (k % 997)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_wire_does_a_reading_is_the_force_at_its_moment(gauge_at, damaged, seed):
    device = ForceGauge(Force(creeping), conversions_per_s=50)
    device.write(b"FLTP0\rSAVE\r", 0.0)
    gauge = gauge_at(device, timeout="50 ms")
    struck = damaged(device, seed, **{kind: 0.001 if kind == "unplug" else 0.02 for kind in CHECKED}).struck
    good = failed = 0
    for k in range(1, 3000):
        gauge.clock.sleep_until(5.0 + 0.1 * k)
        start = gauge.clock.now()
        try:
            reading = gauge.sample()
        except InstrumentError:
            failed += 1
            continue
        finally:
            assert gauge.clock.now() - start <= 0.15 + 1e-9
        if not reading.quality[0]:
            good += 1
            assert reading.values[0] == pytest.approx(creeping(np.float64(reading.t)), abs=0.0051)
    assert good > 1500
    assert failed > 30
    assert min(struck.values()) >= 2


@pytest.mark.parametrize("seed", range(2))
def test_a_flipped_bit_can_change_a_digit_and_nothing_hides_a_restart(gauge_at, damaged, seed):
    device = ForceGauge(Force(12.34))
    gauge = gauge_at(device)
    gauge.tare()
    struck = damaged(device, seed, flip=0.1, flip_request=0.1, reboot=0.003, freeze=0.1).struck
    wrong = restarts = 0
    for _ in range(2000):
        gauge.clock.sleep(0.1)
        outcome = attempt(gauge)
        if isinstance(outcome, InstrumentError):
            continue
        if outcome[1]:
            restarts += 1
            zero(gauge)
            continue
        wrong += outcome[0] != 0.0
        assert outcome[0] < 12.0 or outcome[0] > 13.0
    assert 0 < wrong < 0.6 * struck["flip"]
    assert 0 < restarts <= struck["reboot"] + 2


@pytest.mark.parametrize("kind", [kind.replace("-", "_") for kind in KINDS if kind not in ("unplug", "reboot")])
def test_three_readings_after_the_wire_is_good_again_everything_is_as_before(gauge_at, damaged, kind):
    device = ForceGauge(Force(10.0))
    gauge = gauge_at(device)
    gauge.tare()
    for seed in range(10):
        damaged(device, seed, **{kind: 0.7})
        for _ in range(20):
            attempt(gauge)
            gauge.clock.sleep(0.1)
        device.misbehaviour, device.frozen, device.saturated = None, False, False
        assert [attempt(gauge) for _ in range(4)][-1] == (0.0, 0)


@pytest.mark.parametrize("raw_errors", [False, True])
def test_a_gauge_whose_cable_was_pulled_comes_back_with_its_zero(wired, raw_errors):
    device = ForceGauge(Force(10.0))
    gauge = wired("mark10", device, raw_errors=raw_errors, capacity="50 N")
    gauge.open()
    gauge.tare()
    device.unplug(gauge.clock.now(), 20.0)
    lost = 0
    for _ in range(60):
        gauge.clock.sleep(1.0)
        outcome = attempt(gauge)
        lost += outcome != (0.0, 0)
        assert outcome == (0.0, 0) or isinstance(outcome, InstrumentDisconnected | InstrumentTimeout)
    assert 20 <= lost <= 36


def zero(gauge):
    """Zero it, however often that takes."""
    while True:
        try:
            return gauge.tare()
        except InstrumentError:
            gauge.clock.sleep(0.1)


def attempt(gauge):
    try:
        reading = gauge.sample()
    except InstrumentError as error:
        return error
    return reading.values[0], reading.quality[0]
