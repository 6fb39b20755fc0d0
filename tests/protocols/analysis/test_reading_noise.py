"""The noise of weighted readings against Monte Carlo of the three things that make it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from protocols.analysis.bolus import Summed, block_jumps, block_line
from protocols.analysis.reading_noise import FILTER_S, SLIPS_UL, ReadingNoise

SPACING, BLOCK = 1.0, 432.0
"""Readings so close that they hang together behind the balance's filter."""
MIDDLES = np.array([216.0, 648.0, 5000.0, 5432.0])
VOLUMES = MIDDLES * 41.67 / 3600.0 + 25.0 * (MIDDLES > 3000.0)
WEIGHTS = np.array([0.4, -1.4, 2.2, -1.2])


def simulated(generator, white, meniscus, walk):
    """One draw of the weighted sum of block means of readings."""
    t = np.arange(0.0, 5700.0, SPACING)
    volume = np.interp(t, MIDDLES, VOLUMES)
    mass = np.zeros(t.size)
    if white:
        kept = math.exp(-SPACING / FILTER_S)
        first, fresh = generator.normal(0.0, white), generator.normal(0.0, white * math.sqrt(1.0 - kept**2), t.size)
        fresh[0] = first
        mass = lfilter([1.0], [1.0, -kept], fresh)
    if meniscus:
        slips = np.cumsum(generator.exponential(generator.choice(SLIPS_UL), 400))
        mass = mass + generator.normal(0.0, meniscus, 401)[np.searchsorted(slips, volume - volume[0])]
    if walk:
        mass = mass + np.cumsum(generator.normal(0.0, walk * np.sqrt(SPACING / 3600.0), t.size))
    means = [mass[(t >= m - BLOCK / 2.0) & (t < m + BLOCK / 2.0)].mean() for m in MIDDLES]
    return float(np.dot(WEIGHTS, means))


@pytest.mark.parametrize(
    ("part", "white", "meniscus", "walk"),
    [("readings", 0.02, 0.0, 0.0), ("meniscus", 0.0, 0.03, 0.0), ("zero walk", 0.0, 0.0, 0.01)],
)
def test_each_part_is_the_standard_deviation_of_many_draws(part, white, meniscus, walk):
    noise = ReadingNoise(white, meniscus, walk, SPACING)
    stated = dict(noise.parts_mg(MIDDLES, VOLUMES, WEIGHTS, np.full(4, BLOCK)))[part]
    generator = np.random.default_rng(1)
    draws = [simulated(generator, white, meniscus, walk) for _ in range(1500)]
    assert np.std(draws) == pytest.approx(stated, rel=0.1)


def pulsed(t, rate, stroke, swing):
    """Volume of a pump whose strokes swing about an even flow."""
    even = rate * t / 3600.0
    return even + swing * np.sin(2.0 * np.pi * even / stroke)


def test_lines_through_whole_strokes_do_not_see_the_pumps_wave():
    t = np.arange(0.0, 20_000.0, 7.3)
    jumps = block_jumps(
        t, pulsed(t, 41.67, 5.0, 1.5) + 25.0 * np.clip((t - 9000.0) / 300.0, 0.0, 1.0), [9000.0], 2000.0, 16_000.0,
        5.0 / 41.67 * 3600.0, 30.0,
    )  # fmt: skip
    assert jumps[0].amount == pytest.approx(25.0, abs=0.005)


def test_weights_of_a_line_sum_to_one_and_give_its_value():
    t = np.arange(0.0, 4000.0, 10.0)
    line = block_line(Summed(t, 2.0 + 0.01 * t), 500.0, 2500.0, 450.0)
    means = [2.0 + 0.01 * at for at in line.blocks_s]
    assert sum(line.weights(3000.0)) == pytest.approx(1.0)
    assert sum(w * m for w, m in zip(line.weights(3000.0), means, strict=True)) == pytest.approx(32.0)
    assert line.at(3000.0) == pytest.approx(32.0)
    assert line.from_s == 700.0


@pytest.mark.parametrize(("window_s", "gained_ul"), [(900.0, 10.4), (4320.0, 5.0), (0.0, 0.0), (90_000.0, 1041.7)])
def test_two_readings_a_window_apart_have_the_noise_of_both_the_meniscus_and_the_walk(window_s, gained_ul):
    noise = ReadingNoise(reading_mg=0.02, meniscus_mg=0.03, walk_mg=0.01, spacing_s=1.0)
    held = sum(math.exp(-gained_ul / slip_ul) for slip_ul in SLIPS_UL) / len(SLIPS_UL)
    slips = 2.0 * 0.03**2 * (1.0 - held)
    expected = math.sqrt(2.0 * 0.02**2 + slips + 0.01**2 * window_s / 3600.0)
    assert noise.apart_mg(window_s, gained_ul) == pytest.approx(expected, rel=1e-9)
