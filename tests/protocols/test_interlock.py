"""Interlocks find the first sample outside their band, and never promise more headroom than there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data.samples import Quality
from protocols.interlock import Interlock

BAND = Interlock("band", "daq.pressure", low=-10.0, high=60.0, slew_per_s=0.5)

values = hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(-100, 100))


@given(values)
def test_the_first_sample_outside_the_band_is_found(series: np.ndarray) -> None:
    found = BAND.crossing(series, np.zeros(len(series), dtype=np.uint16))
    outside = [index for index, value in enumerate(series) if not -10.0 <= value <= 60.0]
    assert found == (outside[0] if outside else None)


def test_an_overloaded_sample_counts_but_a_frozen_one_does_not() -> None:
    series = np.array([100.0, 100.0])
    assert BAND.crossing(series, np.array([Quality.FROZEN, Quality.OVERLOAD], dtype=np.uint16)) == 1


@given(st.floats(-10, 60), st.floats(-0.5, 0.5))
def test_within_the_headroom_no_honest_change_reaches_a_limit(value: float, slew: float) -> None:
    reached = value + slew * BAND.headroom_s(value) * 0.999999
    assert -10.0 <= reached <= 60.0


def test_without_a_slew_there_is_no_headroom() -> None:
    assert Interlock("p", "daq.pressure", high=60.0).headroom_s(0.0) == 0.0


def test_an_interlock_needs_a_limit() -> None:
    with pytest.raises(ValueError, match="neither"):
        Interlock("p", "daq.pressure")
