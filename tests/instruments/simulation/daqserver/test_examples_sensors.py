"""The calls of NI's examples for sensors with a feed of their own, for analog trigger terminals and power supplies."""

from __future__ import annotations

import numpy as np
import pytest
from nidaqmx.constants import (
    AccelSensitivityUnits,
    AccelUnits,
    AcquisitionType,
    CJCSource,
    ExcitationSource,
    ForceIEPESensorSensitivityUnits,
    ForceUnits,
    PowerIdleOutputBehavior,
    PowerOutputState,
    ResistanceConfiguration,
    RTDType,
    Sense,
    Slope,
    TerminalConfiguration,
    ThermocoupleType,
    VelocityIEPESensorSensitivityUnits,
    VelocityUnits,
)
from nidaqmx.stream_readers import PowerSingleChannelReader

from instruments.simulation.daqserver.hardware import Wiring

CONTINUOUS, FINITE = AcquisitionType.CONTINUOUS, AcquisitionType.FINITE
FEED = {"current_excit_source": ExcitationSource.INTERNAL, "current_excit_val": 2e-3}


class Line:
    """A signal that grows by itself: volts = slope times seconds."""

    def __init__(self, slope: float, level: float = 0.0) -> None:
        self.slope, self.level = slope, level

    def at(self, t: float) -> float:
        return self.level + self.slope * t

    def samples(self, t0: float, dt: float, first: int, n: int) -> np.ndarray:
        return self.level + self.slope * (t0 + np.arange(first, first + n) * dt)


@pytest.fixture
def signals() -> dict[str, Line]:
    """What is at the terminals."""
    return {"cDAQ1Mod1/ai0": Line(0.0, 0.1), "Dev1/ai0": Line(0.0, 0.11), "Dev1/APFI0": Line(1.0)}


@pytest.fixture
def rack(portless, signals):
    """A sensor module, a power supply and a multifunction card."""
    devices = {"cDAQ1Mod1": "NI 9234", "TS1Mod1": "TS-15200", "Dev1": "PCIe-6363"}
    return portless(devices, signals, {"TS1Mod1/power": Wiring(load_ohm=50.0)})


@pytest.mark.parametrize(
    ("add", "settings", "expected"),
    [
        (
            "accel",
            {
                "units": AccelUnits.METERS_PER_SECOND_SQUARED,
                "sensitivity": 100.0,
                "sensitivity_units": AccelSensitivityUnits.MILLIVOLTS_PER_G,
            },
            9.80665,
        ),
        ("microphone", {"mic_sensitivity": 50.0, "terminal_config": TerminalConfiguration.PSEUDO_DIFF}, 2.0),
        (
            "force_iepe",
            {
                "units": ForceUnits.POUNDS,
                "min_val": -400.0,
                "max_val": 400.0,
                "sensitivity": 2.5,
                "sensitivity_units": ForceIEPESensorSensitivityUnits.MILLIVOLTS_PER_NEWTON,
            },
            40.0 / 4.4482216,
        ),
        (
            "velocity_iepe",
            {
                "units": VelocityUnits.INCHES_PER_SECOND,
                "min_val": -40.0,
                "max_val": 40.0,
                "sensitivity": 4.0,
                "sensitivity_units": VelocityIEPESensorSensitivityUnits.MILLIVOLTS_PER_MILLIMETER_PER_SECOND,
            },
            25.0 / 25.4,
        ),
    ],
)
def test_a_sensor_that_is_fed_with_current_reads_in_its_units(rack, add, settings, expected):
    with rack.task() as task:
        getattr(task.ai_channels, f"add_ai_{add}_chan")("cDAQ1Mod1/ai0", **FEED, **settings)
        task.timing.cfg_samp_clk_timing(2048.0, sample_mode=CONTINUOUS, samps_per_chan=1000)
        task.start()
        rack.clock.sleep(1.0)
        assert task.read(10) == pytest.approx([expected] * 10, rel=1e-4)


def test_a_module_feeds_with_its_own_current_only(rack, code_of):
    with rack.task() as task:
        task.ai_channels.add_ai_accel_chan("cDAQ1Mod1/ai0", current_excit_val=4e-3)
        assert code_of(task.read) == -200077
        task.ai_channels[0].ai_excit_val = 2e-3
        task.read()


def test_a_multifunction_card_reads_a_resistance_by_a_current_of_the_applications(rack, code_of):
    feed = {"current_excit_source": ExcitationSource.EXTERNAL, "current_excit_val": 1e-3}
    with rack.task() as task:
        task.ai_channels.add_ai_rtd_chan(
            "Dev1/ai0",
            min_val=0.0,
            max_val=100.0,
            rtd_type=RTDType.PT_3851,
            resistance_config=ResistanceConfiguration.TWO_WIRE,
            **feed,
        )
        assert task.read() == pytest.approx(25.69, abs=0.05)  # 0.11 V of 1 mA are 110 ohm
        task.ai_channels[0].ai_excit_src = ExcitationSource.INTERNAL
        assert code_of(task.read) == -200077
    with rack.task() as task:
        task.ai_channels.add_ai_resistance_chan("Dev1/ai0", min_val=0.0, max_val=200.0, **feed)
        assert task.read() == pytest.approx(110.0, abs=0.02)


def test_a_multifunction_card_reads_a_thermocouple_with_a_known_cold_junction(rack, signals, code_of):
    signals["Dev1/ai0"].level = 1e-3
    with rack.task() as task:
        task.ai_channels.add_ai_thrmcpl_chan(
            "Dev1/ai0",
            thermocouple_type=ThermocoupleType.K,
            cjc_source=CJCSource.CONSTANT_USER_VALUE,
            cjc_val=25.0,
        )
        assert task.read() == pytest.approx(49.6, abs=0.3)
    with rack.task() as task:
        task.ai_channels.add_ai_thrmcpl_chan("Dev1/ai0", cjc_source=CJCSource.BUILT_IN)
        assert code_of(task.read) == -200077  # it has none of its own


def test_an_analog_terminal_starts_a_generation(rack, code_of):
    with rack.task() as task:
        task.ao_channels.add_ao_voltage_chan("Dev1/ao0", min_val=-5.0, max_val=5.0)
        task.timing.cfg_samp_clk_timing(100.0, sample_mode=CONTINUOUS)
        start = task.triggers.start_trigger
        start.cfg_anlg_edge_start_trig(trigger_source="/Dev1/APFI0", trigger_level=0.5, trigger_slope=Slope.RISING)
        start.anlg_edge_hyst = 0.1
        task.write(np.linspace(0.0, 1.0, 100))
        task.start()
        rack.clock.sleep(0.4)
        assert task.out_stream.total_samp_per_chan_generated == 0
        rack.clock.sleep(0.6)
        assert task.out_stream.total_samp_per_chan_generated == 51
        task.stop()
        start.cfg_anlg_edge_start_trig(trigger_source="/Dev1/PFI0")
        task.write(np.linspace(0.0, 1.0, 100))
        assert code_of(task.start) == -200265


def test_a_power_supply_holds_its_voltage_or_its_current(rack):
    with rack.task() as task:
        channel = task.ai_channels.add_ai_power_chan("TS1Mod1/power", 3.0, 0.1, True)
        channel.pwr_idle_output_behavior = PowerIdleOutputBehavior.OUTPUT_DISABLED
        channel.pwr_remote_sense = Sense.LOCAL
        task.start()
        read = task.read()
        assert (read.voltage, read.current) == (3.0, pytest.approx(0.06))  # on 50 ohm
        assert channel.pwr_output_state is PowerOutputState.CONSTANT_VOLTAGE
        channel.pwr_voltage_setpoint = 6.0
        assert rack.server.output("TS1Mod1/power") == 5.0  # set while it runs, and limited by 0.1 A
        assert channel.pwr_output_state is PowerOutputState.CONSTANT_CURRENT
        assert not task.in_stream.overtemperature_chans_exist
        channel.pwr_output_enable = False
        assert np.isnan(task.read().voltage)
        channel.pwr_output_enable = True
        task.stop()
        assert rack.server.output("TS1Mod1/power") == 0.0
        assert channel.pwr_output_state is PowerOutputState.OUTPUT_DISABLED


def test_a_power_supply_is_read_by_a_sample_clock(rack, code_of):
    with rack.task() as task:
        channel = task.ai_channels.add_ai_power_chan("TS1Mod1/power", 1.0, 0.03, True)
        task.timing.cfg_samp_clk_timing(10.0, sample_mode=CONTINUOUS)
        task.start()
        rack.clock.sleep(2.0)
        assert [each.voltage for each in task.read(5)] == [1.0] * 5
        volts, amperes = np.zeros(10), np.zeros(10)
        PowerSingleChannelReader(task.in_stream).read_many_sample(volts, amperes, 10)
        assert amperes.tolist() == pytest.approx([0.02] * 10)
        assert code_of(lambda: setattr(channel, "pwr_voltage_setpoint", 7.0)) == -200077
        assert channel.pwr_voltage_setpoint == 1.0


def test_power_supplies_and_inputs_are_not_read_together(rack, code_of):
    with rack.task() as task:
        task.ai_channels.add_ai_power_chan("TS1Mod1/power", 1.0, 0.03, True)
        task.ai_channels.add_ai_voltage_chan("cDAQ1Mod1/ai0", min_val=-5.0, max_val=5.0)
        assert code_of(task.read) == -200525


def test_what_is_written_without_timing_needs_a_task_that_runs(rack, code_of):
    with rack.task() as task:
        task.do_channels.add_do_chan("Dev1/port0/line0:3")
        assert code_of(lambda: task.write([1, 2, 4, 8], auto_start=False)) == -200846
        assert task.write([1, 2, 4, 8], auto_start=True) == 4
        task.stop()
        task.do_channels.add_do_chan("Dev1/port1/line4:7")
        assert task.write([0, 0xF], auto_start=True) == 1
        assert rack.server.output("Dev1/port1/line7") == 1.0
