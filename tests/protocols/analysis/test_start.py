"""When a delivery began: pumps that give shots, that turn and that only flow, at their rate and below it."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from data.checks import Exclusion, Verdict
from protocols.analysis.delivery import constant_rate
from protocols.analysis.start import Start, StartRule, start_check, start_rule, start_within, started_s

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


RULE = StartRule(60.0, 0.0, 900.0, 17.0)


def judged(start, limit_s=600.0):
    limit = None if limit_s is None else {"at_most_s": limit_s, "source": "file", "revision": "1"}
    record = SimpleNamespace(dut={"limits": {"start_up": limit}})
    return start_check(record, start, (0.0, 10_800.0), RULE, (), ())


@pytest.mark.parametrize(
    ("at_s", "soonest_s", "latest_s", "verdict"),
    [
        (120.0, 120.0, 120.0, Verdict.PASS),
        (120.0, 60.0, 540.0, Verdict.PASS),
        (120.0, 120.0, 570.0, Verdict.CONDITIONAL_PASS),
        (120.0, 120.0, 610.0, Verdict.CONDITIONAL_PASS),
        (120.0, 120.0, 660.0, Verdict.NOT_MEASURED),
        (120.0, 120.0, None, Verdict.NOT_MEASURED),
        (610.0, 590.0, 620.0, Verdict.CONDITIONAL_FAIL),
        (700.0, 610.0, 800.0, Verdict.CONDITIONAL_FAIL),
        (700.0, 590.0, 700.0, Verdict.NOT_MEASURED),
        (1200.0, 1140.0, None, Verdict.FAIL),
        (None, 120.0, None, Verdict.NOT_MEASURED),
        (None, 1200.0, None, Verdict.FAIL),
        (None, None, None, Verdict.FAIL),
    ],
)
def test_a_start_is_judged_by_when_it_may_have_been(at_s, soonest_s, latest_s, verdict):
    assert judged(Start(at_s, soonest_s, latest_s, 0.02)).verdict is verdict


def test_a_start_that_nothing_limits_has_the_uncertainty_of_its_farther_side():
    check = judged(Start(600.0, 300.0, 700.0, 0.02), None)
    assert (check.optional, check.verdict) == (True, Verdict.NOT_MEASURED)
    assert check.expanded_uncertainty == pytest.approx(math.hypot(34.0, 300.0))
    assert check.note == "with a flow known to 2 % between 5 min and 11.7 min"


def test_a_start_that_may_never_have_come_in_too_short_a_time_is_not_judged():
    limit = {"at_most_s": 600.0, "source": "file", "revision": "1"}
    record = SimpleNamespace(dut={"limits": {"start_up": limit}})
    for start in (None, Start(None, 120.0, None), Start(120.0, 120.0, None)):
        assert start_check(record, start, (0.0, 1500.0), RULE, (), ()).verdict is Verdict.NOT_MEASURED


def test_a_moment_alone_is_one_of_a_flow_beyond_doubt():
    assert judged(120.0) == judged(Start(120.0, 120.0, 120.0))


def test_a_flow_within_its_doubt_of_95_percent_may_have_come_and_may_not():
    t_s = np.arange(0.0, 10_801.0, 60.0)
    found = [
        start_within(t_s, share * t_s / 36.0, constant_rate(100.0), (0.0, 10_800.0), RULE, (), 0.02)
        for share in (0.92, 0.94, 0.96, 0.98)
    ]
    assert [(one.soonest_s, one.at_s, one.latest_s) for one in found] == [
        (None, None, None),
        (60.0, None, None),
        (60.0, 60.0, None),
        (60.0, 60.0, 60.0),
    ]
