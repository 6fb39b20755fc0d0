"""Long recordings in pieces: what is shown of a month is what the samples say."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from data.fold import fold
from data.hdf5 import CHUNK_ROWS
from data.journal import JournalWriter
from data.overview import BIN, extents, holes, pieces, stretch
from data.run import Run, RunError
from data.samples import Block, Channel, Quality, Stream

ROWS = 2 * CHUNK_ROWS + 1000
HOLE = CHUNK_ROWS + 10
HEADER = {"procedure": "flow-record", "method": 1, "origin": "simulated", "start_utc": "2026-01-01T00:00:00+00:00"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two channels at 10 Hz with a hole and an overload."""
    folder = tmp_path_factory.mktemp("overview")
    rng = np.random.default_rng(5)
    values = np.stack((rng.normal(20.0, 1.0, ROWS), np.arange(ROWS) * 0.5), axis=1)
    quality = np.zeros((ROWS, 2), np.uint16)
    quality[100:300, 0] = int(Quality.OVERLOAD)
    values[100:300, 0] = 1e9
    index = np.arange(ROWS)
    index[HOLE:] += 7
    with JournalWriter(folder / "run.journal", HEADER) as journal:
        journal.stream(Stream("daq", "daq", (Channel("flow", "uL/h"), Channel("level", "uL")), 0.1))
        for rows in (slice(0, HOLE), slice(HOLE, ROWS)):
            journal.block(Block("daq", int(index[rows][0]), index[rows] * 0.1, values[rows], quality[rows]))
    return fold(folder / "run.journal", folder / "run.h5")


def test_the_pieces_of_a_channel_hold_every_extreme_of_its_good_samples(file: Path) -> None:
    with Run.open(file) as run:
        good = np.where(run.series("daq.flow").quality, np.nan, run.series("daq.flow").values).astype(np.float32)
        made = pieces(run, "daq.flow", range(extents(run)["daq.flow"].pieces))
    low, high = (np.concatenate([getattr(piece, side) for piece in made]) for side in ("low", "high"))
    starts = np.arange(0, ROWS, BIN)
    np.testing.assert_array_equal(low, np.fmin.reduceat(good, starts))
    np.testing.assert_array_equal(high, np.fmax.reduceat(good, starts))


def test_the_pieces_of_a_channel_begin_at_the_times_of_their_samples(file: Path) -> None:
    with Run.open(file) as run:
        made = pieces(run, "daq.level", [2, 0])
        np.testing.assert_array_equal(made[0].t, run.series("daq.level").t[2 * CHUNK_ROWS :: BIN])
        assert extents(run)["daq.level"].t1 == run.series("daq.level").t[-1]


def test_a_piece_names_the_quality_of_its_bins_and_nothing_where_all_is_good(file: Path) -> None:
    with Run.open(file) as run:
        first, second = pieces(run, "daq.flow", [0, 1])
    assert first.quality is not None
    assert np.flatnonzero(first.quality).tolist() == [1, 2, 3, 4]
    assert second.quality is None


@pytest.mark.parametrize(("t0", "t1"), [(-5.0, 2.0), (3270.0, 3285.0), (7600.0, 9e9), (4000.01, 4000.02)])
def test_a_stretch_is_the_samples_as_recorded_and_one_more_on_either_side(file: Path, t0: float, t1: float) -> None:
    with Run.open(file) as run:
        got, whole = stretch(run, "daq.flow", t0, t1), run.series("daq.flow")
    inside = np.flatnonzero((whole.t >= t0) & (whole.t <= t1))
    first = inside[0] if len(inside) else np.searchsorted(whole.t, t0)
    assert got.first == max(first - 1, 0)
    rows = slice(got.first, got.first + len(got.t))
    assert rows.stop >= min((inside[-1] if len(inside) else first) + 1, ROWS)
    np.testing.assert_array_equal(got.values, whole.values[rows])
    np.testing.assert_array_equal(got.t, whole.t[rows])


def test_holes_of_a_stream_are_the_gaps_of_its_channels(file: Path) -> None:
    with Run.open(file) as run:
        assert holes(run, "daq") == run.gaps("daq.flow")
        assert holes(run, "daq")[0][2] == 7


def test_a_chunk_that_is_damaged_is_a_sentence_and_the_others_are_read(file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(file.read_bytes())
    with h5py.File(damaged, "r") as there:
        chunk = there["entry/daq/flow"].id.get_chunk_info(1)
    with damaged.open("r+b") as bytes_:
        bytes_.seek(chunk.byte_offset)
        bytes_.write(bytes(2000))
    with Run.open(damaged) as run:
        assert len(pieces(run, "daq.flow", [0, 2])) == 2
        with pytest.raises(RunError, match=r'channel "daq\.flow" cannot be read; run verify on the file'):
            pieces(run, "daq.flow", [1])


def test_a_channel_that_is_not_there_is_named(file: Path) -> None:
    with Run.open(file) as run, pytest.raises(RunError, match=r'no channel "daq\.mass"'):
        pieces(run, "daq.mass", [0])
