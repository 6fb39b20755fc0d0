"""STOP of any run is asked for until it is taken: it is neither forgotten, nor dropped, nor of another run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from bench.request import Request
from bench.rpc.doors import Doors
from bench.rpc.messages import Ending, Outcome
from bench.run_queue import Entry, RunState, enqueue
from gui.presenters import bench_overview
from gui.presenters.background import Inline
from gui.presenters.bench_overview import BenchOverview
from gui.presenters.bench_rows import StationRow, Turn, Urgency
from gui.presenters.context import Context
from gui.presenters.live import Live
from gui.presenters.shell import Shell
from gui.presenters.stopping import SAYS, SILENT_SINCE, Stopping, StopState
from gui.presenters.tone import Tone
from gui.views.parts import Page
from gui.views.station_card import STEADY_MS, StationCard
from gui.views.window import PageEntry, Window
from instruments.clock import WallClock

WALL = WallClock()
FREE = StationRow(
    "sim", "", "sim", Urgency.RUNNING, "running", Tone.PLAIN, "", "", "", None, "", (), "", ("", Tone.MUTED)
)
DOORS = Doors("unix:main", "unix:stop")


def until(condition: Callable[[], Any], within_s: float = 60.0) -> None:
    by = WALL.now() + within_s
    while not condition():
        assert WALL.now() < by, "it did not happen"
        WALL.sleep(0.02)


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

    def __init__(self, context: Context, begun: Callable[..., Entry]) -> None:
        self.context, self.view, self.bars = context, View(), 0
        self.begun = begun
        assert isinstance(context.background, Inline)
        self.background = context.background
        context.follow = lambda entry: None  # by itself the window would watch the only one: no run is watched here
        self.shell = Shell(context, Live(context))
        self.shell.open_bar = self._open

    def _open(self) -> None:
        self.bars += 1

    def shown(self) -> Shell:
        self.shell.attach(self.view)
        self.background.tick()
        return self.shell

    def stop_of(self, entry: Entry) -> Stopping:
        return self.shell.stops._of[entry.number]


@pytest.fixture
def lab(context: Context, begun: Callable[..., Entry]) -> Lab:
    """A lab in which each run that has begun goes on until it tells of its end."""
    return Lab(context, begun)


# --------------------------------------------------------------------------------------------------- one stop


def test_a_runner_that_has_taken_the_stop_and_falls_silent_does_not_answer_and_does_again(
    lab: Lab, runner: Any
) -> None:
    stop = Stopping(lab.begun(), "Ada", "test", lambda: None, DOORS)
    stop.press()
    until(lambda: stop.state is StopState.ACCEPTED)
    runner.answers = False
    until(lambda: stop.state is StopState.NO_ANSWER)
    assert stop.says == (SILENT_SINCE, Tone.FAIL)
    runner.answers = True
    until(lambda: stop.state is StopState.ACCEPTED)


def test_a_record_that_is_being_closed_makes_nobody_run_to_the_emergency_stop(lab: Lab, runner: Any) -> None:
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
    lab: Lab, runner: Any, state: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = lab.begun()
    monkeypatch.setattr(Entry, "state", state)
    stop = Stopping(entry, "Ada", "test", lambda: None, DOORS)
    stop.press()
    until(lambda: stop.state is StopState.ACCEPTED)
    assert set(runner.stopped) == {"test"}, "on a busy computer it is asked twice, which a runner does once"
    assert stop.sent_s is not None


def test_a_stop_that_is_pressed_again_waits_for_an_answer_again(lab: Lab, runner: Any) -> None:
    runner.answers = False
    stop = Stopping(lab.begun(), "Ada", "test", lambda: None, DOORS)
    stop.press()
    until(lambda: stop.state is StopState.NO_ANSWER)
    stop.press()
    assert stop.state is StopState.STOPPING
    until(lambda: stop.state is StopState.NO_ANSWER)


# ------------------------------------------------------------------------------------------ which run is stopped


def test_a_stop_that_fails_after_another_run_is_watched_is_told_and_shown_again(
    lab: Lab, runner: Any, watched: Any
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
    lab: Lab, runner: Any, watched: Any
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


def test_where_no_run_is_watched_the_one_that_goes_on_is_stopped_by_name(lab: Lab, runner: Any) -> None:
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


def test_that_the_runner_of_a_stopped_run_is_dead_is_told_though_the_header_names_another_run_by_then(
    lab: Lab, runner: Any
) -> None:
    runner.answers = False
    first = lab.begun("sim")
    shell = lab.shown()
    shell.stop()
    until(lambda: lab.stop_of(first).state is StopState.NO_ANSWER)
    lab.begun("sim-full")
    lab.background.tick()
    assert shell.stop_says()[0].startswith("Run 0001: No answer")
    first.tell(RunState("running", ending=Ending("died")))
    until(lambda: lab.stop_of(first).state is StopState.DEAD)
    lab.background.tick()
    lab.background.tick()
    assert shell.stop_says()[0] == "STOP stops run 0002 on sim-full"
    assert [(text[:34], tone) for text, tone in lab.view.notices] == [("Run 0001: its runner is dead and t", Tone.FAIL)]


def test_where_several_runs_go_on_a_person_is_asked_which(lab: Lab, runner: Any) -> None:
    lab.begun("sim"), lab.begun("sim-full")
    shell = lab.shown()
    assert shell.stop_says() == ("STOP asks which run", Tone.MUTED)
    shell.stop()
    assert (lab.bars, runner.stopped) == (1, [])
    shell.open_bar = lambda: (_ for _ in ()).throw(OSError(11, "no more processes"))
    shell.stop()
    assert "no more processes" in lab.view.notices[-1][0]


def test_who_meant_the_run_that_has_just_ended_stops_no_other(lab: Lab, runner: Any, watched: Any) -> None:
    lab.begun("sim-full")
    lab.shell = shell = Shell(lab.context, watched.live)
    shell.open_bar = lab._open
    lab.shown()
    watched.says(Ending("ended", "completed"))
    assert shell.can_stop
    shell.stop()
    assert (lab.bars, runner.stopped) == (1, [])


def test_who_watches_a_run_that_waits_is_asked_whether_the_one_that_moves_is_meant(lab: Lab, runner: Any) -> None:
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


class Typed(Page):
    """A page that may have something unsaved."""

    unsaved: Any = ()


@pytest.fixture
def window(lab: Lab, runner: Any, qtbot: Any) -> Window:
    """The window while the stop of a run has no answer."""
    runner.answers = False
    entry = lab.begun()
    made = Window(lab.shell, [PageEntry("station", "Station", "station", Typed("Station"))])
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


def test_a_stop_is_handed_on_once_and_not_before_what_is_unsaved_was_told(lab: Lab, window: Window) -> None:
    asked: list[list[int]] = []
    window.hand_over = lambda numbers: asked.append(list(numbers))
    page = window.stack.currentWidget()
    assert isinstance(page, Typed)
    page.unsaved = ("lab-3",)
    window.close()
    assert (asked, window.isVisible()) == ([], True)
    assert window.notices[-1].label.text().startswith("Not saved: lab-3")
    window.close()
    assert (asked, window.isVisible()) == ([[1]], False)


def test_news_drives_out_no_stop_that_failed(window: Window) -> None:
    failed = [f"Run {number:04d}: no answer to STOP" for number in (1, 2, 3)]
    for text in failed:
        window.notify(text, Tone.FAIL)
    for text, tone in (("Report", Tone.GOOD), ("The balance was silent", Tone.WARN), ("Next report", Tone.GOOD)):
        window.notify(text, tone)
    said = [one.label.text() for one in window.notices]
    assert said == [*failed, "The balance was silent", "Next report"]
    window.notify("Run 0004: no answer to STOP", Tone.FAIL)
    assert [one.label.text() for one in window.notices] == [*failed[1:], "Run 0004: no answer to STOP"]


def test_a_window_that_cannot_hand_a_stop_on_says_so_and_closes_the_second_time(window: Window) -> None:
    def fails(numbers: Any) -> None:
        raise OSError(11, "no more processes")

    window.hand_over = fails
    window.close()
    assert window.isVisible()
    assert "run 0001 has no answer yet" in window.notices[-1].label.text()
    window.close()
    assert not window.isVisible()


def test_the_stop_of_a_station_is_pressed_on_its_card(lab: Lab, runner: Any, qtbot: Any) -> None:
    entry, stopped = lab.begun(), list[StationRow]()

    class Actions:
        def stop(self, row: StationRow) -> None:
            stopped.append(row)

        def __getattr__(self, name: str) -> Any:
            return lambda *_: None

    card = StationCard(FREE, Actions())
    qtbot.addWidget(card)
    card.show()
    assert card.stop.isHidden()
    card.show_row(replace(FREE, run=entry))
    assert (card.stop.isHidden(), card.stop.text()) == (False, "STOP 0001")
    height = card.sizeHint().height()
    QTest.mousePress(card.stop, Qt.MouseButton.LeftButton)
    assert stopped == []  # it has only just come under the finger
    assert card.stop_says.text() == "Not stopped, the button had just moved here: press STOP 0001 again"
    assert card.stop_says.isVisible()
    QTest.mouseRelease(card.stop, Qt.MouseButton.LeftButton)
    qtbot.wait(STEADY_MS + 50)
    QTest.mousePress(card.stop, Qt.MouseButton.LeftButton)
    assert [one.run for one in stopped] == [entry]
    card.show_row(replace(FREE, run=entry, stop=SAYS[StopState.STOPPING]))
    assert card.stop_says.text() == "STOP: Stopping…"
    assert "STOP: Stopping…" in card.accessibleName()
    assert card.sizeHint().height() == height, "else the cards below would move under the finger"


def test_a_card_says_what_becomes_of_its_stop_though_the_folder_of_the_runs_does_not_answer(
    lab: Lab, runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, turn = lab.begun(), Turn("Nobody:", "the run goes on")
    lab.shown()
    overview = BenchOverview(lab.context)
    overview.shown(True)  # this look never comes back
    overview.stations = (replace(FREE, run=entry, turns=(turn,)),)
    monkeypatch.setattr(bench_overview, "LATE_S", 0.0)
    runner.answers = False
    overview.stop(overview.stations[0])
    assert overview.stations[0].stop == SAYS[StopState.STOPPING]
    until(lambda: lab.stop_of(entry).state is StopState.NO_ANSWER)
    overview._tick()
    assert overview.stations[0].stop == SAYS[StopState.NO_ANSWER]
    assert overview.stations[0].turns == (turn,)
