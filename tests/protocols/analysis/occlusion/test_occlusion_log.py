"""Logs whose figures are known in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.log import OcclusionLogSettings, analyse_occlusion_log
from protocols.analysis.occlusion.rise import highest_rise_kpa, initial_slope, raw_crossing_s, time_to_rise_s

RATE, CLOSED, OPENED, BASE, TAU = 1000.0 / 24.0, 1800.0, 5400.0, 1.3, 5.0
FLOW = RATE / 3600.0


def rise(t, compliance, loss):
    """Rise behind a closed line that loses some flow for each kPa."""
    since = np.maximum(t - CLOSED, 0.0)
    return FLOW * since / compliance if loss < 1e-12 else FLOW / loss * -np.expm1(-loss / compliance * since)


def log(compliance=0.5, loss=0.0, every=10.0, noise=0.0, end=7200.0, at_once=False):
    """Times, pressures and volumes at the tip, and the settings that go with them."""
    t = np.arange(0.0, end, every)
    top = float(rise(np.array([OPENED]), compliance, loss)[0])
    since = np.maximum(t - OPENED, 0.0)
    left = np.where(t >= OPENED, 0.0 if at_once else np.exp(-since / TAU), 1.0)
    pressure = BASE + np.minimum(rise(t, compliance, loss), top) * left
    volume = FLOW * (np.minimum(t, CLOSED) + since) + np.where(t >= OPENED, compliance * top * (1.0 - left), 0.0)
    pressure += noise * np.random.default_rng(1).standard_normal(t.size)
    return t, pressure, volume, top


def settings(threshold=60.0, released=OPENED):
    return OcclusionLogSettings(RATE, CLOSED, released, threshold)


@pytest.mark.parametrize("loss", [0.0, 1e-3 * FLOW, 1e-4])
@pytest.mark.parametrize("every", [1.0, 7.0, 60.0])
@pytest.mark.parametrize("at_once", [False, True])
def test_every_figure_of_a_closed_form_log_is_found(loss, every, at_once):
    t, pressure, volume, top = log(0.49, loss, every, at_once=at_once)
    found = analyse_occlusion_log(t, pressure, volume, settings())
    assert found.baseline_kpa == pytest.approx(BASE)
    assert found.compliance_ul_per_kpa == pytest.approx(0.49, rel=2e-4)
    assert found.slope_kpa_per_s == pytest.approx(FLOW / 0.49, rel=2e-4)
    assert found.time_to_threshold_s == pytest.approx(time_to_rise_s(60.0 - BASE, FLOW, 0.49, loss), abs=0.1)
    assert found.pressure_at_release_kpa == pytest.approx(BASE + top, rel=3e-4)
    assert found.bolus_ul == pytest.approx(0.49 * top, rel=1e-4)
    assert found.missed_volume_ul == pytest.approx(FLOW * (OPENED - CLOSED), rel=1e-9)


@given(st.floats(0.05, 5.0), st.floats(0.0, 3e-4), st.floats(0.5, 90.0), st.floats(0.0, 0.3))
def test_noise_and_sampling_do_not_move_the_compliance(compliance, loss, every, noise):
    t, pressure, _, top = log(compliance, loss, every, noise * min(1.0, FLOW * 60.0 / compliance))
    found = analyse_occlusion_log(t, pressure, None, settings(threshold=BASE + 0.5 * top))
    assert found.compliance_ul_per_kpa == pytest.approx(compliance, rel=0.02)
    half = time_to_rise_s(0.5 * top, FLOW, compliance, loss)
    assert found.time_to_threshold_s == pytest.approx(half, rel=0.02, abs=2.0)


def test_without_a_volume_the_bolus_is_compliance_times_rise():
    t, pressure, _, top = log()
    found = analyse_occlusion_log(t, pressure, None, settings())
    assert found.bolus_ul == pytest.approx(0.5 * top)
    assert found.missed_volume_ul == pytest.approx(FLOW * (OPENED - CLOSED))


def test_the_flow_before_counts_and_not_the_set_rate_where_the_volume_tells_it():
    t, pressure, volume, _ = log()
    other = OcclusionLogSettings(RATE / 1.1, CLOSED, OPENED, 60.0)
    assert analyse_occlusion_log(t, pressure, volume, other).compliance_ul_per_kpa == pytest.approx(0.5)
    without = analyse_occlusion_log(t, pressure, None, other)
    assert without.compliance_ul_per_kpa == pytest.approx(0.5 / 1.1)


def test_what_was_delivered_past_a_partial_occlusion_was_not_missed():
    t, pressure, volume, _ = log()
    passed = volume + 0.25 * FLOW * np.clip(t - CLOSED, 0.0, OPENED - CLOSED)
    found = analyse_occlusion_log(t, pressure, passed, settings())
    assert found.missed_volume_ul == pytest.approx(0.75 * FLOW * (OPENED - CLOSED))
    assert found.bolus_ul == pytest.approx(analyse_occlusion_log(t, pressure, volume, settings()).bolus_ul)


def test_a_threshold_that_a_leak_keeps_from_being_reached_has_no_time():
    t, pressure, _, _ = log(loss=FLOW / 40.0)
    assert analyse_occlusion_log(t, pressure, None, settings()).time_to_threshold_s is None
    assert math.isinf(time_to_rise_s(58.7, FLOW, 0.5, FLOW / 40.0))


def test_a_line_that_was_not_opened_has_neither_bolus_nor_pressure_at_release():
    t, pressure, volume, _ = log(end=5000.0)
    found = analyse_occlusion_log(t, pressure, volume, settings(released=None))
    assert (found.bolus_ul, found.missed_volume_ul, found.pressure_at_release_kpa) == (None, None, None)
    assert found.time_to_threshold_s == pytest.approx(58.7 * 0.5 / FLOW)


def test_a_valve_that_pushes_into_the_line_as_it_closes_does_not_change_the_slope():
    t = np.arange(1.0, 3000.0, 1.0)
    found = initial_slope(t, 10.0 + 0.02 * t)
    assert (found.slope_kpa_per_s, found.step_kpa) == (pytest.approx(0.02), pytest.approx(10.0))


def test_rollers_that_begin_to_slip_do_not_change_the_slope_before():
    t = np.arange(10.0, 6000.0, 10.0)
    bent = 40.0 + 60.0 * -np.expm1(-np.maximum(t - 2000.0, 0.0) / 3000.0)
    assert initial_slope(t, np.where(t < 2000.0, 0.02 * t, bent)).slope_kpa_per_s == pytest.approx(0.02, rel=1e-3)


def test_a_pressure_that_does_not_rise_gives_no_compliance():
    t, _, _, _ = log()
    found = analyse_occlusion_log(t, np.full(t.size, BASE), None, settings())
    assert found.compliance_ul_per_kpa is None
    assert found.bolus_ul is None
    assert "did not rise" in found.notes[0]


@pytest.mark.parametrize(
    ("closed", "released", "threshold", "says"),
    [
        (-5.0, OPENED, 60.0, "it has to show the pressure before"),
        (8000.0, None, 60.0, "before the occlusion at 8000 s has any effect"),
        (CLOSED, 1000.0, 60.0, "the release at 1000 s is not between"),
        (CLOSED, OPENED, 1.0, "is not above the 1.3 kPa before the occlusion"),
        (CLOSED, CLOSED + 11.0, 60.0, "fewer than two rows while the line was closed"),
    ],
)
def test_moments_that_do_not_go_with_the_log_are_refused(closed, released, threshold, says):
    t, pressure, _, _ = log()
    with pytest.raises(RecordError, match=says):
        analyse_occlusion_log(t, pressure, None, OcclusionLogSettings(RATE, closed, released, threshold))


def test_the_closed_forms_agree_with_each_other():
    assert time_to_rise_s(58.7, FLOW, 0.49) == pytest.approx(41.4 * 60.0, rel=0.01)
    assert time_to_rise_s(58.7, FLOW, 0.49, 1e-12) == pytest.approx(time_to_rise_s(58.7, FLOW, 0.49))
    assert highest_rise_kpa(FLOW, 2e-4, 150.0) == pytest.approx(207.9, abs=0.1)  # 208 kPa at 1 mL/day
    assert highest_rise_kpa(FLOW, 0.0) == math.inf
    assert raw_crossing_s(np.array([0.0, 10.0]), np.array([0.0, 4.0]), 1.0) == pytest.approx(2.5)
