"""An archive of 500 sealed runs is judged again, on this computer and on a Dask cluster of two workers.

python -m benchmarks archive [--runs 500] [--jobs 2]

The files are copies of the small sealed runs of the repository whose verdicts are those of today's methods, and two
that are not: one cut off and one that is no run.  Asserted: every file is told, the two are found, all others are the
same, and the cluster says what this computer says.  The figures are ratios to the first way, judging in this process;
processor time is that of all processes together, where the platform tells it.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from distributed import LocalCluster

from bench.archive.guard import PATIENCE_S
from bench.archive.look import look
from bench.archive.pool import look_here, look_on_cluster

RUNS = Path(__file__).parents[1] / "tests" / "runs"
ALONE = 30
"""So many files are judged in this process, to compare."""

SMALL_BYTES = 600_000


def make(folder: Path, count: int) -> list[Path]:
    """Fill the folder; returns its files."""
    small = [path for path in sorted(RUNS.glob("*.h5")) if path.stat().st_size < SMALL_BYTES]
    base = [path for path in small if look(path)["outcome"] == "same"]
    made = [folder / f"{number:05d}_{path.name}" for number, path in enumerate(islice(cycle(base), count - 2))]
    for path, target in zip(cycle(base), made, strict=False):
        shutil.copyfile(path, target)
    cut, letter = folder / "cut.h5", folder / "letter.h5"
    cut.write_bytes(base[0].read_bytes()[:9000])
    letter.write_text("dear reader")
    return [*made, cut, letter]


def measure(looked: Iterable[tuple[Path, dict[str, Any]]], count: int) -> tuple[float, dict[Path, str]]:
    """Seconds, and the outcome of each file; asserts that all are there and right."""
    begun = time.perf_counter()
    outcomes = {path: str(said["outcome"]) for path, said in looked}
    took = time.perf_counter() - begun
    assert Counter(outcomes.values()) == {"same": count - 2, "unreadable": 2}, Counter(outcomes.values())
    return took, outcomes


def cpu_s() -> float:
    """Processor time of this process and of those of its children that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main() -> int:
    """Make the archive, judge it in three ways, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        files = make(Path(name), asked.runs)
        size = sum(path.stat().st_size for path in files) / 1e6
        print(f"{len(files)} files, {size:.0f} MB; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        begun, used = time.perf_counter(), cpu_s()
        for path in files[:ALONE]:
            look(path)
        share = len(files) / ALONE
        alone, used_alone = (time.perf_counter() - begun) * share, (cpu_s() - used) * share
        used = cpu_s()
        here, outcomes = measure(look_here(files, asked.jobs, PATIENCE_S), len(files))
        used_here, used = cpu_s() - used, cpu_s()
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
            there, again = measure(look_on_cluster(files, cluster.scheduler_address, PATIENCE_S), len(files))
        used_there = cpu_s() - used
        assert again == outcomes
    ways = (
        ("in this process (extrapolated)", alone, used_alone),
        (f"{asked.jobs} processes", here, used_here),
        ("cluster of 2 workers", there, used_there),
    )
    for what, seconds, used in ways:
        each = f"{seconds:7.1f} s {used:7.1f} s of processor, {1000 * used / len(files):5.1f} ms a file"
        print(f"{what:32} {each}, x {seconds / alone:.2f} of the time, x {used / used_alone:.2f} of the processor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
