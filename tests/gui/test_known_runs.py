"""Runs of a state folder that are looked at again and again: nothing is read twice that cannot change any more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bench.request import Request
from bench.rpc.messages import Ending
from bench.run_queue import Entry, RunState, enqueue
from gui.presenters.known_runs import SETTLED_S, KnownRuns
from gui.presenters.setup_choices import StationChoice, with_states
from gui.presenters.setup_queue import queue_rows
from gui.presenters.shell import going_on

ASKED = Request("flow-record", "sim")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three runs: two have ended, one of them by its runner's death, and one waits."""
    folder = tmp_path / "home"
    ended, died, _ = (enqueue(folder, ASKED, "sim") for _ in range(3))
    ended.tell(RunState("ended", ending=Ending("ended", "completed")))
    died.tell(RunState("running", pid=1))
    return settled(folder)


def settled(folder: Path) -> Path:
    """Let the folder have been as it is for a while."""
    before = (folder / "runs").stat().st_mtime - 10.0 * SETTLED_S
    os.utime(folder / "runs", (before, before))
    return folder


def test_a_second_look_reads_neither_what_was_asked_for_nor_how_it_ended(home: Path, monkeypatch: Any) -> None:
    runs = KnownRuns(home)
    assert [entry.number for entry, _ in runs.going()] == [3]
    read: list[str] = []
    plain = Path.read_text

    def read_text(path: Path, *how: str) -> str:
        read.append(f"{path.parent.name}/{path.name}")
        return plain(path, *how)

    monkeypatch.setattr(Path, "read_text", read_text)
    assert [entry.number for entry, _ in runs.going()] == [3]
    assert set(read) == {"0002/state.json", "0003/state.json"}


def test_the_names_of_a_folder_that_is_as_it_was_are_not_looked_through_again(home: Path, monkeypatch: Any) -> None:
    runs = KnownRuns(home)
    runs.going()
    monkeypatch.setattr(Path, "glob", None)  # of thousands, several times a second
    monkeypatch.setattr(os, "scandir", None)
    assert [entry.number for entry, _ in runs.going()] == [3]


def test_a_folder_of_runs_that_cannot_be_read_is_not_an_empty_one(home: Path, monkeypatch: Any) -> None:
    def gone(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", gone)
    with pytest.raises(PermissionError):
        KnownRuns(home).going()


def test_a_run_that_comes_or_goes_is_seen(home: Path) -> None:
    runs = KnownRuns(home)
    runs.going()
    enqueue(home, ASKED, "lab")
    assert [entry.number for entry, _ in runs.going()] == [3, 4]
    settled(home)
    (home / "runs" / "0003" / "request.json").unlink()
    (home / "runs" / "0003").rmdir()
    assert [entry.number for entry, _ in runs.going()] == [4]


def test_a_run_that_was_being_written_down_at_the_first_look_is_seen_at_the_next(home: Path) -> None:
    late = home / "runs" / "0004"
    late.mkdir()
    settled(home)
    runs = KnownRuns(home)
    assert [entry.number for entry, _ in runs.going()] == [3]
    said = (home / "runs" / "0003" / "request.json").read_text("utf-8").replace('"number": 3', '"number": 4')
    (late / "request.json").write_text(said, "utf-8")
    assert [entry.number for entry, _ in runs.going()] == [3, 4]


def test_a_run_that_has_died_may_be_closed_later(home: Path) -> None:
    runs = KnownRuns(home)
    died = runs.look_through()[0][1]
    assert runs.state(died).state == "died"
    died.tell(RunState("ended", ending=Ending("ended", "completed")))
    assert runs.state(died).state == "ended"


def test_how_many_wait_is_counted_once_for_all_stations(home: Path, monkeypatch: Any) -> None:
    from bench.station import load_station

    asked: list[int] = []
    plain = Entry.state
    monkeypatch.setattr(Entry, "state", lambda entry: asked.append(entry.number) or plain(entry))
    stations = [StationChoice(name, load_station(name)) for name in ("sim", "sim-full", "sim-long")]
    assert [one.queued for one in with_states(stations, home)] == [1, 0, 0]
    assert asked == [1, 2, 3]
    assert [row.entry.number for row in queue_rows(home)] == [3]
    assert [entry.number for entry in going_on(home)] == [3]
