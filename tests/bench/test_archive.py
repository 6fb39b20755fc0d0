"""An archive judged again: what would change and why, here or on a cluster, whatever a file does to its reader."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import pytest

from bench.archive import look as looking
from bench.archive import pool
from bench.archive.guard import Guard
from bench.archive.ledger import Ledger, LedgerError
from bench.archive.pool import ClusterError, look_on_cluster
from bench.cli import main
from data.checks import Verdict

RUNS = Path(__file__).parents[1] / "runs"
SMALL = ("flow-record-1", "read-out-1", "valve-test-3")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sound runs, one of them deeper, one that is cut off, and a file that is none."""
    made = tmp_path / "archive"
    (made / "2025").mkdir(parents=True)
    for name, where in zip(SMALL, (made, made, made / "2025"), strict=True):
        shutil.copy(RUNS / f"{name}.h5", where)
    (made / "cut.h5").write_bytes((RUNS / "read-out-1.h5").read_bytes()[:9000])
    (made / "letter.h5").write_text("dear reader")
    return made


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a cluster with two workers that are reached by TCP."""
    from distributed import LocalCluster  # half a second, here, of one process of the suite and not of all

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
    ) as made:
        yield made.scheduler_address


def evaluated(folder: Path, ledger: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict]:
    with pytest.raises(SystemExit) as ended:
        main(["archive", "evaluate", str(folder), "--out", str(ledger), "--json", *words])
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


def test_a_full_disk_is_named_with_the_ledger_that_it_did_not_take(folder, tmp_path, capsys, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SystemExit) as ended:
        main(["archive", "evaluate", str(folder), "--out", str(tmp_path / "ledger.jsonl"), "--jobs", "1"])
    assert ended.value.code == 2
    assert f"{tmp_path / 'ledger.jsonl'}: No space left on device; make room" in capsys.readouterr().err


def test_a_full_disk_is_named_when_the_ledger_is_closed_too(folder, tmp_path, monkeypatch):
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "ledger.jsonl"
    with Ledger(path, folder, "code") as ledger:
        pass
    monkeypatch.setattr(ledger, "_file", SimpleNamespace(close=full))
    with pytest.raises(OSError, match=r"No space left on device: '.*jsonl'"):
        ledger.__exit__(None, None, None)


def test_a_bad_file_stops_nothing_and_is_told(folder, tmp_path, capsys):
    code, said = evaluated(folder, tmp_path / "ledger.jsonl", capsys, "--jobs", "1")
    assert code == 1
    assert said["outcomes"] == {"same": 3, "unreadable": 2}
    assert [one["file"] for one in said["not_the_same"]] == ["cut.h5", "letter.h5"]


def test_what_was_done_is_not_done_again_unless_the_file_changed(folder, tmp_path, capsys, monkeypatch):
    ledger = tmp_path / "ledger.jsonl"
    asked: list[Path] = []
    monkeypatch.setattr(pool, "look_here", lambda files, jobs, patience_s: all_the_same(files, asked))
    assert evaluated(folder, ledger, capsys)[0] == 0
    assert len(asked) == 5
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:4]) + lines[4][:40])  # the last one was torn by a kill
    first = folder / json.loads(lines[0])["file"]
    os.utime(first, ns=(1, 1))
    asked.clear()
    assert evaluated(folder, ledger, capsys)[1]["outcomes"] == {"same": 5}
    assert {path.name for path in asked} == {first.name, Path(json.loads(lines[4])["file"]).name}


def test_a_link_that_leads_out_of_the_archive_is_judged_under_its_own_name_and_once(
    folder, tmp_path, capsys, monkeypatch
):
    (folder / "link.h5").symlink_to(RUNS / "valve-test-3.h5")
    (folder / "again.h5").symlink_to(folder / "flow-record-1.h5")
    asked: list[Path] = []
    monkeypatch.setattr(pool, "look_here", lambda files, jobs, patience_s: all_the_same(files, asked))
    for _ in range(2):
        assert evaluated(folder, tmp_path / "ledger.jsonl", capsys)[1]["outcomes"] == {"same": 7}
    assert len(asked) == 7
    assert {"link.h5", "again.h5"} <= {path.name for path in asked}


def all_the_same(files: list[Path], asked: list[Path]) -> Iterator[tuple[Path, dict[str, object]]]:
    for path in files:
        asked.append(path)
        yield path, {"outcome": "same", "why": "", "changes": []}


def test_a_cluster_says_what_this_computer_says(folder, cluster):
    files = sorted(folder.rglob("*.h5"))
    assert len(files) == 5
    assert dict(look_on_cluster(files, cluster, 60.0)) == {path: looking.look(path) for path in files}


def test_a_file_that_hangs_its_reader_costs_its_deadline_and_no_more(tmp_path):
    (tmp_path / "hangs.h5").touch()
    hangs = "import sys; print(flush=True); sys.stdin.readline(); sys.stdin.readline()"
    with Guard(0.2, command=(sys.executable, "-c", hangs)) as guard:
        late = guard.look(tmp_path / "hangs.h5")
    assert late["outcome"] == "late"
    assert "0.2 s" in late["why"]


def test_a_file_that_kills_its_reader_is_told_and_the_next_has_a_new_one(tmp_path):
    (tmp_path / "kills.h5").touch()
    dies = "import sys; print(flush=True); sys.stdin.readline(); sys.exit(7)"
    with Guard(command=(sys.executable, "-c", dies)) as guard:
        for _ in range(2):
            died = guard.look(tmp_path / "kills.h5")
            assert (died["outcome"], died["why"]) == ("died", "reading it ended the process with 7")


@pytest.mark.parametrize(
    ("verdict", "outcome"), [(Verdict.FAIL, "verdict"), (Verdict.NOT_MEASURED, "number")], ids=["verdict", "number"]
)
def test_a_change_is_told_with_its_check_and_the_method_that_was_raised(verdict, outcome, monkeypatch):
    evaluate, kind = looking.evaluate, looking.load_procedure("flow-record")

    def otherwise(path):
        now = evaluate(path)
        mean = next(check for check in now.checks if check.name == "mean-flow")
        changed = replace(mean, value=1.0, verdict=verdict if outcome == "verdict" else mean.verdict)
        return replace(now, checks=tuple(changed if check is mean else check for check in now.checks))

    monkeypatch.setattr(looking, "evaluate", otherwise)
    monkeypatch.setattr(kind, "method", 2)
    said = looking.look(RUNS / "flow-record-1.h5")
    assert said["outcome"] == outcome
    assert said["why"] == "the method was raised from 1 to 2"
    assert [change.partition(":")[0] for change in said["changes"]] == ["mean-flow"]


def test_an_altered_file_proves_nothing_whatever_its_numbers(tmp_path):
    path = tmp_path / "run.h5"
    shutil.copy(RUNS / "flow-record-1.h5", path)
    with h5py.File(path, "r+") as file:
        file["entry/title"][()] = "another title"
    said = looking.look(path)
    assert (said["outcome"], said["changes"]) == ("altered", [])
    assert "/entry/title" in said["why"]


def test_two_evaluations_do_not_write_one_ledger(tmp_path):
    with Ledger(tmp_path / "ledger.jsonl", tmp_path, "code"), pytest.raises(LedgerError, match="another evaluation"):
        Ledger(tmp_path / "ledger.jsonl", tmp_path, "code")


def test_a_cluster_that_is_not_there_or_has_other_code_is_refused(cluster, monkeypatch):
    monkeypatch.setattr(pool, "CONNECT_S", 0.2)
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        next(look_on_cluster([RUNS / "read-out-1.h5"], "tcp://127.0.0.1:9", 60.0))
    codes = iter(["ours", "theirs"])
    monkeypatch.setattr(pool, "code_hash", lambda: next(codes, "ours"))
    with pytest.raises(ClusterError, match="other code"):
        next(look_on_cluster([RUNS / "read-out-1.h5"], cluster, 60.0))
