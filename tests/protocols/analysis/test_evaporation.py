import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.analysis.budget import coverage_factor
from protocols.analysis.evaporation import Blank, BlankError, Evaporation, blank

HOUR_S = 3600.0


def record(generator, hours, spacing_s, rate, white, wander, digit):
    """What a balance shows of evaporation: white noise, a random walk of the zero, rounding."""
    n = int(hours * HOUR_S / spacing_s)
    t_s = np.arange(n) * spacing_s
    steps = generator.standard_normal(n) * wander * math.sqrt(spacing_s / HOUR_S)
    mass = generator.uniform(0.0, 10.0) - rate * t_s / HOUR_S + white * generator.standard_normal(n) + np.cumsum(steps)
    return t_s, np.round(mass / digit) * digit if digit else mass


@pytest.mark.parametrize(
    ("hours", "white", "wander", "digit", "least"),
    [
        (4.0, 0.02, 0.01, 0.01, 0.75),  # a semi-micro balance
        (4.0, 0.0, 0.01, 0.0, 0.9),  # wander alone
        (4.0, 0.02, 0.03, 0.01, 0.9),
        # Where the record cannot tell wander from noise, u may be too large, never too small:
        (1.0, 0.02, 0.01, 0.01, 0.5),
        (4.0, 0.02, 0.0, 0.01, 0.2),  # white noise alone
        (4.0, 0.002, 0.01, 0.1, 0.0),  # digits far above the noise
    ],
)
def test_the_uncertainty_of_a_blank_covers_its_error(hours, white, wander, digit, least):
    generator = np.random.Generator(np.random.Philox(7))
    blanks = [blank(*record(generator, hours, 20.0, 0.2, white, wander, digit), digit) for _ in range(200)]
    errors = [one.rate_mg_per_h - 0.2 for one in blanks]
    inside = sum(
        abs(error) <= coverage_factor(one.dof) * one.u_mg_per_h for error, one in zip(errors, blanks, strict=True)
    )
    ratio = math.sqrt(sum(error**2 for error in errors) / sum(one.u_mg_per_h**2 for one in blanks))
    assert inside >= 0.88 * len(blanks)
    assert least < ratio < 1.15


def test_a_straight_line_fit_alone_would_claim_a_tenth_of_the_error():
    """Why the wander of the zero is in the model."""
    generator = np.random.Generator(np.random.Philox(8))
    claimed, ours = [], []
    for _ in range(50):
        t_s, mass = record(generator, 4.0, 5.0, 0.2, 0.02, 0.01, 0.01)
        x = t_s / HOUR_S - np.mean(t_s) / HOUR_S
        slope = np.sum(x * mass) / np.sum(x * x)
        rest = mass - mass.mean() - slope * x
        claimed.append(math.sqrt(np.sum(rest**2) / (mass.size - 2) / np.sum(x * x)))
        ours.append(blank(t_s, mass, 0.01).u_mg_per_h)
    assert np.mean(claimed) < 0.12 * np.mean(ours)


def test_the_uncertainty_falls_as_the_blank_grows():
    generator = np.random.Generator(np.random.Philox(9))
    u = [
        np.sqrt(
            np.mean(
                [blank(*record(generator, hours, 10.0, 0.2, 0.02, 0.01, 0.01), 0.01).u_mg_per_h ** 2 for _ in range(60)]
            )
        )
        for hours in (1.0, 2.0, 4.0)
    ]
    assert u[0] < 0.03
    assert u[1] < 0.016
    assert u[2] < 0.009
    assert u[0] > u[1] > u[2]


def test_readings_that_never_change_have_the_uncertainty_of_their_digits():
    one = blank(np.arange(0.0, HOUR_S, 10.0), np.full(360, 5.0), 0.01)
    assert one.rate_mg_per_h == 0.0
    assert one.u_mg_per_h == pytest.approx(0.01 / math.sqrt(6.0), rel=0.01)


@given(st.floats(-5.0, 5.0), st.floats(0.0, 1e4))
@settings(max_examples=30)
def test_a_noiseless_blank_gives_its_slope_whatever_the_vessel_holds(rate, mass):
    t_s = np.arange(200.0) * 60.0
    one = blank(t_s, mass - rate * t_s / HOUR_S, 0.0)
    assert one.rate_mg_per_h == pytest.approx(rate, abs=1e-7)


def test_a_blank_of_few_samples_is_refused():
    with pytest.raises(BlankError, match="too short; record at least 12"):
        blank(np.arange(11.0), np.zeros(11), 0.01)


def pair(before, after, u=0.01, dof=10.0):
    return Evaporation((Blank(0.0, 2 * HOUR_S, before, u, dof), Blank(10 * HOUR_S, 12 * HOUR_S, after, u, dof)))


def test_evaporation_is_interpolated_between_blanks_and_constant_beyond():
    evaporation = pair(0.1, 0.3)
    assert evaporation.rate_mg_per_h(np.array([0.0, 1.0, 6.0, 11.0, 20.0]) * HOUR_S) == pytest.approx(
        [0.1, 0.1, 0.2, 0.3, 0.3]
    )


@given(st.floats(0.0, 20.0), st.floats(0.01, 20.0), st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_the_mass_lost_is_the_integral_of_the_rate(begin_h, length_h, before, after):
    evaporation = pair(before, after)
    fine = np.linspace(begin_h, begin_h + length_h, 20001) * HOUR_S
    rate = evaporation.rate_mg_per_h(fine)
    integral = np.sum((rate[1:] + rate[:-1]) / 2.0) * length_h / 20000
    lost = evaporation.lost_mg(begin_h * HOUR_S, np.array([(begin_h + length_h) * HOUR_S]))
    assert lost[0] == pytest.approx(integral, abs=1e-6)


def test_two_blanks_in_the_middle_of_each_other_average():
    component = pair(0.2, 0.2).component(2 * HOUR_S, 10 * HOUR_S)
    assert component.u == pytest.approx(0.01 / math.sqrt(2.0))
    assert component.dof == pytest.approx(20.0)


def test_the_difference_of_two_blanks_is_an_uncertainty_where_it_is_larger():
    assert pair(0.1, 0.3).component(2 * HOUR_S, 10 * HOUR_S).u == pytest.approx(0.2 / math.sqrt(12.0))


@pytest.mark.parametrize(
    ("before", "after", "agree"),
    [(0.02, 0.11, True), (0.02, 0.13, False), (13.7, 13.0, True), (1.0, 1.3, False), (0.02, 1.2, False)],
)
def test_blanks_that_differ_as_when_a_trap_runs_dry_do_not_agree(before, after, agree):
    assert pair(before, after).blanks_agree is agree


@pytest.mark.parametrize(("u_mg_per_h", "agree"), [(0.0, False), (0.02, False), (0.035, True)])
def test_short_blanks_in_a_restless_room_need_not_agree_better_than_they_can_tell(u_mg_per_h, agree):
    assert replace(pair(0.02, 0.15), u_difference_mg_per_h=u_mg_per_h).blanks_agree is agree


def test_one_blank_stands_for_the_whole_run():
    alone = Evaporation((Blank(0.0, HOUR_S, 0.2, 0.03, 9.0),))
    assert alone.lost_mg(0.0, np.array([HOUR_S, 2 * HOUR_S])) == pytest.approx([0.2, 0.4])
    assert (alone.component(0.0, HOUR_S).u, alone.component(0.0, HOUR_S).dof) == (0.03, pytest.approx(9.0))


def test_without_a_blank_there_is_no_evaporation():
    with pytest.raises(BlankError, match="no blank was recorded"):
        Evaporation(())
