"""When a delivery began: pumps that give shots, that turn and that only flow, at their rate and below it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from data.checks import Exclusion
from protocols.analysis.delivery import constant_rate
from protocols.analysis.start import start_rule, started_s

NOISE_MG = 0.02
RATES_ML_PER_DAY = (0.5, 1.0, 2.0, 3.7, 6.5, 10.0)


def found(rate_ul_per_h, share=1.0, late_s=0.0, stroke_ul=0.0, shots=False, seed=1, hours=6.0, excluded=()):
    """Start of a record of one reading a second, with the rule by which it was looked for."""
    t_s = np.arange(0.0, hours * 3600.0 + 1.0)
    volume = share * rate_ul_per_h / 3600.0 * np.maximum(t_s - late_s, 0.0)
    if shots:
        volume = np.floor(volume / stroke_ul + 1e-9) * stroke_ul
    elif stroke_ul:
        volume = volume + 0.05 * stroke_ul * np.sin(2.0 * math.pi * volume / stroke_ul)
    volume = volume + np.random.default_rng(seed).normal(0.0, NOISE_MG, t_s.size)
    rule = start_rule(rate_ul_per_h, stroke_ul, shots, math.sqrt(2.0) * NOISE_MG, 1.0)
    span = 0.0, float(t_s[-1])
    return started_s(t_s, volume, constant_rate(rate_ul_per_h), span, rule, excluded), rule


@pytest.mark.parametrize("rate", RATES_ML_PER_DAY)
@pytest.mark.parametrize(("stroke_ul", "shots"), [(2.0, True), (5.0, False), (0.0, False)])
def test_a_pump_at_its_rate_starts_at_once_or_when_it_starts(rate, stroke_ul, shots):
    ul_per_h = rate / 24.0 * 1000.0
    for late_s in (0.0, 1234.0):
        at_s, rule = found(ul_per_h, 0.99, late_s, stroke_ul, shots)
        stroke_s = stroke_ul / ul_per_h * 3600.0 if shots else 0.0
        assert at_s is not None
        # The END of a whole interval; one in which few shots or the ebb of a wave fall is passed over.
        # The END of a whole interval; one in which the ebb of a wave falls is passed over.
        assert 0.0 <= at_s - late_s <= (3.0 if stroke_ul else 2.0) * rule.interval_s + stroke_s


@pytest.mark.parametrize("rate", RATES_ML_PER_DAY)
@pytest.mark.parametrize(("stroke_ul", "shots", "share"), [(2.0, True, 0.89), (5.0, False, 0.93), (0.0, False, 0.93)])
def test_a_pump_below_95_percent_never_starts(rate, stroke_ul, shots, share):
    assert found(rate / 24.0 * 1000.0, share, 0.0, stroke_ul, shots)[0] is None


def test_what_has_to_stay_is_whole_strokes_and_of_shots_twenty():
    assert start_rule(41.67, 5.0, False, 0.028, 1.0).stays_s == pytest.approx(3 * 5.0 / 41.67 * 3600.0)
    assert start_rule(83.3, 2.0, True, 0.028, 1.0).stays_s == pytest.approx(20 * 2.0 / 83.3 * 3600.0)
    assert start_rule(41.67, 0.0, False, 0.028, 1.0).stays_s == 900.0


@pytest.mark.parametrize(
    ("rate_ul_per_h", "every_s", "minutes"), [(41.67, 1.0, 1), (4.167, 1.0, 9), (41.67, 60.0, 3), (2.0, 1.0, 17)]
)
def test_an_interval_is_as_short_as_the_balance_can_tell(rate_ul_per_h, every_s, minutes):
    rule = start_rule(rate_ul_per_h, 5.0, False, math.sqrt(2.0) * NOISE_MG, every_s)
    assert (rule.interval_s, rule.u_s) == (60.0 * minutes, pytest.approx(60.0 * minutes / math.sqrt(12.0)))


def test_when_shots_come_seldom_the_start_is_known_to_a_shot():
    rule = start_rule(4.167, 2.0, True, math.sqrt(2.0) * NOISE_MG, 1.0)
    assert rule.u_s > 1728.0 / math.sqrt(12.0)


def test_nothing_is_concluded_from_what_is_excluded():
    assert found(41.67, excluded=[Exclusion(100.0, 200.0, "door")])[0] == 240.0 + 60.0
    assert found(41.67, excluded=[Exclusion(0.0, 20_900.0, "door")])[0] is None
