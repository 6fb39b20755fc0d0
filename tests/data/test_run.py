"""The reader gives what the run was, what happened and what was measured, and says plainly what is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.checks import Axis, Check, Curve, Evaluation, Exclusion, Verdict
from data.fold import fold
from data.hdf5 import RecordError
from data.journal import JournalWriter
from data.layout import MAGIC, write_evaluation
from data.run import Run, RunError, Series
from data.samples import Block, Channel, Quality, Stream

WriteRun = Callable[..., Path]


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory, write_run: WriteRun) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return fold(write_run(folder / "run.journal"), folder / "run.h5")


@pytest.fixture
def run(run_file: Path) -> Any:
    with Run.open(run_file) as run:
        yield run


def record_run(folder: Path, header: Mapping[str, Any], write: Callable[[JournalWriter], Any]) -> Path:
    with JournalWriter(folder / "a.journal", header) as writer:
        write(writer)
    return fold(folder / "a.journal", folder / "a.h5")


# -- what the run was


def test_the_header_comes_back_as_it_was_given(run: Run, header: Mapping[str, Any]) -> None:
    assert (run.procedure, run.method, run.title) == (header["procedure"], header["method"], header["title"])
    assert (run.params, run.roles, run.dut) == (header["params"], header["roles"], header["dut"])
    assert (run.station, run.software, run.steps) == (header["station"], header["software"], header["steps"])
    assert (run.origin, run.status, run.seed) == ("simulated", "completed", 7)
    assert run.start.isoformat() == header["start_utc"]
    assert run.session["run_id"] == "r-1"
    assert (run.catheter, run.fluid, run.faults, run.findings) == ({}, {}, [], [])


@given(
    params=st.dictionaries(
        st.text(max_size=8),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8)
        | st.lists(st.integers(-9, 9), max_size=3),
        max_size=6,
    )
)
@settings(max_examples=30, deadline=None)
def test_parameters_keep_their_keys_types_and_values(
    tmp_path_factory: pytest.TempPathFactory, header: Mapping[str, Any], params: dict[str, Any]
) -> None:
    path = record_run(tmp_path_factory.mktemp("p"), {**header, "params": params}, lambda writer: None)
    with Run.open(path) as run:
        assert run.params == params
        assert {key: type(value) for key, value in run.params.items()} == {k: type(v) for k, v in params.items()}


# -- what happened


def test_phases_answers_and_events(run: Run) -> None:
    assert run.phase("analysis") == (0.0, 120.0)
    assert run.answers["bottle"] == 12.5
    assert run.records("answer")[0].fields["person"] == "Ada"
    assert [event.kind for event in run.events] == ["identity", "phase", "phase", "answer", "event", "status"]
    assert run.events[-2].text == "a garbled reply \0? came"


def test_a_phase_that_the_end_of_the_run_cut_off_ends_with_the_run(tmp_path: Path, header: Mapping[str, Any]) -> None:
    def write(writer: JournalWriter) -> None:
        for t, state in ((1.0, "begin"), (2.0, "end"), (5.0, "begin")):
            writer.record("phase", t, {"name": "rise", "state": state})
        writer.record("event", 9.0, {})

    with Run.open(record_run(tmp_path, header, write)) as run:
        assert [(phase.t0, phase.t1, phase.complete) for phase in run.phases] == [(1.0, 2.0, True), (5.0, 9.0, False)]
        assert run.phase("rise") == (5.0, 9.0)


# -- what was measured


def test_a_role_and_its_channel_are_the_same_series(run: Run) -> None:
    flow = run.series("flow")
    assert flow.channel == Channel("flow", "uL/h")
    assert np.array_equal(flow.values, run.series("sensor.flow").values)
    assert flow.t.tolist() == (0.01 + np.arange(240) * 0.5).tolist()
    assert run.series("daq.outlet").channel == Channel("outlet", "kPa", "gauge", 120.0, "at the tip")
    assert run.series("balance.mass").channel == Channel("mass", "mg", max_step=1.0)


def test_a_series_is_cut_by_time_and_by_phase(run: Run) -> None:
    flow = run.series("flow")
    assert flow.within(1.01, 2.01).t.tolist() == pytest.approx([1.01, 1.51])
    assert len(flow.within("analysis")) == len(flow.within(run.phases[0])) == len(flow.within(run.phase("analysis")))
    assert len(flow.within(110.0)) == 20
    assert len(flow.within(500.0, 600.0)) == 0
    with pytest.raises(RunError, match='no phase "rise"; it has analysis'):
        flow.within("rise")


def test_only_usable_samples_are_good() -> None:
    quality = np.array([0, 1, 2, 512, 16, 0], dtype=np.uint16)
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.nan])
    series = Series(np.arange(6.0), values, quality, Channel("a", "mg"))
    assert series.good().values.tolist() == [1.0, 2.0, 4.0]
    assert series.within(3.0).good().t.tolist() == [3.0]


def test_a_saturated_sample_of_the_file_is_not_good(run: Run) -> None:
    flow = run.series("flow")
    assert (flow.quality == int(Quality.SATURATED)).sum() == len(flow) - len(flow.good()) == 6


def test_a_certificate_turns_indications_into_true_values(
    tmp_path: Path, write_run: Callable[..., Path], header: Mapping[str, Any]
) -> None:
    certificate = {"certificate": "C-1", "gain": 1.02, "offset": -0.5}
    station = {"name": "sim", "instruments": {"sensor": {"driver": "x", "calibration": {"flow": certificate}}}}
    journal = write_run(tmp_path / "run.journal", header={**header, "station": station})
    with Run.open(fold(journal, tmp_path / "run.h5")) as run:
        assert run.calibration("flow") == run.calibration("sensor.flow") == certificate
        assert run.corrected("flow").values[:2].tolist() == pytest.approx([1.02 * 699.5, 1.02 * 700.5])
        assert run.corrected("reference_mass") is run.series("reference_mass")


def test_lost_samples_are_gaps(run: Run) -> None:
    assert run.gaps("reference_mass")[0] == pytest.approx((12.005, 14.0, 1))
    assert len(run.gaps("reference_mass")) == 6
    assert run.gaps("flow") == []


def test_times_are_those_of_the_fitted_clock(tmp_path: Path, header: Mapping[str, Any]) -> None:
    """A device whose crystal is 100 ppm slow: its nominal times are 3.6 s early after ten hours."""
    dt, n = 1.0001, 36000

    def write(writer: JournalWriter) -> None:
        writer.stream(Stream("s", "i", (Channel("a", "mg"),), 1.0))
        for first in (0, 20010):  # ten samples were lost, and counted
            k = np.arange(first, 20000 if first == 0 else n)
            writer.block(Block("s", first, k * 1.0, k[:, None] * 1.0, np.zeros((len(k), 1), dtype=np.uint16)))
        for k in range(1, 60):
            writer.anchor("s", k * 600.0, int(k * 600.0 / dt) + 1)

    with Run.open(record_run(tmp_path, header, write)) as run:
        series = run.series("s.a")
        assert np.abs(series.t - series.values * dt).max() < 0.2
        assert series.t[-1] - (n - 1) > 3.3
        assert run.streams["s"]["time"][-1] == n - 1  # the nominal time is kept


def test_a_missing_channel_is_told_with_those_there_are(run: Run) -> None:
    assert run.has("flow")
    assert not run.has("twin_mass")
    assert not run.has("pump")
    with pytest.raises(RunError, match=r'no channel or role "twin_mass"; there are .*daq\.bath.*flow'):
        run.series("twin_mass")
    with pytest.raises(RunError, match="no delivery schedule"):
        _ = run.schedule


def test_opening_a_run_changes_no_byte(tmp_path: Path, run_file: Path) -> None:
    before = run_file.read_bytes()
    with Run.open(run_file) as run:
        assert len(run.events) > 0
        with pytest.raises((KeyError, ValueError, OSError, RuntimeError)):
            run.streams["daq"].create_group("x")
    assert run_file.read_bytes() == before


def damaged(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "cut within its seal":
        path.write_bytes((MAGIC + bytes(2000))[:700])
    elif how == "text":
        path.write_text("time,mass\n")
    elif how == "foreign":
        path.unlink()
        with h5py.File(path, "w") as file:
            file["entry"] = 1.0
    elif how == "newer":
        with h5py.File(path, "r+") as file:
            file["entry/definition_local"].attrs["version"] = "2"
    elif how == "missing":
        path.unlink()
    else:
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("truncated", "is cut off; make it again from its journal with recover"),
        ("cut within its seal", "is cut off; make it again from its journal with recover"),
        ("text", "is not HDF5; give the path of a run file"),
        ("foreign", "is HDF5 but no run of pumpbench"),
        ("newer", "has format 2, this program reads format 1"),
        ("missing", "there is no such file"),
        ("folder", "cannot be read"),
    ],
)
def test_a_file_that_is_no_run_is_told_in_one_sentence(tmp_path: Path, run_file: Path, how: str, says: str) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(run_file.read_bytes())
    damaged(path, how)
    with pytest.raises(RunError, match=says) as told:
        Run.open(path)
    assert str(told.value).startswith(f"{path}: ")
    assert "\n" not in str(told.value)


# -- what was concluded


def evaluation() -> Evaluation:
    good = Check(
        "mean-flow",
        "Mean flow error",
        1.25,
        "%",
        Verdict.PASS,
        "dut",
        standard_uncertainty=0.1,
        degrees_of_freedom=np.inf,
        coverage_factor=2.0,
        expanded_uncertainty=0.2,
        limit_low=-14.5,
        limit_source="model file",
        depends_on=("blanks", "balance"),
        note="µ",
        budget=(("balance", 0.05), ("blank", 0.08)),
    )
    bare = Check("blanks", "Blanks agree", None, "1", Verdict.NOT_MEASURED, "rig", suitability=True)
    x = Axis("time of day", "h", np.arange(4.0))
    curves = (
        Curve("trumpet 1/2", "Trumpet", x, (Axis("Ep max", "%", np.arange(4.0) ** 2), Axis("Ep_max", "%", -x.values))),
        Curve("flow", "Flow", Axis("t", "s", np.arange(40000.0)), (Axis("q", "uL/h", np.arange(40000.0) / 3),)),
    )
    excluded = (Exclusion(1.0, 2.5, "a tare"), Exclusion(1.0, 9.0, "door", "Ada"))
    return Evaluation((good, bare), curves, excluded, {"mean_flow_ul_per_h": 41.7, "odd/name": -0.0})


@pytest.mark.parametrize("given_evaluation", [evaluation(), Evaluation(())], ids=["full", "empty"])
def test_an_evaluation_comes_back_as_it_was_written(
    tmp_path: Path, run_file: Path, given_evaluation: Evaluation
) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(run_file.read_bytes())
    write_evaluation(path, given_evaluation, code="c0de")
    with Run.open(path) as run:
        found, code = run.evaluation, run.evaluated_by
    assert found is not None
    assert code == "c0de"
    assert (found.checks, found.excluded) == (given_evaluation.checks, given_evaluation.excluded)
    assert dict(found.values) == dict(given_evaluation.values)
    assert found.verdict == given_evaluation.verdict
    for one, other in zip(found.curves, given_evaluation.curves, strict=True):
        assert (one.name, one.title) == (other.name, other.title)
        for a, b in zip((one.x, *one.y), (other.x, *other.y), strict=True):
            assert (a.name, a.unit, a.values.tolist()) == (b.name, b.unit, b.values.tolist())


def test_an_evaluation_is_never_written_over(tmp_path: Path, run_file: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(run_file.read_bytes())
    with Run.open(path) as run:
        assert run.evaluation is None
        assert run.evaluated_by == ""
    write_evaluation(path, evaluation())
    with pytest.raises(RecordError, match="holds an evaluation already"):
        write_evaluation(path, evaluation())
