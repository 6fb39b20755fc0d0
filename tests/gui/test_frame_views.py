"""The parts that every view is made of, and work that is done elsewhere."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
from typing import Any

import pytest
from PyQt6.QtCore import QLocale, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from gui.app import heed_interrupts
from gui.presenters.context import Context
from gui.presenters.header_text import HeaderText
from gui.presenters.live import Live
from gui.presenters.shell import Shell
from gui.presenters.stopping import CLOSING, SAYS, SILENT_SINCE, StopState
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views.background import Apart, QtBackground
from gui.views.header import Header
from gui.views.parts import Notice, Page, Panel, Pill, SureButton, ToneLabel, button
from gui.views.screen_numbers import ScreenNumbers
from gui.views.table import MEASURED, Column, Table
from gui.views.window import PageEntry, Window
from tests.gui.apart_work import apart_again, dies, never, raises

COLUMNS = (
    Column[tuple[str, float]]("Name", lambda row: row[0], stretch=True),
    Column[tuple[str, float]]("Value", lambda row: f"{row[1]:g}", number=True),
    Column[tuple[str, float]]("State", lambda row: "high" if row[1] > 1 else "", lambda row: tone(row)),
)


def tone(row: tuple[str, float]) -> Tone:
    return Tone.WARN if row[1] > 1.0 else Tone.PLAIN


def test_rows_that_are_added_keep_what_is_chosen(qtbot: Any) -> None:
    look()
    table = Table("Rows", COLUMNS)
    qtbot.addWidget(table)
    table.show_rows([("a", 0.5), ("b", 2.0)])
    table.selectRow(1)
    table.show_rows([("a", 0.5), ("b", 2.0), ("c", 3.0)])
    assert table.current() == ("b", 2.0)
    with qtbot.waitSignal(table.chosen):
        QTest.keyClick(table, Qt.Key.Key_Down)
    assert table.current() == ("c", 3.0)
    table.show_rows([("a", 0.5)])
    assert table.rows.rowCount() == 1


def test_a_row_that_is_added_makes_its_column_wide_enough(qtbot: Any) -> None:
    table = Table[str]("States", (Column("State", lambda row: row), Column("Run", lambda row: "6", stretch=True)))
    qtbot.addWidget(table)
    table.resize(600, 200)
    table.show()
    for rows in (["runs"], ["runs", "waits, number 1 in the queue of the station"]):
        table.show_rows(rows)
        qtbot.waitUntil(lambda: table.columnWidth(0) >= table.sizeHintForColumn(0))


def test_what_is_pressed_twice_can_be_pressed_twice_by_its_letter(qtbot: Any) -> None:
    pressed: list[int] = []
    made = SureButton("With&draw", "Withdraw run 2: press again", lambda: pressed.append(2))
    qtbot.addWidget(made)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    for shown, done in ((made.sure, []), ("With&draw", [2]), (made.sure, [2]), ("With&draw", [2, 2])):
        with qtbot.waitSignal(made.clicked):
            qtbot.keyClick(made, Qt.Key.Key_D, Qt.KeyboardModifier.AltModifier)
        assert (made.text(), pressed) == (shown, done)
        qtbot.waitUntil(lambda: not made.isDown())


def test_a_list_of_thousands_is_measured_by_its_beginning(qtbot: Any) -> None:
    asked: list[int] = []
    table = Table("Runs", [Column[int]("Number", lambda row: asked.append(row) or str(row), stretch=False)])
    qtbot.addWidget(table)
    table.show()
    table.show_rows(range(5000))
    QApplication.processEvents()
    asked.clear()
    table.show_rows([-row for row in range(5000)])
    QApplication.processEvents()
    assert len(asked) < 2 * MEASURED


@pytest.mark.parametrize("width", [200, 400, 900])
def test_what_stretches_keeps_its_letters_and_the_table_scrolls_to_the_side(qtbot: Any, width: int) -> None:
    columns = (
        Column[str]("File", lambda row: row, stretch=True, least=20),
        Column[str]("Protocol", lambda row: "operational-qualification"),
    )
    table = Table[str]("Runs", columns)
    qtbot.addWidget(table)
    table.resize(width, 200)
    table.show()
    table.show_rows(["flow-accuracy_sim_SN-002_0001.h5"])
    least = 20 * table.fontMetrics().averageCharWidth()
    qtbot.waitUntil(lambda: table.columnWidth(0) >= least and table.columnWidth(1) >= table.sizeHintForColumn(1))
    table.resize(1200, 200)
    qtbot.waitUntil(lambda: table.columnWidth(0) > 600)


def test_a_cell_out_of_the_ordinary_has_fill_icon_and_word(qtbot: Any) -> None:
    table = Table("Rows", COLUMNS)
    qtbot.addWidget(table)
    table.show_rows([("a", 0.5), ("b", 2.0)])
    model = table.rows
    plain, high = model.index(0, 2), model.index(1, 2)
    assert model.data(high, Qt.ItemDataRole.DisplayRole) == "high"
    assert model.data(high, Qt.ItemDataRole.BackgroundRole) is not None
    assert model.data(plain, Qt.ItemDataRole.BackgroundRole) is None
    assert not model.data(high, Qt.ItemDataRole.DecorationRole).isNull()


def test_parts_tell_a_reader_what_they_show(qtbot: Any) -> None:
    pressed: list[bool] = []
    start = button("&Start", "play", lambda: pressed.append(True))
    parts = [ToneLabel("a leak", Tone.FAIL), Pill("held", Tone.FAIL), start]
    for part in [*parts, Panel("Instruments"), Notice("The disk is nearly full")]:
        qtbot.addWidget(part)
    assert [part.accessibleName() for part in parts] == ["a leak", "held", "Start"]
    QTest.mouseClick(start, Qt.MouseButton.LeftButton)
    assert pressed == [True]


def test_a_sentence_with_what_somebody_has_pasted_in_it_makes_nothing_wider(qtbot: Any) -> None:
    pasted = ToneLabel("x" * 10_000, Tone.FAIL)
    path = Notice(f"/home/{'a' * 200}/runs cannot be written")
    for part in (pasted, path):
        qtbot.addWidget(part)
        assert part.minimumSizeHint().width() < 300
    assert pasted.text() == pasted.accessibleName() == "x" * 10_000
    assert pasted.heightForWidth(600) < 2000


def test_numbers_follow_the_language_of_the_screen() -> None:
    german = ScreenNumbers(QLocale(QLocale.Language.German, QLocale.Country.Germany))
    assert german.number(-12345.678, 2) == "−12345,68"
    assert german.number(None, 2) == "–"


def test_work_in_another_process_comes_back_raises_or_is_ended() -> None:
    assert Apart().do(divmod, (7, 2), 100.0) == (3, 1)
    with pytest.raises(ValueError, match="the file is no run"):
        Apart().do(raises, (), 100.0)
    with pytest.raises(ValueError, match="ended without an answer"):
        Apart().do(dies, (), 100.0)
    with pytest.raises(ValueError, match="gave no answer within"):
        Apart().do(never, (), 0.2)


def test_work_in_another_process_may_start_processes_of_its_own() -> None:
    assert Apart().do(apart_again, (), 200.0) == (3, 1)


def test_results_come_back_to_qt_and_none_after_the_end(qtbot: Any) -> None:
    heard: list[Any] = []
    background = QtBackground(heard.append)
    background.aside(lambda: 1, heard.append)
    background.aside(lambda: int("x"), heard.append, lambda why: heard.append("failed"))
    background.aside(raises, heard.append)
    qtbot.waitUntil(lambda: len(heard) == 3)
    assert sorted(map(str, heard)) == ["1", "failed", "the file is no run"]
    background.close()
    background.post(lambda: heard.append("late"))
    qtbot.wait(50)
    assert len(heard) == 3


def test_what_is_said_of_a_stop_has_room_within_the_bar_and_a_margin(qtbot: Any) -> None:
    look().apply("light", "desk")
    header = Header("Ada")
    qtbot.addWidget(header)
    header.show()
    header.show_text(HeaderText("sim", run="0001", emergency_stop="Emergency stop: released"))
    said = [*list(SAYS.values())[1:], (SILENT_SINCE, Tone.FAIL), (CLOSING, Tone.BUSY)]
    said += [(f"{SAYS[StopState.ACCEPTED][0]}: 1 min 40 s so far", Tone.BUSY), ("STOP asks which run", Tone.MUTED)]
    for text, tone in said:
        header.show_stop(text, tone, can_stop=True)
        header.adjustSize()
        label = header.stop_says
        assert label.contentsRect().width() <= label.width() - 20
        assert label.heightForWidth(label.width()) <= label.height() <= 36


def test_what_a_window_starts_can_be_interrupted_though_a_script_started_it() -> None:
    asks = [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        heed_interrupts()
        assert subprocess.check_output(asks, text=True).strip() == "False"
    finally:
        signal.signal(signal.SIGINT, before)


def test_work_that_is_not_wanted_any_more_is_killed_and_not_heard_of(qtbot: Any) -> None:
    heard: list[Any] = []
    others = set(multiprocessing.active_children())
    background = QtBackground(heard.append)
    cancel = background.apart(never, (), heard.append)
    qtbot.waitUntil(lambda: bool(set(multiprocessing.active_children()) - others))
    cancel()
    background.apart(divmod, (7, 2), heard.append)
    qtbot.waitUntil(lambda: heard == [(3, 1)])
    qtbot.waitUntil(lambda: set(multiprocessing.active_children()) <= others)
    background.close()


def test_a_window_that_closes_leaves_no_process_behind(qtbot: Any) -> None:
    others = set(multiprocessing.active_children())
    background = QtBackground(lambda said: None)
    background.apart(never, (), lambda done: None)
    qtbot.waitUntil(lambda: bool(set(multiprocessing.active_children()) - others))
    background.close()
    qtbot.waitUntil(lambda: set(multiprocessing.active_children()) <= others)


def test_a_window_that_is_closed_with_something_unsaved_says_so_first(qtbot: Any, context: Context) -> None:
    class Typed(Page):
        unsaved: Any = ("lab-3",)

    page = Typed("Station")
    window = Window(Shell(context, Live(context)), [PageEntry("station", "Station", "station", page)])
    qtbot.addWidget(window)
    window.show()
    window.close()
    assert window.isVisible()
    assert window.notices[-1].label.text().startswith("Not saved: lab-3. Save it, or close")
    page.unsaved = ("lab-3", "lab-4")  # something else is
    window.close()
    assert window.isVisible()
    window.close()
    assert not window.isVisible()
