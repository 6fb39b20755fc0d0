"""The record of trials: what is kept of one, which count, and what goes on after a kill."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from bench.file_lock import lock_file
from bench.qualify import pool
from bench.qualify.forecast import left_s
from bench.qualify.ledger import Ledger, look, under_way
from bench.qualify.plan import Row, build_plan
from bench.request import RequestError

SOUND = Row("flow-accuracy", "short", "sim", {}, None, "sound", 1)
TRIAL = {"row": "a", "seed": 1, "verdict": "pass"}


def test_a_stop_of_one_trial_latches_no_other_and_the_register_of_the_bench_has_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    plan = build_plan(["sim-full"], quick=True, seeds=2, protocols=["rig-check"], faults=["e-stop"])
    (row,) = [row for row in plan.rows if row.fault == "e-stop"]
    asked = [(row, seed) for seed in (1, 2)]
    (tmp_path / "out").mkdir()
    said = list(pool.run_all(asked, tmp_path / "out", 1))
    assert [trial["status"] for trial in said] == ["stopped-by-interlock"] * 2
    assert not (tmp_path / "home").exists()


def test_a_trial_that_was_recorded_is_there_again(tmp_path: Path) -> None:
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(TRIAL)
    with Ledger(tmp_path, "plan", "code") as again:
        assert again.done == {("a", 1): TRIAL}


@pytest.mark.parametrize("length", [1, 20, 74])
def test_a_torn_last_line_goes_and_the_next_one_is_whole(length: int, tmp_path: Path) -> None:
    line = b'{"plan": "plan", "code": "code", "row": "a", "seed": 2, "verdict": "pass"}\n'
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(TRIAL)
    with ledger.path.open("ab") as file:
        file.write(line[:length])
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert list(ledger.done) == [("a", 1)]
        ledger.append(TRIAL | {"seed": 3})
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert list(ledger.done) == [("a", 1), ("a", 3)]


def test_a_folder_has_one_qualification_at_a_time_and_others_may_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.file_lock.HOLD_ON_S", 0.1)
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append({"row": "a", "seed": 1, "status": "completed"})
        assert under_way(tmp_path) == os.getpid()
        assert look(tmp_path, "plan", "code") == ledger.done
        with pytest.raises(RequestError, match="is under way there"):
            Ledger(tmp_path, "plan", "code")
    assert under_way(tmp_path) is None
    assert look(tmp_path / "nothing", "plan", "code") == {}


def test_a_qualification_begins_though_a_window_looks_at_its_folder_at_that_moment(tmp_path: Path) -> None:
    with Ledger(tmp_path, "plan", "code"):
        pass
    looking = (tmp_path / "under-way.lock").open("r+b")
    assert lock_file(looking)
    threading.Timer(0.1, looking.close).start()
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert ledger.done == {}


def test_a_trial_whose_process_died_is_a_miss_and_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WORKER", ("-c", "raise SystemExit(7)"))
    (said,) = pool.run_all([(SOUND, 1)], tmp_path, 1)
    assert (said["as_claimed"], said["seed"], said["row"]) == (False, 1, SOUND.key)
    assert "died with code 7" in said["why"]
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(said)
        assert len(ledger.done) == 1
    with Ledger(tmp_path, "plan", "code") as again:
        assert again.done == {}


def test_a_trial_that_a_signal_stopped_says_nothing_and_is_run_again(tmp_path: Path) -> None:
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(TRIAL | {"seed": 2, "status": "aborted", "as_claimed": False})
        ledger.append(TRIAL | {"seed": 3, "status": "stopped-by-interlock"})
    with Ledger(tmp_path, "plan", "code") as again:
        assert [seed for _, seed in again.done] == [3]
        assert again.foreign == 0


def test_a_trial_of_a_changed_file_is_no_miss_and_is_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        with Ledger(tmp_path, "plan", "code") as ledger:
            ledger.append(TRIAL | {"status": "changed", "as_claimed": False})
            assert ledger.done == {}


def test_trials_of_another_plan_or_of_other_code_do_not_count(tmp_path: Path) -> None:
    for plan, code in (("plan", "other"), ("other", "code")):
        with Ledger(tmp_path, plan, code) as ledger:
            ledger.append(TRIAL)
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert (ledger.done, ledger.foreign) == ({}, 2)


def test_the_time_left_follows_the_trials_that_were_measured() -> None:
    plan = build_plan(["sim"], quick=True, seeds=4, protocols=["priming"], faults=["over-delivery"])
    trials = list(plan.trials())
    assert left_s(plan, {}, 2) is None
    done = {(row.key, seed): {"wall_s": 10.0} for row, seed in trials[:4]}
    assert left_s(plan, done, 2) == pytest.approx(10.0 * (len(trials) - 4) / 2)
