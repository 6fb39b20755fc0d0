"""The flow sensor driver in front of the simulated cable, on a good wire and on a bad one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data.samples import Quality
from instruments.drivers.sensirion_shdlc import ShdlcSettings, _framed, _unframed
from instruments.instrument import (
    InstrumentDisconnected,
    InstrumentError,
    InstrumentReplyError,
    InstrumentTimeout,
)
from instruments.sample_index import SampleIndex
from instruments.simulation.devices.sensirion_shdlc import ShdlcFlowSensor

LG16 = {"model": "LG16-0150", "crystal_ppm": 0.0}
SLF3S = {"model": "SLF3S-0600F", "crystal_ppm": 0.0}


class Flow:
    """A flow in nL/min as a function of the sample's index; one count of an LG16 is 0.25 nL/min."""

    def __init__(self, of_index):
        self.of_index = of_index

    def at(self, t):
        return float(self.of_index(np.array([0]))[0])

    def samples(self, t0, dt, first, n):
        return np.asarray(self.of_index(np.arange(first, first + n)), dtype=float)


def constant(value):
    return Flow(lambda index: np.full(len(index), value))


def numbered():
    """Counts that tell the index, so that a shift cannot hide."""
    return Flow(lambda index: 0.25 * (index % 30_000))


@pytest.fixture
def flowing(wired):
    """Function that opens and starts a driver in front of a sensor."""

    def flowing(device, raw_errors=False, **settings):
        sensor = wired("sensirion-shdlc", device, raw_errors=raw_errors, **settings)
        sensor.open()
        sensor.start()
        return sensor

    return flowing


def gather(sensor, seconds, every=4.0, most=48):
    """Read for a while; returns indices, nominal times, counts and errors."""
    first, t, counts, errors = [], [], [], []
    end = sensor.clock.now() + seconds
    due = sensor.clock.now()
    while due < end:
        due += every
        sensor.clock.sleep_until(due)
        try:
            block = sensor.read(most)
        except InstrumentError as error:
            errors.append(error)
            continue
        first.append(np.arange(block.first, block.first + len(block.t)))
        t.append(block.t)
        counts.append(block.values[:, 1])
    return np.concatenate(first), np.concatenate(t), np.concatenate(counts), errors


# -- frames


@pytest.mark.parametrize(
    ("command", "data", "frame"),
    [
        (0xD0, "03", "7E 00 D0 01 03 2B 7E"),
        (0x24, "", "7E 00 24 00 DB 7E"),
        (0x25, "11", "7E 00 25 01 7D 31 C8 7E"),
        (0x53, "36 08", "7E 00 53 02 36 08 6C 7E"),
        (0x33, "00 64 36 08", "7E 00 33 04 00 64 36 08 26 7E"),
        (0x36, "03", "7E 00 36 01 03 C5 7E"),
        (0xEE, "", "7E 00 EE 00 7D 31 7E"),
    ],
)
def test_frames_are_those_of_the_reference(command, data, frame):
    assert _framed(0, command, bytes.fromhex(data)) == bytes.fromhex(frame)


def test_a_reply_of_the_reference_is_taken_apart():
    reply = "7E 00 36 00 14 00 00 00 00 00 00 00 03 00 69 12 5C 00 00 00 68 12 5D 00 00 04 7E"
    body = _unframed(bytes.fromhex(reply))
    assert body[:4] == bytes((0, 0x36, 0, 0x14))
    assert _unframed(bytes.fromhex("7E 00 35 00 06 7D 5E 7D 31 12 5C 00 01 C6 7E"))[4:6] == b"\x7e\x11"


@given(st.binary(max_size=200), st.data())
def test_a_frame_with_a_flipped_bit_is_refused(data, draw):
    content = bytes((0, 0x36, 0, len(data))) + data
    content += bytes((~sum(content) & 0xFF,))
    for plain, stuffed in (
        (b"\x7d", b"\x7d\x5d"),
        (b"\x7e", b"\x7d\x5e"),
        (b"\x11", b"\x7d\x31"),
        (b"\x13", b"\x7d\x33"),
    ):
        content = content.replace(plain, stuffed)
    assert _unframed(b"\x7e" + content + b"\x7e")[4:] == data
    place = draw.draw(st.integers(0, len(content) - 1))
    flipped = bytearray(content)
    flipped[place] ^= 1 << draw.draw(st.integers(0, 7))
    assert _unframed(b"\x7e" + bytes(flipped) + b"\x7e") is None


@given(st.binary(max_size=40))
def test_noise_is_no_frame_or_an_intact_one(noise):
    body = _unframed(noise)
    assert body is None or body[3] == len(body) - 4


# -- who it is, and its unit


def test_an_sf06_sensor_tells_who_it_is(flowing):
    identity = flowing(ShdlcFlowSensor(constant(0.0), **SLF3S), family="SF06").identify()
    assert (identity.maker, identity.model) == ("Sensirion", "SLF3S-0600F")
    assert identity.serial == "0000000000000008"
    assert identity.firmware == "1.8 (cable FT3XYZ01)"


def test_an_sf04_sensor_tells_who_it_is(flowing):
    assert flowing(ShdlcFlowSensor(constant(0.0), **LG16)).identify().model == "LG16-0150"


def test_the_wrong_family_is_named(wired):
    sensor = wired("sensirion-shdlc", ShdlcFlowSensor(constant(0.0), **SLF3S))
    with pytest.raises(InstrumentReplyError, match="sensor type 3, which is not SF04; correct the family"):
        sensor.open()


@pytest.mark.parametrize(
    ("model", "family", "nl_per_min", "counts"),
    [("LG16-0150", "SF04", 694.5, 2778), ("SLF3S-0600F", "SF06", 10_500.0, 105), ("SLF3S-1300F", "SF06", 1e6, 500)],
)
def test_flow_comes_in_microlitres_per_hour_and_the_counts_are_kept(flowing, model, family, nl_per_min, counts):
    sensor = flowing(ShdlcFlowSensor(constant(nl_per_min), model=model), family=family)
    sensor.clock.sleep(1.05)
    block = sensor.read(100)
    assert block.values[:, 1] == pytest.approx(counts)
    assert block.values[:, 0] == pytest.approx(nl_per_min * 60.0 / 1000.0)
    assert not block.quality.any()


@pytest.mark.parametrize(
    ("word", "ul_per_h"), [(0x0843, 0.06), (0x0844, 60.0), (0x0845, 60_000.0), (0x0855, 1000.0), (0x0834, 3600.0)]
)
def test_unit_words_are_read(wired, word, ul_per_h):
    sensor = wired("sensirion-shdlc", ShdlcFlowSensor(constant(0.0), **LG16))
    assert sensor._ul_per_h(word) == pytest.approx(ul_per_h, rel=1e-12)


@pytest.mark.parametrize("word", [0x0043, 0x0943, 0x0803, 0x0849])
def test_a_unit_that_is_no_liquid_flow_is_refused(wired, word):
    sensor = wired("sensirion-shdlc", ShdlcFlowSensor(constant(0.0), **LG16))
    with pytest.raises(InstrumentReplyError, match=f"unit {word:04x}"):
        sensor._ul_per_h(word)


def test_the_scale_of_the_station_file_wins(flowing):
    sensor = flowing(ShdlcFlowSensor(constant(100.0), **LG16), count="0.5 nL/min")
    sensor.clock.sleep(1.05)
    assert sensor.read(100).values[0, 0] == pytest.approx(400 * 0.5 * 0.06)


def test_an_sf04_sensor_is_not_asked_faster_than_it_measures():
    with pytest.raises(ValidationError, match="80 ms"):
        ShdlcSettings.model_validate({"resource": "ASRL1::INSTR", "interval": "50 ms"})


# -- quality


@pytest.mark.parametrize(("device", "family"), [(LG16, "SF04"), (SLF3S, "SF06")])
def test_a_reading_at_the_end_of_the_range_is_saturated(flowing, device, family):
    flow = Flow(lambda index: np.where(index % 4 == 1, 1e9, np.where(index % 4 == 3, -1e9, 1000.0)))
    sensor = flowing(ShdlcFlowSensor(flow, **device), family=family)
    sensor.clock.sleep(2.05)
    quality = sensor.read(100).quality[:, 0]
    assert quality[1::2].tolist() == [int(Quality.SATURATED)] * len(quality[1::2])
    assert not quality[::2].any()


def test_the_full_scale_of_the_station_file_counts(flowing):
    sensor = flowing(ShdlcFlowSensor(Flow(lambda i: 900.0 + 20.0 * (i % 10)), **LG16), full_scale="1 uL/min")
    sensor.clock.sleep(1.05)
    block = sensor.read(10)
    assert ((block.quality[:, 0] & Quality.SATURATED) != 0).tolist() == (block.values[:, 0] >= 60.0 - 1e-9).tolist()


def test_air_in_the_line_is_flagged_and_the_temperature_is_read(flowing):
    air = Flow(lambda index: (index % 3 == 0).astype(float))
    warm = Flow(lambda index: 36.5 + 0.0 * index)
    sensor = flowing(ShdlcFlowSensor(constant(20e3), air=air, temperature=warm, **SLF3S), family="SF06")
    sensor.clock.sleep(1.25)
    block = sensor.read(100)
    assert [channel.name for channel in sensor.channels] == ["flow", "counts", "temperature", "flags"]
    assert block.values[:, 2] == pytest.approx(36.5)
    assert ((block.quality[:, 0] & Quality.AIR) != 0).tolist() == [k % 3 == 0 for k in range(len(block.t))]
    assert block.values[:, 3].tolist() == [float(k % 3 == 0) for k in range(len(block.t))]
    assert not block.quality[:, 1:].any()


def test_a_device_error_flags_its_samples_and_is_cleared(flowing):
    device = ShdlcFlowSensor(constant(100.0), **LG16)
    sensor = flowing(device)
    device.fault(4)
    sensor.clock.sleep(1.05)
    assert (sensor.read(100).quality[:, 0] == Quality.DEVICE_ERROR).all()
    sensor.clock.sleep(1.0)
    assert not sensor.read(100).quality.any()
    (note,) = sensor.take_notes()
    assert "00000004" in note.text


# -- time and index


@pytest.mark.parametrize(("device", "family"), [(LG16, "SF04"), (SLF3S, "SF06")])
def test_every_sample_comes_once_and_in_order(flowing, device, family):
    scale = 1.0 if family == "SF04" else 400.0  # one count of the SLF3S is 100 nL/min
    sensor = flowing(ShdlcFlowSensor(Flow(lambda i: 0.25 * scale * (i % 30_000)), **device), family=family)
    index, t, counts, errors = gather(sensor, 1000.0, every=sensor.read_period_s, most=200)
    assert errors == []
    assert index.tolist() == list(range(len(index)))
    assert counts.tolist() == [float(k % 30_000) for k in index]
    assert len(index) == pytest.approx(10_000, abs=sensor.read_period_s * 10)
    assert np.diff(t) == pytest.approx(0.1)
    assert sensor.take_notes() == []


def test_how_reads_are_cut_changes_nothing(flowing):
    every, most = zip((1.0, 12), (4.0, 48), (30.0, 400), (4.0, 7), strict=True)
    taken = []
    for seconds, count in zip(every, most, strict=True):
        sensor = flowing(ShdlcFlowSensor(numbered(), crystal_ppm=60.0))
        index, _, counts, _ = gather(sensor, 120.0, every=seconds, most=count)
        assert index.tolist() == list(range(len(index)))
        taken.append(counts[:200].tolist())
    assert taken == [taken[0]] * 4


def test_the_anchor_follows_a_crystal_that_is_off(flowing):
    sensor = flowing(ShdlcFlowSensor(numbered(), crystal_ppm=70.0))
    sent_s = sensor.clock.now()
    gather(sensor, 5000.0)
    t, count = sensor.anchor()
    assert (t - sent_s) / count == pytest.approx(0.1 * (1 + 70e-6), rel=2.5e-5)


def test_a_read_never_waits_and_may_be_empty(flowing):
    sensor = flowing(ShdlcFlowSensor(numbered(), **LG16))
    start = sensor.clock.now()
    block = sensor.read(100)
    assert len(block.t) == 0
    assert block.values.shape == (0, 2)
    assert sensor.clock.now() - start < 0.02


def test_a_sensor_that_was_not_started_gives_nothing(wired):
    sensor = wired("sensirion-shdlc", ShdlcFlowSensor(numbered(), **LG16))
    sensor.open()
    with pytest.raises(InstrumentReplyError, match="start it first"):
        sensor.read(10)


def test_a_stopped_sensor_can_start_again(flowing):
    sensor = flowing(ShdlcFlowSensor(numbered(), **LG16))
    gather(sensor, 20.0)
    sensor.stop()
    sensor.start()
    sensor.clock.sleep(1.05)
    assert sensor.read(100).first == 0


# -- holes


@pytest.mark.parametrize(("model", "family"), [("LG16-0150", "SF04"), ("SLF3S-0600F", "SF06")])
def test_a_ring_that_ran_over_leaves_a_hole_and_no_shift(flowing, model, family):
    scale = 1.0 if family == "SF04" else 400.0
    flow = Flow(lambda i: 0.25 * scale * (i % 30_000))
    sensor = flowing(ShdlcFlowSensor(flow, model=model, ring_samples=200, crystal_ppm=40.0), family=family)
    gather(sensor, 60.0)
    sensor.clock.sleep(60.0)
    index, _, counts, _ = gather(sensor, 60.0)
    assert index[0] > 700
    slip = index - counts
    assert (slip == slip[0]).all()
    assert abs(slip[0]) <= 1
    (note,) = sensor.take_notes()
    assert "samples are missing" in note.text


def test_a_lost_count_in_bytes_is_recognised_by_the_time_that_has_passed():
    index = SampleIndex(0.1)
    index.begin(0.0)
    index.next = 100
    index.emptied(10.0)
    missing = index.missing(60.0, 200, doubtful=False)
    assert index.nearest(missing, (300, 300 // 6)) == 300
    assert index.nearest(missing, (1800, 1800 // 6)) == 300


def test_from_the_start_the_index_knows_what_was_acquired():
    index = SampleIndex(0.1)
    index.begin(3.0)
    assert index.zero_s == 3.1
    for t, acquired in ((3.05, 0), (3.1, 1), (3.15, 1), (4.05, 10)):
        assert index.missing(t, 0, doubtful=True) == acquired
        assert index.missing(t, acquired, doubtful=True) == 0


@pytest.mark.parametrize("ppm", [-80.0, 5.0, 80.0])
def test_an_outage_of_hours_is_bridged_to_the_sample_once_the_crystal_is_known(ppm):
    interval = 0.1 * (1 + ppm * 1e-6)
    index = SampleIndex(0.1)
    index.begin(0.0)
    for k in range(1, 20_000):
        index.next = math.floor(4.0 * k / interval)
        index.emptied(4.0 * k)
    t = 4.0 * 20_000 + 2 * 3600.0
    assert index.missing(t, 0, doubtful=True) + index.next == pytest.approx(t / interval, abs=1.1)


def test_a_wrong_guess_is_made_good_by_the_next_one():
    index = SampleIndex(0.1)
    index.begin(0.0)
    for k in range(1, 200):
        index.next = 40 * k + (k > 190)  # one sample was guessed that never was
        index.emptied(4.0 * k + 0.05)
    assert index.missing(804.05, 40, doubtful=True) == 8040 - 40 - index.next


def test_a_lost_reply_takes_its_samples_with_it_and_shifts_nothing(flowing, damaged):
    device = ShdlcFlowSensor(numbered(), crystal_ppm=-50.0)
    sensor = flowing(device)
    gather(sensor, 40.0)
    damaged(device, drop=1.0)
    sensor.clock.sleep(4.0)
    with pytest.raises(InstrumentTimeout):
        sensor.read(48)
    device.misbehaviour = None
    index, _, counts, errors = gather(sensor, 40.0)
    assert errors == []
    assert index[0] >= 435
    assert np.abs(index - counts).max() <= 1


def test_an_unplugged_sensor_starts_again_and_its_index_goes_on_by_time(flowing):
    device = ShdlcFlowSensor(numbered(), crystal_ppm=0.0)
    sensor = flowing(device)
    gather(sensor, 40.0)
    device.unplug(sensor.clock.now(), 20.0)
    before = sensor.anchor()
    index, _, _, errors = gather(sensor, 120.0)
    assert all(isinstance(error, InstrumentDisconnected) for error in errors)
    assert 3 <= len(errors) <= 16
    since, count = before
    now, total = sensor.anchor()
    assert total - count == pytest.approx((now - since) / 0.1, abs=1.5)
    assert (np.diff(index) >= 1).all()
    assert index[0] >= count + 200
    assert any("started again" in note.text for note in sensor.take_notes())


def test_a_sensor_that_lost_power_behind_an_open_port_is_started_again(flowing):
    device = ShdlcFlowSensor(numbered(), crystal_ppm=0.0)
    sensor = flowing(device)
    gather(sensor, 40.0)
    device.reboot(sensor.clock.now())
    gather(sensor, 20.0)
    now, total = sensor.anchor()
    assert total == pytest.approx(now / 0.1, abs=2.5)
    assert any("started again" in note.text for note in sensor.take_notes())


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_wire_does_a_sample_stands_at_its_time(flowing, damaged, seed):
    """The flow tells its own time, so each stored count says when it was measured."""
    device = ShdlcFlowSensor(numbered(), crystal_ppm=30.0)
    sensor = flowing(device)
    struck = damaged(
        device, seed, drop=0.03, late=0.03, truncate=0.03, flip=0.03, garble=0.03, duplicate=0.03, unsolicited=0.03
    ).struck
    index, _, counts, errors = gather(sensor, 2000.0)
    assert (np.diff(index) >= 1).all()
    slip = np.abs(index % 30_000 - counts)
    assert slip.max() <= 2
    assert len(index) > 10_000
    assert len(errors) > 10
    assert min(struck[kind] for kind in ("drop", "late", "truncate", "flip", "duplicate", "unsolicited")) > 3
