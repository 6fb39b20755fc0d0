"""A run that is recovered again has two files: each says so of the other, and neither is approved over the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.closing import close_run
from bench.trust.ledger import REGISTER, TrustError, rows_of
from bench.trust.seals import seals_by_run
from bench.trust.signing import Answer, checklist, sign
from bench.trust.standing import standing
from benchmarks.tamper import QA, measured_run


@pytest.fixture
def again(run: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run, recovered once more by other code."""
    with monkeypatch.context() as other:
        other.setattr("bench.closing.code_hash", lambda: "f" * 64)
        return close_run(folder / "run.journal", folder / "run_1.h5").run_file


def answers(run: Path, note: str) -> dict[str, Answer]:
    return {item.key: Answer(True, note) for item in checklist(run)}


def test_each_file_of_a_run_tells_the_verdict_the_review_and_the_code_of_the_other(
    run: Path, again: Path, home: Path
) -> None:
    sign(run, "quinn", QA, "rejected", "balance was not level")
    (of_again,), (of_run,) = standing(again, home).notes, standing(run, home).notes
    assert re.search(r"/run\.h5 is another seal of this run \(.{10}\): .*, rejected, code [0-9a-f]{12}$", of_again)
    assert re.search(r"/run_1\.h5 is another seal of this run \(.{10}\): .*, unreviewed, code f{12}$", of_run)
    assert standing(run, home).intact


def test_the_checklist_asks_about_each_file_of_a_run(run: Path, again: Path) -> None:
    sign(run, "quinn", QA, "rejected", "balance was not level")
    asked = next(item for item in checklist(again) if item.key == "attempts")
    assert asked.found == "look"
    assert re.fullmatch(
        r"run 1, run\.h5: .*, rejected, code .*; run 1, run_1\.h5: .*, unreviewed, code f.*", asked.text
    )


def test_a_rejected_run_is_approved_in_another_file_only_by_who_names_it(run: Path, again: Path, home: Path) -> None:
    sign(run, "quinn", QA, "rejected", "balance was not level")
    with pytest.raises(TrustError, match=r'run\.h5 is another seal of this run \(.*rejected.*: name "run\.h5" in the'):
        sign(again, "quinn", QA, "approved", "fine", answers(again, "run_1.h5 is fine"))
    assert standing(again, home).signatures == ()
    sign(again, "quinn", QA, "approved", "fine", answers(again, "run.h5 was rejected by mistake"))
    assert [row["meaning"] for row in standing(again, home).signatures] == ["approved"]


def test_a_file_that_says_another_thing_than_the_first_is_approved_only_by_who_names_that(
    run: Path, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other:
        other.setattr("data.run.Run.verdict", "fail")
        other.setattr("bench.closing.code_hash", lambda: "f" * 64)
        again = close_run(folder / "run.journal", folder / "run_1.h5").run_file
    with pytest.raises(TrustError, match=r"run_1\.h5 is another seal of this run \(fail, unreviewed"):
        sign(run, "quinn", QA, "approved", "fine", answers(run, "looked at"))
    assert again.name in standing(run, home).notes[0]


def test_a_run_that_has_one_file_is_asked_about_as_before(run: Path, folder: Path, home: Path) -> None:
    measured_run(folder, name="two", people=False, run_id="r-2")
    asked = next(item for item in checklist(run) if item.key == "attempts")
    verdicts = [one.verdict or "None" for (one,) in seals_by_run(rows_of(home, REGISTER)[0]).values()]
    assert asked.text == f"run 1: {verdicts[0]}; run 2: {verdicts[1]}"
    assert standing(run, home).notes == ()
