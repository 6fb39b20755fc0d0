"""Means of a flow sensor's minutes between any edges."""

import math

import numpy as np
import pytest

from protocols.analysis.witness import Minutes


def minutes(flow):
    flow = np.asarray(flow, dtype=np.float64)
    return Minutes((np.arange(flow.size) + 0.5) * 60.0, flow, np.zeros(flow.size))


def test_pulses_that_beat_with_the_edges_show_no_swing():
    # A dip every 7.2 min: edges every 14.4 min hold two each, single minutes in their middles do not.
    t_s = np.arange(0.0, 1440 * 60.0, 1.0)
    fine = np.where(t_s % 432.0 < 40.0, 10.0, 44.0)
    coarse = minutes(fine.reshape(-1, 60).mean(axis=1))
    means = coarse.means(np.arange(0.0, 1440 * 60.0 + 1.0, 864.0))
    assert np.ptp(means) < 1.5  # the minutes at the edges are shared out; picked minutes would swing by 20
    assert means.mean() == pytest.approx(fine.mean(), rel=1e-3)


def test_lost_minutes_do_not_count_and_a_mean_of_few_is_none():
    flow = [10.0] * 10 + [math.nan] * 4 + [10.0] * 6 + [math.nan] * 8 + [10.0] * 2
    assert minutes(flow).means(np.array([0.0, 600.0, 1200.0, 1800.0])) == pytest.approx(
        [10.0, 10.0, math.nan], nan_ok=True
    )


def test_before_and_after_the_record_there_is_no_mean():
    assert np.isnan(minutes([10.0] * 10).means(np.array([-1200.0, -600.0, 600.0, 1800.0]))).tolist() == [
        True,
        False,
        True,
    ]
