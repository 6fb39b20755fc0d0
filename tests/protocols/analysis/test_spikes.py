"""Readings that leap away and come back, and a pump that draws back with each stroke."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.simulation.drive import stroke_curve
from protocols.analysis.mass_steps import exclusion_share, negative_steps, recurring_fall_mg
from protocols.analysis.spikes import _least, spikes

HOUR_S = 3600.0


def delivered(ml_per_day: float, dt_s: float, hours: float, stroke_ul: float = 5.0, dip: float = 0.042) -> np.ndarray:
    """Volume of a roller pump; with a dip above 0.1 of a stroke its exit draws fluid back."""
    t_s = np.arange(0.0, hours * HOUR_S, dt_s)
    strokes = ml_per_day * 1000.0 / 24.0 * t_s / HOUR_S / stroke_ul
    return stroke_ul * (np.floor(strokes) + stroke_curve(strokes % 1.0, 0.35, dip, 0.12))


def weighed(volume_ul: np.ndarray, seed: int = 1) -> np.ndarray:
    noise = 0.02 * np.random.Generator(np.random.Philox(seed)).standard_normal(volume_ul.size)
    return np.round(volume_ul + noise, 2)


@pytest.mark.parametrize(
    ("ml_per_day", "dt_s", "hours"), [(1.0, 10.0, 25.0), (1.0, 1.0, 5.0), (6.0, 1.0, 3.0), (24.0, 1.0, 1.0)]
)
@pytest.mark.parametrize("dip", [0.042, 0.2, 0.3, 0.35, 0.5])
def test_a_roller_that_draws_back_with_each_stroke_delivers(ml_per_day, dt_s, hours, dip):
    mass = weighed(delivered(ml_per_day, dt_s, hours, dip=dip))
    t_s = dt_s * np.arange(mass.size)
    assert negative_steps(t_s, mass, stroke_mg=5.0) == ()
    assert not spikes(t_s, mass, stroke_mg=5.0).any()


@pytest.mark.parametrize("dip", [0.042, 0.3, 0.5])
def test_a_fall_that_stays_is_found_beside_those_that_recur(dip):
    mass = weighed(delivered(1.0, 10.0, 25.0, dip=dip))
    t_s = 10.0 * np.arange(mass.size)
    assert (recurring_fall_mg(mass, 5.0) > 0.0) == (dip > 0.1)
    mass[4000:] -= 20.0
    (found,) = negative_steps(t_s, mass, stroke_mg=5.0)
    assert found.from_s <= t_s[4000] <= found.to_s
    assert exclusion_share([found], 0.0, t_s[-1]) < 0.005


def test_touches_at_any_moment_are_not_what_recurs():
    mass = weighed(delivered(1.0, 10.0, 25.0))
    for at in np.random.default_rng(3).integers(50, mass.size - 50, 20):
        mass[at:] -= 2.0
    assert recurring_fall_mg(mass, 5.0) == 0.0


@pytest.mark.parametrize(
    ("percent", "ml_per_day", "dt_s"),
    [(1.0, 0.1, 1.0), (-20.0, 0.1, 1.0), (1.0, 0.1, 120.0), (1.0, 1.0, 10.0), (25.0, 1.0, 10.0), (-20.0, 1.0, 10.0)],
)
def test_what_falls_every_hour_is_nobodys_stroke(percent, ml_per_day, dt_s):
    """A compressor, an adjustment, a round at the bench: each hour half a milligram is gone for good."""
    mass = weighed(delivered(ml_per_day * (1.0 + percent / 100.0), dt_s, 25.0))
    t_s = dt_s * np.arange(mass.size)
    mass -= 0.8 * np.floor(t_s / HOUR_S)
    found = negative_steps(t_s, mass, stroke_mg=5.0)
    assert len(found) == 24
    assert np.count_nonzero(spikes(t_s, mass, stroke_mg=5.0)) < 12


SHAPES = {
    "roller": lambda: delivered(1.0, 1.0, 6.0),
    "shots": lambda: 2.0 * np.floor(delivered(0.5, 1.0, 6.0, stroke_ul=1e-6) / 2.0),
    "steady": lambda: delivered(0.1, 1.0, 6.0, stroke_ul=1e-6),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("height_mg", "lasts_s"),
    [(-4.0, 1), (4.0, 1), (-1.0, 30), (1.0, 30), (-4.0, 100), (4.0, 100), (-20000.0, 100), (20000.0, 100)],
)
def test_what_leaps_away_and_comes_back_is_found_and_little_besides(shape, height_mg, lasts_s):
    mass = weighed(SHAPES[shape]())
    t_s = np.arange(mass.size, dtype=float)
    touched = (t_s >= 9000.0) & (t_s < 9000.0 + lasts_s)
    found = spikes(t_s, mass + height_mg * touched)
    assert found[touched].all()
    assert np.count_nonzero(found & ~touched) <= 4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("change_mg", [-20.0, -2.5, 2.5, 20.0])
def test_a_step_that_stays_is_no_spike(shape, change_mg):
    mass = weighed(SHAPES[shape]())
    t_s = np.arange(mass.size, dtype=float)
    assert not spikes(t_s, mass + change_mg * (t_s >= 9150.0)).any()  # minutes away from a shot


def test_what_is_away_at_an_end_of_the_record_is_no_spike():
    mass = weighed(SHAPES["roller"]())
    t_s = np.arange(mass.size, dtype=float)
    for away in (t_s < 30.0, t_s >= t_s[-30]):
        assert not spikes(t_s, mass + 5.0 * away).any()


def test_one_reading_is_found_however_far_apart_they_are():
    mass = weighed(delivered(0.1, 120.0, 100.0))
    mass[700] += 3.0
    assert list(np.flatnonzero(spikes(120.0 * np.arange(mass.size), mass))) == [699, 700, 701]


def test_a_shot_while_somebody_touches_the_vessel_is_there_afterwards():
    t_s = np.arange(0.0, 7200.0, 10.0)
    mass = weighed(2.0 * np.floor(t_s / 400.0))
    touched = (t_s >= 3980.0) & (t_s < 4030.0)
    found = spikes(t_s, mass + 3.0 * touched)
    assert found[touched].all()
    assert mass[~found][-1] == mass[-1]


def test_a_short_record_has_none():
    assert not spikes(np.arange(5.0), np.array([0.0, 9.0, 0.0, 0.0, 0.0])).any()
    assert spikes(np.empty(0), np.empty(0)).size == 0


@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_the_least_of_a_window_is_that_of_its_values(size, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=size)
    begin = np.maximum(np.arange(size) - rng.integers(0, 40, size), 0)
    end = np.minimum(np.arange(size) + 1 + rng.integers(0, 40, size), size)
    assert list(_least(values, begin, end)) == [values[a:b].min() for a, b in zip(begin, end, strict=True)]
