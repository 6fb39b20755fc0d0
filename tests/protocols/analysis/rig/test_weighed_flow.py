"""What a rig check says of fluid that gets lost on the way: the flow of a sound rig, and the same with a loss in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.checks import Check, Verdict
from data.run import Run, Series
from protocols.analysis.rig.verdict import evaluate

SEALED = Path(__file__).parents[3] / "runs" / "rig-check-5.h5"
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


def without_samples(run: Run, role: str, phase: str, left: int = 0) -> None:
    """Take the samples of a phase from a role's record, but for some."""
    begin, end = run.phase(phase)
    recorded = run.corrected

    def lost(name: str) -> Series:
        series = recorded(name)
        if name != role:
            return series
        inside = np.flatnonzero((series.t >= begin) & (series.t <= end))
        kept = np.delete(np.arange(series.t.size), inside[left:])
        return replace(series, t=series.t[kept], values=series.values[kept], quality=series.quality[kept])

    run.__dict__["corrected"] = lost


@pytest.mark.parametrize("left", [0, 5])
def test_a_thermometer_that_is_silent_at_one_rate_takes_no_other_part_of_the_check_with_it(
    sealed: Run, left: int
) -> None:
    before = {check.name: check for check in evaluate(sealed).checks}
    without_samples(sealed, "room_temperature", "gain-fast", left)
    after = {check.name: check for check in evaluate(sealed).checks}
    assert {name: check.verdict for name, check in after.items()} == {
        name: check.verdict for name, check in before.items()
    }
    assert after["pushed"].value == pytest.approx(before["pushed"].value, abs=0.05)


def test_a_rig_check_without_any_thermometer_of_the_room_knows_less_of_what_arrives(sealed: Run) -> None:
    before = {check.name: check for check in evaluate(sealed).checks}
    sealed.__dict__["roles"] = {role: name for role, name in sealed.roles.items() if role != "room_temperature"}
    after = {check.name: check for check in evaluate(sealed).checks}
    assert after["pushed-slow"].verdict is Verdict.PASS
    assert after["pushed-slow"].standard_uncertainty > before["pushed-slow"].standard_uncertainty


@pytest.mark.parametrize("last", ["gain-slow", "gain-middle"])
def test_a_rig_check_that_ended_before_its_last_rate_is_judged_by_what_it_has(sealed: Run, last: str) -> None:
    phases = [phase.name for phase in sealed.phases]
    sealed.__dict__["phases"] = sealed.phases[: phases.index(last) + 1]
    checks = {check.name: check for check in evaluate(sealed).checks}
    assert {checks[name].verdict for name in FLOW[1:]} == {Verdict.NOT_MEASURED}
    assert checks["balance-error"].verdict is Verdict.PASS
    assert checks["flow-zero"].verdict is Verdict.PASS


@pytest.mark.parametrize("left", [0, 1, 2, 19])
def test_a_balance_that_was_hardly_read_at_one_rate_compares_nothing(sealed: Run, left: int) -> None:
    without_samples(sealed, "reference_mass", "gain-fast", left)
    checks = {check.name: check for check in evaluate(sealed).checks}
    assert {checks[name].verdict for name in FLOW[1:]} == {Verdict.NOT_MEASURED}


def test_a_vessel_in_air_that_became_lighter_gains_no_flow(sealed: Run) -> None:
    """35 g in a room that warms by 2 K/h: 18 mL of air, 1.2 mg/mL, lighter by 1/295 per K seem 0.146 mg/h."""
    known = {check.name: check for check in evaluate(sealed).checks}
    recorded = sealed.corrected
    begin = sealed.phase("settle-slow")[0]

    def warming(name: str) -> Series:
        series = recorded(name)
        hours = (series.t - begin).clip(0.0) / 3600.0
        if name == "room_temperature":
            return replace(series, values=series.values + 2.0 * hours)
        line = sealed.station["collection"]["dead_volume_ul"] * 2.2e-4
        seems = line + sealed.station["collection"]["buoyant_volume_ul"] * 0.0012 / 295.0
        return replace(series, values=series.values + 2.0 * hours * seems) if name == "reference_mass" else series

    sealed.__dict__["corrected"] = warming
    warmed = {check.name: check for check in evaluate(sealed).checks}
    assert warmed["pushed-slow"].value == pytest.approx(known["pushed-slow"].value, abs=0.2)
