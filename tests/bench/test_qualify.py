"""Qualification: what is planned, what a run is held to, and that a kill loses no trial."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cli import main
from bench.file_lock import lock_file
from bench.qualify import drawn, pool, trial
from bench.qualify.faults import faults_file, read_faults
from bench.qualify.forecast import left_s
from bench.qualify.hardware import BenchRecord, qualify_bench
from bench.qualify.ledger import Ledger, look, under_way
from bench.qualify.matrix import Matrix, matrix_of
from bench.qualify.outcome import compare, drawn_error
from bench.qualify.page import page
from bench.qualify.plan import Plan, Row, build_plan, code_identity
from bench.qualify.record_page import bench_page, requirements_page
from bench.qualify.requirements import _of_matrix, read_requirements, trace
from bench.qualify.words import summary
from bench.request import Request, RequestError
from bench.station import station_path
from data.checks import Check, Evaluation, Limits, Status, Verdict
from data.tomlfile import FileError
from instruments.simulation.faults import FAULTS
from protocols.operational_qualification import PARTS

ROOT = Path(__file__).parents[2]

SHIPPED = ("sim-long", "sim-life", "sim-full", "sim-refill", "sim-catheter", "sim-twin")

# --------------------------------------------------------------------------------------------------------- the plan


@pytest.fixture(scope="module")
def quick_plan() -> Plan:
    return build_plan(SHIPPED, quick=True)


def test_every_fault_of_the_plant_is_claimed_tried_or_said_to_be_unseen(quick_plan: Plan) -> None:
    plan = quick_plan
    assert set(FAULTS) == {row.fault for row in plan.rows if row.fault} | set(plan.unseen)
    assert {row.protocol for row in plan.rows} == {row.protocol for row in plan.rows if row.expected == "sound"}
    assert not [each for each in plan.left_out if "no fault" not in each.why]


def test_every_trial_of_the_full_matrix_has_a_moment_a_severity_and_a_station() -> None:
    plan = build_plan(SHIPPED, quick=False)
    assert len(list(plan.trials())) == plan.seeds * sum(r.expected != "right" for r in plan.rows) + plan.pumps
    leak = [row for row in plan.rows if row.fault == "leak" and row.checks == ("ratio-steady",)]
    assert {row.form: row.severity for row in leak} == {"1 mL/day": 0.10, "0.1 mL/day": 0.015, "0.048 mL/day": 0.0144}
    assert {row.at_s for row in leak} == {(24.0 + 12.5) * 3600.0}


def test_a_protocol_that_no_station_can_run_is_left_out_with_the_reason() -> None:
    plan = build_plan(["sim"], quick=True)
    why = {each.protocol: each.why for each in plan.left_out}
    assert "which rig-check needs" in why["rig-check"]
    assert why["calibration"] == "no fault is claimed by it"
    assert not {row.protocol for row in plan.rows} & set(why)


def test_a_protocol_runs_on_the_station_that_has_settings_for_it_and_else_on_the_first_that_can() -> None:
    for order in (["sim-long", "sim-life"], ["sim-life", "sim-long"]):
        plan = build_plan(order, quick=True, protocols=["reservoir-life", "flow-accuracy", "priming"])
        on = {row.protocol: row.station for row in plan.rows}
        assert on == {"reservoir-life": "sim-life", "flow-accuracy": "sim-long", "priming": order[0]}


@pytest.mark.parametrize("order", [["sim-long", "sim-twin"], ["sim-twin", "sim-long"]])
def test_a_sound_pump_is_tried_beside_a_twin_vessel_too_and_nothing_else_is(order: list[str]) -> None:
    plan = build_plan(order, quick=False, protocols=["flow-accuracy"])
    by_twin = [row for row in plan.rows if row.station == "sim-twin"]
    assert [(row.form, row.expected, row.fault) for row in by_twin] == [("1 mL/day, sim-twin", "sound", "")]
    assert {row.station for row in plan.rows} == {"sim-long", "sim-twin"}
    assert not plan.left_out


def test_a_station_on_which_a_sound_pump_was_to_be_tried_too_is_missed() -> None:
    plan = build_plan(["sim"], quick=True, protocols=["flow-accuracy"])
    assert [(each.protocol, each.why) for each in plan.left_out] == [
        ("flow-accuracy on sim-twin", "it takes --station sim-twin as well")
    ]
    assert not build_plan(["sim"], quick=True, protocols=["flow-accuracy"], faults=["leak"]).left_out


def test_equal_plans_have_equal_digests_and_others_have_others(tmp_path: Path) -> None:
    one, same, more = (build_plan(["sim"], quick=True, seeds=n, protocols=["priming"]) for n in (1, 1, 2))
    assert one.digest == same.digest != more.digest
    path = tmp_path / "sim.toml"
    path.write_text(station_path("sim").read_text("utf-8") + "\n# moved\n", "utf-8")
    assert build_plan([str(path)], quick=True, seeds=1, protocols=["priming"]).digest != one.digest


def test_another_pump_under_the_same_name_and_another_version_of_a_package_make_other_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump, station = tmp_path / "pump.toml", tmp_path / "mine.toml"
    text = (ROOT / "bench" / "duts" / "sim-peristaltic.toml").read_text("utf-8")
    pump.write_text(text, "utf-8")
    ours = re.sub(r'(?m)^dut = "[^"]*"', lambda _: f"dut = '{pump}'", station_path("sim").read_text("utf-8"))
    station.write_text(ours, "utf-8")

    def planned() -> Plan:
        return build_plan([str(station)], quick=True, protocols=["flow-accuracy"])

    one = planned()
    assert planned().digest == one.digest
    pump.write_text(text.replace("14.5 %", "1.5 %"), "utf-8")
    other = planned()
    assert other.digest != one.digest
    assert not {row.key for row in one.rows} & {row.key for row in other.rows}
    was = code_identity.__wrapped__()
    monkeypatch.setattr("bench.qualify.plan.software", lambda: {"numpy": "0.1"})
    assert code_identity.__wrapped__() != was


def test_a_rig_check_of_another_form_station_or_code_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def made(request: Request, **_: object) -> SimpleNamespace:
        asked.append(request)
        path = request.out / "rig.h5"
        path.write_text(str(len(asked)), "utf-8")
        return SimpleNamespace(run_file=path)

    monkeypatch.setattr(trial, "conduct", made)
    (tmp_path / trial.UNDER_WAY).mkdir()
    mine = tmp_path / "sim.toml"
    mine.write_text(station_path("sim").read_text("utf-8"), "utf-8")
    short = replace(SOUND, station=str(mine), rig_check={"weighings": "2"})

    def relied_on(row: Row, code: str) -> str:
        monkeypatch.setattr(trial, "code_identity", lambda: code)
        trial._provide_rig_check(row, 1, tmp_path, tmp_path)
        return (tmp_path / "rig-check_0001.h5").read_text("utf-8")

    cases = [(short, "a"), (short, "a"), (replace(short, rig_check={}), "a"), (short, "b")]
    assert [relied_on(*case) for case in cases] == ["1", "1", "2", "3"]
    mine.write_text(mine.read_text("utf-8") + "# moved", "utf-8")
    assert relied_on(short, "a") == "4"
    assert [request.settings for request in asked] == [{"weighings": "2"}, {}, {"weighings": "2"}, {"weighings": "2"}]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"stations": ["sim"], "protocols": ["primin"]}, 'did you mean "priming"'),
        ({"stations": ["sim"], "faults": ["leek"]}, 'did you mean "leak"'),
        ({"stations": ["sim"], "protocols": ["rig-check"]}, "nothing is left to run"),
        ({"stations": ["template"]}, "--hardware"),
    ],
)
def test_what_cannot_be_planned_is_told_in_one_sentence(asked: dict[str, list[str]], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        build_plan(**asked, quick=True)


FAULT = """[leak]
owner = "catheter"
severity = 0.3
from = 0.001
to = 1.0
unit = "1"
means = "share"
shows = "balance low"
"""


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("", 'either claims or a reason why it is "unseen"'),
        ('unseen = "too small"\n[leak.claims]\nrate-step = "start"\n', "remove the other"),
        ('[leak.claims]\nrate-step = "a; b"\n[[leak.trials]]\nprotocol = "rate-step"\ncheck = "c"\n', "a; b"),
        ('unsen = "too small"\n', 'did you mean "unseen"'),
        ('[leak.claims]\nrate-step = "interlock"\n', 'write "interlock NAME"'),
        (
            '[leak.claims]\nrate-step = "a"\n[[leak.trials]]\nprotocol = "rate-step"\nevery = true\n',
            '"every" of a trial',
        ),
    ],
)
def test_a_table_that_claims_nothing_clear_is_refused(more: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(FAULT + more, "utf-8")
    with pytest.raises(FileError, match=says):
        read_faults(path)


def test_a_missing_table_of_faults_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.qualify.faults.NAME", "gone.toml")
    with pytest.raises(FileError, match="the table is missing; install pumpbench anew"):
        faults_file()


# ------------------------------------------------------------------------------------------- what a run is held to

SOUND = Row("flow-accuracy", "short", "sim", {}, None, "sound", 1)
LEAK = replace(SOUND, expected="found", fault="leak", owner="catheter", checks=("ratio",))
DRY = replace(LEAK, fault="dry-evaporation-trap", owner="rig", checks=("evaporation",))
SLOW = replace(LEAK, fault="under-delivery", owner="dut", checks=("mean",))
STOP = replace(LEAK, fault="e-stop", owner="rig", checks=("interlock e-stop",))
PAIR = replace(LEAK, expected="not-passed", faults=("leak", "over-delivery:1.25"))
BOTH = replace(SLOW, checks=("mean", "other"), every=True)


def said(**verdicts: Verdict) -> Evaluation:
    """An evaluation: the owner is that which such a check has."""
    owners = {"ratio": "catheter", "evaporation": "rig"}
    return Evaluation(
        tuple(Check(name, name, 1.0, "%", each, owners.get(name, "dut")) for name, each in verdicts.items())  # type: ignore[arg-type]
    )


def limited(evaluation: Evaluation, **fields: Any) -> Evaluation:
    """The same with limits that were declared for its checks."""
    return Evaluation(tuple(replace(check, limit_low=-14.5, limit_high=14.5, **fields) for check in evaluation.checks))


FAIL, INVALID, PASS, UNKNOWN = Verdict.FAIL, Verdict.INVALID, Verdict.PASS, Verdict.NOT_MEASURED
HALF_FAIL = Verdict.CONDITIONAL_FAIL


@pytest.mark.parametrize(
    ("row", "evaluation", "right"),
    [
        (SOUND, said(mean=PASS), True),
        (SOUND, said(mean=UNKNOWN), True),
        (SOUND, said(mean=FAIL), False),
        (SOUND, said(mean=PASS, evaporation=INVALID), False),
        (SLOW, said(mean=FAIL), True),
        (SLOW, said(other=FAIL, mean=PASS), False),  # failed by another check than the one that claims it
        (SLOW, said(mean=INVALID), False),
        (LEAK, said(ratio=INVALID, mean=INVALID), True),
        (LEAK, said(ratio=FAIL), True),
        (LEAK, said(ratio=INVALID, mean=FAIL), False),  # the pump is blamed
        (DRY, said(evaporation=INVALID, mean=INVALID), True),
        (DRY, said(evaporation=PASS, mean=PASS), False),
        (DRY, said(evaporation=INVALID, mean=FAIL), False),
        (DRY, said(evaporation=INVALID, ratio=FAIL), False),  # the catheter is blamed
        (PAIR, said(mean=FAIL), True),
        (PAIR, said(mean=INVALID), True),
        (PAIR, said(mean=PASS), False),
        (PAIR, said(mean=UNKNOWN), False),  # nothing was judged
        (PAIR, Evaluation(()), False),
        (SOUND, Evaluation(()), False),
        (SOUND, limited(said(mean=UNKNOWN)), False),  # a limit was declared, and nothing judged
        (SOUND, limited(said(mean=PASS)), True),
        (SLOW, said(mean=HALF_FAIL, ratio=FAIL), False),  # the catheter is blamed for the pump
        (SLOW, limited(said(mean=FAIL), optional=True), False),  # a check that does not count finds nothing
        (BOTH, said(mean=FAIL, other=FAIL), True),
        (BOTH, said(mean=FAIL, other=INVALID), False),
    ],
)
def test_a_run_is_held_to_its_claim(row: Row, evaluation: Evaluation, right: bool) -> None:
    assert compare(row, evaluation, Status.COMPLETED).as_claimed is right


def test_a_check_of_another_owner_finds_nothing() -> None:
    wrong = replace(LEAK, owner="rig")
    assert compare(wrong, said(ratio=INVALID), Status.COMPLETED).as_claimed is False


@pytest.mark.parametrize(
    ("status", "stopped_by", "right"),
    [
        (Status.STOPPED_BY_INTERLOCK, {"e-stop"}, True),
        (Status.STOPPED_BY_INTERLOCK, {"leak-tray"}, False),
        (Status.STOPPED_BY_INTERLOCK, set(), False),
        (Status.COMPLETED, {"e-stop"}, False),
    ],
)
def test_a_fault_that_has_to_stop_the_run_is_found_by_its_own_interlock(
    status: Status, stopped_by: set[str], right: bool
) -> None:
    assert compare(STOP, said(mean=UNKNOWN), status, stopped_by).as_claimed is right


@pytest.mark.parametrize("row", [SOUND, LEAK, DRY, SLOW, STOP, PAIR])
@pytest.mark.parametrize("status", [Status.ABORTED, Status.INCOMPLETE, Status.ERROR])
def test_a_run_that_was_aborted_or_broke_is_never_as_claimed(row: Row, status: Status) -> None:
    verdicts = {"ratio": INVALID, "evaporation": INVALID} if row.owner in ("catheter", "rig") else {"mean": FAIL}
    evaluation = said(mean=PASS) if row is SOUND else said(**verdicts)
    assert compare(row, evaluation, status, {"e-stop"}).as_claimed is False


def test_a_run_may_end_with_an_error_where_its_row_says_so() -> None:
    unplugged = replace(DRY, ends="error")
    assert compare(unplugged, said(evaporation=INVALID), Status.ERROR).as_claimed is True
    assert compare(unplugged, said(evaporation=INVALID), Status.ABORTED).as_claimed is False


def test_what_a_row_does_not_ask_for_is_counted_all_the_same() -> None:
    row = replace(SLOW, checks=("mean",), claimed=("mean", "other"))
    assert compare(row, said(mean=FAIL, other=FAIL), Status.COMPLETED).found_by == ("mean", "other")
    assert compare(row, said(other=FAIL, mean=PASS), Status.COMPLETED).as_claimed is False


# ------------------------------------------------------------------------------------------------------- the truth


def mean_of(value: float, true: float) -> dict[str, float]:
    return {"value": value, "U": 0.5, "true": true}


def test_a_sound_run_whose_mean_is_far_from_the_truth_is_none() -> None:
    assert compare(SOUND, said(mean=PASS), Status.COMPLETED, (), mean_of(2.9, 2.0)).as_claimed is True
    wrong = compare(SOUND, said(mean=PASS), Status.COMPLETED, (), mean_of(3.1, 2.0))
    assert (wrong.as_claimed, wrong.why) == (False, "mean-flow-error 3.1 %, truly 2 %: off by 2.2 U")


@pytest.mark.parametrize(("beyond", "as_claimed"), [(4, 20), (5, 15)])
def test_a_row_with_more_means_beyond_u_than_chance_explains_does_not_hold(beyond: int, as_claimed: int) -> None:
    row = replace(SOUND, seeds=20)
    trial = {"verdict": "pass", "status": "completed", "as_claimed": True, "why": ""}
    done = {
        (row.key, seed): trial | {"seed": seed, "mean": mean_of(0.6 if seed <= beyond else 0.4, 0.0)}
        for seed in range(1, 21)
    }
    matrix = matrix_of(Plan(False, (row,), (), {}), done, code="", made_at="")
    (line,) = matrix.lines
    assert (line.beyond_u, line.as_claimed, matrix.holds) == (beyond, as_claimed, as_claimed == 20)
    assert all(said["why"] == "mean-flow-error 0.6 %, truly 0 %: off by 1.2 U" for said in line.surprises)


def test_a_sound_run_that_broke_off_is_not_sound() -> None:
    assert compare(SOUND, said(mean=UNKNOWN), Status.STOPPED_BY_INTERLOCK).as_claimed is False


# -------------------------------------------------------------------------------------------- what the rows prove


def counted(*rows: tuple[Row, list[dict[str, Any]]]) -> Matrix:
    """The matrix of rows with what their trials said, the first of seed 1."""
    usual = {"verdict": "pass", "status": "completed", "as_claimed": True, "why": ""}
    done = {
        (row.key, seed): usual | said | {"seed": seed} for row, trials in rows for seed, said in enumerate(trials, 1)
    }
    return matrix_of(Plan(False, tuple(row for row, _ in rows), (), {}), done, code="", made_at="")


def test_rows_of_one_seed_share_its_rig_and_prove_no_more_than_one_of_them() -> None:
    rows = [replace(SOUND, protocol=f"protocol-{n}", seeds=20) for n in range(10)]
    alarms = counted(*((row, [{}] * 20) for row in rows)).to_json()["false_alarms"]
    assert (alarms["trials"], alarms["rigs"]) == (200, 20)
    assert alarms["at_most"] == pytest.approx(1.0 - 0.05 ** (1.0 / 20.0))
    bad = [{"as_claimed": False}, *[{}] * 19]
    alarms = counted(*((row, bad) for row in rows)).to_json()["false_alarms"]
    assert (alarms["count"], alarms["rigs_alarmed"], alarms["rigs"]) == (10, 1, 20)
    assert counted((rows[0], [{}] * 20), (rows[1], [{}] * 5)).alarmed_rigs == (0, 5)


def test_a_claim_that_no_trial_bears_out_is_named() -> None:
    row = replace(SLOW, checks=("mean",), claimed=("mean", "other"), seeds=2)
    matrix = counted((row, [{"found_by": ["mean"]}] * 2))
    assert matrix.never_found_by == [("flow-accuracy", "under-delivery", "other")]
    assert "Claimed, and found in no trial by" in page(matrix)
    assert counted((row, [])).never_found_by == []


# ------------------------------------------------------------------------------------------- pumps around the limit


@given(st.integers(1, 10_000), st.floats(1.0, 30.0), st.floats(0.01, 0.2))
def test_an_aim_falls_into_its_stratum(seed: int, limit: float, share: float) -> None:
    expanded = share * limit
    limits = Limits(-limit, limit, "")
    error = drawn.wanted_error(seed, limits, expanded)
    edge = abs(abs(abs(error) - limit) - 2.0 * expanded) < 1e-9 * limit or abs(abs(error) - limit) < 1e-9 * limit
    assert edge or drawn.stratum_of(error, limits, expanded) == drawn.aim(seed)
    assert abs(error) <= 2.0 * limit


@given(st.integers(1, 10_000), st.sampled_from([(-10.0, 15.0), (-14.5, None), (None, 14.5)]))
def test_an_aim_falls_into_its_stratum_where_the_sides_are_not_alike(
    seed: int, sides: tuple[float | None, float | None]
) -> None:
    limits = Limits(*sides, "")
    assert drawn.stratum_of(drawn.wanted_error(seed, limits, 0.2), limits, 0.2) == drawn.aim(seed)


def pump(true: float, verdict: Verdict, run: str = "") -> dict[str, Any]:
    """A trial of a drawn pump by the verdict of its mean; its run's own may be another one."""
    said = {"true": true, "value": true, "low": -14.5, "high": 14.5, "U": 0.5, "verdict": str(verdict)}
    return {"verdict": run or str(verdict), "status": "completed", "as_claimed": None, "why": "", "drawn": said}


def test_a_drawn_pump_is_judged_by_its_mean_whatever_else_fails_the_run() -> None:
    (_, outside, _) = drawn.count([pump(15.0, PASS, "fail")])
    assert outside.wrong == 1


def test_a_drawn_pump_is_judged_by_the_limit_that_it_is_near() -> None:
    low = {"true": -12.0, "value": -12.0, "low": -10.0, "high": 15.0, "U": 0.5}
    assert not drawn.is_wrong(low | {"verdict": "fail"})
    assert drawn.is_wrong(low | {"verdict": "pass"})


def test_what_is_kept_of_a_drawn_pump_is_the_verdict_and_the_limits_of_its_mean() -> None:
    check = Check("mean-flow-error", "", -12.0, "%", FAIL, "dut", limit_low=-10.0, expanded_uncertainty=0.5)
    kept = drawn_error(Evaluation((check,)))
    assert kept == {"value": -12.0, "U": 0.5, "low": -10.0, "high": None, "verdict": "fail"}
    assert drawn_error(Evaluation((replace(check, limit_low=None),))) == {}


def test_few_pumps_near_the_limit_may_be_left_without_a_verdict_and_none_of_the_rest() -> None:
    inside, *_ = drawn.count([pump(14.2, PASS)] * 48 + [pump(14.2, INVALID)] * 2)
    assert (inside.judged, inside.holds) == (48, True)
    assert inside.at_most == pytest.approx(1.0 - 0.05 ** (1.0 / 48.0))
    assert not drawn.count([pump(14.2, PASS)] * 47 + [pump(14.2, INVALID)] * 3)[0].holds
    assert not drawn.count([pump(3.0, PASS)] * 99 + [pump(3.0, INVALID)])[2].holds
    assert not drawn.count([pump(14.9, INVALID)] * 100)[1].holds


DRAWN = Row("flow-accuracy", "short", "sim", {}, None, "right", 12)
DIED = {"verdict": "", "status": "error", "as_claimed": False, "why": "disk full"}


def drawn_matrix(trials: Callable[[int], dict[str, Any]], seeds: int = 12) -> Matrix:
    done = {(DRAWN.key, seed): trials(seed) | {"seed": seed} for seed in range(1, seeds + 1)}
    return matrix_of(Plan(True, (DRAWN,), (), {}), done, code="", made_at="")


def aimed(seed: int) -> dict[str, Any]:
    """A pump where it was aimed, judged rightly."""
    return {"inside": pump(14.2, PASS), "outside": pump(14.9, FAIL), "rest": pump(3.0, PASS)}[drawn.aim(seed)]


def state_of_pumps(matrix: Matrix) -> str:
    return dict(_of_matrix(matrix.to_json()))["pumps"].state


def test_drawn_pumps_that_are_all_judged_rightly_hold() -> None:
    matrix = drawn_matrix(aimed)
    assert (matrix.holds, matrix.complete, state_of_pumps(matrix)) == (True, True, "holds")


@pytest.mark.parametrize("lost", [DIED, pump(14.2, PASS) | {"drawn": {}}, aimed(1) | {"as_claimed": False}])
def test_a_drawn_pump_that_tells_nothing_is_a_miss_and_is_named(lost: dict[str, Any]) -> None:
    matrix = drawn_matrix(lambda seed: lost if seed == 4 else aimed(seed))
    assert not matrix.holds
    assert summary(matrix).endswith("pumps around their limit not as asked for")
    assert [(line.row.title, trial["seed"]) for line, trial in matrix.surprises] == [("pumps around their limit", 4)]
    assert state_of_pumps(matrix) == "fails"
    assert "pumps around their limit, seed 4" in page(matrix)


def test_drawn_pumps_of_which_none_is_near_the_limit_prove_nothing() -> None:
    matrix = drawn_matrix(lambda _: pump(3.0, PASS))
    assert not matrix.holds
    assert state_of_pumps(matrix) == "fails"
    assert "too few pumps fell near the limit" in page(matrix)


def test_drawn_pumps_of_which_some_are_to_be_run_are_no_evidence_yet() -> None:
    matrix = drawn_matrix(aimed, 3)
    assert (matrix.holds, matrix.complete, state_of_pumps(matrix)) == (True, False, "missing")


def test_pumps_are_counted_by_their_true_error() -> None:
    conditional = Verdict.CONDITIONAL_FAIL
    near = [pump(14.2, PASS)] * 48 + [pump(-14.4, conditional), pump(13.9, FAIL)]
    beyond = [pump(14.9, FAIL), pump(-15.0, PASS)]
    rest = [pump(3.0, PASS), pump(3.0, INVALID), pump(20.0, FAIL), pump(10.0, conditional)]
    inside, outside, elsewhere = drawn.count([*near, *beyond, *rest])
    assert (inside.pumps, inside.wrong, inside.allowed, inside.holds) == (50, 1, 1, True)
    assert (outside.pumps, outside.wrong, outside.allowed, outside.holds) == (2, 1, 0, False)
    assert (elsewhere.pumps, elsewhere.wrong, elsewhere.no_verdict, elsewhere.holds) == (4, 1, 1, False)


# -------------------------------------------------------------------------------------------- the record of trials

TRIAL = {"row": "a", "seed": 1, "verdict": "pass"}


def test_a_stop_of_one_trial_latches_no_other_and_the_register_of_the_bench_has_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUMPBENCH_HOME", str(tmp_path / "home"))
    plan = build_plan(["sim-full"], quick=True, seeds=2, protocols=["rig-check"], faults=["e-stop"])
    (row,) = [row for row in plan.rows if row.fault == "e-stop"]
    asked = [(row, seed) for seed in (1, 2)]
    (tmp_path / "out").mkdir()
    said = list(pool.run_all(asked, tmp_path / "out", 1))
    assert [trial["status"] for trial in said] == ["stopped-by-interlock"] * 2
    assert not (tmp_path / "home").exists()


def test_a_trial_that_was_recorded_is_there_again(tmp_path: Path) -> None:
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(TRIAL)
    with Ledger(tmp_path, "plan", "code") as again:
        assert again.done == {("a", 1): TRIAL}


@pytest.mark.parametrize("length", [1, 20, 74])
def test_a_torn_last_line_goes_and_the_next_one_is_whole(length: int, tmp_path: Path) -> None:
    line = b'{"plan": "plan", "code": "code", "row": "a", "seed": 2, "verdict": "pass"}\n'
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(TRIAL)
    with ledger.path.open("ab") as file:
        file.write(line[:length])
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert list(ledger.done) == [("a", 1)]
        ledger.append(TRIAL | {"seed": 3})
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert list(ledger.done) == [("a", 1), ("a", 3)]


def test_a_folder_has_one_qualification_at_a_time_and_others_may_look(tmp_path: Path) -> None:
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append({"row": "a", "seed": 1, "status": "completed"})
        assert under_way(tmp_path) == os.getpid()
        assert look(tmp_path, "plan", "code") == ledger.done
        with pytest.raises(RequestError, match="is under way there"):
            Ledger(tmp_path, "plan", "code")
    assert under_way(tmp_path) is None
    assert look(tmp_path / "nothing", "plan", "code") == {}


def test_a_qualification_begins_though_a_window_looks_at_its_folder_at_that_moment(tmp_path: Path) -> None:
    with Ledger(tmp_path, "plan", "code"):
        pass
    looking = (tmp_path / "under-way.lock").open("r+b")
    assert lock_file(looking)
    threading.Timer(0.1, looking.close).start()
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert ledger.done == {}


def test_a_trial_whose_process_died_is_a_miss_and_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "WORKER", ("-c", "raise SystemExit(7)"))
    (said,) = pool.run_all([(SOUND, 1)], tmp_path, 1)
    assert (said["as_claimed"], said["seed"], said["row"]) == (False, 1, SOUND.key)
    assert "died with code 7" in said["why"]
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(said)
        assert len(ledger.done) == 1
    with Ledger(tmp_path, "plan", "code") as again:
        assert again.done == {}


def test_a_trial_that_a_signal_stopped_says_nothing_and_is_run_again(tmp_path: Path) -> None:
    with Ledger(tmp_path, "plan", "code") as ledger:
        ledger.append(TRIAL | {"seed": 2, "status": "aborted", "as_claimed": False})
        ledger.append(TRIAL | {"seed": 3, "status": "stopped-by-interlock"})
    with Ledger(tmp_path, "plan", "code") as again:
        assert [seed for _, seed in again.done] == [3]
        assert again.foreign == 0


def test_trials_of_another_plan_or_of_other_code_do_not_count(tmp_path: Path) -> None:
    for plan, code in (("plan", "other"), ("other", "code")):
        with Ledger(tmp_path, plan, code) as ledger:
            ledger.append(TRIAL)
    with Ledger(tmp_path, "plan", "code") as ledger:
        assert (ledger.done, ledger.foreign) == ({}, 2)


def test_the_time_left_follows_the_trials_that_were_measured() -> None:
    plan = build_plan(["sim"], quick=True, seeds=4, protocols=["priming"], faults=["over-delivery"])
    trials = list(plan.trials())
    assert left_s(plan, {}, 2) is None
    done = {(row.key, seed): {"wall_s": 10.0} for row, seed in trials[:4]}
    assert left_s(plan, done, 2) == pytest.approx(10.0 * (len(trials) - 4) / 2)


# --------------------------------------------------------------------------------------------- a small real matrix


KILLED_IN_TIME = """
import os, signal, sys
from bench.cli import main
from bench.qualify.ledger import Ledger
append = Ledger.append
def killed(*ledger_and_trial):
    append(*ledger_and_trial)
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
Ledger.append = killed
main(sys.argv[1:])
"""
"""The command, which is killed as soon as its first trial is on the disk."""


@pytest.fixture(scope="module")
def qualified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, dict[str, object]]:
    """Folder of a matrix whose process was killed after its first trial, that trial, and the matrix after going on."""
    folder = tmp_path_factory.mktemp("qualified")
    text = station_path("sim").read_text("utf-8")
    for old, new in (('period = "1 s"', 'period = "10 s"'), ('interval = "0.1 s"', 'interval = "0.2 s"')):
        text = text.replace(old, new)
    (folder / "sim.toml").write_text(text.replace('rate = "10 Hz"', 'rate = "1 Hz"'), "utf-8")
    out, ledger = folder / "out", folder / "out" / "trials.jsonl"
    words = ["qualify", "--station", str(folder / "sim.toml"), "--quick", "--seeds", "1", "--protocol", "flow-accuracy"]
    words += ["--fault", "over-delivery", "--fault", "frozen-reading", "--jobs", "1", "--out", str(out), "--json"]
    killed = subprocess.run(
        [sys.executable, "-P", "-c", KILLED_IN_TIME, *words], stdout=subprocess.DEVNULL, check=False
    )
    assert killed.returncode not in (0, 1), "it ended before it was killed"
    first = ledger.read_bytes()
    again = subprocess.run([sys.executable, "-P", "-m", "bench.cli", *words], stdout=subprocess.PIPE, check=False)
    assert again.returncode == 0
    return out, first, json.loads(again.stdout)


def test_a_matrix_goes_on_after_a_kill_without_doing_a_trial_twice(qualified) -> None:
    out, first, matrix = qualified
    assert first.count(b"\n") < 3
    assert (out / "trials.jsonl").read_bytes().startswith(first)
    trials = [json.loads(line) for line in (out / "trials.jsonl").read_bytes().splitlines()]
    assert len({(trial["row"], trial["seed"], trial["code"]) for trial in trials}) == len(trials)
    assert matrix["complete"] is True


def test_a_small_matrix_says_who_found_what(qualified) -> None:
    _, _, matrix = qualified
    rows = {row["fault"]: row for row in matrix["rows"]}
    assert rows[""]["verdicts"] == {"pass": 1}
    assert rows["over-delivery"]["found_by"] == {"mean-flow-error": 1}
    assert rows["frozen-reading"]["verdicts"] == {"invalid": 1}
    assert rows["frozen-reading"]["proved_at_least"] == pytest.approx(0.05)
    assert rows["frozen-reading"]["told_s"] == pytest.approx(3 * 3600.0 - 4200.0, rel=0.05)


def test_the_files_of_a_matrix_say_the_same_as_its_document(qualified) -> None:
    out, _, matrix = qualified
    with h5py.File(out / "matrix.h5") as file:
        entry = file["entry"]
        assert entry.attrs["NX_class"] == "NXentry"
        assert entry["rows/fault"].asstr()[:].tolist() == [row["fault"] for row in matrix["rows"]]
        assert entry["rows/at_s"].attrs["units"] == "s"
        assert entry["trials/as_claimed"][:].tolist() == [1, 1, 1]
        off_u = dict(zip(entry["trials/row"][:].tolist(), entry["trials/off_u"][:].tolist(), strict=True))
        assert 0.0 <= off_u[1] < 2.0, "the mean of the sound pump is held against the truth"
    text = (out / "matrix.html").read_text("utf-8")
    assert "✓ found</span> 1 of 1, ≥ 5.0 %" in text
    assert not re.search(r"https?:|<script|class=.bad", text)


def test_a_miss_is_coloured_named_and_fails_the_matrix() -> None:
    plan = build_plan(["sim"], quick=True, seeds=1, protocols=["priming"], faults=["over-delivery"])
    missed = {"seed": 1, "verdict": "pass", "status": "completed", "as_claimed": False, "why": "", "told_s": 9.0}
    done = {(row.key, seed): missed for row, seed in plan.trials() if row.fault}
    matrix = matrix_of(plan, done, code="c" * 64, made_at="2026-01-01")
    text = page(matrix)
    assert not matrix.holds
    assert 'class="bad"' in text
    assert "✗ missed</span> 0 of 1" in text
    assert "Not as claimed" in text


def test_what_was_not_run_is_not_called_as_claimed() -> None:
    plan = build_plan(["sim"], quick=True, seeds=1, protocols=["priming"], faults=["over-delivery"])
    matrix = matrix_of(plan, {}, code="c" * 64, made_at="2026-01-01")
    assert not matrix.complete
    assert summary(matrix) == "0 of 1 row as claimed; 0 false alarms in 0 runs of sound pumps; trials are missing"


def test_bad_input_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["qualify", "--station", "simm"])
    assert end.value.code == 2
    assert 'did you mean "sim"' in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ requirements


def test_every_requirement_names_evidence_that_there_is(quick_plan: Plan) -> None:
    rows = {f"{row.protocol}/{row.fault or 'sound'}" for row in quick_plan.rows} | {"pumps"}
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
