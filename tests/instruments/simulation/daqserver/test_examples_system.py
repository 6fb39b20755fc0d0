"""The calls of NI's examples about the system, channel properties, waveforms, raw data, TEDS and routes."""

from __future__ import annotations

import logging
from datetime import timedelta

import grpc
import nidaqmx
import numpy as np
import pytest
from nidaqmx.constants import (
    AcquisitionType,
    BridgePhysicalUnits,
    ExcitationSource,
    LineGrouping,
    ProductCategory,
    ResistanceConfiguration,
    Signal,
    TemperatureUnits,
    TorqueUnits,
    TriggerUsage,
    UsageTypeAO,
    UsageTypeCI,
    UsageTypeCO,
    VoltageUnits,
)
from nidaqmx.errors import RpcError
from nidaqmx.scale import Scale
from nidaqmx.system import System
from nitypes.waveform import AnalogWaveform, DigitalWaveform

from instruments.simulation.daqserver.faults import text_of

CONTINUOUS, FINITE = AcquisitionType.CONTINUOUS, AcquisitionType.FINITE


def test_the_system_lists_devices_terminals_and_what_they_can_do(lab):
    system = System.remote(grpc_options=lab.options())
    card, chassis, module = (system.devices[name] for name in ("Dev2", "cDAQ1", "cDAQ1Mod4"))
    assert (card.product_type, card.product_category) == ("USB-6341", ProductCategory.X_SERIES_DAQ)
    assert "/Dev2/PFI0" in card.terminals
    assert "/Dev2/Ctr3InternalOutput" in card.terminals
    assert card.ao_output_types == [UsageTypeAO.VOLTAGE]
    assert card.ao_voltage_rngs == [-10.0, 10.0]
    assert card.ao_samp_clk_supported
    assert UsageTypeCI.FREQUENCY in card.ci_meas_types
    assert UsageTypeCO.PULSE_FREQUENCY in card.co_output_types
    assert TriggerUsage.REFERENCE in card.ai_trig_usage
    assert chassis.co_physical_chans.channel_names[0] == "cDAQ1/_ctr0"
    assert (module.do_max_rate, module.anlg_trig_supported) == (10e3, False)
    assert system.driver_version.major_version == 26


def test_terminals_tell_what_they_can_do(lab):
    card = System.remote(grpc_options=lab.options()).devices["Dev2"]
    assert card.di_ports["Dev2/port0"].di_port_width == 8
    assert card.di_lines["Dev2/port0/line0"].di_change_detect_supported
    assert card.ao_physical_chans["Dev2/ao0"].ao_output_types == [UsageTypeAO.VOLTAGE]
    assert UsageTypeCI.COUNT_EDGES in card.ci_physical_chans["Dev2/ctr0"].ci_meas_types
    assert not System.remote(grpc_options=lab.options()).devices["Dev1"].di_lines[0].di_samp_clk_supported


def test_properties_of_a_channel_are_set_read_and_reset(lab, code_of):
    with lab.task() as task:
        channel = task.ai_channels.add_ai_voltage_chan("Dev2/ai0", min_val=-1.0, max_val=1.0, units=VoltageUnits.VOLTS)
        assert channel.ai_voltage_units is VoltageUnits.VOLTS
        assert (channel.ai_rng_low, channel.ai_rng_high) == (-1.0, 1.0)
        channel.ai_max, channel.ai_min = 5.0, -5.0
        assert channel.ai_rng_high == 5.0
        assert channel.ai_resolution == 16.0
        channel.description = "line pressure"
        assert channel.description == "line pressure"
        del channel.description
        assert channel.description == ""
        assert code_of(lambda: setattr(channel, "ai_max", -7.0) or task.read()) == -200082


def test_waveforms_carry_their_time_their_channel_and_their_unit(lab):
    with lab.task() as task:
        task.ai_channels.add_ai_voltage_chan("Dev2/ai0:1")
        task.timing.cfg_samp_clk_timing(100.0, sample_mode=FINITE, samps_per_chan=50)
        lab.clock.sleep(10.0)
        task.start()
        lab.clock.sleep(1.0)
        task.read(10)
        first, second = task.read_waveform(40)
    assert (first.sample_count, first.channel_name, first.units) == (40, "Dev2/ai0", "Volts")
    assert second.channel_name == "Dev2/ai1"
    assert first.scaled_data[-1] == pytest.approx(10.49e-3, abs=2e-4)
    assert first.timing.sample_interval.total_seconds() == pytest.approx(0.01)
    assert abs(first.timing.start_time - lab.clock.utc(10.1)) < timedelta(milliseconds=1)


def test_digital_waveforms_have_a_column_for_each_line(lab):
    lab.clock.sleep(1.0)
    for group, columns in (("Dev2/port1", [7]), ("Dev2/port1/line0:7", [0])):
        with lab.task() as task:
            task.di_channels.add_di_chan(group, line_grouping=LineGrouping.CHAN_FOR_ALL_LINES)
            task.timing.cfg_samp_clk_timing(10.0, sample_mode=FINITE, samps_per_chan=3)
            task.start()
            lab.clock.sleep(2.0)
            waveform = task.read_waveform(3)
            assert np.flatnonzero(waveform.data[0]).tolist() == columns
            assert [signal.name for signal in waveform.signals if signal.data[0]] == ["Dev2/port1/line0"]


def test_waveforms_are_written(lab):
    with lab.task() as task:
        task.ao_channels.add_ao_voltage_chan("Dev2/ao0")
        task.timing.cfg_samp_clk_timing(10.0, sample_mode=FINITE, samps_per_chan=3)
        waveform = AnalogWaveform.from_array_1d(np.array([1.0, 2.0, 5.0]))
        assert task.write(waveform, auto_start=True) == 3
        lab.clock.sleep(1.0)
        task.wait_until_done(timeout=0.0)
    assert lab.server.output("Dev2/ao0") == 5.0
    with lab.task() as task:
        task.do_channels.add_do_chan("Dev2/port0/line0:1", line_grouping=LineGrouping.CHAN_FOR_ALL_LINES)
        task.write(DigitalWaveform.from_lines(np.array([[1, 0]], np.uint8)), auto_start=True)
        assert task.read() == 1


def test_raw_samples_are_codes_scan_by_scan(lab):
    lab.clock.sleep(1000.0)
    with lab.task() as task:
        task.ai_channels.add_ai_voltage_chan("Dev2/ai0:1")
        raw = task.in_stream.read(3)
    assert raw.dtype == np.int16
    assert raw.tolist() == [round(1.0 / (10.0 / 2**16))] * 6


def test_no_sensor_has_teds(lab, code_of):
    devices = System.remote(grpc_options=lab.options()).devices
    channel = devices["cDAQ1Mod1"].ai_physical_chans["cDAQ1Mod1/ai0"]
    assert code_of(lambda: channel.teds_mfg_id) == -200741  # this module cannot read TEDS
    assert code_of(lambda: channel.configure_teds("sensor.ted")) == -200784
    assert code_of(channel.clear_teds) == -200741
    with lab.task() as task:
        assert code_of(lambda: task.ai_channels.add_teds_ai_voltage_chan("cDAQ1Mod1/ai0")) == -200741


def test_a_signal_is_exported_and_terminals_are_connected(lab, code_of):
    system = System.remote(grpc_options=lab.options())
    with lab.task() as first, lab.task() as second:
        first.ai_channels.add_ai_voltage_chan("Dev2/ai0")
        first.timing.cfg_samp_clk_timing(50.0, sample_mode=CONTINUOUS)
        first.export_signals.export_signal(Signal.SAMPLE_CLOCK, "/Dev1/PFI4")
        second.ci_channels.add_ci_count_edges_chan("Dev1/ctr0").ci_count_edges_term = "/Dev1/PFI4"
        second.start()
        first.start()
        lab.clock.sleep(1.01)
        assert second.read() == 51
        assert code_of(lambda: first.export_signals.export_signal(Signal.COUNTER_OUTPUT_EVENT, "/Dev1/PFI5")) == -89136
    system.connect_terms("/Dev2/PFI9", "/Dev2/PFI10")
    with lab.task() as task:
        task.ci_channels.add_ci_freq_chan("Dev2/ctr1", min_val=1.0, max_val=1000.0).ci_freq_term = "/Dev2/PFI10"
        lab.clock.sleep(1.0)
        assert task.read() == pytest.approx(100.0)
    system.disconnect_terms("/Dev2/PFI9", "/Dev2/PFI10")
    assert code_of(lambda: system.connect_terms("/Dev9/PFI0", "/Dev2/PFI0")) == -89129


def test_the_inverse_of_a_polynomial_scale_is_calculated(lab):
    reverse = Scale.calculate_reverse_poly_coeff(
        [1.0, 2.0], 0.0, 10.0, num_points_to_compute=100, reverse_poly_order=1, grpc_options=lab.options()
    )
    assert reverse == pytest.approx([-0.5, 0.5])


def test_each_code_of_an_error_has_words():
    assert text_of(-200279).startswith("The application did not keep up")
    assert text_of(-200696) == "Bridge offset nulling cal not supported."
    assert text_of(-123456) == "Error -123456 occurred."


def test_what_is_asked_in_vain_is_counted_and_told_once(lab, caplog):
    with lab.task() as task, caplog.at_level(logging.WARNING):
        for _ in range(2):
            with pytest.raises(RpcError) as refused:
                task.ci_channels.add_ci_lin_velocity_chan("Dev2/ctr0")
            assert refused.value.rpc_code is grpc.StatusCode.UNIMPLEMENTED
    assert lab.server.unknown == {"CreateCILinVelocityChan": 2}
    assert [each.message.split()[8] for each in caplog.records] == ["CreateCILinVelocityChan;"]


# ------------------------------------------------------------------------------- kinds of channels, one reading each


@pytest.mark.parametrize(
    ("add", "settings", "code"),
    [
        ("accel", {}, -200431),
        ("microphone", {}, -200431),
        ("voltage_rms", {}, -200431),
        ("strain_gage", {}, -200431),
    ],
)
def test_a_channel_that_a_device_does_not_measure_is_refused(lab, code_of, add, settings, code):
    with lab.task() as task:
        assert code_of(lambda: getattr(task.ai_channels, f"add_ai_{add}_chan")("Dev2/ai0", **settings)) == code


STEINHART = {"a": 1.295361e-3, "b": 2.343159e-4, "c": 1.018703e-7}  # a common 5 kohm thermistor


def test_a_thermistor_reads_its_temperature_by_resistance_and_by_divider(bench):
    ohm = 5000.0
    degc = 1.0 / (STEINHART["a"] + STEINHART["b"] * np.log(ohm) + STEINHART["c"] * np.log(ohm) ** 3) - 273.15
    limits = {"min_val": 20.0, "max_val": 60.0, **STEINHART}
    wires = ResistanceConfiguration.TWO_WIRE
    iex = {"resistance_config": wires, "current_excit_source": ExcitationSource.INTERNAL, "current_excit_val": 1e-4}
    assert bench.read("cDAQ1Mod1/ai0", ohm, "thrmstr", "iex", **limits, **iex) == pytest.approx(degc, abs=0.02)
    vex = {"voltage_excit_source": ExcitationSource.EXTERNAL, "voltage_excit_val": 2.5, "r_1": 5000.0}
    fahrenheit = {"units": TemperatureUnits.DEG_F, "min_val": 68.0, "max_val": 140.0}
    read = bench.read("cDAQ1Mod2/ai0", 1.25, "thrmstr", "vex", **limits | fahrenheit, resistance_config=wires, **vex)
    assert read == pytest.approx(degc * 1.8 + 32.0, abs=0.05)


def test_a_torque_bridge_reads_in_its_units(bench):
    points = {"first_electrical_val": 0.0, "second_electrical_val": 2.0, "second_physical_val": 10.0}
    units = {"units": TorqueUnits.INCH_POUNDS, "physical_units": BridgePhysicalUnits.NEWTON_METERS}
    limits = {"min_val": -50.0, "max_val": 80.0, "first_physical_val": 0.0}
    read = bench.read("cDAQ1Mod1/ai0", 1e-3, "torque_bridge_two_point_lin", "", **points, **units, **limits)
    assert read == pytest.approx(5.0 * 8.8507458, rel=1e-4)


# ---------------------------------------------------------------------------------------------- shunt calibration


def bridge_task(bench, terminal):
    task = nidaqmx.Task(grpc_options=bench.options)
    task.ai_channels.add_ai_bridge_chan(terminal, min_val=-0.005, max_val=0.005, voltage_excit_val=2.5)
    return task


def test_a_shunt_corrects_the_gain_by_what_the_bridge_differs_from_its_name(bench, code_of):
    with bridge_task(bench, "cDAQ1Mod3/ai0") as task:  # 345 ohm, and called 350
        task.perform_bridge_shunt_cal(shunt_resistor_value=100e3, bridge_resistance=350.0)
        gain = task.ai_channels[0].ai_bridge_shunt_cal_gain_adjust
        assert gain == pytest.approx(350.0 / 400_700.0 / (345.0 / 400_690.0), rel=1e-3)
        bench.levels["cDAQ1Mod3/ai0"].value = 1e-3
        assert task.read() == pytest.approx(gain * 1e-3, rel=1e-4)
        assert code_of(lambda: task.perform_bridge_shunt_cal(shunt_resistor_value=10e3)) == -201493
        assert code_of(task.perform_strain_shunt_cal) == -201203
        task.perform_strain_shunt_cal(skip_unsupported_channels=True)
    with bridge_task(bench, "cDAQ1Mod1/ai0") as task:
        assert code_of(task.perform_bridge_shunt_cal) == -201204
