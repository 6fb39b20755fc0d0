"""Ticks of an axis: few, and never one alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schedule_modes import DAY_S, HOUR_S
from gui.plots.axes import Axis, TimeAxis
from gui.plots.control_chart import DateAxis
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


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A computer in Berlin."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of the computer cannot be set here")
@pytest.mark.parametrize(("begin", "days"), [(datetime(2026, 10, 23), 5), (datetime(2026, 3, 27), 5)])
def test_each_day_of_the_place_begins_at_its_tick_also_after_the_clocks_were_changed(
    qapp: Any, berlin: None, begin: datetime, days: int
) -> None:
    axis = DateAxis("bottom", PlainNumbers())
    low, high = begin.timestamp() - 60.0, (begin + timedelta(days=days)).timestamp() + 60.0
    [(step, ticks)] = axis.at(low, high, 800.0)
    assert step == DAY_S
    midnights = [begin + timedelta(days=day) for day in range(days + 1)]
    assert ticks == [one.timestamp() for one in midnights]
    assert axis.tickStrings(ticks, 1.0, step) == [f"{one:%d %b %Y}" for one in midnights]
