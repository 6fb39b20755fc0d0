"""What a run of a qualification is held to: its row's claim, its truth, and what the rows prove together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.qualify.matrix import Matrix, matrix_of
from bench.qualify.outcome import compare
from bench.qualify.page import page
from bench.qualify.plan import Plan, Row
from bench.qualify.words import alarmed_rigs
from data.checks import Check, Evaluation, Owner, Status, Verdict

SOUND = Row("flow-accuracy", "short", "sim", {}, None, "sound", 1)
LEAK = replace(SOUND, expected="found", fault="leak", owner="catheter", checks=("ratio",))
DRY = replace(LEAK, fault="dry-evaporation-trap", owner="rig", checks=("evaporation",))
SLOW = replace(LEAK, fault="under-delivery", owner="dut", checks=("mean",))
STOP = replace(LEAK, fault="e-stop", owner="rig", checks=("interlock e-stop",))
PAIR = replace(LEAK, expected="not-passed", faults=("leak", "over-delivery:1.25"))
BOTH = replace(SLOW, checks=("mean", "other"), every=True)


def said(**verdicts: Verdict) -> Evaluation:
    """An evaluation: the owner is that which such a check has."""
    owners: dict[str, Owner] = {"ratio": "catheter", "evaporation": "rig"}
    return Evaluation(
        tuple(Check(name, name, 1.0, "%", each, owners.get(name, "dut")) for name, each in verdicts.items())
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


def test_a_rig_on_which_a_sound_row_was_not_even_planned_is_not_counted() -> None:
    flow, catheter = replace(SOUND, seeds=3), replace(SOUND, protocol="catheter", seeds=1)
    matrix = counted((flow, [{}] * 3), (catheter, [{}]))
    assert matrix.alarmed_rigs == (0, 1)
    assert alarmed_rigs(matrix) == "0 of 1 rig on which each was run alarmed in any row, which proves at most 95 %"
    assert counted((flow, [{}, {}, {"as_claimed": False}]), (catheter, [{}])).alarmed_rigs == (1, 2)


def test_a_claim_that_no_trial_bears_out_is_named() -> None:
    row = replace(SLOW, checks=("mean",), claimed=("mean", "other"), seeds=2)
    matrix = counted((row, [{"found_by": ["mean"]}] * 2))
    assert matrix.never_found_by == [("flow-accuracy", "under-delivery", "other")]
    assert "Claimed, and found in no trial by" in page(matrix)
    assert counted((row, [])).never_found_by == []
