"""A recorded log comes through the wire of a simulated flow sensor as it was recorded."""

import struct

import numpy as np
import pytest
import pyvisa
from hypothesis import given
from hypothesis import strategies as st

from instruments.clock import VirtualClock
from instruments.simulation.devices.sensirion_shdlc import ShdlcFlowSensor
from instruments.simulation.replay import LogError, ReplaySignal, read_log
from instruments.simulation.visalib import SimulatedVisa


def test_a_signal_has_the_value_that_was_logged_last():
    signal = ReplaySignal.from_log([0.0, 1.0, 2.5], [10.0, 20.0, 30.0])
    assert [signal.at(t) for t in (-5.0, 0.0, 0.99, 1.0, 2.4, 2.5, 99.0)] == [10, 10, 10, 20, 20, 30, 30]
    assert list(signal.samples(0.0, 0.5, 1, 5)) == [10.0, 20.0, 20.0, 20.0, 30.0]
    assert signal.end_s == 2.5


@given(st.integers(0, 500), st.integers(1, 100), st.integers(1, 99))
def test_how_a_read_is_cut_into_blocks_changes_nothing(first, n, cut):
    signal = ReplaySignal.from_log(np.arange(50.0), np.arange(50.0) ** 2)
    whole = signal.samples(3.0, 0.1, first, n)
    cut = min(cut, n)
    parts = [signal.samples(3.0, 0.1, first, cut), signal.samples(3.0, 0.1, first + cut, n - cut)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_log_may_start_at_any_moment_and_have_another_unit():
    signal = ReplaySignal.from_log([100.0, 101.0], [1.5, 2.5], start_s=7.0, scale=1000.0)
    assert (signal.at(7.5), signal.at(8.0)) == (1500.0, 2500.0)


def test_a_log_of_values_skips_its_file_marks():
    times, values = read_log(["# file A.TXT", "4701.00", "", "4696.75", "# file B.TXT", "-8000"], interval_s=0.5)
    assert list(times) == [0.0, 0.5, 1.0]
    assert list(values) == [4701.0, 4696.75, -8000.0]


def test_a_log_may_have_times_and_come_from_a_file(tmp_path):
    path = tmp_path / "flow.csv"
    path.write_text("# s, nL/min\n0.0, 5.0\n0.9; 6.0\n2.1 7.0\n", encoding="utf-8")
    times, values = read_log(path)
    assert (list(times), list(values)) == ([0.0, 0.9, 2.1], [5.0, 6.0, 7.0])


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "run.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(LogError, match=r"run\.h5: it is no text in UTF-8; give the log as text"):
        read_log(path)


@pytest.mark.parametrize("lines", [["1.0", "x"], ["1.0", "1.0, 2.0"], ["1,2,3"]])
def test_a_line_that_is_no_value_is_named(lines):
    with pytest.raises(LogError, match=f"line {len(lines)}:"):
        read_log(lines)


@pytest.mark.parametrize(
    ("times", "values", "complaint"),
    [
        ([], [], "0 times"),
        ([0.0, 1.0], [1.0], "2 times and 1 values"),
        ([0.0, 1.0], [1.0, float("nan")], "value 2 .* not a finite number"),
        ([0.0, 2.0, 1.0], [1.0, 1.0, 1.0], "does not rise at value 3"),
    ],
)
def test_a_log_that_cannot_be_played_is_refused_with_its_place(times, values, complaint):
    with pytest.raises(LogError, match=complaint):
        ReplaySignal.from_log(times, values)


def test_a_log_plays_through_the_sensor_and_pyvisa_count_by_count_and_saturates_where_it_did():
    logged = np.round(4000.0 + 5000.0 * np.sin(np.arange(300) / 20.0)) + 0.25
    signal = ReplaySignal.from_log(np.arange(300.0), logged, start_s=0.5)
    clock = VirtualClock()
    sensor = ShdlcFlowSensor(signal, model="LG16-0150", crystal_ppm=0.0)
    manager = pyvisa.ResourceManager(SimulatedVisa(clock, {"ASRL5::INSTR": sensor}))
    port = manager.open_resource("ASRL5::INSTR", baud_rate=115200, read_termination="~")

    def ask(request):
        port.write_raw(bytes.fromhex(request))
        assert port.read_raw() == b"~"
        body = port.read_raw()[:-1]
        for stuffed, plain in (
            (b"\x7d\x31", b"\x11"),
            (b"\x7d\x33", b"\x13"),
            (b"\x7d\x5e", b"~"),
            (b"\x7d\x5d", b"\x7d"),
        ):
            body = body.replace(stuffed, plain)
        return body[4:-1]

    ask("7E 00 33 02 03 E8 DF 7E")  # a sample each 1000 ms
    counts = []
    while len(counts) < 299:
        clock.sleep(40.0)
        data = ask("7E 00 36 00 C9 7E")
        counts += struct.unpack(f">{len(data) // 2}h", data)
    expected = np.clip(logged * 4.0, -32_000, 32_000)
    assert list(counts[:299]) == list(expected[:299])
    assert (expected == 32_000).sum() > 10


@pytest.mark.parametrize("lines", [["640,5", "647,5", "651,5"], ["640,50", "639,25"]])
def test_numbers_with_a_decimal_comma_are_no_times_and_values(lines):
    with pytest.raises(LogError, match=r"640,50?\" may be numbers with a decimal comma"):
        read_log(lines)


def test_whole_numbers_at_even_times_are_times_and_values():
    times, values = read_log(["0,640", "1,647", "2,651"])
    assert (times.tolist(), values.tolist()) == ([0.0, 1.0, 2.0], [640.0, 647.0, 651.0])
