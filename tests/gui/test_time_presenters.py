"""Which stretch of time is shown, its ticks, and a range of values that does not jitter; without Qt."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gui.presenters.numbers import PlainNumbers
from gui.presenters.time_axis import (
    DAY_S,
    HOUR_S,
    LOOSE,
    decade_ticks,
    moment,
    multiples,
    settled,
    step_of,
    tick_texts,
    time_step,
    unit_of,
)
from gui.presenters.time_view import TimeView

VALUES = st.floats(-1e6, 1e6)


def live(last: float = 1000.0, window_s: float | None = None) -> TimeView:
    view = TimeView()
    view.follow(window_s)
    view.has_come(0.0, last)
    return view


@pytest.mark.parametrize(
    ("span_s", "unit"), [(60.0, "s"), (600.0, "min"), (6.7 * HOUR_S, "h"), (47 * HOUR_S, "h"), (30 * DAY_S, "d")]
)
def test_a_stretch_of_time_is_told_in_the_unit_that_suits_it(span_s: float, unit: str) -> None:
    assert unit_of(span_s) == unit


@given(st.floats(1e-2, 1e8), st.integers(2, 20))
def test_there_are_never_more_ticks_than_have_room_and_one_step_on_there_would_be(span_s: float, most: int) -> None:
    assert span_s / time_step(span_s, most) <= most
    assert span_s / step_of(span_s, most) <= most * (1 + 1e-6)
    assert span_s / step_of(span_s, most) >= most / 2.5 * (1 - 1e-6)


@given(VALUES, st.floats(1e-3, 1e6), st.integers(2, 12))
def test_ticks_differ_as_they_are_written(low: float, span: float, most: int) -> None:
    assume(span > abs(low) * 1e-6)
    step = step_of(span, most)
    texts = tick_texts(multiples(low, low + span, step), step, PlainNumbers())
    assert len(set(texts)) == len(texts)


def test_zero_has_no_minus_and_minus_is_a_minus() -> None:
    assert tick_texts([-0.5, -0.0, 0.5], 0.5, PlainNumbers()) == ["−0.5", "0.0", "0.5"]


def test_decades_are_cut_at_1_2_and_5() -> None:
    assert decade_ticks(2.0, 60.0) == [2.0, 5.0, 10.0, 20.0, 50.0]


@pytest.mark.parametrize(
    ("t", "span_s", "said"),
    [
        (9000.4, 3600.0, "02:30:00"),
        (90061.0, DAY_S, "1 d 01:01:01"),
        (1.25, 5.0, "00:00:01.250"),
        (-5, 60, "−00:00:05.0"),
    ],
)
def test_a_moment_is_told_as_finely_as_it_is_seen(t: float, span_s: float, said: str) -> None:
    assert moment(t, span_s) == said


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=20))
def test_a_range_of_values_shows_every_extreme_and_is_never_half_empty(pairs: list[tuple[float, float]]) -> None:
    now: tuple[float, float] | None = None
    for first, second in pairs:
        low, high = sorted((first, second))
        now = settled(now, low, high)
        assert now[0] <= low <= high <= now[1]
        if high - low > max(1e-3 * max(abs(low), abs(high)), 1e-9):
            assert high - low >= 0.4 * (now[1] - now[0])


def test_a_curve_that_grows_by_little_keeps_its_range() -> None:
    now, changes = settled(None, 0.0, 1.0), 0
    for step in range(1000):
        after = settled(now, 0.0, 1.0 + step / 1000.0)
        changes += after != now
        now = after
    assert 1 < changes < 8
    assert settled(now, 0.0, LOOSE * (now[1] - now[0]) * 1.01) == now


def test_a_constant_has_a_range_with_it_in_the_middle() -> None:
    low, high = settled(None, 37.0, 37.0)
    assert low < 37.0 < high
    assert math.isclose((low + high) / 2.0, 37.0)


def test_all_is_followed_in_steps_that_leave_room_for_what_comes() -> None:
    view, changes = live(), 0
    view.listen(lambda: changes_add())

    def changes_add() -> None:
        nonlocal changes
        changes += 1

    for last in range(1000, 2000):
        view.has_come(0.0, float(last))
        assert view.t0 == 0.0
        assert last <= view.t1 <= 1.2 * last
    assert changes < 30


@pytest.mark.parametrize("window_s", [600.0, 3600.0])
def test_a_window_that_is_followed_holds_the_newest_sample_and_so_much_before_it(window_s: float) -> None:
    view = live(1e5, window_s)
    for last in range(100_000, 101_000, 7):
        view.has_come(0.0, float(last))
        assert view.t0 <= last - 0.9 * window_s
        assert last <= view.t1
        assert view.span_s == pytest.approx(window_s * 1.05)


def test_what_a_person_zooms_to_stays_until_they_go_back_to_live() -> None:
    view = live(1000.0, 600.0)
    view.show(100.0, 200.0)
    view.has_come(0.0, 5000.0)
    assert (view.t0, view.t1, view.is_following) == (100.0, 200.0, False)
    view.back_to_live()
    assert view.is_following
    assert view.t1 >= 5000.0 > view.t0 >= 4300.0


def test_what_is_held_stands_still_and_catches_up_when_let_go() -> None:
    view = live()
    view.hold(True)
    before = (view.t0, view.t1)
    view.has_come(0.0, 5000.0)
    assert (view.t0, view.t1) == before
    view.hold(False)
    assert view.t1 >= 5000.0


def test_a_zoom_keeps_the_moment_under_the_mouse_where_it_is() -> None:
    view = live()
    view.show(0.0, 100.0)
    view.zoom(0.5, around=20.0)
    assert (view.t0, view.t1) == (10.0, 60.0)
    view.zoom(2.0, around=20.0)
    assert (view.t0, view.t1) == (0.0, 100.0)


@given(st.lists(st.floats(0.01, 100.0), max_size=40))
def test_no_zoom_loses_the_view(factors: list[float]) -> None:
    view = live()
    for factor in factors:
        view.zoom(factor)
        assert math.isfinite(view.t0)
        assert view.t1 > view.t0


def test_another_run_begins_with_everything_followed_from_zero() -> None:
    view = live()
    view.show(5.0, 6.0)
    view.point_at(5.5)
    view.forget()
    assert (view.reach, view.cursor, view.is_following) == (None, None, True)
    view.has_come(0.0, 10.0)
    assert view.t1 < 100.0
