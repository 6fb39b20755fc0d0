"""A syringe in the refill port: what goes in, what comes back, and what the pressure in the syringe says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.clock import VirtualClock
from instruments.simulation.faults import fault
from instruments.simulation.operator import SimulatedOperator
from instruments.simulation.parameters import ParameterError, PlantParameters
from instruments.simulation.plant import Plant
from instruments.simulation.properties import water_density
from instruments.simulation.signal import DeliveryProgram

AT_PORT = {"pusher": {"at": "reservoir", "gain_error": 0.0}, "septum": {"leak_ul_per_s_kpa": 0.0}}
SWELLING = float(water_density(np.array([22.0]))[0] / water_density(np.array([37.0]))[0])


def inject(plant, ul, from_s, to_s):
    """Inject a volume of the pump's temperature at an even rate, negative to aspirate."""
    plant.actuators["pusher_ul_per_h"].write(ul / SWELLING / (to_s - from_s) * 3600.0, from_s - 0.1)
    plant.actuators["pusher_ul_per_h"].write(0.0, to_s - 0.1)


def half_full(make_plant, *tables, ul=10_000.0, **others):
    return make_plant(AT_PORT, {"reservoir": {"fill_ul": ul}}, *tables, rate=None, **others)


def test_a_refill_fills_the_reservoir_and_raises_its_pressure_by_the_bellows(make_plant):
    plant = half_full(make_plant)
    inject(plant, 8000.0, 100.0, 160.0)
    kpa = plant.truth["reservoir_pressure_kpa"]

    assert plant.truth["reservoir_volume_ul"].at(200.0) == pytest.approx(18_000.0, abs=1e-6)
    assert kpa.at(200.0) - kpa.at(50.0) == pytest.approx(8.0 * 0.3, abs=1e-6)
    assert plant.truth["line_volume_ul"].at(200.0) == pytest.approx(0.0, abs=1e-3)


def test_the_syringe_feels_reservoir_and_needle(make_plant):
    plant = half_full(make_plant)
    inject(plant, 6000.0, 100.0, 160.0)
    inject(plant, -6000.0, 200.0, 260.0)
    over = [plant.signals["pusher_pressure_kpa"].at(t) - plant.truth["reservoir_pressure_kpa"].at(t)
            for t in (100.0, 130.0, 180.0, 230.0)]  # fmt: skip

    assert over == pytest.approx([0.0, 100.0 * 0.052, 0.0, -100.0 * 0.052], rel=1e-4, abs=1e-9)


def test_an_overfilled_reservoir_shuts_and_the_pressure_rises(make_plant):
    plant = half_full(make_plant)
    inject(plant, 10_200.0, 100.0, 202.0)  # 0.1 mL a second: full after 100 s
    kpa, full_kpa = plant.signals["pusher_pressure_kpa"], plant.truth["reservoir_pressure_kpa"].at(210.0)

    assert plant.truth["reservoir_volume_ul"].at(210.0) == pytest.approx(20_000.0, abs=1e-6)
    assert kpa.at(210.0) - full_kpa == pytest.approx(200.0, rel=1e-3)  # 200 uL at 1 uL/kPa
    assert kpa.at(201.0) - kpa.at(200.5) == pytest.approx(50.0, rel=1e-3)


def test_a_syringe_that_holds_pressure_goes_on_filling_as_the_pump_makes_room(make_plant):
    plant = half_full(make_plant, {"pump": {"mean_error": 0.0}}, ul=19_990.0)
    inject(plant, 30.0, 100.0, 130.0)
    plant.pump.load(DeliveryProgram("continuous", 360.0), 300.0)
    plant.pump.start(300.0)
    volume, kpa = plant.truth["reservoir_volume_ul"], plant.signals["pusher_pressure_kpa"]

    assert kpa.at(300.0) - kpa.at(400.0) == pytest.approx(10.0, abs=0.6)  # 10 uL of room in 100 s
    assert volume.at(400.0) == pytest.approx(20_000.0, abs=0.05)
    assert volume.at(700.0) == pytest.approx(20_000.0 - 20.0, abs=0.6)


def test_the_last_volume_cannot_be_drawn_and_the_vacuum_fills_first(make_plant):
    plant = half_full(make_plant, ul=1000.0)
    inject(plant, -1500.0, 100.0, 250.0)
    inject(plant, 1500.0, 300.0, 450.0)
    volume = plant.truth["reservoir_volume_ul"]

    assert volume.at(260.0) == pytest.approx(200.0, abs=1e-9)
    assert plant.truth["pushed_volume_ul"].at(260.0) * SWELLING == pytest.approx(-800.0, rel=1e-9)
    assert plant.signals["pusher_pressure_kpa"].at(260.0) == pytest.approx(-101.325)
    assert volume.at(369.0) == pytest.approx(200.0, abs=1e-9)
    assert volume.at(500.0) == pytest.approx(1000.0, abs=1e-6)


@pytest.mark.parametrize("overdrawn_ul", [10.0, 46.0, 233.0])
def test_a_syringe_that_was_measured_begins_without_the_vacuum_of_the_one_before(make_plant, overdrawn_ul):
    """How late the drawing was halted, so how often the pressure was sampled, says nothing of the next filling."""
    plant = half_full(make_plant, ul=1000.0)
    inject(plant, -800.0 - overdrawn_ul, 100.0, 250.0)
    before = plant.truth["pushed_volume_ul"].at(260.0)
    SimulatedOperator(plant, VirtualClock(), 3).respond("weigh-syringe", "number", "mg", {}, 260.0)
    inject(plant, 900.0, 400.0, 490.0)

    assert plant.truth["reservoir_volume_ul"].at(260.0) == pytest.approx(200.0, abs=1e-9)
    assert plant.signals["pusher_pressure_kpa"].at(390.0) >= 0.0
    assert (plant.truth["pushed_volume_ul"].at(500.0) - before) * SWELLING == pytest.approx(900.0, rel=1e-9)


def test_a_pressure_stays_in_the_line_while_its_syringe_is_measured(make_plant):
    plant = half_full(make_plant, ul=19_990.0)
    inject(plant, 30.0, 100.0, 130.0)
    SimulatedOperator(plant, VirtualClock(), 3).respond("read-syringe", "number", "uL", {}, 140.0)
    kpa = plant.signals["pusher_pressure_kpa"]
    assert kpa.at(300.0) == pytest.approx(kpa.at(135.0), rel=1e-6)


def test_a_pocket_takes_its_share_of_what_is_injected_and_gives_nothing_back(make_plant):
    plant = half_full(make_plant, faults=(("pocket-fill", 0.25, 0.0),))
    inject(plant, 4000.0, 100.0, 140.0)
    inject(plant, -2000.0, 200.0, 220.0)
    truth = plant.truth

    assert truth["pocket_volume_ul"].at(300.0) == pytest.approx(1000.0, abs=1e-6)
    assert truth["reservoir_volume_ul"].at(300.0) == pytest.approx(10_000.0 + 3000.0 - 2000.0, abs=1e-6)
    lost_mg = plant.draws["pusher.syringe_mass_mg"] - truth["syringe_mass_mg"].at(300.0)
    assert lost_mg == pytest.approx(2000.0 * plant.density_kg_per_m3(37.0) * 1e-3, rel=1e-9)


@given(
    share=st.sampled_from([0.0, 0.3]),
    fill=st.floats(250.0, 19_900.0),
    moves=st.lists(st.tuples(st.floats(1.0, 1100.0), st.floats(-1.0, 1.0)), max_size=6),
)
@settings(max_examples=20, deadline=None)
def test_the_ledger_of_the_reservoir_closes_whatever_the_syringe_does(share, fill, moves):
    tables = {**AT_PORT, "reservoir": {"fill_ul": fill}}
    plant = Plant(PlantParameters.load(tables), VirtualClock(), 1, [fault("pocket-fill", share, 0.0)])
    plant.pump.load(DeliveryProgram("continuous", 300.0), 0.0)
    plant.pump.start(0.0)
    for t, size in moves:
        plant.actuators["pusher_ul_per_h"].write(2e5 * size, t)
    end = {name: signal.at(1300.0) for name, signal in plant.truth.items()}

    injected = end["inflow_volume_ul"] - end["pocket_volume_ul"]
    assert end["refilled_volume_ul"] == pytest.approx(injected, abs=1e-9)
    assert end["reservoir_volume_ul"] == pytest.approx(fill - end["pump_volume_ul"] + injected, abs=1e-9)
    assert 200.0 - 150.0 < end["reservoir_volume_ul"] <= 20_000.0 + 1e-9


def test_how_a_refill_is_read_changes_nothing(make_plant):
    ahead, step_by_step = (half_full(make_plant) for _ in range(2))
    ahead.truth["reservoir_volume_ul"].samples(0.0, 0.1, 0, 30_000)
    for plant in (ahead, step_by_step):
        inject(plant, 10_100.0, 550.0, 650.0)
    parts = [step_by_step.signals["pusher_pressure_kpa"].samples(0.0, 0.1, k, 777) for k in range(0, 15_540, 777)]

    assert np.array_equal(np.concatenate(parts), ahead.signals["pusher_pressure_kpa"].samples(0.0, 0.1, 0, 15_540))


def test_a_syringe_pump_stands_at_one_of_two_places():
    with pytest.raises(ParameterError, match="choose one of access-port, reservoir"):
        PlantParameters.load({"pusher": {"at": "pocket"}})
