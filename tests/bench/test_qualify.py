"""A small real matrix: killed, gone on with, and what its files say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest

from bench.cli import main
from bench.qualify.matrix import matrix_of
from bench.qualify.page import page
from bench.qualify.plan import build_plan
from bench.qualify.words import summary
from bench.station import station_path

KILLED_IN_TIME = """
import os, signal, sys
from bench.cli import main
from bench.qualify.ledger import Ledger
append = Ledger.append
def killed(*ledger_and_trial):
    append(*ledger_and_trial)
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
Ledger.append = killed
main(sys.argv[1:])
"""
"""The command, which is killed as soon as its first trial is on the disk."""


@pytest.fixture(scope="module")
def qualified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, dict[str, object]]:
    """Folder of a matrix whose process was killed after its first trial, that trial, and the matrix after going on."""
    folder = tmp_path_factory.mktemp("qualified")
    text = station_path("sim").read_text("utf-8")
    for old, new in (('period = "1 s"', 'period = "10 s"'), ('interval = "0.1 s"', 'interval = "1 s"')):
        text = text.replace(old, new)
    (folder / "sim.toml").write_text(text.replace('rate = "10 Hz"', 'rate = "1 Hz"'), "utf-8")
    out, ledger = folder / "out", folder / "out" / "trials.jsonl"
    words = ["qualify", "--station", str(folder / "sim.toml"), "--quick", "--seeds", "1", "--protocol", "flow-accuracy"]
    words += ["--fault", "over-delivery", "--fault", "frozen-reading", "--jobs", "1", "--out", str(out), "--json"]
    killed = subprocess.run(
        [sys.executable, "-P", "-c", KILLED_IN_TIME, *words], stdout=subprocess.DEVNULL, check=False
    )
    assert killed.returncode not in (0, 1), "it ended before it was killed"
    first = ledger.read_bytes()
    again = subprocess.run([sys.executable, "-P", "-m", "bench.cli", *words], stdout=subprocess.PIPE, check=False)
    assert again.returncode == 0
    return out, first, json.loads(again.stdout)


def test_a_matrix_goes_on_after_a_kill_without_doing_a_trial_twice(qualified) -> None:
    out, first, matrix = qualified
    assert first.count(b"\n") < 3
    assert (out / "trials.jsonl").read_bytes().startswith(first)
    trials = [json.loads(line) for line in (out / "trials.jsonl").read_bytes().splitlines()]
    assert len({(trial["row"], trial["seed"], trial["code"]) for trial in trials}) == len(trials)
    assert matrix["complete"] is True


def test_a_small_matrix_says_who_found_what(qualified) -> None:
    _, _, matrix = qualified
    rows = {row["fault"]: row for row in matrix["rows"]}
    assert rows[""]["verdicts"] == {"pass": 1}
    assert rows["over-delivery"]["found_by"] == {"mean-flow-error": 1}
    assert rows["frozen-reading"]["verdicts"] == {"invalid": 1}
    assert rows["frozen-reading"]["proved_at_least"] == pytest.approx(0.05)
    assert rows["frozen-reading"]["told_s"] == pytest.approx(3 * 3600.0 - 4200.0, rel=0.05)


def test_the_files_of_a_matrix_say_the_same_as_its_document(qualified) -> None:
    out, _, matrix = qualified
    with h5py.File(out / "matrix.h5") as file:
        entry = file["entry"]
        assert entry.attrs["NX_class"] == "NXentry"
        assert entry["rows/fault"].asstr()[:].tolist() == [row["fault"] for row in matrix["rows"]]
        assert entry["rows/at_s"].attrs["units"] == "s"
        assert entry["trials/as_claimed"][:].tolist() == [1, 1, 1]
        off_u = dict(zip(entry["trials/row"][:].tolist(), entry["trials/off_u"][:].tolist(), strict=True))
        assert 0.0 <= off_u[1] < 2.0, "the mean of the sound pump is held against the truth"
    text = (out / "matrix.html").read_text("utf-8")
    assert "✓ found</span> 1 of 1, ≥ 5.0 %" in text
    assert not re.search(r"https?:|<script|class=.bad", text)


def test_a_miss_is_coloured_named_and_fails_the_matrix() -> None:
    plan = build_plan(["sim"], quick=True, seeds=1, protocols=["priming"], faults=["over-delivery"])
    missed = {"seed": 1, "verdict": "pass", "status": "completed", "as_claimed": False, "why": "", "told_s": 9.0}
    done = {(row.key, seed): missed for row, seed in plan.trials() if row.fault}
    matrix = matrix_of(plan, done, code="c" * 64, made_at="2026-01-01")
    text = page(matrix)
    assert not matrix.holds
    assert 'class="bad"' in text
    assert "✗ missed</span> 0 of 1" in text
    assert "Not as claimed" in text


def test_a_matrix_stops_when_what_it_relies_on_changed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trials(asked: Any, folder: Any, jobs: Any, basis: Any) -> Any:
        for row, seed in asked:
            why = f"{'code' if basis.code else ''} changed after the plan was made"
            yield {"row": row.key, "seed": seed, "verdict": "", "status": "changed", "as_claimed": False, "why": why}

    monkeypatch.setattr("bench.qualify.pool.run_all", trials)
    with pytest.raises(SystemExit) as end:
        main(["qualify", "--station", "sim", "--quick", "--protocol", "priming", "--out", str(tmp_path)])
    out, err = capsys.readouterr()
    assert end.value.code == 1
    assert "stopped: code changed after the plan was made" in err
    assert "trials are missing" in out
    assert (tmp_path / "trials.jsonl").read_bytes().count(b"\n") == 1


def test_what_was_not_run_is_not_called_as_claimed() -> None:
    plan = build_plan(["sim"], quick=True, seeds=1, protocols=["priming"], faults=["over-delivery"])
    matrix = matrix_of(plan, {}, code="c" * 64, made_at="2026-01-01")
    assert not matrix.complete
    assert summary(matrix) == "0 of 1 row as claimed; 0 false alarms in 0 runs of sound pumps; trials are missing"


def test_bad_input_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["qualify", "--station", "simm"])
    assert end.value.code == 2
    assert 'did you mean "sim"' in capsys.readouterr().err
