"""The report of a run: shown as it would be written, written as it was shown, made anew after a signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.tamper import measured_run
from gui.presenters import run_report
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.file_reader import HereReader
from gui.presenters.review_open import OpenRun
from gui.presenters.run_report import RunReport
from gui.presenters.tone import Tone
from gui.views.review_report import ReportPanel


class Shown:
    """A view that does nothing."""

    def show_report(self) -> None:
        pass

    def show_news(self) -> None:
        pass


@pytest.fixture
def run(signed_bench: Path) -> OpenRun:
    background = Inline()
    context = Context(background, person="quinn", folder=signed_bench, state_folder=signed_bench / "home")
    return OpenRun(context, signed_bench / "run.h5", lambda path: HereReader(path, background))


@pytest.fixture
def report(run: OpenRun, monkeypatch: pytest.MonkeyPatch) -> RunReport:
    """Of a run that was verified; each report that is made says how many there were before."""
    made: list[Path] = []

    def make(path: Path, *_: object) -> bytes:
        made.append(path)
        return b"%%PDF %d" % len(made)

    monkeypatch.setattr(run_report, "report_made", make)
    report = RunReport(run.context, run)
    report.attach(Shown())
    work(run, verify=True)
    report.look()
    work(run)
    return report


def work(run: OpenRun, *, verify: bool = False) -> None:
    if verify:
        run.prove_seal(lambda: None)
    assert isinstance(run.context.background, Inline)
    run.context.background.run()


def test_what_is_written_is_what_was_shown_and_never_over_another_file(report):
    report.run.path.with_suffix(".pdf").write_bytes(b"mine")
    report.write()
    work(report.run)
    assert report.written == report.run.path.with_name("run-2.pdf")
    assert report.written.read_bytes() == report.pdf == b"%PDF 1"
    assert report.says == ("run-2.pdf is beside the run file", Tone.GOOD)
    assert not report.can_write


def test_a_report_is_made_anew_when_the_run_was_verified_again_and_only_then(report):
    report.look()
    work(report.run)
    assert report.pdf == b"%PDF 1"
    work(report.run, verify=True)
    report.look()
    work(report.run)
    assert report.pdf == b"%PDF 2"


def test_a_report_that_cannot_be_made_or_written_says_why(report, monkeypatch):
    def no_room(pdf: bytes, path: Path) -> Path:
        raise OSError("no space left on device")

    monkeypatch.setattr(run_report, "written", no_room)
    report.write()
    work(report.run)
    assert report.says == ("Not written: no space left on device", Tone.FAIL)
    assert report.can_write


def test_no_report_is_made_of_a_run_that_took_the_place_of_the_one_that_is_shown(report):
    path = report.run.path
    measured_run(path.parent, name="second", people=False, run_id="r-2").replace(path)
    path.with_suffix(".sig.json").unlink()
    work(report.run, verify=True)
    report.look()
    assert report.pdf is None
    assert report.says[0].startswith("No report: Another file was put there")
    assert not report.can_write


def test_the_pages_are_shown_where_somebody_looks(run: OpenRun, qtbot: Any):
    panel = ReportPanel(run.context)
    qtbot.addWidget(panel)
    panel.show_run(run)
    work(run, verify=True)
    assert panel.document.pageCount() == 0
    panel.show()
    work(run)
    assert panel.document.pageCount() > 1
    assert panel.page.text() == f"page 1 of {panel.document.pageCount()}"
    assert panel.write.isEnabled()


def test_what_can_be_done_stays_on_top_while_the_report_is_made(run, qtbot):
    panel = ReportPanel(run.context)
    qtbot.addWidget(panel)
    panel.resize(900, 600)
    panel.show()
    panel.show_run(run)
    qtbot.waitUntil(lambda: 0 < panel.write.y() < 60)
