"""Nothing pushes or presses on: no order that comes behind the one that stopped it, nothing that a dead run left."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bench.ordered import driven
from bench.protection import SafeStep
from bench.safety import FIRST_S
from data.checks import Status
from instruments.capabilities import Confirmation, PressureState, SyringeState
from instruments.clock import Clock
from instruments.instrument import Connection, Identity, Instrument, InstrumentDisconnected, Settings
from protocols.interlock import Interlock
from protocols.steps import HaltSyringe, Infuse, IsolatePressure, Phase, SetPressure, Step

STOP = Interlock("pressure", "gauge.pressure", high=50.0)
HOLD = replace(STOP, action="hold", reset_band=5.0)
ORDER_S = 20.0
TAKES_S = 0.3
SAFE = [{"instrument": "pusher", "do": "halt"}, {"instrument": "pace", "do": "vent"}, {"wait": "5 s"}]


class Ordered(Instrument):
    """Executes each order when it comes, `TAKES_S` after it was sent; no order knows of another."""

    max_rate_ul_per_h = 1e5

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, Settings(), clock, Connection())
        self.orders: list[tuple[float, str]] = []
        self.obeys = True

    def open(self) -> None:
        """Nothing to do."""

    def identify(self) -> Identity:
        return Identity("toys", type(self).__name__, "1")

    def close(self) -> None:
        """Nothing to do."""

    def order(self, what: str, takes_s: float = 0.0) -> Confirmation:
        begun = self.clock.now()
        self.clock.sleep(takes_s)
        if self.obeys:
            self.orders.append((self.clock.now(), what))
        return Confirmation(what, "OK", begun, self.clock.now())

    def stood(self, t: float) -> str:
        """What it did at a moment."""
        return next((what for at, what in reversed(self.orders) if at <= t), "")


class Pusher(Ordered):
    """A syringe pump; meets `SyringePump`."""

    def infuse(self, rate_ul_per_h: float, volume_ul: float | None = None) -> Confirmation:
        return self.order("infuse", TAKES_S)

    def withdraw(self, rate_ul_per_h: float, volume_ul: float | None = None) -> Confirmation:
        return self.order("withdraw", TAKES_S)

    def halt(self) -> Confirmation:
        return self.order("halt")

    def clear_counts(self) -> Confirmation:
        return self.order(self.stood(math.inf))

    def syringe_state(self) -> SyringeState:
        return SyringeState("infusing" if self.stood(math.inf) == "infuse" else "stopped", 0.0, 0.0)

    def make_safe(self) -> str:
        self.halt()
        return "halted"


class Pace(Ordered):
    """A pressure controller, which is shut off when it goes safe by itself; meets `PressureController`."""

    def set_pressure(self, pressure_kpa: float, slew_kpa_per_s: float | None = None) -> Confirmation:
        return self.order("control", TAKES_S)

    def isolate(self) -> Confirmation:
        return self.order("measure", TAKES_S)

    def vent(self) -> Confirmation:
        return self.order("vent")

    def pressure_state(self) -> PressureState:
        return PressureState(self.stood(math.inf) or "measure", 30.0)  # type: ignore[arg-type]  # one of its modes

    def make_safe(self) -> str:
        return "left as it is"


@pytest.fixture
def bench(toy_bench: Callable[..., Any]) -> Callable[..., Any]:
    """A bench with a pusher and a controller, whose pressure is too high once an order of the plan is under way."""

    def make(**stated: Any) -> Any:
        toys = toy_bench(stated={"safe_state": SAFE, **stated})
        toys.pusher, toys.pace = Pusher("pusher", toys.clock), Pace("pace", toys.clock)
        toys.more = [toys.pusher, toys.pace]
        toys.gauge.pressure = lambda t: 60.0 if ORDER_S + 0.05 < t < ORDER_S + 10.0 else 10.0
        return toys

    return make


@pytest.mark.parametrize(
    ("step", "name", "safe"),
    [
        (Infuse("pusher", 900.0), "pusher", "halt"),
        (SetPressure("pace", 30.0), "pace", "vent"),
        (IsolatePressure("pace"), "pace", "vent"),
    ],
)
def test_an_order_that_comes_behind_the_safe_state_is_undone_at_once(
    bench: Any, step: Step, name: str, safe: str
) -> None:
    toys = bench()
    end = toys.run(Phase("before", for_s=ORDER_S), step, Phase("after", for_s=60.0), interlocks=[STOP], teardown=[])
    assert end.status is Status.STOPPED_BY_INTERLOCK
    told = getattr(toys, name).orders
    assert [(round(t, 1), what) for t, what in told[:1]] == [(20.1, safe)], "going safe does not wait for the order"
    assert getattr(toys, name).stood(ORDER_S + TAKES_S + 0.01) == safe, "while the safe state waits for 5 s"
    assert getattr(toys, name).stood(math.inf) == safe


def test_an_order_that_comes_behind_a_hold_is_undone_at_once(bench: Any) -> None:
    toys = bench(hold=[{"instrument": "pusher", "do": "halt"}])
    reset = (60.0, lambda engine: engine.reset_interlock("pressure", "Ada", "a kink, removed"))
    steps = Phase("before", for_s=ORDER_S), Infuse("pusher", 900.0), Phase("after", for_s=60.0)
    end = toys.run(*steps, interlocks=[HOLD], teardown=[], at=[reset])
    assert end.status is Status.COMPLETED
    assert toys.pusher.stood(ORDER_S + TAKES_S + 0.01) == "halt"
    assert toys.pusher.stood(59.0) == "halt"


def test_an_order_that_ends_before_anything_happens_stands(bench: Any) -> None:
    toys = bench()
    toys.gauge.pressure = lambda t: 10.0
    toys.run(Infuse("pusher", 900.0), Phase("one", for_s=5.0), HaltSyringe("pusher"), interlocks=[STOP], teardown=[])
    assert [what for _, what in toys.pusher.orders][:2] == ["infuse", "halt"]
    assert not any("late" in one["what"] for one in toys.of("confirm"))


# ------------------------------------------------------------------------------------- a hold whose first step hangs


def test_a_hold_whose_first_step_hangs_keeps_no_stop_waiting(bench: Any) -> None:
    toys = bench(hold=[{"valve": "box.vent", "on": True, "within": "10 s"}])
    usual = toys.box.set_valve
    toys.box.set_valve = lambda name, on: [toys.clock.sleep(60.0 if toys.clock.now() < 30.0 else 0.0), usual(name, on)]
    toys.gauge.pressure = lambda t: 10.0 if t < 20.05 else 60.0 if t < 20.55 else 100.0
    higher = Interlock("burst", "gauge.pressure", high=80.0)
    end = toys.run(Phase("one", for_s=600.0), interlocks=[HOLD, higher], teardown=[])
    assert (end.status, "burst" in end.reason) == (Status.STOPPED_BY_INTERLOCK, True)
    assert toys.of("safe-state")[0]["t"] == pytest.approx(20.6, abs=FIRST_S)
    held = next(one for one in toys.of("interlock") if one["action"] == "hold")
    assert held["reaction_s"] is None
    assert any("had done nothing yet 250 ms after the sample" in one["text"] for one in toys.of("event"))


# ------------------------------------------------------------------------------------------ what a dead run has left


@pytest.mark.parametrize("listed", [True, False])
def test_what_a_dead_run_has_left_running_is_ended_before_anything_else(bench: Any, listed: bool) -> None:
    toys = bench(**({} if listed else {"safe_state": [{"valve": "box.vent", "on": True}]}))
    toys.pusher.orders.append((-1.0, "infuse"))
    if listed:  # a controller of its own is left as it is
        toys.pace.orders.append((-1.0, "control"))
    toys.gauge.pressure = lambda t: 10.0
    assert toys.run(Phase("one", for_s=60.0), interlocks=[STOP], teardown=[]).status is Status.COMPLETED
    assert toys.pusher.stood(0.0) == "halt"
    assert toys.pace.stood(0.0) == ("vent" if listed else "")
    assert "pusher is infusing" in toys.of("event")[0]["text"]


def test_a_run_does_not_begin_beside_a_pusher_that_cannot_be_halted(bench: Any) -> None:
    toys = bench()
    toys.pusher.orders.append((-1.0, "infuse"))
    toys.pusher.obeys = False
    end = toys.run(Phase("one", for_s=60.0), interlocks=[STOP], teardown=[])
    assert (end.status, toys.of("phase")) == (Status.ERROR, [])
    assert end.reason == 'instrument "pusher": the bench cannot be made safe before the run: pusher is infusing'


@pytest.mark.parametrize("error", [InstrumentDisconnected("gauge", "cannot be opened"), ZeroDivisionError("a bug")])
def test_what_a_dead_run_has_left_is_ended_though_an_instrument_before_it_is_missing(
    bench: Any, error: Exception
) -> None:
    toys = bench()
    toys.pusher.orders.append((-1.0, "infuse"))
    toys.scale.missing = True

    def missing() -> None:
        raise error

    toys.gauge.open = missing
    toys.pusher.open = lambda: setattr(toys.pusher, "is_open", True)
    toys.pusher.halt = lambda: toys.pusher.order("halt" if toys.pusher.is_open else "infuse")
    toys.pusher.is_open = False
    end = toys.run(Phase("one", for_s=60.0), interlocks=[STOP])
    assert (end.status, str(error) in end.reason) == (Status.ERROR, True)
    assert toys.pusher.stood(0.0) == "halt"
    assert 'instrument "scale": cannot be opened; check its cable' in [one["text"] for one in toys.of("event")]
    assert toys.of("phase") == []


def test_a_valve_that_the_safe_state_energises_is_not_driven(bench: Any) -> None:
    toys = bench()
    toys.box.moves.append((-1.0, "vent", True))
    opened: Any = SimpleNamespace(instruments={"box": toys.box})
    assert list(driven(opened, [SafeStep(valve="box.vent", on=True)])) == []
    assert [name for name, _ in driven(opened, [SafeStep(valve="box.vent", on=False)])] == ["box"]


# -------------------------------------------------------------------------------------- a computer that is at its end


@pytest.mark.parametrize("action", ["stop", "hold"])
def test_a_computer_that_can_start_no_thread_goes_safe_all_the_same(
    bench: Any, monkeypatch: pytest.MonkeyPatch, action: Any
) -> None:
    toys = bench(hold=[{"instrument": "pusher", "do": "halt"}])
    toys.gauge.pressure = lambda t: 60.0 if 30.05 < t < 40.0 else 10.0
    usual = toys.clock.worker

    def worker(name: str, target: Callable[[], object]) -> Any:
        if toys.clock.now() > 25.0 and name.lstrip("~").startswith(("safe", "hold")):
            raise RuntimeError("can't start new thread")
        return usual(name, target)

    monkeypatch.setattr(toys.clock, "worker", worker)
    stop = (60.0, lambda engine: engine.stop("Ada", "enough"))
    toys.run(
        Infuse("pusher", 900.0),
        Phase("one", for_s=60.0),
        interlocks=[replace(STOP, action=action)],
        teardown=[],
        at=[stop] if action == "hold" else [],
    )
    assert toys.pusher.stood(30.3) == "halt"
    assert not [one for one in toys.of("confirm") if not one["confirmed"]]
