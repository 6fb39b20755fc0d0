"""The list of runs: what is in the folder, in words and in order, whatever state its files are in."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data.journal import JournalWriter
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.review_list import ALL, BATCH, RunList, date_of, verdict_text, verdict_tone
from gui.presenters.review_read import CUT_OFF, DAMAGED, GOING_ON, JUST_WRITTEN, RUN, RunRow, read_rows
from gui.presenters.tone import Tone

RUNS = Path(__file__).parents[1] / "runs"
NAMES = ("flow-accuracy-3.h5", "occlusion-1.h5", "valve-test-1.h5")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three runs, one of them cut off in the middle, and what is no run."""
    made = tmp_path / "runs"
    made.mkdir()
    for name in NAMES:
        shutil.copyfile(RUNS / name, made / name)
    whole = (RUNS / NAMES[0]).read_bytes()
    (made / "cut.h5").write_bytes(whole[: len(whole) // 2])
    (made / "notes.txt").write_text("no run")
    return made


@pytest.fixture
def runs(folder: Path, tmp_path: Path) -> RunList:
    """The list of that folder, read."""
    made = RunList(Context(Inline(), folder=folder, state_folder=tmp_path / "home"))
    made.show()
    background(made).run()
    return made


@pytest.fixture
def cut_off_journal(tmp_path: Path) -> Path:
    """The journal of a run whose computer lost its power."""
    header = {"procedure": "flow-record", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00+00:00"}
    with JournalWriter(tmp_path / "cut.journal", header) as journal:
        journal.record("phase", 1.0, {"name": "record", "state": "begin"})
    return tmp_path / "cut.journal"


def background(runs: RunList) -> Inline:
    assert isinstance(runs.context.background, Inline)
    return runs.context.background


def names(runs: RunList) -> list[str]:
    return [row.path.name for row in runs.rows]


def test_every_run_of_the_folder_is_listed_with_what_its_file_says(runs: RunList) -> None:
    row = next(row for row in runs.rows if row.path.name == "occlusion-1.h5")
    assert (row.kind, row.procedure, row.dut, row.station) == (RUN, "occlusion", "SIM-20-A SIMULATED", "sim-full")
    assert (row.status, row.verdict, row.origin) == ("completed", "conditional-pass", "simulated")
    assert len(row.digest) == 64
    assert date_of(row).startswith("20")


def test_a_damaged_file_is_listed_with_one_sentence_that_says_what_to_do(runs: RunList) -> None:
    row = next(row for row in runs.rows if row.path.name == "cut.h5")
    assert row.kind == DAMAGED
    assert row.sentence == "is cut off; make it again from its journal with recover"
    assert (verdict_text(row), verdict_tone(row)) == ("damaged", Tone.FAIL)
    assert runs.says == ("4 runs, 1 cannot be read", Tone.WARN)


def test_the_list_is_sorted_by_what_is_asked_for_and_the_other_way_round_when_asked_again(runs: RunList) -> None:
    runs.sort("file")
    assert names(runs) == ["cut.h5", *NAMES]
    runs.sort("file")
    assert names(runs) == [*reversed(NAMES), "cut.h5"]
    runs.sort("verdict")
    assert [row.verdict for row in runs.rows] == ["", "conditional-pass", "pass", "pass"]


def test_the_list_is_narrowed_by_words_and_by_protocol_verdict_and_status(runs: RunList) -> None:
    runs.narrow(text="sim-full SIM-20")
    assert set(names(runs)) == {"occlusion-1.h5", "valve-test-1.h5"}
    runs.narrow(text="", verdict="pass")
    assert set(names(runs)) == {"flow-accuracy-3.h5", "valve-test-1.h5"}
    runs.narrow(protocol="valve-test")
    assert names(runs) == ["valve-test-1.h5"]
    assert runs.choices("verdict") == [ALL, "conditional-pass", "pass"]


def test_what_comes_goes_or_changes_in_the_folder_is_seen_at_the_next_look(runs: RunList, folder: Path) -> None:
    shutil.copyfile(folder / NAMES[0], folder / "cut.h5")
    (folder / NAMES[1]).unlink()
    background(runs).tick()
    assert {row.path.name: row.kind for row in runs.rows} == dict.fromkeys((NAMES[0], NAMES[2], "cut.h5"), RUN)


def test_nothing_is_read_twice_that_has_not_changed(runs: RunList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gui.presenters.review_list.read_rows", lambda paths: pytest.fail("read again"))
    background(runs).tick()
    assert len(runs.rows) == 4


def test_a_folder_that_is_none_is_said_in_one_sentence(runs: RunList, tmp_path: Path) -> None:
    runs.open_folder(str(tmp_path / "nowhere"))
    background(runs).run()
    assert runs.rows == []
    assert runs.says == (f"{tmp_path / 'nowhere'} is no folder; give one that holds run files", Tone.WARN)


def test_a_run_file_that_is_dropped_is_opened_and_its_folder_listed(runs: RunList, folder: Path) -> None:
    opened: list[Path] = []
    runs.context.on_open(opened.append)
    runs.open_folder(str(folder / NAMES[2]))
    background(runs).run()
    assert opened == [folder / NAMES[2]]
    assert runs.folder == folder


def test_a_file_that_ends_the_process_that_reads_it_is_damaged_and_the_others_are_read(
    folder: Path, tmp_path: Path
) -> None:
    class Crashing(Inline):
        def apart(
            self, work: Any, arguments: Any, then: Any, failed: Any = None, *, deadline_s: float = 120.0, late: str = ""
        ) -> Callable[[], None]:
            def worked(paths: Any) -> Any:
                if any(path.name == "cut.h5" for path in paths):
                    raise ValueError("ended without an answer; the file may be damaged")
                return read_rows(paths)

            super().apart(worked, arguments, then, failed)

    crashing = Crashing()
    made = RunList(Context(crashing, folder=folder, state_folder=tmp_path / "home"))
    made.show()
    crashing.run()
    assert {row.path.name: row.kind for row in made.rows} == {**dict.fromkeys(NAMES, RUN), "cut.h5": DAMAGED}


def test_a_journal_without_a_run_file_can_be_recovered_unless_it_is_still_written(
    runs: RunList, folder: Path, cut_off_journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(cut_off_journal, folder / "lost.journal")
    background(runs).tick()
    assert row_of(runs, "lost.journal").kind == JUST_WRITTEN  # and may be a copy of one that was cut off
    with (folder / "lost.journal").open("ab") as journal:
        journal.write(b"more")
    background(runs).tick()
    assert row_of(runs, "lost.journal").kind == GOING_ON
    shown: list[list[str]] = []
    look = SimpleNamespace(show_runs=lambda: shown.append([row.kind for row in runs.rows if row.path.stem == "lost"]))
    runs.attach(look)
    monkeypatch.setattr("gui.presenters.review_list.WRITTEN_S", 0.0)
    background(runs).tick()
    assert shown[-1] == [CUT_OFF]
    shutil.copyfile(cut_off_journal, folder / "lost.journal")
    background(runs).tick()
    row = row_of(runs, "lost.journal")
    assert (row.kind, row.procedure) == (CUT_OFF, "flow-record")
    runs.recover(row)
    assert row_of(runs, "lost.journal").sentence == "is being recovered…"
    background(runs).run()
    assert row_of(runs, "lost.h5").status == "incomplete"
    assert "lost.journal" not in names(runs)


def test_a_journal_whose_header_was_not_whole_yet_is_read_again_when_it_has_grown(
    runs: RunList, folder: Path, cut_off_journal: Path
) -> None:
    whole, journal = cut_off_journal.read_bytes(), folder / "new.journal"
    for data, kind in ((whole[:40], DAMAGED), (whole, GOING_ON)):
        journal.write_bytes(data)
        runs.look()
        background(runs).run()
        assert row_of(runs, "new.journal").kind == kind


def row_of(runs: RunList, name: str) -> RunRow:
    return next(row for row in runs.rows if row.path.name == name)


def test_the_folder_where_runs_are_written_is_followed_until_another_one_is_chosen(
    runs: RunList, tmp_path: Path
) -> None:
    runs.context.folder = tmp_path / "elsewhere"
    runs.context.folder.mkdir()
    background(runs).tick()
    assert runs.rows == []
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    shutil.copyfile(RUNS / NAMES[0], chosen / NAMES[0])
    runs.open_folder(str(chosen))
    background(runs).run()
    runs.context.folder = tmp_path
    background(runs).tick()
    assert {row.path.parent for row in runs.rows} == {chosen}


def test_what_the_list_is_narrowed_to_can_be_seen_though_there_is_none_of_it_any_more(
    runs: RunList, folder: Path
) -> None:
    runs.narrow(protocol="valve-test")
    (folder / "valve-test-1.h5").unlink()
    background(runs).tick()
    assert (runs.rows, runs.says[0]) == ([], "0 of 3 runs, 1 cannot be read")
    assert "valve-test" in runs.choices("protocol")


class Slow:
    """A view that takes a second to show the list."""

    def __init__(self) -> None:
        self.now = 0.0
        self.shown: list[int] = []

    def show_runs(self) -> None:
        self.now += 1.0
        self.shown.append(len(self.runs.rows))

    runs: RunList


def test_a_long_list_is_not_shown_anew_at_each_file_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10 * BATCH):
        (tmp_path / f"{number}.h5").touch()
    view = Slow()
    monkeypatch.setattr("gui.presenters.review_list.time.monotonic", lambda: view.now)
    monkeypatch.setattr("gui.presenters.review_list.read_rows", lambda paths: [RunRow(path, 1, RUN) for path in paths])
    view.runs = RunList(Context(Inline(), folder=tmp_path, state_folder=tmp_path / "home"))
    view.runs.attach(view)
    view.runs.show()
    background(view.runs).run()
    assert view.shown == [0, 0, BATCH, 10 * BATCH]
