"""The trials of the full matrix that are kept with the documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
TOLD = re.compile(
    r"\*\*([\d,]+) of 3,220\s+trials\*\*, ([\d,]+) of ([\d,]+) as\s+claimed, ([\d.]+) h of processor time", re.DOTALL
)
FLOW, OTHERS = "full-matrix-flow.jsonl", "full-matrix.jsonl"


def read(name):
    return [json.loads(line) for line in (DOCS / "evidence" / name).read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", [FLOW, OTHERS])
def test_all_trials_of_a_file_are_of_one_plan_and_one_code_and_none_counts_twice(name):
    trials = read(name)
    assert len({(one["plan"], one["code"]) for one in trials}) == 1
    assert len({(one["row"], one["seed"]) for one in trials}) == len(trials)


def test_no_row_stands_in_both_files():
    rows = [{one["row"] for one in read(name)} for name in (FLOW, OTHERS)]
    assert not rows[0] & rows[1]


def test_what_the_explanation_says_of_them_is_what_they_say():
    trials = read(FLOW) + read(OTHERS)
    found = TOLD.search((DOCS / "explanation" / "qualification.md").read_text("utf-8"))
    assert found is not None
    judged = [one["as_claimed"] for one in trials if one["as_claimed"] is not None]  # a drawn pump claims nothing
    said = tuple(int(number.replace(",", "")) for number in found.groups()[:3])
    assert said == (len(trials), sum(judged), len(judged))
    assert float(found[4]) == pytest.approx(sum(one["cpu_s"] for one in trials) / 3600.0, abs=0.06)
