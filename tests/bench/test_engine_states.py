"""Whatever persons, channels and instruments do, in whatever order: a run ends once, safe, and repeats nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Part
from hypothesis import strategies as st

import data.journal
from bench.latch import Latches
from data.checks import Status
from data.samples import Quality
from instruments.clock import VirtualClock
from instruments.instrument import InstrumentDisconnected, InstrumentTimeout
from protocols.interlock import Interlock
from protocols.prompts import Confirm
from protocols.steps import Phase, SetValve, StartDelivery, Tare, above

EXAMPLES = 60 if settings.get_current_profile_name() != "explore" else 3000

TELLS_S = 300.0
"""From here on somebody looks after the bench: answers, resets, resumes, and stops the run at last."""

PERSON = ("stop", "pause", "resume", "reset hold", "reset stop", "answer", "wrong answer", "note")
BENCH = ("high", "higher", "lose", "disconnect", "bad", "overload", "stuck valve", "hang", "break")

moments = st.floats(0.0, 200.0)
person = st.lists(st.tuples(moments, st.sampled_from(PERSON)), max_size=8)
bench = st.lists(st.tuples(moments, st.sampled_from(BENCH), st.floats(1.0, 60.0)), max_size=4)

INTERLOCKS = (
    Interlock("hold", "gauge.pressure", high=50.0, slew_per_s=2.0, action="hold", reset_band=5.0),
    Interlock("stop", "gauge.pressure", high=80.0, slew_per_s=2.0, max_outage_s=40.0),
    Interlock("gap", "scale.mass", max_outage_s=5.0, action="flag-gap", flags=("scale.mass", "gauge.pressure")),
    Interlock("full", "scale.mass", high=1e6, quality=Quality.DEVICE_ERROR, armed="delivery"),
    Interlock("calm", "gauge.pressure", low=0.0, action="log", armed=("two",), settle_s=2.0),
)
STEPS = (
    Tare("balance"),
    SetValve("box.outlet", True),
    Phase("one", for_s=40.0),
    Confirm("look", "", "Look at the line."),
    StartDelivery("pump"),
    SetValve("vent", False),
    Phase("two", until=above("pressure", 30.0), at_most_s=50.0),
    SetValve("vent", True),
)
TEARDOWN = (SetValve("box.outlet", True), Phase("rest", for_s=5.0), SetValve("box.outlet", False))
HELD = [{"valve": "box.vent", "on": True}, {"wait": "0.5 s"}, {"valve": "box.outlet", "on": False}]
SAFE = [
    {"valve": "box.vent", "on": True, "phases": ["two"]},
    {"wait": "1 s", "phases": ["two"]},
    {"valve": "box.outlet", "on": False, "phases": ["two"]},
    {"valve": "box.vent", "on": True},
    {"valve": "box.outlet", "on": False},
]


@dataclass
class Play:
    """A toy bench to which things happen."""

    toys: Any
    happens: list[tuple[float, str, float]]

    def __post_init__(self) -> None:
        toys = self.toys
        toys.gauge.pressure = self._pressure
        toys.gauge.lost = [(t, t + for_s) for t, what, for_s in self.happens if what in ("lose", "disconnect")]
        toys.gauge.bad = [(t, t + for_s) for t, what, for_s in self.happens if what == "bad"]
        toys.scale.lost = [(t, t + for_s) for t, what, for_s in self.happens if what == "disconnect"]
        self._wrap(toys.scale, "sample", self._overloaded)
        self._wrap(toys.gauge, "read", self._hanging)
        self._wrap(toys.box, "set_valve", self._stuck)
        toys.box.safe = self._made_safe

    def now(self, *whats: str) -> float:
        """Until when one of these happens; 0 when none does now."""
        now = self.toys.clock.now()
        return max(
            (t + for_s for t, what, for_s in self.happens if what in whats and t <= now < t + for_s), default=0.0
        )

    def _pressure(self, t: float) -> float:
        values = {"high": 60.0, "higher": 90.0}
        return max(
            (values[what] for at, what, for_s in self.happens if what in values and at <= t < at + for_s), default=10.0
        )

    def _wrap(self, toy: Any, name: str, around: Callable[..., Any]) -> None:
        usual = getattr(toy, name)
        setattr(toy, name, lambda *args: around(usual, *args))

    def _overloaded(self, usual: Callable[[], Any]) -> Any:
        reading = usual()
        bits = int(Quality.DEVICE_ERROR) if self.now("overload") else 0
        return replace(reading, quality=(bits,))

    def _hanging(self, usual: Callable[[int], Any], most: int) -> Any:
        if until_s := self.now("hang"):
            self.toys.clock.sleep_until(until_s)
            raise InstrumentTimeout("gauge", "no reply")
        if self.now("disconnect"):
            raise InstrumentDisconnected("gauge", "is not there")
        if self.now("break"):
            raise ZeroDivisionError("a bug")
        return usual(most)

    def _made_safe(self) -> str:
        for name, on in (("vent", True), ("outlet", False)):
            self.toys.box.set_valve(name, on)
        return "safe"

    def _stuck(self, usual: Callable[[str, bool], None], name: str, on: bool) -> None:
        if until_s := self.now("stuck valve"):
            self.toys.clock.sleep_until(min(until_s, self.toys.clock.now() + 2.0))
        usual(name, on)


def does(what: str) -> Callable[[Any], object]:
    """What a person does."""
    return {
        "stop": lambda engine: engine.stop("Ada", "enough"),
        "pause": lambda engine: engine.pause("Ada"),
        "resume": lambda engine: engine.resume("Ada"),
        "note": lambda engine: engine.note("Ada", "hm"),
        "reset hold": lambda engine: engine.reset_interlock("hold", "Ada", "looked"),
        "reset stop": lambda engine: engine.reset_interlock("stop", "Ada", "looked"),
        "answer": lambda engine: engine.answer("look", "done", "Ada"),
        "wrong answer": lambda engine: engine.answer("look", "no", "Ada"),
    }[what]


def looking_after() -> list[tuple[float, str]]:
    """Somebody comes at last, does what is to be done, and stops a run that goes on all the same."""
    rounds = [(TELLS_S + 20.0 * k, what) for k in range(10) for what in ("resume", "reset hold", "answer")]
    return [*rounds, (TELLS_S + 400.0, "stop")]


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the disk confirms is tested elsewhere."""
    monkeypatch.setattr(data.journal.os, "fdatasync", lambda fd: None)


@pytest.mark.usefixtures("quick_disk")
@given(person, bench)
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=[Part.explicit, Part.generate]
)
def test_each_run_ends_once_safe_and_repeats_nothing(
    toy_bench: Any, script: list[tuple[float, str]], happens: list[tuple[float, str, float]]
) -> None:
    with TemporaryDirectory() as folder:
        latches = Latches(Path(folder) / "toys.latches")
        toys = toy_bench(clock=VirtualClock(), latches=latches, stated={"hold": HELD, "safe_state": SAFE})
        Play(toys, happens)
        at = [(t, does(what)) for t, what in [*script, *looking_after()]]
        end = toys.run(*STEPS, at=at, interlocks=INTERLOCKS, teardown=TEARDOWN)
        ends_once(toys, end)
        repeats_nothing(toys, end)
        is_safe(toys, end)
        is_latched_as_told(toys, end, latches)


def ends_once(toys: Any, end: Any) -> None:
    assert toys.clock.now() < TELLS_S + 500.0
    assert [status["status"] for status in toys.of("status")] == [str(end.status)]
    assert toys.records[-1].kind == "status"
    assert all(toy.closed for toy in (toys.gauge, toys.scale, toys.box, toys.pump))


def repeats_nothing(toys: Any, end: Any) -> None:
    begun = [step["index"] for step in toys.of("step") if step["state"] == "begin"]
    ended = [step["index"] for step in toys.of("step") if step["state"] == "end"]
    assert begun == list(range(len(begun)))
    assert ended == begun[: len(ended)]
    if end.status is Status.COMPLETED:
        assert ended == list(range(len(STEPS)))
    torn_down = [step["name"] for step in toys.of("teardown")]
    assert len(torn_down) <= len(TEARDOWN)


def is_safe(toys: Any, end: Any) -> None:
    assert toys.box.valves() == {"vent": True, "outlet": False, "diverter": False}
    went_safe = toys.of("safe-state")
    assert len(went_safe) <= 1
    assert {f"{toy.name}: safe" for toy in (toys.gauge, toys.scale, toys.box, toys.pump)} <= {
        one["what"] for one in toys.of("confirm")
    }
    if went_safe:
        assert end.status is not Status.COMPLETED
        settled_s = went_safe[0]["t"] + 4.0  # a valve that is stuck may come late, and is then moved back
        assert all((name, on) in (("vent", True), ("outlet", False)) for t, name, on in toys.box.moves if t > settled_s)
    spans = [(one["state"], one["t"]) for one in toys.of("hold")]
    assert [state for state, _ in spans] == ["begin", "end"] * (len(spans) // 2)


def is_latched_as_told(toys: Any, end: Any, latches: Latches) -> None:
    latched = {one["name"] for one in toys.of("interlock") if one["action"] in ("hold", "stop")}
    last = {}
    for one in [*toys.of("interlock"), *toys.of("reset")]:
        if one.get("action") in ("hold", "stop") or "person" in one:
            last[one["name"]] = max(last.get(one["name"], (-1.0, False)), (one["t"], "person" not in one))
    assert {latch.interlock for latch in latches.standing()} == {name for name, (_, on) in last.items() if on}
    if end.status is Status.STOPPED_BY_INTERLOCK:
        assert latched, end


@pytest.mark.parametrize(
    ("what", "sign"),
    [
        ("high", "hold"),
        ("higher", "above 80 kPa"),
        ("lose", "gave no good sample for 40 s"),
        ("disconnect", "gave no good sample for 40 s"),
        ("bad", "gave no good sample for 40 s"),
        ("overload", "scale.mass was device-error"),
        ("stuck valve", "not confirmed, no answer within 1 s"),
        ("hang", "gave no good sample for 40 s"),
        ("break", "ZeroDivisionError"),
    ],
)
def test_what_happens_reaches_the_engine(toy_bench: Any, what: str, sign: str) -> None:
    """Else the test above would prove nothing."""
    toys = toy_bench(stated={"hold": HELD, "safe_state": SAFE})
    Play(toys, [(20.0, what, 100.0)])
    at = [(t, does(word)) for t, word in [(50.0, "answer"), (110.0, "stop"), *looking_after()]]
    toys.run(*STEPS, at=at, interlocks=INTERLOCKS, teardown=TEARDOWN)
    assert any(sign in str(record.fields.values()) for record in toys.records)
