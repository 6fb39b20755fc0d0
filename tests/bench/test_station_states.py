"""The simulated station under any sequence of pauses, stops, interlocks, lost instruments and a kill of the host.

Real pyvisa and nidaqmx drive the station; its valves hang on a relay that the bench's heartbeat holds.  A host that is
killed is one from which nothing arrives any more, on no wire: what it had written to the journal by then is all there
is of the run, and the valves fall when the heartbeat has been missing for long enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Part
from hypothesis import strategies as st

import data.journal
from bench.engine import End, Engine
from bench.latch import Latches
from bench.recorder import Recorder
from bench.station import OpenStation, load_station, open_station
from data.checks import Status
from data.fold import fold
from data.journal import JournalWriter
from data.journal_reader import read_journal
from data.run import Run
from data.samples import Block
from data.schedule import Continuous, Schedule
from instruments.clock import VirtualClock
from instruments.simulation.daqserver.misbehaviour import DaqTrouble
from instruments.simulation.daqserver.misbehaviour import Misbehaviour as DaqMisbehaviour
from instruments.simulation.misbehaviour import Misbehaviour, WireFault
from protocols.procedure import Procedure
from protocols.prompts import Confirm
from protocols.steps import (
    Phase,
    Program,
    ReadPump,
    RequestBolus,
    SetValve,
    StartDelivery,
    Step,
    StopDelivery,
    Tare,
    above,
)

EXAMPLES = 30 if settings.get_current_profile_name() != "explore" else 400
HOLD_S = 5.0
"""How long the relay stays closed without a heartbeat."""

TENDED_S = 220.0
"""From here on somebody looks after the bench: answers, resets, resumes, and stops the run at last."""

STOPPED_S = 440.0
ENDED_S = STOPPED_S + 100.0

MORE = """
[interlocks.hold]
channel = "daq.outlet_pressure"
high = "50 kPa"
slew = "300 kPa/min"
reset_band = "5 kPa"
action = "hold"

[[hold]]
valve = "daq.diverter"
on = false

[[hold]]
valve = "daq.vent"
on = true

[simulation.daq.wiring]
"cDAQ1Mod6/port0/line0" = { relay = "cDAQ1Mod6/port0/line7", hold_s = 5.0 }
"cDAQ1Mod6/port0/line1" = { relay = "cDAQ1Mod6/port0/line7", hold_s = 5.0 }
"cDAQ1Mod6/port0/line2" = { relay = "cDAQ1Mod6/port0/line7", hold_s = 5.0 }
"""
CHANGES = {
    'rate = "10 Hz"': 'rate = "10 Hz"\nwatchdog = { timeout = "5 s", heartbeat = "cDAQ1Mod6/port0/line7" }',
    'high = "150 kPa"\nslew = "50 kPa/min"': 'high = "80 kPa"\nslew = "300 kPa/min"',
    'max_outage = "60 s"': 'max_outage = "20 s"',
    'driver = "pump-link"': 'driver = "pump-link"\nperiod = "10 s"',
}
STEPS = (
    Tare("balance"),
    Program("pump", Schedule(Continuous(41.0))),
    SetValve("diverter", True),
    Phase("one", for_s=40.0),
    Confirm("look", "", "Look at the line."),
    StartDelivery("pump"),
    SetValve("diverter", False),
    RequestBolus("pump", 10.0, 60.0),
    Phase("two", until=above("outlet_pressure", 30.0), at_most_s=50.0),
    ReadPump("pump", "after"),
    SetValve("daq.vent", True),
    Phase("three", for_s=20.0),
    SetValve("daq.vent", False),
)
TEARDOWN = (StopDelivery("pump"), SetValve("diverter", False))

PERSON = ("stop", "pause", "resume", "reset hold", "reset outlet-pressure", "answer", "wrong answer", "note")
LOST = {
    "balance unplugged": "ASRL1::INSTR",
    "flow sensor unplugged": "ASRL2::INSTR",
    "pump unplugged": "ASRL3::INSTR",
}
DAQ = {"daq pulled": "unplug", "daq reset": "reset", "daq silent": "unavailable"}
PRESSURES = {"high": 60.0, "higher": 90.0}

moments = st.sampled_from([round(0.3 + 0.7 * k, 1) for k in range(250)])  # as likely late as early
person = st.lists(st.tuples(moments, st.sampled_from(PERSON)), max_size=6)
bench = st.lists(
    st.tuples(moments, st.sampled_from([*PRESSURES, *PRESSURES, *LOST, *DAQ]), st.floats(1.0, 60.0)), max_size=4
)
kill = st.none() | st.tuples(moments, st.integers(0, 60))  # when, and how many bytes of the last write are torn off


class Listed(Procedure):
    """The steps above."""

    name, method = "toy", 1

    def steps(self) -> Iterator[Step]:
        yield from STEPS

    def teardown(self) -> Iterator[Step]:
        yield from TEARDOWN


@dataclass
class Valve:
    """Stands between a line and what it drives, and remembers how that moved."""

    real: Any
    moves: list[tuple[float, float]] = field(default_factory=list)

    def write(self, value: float, t: float) -> None:
        self.moves.append((t, value))
        self.real.write(value, t)

    def at(self, t: float) -> float:
        return next((value for moved, value in reversed(self.moves) if moved <= t), 0.0)


@dataclass
class Play:
    """One run of the station to which things happen, and what is left of it."""

    folder: Path
    happens: list[tuple[float, str, float]]
    script: list[tuple[float, str]]
    kill: tuple[float, int] | None
    latches: Latches = field(init=False)
    valves: dict[str, Valve] = field(default_factory=dict)
    ordered: Counter[str] = field(default_factory=Counter)  # what reached the pump
    end: End | None = None
    lines: list[float] = field(default_factory=list)  # levels of the valves' lines when the run had ended
    records: list[tuple[str, float, dict[str, Any]]] = field(default_factory=list)

    @property
    def journal(self) -> Path:
        return self.folder / "toy.journal"

    @property
    def left(self) -> Path:
        """What was on the disk when the host was killed."""
        return self.folder / "left.journal"

    def run(self, station: Path) -> None:
        clock = VirtualClock()
        self.latches = Latches(self.folder / "station.latches")
        writer = JournalWriter(self.journal, HEADER)
        times = np.arange(0.0, ENDED_S + 100.0, 0.5)
        replay = {"outlet_pressure_v_per_v": (times, np.array([self._kpa(t) for t in times]) * 1e-5)}
        with open_station(load_station(str(station)), station, clock, seed=1, replay=replay) as opened:
            self._happen(opened)
            self.end = clock.run(lambda: self._main(opened, clock, writer))
        self.records = recorded(self.journal)

    def _kpa(self, t: float) -> float:
        return max((PRESSURES[what] for at, what, for_s in self.happens if what in PRESSURES and at <= t < at + for_s),
                   default=10.0)  # fmt: skip

    def _happen(self, opened: OpenStation) -> None:
        """Let the wires misbehave, and listen to what reaches valves and pump."""
        rig = opened.rig
        assert rig is not None
        dead_s = [] if self.kill is None else [self.kill[0]]
        for what, resource in LOST.items():
            away = [(t, for_s) for t, each, for_s in self.happens if each == what]
            faults = [WireFault(("unplug",), 1.0, t, t + for_s, back_by_s=t + for_s) for t, for_s in away]
            Misbehaviour(resource, [*faults, *(WireFault(("drop-request",), 1.0, t) for t in dead_s)]).attach(
                rig.devices[resource]
            )
        troubles = [
            DaqTrouble((DAQ[what],), 1.0, t, t + for_s, away_s=for_s, back_by_s=t + for_s)  # type: ignore[arg-type]  # a kind
            for t, what, for_s in self.happens
            if what in DAQ
        ]
        troubles += [DaqTrouble(("unavailable",), 1.0, t, away_s=1e9) for t in dead_s]
        rig.daq.misbehaviour = DaqMisbehaviour(troubles)
        actuators = rig.daq.system.hardware.actuators
        for line, real in actuators.items():
            self.valves[line] = actuators[line] = Valve(real)
        for order in ("load", "start", "stop", "bolus"):
            self._count(rig.plant.pump, order)

    def _count(self, pump: Any, order: str) -> None:
        usual = getattr(pump, order)

        def counted(*arguments: Any) -> Any:
            self.ordered[order] += 1
            return usual(*arguments)

        setattr(pump, order, counted)

    def _main(self, opened: OpenStation, clock: VirtualClock, writer: JournalWriter) -> End:
        recorder = Recorder(writer, clock, lambda text: None)
        roles = {**opened.station.roles, "daq.vent": "daq.vent"}
        engine = Engine(opened, Listed(), roles, recorder, longest_block_s=60.0, person="Ada", latches=self.latches)
        clock.worker("~person", lambda: self._act(clock, engine))
        if self.kill is not None:
            clock.worker("~kill", lambda: self._cut(clock))
        end = engine.run()
        recorder.close()
        assert opened.rig is not None
        self.lines = [opened.rig.daq.output(line) for line in self.valves]
        clock.sleep(2.0 * HOLD_S)  # the relay falls
        return end

    def _act(self, clock: VirtualClock, engine: Engine) -> None:
        tended = [(TENDED_S + 20.0 * k, what) for k in range(10) for what in ("resume", "reset hold", "answer")]
        for t, what in sorted([*self.script, *tended, (STOPPED_S, "stop")]):
            clock.sleep_until(t)
            does(what)(engine)

    def _cut(self, clock: VirtualClock) -> None:
        """Keep what is on the disk at the moment of the kill, with the last write torn."""
        assert self.kill is not None
        at_s, torn = self.kill
        clock.sleep_until(at_s)
        written = self.journal.read_bytes()
        self.left.write_bytes(written[: max(HEADER_BYTES, len(written) - torn)])


HEADER = {"run_id": "r", "procedure": "toy", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00Z"}
HEADER_BYTES = 400


def does(what: str) -> Callable[[Engine], object]:
    """What a person does."""
    word, _, name = what.partition(" ")
    if word == "reset":
        return lambda engine: engine.reset_interlock(name, "Ada", "looked")
    return {
        "stop": lambda engine: engine.stop("Ada", "enough"),
        "pause": lambda engine: engine.pause("Ada"),
        "resume": lambda engine: engine.resume("Ada"),
        "note": lambda engine: engine.note("Ada", "hm"),
        "answer": lambda engine: engine.answer("look", "done", "Ada"),
        "wrong": lambda engine: engine.answer("look", "no", "Ada"),
    }[word]


def recorded(journal: Path) -> list[tuple[str, float, dict[str, Any]]]:
    """Records of a journal, without its blocks."""
    with read_journal(journal) as reader:
        said = [reader.decode(frame) for frame in reader]
    return [(one.kind, one.t, dict(one.fields)) for one in said if hasattr(one, "kind") and not isinstance(one, Block)]


@contextmanager
def played(station: Path, *happened: Any) -> Iterator[Play]:
    with TemporaryDirectory() as name:
        play = Play(Path(name), *happened)
        play.run(station)
        yield play


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory, sim_station: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("station")
    path = sim_station(folder, CHANGES)
    path.write_text(path.read_text("utf-8") + MORE, "utf-8")
    return path


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the disk confirms is tested elsewhere."""
    monkeypatch.setattr(data.journal.os, "fdatasync", lambda fd: None)


@pytest.mark.usefixtures("quick_disk")
@given(person, bench, kill)
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=[Part.explicit, Part.generate]
)
def test_each_run_of_the_station_ends_once_safe_and_repeats_nothing(
    station: Path,
    script: list[tuple[float, str]],
    happens: list[tuple[float, str, float]],
    kill: tuple[float, int] | None,
) -> None:
    with played(station, happens, script, kill) as play:
        ends_once(play)
        repeats_nothing([fields for kind, _, fields in play.records if kind == "step"])
        is_safe(play)
        assert all(play.ordered[order] <= 1 for order in ("load", "start", "bolus"))
        if play.left.exists():  # else it had ended before
            leaves_a_prefix(play)


def ends_once(play: Play) -> None:
    assert play.end is not None
    assert [fields["status"] for kind, _, fields in play.records if kind == "status"] == [str(play.end.status)]
    assert play.records[-1][0] == "status"
    assert play.records[-1][1] < ENDED_S


def repeats_nothing(steps: list[dict[str, Any]]) -> None:
    """Steps begin in the order of the plan, none twice, and one ends before the next begins."""
    states = [(step["index"], step["state"]) for step in steps]
    plan = [(index, state) for index in range(len(STEPS)) for state in ("begin", "end")]
    assert states == plan[: len(states)]
    assert all(step["name"] == str(STEPS[step["index"]]) for step in steps)


def is_safe(play: Play) -> None:
    """At the end no valve has current; from the moment of going safe on none gets any; a dead host's valves fall."""
    assert [valve.at(1e9) for valve in play.valves.values()] == [0.0, 0.0, 0.0]
    if all(fields["confirmed"] for kind, _, fields in play.records if kind == "confirm"):
        assert play.lines == [0.0, 0.0, 0.0]
    safe_s = next((t for kind, t, _ in play.records if kind == "safe-state"), None)
    if safe_s is not None:
        assert play.end is not None
        assert play.end.status is not Status.COMPLETED
        late = [(t, value) for valve in play.valves.values() for t, value in valve.moves if t > safe_s + 4.0]
        assert all(value == 0.0 for _, value in late)
    if play.kill is not None:
        dead_s = play.kill[0] + HOLD_S + 0.1
        assert [valve.at(dead_s) for valve in play.valves.values()] == [0.0, 0.0, 0.0]


def leaves_a_prefix(play: Play) -> None:
    """What a killed host leaves is folded into a file that tells the beginning of the run, and no more."""
    assert play.kill is not None
    run_file = play.folder / "recovered.h5"
    fold(play.left, run_file)
    left = recorded(play.left)
    assert left == play.records[: len(left)]
    with Run.open(run_file) as run:
        steps = [dict(event.fields) for event in run.records("step")]
        assert all(event.t <= play.kill[0] for event in run.events)
        repeats_nothing(steps)
        if not any(kind == "status" for kind, _, _ in left):
            assert run.status is Status.INCOMPLETE
