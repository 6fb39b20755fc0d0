"""rate-step: start-up, settling, new mean and overshoot of each change."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.closing import reevaluate
from data.checks import Verdict
from data.run import Run
from protocols.analysis.budget import Budget
from protocols.analysis.rate_step import Plateau, _mean_check, _start, evaluate, settling_s
from protocols.analysis.time_course import Course
from protocols.procedure import ParamError
from protocols.rate_step import RateStep, course

SEALED = Path(__file__).parents[2] / "runs" / "rate-step-1.h5"


WITH_SENSOR = SEALED.with_name("rate-step-6.h5")


@pytest.fixture(scope="module")
def healthy(conducted):
    return conducted("rate-step", sealed=True)


@pytest.fixture
def wiped():
    """Checks of a sealed run of which a drop was wiped from the tip, so long after the start of delivery."""

    def wipe(after_s):
        with Run.open(SEALED) as run:
            mass = run.series("reference_mass")
            fallen = mass.values - 5.0 * (mass.t > run.phase("start")[0] + after_s)
            run._series["reference_mass"] = replace(mass, values=fallen)
            return {check.name: check for check in evaluate(run).checks}

    return wipe


def test_a_healthy_pump_passes_and_follows_its_change_at_once(healthy, named):
    checks = named(healthy)
    assert healthy.evaluation.verdict is Verdict.PASS
    assert checks["step-1-change"].value == pytest.approx(20.0, abs=1.5)
    assert checks["step-1-settling"].value <= 120.0
    assert checks["start-up"].value <= 180.0
    assert checks["start-up"].note.startswith("by the flow sensor, scaled by the balance")
    assert checks["sensor-balance-ratio"].standard_uncertainty < 2.7  # the blanks showed the zero, which is 1.5 %


def test_twice_the_volume_without_a_limit_leaves_no_pass(conducted, named):
    result = conducted("rate-step", "over-delivery:2@0h", dut="sim-peristaltic")
    check = named(result)["step-1-error"]
    assert check.value == pytest.approx(100.0, abs=3.0)
    assert (check.verdict, result.evaluation.verdict) == (Verdict.NOT_MEASURED, Verdict.NOT_MEASURED)
    assert "the pump's file declares no [limits.segment]" in check.note


def test_it_evaluates_identically_again(healthy):
    assert reevaluate(healthy.run_file).identical


@pytest.mark.parametrize(
    ("fault", "check"), [("set-point-overshoot:1.5@0h", "step-1-overshoot"), ("late-start:1200@0h", "start-up")]
)
def test_a_fault_of_the_transition_fails_the_pump_and_leaves_its_new_mean(conducted, named, fault, check):
    result = conducted("rate-step", fault)
    checks = named(result)
    assert (checks[check].verdict, checks[check].owner) == (Verdict.FAIL, "dut")
    assert checks["step-1-error"].verdict is Verdict.PASS
    assert result.evaluation.verdict is Verdict.FAIL
    if check == "start-up":
        assert checks[check].value == pytest.approx(1200.0, abs=180.0)
    else:
        assert checks["step-1-settling"].value == pytest.approx(1800.0, abs=450.0)  # a stroke of 6 min is the window


def volume_with_overshoot(t, until_s):
    """Flow of 1.5 until a time, then of 1, in uL/h."""
    return (np.minimum(t, until_s) * 1.5 + np.maximum(t - until_s, 0.0)) / 3600.0


def test_settling_is_the_begin_of_the_first_window_after_which_all_are_in_the_band():
    t = np.arange(0.0, 7201.0, 10.0)
    # A window of 600 s from t has an excess of 0.5 (1800 - t)/600: 5 % are left at t = 1740 s.
    assert settling_s(t, volume_with_overshoot(t, 1800.0), 0.0, 7200.0, 600.0, 1.0, 0.0501) == 1740.0
    assert settling_s(t, volume_with_overshoot(t, 0.0), 0.0, 7200.0, 600.0, 1.0, 0.05) == 0.0
    assert settling_s(t, volume_with_overshoot(t, 7200.0), 0.0, 7200.0, 600.0, 1.0, 0.05) is None
    assert settling_s(t, t, 0.0, 500.0, 600.0, 1.0, 0.05) is None


def test_changes_are_of_the_rate_before_and_the_planned_course_is_exact():
    procedure = RateStep(basal="1 mL/day", changes="10 %, -20 %", hold="2 h")
    base = 1000.0 / 24.0
    assert procedure.rates() == pytest.approx((base, 1.1 * base, 0.88 * base))
    assert procedure.programmed().expected_volume_ul(0.0, 6 * 3600.0) == pytest.approx(2.0 * base * 2.98)
    assert course([(0.0, 1.0), (3600.0, 3.0)], 7200.0).expected_volume_ul(1800.0, 5400.0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"changes": "10"}, 'parameter "changes": '),
        ({"changes": "0 %"}, "is no change of a rate"),
        ({"changes": "-100 %"}, "is no change of a rate"),
        (
            {"changes": "300 %"},
            '"300 %" is no change of a rate that can be asked for; each is above -100 % and at most 100 %',
        ),
        ({"transition": "2 h"}, 'parameter "transition": 7200 s is more than half of the 10800 s'),
    ],
)
def test_a_bad_change_is_refused_in_words(settings, says):
    with pytest.raises(ParamError, match=says):
        RateStep(**settings)


def test_too_few_strokes_are_told():
    assert "holds no 4 strokes of 5 uL" in next(
        RateStep(hold="50 min", transition="10 min").remarks({"stroke_ul": 5.0})
    )


@pytest.mark.parametrize(("limit_s", "verdict"), [(2660.0, Verdict.FAIL), (2670.0, Verdict.NOT_MEASURED)])
def test_a_start_that_never_came_fails_where_all_that_could_be_seen_is_beyond_the_limit_by_u(limit_s, verdict):
    limit = {"at_most_s": limit_s, "source": "file", "revision": "1"}
    weighing = SimpleNamespace(repeatability_mg=0.02, linearity_half_width_mg=0.1)
    nothing = 0.0, Budget("delivered volume", "uL", ())
    collected = SimpleNamespace(weighing=weighing, ul_per_mg=1.0, delivered=lambda *_: nothing)
    record = SimpleNamespace(dut={"limits": {"start_up": limit}}, stroke_ul=5.0, collected=collected)
    still = Course(np.array([0.0, 3600.0]), np.zeros(2), "flow sensor", u_gain_percent=2.5)
    check = next(_start(record, Plateau(0, 0.0, 3600.0, 100.0), still, ()))  # five strokes take 900 s; U is 34.6 s
    said = "never within 1 h; it has to stay for 15 min; by the flow sensor"
    assert (check.verdict, check.note) == (verdict, said)


def test_a_mean_that_an_exclusion_takes_away_is_missing_from_the_verdict():
    record = SimpleNamespace(
        dut={"limits": {"segment": {"low_percent": -14.5, "high_percent": 14.5, "source": "file", "revision": "1"}}}
    )
    check = _mean_check(record, Plateau(1, 0.0, 3600.0, 100.0), None, "step-1-error", "Step 1")
    assert (check.verdict, check.optional, check.note) == (Verdict.NOT_MEASURED, False, "part of it is excluded")


def test_a_drop_wiped_off_during_the_start_says_nothing_of_what_the_start_delivered(wiped):
    checks = wiped(400.0)
    check = checks["start-up-volume"]
    assert (check.verdict, check.optional, check.note) == (Verdict.NOT_MEASURED, False, "part of it is excluded")
    assert checks["start-error"].verdict is Verdict.PASS


def test_a_drop_wiped_off_makes_no_late_start_where_only_the_balance_sees_it(wiped):
    unseen, passed = wiped(500.0)["start-up"], wiped(1500.0)["start-up"]
    assert (unseen.verdict, "part of the time before is excluded" in unseen.note) == (Verdict.NOT_MEASURED, True)
    assert passed.verdict is Verdict.PASS


@pytest.fixture
def more_flowed():
    """Judges a sealed run with a transition of 10 min in which flow was so many times the program meanwhile."""

    def judge(times, from_s, to_s):
        with Run.open(WITH_SENSOR) as run:
            run.__dict__["params"] = {**run.params, "transition_s": 600.0}
            begin = run.phase("step-1")[0]
            mass, flow = run.series("reference_mass"), run.series("flow")
            rate = 1.2 * float(run.params["basal_ul_per_h"])
            extra = (times - 1.0) * rate / 3600.0 * np.clip(mass.t - begin - from_s, 0.0, to_s - from_s)
            inside = (flow.t >= begin + from_s) & (flow.t <= begin + to_s)
            run._series["reference_mass"] = replace(mass, values=mass.values + extra)
            run._series["flow"] = replace(flow, values=np.where(inside, times * flow.values, flow.values))
            return evaluate(run)

    return judge


def of(evaluation):
    return {check.name: check for check in evaluation.checks}


@pytest.mark.parametrize("times", [3.0, 1.8])
def test_too_much_between_transition_and_last_half_fails_the_pump(more_flowed, times):
    found = more_flowed(times, 700.0, 1750.0)
    checks = of(found)
    assert checks["step-1-overshoot"].verdict is checks["step-1-error"].verdict is Verdict.PASS
    assert (checks["step-1-plateau"].verdict, found.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert checks["step-1-plateau"].value == pytest.approx((times - 1.0) * 1050.0 / 36.0, abs=1.0)


def test_a_dump_between_transition_and_last_half_is_an_unexpected_delivery(more_flowed):
    found = more_flowed(16.0, 1000.0, 1060.0)
    assert (of(found)["unexpected-delivery"].verdict, found.verdict) == (Verdict.FAIL, Verdict.FAIL)


def test_a_pump_that_stands_between_transition_and_last_half_fails(more_flowed):
    found = more_flowed(0.0, 650.0, 1780.0)
    assert (of(found)["no-flow"].verdict, found.verdict) == (Verdict.FAIL, Verdict.FAIL)


def test_of_a_rate_of_which_a_drop_was_wiped_off_the_rest_is_told_by_no_better_than_where_its_strokes_are_cut(wiped):
    whole, rest = wiped(-1e6)["start-plateau"], wiped(1200.0)["start-plateau"]
    assert (whole.verdict, rest.verdict) == (Verdict.PASS, Verdict.NOT_CAPABLE)  # an hour holds eight strokes
    assert rest.value == pytest.approx(whole.value, abs=0.5)
    assert rest.expanded_uncertainty == pytest.approx(2.0 * 100.0 * math.sqrt(2.0 / 12.0) / 8.0, rel=0.05)


def test_what_a_pump_gave_that_was_never_told_to_run_is_in_the_verdict():
    with Run.open(SEALED) as run:
        run.__dict__["params"] = {**run.params, "blank": "stopped"}
        run.__dict__["events"] = tuple(one for one in run.events if one.kind != "pump-command")
        mass = run.series("reference_mass")
        jumped = mass.values + 30.0 * (mass.t > 900.0)
        run._series["reference_mass"] = replace(mass, values=jumped)
        assert of(evaluate(run))["unexpected-delivery"].verdict is Verdict.FAIL
