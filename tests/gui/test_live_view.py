"""The run page as it is seen and used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QLocale, Qt
from PyQt6.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QTableView, QWidget

from bench.answers import read_answer
from bench.rpc.messages import Answer, Ending, Note, Outcome, Pause, Reply, ResetInterlock
from data.checks import Check, Evaluation, Verdict
from gui.plots.time_plot import TimePlot
from gui.presenters.asking import Asking
from gui.presenters.context import Context
from gui.presenters.provisional import SoFar
from gui.theme.look import look
from gui.views.pacing import NowAndThen
from gui.views.run_checks import ChecksPanel
from gui.views.run_page import RunPage
from gui.views.screen_numbers import ScreenNumbers
from instruments.capabilities import Prompt

HEIGHT = Prompt("height", "", "How high is the outlet?", "number", "mm", 0.0, 100.0)
LABEL = Prompt("label", "", "Which label is it?", "text", choices=("red", "blue"))
LEVEL = Prompt("level", "", "Level the balance.", second_person=True)


@pytest.fixture
def page(watched: Any, context: Context, qtbot: Any) -> RunPage:
    made = RunPage(context, watched.live)
    qtbot.addWidget(made)
    made.resize(1280, 680)
    made.show()
    made.refresh()
    return made


def draw(page: RunPage) -> None:
    """Show everything as it is now, without the pauses that spare the computer."""
    for part in (page, page.instruments, page.course, page.events, page.controls, page.plots):
        part.refresh()


def test_a_run_that_is_watched_is_shown_and_a_new_one_can_be_prepared_meanwhile(page: RunPage) -> None:
    assert page.stack.currentIndex() == 1
    page.controls.other.click()
    page.refresh()
    assert (page.stack.currentIndex(), page.back.isVisible()) == (0, True)
    page.back.click()
    page.refresh()
    assert page.stack.currentIndex() == 1


def test_the_keys_act_on_what_comes_to_the_front(page: RunPage, qtbot: Any) -> None:
    page.activateWindow()
    qtbot.waitUntil(page.isActiveWindow)
    page.controls.other.setFocus()
    page.controls.other.click()
    page.refresh()
    qtbot.waitUntil(page.set_up.station.hasFocus)
    page.back.click()
    page.refresh()
    qtbot.waitUntil(page.course.steps.hasFocus)


def test_a_double_click_on_an_instrument_plots_its_channel(page: RunPage, watched: Any, qtbot: Any) -> None:
    watched.block("daq", [1.0, 2.0], 1.0, 37.0, 38.0)
    page.model.instruments.turn("daq")
    draw(page)
    rows = [row.trace for row in page.instruments.table.rows.rows]
    page.instruments.table.doubleClicked.emit(
        page.instruments.table.rows.index(rows.index("daq.reservoir_pressure"), 0)
    )
    assert [curve.label for curve in page.model.plots.plots[1].visible()] == ["outlet", "reservoir"]
    plot = page.plots.slots[1]
    assert isinstance(plot, TimePlot)
    qtbot.waitUntil(lambda: plot.describe() == "outlet: 1.00\u202fkPa; reservoir: 38.00\u202fkPa")


def test_an_instrument_unfolds_by_the_arrow_keys(page: RunPage, qtbot: Any) -> None:
    draw(page)
    before = len(page.instruments.table.rows.rows)
    at = [row.name for row in page.instruments.table.rows.rows].index("daq")
    page.instruments.table.selectRow(at)
    qtbot.keyClick(page.instruments.table, Qt.Key.Key_Right)
    assert len(page.instruments.table.rows.rows) == before + 3
    page.instruments.table.selectRow(at)
    qtbot.keyClick(page.instruments.table, Qt.Key.Key_Left)
    assert len(page.instruments.table.rows.rows) == before


def test_a_prompt_of_the_same_key_gets_a_card_of_its_own(page: RunPage, watched: Any) -> None:
    watched.says(prompts=(HEIGHT,), asked=1)
    page.refresh()
    page.attention.prompts["height"].field.setText("25")
    watched.says(prompts=(replace(HEIGHT, text="How high is it now?"),), asked=2)
    page.refresh()
    card = page.attention.prompts["height"]
    assert (card.text.text(), card.field.text()) == ("How high is it now?", "")


def test_a_prompt_is_answered_by_typing_and_enter(page: RunPage, watched: Any, qtbot: Any) -> None:
    watched.says(prompts=(HEIGHT,))
    page.refresh()
    card = page.attention.prompts["height"]
    qtbot.keyClicks(card.field, "250 mm")
    qtbot.keyClick(card.field, Qt.Key.Key_Return)
    page.refresh()
    assert card.refusal.isVisibleTo(card)
    assert "only 0 to 100 mm can be true" in card.refusal.text()
    card.field.clear()
    qtbot.keyClicks(card.field, "25 mm")
    qtbot.keyClick(card.field, Qt.Key.Key_Return)
    page.refresh()
    assert watched.link.done == [("Ada", Answer("height", "25 mm"), False)]
    assert page.attention.prompts == {}


def test_who_takes_the_control_over_answers_with_what_stands_there_then(
    page: RunPage, watched: Any, qtbot: Any
) -> None:
    watched.link.refusal = "Ben controls this run; ask them, or take it over"
    watched.says(prompts=(HEIGHT,))
    page.refresh()
    card = page.attention.prompts["height"]
    qtbot.keyClicks(card.field, "25 mm")
    qtbot.keyClick(card.field, Qt.Key.Key_Return)
    page.refresh()
    card.field.setText("52 mm")
    card.take_over.click()
    assert watched.link.done == [("Ada", Answer("height", "52 mm"), True)]


def test_what_persons_and_files_say_is_shown_as_it_is_and_not_as_markup(page: RunPage, watched: Any) -> None:
    asks = Prompt("label", "", "Is <b>p</b> < 5 kPa?", "text", choices=("P & Q", "no"))
    watched.says(prompts=(asks,))
    page.refresh()
    card = page.attention.prompts["label"]
    assert card.buttons[0].text() == "P && Q"
    shown = [one for one in card.findChildren(QLabel) if one.text()]
    assert {one.textFormat() for one in shown} == {Qt.TextFormat.PlainText}
    assert "Is <b>p</b> < 5 kPa?" in [one.text() for one in shown]


def test_a_choice_is_a_button(page: RunPage, watched: Any) -> None:
    watched.says(prompts=(LABEL,))
    page.refresh()
    red, _ = page.attention.prompts["label"].buttons
    red.click()
    assert watched.link.done == [("Ada", Answer("label", "red"), False)]


def test_a_confirmation_by_two_names_the_other(page: RunPage, watched: Any) -> None:
    watched.says(prompts=(LEVEL,))
    page.refresh()
    card = page.attention.prompts["level"]
    card.second.setText("Ben")
    card.buttons[0].click()
    assert watched.link.done == [("Ada", Answer("level", "done", "Ben"), False)]


def test_where_the_screen_writes_a_comma_the_hint_is_what_may_be_typed(watched: Any, context: Context) -> None:
    context.numbers = ScreenNumbers(QLocale(QLocale.Language.German))
    watched.says(prompts=(replace(HEIGHT, low=0.5, high=2.5),))
    hint = Asking(context, watched.live).cards()[0].hint
    assert hint == "0.5 to 2.5\u202fmm"
    assert read_answer(HEIGHT, hint.partition(" to ")[2]) == 2.5


def test_what_is_typed_stays_while_another_prompt_comes(page: RunPage, watched: Any) -> None:
    watched.says(prompts=(HEIGHT,))
    page.refresh()
    page.attention.prompts["height"].field.setText("12")
    watched.says(prompts=(HEIGHT, LABEL))
    page.refresh()
    assert page.attention.prompts["height"].field.text() == "12"
    assert set(page.attention.prompts) == {"height", "label"}


def test_a_latched_interlock_is_on_top_until_it_is_reset(page: RunPage, watched: Any) -> None:
    watched.says(latched=("outlet-pressure",), prompts=(HEIGHT,))
    page.refresh()
    card = page.attention.latched["outlet-pressure"]
    assert page.attention.column.indexOf(card) == 0
    card.reason.setText("kink removed")
    card.reset.click()
    assert watched.link.done == [("Ada", ResetInterlock("outlet-pressure", "kink removed"), False)]
    watched.says(latched=())
    page.refresh()
    assert page.attention.latched == {}


def test_of_two_latched_interlocks_each_tells_what_became_of_its_own_reset_alone(page: RunPage, watched: Any) -> None:
    watched.says(latched=("outlet-pressure", "bath"))
    watched.link.refusal = "the pressure is still beyond its limit"
    page.refresh()
    first, other = (page.attention.latched[name] for name in ("outlet-pressure", "bath"))
    first.reason.setText("kink removed")
    first.reset.click()
    page.refresh()
    assert (first.says.text(), other.says.text()) == (watched.link.refusal, "")
    page.model.controls.note("the lamp flickers")
    page.refresh()
    assert (first.says.text(), other.says.text()) == ("", "")


@pytest.mark.parametrize("reason", ["", "the bath was refilled"])
def test_the_answer_to_a_reset_stays_with_its_interlock_though_enter_is_pressed_at_another_meanwhile(
    page: RunPage, watched: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(watched.link, "do", lambda person, action, then, failed, **_: kept.append(failed))
    watched.says(latched=("outlet-pressure", "bath"))
    page.refresh()
    first, other = (page.attention.latched[name] for name in ("outlet-pressure", "bath"))
    first.reason.setText("kink removed")
    qtbot.keyClick(first.reason, Qt.Key.Key_Return)
    other.reason.setText(reason)
    qtbot.keyClick(other.reason, Qt.Key.Key_Return)
    (refuse,) = kept
    refuse("the pressure is still beyond its limit")
    page.refresh()
    assert (first.says.text(), other.says.text()) == ("the pressure is still beyond its limit", "")


def test_a_note_is_kept_by_enter_and_the_line_is_empty_again(page: RunPage, watched: Any, qtbot: Any) -> None:
    draw(page)
    page.events.entry.setText("the lamp flickers")
    qtbot.keyClick(page.events.entry, Qt.Key.Key_Return)
    assert watched.link.done == [("Ada", Note("the lamp flickers"), False)]
    assert page.events.entry.text() == ""


def test_a_note_that_was_refused_is_not_lost(page: RunPage, watched: Any, qtbot: Any) -> None:
    watched.link.refusal = "Ben controls this run; ask them, or take it over"
    draw(page)
    page.events.entry.setText("the lamp flickers")
    qtbot.keyClick(page.events.entry, Qt.Key.Key_Return)
    draw(page)
    assert page.events.entry.text() == "the lamp flickers"
    assert page.controls.take_over.isVisible()
    page.controls.take_over.click()
    assert watched.link.done == [("Ada", Note("the lamp flickers"), True)]


def test_who_takes_the_control_over_keeps_the_note_that_stands_there_then(
    page: RunPage, watched: Any, qtbot: Any
) -> None:
    watched.link.refusal = "Ben controls this run; ask them, or take it over"
    draw(page)
    qtbot.keyClicks(page.events.entry, "the lamp")
    qtbot.keyClick(page.events.entry, Qt.Key.Key_Return)
    qtbot.keyClicks(page.events.entry, " flickers")
    draw(page)
    assert not page.controls.take_over.isVisible()  # what was refused is not what stands there
    qtbot.keyClick(page.events.entry, Qt.Key.Key_Return)
    draw(page)
    page.controls.take_over.click()
    assert watched.link.done == [("Ada", Note("the lamp flickers"), True)]


def test_what_is_done_by_taking_the_control_over_is_told(page: RunPage, watched: Any) -> None:
    watched.link.refusal = "Ben controls this run; ask them, or take it over"
    draw(page)
    page.controls.pause.click()
    draw(page)
    assert page.controls.take_over.text() == "&Take over and pause"


def test_what_is_typed_while_a_note_is_on_its_way_is_not_lost(
    page: RunPage, watched: Any, qtbot: Any, monkeypatch: Any
) -> None:
    answers: list[Any] = []
    monkeypatch.setattr(watched.link, "do", lambda person, action, then, failed, **how: answers.append(then))
    draw(page)
    qtbot.keyClicks(page.events.entry, "the lamp flickers")
    qtbot.keyClick(page.events.entry, Qt.Key.Key_Return)
    page.events.entry.setText("now it is dark")
    answers[0](Reply(Outcome.ACCEPTED))
    assert page.events.entry.text() == "now it is dark"


def test_pause_becomes_resume(page: RunPage, watched: Any) -> None:
    draw(page)
    page.controls.pause.click()
    assert watched.link.done == [("Ada", Pause(), False)]
    watched.says(state="paused")
    draw(page)
    assert page.controls.pause.accessibleName() == "Resume"


@pytest.mark.parametrize(("number", "shown"), [(0, 3), (1, 1), (2, 1)])
def test_the_event_log_is_filtered_and_copied(page: RunPage, watched: Any, number: int, shown: int) -> None:
    watched.record("event", 1.0, level="info", text="usual")
    watched.record("event", 2.0, level="warning", text="odd")
    watched.record("note", 3.0, person="Ada", text="seen")
    page.events.filters.button(number).click()
    assert len(page.events.table.rows.rows) == shown
    page.events.table.copy()
    board = QApplication.clipboard()
    assert board is not None
    assert len(board.text().splitlines()) == shown


def test_the_newest_event_is_in_view_until_somebody_scrolls_away(page: RunPage, watched: Any, qtbot: Any) -> None:
    for t in range(100):
        watched.record("event", float(t), level="info", text=f"number {t}")
    draw(page)
    bar = page.events.table.verticalScrollBar()
    assert bar is not None
    qtbot.waitUntil(lambda: bar.value() == bar.maximum() > 0)
    page.events._follows = False
    bar.setValue(0)
    watched.record("event", 100.0, level="info", text="one more")
    draw(page)
    assert bar.value() == 0


def test_the_end_is_told_with_what_can_be_done_next(page: RunPage, watched: Any, context: Context) -> None:
    opened: list[Path] = []
    context.on_open(opened.append)
    watched.says(Ending("ended", "completed", "all steps done", verdict="pass", run_file="runs/a.h5"))
    draw(page)
    assert page.attention.end is not None
    assert (page.attention.end.status.text(), page.attention.end.verdict.text()) == ("completed", "verdict: pass")
    page.attention.end.review.click()
    assert [path.name for path in opened] == ["a.h5"]
    assert not page.controls.pause.isEnabled()


def test_another_run_is_shown_without_anything_of_the_one_before(page: RunPage, watched: Any, qtbot: Any) -> None:
    watched.says(prompts=(HEIGHT,))
    watched.block("balance", np.arange(50.0), 1.0)
    draw(page)
    link = watched.link
    watched.live._forget()
    watched.live.link, link.status = link, replace(link.status, prompts=())
    watched.live.tick()
    draw(page)
    assert page.attention.is_empty
    assert page.course.steps.rows.rows == []
    qtbot.waitUntil(lambda: page.plots.slots == [])


def test_every_field_and_table_has_a_name(page: RunPage, watched: Any) -> None:
    watched.says(prompts=(HEIGHT,), latched=("bath",))
    draw(page)
    shown = page.columns.findChildren((QLineEdit, QComboBox, QTableView))
    fields = [one for one in shown if one.isVisible() and not isinstance(one.parent(), QComboBox)]
    assert len(fields) >= 6
    assert [one for one in fields if not one.accessibleName()] == []


def test_what_is_wished_for_often_is_done_once_and_the_last_wish_is_kept(qtbot: Any) -> None:
    widget, done = QWidget(), []
    qtbot.addWidget(widget)
    pace = NowAndThen(widget, 20, lambda: done.append(1))
    pace.ask()
    assert done == []
    widget.show()
    qtbot.waitUntil(lambda: len(done) == 1)
    for _ in range(5):
        pace.ask()
    assert len(done) <= 2
    qtbot.waitUntil(lambda: len(done) == 2)


@pytest.fixture(params=["desk", "touch"])
def density(request: pytest.FixtureRequest) -> Iterator[None]:
    """The look of a desk, and of a panel for fingers."""
    look().apply("light", request.param)
    yield
    look().apply("light", "desk")


@pytest.mark.usefixtures("density")
@pytest.mark.parametrize("width", [360, 399, 700])
@pytest.mark.parametrize("is_final", [True, False])
def test_no_check_is_without_its_unit_or_its_limit_however_little_room_there_is(
    page: RunPage, qtbot: Any, width: int, is_final: bool
) -> None:
    said = [("Controller pressure", -0.0007793, None, 36.0), ("Pump temperature", 37.15, 0.5, 38.0)]
    checks = tuple(
        Check(name, name, value, "kPa", Verdict.CONDITIONAL_PASS, "dut", expanded_uncertainty=u, limit_high=limit)
        for name, value, u, limit in said
    )
    provisional = page.model.provisional
    provisional.so_far = SoFar(checks, (), 1.0, "", 0.0)
    provisional.final = Evaluation(checks) if is_final else None
    panel = ChecksPanel(provisional)
    qtbot.addWidget(panel)
    panel.resize(width, 300)
    panel.show()
    QApplication.processEvents()
    table = panel.table
    shown = [number for number in range(4) if not table.isColumnHidden(number)]
    assert (3 in shown) == is_final
    for at, row in enumerate(table.rows.rows):
        texts = {number: table.rows.columns[number].text(row).split("\n") for number in shown}
        lines = [line for text in texts.values() for line in text]
        assert row.value in "  ".join(lines)
        assert row.limits in "  ".join(lines)
        letters = table.fontMetrics()
        for number, text in texts.items():
            assert all(letters.horizontalAdvance(line) + 12 < table.columnWidth(number) for line in text), text
        assert table.rowHeight(at) > len(texts[0]) * letters.lineSpacing()
