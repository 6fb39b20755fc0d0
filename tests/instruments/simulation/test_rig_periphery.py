"""Bath, hygrometer, contacts and heartbeat relay in front of one simulated plant, through the real drivers."""

import pytest

from instruments.clock import VirtualClock
from instruments.instrument import Connection, load_driver
from instruments.simulation.rig import Rig

DESCRIPTION = {
    "visa": {
        "ASRL5::INSTR": {
            "device": "julabo",
            "signal": "bath_sensor_degc",
            "setpoint": "bath_setpoint_degc",
            "power": "bath_is_on",
        },
        "ASRL6::INSTR": {"device": "vaisala-hmt", "humidity": "hygrometer_percent", "temperature": "hygrometer_degc"},
    },
    "daq": {
        "devices": {"cDAQ1Mod6": "NI 9472", "cDAQ1Mod7": "NI 9421"},
        "signals": {"cDAQ1Mod7/port0/line0": "leak_tray", "cDAQ1Mod7/port0/line1": "e_stop"},
        "actuators": {"cDAQ1Mod6/port0/line2": "diverter_valve"},
        "wiring": {
            "cDAQ1Mod7/port0/line1": {"normally_closed": True},
            "cDAQ1Mod6/port0/line2": {"relay": "cDAQ1Mod6/port0/line7", "hold_s": 1.0},
        },
    },
}


@pytest.fixture
def rig():
    made = Rig(DESCRIPTION, VirtualClock(), seed=3)
    yield made
    made.close()


@pytest.fixture
def opened(rig):
    """Function that makes and opens an instrument in front of the rig."""
    connection = Connection.through(rig.visa, rig.daq_target)

    def open_one(driver, **settings):
        kind = load_driver(driver)
        instrument = kind("it", kind.settings_type.model_validate(settings), rig.visa.clock, connection)
        instrument.open()
        return instrument

    return open_one


def test_a_bath_that_is_told_another_set_point_warms_up_to_it(rig, opened):
    bath = opened("julabo", resource="ASRL5::INSTR")
    cold = bath.sample().values[0]
    bath.set_temperature(39.0)
    bath.clock.sleep(4 * 3600.0)
    assert cold == pytest.approx(37.0, abs=0.5)
    assert bath.sample().values[0] == pytest.approx(39.0, abs=0.5)
    assert rig.plant.truth["bath_temperature_degc"].at(bath.clock.now()) == pytest.approx(39.0, abs=0.5)


def test_a_bath_that_is_switched_off_cools_down(opened):
    bath = opened("julabo", resource="ASRL5::INSTR", safe="off")
    assert bath.make_safe() == "the bath is off, read back"
    bath.clock.sleep(12 * 3600.0)
    assert bath.sample().values[0] < 36.0


def test_the_hygrometer_shows_the_room(rig, opened):
    hygrometer = opened("vaisala-hmt", resource="ASRL6::INSTR")
    reading = hygrometer.sample()
    assert reading.values[0] == pytest.approx(rig.plant.truth["humidity_percent"].at(reading.t), abs=5.0)
    assert reading.values[1] == pytest.approx(rig.plant.truth["lab_temperature_degc"].at(reading.t), abs=1.0)


def test_the_emergency_stop_is_seen_and_the_leak_tray_is_dry(rig, opened):
    inputs = {
        "leak_tray": {"line": "cDAQ1Mod7/port0/line0", "active": "high"},
        "e_stop": {"line": "cDAQ1Mod7/port0/line1", "active": "low"},
    }
    contacts = opened("ni-digital", inputs=inputs)
    contacts.clock.sleep(1.0)
    assert contacts.sample().values == (0.0, 0.0)
    rig.plant.actuators["e_stop"].write(1.0, contacts.clock.now())
    contacts.clock.sleep(1.0)
    assert contacts.sample().values == (0.0, 1.0)


def test_a_heartbeat_feeds_the_valves_of_the_station(rig, opened):
    daq = opened(
        "ni-daqmx",
        valves={"diverter": "cDAQ1Mod6/port0/line2"},
        watchdog={"timeout": "1 s", "heartbeat": "cDAQ1Mod6/port0/line7"},
    )
    written = []
    rig.daq.system.hardware.actuators["cdaq1mod6/port0/line2"].write = lambda value, t: written.append((value, t))

    def main():
        daq.arm_watchdog()
        daq.set_valve("diverter", True)
        for _ in range(4):
            daq.clock.sleep(0.5)
            daq.feed_watchdog()
        daq.clock.sleep(10.0)

    daq.clock.run(main)
    daq.close()
    assert written == [(0.0, 0.0), (1.0, 0.0), (0.0, 3.0)]
