import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.analysis.budget import (
    Budget,
    BudgetError,
    Component,
    bounded,
    coverage_factor,
    resolution,
    welch_satterthwaite,
)
from protocols.analysis.flow_budget import Weighing, cycle, volume_budget
from protocols.analysis.gravimetry import air_density_mg_per_ul, water_density_mg_per_ul, water_expansion_per_k

EXAMPLE = Weighing(
    fluid_mg_per_ul=water_density_mg_per_ul(22.0),
    fluid_expansion_per_k=water_expansion_per_k(22.0),
    air_mg_per_ul=air_density_mg_per_ul(22.0, 1013.25, 50.0),
    evaporation_dof=5.0,
)
TABLE = [  # source, u_V in uL at 1 mL/day, share of the variance in percent at 1 and at 0.1 mL/day
    ("readability", "0.0041", "0.0", "0.0"),
    ("repeatability", "0.0284", "0.1", "0.1"),
    ("linearity", "0.0579", "0.3", "0.3"),
    ("zero drift", "0.1737", "2.9", "3.0"),
    ("air density on the vessel", "0.1269", "1.6", "1.6"),
    ("meniscus", "0.0290", "0.1", "0.1"),
    ("evaporation", "0.9629", "90.2", "93.2"),
    ("density, temperature", "0.0455", "0.2", "0.0"),
    ("density, composition", "0.1736", "2.9", "0.0"),
    ("buoyancy", "0.0088", "0.0", "0.0"),
    ("immersed tube", "0.0225", "0.0", "0.0"),
    ("thermal expansion", "0.1270", "1.6", "1.6"),
    ("time", "0.0012", "0.0", "0.0"),
]


@pytest.mark.parametrize(("source", "u_ul", "share", "share_at_a_tenth"), TABLE)
def test_each_row_of_the_worked_example(source, u_ul, share, share_at_a_tenth):
    budget, at_a_tenth = volume_budget(1000.0, 24.0, EXAMPLE), volume_budget(100.0, 24.0, EXAMPLE)
    assert f"{dict(budget.rows())[source]:.4f}" == u_ul
    assert f"{100.0 * budget.share(source):.1f}" == share
    assert f"{100.0 * at_a_tenth.share(source):.1f}" == share_at_a_tenth


def test_the_worked_example_at_1_ml_a_day():
    budget = volume_budget(1000.0, 24.0, EXAMPLE)
    percent = budget.scaled("flow error", "%", 100.0 / 1000.0)
    assert f"{budget.u:.3f} {percent.u:.3f} {2.0 * percent.u:.2f}" == "1.014 0.101 0.20"
    assert f"{budget.dof:.1f} {budget.coverage_factor:.2f} {percent.expanded:.2f}" == "6.1 2.50 0.25"


def test_the_worked_example_at_0_1_ml_a_day():
    budget = volume_budget(100.0, 24.0, EXAMPLE)
    percent = budget.scaled("flow error", "%", 1.0)
    assert f"{budget.u:.3f} {percent.u:.2f} {2.0 * percent.u:.2f}" == "0.997 1.00 1.99"
    assert f"{budget.dof:.1f} {percent.expanded:.1f}" == "5.8 2.5"


def test_the_worked_example_with_an_oil_layer():
    oil = replace(EXAMPLE, u_evaporation_mg_per_h=0.004, drift_half_width_mg_per_day=0.1, barometric_half_width_hpa=5.0)
    assert f"{2.0 * volume_budget(100.0, 24.0, oil).u:.2f}" == "0.37"  # uL of 100 uL


def test_drift_and_evaporation_grow_with_time_and_density_with_volume():
    short, long = volume_budget(1000.0, 24.0, EXAMPLE), volume_budget(2000.0, 48.0, EXAMPLE)
    for source in ("zero drift", "evaporation", "density, composition", "buoyancy"):
        assert dict(long.rows())[source] == pytest.approx(2.0 * dict(short.rows())[source])
    for source in ("repeatability", "linearity", "thermal expansion", "time"):
        assert dict(long.rows())[source] == pytest.approx(dict(short.rows())[source])


def test_a_budget_prints_its_rows_and_its_expanded_uncertainty():
    text = str(volume_budget(1000.0, 24.0, EXAMPLE))
    assert "evaporation                     0.9629       5   90.2 %" in text
    assert text.endswith("U = 2.536 uL (95.45 %, k = 2.50)")


def test_the_coverage_factor_is_two_for_a_known_uncertainty_and_larger_for_an_estimated_one():
    assert coverage_factor(math.inf) == 2.0
    # Table G.2 of the GUM, 95.45 %
    for dof, k in ((1, 13.97), (2, 4.53), (5, 2.65), (6, 2.52), (10, 2.28), (50, 2.05)):
        assert round(coverage_factor(float(dof)), 2) == k
    assert coverage_factor(math.inf, 0.95) == pytest.approx(1.959964, abs=1e-6)


def test_two_equal_components_double_the_degrees_of_freedom():
    assert welch_satterthwaite([Component("a", 1.0, 5.0), Component("b", 1.0, 5.0)]) == pytest.approx(10.0)


@given(st.lists(st.tuples(st.floats(0.0, 1e6), st.floats(1.0, 100.0)), min_size=1, max_size=8))
def test_effective_degrees_of_freedom_lie_between_the_least_and_the_sum(parts):
    components = [Component(str(i), u, dof) for i, (u, dof) in enumerate(parts)]
    effective = welch_satterthwaite(components)
    if any(component.u**2 > 0.0 for component in components):
        assert min(dof for u, dof in parts) * (1 - 1e-9) <= effective <= sum(dof for _, dof in parts) * (1 + 1e-9)


def test_bounds_and_digits_become_standard_uncertainties():
    assert bounded("x", 0.3).u == pytest.approx(0.3 / math.sqrt(3.0))
    assert bounded("x", 0.3, "u-shaped").u == pytest.approx(0.3 / math.sqrt(2.0))
    assert resolution("x", 0.01, readings=2).u == pytest.approx(0.01 / math.sqrt(6.0))
    assert cycle(1.5).u == pytest.approx(1.5 / math.sqrt(3.0))


@pytest.mark.parametrize(("u", "dof"), [(-1.0, 5.0), (math.nan, 5.0), (math.inf, 5.0), (1.0, 0.0), (1.0, math.nan)])
def test_a_component_that_is_no_uncertainty_is_refused_by_name(u, dof):
    with pytest.raises(BudgetError, match="drift:"):
        Component("drift", u, dof)


def test_an_empty_budget_is_zero_and_limits_nothing():
    empty = Budget("nothing", "uL", ())
    assert (empty.u, empty.dof, empty.expanded) == (0.0, math.inf, 0.0)
