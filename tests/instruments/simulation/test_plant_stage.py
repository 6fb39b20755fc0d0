"""A needle on a force stage and the septum under it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.clock import VirtualClock
from instruments.simulation.parameters import PlantParameters
from instruments.simulation.plant import Plant

TRUE_FORCE = {"stage": {"gain_error": 0.0, "zero_error_n": 0.0, "noise_n": 0.0}}
EVEN = {"septum": {"peak_spread": 0.0}}


def force(plant, from_s, to_s, step_s=1e-3):
    return plant.signals["stage_force_n"].samples(from_s, step_s, 0, round((to_s - from_s) / step_s) + 1)


def puncture(plant, t, per_s=1.0, depth=12.0):
    """Go in and come out again; when it is out."""
    back = t + 0.1 + math.ceil(depth / per_s * 10.0 - 1e-6) / 10.0
    plant.actuators["needle_mm"].ramp(depth, per_s, t)
    plant.actuators["needle_mm"].ramp(0.0, per_s, back - 0.1)
    return back + back - t


def test_the_force_rises_to_the_puncture_falls_to_the_friction_and_turns_its_sign(make_plant):
    plant = make_plant(TRUE_FORCE, EVEN, rate=None)
    end = puncture(plant, 9.9)  # 1 mm/s from 10 s on, and back from 22 s on
    at = plant.signals["stage_force_n"]

    assert force(plant, 10.0, 15.0).max() == 0.0
    assert force(plant, 15.75, 15.75)[0] == pytest.approx(1.0)  # half of the way that the septum gives
    assert force(plant, 10.0, 22.0).max() == pytest.approx(2.0, rel=1e-3)
    assert [at.at(t) for t in (16.6, 21.9, 22.1, 22.2, 23.0, 28.9, 29.1)] == pytest.approx(
        [0.45, 0.45, 0.225, 0.0, -0.45, -0.45, 0.0]
    )
    assert plant.truth["punctures"].at(end) == 1.0


def test_the_puncture_is_at_the_same_place_and_force_at_any_speed(make_plant):
    peaks = []
    for per_s in (0.5, 3.0, 7.0):
        plant = make_plant(TRUE_FORCE, rate=None)
        puncture(plant, 9.9, per_s)
        seen = force(plant, 10.0, 40.0, 1e-4)
        k = int(seen.argmax())
        peaks.append((seen[k], plant.signals["stage_position_mm"].samples(10.0, 1e-4, k, 1)[0]))

    assert [f for f, _ in peaks] == pytest.approx([peaks[0][0]] * 3, rel=1e-3)
    assert [x for _, x in peaks] == pytest.approx([5.0 + 1.5 * peaks[0][0] / 2.0] * 3, rel=1e-3)


def test_puncture_forces_scatter_and_fall_with_their_number(make_plant):
    plant = make_plant(TRUE_FORCE, {"septum": {"punctures_before": 99}}, rate=None)
    fresh = make_plant(TRUE_FORCE, rate=None)
    peaks = []
    for septum in (fresh, plant):
        t, found = 9.9, []
        for _ in range(40):
            begin, t = t, puncture(septum, t, per_s=5.0)
            found.append(force(septum, begin, t, 2e-3).max())
        peaks.append(np.array(found))

    assert peaks[1].mean() == pytest.approx(2.0 * (1.0 - 0.1 * math.log10(118.0)), abs=4 * 0.15 / 40**0.5)
    assert peaks[0].mean() == pytest.approx(2.0 * (1.0 - 0.1 * np.log10(np.arange(1, 41)).mean()), abs=0.1)
    assert peaks[1].std() == pytest.approx(0.08 * 1.6, rel=0.4)
    assert plant.truth["punctures"].at(t) == 139.0


def test_a_needle_that_only_presses_leaves_the_septum_whole(make_plant):
    plant = make_plant(TRUE_FORCE, EVEN, rate=None)
    puncture(plant, 9.9, depth=6.2)

    assert force(plant, 10.0, 30.0).max() == pytest.approx(2.0 * 1.2 / 1.5)
    assert force(plant, 10.0, 30.0).min() == 0.0
    assert plant.truth["punctures"].at(30.0) == 0.0


def test_at_the_needle_stop_the_force_rises_without_end(make_plant):
    plant = make_plant(TRUE_FORCE, EVEN, rate=None)
    plant.actuators["needle_mm"].ramp(20.5, 1.0, 9.9)
    seen = plant.signals["stage_force_n"]

    assert [seen.at(t) for t in (29.9, 30.2, 31.0)] == pytest.approx([0.45, 0.45 + 4.0, 0.45 + 10.0])


def test_going_to_and_fro_inside_is_one_puncture(make_plant):
    plant = make_plant(TRUE_FORCE, EVEN, rate=None)
    for i, depth in enumerate((12.0, 8.0, 15.0, 5.5, 9.0)):
        plant.actuators["needle_mm"].ramp(depth, 10.0, 10.0 + 5.0 * i)
    seen = force(plant, 10.0, 40.0)

    assert plant.truth["punctures"].at(40.0) == 1.0
    assert seen[4000:].min() == pytest.approx(-0.45)
    assert seen[4000:].max() == pytest.approx(0.45)


def test_a_needle_that_is_set_through_the_septum_has_pierced_it(make_plant):
    plant = make_plant(TRUE_FORCE, EVEN, rate=None)
    plant.actuators["needle_mm"].write(15.0, 10.0)
    plant.actuators["needle_mm"].write(0.0, 20.0)
    plant.actuators["needle_mm"].write(15.0, 30.0)
    at = plant.signals["stage_force_n"]

    assert [at.at(t) for t in (10.1, 10.2, 15.0, 25.0)] == [0.0, 0.45, 0.45, 0.0]
    assert [plant.truth["punctures"].at(t) for t in (5.0, 15.0, 25.0, 35.0)] == [0.0, 1.0, 1.0, 2.0]


def test_the_force_sensor_errs_by_what_was_drawn(make_plant):
    plant, d = make_plant(EVEN, rate=None), make_plant(rate=None).draws
    plant.actuators["needle_mm"].ramp(12.0, 10.0, 9.9)
    seen = plant.signals["stage_force_n"].samples(15.0, 1e-2, 0, 4000)

    assert seen.mean() == pytest.approx(0.45 * (1.0 + d["stage.gain_error"]) + d["stage.zero_error_n"], abs=3e-4)
    assert seen.std() == pytest.approx(0.003, rel=0.05)


moves = st.lists(st.tuples(st.floats(0.1, 60.0), st.floats(0.0, 22.0), st.none() | st.floats(0.5, 20.0)), max_size=8)


@given(moves=moves, asked=st.lists(st.floats(0.0, 70.0), max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_force_follows_from_the_motion_and_not_from_who_looked_when(moves, asked):
    curious, calm = (Plant(PlantParameters.load(), VirtualClock(), 4) for _ in range(2))
    for i, (t, depth, per_s) in enumerate(sorted(moves, key=lambda move: move[0])):
        for plant in (curious, calm):
            needle = plant.actuators["needle_mm"]
            needle.write(depth, t) if per_s is None else needle.ramp(depth, per_s, t)
        for later in asked[i % 2 :: 2]:
            curious.signals["stage_force_n"].at(later)
            force(curious, later, later + 1.0)

    assert np.array_equal(force(curious, 0.0, 70.0, 0.013), force(calm, 0.0, 70.0, 0.013))
    assert [curious.signals["stage_force_n"].at(t) for t in range(70)] == [
        calm.signals["stage_force_n"].at(t) for t in range(70)
    ]


def test_the_force_asked_sample_by_sample_is_that_of_one_long_read(make_plant):
    one, other = make_plant(rate=None), make_plant(rate=None)
    for plant in (one, other):
        puncture(plant, 9.9, 2.0)
        plant.actuators["needle_mm"].write(15.0, 30.0)
    whole = force(one, 9.0, 40.0, 0.05)
    asked = [other.signals["stage_force_n"].samples(9.0, 0.05, k, 1).item() for k in range(len(whole))]

    assert asked == whole.tolist()
