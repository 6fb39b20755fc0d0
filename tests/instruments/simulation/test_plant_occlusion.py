"""A pump behind a closed line: when its alarm sounds, and where its rollers give in."""

import pytest

CLOSED = 600.0
FLOW = 1000.0 / 24.0 / 3600.0
COMPLIANCE = 0.49
ALARMING = {"pump": {"occlusion_alarm_kpa": 30.0}}


@pytest.fixture
def occluded(make_plant, ideal_pump):
    """A plant whose outlet valve closes after ten minutes."""

    def make(*tables, **more):
        plant = make_plant(ideal_pump, *tables, **more)
        plant.actuators["outlet_valve"].write(1.0, CLOSED)
        return plant

    return make


def pressure(plant, t):
    return plant.truth["outlet_pressure_kpa"].at(t)


def test_the_occlusion_alarm_sounds_at_its_pressure_and_falls_silent_on_release(occluded):
    plant = occluded(ALARMING)
    rise_s = (30.0 - pressure(plant, CLOSED)) * COMPLIANCE / FLOW
    assert "occlusion" not in plant.pump.state(CLOSED + 0.98 * rise_s).alarms
    assert "occlusion" in plant.pump.state(CLOSED + 1.03 * rise_s).alarms
    plant.actuators["outlet_valve"].write(0.0, 3000.0)
    assert "occlusion" not in plant.pump.state(3060.0).alarms
    ((sounded_s, text),) = plant._model.pump._noticed(3060.0)[-1:]
    assert text.startswith("alarm occlusion")
    assert sounded_s == pytest.approx(CLOSED + rise_s, rel=0.02)


def test_a_pump_without_the_alarm_or_with_a_broken_one_keeps_silent(occluded):
    for plant in (occluded(), occluded(ALARMING, faults=(("no-occlusion-alarm", None, 0.0),))):
        assert plant.pump.state(3500.0).alarms == ()
        assert pressure(plant, 3500.0) > 60.0


def test_a_pump_that_stands_hears_nothing(make_plant):
    plant = make_plant(ALARMING, rate=None)
    plant.actuators["outlet_valve"].write(1.0, CLOSED)
    plant.actuators["pusher_ul_per_h"].write(600.0, CLOSED)
    assert pressure(plant, 1200.0) > 60.0
    assert plant.pump.state(1200.0).alarms == ()


def test_weak_rollers_bend_the_rise_at_their_slip_pressure_and_end_at_the_closed_form(occluded):
    weak = occluded(faults=(("weak-rollers", 40.0, 0.0),))
    sound = occluded()
    reached_s = CLOSED + (39.0 - pressure(sound, CLOSED)) * COMPLIANCE / FLOW
    assert pressure(weak, reached_s) == pytest.approx(pressure(sound, reached_s), abs=1e-9)
    assert pressure(weak, 86_400.0) == pytest.approx(40.0 + FLOW / 2e-4, rel=0.01)
