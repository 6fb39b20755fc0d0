"""The sign-off of a run as a person uses it: the checklist is answered, the passphrase is typed, the run is signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication, QLineEdit

from benchmarks.tamper import QA
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.file_reader import HereReader
from gui.presenters.review_open import OpenRun
from gui.theme.look import look
from gui.views.review_run import RunPanel
from gui.views.review_sign import SignView


@pytest.fixture
def view(qtbot: Any, signed_bench: Path) -> Iterator[SignView]:
    """The tab of a measured run, in front of a QA person."""
    look().apply("light", "desk")
    folder, background, path = signed_bench, Inline(), signed_bench / "run.h5"
    context = Context(background, person="quinn", folder=folder, state_folder=folder / "home")
    run = OpenRun(context, path, lambda path: HereReader(path, background))
    panel = RunPanel(context)
    qtbot.addWidget(panel)
    panel.resize(1290, 640)
    panel.attach(run)
    background.run()
    panel.show()
    panel.tabs.setCurrentWidget(panel.sign_off)
    run.prove_seal(lambda: None)
    background.run()
    yield panel.sign_off
    run.close()


def work(view: SignView) -> None:
    assert isinstance(view._context.background, Inline)
    view._context.background.run()


def filled_in(view: SignView, passphrase: str) -> SignView:
    for row in view.questions.values():
        row.choice.setCurrentIndex(1)
        row.note.setText("looked at")
    view.meaning.setCurrentText("approved")
    view.reason.setText("complete")
    view.passphrase.setText(passphrase)
    return view


def test_the_tab_shows_the_review_the_signatures_and_the_checklist(view: SignView) -> None:
    assert view.state.text() == "reviewed"
    assert [row.name for row in view.table.rows.rows] == ["Eve Engineer (engineer)"]
    assert view.answered.text() == f"0 of {len(view.questions)} answered"
    assert "overrides" in view.questions
    assert view.who.currentText() == "Quinn Example (QA)"


def test_a_run_is_signed_with_the_keyboard_and_nothing_that_was_typed_stays(view: SignView, qtbot: Any) -> None:
    filled_in(view, "")
    qtbot.keyClicks(view.passphrase, QA)
    assert view.passphrase.echoMode() is QLineEdit.EchoMode.Password
    assert QA not in view.passphrase.displayText()
    qtbot.keyClick(view.passphrase, Qt.Key.Key_Return)
    assert view.passphrase.text() == ""
    assert not view.sign.isEnabled()
    assert view.passphrase.isReadOnly()
    work(view)
    assert not view.passphrase.isReadOnly()
    assert view.says.text().startswith("Signed: approved by Quinn Example")
    assert view.state.text() == "approved"
    assert len(view.table.rows.rows) == 2
    assert view.answered.text().startswith("0 of ")
    assert (view.reason.text(), view.meaning.currentText()) == ("", "")
    assert {row.choice.currentText() for row in view.questions.values()} == {"–"}


def test_a_refusal_stands_beside_the_button_and_the_answers_stay(view: SignView) -> None:
    filled_in(view, "a wrong passphrase").sign.click()
    work(view)
    assert view.says.text() == "Not signed: Quinn Example: wrong passphrase, 4 attempts are left"
    assert view.passphrase.text() == ""
    assert view.answered.text() == f"{len(view.questions)} of {len(view.questions)} answered"


def test_a_passphrase_that_was_typed_does_not_stay_when_another_tab_is_looked_at(view: SignView) -> None:
    filled_in(view, QA).hide()
    assert view.passphrase.text() == ""
    assert view.reason.text() == "complete"


def test_the_remarks_stay_when_the_file_is_verified_again(view: SignView) -> None:
    view.questions["clocks"].note.setText("half typed")
    presenter = view._presenter
    assert presenter is not None
    presenter.run.prove_seal(lambda: None)
    work(view)
    assert view.questions["clocks"].note.text() == "half typed"


def test_who_may_not_approve_is_not_offered_it(view: SignView) -> None:
    view.who.setCurrentIndex(view.who.findData("eve"))
    offered = [view.meaning.itemText(at) for at in range(view.meaning.count())]
    assert offered == ["reviewed", "rejected", "addendum"]


def test_the_tab_key_goes_through_the_questions_and_then_to_the_signature(view: SignView, qtbot: Any) -> None:
    row = next(iter(view.questions.values()))
    row.choice.setFocus()
    seen = [row.choice]
    while seen[-1] is not view.sign and len(seen) < 40:
        seen[-1].focusNextChild()
        seen.append(QApplication.focusWidget())
    questions = [edit for one in view.questions.values() for edit in (one.choice, one.note)]
    assert seen == [*questions, view.who, view.meaning, view.reason, view.passphrase, view.sign]


def test_keys_begin_at_the_tabs_whenever_another_one_is_shown(view: SignView, qtbot: Any) -> None:
    panel = view.window()
    assert isinstance(panel, RunPanel)
    view.reason.setFocus()
    panel.tabs.setCurrentWidget(panel.record)
    panel.tabs.setCurrentWidget(view)
    assert QApplication.focusWidget() is panel.tabs.tabBar()
    qtbot.keyClick(panel.tabs.tabBar(), Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is view.table
