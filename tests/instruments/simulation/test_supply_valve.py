"""The valve between a pressure controller and the line: what reaches the line, whatever the controller does."""

import pytest

from instruments.clock import VirtualClock
from instruments.simulation.parameters import PlantParameters
from instruments.simulation.plant import Plant
from instruments.simulation.supply_valve import SupplyValve


@pytest.fixture
def plant():
    return Plant(PlantParameters.load({}), VirtualClock())


@pytest.fixture
def valve(plant):
    return SupplyValve(plant.actuators["back_pressure_kpa"])


def on_the_line(plant, t):
    return plant.standing(t)["back_pressure_kpa"]


def test_without_current_nothing_of_the_controller_reaches_the_line(plant, valve):
    valve.controller.ramp(40.0, 10.0, 1.0)
    assert on_the_line(plant, 20.0) == 0.0


def test_with_current_the_line_follows_the_controller_from_where_it_is(plant, valve):
    valve.controller.ramp(40.0, 10.0, 1.0)
    valve.write(1.0, 3.0)
    assert on_the_line(plant, 3.1) == pytest.approx(20.0, abs=2.0)
    assert on_the_line(plant, 6.0) == 40.0


def test_a_controller_that_goes_on_regulating_is_off_the_line_when_the_current_ends(plant, valve):
    valve.write(1.0, 0.0)
    valve.controller.write(40.0, 1.0)
    valve.write(0.0, 5.0)
    valve.controller.ramp(60.0, 1.0, 6.0)
    assert (on_the_line(plant, 4.9), on_the_line(plant, 7.0), on_the_line(plant, 100.0)) == (40.0, 0.0, 0.0)


def test_what_the_controller_does_meanwhile_is_there_when_the_current_is_back(plant, valve):
    valve.controller.write(40.0, 1.0)
    valve.write(1.0, 2.0)
    valve.write(0.0, 3.0)
    valve.controller.ramp(0.0, 10.0, 4.0)
    valve.write(1.0, 6.0)
    assert on_the_line(plant, 6.1) == pytest.approx(20.0, abs=2.0)
    assert on_the_line(plant, 9.0) == 0.0
