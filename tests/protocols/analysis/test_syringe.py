"""What a syringe pump pushes is what it was asked for, or counted, times the gain of its certificate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Check, Evaluation, Verdict
from data.run import Run
from protocols.analysis.catheter.verdict import evaluate as catheter
from protocols.analysis.locator.recorded import of_record
from protocols.analysis.occlusion.fitness import metered_line
from protocols.analysis.occlusion.line import ClosedLine
from protocols.analysis.occlusion.record import OcclusionRecord
from protocols.analysis.occlusion.verdict import evaluate as occlusion
from protocols.analysis.refill.verdict import evaluate as refill

RUNS = Path(__file__).parents[2] / "runs"


def opened(name: str, gain: float | None) -> Run:
    """A sealed run whose syringe pump has a certificate with this gain."""
    run = Run.open(RUNS / name)
    if gain is not None:
        run.station["instruments"]["pusher"]["calibration"]["infused"]["gain"] = gain
    return run


def named(found: Evaluation) -> dict[str, Check]:
    return {check.name: check for check in found.checks}


def test_a_certificate_without_a_gain_says_that_it_pushes_what_it_is_asked_for() -> None:
    with opened("occlusion-5.h5", None) as run:
        del run.station["instruments"]["pusher"]["calibration"]["infused"]["gain"]
        assert OcclusionRecord(run).syringe_gain == 1.0
        del run.station["instruments"]["pusher"]["calibration"]
        assert OcclusionRecord(run).syringe_gain == 1.0
        assert OcclusionRecord(run).u_syringe == 0.005


# ---------------------------------------------------------------------------------------------------- occlusion


def test_the_compliance_by_the_metered_step_goes_with_the_gain() -> None:
    with opened("occlusion-5.h5", None) as run:
        before = occlusion(run)
    with opened("occlusion-5.h5", 1.1) as run:
        after = occlusion(run)
    for name in ("compliance_ul_per_kpa", "u_compliance_ul_per_kpa", "stored_ul"):
        assert after.values[name] == pytest.approx(1.1 * before.values[name], rel=1e-3)
    assert named(after)["closing-step"].value == pytest.approx(
        1.1 * (named(before)["closing-step"].value or 0), rel=0.1
    )


def emptied(gain: float | None) -> ClosedLine:
    """The line of a run whose pressure is gone within seconds of the metered step."""
    with opened("occlusion-5.h5", gain) as run:
        shown, (held_s, until_s) = run.series("outlet_pressure"), run.phase("metered-hold")
        base = float(shown.within(*run.phase("metered-closed")).values.mean())
        lost = np.exp(-np.clip(shown.t - held_s, 0.0, None) / 20.0)
        values = np.where(shown.t <= until_s, base + (shown.values - base) * lost, shown.values)
        run._series["outlet_pressure"] = replace(shown, values=values)
        return metered_line(OcclusionRecord(run))


def test_a_leak_that_is_told_by_what_the_pump_left_in_the_line_goes_with_the_gain() -> None:
    assert emptied(None).leak_ul_per_s_kpa > 0.004  # nothing of it is left of the step
    assert emptied(1.1).leak_ul_per_s_kpa == pytest.approx(1.1 * emptied(None).leak_ul_per_s_kpa, rel=1e-6)


# ----------------------------------------------------------------------------------------------------- catheter


def test_a_pump_that_is_known_to_push_more_agrees_with_the_balance_that_shows_more() -> None:
    """The balance knows better than the certificate what was pushed, so results go with it and not with the gain."""
    with opened("catheter-7.h5", None) as run:
        before = named(catheter(run))
    with opened("catheter-7.h5", 1.02) as run:
        known = named(catheter(run))
        shown = run.series("reference_mass")
        run._series["reference_mass"] = replace(shown, values=1.02 * shown.values)
        more = named(catheter(run))
    # The flow that is farthest off counts, and that is another one.
    assert known["rig-flow"].value == pytest.approx((before["rig-flow"].value or 0.0) / 1.02, rel=0.002)
    assert more["rig-flow"].value == pytest.approx(before["rig-flow"].value)
    for name in ("patency", "leak", "compliance", "priming-volume", "arrives"):
        assert known[name].value == pytest.approx(before[name].value, rel=1e-6)
    assert more["patency"].value == pytest.approx((before["patency"].value or 0.0) / 1.02)
    assert more["compliance"].value == pytest.approx(1.02 * (before["compliance"].value or 0.0), rel=1e-3)


def test_where_no_balance_tells_what_was_pushed_a_catheter_goes_with_the_gain() -> None:
    def without_the_bridge_s_mass(gain: float) -> Evaluation:
        with opened("catheter-7.h5", gain) as run:
            shown, begin, end = run.series("reference_mass"), run.phase("bridge-slow")[0], run.phase("bridge-fast")[1]
            kept = (shown.t < begin) | (shown.t > end)
            run._series["reference_mass"] = replace(
                shown, t=shown.t[kept], values=shown.values[kept], quality=shown.quality[kept]
            )
            return catheter(run)

    before, after = without_the_bridge_s_mass(1.0), without_the_bridge_s_mass(1.1)
    ratio = {name: after.values[name] / before.values[name] for name in before.values if before.values[name]}
    assert ratio["resistance_kpa_s_per_ul"] == pytest.approx(1.0 / 1.1)
    assert ratio["catheter_ul_per_kpa_m"] == pytest.approx(1.1, rel=1e-3)
    assert ratio["ratio_at_6_mm"] == pytest.approx(1.0)  # both resistances move
    pushed_ul = 450.0 * 1.007  # as the bore is filled, at the temperature of the bath
    assert after.values["bore_ul"] - before.values["bore_ul"] == pytest.approx(0.1 * pushed_ul, rel=0.01)


def test_the_drop_of_a_forced_flow_is_expected_of_what_was_pushed() -> None:
    def drop(gain: float) -> float:
        with opened("catheter-7.h5", gain) as run:
            return next(one.value for one in of_record(run, Evaluation(())) if one.name == "drop")  # type: ignore[return-value]

    assert drop(1.1) == pytest.approx(drop(1.0) / 1.1)


# ------------------------------------------------------------------------------------------------------- refill


def test_a_filling_that_is_weighed_is_held_against_the_corrected_count() -> None:
    with opened("refill-port-6.h5", None) as run:
        counted = next(one.fields["infused_ul"] for one in run.records("syringe") if one.fields["key"] == "filled")
        before = named(refill(run))["weighed-counted"]
    with opened("refill-port-6.h5", 1.1) as run:
        after = named(refill(run))["weighed-counted"]
    assert (before.value or 0.0) - (after.value or 0.0) == pytest.approx(0.1 * counted)
    assert (before.verdict, after.verdict) == (Verdict.PASS, Verdict.INVALID)
