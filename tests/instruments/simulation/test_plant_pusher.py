"""A syringe pump at the access port, the relief valve, leaks of the rig, creep, and the pressure controller."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from instruments.clock import VirtualClock
from instruments.simulation.faults import fault
from instruments.simulation.grid import DT_S
from instruments.simulation.network import Network, crossing_s, part_of_interval, respond
from instruments.simulation.parameters import PlantParameters
from instruments.simulation.plant import Plant
from instruments.simulation.properties import water_density
from instruments.simulation.signal import DeliveryProgram, RampActuator

C_UL_PER_KPA = 0.49
NO_SLIP = {"pump": {"kind": "valve-gated"}}
TRUE_PUSHER = {"pusher": {"gain_error": 0.0}, "valves": {"outlet_swept_volume_ul": 0.0}}
AMBIENT_KPA = 101.325
STILL_ROOM = {
    "laboratory": {"diurnal_k": 0.0, "wander_k": 0.0, "pressure_wander_hpa": 0.0},
    "bath": {"cycle_k": 0.0},
}
ONE_NODE = {"catheter": {"proximal_compliance_ul_per_kpa": C_UL_PER_KPA, "distal_compliance_ul_per_kpa": 1e-6}}
SWELLING = float(water_density(np.array([22.0]))[0] / water_density(np.array([37.0]))[0])
"""Volume at the pump's temperature over that at the laboratory's."""


def closed(make_plant, *tables, faults=(), **others):
    """A plant whose pump stands still and whose line is shut from 10 s on."""
    plant = make_plant(NO_SLIP, TRUE_PUSHER, *tables, rate=None, faults=faults, **others)
    plant.actuators["outlet_valve"].write(1.0, 9.9)
    return plant


def push(plant, ul, from_s, to_s):
    """Inject a volume of the pump's temperature at an even rate."""
    plant.actuators["pusher_ul_per_h"].write(ul / SWELLING / (to_s - from_s) * 3600.0, from_s - DT_S)
    plant.actuators["pusher_ul_per_h"].write(0.0, to_s - DT_S)


def outlet_kpa(plant, t):
    return plant.truth["outlet_pressure_kpa"].at(t)


# ------------------------------------------------------------------------------------------------- syringe pump


def test_a_metered_injection_raises_a_closed_line_by_volume_over_compliance(make_plant):
    plant = closed(make_plant)
    push(plant, 20.0, 100.0, 200.0)
    slope = (outlet_kpa(plant, 180.0) - outlet_kpa(plant, 120.0)) / 60.0

    assert slope == pytest.approx(0.2 / C_UL_PER_KPA, rel=1e-6)
    assert outlet_kpa(plant, 300.0) - outlet_kpa(plant, 100.0) == pytest.approx(20.0 / C_UL_PER_KPA, rel=1e-9)


def test_air_and_a_soft_syringe_show_in_the_metered_injection(make_plant):
    bubble = closed(make_plant, faults=(("air-bubble", 20.0, 50.0),))
    soft = closed(make_plant, {"pusher": {"compliance_ul_per_kpa": 9.0, "gain_error": 0.0}})
    for plant in (bubble, soft):
        push(plant, 20.0, 100.0, 200.0)
    (before, after), rise = (outlet_kpa(bubble, t) for t in (100.0, 300.0)), outlet_kpa(soft, 300.0)

    air = 20.0 * AMBIENT_KPA * (1.0 / (AMBIENT_KPA + before) - 1.0 / (AMBIENT_KPA + after))
    assert air + C_UL_PER_KPA * (after - before) == pytest.approx(20.0, abs=1e-4)
    assert 20.0 / (rise - outlet_kpa(soft, 100.0)) == pytest.approx(9.49, rel=1e-3)


@pytest.mark.parametrize("bubble_ul", [5.0, 50.0, 500.0])
def test_a_bubble_is_pressed_together_by_boyle_s_law(make_plant, bubble_ul):
    """C P + V0 (1 - P0/(P0 + P)) = Q t: 50 uL at 1 mL/day need 69.1 min to 60 kPa and not 85."""
    plant = closed(make_plant, faults=(("air-bubble", bubble_ul, 50.0),))
    push(plant, 300.0, 100.0, 3100.0)
    to_150_kpa = C_UL_PER_KPA * 150.0 + bubble_ul * 150.0 / (AMBIENT_KPA + 150.0)  # the relief valve opens at 250 kPa
    t = np.arange(200.0, min(100.0 + to_150_kpa / 0.1, 3100.0), 50.0)
    p = plant.truth["outlet_pressure_kpa"].samples(200.0, 50.0, 0, len(t))
    p0 = plant.truth["outlet_pressure_kpa"].at(99.0)
    air = bubble_ul * AMBIENT_KPA * (1.0 / (AMBIENT_KPA + p0) - 1.0 / (AMBIENT_KPA + p))

    assert p.max() > 90.0
    assert air + C_UL_PER_KPA * (p - p0) == pytest.approx(0.1 * (t - 100.0), abs=2e-3 + 1e-4 * bubble_ul)
    if bubble_ul == 50.0:
        push_ul = 0.1 * (np.interp(60.1, p, t) - 100.0)
        assert push_ul / (1000.0 / 1440.0) == pytest.approx(69.1, abs=0.1)  # min at 1 mL/day


def test_a_bubble_gives_back_what_it_took_as_the_line_is_opened(make_plant):
    plant = closed(make_plant, {"catheter": {"line_volume_ul": 0.0}}, faults=(("air-bubble", 50.0, 50.0),))
    push(plant, 48.0, 100.0, 500.0)
    top, passed = outlet_kpa(plant, 600.0), plant.truth["line_volume_ul"]
    plant.actuators["outlet_valve"].write(0.0, 600.0)

    bolus = passed.at(700.0) - passed.at(600.0)
    boyle = 50.0 * (1.0 - AMBIENT_KPA / (AMBIENT_KPA + top - 0.1))
    assert top == pytest.approx(60.0, abs=0.3)
    assert bolus == pytest.approx(C_UL_PER_KPA * (top - 0.1) + boyle, abs=0.05)
    assert bolus == pytest.approx(48.0, abs=0.1)


@given(
    bubble_ul=st.sampled_from([1.0, 50.0, 1000.0]),
    moves=st.lists(st.tuples(st.sampled_from(["outlet_valve", "vent_valve", "pusher_ul_per_h"]),
                             st.floats(1.0, 1500.0), st.floats(-1.0, 1.0)), max_size=8),
)  # fmt: skip
@settings(max_examples=15, deadline=None)
def test_no_volume_is_lost_while_a_bubble_is_pressed_and_let_go(bubble_ul, moves):
    """The bubble holds what its pressure asks for, but for what the last stretch has not settled yet."""
    tables = {"catheter": {"creep_share": 0.0, "bubble_to_tip_ul": 1e9}, **STILL_ROOM}
    plant = Plant(PlantParameters.load(tables), VirtualClock(), 3, [fault("air-bubble", bubble_ul, 0.0)])
    for name, t, size in moves:
        plant.actuators[name].write(8000.0 * size if name == "pusher_ul_per_h" else float(size > 0.0), t)
    plant.actuators["pusher_ul_per_h"].write(0.0, 1501.0)
    truth, end = plant.truth, 3600.0  # the end of a chunk

    entered = sum(truth[f"{name}_volume_ul"].at(end) for name in ("pump", "inflow", "added"))
    left = sum(truth[f"{name}_volume_ul"].at(end) for name in ("line", "lost"))
    stored = sum(c * (truth[f"{p}_pressure_kpa"].at(end) - 0.1) for c, p in ((0.35, "outlet"), (0.14, "distal")))
    p = truth["outlet_pressure_kpa"].at(end)
    air = bubble_ul * AMBIENT_KPA * (1.0 / (AMBIENT_KPA + 0.1) - 1.0 / (AMBIENT_KPA + p))
    assert entered == pytest.approx(left + stored + air, abs=1e-4 * bubble_ul + 1e-9)


def test_what_is_drawn_back_leaves_the_line_as_it_was(make_plant):
    plant = closed(make_plant)
    push(plant, 20.0, 100.0, 200.0)
    push(plant, -20.0, 300.0, 400.0)

    assert outlet_kpa(plant, 500.0) == pytest.approx(outlet_kpa(plant, 100.0), abs=1e-9)
    assert plant.truth["pushed_volume_ul"].at(500.0) == pytest.approx(0.0, abs=1e-9)
    assert plant.truth["pushed_volume_ul"].at(250.0) == pytest.approx(20.0 / SWELLING, rel=1e-9)


def test_the_syringe_errs_by_what_was_drawn(make_plant):
    plant = make_plant(rate=None)
    plant.actuators["pusher_ul_per_h"].write(3600.0, 0.0)
    gain = plant.draws["pusher.gain_error"]

    assert plant.truth["pushed_volume_ul"].at(100.1) == pytest.approx(100.0 * (1.0 + gain), rel=1e-9)
    assert "pusher.gain_error" in plant.draws.uncertain


def test_mass_that_leaves_the_syringe_leaves_the_tip(make_plant):
    still = {"outlet": {"static_head_kpa": 0.0}, "catheter": {"line_volume_ul": 0.0}}
    plant = make_plant(NO_SLIP, still, rate=None)
    plant.actuators["pusher_ul_per_h"].write(5000.0, 10.0)
    plant.actuators["pusher_ul_per_h"].write(0.0, 910.0)
    lost = plant.draws["pusher.syringe_mass_mg"] - plant.truth["syringe_mass_mg"].at(1200.0)

    assert plant.truth["tip_mass_mg"].at(1200.0) == pytest.approx(lost, rel=1e-9)
    assert lost == pytest.approx(
        plant.truth["pushed_volume_ul"].at(1200.0) * plant.density_kg_per_m3(22.0) * 1e-3, 1e-5
    )


def test_forced_flow_drops_what_the_catheter_resists(make_plant, wide_sensor):
    plant = make_plant(NO_SLIP, TRUE_PUSHER, wide_sensor, rate=None)
    plant.actuators["pusher_ul_per_h"].write(30_000.0 / SWELLING, 10.0)
    flow = 30.0 / 3.6

    assert outlet_kpa(plant, 100.0) - 0.1 == pytest.approx(flow * (0.3565 + 0.1), rel=1e-6)
    assert plant.signals["pusher_pressure_kpa"].at(100.0) == outlet_kpa(plant, 100.0)


# ----------------------------------------------------------------------------------------------------- relief valve


def test_the_relief_valve_opens_at_its_pressure_and_holds_there(make_plant):
    """One node: C dP/dt = Q until the opening pressure, then C dP/dt = Q - g (P - opening)."""
    plant = closed(make_plant, ONE_NODE, {"relief": {"opening_kpa": 120.0, "conductance_ul_per_s_kpa": 3.0}})
    push(plant, 833.0, 100.0, 200.0)  # 17 kPa/s: it opens in the middle of an interval
    t = np.arange(100.0, 130.0, DT_S)
    opens_s = 100.0 + (120.0 - outlet_kpa(plant, 100.0)) * C_UL_PER_KPA / 8.33
    above = 120.0 + 8.33 / 3.0 * -np.expm1(-(t - opens_s) * 3.0 / C_UL_PER_KPA)
    expected = np.where(t < opens_s, 120.0 - 8.33 / C_UL_PER_KPA * (opens_s - t), above)

    assert abs(opens_s / DT_S % 1.0 - 0.5) < 0.4
    assert plant.truth["outlet_pressure_kpa"].samples(100.0, DT_S, 0, len(t)) == pytest.approx(expected, abs=1e-3)


def test_the_relief_valve_closes_at_its_pressure_and_loses_no_more(make_plant):
    plant = closed(make_plant, ONE_NODE, {"relief": {"opening_kpa": 120.0, "conductance_ul_per_s_kpa": 3.0}})
    push(plant, 833.0, 100.0, 200.0)
    plant.actuators["vent_valve"].write(1.0, 300.0)
    lost = plant.truth["tray_volume_ul"]
    over_ul = 833.0 - (120.0 - outlet_kpa(plant, 100.0)) * C_UL_PER_KPA

    assert lost.at(299.0) == pytest.approx(over_ul, rel=1e-6)
    assert outlet_kpa(plant, 299.0) == pytest.approx(120.0, abs=1e-6)
    assert lost.at(400.0) - lost.at(300.0) < 1e-5
    assert plant.truth["lost_volume_ul"].at(400.0) - lost.at(400.0) == pytest.approx(C_UL_PER_KPA * 120.0, rel=1e-3)


@given(p1=st.floats(95.0, 105.0), p2=st.floats(20.0, 180.0), s1=st.floats(-40.0, 40.0), part=st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_an_interval_cut_anywhere_ends_where_the_whole_one_does(p1, p2, s1, part):
    network = Network(0.35, 0.14, 0.5, 2.805, 0.0, 0.035, 0.014, 300.0)
    start = (p1, p2, 50.0, 60.0)
    whole = part_of_interval(network, start, s1, 0.1, DT_S)
    first = part_of_interval(network, start, s1, 0.1, part * DT_S)
    second = part_of_interval(network, first.pressures, s1, 0.1, (1.0 - part) * DT_S)

    assert second.pressures == pytest.approx(whole.pressures, rel=1e-12)
    assert first.integral1 + second.integral1 == pytest.approx(whole.integral1, rel=1e-12)
    if (p1 < 100.0) != (whole.pressures[0] < 100.0):
        tau = crossing_s(network, start, s1, 0.1, 100.0, DT_S)
        assert part_of_interval(network, start, s1, 0.1, tau).pressures[0] == pytest.approx(100.0, rel=1e-12)


def test_a_refill_into_a_shut_line_stays_near_the_opening_pressure(make_plant):
    plant = closed(make_plant)
    plant.actuators["pusher_ul_per_h"].write(1.2e6, 100.0)  # 1 mL in 3 s
    pressure = plant.truth["outlet_pressure_kpa"].samples(100.0, DT_S, 0, 300)

    assert pressure.max() == pytest.approx(250.0 + 1.2e6 * SWELLING / 3600.0 / 30.0, rel=1e-6)


# -------------------------------------------------------------------------------------------------- leaks and creep


def test_a_leaking_rig_loses_pressure_exponentially(make_plant):
    plant = closed(make_plant, ONE_NODE, faults=(("rig-leak", 500.0, 50.0),))
    push(plant, 49.0, 60.0, 61.0)
    tau_s = C_UL_PER_KPA / (500.0 / 3600.0 / 100.0)
    pressure = plant.truth["outlet_pressure_kpa"].samples(100.0, 1.0, 0, 1000)

    assert pressure == pytest.approx(pressure[0] * np.exp(-np.arange(1000.0) / tau_s), rel=1e-5)
    assert plant.truth["tray_volume_ul"].at(36000.0) == pytest.approx(C_UL_PER_KPA * (100.0 + 0.1), rel=1e-3)


def test_an_open_line_loses_next_to_nothing_by_a_leak_of_the_rig(make_plant):
    leaky, sound = (make_plant(faults=faults) for faults in ((("rig-leak", 20.0, 0.0),), ()))
    volumes = [plant.truth["vessel_volume_ul"].at(21_600.0) for plant in (leaky, sound)]

    assert volumes[0] / volumes[1] == pytest.approx(1.0, abs=1e-3)


def test_the_tray_tells_what_leaked_and_not_what_was_vented(make_plant):
    leaky = closed(make_plant, faults=(("rig-leak", 500.0, 50.0),))
    vented = closed(make_plant)
    vented.actuators["vent_valve"].write(1.0, 50.0)
    for plant in (leaky, vented):
        push(plant, 60.0, 60.0, 61.0)
    wet = leaky.signals["leak_tray"].samples(0.0, 1.0, 0, 7200)
    lost = leaky.truth["lost_volume_ul"].samples(0.0, 1.0, 0, 7200)

    assert set(wet) == {0.0, 1.0}
    assert np.array_equal(wet == 1.0, lost > 50.0)
    assert vented.truth["lost_volume_ul"].at(7000.0) > 50.0
    assert vented.signals["leak_tray"].at(7000.0) == 0.0


CREEP = {"catheter": {"creep_share": 0.1, "creep_s": 300.0}}


def test_a_closed_line_creeps_as_a_standard_linear_solid(make_plant):
    """V = C P + s C X and tau X' = P - X: the pressure falls to 1/(1 + s) with the time constant tau/(1 + s)."""
    plant = closed(make_plant, CREEP)
    push(plant, 49.0, 100.0, 100.1)
    pressure = plant.truth["outlet_pressure_kpa"].samples(110.0, 1.0, 0, 3000) - 0.1
    end = 100.0 / 1.1
    expected = end + (100.0 - end) * np.exp(-(np.arange(3000.0) + 9.95) * 1.1 / 300.0)

    assert pressure == pytest.approx(expected, rel=2e-4)


def test_a_closed_line_that_has_crept_holds_what_is_left_for_days():
    network = Network(0.35, 1e-3, 0.0, 50.0, 0.0, 0.035, 1e-4, 300.0)
    still = np.zeros(2_000_000)
    response = respond(network, 100.0, 100.0, still, still, (0.0, 0.0))

    assert response.p1[-1] == pytest.approx(100.0 / 1.1, rel=1e-9)
    assert response.p1[1_000_000] == pytest.approx(response.p1[-1], rel=1e-13)


def test_a_line_without_creep_keeps_its_pressure(make_plant):
    plant = closed(make_plant)
    push(plant, 49.0, 100.0, 100.1)

    assert outlet_kpa(plant, 3000.0) == pytest.approx(outlet_kpa(plant, 110.0), abs=1e-9)
    assert plant.truth["crept_volume_ul"].at(3000.0) == 0.0


@given(
    g1=st.sampled_from([0.0, 1e-4, 3.0]),
    g12=st.sampled_from([1e-4, 2.805]),
    g2=st.sampled_from([0.0, 1e-3, 10.0]),
    share=st.floats(0.01, 1.0),
    tau=st.sampled_from([1.0, 30.0, 300.0]),
)
@settings(max_examples=20, deadline=None)
def test_creep_agrees_with_an_integrator_of_another_kind(g1, g12, g2, share, tau):
    c1, c2, s1, s2, n = 0.35, 0.14, 0.2, 0.01, 600

    def derivative(_, p):
        k1, k2 = share * c1 / tau * (p[0] - p[2]), share * c2 / tau * (p[1] - p[3])
        flow = g12 * (p[0] - p[1])
        return [(s1 - g1 * p[0] - flow - k1) / c1, (s2 - g2 * p[1] + flow - k2) / c2,
                (p[0] - p[2]) / tau, (p[1] - p[3]) / tau]  # fmt: skip

    truth = solve_ivp(derivative, (0.0, n * DT_S), [20.0, 1.0, 5.0, 2.0], method="LSODA", rtol=1e-9, atol=1e-10)
    network = Network(c1, c2, g1, g12, g2, share * c1, share * c2, tau)
    response = respond(network, 20.0, 1.0, np.full(n, s1), np.full(n, s2), (5.0, 2.0))

    ends = [response.p1[-1], response.p2[-1], *(column[-1] for column in response.crept)]
    assert ends == pytest.approx(truth.y[:, -1].tolist(), rel=1e-6, abs=1e-7)


# --------------------------------------------------------------------------------------------------- all together

ACTIONS = st.sampled_from(["outlet_valve", "vent_valve", "pusher_ul_per_h", "back_pressure_kpa"])


@given(
    seed=st.integers(0, 50),
    share=st.sampled_from([0.0, 0.1]),
    moves=st.lists(st.tuples(ACTIONS, st.floats(1.0, 1500.0), st.floats(-1.0, 1.0)), max_size=8),
)
@settings(max_examples=20, deadline=None)
def test_no_volume_is_lost_whatever_is_pushed_relieved_and_crept(seed, share, moves):
    tables = {"catheter": {"creep_share": share}, "relief": {"opening_kpa": 60.0}}
    faults = [fault("rig-leak", 2000.0, 300.0), fault("valve-stuck-closed", None, 1200.0)]
    plant = Plant(PlantParameters.load(tables), VirtualClock(), seed, faults)
    plant.pump.load(DeliveryProgram("continuous", 100.0), 0.0)
    plant.pump.start(0.0)
    for name, t, size in moves:
        if name == "back_pressure_kpa":
            plant.actuators[name].ramp(30.0 * size, 2.0, t)
        else:
            plant.actuators[name].write({"pusher_ul_per_h": 8000.0 * size}.get(name, float(size > 0.0)), t)
    truth, end = plant.truth, 1800.0

    entered = sum(truth[f"{name}_volume_ul"].at(end) for name in ("pump", "inflow", "added"))
    left = sum(truth[f"{name}_volume_ul"].at(end) for name in ("line", "lost", "crept"))
    stored = sum(c * (truth[f"{p}_pressure_kpa"].at(end) - 0.1) for c, p in ((0.35, "outlet"), (0.14, "distal")))
    assert entered == pytest.approx(left + stored, abs=1e-9)


# ------------------------------------------------------------------------------------------ controller and height


def test_the_controller_sets_the_pressure_of_the_whole_line(make_plant, wide_sensor):
    plant = make_plant(wide_sensor, rate=None)
    controller = plant.actuators["back_pressure_kpa"]
    assert isinstance(controller, RampActuator)
    controller.ramp(40.0, 1.0, 99.9)
    d = plant.draws
    seen = plant.signals["controller_pressure_kpa"].samples(150.0, 0.1, 0, 2000).mean()

    assert [outlet_kpa(plant, t) - 0.1 for t in (100.0, 120.0, 141.0)] == pytest.approx([0.0, 20.0, 40.0], abs=0.25)
    assert outlet_kpa(plant, 150.0) == pytest.approx(40.1, abs=1e-9)
    expected = 40.0 * (1.0 + d["controller.gain_error"]) + d["controller.zero_error_kpa"]
    assert seen == pytest.approx(expected, abs=5 * d["controller.noise_kpa"] / 2000**0.5)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_ramp_needs_a_rate(make_plant, rate):
    with pytest.raises(ValueError, match="positive number"):
        make_plant().actuators["back_pressure_kpa"].ramp(10.0, rate, 0.0)


TRUE_GAUGE = {
    "outlet_transducer": {"zero_error": 0.0, "gain_error": 0.0, "noise": 0.0, "hysteresis": 0.0, "zero_per_k": 0.0}
}


def test_a_raised_transducer_reads_low_by_the_column_below_it(make_plant):
    raised, level = (
        make_plant(TRUE_GAUGE, {"outlet_transducer": {**TRUE_GAUGE["outlet_transducer"], "height_mm": h}}, rate=None)
        for h in (1000.0, 0.0)
    )
    kpa = [p.signals["outlet_pressure_v_per_v"].at(10.0) / 2e-3 * 200.0 for p in (raised, level)]

    assert kpa[1] - kpa[0] == pytest.approx(raised.density_kg_per_m3(22.0) * 9.80665e-3, abs=1e-6)
    assert outlet_kpa(raised, 10.0) == outlet_kpa(level, 10.0)


def test_a_wrong_height_adds_to_the_one_that_is_stated(make_plant):
    plant = make_plant({"outlet_transducer": {"height_mm": 50.0}}, faults=(("wrong-height", 200.0, 600.0),))
    height = plant.truth["transducer_height_mm"]

    assert [height.at(600.0), height.at(600.1)] == [50.0, 250.0]
