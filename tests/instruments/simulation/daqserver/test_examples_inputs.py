"""The calls of NI's examples for analog and digital inputs, made by the real nidaqmx on the simulated devices."""

from __future__ import annotations

import numpy as np
import pytest
from nidaqmx.constants import (
    READ_ALL_AVAILABLE,
    AcquisitionType,
    DigitalWidthUnits,
    Edge,
    LineGrouping,
    OverwriteMode,
    ReadRelativeTo,
    SampleTimingType,
    Slope,
    TriggerType,
    WindowTriggerCondition1,
)
from nidaqmx.errors import DaqReadError
from nidaqmx.stream_readers import AnalogSingleChannelReader

from instruments.simulation.daqserver import triggers

CONTINUOUS, FINITE = AcquisitionType.CONTINUOUS, AcquisitionType.FINITE
VOLTS = pytest.approx  # Index: volts = seconds / 1000


def analog(lab, channels="Dev2/ai0", rate=100.0, mode=FINITE, samples=50):
    task = lab.task()
    task.ai_channels.add_ai_voltage_chan(channels, min_val=-0.2, max_val=0.2)
    task.timing.cfg_samp_clk_timing(rate, sample_mode=mode, samps_per_chan=samples)
    return task


# ------------------------------------------------------------------------------------------------- analog in


def test_one_sample_and_a_list_of_samples(lab):
    lab.clock.sleep(1000.0)
    with lab.task() as task:
        task.ai_channels.add_ai_voltage_chan("Dev2/ai0")
        assert task.read() == VOLTS(1.0, abs=1e-3)
        task.ai_channels.add_ai_voltage_chan("Dev2/ai1")
        assert np.shape(task.read(number_of_samples_per_channel=4)) == (2, 4)


def test_a_finite_acquisition_is_read_at_once_and_is_done(lab):
    with analog(lab) as task:
        task.start()
        lab.clock.sleep(1.0)
        task.wait_until_done(timeout=0.0)
        data = task.read(READ_ALL_AVAILABLE)
        assert len(data) == 50
        assert data[-1] == VOLTS(0.49e-3, abs=2e-5)


def test_a_start_trigger_holds_the_first_sample_back(lab):
    with analog(lab, mode=CONTINUOUS) as task:
        task.triggers.start_trigger.cfg_dig_edge_start_trig("/Dev2/PFI0", Edge.RISING)
        assert task.triggers.start_trigger.trig_type is TriggerType.DIGITAL_EDGE
        task.start()
        lab.clock.sleep(0.5)
        assert task.in_stream.avail_samp_per_chan == 0
        with pytest.raises(DaqReadError) as late:
            task.read(1, timeout=0.0)
        assert late.value.error_code == -200284
        lab.clock.sleep(1.0)  # the line went high at 1 s
        assert task.in_stream.total_samp_per_chan_acquired == 51
        assert task.read(1)[0] == VOLTS(1e-3, abs=2e-5)


def test_a_falling_edge_an_own_output_line_and_a_delay_start_as_well(lab):
    with analog(lab, mode=CONTINUOUS) as task, lab.task() as line:
        line.do_channels.add_do_chan("Dev2/port1/line1")
        line.write(True)
        start = task.triggers.start_trigger
        start.cfg_dig_edge_start_trig("/Dev2/PFI1", Edge.FALLING)
        start.delay_units, start.delay = DigitalWidthUnits.SAMPLE_CLOCK_PERIODS, 25
        task.start()
        lab.clock.sleep(2.0)
        assert task.in_stream.avail_samp_per_chan == 0
        line.write(False)
        lab.clock.sleep(1.0)
        assert task.in_stream.avail_samp_per_chan == 76


def test_an_analog_edge_starts_once_the_level_is_crossed(lab):
    with analog(lab, mode=CONTINUOUS) as task:
        task.triggers.start_trigger.cfg_anlg_edge_start_trig("Dev2/ai0", Slope.RISING, trigger_level=2e-3)
        task.start()
        lab.clock.sleep(10.0)
        data = task.read(READ_ALL_AVAILABLE)
    assert data[0] == VOLTS(2e-3, abs=2e-5)
    assert len(data) == pytest.approx(800, abs=20)


def test_a_window_starts_when_it_is_entered(lab, code_of):
    with analog(lab, mode=CONTINUOUS) as task:
        start = task.triggers.start_trigger
        start.cfg_anlg_window_start_trig(9e-3, 3e-3, "Dev2/ai0", WindowTriggerCondition1.ENTERING_WINDOW)
        task.start()
        lab.clock.sleep(5.0)
        assert task.read(1)[0] == VOLTS(3e-3, abs=2e-5)
        task.stop()
        start.cfg_anlg_edge_start_trig("Dev2/ai7")
        assert code_of(task.start) == -200265


def test_a_reference_trigger_keeps_samples_from_before_and_behind(lab):
    with analog(lab, samples=60) as task:
        task.triggers.reference_trigger.cfg_dig_edge_ref_trig("/Dev2/PFI0", pretrigger_samples=20)
        task.start()
        lab.clock.sleep(1.2)
        assert not task.is_task_done()
        assert task.in_stream.avail_samp_per_chan == 0
        lab.clock.sleep(1.0)
        assert task.is_task_done()
        data = np.empty(60)
        AnalogSingleChannelReader(task.in_stream).read_many_sample(data, 60, timeout=0.0)
        assert data[0] == VOLTS(0.8e-3, abs=2e-5)
        assert data[-1] == VOLTS(1.39e-3, abs=2e-5)
        task.in_stream.relative_to, task.in_stream.offset = ReadRelativeTo.REFERENCE_TRIGGER, -1
        assert task.read(1)[0] == VOLTS(0.99e-3, abs=2e-5)


def test_the_first_sample_behind_a_reference_trigger_is_told_from_the_last_before(lab):
    with analog(lab, rate=64.5, samples=60) as task:
        task.triggers.reference_trigger.cfg_dig_edge_ref_trig("/Dev2/PFI0", pretrigger_samples=20)
        task.start()
        lab.clock.sleep(3.0)
        data = task.read(60)
        assert data[19] == VOLTS(64.0 / 64.5 * 1e-3, abs=5e-6)
        assert data[20] == VOLTS(65.0 / 64.5 * 1e-3, abs=5e-6)


def test_a_reference_trigger_counts_once_the_samples_before_it_are_there(lab):
    with analog(lab, samples=200) as task:
        task.triggers.reference_trigger.cfg_dig_edge_ref_trig("/Dev2/PFI0", pretrigger_samples=150)
        task.start()
        lab.clock.sleep(6.0)
        assert task.read(200)[150] == VOLTS(3e-3, abs=2e-5)  # that of 1 s came too soon


def test_a_level_has_to_be_left_by_the_hysteresis_before_it_is_crossed_again():
    rising, falling = (triggers._crossing(5.0, 2.0, rising=rising) for rising in (True, False))
    values = np.array([4.0, 5.0, 4.0, 5.5, 2.9, 4.0, 5.0])
    assert rising(values, False).tolist() == [False, True, True, True, False, False, True]
    assert rising(values[:1], True).tolist() == [True]
    assert falling(10.0 - values, False).tolist() == [False, True, True, True, False, False, True]


def test_an_analog_reference_trigger_and_what_it_needs(lab, code_of):
    with analog(lab, samples=60) as task:
        reference = task.triggers.reference_trigger
        reference.cfg_anlg_edge_ref_trig("Dev2/ai0", 20, Slope.RISING, 2e-3)
        task.start()
        lab.clock.sleep(5.0)
        assert task.read(60)[20] == VOLTS(2e-3, abs=2e-5)
        task.stop()
        reference.pretrig_samples = 59
        assert code_of(task.start) == -200213
        task.timing.samp_quant_samp_mode = CONTINUOUS
        assert code_of(task.start) == -200358
        reference.disable_ref_trig()
        task.start()


def test_a_retriggerable_start_takes_its_samples_at_each_trigger(lab):
    with analog(lab, samples=10) as task:
        task.triggers.start_trigger.cfg_dig_edge_start_trig("/Dev2/PFI0")
        task.triggers.start_trigger.retriggerable = True
        task.start()
        lab.clock.sleep(4.0)
        data = task.read(20)
        assert data[9] == VOLTS(1.09e-3, abs=2e-5)
        assert data[10] == VOLTS(3.0e-3, abs=2e-5)
        assert not task.is_task_done()


def test_two_tasks_begin_together_by_trigger_and_clock_of_the_first(lab):
    with analog(lab, mode=CONTINUOUS) as master, analog(lab, "cDAQ1Mod1/ai0", mode=CONTINUOUS) as slave:
        slave.timing.cfg_samp_clk_timing(100.0, source="/Dev2/ai/SampleClock", sample_mode=CONTINUOUS)
        slave.triggers.start_trigger.cfg_dig_edge_start_trig(master.triggers.start_trigger.term)
        slave.start()
        lab.clock.sleep(3.0)
        assert slave.in_stream.avail_samp_per_chan == 0
        master.start()
        lab.clock.sleep(1.0)
        assert slave.in_stream.avail_samp_per_chan == master.in_stream.avail_samp_per_chan == 101
        assert slave.read(1)[0] == VOLTS(3e-3, abs=2e-4)  # a module of ten volts
        master.stop()
        lab.clock.sleep(1.0)
        assert slave.in_stream.total_samp_per_chan_acquired == 101  # its clock has ended


def test_a_clock_at_a_terminal_takes_the_samples(lab, code_of):
    with analog(lab, mode=CONTINUOUS) as task:
        task.timing.cfg_samp_clk_timing(1000.0, source="/Dev2/PFI9", sample_mode=CONTINUOUS)
        task.start()
        lab.clock.sleep(1.0)
        assert task.in_stream.avail_samp_per_chan == 101  # a generator of 100 Hz, whatever the rate says
        task.stop()
        task.timing.cfg_samp_clk_timing(1000.0, source="/Dev2/PFI15", sample_mode=CONTINUOUS)
        task.start()
        lab.clock.sleep(1.0)
        assert task.in_stream.avail_samp_per_chan == 0  # nothing is connected there
        task.stop()
        task.timing.cfg_samp_clk_timing(1000.0, source="/Dev2/PFI16", sample_mode=CONTINUOUS)
        assert code_of(task.start) == -89129


def test_the_latest_samples_are_read_by_position(lab):
    with analog(lab, mode=CONTINUOUS, samples=1000) as task:
        task.in_stream.overwrite = OverwriteMode.OVERWRITE_UNREAD_SAMPLES
        task.in_stream.relative_to, task.in_stream.offset = ReadRelativeTo.MOST_RECENT_SAMPLE, -3
        task.start()
        lab.clock.sleep(2.0)
        assert task.read(3) == VOLTS([1.98e-3, 1.99e-3, 2.0e-3], abs=2e-5)


def test_a_power_is_a_voltage_times_a_current(lab, code_of):
    lab.clock.sleep(10.0)  # 10 mV, and 10 mA
    with lab.task() as task:
        task.ai_channels.add_ai_calculated_power_chan("Dev2/ai0", "Dev2/ai1", "power", ext_shunt_resistor_val=250.0)
        task.ai_channels.add_ai_voltage_chan("Dev2/ai0")
        assert task.read() == VOLTS([1e-4, 1e-2], rel=0.02)
        assert task.ai_channels["power"].ai_calculated_power_voltage_max == 5.0
        task.timing.cfg_samp_clk_timing(200e3)
        assert code_of(task.start) == -200077  # three conversions at a time
        task.timing.cfg_samp_clk_timing(100.0, sample_mode=FINITE, samps_per_chan=10)
        task.start()
        lab.clock.sleep(1.0)
        assert np.shape(task.read(10)) == (2, 10)


# ------------------------------------------------------------------------------------------------ digital in


def test_lines_and_a_port_are_read_at_once(lab):
    lab.clock.sleep(1.0)
    with lab.task() as task:
        task.di_channels.add_di_chan("Dev2/port1/line0:3", line_grouping=LineGrouping.CHAN_PER_LINE)
        assert task.read() == [True, False, False, False]
        assert task.read(2) == [[True, True]] + [[False, False]] * 3
    with lab.task() as task:
        task.di_channels.add_di_chan("Dev2/port1", line_grouping=LineGrouping.CHAN_FOR_ALL_LINES)
        assert task.read() == 1
        assert task.channels.di_num_lines == 8


def test_a_port_is_sampled_by_its_clock(lab, code_of):
    with lab.task() as task:
        task.di_channels.add_di_chan("Dev2/port1", line_grouping=LineGrouping.CHAN_FOR_ALL_LINES)
        task.timing.cfg_samp_clk_timing(4.0, sample_mode=FINITE, samps_per_chan=10)
        task.start()
        lab.clock.sleep(3.0)
        assert task.read(10) == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0]
    with lab.task() as task:
        task.di_channels.add_di_chan("Dev1/port0")
        task.timing.cfg_samp_clk_timing(4.0)
        assert code_of(task.start) == -200077  # a USB-6211 has static lines only


def test_a_change_of_a_line_takes_a_sample(lab, code_of):
    with lab.task() as task:
        task.di_channels.add_di_chan("Dev2/port1/line0:1", line_grouping=LineGrouping.CHAN_FOR_ALL_LINES)
        task.timing.cfg_change_detection_timing(
            rising_edge_chan="Dev2/port1/line0", falling_edge_chan="Dev2/port1/line0", sample_mode=CONTINUOUS
        )
        assert task.timing.samp_timing_type is SampleTimingType.CHANGE_DETECTION
        task.start()
        lab.clock.sleep(4.5)
        assert task.in_stream.avail_samp_per_chan == 4
        assert task.read(4) == [1, 0, 1, 0]
        task.stop()
        task.timing.cfg_change_detection_timing(rising_edge_chan="Dev2/port1/line5")
        assert code_of(task.start) == -200926
