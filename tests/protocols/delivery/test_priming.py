"""priming: what the path needs, what came, when it was at the tip; bridges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.closing import reevaluate
from data.checks import Verdict
from protocols.analysis.front import dispersion_mm2_per_s, tail_share
from protocols.priming import Priming
from protocols.procedure import ParamError

PATH_UL = 200.0 + math.pi / 4.0 * 0.53**2 * 1000.0


@pytest.fixture(scope="module")
def healthy(conducted):
    return conducted("priming")


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
    assert (check.verdict, result.evaluation.verdict) == (Verdict.NOT_MEASURED, Verdict.NOT_MEASURED)
    assert "the pump's file declares no [limits.bolus]" in check.note


def test_it_evaluates_identically_again(healthy):
    assert reevaluate(healthy.run_file).identical


def test_a_volume_for_another_catheter_is_a_fault_of_the_record(conducted, named):
    result = conducted("priming", volume="340 uL")
    checks = named(result)
    assert (checks["programmed-volume"].verdict, checks["programmed-volume"].owner) == (Verdict.FAIL, "record")
    assert checks["bolus-error"].verdict is Verdict.PASS
    assert checks["path-filled"].verdict is not Verdict.PASS


def test_a_bridge_ends_when_the_path_is_emptied_at_the_old_rate(conducted, named):
    result = conducted("priming", occasion="concentration", basal="4 mL/day", new="1 mL/day", after="1 h")
    checks = named(result)
    assert result.evaluation.verdict is Verdict.PASS
    assert abs(checks["bridge-end"].value) < 3.0 * checks["bridge-end"].standard_uncertainty + 10.0
    assert "programmed 9072 s" in checks["bridge-end"].note


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
