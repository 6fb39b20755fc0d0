"""Gauge R&R against the worked example of its source, and En by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.analysis.gauge import en_number, gauge_study

AIAG = """
0.29 -0.56 1.34 0.47 -0.80 0.02 0.59 -0.31 2.26 -1.36
0.41 -0.68 1.17 0.50 -0.92 -0.11 0.75 -0.20 1.99 -1.25
0.64 -0.58 1.27 0.64 -0.84 -0.21 0.66 -0.17 2.01 -1.31
0.08 -0.47 1.19 0.01 -0.56 -0.20 0.47 -0.63 1.80 -1.68
0.25 -1.22 0.94 1.03 -1.20 0.22 0.55 0.08 2.12 -1.62
0.07 -0.68 1.34 0.20 -1.28 0.06 0.83 -0.34 2.19 -1.50
0.04 -1.38 0.88 0.14 -1.46 -0.29 0.02 -0.46 1.77 -1.49
-0.11 -1.13 1.09 0.20 -1.07 -0.67 0.01 -0.56 1.45 -1.77
-0.15 -0.96 0.67 0.11 -1.45 -0.49 0.21 -0.49 1.87 -2.16
"""
"""AIAG, Measurement Systems Analysis, 4th edition: ten parts, three appraisers (three rows each), three trials."""


def aiag() -> list[list[list[float]]]:
    rows = [[float(word) for word in line.split()] for line in AIAG.strip().splitlines()]
    return [[[rows[3 * who + trial][part] for trial in range(3)] for who in range(3)] for part in range(10)]


def test_the_worked_example_of_aiag_comes_out_as_printed():
    gauge = gauge_study(aiag())
    squares = [round(source.squares, 4) for source in gauge.sources]
    assert squares == [88.3619, 3.1673, 0.3590, 2.7589]
    assert [source.freedom for source in gauge.sources] == [9, 2, 18, 60]
    assert gauge.interaction_pooled
    assert gauge.repeatability == pytest.approx(0.199933, abs=1e-6)
    assert gauge.reproducibility == pytest.approx(0.226838, abs=1e-6)
    assert gauge.gauge == pytest.approx(0.302373, abs=2e-6)
    assert gauge.parts == pytest.approx(1.04233, abs=1e-5)
    assert round(gauge.gauge_percent, 2) == 27.86
    assert gauge.distinct_categories == 4


def test_operators_who_differ_by_part_are_an_interaction_and_count_as_reproducibility():
    values = [[[0.0, 0.01], [1.0, 1.01]], [[1.0, 1.01], [0.0, 0.01]], [[0.0, 0.01], [1.0, 1.01]]]
    gauge = gauge_study(values)
    assert not gauge.interaction_pooled
    assert gauge.reproducibility > 50.0 * gauge.repeatability


@given(st.lists(st.floats(-5, 5), min_size=12, max_size=12), st.floats(-100, 100), st.floats(0.5, 5))
def test_another_zero_or_unit_changes_nothing_but_the_unit(flat, shift, scale):
    cells = [[flat[4 * p + 2 * o : 4 * p + 2 * o + 2] for o in range(2)] for p in range(3)]
    moved = [[[scale * x + shift for x in cell] for cell in row] for row in cells]
    a, b = gauge_study(cells), gauge_study(moved)
    assert b.total**2 == pytest.approx(scale**2 * a.total**2, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("values", "said"), [([[[1.0, 2.0]]], "two operators"), ([[[1.0], [1.0, 2.0]]], "equally")])
def test_a_study_that_is_too_small_or_not_balanced_says_so(values, said):
    with pytest.raises(ValueError, match=said):
        gauge_study(values)


def test_en_is_the_difference_over_its_expanded_uncertainty():
    assert en_number(10.0, 3.0, 5.0, 4.0) == 1.0
    assert math.isclose(en_number(5.0, 4.0, 10.0, 3.0), -1.0)
