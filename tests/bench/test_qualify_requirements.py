"""Requirements and what shows them: tests, rows of the matrix, and the record of a bench."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.qualify.hardware import BenchRecord, qualify_bench
from bench.qualify.plan import build_plan
from bench.qualify.record_page import bench_page, requirements_page
from bench.qualify.requirements import read_requirements, trace
from bench.request import RequestError
from data.checks import Verdict
from data.tomlfile import FileError
from protocols.operational_qualification import PARTS

ROOT = Path(__file__).parents[2]

SHIPPED = ("sim-long", "sim-life", "sim-full", "sim-refill", "sim-catheter", "sim-twin")


def test_every_requirement_names_evidence_that_there_is() -> None:
    rows = {f"{row.protocol}/{row.fault or 'sound'}" for row in build_plan(SHIPPED, quick=True).rows} | {"pumps"}
    for name, requirement in read_requirements().items():
        assert set(requirement.rows) <= rows, name
        assert {check.partition("/")[0] for check in requirement.bench} <= set(PARTS), name
        assert [test for test in requirement.tests if not (ROOT / test).is_file()] == [], name


def _matrix_document(as_claimed: int, trials: int) -> dict[str, object]:
    runs = [{"seed": seed, "run": f"{seed:016x}", "verdict": "fail"} for seed in range(trials)]
    counts = {"planned": 3, "trials": trials, "as_claimed": as_claimed, "runs": runs}
    bounds = {"proved_at_least": 0.37, "proved_at_most": None}
    faults = ("over-delivery", "under-delivery", "motor-stall", "reset-to-minimum-rate", "free-flow")
    rows = [{"protocol": "flow-accuracy", "fault": fault, **counts, **bounds} for fault in faults]
    pumps = [{"stratum": "rest", "pumps": 12, "wrong": 0, "holds": True}]
    return {"rows": rows, "pumps": pumps, "drawn": {"planned": 12, "not_counted": 0, "where_aimed": True}}


@pytest.mark.parametrize(("as_claimed", "trials", "state"), [(3, 3, "holds"), (2, 3, "fails"), (2, 2, "missing")])
def test_a_requirement_is_shown_only_by_all_of_its_evidence(
    as_claimed: int, trials: int, state: str, tmp_path: Path
) -> None:
    (tmp_path / "matrix.json").write_text(json.dumps(_matrix_document(as_claimed, trials)), "utf-8")
    traced = {each.name: each for each in trace(tmp_path)}
    assert traced["wrong-delivery"].state == state
    assert traced["true-mass"].state == "missing"
    assert traced["quantities"].state == "named"
    assert f"{as_claimed} of {trials}" in requirements_page(list(traced.values()), "2026-01-01")


def test_a_requirement_that_nothing_shows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "requirements.toml"
    path.write_text('[easy]\nsentence = "It is easy."\n', "utf-8")
    with pytest.raises(FileError, match="nothing shows this requirement"):
        read_requirements(path)


# -------------------------------------------------------------------------------------------------- the bench itself


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BenchRecord]:
    """The record of a simulated bench, by its weights and its emergency stop."""
    out = tmp_path_factory.mktemp("bench")
    parts = ("weights", "e-stop", "relief")
    return out, qualify_bench("sim-full", out, made_at="2026-01-01", person="Ada Example", parts=parts)


def test_a_pressed_stop_passes_the_part_that_it_ends(record) -> None:
    _, made = record
    parts = {part.name: part for part in made.parts}
    assert list(parts) == ["weights", "relief", "e-stop"]
    assert (parts["e-stop"].status, parts["e-stop"].verdict) == ("stopped-by-interlock", Verdict.PASS)
    assert parts["weights"].verdict is Verdict.PASS
    assert parts["relief"].why_not == "a simulated rig has no relief valve"


def test_the_record_of_a_bench_names_its_instruments_and_is_evidence(record) -> None:
    out, made = record
    balance = next(row for row in made.installed if row["instrument"] == "balance")
    assert (balance["serial"], balance["certificates"]) == ("B021002593", "mass: SIM-BAL-01, due 2030-12-31")
    traced = {each.name: each for each in trace(out)}
    assert traced["true-mass"].state == "holds"
    assert traced["true-flow"].state == "missing"
    text = bench_page(made)
    assert "not run: a simulated rig has no relief valve" in text
    assert "Ada Example" in text


def test_an_unknown_part_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there are weights, flow"):
        qualify_bench("sim-full", tmp_path, made_at="", person="", parts=["weight"])
