"""A whole flow-accuracy run of the simulated station: time, work done, cost of a stored point, fold, evaluation, seal.

    python -m benchmarks run [--rate "1 mL/day"] [--beside sim-long]

Prints what was done (and asserts it), then seconds, and ratios against a floor taken in the same process: the same
number of values written by h5py in blocks of 1024 rows.  With `--beside` the same run on another station follows, and
the ratio of their CPU times.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from bench.closing import code_hash, evaluate
from bench.request import Request
from bench.session import conduct
from bench.station import OpenStation
from data.fold import fold
from data.journal_reader import read_journal
from data.layout import write_evaluation
from data.run import Run
from data.samples import Block
from data.seal import seal, verify

FLOOR_ROWS = 1024
FLOOR_VALUES = 4_000_000


def main(arguments: list[str] | None = None) -> int:
    """Run once and print."""
    parser = argparse.ArgumentParser(prog="run", description=__doc__)
    parser.add_argument("--rate", default="1 mL/day")
    parser.add_argument("--beside", help="another station, such as sim-long")
    options = parser.parse_args(arguments)
    calls: dict[str, Any] = {}

    def look(opened: OpenStation) -> None:
        assert opened.rig is not None
        calls["daq reads"] = opened.rig.daq.calls["ReadAnalogF64"]

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wall, cpu = time.perf_counter(), time.process_time()
        result = conduct(
            Request("flow-accuracy", "sim", settings={"schedule": options.rate}, seed=1, out=folder), afterwards=look
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        counts, values = _counted(result.run_file)
        assert result.end.status == "completed", result.end
        assert counts["balance"] >= 176_400
        assert counts["daq"] >= 1_764_000
        assert counts["flow_sensor"] >= 1_764_000
        print(f"run: {result.simulated_s / 3600:.1f} h of bench time, verdict {result.evaluation.verdict}")
        print(
            f"  balance transactions {counts['balance']}, flow samples {counts['flow_sensor']}, "
            f"DAQ samples x channels {counts['daq']} x 6 in {calls['daq reads']} reads"
        )
        print(f"  wall {wall:.1f} s, CPU {cpu:.1f} s; scaled to 49 h: {wall * 49 * 3600 / result.simulated_s:.1f} s")
        _stages(result.journal, folder)
        _points(result.journal, values, folder, cpu)
        if options.beside:
            _beside(options.beside, options.rate, folder / "beside", cpu)
    return 0


def _beside(station: str, rate: str, folder: Path, cpu_s: float) -> None:
    """The same run on another station."""
    begun = time.process_time()
    result = conduct(Request("flow-accuracy", station, settings={"schedule": rate}, seed=1, out=folder))
    took = time.process_time() - begun
    assert result.end.status == "completed", result.end
    print(f"on {station}: CPU {took:.1f} s, {took / cpu_s:.2f} times that, verdict {result.evaluation.verdict}")


def _counted(run_file: Path) -> tuple[dict[str, int], int]:
    """Samples a stream, and values in all."""
    with Run.open(run_file) as run:
        channels = list(run.channels)
        counts = {name.partition(".")[0]: len(run.series(name)) for name in channels}
        return counts, sum(counts[name.partition(".")[0]] for name in channels)


def _stages(journal: Path, folder: Path) -> None:
    out = folder / "again.h5"
    stages = {
        "fold": lambda: fold(journal, out),
        "evaluate": lambda: write_evaluation(out, evaluate(out), code_hash()),
        "seal": lambda: seal(out),
        "verify": lambda: verify(out),
    }
    for name, stage in stages.items():
        begun = time.perf_counter()
        stage()
        print(f"  {name:9s} {time.perf_counter() - begun:.2f} s")


def _points(journal: Path, values: int, folder: Path, run_cpu_s: float) -> None:
    """CPU of a stored value: the whole run's, the journal's alone, and the floor of h5py in blocks."""
    from data.journal import JournalWriter

    with read_journal(journal) as reader:
        decoded = [content for content in map(reader.decode, reader) if isinstance(content, Block)]
    streams: dict[str, Any] = {}
    with read_journal(journal) as reader:
        for content in map(reader.decode, reader):
            name = getattr(content, "name", None)
            if name is not None and hasattr(content, "channels"):
                streams[name] = content
    header = {"run_id": "x", "procedure": "x", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00Z"}
    writer = JournalWriter(folder / "copy.journal", header)
    for stream in streams.values():
        writer.stream(stream)
    begun = time.process_time()
    for number, block in enumerate(decoded):
        writer.block(block)
        if number % 100 == 0:
            writer.write()
    writer.close()
    journal_us = (time.process_time() - begun) / values * 1e6
    rows = np.random.default_rng(0).normal(size=(FLOOR_ROWS, 4))
    with h5py.File(folder / "floor.h5", "w") as file:
        dataset = file.create_dataset("x", (0, 4), maxshape=(None, 4), chunks=(FLOOR_ROWS, 4), dtype="f8")
        begun = time.process_time()
        for end in range(FLOOR_ROWS, FLOOR_VALUES // 4 + 1, FLOOR_ROWS):
            dataset.resize(end, axis=0)
            dataset[end - FLOOR_ROWS : end] = rows
            file.flush()
        floor_us = (time.process_time() - begun) / (dataset.shape[0] * 4) * 1e6
    print(f"stored values: {values}")
    print(f"  instrument to journal, whole run {run_cpu_s / values * 1e6:.2f} us CPU a value (simulated rig included)")
    print(f"  journal alone {journal_us:.3f} us a value; floor, h5py blocks {floor_us:.3f} us")
    print(f"  ratios to the floor: run {run_cpu_s / values * 1e6 / floor_us:.1f}, journal {journal_us / floor_us:.2f}")


if __name__ == "__main__":
    sys.exit(main())
