"""A run file follows from the frames alone, holds every bit of them, and opens in other people's readers."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.channels import fitted_clock
from data.digest import combined, object_digests
from data.fold import fold
from data.hdf5 import RecordError, made_whole
from data.journal import JournalError, JournalWriter, read_journal
from data.layout import OUTSIDE
from data.run import Run
from data.samples import Block, Channel, Stream
from data.schedule import Bolus, Continuous, Schedule

WriteRun = Callable[..., Path]


def digest(path: Path) -> str:
    with h5py.File(path, "r") as file:
        return combined(object_digests(file, OUTSIDE))


def folded(journal: Path, **options: Any) -> Path:
    return fold(journal, journal.with_suffix(".h5"), **options)


# -- what the content depends on


@pytest.mark.parametrize("chunk_rows", [64, 32768])
def test_the_content_does_not_depend_on_where_blocks_end(
    tmp_path: Path, write_run: WriteRun, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    monkeypatch.setattr("data.channels.CHUNK_ROWS", chunk_rows)
    digests = {digest(folded(write_run(tmp_path / f"{block_s}", block_s=block_s))) for block_s in (1, 7, 60)}
    assert len(digests) == 1


def test_the_content_does_not_depend_on_chunks_or_on_who_wrote_them(
    tmp_path: Path, write_run: WriteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks that we shuffle and deflate ourselves read as what HDF5 writes without us."""
    whole = digest(folded(write_run(tmp_path / "whole")))
    monkeypatch.setattr("data.channels.CHUNK_ROWS", 50)
    path = folded(write_run(tmp_path / "pieces"))
    assert digest(path) == whole
    with h5py.File(path) as file:
        outlet = file["entry/daq/outlet"]
        assert (outlet.chunks, outlet.compression, outlet.shuffle) == ((50,), "gzip", True)
        assert file["entry/daq/outlet_quality"].id.get_num_chunks() == 0  # all good takes no space
        assert file["entry/sensor/flow_quality"].id.get_num_chunks() > 0


def test_the_content_depends_on_neither_place_nor_moment(
    tmp_path: Path, write_run: WriteRun, header: Mapping[str, Any]
) -> None:
    elsewhere = {**header, "session": {"run_id": "r-2", "host": "there", "wall_start": "2027"}}
    one, other = (folded(write_run(tmp_path / name, header=h)) for name, h in (("a", header), ("b", elsewhere)))
    assert digest(one) == digest(other)
    with Run.open(other) as run:
        assert run.session["host"] == "there"


def test_another_seed_or_value_is_another_content(
    tmp_path: Path, write_run: WriteRun, header: Mapping[str, Any]
) -> None:
    digests = {
        digest(folded(write_run(tmp_path / "a"))),
        digest(folded(write_run(tmp_path / "b", header={**header, "seed": 8}))),
        digest(folded(write_run(tmp_path / "c", seconds=121))),
    }
    assert len(digests) == 3


def test_a_recovered_run_has_the_content_of_the_closed_one(tmp_path: Path, write_run: WriteRun) -> None:
    closed = folded(write_run(tmp_path / "a"))
    torn = write_run(tmp_path / "b")
    with torn.open("ab") as file:
        file.write(b"\xf5PBf" + bytes(500))
    recovered = folded(torn, session={"recovered": "by a test"})
    assert digest(recovered) == digest(closed)
    with Run.open(recovered) as run:
        assert run.session["recovered"] == "by a test"
        assert run.session["journal"]["lost_bytes"] == 504
        assert run.status == "completed"


def test_a_run_that_was_cut_off_is_incomplete(tmp_path: Path, write_run: WriteRun) -> None:
    with Run.open(folded(write_run(tmp_path / "a", end=False))) as run:
        assert run.status == "incomplete"


# -- every bit


@given(data=st.data(), rows=st.integers(1, 90))
@settings(max_examples=25, deadline=None)
def test_samples_come_out_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, header: Mapping[str, Any], data: st.DataObject, rows: int
) -> None:
    values = data.draw(arrays(np.float64, (rows, 2), elements=st.floats(width=64) | st.just(-0.0)))
    quality = data.draw(arrays(np.uint16, (rows, 2), elements=st.sampled_from([0, 0, 1, 2, 65535])))
    steps = data.draw(arrays(np.int64, rows, elements=st.sampled_from([1, 1, 1, 1, 3])))
    cuts = sorted(data.draw(st.sets(st.integers(1, rows), max_size=5)) | {0, rows})
    index = np.cumsum(steps) + 4
    t = index * 0.25
    path = tmp_path_factory.mktemp("f") / "a"
    with JournalWriter(path, header) as writer:
        writer.stream(Stream("s", "i", (Channel("a", "mg"), Channel("b", "1")), 0.25))
        for begin, end in itertools.pairwise(cuts):
            holes = np.flatnonzero(steps[begin + 1 : end] != 1) + begin + 1
            for first, last in zip([begin, *holes], [*holes, end], strict=True):
                part = slice(int(first), int(last))
                writer.block(Block("s", int(index[first]), t[part], values[part], quality[part]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("data.channels.CHUNK_ROWS", 32)
        out = folded(path)
    with h5py.File(out) as file:
        group = file["entry/s"]
        assert group["time"][:].tobytes() == t.tobytes()
        assert np.stack([group["a"][:], group["b"][:]], axis=1).tobytes() == values.tobytes()
        assert np.stack([group["a_quality"][:], group["b_quality"][:]], axis=1).tobytes() == quality.tobytes()
        if "index" in group:
            assert group["index"][:].tolist() == index.tolist()
        else:
            assert set(steps[1:]) <= {1}
            assert group.attrs["first_index"] == index[0]


def test_records_come_out_in_order_with_all_their_fields(tmp_path: Path, header: Mapping[str, Any]) -> None:
    given_fields: list[tuple[str, dict[str, Any]]] = [
        ("event", {"text": "", "level": "info", "n": 1}),
        ("answer", {"key": "k", "value": 3, "ok": True}),
        ("event", {"level": "NUL \0 and \ud800", "n": 2.5, "odd name/": [1, {"a": None}], "time": 5}),
        ("answer", {"key": "l", "value": "text", "big": 10**30}),
        ("event", {}),
    ]
    with JournalWriter(tmp_path / "a", header) as writer:
        for number, (kind, fields) in enumerate(given_fields):
            writer.record(kind, float(number % 2), fields)
    with Run.open(folded(tmp_path / "a")) as run:
        events = run.events
    assert [(event.kind, event.t) for event in events] == [(kind, i % 2) for i, (kind, _) in enumerate(given_fields)]
    given_fields[2][1]["level"] = "NUL \0 and ?"
    for event, (_, fields) in zip(events, given_fields, strict=True):
        assert {name: value for name, value in event.fields.items() if value is not None} == fields


def test_the_schedule_is_in_the_file_as_data(tmp_path: Path, write_run: WriteRun, header: Mapping[str, Any]) -> None:
    schedule = Schedule(Continuous(41.6), boluses=(Bolus(10.0, 5.0, 20.0, "single"),))
    with h5py.File(folded(write_run(tmp_path / "a", header={**header, "schedule": schedule.to_json()}))) as file:
        group = file["entry/schedule"]
        assert group["time"][:].tolist() == [0.0, 10.0, 30.0, 120.0]
        assert group["rate"][:] == pytest.approx([41.6, 41.6 + 900.0, 41.6, 41.6])
        assert group["expected_volume"][-1] == pytest.approx(41.6 * 120 / 3600 + 5.0)
        assert json.loads(group["json"][()]) == schedule.to_json()


# -- device clocks


@pytest.mark.parametrize("ppm", [-80.0, 50.0])
@pytest.mark.parametrize("late_s", [0.0, 0.033])
def test_anchors_give_the_time_of_every_sample(ppm: float, late_s: float) -> None:
    dt, t0 = 0.1 * (1 + ppm * 1e-6), 0.25
    asked = np.arange(1, 295) * 600.0 + late_s
    anchors = [(t, int((t - t0) / dt) + 1) for t in asked]
    fit = fitted_clock(anchors, 0.1)
    assert fit is not None
    index = np.array([0, 1764000])
    assert np.abs(fit[0] + fit[1] * index - (t0 + dt * index)).max() < 0.02
    assert fit[1] == pytest.approx(dt, rel=3e-7)


def test_a_clock_is_not_fitted_to_few_anchors_nor_over_uncounted_losses() -> None:
    anchors = [(600.0 * k, 6000 * k) for k in range(1, 30)]
    assert fitted_clock(anchors[:5], 0.1) is None
    assert fitted_clock(anchors, 0.1) is not None
    assert fitted_clock([*anchors[:15], *((t, n - 100) for t, n in anchors[15:])], 0.1) is None
    assert fitted_clock([(t, 5) for t, _ in anchors], 0.1) is None


# -- other people's readers
#
# They are imported where they are used: half a second that only one of the suite's processes spends.


def opens_in_xarray(path: Path, engine: Literal["h5netcdf", "netcdf4"]) -> None:
    import xarray as xr

    with xr.open_datatree(path, engine=engine) as tree:
        tree.load()
        assert tree["/entry"].attrs["NX_class"] == "NXentry"


def opens_in_nexus(path: Path) -> None:
    import nexusformat.nexus as nx

    plotted = nx.nxload(path).plottable_data
    assert plotted.nxsignal.ndim == 1
    assert plotted.nxsignal.attrs["units"] in ("uL/h", "mg")
    assert len(plotted.nxaxes) == 1


READERS = (partial(opens_in_xarray, engine="h5netcdf"), partial(opens_in_xarray, engine="netcdf4"), opens_in_nexus)


def test_ten_snapshots_of_a_run_and_its_end_open_in_other_readers(tmp_path: Path, write_run: WriteRun) -> None:
    made: list[Path] = []

    def snapshot(writer: JournalWriter) -> None:
        writer.sync()
        made.append(fold(writer.path, tmp_path / f"snapshot_{len(made)}.h5", incomplete=True))

    closed = folded(write_run(tmp_path / "a", seconds=60, block_s=6, upto=snapshot))
    assert len(made) == 10
    for path in made:
        with Run.open(path) as run:
            assert run.status == "incomplete"
    for reader in READERS:
        for path in (made[0], made[-1], closed):
            reader(path)
    for number, path in enumerate(made[1:-1]):
        READERS[number % len(READERS)](path)


def test_xarray_sees_dates_units_and_quality(tmp_path: Path, write_run: WriteRun) -> None:
    import xarray as xr

    path = folded(write_run(tmp_path / "a"))
    with xr.open_dataset(path, group="entry/sensor", engine="h5netcdf") as sensor:
        assert str(sensor.time.values[1]) == "2026-01-01T00:00:00.510000000"
        assert sensor.flow.attrs["units"] == "uL/h"
        assert sensor.flow_quality.values[39] == 2
        assert "saturated" in sensor.flow_quality.attrs["flag_meanings"].split()


def test_a_viewer_shows_the_flow_and_else_the_mass(
    tmp_path: Path, write_run: WriteRun, header: Mapping[str, Any]
) -> None:
    with h5py.File(folded(write_run(tmp_path / "a"))) as file:
        assert file["entry"].attrs["default"] == "sensor"
        assert file["entry/sensor"].attrs["signal"] == "flow"
    roles = {"pump": "pump", "outlet": "daq.bath", "reference_mass": "balance.mass", "flow": "gone.flow"}
    with h5py.File(folded(write_run(tmp_path / "b", header={**header, "roles": roles}))) as file:
        assert file["entry"].attrs["default"] == "balance"


def test_a_stream_may_have_the_name_of_a_group_of_ours(tmp_path: Path, header: Mapping[str, Any]) -> None:
    with JournalWriter(tmp_path / "a", header) as writer:
        writer.stream(Stream("fluid", "i", (Channel("a", "mg"),)))
        writer.block(Block("fluid", 0, np.zeros(1), np.ones((1, 1)), np.zeros((1, 1), dtype=np.uint16)))
    with Run.open(folded(tmp_path / "a")) as run:
        assert run.series("fluid.a").values.tolist() == [1.0]


def test_a_run_without_any_sample_opens(tmp_path: Path, write_run: WriteRun) -> None:
    import xarray as xr

    path = folded(write_run(tmp_path / "a", seconds=0))
    for engine in ("h5netcdf", "netcdf4"):
        with xr.open_datatree(path, engine=engine) as tree:
            tree.load()
    with Run.open(path) as run:
        assert not run.has("flow")
        assert len(run.series("flow")) == 0


# -- what goes wrong


@given(length=st.integers(0, 40000))
@settings(max_examples=25, deadline=None)
def test_any_beginning_of_a_journal_folds_or_is_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, write_run: WriteRun, length: int
) -> None:
    folder = tmp_path_factory.mktemp("f")
    data = write_run(folder / "a", seconds=60, block_s=5).read_bytes()
    (folder / "b").write_bytes(data[: length % (len(data) + 1)])
    said = ""
    try:
        with Run.open(folded(folder / "b")) as run:
            assert run.procedure == "flow-accuracy"
            assert sum(len(run.series(name)) for name in run.channels) >= 0
    except JournalError as error:
        said = str(error)
    assert said == "" or (said.startswith(str(folder)) and said.endswith("the run had not begun"))
    assert list(folder.glob(".*")) == []


def test_a_run_file_is_never_written_over(tmp_path: Path, write_run: WriteRun) -> None:
    journal = write_run(tmp_path / "a")
    (tmp_path / "a.h5").write_bytes(b"kept")
    with pytest.raises(RecordError, match="never written over"):
        folded(journal)
    assert (tmp_path / "a.h5").read_bytes() == b"kept"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, write_run: WriteRun) -> None:
    with pytest.raises(RecordError, match=r"none.a\.h5: cannot be written .*the journal has everything"):
        fold(write_run(tmp_path / "a"), tmp_path / "none" / "a.h5")


def no_links(*_: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("link", [os.link, no_links], ids=["links", "no links"])
def test_of_two_who_make_one_file_the_second_finds_it_taken_and_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: Callable[..., None]
) -> None:
    monkeypatch.setattr("os.link", link)
    out = tmp_path / "a.h5"
    second = made_whole(out)
    second.__enter__().write_bytes(b"second")
    out.write_bytes(b"first")
    with pytest.raises(RecordError, match=r"a\.h5 exists; a record is never written over"):
        second.__exit__(None, None, None)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.h5", b"first")]
    with made_whole(tmp_path / "b.h5") as part:
        part.write_bytes(b"free")
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())[1:] == [("b.h5", b"free")]


def test_the_name_of_a_run_file_is_on_the_disk_when_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[Path, bool]] = []
    monkeypatch.setattr("data.disk.sync_folder", lambda folder: synced.append((folder, (folder / "a.h5").exists())))
    with made_whole(tmp_path / "a.h5") as part:
        part.write_bytes(b"free")
    assert synced == [(tmp_path, True)]


@given(room=st.integers(0, 100_000))
@settings(max_examples=20, deadline=None)
def test_a_full_disk_leaves_the_journal_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, small_journal: Path, room: int
) -> None:
    """HDF5 crashes the process when a write fails, so it must never see one."""
    folder = tmp_path_factory.mktemp("f")
    journal = folder / "a"
    journal.write_bytes(small_journal.read_bytes())

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            if self.tell() + len(data) > room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pathlib.Path.open", lambda path, mode, buffering=-1: Full(path, mode.replace("b", "")))
        with pytest.raises(RecordError, match=r"a\.h5: the disk is full; make room and do it again, the journal has"):
            fold(small_journal, folder / "a.h5")
    assert [path.name for path in folder.iterdir()] == ["a"]


@pytest.fixture(scope="module")
def small_journal(tmp_path_factory: pytest.TempPathFactory, write_run: WriteRun) -> Path:
    return write_run(tmp_path_factory.mktemp("j") / "small")


def test_the_frames_of_the_small_run_are_all_in_one_piece(tmp_path: Path, write_run: WriteRun) -> None:
    with read_journal(write_run(tmp_path / "a")) as reader:
        assert len(list(reader)) == reader.frames > 100
        assert reader.tail().bytes == 0
