"""Everything has room on a small panel, for fingers in gloves too: STOP is whole, and the focus is never on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from bench.rpc.messages import Answer
from gui.app import pages
from gui.presenters.context import Context
from gui.presenters.header_text import HeaderText
from gui.presenters.shell import Shell
from gui.presenters.stopping import SAYS, StopState
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.theme.tokens import DENSITIES, DensityName
from gui.views.header import Header
from gui.views.parts import Panel, muted
from gui.views.room import Elided, Pile, Squeezed
from gui.views.run_checks import ROOMY
from gui.views.run_page import RunPage
from gui.views.run_search import RunSearchPanel
from gui.views.table import Column, Table
from gui.views.window import Window
from instruments.capabilities import Prompt

PANEL = (1366, 690)
"""What a panel of 1366x768 leaves below a task bar and a title."""

LONGEST = HeaderText(
    "station-with-a-long-name",
    "stopped by interlock",
    Tone.FAIL,
    "0142",
    "operational-qualification",
    "IP-40 of the third lot / SN 004417-B",
    "106:41:18",
    "≤ 217:18:42",
    "simulated",
    "Emergency stop: its input cannot be read",
    Tone.WARN,
)
VIAL = Prompt("vial", "", "Scan the label of the vial.", "text")
HEIGHT = Prompt("height", "", "How high is the outlet?", "number", "mm", 0.0, 100.0)


@pytest.fixture(params=["desk", "touch"])
def density(request: pytest.FixtureRequest, qtbot: Any) -> Iterator[DensityName]:
    """Either density, and the usual one afterwards."""
    yield request.param
    look().apply("light", "desk")


@pytest.fixture
def window(watched: Any, context: Context, qtbot: Any, density: DensityName) -> Window:
    """The whole window, with a run that is watched."""
    shell = Shell(context, watched.live)
    shell.scheme, shell.density = "dark", density  # dressed once
    made = Window(shell, pages(context, watched.live))
    qtbot.addWidget(made)
    made.resize(*PANEL)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_stop_is_whole_whatever_the_bar_has_to_say(density: DensityName, qtbot: Any) -> None:
    look().apply("dark", density)
    header = Header("Somebody With A Long Name")
    qtbot.addWidget(header)
    header.show_text(LONGEST)
    header.show_stop(*SAYS[StopState.ACCEPTED], can_stop=True)
    header.resize(PANEL[0], header.sizeHint().height())
    header.show()
    assert header.width() == PANEL[0]
    assert header.stop.width() >= header.stop.sizeHint().width()
    assert header.stop.geometry().right() < PANEL[0]
    assert not header.fields["remaining"].isHidden()


def test_what_is_cut_in_the_bar_is_in_its_tool_tip(qtbot: Any) -> None:
    line = Elided("operational-qualification", least=40)
    qtbot.addWidget(line)
    assert line.minimumSizeHint().width() == 40 < line.sizeHint().width()
    assert line.toolTip() == "operational-qualification"


def test_no_page_makes_the_window_larger_than_a_small_panel(window: Window) -> None:
    for number in range(window.stack.count()):
        window.stack.setCurrentIndex(number)
        QApplication.processEvents()
        least, page = window.minimumSizeHint(), window.stack.currentWidget()
        assert page is not None
        assert least.width() <= PANEL[0] and least.height() <= PANEL[1], page.accessibleName()  # noqa: PT018  # one size
        assert page.minimumSizeHint().width() <= window._place.width(), page.accessibleName()  # nothing scrolls across
    corner = window.header.stop.mapTo(window, QPoint(window.header.stop.width(), 0))
    assert corner.x() <= window.width() == PANEL[0]


@pytest.mark.parametrize("density", ["touch"], indirect=True)
def test_words_are_found_in_a_field_that_has_room_for_them(window: Window, qtbot: Any) -> None:
    window.go("review")
    panel = window.findChild(RunSearchPanel)
    assert panel is not None
    for choice in panel.choices.values():
        choice.addItem("Protocol: operational-qualification")
    panel.text.setFocus()
    qtbot.waitUntil(lambda: panel.text.width() > 230)
    assert panel.width() <= window.width()


@pytest.mark.parametrize("density", ["touch"], indirect=True)
def test_fingers_in_gloves_have_something_to_scroll_by(window: Window, qtbot: Any) -> None:
    window.stack.setMinimumHeight(2000)
    bar = window._place.verticalScrollBar()
    assert bar is not None
    qtbot.waitUntil(lambda: bar.isVisible() and bar.width() == DENSITIES["touch"].scroll >= 24)


@pytest.mark.parametrize("density", ["desk"], indirect=True)
def test_whoever_answers_by_enter_is_at_the_next_question_and_never_at_stop(window: Window, watched: Any) -> None:
    window.go("run")
    page: Any = window.stack.currentWidget()
    watched.says(prompts=(VIAL,))
    page.refresh()
    for word in ("baclofen", "25 mm"):
        field = QApplication.focusWidget()
        assert field in [card.field for card in page.attention.prompts.values()]
        QTest.keyClicks(field, word)
        QTest.keyClick(field, Qt.Key.Key_Return)
        watched.says(prompts=(HEIGHT,) if word == "baclofen" else ())
        page.refresh()
    assert QApplication.focusWidget() is page.course.steps
    assert watched.link.done == [("Ada", Answer("vial", "baclofen"), False), ("Ada", Answer("height", "25 mm"), False)]
    QTest.keyClick(window, Qt.Key.Key_Space)
    assert window.header.stop_says.text() == ""


@pytest.mark.parametrize("density", ["desk"], indirect=True)
def test_a_new_look_is_given_to_what_is_in_sight_and_to_the_rest_when_it_comes(window: Window) -> None:
    window.go("run")
    page = window.stack.currentWidget()
    assert isinstance(page, RunPage)
    page.refresh()
    form, run = page.parts
    before = run.styleSheet()
    look().apply("light", "touch")
    assert run.styleSheet() != before == form.styleSheet()
    page.stack.setCurrentWidget(form)
    assert form.styleSheet() == run.styleSheet()


@pytest.mark.parametrize("density", ["desk"], indirect=True)
def test_news_makes_room_before_a_warning_does_and_nothing_is_told_twice(window: Window) -> None:
    window.notify("The disk is full", Tone.FAIL)
    for number in range(4):
        window.notify(f"Report {number}", Tone.GOOD)
    window.notify("Report 3", Tone.GOOD)
    assert [one.label.text() for one in window.notices] == ["The disk is full", "Report 2", "Report 3"]
    for number in range(3):
        window.notify(f"The balance was silent {number}", Tone.WARN)
    assert [one.label.text()[-8:] for one in window.notices] == [" is full", "silent 1", "silent 2"]


@pytest.mark.parametrize("density", ["desk"], indirect=True)
def test_news_stays_while_the_person_is_at_another_window(
    window: Window, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    is_here: list[bool] = []
    monkeypatch.setattr("gui.views.window.NEWS_MS", 20)
    monkeypatch.setattr(window, "isActiveWindow", lambda: bool(is_here))
    window.notify("Report written", Tone.GOOD)
    qtbot.wait(100)
    assert len(window.notices) == 1
    is_here.append(True)
    qtbot.waitUntil(lambda: window.notices == [])


@pytest.mark.parametrize("density", ["desk"], indirect=True)
def test_the_tab_key_does_not_lead_to_stop(window: Window) -> None:
    assert window.header.stop.isEnabled()
    window.go("review")
    seen = set()
    for _ in range(60):
        QTest.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Tab)
        seen.add(QApplication.focusWidget())
    assert len(seen) > 8
    assert window.header.stop not in seen


@pytest.mark.parametrize("density", ["desk"], indirect=True)
def test_a_check_keeps_its_value_beside_its_verdict_on_a_small_panel(window: Window, qtbot: Any) -> None:
    window.go("run")
    page = window.stack.currentWidget()
    assert isinstance(page, RunPage)
    page.refresh()
    qtbot.waitUntil(lambda: page.checks.width() >= ROOMY)
    assert page.plots.width() > page.checks.width()


@pytest.mark.parametrize("height", [200, 700])
def test_words_below_a_table_are_whole_where_there_is_little_height(
    height: int, density: DensityName, qtbot: Any
) -> None:
    look().apply("light", density)
    panel, other = Panel("Checks"), Panel("Event log")
    table, words = Table[str]("Checks", (Column("Check", str, stretch=True),)), muted("many words " * 30, wrap=True)
    for one in (table, words):
        panel.body.addWidget(one)
    table.least(2)
    place = Squeezed(Pile((panel, 1), (other, 1)), across=False)
    qtbot.addWidget(place)
    place.resize(300, height)
    place.show()
    qtbot.waitUntil(lambda: words.height() >= words.heightForWidth(words.width()))
    assert table.geometry().bottom() < words.geometry().top()
    assert table.height() >= table.minimumHeight()
