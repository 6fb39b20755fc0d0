"""STOP of any run is asked for until it is taken: it is neither forgotten, nor dropped, nor of another run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QPushButton

from bench.request import Request
from bench.rpc.doors import Doors
from bench.rpc.messages import Ending, Outcome, Reply, Status
from bench.run_queue import Entry, RunState, StationLock, enqueue
from gui.presenters import stopping
from gui.presenters.background import Inline
from gui.presenters.bench_rows import StationRow, Urgency
from gui.presenters.context import Context
from gui.presenters.live import Live
from gui.presenters.shell import Shell
from gui.presenters.stopping import SILENT_SINCE, Stopping, StopState
from gui.presenters.tone import Tone
from gui.views import hang_guard, stop_bar
from gui.views.hang_guard import HangGuard
from gui.views.station_card import STEADY_MS, StationCard
from gui.views.stop_bar import TITLES, Listener, StopBar, Why
from gui.views.window import Window
from instruments.clock import WallClock

WALL = WallClock()
DOORS = Doors("unix:main", "unix:stop")


def until(condition: Callable[[], Any], within_s: float = 60.0) -> None:
    by = WALL.now() + within_s
    while not condition():
        assert WALL.now() < by, "it did not happen"
        WALL.sleep(0.02)


class Runner:
    """A runner behind its doors: it answers or not; in place of `Client`."""

    def __init__(self) -> None:
        self.answers, self.state, self.outcome = True, "running", Outcome.ACCEPTED
        self.stopped: list[str] = []

    def __call__(self, doors: Doors, entry: Entry, **_: Any) -> Runner:
        return self

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def stop(self, person: str, reason: str, key: str) -> Reply:
        """Take the stop."""
        if not self.answers:
            raise ValueError("nobody answers")
        self.stopped.append(reason)
        return Reply(self.outcome)

    def status(self) -> Status:
        """Tell the state."""
        if not self.answers:
            raise ValueError("nobody answers")
        return Status(1, self.state)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Runner:
    """The runner of every run; each moment is short."""
    made = Runner()
    monkeypatch.setattr(stopping, "Client", made)
    monkeypatch.setattr(stopping, "STOP_ANSWER_S", 0.3)
    monkeypatch.setattr(stopping, "POLL_S", 0.02)
    return made


class View:
    """A window that remembers."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, Tone]] = []

    def go(self, key: str) -> None:
        """Show nothing."""

    def show_header(self) -> None:
        """Show nothing."""

    def show_look(self) -> None:
        """Show nothing."""

    def notify(self, text: str, tone: Tone) -> None:
        self.notices.append((text, tone))


class Lab:
    """Runs that have begun, and the window without Qt."""

    def __init__(self, context: Context) -> None:
        self.context, self.view, self.bars = context, View(), 0
        self.locks: list[StationLock] = []
        assert isinstance(context.background, Inline)
        self.background = context.background
        context.follow = lambda entry: None  # by itself the window would watch the only one: no run is watched here
        self.shell = Shell(context, Live(context))
        self.shell.open_bar = self._open

    def _open(self) -> None:
        self.bars += 1

    def begun(self, station: str = "sim") -> Entry:
        entry = enqueue(self.context.state_folder, Request("read-out", station), station)
        assert entry.claim()
        lock = StationLock.take(self.context.state_folder, station)
        assert lock is not None
        lock.tell({"number": entry.number})
        self.locks.append(lock)
        entry.tell(RunState("running", doors=DOORS))
        return entry

    def shown(self) -> Shell:
        self.shell.attach(self.view)
        self.background.tick()
        return self.shell

    def stop_of(self, entry: Entry) -> Stopping:
        return self.shell.stops._of[entry.number]


@pytest.fixture
def lab(context: Context) -> Iterator[Lab]:
    """A lab in which each run that has begun goes on until it tells of its end."""
    made = Lab(context)
    yield made
    for lock in made.locks:
        lock.release()


# --------------------------------------------------------------------------------------------------- one stop


def test_a_runner_that_has_taken_the_stop_and_falls_silent_does_not_answer_and_does_again(
    lab: Lab, runner: Runner
) -> None:
    stop = Stopping(lab.begun(), "Ada", "test", lambda: None, DOORS)
    stop.press()
    until(lambda: stop.state is StopState.ACCEPTED)
    runner.answers = False
    until(lambda: stop.state is StopState.NO_ANSWER)
    assert stop.says == (SILENT_SINCE, Tone.FAIL)
    runner.answers = True
    until(lambda: stop.state is StopState.ACCEPTED)


def test_a_record_that_is_being_closed_makes_nobody_run_to_the_emergency_stop(lab: Lab, runner: Runner) -> None:
    runner.state, runner.outcome = "closing", Outcome.REFUSED  # it comes after the steps are over
    stop = Stopping(lab.begun(), "Ada", "test", lambda: None, DOORS)
    stop.press()
    until(lambda: stop.state is StopState.ACCEPTED)
    runner.answers = False
    WALL.sleep(0.6)
    assert (stop.state, "is being closed" in stop.says[0]) == (StopState.ACCEPTED, True)


def fails(entry: Entry) -> RunState:
    raise OSError("the disk is gone")


def hangs(entry: Entry) -> RunState:
    WALL.wait(WALL.event())
    raise AssertionError


@pytest.mark.parametrize("state", [fails, hangs])
def test_a_stop_goes_over_the_line_that_is_known_though_nothing_can_be_read_on_disk(
    lab: Lab, runner: Runner, state: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = lab.begun()
    monkeypatch.setattr(Entry, "state", state)
    stop = Stopping(entry, "Ada", "test", lambda: None, DOORS)
    stop.press()
    until(lambda: stop.state is StopState.ACCEPTED)
    assert set(runner.stopped) == {"test"}, "on a busy computer it is asked twice, which a runner does once"
    assert stop.sent_s is not None


def test_a_stop_that_is_pressed_again_waits_for_an_answer_again(lab: Lab, runner: Runner) -> None:
    runner.answers = False
    stop = Stopping(lab.begun(), "Ada", "test", lambda: None, DOORS)
    stop.press()
    until(lambda: stop.state is StopState.NO_ANSWER)
    stop.press()
    assert stop.state is StopState.STOPPING
    until(lambda: stop.state is StopState.NO_ANSWER)


# ------------------------------------------------------------------------------------------ which run is stopped


def test_a_stop_that_fails_after_another_run_is_watched_is_told_and_shown_again(
    lab: Lab, runner: Runner, watched: Any
) -> None:
    first, other = lab.begun("sim"), lab.begun("sim-full")
    lab.shell = shell = Shell(lab.context, watched.live)
    lab.shown()
    watched.link.entry, watched.link.doors = first, DOORS
    shell._followed(first)
    runner.answers = False
    shell.stop()
    watched.link.entry = other
    shell._followed(other)
    assert shell.stop_says()[0] == ""
    until(lambda: lab.stop_of(first).state is StopState.NO_ANSWER)
    lab.background.run()
    told = ("Run 0001: no answer to STOP; use the emergency stop of the bench", Tone.FAIL)
    assert lab.view.notices == [told]
    watched.link.entry = first
    shell._followed(first)
    assert "emergency stop" in shell.stop_says()[0]
    first.tell(RunState("ended", ending=Ending("ended", "aborted")))
    until(lambda: lab.stop_of(first).state is StopState.STOPPED)
    lab.background.run()
    assert shell.stop_says()[0] == "Stopped: aborted"


def test_a_stop_that_had_failed_already_is_told_when_its_run_is_watched_no_more(
    lab: Lab, runner: Runner, watched: Any
) -> None:
    first, other = lab.begun("sim"), lab.begun("sim-full")
    lab.shell = shell = Shell(lab.context, watched.live)
    lab.shown()
    watched.link.entry, watched.link.doors = first, DOORS
    shell._followed(first)
    runner.answers = False
    shell.stop()
    until(lambda: lab.stop_of(first).state is StopState.NO_ANSWER)
    lab.background.run()
    assert lab.view.notices == []  # the header shows it
    shell._followed(other)
    assert [tone for _, tone in lab.view.notices] == [Tone.FAIL]
    runner.answers = True
    until(lambda: lab.stop_of(first).state is StopState.ACCEPTED)
    lab.background.run()
    assert lab.view.notices[-1][0].startswith("Run 0001: Stopping")


def test_where_no_run_is_watched_the_one_that_goes_on_is_stopped_by_name(lab: Lab, runner: Runner) -> None:
    entry = lab.begun("sim-full")
    shell = lab.shown()
    assert shell.can_stop
    assert shell.stop_says() == ("STOP stops run 0001 on sim-full", Tone.MUTED)
    shell.stop()
    until(lambda: lab.stop_of(entry).state is StopState.ACCEPTED)
    assert shell.stop_says()[0].startswith("Run 0001: Stopping: the runner brings")
    entry.tell(RunState("ended", ending=Ending("ended", "aborted")))
    until(lambda: lab.stop_of(entry).state is StopState.STOPPED)
    lab.background.tick()
    assert (shell.stop_says()[0], shell.can_stop) == ("Run 0001: Stopped: aborted", False)


def test_where_several_runs_go_on_a_person_is_asked_which(lab: Lab, runner: Runner) -> None:
    lab.begun("sim"), lab.begun("sim-full")
    shell = lab.shown()
    assert shell.stop_says() == ("STOP asks which run", Tone.MUTED)
    shell.stop()
    assert (lab.bars, runner.stopped) == (1, [])
    shell.open_bar = lambda: (_ for _ in ()).throw(OSError(11, "no more processes"))
    shell.stop()
    assert "no more processes" in lab.view.notices[-1][0]


def test_who_meant_the_run_that_has_just_ended_stops_no_other(lab: Lab, runner: Runner, watched: Any) -> None:
    lab.begun("sim-full")
    lab.shell = shell = Shell(lab.context, watched.live)
    shell.open_bar = lab._open
    lab.shown()
    watched.says(Ending("ended", "completed"))
    assert shell.can_stop
    shell.stop()
    assert (lab.bars, runner.stopped) == (1, [])


def test_who_watches_a_run_that_waits_is_asked_whether_the_one_that_moves_is_meant(lab: Lab, runner: Runner) -> None:
    begun = lab.begun("sim-full")
    waiting = enqueue(lab.context.state_folder, Request("read-out", "sim-full"), "sim-full")
    live = Live(lab.context)
    live.follow(waiting)
    lab.shell = shell = Shell(lab.context, live)
    shell.open_bar = lab._open
    lab.shown()
    assert shell.stop_says() == ("Run 0002 only waits: STOP asks which run", Tone.MUTED)
    shell.stop()
    assert (lab.bars, shell.stops._of, waiting.state().state) == (1, {}, "waiting")
    begun.tell(RunState("ended", ending=Ending("ended", "completed")))
    lab.background.tick()
    shell.stop()
    assert lab.bars == 1
    until(lambda: lab.stop_of(waiting).state is StopState.STOPPED)
    shell.close()


def test_a_run_that_waits_is_stopped_by_nobody_who_does_not_watch_it(lab: Lab) -> None:
    enqueue(lab.context.state_folder, Request("read-out", "sim"), "sim")
    assert not lab.shown().can_stop


# ---------------------------------------------------------------------------------------------- the main window


@pytest.fixture
def window(lab: Lab, runner: Runner, qtbot: Any) -> Window:
    """The window while the stop of a run has no answer."""
    runner.answers = False
    entry = lab.begun()
    made = Window(lab.shell, [])
    qtbot.addWidget(made)
    made.show()
    lab.context.stop(entry)
    until(lambda: lab.stop_of(entry).state is StopState.NO_ANSWER)
    return made


def test_a_window_that_closes_hands_on_a_stop_without_an_answer(window: Window) -> None:
    asked: list[list[int]] = []
    window.hand_over = lambda numbers: asked.append(list(numbers))
    window.close()
    assert (asked, window.isVisible()) == ([[1]], False)


def test_a_window_that_cannot_hand_a_stop_on_says_so_and_closes_the_second_time(window: Window) -> None:
    def fails(numbers: Any) -> None:
        raise OSError(11, "no more processes")

    window.hand_over = fails
    window.close()
    assert window.isVisible()
    assert "run 0001 has no answer yet" in window.notices[-1].label.text()
    window.close()
    assert not window.isVisible()


def test_the_stop_of_a_station_is_pressed_on_its_card(lab: Lab, runner: Runner, qtbot: Any) -> None:
    entry, stopped = lab.begun(), list[StationRow]()

    class Actions:
        def stop(self, row: StationRow) -> None:
            stopped.append(row)

        def __getattr__(self, name: str) -> Any:
            return lambda *_: None

    nothing = ("", Tone.MUTED)
    row = StationRow("sim", "", "sim", Urgency.RUNNING, "running", Tone.PLAIN, "", "", "", None, "", (), "", nothing)
    card = StationCard(row, Actions())
    qtbot.addWidget(card)
    card.show()
    assert card.stop.isHidden()
    card.show_row(replace(row, run=entry))
    assert (card.stop.isHidden(), card.stop.text()) == (False, "STOP 0001")
    QTest.mousePress(card.stop, Qt.MouseButton.LeftButton)
    assert stopped == []  # it has only just come under the finger
    QTest.mouseRelease(card.stop, Qt.MouseButton.LeftButton)
    qtbot.wait(STEADY_MS + 50)
    QTest.mousePress(card.stop, Qt.MouseButton.LeftButton)
    assert [one.run for one in stopped] == [entry]


# ------------------------------------------------------------------------------------------------ the STOP window


def test_a_window_that_hangs_without_a_run_asks_whether_any_goes_on_and_opens_where_nobody_can_tell(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hang_guard, "HANGS_S", 0.3)
    asked: list[Why] = []

    def opens(why: Why) -> Any:
        asked.append(why)
        raise OSError("no more processes")

    guard = HangGuard(lambda: bool(int("x")), opens)
    until(lambda: asked)
    guard.close()
    assert asked[0] is Why.HANGS


def test_a_stop_window_stops_at_once_what_it_was_handed(lab: Lab, runner: Runner, qtbot: Any) -> None:
    first, other = lab.begun("sim"), lab.begun("sim-full")
    bar = StopBar(lab.context.state_folder, "Ada", Why.CLOSED, [other.number])
    qtbot.addWidget(bar)
    qtbot.waitUntil(lambda: bool(runner.stopped))
    states = {number: row.stopping.state for number, row in bar._rows.items()}
    assert states[first.number] is StopState.IDLE
    assert states[other.number] is not StopState.IDLE


def test_the_button_of_a_run_that_has_ended_goes_and_no_other_comes_to_its_place(
    lab: Lab, runner: Runner, qtbot: Any
) -> None:
    first, other = lab.begun("sim"), lab.begun("sim-full")
    bar = StopBar(lab.context.state_folder, "Ada")
    qtbot.addWidget(bar)
    bar.show()
    buttons = bar.findChildren(QPushButton, "stop")
    before = buttons[1].y()
    first.tell(RunState("ended", ending=Ending("ended", "completed")))
    qtbot.waitUntil(lambda: bar.runs == [other.number])
    qtbot.waitUntil(lambda: not buttons[0].isVisible())
    assert buttons[1].isVisible()
    assert buttons[1].y() == before or buttons[1].y() > before


def test_a_stop_window_says_what_the_main_one_does_and_goes_when_it_is_of_no_use(
    lab: Lab, runner: Runner, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.begun()
    bar = StopBar(lab.context.state_folder, "Ada")
    qtbot.addWidget(bar)
    bar.show()
    assert bar.panel.title.text() == TITLES[Why.HANGS]
    bar.tell(Why.BACK)
    assert bar.panel.title.text() == "The main window answers again"
    monkeypatch.setattr(stop_bar, "LINGER_S", 0.2)
    qtbot.waitUntil(lambda: not bar.isVisible())


def test_a_stop_window_that_has_done_what_it_was_handed_goes_and_one_whose_run_has_died_stays(
    lab: Lab, runner: Runner, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_bar, "LINGER_S", 0.3)
    lab.begun("sim")
    other = lab.begun("sim-full")
    bar = StopBar(lab.context.state_folder, "Ada", Why.CLOSED, [other.number])
    qtbot.addWidget(bar)
    bar.show()
    qtbot.waitUntil(lambda: bool(runner.stopped))
    qtbot.wait(800)
    assert bar.isVisible(), "the run has not ended"
    other.tell(RunState("ended", ending=Ending("died")))
    qtbot.waitUntil(lambda: bar._rows[other.number].ending is not None)
    qtbot.wait(800)
    assert bar.isVisible(), "a person has to see that the bench is safe"
    assert "dead" in bar._rows[other.number].label.text()
    bar._rows[other.number].ending = Ending("ended", "aborted")
    qtbot.waitUntil(lambda: not bar.isVisible())


def test_a_stop_window_in_which_a_stop_has_no_answer_outlives_the_main_one(
    lab: Lab, runner: Runner, qtbot: Any
) -> None:
    runner.answers = False
    lab.begun()
    bar = StopBar(lab.context.state_folder, "Ada")
    qtbot.addWidget(bar)
    bar.show()
    QTest.mousePress(bar.findChild(QPushButton, "stop"), Qt.MouseButton.LeftButton)
    bar.tell(Why.CLOSED)
    assert bar.isVisible()
    runner.answers = True
    qtbot.waitUntil(lambda: not bar._has_work)
    bar.tell(Why.CLOSED)
    assert not bar.isVisible()


def test_a_stop_window_opens_in_a_lower_corner(lab: Lab, qtbot: Any) -> None:
    bar = StopBar(lab.context.state_folder, "Ada")
    qtbot.addWidget(bar)
    bar.show()
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
