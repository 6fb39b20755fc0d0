"""Ticks of an axis: few, and never one alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schedule_modes import DAY_S, HOUR_S
from gui.plots.axes import Axis, TimeAxis
from gui.presenters.numbers import PlainNumbers


@pytest.fixture(scope="module")
def axes(qapp: Any) -> tuple[Axis, TimeAxis]:
    return Axis("bottom", PlainNumbers()), TimeAxis(PlainNumbers())


def test_three_hours_in_a_narrow_plot_are_told_by_the_hour(axes: tuple[Axis, TimeAxis]) -> None:
    [(step, ticks)] = axes[1].at(30.0, 3.2 * HOUR_S, 200.0)
    assert (step, ticks) == (HOUR_S, [HOUR_S, 2 * HOUR_S, 3 * HOUR_S])


@given(st.floats(-1e6, 1e6), st.floats(0.01, 300.0 * DAY_S), st.floats(60.0, 2000.0))
def test_an_axis_of_any_stretch_has_two_ticks_and_room_for_each(
    axes: tuple[Axis, TimeAxis], low: float, span: float, pixels: float
) -> None:
    for axis in axes:
        [(step, ticks)] = axis.at(low, low + span, pixels)
        assert 2 <= len(ticks) <= max(pixels / axis.most, 6) + 1
        assert all(low - step * 1e-6 <= tick <= low + span + step * 1e-6 for tick in ticks)
