"""Whatever happens to a run, the plant ends in the safe state: stops, cut wires and deaths at random moments.

The whole stack in virtual time; `python -m benchmarks kills` does it with processes.  A dead host is one of whom no
wire tells anything any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.engine import Engine
from bench.recorder import Recorder
from bench.station import OpenStation, Station, load_station, open_station, station_path
from data.checks import Status
from data.journal import JournalWriter
from instruments.clock import VirtualClock
from protocols.procedure import Procedure
from protocols.steps import HaltSyringe, Infuse, MoveValve, Phase, SetPressure, SetValve, Step

HEADER = {"run_id": "r", "procedure": "stir", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00Z"}
DRIVEN = ("controller", "pusher", "safety", "daq")
SAFE = {
    "outlet_is_open": 1.0,
    "vent_is_open": 1.0,
    "is_diverted": 0.0,
    "pusher_ul_per_h": 0.0,
    "back_pressure_kpa": 0.0,
}
EVER_S = 1e9


class Quiet(Procedure):
    """Drive nothing."""

    name, method = "quiet", 1

    def steps(self) -> Iterator[Step]:
        yield Phase("quiet", for_s=2.0)


class Stir(Procedure):
    """Drive everything."""

    name, method = "stir", 1

    def steps(self) -> Iterator[Step]:
        for k in range(2):
            yield MoveValve("outlet", False)
            yield Infuse("pusher", 900.0)
            yield SetPressure("controller", 20.0)
            yield Phase(f"shut-{k}", for_s=1.0)
            yield SetValve("diverter", True)
            yield MoveValve("outlet", True)
            yield Phase(f"open-{k}", for_s=0.5)
            yield HaltSyringe("pusher")


def part(names: tuple[str, ...]) -> Station:
    """The full simulated station with some of its instruments only."""
    full = load_station("sim-full")
    kept = {
        "instruments": {name: table for name, table in full.instruments.items() if name in names},
        "roles": {role: target for role, target in full.roles.items() if target.partition(".")[0] in names},
        "interlocks": {k: one for k, one in full.interlocks.items() if one.channel.partition(".")[0] in names},
    }
    return full.model_copy(update=kept)


@pytest.fixture(scope="module")
def station() -> Station:
    return part(DRIVEN)


def strike(event: str, engine: Engine, opened: OpenStation, now: float) -> None:
    """Let it happen: a person stops the run, one wire is cut, or all are."""
    rig = opened.rig
    assert rig is not None
    wires = {"controller": "ASRL4::INSTR", "pusher": "ASRL5::INSTR"}
    for name in [event] if event in wires else wires if event == "death" else ():
        rig.devices[wires[name]].unplug(now, EVER_S)
    if event in ("chassis", "death"):
        rig.daq.unplug("cDAQ1")
    if event == "stop":
        engine.stop("Ada", "enough")


def plant_after(station: Station, event: str, at_s: float, wait_s: float = 75.0) -> dict[str, float]:
    """How the plant stands some time after an event at a moment of a run."""
    clock = VirtualClock()
    with TemporaryDirectory() as folder, open_station(station, station_path("sim-full"), clock) as opened:
        rig, writer = opened.rig, JournalWriter(Path(folder) / "x.journal", HEADER)
        assert rig is not None

        def world() -> None:
            clock.sleep_until(at_s)
            strike(event, engine, opened, clock.now())
            while clock.now() < at_s + wait_s:
                clock.sleep(0.5)
                for device in rig.devices.values():
                    device.advance(clock.now())  # what it does by itself, however silent the host is

        def main() -> dict[str, float]:
            worker = clock.worker("~world", world)
            engine.run()
            recorder.close()
            worker.join()
            return rig.plant.standing(clock.now())

        recorder = Recorder(writer, clock, lambda text: None)
        engine = Engine(opened, Stir(), station.roles, recorder, longest_block_s=1.0, person="Ada")
        return clock.run(main)


@settings(max_examples=14)
@given(event=st.sampled_from(["stop", "death", "pusher", "controller", "chassis"]), at_s=st.floats(0.0, 9.5))
def test_after_a_stop_a_cut_wire_or_a_death_at_any_moment_the_plant_is_in_the_safe_state(station, event, at_s):
    assert plant_after(station, event, at_s) == SAFE


def test_a_dead_host_leaves_the_bench_driven_until_the_devices_own_time_outs():
    station = part(DRIVEN)
    standing = plant_after(station, "death", 6.0, wait_s=8.0)
    assert standing["pusher_ul_per_h"] > 0.0
    assert standing["back_pressure_kpa"] > 10.0
    assert standing["vent_is_open"] == 0.0


def test_these_runs_drive_everything(station):
    seen: set[str] = set()
    for at_s in (5.0, 7.0):
        seen |= {name for name, value in plant_after(station, "death", at_s, wait_s=0.6).items() if value != SAFE[name]}
    assert seen == set(SAFE)


def test_what_a_killed_run_has_left_does_not_come_back_with_the_next_heartbeat(station, tmp_path):
    clock, seen = VirtualClock(), []
    with open_station(station, station_path("sim-full"), clock) as opened:
        rig = opened.rig
        assert rig is not None
        for line in range(4):  # which nothing feeds before the first heartbeat
            rig.daq.system.hardware.drive(f"cDAQ1Mod6/port0/line{line}", 1.0)
        rig.devices["ASRL4::INSTR"].write(b":UNIT:PRES KPA;:SOUR:PRES 20\n:OUTP:STAT 1\n", 0.0)
        recorder = Recorder(JournalWriter(tmp_path / "x.journal", HEADER), clock, lambda text: None)
        engine = Engine(opened, Quiet(), station.roles, recorder, longest_block_s=1.0, person="Ada")

        def main() -> Status:
            clock.worker("~look", lambda: [looked(rig, clock, seen) for _ in range(40)])
            status = engine.run().status
            recorder.close()
            return status

        assert clock.run(main) is Status.COMPLETED
    assert {standing["back_pressure_kpa"] for standing in seen} == {0.0}
    assert {standing["outlet_is_open"] for standing in seen} == {1.0}


def looked(rig: Any, clock: VirtualClock, seen: list[dict[str, float]]) -> None:
    """See how the plant stands, in a while."""
    clock.sleep(0.1)
    seen.append(rig.plant.standing(clock.now()))
