"""The simulated flow sensor and its cable, byte for byte."""

import struct

import numpy as np
import pytest
import pyvisa
from hypothesis import given
from hypothesis import strategies as st

from instruments.clock import VirtualClock
from instruments.simulation.devices.sensirion_shdlc import MODELS, ShdlcFlowSensor
from instruments.simulation.devices.shdlc.frame import FrameAssembler, checksum, reply_frame, unpack_request
from instruments.simulation.visalib import SimulatedVisa

STUFFING = ((b"\x7d", b"\x7d\x5d"), (b"\x7e", b"\x7d\x5e"), (b"\x11", b"\x7d\x31"), (b"\x13", b"\x7d\x33"))


class Flow:
    """A signal as a function of time; it counts how often it is asked."""

    def __init__(self, value):
        self.value = value if callable(value) else lambda t: value + 0.0 * t
        self.calls = 0

    def at(self, t):
        return float(self.value(t))

    def samples(self, t0, dt, first, n):
        self.calls += 1
        return self.value(t0 + np.arange(first, first + n) * dt)


def frame(command, data=b"", address=0):
    content = bytes((address, command, len(data))) + data
    content += bytes((~sum(content) & 0xFF,))
    for plain, stuffed in STUFFING:
        content = content.replace(plain, stuffed)
    return b"\x7e" + content + b"\x7e"


def raw(sensor, request, now=0.0):
    sensor.write(request, now)
    return sensor.read_ready(now + 1.0)


def ask(sensor, command, data=b"", now=0.0):
    """Payload and state byte of the reply to one command."""
    body = raw(sensor, frame(command, data), now)[1:-1]
    for plain, stuffed in (
        (b"\x13", b"\x7d\x33"),
        (b"\x11", b"\x7d\x31"),
        (b"\x7e", b"\x7d\x5e"),
        (b"\x7d", b"\x7d\x5d"),
    ):
        body = body.replace(stuffed, plain)
    assert body[1] == command
    assert body[3] == len(body) - 5
    assert sum(body) & 0xFF == 0xFF
    return body[4:-1], body[2]


def slf(flow=10_500.0, **changes):
    changes = {"crystal_ppm": 0.0, "temperature": Flow(23.5)} | changes
    return ShdlcFlowSensor(Flow(flow), model="SLF3S-0600F", **changes)


def lg16(flow=694.25, **changes):
    return ShdlcFlowSensor(Flow(flow), model="LG16-0150", **({"crystal_ppm": 0.0} | changes))


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        ("7E 00 D0 01 03 2B 7E", "7E 00 D0 00 09 46 54 33 58 59 5A 30 31 00 ED 7E"),
        ("7E 00 D1 00 2E 7E", "7E 00 D1 00 07 01 08 00 01 00 01 00 1C 7E"),
        ("7E 00 D2 01 01 2B 7E", "7E 00 D2 00 05 00 00 00 00 00 28 7E"),
        ("7E 00 24 00 DB 7E", "7E 00 24 00 01 03 D7 7E"),
        ("7E 00 24 01 03 D7 7E", "7E 00 24 00 00 DB 7E"),
        ("7E 00 25 01 7D 31 C8 7E", "7E 00 25 00 00 DA 7E"),
        ("7E 00 53 02 36 08 6C 7E", "7E 00 53 00 06 00 0A 08 44 00 00 50 7E"),
        ("7E 00 33 04 00 64 36 08 26 7E", "7E 00 33 00 00 CC 7E"),
        ("7E 00 33 00 CC 7E", "7E 00 33 00 00 CC 7E"),
        ("7E 00 34 00 CB 7E", "7E 00 34 00 00 CB 7E"),
        ("7E 00 37 01 01 C6 7E", "7E 00 37 00 00 C8 7E"),
        ("7E 00 39 00 C6 7E", "7E 00 39 00 00 C6 7E"),
        ("7E 00 EE 00 7D 31 7E", "7E 00 EE 02 00 0F 7E"),
    ],
)
def test_the_cable_answers_the_examples_byte_for_byte(request_hex, reply_hex):
    assert raw(slf(), bytes.fromhex(request_hex)) == bytes.fromhex(reply_hex)


def test_a_stuffed_byte_comes_back_stuffed():
    sensor = slf()
    assert raw(sensor, bytes.fromhex("7E 00 25 01 7D 5E 5B 7E")) == bytes.fromhex("7E 00 25 00 00 DA 7E")
    assert raw(sensor, bytes.fromhex("7E 00 25 00 DA 7E"), 2.0) == bytes.fromhex("7E 00 25 00 01 7D 5E 5B 7E")


def test_the_product_id_and_serial_number_have_twenty_four_digits():
    sensor = slf(sensor_serial="1A2B8")
    assert raw(sensor, bytes.fromhex("7E 00 50 00 AF 7E")).startswith(bytes.fromhex("7E 00 50 00 19 30 37 30 33 30 33"))
    assert ask(sensor, 0x50, b"", 2.0)[0] == b"07030302" + b"000000000001A2B8" + b"\x00"


def test_the_running_interval_is_told_while_measuring():
    sensor = slf()
    raw(sensor, bytes.fromhex("7E 00 33 04 00 64 36 08 26 7E"))
    assert raw(sensor, bytes.fromhex("7E 00 33 00 CC 7E"), 2.0) == bytes.fromhex("7E 00 33 00 02 00 64 66 7E")


def test_the_last_measurement_is_empty_before_the_first_and_then_flow_temperature_and_flags():
    sensor = slf()
    ask(sensor, 0x33, bytes.fromhex("0064 3608"))
    assert ask(sensor, 0x35, b"\x03", 0.05) == (b"", 0)
    assert raw(sensor, bytes.fromhex("7E 00 35 01 03 C6 7E"), 2.0) == bytes.fromhex(
        "7E 00 35 00 06 00 69 12 5C 00 00 ED 7E"
    )


def test_air_in_the_line_sets_the_flag_and_a_reply_full_of_reserved_bytes_is_stuffed():
    sensor = slf(flow=0x7E11 * 100.0, air=Flow(1.0))
    ask(sensor, 0x33, bytes.fromhex("0064 3608"))
    assert raw(sensor, bytes.fromhex("7E 00 35 01 03 C6 7E"), 2.0) == bytes.fromhex(
        "7E 00 35 00 06 7D 5E 7D 31 12 5C 00 01 C6 7E"
    )


def test_the_extended_buffer_has_lost_remaining_and_triples():
    sensor = slf(flow=lambda t: np.where(t < 0.15, 10_500.0, 10_400.0), temperature=Flow(lambda t: 23.5 + 0.05 * t))
    ask(sensor, 0x33, bytes.fromhex("0064 3608"))
    assert raw(sensor, bytes.fromhex("7E 00 36 01 03 C5 7E"), 0.25) == bytes.fromhex(
        "7E 00 36 00 14 00 00 00 00 00 00 00 03 00 69 12 5D 00 00 00 68 12 5E 00 00 02 7E"
    )


def test_one_reply_holds_forty_one_triples_and_tells_the_bytes_that_remain():
    sensor = slf()
    ask(sensor, 0x33, bytes.fromhex("0064 3608"))
    data, _ = ask(sensor, 0x36, b"\x03", 5.05)
    assert len(data) == 8 + 41 * 6
    assert struct.unpack(">IHH", data[:8]) == (0, 9 * 6, 3)
    rest, _ = ask(sensor, 0x36, b"\x03", 5.06)
    assert (len(rest), struct.unpack(">IHH", rest[:8])) == (8 + 9 * 6, (0, 0, 3))


def test_an_sf04_sensor_sends_plain_counts_of_a_quarter_nanolitre_per_minute():
    sensor = lg16()
    assert struct.unpack(">HHH", ask(sensor, 0x53)[0]) == (4, 0x0843, 0)
    ask(sensor, 0x33, struct.pack(">H", 100))
    assert ask(sensor, 0x36, b"", 0.35) == (struct.pack(">3h", 2777, 2777, 2777), 0)
    assert ask(sensor, 0x36, b"", 60.05)[0] == struct.pack(">h", 2777) * 127
    assert ask(sensor, 0x36, b"\x02", 62.0) == (b"", 0)
    assert ask(sensor, 0x36, b"", 62.05) == (b"", 0)


@pytest.mark.parametrize(("flow", "count"), [(9_000.0, 32_000), (-9_000.0, -32_000), (8_000.0, 32_000)])
def test_the_reading_saturates_at_the_sensor_s_range(flow, count):
    sensor = lg16(flow)
    ask(sensor, 0x33, struct.pack(">H", 100))
    assert ask(sensor, 0x36, b"", 0.15)[0] == struct.pack(">h", count)


def test_a_single_measurement_takes_its_time():
    sensor = lg16()
    assert ask(sensor, 0x41, b"\x10") == (b"", 0)
    assert ask(sensor, 0x42, b"\x01") == (b"", 0)
    assert ask(sensor, 0x31, b"", 1.0) == (b"", 0)
    assert ask(sensor, 0x32, b"", 1.05) == (b"", 0)
    assert ask(sensor, 0x32, b"", 1.08) == (struct.pack(">h", 2777), 0)
    assert ask(sensor, 0x32, b"", 1.09) == (b"", 0)


def test_a_ring_that_overflows_loses_the_oldest_and_counts_them_once():
    sensor = lg16(flow=lambda t: np.round(t * 10.0), ring_samples=100)
    ask(sensor, 0x33, struct.pack(">H", 100))
    assert struct.unpack(">I", ask(sensor, 0x36, b"\x01", 30.05)[0]) == (200,)
    counts = np.frombuffer(ask(sensor, 0x36, b"", 30.06)[0], ">i2")
    assert list(counts[[0, -1]] / 4) == [201.0, 300.0]
    assert struct.unpack(">I", ask(sensor, 0x36, b"\x01", 30.07)[0]) == (0,)


@given(st.lists(st.floats(0.01, 9.0), min_size=1, max_size=30))
def test_every_sample_is_read_once_however_the_reads_are_spaced(gaps):
    sensor = lg16(flow=lambda t: np.round((t - 1.0) * 10.0), crystal_ppm=0.0)
    ask(sensor, 0x33, struct.pack(">H", 100), 1.0)
    now, counts = 1.0, []
    for gap in gaps:
        now += gap
        counts += list(np.frombuffer(ask(sensor, 0x36, b"", now)[0], ">i2") // 4)
    assert counts == list(range(1, len(counts) + 1))
    assert len(counts) == int((now - 1.0) * 10.0 + 1e-6)


def test_the_cable_counts_by_its_own_crystal():
    slow = lg16(crystal_ppm=80.0)
    ask(slow, 0x33, struct.pack(">H", 100))
    total = 0
    for hour in range(1, 50 * 60):
        total += len(ask(slow, 0x36, b"", hour * 12.0)[0]) // 2
    assert total == int(49.98333333 * 720 * 10 / (1 + 80e-6) * 1.0)


def test_the_crystal_is_drawn_from_the_seed_within_eighty_ppm():
    drawn = [ShdlcFlowSensor(Flow(1.0), seed=seed).crystal_ppm for seed in range(40)]
    assert max(map(abs, drawn)) <= 80.0
    assert len(set(drawn)) == 40
    assert ShdlcFlowSensor(Flow(1.0), seed=7).crystal_ppm == drawn[7]


def test_a_read_asks_its_signal_once_and_not_once_a_sample():
    sensor = lg16()
    ask(sensor, 0x33, struct.pack(">H", 100))
    ask(sensor, 0x36, b"", 4.05)
    assert sensor.flow.calls == 1


def test_the_totalizer_sums_every_sample_read_or_not_while_it_is_on():
    sensor = lg16(ring_samples=10)
    ask(sensor, 0x33, struct.pack(">H", 100))
    ask(sensor, 0x37, b"\x01", 1.05)
    assert struct.unpack(">q", ask(sensor, 0x38, b"", 11.05)[0]) == (100 * 2777,)
    ask(sensor, 0x37, b"\x00", 12.05)
    assert struct.unpack(">q", ask(sensor, 0x38, b"", 20.05)[0]) == (110 * 2777,)
    ask(sensor, 0x39, b"", 21.0)
    assert struct.unpack(">q", ask(sensor, 0x38, b"", 22.0)[0]) == (0,)


def test_a_stopped_measurement_keeps_what_was_not_read_and_takes_nothing_more():
    sensor = lg16()
    ask(sensor, 0x33, struct.pack(">H", 100))
    ask(sensor, 0x34, b"", 1.05)
    assert len(ask(sensor, 0x36, b"", 60.0)[0]) == 20
    assert ask(sensor, 0x33, b"", 61.0) == (b"", 0)


def test_a_second_measurement_goes_on_counting_sample_indices():
    sensor = lg16(flow=lambda t: t)
    ask(sensor, 0x33, struct.pack(">H", 100), 0.0)
    ask(sensor, 0x34, b"", 1.05)
    ask(sensor, 0x33, struct.pack(">H", 100), 100.0)
    assert list(np.frombuffer(ask(sensor, 0x36, b"", 100.25)[0], ">i2")) == [400, 401]


@pytest.mark.parametrize(
    ("command", "data", "code"),
    [
        (0x33, b"\x00", 1),
        (0x33, b"\x00\x64", 1),
        (0x33, bytes.fromhex("0064 9999"), 4),
        (0x53, b"", 1),
        (0x24, b"\x09", 4),
        (0x36, b"\x07", 4),
        (0x41, b"\x20", 4),
        (0xD0, b"\x09", 4),
        (0x77, b"", 2),
        (0x91, struct.pack(">I", 9600), 4),
    ],
)
def test_a_command_that_is_wrong_is_refused_with_its_code_and_remembered(command, data, code):
    sensor = slf()
    assert ask(sensor, command, data) == (b"", code)
    assert ask(sensor, 0xD2, b"\x01", 2.0)[0] == struct.pack(">IB", 0, code)
    assert ask(sensor, 0xD2, b"\x00", 4.0)[0] == struct.pack(">IB", 0, 0)


def test_the_device_error_flag_stays_until_it_is_cleared():
    sensor = slf()
    assert ask(sensor, 0x24, b"\x00") == (b"", 0)
    assert ask(sensor, 0x33, b"\x00\x64", 2.0) == (b"", 0x80 | 0x21)
    assert ask(sensor, 0x24, b"", 4.0)[1] == 0x80
    state, last = struct.unpack(">IB", ask(sensor, 0xD2, b"\x01", 6.0)[0])
    assert (state != 0, last) == (True, 0x21)
    assert ask(sensor, 0x24, b"", 8.0)[1] == 0


def test_a_parameter_error_with_the_device_flag_reads_as_in_the_manual():
    sensor = slf()
    sensor.fault(1)
    assert raw(sensor, frame(0x35, b"\x00")) == bytes.fromhex("7E 00 35 84 00 46 7E")


def test_foreign_addresses_broadcasts_bad_checksums_and_rubbish_get_no_answer():
    sensor = slf()
    assert raw(sensor, frame(0xD1, address=1)) == b""
    assert raw(sensor, frame(0x24, b"\x00", address=255)) == b""
    assert raw(sensor, bytes.fromhex("7E 00 D1 00 2F 7E")) == b""
    assert raw(sensor, b"rubbish\x7e\x7e\x7e") == b""
    assert ask(sensor, 0x24, b"", 9.0) == (b"\x00", 0)


def test_a_bad_checksum_may_be_answered_with_error_five():
    assert raw(slf(answers_bad_checksum=True), bytes.fromhex("7E 00 D1 00 2F 7E")) == reply_frame(0, 0xD1, 5, b"")


def test_a_frame_may_come_in_pieces_and_share_its_flags():
    sensor, whole = slf(), frame(0xD1)
    for byte in whole[:-1]:
        sensor.write(bytes((byte,)), 0.0)
    assert sensor.read_ready(1.0) == b""
    assert len(raw(sensor, b"\x7e" + whole[1:], 2.0)) == 2 * 14


def test_an_escape_before_what_looks_like_the_rest_of_one_is_data():
    sensor = slf()
    block = bytes.fromhex("7D 5E 7D 5D 7D 31 7E 11 13 7D 33") + bytes(9)
    assert ask(sensor, 0x21, b"\x00" + block) == (b"", 0)
    assert ask(sensor, 0x21, b"\x00", 2.0)[0] == b"\x00" + block


def test_a_reset_answers_first_and_then_is_away_for_the_boot():
    sensor = slf()
    ask(sensor, 0x33, bytes.fromhex("0064 3608"))
    assert ask(sensor, 0xD3, b"", 1.0) == (b"", 0)
    assert raw(sensor, frame(0x33), 1.2) == b""
    assert ask(sensor, 0x33, b"", 2.0) == (b"", 0)
    assert struct.unpack(">I", ask(sensor, 0x93, b"", 11.5)[0]) == (10,)


def test_a_pulled_plug_takes_the_supply_and_the_measurement_with_it():
    sensor = lg16()
    ask(sensor, 0x33, struct.pack(">H", 100))
    sensor.unplug(5.0, 10.0)
    assert ask(sensor, 0x33, b"", 20.0) == (b"", 0)


def test_a_frozen_sensor_repeats_its_last_counts_and_goes_on_counting_samples():
    sensor = lg16(flow=lambda t: t)
    ask(sensor, 0x33, struct.pack(">H", 100))
    last = np.frombuffer(ask(sensor, 0x36, b"", 10.05)[0], ">i2")[-1]
    sensor.frozen = True
    assert list(np.frombuffer(ask(sensor, 0x36, b"", 10.45)[0], ">i2")) == [last] * 4
    sensor.frozen = False
    assert list(np.frombuffer(ask(sensor, 0x36, b"", 10.65)[0], ">i2")) == [42, 42]


def test_address_delay_and_user_data_are_kept():
    sensor = slf()
    assert ask(sensor, 0x90, b"\x05") == (b"", 0)
    assert raw(sensor, frame(0x90, address=5), 2.0)[1:6] == bytes((5, 0x90, 0, 1, 5))
    sensor.address = 0
    assert ask(sensor, 0x95, struct.pack(">H", 500), 4.0) == (b"", 0)
    assert ask(sensor, 0x21, b"\x01" + b"12345678901234567890", 6.0) == (b"", 0)
    assert ask(sensor, 0x21, b"\x01", 8.0)[0] == b"\x0112345678901234567890"


@given(st.binary(max_size=250), st.integers(0, 255), st.integers(0, 254))
def test_any_reply_has_two_flags_and_no_reserved_byte_between_them(data, command, address):
    reply = reply_frame(address, command, 0, data)
    assert reply[0] == reply[-1] == 0x7E
    assert not set(reply[1:-1]) & {0x7E, 0x11, 0x13}


@given(st.binary(max_size=250), st.integers(0, 255), st.integers(0, 254))
def test_any_request_is_understood_as_it_was_sent(data, command, address):
    (body,) = FrameAssembler().feed(frame(command, data, address))
    request = unpack_request(body)
    assert (request.address, request.command, request.data, request.intact) == (address, command, data, True)


def test_the_checksum_is_that_of_the_specification():
    assert checksum(bytes.fromhex("00 D0 01 03")) == 0x2B


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="LG16-0150"):
        ShdlcFlowSensor(Flow(0.0), model="LG61")
    assert set(MODELS) == {"LG16-0150", "SLF3S-0600F", "SLF3S-1300F"}


def test_pyvisa_reads_frames_with_the_flag_as_its_termination():
    visa = SimulatedVisa(VirtualClock(), {"ASRL5::INSTR": slf()})
    port = pyvisa.ResourceManager(visa).open_resource("ASRL5::INSTR", baud_rate=115200, read_termination="~")
    port.write_raw(bytes.fromhex("7E 00 D1 00 2E 7E"))
    assert port.read_raw() == b"~"
    assert port.read_raw() == bytes.fromhex("00 D1 00 07 01 08 00 01 00 01 00 1C 7E")
