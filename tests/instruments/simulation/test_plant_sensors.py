"""Flow, pressure and temperature as instruments find them at their terminals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.simulation.environment import Environment
from instruments.simulation.grid import FREE, Forced, Timeline
from instruments.simulation.noise import Noise
from instruments.simulation.properties import pt100_ohm, thermocouple_v
from instruments.simulation.stepping import play

TRUE_FLOW = {
    "flow_sensor": {
        "gain_error": 0.0,
        "zero_error_nl_per_min": 0.0,
        "temperature_coefficient_per_k": 0.0,
        "zero_per_k": 0.0,
        "repeatability": 0.0,
    }
}
TRUE_PRESSURE = {
    f"{place}_transducer": {
        "zero_error": 0.0,
        "gain_error": 0.0,
        "zero_per_k": 0.0,
        "drift_per_year": 0.0,
        "noise": 0.0,
    }
    for place in ("outlet", "reservoir", "back_pressure")
}


def allan_deviation(values, m):
    means = values[: len(values) // m * m].reshape(-1, m).mean(axis=1)
    return np.sqrt(0.5 * np.mean(np.diff(means) ** 2))


def test_at_zero_flow_the_sensor_has_white_noise(make_plant):
    still = make_plant(TRUE_FLOW, {"catheter": {"line_volume_ul": 0.0}}, rate=None)
    flow = still.signals["flow_nl_per_min"].samples(0.0, 0.1, 0, 200000)

    for tau_s in (1, 10, 100):
        assert allan_deviation(flow, 10 * tau_s) == pytest.approx(0.6 / tau_s**0.5, rel=0.2)
    single = np.array([still.signals["flow_nl_per_min"].at(k / 10) for k in range(6000)])
    assert single.std() == pytest.approx(0.6 * 10**0.5, rel=0.05)


def test_the_sensor_shows_what_passes_it_at_its_own_temperature(make_plant, ideal_pump):
    flow = make_plant(TRUE_FLOW, ideal_pump).signals["flow_nl_per_min"].samples(600.0, 0.1, 0, 36000)

    assert flow.mean() == pytest.approx(1e6 / 1440.0 * 0.99333 / 0.99777, rel=3e-4)


def test_gain_and_zero_are_those_that_were_drawn(make_plant, ideal_pump):
    plant = make_plant(ideal_pump, {"flow_sensor": {"repeatability": 0.0, "zero_per_k": 0.0}})
    true = make_plant(TRUE_FLOW, ideal_pump).signals["flow_nl_per_min"].samples(600.0, 0.1, 0, 36000).mean()
    shown = plant.signals["flow_nl_per_min"].samples(600.0, 0.1, 0, 36000).mean()

    gain = 1.0 + plant.draws["flow_sensor.gain_error"] - 0.0013
    assert shown == pytest.approx(true * gain + plant.draws["flow_sensor.zero_error_nl_per_min"], abs=0.1)


def test_the_zero_of_a_flow_sensor_follows_the_room(make_plant):
    drifting = {"flow_sensor": {**TRUE_FLOW["flow_sensor"], "zero_per_k": 0.4}, "catheter": {"line_volume_ul": 0.0}}
    plants = [make_plant(drifting, {"laboratory": {"temperature_degc": t}}, rate=None) for t in (23.0, 26.0)]
    shown = [plant.signals["flow_nl_per_min"].samples(600.0, 0.1, 0, 36_000).mean() for plant in plants]

    assert shown == pytest.approx([0.0, 1.2], abs=0.05)


def test_the_gain_of_a_flow_sensor_wanders_within_its_repeatability(make_plant, ideal_pump):
    """0.3 % over half an hour: so much that a comparison of the sensor with itself has to reckon with it."""
    wandering = {"flow_sensor": {**TRUE_FLOW["flow_sensor"], "repeatability": 0.003}}

    def mean(plant, t):
        return plant.signals["flow_nl_per_min"].samples(t, 0.1, 0, 600).mean()

    true = mean(make_plant(TRUE_FLOW, ideal_pump), 600.0)
    plants = [make_plant(wandering, ideal_pump, {"catheter": {"line_volume_ul": 0.0}}, seed=s) for s in range(60)]
    off = [[mean(p, t) / true - 1.0 for t in (600.0, 660.0, 6000.0)] for p in plants]
    soon, late = np.diff(off)[:, 0], np.array(off)[:, 2]

    assert late.std() == pytest.approx(0.003, rel=0.3)
    assert np.corrcoef(np.array(off)[:, 0], late)[0, 1] == pytest.approx(0.0, abs=0.35)
    assert soon.std() < 0.001


@pytest.mark.parametrize("rate_hz", [10, 100, 1000, 10_000])
def test_the_noise_of_a_transducer_has_the_bandwidth_of_its_filter(make_plant, rate_hz):
    """50 Hz: the mean over a second is no better for being read faster than twice that."""
    outlet = make_plant(rate=None).signals["outlet_pressure_v_per_v"].samples(100.0, 1.0 / rate_hz, 0, 40 * rate_hz)
    by_law = 0.02 * (1.0 / min(rate_hz, 50.0 * np.pi)) ** 0.5

    assert outlet.std() * 1e5 == pytest.approx(0.02, rel=0.1)
    assert outlet.reshape(40, rate_hz).mean(axis=1).std() * 1e5 == pytest.approx(by_law, rel=0.3)


def test_pressures_have_their_electrical_ranges(make_plant):
    plant = make_plant(TRUE_PRESSURE, rate=None)
    plant.actuators["back_pressure_kpa"].write(25.0, 100.0)
    reservoir = plant.truth["reservoir_pressure_kpa"].at(200.0)

    assert plant.signals["back_pressure_a"].at(200.0) == pytest.approx(0.004 + 0.016 * 0.75, abs=1.1e-5)
    assert plant.signals["outlet_pressure_v_per_v"].at(200.0) == pytest.approx(25.1 / 200.0 * 2e-3, abs=1.1e-6)
    assert plant.signals["reservoir_pressure_v"].at(200.0) == pytest.approx(reservoir * 0.05, abs=3e-3)
    assert plant.signals["barometer_v"].at(200.0) == pytest.approx(213.25 / 60.0, abs=0.01)


def test_a_transducer_errs_by_what_was_drawn(make_plant):
    plant = make_plant({"outlet_transducer": {"noise": 0.0, "hysteresis": 0.0}}, rate=None)
    d = plant.draws
    share = 0.1 / 200.0 * (1.0 + d["outlet_transducer.gain_error"]) + d["outlet_transducer.zero_error"]

    assert plant.signals["outlet_pressure_v_per_v"].at(10.0) == pytest.approx(2e-3 * share, abs=1e-10)


def test_pressure_up_and_down_leaves_a_loop(make_plant):
    plant = make_plant(TRUE_PRESSURE, rate=None)
    for i, pressure in enumerate((20.0, 40.0, 20.0)):
        plant.actuators["back_pressure_kpa"].write(pressure, 100.0 * (i + 1))
    up, down = (plant.signals["outlet_pressure_v_per_v"].at(t) * 1e5 for t in (199.0, 399.0))

    assert down - up == pytest.approx(0.2, abs=1e-3)  # 0.1 % of 200 kPa


@given(st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=60), st.floats(0.0, 1.0))
def test_the_vectorised_play_is_the_play_operator(inputs, half_width):
    held, expected = 0.0, []
    for value in inputs:
        held = min(max(held, value - half_width), value + half_width)
        expected.append(held)

    assert play(np.array(inputs), 0.0, half_width) == pytest.approx(expected, abs=1e-12)


EMF_MV = {"K": {25.0: 1.000, 37.0: 1.489, 100.0: 4.096}, "T": {25.0: 0.992, 37.0: 1.486, 100.0: 4.279}}


@pytest.mark.parametrize(("kind", "degc", "mv"), [(k, t, mv) for k, table in EMF_MV.items() for t, mv in table.items()])
def test_thermocouples_have_their_tabled_voltage(kind, degc, mv):
    assert thermocouple_v(kind, np.array([degc]))[0] * 1e3 == pytest.approx(mv, abs=6e-4)


def test_a_pt100_has_its_tabled_resistance():
    assert pt100_ohm(np.array([0.0, 22.0, 100.0])) == pytest.approx([100.0, 108.570, 138.505], abs=1e-3)


def test_thermocouple_and_cold_junction_together_give_the_bath(make_plant):
    true = {"thermocouple": {"error_k": 0.0, "cold_junction_error_k": 0.0, "noise_v": 0.0, "type": "T"}}
    plant = make_plant(true, rate=None)
    cold = plant.signals["cold_junction_degc"].at(50.0)
    total = plant.signals["bath_thermocouple_v"].at(50.0) + thermocouple_v("T", np.array([cold]))[0]

    assert cold == pytest.approx(23.5)
    assert total == pytest.approx(thermocouple_v("T", np.array([37.0]))[0], abs=1e-12)


def test_room_and_weather_keep_to_their_laws(make_plant):
    plant = make_plant(rate=None, room={}, seed=7)
    surroundings = Environment(plant.draws, Noise(7), Timeline(37.0), Forced(Timeline(1.0), Timeline(FREE)))
    state, lab = surroundings.start(), np.empty(4 * 144)
    for chunk in range(len(lab)):  # four days without the rest of the plant
        room, state = surroundings.advance(state, chunk)
        lab[chunk] = room.lab_degc[0]
    assert lab[:10].tolist() == [plant.truth["lab_temperature_degc"].at(600.0 * chunk) for chunk in range(10)]
    lab = lab[::12]
    assert lab.mean() == pytest.approx(22.0, abs=0.15)
    coolest, swing = plant.draws["laboratory.coolest_h"], plant.draws["laboratory.diurnal_k"]
    day = -swing * np.cos(2.0 * np.pi * (np.arange(0.0, 24.0, 2.0) - coolest) / 24.0)
    assert lab.reshape(4, 12).mean(axis=0) - 22.0 == pytest.approx(day, abs=0.35)
    starts = [make_plant(rate=None, room={}, seed=s).truth["barometer_hpa"].at(0.0) for s in range(60)]
    assert np.std(starts) == pytest.approx(8.0, rel=0.35)


def test_no_two_runs_begin_at_the_same_hour_in_the_same_room(make_plant):
    drawn = [make_plant(rate=None, room={}, seed=seed).draws for seed in range(60)]
    coolest, swing, lag, slip = (
        np.array([d[name] for d in drawn])
        for name in (
            "laboratory.coolest_h",
            "laboratory.diurnal_k",
            "vessel.temperature_lag_s",
            "meniscus.slip_volume_ul",
        )
    )

    assert (np.histogram(coolest, 4, (0.0, 24.0))[0] > 5).all()
    assert [swing.min() < 0.7, swing.max() > 1.0, lag.min() < 1200.0, lag.max() > 2400.0] == [True] * 4
    assert [slip.min() < 5.0, slip.max() > 9.0] == [True] * 2


# ------------------------------------------------------------------------- instruments that tell the quantity itself


@pytest.mark.parametrize(
    ("signal", "truth", "zero", "gain"),
    [
        ("controller_pressure_kpa", "back_pressure_kpa", "controller.zero_error_kpa", "controller.gain_error"),
        ("keller_pressure_kpa", "outlet_pressure_kpa", "transmitter.zero_error_kpa", "transmitter.gain_error"),
        ("bath_sensor_degc", "bath_temperature_degc", "bath.sensor_error_k", None),
        ("hygrometer_degc", "lab_temperature_degc", "hygrometer.temperature_error_k", None),
        ("hygrometer_percent", "humidity_percent", "hygrometer.humidity_error_percent", None),
    ],
)
def test_an_instrument_errs_by_what_was_drawn_for_it(make_plant, signal, truth, zero, gain):
    plant = make_plant(rate=None)
    plant.actuators["back_pressure_kpa"].write(80.0, 10.0)
    shown = plant.signals[signal].samples(100.0, 0.1, 0, 2000).mean()
    slope = 1.0 + (plant.draws[gain] if gain else 0.0)

    assert shown == pytest.approx(plant.truth[truth].at(150.0) * slope + plant.draws[zero], abs=5e-4)
    assert zero in plant.draws.uncertain


def test_the_hygrometer_says_the_same_by_volts_and_by_number(make_plant):
    plant = make_plant(rate=None, room={})

    assert plant.signals["hygrometer_degc"].at(5000.0) == pytest.approx(
        plant.signals["lab_temperature_v"].at(5000.0) * 10
    )
    assert plant.signals["hygrometer_percent"].at(5000.0) == pytest.approx(plant.signals["humidity_v"].at(5000.0) * 20)


def test_a_bath_that_is_switched_off_cools_and_comes_back(make_plant):
    plant = make_plant(rate=None)
    for t, value in ((600.0, 0.0), (4200.0, 1.0)):
        plant.actuators["bath_is_on"].write(value, t)
    bath = plant.truth["bath_temperature_degc"]
    coolest = 22.0 + 15.0 * np.exp(-0.5)

    assert bath.at(4200.1) == pytest.approx(coolest, abs=1e-2)
    assert bath.at(4500.1) == pytest.approx(37.0 - (37.0 - coolest) * np.exp(-1.0), abs=1e-2)


def test_a_bath_whose_heater_has_failed_does_not_come_back(make_plant):
    plant = make_plant(rate=None, faults=(("bath-off", 1.0, 600.0),))
    plant.actuators["bath_is_on"].write(1.0, 700.0)

    assert plant.truth["bath_temperature_degc"].at(20_000.0) < 25.0
