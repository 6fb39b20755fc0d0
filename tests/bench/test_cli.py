"""The command line: JSON as promised, and for every wrong input one plain sentence, exit code 2 and nothing left."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import bench.cli.run
from bench.cli import COMMANDS, main
from bench.session import Result
from bench.station import SHIPPED
from bench.trust import standing
from data.seal import Verifier

Run = Callable[..., tuple[int, str, str]]

HEAVY = (
    "numpy", "scipy", "pint", "nidaqmx", "grpc", "pyvisa", "h5py", "pydantic", "rich", "greenlet", "PyQt6",
)  # fmt: skip


@pytest.fixture
def pumpbench(capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code, stdout and stderr of a command line."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def sentence(complaint: str) -> str:
    """The one line that is no note."""
    lines = [line for line in complaint.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1, complaint
    assert "Traceback" not in complaint
    assert lines[0].startswith("pumpbench: ")
    return lines[0].removeprefix("pumpbench: ")


# ------------------------------------------------------------------------------------------------ files with a slip


def table(name: str) -> str:
    """A table of the simulated station's file, as it is written."""
    found = re.search(rf"^\[{re.escape(name)}\]\n(?:.+\n)*", (SHIPPED / "sim.toml").read_text("utf-8"), re.MULTILINE)
    assert found
    return found[0]


STATION = {
    "a misspelt key": ('period = "1 s"', 'peroid = "1 s"', ['station.toml:', "peroid", 'did you mean "period"']),
    "an unknown driver": ("mettler-mtsics", "mettler-mtsic", ["instruments.balance.driver", "mettler-mtsics"]),
    "a comma in a number": ('"8 uL/min"', '"1,5 mL/h"', ["full_scale", "1.5"]),
    "a wrong dimension": ('capacity = "220 g"', 'capacity = "220 kPa"', ["capacity", "mass"]),
    "a number without unit": ('period = "1 s"', "period = 1", ["instruments.balance.period", "unit"]),
    "a key in no table": ('title = "Sim', 'titel = "Sim', ["titel", 'did you mean "title"']),
    "a role of an unknown instrument": ('flow = "flow_sensor.flow"', 'flow = "flow_senor.flow"', ["flow_sensor"]),
    "a role of an unknown channel": ('flow = "flow_sensor.flow"', 'flow = "flow_sensor.flw"', ["flw", "flow"]),
    "a channel of a wrong dimension": (
        'flow = "flow_sensor.flow"', 'flow = "daq.room_temperature"', ["roles.flow", "degC", "uL/h"],
    ),
    "an instrument that cannot do it": ('pump = "pump"', 'pump = "balance"', ["roles.pump", "PumpLink"]),
    "a missing role": ('reference_mass = "balance.mass"\n', "", ["reference_mass", "add the line"]),
    "an interlock on an unknown channel": ('channel = "balance.mass"', 'channel = "balance.masse"', ["masse", "mass"]),
    "an interlock without limits": ('high = "14 g"\n', "", ["vessel-full", "neither"]),
    "a malformed slew": ('slew = "50 kPa/min"', 'slew = "50 kPa"', ["interlocks.outlet-pressure", "50 kPa/min"]),
    "an unknown action": ('action = "stop"', 'action = "halt"', ["halt", "stop"]),
    "an unknown signal": ('"reference_load_mg"', '"reference_load_g"', ["reference_load_mg"]),
    "an overdue certificate": (
        "due = 2030-12-31\nu_relative", "due = 2020-12-31\nu_relative",
        ['instrument "balance"', "SIM-BAL-01", "was due 2020-12-31", "renew it", "--override calibration"],
    ),
    "a certificate due during the run": (
        "due = 2030-12-31\nu_relative", "due = 2026-01-02\nu_relative", ["is due 2026-01-02, before the run ends"],
    ),
    "no certificate of the reference": (
        '[instruments.balance.calibration.mass]\ncertificate = "SIM-BAL-01"\ndue = 2030-12-31\nu_relative = "0.0005 %"',
        "", ["balance.mass", "has no calibration", "[instruments.balance.calibration.mass]"],
    ),
    "nothing to collect in": (
        table("collection"), "", ["station.toml: it has no [collection]", "flow-accuracy collects the fluid; add it"],
    ),
    "a reference of unknown worth": (
        table("instruments.balance.uncertainty"), "",
        ["the reference and has no [instruments.balance.uncertainty]", "add it from its certificate"],
    ),
    "a vessel that is too small": ('vessel_capacity = "14 mL"', 'vessel_capacity = "1 mL"', ["vessel of 1 mL"]),
    "a balance that is too small": ('capacity = "220 g"', 'capacity = "36 g"', ["35 g", "36 g", "lighter vessel"]),
    "an unquoted quantity": ('period = "1 s"', "period = 1 s", ["station.toml:", "quotes"]),
    "half a simulation": ('daq = "simulated"', 'daq = "local"', ['"visa" and "daq"']),
}  # fmt: skip


@pytest.mark.parametrize("slip", STATION)
def test_a_slip_in_a_station_file_is_named_and_nothing_happens(
    pumpbench: Run, sim_station: Callable[..., Path], tmp_path: Path, slip: str
) -> None:
    old, new, said = STATION[slip]
    station = sim_station(tmp_path, {old: new})
    code, out, complaint = pumpbench("run", "flow-accuracy", "--station", station, "--out", tmp_path / "o")
    assert (code, out) == (2, "")
    assert [word for word in said if word not in sentence(complaint)] == []
    assert not (tmp_path / "o").exists()


ARTICLES = {
    "a typo in a device file": ("duts", "sim-peristaltic", 'stroke = "5 uL"', 'storke = "5 uL"', ["stroke"]),
    "a malformed quantity in it": ("duts", "sim-peristaltic", '"0.048 mL/day"', '"0.048 mL/D"', ["rate_range"]),
    "a reservoir that is too small": (
        "duts",
        "sim-peristaltic",
        '"20 mL"',
        '"3 mL"',
        ["SIM-20", "reservoir", "1.5 mL"],
    ),
    "a typo in a fluid file": ("fluids", "water", "density_basis", "density_base", ["density_basis"]),
    "a fluid that expires": ("fluids", "water", "expiry = ", "expiry = 2026-01-02 # ", ["expires 2026-01-02"]),
    "a typo in a catheter file": ("catheters", "sim", "bore = ", "boer = ", ["bore"]),
}


@pytest.mark.parametrize("slip", ARTICLES)
def test_a_slip_in_the_file_of_an_article_is_named(pumpbench: Run, tmp_path: Path, slip: str) -> None:
    import bench

    folder, name, old, new, said = ARTICLES[slip]
    text = (Path(bench.__file__).parent / folder / f"{name}.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new, 1), "utf-8")
    option = f"--{folder.removesuffix('s')}"
    words = ("run", "flow-accuracy", "--station", "sim", option, tmp_path / "mine.toml", "--out", tmp_path / "o")
    code, out, complaint = pumpbench(*words)
    assert (code, out) == (2, "")
    assert [word for word in said if word not in sentence(complaint)] == []
    assert not (tmp_path / "o").exists()


# ------------------------------------------------------------------------------------------------ words with a slip

SHORT = ("--set", "stabilisation=0 h", "--set", "analysis=1 h", "--set", "blank-length=30 min")
SIM = ("run", "flow-accuracy", "--station", "sim")

WORDS = {
    "an unknown command": (("rnu",), ['"rnu"', 'did you mean "run"?']),
    "an unknown procedure": (("run", "flow-acuracy", "--station", "sim"), ['did you mean "flow-accuracy"?']),
    "an unknown station": (("run", "flow-accuracy", "--station", "sin"), ['"sin"', '"sim"']),
    "a station that is not there": (("run", "flow-accuracy", "--station", "x.toml"), ["x.toml", "no such file"]),
    "no station": (("run", "flow-accuracy"), ["--station"]),
    "an unknown option": ((*SIM, "--sed", "4"), ["--sed", "--seed"]),
    "a seed that is no number": ((*SIM, "--seed", "x"), ["--seed", "x"]),
    "a set without a value": ((*SIM, "--set", "analysis"), ["analysis", "NAME=VALUE"]),
    "a set of an unknown parameter": ((*SIM, "--set", "analisis=25 h"), ["analisis", 'did you mean "analysis"?']),
    "a set out of its range": ((*SIM, "--set", "analysis=1 min"), ["analysis", "below 1 h"]),
    "a comma in a quantity": ((*SIM, "--set", "schedule=1,5 mL/day"), ["1.5"]),
    "a volume by the wrong unit": ((*SIM, "--set", "schedule=0.5 mL/24h"), ["0.5 mL/24h"]),
    "a temperature for a time": ((*SIM, "--set", "analysis=37 C"), ["analysis", "37 C"]),
    "two numbers": ((*SIM, "--set", "schedule=1 2 mL/day"), ["1 2 mL/day"]),
    "a unit that is debye": ((*SIM, "--set", "schedule=1 mL/D"), ["1 mL/D"]),
    "a choice that is none": ((*SIM, "--set", "blank=twins"), ["blank", "twin"]),
    "a twin that is not there": ((*SIM, "--set", "blank=twin"), ["twin_mass", "sim.toml"]),
    "a rate beyond the pump": ((*SIM, "--set", "schedule=30 mL/day"), ["SIM-20", "30 mL/day", "24 mL/day"]),
    "a rate below the pump": ((*SIM, "--set", "schedule=0.04 mL/day"), ["SIM-20", "0.04 mL/day", "0.048"]),
    "a rate that is a slip of the point": (
        (*SIM, *SHORT, "--set", "schedule=20.5 mL/day"), ["over 10 times", "--override unusual-rate --person"],
    ),
    "a dose that is a slip of the point": (
        (*SIM, "--set", "schedule=20000 ug/day at 20000 ug/mL"), ["dose", "over 10 times"],
    ),
    "a drug that is not in the reservoir": (
        (*SIM, "--set", "schedule=300 ug/day at 2000 ug/mL"), ["2000 ug/mL", "no drug", "correct one of them"],
    ),
    "a run that empties the reservoir": ((*SIM, "--set", "analysis=30 day"), ["reservoir", "18.5 mL", "--override"]),
    "a pump that cannot be stopped": (
        (*SIM, "--dut", "sim-gas-driven", "--set", "blank=stopped"), ["SIM-G20", "cannot be stopped", "blank=diverter"],
    ),
    "an unknown fault": ((*SIM, "--fault", "over-delivry:1.2@1h"), ["over-delivry", 'did you mean "over-delivery"?']),
    "a fault out of its range": ((*SIM, "--fault", "over-delivery:0.5@1h"), ["0.5", "1 to 10"]),
    "a fault's severity that is no number": ((*SIM, "--fault", "leak:a@1h"), ["leak:a@1h", "1.25"]),
    "a fault's time that is no time": ((*SIM, "--fault", "leak:0.3@1"), ["1"]),
    "a fault without form": ((*SIM, "--fault", "leak 0.3"), ["leak 0.3", "NAME:SEVERITY@TIME"]),
    "an override without a person": ((*SIM, "--override", "calibration"), ["--person", "--reason"]),
    "an override of nothing": (
        (*SIM, "--override", "rates", "--person", "Ada", "--reason", "r"), ['"rates"', "can be overridden"],
    ),
    "a pace that is none": ((*SIM, "--pace", "0"), ["--pace"]),
    "a person is asked in time that jumps": ((*SIM, "--ask-me"), ["waits for no answer", "such as 60"]),
    "a longest block that is none": ((*SIM, "--longest-block", "0 s"), ["--longest-block"]),
    "an unknown device": ((*SIM, "--dut", "sim-peristalti"), ["sim-peristaltic"]),
    "a device file that is not there": ((*SIM, "--dut", "mine.toml"), ["mine.toml", "no such file"]),
    "a log that is not there": (("replay", "mine.txt"), ["mine.txt", "no such file"]),
    "an unknown protocol to list": (("protocols", "flow"), ["flow"]),
    "a station to check that is none": (("stations", "no-such"), ["no-such"]),
    "a device file to check that is none": (("duts", "mine.toml"), ["mine.toml", "no such file"]),
}  # fmt: skip


@pytest.mark.parametrize("slip", WORDS)
def test_a_slip_on_the_command_line_is_named(
    pumpbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slip: str
) -> None:
    words, said = WORDS[slip]
    monkeypatch.chdir(tmp_path)
    code, out, complaint = pumpbench(*words)
    assert (code, out) == (2, "")
    assert [word for word in said if word not in sentence(complaint)] == []
    assert list(tmp_path.iterdir()) == []


def test_a_real_station_takes_no_faults_and_no_pace(
    pumpbench: Run, sim_station: Callable[..., Path], tmp_path: Path
) -> None:
    station = sim_station(tmp_path, {'visa = "simulated"\ndaq = "simulated"': 'visa = "@py"\ndaq = "local"'})
    words = ("run", "flow-accuracy", "--station", station, "--serial", "7", "--out", tmp_path / "o")
    said = {
        "--fault": 'station "sim" has real instruments',
        "--pace": 'the instruments of station "sim" have their own time',
    }
    for option, value in (("--fault", "leak:0.3@1h"), ("--pace", "10")):
        code, _, complaint = pumpbench(*words, option, value)
        assert code == 2
        assert f"{option}: {said[option]}" in sentence(complaint)
    code, _, complaint = pumpbench(*words[:4], "--out", tmp_path / "o")
    assert "--serial" in sentence(complaint)


# -------------------------------------------------------------------------------------------------------- records


@pytest.fixture
def damaged(short_run: Result, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a file that is no good record: damaged("cut.h5")."""
    whole, journal = short_run.run_file.read_bytes(), short_run.journal.read_bytes()
    import h5py

    def make(name: str) -> Path:
        path = tmp_path / name
        if name == "folder.h5" or name == "folder.journal":
            path.mkdir()
        elif name == "foreign.h5":
            with h5py.File(path, "w") as file:
                file["x"] = 1.0
        elif name != "missing.h5" and name != "missing.journal":
            contents = {
                "cut.h5": whole[: len(whole) // 2],
                "text.h5": b"not HDF5 at all\n",
                "empty.h5": b"",
                "zeros.h5": bytes(5000),
                "text.journal": b'{"json": [}',
                "empty.journal": b"",
                "header.journal": journal[:40],
                "zeros.journal": bytes(5000),
                "run.journal": whole[:4000],
            }
            path.write_bytes(contents[name])
        return path

    return make


RUN_FILES = ("missing.h5", "folder.h5", "foreign.h5", "cut.h5", "text.h5", "empty.h5", "zeros.h5")
JOURNALS = (
    "missing.journal", "folder.journal", "text.journal", "empty.journal", "header.journal", "zeros.journal",
    "run.journal",
)  # fmt: skip


@pytest.mark.parametrize("name", RUN_FILES)
def test_a_file_that_is_no_run_is_not_evaluated(pumpbench: Run, damaged: Callable[[str], Path], name: str) -> None:
    path = damaged(name)
    code, out, complaint = pumpbench("evaluate", path, "--json")
    assert (code, out) == (2, "")
    assert str(path) in sentence(complaint)


@pytest.mark.parametrize("name", ["missing.h5", "folder.h5", "foreign.h5", "cut.h5", "text.h5"])
def test_verify_says_that_a_file_is_unreadable(
    pumpbench: Run,
    damaged: Callable[[str], Path],
    as_shipped: Mapping[str, Verifier],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr(standing, "verify", as_shipped[standing.__name__])
    path = damaged(name)
    code, out, _ = pumpbench("verify", path, "--json")
    found = json.loads(out)
    assert (code, found["intact"], found["state"]) == (2, False, "unreadable")
    assert str(path) in found["problems"][0]


@pytest.mark.parametrize("command", ["recover", "snapshot"])
@pytest.mark.parametrize("name", JOURNALS)
def test_a_file_that_is_no_journal_is_not_folded(
    pumpbench: Run, damaged: Callable[[str], Path], tmp_path: Path, command: str, name: str
) -> None:
    path = damaged(name)
    before = sorted(tmp_path.iterdir())
    code, out, complaint = pumpbench(command, path)
    assert (code, out) == (2, "")
    assert str(path) in sentence(complaint)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", ["recover", "snapshot"])
def test_a_record_is_never_written_over(pumpbench: Run, short_run: Result, tmp_path: Path, command: str) -> None:
    (tmp_path / "there.h5").write_text("mine")
    code, _, complaint = pumpbench(command, short_run.journal, "--out", tmp_path / "there.h5")
    assert code == 2
    assert "there.h5 exists" in sentence(complaint)
    assert (tmp_path / "there.h5").read_text() == "mine"


def test_a_folder_that_is_a_file_cannot_take_a_run(pumpbench: Run, tmp_path: Path) -> None:
    (tmp_path / "o").write_text("")
    code, _, complaint = pumpbench(*SIM, "--out", tmp_path / "o")
    assert code == 2
    assert f"--out {tmp_path / 'o'}" in sentence(complaint)


def test_a_read_only_disk_is_named(pumpbench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def refused(*_: Any) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("data.journal.os.open", refused)
    code, _, complaint = pumpbench("run", "flow-record", "--station", "sim", "--out", tmp_path / "o")
    assert code == 2
    assert "Read-only file system" in sentence(complaint)
    assert list(tmp_path.glob("o/*")) == []


def test_verify_tells_an_altered_and_a_rewritten_file_from_an_intact_one(
    pumpbench: Run, short_run: Result, tmp_path: Path
) -> None:
    import h5py

    code, out, _ = pumpbench("verify", short_run.run_file, "--json")
    said = json.loads(out)
    assert (code, said["intact"], said["state"], said["problems"]) == (0, True, "intact", [])
    assert said["digest"] == short_run.verification.digest
    altered = tmp_path / "altered.h5"
    altered.write_bytes(short_run.run_file.read_bytes())
    with h5py.File(altered, "r+") as file:
        mass = file["entry/balance/mass"]
        mass[100] += 1.0
    code, out, _ = pumpbench("verify", altered, "--json")
    assert (code, json.loads(out)["state"]) == (1, "altered")
    assert "/entry/balance/mass" in out
    longer = tmp_path / "longer.h5"
    longer.write_bytes(short_run.run_file.read_bytes() + b"\0")
    code, out, _ = pumpbench("verify", longer, "--json")
    assert (code, json.loads(out)["state"]) == (1, "rewritten")


# ----------------------------------------------------------------------------------------------- what it promises

CHECK = (
    "name", "value", "unit", "expanded_uncertainty", "coverage_factor", "limit_low", "limit_high",
    "conformity_probability", "verdict",
)  # fmt: skip


def test_a_run_prints_only_its_json(pumpbench: Run, tmp_path: Path) -> None:
    words = ("run", "flow-record", "--station", "sim", "--set", "recording=10 min", "--out", tmp_path, "--json")
    code, out, complaint = pumpbench(*words)
    said = json.loads(out)
    assert {"run_file", "status", "verdict", "origin", "checks", "values", "simulated_s", "wall_s"} <= set(said)
    assert (code, said["status"], said["origin"], said["verdict"]) == (4, "completed", "simulated", "not-measured")
    assert said["simulated_s"] == pytest.approx(600.0, abs=2.0)
    assert said["wall_s"] > 0.0
    assert all(set(CHECK) <= set(check) for check in said["checks"])
    assert Path(said["run_file"]).exists()
    assert Path(said["run_file"]).with_suffix(".journal").exists()
    assert all(line.startswith("note: ") for line in complaint.splitlines())


def test_evaluate_prints_verdict_checks_and_whether_they_are_the_same(pumpbench: Run, short_run: Result) -> None:
    code, out, _ = pumpbench("evaluate", short_run.run_file, "--json")
    said = json.loads(out)
    assert {"verdict", "identical", "why", "checks", "values"} <= set(said)
    assert (code, said["verdict"], said["identical"]) == (0, "pass", True)
    mean = next(check for check in said["checks"] if check["name"] == "mean-flow-error")
    assert all(mean[key] is not None for key in CHECK)


def test_recover_and_snapshot_make_files_beside_the_journal(
    pumpbench: Run, short_run: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))  # where nobody knows that the run had an end
    journal = tmp_path / "cut.journal"
    journal.write_bytes(short_run.journal.read_bytes()[:-1000])
    code, out, _ = pumpbench("recover", journal)
    assert code in (0, 4)
    assert str(tmp_path / "cut.h5") in out
    assert pumpbench("verify", tmp_path / "cut.h5")[0] == 0
    assert pumpbench("snapshot", journal)[0] == 0
    assert (tmp_path / "cut_snapshot.h5").exists()
    assert pumpbench("recover", journal)[0] == code, "a second one gets a free name"
    assert (tmp_path / "cut_1.h5").exists()


def test_a_progress_bar_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with bench.cli.run._progress_bar() as nothing:
        assert nothing is None
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with bench.cli.run._progress_bar() as progress:
        assert progress is not None
        progress(0.4, "analysis")
    assert "analysis" in screen.getvalue()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(pumpbench: Run, command: str) -> None:
    code, out, _ = pumpbench(command, "--help")
    assert code == 0
    assert "Usage: pumpbench" in out


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom bench.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
