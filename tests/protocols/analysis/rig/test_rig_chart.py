"""Control charts: what is in control stays quiet, what wanders is told once."""

import numpy as np
import pytest

from protocols.analysis.rig.chart import control_chart

STEADY = [0.1, -0.1, 0.12, -0.08, 0.05, -0.11, 0.09, -0.06, 0.1, -0.1] * 2


def test_few_values_make_no_chart():
    assert control_chart([1.0, 2.0, 3.0, 4.0]) is None


def test_the_standard_deviation_follows_from_the_moving_range():
    chart = control_chart([1.0, 2.0] * 10)
    assert chart.sigma == pytest.approx(1.0 / 1.128)
    assert chart.centre == pytest.approx(1.5)


def test_a_steady_rig_is_in_control():
    assert control_chart(STEADY).signals == ()


@pytest.mark.parametrize(
    ("later", "rule", "at"),
    [
        ([5.0], "beyond three standard deviations", 20),
        ([0.4, 0.0, 0.4], "two of three beyond two standard deviations", 22),
        ([0.25, 0.25, 0.0, 0.25, 0.25], "four of five beyond one standard deviation", 24),
        ([0.05] * 8, "eight in a row on one side", 27),
    ],
)
def test_each_rule_is_told_at_the_value_that_completes_it(later, rule, at):
    chart = control_chart([*STEADY, *later])
    assert [(signal.at, signal.rule) for signal in chart.signals] == [(at, rule)]


def test_a_shift_that_lasts_is_told_once():
    chart = control_chart([*STEADY, *[2.0] * 6])
    assert [signal.at for signal in chart.signals] == [20]


def test_a_slow_drift_does_not_widen_its_own_limits():
    rng = np.random.default_rng(2)
    values = 0.1 * rng.standard_normal(60) + np.concatenate([np.zeros(20), np.linspace(0.0, 0.6, 40)])
    chart = control_chart(values.tolist())
    assert chart.sigma < 0.15
    assert chart.signals


def test_values_that_are_all_equal_but_one_show_it():
    assert [signal.at for signal in control_chart([1.0] * 6 + [1.5]).signals] == [6]


@pytest.mark.parametrize("days", [1, 2, 5])
def test_a_result_that_stays_out_of_control_is_out_of_it_on_each_day(days):
    usual = [0.1 * (-1) ** k for k in range(20)]
    chart = control_chart([*usual, *[1.5] * days])
    assert chart is not None
    assert chart.latest_is_out
    assert [signal.at for signal in chart.signals] == [20]
    back = control_chart([*usual, *[1.5] * days, 0.1])
    assert back is not None
    assert not back.latest_is_out


def test_a_result_that_never_changed_is_out_of_control_while_it_differs():
    for values, out in (([2.0] * 6, False), ([2.0] * 20 + [2.1, 2.1], True), ([2.0] * 20 + [2.1, 2.0], False)):
        chart = control_chart(values)
        assert chart is not None
        assert chart.latest_is_out == out
