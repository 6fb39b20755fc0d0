"""A toy bench without wires for tests of the engine, and a short run of the simulated station that tests share."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench.closing
import bench.station
import bench.trust.register
from bench.engine import End, Engine
from bench.latch import Latches
from bench.recorder import Recorder
from bench.request import Request
from bench.session import Result, conduct
from bench.station import OpenStation, Station
from data.journal import JournalWriter, Record, read_journal
from data.samples import Block, Channel, Quality, Reading
from data.schedule import Schedule
from data.seal import Verification
from instruments.capabilities import Confirmation, PumpStatus
from instruments.clock import Clock, VirtualClock
from instruments.instrument import (
    Buffered,
    Connection,
    Identity,
    Instrument,
    InstrumentDisconnected,
    InstrumentTimeout,
    Polled,
    Settings,
)
from protocols.interlock import Interlock
from protocols.procedure import Procedure
from protocols.steps import Phase, SetValve, Step

HEADER = {"run_id": "r", "procedure": "toy", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00Z"}

SHORT = {"stabilisation": "0 h", "analysis": "1 h", "blank-length": "30 min"}
"""The shortest flow-accuracy run: 2.5 h with its blanks."""

Spans = Sequence[tuple[float, float]]


def _within(spans: Spans, t: float) -> bool:
    return any(begin <= t < end for begin, end in spans)


class Toy(Instrument):
    """What the toy instruments share: they are always there, unless they are missing."""

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, Settings(), clock, Connection())
        self.missing = self.closed = False
        self.safe: Callable[[], str] = lambda: "safe"

    def open(self) -> None:
        if self.missing:
            raise InstrumentDisconnected(self.name, "cannot be opened; check its cable")

    def identify(self) -> Identity:
        return Identity("toys", type(self).__name__, "1")

    def make_safe(self) -> str:
        return self.safe()

    def close(self) -> None:
        self.closed = True


class Gauge(Toy, Buffered):
    """Pressure at 10 Hz, as a function of time; lost in some spans of time, bad in others."""

    channels = (Channel("pressure", "kPa", "gauge"),)
    interval_s = 0.1
    read_period_s = 3600.0

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, clock)
        self.pressure: Callable[[float], float] = lambda t: 10.0
        self.lost: Spans = ()
        self.bad: Spans = ()
        self.hole: tuple[int, int] | None = None  # index of the first sample that is missing, and how many are
        self.reads = 0
        self._start_s = self._next = 0.0

    def start(self) -> None:
        self._start_s, self._next = self.clock.now(), 0

    def read(self, most: int) -> Block:
        self.reads += 1
        if _within(self.lost, self.clock.now()):
            raise InstrumentTimeout(self.name, "no reply")
        there = math.floor((self.clock.now() - self._start_s) / self.interval_s + 1e-6)
        first, end = int(self._next), int(min(there, self._next + most))
        if self.hole is not None and first <= self.hole[0] < end:
            end, self._next = self.hole[0], sum(self.hole)  # a block ends before a hole
            self.hole = None
        else:
            self._next = end = max(first, end)
        t = self._start_s + np.arange(first, end) * self.interval_s
        values = np.array([self.pressure(at + self.interval_s) for at in t]).reshape(-1, 1)
        quality = [[int(Quality.DEVICE_ERROR) if _within(self.bad, at) else 0] for at in t]
        return Block(self.name, first, t, values, np.array(quality, dtype=np.uint16).reshape(-1, 1))

    def anchor(self) -> tuple[float, int]:
        return self.clock.now(), int(self._next)

    def stop(self) -> None:
        """Nothing to do."""


class Scale(Toy, Polled):
    """Mass each second; it answers late by 20 ms."""

    channels = (Channel("mass", "mg"),)
    period_s = 1.0
    lost: Spans = ()
    tare_s = 0.1

    def tare(self) -> None:
        self.clock.sleep(self.tare_s)

    def sample(self) -> Reading:
        asked = self.clock.now()
        self.clock.sleep(0.02)
        if _within(self.lost, asked):
            raise InstrumentTimeout(self.name, "no reply")
        return Reading(asked, (asked,), (0,))


class Box(Toy):
    """Valves that remember how they moved."""

    valve_names = ("vent", "outlet", "diverter")

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, clock)
        self.moves: list[tuple[float, str, bool]] = []
        self.stuck: set[str] = set()

    def set_valve(self, name: str, on: bool) -> None:
        self.moves.append((self.clock.now(), name, on))

    def valves(self) -> dict[str, bool]:
        states = dict.fromkeys(self.valve_names, False)
        states.update((name, on) for _, name, on in self.moves if name not in self.stuck)
        return states


class Pump(Toy):
    """A pump that confirms whatever it is told; meets `instruments.capabilities.PumpLink`."""

    def program(self, schedule: Any) -> Confirmation:
        return self._confirmed("SET")

    def start(self) -> Confirmation:
        return self._confirmed("RUN")

    def stop(self) -> Confirmation:
        return self._confirmed("STOP")

    def bolus(self, volume_ul: float, duration_s: float, kind: str = "single") -> Confirmation:
        return self._confirmed("BOLUS")

    def status(self) -> PumpStatus:
        return PumpStatus(True, "continuous", 0.0, 20000.0, (), self.clock.now())

    def read_back(self) -> Schedule:
        return Schedule.parse("1 mL/day")

    def set_reservoir(self, volume_ul: float) -> Confirmation:
        return self._confirmed(f"RESERVOIR {volume_ul:g}")

    def log(self) -> tuple[str, ...]:
        return ()

    def _confirmed(self, command: str) -> Confirmation:
        return Confirmation(command, "OK", self.clock.now(), self.clock.now())


class Toys(Procedure):
    """Steps as a test gives them."""

    name, method = "toy", 1
    leaves_out = True

    def __init__(self, steps: Iterable[Step], teardown: Iterable[Step] = (), interlocks: Sequence[Interlock] = ()):
        super().__init__()
        self._steps, self._teardown, self._interlocks = tuple(steps), tuple(teardown), tuple(interlocks)

    def steps(self) -> Iterator[Step]:
        yield from self._steps

    def teardown(self) -> Iterator[Step]:
        yield from self._teardown

    def interlocks(self) -> Sequence[Interlock]:
        return self._interlocks


SAFE = ({"valve": "box.vent", "on": True}, {"valve": "box.outlet", "on": False})


@dataclass
class ToyBench:
    """A bench of toys: a gauge, a scale and a box of valves."""

    folder: Path
    clock: Clock = field(default_factory=VirtualClock)
    calibration: dict[str, Any] = field(default_factory=dict)
    stated: dict[str, Any] = field(default_factory=dict)  # further keys of the station file
    latches: Latches | None = None

    def __post_init__(self) -> None:
        self.gauge, self.scale = Gauge("gauge", self.clock), Scale("scale", self.clock)
        self.box, self.pump = Box("box", self.clock), Pump("pump", self.clock)
        self.more: list[Toy] = []  # further instruments
        self.station_interlocks: list[Interlock] = []
        self.end: End | None = None
        self.records: list[Record] = []
        self.blocks: list[Block] = []

    def run(
        self,
        *steps: Step,
        at: Iterable[tuple[float, Callable[[Engine], object]]] = (),
        teardown: Iterable[Step] = (SetValve("box.outlet", False),),
        interlocks: Sequence[Interlock] = (),
        longest_block_s: float = 60.0,
    ) -> End:
        """Run steps; ``at`` is what a person does, and when."""
        toys: list[Instrument] = [self.gauge, self.scale, self.box, self.pump, *self.more]
        table: dict[str, Any] = {toy.name: {"driver": "toy"} for toy in toys}
        if self.calibration:
            table["gauge"]["calibration"] = {"pressure": self.calibration}
        settings = {"name": "toys", "instruments": table, "roles": {}, "safe_state": list(SAFE), **self.stated}
        instruments = {toy.name: toy for toy in toys}
        opened = OpenStation(
            Station.model_validate(settings), Path("toys.toml"), self.clock, instruments, None, self.station_interlocks
        )
        procedure = Toys(steps or (Phase("hold", for_s=60.0),), teardown, interlocks)
        journal = self.folder / "toy.journal"
        journal.unlink(missing_ok=True)
        writer = JournalWriter(journal, HEADER)
        roles = {
            "vent": "box.vent",
            "box.vent": "box.vent",
            "box.outlet": "box.outlet",
            "pressure": "gauge.pressure",
            "balance": "scale",
            "pump": "pump",
        }

        def main() -> End:
            recorder = Recorder(writer, self.clock, lambda text: None)
            options: dict[str, Any] = {"longest_block_s": longest_block_s, "person": "Ada", "latches": self.latches}
            engine = Engine(opened, procedure, roles, recorder, **options)

            def person() -> None:
                for t, command in sorted(at, key=lambda item: item[0]):
                    self.clock.sleep_until(t)
                    command(engine)

            self.clock.worker("~person", person)
            try:
                return engine.run()
            finally:
                recorder.close()

        self.end = self.clock.run(main)
        self._read(journal)
        return self.end

    def open_outlet(self) -> None:
        """Have somebody open the outlet as sampling begins."""
        usual = self.gauge.start
        self.gauge.start = lambda: [self.box.moves.append((0.0, "outlet", True)), usual()][1]  # type: ignore[method-assign]  # on purpose

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Fields of the records of one kind, with their time as "t"."""
        return [{"t": record.t, **record.fields} for record in self.records if record.kind == kind]

    def _read(self, journal: Path) -> None:
        with read_journal(journal) as reader:
            said = [reader.decode(frame) for frame in reader]
            assert reader.tail().bytes == 0
        self.records = [one for one in said if isinstance(one, Record)]
        self.blocks = [one for one in said if isinstance(one, Block)]


@pytest.fixture
def toys(tmp_path: Path) -> ToyBench:
    """A toy bench on a virtual clock."""
    return ToyBench(tmp_path)


@pytest.fixture
def toy_bench(tmp_path: Path) -> Callable[..., ToyBench]:
    """Makes further toy benches."""

    def make(**options: Any) -> ToyBench:
        return ToyBench(tmp_path, **options)

    return make


@pytest.fixture(scope="session")
def short_request() -> Callable[..., Request]:
    """Asks for the shortest flow-accuracy run."""

    def request(station: str | Path = "sim", **options: Any) -> Request:
        return Request("flow-accuracy", str(station), **{"settings": SHORT, "seed": 3, **options})

    return request


@pytest.fixture(scope="session")
def short_run(tmp_path_factory: pytest.TempPathFactory, short_request: Callable[..., Request]) -> Result:
    """One short run of the simulated station, from beginning to end.  Tests only read it."""
    return conduct(short_request(out=tmp_path_factory.mktemp("short")))


@pytest.fixture(scope="session")
def without_seals() -> Callable[[], AbstractContextManager[None]]:
    """A context in which no run is sealed, registered or verified, which takes a third of a short one."""

    @contextmanager
    def unsealed() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bench.trust.register, "seal_run", lambda path, home: "not sealed")
            patch.setattr(bench.closing, "verify", lambda path: Verification(True, "intact", (), ""))
            yield

    return unsealed


@pytest.fixture
def unsealed(without_seals: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """No run of the test is sealed: it looks at what was found, and sealing has tests of its own.

    Of one test and no longer: a run that many modules share is made when the first of them asks, and is sealed.
    """
    with without_seals():
        yield


@pytest.fixture(scope="session")
def sim_station() -> Callable[..., Path]:
    """Writes the simulated station's file with some texts replaced: sim_station(folder, {"old": "new"})."""

    def write(folder: Path, changes: dict[str, str] | None = None, name: str = "station.toml") -> Path:
        text = (bench.station.SHIPPED / "sim.toml").read_text("utf-8")
        for old, new in (changes or {}).items():
            assert old in text, f"{old!r} is not in sim.toml"
            text = text.replace(old, new, 1)
        (folder / name).write_text(text, "utf-8")
        return folder / name

    return write


@pytest.fixture(scope="session")
def occluded(tmp_path_factory: pytest.TempPathFactory, sim_station: Callable[..., Path]) -> Request:
    """Asks for a run whose tip is closed, on a station that soon stops for the pressure, and is read less often."""
    folder = tmp_path_factory.mktemp("occluded")
    less_often = {'period = "1 s"': 'period = "5 s"', 'interval = "0.1 s"': 'interval = "0.5 s"', '"10 Hz"': '"2 Hz"'}
    station = sim_station(folder, {'high = "150 kPa"': 'high = "6 kPa"', **less_often})
    settings = {"stabilisation": "2 h", "analysis": "1 h", "blank-length": "30 min"}
    return Request("flow-accuracy", str(station), settings=settings, seed=3, faults=["occlusion@3 min"])


@pytest.fixture(scope="session")
def trip(tmp_path_factory: pytest.TempPathFactory, occluded: Request) -> Callable[..., Result]:
    """Conducts that run, with some things different: trip(seed=4)."""

    def run(**different: Any) -> Result:
        return conduct(replace(occluded, out=tmp_path_factory.mktemp("trip"), **different))

    return run


@pytest.fixture(scope="session")
def tripped(trip: Callable[..., Result]) -> Result:
    """That run.  Tests only read it."""
    return trip()


@pytest.fixture
def detached_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder for detached runs, and a working folder beside it."""
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


TAKES_A_STATION = """
import sys, time
from pathlib import Path
from bench.run_queue import StationLock
lock = StationLock.take(Path(sys.argv[1]), "sim")
lock.tell({"number": 7})
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(detached_home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the station for run 7."""
    command = [sys.executable, "-P", "-c", TAKES_A_STATION, str(detached_home)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()
