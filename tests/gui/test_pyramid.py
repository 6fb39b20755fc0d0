"""A curve of any length is drawn with as many points as there are pixels, and loses no extreme."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.samples import FloatArray
from gui.plots.pyramid import SMALLEST, Pyramid, thinned

COLUMNS = st.integers(2, 60)


@st.composite
def samples(draw: st.DrawFn, most: int = 4000) -> tuple[FloatArray, FloatArray]:
    """Samples with gaps in time, with a rate that changes, with stretches of NaN."""
    count = draw(st.integers(1, most))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = random.choice([0.1, 1.0], count) if draw(st.booleans()) else np.full(count, 0.1)
    if draw(st.booleans()):
        steps[: count // 2] *= 100.0
    y = random.normal(0.0, 1.0, count)
    for _ in range(draw(st.integers(0, 3))):
        begin = int(random.integers(0, count))
        y[begin : begin + int(random.integers(1, count + 1))] = np.nan
    return np.cumsum(steps), y


def grown(t: FloatArray, y: FloatArray, capacity: int = 1 << 16, block: int = 97) -> Pyramid:
    curve = Pyramid(capacity)
    for begin in range(0, len(t), block):
        curve.extend(t[begin : begin + block], y[begin : begin + block])
    return curve


def window(t: FloatArray, shares: tuple[float, float]) -> tuple[float, float]:
    low, high = sorted(shares)
    length = float(t[-1] - t[0]) + 1.0
    return float(t[0]) - 0.1 * length + 1.2 * low * length, float(t[0]) - 0.1 * length + 1.2 * high * length


SHARES = st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0))


def least_and_largest(y: FloatArray) -> tuple[float, float] | None:
    known = y[~np.isnan(y)]
    return (float(known.min()), float(known.max())) if len(known) else None


@given(samples(), SHARES, COLUMNS)
def test_no_extreme_of_any_window_is_lost(
    made: tuple[FloatArray, FloatArray], shares: tuple[float, float], columns: int
) -> None:
    t, y = made
    t0, t1 = window(t, shares)
    curve, inside = grown(t, y), (t >= t0) & (t <= t1)
    expected = least_and_largest(y[inside])
    assert curve.extremes(t0, t1) == expected
    drawn = curve.view(t0, t1, columns)
    if expected is not None:
        shown = least_and_largest(drawn.y)
        assert shown is not None
        assert shown[0] <= expected[0]
        assert shown[1] >= expected[1]
        assert set(drawn.y[~np.isnan(drawn.y)]) <= set(y)  # and nothing is invented


@given(samples(), SHARES, COLUMNS)
def test_a_view_is_in_order_of_time_with_about_two_points_a_column(
    made: tuple[FloatArray, FloatArray], shares: tuple[float, float], columns: int
) -> None:
    t, y = made
    drawn = grown(t, y).view(*window(t, shares), columns)
    assert len(drawn.x) == len(drawn.y) <= 2 * columns + 48
    assert np.all(np.diff(drawn.x) >= 0.0)
    assert set(drawn.x) <= set(t)


@given(samples(), SHARES)
def test_a_window_of_few_samples_is_shown_as_it_is_with_one_sample_more_on_either_side(
    made: tuple[FloatArray, FloatArray], shares: tuple[float, float]
) -> None:
    t, y = made
    t0, t1 = window(t, shares)
    begin, end = max(int(np.searchsorted(t, t0)) - 1, 0), int(np.searchsorted(t, t1, side="right")) + 1
    drawn = grown(t, y).view(t0, t1, len(t))
    assert drawn.exact
    np.testing.assert_array_equal(drawn.x, t[begin:end])
    np.testing.assert_array_equal(drawn.y, y[begin:end])


@given(samples(), st.integers(1, 500), st.integers(1, 500))
def test_the_size_of_blocks_changes_nothing(made: tuple[FloatArray, FloatArray], first: int, second: int) -> None:
    t, y = made
    one, other = (grown(t, y, block=block).view(t[0], t[-1], 20) for block in (first, second))
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(one.y, other.y)


@given(samples(20000), st.integers(1, 3000))
def test_memory_is_bounded_and_thinning_keeps_the_extremes_and_the_order(
    made: tuple[FloatArray, FloatArray], block: int
) -> None:
    t, y = made
    curve = grown(t, y, 256, block)
    assert len(curve) <= 256
    assert curve.bytes <= 256 * 20
    assert curve.extremes(float(t[0]), float(t[-1])) == least_and_largest(y)
    shown = curve.view(float(t[0]), float(t[-1]), 1000)
    assert np.all(np.diff(shown.x) > 0.0)
    newest = 256 // 8
    np.testing.assert_array_equal(shown.y[-newest:], y[-newest:][-len(shown.y) :])


@pytest.mark.parametrize(("count", "capacity"), [(3_000, 1024), (50_000, 1024), (500_000, 4096)])
def test_after_any_length_the_old_is_kept_at_one_density(count: int, capacity: int) -> None:
    t = np.arange(count, dtype=np.float64)
    curve = grown(t, np.sin(t), capacity, capacity // 4)
    x = curve.view(0.0, 0.5 * count, 4000).x
    shares, _ = np.histogram(x, 8, (0.0, 0.5 * count))
    assert shares.min() > 0.4 * shares.max() > 8


def test_a_stretch_without_usable_samples_breaks_the_curve_at_every_zoom() -> None:
    t = np.arange(100_000, dtype=np.float64)
    y = np.where((t > 40_000) & (t < 60_000), np.nan, 1.0)
    curve = grown(t, y)
    for t0, t1 in ((0.0, 1e5), (3.9e4, 6.1e4), (4.5e4, 5.5e4)):
        drawn = curve.view(t0, t1, 200)
        middle = drawn.y[(drawn.x > 41_000) & (drawn.x < 59_000)]
        assert len(middle)
        assert np.isnan(middle).all()


def test_a_rare_curve_stays_as_it_is_beside_a_dense_stretch() -> None:
    slow, fast = np.arange(0.0, 72_000.0, 1000.0), 72_000.0 + np.arange(0.0, 3600.0, 0.1)
    curve = Pyramid()
    curve.extend(np.concatenate((slow, fast)), np.concatenate((np.arange(72.0), np.zeros(len(fast)))))
    drawn = curve.view(0.0, 75_600.0, 1000)
    np.testing.assert_array_equal(drawn.x[:72], slow)
    assert len(drawn.x) < 2000


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=60))
def test_of_four_samples_the_smallest_and_the_largest_stay_at_their_own_times(values: list[float]) -> None:
    t, y = np.arange(len(values), dtype=np.float64), np.asarray(values)
    kept_t, kept_y = thinned(t, y)
    assert np.all(np.diff(kept_t) > 0)
    np.testing.assert_array_equal(kept_y, y[kept_t.astype(int)])
    for four in range(0, len(y) // 4 * 4, 4):
        kept = kept_y[(kept_t >= four) & (kept_t < four + 4)]
        assert len(kept) == 2
        assert least_and_largest(kept) == least_and_largest(y[four : four + 4])


def test_a_moment_is_read_at_the_nearest_sample_or_at_the_last_before_it() -> None:
    curve = grown(np.array([1.0, 2.0, 4.0]), np.array([10.0, 20.0, 40.0]))
    assert curve.at(3.2) == (4.0, 40.0)
    assert curve.at(3.9, before=True) == (2.0, 20.0)
    assert curve.at(0.5, before=True) is None
    assert curve.at(2.0, before=True) == (2.0, 20.0)
    assert curve.last == (4.0, 40.0)
    assert Pyramid().at(1.0) is None


def test_a_value_is_read_as_it_was_taken() -> None:
    mass_mg = 123_456.78
    curve = grown(np.array([0.0]), np.array([mass_mg]))
    assert curve.at(0.0) == (0.0, mass_mg)


@pytest.mark.parametrize("capacity", [0, 100, SMALLEST // 2])
def test_a_capacity_that_is_no_power_of_two_is_told(capacity: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Pyramid(capacity)
