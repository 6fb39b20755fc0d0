"""The simulated stations as a backend of the real pyvisa, for programs that know nothing of this bench."""

import subprocess
import sys
from pathlib import Path

import pytest
import pyvisa
from pyvisa.util import get_debug_info

SCRIPT = """
import pyvisa
manager = pyvisa.ResourceManager("sim@pumpbench")
print(manager.list_resources()[0])
with manager.open_resource("ASRL1::INSTR", read_termination="\\r\\n", write_termination="\\r\\n") as balance:
    print(balance.query("T" if "tare" in __import__("sys").argv else "TA"))
"""
LINES = {"read_termination": "\r\n", "write_termination": "\r\n"}


@pytest.fixture(scope="module")
def manager():
    """The manager of a shipped station, ten times as fast as real time."""
    made = pyvisa.ResourceManager("sim?pace=10@pumpbench")
    yield made
    made.close()


def test_a_script_of_another_process_reads_the_balance_and_no_two_processes_share_one(tmp_path):
    said = []
    for word in ("tare", "ask"):
        command = [sys.executable, "-P", "-c", SCRIPT, word]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
        assert done.stderr == ""
        said.append(done.stdout.splitlines())
    assert [lines[0] for lines in said] == ["ASRL1::INSTR"] * 2
    assert said[0][1].startswith("T S")
    assert said[0][1].split()[2] != "0.00000"  # the vessel's weight
    assert said[1][1].split()[:3] == ["TA", "A", "0.00000"]


def test_an_instrument_opens_by_its_resource_and_by_its_name(manager):
    with manager.open_resource("ASRL1::INSTR", **LINES) as balance:
        identity = balance.query("I2")
    with manager.open_resource("balance", **LINES) as balance:
        assert balance.query("I2") == identity
    assert identity.startswith('I2 A "')


def test_a_station_that_is_opened_again_is_found_as_it_was_left(manager):
    again = pyvisa.ResourceManager("sim?pace=10&seed=1@pumpbench")
    assert again.visalib is manager.visalib
    assert pyvisa.ResourceManager("sim?pace=10&seed=2@pumpbench").visalib is not manager.visalib


def test_a_copy_of_a_station_file_is_a_station_of_its_own(manager, tmp_path):
    import bench.station

    mine = tmp_path / "mine.toml"
    mine.write_bytes((bench.station.SHIPPED / "sim.toml").read_bytes())
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


def test_the_ni_devices_of_the_same_rig_are_behind_an_address(manager):
    import nidaqmx.system
    from grpc import insecure_channel

    from pyvisa_pumpbench import daq_target

    with insecure_channel(daq_target("sim?pace=10@pumpbench")) as channel:
        system = nidaqmx.system.System.remote(grpc_options=nidaqmx.GrpcSessionOptions(channel, ""))
        assert "cDAQ1" in system.devices.device_names


def test_the_wheel_carries_the_module_that_pyvisa_looks_for():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    build = project["tool"]["hatch"]["build"]
    assert "pyvisa_pumpbench.py" in build["only-include"]
    assert "pyvisa_pumpbench.py" in build["targets"]["wheel"]["only-include"]
