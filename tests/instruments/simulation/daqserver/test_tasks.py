"""The simulated NI device server as the real nidaqmx sees it: sessions, tasks, timing, buffers, lines, errors."""

from __future__ import annotations

import grpc
import nidaqmx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nidaqmx.constants import (
    AcquisitionType,
    ADCTimingMode,
    BusType,
    ChannelType,
    OverwriteMode,
    ProductCategory,
    ReadRelativeTo,
    TaskMode,
    UsageTypeAI,
)
from nidaqmx.error_codes import DAQmxErrors
from nidaqmx.errors import DaqError, DaqReadError, RpcError
from nidaqmx.grpc_session_options import SessionInitializationBehavior
from nidaqmx.stream_readers import (
    AnalogMultiChannelReader,
    AnalogSingleChannelReader,
    AnalogUnscaledReader,
)
from nidaqmx.system import System

from instruments.clock import VirtualClock, WallClock
from instruments.simulation.daqserver.catalogue import CatalogueError
from instruments.simulation.daqserver.server import DaqServer

# ------------------------------------------------------------------------------------- devices and sessions


def test_the_devices_list_themselves_as_daqmx_devices(lab):
    devices = System.remote(grpc_options=lab.options()).devices
    assert [device.name for device in devices] == ["cDAQ1", *lab.devices]
    module = devices["cDAQ1Mod1"]
    assert module.product_type == "NI 9215"
    assert module.bus_type is BusType.COMPACT_DAQ
    assert module.product_category is ProductCategory.C_SERIES_MODULE
    assert module.compact_daq_chassis_device.name == "cDAQ1"
    assert module.compact_daq_slot_num == 1
    assert [channel.name for channel in module.ai_physical_chans] == [f"cDAQ1Mod1/ai{index}" for index in range(4)]
    assert module.ai_voltage_rngs == [-10.0, 10.0]
    assert UsageTypeAI.VOLTAGE in module.ai_meas_types
    assert len(devices["cDAQ1Mod5"].do_lines) == 8
    assert devices["Dev1"].ci_physical_chans.channel_names == ["Dev1/ctr0", "Dev1/ctr1"]
    assert [own.name for own in devices["cDAQ1"].chassis_module_devices] == [f"cDAQ1Mod{slot}" for slot in range(1, 8)]


def test_the_driver_version_is_told(lab):
    assert System.remote(grpc_options=lab.options()).driver_version.major_version == 26


def test_a_session_of_a_name_is_attached_to_or_refused_as_asked(lab):
    with lab.task("one") as one, lab.task("one") as same:
        assert one == same
        with pytest.raises(RpcError) as twice:
            nidaqmx.Task(
                "one", grpc_options=lab.options("one", SessionInitializationBehavior.INITIALIZE_SERVER_SESSION)
            )
    assert twice.value.rpc_code is grpc.StatusCode.ALREADY_EXISTS
    with pytest.raises(RpcError) as missing:
        nidaqmx.Task("two", grpc_options=lab.options("two", SessionInitializationBehavior.ATTACH_TO_SERVER_SESSION))
    assert missing.value.rpc_code is grpc.StatusCode.FAILED_PRECONDITION
    assert lab.server.system.tasks == {}


def test_a_closed_task_is_no_task(lab, code_of):
    first, second = lab.task("shared"), lab.task("shared")
    first.close()
    assert code_of(second.start) == -200088


def test_a_task_without_channels_cannot_start(lab, code_of):
    with lab.task() as task:
        assert code_of(task.start) == -200478


def test_channels_are_named_as_the_client_expects(lab):
    with lab.task() as task:
        task.ai_channels.add_ai_voltage_chan("cDAQ1Mod1/ai0:1", "p")
        task.ai_channels.add_ai_voltage_chan("cDAQ1Mod1/ai3")
        assert task.channel_names == ["p0", "p1", "cDAQ1Mod1/ai3"]
        assert task.number_of_channels == 3
        assert [device.name for device in task.devices] == ["cDAQ1Mod1"]
        assert task.ai_channels[0].chan_type is ChannelType.ANALOG_INPUT
        assert task.ai_channels["p1"].physical_channel.name == "cDAQ1Mod1/ai1"
        assert task.ai_channels["p1"].ai_max == 5.0


def test_a_property_that_does_not_apply_is_an_error_and_is_counted(lab, code_of):
    with lab.voltage() as task:
        assert code_of(lambda: task.ai_channels[0].ai_rtd_r0) == -200452
        task.ai_channels[0].ai_adc_timing_mode = ADCTimingMode.HIGH_SPEED
        assert task.ai_channels[0].ai_adc_timing_mode is ADCTimingMode.HIGH_SPEED
        task.ai_channels.all.ai_max = 5.0
        assert task.ai_channels[0].ai_max == 5.0
    assert lab.server.unknown == {"Chan.AI_RTD_R0": 1}


def test_a_call_that_is_not_simulated_is_unimplemented_and_counted(lab):
    with lab.task() as task, pytest.raises(RpcError) as refused:
        task.ci_channels.add_ci_ang_velocity_chan("Dev1/ctr0")
    assert refused.value.rpc_code is grpc.StatusCode.UNIMPLEMENTED
    assert lab.server.unknown == {"CreateCIAngVelocityChan": 1}


def test_calls_are_counted(lab):
    with lab.voltage() as task:
        task.start()
    assert (lab.server.calls["CreateTask"], lab.server.calls["StartTask"], lab.server.calls["ClearTask"]) == (1, 1, 1)


def test_a_terminal_that_no_device_has_is_refused_by_the_server():
    with pytest.raises(CatalogueError, match=r'no terminal "cDAQ1Mod1/ai7".*NI 9215'):
        DaqServer(VirtualClock(), {"cDAQ1Mod1": "NI 9215"}, {"cDAQ1Mod1/ai7": object()})
    with pytest.raises(CatalogueError, match="write one of"):
        DaqServer(VirtualClock(), {"Dev1": "NI 9999"}, {})


# --------------------------------------------------------------------------------------------- sample clock


def test_samples_are_there_when_their_moment_has_come(lab):
    with lab.voltage() as task:
        task.start()
        counts = []
        for _ in range(3):
            counts.append(task.in_stream.avail_samp_per_chan)
            lab.clock.sleep(0.1)
        assert counts == [1, 2, 3]
        assert task.in_stream.total_samp_per_chan_acquired == 4
        assert task.timing.samp_clk_rate == 10.0
        assert not task.is_task_done()


def test_a_read_of_samples_that_are_not_there_gives_those_that_are_at_once(lab):
    with lab.voltage("cDAQ1Mod1/ai0:1") as task:
        reader = AnalogMultiChannelReader(task.in_stream)
        reader.verify_array_shape = False
        task.start()
        lab.clock.sleep(0.35)
        data = np.full((2, 10), np.nan)
        with pytest.raises(DaqReadError) as late:
            reader.read_many_sample(data, 10, timeout=60.0)
        assert late.value.error_code == -200284
        assert late.value.samps_per_chan_read == 4
        assert data.ravel()[:8] == pytest.approx([0.0, 1e-4, 2e-4, 3e-4] * 2, abs=2e-4)
        assert lab.clock.now() == 0.35
        lab.clock.sleep(0.1)
        assert reader.read_many_sample(data, 1, timeout=0.0) == 1


def test_the_crystal_of_the_device_runs_at_its_own_speed(make_lab):
    lab = make_lab(VirtualClock(), clock_ppm=-50.0)
    with lab.voltage(samps_per_chan=2_000_000) as task:
        task.start()
        lab.clock.sleep(86_400.0)
        assert task.in_stream.total_samp_per_chan_acquired == pytest.approx(864_000 * (1.0 - 50e-6), abs=1.5)
        last = np.empty(1)
        task.in_stream.relative_to, task.in_stream.offset = ReadRelativeTo.MOST_RECENT_SAMPLE, -1
        AnalogSingleChannelReader(task.in_stream).read_many_sample(last, 1, timeout=0.0)
        assert last[0] == pytest.approx(10.4)  # 86.4 V, at the end of the range
    lab.close()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_how_reads_are_cut_into_blocks_changes_nothing(make_lab, blocks):
    lab = make_lab(VirtualClock(), clock_ppm=30.0)
    with lab.voltage("cDAQ1Mod1/ai0") as task, lab.voltage("cDAQ1Mod2/ai0") as twin:
        task.ai_channels.add_ai_thrmcpl_chan("cDAQ1Mod3/ai0")
        twin.ai_channels.add_ai_thrmcpl_chan("cDAQ1Mod3/ai1")
        task.start()
        lab.clock.sleep(sum(blocks) / 10.0)
        reader = AnalogMultiChannelReader(task.in_stream)
        reader.verify_array_shape = False
        pieces = []
        for n in blocks:
            data = np.empty((2, n))
            assert reader.read_many_sample(data, n, timeout=0.0) == n
            pieces.append(data)
        task.in_stream.relative_to = ReadRelativeTo.FIRST_SAMPLE
        whole = np.empty((2, sum(blocks)))
        reader.read_many_sample(whole, sum(blocks), timeout=0.0)
    lab.close()
    assert np.array_equal(np.hstack(pieces), whole)


def test_one_task_spans_the_modules_of_a_chassis(lab):
    with lab.voltage("cDAQ1Mod1/ai0, cDAQ1Mod2/ai0", rate=200.0) as task:
        task.ai_channels.add_ai_thrmcpl_chan("cDAQ1Mod3/ai0:3", min_val=0, max_val=100)
        task.start()
        lab.clock.sleep(1.0)
        data = np.empty((6, 200))
        AnalogMultiChannelReader(task.in_stream).read_many_sample(data, 200, timeout=0.0)
        assert [device.name for device in task.devices] == ["cDAQ1Mod1", "cDAQ1Mod2", "cDAQ1Mod3"]
        assert np.allclose(data[0], np.arange(200) / 200.0 / 1000.0, atol=2e-4)
        assert np.array_equal(data[0], data[1])
        assert np.count_nonzero(np.diff(data[2])) == 199  # four of its 1200 conversions a second: it keeps up


def test_a_slow_module_repeats_its_last_conversion_in_a_fast_task(lab):
    with lab.task() as task:
        task.ai_channels.add_ai_thrmcpl_chan("cDAQ1Mod3/ai0:3", min_val=0, max_val=100)
        task.timing.cfg_samp_clk_timing(3000.0, sample_mode=AcquisitionType.CONTINUOUS)
        task.start()
        lab.clock.sleep(1.0)
        data = np.empty((4, 3000))
        AnalogMultiChannelReader(task.in_stream).read_many_sample(data, 3000, timeout=0.0)
    assert data[0, 0] == data[0, 9] == pytest.approx(25.0, abs=0.01)  # the cold junction, nothing on top yet
    assert data[0, 10] > 25.05
    assert np.count_nonzero(np.diff(data[0])) == 299  # 1200 conversions a second over four channels


def test_a_rate_above_what_a_module_can_do_is_refused(lab, code_of):
    with lab.voltage("cDAQ1Mod2/ai0:3", rate=100e3) as task:
        assert code_of(task.start) == -200077
        assert task.timing.samp_clk_max_rate == 62_500.0


def test_a_delta_sigma_module_samples_at_the_next_rate_that_it_has(lab):
    with lab.voltage("cDAQ1Mod7/ai0", rate=10.0) as task:
        assert task.timing.samp_clk_rate == pytest.approx(50e3 / 31)
        task.timing.samp_clk_rate = 20e3
        assert task.timing.samp_clk_rate == 25e3


def test_the_default_buffer_grows_with_the_rate(lab):
    sizes = []
    for rate in (10.0, 1000.0, 50e3):
        with lab.voltage(rate=rate) as task:
            sizes.append(task.in_stream.input_buf_size)
    assert sizes == [1_000, 10_000, 100_000]


# --------------------------------------------------------------------------------------- buffers and states


def test_a_buffer_that_nobody_reads_overruns_and_stays_so(lab):
    with lab.voltage() as task:
        task.in_stream.input_buf_size = 50
        task.start()
        lab.clock.sleep(5.05)
        data = np.empty(10)
        reader = AnalogSingleChannelReader(task.in_stream)
        for _ in range(2):
            with pytest.raises(DaqReadError) as lost:
                reader.read_many_sample(data, 10, timeout=0.0)
            assert (lost.value.error_code, lost.value.samps_per_chan_read) == (-200279, 0)
            lab.clock.sleep(1.0)
        assert task.in_stream.total_samp_per_chan_acquired == 50
        task.stop()
        task.start()
        lab.clock.sleep(1.0)
        assert reader.read_many_sample(data, 10, timeout=0.0) == 10


def test_an_overwriting_task_goes_on_from_the_most_recent_sample(lab):
    with lab.voltage() as task:
        task.in_stream.input_buf_size = 50
        task.in_stream.overwrite = OverwriteMode.OVERWRITE_UNREAD_SAMPLES
        task.in_stream.relative_to, task.in_stream.offset = ReadRelativeTo.MOST_RECENT_SAMPLE, -5
        task.start()
        lab.clock.sleep(100.0)
        data = np.empty(5)
        assert AnalogSingleChannelReader(task.in_stream).read_many_sample(data, 5, timeout=0.0) == 5
        assert data == pytest.approx(np.arange(99.6, 100.05, 0.1) / 1000.0, abs=2e-4)


def test_a_finite_task_gives_its_samples_and_no_more(lab, code_of):
    with lab.voltage(sample_mode=AcquisitionType.FINITE, samps_per_chan=20) as task:
        task.start()
        assert code_of(lambda: task.wait_until_done(timeout=1.0)) == -200560
        lab.clock.sleep(5.0)
        assert task.is_task_done()
        task.wait_until_done(timeout=0.0)
        assert len(task.read(12, timeout=0.0)) == 12
        assert len(task.read(12, timeout=0.0)) == 8
        assert code_of(lambda: task.read(1, timeout=0.0)) == -200278


def test_reading_starts_a_task_that_was_not_started(lab):
    with lab.voltage() as task:
        assert task.read(nidaqmx.constants.READ_ALL_AVAILABLE) == []
        lab.clock.sleep(1.0)
        assert len(task.read(nidaqmx.constants.READ_ALL_AVAILABLE)) == 11


def test_a_running_task_cannot_be_changed(lab, code_of):
    with lab.voltage() as task:
        task.start()
        assert code_of(lambda: task.timing.cfg_samp_clk_timing(20.0)) == -200479
        assert code_of(lambda: task.ai_channels.add_ai_voltage_chan("cDAQ1Mod1/ai1")) == -200479


def test_two_channels_of_one_name_do_not_go_into_one_task(lab, code_of):
    with lab.voltage() as task:
        assert code_of(lambda: task.ai_channels.add_ai_voltage_chan("cDAQ1Mod1/ai0")) == -200489


def test_a_module_serves_one_hardware_timed_task_at_a_time(lab, code_of):
    with (
        lab.voltage("cDAQ1Mod1/ai0") as first,
        lab.voltage("cDAQ1Mod1/ai1") as second,
        lab.voltage("cDAQ1Mod2/ai0") as other,
    ):
        first.start()
        assert code_of(second.start) == -50103
        assert code_of(lambda: second.control(TaskMode.TASK_RESERVE)) == -50103
        other.start()
        first.stop()
        second.start()


def test_a_chassis_runs_three_hardware_timed_input_tasks(lab, code_of):
    terminals = ("cDAQ1Mod1/ai0", "cDAQ1Mod2/ai0", "cDAQ1Mod7/ai0")
    tasks = [lab.voltage(terminal) for terminal in terminals]
    for task in tasks:
        task.start()
    with lab.task() as fourth:
        fourth.ai_channels.add_ai_thrmcpl_chan("cDAQ1Mod3/ai0")
        fourth.timing.cfg_samp_clk_timing(10.0, sample_mode=AcquisitionType.CONTINUOUS)
        assert code_of(fourth.start) == -200022
    for task in tasks:
        task.close()


def test_the_array_of_a_read_must_hold_what_is_read(lab, code_of):
    with lab.voltage("cDAQ1Mod1/ai0:1") as task:
        task.start()
        lab.clock.sleep(1.0)
        reader = AnalogMultiChannelReader(task.in_stream)
        with pytest.raises(DaqError):
            reader.read_many_sample(np.empty((2, 5)), 6, timeout=0.0)
        reader.verify_array_shape = False
        assert (
            code_of(lambda: reader.read_many_sample(np.empty(5), 6, timeout=0.0)) == DAQmxErrors.READ_BUFFER_TOO_SMALL
        )


def test_the_other_ways_to_read_agree(lab):
    lab.clock.sleep(2000.0)
    with lab.voltage("cDAQ1Mod1/ai0:1", rate=None) as task:
        assert task.read() == pytest.approx([2.0, 2.0], abs=2e-4)
        assert task.read(3) == [pytest.approx([2.0] * 3, abs=2e-4)] * 2
        one = np.empty(2)
        AnalogMultiChannelReader(task.in_stream).read_one_sample(one)
        assert one == pytest.approx([2.0, 2.0], abs=2e-4)
        codes = np.empty((2, 1), np.int16)
        AnalogUnscaledReader(task.in_stream).read_int16(codes, 1)
        assert codes.ravel().tolist() == [round(2.0 / (20.0 / 65536))] * 2
    with lab.voltage("cDAQ1Mod1/ai0", rate=None) as task:
        assert AnalogSingleChannelReader(task.in_stream).read_one_sample() == pytest.approx(2.0, abs=2e-4)


def test_a_large_read_is_not_limited_by_the_size_of_a_message(lab):
    with lab.voltage("cDAQ1Mod2/ai0:3", rate=10_000.0, samps_per_chan=300_000) as task:
        task.start()
        lab.clock.sleep(25.0)
        data = np.empty((4, 250_000))
        assert AnalogMultiChannelReader(task.in_stream).read_many_sample(data, 250_000, timeout=0.0) == 250_000
        assert data[3, -1] == pytest.approx(0.025, abs=2e-4)


# ------------------------------------------------------------------------------------------------ wall clock


def test_on_the_wall_clock_a_read_waits_for_its_samples(make_lab):
    lab = make_lab(WallClock())
    with lab.voltage(rate=100.0, samps_per_chan=100_000) as task:
        before = lab.clock.now()
        task.start()
        assert len(task.read(15, timeout=60.0)) == 15
        assert lab.clock.now() - before > 0.1
        with pytest.raises(DaqReadError) as late:
            task.read(90_000, timeout=0.05)
        assert late.value.error_code == -200284
        assert late.value.samps_per_chan_read < 90_000
    lab.close()


def test_a_task_that_is_stopped_ends_the_read_that_waits_for_it(code_of, make_lab):
    lab = make_lab(WallClock())
    task = lab.voltage(rate=100.0)
    task.start()
    failed: list[int] = []
    reader = lab.clock.worker("reader", lambda: failed.append(code_of(lambda: task.read(10_000, timeout=600.0))))
    while not lab.server.calls["ReadAnalogF64"]:
        lab.clock.sleep(0.005)
    task.stop()
    reader.join()
    assert failed == [-200278]
    task.close()
    lab.close()
