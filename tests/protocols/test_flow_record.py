"""A record of a flow sensor: its mean and its saturated share are of time, not of samples."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.checks import Evaluation
from data.run import Series
from data.samples import Channel, FloatArray, Quality
from protocols.flow_record import FlowRecord

SECONDS = np.arange(300.0)


def evaluated(t_s: FloatArray, flow_ul_per_h: FloatArray, saturated: slice | FloatArray = slice(0)) -> Evaluation:
    """What the protocol finds in a record of these samples."""
    quality = np.zeros(t_s.size, np.uint16)
    quality[saturated] = int(Quality.SATURATED)
    series = Series(t_s, flow_ul_per_h, quality, Channel("flow", "uL/h"))
    run = SimpleNamespace(corrected=lambda role: series, records=lambda kind: [])
    return FlowRecord.evaluate(run)  # type: ignore[arg-type]  # as much of a run as it reads


def value(evaluation: Evaluation, name: str) -> float | None:
    return next(check.value for check in evaluation.checks if check.name == name)


@settings(max_examples=20, deadline=None)
@given(
    flow=st.lists(st.floats(-100.0, 5000.0), min_size=130, max_size=200),
    interval_s=st.sampled_from([0.1, 1.0, 10.0, 600.0]),
)
def test_of_evenly_spaced_samples_the_mean_is_that_of_the_samples(flow: list[float], interval_s: float) -> None:
    found = evaluated(np.arange(len(flow)) * interval_s, np.array(flow), slice(40, 50))
    assert value(found, "mean-flow") == pytest.approx(np.mean(flow[:40] + flow[50:]), rel=1e-9, abs=1e-6)
    assert value(found, "saturated") == pytest.approx(1000.0 / len(flow), rel=1e-9)
    assert not found.excluded


def test_a_sample_counts_by_the_time_for_which_it_stands() -> None:
    t_s = np.concatenate([SECONDS, 300.0 + 600.0 * np.arange(72)])
    flow = np.where(t_s < 300.0, 720.0, 10.0)
    found = evaluated(t_s, flow, slice(0, 30))
    assert value(found, "mean-flow") == pytest.approx((270.0 * 720.0 + 72 * 600.0 * 10.0) / 43470.0, rel=0.01)
    assert value(found, "saturated") == pytest.approx(100.0 * 30.0 / 43500.0, rel=0.01)
    assert not found.excluded  # a row every ten minutes is no gap


def test_a_gap_is_no_part_of_the_mean() -> None:
    t_s = np.concatenate([SECONDS, [5000.0], 10_000.0 + SECONDS, [30_000.0]])
    flow = np.where(t_s < 5000.0, 10.0, np.where(t_s > 20_000.0, 3000.0, 20.0))
    found = evaluated(t_s, flow)
    assert value(found, "mean-flow") == pytest.approx(15.0, rel=1e-9)
    assert [(gap.from_s, gap.to_s) for gap in found.excluded] == [
        (299.0, 5000.0),
        (5000.0, 10_000.0),
        (10_299.0, 30_000.0),
    ]


def test_good_samples_that_all_stand_alone_have_no_mean() -> None:
    four_and_one = [0.0, 1.0, 2.0, 3.0, 1500.0]
    t_s = np.add.outer(3000.0 * np.arange(130.0), four_and_one).ravel()
    quality = np.tile(np.array([1, 1, 1, 1, 0]) * int(Quality.SATURATED), 130)
    found = evaluated(t_s, np.ones(t_s.size), np.flatnonzero(quality))
    assert value(found, "mean-flow") is None
    assert value(found, "saturated") == pytest.approx(100.0)


@pytest.mark.parametrize("samples", [0, 1])
def test_a_record_of_hardly_a_sample_has_no_mean(samples: int) -> None:
    found = evaluated(np.arange(float(samples)), np.ones(samples))
    assert [check.name for check in found.checks] == ["saturated", "changes"]
