"""The calls of NI's examples for analog and digital outputs, made by the real nidaqmx on the simulated devices."""

from __future__ import annotations

import numpy as np
import pytest
from nidaqmx.constants import AcquisitionType, LineGrouping, RegenerationMode, VoltageUnits
from nidaqmx.errors import DaqWriteError
from nidaqmx.scale import Scale
from nidaqmx.stream_writers import AnalogMultiChannelWriter, AnalogUnscaledWriter
from nitypes.waveform import DigitalWaveform

from instruments.clock import WallClock

CONTINUOUS, FINITE = AcquisitionType.CONTINUOUS, AcquisitionType.FINITE
STEP = 20.0 / 2**16


def generator(lab, channels="Dev2/ao0", rate=10.0, mode=CONTINUOUS, samples=10):
    task = lab.task()
    task.ao_channels.add_ao_voltage_chan(channels)
    task.timing.cfg_samp_clk_timing(rate, sample_mode=mode, samps_per_chan=samples)
    return task


def output(lab, terminal="Dev2/ao0"):
    with lab.task() as poke:  # any call lets the outputs follow their generation
        poke.ai_channels.add_ai_voltage_chan("Dev1/ai0")
    return lab.server.output(terminal)


def test_a_level_is_updated_and_stays_when_the_task_is_gone(lab, code_of):
    with lab.task() as task:
        task.ao_channels.add_ao_voltage_chan("cDAQ1Mod6/ao0:1")
        task.write([1.1, 2.2])
        assert code_of(lambda: task.write([1.0, 11.0])) == -200561
        AnalogUnscaledWriter(task.out_stream).write_int16(np.array([[16384], [-16384]], np.int16))
    assert (output(lab, "cDAQ1Mod6/ao0"), output(lab, "cDAQ1Mod6/ao1")) == (5.0, -5.0)


def test_a_finite_waveform_is_generated_once_and_holds_its_last_level(lab):
    with generator(lab, mode=FINITE) as task:
        assert task.write([0.1 * step for step in range(10)], auto_start=True) == 10
        assert not task.is_task_done()
        lab.clock.sleep(0.45)
        assert output(lab) == pytest.approx(0.4, abs=STEP)
        lab.clock.sleep(1.0)
        task.wait_until_done(timeout=0.0)
        assert task.out_stream.total_samp_per_chan_generated == 10
    assert output(lab) == pytest.approx(0.9, abs=STEP)


def test_a_continuous_waveform_begins_anew_at_its_end(lab):
    with generator(lab, "Dev2/ao0:1") as task:
        task.write([[0.0, 1.0, 2.0, 3.0], [0.0, -1.0, -2.0, -3.0]])
        task.start()
        levels = []
        for _ in range(6):
            levels.append((round(output(lab), 2), round(output(lab, "Dev2/ao1"), 2)))
            lab.clock.sleep(0.1)
        assert levels == [(0.0, 0.0), (1.0, -1.0), (2.0, -2.0), (3.0, -3.0), (0.0, 0.0), (1.0, -1.0)]
        assert not task.is_task_done()
        task.stop()


def test_what_hangs_on_an_output_is_moved_while_nobody_asks(lab):
    def main():
        with generator(lab, "cDAQ1Mod6/ao0", rate=2.0, mode=FINITE, samples=4) as task:
            task.write([1.0, 2.0, 3.0, 4.0], auto_start=True)
            lab.clock.sleep(5.0)

    lab.clock.run(main)
    assert lab.pressure.commands == [(pytest.approx(n, abs=STEP), pytest.approx(0.5 * n - 0.5)) for n in (1, 2, 3, 4)]


def test_without_regeneration_new_samples_have_to_come_in_time(lab, code_of):
    with generator(lab) as task:
        task.out_stream.regen_mode = RegenerationMode.DONT_ALLOW_REGENERATION
        task.out_stream.output_buf_size = 20
        task.write([1.0] * 10)
        task.start()
        lab.clock.sleep(0.5)
        task.write([2.0] * 10)
        assert task.out_stream.curr_write_pos == 20
        assert task.out_stream.space_avail == 6
        with pytest.raises(DaqWriteError) as full:
            task.write([3.0] * 10, timeout=0.0)
        assert (full.value.error_code, full.value.samps_per_chan_written) == (-200292, 6)
        lab.clock.sleep(10.0)
        assert code_of(lambda: task.write([4.0] * 10)) == -200290
        assert code_of(task.is_task_done) == -200290
        assert output(lab) == pytest.approx(3.0, abs=STEP)


def test_writes_wait_for_space_as_a_waveform_without_an_end_needs_it(make_lab):
    lab = make_lab(WallClock(pace=10.0))
    with generator(lab, rate=50.0, samples=50_000) as task:  # enough for a computer that stalls
        task.out_stream.regen_mode = RegenerationMode.DONT_ALLOW_REGENERATION
        task.write([0.1] * 50_000)
        began = lab.clock.now()
        task.start()
        assert task.write([0.2] * 50, timeout=2000.0) == 50
        assert lab.clock.now() - began > 0.8  # they fit when 50 of the others were out
        assert not task.is_task_done()
    lab.close()


def test_outputs_are_written_in_the_unit_of_their_scale_and_lines_turned_round(lab, code_of):
    Scale.create_lin_scale("pressure", slope=100.0, y_intercept=5.0, grpc_options=lab.options())
    with lab.task() as task:
        kpa = {"units": VoltageUnits.FROM_CUSTOM_SCALE, "custom_scale_name": "pressure"}
        task.ao_channels.add_ao_voltage_chan("Dev2/ao0", min_val=5.0, max_val=505.0, **kpa)
        task.write(205.0)
        assert output(lab) == pytest.approx(2.0, abs=STEP)
        assert code_of(lambda: task.write(1.0)) == -200561
    with lab.task() as task:
        channel = task.do_channels.add_do_chan("Dev2/port0/line0:3", line_grouping=LineGrouping.CHAN_FOR_ALL_LINES)
        channel.do_invert_lines = True
        task.write(0b0001)
        assert [output(lab, f"Dev2/port0/line{line}") for line in range(4)] == [0.0, 1.0, 1.0, 1.0]
        assert task.read() == 0b0001


def test_a_generation_needs_samples_and_an_output_one_owner(lab, code_of):
    with generator(lab) as first, generator(lab) as second:
        assert code_of(first.start) == -200462
        AnalogMultiChannelWriter(first.out_stream).write_many_sample(np.zeros((1, 10)))
        assert code_of(lambda: first.write([1.0] * 5)) == -200293
        first.start()
        second.write([0.0, 1.0])
        assert code_of(second.start) == -50103
        assert first.timing.samp_clk_rate == 10.0


def test_a_module_that_is_pulled_out_generates_nothing_any_more(lab, code_of):
    with generator(lab, "cDAQ1Mod6/ao1") as task:
        task.write([1.0, 2.0, 3.0], auto_start=True)
        lab.clock.sleep(1.0)
        assert output(lab, "cDAQ1Mod6/ao1") > 0.9
        lab.server.unplug("cDAQ1Mod6")
        lab.clock.sleep(1.0)
        assert output(lab, "cDAQ1Mod6/ao1") == 0.0
        assert code_of(task.is_task_done) == -88708


def test_an_output_waits_for_the_start_of_an_input(lab):
    with generator(lab, "Dev2/ao0") as out, lab.task() as measured:
        measured.ai_channels.add_ai_voltage_chan("Dev2/ai0")
        measured.timing.cfg_samp_clk_timing(10.0, sample_mode=CONTINUOUS)
        out.triggers.start_trigger.cfg_dig_edge_start_trig("/Dev2/ai/StartTrigger")
        out.write([1.0, 2.0, 3.0])
        out.start()
        lab.clock.sleep(1.0)
        assert output(lab, "Dev2/ao0") == 0.0
        measured.start()
        lab.clock.sleep(0.1)
        assert output(lab, "Dev2/ao0") == pytest.approx(2.0, abs=STEP)


def test_samples_without_a_clock_go_out_one_behind_the_other(lab):
    with lab.task() as line, lab.task() as counting:
        line.do_channels.add_do_chan("Dev2/port1/line4")
        counting.ci_channels.add_ci_count_edges_chan("Dev2/ctr1").ci_count_edges_term = "/Dev2/PFI4"
        counting.start()
        line.write([True, False, True, True, False], auto_start=True)
        assert counting.read() == 2


def test_lines_and_ports_are_written_at_once_and_by_a_clock(lab):
    with lab.task() as task:
        task.do_channels.add_do_chan("cDAQ1Mod5/port0", line_grouping=LineGrouping.CHAN_FOR_ALL_LINES)
        task.write(0b1001)
        assert task.read() == 9
        task.stop()
        task.timing.cfg_samp_clk_timing(10.0, sample_mode=CONTINUOUS)
        task.write([1, 0, 1, 3])
        task.start()
        lab.clock.sleep(0.3)
        assert [output(lab, f"cDAQ1Mod5/port0/line{line}") for line in range(4)] == [1.0, 1.0, 0.0, 0.0]
    with lab.task() as task:
        task.do_channels.add_do_chan("Dev2/port0/line0:3", line_grouping=LineGrouping.CHAN_PER_LINE)
        task.timing.cfg_samp_clk_timing(10.0, sample_mode=FINITE, samps_per_chan=2)
        task.write([[True, False], [False, True], [True, True], [False, False]], auto_start=True)
        lab.clock.sleep(1.0)
        task.wait_until_done()
        assert [output(lab, f"Dev2/port0/line{line}") for line in range(4)] == [0.0, 1.0, 1.0, 0.0]


def test_a_short_waveform_fills_a_finite_generation_by_an_outside_clock(lab):
    with lab.task() as task:
        task.ao_channels.add_ao_voltage_chan("Dev2/ao0")
        task.timing.cfg_samp_clk_timing(100.0, "/Dev2/PFI9", sample_mode=FINITE, samps_per_chan=12)
        assert task.write([1.1, 2.2, 3.3, 4.4, 5.5], auto_start=True) == 5
        lab.clock.sleep(0.105)
        assert not task.is_task_done()
        lab.clock.sleep(0.1)
        task.wait_until_done(timeout=0.0)
        assert task.out_stream.total_samp_per_chan_generated == 12
    assert output(lab) == pytest.approx(2.2, abs=STEP)  # the twelfth sample is the second one of the third round


def test_channels_are_added_between_two_generations(lab):
    with lab.task() as task:
        task.ao_channels.add_ao_voltage_chan("Dev2/ao0")
        task.timing.cfg_samp_clk_timing(1000.0, samps_per_chan=3)
        task.write([1.0, 2.0, 3.0], auto_start=True)
        lab.clock.sleep(0.1)
        task.wait_until_done(timeout=0.0)
        task.stop()
        task.ao_channels.add_ao_voltage_chan("Dev2/ao1")
        assert task.write([[1.0, 2.0, 4.0], [-1.0, -2.0, -5.0]], auto_start=True) == 3
        lab.clock.sleep(0.1)
        assert (output(lab), output(lab, "Dev2/ao1")) == pytest.approx((4.0, -5.0), abs=STEP)


def test_a_waveform_of_lines_is_generated_again_and_again(lab):
    with lab.task() as task:
        task.do_channels.add_do_chan("Dev2/port0", line_grouping=LineGrouping.CHAN_FOR_ALL_LINES)
        task.timing.cfg_samp_clk_timing(10.0, sample_mode=CONTINUOUS)
        waveform = DigitalWaveform(4, task.do_channels[0].do_num_lines)
        for place, signal in enumerate(waveform.signals):
            signal.name = f"line {place}"
            signal.data[:] = [(sample >> (place % 2)) & 1 for sample in range(4)]
        task.write(waveform)
        task.start()
        lab.clock.sleep(0.5)
        assert output(lab, "Dev2/port0/line0") == 1.0  # the sixth sample is the second one again
        assert output(lab, "Dev2/port0/line1") == 0.0
