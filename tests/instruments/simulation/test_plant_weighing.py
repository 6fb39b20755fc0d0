"""Mass, evaporation, buoyancy and the balance."""

import numpy as np
import pytest

from instruments.simulation.noise import Noise
from instruments.simulation.parameters import PlantParameters
from instruments.simulation.properties import air_density, saturation_pressure, water_density
from instruments.simulation.stepping import lag
from instruments.simulation.weighing import Fluid, Meniscus, MeniscusState

QUIET = {
    "balance": {
        "noise_mg": 0.0,
        "zero_walk_mg_per_sqrt_h": 0.0,
        "drift_mg_per_day": 0.0,
        "linearity_mg": 0.0,
        "temperature_coefficient_per_k": 0.0,
    },
    "twin_balance": {"drift_mg_per_day": 0.0},
    "meniscus": {"amplitude_mg": 0.0},
    "fluid": {"density_deviation_kg_per_m3": 0.0},
    "evaporation": {"rate_mg_per_h": 0.0},
}
BOOKS = 1.001053  # mass over indication for water at 20 degC, 1013.25 hPa, 50 % in steel weights


def gain_mg(plant, t0, t1, name="reference_load_mg"):
    return plant.signals[name].at(t1) - plant.signals[name].at(t0)


def test_an_indicated_gain_is_mass_less_buoyancy_plus_the_immersed_tube(make_plant):
    plant = make_plant(QUIET, {"laboratory": {"temperature_degc": 20.0}})
    mass = plant.truth["vessel_mass_mg"].at(86400.0) - plant.truth["vessel_mass_mg"].at(3600.0)

    expected = mass / BOOKS / (1.0 - (0.3 / 20.0) ** 2)
    assert gain_mg(plant, 3600.0, 86400.0) == pytest.approx(expected, abs=2e-3)
    assert gain_mg(plant, 3600.0, 86400.0, "twin_load_mg") == pytest.approx(0.0, abs=1e-9)


def test_the_pump_meters_volume_at_its_own_temperature(make_plant):
    plant = make_plant(QUIET)
    at_body, at_bench = water_density(np.array([37.0, 20.0])) * 1e-3
    volume, mass = plant.truth["tip_volume_ul"].at(86400.0), plant.truth["tip_mass_mg"].at(86400.0)

    assert mass / volume == pytest.approx(at_body, rel=1e-6)
    assert mass / at_bench / volume - 1.0 == pytest.approx(-0.0049, abs=1e-4)


def test_without_a_correction_flow_reads_low_by_the_evaporation(make_plant):
    wet = make_plant(QUIET, {"evaporation": {"rate_mg_per_h": 0.2}})
    dry = make_plant(QUIET)
    low = gain_mg(wet, 3600.0, 90000.0) / gain_mg(dry, 3600.0, 90000.0) - 1.0

    assert low == pytest.approx(-0.2 / (gain_mg(dry, 3600.0, 90000.0) / 24.0), rel=2e-2)
    assert wet.truth["evaporated_mg"].at(86400.0) == pytest.approx(0.2 * 24.0, rel=1e-9)


def test_evaporation_follows_temperature_and_humidity(make_plant):
    dry = {"evaporation": {"rate_mg_per_h": 0.2}, "laboratory": {"temperature_degc": 26.0, "humidity_percent": 20.0}}
    ratio = float(saturation_pressure(np.array([26.0]))[0] / saturation_pressure(np.array([22.0]))[0]) * 0.8 / 0.5

    assert make_plant(QUIET, dry, rate=None).truth["evaporated_mg"].at(36000.0) == pytest.approx(2.0 * ratio, rel=1e-6)


def test_the_twin_vessel_evaporates_nearly_as_the_reference_vessel_does(make_plant):
    plant = make_plant(rate=None)
    rates = [plant.truth[n].at(86400.0) / 24.0 for n in ("evaporated_mg", "twin_evaporated_mg")]

    assert rates[0] == pytest.approx(plant.draws["evaporation.rate_mg_per_h"])
    assert rates[1] == pytest.approx(rates[0] * plant.draws["evaporation.twin_ratio"])


def test_while_diverted_the_vessel_sees_evaporation_alone(make_plant):
    plant = make_plant(QUIET, {"evaporation": {"rate_mg_per_h": 0.2}})
    plant.actuators["diverter_valve"].write(1.0, 3600.0)
    plant.actuators["diverter_valve"].write(0.0, 10800.0)

    assert gain_mg(plant, 3620.0, 10790.0) == pytest.approx(-0.2 * 7170.0 / 3600.0, rel=2e-3)
    assert plant.truth["vessel_volume_ul"].at(10800.0) == plant.truth["vessel_volume_ul"].at(3600.1)
    assert plant.truth["tip_volume_ul"].at(10800.0) - plant.truth["tip_volume_ul"].at(3600.0) > 80.0
    assert gain_mg(plant, 10820.0, 14400.0) > 30.0


def test_weather_moves_an_idle_balance_by_the_buoyancy_of_the_tare(make_plant):
    low, high = ({"laboratory": {"pressure_hpa": p}} for p in (1000.0, 1020.0))
    plants = [make_plant(QUIET, {"vessel": {"liquid_mg": 0.0}}, over, rate=None) for over in (low, high)]
    shift = plants[1].signals["reference_load_mg"].at(100.0) - plants[0].signals["reference_load_mg"].at(100.0)

    assert shift == pytest.approx(-0.22, abs=0.01)


def test_the_balance_settles_with_its_filter(make_plant):
    plant = make_plant(QUIET, rate=None)
    before = plant.signals["reference_load_mg"].at(100.0)
    plant.actuators["pan_mg"].write(1000.0, 100.0)
    risen = plant.signals["reference_load_mg"].samples(100.1, 0.1, 0, 200) - before

    assert risen[10] == pytest.approx(1000.0 * (1.0 - np.exp(-1.0)), rel=0.05)
    assert risen[-1] == pytest.approx(1000.0, abs=1e-4)


def test_a_lag_of_a_ramp_trails_by_its_time_constant():
    ramp = np.arange(5000) * 0.1
    trailing = lag(ramp, 0.0, 7.0)

    assert trailing[-1] == pytest.approx(ramp[-1] - 7.0, abs=1e-9)


def test_the_balance_has_the_noise_drift_and_walk_that_are_stated(make_plant):
    drifting = {"balance": {**QUIET["balance"], "drift_mg_per_day": 0.3, "noise_mg": 0.02}}
    plant = make_plant(QUIET, drifting, rate=None)
    noise = plant.signals["reference_load_mg"].samples(0.0, 1.0, 0, 5000)
    assert np.diff(noise).std() / 2**0.5 == pytest.approx(0.02, rel=0.05)
    assert np.array([plant.signals["reference_load_mg"].at(float(t)) for t in range(5000)]).std() == pytest.approx(
        0.02, rel=0.05
    )
    minutes = [plant.signals["reference_load_mg"].samples(t, 0.1, 0, 6000).mean() for t in (0.0, 86400.0)]
    assert minutes[1] - minutes[0] == pytest.approx(0.3, abs=2e-3)

    walking = {"balance": {**QUIET["balance"], "zero_walk_mg_per_sqrt_h": 0.01}}
    ends = [gain_mg(make_plant(QUIET, walking, rate=None, seed=seed), 0.0, 3600.0) for seed in range(40)]
    assert np.std(ends) == pytest.approx(0.01, rel=0.35)


def test_the_meniscus_stays_within_its_amplitude_and_slips_with_the_level():
    draws = PlantParameters.load().draw(Noise(5))
    meniscus = Meniscus(draws, Noise(5))
    rising = np.linspace(0.0, 700.0, 6001)
    force, state = meniscus.advance(MeniscusState(), rising)

    assert np.abs(force).max() <= 0.05
    assert 60 < len(np.unique(force)) < 150
    assert len(np.unique(meniscus.advance(state, np.full(6001, 690.0))[0])) == 1


def test_a_declared_density_expands_like_water():
    saline = PlantParameters.load(
        {
            "fluid": {
                "density_kg_per_m3": 1004.0,
                "density_temperature_degc": 22.0,
                "density_deviation_kg_per_m3": 0.25,
            }
        }
    )
    at22, at37 = Fluid(saline.draw(Noise(1))).density_kg_per_m3(np.array([22.0, 37.0]))
    water22, water37 = water_density(np.array([22.0, 37.0]))

    assert at22 == pytest.approx(1004.25)
    assert (at37 - 0.25) / (at22 - 0.25) == pytest.approx(water37 / water22)


def test_the_plant_tells_its_true_density(make_plant):
    plant = make_plant(rate=None)

    deviation = plant.draws["fluid.density_deviation_kg_per_m3"]
    assert plant.density_kg_per_m3(20.0) == pytest.approx(998.2067 + deviation, abs=1e-9)


def test_water_and_air_have_their_tabled_densities():
    assert water_density(np.array([15.0, 20.0, 22.0, 25.0, 37.0])) == pytest.approx(
        [999.1026, 998.2067, 997.7730, 997.0470, 993.3290], abs=5e-5
    )
    assert air_density(np.array([1013.25]), np.array([50.0]), np.array([20.0]))[0] == pytest.approx(1.19929, abs=5e-6)
