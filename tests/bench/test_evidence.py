"""The trials of the full matrix that are kept with the documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
TOLD = re.compile(
    r"\*\*([\d,]+) of 3,020\s+trials\*\*, ([\d,]+) of ([\d,]+) as claimed.*?([\d.]+) h of processor time", re.DOTALL
)


@pytest.fixture(scope="module")
def trials():
    lines = (DOCS / "evidence" / "full-matrix.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_all_trials_are_of_one_plan_and_one_code_and_none_counts_twice(trials):
    assert len({(one["plan"], one["code"]) for one in trials}) == 1
    assert len({(one["row"], one["seed"]) for one in trials}) == len(trials)


def test_what_the_explanation_says_of_them_is_what_they_say(trials):
    found = TOLD.search((DOCS / "explanation" / "qualification.md").read_text("utf-8"))
    assert found is not None
    judged = [one["as_claimed"] for one in trials if one["as_claimed"] is not None]  # a drawn pump claims nothing
    said = tuple(int(number.replace(",", "")) for number in found.groups()[:3])
    assert said == (len(trials), sum(judged), len(judged))
    assert float(found[4]) == pytest.approx(sum(one["cpu_s"] for one in trials) / 3600.0, abs=0.06)
