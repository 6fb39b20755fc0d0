"""What the run page says of a run's course: its steps, what is left of them, why it stands still."""

from __future__ import annotations

from typing import Any

import pytest

from bench.rpc.messages import Ending
from gui.presenters.context import Context
from gui.presenters.numbers import exact_duration
from gui.presenters.shell import Shell
from gui.presenters.timeline import StepState, Timeline


@pytest.fixture
def timeline(watched: Any) -> Timeline:
    return Timeline(watched.live)


def test_each_step_is_done_or_goes_on_or_is_to_come(watched: Any, timeline: Timeline) -> None:
    watched.step(0, 0.0, 5.0)
    watched.step(1, 5.0)
    states = [row.state for row in timeline.rows()]
    assert states == [StepState.DONE, StepState.NOW, *[StepState.TO_COME] * 4]
    assert [row.title for row in timeline.rows()][:3] == ["Tare the balance", "Program the pump", "Start delivery"]


def test_the_step_in_which_a_run_was_stopped_is_not_done(watched: Any, timeline: Timeline) -> None:
    watched.step(0, 0.0, 5.0)
    watched.step(1, 5.0)
    watched.link.ending = Ending("ended", "aborted")
    states = [row.state for row in timeline.rows()]
    assert states == [StepState.DONE, StepState.CUT_OFF, *[StepState.LEFT_OUT] * 4]


def test_what_is_left_of_a_phase_and_of_the_run_goes_down_with_time(watched: Any, timeline: Timeline) -> None:
    watched.step(3, 100.0)
    watched.says(elapsed_s=400.0)
    course = timeline.course()
    assert course.left == "00:05:00"
    assert course.run_left == "1 h 5 min to 1 h 25 min"
    assert course.share == pytest.approx(400.0 / (400.0 + 300.0 + 1200.0 + 3600.0))


def test_a_pause_and_a_hold_do_not_count_as_time_of_the_phase(watched: Any, timeline: Timeline) -> None:
    watched.step(3, 100.0)
    watched.record("pause", 200.0, state="begin", person="Ada")
    watched.record("hold", 250.0, state="begin", text="x")
    watched.record("hold", 300.0, state="end")
    watched.record("pause", 350.0, state="end", person="Ada")
    watched.says(elapsed_s=400.0)
    assert timeline.course().left == "00:07:30"


def test_the_header_and_the_course_agree_on_what_is_left_of_a_paused_run(watched: Any, context: Context) -> None:
    watched.step(4, 0.0)
    watched.record("pause", 200.0, state="begin", person="Ada")
    watched.says(elapsed_s=40_000.0, planned_s=5500.0, state="paused")
    assert Timeline(watched.live).course().left == "at most 00:16:40"
    assert Shell(context, watched.live).header().remaining == "≤ 01:16:40"


@pytest.mark.parametrize(("status", "share"), [("completed", 1.0), ("aborted", 0.0345)])
def test_a_run_that_was_stopped_shows_how_far_it_came(
    watched: Any, timeline: Timeline, status: str, share: float
) -> None:
    watched.step(3, 0.0)
    watched.block("balance", [200.0], 1.0)
    watched.says(Ending("ended", status), elapsed_s=200.0)
    assert timeline.course().share == pytest.approx(share, rel=0.1)


def test_what_remains_of_a_run_that_is_being_closed_is_not_told(watched: Any, timeline: Timeline) -> None:
    watched.step(3, 0.0)
    assert timeline.left()
    watched.says(state="closing")
    assert timeline.left() == ""
    assert (timeline.course().phase, timeline.course().run_left) == ("The record is being closed", "")


def test_a_phase_that_is_looked_at_may_end_at_its_first_look_and_a_pause_puts_that_off(
    watched: Any, timeline: Timeline
) -> None:
    plan = watched.live.plan
    plan.steps = (*plan.steps[:3], {"step": "JudgedPhase", "name": "analysis", "for_s": 3600.0, "looks_s": [600.0]})
    watched.step(3, 0.0)
    watched.record("pause", 100.0, state="begin", person="Ada")
    watched.record("pause", 400.0, state="end", person="Ada")
    watched.says(elapsed_s=500.0)
    assert timeline.course().left == "6 min 40 s to 56 min"
    assert timeline.course().waits_for.startswith("looked at in 6 min 40 s")


@pytest.mark.parametrize(
    ("seconds", "said"), [(91_800.0, "25 h 30 min"), (0.5, "0.5 s"), (0.0, "0 s"), (90.5, "1 min 30.5 s")]
)
def test_what_was_planned_is_told_with_all_its_parts(seconds: float, said: str) -> None:
    assert exact_duration(seconds) == said


def test_a_phase_with_a_condition_says_what_it_waits_for(watched: Any, timeline: Timeline) -> None:
    watched.step(4, 0.0)
    assert timeline.course().waits_for == "until outlet pressure is above 60 kPa"
    assert timeline.course().left == "at most 00:20:00"


def test_while_the_record_is_still_being_read_what_is_shown_is_not_said_to_be_of_now(
    watched: Any, timeline: Timeline, context: Context
) -> None:
    watched.step(3, 0.0)
    watched.block("balance", [300.0], 1.0)
    watched.link.behind = True
    watched.says(elapsed_s=3000.0, share_done=0.6)
    course = timeline.course()
    assert (course.phase, course.share, course.left, course.run_left) == ("Catching up with the record", 0.6, "", "")
    assert course.waits_for == "what is shown goes up to 00:05:00"
    assert timeline.rows()[3].took == "5 min"
    assert Shell(context, watched.live).header().remaining == ""
    watched.block("balance", [2990.0], 1.0)
    assert timeline.course().phase == "Stabilisation"


def test_a_run_that_stands_still_says_why(watched: Any, timeline: Timeline) -> None:
    watched.step(3, 0.0)
    watched.says(state="paused")
    assert timeline.course().stands == "Paused"
    watched.says(latched=("outlet-pressure",))
    assert timeline.course().stands == "Held by outlet-pressure"
