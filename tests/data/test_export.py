"""A run as CSV and Parquet: the same numbers to the last digit, with unit and digest in each file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from data.export import ExportError, export
from data.run import Run

RUN = Path(__file__).parents[1] / "runs" / "flow-accuracy-3.h5"
DIGEST = "ab" * 32


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file behind its comments."""
    lines = [line for line in path.read_text("utf-8").splitlines(keepends=True) if not line.startswith("# ")]
    return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def as_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "csv"
    export(RUN, folder, "csv", digest=DIGEST, at_once=100)
    return folder


@pytest.fixture(scope="module")
def as_parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "parquet"
    export(RUN, folder, "parquet", digest=DIGEST, at_once=100)
    return folder


def test_samples_are_the_runs_to_the_last_digit_in_either_form(as_csv: Path, as_parquet: Path) -> None:
    with Run.open(RUN) as run:
        series = run.series("reference_mass")
    rows = table(as_csv / "streams" / "balance.csv")
    columns = pq.read_table(as_parquet / "streams" / "balance.parquet")
    for values, heading, name in ((series.t, "time [s]", "time"), (series.values, "mass [mg]", "mass")):
        np.testing.assert_array_equal([float(row[heading]) for row in rows], values)
        np.testing.assert_array_equal(columns[name].to_numpy(), values)
    assert [int(row["mass_quality"]) for row in rows] == series.quality.tolist()


def test_each_file_says_whose_it_is(as_csv: Path, as_parquet: Path) -> None:
    for path in as_csv.rglob("*.csv"):
        assert f"# content digest: {DIGEST}\n# procedure: flow-accuracy, method 3\n" in path.read_text("utf-8")
    for path in as_parquet.rglob("*.parquet"):
        assert pq.read_schema(path).metadata[b"pumpbench.content digest"].decode() == DIGEST


def test_parquet_keeps_units_and_what_a_pressure_is_relative_to(as_parquet: Path) -> None:
    schema = pq.read_schema(as_parquet / "streams" / "daq.parquet")
    assert schema.field("outlet_pressure").metadata == {b"unit": b"kPa", b"reference": b"gauge"}


def test_every_check_event_and_curve_is_there(as_csv: Path) -> None:
    with Run.open(RUN) as run:
        stored, events = run.evaluation, run.events
    assert stored is not None
    told = {row["name"]: row["value"] for row in table(as_csv / "checks.csv")}
    assert {name: float(value) if value else None for name, value in told.items()} == {
        check.name: check.value for check in stored.checks
    }
    assert [row["kind"] for row in table(as_csv / "events.csv")] == [event.kind for event in events]
    assert {path.stem for path in (as_csv / "curves").iterdir()} == {curve.name for curve in stored.curves}


def test_how_many_samples_are_held_at_once_changes_nothing(as_csv: Path, tmp_path: Path) -> None:
    export(RUN, tmp_path / "all", "csv", digest=DIGEST)
    for path in as_csv.rglob("*.csv"):
        assert (tmp_path / "all" / path.relative_to(as_csv)).read_bytes() == path.read_bytes()


def test_a_folder_that_holds_something_is_not_written_into(as_csv: Path) -> None:
    with pytest.raises(ExportError, match="not empty; choose another folder"):
        export(RUN, as_csv, "csv", digest=DIGEST)


def test_an_export_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(RUN.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="cut off"):
        export(broken, tmp_path / "out", "parquet", digest=DIGEST)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.h5"]
