"""The recorder writes what comes, in its order, and nothing ends it but its close."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from bench.recorder import Recorder
from data.journal import DiskFile, JournalFull, JournalWriter, Record, read_journal
from data.samples import Block, Channel, Stream
from instruments.clock import VirtualClock

HEADER = {"run_id": "r", "procedure": "p", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00Z"}


def kinds(journal: Path) -> list[str]:
    with read_journal(journal) as reader:
        return [said.kind for said in map(reader.decode, reader) if isinstance(said, Record)]


def test_an_entry_that_cannot_be_written_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    clock, trouble = VirtualClock(), list[str]()
    writer = JournalWriter(tmp_path / "a.journal", HEADER)

    def main() -> None:
        recorder = Recorder(writer, clock, trouble.append)
        recorder.stream(Stream("s", "s", (Channel("a", "mg"),), 1.0))
        recorder.block(Block("s", 0, np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2), dtype=np.uint16)))
        recorder.record("note", clock.now(), {"text": "still here"})
        recorder.close()

    clock.run(main)
    assert len(trouble) == 1
    assert trouble[0].startswith("an entry of the record was lost: JournalError")
    assert kinds(tmp_path / "a.journal") == ["note"]


def test_an_urgent_record_is_on_the_disk_before_anything_else_happens(tmp_path: Path) -> None:
    clock = VirtualClock()
    synced: list[tuple[float, int]] = []
    writer = JournalWriter(tmp_path / "a.journal", HEADER, acknowledged=lambda seq: synced.append((clock.now(), seq)))

    def main() -> None:
        recorder = Recorder(writer, clock, print)
        clock.sleep(7.0)
        recorder.record("interlock", clock.now(), {"name": "x"}, urgent=True)
        clock.sleep(0.001)
        recorder.close()

    clock.run(main)
    assert (7.0, 1) in synced


def test_a_disk_that_stays_full_is_told_once_and_again_at_the_close(tmp_path: Path) -> None:
    class Full(DiskFile):
        def write(self, offset: int, data: bytes) -> int:
            if offset > 100:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(offset, data)

    clock, trouble = VirtualClock(), list[str]()
    writer = JournalWriter(tmp_path / "a.journal", HEADER, open_file=Full)

    def main() -> None:
        recorder = Recorder(writer, clock, trouble.append)
        for _ in range(5):
            recorder.record("note", clock.now(), {"text": "x" * 300})
            clock.sleep(100.0)
        recorder.close()

    with pytest.raises(JournalFull):
        clock.run(main)
    assert len(trouble) == 1
    writer.copy_to(tmp_path / "copy.journal")
    assert kinds(tmp_path / "copy.journal") == ["note"] * 5


def test_trouble_that_passes_at_the_close_is_in_the_record(tmp_path: Path) -> None:
    refusals = [1]

    class Hiccup(DiskFile):
        def write(self, offset: int, data: bytes) -> int:
            if offset > 100 and refusals:
                refusals.pop()
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(offset, data)

    clock = VirtualClock()
    writer = JournalWriter(tmp_path / "a.journal", HEADER, open_file=Hiccup)

    def main() -> None:
        recorder = Recorder(writer, clock, lambda text: recorder.record("event", clock.now(), {"text": text}))
        recorder.record("note", clock.now(), {})
        recorder.close()

    clock.run(main)
    assert kinds(tmp_path / "a.journal") == ["note", "event"]


def test_a_listener_hears_what_is_written_and_its_failure_ends_nothing(tmp_path: Path) -> None:
    clock, trouble, heard = VirtualClock(), list[str](), list[tuple[str, float]]()
    writer = JournalWriter(tmp_path / "a.journal", HEADER)

    def listen(kind: str, t: float, fields: object) -> None:
        heard.append((kind, t))
        if kind == "note":
            raise ValueError("no ears")

    def main() -> None:
        recorder = Recorder(writer, clock, trouble.append)
        recorder.listen(listen)
        recorder.record("note", 1.0, {})
        recorder.record("status", 2.0, {})
        recorder.close()

    clock.run(main)
    assert heard == [("note", 1.0), ("status", 2.0)]
    assert trouble == ["what listens to the record broke: ValueError: no ears"]
    assert kinds(tmp_path / "a.journal") == ["note", "status"]
