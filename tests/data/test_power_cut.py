"""The power fails at any moment: every write and sync is recorded, and random cuts are played back.

Two models of a disk: *ordered*, a prefix of the writes survives, the last one in part; *pages*, everything up to the
last finished sync survives, and of what was written later each page of 4 KiB is old or new independently.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from data.fold import fold
from data.journal import DiskFile, JournalError, JournalWriter, read_journal
from data.run import Run

CUTS = 300
PAGE = 4096


@dataclass
class Trace:
    """What was asked of the disk, in order: (what, offset or size or sequence number, data)."""

    asked: list[tuple[str, int, bytes]] = field(default_factory=list)

    def file(self, path: Path) -> DiskFile:
        asked = self.asked

        class Recorded(DiskFile):
            def write(self, offset: int, data: bytes) -> int:
                asked.append(("write", offset, data))
                return super().write(offset, data)

            def truncate(self, size: int) -> None:
                asked.append(("truncate", size, b""))
                super().truncate(size)

            def sync(self) -> None:
                super().sync()
                asked.append(("sync", 0, b""))

        return Recorded(path)

    def acknowledged(self, seq: int) -> None:
        self.asked.append(("ack", seq, b""))


def applied(image: bytearray, step: tuple[str, int, bytes]) -> None:
    what, at, data = step
    if what == "write":
        image.extend(bytes(max(0, at - len(image))))
        image[at : at + len(data)] = data
    elif what == "truncate":
        del image[at:]


def ordered(asked: list[tuple[str, int, bytes]], chance: random.Random) -> bytes:
    image = bytearray()
    for step in asked[:-1]:
        applied(image, step)
    what, at, data = asked[-1]
    applied(image, (what, at, data[: chance.randrange(len(data) + 1)]))
    return bytes(image)


def paged(asked: list[tuple[str, int, bytes]], chance: random.Random) -> bytes:
    synced = max((at for at, step in enumerate(asked) if step[0] == "sync"), default=-1)
    old = bytearray()
    for step in asked[: synced + 1]:
        applied(old, step)
    new = bytearray(old)
    for step in asked[synced + 1 :]:
        applied(new, step)
    size = chance.choice([len(old), len(new), chance.randrange(len(old), len(new) + 1)])
    image = bytearray()
    for at in range(0, size, PAGE):
        page = (new if chance.random() < 0.5 else old)[at : min(at + PAGE, size)]
        image += page + bytes(min(PAGE, size - at) - len(page))
    return bytes(image)


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory, write_run: Callable[..., Path]) -> Trace:
    """A run written with many syncs, with writes smaller and larger than a page between them."""
    trace = Trace()
    path = tmp_path_factory.mktemp("traced") / "run.journal"
    turns = itertools.count()

    def upto(writer: JournalWriter) -> None:
        writer.record("note", 0.0, {"text": "x" * 50})
        if next(turns) % 4 == 3:
            writer.sync()
        else:
            writer.write()

    write_run(path, seconds=240, block_s=3, end=False, upto=upto, open_file=trace.file, acknowledged=trace.acknowledged)
    return trace


@pytest.mark.parametrize("survives", [ordered, paged])
def test_no_cut_of_the_power_loses_an_acknowledged_frame(
    tmp_path: Path, trace: Trace, survives: Callable[..., bytes]
) -> None:
    chance = random.Random(survives.__name__)
    path = tmp_path / "cut"
    lost = refused = 0
    for _ in range(CUTS):
        asked = trace.asked[: chance.randrange(1, len(trace.asked) + 1)]
        acknowledged = max((at for what, at, _ in asked if what == "ack"), default=-1)
        path.write_bytes(survives(asked, chance))
        try:
            with read_journal(path) as reader:
                frames = len(list(reader))
                lost += reader.tail().bytes > 0
        except JournalError:
            refused += 1
            assert acknowledged == -1
            continue
        assert frames > acknowledged
    assert lost > CUTS // 4, "hardly any cut hurt the file: the test saw no danger"
    assert refused < CUTS // 10


def test_a_recorded_trace_played_back_whole_is_the_journal(tmp_path: Path, trace: Trace) -> None:
    image = bytearray()
    for step in trace.asked:
        applied(image, step)
    (tmp_path / "a").write_bytes(image)
    with read_journal(tmp_path / "a") as reader:
        last = [frame.seq for frame in reader][-1]
        assert reader.tail().bytes == 0
    assert ("ack", last, b"") in trace.asked


def test_what_a_power_cut_leaves_folds_into_a_run_that_opens(tmp_path: Path, trace: Trace) -> None:
    chance = random.Random(2)
    first_sync = next(at for at, step in enumerate(trace.asked) if step[0] == "ack")
    for number in range(10):
        journal = tmp_path / f"{number}.journal"
        journal.write_bytes(paged(trace.asked[: chance.randrange(first_sync + 2, len(trace.asked))], chance))
        with Run.open(fold(journal, journal.with_suffix(".h5"))) as run:
            assert run.status == "incomplete"
            assert "lost_bytes" in run.session["journal"]
