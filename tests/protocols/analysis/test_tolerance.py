"""Tolerance factors and bounds of a pass rate, against published tables and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.analysis.tolerance import one_sided_factor, pass_rate, two_sided_factor

TWO_SIDED = {2: 36.5192, 3: 9.7888, 4: 6.3411, 5: 5.0769, 6: 4.4222, 7: 4.0196, 8: 3.7456, 9: 3.5459, 10: 3.3935}
"""ISO 16269-6:2014, unknown mean and standard deviation, share 0.95, confidence 0.95; rounded up there."""

ONE_SIDED = {2: 26.260, 3: 7.656, 5: 4.203, 10: 2.911, 20: 2.396, 30: 2.220, 100: 1.927}
"""Natrella, Experimental Statistics (1963), table A-7, share 0.95, confidence 0.95."""


@pytest.mark.parametrize(("n", "k"), TWO_SIDED.items())
def test_two_sided_factors_are_those_of_iso_16269(n, k):
    assert two_sided_factor(n, 0.95, 0.95) == pytest.approx(k, abs=1.1e-4)


@pytest.mark.parametrize(("n", "k"), ONE_SIDED.items())
def test_one_sided_factors_are_those_of_natrella(n, k):
    assert one_sided_factor(n, 0.95, 0.95) == pytest.approx(k, abs=1.1e-3)


def test_a_two_sided_factor_of_many_values_goes_to_the_normal_quantile():
    assert two_sided_factor(100_000, 0.95, 0.5) == pytest.approx(1.959964, abs=1e-4)


def test_intervals_of_drawn_samples_hold_their_share_as_often_as_they_say():
    """Ten values, 95/90: the share of samples whose interval holds 90 % is 0.95, to three standard errors."""
    generator = np.random.default_rng(1)
    samples = generator.normal(size=(20_000, 10))
    mean, reach = samples.mean(axis=1), two_sided_factor(10, 0.90, 0.95) * samples.std(axis=1, ddof=1)
    phi = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2.0)))
    held = np.mean(phi(mean + reach) - phi(mean - reach) >= 0.90)
    assert held == pytest.approx(0.95, abs=3.0 * math.sqrt(0.95 * 0.05 / 20_000))


@pytest.mark.parametrize(("n", "share"), [(29, 0.90), (59, 0.95)])
def test_no_failure_among_29_is_95_90_and_among_59_is_95_95(n, share):
    assert pass_rate(n, n).low >= share
    assert pass_rate(n - 1, n - 1).low < share
    assert pass_rate(n, n).low == pytest.approx(0.05 ** (1.0 / n))


def test_bounds_of_a_pass_rate_are_those_of_clopper_and_pearson():
    found = pass_rate(5, 10, 0.975)  # the two-sided interval of 95 %
    assert (found.low, found.high) == (pytest.approx(0.1871, abs=5e-5), pytest.approx(0.8129, abs=5e-5))
    assert pass_rate(0, 10, 0.975).high == pytest.approx(0.3085, abs=5e-5)


@given(st.integers(0, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bounds_hold_the_rate_and_mirror_that_of_the_failures(counts):
    passed, judged = counts
    found, failed = pass_rate(passed, judged), pass_rate(judged - passed, judged)
    assert found.low <= passed / max(judged, 1) or judged == 0
    assert found.high == pytest.approx(1.0 - failed.low, abs=1e-9)


def test_one_value_makes_no_interval():
    with pytest.raises(ValueError, match="two values"):
        two_sided_factor(1, 0.9, 0.95)
