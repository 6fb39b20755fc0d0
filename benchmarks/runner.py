"""What clients cost a run: ten are killed, one is stopped for 30 s, and sampling must not be late nor a frame missing.

    python -m benchmarks runner [--quiet 10] [--stall 30]

A runner conducts a run of the simulated station at the pace of real time (DAQ 6 channels at 1 kHz, flow sensor 10/s,
balance 1/s).  At first nobody watches; then ten clients follow and are killed one after the other; then one is stopped
with SIGSTOP while the journal goes on, and continued.  What the clients got, joined, must be the journal to the byte.
A worker of the run's own clock wakes every 50 ms, the block of a real run, and keeps how late it is: nothing is sampled
later than that.  A bystander, who only sleeps 50 ms at a time, shows what the computer does to anybody meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import bench.runner
from bench.request import Request
from bench.rpc.client import Client
from bench.rpc.messages import Ending
from bench.run_queue import Entry, enqueue
from bench.session import Underway
from bench.station import station_path
from data.frames import PREAMBLE_BYTES
from data.journal import read_journal

BLOCK_S = 0.05
KILLS = 10
WATCH_S, CATCH_UP_S = 1.0, 3.0
GROWTH_MB = 30.0
"""What a runner may grow by; a stalled client must not be waited for in its memory."""

CLIENT = """
import sys
from pathlib import Path
from bench.rpc.client import Client, Ending
from bench.run_queue import find
entry = find(Path(sys.argv[1]), sys.argv[2])
with Client.of(entry) as client, Path(sys.argv[3]).open("ab", buffering=0) as spool:
    for message in client.pieces(int(sys.argv[4])):
        if not isinstance(message, Ending):
            spool.write(message.data)
"""


class Probed(bench.runner.Runner):
    """A runner that keeps how late each 50th millisecond of the run came."""

    def begins(self, run: Underway) -> None:
        """Take the run over, and begin to look."""
        super().begins(run)
        clock, late = run.clock, list[tuple[float, float]]()
        self.late = late

        def look() -> None:
            while True:
                clock.sleep(BLOCK_S)
                late.append((clock.now(), clock.wall()))

        clock.worker("~probe", look)

    def ends(self) -> None:
        """Keep what was seen."""
        super().ends()
        (self.entry.folder / "late.json").write_text(json.dumps(self.late), "utf-8")


def conducted(home: Path) -> None:
    """Body of the runner's process."""
    bench.runner.Runner = Probed  # type: ignore[misc]  # a probe in its place
    bench.runner.main(["--home", str(home), "--station", "sim"])


class Watched:
    """The run, its clients, and what they have kept."""

    def __init__(self, home: Path, entry: Entry) -> None:
        self.entry, self.home, self.spool = entry, home, home / "spool"
        self.spool.write_bytes(PREAMBLE_BYTES)
        self.marks: list[tuple[str, float]] = []
        self.rss: list[float] = []
        self.bystander: dict[str, list[float]] = {}
        threading.Thread(target=self._stand_by, daemon=True).start()

    def mark(self, what: str) -> None:
        """From here on the run is in this part."""
        self.bystander[what] = []
        with Client.of(self.entry) as client:
            self.marks.append((what, client.status().elapsed_s))
        self.rss.append(resident_mb(self.entry.state().pid))

    def _stand_by(self) -> None:
        while True:
            due = time.monotonic() + BLOCK_S
            time.sleep(BLOCK_S)
            if self.marks:
                self.bystander[self.marks[-1][0]].append(1000.0 * (time.monotonic() - due))

    def client(self) -> subprocess.Popen[bytes]:
        """A client that goes on where the last one was."""
        words = [str(self.home), str(self.entry.number), str(self.spool), str(whole_frames(self.spool))]
        there, client = self.spool.stat().st_size, subprocess.Popen([sys.executable, "-P", "-c", CLIENT, *words])
        while self.spool.stat().st_size == there:
            assert client.poll() is None, "the client ended"
            time.sleep(0.01)
        return client

    def lateness(self) -> dict[str, list[float]]:
        """Lateness in ms of every look, by part of the run."""
        looks = json.loads((self.entry.folder / "late.json").read_text("utf-8"))
        soonest = min(wall - t for t, wall in looks)
        found: dict[str, list[float]] = {what: [] for what, _ in self.marks}
        for t, wall in looks:
            part = [what for what, begin in self.marks if begin <= t]
            if part:
                found[part[-1]].append(1000.0 * (wall - t - soonest))
        return found


def whole_frames(spool: Path) -> int:
    """Number of the frame that is due; what is left of a torn one is cut off."""
    if spool.stat().st_size == len(PREAMBLE_BYTES):
        return 0
    with read_journal(spool) as reader:
        count = sum(1 for _ in reader)
        os.truncate(spool, spool.stat().st_size - reader.tail().bytes)
    return count


def resident_mb(pid: int) -> float:
    """Memory of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024.0
    return 0.0


def watched(home: Path, quiet_s: float, stall_s: float) -> tuple[Watched, Any]:
    """The run from beginning to end, and how it ended."""
    station = home / "fast.toml"
    station.write_text(station_path("sim").read_text("utf-8").replace('rate = "10 Hz"', 'rate = "1 kHz"', 1), "utf-8")
    settings = {"recording": "2 h"}  # it is stopped before
    request = Request("flow-record", str(station), settings, out=home / "runs", pace=1.0, person="benchmark")
    run = Watched(home, enqueue(home, request, "sim"))
    process = subprocess.Popen([sys.executable, "-P", "-m", "benchmarks.runner", "--conduct", str(home)])
    while run.entry.state().state != "running":
        assert process.poll() is None, run.entry.state()
        time.sleep(0.05)
    time.sleep(3.0)  # the first seconds open instruments
    run.mark("nobody watches")
    time.sleep(quiet_s)
    run.mark("clients are killed")
    for _ in range(KILLS):
        client = run.client()
        time.sleep(WATCH_S)
        client.send_signal(signal.SIGKILL)
        client.wait()
    last = run.client()
    run.mark("a client is stopped")
    last.send_signal(signal.SIGSTOP)
    time.sleep(stall_s)
    last.send_signal(signal.SIGCONT)
    run.mark("it catches up")
    time.sleep(CATCH_UP_S)
    with Client.of(run.entry) as client:
        client.stop("benchmark", "seen enough")
    assert last.wait() == 0
    process.wait()
    return run, run.entry.state().ending


def main(arguments: list[str] | None = None) -> int:
    """Watch one run, print what it cost."""
    parser = argparse.ArgumentParser(prog="runner", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quiet", type=float, default=10.0)
    parser.add_argument("--stall", type=float, default=30.0)
    parser.add_argument("--conduct", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.conduct is not None:
        conducted(options.conduct)
        return 0
    with tempfile.TemporaryDirectory(prefix="pb-") as folder:
        run, ending = watched(Path(folder), options.quiet, options.stall)
        assert isinstance(ending, Ending)
        assert ending.reason == "seen enough", ending
        journal = Path(ending.journal).read_bytes()
        assert run.spool.read_bytes() == journal, "what the clients got is not the journal"
        frames = whole_frames(run.spool)
        print(f"{KILLS} clients killed, one stopped for {options.stall:g} s: no frame of {frames} is missing")
        good = True
        for (what, late), rss in zip(run.lateness().items(), run.rss, strict=True):
            late.sort()
            print(
                f"{what:20} late at most {late[-1]:5.1f} ms, p99 {late[int(0.99 * len(late))]:5.1f} ms of {len(late)} "
                f"blocks; a bystander at most {max(run.bystander[what], default=0.0):5.1f} ms; {rss:.0f} MB"
            )
            good &= late[-1] < 1000.0 * BLOCK_S
        grown = run.rss[-1] - run.rss[0]
        print(f"asked for: never later than a block of {1000 * BLOCK_S:.0f} ms; {grown:+.1f} MB, at most {GROWTH_MB:g}")
        return 0 if good and grown < GROWTH_MB else 1


if __name__ == "__main__":
    sys.exit(main())
