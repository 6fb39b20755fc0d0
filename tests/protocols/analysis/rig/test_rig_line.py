"""Transducer, compliance and leak of a line, against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.analysis.rig import RecordError
from protocols.analysis.rig.line import Compliance, air_ul, compliance, head_kpa, leak, span, straight_line

T = np.arange(0.0, 600.0, 0.1)
RANDOM = np.random.default_rng(3)


def test_ten_millimetres_of_water_are_98_pascal():
    assert head_kpa(10.0, 0.9982) == pytest.approx(0.0979, abs=1e-4)


@given(st.floats(-5.0, 5.0), st.floats(0.5, 2.0))
def test_a_span_gives_zero_and_gain_back(zero, gain):
    reference = np.array([0.0, 20.0, 40.0])
    found = span(reference, zero + gain * reference, 0.01)
    assert found.zero_kpa == pytest.approx(zero, abs=1e-9)
    assert found.gain_error_percent == pytest.approx(100.0 * (gain - 1.0), abs=1e-9)
    assert found.u_gain_percent == pytest.approx(100.0 * 0.01 / math.sqrt(800.0))


def test_a_bend_shows_as_nonlinearity():
    assert span(np.array([0.0, 20.0, 40.0]), np.array([0.0, 20.3, 40.0]), 0.01).nonlinearity_kpa == pytest.approx(0.2)


def test_compliance_is_the_rate_over_the_slope():
    ramp = 600.0 / 3600.0 / 0.49 * T + 0.02 * RANDOM.standard_normal(T.size)
    found = compliance(T, ramp, 600.0, 0.5)
    assert found.ul_per_kpa == pytest.approx(0.49, rel=1e-4)
    assert found.u_ul_per_kpa == pytest.approx(0.49 * 0.005, rel=0.01)


def test_a_line_that_stays_without_pressure_has_no_compliance():
    with pytest.raises(RecordError, match="did not rise"):
        compliance(T, -0.1 * T, 600.0, 0.5)


def test_twenty_microlitres_of_air_are_0_2_ul_per_kpa():
    assert air_ul(0.1974) == pytest.approx(20.0, rel=1e-3)
    assert air_ul(50.0 * (1.0 - 101.325 / 161.325) / 60.0, 60.0) == pytest.approx(50.0, rel=1e-9)


@given(st.floats(0.1, 50.0), st.floats(0.2, 2.0))
def test_the_leak_of_an_exponential_decay_is_that_at_its_middle_pressure(leak_at_100, c):
    # dP/dt = -g P / C with g = q / P: the leak at the mean pressure of the second half.
    g = leak_at_100 / 100.0 / 3600.0
    pressure = 100.0 * np.exp(-g / c * T)
    found = leak(T, pressure, Compliance(c, 0.0))
    assert found.ul_per_h == pytest.approx(g * 3600.0 * found.pressure_kpa, rel=2e-3)


def test_a_closed_line_that_cools_has_no_leak():
    cooling_k = -0.1
    expanded_ul = 1000.0 * 2.2e-4 * cooling_k  # over the second half
    pressure = 100.0 + expanded_ul / 0.49 / 300.0 * T
    found = leak(T, pressure, Compliance(0.49, 0.0), cooling_k, 0.0, 1000.0, 2.2e-4)
    assert leak(T, pressure, Compliance(0.49, 0.0)).ul_per_h > 0.2
    assert found.ul_per_h == pytest.approx(0.0, abs=1e-3)


def test_creep_in_the_first_half_is_no_leak():
    pressure = 100.0 + 5.0 * np.exp(-T / 40.0)
    assert leak(T, pressure, Compliance(0.49, 0.0)).ul_per_h < 0.01


def test_the_uncertainty_of_a_slope_is_that_of_white_noise():
    n, slopes = 50, []
    t = np.arange(n, dtype=float)
    for _ in range(400):
        line = straight_line(t, RANDOM.standard_normal(n))
        slopes.append(line.slope / line.u_slope)
    assert np.std(slopes) == pytest.approx(1.0, abs=0.12)


def test_a_few_samples_are_no_slope():
    with pytest.raises(RecordError, match="20 are needed"):
        straight_line(T[:19], T[:19])
