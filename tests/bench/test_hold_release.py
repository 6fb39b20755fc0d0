"""The end of a hold, and what may come between: a stop, a trip, another hold, valves that do not obey."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Part
from hypothesis import strategies as st

import data.journal
from bench.guard import Guard
from bench.latch import Latches
from bench.safety import UNDER_WAY_S, Safety
from data.checks import Status
from instruments.clock import VirtualClock
from instruments.instrument import InstrumentTimeout
from protocols.interlock import Interlock
from protocols.steps import Phase, SetValve

EXAMPLES = 50 if settings.get_current_profile_name() != "explore" else 2000

HOLD = Interlock("pressure", "gauge.pressure", high=50.0, action="hold", reset_band=5.0)
MASS = Interlock("mass", "scale.mass", high=1e6, action="hold")
HELD = [{"valve": "box.outlet", "on": False}, {"valve": "box.vent", "on": True}]
SAFE = {"vent": True, "outlet": False, "diverter": False}
RUNNING = {"vent": False, "outlet": True, "diverter": False}
ONE = Phase("one", for_s=60.0)


def pressure(*peaks: tuple[float, float, float]) -> Callable[[float], float]:
    """A pressure that is 10 kPa but between some moments: (from, to, kPa)."""
    return lambda t: max((kpa for from_s, to_s, kpa in peaks if from_s <= t < to_s), default=10.0)


def reset(name: str = "pressure", said: list[str] | None = None) -> Callable[[Any], None]:
    def command(engine: Any) -> None:
        (said if said is not None else []).append(engine.reset_interlock(name, "Ben", "a kink, removed"))

    return command


def stop(engine: Any) -> None:
    engine.stop("Ada", "enough")


@pytest.fixture
def bench(toy_bench: Any) -> Callable[..., Any]:
    """A bench whose outlet is open, with a [[hold]]; its pressure is too high from 20.1 to 30.1 s."""

    def make(hold: Any = HELD, takes_s: float = 0.0, **options: Any) -> Any:
        toys = toy_bench(stated={"hold": hold}, **options)
        toys.gauge.pressure = pressure((20.05, 30.05, 60.0))
        toys.open_outlet()
        slow_down(toys, lambda t: takes_s)
        return toys

    return make


def slow_down(toys: Any, takes_s: Callable[[float], float]) -> None:
    """Let the valves take their time, by the moment at which they are commanded."""
    usual = toys.box.set_valve

    def set_valve(name: str, on: bool) -> None:
        toys.clock.sleep(takes_s(toys.clock.now()))
        usual(name, on)

    toys.box.set_valve = set_valve


def before_the_end(toys: Any) -> dict[str, bool]:
    """How the valves stood at 80 s, when a run of 60 s that was held from 20.1 to 60 s was still going on."""
    states = dict.fromkeys(SAFE, False)
    states.update((name, on) for t, name, on in toys.box.moves if t < 80.0)
    return states


# ------------------------------------------------------------------------------------------- a person stops the run


def test_a_reset_while_the_run_ends_is_refused_and_leaves_the_safe_state(bench: Any, tmp_path: Any) -> None:
    toys, said = bench(latches=Latches(tmp_path / "toys.latches")), []
    toys.scale.safe = lambda: [toys.clock.sleep(2.0), "safe"][1]
    toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, stop), (46.0, reset(said=said))])
    assert "the run is ending" in said[0]
    assert (toys.box.valves(), toys.of("reset")) == (SAFE, [])
    assert [latch.interlock for latch in toys.latches.standing()] == ["pressure"]


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.25, 0.3, 0.45])
@pytest.mark.parametrize("takes_s", [0.02, 0.2, 0.9])
def test_a_stop_while_the_valves_go_back_ends_safe(bench: Any, after_s: float, takes_s: float) -> None:
    toys = bench(takes_s=takes_s)
    end = toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset()), (45.0 + after_s, stop)])
    assert end.status is Status.ABORTED
    assert toys.box.valves() == SAFE
    assert [one["state"] for one in toys.of("hold")] == ["begin", "end"]


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3, 1.0, 2.5])
def test_a_stop_while_the_bench_is_being_held_ends_safe(bench: Any, after_s: float) -> None:
    hold = [{"valve": "box.diverter", "on": True}, {"wait": "2 s"}, {"valve": "box.outlet", "on": True}]
    toys = bench(hold, takes_s=0.2)
    toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(20.2 + after_s, stop)])
    assert (toys.box.valves()["vent"], toys.box.valves()["outlet"]) == (True, False)
    assert [one["state"] for one in toys.of("hold")] == ["begin", "end"]


def test_going_safe_waits_for_a_valve_that_goes_back_no_longer_than_a_trip_does(bench: Any) -> None:
    toys = bench()
    slow_down(toys, lambda t: 0.9 if t == 45.0 else 0.0)
    toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset()), (45.5, stop)])
    first = next(one for one in toys.of("confirm") if one["t"] > 45.0)
    assert (first["what"], first["t"]) == ("valve box.vent energised", pytest.approx(45.5 + UNDER_WAY_S))
    assert toys.box.valves() == SAFE


def test_a_hold_that_begins_as_the_run_ends_is_a_stop(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the wall clock a person's stop may fall between the judgement of a sample and the hold."""
    toys, usual, engines = bench(), Safety.hold, []
    monkeypatch.setattr(Safety, "hold", lambda self, *given: [stop(engines[0]), usual(self, *given)][1])
    end = toys.run(ONE, interlocks=[HOLD], teardown=[Phase("slow", for_s=60.0)], at=[(1.0, engines.append)])
    assert end.status is Status.ABORTED
    assert toys.of("interlock")[0]["action"] == "stop"
    assert toys.box.valves() == SAFE
    assert toys.of("status")[0]["t"] < 25.0


# ------------------------------------------------------------------------------------- the bench trips, or holds anew


@pytest.mark.parametrize("takes_s", [0.02, 0.2, 0.9])
def test_a_trip_while_the_valves_go_back_ends_safe(bench: Any, takes_s: float) -> None:
    toys = bench(takes_s=takes_s)
    heavy = Interlock("heavy", "scale.mass", high=44.5)  # a milligram more each second
    end = toys.run(ONE, interlocks=[HOLD, heavy], teardown=[], at=[(45.0, reset())])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert toys.of("safe-state")[0]["t"] == pytest.approx(45.02)
    assert toys.box.valves() == SAFE


@pytest.mark.parametrize("takes_s", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("again_s", [45.05, 45.35, 45.95])
def test_a_hold_while_the_valves_go_back_forgets_none_of_them(bench: Any, takes_s: float, again_s: float) -> None:
    toys = bench(takes_s=takes_s)
    toys.gauge.pressure = pressure((20.05, 30.05, 60.0), (again_s, 50.05, 60.0))
    end = toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset()), (60.0, reset())])
    assert end.status is Status.COMPLETED
    assert before_the_end(toys) == RUNNING


def test_a_limit_that_is_crossed_while_the_bench_is_being_held_trips_without_waiting_for_the_hold(bench: Any) -> None:
    toys = bench([HELD[0], {"wait": "5 s"}, {"valve": "box.diverter", "on": True}, HELD[1]])
    toys.gauge.pressure = pressure((20.05, 30.05, 60.0), (21.05, 200.0, 90.0))
    burst = Interlock("burst", "gauge.pressure", high=80.0)
    end = toys.run(ONE, interlocks=[HOLD, burst], teardown=[])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert toys.of("safe-state")[0]["t"] == pytest.approx(21.1)
    assert toys.of("interlock")[1]["reaction_s"] <= UNDER_WAY_S + 1e-9
    assert toys.box.valves() == SAFE


def test_a_hold_that_joins_while_the_last_reset_is_being_done_stands(bench: Any) -> None:
    toys = bench()

    def reset_and_join(engine: Any) -> None:
        reset()(engine)
        engine._interlocks._act(engine._interlocks.standing["mass"], "hold", "too heavy")

    toys.run(ONE, interlocks=[HOLD, MASS], teardown=[], at=[(45.0, reset_and_join), (60.0, reset("mass"))])
    assert [round(t) for t, _, _ in toys.box.moves[1:5]] == [20, 20, 60, 60]
    assert before_the_end(toys) == RUNNING
    assert toys.of("phase")[-1]["t"] == pytest.approx(60.0 + 60.0 - 20.1)


def test_a_hold_that_joins_when_the_valves_are_just_back_stands(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the wall clock an interlock may be latched already, and its hold not yet begun."""
    toys, engines, usual_hold, usual_back = bench(), [], Safety.hold, Safety.put_back

    def hold(self: Safety, *given: Any) -> float | None:
        toys.clock.sleep(0.2 if toys.clock.now() > 40.0 else 0.0)
        return usual_hold(self, *given)

    def put_back(self: Safety, release: int) -> str:
        said, engine = usual_back(self, release), engines.pop() if engines else None
        if engine is not None:
            interlocks = engine._interlocks
            toys.clock.worker("~mass", lambda: interlocks._act(interlocks.standing["mass"], "hold", "too heavy"))
            toys.clock.sleep(0.1)
        return said

    monkeypatch.setattr(Safety, "hold", hold)
    monkeypatch.setattr(Safety, "put_back", put_back)
    at = [(1.0, engines.append), (45.0, reset()), (60.0, reset("mass"))]
    toys.run(ONE, interlocks=[HOLD, MASS], teardown=[], at=at)
    assert toys.of("phase")[-1]["t"] == pytest.approx(60.0 + 60.0 - 20.1)
    assert before_the_end(toys) == RUNNING
    assert len(toys.of("hold")) == 2


def test_a_crossing_at_the_moment_of_a_reset_is_not_forgotten(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the wall clock a sampler may judge a sample when the reset has looked at the channel already."""
    toys, said, left, usual = bench(), list[str](), [True], Guard.state.fget
    toys.gauge.pressure = pressure((20.05, 30.05, 60.0), (45.05, 70.0, 60.0))

    def state(self: Guard) -> Any:
        stood = usual(self)
        if self.interlock is HOLD and toys.clock.now() == 45.0 and left:
            left.pop()
            self.outside = True
            self._settle(45.0, 60.0)
        return stood

    monkeypatch.setattr(Guard, "state", property(state))
    toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset(said=said)), (80.0, reset(said=said))])
    assert ("is not back" in said[0], said[1]) == (True, "")
    assert not [move for move in toys.box.moves if 45.0 <= move[0] < 80.0]
    assert toys.of("phase")[-1]["t"] == pytest.approx(60.0 + 80.0 - 20.1)


def test_a_crossing_that_is_not_told_yet_when_the_valves_are_back_holds_the_bench_again(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    toys, engines, usual = bench(latches=Latches(tmp_path / "toys.latches")), [], Safety.put_back
    toys.gauge.pressure = pressure((20.05, 30.05, 60.0), (45.05, 70.0, 60.0))

    def put_back(self: Safety, release: int) -> str:
        said = usual(self, release)
        if engines:
            guard = engines.pop()._interlocks.standing["pressure"].guard
            guard.outside, guard._told = True, "outside"  # by a sampler that has not come to tell it
        return said

    monkeypatch.setattr(Safety, "put_back", put_back)
    at = [(1.0, engines.append), (45.0, reset()), (80.0, reset())]
    end = toys.run(ONE, interlocks=[HOLD], teardown=[], at=at)
    assert end.status is Status.COMPLETED
    outlet = [(round(t), on) for t, name, on in toys.box.moves if name == "outlet" and 0.0 < t < 90.0]
    assert outlet == [(20, False), (45, True), (45, False), (80, True)]
    assert toys.of("phase")[-1]["t"] == pytest.approx(60.0 + 80.0 - 20.1)
    assert any("the bench is held again" in event["text"] for event in toys.of("event"))
    assert [said["event"] for said in toys.latches.history()] == ["latch", "reset"] * 2


# ------------------------------------------------------------------------------------------ valves that do not obey


def test_a_run_ends_safe_when_a_valve_does_not_go_back(bench: Any) -> None:
    toys = bench()
    usual = toys.box.set_valve

    def set_valve(name: str, on: bool) -> None:
        if 44.0 < toys.clock.now() < 45.01 and name == "outlet" and on:
            raise InstrumentTimeout("box", "no reply")
        usual(name, on)

    toys.box.set_valve = set_valve
    end = toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset())])
    said = 'the hold cannot be ended: valve box.outlet energised: not confirmed, instrument "box": no reply'
    assert (end.status, end.reason) == (Status.ERROR, said)
    assert toys.of("safe-state")[0]["t"] == 45.0
    assert toys.box.valves() == SAFE


def test_a_run_ends_safe_when_a_valve_that_went_back_reads_otherwise(bench: Any) -> None:
    toys = bench()
    usual = toys.box.valves
    toys.box.valves = lambda: {**usual(), **({"outlet": False} if toys.clock.now() == 45.0 else {})}
    end = toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset())])
    assert (end.status, "it reads back otherwise" in end.reason) == (Status.ERROR, True)


def test_a_run_ends_safe_when_nobody_knows_how_a_valve_stood(bench: Any) -> None:
    toys, left = bench(), [InstrumentTimeout("box", "no reply")]
    usual = toys.box.valves

    def valves() -> dict[str, bool]:
        if toys.clock.now() > 20.0 and left:
            raise left.pop()
        return usual()

    toys.box.valves = valves
    end = toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset())])
    said = "the hold cannot be ended: how valve box.outlet stood before it is not known"
    assert (end.status, end.reason) == (Status.ERROR, said)
    assert not [move for move in toys.box.moves if move[0] >= 45.0 and move[1:] == ("vent", False)]


def test_a_valve_that_the_hold_moved_late_goes_back(bench: Any) -> None:
    toys = bench([HELD[0]])
    slow_down(toys, lambda t: 1.2 if t < 30.0 else 0.0)
    end = toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset())])
    assert end.status is Status.COMPLETED
    assert before_the_end(toys) == RUNNING


def test_a_hold_whose_valve_still_hangs_ends_safe(bench: Any) -> None:
    toys = bench([HELD[0]])
    slow_down(toys, lambda t: 1000.0 if t < 30.0 else 0.0)
    end = toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset())])
    assert (end.status, "still does not answer" in end.reason) == (Status.ERROR, True)
    assert toys.of("safe-state")[0]["t"] < 60.0


def test_a_valve_that_goes_back_after_the_bench_went_safe_is_moved_again(bench: Any) -> None:
    toys = bench()
    slow_down(toys, lambda t: 3.0 if t == 45.0 else 0.0)  # longer than it may take, so the run ends
    toys.scale.safe = lambda: [toys.clock.sleep(4.0), "safe"][1]
    end = toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset())])
    assert end.status is Status.ERROR
    assert (48.0, "vent", False) in toys.box.moves
    assert toys.box.valves() == SAFE


def test_a_valve_of_the_hold_that_moves_after_the_bench_went_safe_is_moved_again(bench: Any) -> None:
    toys = bench([{"valve": "box.outlet", "on": True}])
    slow_down(toys, lambda t: 3.0 if t < 21.0 else 0.0)
    heavy = Interlock("heavy", "scale.mass", high=21.5)
    assert toys.run(ONE, interlocks=[HOLD, heavy]).status is Status.STOPPED_BY_INTERLOCK
    assert [(round(t, 1), on) for t, name, on in toys.box.moves if name == "outlet"][1:] == [
        (22.0, False),
        (23.1, True),
        (23.1, False),
    ]


def test_nothing_moves_after_the_instruments_were_let_go(bench: Any) -> None:
    toys = bench()
    slow_down(toys, lambda t: 3.0 if t == 60.0 else 0.0)
    toys.run(ONE, teardown=[])
    assert max(t for t, _, _ in toys.box.moves) == 63.0
    assert toys.of("status")[0]["t"] >= 63.0


def test_what_a_slow_valve_may_take_in_a_hold_it_may_take_on_its_way_back(bench: Any) -> None:
    toys = bench([{**step, "within": "4 s"} for step in HELD], takes_s=3.0)
    assert toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset())]).status is Status.COMPLETED


def test_a_valve_that_the_plan_moved_late_is_held_and_goes_where_the_plan_wanted_it(bench: Any) -> None:
    toys = bench()
    del toys.gauge.start  # the outlet is shut
    slow_down(toys, lambda t: 6.0 if t == 18.0 else 0.0)
    steps = Phase("zero", for_s=18.0), SetValve("box.outlet", True), replace(ONE, for_s=40.0)
    end = toys.run(*steps, interlocks=[HOLD], teardown=[], at=[(60.0, reset())])
    assert end.status is Status.COMPLETED
    assert [(round(t), on) for t, name, on in toys.box.moves if name == "outlet"][:4] == [
        (20, False),
        (24, True),
        (24, False),
        (60, True),
    ]


@pytest.mark.parametrize(("method", "at_s"), [("_take_hold", 20.1), ("put_back", 45.0)])
def test_a_hold_in_which_the_program_fails_ends_safe(
    bench: Any, monkeypatch: pytest.MonkeyPatch, method: str, at_s: float
) -> None:
    monkeypatch.setattr(Safety, method, lambda *given: 1 / 0)
    toys = bench()
    end = toys.run(ONE, interlocks=[HOLD], teardown=[], at=[(45.0, reset())])
    assert (end.status, "ZeroDivisionError" in end.reason) == (Status.ERROR, True)
    assert toys.of("safe-state")[0]["t"] == pytest.approx(at_s)
    assert toys.box.valves() == SAFE


# ------------------------------------------------------------------------------------------------- all of it at once


moments = st.sampled_from([round(4.9 + 0.05 * k, 2) for k in range(60)])  # held since 2.1 s


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the disk confirms is tested elsewhere."""
    monkeypatch.setattr(data.journal.os, "fdatasync", lambda fd: None)


@pytest.mark.usefixtures("quick_disk")
@given(
    takes_s=st.lists(st.sampled_from([0.0, 0.02, 0.2, 0.9, 1.3, 2.6]), min_size=12, max_size=12),
    resets=st.lists(moments, max_size=3),
    peaks=st.lists(moments, max_size=2),
    stops=st.none() | moments,
    trips=st.none() | moments,
    waits=st.booleans(),
)
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=[Part.explicit, Part.generate]
)
def test_whatever_comes_between_the_bench_ends_safe_and_a_run_that_goes_on_has_its_valves_back(
    bench: Any, takes_s: Any, resets: Any, peaks: Any, stops: Any, trips: Any, waits: bool
) -> None:
    toys = bench([HELD[0], {"wait": "0.4 s"}, HELD[1]] if waits else HELD, clock=VirtualClock())
    left = list(takes_s)
    slow_down(toys, lambda t: left.pop() if 2.0 < t < 12.0 and left else 0.0)
    toys.box.safe = lambda: [toys.box.set_valve(name, on) for name, on in SAFE.items()] and "safe"
    toys.gauge.pressure = pressure((2.05, 3.05, 60.0), *((t, t + 0.5, 60.0) for t in peaks))
    mass = Interlock("mass", "scale.mass", high=math.inf if trips is None else trips)
    at = [(t, reset()) for t in [*resets, 14.0, 16.0]] + ([] if stops is None else [(stops, stop)])
    end = toys.run(Phase("one", for_s=8.0), interlocks=[HOLD, mass], teardown=[], at=at)
    assert toys.box.valves() == SAFE
    assert [one["state"] for one in toys.of("hold")] == ["begin", "end"] * (len(toys.of("hold")) // 2)
    if end.status is Status.COMPLETED:
        ended_s = toys.of("phase")[-1]["t"]
        moves = {name: on for t, name, on in toys.box.moves if t < ended_s}
        assert {**dict.fromkeys(SAFE, False), **moves} == RUNNING
    else:
        assert stops is not None or trips is not None or "the hold cannot be ended" in end.reason
