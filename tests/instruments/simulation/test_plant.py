"""The plant runs ahead and is cut back, and nobody can tell from its numbers."""

import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.clock import VirtualClock, WallClock
from instruments.simulation.parameters import ParameterError, PlantParameters
from instruments.simulation.plant import Plant
from instruments.simulation.signal import DeliveryProgram, PatientRule, PeriodicBolus

NAMES = (
    "reference_load_mg",
    "twin_load_mg",
    "flow_nl_per_min",
    "outlet_pressure_v_per_v",
    "reservoir_pressure_v",
    "bath_thermocouple_v",
    "barometer_v",
    "truth_tip_mass_mg",
    "truth_programmed_volume_ul",
    "keller_pressure_kpa",
    "pusher_pressure_kpa",
    "stage_force_n",
    "stage_position_mm",
    "door_open",
    "e_stop",
    "leak_tray",
)
PARAMETERS = PlantParameters.load(
    {"balance": {"drafts_per_day": 100.0}, "catheter": {"creep_share": 0.1}, "relief": {"opening_kpa": 20.0}}
)


def busy_plant(seed: int = 3) -> Plant:
    """A plant whose program, valves and set points change several times within an hour."""
    plant = Plant(PARAMETERS, VirtualClock(), seed)
    program = DeliveryProgram("continuous", 300.0, periodic=PeriodicBolus(10.0, 60.0, 400.0, 100.0))
    plant.pump.load(program, 0.0)
    plant.pump.start(20.0)
    plant.actuators["outlet_valve"].write(1.0, 1234.56)
    plant.actuators["outlet_valve"].write(0.0, 1400.0)
    plant.actuators["diverter_valve"].write(1.0, 2000.0)
    plant.actuators["bath_setpoint_degc"].write(35.0, 900.0)
    plant.actuators["pusher_ul_per_h"].write(5000.0, 1300.0)
    plant.actuators["pusher_ul_per_h"].write(-2000.0, 1350.0)
    plant.actuators["pusher_ul_per_h"].write(0.0, 1360.0)
    plant.actuators["back_pressure_kpa"].ramp(12.0, 0.03, 1500.0)
    plant.actuators["needle_mm"].ramp(15.0, 0.07, 800.0)
    return plant


@cache
def reference() -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    """An hour of the busy plant, read in order: samples of a device's clock, and single values."""
    plant = busy_plant()
    samples = {name: plant.signals[name].samples(0.0123, 0.0999, 0, 36000) for name in NAMES}
    return samples, {name: [plant.signals[name].at(t) for t in range(0, 3600, 37)] for name in NAMES[:3]}


queries = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 35000), st.integers(1, 7000)), min_size=1, max_size=12
)


@given(asked=queries)
@settings(max_examples=15, deadline=None)
def test_the_order_and_size_of_questions_change_no_bit(asked):
    plant = busy_plant()
    for name, first, n in asked:
        n = min(n, 36000 - first)
        answer = plant.signals[name].samples(0.0123, 0.0999, first, n)
        assert np.array_equal(answer, reference()[0][name][first : first + n])


@given(order=st.permutations(range(0, 3600, 37)), name=st.sampled_from(NAMES[:3]))
@settings(max_examples=10, deadline=None)
def test_single_values_do_not_depend_on_the_order_in_which_they_are_read(order, name):
    signal = busy_plant().signals[name]
    values = {t: signal.at(t) for t in order}

    assert [values[t] for t in sorted(order)] == reference()[1][name]


def command(plant: Plant, what: str, t: float) -> None:
    if what == "stop":
        plant.pump.stop(t)
    elif what == "bolus":
        assert plant.pump.bolus(5.0, 30.0, "single", t) == "ok"
    elif what == "load":
        plant.pump.load(DeliveryProgram("flex", steps=((0.0, 30.0), (1800.0, 90.0))), t)
    else:
        plant.actuators[what].write(1.0, t)


COMMANDS = (
    "stop", "bolus", "load", "outlet_valve", "vent_valve", "diverter_valve", "pan_mg", "weight_mg", "door_open",
    "back_pressure_kpa", "pusher_ul_per_h", "needle_mm", "e_stop",
)  # fmt: skip


@cache
def untouched() -> dict[str, np.ndarray]:
    """The first 1200 s of the busy plant, as it is without a further command."""
    plant = busy_plant()
    return {name: plant.signals[name].samples(0.0, 0.1, 0, 12000) for name in NAMES}


@given(what=st.sampled_from(COMMANDS), t=st.floats(100.0, 1190.0), ahead=st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_command_changes_nothing_at_or_before_its_moment(what, t, ahead):
    plant = busy_plant()
    if ahead:  # the plant has computed on, and is cut back
        for name in NAMES:
            plant.signals[name].samples(0.0, 0.1, 0, 18000)
    command(plant, what, t)
    until = int(t * 10 + 1e-6) + 1
    for name in NAMES:
        assert np.array_equal(plant.signals[name].samples(0.0, 0.1, 0, until), untouched()[name][:until])


@given(what=st.sampled_from(COMMANDS), t=st.floats(100.0, 1190.0))
@settings(max_examples=15, deadline=None)
def test_a_command_acts_the_same_whether_or_not_the_plant_had_run_ahead(what, t):
    eager, lazy = busy_plant(), busy_plant()
    for name in NAMES:
        eager.signals[name].samples(0.0, 0.1, 0, 18000)
        eager.signals[name].at(1700.0)
    for plant in (eager, lazy):
        command(plant, what, t)
    for name in NAMES:
        assert eager.signals[name].at(1700.0) == lazy.signals[name].at(1700.0)  # a later chunk first
        seen = eager.signals[name].samples(0.0, 0.1, 0, 18000)
        assert np.array_equal(seen, lazy.signals[name].samples(0.0, 0.1, 0, 18000))


def test_every_command_changes_something():
    for what in COMMANDS:
        plant, other = busy_plant(), busy_plant()
        command(plant, what, 700.0)
        assert any(
            not np.array_equal(
                plant.signals[n].samples(0.0, 0.1, 7000, 3000), other.signals[n].samples(0.0, 0.1, 7000, 3000)
            )
            for n in NAMES
        ), what


def test_a_value_is_that_of_the_last_conversion(make_plant):
    signal = make_plant().truth["tip_volume_ul"]

    assert signal.at(12.39) == signal.at(12.3) == signal.samples(12.3, 1.0, 0, 1)[0]
    assert signal.at(12.3) != signal.at(12.4)
    assert [signal.at(k / 10) for k in range(6005)] == [signal.at(k * 0.1) for k in range(6005)]


def test_a_device_clock_sees_the_straight_line_between_grid_points(make_plant):
    signal = make_plant().truth["tip_volume_ul"]
    grid = signal.samples(0.0, 0.1, 0, 20001)
    fine = signal.samples(0.0, 0.025, 0, 80001)

    assert np.array_equal(fine[::4], grid)
    assert np.allclose(fine[2::4], 0.5 * (grid[1:] + grid[:-1]), atol=1e-12)


def test_equal_seeds_give_equal_numbers_and_others_do_not():
    one, same, other = busy_plant(3), busy_plant(3), busy_plant(4)

    assert one.signals["flow_nl_per_min"].at(77.0) == same.signals["flow_nl_per_min"].at(77.0)
    assert one.signals["flow_nl_per_min"].at(77.0) != other.signals["flow_nl_per_min"].at(77.0)
    assert dict(one.draws) == dict(same.draws)
    assert all(one.draws[name] != other.draws[name] for name in one.draws.uncertain)


def test_the_noise_of_two_signals_and_of_two_sampling_tasks_is_not_the_same(make_plant):
    plant = make_plant()
    still = {"outlet_pressure_v_per_v": 2e-7, "bath_thermocouple_v": 2e-7}
    one, two = (plant.signals[n].samples(0.0, 0.1, 0, 4000) / sd for n, sd in still.items())
    later = plant.signals["bath_thermocouple_v"].samples(100.0, 0.1, 0, 4000) / 2e-7

    assert abs(np.corrcoef(np.diff(one), np.diff(two))[0, 1]) < 0.06
    assert abs(np.corrcoef(np.diff(two), np.diff(later))[0, 1]) < 0.06


def test_a_long_run_keeps_no_more_than_a_few_chunks_and_states(make_plant):
    plant = make_plant(rate=2.0)
    signal = plant.signals["reference_load_mg"]
    sizes = []
    for hour in range(0, 48, 3):
        signal.at(hour * 3600.0)
        sizes.append((len(plant._chunks), len(plant._states), len(plant._smooth)))

    assert max(chunks for chunks, _, _ in sizes) == 6
    assert max(states for _, states, _ in sizes[8:]) <= 76
    assert max(smooth for _, _, smooth in sizes) <= 6


def test_the_far_past_is_what_it_was(make_plant):
    plant = make_plant()
    signal = plant.signals["reference_load_mg"]
    before = signal.samples(0.0, 1.0, 600, 1000)
    signal.at(86400.0)

    assert np.array_equal(signal.samples(0.0, 1.0, 600, 1000), before)


def test_the_clock_foresees_faults_commands_and_changes_of_rate(make_plant):
    clock = VirtualClock()
    plant = make_plant(rate=None, clock=clock, faults=(("occlusion", 1.0, 7201.3), ("bath-off", 1.0, 100.0)))
    assert clock.horizon() == 100.0
    clock.sleep_until(100.0)
    assert clock.horizon() == 7201.3
    program = DeliveryProgram("continuous", 40.0, periodic=PeriodicBolus(1.0, 60.0, 3600.0, 1800.0))
    plant.pump.load(program, 100.0)
    plant.pump.start(100.0)
    assert clock.horizon() == pytest.approx(100.1)
    clock.sleep_until(200.0)
    assert clock.horizon() == pytest.approx(1900.1, abs=0.5)
    clock.sleep_until(8000.0)
    plant.pump.stop(8000.0)
    clock.sleep_until(8001.0)
    assert clock.horizon() == float("inf")


def test_the_draws_tell_what_the_signals_hide(make_plant):
    plant = make_plant(rate=None)
    shown = plant.signals["barometer_v"].samples(0.0, 0.1, 0, 20000).mean() / 5.0 * 300.0 + 800.0

    assert shown - 1013.25 == pytest.approx(plant.draws["barometer.error_hpa"], abs=1e-3)
    assert "barometer.error_hpa" in plant.draws.uncertain
    assert "bath.setpoint_degc" not in plant.draws.uncertain


def test_draws_follow_their_laws():
    drawn = [PARAMETERS.draw(Plant(PARAMETERS, VirtualClock(), seed)._noise) for seed in range(300)]
    evaporation = np.array([d["evaporation.rate_mg_per_h"] for d in drawn])
    density = np.array([d["fluid.density_deviation_kg_per_m3"] for d in drawn])

    assert evaporation.mean() == pytest.approx(0.02, abs=4 * 0.004 / 300**0.5)
    assert evaporation.std() == pytest.approx(0.004, rel=0.15)
    assert np.abs(density).max() <= 0.3
    assert density.std() == pytest.approx(0.3 / 3**0.5, rel=0.15)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"pump": {"mean_eror": 1.0}}, 'did you mean "pump.mean_error"'),
        ({"pmup": {"mean_error": 1.0}}, "known sections are"),
        ({"pump": {"kind": "syringe"}}, "choose one of peristaltic, valve-gated, gas-driven"),
        ({"pump": {"rollers": "2"}}, "write a finite number"),
        ({"pump": {"rollers": float("nan")}}, "write a finite number"),
        ({"bath.setpoint_degc": 99.0}, "it may be 5 to 60"),
        ({"balance": {"noise_mg": {"law": "gauss"}}}, 'write "normal", "uniform" or "fixed"'),
        ({"balance": {"noise_mg": {"law": "uniform", "sd": 1.0}}}, '"sd" does not belong to a uniform law'),
        ({"balance": {"noise_mg": {"law": "uniform", "low": 1.0}}}, "needs low and high"),
        ({"flow_sensor": {"gain_error": {"law": "normal", "sd": -1.0}}}, "sd that is not negative"),
    ],
)
def test_a_wrong_override_is_told_by_its_key(overrides, says):
    with pytest.raises(ParameterError, match=r"\[simulation.plant\]") as error:
        PlantParameters.load(overrides)
    assert says in str(error.value)


def test_every_parameter_has_a_unit_and_a_source():
    assert all(parameter.unit and parameter.source for parameter in PARAMETERS)


def test_a_station_may_override_a_law_by_a_value_or_another_law():
    fixed = PlantParameters.load({"evaporation": {"rate_mg_per_h": 0.2}})
    law = PlantParameters.load({"evaporation.rate_mg_per_h": {"law": "uniform", "low": 0.1, "high": 0.2}})
    noise = Plant(PARAMETERS, VirtualClock(), 1)._noise

    assert fixed.draw(noise)["evaporation.rate_mg_per_h"] == 0.2
    assert 0.1 <= law.draw(noise)["evaporation.rate_mg_per_h"] <= 0.2


def test_a_patient_rule_survives_in_the_stored_program(make_plant):
    plant = make_plant(rate=None)
    program = DeliveryProgram("continuous", 40.0, patient=PatientRule(2.0, 60.0, 600.0, 3))
    plant.pump.load(program, 5.0)

    assert plant.pump.program(4.0) is None
    assert plant.pump.program(5.0) == program


def test_the_page_lists_every_signal_and_actuator(make_plant):
    plant = make_plant()
    page = (Path(__file__).parents[3] / "docs" / "reference" / "plant.md").read_text(encoding="utf-8")
    seen = [signal.output for name, signal in plant.signals.items() if not name.startswith("truth_")]

    assert all(f"| `{o.name}` | {o.unit} | {o.description} |" in page for o in seen)
    assert all(f"`{name}`" in page for name in plant.actuators)


def test_threads_that_read_while_commands_come_see_one_plant():
    plant, alone = (Plant(PARAMETERS, WallClock(), 5) for _ in range(2))
    seen: list[list[float]] = [[], []]

    def read(into: list[float]) -> None:
        signal = plant.signals["truth_distal_pressure_kpa"]
        into.extend(signal.at(k / 10) for k in range(0, 12000, 3))

    readers = [threading.Thread(target=read, args=(into,)) for into in seen]
    for reader in readers:
        reader.start()
    for k in range(20):
        for one in (plant, alone):
            one.actuators["back_pressure_kpa"].write(float(k), 1200.0 + k)
    for reader in readers:
        reader.join()
    expected = alone.signals["truth_distal_pressure_kpa"]

    assert seen[0] == seen[1] == [expected.at(k / 10) for k in range(0, 12000, 3)]
    assert plant.signals["reference_load_mg"].at(1230.0) == alone.signals["reference_load_mg"].at(1230.0)
