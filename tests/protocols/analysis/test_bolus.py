"""Boluses on basal flow: exact on ideal logs whatever basal flow, shape, sampling and marks; refusals in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.analysis.bolus import jumps
from protocols.analysis.bolus_log import analyse_bolus_log
from protocols.analysis.grid import RecordError

STARTS = (30.0, 90.0, 150.0, 210.0)


def ideal(t, starts, amounts, duration, slope=0.01):
    """Boluses of one duration on one basal slope."""
    rise = [amount * np.clip((t - start) / duration, 0.0, 1.0) for start, amount in zip(starts, amounts, strict=True)]
    return 5.0 + slope * t + np.sum(rise, axis=0)


def amounts(t, mass, starts=STARTS):
    return [one.amount for one in jumps(t, mass, starts)]


@given(
    st.lists(st.floats(1.0, 100.0), min_size=4, max_size=4),
    st.floats(0.01, 29.0),
    st.floats(-0.05, 0.2),
    st.integers(0, 1000),
)
def test_boluses_of_any_size_and_duration_on_a_straight_drift_are_exact(wanted, duration, slope, seed):
    t = np.sort(np.random.default_rng(seed).uniform(0.0, 270.0, 400))  # irregular sampling
    assert amounts(t, ideal(t, STARTS, wanted, duration, slope)) == pytest.approx(wanted, abs=1e-9)


def test_a_step_counts_whether_the_sample_at_its_mark_is_before_or_after_it():
    t = np.arange(0.0, 271.0)
    after = 0.01 * t + 50.0 * sum((t >= start).astype(float) for start in STARTS)
    before = 0.01 * t + 50.0 * sum((t > start).astype(float) for start in STARTS)
    assert amounts(t, after) == pytest.approx([50.0] * 4)
    assert amounts(t, before) == pytest.approx([50.0] * 4)


def test_a_basal_flow_that_changes_at_each_bolus_is_taken_off_exactly():
    t = np.arange(0.0, 271.0)
    kinks = 0.01 * t + sum(0.003 * i * np.maximum(t - start, 0.0) for i, start in enumerate(STARTS, 1))
    mass = kinks + ideal(t, STARTS, [50.0] * 4, 12.0, 0.0)
    assert amounts(t, mass) == pytest.approx([50.0] * 4)


def test_uneven_intervals_are_exact():
    t = np.arange(0.0, 900.0, 0.5)
    starts = (60.0, 100.0, 400.0, 480.0)
    assert amounts(t, ideal(t, starts, (20.0, 30.0, 40.0, 50.0), 15.0), starts) == pytest.approx([20, 30, 40, 50])


def test_a_record_that_begins_with_the_first_bolus_takes_the_basal_flow_after_it_and_says_so():
    t = np.arange(30.0, 271.0)
    found = jumps(t, ideal(t, STARTS, [50.0] * 4, 12.0), STARTS)
    assert [one.amount for one in found] == pytest.approx([50.0] * 4)
    assert "no basal flow was logged before it" in found[0].remarks[0]


def test_noise_averages_out_over_the_basal_stretches():
    t, generator = np.arange(0.0, 1830.0), np.random.default_rng(3)
    starts = tuple(30.0 + 60.0 * i for i in range(25))
    errors = []
    for _ in range(8):
        mass = ideal(t, starts, [50.0] * 25, 12.0) + generator.normal(0.0, 0.02, t.size)
        errors += [amount - 50.0 for amount in amounts(t, mass, starts)]
    # n = 30 samples in half an interval: sqrt(28/n + 4/n) of the noise of one
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(0.02 * np.sqrt(32.0 / 30.0), rel=0.2)


def test_a_bolus_that_outlasts_half_of_its_interval_is_told():
    t = np.arange(0.0, 271.0)
    found = jumps(t, ideal(t, STARTS, [50.0] * 4, 45.0), STARTS)
    assert all("the flow was not steady" in one.remarks[0] for one in found)


@pytest.mark.parametrize(
    ("starts", "sentence"),
    [
        ((), "there is no bolus"),
        ((-1.0,), "bolus 1 begins at -1 s, but the log runs from 0 s to 270 s; correct its mark"),
        ((30.0, 270.0), "bolus 2 begins at 270 s, but the log runs"),
        ((90.0, 30.0), "bolus 2 begins at 30 s, not after bolus 1 at 90 s"),
        ((30.0, 30.0), "name each bolus once"),
        ((30.0, 31.0), "after bolus 1 at 30 s the log holds 0 samples from 30.5 s to 31 s"),
        ((30.0, 269.5), "after bolus 2 at 269.5 s the log holds 1 samples from 269.75 s to 270 s, where the log ends"),
    ],
)
def test_marks_that_do_not_fit_the_log_are_refused_in_words(starts, sentence):
    t = np.arange(0.0, 271.0)
    with pytest.raises(RecordError, match=sentence.replace("(", r"\(")):
        jumps(t, 0.01 * t, starts)


def test_volumes_follow_from_density_and_buoyancy_and_errors_from_the_set_volume():
    t = np.arange(0.0, 271.0)
    mass = ideal(t, STARTS, (49.9, 52.0, 50.0, 49.0), 10.0)
    result = analyse_bolus_log(t, mass, STARTS, 50.0, 0.998)
    assert result.volumes_ul == pytest.approx([m / 0.998 for m in (49.9, 52.0, 50.0, 49.0)])
    assert result.errors_percent[0] == pytest.approx(0.0, abs=1e-9)
    assert result.mean_error_percent == pytest.approx(sum(result.errors_percent) / 4)
    assert result.basal_ul_per_h == pytest.approx([36.0 / 0.998] * 5)
    weighed = analyse_bolus_log(t, mass, STARTS, 50.0, 0.998, 0.0012)
    assert weighed.volumes_ul[0] / result.volumes_ul[0] == pytest.approx((1 - 0.0012 / 8) / (1 - 0.0012 / 0.998))


def test_a_vessel_that_was_touched_is_told():
    t = np.arange(0.0, 271.0)
    mass = ideal(t, STARTS, [50.0] * 4, 10.0) - 20.0 * (t > 120.0)
    assert any("mass fell by" in note for note in analyse_bolus_log(t, mass, STARTS, 50.0, 1.0).notes)


def test_two_noisy_samples_before_the_first_bolus_tell_no_change_of_the_flow():
    t = np.arange(0.0, 180.0, 0.1)
    starts = (0.15, 60.15, 120.15)
    for seed in range(20):
        noise = 0.1 * np.random.default_rng(seed).standard_normal(t.size)
        found = analyse_bolus_log(t, ideal(t, starts, (50.0,) * 3, 1.0) + noise, starts, 50.0, 1.0)
        assert not any("flowed from" in note for note in found.notes)
    found = analyse_bolus_log(t, ideal(t, starts, (50.0,) * 3, 90.0), starts, 50.0, 1.0)
    assert any("more flowed from" in note for note in found.notes), "without noise two samples tell it"


def test_boluses_that_take_mass_away_are_told():
    t = np.arange(0.0, 270.0)
    mass = ideal(t, STARTS, (50.0,) * 4, 3.0)
    assert any("every bolus takes mass away" in n for n in analyse_bolus_log(t, -mass, STARTS, 50.0, 1.0).notes)
    assert not any("takes mass away" in n for n in analyse_bolus_log(t, mass, STARTS, 50.0, 1.0).notes)
