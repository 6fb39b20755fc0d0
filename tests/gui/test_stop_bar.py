"""The small window with STOP alone: it comes whatever hangs, says what is known, and drops no stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QPushButton

from bench.rpc.messages import Ending
from bench.run_queue import Entry, RunState
from gui.presenters import known_runs
from gui.presenters.context import Context
from gui.presenters.stopping import CLOSING, SAYS, SILENT_SINCE, Stopping, StopState
from gui.presenters.tone import Tone
from gui.theme.look import look
from gui.views import hang_guard, stop_bar
from gui.views.hang_guard import HangGuard
from gui.views.stop_bar import TITLES, Listener, StopBar, Why
from instruments.clock import WallClock

WALL = WallClock()
Begun = Callable[..., Entry]
Opened = Callable[..., StopBar]


@pytest.fixture
def opened(context: Context, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens the STOP window of the context's state folder; it looks often."""

    monkeypatch.setattr(stop_bar, "LOOK_S", 0.05)

    def bar_of(why: Why = Why.HANGS, press: Sequence[int] = ()) -> StopBar:
        bar = StopBar(context.state_folder, "Ada", why, press)
        qtbot.addWidget(bar)
        bar.show()
        return bar

    return bar_of


def fails(entry: Entry) -> RunState:
    raise OSError("the disk is gone")


def test_a_window_that_hangs_without_a_run_asks_whether_any_goes_on_and_opens_where_nobody_can_tell(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hang_guard, "HANGS_S", 0.3)
    asked: list[Why] = []

    def opens(why: Why) -> Any:
        asked.append(why)
        raise OSError("no more processes")

    guard = HangGuard(lambda: bool(int("x")), opens)
    by = WALL.now() + 60.0
    while not asked and WALL.now() < by:  # meanwhile Qt's thread does nothing else
        WALL.sleep(0.02)
    guard.close()
    assert asked[0] is Why.HANGS


def test_a_stop_window_stops_at_once_what_it_was_handed(begun: Begun, opened: Opened, runner: Any, qtbot: Any) -> None:
    first, other = begun("sim"), begun("sim-full")
    bar = opened(Why.CLOSED, [other.number])
    qtbot.waitUntil(lambda: bool(runner.stopped) and len(bar._rows) == 2)
    states = {number: row.stopping.state for number, row in bar._rows.items()}
    assert states[first.number] is StopState.IDLE
    assert states[other.number] is not StopState.IDLE


def test_the_button_of_a_run_that_has_ended_goes_and_no_other_comes_to_its_place(
    begun: Begun, opened: Opened, runner: Any, qtbot: Any
) -> None:
    first, other = begun("sim"), begun("sim-full")
    bar = opened()
    qtbot.waitUntil(lambda: bar.runs == [first.number, other.number])
    buttons = bar.findChildren(QPushButton, "stop")
    first.tell(RunState("ended", ending=Ending("ended", "completed")))
    qtbot.waitUntil(lambda: bar.runs == [other.number])
    qtbot.waitUntil(lambda: not buttons[0].isVisible())
    assert buttons[1].isVisible()


@pytest.mark.parametrize("density", ["desk", "touch"])
def test_no_button_moves_by_whatever_is_said_beside_another(
    begun: Begun, opened: Opened, runner: Any, qtbot: Any, density: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    look().apply("light", density)
    for station in ("sim", "sim-full", "sim-long"):
        begun(station)
    bar = opened()
    qtbot.waitUntil(lambda: bar.runs == [1, 2, 3])

    def places() -> list[QPoint]:
        return [button.mapToGlobal(button.rect().topLeft()) for button in bar.findChildren(QPushButton, "stop")]

    qtbot.waitUntil(lambda: len({place.y() for place in places()}) == 3)
    qtbot.wait(50)
    before = places()
    label = bar._rows[1].label
    for text, tone in [*SAYS.values(), (SILENT_SINCE, Tone.FAIL), (CLOSING, Tone.BUSY)]:
        monkeypatch.setattr(Stopping, "says", property(lambda _, said=(text, tone): said))
        bar._rows[1].ending = Ending("ended", "completed") if text == SAYS[StopState.DEAD][0] else None
        bar.look()
        qtbot.wait(20)
        assert label.heightForWidth(label.width()) <= label.height(), text
        assert places() == before
    assert all(button.width() >= button.sizeHint().width() for button in bar.findChildren(QPushButton, "stop"))
    look().apply("light", "desk")


def test_a_stop_window_says_what_the_main_one_does_and_goes_when_it_is_of_no_use(
    begun: Begun, opened: Opened, runner: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun()
    bar = opened()
    assert bar.panel.title.text() == TITLES[Why.HANGS]
    bar.tell(Why.BACK)
    assert bar.panel.title.text() == "The main window answers again"
    monkeypatch.setattr(stop_bar, "LINGER_S", 0.06)
    qtbot.waitUntil(lambda: not bar.isVisible())


def test_a_stop_window_that_has_done_what_it_was_handed_goes_and_one_whose_run_has_died_stays(
    begun: Begun, opened: Opened, runner: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_bar, "LINGER_S", 0.06)
    begun("sim")
    other = begun("sim-full")
    bar = opened(Why.CLOSED, [other.number])
    qtbot.waitUntil(lambda: bool(runner.stopped))
    qtbot.wait(250)
    assert bar.isVisible(), "the run has not ended"
    other.tell(RunState("ended", ending=Ending("died")))
    qtbot.waitUntil(lambda: bar._rows[other.number].ending is not None)
    qtbot.wait(250)
    assert bar.isVisible(), "a person has to see that the bench is safe"
    assert "dead" in bar._rows[other.number].label.text()
    bar._rows[other.number].ending = Ending("ended", "aborted")
    qtbot.waitUntil(lambda: not bar.isVisible())


def test_a_stop_window_in_which_a_stop_has_no_answer_outlives_the_main_one(
    begun: Begun, opened: Opened, runner: Any, qtbot: Any
) -> None:
    runner.answers = False
    begun()
    bar = opened()
    qtbot.waitUntil(lambda: bar.runs == [1])
    QTest.mousePress(bar.findChild(QPushButton, "stop"), Qt.MouseButton.LeftButton)
    bar.tell(Why.CLOSED)
    assert bar.isVisible()
    assert bar.panel.title.text() == "The main window is closed. STOP of run 0001 is still being sent"
    runner.answers = True
    qtbot.waitUntil(lambda: not bar.pending)
    bar.tell(Why.CLOSED)
    assert not bar.isVisible()
    assert bar.panel.title.text() == "The main window is closed"


def test_a_stop_that_was_handed_over_is_told_of_though_its_runner_died_before_the_first_look(
    begun: Begun, opened: Opened, runner: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_bar, "LINGER_S", 0.06)
    runner.answers = False
    begun().tell(RunState("running", ending=Ending("died")))
    bar = opened(Why.CLOSED, [1])
    qtbot.waitUntil(lambda: bool(bar._rows) and "dead" in bar._rows[1].label.text())
    qtbot.wait(500)
    assert bar.isVisible(), "a person has to see that the bench is safe"


def test_a_stop_that_was_handed_over_is_asked_for_though_nothing_can_be_read_of_its_run_yet(
    begun: Begun, opened: Opened, runner: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun()
    monkeypatch.setattr(stop_bar, "LINGER_S", 0.06)
    with monkeypatch.context() as broken:
        broken.setattr(Entry, "state", fails)
        bar = opened(Why.CLOSED, [1])
        qtbot.waitUntil(lambda: bool(bar._rows) and bar._rows[1].stopping.state is StopState.NO_ANSWER)
        qtbot.wait(250)
        assert bar.isVisible()
        assert bar.sentence.text().startswith("Which other runs go on cannot be read")
    qtbot.waitUntil(lambda: bool(runner.stopped))


def out_of_reach(path: Any = ".") -> Any:
    raise OSError(5, "the share is gone")


def never_comes(path: Any = ".") -> Any:
    WALL.wait(WALL.event())
    raise AssertionError


@pytest.mark.parametrize("scandir", [out_of_reach, never_comes])
def test_a_stop_window_comes_and_stays_and_says_what_it_cannot_do_while_the_state_folder_is_out_of_reach(
    begun: Begun, opened: Opened, runner: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch, scandir: Any
) -> None:
    begun()
    monkeypatch.setattr(stop_bar, "LINGER_S", 0.06)
    monkeypatch.setattr(known_runs, "LATE_S", 0.3)
    with monkeypatch.context() as broken:
        broken.setattr("os.scandir", scandir)
        bars = [opened(Why.CLOSED, [1]), opened()]
        assert [bar.isVisible() for bar in bars] == [True, True]
        qtbot.waitUntil(lambda: all("emergency stop" in bar.sentence.text() for bar in bars))
        qtbot.wait(500)
        assert [bar.isVisible() for bar in bars] == [True, True]
    assert bars[0].sentence.text().startswith("STOP of run 0001 cannot be sent")
    assert bars[1].sentence.text().startswith("Which runs go on cannot be read")
    if scandir is out_of_reach:
        qtbot.waitUntil(lambda: bool(runner.stopped))


def test_a_stop_without_an_answer_is_given_up_by_who_closes_its_window_twice_and_not_once(
    begun: Begun, opened: Opened, runner: Any, qtbot: Any
) -> None:
    runner.answers = False
    begun()
    bar = opened(Why.CLOSED, [1])
    qtbot.waitUntil(lambda: bool(bar._rows))
    bar.close()
    assert bar.isVisible()
    assert bar.sentence.text() == "STOP of run 0001 has no answer yet. Close again to give it up"
    bar.close()
    assert not bar.isVisible()


def test_a_stop_window_that_lies_on_the_task_bar_comes_up_when_a_person_asks_for_it(
    begun: Begun, opened: Opened, runner: Any, qtbot: Any
) -> None:
    begun()
    bar = opened()
    bar.showMinimized()
    bar.tell(Why.BACK)
    assert bar.isMinimized()
    bar.tell(Why.ASKED)
    assert not bar.isMinimized()


def test_a_stop_window_opens_in_a_lower_corner(begun: Begun, opened: Opened, qtbot: Any) -> None:
    bar = opened()
    room = bar.screen().availableGeometry()
    assert bar.geometry().center().y() > room.center().y()
    assert bar.geometry().bottom() <= room.bottom()


@pytest.mark.parametrize(("told", "heard"), [(b"back\nclosed\n", ["back", "closed"]), (b"back\n", ["back", "gone"])])
def test_a_stop_window_hears_the_main_one_and_its_end(
    told: bytes, heard: list[str], tmp_path: Path, qtbot: Any
) -> None:
    (tmp_path / "pipe").write_bytes(told)
    seen: list[Why] = []
    with (tmp_path / "pipe").open("rb", buffering=0) as pipe:
        listener = Listener(pipe, seen.append)
        qtbot.waitUntil(lambda: seen == heard)
        assert listener is not None
