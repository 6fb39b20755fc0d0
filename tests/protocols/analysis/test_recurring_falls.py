"""Falls of the mass that recur: whose they are by the flow sensor, by the declared mechanism, or by nobody's word."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data.checks import Exclusion, Verdict
from data.schedule import Schedule
from instruments.simulation.drive import stroke_curve
from protocols.analysis.collection import blanks_of
from protocols.analysis.evaporation import Evaporation
from protocols.analysis.gravimetric_record import GravimetricRecord, collection_of
from protocols.analysis.mass_steps import negative_steps
from protocols.analysis.recurring_falls import (
    Falls,
    beside_sensor,
    by_mechanism,
    recurring_falls,
    regular_falls,
    steps,
)
from protocols.analysis.witness import Minutes, Witness

HOUR_S, BLANK_S = 3600.0, 3600.0
STROKE_UL, PER_MG = 5.0, 1.0 / 0.9982
ROLLER = {"kind": "peristaltic", "stroke_ul": STROKE_UL}


def delivered(rate_ul_per_h: float, t_s: np.ndarray, dip: float = 0.042) -> np.ndarray:
    """Volume of a roller pump; with a dip above 0.1 of a stroke its exit draws fluid back."""
    strokes = rate_ul_per_h * t_s / HOUR_S / STROKE_UL
    return STROKE_UL * (np.floor(strokes) + stroke_curve(strokes % 1.0, 0.35, dip, 0.12))


def taken(t_s: np.ndarray, each_s: float, mg: float) -> np.ndarray:
    return mg * np.floor((t_s + 77.0) / each_s)


def noise(n: int, seed: int) -> np.ndarray:
    return 0.02 * np.random.default_rng(seed).standard_normal(n)


# ---------------------------------------------------------------------------------------- what recurs in a record


@pytest.mark.parametrize(("rate", "each_s", "with_stroke"), [(5.0, 3600.0, True), (4.0, 3600.0, False)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_taken_every_hour_is_found_with_its_size_and_period(rate, each_s, with_stroke, seed):
    t_s = np.arange(0.0, 20.0 * HOUR_S, 5.0)
    found = regular_falls(t_s, delivered(rate, t_s) - taken(t_s, each_s, 0.8) + noise(t_s.size, seed), STROKE_UL)

    assert found is not None
    assert found.from_s.size == 20
    assert found.size_mg == pytest.approx(0.8, abs=0.05)
    assert found.period_s == pytest.approx(each_s, abs=10.0)
    assert found.lost_mg.mean() == pytest.approx(0.8, abs=0.05)
    assert found.lasts_s[1] <= 10.0
    assert found.by_stroke == with_stroke


def test_a_roller_that_draws_back_takes_its_time():
    t_s = np.arange(0.0, 5.0 * HOUR_S, 10.0)
    found = regular_falls(t_s, delivered(1000.0 / 24.0, t_s, dip=0.5) + noise(t_s.size, 1), STROKE_UL)
    assert found is not None
    assert found.by_stroke
    assert found.period_s == pytest.approx(432.0, abs=5.0)
    assert found.lasts_s[0] >= 20.0


@pytest.mark.parametrize("seed", range(10))
def test_noise_touches_at_any_moment_and_what_comes_back_do_not_recur(seed):
    t_s = np.arange(0.0, 20.0 * HOUR_S, 5.0)
    mass = delivered(5.0, t_s) + noise(t_s.size, seed)
    touched, drafts = mass.copy(), mass.copy()
    for at in np.random.default_rng(seed).integers(50, t_s.size - 50, 20):
        touched[at:] -= 0.8
    drafts[(t_s % HOUR_S >= 600.0) & (t_s % HOUR_S < 630.0)] -= 0.8

    assert regular_falls(t_s, mass, STROKE_UL) is None
    assert regular_falls(t_s, touched, STROKE_UL) is None
    assert regular_falls(t_s, drafts, STROKE_UL) is None
    assert regular_falls(t_s, mass - taken(t_s, HOUR_S, 0.8), STROKE_UL, [(0.0, 17.0 * HOUR_S)]) is None


# ------------------------------------------------------------------------------------------- beside a flow sensor


def witness(sensor: np.ndarray, balance: np.ndarray, *, zero: float | None = None) -> Witness:
    """Flows in uL/h, one number a minute."""
    edges = 60.0 * np.arange(sensor.size + 1.0)
    volume = np.concatenate([[0.0], np.cumsum(balance)]) / 60.0
    minutes = Minutes(edges[:-1] + 30.0, sensor, np.zeros(sensor.size))
    return Witness(
        minutes, 2.5, 0.63, zero, edges,
        lambda t_s: np.interp(t_s, edges, volume), lambda t_s: t_s, lambda from_s, to_s: 0.05,
    )  # fmt: skip


def hourly(n: int, lost_mg: float = 0.8, lasts_s: float = 10.0) -> Falls:
    at_s = HOUR_S * np.arange(1.0, n + 1.0) - 1770.0  # in the middle of a minute
    return Falls(at_s, at_s + lasts_s, np.full(n, lost_mg), lost_mg, HOUR_S, (0.0, lasts_s), True)


@pytest.mark.parametrize(("gain", "zero", "leak"), [(0.0, 0.0, 0.0), (0.03, 1.5, 0.0), (-0.02, -1.0, 0.4)])
@pytest.mark.parametrize("draws_back", [True, False])
def test_what_did_not_pass_the_sensor_is_told_whatever_its_gain_zero_and_a_leak(gain, zero, leak, draws_back):
    """Ten falls of 0.8 uL each hour at 5 uL/h: all of it unseen, or none but the gain's part of the back-flow."""
    flow = np.full(600, 5.0)
    at = 60 * np.arange(10) + 30
    lost = np.zeros(600)
    lost[at] = 0.8 * 60.0
    passed = flow - lost if draws_back else flow
    told = beside_sensor(
        witness(passed * (1.0 + gain) + zero, flow - lost - leak), hourly(10), 1.0, 0.02, [(0.0, 36000.0)]
    )
    assert told is not None
    assert told.lost_ul == pytest.approx(8.0)
    assert told.tells
    assert told.passed == draws_back
    assert told.unseen_ul == pytest.approx(-gain * 8.0 if draws_back else 8.0, abs=1e-9)


def test_where_falls_fill_the_record_the_sensor_is_as_good_as_its_certificate():
    """u^2 = (2.5 % of what passed)^2 + (zero times the hours)^2 + two readings of the balance at each end."""
    falls = Falls(
        *(np.arange(60.0, 3541.0, 120.0) + k for k in (0.0, 10.0)), np.full(30, 0.1), 0.1, 120.0, (0, 9), True
    )
    told = beside_sensor(witness(np.full(60, 40.0), np.full(60, 40.0)), falls, 1.0, 0.02, [(0.0, HOUR_S)])
    assert told is not None
    assert told.u_ul == pytest.approx(math.sqrt(1.0**2 + 0.63**2 + 2.0 * 0.02**2), rel=1e-9)
    assert not told.tells  # 3 u against half of 3 uL


def test_a_sensor_that_was_blind_at_the_falls_tells_nothing():
    sensor = np.full(600, 5.0)
    sensor[np.arange(600) % 60 == 30] = math.nan
    assert beside_sensor(witness(sensor, np.full(600, 5.0)), hourly(10), 1.0, 0.02, [(0.0, 36000.0)]) is None
    flat = witness(np.full(600, 5.0), np.full(600, 5.0))
    assert beside_sensor(flat, hourly(10), 1.0, 0.02, [(0.0, 9000.0)]) is None


# ----------------------------------------------------------------------------------------------- by what is declared


@pytest.mark.parametrize(
    ("dut", "period_s", "lasts_s", "by_stroke", "own"),
    [
        (ROLLER, 3600.0, (120.0, 360.0), True, True),  # as slowly as a roller leaves its tube
        (ROLLER, 3600.0, (0.0, 2.0), True, False),  # at once
        (ROLLER, 3600.0, (0.0, 240.0), True, False),  # nobody can tell
        (ROLLER, 432.0, (0.0, 20.0), True, True),  # nobody can tell, and nobody else acts so often
        (ROLLER, 432.0, (0.0, 2.0), True, False),
        (ROLLER, 432.0, (20.0, 40.0), False, False),
        (ROLLER | {"draws_back_ul": 0.9}, 3600.0, (0.0, 2.0), True, True),
        (ROLLER | {"draws_back_ul": 0.6}, 3600.0, (120.0, 360.0), True, False),  # more than it declares
        (ROLLER | {"draws_back_ul": 2.0}, 3600.0, (120.0, 360.0), True, False),
        ({"kind": "valve-gated", "stroke_ul": 5.0}, 432.0, (20.0, 40.0), True, False),
        ({"kind": "gas-driven"}, 432.0, (20.0, 40.0), False, False),
    ],
)
def test_falls_are_the_pumps_where_its_mechanism_makes_them(dut, period_s, lasts_s, by_stroke, own):
    found = Falls(np.zeros(9), np.zeros(9), np.full(9, 0.8), 0.8, period_s, lasts_s, by_stroke)
    assert bool(by_mechanism(dut, found, PER_MG)) == own


# ------------------------------------------------------------------------------------------------- of a whole record


BALANCE = {
    "readability_mg": 0.01, "repeatability_mg": 0.02, "linearity_mg": 0.1, "drift_mg_per_day": 0.3,
    "zero_walk_mg": 0.01, "temperature_coefficient_percent_per_k": 1e-4,
}  # fmt: skip
COLLECTION = {
    "evaporation_mg_per_h": 0.02, "evaporation_spread_mg_per_h": 0.004, "buoyant_volume_ul": 13_600.0,
    "load_mg": 35_000.0, "dead_volume_ul": 1000.0, "meniscus_mg": 0.05,
    "tube_diameter_mm": 0.3, "vessel_diameter_mm": 20.0,
}  # fmt: skip
WATER = {"density_basis": "water-table", "density_u_g_per_ml": 1e-5}


def weighed(
    seed: int,
    *,
    ml_per_day: float,
    hours: float,
    read_s: float,
    dip: float = 0.042,
    each_s: float = 0.0,
    taken_mg: float = 0.0,
    sensor: bool = True,
    passes: bool = False,
    **dut: Any,
) -> GravimetricRecord:
    """A run of one rate between two blanks; something takes so much each so often, from the vessel or by the line."""
    draw, rate = np.random.default_rng(seed), ml_per_day * 1000.0 / 24.0
    start_s, stop_s = BLANK_S + 17.0, BLANK_S + 17.0 + hours * HOUR_S

    def pumped(t_s: np.ndarray) -> np.ndarray:
        return delivered(rate, np.clip(t_s, start_s, stop_s) - start_s, dip)

    t_s = np.arange(0.0, stop_s + BLANK_S, read_s)

    def gone(t_s: np.ndarray) -> np.ndarray:
        return taken(np.clip(t_s - start_s, 0.0, stop_s - start_s), each_s, taken_mg) if each_s else 0.0 * t_s

    mass = pumped(t_s) / PER_MG - gone(t_s) - 0.02 * t_s / HOUR_S + draw.normal(0.0, 0.02, t_s.size)
    minute = np.arange(0.0, t_s[-1] - 60.0, 60.0)
    gain, zero = draw.normal(0.0, 0.025), draw.normal(0.0, 0.3)
    flow = 60.0 * (pumped(minute + 60.0) - pumped(minute))
    if passes:
        flow -= 60.0 * PER_MG * (gone(minute + 60.0) - gone(minute))
    flow = flow * (1.0 + gain) + zero + draw.normal(0.0, 0.05, minute.size)
    flat = np.zeros(t_s.size)
    blanks = blanks_of(t_s, mass, [(0.0, BLANK_S), (stop_s + 17.0, t_s[-1])], 0.01, 0.0)
    run: Any = SimpleNamespace(
        dut=ROLLER | dut,
        params={"blank": "stopped"},
        calibration=lambda role: {"u": 0.63, "u_percent": 2.5} if role == "flow" else {},
        records=lambda kind: [],
        end_s=float(t_s[-1]),
    )
    return GravimetricRecord(
        run, {}, Schedule.parse(f"{ml_per_day} mL/day"), start_s, (start_s, stop_s), True,
        collection_of((t_s, mass, flat + 0.0012, flat + 20.0), Evaporation(blanks), BALANCE, COLLECTION, WATER),
        t_s, mass, True, 0.01, (), Minutes(minute + 30.0, flow, np.zeros(minute.size)) if sensor else None, None,
    )  # fmt: skip


def judged(record: GravimetricRecord) -> tuple[Verdict | None, str]:
    (check,) = [*recurring_falls(record, steps(record))] or [None]
    return (None, "") if check is None else (check.verdict, check.note)


HOURLY = {"ml_per_day": 0.12, "hours": 12.0, "read_s": 5.0, "each_s": HOUR_S, "taken_mg": 0.8}
DRAWN = {"ml_per_day": 1.0, "hours": 3.0, "read_s": 10.0, "dip": 0.4}
SLOWLY = {"ml_per_day": 0.12, "hours": 12.0, "read_s": 60.0, "dip": 0.4}


@pytest.mark.parametrize("seed", range(8))
def test_what_takes_fluid_each_hour_with_the_stroke_is_the_rigs_by_the_flow_sensor_and_nobodys_without(seed):
    with_sensor, without = (weighed(seed, **HOURLY, sensor=sensor) for sensor in (True, False))
    assert negative_steps(with_sensor.shown_t_s, with_sensor.shown_mg, stroke_mg=with_sensor.stroke_mg) == ()
    verdict, note = judged(with_sensor)
    assert verdict is Verdict.INVALID
    assert "did not pass the flow sensor" in note
    verdict, note = judged(without)
    assert verdict is Verdict.INVALID
    assert "may be the pump's, or of something that takes as often, and no flow sensor followed to tell" in note


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("roller", [DRAWN, SLOWLY])
@pytest.mark.parametrize("sensor", [True, False])
def test_a_roller_that_draws_back_is_measured_with_and_without_a_sensor(seed, roller, sensor):
    record = weighed(seed, **roller, sensor=sensor)
    verdict, note = judged(record)
    delivered_ul, _ = record.collected.delivered(record.started_s, record.analysis[1])
    assert verdict is Verdict.PASS
    assert ("passed the flow sensor" if sensor else "with the stroke of a roller") in note
    assert steps(record) == []
    assert delivered_ul == pytest.approx(record.expected_ul(*record.analysis), rel=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_a_fall_at_once_is_the_rollers_where_its_file_declares_as_much(seed):
    assert judged(weighed(seed, **HOURLY, sensor=False, draws_back_ul=0.8))[0] is Verdict.PASS
    assert judged(weighed(seed, **HOURLY, sensor=False, draws_back_ul=0.4))[0] is Verdict.INVALID
    assert judged(weighed(seed, **HOURLY, draws_back_ul=0.8))[0] is Verdict.INVALID  # the sensor is asked first


@pytest.mark.parametrize("seed", range(4))
def test_falls_beside_the_declared_stroke_are_not_cut_out_where_the_sensor_saw_them_pass(seed):
    seen, unseen = (weighed(seed, **HOURLY | {"ml_per_day": 0.096}, passes=passes) for passes in (True, False))
    found = negative_steps(seen.shown_t_s, seen.shown_mg, stroke_mg=seen.stroke_mg)
    assert len(found) >= 11
    assert steps(seen) == []
    assert judged(seen)[0] is Verdict.PASS
    assert len(steps(unseen)) >= 11
    assert judged(unseen) == (None, "")


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_roller_without_falls_is_not_asked(seed):
    assert judged(weighed(seed, ml_per_day=1.0, hours=3.0, read_s=10.0)) == (None, "")


def test_what_is_left_out_already_is_not_asked_for():
    record = weighed(1, **HOURLY)
    left_out = [Exclusion(record.started_s, record.analysis[1] - 2.0 * HOUR_S, "by hand", "Ada Example")]
    assert list(recurring_falls(record, left_out)) == []
