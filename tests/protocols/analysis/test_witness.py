"""The flow sensor as a witness, and the suitability checks that need no run: closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.checks import Check, Exclusion, Verdict
from data.samples import FloatArray
from protocols.analysis import suitability
from protocols.analysis.witness import Minutes, Witness, agrees, minutes_of, no_air, passed_ul, steady

HOURS = 8
RATE = 40.0
U_ZERO = 0.63
STEP = 0.72  # uL/h: 0.15 % of 8 uL/min


def _minutes(sensor: FloatArray) -> Minutes:
    return Minutes((np.arange(sensor.size, dtype=np.float64) + 0.5) * 60.0, sensor, np.zeros(sensor.size))


def _witness(sensor: FloatArray, balance: FloatArray, zero: float | None = None, *, rate: float = RATE) -> Witness:
    """A witness of flows in uL/h, one number a minute."""
    edges = np.arange(sensor.size + 1, dtype=np.float64) * 60.0
    volume = np.concatenate([[0.0], np.cumsum(balance)]) / 60.0
    return Witness(
        _minutes(sensor),
        2.5,
        U_ZERO,
        zero,
        edges,
        lambda t_s: np.asarray(np.interp(t_s, edges, volume)),
        lambda t_s: np.asarray(t_s) / 3600.0 * rate,
        lambda from_s, to_s: 0.05,
    )


def _flat(flow: float) -> FloatArray:
    return np.full(HOURS * 60, flow)


def _late(before: float, after: float) -> FloatArray:
    return np.repeat([before, after], HOURS * 30)


def _agrees(witness: Witness) -> Check:
    return agrees(witness, 0.0, HOURS * 3600.0)


def _steady(witness: Witness) -> Check:
    return steady(witness, witness.stretches([(0.0, HOURS * 3600.0)]))


def test_an_error_within_the_certificate_is_no_disagreement() -> None:
    assert _agrees(_witness(_flat(RATE * 1.07), _flat(RATE))).verdict is Verdict.PASS


def test_sensor_less_balance_is_a_share_of_the_programme_with_the_sensors_uncertainty() -> None:
    check = _agrees(_witness(_flat(42.0), _flat(RATE)))
    assert check.value == pytest.approx(5.0)
    assert check.standard_uncertainty == pytest.approx(100.0 / RATE * np.hypot(1.0, U_ZERO), rel=1e-3)


@pytest.mark.parametrize(
    ("sensor", "balance", "owner"), [(RATE, 28.0, "catheter"), (52.0, RATE, "rig"), (RATE, 52.0, "rig")]
)
def test_who_left_the_programme_is_suspected(sensor: float, balance: float, owner: str) -> None:
    check = _agrees(_witness(_flat(sensor), _flat(balance)))
    assert (check.verdict, check.owner) == (Verdict.INVALID, owner)


def test_what_another_check_explains_is_no_leak() -> None:
    check = agrees(_witness(_flat(RATE), _flat(28.0)), 0.0, HOURS * 3600.0, ["blanks-agree"])
    assert (check.verdict, check.owner) == (Verdict.INVALID, "rig")
    assert "blanks-agree" in check.note


def test_a_standstill_that_both_see_is_no_disagreement() -> None:
    assert _agrees(_witness(_flat(0.5), _flat(0.0))).verdict is Verdict.PASS


def test_a_loss_that_the_zero_hides_shows_once_the_run_has_measured_the_zero() -> None:
    hidden = _witness(_flat(2.8), _flat(2.8), rate=4.0)  # the sensor's zero is -1.2, the flow 4.0
    assert _agrees(hidden).verdict is Verdict.NOT_CAPABLE
    assert _agrees(replace(hidden, zero_ul_per_h=-1.2)).verdict is Verdict.INVALID


def test_a_loss_that_the_zero_hides_shows_where_a_rig_check_has_found_the_zero() -> None:
    known = _witness(_flat(4.0), _flat(2.8), rate=4.0)  # the sensor's zero is taken off already
    assert _agrees(known).verdict is Verdict.NOT_CAPABLE
    check = _agrees(replace(known, u_known_zero_ul_per_h=0.13))
    assert (check.verdict, check.owner) == (Verdict.INVALID, "catheter")
    assert check.standard_uncertainty == pytest.approx(25.0 * np.sqrt(0.07**2 + 0.13**2), rel=5e-3)


def test_a_leak_that_begins_within_the_run_shows_although_the_sensor_is_out_of_calibration() -> None:
    check = _steady(_witness(_flat(RATE * 1.07), _late(RATE, RATE * 0.9)))
    assert check.value == pytest.approx(10.0 - 3.0 * 2.5 * 0.1)
    assert (check.verdict, check.owner) == (Verdict.INVALID, "catheter")


def test_a_pump_that_changes_its_rate_does_not_disturb_the_comparison() -> None:
    gain = 1.07
    assert _steady(_witness(_late(RATE, 4 * RATE) * gain, _late(RATE, 4 * RATE))).verdict is Verdict.PASS


def test_a_drifting_sensor_is_the_rigs() -> None:
    check = _steady(_witness(np.linspace(RATE, 1.2 * RATE, HOURS * 60), _flat(RATE)))
    assert (check.verdict, check.owner) == (Verdict.INVALID, "rig")


def test_minutes_that_the_sensor_or_the_record_lacks_are_left_out_on_both_sides() -> None:
    sensor, balance = _flat(RATE), _flat(RATE)
    sensor[100:130] = np.nan
    balance[100:130] = 5000.0
    balance[200:210] = -5000.0
    witness = _witness(sensor, balance)
    assert _agrees(witness).verdict is Verdict.INVALID
    without = replace(witness, excluded=(Exclusion(11_990.0, 12_610.0, "mass fell"),))
    assert _agrees(without).value == pytest.approx(0.0, abs=1e-9)


# ---------------------------------------------------------------------------------------------------- air


def _minutes_of(flow: FloatArray) -> Minutes:
    return minutes_of(np.arange(flow.size, dtype=np.float64) * 0.1, flow, STEP)


def _noise(sd: float, seconds: int = 1200) -> FloatArray:
    return np.random.default_rng(3).normal(0.0, sd, seconds * 10)


def _air(flow: FloatArray) -> Check:
    return no_air(_minutes_of(flow), 0.0, flow.size / 10.0, U_ZERO)


def test_a_zero_with_the_noise_of_air_is_air() -> None:
    check = _air(_noise(40.0 * 0.06) + U_ZERO)
    assert check.verdict is Verdict.INVALID
    assert check.value == pytest.approx(1200.0)


def test_a_standstill_is_no_air() -> None:
    assert _air(_noise(1.9 * 0.06)).value == 0.0


def test_a_motor_that_steps_seldom_is_no_air_although_it_is_louder() -> None:
    flow = _noise(1.9 * 0.06)
    flow[::500] += 1000.0 * 0.06  # a step every 50 s, as after a reset to the minimum rate
    assert _air(flow).value == 0.0


def test_a_loud_motor_at_full_flow_is_no_air() -> None:
    assert _air(_noise(110.0 * 0.06) + RATE).value == 0.0


def test_what_passed_the_sensor_is_not_known_where_it_was_silent_or_in_air() -> None:
    flow = _flat(60.0)
    flow[100] = np.nan
    quiet = _minutes(flow)
    assert passed_ul(quiet, 610.0, 1190.0, U_ZERO) == pytest.approx(10.0)
    assert passed_ul(quiet, 5990.0, 6070.0, U_ZERO) is None
    assert passed_ul(_minutes_of(_noise(40.0 * 0.06)), 70.0, 170.0, U_ZERO) is None


# ------------------------------------------------------------------------------------------- suitability


def _alive(moving: bool | None, repeatability_mg: float = 0.02) -> Check:
    t_s = np.arange(0.0, 3600.0, 1.0)
    mass = np.where(t_s < 1000.0, t_s, 1000.0)
    return suitability.balance_alive([(t_s, mass)], RATE, 0.01, repeatability_mg, lambda from_s, to_s: moving)


@pytest.mark.parametrize("moving", [True, None])
def test_a_noisy_balance_that_repeats_itself_is_frozen_unless_the_flow_stood_too(moving: bool | None) -> None:
    assert _alive(moving).verdict is Verdict.INVALID
    assert _alive(False).verdict is Verdict.PASS


def test_a_balance_without_noise_may_stand_still() -> None:
    assert _alive(None, repeatability_mg=0.001).verdict is Verdict.PASS


@pytest.mark.parametrize(("every_s", "verdict"), [(120.0, Verdict.PASS), (10.0, Verdict.INVALID)])
def test_a_few_equal_readings_are_the_noise_of_a_balance_that_is_seldom_read(every_s: float, verdict: Verdict) -> None:
    t_s = np.arange(0.0, 1800.0, every_s)
    mass = np.where(t_s < 1200.0, t_s, 1200.0)
    alive = suitability.balance_alive([(t_s, mass)], RATE, 0.01, 0.02, lambda from_s, to_s: None, least_readings=16)
    assert (alive.verdict, alive.value) == (verdict, t_s[-1] - 1200.0)
    moves = suitability.balance_alive([(t_s, mass)], RATE, 0.01, 0.02, lambda from_s, to_s: True, least_readings=16)
    assert moves.verdict is Verdict.INVALID


def test_a_bath_that_failed_near_the_end_shows_although_the_mean_is_right() -> None:
    t_s = np.arange(0.0, 86_400.0, 10.0)
    bath = np.where(t_s < 85_200.0, 37.0, 35.5)
    check = suitability.in_band("bath", "Bath", "degC", t_s, bath, 36.0, 38.0, 0.0)
    assert bath.mean() > 36.9
    assert (check.verdict, check.value) == (Verdict.INVALID, 35.5)


def test_a_line_that_closes_raises_the_pressure_and_one_that_relaxes_does_not() -> None:
    t_s = np.arange(0.0, 7200.0, 10.0)
    rising = suitability.line_open(t_s, t_s / 60.0 * 1.4)
    assert (rising.verdict, rising.owner) == (Verdict.INVALID, "catheter")
    assert suitability.line_open(t_s, 20.0 - t_s / 600.0).verdict is Verdict.PASS
    free = np.where(t_s < 3600.0, 0.1, 5.6)  # 120 times the programmed flow through a narrow flow sensor
    assert suitability.line_open(t_s, free).verdict is Verdict.INVALID
    passes = suitability.line_open(t_s, free, lambda begin, end: np.where(begin < 3600.0, 1.0, 120.0))
    assert (passes.verdict, passes.value) == (Verdict.PASS, pytest.approx(5.5 / 120.0))
    late = np.where(t_s < 3600.0, 20.0 - t_s / 200.0, 2.0 + (t_s - 3600.0) / 300.0)
    assert suitability.line_open(t_s, late).verdict is Verdict.INVALID
