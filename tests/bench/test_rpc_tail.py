"""Followers get the journal's own bytes, from any frame on, while it grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bench.rpc.tail
from bench.rpc.client import checked
from bench.rpc.tail import JournalTail, Marks, Piece
from data.frames import PREAMBLE, FrameChain
from data.journal import JournalError, JournalWriter, read_journal
from data.samples import Block, Channel, Stream

HEADER = {"run_id": "r", "procedure": "p", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00Z"}
FRAMES = 40


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of 42 frames of very different lengths."""
    path = tmp_path_factory.mktemp("journal") / "a.journal"
    with JournalWriter(path, HEADER) as writer:
        writer.stream(Stream("s", "s", (Channel("a", "mg"),), 1.0))
        for number in range(FRAMES):
            samples = 1 + 7 * number
            values = np.arange(samples, dtype=float).reshape(-1, 1)
            writer.block(Block("s", number * 1000, np.arange(samples) * 1.0, values, np.zeros((samples, 1), np.uint16)))
    return path


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of about a kilobyte, which some frames are longer than, and a place kept every eight frames."""
    monkeypatch.setattr(bench.rpc.tail, "PIECE_BYTES", 1000)
    monkeypatch.setattr(bench.rpc.tail, "MARK_EVERY", 8)


def offsets(path: Path) -> list[int]:
    with read_journal(path) as reader:
        return [frame.offset for frame in reader]


def pieces(path: Path, from_seq: int, marks: Marks | None = None) -> list[Piece]:
    with JournalTail(path, from_seq, marks) as tail:
        return list(iter(tail.take, None))


@pytest.mark.usefixtures("small_pieces")
def test_from_any_frame_on_come_the_bytes_of_the_file(journal: Path) -> None:
    data, begins, marks = journal.read_bytes(), offsets(journal), Marks()
    for from_seq in [*range(FRAMES + 2), 3, 17, 40]:  # the later ones begin at a place that was kept
        found = pieces(journal, from_seq, marks)
        assert b"".join(piece.data for piece in found) == data[begins[from_seq] :]
        assert [piece.first_seq for piece in found] == list(
            np.cumsum([from_seq, *(piece.count for piece in found[:-1])])
        )
        assert all(piece.chain == data[begins[piece.first_seq] - 32 :][:32] for piece in found if piece.first_seq)


def test_a_frame_that_is_not_there_yet_is_waited_for(journal: Path) -> None:
    assert pieces(journal, FRAMES + 2) == []
    assert pieces(journal, 10**9) == []


@given(cut=st.integers(PREAMBLE.size, 5000), from_seq=st.integers(0, 20))
def test_a_journal_that_grows_by_any_number_of_bytes_gives_every_frame_once(
    cut: int, from_seq: int, journal: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data, begins = journal.read_bytes(), offsets(journal)
    path = tmp_path_factory.mktemp("growing") / "b.journal"
    path.write_bytes(data[:cut])
    with JournalTail(path, from_seq) as tail:
        first = list(iter(tail.take, None))
        with path.open("ab") as more:
            more.write(data[cut:])
        rest = list(iter(tail.take, None))
    assert b"".join(piece.data for piece in [*first, *rest]) == data[begins[from_seq] :]


def test_a_damaged_head_is_told(journal: Path, tmp_path: Path) -> None:
    data = bytearray(journal.read_bytes())
    data[offsets(journal)[5]] ^= 1
    (tmp_path / "b.journal").write_bytes(data)
    with pytest.raises(JournalError, match=r"b\.journal: a frame's head is damaged; .* pumpbench recover"):
        pieces(tmp_path / "b.journal", 0)


@pytest.mark.usefixtures("small_pieces")
def test_a_client_decodes_what_a_reader_of_the_file_does(journal: Path) -> None:
    chain = FrameChain()
    followed = [one for piece in pieces(journal, 0) for one in checked(chain, piece)]
    with read_journal(journal) as reader:
        for one, frame in zip(followed, reader, strict=True):
            expected, found = reader.decode(frame), one.content
            assert (one.frame.seq, one.frame.kind) == (frame.seq, frame.kind)
            if isinstance(expected, Block) and isinstance(found, Block):
                assert (found.stream, found.first) == (expected.stream, expected.first)
                for name in ("t", "values", "quality"):
                    assert np.array_equal(getattr(found, name), getattr(expected, name))
            else:
                assert found == expected
        assert chain.chain == reader.chain


@pytest.mark.parametrize("harm", ["gap", "twice", "flip", "chain"])
def test_a_client_notices_a_frame_that_does_not_continue_the_one_before(journal: Path, harm: str) -> None:
    (whole,) = pieces(journal, 0)
    data, begins = bytearray(whole.data), [offset - PREAMBLE.size for offset in offsets(journal)]
    if harm == "gap":
        del data[begins[3] : begins[4]]
    elif harm == "twice":
        data[begins[4] : begins[4]] = data[begins[3] : begins[4]]
    else:
        data[begins[4] - 1 if harm == "chain" else begins[3] + 30] ^= 1
    with pytest.raises(JournalError, match="came damaged or out of order"):
        list(checked(FrameChain(), Piece(0, whole.count, whole.chain, bytes(data))))
