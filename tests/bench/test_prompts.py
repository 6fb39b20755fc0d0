"""Prompts in a run: who answers, what is refused, two persons, and every way in which a wait ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from bench.answers import AnswerFile
from bench.engine import Engine
from bench.prompts import OPERATOR, SECOND_OPERATOR
from data.checks import Status
from instruments.clock import PacedClock, VirtualClock, WallClock
from instruments.simulation.operator import SimulatedOperator
from instruments.simulation.parameters import PlantParameters
from instruments.simulation.plant import Plant
from protocols.interlock import Interlock
from protocols.prompts import Ask, Confirm
from protocols.steps import Phase, SetValve, Step

SOON = Phase("soon", for_s=1.0)  # time for a test to put somebody there
LEVEL = Confirm("level", "level-balance", "Level the balance.")
VOLUME = Ask("volume", "weigh-ghost", "Which volume?", "mL", 0.0, 40.0)
HIGH = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=1.0)
TWICE = Ask("rate", "", "Which rate does the programmer show?", "uL/h", second_person=True)

At = tuple[float, Callable[[Engine], object]]


class Hands:
    """Answers ten seconds after it was asked, with what a test says; a sentence where it says nothing."""

    def __init__(self, *values: float | str) -> None:
        self.values = list(values)
        self.asked: list[tuple[Any, ...]] = []

    def respond(self, *asked: Any) -> tuple[float, float | str]:
        self.asked.append(asked)
        if not self.values:
            raise ValueError("cannot do this")
        return asked[-1] + 10.0, self.values.pop(0)


def there(hands: Any = None, file: dict[str, str] | None = None, second: str = "", attended: bool = False) -> At:
    """At half a second into the run, these answer."""

    def put(engine: Engine) -> None:
        engine.prompts.hands = hands
        if file is not None:
            engine.prompts.file = AnswerFile(Path("answers.toml"), file, "Ada", second)
        if attended:
            engine.prompts.attend()

    return 0.5, put


def says(t: float, key: str, value: float | str, person: str, second: str = "") -> At:
    return t, lambda engine: engine.answer(key, value, person, second)


def asked(toys: Any, *steps: Step, at: Iterable[At] = (), **more: Any) -> Any:
    """A run with some prompts; its last phase follows the last answer.  One that still waits is stopped."""
    stop = (3000.0, lambda engine: engine.stop("Eve", "it waits for ever"))
    return toys.run(SOON, *steps, Phase("after", for_s=5.0), at=[*at, stop], **more)


def refusals(toys: Any) -> list[str]:
    return [event["text"] for event in toys.of("event") if "refused" in event["text"]]


# ------------------------------------------------------------------------------------------------- who answers


def test_an_answer_from_the_window_ends_the_wait_and_stands_in_the_record(toys: Any) -> None:
    end = asked(toys, VOLUME, at=[says(31.0, "volume", "12.5 mL", "Ada")])
    assert end.status is Status.COMPLETED
    (prompt,), (answer,) = toys.of("prompt"), toys.of("answer")
    assert (prompt["t"], prompt["key"], prompt["unit"], prompt["high"]) == (1.0, "volume", "mL", 40.0)
    assert prompt["text"] == "Which volume?"
    assert answer["value"] == 12.5
    assert answer["given"] == "12.5 mL"
    assert (answer["person"], answer["source"], answer["unit"]) == ("Ada", "window", "mL")
    assert (answer["asked_s"], answer["answered_s"], answer["waited_s"]) == (1.0, 31.0, 30.0)
    assert toys.of("phase")[2]["t"] == 31.0, "the next step begins with the answer"


def test_a_simulated_operator_is_told_what_belongs_to_the_action_and_takes_its_time(toys: Any) -> None:
    hands = Hands("done")
    weight = Confirm("weight", "place-weight", "Put it on.", details=(("mass_mg", 2e4),))
    asked(toys, weight, at=[there(hands)])
    assert hands.asked == [("place-weight", "confirm", "", {"mass_mg": 2e4}, 1.0)]
    (answer,) = toys.of("answer")
    assert (answer["t"], answer["value"], answer["person"]) == (11.0, "done", OPERATOR)
    assert answer["source"] == "simulated-operator"


def test_a_file_answers_at_once(toys: Any) -> None:
    asked(toys, LEVEL, VOLUME, at=[there(file={"level": "done", "volume": "3 mL"})])
    assert [(answer["t"], answer["value"], answer["source"]) for answer in toys.of("answer")] == [
        (1.0, "done", "file"),
        (1.0, 3.0, "file"),
    ]


def test_the_word_of_a_file_counts_before_the_operators_whose_hands_do_the_work(toys: Any) -> None:
    hands = Hands(7.0)
    asked(toys, VOLUME, at=[there(hands, {"volume": "3 mL"})])
    (answer,) = toys.of("answer")
    assert (answer["t"], answer["value"], answer["source"]) == (11.0, 3.0, "file")
    assert len(hands.asked) == 1


def test_a_file_answers_what_the_operator_cannot(toys: Any) -> None:
    asked(toys, VOLUME, at=[there(Hands(), {"volume": "3 mL"})])
    assert [answer["value"] for answer in toys.of("answer")] == [3.0]


def test_the_first_answer_counts(toys: Any) -> None:
    asked(toys, VOLUME, at=[there(Hands(7.0)), says(4.0, "volume", 5.0, "Ada"), says(5.0, "volume", 6.0, "Ben")])
    assert [(answer["t"], answer["value"]) for answer in toys.of("answer")] == [(4.0, 5.0)]


def test_whoever_answers_what_nobody_asks_is_told_what_waits(toys: Any) -> None:
    said: list[str] = []
    at = [(2.0, lambda engine: said.append(engine.answer("volum", 5.0, "Ada"))), says(3.0, "volume", 5.0, "Ada")]
    at.append((4.0, lambda engine: said.append(engine.answer("volume", 5.0, "Ada"))))
    asked(toys, VOLUME, at=at)
    waits, gone = said
    assert waits == 'nobody asks "volum" now; the prompt that waits is "volume"'
    assert gone == 'nobody asks "volume" now; no prompt waits'


def test_each_prompt_has_a_number_by_which_it_is_told_from_another_of_its_key(toys: Any) -> None:
    seen: list[Any] = []
    look = [(t, lambda engine: seen.append(engine.prompts.asking)) for t in (2.0, 4.0, 6.0)]
    answers = [says(3.0, "level", "done", "Ada"), says(5.0, "volume", 1.0, "Ada")]
    asked(toys, LEVEL, VOLUME, at=[*look, *answers])
    assert seen == [(1, LEVEL.prompt), (2, VOLUME.prompt), None]


def test_a_listener_is_shown_a_prompt_and_told_when_it_is_gone(toy_bench: Any) -> None:
    toys = toy_bench(clock=PacedClock(500.0))
    heard: list[tuple[str, str]] = []

    class Listener:
        def asked(self, prompt: Any) -> None:
            heard.append(("asked", prompt.key))

        def settled(self, prompt: Any) -> None:
            heard.append(("settled", prompt.key))

    listener = Listener()
    put = (0.5, lambda engine: engine.prompts.attend(listener))
    asked(toys, LEVEL, VOLUME, at=[put, says(2.0, "level", "done", "Ada"), says(3.0, "volume", 1.0, "Ada")])
    assert heard == [(what, key) for key in ("level", "volume") for what in ("asked", "settled")]


# --------------------------------------------------------------------------------------------- refused answers


@pytest.mark.parametrize(
    ("value", "person", "why"),
    [
        ("50 mL", "Ada", "above 40 mL"),
        ("3 kPa", "Ada", "a pressure"),
        ("three", "Ada", "does not begin with a number"),
        ("3 mL", "  ", "needs the name"),
    ],
)
def test_a_refused_answer_is_recorded_and_the_prompt_waits_on(toys: Any, value: str, person: str, why: str) -> None:
    said: list[str] = []
    first = (2.0, lambda engine: said.append(engine.answer("volume", value, person)))
    end = asked(toys, VOLUME, at=[first, says(9.0, "volume", "3 mL", "Ada")])
    assert end.status is Status.COMPLETED
    assert why in said[0]
    assert [said[0] in refusal for refusal in refusals(toys)] == [True]
    assert [answer["t"] for answer in toys.of("answer")] == [9.0]


def test_an_operator_whose_answer_is_refused_is_asked_again(toys: Any) -> None:
    end = asked(toys, VOLUME, at=[there(Hands(50.0, -1.0, 12.0))])
    assert end.status is Status.COMPLETED
    assert len(refusals(toys)) == 2
    assert [(answer["t"], answer["value"]) for answer in toys.of("answer")] == [(31.0, 12.0)]


def test_an_operator_whose_every_answer_is_refused_ends_the_run(toys: Any) -> None:
    end = asked(toys, VOLUME, at=[there(Hands(50.0, 51.0, 52.0, 3.0))])
    assert end.status is Status.ERROR
    assert end.reason.startswith('prompt "volume": 52.0 is above 40 mL')


def test_a_prompt_that_nobody_can_answer_ends_the_run_with_one_sentence(toys: Any) -> None:
    end = asked(toys, VOLUME, at=[there(Hands())])
    assert (end.status, end.reason) == (Status.ERROR, 'prompt "volume": cannot do this')
    assert toys.of("traceback") == []


def test_what_an_operator_cannot_do_waits_for_a_person_who_is_there(toy_bench: Any) -> None:
    toys = toy_bench(clock=PacedClock(500.0))
    end = asked(toys, VOLUME, at=[there(Hands(), attended=True), says(1.2, "volume", 2.0, "Ada")])
    assert end.status is Status.COMPLETED
    assert [answer["value"] for answer in toys.of("answer")] == [2.0]


def test_a_person_may_answer_on_a_simulated_bench_whose_operator_does_it_and_tells_what_it_shows(
    toy_bench: Any,
) -> None:
    toys, hands = toy_bench(clock=PacedClock(500.0)), Hands(2.5)

    def put(engine: Engine) -> None:
        engine.prompts.hands, engine.prompts.person_answers = hands, True
        engine.prompts.attend()

    end = asked(toys, VOLUME, at=[(0.5, put), says(1.2, "volume", 2.0, "Ada")])
    assert end.status is Status.COMPLETED
    assert len(hands.asked) == 1, "the work is done"
    assert [(answer["value"], answer["person"]) for answer in toys.of("answer")] == [(2.0, "Ada")]
    (shown,) = toys.of("shown")
    assert (shown["key"], shown["value"], shown["unit"]) == ("volume", 2.5, "mL")
    assert shown["text"] == 'the simulated bench shows 2.5 mL for "volume"'


def test_while_a_person_is_asked_time_goes_no_faster_than_in_reality(toy_bench: Any) -> None:
    toys, wall, seen = toy_bench(clock=PacedClock(500.0)), WallClock(), []
    look = (0.9, lambda engine: seen.append(wall.now()))  # before anybody is asked
    answered = (1.3, lambda engine: (seen.append(wall.now()), engine.answer("volume", 2.0, "Ada")))
    asked(toys, VOLUME, at=[there(Hands(), attended=True), look, answered])
    assert seen[1] - seen[0] > 0.2  # 0.6 ms at the pace of the run
    assert toys.clock.pace == 500.0, "and then it goes at its pace again"


def test_virtual_time_waits_for_nobody(toys: Any) -> None:
    end = asked(toys, VOLUME, at=[there(Hands(), attended=True), says(100.0, "volume", 2.0, "Ada")])
    assert (end.status, end.reason) == (Status.ERROR, 'prompt "volume": cannot do this')


# ------------------------------------------------------------------------------------------------- two persons


def test_two_persons_answer_one_after_the_other(toys: Any) -> None:
    asked(toys, TWICE, at=[says(2.0, "rate", "1 mL/day", "Ada"), says(8.0, "rate", "1 mL/day", "Ben")])
    (answer,) = toys.of("answer")
    assert (answer["t"], answer["person"], answer["second_person"]) == (8.0, "Ada", "Ben")
    assert answer["value"] == pytest.approx(41.6667, rel=1e-5)


@pytest.mark.parametrize(
    ("second", "why"),
    [(("1 mL/day", " ada "), "must come from another person"), (("2 mL/day", "Ben"), "both answer again")],
)
def test_a_second_answer_of_the_same_person_or_of_another_opinion_is_refused(
    toys: Any, second: tuple[str, str], why: str
) -> None:
    at = [says(2.0, "rate", "1 mL/day", "Ada"), says(3.0, "rate", *second)]
    end = asked(toys, TWICE, at=[*at, (20.0, lambda engine: engine.stop("Ada", "enough"))])
    assert end.status is Status.ABORTED
    assert [why in refusal for refusal in refusals(toys)] == [True]
    assert toys.of("answer") == []


def test_after_two_different_answers_both_answer_again(toys: Any) -> None:
    values = [("1 mL/day", "Ada"), ("2 mL/day", "Ben"), ("2 mL/day", "Ada"), ("2 mL/day", "Ben")]
    asked(toys, TWICE, at=[says(2.0 + k, "rate", *given) for k, given in enumerate(values)])
    (answer,) = toys.of("answer")
    assert (answer["t"], answer["person"], answer["second_person"]) == (5.0, "Ada", "Ben")


def test_two_names_may_come_with_one_answer(toys: Any) -> None:
    asked(toys, TWICE, at=[says(2.0, "rate", 40.0, "Ada", "ADA"), says(3.0, "rate", 40.0, "Ada", "Ben")])
    assert len(refusals(toys)) == 1
    assert [(answer["t"], answer["second_person"]) for answer in toys.of("answer")] == [(3.0, "Ben")]


def test_a_simulated_bench_has_two_operators_and_a_file_names_two_persons(toys: Any) -> None:
    asked(toys, TWICE, at=[there(Hands(40.0))])
    assert toys.of("answer")[0]["second_person"] == SECOND_OPERATOR
    asked(toys, TWICE, at=[there(file={"rate": "1 mL/day"}, second="Ben")])
    assert toys.of("answer")[0]["second_person"] == "Ben"


def test_a_file_of_one_person_is_not_enough_for_a_prompt_for_two(toys: Any) -> None:
    end = asked(toys, TWICE, at=[there(file={"rate": "1 mL/day"})])
    assert (end.status, end.reason) == (Status.ERROR, 'prompt "rate": a second person has to answer')


# ------------------------------------------------------------------------------------------- how a wait ends


def test_a_run_that_is_stopped_while_a_prompt_waits_ends_at_once(toys: Any) -> None:
    end = asked(toys, LEVEL, at=[(40.0, lambda engine: engine.stop("Ada", "lunch"))])
    assert (end.status, end.reason) == (Status.ABORTED, "lunch")
    assert toys.of("status")[0]["t"] == pytest.approx(40.0, abs=0.1)
    assert toys.of("answer") == []


def test_an_interlock_ends_a_run_while_a_prompt_waits(toys: Any) -> None:
    toys.gauge.pressure = lambda t: 10.0 + t
    end = asked(toys, LEVEL, interlocks=[HIGH])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert toys.of("safe-state")[0]["t"] == pytest.approx(40.0, abs=0.2)
    assert toys.of("status")[0]["t"] == pytest.approx(40.0, abs=0.3)


def test_an_interlock_ends_the_teardown_of_a_stopped_run_that_waits_for_a_person(toys: Any) -> None:
    toys.gauge.pressure = lambda t: 10.0 + t
    at = [(5.0, lambda engine: engine.stop("Ada", "enough"))]
    toys.run(Phase("one", for_s=100.0), teardown=[LEVEL], interlocks=[HIGH], at=at)
    assert toys.of("teardown")[0]["outcome"].startswith("not done")
    assert toys.of("status")[0]["t"] < 42.0


def test_an_answer_in_a_pause_is_taken_and_the_run_goes_on_after_it(toys: Any) -> None:
    pause, resume = (10.0, lambda engine: engine.pause("Ada")), (60.0, lambda engine: engine.resume("Ada"))
    asked(toys, LEVEL, at=[pause, says(20.0, "level", "done", "Ben"), resume])
    assert toys.of("answer")[0]["t"] == 20.0
    assert toys.of("phase")[2]["t"] == 60.0


def test_an_operator_rests_while_the_run_is_paused(toys: Any) -> None:
    pause, resume = (5.0, lambda engine: engine.pause("Ada")), (65.0, lambda engine: engine.resume("Ada"))
    asked(toys, LEVEL, at=[there(Hands("done")), pause, resume])
    assert toys.of("answer")[0]["t"] == pytest.approx(71.0)


def test_a_longest_wait_ends_the_run_and_a_pause_does_not_count(toys: Any) -> None:
    pause, resume = (10.0, lambda engine: engine.pause("Ada")), (60.0, lambda engine: engine.resume("Ada"))
    toys.stated = {"prompts": {"longest_wait": "1 min"}}
    end = asked(toys, LEVEL, at=[pause, resume])
    assert (end.status, end.reason) == (Status.ERROR, 'prompt "level": nobody answered within 60 s')
    assert toys.of("status")[0]["t"] == pytest.approx(111.0, abs=0.5)


def test_a_teardown_waits_for_a_person_only_so_long(toys: Any) -> None:
    toys.run(Phase("one", for_s=10.0), teardown=[LEVEL, SetValve("vent", True)])
    assert [step["outcome"] for step in toys.of("teardown")] == [
        'not done: prompt "level": nobody answered within 300 s',
        "done",
    ]
    assert toys.of("status")[0]["t"] == pytest.approx(310.0, abs=0.5)


def test_no_step_is_asked_again_after_a_pause(toys: Any) -> None:
    at = [says(10.0, "level", "done", "Ada")]
    at += [(20.0, lambda engine: engine.pause("Ada")), (30.0, lambda engine: engine.resume("Ada"))]
    toys.run(LEVEL, Phase("one", for_s=30.0), at=at)
    assert len(toys.of("prompt")) == 1


def test_sampling_goes_on_while_a_prompt_waits(toys: Any) -> None:
    toys.run(LEVEL, at=[says(50.0, "level", "done", "Ada")])
    assert sum(len(block.t) for block in toys.blocks if block.stream == "gauge") == 500


# --------------------------------------------------------------------------------------------- determinism


def test_equal_seeds_give_equal_answers_at_equal_times(toy_bench: Any) -> None:
    def answers(seed: int) -> list[dict[str, Any]]:
        clock = VirtualClock()
        toys = toy_bench(clock=clock)
        operator = SimulatedOperator(Plant(PlantParameters.load({}), clock, seed), clock, seed)
        prompts = [Confirm(f"level-{k}", "level-balance", "Level the balance.") for k in range(5)]
        asked(toys, *prompts, at=[there(operator)])
        found: list[dict[str, Any]] = toys.of("answer")
        return found

    assert answers(1) == answers(1) != answers(2)
