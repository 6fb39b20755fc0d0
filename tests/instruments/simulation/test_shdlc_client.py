"""Sensirion's own SHDLC client drives the simulated cable and sensor, its code unchanged."""

import sys

import numpy as np
import pytest
from sensirion_shdlc_driver import ShdlcConnection, ShdlcSerialPort, ShdlcTcpPort
from sensirion_shdlc_driver.errors import ShdlcDeviceError, ShdlcTimeoutError
from sensirion_uart_scc1.drivers.scc1_slf3x import Scc1Slf3x
from sensirion_uart_scc1.drivers.slf_common import SlfMode, get_flow_unit_label
from sensirion_uart_scc1.scc1_shdlc_device import Scc1ShdlcDevice

from instruments.clock import WallClock
from instruments.simulation.devices.sensirion_shdlc import ShdlcFlowSensor
from instruments.simulation.wire_server import WireServer


class Constant:
    def __init__(self, value):
        self.value = value

    def at(self, t):
        return self.value

    def samples(self, t0, dt, first, n):
        return np.full(n, self.value)


def sensor(**changes):
    return ShdlcFlowSensor(
        Constant(10_500.0), model="SLF3S-0600F", temperature=Constant(23.5), air=Constant(1.0), latency_s=0.0, **changes
    )


@pytest.fixture(params=["tcp"] if sys.platform == "win32" else ["tcp", "pty"])
def connection(request):
    """A connection of the client, patient enough for a computer that stalls."""
    with WireServer(WallClock()) as server:
        if request.param == "tcp":
            port = ShdlcTcpPort(*server.tcp(sensor()), socket_timeout=60.0)
        else:
            port = ShdlcSerialPort(server.pty(sensor()), 115200, additional_response_time=60.0)
        yield ShdlcConnection(port)
        port.close()


def test_the_client_reads_who_the_cable_and_the_sensor_are(connection):
    cable = Scc1ShdlcDevice(connection)
    assert cable.serial_number == "FT3XYZ01"
    assert str(cable.firmware_version) == "1.8"
    assert cable.get_product_name() == "RS485 Sensor Cable"
    assert cable.get_sensor_type() == 3
    slf = Scc1Slf3x(cable)
    assert (slf.product_id, slf.serial_number) == (0x07030302, 8)


def test_the_client_reads_scale_and_unit(connection):
    slf = Scc1Slf3x(Scc1ShdlcDevice(connection), SlfMode.LIQUI_1)
    scale, unit = slf.get_flow_unit_and_scale()
    assert (scale, get_flow_unit_label(unit)) == (10, "ul/min")


def test_the_client_measures_continuously_and_empties_the_buffer(connection):
    slf = Scc1Slf3x(Scc1ShdlcDevice(connection))
    slf.start_continuous_measurement(20)  # ms: the cable keeps 20 s for a client that is held up
    WallClock().sleep(0.05)
    assert slf.get_continuous_measurement_status() == 20
    assert slf.get_last_measurement() == (105, 4700, 1)
    remaining, lost, rows = slf.read_extended_buffer()
    assert lost == 0
    assert remaining >= 0
    assert set(rows) == {(105, 4700, 1)}
    slf.stop_continuous_measurement()
    assert slf.get_continuous_measurement_status() is None


def test_the_client_totals_the_flow(connection):
    slf = Scc1Slf3x(Scc1ShdlcDevice(connection))
    slf.set_totalizator_status(True)
    slf.start_continuous_measurement(1)
    slf.stop_continuous_measurement()
    total = slf.get_totalizator_value()
    assert total > 0
    assert total % 105 == 0
    slf.reset_totalizator()
    assert slf.get_totalizator_value() == 0


def test_the_client_reads_and_clears_the_error_state(connection):
    cable = Scc1ShdlcDevice(connection)
    with pytest.raises(ShdlcDeviceError) as refusal:
        cable.transceive(0xEE, [], 0.05)
    assert refusal.value.error_code == 2
    assert cable.get_error_state(clear=True)[1] == 2
    assert cable.get_error_state(clear=False)[1] == 0


def test_another_address_gets_no_answer():
    with WireServer(WallClock()) as server:
        port = ShdlcTcpPort(*server.tcp(sensor()), socket_timeout=0.01)
        with pytest.raises(ShdlcTimeoutError):
            ShdlcConnection(port).transceive(5, 0xD1, b"", 0.05)
        port.close()
