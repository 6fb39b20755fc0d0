"""The calls of NI's example that logs to a TDMS file, and what else can be said about logging."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import nidaqmx
import numpy as np
import pytest
from nidaqmx.constants import (
    READ_ALL_AVAILABLE,
    AcquisitionType,
    LineGrouping,
    LoggingMode,
    LoggingOperation,
    ReadRelativeTo,
    TemperatureUnits,
    ThermocoupleType,
)
from nptdms import TdmsFile

from instruments.clock import VirtualClock, WallClock
from instruments.simulation.daqserver import tdms

CONTINUOUS, FINITE = AcquisitionType.CONTINUOUS, AcquisitionType.FINITE
LOG, BOTH, OFF = LoggingMode.LOG, LoggingMode.LOG_AND_READ, LoggingMode.OFF
OPEN, CREATE = LoggingOperation.OPEN, LoggingOperation.CREATE
EITHER, REPLACE = LoggingOperation.OPEN_OR_CREATE, LoggingOperation.CREATE_OR_REPLACE


def logged(path: Path) -> dict[str, dict[str, list[float]]]:
    """What a file holds: group, channel, values."""
    with TdmsFile.open(path) as file:
        return {group.name: {each.name: each[:].tolist() for each in group.channels()} for group in file.groups()}


def voltage(lab, path: Path, mode=BOTH, operation=REPLACE, group="", channels="Dev2/ai0", samples=0) -> nidaqmx.Task:
    """A task of 100 samples a second that logs; continuous where no number of samples is said."""
    task = lab.task()
    task.ai_channels.add_ai_voltage_chan(channels, min_val=-1.0, max_val=1.0)
    task.timing.cfg_samp_clk_timing(
        100.0, sample_mode=FINITE if samples else CONTINUOUS, samps_per_chan=samples or 1000
    )
    task.in_stream.configure_logging(path, mode, group, operation)
    return task


def test_what_is_read_is_in_the_file(lab, tmp_path):
    with lab.task() as task:
        task.ai_channels.add_ai_voltage_chan("Dev2/ai0:1")
        task.timing.cfg_samp_clk_timing(1000.0, sample_mode=FINITE, samps_per_chan=10)
        task.in_stream.configure_logging(tmp_path / "run.tdms", BOTH, operation=REPLACE)
        lab.clock.sleep(100.0)
        task.start()
        lab.clock.sleep(1.0)
        data, name = task.read(READ_ALL_AVAILABLE), task.name
    assert np.mean(data) == pytest.approx(0.1, abs=1e-3)
    assert logged(tmp_path / "run.tdms") == {name: {"Dev2/ai0": data[0], "Dev2/ai1": data[1]}}
    assert (tmp_path / "run.tdms_index").exists()


def test_a_channel_says_when_it_was_sampled_and_in_which_unit(lab, tmp_path):
    lab.clock.sleep(3.0)
    with voltage(lab, tmp_path / "run.tdms", group="Flow") as task:
        task.start()
        lab.clock.sleep(1.0)
        task.read(50)
        properties = TdmsFile.read_metadata(tmp_path / "run.tdms")["Flow"]["Dev2/ai0"].properties
    assert properties["wf_start_time"] == np.datetime64(lab.clock.utc(3.0).replace(tzinfo=None), "us")
    assert (properties["wf_increment"], properties["wf_start_offset"]) == (0.01, 0.0)
    assert (properties["wf_samples"], properties["NI_ChannelName"]) == (1, "Dev2/ai0")
    assert properties["unit_string"] == properties["NI_UnitDescription"] == "Volts"


def test_a_unit_is_that_of_the_channel(lab, tmp_path):
    with lab.task() as task:
        add = task.ai_channels.add_ai_thrmcpl_chan
        add("cDAQ1Mod3/ai0", units=TemperatureUnits.DEG_F, thermocouple_type=ThermocoupleType.K)
        task.timing.cfg_samp_clk_timing(10.0, sample_mode=CONTINUOUS)
        task.in_stream.configure_logging(tmp_path / "run.tdms", BOTH, "T")
        task.start()
        lab.clock.sleep(1.0)
        task.read(3)
    assert TdmsFile.read_metadata(tmp_path / "run.tdms")["T"]["cDAQ1Mod3/ai0"].properties["unit_string"] == "Deg F"


def test_a_file_is_complete_after_each_read_and_holds_no_more_than_was_read(lab, tmp_path):
    with voltage(lab, tmp_path / "run.tdms", group="A") as task:
        task.start()
        lab.clock.sleep(2.0)
        first = task.read(30)
        assert logged(tmp_path / "run.tdms")["A"]["Dev2/ai0"] == first
        second = task.read(40)
    assert logged(tmp_path / "run.tdms")["A"]["Dev2/ai0"] == first + second


def test_what_cannot_be_read_is_logged_as_it_comes(lab, tmp_path, code_of):
    with voltage(lab, tmp_path / "run.tdms", LOG, group="A", samples=1500) as task:
        task.in_stream.input_buf_size = 100
        task.start()
        assert code_of(lambda: task.read(1, timeout=0.0)) == -201301
        lab.clock.sleep(5.3)
        assert task.in_stream.avail_samp_per_chan == 0
        assert len(logged(tmp_path / "run.tdms")["A"]["Dev2/ai0"]) == 531
        lab.clock.sleep(10.0)
        assert task.is_task_done()
        values = logged(tmp_path / "run.tdms")["A"]["Dev2/ai0"]
    assert values == pytest.approx(np.arange(1500) * 1e-5, abs=4e-5)


@pytest.mark.parametrize("end", ["stop", "close", "reset", "server"])
def test_the_end_of_a_task_writes_what_is_left(lab, tmp_path, end):
    task = voltage(lab, tmp_path / "run.tdms", LOG, group="A")
    task.start()
    lab.clock.sleep(2.495)
    ways = {"stop": task.stop, "close": task.close, "reset": lambda: lab.server.reset("Dev2")}
    (ways | {"server": lab.server.close})[end]()
    assert len(logged(tmp_path / "run.tdms")["A"]["Dev2/ai0"]) == 250
    assert lab.server.system.hardware.logs == set()
    if end in ("stop", "reset"):
        task.close()
    task._handle = None  # where the server has ended nobody could close it


def test_a_group_that_is_there_gets_a_number(lab, tmp_path):
    for seconds in (0.1, 0.2, 0.3):
        with voltage(lab, tmp_path / "run.tdms", LOG, EITHER, "Voltage") as task:
            task.start()
            lab.clock.sleep(seconds)
    sizes = {name: len(group["Dev2/ai0"]) for name, group in logged(tmp_path / "run.tdms").items()}
    assert sizes == {"Voltage": 11, "Voltage #1": 21, "Voltage #2": 31}


def test_a_file_is_opened_as_asked(lab, tmp_path, code_of):
    path = tmp_path / "run.tdms"
    with voltage(lab, path, operation=OPEN) as task:
        assert code_of(task.start) == -201304
        assert not path.exists()
        configure = task.in_stream.configure_logging
        for operation, groups in ((CREATE, 1), (OPEN, 2), (REPLACE, 1), (EITHER, 2)):
            configure(path, BOTH, "A", operation)
            task.start()
            task.stop()
            assert len(logged(path)) == groups
        configure(path, BOTH, "A", CREATE)
        assert code_of(task.start) == -201309
        assert len(logged(path)) == 2


def test_a_pause_leaves_a_gap_and_begins_a_group(lab, tmp_path):
    for mode in (BOTH, LOG):
        with voltage(lab, tmp_path / "run.tdms", mode, group="A") as task:
            task.start()
            for pause in (False, True, False):
                task.in_stream.logging_pause = pause
                lab.clock.sleep(1.0)
                if mode is BOTH:
                    task.read(100)
        found = logged(tmp_path / "run.tdms")
        assert [len(group["Dev2/ai0"]) for group in found.values()] == [100 + (mode is LOG), 100]
        assert found["A #1"]["Dev2/ai0"][0] - found["A"]["Dev2/ai0"][0] == pytest.approx(2e-3, abs=1e-4)


def test_a_full_file_is_followed_by_the_next_number(lab, tmp_path):
    with voltage(lab, tmp_path / "run.tdms", group="A") as task:
        task.in_stream.logging_samps_per_file = 40
        task.start()
        lab.clock.sleep(2.0)
        data = task.read(70) + task.read(30)
    files = [logged(tmp_path / name)["A"]["Dev2/ai0"] for name in ("run.tdms", "run_0001.tdms", "run_0002.tdms")]
    assert [len(values) for values in files] == [40, 40, 20]
    assert [value for values in files for value in values] == data


def test_another_file_is_begun_at_the_next_write(lab, tmp_path):
    (tmp_path / "b").mkdir()
    with voltage(lab, tmp_path / "a.tdms", LOG, group="A") as task:
        task.start()
        for path in (tmp_path / "c.tdms", f"{tmp_path}/b/"):
            lab.clock.sleep(1.0)
            task.in_stream.start_new_file(path)
        lab.clock.sleep(1.0)
    sizes = [len(logged(tmp_path / name)["A"]["Dev2/ai0"]) for name in ("a.tdms", "c.tdms", "b/c.tdms")]
    assert sizes == [101, 100, 100]


def test_the_settings_are_properties(lab, tmp_path, code_of):
    with voltage(lab, tmp_path / "run.tdms", group="A", operation=CREATE) as task:
        stream = task.in_stream
        assert (stream.logging_mode, stream.logging_tdms_operation) == (BOTH, CREATE)
        assert (stream.logging_file_path, stream.logging_tdms_group_name) == (tmp_path / "run.tdms", "A")
        stream.logging_file_write_size, stream.logging_file_preallocation_size = 4096, 100
        assert (stream.logging_file_write_size, stream.logging_file_preallocation_size) == (4096, 100)
        task.start()
        assert code_of(lambda: setattr(stream, "logging_mode", OFF)) == -200479
        task.stop()
        del stream.logging_mode
        assert stream.logging_mode is OFF
        stream.start_new_file("other.tdms")
        assert stream.logging_file_path == Path("other.tdms")


def test_what_cannot_be_logged_is_refused(lab, tmp_path, code_of):
    with lab.task() as task:
        task.ai_channels.add_ai_voltage_chan("Dev2/ai0")
        task.in_stream.configure_logging(tmp_path / "run.tdms")
        assert code_of(task.read) == -201299
        task.timing.cfg_samp_clk_timing(100.0)
        task.in_stream.relative_to = ReadRelativeTo.FIRST_SAMPLE
        assert code_of(lambda: task.read(1)) == -201300
        task.in_stream.logging_file_path = None
        assert code_of(task.start) == -201304
    with lab.task() as task:
        task.ci_channels.add_ci_pulse_chan_freq("Dev2/ctr0")
        task.timing.cfg_implicit_timing()
        task.in_stream.configure_logging(tmp_path / "run.tdms")
        assert code_of(task.start) == -201307
    with lab.task() as task:
        task.ao_channels.add_ao_voltage_chan("Dev2/ao0")
        task.in_stream.configure_logging(tmp_path / "run.tdms")
        assert code_of(lambda: task.write(1.0)) == -201332
    assert not list(tmp_path.iterdir())


def test_a_task_that_does_not_start_leaves_its_file_to_others(lab, tmp_path, code_of):
    with voltage(lab, tmp_path / "run.tdms") as task:
        task.triggers.start_trigger.cfg_anlg_edge_start_trig("Dev2/ai7")
        assert code_of(task.start) == -200265
        assert lab.server.system.hardware.logs == set()


def test_a_path_that_cannot_be_written_is_an_error_and_the_server_lives_on(lab, tmp_path, code_of):
    (tmp_path / "words.tdms").write_text("this is no TDMS file")
    with voltage(lab, tmp_path / "run.tdms") as first, voltage(lab, tmp_path / "run.tdms", channels="Dev1/ai0") as task:
        first.start()
        assert code_of(task.start) == -201311
        for path, operation, code in (
            (tmp_path, REPLACE, -201304),
            (tmp_path / "no" / "run.tdms", REPLACE, -201304),
            ("nul\0l.tdms", REPLACE, -201304),
            (tmp_path / "words.tdms", EITHER, -201303),
        ):
            task.in_stream.configure_logging(path, BOTH, "A", operation)
            assert code_of(task.start) == code
        assert (tmp_path / "words.tdms").read_text() == "this is no TDMS file"
        task.in_stream.logging_mode = OFF
        task.start()
        lab.clock.sleep(1.0)
        assert len(task.read(2)) == 2


class Full(io.FileIO):
    """A file on a disk that has room for 1500 bytes, of which the last come in pieces."""

    def write(self, data) -> int:
        room = 1500 - self.tell()
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(data)[: min(room, 300)])


@pytest.mark.parametrize("mode", [BOTH, LOG])
def test_a_full_disk_ends_the_logging_and_leaves_whole_segments(lab, tmp_path, monkeypatch, code_of, mode):
    monkeypatch.setattr(tdms, "FileIO", Full)
    with voltage(lab, tmp_path / "run.tdms", mode, group="A") as task:
        task.start()
        lab.clock.sleep(0.5)
        if mode is BOTH:
            task.read(20)
        assert not task.is_task_done()
        lab.clock.sleep(4.0)
        for _ in range(2):
            assert code_of((lambda: task.read(300)) if mode is BOTH else task.is_task_done) == -201305
        task.stop()
        monkeypatch.undo()
        (tmp_path / "run.tdms_index").unlink()  # it would tell of whole segments alone
        assert not TdmsFile.read_metadata(tmp_path / "run.tdms").file_status.incomplete_final_segment
        assert 0 < len(logged(tmp_path / "run.tdms")["A"]["Dev2/ai0"]) <= 151
        task.start()
    assert lab.server.system.hardware.logs == set()


def test_a_task_that_was_stopped_first_says_that_its_log_is_short(lab, tmp_path, monkeypatch, code_of):
    monkeypatch.setattr(tdms, "FileIO", Full)
    with voltage(lab, tmp_path / "run.tdms", LOG) as task:
        task.start()
        lab.clock.sleep(4.0)
        assert code_of(task.stop) == -201305
        assert task.is_task_done()


def test_lines_and_counts_are_logged_as_whole_numbers(lab, tmp_path):
    with lab.task() as task:
        task.di_channels.add_di_chan("Dev2/port1", line_grouping=LineGrouping.CHAN_FOR_ALL_LINES)
        task.timing.cfg_samp_clk_timing(4.0, sample_mode=FINITE, samps_per_chan=10)
        task.in_stream.configure_logging(tmp_path / "lines.tdms", BOTH, "D")
        task.start()
        lab.clock.sleep(3.0)
        lines = task.read(10)
    with lab.task() as task:
        task.ci_channels.add_ci_count_edges_chan("Dev1/ctr0", "drops")
        task.timing.cfg_samp_clk_timing(10.0, source="/Dev2/PFI9", sample_mode=CONTINUOUS)
        task.in_stream.configure_logging(tmp_path / "counts.tdms", BOTH, "C")
        task.start()
        lab.clock.sleep(1.0)
        counts = task.read(20)
    assert 1 in lines
    assert logged(tmp_path / "lines.tdms") == {"D": {"Dev2/port1": lines}}
    assert counts[-1] > counts[0]
    assert logged(tmp_path / "counts.tdms") == {"C": {"drops": counts}}


def test_pulses_are_logged_as_they_were_measured(lab, tmp_path):
    with lab.task() as task:
        task.ci_channels.add_ci_semi_period_chan("Dev2/ctr0")
        task.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        task.in_stream.configure_logging(tmp_path / "halves.tdms", BOTH, "C")
        task.start()
        lab.clock.sleep(1.0)
        halves = task.read(3) + task.read(4)
    assert halves[:2] == pytest.approx([0.025, 0.075])
    assert logged(tmp_path / "halves.tdms") == {"C": {"Dev2/ctr0": halves}}


def test_a_log_goes_on_on_the_wall_clock_while_nobody_asks(make_lab, tmp_path):
    lab = make_lab(WallClock())
    try:
        with voltage(lab, tmp_path / "run.tdms", LOG, group="A", samples=20) as task:
            task.start()
            task.wait_until_done(timeout=60.0)
            assert len(logged(tmp_path / "run.tdms")["A"]["Dev2/ai0"]) == 20
    finally:
        lab.close()


def test_a_server_without_a_port_closes_its_files(make_lab, tmp_path):
    lab = make_lab(VirtualClock())
    lab.close()  # the port alone
    options = nidaqmx.GrpcSessionOptions(lab.server.channel(), "")
    task = nidaqmx.Task(grpc_options=options)
    task.ai_channels.add_ai_voltage_chan("Dev2/ai0")
    task.timing.cfg_samp_clk_timing(100.0, sample_mode=CONTINUOUS)
    task.in_stream.configure_logging(tmp_path / "run.tdms", LOG, "A")
    task.start()
    lab.clock.sleep(0.5)
    lab.server.close()
    assert len(logged(tmp_path / "run.tdms")["A"]["Dev2/ai0"]) == 51
    task.close()
