"""Eight pumps on the wall clock, in one process and in eight: processor time, memory, reaction of an interlock."""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

from bench.closing import close_run
from bench.engine import Engine
from bench.protection import SafeStep
from bench.recorder import Recorder
from bench.request import Request
from bench.session import conduct
from bench.station import OpenStation, Station, load_station, open_station, station_path
from data.checks import Status
from data.journal import JournalWriter
from instruments.clock import WallClock
from protocols.flow_accuracy import FlowAccuracy

HEADER = {"run_id": "x", "procedure": "x", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00Z"}
OVER_V_PER_V = 0.0018  # 180 kPa, where the interlock is at 150 kPa
SETTLED_S = 20.0
"""After this all instruments have been opened and everything has been imported."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one process has used and how fast it was.

    Attributes
    ----------
    cpu : processor seconds in a second, simulated instruments included.
    memory_mb : that would be free if it ended (its proportional share of what it shares).
    reactions_s : from a sample's due time to the receipt of the valve command, one a pump that ran by then.
    """

    cpu: float
    memory_mb: float
    reactions_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What one way of running the pumps costs, all processes together."""

    cpu: float
    memory_mb: float
    reactions_s: tuple[float, ...]

    def __str__(self) -> str:
        took = sorted(1000.0 * reaction_s for reaction_s in self.reactions_s)
        middle, last = took[len(took) // 2], took[-1]
        return (
            f"{self.cpu:.2f} processor seconds a second, {self.memory_mb:.0f} MB; sample due to valve command: "
            f"{len(took)} trips, p50 {middle:.0f} ms, p90 {took[int(0.9 * (len(took) - 1))]:.0f} ms, max {last:.0f} ms"
        )


def measured(
    stations: Sequence[str], apart: bool, seconds: float, seed: int, closing: Path | None = None
) -> Arrangement:
    """Run the pumps in one process, or each in its own, until each has tripped.

    Parameters
    ----------
    seconds : for which processor time is counted, before the pressure of each pump steps over its limit.
    closing : a journal that is folded, judged and sealed over and over meanwhile in the process of the first pump,
        whose own reaction is left out.
    """
    groups = [[station] for station in stations] if apart else [list(stations)]
    spawn = get_context("spawn")
    start = spawn.Barrier(len(groups))
    with ProcessPoolExecutor(len(groups), spawn, _meet_at, (start,), max_tasks_per_child=1) as pool:
        journals = [closing, *[None] * (len(groups) - 1)]
        asked = [
            pool.submit(share, group, seconds, seed + at, journal)
            for at, (group, journal) in enumerate(zip(groups, journals, strict=True))
        ]
        found = [each.result() for each in asked]
    return Arrangement(
        sum(one.cpu for one in found),
        sum(one.memory_mb for one in found),
        tuple(reaction_s for one in found for reaction_s in one.reactions_s),
    )


def together(rounds: Sequence[Arrangement]) -> Arrangement:
    """Means of some rounds, and all their reactions."""
    return Arrangement(
        float(np.mean([one.cpu for one in rounds])),
        float(np.mean([one.memory_mb for one in rounds])),
        tuple(reaction_s for one in rounds for reaction_s in one.reactions_s),
    )


def share(stations: Sequence[str], seconds: float, seed: int, closing: Path | None) -> Share:
    """Run some pumps in this process, each on threads of its own."""
    sys.setswitchinterval(0.0005)  # as a runner does
    _start[0].wait()  # until every process has read and compiled what it needs
    reactions: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        steps = [random.Random(f"{seed}/{name}").uniform(0.5, 3.0) + SETTLED_S + seconds for name in stations]
        pumps = [
            threading.Thread(
                target=_trip, args=(name, step_s, seed, Path(folder) / f"{at}.journal", reactions), daemon=True
            )
            for at, (name, step_s) in enumerate(zip(stations, steps, strict=True))
        ]
        for pump in pumps:
            pump.start()
        time.sleep(SETTLED_S)
        done = threading.Event()
        closer = threading.Thread(target=_close_again, args=(closing, Path(folder), done), daemon=True)
        if closing is not None:
            closer.start()
        wall, cpu = time.perf_counter(), time.process_time()
        time.sleep(seconds)
        used, memory_mb = (time.process_time() - cpu) / (time.perf_counter() - wall), _proportional_mb()
        for pump in pumps:
            pump.join()
        done.set()
        if closing is not None:
            closer.join()
    counted = stations if closing is None else stations[1:]
    return Share(used, memory_mb, tuple(reactions[name] for name in counted if name in reactions))


_start: list[Barrier] = []
"""Where the processes of an arrangement meet before they begin."""


def _meet_at(start: Barrier) -> None:
    _start[:] = [start]


def _close_again(journal: Path, folder: Path, done: threading.Event) -> None:
    number = 0
    while not done.is_set():
        number += 1
        close_run(journal, folder / f"closed-{number}.h5")


def journal_of(station: str, folder: Path) -> Path:
    """The journal of a run of some hours that has ended."""
    settings = {"stabilisation": "2 h", "analysis": "40 h", "blank_length": "1 h"}
    return conduct(Request("flow-accuracy", station, settings=settings, out=folder)).journal


def _trip(name: str, step_s: float, seed: int, journal: Path, reactions: dict[str, float]) -> None:
    """Conduct a run whose pressure steps over its limit, and note how long the vent's command took."""
    station, clock = _fast(load_station(name)), WallClock()
    pressure = (np.array([0.0, step_s]), np.array([0.0, OVER_V_PER_V]))
    with ExitStack() as stack:
        opened = stack.enter_context(
            open_station(station, station_path(name), clock, seed=seed, replay={"outlet_pressure_v_per_v": pressure})
        )
        arrived = _stop_watch(opened, clock, step_s)
        recorder, begun = Recorder(JournalWriter(journal, HEADER), clock, print), list[float]()
        recorder.listen(lambda kind, t, _: begun.append(t) if kind == "phase" else None)
        procedure = FlowAccuracy(blank="diverter", stabilisation="1 h", blank_length="30 min")
        engine = Engine(opened, procedure, station.roles, recorder, longest_block_s=clock.block_s, person="benchmark")
        end = engine.run()
        assert end.status is Status.STOPPED_BY_INTERLOCK, end
        recorder.close()
        if begun and begun[0] < step_s - 1.0:  # else the computer was too busy to have the run begin in time
            reactions[name] = arrived() - (step_s + 1e-3)  # the first sample after the step


def _stop_watch(opened: OpenStation, clock: WallClock, step_s: float) -> Callable[[], float]:
    """Notes when the vent is commanded for the first time after the step, at the end of the wire."""
    assert opened.rig is not None
    vent, times = opened.rig.plant.actuators["vent_valve"], list[float]()
    write = vent.write

    def timed(value: float, t: float) -> None:
        if clock.now() > step_s:
            times.append(clock.now())
        write(value, t)

    vent.write = timed  # type: ignore[method-assign]  # a stop-watch at the end of the wire
    return lambda: times[0]


def _fast(station: Station) -> Station:
    """A station with its DAQ at 1 kHz, whose safe state opens the vent."""
    tables = dict(station.instruments)
    daq = tables["daq"]
    tables["daq"] = type(daq).model_validate({"driver": daq.driver, **(daq.model_extra or {}), "rate": "1 kHz"})
    return station.model_copy(update={"instruments": tables, "safe_state": [SafeStep(valve="daq.vent", on=True)]})


def _proportional_mb() -> float:
    """Memory of this process, with its share of what it has in common with others."""
    lines = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000.0
