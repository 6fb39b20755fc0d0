"""Flow sensor and syringe pump against a balance, on made records."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.analysis.rig import RecordError
from protocols.analysis.rig.flow import Point, Zero, gain, loss, minute_means, point, zero

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
    found = gain([Point(110.0, 100.0, 0.01), Point(104.0, 100.0, 0.02)])
    assert found.ratio == pytest.approx((1.10 * 4 + 1.04) / 5)
    assert found.birge == pytest.approx(np.sqrt(0.06**2 / 0.0005))
    assert found.u == pytest.approx(0.01 / np.sqrt(1.25) * found.birge)


def test_agreeing_ratios_keep_their_own_uncertainty():
    found = gain([Point(100.0, 100.0, 0.02)] * 4)
    assert (found.ratio, found.u, found.birge) == pytest.approx((1.0, 0.01, 0.0))


def test_a_flow_that_settles_is_one_flow_to_sensor_and_balance():
    settling = 30.0 + 20.0 * np.exp(-T / 200.0)
    gained = np.cumsum(settling)[9::10] * 0.1 / 3600.0
    given = {"zero_flow": NO_ZERO, "ul_per_mg": 1.0, "evaporation_mg_per_h": 0.0, "u_evaporation_mg_per_h": 0.0}
    assert settling.mean() / 30.0 > 1.2
    assert point(T, settling, SECONDS + 0.9, gained, **given).ratio == pytest.approx(1.0, abs=1e-3)


def test_the_zero_that_wanders_and_the_line_that_breathes_count_most_at_a_slow_rate():
    slow, fast = (a_point(rate, rate, u_unsteady_ul_per_h=1.0) for rate in (30.0, 300.0))
    assert (slow.u_ratio, fast.u_ratio) == pytest.approx(
        (np.hypot(1 / 30, 3.5e-3), np.hypot(1 / 300, 3.5e-3)), rel=0.05
    )
    assert slow.u_balance_ul_per_h == pytest.approx(1.0, rel=0.05)


RATES = np.array([30.0, 100.0, 300.0])


@given(st.floats(-20.0, 20.0), st.floats(0.5, 1.5))
def test_a_loss_at_any_rate_alike_is_told_from_a_gain_that_is_wrong(lost, factor):
    found = loss(RATES, factor * RATES - lost, 0.005 * RATES)
    assert found.ul_per_h == pytest.approx(lost, abs=1e-9)
    assert found.birge == pytest.approx(0.0, abs=1e-6)


def test_the_uncertainty_of_a_loss_is_that_of_many_repetitions():
    losses = [loss(RATES, RATES * (1.0 + 0.005 * RANDOM.standard_normal(3)), 0.005 * RATES) for _ in range(4000)]
    assert np.std([one.ul_per_h for one in losses]) == pytest.approx(losses[0].u_ul_per_h, rel=0.05)
    assert np.mean([one.birge**2 for one in losses]) == pytest.approx(1.0, rel=0.1)


def test_one_rate_alone_tells_no_loss():
    with pytest.raises(RecordError, match="takes several"):
        loss([30.0] * 3, [29.0] * 3, [0.1] * 3)
