import math

import pytest

from protocols.analysis.gravimetry import (
    air_density_mg_per_ul,
    buoyancy_factor,
    expansion_ul,
    immersion_factor,
    shown_gain_mg,
    volume_ul,
    water_density_mg_per_ul,
    water_expansion_per_k,
    z_factor_ul_per_mg,
)


@pytest.mark.parametrize(
    ("temperature_degc", "kg_per_m3"),
    [(15.0, "999.1026"), (20.0, "998.2067"), (22.0, "997.7730"), (25.0, "997.0470"), (37.0, "993.3290")],
)
def test_water_has_the_density_of_tanaka(temperature_degc, kg_per_m3):
    assert f"{1000.0 * water_density_mg_per_ul(temperature_degc):.4f}" == kg_per_m3


def test_air_at_20_degrees_has_its_tabulated_density():
    assert f"{1000.0 * air_density_mg_per_ul(20.0, 1013.25, 50.0):.5f}" == "1.19929"


def test_buoyancy_in_air_at_20_degrees_is_a_tenth_of_a_percent():
    air = air_density_mg_per_ul(20.0, 1013.25, 50.0)
    assert f"{buoyancy_factor(air, water_density_mg_per_ul(20.0)):.6f}" == "1.001053"


@pytest.mark.parametrize(
    ("temperature_degc", "ul_per_mg"), [(20.0, "1.002851"), (22.0, "1.003280"), (25.0, "1.004000"), (37.0, "1.007715")]
)
def test_the_z_factor_is_that_of_the_tables(temperature_degc, ul_per_mg):
    air = air_density_mg_per_ul(temperature_degc, 1013.25, 50.0)
    assert f"{z_factor_ul_per_mg(air, water_density_mg_per_ul(temperature_degc)):.6f}" == ul_per_mg


def test_a_tube_of_0_8_mm_in_20_mm_takes_0_16_percent():
    assert 100.0 * (1.0 - immersion_factor(0.8, 20.0)) == pytest.approx(0.16)


def test_a_tube_wider_than_its_vessel_is_refused():
    with pytest.raises(ValueError, match="does not go into a vessel"):
        immersion_factor(20.0, 20.0)


@pytest.mark.parametrize(("delivered_ul", "shown_mg"), [(1000.0, "992.154"), (100.0, "94.894")])
def test_the_indicated_gain_of_the_worked_example(delivered_ul, shown_mg):
    water, air = water_density_mg_per_ul(22.0), air_density_mg_per_ul(22.0, 1013.25, 50.0)
    gain = shown_gain_mg(delivered_ul, 0.2 * 24.0, water, air, immersion_factor(0.3, 20.0))
    assert f"{gain:.3f}" == shown_mg
    assert volume_ul(gain, 0.2 * 24.0, water, air, immersion_factor(0.3, 20.0)) == pytest.approx(delivered_ul)


def test_the_expansion_of_water_is_the_slope_of_its_density():
    assert water_expansion_per_k(20.0) == pytest.approx(2.07e-4, rel=2e-3)
    assert expansion_ul(1000.0, 1.0, 2.2e-4) == pytest.approx(0.22)


def test_accuracy_by_weighing_a_cassette_as_a_service_manual_does_it():
    delivered_ml = volume_ul(61.1e3 - 41.6e3, 0.0, 1.0) / 1000.0
    assert math.isclose(100.0 * (delivered_ml / 20.0 - 1.0), -2.5)
