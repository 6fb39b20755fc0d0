"""The engine: steps in order, pauses without replay, every way to end, and safe hardware after all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.checks import Status
from instruments.clock import VirtualClock
from protocols.interlock import Interlock
from protocols.steps import Phase, SetValve, StartDelivery, Tare, above, below

HIGH = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=1.0)


def ramp(from_s: float, kpa_per_s: float = 1.0) -> Callable[[float], float]:
    return lambda t: 10.0 + max(0.0, t - from_s) * kpa_per_s


# ------------------------------------------------------------------------------------------------- a normal end


def test_a_run_goes_through_its_steps_and_leaves_the_bench_safe(toys: Any) -> None:
    end = toys.run(SetValve("vent", True), Phase("one", for_s=30.0), Phase("two", for_s=20.0))
    assert end.status is Status.COMPLETED
    assert [(step["index"], step["state"]) for step in toys.of("step")] == [
        (index, state) for index in range(3) for state in ("begin", "end")
    ]
    assert [phase["t"] for phase in toys.of("phase")] == [0.0, 30.0, 30.0, 50.0]
    assert [(name, on) for _, name, on in toys.box.moves] == [
        ("vent", True),
        ("outlet", False),  # teardown
        ("vent", True),  # safe state, in its order
        ("outlet", False),
    ]
    assert all(outcome["confirmed"] for outcome in toys.of("confirm"))
    assert [status["status"] for status in toys.of("status")] == ["completed"]
    assert [toy.closed for toy in (toys.gauge, toys.scale, toys.box)] == [True] * 3


def test_every_sample_until_the_end_is_recorded_once(toys: Any) -> None:
    toys.run(Phase("one", for_s=100.0), longest_block_s=7.0)
    indices = [
        k for block in toys.blocks if block.stream == "gauge" for k in range(block.first, block.first + len(block.t))
    ]
    assert indices == list(range(1000))
    masses = [float(v) for block in toys.blocks if block.stream == "scale" for v in block.values[:, 0]]
    assert masses == [float(second) for second in range(100)]


def test_what_lies_behind_a_hole_is_read_before_the_end(toys: Any) -> None:
    toys.gauge.hole = (900, 5)
    toys.run(Phase("one", for_s=100.0), longest_block_s=40.0)
    blocks = [block for block in toys.blocks if block.stream == "gauge"]
    indices = [block.first + k for block in blocks for k in range(len(block.t))]
    assert indices == [k for k in range(1000) if not 900 <= k < 905]


# ------------------------------------------------------------------------------------------------------- pauses


def test_a_pause_makes_the_phase_longer_and_repeats_nothing(toys: Any) -> None:
    pause, resume = (20.0, lambda engine: engine.pause("Ada")), (50.0, lambda engine: engine.resume("Bob"))
    toys.run(SetValve("vent", False), Phase("one", for_s=60.0), at=[pause, resume])
    assert [phase["t"] for phase in toys.of("phase")] == [0.0, 90.0]
    assert [(p["t"], p["state"], p["person"], p["phase"]) for p in toys.of("pause")] == [
        (20.0, "begin", "Ada", "one"),
        (50.0, "end", "Bob", "one"),
    ]
    assert [step["name"] for step in toys.of("step") if step["state"] == "begin"] == [
        "SetValve vent False",
        "Phase one 60.0",
    ]
    assert len([move for move in toys.box.moves if move[:2] == (0.0, "vent")]) == 1
    gauged = sum(len(block.t) for block in toys.blocks if block.stream == "gauge")
    assert gauged == 900, "sampling goes on in a pause"


def test_a_run_paused_twice_is_longer_by_both_pauses(toys: Any) -> None:
    commands = [
        (t, (lambda engine: engine.pause("Ada")) if kind == "p" else (lambda engine: engine.resume("Ada")))
        for t, kind in ((5.0, "p"), (6.0, "p"), (15.0, "r"), (16.0, "r"), (30.0, "p"), (40.0, "r"))
    ]
    toys.run(Phase("one", for_s=30.0), at=commands)
    assert [phase["t"] for phase in toys.of("phase")] == [0.0, 50.0]
    assert len(toys.of("pause")) == 4


def test_nothing_moves_while_a_run_is_paused_between_steps(toys: Any) -> None:
    toys.scale.tare_s = 20.0
    at = [(10.0, lambda engine: engine.pause("Ada")), (50.0, lambda engine: engine.resume("Ada"))]
    toys.run(Tare("balance"), SetValve("vent", True), at=at)
    assert toys.box.moves[0][0] == 50.0


# -------------------------------------------------------------------------------------------- a person's stop


def test_a_persons_stop_does_the_teardown_and_then_goes_safe(toys: Any) -> None:
    end = toys.run(
        Phase("one", for_s=1000.0),
        at=[(33.0, lambda engine: engine.stop("Ada", "wrong pump"))],
        teardown=[SetValve("box.outlet", True), Phase("vent", for_s=7.0), SetValve("box.outlet", False)],
    )
    assert (end.status, end.person, end.reason) == (Status.ABORTED, "Ada", "wrong pump")
    assert toys.of("status")[0]["person"] == "Ada"
    assert toys.box.moves == [
        (33.0, "outlet", True),
        (40.0, "outlet", False),
        (40.0, "vent", True),
        (40.0, "outlet", False),
    ]
    assert [step["outcome"] for step in toys.of("teardown")] == ["done"] * 3


def test_a_second_stop_changes_nothing(toys: Any) -> None:
    stops = [(t, lambda engine, t=t: engine.stop("Ada", f"at {t:g}")) for t in (5.0, 6.0)]
    end = toys.run(Phase("one", for_s=60.0), at=stops, teardown=[Phase("slow", for_s=10.0)])
    assert end.reason == "at 5"
    assert toys.of("status")[0]["t"] >= 15.0


def test_a_paused_run_can_be_stopped(toys: Any) -> None:
    at = [(5.0, lambda engine: engine.pause("Ada")), (9.0, lambda engine: engine.stop("Ada", "enough"))]
    assert toys.run(at=at).status is Status.ABORTED
    assert toys.of("phase")[-1]["t"] == 9.0


def test_a_teardown_step_that_fails_does_not_keep_the_bench_from_going_safe(toys: Any) -> None:
    toys.box.stuck = {"outlet"}
    end = toys.run(teardown=[SetValve("box.outlet", True), SetValve("vent", False)])
    assert end.status is Status.COMPLETED
    outcomes = [step["outcome"] for step in toys.of("teardown")]
    assert outcomes[0].startswith("not done: ")
    assert outcomes[1] == "done"
    assert toys.box.valves()["vent"] is True


# ---------------------------------------------------------------------------------------------------- interlocks


def test_an_interlock_goes_safe_at_once_in_order_and_skips_the_teardown(toys: Any) -> None:
    toys.gauge.pressure = ramp(20.05)
    end = toys.run(Phase("one", for_s=600.0), interlocks=[HIGH])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert "gauge.pressure was 50.05 kPa, above 50 kPa" in end.reason
    moved = [(round(t, 6), name, on) for t, name, on in toys.box.moves]
    assert moved == [(60.1, "vent", True), (60.1, "outlet", False)]
    assert toys.of("teardown") == []
    (trip,) = toys.of("interlock")
    assert trip["value"] == pytest.approx(50.05)
    assert trip["reaction_s"] == pytest.approx(0.0, abs=1e-9)
    kinds = [record.kind for record in toys.records]
    assert kinds.index("safe-state") < kinds.index("confirm") < kinds.index("interlock") < kinds.index("status")
    assert [outcome["what"] for outcome in toys.of("confirm")] == [
        "valve box.vent energised",
        "valve box.outlet released",
        "gauge: safe",
        "scale: safe",
        "box: safe",
        "pump: safe",
    ]


def test_a_trip_does_not_depend_on_the_longest_block(toy_bench: Any) -> None:
    trips = []
    for longest_block_s in (0.1, 1.0, 30.0, 60.0):
        toys = toy_bench(clock=VirtualClock())
        toys.gauge.pressure = lambda t: ramp(20.05)(t) + 0.3 * ((t * 7.3) % 1.0)
        toys.run(Phase("one", for_s=600.0), interlocks=[HIGH], longest_block_s=longest_block_s)
        trips.append([(record.kind, record.t, record.fields) for record in toys.records])
    assert trips[1:] == trips[:1] * 3
    assert toys.of("interlock")[0]["t"] == pytest.approx(60.1)


def test_noise_near_a_limit_shortens_the_blocks(toys: Any) -> None:
    """Without the margin a long block would begin 0.5 kPa below the limit and swallow the crossing."""
    toys.gauge.pressure = lambda t: 49.5 + (0.4 if round(t * 10) % 2 else 0.0) + (0.2 if t > 302.05 else 0.0)
    slow = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=0.02)
    toys.run(Phase("one", for_s=600.0), interlocks=[slow])
    assert toys.of("interlock")[0]["reaction_s"] < 0.05
    assert toys.of("safe-state")[0]["t"] == pytest.approx(302.1)


def test_far_from_its_limit_an_interlock_costs_nothing(toys: Any) -> None:
    toys.run(Phase("one", for_s=3600.0), interlocks=[Interlock("p", "gauge.pressure", high=150.0, slew_per_s=1.0)])
    assert toys.gauge.reads < 75


def test_nothing_undoes_the_safe_state(toys: Any) -> None:
    toys.gauge.pressure = ramp(5.0, 100.0)
    toys.run(Phase("one", for_s=3.0), Phase("two", for_s=60.0), SetValve("vent", False), interlocks=[HIGH])
    assert [(name, on) for _, name, on in toys.box.moves] == [("vent", True), ("outlet", False)]


def test_a_trip_does_not_wait_for_a_command_that_is_on_its_way(toys: Any) -> None:
    toys.scale.tare_s = 120.0
    toys.gauge.pressure = ramp(20.05)
    end = toys.run(Tare("balance"), SetValve("vent", False), interlocks=[HIGH])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert toys.of("safe-state")[0]["t"] == pytest.approx(60.1)
    assert [(name, on) for _, name, on in toys.box.moves] == [("vent", True), ("outlet", False)]


def test_a_log_interlock_records_each_excursion_and_the_run_goes_on(toys: Any) -> None:
    toys.gauge.pressure = lambda t: 60.0 if 10.0 <= t < 20.0 or 30.0 <= t < 40.0 else 10.0
    band = Interlock("note", "gauge.pressure", high=50.0, action="log", slew_per_s=1.0)
    assert toys.run(interlocks=[band]).status is Status.COMPLETED
    assert [round(one["sample_s"]) for one in toys.of("interlock")] == [10, 30]


def test_an_interlock_may_wait_for_delivery_to_be_armed(toys: Any) -> None:
    waiting = replace(HIGH, armed="delivery")
    toys.gauge.pressure = lambda t: 60.0
    end = toys.run(
        Phase("before", for_s=100.03), StartDelivery("pump"), Phase("after", for_s=60.0), interlocks=[waiting]
    )
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert 100.03 <= toys.of("interlock")[0]["sample_s"] < 100.3


def test_an_interlock_in_the_teardown_is_how_the_run_ended(toys: Any) -> None:
    toys.gauge.pressure = ramp(60.0)
    end = toys.run(teardown=[Phase("slow", for_s=600.0), SetValve("box.outlet", True)], interlocks=[HIGH])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert ("outlet", True) not in [(name, on) for _, name, on in toys.box.moves]


def test_the_band_of_an_interlock_holds_for_the_true_value(toy_bench: Any) -> None:
    certificate = {"certificate": "C-1", "due": "2030-01-01", "gain": 2.0, "offset": 5.0}
    toys = toy_bench(calibration=certificate)  # 20 kPa shown are 50 kPa
    toys.gauge.pressure = lambda t: 10.0 + t * 0.5
    end = toys.run(interlocks=[HIGH])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    (trip,) = toys.of("interlock")
    assert trip["value"] == pytest.approx(50.1)
    assert trip["sample_s"] == pytest.approx(20.1)


# -------------------------------------------------------------------------------------------------------- outages


def test_a_lost_channel_that_guards_trips_after_its_outage(toys: Any) -> None:
    toys.gauge.lost = [(100.0, 1e9)]
    guard = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=0.01, max_outage_s=30.0)
    end = toys.run(Phase("one", for_s=600.0), interlocks=[guard])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert "no good sample for 30 s" in end.reason
    assert 100.0 < toys.of("safe-state")[0]["t"] <= 131.0
    assert toys.of("interlock")[0]["value"] is None


def test_samples_that_are_no_good_are_an_outage_too(toys: Any) -> None:
    toys.gauge.bad = [(100.0, 1e9)]
    guard = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=0.01, max_outage_s=30.0)
    assert toys.run(Phase("one", for_s=600.0), interlocks=[guard]).status is Status.STOPPED_BY_INTERLOCK
    assert toys.of("safe-state")[0]["t"] == pytest.approx(130.0, abs=0.2)


@pytest.mark.parametrize("longest_block_s", [1.0, 60.0])
def test_a_lost_instrument_that_guards_nothing_is_a_gap(toys: Any, longest_block_s: float) -> None:
    toys.gauge.lost = [(100.0, 160.0)]
    toys.scale.lost = [(200.0, 230.0)]
    assert toys.run(Phase("one", for_s=600.0), longest_block_s=longest_block_s).status is Status.COMPLETED
    outages = [(one["instrument"], one["state"]) for one in toys.of("outage")]
    assert outages == [(name, state) for name in ("gauge", "scale") for state in ("begin", "end")]
    assert toys.of("outage")[3]["lasted_s"] == pytest.approx(30.0, abs=1.1)
    assert sum(len(block.t) for block in toys.blocks if block.stream == "scale") == 570


def test_samples_that_are_missing_without_an_outage_are_told(toys: Any) -> None:
    toys.gauge.hole = (900, 5)
    toys.run(Phase("one", for_s=100.0), longest_block_s=40.0)
    (gap,) = toys.of("gap")
    assert (gap["instrument"], gap["samples"], gap["places"]) == ("gauge", 5, 1)
    assert (gap["from_s"], gap["to_s"]) == pytest.approx((89.9, 90.5), abs=0.01)


def test_readings_that_a_slow_instrument_misses_are_told_together(toys: Any) -> None:
    usual = toys.scale.sample

    def slow() -> Any:
        reading = usual()
        toys.clock.sleep(2.5 if 20.0 <= reading.t < 40.0 else 0.0)  # as a reconnection within a retry takes
        return reading

    toys.scale.sample = slow
    toys.run(Phase("one", for_s=100.0))
    (gap,) = toys.of("gap")
    assert (gap["instrument"], gap["samples"], gap["places"]) == ("scale", 14, 7)
    assert (gap["from_s"], gap["to_s"]) == (20.0, 41.0)
    assert toys.of("outage") == []


def test_an_outage_is_not_told_as_a_gap_too(toys: Any) -> None:
    toys.gauge.lost, toys.scale.lost = [(30.0, 40.0)], [(50.0, 60.0)]
    toys.run(Phase("one", for_s=100.0))
    assert toys.of("gap") == []


def test_a_missing_instrument_ends_the_run_with_an_error_and_a_readable_record(toys: Any) -> None:
    toys.scale.missing = True
    end = toys.run()
    assert (end.status, end.reason) == (Status.ERROR, 'instrument "scale": cannot be opened; check its cable')
    assert toys.of("status")[0]["status"] == "error"
    assert [(name, on) for _, name, on in toys.box.moves] == [("vent", True), ("outlet", False)]


# ------------------------------------------------------------------------------------------------- broken programs


def test_a_driver_that_breaks_goes_safe_and_leaves_its_traceback(toys: Any) -> None:
    def broken(t: float) -> float:
        return 1.0 / 0.0 if t > 20.0 else 1.0

    toys.gauge.pressure = broken
    end = toys.run(longest_block_s=1.0)
    assert (end.status, end.reason) == (Status.ERROR, "ZeroDivisionError: float division by zero")
    assert "in broken" in toys.of("traceback")[0]["text"]
    assert [(name, on) for _, name, on in toys.box.moves] == [("vent", True), ("outlet", False)]


def test_a_step_that_breaks_goes_safe_too(toys: Any) -> None:
    end = toys.run(SetValve("nowhere", True))
    assert end.status is Status.ERROR
    assert end.reason.startswith("KeyError")
    assert toys.box.valves() == {"vent": True, "outlet": False, "diverter": False}


def test_a_make_safe_that_hangs_or_breaks_is_not_confirmed_and_holds_up_nobody(toys: Any) -> None:
    def hangs() -> str:
        toys.clock.wait(toys.clock.event())
        return "never"

    def breaks() -> str:
        raise RuntimeError("a bug")

    toys.gauge.safe, toys.scale.safe = hangs, breaks
    assert toys.run().status is Status.COMPLETED
    outcomes = {outcome["what"]: outcome["confirmed"] for outcome in toys.of("confirm")}
    assert outcomes['instrument "gauge": not confirmed, no answer within 5 s'] is False
    assert outcomes['instrument "scale": not confirmed, RuntimeError: a bug'] is False
    assert outcomes["box: safe"] is True


def test_a_valve_whose_driver_breaks_does_not_keep_the_next_from_moving(toys: Any) -> None:
    move = toys.box.set_valve

    def broken(name: str, on: bool) -> None:
        if name == "vent":
            raise RuntimeError("a bug")
        move(name, on)

    toys.box.set_valve = broken
    toys.gauge.pressure = ramp(5.0)
    assert toys.run(interlocks=[HIGH]).status is Status.STOPPED_BY_INTERLOCK
    first, second = toys.of("confirm")[:2]
    assert first["what"] == "valve box.vent energised: not confirmed, RuntimeError: a bug"
    assert (second["what"], second["confirmed"]) == ("valve box.outlet released", True)


def test_a_valve_that_does_not_move_is_not_confirmed(toys: Any) -> None:
    toys.box.stuck = {"vent"}
    toys.gauge.pressure = ramp(5.0)
    toys.run(interlocks=[HIGH])
    first = toys.of("confirm")[0]
    assert (first["what"], first["confirmed"]) == (
        "valve box.vent energised: not confirmed, it reads back otherwise",
        False,
    )
    assert toys.box.moves[-1][1] == "outlet"


# ------------------------------------------------------------------------------------------------------ conditions


def test_a_phase_ends_when_its_condition_is_met(toys: Any) -> None:
    toys.gauge.pressure = ramp(20.05)
    toys.run(Phase("rise", until=above("pressure", 40.0), at_most_s=600.0), interlocks=[HIGH])
    assert toys.of("phase")[-1]["t"] == pytest.approx(50.1)
    assert toys.of("condition")[0]["value"] == pytest.approx(40.05)
    assert toys.end.status is Status.COMPLETED


def test_a_condition_that_is_never_met_ends_with_the_longest_time(toys: Any) -> None:
    toys.run(Phase("fall", until=below("pressure", 5.0), at_most_s=40.0))
    assert toys.of("phase")[-1]["t"] == 40.0
    assert toys.of("condition") == []


def test_samples_from_before_a_phase_cannot_meet_its_condition(toys: Any) -> None:
    toys.gauge.pressure = lambda t: 60.0 if t < 19.95 else 10.0
    toys.run(Phase("one", for_s=20.0), Phase("rise", until=above("pressure", 50.0), at_most_s=30.0))
    assert toys.of("condition") == []
    assert toys.of("phase")[-1]["t"] == 50.0


def test_a_condition_can_count_from_the_mean_of_an_earlier_phase(toy_bench: Any) -> None:
    certificate = {"certificate": "C-1", "due": "2030-01-01", "gain": 2.0, "offset": 5.0}
    toys = toy_bench(calibration=certificate)
    toys.gauge.pressure = ramp(30.0)  # 10 kPa shown, 30 kPa true, then 2 kPa a second
    rise = Phase("rise", until=above("pressure", 20.0, relative_to="baseline"), at_most_s=600.0)
    toys.run(Phase("baseline", for_s=30.0), rise)
    assert toys.of("condition")[0]["value"] == pytest.approx(50.0, abs=0.21)
    assert toys.of("phase")[-1]["t"] == pytest.approx(40.05, abs=0.06)


def test_a_condition_uses_the_slew_that_the_station_states_for_the_channel(toys: Any) -> None:
    toys.run(Phase("rise", until=above("pressure", 200.0), at_most_s=100.0))
    assert toys.gauge.reads > 900, "without a slew every sample is a block"
    toys.station_interlocks = [Interlock("p", "gauge.pressure", high=500.0, slew_per_s=1.0)]
    before = toys.gauge.reads
    toys.run(Phase("rise", until=above("pressure", 200.0), at_most_s=100.0))
    assert toys.gauge.reads - before < 10


# ------------------------------------------------------------------------------------------------ whatever happens

commands = st.lists(
    st.tuples(
        st.floats(0.0, 200.0),
        st.sampled_from(["stop", "pause", "resume", "over", "lose", "break", "note"]),
    ),
    max_size=6,
)


@given(commands)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_the_run_ends_once_and_safe(toy_bench: Any, script: list[tuple[float, str]]) -> None:
    toys = toy_bench(clock=VirtualClock())
    first = {kind: min((t for t, other in script if other == kind), default=1e9) for kind in ("over", "break")}
    toys.gauge.pressure = lambda t: 1.0 / 0.0 if t > first["break"] else 60.0 if t > first["over"] else 10.0
    toys.gauge.lost = [(t, t + 40.0) for t, kind in script if kind == "lose"]
    doing = {
        "stop": lambda engine: engine.stop("Ada", "enough"),
        "pause": lambda engine: engine.pause("Ada"),
        "resume": lambda engine: engine.resume("Ada"),
        "note": lambda engine: engine.note("Ada", "hm"),
    }
    at = [(t, doing[kind]) for t, kind in script if kind in doing]
    at.append((300.0, doing["resume"]))  # somebody comes back
    guard = Interlock("pressure", "gauge.pressure", high=50.0, slew_per_s=1.0, max_outage_s=30.0)
    end = toys.run(
        Phase("one", for_s=60.0),
        SetValve("vent", False),
        Phase("two", for_s=60.0),
        SetValve("vent", True),
        at=at,
        interlocks=[guard],
        teardown=[SetValve("box.outlet", True), Phase("rest", for_s=5.0), SetValve("box.outlet", False)],
    )
    assert [status["status"] for status in toys.of("status")] == [str(end.status)]
    assert toys.records[-1].kind == "status"
    assert toys.box.valves() == {"vent": True, "outlet": False, "diverter": False}
    assert len([one for one in toys.of("confirm") if one["what"] in ("gauge: safe", "scale: safe", "box: safe")]) == 3
    begun = [step["index"] for step in toys.of("step") if step["state"] == "begin"]
    assert begun == sorted(set(begun)), "no step is done twice"
    tripped = toys.of("safe-state")
    assert len(tripped) <= 1
    if tripped:
        assert end.status in (Status.STOPPED_BY_INTERLOCK, Status.ERROR, Status.ABORTED)
        after = [name for t, name, on in toys.box.moves if t > tripped[0]["t"]]
        assert "vent" not in after or end.status is Status.ABORTED
    if end.status is Status.COMPLETED:
        assert begun == [0, 1, 2, 3]
