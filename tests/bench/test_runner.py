"""Runs in processes of their own: the queue, who holds a station, and what people type."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from bench import run_queue, state_folder
from bench.cli import main
from bench.cli.runner import _let_go
from bench.preflight import PreflightError
from bench.request import Override, Request
from bench.rpc.doors import Doors
from bench.rpc.messages import Ending
from bench.run_queue import (
    Entry,
    QueueError,
    RunState,
    StationLock,
    enqueue,
    entries,
    find,
    station_holder,
    unreadable,
    waiting,
)
from bench.runner import Runner
from bench.session import check
from bench.station import Station
from data.run import Run
from instruments.clock import WallClock

WALL = WallClock()
RECORD = Request("flow-record", "sim", {"recording": "10 min"})
WORDS = ("run", "flow-record", "--station", "sim", "--set", "recording=10 min", "--detach")


@pytest.fixture(autouse=True)
def home(detached_home: Path) -> Path:
    """Nothing here touches another queue."""
    return detached_home


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Exit code, stdout and stderr of a command line."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        found = capsys.readouterr()
        return int(ended.value.code or 0), found.out, found.err

    return run


def until(condition: Callable[[], Any], within_s: float = 60.0) -> None:
    """Wait in real time for something that happens in another process."""
    by = WALL.now() + within_s
    while not condition():
        assert WALL.now() < by, "it did not happen"
        WALL.sleep(0.02)


# ------------------------------------------------------------------------------------------------------- the queue


def test_a_request_comes_out_of_the_queue_as_it_went_in(home: Path) -> None:
    override = Override("calibration", "Ada", "the certificate is on its way", ("it was due", "so was another"))
    request = Request(
        "flow-accuracy", "a.toml", {"analysis": "1 h"}, "d", "s", "c", "f", ["x@1h"], 4, Path("o"), 2.0, "Ada",
        [override], 30.0,
    )  # fmt: skip
    (entry,) = [enqueue(home, request, "sim", hold=True)]
    assert entries(home) == [entry]
    found = entries(home)[0].request()
    for item in fields(Request):
        assert getattr(found, item.name) == getattr(request, item.name), item.name


def test_every_field_of_a_request_can_wait_in_the_queue(home: Path) -> None:
    """Whoever adds one that cannot be written down sees it here."""
    assert enqueue(home, RECORD, "sim").request() == replace(RECORD, faults=[], overrides=[])


def test_an_override_that_waits_is_of_what_stood_against_the_run_when_it_was_queued(
    monkeypatch: pytest.MonkeyPatch, sim_station: Callable[..., Path], tmp_path: Path
) -> None:
    monkeypatch.setattr(run_queue, "start_runner", lambda home, station: None)
    overdue = {"due = 2030-12-31\nu_relative": "due = 2020-12-31\nu_relative"}
    station = sim_station(tmp_path, overdue)
    taken = Override("calibration", "Ada", "the certificate is on its way")
    entry, findings = run_queue.submit(Request("flow-accuracy", str(station), overrides=[taken], out=tmp_path))
    (override,) = entry.request().overrides
    assert override.read == tuple(one.text for one in findings if one.code == "calibration" and one.level == "blocks")
    assert len(override.read) == 1
    check(entry.request())
    text = Path(station).read_text("utf-8")
    Path(station).write_text(text.replace("due = 2020-12-31", "due = 2019-12-31"), "utf-8")
    said = r'was due 2019-12-31; renew it \(the reason of Ada, "the certificate is on its way", was given for something'
    with pytest.raises(PreflightError, match=said):
        check(entry.request())


def test_an_override_that_waits_counts_however_the_folder_of_the_run_was_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run_queue, "start_runner", lambda home, station: None)
    monkeypatch.chdir(tmp_path)
    taken = Override("rig-check", "Ada", "the first run of a new rig")
    entry, _ = run_queue.submit(Request("flow-accuracy", "sim-full", overrides=[taken], out=Path("runs")))
    request = entry.request()
    assert len(request.overrides[0].read) == 1
    assert check(replace(request, out=request.out.absolute()))  # as its runner does


def test_a_person_can_answer_a_detached_run_unless_its_time_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(run_queue, "start_runner", lambda home, station: started.append(station))
    for pace, attended in ((None, False), (60.0, True)):
        entry, findings = run_queue.submit(replace(RECORD, pace=pace))
        assert entry.request().attended == attended
        assert [finding.code for finding in findings] == ["duration"]
        assert entry.withdraw("Ada", "the next one is tried")
    assert started == ["sim", "sim"]


def test_runs_are_numbered_without_a_gap_and_wait_by_station(home: Path) -> None:
    for station in ("a", "b", "a"):
        enqueue(home, RECORD, station)
    assert [entry.number for entry in entries(home)] == [1, 2, 3]
    assert [entry.number for entry in waiting(home, "a")] == [1, 3]
    assert waiting(home, "a")[0].claim()
    assert not entries(home)[0].claim()
    assert [entry.number for entry in waiting(home, "a")] == [3]


def test_a_replay_cannot_wait(home: Path) -> None:
    with pytest.raises(QueueError, match="run it in the foreground"):
        enqueue(home, replace(RECORD, replay={}), "sim")
    assert entries(home) == []


def test_what_another_version_wrote_is_read_as_far_as_it_goes(home: Path) -> None:
    entry = enqueue(home, RECORD, "sim")
    path = entry.folder / "request.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "new": 1}), "utf-8")
    assert entries(home) == [entry]
    old = replace(entry, request_fields={"procedure": "p", "station": "s", "out": "o", "overrides": [], "gone": 1})
    with pytest.raises(QueueError, match="run 1 was queued by another version"):
        old.request()


@pytest.mark.parametrize("left", [b"", b"\0" * 300, b"null", b'{"number": 2}', b"\xff{"])
def test_a_run_that_a_power_cut_tore_is_left_out_and_told_and_the_others_go_on(
    home: Path, said: Callable[..., tuple[int, str, str]], left: bytes
) -> None:
    first, torn, other = (enqueue(home, RECORD, station) for station in ("sim", "sim", "other"))
    (torn.folder / "request.json").write_bytes(left)
    assert entries(home) == [first, other]
    assert waiting(home, "sim") == [first]
    assert find(home, "3") == other
    with pytest.raises(QueueError, match=r"run 0002 is left out: .*request\.json cannot be read; queue it again"):
        find(home, "2")
    code, out, err = said("runner", "list", "--json")
    assert (code, [row["run"] for row in json.loads(out)]) == (0, [1, 3])
    assert err.startswith("note: run 0002 is left out")
    assert enqueue(home, RECORD, "sim").number == 4


@pytest.mark.parametrize("left", [b"", b"[]", b'{"state": "running"}'])
def test_a_run_whose_state_a_power_cut_tore_has_died_and_does_not_begin_again(home: Path, left: bytes) -> None:
    entry = enqueue(home, RECORD, "sim")
    (entry.folder / "state.json").write_bytes(left)
    assert entry.state().state == "died"
    assert waiting(home, "sim") == []


def test_a_run_that_was_taken_a_moment_ago_is_not_called_dead_before_it_is_told_what_becomes_of_it(home: Path) -> None:
    entry = enqueue(home, RECORD, "sim")
    assert entry.claim()
    assert (entry.state().state, entry.state().ending) == ("starting", None)
    assert not entry.withdraw("Ada", "wrong pump")
    long_ago = (entry.folder / "claimed").stat().st_mtime - 60.0
    os.utime(entry.folder / "claimed", (long_ago, long_ago))
    assert entry.state().state == "died"


def test_a_look_for_runs_that_wait_reads_nothing_of_those_that_were_taken(home: Path) -> None:
    taken, other = enqueue(home, RECORD, "sim"), enqueue(home, RECORD, "sim")
    assert taken.withdraw("Ada", "wrong pump")
    (taken.folder / "request.json").unlink()
    (taken.folder / "request.json").mkdir()  # cannot be read
    assert waiting(home, "sim") == [other]
    assert list(unreadable(home)) == [1]


def test_what_is_queued_is_on_the_disk_before_it_has_its_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[bool, bool]] = []  # whether a file and not a folder was synced, and whether the request was there
    file = home / "runs" / "0001" / "request.json"
    monkeypatch.setattr(os, "fsync", lambda fd: kept.append((stat.S_ISREG(os.fstat(fd).st_mode), file.exists())))
    enqueue(home, RECORD, "sim")
    assert kept == [(True, False), (False, True), (False, True)]


def test_the_files_of_the_queue_are_for_their_user_alone(home: Path) -> None:
    entry = enqueue(home, RECORD, "sim")
    entry.tell(RunState("running"))
    lock = StationLock.take(home, "sim")
    assert lock is not None
    lock.release()
    for path in home.rglob("*"):
        assert stat.filemode(path.stat().st_mode)[4:] == "------", path


def test_the_state_folder_is_where_the_platform_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert state_folder.home() == tmp_path / "home"
    monkeypatch.delenv("PUMPBENCH_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder.home() == tmp_path / "pumpbench"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_folder.home() == Path.home() / ".local" / "state" / "pumpbench"


# ------------------------------------------------------------------------------------------------------ the stations


def test_a_station_is_held_by_one_process_until_that_is_gone_however_it_went(
    holder: subprocess.Popen[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.file_lock.HOLD_ON_S", 0.0)
    assert station_holder(home, "sim") == 7
    assert StationLock.take(home, "sim") is None
    holder.kill()
    holder.wait()
    assert f'"pid": {holder.pid}' in (home / "stations" / "sim.lock").read_text()
    assert station_holder(home, "sim") is None
    lock = StationLock.take(home, "sim")
    assert lock is not None
    assert StationLock.take(home, "sim") is None
    lock.release()


def test_a_run_whose_runner_died_is_known_and_what_to_do_about_it(holder: subprocess.Popen[str], home: Path) -> None:
    entry = replace(enqueue(home, RECORD, "sim"), number=7)
    entry.claim()
    entry.tell(RunState("running", holder.pid, Doors("unix:/x", "unix:/y"), journal="r.journal"))
    assert entry.state().state == "running"
    holder.kill()
    holder.wait()
    died = entry.state()
    assert died.state == "died"
    assert died.ending is not None
    assert died.ending.exit_code == 3
    assert "see that the bench is safe" in died.ending.reason
    assert died.ending.reason.endswith("pumpbench recover r.journal")


def test_a_foreground_run_of_a_real_station_waits_for_nobody(
    holder: subprocess.Popen[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.file_lock.HOLD_ON_S", 0.1)
    real = Station.model_validate({"name": "sim", "instruments": {"a": {"driver": "x"}}, "roles": {}})
    assert not real.simulated
    with pytest.raises(QueueError, match=r'station "sim" is held by run 7; wait for its end, or queue .* --detach'):
        run_queue.holding(real).__enter__()
    holder.kill()
    holder.wait()
    with run_queue.holding(real):
        assert station_holder(home, "sim") == 0
    assert station_holder(home, "sim") is None


# ------------------------------------------------------------------------------------------------ what people type


def test_bad_input_is_told_at_once_and_nothing_is_queued(said: Callable[..., tuple[int, str, str]], home: Path) -> None:
    for words, sentence in (
        (("--fault", "x@1h"), "there is no fault"),
        (("--set", "recordin=1 h"), "recordin"),
        (("--dut", "nothing"), "there is no shipped file"),
    ):
        code, out, err = said(*WORDS, *words)
        assert (code, out) == (2, "")
        assert sentence in err
        assert len(err.splitlines()) == 1
    assert entries(home) == []


@pytest.mark.parametrize(
    "words",
    [
        ("attach", "99"),
        ("stop", "99"),
        ("pause", "99"),
        ("note", "99", "x"),
        ("exclude", "99", "--from", "0 s", "--to", "1 s", "--reason", "x"),
        ("answer", "99", "k", "v"),
        ("start", "99"),
    ],
)
def test_an_unknown_run_is_one_sentence(words: tuple[str, ...], said: Callable[..., tuple[int, str, str]]) -> None:
    assert said("runner", *words) == (2, "", 'pumpbench: there is no run "99"; see: pumpbench runner list\n')


def test_without_a_number_the_one_run_that_goes_on_is_meant(home: Path) -> None:
    with pytest.raises(QueueError, match="no run goes on"):
        find(home, None)
    first, second = (enqueue(home, RECORD, "sim") for _ in range(2))
    with pytest.raises(QueueError, match=r"several runs can be meant \(1, 2\)"):
        find(home, None)
    first.tell(RunState("ended", run_id="abc-1", ending=Ending("ended")))
    assert find(home, None) == second
    assert find(home, "1") == find(home, "01") == find(home, "abc") == first


def test_a_run_that_waits_is_withdrawn_and_a_run_that_has_ended_is_not_stopped(
    said: Callable[..., tuple[int, str, str]], home: Path
) -> None:
    entry = enqueue(home, RECORD, "sim")
    assert said("runner", "stop", "--person", "Ada", "--reason", "wrong pump")[0] == 0
    assert entry.state().ending == Ending("withdrawn", reason="wrong pump", person="Ada", exit_code=2)
    assert waiting(home, "sim") == []
    code, _, err = said("runner", "stop", "1")
    assert (code, err) == (2, "pumpbench: run 1 has ended: withdrawn\n")
    code, out, _ = said("runner", "attach", "1")
    assert (code, out) == (2, "status    withdrawn by Ada: wrong pump\n")


def test_the_list_tells_what_is_known(said: Callable[..., tuple[int, str, str]], home: Path) -> None:
    assert said("runner", "list") == (0, "no run was started with --detach\n", "")
    over = Ending("ended", "completed", "all steps done", verdict="pass", run_file="r.h5")
    enqueue(home, RECORD, "sim").tell(RunState("ended", run_id="abc", run_file="r.h5", ending=over))
    enqueue(home, RECORD, "sim")
    first, second = json.loads(said("runner", "list", "--json")[1])
    assert (first["run"], first["status"], first["verdict"], first["exit_code"]) == (1, "completed", "pass", 0)
    assert (second["state"], second["verdict"], second["run_file"]) == ("waiting", None, None)
    lines = said("runner", "list")[1].splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["1", "completed"], ["2", "waiting"]]


def test_hold_is_for_detached_runs(said: Callable[..., tuple[int, str, str]]) -> None:
    assert "--hold needs --detach" in said("run", "flow-record", "--station", "sim", "--hold")[2]


# -------------------------------------------------------------------------------------------------- real processes


def wait_for(entry: Entry, *states: str) -> RunState:
    until(lambda: entry.state().state in states or entry.state().ending)
    state = entry.state()
    assert state.state in states, state
    return state


def test_after_a_stop_the_queue_waits_for_a_person_and_then_goes_in_order_each_run_in_a_process_of_its_own(
    said: Callable[..., tuple[int, str, str]], home: Path
) -> None:
    code, out, _ = said(*WORDS, "--hold", "--pace", "1", "--json")
    assert (code, json.loads(out)["state"]) == (0, "held")
    code, out, _ = said(*WORDS, "--json")
    assert (code, json.loads(out)["state"]) == (0, "waiting")
    said(*WORDS, "--json")
    first, second, third = entries(home)
    assert said("runner", "start", "1", "--person", "Ada")[0] == 0
    wait_for(first, "running")  # a stop that comes before would withdraw it
    assert said("runner", "stop", "1", "--person", "Ben", "--reason", "enough")[1].startswith("run 1 stops")
    code, out, _ = said("runner", "attach", "1")
    assert code == 4
    assert "status    aborted by Ben: enough\nverdict   not-measured\n" in out
    until(lambda: station_holder(home, "sim") is None)
    assert second.state().state == "waiting", "whoever stopped the first one may have a hand in the bench"
    code, out, _ = said(*WORDS)
    assert (code, out.partition("\n")[0]) == (
        0, 'run 4 waits for station "sim", behind run 2, which a person has to begin: pumpbench runner start 2'
    )  # fmt: skip
    assert second.state().state == "waiting", "to queue another run is no word on this one"
    said("runner", "stop", "4", "--person", "Ada")
    assert said("runner", "start", "2", "--person", "Ada")[0] == 0
    for number in ("2", "3"):
        code, out, _ = said("runner", "attach", number)
        assert code == 4
        assert "status    completed\n" in out
    runs = [entry.state() for entry in (first, second, third)]
    assert len({run.pid for run in runs}) == 3
    assert [Path(run.run_file).name[-7:] for run in runs] == ["0001.h5", "0002.h5", "0003.h5"]


def test_a_run_survives_its_client_and_its_terminal_and_a_termination_stops_it_in_order(
    said: Callable[..., tuple[int, str, str]], home: Path
) -> None:
    said(*WORDS, "--pace", "1")
    said(*WORDS)
    first, second = entries(home)
    pid = wait_for(first, "running").pid
    assert "which run 1 holds; it can begin when that has ended" in said("runner", "start", "2")[2]
    assert os.getsid(pid) == pid != os.getsid(0), "no terminal can end it"
    os.kill(pid, signal.SIGHUP)
    assert detached_by_control_c("1") == 130
    assert said("runner", "pause", "1", "--person", "Ada")[1] == "run 1 is paused\n"
    assert json.loads(said("runner", "list", "--json")[1])[0]["state"] == "paused"
    os.kill(pid, signal.SIGTERM)
    over = wait_for(first, "ended").ending
    assert over is not None
    assert (over.status, over.reason) == ("aborted", "stopped by SIGTERM")
    with Run.open(Path(over.run_file)) as run:
        assert all(event.fields["confirmed"] for event in run.records("confirm"))
        assert [event.fields["key"] for event in run.records("command")][-1] == "signal-SIGTERM"
    until(lambda: station_holder(home, "sim") is None)
    assert second.state().state == "waiting", "whoever ends a runner does not want the next one"


def test_whoever_starts_the_next_run_waits_while_the_one_before_is_closed(home: Path) -> None:
    first, second = enqueue(home, RECORD, "sim"), enqueue(home, RECORD, "sim")
    assert first.claim()
    first.tell(RunState("ended", ending=Ending("ended", reason="stopped", person="Ada", exit_code=4)))
    lock = StationLock.take(home, "sim")
    assert lock is not None
    lock.tell({"number": first.number})
    began = WALL.now()
    closing = threading.Timer(0.3, lock.release)
    closing.start()
    _let_go(second)
    assert WALL.now() - began > 0.25
    closing.join()


def detached_by_control_c(run: str) -> int:
    """Exit code of a client that was left when it had shown something."""
    command = [sys.executable, "-P", "-m", "bench.cli", "runner", "attach", run]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as client:
        assert client.stdout is not None
        assert "Phase recording begins" in client.stdout.readline()
        client.send_signal(signal.SIGINT)
        return client.wait()


def test_a_file_that_changed_while_a_run_waited_ends_it_before_anything_moves(
    home: Path, sim_station: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    station = sim_station(Path.cwd())
    entry = enqueue(home, replace(RECORD, station="station.toml"), "sim")
    station.write_text("name = 3", "utf-8")
    ending = Runner(entry).conduct()
    assert (ending.state, ending.exit_code, ending.journal) == ("refused", 2, "")
    assert "station.toml" in ending.reason
    assert entry.state().ending == ending
    assert capfd.readouterr().err == f"{ending.reason}\n"


def test_a_termination_before_the_run_begins_withdraws_it(home: Path) -> None:
    runner = Runner(enqueue(home, RECORD, "sim", hold=True))
    runner._terminate(signal.SIGTERM, None)
    ending = runner.conduct()
    assert (ending.state, ending.reason, ending.exit_code) == ("withdrawn", "stopped by SIGTERM", 2)
    assert runner.terminated
