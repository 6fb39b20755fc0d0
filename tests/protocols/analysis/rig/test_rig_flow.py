"""Flow sensor against a balance, on made records."""

import numpy as np
import pytest

from protocols.analysis.rig import RecordError
from protocols.analysis.rig.flow import Point, Zero, gain, minute_means, point, zero

T = np.arange(0.0, 600.0, 0.1)
SECONDS = np.arange(600.0)
RANDOM = np.random.default_rng(5)
NO_ZERO = Zero(0.0, 0.0)


def a_point(shown, gained, **changes):
    mass = gained / 3600.0 * SECONDS
    given = {"zero_flow": NO_ZERO, "ul_per_mg": 1.0, "evaporation_mg_per_h": 0.0, "u_evaporation_mg_per_h": 0.0}
    return point(T, np.full(T.size, shown), SECONDS, mass + 1e-3 * RANDOM.standard_normal(600), **given | changes)


def test_a_zero_is_the_mean_and_its_uncertainty_that_of_minutes():
    found = zero(T, 0.3 + 0.5 * RANDOM.standard_normal(T.size))
    assert found.ul_per_h == pytest.approx(0.3, abs=0.03)
    assert found.u_ul_per_h == pytest.approx(0.5 / np.sqrt(T.size), rel=0.6)


def test_two_minutes_show_no_zero():
    with pytest.raises(RecordError, match="3 are needed"):
        zero(T[:1200], T[:1200])


def test_a_minute_that_was_mostly_lost_has_no_mean():
    kept = (T < 60.0) | (T > 110.0)
    assert len(minute_means(T[kept], T[kept])) == 9


def test_the_ratio_takes_zero_evaporation_and_buoyancy_into_account():
    found = a_point(105.0 + 2.0, 100.0 - 0.5, zero_flow=Zero(2.0, 0.0), evaporation_mg_per_h=0.5, ul_per_mg=1.002)
    assert found.ratio == pytest.approx(105.0 / 100.2, rel=1e-3)


def test_a_balance_that_gained_nothing_gives_no_ratio():
    with pytest.raises(RecordError, match="gained nothing"):
        a_point(100.0, -5.0)


def test_the_gain_is_the_weighted_mean_of_the_ratios():
    mean, u = gain([Point(110.0, 100.0, 0.01), Point(104.0, 100.0, 0.02)])
    assert mean == pytest.approx((1.10 * 4 + 1.04) / 5)
    assert u == pytest.approx(0.01 / np.sqrt(1.25) * np.sqrt(0.06**2 / 0.0005))


def test_agreeing_ratios_keep_their_own_uncertainty():
    assert gain([Point(100.0, 100.0, 0.02)] * 4) == pytest.approx((1.0, 0.01))
