"""priming: what the path needs, what came, when it was at the tip; bridges."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.closing import reevaluate
from data.checks import Verdict
from data.run import Run
from protocols.analysis.front import dispersion_mm2_per_s, tail_share
from protocols.analysis.priming import evaluate
from protocols.priming import Priming
from protocols.procedure import ParamError

BRIDGE = Path(__file__).parents[2] / "runs" / "priming-3.h5"
PATH_UL = 200.0 + math.pi / 4.0 * 0.53**2 * 1000.0


@pytest.fixture(scope="module")
def healthy(conducted):
    return conducted("priming", sealed=True)


def test_a_healthy_pump_fills_the_path_and_the_front_arrives_by_volume(healthy, named):
    checks = named(healthy)
    assert healthy.evaluation.verdict is Verdict.PASS
    assert checks["programmed-volume"].value == pytest.approx(100.0 * (420.0 / PATH_UL - 1.0), abs=1e-9)
    assert abs(checks["bolus-error"].value - 0.7) < 0.7
    both_ul_per_s = (420.0 * 60.0 / 40.0 + 1000.0 / 24.0) / 3600.0
    assert checks["time-to-tip"].value == pytest.approx(PATH_UL / both_ul_per_s, rel=0.02)


def test_twice_the_volume_without_a_limit_leaves_no_pass(conducted, named):
    result = conducted("priming", "over-delivery:2@0h", dut="sim-peristaltic")
    check = named(result)["bolus-error"]
    assert check.value == pytest.approx(100.0, abs=3.0)
    assert (check.verdict, check.optional) == (Verdict.NOT_MEASURED, False)
    assert named(result)["basal-after-error"].verdict is result.evaluation.verdict is Verdict.FAIL
    assert "the pump's file declares no [limits.bolus]" in check.note


def test_it_evaluates_identically_again(healthy):
    assert reevaluate(healthy.run_file).identical


def test_a_volume_for_another_catheter_is_a_fault_of_the_record(conducted, named):
    result = conducted("priming", volume="340 uL")
    checks = named(result)
    assert (checks["programmed-volume"].verdict, checks["programmed-volume"].owner) == (Verdict.FAIL, "record")
    assert checks["bolus-error"].verdict is Verdict.PASS
    assert checks["path-filled"].verdict is not Verdict.PASS
    assert [one.name for one in result.evaluation.checks if one.verdict is Verdict.FAIL] == ["programmed-volume"]


@pytest.mark.parametrize(("fault", "lost_mg_per_h"), [("balance-drift:5@0h", -5.0), ("dry-evaporation-trap:3@0h", 3.0)])
def test_what_a_vessel_loses_or_a_balance_drifts_is_a_fault_of_the_rig_and_no_flow_of_the_pump(
    conducted, healthy, named, fault, lost_mg_per_h
):
    result = conducted("priming", fault)
    checks = named(result)
    assert (checks["evaporation"].verdict, checks["evaporation"].owner) == (Verdict.INVALID, "rig")
    assert checks["evaporation"].value == pytest.approx(lost_mg_per_h, abs=0.5)
    assert result.evaluation.verdict is Verdict.INVALID
    for name in ("basal-before-error", "basal-after-error"):
        assert abs(checks[name].value - named(healthy)[name].value) < checks[name].expanded_uncertainty < 6.0


@pytest.fixture
def implanted():
    """Verdict and checks of a sealed priming of an implant, with other limits or times the basal flow or the bolus."""

    def prime(before=1.0, after=1.0, limits=("segment", "bolus"), catheter=True, bolus=1.0):
        with Run.open(BRIDGE.with_name("priming-1.h5")) as run:
            mass, begun = run.series("reference_mass"), run.phase("analysis")[0]
            edges = begun + np.array([0.0, 2400.0, 4800.0, 1e6])
            flow = 0.997 * 41.67 / 3600.0 * (np.array([before, after, after]) - 1.0)
            flow[1] += (bolus - 1.0) * 420.0 * 0.997 / 2400.0
            more = np.concatenate([[0.0], np.cumsum(flow * np.diff(edges))])
            values = mass.values + np.interp(mass.t, edges, more)
            run._series["reference_mass"] = replace(mass, values=values)
            for name in {"mean", "segment", "bolus"} - set(limits):
                run.dut["limits"][name] = None
            if not catheter:
                run.__dict__["catheter"] = {}
            evaluation = evaluate(run)
        return evaluation.verdict, {check.name: check for check in evaluation.checks}

    return prime


@pytest.mark.parametrize("limits", [("segment", "bolus"), ("mean", "bolus")])
def test_three_times_the_basal_flow_before_and_after_a_priming_bolus_fails(implanted, limits):
    verdict, checks = implanted(3.0, 3.0, limits)
    found = [checks["basal-before-error"], checks["basal-after-error"]]
    assert [(one.verdict, one.owner) for one in found] == [(Verdict.FAIL, "dut")] * 2
    assert [one.value for one in found] == pytest.approx([200.0] * 2, abs=2.0)
    assert verdict is Verdict.FAIL


@pytest.mark.parametrize(("before", "after"), [(2.0, 1.0), (1.0, 0.5)])
def test_the_basal_flow_before_and_after_a_priming_bolus_is_judged_each_for_itself(implanted, before, after):
    verdict, checks = implanted(before, after)
    found = [checks[f"basal-{word}-error"].verdict is Verdict.FAIL for word in ("before", "after")]
    assert (found, verdict) == ([before != 1.0, after != 1.0], Verdict.FAIL)


def test_a_sound_priming_passes_its_basal_flow_and_without_a_limit_reports_it(implanted):
    verdict, checks = implanted()
    found = [checks["basal-before-error"], checks["basal-after-error"]]
    assert ([one.verdict for one in found], verdict) == ([Verdict.PASS] * 2, Verdict.PASS)
    assert all(0.5 < one.expanded_uncertainty < 1.5 for one in found)
    verdict, checks = implanted(limits=("bolus",))
    check = checks["basal-after-error"]
    assert (check.verdict, check.optional, verdict) == (Verdict.NOT_MEASURED, True, Verdict.PASS)


def test_no_pump_fails_by_a_path_that_the_programmed_volume_does_not_fill(bridged):
    verdict, checks = bridged(internal_path_ul=320.0)
    check = checks["path-filled"]
    assert (checks["programmed-volume"].verdict, verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert (check.verdict, check.value) == (Verdict.INVALID, pytest.approx(78.1, abs=0.5))
    assert "programmed-volume is beyond its limits" in check.note
    assert {one.owner for one in checks.values() if one.verdict is Verdict.FAIL} == {"record"}


def test_a_pump_that_fills_too_little_of_a_path_that_was_programmed_rightly_fails(implanted):
    verdict, checks = implanted(bolus=0.6)
    assert (checks["programmed-volume"].verdict, checks["path-filled"].verdict) == (Verdict.PASS, Verdict.FAIL)
    assert verdict is Verdict.FAIL


def test_without_a_catheter_nothing_says_what_the_path_needs(implanted):
    verdict, checks = implanted(catheter=False)
    assert (checks["programmed-volume"].note, verdict) == ("the run names no catheter", Verdict.PASS)
    assert "path-filled" not in checks


def test_a_bridge_ends_when_the_path_is_emptied_at_the_old_rate(conducted, named):
    result = conducted("priming", occasion="concentration", basal="4 mL/day", new="1 mL/day", after="1 h")
    checks = named(result)
    assert result.evaluation.verdict is Verdict.PASS
    assert abs(checks["bridge-end"].value) < 3.0 * checks["bridge-end"].standard_uncertainty + 10.0
    assert "programmed 9072 s" in checks["bridge-end"].note


@pytest.fixture
def bridged():
    """Verdict and checks of a sealed bridge from 4 to 1 mL/day, more (uL/h) weighed after it, or some mg wiped off."""

    def bridge(more=0.0, lost_mg=0.0, limits=True, **dut):
        with Run.open(BRIDGE) as run:
            run.dut.update(dut)
            if not limits:
                run.dut["limits"]["segment"] = None
            mass = run.series("reference_mass")
            end_s = run.phase("analysis")[1] - 3600.0
            after_h = np.maximum(mass.t - end_s, 0.0) / 3600.0
            values = mass.values + more * 0.997 * after_h - lost_mg * (after_h > 0.5)
            run._series["reference_mass"] = replace(mass, values=values)
            evaluation = evaluate(run)
        return evaluation.verdict, {check.name: check for check in evaluation.checks}

    return bridge


@pytest.mark.parametrize(("more", "error"), [(125.0, 300.0), (792.0, 1900.0), (-31.2, -75.0)])
def test_a_pump_that_does_not_take_up_the_new_rate_after_its_bridge_fails(bridged, more, error):
    verdict, checks = bridged(more)
    check = checks["new-rate-error"]
    assert (verdict, check.verdict, check.owner) == (Verdict.FAIL, Verdict.FAIL, "dut")
    assert check.value == pytest.approx(error, rel=0.02)
    assert checks["bolus-error"].verdict is Verdict.PASS


def test_a_rate_that_did_not_change_fails_at_the_end_of_the_bridge_whatever_limits_there_are(bridged):
    check = bridged(125.0, limits=False)[1]["bridge-end"]
    assert (check.verdict, check.optional, check.value) == (Verdict.FAIL, False, None)
    assert "the rate did not change as programmed, but by 0." in check.note


def test_a_sound_bridge_is_judged_by_whole_strokes_of_its_new_rate(bridged):
    verdict, checks = bridged()
    check = checks["new-rate-error"]
    assert (verdict, check.verdict, check.note) == (Verdict.PASS, Verdict.PASS, "8 whole strokes, 57.6 min")
    assert abs(check.value) < 1.0
    assert check.expanded_uncertainty < 0.5


def test_a_drop_wiped_off_after_a_bridge_says_nothing_of_the_new_rate(bridged):
    verdict, checks = bridged(lost_mg=8.0)
    found = [(checks[name].verdict, checks[name].value) for name in ("new-rate-error", "bridge-end")]
    assert found == [(Verdict.NOT_MEASURED, None)] * 2
    assert verdict is Verdict.NOT_MEASURED


def test_a_drop_wiped_off_in_the_basal_flow_after_a_priming_bolus_makes_it_no_smaller():
    with Run.open(BRIDGE.with_name("priming-1.h5")) as run:
        mass = run.series("reference_mass")
        fallen = mass.values - 60.0 * (mass.t > run.phase("analysis")[1] - 600.0)
        run._series["reference_mass"] = replace(mass, values=fallen)
        check = next(one for one in evaluate(run).checks if one.name == "bolus-error")
    assert (check.verdict, check.optional, check.note) == (Verdict.NOT_MEASURED, False, "part of it is excluded")


def test_a_bridge_replaces_the_basal_rate_for_the_path_over_the_old_rate():
    procedure = Priming(occasion="concentration", volume="420 uL", basal="1 mL/day", new="0.5 mL/day")
    assert procedure.bolus.kind == "bridge"
    assert procedure.bolus.duration_s == pytest.approx(420.0 / (1000.0 / 24.0) * 3600.0)
    rate = procedure.programmed().rate_ul_per_h(np.array([100.0, 40_000.0]))
    assert rate == pytest.approx([1000.0 / 24.0, 500.0 / 24.0])


def test_a_bridge_to_the_same_rate_is_refused():
    with pytest.raises(ParamError, match="the end of a bridge shows by a change of the rate"):
        Priming(occasion="concentration", new="1 mL/day")


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"basal": "0 mL/day"}, "basal"), ({"occasion": "concentration", "new": "0 mL/day"}, "new")],
)
def test_a_rate_of_nothing_is_refused(settings, name):
    with pytest.raises(ParamError, match=f'"{name}": 0 mL/day .* give a rate above 0 mL/day'):
        Priming(**settings)


def test_a_front_is_smeared_as_taylor_says_and_never_more_than_without_diffusion():
    speed = 1.0  # mm/s in 0.5 mm: Pe = 500
    assert dispersion_mm2_per_s(0.5, speed) == pytest.approx(5e-4 * (1.0 + 500.0**2 / 48.0))
    flow = speed * math.pi / 4.0 * 0.25 * 3600.0
    spread = math.sqrt(2.0 * dispersion_mm2_per_s(0.5, speed) * 1000.0)
    assert tail_share(0.5, 1000.0, flow) == pytest.approx(1.6449 * spread / 1000.0, rel=1e-4)
    assert tail_share(0.5, 1000.0, 1000.0 * flow) == pytest.approx(1.0 / (2.0 * math.sqrt(0.05)) - 1.0)
