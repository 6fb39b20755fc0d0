"""A scan without a screen: only what was named is asked, one after the other, and a station file is made of it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import served_rig
from bench.scan import NiDevice, SerialPort, named_resource, serial_ports
from bench.station import SHIPPED, serve_rig
from gui.presenters import station_scan
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.station_editor import StationEditor
from gui.presenters.station_files import StationFile
from gui.presenters.station_scan import StationScan
from gui.presenters.tone import Tone
from instruments.clock import WallClock
from instruments.instrument import Identity
from instruments.recognition import Found, Recognised

USB = [SerialPort(f"/dev/ttyUSB{n}", f"/dev/serial/by-id/usb-adapter-{n}", "FTDI") for n in (0, 1)]
BALANCE = Recognised(Identity("Mettler-Toledo", "XPR205", "B1"))


@pytest.fixture
def scan(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StationScan:
    """A scan on a computer with two serial ports."""
    monkeypatch.chdir(tmp_path)
    context.folder.mkdir()
    monkeypatch.setattr(station_scan, "serial_ports", lambda: USB)
    made = StationScan(context, StationEditor(context))
    made.find()
    run(made)
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Places that were asked; a balance answers at each."""
    places: list[str] = []

    def ask(resource: str, library: str, state_folder: Path) -> Found:
        places.append(resource)
        return Found(resource, "mettler-mtsics", BALANCE)

    monkeypatch.setattr(station_scan, "asked_at", ask)
    return places


def inline_of(scan: StationScan) -> Inline:
    background = scan.context.background
    assert isinstance(background, Inline)
    return background


def run(scan: StationScan) -> None:
    inline_of(scan).run()


def one_step(scan: StationScan) -> None:
    """The process that was begun first comes back."""
    inline_of(scan).waiting.pop(0)()


def chosen(editor: StationEditor) -> StationFile:
    assert editor.chosen is not None
    return editor.chosen


# ---------------------------------------------------------------------------------------------------- what is asked


def test_nothing_is_ticked_at_first_and_nothing_is_asked_that_is_not(scan: StationScan, asked: list[str]):
    scan.scan()
    run(scan)
    assert asked == []
    assert scan.wrong.startswith("Tick a serial port")
    scan.tick("/dev/ttyUSB1", True)
    scan.scan()
    run(scan)
    assert asked == ["ASRL/dev/serial/by-id/usb-adapter-1::INSTR"]
    assert scan.wrong == ""


def test_a_port_that_is_ticked_and_written_too_is_asked_once(scan: StationScan, asked: list[str], tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to("/dev/ttyS7")
    scan.ports = [SerialPort("/dev/ttyS7", str(link))]
    scan.tick("/dev/ttyS7", True)
    scan.others = " /dev/ttyS7,10.0.0.7:4001;10.0.0.7:4001 "
    scan.scan()
    run(scan)
    assert asked == [f"ASRL{link}::INSTR", "TCPIP::10.0.0.7::4001::SOCKET"]


@pytest.mark.parametrize(
    ("others", "daq", "says"),
    [
        ("10.0.0.7", "", '"10.0.0.7" is no port; write HOST:PORT'),
        ("10.0.0.7:99999", "", '"10.0.0.7:99999" is no port'),
        ("COM4 balance", "", '"balance" is no port'),
        ("COM4", "here", '"here" is no place of NI devices; write local'),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence_and_nothing_is(scan, asked, others, daq, says):
    scan.others, scan.daq = others, daq
    scan.scan()
    run(scan)
    assert scan.wrong.startswith(says)
    assert asked == []
    assert not scan.is_scanning


def test_a_port_that_is_unplugged_is_ticked_no_more(scan: StationScan, monkeypatch: pytest.MonkeyPatch):
    scan.ticked = {"/dev/ttyUSB0", "/dev/ttyUSB1"}
    monkeypatch.setattr(station_scan, "serial_ports", lambda: USB[1:])
    scan.find()
    run(scan)
    assert scan.ticked == {"/dev/ttyUSB1"}


@pytest.mark.parametrize(
    ("text", "resource"),
    [("10.0.0.7:4001", "TCPIP::10.0.0.7::4001::SOCKET"), ("COM4", "ASRL4::INSTR"), ("/dev/a", "ASRL/dev/a::INSTR"),
     ("GPIB0::5::INSTR", "GPIB0::5::INSTR")],
)  # fmt: skip
def test_a_port_is_written_in_any_of_the_ways_of_people(text, resource):
    assert named_resource(text) == resource


def test_a_serial_port_is_known_by_the_name_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from serial.tools import list_ports, list_ports_common  # type: ignore[import-untyped]  # pyserial ships no types

    ports = [list_ports_common.ListPortInfo(name, skip_link_detection=True) for name in ("/dev/tty2", "/dev/tty1")]
    ports[0].manufacturer, ports[0].product = "FTDI", "FT232R"
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    monkeypatch.setattr("bench.scan.BY_ID", tmp_path)
    (tmp_path / "usb-FTDI").symlink_to("/dev/tty2")
    assert serial_ports() == [
        SerialPort("/dev/tty1", "/dev/tty1", ""),
        SerialPort("/dev/tty2", str(tmp_path / "usb-FTDI"), "FTDI FT232R"),
    ]


# --------------------------------------------------------------------------------------------------------- the scan


def test_ports_are_asked_one_after_the_other_and_each_is_shown_when_it_is_done(scan: StationScan, asked: list[str]):
    scan.ticked = {"/dev/ttyUSB0", "/dev/ttyUSB1"}
    scan.scan()
    assert [row.result for row in scan.rows] == ["is asked…", "waits"]
    one_step(scan)
    assert [row.result for row in scan.rows] == ["recognised", "is asked…"]
    inline_of(scan).repeated[0]()  # a second passes
    assert scan.progress == ("Asking /dev/ttyUSB1 (2 of 2), 1 s so far; it may take 20 s", Tone.BUSY)
    one_step(scan)
    assert [row.result for row in scan.rows] == ["recognised", "known already"]
    assert inline_of(scan).repeated == []


def test_a_scan_that_is_ended_asks_no_further_and_keeps_what_has_answered(scan: StationScan, asked: list[str]):
    scan.ticked = {"/dev/ttyUSB0", "/dev/ttyUSB1"}
    scan.scan()
    one_step(scan)
    scan.cancel()
    run(scan)
    assert len(asked) == 1
    assert [row.result for row in scan.rows] == ["recognised", "not asked"]
    assert scan.progress[0] == "Ended after 1 of 2; the others were not asked"
    assert scan.can_make


def test_a_port_that_a_run_uses_is_left_alone(scan: StationScan, monkeypatch: pytest.MonkeyPatch):
    why = 'run 4 on station "lab-1" uses it; wait for its end'
    monkeypatch.setattr(station_scan, "in_use", lambda folder: {"ASRL/dev/ttyS7::INSTR": why})
    monkeypatch.setattr(station_scan, "scan", lambda *asked, **how: pytest.fail("it was opened"))
    scan.others = "/dev/ttyS7"
    scan.scan()
    run(scan)
    assert [(row.result, row.says) for row in scan.rows] == [("not asked", why)]
    assert not scan.can_make


def test_a_port_that_hangs_is_told_and_the_next_one_is_asked(scan: StationScan, monkeypatch: pytest.MonkeyPatch):
    def ask(resource: str, library: str, state_folder: Path) -> Found:
        if "by-id" in resource:
            raise ValueError("gave no answer within 60 s and was ended; the file may be damaged")
        return Found(resource, why="nothing answers")

    monkeypatch.setattr(station_scan, "asked_at", ask)
    scan.ticked, scan.others = {"/dev/ttyUSB0"}, "COM4"
    scan.scan()
    run(scan)
    assert [row.says for row in scan.rows] == [
        "gave no answer within 60 s and was ended; see whether another program holds it",
        "nothing answers",
    ]
    assert scan.progress == ("0 recognised, 2 not", Tone.WARN)


def test_ni_devices_are_listed_by_their_terminals_and_without_them_it_says_why(scan: StationScan, monkeypatch):
    device = NiDevice("cDAQ1Mod1", "NI 9219", "0C30", ("cDAQ1Mod1/ai0", "cDAQ1Mod1/ai3"), ())
    monkeypatch.setattr(station_scan, "ni_devices", lambda target: [device])
    scan.daq = "local"
    scan.scan()
    run(scan)
    assert [(row.port, row.says) for row in scan.rows] == [("cDAQ1Mod1", "NI 9219; cDAQ1Mod1/ai0 to ai3")]
    monkeypatch.undo()
    scan.daq = "127.0.0.1:1"
    scan.scan()
    run(scan)
    (row,) = scan.rows
    assert (row.result, "--daq" in row.says, "see that the NI driver" in row.says) == ("not found", False, True)


# ------------------------------------------------------------------------------------------------- the station file


@pytest.fixture(scope="module")
def rig() -> Iterator[Any]:
    """A balance on a port of this computer."""
    described = served_rig.of_instruments({"scale": "mettler-mtsics"}, daq=False)
    with serve_rig(described.simulation, described.where, WallClock(), described.resources) as served:
        yield served


def test_what_answers_becomes_a_station_that_is_written_when_it_is_saved(scan: StationScan, rig: Any):
    scan.others = rig.ports["scale"]["tcp"]
    scan.scan()
    run(scan)
    scan.make(scan.name)
    run(scan)
    editor = scan.editor
    assert editor.chosen is not None
    assert (editor.chosen.path.exists(), editor.is_changed, editor.saved) == (False, True, "")
    assert tomllib.loads(editor.text)["instruments"]["balance"]["serial"] == "B021002593"
    assert editor.state == ("No mistakes, not saved yet", Tone.GOOD)
    editor.save()
    run(scan)
    editor.write()
    run(scan)
    assert editor.chosen.path.read_text("utf-8") == editor.text
    assert not list(editor.chosen.path.parent.glob("*.bak"))
    written = editor.text
    editor.type(written.replace('title = ""', 'title = "Lab 1"'))
    editor.revert()
    assert (editor.text, editor.chosen.path.stem) == (written, "lab-1")


def begun(scan: StationScan, name: str) -> StationEditor:
    """The editor with a file that was begun, among others."""
    scan.editor.find()
    run(scan)
    assert scan.editor.begin(name, f'name = "{name}"\n') == ""
    return scan.editor


def test_a_file_that_was_begun_is_kept_while_another_is_looked_at(scan: StationScan):
    editor = begun(scan, "lab-1")
    name = chosen(editor).name
    editor.choose("sim")
    editor.find()
    run(scan)
    assert [item.shown for item in editor.files if editor.has_draft(item)] == ["lab-1"]
    editor.choose(name)
    assert editor.text == 'name = "lab-1"\n'


def test_a_file_that_was_begun_is_gone_when_it_is_thrown_away(scan: StationScan):
    editor = begun(scan, "lab-1")
    editor.revert()
    run(scan)
    assert editor.chosen is not None
    assert editor.chosen.path.stem == "sim"
    assert "lab-1" not in {item.path.stem for item in editor.files}
    assert editor.new_name == "lab-1"


def test_no_other_file_is_written_over(scan: StationScan, asked: list[str]):
    editor = begun(scan, "lab-1")
    assert editor.new_name == "lab-2"
    assert 'there is a station "lab-1" already' in editor.begin("lab-1", "")
    scan.others = "COM4"
    scan.scan()
    run(scan)
    scan.make("lab 1")
    assert '"lab 1" cannot be the name of a station' in scan.wrong


def test_a_file_that_somebody_else_has_written_meanwhile_stays_theirs(scan: StationScan):
    editor = scan.editor
    editor.begin("lab-1", (SHIPPED / "sim.toml").read_text("utf-8"))
    run(scan)
    path = chosen(editor).path
    path.parent.mkdir()
    path.write_text("theirs", "utf-8")
    editor.save()
    run(scan)
    assert "was written by somebody else" in editor.refusal
    editor.write()
    run(scan)
    assert path.read_text("utf-8") == "theirs"
