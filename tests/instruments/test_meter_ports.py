"""Flow meters and voltmeters on real ports: pyvisa-py in front of devices on TCP and on a pseudo terminal."""

import sys
from contextlib import suppress

import pytest

from instruments.clock import WallClock
from instruments.instrument import Connection, InstrumentError, load_driver
from instruments.simulation.devices.bronkhorst_propar import CoriFlowMeter
from instruments.simulation.devices.keysight_34461a import Keysight34461A
from instruments.simulation.devices.keysight_daq970a import KeysightDaq970A
from instruments.simulation.wire_server import WireServer

KINDS = ["tcp", pytest.param("pty", marks=pytest.mark.skipif(sys.platform == "win32", reason="no pseudo terminals"))]


class Flowing:
    """A volume in uL to which 1 mL/h is added."""

    def at(self, t):
        return 1000.0 * t / 3600.0


class Steady:
    """A voltage."""

    def at(self, t):
        return 2.5


@pytest.fixture
def served():
    """Function that opens a driver through pyvisa-py in front of a device on a port; and the server of that."""
    clock, connection, opened = WallClock(), Connection.through("@py"), []
    with WireServer(clock) as server:

        def serve(driver, device, wire, **settings):
            resource = "TCPIP::{}::{}::SOCKET".format(*server.tcp(device)) if wire == "tcp" else None
            resource = resource or f"ASRL{server.pty(device)}::INSTR"
            kind = load_driver(driver)
            written = kind.settings_type.model_validate({"resource": resource, "timeout": "60 s", **settings})
            instrument = kind("it", written, clock, connection)
            instrument.open()
            opened.append(instrument)
            return instrument, server

        yield serve
        for instrument in opened:
            instrument.close()
    connection.close()


@pytest.mark.parametrize("wire", KINDS)
def test_a_coriolis_meter_is_read_on_a_real_port(served, wire):
    clock = WallClock()
    device = CoriFlowMeter(Flowing(), noise_mg_per_h=0.0, density_noise_g_per_ml=0.0, latency_s=0.001)
    meter, _ = served("bronkhorst-propar", device, wire)
    clock.sleep(0.6)
    assert meter.sample().values[0] == pytest.approx(1000.0, rel=1e-5)
    assert meter.identify().serial == "M21200123A"


@pytest.mark.parametrize("wire", KINDS)
def test_a_multimeter_is_read_on_a_real_port(served, wire):
    device = Keysight34461A(volts=Steady(), noise=0.0)
    meter, _ = served("keysight-34461a", device, wire, input={"name": "p", "kind": "voltage"}, nplc=0.2)
    assert [meter.sample().values for _ in range(3)] == [(2.5,)] * 3


@pytest.mark.parametrize("wire", KINDS)
@pytest.mark.parametrize("mode", ["polled", "buffered"])
def test_a_data_acquisition_unit_is_read_on_a_real_port(served, wire, mode):
    channels = [{"name": f"c{k}", "channel": k, "kind": "voltage"} for k in (101, 102)]
    device = KeysightDaq970A({"101": Steady(), "102": Steady()}, noise=0.0)
    settings = {"channels": channels, "mode": mode, "nplc": 0.02, "period": "0.1 s"}
    unit, _ = served("keysight-daq970a", device, wire, **settings)
    if mode == "polled":
        assert unit.sample().values == (2.5, 2.5)
    else:
        unit.start()
        unit.clock.sleep(0.35)
        assert unit.read(3).values.tolist() == [[2.5, 2.5]] * 3


@pytest.mark.parametrize("wire", KINDS)
def test_a_coriolis_meter_whose_plug_was_pulled_is_found_again(served, wire):
    device = CoriFlowMeter(Flowing(), noise_mg_per_h=0.0, latency_s=0.001)
    meter, server = served("bronkhorst-propar", device, wire, timeout="1 s")
    server.unplug(device, 60.0)
    with pytest.raises(InstrumentError):
        meter.sample()
    server.plug(device)
    reading = None
    while reading is None:
        meter.clock.sleep(0.05)
        with suppress(InstrumentError):
            reading = meter.sample()
    assert reading.values[4] == 22.0
