import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.checks import Exclusion
from protocols.analysis.delivery import constant_rate
from protocols.analysis.drift import (
    ARL0_S,
    DAY_S,
    Chart,
    StrokeSums,
    alarms,
    design_chart,
    run_length,
    scatter_percent,
    slope_percent_per_day,
    stroke_sums,
)
from protocols.analysis.grid import RecordError

STROKE_UL = 5.0
RATE = 1000.0 / 24.0


def normal(seed, size):
    return np.random.Generator(np.random.Philox(seed)).standard_normal(size)


def sums(errors, group_s=432.0):
    return StrokeSums(group_s * np.arange(1, len(errors) + 1), np.asarray(errors, dtype=float), 1)


def pulsed(t_s, rate_ul_per_day):
    """Delivery that swings with each stroke."""
    position = rate_ul_per_day * t_s / DAY_S / STROKE_UL
    return STROKE_UL * (position - 0.3 * np.sin(2.0 * np.pi * position) / (2.0 * np.pi))


def test_sums_over_whole_strokes_see_no_pulsation():
    t_s = np.arange(0.0, DAY_S, 10.0)
    found = stroke_sums(t_s, 1.02 * pulsed(t_s, 1000.0), constant_rate(RATE), STROKE_UL)
    assert found.error_percent == pytest.approx(np.full(199, 2.0), abs=0.05)
    assert found.end_s[:3] == pytest.approx([432.0, 864.0, 1296.0])


def test_the_strokes_of_a_programmed_stop_are_none():
    t_s = np.arange(0.0, 30000.0, 10.0)

    def expected(t):
        return (np.minimum(t, 10000.0) + np.maximum(t - 20000.0, 0.0)) / 86.4

    found = stroke_sums(t_s, expected(t_s), expected, STROKE_UL, strokes=2)
    assert found.end_s[10:13] == pytest.approx([9504.0, 20368.0, 21232.0])
    assert found.error_percent == pytest.approx(np.zeros(found.end_s.size), abs=1e-6)


def test_groups_that_touch_an_exclusion_are_not_used():
    t_s = np.arange(0.0, 10 * 432.0 + 1.0, 1.0)
    found = stroke_sums(
        t_s, pulsed(t_s, 1000.0), constant_rate(RATE), STROKE_UL, exclusions=[Exclusion(500.0, 510.0, "")]
    )
    assert np.flatnonzero(np.isnan(found.error_percent)).tolist() == [1]


def test_a_record_of_one_stroke_is_refused():
    with pytest.raises(RecordError, match="under two groups of 5 uL; record longer"):
        stroke_sums(np.array([0.0, 600.0]), np.array([0.0, 6.9]), constant_rate(RATE), STROKE_UL)


@pytest.mark.parametrize(
    ("shift", "k", "h", "expected"),
    [
        (0.0, 0.5, 4.0, 335.37),
        (0.0, 0.5, 5.0, 930.89),
        (1.0, 0.5, 4.0, 8.38),
        (1.0, 0.5, 5.0, 10.38),
        (2.0, 0.5, 4.0, 3.34),
    ],
)
def test_run_lengths_are_those_published_for_one_sided_charts(shift, k, h, expected):
    """Montgomery, Statistical Quality Control, table of ARLs by Lucas and Crosier: two-sided 168 is one-sided 336."""
    assert run_length(shift, k, h) == pytest.approx(expected, rel=0.01)


def test_run_lengths_are_those_of_a_simulation():
    generator = np.random.Generator(np.random.Philox(2))
    for shift, k, h in ((0.0, 0.3, 2.0), (0.5, 0.5, 3.0)):
        lengths = []
        for _ in range(1500):
            total, count = 0.0, 0
            while total <= h:
                total = max(0.0, total + generator.standard_normal() + shift - k)
                count += 1
            lengths.append(count)
        assert run_length(shift, k, h) == pytest.approx(np.mean(lengths), rel=0.1)


@given(st.floats(0.2, 8.0), st.sampled_from([432.0, 4320.0, 9000.0]))
@settings(max_examples=15)
def test_a_chart_alarms_falsely_at_most_once_in_30_days(sigma, group_s):
    chart = design_chart(sigma, group_s)
    assert chart.run_length_s(0.0) >= 0.999 * ARL0_S
    assert chart.limit_percent >= chart.allowance_percent == 2.5
    if chart.limit_percent > 2.5:
        assert chart.run_length_s(0.0) == pytest.approx(ARL0_S, rel=1e-3)
    assert chart.run_length_s(15.0) <= chart.run_length_s(5.0) <= chart.run_length_s(0.0)


@pytest.mark.parametrize(
    ("rate_ul_per_day", "strokes", "at_5_h", "at_15_h"),
    [(1000.0, 1, 0.3, 0.15), (100.0, 1, 3.4, 1.3), (48.0, 1, 7.0, 2.6)],
)
def test_the_delay_at_the_reference_rates(rate_ul_per_day, strokes, at_5_h, at_15_h):
    """Scatter of a stroke: two readings of 0.02 mg, and 0.5 % of the pump itself."""
    group_s = strokes * STROKE_UL / rate_ul_per_day * DAY_S
    sigma = 100.0 * math.hypot(0.02 * math.sqrt(2.0) / (strokes * STROKE_UL), 0.005)
    chart = design_chart(sigma, group_s)
    assert chart.run_length_s(5.0) / 3600.0 < at_5_h
    assert chart.run_length_s(15.0) / 3600.0 < at_15_h


@pytest.mark.parametrize("rate_ul_per_day", [1000.0, 100.0, 48.0])
def test_a_healthy_pulsed_pump_does_not_alarm_in_30_days(rate_ul_per_day):
    t_s = np.arange(0.0, 30.0 * DAY_S, 60.0)
    volume = 1.01 * pulsed(t_s, rate_ul_per_day) + 0.02 * normal(3, t_s.size)
    found = stroke_sums(t_s, volume, constant_rate(rate_ul_per_day / 24.0), STROKE_UL)
    chart = design_chart(max(scatter_percent(found.error_percent), 0.5), STROKE_UL / rate_ul_per_day * DAY_S)
    assert alarms(found, chart) == ()


@pytest.mark.parametrize("shift", [5.0, -5.0, 15.0, -15.0])
def test_a_shift_is_seen_soon_after_it_began(shift):
    errors = 0.75 * normal(4, 400) + 1.0
    errors[250:] += shift
    chart = design_chart(0.75, 432.0)
    found = alarms(sums(errors), chart, target_percent=1.0)
    assert len(found) == 1
    assert found[0].began_s == pytest.approx(250 * 432.0, abs=3 * 432.0)
    assert found[0].seen_s - 250 * 432.0 <= 4.0 * chart.run_length_s(shift)
    assert found[0].shift_percent == pytest.approx(shift, abs=1.5)


def test_a_shift_that_ends_is_two_alarms():
    errors = 0.5 * normal(5, 300)
    errors[100:200] += 8.0
    found = alarms(sums(errors), design_chart(0.5, 432.0))
    assert [round(alarm.shift_percent / 8.0) for alarm in found] == [1, -1]


@given(st.lists(st.floats(-20.0, 20.0), min_size=2, max_size=50))
def test_what_is_too_much_and_what_is_too_little_alarm_alike(errors):
    chart = Chart(1.0, 2.5, 5.0, 432.0)
    mirrored = alarms(sums([-error for error in errors]), chart)
    assert [replace(one, shift_percent=-one.shift_percent) for one in mirrored] == list(alarms(sums(errors), chart))


def test_excluded_groups_change_no_sum():
    chart = Chart(1.0, 2.5, 6.0, 432.0)
    assert not alarms(sums([5.0, np.nan, 5.0]), chart)
    assert [one.shift_percent for one in alarms(sums([5.0, np.nan, 5.0, 5.0]), chart)] == [5.0]


def test_a_drift_has_its_slope_whatever_single_groups_do():
    errors = np.linspace(0.0, 3.0, 1000) + 0.3 * normal(6, 1000)
    errors[::50] += 80.0
    days = 1000 * 432.0 / DAY_S
    assert slope_percent_per_day(sums(errors)) == pytest.approx(3.0 / days, rel=0.1)


def test_the_scatter_does_not_see_steps_and_spikes():
    errors = 0.6 * normal(7, 2000)
    errors[::40] += 50.0
    assert scatter_percent(errors) == pytest.approx(0.6, rel=0.1)


def test_a_chart_without_scatter_is_refused():
    with pytest.raises(RecordError, match="above 0"):
        design_chart(0.0, 432.0)
