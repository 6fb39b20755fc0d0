"""Interlocks of a run: what each action does, how long it lasts, and who may undo it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.latch import Latches
from bench.request import Request
from bench.safety import Safety
from bench.session import conduct
from data.checks import Status
from data.run import Run
from data.samples import Quality
from instruments.clock import Clock, WallClock
from protocols.interlock import Interlock
from protocols.steps import Phase, SetValve, Tare, above, below

HOLD = Interlock("pressure", "gauge.pressure", high=50.0, action="hold", reset_band=5.0)  # pressures jump here: no slew
STOP = replace(HOLD, action="stop", reset_band=0.0)
HELD = [{"valve": "box.vent", "on": True}, {"valve": "box.outlet", "on": False}]


def peak(from_s: float, to_s: float, kpa: float = 60.0) -> Callable[[float], float]:
    """A pressure that is 10 kPa but between two moments."""
    return lambda t: kpa if from_s <= t < to_s else 10.0


def reset(name: str = "pressure", person: str = "Ada", reason: str = "a kink, removed") -> Callable[[Any], str]:
    return lambda engine: engine.reset_interlock(name, person, reason)


@pytest.fixture
def holding(toy_bench: Any) -> Any:
    """A toy bench with a [[hold]], whose pressure is too high from 20.1 to 30.1 s."""
    toys = toy_bench(stated={"hold": HELD})
    toys.gauge.pressure = peak(20.05, 30.05)
    toys.open_outlet()
    return toys


# ------------------------------------------------------------------------------------------------------- holding


def test_a_hold_vents_in_order_and_the_phase_stands_still_until_a_person_resets_it(holding: Any) -> None:
    end = holding.run(Phase("one", for_s=60.0), at=[(45.0, reset())], interlocks=[HOLD], teardown=[])
    assert end.status is Status.COMPLETED
    assert [(round(t, 1), name, on) for t, name, on in holding.box.moves[1:5]] == [
        (20.1, "vent", True),
        (20.1, "outlet", False),
        (45.0, "outlet", True),  # the last one first
        (45.0, "vent", False),
    ]
    assert [phase["t"] for phase in holding.of("phase")] == pytest.approx([0.0, 60.0 + 45.0 - 20.1])
    assert [(one["state"], round(one["t"], 1)) for one in holding.of("hold")] == [("begin", 20.1), ("end", 45.0)]
    gauged = sum(len(block.t) for block in holding.blocks if block.stream == "gauge")
    assert gauged == pytest.approx(849, abs=2), "recording goes on in a hold"


def test_what_is_recorded_in_a_hold_is_flagged(holding: Any) -> None:
    holding.run(Phase("one", for_s=60.0), at=[(45.0, reset())], interlocks=[HOLD])
    for stream, shift_s in (("gauge", 0.1), ("scale", 0.0)):
        blocks = [block for block in holding.blocks if block.stream == stream]
        t = np.concatenate([block.t for block in blocks]) + shift_s
        flagged = np.concatenate([block.quality[:, 0] for block in blocks]) & int(Quality.DISTURBED) != 0
        near_the_end = np.abs(t - 45.0) < 0.01  # when sampler and person act at the same moment
        assert flagged[~near_the_end].tolist() == ((t > 20.09) & (t < 45.0))[~near_the_end].tolist(), stream
    (span,) = [one for one in holding.of("disturbed") if one["why"] == "hold"]
    assert (span["from_s"], span["to_s"]) == (pytest.approx(20.1), 45.0)
    assert span["channels"] == ["gauge.pressure", "scale.mass"]


@pytest.mark.parametrize(
    ("at", "command", "says"),
    [
        (25.0, reset(), "is not back, that is at most 45"),
        (40.0, reset(person=" "), "a named person with a reason"),
        (40.0, reset(reason=""), "a named person with a reason"),
        (40.0, reset("presure"), "there are pressure"),
        (10.0, reset(), "not latched"),
    ],
)
def test_a_reset_that_may_not_be_is_refused_with_a_sentence(
    holding: Any, at: float, command: Callable[[Any], str], says: str
) -> None:
    said: list[str] = []
    commands = [(at, lambda engine: said.append(command(engine))), (100.0, reset())]
    holding.run(Phase("one", for_s=60.0), at=commands, interlocks=[HOLD])
    assert says in said[0]
    assert holding.of("phase")[-1]["t"] == pytest.approx(60.0 + 100.0 - 20.1)


def test_a_reset_is_recorded_at_once_with_person_and_reason(holding: Any) -> None:
    holding.run(Phase("one", for_s=60.0), at=[(45.0, reset())], interlocks=[HOLD])
    (done,) = holding.of("reset")
    assert (done["t"], done["name"], done["person"], done["reason"]) == (45.0, "pressure", "Ada", "a kink, removed")
    (back,) = holding.of("interlock-back")
    assert back["lasted_s"] == pytest.approx(10.0)
    assert back["latched"] is True


def test_the_run_goes_on_when_the_last_of_two_holds_is_reset(holding: Any) -> None:
    mass = Interlock("mass", "scale.mass", high=25.0, action="hold")
    at = [(35.0, reset()), (70.0, reset("mass"))]
    usual = holding.scale.sample

    def sample() -> Any:
        reading = usual()
        return reading if reading.t < 60.0 else replace(reading, values=(0.0,))

    holding.scale.sample = sample
    holding.run(Phase("one", for_s=60.0), at=at, interlocks=[HOLD, mass])
    assert [one["held"] for one in holding.of("reset")] == [True, False]
    assert len(holding.of("hold")) == 2
    assert holding.of("phase")[-1]["t"] == pytest.approx(60.0 + 70.0 - 20.1)


def test_two_interlocks_that_hold_at_once_are_one_hold_that_ends(holding: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the wall clock two samplers may see one event in the same moment."""
    usual, engines = Safety.hold, []
    mass = Interlock("mass", "scale.mass", high=1e6, action="hold")

    def hold(self: Safety, *given: Any) -> float | None:
        if (engine := engines.pop() if engines else None) is not None:
            engine._interlocks._act(engine._interlocks.standing["mass"], "hold", "too heavy")
        return usual(self, *given)

    monkeypatch.setattr(Safety, "hold", hold)
    at = [(1.0, engines.append), (50.0, reset()), (60.0, reset("mass"))]
    holding.run(Phase("one", for_s=60.0), interlocks=[HOLD, mass], teardown=[], at=at)
    gauge = [block for block in holding.blocks if block.stream == "gauge"]
    t, bits = (np.concatenate([getattr(one, what) for one in gauge]) for what in ("t", "quality"))
    assert not np.any(bits[t > 60.2, 0] & int(Quality.DISTURBED))
    assert np.all(bits[(t > 20.2) & (t < 59.8), 0] & int(Quality.DISTURBED))
    assert [one["state"] for one in holding.of("hold")] == ["begin", "end"]


def test_no_step_drives_anything_while_the_bench_is_held(holding: Any) -> None:
    holding.scale.tare_s = 25.0
    holding.run(Tare("balance"), SetValve("vent", True), at=[(60.0, reset())], interlocks=[HOLD], teardown=[])
    assert [round(t, 1) for t, _, _ in holding.box.moves[1:6]] == [20.1, 20.1, 60.0, 60.0, 60.0]


def test_a_run_that_is_held_in_its_last_step_waits_for_the_reset(holding: Any) -> None:
    holding.scale.tare_s = 25.0
    end = holding.run(Tare("balance"), at=[(60.0, reset())], interlocks=[HOLD])
    assert end.status is Status.COMPLETED
    assert [one["outcome"] for one in holding.of("teardown")] == ["done"]
    assert holding.of("status")[0]["t"] >= 60.0


def test_what_a_hold_does_to_the_bench_meets_no_condition(holding: Any) -> None:
    holding.gauge.pressure = lambda t: 60.0 if 20.05 <= t < 30.0 else 40.0 if 30.0 <= t < 40.0 or t > 80.0 else 10.0
    rise = Phase("rise", until=above("pressure", 30.0), at_most_s=600.0)
    calm = Phase("calm", for_s=19.0)
    holding.run(calm, rise, at=[(45.0, reset())], interlocks=[replace(HOLD, high=50.0)])
    (met,) = [one for one in holding.of("condition") if one["sample_s"] > 21.0]
    assert met["sample_s"] == pytest.approx(80.1, abs=0.11)


def test_a_persons_stop_in_a_hold_goes_safe_without_the_teardown(holding: Any) -> None:
    end = holding.run(
        Phase("one", for_s=600.0),
        at=[(40.0, lambda engine: engine.stop("Ada", "enough"))],
        interlocks=[HOLD],
        teardown=[SetValve("box.outlet", True)],
    )
    assert end.status is Status.ABORTED
    assert holding.of("teardown") == []
    assert holding.box.valves() == {"vent": True, "outlet": False, "diverter": False}
    assert holding.of("hold")[-1]["state"] == "end"


def test_a_simulated_bench_that_nobody_resets_does_not_wait_for_ever(
    sim_station: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.engine.SIMULATED_HOLD_S", 600.0)
    limit = 'high = "150 kPa"\nslew = "50 kPa/min"\naction = "stop"'
    hold = '[[hold]]\nvalve = "daq.vent"\non = true\n\n[[safe_state]]'
    changes = {limit: limit.replace("150", "6").replace("stop", "hold"), "[[safe_state]]": hold}
    settings = {"stabilisation": "2 h", "analysis": "1 h", "blank-length": "30 min"}
    station = str(sim_station(tmp_path, changes))
    request = Request("flow-accuracy", station, settings=settings, seed=3, faults=["occlusion@3 min"], out=tmp_path)
    result = conduct(request)
    assert result.end.status is Status.STOPPED_BY_INTERLOCK
    assert result.end.reason.endswith("nobody has reset it for 0.166667 h")
    with Run.open(result.run_file) as run:
        begin, end = (event.t for event in run.records("hold"))
        assert end - begin == pytest.approx(600.0, abs=1.0)
        pressure = run.series("outlet_pressure").within(begin + 1.0, end - 1.0)
        assert (len(pressure) > 5900, len(pressure.good())) == (True, 0)


def test_a_hold_in_the_teardown_is_a_stop_since_nobody_could_end_it(holding: Any) -> None:
    end = holding.run(Phase("one", for_s=10.0), teardown=[Phase("slow", for_s=60.0)], interlocks=[HOLD])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert holding.of("interlock")[0]["action"] == "stop"


def test_a_stop_in_a_hold_stops(holding: Any) -> None:
    holding.gauge.pressure = lambda t: 10.0 if t < 20.05 else 60.0 if t < 30.05 else 100.0
    higher = Interlock("burst", "gauge.pressure", high=80.0)
    end = holding.run(Phase("one", for_s=600.0), at=[(50.0, reset())], interlocks=[HOLD, higher])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert "burst" in end.reason
    assert holding.of("safe-state")[0]["t"] == pytest.approx(30.1)


def test_a_sample_beyond_a_stop_and_a_hold_stops_though_the_hold_was_stated_first(holding: Any) -> None:
    higher = Interlock("burst", "gauge.pressure", high=55.0)
    end = holding.run(Phase("one", for_s=600.0), interlocks=[HOLD, higher])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert next(record["name"] for record in holding.of("interlock")) == "burst"
    assert not holding.of("hold")


def test_a_run_may_be_paused_and_held_at_once(holding: Any) -> None:
    at = [
        (10.0, lambda engine: engine.pause("Ada")),
        (40.0, reset()),
        (50.0, lambda engine: engine.resume("Ada")),
    ]
    holding.run(Phase("one", for_s=60.0), at=at, interlocks=[HOLD])
    assert holding.of("phase")[-1]["t"] == pytest.approx(100.0)


@pytest.fixture
def on_the_wall_clock(toy_bench: Any) -> Any:
    """A toy bench whose pressure is too high from 0.3 s until a valve has moved, then falls: no haste."""
    toys = toy_bench(clock=WallClock(), stated={"hold": HELD})
    toys.gauge.interval_s = 0.01
    toys.gauge.pressure = lambda t: 10.0 if t < 0.3 else 1.0 if toys.box.moves else 60.0
    return toys


FALLEN = Phase("one", until=below("gauge.pressure", 5.0), at_most_s=3600.0)


def test_on_the_wall_clock_a_hold_is_the_same(on_the_wall_clock: Any) -> None:
    toys, objections = on_the_wall_clock, []

    def until_it_is_reset(engine: Any) -> None:
        while objection := reset()(engine):
            objections.append(objection)
            toys.clock.sleep(0.05)

    end = toys.run(FALLEN, at=[(0.0, until_it_is_reset)], interlocks=[HOLD], longest_block_s=0.05)
    assert end.status is Status.COMPLETED
    assert [move[1:] for move in toys.box.moves[:2]] == [("vent", True), ("outlet", False)]
    assert toys.box.moves[0][0] >= 0.3
    assert objections
    assert toys.of("phase")[-1]["t"] >= toys.of("hold")[-1]["t"], "the phase stands still in a hold"


def test_on_the_wall_clock_a_stop_is_the_same(on_the_wall_clock: Any) -> None:
    end = on_the_wall_clock.run(FALLEN, at=[(0.1, reset())], interlocks=[STOP], longest_block_s=0.05)
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert on_the_wall_clock.box.moves[0][1:] == ("vent", True)
    assert on_the_wall_clock.box.moves[0][0] >= 0.3
    assert on_the_wall_clock.of("reset") == []


# ------------------------------------------------------------------------------------------------------ flagging


def test_a_gap_is_flagged_from_the_sample_that_leaves_to_the_one_that_is_back(toys: Any) -> None:
    toys.gauge.pressure = lambda t: 60.0 if 20.05 <= t < 30.05 else 47.0 if 30.05 <= t < 33.05 else 10.0
    gap = replace(HOLD, name="gap", action="flag-gap", flags=("scale.mass", "pressure"))
    assert toys.run(interlocks=[gap], teardown=[]).status is Status.COMPLETED
    blocks = [block for block in toys.blocks if block.stream == "gauge"]
    bits = np.concatenate([block.quality[:, 0] for block in blocks])
    assert np.flatnonzero(bits).tolist() == list(range(200, 330)), "up to the reset band"
    masses = [
        (block.values[k, 0], block.quality[k, 0])
        for block in toys.blocks
        if block.stream == "scale"
        for k in range(len(block.t))
    ]
    assert [value for value, flag in masses if flag] == [float(second) for second in range(21, 34)]
    (span,) = toys.of("disturbed")
    assert span["channels"] == ["scale.mass", "gauge.pressure"]
    assert (span["from_s"], span["to_s"]) == (pytest.approx(20.1), pytest.approx(33.1))


@pytest.mark.parametrize("longest_block_s", [0.1, 1.0, 60.0])
def test_what_is_flagged_does_not_depend_on_the_longest_block(toy_bench: Any, longest_block_s: float) -> None:
    toys = toy_bench()
    toys.gauge.pressure = lambda t: 60.0 if 20.05 <= t < 30.05 else 10.0
    gap = replace(HOLD, action="flag-gap", flags=("scale.mass", "gauge.pressure"))
    toys.run(interlocks=[gap], longest_block_s=longest_block_s)
    for stream, expected in (("gauge", range(200, 300)), ("scale", range(21, 31))):
        bits = np.concatenate([block.quality[:, 0] for block in toys.blocks if block.stream == stream])
        assert np.flatnonzero(bits).tolist() == list(expected)


def test_a_lost_channel_is_flagged_from_its_last_good_sample(toys: Any) -> None:
    toys.gauge.bad = [(100.0, 150.0)]
    gap = Interlock("gap", "gauge.pressure", max_outage_s=10.0, action="flag-gap")
    toys.run(Phase("one", for_s=300.0), interlocks=[gap])
    (span,) = toys.of("disturbed")
    assert (span["from_s"], span["to_s"]) == (pytest.approx(100.0, abs=0.11), pytest.approx(150.0, abs=0.21))


def test_an_open_gap_ends_with_the_run(toys: Any) -> None:
    toys.gauge.pressure = lambda t: 60.0 if t > 20.0 else 10.0
    toys.run(Phase("one", for_s=60.0), interlocks=[replace(HOLD, action="flag-gap")], teardown=[])
    (span,) = toys.of("disturbed")
    assert span["to_s"] == 60.0


def test_what_a_balance_shows_while_it_is_tared_is_flagged(toys: Any) -> None:
    toys.scale.tare_s = 5.0
    toys.run(Phase("one", for_s=10.0), Tare("balance"), Phase("two", for_s=10.0))
    (span,) = toys.of("disturbed")
    assert (span["from_s"], span["to_s"], span["why"]) == (10.0, 15.0, "tare")
    bits = np.concatenate([block.quality[:, 0] for block in toys.blocks if block.stream == "scale"])
    assert np.flatnonzero(bits).tolist() == [10, 11, 12, 13, 14]


# ------------------------------------------------------------------------------------------- arming, noise, quality


def test_an_interlock_may_be_armed_in_some_phases_alone(toys: Any) -> None:
    toys.gauge.pressure = peak(15.0, 100.0)
    closed = replace(STOP, armed=("closed",), settle_s=5.0)
    end = toys.run(Phase("open", for_s=30.0), Phase("closed", for_s=60.0), interlocks=[closed])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    (acted,) = toys.of("interlock")
    assert 35.0 <= acted["sample_s"] <= 35.11
    assert acted["reaction_s"] < 0.11


def test_an_excursion_ends_with_the_phase_in_which_it_is_armed(toys: Any) -> None:
    toys.gauge.pressure = peak(15.05, 1000.0)
    gap = replace(HOLD, action="flag-gap", armed=("closed",))
    toys.run(Phase("closed", for_s=30.0), Phase("open", for_s=30.0), Phase("closed", for_s=30.0), interlocks=[gap])
    spans = [(round(one["from_s"], 1), one["to_s"]) for one in toys.of("disturbed")]
    assert spans == [(15.1, 30.0), (60.0, 90.0)]


def test_noise_at_a_limit_is_one_crossing(toys: Any) -> None:
    toys.gauge.pressure = lambda t: 48.0 if round(t * 10) % 2 else 52.0
    quiet = replace(HOLD, action="log")
    toys.run(interlocks=[quiet, replace(quiet, name="nervous", reset_band=0.0)])
    acted = [one["name"] for one in toys.of("interlock")]
    assert (acted.count("pressure"), acted.count("nervous")) == (1, 300)


def test_an_overloaded_balance_stops_the_run_though_it_shows_no_number(toys: Any) -> None:
    usual = toys.scale.sample

    def sample() -> Any:
        reading = usual()
        over = reading.t >= 30.0
        return replace(reading, values=(float("nan"),), quality=(int(Quality.OVERLOAD),)) if over else reading

    toys.scale.sample = sample
    end = toys.run(interlocks=[Interlock("vessel", "scale.mass", high=1000.0)])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    assert end.reason == 'interlock "vessel": scale.mass was overload'
    assert toys.of("interlock")[0]["sample_s"] == 30.0


def test_what_was_lost_is_told_again_when_it_is_found_beyond_its_limit(toys: Any) -> None:
    toys.gauge.lost = [(20.0, 50.0)]
    toys.gauge.pressure = peak(19.95, 60.0)
    toys.run(Phase("one", for_s=100.0), interlocks=[replace(HOLD, action="log", max_outage_s=10.0)])
    assert [one["state"] for one in toys.of("interlock")] == ["lost", "outside"]
    assert len(toys.of("interlock-back")) == 1


@pytest.mark.parametrize("over", [Quality.OVERLOAD, Quality.SATURATED | Quality.OVERLOAD])
def test_an_overloaded_balance_that_shows_a_number_all_the_same_stops_the_run_and_is_latched(
    toy_bench: Any, tmp_path: Path, over: Quality
) -> None:
    toys = toy_bench(latches=Latches(tmp_path / "toys.latches"))
    usual = toys.scale.sample
    toys.scale.sample = lambda: [reading := usual(), replace(reading, quality=(int(over),))][1]
    end = toys.run(interlocks=[Interlock("vessel", "scale.mass", high=1000.0)])
    assert (end.status, "scale.mass was" in end.reason) == (Status.STOPPED_BY_INTERLOCK, True)
    assert "overload" in end.reason
    assert [latch.interlock for latch in toys.latches.standing()] == ["vessel"]


def test_a_sample_that_is_beyond_its_limit_by_the_rounding_of_its_correction_stops_the_run(toy_bench: Any) -> None:
    calibration = {"certificate": "C-1", "due": "2030-01-01", "gain": 0.5, "offset": 50.3}
    indicated = float(np.nextafter(50.0 / 0.5 - 50.3, 100.0))
    assert 0.5 * (indicated + 50.3) == 50.0, "which is its limit"
    toys = toy_bench(calibration=calibration)
    toys.gauge.pressure = lambda t: indicated
    end = toys.run(interlocks=[STOP])
    assert (end.status, "was 50 kPa" in end.reason) == (Status.STOPPED_BY_INTERLOCK, True)


def test_two_interlocks_of_one_name_are_refused(toys: Any) -> None:
    end = toys.run(interlocks=[STOP, HOLD])
    assert (end.status, 'two interlocks are called "pressure"' in end.reason) == (Status.ERROR, True)


# -------------------------------------------------------------------------------------------------------- latches


def test_a_stop_cannot_be_reset_in_its_run_and_outlives_it(toy_bench: Any, tmp_path: Path) -> None:
    latches = Latches(tmp_path / "stations" / "toys.latches")
    toys = toy_bench(latches=latches)
    toys.gauge.pressure = peak(20.05, 30.05)
    said: list[str] = []
    late = Phase("slow", for_s=0.0)
    toys.box.safe = lambda: [toys.clock.sleep(3.0), "safe"][1]
    toys.run(
        Phase("one", for_s=60.0), late, at=[(21.0, lambda engine: said.append(reset()(engine)))], interlocks=[STOP]
    )
    assert "nothing undoes that" in said[0]
    (latch,) = latches.standing()
    assert (latch.interlock, latch.utc) == ("pressure", "2026-01-01T00:00:20.100+00:00")
    assert "60 kPa, above 50 kPa" in latch.cause


def test_a_hold_is_latched_beyond_its_run_until_it_is_reset(toy_bench: Any, tmp_path: Path) -> None:
    latches = Latches(tmp_path / "toys.latches")
    for at in ([(45.0, reset())], [(45.0, lambda engine: engine.stop("Ada", "enough"))]):
        toys = toy_bench(latches=latches, stated={"hold": HELD})
        toys.gauge.pressure = peak(20.05, 30.05)
        toys.run(Phase("one", for_s=60.0), at=at, interlocks=[HOLD])
    events = [said["event"] for said in latches.history()]
    assert events == ["latch", "reset", "latch"]
    assert [latch.interlock for latch in latches.standing()] == ["pressure"]


@pytest.mark.parametrize("action", ["hold", "stop"])
def test_what_is_latched_is_kept_though_the_safe_state_breaks_off(
    toy_bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: Any
) -> None:
    toys = toy_bench(latches=Latches(tmp_path / "toys.latches"), stated={"hold": HELD})
    toys.gauge.pressure = peak(20.05, 30.05)

    def breaks(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Safety, "_take" if action == "stop" else "hold", breaks)
    end = toys.run(interlocks=[replace(HOLD, action=action)])
    assert end.status is (Status.STOPPED_BY_INTERLOCK if action == "stop" else Status.ERROR)
    assert [latch.interlock for latch in toys.latches.standing()] == ["pressure"]
    assert [one["what"] for one in toys.of("confirm")][-4:] == ["gauge: safe", "scale: safe", "box: safe", "pump: safe"]


def test_a_latch_that_cannot_be_written_is_told(toy_bench: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    toys = toy_bench(latches=Latches(tmp_path / "file" / "toys.latches"))
    toys.gauge.pressure = peak(20.05, 30.05)
    assert toys.run(interlocks=[STOP]).status is Status.STOPPED_BY_INTERLOCK
    said = [event["text"] for event in toys.of("event")]
    assert len([text for text in said if "its latch could not be written" in text]) == 1
    assert 'interlock "pressure": its latch is not kept; the next run here would not ask for it' in said
    assert toys.of("status")


class Busy(Latches):
    """Latches whose disk takes nothing between two moments, and each line only after a while."""

    def __init__(self, file: Path, clock: Clock, from_s: float, to_s: float, takes_s: float = 0.0) -> None:
        super().__init__(file)
        self.clock, self.from_s, self.to_s, self.takes_s = clock, from_s, to_s, takes_s

    def _append(self, said: dict[str, str]) -> None:
        if self.from_s <= self.clock.now() < self.to_s:
            raise OSError(errno.ENOSPC, "No space left on device")
        takes_s, self.takes_s = self.takes_s, 0.0
        self.clock.sleep(takes_s)
        super()._append(said)


def test_a_latch_that_the_disk_does_not_take_is_kept_as_soon_as_there_is_room(toy_bench: Any, tmp_path: Path) -> None:
    toys = toy_bench(stated={"hold": HELD})
    toys.latches = latches = Busy(tmp_path / "toys.latches", toys.clock, 20.0, 200.0)
    toys.gauge.pressure = peak(20.05, 30.05)
    kept: list[int] = []
    at = [(t, lambda _: kept.append(len(latches.standing()))) for t in (199.0, 300.0)]
    toys.run(
        Phase("one", for_s=60.0), at=[*at, (400.0, lambda engine: engine.stop("Ada", "enough"))], interlocks=[HOLD]
    )
    assert kept == [0, 1]
    assert [event["text"] for event in toys.of("event") if "latch" in event["text"]] == [
        'interlock "pressure": its latch could not be written: [Errno 28] No space left on device; it is tried again '
        "until the run ends",
        "the latches are written",
    ]


def test_a_reset_that_a_slow_disk_takes_late_undoes_no_newer_latch(toy_bench: Any, tmp_path: Path) -> None:
    toys = toy_bench(stated={"hold": HELD})
    toys.latches = latches = Busy(tmp_path / "toys.latches", toys.clock, -2.0, -1.0)
    toys.gauge.pressure = lambda t: 60.0 if 20.05 <= t < 30.05 or 50.05 <= t < 60.05 else 10.0

    def reset_slowly(engine: Any) -> str:
        latches.takes_s = 20.0
        return reset()(engine)

    at = [(45.0, reset_slowly), (90.0, lambda engine: engine.stop("Ada", "enough"))]
    toys.run(Phase("one", for_s=60.0), at=at, interlocks=[HOLD])
    assert [said["event"] for said in latches.history()] == ["latch", "reset", "latch"]
    assert [latch.interlock for latch in latches.standing()] == ["pressure"]
