"""bolus-accuracy: each bolus within its U, answers by the rule, and what an unfit rig does to them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.closing import reevaluate
from bench.request import Request
from bench.session import check
from data.checks import Verdict
from data.run import Event, Run
from data.schedule import Continuous, PatientBolus, Schedule
from protocols.analysis.bolus_verdict import _allowed, evaluate, finished
from protocols.analysis.locator import locate
from protocols.bolus_accuracy import BolusAccuracy
from protocols.procedure import ParamError
from protocols.steps import Phase, RequestBolus

SEALED = Path(__file__).parents[2] / "runs" / "bolus-accuracy-1.h5"


@pytest.fixture(scope="module")
def healthy(conducted):
    return conducted("bolus-accuracy", sealed=True)


@pytest.fixture
def weighed():
    """Verdict and checks of a sealed run of which the balance saw so much more (mg), evenly over some time."""

    def weigh(more_mg, from_s, over_s, limits=True, events=()):
        with Run.open(SEALED) as run:
            run.__dict__["events"] = (*run.events, *events)
            mass = run.series("reference_mass")
            values = mass.values + more_mg * np.clip((mass.t - from_s) / over_s, 0.0, 1.0)
            run._series["reference_mass"] = replace(mass, values=values)
            if not limits:
                run.dut["limits"]["bolus"] = None
            evaluation = evaluate(run)
        return evaluation.verdict, {check.name: check for check in evaluation.checks}

    return weigh


ASKED_S = (7800.0, 10_200.0, 12_660.0, 15_060.0, 17_520.0)
"""Requests of the sealed run: granted, refused, granted, refused, refused."""


@pytest.fixture
def delivering():
    """Verdict and checks of the sealed run: more uL weighed in the 5 min after some requests, times the basal flow."""

    def deliver(asked=(), more_ul=0.0, basal=1.0, limits=("mean", "segment", "bolus"), low=-14.5, high=14.5):
        with Run.open(SEALED) as run:
            mass = run.series("reference_mass")
            started = next(e.fields["confirmed_s"] for e in run.records("pump-command") if "RUN" in e.fields["command"])
            rate_mg_per_s = run.params["basal_ul_per_h"] * 0.997 / 3600.0
            values = mass.values + (basal - 1.0) * rate_mg_per_s * np.maximum(mass.t - started, 0.0)
            for at_s in asked:
                values = values + more_ul * 0.997 * np.clip((mass.t - at_s) / 300.0, 0.0, 1.0)
            run._series["reference_mass"] = replace(mass, values=values)
            declared = {**run.dut["limits"]["mean"], "low_percent": low, "high_percent": high}
            for name in ("mean", "segment", "bolus"):
                run.dut["limits"][name] = declared if name in limits else None
            evaluation = evaluate(run)
        return evaluation.verdict, {check.name: check for check in evaluation.checks}

    return deliver


@pytest.fixture
def clockless():
    """Check of the answers in a sealed run of which the pump's clock is not known, the last one granted or refused."""

    def judge(last_granted):
        with Run.open(SEALED) as run:
            events = []
            for event in run.events:
                fields = dict(event.fields)
                if event.kind == "pump":
                    fields["clock_s"] = None
                elif last_granted and "daily-maximum" in str(fields.get("reply")):
                    fields["reply"] = "OK granted=1"
                events.append(replace(event, fields=fields))
            run.__dict__["events"] = tuple(events)
            return next(check for check in evaluate(run).checks if check.name == "requests-by-rule")

    return judge


def test_a_healthy_pump_passes_with_every_bolus_within_its_limits(healthy, named):
    checks = named(healthy)
    assert healthy.evaluation.verdict is Verdict.PASS
    assert [checks[f"bolus-{i}"].verdict for i in (1, 2, 3)] == [Verdict.PASS] * 3
    assert abs(checks["bolus-mean-error"].value - 0.7) < checks["bolus-mean-error"].expanded_uncertainty + 0.5
    assert checks["bolus-mean-error"].standard_uncertainty < checks["bolus-1"].standard_uncertainty


def test_mean_largest_and_smallest_are_those_of_the_boluses(healthy, named):
    checks = named(healthy)
    errors = [checks[f"bolus-{i}"].value for i in (1, 2, 3)]
    assert checks["bolus-mean-error"].value == pytest.approx(math.fsum(errors) / 3)
    assert (checks["bolus-max-error"].value, checks["bolus-min-error"].value) == (max(errors), min(errors))


def test_the_budget_adds_up_and_names_the_meniscus_first(healthy, named):
    check = named(healthy)["bolus-1"]
    parts = dict(check.budget)
    assert check.standard_uncertainty == pytest.approx(math.sqrt(math.fsum(u * u for u in parts.values())))
    assert max(parts, key=parts.get) == "meniscus"


def test_requests_are_granted_and_refused_by_the_rule_and_delivered_as_answered(healthy, named):
    checks = named(healthy)
    shares = [checks[f"request-{i}"].value for i in range(1, 6)]
    assert [round(share / 100.0) for share in shares] == [1, 0, 1, 0, 0]
    assert ["lockout" in checks[f"request-{i}"].note for i in (2, 4)] == [True, True]
    assert "daily-maximum" in checks["request-5"].note
    assert checks["requests-by-rule"].value == checks["requests-delivered"].value == 0.0


def test_it_evaluates_identically_again(healthy):
    assert reevaluate(healthy.run_file).identical


def test_its_schedule_stands_in_the_file(healthy):
    with Run.open(healthy.run_file) as run:
        assert len(run.schedule.boluses) == 3
        assert run.schedule.patient is not None


def test_a_lockout_that_is_ignored_fails_the_pump(conducted, named):
    result = conducted("bolus-accuracy", "lockout-ignored:1@0h", boluses="2")
    check = named(result)["requests-by-rule"]
    assert (check.verdict, check.owner, result.evaluation.verdict) == (Verdict.FAIL, "dut", Verdict.FAIL)
    assert "request 2 was granted, by the rule: lockout" in check.note


def test_a_leak_after_the_sensor_says_nothing_of_the_pump(conducted, named):
    result = conducted("bolus-accuracy", "leak:0.3@0h", boluses="2", requests="no")
    assert named(result)["sensor-balance-ratio"].verdict is Verdict.INVALID
    assert named(result)["bolus-mean-error"].verdict is Verdict.INVALID
    assert result.evaluation.verdict is Verdict.INVALID


def test_a_balance_that_drifts_is_a_fault_of_the_rig_and_no_flow_of_the_pump(conducted, healthy, named):
    result = conducted("bolus-accuracy", "balance-drift:5@0h", boluses="2", requests="no")
    checks = named(result)
    assert (checks["evaporation"].verdict, checks["evaporation"].owner) == (Verdict.INVALID, "rig")
    assert checks["evaporation"].value == pytest.approx(-5.0, abs=0.5)
    assert result.evaluation.verdict is Verdict.INVALID
    basal = checks["basal-error"]  # 12.6 % too much before it had blanks
    assert abs(basal.value - named(healthy)["basal-error"].value) < basal.expanded_uncertainty < 4.0


@pytest.fixture(scope="module")
def unlimited(conducted):
    """Every bolus at twice its volume, from a pump that declares a limit of the mean flow alone."""
    return conducted("bolus-accuracy", "over-delivery:2@0h", dut="sim-peristaltic", boluses="2", requests="no")


def test_boluses_of_twice_their_volume_without_a_limit_leave_no_pass(unlimited, named):
    check = named(unlimited)["bolus-mean-error"]
    assert check.value == pytest.approx(100.0, abs=3.0)
    assert (check.verdict, check.optional) == (Verdict.NOT_MEASURED, False)
    assert named(unlimited)["basal-error"].verdict is unlimited.evaluation.verdict is Verdict.FAIL
    assert "the pump's file declares no [limits.bolus]" in check.note


def test_what_was_weighed_without_a_limit_is_located_in_the_pump(unlimited):
    with Run.open(unlimited.run_file) as run:
        location = locate(run, unlimited.evaluation)
    assert (location.first.name, location.tied) == ("over-delivery", ("over-delivery",))
    assert "delivered" in [one.name for one in location.first.explains]


@pytest.mark.parametrize(
    ("protocol", "settings", "key", "says"),
    [
        ("bolus-accuracy", {}, "bolus", "so the mean error of the boluses, and with it the run, will be"),
        ("rate-step", {}, "segment", "so each new mean, and with it the run, will be"),
        ("priming", {}, "bolus", "so the volume of the priming bolus, and with it the run, will be"),
        (
            "priming",
            {"occasion": "concentration"},
            "segment",
            "so the volume of the bridge and the rate after it, and with it",
        ),
    ],
)
def test_a_result_that_nothing_limits_is_told_before_the_start(protocol, settings, key, says, quick, tmp_path):
    def told(dut):
        _, found = check(Request(protocol, quick, settings=settings, dut=dut, out=tmp_path))
        return [finding.text for finding in found if finding.code == "limits"]

    (text,) = told("sim-peristaltic")
    assert f"it declares no [limits.{key}], {says}" in text
    assert told("sim-declared") == []


def test_a_bolus_beside_which_the_pump_spoilt_the_basal_flow_stays_in_the_verdict(weighed):
    verdict, checks = weighed(25.0, 600.0, 2400.0)
    check = checks["bolus-1"]
    assert (check.verdict, check.optional, verdict) == (Verdict.NOT_CAPABLE, False, Verdict.NOT_CAPABLE)
    assert "expected 25 uL is under 20 u of" in check.note


def test_a_bolus_that_is_left_out_is_only_reported_where_nothing_limits_it(weighed):
    check = weighed(25.0, 600.0, 2400.0, limits=False)[1]["bolus-1"]
    assert (check.verdict, check.optional) == (Verdict.NOT_MEASURED, True)


def test_a_bolus_beside_which_a_person_excluded_something_was_not_measured():
    with Run.open(SEALED) as run:
        out = {"from_s": 2500.0, "to_s": 2520.0, "reason": "door", "person": "Ada"}
        run.__dict__["events"] = (*run.events, Event(2500.0, "exclusion", out))
        check = next(one for one in evaluate(run).checks if one.name == "bolus-1")
    assert (check.verdict, check.optional, check.note) == (Verdict.NOT_MEASURED, False, "part of it is excluded")


@pytest.mark.parametrize(
    ("more_mg", "excluded", "verdict", "says"),
    [
        (0.0, False, Verdict.PASS, ""),
        (0.0, True, Verdict.NOT_MEASURED, "part of it is excluded"),
        (25.0, False, Verdict.NOT_CAPABLE, "expected 25 uL is under 20 u of"),
    ],
)
def test_requests_are_counted_only_where_what_each_delivered_was_weighed(weighed, more_mg, excluded, verdict, says):
    at_s = 7800.0  # of its first request
    beside = {"from_s": at_s + 900.0, "to_s": at_s + 920.0, "reason": "door", "person": "Ada"}
    out = [Event(at_s + 960.0, "exclusion", beside)] if excluded else []
    check = weighed(more_mg, at_s - 1200.0, 2400.0, events=out)[1]["requests-delivered"]
    assert (check.verdict, check.optional) == (verdict, False)
    assert says in check.note


@pytest.mark.parametrize(("more_ul", "share"), [(22.5, 190.0), (-10.0, 60.0)])
def test_a_granted_request_has_the_limits_of_a_bolus(delivering, more_ul, share):
    verdict, checks = delivering((ASKED_S[0], ASKED_S[2]), more_ul)
    found = [checks["request-1"], checks["request-3"]]
    assert [(one.verdict, one.owner, one.optional) for one in found] == [(Verdict.FAIL, "dut", False)] * 2
    assert [one.value for one in found] == pytest.approx([share] * 2, abs=2.5)
    assert (found[0].limit_low, found[0].limit_high, verdict) == (85.5, 114.5, Verdict.FAIL)
    assert checks["requests-delivered"].verdict is Verdict.PASS


def test_a_sound_request_passes_and_without_a_limit_is_reported(delivering):
    verdict, checks = delivering()
    assert [checks[f"request-{i}"].verdict for i in (1, 3)] == [Verdict.PASS] * 2
    assert [checks[f"request-{i}"].optional for i in (2, 4, 5)] == [True] * 3
    assert verdict is Verdict.PASS
    check = delivering(limits=())[1]["request-1"]
    assert (check.verdict, check.optional) == (Verdict.NOT_MEASURED, True)


def test_a_limit_on_one_side_alone_holds_a_granted_request_too(delivering):
    checks = delivering((ASKED_S[0],), 22.5, low=None)[1]
    assert (checks["request-1"].limit_low, checks["request-1"].limit_high) == (None, 114.5)
    assert checks["request-1"].verdict is Verdict.FAIL


@pytest.mark.parametrize("more_ul", [11.25, -11.25])
def test_a_refused_request_that_changes_the_delivery_fails(delivering, more_ul):
    verdict, checks = delivering((ASKED_S[1], ASKED_S[3], ASKED_S[4]), more_ul)
    check = checks["requests-delivered"]
    assert (check.verdict, check.value, check.owner, verdict) == (Verdict.FAIL, 3.0, "dut", Verdict.FAIL)
    assert "request 2 was refused, and " in check.note


def test_what_a_balance_may_see_of_nothing_is_no_delivery_of_a_refused_request(delivering):
    verdict, checks = delivering((ASKED_S[1], ASKED_S[3], ASKED_S[4]), 2.0)
    assert (checks["requests-delivered"].verdict, verdict) == (Verdict.PASS, Verdict.PASS)


@pytest.mark.parametrize(("basal", "error"), [(3.0, 200.0), (0.1, -90.0)])
@pytest.mark.parametrize("limits", [("segment", "bolus"), ("mean", "bolus")])
def test_a_basal_flow_that_is_wrong_before_and_after_each_bolus_alike_fails(delivering, basal, error, limits):
    verdict, checks = delivering(basal=basal, limits=limits)
    check = checks["basal-error"]
    assert checks["bolus-mean-error"].verdict is Verdict.PASS
    assert (check.verdict, check.owner, verdict) == (Verdict.FAIL, "dut", Verdict.FAIL)
    assert check.value == pytest.approx(error, abs=2.0)


def test_a_sound_basal_flow_passes_with_its_uncertainty_and_is_reported_without_a_limit(delivering):
    check = delivering()[1]["basal-error"]
    assert (check.verdict, check.note[:27]) == (Verdict.PASS, "41.95 of 41.67 uL/h over 11")
    assert 0.3 < check.expanded_uncertainty < 0.5
    check = delivering(basal=3.0, limits=("bolus",))[1]["basal-error"]
    assert (check.verdict, check.optional) == (Verdict.NOT_MEASURED, True)
    assert "declares neither [limits.segment] nor [limits.mean]" in check.note


def test_a_basal_flow_over_parts_of_strokes_is_not_known_well_enough():
    with Run.open(SEALED) as run:
        run.dut["stroke_ul"] = 20.0
        check = next(one for one in evaluate(run).checks if one.name == "basal-error")
    assert check.verdict is Verdict.NOT_CAPABLE
    assert max(check.budget, key=lambda part: part[1])[0] == "part of a stroke"


def test_a_stretch_of_basal_flow_beside_which_something_is_excluded_is_left_out():
    with Run.open(SEALED) as run:
        out = {"from_s": 2500.0, "to_s": 2520.0, "reason": "door", "person": "Ada"}
        run.__dict__["events"] = (*run.events, Event(2500.0, "exclusion", out))
        check = next(one for one in evaluate(run).checks if one.name == "basal-error")
    assert (check.verdict, "in 7 stretches" in check.note) == (Verdict.PASS, True)
    assert check.note.endswith("1 left out: part of it is excluded")


def test_a_dump_between_boluses_is_an_unexpected_delivery_and_a_bolus_is_none(weighed):
    assert weighed(0.0, 0.0, 1.0)[1]["unexpected-delivery"].verdict is Verdict.PASS
    verdict, checks = weighed(30.0, 4300.0, 60.0)
    check = checks["unexpected-delivery"]
    assert (check.verdict, check.owner, verdict) == (Verdict.FAIL, "dut", Verdict.FAIL)
    assert check.value == pytest.approx(30.0, abs=1.5)


def test_without_the_pumps_clock_its_midnight_may_be_at_any_time():
    schedule = Schedule(Continuous(41.7), patient=PatientBolus(25.0, 300.0, 3600.0, 1))
    assert _allowed(schedule, [0.0], 1800.0, None) == {"lockout"}
    assert _allowed(schedule, [0.0], 7200.0, None) == {"ok", "daily-maximum"}
    rolling = replace(schedule, patient=replace(schedule.patient, day="rolling"))
    assert _allowed(rolling, [0.0], 7200.0, None) == {"daily-maximum"}


def test_without_the_pumps_clock_a_request_too_many_is_neither_wrong_nor_right(clockless):
    refused, granted = clockless(last_granted=False), clockless(last_granted=True)
    assert (refused.verdict, refused.value) == (Verdict.PASS, 0.0)
    assert (granted.verdict, granted.value, granted.optional) == (Verdict.NOT_MEASURED, 0.0, False)
    assert "the pump's clock is not known, and with it its midnight: request 5 may be either" in granted.note


def test_requests_fall_into_each_lockout_after_it_and_beyond_the_daily_maximum():
    procedure = BolusAccuracy(lockout="2 h", daily_maximum="2")
    steps = list(procedure.steps())
    waits = [step.for_s for step in steps if isinstance(step, Phase) and step.name.startswith("request")]
    assert waits == [3600.0, 3660.0, 3600.0, 3660.0, 3600.0]
    assert sum(isinstance(step, RequestBolus) for step in steps) == 5
    assert procedure.programmed().boluses[0].at_s == procedure.stabilisation_s + procedure.interval_s


def test_at_the_edge_of_a_lockout_or_of_a_day_both_answers_are_right():
    schedule = Schedule(Continuous(41.7), patient=PatientBolus(25.0, 300.0, 3600.0, 1))
    assert _allowed(schedule, [0.0], 1800.0, 0.0) == {"lockout"}
    assert _allowed(schedule, [0.0], 3600.0, 0.0) == {"lockout", "daily-maximum"}
    assert _allowed(schedule, [0.0], 43_200.0, 43_200.0) == {"ok", "daily-maximum"}  # midnight of the pump


def test_a_bolus_in_which_a_run_was_cut_off_is_left_out_and_its_basal_flow_before_kept():
    starts = [100.0, 3700.0, 7300.0]
    assert finished(starts, 0.0, 10_900.0, 600.0) == (starts, 10_900.0)
    assert finished(starts, 0.0, 7500.0, 600.0) == ([100.0, 3700.0], 7270.0)
    assert finished(starts, 0.0, 50.0, 600.0) == ([], 50.0)


@pytest.mark.parametrize(("at_s", "verdict"), [(21_720.9, Verdict.PASS), (19_320.8, Verdict.NOT_MEASURED)])
def test_a_run_that_ends_after_its_last_request_was_not_cut_off_among_its_boluses(at_s, verdict):
    with Run.open(SEALED.with_name("bolus-accuracy-7.h5")) as run:
        ended = [event for event in run.events if event.t < at_s]
        run.__dict__.update(events=tuple(ended), end_s=at_s)
        mass = run.series("reference_mass")
        kept = mass.t < at_s
        run._series["reference_mass"] = replace(
            mass, **{name: getattr(mass, name)[kept] for name in ("t", "values", "quality")}
        )
        checks = {check.name: check for check in evaluate(run).checks}
    assert checks["bolus-mean-error"].verdict is checks["basal-error"].verdict is verdict


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"interval": "8 min"}, 'parameter "interval": 480 s leaves no basal flow'),
        ({"lockout": "10 min"}, 'parameter "lockout": 600 s is too short'),
        ({"boluses": "1"}, "1 is below 2"),
    ],
)
def test_what_cannot_be_seen_is_refused(settings, says):
    with pytest.raises(ParamError, match=says):
        BolusAccuracy(**settings)


def test_too_short_an_interval_for_strokes_is_told():
    dut = {"stroke_ul": 5.0, "patient_day": "rolling", "model": "M"}
    told = list(BolusAccuracy(interval="20 min").remarks(dut))
    assert "holds no 2 strokes of 5 uL" in told[0]
    assert "M counts a rolling day" in told[1]
