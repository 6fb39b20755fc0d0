"""The calls of NI's examples in which tasks share clocks and triggers, made by the real nidaqmx."""

from __future__ import annotations

import numpy as np
import pytest
from nidaqmx.constants import AcquisitionType, LineGrouping, SyncType, TaskMode
from nidaqmx.error_codes import DAQmxWarnings

from instruments.simulation.daqserver import messages
from instruments.simulation.daqserver.faults import text_of

CONTINUOUS, FINITE = AcquisitionType.CONTINUOUS, AcquisitionType.FINITE


def status_of_stop(lab, task):
    """Status in the reply to a stop; nidaqmx itself shows warnings of reads and writes only."""
    stop = messages.method("StopTask")
    call = lab.channel.unary_unary(
        f"/{messages.SERVICE}/StopTask", stop.request.SerializeToString, stop.reply.FromString
    )
    return call(stop.request(task=task._handle)).status


def test_two_devices_start_together_on_a_shared_reference_clock(lab):
    with lab.task() as master, lab.task() as slave:
        for task, terminal, role in ((master, "/Dev1/ai0", SyncType.MASTER), (slave, "/Dev2/ai0", SyncType.SLAVE)):
            task.ai_channels.add_ai_voltage_chan(terminal)
            task.timing.ref_clk_src, task.timing.ref_clk_rate = "PXIe_Clk100", 100e6
            task.timing.cfg_samp_clk_timing(1000.0, sample_mode=CONTINUOUS)
            assert task.triggers.sync_type is SyncType.NONE
            task.triggers.sync_type = role
        master.control(TaskMode.TASK_COMMIT)
        slave.triggers.start_trigger.cfg_dig_edge_start_trig("/Dev1/ai/StartTrigger")
        slave.start()
        lab.clock.sleep(5.0)
        assert slave.in_stream.avail_samp_per_chan == 0
        master.start()
        lab.clock.sleep(5.0)
        assert slave.read(10)[0] == pytest.approx(master.read(10)[0], abs=3e-4) == pytest.approx(5e-3, abs=3e-4)


def test_terminals_without_a_device_are_those_of_the_tasks_own(lab):
    with lab.task() as ai, lab.task() as ao, lab.task() as di:
        ai.ai_channels.add_ai_voltage_chan("Dev2/ai0")
        ai.timing.cfg_samp_clk_timing(100.0, source="OnboardClock", sample_mode=CONTINUOUS)
        ao.ao_channels.add_ao_voltage_chan("Dev2/ao0")
        ao.timing.cfg_samp_clk_timing(100.0, sample_mode=CONTINUOUS)
        ao.triggers.start_trigger.cfg_dig_edge_start_trig("ai/StartTrigger")
        di.di_channels.add_di_chan("Dev2/port0", line_grouping=LineGrouping.CHAN_FOR_ALL_LINES)
        di.timing.cfg_samp_clk_timing(100.0, "ai/SampleClock", sample_mode=CONTINUOUS)
        ao.write(np.linspace(0.0, 1.0, 50))
        ao.start()
        di.start()
        lab.clock.sleep(3.0)
        assert (ao.out_stream.total_samp_per_chan_generated, di.in_stream.avail_samp_per_chan) == (0, 0)
        ai.start()
        lab.clock.sleep(1.0)
        assert len(ai.read(100)) == len(di.read(100)) == 100
        assert ao.out_stream.total_samp_per_chan_generated == 101


def test_analog_samples_and_counts_share_the_clock_of_a_counter(lab):
    with lab.task() as clock, lab.task() as ai, lab.task() as counting:
        clock.co_channels.add_co_pulse_chan_freq("Dev2/ctr3", freq=100.0)
        clock.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        ai.ai_channels.add_ai_voltage_chan("Dev2/ai0", "torque 1")
        ai.ai_channels.add_ai_voltage_chan("Dev2/ai1", "torque 2")
        counting.ci_channels.add_ci_count_edges_chan("Dev2/ctr0", "turns").ci_count_edges_term = "/Dev2/PFI9"
        for task in (ai, counting):
            task.timing.cfg_samp_clk_timing(100.0, "/Dev2/Ctr3InternalOutput", sample_mode=CONTINUOUS)
            task.start()
        clock.start()
        lab.clock.sleep(2.0)
        first, second = ai.read(200)
        counts = counting.read(200)
    assert first == pytest.approx(second)
    assert counts[-1] - counts[0] == 199  # as many pulses a second as samples


def test_what_is_played_is_recorded_from_the_same_moment_on(lab):
    lab.clock.sleep(10.0)
    with lab.task() as recorded, lab.task() as played:
        recorded.ai_channels.add_ai_voltage_chan("Dev2/ai0:1")
        played.ao_channels.add_ao_voltage_chan("Dev2/ao0")
        for task in (recorded, played):
            task.timing.cfg_samp_clk_timing(1000.0, source="OnboardClock", samps_per_chan=500)
        played.triggers.start_trigger.cfg_dig_edge_start_trig(recorded.triggers.start_trigger.term)
        played.write(np.zeros(500), auto_start=False)
        played.start()
        recorded.start()
        lab.clock.sleep(1.0)
        assert np.shape(recorded.read(500)) == (2, 500)
        assert played.is_task_done()


def test_a_finite_task_that_is_stopped_early_says_so_by_a_warning(lab):
    with lab.task() as task:
        task.ao_channels.add_ao_voltage_chan("Dev2/ao0")
        task.timing.cfg_samp_clk_timing(1000.0)
        task.write([1.1, 2.2, 3.3, 4.4, 5.5], auto_start=True)
        assert status_of_stop(lab, task) == DAQmxWarnings.STOPPED_BEFORE_DONE
        assert status_of_stop(lab, task) == 0  # nothing runs any more
        task.write([1.1, 2.2, 3.3, 4.4, 5.5], auto_start=True)
        lab.clock.sleep(1.0)
        assert status_of_stop(lab, task) == 0
    assert text_of(DAQmxWarnings.STOPPED_BEFORE_DONE).startswith("A finite acquisition")
