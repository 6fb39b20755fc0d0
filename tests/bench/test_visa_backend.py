"""The simulated stations as a backend of the real pyvisa, for programs that know nothing of this bench."""

import subprocess
import sys
import tomllib
from pathlib import Path

import nidaqmx
import nidaqmx.system
import pytest
import pyvisa
from grpc import insecure_channel
from nidaqmx.constants import AcquisitionType, ResistanceConfiguration, ThermocoupleType
from pyvisa.util import get_debug_info

from bench.station import SHIPPED
from instruments.clock import WallClock
from pyvisa_pumpbench import daq_target

SCRIPT = """
import pyvisa
manager = pyvisa.ResourceManager("sim-full@pumpbench")
print(manager.list_resources()[0])
with manager.open_resource("ASRL1::INSTR", read_termination="\\r\\n", write_termination="\\r\\n") as balance:
    print(balance.query("TI"))
"""
LINES = {"read_termination": "\r\n", "write_termination": "\r\n"}


@pytest.fixture(scope="module")
def manager():
    """The manager of a shipped station, ten times as fast as real time."""
    made = pyvisa.ResourceManager("sim-full?pace=10@pumpbench")
    yield made
    made.close()


def test_a_script_of_another_process_has_a_rig_of_its_own(manager, tmp_path):
    command = [sys.executable, "-P", "-c", SCRIPT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    first, tared = done.stdout.splitlines()
    assert (done.stderr, first) == ("", "ASRL1::INSTR")
    assert tared.startswith("TI")
    assert tared.split()[2] != "0.00000"  # the vessel's weight
    with manager.open_resource("balance", **LINES) as balance:
        assert balance.query("TA").split()[:3] == ["TA", "A", "0.00000"]  # nobody has tared this one


def test_an_instrument_opens_by_its_resource_and_by_its_name(manager):
    with manager.open_resource("ASRL1::INSTR", **LINES) as balance:
        identity = balance.query("I2")
    with manager.open_resource("balance", **LINES) as balance:
        assert balance.query("I2") == identity
    assert identity.startswith('I2 A "')


def test_a_station_that_is_opened_again_is_found_as_it_was_left(manager):
    again = pyvisa.ResourceManager("sim-full?pace=10&seed=1@pumpbench")
    assert again.visalib is manager.visalib
    assert pyvisa.ResourceManager("sim-full?pace=10&seed=2@pumpbench").visalib is not manager.visalib


def test_a_copy_of_a_station_file_is_a_station_of_its_own(manager, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_bytes((SHIPPED / "sim-full.toml").read_bytes())
    own = pyvisa.ResourceManager(f"{mine}?pace=10@pumpbench")
    assert own.visalib is not manager.visalib
    assert own.list_resources() == manager.list_resources()


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ("simm", 'there is no station "simm"; did you mean "sim"?'),
        ("nowhere.toml", r"nowhere.toml: there is no such file; check the path"),
        ("template", 'template.toml: it has real instruments; take a station with visa = "simulated"'),
        ("sim?pase=2", 'there is no option "pase"; there are pace and seed'),
        ("sim?pace=1e-9", "pace 1e-09: a stop takes its time at this pace, too; give 0.1 or more"),
        ("sim?pace=nan", "pace nan: a stop takes its time at this pace, too; give 0.1 or more"),
        ("sim?pace=fast", 'pace "fast" is not a number; write \\?pace=10'),
    ],
)
def test_what_is_no_simulated_station_is_told_in_one_sentence(wanted, sentence):
    with pytest.raises(OSError, match=sentence) as wrong:
        pyvisa.ResourceManager(f"{wanted}@pumpbench")
    assert "\n" not in str(wrong.value)


def test_pyvisa_lists_the_backend_and_its_stations():
    info = get_debug_info(to_screen=False)
    assert "pumpbench:" in info
    assert "sim-full@pumpbench" in info


def test_nidaqmx_reads_the_ni_devices_of_the_same_rig(manager):
    with insecure_channel(daq_target("sim-full?pace=10@pumpbench")) as channel:
        options = nidaqmx.GrpcSessionOptions(channel, "")
        assert "cDAQ1Mod1" in nidaqmx.system.System.remote(grpc_options=options).devices.device_names
        with nidaqmx.Task(grpc_options=options) as task:
            task.ai_channels.add_ai_thrmcpl_chan("cDAQ1Mod4/ai0", thermocouple_type=ThermocoupleType.T)
            task.ai_channels.add_ai_rtd_chan("cDAQ1Mod5/ai0", resistance_config=ResistanceConfiguration.FOUR_WIRE)
            task.ai_channels.add_ai_current_chan("cDAQ1Mod3/ai0", max_val=0.02)
            task.timing.cfg_samp_clk_timing(100.0, sample_mode=AcquisitionType.CONTINUOUS, samps_per_chan=50_000)
            blocks = []
            task.register_every_n_samples_acquired_into_buffer_event(
                20, lambda *event: blocks.append(task.read(event[2])) or 0
            )
            task.start()
            clock = WallClock()
            while len(blocks) < 2:
                clock.sleep(0.02)
        bath, room, loop = (sum(row) / len(row) for row in blocks[1])
    assert 15.0 < bath < 45.0
    assert 15.0 < room < 30.0
    assert 0.004 < loop < 0.02


def test_the_wheel_carries_the_module_that_pyvisa_looks_for():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    build = project["tool"]["hatch"]["build"]
    assert "pyvisa_pumpbench.py" in build["only-include"]
    assert "pyvisa_pumpbench.py" in build["targets"]["wheel"]["only-include"]
