"""Before anything moves fluid or pressure, whatever guards it has given a first good sample, or counts as lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.latch import Latches
from bench.sampler import STARTS_S
from data.checks import Status
from data.schedule import Schedule
from protocols.interlock import Interlock
from protocols.steps import MoveValve, Phase, Program, RequestBolus, SetValve, StartDelivery, Step, StopDelivery, Tare

GUARD = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=1.0, max_outage_s=20.0)
LOSABLE = replace(GUARD, max_outage_s=None)
OPEN = SetValve("box.outlet", True)
ONE = Phase("one", for_s=30.0)


def blind(toys: Any, until_s: float) -> None:
    """Let the gauge give no good sample before a moment."""
    toys.gauge.bad = [(-1.0, until_s)]


def opened(toys: Any) -> list[float]:
    """When the outlet was opened."""
    return [t for t, name, on in toys.box.moves if name == "outlet" and on]


# ------------------------------------------------------------------------------------------------------ it waits


@pytest.mark.parametrize("longest_block_s", [0.05, 7.0, 60.0])
def test_a_valve_moves_with_the_first_good_sample_of_the_channel_that_guards(toys: Any, longest_block_s: float) -> None:
    blind(toys, 4.0)
    end = toys.run(OPEN, ONE, interlocks=[GUARD], longest_block_s=longest_block_s)
    assert end.status is Status.COMPLETED
    assert opened(toys) == [pytest.approx(4.1, abs=0.11)]
    (event,) = toys.of("event")
    assert event["text"] == "nothing is driven before gauge.pressure gave a first good sample"


def test_a_healthy_bench_waits_for_one_sample_and_says_nothing(toys: Any) -> None:
    mass = Interlock("mass", "scale.mass", high=1e6)
    toys.run(OPEN, ONE, SetValve("box.outlet", False), interlocks=[GUARD, mass], teardown=[])
    assert opened(toys) == [pytest.approx(0.1)]
    assert toys.of("event") == []


def test_an_instrument_that_starts_slowly_is_waited_for(toys: Any) -> None:
    usual = toys.gauge.start
    toys.gauge.start = lambda: [toys.clock.sleep(8.0), usual()]
    assert toys.run(OPEN, ONE, interlocks=[GUARD]).status is Status.COMPLETED
    assert opened(toys) == [pytest.approx(8.1, abs=0.11)]


@pytest.mark.parametrize(
    "step",
    [
        MoveValve("box.outlet", True),
        Program("pump", Schedule.parse("1 mL/day")),
        StartDelivery("pump"),
        RequestBolus("pump", 10.0, 60.0),
    ],
)
def test_so_does_every_step_that_moves_fluid(toys: Any, step: Step) -> None:
    blind(toys, 4.0)
    toys.run(step, ONE, interlocks=[GUARD])
    begun = next(one["t"] for one in toys.of("step") if one["index"] == 0)
    assert begun == pytest.approx(4.1, abs=0.11)


@pytest.mark.parametrize("step", [Tare("balance"), StopDelivery("pump"), Phase("quiet", for_s=1.0)])
def test_what_moves_nothing_or_ends_something_waits_for_nothing(toys: Any, step: Step) -> None:
    blind(toys, 4.0)
    toys.run(step, ONE, interlocks=[GUARD])
    assert toys.of("step")[0]["t"] == 0.0


def test_the_bench_is_made_ready_with_the_first_sample_too(toy_bench: Any) -> None:
    toys = toy_bench(stated={"ready": [{"valve": "box.outlet", "on": True}]})
    blind(toys, 4.0)
    toys.run(ONE, interlocks=[GUARD])
    assert opened(toys) == [pytest.approx(4.1, abs=0.11)]


def test_a_channel_that_only_warns_keeps_nobody_waiting(toys: Any) -> None:
    blind(toys, math.inf)
    toys.run(OPEN, ONE, interlocks=[replace(GUARD, action="log"), replace(GUARD, name="gap", action="flag-gap")])
    assert opened(toys) == [0.0]


@pytest.mark.parametrize(("period_s", "moved_s"), [(600.0, 0.02), (0.5, 0.02)])
def test_a_channel_that_is_asked_seldom_delays_nothing(toys: Any, period_s: float, moved_s: float) -> None:
    toys.scale.period_s = period_s
    mass = Interlock("mass", "scale.mass", high=1e6, max_outage_s=2.0 * period_s)
    assert toys.run(OPEN, ONE, interlocks=[mass]).status is Status.COMPLETED
    assert opened(toys) == [pytest.approx(moved_s)]


def test_a_channel_that_is_timed_by_hardware_and_comes_seldom_is_waited_for(toys: Any) -> None:
    toys.gauge.interval_s = 300.0
    assert toys.run(OPEN, ONE, interlocks=[replace(GUARD, max_outage_s=700.0)]).status is Status.COMPLETED
    assert opened(toys) == [pytest.approx(300.0)]


# ------------------------------------------------------------------------------------------- what is armed later


def test_what_guards_from_the_delivery_on_is_waited_for_before_it_starts(toys: Any) -> None:
    blind(toys, 40.0)
    delivery = replace(GUARD, armed="delivery")
    steps = OPEN, ONE, StartDelivery("pump"), Phase("two", for_s=30.0)
    assert toys.run(*steps, interlocks=[delivery]).status is Status.COMPLETED
    assert opened(toys) == [0.0]
    assert next(one["t"] for one in toys.of("step") if one["index"] == 2) == pytest.approx(40.1, abs=0.11)


@pytest.mark.parametrize(("phase", "moved_s"), [("one", 4.1), ("two", 0.0)])
def test_what_guards_in_the_next_phase_is_waited_for_and_what_guards_later_is_not(
    toys: Any, phase: str, moved_s: float
) -> None:
    blind(toys, 4.0)
    armed = replace(GUARD, armed=(phase,))
    assert toys.run(OPEN, ONE, Phase("two", for_s=30.0), interlocks=[armed]).status is Status.COMPLETED
    assert opened(toys) == [pytest.approx(moved_s, abs=0.11)]


@pytest.mark.parametrize("longest_block_s", [0.05, 7.0, 60.0])
def test_when_that_is_seen_does_not_depend_on_the_longest_block(toys: Any, longest_block_s: float) -> None:
    blind(toys, 33.3)
    steps = ONE, OPEN, Phase("two", for_s=30.0)
    toys.run(*steps, interlocks=[replace(GUARD, armed=("two",))], longest_block_s=longest_block_s)
    assert opened(toys) == [pytest.approx(33.4, abs=0.05)]


def test_what_cannot_act_before_it_is_armed_ends_the_run_with_a_sentence(toys: Any) -> None:
    blind(toys, math.inf)
    end = toys.run(OPEN, ONE, interlocks=[replace(GUARD, armed=("one",))])
    assert (end.status, opened(toys)) == (Status.ERROR, [])
    assert end.reason == (
        'instrument "gauge": gauge.pressure has given no good sample since the run began, and interlock "pressure" '
        "guards by it what comes next; put it right and start again"
    )
    assert toys.of("safe-state")[0]["t"] < 65.0


# --------------------------------------------------------------------------------------------- no sample comes


def never_starts(toys: Any) -> None:
    toys.gauge.start = lambda: toys.clock.sleep_until(1e6)


def never_answers(toys: Any) -> None:
    toys.gauge.lost = [(-1.0, math.inf)]


def never_is_good(toys: Any) -> None:
    blind(toys, math.inf)


@pytest.mark.parametrize("fails", [never_starts, never_answers, never_is_good])
def test_a_channel_that_guards_and_gives_nothing_stops_the_run_before_anything_moves(
    toy_bench: Any, tmp_path: Path, fails: Callable[[Any], None]
) -> None:
    toys = toy_bench(latches=Latches(tmp_path / "toys.latches"))
    fails(toys)
    end = toys.run(OPEN, ONE, interlocks=[GUARD])
    assert end.reason == 'interlock "pressure": gauge.pressure gave no good sample for 20 s'
    assert (opened(toys), toys.of("step"), toys.of("teardown")) == ([], [], [])
    assert toys.of("safe-state")[0]["t"] <= STARTS_S + 20.0 + 5.1
    assert [latch.interlock for latch in toys.latches.standing()] == ["pressure"]


def test_one_that_may_be_lost_is_waited_for_a_moment_and_once(toys: Any) -> None:
    blind(toys, math.inf)
    mass = Interlock("mass", "scale.mass", high=1e6, max_outage_s=3600.0)
    steps = OPEN, Phase("one", for_s=1.0), OPEN
    assert toys.run(*steps, interlocks=[LOSABLE, mass]).status is Status.COMPLETED
    assert opened(toys) == [pytest.approx(STARTS_S), pytest.approx(STARTS_S + 1.0)]
    assert [one["text"] for one in toys.of("event") if one["level"] == "warning"] == [
        "gauge.pressure has given no good sample since the run began; the run goes on without interlock "
        '"pressure", which states no max_outage'
    ]


def test_an_interlock_that_holds_holds_what_has_not_begun_until_its_channel_is_there(toys: Any) -> None:
    blind(toys, 60.0)
    reset = (80.0, lambda engine: engine.reset_interlock("pressure", "Ada", "it was not plugged in"))
    end = toys.run(OPEN, ONE, interlocks=[replace(GUARD, action="hold")], at=[reset])
    assert end.status is Status.COMPLETED
    assert opened(toys) == [pytest.approx(80.0)]


# ----------------------------------------------------------------------------------------------- who waits, may go


def test_a_person_may_stop_a_run_that_waits(toys: Any) -> None:
    blind(toys, 15.0)
    end = toys.run(OPEN, ONE, interlocks=[GUARD], at=[(5.0, lambda engine: engine.stop("Ada", "enough"))])
    assert (end.status, opened(toys), toys.of("teardown")) == (Status.ABORTED, [], [])
    assert toys.of("status")[0]["t"] == pytest.approx(5.0, abs=0.5)


def test_a_run_that_is_paused_as_it_waits_moves_nothing_before_it_goes_on(toys: Any) -> None:
    blind(toys, 4.0)
    at = [(3.0, lambda engine: engine.pause("Ada")), (50.0, lambda engine: engine.resume("Ada"))]
    assert toys.run(OPEN, ONE, interlocks=[GUARD], at=at).status is Status.COMPLETED
    assert opened(toys) == [pytest.approx(50.0)]
