import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.analysis import trumpet as module
from protocols.analysis.grid import RecordError
from protocols.analysis.trumpet import (
    default_windows_s,
    extremes_of_a_perfect_pump,
    prefix_counts,
    trumpet,
)

MINUTE_S = 60.0
IEC = [1, 2, 5, 11, 19, 31]
AMBULATORY = [15, 60, 150, 330, 570, 930]


def cumulative(flow_ul_per_h, interval_s):
    return np.concatenate([[0.0], np.cumsum(np.asarray(flow_ul_per_h) * interval_s / 3600.0)])


def percent(flow_ml_per_h, rate_ml_per_h, interval_min, windows_min):
    """Extremes in percent for a list of flows."""
    volume = cumulative(np.asarray(flow_ml_per_h) * 1000.0, interval_min * MINUTE_S)
    points = trumpet(volume, interval_min * MINUTE_S, rate_ml_per_h * 1000.0, [p * MINUTE_S for p in windows_min])
    return [(f"{point.ep_max_percent:.6f}", f"{point.ep_min_percent:.6f}") for point in points]


INDEX = np.arange(1, 121)


def test_vector_1_a_constant_flow_shows_its_error_in_every_window():
    assert percent(np.full(120, 10.3), 10.0, 0.5, IEC) == [("3.000000", "3.000000")] * 6


def test_vector_2_a_ramp():
    expected = [
        ("5.975000", "0.075000"),
        ("5.925000", "0.125000"),
        ("5.775000", "0.275000"),
        ("5.475000", "0.575000"),
        ("5.075000", "0.975000"),
        ("4.475000", "1.575000"),
    ]
    assert percent(10.0 * (1.0 + 0.0005 * INDEX), 10.0, 0.5, IEC) == expected


def test_vector_3_pulses_alias_with_the_window():
    expected = [
        ("250.000000", "-100.000000"),
        ("75.000000", "-100.000000"),
        ("40.000000", "-30.000000"),
        ("27.272727", "-4.545455"),
        ("10.526316", "-7.894737"),
        ("1.612903", "-9.677419"),
    ]
    assert percent(np.where(INDEX % 7 == 0, 70.0, 0.0), 10.0, 0.5, IEC) == expected


def test_vector_4_a_sine():
    sizes = ["9.938442", "9.816083", "8.984644", "5.704441", "0.523076", "2.024156"]
    flow = 10.0 * (1.0 + 0.1 * np.sin(2.0 * np.pi * INDEX / 40.0))
    assert percent(flow, 10.0, 0.5, IEC) == [(size, f"-{size}") for size in sizes]


def test_vector_5_an_ambulatory_pump():
    index = np.arange(1, 101)
    flow = (1.0 + 0.02 * np.sin(2.0 * np.pi * index / 96.0)) / 24.0
    expected = [
        ("2.000000", "-2.000000"),
        ("1.993581", "-1.993581"),
        ("1.963792", "-1.963792"),
        ("1.830994", "-1.830994"),
        ("1.522406", "-1.522406"),
        ("0.779826", "-0.872425"),
    ]
    assert percent(flow, 1.0 / 24.0, 15.0, AMBULATORY) == expected


def test_the_number_of_windows_is_that_of_the_standard():
    hour = trumpet(cumulative(np.ones(120), 30.0), 30.0, 1.0, [p * MINUTE_S for p in IEC])
    day = trumpet(cumulative(np.ones(100), 900.0), 900.0, 1.0, [p * MINUTE_S for p in AMBULATORY])
    assert [point.windows for point in hour] == [119, 117, 111, 99, 83, 59]
    assert [point.windows_used for point in day] == [100, 97, 91, 79, 63, 39]


@given(st.integers(2, 60), st.integers(1, 40), st.floats(0.01, 0.5), st.floats(0.0, 6.28))
def test_a_sine_closed_form(period, count, amplitude, phase):
    """A mean over n samples of a sine is the sine times sin(pi n/K)/(n sin(pi/K))."""
    index = np.arange(1, 20 * period + count)
    flow = 1.0 + amplitude * np.sin(2.0 * np.pi * index / period + phase)
    point = trumpet(cumulative(flow, 1.0), 1.0, 1.0, [float(count)])[0]
    gain = math.sin(math.pi * count / period) / (count * math.sin(math.pi / period))
    middles = (np.arange(index.size - count + 1) + 1 + (count - 1) / 2.0) * 2.0 * np.pi / period + phase
    errors = 100.0 * amplitude * gain * np.sin(middles)
    assert point.ep_max_percent == pytest.approx(errors.max(), abs=1e-6)
    assert point.ep_min_percent == pytest.approx(errors.min(), abs=1e-6)


@given(st.integers(2, 12), st.integers(1, 50))
def test_a_pulse_train_closed_form(period, count):
    flow = np.where(np.arange(1, 20 * period + 1) % period == 0, float(period), 0.0)
    point = trumpet(cumulative(flow, 1.0), 1.0, 1.0, [float(min(count, flow.size))])[0]
    count = min(count, flow.size)
    if count <= flow.size - period:
        assert point.ep_max_percent == pytest.approx(
            100.0 * (math.ceil(count / period) * period / count - 1.0), abs=1e-9
        )
        assert point.ep_min_percent == pytest.approx(
            100.0 * (math.floor(count / period) * period / count - 1.0), abs=1e-9
        )


@given(st.integers(1, 30), st.floats(-50.0, 50.0), st.floats(-50.0, 50.0))
def test_a_step_closed_form(count, before, after):
    """Windows before and after a step see one error each, those across it something between."""
    flow = np.concatenate([np.full(40, 1.0 + before / 100.0), np.full(40, 1.0 + after / 100.0)])
    point = trumpet(cumulative(flow, 1.0), 1.0, 1.0, [float(count)])[0]
    assert point.ep_max_percent == pytest.approx(max(before, after), abs=1e-9)
    assert point.ep_min_percent == pytest.approx(min(before, after), abs=1e-9)


@given(st.integers(1, 20), st.floats(-0.05, 0.05))
def test_a_ramp_closed_form(count, slope):
    flow = 1.0 + slope * np.arange(1, 101)
    point = trumpet(cumulative(flow, 1.0), 1.0, 1.0, [float(count)])[0]
    ends = (100.0 * slope * (1.0 + (count - 1) / 2.0), 100.0 * slope * (100.0 - (count - 1) / 2.0))
    assert (point.ep_min_percent, point.ep_max_percent) == pytest.approx((min(ends), max(ends)), abs=1e-9)


def brute_force(volume, count, rate, interval_s, used):
    """The standard's formula, window by window, from the flows of single intervals."""
    flows = [3600.0 * (b - a) / interval_s for a, b in pairwise(volume)]
    errors = []
    for j in range(len(flows) - count + 1):
        if all(used[j : j + count]):
            errors.append(sum(100.0 * (q - rate) / rate for q in flows[j : j + count]) / count)
    return errors


records = st.lists(st.floats(-2.0, 5.0), min_size=3, max_size=40)


@given(records, st.integers(1, 12), st.floats(0.1, 1e4), st.floats(0.1, 1e3), st.data())
def test_the_trumpet_is_that_of_a_brute_force_search(steps, count, rate, interval_s, data):
    volume = np.concatenate([[0.0], np.cumsum(steps)])
    used = np.array(data.draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps))))
    count = min(count, len(steps))
    point = trumpet(volume, interval_s, rate, [count * interval_s], used=used)[0]
    expected = brute_force(volume.tolist(), count, rate, interval_s, used.tolist())
    assert point.windows_used == len(expected)
    if expected:
        # Both ways round at the size of the cumulative volume, in percent of the volume expected in a window.
        close = 1e-10 * (1.0 + abs(volume).max() / (rate * count * interval_s / 3600.0)) * 100.0
        assert point.ep_max_percent == pytest.approx(max(expected), rel=1e-9, abs=close)
        assert point.ep_min_percent == pytest.approx(min(expected), rel=1e-9, abs=close)
    else:
        assert (point.ep_max_percent, point.ep_min_percent) == (None, None)


@given(records, st.integers(1, 12))
def test_the_largest_error_is_never_below_the_smallest(steps, count):
    volume = np.concatenate([[0.0], np.cumsum(steps)])
    point = trumpet(volume, 1.0, 1.0, [float(min(count, len(steps)))])[0]
    assert point.ep_max_percent >= point.ep_min_percent


@given(records, st.integers(1, 6), st.integers(1, 6))
def test_where_the_window_divides_the_period_the_overall_error_lies_inside(steps, count, times):
    steps = (steps * 12)[: count * times]
    volume = np.concatenate([[0.0], np.cumsum(steps)])
    overall = 100.0 * (volume[-1] * 3600.0 / (count * times) - 1.0)
    point = trumpet(volume, 1.0, 1.0, [float(count)])[0]
    close = 1e-9 * (1.0 + abs(overall))
    assert point.ep_min_percent - close <= overall <= point.ep_max_percent + close


@given(records, st.integers(1, 12), st.integers(-3, 3), st.integers(-(10**6), 10**6))
def test_neither_a_common_factor_nor_water_in_the_vessel_beforehand_changes_anything(steps, count, power, water):
    counts = np.concatenate([[0], np.cumsum(np.round(np.array(steps) * 1000.0))]).astype(np.int64)
    window = [float(min(count, len(steps)))]
    factor = 2.0**power
    plain = trumpet(counts, 1.0, 3600.0, window, unit_ul=0.001)
    assert trumpet(counts + water, 1.0, 3600.0, window, unit_ul=0.001) == plain
    assert trumpet(counts, 1.0, 3600.0 * factor, window, unit_ul=0.001 * factor) == plain


def test_one_sample_windows_give_the_extremes_of_the_flow():
    steps = np.random.Generator(np.random.Philox(3)).uniform(0.5, 1.5, 200)
    point = trumpet(cumulative(steps, 3600.0), 3600.0, 1.0, [3600.0])[0]
    assert (point.ep_max_percent, point.ep_min_percent) == pytest.approx(
        (100 * (steps.max() - 1), 100 * (steps.min() - 1))
    )


def test_a_gap_takes_out_every_window_that_touches_it_and_no_other():
    used = np.ones(20, dtype=bool)
    used[8:10] = False
    volume = cumulative(np.where(used, 1.0, 50.0), 1.0)
    points = trumpet(volume, 1.0, 1.0, [1.0, 4.0, 10.0], used=used)
    assert [(point.windows, point.windows_used) for point in points] == [(20, 18), (17, 12), (11, 1)]
    assert all(point.ep_max_percent == pytest.approx(0.0, abs=1e-9) for point in points)


def test_blocks_do_not_show(monkeypatch):
    volume = cumulative(np.random.Generator(np.random.Philox(4)).uniform(0.5, 1.5, 5000), 1.0)
    whole = trumpet(volume, 1.0, 1.0, [1.0, 7.0, 100.0, 4999.0, 5000.0])
    monkeypatch.setattr(module, "BLOCK", 64)
    assert trumpet(volume, 1.0, 1.0, [1.0, 7.0, 100.0, 4999.0, 5000.0]) == whole


@pytest.mark.parametrize("size", [9, 10, 11, 12])
def test_no_window_is_lost_between_blocks(monkeypatch, size):
    monkeypatch.setattr(module, "BLOCK", 3)
    for position in range(size):
        flow = np.where(np.arange(size) == position, 5.0, 1.0)
        points = trumpet(cumulative(flow, 3600.0), 3600.0, 1.0, [3600.0, 7200.0])
        assert [point.ep_max_percent for point in points] == pytest.approx([400.0, 200.0])


def test_integer_counts_are_exact_where_floats_are_not():
    counts = np.full(1_000_000, 3, dtype=np.int32)
    exact = trumpet(prefix_counts(counts), 1.0, 0.3 * 3600.0, [1.0, 1000.0], unit_ul=0.1)
    assert all(point.ep_max_percent == point.ep_min_percent for point in exact)
    rounded = trumpet(np.concatenate([[0.0], np.cumsum(counts * 0.1)]), 1.0, 0.3 * 3600.0, [1.0])[0]
    assert rounded.ep_max_percent > rounded.ep_min_percent


def test_default_windows_follow_the_interval():
    assert default_windows_s(30.0) == tuple(p * MINUTE_S for p in IEC)
    assert default_windows_s(900.0) == tuple(p * MINUTE_S for p in AMBULATORY)


@pytest.mark.parametrize(
    ("rate", "window_s", "message"),
    [(0.0, 1.0, "set rate above 0"), (1.0, 1.5, "not a whole number"), (1.0, 11.0, "longer than the 10 s analysed")],
)
def test_what_cannot_be_computed_is_refused(rate, window_s, message):
    with pytest.raises(RecordError, match=message):
        trumpet(np.arange(11.0), 1.0, rate, [window_s])


def test_noise_alone_gives_a_perfect_pump_a_trumpet():
    """0.02 mg of noise at 0.1 mL/day: the largest of 100 quarter-hour errors is +7 % on average."""
    (high, low), (longest, _) = extremes_of_a_perfect_pump(100, 900.0, 100.0 / 24.0, [900.0, 55800.0], 0.02, draws=400)
    assert high == pytest.approx(7.0, abs=0.5)
    assert low == pytest.approx(-high, abs=0.3)
    assert longest < 0.2


@given(st.integers(0, 2**32))
@settings(max_examples=5)
def test_the_monte_carlo_is_the_same_for_the_same_seed(seed):
    arguments = (20, 900.0, 4.0, [900.0], 0.02, 3, seed)
    assert extremes_of_a_perfect_pump(*arguments) == extremes_of_a_perfect_pump(*arguments)
