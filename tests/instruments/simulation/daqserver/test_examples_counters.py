"""The calls of NI's examples for counters, made by the real nidaqmx on the simulated devices."""

from __future__ import annotations

import pytest
from nidaqmx.constants import (
    AcquisitionType,
    CountDirection,
    CounterFrequencyMethod,
    Edge,
    FrequencyUnits,
    Level,
    TimeUnits,
)
from nidaqmx.stream_readers import CounterReader
from nidaqmx.stream_writers import CounterWriter
from nidaqmx.types import CtrFreq, CtrTime

CONTINUOUS, FINITE = AcquisitionType.CONTINUOUS, AcquisitionType.FINITE


def test_edges_are_counted_from_the_start_up_and_down(lab):
    with lab.task() as task:
        channel = task.ci_channels.add_ci_count_edges_chan(
            "Dev2/ctr0", edge=Edge.RISING, initial_count=5, count_direction=CountDirection.COUNT_UP
        )
        task.start()
        lab.clock.sleep(2.0)
        assert task.read() == 25
        assert channel.ci_count == 25
        task.stop()
        channel.ci_count_edges_dir = CountDirection.COUNT_DOWN
        task.start()
        lab.clock.sleep(0.3)
        assert task.read() == 2


def test_a_signal_of_the_plant_gives_a_pulse_for_each_amount_of_it(lab):
    with lab.task() as task:
        task.ci_channels.add_ci_count_edges_chan("Dev1/ctr1")  # 10 a second, one pulse for each half
        task.start()
        lab.clock.sleep(3.0)
        assert task.read() == 60


def test_counting_at_another_terminal_and_with_a_clock(lab):
    with lab.task() as task:
        channel = task.ci_channels.add_ci_count_edges_chan("Dev2/ctr1")
        channel.ci_count_edges_term = "/Dev2/PFI0"
        channel.ci_count_edges_active_edge = Edge.FALLING
        task.timing.cfg_samp_clk_timing(1000.0, source="/Dev2/PFI9", sample_mode=CONTINUOUS, samps_per_chan=1000)
        task.start()
        lab.clock.sleep(4.5)
        assert channel.ci_count_edges_term == "/Dev2/PFI0"
        counts = task.read(451)
        assert (counts[0], counts[199], counts[205], counts[-1]) == (0, 0, 1, 2)


def test_a_frequency_is_that_of_the_last_whole_period(lab, code_of):
    with lab.task() as task:
        channel = task.ci_channels.add_ci_freq_chan("Dev2/ctr0", min_val=1.0, max_val=1000.0)
        lab.clock.sleep(1.0)
        assert task.read() == pytest.approx(10.0)
        assert channel.ci_freq_units is FrequencyUnits.HZ
        task.stop()
        channel.ci_freq_term = "/Dev2/PFI14"
        assert code_of(task.read) == -200284  # nothing is connected there


def test_frequencies_are_read_pulse_by_pulse(lab):
    with lab.task() as task:
        task.ci_channels.add_ci_freq_chan(
            "Dev1/ctr0", min_val=1.0, max_val=100.0, meas_method=CounterFrequencyMethod.LOW_FREQUENCY_1_COUNTER
        )
        task.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        task.start()
        lab.clock.sleep(1.05)
        assert task.in_stream.avail_samp_per_chan == 9  # ten edges have nine periods between them
        assert task.read(9) == pytest.approx([10.0] * 9, rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("period", {}, 0.1),
        ("period", {"units": TimeUnits.TICKS}, 10_000_000),
        ("pulse_width", {}, 0.025),
        ("pulse_width", {"starting_edge": Edge.FALLING}, 0.075),
        ("duty_cycle", {}, 0.25),
    ],
)
def test_other_measures_of_a_pulse(lab, kind, settings, expected):
    limits = {} if kind == "duty_cycle" else {"min_val": 1e-3, "max_val": 1.0}
    with lab.task() as task:
        getattr(task.ci_channels, f"add_ci_{kind}_chan")("Dev2/ctr0", **limits, **settings)
        lab.clock.sleep(1.0)
        assert task.read() == pytest.approx(expected, rel=1e-6)


def test_high_and_low_times_come_in_turn(lab):
    with lab.task() as task:
        task.ci_channels.add_ci_semi_period_chan("Dev2/ctr0", min_val=1e-3, max_val=1.0)
        task.timing.cfg_implicit_timing(sample_mode=FINITE, samps_per_chan=4)
        task.start()
        lab.clock.sleep(1.0)
        assert task.read(4) == pytest.approx([0.025, 0.075, 0.025, 0.075])
        assert task.is_task_done()


def test_pulses_are_read_as_frequency_time_or_ticks(lab):
    lab.clock.sleep(1.0)
    with lab.task() as task:
        task.ci_channels.add_ci_pulse_chan_freq("Dev2/ctr0", min_val=1.0, max_val=100.0)
        read = task.read()
        assert (read.freq, read.duty_cycle) == (pytest.approx(10.0), pytest.approx(0.25))
    with lab.task() as task:
        task.ci_channels.add_ci_pulse_chan_time("Dev2/ctr0", min_val=1e-3, max_val=1.0)
        assert task.read() == CtrTime(pytest.approx(0.025), pytest.approx(0.075))
        task.stop()
        task.timing.cfg_implicit_timing(sample_mode=FINITE, samps_per_chan=3)
        task.start()
        lab.clock.sleep(1.0)
        assert [pulse.high_time for pulse in task.read(3)] == pytest.approx([0.025] * 3)
    with lab.task() as task:
        task.ci_channels.add_ci_pulse_chan_ticks("Dev2/ctr0", "/Dev2/100MHzTimebase", min_val=1e3, max_val=1e8)
        assert CounterReader(task.in_stream).read_one_sample_pulse_ticks().high_tick == 2_500_000


def test_a_pulse_train_runs_until_it_is_stopped_and_clocks_another_task(lab):
    with lab.task() as task, lab.task() as clocked:
        channel = task.co_channels.add_co_pulse_chan_freq("Dev2/ctr2", idle_state=Level.LOW, freq=20.0, duty_cycle=0.5)
        assert channel.co_pulse_term == "/Dev2/Ctr2InternalOutput"
        task.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        clocked.ai_channels.add_ai_voltage_chan("Dev2/ai0")
        clocked.timing.cfg_samp_clk_timing(1000.0, source=channel.co_pulse_term, sample_mode=CONTINUOUS)
        clocked.start()
        lab.clock.sleep(1.0)
        task.start()
        lab.clock.sleep(1.01)
        assert clocked.in_stream.avail_samp_per_chan == 21
        assert not task.is_task_done()


def test_pulses_come_out_where_they_are_routed_to(lab):
    with lab.task() as task, lab.task() as counting:
        task.co_channels.add_co_pulse_chan_ticks("Dev2/ctr2", "/Dev2/100MHzTimebase", low_ticks=10**6, high_ticks=10**6)
        task.co_channels[0].co_pulse_term = "/Dev2/PFI12"
        task.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        counting.ci_channels.add_ci_count_edges_chan("Dev2/ctr1").ci_count_edges_term = "/Dev2/PFI12"
        task.start()
        lab.clock.sleep(1.0)
        counting.start()
        lab.clock.sleep(2.0)
        assert counting.read() == 100


def test_a_single_pulse_and_a_finite_train_end_by_themselves(lab):
    with lab.task() as task, lab.task() as counting:
        task.co_channels.add_co_pulse_chan_time("Dev2/ctr2", initial_delay=0.5, low_time=0.1, high_time=0.2)
        counter = counting.ci_channels.add_ci_count_edges_chan("Dev2/ctr1")
        counter.ci_count_edges_term = "/Dev2/Ctr2InternalOutput"
        counting.start()
        task.start()
        lab.clock.sleep(0.6)
        assert not task.is_task_done()
        assert task.co_channels[0].co_output_state is Level.HIGH
        lab.clock.sleep(0.4)
        task.wait_until_done(timeout=0.0)
        task.stop()
        task.timing.cfg_implicit_timing(sample_mode=FINITE, samps_per_chan=5)
        task.start()
        lab.clock.sleep(3.0)
        assert task.is_task_done()
        assert task.co_channels[0].co_pulse_done
        assert counting.read() == 6


def test_a_train_that_has_ended_has_no_frequency(lab, code_of):
    with lab.task() as task, lab.task() as counting:
        task.co_channels.add_co_pulse_chan_freq("Dev2/ctr2", freq=10.0)
        task.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        counter = counting.ci_channels.add_ci_freq_chan("Dev2/ctr1", min_val=5.0, max_val=100.0)
        counter.ci_freq_term = "/Dev2/Ctr2InternalOutput"
        task.start()
        lab.clock.sleep(1.0)
        assert counting.read() == pytest.approx(10.0)
        task.stop()
        lab.clock.sleep(1.0)
        assert code_of(counting.read) == -200284


def test_pulses_are_written_while_they_run(lab):
    with lab.task() as task, lab.task() as counting:
        task.co_channels.add_co_pulse_chan_freq("Dev2/ctr2", freq=10.0)
        task.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        counter = counting.ci_channels.add_ci_freq_chan("Dev2/ctr1", min_val=1.0, max_val=1000.0)
        counter.ci_freq_term = "/Dev2/Ctr2InternalOutput"
        task.start()
        lab.clock.sleep(1.0)
        assert counting.read() == pytest.approx(10.0)
        CounterWriter(task.out_stream, auto_start=False).write_one_sample_pulse_frequency(50.0, 0.5)
        lab.clock.sleep(1.0)
        assert counting.read() == pytest.approx(50.0)


def test_a_train_of_written_pulses_repeats_them(lab):
    with lab.task() as task, lab.task() as counting:
        task.co_channels.add_co_pulse_chan_freq("Dev2/ctr2")
        task.timing.cfg_implicit_timing(sample_mode=CONTINUOUS, samps_per_chan=2)
        task.write([CtrFreq(10.0, 0.5), CtrFreq(20.0, 0.5)])
        counter = counting.ci_channels.add_ci_period_chan("Dev2/ctr1", min_val=1e-3, max_val=1.0)
        counter.ci_period_term = "/Dev2/Ctr2InternalOutput"
        counting.timing.cfg_implicit_timing(sample_mode=FINITE, samps_per_chan=4)
        counting.start()
        task.start()
        lab.clock.sleep(1.0)
        assert counting.read(4) == pytest.approx([0.1, 0.05, 0.1, 0.05])


def test_a_counter_has_one_owner(lab, code_of):
    with lab.task() as making, lab.task() as counting:
        making.co_channels.add_co_pulse_chan_freq("Dev2/ctr0")
        counting.ci_channels.add_ci_count_edges_chan("Dev2/ctr0")
        making.start()
        assert code_of(counting.start) == -50103


def test_a_sample_clock_changes_the_pulses_between_two_of_them(lab, code_of):
    with lab.task() as task, lab.task() as counting:
        task.co_channels.add_co_pulse_chan_freq("Dev2/ctr2", initial_delay=0.0, freq=50.0, duty_cycle=0.5)
        task.timing.cfg_samp_clk_timing(10.0, "/Dev2/Ctr0Source", sample_mode=FINITE, samps_per_chan=2)  # each 0.1 s
        task.out_stream.output_buf_size = 2
        assert code_of(task.start) == -200462
        task.write([CtrFreq(100.0, 0.5), CtrFreq(20.0, 0.2)], auto_start=False)
        counter = counting.ci_channels.add_ci_period_chan("Dev2/ctr1", min_val=1e-3, max_val=1.0)
        counter.ci_period_term = "/Dev2/Ctr2InternalOutput"
        counting.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        lab.clock.sleep(0.05)
        counting.start()
        task.start()
        lab.clock.sleep(0.1)
        assert not task.is_task_done()
        lab.clock.sleep(0.9)
        assert task.is_task_done()  # both changes are made, and the pulses go on
        periods = counting.read(16)
    # From 0.05 s on 20 ms each; at 0.1 s the running pulse goes on to 0.11 s, then 10 ms each, from 0.2 s on 50 ms.
    assert periods == pytest.approx([0.02] * 3 + [0.01] * 9 + [0.05] * 4)


def test_pulses_cannot_be_clocked_by_themselves(lab, code_of):
    with lab.task() as task:
        task.co_channels.add_co_pulse_chan_freq("Dev2/ctr2").co_pulse_term = "/Dev2/PFI12"
        task.timing.cfg_samp_clk_timing(10.0, "/Dev2/PFI12", sample_mode=CONTINUOUS)
        task.write([CtrFreq(100.0, 0.5), CtrFreq(50.0, 0.5)])
        assert code_of(task.start) == -89136


def test_two_counters_take_the_mean_over_a_divisor(lab):
    with lab.task() as task:
        channel = task.ci_channels.add_ci_freq_chan(
            "Dev2/ctr1",
            min_val=10.0,
            max_val=1000.0,
            meas_method=CounterFrequencyMethod.LARGE_RANGE_2_COUNTERS,
            divisor=10,
        )
        channel.ci_freq_term = "/Dev2/PFI9"  # 100 pulses a second
        lab.clock.sleep(1.0)
        assert task.read() == pytest.approx(100.0)
        task.stop()
        task.timing.cfg_implicit_timing(sample_mode=CONTINUOUS)
        task.start()
        lab.clock.sleep(1.015)
        assert task.in_stream.avail_samp_per_chan == 10
        assert task.read(10) == pytest.approx([100.0] * 10)
