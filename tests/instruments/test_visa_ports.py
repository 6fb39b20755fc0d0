"""The drivers on a real port: pyvisa-py in front of devices that listen on TCP."""

import numpy as np
import pytest

from instruments.clock import WallClock
from instruments.instrument import Connection, load_driver
from instruments.simulation.devices.mt_sics import MtSicsBalance
from instruments.simulation.devices.pump_link import PumpLinkDevice
from instruments.simulation.devices.sensirion_shdlc import ShdlcFlowSensor
from instruments.simulation.signal import PumpState
from instruments.simulation.wire_server import WireServer


class Steady:
    def at(self, t):
        return 694.5

    def samples(self, t0, dt, first, n):
        return np.full(n, 694.5)


class IdlePump:
    maker, model, serial, firmware = "Nobody", "Roller", "P1", "1.0"

    def state(self, t):
        return PumpState(False, "stopped", 0.0, 20_000.0, (), t, 5.0)


@pytest.fixture
def on_tcp():
    """Function that opens a driver through pyvisa-py in front of a device that listens on a TCP port."""
    clock = WallClock()
    connection = Connection.through("@py")
    opened = []
    with WireServer(clock) as server:

        def on_tcp(driver, device):
            host, port = server.tcp(device)
            kind = load_driver(driver)
            settings = kind.settings_type.model_validate(
                {"resource": f"TCPIP::{host}::{port}::SOCKET", "timeout": "60 s"}
            )
            instrument = kind("it", settings, clock, connection)
            instrument.open()
            opened.append(instrument)
            return instrument

        yield on_tcp
        for instrument in opened:
            instrument.close()
    connection.close()


def test_a_balance_is_weighed_on_a_terminal_server(on_tcp):
    balance = on_tcp("mettler-mtsics", MtSicsBalance(Steady(), latency_s=0.001))
    assert [balance.sample().values[0] for _ in range(5)] == [694.5] * 5


def test_a_flow_sensor_is_read_on_a_terminal_server(on_tcp):
    sensor = on_tcp("sensirion-shdlc", ShdlcFlowSensor(Steady(), latency_s=0.001))
    sensor.start()
    sensor.clock.sleep(0.25)
    assert sensor.read(10).values[:2, 0] == pytest.approx(694.5 * 0.06)


def test_a_pump_is_asked_on_a_terminal_server(on_tcp):
    link = on_tcp("pump-link", PumpLinkDevice(IdlePump(), latency_s=0.001))
    assert link.sample().values[1] == 20_000.0
