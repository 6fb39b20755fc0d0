"""Pumps drawn around the limit of their mean: where they fall, and how they are counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.qualify import drawn
from bench.qualify.matrix import Matrix, matrix_of
from bench.qualify.outcome import drawn_error
from bench.qualify.page import page
from bench.qualify.plan import Plan, Row, code_identity
from bench.qualify.requirements import _of_matrix
from bench.qualify.words import summary
from data.checks import Check, Evaluation, Limits, Verdict

FAIL, INVALID, PASS = Verdict.FAIL, Verdict.INVALID, Verdict.PASS


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
    return matrix_of(Plan(True, (DRAWN,), (), {}), done, code=code_identity(), made_at="")


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
