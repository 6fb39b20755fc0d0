"""Each fault changes what it should and nothing else, from its moment on."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from instruments.clock import VirtualClock
from instruments.simulation.faults import FAULTS, FaultError, FaultSpec, fault
from instruments.simulation.parameters import PlantParameters
from instruments.simulation.plant import Plant
from instruments.simulation.signal import DeliveryProgram

ONSET = 3000.0
DAILY_UL_PER_H = 1000.0 / 24.0
DOCS = Path(__file__).parents[3] / "docs"

FLOW = {"flow_nl_per_min", "line_volume_ul"}
AT_TIP = {"reference_load_mg", "tip_mass_mg", "vessel_mass_mg", "tip_volume_ul", "vessel_volume_ul"}
IN_PUMP = {
    "pump_volume_ul",
    "reservoir_volume_ul",
    "reservoir_pressure_v",
    "reservoir_pressure_kpa",
    "pump_mass_gain_mg",
}
SEPTUM = {"septum_leak_volume_ul"}  # a little more or less with the pressure in the reservoir
OUTLET = {"outlet_pressure_kpa", "keller_pressure_kpa", "pusher_pressure_kpa"}
PRESSURE = OUTLET | {"distal_pressure_kpa"}
GAUGE = {"outlet_pressure_v_per_v"}  # does not see what is within its hysteresis
DELIVERY = FLOW | AT_TIP | IN_PUMP | PRESSURE
WITH_IT = GAUGE | SEPTUM
BATH = {"bath_thermocouple_v", "bath_temperature_degc", "bath_sensor_degc"}
TRAY = {"lost_volume_ul", "tray_volume_ul"}

# fault -> what must change, what else may
CHANGES: dict[str, tuple[set[str], set[str]]] = {
    "over-delivery": (DELIVERY | SEPTUM, GAUGE),
    "under-delivery": (DELIVERY | SEPTUM, GAUGE),
    "motor-stall": (DELIVERY | SEPTUM, GAUGE),
    "reset-to-minimum-rate": (DELIVERY | {"programmed_volume_ul"}, WITH_IT),
    "free-flow": (DELIVERY | GAUGE, SEPTUM),
    "weak-rollers": (set(), set()),  # the line is open
    "no-occlusion-alarm": (set(), set()),
    "battery-low": (set(), set()),
    "pump-clock-offset": (set(), set()),  # the program has one rate all day
    "late-start": (set(), set()),  # it was started before
    "set-point-overshoot": (set(), set()),  # its program is not changed
    "lockout-ignored": (set(), set()),  # nobody asks
    "daily-maximum-ignored": (set(), set()),
    "pocket-fill": (set(), set()),  # nobody injects
    "over-fill": (set(), set()),
    "septum-coring": (SEPTUM | {"capillary_mm", "pump_mass_gain_mg", "reservoir_volume_ul"}, DELIVERY | GAUGE),
    "short-needle": (set(), set()),  # nobody moves it
    "needle-beside-port": (set(), set()),
    "syringe-scale": ({"scale_error"}, set()),
    "wrong-concentration": ({"label_factor"}, set()),
    "programming-error": (set(), set()),  # it was started before
    "reservoir-count": (set(), set()),  # nobody fills it
    "leak": (AT_TIP | {"leaked_volume_ul"}, set()),
    "occlusion": (FLOW | AT_TIP | PRESSURE | GAUGE, IN_PUMP | SEPTUM),
    "kink": (FLOW | AT_TIP | PRESSURE | GAUGE, IN_PUMP | SEPTUM),
    "catheter-leak": (TRAY | PRESSURE, DELIVERY | WITH_IT),
    "disconnect": (FLOW | AT_TIP | PRESSURE | TRAY | {"leak_tray"}, IN_PUMP | WITH_IT),
    "tip-dislodged": (set(), set()),  # no back pressure is held
    "kinks-early": (set(), set()),  # nobody bends it
    "wrong-length": (PRESSURE | FLOW | {"extra_length_mm"}, DELIVERY | WITH_IT),
    "dry-evaporation-trap": ({"reference_load_mg", "evaporated_mg"}, set()),
    "bath-off": (BATH | {"reservoir_pressure_v", "vessel_mass_mg", "flow_nl_per_min"}, DELIVERY | WITH_IT),
    "sensor-drift": ({"flow_nl_per_min"}, set()),
    "balance-drift": ({"reference_load_mg"}, set()),
    "air-bubble": (
        {"flow_air", "flow_nl_per_min", "vessel_mass_mg", "line_volume_ul"},
        DELIVERY | WITH_IT | {"added_volume_ul"},
    ),
    "rig-leak": (TRAY | OUTLET, DELIVERY | WITH_IT),
    "valve-stuck-open": (set(), set()),  # nobody closes it
    "valve-stuck-closed": (
        FLOW | AT_TIP | PRESSURE | GAUGE | {"added_volume_ul"},
        IN_PUMP | SEPTUM | TRAY | {"leak_tray"},
    ),
    "wrong-height": ({"transducer_height_mm"} | GAUGE, set()),
    "vessel-overflow": ({"reference_load_mg", "spilled_mg"}, set()),
    "auto-zero": ({"balance_auto_zero"}, set()),
    "auto-adjust": ({"reference_load_mg"}, set()),
    "out-of-level": ({"reference_load_mg"}, set()),
    "e-stop": ({"e_stop"}, set()),
}


def everything(plant: Plant) -> dict[str, np.ndarray]:
    """All signals every 10 s, read chunk by chunk as instruments do."""
    parts = [{n: s.samples(0.0, 10.0, k, 60) for n, s in plant.signals.items()} for k in range(0, 900, 60)]
    return {n.removeprefix("truth_"): np.concatenate([part[n] for part in parts]) for n in plant.signals}


@pytest.fixture(scope="module")
def healthy() -> dict[str, np.ndarray]:
    plant = Plant(PlantParameters.load(), VirtualClock(), 7)
    plant.pump.load(DeliveryProgram("continuous", 1000.0 / 24.0), 0.0)
    plant.pump.start(0.0)
    return everything(plant)


@pytest.mark.parametrize("name", [name for name, kind in FAULTS.items() if kind.where == "plant"])
def test_a_fault_changes_what_it_should_and_nothing_else(make_plant, healthy, name):
    severity = {"vessel-overflow": 5050.0}.get(name)  # of which 5 mL are there at the start
    faulty = everything(make_plant(room={}, faults=((name, severity, ONSET),)))
    must, may = CHANGES[name]
    before = int(ONSET / 10.0) + 1

    assert all(np.array_equal(healthy[n][:before], faulty[n][:before]) for n in healthy)
    changed = {n for n in healthy if not np.array_equal(healthy[n], faulty[n])}
    assert must <= changed <= must | may


def delivered(plant: Plant, what: str = "vessel_volume_ul", t0: float = ONSET, t1: float = 4 * 3600.0) -> float:
    return plant.truth[what].at(t1) - plant.truth[what].at(t0)


@pytest.mark.parametrize(("name", "ratio"), [("over-delivery", 1.25), ("under-delivery", 0.6), ("under-delivery", 0.0)])
def test_the_severity_of_wrong_delivery_is_delivered_over_programmed(make_plant, ideal_pump, name, ratio):
    plant = make_plant(ideal_pump, {"pump": {"mean_error": 0.01}}, faults=((name, ratio, ONSET),))

    assert delivered(plant) / delivered(plant, "programmed_volume_ul") == pytest.approx(ratio, abs=2e-4)


HEAD_KPA_PER_UL = 9.80665e-3 / (np.pi / 4.0 * 20.0**2)  # of a vessel of 20 mm
AT_HEAD = 0.3 * DAILY_UL_PER_H / 3600.0 / 0.1  # uL/(s kPa) of a leak of 0.3


@pytest.mark.parametrize("rate", [1000.0, DAILY_UL_PER_H, DAILY_UL_PER_H / 10.0])
def test_a_leak_at_the_tip_loses_what_the_head_drives_whatever_flows(make_plant, rate):
    """30 % at 1 mL/day are 12.5 uL/h at any rate; more as the vessel fills."""
    plant, sound = (make_plant(rate=rate, faults=faults) for faults in ((("leak", 0.3, ONSET),), ()))
    lost = delivered(plant, "leaked_volume_ul", t1=ONSET + 7200.0)
    filled = np.mean([plant.truth["vessel_volume_ul"].at(ONSET + t) for t in np.linspace(0.0, 7200.0, 721)])

    assert lost == pytest.approx(7200.0 * AT_HEAD * (0.1 + HEAD_KPA_PER_UL * filled), rel=1e-4)
    assert delivered(sound, t1=ONSET + 7200.0) - delivered(plant, t1=ONSET + 7200.0) == pytest.approx(lost, rel=1e-9)
    assert delivered(plant, "line_volume_ul") == delivered(sound, "line_volume_ul")


def test_a_leak_at_the_tip_drains_the_vessel_of_a_line_that_stands(make_plant):
    """dV/dt = -g (p + c V): as fast as ever at first, and down to the end of the tube."""
    still = {"catheter": {"line_volume_ul": 0.0}}
    vessel = make_plant(still, rate=None, faults=(("leak", 60.0, 0.0),)).truth["vessel_volume_ul"]
    lowest_ul = 0.1 / HEAD_KPA_PER_UL

    assert vessel.at(18.0) == pytest.approx(-0.3 * DAILY_UL_PER_H, rel=3e-3)
    for days in (0.005, 0.05, 0.5):
        sunk = -np.expm1(-200.0 * AT_HEAD * HEAD_KPA_PER_UL * 86400.0 * days)
        assert vessel.at(86400.0 * days) == pytest.approx(-lowest_ul * sunk, rel=1e-6)


def test_a_leak_at_the_tip_takes_from_a_diverted_flow_and_leaves_the_vessel(make_plant):
    plant = make_plant(faults=(("leak", 0.3, ONSET),))
    plant.actuators["diverter_valve"].write(1.0, ONSET)

    assert delivered(plant) == pytest.approx(0.0, abs=0.01)
    assert delivered(plant, "leaked_volume_ul") == pytest.approx(12.5 * (4 * 3600.0 - ONSET) / 3600.0, rel=0.02)


def test_a_back_pressure_drives_a_leak_at_the_tip_and_one_below_ambient_draws_air(make_plant):
    plant = make_plant(rate=None, faults=(("leak", 0.3, 0.0),))
    plant.actuators["back_pressure_kpa"].write(1.9, ONSET)
    plant.actuators["back_pressure_kpa"].write(-5.0, ONSET + 3600.0)
    lost = [delivered(plant, "leaked_volume_ul", ONSET + t, ONSET + t + 3600.0) for t in (0.0, 3600.0)]

    assert lost == pytest.approx([20.0 * 12.5, 0.0], rel=0.01, abs=0.01)


def test_a_vessel_that_is_taken_away_takes_its_head_with_it(make_plant):
    fast = {"pump": {"maximum_rate_ul_per_h": 5000.0}}
    kept, taken = (make_plant(fast, rate=5000.0, faults=(("leak", 0.3, 0.0),)) for _ in range(2))
    taken.actuators["taken_mg"].write(10_000.0, 2 * 3600.0)
    lost = [delivered(plant, "leaked_volume_ul", 2 * 3600.0, 3 * 3600.0) for plant in (kept, taken)]

    assert lost[0] - lost[1] == pytest.approx(AT_HEAD * HEAD_KPA_PER_UL * 10_000.0 / 0.9978 * 3600.0, rel=0.01)


def test_a_stalled_motor_stops_the_flow_and_is_logged(make_plant):
    plant = make_plant(faults=(("motor-stall", 1.0, ONSET),))

    assert abs(delivered(plant)) < 0.03  # what the line lets out
    assert plant.pump.state(ONSET + 1800.0).alarms == ("stall",)
    assert plant.pump.state(ONSET + 1799.0).alarms == ()


def test_a_reset_pump_runs_at_its_minimum_rate_and_says_so(make_plant):
    plant = make_plant(faults=(("reset-to-minimum-rate", 1.0, ONSET),))

    assert delivered(plant, "programmed_volume_ul", ONSET, ONSET + 36000.0) == pytest.approx(2.5, rel=1e-3)
    program = plant.pump.program(ONSET)
    assert program is not None
    assert program.rate_ul_per_h == 0.25
    assert plant.pump.state(ONSET).alarms == ("low-battery",)


def test_a_free_flowing_pump_empties_its_reservoir(make_plant):
    plant = make_plant(faults=(("free-flow", 5000.0, ONSET),))
    first = delivered(plant, "pump_volume_ul", ONSET, ONSET + 60.0) * 60.0

    assert first == pytest.approx(5000.0, rel=0.12)
    assert plant.truth["reservoir_volume_ul"].at(ONSET + 6 * 3600.0) < 100.0
    assert plant.truth["vessel_volume_ul"].at(ONSET + 6 * 3600.0) == pytest.approx(18000.0, rel=1e-2)


def test_a_dry_trap_shows_at_the_twin_only_when_it_is_shared(make_plant):
    own = make_plant(faults=(("dry-evaporation-trap", 3.0, ONSET),))
    shared = make_plant({"evaporation": {"trap_is_shared": 1}}, faults=(("dry-evaporation-trap", 3.0, ONSET),))

    assert delivered(own, "evaporated_mg", ONSET, ONSET + 3600.0) == pytest.approx(3.0, rel=1e-3)
    assert delivered(own, "twin_evaporated_mg", ONSET, ONSET + 3600.0) < 0.05
    assert delivered(shared, "twin_evaporated_mg", ONSET, ONSET + 3600.0) > 2.0


def test_an_unheated_bath_cools_to_the_laboratory(make_plant):
    bath = make_plant(faults=(("bath-off", 1.0, ONSET),)).truth["bath_temperature_degc"]

    assert bath.at(ONSET) == pytest.approx(37.0)
    assert bath.at(ONSET + 7200.0) == pytest.approx(22.0 + 15.0 * np.exp(-1.0), abs=1e-3)


def test_an_unheated_bath_has_no_limit_cycle_any_more(make_plant):
    cycling = {"bath": {"cycle_k": 0.05, "cycle_s": 700.0}}
    bath = make_plant(cycling, faults=(("bath-off", 1.0, ONSET),)).truth["bath_temperature_degc"]
    before, after = (np.diff(bath.samples(t, 0.1, 0, 14000)) for t in (1500.0, ONSET + 0.1))

    assert before.max() > 0.0
    assert after.max() < 0.0


def test_drifts_grow_from_their_onset(make_plant):
    balance = make_plant(faults=(("balance-drift", 20.0, ONSET),)).signals["reference_load_mg"]
    sensor = make_plant(faults=(("sensor-drift", 2.0, ONSET),)).signals["flow_nl_per_min"]
    sound = make_plant()
    later = ONSET + 86400.0 / 4.0

    assert balance.at(later) - sound.signals["reference_load_mg"].at(later) == pytest.approx(120.0, abs=0.01)
    drifted, true = (s.samples(later, 0.1, 0, 6000).mean() for s in (sensor, sound.signals["flow_nl_per_min"]))
    gain = 1.0 + sound.draws["flow_sensor.gain_error"] - 0.0013
    zero = sound.draws["flow_sensor.zero_error_nl_per_min"]
    assert (drifted - zero) / (true - zero) == pytest.approx(1.0 + 0.5 / gain, rel=0.01)


def test_a_bubble_passes_the_sensor_and_then_the_tip(make_plant, ideal_pump):
    plant = make_plant(ideal_pump, faults=(("air-bubble", 50.0, ONSET),))
    t = ONSET + np.arange(0.0, 8000.0, 5.0)
    air = np.array([plant.signals["flow_air"].at(x) for x in t])
    flow = np.array([plant.signals["flow_nl_per_min"].at(x) for x in t])
    per_ul = 86.4  # s at 1 mL/day
    bubble_s = t[air == 1.0]

    assert bubble_s[0] - ONSET == pytest.approx(5.0 * per_ul, abs=60.0)
    assert bubble_s[-1] - bubble_s[0] == pytest.approx(50.0 * per_ul, rel=0.03)
    assert abs(flow[air == 1.0].mean()) < 50.0
    lag = delivered(plant, "line_volume_ul", ONSET, ONSET + 8000.0) - delivered(plant, t1=ONSET + 8000.0)
    assert lag == pytest.approx(50.0, abs=0.01)


def test_a_bubble_makes_the_line_softer_while_it_is_there(make_plant, ideal_pump):
    closed = (("occlusion", 1.0, ONSET),)
    stiff, soft = (make_plant(ideal_pump, faults=f) for f in (closed, (*closed, ("air-bubble", 50.0, 100.0))))
    both = [[p.truth["outlet_pressure_kpa"].at(t) for t in (3100.0, 4000.0)] for p in (stiff, soft)]
    kpa, slopes = both[1], [end - begin for begin, end in both]

    assert slopes[0] / slopes[1] == pytest.approx((0.49 + boyle(50.0, *kpa)) / 0.49, rel=2e-3)


def boyle(ul, from_kpa, to_kpa):
    """Volume over pressure that a bubble gives way by from one pressure to another."""
    return ul * 101.325 / ((101.325 + from_kpa) * (101.325 + to_kpa))


def test_a_stuck_valve_does_not_follow_its_command(make_plant, ideal_pump):
    open_, closed = (
        make_plant(ideal_pump, faults=((f"valve-stuck-{how}", None, ONSET),)) for how in ("open", "closed")
    )
    for plant in (open_, closed):
        for t, value in ((2000.0, 1.0), (2100.0, 0.0), (ONSET + 100.0, 1.0), (ONSET + 200.0, 0.0)):
            plant.actuators["outlet_valve"].write(value, t)
    pressures = [p.truth["outlet_pressure_kpa"] for p in (open_, closed)]

    assert [p.at(2100.0) for p in pressures] == pytest.approx([2.6, 2.6], abs=0.2)  # both move before the onset
    assert pressures[0].at(ONSET + 199.0) < 0.2
    assert pressures[1].at(ONSET + 600.0) - pressures[1].at(ONSET) == pytest.approx(600.0 / 86.4 / 0.49, rel=0.02)


def test_a_valve_that_sticks_pushes_its_swept_volume_when_it_goes_there(make_plant, ideal_pump):
    plant = make_plant(
        ideal_pump,
        {"valves": {"outlet_swept_volume_ul": 4.9}},
        rate=None,
        faults=(("valve-stuck-closed", None, ONSET),),
    )

    assert plant.truth["outlet_pressure_kpa"].at(ONSET + 10.0) == pytest.approx(10.1, abs=1e-6)


def test_the_emergency_stop_is_pressed_by_a_fault_or_by_hand(make_plant):
    by_fault = make_plant(faults=(("e-stop", None, ONSET),)).signals["e_stop"]
    plant = make_plant()
    for t, value in ((100.0, 1.0), (200.0, 0.0)):
        plant.actuators["e_stop"].write(value, t)

    assert [by_fault.at(t) for t in (ONSET, ONSET + 0.1)] == [0.0, 1.0]
    assert [plant.signals["e_stop"].at(t) for t in (100.0, 150.0, 250.0)] == [0.0, 1.0, 0.0]
    assert plant.signals["e_stop"].samples(99.0, 0.04, 0, 60).tolist() == [0.0] * 30 + [1.0] * 30


def test_zero_tracking_is_told_from_its_onset(make_plant):
    tracks = make_plant(faults=(("auto-zero", None, ONSET),)).signals["balance_auto_zero"]

    assert [tracks.at(t) for t in (0.0, ONSET, ONSET + 0.1, 9000.0)] == [0.0, 0.0, 1.0, 1.0]


def test_two_faults_at_once_both_act(make_plant):
    plant = make_plant(faults=(("over-delivery", 2.0, 0.0), ("leak", 1.0, 0.0)))

    assert delivered(plant) / delivered(plant, "programmed_volume_ul") == pytest.approx(1.0, abs=0.05)  # the head grows


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("over-delivry",), 'did you mean "over-delivery"'),
        (("LEAK",), 'there is no fault "LEAK"; did you mean "leak"?'),
        (("xyz",), "there are over-delivery"),
        (("leak", 150.0), "severity 150 is outside 0.001 to 100"),
        (("leak", float("nan")), "severity nan"),
        (("leak", 0.1, -5.0), "cannot begin at -5 s"),
    ],
)
def test_a_wrong_fault_is_told_in_one_sentence(arguments, says):
    with pytest.raises(FaultError) as error:
        fault(*arguments)

    assert says in str(error.value)


def test_the_plant_checks_its_faults_and_leaves_those_of_the_wire_alone(make_plant, healthy):
    with pytest.raises(FaultError):
        make_plant(faults=(("leak", 200.0, 0.0),))
    plant = make_plant(room={}, faults=(("unplug", 1.0, 0.0),))

    assert plant.faults == (FaultSpec("unplug", 1.0, 0.0),)
    assert np.array_equal(everything(plant)["flow_nl_per_min"], healthy["flow_nl_per_min"])


def test_the_documents_list_every_fault_as_it_is():
    table = tomllib.loads((DOCS / "faults.toml").read_text(encoding="utf-8"))
    told = {n: (e["owner"], e["severity"], e["from"], e["to"], e["unit"]) for n, e in table.items()}
    page = (DOCS / "reference" / "faults.md").read_text(encoding="utf-8")

    assert told == {n: (k.owner, k.severity, k.low, k.high, k.unit) for n, k in FAULTS.items()}
    assert all(f"| {name} | {kind.owner} |" in page for name, kind in FAULTS.items())
