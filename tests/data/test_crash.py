"""A process that writes a journal is killed at any moment: what it acknowledged is there, and the rest is whole.

Run as a program, this file is the writer: ``test_crash.py FOLDER`` makes one writer process for every number that it
reads, each of which prints what the disk has confirmed, for as long as it lives.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from data.fold import fold
from data.frames import Record
from data.journal import JournalWriter, read_journal, unwritten
from data.samples import Block, Channel, Stream

KILLS = 100
STREAM = Stream("daq", "daq", tuple(Channel(f"c{number}", "kPa") for number in range(4)), 0.1)
HEADER = {"procedure": "p", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00+00:00"}
SAMPLES = 50


def values(first: int) -> np.ndarray:
    """What the writer writes, known to the reader."""
    return np.arange(first * 4.0, (first + SAMPLES) * 4.0).reshape(SAMPLES, 4)


def write_for_ever(path: Path, say: IO[bytes]) -> None:
    """Blocks, records and syncs as fast as they go."""

    def acknowledge(seq: int) -> None:
        say.write(b"%d\n" % seq)
        say.flush()

    with JournalWriter(path, HEADER, acknowledged=acknowledge) as writer:
        writer.stream(STREAM)
        for number in range(sys.maxsize):
            first = number * SAMPLES
            t = np.arange(first, first + SAMPLES) * 0.1
            writer.block(Block("daq", first, t, values(first), np.zeros((SAMPLES, 4), dtype=np.uint16)))
            writer.record("event", float(number), {"number": number})
            if number % 5 == 0:
                writer.write()
            if number % 68 == 0:  # seldom enough that most kills strike between two syncs
                writer.sync()


def tell(line: str) -> None:
    """One line in one piece: the writer shares the pipe, and print may hand over a line's end apart."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def nursery(folder: Path) -> None:
    """One writer process a line of standard input; where the system can fork, without importing everything again."""
    for line in sys.stdin:
        number = int(line)
        if not hasattr(os, "fork"):
            child = subprocess.Popen([sys.executable, "-P", __file__, str(folder), str(number)], stdout=sys.stdout)
            pid = child.pid
            tell(f"pid {pid}")
            child.wait()
            continue
        pid = os.fork()
        if pid == 0:
            write_for_ever(folder / str(number), sys.stdout.buffer)
        tell(f"pid {pid}")
        os.waitpid(pid, 0)
        tell("dead")


@contextmanager
def running_nursery(folder: Path) -> Iterator[subprocess.Popen[str]]:
    program = [sys.executable, "-P", __file__, str(folder)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def killed(process: subprocess.Popen[str], folder: Path, number: int, chance: random.Random) -> int:
    """Have a journal written, kill its writer at some moment, return the last frame that it acknowledged."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{number}\n")
    process.stdin.flush()
    acknowledged, pid, patience = -1, 0, chance.randrange(1, 4)
    for line in process.stdout:
        if line == "dead\n":
            break
        if line.startswith("pid"):
            pid = int(line.split()[1])
        else:
            acknowledged = int(line)
            patience -= 1
        if pid and patience <= 0:
            path = folder / str(number)
            grown = path.stat().st_size + chance.randrange(1 << 18)  # about as much as is written between two syncs
            while path.stat().st_size < grown:
                pass
            os.kill(pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            patience = sys.maxsize
    return acknowledged


def check(path: Path, acknowledged: int) -> bool:
    """Every acknowledged frame is there and every frame is right, and the writer's lock has gone with it.

    Returns whether there are more frames than that.
    """
    with unwritten(path), read_journal(path) as reader:
        frames = list(reader)
        said = [reader.decode(frame) for frame in frames]
    assert frames[-1].seq >= acknowledged
    for item in said[2:]:
        if isinstance(item, Block):
            assert np.array_equal(item.values, values(item.first))
        else:
            assert isinstance(item, Record)
            assert item.fields["number"] == item.t
    blocks = [item.first // SAMPLES for item in said if isinstance(item, Block)]
    assert blocks == list(range(len(blocks)))
    return len(frames) > acknowledged + 1


def test_a_hundred_killed_writers_lose_nothing_that_they_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(20260101)
    torn = 0
    with running_nursery(tmp_path) as process:
        for number in range(KILLS):
            path = tmp_path / str(number)
            acknowledged = killed(process, tmp_path, number, chance)
            assert acknowledged >= 0
            torn += check(path, acknowledged)
            fold(path, path.with_suffix(".h5"))
    assert torn > KILLS // 10, "the writers were always killed between their syncs: the test saw no danger"


if __name__ == "__main__":
    if len(sys.argv) > 2:
        write_for_ever(Path(sys.argv[1]) / sys.argv[2], sys.stdout.buffer)
    nursery(Path(sys.argv[1]))
