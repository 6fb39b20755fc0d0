"""Pressures and volumes of the fluid path, against an integrator of another kind and against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from instruments.simulation.grid import DT_S
from instruments.simulation.network import Network, respond

CONDUCTANCE = st.sampled_from([0.0, 1e-4, 0.1, 10.0, 100.0])


@given(
    c1=st.floats(0.05, 5.0),
    c2=st.floats(0.05, 5.0),
    g1=CONDUCTANCE,
    g12=st.sampled_from([1e-5, 1e-2, 2.805, 50.0]),
    g2=CONDUCTANCE,
    s1=st.floats(-0.1, 0.3),
    s2=st.floats(-0.1, 0.1),
)
@settings(max_examples=50, deadline=None)
def test_exact_steps_agree_with_an_integrator_of_another_kind(c1, c2, g1, g12, g2, s1, s2):
    def derivative(_, p):
        return [(s1 - g1 * p[0] - g12 * (p[0] - p[1])) / c1, (s2 - g2 * p[1] + g12 * (p[0] - p[1])) / c2]

    n = 300
    truth = solve_ivp(derivative, (0.0, n * DT_S), [20.0, 1.0], method="LSODA", rtol=1e-9, atol=1e-10)
    response = respond(Network(c1, c2, g1, g12, g2), 20.0, 1.0, np.full(n, s1), np.full(n, s2))

    assert response.p1[-1] == pytest.approx(truth.y[0, -1], rel=1e-6, abs=1e-7)
    assert response.p2[-1] == pytest.approx(truth.y[1, -1], rel=1e-6, abs=1e-7)


@given(seed=st.integers(0, 1000), g1=CONDUCTANCE, g2=CONDUCTANCE)
@settings(max_examples=30, deadline=None)
def test_what_flows_in_flows_out_or_is_stored(seed, g1, g2):
    flow = np.random.default_rng(seed).normal(0.01, 0.02, 5000)
    network = Network(0.35, 0.14, g1, 2.805, g2)
    response = respond(network, 3.0, 1.0, flow, np.zeros(5000))

    left = g1 * response.integral1.sum() + g2 * response.integral2.sum()
    stored = network.c1 * (response.p1[-1] - 3.0) + network.c2 * (response.p2[-1] - 1.0)
    assert flow.sum() * DT_S == pytest.approx(left + stored, abs=1e-9)


@given(cut=st.integers(1, 999))
def test_a_stretch_cut_in_two_is_the_same_to_the_last_bit(cut):
    flow = np.random.default_rng(1).normal(0.01, 0.02, 1000)
    network = Network(0.35, 0.14, 0.0, 2.805, 10.0)
    whole = respond(network, 3.0, 1.0, flow, np.zeros(1000))
    first = respond(network, 3.0, 1.0, flow[:cut], np.zeros(cut))

    assert np.array_equal(whole.p1[: cut + 1], first.p1)
    assert np.array_equal(whole.integral2[:cut], first.integral2)


# ------------------------------------------------------------------------------------------------ the whole path


def pressure_kpa(plant, from_s, to_s, step_s=1.0):
    return plant.truth["outlet_pressure_kpa"].samples(from_s, step_s, 0, round((to_s - from_s) / step_s) + 1)


BACK_PRESSURE = {"outlet": {"static_head_kpa": 1.3}, "valves": {"outlet_swept_volume_ul": 0.0}}


@pytest.mark.parametrize(
    ("ml_per_day", "minutes"), [(1.0, 41.2), (24.0, 1.7), (5.0, 8.3), (0.1, 6.9 * 60.0), (0.048, 14.4 * 60.0)]
)
def test_an_occluded_line_reaches_60_kpa_after_the_time_that_its_compliance_asks(
    make_plant, ideal_pump, ml_per_day, minutes
):
    plant = make_plant(ideal_pump, BACK_PRESSURE, rate=ml_per_day * 1000.0 / 24.0, faults=(("occlusion", 1.0, 60.0),))
    pressure = pressure_kpa(plant, 60.0, 60.0 + 72.0 * minutes, 1.0)

    assert np.argmax(pressure > 60.0) / 60.0 == pytest.approx(minutes, rel=0.02)


def test_pressure_rises_by_flow_over_compliance(make_plant, ideal_pump):
    plant = make_plant(ideal_pump, faults=(("occlusion", 1.0, 60.0),))
    pressure = pressure_kpa(plant, 120.0, 1920.0)

    assert pressure[-1] - pressure[0] == pytest.approx(1800.0 * 1000.0 / 86400.0 / 0.49, rel=1e-3)


def test_back_pressure_slows_the_pump_so_that_the_ramp_bends(make_plant, ideal_pump):
    bent = {"pump": {"pressure_coefficient_per_kpa": -0.001}}
    straight = pressure_kpa(make_plant(ideal_pump, faults=(("occlusion", 1.0, 0.0),)), 0.0, 3600.0, 3600.0)[-1]
    slowed = pressure_kpa(make_plant(ideal_pump, bent, faults=(("occlusion", 1.0, 0.0),)), 0.0, 3600.0, 3600.0)[-1]

    gain_per_kpa = 0.001
    expected = 0.1 + (1.0 - np.exp(-gain_per_kpa * (straight - 0.1))) / gain_per_kpa
    assert straight - slowed == pytest.approx(straight - expected, rel=1e-2)


def test_a_closed_line_releases_what_its_compliance_held(make_plant, ideal_pump):
    plant = make_plant(ideal_pump, BACK_PRESSURE)
    plant.actuators["outlet_valve"].write(1.0, 600.0)
    plant.actuators["outlet_valve"].write(0.0, 7800.0)
    held = pressure_kpa(plant, 7800.0, 7800.0)[0]
    volume = plant.truth["line_volume_ul"]

    bolus = volume.at(7860.0) - volume.at(7800.0) - 60.0 * 1000.0 / 86400.0
    assert held == pytest.approx(168.0, rel=0.03)  # it slips above 150 kPa
    assert bolus == pytest.approx(0.49 * (held - 1.3), rel=5e-3)
    assert volume.at(7800.0) == volume.at(601.0)


def test_slip_holds_a_closed_line_below_208_kpa(make_plant, ideal_pump):
    plant = make_plant(ideal_pump, faults=(("occlusion", 1.0, 0.0),))
    pressure = pressure_kpa(plant, 0.0, 8 * 3600.0, 10.0)
    after = pressure[np.argmax(pressure > 150.0) + 246 :]  # 41 min later

    held = 0.35 * pressure[-1] + 0.14 * plant.truth["distal_pressure_kpa"].at(8 * 3600.0) - 0.49 * 0.1
    assert plant.truth["pump_volume_ul"].at(8 * 3600.0) == pytest.approx(held, abs=1e-9)
    assert pressure[-1] == pytest.approx(150.0 + 1000.0 / 86400.0 / 2e-4, abs=0.1)
    assert (pressure[-1] - after[0]) / (pressure[-1] - 150.0) == pytest.approx(np.exp(-1.0), rel=0.02)


@pytest.mark.parametrize(
    ("factor", "rise_kpa", "tau_s"), [(100, 0.41, 17.5), (1000, 4.1, 175.0), (10000, 41.0, 1747.0)]
)
def test_a_kink_raises_the_pressure_with_its_own_time_constant(
    make_plant, ideal_pump, wide_sensor, factor, rise_kpa, tau_s
):
    one_node = {"catheter": {"proximal_compliance_ul_per_kpa": 0.49, "distal_compliance_ul_per_kpa": 1e-3}}
    smooth = {"pump": {"steps_per_revolution": 288000}}
    plant = make_plant(ideal_pump, one_node, smooth, wide_sensor, faults=(("kink", factor, 600.0),))
    pressure = pressure_kpa(plant, 600.0, 600.0 + 10.0 * tau_s, tau_s)

    assert pressure[-1] - pressure[0] == pytest.approx(rise_kpa, rel=0.02)
    assert (pressure[-1] - pressure[1]) / (pressure[-1] - pressure[0]) == pytest.approx(np.exp(-1.0), rel=0.02)


def test_an_open_catheter_hardly_drops_any_pressure(make_plant, ideal_pump):
    pressure = pressure_kpa(make_plant(ideal_pump), 600.0, 4200.0, 0.1)

    assert pressure.mean() - 0.1 == pytest.approx(0.0041 + 0.0012 + 0.0444, rel=0.02)  # catheter, tip, flow sensor


@given(seed=st.integers(0, 50), moves=st.lists(st.tuples(st.floats(1.0, 2000.0), st.booleans()), max_size=6))
@settings(max_examples=12, deadline=None)
def test_no_volume_is_lost_in_the_path_whatever_the_valves_do(seed, moves):
    from instruments.clock import VirtualClock
    from instruments.simulation.parameters import PlantParameters
    from instruments.simulation.plant import Plant
    from instruments.simulation.signal import DeliveryProgram

    plant = Plant(PlantParameters.load({"catheter": {"leak_conductance_ul_per_s_kpa": 1e-5}}), VirtualClock(), seed)
    plant.pump.load(DeliveryProgram("continuous", 100.0), 0.0)
    plant.pump.start(0.0)
    for t, outlet in moves:
        plant.actuators["outlet_valve" if outlet else "vent_valve"].write(float(t % 3.0 < 2.0), t)
    truth, end = plant.truth, 2500.0

    stored = 0.35 * (truth["outlet_pressure_kpa"].at(end) - 0.1) + 0.14 * (truth["distal_pressure_kpa"].at(end) - 0.1)
    entered = truth["pump_volume_ul"].at(end) + truth["added_volume_ul"].at(end)
    left = truth["line_volume_ul"].at(end) + truth["lost_volume_ul"].at(end)
    assert entered == pytest.approx(left + stored, abs=1e-9)


def test_the_vent_takes_the_flow_while_it_is_energised(make_plant):
    plant = make_plant()
    plant.actuators["vent_valve"].write(1.0, 600.0)
    line, lost = plant.truth["line_volume_ul"], plant.truth["lost_volume_ul"]

    assert lost.at(600.0) == 0.0
    assert lost.at(1200.0) > 0.8 * (plant.truth["pump_volume_ul"].at(1200.0) - plant.truth["pump_volume_ul"].at(600.0))
    assert line.at(1200.0) < line.at(600.0) + 1.0


def test_a_moving_valve_pushes_its_swept_volume_into_the_closed_line(make_plant, ideal_pump):
    plant = make_plant(ideal_pump, {"valves": {"outlet_swept_volume_ul": 5.0}}, rate=None)
    plant.actuators["outlet_valve"].write(1.0, 100.0)

    assert pressure_kpa(plant, 110.0, 110.0)[0] == pytest.approx(0.1 + 5.0 / 0.49, rel=1e-3)
    assert pressure_kpa(plant, 100.0, 100.0)[0] == pytest.approx(0.1)
