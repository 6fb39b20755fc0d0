"""What counts of an occlusion where something was not measured: nobody is blamed, and nobody passes by it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Check, Evaluation, Verdict
from data.run import Event, Run
from protocols.analysis.occlusion import verdict
from protocols.analysis.occlusion.fitness import metered_line
from protocols.analysis.occlusion.line import ClosedLine
from protocols.analysis.occlusion.record import OcclusionRecord
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


def runs_on_by_the_balance(run: Run) -> None:
    """The balance gains 600 mg/h from when the pump was stopped."""
    shown, (from_s, _) = run.series("reference_mass"), run.phase("metered-before")
    values = shown.values + 600.0 / 3600.0 * np.clip(shown.t - from_s, 0.0, None)
    run._series["reference_mass"] = replace(shown, values=values)


def test_a_stopped_pump_that_runs_on_by_the_balance_alone_fails_nobody_and_the_line_is_still_measured():
    found = judged(runs_on_by_the_balance)
    checks = named(found)
    assert (checks["stopped-flow"].verdict, checks["stopped-agrees"].verdict) == (Verdict.INVALID, Verdict.INVALID)
    assert checks["stopped-agrees"].owner == "rig"
    assert "compliance" in checks
    assert found.verdict is Verdict.INVALID


@pytest.mark.parametrize(("holds", "verdict"), [(False, Verdict.INVALID), (True, Verdict.FAIL)])
def test_a_pump_that_runs_although_it_was_stopped_is_judged_on_a_rig_that_was_checked_alone(holds, verdict):
    def runs_on(run: Run) -> None:
        runs_on_by_the_balance(run)
        shown, (from_s, _) = run.series("outlet_pressure"), run.phase("metered-closed")
        values = shown.values + np.clip(600.0 / 3600.0 / 0.49 * (shown.t - from_s), 0.0, 35.0)
        run._series["outlet_pressure"] = replace(shown, values=values)
        said = {"demanded": True, "holds": holds, "text": "", "check_run_id": "", "values": {}}
        events = [event for event in run.events if event.kind not in ("rig-check", "override")]
        run.__dict__["events"] = (*events, Event(0.0, "rig-check", said))

    found = judged(runs_on)
    assert (named(found)["stopped-flow"].verdict, found.verdict) == (verdict, verdict)


def soft(run: Run, softer: float, most_kpa: float = 1e3) -> None:
    """The line takes more for each kPa, so that the pressure rises less in the same time; it ends at ``most_kpa``."""
    shown = run.series("outlet_pressure")
    values = np.minimum(shown.values / softer, np.where(shown.t > run.phase("rise-1")[0], most_kpa, 1e3))
    run._series["outlet_pressure"] = replace(shown, values=values)


def test_a_rise_that_was_given_up_before_a_soft_line_could_be_up_blames_nobody_and_the_remedy_is_told():
    check = named(judged(lambda run: soft(run, 1.2)))["reaches-threshold"]
    assert (check.verdict, check.value) == (Verdict.NOT_MEASURED, pytest.approx(57.0, abs=0.1))
    assert "given up after 10.6 min, and at the flow before a line of 0.611 uL/kPa" in check.note
    assert check.note.endswith("set line to 0.618 uL/kPa")


@pytest.mark.parametrize(("softer", "most_kpa"), [(1.0, 40.0), (1.0, 59.0)])
def test_a_pressure_that_does_not_rise_in_the_time_that_the_line_needs_fails_the_pump(softer, most_kpa):
    check = named(judged(lambda run: soft(run, softer, most_kpa)))["reaches-threshold"]
    assert (check.verdict, check.owner, check.value) == (Verdict.FAIL, "dut", most_kpa)


def leaking(monkeypatch: pytest.MonkeyPatch, leak: float, u: float) -> None:
    """The metered step finds another leak than it does, in uL/h at 60 kPa."""

    def found(record: OcclusionRecord) -> ClosedLine:
        per = 1.0 / 60.0 / 3600.0
        return replace(metered_line(record), leak_ul_per_s_kpa=leak * per, u_leak=u * per)

    monkeypatch.setattr(verdict, "metered_line", found)


@pytest.mark.parametrize(
    ("leak", "u", "tight", "reaches"),
    [
        (0.0, 0.5, Verdict.PASS, Verdict.FAIL),
        (2.0, 1.0, Verdict.PASS, Verdict.FAIL),
        (60.0, 30.0, Verdict.PASS, Verdict.NOT_MEASURED),  # 150 uL/h of 208 may be gone, and the rise is too short
        (100.0, 60.0, Verdict.NOT_MEASURED, Verdict.NOT_MEASURED),
        (-25.0, 411.0, Verdict.NOT_MEASURED, Verdict.NOT_MEASURED),
        (5000.0, 200.0, Verdict.INVALID, Verdict.INVALID),
    ],
)
def test_a_pump_fails_by_a_pressure_that_no_leak_can_explain_alone(monkeypatch, leak, u, tight, reaches):
    leaking(monkeypatch, leak, u)
    checks = named(judged(lambda run: soft(run, 1.0, 40.0)))
    assert (checks["line-tight"].verdict, checks["reaches-threshold"].verdict) == (tight, reaches)


def test_a_rise_that_a_leak_may_have_slowed_is_to_last_as_long_as_that_leak_needs(monkeypatch):
    leaking(monkeypatch, 60.0, 30.0)
    note = named(judged(lambda run: soft(run, 1.0, 40.0)))["reaches-threshold"].note
    assert "given up after 10.6 min" in note
    assert float(note.rsplit(" ", 2)[1]) == pytest.approx(0.506 * math.log(1.0 / (1.0 - 0.72)) / 0.72, rel=0.05)


def slips(run: Run) -> None:
    """From 30 kPa on the pump loses in proportion to what is above it, all of it at 45 kPa; 50 kPa is declared."""
    shown, from_s = run.series("outlet_pressure"), run.phase("rise-1")[0]
    above = np.clip(shown.values - 30.0, 0.0, None)
    values = np.where(shown.t > from_s, shown.values - above - 15.0 * np.expm1(-above / 15.0), shown.values)
    run._series["outlet_pressure"] = replace(shown, values=values)
    dut = copy.deepcopy(run.dut)
    dut["limits"]["occlusion"]["pressure_at_least_kpa"] = 50.0
    run.__dict__["dut"] = dut


@pytest.mark.parametrize(
    ("u", "slip"), [(0.5, Verdict.FAIL), (60.0, Verdict.NOT_MEASURED)], ids=["tight", "nobody knows"]
)
def test_rollers_that_slip_fail_the_pump_where_the_line_is_known_to_be_tight(monkeypatch, u, slip):
    leaking(monkeypatch, 0.0, u)
    check = named(judged(slips))["slip-pressure"]
    assert (check.verdict, check.value) == (slip, pytest.approx(30.0, abs=4.0))


def test_a_pump_that_delivered_nothing_before_fails_however_short_the_rise():
    def stalled(run: Run) -> None:
        soft(run, 1.2, 5.0)
        shown, (from_s, _) = run.series("reference_mass"), run.phase("settle-1")
        before = float(np.interp(from_s, shown.t, shown.values))
        run._series["reference_mass"] = replace(shown, values=np.where(shown.t > from_s, before, shown.values))

    found = named(judged(stalled))
    assert (found["flow-before"].verdict, found["reaches-threshold"].verdict) == (Verdict.FAIL, Verdict.FAIL)


@pytest.mark.parametrize(
    ("more_mg_per_h", "flow", "line"),
    [(5000.0, Verdict.FAIL, Verdict.PASS), (0.0, Verdict.INVALID, Verdict.INVALID)],
)
def test_a_pump_that_gives_far_too_much_fails_although_that_takes_more_pressure_through_an_open_line(
    more_mg_per_h, flow, line
):
    def gushes(run: Run) -> None:
        closed_s = run.phase("rise-1")[0]
        begun_s = closed_s - 720.0
        mass, pressure = run.series("reference_mass"), run.series("outlet_pressure")
        more = more_mg_per_h / 3600.0 * np.clip(mass.t - begun_s, 0.0, closed_s - begun_s)
        pushed = np.where((pressure.t > begun_s) & (pressure.t < closed_s), 12.0, 0.0)
        run._series["reference_mass"] = replace(mass, values=mass.values + more)
        run._series["outlet_pressure"] = replace(pressure, values=pressure.values + pushed)

    found = named(judged(gushes))
    assert found["outlet-pressure"].verdict is line
    assert found["flow-before"].verdict is flow
