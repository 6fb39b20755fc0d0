"""What a rig check says of fluid that gets lost on the way: the flow of a sound rig, and the same with a loss in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data.checks import Check, Verdict
from data.run import Run, Series
from protocols.analysis.rig.verdict import evaluate

SEALED = Path(__file__).parents[3] / "runs" / "rig-check-4.h5"
SLOW_UL_PER_H = 30.0

ARRIVES = ("pushed-slow", "pushed-middle", "pushed")
FLOW = ("flow-zero", "flow-gain", "flow-scatter", *ARRIVES, "pushed-loss")


@pytest.fixture
def sealed() -> Iterator[Run]:
    with Run.open(SEALED) as run:
        yield run


def losing(run: Run, ul_per_h: float, *, share: float = 0.0, ahead_of_sensor: bool = False) -> dict[str, Check]:
    """Checks of a rig check whose line loses so much of its flow, before the sensor or after it."""
    recorded, begin = run.corrected, run.phase("settle-slow")[0]

    def lessened(name: str) -> Series:
        series = recorded(name)
        flowing = series.t >= begin
        if name == "reference_mass":
            lost = ul_per_h / 3600.0 * (series.t - begin) + share * (series.values - series.values[~flowing][-1])
            return replace(series, values=series.values - flowing * lost)
        if name == "flow" and ahead_of_sensor:
            return replace(series, values=series.values - flowing * ul_per_h)
        return series

    run.__dict__["corrected"] = lessened
    return {check.name: check for check in evaluate(run).checks}


def failed(checks: dict[str, Check]) -> set[str]:
    return {name for name in FLOW if checks[name].verdict is Verdict.FAIL}


def with_syringe_of(run: Run, u_percent: float) -> None:
    """Give the syringe pump another certificate."""
    known = run.calibration
    run.__dict__["calibration"] = lambda name: {"u_percent": u_percent} if name.startswith("pusher") else known(name)


def test_a_sound_rig_loses_nothing_at_any_rate(sealed: Run) -> None:
    checks = {check.name: check for check in evaluate(sealed).checks}
    assert {checks[name].verdict for name in FLOW} == {Verdict.PASS}
    assert checks["pushed-loss"].value == pytest.approx(0.0, abs=0.2)
    assert checks["flow-scatter"].value < 1.0


def test_a_tenth_of_the_slow_flow_that_drips_away_after_the_sensor_fails_and_is_placed(sealed: Run) -> None:
    checks = losing(sealed, 0.1 * SLOW_UL_PER_H)
    assert failed(checks) == {"pushed-slow", "pushed-middle", "pushed-loss", "flow-scatter"}
    assert checks["pushed"].verdict is Verdict.PASS  # which alone was looked at, and flow-gain, a mean
    assert checks["pushed-loss"].value == pytest.approx(3.0, abs=0.2)
    assert "so much is lost after the flow sensor at any rate" in checks["pushed-loss"].note
    assert "the slow rate is off by" in checks["flow-scatter"].note


def test_the_same_ahead_of_the_sensor_leaves_the_sensor_alone(sealed: Run) -> None:
    checks = losing(sealed, 0.1 * SLOW_UL_PER_H, ahead_of_sensor=True)
    assert failed(checks) == {"pushed-slow", "pushed-middle", "pushed-loss"}
    assert "so much is lost before the flow sensor at any rate" in checks["pushed-loss"].note


def test_a_drop_that_runs_in_is_no_loss_and_fails_too(sealed: Run) -> None:
    checks = losing(sealed, -3.0)
    assert {"pushed-slow", "pushed-loss"} <= failed(checks)
    assert "so much arrives besides what is pushed" in checks["pushed-loss"].note


def test_a_share_that_gets_lost_is_seen_at_each_rate_and_is_no_loss_at_any_rate_alike(sealed: Run) -> None:
    assert failed(losing(sealed, 0.0, share=0.04)) == set(ARRIVES)


def test_the_uncertainty_of_what_arrives_holds_syringe_pump_balance_and_evaporation(sealed: Run) -> None:
    checks = {check.name: check for check in evaluate(sealed).checks}
    slow, fast = (checks[name].standard_uncertainty for name in ("pushed-slow", "pushed"))
    assert slow > fast > 0.5
    assert slow**2 - 0.5**2 >= (100.0 * checks["evaporation"].standard_uncertainty / SLOW_UL_PER_H) ** 2


@pytest.mark.parametrize("lost", [0.0, 0.5, 3.0])
def test_a_syringe_pump_that_nobody_knows_well_passes_no_rig(sealed: Run, lost: float) -> None:
    with_syringe_of(sealed, 5.0)
    checks = losing(sealed, lost)
    assert {checks[name].verdict for name in (*ARRIVES, "pushed-loss")} == {Verdict.NOT_CAPABLE}
    assert "leave no room for 3 of them: take a syringe pump with a better certificate" in checks["pushed"].note


def test_a_loss_far_beyond_the_uncertainty_fails_whatever_it_is(sealed: Run) -> None:
    with_syringe_of(sealed, 5.0)
    assert losing(sealed, 0.0, share=0.3)["pushed"].verdict is Verdict.FAIL


def test_a_station_says_how_much_less_may_arrive(sealed: Run) -> None:
    limits: dict[str, Any] = {**sealed.station["rig_check"], "pushed_percent": 6.0}
    sealed.__dict__["station"] = {**sealed.station, "rig_check": limits}
    assert not failed(losing(sealed, 0.0, share=0.04))


def test_rates_on_no_straight_line_tell_no_loss(sealed: Run) -> None:
    with_syringe_of(sealed, 0.1)
    begin, end = sealed.phase("gain-middle")
    recorded = sealed.corrected

    def knocked(name: str) -> Series:
        series = recorded(name)
        rise = 0.03 * 100.0 / 3600.0 * (series.t.clip(begin, end) - begin)
        return replace(series, values=series.values + rise) if name == "reference_mass" else series

    sealed.__dict__["corrected"] = knocked
    found = next(check for check in evaluate(sealed).checks if check.name == "pushed-loss")
    assert (found.verdict, "on no straight line" in found.note) == (Verdict.NOT_CAPABLE, True)


def test_without_a_zero_of_the_sensor_nothing_is_left_out(sealed: Run) -> None:
    sealed.__dict__["phases"] = tuple(phase for phase in sealed.phases if phase.name != "zero-flow")
    checks = {check.name: check for check in evaluate(sealed).checks}
    assert {checks[name].verdict for name in FLOW} == {Verdict.NOT_MEASURED}
