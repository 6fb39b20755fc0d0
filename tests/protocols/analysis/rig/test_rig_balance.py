"""Weighings of a reference weight and the quiet record, against closed forms and made records."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.analysis.rig import RecordError
from protocols.analysis.rig.balance import allan_deviation, quiet, repeatability, weighings

RANDOM = np.random.default_rng(7)
SECONDS = np.arange(600.0)


def readings(value, sd=0.0):
    return value + sd * RANDOM.standard_normal(12)


def test_the_error_of_a_balance_is_what_it_shows_beyond_the_weight():
    found = weighings([readings(0.0)] * 4, [readings(20_000.25)] * 3, 20_000.0)
    assert found.error_mg == pytest.approx(0.25, abs=1e-9)
    assert found.sd_mg == pytest.approx(0.0, abs=1e-9)


@given(st.floats(-50.0, 50.0), st.floats(-5.0, 5.0))
def test_a_steady_drift_of_the_zero_is_no_error(start, step):
    zeros = [np.full(10, start + 2 * k * step) for k in range(4)]
    loads = [np.full(10, 20_000.0 + start + (2 * k + 1) * step) for k in range(3)]
    assert weighings(zeros, loads, 20_000.0).error_mg == pytest.approx(0.0, abs=1e-8)


def test_repeatability_is_the_standard_deviation_of_the_weighings():
    loads = [np.full(10, 20_000.0 + off) for off in (0.1, 0.3, 0.2)]
    found = weighings([np.zeros(10)] * 4, loads, 20_000.0)
    assert found.sd_mg == pytest.approx(0.1)
    assert found.u_mg == pytest.approx(0.1 / math.sqrt(3.0))
    assert found.dof == 2


@pytest.mark.parametrize("n", [2, 3, 6])
def test_weighings_that_share_zeros_tell_the_scatter_of_one_load_and_the_u_of_their_mean(n):
    pooled, errors = [], []
    for _ in range(1500):
        zeros, loads = (0.02 * RANDOM.standard_normal((count, 1)) * np.ones(10) for count in (n + 1, n))
        found = weighings(list(zeros), list(loads + 20_000.0), 20_000.0)
        pooled.append(found)
        errors.append(found.error_mg)
    assert repeatability(pooled).sd_mg == pytest.approx(0.02, rel=0.06)
    assert np.std(errors) == pytest.approx(0.02 * pooled[0].u_of_one, rel=0.06)


@pytest.mark.parametrize(
    ("times", "least", "most", "tried"), [(1.0, 0.005, 0.016, 4000), (3.0, 0.7, 1.0, 1000), (5.0, 0.9, 1.0, 500)]
)
def test_a_sound_balance_is_said_to_repeat_badly_once_in_a_hundred_and_a_bad_one_mostly(times, least, most, tried):
    random, found = np.random.default_rng(2), []
    for _ in range(tried):
        loads = 0.02 * times * random.standard_normal((3, 5, 1)) * np.ones(10)
        three = [weighings([one[0], one[2], one[4]], [one[1], one[3]], 0.0) for one in loads]
        measured = repeatability(three)
        found.append(measured.sd_mg > measured.largest_mg(0.02))
    assert least <= float(np.mean(found)) <= most


def test_only_the_last_ten_readings_count():
    settling = np.concatenate([np.linspace(0.0, 20_000.0, 30), np.full(10, 20_000.0)])
    assert weighings([np.zeros(10)] * 3, [settling] * 2, 20_000.0).error_mg == pytest.approx(0.0)


def test_one_weighing_says_nothing_of_repeatability():
    with pytest.raises(RecordError, match="at least 2"):
        weighings([np.zeros(10)] * 2, [np.zeros(10)], 20_000.0)


def test_the_allan_deviation_of_white_noise_falls_as_the_root_of_the_time():
    noise = RANDOM.standard_normal(200_000)
    assert [allan_deviation(noise, m) * math.sqrt(m) for m in (1, 10, 100)] == pytest.approx([1.0, 1.0, 1.0], rel=0.03)


def test_the_allan_deviation_of_a_drift_grows_with_the_time():
    # NIST SP 1065: a linear drift D gives D tau / sqrt(2).
    assert allan_deviation(0.01 * SECONDS, 30) == pytest.approx(0.01 * 30 / math.sqrt(2.0))


def test_a_quiet_record_gives_noise_and_drift_back():
    mass = 5.0 + 0.36 / 3600.0 * SECONDS + 0.02 * RANDOM.standard_normal(600)
    found = quiet(SECONDS, mass, 0.01)
    assert found.rms_mg == pytest.approx(0.02, rel=0.1)
    assert found.drift_mg_per_h == pytest.approx(0.36, abs=0.05)
    assert found.spikes == 0


@pytest.mark.parametrize("length", [10, 60])
def test_drafts_are_counted_and_are_not_noise(length):
    mass = 0.02 * RANDOM.standard_normal(600)
    mass[100 : 100 + length] += 2.0
    mass[400 : 400 + length] -= 1.0
    found = quiet(SECONDS, mass, 0.01)
    assert found.spikes == 2
    assert found.largest_mg == pytest.approx(2.0, abs=0.1)
    assert found.rms_mg == pytest.approx(0.02, rel=0.1)


def test_a_frozen_balance_has_no_spikes_and_no_noise():
    found = quiet(SECONDS, np.full(600, 3.0), 0.01)
    assert (found.rms_mg, found.spikes, found.drift_mg_per_h) == (0.0, 0, 0.0)
