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
    "twin_balance": {"drift_mg_per_day": 0.0, "linearity_mg": 0.0, "temperature_coefficient_per_k": 0.0},
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
    volume, mass = plant.truth["tip_volume_ul"].at(21_600.0), plant.truth["tip_mass_mg"].at(21_600.0)

    assert mass / volume == pytest.approx(at_body, rel=1e-6)
    assert mass / at_bench / volume - 1.0 == pytest.approx(-0.0049, abs=1e-4)


def test_without_a_correction_flow_reads_low_by_the_evaporation(make_plant):
    wet = make_plant(QUIET, {"evaporation": {"rate_mg_per_h": 0.2}})
    dry = make_plant(QUIET)
    low = gain_mg(wet, 3600.0, 25_200.0) / gain_mg(dry, 3600.0, 25_200.0) - 1.0

    assert low == pytest.approx(-0.2 / (gain_mg(dry, 3600.0, 25_200.0) / 6.0), rel=2e-2)
    assert wet.truth["evaporated_mg"].at(21_600.0) == pytest.approx(0.2 * 6.0, rel=1e-9)


def test_evaporation_follows_temperature_and_humidity(make_plant):
    dry = {"evaporation": {"rate_mg_per_h": 0.2}, "laboratory": {"temperature_degc": 26.0, "humidity_percent": 20.0}}
    ratio = float(saturation_pressure(np.array([26.0]))[0] / saturation_pressure(np.array([22.0]))[0]) * 0.8 / 0.5

    assert make_plant(QUIET, dry, rate=None).truth["evaporated_mg"].at(36000.0) == pytest.approx(2.0 * ratio, rel=1e-6)


def test_the_twin_vessel_evaporates_nearly_as_the_reference_vessel_does(make_plant):
    plant = make_plant(rate=None)
    rates = [plant.truth[n].at(21_600.0) / 6.0 for n in ("evaporated_mg", "twin_evaporated_mg")]

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


def weather_ul(plant, names=("reference_load_mg", "twin_load_mg"), times=range(600, 86400, 600)):
    """Volumes by which balances follow the density of the air, in uL, by a straight line."""
    room = [plant.truth[name] for name in ("barometer_hpa", "humidity_percent", "lab_temperature_degc")]
    seen = [signal.at for signal in (*room, *(plant.signals[name] for name in names))]
    at = np.array([[see(t) for see in seen] for t in times])  # a day is integrated once
    return -1e3 * np.polyfit(air_density(*at[:, :3].T), at[:, 3:], 1)[0]


def test_weather_moves_an_idle_balance_by_all_that_stands_on_it(make_plant):
    """A cell was adjusted with steel once; it holds a force now, and no steel is there for the air to lift."""
    plant = make_plant(QUIET, {"laboratory": {"pressure_wander_hpa": 8.0}}, rate=None)
    liquid_ul = 5000.0 / float(water_density(np.array([22.0]))[0]) * 1e3

    assert weather_ul(plant) == pytest.approx((13_000.0 + liquid_ul) * (1.0 + 1.2 / 8000.0), rel=1e-4)


def test_a_balance_that_adjusts_itself_does_so_in_the_air_of_the_moment(make_plant):
    weather = {"laboratory": {"pressure_wander_hpa": 8.0}}
    once, again = (
        make_plant(QUIET, weather, rate=None, faults=(("auto-adjust", 1e-9, t),) if t else ()) for t in (0.0, 43_200.0)
    )
    pressure = np.array([once.truth["barometer_hpa"].at(t) for t in (0.0, 43_200.2)])
    air = air_density(pressure, np.full(2, 50.0), np.full(2, 22.0))
    shown = [plant.signals["reference_load_mg"].at(43_300.0) for plant in (once, again)]

    assert shown[1] - shown[0] == pytest.approx(shown[0] * (air[1] - air[0]) / 8000.0, rel=1e-3)
    assert abs(shown[1] - shown[0]) > 0.01


def test_two_balances_err_each_on_its_own(make_plant):
    swinging = {"laboratory": {"diurnal_k": 1.0, "coolest_h": 0.0}, "catheter": {"line_volume_ul": 0.0}}
    still = {name: {**table} for name, table in QUIET.items()}
    for section in ("balance", "twin_balance"):
        del still[section]["temperature_coefficient_per_k"], still[section]["linearity_mg"]
    parts = ("temperature_coefficient_per_k", "linearity_mg", "linearity_period_mg", "linearity_phase")
    drawn = [make_plant(seed=seed).draws for seed in range(200)]
    swings = []
    for seed in range(2):
        plant = make_plant(still, swinging, {"vessel": {"glass_volume_ul": 0.0}}, rate=None, seed=seed)
        swings.append([gain_mg(plant, 0.0, 43_200.0, name) for name in ("reference_load_mg", "twin_load_mg")])

    for part in parts:
        pairs = [(d[f"balance.{part}"], d[f"twin_balance.{part}"]) for d in drawn]
        assert abs(np.corrcoef(np.transpose(pairs))[0, 1]) < 0.25
    assert np.abs(np.subtract(*np.transpose(swings))).max() > 0.05  # ppm/K of 35 g in 2 K


def test_a_gain_of_some_hundred_milligrams_meets_the_declared_linearity(make_plant):
    """Within +-0.10 mg everywhere, and of two readings apart nearly what the budget says: 0.10 over the root of 3."""
    bent = {name: {**table} for name, table in QUIET.items()}
    del bent["balance"]["linearity_mg"]

    def loads(plant):
        weighings = ((0.0, 100.0), (700.0, 250.0), (1042.0, 400.0))
        for added, t in weighings:
            plant.actuators["weight_mg"].write(added, t)
        return [plant.signals["reference_load_mg"].at(t + 90.0) for _, t in weighings]

    straight = loads(make_plant(QUIET, PERFECT_WEIGHT, rate=None))
    off = [loads(make_plant(bent, PERFECT_WEIGHT, rate=None, seed=seed)) for seed in range(80)] - np.array(straight)

    assert np.abs(off).max() <= 0.10
    assert np.diff(off).std() == pytest.approx(0.045, rel=0.25)


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
    noise = plant.signals["reference_load_mg"].samples(0.0, 10.0, 0, 5000)
    assert np.diff(noise).std() / 2**0.5 == pytest.approx(0.02, rel=0.05)
    assert np.array([plant.signals["reference_load_mg"].at(float(t)) for t in range(5000)]).std() == pytest.approx(
        0.02, rel=0.05
    )
    minutes = [plant.signals["reference_load_mg"].samples(t, 0.1, 0, 6000).mean() for t in (0.0, 86400.0)]
    assert minutes[1] - minutes[0] == pytest.approx(0.3, abs=5e-3)


def test_the_zero_walks_with_the_root_of_the_time(make_plant):
    walking = {"balance": {**QUIET["balance"], "zero_walk_mg_per_sqrt_h": 0.01}}
    loads = (make_plant(QUIET, walking, rate=None, seed=seed).signals["reference_load_mg"] for seed in range(60))
    zeros = np.array([[[load.at(t + s) for s in (0.0, 60.0, 3600.0)] for t in (900.0, 4500.0)] for load in loads])

    for k, length_s in ((1, 60.0), (2, 3600.0)):
        assert np.std(zeros[..., k] - zeros[..., 0]) == pytest.approx(0.01 * (length_s / 3600.0) ** 0.5, rel=0.2)


def test_the_noise_of_a_balance_went_through_its_filter(make_plant):
    """Conversions 0.1 s apart hang together, and a mean over a minute has 4.4 times the noise of independent ones."""
    noisy = {"balance": {**QUIET["balance"], "noise_mg": 0.02}}
    signal = make_plant(QUIET, noisy, rate=None).signals["reference_load_mg"]
    read = np.array([signal.at(k / 10.0) for k in range(72_000)])
    own = signal.samples(0.0, 0.1, 0, 72_000)

    for values in (read - read.mean(), own - own.mean()):
        assert values.std() == pytest.approx(0.02, rel=0.05)
        assert np.corrcoef(values[:-1], values[1:])[0, 1] == pytest.approx(np.exp(-0.1), abs=0.01)
        assert values.reshape(-1, 600).mean(axis=1).std() == pytest.approx(0.02 * (2.0 / 60.0) ** 0.5, rel=0.2)
    edges = np.array([own[4096 * k - 1 : 4096 * k + 1] for k in range(1, 17)])  # where one block follows another
    assert np.abs(np.diff(edges)).max() < 4.0 * 0.02 * (2.0 * (1.0 - np.exp(-0.1))) ** 0.5


def test_noise_that_hangs_together_is_the_same_in_whatever_blocks_it_is_read(make_plant):
    noisy = {"balance": {**QUIET["balance"], "noise_mg": 0.02}}
    one, other = (make_plant(QUIET, noisy, rate=None).signals["reference_load_mg"] for _ in range(2))
    whole = one.samples(3.0, 0.1, 0, 13_000)
    parts = [other.samples(3.0, 0.1, first, 1000) for first in reversed(range(0, 13_000, 1000))]

    assert (whole == np.concatenate(parts[::-1])).all()
    backwards = [other.at(t) for t in (1500.3, 600.0, 599.9, 0.0)]
    assert backwards == [one.at(t) for t in (0.0, 599.9, 600.0, 1500.3)][::-1]


def test_the_meniscus_stays_within_its_amplitude_and_slips_with_the_level():
    draws = PlantParameters.load({"meniscus": {"slip_volume_ul": 7.0}}).draw(Noise(5))
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


# ---------------------------------------------------------------------------------- weights, doors, a full vessel

PERFECT_WEIGHT = {"weight": {"relative_error": 0.0}}


def placed_mg(plant, nominal=20_000.0):
    """What the balance shows more after a weight was put on, once the draft is over."""
    plant.actuators["weight_mg"].write(nominal, 100.0)
    return gain_mg(plant, 100.0, 200.0)


def test_a_reference_weight_shows_its_nominal_mass_less_what_steel_displaces(make_plant):
    dense, light = ({"laboratory": {"pressure_hpa": p}} for p in (1013.25, 800.0))
    shown = [placed_mg(make_plant(QUIET, PERFECT_WEIGHT, air, rate=None)) for air in (dense, light)]
    air = [float(air_density(np.array([p]), np.array([50.0]), np.array([22.0]))[0]) for p in (1013.25, 800.0)]
    mass = 20_000.0 * (1.0 - 1.2 / 8000.0) / (1.0 - 1.2 / 7950.0)

    assert shown == pytest.approx([mass * (1.0 - a / 7950.0) / (1.0 - a / 8000.0) for a in air], abs=1e-6)
    assert shown[0] == pytest.approx(20_000.0, abs=1e-3)  # near 1.2 kg/m3 it is worth its conventional mass


def test_a_reference_weight_has_a_true_mass_of_its_own(make_plant):
    plant = make_plant(QUIET, rate=None)

    assert placed_mg(plant) == pytest.approx(20_000.0 * (1.0 + plant.draws["weight.relative_error"]), abs=2e-3)
    assert placed_mg(make_plant(QUIET, PERFECT_WEIGHT, rate=None), 0.0) == 0.0


def test_a_reference_weight_finds_linearity_and_gain(make_plant):
    wavy = {"balance": {**QUIET["balance"], "linearity_mg": 0.1, "linearity_period_mg": 1500.0}}
    off = make_plant(QUIET, PERFECT_WEIGHT, rate=None, faults=(("auto-adjust", 100.0, 0.0),))
    bent = [make_plant(QUIET, PERFECT_WEIGHT, wavy, rate=None) for _ in range(5)]

    assert placed_mg(off) == pytest.approx(20_002.0, abs=2e-3)
    assert max(abs(placed_mg(one, 1000.0 * n) / n - 1000.0) * n for n, one in enumerate(bent, 3)) > 0.05


def test_moving_a_weight_or_a_door_leaves_a_draft(make_plant):
    still, moved = make_plant(QUIET, rate=None), make_plant(QUIET, rate=None)
    for t, value in ((100.0, 1.0), (300.0, 0.0)):
        moved.actuators["door_open"].write(value, t)
    force = np.abs([
        moved.signals["reference_load_mg"].at(t) - still.signals["reference_load_mg"].at(t) for t in range(600)
    ])  # fmt: skip

    assert [force[:101].max(), force[190:300].max(), force[390:].max()] == pytest.approx([0.0] * 3, abs=1e-9)
    assert min(force[106:110].min(), force[306:310].min()) > 0.49
    assert force.max() <= 5.0
    assert 10 <= np.count_nonzero(force[100:300] > 0.3) <= 62


def test_the_door_tells_when_it_is_open(make_plant):
    plant = make_plant(rate=None)
    plant.actuators["weight_mg"].write(20_000.0, 595.0)  # open across the end of a chunk
    plant.actuators["door_open"].write(1.0, 700.0)
    plant.actuators["door_open"].write(0.0, 720.0)
    is_open = plant.signals["door_open"].samples(0.05, 0.1, 0, 8000)

    assert np.flatnonzero(np.diff(is_open)) / 10.0 == pytest.approx([595.1, 605.1, 700.1, 720.1], abs=0.11)


def test_the_draft_of_a_movement_does_not_depend_on_what_was_moved_before(make_plant):
    plants = [make_plant(QUIET, rate=None) for _ in range(2)]
    plants[0].actuators["door_open"].write(1.0, 100.0)
    for plant in plants:
        plant.actuators["weight_mg"].write(20_000.0, 595.0)
    loads = [plant.signals["reference_load_mg"].samples(500.0, 0.1, 0, 3000) for plant in plants]

    assert loads[0] == pytest.approx(loads[1], abs=1e-9)


def test_an_adjustment_is_a_step_of_the_whole_load(make_plant):
    plant = make_plant(QUIET, rate=None, faults=(("auto-adjust", -50.0, 1000.0),))

    load = plant.signals["reference_load_mg"].at(900.0)
    assert gain_mg(plant, 1000.0, 1100.0) == pytest.approx(-50e-6 * load, rel=1e-6)
    assert gain_mg(plant, 1000.0, 1100.0, "twin_load_mg") == pytest.approx(0.0, abs=1e-9)


def test_a_tilted_balance_feels_the_cosine(make_plant):
    plant = make_plant(QUIET, rate=None, faults=(("out-of-level", 2.0, 1000.0),))
    load = plant.signals["reference_load_mg"]

    assert load.at(1100.0) / load.at(1000.0) == pytest.approx(np.cos(np.radians(2.0)), rel=1e-9)


def test_a_full_vessel_weighs_no_more(make_plant):
    plant = make_plant(QUIET, rate=500.0, faults=(("vessel-overflow", 5200.0, 0.0),))
    truth, end = plant.truth, 7200.0
    held_mg = 5000.0 + truth["vessel_mass_mg"].at(end) - truth["spilled_mg"].at(end)

    assert held_mg == pytest.approx(5200.0 * plant.density_kg_per_m3(22.0) * 1e-3, abs=1e-6)
    assert truth["spilled_mg"].at(1200.0) == 0.0
    assert gain_mg(plant, 3600.0, end) == pytest.approx(0.0, abs=1e-6)
    assert truth["vessel_volume_ul"].at(end) == make_plant(QUIET, rate=500.0).truth["vessel_volume_ul"].at(end)


def test_a_full_vessel_takes_again_what_has_evaporated(make_plant):
    plant = make_plant(
        QUIET, {"evaporation": {"rate_mg_per_h": 10.0}}, rate=36.0, faults=(("vessel-overflow", 5100.0, 0.0),)
    )
    plant.pump.stop(36_000.0)
    plant.pump.start(43_200.0)
    spilled = plant.truth["spilled_mg"]

    assert spilled.at(44_000.0) == spilled.at(36_100.0)
    assert gain_mg(plant, 36_600.0, 43_000.0) == pytest.approx(-10.0 * 6400.0 / 3600.0, rel=2e-3)
    assert spilled.at(54_000.0) > spilled.at(46_000.0) > 100.0
