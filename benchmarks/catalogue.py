"""The catalogue at 10,000 runs: lists, filters, a check over all runs, against opening the files for it.

    python -m benchmarks catalogue [--runs 10000]

Rows are made up from a real run file, so that they are as long as real ones.  Asserts that every list has what it must.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from data.catalogue.entry import Entry, read_entry
from data.catalogue.store import Catalogue, Wanted, url_of

SOURCE = Path(__file__).parents[1] / "tests" / "runs" / "flow-accuracy-3.h5"
LIST_S = 0.2
REPEATS = 5
OPENED = 30
T = TypeVar("T")


def entries(count: int) -> Iterator[Entry]:
    """Runs of 100 pumps on four stations over a year, one in ten of which fails."""
    made = read_entry(SOURCE)
    for k in range(count):
        day = f"2026-{k * 12 // count + 1:02d}-{k % 28 + 1:02d}"
        yield replace(
            made,
            path=f"/runs/{k:06d}.h5",
            run_id=f"{k:08d}",
            dut_serial=f"SN-{k % 100:03d}",
            station=f"lab-{k % 4}",
            verdict="fail" if k % 10 == 0 else "pass",
            made=f"{day}T{k % 24:02d}:00:00.000000+00:00",
        )


def best(work: Callable[[], T]) -> tuple[float, T]:
    """Shortest time of some, in s, and what came of it."""
    took = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        result = work()
        took.append(time.perf_counter() - begun)
    return min(took), result


def main() -> int:
    """Measure and print; exit code 1 when the list takes longer than asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    count = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "catalogue.db"
        with Catalogue(url_of(str(file)), "here", make=True) as catalogue:
            begun = time.perf_counter()
            assert catalogue.add(entries(count)) == count
            added = time.perf_counter() - begun
            everything, runs = best(catalogue.runs)
            page, latest = best(lambda: catalogue.runs(limit=100))
            narrow, failed = best(lambda: catalogue.runs(Wanted(dut="SN-010", verdict="fail")))
            used, relied = best(lambda: catalogue.runs(Wanted(instrument="B021002593")))
            follow, points = best(lambda: catalogue.points("mean-flow-error", Wanted(station="lab-1")))
        assert len({run.run_id for run in runs}) == count
        assert [run.made for run in runs] == sorted((run.made for run in runs), reverse=True)
        assert latest == runs[:100]
        assert len(failed) == sum(k % 100 == 10 for k in range(count))
        assert len(relied) == count
        assert len(points) == sum(k % 4 == 1 for k in range(count))
        size = file.stat().st_size / 1e6
        words = ["catalogue", "list", "--json", "--catalogue", str(file)]
        command = [sys.executable, "-P", "-m", "bench.cli", *words]
        shown, out = best(lambda: subprocess.run(command, check=True, capture_output=True).stdout)
        assert out.count(b'"run_id"') == count
    opened, _ = best(lambda: [read_entry(SOURCE) for _ in range(OPENED)])
    each = opened / OPENED
    print(f"{count} runs, {size:.0f} MB, put in within {added:.1f} s ({added / count * 1e3:.2f} ms each)")
    print(f"list of all       {everything * 1e3:8.1f} ms (to reach {LIST_S * 1e3:.0f} for 10,000)")
    print(f"the latest 100    {page * 1e3:8.1f} ms")
    print(f"pump and verdict  {narrow * 1e3:8.1f} ms, {len(failed)} runs")
    print(f"by instrument     {used * 1e3:8.1f} ms, {len(relied)} runs")
    print(f"a check followed  {follow * 1e3:8.1f} ms, {len(points)} runs")
    print(f"the command, all of them as JSON, with the start of Python: {shown:.2f} s")
    print(
        f"reading the files instead: {each * 1e3:.1f} ms each, {each * count:.0f} s, {each * count / everything:.0f} x"
    )
    return 0 if everything <= LIST_S * max(1.0, count / 10_000) else 1


if __name__ == "__main__":
    sys.exit(main())
