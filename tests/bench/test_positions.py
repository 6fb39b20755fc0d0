"""One bench file, several positions: each is a station of its own, and none takes another one's wire."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli import main
from bench.positions import at_position, joined, parted
from bench.request import Override, Request
from bench.session import conduct
from bench.station import load_station, open_station, shipped_stations, station_path, stations_in
from data.checks import Verdict
from data.tomlfile import FileError
from instruments.clock import VirtualClock

BENCH = """
name = "lab"
title = "Bench for two pumps"
visa = "@py"
[instruments.balance]
driver = "mettler-mtsics"
resource = "ASRL/dev/balance-{position}::INSTR"
period = "1 s"
[instruments.balance.calibration.mass]
certificate = "B-{position}"
due = 2030-01-01
[instruments.daq]
driver = "ni-daqmx"
rate = "10 Hz"
[[instruments.daq.channels]]
name = "pressure"
kind = "bridge"
physical = "cDAQ{position}Mod1/ai0"
points = [["0 mV/V", "0 kPa"], ["2 mV/V", "200 kPa"]]
excitation = "2.5 V"
reference = "gauge"
[instruments.daq.valves]
vent = "cDAQ{position}Mod6/port0/line1"
[roles]
reference_mass = "balance.mass"
[positions.left]
dut = "pump-a.toml"
[positions.right.instruments.balance]
serial = "B2"
[positions.right.instruments.balance.calibration.mass]
gain = 1.001
"""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    path = tmp_path / "lab.toml"
    path.write_text(BENCH, "utf-8")
    return path


def wrong(bench: Path, old: str, new: str, position: str = "right") -> str:
    """What is said of a changed file."""
    assert old in BENCH
    bench.write_text(BENCH.replace(old, new), "utf-8")
    try:
        station = load_station(f"{bench}#{position}")
        with open_station(station, bench, VirtualClock()):
            return "nothing"
    except FileError as error:
        return str(error)


def test_a_position_is_a_station_of_its_own_name_made_of_the_file_and_its_own_table(bench: Path) -> None:
    left, right = (load_station(name) for name in stations_in(str(bench)))
    assert (left.name, right.name, right.title) == ("lab-left", "lab-right", "Bench for two pumps, position right")
    assert (left.dut, right.dut) == ("pump-a.toml", None)
    balances = [(station.instruments["balance"].model_extra or {}) for station in (left, right)]
    assert [balance["resource"] for balance in balances] == [f"ASRL/dev/balance-{x}::INSTR" for x in ("left", "right")]
    assert [balance.get("serial") for balance in balances] == [None, "B2"]
    certificate = right.instruments["balance"].calibration["mass"]
    assert (certificate.certificate, certificate.gain) == ("B-right", 1.001)


def test_without_a_position_the_sentence_says_which_there_are(bench: Path) -> None:
    for name, said in ((str(bench), "name one after the file"), (f"{bench}#top", 'there is no position "top"')):
        with pytest.raises(FileError, match=said) as error:
            load_station(name)
        assert "there are left, right" in str(error.value)
    with pytest.raises(FileError, match="leave out #1"):
        load_station("sim#1")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('serial = "B2"', "serial = 2", 'lab.toml:29: key "positions.right.instruments.balance.serial" is 2'),
        ('serial = "B2"', 'serail = "B2"', 'lab.toml:29: key "positions.right.instruments.balance.serail"'),
        ("gain = 1.001", "gain = -1", 'key "positions.right.instruments.balance.calibration.mass.gain"'),
        ('certificate = "B-{position}"', "certificate = 1", 'key "instruments.balance.calibration.mass.certificate"'),
        ('period = "1 s"', 'period = "1"', 'lab.toml:8: key "instruments.balance.period"'),
        ('dut = "pump-a.toml"', 'name = "x"', 'key "positions.left": a position has neither a "name"'),
        ("[positions.left]", '[positions."left hand"]', "a position is named by letters"),
        ('visa = "@py"', 'visa = "@py"\nposition = "left"', 'key "position" is not known here'),
    ],
)
def test_an_error_names_the_key_as_it_stands_in_the_file(bench: Path, old: str, new: str, said: str) -> None:
    assert said in wrong(bench, old, new)


@pytest.mark.parametrize(
    ("old", "new", "wire"),
    [
        ("ASRL/dev/balance-{position}", "ASRL/dev/balance", "ASRL/dev/balance::INSTR"),
        ("cDAQ{position}Mod1/ai0", "cDAQ1Mod1/ai0", "cDAQ1Mod1/ai0"),
        ("cDAQ{position}Mod6/port0/line1", "cDAQ1Mod6/port0/line1", "cDAQ1Mod6/port0/line1"),
    ],
)
def test_a_wire_that_two_positions_use_is_refused(bench: Path, old: str, new: str, wire: str) -> None:
    said = wrong(bench, old, new)
    assert said.startswith(f'{bench}: positions left and right both use "{wire}"')
    assert "\n" not in said


def test_two_channels_of_one_module_cannot_be_timed_by_two_processes(bench: Path) -> None:
    own = 'name = "pressure"\nkind = "voltage"\nphysical = "CDAQrightMod1/ai3"'
    left = f"[[positions.left.instruments.daq.channels]]\n{own}\n[positions.left]"
    assert 'both use "' in wrong(bench, "[positions.left]", left)


def test_every_shipped_position_is_listed_under_the_name_that_run_takes(capsys: pytest.CaptureFixture[str]) -> None:
    eight = [name for name in shipped_stations() if name.startswith("sim-eight")]
    assert eight == [f"sim-eight#{position}" for position in range(1, 9)]
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["stations", "sim-eight", "--json"])
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == eight


def test_eight_positions_have_eight_balances_eight_flow_sensors_and_24_pressures() -> None:
    wires, pressures = set(), set()
    for name in shipped_stations():
        if name.startswith("sim-eight"):
            station = load_station(name)
            with open_station(station, station_path(name), VirtualClock()) as opened:
                wires |= {
                    str((station.instruments[each].model_extra or {})["resource"])
                    for each in ("balance", "flow_sensor")
                }
                channels = (station.instruments["daq"].model_extra or {})["channels"]
                pressures |= {c["physical"] for c in channels if opened.channel(f"daq.{c['name']}")[1].unit == "kPa"}
    assert (len(wires), len(pressures)) == (16, 24)


def test_a_run_at_a_position_is_recorded_as_one_of_its_station(tmp_path: Path) -> None:
    from data.run import Run

    result = conduct(Request("flow-record", "sim-eight#3", settings={"recording": "10 min"}, out=tmp_path))
    assert result.run_file.name == "flow-record_sim-eight-3_SIMULATED_0001.h5"
    with Run.open(result.run_file) as run:
        assert (run.station["name"], run.station["position"]) == ("sim-eight-3", "3")
        assert run.instruments["balance"]["identity"]["serial"] == "B021002593"


def test_a_slow_pump_at_a_position_shows_no_air_in_the_line(tmp_path: Path) -> None:
    settings = {"schedule": "0.1 mL/day", "stabilisation": "0 h", "analysis": "1 h", "blank-length": "50 min"}
    unchecked = [Override("rig-check", "Ada", "a short run")]
    result = conduct(Request("flow-accuracy", "sim-eight#3", settings=settings, out=tmp_path, overrides=unchecked))
    found = {check.name: check for check in result.evaluation.checks}
    assert (found["no-air"].verdict, found["no-air"].value) == (Verdict.PASS, 0.0)


def test_a_campaign_gives_each_position_the_next_run_of_the_pump_that_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def said(*words: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        return ended.value.code, capsys.readouterr().out

    pumps = [word for n in (1, 2) for word in ("--dut", f"sim-peristaltic:SN-{n}@sim-eight#{n}")]
    plan = [*pumps, "--protocol", "flow-accuracy", "--check", "mean-flow-error", "--simulated", "--rate", "1 mL/day"]
    short = [
        word for value in ("stabilisation=0 h", "analysis=1 h", "blank-length=30 min") for word in ("--set", value)
    ]
    assert said("campaign", "new", "c.toml", *plan, *short)[0] == 0
    for n in (2, 1):
        asked = json.loads(said("campaign", "next", "c.toml", "--station", f"sim-eight#{n}", "--json")[1])
        assert (asked["serial"], asked["station"]) == (f"SN-{n}", f"sim-eight#{n}")
        assert said(*shlex.split(asked["command"])[1:])[0] in (0, 4)
        assert said("campaign", "next", "c.toml", "--station", f"sim-eight#{n}")[0] == 4
    cells = json.loads(said("campaign", "status", "c.toml", "--json")[1])["cells"]
    assert sorted(Path(cell["attempts"][0]["path"]).name.split("_")[1] for cell in cells) == [
        "sim-eight-1",
        "sim-eight-2",
    ]
    assert json.loads(said("campaign", "report", "c.toml", "--json")[1])["runs"]["judged"] == sum(
        cell["state"] in ("pass", "conditional-pass") for cell in cells
    )


def test_a_station_at_which_no_pump_stands_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "c.toml"
    words = ["--protocol", "flow-accuracy", "--check", "mean-flow-error", "--rate", "1 mL/day"]
    for where, remedy in (("@bench.toml#3", "there are pumps at bench.toml#3"), ("", "into its [[duts]]")):
        plan.unlink(missing_ok=True)
        with pytest.raises(SystemExit):
            main(["campaign", "new", str(plan), "--dut", f"sim-peristaltic:A{where}", *words])
        with pytest.raises(SystemExit):
            main(["campaign", "next", str(plan), "--station", "bench.toml#4", "--catalogue", str(tmp_path / "c.db")])
        assert remedy in capsys.readouterr().err


@given(st.text("abc#./1", min_size=1, max_size=8), st.from_regex(r"[A-Za-z0-9_-]{0,20}", fullmatch=True))
def test_a_name_is_parted_as_it_was_joined(file: str, position: str) -> None:
    named = joined(f"{file}.toml", position)
    assert parted(named) == (f"{file}.toml", position)


def test_what_a_file_without_positions_says_is_left_as_it_is() -> None:
    table = {"name": "lab", "instruments": {"a{position}": {"resource": "{position}"}}}
    assert at_position(Path("lab.toml"), table, "") == table
