"""Prompts at a terminal: what is shown, what is typed, and who may type it."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cli.terminal import Terminal
from data.checks import Status
from instruments.clock import PacedClock, VirtualClock
from protocols.prompts import Ask, Confirm
from protocols.steps import Phase, Step

LEVEL = Confirm(
    "level", "level-balance", "Level the balance.", picture="level.svg", details=(("bubble", "centre"), ("tilt", 0.25))
)
VOLUME = Ask("volume", "", "Which volume?", "mL", 0.0, 40.0)
LOOK = Ask("look", "", "How does it look?", choices=("clear", "cloudy"))
TWICE = Ask("rate", "", "Which rate?", "uL/h", second_person=True)


@pytest.fixture
def at_terminal(toy_bench: Any) -> Any:
    """Run steps while somebody types lines; gives the toy bench."""

    def run(typed: str, *steps: Step, clock: VirtualClock | None = None, stop_s: float = 60.0) -> Any:
        toys = toy_bench(clock=clock or PacedClock(200.0))
        terminal = Terminal("Ada", lines=io.StringIO(typed))
        begin = (0.5, lambda engine: terminal.begins(SimpleNamespace(clock=toys.clock, engine=engine)))
        stop = (stop_s, lambda engine: engine.stop("Eve", "nobody types"))
        toys.run(Phase("soon", for_s=1.0), *steps, at=[begin, stop])
        terminal.ends()
        return toys

    return run


@pytest.mark.parametrize(
    ("step", "typed", "value"), [(LEVEL, "\n", "done"), (VOLUME, "12.5 mL\n", 12.5), (LOOK, "Cloudy\n", "cloudy")]
)
def test_what_is_typed_answers_the_prompt(at_terminal: Any, step: Step, typed: str, value: Any) -> None:
    toys = at_terminal(typed, step)
    assert toys.end.status is Status.COMPLETED
    (answer,) = toys.of("answer")
    assert (answer["value"], answer["person"], answer["source"]) == (value, "Ada", "terminal")


def test_the_prompt_is_shown_with_what_belongs_to_it(at_terminal: Any, capsys: pytest.CaptureFixture[str]) -> None:
    at_terminal("\n", LEVEL)
    shown = capsys.readouterr().err
    for words in (
        "Level the balance.",
        "(bubble centre; tilt 0.25)",
        "drawing: level.svg",
        "Ada, Enter when it is done: ",
    ):
        assert words in shown


def test_a_refused_line_is_answered_with_the_reason_and_asked_again(
    at_terminal: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    toys = at_terminal("12,5 mL\n\n12.5 mL\n", VOLUME)
    assert [answer["value"] for answer in toys.of("answer")] == [12.5]
    shown = capsys.readouterr().err
    assert "write 12.5 mL" in shown
    assert shown.count("a number with its unit, such as 1 mL: ") == 3


def test_a_second_person_gives_name_and_answer(at_terminal: Any, capsys: pytest.CaptureFixture[str]) -> None:
    toys = at_terminal("1 mL/day\nAda\n1 mL/day\nBen\n1 mL/day\n", TWICE)
    (answer,) = toys.of("answer")
    assert (answer["person"], answer["second_person"]) == ("Ada", "Ben")
    shown = capsys.readouterr().err
    assert "must come from another person" in shown
    assert "Ben, a number" in shown


def test_two_persons_who_differ_begin_again(at_terminal: Any) -> None:
    toys = at_terminal("1 mL/day\nBen\n2 mL/day\n2 mL/day\nBen\n2 mL/day\n", TWICE)
    (answer,) = toys.of("answer")
    assert (answer["person"], answer["second_person"]) == ("Ada", "Ben")
    assert answer["given"] == "2 mL/day"


def test_in_virtual_time_nobody_is_waited_for(at_terminal: Any) -> None:
    toys = at_terminal("\n", LEVEL, clock=VirtualClock())
    assert toys.end.status is Status.ABORTED
    assert toys.of("answer") == []


def test_a_progress_bar_is_out_of_the_way_while_a_prompt_waits() -> None:
    hushed: list[bool] = []
    terminal = Terminal("Ada", hushed.append, io.StringIO(""))
    terminal.asked(LEVEL.prompt)
    terminal.settled(LEVEL.prompt)
    assert hushed == [True, False]
