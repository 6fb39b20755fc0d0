import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checks import Exclusion
from protocols.analysis.delivery import (
    bolus_delivery,
    constant_rate,
    flow_ul_per_h,
    overall,
    segment_delivery,
    startup_s,
)
from protocols.analysis.grid import Grid, RecordError, resample

HOUR_S = 3600.0
RATE = 36.0  # uL/h: 0.01 uL/s


def grid(flow_ul_per_h, interval_s=60.0, used=None):
    volume = np.concatenate([[0.0], np.cumsum(np.asarray(flow_ul_per_h) * interval_s / HOUR_S)])
    return Grid(0.0, interval_s, volume, np.ones(len(flow_ul_per_h), bool) if used is None else np.asarray(used))


def test_the_overall_error_is_end_to_end():
    t_s = np.array([0.0, 10.0, 50.0, 100.0])
    result = overall(t_s, np.array([5.0, 5.0, 6.5, 6.03]), 0.0, 100.0, constant_rate(RATE))
    assert result.error_percent == pytest.approx(3.0)
    assert result.mean_flow_ul_per_h == pytest.approx(37.08)
    assert (result.used_s, result.share_used) == (100.0, 1.0)


def test_an_exclusion_takes_its_volume_and_its_time_out():
    t_s = np.arange(0.0, 101.0)
    volume = 0.0103 * t_s
    volume[50:] -= 40.0
    result = overall(t_s, volume, 0.0, 100.0, constant_rate(RATE), [Exclusion(49.0, 50.0, "mass fell")])
    assert result.error_percent == pytest.approx(3.0)
    assert result.share_used == pytest.approx(0.99)


@given(st.floats(0.0, 90.0), st.floats(0.1, 9.0))
def test_a_gap_with_the_vessel_untouched_removes_nothing(begin, length):
    """Delivery during a gap is weighed after it, however unevenly it came."""
    t_s = np.linspace(0.0, 100.0, 401)
    volume = 0.01 * t_s + 0.05 * np.sin(t_s / 7.0)
    kept = (t_s <= begin) | (t_s >= begin + length) | (t_s == 0.0) | (t_s == 100.0)
    whole = overall(t_s, volume, 0.0, 100.0, constant_rate(RATE))
    assert overall(t_s[kept], volume[kept], 0.0, 100.0, constant_rate(RATE)) == whole


def test_a_stopped_schedule_has_a_flow_but_no_error():
    result = overall(np.array([0.0, 10.0]), np.array([0.0, 0.1]), 0.0, 10.0, constant_rate(0.0))
    assert result.error_percent is None
    assert result.mean_flow_ul_per_h == pytest.approx(36.0)


def test_an_interval_outside_the_record_or_wholly_excluded_is_refused():
    t_s, volume = np.array([0.0, 10.0]), np.array([0.0, 0.1])
    with pytest.raises(RecordError, match="not from 0 s to 11 s"):
        overall(t_s, volume, 0.0, 11.0, constant_rate(RATE))
    with pytest.raises(RecordError, match="nothing is left"):
        overall(t_s, volume, 0.0, 10.0, constant_rate(RATE), [Exclusion(0.0, 10.0, "door")])


def test_flow_is_the_difference_of_volumes_over_the_interval():
    flow = flow_ul_per_h(grid([36.0, 72.0, 0.0], used=[True, False, True]))
    assert flow[0] == pytest.approx(36.0)
    assert np.isnan(flow[1])
    assert flow[2] == pytest.approx(0.0)


def test_start_up_ends_with_the_first_interval_whose_next_is_also_at_95_percent():
    assert startup_s(grid([0.0, 20.0, 34.2, 30.0, 34.3, 36.0]), 36.0) == 300.0
    assert startup_s(grid([36.0, 36.0]), 36.0) == 60.0


def test_exactly_95_percent_is_started():
    assert startup_s(grid([0.95 * 36.0] * 5), 36.0) == 60.0


def test_a_pulsed_pump_never_starts_in_intervals_that_are_no_whole_strokes():
    """Pulses: one interval of three is over 95 %."""
    pulsed = [0.0, 0.0, 0.0, 108.0, 0.0, 0.0, 108.0, 0.0, 0.0, 108.0]
    assert startup_s(grid(pulsed), 36.0) is None


@pytest.mark.parametrize("flow", [[0.0] * 10, [30.0] * 10, [0.0] * 9 + [36.0], [36.0]])
def test_a_pump_that_never_starts_or_not_for_long_enough_has_no_start_up_time(flow):
    assert startup_s(grid(flow), 36.0) is None


def test_excluded_intervals_do_not_start_a_pump():
    assert startup_s(grid([36.0, 36.0, 36.0, 36.0], used=[False, True, True, True]), 36.0) == 120.0


@given(st.floats(0.01, 0.5))
def test_an_exponential_start_ends_where_its_closed_form_says(rate_per_min):
    minutes = np.arange(0, 601)
    volume = 0.6 * (minutes - (1.0 - np.exp(-rate_per_min * minutes)) / rate_per_min)
    mean = np.diff(volume) / 0.6
    expected = 60.0 * (np.flatnonzero(mean >= 0.95)[0] + 1)
    assert startup_s(Grid(0.0, 60.0, volume, np.ones(600, bool)), 36.0) == expected


def record(rates_ul_per_h, hours=2.0):
    """Cumulative volume each second for rates that last so many hours each, and the expected volume function."""
    t_s = np.arange(0.0, len(rates_ul_per_h) * hours * HOUR_S + 1.0)
    edges = np.arange(len(rates_ul_per_h) + 1) * hours * HOUR_S
    total = np.concatenate([[0.0], np.cumsum(np.asarray(rates_ul_per_h) * hours)])
    return t_s, lambda t: np.interp(t, edges, total)


def test_each_segment_is_compared_with_what_was_programmed():
    t_s, expected = record([36.0, 72.0])
    delivered = np.where(t_s <= 7200.0, 1.02 * expected(t_s), 73.44 + 0.97 * (expected(t_s) - 72.0))
    parts = segment_delivery(t_s, delivered, [(0.0, 7200.0, "basal"), (7200.0, 14400.0, "basal")], expected, 0.1)
    assert [part.error_percent for part in parts] == pytest.approx([2.0, -3.0])
    assert [part.expected_ul for part in parts] == pytest.approx([72.0, 144.0])


def test_samples_near_an_edge_count_to_neither_segment():
    """The pump's clock is 100 s late; within 120 s of the edge nobody knows which rate was meant."""
    t_s, expected = record([36.0, 360.0])
    _, late = record([36.0, 360.0])
    delivered = late(np.maximum(t_s - 100.0, 0.0)) + 1.0
    segments = [(0.0, 7200.0, "basal"), (7200.0, 14400.0, "basal")]
    hard = segment_delivery(t_s, delivered, segments, expected, 0.1)
    soft = segment_delivery(t_s, delivered, segments, expected, 0.1, edge_s=120.0)
    assert abs(hard[1].error_percent) > 1.0
    assert [part.error_percent for part in soft] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert (soft[0].from_s, soft[0].to_s) == (120.0, 7080.0)


def test_a_segment_under_20_u_is_left_out_with_its_reason():
    t_s, expected = record([36.0, 0.0])
    parts = segment_delivery(t_s, expected(t_s), [(0.0, 7200.0, "basal"), (7200.0, 14400.0, "stopped")], expected, 3.7)
    assert [part.error_percent for part in parts] == [None, None]
    assert [part.left_out for part in parts] == ["expected 72 uL is under 20 u of 3.7 uL", "nothing is expected"]


def test_a_segment_respects_exclusions_and_what_was_not_recorded():
    t_s, expected = record([36.0])
    touched = np.where(t_s >= 3600.0, expected(t_s) - 500.0, expected(t_s))
    parts = segment_delivery(
        t_s,
        touched,
        [(0.0, 7200.0, "basal"), (8000.0, 9000.0, "basal")],
        expected,
        0.1,
        exclusions=[Exclusion(3599.0, 3600.0, "mass fell")],
    )
    assert parts[0].error_percent == pytest.approx(0.0, abs=1e-9)
    assert parts[1].left_out == "nothing of it was recorded"


BOLUSES = [(7200.0, 7800.0, 50.0, "single"), (14400.0, 15000.0, 50.0, "single")]


def with_boluses(sizes, basal=36.0):
    t_s = np.arange(0.0, 21601.0)
    volume = basal / HOUR_S * t_s
    for (begin, end, _, _), size in zip(BOLUSES, sizes, strict=True):
        volume = volume + size * np.clip((t_s - begin) / (end - begin), 0.0, 1.0)
    return t_s, volume


@given(st.floats(10.0, 100.0), st.floats(10.0, 100.0), st.floats(1.0, 100.0), st.floats(0.0, 30.0))
def test_a_bolus_is_what_came_beyond_the_basal_rate(first, second, basal, edge_s):
    t_s, volume = with_boluses([first, second], basal)
    parts = bolus_delivery(t_s, volume, BOLUSES, 0.1, edge_s=edge_s)
    assert [part.delivered_ul for part in parts] == pytest.approx([first, second])
    assert [part.basal_ul_per_h for part in parts] == pytest.approx([basal, basal])
    assert [part.error_percent for part in parts] == pytest.approx([2 * first - 100, 2 * second - 100], abs=1e-6)


def test_the_basal_rate_is_that_of_the_last_half_between_boluses():
    """After a bolus the flow is wrong for half an hour; the last half of the hour and a half does not see it."""
    t_s, volume = with_boluses([50.0, 50.0])
    volume = volume + 20.0 * np.clip((t_s - 7860.0) / 1800.0, 0.0, 1.0)
    second = bolus_delivery(t_s, volume, BOLUSES, 0.1)[1]
    assert second.basal_ul_per_h == pytest.approx(36.0)
    assert second.basal_s == pytest.approx((14400.0 - 7860.0) / 2.0)
    assert second.delivered_ul == pytest.approx(50.0)


def test_boluses_that_cannot_be_judged_say_why():
    t_s, volume = with_boluses([50.0, 50.0])
    late = [(7200.0, 7800.0, 50.0, "single"), (7700.0, 8300.0, 50.0, "patient"), (21500.0, 22100.0, 50.0, "single")]
    reasons = [part.left_out for part in bolus_delivery(t_s, volume, late, 0.1)]
    assert reasons == [
        "the next one began before its end",
        "no basal flow was recorded before it",
        "its end was not recorded",
    ]
    small = bolus_delivery(t_s, volume, BOLUSES, 10.0)
    assert [part.left_out for part in small] == ["expected 50 uL is under 20 u of 10 uL"] * 2
    excluded = bolus_delivery(t_s, volume, BOLUSES, 0.1, exclusions=[Exclusion(7500.0, 7501.0, "door")])
    assert [part.left_out for part in excluded] == ["part of it is excluded", ""]


def test_the_sums_of_a_resampled_record_are_those_of_the_record():
    t_s = np.cumsum(np.random.Generator(np.random.Philox(5)).uniform(0.5, 20.0, 500))
    volume = np.cumsum(np.random.Generator(np.random.Philox(6)).uniform(0.0, 1.0, 500))
    on_grid = resample(t_s, volume, 10.0, float(t_s[0]), float(t_s[-1]))
    used = on_grid.t_s[-1]
    total = np.interp(used, t_s, volume) - volume[0]
    assert np.sum(flow_ul_per_h(on_grid)) * 10.0 / HOUR_S == pytest.approx(total)
