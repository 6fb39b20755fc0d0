"""What the locator answers in a qualification: right for which rows, counted how, and said where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.qualify.located import Count, count, group, wanted
from bench.qualify.matrix import matrix_of
from bench.qualify.page import page
from bench.qualify.plan import Plan, Row
from bench.qualify.words import located_by

SOUND = Row("flow-accuracy", "short", "sim", {}, None, "sound", 1)
LEAK = replace(SOUND, expected="found", fault="leak", owner="catheter", faults=("leak:0.3@0s",), seeds=3)
PAIR = replace(LEAK, expected="not-passed", faults=("leak:0.2@0s", "over-delivery:1.25"))
DROPPED = replace(SOUND, fault="dropped-reply", owner="rig", faults=("dropped-reply:0.1@600s/balance",))


def said(seed: int, first: str, owner: str, *tied: str) -> dict[str, object]:
    """A trial that asked the locator."""
    located = {"first": first, "owner": owner, "tied": [first, *tied]}
    trial = {"seed": seed, "verdict": "invalid", "status": "completed", "as_claimed": True, "why": "", "cpu_s": 1.0}
    return trial | {"located": located}


@pytest.mark.parametrize(
    ("row", "causes", "owners", "counted"),
    [
        (SOUND, {"nothing"}, {"nobody"}, "sound"),
        (LEAK, {"leak"}, {"catheter"}, "catheter"),
        (PAIR, {"leak", "over-delivery"}, {"catheter", "dut"}, "together"),
        (DROPPED, {"dropped-reply", "nothing"}, {"rig", "nobody"}, "unclaimed"),
    ],
)
def test_what_is_right_follows_from_the_row(row: Row, causes: set[str], owners: set[str], counted: str) -> None:
    assert wanted(row).causes == causes
    assert wanted(row).owners == owners
    assert group(row) == counted


def test_cause_owner_and_tie_are_counted_apart_and_silence_is_not_counted() -> None:
    trials = [said(1, "leak", "catheter"), said(2, "kink", "catheter"), said(3, "rig-leak", "rig", "leak"), {"seed": 4}]
    assert count(LEAK, trials) == Count(trials=3, cause=1, owner=2, tied=2)


def test_the_matrix_says_how_often_the_right_cause_stood_first() -> None:
    plan = Plan(True, (SOUND, LEAK), (), {})
    done = {(LEAK.key, 1): said(1, "leak", "catheter"), (LEAK.key, 2): said(2, "kink", "catheter")}
    matrix = matrix_of(plan, done, code="c" * 64, made_at="2026-01-01")
    assert matrix.to_json()["located"]["catheter"]["right_cause_first"] == 1
    assert located_by(matrix) == "Right cause located first: 1 of 2 faults of the catheter; right owner first: 2 of 2"
    assert "located 1/2, owner 2/2" in page(matrix)
