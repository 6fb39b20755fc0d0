"""The correction that a calibration gives, against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.analysis.rig import RecordError
from protocols.analysis.rig.calibration import correction, hysteresis
from protocols.analysis.rig.points import read_points
from protocols.calibration import Calibration
from protocols.procedure import ParamError
from protocols.steps import Ask, Phase, SetPressure

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
    assert found.u == pytest.approx(math.sqrt(float(np.sum(found.residuals**2))))


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
        ({"points": "36 degC", "uncertainty": "0.1 degC", "source": "controller"}, "cannot give degC"),
    ],
)
def test_points_that_cannot_be_taken_are_refused(changed, words):
    with pytest.raises(ParamError, match=words):
        Calibration(**GIVEN | changed)


def test_points_are_taken_upwards_and_down_again():
    assert Calibration(**GIVEN, course="up-down").order == (0.0, 20.0, 40.0, 20.0, 0.0)


def test_a_person_is_asked_at_each_point_and_a_controller_is_not():
    asked = [step for step in Calibration(**GIVEN).steps() if isinstance(step, Ask)]
    by_controller = list(Calibration(**GIVEN, source="controller").steps())
    assert [step.key for step in asked] == ["reference-1", "reference-2", "reference-3"]
    assert [step.pressure_kpa for step in by_controller if isinstance(step, SetPressure)] == [0.0, 20.0, 40.0]
    assert sum(isinstance(step, Phase) for step in by_controller) == 6
