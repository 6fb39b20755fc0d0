"""A simulated bench for other programs: what is served, where, to whom, and what a run on it is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial
from click.testing import CliRunner

from bench import served_rig
from bench.cli import cli
from bench.request import Request, RequestError, prepare
from bench.session import conduct
from bench.station import Served, load_station, parse_fault, serve_rig
from data.checks import Origin, Status
from data.run import Run
from data.tomlfile import FileError
from instruments.clock import WallClock
from instruments.simulation.devices.newera_ne1000 import packet

PACE = 8.0


def connected(address: str) -> socket.socket:
    """A client of a TCP port."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=60.0)


def ask(address: str, command: bytes) -> bytes:
    """The line that a device on TCP answers with."""
    with connected(address) as client:
        client.sendall(command)
        return client.makefile("rb").readline()


def until(holds: Callable[[], bool]) -> None:
    """Wait for the plant, which follows within a tenth of a second where the computer is not busy."""
    clock = WallClock()
    while not holds():
        assert clock.now() < 60.0, "it did not happen"
        clock.sleep(0.02)


@pytest.fixture(scope="module")
def rig() -> Iterator[Any]:
    """The rig of the station "sim", served in this process."""
    described = served_rig.of_station("sim")
    with serve_rig(described.simulation, described.where, WallClock(PACE), described.resources, seed=5) as served:
        yield served


class Ahead(WallClock):
    """Real time that can be put ahead."""

    def put_ahead(self, seconds: float) -> None:
        self._zero -= seconds


@pytest.fixture(scope="module")
def ahead() -> Ahead:
    return Ahead()


@pytest.fixture(scope="module")
def pair(ahead: Ahead) -> Iterator[Any]:
    """Two instruments without a station."""
    described = served_rig.of_instruments({"pusher": "newera-ne1000", "scale": "mettler-mtsics"}, daq=False)
    with serve_rig(described.simulation, described.where, ahead, described.resources) as served:
        yield served


@pytest.fixture
def written(rig: Any, tmp_path: Path) -> Path:
    """The station file by which a run finds that rig."""
    file = tmp_path / "served.toml"
    resources = {name: served_rig.visa_resource(ports, "tcp") for name, ports in rig.ports.items()}
    served_rig.write_station("sim", file, resources, rig.daq, Served(pace=PACE, seed=5, faults=["leak:0.3@2h"]))
    return file


# ---------------------------------------------------------------------------------------------- the command


def test_the_command_says_where_everything_is_and_ends_when_it_is_told(tmp_path):
    command = [sys.executable, "-P", "-m", "bench.cli", "sim", "serve", "--station", "sim-full", "--json", "--truth"]
    written = ["--write-station", str(tmp_path / "served.toml")]
    with subprocess.Popen([*command, *written], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        answer = ask(said["instruments"]["balance"]["tcp"], b"I4\r\n")
        truth = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM if os.name == "posix" else signal.CTRL_BREAK_EVENT)
        process.stdout.read()
    assert (process.returncode, answer) == (0, b'I4 A "B021002593"\r\n')
    assert said["instruments"]["pusher"]["driver"] == "newera-ne1000"
    assert load_station(str(tmp_path / "served.toml")).daq == said["daq"]
    assert (truth["vent_is_open"], truth["pusher_ul_per_h"], truth["daq_unknown"]) == (1.0, 0.0, {})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "give --station, or --instrument"),
        (["--instrument", "balance"], "write NAME=DRIVER"),
        (["--instrument", "x=keller"], "there are bronkhorst-propar, druck-pace"),
        (["--instrument", "a=mark10", "--instrument", "a=julabo"], 'two instruments "a"'),
        (["--daq", "--dut", "sim-peristaltic"], "go with --station"),
        (["--station", "template"], "there is nothing to serve"),
        (["--station", "sim", "--pace", "0"], "--pace 0: a stop takes its time at this pace, too; give 0.1 or more"),
        (["--station", "sim", "--fault", "drop@0s/scale"], "scale"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_sentence(options, why):
    result = CliRunner().invoke(cli, ["sim", "serve", *options])
    assert result.exit_code != 0
    assert why in f"{result.output}{result.exception}"


# ------------------------------------------------------------------------------------------ ports and clients


def test_an_instrument_can_be_left_and_reached_again_a_hundred_times(rig):
    address = rig.ports["balance"]["tcp"]
    assert {ask(address, b"I4\r\n") for _ in range(100)} == {b'I4 A "B021002593"\r\n'}


def test_two_clients_at_different_instruments_do_not_know_of_each_other(pair):
    with connected(pair.ports["scale"]["tcp"]) as first, connected(pair.ports["pusher"]["tcp"]) as second:
        first.sendall(b"I4\r\n")
        second.sendall(b"VER\r")
        assert b"NE1000V3.928" in second.recv(100)
        assert first.recv(100) == b'I4 A "B021002593"\r\n'


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
def test_who_spoke_last_hears_the_answer_on_its_own_port(rig):
    with serial.Serial(rig.ports["balance"]["pty"], timeout=60.0) as port:
        for _ in range(2):
            port.write(b"I4\r\n")
            assert port.readline() == b'I4 A "B021002593"\r\n'
            assert ask(rig.ports["balance"]["tcp"], b"I4\r\n") == b'I4 A "B021002593"\r\n'
        assert port.in_waiting == 0


def test_a_pulled_plug_hangs_up_and_comes_back(rig):
    address = rig.ports["balance"]["tcp"]
    rig.unplug("balance", 1e9)
    try:
        assert ask(address, b"I4\r\n") == b""
    except ConnectionError:
        pass  # it was quicker
    finally:
        rig.plug()
    assert ask(address, b"I4\r\n") == b'I4 A "B021002593"\r\n'


def test_a_silent_host_is_noticed_by_the_device_itself(pair, ahead):
    with connected(pair.ports["pusher"]["tcp"]) as host:
        for command in (b"SAF200\r", packet(b"RAT 600 UH"), packet(b"RUN")):
            host.sendall(command)
            said = host.recv(100)
        assert b"00I" in said
        until(lambda: pair.truth()["pusher_ul_per_h"] == pytest.approx(600.0, rel=1e-3))
        ahead.put_ahead(200.0)
        assert b"A?T" in host.recv(100)
    until(lambda: pair.truth()["pusher_ul_per_h"] == 0.0)


# ------------------------------------------------------------------------------------------------ runs on it


def test_a_run_drives_the_rig_over_sockets_and_its_record_says_that_it_is_simulated(written, tmp_path):
    text = written.read_text("utf-8").replace('::SOCKET"', '::SOCKET"\ntimeout = "20 s"')
    written.write_text(text, "utf-8")  # for a computer that stalls
    result = conduct(Request("read-out", str(written), settings={"length": "10 s"}, out=tmp_path))
    assert (result.end.status, result.origin) == (Status.COMPLETED, Origin.SIMULATED)
    with Run.open(result.run_file) as run:
        assert (run.seed, run.faults, run.station["visa"]) == (5, ["leak:0.3@2h"], "@py")


def test_a_served_station_has_no_real_instruments_and_takes_no_faults(written):
    station = load_station(str(written))
    assert (station.real, station.simulated) == (False, False)
    with pytest.raises(RequestError, match="pumpbench sim serve --fault"):
        prepare(Request("read-out", str(written), faults=["leak"]))
    assert prepare(Request("read-out", str(written))).origin is Origin.SIMULATED


def test_only_the_addresses_differ_in_the_written_station(written):
    station, original = load_station(str(written)), load_station("sim")
    assert station.instruments["balance"].model_extra["resource"].startswith("TCPIP::127.0.0.1::")
    assert station.interlocks == original.interlocks
    assert station.safe_state == original.safe_state


def test_a_station_that_somebody_wrote_is_not_written_over(rig, tmp_path, sim_station: Callable[..., Path]):
    mine = sim_station(tmp_path, name="mine.toml")
    with pytest.raises(FileError, match="choose another"):
        served_rig.write_station("sim", mine, {}, rig.daq, Served())


def test_faults_of_a_served_rig_are_those_of_a_run():
    described = served_rig.of_station("sim")
    faults = (parse_fault("e-stop@0s"),)
    with serve_rig(described.simulation, described.where, WallClock(), described.resources, faults=faults) as served:
        assert served.rig.plant.signals["e_stop"].at(1.0) == 1.0
