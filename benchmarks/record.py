"""The record alone: journal, fold, seal, verify and read of the samples of a 49 h run, without instruments.

    python -m benchmarks record [--hours 49]

Six DAQ channels of noise and a flow sensor of three channels at 10 Hz, a balance of two channels at 1 Hz.  Asserts that
every value came back to the last bit.  Ratios are to writing the same bytes with one `os.write` a block; those of the
digest are CPU time, to SHA-256 of as many bytes in memory and to reading the datasets without it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np

from data.digest import ROWS_AT_ONCE, object_digests
from data.fold import fold
from data.journal import JournalWriter
from data.run import Run
from data.samples import Block, Channel, FloatArray, Stream
from data.seal import seal, verify

POINT_US, FOLD_S = 2.5, 2.5  # DESIGN section 6: CPU of a stored point, fold of the 49 h run
T = TypeVar("T")
BLOCK_S, GATHERED_S, POLLS = 30, 4, 60
SYNC_EVERY_S = 3000  # of the run: about one wall second of it
HEADER = {
    "procedure": "record",
    "method": 1,
    "origin": "simulated",
    "start_utc": "2026-01-01T00:00:00+00:00",
    "roles": {"flow": "sensor.flow"},
    "session": {"run_id": "benchmark"},
}
STREAMS = (
    Stream("daq", "daq", tuple(Channel(f"p{number}", "kPa") for number in range(6)), 0.1),
    Stream("sensor", "sensor", (Channel("flow", "uL/h"), Channel("temperature", "degC"), Channel("raw", "1")), 0.1),
    Stream("balance", "balance", (Channel("mass", "mg"), Channel("status", "1"))),
)


def samples(hours: float) -> dict[str, FloatArray]:
    """Values of each stream: noise, whole counts, a rising mass with rounding."""
    generator = np.random.default_rng(1)
    seconds = int(hours * 3600)
    mass = np.round(0.0116 * np.arange(seconds)[:, None] + generator.normal(0, 0.02, (seconds, 2)), 2)
    return {
        "daq": generator.normal(100.0, 0.05, (seconds * 10, 6)),
        "sensor": np.round(generator.normal(694.0, 20.0, (seconds * 10, 3))),
        "balance": mass,
    }


def blocks(values: dict[str, FloatArray]) -> Iterator[Block]:
    """Blocks in the order and of the lengths in which a run makes them."""
    for begin in range(0, len(values["balance"]), 60):
        for name, rate, length in (("daq", 10, BLOCK_S * 10), ("sensor", 10, GATHERED_S * 10), ("balance", 1, POLLS)):
            for first in range(begin * rate, min((begin + 60) * rate, len(values[name])), length):
                part = values[name][first : min(first + length, (begin + 60) * rate)]
                t: FloatArray = 0.0473 + np.arange(first, first + len(part), dtype=np.float64) * (1.0 / rate)
                yield Block(name, first, t, part, np.zeros(part.shape, dtype=np.uint16))


def write_journal(path: Path, values: dict[str, FloatArray]) -> tuple[float, float]:
    """CPU seconds in the writer alone, and wall seconds with the disk."""
    cpu, wall, due = 0.0, time.perf_counter(), 0.0
    with JournalWriter(path, HEADER) as writer:
        for stream in STREAMS:
            writer.stream(stream)
        for block in blocks(values):
            begun = time.process_time()
            writer.block(block)
            if block.t[-1] >= due:
                writer.sync()
                due += SYNC_EVERY_S
            cpu += time.process_time() - begun
        writer.record("status", float(len(values["balance"])), {"status": "completed"})
    return cpu, time.perf_counter() - wall


def raw_write(path: Path, values: dict[str, FloatArray]) -> float:
    """CPU seconds to write the same values with nothing around them: the floor."""
    cpu = 0.0
    with path.open("wb", buffering=0) as file:
        for block in blocks(values):
            begun = time.process_time()
            os.write(file.fileno(), block.values.tobytes())
            cpu += time.process_time() - begun
    return cpu


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Wall seconds of a call, and its result."""
    begun = time.perf_counter()
    result = call()
    return time.perf_counter() - begun, result


def agrees(path: Path, values: dict[str, FloatArray]) -> bool:
    """Whether the file holds every value to the last bit."""
    with Run.open(path) as run:
        return all(
            run.series(f"{stream.name}.{channel.name}").values.tobytes() == values[stream.name][:, column].tobytes()
            for stream in STREAMS
            for column, channel in enumerate(stream.channels)
        )


def digest_cost(path: Path) -> tuple[float, float, float, int]:
    """CPU seconds of the digest of a file, of reading its datasets, of SHA-256 over as many bytes, and those bytes."""
    size = 0
    with h5py.File(path) as file:
        data = [item for item in file["entry"].values() if isinstance(item, h5py.Group)]
        arrays = [
            array for group in data for array in group.values() if isinstance(array, h5py.Dataset) and array.shape
        ]
        begun = time.process_time()
        for array in arrays:
            for first in range(0, len(array), ROWS_AT_ONCE):
                size += array[first : first + ROWS_AT_ONCE].nbytes
        read_s = time.process_time() - begun
        begun = time.process_time()
        object_digests(file)
        digest_s = time.process_time() - begun
    piece = bytes(1 << 24)
    begun = time.process_time()
    hashed = hashlib.sha256()
    for _ in range(max(1, size >> 24)):
        hashed.update(piece)
    return digest_s, read_s, (time.process_time() - begun) * size / (max(1, size >> 24) << 24), size


def main(arguments: list[str] | None = None) -> int:
    """Run and print; exit code 1 when a figure is missed."""
    parser = argparse.ArgumentParser(prog="record", description=__doc__)
    parser.add_argument("--hours", type=float, default=49.0)
    hours = parser.parse_args(arguments).hours
    values = samples(hours)
    points = sum(array.size for array in values.values())
    with tempfile.TemporaryDirectory() as name:
        journal, out = Path(name) / "run.journal", Path(name) / "run.h5"
        floor = raw_write(Path(name) / "raw", values)
        cpu, wall = write_journal(journal, values)
        fold_s, _ = timed(lambda: fold(journal, out))
        seal_s, digest = timed(lambda: seal(out))
        verify_s, found = timed(lambda: verify(out))
        assert (found.state, found.digest) == ("intact", digest)
        digest_s, read_only_s, hash_s, size = digest_cost(out)
        read_s, same = timed(lambda: agrees(out, values))
        assert same, "values were changed on their way"
        sizes = journal.stat().st_size / 1e6, out.stat().st_size / 1e6
    point_us = cpu / points * 1e6
    print(f"{hours:g} h: {points} values, {sizes[0]:.0f} MB journal, {sizes[1]:.0f} MB HDF5, all the same at the end")
    print(
        f"journal  {point_us:.3f} us CPU a value (of {POINT_US} from instrument to journal), {cpu / floor:.1f} x floor"
    )
    print(f"         {wall:.2f} s wall with the disk and the making of the samples")
    print(f"fold     {fold_s:.2f} s (to reach {FOLD_S} for 49 h), {fold_s / floor:.1f} x floor")
    print(
        f"digest   {size / digest_s / 1e9:.2f} GB/s of what the datasets hold ({size / 1e9:.2f} GB), "
        f"{digest_s / hash_s:.2f} x SHA-256 alone, {digest_s / read_only_s:.2f} x reading alone"
    )
    print(f"seal     {seal_s:.2f} s    verify {verify_s:.2f} s    read all {read_s:.2f} s")
    return 0 if point_us <= POINT_US and fold_s <= FOLD_S * max(1.0, hours / 49.0) else 1


if __name__ == "__main__":
    sys.exit(main())
