"""What a journal was is fixed while it is written: one that was made otherwise since is no record of this bench."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.closing import close_run
from bench.trust.audit import check_trail
from bench.trust.checkpoints import Checkpoints
from bench.trust.keys import bench_key
from bench.trust.ledger import REGISTER, TrustError, rows_of
from bench.trust.register import begin, enrol, fix
from bench.trust.signing import sign
from bench.trust.standing import standing
from benchmarks.tamper import HEADER, QA, measured_run
from data.fold import fold
from data.frames import CHAIN_START, PREAMBLE_BYTES, FrameKind, encode_frame, encode_json
from data.journal import JournalWriter, read_journal
from data.run import Run
from data.seal import seal
from instruments.clock import VirtualClock

TRIP = ("interlock", {"name": "pressure", "action": "stop"})


def made_anew(journal: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None], *more: dict[str, Any]) -> None:
    """Put another journal in the place of one, its checksums and its chain as they must be."""
    chain, frames = CHAIN_START, [PREAMBLE_BYTES]
    with read_journal(journal) as reader:
        payloads = [(FrameKind(frame.kind), bytes(frame.payload)) for frame in reader]
    for kind, payload in [*payloads, *((FrameKind.RECORD, encode_json(one)) for one in more)]:
        said = change(json.loads(payload)) if kind is FrameKind.RECORD else {}
        if said is not None:
            frame, chain = encode_frame(kind, len(frames) - 1, chain, encode_json(said) if said else payload)
            frames.append(frame)
    journal.write_bytes(b"".join(frames))


def without_trip(said: dict[str, Any]) -> dict[str, Any] | None:
    return None if said["kind"] == "interlock" else said


def a_note_of_it(said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "kind": "note"} if said["kind"] == "interlock" else said


def as_it_was(said: dict[str, Any]) -> dict[str, Any]:
    return said


@pytest.fixture
def tripped(folder: Path) -> Path:
    """Journal of a closed run that has had an interlock."""
    measured_run(folder, name="trip", people=False, run_id="r-2", events=[TRIP])
    return folder / "trip.journal"


def test_a_journal_without_its_interlock_is_sealed_as_what_it_is(
    tripped: Path, folder: Path, home: Path, said: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    made_anew(tripped, a_note_of_it)
    assert said("recover", tripped, "--out", folder / "again.h5") == 1
    found = capsys.readouterr()
    assert "record altered" in found.out
    assert "sealed without this bench's key: its journal is another one" in found.err
    assert said("verify", folder / "again.h5") == 1
    found = capsys.readouterr()
    assert (
        "altered\n  was made from a journal that is not as its bench wrote it: it is another one within its first 6"
        in found.out
    )
    with pytest.raises(TrustError, match="is altered, so it is not signed"):
        sign(folder / "again.h5", "quinn", QA, "rejected", "looks odd")
    assert said("audit", "verify") == 0
    assert "run 2 of station lab: " in (listed := capsys.readouterr().out)
    assert "again.h5 was made from another journal on" in listed
    assert said("register", "list") == 0
    assert "altered" in capsys.readouterr().out
    there = standing(folder / "trip.h5", home)
    assert (there.intact, there.remarks) == (True, ())
    assert "again.h5 is made from another journal of this run" in there.notes[0]


def test_a_journal_that_goes_on_behind_its_end_is_altered(tripped: Path, folder: Path) -> None:
    made_anew(tripped, as_it_was, {"kind": "status", "t": 2000.0, "fields": {"status": "completed"}})
    closed = close_run(tripped, folder / "again.h5")
    assert closed.verification.state == "altered"
    assert "1 frames were added behind its end" in closed.untrusted


def test_a_journal_that_was_cut_is_altered(tripped: Path, folder: Path) -> None:
    tripped.write_bytes(tripped.read_bytes()[:-10])
    closed = close_run(tripped, folder / "again.h5")
    assert closed.verification.state == "altered"
    assert "it ends after 5 frames, and 6 had been written" in closed.untrusted


@pytest.fixture
def cut_off(folder: Path, home: Path) -> Path:
    """Journal of a run that was cut off: its begin, and what it had when an interlock tripped, are fixed."""
    journal, header = folder / "cut.journal", {**HEADER, "run_id": "r-2"}
    with JournalWriter(journal, header) as writer:
        begin(home, header, journal, writer.confirmed)
        writer.record(TRIP[0], 500.0, TRIP[1])
        writer.sync()
        fix(home, "r-2", writer.confirmed)
        writer.record("note", 600.0, {"person": "Ada", "text": "looks well"})
    return journal


def test_what_a_run_had_when_it_was_cut_off_is_recovered_once(cut_off: Path, folder: Path, home: Path) -> None:
    closed = close_run(cut_off, folder / "cut.h5")
    assert (closed.untrusted, standing(closed.run_file, home).state) == ("", "intact")
    made_anew(cut_off, as_it_was, {"kind": "status", "t": 2000.0, "fields": {"status": "completed"}})
    assert standing(close_run(cut_off, folder / "again.h5").run_file, home).state == "altered"


@pytest.mark.parametrize("journal", [without_trip, as_it_was])
def test_a_journal_that_was_altered_before_it_was_recovered_is_noticed(
    cut_off: Path, folder: Path, home: Path, journal: Callable[..., Any]
) -> None:
    made_anew(cut_off, journal)
    if journal is as_it_was:
        cut_off.write_bytes(cut_off.read_bytes()[:-200])  # the note, and the end of the interlock
    closed = close_run(cut_off, folder / "cut.h5")
    assert standing(closed.run_file, home).state == "altered"
    with Run.open(closed.run_file) as run:
        assert not run.records("interlock")
    assert check_trail(home).problems == []


def test_two_files_of_a_run_that_were_sealed_from_two_journals_are_told(
    tripped: Path, folder: Path, home: Path, said: Callable[..., int]
) -> None:
    made_anew(tripped, without_trip)
    seal(fold(tripped, folder / "again.h5"), bench_key(home))  # what no program here does, but who has the key may
    assert enrol(folder / "again.h5", home) == ""
    assert [problem.partition(": ")[2] for problem in check_trail(home).problems] == [
        "run 2 of station lab was sealed from two journals, see rows 3 and 4"
    ]
    again, first = (standing(folder / name, home) for name in ("again.h5", "trip.h5"))
    assert (again.state, again.problems) == (
        "altered",
        ("run 2 of station lab was registered before, and made from another journal",),
    )
    assert "again.h5 is made from another journal of this run" in first.notes[0]
    assert said("audit", "verify") == 1


def test_a_register_from_before_journals_were_fixed_counts_as_it_did(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("bench.trust.register._made_from", lambda run: {})
        path = measured_run(folder, name="old", people=False, run_id="r-2")
    assert "journal" not in rows_of(home, REGISTER)[0][-1]
    assert standing(path, home).intact
    assert standing(close_run(folder / "old.journal", folder / "again.h5").run_file, home).intact
    assert check_trail(home).problems == []


def test_a_long_run_is_fixed_soon_often_and_in_few_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, rows, trouble = VirtualClock(), list[float](), list[str]()
    monkeypatch.setattr(clock, "wall", clock.now, raising=False)

    def full(*_: object, **__: object) -> str:
        rows.append(clock.now())
        return "no room"

    monkeypatch.setattr("bench.trust.checkpoints.fix", full)
    with JournalWriter(tmp_path / "a.journal", HEADER) as writer:
        checkpoints = Checkpoints(tmp_path, "r", writer, clock, trouble.append)

        def main() -> None:
            for minute in range(30 * 24 * 60):
                clock.sleep_until(60.0 * minute)
                checkpoints.look()

        clock.run(main)
    assert rows[:3] == [600.0, 1200.0, 1800.0]
    assert max(after - before for before, after in pairwise(rows)) <= 6 * 3600.0
    assert 120 < len(rows) < 180
    assert trouble == ["no room"]
