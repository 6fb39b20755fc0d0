"""What a flow-accuracy evaluation says where the balance shows no flow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.checks import Verdict
from data.run import Run
from protocols.analysis.flow_verdict import evaluate

SEALED = Path(__file__).parents[2] / "runs" / "flow-accuracy-6.h5"
DAMAGE_MG = 1000.0
RATE_UL_PER_H, ANALYSIS_S = 41.67, 10800.0  # of the sealed run


@pytest.fixture
def checks_of():
    """Evaluation of a sealed run whose balance showed something else, from and to parts of the analysis."""

    def judge(change_mg, sensor=lambda values, share: values):
        with Run.open(SEALED) as run:
            begin, end = run.phase("analysis")
            for channel, change in (
                ("reference_mass", lambda values, share: values + change_mg(share)),
                ("flow", sensor),
            ):
                series = run.series(channel)
                share = (series.t - begin) / (end - begin)
                run._series[channel] = replace(series, values=change(series.values, share))
            evaluation = evaluate(run)
        return evaluation, {check.name: check for check in evaluation.checks}

    return judge


def one_reading(share, at=0.5):
    """An excursion of the one reading nearest to a part of the analysis."""
    return DAMAGE_MG * (np.arange(share.size) == np.argmin(np.abs(share - at)))


def drop_that_dries(share, at=0.5):
    """Something that falls into the vessel at once, and leaves it in a quarter of an hour."""
    since = (share - at) * ANALYSIS_S
    return 10.0 * np.clip(1.0 - since / 900.0, 0.0, 1.0) * (since >= 0.0)


def draft(share):
    """Half a milligram up and down, for half a minute each."""
    moved = (np.abs(share - 0.3) < 15.0 / ANALYSIS_S) * 1.0 - (np.abs(share - 0.6) < 15.0 / ANALYSIS_S) * 1.0
    return 4.0 * moved


def stalls(from_share):
    """What the vessel gains less, and what passes the sensor, when the pump stalls until the end."""

    def vessel(share):
        return -RATE_UL_PER_H * ANALYSIS_S / 3600.0 * (np.clip(share, from_share, 1.0) - from_share)

    return vessel, lambda flow, share: np.where((share > from_share) & (share < 1.0), 0.0, flow)


@pytest.mark.parametrize("touch", [one_reading, draft])
@pytest.mark.parametrize("sensor", [True, False])
def test_what_leaps_away_and_comes_back_is_left_out_and_blames_nobody(checks_of, touch, sensor):
    passes = (lambda flow, share: flow) if sensor else (lambda flow, share: flow * np.nan)
    evaluation, checks = checks_of(touch, passes)
    untouched, as_before = checks_of(lambda share: 0.0 * share, passes)
    assert evaluation.verdict is untouched.verdict
    for name in ("no-flow", "unexpected-delivery", "mean-flow-error"):
        assert checks[name].verdict is as_before[name].verdict is Verdict.PASS
    assert checks["mean-flow-error"].value == pytest.approx(as_before["mean-flow-error"].value, abs=0.02)
    assert "that leapt away and came back are left out" in checks["excluded"].note
    for name, check in as_before.items():
        if name.startswith("trumpet") and check.value is not None:
            assert checks[name].value == pytest.approx(check.value, abs=0.3), name


def test_what_goes_again_within_minutes_is_no_pump_without_flow(checks_of):
    evaluation, checks = checks_of(drop_that_dries)
    assert [checks[name].verdict for name in ("no-flow", "unexpected-delivery")] == [Verdict.INVALID] * 2
    assert checks["no-flow"].value > 0.0
    assert "went again" in checks["no-flow"].note
    assert evaluation.verdict is Verdict.INVALID


def test_a_pump_without_flow_is_failed_beside_a_reading_that_goes_again(checks_of):
    vessel, sensor = stalls(0.75)
    evaluation, checks = checks_of(lambda share: one_reading(share) + vessel(share), sensor)
    assert checks["no-flow"].verdict is Verdict.FAIL
    assert checks["no-flow"].value == pytest.approx(0.25 * ANALYSIS_S, rel=0.4)
    assert "went again" not in checks["no-flow"].note
    assert evaluation.verdict is Verdict.FAIL


def test_a_pump_that_stalls_after_a_delivery_that_passed_the_sensor_is_failed(checks_of):
    dump_ul, minute = 20.0, 60.0 / ANALYSIS_S
    vessel, sensor = stalls(0.75)

    def dumps(flow, share):
        return sensor(flow, share) + 60.0 * dump_ul * (np.abs(share - 0.75) < minute / 2.0)

    evaluation, checks = checks_of(lambda share: dump_ul * (share > 0.75) + vessel(share), dumps)
    assert [checks[name].verdict for name in ("no-flow", "unexpected-delivery")] == [Verdict.FAIL] * 2
    assert evaluation.verdict is Verdict.FAIL


def test_a_pump_that_stalls_as_a_reading_goes_again_is_failed_by_balance_and_sensor(checks_of):
    vessel, sensor = stalls(0.76)  # soon after, so that both are one stretch without flow
    evaluation, checks = checks_of(lambda share: one_reading(share, 0.75) + vessel(share), sensor)
    assert checks["unexpected-delivery"].verdict is Verdict.PASS
    assert checks["no-flow"].verdict is Verdict.FAIL
    assert evaluation.verdict is Verdict.FAIL
