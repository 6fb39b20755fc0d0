"""The journal keeps what it was given, in order, and says plainly what it cannot."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.frames import HEAD, PREAMBLE_BYTES, FrameKind
from data.journal import (
    Anchor,
    DiskFile,
    JournalError,
    JournalFull,
    JournalWriter,
    Record,
    SessionNote,
    read_journal,
)
from data.samples import Block, Channel, Stream

STREAM = Stream("s", "instrument", (Channel("a", "kPa", "gauge", 3.0, "words"), Channel("b", "1")), 0.1)


def contents(path: Path) -> list[Any]:
    with read_journal(path) as reader:
        return [reader.decode(frame) for frame in reader]


def outcome(path: Path) -> list[Any] | str:
    try:
        return contents(path)
    except JournalError as error:
        return str(error)


def block(first: int = 0, samples: int = 3, t0: float = 0.0473) -> Block:
    k = np.arange(first, first + samples)
    values = np.stack([k * 1.5, -k * 1.0], axis=1)
    return Block("s", first, t0 + k * 0.1, values, np.zeros((samples, 2), dtype=np.uint16))


def same(one: Block, other: Block) -> bool:
    arrays = zip((one.t, one.values, one.quality), (other.t, other.values, other.quality), strict=True)
    return (one.stream, one.first) == (other.stream, other.first) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in arrays
    )


class Shaky(DiskFile):
    """A disk that takes ``room`` bytes in all, and whose syncs fail while ``sick``."""

    room = 1 << 30
    sick = False
    syncs = 0

    def write(self, offset: int, data: bytes) -> int:
        if offset >= self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(offset, data[: min(self.room - offset, 700)])

    def sync(self) -> None:
        self.syncs += 1
        if self.sick:
            raise OSError(errno.EIO, "Input/output error")
        super().sync()


@pytest.fixture
def disk() -> type[Shaky]:
    return type("Disk", (Shaky,), {})


def test_what_was_written_is_read_in_order(tmp_path: Path, header: Mapping[str, Any]) -> None:
    with JournalWriter(tmp_path / "a", header) as writer:
        writer.stream(STREAM)
        writer.block(block())
        writer.anchor("s", 12.5, 99)
        writer.record("event", 1.5, {"text": "µ", "at": datetime(2026, 1, 1, tzinfo=UTC), "n": np.float64(2.0)})
        writer.session({"wall_end": "now"})
    said = contents(tmp_path / "a")
    assert said[0] == header
    assert said[1] == STREAM
    assert same(said[2], block())
    assert said[3] == Anchor("s", 12.5, 99)
    assert said[4] == Record("event", 1.5, {"text": "µ", "at": "2026-01-01T00:00:00+00:00", "n": 2.0})
    assert said[5] == SessionNote({"wall_end": "now"})


def numbers() -> st.SearchStrategy[float]:
    return st.floats(width=64) | st.just(-0.0)


@given(data=st.data(), samples=st.integers(1, 40), first=st.integers(0, 2**40))
@settings(max_examples=40, deadline=None)
def test_blocks_come_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, header: Mapping[str, Any], data: st.DataObject, samples: int, first: int
) -> None:
    values = data.draw(arrays(np.float64, (samples, 2), elements=numbers()))
    quality = data.draw(arrays(np.uint16, (samples, 2), elements=st.integers(0, 65535)))
    t0 = data.draw(st.floats(0, 1e7))
    nominal = t0 + np.arange(first, first + samples) * 0.1
    t = data.draw(st.just(nominal) | arrays(np.float64, samples, elements=st.floats(0, 1e7)))
    path = tmp_path_factory.mktemp("j") / "a"
    given_block = Block("s", first, t, values, quality)
    with JournalWriter(path, header) as writer:
        writer.stream(STREAM)
        writer.block(given_block)
    assert same(contents(path)[-1], given_block)


def test_nominal_times_of_a_hardware_timed_stream_take_no_space(tmp_path: Path, header: Mapping[str, Any]) -> None:
    for name, interval in (("timed", 0.1), ("polled", None)):
        with JournalWriter(tmp_path / name, header) as writer:
            writer.stream(Stream("s", "instrument", STREAM.channels, interval))
            for first in range(0, 3000, 300):
                writer.block(block(first, 300))
    timed, polled = ((tmp_path / name).stat().st_size for name in ("timed", "polled"))
    assert polled - timed > 3000 * 7


def test_values_that_json_does_not_know_never_stop_the_record(tmp_path: Path, header: Mapping[str, Any]) -> None:
    with JournalWriter(tmp_path / "a", header) as writer:
        writer.record("event", 0.0, {"nan": float("nan"), "odd": {1: object}, "lone": "\ud800", "list": (1, np.inf)})
    fields = contents(tmp_path / "a")[-1].fields
    assert fields["nan"] is None
    assert fields["list"] == [1, None]
    assert fields["lone"] == "?"
    assert "object" in fields["odd"]["1"]


def test_a_reader_of_a_live_journal_goes_on_where_it_stopped(tmp_path: Path, header: Mapping[str, Any]) -> None:
    with JournalWriter(tmp_path / "a", header) as writer, read_journal(tmp_path / "a") as reader:
        assert len(list(reader)) == 1
        for number in range(3):
            writer.record("event", number, {})
            writer.sync()
            assert [frame.seq for frame in reader] == [number + 1]


@given(cut=st.integers(0, 2000), flip=st.integers(0, 2000 * 8))
@settings(max_examples=60, deadline=None)
def test_damage_never_changes_a_frame_only_ends_the_journal(
    tmp_path_factory: pytest.TempPathFactory, header: Mapping[str, Any], cut: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("j")
    with JournalWriter(
        folder / "a", {key: header[key] for key in ("procedure", "method", "origin", "start_utc")}
    ) as writer:
        writer.stream(STREAM)
        for number in range(6):
            writer.block(block(3 * number))
            writer.record("event", number, {"text": "x" * number})
    whole = contents(folder / "a")
    data = bytearray((folder / "a").read_bytes())
    if flip // 8 < len(data):
        data[flip // 8] ^= 1 << flip % 8
    (folder / "b").write_bytes(data[: len(data) - cut % len(data)])
    found = outcome(folder / "b")
    if isinstance(found, str):
        assert found.startswith(str(folder / "b"))
        return
    assert 0 < len(found) <= len(whole)
    assert all(same(a, b) if isinstance(a, Block) else a == b for a, b in zip(found, whole, strict=False))


def test_the_tail_counts_what_a_damaged_place_costs(tmp_path: Path, header: Mapping[str, Any]) -> None:
    with JournalWriter(tmp_path / "a", header) as writer:
        for number in range(10):
            writer.record("event", number, {})
    with read_journal(tmp_path / "a") as reader:
        offsets = [frame.offset for frame in reader]
    data = bytearray((tmp_path / "a").read_bytes())
    data[offsets[4] + HEAD.size] ^= 1
    (tmp_path / "a").write_bytes(data)
    with read_journal(tmp_path / "a") as reader:
        assert len(list(reader)) == 4
        tail = reader.tail()
    assert (tail.bytes, tail.frames) == (len(data) - offsets[4], 6)
    assert f"byte {offsets[4]}" in tail.reason


def test_a_frame_cannot_be_taken_out_even_when_the_others_are_renumbered(
    tmp_path: Path, header: Mapping[str, Any]
) -> None:
    """Frames with right checksums and numbers, but of another chain, are refused."""
    for name, text in (("a", "one"), ("b", "two")):
        with JournalWriter(tmp_path / name, header) as writer:
            writer.record("event", 0.0, {"text": text})
            writer.record("event", 1.0, {"text": "same"})
    with read_journal(tmp_path / "a") as reader:
        last = list(reader)[-1].offset
    spliced = (tmp_path / "a").read_bytes()[:last] + (tmp_path / "b").read_bytes()[last:]
    (tmp_path / "c").write_bytes(spliced)
    with read_journal(tmp_path / "c") as reader:
        assert len(list(reader)) == 2
        assert "does not continue" in reader.tail().reason


# -- the disk


def test_nothing_is_acknowledged_before_the_disk_has_confirmed_it(tmp_path: Path, header: Mapping[str, Any]) -> None:
    log: list[tuple[str, int]] = []

    class Logged(DiskFile):
        end = 0

        def write(self, offset: int, data: bytes) -> int:
            self.end = offset + super().write(offset, data)
            return len(data)

        def sync(self) -> None:
            super().sync()
            log.append(("sync", self.end))

    with JournalWriter(
        tmp_path / "a", header, open_file=Logged, acknowledged=lambda seq: log.append(("ack", seq))
    ) as writer:
        for number in range(5):
            writer.record("event", number, {})
            writer.write()
            writer.sync()
            writer.sync()  # nothing new: no second sync
    ends = {}
    with read_journal(tmp_path / "a") as reader:
        for frame in reader:
            ends[frame.seq] = frame.offset
    assert [what for what, _ in log] == ["sync", "ack"] * 6
    for (_, synced), (_, seq) in zip(log[::2], log[1::2], strict=True):
        assert ends[seq] < synced
        assert seq + 1 not in ends or ends[seq + 1] == synced


def test_the_writer_tells_since_when_something_waits_for_the_disk(tmp_path: Path, header: Mapping[str, Any]) -> None:
    wall = iter([1.0, 20.0, 30.0])
    with JournalWriter(tmp_path / "a", header, wall=lambda: next(wall)) as writer:
        assert writer.unsynced_since is None
        writer.record("event", 0.0, {})
        writer.record("event", 0.0, {})
        writer.write()
        assert writer.unsynced_since == 20.0
        assert writer.unsynced_bytes > 0
        writer.sync()
        assert writer.unsynced_since is None
        assert (writer.unsynced_bytes, writer.synced_seq) == (0, 2)


@given(room=st.integers(1500, 6000))
@settings(max_examples=25, deadline=None)
def test_a_full_disk_loses_nothing_and_leaves_whole_frames(
    tmp_path_factory: pytest.TempPathFactory, header: Mapping[str, Any], room: int
) -> None:
    disk = type("Disk", (Shaky,), {})
    path = tmp_path_factory.mktemp("j") / "a"
    writer = JournalWriter(path, header, open_file=disk)
    disk.room = room
    for number in range(60):
        writer.record("event", number, {"text": "x" * 40})
        with suppress(JournalFull):
            writer.sync()
            assert disk.room >= path.stat().st_size
            continue
        with read_journal(path) as reader:
            held = len(list(reader))
            assert reader.tail().bytes == 0
        assert writer.synced_seq < held <= number + 2
    with pytest.raises(JournalFull, match=f"{path}: the disk is full"):
        writer.close()
    disk.room = 1 << 30
    writer.close()
    assert [said.t for said in contents(path)[1:]] == list(range(60))


def test_after_a_failed_sync_all_that_was_not_confirmed_is_written_again(
    tmp_path: Path, header: Mapping[str, Any], disk: type[Shaky]
) -> None:
    writer = JournalWriter(tmp_path / "a", header, open_file=disk)
    writer.record("event", 1.0, {})
    disk.sick = True
    with pytest.raises(JournalFull, match="Input/output error"):
        writer.sync()
    assert writer.unsynced_bytes > 0
    size = (tmp_path / "a").stat().st_size
    with (tmp_path / "a").open("r+b") as file:  # the pages never reached the disk
        file.truncate(size - 60)
    disk.sick = False
    writer.close()
    assert contents(tmp_path / "a")[-1].t == 1.0


def test_a_journal_that_cannot_begin_leaves_no_file(
    tmp_path: Path, header: Mapping[str, Any], disk: type[Shaky]
) -> None:
    disk.room = 100
    with pytest.raises(JournalFull):
        JournalWriter(tmp_path / "a", header, open_file=disk)
    assert not (tmp_path / "a").exists()


# -- what is refused


def refusals() -> list[tuple[str, Callable[[JournalWriter], Any], str]]:
    return [
        ("undeclared", lambda w: w.block(Block("x", 0, block().t, block().values, block().quality)), "not declared"),
        ("shape", lambda w: w.block(Block("s", 0, block().t[:2], block().values, block().quality)), "is due"),
        ("kind", lambda w: w.record("a/b", 0.0, {}), "kind of record"),
        ("twice", lambda w: w.stream(Stream("s", "i", STREAM.channels)), "declared twice"),
        ("time", lambda w: w.stream(Stream("z", "i", (Channel("time", "s"),))), "cannot name"),
        ("quality", lambda w: w.stream(Stream("z", "i", (Channel("a_quality", "s"),))), "cannot name"),
        ("slash", lambda w: w.stream(Stream("z/y", "i", STREAM.channels)), "cannot name"),
        ("same", lambda w: w.stream(Stream("z", "i", (STREAM.channels[0],) * 2)), "different names"),
    ]


@pytest.mark.parametrize(("entry", "says"), [case[1:] for case in refusals()], ids=[case[0] for case in refusals()])
def test_an_entry_that_no_reader_could_use_is_refused_and_not_written(
    tmp_path: Path, header: Mapping[str, Any], entry: Callable[[JournalWriter], Any], says: str
) -> None:
    with JournalWriter(tmp_path / "a", header) as writer:
        writer.stream(STREAM)
        with pytest.raises(JournalError, match=says):
            entry(writer)
    assert len(contents(tmp_path / "a")) == 2


def test_a_record_is_never_written_over(tmp_path: Path, header: Mapping[str, Any]) -> None:
    (tmp_path / "a").write_bytes(b"kept")
    with pytest.raises(JournalError, match="never written over"):
        JournalWriter(tmp_path / "a", header)
    assert (tmp_path / "a").read_bytes() == b"kept"


def test_a_header_that_describes_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="lacks method, origin, start_utc"):
        JournalWriter(tmp_path / "a", {"procedure": "x"})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the run had not begun"),
        (b"\x89PB", "the run had not begun"),
        (b"time,mass\n0,1\n", "is not a journal"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is not a journal"),
        (PREAMBLE_BYTES, "the run had not begun"),
        (PREAMBLE_BYTES + bytes(4096), "the run had not begun"),
        (PREAMBLE_BYTES[:8] + b"\x02\0\0\0" + bytes(100), "format 2, this program reads format 1"),
    ],
)
def test_a_file_that_is_no_journal_is_told_in_one_sentence(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(JournalError, match=says) as told:
        read_journal(tmp_path / "a")
    assert str(tmp_path / "a") in str(told.value)
    assert "\n" not in str(told.value)


def test_a_missing_or_unreadable_journal_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(JournalError, match="cannot be read"):
            read_journal(path)
    with pytest.raises(JournalError, match="cannot be made"):
        JournalWriter(tmp_path / "no" / "folder", {"procedure": 1, "method": 1, "origin": 1, "start_utc": 1})


def test_frame_kinds_keep_their_numbers() -> None:
    assert [kind.value for kind in FrameKind] == [1, 2, 3, 4, 5, 6]
    assert (HEAD.size, len(PREAMBLE_BYTES)) == (24, 16)
