"""Campaigns in the window: the matrix, what comes next, every attempt, and the next run prepared."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from bench.campaign.plan import CampaignDut, Cell, cells, load_campaign, settled, write_campaign
from bench.campaign.report import Summary
from data.catalogue.entry import CheckEntry, Entry
from data.catalogue.store import Catalogue, url_of
from gui.presenters.background import Inline
from gui.presenters.campaign_rows import (
    _figures,
    attempt_rows,
    columns_of,
    figure_rows,
    is_whole,
    progress_said,
    pump_rows,
    short_name,
    unplanned_rows,
)
from gui.presenters.campaigns import Campaigns
from gui.presenters.context import Context, Wish
from gui.presenters.numbers import PlainNumbers
from gui.presenters.tone import Tone
from gui.views.campaign_page import CampaignPage

ASKED = {
    "title": "lot 2231", "protocol": "flow-accuracy", "station": "sim", "since": datetime(2026, 1, 1, tzinfo=UTC),
    "rates": ("0.5 mL/day", "1 mL/day"), "checks": ("mean-flow-error",), "settings": {"analysis": "25 h"},
    "approved_by": "Eve",
}  # fmt: skip
CHECK = CheckEntry("mean-flow-error", "Mean flow error", 0.0, 1.0, 2.0, -14.5, 14.5, "%", "pass", "dut", False)


@pytest.fixture
def plan(context: Context) -> Path:
    context.folder.mkdir()
    path = context.folder / "lot.toml"
    write_campaign(path, ASKED, [CampaignDut(model="sim-peristaltic", serial=serial) for serial in ("A", "B")])
    return path


@pytest.fixture
def campaigns(context: Context, plan: Path, monkeypatch: pytest.MonkeyPatch) -> Campaigns:
    monkeypatch.chdir(context.folder)
    made = Campaigns(context)
    made.shown(True)
    counted(made)
    return made


def counted(campaigns: Campaigns) -> None:
    background = campaigns.context.background
    assert isinstance(background, Inline)
    background.tick()


def ran(campaigns: Campaigns, day: int, cell: Cell, verdict: str = "pass", value: float = 0.0) -> None:
    assert campaigns.chosen is not None
    params = settled(load_campaign(campaigns.chosen.path), cell.rate)
    entry = Entry(
        f"/runs/{day}.h5", 1, 1, "run", run_id=f"run-{day}", procedure="flow-accuracy", origin="measured",
        dut_serial=cell.serial, verdict=verdict, made=f"2026-01-{day:02d}T10:00:00.000000+00:00", params=params,
        set_rate_ul_per_h=params["schedule"]["basal"]["rate_ul_per_h"], checks=(replace(CHECK, value=value),),
    )  # fmt: skip
    with Catalogue(url_of(str(campaigns.context.state_folder / "catalogue.db")), "here", make=True) as there:
        there.add([entry])
    counted(campaigns)


def order(campaigns: Campaigns) -> list[Cell]:
    assert campaigns.chosen is not None
    return cells(load_campaign(campaigns.chosen.path))


def texts(campaigns: Campaigns) -> dict[str, list[str]]:
    assert campaigns.counted is not None
    return {row.serial: [cell.text for cell in row.cells] for row in pump_rows(campaigns.counted.progress)}


def test_without_a_campaign_there_is_nothing_to_count(context, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Campaigns(context)
    made.shown(True)
    counted(made)
    assert (made.files, made.chosen, made.counted) == ((), None, None)


def test_the_matrix_has_each_pump_at_each_rate_and_the_next_run_stands_out(campaigns):
    first, second = order(campaigns)[:2]
    ran(campaigns, 2, first, "fail")
    assert columns_of(campaigns.counted.progress) == ASKED["rates"]
    assert texts(campaigns)[first.serial][ASKED["rates"].index(first.rate)] == "fail"
    assert texts(campaigns)[second.serial][ASKED["rates"].index(second.rate)] == "open, next"
    assert progress_said(campaigns.counted.progress) == ("1 of 4 runs have a verdict", Tone.PLAIN)


def test_the_next_run_is_prepared_with_all_that_the_plan_states(campaigns):
    wished: list[Wish] = []
    campaigns.context.on_prepare(wished.append)
    first = order(campaigns)[0]
    campaigns.prepare_next()
    settings = {"analysis": "25 h", "schedule": first.rate}
    assert wished == [Wish("sim", "flow-accuracy", settings, "sim-peristaltic", first.serial)]


def test_a_pump_in_quarantine_is_not_run_and_it_says_why(campaigns):
    serial = order(campaigns)[0].serial
    (campaigns.context.folder / "articles.toml").write_text(
        f'[[articles]]\nkind = "dut"\nid = "{serial}"\nmodel = "P"\n[[changes]]\nid = "{serial}"\n'
        'status = "quarantined"\nreason = "was dropped"\nperson = "Eve"\nat = 2026-01-01T00:00:00Z\n'
    )
    ran(campaigns, 2, replace(order(campaigns)[0], serial="Z"))
    assert not campaigns.can_prepare
    assert "Not now: quarantined by Eve: was dropped" in campaigns.next_says[0]


def test_a_retest_is_granted_with_a_reason_and_every_attempt_stays_listed(campaigns):
    cell = order(campaigns)[0]
    ran(campaigns, 2, cell, "fail")
    campaigns.choose_cell(cell.number)
    campaigns.grant(" ")
    assert campaigns.may_repeat
    campaigns.grant("air in the line")
    counted(campaigns)
    counted(campaigns)
    assert campaigns.course.state == "re-test"
    assert not campaigns.may_repeat
    (row,) = attempt_rows(campaigns.course)
    assert (row.verdict, row.counts, row.retest) == ("fail", "counts", "may be repeated: air in the line (Ada)")


def test_a_file_is_named_from_the_serial_number_on(campaigns):
    cell = order(campaigns)[0]
    ran(campaigns, 2, cell)
    run = campaigns.counted.progress.courses[0].attempts[0]
    long = replace(run, path=f"/runs/flow-accuracy_sim_{cell.serial}_0002.h5")
    assert [short_name(run), short_name(long)] == ["2.h5", f"{cell.serial}_0002.h5"]


def test_a_run_that_nobody_asked_for_is_shown_and_does_not_count(campaigns):
    cell = order(campaigns)[0]
    ran(campaigns, 2, cell)
    ran(campaigns, 3, cell)
    (row,) = unplanned_rows(campaigns.counted.progress)
    assert (row.file, row.why) == ("3.h5", "nobody had asked for it: a re-test needs a reason beforehand")


def test_a_limit_of_the_figures_is_written_as_it_was_declared() -> None:
    figures = Summary("mean-flow-error", "%", "1 mL/day", 1, (0.5,), 0.5, None, None, (-14.5, 100.125), ())
    assert _figures(figures, PlainNumbers(), Tone.MUTED).limits == "−14.5 to 100.125\u202f%"


def test_figures_are_of_pumps_and_say_where_an_interval_leaves_the_limits(campaigns):
    for day, cell in enumerate(order(campaigns), 2):
        ran(campaigns, day, cell, value=float(day))
    report, numbers = campaigns.counted.report, campaigns.context.numbers
    assert is_whole(campaigns.counted.progress)
    figures = figure_rows(report, numbers, is_final=True)
    assert [(row.rate, row.pumps, row.runs) for row in figures] == [(rate, "2", "2") for rate in ASKED["rates"]]
    assert {tone for row in figures for tone in row.tones} == {Tone.FAIL}
    assert {tone for row in figure_rows(report, numbers, is_final=False) for tone in row.tones} == {Tone.MUTED}
    assert campaigns.next_says == ("Every run is made", Tone.GOOD)


def test_the_report_is_written_beside_the_plan(campaigns):
    said: list[str] = []
    campaigns.context.notify = lambda text, tone: said.append(text)
    ran(campaigns, 2, order(campaigns)[0])
    campaigns.write_report()
    counted(campaigns)
    assert said[0].startswith("lot.pdf is beside the plan")
    assert campaigns.chosen.path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_a_plan_that_cannot_be_read_says_why(campaigns, plan):
    plan.write_text(plan.read_text().replace('"flow-accuracy"', '"flow-acuracy"'))
    campaigns.find()
    counted(campaigns)
    assert "flow-acuracy" in campaigns.sentence


def test_a_plan_that_somebody_corrects_or_spoils_is_read_again_while_it_is_shown(campaigns, plan):
    good = plan.read_text()
    plan.write_text(good.replace('"flow-accuracy"', '"flow-acuracy"'))
    counted(campaigns)
    assert "flow-acuracy" in campaigns.sentence
    campaigns.shown(True)  # somebody comes back, and sees that it is wrong
    counted(campaigns)
    assert campaigns.counted is None
    plan.write_text(good.replace('"lot 2231"', '"lot 2232, corrected"'))
    counted(campaigns)
    assert (campaigns.sentence, campaigns.chosen.title) == ("", "lot 2232, corrected")
    assert campaigns.counted is not None


def test_what_was_counted_of_one_campaign_is_not_shown_for_another_and_goes_with_its_file(campaigns, plan):
    other = plan.with_name("other.toml")
    write_campaign(other, ASKED, [CampaignDut(model="sim-peristaltic", serial="C")])
    campaigns.find()
    counted(campaigns)
    campaigns._seen = None
    campaigns.look()
    background = campaigns.context.background
    background.waiting.pop(0)()  # the first is to be counted
    campaigns.choose(other)
    background.run()
    assert {cell.serial for cell in order(campaigns)} == {"C"} == set(texts(campaigns))
    for path in (plan, other):
        path.unlink()
    campaigns.find()
    background.run()
    assert (campaigns.chosen, campaigns.counted, campaigns.can_prepare) == (None, None, False)


def test_what_could_not_be_counted_is_counted_again_when_somebody_comes_back(campaigns):
    counted(campaigns)  # the first one has made the catalogue
    campaigns._fail("database is locked")
    campaigns.shown(True)
    counted(campaigns)
    assert (campaigns.sentence, campaigns.counted is None) == ("", False)


def test_a_reason_and_a_first_press_are_of_one_run_of_the_plan(campaigns: Campaigns, qtbot: Any):
    page = CampaignPage(campaigns)
    qtbot.addWidget(page)
    first, second = order(campaigns)[:2]
    ran(campaigns, 2, first, "fail")
    ran(campaigns, 3, second, "fail")
    campaigns.choose_cell(first.number)
    page.reason.setText("air in the line")
    page.grant.click()
    campaigns.choose_cell(second.number)
    page.grant.click()
    counted(campaigns)
    assert (page.reason.text(), campaigns.course.state) == ("", "fail")


def test_a_reason_of_a_retest_that_could_not_be_written_is_not_lost(
    campaigns: Campaigns, qtbot: Any, monkeypatch: pytest.MonkeyPatch
):
    page = CampaignPage(campaigns)
    qtbot.addWidget(page)
    first = order(campaigns)[0]
    ran(campaigns, 2, first, "fail")
    campaigns.choose_cell(first.number)
    monkeypatch.setattr("gui.presenters.campaigns.grant", lambda *_: int("the share is not there"))
    page.reason.setText("air in the line")
    page.grant.click()
    page.grant.click()
    counted(campaigns)
    assert page.reason.text() == "air in the line"


def test_the_page_leads_from_a_cell_to_its_attempts_by_keys(campaigns: Campaigns, qtbot: Any):
    cell = order(campaigns)[0]
    page = CampaignPage(campaigns)
    qtbot.addWidget(page)
    page.resize(1200, 640)
    page.show()
    ran(campaigns, 2, cell)
    assert page.matrix is not None
    assert page.next.text().startswith("Run 2 of 4")
    page.matrix.setCurrentIndex(page.matrix.rows.index("AB".index(cell.serial), 1))
    if ASKED["rates"].index(cell.rate):
        QTest.keyClick(page.matrix, Qt.Key.Key_Right)
    assert page.cell.title.text() == f"Run 1: {cell.serial} at {cell.rate}"
    assert [row.file for row in page.attempts.rows.rows] == ["2.h5"]
    assert page.open.isEnabled()
    assert page.grant.isEnabled()
