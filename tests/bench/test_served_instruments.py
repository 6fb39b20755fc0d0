"""Single instruments of ``pumpbench sim serve``, read by their drivers through pyvisa-py on every kind of port."""

import sys
from contextlib import suppress

import pytest

from bench import served_rig
from bench.station import serve_rig
from instruments.clock import WallClock
from instruments.instrument import Connection, InstrumentError, load_driver

DRIVERS = {
    "harvard-phd": {"diameter": "4.61 mm", "volume": "1 mL", "max_rate": "40 mL/h"},
    "mensor-cpc": {"max_pressure": "60 kPa"},
    "omega-px409": {"reference": "gauge", "high": "15 psi"},
    "sartorius-sbi": {"parity": "none"},
}
PACE = 4.0  # of the rig; its drivers are in real time
WIRES = ["tcp"] if sys.platform == "win32" else ["tcp", "pty"]


@pytest.fixture(scope="module")
def rig():
    described = served_rig.of_instruments({driver: driver for driver in DRIVERS}, daq=False)
    with serve_rig(described.simulation, described.where, WallClock(PACE), described.resources) as served:
        yield served


@pytest.fixture
def opened(rig):
    """Function that opens a driver at one of the rig's ports."""
    clock, connection, instruments = WallClock(), Connection.through("@py"), []

    def opened(driver, wire, **settings):
        kind = load_driver(driver)
        resource = served_rig.visa_resource(rig.ports[driver], wire)
        table = {"resource": resource, "timeout": "60 s", **DRIVERS[driver], **settings}
        instruments.append(kind("it", kind.settings_type.model_validate(table), clock, connection))
        instruments[-1].open()
        return instruments[-1]

    yield opened
    for instrument in instruments:
        instrument.close()
    connection.close()


def until(holds):
    """Wait for the plant, which follows within a tenth of a second where the computer is not busy."""
    clock = WallClock()
    while not holds():
        assert clock.now() < 60.0, "it did not happen"
        clock.sleep(0.02)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_reads_its_instrument_on_a_real_port(opened, driver, wire):
    instrument = opened(driver, wire)
    assert instrument.identify().serial in ("D103792", "610189", "487740", "0021305679")
    for _ in range(3):
        reading = instrument.sample()
    assert reading.quality[0] in (0, 1)
    assert instrument.make_safe()


@pytest.mark.parametrize("wire", WIRES)
def test_what_is_ordered_on_a_real_port_moves_the_plant(opened, rig, wire):
    controller, pump = opened("mensor-cpc", wire), opened("harvard-phd", wire)
    controller.set_pressure(12.0, 20.0)
    pump.infuse(7200.0, 500.0)
    regulated = {"regulates": True, "setpoint_kpa": 12.0, "vents": False}
    moved = pytest.approx(7200.0)
    until(
        lambda: (truth := rig.truth())["controllers"]["mensor-cpc"] == regulated and truth["pusher_ul_per_h"] == moved
    )
    pump.make_safe()
    controller.make_safe()
    until(lambda: (truth := rig.truth())["controllers"]["mensor-cpc"]["vents"] and truth["pusher_ul_per_h"] == 0.0)


@pytest.mark.parametrize("wire", WIRES)
def test_an_instrument_whose_plug_was_pulled_is_found_again(opened, rig, wire):
    instrument = opened("mensor-cpc", wire, timeout="1 s")
    rig.unplug("mensor-cpc", 60.0)
    with pytest.raises(InstrumentError):
        instrument.sample()
    rig.plug()
    reading = None
    while reading is None:
        instrument.clock.sleep(0.05)
        with suppress(InstrumentError):
            reading = instrument.sample()
    assert reading.quality[0] in (0, 1)
