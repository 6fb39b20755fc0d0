"""Sealed runs of earlier methods: each is intact, and judged as it was, or by a method that says that it is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.closing import reevaluate
from data.run import Run
from data.seal import examine
from protocols.procedure import load_procedure

RUNS = sorted((Path(__file__).parent / "runs").glob("*.h5"))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_a_sealed_run_is_intact_and_judged_to_the_last_digit_as_it_was_or_by_a_later_method(path: Path) -> None:
    assert examine(path).intact
    with Run.open(path) as run:
        assert path.stem == f"{run.procedure}-{run.method}"
        later = load_procedure(run.procedure).method > run.method
    again = reevaluate(path)
    assert again.identical or later, again.why
