"""A catheter in forced flow, under proof pressure, bent, dried, off the pump: each signature by its closed form."""

import math

import numpy as np
import pytest

from instruments.clock import VirtualClock
from instruments.simulation.mounting import bend_factor, bore_ul
from instruments.simulation.operator import SimulatedOperator
from instruments.simulation.properties import water_density

FORCED_UL_PER_S = 15_000.0 / 3600.0
RESISTANCE = 0.3565 + 0.1  # catheter, and the line behind it without its flow sensor
HEAD = 0.1
EXACT = {
    "pusher": {"gain_error": 0.0},
    "flow_sensor": {"zero_error_nl_per_min": 0.0, "resistance_kpa_s_per_ul": 0.0},
}
WARMER = 0.99777 / 0.99333  # pushed at 22 degC, counted at 37 degC


def viscosity(degc):
    """Of water in Pa s."""
    return 2.414e-5 * 10.0 ** (247.8 / (degc + 273.15 - 140.0))


@pytest.fixture
def forced(make_plant):
    """A plant without a pump into which the syringe pump pushes 15 mL/h from 10 s on."""

    def make(*tables, **more):
        plant = make_plant(EXACT, *tables, rate=None, **more)
        plant.actuators["pusher_ul_per_h"].write(15_000.0, 10.0)
        return plant

    return make


def drop(plant, t=60.0):
    """Outlet pressure over the head."""
    return plant.truth["outlet_pressure_kpa"].at(t) - HEAD


def test_forced_flow_drops_the_pressure_of_poiseuille(forced):
    assert drop(forced()) == pytest.approx(RESISTANCE * FORCED_UL_PER_S * WARMER, rel=2e-4)
    more = drop(forced(faults=(("kink", 2.0, 0.0),))) - drop(forced())
    assert more == pytest.approx(0.3565 * FORCED_UL_PER_S * WARMER, rel=2e-4)


def test_the_flow_sensor_resists_on_top_of_the_catheter(forced):
    wide, narrow = (drop(forced({"flow_sensor": {"resistance_kpa_s_per_ul": r}})) for r in (0.0, 3.84))

    poiseuille = 128.0 * viscosity(22.0) * 50e-3 / (math.pi * 0.15e-3**4) * 1e-12  # of LG16-0150
    assert poiseuille == pytest.approx(3.84, rel=1e-3)
    assert narrow - wide == pytest.approx(3.84 * FORCED_UL_PER_S * WARMER, rel=2e-4)


@pytest.mark.parametrize(("bath", "room", "stated"), [(22.0, 22.0, None), (30.0, 18.0, None), (37.0, 22.0, 1.91)])
def test_catheter_and_sensor_resist_as_their_fluid_flows_at_their_temperatures(forced, bath, room, stated):
    fluid = {} if stated is None else {"viscosity_mpa_s": stated, "viscosity_temperature_degc": 22.0}
    thick = 1.0 if stated is None else stated * 1e-3 / viscosity(22.0)
    at = {"bath": {"setpoint_degc": bath}, "laboratory": {"temperature_degc": room}, "fluid": fluid}
    density = water_density(np.array([room, bath]))
    flow = FORCED_UL_PER_S * density[0] / density[1]
    sensor = {"flow_sensor": {"resistance_kpa_s_per_ul": 3.84}}
    catheter = thick * 0.3565 * viscosity(bath) / viscosity(37.0)

    assert drop(forced(at)) == pytest.approx((catheter + 0.1) * flow, rel=2e-4)
    more = drop(forced(at, sensor)) - drop(forced(at))
    assert more == pytest.approx(thick * 3.84 * viscosity(room) / viscosity(22.0) * flow, rel=2e-4)


def test_a_catheter_resists_more_and_more_as_its_bath_cools(forced):
    plant = forced({"bath": {"cooling_s": 7200.0}}, faults=(("bath-off", 1.0, 0.0),))
    bath = plant.truth["bath_temperature_degc"]
    for t in (300.0, 1500.0, 2990.0):
        expected = (0.3565 * viscosity(bath.at(t)) / viscosity(37.0) + 0.1) * FORCED_UL_PER_S
        density = water_density(np.array([22.0, bath.at(t)]))
        assert drop(plant, t) == pytest.approx(expected * density[0] / density[1], rel=2e-3)  # steps of 0.1 K


def test_a_bridge_leaves_the_line_alone_whatever_ails_the_catheter(forced):
    ill = (("kink", 1000.0, 0.0), ("occlusion", 1.0, 0.0), ("catheter-leak", 500.0, 0.0), ("leak", 0.5, 0.0))
    plant = forced(faults=ill)
    plant.actuators["catheter_is_off"].write(1.0, 0.0)
    assert drop(plant) == pytest.approx((0.1 + 0.0001) * FORCED_UL_PER_S * WARMER, rel=2e-3)
    pushed = plant.truth["inflow_volume_ul"].at(60.0)
    assert plant.truth["vessel_volume_ul"].at(60.0) == pytest.approx(pushed, rel=2e-3)


def test_a_disconnected_catheter_leaves_ambient_pressure_and_a_balance_that_stands(forced):
    plant = forced(faults=(("disconnect", 1.0, 30.0),))
    assert plant.truth["outlet_pressure_kpa"].at(60.0) == pytest.approx(0.0, abs=0.01)
    assert plant.truth["vessel_volume_ul"].at(60.0) == pytest.approx(plant.truth["vessel_volume_ul"].at(31.0), abs=0.1)
    lost = plant.truth["tray_volume_ul"]
    assert lost.at(60.0) - lost.at(40.0) == pytest.approx(20.0 * FORCED_UL_PER_S * WARMER, rel=0.01)


def test_a_dislodged_tip_sees_nothing_of_a_back_pressure(forced):
    for faults, seen in (((), 3.0), ((("tip-dislodged", 1.0, 0.0),), 0.0)):
        plant = forced(faults=faults)
        before = drop(plant)
        plant.actuators["back_pressure_kpa"].write(3.0, 60.0)
        assert drop(plant, 90.0) - before == pytest.approx(seen, abs=0.01)


def test_a_leak_of_the_catheter_lets_a_closed_line_decay_by_conductance_over_compliance(make_plant):
    plant = make_plant(EXACT, rate=None, faults=(("catheter-leak", 20.0, 0.0),))
    plant.actuators["outlet_valve"].write(1.0, 0.0)
    plant.actuators["pusher_ul_per_h"].write(3000.0, 1.0)
    plant.actuators["pusher_ul_per_h"].write(0.0, 61.0)
    pressure = plant.truth["outlet_pressure_kpa"].samples(100.0, 600.0, 0, 2)
    kept = 2.718281828 ** (-600.0 * 20.0 / 3600.0 / 100.0 / 0.49)
    assert pressure[1] / pressure[0] == pytest.approx(kept, rel=1e-4)
    assert plant.truth["tray_volume_ul"].at(700.0) == plant.truth["lost_volume_ul"].at(700.0)


@pytest.mark.parametrize(("severity", "longer"), [(None, 1.0), (100.0, 1.1), (-200.0, 0.8)])
def test_length_scales_resistance_and_the_air_that_a_dried_catheter_holds(forced, severity, longer):
    plant = forced(faults=() if severity is None else (("wrong-length", severity, 0.0),))
    assert drop(plant) == pytest.approx((0.3565 * longer + 0.1) * FORCED_UL_PER_S * WARMER, rel=1e-3)
    operator = SimulatedOperator(plant, VirtualClock(), 1)
    operator.respond("dry-catheter", "confirm", "", {}, 60.0)
    missing = plant.truth["inflow_volume_ul"].at(500.0) - plant.truth["vessel_volume_ul"].at(500.0)
    assert missing == pytest.approx(bore_ul(1000.0 * longer, 0.53), abs=3.0)


def test_a_bend_over_the_kink_radius_changes_little_and_one_below_it_much(forced):
    assert bend_factor(0.0, 6.0) == 1.0
    assert 1.0 < bend_factor(12.0, 6.0) < bend_factor(6.0, 6.0) <= 1.05
    assert bend_factor(5.4, 6.0) > 4.0
    for radius_mm, faults, factor in ((8.0, (), 1.028), (8.0, (("kinks-early", 1.6, 0.0),), 7.05)):
        plant = forced(faults=faults)
        plant.actuators["bend_mm"].write(radius_mm, 0.0)
        assert drop(plant) == pytest.approx((0.3565 * factor + 0.1) * FORCED_UL_PER_S * WARMER, rel=1e-3)


def test_nothing_is_lost_or_made_while_a_catheter_leaks_and_creeps(forced):
    plant = forced({"catheter": {"creep_share": 0.05}}, faults=(("catheter-leak", 2000.0, 5.0),))
    plant.actuators["outlet_valve"].write(1.0, 40.0)
    plant.actuators["pusher_ul_per_h"].write(0.0, 50.0)
    at = {name: signal.at(400.0) for name, signal in plant.truth.items() if name.endswith("_ul")}
    stored = 0.35 * (plant.truth["outlet_pressure_kpa"].at(400.0) - HEAD)
    stored += 0.14 * (plant.truth["distal_pressure_kpa"].at(400.0) - HEAD) + at["crept_volume_ul"]
    come = at["inflow_volume_ul"] + at["pump_volume_ul"] + at["added_volume_ul"]
    assert come == pytest.approx(at["line_volume_ul"] + at["lost_volume_ul"] + stored, abs=1e-6)
