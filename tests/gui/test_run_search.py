"""Runs are found through the catalogue: by words and filters, page by page, and without one it says what to do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from data.catalogue.entry import Entry
from data.catalogue.store import Catalogue, url_of
from gui.presenters import run_search
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.review import ReviewPages, Shows
from gui.presenters.run_search import RunSearch, review_said, verdict_said
from gui.presenters.tone import Tone
from gui.views.run_search import RunSearchPanel

FLOW = Path(__file__).parents[1] / "runs" / "flow-accuracy-3.h5"


def entry(number: int, **said: Any) -> Entry:
    made = f"2026-01-01T{number // 60:02d}:{number % 60:02d}:00.000000+00:00"
    usual = {"procedure": "flow-accuracy", "station": "lab-1", "dut_serial": f"SN-{number}", "verdict": "pass"}
    return Entry(f"/runs/{number:04d}.h5", 1, 1, run_id=str(number), made=made, **{"kind": "run", **usual, **said})


class Shown:
    """A view that does nothing."""

    def show_found(self) -> None:
        pass

    def show_wanted(self) -> None:
        pass


@pytest.fixture
def search(context: Context, monkeypatch: pytest.MonkeyPatch) -> RunSearch:
    monkeypatch.setattr(run_search, "missed", dict)
    made = RunSearch(context)
    made.attach(Shown())
    return made


def inline(search: RunSearch) -> Inline:
    assert isinstance(search.context.background, Inline)
    return search.context.background


def holds(search: RunSearch, *entries: Entry) -> None:
    with Catalogue(url_of(str(search.context.state_folder / "catalogue.db")), "here", make=True) as there:
        there.add(entries)


def shown(search: RunSearch) -> list[str]:
    inline(search).run()
    return [line.dut_serial for line in search.lines]


def test_without_a_catalogue_nothing_is_found_and_it_is_said(search):
    search.show()
    assert shown(search) == []
    assert search.there is False
    assert search.says[0] == "No catalogue yet"


def test_words_and_filters_narrow_together_and_what_there_is_to_choose_stays(search):
    holds(search, entry(1), entry(2, verdict="fail", station="lab-2"), entry(3, verdict="fail"))
    search.show()
    assert shown(search) == ["SN-3", "SN-2", "SN-1"]
    search.narrow(verdict="fail", text="LAB-2 sn")
    assert shown(search) == ["SN-2"]
    assert search.says[0] == "1 of 3 runs"
    assert search.choices["station"] == ["lab-1", "lab-2"]
    search.clear()
    assert len(shown(search)) == 3


def test_a_long_list_is_read_page_by_page(search):
    holds(search, *map(entry, range(450)))
    search.show()
    assert len(shown(search)) == run_search.PAGE
    search.more()
    assert len(shown(search)) == 2 * run_search.PAGE
    assert search.says[0] == "450 runs"


def test_sorting_by_the_same_again_turns_the_order_round(search):
    holds(search, entry(1), entry(2))
    search.show()
    search.sort("dut_serial")
    assert shown(search) == ["SN-1", "SN-2"]
    search.sort("dut_serial")
    assert shown(search) == ["SN-2", "SN-1"]


def test_only_the_latest_of_several_questions_is_shown(search):
    holds(search, entry(1), entry(2))
    search.show()
    search.narrow(text="SN-1")
    search.narrow(text="SN-2")
    assert shown(search) == ["SN-2"]


def test_a_date_that_is_none_is_said_where_the_count_stands(search):
    holds(search, entry(1))
    search.show()
    search.narrow(since="yesterday")
    inline(search).run()
    assert "is no date; write one such as" in search.says[0]


def test_a_folder_is_added_and_the_catalogue_is_there_from_then_on(search, tmp_path):
    shutil.copy(FLOW, tmp_path / "run.h5")
    search.show()
    search.index(str(tmp_path))
    assert search.says[1] is Tone.BUSY
    assert shown(search) == ["SIMULATED"]
    opened: list[Path] = []
    search.context.on_open(opened.append)
    search.open(search.lines[0])
    inline(search).run()
    assert opened == [tmp_path / "run.h5"]


def test_a_run_of_another_computer_is_not_opened_and_it_says_where_it_is(search):
    holds(search, entry(1))
    said: list[str] = []
    search.context.notify = lambda text, tone: said.append(text)
    search.show()
    shown(search)
    search.open(search.lines[0])
    inline(search).run()
    assert "0001.h5 cannot be opened: /runs/0001.h5 is on computer here" in said[0]


def test_what_must_be_minded_has_a_tone(search):
    holds(search, entry(1, kind="damaged", verdict=""), entry(2, review="rejected"))
    search.show()
    shown(search)
    rejected, damaged = search.lines
    assert verdict_said(damaged) == ("damaged", Tone.FAIL)
    assert (verdict_said(rejected), review_said(rejected)) == (("pass", Tone.GOOD), ("rejected", Tone.FAIL))


def test_words_that_are_typed_find_a_run_and_enter_opens_it(search, qtbot):
    shutil.copy(FLOW, search.context.state_folder.parent / "run.h5")
    search.index(str(search.context.state_folder.parent))
    inline(search).run()
    pages = ReviewPages(search.context)
    assert pages.shows is Shows.SEARCH
    opened: list[Path] = []
    pages.search.context.on_open(opened.append)
    panel = RunSearchPanel(pages)
    qtbot.addWidget(panel)
    panel.resize(1200, 600)
    panel.show()
    pages.page_shown()
    QTest.keyClicks(panel.text, "simulated flow")
    qtbot.waitUntil(lambda: pages.search.wanted.text == "simulated flow")
    inline(search).run()
    QTest.keyClick(panel.text, Qt.Key.Key_Return)
    assert panel.open.isEnabled()
    panel.open.click()
    inline(search).run()
    assert opened == [search.context.state_folder.parent / "run.h5"]


def test_another_page_asks_for_runs_and_the_filters_show_what_was_asked(search: RunSearch, qtbot: Any):
    holds(search, entry(1, dut_lot="2231"), entry(2))
    pages = ReviewPages(search.context)
    panel = RunSearchPanel(pages)
    qtbot.addWidget(panel)
    panel.text.setText("of before")
    search.context.find(lot="2231")
    inline(search).run()
    assert pages.shows is Shows.SEARCH
    assert [line.dut_serial for line in pages.search.lines] == ["SN-1"]
    assert (panel.text.text(), panel.typed["lot"].text()) == ("", "2231")
