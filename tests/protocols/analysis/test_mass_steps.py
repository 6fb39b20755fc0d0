import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.checks import Exclusion
from protocols.analysis.delivery import constant_rate
from protocols.analysis.mass_steps import (
    exclusion_share,
    first_inside,
    negative_steps,
    step_threshold_mg,
    unexpected_deliveries,
)

T_S = np.arange(0.0, 7200.0, 1.0)
RATE_MG_PER_S = 0.0116  # 1 mL/day


def noise(seed, size=T_S.size, sigma=0.02):
    return np.round(sigma * np.random.Generator(np.random.Philox(seed)).standard_normal(size), 2)


def delivering(seed=1):
    return np.round(RATE_MG_PER_S * T_S, 2) + noise(seed)


@given(st.integers(0, 1000), st.floats(0.0, 5.0), st.sampled_from([0.0, 0.02, 0.2]), st.sampled_from([0.0, 0.01, 0.1]))
@settings(max_examples=40)
def test_a_pump_that_delivers_onto_a_noisy_balance_has_no_negative_step(seed, rate, sigma, digit):
    mass = rate * T_S[:1500] / 3600.0 + noise(seed, 1500, sigma)
    mass = np.round(mass / digit) * digit if digit else mass
    assert negative_steps(T_S[:1500], mass) == ()


def test_a_vessel_that_is_emptied_is_one_negative_step():
    mass = delivering()
    mass[3000:] -= 20.0
    (step,) = negative_steps(T_S, mass)
    assert (step.from_s, step.to_s) == (2999.0, 3000.0)
    fall = float(re.fullmatch(r"mass fell by (\S+) mg", step.reason)[1])
    assert fall == pytest.approx(mass[2999] - mass[3000] + RATE_MG_PER_S, abs=0.01)


def test_a_vessel_change_with_all_its_handling_is_one_stretch():
    mass = delivering()
    mass[3000:3040] -= 15000.0
    mass[3040:] -= 30.0
    (step,) = negative_steps(T_S, mass)
    assert (step.from_s, step.to_s) == (2999.0, 3040.0)


def test_what_is_delivered_while_the_vessel_is_handled_does_not_hide_the_fall():
    """At 5 mL/h a minute of handling delivers 83 mg: more than the 20 mg that were taken out."""
    mass = 1.386 * T_S + noise(4)
    mass[3000:3060] -= 15000.0
    mass[3060:] -= 20.0
    assert [(one.from_s, one.to_s) for one in negative_steps(T_S, mass)] == [(2999.0, 3060.0)]


def test_a_fall_that_the_balance_filters_is_excluded_to_its_end():
    mass = delivering()
    mass[3000:] -= 5000.0 * (1.0 - np.exp(-(T_S[3000:] - 2999.5) / 2.0))
    (step,) = negative_steps(T_S, mass)
    assert step.from_s == 2999.0
    assert 3015.0 < step.to_s < 3030.0


@pytest.mark.parametrize("depth_mg", [0.5, 5.0, -5.0])
@pytest.mark.parametrize("seed", range(6))
def test_a_draft_that_passes_is_no_step(depth_mg, seed):
    mass = delivering(seed)
    mass[3000:3040] -= depth_mg
    assert negative_steps(T_S, mass) == ()


def test_a_positive_step_is_never_excluded():
    mass = delivering()
    mass[3000:] += 50.0
    assert negative_steps(T_S, mass) == ()


def test_pulses_of_a_shot_pump_are_no_steps_and_an_emptied_vessel_is_found_between_them():
    index = np.arange(1, 121)
    mass = np.concatenate([[0.0], np.cumsum(np.where(index % 7 == 0, 349.3, 0.0))])
    t_s = np.arange(121) * 30.0
    assert negative_steps(t_s, mass) == ()
    mass[60:] -= 2500.0
    assert [(one.from_s, one.to_s) for one in negative_steps(t_s, mass)] == [(1770.0, 1800.0)]


def test_a_sparse_log_shows_the_interval_of_the_fall():
    t_s = np.arange(100) * 900.0
    mass = 10.4 * np.arange(100.0)
    mass[50:] -= 300.0
    assert [(one.from_s, one.to_s) for one in negative_steps(t_s, mass)] == [(49 * 900.0, 50 * 900.0)]


def test_the_threshold_is_above_noise_and_digits():
    assert step_threshold_mg(np.zeros(100)) == 0.05
    assert step_threshold_mg(noise(2, 5000)) > 0.1
    jitter = np.where(np.arange(200) % 10 == 0, 0.1, 0.0)
    assert step_threshold_mg(jitter) == pytest.approx(0.5)


def unexpected(mass, exclusions=(), stroke_ul=5.0):
    return unexpected_deliveries(
        T_S, mass / 0.998, constant_rate(1000.0 / 24.0), stroke_ul, 0.998, exclusions=exclusions
    )


def test_a_healthy_pump_delivers_nothing_unexpected():
    assert unexpected(delivering()) == ()


@given(st.floats(0.05, 0.95), st.integers(0, 50))
@settings(max_examples=20)
def test_strokes_that_arrive_at_once_are_expected(phase, seed):
    strokes = np.floor(RATE_MG_PER_S * T_S / 4.99 + phase) * 4.99
    assert unexpected(strokes + noise(seed)) == ()


def test_a_positive_step_without_an_event_is_an_unexpected_delivery():
    mass = delivering()
    mass[3000:] += 30.0
    (found,) = unexpected(mass)
    assert (found.from_s, found.to_s) == pytest.approx((2999.0, 3000.0), abs=60.0)
    assert found.excess_ul == pytest.approx(30.0 / 0.998, rel=0.02)


def test_a_step_tied_to_a_logged_event_is_not():
    mass = delivering()
    mass[3000:] += 30.0
    assert unexpected(mass, [Exclusion(2999.0, 3000.0, "door")]) == ()


def test_a_free_flow_shows_with_its_rate():
    mass = delivering()
    mass[3000:3600] += 0.5 * np.arange(600)
    mass[3600:] += 300.0
    (found,) = unexpected(mass)
    assert (found.from_s, found.to_s) == pytest.approx((3000.0, 3600.0), abs=30.0)
    assert found.rate_ul_per_h == pytest.approx((0.5 + RATE_MG_PER_S) * 3600.0 / 0.998, rel=0.02)


def test_a_pump_that_is_a_quarter_too_fast_is_not_called_unexpected():
    assert unexpected(1.25 * RATE_MG_PER_S * T_S + noise(3)) == ()


def test_the_share_of_exclusions():
    exclusions = [Exclusion(0.0, 10.0, ""), Exclusion(5.0, 15.0, ""), Exclusion(95.0, 120.0, "")]
    assert exclusion_share(exclusions, 0.0, 100.0) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("from_s", "to_s", "within"),
    [(90.0, 100.0, None), (90.0, 100.1, (100.0, 200.0)), (150.0, 151.0, (100.0, 200.0)), (200.0, 300.0, None),
     (0.0, 900.0, (100.0, 200.0))],
)  # fmt: skip
def test_an_exclusion_is_inside_a_window_when_it_shares_more_than_an_end_with_it(from_s, to_s, within):
    out = Exclusion(from_s, to_s, "touched")
    late = Exclusion(370.0, 380.0, "touched later")
    found = first_inside([late, out], [(100.0, 200.0), (350.0, 400.0)])
    assert found == ((out, within) if within else (late, (350.0, 400.0)))
