import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.checks import Check, Limits, Verdict
from protocols.analysis.budget import Budget, Component
from protocols.analysis.decision import (
    NON_BINARY,
    SIMPLE,
    DecisionError,
    DecisionRule,
    conformity_probability,
    judge,
    result,
)

LABEL = Limits(-14.5, 14.5, "label")
FIVE = Limits(-5.0, 5.0, "recipe")
ORDER = [Verdict.FAIL, Verdict.CONDITIONAL_FAIL, Verdict.CONDITIONAL_PASS, Verdict.PASS]


def verdict(value, u, limits=LABEL, rule=NON_BINARY, dof=math.inf):
    return judge(value, u, dof, limits, rule)["verdict"]


@pytest.mark.parametrize(
    ("value", "u", "limits", "probability"),
    [
        (13.0, 1.0, LABEL, "0.933193"),
        (14.5, 1.0, LABEL, "0.500000"),
        (-12.0, 1.0, LABEL, "0.993790"),
        (4.2, 0.5, FIVE, "0.945201"),
        (2.0, 2.5, FIVE, "0.882375"),
    ],
)
def test_conformity_probability_of_the_worked_cases(value, u, limits, probability):
    assert f"{judge(value, u, math.inf, limits)['conformity_probability']:.6f}" == probability


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12.5, Verdict.PASS),
        (13.0, Verdict.CONDITIONAL_PASS),
        (14.5, Verdict.CONDITIONAL_PASS),
        (14.6, Verdict.CONDITIONAL_FAIL),
        (16.5, Verdict.CONDITIONAL_FAIL),
        (16.6, Verdict.FAIL),
        (-16.6, Verdict.FAIL),
        (-12.5, Verdict.PASS),
    ],
)
def test_the_four_zones_of_the_non_binary_rule(value, expected):
    assert verdict(value, 1.0) is expected


def test_simple_acceptance_judges_the_value_alone():
    assert [verdict(value, 1.0, rule=SIMPLE) for value in (14.5, 14.6)] == [Verdict.PASS, Verdict.FAIL]


def test_guarded_acceptance_fails_inside_the_guard_band():
    assert [verdict(value, 1.0, rule=DecisionRule("guarded acceptance")) for value in (12.5, 12.6)] == [
        Verdict.PASS,
        Verdict.FAIL,
    ]


def test_a_measurement_with_too_large_an_uncertainty_is_not_capable():
    assert verdict(2.0, 2.5, FIVE) is Verdict.NOT_CAPABLE
    assert verdict(0.0, 14.5 / 3.0 / 2.0 * 1.001) is Verdict.NOT_CAPABLE
    assert verdict(0.0, 14.5 / 3.0 / 2.0 * 0.999) is Verdict.PASS
    assert verdict(0.0, 7.0, rule=DecisionRule(r_max=None)) is Verdict.PASS


def test_a_fail_clear_of_the_limit_is_a_fail_even_where_nothing_could_pass():
    assert verdict(11.0, 2.5, FIVE) is Verdict.FAIL
    assert verdict(9.0, 2.5, FIVE) is Verdict.NOT_CAPABLE


def test_few_degrees_of_freedom_widen_the_guard_band():
    assert verdict(12.4, 1.0) is Verdict.PASS
    assert verdict(12.4, 1.0, dof=6.0) is Verdict.CONDITIONAL_PASS


def test_a_one_sided_limit_has_one_acceptance_limit():
    at_most = Limits(None, 3600.0, "recipe")
    assert verdict(1000.0, 100.0, at_most) is Verdict.PASS
    assert verdict(3500.0, 100.0, at_most) is Verdict.CONDITIONAL_PASS
    assert conformity_probability(3500.0, 100.0, math.inf, at_most) == pytest.approx(0.841345, abs=1e-6)
    assert verdict(95.0, 1.0, Limits(90.0, None, "recipe")) is Verdict.PASS


def test_without_limits_or_value_or_uncertainty_nothing_was_measured():
    assert judge(1.0, 0.1, math.inf, None)["verdict"] is Verdict.NOT_MEASURED
    assert judge(1.0, 0.1, math.inf, None)["expanded_uncertainty"] == pytest.approx(0.2)
    assert judge(None, None, math.inf, LABEL)["verdict"] is Verdict.NOT_MEASURED
    assert judge(1.0, None, math.inf, LABEL)["verdict"] is Verdict.NOT_MEASURED


def test_a_judgement_fills_a_check():
    check = Check(name="mean", title="Mean flow error", unit="%", owner="dut", **judge(13.0, 1.0, 6.0, LABEL))
    assert (check.verdict, check.limit_source, check.rule) == (
        Verdict.CONDITIONAL_PASS,
        "label",
        "ILAC-G8 non-binary, w = U",
    )
    assert check.coverage_factor == pytest.approx(2.517, abs=1e-3)
    assert check.expanded_uncertainty == pytest.approx(check.coverage_factor * 1.0)


PERCENT = Budget("mean", "%", (Component("scatter", 1.0, 6.0), Component("density", 0.0)))


def test_a_result_has_unit_and_rows_of_its_budget_and_is_judged_by_its_u():
    check = result("mean", "Mean flow error", 13.0, PERCENT, LABEL, note="short")
    assert (check.unit, check.owner, check.note) == ("%", "dut", "short")
    assert check.budget == PERCENT.rows()
    assert check.degrees_of_freedom == pytest.approx(6.0)
    assert check.verdict is Verdict.CONDITIONAL_PASS
    assert result("mean", "Mean flow error", 13.0, PERCENT, LABEL, rule=SIMPLE).verdict is Verdict.PASS


def test_a_result_counts_where_something_limits_it_unless_it_is_said_otherwise():
    assert not result("mean", "Mean", 1.0, PERCENT, LABEL).optional
    assert result("mean", "Mean", 1.0, PERCENT, None).optional
    assert not result("mean", "Mean", 1.0, PERCENT, None, optional=False).optional
    assert result("mean", "Mean", 1.0, PERCENT, LABEL, optional=True).optional


@pytest.mark.parametrize(
    ("value", "u", "dof"), [(math.nan, 1.0, 5.0), (1.0, -1.0, 5.0), (1.0, math.inf, 5.0), (1.0, 1.0, 0.0)]
)
def test_what_is_no_number_is_not_judged(value, u, dof):
    with pytest.raises(DecisionError):
        judge(value, u, dof, LABEL)


@pytest.mark.parametrize("kind", ["binary", ""])
def test_an_unknown_rule_names_the_known_ones(kind):
    with pytest.raises(DecisionError, match="non-binary, simple acceptance or guarded acceptance"):
        DecisionRule(kind)


values = st.floats(-40.0, 40.0)
uncertainties = st.floats(0.0, 2.4)
dofs = st.one_of(st.just(math.inf), st.floats(3.0, 100.0))


@given(values, values, uncertainties)
def test_moving_towards_the_middle_never_worsens_a_verdict(one, other, u):
    near, far = sorted((one, other), key=abs)
    assert ORDER.index(verdict(near, u)) >= ORDER.index(verdict(far, u))


@given(values, uncertainties, uncertainties)
def test_a_larger_uncertainty_never_turns_anything_into_a_clear_verdict(value, one, other):
    small, large = sorted((one, other))
    if verdict(value, large) in (Verdict.PASS, Verdict.FAIL):
        assert verdict(value, small) is verdict(value, large)


@given(values, uncertainties, dofs)
def test_a_pass_is_right_with_at_least_95_percent_and_a_fail_wrong_with_at_most_5(value, u, dof):
    fields = judge(value, u, dof, LABEL, DecisionRule(r_max=None))
    probability = fields["conformity_probability"]
    assert 0.0 <= probability <= 1.0
    if fields["verdict"] is Verdict.PASS:
        assert probability > 0.9544
    if fields["verdict"] is Verdict.FAIL:
        assert probability < 0.0228


@given(values, st.floats(0.01, 2.4), dofs)
def test_a_verdict_and_its_probability_do_not_know_the_sign(value, u, dof):
    plus, minus = judge(value, u, dof, LABEL), judge(-value, u, dof, LABEL)
    assert plus["verdict"] is minus["verdict"]
    assert plus["conformity_probability"] == pytest.approx(minus["conformity_probability"], abs=1e-9)


@settings(max_examples=40)
@given(st.floats(-20.0, 20.0), st.floats(0.05, 3.0), st.floats(1.0, 60.0))
def test_conformity_probability_is_the_integral_of_the_t_distribution(value, u, dof):
    from scipy.stats import t

    expected = t.cdf((14.5 - value) / u, dof) - t.cdf((-14.5 - value) / u, dof)
    assert conformity_probability(value, u, dof, LABEL) == pytest.approx(expected, abs=1e-9)
