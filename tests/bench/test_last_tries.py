"""The end of a record that its disk does not take: tried again, tried elsewhere, and told."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench import last_tries
from bench.last_tries import LastTries, keep_on, rescue
from bench.latch import Latches
from bench.latch_keeper import Entry
from bench.request import Request
from bench.session import conduct
from bench.unsaved import UnsavedError
from data.checks import Status
from data.journal import DiskFile, JournalFull, JournalWriter, read_journal
from data.run import Run
from instruments.clock import WallClock

HEADER = {"run_id": "r", "procedure": "p", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00Z"}


class Disk:
    """A disk that is full from the second write on, until there is room."""

    def __init__(self) -> None:
        self.room = False
        self.refused = 0

    def open(self, path: Path) -> DiskFile:
        disk = self

        class Full(DiskFile):
            def write(self, offset: int, data: bytes) -> int:
                if offset and not disk.room:
                    disk.refused += 1
                    raise OSError(errno.ENOSPC, "No space left on device")
                return super().write(offset, data)

        return Full(path)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def writer(tmp_path: Path, disk: Disk) -> JournalWriter:
    """A writer whose last record waits in memory."""
    made = JournalWriter(tmp_path / "a.journal", HEADER, open_file=disk.open)
    made.record("status", 1.0, {"status": "completed"})
    with pytest.raises(JournalFull):
        made.close()
    return made


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No place takes a copy, and there is not even a folder for temporary files; returns the computer's memory."""

    def gettempdir() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    (tmp_path / "memory").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "no-home"))
    monkeypatch.setattr("tempfile.gettempdir", gettempdir)
    monkeypatch.setattr(last_tries, "MEMORY", tmp_path / "memory")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 0}))
    return tmp_path / "memory"


def test_a_record_is_rescued_to_the_first_place_that_takes_it_and_leaves_nothing_in_the_others(
    nowhere: Path, writer: JournalWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rescue(writer) is None
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10**9}))
    usual = writer.copy_to
    (tmp_path / "no-home").mkdir()

    def copy_to(path: Path) -> None:
        usual(path)
        if not path.is_relative_to(nowhere):
            path.write_bytes(b"half a copy")
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "copy_to", copy_to)
    copy = rescue(writer)
    assert copy is not None
    assert copy.is_relative_to(nowhere)
    with read_journal(copy) as reader:
        assert len(list(reader)) == 2
    assert list((tmp_path / "work").iterdir()) == list((tmp_path / "no-home").iterdir()) == []


def test_the_end_of_a_record_waits_until_there_is_room_and_is_told_meanwhile(
    nowhere: Path, writer: JournalWriter, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_tries, "TRY_EVERY_S", 0.01)
    monkeypatch.setattr(last_tries, "GIVE_UP_S", 0.05)
    tries, told = LastTries(writer, None, ()), list[str]()

    def make_room() -> None:
        told.append(tries.why)
        disk.room = True

    keep_on(tries, WallClock(), make_room)
    assert "the disk is full" in told[0]
    assert (tries.why, tries.unclosed, tries.copy) == ("", "", None)
    assert disk.refused > 2
    with read_journal(tmp_path / "a.journal") as reader:
        assert len(list(reader)) == 2


def test_a_signal_gives_up_what_the_disk_does_not_take(
    nowhere: Path, writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_tries, "GIVE_UP_S", 0.05)
    tries, heard = LastTries(writer, None, ()), list[int]()
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        keep_on(tries, WallClock(), lambda: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "the disk is full" in tries.why
    assert heard == [signal.SIGTERM], "a runner knows that no other run shall follow"


def test_a_signal_is_heard_although_the_disk_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_tries, "GIVE_UP_S", 0.05)
    clock = WallClock()
    answers = clock.event()
    keep_on(lambda: clock.wait(answers), clock, lambda: os.kill(os.getpid(), signal.SIGTERM))
    answers.set()


def test_a_latch_is_tried_until_it_is_kept(tmp_path: Path, writer: JournalWriter, disk: Disk) -> None:
    disk.room = True
    (tmp_path / "stations").write_text("in the way")
    latches = Latches(tmp_path / "stations" / "lab.latches")
    entry = Entry("pressure", "too high", datetime(2026, 3, 1, tzinfo=UTC))
    tries = LastTries(writer, latches, [entry, replace(entry, interlock="leak")])
    assert not tries()
    assert 'lab.latches does not take that interlock "pressure" is latched' in tries.why
    (tmp_path / "stations").unlink()
    assert tries()
    assert [latch.interlock for latch in latches.standing()] == ["pressure", "leak"]


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_run_whose_latch_is_not_kept_has_its_record_and_ends_as_unsaved(
    occluded: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Latches, "latch", no_room)
    with pytest.raises(UnsavedError, match=r'\.latches does not take that interlock "outlet-pressure" is latched'):
        conduct(replace(occluded, out=tmp_path / "runs"))
    (run_file,) = (tmp_path / "runs").glob("*.h5")
    with Run.open(run_file) as run:
        assert run.status is Status.STOPPED_BY_INTERLOCK


def test_a_state_folder_that_is_full_when_the_run_is_closed_is_no_bad_input(
    occluded: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.session.close_run", no_room)
    with pytest.raises(UnsavedError, match=r"nothing is lost, then: pumpbench recover .*\.journal"):
        conduct(replace(occluded, out=tmp_path / "runs"))
