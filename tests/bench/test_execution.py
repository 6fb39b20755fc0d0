"""Every step is done: what it commands, what it records, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, cast

import pytest

from bench.engine import Halted
from bench.guard import Change
from bench.needed import capability
from bench.safety import SafeStateLatchedError
from bench.soak import Soak
from bench.watch import Watch
from data.checks import Status
from data.samples import Quality
from data.schedule import Schedule
from instruments.capabilities import (
    BathState,
    Confirmation,
    PressureController,
    PressureState,
    SyringePump,
    SyringeState,
    TemperatureBath,
)
from instruments.clock import Clock, VirtualClock
from instruments.instrument import Connection, Identity, Instrument, Settings
from protocols import prompts, steps
from protocols.interlock import Interlock
from protocols.procedure import Procedure
from protocols.prompts import Ask, Confirm, VesselChange, prompts_of
from protocols.steps import (
    AwaitSyringe,
    ClearSyringe,
    Condition,
    HaltSyringe,
    Infuse,
    IsolatePressure,
    JudgedPhase,
    MoveValve,
    Phase,
    Program,
    ReadProgram,
    ReadPump,
    ReadSettings,
    ReadSyringe,
    RequestBolus,
    SetPressure,
    SetReservoir,
    SetTemperature,
    SetValve,
    StartDelivery,
    Step,
    StopDelivery,
    SwitchBath,
    Tare,
    VentPressure,
    Withdraw,
)

EXAMPLES: dict[Step, tuple[str, dict[str, Any]]] = {
    # step -> kind of record that it leaves, and some of its fields
    Tare("balance"): ("disturbed", {"why": "tare"}),
    Program("pump", Schedule.parse("1 mL/day")): ("pump-command", {"command": "SET"}),
    StartDelivery("pump"): ("pump-command", {"command": "RUN"}),
    StopDelivery("pump"): ("pump-command", {"command": "STOP"}),
    RequestBolus("pump", 10.0, 60.0): ("pump-command", {"command": "BOLUS"}),
    ReadPump("pump", "now"): ("pump", {"key": "now", "running": True}),
    ReadProgram("pump", "held"): ("program", {"key": "held", "schedule": Schedule.parse("1 mL/day").to_json()}),
    SetReservoir("pump", 20_000.0): ("pump-command", {"command": "RESERVOIR 20000"}),
    ReadSettings("balance", "scale"): ("settings", {"key": "scale", "instrument": "scale", "problems": ""}),
    SetValve("vent", True): ("valve", {"valve": "box.vent", "asked": True, "read_back": True}),
    MoveValve("vent", True): ("valve", {"valve": "box.vent", "asked": True, "read_back": True}),
    SetPressure("controller", 40.0, 0.5): ("command", {"instrument": "controller", "command": "set 40 at 0.5"}),
    IsolatePressure("controller"): ("command", {"command": "isolate"}),
    VentPressure("controller"): ("command", {"command": "vent"}),
    Infuse("pusher", 600.0, 10.0): ("command", {"role": "pusher", "command": "infusing 600 10.0"}),
    Withdraw("pusher", 600.0): ("command", {"command": "withdrawing 600 None"}),
    HaltSyringe("pusher"): ("command", {"command": "halt"}),
    ClearSyringe("pusher"): ("command", {"command": "clear"}),
    AwaitSyringe("pusher", 60.0): ("step", {"name": "AwaitSyringe pusher 60.0"}),
    ReadSyringe("pusher", "pushed"): ("syringe", {"key": "pushed", "running": "stopped", "infused_ul": 0.0}),
    SetTemperature("bath", 37.0): ("command", {"command": "37"}),
    SwitchBath("bath", True): ("command", {"command": "True"}),
    Phase("rest", for_s=5.0): ("phase", {"name": "rest"}),
    JudgedPhase("judged", for_s=5.0): ("phase", {"name": "judged"}),
    Condition("soak", "pressure", 5.0, 15.0, 20.0, 60.0): ("condition", {"phase": "soak", "held_s": 20.0}),
    Ask("volume", "", "Which volume?", "mL"): ("answer", {"key": "volume", "value": 1.0}),
    Confirm("level", "level-balance", "Level it."): ("answer", {"key": "level", "value": "done"}),
    VesselChange("balance", "vessel"): ("disturbed", {"channels": ["scale.mass"], "why": "vessel-change"}),
}


class Machine(Instrument):
    """Confirms whatever it is told, a second later."""

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, Settings(), clock, Connection())
        self.told: list[str] = []

    def open(self) -> None:
        """It is always there."""

    def identify(self) -> Identity:
        return Identity("toys", type(self).__name__, "1")

    def make_safe(self) -> str:
        return "safe"

    def close(self) -> None:
        """Nothing is open."""

    def _confirmed(self, command: str) -> Confirmation:
        self.told.append(command)
        issued_s = self.clock.now()
        self.clock.sleep(1.0)
        return Confirmation(command, "OK", issued_s, self.clock.now())


class Controller(Machine):
    def set_pressure(self, pressure_kpa: float, slew_kpa_per_s: float | None = None) -> Confirmation:
        return self._confirmed(f"set {pressure_kpa:g} at {slew_kpa_per_s}")

    def isolate(self) -> Confirmation:
        return self._confirmed("isolate")

    def vent(self) -> Confirmation:
        return self._confirmed("vent")

    def pressure_state(self) -> PressureState:
        return PressureState("vent", 0.0)


class Pusher(Machine):
    max_rate_ul_per_h = 1000.0
    alarm = ""
    ends_s = 0.0

    def infuse(self, rate_ul_per_h: float, volume_ul: float | None = None) -> Confirmation:
        return self._moved("infusing", rate_ul_per_h, volume_ul)

    def withdraw(self, rate_ul_per_h: float, volume_ul: float | None = None) -> Confirmation:
        return self._moved("withdrawing", rate_ul_per_h, volume_ul)

    def halt(self) -> Confirmation:
        self.ends_s = 0.0
        return self._confirmed("halt")

    def clear_counts(self) -> Confirmation:
        return self._confirmed("clear")

    def syringe_state(self) -> SyringeState:
        return SyringeState("infusing" if self.clock.now() < self.ends_s else "stopped", 0.0, 0.0, self.alarm)

    def _moved(self, how: str, rate_ul_per_h: float, volume_ul: float | None) -> Confirmation:
        self.ends_s = self.clock.now() + (1e9 if volume_ul is None else 3600.0 * volume_ul / rate_ul_per_h)
        return self._confirmed(f"{how} {rate_ul_per_h:g} {volume_ul}")


class Bath(Machine):
    def set_temperature(self, temperature_degc: float) -> Confirmation:
        return self._confirmed(f"{temperature_degc:g}")

    def switch(self, on: bool) -> Confirmation:
        return self._confirmed(str(on))

    def bath_state(self) -> BathState:
        return BathState(True, 37.0)


class Person:
    """Says "done", or 1."""

    def respond(self, action: str, kind: str, unit: str, details: Any, asked_s: float) -> tuple[float, float | str]:
        return asked_s + 10.0, "done" if kind == "confirm" else 1.0


@pytest.fixture
def bench(toys: Any) -> Any:
    """A toy bench with a pressure controller, a syringe pump and a bath."""
    kinds = {"controller": Controller, "pusher": Pusher, "bath": Bath}
    toys.more = [kind(name, toys.clock) for name, kind in kinds.items()]
    toys.controller, toys.pusher, toys.bath = toys.more
    return toys


def done(bench: Any, *plan: Step, at: Iterable[Any] = (), **more: Any) -> Any:
    """How a run ends that does these steps with a person at the bench."""
    there = (0.5, lambda engine: setattr(engine.prompts, "hands", Person()))
    return bench.run(Phase("soon", for_s=1.0), *plan, at=[there, *at], **more)


# ----------------------------------------------------------------------------------------------------- all steps


def kinds() -> set[type[Step]]:
    found = [*vars(steps).values(), *vars(prompts).values()]
    steps_of_ours = {kind for kind in found if isinstance(kind, type) and issubclass(kind, Step)} - {Step}
    return {kind for kind in steps_of_ours if not kind.__name__.startswith("_")}  # what several have in common is none


def test_there_is_an_example_of_every_step() -> None:
    assert {type(step) for step in EXAMPLES} == kinds()


@pytest.mark.parametrize("step", EXAMPLES, ids=lambda step: type(step).__name__)
def test_every_step_is_done_and_recorded(bench: Any, step: Step) -> None:
    kind, wanted = EXAMPLES[step]
    assert done(bench, step).status is Status.COMPLETED
    found = [{name: record.get(name) for name in wanted} for record in bench.of(kind)]
    assert wanted in found


@pytest.mark.parametrize("step", EXAMPLES, ids=lambda step: type(step).__name__)
def test_a_step_is_data(step: Step) -> None:
    again = type(step)(**{item.name: getattr(step, item.name) for item in fields(step)})
    assert (again, again.to_json()) == (step, step.to_json())
    assert step.to_json()["step"] == type(step).__name__
    assert step.least_s <= step.most_s


@pytest.mark.parametrize("step", EXAMPLES, ids=lambda step: type(step).__name__)
def test_no_step_commands_anything_once_the_bench_is_safe(bench: Any, step: Step) -> None:
    def late(engine: Any) -> None:
        engine._fail("for the test")
        moved = list(bench.box.moves)
        with suppress(SafeStateLatchedError, Halted):
            engine._executor.do(step)
        assert bench.box.moves == moved

    bench.run(Phase("slow", for_s=60.0), at=[(20.0, late)])
    assert [machine.told for machine in bench.more] == [[], [], []]
    assert bench.of("pump-command") == bench.of("answer") == []


@pytest.mark.parametrize(
    "step", [step for step in EXAMPLES if capability(step) is not None], ids=lambda step: type(step).__name__
)
def test_an_instrument_that_cannot_do_what_a_step_needs_ends_the_run(bench: Any, step: Any) -> None:
    wrong = replace(step, role="gauge.pressure")
    end = done(bench, wrong)
    needed = capability(step)
    assert needed is not None
    assert end.status is Status.ERROR
    assert f"it is no {needed.__name__}" in end.reason


def test_every_step_that_commands_an_instrument_says_what_it_needs() -> None:
    commanded = {type(step) for step in EXAMPLES if hasattr(step, "role")} - {ReadSettings, Condition, VesselChange}
    assert {type(step) for step in EXAMPLES if capability(step) is not None} == commanded


def test_the_machines_of_this_test_have_the_capabilities(bench: Any) -> None:
    wanted = (PressureController, SyringePump, TemperatureBath)
    assert all(isinstance(machine, kind) for machine, kind in zip(bench.more, wanted, strict=True))


def test_a_command_is_recorded_with_the_moments_of_issue_and_confirmation(bench: Any) -> None:
    done(bench, SetPressure("controller", 40.0))
    (command,) = bench.of("command")
    assert (command["issued_s"], command["confirmed_s"], command["reply"]) == (1.0, 2.0, "OK")


# ------------------------------------------------------------------------------------------------------- valves


@pytest.mark.parametrize(("is_open", "energised"), [(True, False), (False, True)])
def test_a_normally_open_valve_is_opened_by_releasing_it(bench: Any, is_open: bool, energised: bool) -> None:
    class Line:
        normally = "open"

    class Lines(Settings):
        valves: dict[str, Any] = {"outlet": Line(), "vent": Line()}  # noqa: RUF012  # a field: pydantic copies it

    bench.box.settings = Lines()
    done(bench, MoveValve("box.outlet", is_open))
    (first, *_) = bench.of("valve")
    assert (first["valve"], first["asked"]) == ("box.outlet", energised)


# ------------------------------------------------------------------------------------------------- syringe pump


def test_the_end_of_a_volume_is_waited_for(bench: Any) -> None:
    assert done(bench, Infuse("pusher", 600.0, 5.0), AwaitSyringe("pusher", 60.0)).status is Status.COMPLETED
    assert bench.of("step")[-1]["t"] == pytest.approx(31.0, abs=1.01)


def test_a_syringe_pump_that_does_not_end_in_time_ends_the_run(bench: Any) -> None:
    end = done(bench, Infuse("pusher", 600.0), AwaitSyringe("pusher", 60.0))
    assert end.status is Status.ERROR
    assert 'instrument "pusher": is still infusing after 60 s' in end.reason


def test_an_alarm_of_the_syringe_pump_ends_the_run(bench: Any) -> None:
    alarm = (10.0, lambda engine: setattr(bench.pusher, "alarm", "stall"))
    end = done(bench, Infuse("pusher", 600.0, 100.0), AwaitSyringe("pusher", 6000.0), at=[alarm])
    assert (end.status, 'alarm "stall"' in end.reason) == (Status.ERROR, True)


def test_a_pause_does_not_count_against_the_wait(bench: Any) -> None:
    pause, resume = (10.0, lambda engine: engine.pause("Ada")), (90.0, lambda engine: engine.resume("Ada"))
    end = done(bench, Infuse("pusher", 600.0, 20.0), AwaitSyringe("pusher", 60.0), at=[pause, resume])
    assert end.status is Status.COMPLETED


# --------------------------------------------------------------------------------------------------------- soaks

SOAK = Condition("soak", "pressure", 20.0, 30.0, 60.0, 300.0)


def ramp(t: float) -> float:
    """In the band from 100 s to 103 s, from 110 s to 120 s, and from 130 s on."""
    return 24.0 if 100.0 <= t < 103.0 or 110.0 <= t < 120.0 or t >= 130.0 else 10.0


def test_a_soak_begins_anew_when_the_channel_leaves_its_band(bench: Any) -> None:
    bench.gauge.pressure = ramp
    assert done(bench, SOAK, Phase("after", for_s=1.0)).status is Status.COMPLETED
    (met,) = bench.of("condition")
    assert met["sample_s"] == pytest.approx(130.0, abs=0.11)
    assert bench.of("phase")[3]["t"] == pytest.approx(190.0, abs=0.11)
    (left,) = [event for event in bench.of("event") if "outside its band" in event["text"]]  # of a stay worth a word
    assert left["sample_s"] == pytest.approx(120.0, abs=0.11)
    assert "pressure was 10, outside its band" in left["text"]


def test_a_soak_in_the_band_from_the_beginning_takes_its_time_and_no_longer(bench: Any) -> None:
    bench.gauge.pressure = lambda t: 25.0
    done(bench, SOAK)
    assert [phase["t"] for phase in bench.of("phase")][2:] == [1.0, 61.0]
    assert bench.of("condition")[0]["sample_s"] == 1.0


def test_a_soak_that_never_holds_ends_after_its_longest_time_and_says_so(bench: Any) -> None:
    assert done(bench, SOAK).status is Status.COMPLETED
    assert bench.of("condition") == []
    assert bench.of("phase")[3]["t"] == 301.0
    assert any("did not hold for 60 s within 300 s" in event["text"] for event in bench.of("event"))


def test_a_channel_that_is_silent_has_not_stayed_in_its_band(bench: Any) -> None:
    bench.gauge.pressure = lambda t: 25.0
    bench.gauge.bad = ((10.0, 200.0),)
    long = Condition("soak", "pressure", 20.0, 30.0, 120.0, 600.0)
    done(bench, long)
    assert any("gave no good sample" in event["text"] for event in bench.of("event"))
    assert bench.of("condition")[0]["sample_s"] == pytest.approx(200.0, abs=1.0)


@pytest.mark.parametrize("longest_block_s", [0.1, 5.0, 60.0])
def test_a_soak_does_not_depend_on_the_blocks(bench: Any, longest_block_s: float) -> None:
    bench.gauge.pressure = ramp
    done(bench, SOAK, longest_block_s=longest_block_s)
    assert bench.of("condition")[0]["sample_s"] == pytest.approx(130.0, abs=0.11)


def test_a_soak_that_begins_as_the_bench_is_held_counts_from_the_end_of_the_hold(toy_bench: Any) -> None:
    toys = toy_bench(stated={"hold": [{"valve": "box.outlet", "on": False}]})
    toys.gauge.pressure = lambda t: 60.0 if 20.05 <= t < 50.0 else 10.0  # found by the read at the soak's begin
    high = Interlock("high", "gauge.pressure", high=50.0, slew_per_s=0.1, action="hold", reset_band=5.0)
    reset = (100.0, lambda engine: engine.reset_interlock("high", "Ada", "looked"))
    soak = Condition("soak", "pressure", 0.0, 55.0, 60.0, 600.0)
    end = done(toys, Phase("one", for_s=29.0), soak, interlocks=[high], at=[reset])
    assert end.status is Status.COMPLETED
    assert [(hold["state"], hold["t"]) for hold in toys.of("hold")] == [("begin", 30.0), ("end", 100.0)]
    assert toys.of("condition")[0]["sample_s"] == pytest.approx(100.0, abs=0.2)


def test_a_sample_outside_that_comes_as_a_soak_begins_does_not_let_it_begin() -> None:
    class Quick:
        """Has a sample judged before it returns, as on the wall clock one may come at any moment."""

        def band(self, name: str, role: str, low: float, high: float, told: Any, outage_s: float) -> Callable[[], None]:
            told(Change("outside", clock.now(), 10.0))
            return lambda: None

    clock = VirtualClock()
    soak = Soak(cast(Watch, Quick()), clock, SOAK, outage_s=60.0, left=lambda change: None, nudge=lambda: None)
    assert soak.since_s is None


def test_a_pause_makes_the_longest_time_longer(bench: Any) -> None:
    pause, resume = (100.0, lambda engine: engine.pause("Ada")), (600.0, lambda engine: engine.resume("Ada"))
    done(bench, SOAK, at=[pause, resume])
    assert bench.of("phase")[3]["t"] == 801.0


# ------------------------------------------------------------------------------------------------------ vessels


def test_what_the_balance_shows_during_a_vessel_change_is_flagged(bench: Any) -> None:
    done(bench, VesselChange("balance", "vessel", settle_s=20.0), Phase("after", for_s=30.0))
    (span,) = bench.of("disturbed")
    assert (span["from_s"], span["to_s"]) == (1.0, 31.0)
    quality = {
        float(t): int(bits)
        for block in bench.blocks
        if block.stream == "scale"
        for t, bits in zip(block.t, block.quality[:, 0], strict=True)
    }
    flagged = {t for t, bits in quality.items() if bits & Quality.DISTURBED}
    assert flagged == {t for t in quality if 1.0 <= t < 31.0}
    assert len(quality) > 55


# --------------------------------------------------------------------------------------------------------- plans


def test_a_key_that_is_asked_twice_is_refused() -> None:
    with pytest.raises(ValueError, match='asks "level" twice'):
        prompts_of([Confirm("level", "", "Level it."), Ask("level", "", "Is it level?")])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Ask("", "", "Which?"),
        lambda: Ask("a", "", ""),
        lambda: Ask("a", "", "Which?", "mm", choices=("x",)),
        lambda: Ask("a", "", "Which?", low=1.0),
        lambda: Confirm("a", "", ""),
        lambda: Condition("a", "pressure", None, None, 1.0, 2.0),
        lambda: Condition("a", "pressure", 3.0, 2.0, 1.0, 2.0),
        lambda: Condition("a", "pressure", 1.0, 2.0, 3.0, 2.0),
    ],
)
def test_a_step_that_makes_no_sense_is_refused_when_it_is_made(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r'"a?"'):
        wrong()


def test_a_plan_counts_what_its_prompts_allow() -> None:
    class Toy(Procedure):
        name, method = "toy", 1

        def steps(self) -> Iterable[Step]:  # type: ignore[override]  # steps without a bench
            yield Confirm("level", "", "Level it.", allow_s=120.0)
            yield VesselChange("balance", "vessel", settle_s=60.0, allow_s=240.0)

    assert sum(step.most_s for step in Toy().steps()) == 420.0
    assert sum(step.least_s for step in Toy().steps()) == 60.0
