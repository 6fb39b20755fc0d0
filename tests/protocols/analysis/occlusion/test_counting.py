"""What counts of an occlusion where something was not measured: nobody is blamed, and nobody passes by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Check, Evaluation, Verdict
from data.run import Event, Run
from protocols.analysis.occlusion.verdict import evaluate

SEALED = Path(__file__).parents[3] / "runs" / "occlusion-1.h5"


def judged(change: Callable[[Run], None]) -> Evaluation:
    with Run.open(SEALED) as run:
        change(run)
        return evaluate(run)


def named(found: Evaluation) -> dict[str, Check]:
    return {check.name: check for check in found.checks}


def without_the_step(run: Run, most_kpa: float = 1e3) -> None:
    """No metered step; the pressure ends at ``most_kpa``."""
    shown = run.series("outlet_pressure")
    run._series["outlet_pressure"] = replace(shown, values=np.minimum(shown.values, most_kpa))
    phases = tuple(phase for phase in run.phases if not phase.name.startswith("metered"))
    run.__dict__.update(params={**run.params, "metered": False}, phases=phases)


def test_without_the_metered_step_a_declared_pressure_of_the_rollers_is_not_measured():
    found = judged(without_the_step)
    slip = named(found)["slip-pressure"]
    assert (slip.verdict, slip.optional, found.verdict) == (Verdict.NOT_MEASURED, False, Verdict.NOT_MEASURED)
    assert named(found)["reaches-threshold"].verdict is Verdict.PASS


def test_without_the_metered_step_a_pressure_that_does_not_rise_blames_nobody():
    check = named(judged(lambda run: without_the_step(run, 30.0)))["reaches-threshold"]
    assert (check.verdict, check.value) == (Verdict.NOT_MEASURED, 30.0)
    assert check.note.endswith("without the metered step nothing tells which")


@pytest.mark.parametrize(("holds", "verdict"), [(False, Verdict.INVALID), (True, Verdict.FAIL)])
def test_a_pump_that_runs_although_it_was_stopped_is_judged_on_a_rig_that_was_checked_alone(holds, verdict):
    def runs_on(run: Run) -> None:
        shown, (from_s, _) = run.series("reference_mass"), run.phase("metered-before")
        values = shown.values + 600.0 / 3600.0 * np.clip(shown.t - from_s, 0.0, None)
        run._series["reference_mass"] = replace(shown, values=values)
        said = {"demanded": True, "holds": holds, "text": "", "check_run_id": "", "values": {}}
        events = [event for event in run.events if event.kind not in ("rig-check", "override")]
        run.__dict__["events"] = (*events, Event(0.0, "rig-check", said))

    found = judged(runs_on)
    assert (named(found)["stopped-flow"].verdict, found.verdict) == (verdict, verdict)
