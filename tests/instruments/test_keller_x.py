"""The driver of X-line transmitters in front of the simulated one, on a good wire and on a bad one."""

import math
import re
import struct
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.samples import Quality
from instruments.drivers.keller_x import KellerX, _framed, _intact
from instruments.instrument import (
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    load_driver,
)
from instruments.simulation.devices.keller_x import KellerXTransmitter
from instruments.simulation.misbehaviour import KINDS
from instruments.simulation.wire import ByteDevice
from instruments.visa import VisaSettings

TIMEOUT_S = 0.3


class Creeping:
    """A pressure that is never the same twice, so that an old reply cannot pass for a new one."""

    def at(self, t):
        return 20.0 + 0.01 * t


def bar(kpa):
    """A pressure as the four bytes carry it, in kPa again."""
    return struct.unpack(">f", struct.pack(">f", kpa / 100.0))[0] * 100.0


def true_at(t):
    """What a transmitter says that is asked at ``t``: its latest of 400 conversions a second."""
    return bar(Creeping().at(int(t * 400 + 1e-6) / 400))


class Script(ByteDevice):
    """Answers function 48 and 69 as it should, and 73 with what the test gives."""

    def __init__(self, reply):
        super().__init__()
        self.reply = reply
        self.asked = []

    def on_bytes(self, data, now):
        self.asked.append(data[1])
        known = {48: _framed(bytes((1, 48, 5, 20, 12, 28, 50, 1))), 69: _framed(bytes((1, 69, 0, 0, 0, 9)))}
        self.emit(known.get(data[1], self.reply), now + 0.01)


@pytest.fixture
def transmit(connected):
    """Function that opens a driver in front of a device."""
    return partial(connected, "keller-x", reference="gauge")


def value(pressure_bar, status=0):
    return _framed(struct.pack(">BBfB", 1, 73, pressure_bar, status))


def test_the_page_of_the_driver_lists_its_keys_and_channels(transmit):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "keller-x.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", page.partition("## In simulation")[0], re.MULTILINE))
    own = KellerX.settings_type.model_fields.keys() - VisaSettings.model_fields.keys()
    keys = {KellerX.settings_type.model_fields[name].alias or name for name in own}
    assert told == keys | {channel.name for channel in transmit(KellerXTransmitter(Creeping())).channels}


# -- readings


def test_the_name_leads_to_this_driver():
    assert load_driver("keller-x") is KellerX


def test_a_transmitter_tells_who_it_is(transmit):
    identity = transmit(KellerXTransmitter(Creeping())).identify()
    assert (identity.maker, identity.model, identity.serial) == ("Keller", "X-line 5.20", "55303")
    assert identity.firmware == "5.20-12.28"


def test_the_published_vector_is_read_in_kpa(transmit):
    reading = transmit(Script(bytes.fromhex("01 49 3F 81 B2 2D 00 D7 84"))).sample()
    assert reading.values == (pytest.approx(101.325, abs=1e-5), 0.0)
    assert reading.quality == (0, 0)


@given(kpa=st.floats(-99.0, 299.0))
@pytest.mark.parametrize("echo", [False, True])
def test_what_the_cell_sees_is_what_is_read(wired, echo, kpa):
    class Steady:
        def at(self, t):
            return kpa

    driver = wired("keller-x", KellerXTransmitter(Steady(), noise_kpa=0.0, echo=echo), reference="gauge", echo=echo)
    driver.open()
    assert driver.sample().values[0] == bar(kpa)


@pytest.mark.parametrize("reference", ["gauge", "absolute"])
def test_the_channel_has_the_reference_and_height_of_the_station_file(transmit, reference):
    driver = transmit(KellerXTransmitter(Creeping()), reference=reference, height="120 mm")
    channel = driver.channels[0]
    assert (channel.unit, channel.reference, channel.height_mm) == ("kPa", reference, 120.0)


@pytest.mark.parametrize(
    ("pressure_bar", "status", "quality"),
    [
        (0.5, 0x02, Quality.DEVICE_ERROR),
        (0.5, 0x3D, Quality.GOOD),  # other channels than the one that is read
        (0.5, 0x40, Quality.SATURATED),
        (0.5, 0x80, Quality.UNSTABLE),
        (math.nan, 0x00, Quality.DEVICE_ERROR),
        (math.inf, 0x40, Quality.OVERLOAD | Quality.SATURATED),
        (-math.inf, 0x00, Quality.UNDERLOAD),
    ],
)
def test_the_status_byte_and_what_is_no_number_flag_the_pressure(transmit, pressure_bar, status, quality):
    reading = transmit(Script(value(pressure_bar, status))).sample()
    assert reading.quality == (quality, 0)
    assert reading.values[1] == status
    assert math.isnan(reading.values[0]) == (not math.isfinite(pressure_bar))


def test_the_second_sensor_is_read_where_the_station_says_so(transmit):
    device = Script(value(0.5, 0x04))
    assert transmit(device, channel="P2").sample().quality[0] == Quality.DEVICE_ERROR


def test_a_transmitter_that_lost_its_power_is_initialised_again(transmit):
    device = KellerXTransmitter(Creeping(), noise_kpa=0.0)
    driver = transmit(device)
    device.reboot(driver.clock.now())
    driver.clock.sleep(2.0)  # in silence between two questions
    reading = driver.sample()
    assert reading.values[0] == true_at(reading.t)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (_framed(bytes((1, 0xC9, 2))), InstrumentRefusal),
        (_framed(bytes((1, 0xC9, 32))), InstrumentReplyError),
        (_framed(bytes((1, 69, 0, 0, 0, 9))), InstrumentReplyError),
        (value(0.5)[:-1] + b"\x00", InstrumentReplyError),
        (value(0.5) + value(0.6), InstrumentReplyError),
    ],
)
def test_nothing_but_a_whole_reply_to_the_question_is_a_reading(transmit, reply, error):
    driver = transmit(Script(reply))
    with pytest.raises(error):
        driver.sample()


def test_an_exception_costs_no_timeout(transmit):
    driver = transmit(Script(_framed(bytes((1, 0xC9, 2)))))
    start = driver.clock.now()
    with pytest.raises(InstrumentRefusal, match="no such channel"):
        driver.sample()
    assert driver.clock.now() - start < 0.05


def test_noise_before_a_frame_and_a_second_copy_of_it_do_no_harm(transmit):
    assert transmit(Script(b"\x00\xff\x01" + value(0.5))).sample().values[0] == 50.0
    assert transmit(Script(value(0.5) * 2)).sample().values[0] == 50.0


def test_a_frame_may_hold_what_ends_a_line_elsewhere(transmit):
    frame = _framed(bytes((1, 73, 0x0A, 0x0A, 0x0D, 0x0A, 0)))
    assert transmit(Script(frame)).sample().values[0] == struct.unpack(">f", b"\x0a\x0a\x0d\x0a")[0] * 100.0


@pytest.mark.parametrize(("adapter", "problem"), [(True, "write echo = true"), (False, "check `echo`")])
def test_a_wrong_echo_setting_is_named(wired, adapter, problem):
    device = KellerXTransmitter(Creeping(), echo=adapter)
    driver = wired("keller-x", device, reference="gauge", echo=not adapter)
    with pytest.raises(InstrumentDisconnected, match=problem):
        driver.open()


def test_a_transmitter_at_a_port_of_the_lan_is_read_as_well(transmit):
    driver = transmit(KellerXTransmitter(Creeping(), noise_kpa=0.0), resource="TCPIP::10.0.0.9::4001::SOCKET")
    reading = driver.sample()
    assert reading.values[0] == true_at(reading.t)


def test_the_only_transmitter_can_be_reached_without_its_address_whatever_it_answers_under(transmit):
    assert transmit(KellerXTransmitter(Creeping(), address=17), address=250).identify().serial == "55303"
    assert transmit(Script(value(0.5)), address=250).sample().values[0] == 50.0


# -- readiness


@pytest.mark.parametrize(
    ("pressure_bar", "status", "problem"), [(0.5, 0x02, "fault of its sensor"), (math.inf, 0, "out of range")]
)
def test_what_keeps_a_transmitter_from_a_run_is_said(transmit, pressure_bar, status, problem):
    (said,) = transmit(Script(value(pressure_bar, status))).probe()
    assert problem in said


def test_a_healthy_transmitter_is_ready_and_drives_nothing(transmit):
    driver = transmit(KellerXTransmitter(Creeping()))
    assert driver.probe() == []
    assert "drives nothing" in driver.make_safe()


# -- a bad wire


@given(st.binary(min_size=3, max_size=20), st.data())
def test_a_frame_with_one_damaged_byte_is_refused(content, draw):
    frame = bytearray(_framed(content))
    assert _intact(bytes(frame))
    place = draw.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= draw.draw(st.integers(1, 255))
    assert not _intact(bytes(frame))


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_wire_does_a_reading_is_the_pressure_at_its_moment(transmit, damaged, seed, echo):
    device = KellerXTransmitter(Creeping(), noise_kpa=0.0, echo=echo)
    driver = transmit(device, echo=echo)
    struck = damaged(
        device, seed, drop=0.05, late=0.05, truncate=0.05, flip=0.05, garble=0.05, duplicate=0.05, unsolicited=0.05,
        lf_only=0.05, drop_request=0.05, flip_request=0.05, unplug=0.004, reboot=0.004,
    ).struck  # fmt: skip
    read = 0
    for k in range(1500):
        driver.clock.sleep_until(10.0 + k)
        start = driver.clock.now()
        try:
            reading = driver.sample()
        except InstrumentError:
            continue
        finally:
            assert driver.clock.now() - start <= 3 * TIMEOUT_S + 1e-9
        read += 1
        assert reading.values == (true_at(reading.t), 0.0)
    assert read > 600
    assert min(struck.values()) >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_three_transactions_after_a_fault_the_readings_are_right_again(transmit, damaged, kind):
    device = KellerXTransmitter(Creeping(), noise_kpa=0.0)
    driver = transmit(device)
    for trial in range(8):
        misbehaviour = damaged(device, trial, **{kind.replace("-", "_"): 0.5})
        for _ in range(20):
            driver.clock.sleep(1.0)
            try:
                reading = driver.sample()
            except InstrumentError:
                continue
            assert kind == "freeze" or reading.quality[0] & Quality.OVERLOAD or reading.values[0] == true_at(reading.t)
        assert misbehaviour.struck[kind]
        device.misbehaviour, device.frozen, device.saturated = None, False, False
        driver.clock.sleep(31.0)  # the plug is in again, and the next attempt to open the port is due
        failed = 0
        for k in range(10):
            driver.clock.sleep(1.0)
            try:
                reading = driver.sample()
            except InstrumentError:
                failed += 1
                assert k < 3
            else:
                assert reading.values[0] == true_at(reading.t)
        assert failed <= 2
