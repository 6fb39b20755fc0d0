"""The lab's register in the window: articles and certificates, run numbers, what an instrument has touched."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.articles import change_status
from data.catalogue.entry import Entry, InstrumentEntry
from data.catalogue.store import Catalogue, url_of
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.register import Register
from gui.presenters.register_rows import certificate_rows, facts_of
from gui.presenters.tone import Tone
from gui.views.register_page import RegisterPage

ARTICLES = """
[[articles]]
kind = "dut"
id = "SN-1"
model = "SIM-20"

[[articles]]
kind = "fluid"
id = "W-1"
model = "water"
use_by = 2026-10-31

[[articles]]
kind = "instrument"
id = "B1"
model = "XPR205"
certificates = [
    { number = "C-1", channel = "mass", issued = 2025-01-02, due = 2026-01-02 },
    { number = "C-2", channel = "mass", issued = 2026-01-02, due = 2026-12-10, as_found = "beyond" },
]
"""
BALANCE = InstrumentEntry("balance", "mettler-mtsics", "M", "XPR", "B1", "1", "mass", "C-1", "", "reference_mass")


@pytest.fixture
def register(context: Context, monkeypatch: pytest.MonkeyPatch) -> Register:
    monkeypatch.setattr(Register, "today", date(2026, 11, 21))
    context.folder.mkdir()
    monkeypatch.chdir(context.folder)
    (context.folder / "articles.toml").write_text(ARTICLES)
    with Catalogue(url_of(str(context.state_folder / "catalogue.db")), "here", make=True) as there:
        there.add([
            Entry(f"/runs/{day}.h5", 1, 1, "run", run_id=str(day), dut_serial="SN-1", verdict="pass",
                  made=f"2025-0{day}-01T00:00:00.000000+00:00", instruments=(BALANCE,))
            for day in (1, 2)
        ])  # fmt: skip
    made = Register(context)
    looked(made)
    return made


def looked(register: Register) -> None:
    register.look()
    inline(register).run()


def inline(register: Register) -> Inline:
    assert isinstance(register.context.background, Inline)
    return register.context.background


def chosen(register: Register, name: str) -> None:
    register.choose(next(row for row in register.rows if row.id == name))


def test_what_is_quarantined_comes_before_what_may_be_used_and_what_is_retired_last(register):
    file = register.files[0].path
    file.write_text(
        file.read_text() + "".join(f'[[articles]]\nkind = "dut"\nid = "SN-{at}"\nmodel = "SIM-20"\n' for at in (2, 3))
    )
    for name, status in (("SN-1", "retired"), ("SN-3", "quarantined")):
        change_status(file, name, status, "dropped", "Eve", datetime(2026, 11, 20, tzinfo=UTC))
    looked(register)
    assert [row.id for row in register.rows] == ["W-1", "B1", "SN-3", "SN-2", "SN-1"]


def test_articles_that_must_be_minded_come_first_and_are_counted(register):
    assert [(row.id, row.status_tone, row.due_tone) for row in register.rows] == [
        ("W-1", Tone.WARN, Tone.FAIL), ("B1", Tone.WARN, Tone.WARN), ("SN-1", Tone.PLAIN, Tone.MUTED),
    ]  # fmt: skip
    assert register.says == ("3 articles, 1 past their date, 1 due within 30 days", Tone.FAIL)
    register.narrow("dut")
    assert [(row.id, row.runs, row.last_run) for row in register.rows] == [("SN-1", "2", "2025-02-01")]


def test_what_the_register_knows_of_a_pump_is_shown_and_what_it_does_not_is_left_out(register):
    file = register.context.folder / "articles.toml"
    more = 'lot = "2231"\nbattery = "2.9 V"\npunctures = 12\n'
    file.write_text(ARTICLES.replace('id = "SN-1"\n', f'id = "SN-1"\n{more}'))
    looked(register)
    told = {row.id: dict(facts_of(row)) for row in register.rows}
    pump = {"Model": "SIM-20", "Lot": "2231", "Battery": "2.9 V", "Punctures": "12", "Status": "in use"}
    assert told["SN-1"] == pump | {"Runs": "2, the last on 2025-02-01"}
    assert list(told["W-1"]) == ["Model", "Use by", "Status", "Runs"]


def test_a_certificate_that_was_replaced_is_not_due_any_more(register):
    chosen(register, "B1")
    rows = certificate_rows(register.chosen.standing.article, register.today)
    assert [(row.number, row.due, row.due_tone, row.as_found_tone) for row in rows] == [
        ("C-2", "2026-12-10", Tone.WARN, Tone.FAIL), ("C-1", "replaced", Tone.MUTED, Tone.MUTED),
    ]  # fmt: skip


def test_a_status_is_written_with_person_and_reason_and_the_rows_before_stay(register):
    chosen(register, "SN-1")
    assert "reason" in register.set_status("quarantined", " ")
    assert register.set_status("quarantined", "was dropped") == ""
    inline(register).run()
    assert register.chosen.status == "quarantined"
    (row,) = register.changes()
    assert (row.status, row.reason, row.person) == ("quarantined", "was dropped", "Ada")
    assert register.file.path.read_text().startswith(ARTICLES)


def test_an_instrument_found_beyond_tolerance_leads_to_what_it_touched_since_the_calibration_before(register):
    chosen(register, "B1")
    assert register.first_doubt() == ("B1", "2025-01-02")
    register.look_at_impact(*register.first_doubt())
    inline(register).run()
    assert [one.run.path for one in register.impact.touched] == ["/runs/2.h5"]
    assert register.impact_says == ("1 run relied on B1, 1 of them passed", Tone.WARN)


@pytest.mark.parametrize(
    ("serial", "since", "said"),
    [("", "", "Give the serial number"), ("B9", "", "there are B1"), ("B1", "C-9", '"C-9" is neither a date')],
)
def test_what_cannot_be_looked_for_is_said(register, serial, since, said):
    register.look_at_impact(serial, since)
    inline(register).run()
    assert said in register.impact_says[0]
    assert register.impact is None


def test_the_runs_of_an_article_are_found_through_the_catalogue(register):
    asked: list[Mapping[str, str]] = []
    register.context.on_find(asked.append)
    for name in ("SN-1", "W-1", "B1"):
        chosen(register, name)
        register.find_runs()
    assert asked == [{"dut": "SN-1"}, {"lot": "W-1"}, {"instrument": "B1"}]


def test_a_file_that_cannot_be_read_says_why_and_no_file_is_no_error(register):
    register.file.path.write_text(ARTICLES + "[[changes]]\n")
    looked(register)
    assert register.says[1] is Tone.FAIL
    register.file.path.unlink()
    looked(register)
    assert (register.files, register.rows) == ((), [])


def test_run_numbers_are_told_with_their_signatures_and_a_gap_is_said(signed_bench: Path, context: Context):
    context.state_folder = signed_bench / "home"
    register = Register(context)
    looked(register)
    (row,) = register.numbers.rows
    assert (row.number, row.procedure, row.state) == (1, "flow-record", "reviewed by Eve Engineer")
    assert register.numbers_say[1] is Tone.GOOD
    log = signed_bench / "home" / "trust" / "register.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[1:]))
    looked(register)
    assert register.numbers_say[1] is Tone.FAIL


def test_an_article_that_is_not_in_the_list_is_not_chosen(register):
    chosen(register, "B1")
    register.narrow("dut")
    assert register.chosen.id == "SN-1"


def test_a_status_takes_two_presses_at_the_same_article(register: Register, qtbot: Any):
    page = RegisterPage(register)
    qtbot.addWidget(page)
    chosen(register, "SN-1")
    page.articles.reason.setText("was dropped")
    page.articles.set.click()
    chosen(register, "B1")
    assert page.articles.reason.text() == ""
    page.articles.reason.setText("was dropped")
    page.articles.set.click()
    inline(register).run()
    assert register.file.changes == ()


def test_a_reason_that_could_not_be_written_is_not_lost_and_it_says_what_was_not_done(
    register: Register, qtbot: Any, monkeypatch: pytest.MonkeyPatch
):
    said: list[str] = []
    monkeypatch.setattr(register.context, "notify", lambda text, tone: said.append(text))
    page = RegisterPage(register)
    qtbot.addWidget(page)
    chosen(register, "SN-1")
    page.articles.status.setCurrentIndex(page.articles.status.findData("quarantined"))

    def press() -> None:
        page.articles.reason.setText("was dropped")
        page.articles.set.click()
        page.articles.set.click()
        inline(register).run()

    with monkeypatch.context() as patched:
        patched.setattr("gui.presenters.register.change_status", lambda *_: int("the share is not there"))
        press()
    assert page.articles.reason.text() == "was dropped"
    assert "The status of SN-1 was not written" in said[0]
    press()
    assert page.articles.reason.text() == ""


def test_the_page_leads_from_an_instrument_to_its_runs(register: Register, qtbot: Any):
    page = RegisterPage(register)
    qtbot.addWidget(page)
    page.resize(1280, 640)
    page.show()
    inline(register).run()
    page.articles.table.selectRow(1)
    assert page.articles.article.title.text() == "Instrument B1"
    assert [row.number for row in page.articles.certificates.rows.rows] == ["C-2", "C-1"]
    page.articles.touched.click()
    inline(register).run()
    assert page.tabs.currentWidget() is page.impact
    assert len(page.impact.table.rows.rows) == 1
