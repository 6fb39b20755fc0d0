"""A blank of which something is known beforehand: coverage, what a record may overrule, line and thermometer."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.analysis.blank_weights import weighted
from protocols.analysis.budget import coverage_factor
from protocols.analysis.collection import Collection
from protocols.analysis.evaporation import HOUR_S, Blank, Evaporation, blank_of_means
from protocols.analysis.flow_blanks import known_of, warming_k_per_h
from protocols.analysis.flow_budget import Weighing
from protocols.analysis.known_blank import Known, Stretches, known_blank

MANY, WITHIN = 24, 8
LINE_MG_PER_K, LAGS_MG_H_PER_K = 0.22, 0.14
KNOWN = Known(0.01, LINE_MG_PER_K, LAGS_MG_H_PER_K, LAGS_MG_H_PER_K / 2.0)


def stretches(rng, hours=4.0, walk=0.01, white=0.02, rate=0.02, line=0.0, lags=0.0, trend=0.0):
    """Means of a blank read each second: white noise, a walk, and a line in a room with a swing and a trend."""
    edges = np.linspace(0.0, hours * HOUR_S, MANY + 1)
    t = (np.arange(MANY * WITHIN) + 0.5) * edges[1] / WITHIN
    steps = walk * math.sqrt(edges[1] / WITHIN / HOUR_S) * rng.standard_normal(t.size)
    swing = 2.0 * math.pi / 1.7
    room = trend * t / HOUR_S + 0.2 * np.sin(swing * t / HOUR_S)
    at_edges = trend * edges / HOUR_S + 0.2 * np.sin(swing * edges / HOUR_S)
    slope = trend + 0.2 * swing * np.cos(swing * t / HOUR_S)
    shown = np.cumsum(steps) - rate * t / HOUR_S + line * room + lags * slope
    shown = shown + white / math.sqrt(edges[1] / WITHIN) * rng.standard_normal(t.size)
    means = [part.reshape(MANY, WITHIN).mean(axis=1) for part in (t, shown, room)]
    return Stretches(0.0, edges[-1], *means, np.diff(at_edges) / np.diff(edges) * HOUR_S)


def found(count, known=KNOWN, **settings):
    rng = np.random.Generator(np.random.Philox(21))
    return [known_blank(stretches(rng, **settings), known) for _ in range(count)]


def inside(blanks, rate=0.02):
    return sum(abs(one.rate_mg_per_h - rate) <= coverage_factor(one.dof) * one.u_mg_per_h for one in blanks)


@pytest.mark.parametrize("hours", [4.0, 2.0 / 3.0])
def test_a_blank_of_a_declared_balance_covers_its_error_and_is_not_padded(hours):
    blanks = found(200, hours=hours, line=LINE_MG_PER_K, lags=LAGS_MG_H_PER_K, trend=0.2)
    errors, u = ([one.rate_mg_per_h - 0.02 for one in blanks], [one.u_mg_per_h for one in blanks])
    assert inside(blanks) >= 0.92 * len(blanks)
    assert 0.75 < np.sqrt(np.mean(np.square(errors)) / np.mean(np.square(u))) < 1.15


def test_how_fast_a_room_warms_is_told_without_the_noise_of_its_thermometer():
    """2 mK of a reading, of which 60 make a minute: between two minutes that is 0.02 K/h, and a lag is taken for it."""
    rng = np.random.default_rng(3)
    minutes = np.arange(30.0, 2400.0, 60.0)
    at = np.arange(50.0, 2400.0, 100.0)
    noise = 0.002 / math.sqrt(60.0)
    shown = [warming_k_per_h(minutes, 22.0 + rng.normal(0.0, noise, minutes.size), at) for _ in range(50)]
    swing = warming_k_per_h(minutes, 22.0 + 0.3 * np.sin(minutes / 3600.0 * 2.0), at)

    assert np.std(np.array(shown)[:, 3:-3]) < 0.003
    assert np.abs(np.diff(shown, axis=1)).mean() < 0.003
    assert swing[3:-3] == pytest.approx(0.6 * np.cos(at[3:-3] / 3600.0 * 2.0), abs=0.005)
    assert warming_k_per_h(minutes, np.full(minutes.size, 22.0), at) == pytest.approx(0.0)


def test_a_room_goes_on_warming_while_its_thermometer_is_silent():
    minutes = np.arange(30.0, 3600.0, 60.0)
    heard = minutes[(minutes < 1200.0) | (minutes > 2700.0)]
    found = warming_k_per_h(heard, 22.0 + 0.3 * heard / 3600.0, np.arange(0.0, 4200.0, 100.0))

    assert found == pytest.approx(0.3)


def test_what_is_known_steadies_the_uncertainty():
    rng = np.random.Generator(np.random.Philox(12))
    pairs = []
    for _ in range(60):
        one = stretches(rng, hours=1.0)
        pairs.append(
            (known_blank(one, Known(0.01)).u_mg_per_h, blank_of_means(0.0, one.to_s, one.t_s, one.mass_mg).u_mg_per_h)
        )
    scatter = [np.std(u) / np.mean(u) for u in zip(*pairs, strict=True)]
    assert scatter[0] < 0.6 * scatter[1]


def test_a_record_that_contradicts_what_is_declared_is_heard():
    usual, restless = (found(60, Known(0.01), walk=walk) for walk in (0.01, 0.03))
    assert np.mean([one.u_mg_per_h for one in restless]) > 2.0 * np.mean([one.u_mg_per_h for one in usual])
    assert inside(restless) >= 0.8 * len(restless)


@settings(max_examples=40)
@given(st.floats(-5.0, 5.0), st.floats(-1.0, 1.0))
def test_a_rate_and_the_breathing_of_a_known_line_leave_no_mark_on_each_other(rate, trend):
    rng = np.random.Generator(np.random.Philox(13))
    still = known_blank(stretches(rng, rate=0.0), replace(KNOWN, breathes_mg_per_k=0.0))
    rng = np.random.Generator(np.random.Philox(13))
    moved = known_blank(stretches(rng, rate=rate, line=LINE_MG_PER_K, trend=trend), KNOWN)
    assert moved.rate_mg_per_h - rate == pytest.approx(still.rate_mg_per_h, abs=1e-6)
    assert moved.u_mg_per_h == pytest.approx(still.u_mg_per_h, rel=1e-6)


def test_a_thermometer_that_follows_sooner_than_expected_is_found_out_by_the_record():
    prompt = found(40, lags=0.0, line=LINE_MG_PER_K)
    assert inside(prompt) >= 37


BALANCE = {"zero_walk_mg": 0.01, "temperature_coefficient_percent_per_k": 1e-4}
COLLECTION = {"dead_volume_ul": 1000.0, "buoyant_volume_ul": 13_600.0, "load_mg": 35_000.0}


def test_only_a_line_behind_a_stopped_pump_breathes_into_the_vessel():
    stopped, diverted = (known_of(BALANCE, COLLECTION, blank, ()) for blank in ("stopped", "diverter"))
    assert (stopped.breathes_mg_per_k, diverted.breathes_mg_per_k) == (pytest.approx(0.22), 0.0)
    assert stopped.lags_mg_h_per_k == pytest.approx((0.22 + 0.0554) / 2.0, rel=0.01)


@pytest.mark.parametrize(
    ("walk", "blank", "unmeasured"),
    [(0.0, "stopped", ()), (0.01, "twin", ()), (0.01, "stopped", ("room_temperature",))],
)
def test_without_a_thermometer_or_a_declared_walk_the_record_speaks_alone(walk, blank, unmeasured):
    assert known_of({**BALANCE, "zero_walk_mg": walk}, COLLECTION, blank, unmeasured) is None


def test_air_that_nobody_measures_is_expected_to_wander():
    known, unknown = (known_of(BALANCE, COLLECTION, "diverter", air) for air in ((), ("ambient_pressure",)))
    assert unknown.walk_mg == pytest.approx(math.hypot(known.walk_mg, 0.0163 * 8.0 * math.sqrt(2.0 / 48.0)), rel=0.02)


def collected(warming, u=(0.008, 0.008), rates=(0.02, 0.02), mg_per_k=0.035):
    """Blanks of 4 h around an analysis of 24 h in a room that warms in each by so much per hour and not between."""
    blanks = [Blank(a * HOUR_S, (a + 4.0) * HOUR_S, *of, 50.0) for a, *of in zip((0.0, 28.0), rates, u, strict=True)]
    t_s = np.array([0.0, 4.0, 28.0, 32.0]) * HOUR_S
    room = np.cumsum([20.0, 4.0 * warming[0], 0.0, 4.0 * warming[1]])
    air = np.full(4, 0.0012)
    return Collection(t_s, np.zeros(4), air, room, Evaporation(tuple(blanks)), Weighing(), 0.01, mg_per_k)


def u_of(collection):
    parts = collection.delivered(4.0 * HOUR_S, 28.0 * HOUR_S)[1].components
    return math.hypot(*(part.u for part in parts if part.source in ("evaporation", "balance temperature")))


def test_the_blank_in_which_the_room_stood_still_counts_more():
    plain = collected((0.4, 0.05))
    chosen = weighted(plain, 4.0 * HOUR_S, 28.0 * HOUR_S)
    assert chosen.evaporation.weights[1] > 0.8
    assert u_of(chosen) < 0.85 * u_of(plain)


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.002, 0.05), st.floats(0.002, 0.05))
def test_weights_are_a_share_each_and_never_make_a_result_less_certain(first, last, before, after):
    plain = collected((first, last), u=(before, after))
    chosen = weighted(plain, 4.0 * HOUR_S, 28.0 * HOUR_S)
    assert sum(chosen.evaporation.weights) == pytest.approx(1.0)
    assert min(chosen.evaporation.weights) >= 0.0
    assert u_of(chosen) <= u_of(plain) * 1.0001


def test_blanks_that_truly_differ_count_by_their_distance_in_time():
    chosen = weighted(collected((0.4, 0.05), rates=(0.1, 1.1)), 4.0 * HOUR_S, 28.0 * HOUR_S)
    assert chosen.evaporation.weights == pytest.approx((0.5, 0.5), abs=0.01)


def test_one_blank_has_no_weight_to_choose():
    plain = collected((0.0, 0.0))
    alone = replace(plain, evaporation=Evaporation(plain.evaporation.blanks[:1]))
    assert weighted(alone, 4.0 * HOUR_S, 28.0 * HOUR_S) is alone


@pytest.mark.parametrize(("unsure", "counts"), [(0.0, 0.5), (0.3, 0.4), (0.6, 0.0)])
def test_of_a_difference_of_two_blanks_only_what_its_uncertainty_does_not_explain_counts(unsure, counts):
    blanks = collected((0.0, 0.0), rates=(0.1, 0.6)).evaporation.blanks
    evaporation = Evaporation(blanks, u_difference_mg_per_h=unsure)
    type_a = 0.008 / math.sqrt(2.0)
    u = evaporation.component(4.0 * HOUR_S, 28.0 * HOUR_S).u
    assert u == pytest.approx(max(type_a, counts / math.sqrt(12.0)))
