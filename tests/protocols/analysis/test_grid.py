import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checks import Exclusion
from protocols.analysis.grid import (
    RecordError,
    change,
    check_record,
    gaps,
    kept,
    long_spacings,
    resample,
    touched,
    whole_intervals,
)


def test_mass_is_interpolated_and_rates_are_not_averaged():
    """10 mg in the first second and nothing after: an average of the rates of samples would say 5 mg a second."""
    grid = resample(np.array([0.0, 1.0, 9.0, 10.0]), np.array([0.0, 10.0, 10.0, 20.0]), 5.0, 0.0, 10.0)
    assert grid.values == pytest.approx([0.0, 10.0, 20.0])


def test_samples_on_the_grid_stay_what_they_are():
    t_s = np.arange(121) * 30.0
    values = np.random.Generator(np.random.Philox(1)).standard_normal(121)
    assert (resample(t_s, values, 30.0, 0.0, 3600.0).values == values).all()


def test_the_grid_begins_at_start_and_ends_with_the_last_whole_interval():
    grid = resample(np.array([0.0, 100.0]), np.array([0.0, 100.0]), 30.0, 5.0, 99.0)
    assert grid.t_s == pytest.approx([5.0, 35.0, 65.0, 95.0])
    assert grid.length_s == 90.0


@pytest.mark.parametrize(
    ("start_s", "end_s", "interval_s", "message"),
    [
        (-1.0, 50.0, 5.0, "choose start and end inside"),
        (0.0, 101.0, 5.0, "inside"),
        (0.0, 4.0, 5.0, "shorter than one"),
    ],
)
def test_a_grid_outside_the_record_is_refused(start_s, end_s, interval_s, message):
    with pytest.raises(RecordError, match=message):
        resample(np.array([0.0, 100.0]), np.array([0.0, 1.0]), interval_s, start_s, end_s)


def test_only_intervals_that_overlap_an_exclusion_are_touched():
    points = np.arange(6) * 10.0
    assert touched(points, [Exclusion(10.0, 20.0, "")]).tolist() == [False, True, False, False, False]
    assert touched(points, [Exclusion(19.0, 21.0, "")]).tolist() == [False, True, True, False, False]
    assert touched(points, [Exclusion(-5.0, 1.0, ""), Exclusion(49.0, 90.0, "")]).tolist() == [
        True,
        False,
        False,
        False,
        True,
    ]
    assert not touched(points, [Exclusion(60.0, 90.0, ""), Exclusion(-9.0, 0.0, "")]).any()


@given(st.lists(st.tuples(st.floats(-10.0, 60.0), st.floats(0.01, 30.0)), max_size=4))
def test_touched_intervals_are_those_that_a_brute_force_search_finds(spans):
    points = np.arange(6) * 10.0
    exclusions = [Exclusion(a, a + length, "") for a, length in spans]
    expected = [
        any(one.from_s < end - 1e-5 and one.to_s > begin + 1e-5 for one in exclusions)
        for begin, end in itertools.pairwise(points)
    ]
    assert touched(points, exclusions).tolist() == expected


def test_a_gap_is_a_spacing_longer_than_allowed():
    t_s = np.array([0.0, 10.0, 20.0, 80.0, 90.0])
    assert [(one.from_s, one.to_s) for one in gaps(t_s, 30.0)] == [(20.0, 80.0)]
    assert gaps(t_s, 60.0) == ()
    assert long_spacings(t_s) == ((20.0, 80.0),)
    assert long_spacings(np.array([0.0, 10.0, 40.0, 50.0])) == ()


def test_a_window_must_be_a_whole_number_of_intervals():
    assert whole_intervals(930.0 * 60.0, 15.0 * 60.0) == 62
    assert whole_intervals(0.3, 0.1) == 3
    with pytest.raises(
        RecordError, match="not a whole number of sample intervals of 30 s; choose a multiple, for example 60 s"
    ):
        whole_intervals(70.0, 30.0)
    with pytest.raises(RecordError, match="for example 30 s"):
        whole_intervals(1.0, 30.0)


@given(st.lists(st.tuples(st.floats(-10.0, 110.0), st.floats(0.0, 50.0)), max_size=5))
def test_what_is_kept_and_what_is_excluded_make_the_whole(spans):
    exclusions = [Exclusion(a, a + length, "") for a, length in spans]
    left = kept(0.0, 100.0, exclusions)
    assert all(begin < end for begin, end in left)
    inside = np.linspace(0.005, 99.995, 5000)
    out = np.zeros(5000, dtype=bool)
    for one in exclusions:
        out |= (inside > one.from_s) & (inside < one.to_s)
    stays = np.zeros(5000, dtype=bool)
    for begin, end in left:
        stays |= (inside > begin) & (inside < end)
    assert not (out & stays).any()
    assert (out | stays).sum() >= 5000 - 2 * len(spans)


def test_a_change_over_stretches_leaves_out_what_lies_between():
    t_s, values = np.array([0.0, 10.0, 20.0]), np.array([0.0, 10.0, 30.0])
    assert change(t_s, values, [(0.0, 5.0), (15.0, 20.0)]) == (15.0, 10.0)
    assert change(t_s, values, []) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("t_s", "values", "message"),
    [
        ([0.0], [1.0], "too short"),
        ([0.0, 1.0], [1.0], "do not go with"),
        ([0.0, 1.0, 1.0], [1.0, 2.0, 3.0], "does not rise from sample 2"),
        ([0.0, np.nan], [1.0, 2.0], "sample 2 has no finite time"),
        ([0.0, 1.0], [np.inf, 2.0], "sample 1 has no finite value"),
    ],
)
def test_a_record_with_a_mistake_is_refused_with_its_place(t_s, values, message):
    with pytest.raises(RecordError, match=message):
        check_record(np.array(t_s), np.array(values))
