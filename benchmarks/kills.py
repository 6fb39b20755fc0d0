"""What stays driven when a run is stopped, loses a wire, or is killed: real processes on a served rig.

    python -m benchmarks kills [200] [--seed 1] [--jobs 3]

A rig with a syringe pump, a pressure controller, valves behind a heartbeat's relay and their sensors is served on
sockets (as `pumpbench sim serve` does) on the wall clock.  `pumpbench run` processes drive all of it; at a random
moment one of these happens, in turn:

    stop      SIGINT or SIGTERM: a person stops the run
    cut       the wire of the syringe pump, the controller, the balance or the NI chassis is pulled and stays so
    kill      SIGKILL: nobody says anything any more

Then the plant is looked at fifty times a second until every output is in the station's safe state: valves without
current (outlet and vent open, diverter to the vessel), the plunger at rest, no pressure of the controller on the line.
Asked for: all of them, each time, and that they stay so; after a kill within the time-outs that the station states.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import served_rig
from bench.station import SHIPPED, Served, serve_rig
from instruments.clock import WallClock

ROOT = Path(__file__).parents[1]
STATION = "sim-full"
LEFT_OUT = ("flow_sensor", "pump", "bath", "room")
"""Instruments of the station that would only lengthen the start of a run."""

WATCHDOG_S = 2.0
SYRINGE_S = 3.0
OUTAGE_S = 3.0
"""Time-outs of the station of these trials: heartbeat's relay, syringe pump, lost channel that guards."""

PROMISED_S = {"stop": 15.0, "cut": 30.0, "kill": max(WATCHDOG_S, SYRINGE_S) + 0.5}
"""Longest time from the event to the safe state.

A stop may first finish an exchange that hangs; a cut may be noticed only by the step that uses the instrument, or at
the end of the steps.
"""

LATEST_S = 7.0
"""The event comes within this from the moment at which the bench is driven."""

STAYS_S = 1.0
ATTEMPTS = 4
AMBIENT_KPA = 0.2
LINES = {
    "outlet_is_open": "cDAQ1Mod6/port0/line0",
    "vent_is_open": "cDAQ1Mod6/port0/line1",
    "is_diverted": "cDAQ1Mod6/port0/line2",
    "supply": "cDAQ1Mod6/port0/line3",
}
CUT = ("pusher", "controller", "balance", "chassis")
SAFE: dict[str, float] = {"outlet_is_open": 1.0, "vent_is_open": 1.0, "is_diverted": 0.0, "pusher_ul_per_h": 0.0}


class NotBegunError(RuntimeError):
    """A run that did not come to drive anything, since this computer was too busy for a time-out of its instruments."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What happened, and what became of it.

    Attributes
    ----------
    driven : what was not in the safe state just before.
    settled_s : when each of these was in it, after the event; infinite when it never was.
    by : what made each of them safe.
    left : what was not in the safe state at the end.
    """

    kind: str
    how: str
    at_s: float
    driven: tuple[str, ...]
    settled_s: Mapping[str, float]
    by: Mapping[str, str]
    left: tuple[str, ...]
    said: str

    @property
    def safe_s(self) -> float:
        """When all was safe."""
        return max(self.settled_s.values(), default=0.0)

    @property
    def good(self) -> bool:
        """Whether the bench became safe in time and stayed so."""
        return not self.left and self.safe_s <= PROMISED_S[self.kind]


def unsafe(truth: Mapping[str, Any]) -> tuple[str, ...]:
    """What is not in the safe state."""
    found = [name for name, value in SAFE.items() if truth[name] != value]
    return tuple(found + ["back_pressure_kpa"] * (abs(truth["back_pressure_kpa"]) > AMBIENT_KPA))


# ------------------------------------------------------------------------------------------- rig, station and runs


def station_text(name: str) -> str:
    """The shipped station with shorter time-outs, without what only lengthens a start."""
    text = (SHIPPED / f"{STATION}.toml").read_text("utf-8")
    changes = {
        f'name = "{STATION}"': f'name = "{name}"',
        'period = "3 s"': 'period = "0.9 s"',  # which feeds the pump's time-out
        'safe_timeout = "10 s"': f'safe_timeout = "{SYRINGE_S:g} s"',
        'timeout = "60 s"             # each feed': f'timeout = "{WATCHDOG_S:g} s"             # each feed',
        'max_outage = "60 s"          # without': f'max_outage = "{OUTAGE_S:g} s"          # without',
        "hold_s = 60.0": f"hold_s = {WATCHDOG_S}",
    }
    for old, new in changes.items():
        if old not in text:
            raise ValueError(f"{STATION}.toml: {old!r} is not there any more; put it right in benchmarks/kills.py")
        text = text.replace(old, new)
    text = re.sub(r"^(resource = .*)$", r'\1\ntimeout = "1 s"', text, flags=re.MULTILINE)  # a busy computer is slow
    return _without(text, LEFT_OUT)


def _without(text: str, names: Sequence[str]) -> str:
    """A station's text without some of its instruments, and the roles and interlocks that they play."""
    import tomllib

    parsed = tomllib.loads(text)
    interlocks = [
        name for name, table in parsed["interlocks"].items() if table["channel"].partition(".")[0] in LEFT_OUT
    ]
    kept, table = [], ""
    for line in text.splitlines():
        table = line.split("#")[0].strip() if line.startswith("[") else table
        gone = any(table.strip("[]").startswith(f"instruments.{name}") for name in names)
        gone |= any(table == f"[interlocks.{name}]" for name in interlocks)
        target = line.partition("=")[2].strip().strip('"').partition(".")[0]
        gone |= table == "[roles]" and target in names
        kept += [] if gone else [line]
    return "\n".join(kept) + "\n"


@contextmanager
def bench(folder: Path, name: str, seed: int) -> Iterator[tuple[Any, Path]]:
    """A served rig and the station file of its runs."""
    described, station = folder / "described.toml", folder / "station.toml"
    described.write_text(station_text(name), "utf-8")
    rig = served_rig.of_station(str(described))
    clock = WallClock()
    with serve_rig(
        rig.simulation, rig.where, clock, rig.resources, seed=seed, plant=rig.plant, wires=rig.wires
    ) as served:
        resources = {each: served_rig.visa_resource(ports, "tcp") for each, ports in served.ports.items()}
        served_rig.write_station(str(described), station, resources, served.daq, Served(seed=seed))
        yield served, station


def install(folder: Path) -> dict[str, str]:
    """Environment of a process in which the protocol ``stir`` is installed."""
    info = folder / "pumpbench_stir-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pumpbench-stir\nVersion: 1\n", "utf-8")
    (info / "entry_points.txt").write_text("[pumpbench.protocols]\nstir = benchmarks._stir:Stir\n", "utf-8")
    path = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "PUMPBENCH_HOME": str(folder / "home")}


# -------------------------------------------------------------------------------------------------------- a trial


def trial(served: Any, station: Path, environment: Mapping[str, str], number: int, seed: int) -> Trial:
    """Start a run, let something happen to it at a random moment, and look at the plant.

    Raises
    ------
    NotBegunError
        Its record is left where the message says.
    """
    rng = random.Random(f"{seed}/{number}")
    kind = ("stop", "cut", "kill")[number % 3]
    late_s = rng.uniform(0.0, LATEST_S)
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    run = _start(station, folder, environment)
    try:
        _await_driven(served, run, folder)
        time.sleep(late_s)
        driven = unsafe(served.truth())
        how = _strike(served, run, kind, rng)
        settled = _watch(served, run, driven, PROMISED_S[kind] + 5.0, until_end=kind != "kill")
        by = ways(served, kind, how)
    finally:
        _end(run)
        _mend(served)
    said = (folder / "said").read_text("utf-8", "replace").strip().splitlines()
    shutil.rmtree(folder)
    left = unsafe(served.truth())
    return Trial(kind, how, late_s, driven, settled, by, left, said[-1] if said else "")


def _start(station: Path, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    options = ["--out", str(folder / "runs"), "--override", "latched", "--person", "Ada", "--reason", "the next trial"]
    with (folder / "said").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.cli", "run", "stir", "--station", str(station), *options],
            env=dict(environment),
            stdout=subprocess.DEVNULL,
            stderr=said,
        )


def _await_driven(served: Any, run: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait for the run to make the bench ready: the vent shuts."""
    until = time.monotonic() + 60.0
    while served.truth()["vent_is_open"] == 1.0:
        if run.poll() is not None or time.monotonic() > until:
            said = (folder / "said").read_text("utf-8", "replace")
            raise NotBegunError(f"the run did not begin; its record is in {folder}: {said}")
        time.sleep(0.05)


def _strike(served: Any, run: subprocess.Popen[bytes], kind: str, rng: random.Random) -> str:
    """Let it happen; returns what."""
    if kind == "cut":
        what = rng.choice(CUT)
        if what == "chassis":
            served.rig.daq.unplug("cDAQ1")
        else:
            served.unplug(what, 3600.0)
        return what
    number = signal.SIGKILL if kind == "kill" else rng.choice((signal.SIGINT, signal.SIGTERM))
    run.send_signal(number)
    return number.name


def _watch(
    served: Any, run: subprocess.Popen[bytes], driven: Sequence[str], longest_s: float, *, until_end: bool
) -> dict[str, float]:
    """When each output that was driven, or is driven since, has gone to its safe state for good."""
    began = time.monotonic()
    settled = dict.fromkeys(driven, float("inf"))
    safe_since: float | None = None
    while (now := time.monotonic() - began) < longest_s:
        wrong = unsafe(served.truth())
        for name in wrong:
            settled[name] = float("inf")
        for name in settled:
            if name not in wrong and settled[name] == float("inf"):
                settled[name] = now
        safe_since = None if wrong else now if safe_since is None else safe_since
        over = run.poll() is not None or not until_end
        if over and safe_since is not None and now - safe_since > STAYS_S:
            break
        time.sleep(0.02)
    return settled


def _end(run: subprocess.Popen[bytes]) -> None:
    """See the process off."""
    if run.poll() is None:
        try:
            run.wait(20.0)
        except subprocess.TimeoutExpired:
            run.kill()
    run.wait()


def _mend(served: Any) -> None:
    """Put all plugs back."""
    served.plug()
    served.rig.daq.plug("cDAQ1")


# --------------------------------------------------------------------------------------------------------- figures


def some(numbers: Sequence[int], seed: int) -> list[Trial]:
    """Trials one after the other on a rig of their own."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        environment = install(folder)
        found: list[Trial] = []
        with bench(folder, f"kills-{os.getpid()}", seed) as (served, station):
            for number in numbers:
                one = _tried(partial(trial, served, station, environment, number, seed))
                found.append(one)
                print(
                    f"{number:4} {one.kind:5} {one.how:10} at {one.at_s:4.1f} s, driven: {len(one.driven)}, "
                    f"safe after {one.safe_s:5.2f} s{'' if one.good else '   NOT SAFE: ' + ', '.join(one.left)}",
                    flush=True,
                )
    return found


def _tried(attempt: Callable[[], Trial]) -> Trial:
    """A trial, again where its run did not begin."""
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except NotBegunError as error:
            print(f"     again: {error}", flush=True)
    return attempt()


def ways(served: Any, kind: str, how: str) -> dict[str, str]:
    """What has made each output safe, as the wires show it.

    A valve's line that still has its level is without current because the relay has opened.  A syringe pump that
    nobody could tell to stop has stopped by itself; a controller that still regulates is off the line by its valve.
    """
    found = {
        name: "the relay of the heartbeat" if served.rig.daq.output(line) > 0.5 else "the run"
        for name, line in LINES.items()
    }
    found["pusher_ul_per_h"] = "its own time-out" if kind == "kill" or how == "pusher" else "the run"
    regulates = served.truth()["controllers"]["controller"]["regulates"]
    found["back_pressure_kpa"] = f"its supply valve, by {found.pop('supply')}" if regulates else "the run"
    return found


def report(trials: Sequence[Trial]) -> bool:
    """Print the figures; whether every trial ended safe in time."""
    for kind in PROMISED_S:
        of_kind = [each for each in trials if each.kind == kind]
        if not of_kind:
            continue
        took = sorted(each.safe_s for each in of_kind)
        driving = [each for each in of_kind if each.driven]
        good = sum(each.good for each in of_kind)
        print(
            f"{kind}: {good} of {len(of_kind)} safe ({len(driving)} with something driven); time to safe "
            f"p50 {took[len(took) // 2]:.2f} s, max {took[-1]:.2f} s (asked for: {PROMISED_S[kind]:g} s)"
        )
        found = [(name, each.by[name], each.settled_s[name]) for each in of_kind for name in each.settled_s]
        for (name, way), count in sorted(Counter((name, way) for name, way, _ in found).items()):
            slowest = max(s for each, by, s in found if (each, by) == (name, way))
            print(f"    {name:18} by {way:46} {count:4} times, slowest {slowest:.2f} s")
    good = sum(each.good for each in trials)
    print(f"{good} of {len(trials)} safe")
    return good == len(trials)


def main(arguments: list[str] | None = None) -> int:
    """Do the trials and report; exit code 1 when one did not end safe."""
    parser = argparse.ArgumentParser(prog="kills", description=__doc__)
    parser.add_argument("trials", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=3, help="rigs that are served at a time")
    options = parser.parse_args(arguments)
    if sys.platform == "win32":
        print("kills: SIGKILL and SIGINT to a child need POSIX")
        return 0
    shares = [range(first, options.trials, options.jobs) for first in range(options.jobs)]
    with ProcessPoolExecutor(options.jobs) as pool:
        found = list(pool.map(partial(some, seed=options.seed), [list(share) for share in shares]))
    return 0 if report([each for share in found for each in share]) else 1


if __name__ == "__main__":
    sys.exit(main())
