"""Every sealed run of the repository as a report, twice; and a stream of 30 days as a report, CSV and Parquet.

python -m benchmarks report [--rate 2]

Asserted: the two PDFs of a run are equal byte for byte, and one made in another process too; the exports hold every
sample; the memory that 30 days need beyond a short run's is under 100 MB, whatever the rate in Hz (read from /proc,
so on Linux).
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pyarrow.parquet as pq

from data.export import export
from data.report.typeset import report_pdf
from data.seal import Verification

RUNS = Path(__file__).parents[1] / "tests" / "runs"
SHORT = RUNS / "flow-accuracy-3.h5"
FOUND = Verification(True, "intact", (), "ab" * 32)
DAYS = 30
MOST_MB = 100
NEEDED = ("long_name", "units", "reference", "height_mm", "max_step")
KINDS: tuple[Literal["csv", "parquet"], ...] = ("csv", "parquet")


def long_run(path: Path, rate_hz: float) -> int:
    """A copy of the short run whose DAQ stream goes on for 30 days; returns its samples."""
    shutil.copyfile(SHORT, path)
    rows, noise = int(DAYS * 86400 * rate_hz), np.random.default_rng(1)
    with h5py.File(path, "r+") as file:
        group = file["entry/daq"]
        del group.attrs["dt_fitted_s"]
        for name in list(group):
            said = {key: value for key, value in group[name].attrs.items() if key in NEEDED}
            kind = group[name].dtype
            del group[name]
            values = np.arange(rows) / rate_hz if name == "time" else noise.normal(size=rows).round(3)
            values = np.zeros(rows) if kind.kind == "u" else values
            made = group.create_dataset(name, data=values.astype(kind), chunks=(32768,), compression=1, shuffle=True)
            made.attrs.update(said)
        file["entry/duration"][()] = DAYS * 86400.0
    return rows


def made(what: str, path: Path, folder: Path) -> None:
    """Make one thing in this process and print seconds, and MB at the most."""
    begun = time.perf_counter()
    if what == "report":
        (folder / "report.pdf").write_bytes(report_pdf(path, found=FOUND))
    else:
        export(path, folder / what, "csv" if what == "csv" else "parquet", digest=FOUND.digest)
    print(time.perf_counter() - begun, most_mb())


def most_mb() -> float:
    """The most memory that this program has had; what rusage tells counts the parent's too."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measured(what: str, path: Path, folder: Path) -> tuple[float, float]:
    """The same in a process of its own."""
    folder.mkdir()
    command = [sys.executable, "-P", "-m", "benchmarks.report", "--make", what, str(path), str(folder)]
    root = Path(__file__).parents[1]
    seconds, megabytes = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=root, env={"PYTHONPATH": str(root)}
    ).stdout.split()
    return float(seconds), float(megabytes)


def main() -> int:
    """Make everything, assert, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=2.0, help="samples a second of the six channels")
    parser.add_argument("--make", nargs=3, metavar=("WHAT", "RUN", "FOLDER"))
    args = parser.parse_args()
    if args.make:
        made(args.make[0], Path(args.make[1]), Path(args.make[2]))
        return 0
    for path in sorted(RUNS.glob("*.h5")):
        begun = time.perf_counter()
        pdf = report_pdf(path, found=FOUND)
        took = time.perf_counter() - begun
        assert pdf == report_pdf(path, found=FOUND), path.name
        print(f"{path.stem:20} {took:5.2f} s {len(pdf) / 1000:6.0f} kB, equal twice")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = long_run(folder / "long.h5", args.rate)
        for what in ("report", *KINDS):
            _, before = measured(what, SHORT, folder / f"short-{what}")
            seconds, after = measured(what, folder / "long.h5", folder / f"long-{what}")
            told = f"{seconds:.1f} s, {after:.0f} MB (a short run {before:.0f} MB)"
            print(f"30 days, {rows} samples of 6 channels, {what}: {told}")
            assert after - before < MOST_MB, (what, before, after)
        assert pq.read_metadata(folder / "long-parquet/parquet/streams/daq.parquet").num_rows == rows
        with (folder / "long-csv/csv/streams/daq.csv").open("rb") as file:
            assert sum(not line.startswith((b"#", b'"')) for line in file) == rows
        here = hashlib.sha256(report_pdf(SHORT, found=FOUND)).digest()
        there = hashlib.sha256((folder / "short-report/report.pdf").read_bytes()).digest()
        assert here == there
    return 0


if __name__ == "__main__":
    sys.exit(main())
