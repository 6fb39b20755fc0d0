"""The station page as a person uses it: text, contents, mistakes, comparison, protocols, rig checks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from bench.rig_chart import RigChart
from bench.rig_reference import RigReference
from data.checks import Origin, Verdict
from gui.presenters.background import Inline
from gui.presenters.context import Context
from gui.presenters.rig_checks import CheckRow, RigState
from gui.presenters.station_files import StationFile
from gui.theme.look import look
from gui.views.station_file import NODE
from gui.views.station_page import StationPage
from protocols.analysis.rig.chart import control_chart

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def page(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any) -> StationPage:
    """The page on a copy of the simulated station."""
    monkeypatch.chdir(tmp_path)
    look().apply("light", "desk")
    context.folder.mkdir()
    made = StationPage(context)
    qtbot.addWidget(made)
    made.resize(1280, 640)
    made.show()
    made.shown()
    run(made)
    made.file.copy_name.setText("mine")
    qtbot.mouseClick(made.file.copy_button, Qt.MouseButton.LeftButton)
    run(made)
    return made


def chosen(page: StationPage) -> StationFile:
    assert page.editor.chosen is not None
    return page.editor.chosen


def run(page: StationPage) -> None:
    background = page.editor.context.background
    assert isinstance(background, Inline)
    background.run()


def replaced(page: StationPage, old: str, new: str) -> None:
    """Something is typed, and the person pauses."""
    edit = page.file.text.edit
    assert old in edit.toPlainText()
    edit.setPlainText(edit.toPlainText().replace(old, new, 1))
    page.editor.check()
    run(page)


def line(page: StationPage) -> str:
    return page.file.text.edit.textCursor().block().text()


def test_a_shipped_station_is_only_read_and_its_copy_is_written_on(page: StationPage):
    assert not page.file.text.edit.isReadOnly()
    assert not page.file.copy.isVisible()
    page.files.setCurrentIndex(page.files.findData("sim"))
    page.files.activated.emit(page.files.currentIndex())
    run(page)
    assert page.file.text.edit.isReadOnly()
    assert page.file.copy.isVisible()


def test_a_key_that_is_pressed_is_checked_once_the_person_pauses(page: StationPage, qtbot: Any):
    page.file.text.edit.setFocus()
    QTest.keyClicks(page.file.text.edit, "x")
    assert page.editor.text.startswith("x")
    assert page.state.text() == "Checking…"
    page.file._pause.setInterval(1)
    page.file._pause.start()
    qtbot.waitUntil(lambda: not page.file._pause.isActive())
    run(page)
    assert page.state.text() == "1 mistake"


def test_a_mistake_is_marked_in_the_text_and_its_row_leads_there(page: StationPage):
    replaced(page, '[roles]\nreference_mass = "balance.mass"', '[roles]\nreference_mass = "balance.mss"')
    assert page.file.problems.isVisible()
    page.file.problems.selectRow(0)
    page.file.problems.activated.emit(page.file.problems.currentIndex())
    assert line(page) == 'reference_mass = "balance.mss"'
    assert page.file.text.edit.line in page.file.text.edit.wrong


def test_a_part_of_the_contents_leads_to_its_line(page: StationPage):
    contents = page.file.contents
    for at in range(contents.topLevelItemCount()):
        item = contents.topLevelItem(at)
        if item.data(0, NODE).name == "Interlocks":
            contents.setCurrentItem(item.child(0))
    assert line(page).startswith("[interlocks.")


def test_nothing_is_written_before_the_comparison_was_seen(page: StationPage, qtbot: Any):
    assert not page.save.isEnabled()
    replaced(page, 'title = "Simulated', 'title = "My')
    path = chosen(page).path
    before = path.read_text("utf-8")
    qtbot.mouseClick(page.save, Qt.MouseButton.LeftButton)
    run(page)
    said = page.file.comparison.lines.toPlainText()
    assert '+ title = "My' in said
    assert '- title = "Simulated' in said
    assert path.read_text("utf-8") == before
    qtbot.mouseClick(page.file.comparison.write, Qt.MouseButton.LeftButton)
    run(page)
    assert 'title = "My' in path.read_text("utf-8")
    assert not page.file.comparison.isVisible()


def test_a_refusal_stays_until_it_is_understood(page: StationPage, qtbot: Any):
    replaced(page, "[roles]", "[rolls]")
    qtbot.mouseClick(page.save, Qt.MouseButton.LeftButton)
    run(page)
    assert page.file.refusal.isVisible()
    assert page.file.refusal.label.text().startswith("Not saved, since the file is wrong")
    page.editor.go_on()
    assert not page.file.refusal.isVisible()


def test_what_was_typed_is_thrown_away_by_two_presses_and_not_by_one(page: StationPage, qtbot: Any):
    replaced(page, "[roles]", "[rolls]")
    qtbot.mouseClick(page.revert, Qt.MouseButton.LeftButton)
    assert page.editor.is_changed
    qtbot.mouseClick(page.revert, Qt.MouseButton.LeftButton)
    run(page)
    assert "[roles]" in page.file.text.edit.toPlainText()
    assert page.state.text() == "No mistakes"


def test_find_goes_round_the_text_and_counts(page: StationPage):
    page.file.text.finder.open()
    page.file.text.finder.wanted.setText("[interlocks")
    first = page.file.text.edit.line
    count = int(page.file.text.finder.count.text().split()[0])
    for _ in range(count):
        QTest.keyClick(page.file.text.finder.wanted, Qt.Key.Key_Return)
    assert page.file.text.edit.line == first
    QTest.keyClick(page.file.text.finder.wanted, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert page.file.text.edit.line > first
    QTest.keyClick(page.file.text.finder.wanted, Qt.Key.Key_Escape)
    assert not page.file.text.finder.isVisible()


def test_a_protocol_that_cannot_run_here_says_why_and_the_others_are_prepared(page: StationPage, qtbot: Any):
    asked: list[tuple[str, str]] = []
    page.editor.context.on_prepare(lambda wish: asked.append((wish.station, wish.protocol)))
    assert not page.protocols["valve-test"].isEnabled()
    assert "has no outlet" in page.protocols["valve-test"].toolTip()
    qtbot.mouseClick(page.protocols["read-out"], Qt.MouseButton.LeftButton)
    assert asked == [(chosen(page).name, "read-out")]


def test_another_look_keeps_the_text_its_marks_and_what_is_typed(page: StationPage):
    replaced(page, "[roles]", "[rolls]")
    text, wrong = page.file.text.edit.toPlainText(), dict(page.file.text.edit.wrong)
    look().apply("dark", "touch")
    assert (page.file.text.edit.toPlainText(), dict(page.file.text.edit.wrong)) == (text, wrong)
    assert page.editor.is_changed
    assert page.minimumSizeHint().width() <= 1280
    look().apply("light", "desk")


def test_a_rig_check_that_wanders_is_drawn_with_its_limits_and_its_signals(page: StationPage):
    values = (1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 9.0)
    begun = [NOW + timedelta(days=day) for day in range(len(values))]
    chart = RigChart(
        "flow-gain", "%", tuple(map(datetime.isoformat, begun)), tuple("abcdefgh"), values, control_chart(values)
    )
    rows = tuple(
        CheckRow(Path("r.h5"), at, at, Verdict.PASS, at + timedelta(days=1), 1, Origin.SIMULATED) for at in begun[::-1]
    )
    page.tabs.setCurrentWidget(page.checks)
    name = chosen(page).name
    page.rig._heard(name, {name: RigState("mine", True, RigReference(True, True), rows, (chart,))})
    assert len(page.checks.checks.rows.rows) == len(values)
    assert "beyond three standard deviations" in page.checks.remark.text()
    assert [len(item.getData()[0]) for item in page.checks.plot.canvas._items] == [8, 2, 1]
    low, high = page.checks.plot.canvas.hands.viewRange()[1]
    assert low < 0.5 < 9.0 < high
