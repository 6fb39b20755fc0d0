"""A closed line that takes, creeps, leaks, and a pump whose rollers slip: each against its own equations."""

import math

import numpy as np
import pytest

from protocols.analysis.grid import RecordError
from protocols.analysis.occlusion.line import ClosedLine, followed
from protocols.analysis.occlusion.metered import metered_step
from protocols.analysis.occlusion.regression import least_squares
from protocols.analysis.occlusion.rise import low_passed, thinned
from protocols.analysis.occlusion.slip import slip

C, CREEP, TAU, PUSH = 0.49, 0.0245, 300.0, 300.0 / 3600.0
FLOW = 1000.0 / 24.0 / 3600.0


def response(flow, t, leak=0.0, creep=CREEP, slips=math.inf, lost=0.0, dt=0.05):
    """Pressure of a creeping line by small steps of its equations, at times t."""
    p = x = 0.0
    out, steps = [], round(float(t[-1]) / dt) + 1
    for k in range(steps):
        out.append(p)
        q = flow(k * dt) - leak * p - lost * max(0.0, p - slips)
        into = creep * (p - x) / TAU
        p, x = p + dt * (q - into) / C, x + dt * (p - x) / TAU
    return np.interp(t, dt * np.arange(steps), out)


def step(leak=0.0, creep=CREEP, noise=0.003):
    """10 uL in two minutes and a quarter of an hour after it."""
    t = np.arange(0.0, 1020.0, 1.0)
    p = response(lambda s: PUSH if s < 120.0 else 0.0, t, leak, creep)
    return t, p + noise * np.random.default_rng(3).standard_normal(t.size)


@pytest.mark.parametrize("leak", [0.0, 1e-5, 5.6e-5])
@pytest.mark.parametrize("creep", [0.0, CREEP, 3.0 * CREEP])
def test_a_metered_step_tells_compliance_creep_and_leak_apart(leak, creep):
    line = metered_step(*step(leak, creep), 121.0, PUSH, 0.005, 0.001)
    assert line.ul_per_kpa == pytest.approx(C, rel=0.005)
    assert line.leak_ul_per_s_kpa == pytest.approx(leak, abs=max(3e-6, 0.1 * leak))
    assert line.creep_ul_per_kpa == pytest.approx(creep, abs=0.006)
    assert line.u_ul_per_kpa == pytest.approx(C * math.hypot(0.005, 0.001), rel=0.1)


def test_play_of_the_transducer_does_not_hide_the_creep():
    t, p = step()
    shown, last = [], 0.0
    for value in p.tolist():
        last = min(max(last, value - 0.1), value + 0.1)  # a play of 0.2 kPa
        shown.append(last)
    line = metered_step(t, np.array(shown), 121.0, PUSH, 0.005, 0.001)
    assert line.ul_per_kpa == pytest.approx(C, rel=0.01)
    assert line.creep_ul_per_kpa == pytest.approx(CREEP, rel=0.35)


def test_a_line_that_is_open_makes_no_compliance():
    t = np.arange(0.0, 1000.0, 1.0)
    with pytest.raises(RecordError, match="did not rise while the syringe pump pushed"):
        metered_step(t, np.zeros(t.size), 121.0, PUSH, 0.005, 0.001)
    with pytest.raises(RecordError, match="recorded too briefly"):
        metered_step(t[:20], 0.17 * t[:20], 15.0, PUSH, 0.005, 0.001)


def test_what_a_line_takes_and_gives_back_is_what_was_pushed():
    t = np.arange(1.0, 2400.0, 1.0)
    leak = 1e-5
    p = response(lambda _: FLOW, t, leak)
    line = ClosedLine(C, 0.0, CREEP, TAU, leak)
    assert line.taken_ul(t, p) == pytest.approx(FLOW * t, abs=0.01)
    lost = leak * float(np.sum(p))
    assert line.given_back_ul(t, p, 1e6) == pytest.approx(FLOW * float(t[-1]) - lost, rel=0.002)
    assert line.given_back_ul(t, p, 0.0) == pytest.approx(C * float(p[-1]))


def test_a_lag_follows_a_ramp_late_by_itself():
    t = np.array([1.0, 5.0, 40.0, 1000.0, 4000.0])
    assert followed(t, 2.0 * t, 300.0) == pytest.approx(2.0 * (t - 300.0 * -np.expm1(-t / 300.0)))


@pytest.mark.parametrize("at", [20.0, 40.0])
def test_rollers_that_slip_are_found_at_their_pressure(at):
    t = np.arange(2.0, 4000.0, 2.0)
    p = response(lambda s: FLOW * (1.0 + 0.1 * math.cos(s / 69.0)), t, slips=at, lost=2e-4, dt=0.5)
    found = slip(t, p, 1.0, FLOW, ClosedLine(C, 0.0, CREEP, TAU))
    assert found.kpa == pytest.approx(1.0 + at, abs=2.0 * found.u_kpa + 1.5)
    assert found.lost_ul_per_s_kpa == pytest.approx(2e-4, rel=0.2)


@pytest.mark.parametrize("slowing", [0.0, 1e-3, 3e-3])
def test_a_pump_that_slows_in_proportion_to_pressure_does_not_slip(slowing):
    t = np.arange(2.0, 3000.0, 2.0)
    p = response(lambda s: FLOW * (1.0 + 0.1 * math.cos(s / 69.0)), t, leak=slowing * FLOW, dt=0.5)
    assert slip(t, p, 1.0, FLOW, ClosedLine(C, 0.0, CREEP, TAU)) is None


def test_strokes_do_not_move_a_pressure_that_is_low_passed_over_one_of_them():
    t = np.arange(0.0, 3000.0, 0.7)
    low_t, low = low_passed(t, 0.02 * t + 0.6 * np.sin(2.0 * math.pi * t / 432.0), 432.0)
    assert low == pytest.approx(0.02 * low_t, abs=1e-3)
    assert (low_t[0], low_t[-1]) == (pytest.approx(216.0, abs=0.7), pytest.approx(3000.0 - 216.0, abs=2.0))


def test_thinning_keeps_a_straight_line():
    t, values = thinned(np.arange(1000.0), 3.0 * np.arange(1000.0), 90)
    assert t.size == 83
    assert values == pytest.approx(3.0 * t)


def test_least_squares_is_that_of_the_textbook():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    fit = least_squares([np.ones(4), x], np.array([1.0, 3.0, 4.0, 8.0]))
    assert fit.coefficients == pytest.approx((0.7, 2.2))
    assert fit.rss == pytest.approx(1.8)
    assert fit.u(1) == pytest.approx(math.sqrt(0.9 / 5.0))
    assert least_squares([x, 2.0 * x], x) is None
