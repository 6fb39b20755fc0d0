"""Settings on the grid: those that jump, those that move evenly, and those that a fault holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.simulation.grid import FREE, Forced, Timeline, Track


def test_a_ramp_has_its_mean_in_each_interval_and_arrives_on_the_grid():
    track = Track(1.0)
    track.ramp(10, 2.0, 1.0)

    assert track.over(8, 22).tolist() == pytest.approx([1, 1, *(1.05 + 0.1 * i for i in range(10)), 2, 2])
    assert track.changes(0, 100) == [10, 20]


def test_a_ramp_that_does_not_fit_the_grid_is_slower_than_asked():
    track = Track(0.0)
    track.ramp(0, 1.0, 4.0)  # 2.5 intervals

    assert track.over(0, 4).tolist() == pytest.approx([1 / 6, 0.5, 5 / 6, 1.0])


def test_a_new_command_takes_over_where_the_ramp_is():
    turned, stopped = Track(0.0), Track(0.0)
    for track in (turned, stopped):
        track.ramp(0, 10.0, 10.0)
    turned.ramp(5, 0.0, 20.0)
    stopped.set(5, 7.0)

    assert turned.over(3, 9).tolist() == pytest.approx([3.5, 4.5, 4.0, 2.0, 0.5, 0.0], abs=0.51)
    assert turned.next_change(8) is None
    assert stopped.over(4, 15).tolist() == pytest.approx([4.5, *[7.0] * 10])


def test_a_ramp_to_where_it_already_is_does_not_hold_up_the_next_one():
    track = Track(1.0)
    track.ramp(10, 1.0, 1.0)
    track.ramp(10, 2.0, 1.0)

    assert track.over(8, 22).tolist() == pytest.approx([1, 1, *(1.05 + 0.1 * i for i in range(10)), 2, 2])


def test_what_is_already_known_for_later_cuts_a_ramp_short():
    track = Track(0.0)
    track.set(5, 3.0)
    track.ramp(0, 10.0, 10.0)
    track.set(2, 2.0)  # takes the place of the ramp, not of the later jump

    assert track.over(0, 7).tolist() == pytest.approx([0.5, 1.5, 2, 2, 2, 3, 3])


moves = st.lists(st.tuples(st.integers(0, 40), st.floats(-5.0, 5.0), st.none() | st.floats(0.5, 50.0)), max_size=6)


@given(moves=moves, cut=st.integers(1, 59))
def test_a_track_read_in_parts_is_the_track_read_at_once(moves, cut):
    track = Track(1.0)
    for k, value, rate in sorted(moves, key=lambda move: move[0]):
        track.set(k, value) if rate is None else track.ramp(k, value, rate)
    whole = track.over(-1, 60)

    assert np.array_equal(np.concatenate([track.over(-1, cut), track.over(cut, 60)]), whole)
    assert [track.at(k) for k in range(-1, 60)] == pytest.approx(whole.tolist(), abs=1e-12)


@given(moves=moves, last=st.tuples(st.just(40), st.sampled_from([0.0, 1.0, 2.0]), st.none() | st.just(1.0)))
def test_the_last_command_is_the_one_that_is_obeyed(moves, last):
    track = Track(1.0)
    levels = [(k, float(round(value)), rate) for k, value, rate in sorted(moves, key=lambda move: move[0])]
    for k, value, rate in (*levels, last):
        track.set(k, value) if rate is None else track.ramp(k, value, rate)

    assert track.at(1000) == last[1]


@given(moves=moves)
def test_between_jumps_a_track_never_moves_faster_than_it_was_told(moves):
    track, told = Track(0.0), {}
    for k, value, rate in sorted(moves, key=lambda move: move[0]):
        if rate is not None:
            track.ramp(k, value, rate)
            told[k] = rate
    for leg in track.legs():
        if leg.slope:
            assert abs(leg.slope) * 10.0 <= max(told[k] for k in told if k <= leg.start) + 1e-9


def test_a_fault_holds_what_is_commanded_and_lets_it_go():
    commanded, held = Timeline(1.0), Timeline(FREE)
    commanded.set(10, 0.0)
    held.set(5, 1.0)
    held.set(20, FREE)
    forced = Forced(commanded, held)

    assert [forced.at(k) for k in (0, 5, 10, 19, 20)] == [1.0, 1.0, 1.0, 1.0, 0.0]
    assert forced.over(0, 25).tolist() == [1.0] * 20 + [0.0] * 5
    assert forced.changes(0, 25) == [5, 10, 20]
