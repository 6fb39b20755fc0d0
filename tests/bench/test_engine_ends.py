"""A run that is stopped before its first step drives nothing; whatever breaks as a run ends, it ends safe and told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.engine import UTC_LOOK_S
from bench.safety import Safety
from bench.watchdog import Watchdog
from data.checks import Status
from data.journal import read_journal
from data.samples import Stream
from instruments.clock import WallClock
from instruments.clock.wall import _boottime_and_utc_offset
from protocols.steps import Phase, SetValve, Step

READY = {"ready": [{"valve": "box.vent", "on": False}, {"valve": "box.outlet", "on": True}]}

STOP = (1.0, lambda engine: engine.stop("Ada", "a hand in the bench"))


# ------------------------------------------------------------------------------------------- before the first step


@pytest.mark.parametrize(("slow", "identified"), [("gauge", ["gauge"]), ("pump", ["gauge", "scale", "box", "pump"])])
def test_a_stop_while_the_instruments_are_opened_drives_nothing_but_the_safe_state(
    toy_bench: Any, slow: str, identified: list[str]
) -> None:
    toys = toy_bench(stated=READY)
    getattr(toys, slow).open = lambda: toys.clock.sleep(5.0)
    end = toys.run(at=[STOP])
    assert (end.status, end.person) == (Status.ABORTED, "Ada")
    assert [one["instrument"] for one in toys.of("identity")] == identified
    assert toys.box.moves == [(5.0, "vent", True), (5.0, "outlet", False)]
    assert toys.of("step") == toys.of("teardown") == []
    assert [one["what"] for one in toys.of("confirm")][-4:] == ["gauge: safe", "scale: safe", "box: safe", "pump: safe"]
    assert toys.records[-1].kind == "status"


def test_the_record_of_a_run_that_was_stopped_before_it_sampled_has_its_channels(toys: Any) -> None:
    toys.gauge.open = lambda: toys.clock.sleep(5.0)
    toys.run(at=[STOP])
    with read_journal(toys.folder / "toy.journal") as reader:
        streams = [one for one in map(reader.decode, reader) if isinstance(one, Stream)]
    assert [stream.name for stream in streams] == ["gauge", "scale"]
    assert toys.blocks == []


def test_a_run_that_is_paused_while_its_instruments_are_opened_moves_nothing_until_it_goes_on(toy_bench: Any) -> None:
    toys = toy_bench(stated=READY)
    toys.scale.open = lambda: toys.clock.sleep(5.0)
    at = [(1.0, lambda engine: engine.pause("Ada")), (50.0, lambda engine: engine.resume("Ada"))]
    assert toys.run(Phase("one", for_s=10.0), at=at).status is Status.COMPLETED
    assert [move[0] for move in toys.box.moves[:2]] == [50.0, 50.0]
    assert toys.of("phase")[0]["t"] == 50.0


# -------------------------------------------------------------------------------------------- what breaks at the end


def made_safe(toys: Any) -> list[str]:
    """What the instruments said when they were made safe, at the end of the run's record."""
    assert toys.records[-1].kind == "status"
    return [one["what"] for one in toys.of("confirm")][-4:]


def broken(name: str) -> Callable[..., Any]:
    """Breaks as a computer does that can make no further thread."""

    def fails(*_: Any) -> Any:
        raise RuntimeError(f"can't start new thread for {name}")

    return fails


def test_a_teardown_that_breaks_does_not_keep_the_bench_from_going_safe(toys: Any) -> None:
    def teardown() -> Iterator[Step]:
        yield SetValve("box.outlet", True)
        raise ValueError("a bug")

    breaks = (0.5, lambda engine: setattr(engine._procedure, "teardown", teardown))
    assert toys.run(at=[breaks]).status is Status.COMPLETED
    assert [step["outcome"] for step in toys.of("teardown")] == ["done"]
    assert toys.box.valves() == {"vent": True, "outlet": False, "diverter": False}
    assert made_safe(toys) == ["gauge: safe", "scale: safe", "box: safe", "pump: safe"]
    assert [one["text"] for one in toys.of("event")] == ["the teardown broke off: ValueError: a bug"]
    assert "a bug" in toys.of("traceback")[0]["text"]


@pytest.mark.parametrize("stop", [[], [STOP]])
def test_a_safe_state_that_breaks_off_leaves_each_instrument_to_its_own(
    toys: Any, stop: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks = (0.5, lambda engine: monkeypatch.setattr("bench.safety.do", broken("a step")))
    assert toys.run(at=[breaks, *stop]).status is (Status.ABORTED if stop else Status.ERROR)
    assert made_safe(toys) == ["gauge: safe", "scale: safe", "box: safe", "pump: safe"]
    assert any("the safe state broke off" in one["text"] for one in toys.of("event"))
    assert all(toy.closed for toy in (toys.gauge, toys.scale, toys.box, toys.pump))


def test_where_not_even_the_instruments_can_be_asked_the_watchdog_is_left_and_the_status_recorded(
    toys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    disarmed: list[set[str]] = []
    monkeypatch.setattr(Safety, "make_safe", broken("an instrument"))
    monkeypatch.setattr(Watchdog, "disarm", lambda _, hanging: disarmed.append(hanging))
    assert toys.run().status is Status.ERROR
    assert disarmed == [{"gauge", "scale", "box", "pump"}]
    assert toys.of("status")[0]["reason"] == "RuntimeError: can't start new thread for an instrument"
    assert toys.box.valves() == {"vent": True, "outlet": False, "diverter": False}


# -------------------------------------------------------------------------------------------- the computer's clock


def test_a_step_of_the_computers_clock_is_told_when_it_is_seen_even_if_it_is_taken_back(
    toy_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shifts_s = [3600.0]  # and back

    def told() -> tuple[float, float]:
        boottime, offset = _boottime_and_utc_offset()
        return boottime, offset + (shifts_s.pop(0) if shifts_s else 0.0)

    toys = toy_bench(clock=WallClock(pace=200.0))
    monkeypatch.setattr("instruments.clock.wall._boottime_and_utc_offset", told)
    assert toys.run(Phase("one", for_s=60.0)).status is Status.COMPLETED
    seen = [(one["text"].split(", ")[0], one["t"]) for one in toys.of("event") if "clock" in one["text"]]
    assert [text for text, _ in seen] == [
        f"the computer's clock was stepped by {step} s" for step in ("+3600.0", "-3600.0")
    ]
    assert UTC_LOOK_S <= seen[0][1] < seen[1][1] <= toys.of("status")[0]["t"]
    assert seen[0][1] < toys.of("phase")[1]["t"]
