"""Finding out what is at ports on the command line, and the station file that comes of it."""

from __future__ import annotations

import json
import socket
import sys
import tomllib
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from bench import run_queue, served_rig
from bench.cli import cli
from bench.scan import NiDevice, ScanError, in_use, ni_devices, resource_of, scan, tcp_resource, unnamed_twice
from bench.scan_file import station_text
from bench.state_folder import home
from bench.station import load_station, serve_rig
from data.tomlfile import FileError
from instruments.clock import WallClock
from instruments.instrument import Identity
from instruments.recognition import Found, Recognised
from instruments.visa import SerialLine

TODAY = date(2026, 11, 21)
FOUND = [
    Found("ASRL/dev/ttyUSB0::INSTR", "mettler-mtsics", Recognised(Identity("Mettler-Toledo", "XPR205", "B1")),
          SerialLine()),
    Found("ASRL/dev/ttyUSB1::INSTR", "mettler-mtsics", Recognised(Identity("Mettler-Toledo", "XPR205", "B2")),
          SerialLine(19_200)),
    Found("TCPIP::10.0.0.7::5025::SOCKET", "druck-pace", Recognised(Identity("GE Druck", "Pace5000", "321"))),
    Found("ASRL4::INSTR", "newera-ne1000", Recognised(Identity("New Era", "NE-1000", "")), SerialLine(19_200)),
    Found("ASRL5::INSTR", why="nothing answers"),
]  # fmt: skip


@pytest.fixture(scope="module")
def rig() -> Any:
    """A balance, a syringe pump and NI devices on ports of this computer."""
    described = served_rig.of_instruments({"scale": "mettler-mtsics", "pusher": "newera-ne1000"}, daq=True)
    with serve_rig(described.simulation, described.where, WallClock(), described.resources) as served:
        yield served


def asked(*options: str) -> Any:
    return CliRunner().invoke(cli, ["stations", "scan", *options])


# -------------------------------------------------------------------------------------------------- the command


def test_a_scan_of_sockets_writes_a_station_file_and_moves_nothing(rig, tmp_path):
    out = tmp_path / "lab-1.toml"
    before = rig.truth()
    ports = [option for name in ("scale", "pusher") for option in ("--tcp", rig.ports[name]["tcp"])]
    result = asked(*ports, "--daq", rig.daq, "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "mettler-mtsics: Mettler-Toledo XPR205 Excellence, serial number B021002593" in result.output
    assert "cDAQ1Mod6: NI 9472" in result.output
    stated = tomllib.loads(out.read_text("utf-8"))
    assert stated["instruments"]["balance"]["serial"] == "B021002593"
    assert (stated["daq"], stated["instruments"]["pusher"]["driver"]) == (rig.daq, "newera-ne1000")
    after = rig.truth()
    assert {key: after[key] for key in ("pusher_ul_per_h", "vent_is_open", "outlet_is_open", "back_pressure_kpa")} == {
        key: before[key] for key in ("pusher_ul_per_h", "vent_is_open", "outlet_is_open", "back_pressure_kpa")
    }


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
def test_a_serial_port_is_asked_and_one_that_is_missing_is_told(rig):
    options = ["stations", "scan", rig.ports["scale"]["pty"], "/dev/ttyNOTHING", "--json"]
    result = CliRunner().invoke(cli, options, standalone_mode=False)
    said = json.loads(result.output)["ports"]
    assert result.return_value == 1
    assert (said[0]["driver"], said[0]["identity"]["model"]) == ("mettler-mtsics", "XPR205 Excellence")
    assert "cannot be opened" in said[1]["why"]
    assert "check its name" in said[1]["why"]


def test_a_port_that_refuses_and_one_that_is_silent_are_told_in_time():
    clock = WallClock()
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as gone:
        resources = [tcp_resource(f"127.0.0.1:{each.getsockname()[1]}") for each in (silent, gone)]
        gone.close()
        found = scan(resources, clock, port_s=1.0)
    assert found[0].why == "its 1 s were over before every driver had asked"
    assert "the connection fails" in found[1].why or "cannot be opened" in found[1].why


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "name a port such as /dev/ttyUSB0"),
        (["--tcp", "10.0.0.7"], "write HOST:PORT"),
        (["--tcp", "10.0.0.7:99999"], "write HOST:PORT"),
        (["COM4", "--out", "lab.txt"], "ends in .toml"),
        (["COM4", "--per-port", "5"], "no unit"),
    ],
)
def test_what_cannot_be_looked_at_is_said_in_a_sentence(options, why):
    result = asked(*options)
    assert result.exit_code != 0
    assert why in f"{result.output}{result.exception}"


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    out = tmp_path / "lab-1.toml"
    out.write_text("name = 1", "utf-8")
    assert "it is there already; choose another name" in asked("COM4", "--out", str(out)).output
    assert out.read_text("utf-8") == "name = 1"


@pytest.mark.parametrize("arguments", [["template"], ["--json"], []])
def test_stations_are_listed_and_checked_as_before(arguments):
    result = CliRunner().invoke(cli, ["stations", *arguments])
    assert result.exit_code == 0
    assert "template" in result.output


def test_the_help_names_both_things_that_it_does():
    result = CliRunner().invoke(cli, ["stations", "--help"])
    assert "scan" in result.output
    assert "check" in result.output


# ------------------------------------------------------------------------------------------------------ the ports


@pytest.mark.parametrize(
    ("port", "resource"),
    [
        ("/dev/ttyUSB0", "ASRL/dev/ttyUSB0::INSTR"),
        ("COM4", "ASRL4::INSTR"),
        ("com12", "ASRL12::INSTR"),
        ("USB0::0x2A8D::0x0101::MY5::0::INSTR", "USB0::0x2A8D::0x0101::MY5::0::INSTR"),
    ],
)
def test_a_port_is_named_as_people_name_it(port, resource):
    assert resource_of(port) == resource


def test_the_time_for_all_ports_is_bounded():
    found = scan(["ASRL/dev/ttyNOTHING::INSTR"], WallClock(), total_s=0.0)
    assert found[0].why == "the 0 s for all ports were over; name fewer, or allow more time"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows names its ports by number")
def test_a_port_that_a_run_uses_is_left_alone(monkeypatch, tmp_path):
    def entry(number: int, state: str) -> Any:
        told = run_queue.RunState(state)
        request = SimpleNamespace(station="template")
        return SimpleNamespace(number=number, state=lambda: told, request=lambda: request)

    monkeypatch.setattr("bench.scan.entries", lambda folder: [entry(3, "waiting"), entry(4, "running")])
    link = tmp_path / "by-id"
    link.symlink_to("/dev/ttyUSB0")
    (found,) = scan([resource_of(str(link))], WallClock(), in_use=in_use(tmp_path))
    assert found.why == 'run 4 on station "lab-1" uses it; wait for its end'


def test_a_port_that_a_run_in_the_foreground_uses_is_left_alone():
    assert in_use(home()) == {}
    with run_queue.holding(load_station("template")):
        busy = in_use(home())
        (found,) = scan(["ASRL/dev/ttyUSB0::INSTR"], WallClock(), in_use=busy)
        assert found.why == 'a run on station "lab-1" uses it; wait for its end'
    assert in_use(home()) == {}


def test_two_ports_of_one_instrument_are_one():
    first, second = FOUND[0], Found("TCPIP::10.0.0.9::4001::SOCKET", "mettler-mtsics", FOUND[0].recognised)
    kept = unnamed_twice([first, second, FOUND[3], FOUND[3]])
    assert [each.recognised is not None for each in kept] == [True, False, True, True]
    assert kept[1].why == "the same instrument as at ASRL/dev/ttyUSB0::INSTR"


def test_a_device_server_that_is_not_there_is_told():
    with pytest.raises(ScanError, match=r"--daq 127\.0\.0\.1:1: "):
        ni_devices("127.0.0.1:1")


# ------------------------------------------------------------------------------------------------------- the file


def test_the_file_says_what_answered_and_names_what_only_a_person_knows():
    device = NiDevice("cDAQ1Mod1", "NI 9219", "0C30", ("cDAQ1Mod1/ai0", "cDAQ1Mod1/ai3"), ())
    text = station_text("lab-1", FOUND, [device], visa="@py", daq="local", today=TODAY)
    stated = tomllib.loads(text)["instruments"]
    assert sorted(stated) == ["balance", "balance_2", "controller", "pusher"]
    assert stated["balance_2"]["baud"] == 19_200
    assert ("baud" in stated["balance"], "serial" in stated["pusher"]) == (False, False)
    for key in ("max_pressure", "diameter", "max_rate", "certificate", "reference_mass"):
        assert f"# {key} =" in text
    assert "# ASRL5::INSTR: nothing answers" in text
    assert "# cDAQ1Mod1, NI 9219, serial number 0C30: cDAQ1Mod1/ai0 to ai3" in text


def test_the_file_is_a_station_once_it_is_filled_in(tmp_path):
    text = station_text("lab-1", FOUND, visa="@py", daq="local", today=TODAY)
    file = tmp_path / "lab-1.toml"
    for key, value in (
        ("max_pressure", "60 kPa"),
        ("diameter", "4.61 mm"),
        ("volume", "1 mL"),
        ("max_rate", "10 mL/h"),
    ):
        text = text.replace(f"# {key} = ", f'{key} = "{value}"')
    text = text.replace('# reference_mass = "balance.mass"', 'reference_mass = "balance.mass"')
    file.write_text(text, "utf-8")
    assert load_station(str(file)).roles == {"reference_mass": "balance.mass"}
    result = CliRunner().invoke(cli, ["stations", str(file)])
    assert result.exit_code == 0, f"{result.output}{result.exception}"


def test_an_empty_scan_is_a_file_without_instruments(tmp_path):
    file = tmp_path / "none.toml"
    file.write_text(station_text("none", [FOUND[4]], visa="", daq="local", today=TODAY), "utf-8")
    with pytest.raises(FileError, match="instruments"):
        load_station(str(file))
