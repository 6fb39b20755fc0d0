"""Lines, outputs and counters of the simulated NI device server, and what happens to its devices."""

from __future__ import annotations

import numpy as np
import pytest
from nidaqmx.constants import (
    AcquisitionType,
    CountDirection,
    LineGrouping,
)
from nidaqmx.errors import DaqWriteError
from nidaqmx.stream_readers import (
    AnalogSingleChannelReader,
    CounterReader,
    DigitalMultiChannelReader,
    DigitalSingleChannelReader,
)
from nidaqmx.stream_writers import AnalogSingleChannelWriter, DigitalMultiChannelWriter, DigitalSingleChannelWriter
from nidaqmx.system import System

# ---------------------------------------------------------------------------------- lines, outputs, counters


def test_a_line_moves_what_hangs_on_it_and_reads_back(lab):
    lab.clock.sleep(3.0)
    with lab.task() as task:
        task.do_channels.add_do_chan("cDAQ1Mod4/port0/line0:3", line_grouping=LineGrouping.CHAN_PER_LINE)
        task.write([True, False, True, False], auto_start=True)
        assert task.read() == [True, False, True, False]
        assert lab.valve.commands == [(1.0, 3.0)]
        DigitalMultiChannelWriter(task.out_stream).write_one_sample_one_line(np.array([False, True, True, True]))
        levels = np.empty(4, np.bool_)
        DigitalMultiChannelReader(task.in_stream).read_one_sample_one_line(levels)
        assert levels.tolist() == [False, True, True, True]
    assert lab.server.output("cDAQ1Mod4/port0/line1") == 1.0
    assert lab.valve.commands[-1] == (0.0, 3.0)


def test_the_lines_of_a_port_are_one_number_lowest_line_first(lab):
    with lab.task() as task:
        task.do_channels.add_do_chan("cDAQ1Mod4/port0", line_grouping=LineGrouping.CHAN_FOR_ALL_LINES)
        writer = DigitalSingleChannelWriter(task.out_stream, auto_start=True)
        writer.write_one_sample_port_uint32(0b1010_0001)
        assert lab.valve.commands == [(1.0, 0.0)]
        reader = DigitalSingleChannelReader(task.in_stream)
        assert reader.read_one_sample_port_uint32() == 0b1010_0001
        data = np.empty(1, np.uint8)
        reader.read_many_sample_port_byte(data, 1)
        assert data.tolist() == [0b1010_0001]
        assert task.do_channels[0].do_num_lines == 8
        writer.write_one_sample_multi_line(np.array([False] * 7 + [True]))
        assert task.read() == 0b1000_0000


def test_an_input_line_shows_its_signal_sample_by_sample(lab):
    with lab.task() as task:
        task.di_channels.add_di_chan("cDAQ1Mod5/port0/line7")
        assert task.read() is False
        lab.clock.sleep(1.0)
        assert task.read() is True
    with lab.task() as task:
        task.di_channels.add_di_chan("cDAQ1Mod5/port0/line7")
        task.timing.cfg_samp_clk_timing(2.0, sample_mode=AcquisitionType.CONTINUOUS)
        task.start()
        lab.clock.sleep(2.0)
        assert task.read(4, timeout=0.0) == [True, True, False, False]


def test_an_input_module_has_no_outputs_and_a_line_one_owner(lab, code_of):
    with lab.task() as task:
        assert code_of(lambda: task.di_channels.add_di_chan("cDAQ1Mod4/port0/line0")) == -200431
    with lab.task() as first, lab.task() as second:
        first.do_channels.add_do_chan("cDAQ1Mod4/port0/line0")
        second.do_channels.add_do_chan("cDAQ1Mod4/port0/line0:1", line_grouping=LineGrouping.CHAN_PER_LINE)
        first.write(True)
        with pytest.raises(DaqWriteError) as taken:
            second.write([True, True])
        assert (taken.value.error_code, taken.value.samps_per_chan_written) == (-50103, 0)


def test_an_analog_output_drives_and_refuses_what_is_out_of_range(lab):
    with lab.task() as task:
        task.ao_channels.add_ao_voltage_chan("cDAQ1Mod6/ao0", min_val=0.0, max_val=5.0)
        task.write(2.5)
        AnalogSingleChannelWriter(task.out_stream, auto_start=True).write_many_sample(np.array([1.0, 1.5]))
        assert [value for value, _ in lab.pressure.commands] == pytest.approx([2.5, 1.0, 1.5], abs=2e-4)
        with pytest.raises(DaqWriteError) as refused:
            task.write(6.0)
        assert refused.value.error_code == -200561


def test_a_counter_counts_edges_from_its_start(lab):
    lab.clock.sleep(7.0)
    with lab.task() as task:
        task.ci_channels.add_ci_count_edges_chan("Dev1/ctr0", initial_count=5, count_direction=CountDirection.COUNT_UP)
        task.start()
        lab.clock.sleep(2.0)
        assert task.read() == 25
        assert CounterReader(task.in_stream).read_one_sample_uint32() == 25


def test_a_read_of_the_wrong_kind_is_refused(lab, code_of):
    with lab.task() as task:
        task.do_channels.add_do_chan("cDAQ1Mod4/port0/line0")
        assert code_of(lambda: AnalogSingleChannelReader(task.in_stream).read_one_sample()) in (-200525,)


# ------------------------------------------------------------------------------------ what happens to devices


@pytest.mark.parametrize(("pulled", "code"), [("cDAQ1Mod1", -88708), ("cDAQ1", -201003)])
def test_a_device_that_is_pulled_out_is_gone_until_it_is_back(lab, pulled, code, code_of):
    task = lab.voltage()
    task.start()
    lab.clock.sleep(1.0)
    lab.server.unplug(pulled)
    assert code_of(lambda: task.read(1, timeout=0.0)) == code
    with lab.voltage() as other:
        assert code_of(other.start) == code
    lab.server.plug(pulled)
    assert code_of(lambda: task.read(1, timeout=0.0)) == -88709
    task.close()
    with lab.voltage() as again:
        again.start()
        assert len(again.read(1, timeout=0.0)) == 1


def test_a_pulled_module_lets_its_valves_go_and_a_pulled_cable_of_the_chassis_does_not(lab):
    with lab.task() as task:
        task.do_channels.add_do_chan("cDAQ1Mod4/port0/line0")
        task.write(True)
    lab.server.unplug("cDAQ1")
    assert lab.valve.commands[-1][0] == 1.0
    lab.server.unplug("cDAQ1Mod4")
    assert lab.valve.commands[-1][0] == 0.0


def test_a_reset_aborts_tasks_and_takes_outputs_down(lab, code_of):
    task, lines = lab.voltage(), lab.task()
    lines.do_channels.add_do_chan("cDAQ1Mod4/port0/line0")
    lines.write(True)
    task.start()
    System.remote(grpc_options=lab.options()).devices["cDAQ1"].reset_device()
    assert lab.valve.commands[-1][0] == 0.0
    assert code_of(lambda: task.read(1, timeout=0.0)) == -88709
    task.close()
    lines.close()


def test_a_stalled_device_answers_but_acquires_nothing(lab):
    with lab.voltage() as task:
        task.start()
        lab.clock.sleep(1.0)
        lab.server.stall("cDAQ1Mod1")
        lab.clock.sleep(9.0)
        assert task.in_stream.avail_samp_per_chan == 11
        lab.server.resume("cDAQ1Mod1")
        task.stop()
        task.start()
        lab.clock.sleep(1.0)
        assert task.in_stream.avail_samp_per_chan == 11
