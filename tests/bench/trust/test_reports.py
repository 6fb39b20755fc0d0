"""What a report and the catalogue say of signatures: only what keys, persons and the register prove."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.catalogue import index, note_run, opened
from bench.trust.standing import standing, vouched
from benchmarks.tamper import measured_run
from data.catalogue.entry import read_entry
from data.keys import SigningKey, digest_of
from data.report.typeset import gathered
from data.report.web import report_html
from data.seal import examine, read_seal, room_of
from data.signatures import write_rows
from gui.presenters.run_report import report_made
from gui.presenters.sign_off import signature_rows


@pytest.fixture
def forged(run: Path) -> Path:
    """A run with an approval in Quinn's name, signed with a key that somebody has just made."""
    last = examine(run).signatures[-1]
    row = {name: said for name, said in last.items() if name not in ("key", "signature")}
    row |= {"number": 2, "previous": digest_of(last), "user": "quinn", "name": "Quinn Example", "role": "QA"}
    row |= {"meaning": "approved", "reason": "all well"}
    write_rows(run, room_of(read_seal(run) or {}), [*examine(run).signatures, SigningKey.new().signed(row)])
    return run


def test_a_forged_approval_stands_as_not_proven_across_each_page_and_at_its_foot(forged: Path, home: Path) -> None:
    found = examine(forged)
    assert found.intact, "its own key fits, which proves nothing"
    report, _, data = gathered(forged, found, vouched(forged, home, found))
    assert report.banner.startswith("RECORD ALTERED: signature 2: the key is none of Quinn Example's")
    assert "NOT PROVEN: Quinn Example (approved" in report.footer[0]
    assert '"2": "the key is none of Quinn Example\'s"' in data
    page = report_html(forged, found=found, vouched=vouched(forged, home, found))
    assert "NOT PROVEN (approved)" in page
    assert "Signature 2, Quinn Example: NOT PROVEN: the key is none of Quinn Example&#x27;s" in page


def test_the_report_of_a_forged_approval_ends_as_that_of_an_altered_file(
    forged: Path, said: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert said("report", forged, "--html") == 1
    assert "is altered, which stands across each page" in capsys.readouterr().err
    assert "NOT PROVEN" in forged.with_suffix(".html").read_text("utf-8")


def test_a_proven_signature_is_printed_as_it_is(run: Path, home: Path, said: Callable[..., int]) -> None:
    found = examine(run)
    report, _, data = gathered(run, found, vouched(run, home, found))
    assert (report.banner, "signed: Eve" in report.footer[0]) == ("", True)
    assert "NOT PROVEN" not in str(report)
    assert "not checked" not in str(report)
    assert '"signatures_not_proven": {}' in data
    assert said("report", run, "--html") == 0


def test_where_there_is_no_list_of_keys_the_report_says_that_nobody_checked(
    run: Path, tmp_path: Path, said: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert vouched(run, tmp_path / "nothing", examine(run)) is None
    assert gathered(run, examine(run))[0].footer[0].endswith("signatures not checked")
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "nothing"))
    assert said("report", run, "--html") == 0
    assert "signatures not checked" in capsys.readouterr().err
    assert "signatures not checked" in run.with_suffix(".html").read_text("utf-8")


def test_a_signer_who_is_not_known_here_is_told_across_each_page(run: Path, home: Path) -> None:
    (home / "trust" / "users.json").write_text("{}")
    found = examine(run)
    report = gathered(run, found, vouched(run, home, found))[0]
    assert report.banner.startswith("SIGNATURES NOT PROVEN: signature 1: Eve Engineer is not known here")


def test_the_window_makes_the_same_report(forged: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}
    monkeypatch.setattr("data.report.typeset.report_pdf", lambda path, **said: given.update(said) or b"")
    report_made(forged, home, examine(forged), "")
    assert given["vouched"].state == "altered"
    assert [row.valid for row in signature_rows(standing(forged, home))] == [
        "not proven: the record is altered",
        "not proven: the key is none of Quinn Example's",
    ]


def test_the_catalogue_calls_a_forged_approval_unproven_however_it_is_taken_in(forged: Path, folder: Path) -> None:
    with opened(make=True) as catalogue:
        catalogue.add([read_entry(forged)])
        index(catalogue, [forged], again=True)
        assert [line.review for line in catalogue.runs()] == ["unproven"]
        catalogue.add([read_entry(forged)])
    note_run(forged)
    with opened() as catalogue:
        assert [line.review for line in catalogue.runs()] == ["unproven"]


def test_the_catalogue_takes_a_proven_review_and_an_unsigned_run_as_they_are(run: Path, folder: Path) -> None:
    measured_run(folder, name="second", people=False, run_id="r-2")
    with opened(make=True) as catalogue:
        index(catalogue, [run, folder / "second.h5"])
        assert sorted(line.review for line in catalogue.runs()) == ["reviewed", "unreviewed"]
