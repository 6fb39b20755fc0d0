"""A stretch of the run that goes on is excluded in the window: which times are proposed, what is said and sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from bench.rpc.messages import Ending, Exclude, Outcome, Reply
from gui.presenters.context import Context
from gui.presenters.controls import Controls
from gui.presenters.excluding import Excluding
from gui.presenters.tone import Tone
from gui.views.run_page import RunPage


@pytest.fixture
def going(watched: Any) -> Any:
    """A run of two hours so far."""
    watched.block("balance", np.arange(0.0, 7200.0, 60.0), 1.0)
    return watched


@pytest.fixture
def excluding(going: Any, context: Context) -> Excluding:
    return Excluding(Controls(context, going.live), going.live)


@pytest.fixture
def page(going: Any, context: Context, qtbot: Any) -> RunPage:
    made = RunPage(context, going.live)
    qtbot.addWidget(made)
    made.resize(1280, 680)
    made.show()
    made.plots.refresh()
    made.refresh()
    return made


@pytest.mark.parametrize(
    ("shown", "pointed_s", "times"),
    [
        (None, None, ("", "")),
        ((3000.4, 3599.6), None, ("50 min", "1 h")),
        ((-100.0, 9000.0), None, ("0 s", "119 min")),
        ((0.0, 7200.0), 3661.0, ("3601 s", "3721 s")),
        ((8000.0, 9000.0), None, ("", "")),
    ],
)
def test_what_a_person_points_at_or_has_zoomed_to_is_proposed(
    excluding: Excluding, shown: Any, pointed_s: float | None, times: tuple[str, str]
) -> None:
    excluding.ask(shown, pointed_s)
    assert (excluding.from_text, excluding.to_text) == times


@pytest.mark.parametrize(
    ("begin", "end", "reason", "says", "tone"),
    [
        ("", "", "", "Write from when to when", Tone.MUTED),
        ("1 hr", "70 min", "", "", Tone.WARN),
        ("1 h", "70", "r", "“70” has no unit; write s, min or h after it", Tone.WARN),
        ("70 min", "1 h", "r", "It ends before it begins", Tone.WARN),
        ("1 h", "2 h", "r", "It is not over yet", Tone.WARN),
        ("1 h", "70 min", " ", "Write the reason", Tone.MUTED),
        ("1 h", "70 min", "r", "10 min will be left out, with your name; that cannot be taken back", Tone.PLAIN),
    ],
)
def test_what_is_missing_is_said_before_anything_is_sent(
    excluding: Excluding, going: Any, begin: str, end: str, reason: str, says: str, tone: Tone
) -> None:
    excluding.ask(None, None)
    excluding.from_text, excluding.to_text, excluding.reason = begin, end, reason
    assert (excluding.says[1], says in excluding.says[0]) == (tone, True)
    excluding.keep()
    sent = [("Ada", Exclude(3600.0, 4200.0, "r"), False)]
    assert going.link.done == (sent if tone is Tone.PLAIN else [])


def test_a_stretch_is_zoomed_to_and_excluded_with_a_reason_and_enter(page: RunPage, going: Any, qtbot: Any) -> None:
    page.plots.time_plots[0].time.show(3000.0, 3600.0)
    page.plots._cut.click()  # type: ignore[union-attr]  # a button, once there are plots
    page.refresh()
    panel = page.exclude
    assert (panel.isVisible(), panel.begin.text(), panel.end.text()) == (True, "50 min", "1 h")
    assert page.focusWidget() is panel.reason
    qtbot.keyClicks(panel.reason, "leant on the bench")
    qtbot.keyClick(panel.reason, Qt.Key.Key_Return)
    page.refresh()
    assert going.link.done == [("Ada", Exclude(3000.0, 3600.0, "leant on the bench"), False)]
    assert panel.isHidden()


def ask_to_exclude(page: RunPage, qtbot: Any) -> None:
    """Write a reason for a stretch, and send it."""
    page.model.excluding.ask((3000.0, 3600.0), None)
    page.refresh()
    qtbot.keyClicks(page.exclude.reason, "r")
    page.exclude.keep.click()


def test_what_the_runner_refuses_stays_written_with_its_sentence(page: RunPage, going: Any, qtbot: Any) -> None:
    going.link.refusal = 'protocol "occlusion" judges everything that was recorded; say in a note what happened instead'
    ask_to_exclude(page, qtbot)
    page.refresh()
    assert page.exclude.says.text() == going.link.refusal
    assert (page.exclude.isVisible(), page.exclude.reason.text()) == (True, "r")
    qtbot.keyClick(page.exclude.reason, Qt.Key.Key_Escape)
    page.refresh()
    assert page.exclude.isHidden()


def test_what_nobody_wants_to_exclude_any_more_is_not_excluded_by_taking_the_control_over(
    page: RunPage, going: Any, qtbot: Any
) -> None:
    going.link.refusal = "Ben controls this run; ask them, or take it over"
    ask_to_exclude(page, qtbot)
    page.exclude.cancel.click()
    page.refresh()
    assert page.controls.take_over.isHidden()
    page.model.controls.take_over()
    assert going.link.done == []


def test_what_is_corrected_after_a_refusal_is_what_is_told_and_excluded(page: RunPage, going: Any, qtbot: Any) -> None:
    going.link.refusal = "Ben controls this run; ask them, or take it over"
    ask_to_exclude(page, qtbot)
    page.exclude.end.clear()
    qtbot.keyClicks(page.exclude.end, "40 min")
    page.refresh()
    assert "ends before it begins" in page.exclude.says.text()
    page.exclude.end.clear()
    qtbot.keyClicks(page.exclude.end, "55 min")
    page.model.controls.take_over()
    assert going.link.done == []
    page.exclude.keep.click()
    page.model.controls.take_over()
    assert going.link.done == [("Ada", Exclude(3000.0, 3300.0, "r"), True)]


def test_who_points_at_another_stretch_gets_it_and_keeps_the_reason(page: RunPage, qtbot: Any) -> None:
    page.model.excluding.ask((3000.0, 3600.0), None)
    page.refresh()
    qtbot.keyClicks(page.exclude.reason, "leant on the bench")
    page.model.excluding.ask((600.0, 1200.0), None)
    page.refresh()
    panel = page.exclude
    assert (panel.begin.text(), panel.end.text(), panel.reason.text()) == ("10 min", "20 min", "leant on the bench")
    assert page.model.excluding.can_keep


def test_what_another_command_was_refused_for_is_not_said_of_a_stretch(page: RunPage, going: Any) -> None:
    page.model.controls.reset("outlet-pressure", "")
    page.model.excluding.ask((3000.0, 3600.0), None)
    page.refresh()
    assert page.exclude.says.text() == "Write the reason: what was done to the bench"


def test_another_stretch_that_is_written_meanwhile_is_not_lost_when_the_first_is_kept(
    page: RunPage, going: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = []
    monkeypatch.setattr(going.link, "do", lambda person, action, then, failed, **how: answers.append(then))
    ask_to_exclude(page, qtbot)
    page.model.excluding.ask((600.0, 1200.0), None)
    answers[0](Reply(Outcome.ACCEPTED))
    page.refresh()
    assert (page.exclude.isVisible(), page.exclude.begin.text()) == (True, "10 min")


def test_a_run_that_has_ended_excludes_nothing(page: RunPage, going: Any, qtbot: Any) -> None:
    page.model.excluding.ask(None, None)
    going.says(Ending("ended", "completed"))
    page.refresh()
    assert page.exclude.isHidden()
    assert page.plots._cut is not None
    qtbot.waitUntil(page.plots._cut.isHidden)


def test_what_was_excluded_is_shaded_in_the_plots(page: RunPage, going: Any) -> None:
    going.record("exclusion", 3700.0, from_s=3000.0, to_s=3600.0, reason="r", person="Ada", text="50 min to 1 h: r")
    shades = [(one.t0, one.t1) for one in page.plots._spans() if one.tone is not Tone.PLAIN]
    assert shades == [(3000.0, 3600.0)]
