"""Tasks, channels and scales that the driver keeps by name, through the real nidaqmx."""

from __future__ import annotations

import pytest
from nidaqmx.constants import AcquisitionType, VoltageUnits
from nidaqmx.scale import Scale
from nidaqmx.system import System

CONTINUOUS = AcquisitionType.CONTINUOUS


def test_a_saved_task_is_loaded_as_it_was_and_runs(lab, code_of):
    system = System.remote(grpc_options=lab.options())
    with lab.task() as task:
        task.ai_channels.add_ai_voltage_chan("Dev2/ai0", "line pressure", min_val=-5.0, max_val=5.0)
        task.timing.cfg_samp_clk_timing(100.0, sample_mode=CONTINUOUS, samps_per_chan=500)
        task.save(save_as="pressures", author="the lab")
        assert code_of(lambda: task.save(save_as="pressures")) == -200484
        task.save(save_as="pressures", author="the lab", overwrite_existing_task=True)
        task.ai_channels[0].ai_max = 10.0  # what was saved stays as it is
    assert system.tasks.task_names == ["pressures"]
    assert (system.tasks["pressures"].author, system.tasks["pressures"].allow_interactive_editing) == ("the lab", True)
    lab.clock.sleep(1.0)
    with system.tasks["pressures"].load() as loaded:
        assert (loaded.channel_names, loaded.ai_channels[0].ai_max) == (["line pressure"], 5.0)
        loaded.start()
        lab.clock.sleep(1.0)
        assert loaded.read(100)[99] == pytest.approx(2e-3, abs=3e-4)
    system.tasks["pressures"].delete()
    assert system.tasks.task_names == []
    assert code_of(lambda: system.tasks["pressures"].load()) == -200485


def test_a_saved_channel_is_added_to_another_task(lab, code_of):
    system = System.remote(grpc_options=lab.options())
    with lab.task() as task:
        task.ai_channels.add_ai_voltage_chan("Dev2/ai1", min_val=-1.0, max_val=1.0).save(save_as="drain", author="me")
    with lab.task() as task:
        task.add_global_channels([system.global_channels["drain"]])
        assert (task.channel_names, task.ai_channels[0].ai_max) == (["drain"], 1.0)
        lab.clock.sleep(1.0)
        assert task.read() == pytest.approx(1e-3, abs=1e-4)
    system.global_channels["drain"].delete()
    assert code_of(lambda: system.global_channels["drain"].author) == -200882


def test_a_saved_scale_serves_under_its_name(lab, code_of):
    system = System.remote(grpc_options=lab.options())
    scale = Scale.create_lin_scale("plain", 1000.0, 1.0, scaled_units="mV", grpc_options=lab.options())
    assert system.scales.scale_names == []
    scale.save(save_as="millivolts", author="me")
    assert code_of(lambda: scale.save(save_as="millivolts")) == -200356
    assert system.scales.scale_names == ["millivolts"]
    assert system.scales["millivolts"].load().scaled_units == "mV"
    lab.clock.sleep(1.0)
    with lab.task() as task:
        task.ai_channels.add_ai_voltage_chan(
            "Dev2/ai0",
            min_val=-999.0,
            max_val=999.0,
            units=VoltageUnits.FROM_CUSTOM_SCALE,
            custom_scale_name="millivolts",
        )
        assert task.read() == pytest.approx(2.0, abs=0.02)
    system.scales["millivolts"].delete()
    assert code_of(lambda: system.scales["millivolts"].author) == -200378
