"""The driver of Coriolis meters in front of the simulated one, on a good wire and on a bad one."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.samples import UNUSABLE, Quality
from instruments.drivers.bronkhorst_propar import (
    _SAMPLE,
    _UNIT,
    BronkhorstPropar,
    Item,
    _asking,
    _framed,
    _unframed,
    _values,
)
from instruments.instrument import (
    InstrumentDisconnected,
    InstrumentError,
    InstrumentRefusal,
    InstrumentReplyError,
    load_driver,
)
from instruments.simulation.devices.bronkhorst_propar import CoriFlowMeter
from instruments.simulation.misbehaviour import KINDS
from instruments.visa import VisaSettings

MEASURE, CAPACITY, LONG_UNIT = Item(1, 0, 0x20), Item(1, 13, 0x40), Item(1, 31, 0x60)
TIMEOUT_S = 0.3


def flow_in(second):
    return 1200.0 + second % 89 + 3000.0 * (second // 97 % 2)


class Steps:
    """A volume in uL whose flow, in uL/h, is another one in each second and makes steps of 3 mL/h every 97 s."""

    def __init__(self, seconds=12_000):
        self.sums = [0.0]
        for k in range(seconds):
            self.sums.append(self.sums[-1] + flow_in(k) / 3600.0)

    def at(self, t):
        whole = math.floor(t)
        return self.sums[whole] + (t - whole) * flow_in(whole) / 3600.0


STEPS = Steps()


class Steady:
    def __init__(self, value=0.0, per_s=0.0):
        self.value, self.per_s = value, per_s

    def at(self, t):
        return self.value + self.per_s * t


def quiet(volume=STEPS, **settings):
    return CoriFlowMeter(volume, noise_mg_per_h=0.0, density_noise_g_per_ml=0.0, **settings)


def true_at(t):
    """Flow of the conversion that is latest at ``t``: the mean over half a second, 20 times a second."""
    at = int(t * 20 + 1e-6) / 20
    return (STEPS.at(at) - STEPS.at(at - 0.5)) / 0.5 * 3600.0


@pytest.fixture
def metering(wired):
    """Function that opens a driver in front of a device; its clock begins a second later."""

    def metering(device, **settings):
        driver = wired("bronkhorst-propar", device, **settings)
        driver.clock.sleep(1.0)
        driver.open()
        return driver

    return metering


def test_the_page_of_the_driver_lists_its_keys_and_channels(wired):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "bronkhorst-propar.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", page.partition("## In simulation")[0], re.MULTILINE))
    own = BronkhorstPropar.settings_type.model_fields.keys() - VisaSettings.model_fields.keys()
    keys = {BronkhorstPropar.settings_type.model_fields[name].alias or name for name in own}
    assert told == keys | {channel.name for channel in wired("bronkhorst-propar", quiet()).channels}


# -- frames


def test_a_request_for_the_measure_is_that_of_the_manual():
    assert _framed(3, _asking([MEASURE], 1)) == b":06030401210120\r\n"


def test_a_chain_of_capacity_and_unit_is_that_of_the_manual():
    assert _framed(3, _asking([CAPACITY, LONG_UNIT], 1)) == b":0A030401C1014D62017F00\r\n"


def test_a_chain_over_processes_is_that_of_the_manual():
    serial, tag = Item(113, 3, 0x60), Item(113, 6, 0x60)
    chain = [serial, tag, MEASURE, CAPACITY, _UNIT, Item(1, 17, 0x60, 10)]
    told = _framed(3, _asking(chain, 12))
    assert told == b":1A0304F1EC7163006D71660001AE0120CF014DF0017F077101710A\r\n"


@given(st.binary(min_size=1, max_size=60), st.integers(0, 255))
def test_data_survive_their_frame(data, node):
    assert _unframed(_framed(node, data)) == bytes((node,)) + data


@given(st.binary(max_size=80))
def test_what_is_no_frame_is_none(data):
    body = _unframed(data)
    assert body is None or _framed(body[0], body[1:]).rstrip() == data.rstrip()


@given(index=st.integers(0, 31), other=st.integers(0, 31))
def test_an_answer_counts_under_its_own_index_alone(index, other):
    data = bytes((2, 1, 0x20 | index, 0x3E, 0x80))
    assert _values([MEASURE], index, data) == [16_000]
    assert index == other or _values([MEASURE], other, data) is None
    assert _values([MEASURE], index, data[:-1]) is None
    assert _values([MEASURE], index, data + b"\x00") is None


# -- readings


def test_the_name_leads_to_this_driver():
    assert load_driver("bronkhorst-propar") is BronkhorstPropar


def test_a_meter_tells_who_it_is(metering):
    identity = metering(quiet()).identify()
    assert (identity.maker, identity.model) == ("Bronkhorst", "CORIFM M12V14I-AGD-22-0-S")
    assert (identity.serial, identity.firmware) == ("M21200123A", "V8.03")


@pytest.mark.parametrize("unit", ["g/h", "mg/min", "kg/d", "ug/s"])
@pytest.mark.parametrize("address", [3, 128])
def test_volume_flow_is_mass_flow_by_the_measured_density(metering, unit, address):
    driver = metering(quiet(unit=unit), address=address)
    flow, mass, _, density, degc, measure, alarm = driver.sample().values
    assert flow == pytest.approx(mass / density, rel=1e-6)
    assert flow == pytest.approx(true_at(1.0), rel=0.01)
    assert (degc, alarm) == (22.0, 0.0)
    assert density == pytest.approx(0.99777, abs=1e-5)
    assert measure > 0.0


def test_a_stated_density_is_used_and_one_that_is_wrong_is_told(metering):
    driver = metering(quiet(), density="1.05 g/mL")
    flow, mass = driver.sample().values[:2]
    assert flow == pytest.approx(mass / 1.05)
    assert driver.probe() == ["it measures a density of 0.9978 g/mL where 1.05 g/mL is stated; correct one"]
    assert metering(quiet(relative_density=1.0), density="0.998 g/mL").probe() == []


def test_the_counter_is_in_milligrams_and_one_of_another_kind_has_no_value(metering):
    device = quiet(Steady(0.0, 1.0), counter_unit="kg")
    driver = metering(device)
    first = driver.sample()
    driver.clock.sleep(9.0)
    assert driver.sample().values[2] - first.values[2] == pytest.approx(9.0, abs=0.2)
    device.counter_unit = "ln"
    device._parameters[(104, 1)] = device._parameters[(1, 13)]
    reading = driver.sample()
    assert math.isnan(reading.values[2])
    assert reading.quality[2] == Quality.DEVICE_ERROR


def test_air_and_the_end_of_the_range_and_alarms_are_flagged(metering):
    device = quiet(air=Steady(1.0))
    driver = metering(device)
    assert driver.sample().quality[0] & Quality.AIR
    device.air = None
    assert driver.sample().quality[0] == 0
    device.saturated = True
    assert driver.sample().quality[:2] == (Quality.SATURATED, Quality.SATURATED)
    device.saturated, device.alarm = False, 0x81
    assert driver.sample().quality[0] == Quality.DEVICE_ERROR
    assert driver.probe() == ["it reports an error", "it reports a hardware fault"]


def test_a_flow_backwards_is_negative_in_counts_too(metering):
    values = metering(quiet(Steady(100.0, -0.1))).sample().values
    assert (values[0] < 0.0, values[5] < 0.0) == (True, True)


def test_another_unit_is_refused_with_what_to_do(metering):
    device = quiet()
    device.unit = "mln/min"
    with pytest.raises(InstrumentDisconnected, match=r'measures in "mln/min"; set its capacity unit'):
        metering(device)


def test_a_unit_that_somebody_changes_is_followed(metering):
    device = quiet()
    driver = metering(device)
    before = driver.sample().values[0]
    device.unit, device._mg_per_h = "mg/min", 60.0
    assert driver.sample().values[0] == pytest.approx(before, rel=0.05)


def test_another_meter_and_another_node_are_refused(metering):
    with pytest.raises(InstrumentDisconnected, match="M21200123A"):
        metering(quiet(), serial="M99")
    with pytest.raises(InstrumentDisconnected, match="does not answer as it should"):
        metering(quiet(), address=7)


def test_a_parameter_that_it_does_not_have_is_a_refusal(wired):
    device = quiet()
    del device._parameters[(113, 1)]
    driver = wired("bronkhorst-propar", device)
    with pytest.raises(InstrumentDisconnected, match="it has no such parameter") as told:
        driver.open()
    assert isinstance(told.value.__cause__, InstrumentRefusal)


def test_two_replies_to_one_request_are_none(metering):
    device = quiet()
    driver = metering(device)
    answer = device._answer
    twice = {True: b":06030201213E80\r\n", False: b""}  # beside a reading alone
    device._answer = lambda message, now: answer(message, now) + twice[len(message.data) > 20]
    with pytest.raises(InstrumentReplyError, match="more than one reply"):
        driver.sample()


def test_a_meter_drives_nothing_and_is_told_nothing(metering):
    device = quiet()
    heard = []
    write = device._written
    device._written = lambda data: heard.append(data) or write(data)
    driver = metering(device)
    driver.sample()
    assert driver.make_safe() == "a flow meter drives nothing"
    assert heard == []


def test_a_reading_of_seven_values_fits_between_two_samples(metering):
    assert len(_framed(128, _asking(_SAMPLE, 0))) / 3840.0 < 0.03
    assert metering(quiet()).period_s == 0.2


# -- a bad wire


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_wire_does_a_reading_is_the_flow_at_its_moment(metering, damaged, seed):
    device = quiet()
    driver = metering(device)
    struck = damaged(
        device, seed, drop=0.05, late=0.05, truncate=0.05, garble=0.05, duplicate=0.05, unsolicited=0.05, lf_only=0.05,
        drop_request=0.05, unplug=0.004, reboot=0.004,
    ).struck  # fmt: skip
    read = 0
    for k in range(600):
        driver.clock.sleep_until(10.0 + 3.3 * k)
        start = driver.clock.now()
        try:
            reading = driver.sample()
        except InstrumentError:
            continue
        finally:
            assert driver.clock.now() - start <= 3 * TIMEOUT_S + 1e-9
        if not reading.quality[0] & int(UNUSABLE):
            read += 1
            assert reading.values[0] == pytest.approx(true_at(reading.t), rel=1e-5)
    assert read > 250
    assert min(struck.values()) >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_three_transactions_after_a_fault_the_readings_are_right_again(metering, damaged, kind):
    device = quiet()
    driver = metering(device)
    misbehaviour = damaged(device, 1, **{kind.replace("-", "_"): 0.5})
    for _ in range(20):
        driver.clock.sleep(1.0)
        try:
            driver.sample()
        except InstrumentError:
            continue
    assert misbehaviour.struck[kind]
    device.misbehaviour, device.frozen, device.saturated = None, False, False
    driver.clock.sleep(31.0)  # the plug is in again, and the next attempt to open the port is due
    failed = 0
    for _ in range(6):
        driver.clock.sleep(1.0)
        try:
            reading = driver.sample()
        except InstrumentError:
            failed += 1
        else:
            assert reading.values[0] == pytest.approx(true_at(reading.t), rel=1e-5)
    assert failed <= 2


def test_a_value_that_is_no_number_is_no_reading(metering):
    device = quiet()
    driver = metering(device)
    device.density_error_g_per_ml = math.nan
    with pytest.raises(InstrumentReplyError, match="no number"):
        driver.sample()
