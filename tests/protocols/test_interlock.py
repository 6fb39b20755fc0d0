"""Interlocks tell when a channel leaves its band and when it is back, and never promise more headroom than there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data.samples import Quality
from protocols.interlock import Interlock

BAND = Interlock("band", "daq.pressure", low=-10.0, high=60.0, slew_per_s=0.5)
WIDE = Interlock("band", "daq.pressure", low=-10.0, high=60.0, slew_per_s=0.5, reset_band=5.0)

values = hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(-100, 100))
bits = st.sampled_from(
    [0, 0, 0, Quality.UNSTABLE, Quality.FROZEN, Quality.OVERLOAD, Quality.UNDERLOAD, Quality.SATURATED]
)


def good(series: Any) -> np.ndarray:
    return np.zeros(len(series), dtype=np.uint16)


@given(values)
def test_the_first_sample_outside_the_band_is_found(series: np.ndarray) -> None:
    found = BAND.changes(series, good(series), False)
    outside = [index for index, value in enumerate(series) if not -10.0 <= value <= 60.0]
    assert [index for index, _ in found[:1]] == outside[:1]
    assert [state for _, state in found] == [k % 2 == 0 for k in range(len(found))], "out and back take turns"


@given(st.lists(st.tuples(st.floats(-100, 100) | st.just(float("nan")), bits), min_size=1, max_size=40), st.booleans())
def test_sample_by_sample_an_interlock_sees_what_it_sees_in_a_block(series: list[Any], outside: bool) -> None:
    series_values = np.array([value for value, _ in series])
    quality = np.array([int(bit) for _, bit in series], dtype=np.uint16)
    expected, state = [], outside
    for index, (value, bit) in enumerate(series):
        said = WIDE.state(value, int(bit))
        if said is not None and said is not state:
            state = said
            expected.append((index, state))
    assert WIDE.changes(series_values, quality, outside) == expected


def test_noise_at_a_limit_is_one_crossing() -> None:
    series = np.array([50.0, 61.0, 59.0, 61.0, 56.0, 54.9, 59.0, 60.1])
    assert WIDE.changes(series, good(series), False) == [(1, True), (5, False), (7, True)]
    assert len(BAND.changes(series, good(series), False)) == 5


def test_an_overloaded_sample_counts_but_a_frozen_one_does_not() -> None:
    series = np.array([100.0, 100.0])
    quality = np.array([Quality.FROZEN, Quality.OVERLOAD], dtype=np.uint16)
    assert BAND.changes(series, quality, False) == [(1, True)]


@pytest.mark.parametrize(
    ("bit", "limits", "outside"),
    [
        (Quality.OVERLOAD, {"high": 60.0}, True),
        (Quality.OVERLOAD, {"low": 0.0}, None),
        (Quality.UNDERLOAD, {"low": 0.0}, True),
        (Quality.UNDERLOAD, {"high": 60.0}, None),
    ],
)
def test_a_balance_that_shows_no_number_is_beyond_the_limit_on_that_side(
    bit: Quality, limits: dict[str, float], outside: bool | None
) -> None:
    interlock = Interlock("mass", "balance.mass", **limits)  # type: ignore[arg-type]  # low or high
    assert interlock.state(float("nan"), int(bit)) is outside
    assert interlock.changes(np.array([np.nan]), np.array([bit], dtype=np.uint16), False) == [(0, True)] * bool(outside)


def test_an_interlock_may_act_on_a_quality_alone() -> None:
    interlock = Interlock("air", "sensor.flow", quality=Quality.AIR | Quality.DEVICE_ERROR)
    series = np.array([1.0, 1.0, 1.0])
    quality = np.array([0, Quality.AIR, 0], dtype=np.uint16)
    assert interlock.changes(series, quality, False) == [(1, True), (2, False)]
    assert interlock.headroom_s(1.0) == 0.0


def test_a_sample_that_is_no_good_does_not_bring_a_channel_back() -> None:
    series = np.array([61.0, 20.0, 20.0])
    quality = np.array([0, Quality.DEVICE_ERROR, 0], dtype=np.uint16)
    assert BAND.changes(series, quality, False) == [(0, True), (2, False)]


@given(st.floats(-10, 60), st.floats(-0.5, 0.5))
def test_within_the_headroom_no_honest_change_reaches_a_limit(value: float, slew: float) -> None:
    reached = value + slew * BAND.headroom_s(value) * 0.999999
    assert -10.0 <= reached <= 60.0


@given(st.floats(60.0, 100.0), st.floats(-0.5, 0.5))
def test_within_the_headroom_no_channel_that_is_outside_comes_back(value: float, slew: float) -> None:
    reached = value + slew * WIDE.headroom_s(value, outside=True) * 0.999999
    assert WIDE.state(reached, 0) is not False


def test_without_a_slew_there_is_no_headroom() -> None:
    assert Interlock("p", "daq.pressure", high=60.0).headroom_s(0.0) == 0.0


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "neither"),
        ({"low": 0.0, "high": 4.0, "reset_band": 2.1}, "smaller reset_band"),
        ({"high": 4.0, "flags": ("balance.mass",)}, 'only with the action "flag-gap"'),
        ({"high": 4.0, "armed": ()}, "armed in no phase"),
    ],
)
def test_an_interlock_that_makes_no_sense_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Interlock("p", "daq.pressure", **fields)
