import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.checks import Exclusion
from protocols.analysis.delivery import constant_rate
from protocols.analysis.no_flow import no_flow, no_flow_window_ul

DAY_S = 86_400.0
STROKE_UL = 5.0


def roller(t_s, rate_ul_per_day, dip=0.9):
    """A roller pump whose flow nearly stops in the first 12 % of each stroke."""
    position = rate_ul_per_day * t_s / DAY_S / STROKE_UL
    whole, phase = np.floor(position), np.mod(position, 1.0)
    slow = np.clip(phase / 0.12, 0.0, 1.0) * 0.12 * (1.0 - dip)
    rest = np.clip((phase - 0.12) / 0.88, 0.0, 1.0) * (1.0 - 0.12 * (1.0 - dip))
    return STROKE_UL * (whole + slow + rest)


def balance(seed, size):
    return 0.02 * np.random.Generator(np.random.Philox(seed)).standard_normal(size)


@given(st.sampled_from([1000.0, 100.0, 48.0]), st.integers(0, 99))
@settings(max_examples=10)
def test_a_healthy_roller_pump_never_stops(rate, seed):
    t_s = np.arange(0.0, 2.0 * DAY_S, 20.0)
    volume = roller(t_s, rate) + balance(seed, t_s.size)
    assert no_flow(t_s, volume, constant_rate(rate / 24.0), STROKE_UL, 0.998) == ()


@pytest.mark.parametrize("rate", [1000.0, 100.0, 48.0])
def test_a_stall_is_seen_after_about_its_window(rate):
    t_s = np.arange(0.0, 3.0 * DAY_S, 20.0)
    stall_s = 1.3 * DAY_S
    volume = roller(np.minimum(t_s, stall_s), rate) + balance(1, t_s.size)
    (found,) = no_flow(t_s, volume, constant_rate(rate / 24.0), STROKE_UL, 0.998)
    window_s = no_flow_window_ul(STROKE_UL, 0.998) / rate * DAY_S
    assert found.seen_s - stall_s < 1.2 * window_s
    assert abs(found.from_s - stall_s) < 0.5 * window_s
    assert found.to_s == t_s[-1]
    assert found.delivered_ul < 0.2 * found.expected_ul


def test_a_stop_that_ends_is_a_stretch():
    t_s = np.arange(0.0, DAY_S, 10.0)
    volume = (np.minimum(t_s, 30000.0) + np.maximum(t_s - 50000.0, 0.0)) * 1000.0 / DAY_S
    (found,) = no_flow(t_s, volume, constant_rate(1000.0 / 24.0), STROKE_UL, 0.998)
    window_s = 648.0
    assert found.from_s == pytest.approx(30000.0 - 0.2 * window_s, abs=20.0)
    assert found.to_s == pytest.approx(50000.0 + 0.2 * window_s, abs=20.0)


def test_a_programmed_stop_is_no_missing_flow():
    t_s = np.arange(0.0, 30000.0, 10.0)

    def expected(t):
        return (np.minimum(t, 10000.0) + np.maximum(t - 20000.0, 0.0)) / 86.4

    assert no_flow(t_s, expected(t_s), expected, STROKE_UL, 0.998) == ()


def test_a_stall_that_follows_a_programmed_stop_does_not_reach_back_into_it():
    t_s = np.arange(0.0, 30000.0, 10.0)

    def expected(t):
        return (np.minimum(t, 10000.0) + np.maximum(t - 20000.0, 0.0)) / 86.4

    (found,) = no_flow(t_s, np.minimum(expected(t_s), 10000.0 / 86.4), expected, STROKE_UL, 0.998)
    assert found.from_s >= 9800.0
    assert found.seen_s == pytest.approx(20000.0 + 0.8 * 648.0, abs=20.0)


def test_a_shot_pump_is_judged_over_more_than_a_shot():
    t_s = np.arange(0.0, 2 * DAY_S, 10.0)
    volume = 2.0 * np.floor(t_s * 100.0 / DAY_S / 2.0)
    assert no_flow(t_s, volume, constant_rate(100.0 / 24.0), 2.0, 0.998) == ()


def test_nothing_is_judged_across_an_exclusion():
    t_s = np.arange(0.0, 3000.0, 10.0)
    volume = np.where(t_s < 1500.0, t_s, t_s - 1500.0) / 86.4
    exclusions = [Exclusion(1490.0, 1500.0, "mass fell")]
    assert no_flow(t_s, volume, constant_rate(1000.0 / 24.0), STROKE_UL, 0.998, exclusions) == ()
    assert no_flow(t_s, volume, constant_rate(1000.0 / 24.0), STROKE_UL, 0.998) != ()


def test_the_window_is_never_under_0_3_mg():
    assert no_flow_window_ul(5.0, 0.998) == 7.5
    assert no_flow_window_ul(0.01, 1.0) == 0.3
