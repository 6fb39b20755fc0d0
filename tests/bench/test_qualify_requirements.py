"""Requirements and what shows them: tests, rows of the matrix, and the record of a bench."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.qualify.hardware import NOT_ASKED, BenchRecord, qualify_bench
from bench.qualify.plan import build_plan, code_identity
from bench.qualify.record_page import bench_page, requirements_page
from bench.qualify.requirements import Traced, read_requirements, rows_of, sources, trace
from bench.request import RequestError
from data.checks import Verdict
from data.tomlfile import FileError
from protocols.operational_qualification import PARTS

ROOT = Path(__file__).parents[2]

SHIPPED = ("sim-long", "sim-life", "sim-full", "sim-refill", "sim-catheter", "sim-twin")


def test_every_requirement_names_evidence_that_there_is() -> None:
    rows = {f"{row.protocol}/{row.fault or 'sound'}" for row in build_plan(SHIPPED, quick=True).rows} | {"pumps"}
    for name, requirement in read_requirements().items():
        assert set(rows_of(requirement)) <= rows, name
        assert {check.partition("/")[0] for check in requirement.bench} <= set(PARTS), name
        assert [test for test in requirement.tests if not (ROOT / test).is_file()] == [], name


def _matrix_document(as_claimed: int, trials: int) -> dict[str, object]:
    runs = [{"seed": seed, "run": f"{seed:016x}", "verdict": "fail"} for seed in range(trials)]
    counts = {"planned": 3, "trials": trials, "as_claimed": as_claimed, "runs": runs}
    bounds = {"proved_at_least": 0.37, "proved_at_most": None}
    faults = ("over-delivery", "under-delivery", "motor-stall", "reset-to-minimum-rate", "free-flow")
    rows = [{"protocol": "flow-accuracy", "fault": fault, **counts, **bounds} for fault in faults]
    pumps = [{"stratum": "rest", "pumps": 12, "wrong": 0, "holds": True}]
    drawn = {"planned": 12, "not_counted": 0, "where_aimed": True}
    made = {"made_at": "2026-01-02", "code": code_identity()}
    return {"rows": rows, "pumps": pumps, "drawn": drawn, **made}


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


def test_every_sound_row_and_every_fault_of_the_rig_counts() -> None:
    plan = build_plan(SHIPPED, quick=True)
    required = read_requirements()
    sound = {f"{row.protocol}/sound" for row in plan.rows if not row.fault and row.expected == "sound"}
    assert {"occlusion/sound", "reservoir-life/sound"} <= sound
    assert set(rows_of(required["sound-pump"])) == sound | {"pumps"}
    rig = {f"{row.protocol}/{row.fault}" for row in plan.rows if row.expected == "found" and row.owner == "rig"}
    assert "occlusion/rig-leak" in rig
    assert set(rows_of(required["rig-faults"])) == rig


def traced_of(folder: Path, **documents: object) -> dict[str, Traced]:
    """Requirements by the documents of a folder."""
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document), "utf-8")
    return {each.name: each for each in trace(folder)}


def test_rows_that_other_code_found_show_nothing_and_the_page_says_so(tmp_path: Path) -> None:
    matrix = _matrix_document(3, 3)
    assert traced_of(tmp_path, matrix=matrix)["wrong-delivery"].state == "holds"
    assert "the code of today" in sources(tmp_path)[0]
    traced = traced_of(tmp_path, matrix=matrix | {"code": "f" * 64})
    assert traced["wrong-delivery"].state == "missing"
    text = requirements_page(list(traced.values()), "2026-01-03", sources(tmp_path))
    assert "2026-01-02, code ffffffffff, found by other code" in text


def _bench_document(*verdicts: tuple[str, str], simulated: bool = False) -> dict[str, object]:
    checks = [{"name": name, "verdict": verdict, "said": ""} for name, verdict in verdicts]
    parts = [{"part": "flow", "run": "0" * 16, "checks": checks}]
    return {"station": "lab", "made_at": "2026-01-02", "simulated": simulated, "parts": parts}


FLOWS = ("slow-flow", "middle-flow", "fast-flow", "bolus", "slow-sensor", "middle-sensor", "fast-sensor")


def test_a_true_flow_is_one_that_the_flow_sensor_shows_as_well(tmp_path: Path) -> None:
    good = dict.fromkeys(FLOWS, "pass")
    assert traced_of(tmp_path, bench=_bench_document(*good.items()))["true-flow"].state == "holds"
    wrong = good | {"slow-sensor": "fail"}
    assert traced_of(tmp_path, bench=_bench_document(*wrong.items()))["true-flow"].state == "fails"
    unread = good | {"sensor-zero": "not-measured"}
    assert traced_of(tmp_path, bench=_bench_document(*unread.items()))["true-flow"].state == "missing"


def test_a_simulated_bench_shows_nothing_of_a_real_one(tmp_path: Path) -> None:
    document = _bench_document(*((name, "pass") for name in FLOWS), simulated=True)
    flow = traced_of(tmp_path, bench=document)["true-flow"]
    assert flow.state == "missing"
    assert "on a simulated bench" in requirements_page([flow], "", sources(tmp_path))
    assert "on a simulated bench" in sources(tmp_path)[0]


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
    assert list(parts) == ["weights", "flow", "closed-line", "leak", "relief", "watchdog", "e-stop"]
    assert (parts["e-stop"].status, parts["e-stop"].verdict) == ("stopped-by-interlock", Verdict.PASS)
    assert parts["weights"].verdict is Verdict.PASS
    assert parts["relief"].why_not == "a simulated rig has no relief valve"


def test_the_record_of_a_bench_names_its_instruments_and_is_evidence(record) -> None:
    out, made = record
    balance = next(row for row in made.installed if row["instrument"] == "balance")
    assert (balance["serial"], balance["certificates"]) == ("B021002593", "mass: SIM-BAL-01, due 2030-12-31")
    traced = {each.name: each for each in trace(out)}
    mass = {each.name: each for each in traced["true-mass"].evidence}
    assert mass["weights/weights-repeatability"].said.startswith("pass, ")
    assert traced["true-flow"].state == "missing"
    text = bench_page(made)
    assert "not run: a simulated rig has no relief valve" in text
    assert "Ada Example" in text


def test_an_unknown_part_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there are weights, flow"):
        qualify_bench("sim-full", tmp_path, made_at="", person="", parts=["weight"])


def test_a_bench_of_which_parts_were_not_run_does_not_pass(record) -> None:
    _, made = record
    assert made.verdict is Verdict.NOT_MEASURED
    assert made.left == ("flow", "closed-line", "leak")
    weights = made.parts[0]
    parts = tuple(replace(weights, name=part.name) if part.why_not == NOT_ASKED else part for part in made.parts)
    whole = replace(made, parts=parts)
    assert whole.left == ()
    assert whole.verdict is Verdict.PASS  # nothing can be asked of a relief valve and a cable that are simulated
    assert "not run: not asked for" in bench_page(made)


def test_what_another_day_found_of_the_same_bench_is_kept(record, tmp_path: Path) -> None:
    out, made = record
    document = json.loads((out / "bench.json").read_text("utf-8"))
    (tmp_path / "bench.json").write_text(json.dumps(document), "utf-8")
    again = qualify_bench("sim-full", tmp_path, made_at="2026-02-02", person="Bo", parts=["e-stop"])
    before, after = ({part.name: part for part in each.parts} for each in (made, again))
    assert (after["weights"].run, after["weights"].verdict) == (before["weights"].run, Verdict.PASS)
    assert (after["weights"].made_at, after["weights"].person) == ("2026-01-01", "Ada Example")
    assert (after["e-stop"].made_at, after["e-stop"].person) == ("2026-02-02", "Bo")
    kept = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert kept["parts"][0] == document["parts"][0]
    assert {row["instrument"]: row["serial"] for row in again.installed}["balance"] == "B021002593"


@pytest.mark.parametrize("text", ["[]", "nothing", '{"station": "sim", "simulated": true}'])
def test_a_record_of_another_bench_is_not_written_over(text: str, tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(text, "utf-8")
    with pytest.raises(RequestError, match="choose another folder with --out"):
        qualify_bench("sim-full", tmp_path, made_at="", person="", parts=["weights"])
