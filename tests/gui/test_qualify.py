"""The qualify page: what it counts, says and starts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from bench.qualify.ledger import Ledger
from bench.qualify.plan import build_plan, code_identity
from gui.presenters import qualification
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.qualification import Asked, Qualification, SoFar, count
from gui.presenters.tone import Tone
from gui.views.qualify_page import QualifyPage, told

ROW = {
    "protocol": "flow-accuracy", "form": "short", "station": "sim", "settings": {}, "severity": 1.2, "unit": "1",
    "at_s": 0.0, "faults": [], "planned": 3, "trials": 3, "found_by": {}, "verdicts": {}, "told_s": 7200.0,
    "proved_at_least": 0.37, "proved_at_most": None, "runs": [], "surprises": [],
}  # fmt: skip
FOUND = ROW | {"fault": "over-delivery", "owner": "dut", "expected": "found", "checks": ["mean"], "as_claimed": 3}
MISSED = ROW | {
    "fault": "rig-leak", "owner": "rig", "protocol": "occlusion", "expected": "found", "checks": ["line-tight"],
    "as_claimed": 2, "surprises": [{"seed": 3, "why": "", "file": ""}],
}  # fmt: skip
SOUND = ROW | {
    "fault": "", "owner": "", "expected": "sound", "checks": [], "as_claimed": 3, "severity": None, "told_s": None,
    "proved_at_least": None, "proved_at_most": 0.63,
}  # fmt: skip


def document(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "rows": list(rows),
        "false_alarms": {"count": 0, "trials": 3, "at_most": 0.63},
        "pumps": [{"stratum": "inside", "wrong": 0, "pumps": 3}],
        "located": {"dut": {"right_cause_first": 3, "located": 3}},
        "unseen": [{"fault": "clock-skew", "why": "the pump's clock is not read"}],
    }


@pytest.fixture
def presenter(tmp_path: Path) -> Qualification:
    context = Context(Inline(), person="Ada", folder=tmp_path / "runs", state_folder=tmp_path / "state")
    return Qualification(context)


def inline(presenter: Qualification) -> Inline:
    """What the presenter has others do."""
    background = presenter.context.background
    assert isinstance(background, Inline)
    return background


@pytest.fixture
def page(presenter: Qualification, qtbot: Any) -> QualifyPage:
    page = QualifyPage(presenter)
    qtbot.addWidget(page)
    page.resize(1280, 680)
    page.show()
    return page


def counted(presenter: Qualification, *rows: dict[str, Any], done: int = 9) -> None:
    presenter._counted(SoFar(done, 9, 60.0, document(*rows), presenter.asked), presenter.asked)


def looked(presenter: Qualification) -> None:
    """Have it look at its folder, and not count yet."""
    background = inline(presenter)
    presenter.look()
    while presenter._is_looking:
        background.waiting.pop(0)()


def test_a_folder_without_trials_says_so(presenter: Qualification) -> None:
    looked(presenter)
    assert presenter.says == ("Nothing was run in this folder yet", Tone.MUTED)
    assert presenter.facts == []


def test_the_command_line_is_what_a_person_would_type(tmp_path: Path) -> None:
    words = Asked(tmp_path, ("sim", "sim-full"), True, ("occlusion",)).words()
    assert " ".join(words[3:]) == "--quick --station sim --station sim-full --protocol occlusion"


def test_trials_are_counted_as_the_command_counts_them(tmp_path: Path) -> None:
    asked = Asked(tmp_path, ("sim",), True, ("priming",))
    nothing = count(asked)
    assert nothing.done == 0
    assert nothing.total > 3
    assert all(row["trials"] == 0 for row in nothing.matrix["rows"])


def tried(asked: Asked, code: str = "") -> None:
    """A trial of the first row in the folder."""
    plan = build_plan(asked.stations, quick=asked.quick, protocols=asked.protocols)
    trial = {
        "row": plan.rows[0].key, "seed": 1, "verdict": "pass", "status": "completed", "as_claimed": True, "why": "",
        "found_by": [], "told_s": None, "kept": "", "wall_s": 2.0, "cpu_s": 2.0, "simulated_s": 3600.0,
    }  # fmt: skip
    with Ledger(asked.folder, plan.digest, code or code_identity()) as ledger:
        ledger.append(trial)


def test_the_form_that_was_tried_last_in_a_folder_is_counted_unless_a_person_chose(tmp_path: Path) -> None:
    quick = Asked(tmp_path, ("sim",), True, ("priming",))
    full = replace(quick, quick=False)
    tried(quick)
    tried(full)
    followed = count(quick, follow=True)
    assert (followed.asked, followed.done, followed.others) == (full, 1, 1)
    asked = count(quick)
    assert (asked.asked, asked.done, asked.others) == (quick, 1, 1)


def test_trials_of_another_selection_or_version_are_told_apart(tmp_path: Path) -> None:
    asked = Asked(tmp_path, ("sim",), True, ("priming",))
    tried(replace(asked, protocols=("rate-step",)))
    tried(asked, code="earlier")
    found = count(asked, follow=True)
    assert (found.asked, found.done, found.others, bool(found.strange)) == (asked, 0, 2, True)


def test_a_window_that_opens_on_a_full_matrix_shows_it(
    page: QualifyPage, presenter: Qualification, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = replace(presenter.asked, quick=False, stations=("sim-long", "sim-full"))
    asked: list[bool] = []

    def counting(what: Asked, follow: bool, strange: str) -> SoFar:
        asked.append(follow)
        return SoFar(3, 9, 60.0, document(SOUND), full if follow else what)

    monkeypatch.setattr(qualification, "count", counting)
    with Ledger(presenter.asked.folder, "plan", "code") as ledger:
        ledger.append({"row": "one", "seed": 1})
        presenter.context.background.tick()
    assert (presenter.asked, page.form.currentIndex()) == (full, 1)
    assert [name for name, box in page.stations.items() if box.isChecked()] == ["sim-long", "sim-full"]
    page.form.setCurrentIndex(0)
    presenter.context.background.tick()
    assert (presenter.asked.quick, asked) == (True, [True, False])


def test_a_full_matrix_that_another_process_goes_on_with_is_followed_after_a_person_chose_the_quick_one(
    tmp_path: Path,
) -> None:
    quick = Asked(tmp_path, ("sim",), True, ("priming",))
    full = replace(quick, quick=False)
    tried(quick)
    tried(full)
    chosen = count(quick)
    assert count(quick, follow=True, strange=chosen.strange).asked == full


def test_a_count_that_comes_after_a_start_does_not_change_what_was_started(
    page: QualifyPage, presenter: Qualification, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, full = presenter.asked, replace(presenter.asked, quick=False)
    monkeypatch.setattr(qualification, "count", lambda *_: SoFar(3, 9, 60.0, document(SOUND), full))
    monkeypatch.setattr(qualification, "_started", lambda asked: Process(None))
    with Ledger(presenter.asked.folder, "plan", "code") as ledger:
        ledger.append({"row": "one", "seed": 1})
    looked(presenter)
    page.start.click()
    inline(presenter).run()
    assert (presenter.asked, page.form.currentIndex()) == (quick, 0)


class Process:
    """One that was started, and its end."""

    pid = 4711

    def __init__(self, code: int | None) -> None:
        self.code = code

    def poll(self) -> int | None:
        return self.code


def test_the_end_of_a_process_is_seen_at_the_next_look_and_no_thread_waits_for_it(
    presenter: Qualification, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(None)
    monkeypatch.setattr(qualification, "_started", lambda asked: process)
    presenter.start()
    assert inline(presenter).waiting == []
    looked(presenter)
    assert presenter.running == 4711
    process.code = 0
    looked(presenter)
    assert presenter.running is None


def test_a_folder_that_cannot_be_written_and_a_process_that_is_gone_are_said_in_a_sentence(
    presenter: Qualification, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    presenter.context.notify = lambda text, tone: said.append(text)
    (tmp_path / "file").write_text("", "utf-8")
    presenter.asked = replace(presenter.asked, folder=tmp_path / "file" / "in it")
    presenter.start()
    assert said[0].endswith("choose a folder that can be written")
    presenter.running = 4711
    monkeypatch.setattr(qualification.os, "kill", lambda *_: os.stat(tmp_path / "not there"))
    presenter.stop()
    assert (len(said), presenter.says[0].startswith("Stopping")) == (2, False)


def test_trials_that_are_not_counted_yet_or_cannot_be_are_not_said_to_be_none(
    presenter: Qualification, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> SoFar:
        raise ValueError("the line is cut off")

    monkeypatch.setattr(qualification, "count", broken)
    with Ledger(presenter.asked.folder, "plan", "code") as ledger:
        ledger.append({"row": "one", "seed": 1})
    looked(presenter)
    assert presenter.says == ("Counting the trials…", Tone.BUSY)
    inline(presenter).run()
    assert presenter.says == ("The trials cannot be counted: the line is cut off", Tone.FAIL)
    monkeypatch.setattr(qualification, "count", lambda *_: SoFar(9, 9, None, document(SOUND), presenter.asked))
    presenter.shown()
    inline(presenter).run()
    assert presenter.says[1] is Tone.GOOD
    (presenter.asked.folder / "trials.jsonl").unlink()
    looked(presenter)
    assert (presenter.says[0], presenter.table.cells) == ("Nothing was run in this folder yet", ())


def test_no_trial_is_not_all_as_claimed_and_pumps_that_are_judged_wrongly_are_not_either(
    presenter: Qualification,
) -> None:
    presenter._begun = 4711
    presenter._counted(SoFar(0, 9, 60.0, document(), presenter.asked, others=4), presenter.asked)
    presenter.running = 4711
    assert presenter.says == ("0 of 9 trials, about 1 min left", Tone.BUSY)
    wrong = {"stratum": "inside", "wrong": 3, "pumps": 3, "holds": False}
    rest = {"stratum": "rest", "wrong": 0, "pumps": 0, "holds": True}
    presenter._counted(SoFar(9, 9, 0.0, document(SOUND) | {"pumps": [wrong, rest]}, presenter.asked), presenter.asked)
    assert presenter.says[0].endswith("Not as claimed: pumps around their limit")
    assert "Other pumps" not in dict(presenter.facts)


def test_a_folder_with_other_trials_alone_says_so(presenter: Qualification) -> None:
    presenter._counted(SoFar(0, 9, None, document(), presenter.asked, others=4), presenter.asked)
    assert presenter.says[0].startswith("4 trials are here, of another selection")


def test_one_miss_is_named_and_all_as_claimed_is_said_too(presenter: Qualification) -> None:
    counted(presenter, SOUND, FOUND)
    assert presenter.says == ("9 of 9 trials. All as claimed", Tone.GOOD)
    counted(presenter, SOUND, FOUND, MISSED)
    assert presenter.says == ("9 of 9 trials. Not as claimed: rig-leak", Tone.FAIL)
    counted(presenter, SOUND, FOUND, done=6)
    assert presenter.says[1] is Tone.WARN  # nothing runs, and some are left


def test_a_run_in_another_process_is_seen_and_can_be_stopped(
    presenter: Qualification, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(qualification.os, "kill", lambda pid, _: sent.append(pid))
    with Ledger(presenter.asked.folder, "plan", "code"):
        looked(presenter)
        assert presenter.running == os.getpid()
        presenter.stop()
        assert presenter.says[0].startswith("Stopping")
    assert sent == [os.getpid()]
    looked(presenter)
    assert presenter.running is None


def test_a_process_that_ends_in_an_error_is_told_with_its_last_line(presenter: Qualification) -> None:
    said: list[str] = []
    presenter.context.notify = lambda text, tone: said.append(text)
    presenter.asked.folder.mkdir(parents=True)
    (presenter.asked.folder / "qualify.log").write_text("note\npumpbench: no such station", "utf-8")
    presenter._ended(2)
    inline(presenter).run()
    assert said == ["The qualification ended with an error: pumpbench: no such station"]


def test_the_page_shows_the_picture_the_facts_and_the_cell_that_is_chosen(
    page: QualifyPage, presenter: Qualification
) -> None:
    counted(presenter, SOUND, FOUND, MISSED)
    assert "Not as claimed: rig-leak" in page.says.text()
    assert page.facts.rows.rowCount() == 3
    page.picture.choose("rig-leak", "occlusion")
    assert page.cell_title.text().startswith("rig-leak in occlusion")
    assert "Seed 3: nothing was said" in page.cell_says.text()
    page.picture.setFocus()
    QTest.keyClick(page.picture, Qt.Key.Key_Up)
    assert "rig-leak" not in page.cell_title.text()
    counted(presenter, SOUND | {"trials": 2}, FOUND | {"trials": 2}, MISSED)
    assert "3 of 2 trials" in page.cell_says.text(), "a new count is told of the chosen cell too"


def test_without_a_station_nothing_can_be_run_and_while_it_runs_nothing_can_be_changed(
    page: QualifyPage, presenter: Qualification
) -> None:
    for box in page.stations.values():
        box.setChecked(False)
    assert not page.start.isEnabled()
    page.stations["sim-long"].setChecked(True)
    assert page.start.isEnabled()
    inline(presenter).run()
    with Ledger(presenter.asked.folder, "plan", "code"):
        looked(presenter)
        assert not page.start.isEnabled()
        assert page.stop.isEnabled()
        assert not page.folder.isEnabled()


def test_a_row_is_told_with_what_it_proves() -> None:
    assert "That proves at least 37.0 %" in told(FOUND)
    assert "That proves at most 63.0 %" in told(SOUND)
    almost = told(FOUND | {"proved_at_least": 0.94996, "trials": 58})
    assert "That proves at least 94.9 %" in almost, "a bound that is rounded says no more than it proves"
