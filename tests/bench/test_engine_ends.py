"""A run that is stopped before its first step drives nothing; whatever breaks as a run ends, the bench goes safe."""

from __future__ import annotations

from typing import Any

import pytest

from data.checks import Status
from data.journal import read_journal
from data.samples import Stream
from protocols.steps import Phase

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
