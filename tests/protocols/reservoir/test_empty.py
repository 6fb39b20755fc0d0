"""When a reservoir is empty: from records whose delivery is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from protocols.analysis.reservoir_life.record import LifeRecord
from protocols.analysis.reservoir_life.verdict import Life

RATE_UL_PER_H, START_S, HOUR_S = 100.0, 310.0, 3600.0


def life(*shares: float) -> Life:
    """Ten windows of 1 h for each share of the program that the pump delivers."""
    hours = np.arange(10.0 * len(shares) + 1.0)
    delivered = np.concatenate([[0.0], np.cumsum(np.repeat(shares, 10) * RATE_UL_PER_H)])
    record: Any = SimpleNamespace(
        rate_ul_per_h=RATE_UL_PER_H,
        filled_ul=18_000.0,
        t_s=START_S + hours * HOUR_S,
        delivered_ul=delivered,
        gravimetric=SimpleNamespace(stroke_ul=5.0, analysis=(START_S, START_S + float(hours[-1]) * HOUR_S)),
    )
    return Life(record)


@pytest.mark.parametrize(
    ("shares", "empty_h"),
    [
        ((1.0, 1.0, 0.0), 20.0),
        ((1.25, 1.25, 0.05), 20.0),
        ((0.75, 0.75, 0.75), None),  # too little all along: it is not empty
        ((0.75, 0.75, 0.1), 20.0),
        ((1.0, 0.7, 1.0), None),
        ((1.0, 0.0, 0.0, 0.0, 0.0), 10.0),  # nothing comes any more, whatever the reason
        ((0.0, 0.0), 0.0),
    ],
)
def test_it_is_empty_from_when_little_of_what_the_pump_usually_delivers_comes(
    shares: tuple[float, ...], empty_h: float | None
) -> None:
    found = life(*shares).empty_s
    assert found == (None if empty_h is None else START_S + empty_h * HOUR_S)


def test_before_anything_was_delivered_all_that_was_filled_in_is_left() -> None:
    record: Any = SimpleNamespace(filled_ul=18_000.0, gravimetric=SimpleNamespace(started_s=START_S))
    left, budget = LifeRecord.left(record, START_S)
    assert left == 18_000.0
    assert budget.u == 20.0
