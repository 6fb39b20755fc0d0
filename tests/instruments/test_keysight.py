"""The drivers of multimeters and data acquisition units in front of simulated ones, on a good wire and a bad one."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data.samples import UNUSABLE, Quality
from instruments.instrument import (
    Buffered,
    InstrumentDisconnected,
    InstrumentError,
    InstrumentReplyError,
    Polled,
    load_driver,
)
from instruments.simulation.devices.keysight_34461a import Keysight34461A
from instruments.simulation.devices.keysight_daq970a import KeysightDaq970A
from instruments.simulation.misbehaviour import KINDS
from instruments.visa import VisaSettings

PRESSURE = {"kind": "voltage", "points": [["0 V", "0 kPa"], ["5 V", "100 kPa"]], "reference": "gauge"}
LOOP = {"kind": "current", "points": [["4 mA", "-50 kPa"], ["20 mA", "50 kPa"]], "reference": "gauge"}
SCANNED = [
    {"name": "loop", "channel": 121, **LOOP},
    {"name": "pressure", "channel": 101, **PRESSURE},
    {"name": "volts", "channel": 105, "kind": "voltage", "max_step": "1 V"},
]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "keysight.md"


class Value:
    """A voltage or current as a function of time."""

    def __init__(self, value):
        self.value = value if callable(value) else lambda t: value

    def at(self, t):
        return self.value(t)


def creeping(t):
    """A voltage that is another one in each tenth of a second, so that an old reply cannot pass for a new one."""
    return 2.0 + 1e-3 * (int(t * 10 + 1e-6) % 400)


@pytest.fixture
def metering(wired):
    """Function that opens the driver of a multimeter in front of one whose terminals see a voltage."""

    def metering(device, **settings):
        device = device if isinstance(device, Keysight34461A) else Keysight34461A(volts=Value(device), noise=0.0)
        table = {"input": {"name": "p", **PRESSURE}, "nplc": 1.0, **settings}
        meter = wired("keysight-34461a", device, **table)
        meter.open()
        return meter

    return metering


def unit_of(volts=2.5, amps=0.012, **settings):
    signals = {"101": Value(volts), "105": Value(-1.0), "121": Value(amps)}
    return KeysightDaq970A(signals, noise=0.0, crystal_ppm=settings.pop("crystal_ppm", 0.0), **settings)


@pytest.fixture
def scanning(connected):
    """Function that opens the driver of a unit."""
    return partial(connected, "keysight-daq970a", channels=SCANNED)


# -- settings


@pytest.mark.parametrize(
    ("driver", "settings", "why"),
    [
        ("keysight-34461a", {"input": {"name": "p", **PRESSURE}, "nplc": 3.0}, "0.02, 0.2, 1, 10, 100"),
        (
            "keysight-34461a",
            {"input": {"name": "p", **PRESSURE}, "nplc": 100.0},
            "takes 4.01 s; write a timeout",
        ),
        ("keysight-34461a", {"input": {"name": "p", **PRESSURE, "max_step": "2 V"}}, "pressure"),
        ("keysight-34461a", {"input": {"name": "p", **PRESSURE, "max_step": "0 kPa"}}, "not above 0"),
        ("keysight-daq970a", {"channels": []}, "at least 1"),
        ("keysight-daq970a", {"channels": [SCANNED[1], SCANNED[1]]}, 'two channels have the name "pressure"'),
        ("keysight-daq970a", {"channels": [{**SCANNED[0], "channel": 105}]}, "channel 105 measures no current"),
        ("keysight-daq970a", {"channels": SCANNED, "period": "0.1 s"}, "sweep of 3 channels takes 0.21 s"),
    ],
)
def test_settings_that_do_not_fit_are_told_what_to_write(driver, settings, why):
    with pytest.raises(ValidationError, match=re.escape(why)):
        load_driver(driver).settings_type.model_validate({"resource": "ASRL1::INSTR", **settings})


@pytest.mark.parametrize("driver", ["keysight-34461a", "keysight-daq970a"])
def test_the_page_lists_the_keys_of_the_driver(driver):
    section = PAGE.read_text(encoding="utf-8").partition(f"## `{driver}`")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    kind = load_driver(driver).settings_type
    assert told == {
        kind.model_fields[name].alias or name for name in kind.model_fields.keys() - VisaSettings.model_fields.keys()
    } | {"timeout", "period"}


# -- the multimeter


def test_a_multimeter_tells_who_it_is_and_reads_its_transducer_in_kpa(metering):
    meter = metering(2.5)
    identity = meter.identify()
    assert (identity.maker, identity.model, identity.serial) == ("Keysight Technologies", "34461A", "MY53201234")
    assert (meter.sample().values, meter.channels[0].unit, meter.channels[0].reference) == ((50.0,), "kPa", "gauge")
    assert meter.make_safe() == "a multimeter drives nothing"


@given(volts=st.floats(-9.0, 9.0))
def test_what_the_terminals_see_is_what_is_read(wired, volts):
    device = Keysight34461A(volts=Value(volts), noise=0.0)
    meter = wired("keysight-34461a", device, input={"name": "v", "kind": "voltage"})
    meter.open()
    assert meter.sample().values[0] == pytest.approx(volts, abs=1e-7)


def test_a_current_is_measured_as_such_and_the_range_is_wide_enough_for_a_fault(metering):
    device = Keysight34461A(amps=Value(0.012), noise=0.0)
    meter = metering(device, input={"name": "p", **LOOP})
    assert meter.sample().values[0] == pytest.approx(0.0, abs=1e-6)
    assert device.setup.range == 0.1


@pytest.mark.parametrize(
    ("volts", "quality", "problem"),
    [
        (2.5, 0, None),
        (11.0, Quality.SATURATED, "the transducer is out of its range"),
        (50.0, Quality.OVERLOAD, "its input is overloaded; check range and wiring"),
        (-50.0, Quality.UNDERLOAD, "its input is overloaded; check range and wiring"),
    ],
)
def test_what_is_out_of_range_is_flagged_and_keeps_the_bench_from_a_run(metering, volts, quality, problem):
    meter = metering(volts)
    assert meter.sample().quality[0] & ~int(Quality.IMPLAUSIBLE) == quality
    assert meter.probe() == ([problem] if problem else [])


def test_an_open_loop_is_a_fault(metering):
    meter = metering(Keysight34461A(amps=Value(0.0), noise=0.0), input={"name": "p", **LOOP})
    assert meter.probe() == ["the current of the transducer says that it is faulty, or its loop is open"]


def test_a_hand_at_the_panel_is_put_right_and_noted(metering):
    device = Keysight34461A(volts=Value(2.5), amps=Value(1e-3), noise=0.0)
    meter = metering(device)
    device.write(b"CONF:CURR:DC 1\n", meter.clock.now())
    assert meter.sample().values == (50.0,)
    assert [note.text for note in meter.take_notes()] == [
        'multimeter "it" was restarted or set by hand; it is set as it was again'
    ]


def test_an_error_in_its_queue_is_noted_and_does_no_harm(metering):
    device = Keysight34461A(volts=Value(2.5), noise=0.0)
    meter = metering(device)
    device.write(b"NONSENSE\n", meter.clock.now())
    assert meter.sample().values == (50.0,)
    assert [note.text for note in meter.take_notes()] == ['instrument "it" reports the error -113, Undefined header']


def test_another_model_and_another_serial_number_are_refused(metering, scanning):
    with pytest.raises(InstrumentDisconnected, match="choose another driver"):
        scanning(Keysight34461A(volts=Value(1.0)), baud=9600)
    with pytest.raises(InstrumentDisconnected, match="MY53201234"):
        metering(2.5, serial="MY00000000")


def test_a_step_of_the_pressure_is_believed_and_stands_at_its_moment(metering):
    meter = metering(lambda t: 1.0 if t < 10.0 else 4.0)
    meter.clock.sleep_until(9.5)
    assert meter.sample().values == (20.0,)
    meter.clock.sleep_until(11.0)
    reading = meter.sample()
    assert (reading.t, reading.values, reading.quality) == (pytest.approx(11.0), (80.0,), (0,))


# -- the unit


@pytest.mark.parametrize(("mode", "kind"), [("polled", Polled), ("buffered", Buffered)])
def test_the_settings_say_how_a_unit_gives_its_readings(scanning, mode, kind):
    unit = scanning(unit_of(), mode=mode)
    assert isinstance(unit, kind)
    assert isinstance(unit, load_driver("keysight-daq970a"))
    assert [channel.name for channel in unit.channels] == ["loop", "pressure", "volts"]
    assert unit.identify().model == "DAQ970A"
    assert unit.probe() == []
    assert "drives nothing" in unit.make_safe()


def test_a_sweep_is_in_the_order_of_the_station_whatever_that_of_the_scan(scanning):
    assert scanning(unit_of()).sample().values == (pytest.approx(0.0, abs=1e-6), 50.0, -1.0)


def test_an_older_unit_is_read_as_well(scanning):
    identity = scanning(unit_of(model="34970A")).identify()
    assert (identity.maker, identity.model, identity.serial) == ("HEWLETT-PACKARD", "34970A", "0")


@pytest.mark.parametrize("mode", ["polled", "buffered"])
def test_channels_out_of_range_are_named(scanning, mode):
    problems = scanning(unit_of(50.0, 0.001), mode=mode).probe()
    assert problems == [
        'the transducer of "loop" says that it is faulty, or its loop is open',
        'channel "pressure" is overloaded; check range and wiring',
    ]


def test_another_range_set_by_hand_is_put_right(scanning):
    device = unit_of()
    unit = scanning(device)
    device.write(b"VOLT:RANG 1,(@101)\n", unit.clock.now())
    assert unit.sample().values[1] == 50.0
    assert "set by hand" in unit.take_notes()[0].text


def test_scaling_in_the_unit_is_switched_off(scanning):
    device = unit_of()
    device.write(b"CONF:VOLT 10,(@101);:CALC:SCAL:GAIN 3,(@101);STAT ON,(@101)\n", 0.0)
    assert scanning(device).sample().values[1] == 50.0


def test_a_memory_is_read_with_nominal_times_and_an_anchor(scanning):
    unit = scanning(unit_of(lambda t: 1e-3 * t), mode="buffered", period="0.5 s")
    unit.clock.sleep_until(10.0)
    unit.start()
    unit.clock.sleep_until(14.9)
    block = unit.read(100)
    assert (block.first, len(block.t)) == (0, 10)
    assert np.diff(block.t) == pytest.approx(0.5)
    assert block.values[:, 1] == pytest.approx(20.0 * 1e-3 * block.t, abs=0.005)
    assert unit.anchor() == (pytest.approx(14.9), 10)


def test_a_block_is_no_longer_than_asked_for_and_nothing_is_lost(scanning):
    unit = scanning(unit_of(), mode="buffered")
    unit.start()
    unit.clock.sleep(20.0)
    firsts = [(block.first, len(block.t)) for block in (unit.read(8), unit.read(8), unit.read(100))]
    assert firsts[:2] == [(0, 8), (8, 8)]
    assert firsts[2][0] == 16


def test_readings_that_were_lost_on_the_way_are_a_hole_at_their_place(scanning, damaged):
    device = unit_of(lambda t: 1e-3 * t)
    unit = scanning(device, mode="buffered")
    unit.start()
    unit.clock.sleep(5.0)
    unit.read(100)
    remove, lost = device._remove, []

    def once(text, t):
        device._scpi._found.clear()
        return remove(text, t) + ("X" if not lost and not lost.append(text) else "")

    header = next(each for each in device._scpi._tree if each.pattern.fullmatch("DATA:REM"))
    header.query = once
    unit.clock.sleep(5.0)
    with pytest.raises(InstrumentReplyError):
        unit.read(100)
    unit.clock.sleep(5.0)
    block = unit.read(100)
    assert block.first >= 9
    assert block.values[:, 1] == pytest.approx(20.0 * 1e-3 * block.t, abs=0.03)
    assert "sweeps are missing" in unit.take_notes()[-1].text


def test_a_scan_that_was_stopped_is_begun_again_at_its_place_in_time(scanning):
    device = unit_of(lambda t: 1e-3 * t)
    unit = scanning(device, mode="buffered")
    unit.start()
    unit.clock.sleep(5.0)
    unit.read(100)
    device.write(b"ABOR\n", unit.clock.now())
    for _ in range(6):
        unit.clock.sleep(5.0)
        block = unit.read(100)
    assert "was started again" in unit.take_notes()[0].text
    assert block.values[-1, 1] == pytest.approx(20.0 * 1e-3 * block.t[-1], abs=0.03)


def test_one_reading_that_is_out_of_line_is_flagged_and_a_step_is_not(scanning):
    device = unit_of(lambda t: 4.0 if 20.0 <= t < 21.0 or t >= 30.0 else 1.0)
    unit = scanning(device, mode="buffered")
    unit.start()
    unit.clock.sleep_until(25.5)
    block = unit.read(100)
    flagged = block.quality[:, 1] & int(Quality.IMPLAUSIBLE) != 0
    assert block.values[flagged, 1] == pytest.approx(80.0)
    assert np.count_nonzero(flagged) == 1
    unit.clock.sleep_until(36.0)
    later = unit.read(100)
    assert not later.quality.any()
    assert later.values[-1, 1] == 80.0


@pytest.mark.parametrize("every", [1, 4, 100], ids="{} sweeps a read".format)
def test_a_ramp_is_good_however_fast_it_is(scanning, every):
    """30 kPa a sweep, where 10 kPa is the largest step of the channel: an interlock has to see it."""
    unit = scanning(unit_of(lambda t: min(max(0.0, 1.5 * (t - 20.0)), 9.0)), mode="buffered")
    unit.start()
    found = []
    while unit.clock.now() < 40.0:
        unit.clock.sleep(float(every))
        found.append(unit.read(100))
    values, quality = (np.concatenate(each)[:, 1] for each in zip(*((b.values, b.quality) for b in found), strict=True))
    assert not quality.any()
    assert values.max() == pytest.approx(180.0)
    assert np.count_nonzero((values > 5.0) & (values < 175.0)) >= 5


def test_one_sweep_a_read_is_judged_as_many_are_and_a_leap_comes_one_sweep_later(scanning):
    device = unit_of(lambda t: 4.0 if 20.0 <= t < 21.0 or t >= 30.0 else 1.0)
    unit = scanning(device, mode="buffered")
    unit.clock.sleep_until(9.6)
    unit.start()
    given, came_at = [], {}
    while unit.clock.now() < 40.0:
        unit.clock.sleep(1.0)
        block = unit.read(100)
        given.append(block)
        came_at |= {block.first + k: unit.clock.now() for k in range(len(block.t))}
    values, quality = (np.concatenate(each)[:, 1] for each in zip(*((b.values, b.quality) for b in given), strict=True))
    assert list(came_at) == list(range(len(values)))
    flagged = quality & int(Quality.IMPLAUSIBLE) != 0
    assert values[flagged] == pytest.approx([80.0])
    assert not flagged[0]
    step = int(np.flatnonzero((values > 50.0) & ~flagged)[0])
    lag = {index: at - (9.6 + index) for index, at in came_at.items()}
    assert lag[step] <= lag[step - 1] + 1.1
    assert lag[step + 1] == pytest.approx(lag[step - 1], abs=0.1)


def test_a_leap_after_which_nothing_comes_is_given_as_it_is(scanning):
    device = unit_of(lambda t: 4.0 if t >= 15.2 else 1.0)
    unit = scanning(device, mode="buffered")
    unit.clock.sleep_until(9.6)
    unit.start()
    unit.clock.sleep_until(15.9)
    assert unit.read(100).values[:, 1] == pytest.approx(20.0)
    device._scan.sweeps = device._scan.done  # it is done, as one whose scan was stopped
    unit.clock.sleep_until(16.2)
    assert len(unit.read(100).t) == 0
    unit.clock.sleep_until(22.0)
    block = unit.read(100)
    assert (block.first, list(block.quality[:, 1])) == (6, [0])
    assert block.values[:, 1] == pytest.approx([80.0])


@pytest.mark.parametrize("offset_s", [0.0, 0.017, 0.3])
def test_the_times_of_a_scan_may_be_off_its_timer_by_a_fixed_time(scanning, offset_s, monkeypatch):
    device = unit_of(lambda t: 1e-3 * t)
    sweep = device._sweep
    monkeypatch.setattr(device, "_sweep", lambda scan, since_s: sweep(scan, since_s + offset_s))
    unit = scanning(device, mode="buffered")
    unit.start()
    unit.clock.sleep(10.5)
    block = unit.read(100)
    assert (block.first, len(block.t)) == (0, 11)
    assert unit.take_notes() == []


def test_a_unit_that_does_not_scan_gives_nothing(scanning):
    unit = scanning(unit_of(), mode="buffered")
    with pytest.raises(InstrumentReplyError, match="start it first"):
        unit.read(10)
    unit.start()
    unit.stop()
    with pytest.raises(InstrumentReplyError, match="start it first"):
        unit.read(10)


# -- a bad wire


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_wire_does_a_reading_is_the_voltage_at_its_moment(metering, damaged, seed):
    device = Keysight34461A(volts=Value(creeping), noise=0.0)
    device.boot_s = 1.0
    meter = metering(device)
    struck = damaged(
        device, seed, drop=0.05, late=0.05, truncate=0.05, garble=0.05, duplicate=0.05, unsolicited=0.05, lf_only=0.05,
        drop_request=0.05, unplug=0.004, reboot=0.004,
    ).struck  # fmt: skip
    read = 0
    for k in range(500):
        meter.clock.sleep_until(10.0 + 4.3 * k)
        start = meter.clock.now()
        try:
            reading = meter.sample()
        except InstrumentError:
            continue
        finally:
            assert meter.clock.now() - start <= 3.0 + 1e-3
        if not reading.quality[0] & int(UNUSABLE):
            read += 1
            assert reading.values[0] == pytest.approx(20.0 * creeping(reading.t), abs=1e-4)
    assert read > 250
    assert min(struck.values()) >= 1


@pytest.mark.parametrize("mode", ["polled", "buffered"])
@pytest.mark.parametrize("kind", KINDS)
def test_three_transactions_after_a_fault_a_unit_reads_again(scanning, damaged, kind, mode):
    device = unit_of(creeping)
    device.boot_s = 1.0
    unit = scanning(device, mode=mode)
    if mode == "buffered":
        unit.start()
    read = (lambda: unit.read(1000)) if mode == "buffered" else unit.sample
    misbehaviour = damaged(device, 1, **{kind.replace("-", "_"): 0.5})
    for _ in range(10):
        unit.clock.sleep(2.0)
        try:
            read()
        except InstrumentError:
            continue
    assert misbehaviour.struck[kind]
    device.misbehaviour, device.frozen, device.saturated = None, False, False
    unit.clock.sleep(31.0)  # the plug is in again, and the next attempt to open the port is due
    failed = 0
    for _ in range(5):
        unit.clock.sleep(2.0)
        try:
            read()
        except InstrumentError:
            failed += 1
    assert failed <= 2
