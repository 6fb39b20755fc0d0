"""A rig check whose record lacks something: what is missing is said, and never left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data.checks import Status, Verdict
from data.run import PhaseSpan, Run
from protocols.analysis.rig.balance import quiet
from protocols.analysis.rig.verdict import evaluate
from protocols.procedure import ParamError
from protocols.rig_check import RigCheck

SEALED = Path(__file__).parents[3] / "runs" / "rig-check-2.h5"


@pytest.fixture
def sealed() -> Iterator[Run]:
    """A rig check with a quiet record of three minutes."""
    with Run.open(SEALED) as run:
        yield run


def test_a_quiet_record_too_short_for_the_wander_of_the_zero_is_not_measured(sealed: Run) -> None:
    found = evaluate(sealed)
    unmeasured = {check.name for check in found.checks if check.verdict is Verdict.NOT_MEASURED}
    assert (found.verdict, unmeasured) == (Verdict.NOT_MEASURED, {"balance-wander"})


def test_a_rig_check_that_was_stopped_passes_nothing_and_blames_no_bath_that_had_no_time(sealed: Run) -> None:
    sealed.__dict__["status"] = Status.ABORTED
    *before, bath = sealed.phases
    sealed.__dict__["phases"] = (*before, PhaseSpan(bath.name, bath.t0, bath.t0 + 60.0, True))
    sealed.__dict__["events"] = tuple(event for event in sealed.events if event.kind != "condition")
    assert {check.verdict for check in evaluate(sealed).checks} == {Verdict.NOT_MEASURED}


@pytest.mark.parametrize("seconds", [300, 299])
def test_five_minutes_show_the_wander_of_the_zero(seconds: int) -> None:
    t_s = np.arange(float(seconds))
    assert 100.0 in quiet(t_s, np.random.default_rng(1).normal(0.0, 0.02, t_s.size), 0.01).allan_s


def test_a_quiet_record_that_is_too_short_is_refused_before_the_start() -> None:
    with pytest.raises(ParamError, match="quiet"):
        RigCheck(quiet="4 min")
