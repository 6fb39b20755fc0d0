"""The correction that a calibration gives, against closed forms."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checks import Status, Verdict
from data.run import Event, Run
from protocols.analysis.rig import RecordError
from protocols.analysis.rig.calibration import correction, evaluate, hysteresis
from protocols.analysis.rig.points import read_difference, read_points
from protocols.calibration import Calibration
from protocols.procedure import ParamError
from protocols.prompts import Ask
from protocols.steps import Phase, SetPressure

SEALED = Path(__file__).parents[3] / "runs" / "calibration-1.h5"
NINE_POINTS = SEALED.with_name("calibration-3.h5")
NO_NOISE = np.zeros(3)
POINTS = np.array([0.0, 20.0, 40.0])

GIVEN = {
    "channel": "daq.outlet_pressure",
    "points": "0 kPa, 40 kPa, 200 mbar",
    "reference": "PACE 1",
    "certificate": "C-1",
    "uncertainty": "0.02 kPa",
}


@given(st.floats(0.5, 2.0), st.floats(-5.0, 5.0))
def test_the_correction_gives_the_reference_back(gain, offset):
    indicated = POINTS / gain - offset
    found = correction(POINTS, indicated, 0.01, NO_NOISE)
    assert found.gain == pytest.approx(gain, rel=1e-9)
    assert found.gain * (indicated + found.offset) == pytest.approx(POINTS, abs=1e-8)
    assert found.u == pytest.approx(0.01, abs=1e-9)


def test_a_single_point_is_a_zero():
    found = correction(np.array([0.0]), np.array([0.4]), 0.01, np.array([0.003]))
    assert (found.gain, found.offset, found.dof) == (1.0, -0.4, 0)
    assert found.u == pytest.approx(math.hypot(0.01, 0.003))


def test_what_a_line_does_not_fit_is_uncertainty():
    found = correction(POINTS, np.array([0.0, 20.3, 40.0]), 0.0, NO_NOISE)
    assert found.dof == 1
    # Three points leave one degree of freedom, and the line is least certain at its ends: s sqrt(1 + 1/3 + 1/2).
    assert found.u == pytest.approx(math.sqrt(float(np.sum(found.residuals**2)) * 11.0 / 6.0))


def test_the_scatter_of_three_points_has_one_degree_of_freedom_and_the_reference_none_too_few():
    scattered = correction(POINTS, np.array([0.0, 20.3, 40.0]), 0.0, NO_NOISE)
    by_the_reference = correction(POINTS, np.array([0.0, 20.001, 40.0]), 0.1, NO_NOISE)
    assert scattered.u_dof == pytest.approx(1.0)
    assert by_the_reference.u_dof > 1e6


@pytest.mark.parametrize("points", [1, 2, 4])
def test_a_calibration_that_was_stopped_after_some_points_passes_no_channel_and_gives_no_correction(points):
    with Run.open(SEALED) as run:
        run.__dict__["status"] = Status.ABORTED
        kept = (one for one in run.phases if int(one.name.rpartition("-")[2]) <= points)
        run.__dict__["phases"] = tuple(kept)
        found = evaluate(run)
    assert {check.verdict for check in found.checks} == {Verdict.NOT_MEASURED}
    assert found.values == {}


def test_a_calibration_that_ran_to_its_end_is_judged_with_the_few_degrees_of_freedom_of_its_points():
    with Run.open(NINE_POINTS) as run:
        found = evaluate(run)
    left = found.checks[0]
    assert (left.verdict, set(found.values)) == (Verdict.PASS, {"gain", "offset", "u", "points"})
    assert left.degrees_of_freedom == pytest.approx(7.0, abs=0.5)
    assert left.coverage_factor > 2.3


def test_five_points_are_too_few_for_a_limit_of_five_times_the_hysteresis():
    with Run.open(SEALED) as run:
        left = evaluate(run).checks[0]
    assert left.verdict is Verdict.NOT_CAPABLE
    assert left.degrees_of_freedom < 4.0
    assert left.coverage_factor > 3.0


@pytest.mark.parametrize(
    ("indicated", "why"), [([5.0, 5.0, 5.0], "same at every point"), ([40.0, 20.0, 0.0], "wrong way round")]
)
def test_a_channel_that_does_not_follow_cannot_be_corrected(indicated, why):
    with pytest.raises(RecordError, match=why):
        correction(POINTS, np.array(indicated), 0.01, NO_NOISE)


def test_hysteresis_is_the_difference_between_up_and_down():
    up_down = [0.0, 20.0, 40.0, 20.0, 0.0]
    assert hysteresis(up_down, [0.0, 20.1, 40.0, 19.8, 0.1]) == pytest.approx(0.3)


def test_a_reference_that_was_set_differently_is_no_hysteresis():
    assert hysteresis([0.0, 20.0, 40.0, 21.0, 0.0], [0.0, 20.0, 40.0, 21.0, 0.0]) == pytest.approx(0.0)


def test_points_may_be_written_in_any_unit_of_their_kind():
    assert read_points("0 kPa, 0.2 bar") == ((0.0, 20.0), "kPa")
    assert read_points("36 degC, 38 degC")[1] == "degC"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"points": "0 kPa, 20 degC"}, "no list of one kind"),
        ({"uncertainty": "0.1 degC"}, "no quantity of the points' kind"),
        ({"uncertainty": "0 kPa"}, "is not above 0"),
        ({"uncertainty": ""}, "no quantity of the points' kind"),
        ({"allowed": "0 kPa"}, "is not above 0"),
        ({"points": "36 degC", "uncertainty": "0.1 degC", "allowed": "0.5 degF"}, "not a difference of temperature"),
        ({"points": "36 degC", "uncertainty": "0.1 degC", "source": "controller"}, "cannot give degC"),
    ],
)
def test_points_that_cannot_be_taken_are_refused(changed, words):
    with pytest.raises(ParamError, match=words):
        Calibration(**GIVEN | changed)


def test_points_are_taken_upwards_and_down_again():
    assert Calibration(**GIVEN, course="up-down").order == (0.0, 20.0, 40.0, 20.0, 0.0)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"points": "0 kPa"}, []),
        ({"points": "0 kPa, 40 kPa"}, ["two points fix the correction"]),
        ({}, ["with 3 points U is 19 times the scatter"]),
        ({"course": "up-down"}, ["with 5 points U is 4.3 times the scatter"]),
        ({"points": "0 kPa, 10 kPa, 20 kPa, 30 kPa, 40 kPa", "course": "up-down"}, []),
        ({"points": "0 kPa, 0 kPa, 0 kPa"}, []),
        ({"allowed": ""}, []),
    ],
)
def test_too_few_points_to_judge_are_told_before_the_start(changed, says):
    told = list(Calibration(**GIVEN | {"allowed": "1 kPa"} | changed).remarks({}))
    assert [text.startswith(said) for text, said in zip(told, says, strict=True)] == [True] * len(says)


def test_a_person_is_asked_at_each_point_and_a_controller_is_not():
    asked = [step for step in Calibration(**GIVEN).steps() if isinstance(step, Ask)]
    by_controller = list(Calibration(**GIVEN, source="controller").steps())
    assert [step.key for step in asked] == ["reference-1", "reference-2", "reference-3"]
    assert [step.pressure_kpa for step in by_controller if isinstance(step, SetPressure)] == [0.0, 20.0, 40.0]
    assert sum(isinstance(step, Phase) for step in by_controller) == 6


@pytest.mark.parametrize("points", [4, 5, 9])
def test_the_uncertainty_is_that_of_a_corrected_reading_at_the_ends_of_the_points(points):
    rng = np.random.default_rng(points)
    reference = np.linspace(0.0, 10.0 * (points - 1), points)
    errors, claimed = [], []
    for _ in range(4000):
        found = correction(reference, reference + rng.normal(0.0, 0.1, points), 0.0, np.zeros(points))
        again = reference[-1] + rng.normal(0.0, 0.1)
        errors.append(found.gain * (again + found.offset) - reference[-1])
        claimed.append(found.u)
    assert math.sqrt(np.mean(np.square(errors)) / np.mean(np.square(claimed))) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("text", ["0.3 K", "300 mK", "0.3 degC"])
def test_a_limit_in_kelvin_is_a_difference_and_not_273_degrees_wide(text):
    assert read_difference(text, "degC") == pytest.approx(0.3)
    given = GIVEN | {"points": "36 degC, 38 degC", "uncertainty": "0.1 K", "allowed": text}
    assert Calibration(**given).allowed == text


def test_points_at_one_value_are_a_zero_however_the_reference_wanders():
    wandered = np.array([0.001, 0.003, 0.002, 0.0045])
    found = correction(wandered, wandered + np.array([0.1, 0.12, 0.11, 0.13]), 0.01, np.zeros(4), zero=True)
    assert found.gain == 1.0
    assert found.offset == pytest.approx(-0.115)
    assert found.dof == 3


def redone(run, indicated, entered=None, channel="daq.outlet_pressure", **params):
    """A calibration in which the channel showed these values, and a person entered those."""
    run.__dict__["params"] = {**run.params, "course": "up", "channel": channel, **params}
    run.__dict__["phases"] = tuple(
        one
        for one in run.phases
        if not one.name.startswith("point-") or int(one.name.removeprefix("point-")) <= len(indicated)
    )
    series = run.series(channel)
    values = series.values.copy()
    for k, value in enumerate(indicated, 1):
        begin, end = run.phase(f"point-{k}")
        inside = (series.t >= begin) & (series.t < end)
        values[inside] = value + 0.01 * np.sin(np.arange(inside.sum()))
    run._series[channel] = replace(series, values=values)
    if entered is not None:
        run.params["source"] = "person"
        answers = (Event(0.0, "answer", {"key": f"reference-{k}", "value": v}) for k, v in enumerate(entered, 1))
        run.__dict__["events"] = (*run.events, *answers)
    return evaluate(run)


def test_a_value_that_was_typed_wrong_gives_no_correction_that_two_points_fit():
    with Run.open(NINE_POINTS) as run:
        found = redone(run, [0.1, 40.1], [0.0, 4.0], points="0 kPa, 40 kPa")
    assert (found.verdict, found.values) == (Verdict.NOT_MEASURED, {})
    assert "shown 4 kPa at point 2, where about 40 kPa was asked for" in found.checks[0].note


def test_a_reference_that_is_near_what_was_asked_for_counts_as_it_shows():
    with Run.open(NINE_POINTS) as run:
        found = redone(run, [0.1, 40.1], [0.0, 38.0], points="0 kPa, 40 kPa")
    assert found.values["gain"] == pytest.approx(0.95, abs=0.001)


def test_no_channel_is_its_own_reference():
    with Run.open(NINE_POINTS) as run:
        run.params["channel"] = "controller.pressure"
        found = evaluate(run)
    assert (found.verdict, found.values) == (Verdict.NOT_MEASURED, {})
    assert "is the reference itself" in found.checks[0].note


def test_points_of_another_kind_than_the_channel_give_no_correction():
    with Run.open(NINE_POINTS) as run:
        found = redone(run, [20.0, 37.0], [0.0, 40.0], "daq.bath_temperature", points="0 kPa, 40 kPa")
    assert (found.verdict, found.values) == (Verdict.NOT_MEASURED, {})
    assert "is in degC and the points are in kPa" in found.checks[0].note


def test_the_error_as_found_is_that_of_the_readings_that_runs_have_used():
    with Run.open(NINE_POINTS) as run:
        before = evaluate(run)
        run.station["instruments"]["daq"]["calibration"]["outlet_pressure"]["offset"] = 5.0
        after = evaluate(run)
    assert after.checks[1].value == pytest.approx(before.checks[1].value + 5.0)
    assert after.checks[1].verdict is Verdict.FAIL
    assert after.values == before.values
