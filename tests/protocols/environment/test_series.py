"""Holds and ratios by themselves: what cancels, what does not, and whether U holds for draws of its own model."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.checks import Verdict
from data.run import Series
from data.samples import Channel
from protocols.analysis.environment.hold import Hold, hold
from protocols.analysis.environment.series import Point, Sensor, SeriesOf
from protocols.analysis.environment.verdict import KINDS, results
from protocols.analysis.grid import RecordError
from protocols.environment import Environment
from protocols.procedure import ParamError

STROKE_S = 100.0
CHANNEL = Channel("flow", "uL/h")


def series_of(flow, until_s=450.0, every_s=1.0):
    t_s = np.arange(0.0, until_s, every_s)
    return Series(t_s, flow(t_s), np.zeros(t_s.size, dtype=np.uint16), CHANNEL)


def held(flow_ul_per_h, middle_s=0.0, u=0.0):
    return Hold("x", middle_s - 1.0, middle_s + 1.0, flow_ul_per_h, u, 12.0, 4)


def between(first, last, *points, zero=0.0, u_zero=0.0, wander=0.0):
    return SeriesOf("kPa", first, last, points, Sensor(zero, u_zero, wander))


def test_whole_strokes_hold_no_wave_and_the_wave_is_no_scatter():
    wavy = series_of(lambda t: 40.0 * (1.0 + 0.5 * np.sin(2.0 * math.pi * t / STROKE_S)))

    found = hold("x", wavy, 0.0, 450.0, STROKE_S)

    assert found.strokes == 4
    assert found.flow_ul_per_h == pytest.approx(40.0, rel=1e-9)
    assert found.u_ul_per_h < 1e-9


def test_the_scatter_between_strokes_is_that_of_the_mean():
    rng = np.random.default_rng(3)
    found = [
        hold("x", series_of(lambda t: 40.0 + rng.normal(0.0, 2.0, t.size)), 0.0, 400.0, STROKE_S) for _ in range(300)
    ]

    assert np.std([one.flow_ul_per_h for one in found]) == pytest.approx(2.0 / 20.0, rel=0.15)
    assert np.sqrt(np.mean([one.u_ul_per_h**2 for one in found])) == pytest.approx(2.0 / 20.0, rel=0.05)


def test_a_hold_of_one_stroke_is_refused_with_the_remedy():
    with pytest.raises(RecordError, match='choose a larger "hold"'):
        hold("x", series_of(np.ones_like), 0.0, 150.0, STROKE_S)


@given(gain=st.floats(0.8, 1.2), change=st.floats(-0.2, 0.2), drift=st.floats(-0.05, 0.05), at=st.floats(0.1, 0.9))
def test_neither_the_gain_of_the_sensor_nor_a_steady_drift_of_it_changes_a_ratio(gain, change, drift, at):
    flow = 40.0 * gain
    point = Point(10.0, 0.0, held(flow * (1.0 + drift * at) * (1.0 + change), at))
    series = between(held(flow), held(flow * (1.0 + drift), 1.0), point)

    assert series.change_percent(point) == pytest.approx(100.0 * change, abs=1e-9)


def test_the_coefficient_of_exact_changes_is_exact():
    points = [Point(x, 0.0, held(40.0 * (1.0 - 0.001 * x), 0.5)) for x in (-13.3, 13.3, 40.0)]

    slope, _ = between(held(40.0), held(40.0, 1.0), *points).coefficient(points)

    assert slope == pytest.approx(-0.1, rel=1e-9)


def test_a_condition_that_is_the_reference_has_no_coefficient_and_breaks_no_evaluation():
    series = between(held(40.0), held(40.0, 1.0), Point(0.0, 0.1, Hold("pressure-1", 0.4, 0.6, 40.0, 0.1, 12.0, 4)))
    run = SimpleNamespace(dut={"limits": {}})

    delivery, coefficient = results(run, KINDS[0], series, (0.0,), ())

    assert delivery.value == 0.0
    assert (coefficient.verdict, coefficient.optional) == (Verdict.NOT_MEASURED, True)
    assert coefficient.note == "no condition differs from the reference condition"


@pytest.mark.parametrize("stalled_ul_per_h", [0.02, -0.02])
def test_a_pump_that_a_pressure_stalls_fails_however_its_line_creeps(stalled_ul_per_h):
    stalled = Point(13.3, 0.1, Hold("pressure-1", 0.4, 0.6, stalled_ul_per_h, 0.1, 12.0, 4), unrest_ul_per_h=1.0)
    limits = {"back_pressure": {"low_percent": -10.0, "high_percent": 10.0, "source": "s", "revision": "1"}}
    run = SimpleNamespace(dut={"limits": limits})

    delivery, _ = results(run, KINDS[0], between(held(40.0, 0.0, 0.1), held(40.0, 1.0, 0.1), stalled), (13.3,), ())

    assert delivery.value == pytest.approx(-100.0, abs=0.1)
    assert delivery.expanded_uncertainty == pytest.approx(2.0 * 100.0 / 40.0 / math.sqrt(3.0), rel=0.05)
    assert delivery.verdict is Verdict.FAIL


@pytest.mark.parametrize("flows", [(0.0, 40.0), (40.0, -0.01)])
def test_without_a_delivery_at_the_reference_there_is_no_ratio(flows):
    with pytest.raises(RecordError, match="saw no delivery at the reference condition"):
        between(held(flows[0]), held(flows[1], 1.0))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"pressures": "100 mmHg, 0 kPa"}, '"pressures": 0 kPa is the reference'),
        ({"temperatures": "37 degC"}, '"temperatures": 37 degC is within 0.5 K of the reference'),
        ({"temperatures": "98.6 degF"}, '"temperatures": 37 degC is'),
        ({"reference": "32 degC"}, '"temperatures": 32 degC is'),
        ({"levels": "10 mL, 18 mL"}, '"levels": 18 mL is the reference'),
    ],
)
def test_a_condition_that_is_the_reference_is_refused_with_the_remedy(settings, says):
    with pytest.raises(ParamError, match=f"{says}.*leave it out"):
        Environment(**settings)


def test_a_condition_may_be_asked_for_twice():
    assert Environment(pressures="10 kPa, 10 kPa").pressures_kpa == (10.0, 10.0)


def test_u_holds_for_draws_of_its_own_model():
    rng = np.random.default_rng(1)
    u, inside, errors, us = 0.1, 0, [], []
    for _ in range(1000):
        zero = rng.normal(0.0, 0.5)
        repeats = 1.0 + rng.normal(0.0, 0.003, 3)
        flows = repeats * np.array([40.0, 40.0 * 0.96, 40.0]) + zero + rng.normal(0.0, 0.06, 3) + rng.normal(0.0, u, 3)
        point = Point(40.0, 0.0, held(flows[1], 0.5, u))
        series = between(held(flows[0], 0.0, u), held(flows[2], 1.0, u), point, u_zero=0.5, wander=0.06)
        budget = series.budget(point, "")
        errors.append(series.change_percent(point) + 4.0)
        us.append(math.sqrt(budget.u**2 - sum(c.u**2 for c in budget.components if c.source.startswith("drift"))))
        inside += abs(errors[-1]) <= budget.expanded

    assert inside >= 925
    assert 0.9 < np.sqrt(np.mean(np.square(errors)) / np.mean(np.square(us))) < 1.1


def drawn_coefficients(changes, rate_ul_per_h, draws=500, *, u=0.02, u_zero=0.4, wander=0.07, creep=0.0, gain=0.003):
    """Errors of the coefficient and its u, without the drift that is not drawn, for draws of its own model.

    ``changes`` are (x, R, unrest) of each condition; the reference stands before and after them.
    """
    rng = np.random.default_rng(7)
    xs, ratios, unrest = (np.array(column) for column in zip(*changes, strict=True))
    shares = (np.arange(xs.size) + 1.0) / (xs.size + 1.0)
    true = 100.0 * float(np.sum(xs * (ratios - 1.0)) / np.sum(xs**2))
    errors, us = [], []
    for _ in range(draws):
        flows = rate_ul_per_h * np.concatenate([[1.0], ratios, [1.0]])
        flows[1:-1] -= creep * rng.uniform(-1.0, 1.0) * unrest
        flows *= 1.0 + rng.normal(0.0, gain, flows.size)
        flows += rng.normal(0.0, u_zero) + rng.normal(0.0, math.hypot(wander, u), flows.size)
        one, *middle, last = (held(flow, at, u) for flow, at in zip(flows, (0.0, *shares, 1.0), strict=True))
        points = [Point(x, 0.0, at, creep * by) for x, at, by in zip(xs, middle, unrest, strict=True)]
        slope, budget = between(one, last, *points, u_zero=u_zero, wander=wander).coefficient(points)
        errors.append(slope - true)
        us.append(math.sqrt(budget.u**2 - sum(c.u**2 for c in budget.components if c.source.startswith("drift"))))
    return np.array(errors), np.array(us)


@pytest.mark.parametrize("rate", [1000.0 / 24.0, 100.0 / 24.0])
@pytest.mark.parametrize(
    "changes",
    [
        [(-5.0, 0.987, 0.0), (5.0, 1.013, 0.0)],  # 32 and 42 degC: what is common to both cancels, the wander does not
        [(-5.0, 0.5, 0.0), (5.0, 1.5, 0.0)],  # a gas-driven pump: the zero adds up, and does not cancel
        [(-13.3, 1.013, 0.0), (13.3, 0.987, 0.0), (40.0, 0.96, 0.0)],
        [(-8.0, 0.99, 0.0), (-16.0, 0.98, 0.0)],
    ],
)
def test_u_of_a_coefficient_holds_for_draws_of_its_own_model(changes, rate):
    errors, us = drawn_coefficients(changes, rate)

    assert 0.9 < math.sqrt(np.mean(errors**2) / np.mean(us**2)) < 1.1
    assert np.mean(np.abs(errors) <= 2.0 * us) > 0.925


def test_a_line_that_creeps_after_each_change_of_pressure_moves_a_coefficient_by_what_adds_up(monkeypatch):
    monkeypatch.setattr("protocols.analysis.environment.series.REPEATABILITY_PERCENT", 0.0)
    # It gives back after the fall and takes up after the rises: on either side of the reference that is the same slope.
    changes = [(-13.3, 1.013, -0.5), (13.3, 0.987, 1.0), (40.0, 0.96, 1.0)]
    errors, us = drawn_coefficients(changes, 41.7, u=0.002, u_zero=0.0, wander=0.0, creep=1.0, gain=0.0)

    assert 0.9 < math.sqrt(np.mean(errors**2) / np.mean(us**2)) < 1.1


def test_a_drift_that_may_bend_or_step_does_not_cancel_between_two_conditions():
    points = [Point(x, 0.0, held(40.0, at)) for x, at in ((-5.0, 1.0 / 3.0), (5.0, 2.0 / 3.0))]
    budget = between(held(39.8), held(40.2, 1.0), *points).coefficient(points)[1]
    drift, *repeats = (c.u for c in budget.components if c.u)

    assert len(repeats) == 3
    assert drift == pytest.approx(0.4 / 40.0 * 100.0 / math.sqrt(12.0) / math.sqrt(50.0), rel=0.01)
