"""``pumpbench locate`` on run files: what it prints, its JSON, its exit codes; and a simulated fault in a whole run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from bench.cli import main
from bench.request import Request
from bench.session import conduct
from data.checks import Verdict
from protocols.procedure import load_procedure

RUNS = Path(__file__).parents[1] / "runs"


def located(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    with pytest.raises(SystemExit) as end:
        main(["locate", *words])
    out, err = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, out + err


def test_of_a_sound_run_it_says_that_nothing_is_odd(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = located(capsys, str(RUNS / "rig-check-1.h5"))
    assert code == 0
    assert said.startswith("nothing is odd\n")
    assert said.rstrip().endswith("next: none: nothing is odd")


def test_an_altered_file_is_told_and_is_no_sound_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    altered = tmp_path / "altered.h5"
    altered.write_bytes((RUNS / "rig-check-1.h5").read_bytes())
    with h5py.File(altered, "r+") as file:
        file["/entry/title"][()] = b"another"
    code, said = located(capsys, str(altered))
    assert code == 1
    assert "is altered, its numbers prove nothing: /entry/title: was changed" in said


def test_a_file_that_is_no_run_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, said = located(capsys, str(tmp_path / "gone.h5"))
    assert code == 2
    assert "there is no such file" in said
    assert "Traceback" not in said


def test_a_stuck_valve_is_the_rigs_and_the_next_step_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = {"collect": "1 min", "hold": "20 s"}
    run = conduct(Request("valve-test", "sim-full", settings=settings, faults=("valve-stuck-closed",), out=tmp_path))
    code, said = located(capsys, str(run.run_file), "--json")
    answer = json.loads(said)
    assert code == 1
    assert (answer["first"], answer["owner"]) == ("valve-stuck-closed", "rig")
    assert [one["name"] for one in answer["causes"] if one["behind"] == 0.0] == ["valve-stuck-closed"]
    assert answer["next_action"]
    assert located(capsys, str(run.run_file))[1].startswith("the outlet valve does not open: valve-stuck-closed")


def test_a_leak_that_makes_a_run_invalid_is_not_called_nothing(
    capsys: pytest.CaptureFixture[str], sim_station: Callable[..., Path], tmp_path: Path
) -> None:
    less_often = {'period = "1 s"': 'period = "2 s"', 'interval = "0.1 s"': 'interval = "1 s"', '"10 Hz"': '"1 Hz"'}
    station = str(sim_station(tmp_path, less_often))
    settings = dict(load_procedure("bolus-accuracy").qualification)
    run = conduct(Request("bolus-accuracy", station, settings=settings, faults=("leak:0.3@0s",), out=tmp_path))
    assert run.evaluation.verdict is Verdict.INVALID
    code, said = located(capsys, str(run.run_file), "--json")
    answer = json.loads(said)
    assert code == 1
    assert (answer["first"], answer["owner"]) == ("leak", "catheter")
    assert "sensor-balance-ratio" in answer["objections"]
    assert "nothing" not in {one["name"] for one in answer["causes"]}
