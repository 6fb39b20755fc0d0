"""STOP reaches the runner in time, whatever the window and the runner are doing, and says what became of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QDialog, QLineEdit, QMenu, QPushButton, QVBoxLayout

from bench.request import Request
from bench.run_queue import Entry, enqueue, submit
from gui.app import build
from gui.presenters import shell, stopping
from gui.presenters.stopping import Stopping, StopState
from gui.views import hang_guard, stop_bar
from gui.views.hang_guard import HangGuard
from gui.views.stop_bar import StopBar
from gui.views.window import Window
from instruments.clock import WallClock

WALL = WallClock()
LONG = Request("flow-record", "sim", {"recording": "30 day"}, pace=60.0)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at again and again is looked at often."""
    monkeypatch.setattr(shell, "LOOK_S", 0.1)
    monkeypatch.setattr(stopping, "POLL_S", 0.05)
    monkeypatch.setattr(stop_bar, "LOOK_S", 0.05)
    monkeypatch.setattr(hang_guard, "BEAT_S", 0.05)


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entry]:
    """A run that goes on, in a runner of its own."""
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    made, _ = submit(LONG)
    until(lambda: made.state().state == "running")
    yield made
    if made.state().ending is None:
        os.kill(made.state().pid, signal.SIGKILL)


@pytest.fixture
def window(entry: Entry, qtbot: Any) -> Window:
    """The main window; it watches the one run by itself."""
    window, _ = build(Path("runs"))
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(window.header.stop.isEnabled)
    return window


def until(condition: Callable[[], Any], within_s: float = 60.0) -> None:
    by = WALL.now() + within_s
    while not condition():
        assert WALL.now() < by, "it did not happen"
        WALL.sleep(0.02)


def test_the_button_stops_the_run_on_its_press_and_says_so(window: Window, entry: Entry, qtbot: Any) -> None:
    QTest.mousePress(window.header.stop, Qt.MouseButton.LeftButton)
    assert window.header.stop_says.text().startswith("Stopp")  # the answer may be there already
    qtbot.waitUntil(lambda: "Stopped" in window.header.stop_says.text())
    ending = entry.state().ending
    assert ending is not None
    assert (ending.status, ending.reason) == ("aborted", "pressed STOP in the window")
    qtbot.waitUntil(lambda: not window.header.stop.isEnabled())


def test_the_key_stops_the_run_though_a_dialog_and_a_menu_are_open(window: Window, entry: Entry, qtbot: Any) -> None:
    dialog = QDialog(window)
    dialog.setModal(True)
    field = QLineEdit()
    QVBoxLayout(dialog).addWidget(field)
    dialog.show()
    menu = QMenu(window)
    menu.addAction("something")
    menu.popup(window.pos())
    QTest.keyClick(menu, Qt.Key.Key_F12)
    assert window.header.stop_says.text().startswith("Stopp")  # the answer may be there already
    menu.close()
    dialog.close()
    qtbot.waitUntil(lambda: "Stopped" in window.header.stop_says.text())


def test_a_runner_that_hangs_is_said_not_to_answer_and_stops_when_it_is_back_and_a_dead_one_is_said_to_be_dead(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "STOP_ANSWER_S", 0.3)
    seen: list[StopState] = []
    stop = Stopping(entry, "Ada", "test", lambda: seen.append(stop.state))
    os.kill(entry.state().pid, signal.SIGSTOP)
    stop.press()
    until(lambda: stop.state is StopState.NO_ANSWER)
    assert "emergency stop" in stop.says[0]
    os.kill(entry.state().pid, signal.SIGCONT)
    until(lambda: stop.state is StopState.STOPPED)
    assert seen[:2] == [StopState.STOPPING, StopState.NO_ANSWER]

    other, _ = submit(LONG)
    until(lambda: other.state().state == "running")
    os.kill(other.state().pid, signal.SIGKILL)
    until(lambda: other.state().ending is not None)
    stop = Stopping(other, "Ada", "test", lambda: None)
    stop.press()
    until(lambda: stop.state is StopState.DEAD)
    assert "dead" in stop.says[0]


def test_a_run_that_waits_is_taken_out_of_the_queue_and_nobody_is_sent_to_the_emergency_stop(tmp_path: Path) -> None:
    waiting = enqueue(tmp_path / "home", LONG, "sim")
    stop = Stopping(waiting, "Ada", "test", lambda: None)
    stop.press()
    until(lambda: stop.state is StopState.STOPPED)
    ending = waiting.state().ending
    assert ending is not None
    assert (ending.state, ending.person, stop.says[0]) == ("withdrawn", "Ada", "Stopped: withdrawn")


def test_a_window_that_hangs_opens_the_stop_bar_once_and_the_bar_stops_the_run(
    entry: Entry, qtbot: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hang_guard, "HANGS_S", 0.3)
    plain_tell, told = hang_guard._tell, list[str]()

    def tell(bar: Any, why: str) -> None:
        plain_tell(bar, why)
        told.append(why)

    monkeypatch.setattr(hang_guard, "_tell", tell)
    opened: list[subprocess.Popen[bytes]] = []

    reads = "import sys; [print(line, end='', flush=True) or line == 'closed\\n' and sys.exit() for line in sys.stdin]"

    def bar_opens(why: str) -> subprocess.Popen[bytes]:
        assert why == "hangs"
        pipe = subprocess.PIPE
        opened.append(subprocess.Popen([sys.executable, "-c", reads], stdin=pipe, stdout=pipe))
        return opened[-1]

    guard = HangGuard(lambda: True, bar_opens)
    until(lambda: opened)  # meanwhile Qt's thread does nothing else
    qtbot.waitUntil(lambda: told == ["back"])
    until(lambda: told[-1] == "hangs")
    qtbot.waitUntil(lambda: told[-1] == "back")
    assert len(opened) == 1, "one, however often it hangs"
    assert opened[0].poll() is None
    guard.close()
    opened[0].wait(60.0)  # it goes with the main window
    assert opened[0].stdout is not None
    assert opened[0].stdout.read().decode().split() == ["back", "hangs", "back", "closed"]
    opened[0].stdout.close()

    bar = StopBar(tmp_path / "home", "Ada")
    qtbot.addWidget(bar)
    bar.show()
    qtbot.waitUntil(lambda: bar.runs == [entry.number])
    bar.activateWindow()
    qtbot.waitUntil(bar.isActiveWindow)
    assert not isinstance(bar.focusWidget(), QPushButton), "a space of somebody who types elsewhere presses nothing"
    press = bar.findChild(QPushButton, "stop")
    QTest.mousePress(press, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bar.windowTitle() == "Stopped")
    ending = entry.state().ending
    assert ending is not None
    assert ending.status == "aborted"
    monkeypatch.setattr(stop_bar, "LINGER_S", 0.06)
    qtbot.waitUntil(lambda: not bar.isVisible())  # nothing is left to be stopped


def test_the_stop_key_is_left_alone_where_nothing_runs(qtbot: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    window, _ = build(tmp_path)
    qtbot.addWidget(window)
    window.show()
    QTest.keyClick(window, Qt.Key.Key_F12)
    assert window.header.stop_says.text() == ""
    assert not window.header.stop.isEnabled()
    assert QApplication.focusWidget() is not window.header.stop
