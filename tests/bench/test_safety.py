"""The ordered safe state: its order by phase, what each step commands, and that none keeps the next from being done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.ordered import steps_for
from bench.protection import SafeStep
from bench.safety import UNDER_WAY_S, SafeStateLatchedError, Safety
from bench.station import OpenStation, Station
from data.checks import Status
from instruments.capabilities import BathState, Confirmation, PressureState, SyringeState
from instruments.clock import Clock, VirtualClock
from instruments.instrument import Connection, Identity, Instrument, InstrumentTimeout, Settings
from protocols.interlock import Interlock
from protocols.steps import Phase, SetValve

HIGH = Interlock("pressure", "gauge.pressure", high=50.0)
WAIT = {"wait": "1 s"}


class Commanded(Instrument):
    """What the toys of this page share: each remembers what it was told, and when."""

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, Settings(), clock, Connection())
        self.told: list[tuple[float, str]] = []
        self.takes_s = 0.0
        self.obeys = True

    def open(self) -> None:
        """Nothing to do."""

    def identify(self) -> Identity:
        return Identity("toys", type(self).__name__, "1")

    def make_safe(self) -> str:
        return "safe"

    def close(self) -> None:
        """Nothing to do."""

    def tell(self, command: str) -> Confirmation:
        begun = self.clock.now()
        self.clock.sleep(self.takes_s)
        self.told.append((self.clock.now(), command))
        return Confirmation(command, "OK", begun, self.clock.now())


class Pusher(Commanded):
    """A syringe pump; one that does not obey runs on when it is halted.  Meets `SyringePump`."""

    max_rate_ul_per_h = 1e5

    def infuse(self, rate_ul_per_h: float, volume_ul: float | None = None) -> Confirmation:
        return self.tell("infuse")

    def withdraw(self, rate_ul_per_h: float, volume_ul: float | None = None) -> Confirmation:
        return self.tell("withdraw")

    def halt(self) -> Confirmation:
        return self.tell("halt")

    def clear_counts(self) -> Confirmation:
        return self.tell("clear")

    def syringe_state(self) -> SyringeState:
        runs = bool(self.told) and (not self.obeys or self.told[-1][1] == "infuse")
        return SyringeState("infusing" if runs else "stopped", 0.0, 0.0)


class Pace(Commanded):
    """A pressure controller; one that does not obey regulates on.  Meets `PressureController`."""

    def set_pressure(self, pressure_kpa: float, slew_kpa_per_s: float | None = None) -> Confirmation:
        return self.tell("control")

    def isolate(self) -> Confirmation:
        return self.tell("measure")

    def vent(self) -> Confirmation:
        return self.tell("vent")

    def pressure_state(self) -> PressureState:
        mode = "measure" if not self.told else self.told[-1][1] if self.obeys else "control"
        return PressureState(mode, 30.0)  # type: ignore[arg-type]  # one of its modes


class Bath(Commanded):
    """A bath; meets `TemperatureBath`."""

    def set_temperature(self, temperature_degc: float) -> Confirmation:
        return self.tell("set")

    def switch(self, on: bool) -> Confirmation:
        return self.tell("on" if on else "off")

    def bath_state(self) -> BathState:
        return BathState(not (self.obeys and self.told), 37.0)


@pytest.fixture
def rig(toy_bench: Any) -> Callable[..., Any]:
    """A toy bench with a pusher, a pressure controller and a bath, and a safe state; its pressure trips at 20.1 s."""

    def make(*steps: dict[str, Any]) -> Any:
        toys = toy_bench(stated={"safe_state": list(steps)})
        toys.pusher, toys.pace = Pusher("pusher", toys.clock), Pace("pace", toys.clock)
        toys.bath = Bath("bath", toys.clock)
        toys.more = [toys.pusher, toys.pace, toys.bath]
        toys.gauge.pressure = lambda t: 60.0 if t > 20.05 else 10.0
        return toys

    return make


def outcomes(toys: Any, count: int) -> list[tuple[str, bool]]:
    return [(one["what"], one["confirmed"]) for one in toys.of("confirm")[:count]]


# -------------------------------------------------------------------------------------------------- what is done


def test_every_kind_of_step_is_done_in_its_order_and_confirmed(rig: Callable[..., Any]) -> None:
    toys = rig(
        {"instrument": "pusher", "do": "halt"},
        {"instrument": "pace", "do": "vent"},
        {"wait": "0.5 s"},
        {"valve": "box.outlet", "on": True},
        {"instrument": "bath", "do": "keep"},
    )
    assert toys.run(interlocks=[HIGH]).status is Status.STOPPED_BY_INTERLOCK
    assert outcomes(toys, 5) == [
        ("pusher: halted", True),
        ("pace: vented", True),
        ("waited 0.5 s", True),
        ("valve box.outlet energised", True),
        ("bath: kept as it is", True),
    ]
    assert toys.box.moves == [(pytest.approx(20.6), "outlet", True)]
    assert (toys.pusher.told, toys.bath.told) == ([(pytest.approx(20.1), "halt")], [])


@pytest.mark.parametrize(
    ("name", "do", "command"),
    [("pusher", "halt", "halt"), ("pace", "vent", "vent"), ("pace", "isolate", "measure"), ("bath", "off", "off")],
)
def test_an_instrument_that_says_otherwise_is_not_confirmed(
    rig: Callable[..., Any], name: str, do: str, command: str
) -> None:
    toys = rig({"instrument": name, "do": do})
    commanded = getattr(toys, name)
    commanded.obeys = False
    toys.run(interlocks=[HIGH])
    assert commanded.told[0][1] == command
    ((what, confirmed),) = outcomes(toys, 1)
    assert what.endswith("not confirmed, it says otherwise")
    assert confirmed is False


def test_the_safe_state_is_reached_at_the_end_of_every_run(rig: Callable[..., Any]) -> None:
    toys = rig({"instrument": "pusher", "do": "halt"})
    toys.gauge.pressure = lambda t: 10.0
    assert toys.run(interlocks=[HIGH]).status is Status.COMPLETED
    assert [command for _, command in toys.pusher.told] == ["halt"]


def test_a_wait_is_no_reaction_that_came_late(rig: Callable[..., Any]) -> None:
    toys = rig({"valve": "box.vent", "on": True}, {"wait": "2 s"}, {"valve": "box.outlet", "on": False})
    toys.run(interlocks=[HIGH])
    assert toys.of("interlock")[0]["reaction_s"] < 0.01
    assert not any("later than" in event["text"] for event in toys.of("event"))


def test_the_record_says_when_the_first_and_the_last_step_of_the_safe_state_were_confirmed(
    rig: Callable[..., Any],
) -> None:
    toys = rig({"instrument": "pusher", "do": "halt"}, {"wait": "2 s"}, {"instrument": "pace", "do": "vent"}, WAIT)
    toys.pusher.takes_s, toys.pace.takes_s = 0.2, 0.3
    toys.box.safe = lambda: [toys.clock.sleep(1.0), "safe"][1]
    toys.run(interlocks=[HIGH])
    (acted,) = toys.of("interlock")
    assert (acted["reaction_s"], acted["safe_after_s"]) == (pytest.approx(0.2), pytest.approx(2.5))
    done = {one["what"]: one["done_s"] - acted["sample_s"] for one in toys.of("confirm")}
    assert done["pusher: halted"] == pytest.approx(0.2)
    assert done["pace: vented"] == pytest.approx(2.5)
    assert done["gauge: safe"] == pytest.approx(3.5), "when it said so, not when the slowest did"
    assert done["box: safe"] == pytest.approx(4.5)


@pytest.mark.parametrize("steps", [[], [{"instrument": "pace", "do": "vent"}, {"valve": "box.vent", "on": True}]])
def test_a_safe_state_of_which_a_step_is_not_confirmed_has_no_moment_at_which_it_was_reached(
    rig: Callable[..., Any], steps: list[dict[str, Any]]
) -> None:
    toys = rig(*steps)
    toys.pace.obeys = False
    toys.run(interlocks=[HIGH])
    assert toys.of("interlock")[0]["safe_after_s"] is None


# ------------------------------------------------------------------------------------------------- phase by phase


RISE = ({"valve": "box.vent", "on": True, "phases": ["rise"]}, {"valve": "box.outlet", "on": True, "phases": ["rise"]})


@pytest.mark.parametrize(
    ("phase", "moved"), [("rise", [("vent", True), ("outlet", True)]), ("calm", [("diverter", False)])]
)
def test_a_phase_may_have_a_safe_state_of_its_own(rig: Callable[..., Any], phase: str, moved: list[Any]) -> None:
    toys = rig({"valve": "box.diverter", "on": False}, *RISE)
    toys.run(Phase(phase, for_s=600.0), interlocks=[HIGH])
    assert [(name, on) for _, name, on in toys.box.moves] == moved
    assert toys.of("safe-state")[0]["phase"] == phase


def test_a_person_who_stops_in_a_phase_gets_the_safe_state_of_that_phase(rig: Callable[..., Any]) -> None:
    toys = rig({"valve": "box.diverter", "on": False}, *RISE)
    at = [(10.0, lambda engine: engine.stop("Ada", "enough"))]
    toys.run(Phase("rise", for_s=600.0), at=at, interlocks=[HIGH], teardown=[])
    assert [name for _, name, _ in toys.box.moves] == ["vent", "outlet"]


def test_steps_of_other_phases_are_left_out() -> None:
    steps = [SafeStep(valve="box.vent", on=True, phases=["a"]), SafeStep(valve="box.outlet", on=False)]
    assert [step.target for step in steps_for("a", steps)] == ["box.vent"]
    assert [step.target for step in steps_for("b", steps)] == ["box.outlet"]
    assert [step.target for step in steps_for("", steps)] == ["box.outlet"]


# --------------------------------------------------------------------------------------- what fails, hangs, comes late


def test_an_instrument_that_hangs_delays_the_next_step_by_its_time_and_no_more(rig: Callable[..., Any]) -> None:
    toys = rig(
        {"instrument": "pusher", "do": "halt", "within": "0.3 s"},
        {"instrument": "pusher", "do": "halt", "within": "0.3 s"},
        {"valve": "box.vent", "on": True},
    )
    toys.pusher.takes_s = 2.0
    toys.box.safe = lambda: [toys.clock.sleep(4.0), "safe"][1]  # so that the run lasts
    toys.run(interlocks=[HIGH])
    assert outcomes(toys, 1) == [("pusher: halted: not confirmed, no answer within 0.3 s", False)]
    assert toys.box.moves[0] == (pytest.approx(20.4), "vent", True), "the second step is not waited for"
    assert ("pusher: halted, late", True) in outcomes(toys, 99)


def test_a_step_that_breaks_does_not_keep_the_next_from_being_done(rig: Callable[..., Any]) -> None:
    toys = rig({"instrument": "pace", "do": "vent"}, {"valve": "box.vent", "on": True})

    def broken() -> Confirmation:
        raise InstrumentTimeout("pace", "no reply")

    toys.pace.vent = broken
    toys.run(interlocks=[HIGH])
    assert outcomes(toys, 2) == [
        ('pace: vented: not confirmed, instrument "pace": no reply', False),
        ("valve box.vent energised", True),
    ]


@pytest.fixture
def safety(toys: Any) -> tuple[Safety, list[tuple[str, dict[str, Any]]], Any]:
    """The safety of a bench of valves alone, its record, and the valves."""
    said: list[tuple[str, dict[str, Any]]] = []
    steps = [{"valve": "box.vent", "on": True}, {"valve": "box.outlet", "on": False}]
    stated = {"name": "toys", "instruments": {"box": {"driver": "toy"}}, "roles": {}, "safe_state": steps}
    opened = OpenStation(Station.model_validate(stated), Path("toys.toml"), toys.clock, {"box": toys.box})
    return Safety(opened, lambda kind, fields: said.append((kind, dict(fields)))), said, toys.box


def test_a_valve_that_is_written_late_is_moved_back(safety: Any) -> None:
    """Going safe does not wait for a write that hangs, and the write does not stand when it ends at last."""
    bench, _, box = safety
    clock: VirtualClock = box.clock

    def step() -> None:
        with bench.drive():
            clock.sleep(3.0)  # a write that hangs
            box.set_valve("outlet", True)

    def main() -> None:
        writer = clock.worker("steps", step)
        clock.sleep(1.0)
        bench.trip("too high")
        assert box.moves[0] == (pytest.approx(1.0 + UNDER_WAY_S), "vent", True)
        writer.join()

    clock.run(main)
    assert box.moves[2] == (3.0, "outlet", True)
    assert box.valves() == {"vent": True, "outlet": False, "diverter": False}


def test_a_hold_that_is_overtaken_by_a_stop_leaves_the_safe_state(safety: Any) -> None:
    bench, _, box = safety
    clock: VirtualClock = box.clock
    wait = SafeStep.model_validate({"wait": "2 s"})
    slow = [SafeStep(valve="box.diverter", on=True), wait, SafeStep(valve="box.outlet", on=True)]
    bench._opened.station.hold.extend(slow)

    def main() -> None:
        holder = clock.worker("holder", bench.hold)
        clock.sleep(1.0)
        bench.trip("too high")
        holder.join()

    clock.run(main)
    assert (box.valves()["vent"], box.valves()["outlet"]) == (True, False)
    assert ("outlet", True) not in [(name, on) for _, name, on in box.moves]


def test_nothing_is_driven_once_the_bench_is_safe_not_even_by_a_release(safety: Any) -> None:
    bench, _, box = safety
    bench._opened.station.hold.append(SafeStep(valve="box.diverter", on=True))

    def main() -> None:
        bench.hold()
        bench.trip("too high")
        assert bench.begin_release() == 0

    box.clock.run(main)
    assert box.valves()["diverter"] is True
    assert bench.trip("again") is None


@pytest.mark.parametrize("held", [False, True])
def test_nothing_is_driven_after_the_safe_state_at_the_end_of_a_run(safety: Any, held: bool) -> None:
    bench, _, box = safety
    bench._opened.station.hold.append(SafeStep(valve="box.outlet", on=True))

    def main() -> None:
        if held:
            bench.hold()
        bench.go_safe()
        assert (bench.begin_release(), bench.hold()) == (0, None)
        with pytest.raises(SafeStateLatchedError, match="the run is over"), bench.drive():
            pass

    box.clock.run(main)
    assert (box.valves()["vent"], box.valves()["outlet"]) == (True, False)


# ------------------------------------------------------------------------------------------------- making ready


READY = [{"valve": "box.vent", "on": True}, {"wait": "2 s"}, {"valve": "box.diverter", "on": True}, {"wait": "3 s"}]


def test_no_step_of_making_ready_is_done_once_the_bench_is_safe_and_no_wait_goes_on(safety: Any) -> None:
    bench, said, box = safety
    clock: VirtualClock = box.clock
    bench._opened.station.ready.extend(map(SafeStep.model_validate, READY))

    def main() -> None:
        ready = clock.worker("ready", bench.make_ready)
        clock.sleep(1.0)
        bench.trip("the emergency stop was pressed")
        ready.join()
        assert isinstance(ready.error, SafeStateLatchedError)

    clock.run(main)
    assert clock.now() == 1.0
    assert [(name, on) for _, name, on in box.moves] == [("vent", True), ("vent", True), ("outlet", False)]
    assert not [fields for _, fields in said if "again" in str(fields)]


def test_a_valve_that_is_being_made_ready_when_the_bench_goes_safe_is_moved_back_and_no_other_moves(
    safety: Any,
) -> None:
    bench, _, box = safety
    clock: VirtualClock = box.clock
    usual = box.set_valve
    box.set_valve = lambda name, on: [clock.sleep(0.5 if clock.now() == 0.0 else 0.0), usual(name, on)]
    steps = ({"valve": "box.outlet", "on": True}, {"valve": "box.diverter", "on": True})
    bench._opened.station.ready.extend(map(SafeStep.model_validate, steps))

    def main() -> None:
        ready = clock.worker("ready", bench.make_ready)
        clock.sleep(0.2)
        bench.trip("too high")
        ready.join()

    clock.run(main)
    assert (0.5, "outlet", True) in box.moves
    assert box.valves() == {"vent": True, "outlet": False, "diverter": False}


def test_making_ready_waits_while_the_bench_is_held(toy_bench: Any) -> None:
    toys = toy_bench(stated={"ready": READY, "hold": [{"valve": "box.outlet", "on": True}]})
    toys.gauge.pressure = lambda t: 60.0 if 1.05 < t < 3.0 else 10.0
    at = [(7.0, lambda engine: engine.reset_interlock("pressure", "Ada", "a kink, removed"))]
    end = toys.run(Phase("one", for_s=5.0), interlocks=[replace(HIGH, action="hold")], at=at, teardown=[])
    assert end.status is Status.COMPLETED
    assert [(round(t, 1), name, on) for t, name, on in toys.box.moves[:4]] == [
        (0.1, "vent", True),  # with the first sample
        (1.1, "outlet", True),
        (7.0, "outlet", False),
        (7.0, "diverter", True),
    ]
    assert [one["what"] for one in toys.of("confirm")].count("waited 2 s") == 1


def test_a_person_who_stops_the_run_while_it_is_made_ready_stops_that(toy_bench: Any) -> None:
    toys = toy_bench(stated={"ready": READY})
    toys.run(at=[(1.0, lambda engine: engine.stop("Ada", "enough"))])
    assert ("diverter", True) not in [(name, on) for _, name, on in toys.box.moves]


# ------------------------------------------------------------------------------------------------- station file


@pytest.mark.parametrize(
    "step",
    [
        {},
        {"valve": "box.vent"},
        {"valve": "box.vent", "on": True, "wait": "1 s"},
        {"instrument": "pace"},
        {"instrument": "pace", "do": "vent", "on": True},
        {"wait": "6 s"},
        {"wait": "1 s", "on": True},
        {"valve": "box.vent", "on": True, "within": "11 s"},
    ],
)
def test_a_step_that_is_no_one_thing_is_refused(step: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        SafeStep.model_validate(step)


def test_set_valve_waits_for_nothing_when_the_bench_is_neither_held_nor_safe(toys: Any) -> None:
    toys.run(SetValve("vent", True))
    assert toys.box.moves[0] == (0.0, "vent", True)
